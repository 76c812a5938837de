"""Each limit, made small: what is at it passes, what is beyond it is refused in its own way, is told in
`hello` where a client should know it, and is counted."""

import contextlib
import http.client
import select
import subprocess
import sys
import time

import pytest

import harness
from backend import until
from harness import CLOSE, CONTINUATION, HOST, PATIENCE, TEXT, Chat, Raw, Refused
from test_metrics import read


def limited(server, limit, **how):
    """How often a limit bit."""
    return read(server, **how)["parlor_limited_total", "limit", limit]


def asked(client, count, kind="ping"):
    """The refusals of so many requests that are sent at once; None for those that pass."""
    ids = [client.send(kind) for _ in range(count)]
    refusals = []
    for id in ids:
        try:
            client.answer(id)
            refusals.append(None)
        except Refused as refused:
            assert refused.code == "rate_limited"
            refusals.append(refused.payload["retry_after_ms"])
    return refusals


class TestConnections:
    def test_an_address_opens_so_many_in_a_minute(self, servers):
        server = servers.parlor(set={"limits.connections_per_address_minute": 4})
        # One was the look whether it is there.
        for _ in range(3):
            Raw(server, path="/ws?user=ada").end()
        with Raw(server, open=False) as beyond:
            # It is told so before it has sent anything.
            answer = beyond.read_answer()
        assert (answer.status, answer.error["code"]) == (429, "rate_limited")
        # A minute to its end, and a quarter of the next one.
        assert 60 < int(answer.fields["retry-after"]) <= 75
        with harness.socket.socket() as other:
            other.settimeout(PATIENCE)
            other.bind(("127.0.0.2", 0))
            other.connect((HOST, server.port))
            other.sendall(harness.request_head("/metrics", (("Host", HOST),)))
            head = other.recv(1 << 16)
            assert head.startswith(b"HTTP/1.1 200 ")
            text = head
            while b"# EOF" not in text:
                text += other.recv(1 << 16)
        line = 'parlor_connections_refused_total{reason="address_minute_limit"} 1'
        assert line in text.decode().splitlines()

    def test_there_are_so_many_in_all_and_one_more_is_told_so(self, servers):
        server = servers.parlor(set={"limits.connections": 2})
        with contextlib.ExitStack() as opened:
            kept = opened.enter_context(Raw(server, open=False))

            def metrics():
                kept.send(harness.request_head("/metrics", (("Host", HOST),)))
                length = int(kept.read_head().fields["content-length"])
                return kept._take(length).decode().splitlines()

            # That which asked whether the server is there has gone.
            until(lambda: 'parlor_connections{kind="http"} 1' in metrics())
            first = opened.enter_context(Raw(server, path="/ws?user=ada"))
            # More than are told so at once: those wait for that, and for no longer.
            beyond = [Raw(server, open=False) for _ in range(40)]
            for one in beyond:
                with one:
                    # It is told so before it has sent anything, and that is the end.
                    answer = one.read_answer()
                    assert (answer.status, answer.error["code"]) == (503, "overloaded")
                    assert answer.fields["retry-after"] == "10"
            first.send_frame(CLOSE, b"\x03\xe8")
            while first.read_frame().opcode != CLOSE:
                pass
            first.expect_end()
            Raw(server, path="/ws?user=ada").end()
            assert 'parlor_connections_refused_total{reason="limit"} 40' in metrics()


