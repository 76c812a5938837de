"""The shell lines of how-tos, run as they stand, but for places and ports."""

import re
import subprocess
from pathlib import Path

import harness
from harness import Chat, free_port


def block(document, heading):
    """The first block of shell lines below a heading."""
    text = (harness.ROOT / "docs/how-to" / document).read_text()
    _, section = text.split(f"\n## {heading}\n")
    return re.search(r"```sh\n(.*?)```", section, re.S)[1]


def run(lines, temporary, **places):
    for old, new in places.items():
        assert old in lines, old
        lines = lines.replace(old, str(new))
    # The program as it was built here.
    parlor = Path(harness.parlor_binary()).parent
    done = subprocess.run(
        ["sh", "-eux", "-c", lines],
        capture_output=True, text=True, timeout=60,
        env=harness.clean_environment(PATH=f"{parlor}:/usr/bin:/bin:/usr/sbin", TMPDIR=str(temporary)),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_drill_restores_what_a_running_server_has(servers):
    server = servers.parlor()
    with Chat(server, "ada") as ada:
        ada.request("room:create", room="kitchen")
    place, port = servers.directory(), free_port()
    lines = block("back-up.md", "A drill")
    said = run(lines, place, **{"/var/lib/parlor": server.data, "8099": port})
    assert '"room":"kitchen"' in said
    assert list(place.iterdir()) == [], "it takes away what it made"
    assert server.is_running()
