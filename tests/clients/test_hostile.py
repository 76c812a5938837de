"""Peers that mean harm: what each costs the server in memory and in work, and what it is told.

What is asserted of memory is the high-water mark of the process (VmHWM): at most the connections
times what their limits allow them, and 8 MiB. What is asserted of work are instructions, which
valgrind counts: twice the bytes cost at most 2.2 times as many.
"""

import json
import re
import selectors
import signal
import socket
import struct
import threading
import time
import zlib

import pytest

import harness
from harness import (
    BINARY, CLOSE, CONTINUATION, FIELDS, HOST, PING, PONG, TEXT, TLS_EVERYWHERE, Raw, close_body,
    frame, header, request_head,
)  # fmt: skip

KIB, MIB = 1 << 10, 1 << 20
SLACK = 8 * MIB
#: The chat server's limits of a connection: message, outbox, what is read and not handled.
CHAT_EACH = 64 * KIB + MIB + 256 * KIB
#: The echo example's.
ECHO_EACH = 16 * MIB + MIB + 256 * KIB
HEAD_BYTES = 8 * KIB


class Growth:
    """The growth of a server's high-water mark while something is done."""

    def __init__(self, server, connections, each):
        self.server, self.bound = server, connections * each + SLACK

    def __enter__(self):
        self.before = self.server.memory("VmHWM")
        return self

    def __exit__(self, failure, *_):
        if failure is None:
            grown = self.server.memory("VmHWM") - self.before
            assert grown <= self.bound, f"{grown:,} bytes, and {self.bound:,} are allowed"


def offering(server, path="/"):
    """A connection that may send compressed messages, with its window taken over."""
    fields = [*FIELDS, ("Sec-WebSocket-Extensions", "permessage-deflate")]
    raw = Raw(server, path, fields)
    return raw


def discard_in_background(raw):
    """Reads whatever comes until the end."""

    def read():
        try:
            while raw.socket.recv(1 << 20):
                pass
        except OSError:
            pass

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    return thread


@pytest.fixture(scope="module")
def echo(module_servers):
    return module_servers.echo()


class TestHandshake:
    @pytest.mark.parametrize(
        "name, status, request_bytes",
        [
            ("length_and_chunked", 400, [("Content-Length", "4"), ("Transfer-Encoding", "chunked")]),
            ("two_lengths", 400, [("Content-Length", "0"), ("Content-Length", "5")]),
            ("a_length_list", 400, [("Content-Length", "0, 0")]),
            ("a_signed_length", 400, [("Content-Length", "+0")]),
            ("chunked_in_disguise", 400, [("Transfer-Encoding", "xchunked")]),
            ("a_tab_before_chunked", 400, [("Transfer-Encoding", "\tchunked")]),
            ("two_hosts", 400, [("Host", HOST)]),
            ("two_keys", 400, [FIELDS[3]]),
            ("two_versions", 400, [FIELDS[4]]),
            ("64_kib_of_fields", 431, [(f"X-{n}", "x" * 1_000) for n in range(64)]),
            ("64_kib_in_a_field", 431, [("X", "x" * 64 * KIB)]),
            ("thousands_of_fields", 431, [("X", "")] * 16_000),
        ],
    )  # fmt: skip
    def test_what_two_readers_could_read_in_two_ways_is_refused(
        self, echo, name, status, request_bytes
    ):
        with Raw(echo, open=False) as raw, Growth(echo, 1, HEAD_BYTES):
            try:
                # What would be a second request, to a reader who saw no body.
                raw.send(request_head(fields=[*FIELDS, *request_bytes]), b"0\r\n\r\n", request_head())
            except OSError:
                pass  # It was refused before it had said all.
            assert raw.read_answer().status == status

    def test_the_absolute_form_is_read_and_must_agree_with_host(self, servers):
        echo = servers.echo()
        for path, status in (
            (f"http://{HOST}/", 101),
            (f"HTTP://{HOST}", 101),
            ("http://elsewhere/", 400),
            (f"ftp://{HOST}/", 400),
            (f"http://{HOST}@elsewhere/", 400),
            ("*", 400),
            (f"{HOST}:80", 400),
        ):
            with Raw(echo, open=False) as raw:
                raw.send(request_head(path))
                assert raw.read_head().status == status, path

    def test_a_second_request_behind_the_head_is_frames_and_broken_ones(self, servers):
        with Raw(servers.echo(), open=False) as raw:
            raw.send(request_head(), request_head())
            assert raw.read_head().status == 101
            raw.expect_close(1002)

    @pytest.mark.seconds(60)
    def test_a_thousand_half_open_sockets_cost_little_and_end_in_time(self, servers):
        """Each says nothing, half a head, or a byte now and then."""
        count = 1_000
        # All of them are open at once: a thousand handshakes of TLS take seconds.
        timeout_ms = 10_000 if TLS_EVERYWHERE else 2_000
        server = servers.parlor(set={"handshake.timeout_ms": timeout_ms})
        with Growth(server, count, HEAD_BYTES):
            opened = []
            try:
                for number in range(count):
                    opened.append(raw := Raw(server, open=False))
                    if number % 3:
                        raw.send(request_head("/ws?user=ada")[: 20 + number % 100])
                start = time.monotonic()
                with Raw(server, "/ws?user=ada") as other:
                    assert json.loads(other.read_message().payload)["type"] == "hello"
                assert time.monotonic() - start < timeout_ms / 2_000, "another one waits for them"
                for number, raw in enumerate(opened):
                    if number % 3 == 2:
                        try:
                            raw.send(b"x")
                        except OSError:
                            pass
                for number, raw in enumerate(opened):
                    raw.socket.settimeout(20)
                    try:
                        said = raw.socket.recv(100)
                    except ConnectionResetError:
                        said = b""
                    # Who said nothing is told nothing.
                    assert said.startswith(b"HTTP/1.1 408 ") if number % 3 else said == b"", number
                assert time.monotonic() - start < timeout_ms / 1_000 + 8
            finally:
                for raw in opened:
                    raw.end()


