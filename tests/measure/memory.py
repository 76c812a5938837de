#!/usr/bin/env python3
"""Measures what an idle connection costs: the growth of the process's memory (VmRSS) by 5,000 of
them, divided by their number, in a fresh process after a warm-up of 100.

    python3 tests/measure/memory.py echo
    python3 tests/measure/memory.py compression
    python3 tests/measure/memory.py chat

`echo`: WebSockets that have said nothing.

`compression`: the same, where permessage-deflate was agreed upon: with no context takeover; with
it, before the first message; and with it when 40 KiB have gone each way. Then with no context
takeover and the same 40 KiB, after which nothing is left of them.

`chat`: each connection is a user of its own, a member of one room of 50. Measured twice. First all
is new to the server: users, rooms, memberships and connections. Then the server is started again on
the same data, so that it knows users, rooms and memberships before the first connection comes: what
grows then are the connections, less what they take of the memory in which the start read all that
(some 100 bytes each). Each time everybody is told of everybody's coming, and what is told is read
before memory is looked at. Then, with other data, all connections are those of one user in one room,
who was known before.
"""

import argparse
import json
import resource
import tempfile
import time
import zlib
from pathlib import Path

from common import HOST, connect, echo_binary, frame, free_port, machine, parlor_binary, start, stop

WARM = 100
ROOM_MEMBERS = 50
#: What is told of presence comes at most this far apart.
QUIET_SECONDS = 2.5


def resident(process):
    for line in Path(f"/proc/{process.pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise SystemExit("the server is gone")


def settle(clients):
    """Reads whatever comes, until nothing more does."""
    quiet_since = time.monotonic()
    while time.monotonic() - quiet_since < QUIET_SECONDS:
        for client in clients:
            try:
                while client.recv(1 << 20):
                    quiet_since = time.monotonic()
            except BlockingIOError:
                pass
        time.sleep(0.05)


def idle(port, paths, first_message=None, offer=None, exchange=None):
    """Open connections, one for each of `paths`. With `first_message` each sends one and waits
    for the reply."""
    clients = []
    for number, path in enumerate(paths):
        client, rest = connect(port, path, offer)
        if exchange is not None:
            exchange(client)
        if first_message is not None:
            client.sendall(frame(first_message(path, number)))
            while b'"type":"reply"' not in rest:
                piece = client.recv(65_536)
                if not piece or b'"type":"error"' in piece:
                    raise SystemExit(f"refused: {piece.decode(errors='replace')}")
                rest += piece
        client.setblocking(False)
        clients.append(client)
    return clients


def grown(process, port, warm, paths, first_message=None, **how):
    """Bytes for each connection to `paths`."""
    held = idle(port, warm, first_message, **how)
    try:
        settle(held)
        before = resident(process)
        held += idle(port, paths, first_message, **how)
        settle(held)
        return (resident(process) - before) / len(paths)
    finally:
        for client in held:
            client.close()


def of_echo(count, **how):
    port = free_port()
    process = start([echo_binary(), f"{HOST}:{port}"], port)
    try:
        return grown(process, port, ["/"] * WARM, ["/"] * count, **how)
    finally:
        stop(process)


def echo(count):
    print(f"echo: {of_echo(count):.0f} bytes for an idle connection")


def talk(client):
    """Sends 40 KiB that can be compressed, as one message, and reads their echo."""
    deflater = zlib.compressobj(6, zlib.DEFLATED, -15)
    message = b"".join(b"%d words, " % number for number in range(4_000))[: 40 * 1024]
    payload = (deflater.compress(message) + deflater.flush(zlib.Z_SYNC_FLUSH))[:-4]
    client.sendall(frame(payload, rsv=4))
    got = b""
    while len(got) < 4 or len(got) < 4 + int.from_bytes(got[2:4], "big"):
        piece = client.recv(65_536)
        if not piece:
            raise SystemExit("the connection ended within the echo")
        got += piece


def compression(count):
    takes_over = "permessage-deflate"
    alone = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
    # 64 KiB for each connection: more than the server lets windows come to by default.
    few = min(count, 900)
    for name, connections, how in (
        ("no context takeover", count, {"offer": alone}),
        ("no context takeover, after 40 KiB each way", few, {"offer": alone, "exchange": talk}),
        ("context takeover", few, {"offer": takes_over}),
        ("context takeover, after 40 KiB each way", few, {"offer": takes_over, "exchange": talk}),
    ):
        each = of_echo(connections, **how)
        print(f"{name}: {each:.0f} bytes for an idle connection ({connections})")


def join(path, number):
    kind = "warm" if "warm" in path else "room"
    payload = {"room": f"{kind}{number // ROOM_MEMBERS}"}
    return json.dumps({"type": "room:join", "id": 1, "payload": payload}).encode()


def chat(count):
    with tempfile.TemporaryDirectory(prefix="parlor-measure-") as folder:

        def serve(data, users, **how):
            port = free_port()
            command = [parlor_binary(), "serve", "--listen", f"{HOST}:{port}", "--data", f"{folder}/{data}"]
            command += ["--log", "warn", "--set", "limits.connections_per_address=20000"]
            command += ["--set", "limits.connections_per_user=20000"]
            process = start(command, port)
            warm = [f"/ws?user=warm{number}" for number in range(WARM)]
            try:
                return grown(process, port, warm, users, **how)
            finally:
                stop(process)

        users = [f"/ws?user=user{number}" for number in range(count)]
        everything = serve("many", users, first_message=join)
        connection = serve("many", users)
        serve("one", users[:1], first_message=join)
        shared = serve("one", users[:1] * count)
    print(f"chat: {connection:.0f} bytes for an idle connection of a user in a room of 50")
    print(f"chat: {everything:.0f} bytes for such a connection, its user and its membership")
    print(f"chat: {shared:.0f} bytes for one of a user who has all of them")


def main():
    parser = argparse.ArgumentParser(description="Memory for each idle connection")
    parser.add_argument("server", choices=["echo", "compression", "chat"])
    parser.add_argument("--connections", type=int, default=5_000)
    arguments = parser.parse_args()
    files, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = arguments.connections + WARM + 100
    if files < needed:
        if 0 <= most < needed:
            raise SystemExit(f"{needed} open files are needed, and {most} are allowed: ulimit -n")
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, most))
    print(f"{machine()}; {arguments.connections} connections")
    {"echo": echo, "compression": compression, "chat": chat}[arguments.server](arguments.connections)


if __name__ == "__main__":
    main()
