"""The libraries for C and C++: what `make install` in clients/c installs, as an archive that CMake's FetchContent takes."""

import platform
import subprocess
import tempfile
from pathlib import Path

from build import ROOT, say
from dependencies import licences
from files import File, Link, below, gz, read, tar

PACKAGE = ROOT / "clients/c"
#: What both are made of, in cargo's words.
CRATES = ("--package", "parlor-c", "--features", "server")


def build(target_directory):
    """The folder with both libraries, made for this kind of machine and its C library."""
    say("building the libraries for C and C++")
    folder = target_directory / "c-packages"
    subprocess.run(["sh", PACKAGE / "build.sh", folder], check=True)
    return folder


def installed(built):
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["sh", PACKAGE / "install.sh", built, folder], check=True)
        paths = sorted(path for path in Path(folder).rglob("*") if path.is_symlink() or path.is_file())
        return {
            path.relative_to(folder).as_posix(): Link(str(path.readlink())) if path.is_symlink() else read(path)
            for path in paths
        }


def archive(built, version, epoch):
    """The name of the archive, and its bytes."""
    target = f"{platform.machine()}-unknown-linux-gnu"
    name = f"libparlor-{version}-{target}"
    tree = installed(built)
    tree |= {file: read(ROOT / file) for file in ("LICENSE-MIT", "LICENSE-APACHE", "docs/embedding-c.md")}
    tree |= {"CMakeLists.txt": read(PACKAGE / "packaging/CMakeLists.txt")}
    tree |= {"licences.txt": File(licences(target, *CRATES, static=False))}
    return f"{name}.tar.gz", gz(tar(below(name, tree), epoch))
