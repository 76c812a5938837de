#!/usr/bin/env python3
"""Measures how clients come back when the server is restarted: in which second after their close, of
5,000 who obey `notice draining` (docs/protocol.md, "Closing").

    python3 tests/measure/returns.py [--clients 5000] [--replace]

Each client is told the time over which to come back, and takes a random moment of it; if nobody listens
then, it tries again by full jitter, from 1 s up to 30 s. SIGTERM, and a new server on the same data and
port as soon as the old one has ended. It fails if somebody does not come back. The standard library only.

With `--replace`, a second server takes the first one's place (`parlor serve --replace`). Meanwhile somebody
asks for /healthz on a new connection, one after the other: how many attempts were refused, and how long the
longest took, beside what the announcement takes.
"""

import argparse
import heapq
import json
import random
import select
import tempfile
import time

from attempts import Attempts
from common import HOST, PATIENCE, connect, free_port, machine, parlor_binary, start, stop

FIRST_BACKOFF, BACKOFF_MAX = 1.0, 30.0
SETTINGS = {"limits.connections_per_address": 20_000, "log.level": "error"}


def hello(port, number):
    """A client that is let in: its socket."""
    client, came = connect(port, f"/ws?user=u{number}")
    while b'"type":"hello"' not in came:
        piece = client.recv(1 << 16)
        if not piece:
            raise OSError("the connection ended before hello")
        came += piece
    client.setblocking(False)
    return client


def await_close(clients):
    """Reads what everybody is told until they are closed; gives each one's spread in ms, and when it was
    closed."""
    poll = select.epoll()
    by_file = {client.fileno(): number for number, client in enumerate(clients)}
    came = [b""] * len(clients)
    for file in by_file:
        poll.register(file, select.EPOLLIN)
    told, closed = {}, {}
    deadline = time.monotonic() + PATIENCE
    while len(closed) < len(clients):
        if time.monotonic() > deadline:
            raise SystemExit(f"{len(clients) - len(closed)} were not closed")
        for file, _ in poll.poll(1):
            number = by_file[file]
            try:
                piece = clients[number].recv(1 << 16)
            except OSError:
                piece = b""
            came[number] += piece
            if b'"spread_ms":' in came[number] and number not in told:
                rest = came[number].split(b'"spread_ms":', 1)[1]
                told[number] = int(json.JSONDecoder().raw_decode(rest.decode(errors="replace"))[0])
            # RFC 6455 §7.4.2: 1012 in a Close that is not masked.
            if b"\x03\xf4" in piece or not piece:
                poll.unregister(file)
                clients[number].close()
                closed[number] = time.monotonic()
    poll.close()
    if len(told) < len(clients):
        raise SystemExit(f"{len(clients) - len(told)} were not told when to come back")
    return told, closed


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--clients", type=int, default=5_000)
    parser.add_argument("--replace", action="store_true")
    arguments = parser.parse_args()
    count = arguments.clients
    port = free_port()
    sets = [part for name, value in SETTINGS.items() for part in ("--set", f"{name}={value}")]
    with tempfile.TemporaryDirectory() as directory:
        command = [parlor_binary(), "serve", "--listen", f"{HOST}:{port}", "--data", directory, *sets]
        server = start(command, port)
        try:
            clients = [hello(port, number) for number in range(count)]
            if arguments.replace:
                with Attempts(port) as attempts:
                    old, begun = server, time.monotonic()
                    server = start([*command, "--replace"], port)
                    told, closed = await_close(clients)
                    old.wait(PATIENCE)
                    drained = time.monotonic() - begun
                    back = come_back(port, told, closed)
                print(f"asked meanwhile: {attempts.served} answered, {attempts.refused} refused; the longest took "
                      f"{attempts.longest:.2f} s, the old server's end {drained:.2f} s")  # fmt: skip
            else:
                server.terminate()
                told, closed = await_close(clients)
                server.wait(PATIENCE)
                server = start(command, port)
                back = come_back(port, told, closed)
        finally:
            stop(server)
    show(count, told, closed, back)


def come_back(port, told, closed):
    """Lets everybody come back in their time; gives when each was let in, and after how many attempts."""
    due = [
        (closed[number] + random.uniform(0, spread_ms / 1_000), number, 1)
        for number, spread_ms in told.items()
    ]
    heapq.heapify(due)
    back, held = {}, []
    while due:
        at, number, attempt = heapq.heappop(due)
        time.sleep(max(0.0, at - time.monotonic()))
        try:
            held.append(hello(port, number))
            back[number] = (time.monotonic(), attempt)
        except OSError:
            longest = min(BACKOFF_MAX, FIRST_BACKOFF * 2 ** (attempt - 1))
            again = time.monotonic() + random.uniform(0, longest)
            heapq.heappush(due, (again, number, attempt + 1))
    for client in held:
        client.close()
    return back


def show(count, told, closed, back):
    first = min(closed.values())
    seconds = {}
    for at, _ in back.values():
        seconds[int(at - first)] = seconds.get(int(at - first), 0) + 1
    most = max(seconds.values())
    print(f"{machine()}; {count:,} clients, told to come back within {max(told.values())} ms")
    for second in range(max(seconds) + 1):
        came = seconds.get(second, 0)
        print(f"{second:>3} s {came:>6}  {'#' * (came * 50 // most)}")
    again = sum(attempts > 1 for _, attempts in back.values())
    print(f"most in one second: {most}; tried more than once: {again}")


if __name__ == "__main__":
    main()
