"""Each limit, made small: what is at it passes, what is beyond it is refused in its own way, is told in
`hello` where a client should know it, and is counted."""

import subprocess
import sys
import time

import harness
from harness import HOST, PATIENCE, Chat, Raw, Refused
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


class TestRequests:
    def test_a_connection_has_a_rate(self, servers):
        server = servers.parlor(set={"limits.requests_per_second": 5, "limits.burst": 4})
        with Chat(server, "ada") as ada, Chat(server, "ada") as other:
            limits = ada.hello["limits"]
            assert (limits["requests_per_second"], limits["burst"]) == (5, 4)
            refusals = asked(ada, 8)
            assert refusals[:4] == [None] * 4 and all(0 < wait <= 200 for wait in refusals[4:])
            assert asked(other, 4) == [None] * 4, "each connection has its own"
            time.sleep(refusals[-1] / 1_000)
            assert asked(ada, 1) == [None]
            assert limited(server, "requests_per_second") == 4

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
connections_per_user = 1
messages_per_minute = 50

[limits.users."bot"]
burst = 20
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
            assert "messages_per_minute" not in limits
            assert bot.request("info")["limits"] == limits
            for number in range(3):
                bot.join(f"of-bot-{number}")
            assert bot.refusal("room:join", room="of-bot-3")["limit"] == 3
            assert asked(bot, 14)[:13] == [None] * 13
            with Chat(server, token=harness.token("bot")):
                with Chat(server, token=harness.token("bot"), hello=False) as third:
                    assert third.closed() == 4004
        with Chat(server, token=harness.token("ada")) as ada:
            assert ada.hello["limits"]["burst"] == 5
            ada.join("of-ada")
            assert ada.refusal("room:join", room="of-ada-2")["limit"] == 1
            assert asked(ada, 6)[-1] is not None
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


def test_a_quiet_client_is_answered_beside_one_that_floods():
    """Each request is; how long that takes is what `make measure-flood` shows."""
    script = harness.ROOT / "tests/measure/flood.py"
    done = subprocess.run(
        [sys.executable, script, "--rounds", "1", "--samples", "30"],
        env={**harness.clean_environment(), "PARLOR_BIN": str(harness.parlor_binary())},
        capture_output=True,
        text=True,
        timeout=25,
    )
    assert done.returncode == 0, done.stderr
    rows = [line.split("|")[1].strip() for line in done.stdout.splitlines() if line.startswith("| ")]
    assert rows == ["flood", "---", "small", "large", "http", "connects"]
