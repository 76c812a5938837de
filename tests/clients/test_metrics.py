"""`GET /metrics`: its text, read as strictly as OpenMetrics 1.0 has it; who may read it; and that what
one does is what is counted."""

import re
import select
import socket
import time

import harness
from harness import Chat

ADMIN_TOKEN = "an admin token for tests, of more than 32 bytes"
CONTENT_TYPE = "application/openmetrics-text; version=1.0.0; charset=utf-8"

UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}

NAME = r"parlor_[a-z_]+"
SAMPLE = re.compile(rf"({NAME})(?:\{{(.+)\}})? (\S+)")
LABEL = re.compile(r'([a-z_]+)="([^"\\\n]*)"')
SUFFIXES = {"counter": ["_total"], "gauge": [""], "histogram": ["_sum", "_count", "_bucket"]}


class Metrics:
    """All samples of one text: `metrics["parlor_rooms"]`, `metrics["parlor_x_total", "code", "1000"]`."""

    def __init__(self, text):
        self.kinds, self.samples = {}, {}
        assert text.endswith("\n# EOF\n"), "the text has no end"
        lines = iter(text.removesuffix("# EOF\n").splitlines())
        family = None
        for line in lines:
            if line.startswith("#"):
                described = re.fullmatch(rf"# HELP ({NAME}) (\S.*\.)", line)
                assert described, line
                family = described[1]
                assert family not in self.kinds, f"{family} comes twice"
                typed = re.fullmatch(rf"# TYPE {family} (counter|gauge|histogram)", next(lines))
                assert typed, f"{family} has no type"
                self.kinds[family] = typed[1]
                continue
            sample = SAMPLE.fullmatch(line)
            assert sample, line
            name, labels, value = sample.groups()
            assert name in [family + suffix for suffix in SUFFIXES[self.kinds[family]]], line
            pairs = LABEL.findall(labels or "")
            assert ",".join(f'{key}="{of}"' for key, of in pairs) == (labels or ""), line
            key = (name, *sorted(pairs))
            assert key not in self.samples, f"{line} comes twice"
            self.samples[key] = float(value)
        for family in self.kinds:
            assert any(name.startswith(family) for name, *_ in self.samples), f"{family} is empty"

    def __getitem__(self, name):
        name, *labels = [name] if isinstance(name, str) else name
        return self.samples[(name, *sorted(zip(labels[::2], labels[1::2])))]

    def growing(self):
        """Samples that only grow."""
        kind = {
            family + suffix: kind
            for family, kind in self.kinds.items()
            for suffix in SUFFIXES[kind]
        }
        return {key: value for key, value in self.samples.items() if kind[key[0]] != "gauge"}

    def histogram(self, family):
        """Bounds and cumulative counts, checked against each other."""
        name = f"{family}_bucket"
        found = [(dict(pairs)["le"], n) for (one, *pairs), n in self.samples.items() if one == name]
        bounds = [float(bound) for bound, _ in found]
        counts = [count for _, count in found]
        assert bounds == sorted(set(bounds)) and found[-1][0] == "+Inf"
        assert counts == sorted(counts) and counts[-1] == self[f"{family}_count"]
        return found


def read(server, token=None):
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    status, fields, body = server.http("/metrics", headers=headers)
    assert (status, fields["content-type"]) == (200, CONTENT_TYPE)
    assert fields["cache-control"] == "no-store"
    return Metrics(body.decode())


def await_metric(server, name, value, token=None):
    """Reads until a sample has this value."""
    deadline = time.monotonic() + harness.PATIENCE
    while (metrics := read(server, token))[name] != value:
        assert time.monotonic() < deadline, f"{name} is {metrics[name]}, and not {value}"
        time.sleep(0.02)
    return metrics


def server_version(server):
    return re.search(rb'"version":"([^"]+)"', server.http("/healthz")[2])[1].decode()


def test_the_text_is_strict_and_counters_only_grow(server, chat, name):
    first = read(server)
    assert first["parlor_build_info", "version", server_version(server)] == 1
    ada, room = chat("ada"), name("room")
    ada.request("room:create", room=room)
    for n in range(3):
        ada.request("chat:send", room=room, text=f"{n}")
    second = read(server)
    assert set(first.samples) == set(second.samples), "a sample came or went"
    grown = second.growing()
    for key, before in first.growing().items():
        assert grown[key] >= before, key
    for family, kind in second.kinds.items():
        if kind == "histogram":
            second.histogram(family)
    assert second["parlor_uptime_seconds"] > first["parlor_uptime_seconds"] >= 0


