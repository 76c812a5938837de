"""Links of the documents lead somewhere: to a file that is there, and to a heading in it."""

import re
import subprocess

import pytest

import harness

LINK = re.compile(r"(?<!\!)\[(?:[^\[\]]|\[[^\]]*\])*\]\(([^()\s]+)\)")
IMAGE = re.compile(r"!\[[^\]]*\]\(([^()\s]+)\)|(?:src|srcset|href)=\"([^\"]+)\"")


def documents():
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "*.md"],
        cwd=harness.ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return sorted(name for name in listed.split("\0") if name)


def prose(text):
    """The text without blocks of code, in which nothing is a link or a heading."""
    return re.sub(r"^(```+|~~~+).*?^\1\s*$", "", text, flags=re.DOTALL | re.MULTILINE)


def anchors(path):
    """The anchors of a document: those that it names, and its headings', as they are made where it is read."""
    text = prose(path.read_text())
    found = set(re.findall(r"""<a id="([^"]+)"></a>""", text))
    for heading in re.findall(r"^#{1,6} +(.+?) *#*$", text, flags=re.MULTILINE):
        heading = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        slug = re.sub(r"[^\w\- ]", "", heading.lower().replace("`", "")).replace(" ", "-")
        number = 0
        while (name := slug if number == 0 else f"{slug}-{number}") in found:
            number += 1
        found.add(name)
    return found


def targets(text):
    text = re.sub(r"(`+).+?\1", "", prose(text), flags=re.DOTALL)
    yield from LINK.findall(text)
    yield from (one or other for one, other in IMAGE.findall(text))


@pytest.mark.parametrize("name", documents())
def test_every_link_leads_somewhere(name):
    document = harness.ROOT / name
    lost = []
    for target in targets(document.read_text()):
        if re.match(r"[a-z][a-z0-9+.-]*:", target):
            continue
        place, _, anchor = target.partition("#")
        path = (document.parent / place).resolve() if place else document
        if not path.exists():
            lost.append(f"{target}: there is no {place}")
        elif anchor and path.suffix == ".md" and anchor not in anchors(path):
            lost.append(f"{target}: there is no such heading")
    assert lost == []


def test_links_are_found_and_anchors_are_made_as_readers_have_them(tmp_path):
    document = tmp_path / "a.md"
    document.write_text(
        "# One: `two` (three)\n## A [link](b.md#c)\n# One\n# One\n"
        '```\n# none\n[no](x)\n```\n`[no](y)`\n<a id="named"></a>'
    )
    assert anchors(document) == {"one-two-three", "a-link", "one", "one-1", "named"}
    assert list(targets(document.read_text())) == ["b.md#c"]