class TestFrames:
    @pytest.mark.parametrize("payload", [b"", b"x"], ids=["empty", "of_one_byte"])
    def test_fragments_without_end_are_stopped_at_their_limit(self, echo, payload):
        """A million, and 131,072 are allowed."""
        with Raw(echo) as raw, Growth(echo, 1, ECHO_EACH):
            discarded = frame(CONTINUATION, payload, fin=False) * 10_000
            raw.send_frame(TEXT, payload, fin=False)
            try:
                for _ in range(100):
                    raw.send(discarded)
            except OSError:
                pass  # What was still on its way was thrown away up to a limit.
            raw.expect_close(1009)

    @pytest.mark.parametrize("opcode", [PING, PONG], ids=["ping", "pong"])
    def test_a_flood_of_control_frames_by_one_who_does_not_read_costs_an_outbox(self, echo, opcode):
        with Raw(echo, receive_buffer=4_096) as raw, Raw(echo) as other, Growth(echo, 2, MIB):
            flood = frame(opcode, b"x" * 125) * 1_000
            raw.socket.settimeout(1)
            for _ in range(100):
                try:
                    raw.send(flood)
                except TimeoutError:
                    break
                other.expect_echo(TEXT, "and me?")

    def test_a_flood_of_messages_by_one_who_does_not_read_costs_an_outbox(self, echo):
        with Raw(echo, receive_buffer=4_096) as raw, Raw(echo) as other, Growth(echo, 2, ECHO_EACH):
            raw.socket.settimeout(1)
            with pytest.raises(TimeoutError):
                while True:
                    raw.send(frame(BINARY, bytes(10_000)) * 10)
            other.expect_echo(TEXT, "and me?")

    def test_both_may_close_at_once(self, servers):
        """The server's Close, for its end, crosses the client's."""
        server = servers.parlor()
        opened = [Raw(server, "/ws?user=ada") for _ in range(20)]
        try:
            for raw in opened:
                raw.read_message()
            server.signal(signal.SIGINT)
            for raw in opened:
                raw.send_frame(CLOSE, close_body(1000))
            for raw in opened:
                while (got := raw.read_frame()).opcode != CLOSE:
                    pass
                assert got.code in (1000, 1001)
                raw.expect_end()
            assert server.process.wait(5) == 0
        finally:
            for raw in opened:
                raw.end()

    def test_a_crowd_that_sends_parts_and_goes_leaves_nothing(self, echo):
        """Parts of heads, frames and messages, ended by FIN, by RST and by half."""
        with Growth(echo, 100, 64 * KIB):
            for round_ in range(10):
                crowd = [Raw(echo, open=False) for _ in range(100)]
                for number, raw in enumerate(crowd):
                    stream = request_head() + frame(TEXT, "x" * 1_000, fin=False) + frame(PING, b"p")
                    raw.send(stream[: (number * 13 + round_ * 7) % len(stream) + 1])
                for number, raw in enumerate(crowd):
                    (raw.reset, raw.end, lambda: raw.socket.shutdown(socket.SHUT_WR))[number % 3]()
                    raw.end()
            with Raw(echo) as raw:
                raw.expect_echo(TEXT, "still here")


