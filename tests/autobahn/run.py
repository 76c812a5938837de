#!/usr/bin/env python3
"""Runs the Autobahn testsuite against parlor, as server and as client, and judges it strictly.

    python3 tests/autobahn/run.py [--role server|tls-server|client|blocking-client|both|each] [--cases all|subset] [--table]

The suite's fuzzing client speaks to `examples/echo`, its fuzzing server to
`examples/autobahn_client`, both on loopback; `blocking-client` is its other client. As `tls-server` it is `examples/tls_echo`, to which the suite,
which has no TLS, speaks through a tunnel. `both` are server and client, `each` all four. Every case must have run, and must be OK in what was
said and in how it was closed; see judge.py. The reports are left in target/autobahn.

`--table` writes the results into docs/conformance.md. Exit status 1: a case failed, or the suite
did not run to its end; 2: wrong use; 3: there is no Python 2.7 (see setup.sh).
"""

import argparse
import ast
import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import judge
from tunnel import Tunnel

ROOT = Path(__file__).resolve().parents[2]
HERE = ROOT / "tests/autobahn"
PYTHON2 = ROOT / "target/autobahn-python/bin/python"
CONFORMANCE = ROOT / "docs/conformance.md"
HOST = "127.0.0.1"
AGENT = "parlor"
ROLES = ["server", "tls-server", "client", "blocking-client"]
#: The bounds of everything, in seconds.
SETUP_SECONDS = 900
START_SECONDS = 20
STOP_SECONDS = 10
RUN_SECONDS = {"subset": 300, "all": 3_600}
#: Failures of the same kind in a chapter that are told in detail; the others in a line each.
DETAILS_MAX = 3


class Trouble(Exception):
    """The suite did not run to its end."""


def stop(process):
    """Ends a process of ours, by its own id."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextlib.contextmanager
def running(command, log, **variables):
    """A process that ends with the block; what it prints is in `log`."""
    environment = {**os.environ, **variables}
    with open(log, "wb") as output:
        process = subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment,
            cwd=log.parent,
        )
        try:
            yield process
        finally:
            stop(process)


def free_port():
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return probe.getsockname()[1]


def wait_until_serving(process, port, log):
    deadline = time.monotonic() + START_SECONDS
    while True:
        if process.poll() is not None or time.monotonic() > deadline:
            raise Trouble(f"it does not serve: {last_line(log)} ({log})")
        try:
            socket.create_connection((HOST, port), 1).close()
            return
        except OSError:
            time.sleep(0.05)


def wait_until_ended(process, log, other, suite_log, seconds):
    """Waits for `process`, as long as `other` runs, too; tells each chapter that begins."""
    deadline = time.monotonic() + seconds
    chapter = None
    while process.poll() is None:
        case = re.search(r"case ID (\d+)\.", last_line(suite_log))
        if case and case[1] != chapter:
            chapter = case[1]
            print(f"  chapter {chapter} …", file=sys.stderr, flush=True)
        if other.poll() is not None:
            raise Trouble(f"{other.args[0]} has ended early: {last_line(suite_log)} ({suite_log})")
        if time.monotonic() > deadline:
            raise Trouble(f"not done in {seconds} s: {last_line(suite_log)} ({suite_log})")
        time.sleep(0.1)
    if process.returncode != 0:
        raise Trouble(f"{process.args[0]} has failed: {last_line(log)} ({log})")


def last_line(log):
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    return lines[-1] if lines else "nothing was printed"


def suite(mode, spec, out):
    """The suite's command. Its web server (`-u`) stays off, and Python does not buffer (`-u`)."""
    spec = {"outdir": str(out), "exclude-cases": [], "exclude-agent-cases": {}, **spec}
    (out / "spec.json").write_text(json.dumps(spec, indent=1) + "\n")
    return [PYTHON2, "-u", HERE / "loopback.py", "-m", mode, "-u", "0", "-s", out / "spec.json"]


