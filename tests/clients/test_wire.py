"""The envelope, `hello`, and the limits of a connection: what every request has in common."""

import json
import time

import pytest

import harness
from harness import CLOSE, PING, TEXT, Chat, Raw, Refused, frame

SAFE = (1 << 53) - 1


def nested(depth):
    return "[" * depth + "]" * depth


def flood(connection, text, count):
    """Sends a text often, or until the server has closed."""
    try:
        for _ in range(count):
            connection.raw(text)
    except harness.ConnectionClosed:
        pass


def hello_of(raw):
    message = json.loads(raw.read_message().payload)
    assert message["type"] == "hello"
    return message["payload"]


class TestHello:
    def test_it_says_all_that_a_client_needs(self, servers):
        server = servers.parlor(roomy=False)
        with Chat(server, "ada") as ada:
            hello = ada.hello
            assert hello["protocol"] == 1
            assert hello["server"].startswith("parlor/")
            assert isinstance(hello["connection"], str) and hello["connection"]
            assert isinstance(hello["epoch"], str) and hello["epoch"]
            assert abs(hello["ts"] / 1_000 - time.time()) < 60 and isinstance(hello["ts"], int)
            assert hello["user"] == {"id": "ada", "name": "ada", "admin": False}
            assert hello["heartbeat_ms"] == 25_000
            assert hello["durability"] == "disk"
            assert hello["presence"] == "everyone"
            assert hello["rooms"] == []
            announced = {
                "message_bytes": 65_536,
                "text_bytes": 16_384,
                "data_bytes": 16_384,
                "cid_bytes": 64,
                "title_bytes": 128,
                "page": 200,
                "requests_per_second": 10,
                "burst": 30,
                "rooms": 1_000,
            }
            assert announced.items() <= hello["limits"].items()

    def test_it_tells_what_is_configured(self, servers):
        values = {
            "limits.text_bytes": 100,
            "limits.page": 7,
            "limits.burst": 77,
            "heartbeat.interval_ms": 12_000,
        }
        server = servers.parlor(set=values)
        with Chat(server, "ada") as ada:
            limits = ada.hello["limits"]
            assert (limits["text_bytes"], limits["page"], limits["burst"]) == (100, 7, 77)
            assert ada.hello["heartbeat_ms"] == 12_000

    def test_each_connection_has_an_id_of_its_own_and_all_have_one_epoch(self, chat, name):
        user = name("ada")
        one, other = chat(user), chat(user)
        assert one.hello["connection"] != other.hello["connection"]
        assert one.hello["epoch"] == other.hello["epoch"]

    def test_memory_is_told_from_disk(self, servers):
        server = servers.parlor(data=":memory:")
        with Chat(server, "ada") as ada:
            assert ada.hello["durability"] != "disk"
            ada.join("lobby")
            assert ada.say("lobby", "kept for a while")["seq"] == 2

    def test_the_root_opens_a_websocket_too(self, server, name):
        with Raw(server, path=f"/?user={name('ada')}") as raw:
            assert hello_of(raw)["protocol"] == 1

    def test_info_says_it_again(self, chat, name):
        ada = chat(name("ada"))
        info = ada.request("info")
        for member in ("protocol", "server", "epoch", "limits"):
            assert info[member] == ada.hello[member], member


