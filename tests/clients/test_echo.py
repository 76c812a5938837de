"""RFC 6455 as seen from outside, against examples/echo: the opening handshake, frames, messages,
closing, and what a server may cost."""

import asyncio
import hashlib
import random
import resource
import select
import socket
import struct
import threading
import time

import pytest
from websockets.asyncio.client import connect as connect_async
from websockets.sync.client import connect as connect_sync

import harness
from harness import (
    BINARY,
    CLOSE,
    CONTINUATION,
    FIELDS,
    PING,
    PONG,
    TEXT,
    Raw,
    close_body,
    frame,
    header,
    mask,
    request_head,
)

MIB = 1024 * 1024
MESSAGE_MAX = 16 * MIB


@pytest.fixture(scope="module")
def echo(module_servers):
    return module_servers.echo()


@pytest.fixture
def raw(echo):
    with Raw(echo) as connection:
        yield connection


def changed(*changes, without=()):
    """The fields of a right request, some replaced (by name), some added, some left out."""
    names = {name.lower() for name, _ in changes} | {name.lower() for name in without}
    return [field for field in FIELDS if field[0].lower() not in names] + list(changes)


def resident_growth(server, act):
    """Bytes by which the process has grown in memory, and in reserved addresses, while `act` ran."""
    before = server.memory("VmRSS"), server.memory("VmSize")
    result = act()
    time.sleep(0.2)
    after = server.memory("VmRSS"), server.memory("VmSize")
    return after[0] - before[0], after[1] - before[1], result


def wait_for_files(server, count, seconds=harness.PATIENCE):
    """Waits until the process has no more than so many files open."""
    deadline = time.monotonic() + seconds
    while server.open_files() > count:
        assert time.monotonic() < deadline, f"{server.open_files()} files are open, not {count}"
        time.sleep(0.02)


def files_when_idle(server):
    """How many files are open when nobody is connected."""
    count, since = server.open_files(), time.monotonic()
    while time.monotonic() - since < 0.2:
        if server.open_files() != count:
            count, since = server.open_files(), time.monotonic()
        time.sleep(0.01)
    return count


