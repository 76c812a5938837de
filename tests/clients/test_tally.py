"""examples/tally, the program of the kind that has grown up on Windows, against a server in Python that is killed, that
stalls, and whose certificate is wrong."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import harness
from certificates import Authority
from harness import ROOT, tool
from test_c import PACKAGE, built, run

pytestmark = pytest.mark.plain

#: Says again what it hears, each a line's worth: a process of its own, so that it can be killed and stopped.
SERVER = """
import ssl, sys
from websockets.sync.server import serve
def talk(socket):
    for said in socket:
        socket.send("heard " + said)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[2], sys.argv[3])
with serve(talk, "127.0.0.1", int(sys.argv[1]), ssl=context) as server:
    print("ready", flush=True)
    server.serve_forever()
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    cmake = tool("cmake", "apt-get install cmake")
    folder = tmp_path_factory.mktemp("tally")
    run("sh", PACKAGE / "install.sh", built("libparlor.a").parent, folder / "prefix")
    run(cmake, "-S", ROOT / "examples/tally", "-B", folder / "build", f"-DCMAKE_PREFIX_PATH={folder / 'prefix'}")
    said = run(cmake, "--build", folder / "build", "--verbose")
    # The macros are in each source, precompiled; and the library is in the program.
    assert re.search(r"-include \S*cmake_pch\.hxx", said)
    assert "parlor" not in run("ldd", folder / "build/tally")
    return folder / "build/tally"


@pytest.fixture
def certificate(tmp_path):
    """A server's certificate, and its key; the authority is beside them, in ca.pem."""
    authority = Authority()
    (tmp_path / "ca.pem").write_bytes(authority.pem)
    return authority.write(tmp_path, "localhost")