class TestEnvelope:
    @pytest.fixture
    def ada(self, chat, name):
        return chat(name("ada"))

    def error_of(self, ada, text):
        """The error without id with which a text is answered."""
        ada.raw(text)
        return ada.push("error")

    def test_ping_measures_the_round_trip(self, ada):
        assert abs(ada.request("ping")["ts"] / 1_000 - time.time()) < 60

    @pytest.mark.parametrize(
        "id", [0, 1, -1, SAFE, -SAFE, "", "a", "x" * 64, "é" * 32, '"\\/\n', "7"]
    )
    def test_an_id_comes_back_as_it_was(self, ada, id):
        assert "ts" in ada.answer(ada.send("ping", {}, id=id))

    @pytest.mark.parametrize(
        "id",
        [str(SAFE + 1), str(-SAFE - 1), "1.5", "1e99", "null", "true", "[]", "{}"]
        + [json.dumps("x" * 65), json.dumps("é" * 33, ensure_ascii=False)],
    )
    def test_an_id_of_another_kind_is_bad_request_without_id(self, ada, id):
        error = self.error_of(ada, '{"type":"ping","id":%s}' % id)
        assert error["code"] == "bad_request"

    def test_a_request_without_id_gets_no_reply_and_does_its_work(self, ada, name):
        room = name("room")
        ada.raw(json.dumps({"type": "room:join", "payload": {"room": room}}))
        ada.push("room:joined", where=lambda payload: payload["room"] == room)
        ada.raw(json.dumps({"type": "chat:send", "payload": {"room": room, "text": "hi"}}))
        assert ada.push("chat:message")["text"] == "hi"
        ada.settle()
        assert ada.pushed("reply", "error") == []

    def test_members_that_nobody_knows_are_ignored(self, ada):
        ada.raw('{"type":"ping","id":"a","payload":{"x":[1]},"more":{"y":null},"version":2}')
        assert "ts" in ada.answer("a")

    def test_a_payload_may_be_left_out(self, ada):
        ada.raw('{"type":"ping","id":"b"}')
        assert "ts" in ada.answer("b")

    def test_white_space_is_json_too(self, ada):
        ada.raw(' \r\n\t{ "type" : "ping" , "id" : "c" }\n')
        assert "ts" in ada.answer("c")

    def test_an_escaped_name_is_the_same_name(self, ada):
        ada.raw('{"t\\u0079pe":"p\\u0069ng","id":"d"}')
        assert "ts" in ada.answer("d")

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "{",
            "hello",
            "{'type':'ping'}",
            '{"type":"ping",}',
            '{"type":"ping"} x',
            '{"type":"ping"}{"type":"ping"}',
            '{"type":"ping","payload":{"a":01}}',
            '{"type":"ping","payload":{"a":NaN}}',
            '{"type":"ping","payload":{"a":"\n"}}',
            '{"type":"ping","payload":{"a":"\\x"}}',
            '\ufeff{"type":"ping"}',
            '{"type":"ping","type":"ping"}',
            '{"type":"ping","t\\u0079pe":"ping"}',
            '{"type":"ping","id":1,"id":2}',
            '{"type":"ping","payload":{"a":1,"a":2}}',
        ],
    )
    def test_what_is_no_strict_json_is_bad_json(self, ada, text):
        assert self.error_of(ada, text)["code"] == "bad_json"
        ada.settle()

    @pytest.mark.parametrize(
        "text", ["[]", "7", '"ping"', "null", "{}", '{"id":null,"type":"ping"}']
    )
    def test_json_that_is_no_request_is_bad_request(self, ada, text):
        assert self.error_of(ada, text)["code"] == "bad_request"

    @pytest.mark.parametrize("type", ["7", "null", "{}"])
    def test_a_type_is_a_string(self, ada, type):
        ada.raw('{"id":"e","type":%s}' % type)
        with pytest.raises(Refused) as refused:
            ada.answer("e")
        assert (refused.value.code, refused.value.payload["field"]) == ("bad_request", "type")

    @pytest.mark.parametrize("payload", ["[]", "7", '"x"'])
    def test_a_payload_is_an_object(self, ada, payload):
        ada.raw('{"id":"f","type":"ping","payload":%s}' % payload)
        with pytest.raises(Refused) as refused:
            ada.answer("f")
        assert refused.value.code == "bad_request"

    def test_a_type_that_nobody_knows_is_unknown_type(self, ada):
        assert ada.refused("chat:sing") == "unknown_type"
        assert ada.refused("") == "unknown_type"
        assert ada.refused("reply") == "unknown_type"

    def test_nesting_goes_to_32_and_no_deeper(self, ada, name):
        """The envelope's braces are the first, the payload's the second."""
        room = name("room")
        ada.join(room)
        text = '{"type":"chat:send","id":%d,"payload":{"room":"%s","text":"","data":%s}}'
        ada.raw(text % (1_000_001, room, nested(30)))
        assert ada.answer(1_000_001)["seq"] == 2
        assert self.error_of(ada, text % (1_000_002, room, nested(31)))["code"] == "bad_json"
        # As deep as a message can be: no stack is that high.
        for brackets in ("[" * 60_000, '{"a":' * 12_000, nested(30_000)):
            ada.raw(text % (1_000_003, room, brackets))
        ada.settle()

    @pytest.mark.parametrize(
        "half", ["\\ud83d", "\\ude00", "\\ud83d\\ud83d", "\\ude00\\ud83d", "\\ud83dx"]
    )
    @pytest.mark.parametrize("member", ["text", "data", "cid"])
    def test_half_a_surrogate_pair_is_not_handed_on(self, ada, name, half, member):
        room = name("room")
        ada.join(room)
        members = {"text": '"t"', "data": "1", "cid": '"c"', member: f'"{half}"'}
        listed = ",".join(f'"{key}":{value}' for key, value in members.items())
        error = self.error_of(
            ada, '{"type":"chat:send","payload":{"room":"%s",%s}}' % (room, listed)
        )
        assert error["code"] == "bad_json"
        assert ada.history(room)["head"] == 1

    def test_a_binary_message_is_bad_request_and_the_connection_stays(self, ada):
        ada.socket.send(b'{"type":"ping","id":1}')
        assert ada.push("error")["code"] == "bad_request"
        ada.settle()

    def test_a_message_of_64_kib_is_taken_and_a_larger_one_closes_with_1009(self, server, name):
        with Raw(server, path=f"/ws?user={name('ada')}") as raw:
            hello_of(raw)
            shell = '{"type":"ping","id":1,"payload":{"x":"%s"}}'
            raw.send_frame(TEXT, shell % ("x" * (65_536 - len(shell) + 2)))
            while json.loads(raw.read_message().payload).get("id") != 1:
                pass
            raw.send(harness.header(TEXT, 65_537))
            while (got := raw.read_frame()).opcode != CLOSE:
                pass
            assert got.code == 1009
            raw.expect_end()

    def test_fragments_and_pings_are_understood_here_too(self, ada):
        ada.socket.send(['{"type":"pi', "", 'ng","id":"pieces"}'])
        assert "ts" in ada.answer("pieces")
        assert ada.socket.ping(b"?").wait(harness.PATIENCE)

    def test_errors_without_id_come_once_a_second_with_a_count(self, ada):
        """Small garbage must not be answered by large errors."""
        start = time.monotonic()
        for _ in range(19):
            ada.raw("garbage")
        ada.raw("[]")
        ada.gather(1.6)
        errors = [payload for _, payload in ada.pushed("error", settle=False)]
        assert time.monotonic() - start < 2.5
        assert len(errors) == 2, errors
        assert errors[0]["code"] == "bad_json"
        assert errors[0].get("count", 1) == 1
        assert (errors[1]["code"], errors[1]["count"]) == ("bad_request", 19), (
            "the newest code, all counted"
        )


