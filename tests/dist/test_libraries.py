"""The archive of the libraries for C and C++: what CMake's FetchContent makes of it, and what is in it."""

import os
import re
import shutil
import subprocess
import tarfile
import textwrap

import pytest

import places

PACKAGE = places.ROOT / "clients/c"
CMAKE = """cmake_minimum_required(VERSION 3.16)
project(version CXX)
add_subdirectory(parts)
add_executable(own version.cpp)
target_link_libraries(own PRIVATE parlor::parlor)
add_executable(shared version.cpp)
target_link_libraries(shared PRIVATE parlor::shared)
"""
#: As docs/embedding-c.md has it.
FETCH = """include(FetchContent)
FetchContent_Declare(parlor
    URL %s
    URL_HASH SHA256=%s)
FetchContent_MakeAvailable(parlor)
"""


def archive():
    return places.made("libparlor-*.tar.gz")


def run(*command, **how):
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, **how)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory):
    folder = tmp_path_factory.mktemp("unpacked")
    with tarfile.open(archive()) as tar:
        tar.extractall(folder, filter="tar")
    return folder / archive().name.removesuffix(".tar.gz")


def test_a_program_fetches_it_and_runs(tmp_path):
    cmake = shutil.which("cmake") or pytest.fail("cmake is missing: apt-get install cmake", pytrace=False)
    sums = dict(reversed(line.split("  ")) for line in places.made("SHA256SUMS").read_text().splitlines())
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts/CMakeLists.txt").write_text(FETCH % (archive(), sums[archive().name]))
    (tmp_path / "CMakeLists.txt").write_text(CMAKE)
    shutil.copy(PACKAGE / "test_package/version.cpp", tmp_path)
    run(cmake, "-S", tmp_path, "-B", tmp_path / "build")
    run(cmake, "--build", tmp_path / "build")
    version = re.search('^version = "(.*)"', (PACKAGE / "Cargo.toml").read_text(), re.M)[1]
    for program, is_shared in (("own", False), ("shared", True)):
        assert run(tmp_path / "build" / program) == f"parlor {version}\n"
        assert ("libparlor.so.0" in run("readelf", "--dynamic", tmp_path / "build" / program)) == is_shared


def test_the_document_fetches_it_so():
    document = (places.ROOT / "docs/embedding-c.md").read_text()
    [said] = [block for block in re.findall(r"```cmake\n(.*?)```", document, re.S) if "FetchContent" in block]
    said = textwrap.dedent(said)
    assert re.sub(r"(?<=URL |256=)[^\s)]+", "%s", said).startswith(FETCH)
    assert archive().name in said


def test_it_has_the_headers_both_kinds_of_library_and_all_licences(unpacked):
    names = {path.relative_to(unpacked).as_posix() for path in unpacked.rglob("*") if not path.is_dir()}
    assert {f"include/{path.name}" for path in (PACKAGE / "include").iterdir()} <= names
    assert {"lib/libparlor.a", "lib/libparlor.so.0", "lib/pkgconfig/parlor.pc", "LICENSE-MIT", "LICENSE-APACHE", "embedding-c.md"} <= {
        name.removeprefix("docs/") for name in names
    }
    assert os.readlink(unpacked / "lib/libparlor.so") == "libparlor.so.0"
    text = (unpacked / "licences.txt").read_text()
    tree = run("cargo", "tree", "--locked", "--package", "parlor-c", "--features", "server", "-e", "normal,no-proc-macro", "--prefix", "none", cwd=places.ROOT)
    for line in tree.splitlines():
        name, version = re.match(r"(\S+) v(\S+)", line).groups()
        assert f"{name} {version}" in text
    # glibc is the system's, and not in it.
    assert "glibc" not in text


def test_it_has_no_path_of_who_built_it_and_runs_where_the_document_says(unpacked):
    for name in ("libparlor.a", "libparlor.so.0"):
        content = (unpacked / "lib" / name).read_bytes()
        for own in (places.ROOT, places.Path.home() / ".cargo"):
            assert str(own).encode() + b"/" not in content, (name, own)
    asked = re.findall(r"GLIBC_2\.(\d+)", run("objdump", "-T", unpacked / "lib/libparlor.so.0"))
    document = (places.ROOT / "docs/embedding-c.md").read_text()
    # What is made here needs no newer one than what is made on Debian 12.
    assert max(map(int, asked)) <= int(re.search(r"glibc 2\.(\d+)", document)[1])