class TestRequests:
    def test_a_connection_has_a_rate(self, servers):
        server = servers.parlor(set={"limits.requests_per_second": 2, "limits.burst": 4})
        with Chat(server, "ada") as ada, Chat(server, "ada") as other:
            limits = ada.hello["limits"]
            assert (limits["requests_per_second"], limits["burst"]) == (2, 4)
            refusals = asked(ada, 8)
            assert refusals[:4] == [None] * 4 and all(0 < wait <= 500 for wait in refusals[4:])
            assert asked(other, 4) == [None] * 4, "each connection has its own"
            time.sleep(refusals[-1] / 1_000)
            assert asked(ada, 1) == [None]
            assert limited(server, "requests_per_second") == 4

    def test_whoever_is_over_a_rate_is_read_later(self, servers):
        rate = {"limits.requests_per_second": 1, "limits.burst": 1}
        with Chat(servers.parlor(set=rate), "ada") as ada:
            assert asked(ada, 1) == [None]
            # One after the other: each refusal but the last delays what comes next.
            begun, refused = time.monotonic(), 0
            while refused < 20:
                refused += asked(ada, 1) != [None]
            assert time.monotonic() - begun > 19 * 0.020

    def test_whoever_calls_too_often_is_read_later_on_that_connection(self, servers):
        server = servers.parlor(set={"limits.messages_per_minute": 1})
        connection = http.client.HTTPConnection(HOST, server.port, timeout=PATIENCE)

        def status():
            connection.request("POST", "/api/v1/call/ping?user=ada", b"{}")
            answer = connection.getresponse()
            answer.read()
            return answer.status

        with contextlib.closing(connection):
            assert status() == 200
            begun = time.monotonic()
            assert [status() for _ in range(20)] == [429] * 20
            assert time.monotonic() - begun > 19 * 0.020
            # Many that come at once are answered one after the other, until a hundred in a row were refused.
            connection.sock.sendall(
                b"POST /api/v1/call/ping?user=ada HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}" * 100
            )
            answers = b""
            while piece := connection.sock.recv(1 << 16):
                answers += piece
            answers = answers.split(b"HTTP/1.1 ")[1:]
            assert len(answers) == 80 and all(one.startswith(b"429 ") for one in answers)
            ends = [b"connection: close" in one.lower() for one in answers]
            assert ends == [False] * 79 + [True]

    def test_a_proxy_has_others_requests_on_its_connection_and_is_read_on(self, servers):
        server = servers.parlor(set={"limits.messages_per_minute": 1, "proxies.trusted": HOST})
        fields = {"X-Forwarded-For": "::1"}
        connection = http.client.HTTPConnection(HOST, server.port, timeout=PATIENCE)
        with contextlib.closing(connection):
            for status in [200] + [429] * 150:
                connection.request("POST", "/api/v1/call/ping?user=ada", b"{}", fields)
                answer = connection.getresponse()
                answer.read()
                assert answer.status == status and not answer.will_close

    def test_a_connection_has_so_many_messages_in_a_minute(self, servers):
        server = servers.parlor(set={"limits.messages_per_minute": 6})
        with Chat(server, "ada") as ada, Chat(server, "ada") as other:
            assert ada.hello["limits"]["messages_per_minute"] == 6
            refusals = asked(ada, 8)
            assert refusals[:6] == [None] * 6
            # The minute's end, and a sixth of the next one.
            assert all(60_000 < wait <= 70_000 for wait in refusals[6:])
            assert asked(other, 6) == [None] * 6
            assert limited(server, "messages_per_minute") == 2

    def test_a_user_has_so_many_calls_in_a_minute_over_http(self, servers):
        server = servers.parlor(set={"limits.messages_per_minute": 3})
        answers = [server.api("POST", "call/ping?user=ada", {}) for _ in range(4)]
        assert [status for status, _ in answers] == [200, 200, 200, 429]
        assert answers[-1][1]["error"]["retry_after_ms"] > 50_000
        assert server.api("POST", "call/ping?user=bob", {})[0] == 200

    def test_a_user_has_a_rate_over_all_connections_and_http(self, servers):
        server = servers.parlor(
            set={"limits.user_requests_per_second": 1, "limits.user_burst": 6}
        )
        with Chat(server, "ada") as one, Chat(server, "ada") as two, Chat(server, "bob") as bob:
            limits = one.hello["limits"]
            assert (limits["user_requests_per_second"], limits["user_burst"]) == (1, 6)
            began = time.monotonic()
            passed = asked(one, 3) + asked(two, 2)
            passed.append(None if server.api("POST", "call/ping?user=ada", {})[0] == 200 else 0)
            assert passed == [None] * 6
            refusals = asked(one, 2) + asked(two, 2)
            call = server.api("POST", "call/ping?user=ada", {})[0]
            if time.monotonic() - began < 1:
                assert all(0 < wait <= 1_000 for wait in refusals) and call == 429
                assert limited(server, "user_requests_per_second") == 5
            assert asked(bob, 6) == [None] * 6, "another has their own"

    def test_who_keeps_asking_beyond_a_users_rate_is_closed_with_4103(self, servers):
        server = servers.parlor(
            set={"limits.user_requests_per_second": 1, "limits.user_burst": 1}
        )
        with Chat(server, "ada") as ada:
            for _ in range(150):
                try:
                    ada.raw('{"type":"ping"}')
                except harness.ConnectionClosed:
                    break
            assert ada.closed() == 4103

    def test_bytes_too_many_are_read_later_and_nothing_is_lost(self, servers):
        server = servers.parlor(
            set={"limits.bytes_per_second": 20_000, "limits.bytes_burst": 20_000}
        )
        with Chat(server, "ada") as ada, Chat(server, "bob") as bob:
            limits = ada.hello["limits"]
            assert (limits["bytes_per_second"], limits["bytes_burst"]) == (20_000, 20_000)
            began = time.monotonic()
            for id in [ada.send("ping", pad="x" * 10_000) for _ in range(4)]:
                ada.answer(id)
            last = ada.send("ping")
            bob.request("ping")
            ada.answer(last)
            # 40,000 bytes: a burst at once, as many in the second after it.
            assert time.monotonic() - began > 0.9, "the last one was read too early"
            assert limited(server, "bytes_per_second") >= 1
            ada.request("ping")


