"""Builds all packages in two folders, from scratch, and compares them byte by byte: `make dist-twice`. For each kind of
machine it takes two builds of the profile `dist`.

    python3 deploy/dist/twice.py [ARCHITECTURES]
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from build import ARCHITECTURES, ROOT, output


def main():
    kinds = sys.argv[1] if len(sys.argv) > 1 else ",".join(ARCHITECTURES)
    environment = {**os.environ, "SOURCE_DATE_EPOCH": output("git", "log", "-1", "--format=%ct")}
    environment.pop("CARGO_TARGET_DIR", None)
    listed = output("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard").split("\0")
    sums = []
    with tempfile.TemporaryDirectory() as parent:
        # Of different lengths: a path that gets into the binary shows. Both are copied before anything is edited meanwhile.
        folders = [Path(parent, name) for name in ("a", "another-folder/below")]
        for folder in folders:
            for file in filter(None, listed):
                (folder / file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / file, folder / file)
        for folder in folders:
            begun = time.monotonic()
            command = [sys.executable, "deploy/dist", "--architectures", kinds]
            subprocess.run(command, cwd=folder, env=environment, check=True)
            print(f"{folder.name}: {time.monotonic() - begun:.0f} s", flush=True)
            sums.append((folder / "target/packages/SHA256SUMS").read_text())
            shutil.rmtree(folder / "target")
    print(sums[0], end="")
    if sums[0] != sums[1]:
        sys.exit(f"the two differ:\n{sums[1]}")
    print("both builds are equal")


main()
