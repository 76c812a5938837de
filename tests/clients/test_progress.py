"""What `parlor data` shows while it works, and what becomes of it if nobody reads its output."""

import errno
import json
import os
import pty
import subprocess
import tempfile
import time

import pytest

import harness
from harness import PATIENCE, run_parlor

#: A bar appears after a second; a task of these tests takes longer.
SLOW_MS = 20


@pytest.fixture(scope="module")
def store(module_servers):
    """A store with a few hundred entries, and its export."""
    server = module_servers.parlor()
    with harness.Chat(server, "ada") as ada:
        ada.request("room:create", room="tea")
        for number in range(300):
            ada.say("tea", f"{number} " + "x" * 500)
    server.stop()
    lines = module_servers.directory() / "lines"
    done = run_parlor("data", "export", lines, "--data", server.data)
    assert done.returncode == 0, done.stderr
    return server.data, lines


def slowly(*arguments, call="pread64"):
    """A command each of whose reads takes a moment."""
    strace = harness.tool("strace", "on Debian: apt-get install strace")
    slow = f"inject={call}:delay_enter={SLOW_MS * 1000}"
    return [strace, "-f", "-o", "/dev/null", "-e", f"trace={call}", "-e", slow, harness.parlor_binary(), *arguments]


def errors_of(command, stderr):
    """The status of a command, how long it took, and what it says on standard error, a terminal or a pipe."""
    ours, its = pty.openpty() if stderr == "terminal" else os.pipe()
    begun = time.monotonic()
    output = tempfile.TemporaryFile()
    process = subprocess.Popen(
        [str(part) for part in command], stdin=subprocess.DEVNULL, stdout=output, stderr=its,
        env=harness.clean_environment(TERM="xterm"),
    )  # fmt: skip
    os.close(its)
    said = b""
    while True:
        try:
            piece = os.read(ours, 65_536)
        except OSError as error:
            # A terminal whose other end is closed.
            assert error.errno == errno.EIO
            piece = b""
        if not piece:
            break
        said += piece
    os.close(ours)
    status = process.wait(PATIENCE)
    output.seek(0)
    return status, time.monotonic() - begun, said.decode(), output.read().decode()


class TestBars:
    @pytest.mark.parametrize("task", ["check", "export", "backup", "import"])
    def test_a_long_task_shows_how_far_it_is_at_a_terminal_alone(self, store, servers, task):
        data, lines = store
        new = servers.directory() / "new"
        arguments = {
            "check": ["data", "check", "--data", data],
            "export": ["data", "export", "--data", data],
            "backup": ["data", "backup", new, "--data", data],
            "import": ["data", "import", lines, "--data", new],
        }[task]
        status, seconds, said, output = errors_of(slowly(*arguments), "terminal")
        assert status == 0 and seconds > 1.2, (seconds, said)
        word = {"check": "checking", "export": "writing", "backup": "ing", "import": "ing"}[task]
        assert word in said and "\r" in said, said
        # It is gone at the end.
        assert said.rstrip().endswith("\x1b[2K") or said.endswith("\r"), said[-60:]
        if task in ("backup", "import"):
            new = servers.directory() / "other"
            arguments = [new if str(part).endswith("new") else part for part in arguments]
        status, seconds, said, piped = errors_of(slowly(*arguments), "pipe")
        assert (status, said) == (0, "") and seconds > 1.2
        assert "ing" not in piped or task == "export"
        assert task != "export" or piped == output

    def test_a_short_task_shows_nothing(self, store):
        status, _, said, output = errors_of([harness.parlor_binary(), "data", "check", "--data", store[0]], "terminal")
        assert (status, said) == (0, "") and "sound" in output


class TestOutput:
    @pytest.mark.parametrize("task", ["check", "export"])
    def test_a_reader_that_has_gone_is_told_nothing(self, store, task):
        reads, writes = os.pipe()
        os.close(reads)
        done = subprocess.run(
            [harness.parlor_binary(), "data", task, "--data", store[0]],
            stdout=writes, stderr=subprocess.PIPE, env=harness.clean_environment(), timeout=PATIENCE,
        )  # fmt: skip
        os.close(writes)
        # Who reads a part of an export may not take it for the whole.
        assert done.stderr == b"" and done.returncode == (1 if task == "export" else 0)

    @pytest.mark.parametrize("task", ["check", "export", "backup", "import", "restore"])
    def test_a_full_output_is_an_error(self, store, servers, task):
        data, lines = store
        new = servers.directory() / "new"
        backup = servers.directory() / "backup"
        assert run_parlor("data", "backup", backup, "--data", data).returncode == 0
        arguments = {
            "check": ["check", "--data", data],
            "export": ["export", "--data", data],
            "backup": ["backup", new, "--data", data],
            "import": ["import", lines, "--data", new],
            "restore": ["restore", backup, "--data", new],
        }[task]
        with open("/dev/full", "w") as full:
            done = subprocess.run(
                [harness.parlor_binary(), "data", *map(str, arguments)],
                stdout=full, stderr=subprocess.PIPE, env=harness.clean_environment(), timeout=PATIENCE,
            )  # fmt: skip
        assert done.returncode == 1 and b"No space left on device" in done.stderr, done.stderr
        assert b"panicked" not in done.stderr

    def test_faults_that_nobody_can_read_are_still_faults(self, store, servers):
        data = servers.directory()
        done = run_parlor("data", "import", store[1], "--data", data / "new")
        assert done.returncode == 0, done.stderr
        file = data / "new" / "parlor.db"
        content = file.read_bytes()
        file.write_bytes(content.replace(b"1 xxx", b"2 xxx", 1))
        with open("/dev/full", "w") as full:
            done = subprocess.run(
                [harness.parlor_binary(), "data", "check", "--data", data / "new"],
                stdout=full, stderr=subprocess.PIPE, env=harness.clean_environment(), timeout=PATIENCE,
            )  # fmt: skip
        assert done.returncode == 1
        assert json.loads(run_parlor("data", "check", "--json", "--data", data / "new").stdout.splitlines()[-1])[
            "summary"
        ]["faults"]