ADMIN_TOKEN = "an admin's token, of more than 32 bytes"
CONFIG = """
[limits]
requests_per_second = 10
burst = 5
rooms = 1
subscriptions = 1
connections_per_user = 1
messages_per_minute = 50

[streams]
"s:{n}" = { publish = true }

[limits.users."bot"]
burst = 20
subscriptions = 3
rooms = 3
connections_per_user = 2
messages_per_minute = 0

[limits.users."child"]
text_bytes = 10

[limits.claims]
burst = 12
rooms = 2
"""


class TestExceptions:
    def serve(self, servers, config=CONFIG):
        path = servers.directory() / "parlor.toml"
        path.write_text(config)
        server = servers.parlor(
            "--secret-file",
            servers.secret_file(),
            "--config",
            path,
            roomy=False,
            env={"PARLOR_ADMIN_TOKEN": ADMIN_TOKEN},
        )
        server.config = path
        return server

    def hello(self, server, user, **claims):
        """The limits that somebody is told."""
        with Chat(server, token=harness.token(user, **claims)) as client:
            return client.hello["limits"]

    def reload(self, server, config):
        before = server.output().count("configuration, read again")
        server.config.write_text(config)
        server.signal(harness.signal.SIGHUP)
        deadline = time.monotonic() + PATIENCE
        while server.output().count("configuration, read again") == before:
            assert time.monotonic() < deadline, server.output()
            time.sleep(0.02)

    def test_a_user_has_the_limits_that_the_configuration_has_for_them(self, servers):
        server = self.serve(servers)
        with Chat(server, token=harness.token("bot")) as bot:
            limits = bot.hello["limits"]
            assert (limits["burst"], limits["rooms"], limits["requests_per_second"]) == (20, 3, 10)
            assert limits["connections_per_user"] == 2
            assert "messages_per_minute" not in limits
            assert bot.request("info")["limits"] == limits
            for number in range(3):
                bot.join(f"of-bot-{number}")
            assert bot.refusal("room:join", room="of-bot-3")["limit"] == 3
            bot.request("subscribe", streams=["s:1", "s:2"])
            assert bot.refusal("subscribe", streams=["s:3", "s:4"])["limit"] == 3
            assert asked(bot, 12)[:11] == [None] * 11
            with Chat(server, token=harness.token("bot")):
                with Chat(server, token=harness.token("bot"), hello=False) as third:
                    assert third.closed() == 4004
        with Chat(server, token=harness.token("ada")) as ada:
            assert ada.hello["limits"]["burst"] == 5
            ada.join("of-ada")
            assert ada.refusal("room:join", room="of-ada-2")["limit"] == 1
            assert ada.refusal("subscribe", streams=["s:1", "s:2"])["limit"] == 1
            assert asked(ada, 6) != [None] * 6
            with Chat(server, token=harness.token("ada"), hello=False) as second:
                assert second.closed() == 4004
        with Chat(server, token=harness.token("child")) as child:
            child.join("of-child")
            assert child.refusal("chat:send", room="of-child", text="x" * 11)["limit"] == 10

    def test_a_user_has_them_over_http_too(self, servers):
        server = self.serve(servers)

        token = harness.token("bot")
        made = [server.api("PUT", f"rooms/bot-{n}", {}, token) for n in range(4)]
        assert [status for status, _ in made[:3]] == [201] * 3
        assert (made[3][1]["error"]["code"], made[3][1]["error"]["limit"]) == ("quota", 3)

        def passed(user, **claims):
            token = harness.token(user, **claims)
            return [server.api("POST", "call/ping", {}, token)[0] for _ in range(16)].count(200)

        assert passed("bot") == 16 > passed("ada") > passed("eve", limits={"burst": 1})

    def test_a_token_asks_for_less_or_for_more_up_to_the_ceiling(self, servers):
        server = self.serve(servers)
        for asked_for, told in ((3, 3), (7, 7), (100, 12)):
            assert self.hello(server, "ada", limits={"burst": asked_for})["burst"] == told
        # Where there is no ceiling one asks for less alone.
        limits = {"requests_per_second": 99, "messages_per_minute": 0, "text_bytes": 5, "others": "x"}
        told = self.hello(server, "eve", limits=limits)
        assert (told["requests_per_second"], told["messages_per_minute"], told["text_bytes"]) == (10, 50, 5)
        # An exception of the configuration is what counts for its user.
        assert self.hello(server, "bot", limits={"burst": 15})["burst"] == 15
        assert self.hello(server, "bot", limits={"burst": 99})["burst"] == 20
        with Chat(server, token=harness.token("joe", limits={"rooms": 2})) as joe:
            joe.join("of-joe-1")
            joe.join("of-joe-2")
            assert joe.refusal("room:join", room="of-joe-3")["limit"] == 2

    def test_a_new_token_replaces_what_the_old_one_asked_for(self, servers):
        server = self.serve(servers)
        with Chat(server, token=harness.token("ada", limits={"burst": 12})) as ada:
            assert ada.hello["limits"]["burst"] == 12
            ada.request("auth", token=harness.token("ada", limits={"text_bytes": 9}))
            limits = ada.request("info")["limits"]
            assert (limits["burst"], limits["text_bytes"]) == (5, 9)

    def test_a_claim_that_is_no_limit_makes_a_token_bad(self, servers):
        server = self.serve(servers)
        for wrong in ([], 7, {"burst": 0}, {"burst": -1}, {"burst": "9"}, {"rooms": 1.5}, {"rooms": 1 << 32}):
            token = harness.token("ada", limits=wrong)
            assert server.api("POST", "call/ping", {}, token)[0] == 401, wrong

    def test_sighup_reads_them_again_for_those_who_are_here(self, servers):
        server = self.serve(servers)
        with (
            Chat(server, token=harness.token("bot")) as bot,
            Chat(server, token=harness.token("ada", limits={"burst": 10})) as ada,
        ):
            assert ada.hello["limits"]["burst"] == 10
            config = CONFIG.replace("burst = 20", "burst = 25").replace("burst = 12", "burst = 8")
            self.reload(server, config)
            assert 'limits.users: ' in server.output()
            assert bot.request("info")["limits"]["burst"] == 25
            assert ada.request("info")["limits"]["burst"] == 8
            self.reload(server, "[limits]\nburst = 6\n")
            assert bot.request("info")["limits"]["burst"] == 6
            assert ada.request("info")["limits"]["burst"] == 6

    def test_what_is_wrong_is_told_with_its_place(self, servers):
        path = servers.directory() / "parlor.toml"
        path.write_text('[limits.users."bot"]\nbursts = 7\nrooms = -1\n[limits.claims]\nburst = 0\n')
        done = harness.run_parlor("config", "--check", path)
        assert done.returncode == 2
        for said in (":2:1: limits of \"bot\"", "did you mean burst?", ":3:9:", ":5:9: limits of \"claims\""):
            assert said in done.stderr, done.stderr

    def test_parlor_token_asks_for_them(self, servers):
        server = self.serve(servers)
        made = harness.run_parlor(
            "token", "--user", "ada", "--limit", "burst=3", env={"PARLOR_SECRET": harness.SECRET}
        )
        with Chat(server, token=made.stdout.strip()) as ada:
            assert ada.hello["limits"]["burst"] == 3
        wrong = harness.run_parlor("token", "--user", "ada", "--limit", "burst=0")
        assert wrong.returncode == 2 and "at least 1" in wrong.stderr


