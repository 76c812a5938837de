"""parlor tap: what it passes, shows, records, and makes go wrong."""

import contextlib
import json
import re
import signal
import socket
import ssl
import subprocess
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect
from websockets.sync.server import serve

import harness
from certificates import Authority
from harness import BINARY, HOST, PATIENCE, TEXT, Chat, Raw, clean_environment, frame, run_parlor


def eventually(look, what, seconds=PATIENCE):
    """What `look` gives, once that is something."""
    deadline = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < deadline, f"not within {seconds} s: {what() if callable(what) else what}"
        time.sleep(0.01)
    return found


class Tap:
    """`parlor tap`, which runs; its lines are read as they come. A server to `Raw`, `Chat` and the like."""

    tls = None

    def __init__(self, upstream, *arguments, env=None):
        command = [harness.parlor_binary(), "tap", "0", upstream, *map(str, arguments)]
        # A shell that runs the tests in the background has them, and what they start, ignore SIGINT.
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=clean_environment(**(env or {})),
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        self.lines, self.said = [], []
        for stream, to in ((self.process.stdout, self.lines), (self.process.stderr, self.said)):
            threading.Thread(target=self._read, args=(stream, to), daemon=True).start()
        listens = self.says(r"Listens at .*:(\d+), passes to")
        self.port = int(listens[1])

    @staticmethod
    def _read(stream, to):
        for line in stream:
            to.append(line.rstrip("\n"))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    def says(self, pattern):
        """What it says on standard error, once it is there."""
        found = eventually(lambda: next(filter(None, (re.search(pattern, line) for line in self.said)), None), pattern)
        return found

    def shows(self, pattern, count=1):
        """Waits for lines."""
        def found():
            lines = [line for line in list(self.lines) if re.search(pattern, line)]
            return lines if len(lines) >= count else None

        return eventually(found, lambda: f"{pattern}: {self.lines[-20:]}")

    def items(self, **members):
        """The objects of --json that have these members."""
        items = [json.loads(line) for line in list(self.lines)]
        return [item for item in items if all(item.get(name) == value for name, value in members.items())]

    def item(self, **members):
        return eventually(lambda: self.items(**members), lambda: f"{members}: {self.lines[-5:]}")[0]

    def url(self, user=None, **query):
        query = {"user": user, **query} if user is not None else query
        text = "&".join(f"{name}={value}" for name, value in query.items())
        return f"ws://{HOST}:{self.port}/ws" + (f"?{text}" if text else "")

    def connect(self, **how):
        how = {"compression": None, "max_size": None, "proxy": None, "ping_interval": None, "close_timeout": 1} | how
        return connect(f"ws://{HOST}:{self.port}/", **how)

    def memory(self):
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) * 1024

    def ends(self, number=signal.SIGINT):
        self.process.send_signal(number)
        return self.process.wait(PATIENCE)


@contextlib.contextmanager
def echo_server(**how):
    """Another server than parlor: that of the `websockets` package. Gives its URL."""

    def echo(websocket):
        with contextlib.suppress(ConnectionClosed):
            for message in websocket:
                websocket.send(message)

    how = {"max_size": None, "compression": None, "ping_interval": None, "close_timeout": 1} | how
    with serve(echo, HOST, 0, **how) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        scheme = "wss" if "ssl" in how else "ws"
        yield f"{scheme}://localhost:{server.socket.getsockname()[1]}"
        server.shutdown()
        thread.join()


