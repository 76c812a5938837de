"""Starts servers for tests, and speaks to them: a WebSocket client on a bare socket that can break
every rule, one that knows parlor's JSON, and tokens of every kind.

Set PARLOR_BIN, PARLOR_ECHO and PARLOR_FAN_OUT to test other binaries than those in target/release.
"""

import base64
import collections
import contextlib
import hashlib
import hmac
import http.client
import io
import itertools
import json
import os
import random
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import tempfile
import threading
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path

import pytest

try:
    from websockets.exceptions import ConnectionClosed
    from websockets.sync.client import connect
except ImportError:
    pytest.exit("websockets is missing: pip install -r tests/requirements.txt", 1)

from certificates import Authority

ROOT = Path(__file__).resolve().parents[2]
HOST = "127.0.0.1"
START_SECONDS = 10
STOP_SECONDS = 8
#: How long a test waits for what must come.
PATIENCE = 5.0
SECRET = "a secret for tests, of more than 32 bytes"

TEXT, BINARY, CLOSE, PING, PONG, CONTINUATION = 0x1, 0x2, 0x8, 0x9, 0xA, 0x0


def binary(variable, default, how):
    """The path of a program under test; fails, and says how to get it, if it is not there."""
    path = Path(os.environ.get(variable) or ROOT / default)
    if not (path.is_file() and os.access(path, os.X_OK)):
        pytest.fail(f"{path} is missing: {how}, or set {variable}", pytrace=False)
    return path


def parlor_binary():
    return binary("PARLOR_BIN", "target/release/parlor", "cargo build --release")


def echo_binary():
    how = "cargo build --release --example echo"
    return binary("PARLOR_ECHO", "target/release/examples/echo", how)


def fan_out_binary():
    how = "cargo build --release --example fan_out"
    return binary("PARLOR_FAN_OUT", "target/release/examples/fan_out", how)


def serve_blocking_binary():
    how = "cargo build --release --example serve_blocking"
    return binary("PARLOR_SERVE_BLOCKING", "target/release/examples/serve_blocking", how)


