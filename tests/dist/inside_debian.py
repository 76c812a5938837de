"""The package's life: installed, started, upgraded, removed, purged. Arguments: the root to begin with, an empty folder, the
older package, the newer one, the tar,
and what the documents say to do with it."""

import json
import shutil
import sys
from pathlib import Path

from inside import Root, Running, layered

base, place, older, newer, tar, documented = sys.argv[1:]
CONFIG = "/etc/parlor/parlor.toml"


def users(root):
    """By name the numbers of user and group."""
    lines = [line.split(":") for line in (root.path / "etc/passwd").read_text().splitlines()]
    return {name: (int(user), int(group)) for name, _, user, group, *_ in lines}


def described(root, name):
    """Mode, owner and group of a file, by name."""
    return root.must("stat", "--format", "%a %U %G", name).strip()


def start(root):
    unit = (root.path / "usr/lib/systemd/system/parlor.service").read_text()
    command = next(line for line in unit.splitlines() if line.startswith("ExecStart=")).removeprefix("ExecStart=").split()
    return Running(root, *command, user=users(root)["parlor"])


def health(root):
    return root.run("parlor", "health", "--config", CONFIG)[0]


root = Root(layered(base, Path(place)))
for number, package in enumerate((older, newer)):
    shutil.copy(package, root.path / f"tmp/{number}.deb")
told = {"before": "parlor" in users(root)}

root.must("dpkg", "--install", "/tmp/0.deb")
told["modes"] = {
    name: described(root, name) for name in ("/etc/parlor", CONFIG, "/etc/parlor/secret", "/var/lib/parlor", "/usr/bin/parlor")
}
told["judged"] = root.run("parlor", "config", "--check", CONFIG)
told["enabled"] = (root.path / "etc/systemd/system/multi-user.target.wants/parlor.service").is_symlink()
told["manual"] = root.run("sh", "-c", "zcat /usr/share/man/man1/parlor-serve.1.gz")[1]
secret = (root.path / "etc/parlor/secret").read_bytes()

server = start(root)
told["owner"] = Path(f"/proc/{server.process.pid}/status").read_text().split("Uid:")[1].split()[0]
told["user"] = str(users(root)["parlor"][0])
token = root.token("--secret-file", "/etc/parlor/secret")
server.say(token, "kept")
told["health"] = health(root)
told["admin"] = root.run("parlor", "admin", "rooms", "--config", CONFIG)
with open(f"{root.path}{CONFIG}", "a") as config:
    config.write("\n[limits]\nburst = 77\n")

root.must("dpkg", "--install", "/tmp/1.deb")
told["version"] = root.must("dpkg-query", "--show", "--showformat", "${Version}", "parlor")
told["stopped"] = server.stop()
told["healthStopped"] = health(root)
server = start(root)
told["afterUpgrade"] = server.history(token)
told["edited"] = "burst = 77" in (root.path / CONFIG[1:]).read_text()
told["sameSecret"] = (root.path / "etc/parlor/secret").read_bytes() == secret
server.stop()

root.must("dpkg", "--remove", "parlor")
told["left"] = [name for name in ("usr/bin/parlor", CONFIG[1:], "etc/parlor/secret") if (root.path / name).exists()]
told["data"] = sorted(one.name for one in (root.path / "var/lib/parlor").iterdir())
root.must("dpkg", "--purge", "parlor")
told["purged"] = [name for name in ("etc/parlor", "var/lib/parlor", "usr/share/doc/parlor") if (root.path / name).exists()]
told["known"] = root.run("dpkg-query", "--status", "parlor")[0]
told["userStays"] = "parlor" in users(root)

shutil.copy(tar, root.path / "tmp")
told["tar"] = root.run("sh", "-euc", documented, folder="/tmp")
told["tarVersion"] = root.run("/usr/local/bin/parlor", "--version")
told["tarManual"] = (root.path / "usr/local/share/man/man1/parlor.1").exists()
print(json.dumps(told))
