#!/usr/bin/env python3
"""Measures how long an answer takes, and how long it takes until the last of many has been told: with 50
and with 1,000 clients, in one run, and beside `examples/echo`.

    python3 tests/measure/latency.py [--clients 50 --clients 1000] [--samples 200] [--others 100]

`request`: one of the clients, each in turn, sends a `ping` and waits for its reply, while all others are
connected. `room`: one sends a message to a room in which all are; `stream`: one publishes to a stream that
all watch. Timed is until the last client has it; of the room also while `--others` messages a second are
written to other rooms. `echo` stands for what the loop, the sockets and this
program itself take: a frame of the same size to one connection and back, and one to each of all
connections and back from all. The others are written by this program, too: their work is in the figures.

It fails if something does not arrive. The clients are one process, which shares the machine with the
server: reading a thousand sockets is a good part of what is measured. The standard library only.
"""

import argparse
import json
import select
import statistics
import sys
import tempfile
import threading
import time

from common import HOST, connect, echo_binary, frame, free_port, machine, parlor_binary, start, stop

PATIENCE = 20
TEXT = "x" * 100
STREAM = "prices"
SETTINGS = {
    "limits.requests_per_second": 1_000_000,
    "limits.burst": 1_000_000,
    "limits.connections_per_address": 20_000,
    "presence.scope": "off",
    "streams": "{ %s = { keep = 10, publish = true } }" % STREAM,
    "log.level": "error",
}


class Client:
    """A connection, and what has come on it and was not looked at."""

    def __init__(self, port, path):
        self.socket, self.came = connect(port, path)
        self.socket.setblocking(False)

    def send(self, text):
        self.socket.sendall(frame(text.encode()))


class Clients:
    """Connections that are waited for together."""

    def __init__(self, port, paths):
        self.all = [Client(port, path) for path in paths]
        self.poll = select.epoll()
        self.by_file = {client.socket.fileno(): client for client in self.all}
        for file in self.by_file:
            self.poll.register(file, select.EPOLLIN)

    def close(self):
        self.poll.close()
        for client in self.all:
            client.socket.close()

    def await_all(self, marker, of=None):
        """Reads until each of these clients has been sent `marker`."""
        waited = {client.socket.fileno() for client in of or self.all}
        marker = marker.encode()
        for file in list(waited):
            if marker in self.by_file[file].came:
                self.by_file[file].came = b""
                waited.discard(file)
        deadline = time.monotonic() + PATIENCE
        while waited:
            left = deadline - time.monotonic()
            if left <= 0:
                raise SystemExit(f"{len(waited)} of {len(of or self.all)} have not got {marker}")
            for file, _ in self.poll.poll(left):
                client = self.by_file[file]
                piece = client.socket.recv(1 << 18)
                if not piece:
                    raise SystemExit(f"a connection has ended, with {client.came[-200:]}")
                client.came += piece
                if marker in client.came:
                    client.came = b""
                    waited.discard(file)
                elif b'"type":"error"' in client.came:
                    raise SystemExit(f"refused: {client.came[-300:]}")


class Others(threading.Thread):
    """Writes so many messages a second, each to the room of one of a few users."""

    USERS = 10
    #: Over less time, one that is late says nothing of the rate.
    SECONDS_MIN = 1

    def __init__(self, port, rate):
        super().__init__()
        self.clients = Clients(port, [f"/ws?user=other{n}" for n in range(self.USERS)])
        for n, client in enumerate(self.clients.all):
            client.send(request("room:create", "room-made", room=f"other{n}", open=True))
        self.clients.await_all('"id":"room-made"')
        self.rate, self.sent, self.ended = rate, 0, threading.Event()
        self.took, self.fault, self.began = 0, None, time.monotonic()

    def run(self):
        try:
            self.write()
        except (SystemExit, OSError) as fault:
            self.fault = fault

    def write(self):
        began = time.monotonic()
        while not self.ended.wait(max(0, began + self.sent / self.rate - time.monotonic())):
            n, marker = self.sent % self.USERS, f'"id":"other-{self.sent:08}"'
            client = self.clients.all[n]
            client.send(request("chat:send", f"other-{self.sent:08}", room=f"other{n}", text=TEXT))
            self.clients.await_all(marker, [client])
            self.sent += 1
        self.took = time.monotonic() - began

    def end(self):
        time.sleep(max(0, self.began + self.SECONDS_MIN - time.monotonic()))
        self.ended.set()
        self.join()
        self.clients.close()
        if self.fault is not None:
            raise SystemExit(f"the others: {self.fault}")
        if self.sent < 0.9 * self.rate * self.took:
            raise SystemExit(f"only {self.sent} others were written in {self.took:.1f} s")