def tool(name, how):
    """The path of a program that a test needs; fails, and says how to get it, if it is not there."""
    path = shutil.which(name, path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin")
    if path is None:
        pytest.fail(f"{name} is missing: {how}", pytrace=False)
    return path


# Below those that Linux gives to outgoing connections (ip_local_port_range): one of these could take the port before
# its server does, or while it is away.
SERVER_PORTS = range(20_000, 32_000)


# A server that restarts leaves its port for a moment. So each is taken for UDP, too, as tests/free-port.mjs does: the
# newest of this process, as the servers of tests before that have ended.
HELD_PORTS = collections.deque(maxlen=256)


def free_port():
    while True:
        port = random.choice(SERVER_PORTS)
        holder = socket.socket(type=socket.SOCK_DGRAM)
        with contextlib.suppress(OSError), socket.socket() as probe:
            holder.bind((HOST, port))
            probe.bind((HOST, port))
            HELD_PORTS.append(holder)
            return port
        holder.close()


def clean_environment(**more):
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PARLOR_")}
    kept.update(more)
    return kept


def run_parlor(*arguments, seconds=5, env=None):
    """Runs `parlor` to its end; gives what subprocess.run gives."""
    return subprocess.run(
        [parlor_binary(), *map(str, arguments)],
        env=clean_environment(**(env or {})),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=seconds,
    )


class Server:
    """A server process of this test's own: ended by its process id, and nothing else is. With `tls`,
    a client's context, it is spoken to in TLS."""

    _recent = []
    tls = None

    def __init__(self, command, port, name, is_ready, env=None, preexec=None, tls=None):
        self.port, self.name, self.tls = port, name, tls
        self._log = tempfile.TemporaryFile()
        self.process = subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            env=clean_environment(**(env or {})),
            preexec_fn=preexec,
        )
        self.pid = self.process.pid
        Server._recent.append(self)
        deadline = time.monotonic() + START_SECONDS
        while not is_ready(self):
            if self.process.poll() is not None:
                pytest.fail(
                    f"{self} ended at its start with {self.process.returncode}:\n{self.output()}"
                )
            if time.monotonic() > deadline:
                self.kill()
                pytest.fail(f"{self} does not serve after {START_SECONDS} s:\n{self.output()}")
            time.sleep(0.02)

    def __str__(self):
        return f"{self.name} (process {self.pid}, port {self.port})"

    @classmethod
    def of_last_test(cls):
        recent = cls._recent
        cls._recent = [server for server in recent if server.is_running()]
        return recent

    def is_running(self):
        return self.process.poll() is None

    def output(self):
        """All that it has said until now."""
        return os.pread(self._log.fileno(), 1 << 20, 0).decode(errors="replace")

    def signal(self, number):
        if self.is_running():
            os.kill(self.pid, number)

    def kill(self):
        self.signal(signal.SIGKILL)
        self.process.wait(STOP_SECONDS)

    def stop(self):
        """SIGTERM; gives the exit status."""
        self.signal(signal.SIGTERM)
        try:
            return self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            pytest.fail(f"{self} does not end within {STOP_SECONDS} s of SIGTERM")

    def memory(self, field="VmRSS"):
        """Bytes, as /proc says: VmRSS is what is in memory, VmSize what is reserved."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith(field + ":"):
                return int(line.split()[1]) * 1024
        raise AssertionError(f"no {field} in /proc/{self.pid}/status")

    def cpu_seconds(self):
        """What it has spent of the processor's time."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def open_files(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def http_connection(self):
        """One that takes several requests."""
        where = {"host": HOST, "port": self.port, "timeout": PATIENCE}
        if self.tls:
            return http.client.HTTPSConnection(context=self.tls, **where)
        return http.client.HTTPConnection(**where)

    def http(self, path, method="GET", headers=None, body=None):
        """One HTTP request; gives status, header fields (names in lower case) and body."""
        connection = self.http_connection()
        try:
            connection.request(method, path, body=body, headers=headers or {})
            answer = connection.getresponse()
            fields = {name.lower(): value for name, value in answer.getheaders()}
            return answer.status, fields, answer.read()
        finally:
            connection.close()

    def api(self, method, path, payload=None, token=None, headers=None):
        """A call of the API below /api/v1/; gives status and what the answer's JSON says."""
        body = None if payload is None else json.dumps(payload).encode()
        headers = {**({"Authorization": f"Bearer {token}"} if token else {}), **(headers or {})}
        status, fields, text = self.http(f"/api/v1/{path}", method, headers, body)
        assert fields["content-type"] == "application/json" or status == 204
        assert fields["cache-control"] == "no-store" and fields["vary"] == "Origin"
        return status, json.loads(text) if text else None

    def admit(self, room, *users):
        """Lets users who are invited into a room, or anybody into an open one, come in; in open mode."""
        for user in users:
            status, answer = self.api("PUT", f"rooms/{room}/members/{user}?user={user}")
            assert status == 200, answer

    def url(self, user=None, **query):
        query = {"user": user, **query} if user is not None else query
        text = "&".join(f"{name}={value}" for name, value in query.items())
        scheme = "wss" if self.tls else "ws"
        return f"{scheme}://{HOST}:{self.port}/ws" + (f"?{text}" if text else "")


def _port_answers(server):
    try:
        socket.create_connection((HOST, server.port), 1).close()
        return True
    except OSError:
        return False


def _is_healthy(server):
    try:
        return server.http("/healthz")[0] == 200
    except OSError:
        return False


#: Whether every chat server has TLS: `make tls`.
TLS_EVERYWHERE = os.environ.get("PARLOR_TEST_TLS") == "1"

#: What root has to say to serve beyond loopback.
AS_ROOT = ("--user", "root") if os.geteuid() == 0 else ()

#: How many threads servers have, where a test does not say it: `make threads`.
THREADS_OF_ALL = int(os.environ.get("TEST_THREADS", "1"))
THREADS = {"threads": THREADS_OF_ALL} if THREADS_OF_ALL != 1 else {}

