"""What the binary is made of: a bill of materials (CycloneDX 1.5), and the texts of all licences."""

import json
import re
import tomllib
import uuid
from datetime import datetime, timezone
from pathlib import Path

from build import ROOT, output

LICENCE_FILES = ("LICEN", "COPY", "NOTICE", "UNLICENSE")
#: What is in the binary and no crate of its own: name, licence, of which crate it is a part.
WITHIN_CRATES = (("aws-lc", "Apache-2.0 AND ISC", "aws-lc-sys"), ("sqlite", "blessing", "libsqlite3-sys"))

#: The texts of what the linker adds, and no crate has.
OF_THE_LINKER = Path(__file__).with_name("licences")


def crates(target, *package):
    """The packages that are linked into the program, or into another package of cargo's, as `cargo metadata` describes them."""
    features = (*package, "--locked", "--target", target, "--edges", "normal,no-proc-macro")
    listed = output("cargo", "tree", *features, "--prefix", "none", "--no-dedupe", "--format", "{p}").splitlines()
    linked = {tuple(re.match(r"(\S+) v(\S+)", line).groups()) for line in listed}
    every = json.loads(output("cargo", "metadata", "--locked", "--format-version", "1"))["packages"]
    found = [one for one in every if (one["name"], one["version"]) in linked]
    return sorted(found, key=lambda one: (one["name"], one["version"]))


def licence_expression(crate):
    """As SPDX writes it; older crates have a slash for OR."""
    return crate["license"].replace("/", " OR ")


def sqlite_version(crate):
    header = Path(crate["manifest_path"]).parent / "sqlite3/sqlite3.h"
    return re.search(r'#define SQLITE_VERSION +"([^"]+)"', header.read_text())[1]


def parts_within(linked, target):
    """The C libraries that crates bring, and what the compiler adds."""
    by_name = {one["name"]: one for one in linked}
    for name, licence, owner in WITHIN_CRATES:
        crate = by_name[owner]
        version = sqlite_version(crate) if name == "sqlite" else crate["version"]
        yield name, version, licence
    yield "rust-std", output("rustc", "--version").split()[1], "MIT OR Apache-2.0"
    if target.endswith("musl"):
        yield "musl", "of the linker", "MIT"
        yield "libunwind", "of the linker", "Apache-2.0 WITH LLVM-exception"
    else:
        yield "glibc", output("ldd", "--version").splitlines()[0].split()[-1], "LGPL-2.1-or-later"


def bill(target, binary_sha256, epoch):
    """CycloneDX 1.5 as JSON."""
    linked = crates(target)
    with open(ROOT / "Cargo.lock", "rb") as lock:
        checksums = {(one["name"], one["version"]): one.get("checksum") for one in tomllib.load(lock)["package"]}
    components = []
    for crate in linked:
        name, version = crate["name"], crate["version"]
        if name == "parlor":
            own = crate
            continue
        component = {
            "type": "library",
            "bom-ref": f"pkg:cargo/{name}@{version}",
            "name": name,
            "version": version,
            "licenses": [{"expression": licence_expression(crate)}],
            "purl": f"pkg:cargo/{name}@{version}",
            "hashes": [{"alg": "SHA-256", "content": checksums[(name, version)]}],
        }
        components.append(component)
    for name, version, licence in parts_within(linked, target):
        component = {"type": "library", "bom-ref": name, "name": name, "version": version}
        components.append(component | {"licenses": [{"expression": licence}]} if licence != "blessing" else component)
    program = {
        "type": "application",
        "bom-ref": "parlor",
        "name": "parlor",
        "version": own["version"],
        "licenses": [{"expression": licence_expression(own)}],
        "hashes": [{"alg": "SHA-256", "content": binary_sha256}],
        "properties": [{"name": "target", "value": target}],
    }
    document = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_OID, target + binary_sha256)}",
        "version": 1,
        "metadata": {
            "timestamp": datetime.fromtimestamp(epoch, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "component": program,
        },
        "components": components,
        "dependencies": [{"ref": "parlor", "dependsOn": [one["bom-ref"] for one in components]}],
    }
    return json.dumps(document, indent=1).encode() + b"\n"


def licences(target, *package, static=True):
    """Every licence's text once, with the names of those that it is for."""
    uses, missing = {}, []
    for crate in crates(target, *package):
        named = f"{crate['name']} {crate['version']}"
        folder = Path(crate["manifest_path"]).parent
        folder = ROOT if folder.is_relative_to(ROOT) else folder
        files = [one for one in sorted(folder.iterdir()) if one.is_file() and one.name.upper().startswith(LICENCE_FILES)]
        for file in files:
            uses.setdefault(file.read_text(errors="replace").strip(), []).append(named)
        if not files:
            missing.append(named)
    if missing:
        raise SystemExit(f"dist: no file with the licence of {', '.join(missing)}")
    apache = (ROOT / "LICENSE-APACHE").read_text().strip()
    uses[apache].append("Rust's standard library")
    if target.endswith("musl"):
        for file in sorted(OF_THE_LINKER.iterdir()):
            uses.setdefault(file.read_text().strip(), []).append(file.stem)
    elif static:
        uses["GNU Lesser General Public License, version 2.1 or later: https://www.gnu.org/licenses/"] = ["glibc"]
    uses["SQLite is in the public domain: https://sqlite.org/copyright.html"] = ["sqlite"]
    out = ["What parlor is made of, and under which licences. Each text is for those named above it.\n"]
    for text, names in sorted(uses.items(), key=lambda pair: pair[1]):
        out.append(f"{'=' * 100}\n{', '.join(names)}\n{'-' * 100}\n{text}\n")
    return "\n".join(out).encode()
