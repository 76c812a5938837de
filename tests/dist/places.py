"""Where the tests find what was made, and how they enter a namespace."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = Path(os.environ.get("PARLOR_PACKAGES", ROOT / "target/packages-short"))
TARGETS = ("x86_64-unknown-linux-musl", "x86_64-unknown-linux-gnu")


def made(pattern):
    """The one file of the packages that has such a name."""
    found = sorted(PACKAGES.glob(pattern))
    if len(found) != 1:
        pytest.fail(f"{PACKAGES} has not one {pattern}: `make test-dist` makes it", pytrace=False)
    return found[0]


def target():
    """For which kind of machine, and which C library, they were made."""
    return next(one for one in TARGETS if list(PACKAGES.glob(f"parlor-*{one}.tar.gz")))


def dist(out, *arguments, root=ROOT):
    """Makes packages of the binary, by deploy/dist of a folder. Their time is that of the commit."""
    epoch = subprocess.run(["git", "log", "-1", "--format=%ct"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    environment = {**os.environ, "SOURCE_DATE_EPOCH": epoch.strip()}
    command = [sys.executable, root / "deploy/dist", "--out", out, "--binary", f"{target()}={binary()}", *arguments]
    subprocess.run(command, cwd=root, env=environment, check=True)


def binary():
    """The binary that they were made of."""
    path = Path(os.environ.get("PARLOR_STATIC", ROOT / "target" / target() / "dist-short/parlor"))
    if not path.exists():
        pytest.fail(f"{path} is missing: make test-dist", pytrace=False)
    return path


def repository(*paths):
    """The names of the repository's files, without those that git ignores."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", *paths]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return {name for name in listed.split("\0") if name}


def shell_lines(document):
    """The blocks of a how-to that are for a shell, with an empty line between them."""
    text = (ROOT / "docs/how-to" / document).read_text()
    return "\n".join(re.findall(r"^```sh\n(.*?)^```$", text, re.M | re.S))


def enter(script, *arguments):
    """Runs a script of this folder in namespaces of its own; gives what it prints, as JSON."""
    if os.geteuid() != 0:
        pytest.fail("this test needs root: it mounts and changes the root folder", pytrace=False)
    inner = 'ip link set lo up && exec "$@"'
    command = ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c", inner, "sh"]
    script = Path(__file__).with_name(script)
    command += [sys.executable, script, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout.splitlines()[-1])
