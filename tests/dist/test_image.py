"""The image: its description, its size, and its root file system run as a container would run it."""

import hashlib
import io
import json
import re
import shutil
import subprocess
import tarfile

import pytest

import places

MEGABYTE = 1_000_000


@pytest.fixture(scope="module")
def archive():
    with tarfile.open(places.made("*.oci.tar")) as tar:
        return {one.name: tar.extractfile(one).read() for one in tar if one.isfile()}


def blob(archive, descriptor):
    content = archive["blobs/" + descriptor["digest"].replace(":", "/")]
    assert f"sha256:{hashlib.sha256(content).hexdigest()}" == descriptor["digest"]
    assert len(content) == descriptor["size"]
    return content


@pytest.fixture(scope="module")
def image(archive):
    """Its description, and its only layer."""
    [entry] = json.loads(archive["index.json"])["manifests"]
    manifest = json.loads(blob(archive, entry))
    config = json.loads(blob(archive, manifest["config"]))
    [layer] = manifest["layers"]
    return config, blob(archive, layer)


@pytest.fixture(scope="module")
def seen(image, tmp_path_factory):
    config, layer = image
    place = tmp_path_factory.mktemp("image")
    (place / "root").mkdir()
    (place / "volume").mkdir()
    (place / "config.json").write_text(json.dumps(config))
    with tarfile.open(fileobj=io.BytesIO(layer)) as tar:
        tar.extractall(place / "root", numeric_owner=True, filter="fully_trusted")
    return places.enter("inside_image.py", place / "root", place / "volume", place / "config.json")


def test_it_is_small(archive):
    assert places.made("*.oci.tar").stat().st_size <= 15 * MEGABYTE
    assert set(json.loads(archive["manifest.json"])[0]) == {"Config", "RepoTags", "Layers"}


def test_another_program_unpacks_it(tmp_path):
    umoci = shutil.which("umoci")
    if umoci is None:
        pytest.fail("umoci is missing: install it, on Debian by: apt-get install umoci", pytrace=False)
    with tarfile.open(places.made("*.oci.tar")) as tar:
        tar.extractall(tmp_path / "layout", filter="data")
    version = json.loads((tmp_path / "layout/index.json").read_text())["manifests"][0]["annotations"]
    tag = version["org.opencontainers.image.ref.name"]
    done = subprocess.run(
        [umoci, "unpack", "--image", f"{tmp_path}/layout:{tag}", tmp_path / "bundle"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "bundle/rootfs/usr/bin/parlor").read_bytes() == places.binary().read_bytes()
    process = json.loads((tmp_path / "bundle/config.json").read_text())["process"]
    assert process["args"] == ["/usr/bin/parlor", "serve"] and process["user"] == {"uid": 65532, "gid": 65532}


def test_the_program_needs_nothing_else_of_the_file_system(seen):
    assert seen["folders"] == [
        "etc", "etc/parlor", "etc/ssl", "etc/ssl/certs", "usr", "usr/bin", "usr/share", "usr/share/doc",
        "usr/share/doc/parlor", "var", "var/lib", "var/lib/parlor",
    ]  # fmt: skip
    assert seen["readOnly"]
    assert seen["rights"] == ["CapEff:\t0000000000000000"]


def test_it_serves_is_healthy_and_stores(seen):
    assert seen["health"] == 0, seen["healthSaid"]
    assert seen["healthStopped"] == 1
    assert seen["history"] == ["kept"]
    assert seen["backup"][0] == 0, seen["backup"]
    assert seen["metrics"] == 200 and seen["metricsInPublic"] != 200
    assert seen["warnings"] == []


def test_sigterm_ends_it_in_order(seen):
    status, seconds = seen["stopped"]
    assert status == 0 and seconds < 6


def test_it_wants_a_secret_and_another_user_than_root(seen):
    status, said = seen["withoutSecret"]
    assert status != 0 and "without a secret" in said
    status, said = seen["asRoot"]
    assert status != 0 and "--user" in said


def test_the_dockerfile_gets_all_that_cargo_looks_for(tmp_path):
    ignored = [line for line in (places.ROOT / ".dockerignore").read_text().splitlines() if line and line[0] not in "#*"]
    for file in places.repository():
        if not any(file == one or file.startswith(one + "/") for one in ignored):
            (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(places.ROOT / file, tmp_path / file)
    command = ["cargo", "metadata", "--locked", "--offline", "--no-deps", "--format-version", "1"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for needed in ("web/index.html", "src/main.rs", "deploy/parlor.service", ".cargo/config.toml", "docs/openapi.json"):
        assert (tmp_path / needed).exists(), needed


def test_the_dockerfile_says_the_same(image):
    config = image[0]["config"]
    last = (places.ROOT / "Dockerfile").read_text().replace("\\\n", " ").split("\nFROM ")[-1]
    said = [line.split(None, 1) for line in last.splitlines()[1:] if line and not line.startswith("#")]
    by_word = {}
    for word, rest in said:
        by_word.setdefault(word, []).append(rest.strip())
    assert last.splitlines()[0] == "scratch"
    assert by_word["USER"] == [config["User"]]
    assert set(by_word["EXPOSE"][0].split()) == {port.removesuffix("/tcp") for port in config["ExposedPorts"]}
    assert json.loads(by_word["ENTRYPOINT"][0]) == config["Entrypoint"]
    assert json.loads(by_word["CMD"][0]) == config["Cmd"]
    assert by_word["VOLUME"] == list(config["Volumes"])
    assert by_word["WORKDIR"] == [config["WorkingDir"]]
    options, check = by_word["HEALTHCHECK"][0].split(" CMD ")
    assert json.loads(check) == config["Healthcheck"]["Test"][1:]
    seconds = {name: int(number) * 10**9 for name, number in re.findall(r"--(\w+)=(\d+)s", options)}
    assert seconds == {"interval": config["Healthcheck"]["Interval"], "timeout": config["Healthcheck"]["Timeout"]}
    copied = {rest.split()[-1] for rest in by_word["COPY"]}
    assert {"/usr/bin/parlor", "/etc/parlor/", "/etc/ssl/certs/", "/var/lib/parlor"} <= copied
