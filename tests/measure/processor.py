#!/usr/bin/env python3
"""Measures the processor's time of `examples/echo` for each echoed message, for two builds of it, in turns.

    python3 tests/measure/processor.py OLD NEW [--rounds 7] [--messages 16000]

OLD and NEW are two programs, as `target/release/examples/echo` of two checkouts. 100 connections keep 16 messages under way;
the time is the server's, of user and system (`/proc/PID/stat`, in steps of 10 ms), divided by the number of messages. Printed are
the medians, with the lowest and the highest.
"""

import argparse
import os
import statistics
from pathlib import Path

from common import HOST, free_port, machine, start, stop
from syscalls import converse

CONNECTIONS = 100
DEPTH = 16


def seconds(process):
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def microseconds(program, payload_bytes, messages):
    """For each message."""
    port = free_port()
    server = start([program, f"{HOST}:{port}"], port)
    try:
        before = seconds(server)
        converse(port, CONNECTIONS, payload_bytes, DEPTH, messages)
        return (seconds(server) - before) / (CONNECTIONS * messages) * 1e6
    finally:
        stop(server)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("programs", nargs=2, metavar=("OLD", "NEW"))
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--messages", type=int, default=16_000, help="on each connection")
    wanted = parser.parse_args()
    print(f"{machine()}; {CONNECTIONS} connections, {DEPTH} under way")
    for payload_bytes in (20, 1_024):
        found = {program: [] for program in ("old", "new")}
        for _ in range(wanted.rounds):
            for name, program in zip(found, wanted.programs):
                found[name].append(microseconds(program, payload_bytes, wanted.messages))
        for name, times in found.items():
            print(f"{payload_bytes} bytes, {name}: {statistics.median(times):.3f} us ({min(times):.3f} to {max(times):.3f})")


if __name__ == "__main__":
    main()