def timed(samples, once):
    """What `once(n)` takes, in ms: the median and the 99th percentile."""
    took = []
    for n in range(samples):
        began = time.perf_counter()
        once(n)
        took.append((time.perf_counter() - began) * 1_000)
    ordered = sorted(took)
    return statistics.median(ordered), ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)]


def request(kind, id, **payload):
    return json.dumps({"type": kind, "id": id, "payload": payload})


def of_echo(count, samples):
    port = free_port()
    server = start([echo_binary(), f"{HOST}:{port}"], port)
    clients = Clients(port, ["/"] * count)
    try:

        def one(n):
            client = clients.all[n % count]
            marker = f"one-{n:08}-end"
            client.send(TEXT + marker)
            clients.await_all(marker, [client])

        def all_of_them(n):
            marker = f"all-{n:08}-end"
            for client in clients.all:
                client.send(TEXT + marker)
            clients.await_all(marker)

        timed(min(samples, 20), one)
        return timed(samples, one), timed(rounds(count, samples), all_of_them)
    finally:
        clients.close()
        stop(server)


def of_parlor(count, samples, rate):
    port = free_port()
    sets = [part for name, value in SETTINGS.items() for part in ("--set", f"{name}={value}")]
    with tempfile.TemporaryDirectory() as directory:
        command = [parlor_binary(), "serve", "--listen", f"{HOST}:{port}", "--data", directory]
        server = start([*command, *sets], port)
        clients = Clients(port, [f"/ws?user=u{n}" for n in range(count)])
        try:
            clients.all[0].send(request("room:create", "room-made", room="all", open=True))
            clients.await_all('"id":"room-made"', clients.all[:1])
            for client in clients.all[1:]:
                client.send(request("room:join", "joined", room="all"))
            clients.await_all('"id":"joined"', clients.all[1:])
            for client in clients.all:
                client.send(request("subscribe", "watched", stream=STREAM))
            clients.await_all('"id":"watched"')
            for client in clients.all:
                client.send(request("ping", "settled"))
            clients.await_all('"id":"settled"')

            def ping(n):
                client = clients.all[n % count]
                client.send(request("ping", f"ping-{n:08}"))
                clients.await_all(f'"id":"ping-{n:08}"', [client])

            def say(n):
                text = f"{TEXT}said-{n:08}-end"
                clients.all[n % count].send(request("chat:send", n, room="all", text=text))
                clients.await_all(text)

            def publish(n):
                text = f"{TEXT}told-{n:08}-end"
                clients.all[n % count].send(request("publish", n, stream=STREAM, data={"x": text}))
                clients.await_all(text)

            timed(min(samples, 20), ping)
            shared = rounds(count, samples)
            alone = timed(samples, ping), timed(shared, say), timed(shared, publish)
            others = Others(port, rate)
            others.start()
            try:
                beside = timed(shared, lambda n: say(shared + n))
            finally:
                others.end()
            return *alone, beside
        finally:
            clients.close()
            stop(server)


def rounds(count, samples):
    """How often all are told something: less often, where they are many."""
    return max(5, min(samples, 500_000 // count))


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--clients", type=int, action="append")
    parser.add_argument("--samples", type=int, default=500)
    parser.add_argument("--others", type=int, default=100, help="messages a second to other rooms")
    arguments = parser.parse_args()
    # Python's threads take turns of 5 ms: so long nothing would be read while one writes the others.
    sys.setswitchinterval(0.0001)
    print(f"{machine()}; ms, with the ratio to the same of echo\n")
    print("| clients | what | p50 | p99 | echo p50 | echo p99 | ratio of p50 |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for count in arguments.clients or [50, 1_000]:
        one, each = of_echo(count, arguments.samples)
        ping, say, publish, beside = of_parlor(count, arguments.samples, arguments.others)
        for what, (p50, p99), (echo50, echo99) in (
            ("request → reply", ping, one),
            ("message → last member of the room", say, each),
            (f"the same, beside {arguments.others} others a second", beside, each),
            ("event → last subscriber of the stream", publish, each),
        ):
            print(
                f"| {count:,} | {what} | {p50:.2f} | {p99:.2f} | {echo50:.2f} | {echo99:.2f} | {p50 / echo50:.1f} |"
            )
    print("\nall arrived")


if __name__ == "__main__":
    main()
