"""A peer that stops reading: told why, cut in time, and nobody else's concern."""

import json
import time

from harness import CLOSE, TEXT, Raw, frame


def request(number, kind, payload):
    return frame(TEXT, json.dumps({"type": kind, "id": number, "payload": payload}))


def test_a_reader_that_stalls_is_closed_with_4101_and_hears_it_when_it_reads_again(servers):
    server = servers.parlor(
        set={
            "limits.stall_timeout_ms": 300,
            "limits.outbox_bytes": 65_536,
            "closing.timeout_ms": 10_000,
        }
    )
    stalled = Raw(server, "/ws?user=ada", receive_buffer=65_536)
    stalled.send(request(1, "room:join", {"room": "lobby"}))
    for number in range(200):
        stalled.send(request(number + 2, "chat:send", {"room": "lobby", "text": "x" * 8_000}))
    # Pages of history, until they no longer fit into the system's buffers.
    stalled.socket.settimeout(0.5)
    try:
        for number in range(2_000):
            stalled.send(request(number + 300, "chat:history", {"room": "lobby", "limit": 30}))
    except TimeoutError:
        pass
    time.sleep(1.5)
    stalled.socket.settimeout(5)
    last = None
    while (received := stalled.read_frame()).opcode != CLOSE:
        if received.opcode == TEXT:
            last = json.loads(received.payload)
    assert received.code == 4101
    assert last["type"] == "error" and last["payload"]["code"] == "slow"
    assert last["payload"]["close"] == 4101
