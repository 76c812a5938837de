#!/usr/bin/env python3
"""Measures whether one client's abuse raises another's latency.

    python3 tests/measure/flood.py
    python3 tests/measure/flood.py --rounds 1 --samples 50

A quiet client sends a request every few milliseconds and waits for its answer: alone, and beside a
flooding one, in turns. The flooding one is a process of its own, sends as fast as the server takes it,
looks at no `rate_limited`, and connects again whenever it is closed:

- small: requests of 40 bytes, many in one write, on eight connections
- large: messages of 60,000 bytes, on eight connections
- http: calls of the API, many in one write, on eight connections
- connects: a new WebSocket each time, which says one thing and goes

The server has its default limits; the quiet client alone may ask oftener than others, or it would take
minutes. What is printed are medians over the rounds.
"""

import argparse
import json
import multiprocessing
import select
import socket
import statistics
import struct
import tempfile
import time

from common import HOST, PATIENCE, connect, frame, free_port, machine, parlor_binary, start, stop

FLOODS = ("small", "large", "http", "connects")
FLOODING_CONNECTIONS = 8
#: Between two requests of the quiet client.
PAUSE_SECONDS = 0.004
SETTLE_SECONDS = 0.3


def ping(number):
    return frame(json.dumps({"type": "ping", "id": number}).encode())


