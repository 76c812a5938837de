"""Who pays for what: nobody takes what belongs to all, strangers least. Each attack was one that worked; `make
measure-flood` times a quiet client beside each."""

import contextlib
import json
import os
import re
import resource
import select
import signal
import socket
import time
from contextlib import ExitStack, contextmanager

import pytest

import harness
from backend import Backend, signature, until
from harness import HOST, PATIENCE, Chat, Raw, Refused, b64url, request_head, token
from keys import Es256, Rs256, jwks
from test_limits import limited
from test_metrics import read
from test_rooms import Pipe

HOOK_SECRET = "what they and we alone know, in enough bytes"
ADMIN = "an admin token for tests, of more than 32 bytes"
#: The budgets under test, small.
PROOFS = {"limits.failed_proofs_per_second": 1, "limits.failed_proofs_burst": 8}
ES256, RS256 = Es256("ec"), Rs256("rsa")


@pytest.fixture
def start(servers):
    """Starts a server with a secret and two public keys, and default limits but for those that are said."""

    def begin(*arguments, **set):
        folder = servers.directory()
        keys = folder / "keys.json"
        keys.write_text(jwks(ES256, RS256))
        keys.chmod(0o600)
        return servers.parlor(
            "--secret-file", servers.secret_file(), "--key-file", keys, *arguments, roomy=False,
            set={"metrics.public": "true", **set}, env={"PARLOR_ADMIN_TOKEN": ADMIN, "A_HOOK": HOOK_SECRET},
        )

    return begin


def wrong(key, sub="eve"):
    """A token whose signature is as long as a right one, and wrong: another each time."""
    head, claims, right = key.token(sub).split(".")
    return f"{head}.{claims}.{b64url(os.urandom(len(right) * 3 // 4))}"


def bearer(jwt):
    return {"Authorization": f"Bearer {jwt}"}


def ask(server, jwt, path="/api/v1/info"):
    """The status, and the fields, of a call with a token."""
    status, fields, _ = server.http(path, headers=bearer(jwt))
    return status, fields


def from_other_address(server, text):
    """What is answered to a request from another address of this machine."""
    with socket.socket() as other:
        other.settimeout(PATIENCE)
        other.bind(("127.0.0.2", 0))
        other.connect((HOST, server.port))
        other.sendall(text)
        said = b""
        while b"\r\n\r\n" not in said:
            said += other.recv(1 << 16)
        return int(said.split()[1])


class TestFailedProofs:
    @pytest.mark.parametrize("key", [ES256, RS256], ids=["ES256", "RS256"])
    def test_an_address_may_fail_so_often_and_who_is_known_or_elsewhere_goes_on(self, start, key):
        server = start(**PROOFS)
        known = harness.token("known")
        assert ask(server, known)[0] == 200
        # What is right costs nothing, however often it comes, and whoever brings it.
        assert [ask(server, harness.token(f"u{n}"))[0] for n in range(20)] == [200] * 20
        said = [ask(server, wrong(key)) for _ in range(12)]
        statuses = [status for status, _ in said]
        assert set(statuses[:8]) == {401} and 429 in statuses and set(statuses[8:]) <= {401, 429}
        fields = next(fields for status, fields in said if status == 429)
        assert (fields["retry-after"], fields["connection"].lower()) == ("1", "close")
        # A token that was judged a moment ago costs nothing now, either.
        assert ask(server, known)[0] == 200
        assert limited(server, "failed_proofs_per_second") == statuses.count(429)
        head = [("Host", HOST), ("Authorization", f"Bearer {harness.token('new')}")]
        assert from_other_address(server, request_head("/api/v1/info", head)) == 200
        time.sleep(1.1)
        assert ask(server, wrong(key))[0] == 401, "one a second"

    def test_the_same_wrong_token_again_costs_nothing(self, start):
        server = start(**PROOFS)
        same = wrong(ES256)
        assert {ask(server, same)[0] for _ in range(40)} == {401}
        assert ask(server, harness.token("new"))[0] == 200
        assert limited(server, "failed_proofs_per_second") == 0

    def test_what_costs_no_signature_costs_nothing(self, start):
        server = start(**PROOFS)
        unknown = Es256("another")
        for number in range(20):
            assert ask(server, f"not-a-token-{number}")[0] == 401
            assert ask(server, unknown.token(f"u{number}"))[0] == 401
        assert ask(server, harness.token("new"))[0] == 200
        assert limited(server, "failed_proofs_per_second") == 0

    @pytest.mark.parametrize("mode", ["no-cors", "navigate"])
    def test_a_page_elsewhere_spends_nothing_of_its_visitors(self, start, mode):
        server = start(**PROOFS)
        elsewhere = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": mode}
        for path in ("/api/v1/events", "/api/v1/streams/x?multipart=1"):
            for _ in range(12):
                joint = "&" if "?" in path else "?"
                asked = f"{path}{joint}token={wrong(ES256)}"
                assert server.http(asked, headers=elsewhere)[0] in (403, 404)
        assert ask(server, harness.token("new"))[0] == 200
        assert limited(server, "failed_proofs_per_second") == 0

    def test_a_token_that_is_remembered_is_still_judged_by_its_time_and_by_what_was_revoked(self, start):
        server = start(**{"auth.leeway_ms": 0})
        short = harness.token("short", ttl=2)
        assert ask(server, short)[0] == 200
        revoked = harness.token("revoked", jti="j-1")
        assert ask(server, revoked)[0] == 200
        assert server.api("POST", "call/auth:revoke", {"jti": "j-1"}, token=ADMIN)[0] < 300
        assert ask(server, revoked)[0] == 401
        time.sleep(2.1)
        assert ask(server, short)[0] == 401

    @pytest.mark.parametrize("way", ["header", "query", "subprotocol", "events", "cookie", "code"])
    def test_on_each_way_it_is_429_and_the_connection_ends(self, start, way):
        server = start(**PROOFS)

        def head(jwt):
            fields = [("Host", HOST)]
            if way == "header":
                return request_head("/ws", [*harness.FIELDS, ("Authorization", f"Bearer {jwt}")])
            if way == "query":
                return request_head(f"/ws?token={jwt}")
            if way == "subprotocol":
                return request_head("/ws", [*harness.FIELDS, ("Sec-WebSocket-Protocol", f"bearer.{jwt}")])
            if way == "events":
                return request_head(f"/api/v1/events?token={jwt}", fields)
            if way == "cookie":
                cookie = ("Cookie", f"parlor_sign_in={jwt}")
                return request_head("/api/v1/sign-in", [*fields, cookie, ("Sec-Fetch-Site", "same-origin")])
            content = json.dumps({"code": jwt}).encode()
            here = [*fields, ("Origin", f"http://{HOST}"), ("Content-Length", str(len(content)))]
            return request_head("/api/v1/sign-in", here, method="POST") + content

        statuses = []
        for number in range(12):
            # Cookies are signed by the server alone, with a secret.
            forged = harness.token(f"u{number}", secret="not that of the server's own cookies")
            with Raw(server, open=False) as raw:
                raw.send(head(forged if way == "cookie" else wrong(ES256)))
                answer = raw.read_head()
                statuses.append(answer.status)
                if answer.status == 429:
                    assert answer.fields["connection"].lower() == "close"
        # A cookie that is no good is nobody's.
        assert set(statuses[:8]) == {200 if way == "cookie" else 401}
        assert 429 in statuses[8:]

    def test_as_a_message_it_closes_with_4103_and_a_refresh_is_refused(self, start):
        server = start(**PROOFS)
        here = Chat(server, token=harness.token("ada"))
        closes = []
        for _ in range(12):
            with Chat(server, hello=False) as late:
                late.raw(json.dumps({"type": "auth", "payload": {"token": wrong(ES256)}}))
                closes.append(late.closed())
                if closes[-1] == 4103:
                    error = json.loads(late.texts[-1])["payload"]
                    assert error["close"] == 4103 and 0 < error["retry_after_ms"] <= 1_000
        assert set(closes[:8]) == {4001} and 4103 in closes[8:]
        refused = here.refusal("auth", token=wrong(ES256, "ada"))
        assert refused["code"] == "rate_limited" and 0 < refused["retry_after_ms"] <= 1_000
        assert here.request("ping")["ts"] > 0
        here.end()

    def test_a_signature_is_looked_at_once_in_a_turn_and_the_others_wait(self, start):
        """Requests behind each other on one connection do not keep the loop until all were judged."""
        server = start()
        requests = b"".join(
            request_head("/api/v1/info", [("Host", HOST), ("Authorization", f"Bearer {wrong(ES256)}")])
            for _ in range(40)
        )
        before = read(server)["parlor_loop_turn_seconds_count"]
        with Raw(server, open=False) as raw:
            raw.send(requests)
            assert [raw_answer(raw).status for _ in range(40)] == [401] * 40
        assert read(server)["parlor_loop_turn_seconds_count"] - before >= 40

    def test_a_large_content_whose_signature_is_wrong_weighs_as_much(self, servers):
        stream = '{ h = { webhook = { path = "/hook", secret_env = "A_HOOK" } } }'
        server = servers.parlor(
            "--secret-file", servers.secret_file(), roomy=False, env={"A_HOOK": HOOK_SECRET},
            set={**PROOFS, "streams": stream, "metrics.public": "true"},
        )

        def post(content, mark):
            fields = {"X-Hub-Signature-256": mark, "Content-Type": "application/json"}
            return server.http("/hook", "POST", fields, content)

        large = json.dumps("x" * 60_000).encode()
        # What is right costs nothing, however large.
        for _ in range(5):
            assert post(large, signature(HOOK_SECRET, large))[0] == 202
        forged = "sha256=" + "0" * 64
        assert [post(large, forged)[0] for _ in range(3)] == [401, 401, 429]
        assert limited(server, "failed_proofs_per_second") == 1
        # It is not even waited for: the head is refused.
        for _ in range(8):
            post(b"{}", forged)
        with Raw(server, open=False) as raw:
            length = ("Content-Length", "900000")
            raw.send(request_head("/hook", [("Host", HOST), ("X-Hub-Signature-256", forged), length], "POST"))
            answer = raw.read_answer()
        assert (answer.status, answer.error["code"]) == (429, "rate_limited")
        assert int(answer.fields["retry-after"]) >= 1


