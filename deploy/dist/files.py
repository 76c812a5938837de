"""Trees of files, and archives of them that are the same wherever and whenever they are made."""

import gzip
import hashlib
import io
import tarfile
from dataclasses import dataclass


@dataclass(frozen=True)
class File:
    content: bytes
    mode: int = 0o644


@dataclass(frozen=True)
class Folder:
    mode: int = 0o755
    owner: int = 0


@dataclass(frozen=True)
class Link:
    target: str


def read(path, mode=None):
    """A file of the disk; whether it may be run is kept, and nothing else of its mode."""
    return File(path.read_bytes(), mode or (0o755 if path.stat().st_mode & 0o100 else 0o644))


def documents(root):
    """The documents, and what of deploy they lead to, by their paths below the root, between which their links are."""
    folders = [root / name for name in ("docs", "deploy/prometheus", "deploy/grafana")]
    paths = [root / "README.md", root / "deploy/kubernetes.yaml", *(path for one in folders for path in one.rglob("*") if path.is_file())]
    return {path.relative_to(root).as_posix(): File(path.read_bytes()) for path in paths}


def below(prefix, tree):
    return {f"{prefix}/{name}": entry for name, entry in tree.items()}


def with_folders(tree):
    """The tree with the folders that its paths go through, in the order of paths."""
    whole = dict(tree)
    for name in tree:
        parts = name.split("/")[:-1]
        for count in range(1, len(parts) + 1):
            whole.setdefault("/".join(parts[:count]), Folder())
    return dict(sorted(whole.items()))


def tar(tree, epoch):
    """The bytes of a tar: sorted, root's, of one time."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, entry in with_folders(tree).items():
            info = tarfile.TarInfo(name)
            info.mtime, info.mode = epoch, getattr(entry, "mode", 0o777)
            if isinstance(entry, Link):
                info.type, info.linkname = tarfile.SYMTYPE, entry.target
                archive.addfile(info)
            elif isinstance(entry, Folder):
                info.type, info.uid, info.gid = tarfile.DIRTYPE, entry.owner, entry.owner
                archive.addfile(info)
            else:
                info.size = len(entry.content)
                archive.addfile(info, io.BytesIO(entry.content))
    return out.getvalue()


def gz(content):
    """As `gzip -n`: without a name and a time."""
    out = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", compresslevel=9, fileobj=out, mtime=0) as packed:
        packed.write(content)
    return out.getvalue()


def write_tree(directory, tree):
    for name, entry in with_folders(tree).items():
        path = directory / name
        if isinstance(entry, Folder):
            path.mkdir()
        else:
            path.write_bytes(entry.content)
        path.chmod(entry.mode)


def sha256(content):
    return hashlib.sha256(content).hexdigest()