def metric(server, name, *labels):
    return read(server)[(name, *labels)] if labels else read(server)[name]


SMALL = {
    "limits.message_bytes": 2_000,
    "limits.text_bytes": 100,
    "limits.data_bytes": 50,
    "limits.cid_bytes": 8,
    "limits.emoji_bytes": 4,
    "limits.title_bytes": 10,
    "limits.create_members": 2,
    "limits.fragments": 3,
    "limits.page": 3,
    "limits.head_bytes": 600,
    "limits.headers": 8,
    "http.body_bytes": 300,
}


@pytest.fixture(scope="module")
def small(module_servers):
    return module_servers.parlor(set=SMALL)


class TestSizes:
    """What is too large, at its limit and one beyond."""

    def test_hello_says_them(self, small):
        told = {
            name.removeprefix("limits."): value
            for name, value in SMALL.items()
            if name not in ("limits.head_bytes", "limits.headers", "http.body_bytes")
        }
        with Chat(small, "ada") as ada:
            assert told.items() <= ada.hello["limits"].items()

    def test_what_a_request_has_is_as_large_as_it_may_be(self, small):
        with Chat(small, "ada") as ada:
            ada.join("sizes")
            sent = ada.say("sizes", "x" * 100, data="y" * 48, cid="z" * 8)
            ada.request("chat:react", room="sizes", seq=sent["seq"], emoji="+" * 4)
            ada.request("room:create", room="titled", title="t" * 10, members=["bob", "eve"])
            before = metric(small, "parlor_requests_total", "outcome", "too_large")
            for kind, payload, limit in (
                ("chat:send", {"room": "sizes", "text": "x" * 101}, 100),
                ("chat:send", {"room": "sizes", "text": "", "data": "y" * 49}, 50),
                ("chat:send", {"room": "sizes", "text": "", "cid": "z" * 9}, 8),
                ("chat:react", {"room": "sizes", "seq": sent["seq"], "emoji": "+" * 5}, 4),
                ("room:create", {"room": "other", "title": "t" * 11}, 10),
                ("room:create", {"room": "other", "members": ["bob", "eve", "joe"]}, 2),
            ):
                refusal = ada.refusal(kind, payload)
                assert (refusal["code"], refusal["limit"]) == ("too_large", limit), kind
            assert metric(small, "parlor_requests_total", "outcome", "too_large") == before + 6

    def test_a_page_has_so_many_entries(self, small):
        with Chat(small, "ada") as ada:
            ada.join("paged")
            for number in range(5):
                ada.say("paged", str(number))
            page = ada.history("paged", limit=100)
            assert (len(page["entries"]), page["more"]) == (3, True)

    def test_a_message_and_its_fragments_are_closed_with_1009_beyond_it(self, small):
        text = '{"type":"ping","id":1,"pad":"%s"}'
        closed = ("parlor_websockets_closed_total", "by", "server", "code", "1009")
        before = metric(small, *closed)
        with Raw(small, path="/ws?user=ada") as at_it, Raw(small, path="/ws?user=bob") as beyond:
            for client, length in ((at_it, 2_000), (beyond, 2_001)):
                client.read_message()
                client.send_frame(TEXT, text % ("x" * (length - len(text) + 2)))
            while b'"reply"' not in at_it.read_message().payload:
                pass
            while (frame := beyond.read_frame()).opcode != CLOSE:
                pass
            assert frame.code == 1009
        with Raw(small, path="/ws?user=ada") as client:
            client.send_frame(TEXT, "a", fin=False)
            for _ in range(3):
                client.send_frame(CONTINUATION, "b", fin=False)
            while (frame := client.read_frame()).opcode != CLOSE:
                pass
            assert frame.code == 1009
        assert metric(small, *closed) == before + 2

    def test_a_head_and_a_body_of_http_are_refused_beyond_it(self, small):
        def status(path="/healthz", **how):
            return small.http(path, **how)[0]

        assert status(headers={"X": "y" * 400}) == 200
        assert status(headers={"X": "y" * 600}) == 431
        assert status(headers={f"X-{n}": "y" for n in range(5)}) == 200
        assert status(headers={f"X-{n}": "y" for n in range(9)}) == 431
        call = "/api/v1/call/ping?user=ada"
        body = b'{"pad":"%s"}'
        assert status(call, method="POST", body=body % (b"x" * 290)) == 200
        assert status(call, method="POST", body=body % (b"x" * 291)) == 413
        assert metric(small, "parlor_http_responses_total", "status", "431") == 2
        assert metric(small, "parlor_http_responses_total", "status", "413") == 1