class TestOpeningHandshake:
    """RFC 6455 §4.2."""

    def test_the_accept_key_is_that_of_the_example(self, echo):
        with Raw(echo, open=False) as raw:
            raw.send(request_head())
            answer = raw.read_head()
            assert answer.status == 101
            assert answer.fields["sec-websocket-accept"] == harness.ACCEPT
            assert answer.fields["upgrade"].lower() == "websocket"
            assert "upgrade" in answer.fields["connection"].lower()
            raw.expect_echo(TEXT, "Hello")

    def test_101_has_no_length_and_nothing_that_was_not_asked_for(self, echo):
        offers = [
            ("Sec-WebSocket-Protocol", "chat, superchat"),
            ("Sec-WebSocket-Extensions", "x-unheard-of; parameter=7"),
        ]
        for more in ([], offers):
            with Raw(echo, open=False) as raw:
                raw.send(request_head(fields=changed(*more)))
                answer = raw.read_head()
                assert answer.status == 101
                for name in (
                    "content-length",
                    "transfer-encoding",
                    "sec-websocket-protocol",
                    "sec-websocket-extensions",
                ):
                    assert name not in answer.fields, name

    @pytest.mark.parametrize(
        "fields",
        [
            pytest.param(changed(("Upgrade", "WebSocket")), id="upgrade_in_any_case"),
            pytest.param(changed(("Upgrade", "h2c, websocket")), id="upgrade_is_a_list"),
            pytest.param(
                changed(("Upgrade", "h2c"), ("UPGRADE", "websocket")), id="upgrade_in_two_lines"
            ),
            pytest.param(changed(("Connection", "keep-alive, UPGRADE")), id="connection_is_a_list"),
            pytest.param(
                changed(("Connection", "keep-alive"), ("Connection", "Upgrade")),
                id="connection_in_two_lines",
            ),
            pytest.param(
                [(name.upper(), value) for name, value in FIELDS], id="field_names_in_any_case"
            ),
            pytest.param(changed(("Content-Length", "0")), id="an_empty_body"),
            pytest.param(changed(("X-Bytes", "\xff\xfe\xe9")), id="bytes_that_are_no_utf8"),
            pytest.param(
                changed(*((f"X-{number}", "") for number in range(64 - len(FIELDS)))),
                id="as_many_fields_as_allowed",
            ),
        ],
    )
    def test_a_right_request_is_accepted(self, echo, fields):
        with Raw(echo, fields=fields) as raw:
            raw.expect_echo(TEXT, "open")

    @pytest.mark.parametrize(
        ("status", "request_bytes"),
        [
            pytest.param(status, request_bytes, id=name)
            for name, status, request_bytes in [
                ("no_host", 400, request_head(fields=changed(without=["Host"]))),
                ("two_hosts", 400, request_head(fields=[*FIELDS, ("Host", "other")])),
                ("http_1_0", 400, request_head(version="HTTP/1.0")),
                ("http_2_preface", 400, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
                ("post", 405, request_head(method="POST")),
                ("no_upgrade_at_all", 426, request_head(fields=[("Host", "h")])),
                ("upgrade_to_another", 400, request_head(fields=changed(("Upgrade", "h2c")))),
                (
                    "upgrade_within_a_word",
                    400,
                    request_head(fields=changed(("Upgrade", "notwebsocket"))),
                ),
                ("no_connection", 400, request_head(fields=changed(without=["Connection"]))),
                (
                    "connection_within_a_word",
                    400,
                    request_head(fields=changed(("Connection", "notupgrade"))),
                ),
                ("no_key", 400, request_head(fields=changed(without=["Sec-WebSocket-Key"]))),
                (
                    "two_keys",
                    400,
                    request_head(
                        fields=[*FIELDS, ("Sec-WebSocket-Key", "AAAAAAAAAAAAAAAAAAAAAA==")]
                    ),
                ),
                (
                    "key_of_15_bytes",
                    400,
                    request_head(fields=changed(("Sec-WebSocket-Key", "AAAAAAAAAAAAAAAAAAAA"))),
                ),
                (
                    "key_not_base64",
                    400,
                    request_head(fields=changed(("Sec-WebSocket-Key", "!!!!!!!!!!!!!!!!!!!!!!=="))),
                ),
                (
                    "no_version",
                    400,
                    request_head(fields=changed(without=["Sec-WebSocket-Version"])),
                ),
                ("version_8", 426, request_head(fields=changed(("Sec-WebSocket-Version", "8")))),
                (
                    "version_130",
                    426,
                    request_head(fields=changed(("Sec-WebSocket-Version", "130"))),
                ),
                ("a_body", 400, request_head(fields=changed(("Content-Length", "5"))) + b"body!"),
                (
                    "a_chunked_body",
                    400,
                    request_head(fields=changed(("Transfer-Encoding", "chunked"))) + b"0\r\n\r\n",
                ),
                ("bare_line_feeds", 400, request_head().replace(b"\r\n", b"\n")),
                ("a_folded_line", 400, request_head(fields=changed(("X-A", "1\r\n 2")))),
                ("a_nul", 400, request_head(fields=changed(("X-A", "\0")))),
                ("a_space_before_the_colon", 400, request_head(fields=changed(("X-A ", "1")))),
                ("no_http", 400, b"hello, is this a chat?\r\n\r\n"),
                ("a_tls_hello", 400, b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00\r\n\r\n"),
                (
                    "subprotocol_twice",
                    400,
                    request_head(fields=changed(("Sec-WebSocket-Protocol", "a, a"))),
                ),
                ("a_long_line", 431, request_head(fields=changed(("X-A", "x" * 9_000)))),
                ("a_long_target", 431, request_head(path="/" + "x" * 9_000)),
                (
                    "too_many_fields",
                    431,
                    request_head(fields=changed(*((f"X-{number}", "") for number in range(65)))),
                ),
            ]
        ],
    )
    def test_a_wrong_request_is_refused_and_the_connection_ends(self, echo, status, request_bytes):
        with Raw(echo, open=False) as raw:
            # A frame right behind it must not be echoed.
            raw.send(request_bytes, frame(TEXT, "not a chat"))
            answer = raw.read_answer()
            assert answer.status == status
            assert answer.error["code"] and answer.error["message"]
            if status == 426:
                assert answer.fields["sec-websocket-version"] == "13"
                assert answer.fields["upgrade"].lower() == "websocket"
            if status == 405:
                assert answer.fields["allow"] == "GET"

    def test_a_head_without_an_end_is_refused_at_its_limit_and_the_answer_is_not_lost(self, echo):
        with Raw(echo, open=False) as raw:
            raw.send(b"GET / HTTP/1.1\r\nHost: h\r\nX: ")
            raw.send(b"x" * 200_000)
            assert raw.read_answer().status == 431

    def test_a_head_may_come_byte_by_byte(self, echo):
        with Raw(echo, open=False) as raw:
            for byte in request_head():
                raw.send(bytes([byte]))
            assert raw.read_head().status == 101
            raw.expect_echo(TEXT, "slow")

    def test_frames_right_behind_the_head_are_answered_after_it(self, echo):
        with Raw(echo, open=False) as raw:
            raw.send(request_head(), frame(TEXT, "one"), frame(PING, b"two"), frame(TEXT, "three"))
            assert raw.read_head().status == 101
            raw.expect(TEXT, "one")
            raw.expect(PONG, b"two")
            raw.expect(TEXT, "three")

    def test_head_and_frames_may_be_cut_anywhere(self, echo):
        stream = request_head() + frame(TEXT, "one") + frame(BINARY, b"\0" * 126)
        for cut in range(1, len(stream)):
            with Raw(echo, open=False) as raw:
                raw.send(stream[:cut])
                time.sleep(0.001)
                raw.send(stream[cut:])
                assert raw.read_head().status == 101, cut
                raw.expect(TEXT, "one")
                raw.expect(BINARY, b"\0" * 126)


class TestFrames:
    """RFC 6455 §5."""

    @pytest.mark.parametrize("opcode", [TEXT, BINARY])
    @pytest.mark.parametrize(
        "length", [0, 1, 2, 3, 124, 125, 126, 127, 255, 256, 65_535, 65_536, 1_000_003]
    )
    def test_a_message_of_any_length_comes_back(self, raw, opcode, length):
        payload = (b"parlor " * (length // 7 + 1))[:length]
        raw.expect_echo(opcode, payload)

    def test_the_largest_message_comes_back(self, raw):
        payload = random.Random(7).randbytes(MESSAGE_MAX)
        reader = threading.Thread(target=raw.send_frame, args=(BINARY, payload))
        reader.start()
        got = raw.read_message()
        reader.join()
        assert hashlib.sha256(got.payload).digest() == hashlib.sha256(payload).digest()

    def test_any_masking_key_is_undone_in_pieces_of_any_size(self, raw):
        chance = random.Random(6455)
        for key in (b"\0\0\0\0", b"\xff\xff\xff\xff", chance.randbytes(4), chance.randbytes(4)):
            payload = chance.randbytes(1_000)
            sent = frame(BINARY, payload, key=key)
            while sent:
                size = chance.choice([1, 2, 3, 5, 7, 13, 97])
                raw.send(sent[:size])
                sent = sent[size:]
                if chance.random() < 0.2:
                    time.sleep(0.001)
            raw.expect(BINARY, payload)

    def test_fragments_are_joined_and_pings_between_them_answered_at_once(self, raw):
        raw.send(frame(TEXT, "one ", fin=False), frame(PING, b"within"))
        raw.expect(PONG, b"within")
        raw.send(frame(CONTINUATION, "two ", fin=False), frame(PONG, b"unasked"))
        raw.send(frame(CONTINUATION, "", fin=False), frame(PING, b""))
        raw.expect(PONG, b"")
        raw.expect_nothing()
        raw.send_frame(CONTINUATION, "three")
        got = raw.read_message()
        assert (got.opcode, got.payload) == (TEXT, b"one two three")

    def test_a_character_may_be_cut_between_fragments(self, raw):
        text = "κόσμε – € – 😀 – \U0010ffff"
        encoded = text.encode()
        for size in (1, 2, 3, 5):
            parts = [encoded[at : at + size] for at in range(0, len(encoded), size)]
            for number, part in enumerate(parts):
                opcode = TEXT if number == 0 else CONTINUATION
                raw.send_frame(opcode, part, fin=number == len(parts) - 1)
                raw.send_frame(PING, part)
                raw.expect(PONG, part) if number < len(parts) - 1 else None
            got = raw.read_message()
            assert got.payload.decode() == text
            raw.expect(PONG, parts[-1])

    def test_a_thousand_empty_fragments_are_a_message(self, raw):
        raw.send(frame(BINARY, b"", fin=False), *[frame(CONTINUATION, b"", fin=False)] * 1_000)
        raw.send_frame(CONTINUATION, b"x")
        assert raw.read_message().payload == b"x"

    @pytest.mark.parametrize("payload", [b"", b"Hello", b"\xff" * 125])
    def test_a_ping_is_answered_with_its_payload(self, raw, payload):
        raw.send_frame(PING, payload)
        raw.expect(PONG, payload)

    def test_an_unasked_pong_is_no_reason_for_anything(self, raw):
        raw.send_frame(PONG, b"unasked")
        raw.expect_nothing()
        raw.expect_echo(TEXT, "still open")

    @pytest.mark.parametrize(
        ("code", "sent"),
        [
            pytest.param(code, sent, id=name)
            for name, code, sent in [
                ("not_masked", 1002, frame(TEXT, "a", key=None)),
                ("not_masked_ping", 1002, frame(PING, b"", key=None)),
                *(
                    (f"rsv_{bit}_{kind}", 1002, frame(opcode, b"a", rsv=bit))
                    for bit in (1, 2, 4)
                    for kind, opcode in (("text", TEXT), ("binary", BINARY), ("ping", PING))
                ),
                ("rsv_close", 1002, frame(CLOSE, close_body(1000), rsv=4)),
                (
                    "rsv_continuation",
                    1002,
                    frame(TEXT, "a", fin=False) + frame(CONTINUATION, "b", rsv=4),
                ),
                *((f"opcode_{opcode:x}", 1002, frame(opcode, b"a")) for opcode in (3, 4, 5, 6, 7)),
                *((f"opcode_{opcode:x}", 1002, frame(opcode, b"a")) for opcode in range(0xB, 0x10)),
                ("16_bits_for_5", 1002, header(TEXT, 5, form=16)),
                ("16_bits_for_125", 1002, header(TEXT, 125, form=16)),
                ("64_bits_for_5", 1002, header(TEXT, 5, form=64)),
                ("64_bits_for_65535", 1002, header(TEXT, 65_535, form=64)),
                ("a_length_with_its_top_bit", 1002, header(BINARY, 1 << 63, form=64)),
                ("a_fragmented_ping", 1002, frame(PING, b"a", fin=False)),
                ("a_fragmented_close", 1002, frame(CLOSE, b"", fin=False)),
                ("a_ping_of_126_by_its_header", 1002, header(PING, 126)),
                ("a_close_of_126_by_its_header", 1002, header(CLOSE, 126)),
                ("a_continuation_of_nothing", 1002, frame(CONTINUATION, b"a")),
                (
                    "a_continuation_after_the_end",
                    1002,
                    frame(TEXT, "", fin=False)
                    + frame(CONTINUATION, b"")
                    + frame(CONTINUATION, b""),
                ),
                (
                    "a_message_within_a_message",
                    1002,
                    frame(TEXT, "a", fin=False) + frame(TEXT, "b"),
                ),
                ("a_message_too_large_by_its_header", 1009, header(BINARY, MESSAGE_MAX + 1)),
                ("the_largest_length", 1009, header(BINARY, (1 << 63) - 1, form=64)),
                (
                    "fragments_too_large_by_their_sum",
                    1009,
                    frame(BINARY, b"a", fin=False) + header(CONTINUATION, MESSAGE_MAX),
                ),
            ]
        ],
    )
    def test_a_broken_frame_fails_the_connection(self, raw, code, sent):
        raw.send(sent)
        # A continuation that ends a message is echoed before the one that has none.
        got = raw.read_frame()
        if got.opcode == TEXT and got.payload == b"":
            got = raw.read_frame()
        assert (got.opcode, got.code) == (CLOSE, code), str(got)
        assert got.payload[2:].decode(), "the reason says what was wrong"
        raw.expect_end()

    def test_nothing_behind_a_broken_frame_is_looked_at(self, raw):
        raw.send(frame(TEXT, "good"), frame(3, b""), frame(TEXT, "late"), frame(PING, b"late"))
        raw.expect(TEXT, "good")
        raw.expect_close(1002)


class TestText:
    """RFC 6455 §8.1."""

    GOOD = [
        "\0",
        "\x7f\x80",
        "\u07ff\u0800",
        "\ud7ff\ue000",
        "\ufffe\uffff\ufdd0",
        "\U00010000\U0010ffff",
        "x" * 31 + "é",
    ]

    @pytest.mark.parametrize("text", GOOD)
    def test_whatever_is_utf8_comes_back(self, raw, text):
        raw.expect_echo(TEXT, text)

    #: Bytes, and how many of them it takes to know that no text goes on like this.
    BAD = [
        (b"\x80", 1),
        (b"\xbf", 1),
        (b"\xc0\xaf", 1),
        (b"\xc1\xbf", 1),
        (b"\xe0\x9f\xbf", 2),
        (b"\xed\xa0\x80", 2),
        (b"\xf0\x8f\xbf\xbf", 2),
        (b"\xf4\x90\x80\x80", 2),
        (b"\xf5\x80\x80\x80", 1),
        (b"\xff", 1),
        (b"\xc3(", 2),
        (b"\xe2\x82(", 3),
        (b"\xf0\x9f\x98(", 4),
    ]

    @pytest.mark.parametrize("bad", [bad for bad, _ in BAD], ids=lambda bad: bad.hex())
    @pytest.mark.parametrize("before", [b"", b"a" * 7, b"a" * 31, b"a" * 1_000, "é".encode() * 9])
    def test_text_that_is_not_utf8_fails_the_connection(self, raw, before, bad):
        raw.send_frame(TEXT, before + bad + b"after")
        raw.expect_close(1007)

    @pytest.mark.parametrize(("bad", "known_after"), BAD, ids=lambda value: repr(value))
    def test_it_fails_at_the_first_impossible_byte(self, raw, bad, known_after):
        # The frame is not all there, and not the message's last.
        whole = b"good" + bad + b"x" * 1_000
        until = 4 + known_after
        key = b"\x01\x02\x03\x04"
        raw.send(header(TEXT, len(whole), fin=False, key=key), mask(whole, key)[: until - 1])
        raw.expect_nothing(0.05)
        raw.send(mask(whole, key)[until - 1 : until])
        raw.expect_close(1007)

    def test_it_fails_in_the_fragment_that_is_wrong_though_more_are_to_come(self, raw):
        raw.send_frame(TEXT, b"\xf0\x9f", fin=False)
        raw.send_frame(PING, b"between")
        raw.expect(PONG, b"between")
        raw.send_frame(CONTINUATION, b"\x98\x80\xed\xa0", fin=False)
        raw.expect_close(1007)

    @pytest.mark.parametrize("end", [b"\xc3", b"\xe2\x82", b"\xf0\x9f\x98"])
    def test_a_text_must_not_end_within_a_character(self, raw, end):
        raw.send_frame(TEXT, b"a" + end)
        raw.expect_close(1007)

    def test_a_fragmented_text_must_not_end_within_a_character(self, raw):
        raw.send(frame(TEXT, b"a\xe2", fin=False), frame(CONTINUATION, b"\x82"))
        raw.expect_close(1007)

    def test_binary_is_any_bytes(self, raw):
        raw.expect_echo(BINARY, bytes(range(256)))


class TestClosing:
    """RFC 6455 §5.5.1, §7."""

    @pytest.mark.parametrize(
        "code", [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1014, 3000, 4000, 4999]
    )
    def test_a_close_is_answered_with_its_code_and_the_end(self, raw, code):
        raw.send_frame(CLOSE, close_body(code, "bye – bye".encode()))
        raw.expect_close(code)

    def test_a_close_without_a_body_is_answered(self, raw):
        raw.send_frame(CLOSE)
        got = raw.read_frame()
        assert (got.opcode, got.code) in ((CLOSE, None), (CLOSE, 1000))
        raw.expect_end()

    @pytest.mark.parametrize(
        "code", [0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1999, 2000, 2999, 5000, 65_535]
    )
    def test_a_code_that_must_not_be_sent_fails_the_connection(self, raw, code):
        raw.send_frame(CLOSE, close_body(code))
        raw.expect_close(1002)

    def test_a_body_of_one_byte_fails_the_connection(self, raw):
        raw.send_frame(CLOSE, b"\x03")
        raw.expect_close(1002)

    @pytest.mark.parametrize("reason", [b"\xff", b"cut \xe2\x82", b"\xed\xa0\x80"])
    def test_a_reason_that_is_not_utf8_fails_the_connection(self, raw, reason):
        raw.send_frame(CLOSE, close_body(1000, reason))
        raw.expect_close(1007)

    def test_the_longest_reason_is_taken(self, raw):
        raw.send_frame(CLOSE, close_body(1000, b"x" * 123))
        raw.expect_close(1000)

    def test_a_close_within_a_message_is_answered(self, raw):
        raw.send(frame(TEXT, "unfinished", fin=False), frame(CLOSE, close_body(1001)))
        raw.expect_close(1001)

    def test_what_came_before_the_close_is_answered_and_nothing_after_it(self, raw):
        raw.send(
            frame(TEXT, "before"),
            frame(CLOSE, close_body(1000)),
            frame(TEXT, "after"),
            frame(PING, b"after"),
            frame(3, b"broken"),
        )
        raw.expect(TEXT, "before")
        raw.expect_close(1000)

    def test_the_close_arrives_although_more_is_on_its_way(self, raw):
        """Closing a socket with unread input sends a reset, and a reset may swallow the Close."""
        raw.send(frame(3, b""), b"x" * 300_000)
        time.sleep(0.05)
        raw.send(b"x" * 300_000)
        time.sleep(0.05)
        raw.send(b"x")
        raw.expect_close(1002)

    def test_the_refusal_arrives_although_more_is_on_its_way(self, echo):
        with Raw(echo, open=False) as raw:
            raw.send(b"nonsense\r\n\r\n", b"x" * 300_000)
            time.sleep(0.05)
            raw.send(b"x" * 300_000)
            time.sleep(0.05)
            raw.send(b"x")
            assert raw.read_answer().status == 400


class TestConnections:
    """TCP's ends, and what they leave behind."""

    def test_a_client_that_shuts_down_its_side_gets_what_it_asked_for(self, raw):
        raw.send_frame(TEXT, "x" * 100_000)
        raw.send_frame(PING, b"last")
        raw.socket.shutdown(socket.SHUT_WR)
        raw.expect(TEXT, "x" * 100_000)
        raw.expect(PONG, b"last")
        raw.expect_end()

    def test_ends_of_every_kind_leave_no_file_open(self, servers):
        echo = servers.echo()
        with Raw(echo) as raw:
            raw.expect_echo(TEXT, "warm")
        before = files_when_idle(echo)

        def half_head(raw):
            raw.send(request_head()[:50])

        def whole_head(raw):
            raw.send(request_head())

        def half_frame(raw):
            raw.send(request_head(), frame(TEXT, "x" * 1_000)[:500])

        def half_message(raw):
            raw.send(request_head(), frame(TEXT, "x" * 1_000, fin=False))

        def unread_echo(raw):
            raw.send(request_head(), frame(TEXT, "x" * 100_000))

        def broken(raw):
            raw.send(request_head(), frame(3, b""), b"x" * 10_000)

        def refused(raw):
            raw.send(b"nonsense\r\n\r\n", b"x" * 10_000)

        stages = [lambda raw: None, half_head, whole_head, half_frame, half_message, unread_echo]
        stages += [broken, refused]
        ends = [Raw.reset, Raw.end, lambda raw: raw.socket.shutdown(socket.SHUT_WR) or raw.end()]
        for number in range(1_008):
            raw = Raw(echo, open=False)
            stages[number % len(stages)](raw)
            try:
                ends[number // len(stages) % len(ends)](raw)
            except OSError:
                raw.end()
        wait_for_files(echo, before)
        with Raw(echo) as raw:
            raw.expect_echo(TEXT, "still here")

    def test_a_reset_amid_an_echo_harms_nobody_else(self, echo):
        with Raw(echo) as other:
            for _ in range(20):
                raw = Raw(echo)
                raw.send(frame(BINARY, b"x" * 300_000))
                raw.reset()
                other.expect_echo(TEXT, "here")


class TestFiles:
    """When the process may open no more files."""

    def test_connections_wait_without_a_spin_and_are_taken_when_others_go(self, servers):
        echo = servers.echo()
        with Raw(echo) as raw:
            raw.expect_echo(TEXT, "warm")
        limit = files_when_idle(echo) + 10
        resource.prlimit(echo.pid, resource.RLIMIT_NOFILE, (limit, limit))
        opened = [Raw(echo, open=False) for _ in range(40)]
        try:
            for raw in opened:
                raw.send(request_head(), frame(TEXT, "taken"))
            time.sleep(0.3)
            before = echo.cpu_seconds()
            time.sleep(1.0)
            spent = echo.cpu_seconds() - before
            assert spent < 0.2, f"{spent:.2f} s of the processor's time in one second of waiting"
            # Each that is answered goes, and makes room for one that waits.
            for raw in opened:
                assert raw.read_head().status == 101
                raw.expect(TEXT, "taken")
                raw.end()
        finally:
            for raw in opened:
                raw.end()


class TestCost:
    """What a server may cost its host, and its users one another."""

    def test_an_announced_frame_costs_no_memory_before_its_bytes_come(self, servers):
        """200 connections announce 16 MiB each, in one frame or as a continuation: 3 GiB."""
        echo = servers.echo()
        Raw(echo).end()
        announced = []

        def announce():
            for number in range(200):
                raw = Raw(echo)
                if number % 2:
                    raw.send(header(BINARY, MESSAGE_MAX), b"some of it")
                else:
                    raw.send(
                        frame(TEXT, "a", fin=False), header(CONTINUATION, MESSAGE_MAX - 1), b"x"
                    )
                announced.append(raw)
            with Raw(echo) as raw:
                raw.expect_echo(TEXT, "all is read")

        resident, reserved, _ = resident_growth(echo, announce)
        for raw in announced:
            raw.expect_nothing(0.001)
            raw.end()
        assert resident < 1 * MIB, f"{resident} bytes for 200 announcements"
        assert reserved < 64 * MIB, f"{reserved} bytes are reserved for 200 announcements"

    def test_unfinished_messages_leave_nothing_behind(self, servers):
        """The allocator may keep some for the next message; it must not grow with each."""
        echo = servers.echo()

        def abandon_messages(count):
            for _ in range(count):
                with Raw(echo) as raw:
                    raw.send_frame(BINARY, b"x" * (4 * MIB), fin=False)
                    raw.send_frame(PING, b"")
                    raw.expect(PONG, b"")

        abandon_messages(4)
        resident, _, _ = resident_growth(echo, lambda: abandon_messages(20))
        assert resident < 8 * MIB, f"{resident} bytes stay after 80 MiB of messages have gone"

    @pytest.mark.seconds(60)
    def test_5000_idle_connections_cost_under_400_bytes_each(self, servers):
        count = 5_000
        echo = servers.echo()
        with Raw(echo) as raw:
            raw.expect_echo(TEXT, "warm")
        connections = []

        def connect():
            for _ in range(count):
                connections.append(Raw(echo))
            connections[-1].expect_echo(TEXT, "all are open")

        try:
            resident, _, _ = resident_growth(echo, connect)
            each = resident / count
            print(f"{each:.0f} bytes for an idle connection")
            assert each < 400, f"an idle connection costs {each:.0f} bytes"
            for raw in connections[:: count // 50]:
                raw.expect_echo(TEXT, "alive")
        finally:
            for raw in connections:
                raw.end()

    @pytest.mark.seconds(60)
    def test_a_client_that_does_not_read_is_not_read_and_costs_nobody_anything(self, servers):
        """It sends until the server takes no more; the server's memory stays bounded, another is
        answered as ever, and what was sent is echoed whole when it reads."""
        echo = servers.echo()
        Raw(echo).end()
        before = echo.memory()
        payload = bytes(range(256)) * 64
        message = frame(BINARY, payload)
        with Raw(echo) as slow, Raw(echo) as other:
            slow.socket.setblocking(False)
            sent, waits = 0, []
            limit = 256 * MIB
            idle_since = time.monotonic()
            while sent < limit and time.monotonic() - idle_since < 1.0:
                try:
                    part = message[sent % len(message) :] + message * 15
                    sent += slow.socket.send(part)
                    idle_since = time.monotonic()
                except BlockingIOError:
                    start = time.monotonic()
                    other.expect_echo(TEXT, "and me?")
                    waits.append(time.monotonic() - start)
                    time.sleep(0.01)
            assert sent < limit, f"{sent} bytes were taken from a client that reads nothing"
            grown = echo.memory() - before
            assert grown < 8 * MIB, f"{grown} bytes wait for a client that does not read"
            assert max(waits) < 0.5, f"another waited {max(waits):.3f} s"
            rest = -sent % len(message)
            tail = message[len(message) - rest :] if rest else b""

            def finish():
                slow.socket.settimeout(20)
                slow.send(tail) if tail else None

            finisher = threading.Thread(target=finish)
            finisher.start()
            slow.socket.settimeout(20)
            for number in range((sent + rest) // len(message)):
                got = slow.read_frame()
                assert got.payload == payload, f"echo {number} is another"
            finisher.join()

    def test_pings_without_end_queue_no_pongs_without_end(self, servers):
        """RFC 6455 §5.5.3: of pings that wait for their pong, the newest may be answered alone. So
        one pong waits at most, and pings are read although no pong is."""
        echo = servers.echo()
        Raw(echo).end()
        before = echo.memory()
        count = 100_000
        with Raw(echo, receive_buffer=4_096) as raw:
            pings = [frame(PING, struct.pack("!Q", n) + b"p" * 117) for n in range(count)]
            raw.send(*pings)
            time.sleep(0.1)
            grown = echo.memory() - before
            assert grown < 1 * MIB, f"{grown} bytes for pongs"
            pongs, last = 0, -1
            while last < count - 1:
                got = raw.read_frame()
                assert got is not None and got.opcode == PONG
                (number,) = struct.unpack("!Q", got.payload[:8])
                assert number > last, "pongs come in the order of the pings"
                pongs, last = pongs + 1, number
            assert pongs < count / 2, f"{pongs} pongs for {count} pings of one who did not read"

    def test_one_that_floods_does_not_starve_the_others(self, echo):
        stop = threading.Event()

        def flood():
            with Raw(echo) as raw:
                raw.socket.setblocking(False)
                stream = frame(TEXT, "flood " * 3) * 2_000
                at = 0
                while not stop.is_set():
                    readable, writable, _ = select.select([raw.socket], [raw.socket], [], 0.1)
                    if readable:
                        raw.socket.recv(1 << 20)
                    if writable:
                        try:
                            at = (at + raw.socket.send(stream[at:])) % len(stream)
                        except BlockingIOError:
                            pass

        flooding = threading.Thread(target=flood)
        flooding.start()
        try:
            time.sleep(0.2)
            waits = []
            with Raw(echo) as raw:
                for number in range(100):
                    start = time.monotonic()
                    raw.expect_echo(TEXT, str(number))
                    waits.append(time.monotonic() - start)
        finally:
            stop.set()
            flooding.join()
        waits.sort()
        assert waits[50] < 0.1, f"half of the echoes took more than {waits[50]:.3f} s"


class TestWebsocketsPackage:
    """An independent client agrees with all of it."""

    def test_it_chats_fragments_pings_and_closes(self, echo):
        url = f"ws://{harness.HOST}:{echo.port}/"
        with connect_sync(url, proxy=None, compression=None, close_timeout=5) as socket:
            for message in ("Hello – 😀", b"\0\xff", "", b"", "x" * 70_000):
                socket.send(message)
                assert socket.recv(timeout=5) == message
            socket.send(["frag", "men", "ts"])
            assert socket.recv(timeout=5) == "fragments"
            socket.send([b"frag", b"", b"ments"])
            assert socket.recv(timeout=5) == b"fragments"
            assert socket.ping(b"are you there?").wait(5)
            socket.close(4321, "seen")
            assert (socket.close_code, socket.close_reason) == (
                4321,
                "",
            ) or socket.close_code == 4321

    def test_it_may_offer_compression_and_is_understood(self, echo):
        url = f"ws://{harness.HOST}:{echo.port}/"
        with connect_sync(url, proxy=None, close_timeout=5) as socket:
            socket.send("again and again and again " * 50)
            assert socket.recv(timeout=5) == "again and again and again " * 50

    def test_100_at_once_are_served(self, echo):
        async def one(number):
            url = f"ws://{harness.HOST}:{echo.port}/"
            async with connect_async(url, proxy=None, compression=None) as socket:
                for turn in range(10):
                    await socket.send(f"{number} {turn}")
                    assert await socket.recv() == f"{number} {turn}"

        async def all_of_them():
            await asyncio.wait_for(asyncio.gather(*map(one, range(100))), 20)

        asyncio.run(all_of_them())
