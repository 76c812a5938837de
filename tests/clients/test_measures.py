"""The programs that measure, in a short round: all that is sent arrives, whatever time it takes."""

import subprocess
import sys

import pytest

from harness import ROOT, echo_binary, parlor_binary


def measured(name, *arguments, seconds):
    """Runs a program of tests/measure to its end; gives what it says."""
    done = subprocess.run(
        [sys.executable, ROOT / "tests/measure" / name, *map(str, arguments)],
        env={"PARLOR_BIN": parlor_binary(), "PARLOR_ECHO": echo_binary(), "PATH": "/usr/bin:/bin"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=seconds,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.seconds(60)
@pytest.mark.parametrize("clients", [50, 1_000])
def test_replies_messages_and_events_reach_everybody(clients):
    said = measured("latency.py", "--clients", clients, "--samples", 5, seconds=55)
    assert said.endswith("all arrived\n") and said.count(f"| {clients:,} |") == 3


@pytest.mark.seconds(60)
def test_everybody_comes_back_after_a_restart_in_the_time_that_they_were_told():
    said = measured("returns.py", "--clients", 300, seconds=55)
    assert "300 clients, told to come back within 1000 ms" in said
    assert "most in one second: " in said