class TestNumbers:
    """What one may have so many of."""

    def beyond(self, client, limit, many, kind, **payload):
        """A request that is one too many, and counted as that."""
        before = metric(client.server, "parlor_limited_total", "limit", limit)
        refusal = client.refusal(kind, payload)
        assert (refusal["code"], refusal["limit"]) == ("quota", many)
        assert metric(client.server, "parlor_limited_total", "limit", limit) == before + 1

    def test_rooms_and_who_is_in_them(self, servers):
        server = servers.parlor(
            set={
                "limits.rooms": 2,
                "limits.direct_rooms": 1,
                "limits.room_members": 2,
                "limits.invites": 1,
            }
        )
        with Chat(server, "ada") as ada, Chat(server, "bob") as bob, Chat(server, "eve") as eve:
            limits = ada.hello["limits"]
            assert [limits[name] for name in ("rooms", "direct_rooms", "room_members", "invites")] == [2, 1, 2, 1]
            ada.join("one")
            ada.request("room:create", room="two")
            self.beyond(ada, "rooms", 2, "room:join", room="three")
            bob.join("one")
            self.beyond(eve, "room_members", 2, "room:join", room="one")
            ada.request("chat:send", to="bob", text="hello")
            self.beyond(ada, "direct_rooms", 1, "chat:send", to="eve", text="hello")
            ada.request("room:invite", room="two", user="joe")
            eve.request("room:create", room="of-eve")
            self.beyond(eve, "invites", 1, "room:invite", room="of-eve", user="joe")
            refusal = eve.refusal("room:create", {"members": ["eve", "joe"]})
            assert (refusal["code"], refusal["limit"], refusal["field"]) == ("quota", 1, "members[1]")

    def test_rooms_in_all(self, servers):
        server = servers.parlor(set={"limits.all_rooms": 1})
        with Chat(server, "ada") as ada:
            ada.join("one")
            # To wait would not help: somebody has to give one back.
            assert ada.refused("room:join", room="two") == "quota"
            assert metric(server, "parlor_limited_total", "limit", "all_rooms") == 1
            ada.request("room:delete", room="one")
            ada.join("two")
        server.stop()
        again = servers.parlor(data=server.data, set={"limits.all_rooms": 1})
        with Chat(again, "ada") as ada:
            assert ada.refused("room:join", room="three") == "quota"
            ada.request("room:delete", room="two")
            assert ada.refused("room:create", room="one") == "conflict", "a name stays taken"
            ada.join("three")

    def test_streams_that_one_watches_and_their_filters(self, servers):
        server = servers.parlor(
            set={
                "limits.subscriptions": 3,
                "limits.filters": 2,
                "limits.stream_filters": 1,
                "limits.filter_values": 2,
                "limits.filter_depth": 2,
                "limits.streams": 4,
                "streams": '{ "s:{n}" = { publish = true }, a = { publish = true }, b = { publish = true } }',
            }
        )
        with Chat(server, "ada") as ada, Chat(server, "bob") as bob:
            limits = ada.hello["limits"]
            told = {"subscriptions": 3, "filters": 2, "filter_values": 2, "filter_depth": 2}
            assert told.items() <= limits.items()
            ada.request("subscribe", stream="a", filter={"/x": 1})
            self.beyond(bob, "stream_filters", 1, "subscribe", stream="a", filter={"/x": 2})
            ada.request("subscribe", stream="b", filter={"/x/y": {"in": [1, 2]}})
            self.beyond(ada, "filters", 2, "subscribe", stream="s:1", filter={"/x": 1})
            for wrong in ({"/x/y/z": 1}, {"/x": {"in": [1, 2, 3]}}):
                refusal = bob.refusal("subscribe", stream="b", filter=wrong)
                assert (refusal["code"], refusal["limit"]) == ("too_large", 2)
            ada.request("subscribe", stream="s:1")
            self.beyond(ada, "subscriptions", 3, "subscribe", stream="s:2")
            bob.request("subscribe", stream="s:2")
            self.beyond(bob, "streams", 4, "subscribe", stream="s:3")

    def test_guests(self, servers):
        server = servers.parlor(
            set={
                "auth.anonymous": "true",
                "limits.guests": 1,
                "limits.guest_requests_per_second": 1,
                "limits.guest_burst": 2,
                "limits.user_work_per_second": 7,
            }
        )
        with Chat(server, anonymous=1) as guest:
            limits = guest.hello["limits"]
            assert (limits["requests_per_second"], limits["burst"]) == (1, 2)
            # Their address pays for work.
            assert "user_work_per_second" not in limits
            assert asked(guest, 3)[2] is not None
            with Raw(server, path="/ws?anonymous=1", open=False) as second:
                second.send(harness.request_head("/ws?anonymous=1"))
                assert second.read_answer().status == 429
            assert limited(server, "guest_requests_per_second") >= 1
            assert limited(server, "guests") == 1

    def test_connections_of_a_user_and_of_an_address(self, servers):
        server = servers.parlor(
            set={"limits.connections_per_user": 1, "limits.connections_per_address": 8}
        )
        with Chat(server, "ada") as first, Chat(server, "ada", hello=False) as second:
            assert first.hello["limits"]["connections_per_user"] == 1
            assert second.closed() == 4004
            held = [Raw(server, open=False) for _ in range(8)]
            # One of them is one too many, whether or not those before have gone: the last, or with
            # several threads the one that is dealt with last.
            sockets = [one.socket for one in held]
            answered, _, _ = select.select(sockets, [], [], PATIENCE)
            assert [held[sockets.index(one)].read_answer().status for one in answered] == [429]
            for one in held:
                one.end()
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                metrics = read(server)
                break
            except AssertionError:
                assert time.monotonic() < deadline
        assert metrics["parlor_websockets_closed_total", "by", "server", "code", "4004"] == 1
        assert metrics["parlor_connections_refused_total", "reason", "address_limit"] >= 1


