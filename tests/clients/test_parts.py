"""`make test` runs every part, and says at the end which failed."""

import subprocess

import harness

MAKE = """#!/bin/sh
echo "runs $2" >>"$RAN"
[ "$2" != test-b ]
"""


def run(tmp_path, *parts):
    make, ran = tmp_path / "make", tmp_path / "ran"
    make.write_text(MAKE)
    make.chmod(0o755)
    ran.write_text("")
    done = subprocess.run(
        ["sh", harness.ROOT / "tests/parts.sh", *parts],
        env={**harness.clean_environment(), "MAKE": str(make), "RAN": str(ran)},
        capture_output=True,
        text=True,
        timeout=30,
    )
    return done, ran.read_text().split("\n")[:-1]


def test_a_part_that_fails_keeps_none_from_running(tmp_path):
    done, ran = run(tmp_path, "test-a", "test-b", "test-c")
    assert ran == ["runs test-a", "runs test-b", "runs test-c"]
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    assert [line.split()[1].rstrip(",") for line in lines[-4:-1]] == ["passed", "FAILED", "passed"]
    assert lines[-1] == "failed: test-b"


def test_all_parts_that_pass_are_said_to(tmp_path):
    done, _ = run(tmp_path, "test-a", "test-c")
    assert done.returncode == 0
    assert done.stdout.splitlines()[-1].startswith("all tests passed")


def test_every_part_is_one_of_make_test():
    makefile = (harness.ROOT / "Makefile").read_text()
    parts = next(line for line in makefile.splitlines() if line.startswith("PARTS = ")).split()[2:]
    targets = {line.split(":")[0] for line in makefile.splitlines() if line.startswith("test-")}
    assert set(parts) == targets | {"sim"}
