"""permessage-deflate (RFC 7692) on the wire: what is agreed upon, what is sent, what is refused."""

import json
import random
import time
import zlib

import pytest
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory
from websockets.sync.client import connect

import harness
from harness import BINARY, CLOSE, CONTINUATION, FIELDS, PING, PONG, TEXT, Raw, frame

#: RSV1, as `frame(rsv=…)` wants it.
COMPRESSED = 4
MIB = 1 << 20
EACH_ALONE = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"


@pytest.fixture(scope="module")
def echo(module_servers):
    return module_servers.echo()


def offering(server, *offers, path="/"):
    """A connection, and what the server answered to the offers."""
    fields = [*FIELDS, *(("Sec-WebSocket-Extensions", offer) for offer in offers)]
    raw = Raw(server, open=False)
    raw.send(harness.request_head(path, fields))
    answer = raw.read_head()
    assert answer.status == 101, answer
    return raw, answer.fields.get("sec-websocket-extensions")


class Deflater:
    """A sender's side by Python's zlib."""

    def __init__(self, bits=15, level=6, takes_over=False):
        self.bits, self.level, self.takes_over = bits, level, takes_over
        self.codec = None

    def deflate(self, message):
        if self.codec is None or not self.takes_over:
            self.codec = zlib.compressobj(self.level, zlib.DEFLATED, -self.bits)
        data = self.codec.compress(message) + self.codec.flush(zlib.Z_SYNC_FLUSH)
        assert data.endswith(b"\0\0\xff\xff")
        return data[:-4]


class Inflater:
    """A receiver's side by Python's zlib, with just the window that was agreed upon."""

    def __init__(self, bits=15, takes_over=False):
        self.bits, self.takes_over = bits, takes_over
        self.codec = None

    def inflate(self, payload):
        if self.codec is None or not self.takes_over:
            self.codec = zlib.decompressobj(-self.bits)
        return self.codec.decompress(payload + b"\0\0\xff\xff")


def read_inflated(raw, inflater):
    got = raw.read_frame()
    assert got is not None and got.fin, got
    return got.opcode, inflater.inflate(got.payload) if got.rsv == COMPRESSED else got.payload


def messages(seed):
    chance = random.Random(seed)
    words = [chance.randbytes(chance.randrange(1, 12)) for _ in range(50)]
    for size in (0, 1, 20, 1_023, 1_024, 5_000, 70_000, 300_000):
        text = b" ".join(chance.choices(words, k=size))[:size]
        yield text.ljust(size, b"x")
        yield chance.randbytes(size)


