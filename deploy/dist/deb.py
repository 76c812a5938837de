"""The Debian package: what `dpkg-deb` puts together. Its scripts and texts are in deploy/debian."""

import hashlib
import os
import subprocess
import tempfile
from email.utils import formatdate
from pathlib import Path

from build import ROOT
from files import File, Folder, below, documents, gz, read, with_folders, write_tree

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
HERE = ROOT / "deploy/debian"
SCRIPTS = ("postinst", "prerm", "postrm")
CONFFILES = ("etc/parlor/parlor.toml",)


def contents(binary, manuals, completions, licences, version, epoch):
    """All files of the package, by their paths without the first slash."""
    changelog = (HERE / "changelog.in").read_text()
    changelog = changelog.replace("@VERSION@", version).replace("@DATE@", formatdate(epoch))
    tree = {
        "usr/bin/parlor": File(binary, 0o755),
        # What is in it is nobody else's to read: the scripts give both to the group parlor.
        "etc/parlor": Folder(0o750),
        "etc/parlor/parlor.toml": read(ROOT / "deploy/parlor.toml", 0o640),
        "usr/lib/systemd/system/parlor.service": read(ROOT / "deploy/parlor.service"),
        "usr/share/doc/parlor/examples/parlor.socket": read(ROOT / "deploy/parlor.socket"),
        "usr/share/doc/parlor/copyright": read(HERE / "copyright"),
        "usr/share/doc/parlor/licences.txt.gz": File(gz(licences)),
        "usr/share/doc/parlor/changelog.gz": File(gz((ROOT / "CHANGELOG.md").read_bytes())),
        "usr/share/doc/parlor/changelog.Debian.gz": File(gz(changelog.encode())),
        "usr/share/lintian/overrides/parlor": read(HERE / "lintian-overrides"),
        "usr/share/bash-completion/completions/parlor": File(completions["bash"]),
        "usr/share/zsh/vendor-completions/_parlor": File(completions["zsh"]),
        "usr/share/fish/vendor_completions.d/parlor.fish": File(completions["fish"]),
    }
    tree |= below("usr/share/doc/parlor", documents(ROOT))
    pages = {f"{name}.gz": File(gz(page)) for name, page in manuals.items()}
    return with_folders(tree | below("usr/share/man/man1", pages))


def control(tree, version, architecture):
    kib = sum(max(1, -(-len(one.content) // 1024)) if isinstance(one, File) else 1 for one in tree.values())
    text = (HERE / "control.in").read_text().replace("@VERSION@", version)
    return text.replace("@ARCHITECTURE@", ARCHITECTURES[architecture]).replace("@INSTALLED_SIZE@", str(kib))


def md5sums(tree):
    files = {name: one for name, one in tree.items() if isinstance(one, File) and name not in CONFFILES}
    return "".join(f"{hashlib.md5(one.content).hexdigest()}  {name}\n" for name, one in files.items())


def package(out, architecture, version, tree, epoch):
    """Writes the package; gives its path."""
    version += "-1"
    about = {name: read(HERE / name, 0o755) for name in SCRIPTS}
    about["control"] = File(control(tree, version, architecture).encode())
    about["md5sums"] = File(md5sums(tree).encode())
    about["conffiles"] = File("".join(f"/{name}\n" for name in CONFFILES).encode())
    path = out / f"parlor_{version}_{ARCHITECTURES[architecture]}.deb"
    environment = {**os.environ, "SOURCE_DATE_EPOCH": str(epoch)}
    with tempfile.TemporaryDirectory() as staged:
        staged = Path(staged)
        staged.chmod(0o755)
        write_tree(staged, {**tree, **below("DEBIAN", about)})
        for one in (staged, *staged.rglob("*")):
            os.utime(one, (epoch, epoch))
        built = ["dpkg-deb", "--root-owner-group", "-Zxz", "--threads-max=1", "--build", staged, path]
        subprocess.run(built, check=True, env=environment, stdout=subprocess.DEVNULL)
    return path
