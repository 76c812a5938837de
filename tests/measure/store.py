#!/usr/bin/env python3
"""What the store takes: opening, memory, checking and moving by the number of messages, and how many
messages share one sync of the disk; and a start by the number of rooms.

    python3 tests/measure/store.py [--messages 1000000] [--rooms 10000] [--many-rooms 1000000]
        [--only size|rooms|sync]

The messages are made as the lines of an export, and imported. Under load, each connection keeps as
many `chat:send` with a `cid` under way as the depth says; the syncs are those that `strace -c -f`
counts, less those of a server that only starts and ends.
"""

import argparse
import json
import os
import random
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from pathlib import Path

from common import HOST, connect, environment, frame, free_port, machine, parlor_binary, start

LIMITS = ("limits.requests_per_second=1000000", "limits.burst=1000000")


def write_lines(path, messages, rooms):
    """Rooms of five members and as many messages each, as an export has them. Returns who owns each room."""
    chance = random.Random(1)
    each, start_ms = messages // rooms, 1_763_600_000_000
    entries = members = 0
    owners = []
    with path.open("w") as file:

        def put(kind, /, **what):
            file.write(json.dumps({kind: what}) + "\n")

        put("store", format=1, epoch="measured")
        for number in range(rooms):
            room, head = f"room{number}", each + 5
            users = sorted(f"user{one}" for one in chance.sample(range(1_000), 5))
            owners.append(users[0])
            put(
                "room",
                room=room,
                title="",
                open=True,
                ended=False,
                owner=users[0],
                head=head,
                messages=each,
                ts=start_ms + head,
                first=1,
                first_ts=start_ms + 1,
                first_messages=0,
            )
            for seq, user in enumerate(users, 1):
                put(
                    "member",
                    room=room,
                    user=user,
                    joined=seq,
                    read=head,
                    read_messages=each,
                    deleted_unread=0,
                    delivered=seq,
                    has_written=each >= seq,
                    own=True,
                )
            for seq, user in enumerate(users, 1):
                ts = start_ms + seq
                put("entry", room=room, seq=seq, ts=ts, kind="joined", user=user, messages=0)
            for message in range(1, each + 1):
                put(
                    "entry",
                    room=room,
                    seq=message + 5,
                    ts=start_ms + message + 5,
                    kind="message",
                    user=users[(message - 1) % 5],
                    text="x" * 80,
                    cid=f"{chance.getrandbits(64):016x}",
                    digest=f"{chance.getrandbits(64):016x}",
                    messages=message,
                )
            entries, members = entries + each + 5, members + 5
        counts = {"users": 0, "revocations": 0, "rooms": rooms, "members": members}
        put("end", **counts, invites=0, bans=0, entries=entries)
    return owners


def timed(*arguments):
    """Seconds, and MiB at the highest."""
    began = time.monotonic()
    command = [parlor_binary(), "data", *map(str, arguments)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=environment())
    _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        raise SystemExit(f"parlor data {arguments[0]} failed")
    return time.monotonic() - began, usage.ru_maxrss / 1024


def opened(data):
    """Milliseconds until it says where it serves, MiB then, and seconds of the processor."""
    command = [parlor_binary(), "serve", "--listen", f"{HOST}:0", "--data", str(data)]
    began = time.monotonic()
    process = subprocess.Popen(
        [*command, "--log", "warn"], stdout=subprocess.PIPE, text=True, env=environment()
    )
    for line in process.stdout:
        if line.startswith("Chat:"):
            break
    took = (time.monotonic() - began) * 1_000
    status = Path(f"/proc/{process.pid}/status").read_text()
    memory = int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024
    ticks = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    worked = sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")
    process.send_signal(signal.SIGTERM)
    process.wait()
    return took, memory, worked


def size(folder, messages, rooms):
    lines, data = folder / "lines", folder / f"data-{messages}"
    write_lines(lines, messages, rooms)
    print(f"\n{messages:,} messages in {rooms:,} rooms", flush=True)
    for name, arguments in (
        ("import", (lines, "--data", data)),
        ("check", ("--data", data)),
        ("export", (folder / f"export-{messages}", "--data", data)),
        ("backup", (folder / f"backup-{messages}", "--data", data)),
    ):
        seconds, memory = timed(name, *arguments)
        print(f"  {name:8} {seconds:6.1f} s {memory:6.0f} MiB", flush=True)
    print(f"  the file {(data / 'parlor.db').stat().st_size / 2**20:,.0f} MiB")
    took, memory, _ = min(opened(data) for _ in range(5))
    print(f"  opens in {took:.0f} ms, with {memory:.0f} MiB (the best of five)")


