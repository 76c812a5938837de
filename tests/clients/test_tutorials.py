"""Each command of a tutorial and of the protocol's tour is run in an empty directory, and says what the page shows.

In a block of `console` a line that begins with `$ ` is a command; what follows is what it prints, where `…` stands for
whatever is there, and a line of `…` alone for any lines. The seconds of `parlor tap` differ from run to run. A block behind "Put this into `path`:" is a file, which is
written before what stands below it. One shell runs all commands of a page, on ports of its own in place of those that
the pages name. `$PARLOR` is this repository.
"""

import os
import queue
import re
import shutil
import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import NamedTuple

import pytest

import harness

DOCS = harness.ROOT / "docs"
PAGES = ["protocol-tour.md", *sorted(str(path.relative_to(DOCS)) for path in (DOCS / "tutorials").glob("*.md"))]
COMMAND_SECONDS = 20
# Of these: where nothing was compiled before all crates are, and packages come from a registry.
SLOW_SECONDS = {"cargo build": 900, "npm install": 120, "venv/bin/pip install": 180}
TOOLS = {
    "protocol-tour.md": {tool: "install it from Debian" for tool in ("openssl", "curl")},
    "tutorials/embed-in-rust.md": {"cargo": "install Rust, as https://rustup.rs says"},
    "tutorials/python-backend.md": {
        "python3": "install Python 3.10 or newer, with python3-venv",
        "openssl": "install it from Debian",
        "curl": "install it from Debian",
    },
    "tutorials/react-chat.md": {
        "node": "install Node.js 20 or newer",
        "npm": "install it, it comes with Node.js",
    },
}
PORTS = ["8080", "5173", "9001", "7000", "8000"]
BLOCK = re.compile(
    r"^(?:Put this into `(?P<path>[^`]+)`:\n\n)?```(?P<kind>\w*)\n(?P<content>.*?)^```$",
    flags=re.DOTALL | re.MULTILINE,
)
# The shell says so of a server that was killed on purpose, also behind a line that has no end.
KILLED = re.compile(r"bash: line \d+: +\d+ Killed .*")


# The seconds before a line of `parlor tap`.
TAP_SECONDS = re.compile(r"^ *\d+\.\d{3}(?= #\d)")
# What it says of the end of a connection may come behind the command that has ended it.
TAP_END = re.compile(r" #\d+ (· over, |→ \d+ bytes behind the end)")


class Command(NamedTuple):
    """A command, and the lines that it is shown to print."""

    line: str
    shown: list


class File(NamedTuple):
    """A file that a page has its reader write."""

    path: str
    content: str


def steps(text):
    """What a page has its reader do, in its order."""
    found = []
    for block in BLOCK.finditer(text):
        if block["path"]:
            found.append(File(block["path"], block["content"]))
        elif block["kind"] == "console":
            for line in block["content"].splitlines():
                if line.startswith("$ "):
                    found.append(Command(line[2:], []))
                else:
                    found[-1].shown.append(line)
    return found


def fits(shown, printed):
    """Whether the lines that were printed are those that are shown."""
    shown, printed = ([TAP_SECONDS.sub("", line) for line in lines] for lines in (shown, printed))
    pattern = "".join(
        r"(?:.*\n)*" if line == "…" else ".*".join(map(re.escape, line.split("…"))) + r"\n"
        for line in shown
    )
    return re.fullmatch(pattern, "".join(f"{line}\n" for line in printed)) is not None


def without_ends(lines, ends):
    """The lines without those of a tap about ends of connections, which are added to `ends`."""
    ends += [line for line in lines if TAP_END.search(line)]
    return without_empty_end([line for line in lines if not TAP_END.search(line)])


def without_empty_end(lines):
    """The lines, but for empty ones at their end: that before the mark, of what ends its last line or does not."""
    while lines and not lines[-1]:
        lines = lines[:-1]
    return lines


def environment(home, binaries, port):
    """A reader's, whose home is empty; tools have what they have at home all the same."""
    real, kept = Path.home(), harness.clean_environment()
    at_home = {
        "CARGO_HOME": real / ".cargo",
        "RUSTUP_HOME": real / ".rustup",
        "npm_config_cache": real / ".npm",
        "npm_config_userconfig": real / ".npmrc",
        # What cargo has compiled here it need not compile again.
        "CARGO_TARGET_DIR": harness.ROOT / "target",
    }
    return {name: str(place) for name, place in at_home.items()} | kept | {
        "HOME": str(home),
        "PATH": f"{binaries}:{kept['PATH']}",
        "PARLOR": str(harness.ROOT),
        "PARLOR_LISTEN": f"127.0.0.1:{port}",
    }