class TestRate:
    def test_over_the_rate_a_request_is_refused_with_its_id_and_the_time_to_wait(self, servers):
        server = servers.parlor(roomy=False)
        with Chat(server, "ada") as ada:
            start = time.monotonic()
            ids = [ada.send("ping") for _ in range(40)]
            refusals = []
            for id in ids:
                try:
                    ada.answer(id)
                except Refused as refused:
                    refusals.append(refused.payload)
            took = time.monotonic() - start
            assert 40 - 30 - took * 10 - 2 <= len(refusals) <= 10, "a burst of 30, then 10 a second"
            assert {refusal["code"] for refusal in refusals} == {"rate_limited"}
            wait = refusals[-1]["retry_after_ms"]
            assert 0 < wait <= 1_000
            time.sleep(wait / 1_000 + 0.02)
            ada.request("ping")

    def test_malformed_requests_count_against_the_rate(self, servers):
        server = servers.parlor(roomy=False)
        with Chat(server, "ada") as ada:
            for _ in range(32):
                ada.raw("garbage")
            assert ada.refused("ping") == "rate_limited"

    def test_who_keeps_sending_while_limited_is_closed_with_4103(self, servers):
        server = servers.parlor(set={"limits.requests_per_second": 1, "limits.burst": 1})
        with Chat(server, "ada") as ada:
            for _ in range(90):
                ada.send("ping")
            # 90 are not too many.
            ada.gather(0.3)
            flood(ada, '{"type":"ping"}', 30)
            error = ada.push("error", where=lambda payload: "close" in payload)
            assert (error["code"], error["close"]) == ("rate", 4103)
            assert ada.closed() == 4103

    def test_who_sends_nothing_but_garbage_is_closed_with_4000(self, chat, name):
        ada = chat(name("ada"))
        flood(ada, "garbage", 40)
        ada.settle()
        flood(ada, "garbage", 20)
        error = ada.push("error", where=lambda payload: "close" in payload)
        assert (error["code"], error["close"]) == ("bad_client", 4000)
        assert ada.closed() == 4000

    def test_a_user_has_a_number_of_connections(self, servers):
        server = servers.parlor(set={"limits.connections_per_user": 2})
        with Chat(server, "ada") as one, Chat(server, "ada"), Chat(server, "bob"):
            with Chat(server, "ada", hello=False) as third:
                error = third.push("error")
                assert (error["code"], error["close"]) == ("too_many", 4004)
                assert third.closed() == 4004
                assert third.pushed("hello", settle=False) == [], "4004 comes in place of hello"
            one.end()
            Chat(server, "ada").end()

    def test_an_address_has_a_number_of_connections(self, servers):
        server = servers.parlor(set={"limits.connections_per_address": 3})
        with Raw(server, path="/ws?user=ada"), Raw(server, path="/ws?user=bob"):
            with Raw(server, path="/ws?user=eve"):
                with Raw(server, open=False) as fourth:
                    fourth.send(harness.request_head(path="/ws?user=joe"))
                    answer = fourth.read_answer()
                    assert answer.status == 429
                    assert int(answer.fields["retry-after"]) > 0
                    assert answer.error["code"] and answer.error["message"]
            deadline = time.monotonic() + harness.PATIENCE
            while time.monotonic() < deadline:
                with Raw(server, open=False) as again:
                    again.send(harness.request_head(path="/ws?user=joe"))
                    if again.read_head().status == 101:
                        return
                time.sleep(0.05)
            pytest.fail("what has left makes no room")