def start_with(folder, rooms):
    """A start with so many rooms of five members, without a message."""
    lines, data = folder / "lines", folder / f"rooms-{rooms}"
    write_lines(lines, 0, rooms)
    timed("import", lines, "--data", data)
    lines.unlink()
    took, memory, worked = min(opened(data) for _ in range(3))
    print(
        f"\n{rooms:,} rooms of five: opens in {took / 1_000:.1f} s, {worked:.1f} s of the processor, "
        f"with {memory:,.0f} MiB (the best of three)"
    )


def say(port, user, depth, messages):
    """Sends messages, `depth` at a time, and hears their replies."""
    client, _ = connect(port, f"/ws?user={user}")

    def send(number):
        payload = {"room": "lobby", "text": "x" * 80, "cid": f"{user}-{number}"}
        text = json.dumps({"type": "chat:send", "id": number, "payload": payload})
        client.sendall(frame(text.encode()))

    join = {"type": "room:join", "id": "join", "payload": {"room": f"own-{user}"}}
    client.sendall(frame(json.dumps(join).encode()))
    join["payload"]["room"] = "lobby"
    client.sendall(frame(json.dumps(join).encode()))
    sent = min(depth, messages)
    for number in range(sent):
        send(number)
    heard, tail = 0, b""
    while heard < messages:
        data = tail + client.recv(1 << 16)
        replies = data.count(b'"type":"reply","id":')
        # What may be cut in the middle is looked at again; never what was counted.
        cut = data.rfind(b'"type":"reply","id":')
        tail = data[max(cut + 20, len(data) - 19) :] if cut >= 0 else data[-19:]
        heard += replies - data.count(b'"id":"join"')
        for number in range(sent, min(heard + depth, messages)):
            send(number)
            sent += 1
    client.close()


def syncs(folder, connections, depth, messages):
    """Syncs of a server's life in which each connection sends so many messages, and seconds."""
    port, data, counts = free_port(), folder / f"sync-{time.monotonic_ns()}", folder / "counts"
    command = [parlor_binary(), "serve", "--listen", f"{HOST}:{port}", "--data", str(data)]
    command += [part for limit in LIMITS for part in ("--set", limit)]
    strace = [shutil.which("strace"), "-f", "-c", "-e", "trace=fsync,fdatasync", "-o", str(counts)]
    process = start([*strace, *command, "--log", "warn"], port)
    began = time.monotonic()
    work = [
        threading.Thread(target=say, args=(port, f"user{number}", depth, messages))
        for number in range(connections)
    ]
    for one in work:
        one.start()
    for one in work:
        one.join()
    took = time.monotonic() - began
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    os.kill(int(children[0]), signal.SIGTERM)
    process.wait()
    # % time, seconds, microseconds a call, calls, errors if there are some, call.
    line = r"^ *[\d.]+ +[\d.]+ +\d+ +(\d+) .*(?:fsync|fdatasync)$"
    found = re.findall(line, counts.read_text(), re.MULTILINE)
    return sum(map(int, found)), took


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--messages", type=int, default=1_000_000)
    parser.add_argument("--rooms", type=int, default=10_000)
    parser.add_argument("--many-rooms", type=int, default=1_000_000)
    parser.add_argument("--only", choices=("size", "rooms", "sync"))
    options = parser.parse_args()
    print(machine())
    with tempfile.TemporaryDirectory(prefix="parlor-measure-") as name:
        folder = Path(name)
        if options.only in (None, "rooms"):
            start_with(folder, options.many_rooms)
        if options.only in (None, "size"):
            size(folder, options.rooms, options.rooms)
            size(folder, options.messages, options.rooms)
        if options.only in (None, "sync"):
            print("\nconnections  depth  messages  syncs  messages a sync  messages a second")
            for connections, depth in ((1, 1), (8, 1), (8, 16), (16, 64)):
                each = 4_000 if depth > 1 else 500
                without, _ = syncs(folder, connections, depth, 0)
                count, took = syncs(folder, connections, depth, each)
                total = connections * each
                print(
                    f"{connections:11} {depth:6} {total:9} {count - without:6} "
                    f"{total / max(1, count - without):16.1f} {total / took:18,.0f}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