#: Limits that no test meets by chance.
ROOMY = {
    "limits.requests_per_second": 100_000,
    "limits.burst": 100_000,
    "limits.connections_per_user": 1_000,
    "limits.connections_per_address": 20_000,
    "limits.user_work_per_second": 0,
    "limits.address_work_per_second": 0,
    "limits.failed_proofs_per_second": 100_000,
    "limits.failed_proofs_burst": 100_000,
}


class Servers:
    """Starts servers, and ends them all in the end."""

    def __init__(self):
        self._started, self._directories = [], []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for server in self._started:
            if server.is_running():
                server.kill()
        for directory in self._directories:
            shutil.rmtree(directory, ignore_errors=True)

    def directory(self):
        """A new directory that is removed in the end."""
        directory = Path(tempfile.mkdtemp(prefix="parlor-test-"))
        self._directories.append(directory)
        return directory

    def secret_file(self, secret=SECRET):
        path = self.directory() / "secret"
        path.write_text(secret)
        path.chmod(0o600)
        return path

    def echo(self, wrapper=()):
        return self._example("echo", echo_binary(), wrapper=wrapper)

    def fan_out(self):
        return self._example("fan_out", fan_out_binary())

    def serve_blocking(self):
        return self._example("serve_blocking", serve_blocking_binary())

    def example(self, name, *arguments):
        """One of the examples of an embedding program: it takes an address, and prints its own."""
        default, how = f"target/release/examples/{name}", f"cargo build --release --example {name}"
        # It says so when its own paths are there, too, a moment after its port.
        def is_ready(server):
            return _port_answers(server) and f"{HOST}:{server.port}" in server.output()

        program = binary(f"PARLOR_{name.upper()}", default, how)
        return self._example(name, program, arguments, is_ready=is_ready)

    def sohbet(self):
        """The example that has data of its own; of its page nothing but the place."""
        directory = self.directory()
        page = directory / "app.js"
        page.write_text("")
        return self.example("sohbet", directory / "data", page)

    def _tls(self):
        authority = Authority()
        return *authority.write(self.directory(), HOST), authority.context()

    def _example(self, name, program, arguments=(), wrapper=(), is_ready=_port_answers):
        port = free_port()
        server = Server([*wrapper, program, f"{HOST}:{port}", *arguments], port, name, is_ready)
        self._started.append(server)
        return server

    def parlor(
        self,
        *arguments,
        data=None,
        port=None,
        set=None,
        roomy=True,
        env=None,
        wrapper=(),
        preexec=None,
        is_ready=_is_healthy,
        tls=None,
        listeners=None,
    ):
        """A chat server. `data` is a directory, ":memory:" or None for a new directory; `set` are
        configuration values, on top of ROOMY or, with roomy=False, of the defaults. `tls` is a
        certificate's file, its key's, and a client's context. `listeners` are tables of [[listeners]];
        that of `port` speaks plain HTTP, with whatever certificate there is."""
        port = port or free_port()
        data = self.directory() if data is None else data
        values = {**THREADS, **(ROOMY if roomy else {}), **(set or {})}
        sets = [part for name, value in values.items() for part in ("--set", f"{name}={value}")]
        command = [parlor_binary(), "serve", "--data", data]
        if listeners is None:
            command += ["--listen", f"{HOST}:{port}"]
        else:
            tables = ", ".join(f"{{ {table} }}" for table in listeners)
            command += ["--set", f"listeners=[{tables}]"]
        if tls is None and TLS_EVERYWHERE and listeners is None:
            tls = self._tls()
        if tls is not None:
            certificate, key, tls = tls
            command += ["--tls-cert", certificate, "--tls-key", key]
        server = Server(
            [*wrapper, *command, *sets, *arguments], port, "parlor", is_ready, env, preexec, tls
        )
        server.data = data
        self._started.append(server)
        return server