class TestKept:
    """What of logs is at hand without the store."""

    @pytest.mark.parametrize("limit, kept", [({"limits.tail_entries": 2}, 2), ({"limits.tail_bytes": 4_000}, 3)])
    def test_what_of_a_room_is_in_memory_is_not_read_from_the_store(self, servers, limit, kept):
        server = servers.parlor(set={"limits.tail_entries": 100, "limits.tail_bytes": 1 << 20, **limit})

        def pages_for(missed):
            """How many pages it took to go on so far behind the head."""
            before = metric(server, "parlor_store_pages_read_total")
            with Chat(server, "ada", resume=1) as again:
                again.request("resume", epoch=again.hello["epoch"], rooms={"tea": head - missed})
                seqs = [again.push("chat:message")["seq"] for _ in range(missed)]
            assert seqs == list(range(head - missed + 1, head + 1))
            return metric(server, "parlor_store_pages_read_total") - before

        with Chat(server, "ada") as ada:
            ada.join("tea")
            head = [ada.say("tea", "x" * 1_000) for _ in range(6)][-1]["seq"]
        assert [pages_for(missed) for missed in (1, kept, kept + 1)] == [0, 0, 1]

    def test_what_of_a_stream_is_kept(self, servers):
        row = "s = { keep = 100, publish = true, max_bytes = 5_000 }"
        server = servers.parlor(set={"streams": f"{{ {row} }}", "limits.stream_bytes": 4_000})

        def snapshot(**since):
            with Chat(server, "eve") as eve:
                (told,) = eve.request("subscribe", stream="s", **since)["streams"]
                return [event["seq"] for event in told.get("snapshot", [])], told.get("replayed"), told["epoch"]

        with Chat(server, "ada") as ada:
            for _ in range(6):
                ada.request("publish", stream="s", data="x" * 1_000)
            seqs, _, epoch = snapshot()
            assert seqs == [4, 5, 6]
            assert metric(server, "parlor_stream_events_cut_total") == 3
            # Who goes on from before that begins anew, and is told so.
            assert snapshot(since=3, epoch=epoch)[1] is True
            assert snapshot(since=2, epoch=epoch)[:2] == ([4, 5, 6], False)
            ada.request("publish", stream="s", data="y" * 4_500)
            assert snapshot()[0] == [7], "the newest is kept, however large"