def raw_answer(raw):
    answer = raw.read_head()
    answer.body = raw._take(int(answer.fields["content-length"]))
    return answer


class TestWork:
    WORK = {"limits.user_work_per_second": 1, "limits.user_work_burst": 12}

    def test_what_is_large_is_paid_for_over_all_connections_and_http_and_what_is_small_is_not(self, start):
        server = start(**self.WORK)
        jwt = harness.token("ada")
        with Chat(server, token=jwt) as one, Chat(server, token=jwt) as two:
            one.join("r")
            ids = [one.send("chat:send", room="r", text="x" * 16_000) for _ in range(2)]
            seqs = [one.answer(id)["seq"] for id in ids]
            # 12 units less 2 x 3.
            two.request("chat:edit", room="r", seq=seqs[0], text="y" * 16_000)
            status, body = server.api("POST", "rooms/r/messages", {"text": "x" * 15_900}, token=jwt)
            assert status == 201, body
            refused = two.refusal("chat:edit", room="r", seq=seqs[0], text="z" * 16_000)
            assert refused["code"] == "rate_limited" and 1_000 < refused["retry_after_ms"] <= 3_000
            assert server.api("GET", "info", token=jwt)[0] == 429
            assert one.say("r", "small")["seq"] > 2 and two.request("ping")["ts"] > 0
            assert limited(server, "user_work_per_second") == 2
        # Another one is not concerned.
        with Chat(server, token=harness.token("bob")) as bob:
            bob.join("r")
            assert len(bob.history("r")["entries"]) > 3

    def test_what_a_subscription_is_answered_with_and_what_its_filter_looks_into_weigh_what_they_have(self, servers):
        streams = 'streams={ "log:{id}" = { keep = 1000, publish = true } }'
        server = servers.parlor("--set", streams, set=self.WORK)
        with Chat(server, "pat") as pat:
            for number in range(4):
                for _ in range(4):
                    pat.request("publish", stream=f"log:{number}", data="x" * 60_000)
        # One page of 256 KiB is looked into at once, and no more than that comes with the reply.
        names = [f"log:{number}" for number in range(4)]
        with Chat(server, "ada") as ada:
            told = ada.request("subscribe", streams=names)["streams"]
            assert len([one for one in told if "snapshot" in one]) == 1
            refused = ada.refusal("subscribe", {"stream": "log:0"})
            assert refused["code"] == "rate_limited" and refused["retry_after_ms"] > 1_000
        with Chat(server, "bob") as bob:
            assert bob.request("subscribe", streams=names, filter={"/n": 1})["streams"]
            assert bob.refusal("subscribe", {"stream": "log:0"})["code"] == "rate_limited"
            assert limited(server, "user_work_per_second") == 2

    def test_what_a_filter_looks_into_from_a_number_on_comes_as_fast_as_it_is_paid_for_and_rooms_do_not_wait(
        self, servers
    ):
        pages, of_page, bytes_each = 5, 4, 60_000
        work = {"limits.user_work_per_second": 16, "limits.user_work_burst": 16}
        streams = 'streams={ log = { keep = 1000, publish = true } }'
        server = servers.parlor("--set", streams, set=work)
        with Chat(server, "pat") as pat, Chat(server, "ada") as ada:
            pat.join("r")
            ada.join("r")
            for number in range(pages * of_page):
                pat.request("publish", stream="log", data={"n": number, "x": "x" * bytes_each})
            # Only the last one passes: all the others are looked into before.
            begun = time.monotonic()
            told = ada.request("subscribe", stream="log", since=0, filter={"/n": pages * of_page - 1})
            assert told["streams"][0]["replayed"] is True
            pat.say("r", "meanwhile")
            assert ada.push("chat:message")["text"] == "meanwhile"
            assert time.monotonic() - begun < 1, "a room waits for a filter"
            event = ada.push("event", seconds=20)
            # A page is 14 units: the first is paid for, the others each a good second later than the one before.
            assert event["data"]["n"] == pages * of_page - 1 and time.monotonic() - begun > 2
            pat.request("publish", stream="log", data={"n": pages * of_page - 1})
            assert ada.push("event")["prev"] == event["seq"]

    @pytest.mark.parametrize("kind", ["small events", "many values", "a filter that compares much"])
    def test_what_a_filter_looks_into_weighs_what_it_costs_and_not_its_bytes_alone(self, servers, kind):
        work = {"limits.user_work_per_second": 1, "limits.user_work_burst": 12, "limits.burst": 5_000}
        streams = 'streams={ log = { keep = 10000, publish = true } }'
        server = servers.parlor("--set", streams, set=work)
        count, data, wanted = {
            "small events": (4_000, 1, {"/n": 1}),
            "many values": (4, ["a"] * 4_000, {"/n": 1}),
            "a filter that compares much": (100, {"n": 0}, {"/n": {"in": list(range(1, 65)), "ne": 7}}),
        }[kind]
        with Chat(server, "pat") as pat, Chat(server, "ada") as ada:
            ids = [pat.send("publish", {"stream": "log", "data": data}) for _ in range(count)]
            assert pat.answer(ids[-1])["seq"] == count
            # In bytes alone that is less than 5 units, or 80 KiB, of 12.
            assert count * len(json.dumps(data)) < 80 * 1024
            # By its bytes it would be refused at the third request, or at the twelfth.
            for number in range(8 if kind == "a filter that compares much" else 2):
                try:
                    ada.request("subscribe", stream="log", filter=wanted)
                except Refused as refused:
                    assert (refused.payload["code"], number > 0) == ("rate_limited", True)
                    break
            else:
                pytest.fail("what is looked into costs nothing")

    def test_an_answer_weighs_what_it_has(self, start):
        server = start(**self.WORK)
        with Chat(server, token=harness.token("filler")) as filler:
            filler.join("r")
        for _ in range(30):
            status, body = server.api("POST", "rooms/r/messages?user=filler", {"text": "x" * 9_000}, token=ADMIN)
            assert status == 201, body
        with Chat(server, token=harness.token("ada")) as ada:
            ada.join("r")
            assert len(ada.history("r")["entries"]) > 20
            # A page of 256 KiB is 16 units: 5 more than were left.
            refused = ada.refusal("chat:history", room="r")
            assert refused["code"] == "rate_limited" and 3_000 < refused["retry_after_ms"] <= 7_000
            assert ada.say("r", "small")["seq"] > 30

    def test_who_owes_for_a_greeting_is_not_greeted_again_before_it_is_paid(self, start):
        server = start(**self.WORK)
        for number in range(300):
            content = {"title": "t" * 100, "members": ["ada"]}
            status, body = server.api("PUT", f"rooms/r{number}?user=maker", content, token=ADMIN)
            assert status == 201, body
        jwt = harness.token("ada")
        size = 0
        for count in range(20):
            with Chat(server, hello=False, token=jwt) as ada:
                ada._receive(time.monotonic() + PATIENCE)
                (text,) = ada.texts
                if json.loads(text)["type"] == "error":
                    error = json.loads(text)["payload"]
                    assert error["close"] == 4103 and 0 < error["retry_after_ms"] <= 60_000
                    assert ada.closed() == 4103
                    break
                size = len(text)
        units = size // (16 * 1024)
        assert units > 1, f"a greeting of {size} bytes"
        assert count == 12 // units + 1
        assert limited(server, "user_work_per_second") == 1
        # Nor by events.
        status, fields, _ = server.http("/api/v1/events", headers=bearer(jwt))
        assert (status, fields["retry-after"]) == (429, "5")
        with Chat(server, token=harness.token("bob")) as bob:
            assert bob.request("ping")["ts"] > 0

    def test_what_everybody_may_read_is_paid_for_by_the_address(self, start):
        budget = {"limits.address_work_per_second": 1, "limits.address_work_burst": 30}
        server = start(**budget)
        body = server.http("/api/v1/openapi.json")[2]
        most = 30 // (len(body) // (16 * 1024))
        statuses = [server.http("/api/v1/openapi.json")[0] for _ in range(most + 2)]
        assert statuses[: most - 1] == [200] * (most - 1) and statuses[most + 1] == 429
        # What is small, there already, or not sent goes on; other addresses too.
        assert server.http("/api/v1/openapi.json", "HEAD")[0] == 200
        assert server.http("/healthz")[0] == 200
        tag = {"If-None-Match": "*"}
        assert server.http("/api/v1/openapi.json", headers=tag)[0] == 304
        assert from_other_address(server, request_head("/metrics", [("Host", HOST)])) == 200

    def test_without_a_rate_there_is_no_limit(self, start):
        server = start(**{"limits.user_work_per_second": 0, "limits.user_work_burst": 1})
        with Chat(server, token=harness.token("ada")) as ada:
            ada.join("r")
            for _ in range(10):
                ada.say("r", "x" * 16_000)
            assert "user_work_per_second" not in ada.hello["limits"]

    def test_one_user_may_have_more(self, start):
        users = 'limits.users={ bot = { user_work_per_second = 0 } }'
        server = start("--set", users, **self.WORK)
        with Chat(server, token=harness.token("bot")) as bot, Chat(server, token=harness.token("ada")) as ada:
            bot.join("r")
            for _ in range(10):
                bot.say("r", "x" * 16_000)
            hello = ada.hello["limits"]
            assert (hello["user_work_per_second"], hello["user_work_burst"]) == (1, 12)


