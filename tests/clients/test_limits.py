"""Each limit, made small: what is at it passes, what is beyond it is refused in its own way, is told in
`hello` where a client should know it, and is counted."""

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