class TlsSocket:
    """A socket with TLS. One thread may read while another writes, which Python's own does not bear everywhere:
    sometimes it then waits for ever."""

    def __init__(self, raw, context):
        self.raw = raw
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=HOST)
        self._state, self._order = threading.RLock(), threading.RLock()
        self._read_until(self.tls.do_handshake)
        self._send()

    @classmethod
    def connect(cls, server):
        return cls(socket.create_connection((HOST, server.port), PATIENCE), server.tls)

    def __getattr__(self, name):
        return getattr(self.raw, name)

    def _send(self):
        with self._order:
            with self._state:
                records = self._outgoing.read()
            self.raw.sendall(records)

    def _read_until(self, step, count=65_536):
        while True:
            with self._state:
                try:
                    return step()
                except ssl.SSLWantReadError:
                    has_records = self._outgoing.pending > 0
                    waiting = self._incoming.pending
                except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
                    return b""
            if has_records:
                self._send()
            records = self.raw.recv(max(1, count - waiting))
            with self._state:
                if records:
                    self._incoming.write(records)
                else:
                    self._incoming.write_eof()

    def recv(self, count):
        """All that has come, so that a caller who waits for the socket before each call misses nothing."""
        return self._read_until(lambda: self._read_all(count), count)

    def _read_all(self, count):
        content = b""
        while len(content) < count:
            try:
                piece = self.tls.read(count - len(content))
            except (ssl.SSLWantReadError, ssl.SSLEOFError):
                if content:
                    return content
                raise
            if not piece:
                break
            content += piece
        return content

    def recv_into(self, buffer):
        content = self.recv(len(buffer))
        buffer[: len(content)] = content
        return len(content)

    def makefile(self, _):
        return io.BufferedReader(socket.SocketIO(self, "r"))

    def sendall(self, content):
        with self._order:
            with self._state:
                view = memoryview(content)
                while len(view) > 0:
                    view = view[self.tls.write(view) :]
            self._send()

    send = sendall


# --- frames -------------------------------------------------------------------------------------


@dataclass
class Frame:
    opcode: int
    payload: bytes
    fin: bool = True
    rsv: int = 0

    @property
    def code(self):
        """A Close frame's code; None without a body."""
        assert self.opcode == CLOSE, f"no Close, but {self}"
        return struct.unpack("!H", self.payload[:2])[0] if self.payload else None


