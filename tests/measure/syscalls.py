#!/usr/bin/env python3
"""Counts the system calls of `examples/echo` for each echoed message, by `strace -c -f`.

    python3 tests/measure/syscalls.py [--connections 100] [--bytes 20] [--messages 200]

100 connections are open and busy: each keeps as many messages under way as the depth says (1 and
16), and sends the next ones when their echoes have come. The server runs as long as it takes under
`strace -c`, so that the counts hold all of its life: start, handshakes and end, too. So that only
the messages are counted, each depth is run twice, with N and with 2 N messages on each connection,
and the difference is divided by the difference of messages.
"""

import argparse
import os
import re
import select
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

from common import HOST, PATIENCE, connect, echo_binary, frame, free_port, machine, start, stop

READS = ("read", "readv", "recvfrom", "recvmsg", "recvmmsg")
WRITES = ("write", "writev", "sendto", "sendmsg", "sendmmsg")
WAITS = ("epoll_wait", "epoll_pwait", "epoll_pwait2")


def traced_pid(strace):
    """The process that runs under strace: strace's only child."""
    children = Path(f"/proc/{strace.pid}/task/{strace.pid}/children").read_text().split()
    return int(children[0]) if children else None


def converse(port, connections, payload_bytes, depth, messages):
    """Every connection sends `messages` messages, `depth` at a time."""
    message = frame(b"x" * payload_bytes)
    # A server's frame is not masked: four bytes less.
    echo_bytes = len(message) - 4
    poll = select.epoll()
    clients = {}
    try:
        for _ in range(connections):
            client, _ = connect(port)
            client.setblocking(False)
            clients[client.fileno()] = [client, 0, 0]  # socket, messages sent, bytes heard
            poll.register(client, select.EPOLLIN)
        for state in clients.values():
            state[1] = min(depth, messages)
            state[0].sendall(message * state[1])
        left = connections
        while left:
            events = poll.poll(PATIENCE)
            if not events:
                raise SystemExit("the echoes do not come")
            for number, _ in events:
                state = clients[number]
                piece = state[0].recv(1 << 16)
                if not piece:
                    raise SystemExit("the server has hung up")
                state[2] += len(piece)
                heard = state[2] // echo_bytes
                # A whole window at a time, as a client does that sends what it has in one call.
                if heard == state[1]:
                    more = min(depth, messages - state[1])
                    state[1] += more
                    if more:
                        state[0].sendall(message * more)
                    else:
                        left -= 1
    finally:
        for client, _, _ in clients.values():
            client.close()
        poll.close()


def counts(arguments, depth, messages):
    """Runs one server under strace; gives how often it called what."""
    port = free_port()
    with tempfile.NamedTemporaryFile("r", prefix="parlor-strace-") as summary:
        command = [
            shutil.which("strace") or "strace",
            *("-c", "-f", "-U", "calls,name", "-o", summary.name),
            *(echo_binary(), f"{HOST}:{port}"),
        ]
        strace = start(command, port)
        pid = traced_pid(strace)
        try:
            converse(port, arguments.connections, arguments.bytes, depth, messages)
        finally:
            if pid:
                os.kill(pid, signal.SIGTERM)
            try:
                strace.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                stop(strace, signal.SIGKILL)
        found = {}
        for line in summary.read().splitlines():
            match = re.match(r"^\s*(\d+)\s+([a-z_0-9]+)\s*$", line)
            if match and match[2] != "total":
                found[match[2]] = int(match[1])
    if not any(name in found for name in READS):
        raise SystemExit("strace has counted nothing: may it trace here?")
    return found


def main():
    parser = argparse.ArgumentParser(description="System calls of examples/echo for each message")
    parser.add_argument("--connections", type=int, default=100)
    parser.add_argument("--bytes", type=int, default=20, help="of a message (up to 125)")
    parser.add_argument("--messages", type=int, default=320, help="on each connection")
    parser.add_argument("--depths", type=int, nargs="+", default=[1, 16])
    arguments = parser.parse_args()
    if shutil.which("strace") is None:
        raise SystemExit("strace is missing: on Debian, apt-get install strace")
    print(machine())
    print(
        f"{arguments.connections} connections, messages of {arguments.bytes} bytes, "
        f"{arguments.connections * arguments.messages} messages counted at each depth"
    )
    print(f"{'depth':>5} {'reads':>8} {'writes':>8} {'together':>9} {'waits':>8} {'all':>8}")
    for depth in arguments.depths:
        once = counts(arguments, depth, arguments.messages)
        twice = counts(arguments, depth, 2 * arguments.messages)
        messages = arguments.connections * arguments.messages

        def each(names):
            return sum(twice.get(name, 0) - once.get(name, 0) for name in names) / messages

        reads, writes, waits = each(READS), each(WRITES), each(WAITS)
        every = each(set(once) | set(twice))
        print(
            f"{depth:>5} {reads:>8.3f} {writes:>8.3f} {reads + writes:>9.3f} "
            f"{waits:>8.3f} {every:>8.3f}"
        )


if __name__ == "__main__":
    main()
