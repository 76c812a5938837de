"""Whole applications of `examples/`: the commands of their READMEs, at ports of their own and without installing again."""

import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time

import harness
from harness import HOST, ROOT

#: How long an application has to be there, and to end, in seconds.
READY_SECONDS, END_SECONDS = 30, 15


def commands(name):
    """The blocks of commands in an example's README."""
    return re.findall(r"```sh\n(.*?)```", (ROOT / "examples" / name / "README.md").read_text(), re.DOTALL)


class Application:
    """The servers that the first block of a README starts."""

    def __init__(self, name, servers, **variables):
        self.name, self.folder = name, ROOT / "examples" / name
        self.directory = servers.directory()
        self.app, self.parlor = harness.free_port(), harness.free_port()
        self.variables = {"PYTHONPATH": str(ROOT / "clients/python"), **variables}
        self.blocks = commands(name)
        self.processes = {}
        config = (self.folder / "parlor.toml").read_text()
        (self.directory / "parlor.toml").write_text(self.placed(config))

    def placed(self, text):
        """Where the README has a fixed place, one of this test's."""
        text = text.replace("8000", str(self.app)).replace("8080", str(self.parlor)).replace(f"target/{self.name}-data", str(self.directory / "data"))
        text = text.replace(f"examples/{self.name}/parlor.toml", str(self.directory / "parlor.toml"))
        text = text.replace("cargo run --release -- ", "target/release/parlor ").replace("target/release/parlor", str(harness.parlor_binary()))
        text = text.replace("app:app", f"app:app --port {self.app}").replace(f"target/{self.name}/bin/uvicorn", f"{sys.executable} -m uvicorn")
        return text.replace(f"target/{self.name}/bin/python", sys.executable)

    def environment(self):
        return harness.clean_environment(**self.variables)

    def start(self):
        """What is begun in the background, by the last word but one of its line."""
        for line in self.placed(self.blocks[0]).splitlines():
            if line.startswith("export "):
                found = subprocess.run(["bash", "-c", f"{line}\nenv -0"], env=self.environment(), capture_output=True, check=True).stdout
                names = re.findall(r"(\w+)=", line)
                given = dict(one.split("=", 1) for one in found.decode().split("\0") if one)
                self.variables |= {name: given[name] for name in names if name in given}
            elif line.endswith(" &"):
                self.begin("parlor" if " serve " in line else "app", shlex.split(line.removesuffix(" &")))
            else:
                # Tests have all that is installed here, in an environment of their own.
                assert line.startswith(("python3 -m venv ", f"target/{self.name}/bin/pip install ")), line
        return self

    def begin(self, which, command=None):
        """Starts one of the two, or starts it again."""
        command = command or self.processes[which].args
        output = open(self.directory / f"{which}.log", "ab")
        self.processes[which] = subprocess.Popen(
            command, cwd=ROOT, env=self.environment(), stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
        )
        port, end = getattr(self, which), time.monotonic() + READY_SECONDS
        while not _answers(port):
            assert self.processes[which].poll() is None and time.monotonic() < end, self.log(which)
            time.sleep(0.05)

    def end(self, which, number=signal.SIGTERM):
        """Ends one of the two."""
        process = self.processes[which]
        process.send_signal(number)
        try:
            process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise AssertionError(f"{which} did not end: {self.log(which)}") from None

    def log(self, which):
        return (self.directory / f"{which}.log").read_text()

    def run(self, command, seconds=60):
        """Runs a command of the README's; gives its output."""
        done = subprocess.run(
            ["bash", "-c", self.placed(command)], cwd=ROOT, env=self.environment(), capture_output=True, text=True, timeout=seconds, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        for process in self.processes.values():
            if process.poll() is None:
                process.kill()
                process.wait()


def _answers(port):
    try:
        socket.create_connection((HOST, port), 1).close()
        return True
    except OSError:
        return False
