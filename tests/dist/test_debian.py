"""The Debian package: installed in a root of its own, by dpkg; and what lintian finds."""

import os
import shutil
import subprocess

import pytest

import places


@pytest.fixture(scope="module")
def life(tmp_path_factory):
    """What was seen from its installation to its end. The root is this machine's, under a layer for changes; that of
    PARLOR_DEBIAN_ROOT, if that is set (make dist-debian)."""
    older = tmp_path_factory.mktemp("older")
    places.dist(older, "--version", "0.0.9")
    [package] = older.glob("*.deb")
    base = os.environ.get("PARLOR_DEBIAN_ROOT", "/")
    documented = places.shell_lines("install.md").split("\n\n")[1].replace("x86_64-unknown-linux-musl", places.target())
    packages = (package, places.made("*.deb"), places.made("parlor-*.tar.gz"))
    return places.enter("inside_debian.py", base, tmp_path_factory.mktemp("root"), *packages, documented)


def test_it_makes_a_user_and_a_secret_which_nobody_else_reads(life):
    assert not life["before"]
    assert life["modes"] == {
        "/etc/parlor": "750 root parlor",
        "/etc/parlor/parlor.toml": "640 root parlor",
        "/etc/parlor/secret": "600 parlor parlor",
        "/var/lib/parlor": "700 parlor parlor",
        "/usr/bin/parlor": "755 root root",
    }


def test_its_configuration_is_good_and_its_service_is_enabled(life):
    assert life["judged"][0] == 0, life["judged"]
    assert life["enabled"]
    assert ".TH parlor" in life["manual"]


def test_it_serves_as_its_user_and_is_asked_by_its_own_commands(life):
    assert life["owner"] == life["user"] != "0"
    assert life["health"] == 0 and life["healthStopped"] == 1
    status, rooms = life["admin"]
    assert status == 0 and '"tea"' in rooms
    status, seconds = life["stopped"]
    assert status == 0 and seconds < 6


def test_an_upgrade_keeps_messages_secret_and_what_was_edited(life):
    assert life["version"].startswith("0.1.")
    assert life["afterUpgrade"] == ["kept"]
    assert life["edited"] and life["sameSecret"]


def test_removed_it_leaves_configuration_and_data_and_purged_the_user_alone(life):
    assert life["left"] == ["etc/parlor/parlor.toml", "etc/parlor/secret"]
    assert life["data"]
    assert life["purged"] == [] and life["known"] == 1 and life["userStays"]


def test_the_tar_is_installed_as_the_document_says(life):
    status, said = life["tar"]
    assert status == 0, said
    assert life["tarVersion"][0] == 0 and life["tarManual"]


def test_lintian_finds_nothing():
    lintian = shutil.which("lintian")
    if lintian is None:
        pytest.fail("lintian is missing: install it, on Debian by: apt-get install lintian", pytrace=False)
    command = [lintian, "--allow-root", "--fail-on", "error,warning", places.made("*.deb")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