class TestAbuse:
    def test_so_many_malformed_requests_are_closed_with_4000(self, servers):
        server = servers.parlor(set={"limits.malformed_requests": 5})
        with Chat(server, "ada") as ada:
            for _ in range(4):
                ada.raw("garbage")
            ada.settle()
            ada.raw("garbage")
            assert ada.closed() == 4000
        metrics = read(server)
        assert metrics["parlor_websockets_closed_total", "by", "server", "code", "4000"] == 1

    def test_so_many_requests_over_the_rate_are_closed_with_4103(self, servers):
        server = servers.parlor(
            set={"limits.requests_per_second": 1, "limits.burst": 1, "limits.limited_requests": 5}
        )
        with Chat(server, "ada") as ada:
            assert asked(ada, 5)[1:] != [None] * 4
            ada.send("ping")
            assert ada.closed() == 4103
        metrics = read(server)
        assert metrics["parlor_websockets_closed_total", "by", "server", "code", "4103"] == 1

    def test_whoever_sends_on_after_that_is_read_slowly(self, servers):
        server = servers.parlor(set={"limits.limited_requests": 5})
        with Raw(server, path="/ws?user=ada") as ada:
            burst, sent = harness.frame(TEXT, b'{"type":"ping"}') * 10_000, 0
            begun, end = time.monotonic(), time.monotonic() + 2
            ada.socket.settimeout(0.1)
            with contextlib.suppress(ConnectionError):
                while time.monotonic() < end:
                    with contextlib.suppress(TimeoutError):
                        sent += ada.socket.send(burst[sent % len(burst) :])
            # It goes on when it is closed.
            assert sent > 2e6
            read_bytes = read(server)["parlor_received_bytes_total",]
            # 512 KiB in 30 ms, and what came before the Close.
            assert read_bytes < (time.monotonic() - begun) * 18e6 + 4e6
            with Chat(server, "bob") as bob:
                bob.settle()

    def test_the_window_of_abuse_ends(self, servers):
        server = servers.parlor(
            set={"limits.malformed_requests": 3, "limits.abuse_window_ms": 100}
        )
        with Chat(server, "ada") as ada:
            for _ in range(3):
                ada.raw("garbage")
                ada.raw("garbage")
                ada.settle()
                time.sleep(0.15)
            ada.settle()