class TestTickets:
    def test_a_user_who_takes_many_gives_up_their_own_oldest(self, start):
        users = 'limits.users={ greedy = { requests_per_second = 10000, burst = 10000 } }'
        server = start("--set", users)

        def ticket(user):
            status, _, body = server.http("/api/v1/ticket", "POST", bearer(harness.token(user)))
            assert status == 200, body
            return json.loads(body)["ticket"]

        def is_good(ticket):
            return server.http(f"/api/v1/events?ticket={ticket}", "HEAD")[0]

        modest = ticket("modest")
        greedy = [ticket("greedy") for _ in range(66)]
        assert limited(server, "tickets") == 2
        kept = [server.http(f"/api/v1/events?token={one}", "HEAD")[0] for one in (*greedy[:3], greedy[-1], modest)]
        assert kept == [401, 401, 200, 200, 200]


class TestIdleConnections:
    def test_silent_connections_of_the_busiest_address_make_room_for_newcomers(self, start):
        server = start(**{"limits.connections": 64})
        request = request_head("/healthz", [("Host", HOST)])
        kept = []
        # All that there is room for, each with a request behind it, from the busiest address and from another.
        for address, count in (("127.0.0.2", 80), ("127.0.0.3", 4)):
            for _ in range(count):
                one = socket.socket()
                one.settimeout(PATIENCE)
                one.bind((address, 0))
                one.connect((HOST, server.port))
                one.sendall(request)
                assert one.recv(1 << 16).startswith(b"HTTP/1.1 200")
                kept.append((address, one))
        # Newcomers are let in, and stay.
        here = [Chat(server, token=harness.token(f"u{n}")) for n in range(10)]
        assert all(one.request("ping")["ts"] > 0 for one in here)

        def is_over(one):
            readable, _, _ = select.select([one], [], [], 0)
            return bool(readable) and one.recv(1) == b""

        until(lambda: sum(is_over(one) for _, one in kept) >= 84 + 10 - 64)
        over = [address for address, one in kept if is_over(one)]
        assert set(over) == {"127.0.0.2"}, "the address that had most"
        ended = read(server)["parlor_idle_connections_ended_total"]
        assert ended >= len(over) - 1
        assert read(server)["parlor_connections_refused_total", "reason", "limit"] == 0
        # The oldest went first: the newest can still ask.
        newest = kept[79][1]
        newest.sendall(request)
        assert newest.recv(1 << 16).startswith(b"HTTP/1.1 200")
        for one in here:
            one.end()
        for _, one in kept:
            one.close()

    @pytest.mark.parametrize("piece", [1_000, 20])
    def test_whoever_has_asked_is_not_idle_even_if_that_is_not_read_yet(self, start, piece):
        limits = {"limits.connections": 256, "limits.connections_per_address": 1_000, "handshake.timeout_ms": 60_000}
        server = start(**limits)
        request = request_head("/healthz", [("Host", HOST)])
        asking = [Raw(server, open=False) for _ in range(200)]
        until(lambda: read(server)["parlor_connections_accepted_total"] > 200)
        # What they have asked, or begun to, waits for the server beside newcomers, some of which come where few
        # places are left.
        os.kill(server.pid, signal.SIGSTOP)
        newcomers = [Raw(server, open=False) for _ in range(35)]
        for one in (*asking, *newcomers):
            one.send(request[:piece])
        os.kill(server.pid, signal.SIGCONT)
        until(lambda: read(server)["parlor_connections_accepted_total"] > 235)
        for _ in range(10):
            newcomers.append(Raw(server, open=False))
            newcomers[-1].send(request[:piece])
        until(lambda: read(server)["parlor_connections_accepted_total"] > 245)
        for one in (*asking, *newcomers):
            if request[piece:]:
                one.send(request[piece:])
            assert raw_answer(one).status == 200
            one.end()

    def test_newcomers_find_places_though_the_busiest_address_has_always_asked_for_something(self, start):
        server = start(**{"limits.connections": 128})
        request = request_head("/healthz", [("Host", HOST)])

        def come(address):
            one = socket.socket()
            one.settimeout(PATIENCE)
            one.bind((address, 0))
            one.connect((HOST, server.port))
            return one

        def answered(one):
            with contextlib.suppress(ConnectionError):
                return one.recv(1 << 16).startswith(b"HTTP/1.1 200")

        busy = [come("127.0.0.2") for _ in range(60)]
        silent = [come("127.0.0.3") for _ in range(40)]
        until(lambda: read(server)["parlor_connections_accepted_total"] > 100)
        here = []
        for _ in range(8):
            os.kill(server.pid, signal.SIGSTOP)
            newcomers = [come("127.0.0.4") for _ in range(5)]
            for one in (*busy, *newcomers):
                one.sendall(request)
            os.kill(server.pid, signal.SIGCONT)
            assert [one.recv(1 << 16)[:12] for one in newcomers] == [b"HTTP/1.1 200"] * 5
            here += newcomers
            # Whoever was answered is idle, and may have been ended.
            busy = [one if answered(one) else come("127.0.0.2") for one in busy]
        page = read(server)
        assert page["parlor_idle_connections_ended_total"] >= 100 + 40 - 128
        assert page["parlor_connections_refused_total", "reason", "limit"] == 0
        for one in (*busy, *silent, *here):
            one.close()

    def test_whoever_still_reads_an_answer_is_not_idle(self, start):
        server = start(**{"limits.connections": 32})
        asked = [("Host", HOST)]
        size = len(server.http("/api/v1/openapi.json")[2])
        with Raw(server, open=False, receive_buffer=4_096) as slow:
            slow.send(request_head("/api/v1/openapi.json", asked) * 12)
            time.sleep(0.2)
            here = [Chat(server, token=harness.token(f"u{n}")) for n in range(31)]
            for _ in range(12):
                answer = raw_answer(slow)
                assert (answer.status, len(answer.body)) == (200, size)
            for one in here:
                one.end()

    @pytest.mark.one_thread
    @pytest.mark.parametrize(("files", "places"), [(200, 40), (512, None)])
    def test_few_places_by_the_limit_on_open_files_are_told_at_the_start(self, servers, files, places):
        server = servers.parlor(preexec=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (files, files)))
        told = "the limit on open files leaves places for no more connections than these"
        assert (told in server.output()) == (places is not None)
        assert places is None or f"connections={places}" in server.output()

    def test_where_there_is_room_they_are_left_alone(self, start):
        server = start()
        request = request_head("/healthz", [("Host", HOST)])
        kept = [Raw(server, open=False) for _ in range(50)]
        for one in kept:
            one.send(request)
            assert raw_answer(one).status == 200
        for one in kept:
            one.send(request)
            assert raw_answer(one).status == 200
            one.end()
        assert read(server)["parlor_idle_connections_ended_total"] == 0


