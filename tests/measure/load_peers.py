#!/usr/bin/env python3
"""Measures what a load costs whoever makes it: `parlor load` beside artillery and loadtest, of npm, against one echo server.

    npm install --prefix DIR --ignore-scripts artillery loadtest
    python3 tests/measure/load_peers.py --npm DIR [--rounds 3]

Each message has 62 bytes and comes back. The time is that of user and system of the program that makes the load, its start among it;
what the program takes without a load is measured too, with one connection, and taken off. Printed are the medians of the rounds,
which take turns, with the lowest and the highest. loadtest has no rate that it keeps: it sends as soon as it was answered.
"""

import argparse
import os
import statistics
import subprocess
import tempfile
from pathlib import Path

from common import HOST, ROOT, free_port, machine, start, stop

PARLOR, ECHO = ROOT / "target/release/parlor", ROOT / "target/release/examples/echo"
TEXT = "0123456789" * 6 + "ab"


def cost(command):
    """Seconds of the processor, and MiB at most in memory."""
    child = subprocess.Popen(
        list(map(str, command)),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "ARTILLERY_DISABLE_TELEMETRY": "true"},
    )
    _, status, used = os.wait4(child.pid, 0)
    assert status == 0, command
    return used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def parlor(url, connections, messages):
    rate = max(1, messages // 20)
    load = [PARLOR, "load", url, "--scenario", "echo", "-c", connections, "--ramp", 1_000]
    return [*load, "--rate", rate, "-z", max(1, messages // rate)]


def artillery(npm, folder, url, connections, messages):
    each = messages // connections
    steps = f"- loop: [{{ send: '{TEXT}' }}, {{ think: 1 }}]\n        count: {each}" if each else "- think: 11"
    script = Path(folder) / f"{connections}-{messages}.yml"
    script.write_text(
        f"config:\n  target: '{url}'\n  phases: [{{ duration: 10, arrivalRate: {max(1, connections // 10)} }}]\n"
        f"scenarios:\n  - engine: ws\n    flow:\n      {steps}\n"
    )
    if connections == 1:
        script.write_text(script.read_text().replace("duration: 10", "duration: 1"))
    return [npm / "artillery", "run", "-q", script]


def loadtest(npm, url, connections, messages):
    return [npm / "loadtest", "-n", max(messages, connections), "-c", connections, url]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--npm", type=Path, required=True, metavar="DIR", help="where artillery and loadtest are installed")
    parser.add_argument("--rounds", type=int, default=3)
    wanted = parser.parse_args()
    npm = wanted.npm / "node_modules/.bin"
    for tool in ("artillery", "loadtest"):
        if not (npm / tool).exists():
            parser.error(f"{npm / tool} is not there: npm install --prefix {wanted.npm} --ignore-scripts artillery loadtest")
    print(machine())
    port = free_port()
    url = f"ws://{HOST}:{port}/"
    server = start([ECHO, f"{HOST}:{port}"], port)
    with tempfile.TemporaryDirectory() as folder:
        tools = {
            "parlor": lambda connections, messages: parlor(url, connections, messages),
            "artillery": lambda connections, messages: artillery(npm, folder, url, connections, messages),
            "loadtest": lambda connections, messages: loadtest(npm, url, connections, messages),
        }
        loads = [
            ("without a load", 1, 0, tools),
            ("5,000 connections", 5_000, 0, ("parlor", "artillery")),
            ("500 connections, 10,000 messages", 500, 10_000, ("parlor", "artillery")),
            ("500 connections, 200,000 messages", 500, 200_000, ("parlor", "loadtest")),
        ]
        found = {}
        try:
            for _ in range(wanted.rounds):
                for load, connections, messages, whose in loads:
                    for name in whose:
                        used = cost(tools[name](connections, messages))
                        found.setdefault((load, name), []).append(used)
        finally:
            stop(server)
    for (load, name), used in found.items():
        seconds, mib = zip(*used)
        middle = statistics.median(seconds)
        print(f"{load}, {name}: {middle:.2f} s ({min(seconds):.2f} to {max(seconds):.2f}), {statistics.median(mib):.0f} MiB")


if __name__ == "__main__":
    main()