class TestTimes:
    def test_who_does_not_say_who_they_are_in_time_is_closed_with_4002(self, servers):
        server = servers.parlor(
            "--secret-file",
            servers.secret_file(),
            set={"auth.timeout_ms": 100, "metrics.public": "true"},
        )
        with Chat(server, hello=False) as nobody:
            assert nobody.closed() == 4002
        metrics = read(server)
        assert metrics["parlor_websockets_closed_total", "by", "server", "code", "4002"] == 1

    def test_a_head_a_body_and_silence_have_their_time(self, servers):
        server = servers.parlor(
            set={
                "handshake.timeout_ms": 150,
                "http.body_timeout_ms": 150,
                "http.idle_timeout_ms": 150,
            }
        )
        call = (("Host", HOST), ("Content-Length", "9"))
        for sent in (b"GET /", harness.request_head("/api/v1/call/ping?user=a", call, "POST") + b"{"):
            with Raw(server, open=False) as client:
                client.send(sent)
                assert client.read_answer().status == 408
        with Raw(server, open=False) as idle:
            idle.send(harness.request_head("/readyz", (("Host", HOST),)))
            idle._take(int(idle.read_head().fields["content-length"]))
            idle.expect_end()
        assert metric(server, "parlor_http_responses_total", "status", "408") == 2

    def test_a_peer_that_is_silent_and_a_message_that_does_not_end_are_closed_with_4102(self, servers):
        server = servers.parlor(
            set={
                "heartbeat.interval_ms": 100,
                "heartbeat.timeout_ms": 100,
                "heartbeat.message_timeout_ms": 150,
                "closing.timeout_ms": 200,
            }
        )
        with Raw(server, path="/ws?user=ada") as silent, Raw(server, path="/ws?user=bob") as slow:
            slow.send_frame(TEXT, '{"type"', fin=False)
            for client in (silent, slow):
                while (frame := client.read_frame()).opcode != CLOSE:
                    pass
                assert frame.code == 4102
        metrics = read(server)
        assert metrics["parlor_websockets_closed_total", "by", "server", "code", "4102"] == 2


@pytest.mark.seconds(60)
def test_a_quiet_client_is_answered_beside_one_that_floods():
    """Each request is; how long that takes is what `make measure-flood` shows."""
    script = harness.ROOT / "tests/measure/flood.py"
    done = subprocess.run(
        [sys.executable, script, "--rounds", "1", "--samples", "30"],
        env={**harness.clean_environment(), "PARLOR_BIN": str(harness.parlor_binary())},
        capture_output=True,
        text=True,
        timeout=55,
    )
    assert done.returncode == 0, done.stderr
    rows = [line.split("|")[1].strip() for line in done.stdout.splitlines() if line.startswith("| ")]
    fast = ["small", "large", "http", "connects", "tokens", "webhooks", "scrapes", "cookies"]
    assert rows == ["flood", "---", *fast, "info", "edits", "history", "unread", "rooms", "handlers", "filters"]
