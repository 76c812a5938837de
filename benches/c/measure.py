"""A client in C++ with libparlor beside the same with other libraries: `make bench-c`.

    python3 benches/c/measure.py [--ixwebsocket PREFIX] [--rounds N] [--quick]

libwebsockets is Debian's (apt-get install libwebsockets-dev); IXWebSocket is where `cmake --install` has put it, as it is
in no distribution. One that is not there is left out, and that is said. The server is parlor's `echo`.
"""

import argparse
import contextlib
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
HOST = "127.0.0.1"
#: How many messages, of how many bytes, and how many are on their way at a time.
LOADS = ((20_000, 64, 1), (200_000, 64, 100), (10_000, 16_384, 10))
#: What the system has anyway.
SYSTEM = ("libc.so", "libm.so", "libstdc++.so", "libgcc_s.so", "ld-linux", "linux-vdso")


def flags(asked):
    """What each library is compiled and linked with, or nothing, and why it is left out."""
    parlor = ROOT / "target/c/libparlor.a"
    yield "libparlor", [f"-I{ROOT / 'clients/c/include'}", str(parlor), "-lpthread", "-ldl", "-lm"], parlor.exists() or "make c"
    there = Path("/usr/include/libwebsockets.h").exists() or "apt-get install libwebsockets-dev"
    yield "libwebsockets", ["-lwebsockets", "-lssl", "-lcrypto", "-lpthread"], there
    prefix = asked.ixwebsocket
    archive = prefix and prefix / "lib/libixwebsocket.a"
    there = bool(archive and archive.exists()) or "--ixwebsocket PREFIX, where it is installed"
    yield "ixwebsocket", [f"-I{prefix}/include", str(archive), "-lssl", "-lcrypto", "-lz", "-lpthread"], there


def compiled(folder, name, flags):
    program = folder / name
    command = ["c++", "-std=c++11", "-O2", *flags[:1], HERE / "driver.cpp", HERE / f"{name}.cpp", *flags, "-o", program]
    subprocess.run(command, check=True)
    subprocess.run(["strip", program], check=True)
    return program


def lines(name):
    """Of the program, without those that are empty or comments."""
    text = (HERE / f"{name}.cpp").read_text().splitlines()
    return sum(1 for line in text if line.strip() and not line.strip().startswith("//"))


def sizes(program):
    """Bytes of the program, and of the shared libraries that it brings into a process."""
    listed = subprocess.run(["ldd", program], check=True, capture_output=True, text=True).stdout
    paths = [Path(path) for path in re.findall(r"=> (/\S+)", listed)]
    others = [path for path in paths if not path.name.startswith(SYSTEM)]
    return program.stat().st_size, sum(path.resolve().stat().st_size for path in others)


def said(program, *arguments):
    done = subprocess.run([program, *map(str, arguments)], capture_output=True, text=True, timeout=90, check=False)
    assert done.returncode == 0, (program.name, arguments, done.returncode, done.stderr)
    return done.stdout.split()


@contextlib.contextmanager
def echo():
    program = ROOT / "target/release/examples/echo"
    with subprocess.Popen([program, f"{HOST}:0"], stdout=subprocess.PIPE, text=True) as serving:
        try:
            yield re.search(r"ws://\S+", serving.stdout.readline())[0]
        finally:
            serving.terminate()


def memory(program, url):
    """KiB of the process that are in memory, and that are its own, once it is open and idle."""
    pipe = subprocess.PIPE
    with subprocess.Popen([program, "stay", url, ""], stdin=pipe, stdout=pipe, text=True) as staying:
        assert staying.stdout.readline() == "ready\n"
        rollup = Path(f"/proc/{staying.pid}/smaps_rollup").read_text()
        staying.stdin.close()
        staying.stdout.read()
    return tuple(int(re.search(rf"^{what}: *(\d+)", rollup, re.M)[1]) for what in ("Rss", "Private_Dirty"))


@contextlib.contextmanager
def states(url):
    """In which states clients are stopped: a URL for each."""
    with contextlib.ExitStack() as stack:
        silent = stack.enter_context(socket.create_server((HOST, 0), backlog=64))
        full = stack.enter_context(socket.socket())
        full.bind((HOST, 0))
        full.listen(0)
        for _ in range(3):
            # Once its queue is full, nobody is answered at all.
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(full.getsockname())
        with socket.create_server((HOST, 0)) as closed:
            nobody = closed.getsockname()[1]
        quiet = f"{HOST}:{silent.getsockname()[1]}/"
        yield {
            "while TCP is not answered": f"ws://{HOST}:{full.getsockname()[1]}/",
            "while TLS is not answered": f"wss://{quiet}",
            "while the upgrade is not answered": f"ws://{quiet}",
            "open": url,
            "between two attempts": f"ws://{HOST}:{nobody}/",
        }


def measure(programs, rounds, loads, url):
    """Rows of the table: what was measured, and a text for each program."""
    rates = {(load, program): [] for load in loads for program in programs}
    stops = {}
    with states(url) as urls:
        # In turns, so that what else the machine does is shared.
        for _ in range(rounds):
            for load in loads:
                for program in programs:
                    rates[load, program].append([float(word) for word in said(program, "rate", url, "", *load)])
            for state, where in urls.items():
                for program in programs:
                    stops.setdefault((state, program), []).append(int(said(program, "stop", where, "", 500_000)[0]))
    for count, size, window in loads:
        label = f"echoes of {size:,} bytes, {window} on their way: messages a second; µs of processor each"
        middle = lambda program, at: statistics.median(one[at] for one in rates[(count, size, window), program])
        yield label, [f"{middle(program, 0):,.0f}; {middle(program, 1):.1f}" for program in programs]
    for state in urls:
        texts = [f"{statistics.median(stops[state, program]) / 1_000:,.1f}; {max(stops[state, program]) / 1_000:,.1f}" for program in programs]
        yield f"to stop {state}: ms, median and longest", texts


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ixwebsocket", type=Path, metavar="PREFIX", help="where IXWebSocket is installed")
    parser.add_argument("--rounds", type=int, default=7, help="how often each is measured; 7")
    parser.add_argument("--quick", action="store_true", help="one round with a twentieth of the messages: to see that it works")
    asked = parser.parse_args()
    loads = tuple((count // 20, size, window) for count, size, window in LOADS) if asked.quick else LOADS
    with tempfile.TemporaryDirectory() as folder, echo() as url:
        programs = []
        for name, own, is_there in flags(asked):
            if is_there is True:
                programs.append(compiled(Path(folder), name, own))
            else:
                print(f"left out: {name} ({is_there})", file=sys.stderr)
        if not programs:
            sys.exit("nothing to measure")
        print(f"| {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} | " + " | ".join(program.name for program in programs) + " |")
        print("| --- |" + " --- |" * len(programs))
        rows = [("lines of the client", [str(lines(program.name)) for program in programs])]
        rows += [("program, and shared libraries that it needs, KB", ["{:,.0f}; {:,.0f}".format(*(size / 1_000 for size in sizes(program))) for program in programs])]
        rows += [("idle and open: memory, and what is its own alone, KiB", ["{:,}; {:,}".format(*memory(program, url)) for program in programs])]
        rows += measure(programs, 1 if asked.quick else asked.rounds, loads, url)
        for label, texts in rows:
            print(f"| {label} | " + " | ".join(texts) + " |")


if shutil.which("c++") is None:
    sys.exit("c++ is missing: apt-get install g++")
main()