class TestRooms:
    """One account neither uses up the rooms of all nor fills another's list."""

    def fill(self, mallory, requests):
        """Sends all of it, and counts what is done, and why the others are not."""
        ids = [mallory.send(kind, payload) for kind, payload in requests]
        refused = []
        for id in ids:
            try:
                mallory.answer(id)
            except Refused as refusal:
                refused.append(refusal.payload["code"])
        return len(ids) - len(refused), set(refused)

    def test_one_account_leaves_rooms_to_the_others(self, servers):
        server = servers.parlor(set={"limits.all_rooms": 300})
        with Chat(server, "mallory") as mallory, Chat(server, "ada") as ada:
            made = self.fill(mallory, [("room:join", {"room": f"r{n}"}) for n in range(200)])
            assert made == (150, {"quota"})
            written = self.fill(mallory, [("chat:send", {"to": f"u{n}", "text": "x"}) for n in range(50)])
            assert written == (0, {"quota"})
            ada.join("hers")
            for number in range(150):
                mallory.request("room:delete", room=f"r{number}")
            made = self.fill(mallory, [("room:join", {"room": f"s{n}"}) for n in range(10)])
            assert made == (10, set()), "what was given back can be taken again"

    def test_who_was_never_here_is_written_to_so_often_in_a_day(self, servers):
        server = servers.parlor()
        with Chat(server, "mallory") as mallory:
            written = self.fill(mallory, [("chat:send", {"to": f"u{n}", "text": "x"}) for n in range(220)])
            assert written == (200, {"quota"})
            assert limited(server, "first_messages") == 20

    def test_a_victim_is_asked_and_never_brought_in(self, servers):
        server = servers.parlor()
        with Chat(server, "mallory") as mallory, Chat(server, "victim") as victim, Chat(server, "ada") as ada:
            asks = [("room:create", {"room": f"r{n}", "members": ["victim"]}) for n in range(120)]
            assert self.fill(mallory, asks) == (50, {"quota"}), "half of the invitations that one may have"
            assert victim.request("info")["rooms"] == []
            ada.request("room:create", room="hers", members=["victim"])
            assert victim.push("room:invited", where=lambda one: one["room"] == "hers")["by"] == "ada"
            size = len(json.dumps(victim.request("info")))
            assert size < 16 * 1024
            victim.join("hers")
            ada.request("room:create", room="second", members=["victim"])
            assert victim.request("room:info", room="second")["members"] == 2, "they share a room now"

    def test_a_greeting_and_info_list_rooms_in_pages_and_resume_leaves_no_hole(self, servers):
        server = servers.parlor(set={"limits.listed_rooms": 4})
        names = [f"r{number}" for number in range(11)]
        with Chat(server, "ada") as ada, Chat(server, "bob") as bob:
            for one in (ada, bob):
                for name in names:
                    one.join(name)
        with Chat(server, "cy") as cy:
            assert (cy.hello["rooms"], "after" in cy.hello) == ([], False)
        with Chat(server, "bob") as bob, Chat(server, "ada", resume="1") as ada:
            hello = ada.hello
            assert [room["room"] for room in hello["rooms"]] == sorted(names)[:4]
            listed, after = list(hello["rooms"]), hello["after"]
            said = {name: bob.say(name, "after the greeting")["seq"] for name in names}
            while after:
                page = ada.request("info", after=after)
                assert len(page["rooms"]) <= 4
                listed += page["rooms"]
                after = page.get("after")
            assert [room["room"] for room in listed] == sorted(names)
            # Of one that was listed, and one that was not, nothing is known; the others go on by themselves.
            known = {sorted(names)[0]: 1, sorted(names)[-1]: 1}
            ada.request("resume", epoch=hello["epoch"], rooms=known)
            heard = {name: [] for name in names}

            def has_all():
                for _, push in ada.pushed("chat:message", "room:joined"):
                    heard[push["room"]].append(push["seq"])
                return all(seqs and seqs[-1] == said[name] for name, seqs in heard.items())

            until(has_all)
            for name, seqs in heard.items():
                first = known.get(name, said[name] - 1) + 1
                assert seqs == list(range(first, said[name] + 1)), name
            status, _, body = server.http("/api/v1/info?user=ada&after=r3")
            assert status == 200 and [room["room"] for room in json.loads(body)["rooms"]] == ["r4", "r5", "r6", "r7"]


