"""From an empty Debian to the first message, as docs/how-to/set-up-a-server.md shows it. With PARLOR_DEBIAN_ROOT (make
dist-debian) the Debian is a new one; else it is this machine's, under a layer for changes."""

import os
import re
import shutil

import pytest

import places


def documented():
    """The lines that an operator types there, and some of what is printed then."""
    text = (places.ROOT / "docs/how-to/set-up-a-server.md").read_text()
    [block] = re.findall(r"^```console\n(.*?)^```$", text, re.M | re.S)
    lines = re.sub(r"\\\n +", "", block).splitlines()
    typed = [line.removeprefix("# ") for line in lines if line.startswith("# ")]
    return typed, [line.removesuffix("…") for line in lines if not line.startswith("# ")]


def test_it_is_a_few_lines_and_a_link(tmp_path):
    if not shutil.which("certutil"):
        pytest.fail("certutil is missing: on Debian: apt-get install libnss3-tools", pytrace=False)
    lines, printed = documented()
    person = places.ROOT / "tests/browser/first-message.mjs"
    base = os.environ.get("PARLOR_DEBIAN_ROOT", "/")
    told = places.enter("inside_first_message.py", base, tmp_path, places.made("*.deb"), "\n".join(lines), person)
    transcript = "\n".join(told["transcript"])
    print(transcript)
    assert told["statuses"] == [0] * len(lines), transcript
    assert [line for line in printed if line not in transcript] == []
    assert told["person"] == 0, told["complaints"]
    assert "the link leads to https://chat.example/, signed in as" in transcript
    assert '"Hello!" is in the room' in transcript
    assert "http://chat.example/ leads to https://chat.example/" in transcript
    assert "\nerror" not in transcript, transcript
    assert told["owner"] != "0" and told["stopped"] == 0