class TestOffers:
    @pytest.mark.parametrize(
        "offers, answer",
        [
            (["permessage-deflate"], "permessage-deflate"),
            (
                ["permessage-deflate; server_no_context_takeover; client_no_context_takeover"],
                EACH_ALONE,
            ),
            (["permessage-deflate; client_max_window_bits"], "permessage-deflate"),
            (
                ["permessage-deflate;server_max_window_bits=9 ; client_max_window_bits = 8"],
                "permessage-deflate; server_max_window_bits=9; client_max_window_bits=8",
            ),
            (['permessage-deflate; server_max_window_bits="12"'],
             "permessage-deflate; server_max_window_bits=12"),
            # Over several lines, others among them; the first that can be taken.
            (
                ["x-webkit-deflate-frame, permessage-deflate; server_max_window_bits=8",
                 "permessage-deflate; unknown, permessage-deflate; server_max_window_bits=10"],
                "permessage-deflate; server_max_window_bits=10",
            ),
            # RFC 7692 §7.1: declined, and so no extension at all.
            (["permessage-deflate; server_max_window_bits=8"], None),
            (["permessage-deflate; server_max_window_bits=16"], None),
            (["permessage-deflate; server_max_window_bits"], None),
            (["permessage-deflate; server_max_window_bits=09"], None),
            (["permessage-deflate; client_max_window_bits=1"], None),
            (["permessage-deflate; server_no_context_takeover=true"], None),
            (["permessage-deflate; client_no_context_takeover; client_no_context_takeover"], None),
            (["permessage-deflate; foo"], None),
            (["permessage-snappy"], None),
        ],
    )  # fmt: skip
    def test_an_offer_is_answered_as_it_may_be(self, echo, offers, answer):
        raw, got = offering(echo, *offers)
        with raw:
            assert got == answer
            raw.expect_echo(TEXT, "plain messages are taken in any case")

    @pytest.mark.parametrize(
        "field", ["", ";", "permessage-deflate;", "permessage-deflate; =1", "a b", 'a; b="c d"', "é"]
    )
    def test_a_field_that_is_no_list_of_extensions_is_refused(self, echo, field):
        with Raw(echo, open=False) as raw:
            raw.send(harness.request_head("/", [*FIELDS, ("Sec-WebSocket-Extensions", field)]))
            assert raw.read_answer().status == 400

    def test_a_chat_server_compresses_only_if_it_is_told_to(self, servers):
        raw, got = offering(servers.parlor(), "permessage-deflate", path="/ws?user=ada")
        with raw:
            assert got is None
            hello = raw.read_message()
            assert hello.rsv == 0 and json.loads(hello.payload)["type"] == "hello"
            raw.send_frame(TEXT, b"\xf2\x48\xcd\xc9\xc9\x07\x00", rsv=COMPRESSED)
            raw.expect_close(1002)

    def test_a_chat_server_takes_over_no_context_unless_it_is_told_to(self, servers):
        compressing = {"compression.enabled": "true"}
        raw, got = offering(
            servers.parlor(set=compressing), "permessage-deflate", path="/ws?user=ada"
        )
        with raw:
            assert got == EACH_ALONE
        taking_over = {**compressing, "compression.context_takeover": "true"}
        server = servers.parlor(set={**taking_over, "compression.windows_bytes": 3 * 32_768})
        raw, got = offering(server, "permessage-deflate", path="/ws?user=ada")
        with raw:
            assert got == "permessage-deflate"
            # Two windows are gone, and two more are too many.
            other, got = offering(server, "permessage-deflate", path="/ws?user=ada")
            with other:
                assert got == EACH_ALONE
        deadline = time.monotonic() + harness.PATIENCE
        while got != "permessage-deflate" and time.monotonic() < deadline:
            again, got = offering(server, "permessage-deflate", path="/ws?user=ada")
            again.end()
        assert got == "permessage-deflate", "windows are given back"