def mask(payload, key):
    if not payload:
        return b""
    repeated = (key * (len(payload) // 4 + 1))[: len(payload)]
    number = int.from_bytes(payload, "big") ^ int.from_bytes(repeated, "big")
    return number.to_bytes(len(payload), "big")


def header(opcode, length, fin=True, rsv=0, key=b"\x37\xfa\x21\x3d", form=None):
    """A frame's header. `key=None`: not masked. `form`: 7, 16 or 64 bits of length whether or not
    that is the shortest."""
    form = form or (7 if length < 126 else 16 if length < 1 << 16 else 64)
    masked = 0x80 if key is not None else 0
    first = (0x80 if fin else 0) | rsv << 4 | opcode
    if form == 7:
        head = struct.pack("!BB", first, masked | length)
    elif form == 16:
        head = struct.pack("!BBH", first, masked | 126, length)
    else:
        head = struct.pack("!BBQ", first, masked | 127, length)
    return head + (key or b"")


def frame(opcode, payload=b"", key=b"\x37\xfa\x21\x3d", **kind):
    if isinstance(payload, str):
        payload = payload.encode()
    return header(opcode, len(payload), key=key, **kind) + (mask(payload, key) if key else payload)


def close_body(code, reason=b""):
    return struct.pack("!H", code) + reason


#: The request of RFC 6455 §1.2, whose answer §1.3 computes.
FIELDS = (
    ("Host", f"{HOST}"),
    ("Upgrade", "websocket"),
    ("Connection", "Upgrade"),
    ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ("Sec-WebSocket-Version", "13"),
)
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


def request_head(path="/", fields=FIELDS, method="GET", version="HTTP/1.1"):
    lines = [f"{method} {path} {version}", *(f"{name}: {value}" for name, value in fields)]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


@dataclass
class Answer:
    status: int
    fields: dict
    body: bytes

    @property
    def error(self):
        return json.loads(self.body)["error"]


class Raw:
    """A client on a bare socket: sends any bytes, reads frames. Fails when it waits too long."""

    def __init__(self, server, path="/", fields=FIELDS, open=True, receive_buffer=None):
        self.socket = socket.socket()
        if receive_buffer is not None:
            # Before it connects: where a window is taken back that was promised, the kernel drops what comes, and the
            # sender waits for seconds before it tries again.
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(PATIENCE)
        self.socket.connect((HOST, server.port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if server.tls:
            self.socket = TlsSocket(self.socket, server.tls)
        self.buffer = bytearray()
        if open:
            self.send(request_head(path, fields))
            answer = self.read_head()
            assert answer.status == 101, f"the upgrade was refused: {answer}"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()

    def end(self):
        self.socket.close()

    def reset(self):
        """Ends with an RST instead of a FIN."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def send(self, *pieces):
        self.socket.sendall(b"".join(pieces))

    def send_frame(self, opcode, payload=b"", **kind):
        self.send(frame(opcode, payload, **kind))

    def _fill(self):
        piece = self.socket.recv(1 << 20)
        self.buffer += piece
        return len(piece) > 0

    def _take(self, count):
        while len(self.buffer) < count:
            if not self._fill():
                return None
        taken = bytes(self.buffer[:count])
        del self.buffer[:count]
        return taken

    def read_head(self):
        while b"\r\n\r\n" not in self.buffer:
            assert self._fill(), f"the connection ended within an answer: {bytes(self.buffer)}"
        head, _, rest = bytes(self.buffer).partition(b"\r\n\r\n")
        self.buffer = bytearray(rest)
        first, *lines = head.decode("latin-1").split("\r\n")
        fields = {}
        for line in lines:
            name, _, value = line.partition(":")
            assert name.lower() not in fields, f"{name} comes twice in {head}"
            fields[name.lower()] = value.strip()
        version, status, _ = first.split(" ", 2)
        assert version == "HTTP/1.1"
        return Answer(int(status), fields, b"")

    def read_answer(self):
        """A whole HTTP answer with its body, after which the TCP connection must end."""
        answer = self.read_head()
        if answer.status != 101:
            length = int(answer.fields["content-length"])
            answer.body = self._take(length)
            assert answer.body is not None, "the connection ended within the body"
            assert answer.fields["connection"].lower() == "close"
            self.expect_end()
        return answer

    def read_frame(self):
        """The next frame; None when the connection has ended."""
        head = self._take(2)
        if head is None:
            return None
        first, second = head
        assert second & 0x80 == 0, "RFC 6455 §5.1: a server masks no frame"
        length = second & 0x7F
        if length == 126:
            (length,) = struct.unpack("!H", self._take(2))
            assert length >= 126, "RFC 6455 §5.2: the length in its shortest form"
        elif length == 127:
            (length,) = struct.unpack("!Q", self._take(8))
            assert length >= 1 << 16, "RFC 6455 §5.2: the length in its shortest form"
        payload = self._take(length)
        assert payload is not None, "the connection ended within a frame"
        return Frame(first & 0x0F, payload, bool(first & 0x80), first >> 4 & 7)

    def read_message(self):
        """The next data message, joined from its fragments; Pongs in between are not looked at."""
        opcode, parts = None, []
        while True:
            got = self.read_frame()
            assert got is not None, "the connection ended before a message"
            if got.opcode in (PING, PONG):
                continue
            assert got.opcode in (TEXT, BINARY, CONTINUATION), f"no message, but {got}"
            opcode = opcode or got.opcode
            parts.append(got.payload)
            if got.fin:
                return Frame(opcode, b"".join(parts))

    def expect(self, opcode, payload):
        got = self.read_frame()
        payload = payload.encode() if isinstance(payload, str) else payload
        assert got is not None, "the connection has ended"
        assert (got.opcode, got.fin, got.rsv) == (opcode, True, 0), (
            f"another frame: {str(got)[:200]}"
        )
        assert got.payload == payload, f"another payload: {got.payload[:100]!r}"

    def expect_echo(self, opcode, payload):
        self.send_frame(opcode, payload)
        self.expect(opcode, payload)

    def expect_close(self, code):
        """A Close with this code is next, and then the end of the TCP connection."""
        got = self.read_frame()
        assert got is not None, f"the connection ended without the Close {code}"
        assert got.opcode == CLOSE, f"no Close, but {str(got)[:200]}"
        assert got.code == code, f"closed with {got.code} {got.payload[2:]!r}, not with {code}"
        self.expect_end()

    def expect_end(self):
        """Nothing more, and the end: a FIN, not a reset, as a reset may swallow what came before."""
        try:
            rest = self._take(1)
        except ConnectionResetError:
            raise AssertionError("the connection was reset instead of ended") from None
        except TimeoutError:
            raise AssertionError("the TCP connection is not ended") from None
        assert rest is None, f"more came: {(rest + bytes(self.buffer))[:100]!r}"

    def expect_nothing(self, seconds=0.2):
        """Nothing comes, and the connection stays."""
        assert not self.buffer, f"more came: {bytes(self.buffer[:100])!r}"
        self.socket.settimeout(seconds)
        try:
            got = self.socket.recv(100)
            raise AssertionError(f"came: {got!r}" if got else "the connection has ended")
        except TimeoutError:
            pass
        finally:
            self.socket.settimeout(PATIENCE)


# --- parlor's JSON ------------------------------------------------------------------------------


class Refused(Exception):
    """A request was answered with an error."""

    def __init__(self, payload):
        super().__init__(json.dumps(payload))
        self.payload, self.code = payload, payload["code"]


class Chat:
    """A user's connection, by the `websockets` package. Requests wait for their answers; what is
    pushed meanwhile is kept in order until a test asks for it."""

    _ids = itertools.count(1)

    def __init__(self, server, user=None, hello=True, headers=None, subprotocols=None, **query):
        self.user, self.server = user, server
        self.socket = connect(
            server.url(user, **query).replace("wss:", "ws:"),
            additional_headers=headers,
            subprotocols=subprotocols,
            open_timeout=PATIENCE,
            close_timeout=PATIENCE,
            ping_interval=None,
            max_size=None,
            max_queue=None,
            compression=None,
            proxy=None,
            legacy=True,
            sock=TlsSocket.connect(server) if server.tls else None,
        )
        self._pushes, self._answers, self._binaries = deque(), {}, deque()
        #: The newest messages as they came.
        self.texts = deque(maxlen=100)
        self.hello = self.push("hello") if hello else None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()

    def end(self):
        self.socket.close()

    def _receive(self, deadline):
        """Takes in one message, or raises TimeoutError."""
        text = self.socket.recv(timeout=max(0.0, deadline - time.monotonic()))
        if isinstance(text, bytes):
            self._binaries.append(text)
            return
        self.texts.append(text)
        message = json.loads(text)
        assert set(message) <= {"type", "id", "payload"}, f"another envelope: {text[:300]}"
        if "id" in message:
            key = json.dumps(message["id"])
            assert key not in self._answers, f"two answers for one request: {text[:300]}"
            assert message["type"] in ("reply", "error"), f"an answer of no kind: {text[:300]}"
            self._answers[key] = message
        else:
            assert message["type"] != "reply", f"a reply without id: {text[:300]}"
            self._pushes.append(message)

    def raw(self, text):
        self.socket.send(text)

    def send(self, kind, payload=None, id=None, **members):
        """Sends a request and gives its id."""
        id = next(Chat._ids) if id is None else id
        self.raw(
            json.dumps(
                {"type": kind, "id": id, "payload": payload if payload is not None else members}
            )
        )
        return id

    def answer(self, id, seconds=PATIENCE):
        """The answer to the request: the payload of a reply, or Refused."""
        key, deadline = json.dumps(id), time.monotonic() + seconds
        while key not in self._answers:
            try:
                self._receive(deadline)
            except TimeoutError:
                raise AssertionError(f"request {id} has no answer after {seconds} s") from None
        message = self._answers.pop(key)
        if message["type"] == "error":
            raise Refused(message["payload"])
        return message["payload"]

    def request(self, kind, payload=None, **members):
        return self.answer(self.send(kind, payload, **members))

    def refusal(self, kind, payload=None, **members):
        """The payload of the error with which the request must be answered."""
        try:
            reply = self.request(kind, payload, **members)
        except Refused as refused:
            assert isinstance(refused.payload.get("message"), str), "a refusal has a sentence"
            return refused.payload
        raise AssertionError(f"{kind} was not refused: {reply}")

    def refused(self, kind, payload=None, **members):
        """The code of that error."""
        return self.refusal(kind, payload, **members)["code"]

    def push(self, kind, seconds=PATIENCE, where=None):
        """The payload of the next push of a kind (and for which `where` holds); those before it are
        kept."""
        deadline = time.monotonic() + seconds
        looked_at = 0
        while True:
            for index, message in enumerate(
                itertools.islice(self._pushes, looked_at, None), looked_at
            ):
                if message["type"] == kind and (where is None or where(message["payload"])):
                    del self._pushes[index]
                    return message["payload"]
            looked_at = len(self._pushes)
            try:
                self._receive(deadline)
            except TimeoutError:
                had = [message["type"] for message in self._pushes][-20:]
                raise AssertionError(f"no {kind} within {seconds} s, but {had}") from None

    def binary(self, seconds=PATIENCE):
        """The next binary message."""
        deadline = time.monotonic() + seconds
        while not self._binaries:
            try:
                self._receive(deadline)
            except TimeoutError:
                raise AssertionError(f"no binary message within {seconds} s") from None
        return self._binaries.popleft()

    def settle(self):
        """What the server has pushed until now is here."""
        self.request("ping")

    def pushed(self, *kinds, room=None, settle=True):
        """All pushes of these kinds (of a room) until now, in order, as (type, payload)."""
        if settle:
            self.settle()
        taken, kept = [], deque()
        for message in self._pushes:
            of_room = room is None or message["payload"].get("room") == room
            fits = (not kinds or message["type"] in kinds) and of_room
            (taken if fits else kept).append(message)
        self._pushes = kept
        return [(message["type"], message["payload"]) for message in taken]

    def messages(self, room, **how):
        """The payloads of chat:message pushes of a room until now."""
        return [payload for _, payload in self.pushed("chat:message", room=room, **how)]

    def gather(self, seconds):
        """Takes in what comes within a time."""
        deadline = time.monotonic() + seconds
        try:
            while True:
                self._receive(deadline)
        except TimeoutError:
            pass

    def closed(self, seconds=PATIENCE):
        """The code with which the server closes."""
        deadline = time.monotonic() + seconds
        try:
            while True:
                self._receive(deadline)
        except ConnectionClosed as closed:
            assert closed.rcvd is not None, "the connection ended without a Close"
            return closed.rcvd.code
        except TimeoutError:
            raise AssertionError(f"not closed within {seconds} s") from None

    # What most tests need.

    def join(self, room):
        return self.request("room:join", room=room)

    def say(self, room, text, **members):
        return self.request("chat:send", room=room, text=text, **members)

    def history(self, room, **members):
        return self.request("chat:history", room=room, **members)


# --- tokens -------------------------------------------------------------------------------------


def b64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


_HASHES = {"HS256": hashlib.sha256, "HS384": hashlib.sha384, "HS512": hashlib.sha512}


def token(sub="ada", secret=SECRET, ttl=3600, alg="HS256", head=None, **claims):
    """A JWT, right unless told otherwise. A claim of None is left out."""
    now = int(time.time())
    claims = {"sub": sub, "iat": now, "exp": now + ttl, **claims}
    claims = {name: value for name, value in claims.items() if value is not None}
    head = head if head is not None else {"alg": alg, "typ": "JWT"}
    signed = b64url(json.dumps(head).encode()) + "." + b64url(json.dumps(claims).encode())
    if alg not in _HASHES:
        return signed + "."
    signature = hmac.new(secret.encode(), signed.encode(), _HASHES[alg]).digest()
    return signed + "." + b64url(signature)