@contextlib.contextmanager
def serving(port, files):
    server = subprocess.Popen([sys.executable, "-c", SERVER, str(port), *map(str, files)], stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout.readline() == "ready\n"
        yield server
    finally:
        server.kill()
        server.wait()
        server.stdout.close()


class Tally:
    """The program while it runs: what it prints, and what it logs, each with its time in ms."""

    def __init__(self, *command):
        pipe = subprocess.PIPE
        self.process = subprocess.Popen([str(one) for one in command], stdin=pipe, stdout=pipe, stderr=pipe, text=True, env=harness.clean_environment())
        self.said, self.log = [], []
        self.readers = [threading.Thread(target=self.read, args=pair, daemon=True) for pair in ((self.process.stdout, self.said), (self.process.stderr, self.log))]
        for reader in self.readers:
            reader.start()

    @staticmethod
    def read(stream, lines):
        for line in stream:
            lines.append(line.rstrip("\n"))

    def type(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def logged(self, words):
        return [(int(line.split(" ", 1)[0]), line.split(" ", 1)[1]) for line in list(self.log) if words in line]

    def wait(self, is_there, seconds=10):
        begun = time.monotonic()
        while not is_there():
            assert time.monotonic() - begun < seconds, (self.said, self.log)
            time.sleep(0.005)

    def threads(self):
        folder = Path(f"/proc/{self.process.pid}/task")
        return sorted((one / "comm").read_text().strip() for one in folder.iterdir())

    def end(self, seconds=10, ended=1):
        self.type("quit")
        status = self.process.wait(seconds)
        for reader in self.readers:
            reader.join(seconds)
        assert status == 0, (status, self.log)
        # It was created once, ended, and was destroyed once, in this order.
        assert [line.split(" ", 2)[2] for line in self.log if re.search(r"wss: (created|ended|destroyed)$", line)] == [
            "wss: created", *["wss: ended"] * ended, "wss: destroyed"
        ]


@contextlib.contextmanager
def tally(program, port, folder, *options, name="localhost"):
    one = Tally(program, f"wss://{name}:{port}/", "--ca", folder / "ca.pem", *options)
    try:
        yield one
    finally:
        one.process.kill()
        one.process.wait()
        one.process.stdin.close()


def test_it_talks_on_a_thread_of_its_own_and_ends_at_once(program, certificate, tmp_path):
    port = harness.free_port()
    with serving(port, certificate), tally(program, port, tmp_path) as one:
        one.wait(lambda: one.logged("wss: open"))
        assert one.threads() == ["NetworkThread", "tally"]
        for word in ("one", "two", "three"):
            one.type(word)
        one.wait(lambda: len(one.said) == 3)
        assert sorted(line.split(" ", 1)[0] for line in one.said) == ["1", "2", "3"]
        assert sorted(line.split(" ", 1)[1] for line in one.said) == ["heard one", "heard three", "heard two"]
        one.end(seconds=3)
        assert one.logged("tally: 3 messages") and one.logged("wss: closed") and not one.logged("error")


def test_it_is_begun_again_and_says_goodbye_each_time(program, certificate, tmp_path):
    port = harness.free_port()
    with serving(port, certificate), tally(program, port, tmp_path) as one:
        for times in (1, 2, 3):
            one.wait(lambda: len(one.logged("wss: open")) == times)
            one.type("good evening")
            one.wait(lambda: len(one.said) == times)
            one.type("again") if times < 3 else one.end(seconds=3, ended=3)
        assert len(one.logged("wss: closed")) == 3 and not one.logged("error")


@pytest.mark.seconds(60)
def test_a_server_that_is_killed_is_looked_for_after_1_2_and_4_seconds(program, certificate, tmp_path):
    port = harness.free_port()
    with tally(program, port, tmp_path) as one:
        with serving(port, certificate) as server:
            one.wait(lambda: one.logged("wss: open"))
            server.send_signal(signal.SIGKILL)
            one.wait(lambda: len(one.logged("error wss: ")) == 4, seconds=20)
        times = [at for at, _ in one.logged("error wss: ")]
        for wait, (before, behind) in zip((1_000, 2_000, 4_000), zip(times, times[1:])):
            assert wait - 20 <= behind - before <= wait + 500, times
        # It is there again within four seconds more, and the waits begin anew for one that stays.
        with serving(port, certificate):
            one.wait(lambda: len(one.logged("wss: open")) == 2)
            one.type("once more")
            one.wait(lambda: one.said == ["1 heard once more"])
            one.end()


@pytest.mark.seconds(90)
def test_a_server_that_stalls_is_left_after_20_and_10_seconds(program, certificate, tmp_path):
    port = harness.free_port()
    with serving(port, certificate) as server, tally(program, port, tmp_path) as one:
        one.wait(lambda: one.logged("wss: open"))
        [(begun, _)] = one.logged("wss: open")
        server.send_signal(signal.SIGSTOP)
        one.wait(lambda: one.logged("error wss: "), seconds=45)
        lost = one.logged("error wss: ")[0][0]
        assert 29_000 <= lost - begun <= 33_000
        # It is asked for again, and does not answer: the program ends all the same.
        begun = time.monotonic()
        one.end(seconds=5)
        assert time.monotonic() - begun < 2
        server.send_signal(signal.SIGCONT)


def test_a_certificate_for_another_name_is_refused_in_words(program, tmp_path):
    authority, port = Authority(), harness.free_port()
    (tmp_path / "ca.pem").write_bytes(authority.pem)
    with serving(port, authority.write(tmp_path, "other.example")), tally(program, port, tmp_path) as one:
        one.wait(lambda: one.logged("is not for localhost: ask for it by a name that it has"))
        one.wait(lambda: len(one.logged("is not for localhost")) == 2)
        assert not one.logged("wss: open")
        one.type("nobody hears it")
        one.wait(lambda: one.logged("error tally: not sent: nobody hears it"))
        one.end()


def test_what_cannot_begin_says_why(program, tmp_path):
    one = subprocess.run([program, "wss://localhost/", "--ca", tmp_path / "none.pem"], capture_output=True, text=True, timeout=10, check=False)
    assert one.returncode == 1 and f"error wss: {tmp_path / 'none.pem'}" in one.stderr, one.stderr
    assert one.stderr.count("wss: created") == one.stderr.count("wss: destroyed") == 1
    assert subprocess.run([program], capture_output=True, timeout=10, check=False).returncode == 2


@pytest.mark.parametrize("state", ["there", "nobody", "silent"])
def test_it_tests_itself_beside_what_it_does(state, program, certificate, tmp_path):
    port, log = harness.free_port(), tmp_path / "log"
    with contextlib.ExitStack() as stack:
        if state != "nobody":
            server = stack.enter_context(serving(port, certificate))
        if state == "silent":
            server.send_signal(signal.SIGSTOP)
            stack.callback(os.kill, server.pid, signal.SIGCONT)
        one = stack.enter_context(tally(program, port, tmp_path, "--log", log, "--self-test"))
        one.wait(lambda: one.logged("self-test: "))
        [(at, said)] = one.logged("self-test: ")
        [(begun, _)] = one.logged("goes on while it tests itself")
        if state == "there":
            assert re.fullmatch(r"info self-test: passed in \d+ ms", said) and at - begun < 5_000
        else:
            assert said.startswith("error self-test: failed: ") and len(said) > 40
        if state == "silent":
            # It began long before that was known.
            assert at - begun > 4_000 and one.logged("wss: created")[0][0] - begun < 1_000
        one.end()
        assert log.read_text().splitlines() == one.log[-len(log.read_text().splitlines()) :]
        assert "self-test: " in log.read_text()