class TestEchoes:
    @pytest.mark.parametrize("bits", range(9, 16))
    @pytest.mark.parametrize("alone", [False, True])
    def test_every_window_carries_every_message(self, echo, bits, alone):
        parameters = f"; server_max_window_bits={bits}; client_max_window_bits={bits}"
        if alone:
            parameters += "; server_no_context_takeover; client_no_context_takeover"
        raw, got = offering(echo, "permessage-deflate" + parameters)
        with raw:
            assert ("server_no_context_takeover" in got) == alone
            deflater, inflater = Deflater(bits, 6, not alone), Inflater(bits, not alone)
            for message in messages(bits):
                payload = deflater.deflate(message)
                cut = len(payload) // 3
                raw.send(
                    frame(BINARY, payload[:cut], fin=False, rsv=COMPRESSED),
                    frame(PING, b"between"),
                    frame(CONTINUATION, payload[cut:]),
                )
                raw.expect(PONG, b"between")
                assert read_inflated(raw, inflater) == (BINARY, message)

    @pytest.mark.parametrize("server_bits", [None, 9, 12, 15])
    @pytest.mark.parametrize("client_bits", [None, True, 9, 12, 15])
    @pytest.mark.parametrize("server_alone", [False, True])
    @pytest.mark.parametrize("client_alone", [False, True])
    def test_the_websockets_package_agrees(
        self, echo, server_bits, client_bits, server_alone, client_alone
    ):
        deflate = ClientPerMessageDeflateFactory(
            server_no_context_takeover=server_alone,
            client_no_context_takeover=client_alone,
            server_max_window_bits=server_bits,
            client_max_window_bits=client_bits,
        )
        url = f"ws://{harness.HOST}:{echo.port}/"
        with connect(url, proxy=None, compression=None, extensions=[deflate], max_size=None) as socket:
            assert "permessage-deflate" in socket.response.headers["Sec-WebSocket-Extensions"]
            for message in messages(7):
                socket.send(message)
                assert socket.recv(timeout=harness.PATIENCE) == message
            socket.send(["frag", "ments " * 1_000, "😀"])
            assert socket.recv(timeout=harness.PATIENCE) == "frag" + "ments " * 1_000 + "😀"

    def test_the_largest_message_comes_back_in_65536_compressed_fragments(self, echo):
        chance = random.Random(1)
        message = chance.randbytes(15 * MIB) + bytes(MIB)
        raw, _ = offering(echo, EACH_ALONE)
        with raw:
            raw.socket.settimeout(20)
            payload = Deflater(level=1).deflate(message)
            step = -(-len(payload) // 65_536)
            pieces = [payload[at : at + step] for at in range(0, len(payload), step)]
            pieces += [b""] * (65_536 - len(pieces))
            raw.send(frame(BINARY, pieces[0], fin=False, rsv=COMPRESSED))
            raw.send(*(frame(CONTINUATION, piece, fin=False) for piece in pieces[1:-1]))
            raw.send(frame(CONTINUATION, pieces[-1]))
            assert read_inflated(raw, Inflater()) == (BINARY, message)

    def test_small_messages_are_sent_as_they_are(self, echo):
        raw, _ = offering(echo, EACH_ALONE)
        with raw:
            for size, rsv in ((1_023, 0), (1_024, COMPRESSED)):
                raw.send_frame(TEXT, b"a" * size)
                got = raw.read_frame()
                assert got.rsv == rsv and (rsv == 0 or len(got.payload) < 50)

    def test_what_no_compression_makes_smaller_is_sent_as_it_is(self, echo):
        raw, _ = offering(echo, EACH_ALONE)
        with raw:
            noise = random.Random(2).randbytes(5_000)
            raw.expect_echo(BINARY, noise)

    def test_final_blocks_and_stored_ones_are_taken(self, echo):
        raw, _ = offering(echo, "permessage-deflate")
        with raw:
            for payload in (
                b"\xf3\x48\xcd\xc9\xc9\x07\x00\x00",  # RFC 7692 §7.2.3.4: BFINAL
                b"\xf2\x00\x11\x00\x00",  # §7.2.3.2: the window lives on
                b"\x00\x05\x00\xfa\xffHello\x00",  # §7.2.3.3: stored
                b"\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00",  # §7.2.3.5: two blocks
            ):
                raw.send_frame(TEXT, payload, rsv=COMPRESSED)
                raw.expect(TEXT, "Hello")


class TestRefusals:
    HELLO = b"\xf2\x48\xcd\xc9\xc9\x07\x00"

    @pytest.mark.parametrize(
        "code, sent",
        [
            (1002, frame(PING, b"", rsv=COMPRESSED)),
            (1002, frame(PONG, b"", rsv=COMPRESSED)),
            (1002, frame(CLOSE, b"", rsv=COMPRESSED)),
            (1002, frame(TEXT, HELLO, fin=False, rsv=COMPRESSED) + frame(CONTINUATION, rsv=4)),
            (1002, frame(TEXT, HELLO, rsv=COMPRESSED | 2)),
            (1002, frame(TEXT, HELLO, rsv=1)),
            (1007, frame(TEXT, b"\xff\xff\xff", rsv=COMPRESSED)),
            (1007, frame(TEXT, HELLO[:3], rsv=COMPRESSED)),
            (1007, frame(TEXT, b"", rsv=COMPRESSED)),
            (1007, frame(TEXT, HELLO + b"\0\0\xff\xff", rsv=COMPRESSED)),
            (1007, frame(TEXT, b"\x00\x01\x00\xfe\xff\xff\x00", rsv=COMPRESSED)),
            (1009, frame(BINARY, b"\x03\x00" * 65 + b"\x00", rsv=COMPRESSED)),
        ],
    )
    def test_what_breaks_rfc_7692_fails_the_connection(self, echo, code, sent):
        raw, _ = offering(echo, EACH_ALONE)
        with raw:
            raw.expect_echo(TEXT, "before")
            raw.send(sent)
            raw.expect_close(code)

    @pytest.mark.parametrize("fragments", [1, 100])
    def test_a_bomb_is_stopped_at_the_limit_of_a_message(self, servers, fragments):
        server = servers.parlor(set={"compression.enabled": "true"})
        deflater = zlib.compressobj(9, zlib.DEFLATED, -15)
        bomb = deflater.compress(bytes(64 * MIB)) + deflater.flush(zlib.Z_SYNC_FLUSH)
        bomb = bomb[:60_000]
        raw, _ = offering(server, EACH_ALONE, path="/ws?user=ada")
        with raw:
            raw.read_message()
            before, cpu_before = server.memory(), server.cpu_seconds()
            step = -(-len(bomb) // fragments)
            for at in range(0, len(bomb), step):
                opcode, rsv = (TEXT, COMPRESSED) if at == 0 else (CONTINUATION, 0)
                raw.send_frame(opcode, bomb[at : at + step], fin=at + step >= len(bomb), rsv=rsv)
            raw.expect_close(1009)
            assert server.memory() - before < 2 * MIB
            assert server.cpu_seconds() - cpu_before < 0.5


class TestChat:
    def test_everybody_is_told_in_their_own_way(self, servers):
        """Plain, with a small window, with a large one, and with one that is taken over."""
        server = servers.parlor(
            set={"compression.enabled": "true", "compression.context_takeover": "true"}
        )
        ways = {
            "plain": None,
            "narrow": f"{EACH_ALONE}; server_max_window_bits=9",
            "wide": EACH_ALONE,
            "wide-too": EACH_ALONE,
            "taking-over": "permessage-deflate",
        }
        people = {}
        for user, offer in ways.items():
            raw, _ = offering(server, *([offer] if offer else []), path=f"/ws?user={user}")
            bits = 9 if user == "narrow" else 15
            people[user] = (raw, Inflater(bits, takes_over=user == "taking-over"))

        def until(user, wanted):
            raw, inflater = people[user]
            while True:
                got = raw.read_frame()
                payload = inflater.inflate(got.payload) if got.rsv else got.payload
                message = json.loads(payload)
                if wanted(message):
                    return message, got.rsv

        def ask(user, kind, **payload):
            people[user][0].send_frame(TEXT, json.dumps({"type": kind, "id": "1", "payload": payload}))
            return until(user, lambda message: message["type"] in ("reply", "error"))[0]

        try:
            assert ask("plain", "room:create", room="r", open=True)["type"] == "reply"
            for user in list(ways)[1:]:
                assert ask(user, "room:join", room="r")["type"] == "reply"
            for number in range(4):
                text = f"{number} " + "many words " * 300
                sent = ask("wide", "chat:send", room="r", text=text, cid=str(number))
                assert sent["type"] == "reply", sent
                for user, way in ways.items():
                    if user == "wide":
                        continue
                    is_it = lambda m: m["type"] == "chat:message" and m["payload"]["text"] == text
                    _, rsv = until(user, is_it)
                    assert rsv == (COMPRESSED if way else 0)
                # A long reply of its own, for a window that lives on between the broadcasts.
                page = ask("taking-over", "chat:history", room="r")
                assert len(json.dumps(page)) > 1_024
        finally:
            for raw, _ in people.values():
                raw.end()
