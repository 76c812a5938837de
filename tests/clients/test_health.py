"""Round trips by ping and pong: of connections that answer at once, late, or not at all; and what an
admin is told of each connection."""

import json
import struct
import threading
import time

import pytest

import harness
from harness import FIELDS, PING, PONG, TEXT, Chat, Raw, frame
from test_events import Events
from test_metrics import await_metric, read

ADMIN_TOKEN = "an admin token for tests, of more than 32 bytes"
INTERVAL_MS = 200
TIMEOUT_MS = 2_000


@pytest.fixture
def server(servers):
    return servers.parlor(
        env={"PARLOR_ADMIN_TOKEN": ADMIN_TOKEN},
        set={
            "heartbeat.interval_ms": INTERVAL_MS,
            "heartbeat.timeout_ms": TIMEOUT_MS,
            "streams": '{ state = { keep = "latest", publish = true, max_bytes = 60000 } }',
            "limits.outbox_bytes": 65_536,
        }
    )


def connections(server):
    """What an admin is told: payloads by user."""
    status, answer = server.api("GET", "connections", token=ADMIN_TOKEN)
    assert status == 200, answer
    return {one["user"]: one for one in answer["connections"]}


def await_quality(server, user, where=lambda quality: True):
    """Asks until a user's connection has a quality for which `where` holds."""
    deadline = time.monotonic() + harness.PATIENCE
    while True:
        one = connections(server).get(user, {})
        if "quality" in one and where(one["quality"]):
            return one
        assert time.monotonic() < deadline, f"{user} is {one}"
        time.sleep(0.05)


class Answering:
    """A connection that answers pings late, in a thread of its own; `pings` are the payloads that came."""

    def __init__(self, server, user, delay, busy=False, answers=True):
        self.raw = Raw(server, f"/ws?user={user}", FIELDS)
        self.delay, self.busy, self.answers = delay, busy, answers
        self.pings, self.closed = [], None
        self.ends = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ends.set()
        self.thread.join(harness.PATIENCE)
        self.raw.end()

    def run(self):
        self.raw.socket.settimeout(0.02)
        while not self.ends.is_set():
            if self.busy:
                self.raw.send_frame(TEXT, '{"type":"ping","id":1}')
            try:
                got = self.raw.read_frame()
            except TimeoutError:
                continue
            if got is None or got.opcode == harness.CLOSE:
                self.closed = got
                return
            if got.opcode == PING:
                self.pings.append(got.payload)
                if self.answers:
                    time.sleep(self.delay)
                    self.raw.send(frame(PONG, got.payload))


def test_who_answers_at_once_is_excellent_and_who_is_late_is_not(server):
    with Answering(server, "fast", 0), Answering(server, "slow", 0.06):
        # The machine may be busy, and then they are slower for a while.
        fast = await_quality(server, "fast", lambda quality: quality["level"] == "excellent")
        slow = await_quality(server, "slow", lambda quality: quality["level"] == "fair")["quality"]
        assert fast["quality"]["min_ms"] < 60 <= slow["min_ms"]
        assert slow["min_ms"] <= slow["mean_ms"] <= slow["max_ms"]
        assert slow["min_ms"] <= slow["rtt_ms"] <= slow["max_ms"]
        assert 0 <= slow["stability"] <= 100 and slow["jitter_ms"] >= 0
        metrics = read(server)
        counted = {bound: count for bound, count in metrics.histogram("parlor_round_trip_seconds")}
        assert counted["0.05"] < counted["+Inf"], "nobody was late"
        levels = ["excellent", "good", "fair", "poor", "critical", "unknown"]
        gauges = [metrics["parlor_websockets_by_level", "level", level] for level in levels]
        assert sum(gauges) == 2 and gauges[-1] == 0
        jitters = dict(metrics.histogram("parlor_jitter_seconds"))
        stabilities = dict(metrics.histogram("parlor_stability_points"))
        assert jitters["+Inf"] == stabilities["+Inf"] == counted["+Inf"]
        assert jitters["0.005"] > 0 and stabilities["20.0"] == 0
    for level in levels:
        await_metric(server, ("parlor_websockets_by_level", "level", level), 0)


def test_how_a_connection_was_is_counted_at_its_end(server):
    families = ("sent_messages", "received_messages", "errors", "drops", "round_trip_max_seconds")

    def over():
        metrics = read(server)
        return {one: dict(metrics.histogram(f"parlor_connection_{one}")) for one in families}

    before = over()
    with Answering(server, "ends", 0):
        await_quality(server, "ends")
    deadline = time.monotonic() + harness.PATIENCE
    while (after := over())["drops"]["+Inf"] == before["drops"]["+Inf"]:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    for family in families:
        assert after[family]["+Inf"] == before[family]["+Inf"] + 1, family
    # It was told hello, and has said nothing.
    assert after["sent_messages"]["0.0"] == before["sent_messages"]["0.0"]
    assert after["received_messages"]["0.0"] == before["received_messages"]["0.0"] + 1


