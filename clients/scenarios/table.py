"""Has each client play each scenario, and prints what came of it: `make scenarios`.

    python clients/scenarios/table.py

Its status is 1 if one was not played as it is written.
"""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

FOLDER = Path(__file__).parent
ROOT = FOLDER.parents[1]
SCENARIOS = {path.stem: json.loads(path.read_text())["about"] for path in sorted(FOLDER.glob("*.json")) if path.stem != "hello"}


def lines(*command: str) -> list[str]:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return (done.stdout + done.stderr).splitlines()


def javascript() -> set[str]:
    said = lines("node", "--test", "--test-reporter=tap", "clients/js/test/scenarios.test.js")
    return {found.group(1) for line in said if (found := re.fullmatch(r"ok \d+ - (\S+)", line))}


def rust() -> set[str]:
    said = lines("cargo", "test", "--locked", "--quiet", "--lib", "client::core::scenario_tests", "--", "--nocapture")
    return {found.group(1) for line in said if (found := re.fullmatch(r"played: (\S+)", line))}


def python() -> set[str]:
    said = lines(sys.executable, "-m", "pytest", "-q", "-rA", "-p", "no:cacheprovider", "clients/python/tests/test_scenarios.py")
    return {found.group(1) for line in said if (found := re.match(r"PASSED .*\[(\S+)\]", line))}


def c() -> set[str]:
    said = lines(sys.executable, "-m", "pytest", "-q", "-s", "-p", "no:cacheprovider", "tests/clients/test_c_scenarios.py")
    return {found.group(1) for line in said if (found := re.fullmatch(r"\.?played: (\S+)", line))}


CLIENTS: dict[str, Callable[[], set[str]]] = {"JavaScript": javascript, "Rust": rust, "Python": python, "C": c}


def main() -> int:
    played = {name: client() for name, client in CLIENTS.items()}
    width = max(map(len, SCENARIOS))
    print(" " * width, *CLIENTS)
    for scenario in SCENARIOS:
        print(scenario.ljust(width), *(("yes" if scenario in played[name] else "NO").ljust(len(name)) for name in CLIENTS))
    is_all = all(set(SCENARIOS) <= names for names in played.values())
    print(f"{len(SCENARIOS)} scenarios, {len(CLIENTS)} clients: " + ("all are played as they are written" if is_all else "some are not"))
    return 0 if is_all else 1


if __name__ == "__main__":
    sys.exit(main())