def knows_ada_after(seconds):
    """A backend's answers to who somebody is."""

    def answers(asked):
        time.sleep(seconds)
        return (401, {}) if "made-up" in asked.fields["cookie"] else (200, {"user": {"id": "ada"}})

    return answers


@contextmanager
def crowd_of_strangers(server):
    """Ninety-five connections of an address, each of which has asked with a cookie that is made up."""
    with ExitStack() as opened:
        for number in range(95):
            raw = opened.enter_context(Raw(server, open=False))
            fields = [("Host", HOST), ("Cookie", f"made-up={number}"), ("X-Forwarded-For", "192.0.2.1")]
            raw.send(request_head("/api/v1/info", fields))
        yield


class TestPools:
    """What there is of something for all has turns, and nobody has more of it than is free."""

    @pytest.fixture
    def backend(self):
        with Backend() as started:
            yield started

    def begin(self, servers, backend, *rows, **set):
        path = servers.directory() / "parlor.toml"
        path.write_text("\n".join(rows))
        return servers.parlor(
            "--config", path, "--secret-file", servers.secret_file(), data=":memory:",
            set={"metrics.public": "true", "backend.retries": 0, **set},
        )

    def test_slow_calls_of_one_user_leave_places_to_another(self, servers, backend):
        def answers(asked):
            if asked.json["user"]["id"] == "mallory":
                backend.release.wait(30)
            return 200, {}

        backend.answers = answers
        server = self.begin(
            servers, backend, "[[handlers]]", 'types = ["ask"]', f'url = "{backend.url}/"', "timeout_ms = 30_000", "waiting_ms = 30_000"
        )
        with Chat(server, token=harness.token("mallory")) as mallory, Chat(server, token=harness.token("ada")) as ada:
            slow = [mallory.send("ask") for _ in range(9)]
            backend.wait_for(4)
            assert [ada.request("ask") for _ in range(25)] == [{}] * 25
            assert len(backend.asked()) == 4 + 25, "half of the places are hers"
            backend.release.set()
            assert [mallory.answer(id) for id in slow] == [{}] * 9

    def test_what_one_user_provokes_is_not_the_backends_end(self, servers, backend):
        backend.answers = lambda asked: (500 if asked.json["user"]["id"] == "mallory" else 200, {})
        server = self.begin(servers, backend, "[[handlers]]", 'types = ["ask"]', f'url = "{backend.url}/"')
        with Chat(server, token=harness.token("mallory")) as mallory, Chat(server, token=harness.token("ada")) as ada:
            for _ in range(3):
                assert [mallory.refused("ask") for _ in range(12)] == ["internal"] * 12
                assert ada.request("ask") == {}
            backend.answers = lambda asked: (500, {})
            assert [mallory.refused("ask") for _ in range(12)] == ["internal"] * 12
            assert ada.refused("ask") == "internal"
            assert ada.refused("ask") == mallory.refused("ask") == "unavailable", "of two it is the backend's"

    def test_a_backend_that_is_not_there_is_left_alone_whoever_asks(self, servers, backend):
        backend.end()
        server = self.begin(servers, backend, "[[handlers]]", 'types = ["ask"]', f'url = "{backend.url}/"')
        with Chat(server, token=harness.token("ada")) as ada:
            refusals = [ada.refusal("ask") for _ in range(11)]
            assert {refusal["code"] for refusal in refusals} == {"unavailable"}
            assert refusals[-1]["retry_after_ms"] > 20_000

    def test_made_up_cookies_lock_nobody_out_and_are_paid_for(self, servers, backend):
        backend.answers = lambda asked: (500, b"") if "made-up" in asked.fields["cookie"] else (200, {"user": {"id": "ada"}})
        server = servers.parlor(
            roomy=False, data=":memory:",
            set={**PROOFS, "auth.url": f"{backend.url}/", "proxies.trusted": HOST, "metrics.public": "true"},
        )

        def call(cookie, address):
            fields = {"Cookie": cookie, "X-Forwarded-For": address}
            return server.http("/api/v1/info", headers=fields)[0]

        eve = [call(f"made-up={number}", "192.0.2.1") for number in range(12)]
        assert eve[:8] == [503] * 8 and set(eve[8:]) <= {429, 503} and 429 in eve
        assert len(backend.asked()) < 12, "what cannot be paid for is not asked"
        assert [call("session=ada", "192.0.2.2") for _ in range(30)] == [200] * 30, "who is somebody pays nothing"
        assert limited(server, "failed_proofs_per_second") >= 1

    def test_who_has_waited_for_a_turn_is_asked_for_with_all_the_time_that_there_is(self, servers, backend):
        backend.answers = knows_ada_after(0.4)
        server = servers.parlor(
            data=":memory:",
            set={"auth.url": f"{backend.url}/", "proxies.trusted": HOST, "auth.url_threads": 32, "auth.url_timeout_ms": 1_000},
        )
        with crowd_of_strangers(server):
            # Those who are asked for last had hardly any of the second left, and no time-out of theirs is the backend's.
            time.sleep(1.5)
            fields = {"Cookie": "session=ada", "X-Forwarded-For": "192.0.2.2"}
            assert server.http("/api/v1/info", headers=fields)[0] == 200
            assert "is left alone" not in server.output()

    def test_addresses_take_turns_at_who_somebody_is(self, servers, backend):
        backend.answers = knows_ada_after(0.05)
        server = servers.parlor(
            data=":memory:", set={"auth.url": f"{backend.url}/", "proxies.trusted": HOST, "auth.url_threads": 4}
        )
        with crowd_of_strangers(server):
            backend.wait_for(2)
            server.http("/api/v1/info", headers={"Cookie": "session=ada", "X-Forwarded-For": "192.0.2.2"})
            asked = [one.fields["cookie"] for one in backend.asked()]
            # Two of the crowd's are under way at a time, and no more than these and the next come before.
            assert asked.index("session=ada") <= 12, asked

    def test_streams_of_a_family_take_turns_with_what_else_is_polled(self, servers, backend):
        backend.answers = lambda asked: (time.sleep(0.05), (200, len(backend.asked())))[1]
        server = self.begin(
            servers, backend, "[streams]",
            f'"price:{{id}}" = {{ url = "{backend.url}/price/{{id}}", every_ms = 100, read = "public" }}',
            f'state = {{ url = "{backend.url}/state", every_ms = 100, required = true }}',
            **{"auth.anonymous": "true", "limits.polled_streams_per_address": 250, "backend.poll_threads": 2},
        )
        guests = [Chat(server, anonymous=1) for _ in range(3)]
        try:
            for number, guest in enumerate(guests):
                names = [f"price:{number}-{one}" for one in range(100)]
                if number < 2:
                    guest.request("subscribe", streams=names)
                else:
                    refusal = guest.refusal("subscribe", streams=names)
                    assert (refusal["code"], refusal["limit"]) == ("quota", 250)
            before = len([one for one in backend.asked() if one.path == "/state"])
            time.sleep(2)
            polled = len([one for one in backend.asked() if one.path == "/state"]) - before
            assert polled >= 10, "of twenty that were due"
            late = until(lambda: json.loads(server.http("/readyz")[2])["streams"][0].get("late"))
            status, _, body = server.http("/readyz")
            prices, state = json.loads(body)["streams"]
            assert status == 200 and late > 50 and prices["polled_ms"] > prices["every_ms"] == 100
            assert state["polled_ms"] < 2_000 and "late" not in state
            assert read(server)["parlor_source_late_streams", "stream", "price:{id}"] > 50
            assert "of price:{id} are polled too late: every 100 ms is asked for" in server.output()
        finally:
            for guest in guests:
                guest.end()

    def test_a_polled_stream_counts_for_one_of_those_who_watch_it(self, servers):
        text = '[streams]\n"p:{id}" = { read = "public", command = ["echo", "{id}"], every_ms = 1000 }\n[limits]\npolled_streams_per_user = 10\nburst = %d\n'
        config = servers.directory() / "parlor.toml"
        config.write_text(text % 1_000)
        server = servers.parlor("--config", config, "--secret-file", servers.secret_file(), data=":memory:")
        ada, beside, bob, mallory = (Chat(server, token=token(user)) for user in ("ada", "ada", "bob", "mallory"))

        def left(chat):
            """How many more streams may begin to be polled for somebody: all that one asks for, or none."""
            for count in range(10, 0, -1):
                names = [f"p:new-{number}" for number in range(count)]
                try:
                    chat.request("subscribe", streams=names)
                except Refused as refusal:
                    assert (refusal.payload["code"], refusal.payload["limit"]) == ("quota", 10)
                else:
                    chat.request("unsubscribe", streams=names)
                    return count
            return 0

        with ada, beside, bob, mallory:
            # Ada looks at one page after the other; whoever follows her has what she leaves.
            pages = [[f"p:{page}-{number}" for number in range(5)] for page in range(3)]
            for names in pages:
                ada.request("subscribe", streams=names)
                mallory.request("subscribe", streams=names)
                ada.request("unsubscribe", streams=names)
            assert (left(ada), left(mallory)) == (10, 0)
            mallory.request("unsubscribe", streams=sum(pages, []))
            assert left(mallory) == 10

            # What somebody watches first is theirs, whoever came before them, also after a reload.
            names = pages[0][:4]
            for chat in (mallory, ada, bob):
                chat.request("subscribe", streams=names)
            assert [left(chat) for chat in (ada, bob, mallory)] == [10, 10, 6]
            config.write_text(text % 1_001)
            server.signal(signal.SIGHUP)
            until(lambda: "configuration, read again" in server.output())
            assert [left(chat) for chat in (ada, bob, mallory)] == [10, 10, 6]

            # Then it is of one who still does, and stays it on another connection of theirs.
            mallory.request("unsubscribe", streams=names)
            bob.end()
            until(lambda: left(ada) == 6)
            beside.request("subscribe", streams=names)
            ada.request("unsubscribe", streams=names)
            assert (left(ada), left(beside)) == (6, 6)
            beside.end()
            until(lambda: left(ada) == 10)

    def test_streams_that_guests_of_an_address_make_up_leave_others_theirs(self, servers, backend):
        server = self.begin(
            servers, backend, "[streams]", '"f:{id}" = { read = "public", publish = true }',
            **{"auth.anonymous": "true", "limits.streams": 200, "proxies.trusted": HOST, "limits.guest_requests_per_second": 10_000, "limits.guest_burst": 10_000},
        )
        with ExitStack() as opened:
            def come(address, **query):
                fields = {"X-Forwarded-For": address}
                return opened.enter_context(Chat(server, headers=fields, **query))

            def watch(guests, names):
                """How many are refused."""
                refused = 0
                for number, guest in enumerate(guests):
                    for name in names:
                        try:
                            guest.request("subscribe", stream=f"f:{number}-{name}")
                        except Refused as refusal:
                            assert refusal.payload["code"] == "quota"
                            refused += 1
                return refused

            publisher = come("192.0.2.9", token=token("ada", publish=["f:*"]))
            publisher.request("publish", stream="f:known", data=1)
            first = [come("192.0.2.1", anonymous=1) for _ in range(10)]
            assert watch(first, range(30)) == 200, "half of what there is, and no more"
            known = come("192.0.2.8", anonymous=1).request("subscribe", stream="f:known")
            assert known["streams"][0]["seq"] == 1, "what others have published is there"
            second = [come("192.0.2.2", anonymous=1) for _ in range(10)]
            assert watch(second, range(100, 130)) == 225, "as many as the first has in the end"
            told = first[0].push("notice")
            assert told["code"] == "unsubscribed" and told["message"].startswith("you watch the most streams")
            modest = come("192.0.2.3", token=token("bob"))
            assert watch([modest], range(200, 233)) == 0, "half of a third at least"
            assert limited(server, "streams") > 400