def test_a_message_is_not_kept_once_its_answer_waits(servers):
    """Clients that send one message of 16 MiB and do not read the answer: each costs its answer."""
    count, size = 8, 16 * MIB
    server = servers.echo()
    before = server.memory("VmRSS")
    crowd = [Raw(server, receive_buffer=4_096) for _ in range(count)]
    try:
        message = frame(BINARY, bytes(size), key=b"\0\0\0\0")
        for raw in crowd:
            raw.send(message)
        deadline = time.monotonic() + 20
        # Two more than there are may be in the allocator's hands.
        most = (count + 2) * (size + MIB) + 8 * MIB
        while (grown := server.memory("VmRSS") - before) < count * (size - 8 * MIB):
            assert time.monotonic() < deadline, f"{grown:,} bytes: no answer waits"
            time.sleep(0.05)
        time.sleep(0.5)
        grown = server.memory("VmRSS") - before
        assert grown <= most, f"{grown:,} bytes, not {most:,}"
    finally:
        for raw in crowd:
            raw.end()


@pytest.mark.seconds(90)
def test_readers_who_never_read_cost_an_outbox_each_and_the_others_get_everything(servers):
    """20 of 1,000 connections to `examples/fan_out` never read, while others send to all as fast as
    they can: 5 MiB for each. Nobody paces them, and whoever reads has everything."""
    count, stalled_count, senders_count, messages, size = 1_000, 20, 4, 320, 16 * KIB
    server = servers.fan_out()
    stalled = [Raw(server, receive_buffer=4_096) for _ in range(stalled_count)]
    readers = [Raw(server) for _ in range(count - stalled_count)]
    try:
        # Each message is full of its number, and each sender's numbers rise.
        payloads = [struct.pack("!I", n) * (size // 4) for n in range(messages)]
        pending = {
            number: b"".join(frame(BINARY, payload) for payload in payloads[number::senders_count])
            for number in range(senders_count)
        }
        each = messages * (len(header(BINARY, size, key=None)) + size)
        order = bytearray()
        places = dict.fromkeys(range(len(readers)), 0)
        waiting = selectors.DefaultSelector()
        for number, raw in enumerate(readers):
            raw.socket.setblocking(False)
            writes = selectors.EVENT_WRITE if number in pending else 0
            waiting.register(raw.socket, selectors.EVENT_READ | writes, number)
        before = server.memory("VmHWM")
        deadline = time.monotonic() + 90
        behind = set(places)
        while behind:
            assert time.monotonic() < deadline, f"{len(behind)} have not got everything"
            for key, mask in waiting.select(1):
                number = key.data
                if mask & selectors.EVENT_WRITE:
                    pending[number] = pending[number][key.fileobj.send(pending[number]) :]
                    if not pending[number]:
                        waiting.modify(key.fileobj, selectors.EVENT_READ, number)
                if not mask & selectors.EVENT_READ:
                    continue
                piece = key.fileobj.recv(1 << 18)
                place = places[number]
                assert piece, f"{number} was ended at {place} bytes"
                # Whoever is ahead of all others says what the order is.
                order += piece[max(len(order) - place, 0) :]
                assert piece == order[place : place + len(piece)], f"{number} got another order"
                places[number] = place + len(piece)
                if places[number] >= each:
                    behind.discard(number)
        grown = server.memory("VmHWM") - before
        assert grown <= stalled_count * MIB, f"{grown:,} bytes for {stalled_count} who do not read"
        step, head = each // messages, each // messages - size
        seen = [struct.unpack_from("!I", order, n * step + head)[0] for n in range(messages)]
        assert sorted(seen) == list(range(messages))
        for number in range(senders_count):
            own = [n for n in seen if n % senders_count == number]
            assert own == sorted(own), "a sender's messages keep their order"
    finally:
        for raw in stalled + readers:
            raw.end()


# --- work ---------------------------------------------------------------------------------------


def deflated(message, codec=None):
    codec = codec or zlib.compressobj(6, zlib.DEFLATED, -15)
    return (codec.compress(message) + codec.flush(zlib.Z_SYNC_FLUSH))[:-4]


def full_window():
    """A message that fills a window, and a codec that knows it."""
    codec = zlib.compressobj(1, zlib.DEFLATED, -15)
    noise = bytes((n * n * 31 + n * 7) >> 3 & 0xFF for n in range(32 * KIB))
    return frame(BINARY, deflated(noise, codec), rsv=4), codec


def of_full_window(count):
    first, codec = full_window()
    return first + frame(BINARY, deflated(b"again", codec), rsv=4) * count


def fragments(payload):
    def stream(count):
        begin = frame(TEXT, "", fin=False)
        return begin + frame(CONTINUATION, payload, fin=False) * count + frame(CONTINUATION, b"")

    return stream


#: For each attack a size, and the stream of that size, behind the opening handshake.
STREAMS = {
    "small_messages": (5_000, lambda n: frame(TEXT, "x") * n),
    "messages": (500, lambda n: frame(TEXT, "é" * 500) * n),
    "one_large_message": (2 * MIB, lambda n: frame(BINARY, bytes(n))),
    "one_large_text": (MIB, lambda n: frame(TEXT, "aé€😀" * (n // 10))),
    "empty_fragments": (20_000, fragments(b"")),
    "fragments_of_one_byte": (20_000, fragments(b"x")),
    "fragments_within_characters": (5_000, lambda n: fragments(b"\xa9")(0)[:6] + b"".join(
        frame(CONTINUATION, piece, fin=False) for piece in (b"\xc3", b"\xa9")) * n
        + frame(CONTINUATION, b"")),
    "pings": (5_000, lambda n: frame(PING, b"x" * 125) * n),
    "pongs": (10_000, lambda n: frame(PONG, b"x" * 125) * n),
    "pings_within_a_message": (2_000, lambda n: frame(TEXT, "a", fin=False)
        + (frame(PING, b"") + frame(CONTINUATION, b"a", fin=False)) * n + frame(CONTINUATION)),
    "compressed_small_messages": (2_000, lambda n: frame(TEXT, deflated(b"x"), rsv=4) * n),
    "compressed_with_a_full_window": (2_000, of_full_window),
    "bombs": (20, lambda n: frame(BINARY, deflated(bytes(MIB)), rsv=4) * n),
    "final_blocks": (200, lambda n: frame(BINARY, b"\x03\x00" * 64 + b"\x00", rsv=4) * n),
    "final_blocks_with_a_full_window": (50, lambda n: full_window()[0]
        + frame(BINARY, b"\x03\x00" * 64 + b"\x00", rsv=4) * n),
    "compressed_fragments": (20_000, lambda n: frame(TEXT, b"", fin=False, rsv=4)
        + frame(CONTINUATION, b"", fin=False) * n + frame(CONTINUATION, b"\0")),
}  # fmt: skip

#: For each attack a size, and the header fields of that size, sent on a hundred connections.
HEADS = {
    "fields": (25, lambda n: [(f"X-{k}", "x" * 50) for k in range(n)]),
    "a_long_field": (3_000, lambda n: [("X", "x" * n)]),
    "offers": (120, lambda n: [("Sec-WebSocket-Extensions", ", ".join(["permessage-deflate; x"] * n))]),
    "parameters": (700, lambda n: [("Sec-WebSocket-Extensions", "x" + "; y" * n)]),
    "quoted": (300, lambda n: [("Sec-WebSocket-Extensions", 'x; y="' + "\\a" * n + '"')]),
    "protocols": (32, lambda n: [("Sec-WebSocket-Protocol", ", ".join(f"p{k}" * 20 for k in range(n)))]),
    "lists": (1_500, lambda n: [("Connection", "a," * n + "upgrade")]),
}  # fmt: skip


def member_names(count):
    return "{" + ",".join(f'"m{n}":0' for n in range(count)) + "}"


#: For each attack a size, and the chat request of that size, sent a few times.
REQUESTS = {
    "members": (1_500, lambda n: '{"type":"ping","id":"1","payload":' + member_names(n) + "}"),
    "members_of_the_envelope": (1_500, lambda n: '{"type":"ping","id":"1",' + member_names(n)[1:]),
    "an_array": (10_000, lambda n: '{"type":"ping","payload":{"a":[' + "0," * n + "0]}}"),
    "escapes": (4_000, lambda n: '{"type":"ping","payload":{"a":"' + "\\u00e9" * n + '"}}'),
    "nests": (600, lambda n: '{"type":"ping","payload":{"a":[' + ("[" * 25 + "]" * 25 + ",") * n + "0]}}"),
}  # fmt: skip


class Counted:
    """A server under valgrind, which counts its instructions."""

    def __init__(self, servers, start):
        valgrind = harness.tool("valgrind", "apt-get install valgrind")
        self.server = start(
            [valgrind, "--tool=callgrind", "--callgrind-out-file=/dev/null"]
        )

    def finish(self):
        self.server.signal(signal.SIGTERM)
        self.server.process.wait(10)
        counted = re.search(r"Collected : (\d+)", self.server.output())
        assert counted, self.server.output()
        return int(counted[1])


def assert_linear(counts, name):
    """`counts` are the instructions without the attack, with it, and with twice as much of it."""
    nothing, once, twice = counts
    assert once - nothing > 200_000, f"{name}: {once - nothing} instructions are too few to compare"
    ratio = (twice - nothing) / (once - nothing)
    print(f"{name}: {once - nothing:,} instructions, {ratio:.2f} times as many for twice the bytes")
    assert ratio <= 2.2, f"{name}: twice the bytes cost {ratio:.2f} times the instructions"


@pytest.mark.seconds(120)
class TestWork:
    #: Instructions of each kind of server to which nothing is done.
    idle = {}

    def echo_count(self, stream):
        """Instructions of an echo server that is sent the stream and is asked whether it is done."""
        with harness.Servers() as servers:
            counted = Counted(servers, lambda wrapper: servers.echo(wrapper))
            raw = offering(counted.server)
            with raw:
                raw.socket.settimeout(60)
                done = []

                def read():
                    while True:
                        got = raw.read_frame()
                        if got is None or got.opcode == CLOSE or got.payload == b"done?":
                            done.append(got)
                            return

                reader = threading.Thread(target=read)
                reader.start()
                raw.send(stream, frame(TEXT, "done?"))
                reader.join(60)
                assert done and done[0] is not None and done[0].opcode == TEXT, done
            return counted.finish()

    @pytest.mark.parametrize("name", STREAMS)
    def test_twice_the_frames_are_twice_the_work(self, name):
        if "echo" not in self.idle:
            self.idle["echo"] = self.echo_count(b"")
        size, stream = STREAMS[name]

        def count():
            return [self.echo_count(stream(n)) for n in (size, 2 * size)]

        once, twice = count()
        # How much is answered at once is a matter of who runs when: on a busy machine a single
        # count may be lucky or not, and the middle of three is what it costs.
        if twice - self.idle["echo"] > 2.2 * (once - self.idle["echo"]):
            counts = [(once, twice), count(), count()]
            once, twice = (sorted(column)[1] for column in zip(*counts, strict=True))
        assert_linear([self.idle["echo"], once, twice], name)

    def heads_count(self, fields):
        with harness.Servers() as servers:
            counted = Counted(servers, lambda wrapper: servers.echo(wrapper))
            for _ in range(100):
                with Raw(counted.server, open=False) as raw:
                    raw.socket.settimeout(30)
                    raw.send(request_head(fields=[*FIELDS, *fields]))
                    assert raw.read_head().status == 101
            return counted.finish()

    @pytest.mark.parametrize("name", HEADS)
    def test_twice_the_head_is_twice_the_work(self, name):
        if "heads" not in self.idle:
            self.idle["heads"] = self.heads_count([])
        size, fields = HEADS[name]
        counts = [self.idle["heads"], *(self.heads_count(fields(n)) for n in (size, 2 * size))]
        assert_linear(counts, name)

    def requests_count(self, text):
        with harness.Servers() as servers:
            counted = Counted(servers, lambda wrapper: servers.parlor(wrapper=wrapper))
            with Raw(counted.server, "/ws?user=ada") as raw:
                raw.socket.settimeout(30)
                for _ in range(20 if text else 0):
                    raw.send_frame(TEXT, text)
                raw.send_frame(TEXT, '{"type":"ping","id":"done?"}')
                while json.loads(raw.read_message().payload).get("id") != "done?":
                    pass
            return counted.finish()

    @pytest.mark.parametrize("name", REQUESTS)
    def test_twice_the_json_is_twice_the_work(self, name):
        if "requests" not in self.idle:
            self.idle["requests"] = self.requests_count("")
        size, request = REQUESTS[name]
        counts = [self.idle["requests"], *(self.requests_count(request(n)) for n in (size, 2 * size))]
        assert_linear(counts, name)