class TestTime:
    def test_a_slow_head_ends_with_its_time_however_it_drips(self, servers):
        server = servers.parlor(set={"handshake.timeout_ms": 400})
        for head in (b"", b"GET /ws?user=ada HTTP/1.1\r\nHost: 127.0.0.1\r\nX: "):
            with Raw(server, open=False) as raw:
                start = time.monotonic()
                raw.send(head)
                raw.socket.settimeout(0.05)
                came = b""
                while time.monotonic() - start < 4:
                    try:
                        piece = raw.socket.recv(4_096)
                        came += piece
                        if not piece:
                            break
                    except TimeoutError:
                        if head:
                            try:
                                raw.send(b"x")
                            except OSError:
                                break
                    except ConnectionResetError:
                        break
                took = time.monotonic() - start
                assert 0.3 < took < 3, f"ended after {took:.1f} s"
                assert not came or came.startswith(b"HTTP/1.1 408 "), came

    def test_silence_is_pinged_and_then_closed_with_4102(self, servers):
        server = servers.parlor(
            set={
                "heartbeat.interval_ms": 400,
                "heartbeat.timeout_ms": 400,
                "closing.timeout_ms": 400,
            }
        )
        with Raw(server, path="/ws?user=ada") as silent, Chat(server, "bob") as answers:
            hello_of(silent)
            start = time.monotonic()
            kinds = []
            while (got := silent.read_frame()) is not None:
                if got.opcode == TEXT:
                    assert json.loads(got.payload)["type"] != "error", "4102 comes without an error"
                    continue
                kinds.append(got.opcode)
                if got.opcode == CLOSE:
                    assert got.code == 4102
                    took = time.monotonic() - start
            assert kinds == [PING, CLOSE]
            assert 0.6 < took < 2.5, f"closed after {took:.1f} s"
            answers.gather(1.0)
            answers.settle()

    def test_a_message_that_does_not_end_has_its_time(self, servers):
        server = servers.parlor(set={"heartbeat.message_timeout_ms": 500})
        whole = frame(TEXT, '{"type":"ping","id":1,"payload":{"x":"' + "x" * 1_000 + '"}}')
        for begun in (whole[:20], whole[:3], frame(TEXT, "{", fin=False)):
            with Raw(server, path="/ws?user=ada") as raw:
                hello_of(raw)
                start = time.monotonic()
                raw.send(begun)
                while (got := raw.read_frame()).opcode != CLOSE:
                    pass
                assert got.code == 4102
                assert 0.3 < time.monotonic() - start < 2.5

    def test_any_message_counts_as_a_sign_of_life(self, servers):
        server = servers.parlor(set={"heartbeat.interval_ms": 500, "heartbeat.timeout_ms": 500})
        with Raw(server, path="/ws?user=ada") as raw:
            hello_of(raw)
            for _ in range(20):
                raw.send_frame(TEXT, '{"type":"ping","id":1}')
                time.sleep(0.1)
            raw.socket.setblocking(False)
            received = raw.socket.recv(1 << 20)
            assert b"\x88" not in received[:1] and received.count(b'"reply"') == 20

    def test_who_does_not_answer_a_close_is_ended_by_time(self, servers):
        server = servers.parlor(set={"closing.timeout_ms": 500, "limits.connections_per_user": 1})
        with Chat(server, "ada"), Raw(server, path="/ws?user=ada") as second:
            start = time.monotonic()
            while (got := second.read_frame()) is not None and got.opcode != CLOSE:
                pass
            assert got.code == 4004
            try:
                assert second.read_frame() is None
            except ConnectionResetError:
                pass
            assert time.monotonic() - start < 3