def test_a_busy_connection_is_pinged_and_need_not_answer(server):
    with Answering(server, "busy", 0, busy=True, answers=False) as busy:
        with Answering(server, "talks", 0, busy=True):
            await_quality(server, "talks")
            deadline = time.monotonic() + harness.PATIENCE
            while len(busy.pings) < 5:
                assert time.monotonic() < deadline, f"{len(busy.pings)} pings came"
                time.sleep(0.02)
        assert busy.closed is None, f"it was closed: {busy.closed}"
        assert all(len(ping) == 2 and ping != b"\0\0" for ping in busy.pings)
        one = connections(server)["busy"]
        assert "quality" not in one, "nothing was answered"
        assert one["received"] >= 5 and one["sent"] >= 5


def test_whoever_is_silent_and_does_not_answer_is_closed(server):
    with Answering(server, "gone", 0, answers=False) as gone:
        gone.thread.join(harness.PATIENCE)
        assert gone.closed is not None and gone.closed.code == 4102


def test_a_pong_that_answers_no_ping_is_no_round_trip(server):
    with Raw(server, "/ws?user=ada", FIELDS) as raw:
        while (got := raw.read_frame()).opcode != PING:
            pass
        for made_up in (b"", b"\0\0", struct.pack("!H", struct.unpack("!H", got.payload)[0] ^ 1)):
            raw.send(frame(PONG, made_up))
        raw.send_frame(TEXT, '{"type":"ping","id":1}')
        raw.read_message()
        assert "quality" not in connections(server)["ada"]


def test_what_went_each_way_is_told(server):
    with Chat(server, "ada") as ada:
        before = connections(server)["ada"]
        assert (before["received"], before["errors"], before["drops"]) == (0, 0, 0)
        ada.request("ping")
        assert ada.refused("chat:send", room="nowhere", text="x") == "not_member"
        after = connections(server)["ada"]
        assert (after["received"], after["errors"], after["drops"]) == (2, 1, 0)
        assert after["sent"] >= before["sent"] + 2


def test_bytes_are_counted_each_way_beside_messages(server):
    def told(user):
        one = connections(server)[user]
        return one["received_bytes"], one["sent_bytes"]

    with Raw(server, "/ws?user=ada", FIELDS) as raw:
        while b'"hello"' not in raw.read_message().payload:
            pass
        while b"user:online" not in raw.read_message().payload:
            pass
        received, sent = told("ada")
        assert received > 100 and sent > 500, "the head and hello count"
        message = frame(TEXT, json.dumps({"type": "ping", "id": 1}))
        raw.send(message)
        answer = raw.read_message().payload
        # The header of a frame from a server has two bytes, and no masking key.
        assert told("ada") == (received + len(message), sent + 2 + len(answer))
        # What is larger than a frame, and comes in pieces, counts once.
        large = frame(TEXT, json.dumps({"type": "ping", "id": "x" * 60, "payload": {"pad": "y" * 50_000}}))
        for at in range(0, len(large), 10_000):
            raw.send(large[at : at + 10_000])
        assert raw.read_message().payload
        assert told("ada")[0] == received + len(message) + len(large)


def test_only_messages_are_counted_as_sent_to_who_is_told_by_events_or_pictures(servers):
    streams = "{ state = { publish = true }, cam = { publish = true, binary = true } }"
    server = servers.parlor(env={"PARLOR_ADMIN_TOKEN": ADMIN_TOKEN}, set={"streams": streams})
    with Events(server, "/api/v1/streams/state", user="eve") as events:
        events.await_("connected")
        events.await_("subscribed")
        with Events(server, "/api/v1/streams/cam", user="pam", multipart=1) as pictures:
            assert pictures.status == 200
            sent = {user: one["sent"] for user, one in connections(server).items()}
            assert sent == {"eve": 2, "pam": 0}


def test_what_a_slow_reader_does_not_get_is_counted(server):
    with Raw(server, "/ws?user=slow", FIELDS, receive_buffer=4_096) as slow, Chat(server, "ada") as ada:
        slow.send_frame(TEXT, '{"type":"subscribe","id":1,"payload":{"stream":"state"}}')
        while b'"type":"reply"' not in slow.read_message().payload:
            pass
        data = {"n": "x" * 50_000}
        for _ in range(60):
            ada.request("publish", stream="state", data=data)
        # Already while it does not read: an event counts when a newer one takes its place.
        while_stalled = connections(server)["slow"]["drops"]
        assert while_stalled > 0
        for number in range(1, 4):
            ada.request("publish", stream="state", data=data)
            assert connections(server)["slow"]["drops"] == while_stalled + number
        ada.request("publish", stream="state", data={"n": "last"})
        while b'"last"' not in slow.read_message().payload:
            pass
        metrics = read(server)
        drops = connections(server)["slow"]["drops"]
        dropped = {
            kind: metrics["parlor_pushes_dropped_total", "kind", kind]
            for kind in ("state", "ephemeral")
        }
        assert drops == sum(dropped.values()) and dropped["state"] > 0
