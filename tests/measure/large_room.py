#!/usr/bin/env python3
"""Measures whether a large room costs more than its fan-out.

    python3 tests/measure/large_room.py

Two rooms, one of 10,000 members and one of 200, with the same 100 members connected to each. What
the server works, in seconds of processor, is divided by the number of messages that one of them
sends, and then by the number of people who come in and go again, one after another; and for pages of
the list of members. A room whose members do not matter costs the same as the small one. The data
are in memory: the disk is not what is measured.
"""

import argparse
import json
import tempfile
import time

from common import HOST, connect, cpu_seconds, frame, free_port, machine, parlor_binary, start, stop

CONNECTED = 100
SMALL = 200
MESSAGES = 4_000
GUESTS = 1_000
PAGES = 10_000


class Client:
    def __init__(self, port, user):
        self.socket, self.rest = connect(port, f"/ws?user={user}")
        self.count = 0

    def ask(self, kind, **payload):
        self.count += 1
        request = {"type": kind, "id": self.count, "payload": payload}
        self.socket.sendall(frame(json.dumps(request).encode()))

    def answers(self, count):
        """Reads until so many replies more have come."""
        mark = b'{"type":"reply"'
        while self.rest.count(mark) < count:
            if b'{"type":"error"' in self.rest:
                raise SystemExit(self.rest[self.rest.index(b'{"type":"error"') :][:300].decode())
            piece = self.socket.recv(1 << 18)
            if not piece:
                raise SystemExit("the server has closed a connection")
            self.rest += piece
        self.rest = b""

    def request(self, kind, **payload):
        self.ask(kind, **payload)
        self.answers(1)

    def drain(self):
        self.socket.setblocking(False)
        try:
            while self.socket.recv(1 << 20):
                pass
        except BlockingIOError:
            self.socket.setblocking(True)
            self.rest = b""

    def close(self):
        self.socket.close()


def measure(members):
    """Microseconds of processor for a message, for a coming and going, and for a page of members."""
    port = free_port()
    command = [parlor_binary(), "serve", "--listen", f"{HOST}:{port}", "--data", ":memory:"]
    command += ["--log", "warn"]
    limits = ["connections_per_address=20000"]
    limits += [f"{rate}=1000000000" for rate in ("requests_per_second", "burst", "user_work_per_second", "user_work_burst")]
    for limit in limits:
        command += ["--set", f"limits.{limit}"]
    command += ["--set", "presence.scope=off"]
    process = start(command, port)
    people = []
    try:
        for number in range(CONNECTED, members):
            one = Client(port, f"user{number}")
            one.request("room:join", room="hall")
            one.close()
        people = [Client(port, f"user{number}") for number in range(CONNECTED)]
        for one in people:
            one.request("room:join", room="hall")
        time.sleep(0.5)
        speaker, others = people[0], people[1:]

        def work(count, do):
            for one in people:
                one.drain()
            before = cpu_seconds(process)
            for number in range(count):
                do(number)
                if number % 100 == 0:
                    for one in others:
                        one.drain()
            return (cpu_seconds(process) - before) / count * 1e6

        def guest(number):
            one = Client(port, f"guest{number}")
            one.request("room:join", room="hall")
            one.request("room:leave", room="hall")
            one.close()

        message = work(MESSAGES, lambda number: speaker.request("chat:send", room="hall", text=f"{number}"))
        coming = work(GUESTS, guest)
        page = work(PAGES, lambda number: speaker.request("room:members", room="hall", after=f"user{number % 80}", limit=100))
        return message, coming, page
    finally:
        for one in people:
            one.close()
        stop(process)


def main():
    parser = argparse.ArgumentParser(description="What a large room costs")
    parser.add_argument("--members", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    print(f"{machine()}; {CONNECTED} members connected; µs of processor; {arguments.rounds} rounds in turn")
    print("| members | a message | a coming and going | a page of 100 members |")
    print("| ---: | ---: | ---: | ---: |")
    best = {}
    for _ in range(arguments.rounds):
        for members in (SMALL, arguments.members - 1):
            found = measure(members)
            best[members] = tuple(map(min, best.get(members, found), found))
    for members, found in best.items():
        print(f"| {members:,} | {found[0]:.0f} | {found[1]:.0f} | {found[2]:.0f} |")
    small, large = best.values()
    print("| ratio | " + " | ".join(f"{b / a:.2f}" for a, b in zip(small, large)) + " |")


if __name__ == "__main__":
    main()