def as_compiled_here(folder, project):
    """Has cargo compile the crates of a project below a folder as it does here, in the same versions: so it finds them compiled."""
    manifest = (harness.ROOT / "Cargo.toml").read_text()
    profiles = re.findall(r"^\[profile\.dev[.\]].*?(?=^\[|\Z)", manifest, flags=re.DOTALL | re.MULTILINE)
    (folder / ".cargo").mkdir()
    (folder / ".cargo/config.toml").write_text("\n".join(profiles))
    shutil.copy(harness.ROOT / "Cargo.lock", project)


class Shell:
    """A shell, and what it prints, line by line."""

    def __init__(self, directory, port):
        self.directory = directory
        binaries, home = directory.parent / "bin", directory.parent / "home"
        binaries.mkdir()
        home.mkdir()
        shutil.copy(harness.parlor_binary(), binaries / "parlor")
        self.process = subprocess.Popen(
            ["bash", "--noprofile", "--norc"],
            cwd=directory,
            env=environment(home, binaries, port),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            # Its servers go with it.
            start_new_session=True,
        )
        self.lines = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.put(line.rstrip("\n"))

    def run(self, command):
        """What a command prints, and its status."""
        mark = "--- the command is over: "
        self.process.stdin.write(f"{command}\nprintf '\\n{mark}%s\\n' $?\n")
        self.process.stdin.flush()
        printed, slow = [], [SLOW_SECONDS[of] for of in SLOW_SECONDS if command.startswith(of)]
        until = time.monotonic() + max(slow, default=COMMAND_SECONDS)
        while True:
            try:
                line = self.lines.get(timeout=max(0, until - time.monotonic()))
            except queue.Empty:
                logs = [log.read_text() for log in [self.directory / "log"] if log.exists()]
                pytest.fail(f"$ {command}\ndoes not end; it printed\n" + "\n".join(printed + logs))
            if line.startswith(mark):
                break
            line, told = KILLED.subn("", line)
            if line or not told:
                printed.append(line)
        return without_empty_end(printed), int(line.removeprefix(mark))

    def end(self):
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


@pytest.mark.seconds(1_200)
@pytest.mark.parametrize("page", PAGES)
def test_a_tutorial_does_what_it_says(page, tmp_path):
    for name, how in TOOLS.get(page, {}).items():
        harness.tool(name, how)
    text = (DOCS / page).read_text()
    ports = {port: str(harness.free_port()) for port in PORTS}
    for port, free in ports.items():
        text = text.replace(port, free)
    found = steps(text)
    assert len(found) > 5
    directory = tmp_path / "empty"
    directory.mkdir()
    as_compiled_here(tmp_path, directory)
    if "$ target/release/examples/echo" in text:
        (directory / "target/release/examples").mkdir(parents=True)
        (directory / "target/release/examples/echo").symlink_to(harness.echo_binary())
    shell = Shell(directory, ports["8080"])
    ends_shown, ends_printed = [], []
    try:
        for step in found:
            if isinstance(step, File):
                (directory / step.path).parent.mkdir(exist_ok=True)
                (directory / step.path).write_text(step.content)
                continue
            printed, status = shell.run(step.line)
            shown, printed = without_ends(step.shown, ends_shown), without_ends(printed, ends_printed)
            assert fits(shown, printed), f"$ {step.line} ({status})\n" + "\n".join(printed)
            assert status == 0, step.line
    finally:
        shell.end()
    assert all(any(fits([shown], [printed]) for printed in ends_printed) for shown in ends_shown)


def test_there_are_tutorials():
    assert len(PAGES) >= 4


def test_what_is_printed_is_compared():
    assert fits(["a…b", "c"], ["a 1 b", "c"])
    assert not fits(["a", "c"], ["a"])
    assert not fits([], ["a"])
    assert not fits(["a.c"], ["abc"])
    assert fits(["a", "…", "c"], ["a", "1", "2", "c"])
    assert fits(["…", "c"], ["c"])
    assert not fits(["…", "c"], ["c", "d"])
    assert fits([], [])


def test_commands_and_files_are_found_in_their_order():
    text = (
        "```console\n$ one\nshown\n```\nPut this into `a/b.js`:\n\n```js\nlet c;\n```\n"
        "```console\n$ two\n```\n```sh\n$ three\n```\n"
    )
    assert steps(text) == [Command("one", ["shown"]), File("a/b.js", "let c;\n"), Command("two", [])]
