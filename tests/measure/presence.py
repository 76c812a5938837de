#!/usr/bin/env python3
"""Measures what many people cost each other who come online at once.

    python3 tests/measure/presence.py
    python3 tests/measure/presence.py --scope rooms

Ten thousand sockets connect; then all of them, each with a user of its own, ask for their WebSocket,
as fast as one program can send that. From then on every push of presence to each of them is counted,
until nothing has come for a while. With `--scope rooms` each is a member of one room of 50, and the
server was started anew since they joined.
"""

import argparse
import json
import resource
import select
import socket
import statistics
import tempfile
import time

from common import HOST, PATIENCE, connect, cpu_seconds, frame, free_port, machine, parlor_binary, start, stop

ROOM_MEMBERS = 50
#: A server that is nearly full closes connections that have asked for nothing: those beyond connect when they ask.
SILENT_MAX = 15_000
#: Longer than any window of presence.
QUIET_SECONDS = 4
PRESENCE = ("user:online", "user:offline", "user:count")


class Watcher:
    """A connection, and what it was told of presence."""

    def __init__(self, port):
        self.socket = socket.create_connection((HOST, port), PATIENCE)
        self.socket.setblocking(False)
        self.buffer = b""
        self.is_open = False
        self.is_greeted = False
        self.pushes = self.bytes = 0
        self.people = None

    def ask(self, port, user):
        self.socket.send(
            f"GET /ws?user={user} HTTP/1.1\r\nHost: {HOST}:{port}\r\nUpgrade: websocket\r\n"
            "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            "Sec-WebSocket-Version: 13\r\n\r\n".encode()
        )

    def read(self):
        piece = self.socket.recv(1 << 18)
        if not piece:
            raise SystemExit("the server has closed a connection")
        self.buffer += piece
        if not self.is_open:
            head, end, rest = self.buffer.partition(b"\r\n\r\n")
            if not end:
                return
            if not head.startswith(b"HTTP/1.1 101 "):
                raise SystemExit(f"refused: {head.decode(errors='replace')}")
            self.is_open, self.buffer = True, rest
        while (payload := self.frame()) is not None:
            self.told(payload)

    def frame(self):
        """The payload of the next frame, which a server does not mask."""
        data = self.buffer
        if len(data) < 2:
            return None
        length, start = data[1], 2
        if length >= 126:
            start = 4 if length == 126 else 10
            if len(data) < start:
                return None
            length = int.from_bytes(data[2:start], "big")
        if len(data) < start + length:
            return None
        self.buffer = data[start + length :]
        return data[start : start + length] if data[0] == 0x81 else b"{}"

    def told(self, payload):
        message = json.loads(payload)
        kind = message.get("type")
        self.is_greeted |= kind == "hello"
        if kind in PRESENCE:
            self.pushes += 1
            self.bytes += len(payload)
            if kind == "user:count":
                self.people = message["payload"]["online"]


def serve(data, scope):
    port = free_port()
    command = [parlor_binary(), "serve", "--listen", f"{HOST}:{port}", "--data", data]
    command += ["--log", "warn", "--set", "limits.connections_per_address=20000"]
    command += ["--set", f"presence.scope={scope}"]
    return start(command, port), port


def join_rooms(data, count):
    """Makes everybody a member of a room."""
    process, port = serve(data, "off")
    try:
        for number in range(count):
            client, rest = connect(port, f"/ws?user=user{number}")
            payload = {"room": f"room{number // ROOM_MEMBERS}"}
            request = {"type": "room:join", "id": 1, "payload": payload}
            client.sendall(frame(json.dumps(request).encode()))
            while b'"type":"reply"' not in rest:
                rest += client.recv(65_536)
            client.close()
    finally:
        stop(process)


def measure(count, scope):
    with tempfile.TemporaryDirectory(prefix="parlor-measure-") as data:
        if scope == "rooms":
            join_rooms(data, count)
        process, port = serve(data, scope)
        watchers = []
        try:
            poll, by_file = select.epoll(), {}

            def come():
                watcher = Watcher(port)
                poll.register(watcher.socket, select.EPOLLIN)
                by_file[watcher.socket.fileno()] = watcher
                watchers.append(watcher)

            for _ in range(min(count, SILENT_MAX)):
                come()
            before = cpu_seconds(process)
            begun = time.monotonic()
            for number in range(count):
                if number >= SILENT_MAX:
                    come()
                watchers[number].ask(port, f"user{number}")
            asked = time.monotonic() - begun
            last = time.monotonic()
            while time.monotonic() - last < QUIET_SECONDS:
                for file, _ in poll.poll(0.2, 1_000):
                    by_file[file].read()
                    last = time.monotonic()
            used = cpu_seconds(process) - before
            if not all(watcher.is_greeted for watcher in watchers):
                raise SystemExit("somebody has no hello")
        finally:
            stop(process)
            for watcher in watchers:
                watcher.socket.close()
    pushes = sorted(watcher.pushes for watcher in watchers)
    told = statistics.mean(watcher.bytes for watcher in watchers)
    counts = {watcher.people for watcher in watchers}
    print(f"{count} people asked within {asked:.2f} s, and all was told {last - begun:.1f} s after the first")
    print(f"pushes of presence to each: {pushes[0]} to {pushes[-1]}, in the middle "
          f"{pushes[len(pushes) // 2]}; {told:.0f} bytes on average")
    print(f"what they were told last: {sorted(map(str, counts))} people")
    print(f"the server worked {used:.2f} s, {used / count * 1e6:.0f} µs for each of them, greeting included")


def main():
    parser = argparse.ArgumentParser(description="What it costs when many come online at once")
    parser.add_argument("--people", type=int, default=10_000)
    parser.add_argument("--scope", choices=["everyone", "rooms"], default="everyone")
    arguments = parser.parse_args()
    files, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = arguments.people + 200
    if files < needed:
        if 0 <= most < needed:
            raise SystemExit(f"{needed} open files are needed, and {most} are allowed: ulimit -n")
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, most))
    print(f"{machine()}; presence.scope={arguments.scope}")
    measure(arguments.people, arguments.scope)


if __name__ == "__main__":
    main()