@contextlib.contextmanager
def raw_server(handle):
    """Hands each connection's socket to a function, on a thread."""
    with socket.create_server((HOST, 0)) as listening:

        def accept():
            with contextlib.suppress(OSError):
                while True:
                    taken, _ = listening.accept()
                    threading.Thread(target=handle, args=(taken,), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield f"ws://{HOST}:{listening.getsockname()[1]}"
        listening.shutdown(socket.SHUT_RDWR)


def upstream_of(server):
    return f"ws://{HOST}:{server.port}"


@pytest.fixture(scope="module")
def echo():
    with echo_server() as url:
        yield url


def opened(tap, path="/ws"):
    return Raw(tap, path)


def read_all(of):
    of.settimeout(PATIENCE)
    parts = []
    while part := of.recv(1 << 16):
        parts.append(part)
    return b"".join(parts)


def test_a_chat_passes_and_each_frame_is_a_line(servers):
    server = servers.parlor()
    with Tap(upstream_of(server)) as tap, Chat(tap, "ada") as ada, Chat(tap, "bob") as bob:
        for one in (ada, bob):
            one.join("tea")
        ada.say("tea", "Good evening")
        assert bob.push("chat:message")["text"] == "Good evening"
        tap.shows(r"^ +\d+\.\d{3} #1 → GET /ws\?user=ada HTTP/1.1$")
        tap.shows(r"^ +\d+\.\d{3} #1 ← HTTP/1.1 101 Switching Protocols$")
        (line,) = tap.shows(r'^ +\d+\.\d{3} #1 → Text \d+ bytes \{"type": "chat:send",.*Good evening')
        assert len(line) < 250
        tap.shows(r"#2 ← Text \d+ bytes.*Good evening")
        ada.end()
        tap.shows(r"#1 → Close 2 bytes 1000 normal closure$")
        tap.shows(r"#1 · over, \d+ bytes → and \d+ bytes ←$")


def test_a_browsers_requests_pass_with_their_host_and_are_lines(servers):
    server = servers.parlor()
    with Tap(upstream_of(server)) as tap:
        page = urllib.request.urlopen(f"http://{HOST}:{tap.port}/").read()
        assert page == server.http("/")[2]
        tap.shows(r"#1 ← GET /: 200 OK, \d+ bytes$")
        # The page's own Origin is that of the tap, as its Host is.
        origin = {"Origin": f"http://{HOST}:{tap.port}"}
        with Chat(tap, "ada", headers=origin) as ada:
            ada.join("tea")
        with pytest.raises(Exception, match="403"):
            Chat(tap, "ada", headers={"Origin": "http://evil.example"})
        tap.shows(r"← GET /ws\?user=ada: 403")


def test_host_and_origin_may_name_the_upstream(servers):
    heads = []

    def answer(taken):
        heads.append(taken.recv(1 << 16))
        taken.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")

    with raw_server(answer) as url, Tap(url, "--host-from-upstream") as tap:
        own = f"{HOST}:{tap.port}"
        with socket.create_connection((HOST, tap.port)) as client:
            client.sendall(f"GET / HTTP/1.1\r\nHost: {own}\r\nOrigin: http://{own}\r\nA: b\r\n\r\n".encode())
            assert client.recv(100).startswith(b"HTTP/1.1 204")
        host = url.removeprefix("ws://")
        assert heads == [f"GET / HTTP/1.1\r\nHost: {host}\r\nOrigin: http://{host}\r\nA: b\r\n\r\n".encode()]


def test_ten_megabytes_pass_both_ways_unchanged(echo):
    with Tap(echo, "--json", "--only", "close") as tap, tap.connect() as client:
        payload = bytes(range(256)) * 4 * 1024
        sender = threading.Thread(target=lambda: [client.send(payload) for _ in range(10)])
        sender.start()
        for _ in range(10):
            assert client.recv(timeout=30) == payload
        sender.join()
        client.close()
        tap.item(kind="close", **{"from": "server"})


def test_bytes_that_break_the_protocol_pass_and_are_marked(servers):
    server = servers.parlor()
    with Tap(upstream_of(server), "--only", "close") as tap, Raw(tap, "/ws?user=ada") as client:
        client.read_message()
        client.send(b"\x81\x05Hello")
        client.expect_close(1002)
        (line,) = tap.shows("#1 !!")
        assert "client: violation: a client's frame is not masked" in line and "(RFC 6455 §5.1); close code 1002, protocol error" in line
        tap.shows(r"#1 ← Close \d+ bytes 1002 protocol error: a client's frame is not masked")


def test_bytes_beside_their_meaning_are_those_of_decode(echo):
    with Tap(echo, "--bytes") as tap, tap.connect() as client:
        client.send("Hello")
        assert client.recv() == "Hello"
        (line,) = tap.shows('payload "Hello".*§5.6, §8.1')
        at = tap.lines.index(line)
        shown = [re.split(r" {2,}", line.strip()) for line in tap.lines[at - 3 : at + 1]]
        assert shown[0][0].endswith("#1 ← Text 5 bytes Hello")
        assert [row[1:] for row in shown[1:]] == [
            ["81", "FIN=1 RSV=000 opcode=0x1 Text", "RFC 6455 §5.2"],
            ["05", "MASK=0 length=5", "RFC 6455 §5.2"],
            ["48656c6c6f", 'payload "Hello"', "RFC 6455 §5.6, §8.1"],
        ]


def test_filters_choose_what_is_shown(echo):
    with Tap(echo, "--json", "--only", "text,ping", "--from", "client", "--grep", "needle") as tap, tap.connect() as client:
        for text in ("hay", "x" * 1_000 + "needle", "a needle"):
            client.send(text)
        client.ping(b"needle")
        client.send(b"needle")
        tap.item(kind="ping")
        kinds = [(item["kind"], item["from"], item["message"]["bytes"]) for item in tap.items()]
        assert kinds == [("text", "client", 1_006), ("text", "client", 8), ("ping", "client", 6)]
    with Tap(echo, "--json", "--conn", 2) as tap, tap.connect() as one, tap.connect() as two:
        one.send("one")
        two.send("two")
        assert one.recv() == "one" and two.recv() == "two"
        assert tap.item(kind="text")["conn"] == 2 and not tap.items(conn=1)
        opening = tap.item(kind="opened")
        assert opening["n"] > 0 and opening["ms"] >= 0 and opening["text"].startswith("connected from 127.0.0.1:")


def test_json_has_frames_with_their_parts(echo):
    with Tap(echo, "--json") as tap, tap.connect() as client:
        client.send("Hé")
        client.recv()
        item = tap.item(kind="text", **{"from": "server"})
        del item["n"], item["ms"]
        start = item["parts"][0]["offset"]
        assert item == {
            "conn": 1,
            "kind": "text",
            "from": "server",
            "fin": True,
            "rsv": 0,
            "masked": False,
            "bytes": 3,
            "compressed": False,
            "message": {"kind": "text", "bytes": 3, "text": "Hé", "cut": False},
            "parts": [
                {"offset": start, "len": 1, "bytes": "81", "meaning": "FIN=1 RSV=000 opcode=0x1 Text", "clause": "RFC 6455 §5.2"},
                {"offset": start + 1, "len": 1, "bytes": "03", "meaning": "MASK=0 length=3", "clause": "RFC 6455 §5.2"},
                {"offset": start + 2, "len": 3, "bytes": "48c3a9", "meaning": 'payload "Hé"', "clause": "RFC 6455 §5.6, §8.1"},
            ],
        }


def test_compressed_messages_are_inflated_without_being_asked(servers):
    with echo_server(compression="deflate") as url:
        folder = servers.directory()
        with Tap(url, "--record", folder / "r", "--record-corpus", folder / "c") as tap, tap.connect(compression="deflate") as client:
            client.send("a" * 500)
            assert client.recv() == "a" * 500
            for arrow in "→←":
                tap.shows(rf"#1 {arrow} Text \d\d? bytes, inflated 500 bytes aaaa")
            client.close()
            tap.shows("over")
        listing = run_parlor("decode", "--from", "server", "--inflate", folder / "r" / "0001-server.bin").stdout
        assert f'Text "{"a" * 40}…" (500 bytes)' in listing
        for end, flags in (("client", b"\x02"), ("server", b"\x03")):
            stream = (folder / "r" / f"0001-{end}.bin").read_bytes()
            assert (folder / "c" / f"0001-{end}.bin").read_bytes() == flags + stream


def test_a_recording_is_what_decode_reads(servers):
    server = servers.parlor()
    folder = servers.directory() / "calls"
    for number in (1, 2):
        with Tap(upstream_of(server), "--record", folder) as tap:
            with Chat(tap, "ada") as ada:
                ada.join("tea")
            tap.shows("over")
        for end, words in (("client", "room:join"), ("server", "hello")):
            path = folder / f"000{number}-{end}.bin"
            assert path.stat().st_mode & 0o777 == 0o600
            decoded = json.loads(run_parlor("decode", "--json", "--from", end, path).stdout)
            assert decoded["violation"] is None and decoded["unfinished"] is None
            assert words in decoded["events"][0]["text"] and decoded["events"][-1]["event"] == "closed"
    assert folder.stat().st_mode & 0o777 == 0o700


def test_secrets_are_shown_only_if_that_is_wanted(servers):
    server = servers.parlor("--secret-file", servers.secret_file())
    token = harness.token("ada")
    for arguments, count in (((), 0), (("--json",), 0), (("--bytes",), 0), (("--secrets", "--json"), 3)):
        folder = servers.directory() / "calls"
        with Tap(upstream_of(server), "--record", folder, *arguments) as tap:
            with Raw(tap, f"/ws?token={token}") as client:
                client.read_message()
            with Raw(tap, "/ws", fields=[*harness.FIELDS, ("Authorization", f"Bearer {token}"), ("Cookie", "a=b")]) as client:
                client.read_message()
            with Raw(tap, "/ws") as client:
                client.send_frame(TEXT, json.dumps({"type": "auth", "id": 1, "payload": {"token": token}}).encode())
                client.read_message()
            tap.shows("over" if "--json" not in arguments else '"closed"', 3)
            shown = "\n".join(tap.lines)
            signature = token.split(".")[0]
            assert (signature in shown) == (count > 0), arguments
            assert ("(hidden)" in shown) == (count == 0)
            assert signature.encode().hex() not in shown or count
        assert token.encode() in (folder / "0001-client.bin").read_bytes()


def test_another_server_over_tls(servers):
    authority = Authority()
    folder = servers.directory()
    (folder / "ca.pem").write_bytes(authority.pem)
    certificate = authority.write(folder, "localhost")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    with echo_server(ssl=context) as url:
        with Tap(url, "--ca", folder / "ca.pem") as tap, tap.connect() as client:
            payload = bytes(range(256)) * 8 * 1024
            client.send(payload)
            assert client.recv(timeout=20) == payload
            client.close()
            tap.shows(r"#1 ← Close 2 bytes 1000")
            tap.shows("#1 · over")
        other = Authority()
        (folder / "other.pem").write_bytes(other.pem)
        with Tap(url, "--ca", folder / "other.pem") as tap:
            with pytest.raises(Exception, match="502"):
                tap.connect()
            tap.shows("#1 ← wss://localhost:.*is signed by nobody whom this program trusts")


def test_an_upstream_that_is_away_is_a_502_with_a_sentence():
    port = harness.free_port()
    with Tap(f"http://{HOST}:{port}") as tap:
        with pytest.raises(urllib.error.HTTPError) as error:
            urllib.request.urlopen(f"http://{HOST}:{tap.port}/")
        assert error.value.code == 502
        sentence = f"ws://{HOST}:{port}/: it cannot be reached: connection refused"
        assert error.value.read().decode() == f"parlor tap: {sentence}\n"
        tap.shows(f"#1 ← {re.escape(sentence)}$")
        tap.shows("#1 · over")
    with Tap("ws://nowhere.invalid") as tap:
        with pytest.raises(urllib.error.HTTPError):
            urllib.request.urlopen(f"http://{HOST}:{tap.port}/")
        tap.shows("#1 ← ws://nowhere.invalid/: the host's name has no address")


def test_half_closes_pass_as_half_closes(servers):
    def last_word(taken):
        got = read_all(taken)
        taken.sendall(b"got %d" % len(got))
        taken.close()

    with raw_server(last_word) as url, Tap(url) as tap:
        with socket.create_connection((HOST, tap.port)) as client:
            client.sendall(b"x" * 100_000)
            client.shutdown(socket.SHUT_WR)
            assert read_all(client) == b"got 100000"
        tap.shows("over")

    def first_word(taken):
        taken.shutdown(socket.SHUT_WR)
        heard.append(read_all(taken))
        taken.close()

    heard = []
    with raw_server(first_word) as url, Tap(url) as tap:
        with socket.create_connection((HOST, tap.port)) as client:
            assert read_all(client) == b""
            client.sendall(b"y" * 1_000_000)
        tap.shows("over")
        assert heard == [b"y" * 1_000_000]


def test_a_reset_passes_and_touches_no_other_connection(echo):
    with Tap(echo) as tap, tap.connect() as other:
        reset = opened(tap)
        reset.send_frame(TEXT, b"a")
        reset.expect(TEXT, b"a")
        reset.reset()
        tap.shows("#2 · over")
        other.send("still here")
        assert other.recv(timeout=PATIENCE) == "still here"


def test_a_slow_reader_holds_its_sender_up_and_the_memory_is_bounded():
    sent = []

    def flood(taken):
        taken.recv(1 << 16)
        taken.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        with contextlib.suppress(OSError):
            while True:
                sent.append(taken.send(b"z" * (1 << 16)))

    with raw_server(flood) as url, Tap(url) as tap, socket.create_connection((HOST, tap.port)) as client:
        before = tap.memory()
        client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        client.recv(1)

        def is_held_up():
            count = sum(sent)
            time.sleep(0.3)
            return sum(sent) == count

        eventually(is_held_up, "the sender waits", 10)
        assert sum(sent) < 32 << 20 and tap.memory() - before < 16 << 20
        # And it goes on.
        count, got = sum(sent), 0
        while sum(sent) == count or got < 8 << 20:
            got += len(client.recv(1 << 20))


class TestFaults:
    def test_a_cut_after_a_time_or_bytes(self, echo, servers):
        for arguments in (("--cut-after", "300ms"), ("--script", self.script(servers, "# later\nconn 1 at 0.3s cut"))):
            with Tap(echo, *arguments) as tap, tap.connect() as client:
                begun = time.monotonic()
                client.send("a")
                assert client.recv() == "a"
                with pytest.raises(ConnectionClosed) as closed:
                    client.recv(timeout=PATIENCE)
                assert closed.value.rcvd is None and time.monotonic() - begun < 2
                tap.shows("#1 ~~ (client|server): cut by the tap$")
                tap.shows("#1 · over")
        with Tap(echo, "--cut-after", "1k", "--faults-from", "server") as tap, opened(tap) as client:
            client.send_frame(BINARY, bytes(2_000))
            eventually(lambda: not client._fill(), "the end")
            assert len(client.buffer) < 1_024
            tap.shows("#1 ~~ server: cut by the tap after 1024 bytes")

    @staticmethod
    def script(servers, text):
        path = servers.directory() / "script"
        path.write_text(text)
        return path

    def test_delay_and_throttle_take_their_time(self, echo, servers):
        for arguments in (("--delay", "200"), ("--script", self.script(servers, "from client delay 200\nfrom server delay 200"))):
            with Tap(echo, *arguments) as tap, tap.connect() as client:
                begun = time.monotonic()
                client.send("a")
                assert client.recv() == "a"
                assert 0.4 <= time.monotonic() - begun < 2
                tap.shows("~~ client: held by the tap for 200 ms")
        with Tap(echo, "--throttle", "20k", "--faults-from", "server") as tap, tap.connect() as client:
            begun = time.monotonic()
            client.send(bytes(20_000))
            assert client.recv() == bytes(20_000)
            assert 0.8 <= time.monotonic() - begun < 3
            tap.shows("~~ server: throttled by the tap to 20480 bytes a second")

    def test_corruption_is_repeated_by_its_seed(self):
        got = []

        def hear(taken):
            with taken:
                got.append(read_all(taken))

        def run(*arguments):
            def answer(taken):
                with taken:
                    taken.recv(1 << 16)
                    taken.sendall(b"HTTP/1.1 101 Switching Protocols\r\n\r\n" + frame(BINARY, bytes(10_000), key=None))

            with raw_server(answer) as url, Tap(url, "--corrupt", "1", *arguments) as tap:
                seed = tap.says(r"^Seed (\d+)$")[1]
                with socket.create_connection((HOST, tap.port)) as client:
                    client.sendall(b"GET / HTTP/1.1\r\nUpgrade: websocket\r\n\r\n")
                    answered = read_all(client)
                tap.shows("~~ server: bit [0-7] flipped by the tap, \\d+ bytes behind the handshake")
                return seed, answered

        seed, first = run()
        assert run("--seed", seed)[1] == first
        frames = first.partition(b"\r\n\r\n")[2]
        clean = frame(BINARY, bytes(10_000), key=None)
        wrong = [a ^ b for a, b in zip(frames, clean, strict=True) if a != b]
        assert 9 <= len(wrong) <= 10 and all(one.bit_count() == 1 for one in wrong)

    def test_half_open_passes_nothing_and_closes_nothing(self, echo):
        with Tap(echo, "--half-open", "300ms") as tap, opened(tap) as client:
            client.send_frame(TEXT, b"before")
            client.expect(TEXT, b"before")
            time.sleep(0.4)
            client.send_frame(TEXT, b"after")
            client.expect_nothing(0.4)
            tap.shows("~~ client: half-open by the tap: nothing passes any more")
            client.end()
            time.sleep(0.2)
            assert not [line for line in tap.lines if "over" in line]

    def test_connections_overtake_each_other(self):
        heard = []

        def hear(taken):
            with contextlib.suppress(OSError):
                while got := taken.recv(1 << 16):
                    heard.append(got)

        with raw_server(hear) as url, Tap(url, "--reorder") as tap:
            with socket.create_connection((HOST, tap.port)) as one, socket.create_connection((HOST, tap.port)) as two:
                eventually(lambda: len(tap.lines) >= 2, "both are there")
                one.sendall(b"GET /1")
                time.sleep(0.03)
                two.sendall(b"GET /2")
                eventually(lambda: len(heard) == 2, "both have come")
                assert heard == [b"GET /2", b"GET /1"]
                tap.shows("#1 ~~ client: held by the tap until #2 had passed")
                one.sendall(b" HTTP/1.1")
                eventually(lambda: len(heard) == 3, "nothing waits for ever")

    def test_a_script_with_a_mistake_names_its_line(self, servers):
        path = self.script(servers, "at 2s cut\nexplode\n")
        done = run_parlor("tap", "0", "ws://localhost:1", "--script", path)
        assert done.returncode == 2 and "line 2: \"explode\" is no fault; there are cut," in done.stderr


def test_a_wrong_command_line_is_status_2():
    for arguments, words in [
        (("0", "localhost:1"), "does not begin with ws://"),
        (("0", "ws://localhost:1/ws"), "leave the path out"),
        (("0", "ws://localhost:1", "--ca", "/nowhere"), "--ca is for wss://"),
        (("0", "wss://localhost:1", "--ca", "/nowhere"), "--ca /nowhere"),
        (("x", "ws://localhost:1"), "PORT or HOST:PORT"),
        (("0", "ws://localhost:1", "--only", "frames"), "invalid value 'frames'"),
        (("0", "ws://localhost:1", "--cut-after", "soon"), "neither a time"),
        (("0", "ws://localhost:1", "--corrupt", "0"), "1 or more kilobytes"),
    ]:
        done = run_parlor("tap", *arguments)
        assert done.returncode == 2 and words in done.stderr and not done.stdout, (arguments, done)
    with socket.create_server((HOST, 0)) as taken:
        done = run_parlor("tap", taken.getsockname()[1], "ws://localhost:1")
        assert done.returncode == 1 and "cannot listen at" in done.stderr


def test_it_ends_when_it_is_interrupted_and_when_nobody_reads(echo):
    for number in (signal.SIGINT, signal.SIGTERM):
        with Tap(echo) as tap, tap.connect() as client:
            client.send("a")
            assert client.recv() == "a"
            assert tap.ends(number) == 0
            with pytest.raises(ConnectionClosed):
                client.recv(timeout=PATIENCE)
    command = f"{harness.parlor_binary()} tap 0 {echo} | head -1"
    with subprocess.Popen(["sh", "-c", command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=clean_environment()) as piped:
        port = int(re.search(r":(\d+), passes", piped.stderr.readline())[1])
        with contextlib.suppress(Exception), connect(f"ws://{HOST}:{port}/", proxy=None, close_timeout=1) as client:
            client.send("a")
            client.recv(timeout=PATIENCE)
        assert "#1 · connected from" in piped.stdout.read()
        assert piped.wait(PATIENCE) == 0


class TestPage:
    @staticmethod
    def at(tap):
        return tap.says(r"^Page: http://127.0.0.1:(\d+)/$")[1]

    @staticmethod
    def get(port, path, host=None, method="GET", fields=()):
        with socket.create_connection((HOST, int(port)), PATIENCE) as client:
            lines = [f"{method} {path} HTTP/1.1", f"Host: {host or f'{HOST}:{port}'}", *fields]
            client.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
            head, _, body = read_all(client).partition(b"\r\n\r\n")
            return head.decode(), body

    def test_it_is_safe_and_for_this_machine(self, echo):
        with Tap(echo, "--web", 0) as tap:
            port = self.at(tap)
            for path, kind in (("/", "text/html"), ("/tap.js", "text/javascript"), ("/tap.css", "text/css")):
                head, body = self.get(port, path)
                assert head.startswith("HTTP/1.1 200 OK") and f"Content-Type: {kind}" in head and body
                assert "Content-Security-Policy: default-src 'none'; script-src 'self';" in head and "nosniff" in head
            for host in ("evil.example", f"evil.example:{port}", HOST, "10.0.0.1:" + port):
                assert self.get(port, "/events", host)[0].startswith("HTTP/1.1 403"), host
            assert self.get(port, "/", f"localhost:{port}")[0].startswith("HTTP/1.1 200")
            assert self.get(port, "/nothing")[0].startswith("HTTP/1.1 404")
            assert self.get(port, "/", method="POST")[0].startswith("HTTP/1.1 405")

    def test_it_is_told_what_passed_before_and_what_passes(self, echo):
        with Tap(echo, "--web", 0) as tap, tap.connect() as client:
            client.send("before")
            assert client.recv() == "before"
            port = self.at(tap)

            def events(last=None):
                fields = [f"Last-Event-ID: {last}"] if last else []
                stream = socket.create_connection((HOST, int(port)), PATIENCE)
                stream.sendall("\r\n".join([f"GET /events HTTP/1.1\r\nHost: {HOST}:{port}", *fields, "\r\n"]).encode())
                id = None
                for line in stream.makefile():
                    if line.startswith("id: "):
                        id = line[4:].strip()
                    if line.startswith("data: "):
                        yield id, json.loads(line[6:])

            def until(stream, text):
                for id, item in stream:
                    if item.get("message", {}).get("text") == text and item["from"] == "server":
                        return id

            stream = events()
            id = until(stream, "before")
            client.send("then")
            until(stream, "then")
            assert next(events(id))[1]["message"]["text"] == "then"
            assert next(events("1-9999"))[1]["kind"] == "opened", "an id of another tap"


def test_a_tap_ends_although_nobody_reads_its_output(echo):
    command = [harness.parlor_binary(), "tap", "0", echo]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        port = re.search(r":(\d+), passes", process.stderr.readline())[1]
        with connect(f"ws://{HOST}:{port}/") as client, contextlib.suppress(TimeoutError, ConnectionClosed):
            for _ in range(5_000):
                client.send("x" * 150)
                client.recv(timeout=2)
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 0
    finally:
        process.kill()
        process.communicate()
