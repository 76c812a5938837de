#!/usr/bin/env python3
"""Measures what more threads cost: the processor's time of a parlor for each message that it delivers.

    python3 tests/measure/threads.py [--threads 1,2,4] [--before PROGRAM] [--rounds 5] [--seconds 8] [--rate 4000]

`parlor load` has 200 connections in 20 rooms of ten write as often as is said: each message is acknowledged to
one and goes to ten. The data are in memory. The time is that of all the server's threads, of user and system
(`/proc/PID/stat`, in steps of 10 ms), divided by the number of messages that were written. Each round has all
programs, one after the other; printed are medians, with the lowest and the highest, and the ratio to the first.
Beside it: how much of the time the busiest thread has, which is what bounds a server with as many cores.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

from common import HOST, free_port, machine, parlor_binary, start, stop

CONNECTIONS = 200
#: For these loads no limit is met.
ROOMY = {
    "limits.requests_per_second": 100_000,
    "limits.burst": 100_000,
    "limits.connections_per_address": 20_000,
    "limits.user_work_per_second": 0,
    "limits.address_work_per_second": 0,
}


def ticks(stat):
    fields = Path(stat).read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def used(process):
    """Seconds of each thread, by its id."""
    tasks = Path(f"/proc/{process.pid}/task")
    return {task.name: ticks(task / "stat") / os.sysconf("SC_CLK_TCK") for task in tasks.iterdir()}


def run(program, threads, arguments):
    port = free_port()
    values = {**ROOMY, **({"threads": threads} if threads else {})}
    sets = [part for key, value in values.items() for part in ("--set", f"{key}={value}")]
    command = [program, "serve", "--data", ":memory:", "--listen", f"{HOST}:{port}", *sets]
    server = start([*command, "--log", "warn"], port)
    try:
        before = used(server)
        load = [parlor_binary(), "load", f"ws://{HOST}:{port}/ws", "-c", CONNECTIONS, "--ramp", 2_000, "--rate", arguments.rate]
        done = subprocess.run([*map(str, load), "-z", str(arguments.seconds), "--json"], stdout=subprocess.PIPE, check=True)
        after = used(server)
    finally:
        stop(server)
    report = json.loads(done.stdout)
    spent = [after[task] - before.get(task, 0) for task in after]
    sent = report["sent"]
    return sum(spent) / sent * 1e6, max(spent) / sent * 1e6


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", default="1,2,4", help="numbers of threads, with commas")
    parser.add_argument("--before", help="another build, which comes first: its key threads is not set")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=8, help="of load, in each round")
    parser.add_argument("--rate", type=int, default=4_000, help="messages a second, of all connections together")
    arguments = parser.parse_args()
    runs = [(f"threads = {threads}", parlor_binary(), threads) for threads in arguments.threads.split(",")]
    if arguments.before:
        runs.insert(0, ("before", arguments.before, None))
    found = {name: [] for name, _, _ in runs}
    for number in range(arguments.rounds):
        for name, program, threads in runs:
            found[name].append(run(program, threads, arguments))
        print(f"round {number + 1} of {arguments.rounds}", file=sys.stderr)
    print(f"{machine()}; {CONNECTIONS} connections, {arguments.rate} messages a second\n")
    print("| | µs for a message | to the first | of these the busiest thread |")
    print("| --- | --- | --- | --- |")
    first = None
    for name, results in found.items():
        total, busiest = ([result[at] for result in results] for at in (0, 1))
        middle = statistics.median(total)
        first = first or middle
        busy = statistics.median(busiest)
        print(f"| {name} | {middle:.1f} ({min(total):.1f} to {max(total):.1f}) | {middle / first:.2f} | {busy:.1f} |")


if __name__ == "__main__":
    main()