class TestStore:
    """Nobody fills the disk, and who runs the server hears in time that it fills."""

    def test_what_a_user_stores_in_a_day_has_a_bound(self, servers):
        server = servers.parlor(set={"limits.stored_bytes_per_day": 100_000}, roomy=False)
        with Chat(server, "mallory") as mallory, Chat(server, "ada") as ada:
            for one in (ada, mallory):
                one.join("lobby")
            first = mallory.say("lobby", "x" * 10_000)["seq"]
            for _ in range(8):
                mallory.say("lobby", "x" * 10_000)
            refusal = mallory.refusal("chat:send", room="lobby", text="x" * 10_000)
            assert (refusal["code"], refusal["limit"]) == ("quota", 100_000)
            assert 0 < refusal["retry_after_ms"] < 10_000_000
            edit = {"room": "lobby", "seq": first, "text": "y" * 10_000}
            assert mallory.refused("chat:edit", edit) == "quota"
            mallory.request("chat:delete", room="lobby", seq=first)
            mallory.request("chat:read", room="lobby", seq=first)
            assert ada.say("lobby", "x" * 10_000)["seq"] > 0
            assert limited(server, "stored_bytes_per_day") == 2
        with Chat(server, "mallory") as again:
            assert again.refused("chat:send", room="lobby", text="x" * 10_000) == "quota", "nor by coming again"

    def test_what_a_durable_stream_grows_by_counts_and_what_takes_the_place_of_other_events_does_not(self, servers):
        kinds = '"d:{id}" = { publish = true, durable = true, keep = 2 }, "b:{id}" = { publish = true, durable = true, binary = true }'
        streams = f"streams={{ {kinds} }}"
        server = servers.parlor("--set", streams, set={"limits.stored_bytes_per_day": 100_000}, roomy=False)
        with Chat(server, "mallory") as mallory, Chat(server, "ada") as ada:
            data = "x" * 10_000
            for _ in range(20):
                mallory.request("publish", stream="d:0", data=data)
            for number in range(1, 8):
                mallory.request("publish", stream=f"d:{number}", data=data)
            refusal = mallory.refusal("publish", stream="d:8", data=data)
            assert (refusal["code"], refusal["limit"]) == ("quota", 100_000)
            status, _, body = server.http("/api/v1/streams/d:8?user=mallory", "POST", body=json.dumps({"data": data}).encode())
            assert (status, json.loads(body)["error"]["code"]) == (409, "quota")
            fields = {"Content-Type": "application/octet-stream"}
            status, _, body = server.http("/api/v1/streams/b:1?user=mallory", "POST", fields, body=os.urandom(10_000))
            assert (status, json.loads(body)["error"]["code"]) == (409, "quota")
            mallory.request("publish", stream="d:0", data=data)
            assert mallory.refused("chat:send", room="lobby", text="x" * 10_000) == "quota"
            ada.request("publish", stream="d:8", data=data)

    def test_a_durable_log_of_which_memory_has_only_a_part_counts_and_what_is_empty_too(self, servers):
        kinds = '"d:{id}" = { publish = true, durable = true, keep = 1000 }, "b:{id}" = { publish = true, durable = true, binary = true, keep = 1000 }'
        limits = {"limits.stored_bytes_per_day": 100_000, "limits.stream_bytes": 20_000, "limits.burst": 1_000}
        server = servers.parlor("--set", f"streams={{ {kinds} }}", set=limits, roomy=False)
        with Chat(server, "mallory") as mallory, Chat(server, "ada") as ada:
            for _ in range(9):
                mallory.request("publish", stream="d:0", data="x" * 10_000)
            assert mallory.refused("publish", stream="d:0", data="x" * 10_000) == "quota"
            fields = {"Content-Type": "application/octet-stream"}
            path = "/api/v1/streams/b:1?user=ada"
            taken = [server.http(path, "POST", fields, body=b"")[0] for _ in range(400)]
            assert 409 in taken and taken.index(409) in range(380, 396), (taken[:2], taken[-2:])

    def test_what_adds_nothing_costs_nothing_of_a_day(self, servers):
        streams = 'streams={ "d:{id}" = { publish = true, durable = true, keep = 9, members = { n = "any" } } }'
        server = servers.parlor("--set", streams, set={"limits.stored_bytes_per_day": 100_000, "limits.burst": 1_000}, roomy=False)
        with Chat(server, "ada") as ada:
            ada.join("lobby")
            event, text = {"n": "x" * 9_000}, "x" * 9_000
            for number in range(12):
                said = ada.request("chat:send", room="lobby", text=text, cid="one")
                told = ada.request("publish", {"stream": "d:0", "data": event, "id": "one"})
                assert (said["seq"], told["seq"]) == (2, 1)
                assert (said.get("duplicate", False), told.get("duplicate", False)) == (number > 0, number > 0)
                assert ada.refused("publish", stream="d:1", data={"m": text}) == "bad_request"
                assert ada.refused("chat:send", room="another", text=text) == "not_member"
                assert ada.refused("chat:edit", room="lobby", seq=77, text=text) == "no_such_message"
            # The two that were stored are all that counts.
            for number in range(8):
                ada.request("publish", stream=f"d:{number + 2}", data=event)
            assert ada.refused("publish", stream="d:99", data=event) == "quota"

    def test_a_repeat_is_answered_also_where_nothing_is_left_of_the_day(self, servers):
        streams = 'streams={ d = { publish = true, durable = true, keep = 99 }, e = { publish = true, durable = true } }'
        limits = {"limits.stored_bytes_per_day": 30_000, "limits.stream_bytes": 9_000}
        server = servers.parlor("--set", streams, set=limits, roomy=False)
        event, text = {"n": "x" * 8_000}, "x" * 8_000
        with Chat(server, "ada") as ada, Chat(server, "bob") as bob:
            for one in (ada, bob):
                one.join("lobby")
            said = ada.request("chat:send", room="lobby", text=text, cid="one")
            told = [ada.request("publish", {"stream": "d", "data": event, "id": id}) for id in ("one", "two")]
            # A good 5,000 bytes are left.
            for _ in range(2):
                again = ada.request("chat:send", room="lobby", text=text, cid="one")
                assert (again["seq"], again["duplicate"]) == (said["seq"], True)
                # Memory has the second event alone.
                for id, first in zip(("one", "two"), told):
                    again = ada.request("publish", {"stream": "d", "data": event, "id": id})
                    assert (again["seq"], again["ts"], again["duplicate"]) == (first["seq"], first["ts"], True)
            for kind, payload in (
                ("chat:send", {"room": "lobby", "text": text, "cid": "two"}),
                ("chat:send", {"room": "lobby", "text": text}),
                ("publish", {"stream": "d", "data": event, "id": "three"}),
                ("publish", {"stream": "e", "data": event, "id": "one"}),
            ):
                refusal = ada.refusal(kind, payload)
                assert (refusal["code"], refusal["limit"]) == ("quota", 30_000), payload
                assert 0 < refusal["retry_after_ms"] < 86_400_000
            assert limited(server, "stored_bytes_per_day") == 4
            assert ada.refused("chat:send", room="lobby", text="another", cid="one") == "duplicate_mismatch"
            assert ada.refused("publish", {"stream": "d", "data": 7, "id": "one"}) == "duplicate_mismatch"
            # Over HTTP, too.
            body = json.dumps({"data": event}).encode()
            path = "/api/v1/streams/d?user=ada"
            for key, status in (("one", 200), ("four", 409)):
                assert server.http(path, "POST", {"Idempotency-Key": key}, body=body)[0] == status
            assert len(bob.history("lobby")["entries"]) == 3, "two who came, and a message"

    def test_what_is_stored_without_an_entry_counts_too(self, servers):
        server = servers.parlor(set={"limits.stored_bytes_per_day": 20_000, "limits.burst": 1_000}, roomy=False)

        def taken(by, kind, member):
            with Chat(server, by) as chat:
                chat.request("room:create", room=by)
                for at in range(100):
                    try:
                        chat.request(kind, room=by, **{member: f"made-up-{at}"})
                    except harness.Refused as refused:
                        assert refused.payload["code"] == "quota", refused
                        return at
            return None

        assert taken("ada", "room:update", "title") in range(50, 80)
        assert taken("bob", "room:ban", "user") in range(50, 80)

    def test_a_pool_that_fills_is_told_in_the_log_and_by_metrics(self, servers):
        server = servers.parlor(set={"limits.all_rooms": 10, "metrics.public": "true"}, data=":memory:")
        with Chat(server, "ada") as ada, Chat(server, "bob") as bob:
            for number in range(5):
                ada.join(f"a{number}")
            for number in range(2):
                bob.join(f"b{number}")
            assert "rooms:" not in server.output()
            with Chat(server, "cy") as cy:
                cy.join("c")
            until(lambda: "rooms: 80 % are taken, 8 of 10 (`limits.all_rooms`)" in server.output())
            metrics = read(server)
            assert metrics["parlor_pool_taken", "pool", "rooms"] == 8
            assert metrics["parlor_pool_size", "pool", "rooms"] == 10
            ada.request("room:delete", room="a0")
            until(lambda: ada.request("ping") and "rooms: there is room again, 7 of 10" in server.output())

    def test_it_is_told_also_when_nothing_more_happens(self, servers):
        streams = 'streams={ "px:{id}" = { read = "public", publish = true } }'
        server = servers.parlor("--set", streams, set={"limits.streams": 10}, data=":memory:")
        with Chat(server, "ada") as ada, Chat(server, "bob") as bob:
            time.sleep(1.2)
            ada.request("subscribe", streams=[f"px:{number}" for number in range(5)])
            bob.request("subscribe", streams=[f"px:{number}" for number in range(5, 8)])
            until(lambda: "streams: 80 % are taken, 8 of 10" in server.output())

    def test_below_the_reserve_admins_alone_store_and_all_can_be_read(self, servers):
        path = servers.directory() / "parlor.toml"
        path.write_text("")
        server = servers.parlor("--config", path, "--secret-file", servers.secret_file(), set={"metrics.public": "true"})
        with Chat(server, token=harness.token("ada")) as ada, Chat(server, token=harness.token("boss", admin=True)) as boss:
            ada.join("lobby")
            said = ada.say("lobby", "before")["seq"]
            boss.join("lobby")
            path.write_text(f"[limits]\ndisk_reserve_bytes = {1 << 60}\n")
            server.signal(signal.SIGHUP)
            until(lambda: server.http("/readyz")[0] == 503)
            assert "the disk is nearly full" in server.http("/readyz")[2].decode()
            # Each thread hears of it in its own time.
            until(lambda: not self.stores(ada))
            refusal = ada.refusal("chat:send", room="lobby", text="more")
            assert (refusal["code"], refusal["retry_after_ms"]) == ("unavailable", 60_000)
            assert ada.refused("room:create", room="den") == "unavailable"
            until(lambda: "disk: " in server.output() and "less `limits.disk_reserve_bytes`" in server.output())
            metrics = read(server)
            assert metrics["parlor_pool_taken", "pool", "disk"] > metrics["parlor_pool_size", "pool", "disk"]
            assert [one["type"] for one in ada.history("lobby")["entries"]] == ["room:joined", "chat:message", "room:joined"]
            ada.request("chat:read", room="lobby", seq=said)
            boss.request("chat:delete", room="lobby", seq=said)
            path.write_text("")
            server.signal(signal.SIGHUP)
            until(lambda: server.http("/readyz")[0] == 200)
            until(lambda: self.stores(ada))
            assert ada.say("lobby", "after")["seq"] > said

    @staticmethod
    def stores(connection):
        """Whether it may store something: another room."""
        try:
            connection.request("room:create", room=f"r{time.monotonic_ns()}")
            return True
        except Refused as refused:
            assert refused.code == "unavailable"
            return False