def run_server(arguments, cases, out):
    """parlor's server, and the suite's fuzzing client."""
    url = f"ws://{HOST}:{free_port()}"
    echo_log, suite_log = out / "echo.log", out / "suite.log"
    spec = {"servers": [{"agent": AGENT, "url": url}], "cases": cases}
    with running([arguments.echo, url.removeprefix("ws://"), "0"], echo_log) as echo:
        wait_until_serving(echo, int(url.rpartition(":")[2]), echo_log)
        with running(suite("fuzzingclient", spec, out), suite_log) as fuzzer:
            wait_until_ended(fuzzer, suite_log, echo, suite_log, RUN_SECONDS[arguments.cases])


def run_tls_server(arguments, cases, out):
    """The same over TLS."""
    certificate, key = out / "chat.pem", out / "chat.key"
    made = ["openssl", "req", "-x509", "-nodes", "-days", "9", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    made += ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", certificate]
    subprocess.run([str(part) for part in made], check=True, capture_output=True)
    port, echo_log, suite_log = free_port(), out / "echo.log", out / "suite.log"
    command = [arguments.tls_echo, f"{HOST}:{port}", certificate, key, "0"]
    with running(command, echo_log) as echo, Tunnel(port, certificate) as tunnel:
        wait_until_serving(echo, port, echo_log)
        spec = {"servers": [{"agent": AGENT, "url": f"ws://{HOST}:{tunnel.port}"}], "cases": cases}
        with running(suite("fuzzingclient", spec, out), suite_log) as fuzzer:
            wait_until_ended(fuzzer, suite_log, echo, suite_log, RUN_SECONDS[arguments.cases])


def run_client(arguments, cases, out, *which):
    """parlor's client, and the suite's fuzzing server."""
    url = f"ws://{HOST}:{free_port()}"
    client_log, suite_log = out / "client.log", out / "suite.log"
    with running(suite("fuzzingserver", {"url": url, "cases": cases}, out), suite_log) as fuzzer:
        wait_until_serving(fuzzer, int(url.rpartition(":")[2]), suite_log)
        variables = {"AUTOBAHN_URL": url, "AUTOBAHN_AGENT": AGENT}
        with running([arguments.client, *which], client_log, **variables) as client:
            wait_until_ended(client, client_log, fuzzer, suite_log, RUN_SECONDS[arguments.cases])
            # A case that the client could not end in order is the suite's to judge, but to be seen.
            print(client_log.read_text(errors="replace"), end="", file=sys.stderr)


def run_blocking_client(arguments, cases, out):
    """The same with parlor's client that blocks."""
    run_client(arguments, cases, out, "blocking")


def place(role, arguments):
    """Where a role's reports are. It is emptied before a run: no other file has such a name."""
    return arguments.out / f"parlor-as-{role}"


def run(role, arguments, expected):
    """Runs one role; gives the verdicts of its cases."""
    out = place(role, arguments)
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    # All is asked for as all: a case that this program does not know must not go unseen.
    cases = ["*"] if arguments.cases == "all" else expected
    runs = {"server": run_server, "tls-server": run_tls_server, "client": run_client, "blocking-client": run_blocking_client}
    runs[role](arguments, cases, out)
    listed = re.search(r"^Cases = (\[.*\])$", (out / "suite.log").read_text(), re.MULTILINE)
    if not listed or ast.literal_eval(listed[1]) != expected:
        raise Trouble(f"the suite's cases are not those of judge.py ({out / 'suite.log'})")
    if not (out / "index.json").is_file():
        raise Trouble(f"the suite has left no reports ({out})")
    index = json.loads((out / "index.json").read_text()).get(AGENT, {})
    verdicts = []
    for case in expected:
        entry = index.pop(case, None)
        path = out / entry["reportfile"] if entry else None
        report = json.loads(path.read_text()) if path and path.is_file() else None
        verdicts.append(judge.judged(case, entry, report))
    if index:
        raise Trouble(f"the suite reports cases that were not to run: {', '.join(index)}")
    return verdicts


def tell(role, verdicts, seconds, out):
    """Prints the summary of a role; gives the number of failures."""
    print(f"parlor as {role}: {len(verdicts)} cases in {seconds:.0f} s")
    for chapter, (title, _) in judge.CHAPTERS.items():
        of_chapter = [verdict for verdict in verdicts if verdict.chapter == chapter]
        if of_chapter:
            counted = judge.counted(of_chapter)
            print(f"  {chapter:>2}  {len(of_chapter):>3} cases  {counted:<24}  {title}")
    failures = [verdict for verdict in verdicts if verdict.why]
    told = Counter()
    for verdict in failures:
        told[verdict.chapter, verdict.word] += 1
        print(f"\n  parlor as {role}, {verdict.case}: {verdict.word}: {verdict.why}")
        if told[verdict.chapter, verdict.word] <= DETAILS_MAX:
            for line in judge.details(verdict):
                print(f"      {line}")
    if failures:
        print(f"\n  the suite's reports: {out}")
    return len(failures)


def set_up():
    """Makes the suite's Python; ends the program with setup.sh's status if that fails."""
    process = subprocess.Popen(["sh", str(HERE / "setup.sh")], start_new_session=True)
    try:
        status = process.wait(SETUP_SECONDS)
    except subprocess.TimeoutExpired:
        raise SystemExit(f"autobahn: setup.sh is not done in {SETUP_SECONDS} s")
    finally:
        if process.poll() is None:
            # Its own process group: pip with it.
            os.killpg(process.pid, signal.SIGTERM)
            process.wait()
    if status != 0:
        sys.exit(status)


def program(path, name):
    if not os.access(path, os.X_OK):
        raise SystemExit(f"{path} is missing: cargo build --release --example {name}")
    return path.resolve()


def parsed_arguments():
    examples = ROOT / "target/release/examples"
    parser = argparse.ArgumentParser(description="The Autobahn testsuite against parlor")
    parser.add_argument("--role", choices=[*ROLES, "both", "each"], default="both")
    parser.add_argument("--cases", choices=["all", "subset"], default="all")
    parser.add_argument("--echo", type=Path, default=examples / "echo")
    parser.add_argument("--tls-echo", type=Path, default=examples / "tls_echo")
    parser.add_argument("--client", type=Path, default=examples / "autobahn_client")
    parser.add_argument("--out", type=Path, default=ROOT / "target/autobahn", help="for reports")
    parser.add_argument("--table", action="store_true", help="write docs/conformance.md")
    arguments = parser.parse_args()
    if arguments.table and (arguments.role, arguments.cases) != ("both", "all"):
        parser.error("the table has all cases of both roles")
    arguments.out = arguments.out.resolve()
    return arguments


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    arguments = parsed_arguments()
    several = {"both": ["server", "client"], "each": ROLES}
    roles = several.get(arguments.role, [arguments.role])
    if "server" in roles:
        arguments.echo = program(arguments.echo, "echo")
    if "tls-server" in roles:
        arguments.tls_echo = program(arguments.tls_echo, "tls_echo")
    if "client" in roles or "blocking-client" in roles:
        arguments.client = program(arguments.client, "autobahn_client")
    set_up()
    expected = judge.all_cases() if arguments.cases == "all" else judge.subset()
    verdicts = {}
    failures = 0
    for role in roles:
        began = time.monotonic()
        try:
            verdicts[role] = run(role, arguments, expected)
        except Trouble as trouble:
            raise SystemExit(f"autobahn, parlor as {role}: {trouble}")
        failures += tell(role, verdicts[role], time.monotonic() - began, place(role, arguments))
    if arguments.table:
        text = CONFORMANCE.read_text() if CONFORMANCE.exists() else judge.INTRODUCTION
        requirements = (HERE / "requirements.txt").read_text()
        version = re.search(r"^autobahntestsuite==(\S+)$", requirements, re.MULTILINE)[1]
        CONFORMANCE.write_text(judge.with_table(text, verdicts, version))
        print(f"written: {CONFORMANCE}")
    if failures:
        raise SystemExit(f"autobahn: {failures} failed")


if __name__ == "__main__":
    main()