def test_what_one_does_is_what_is_counted(servers):
    server = servers.parlor()
    before = read(server)
    with Chat(server, "ada") as ada, Chat(server, "bob") as bob:
        ada.request("room:create", room="tea", open=True)
        bob.request("room:join", room="tea")
        for n in range(5):
            ada.request("chat:send", room="tea", text=f"{n}")
        assert ada.refused("chat:send", room="nowhere", text="") == "not_member"
        assert bob.refused("no:such") == "unknown_type"
        bob.push("chat:message", where=lambda message: message["text"] == "4")
        during = read(server)

        def grown(*name):
            key = name[0] if len(name) == 1 else name
            return during[key] - before[key]

        assert during["parlor_connections", "kind", "websocket"] == 2
        assert during["parlor_users_online"] == 2 and during["parlor_rooms"] == 1
        assert grown("parlor_websockets_opened_total") == 2
        # Both, and whoever reads the metrics: a connection for each look.
        assert grown("parlor_connections_accepted_total") == 3
        assert grown("parlor_requests_total", "outcome", "ok") == 7
        assert grown("parlor_requests_total", "outcome", "not_member") == 1
        assert grown("parlor_requests_total", "outcome", "unknown_type") == 1
        assert grown("parlor_messages_received_total") == 9
        # Two greetings, nine answers, and five messages for each of two.
        assert grown("parlor_messages_sent_total") >= 21
        assert grown("parlor_received_bytes_total") > 9 * 30
        assert grown("parlor_sent_bytes_total") > 21 * 30
        # Created, joined, five messages, at least; in as many transactions or fewer.
        assert grown("parlor_store_batch_records_sum") >= 7
        assert 1 <= grown("parlor_store_batch_records_count")
        assert grown("parlor_store_commit_seconds_count") == grown("parlor_store_batch_records_count")
        assert grown("parlor_store_commit_seconds_sum") > 0
        assert during["parlor_store_failures_total"] == 0
        assert grown("parlor_loop_turn_seconds_count") > 0
    after = await_metric(server, ("parlor_connections", "kind", "websocket"), 0)
    assert after["parlor_websockets_closed_total", "by", "client", "code", "1000"] == 2


def test_a_call_over_http_is_counted_as_a_request(servers):
    server = servers.parlor()
    assert server.api("PUT", "rooms/tea?user=ada", {"open": True})[0] == 201
    assert server.api("GET", "rooms/none?user=ada")[0] == 403
    assert server.api("GET", "rooms?user=ada&limit=x")[0] == 400
    metrics = read(server)
    assert metrics["parlor_requests_total", "outcome", "ok"] == 1
    assert metrics["parlor_requests_total", "outcome", "not_member"] == 1
    assert metrics["parlor_requests_total", "outcome", "bad_request"] == 1
    assert metrics["parlor_http_responses_total", "status", "201"] == 1
    assert metrics["parlor_http_responses_total", "status", "403"] == 1


def test_who_is_refused_or_closed_is_counted_by_why(servers):
    server = servers.parlor(
        roomy=False,
        set={
            "limits.requests_per_second": 1,
            "limits.burst": 2,
            "limits.connections_per_address": 10,
            "limits.connections_per_user": 1,
        },
    )
    assert server.http("/ws?user=a%20b", headers=UPGRADE)[0] == 400
    assert server.http("/ws", headers=UPGRADE)[0] == 401
    assert server.http("/nothing", headers=UPGRADE)[0] == 404
    with Chat(server, "ada") as ada:
        ids = [ada.send("ping") for _ in range(5)]
        limited = 0
        for id in ids:
            try:
                ada.answer(id)
            except harness.Refused as refused:
                assert refused.payload["code"] == "rate_limited"
                limited += 1
        assert limited >= 2
        metrics = read(server)
        assert metrics["parlor_requests_total", "outcome", "rate_limited"] == limited
        again = Chat(server, "ada", hello=False)
        assert again.closed() == 4004
        # From an address that nobody else here has.
        elsewhere = {"timeout": harness.PATIENCE, "source_address": ("127.0.0.2", 0)}
        address = (harness.HOST, server.port)
        held = [socket.create_connection(address, **elsewhere) for _ in range(11)]
        # One of them is too many: threads may count them in another order.
        answered, _, _ = select.select(held, [], [], harness.PATIENCE)
        assert [one.recv(64)[:13] for one in answered] == [b"HTTP/1.1 429 "]
        for one in held:
            one.close()
    metrics = await_metric(server, ("parlor_connections", "kind", "websocket"), 0)
    assert metrics["parlor_websockets_closed_total", "by", "server", "code", "4004"] == 1
    assert metrics["parlor_websockets_closed_total", "by", "client", "code", "1000"] == 1
    refused = {
        dict(pairs)["reason"]: count
        for (name, *pairs), count in metrics.samples.items()
        if name == "parlor_connections_refused_total" and count
    }
    assert refused == {"bad_request": 1, "unauthorized": 1, "not_found": 1, "address_limit": 1}


def test_streams_and_who_watches_them_are_counted(servers):
    server = servers.parlor(set={"streams": "{ news = { publish = true } }"})
    assert read(server)["parlor_streams"] == 1
    with Chat(server, "ada") as ada:
        ada.request("subscribe", stream="news")
        assert read(server)["parlor_subscriptions"] == 1
    await_metric(server, "parlor_subscriptions", 0)


def test_admins_alone_may_read_where_there_are_tokens(servers):
    secret = servers.secret_file()
    server = servers.parlor("--secret-file", secret, env={"PARLOR_ADMIN_TOKEN": ADMIN_TOKEN})

    def status(token=None, method="GET"):
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return server.http("/metrics", method, headers)[0]

    assert status() == 401
    assert status(harness.token("ada")) == 403
    assert status("x") == 401
    assert status(harness.token("eve", admin=True)) == 200
    assert status(ADMIN_TOKEN) == 200
    assert status(ADMIN_TOKEN, "POST") == 405
    read(server, ADMIN_TOKEN)
    head, fields, body = server.http("/metrics", "HEAD", {"Authorization": f"Bearer {ADMIN_TOKEN}"})
    assert (head, body) == (200, b"") and int(fields["content-length"]) > 1_000
    public = servers.parlor("--secret-file", secret, set={"metrics.public": "true"})
    read(public)
