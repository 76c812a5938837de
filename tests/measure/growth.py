#!/usr/bin/env python3
"""Measures work against what it may grow with: whether many cost more for each than few.

    python3 tests/measure/growth.py [--only online|spread] [--online 9900] [--rooms 100000]

`online`: a room whose members are all connected. What the server works for a message, and for somebody
who joins and leaves, in µs of the processor for each member who is told.

`spread`: so many rooms of five members, and of a thousand people a hundred who are connected write one
message into each of their rooms, and then another: µs of the processor for a message, and bytes of
memory for each room that was written to. Then the server is killed by SIGKILL, and started again.

A tenth is measured beside each number.
"""

import argparse
import json
import select
import signal
import tempfile
import time
from pathlib import Path

from common import HOST, PATIENCE, connect, cpu_seconds, frame, free_port, machine, parlor_binary, start, stop
from memory import resident
from store import opened, timed, write_lines

LIMITS = ("requests_per_second=1000000", "burst=1000000", "connections_per_address=20000")
#: Deliveries of the messages to an online room, of which each number of members has as many.
DELIVERIES = 400_000
MESSAGES_MAX = 4_000
#: Of the thousand people of `store.py`, those who are connected and write.
WRITERS = 100
#: Requests of a writer under way.
DEPTH = 32


def serve(data):
    port = free_port()
    command = [parlor_binary(), "serve", "--listen", f"{HOST}:{port}", "--data", str(data), "--log", "warn"]
    command += [part for limit in LIMITS for part in ("--set", f"limits.{limit}")]
    # Nobody here answers pings.
    command += ["--set", "presence.scope=off", "--set", "heartbeat.interval_ms=600000"]
    return start(command, port), port


class Crowd:
    """Clients that hear all, and count what has a mark in it."""

    def __init__(self, port):
        self.port, self.poll, self.clients = port, select.epoll(), {}

    def come(self, user):
        client, rest = connect(self.port, f"/ws?user={user}")
        self.poll.register(client, select.EPOLLIN)
        self.clients[client.fileno()] = client, bytearray(rest)
        return client

    def go(self, client):
        del self.clients[client.fileno()]
        client.close()

    def ask(self, client, kind, id=1, **payload):
        client.sendall(frame(json.dumps({"type": kind, "id": id, "payload": payload}).encode()))

    def hear(self, mark, count):
        """Reads until the mark has come so often at all of them together."""
        heard, until = 0, time.monotonic() + PATIENCE
        while heard < count:
            for file, _ in self.poll.poll(0.5):
                client, rest = self.clients[file]
                piece = client.recv(1 << 18)
                if not piece:
                    raise SystemExit("the server has closed a connection")
                if b'"type":"error"' in piece:
                    raise SystemExit(piece[piece.index(b'"type":"error"') :][:300].decode(errors="replace"))
                rest += piece
                heard += rest.count(mark)
                # What may be cut in the middle is looked at again; never what was counted.
                del rest[: max(rest.rfind(mark) + len(mark), len(rest) - len(mark) + 1)]
                until = time.monotonic() + PATIENCE
            if time.monotonic() > until:
                raise SystemExit(f"{heard} of {count} have come of {mark.decode()}")

    def end(self):
        for client, _ in list(self.clients.values()):
            self.go(client)


def online(members):
    process, port = serve(":memory:")
    crowd = Crowd(port)
    try:
        # Whoever joins beside the others would be told to all of them.
        for number in range(members):
            one = crowd.come(f"user{number}")
            crowd.ask(one, "room:join", room="hall")
            crowd.hear(b'"type":"reply"', 1)
            crowd.go(one)
        people = [crowd.come(f"user{number}") for number in range(members)]
        guest = crowd.come("guest")
        time.sleep(0.5)
        rounds = min(max(20, DELIVERIES // members), MESSAGES_MAX)
        before = cpu_seconds(process)
        for number in range(rounds):
            crowd.ask(people[0], "chat:send", room="hall", text=f"{number:060}")
            crowd.hear(b'"type":"chat:message"', members - 1)
        message = (cpu_seconds(process) - before) / rounds / members
        rounds = max(10, rounds // 4)
        before = cpu_seconds(process)
        for _ in range(rounds):
            for kind in ("room:join", "room:leave"):
                crowd.ask(guest, kind, room="hall")
                crowd.hear(b'"type":"room:', members)
        coming = (cpu_seconds(process) - before) / rounds / members
        print(f"| {members:,} online | {message * 1e6:.2f} | {coming * 1e6:.2f} |", flush=True)
    finally:
        crowd.end()
        stop(process)


def write_all(process, crowd, writers, text):
    """A message into each room of each writer; µs for one."""
    before, count = cpu_seconds(process), 0
    for client, rooms in writers:
        for begin in range(0, len(rooms), DEPTH):
            some = rooms[begin : begin + DEPTH]
            for id, room in enumerate(some):
                crowd.ask(client, "chat:send", id, room=room, text=text)
            crowd.hear(b'"type":"reply"', len(some))
        count += len(rooms)
    return (cpu_seconds(process) - before) / count * 1e6, count


def spread(folder, rooms):
    lines, data = folder / "lines", folder / f"rooms-{rooms}"
    owners = write_lines(lines, 0, rooms)
    timed("import", lines, "--data", data)
    lines.unlink()
    process, port = serve(data)
    crowd = Crowd(port)
    try:
        ours = {}
        for number, owner in enumerate(owners):
            ours.setdefault(owner, []).append(f"room{number}")
        names = sorted(ours)[:WRITERS]
        writers = [(crowd.come(name), ours[name]) for name in names]
        time.sleep(0.5)
        begin = resident(process)
        first, count = write_all(process, crowd, writers, "x" * 80)
        second, _ = write_all(process, crowd, writers, "y" * 80)
        grown = (resident(process) - begin) / count
    finally:
        stop(process, signal.SIGKILL)
        crowd.end()
    took, starts_with, worked = opened(data)
    print(f"| {rooms:,} | {count:,} | {first:.1f} | {second:.1f} | {grown:.0f} | "
          f"{took / 1_000:.2f} s, {worked:.2f} s of the processor, {starts_with:.0f} MiB |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=("online", "spread"))
    parser.add_argument("--online", type=int, default=9_900)
    parser.add_argument("--rooms", type=int, default=100_000)
    options = parser.parse_args()
    print(machine())
    if options.only in (None, "online"):
        print("\n| | a message, µs for each | joining and leaving |\n| --- | ---: | ---: |")
        for members in (options.online // 100, options.online // 10, options.online):
            online(members)
    if options.only in (None, "spread"):
        print("\n| rooms | written to | a first message, µs | a second | bytes a room | after SIGKILL |")
        print("| ---: | ---: | ---: | ---: | ---: | --- |")
        with tempfile.TemporaryDirectory(prefix="parlor-measure-") as name:
            for rooms in (options.rooms // 10, options.rooms):
                spread(Path(name), rooms)


if __name__ == "__main__":
    main()