class TestOutboxes:
    """Who does not read what they asked for holds memory, and not that of others."""

    @staticmethod
    def fill(ada):
        """A room with a page that is as large as pages may be."""
        ada.request("room:create", room="hall", open=True)
        for id in [ada.send("chat:send", room="hall", text="w" * 16_000) for _ in range(20)]:
            ada.answer(id)

    @staticmethod
    def asking(opened, server, user, pages):
        """A connection that has asked for pages, and reads none."""
        pipe = opened.enter_context(Pipe(server, user, receive_buffer=4_096))
        pipe.send(*[("chat:history", {"room": "hall", "limit": 200})] * pages)
        return pipe

    @pytest.mark.one_thread
    def test_when_all_are_full_who_holds_most_goes_first(self, servers):
        server = servers.parlor(set={"limits.all_outboxes_bytes": 4 << 20, "metrics.public": "true"})
        with Chat(server, "ada") as ada, ExitStack() as opened:
            self.fill(ada)
            server.admit("hall", "bob", "eve")
            # Each of the greedy holds less than the modest one, and all together more.
            modest = self.asking(opened, server, "bob", 5)
            until(lambda: read(server)["parlor_outbox_waiting_bytes"] > 500_000)
            greedy = [self.asking(opened, server, "eve", 4) for _ in range(19)]
            until(lambda: read(server)["parlor_outbox_cut_connections_total"] >= 1)
            until(lambda: read(server)["parlor_outbox_waiting_bytes"] < 4 << 20)
            answers, _ = modest.answers(5)
            assert all(len(answer["payload"]["entries"]) > 10 for answer in answers), "whole pages"
            assert ada.request("ping")
            ended = resets = 0
            for pipe in greedy:
                try:
                    pipe.answers(4)
                except ConnectionResetError:
                    ended, resets = ended + 1, resets + 1
                except AssertionError:
                    ended += 1
            # Those who read make room for more, which may be too much again.
            cut = read(server)["parlor_outbox_cut_connections_total"]
            assert ended == cut
            until(lambda: sum(map(int, re.findall(r"were full: (\d+) conn", server.output()))) == cut)
            said = server.output()
        told = re.findall(r"all outboxes together were full: (\d+) connections for which most waited were cut", said)
        assert sum(map(int, told)) == ended
        assert resets == ended, "what the system had for them is thrown away"
        assert said.count("user=eve kind=websocket address=127.0.0.1 by=server code=4101 why=slow") == ended

    @pytest.mark.one_thread
    @pytest.mark.seconds(60)
    def test_under_a_bound_on_address_space_slow_readers_end_themselves_alone(self, servers):
        space = 384 << 20

        def bound():
            resource.setrlimit(resource.RLIMIT_AS, (space, space))

        server = servers.parlor(preexec=bound, roomy=False, set={"metrics.public": "true", "limits.connections_per_address": 1_000})
        assert f"limits.all_outboxes_bytes is {16 << 20}, as the limit on its address space leaves {64 << 20} bytes" in server.output()
        users = [f"eve{number}" for number in range(20)]
        with Chat(server, "ada") as ada, ExitStack() as opened:
            self.fill(ada)
            server.admit("hall", *users)
            for user in users:
                for _ in range(4):
                    self.asking(opened, server, user, 5)
            until(lambda: read(server)["parlor_outbox_cut_connections_total"] > 0)
            ada.settle()
            metrics = read(server)
            assert metrics["parlor_outbox_waiting_bytes"] < metrics["parlor_pool_size", "pool", "outbox_bytes"] * 5 / 4 + (1 << 20)
            assert metrics["parlor_pool_size", "pool", "outbox_bytes"] < 32 << 20
            assert len(ada.history("hall")["entries"]) > 10
        assert server.is_running()


