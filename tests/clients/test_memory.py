"""What an idle user costs the chat server."""

import json
import time

import pytest

from harness import TEXT, Chat, Raw

COUNT, GRACE_MS = 5_000, 300


@pytest.mark.one_thread
@pytest.mark.seconds(90)
def test_5000_idle_connections_of_users_in_a_room_cost_under_1_kib_each(servers):
    """Each has a user of its own, all are in one room, and everybody was told of everybody's
    coming. That the users and their memberships are known, connected or not, is measured before
    and printed."""
    server = servers.parlor(set={"presence.grace_ms": GRACE_MS})
    with Chat(server, "warm") as warm:
        warm.join("warm")
        warm.say("warm", "x" * 10_000)
        warm.history("warm")
    time.sleep(0.2)
    empty = server.memory()
    for number in range(COUNT):
        with Raw(server, path=f"/ws?user=user{number}") as raw:
            raw.send_frame(TEXT, '{"type":"room:join","id":1,"payload":{"room":"hall"}}')
            while json.loads(raw.read_message().payload).get("id") != 1:
                pass
    time.sleep(GRACE_MS / 1_000 + 2.5)
    known = server.memory()
    connections = []
    try:
        for number in range(COUNT):
            connections.append(Raw(server, path=f"/ws?user=user{number}"))
        drain(connections)
        connected = server.memory()
        each = (connected - known) / COUNT
        print(
            f"{each:.0f} bytes for an idle connection of a user in a room, "
            f"{(known - empty) / COUNT:.0f} for a user who is not there"
        )
        assert each < 1_024, f"an idle connection costs {each:.0f} bytes"
        with Chat(server, "user0") as awake:
            assert [room["room"] for room in awake.hello["rooms"]] == ["hall"]
            assert awake.say("hall", "anybody awake?")["seq"] == COUNT + 1
        drain(connections, b"anybody awake?")
    finally:
        for connection in connections:
            connection.end()


def drain(connections, last=None):
    """Reads what comes until nothing more does, or until each was sent `last`."""
    waiting, deadline = set(connections), time.monotonic() + 20
    for connection in connections:
        connection.socket.setblocking(False)
    quiet_since = time.monotonic()
    while waiting if last else time.monotonic() - quiet_since < 2.5:
        assert time.monotonic() < deadline, (
            "it does not get quiet" if not last else f"{len(waiting)} wait"
        )
        for connection in connections:
            try:
                while piece := connection.socket.recv(1 << 20):
                    quiet_since = time.monotonic()
                    if last and last in piece:
                        waiting.discard(connection)
            except BlockingIOError:
                pass
        time.sleep(0.05)
