"""What the registries would get: that it is whole, and nothing of the tests' own."""

import json
import os
import subprocess
import tarfile

import places

#: Folders of the crate that its program embeds, or that its documentation shows.
EMBEDDED = ("web", "clients/js/src", "docs", "deploy/parlor.service", "LICENSE-MIT", "LICENSE-APACHE", "README.md", "Cargo.lock")


def run(*command, folder=places.ROOT, **how):
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=280, check=False, **how)
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def test_cargo_would_publish_the_crate_and_all_that_its_build_needs():
    # Whether what is packed can be built, the test of the installation shows.
    said = run("cargo", "publish", "--dry-run", "--locked", "--no-verify", "--allow-dirty").stderr
    assert "aborting upload due to dry run" in said
    packed = set(run("cargo", "package", "--list", "--allow-dirty", "--offline").stdout.splitlines())
    assert places.repository(*EMBEDDED) - packed == set()
    # A package inside the crate is not of the crate.
    others = {name for name in places.repository("examples") if name.startswith("examples/tokio/")}
    assert places.repository("src", "examples", "deploy") - packed == others
    tests = {name for name in packed if name.startswith(("tests/clients/", "tests/browser/", "tests/dist/", "fuzz/", ".ci/"))}
    assert tests == set()


def test_cargo_installs_the_program_of_the_crate_alone(tmp_path):
    run("cargo", "package", "--locked", "--no-verify", "--allow-dirty")
    [crate] = (places.ROOT / "target/package").glob("parlor-*.crate")
    with tarfile.open(crate) as tar:
        tar.extractall(tmp_path, filter="data")
    [folder] = tmp_path.iterdir()
    # The dependencies are compiled already, as far as they are those of the tests in Rust.
    environment = {**os.environ, "CARGO_TARGET_DIR": str(places.ROOT / "target")}
    command = ("cargo", "install", "--path", ".", "--locked", "--offline", "--debug", "--no-track", "--root", tmp_path / "installed")
    run(*command, folder=folder, env=environment)
    version = run(tmp_path / "installed/bin/parlor", "--version").stdout
    assert version.split()[1] == folder.name.removeprefix("parlor-")


def test_npm_would_publish_the_client():
    folder = places.ROOT / "clients/js"
    # `publish --dry-run` asks the registry whether the version is there; `pack` tells what is in it.
    run("npm", "publish", "--dry-run", "--access", "public", folder=folder)
    [packed] = json.loads(run("npm", "pack", "--dry-run", "--json", folder=folder).stdout)
    files = {one["path"] for one in packed["files"]}
    assert {f"clients/js/{name}" for name in files} >= places.repository("clients/js/src", "clients/js/types")
    assert {"LICENSE-MIT", "LICENSE-APACHE", "README.md", "package.json"} <= files
    assert not [name for name in files if name.startswith("test")]