class Quiet:
    """The client whose requests are timed."""

    def __init__(self, port):
        self.socket, self.buffer = connect(port, "/ws?user=quiet")
        self.number = 0

    def end(self):
        self.socket.close()

    def message(self):
        """The next message, as JSON."""
        while True:
            data = self.buffer
            if len(data) >= 2:
                length, start = data[1], 2
                if length == 126:
                    length, start = int.from_bytes(data[2:4], "big"), 4
                elif length == 127:
                    length, start = int.from_bytes(data[2:10], "big"), 10
                if len(data) >= start + length:
                    self.buffer = data[start + length :]
                    if data[0] == 0x81:
                        return json.loads(data[start : start + length])
                    continue
            piece = self.socket.recv(1 << 16)
            if not piece:
                raise SystemExit("the quiet client was closed")
            self.buffer += piece

    def ask(self):
        """Seconds from a request to its reply."""
        self.number += 1
        text = ping(self.number)
        began = time.perf_counter()
        self.socket.sendall(text)
        while True:
            message = self.message()
            if message.get("id") == self.number:
                took = time.perf_counter() - began
                if message["type"] != "reply":
                    raise SystemExit(f"the quiet client was refused: {message}")
                return took

    def measure(self, samples):
        """p50 and p99, in milliseconds."""
        times = []
        for _ in range(samples):
            times.append(self.ask() * 1_000)
            time.sleep(PAUSE_SECONDS)
        times.sort()
        return times[len(times) // 2], times[min(len(times) - 1, len(times) * 99 // 100)]


def upgrade(port, user):
    return (
        f"GET /ws?user={user} HTTP/1.1\r\nHost: {HOST}:{port}\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        "Sec-WebSocket-Version: 13\r\n\r\n"
    ).encode()


def large_frame():
    """A message of 60,000 bytes. It is masked at once, as a flood would."""
    payload = json.dumps({"type": "chat:send", "payload": {"room": "r", "text": "x" * 59_900}}).encode()
    key = b"\x37\xfa\x21\x3d"
    repeated = key * (len(payload) // 4 + 1)
    number = int.from_bytes(payload, "big") ^ int.from_bytes(repeated[: len(payload)], "big")
    return struct.pack("!BBH", 0x81, 0xFE, len(payload)) + key + number.to_bytes(len(payload), "big")


def call(port):
    content = b"{}"
    return (
        f"POST /api/v1/call/ping?user=flood HTTP/1.1\r\nHost: {HOST}:{port}\r\n"
        f"Content-Length: {len(content)}\r\n\r\n"
    ).encode() + content


def flood(kind, port, until, counts):
    """Floods until it is told to end; counts bytes that were sent, and connections."""
    opening = b"" if kind == "http" else upgrade(port, "flood")
    burst = {
        "small": ping(1) * 1_000,
        "large": large_frame(),
        "http": call(port) * 100,
        "connects": ping(1),
    }[kind]
    if kind == "connects":
        while not until.is_set():
            with socket.socket() as client:
                client.settimeout(1)
                try:
                    client.connect((HOST, port))
                    client.sendall(opening + burst)
                    client.recv(1 << 16)
                except OSError:
                    continue
                counts[0] += len(burst)
                counts[1] += 1
        return
    clients = {}
    while not until.is_set():
        while len(clients) < FLOODING_CONNECTIONS:
            client = socket.create_connection((HOST, port), 1)
            client.setblocking(False)
            clients[client] = opening + burst
            counts[1] += 1
        readable, writable, _ = select.select(list(clients), list(clients), [], 0.1)
        for client in readable:
            try:
                is_over = not client.recv(1 << 18)
            except BlockingIOError:
                is_over = False
            except OSError:
                is_over = True
            if is_over:
                del clients[client]
                client.close()
        for client in writable:
            if client not in clients:
                continue
            try:
                sent = client.send(clients[client])
            except BlockingIOError:
                continue
            except OSError:
                del clients[client]
                client.close()
                continue
            counts[0] += sent
            clients[client] = clients[client][sent:] or burst


class Flooding:
    """A flooding client, for the time of a `with`."""

    def __init__(self, kind, port):
        self.until = multiprocessing.Event()
        self.counts = multiprocessing.Array("Q", 2, lock=False)
        self.process = multiprocessing.Process(
            target=flood, args=(kind, port, self.until, self.counts), daemon=True
        )

    def __enter__(self):
        self.process.start()
        self.began = time.monotonic()
        time.sleep(SETTLE_SECONDS)
        return self

    def __exit__(self, *_):
        if not self.process.is_alive():
            raise SystemExit("the flooding client has ended by itself")
        self.until.set()
        self.process.join(PATIENCE)
        self.seconds = time.monotonic() - self.began
        if not self.counts[0]:
            raise SystemExit("nothing was flooded")


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--samples", type=int, default=500)
    parser.add_argument("--flood", choices=FLOODS, action="append")
    arguments = parser.parse_args()
    floods = arguments.flood or FLOODS
    port = free_port()
    users = "limits.users={ quiet = { requests_per_second = 10000, burst = 10000 } }"
    with tempfile.TemporaryDirectory() as directory:
        command = [parlor_binary(), "serve", "--listen", f"{HOST}:{port}", "--data", directory]
        server = start([*command, "--set", users, "--log", "error"], port)
        try:
            rows = measure(port, floods, arguments)
        finally:
            stop(server)
    print(f"{machine()}; {arguments.rounds} rounds of {arguments.samples} requests, medians, ms\n")
    print("| flood | p50 alone | p50 beside it | p99 alone | p99 beside it | MB a second | connections a second |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for kind, figures in rows.items():
        alone, beside, rates = (list(zip(*column)) for column in zip(*figures))
        (a50, a99), (b50, b99), (sent, opened) = (
            [statistics.median(values) for values in column] for column in (alone, beside, rates)
        )
        print(f"| {kind} | {a50:.2f} | {b50:.2f} | {a99:.2f} | {b99:.2f} | {sent:.1f} | {opened:.0f} |")


def measure(port, floods, arguments):
    rows = {kind: [] for kind in floods}
    quiet = Quiet(port)
    quiet.measure(20)
    for _ in range(arguments.rounds):
        for kind in floods:
            alone = quiet.measure(arguments.samples)
            with Flooding(kind, port) as flooding:
                beside = quiet.measure(arguments.samples)
            seconds = flooding.seconds
            rates = (flooding.counts[0] / seconds / 1e6, flooding.counts[1] / seconds)
            rows[kind].append((alone, beside, rates))
            time.sleep(SETTLE_SECONDS)
    quiet.end()
    return rows


if __name__ == "__main__":
    main()
