"""What `make dist` makes of a binary: the same from any folder, with all that belongs to it."""

import hashlib
import json
import re
import shutil
import subprocess
import tarfile

import pytest

import places


@pytest.fixture(scope="module")
def again(tmp_path_factory):
    """The packages, made once more by a copy of the repository in another folder."""
    copy = tmp_path_factory.mktemp("elsewhere") / "another-name"
    for file in places.repository():
        (copy / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(places.ROOT / file, copy / file)
    places.dist(copy / "packages", "--libraries", places.ROOT / "target/c-short", root=copy)
    return copy / "packages"


def members():
    path = places.made("parlor-*.tar.gz")
    with tarfile.open(path) as tar:
        return {one.name.partition("/")[2]: (one, tar.extractfile(one) and tar.extractfile(one).read()) for one in tar}


def bill():
    return json.loads(places.made("*.cdx.json").read_text())


def test_made_twice_in_different_folders_they_are_equal(again):
    names = sorted(path.name for path in again.iterdir())
    assert len(names) == 7
    differ = [name for name in names if (again / name).read_bytes() != (places.PACKAGES / name).read_bytes()]
    assert differ == []


def test_the_sums_are_those_of_the_files():
    lines = [line.split("  ") for line in places.made("SHA256SUMS").read_text().splitlines()]
    assert {name for _, name in lines} == {path.name for path in places.PACKAGES.iterdir()} - {"SHA256SUMS"}
    for sum, name in lines:
        assert hashlib.sha256((places.PACKAGES / name).read_bytes()).hexdigest() == sum, name


def test_the_tar_has_what_an_installation_needs():
    found = members()
    assert found["bin/parlor"][1] == places.binary().read_bytes()
    wanted = {"README.md", "LICENSE-MIT", "LICENSE-APACHE", "licences.txt", "man/man1/parlor.1", "man/man1/parlor-serve.1",
              "completions/parlor.bash", "completions/parlor.zsh", "completions/parlor.fish", "deploy/parlor.service",
              "deploy/parlor.socket", "deploy/parlor.toml"}  # fmt: skip
    assert wanted <= set(found)
    infos = [info for info, _ in found.values()]
    assert {(info.uid, info.gid) for info in infos} == {(0, 0)} and len({info.mtime for info in infos}) == 1
    assert {oct(info.mode) for info in infos} == {"0o755", "0o644"}


def test_the_documents_are_in_both_with_what_they_lead_to(tmp_path):
    """A link that leads nowhere there leads to the source, which is in neither."""
    unpacked = tmp_path / "deb"
    subprocess.run(["dpkg-deb", "-x", places.made("*.deb"), unpacked], check=True)
    installed = unpacked / "usr/share/doc/parlor"
    documents = places.repository("README.md", "docs", "deploy/prometheus", "deploy/grafana")
    found = members()
    for name in documents:
        assert found[name][1] == (installed / name).read_bytes() == (places.ROOT / name).read_bytes(), name
    for name in (name for name in documents if name.endswith(".md")):
        text = re.sub(r"^```.*?^```$|`[^`]*`", "", (installed / name).read_text(), flags=re.M | re.S)
        for target in re.findall(r"\]\(([^()\s:#]+)(?:#[^()\s]*)?\)|(?:src|srcset)=\"([^\"]+)\"", text):
            path = (installed / name).parent / "".join(target)
            source = path.resolve().relative_to(installed.resolve()).as_posix()
            assert path.exists() or not source.startswith(("docs/", "deploy/")), f"{name}: {target}"


def test_the_program_is_static_and_has_no_path_of_who_built_it():
    headers = subprocess.run(["readelf", "-l", places.binary()], check=True, capture_output=True, text=True).stdout
    assert "INTERP" not in headers
    content = places.binary().read_bytes()
    for own in (places.ROOT, places.Path.home() / ".cargo"):
        assert str(own).encode() + b"/" not in content, own


def test_the_bill_of_materials_names_each_crate_of_the_program():
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    text = places.made("*.cdx.json").read_text()
    assert JsonStrictValidator(SchemaVersion.V1_5).validate_str(text) is None
    command = ["cargo", "tree", "--locked", "-e", "normal,no-proc-macro", "--target", places.target(), "--prefix", "none"]
    tree = subprocess.run(command, cwd=places.ROOT, check=True, capture_output=True, text=True).stdout
    crates = {tuple(re.match(r"(\S+) v(\S+)", line).groups()) for line in tree.splitlines() if line} - {("parlor", "0.1.0")}
    named = {(one["name"], one["version"]) for one in bill()["components"]}
    assert crates <= named
    assert {name for name, _ in named - crates} == {"aws-lc", "sqlite", "rust-std", "musl", "libunwind"}


def test_the_licences_of_all_of_them_are_there():
    text = places.made("*.licences.txt").read_text()
    for one in bill()["components"]:
        if one.get("purl"):
            assert f"{one['name']} {one['version']}" in text
    for words in ("Apache License", "Permission is hereby granted", "ISC", "public domain", "musl"):
        assert words in text
    assert text.encode() == members()["licences.txt"][1]
