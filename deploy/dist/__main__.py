"""Makes what is given away: `make dist`, or `python3 deploy/dist --help`. It needs Python 3.11, cargo and dpkg-deb."""

import argparse
import os
import platform
import subprocess
import sys
import tempfile
import tomllib
from datetime import datetime, timezone
from pathlib import Path

import deb
import dependencies
import libraries
import oci
from build import ARCHITECTURES, ROOT, CannotBuild, build, judge, output, say
from files import File, Folder, below, documents, gz, read, sha256, tar

SHELLS = ("bash", "zsh", "fish")
#: What of the repository goes into the tar beside the program and the documents.
SHIPPED = ("CHANGELOG.md", "LICENSE-MIT", "LICENSE-APACHE", "deploy/parlor.service", "deploy/parlor.socket", "deploy/parlor.toml")


def arguments():
    parser = argparse.ArgumentParser(prog="deploy/dist", description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "target/packages", help="where the packages go")
    parser.add_argument("--profile", default="dist", help="the profile of Cargo.toml")
    parser.add_argument("--architectures", default=",".join(ARCHITECTURES), help="kinds of machines, with commas")
    parser.add_argument("--quick", action="store_true", help="for this kind of machine by its musl-gcc: zig takes longer")
    parser.add_argument("--binary", help="for one kind of machine: TARGET=PATH, built before")
    parser.add_argument("--libraries", type=Path, help="where clients/c/build.sh has built those for C and C++ before")
    parser.add_argument("--only-libraries", action="store_true", help="make the archive for C and C++, and nothing else")
    parser.add_argument("--version", help="another version for the packages, for tests of upgrades")
    return parser.parse_args()


def commit_time():
    """The time that everything bears: SOURCE_DATE_EPOCH, else the commit's."""
    given = os.environ.get("SOURCE_DATE_EPOCH")
    return int(given or output("git", "log", "-1", "--format=%ct"))


def generated(binary):
    """The man pages and completions, which the program writes itself."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([binary, "man", folder], check=True)
        manuals = {one.name: one.read_bytes() for one in sorted(Path(folder).iterdir())}
    run = {"check": True, "stdout": subprocess.PIPE}
    return manuals, {shell: subprocess.run([binary, "completions", shell], **run).stdout for shell in SHELLS}


def tarball(binary, manuals, completions, licences):
    tree = {name: read(ROOT / name) for name in SHIPPED} | documents(ROOT)
    tree |= {"bin/parlor": File(binary, 0o755), "licences.txt": File(licences)}
    tree |= below("man/man1", {name: File(page) for name, page in manuals.items()})
    return tree | {f"completions/parlor.{shell}": File(script) for shell, script in completions.items()}


def make(out, architecture, target, path, written_by_it, version, epoch):
    """All packages of one binary; gives their names."""
    binary, created = path.read_bytes(), datetime.fromtimestamp(epoch, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    licences = dependencies.licences(target)
    name = f"parlor-{version}-{target}"
    written = {
        f"{name}.tar.gz": gz(tar(below(name, tarball(binary, *written_by_it, licences)), epoch)),
        f"{name}.cdx.json": dependencies.bill(target, sha256(binary), epoch),
        f"{name}.licences.txt": licences,
        f"{name}.oci.tar": oci.archive(oci.root(binary, licences), architecture, version, epoch, created),
    }
    for file, content in written.items():
        (out / file).write_bytes(content)
    tree = deb.contents(binary, *written_by_it, licences, version + "-1", epoch)
    return [*written, deb.package(out, architecture, version, tree, epoch).name]


def target_directory():
    return Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).absolute()


def binaries(asked):
    """Kind of machine, target and path of each binary; what cannot be linked here is said and left out."""
    if asked.binary:
        target, _, path = asked.binary.partition("=")
        yield target.split("-")[0], target, Path(path)
        return
    for architecture in asked.architectures.split(","):
        try:
            target, path = build(architecture, asked.profile, target_directory(), asked.quick)
            judge(path, asked.profile)
        except CannotBuild as error:
            say(f"left out: {error}")
            continue
        yield architecture, target, path


def main():
    asked = arguments()
    with open(ROOT / "Cargo.toml", "rb") as manifest:
        version = asked.version or tomllib.load(manifest)["package"]["version"]
    epoch, names = commit_time(), []
    asked.out.mkdir(parents=True, exist_ok=True)
    built = [] if asked.only_libraries else list(binaries(asked))
    here = [path for architecture, _, path in built if architecture == platform.machine()]
    if not here and not asked.only_libraries:
        sys.exit("dist: there is no binary that runs here, and the man pages are what one writes")
    written_by_it = generated(here[0]) if here else None
    for architecture, target, path in built:
        names += make(asked.out, architecture, target, path, written_by_it, version, epoch)
    # Of a binary that was built before there are no libraries, unless they are given, too.
    if asked.libraries or asked.only_libraries or not asked.binary:
        name, content = libraries.archive(asked.libraries or libraries.build(target_directory()), version, epoch)
        (asked.out / name).write_bytes(content)
        names.append(name)
    sums = "".join(f"{sha256((asked.out / name).read_bytes())}  {name}\n" for name in sorted(names))
    (asked.out / "SHA256SUMS").write_text(sums)
    say(f"{len(names)} files and SHA256SUMS are in {asked.out}")
    left = set(asked.architectures.split(",")) - {architecture for architecture, *_ in built}
    if left and not asked.binary and not asked.only_libraries:
        sys.exit(f"dist: not made for {', '.join(sorted(left))}")


main()
