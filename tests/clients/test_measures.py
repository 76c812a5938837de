"""The programs that measure, in a short round: all that is sent arrives, whatever time it takes; and a
minute of soaking, in which nothing grows."""

import os
import re
import signal
import subprocess
import sys

import pytest

from harness import ROOT, echo_binary, parlor_binary


def measured(name, *arguments, seconds):
    """Runs a program of tests/measure to its end; gives what it says."""
    process = subprocess.Popen(
        [sys.executable, ROOT / "tests/measure" / name, *map(str, arguments)],
        env={"PARLOR_BIN": parlor_binary(), "PARLOR_ECHO": echo_binary(), "PATH": "/usr/bin:/bin"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        out, err = process.communicate(timeout=seconds)
    finally:
        if process.poll() is None:
            # With the servers that it has started: a session of their own.
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    assert process.returncode == 0, out + err
    return out


@pytest.mark.seconds(60)
@pytest.mark.parametrize("clients", [50, 1_000])
def test_replies_messages_and_events_reach_everybody(clients):
    said = measured("latency.py", "--clients", clients, "--samples", 5, seconds=55)
    assert said.endswith("all arrived\n") and said.count(f"| {clients:,} |") == 4
    assert "beside 100 others a second" in said


@pytest.mark.seconds(60)
def test_everybody_comes_back_after_a_restart_in_the_time_that_they_were_told():
    said = measured("returns.py", "--clients", 300, seconds=55)
    assert "300 clients, told to come back within 1000 ms" in said
    assert "most in one second: " in said


@pytest.mark.seconds(120)
def test_in_a_minute_of_all_that_clients_do_nothing_grows():
    said = measured("soak.py", "--minutes", 1, "--threads", "1,2,4", seconds=115)
    assert all(f" rounds, {threads} threads: VmRSS " in said for threads in (1, 2, 4)) and "nothing has grown" in said


def test_two_builds_are_compared_in_turns():
    said = measured("processor.py", echo_binary(), echo_binary(), "--rounds", 1, "--messages", 32, seconds=25)
    assert len(re.findall(r"bytes, (?:old|new): \d+\.\d+ us \(", said)) == 4


def test_handshakes_are_of_the_kind_that_is_measured():
    said = measured("tls.py", "--connections", 20, seconds=25)
    assert len(re.findall(r"handshake and a request: \d+\.\d", said)) == 4 and said.count("idle connection: ") == 2


@pytest.mark.seconds(60)
def test_work_is_measured_against_what_it_may_grow_with():
    said = measured("growth.py", "--online", 300, "--rooms", 1_000, seconds=55)
    assert re.search(r"\| 300 online \| \d+\.\d+ \| \d+\.\d+ \|", said), said
    assert re.search(r"\| 1,000 \| \d+ \| \d+\.\d \| \d+\.\d \| -?\d+ \| \d+\.\d+ s, ", said), said
