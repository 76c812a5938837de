"""From an empty Debian to the first message: what the document says to do is done there, with a certificate of an authority
of this test, and Chromium opens the page. Arguments: the root to begin with, an empty folder, the package, the documented lines,
the script that is the person at the browser."""

import contextlib
import json
import os
import pty
import shutil
import subprocess
import sys
import time
from pathlib import Path

from inside import PATIENCE, Root, layered

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "clients"))

from certificates import Authority  # noqa: E402

base, place, package, documented, person = sys.argv[1:]
HOST = "chat.example"
FOLDER = "/root"

place = Path(place)
root = Root(layered(base, place))
home = root.path / FOLDER.lstrip("/")
home.mkdir(exist_ok=True)
shutil.copy(package, home)
authority = Authority()
for name, content in zip(("fullchain.pem", "privkey.pem"), authority.sign(HOST)):
    (home / name).write_bytes(content)
(home / "authority.pem").write_bytes(authority.pem)
hosts = place / "hosts"
hosts.write_text(f"127.0.0.1 localhost {HOST}\n")
shutil.copy(hosts, root.path / "etc/hosts")
subprocess.run(["mount", "--bind", hosts, "/etc/hosts"], check=True)

lines, begun = [], time.monotonic()
told = {"statuses": []}


def said(text):
    lines.extend(text.splitlines())


def at_terminal(line):
    """The status, and what an operator reads."""
    ours, its = pty.openpty()
    process = root.start("sh", "-c", line, folder=FOLDER, stdout=its, stderr=its)
    os.close(its)
    read = b""
    with contextlib.suppress(OSError):  # That is the end of a terminal.
        while some := os.read(ours, 4_096):
            read += some
    os.close(ours)
    return process.wait(PATIENCE), read.decode()


def answers():
    return root.run("/usr/bin/parlor", "health", "--url", f"https://{HOST}/", "--ca", f"{FOLDER}/authority.pem")[0] == 0


for line in documented.splitlines():
    before = time.monotonic()
    lines.append(f"# {line}")
    if line.endswith(" &"):
        log = root.path / "tmp/log"
        with open(log, "w") as out:
            server = root.start("sh", "-c", "exec " + line.removesuffix(" &"), folder=FOLDER, stdout=out, stderr=out)
        while not answers():
            assert server.poll() is None and time.monotonic() < before + PATIENCE, log.read_text()
        said(log.read_text())
        told["statuses"].append(0)
    else:
        status, output = at_terminal(line)
        said(output)
        told["statuses"].append(status)
    lines.append(f"({time.monotonic() - before:.1f} s)")

[link] = [line for line in lines if line.startswith(f"https://{HOST}/#code=")]
browser = place / "browser"
(browser / ".pki/nssdb").mkdir(parents=True)
database = f"sql:{browser}/.pki/nssdb"
subprocess.run(["certutil", "-N", "--empty-password", "-d", database], check=True)
trusted = ["certutil", "-A", "-d", database, "-t", "C,,", "-n", "authority", "-i", home / "authority.pem"]
subprocess.run(trusted, check=True)
before = time.monotonic()
seen = subprocess.run(
    ["node", person, link, f"http://{HOST}/"], env={**os.environ, "HOME": str(browser)}, capture_output=True, text=True, timeout=60,
)  # fmt: skip
said(seen.stdout)
lines.append(f"({time.monotonic() - before:.1f} s)")
lines.append(f"in all {time.monotonic() - begun:.1f} s")
told["person"], told["complaints"] = seen.returncode, seen.stderr
told["owner"] = Path(f"/proc/{server.pid}/status").read_text().split("Uid:")[1].split()[0]
server.terminate()
told["stopped"] = server.wait(PATIENCE)
told["transcript"] = lines
print(json.dumps(told))