class TestOwnIds:
    """What the server itself is called nobody else can be."""

    def test_applications_may_have_users_who_are_called_as_the_server_once_was(self, servers):
        server = servers.parlor(
            "--secret-file", servers.secret_file(), set={"auth.anonymous": "true"}, env={"PARLOR_ADMIN_TOKEN": ADMIN}
        )
        status, room = server.api("PUT", "rooms/den", {"title": "T"}, token=ADMIN)
        assert status == 201
        with Chat(server, anonymous=1) as guest:
            assert guest.hello["user"]["id"].startswith(":guest-")
        for name in ("admin", "guest", "guest-1-2", "program"):
            with Chat(server, token=harness.token(name)) as one:
                assert one.hello["user"] == {"id": name, "name": name, "admin": False}
                assert one.hello["rooms"] == [] and one.refused("room:info", room="den") == "not_member"
                assert one.refused("chat:send", to=":admin", text="x") == "bad_request"
        for name in (":admin", ":guest", "a:b"):
            status, _, body = server.http("/api/v1/info", headers=bearer(harness.token(name)))
            assert status == 401, body
            assert server.api("GET", f"info?user={name}", token=ADMIN)[0] == 400
        answer = server.api("POST", "messages?to=ada", {"to": "ada", "text": "x"}, token=ADMIN)
        assert answer[0] in (400, 404), answer
        assert server.stop() == 0
        again = servers.parlor(
            "--secret-file", servers.secret_file(), data=server.data, env={"PARLOR_ADMIN_TOKEN": ADMIN}
        )
        members = again.api("GET", "rooms/den/members", token=ADMIN)[1]["members"]
        assert [(one["user"], one["role"]) for one in members] == [(":admin", "owner")]
        assert again.api("DELETE", "rooms/den/members/:admin", token=ADMIN)[0] == 200
