"""A parlor of one's own for tests of an application: the real server, in memory, on a port of its own.

    def test_my_bot():
        with parlor.testing.Server() as server:
            with parlor.sync.Connection(server.url("ada")) as ada:
                ...
                server.kill()       # what a crash does
                server.start()      # as it was, if it has a folder for its data

It needs the program `parlor`: `cargo build --release` makes it in a checkout.
"""

from __future__ import annotations

import http.client
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Union
from urllib.parse import urlencode

#: How long a server has to be ready, and to end, in seconds.
READY_SECONDS = 20.0
END_SECONDS = 20.0


class Server:
    """A server in open mode, where everybody is who they say, unless the arguments say otherwise.

    Args:
        arguments: of `parlor serve`, as `"--set", "limits.rooms=3"` or `"--config", path`.
        data: a folder for its data, which outlives it; without one it keeps all in memory.
        program: the program `parlor`; else that of the variable `PARLOR_BIN`, or of `PATH`.
        env: further environment variables.

    Raises:
        FileNotFoundError: there is no such program.
        RuntimeError: the server has ended, or is not ready in 20 s; it says why.
    """

    def __init__(
        self, *arguments: Union[str, Path], data: Union[str, Path, None] = None, program: Union[str, Path, None] = None, env: Mapping[str, str] | None = None
    ) -> None:
        found = program or os.environ.get("PARLOR_BIN") or shutil.which("parlor")
        if found is None or shutil.which(found) is None:
            raise FileNotFoundError("the program parlor is missing: give `program`, or set PARLOR_BIN; `cargo build --release` makes it in a checkout")
        self._program = str(found)
        self._arguments = [str(argument) for argument in arguments]
        self._data = ":memory:" if data is None else str(data)
        # Its own variables have this prefix, and one that it does not know is an error.
        self._env = {name: value for name, value in os.environ.items() if not name.startswith("PARLOR_")} | dict(env or {})
        with socket.create_server(("127.0.0.1", 0)) as listener:
            #: Where it listens, also after it was started again.
            self.port: int = listener.getsockname()[1]
        self._process: subprocess.Popen[bytes] | None = None
        self._output = tempfile.TemporaryFile()
        self.start()

    @property
    def address(self) -> str:
        """`http://127.0.0.1:…`, for `parlor.admin.Admin`."""
        return f"http://127.0.0.1:{self.port}"

    def url(self, user: str | None = None, **query: str) -> str:
        """The URL of a client's connection; in open mode as this user."""
        given = {"user": user, **query} if user is not None else query
        return f"ws://127.0.0.1:{self.port}/ws" + (f"?{urlencode(given)}" if given else "")

    def start(self) -> None:
        """Starts it, if it does not run."""
        if self._process is not None:
            return
        command = [self._program, "serve", "--listen", f"127.0.0.1:{self.port}", "--data", self._data, *self._arguments]
        self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self._output, stderr=subprocess.STDOUT, env=self._env)
        end = time.monotonic() + READY_SECONDS
        while not self._is_ready():
            if self._process.poll() is not None or time.monotonic() > end:
                self.kill()
                raise RuntimeError(f"parlor is not ready:\n{self.log}")
            time.sleep(0.02)

    def _is_ready(self) -> bool:
        # Whatever proxy the environment names: it is on this machine.
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=1)
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def kill(self) -> None:
        """Ends it at once, as a crash does."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """Ends it as an operator does: its clients are told."""
        self._end(signal.SIGTERM)

    def _end(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)
            try:
                self._process.wait(END_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None

    @property
    def log(self) -> str:
        """What it has said so far."""
        # Not by reading on: where that would be is where the server writes on.
        file = self._output.fileno()
        return os.pread(file, os.fstat(file).st_size, 0).decode(errors="replace")

    def __enter__(self) -> Server:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()
