"""A peer that stops reading: told why, cut in time, and nobody else's concern."""

import json
import socket
import time
from contextlib import ExitStack

import pytest

from harness import CLOSE, HOST, PONG, TEXT, Raw, frame


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


def test_control_frames_do_not_make_the_time_of_a_message_longer(servers):
    server = servers.parlor(set={"heartbeat.message_timeout_ms": 500})
    with Raw(server, "/ws?user=ada") as slow:
        slow.read_frame()  # hello
        slow.send(frame(TEXT, '{"type":', fin=False))
        start = time.monotonic()
        slow.socket.settimeout(0.1)
        while time.monotonic() - start < 4:
            slow.send(frame(PONG, b""))
            try:
                received = slow.read_frame()
            except TimeoutError:
                continue
            if received.opcode == CLOSE:
                assert received.code == 4102
                return
    raise AssertionError("the message was given 4 s instead of half a second")


@pytest.mark.plain
def test_a_connection_that_its_address_may_not_have_ends_soon(servers):
    server = servers.parlor(set={"limits.connections_per_address": 3})
    time.sleep(0.3)  # for the connections of the start's check to be over
    with ExitStack() as opened:
        for user in ("ada", "bob", "cy"):
            opened.enter_context(Raw(server, f"/ws?user={user}"))
        with socket.create_connection((HOST, server.port), 5) as refused:
            start = time.monotonic()
            answer = b""
            while piece := refused.recv(1000):
                answer += piece
            assert answer.startswith(b"HTTP/1.1 429 ")
            # Nothing was sent and nothing closed on this end: the place is free again all the same.
            deadline = time.monotonic() + 3
            files = server.open_files()
            while server.open_files() >= files and time.monotonic() < deadline:
                time.sleep(0.02)
            assert time.monotonic() - start < 2, "it kept its place for seconds"
