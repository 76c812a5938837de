"""The Python client as a package: its types, its wheel, and the programs of its document."""

import email
import os
import re
import subprocess
import sys
import tarfile
import zipfile

import harness
import pytest
from harness import ROOT

pytestmark = pytest.mark.plain

PACKAGE = ROOT / "clients/python"
DOCUMENT = ROOT / "docs/client-python.md"


def run(*command, seconds=60, **how):
    done = subprocess.run([str(one) for one in command], capture_output=True, text=True, timeout=seconds, check=False, **how)
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout


@pytest.mark.seconds(120)
def test_its_types_are_strict(tmp_path):
    run(sys.executable, "-m", "mypy", "--cache-dir", tmp_path, seconds=100, cwd=PACKAGE)


@pytest.mark.seconds(120)
def test_pyright_finds_nothing(tmp_path):
    pyright = ROOT / "tests/node_modules/.bin/pyright"
    assert pyright.exists(), f"{pyright} is missing: npm ci --prefix tests"
    said = run(pyright, "--pythonpath", sys.executable, seconds=100, cwd=PACKAGE)
    assert said.startswith("0 errors, 0 warnings")


def test_a_program_that_uses_it_wrongly_is_found(tmp_path):
    (tmp_path / "wrong.py").write_text(
        "import parlor\nimport parlor.sync\n\n"
        "with parlor.sync.Connection('ws://a/') as client:\n"
        "    client.on(parlor.Message, lambda message: message.txet)\n"
        "    stored: int = client.room('tea').send('x').wait()\n"
        "    client.hint('asleep')\n"
        "    for message in client.room('tea').events(parlor.Message):\n"
        "        print(message.from_user.upper())\n"
    )
    env = {**os.environ, "MYPYPATH": str(PACKAGE)}
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file", os.devnull, "--cache-dir", str(tmp_path / "cache"), str(tmp_path / "wrong.py")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False, env=env)
    assert [int(line) for line in re.findall(r"wrong\.py:(\d+): error", done.stdout)] == [5, 6, 7], done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The wheel, the source distribution, and the wheel that is made of that."""
    folder = tmp_path_factory.mktemp("built")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, PACKAGE)
    (sdist,) = folder.glob("*.tar.gz")
    (wheel,) = folder.glob("*.whl")
    with tarfile.open(sdist) as archive:
        archive.extractall(folder / "unpacked", filter="data")
    (source,) = (folder / "unpacked").iterdir()
    run(sys.executable, "-m", "build", "--no-isolation", "--wheel", "--outdir", folder / "again", source)
    (again,) = (folder / "again").glob("*.whl")
    return wheel, sdist, again


def test_wheel_and_source_have_all_that_belongs_to_it(built):
    wheel, sdist, again = built
    modules = {f"parlor/{path.name}" for path in (PACKAGE / "parlor").iterdir() if path.suffix == ".py" or path.name == "py.typed"}
    with zipfile.ZipFile(wheel) as one, zipfile.ZipFile(again) as other:
        names = set(one.namelist())
        assert {name for name in names if name.startswith("parlor/")} == modules
        assert names == set(other.namelist())
        metadata = email.message_from_bytes(one.read(next(name for name in names if name.endswith("/METADATA"))))
    assert (metadata["Name"], metadata["Requires-Python"], metadata["Requires-Dist"]) == ("parlor-client", ">=3.10", "websockets>=15")
    assert any(name.endswith("LICENSE-MIT") for name in names) and any(name.endswith("LICENSE-APACHE") for name in names)
    with tarfile.open(sdist) as archive:
        assert any(name.endswith("tests/test_core.py") for name in archive.getnames())


def test_the_version_is_that_of_the_server():
    sys.path.insert(0, str(PACKAGE))
    import parlor

    version = re.search(r'^version = "(.*)"', (ROOT / "Cargo.toml").read_text(), re.M).group(1)
    assert parlor.__version__ == version == re.search(r'^version = "(.*)"', (PACKAGE / "pyproject.toml").read_text(), re.M).group(1)


def programs(path):
    return re.findall(r"```python\n(.*?)```", path.read_text(), re.S)


@pytest.mark.parametrize(("document", "number"), [(DOCUMENT, 0), (DOCUMENT, 1), (PACKAGE / "README.md", 0)], ids=["asyncio", "threads", "readme"])
def test_the_documents_programs_run_with_the_wheel(document, number, built, servers, tmp_path):
    run(sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", tmp_path / "installed", built[0])
    url = servers.parlor().url()
    program = programs(document)[number]
    assert "ws://127.0.0.1:8080/ws" in program
    (tmp_path / "program.py").write_text(program.replace("ws://127.0.0.1:8080/ws", url))
    said = run(sys.executable, tmp_path / "program.py", env={**harness.clean_environment(), "PYTHONPATH": str(tmp_path / "installed")})
    if document == DOCUMENT:
        assert said == "it has number 2, and is on the server's disk\nada: Good evening\n"
    else:
        assert re.fullmatch(r"Stored\(room='tea', seq=2, ts=\d+, is_duplicate=False\)\n", said)


def test_the_documents_other_programs_are_well_typed(tmp_path):
    for number, program in enumerate([*programs(DOCUMENT), *programs(PACKAGE / "README.md")]):
        (tmp_path / f"program{number}.py").write_text(program)
        env = {**os.environ, "MYPYPATH": str(PACKAGE)}
        # Functions of documents need say no types.
        command = [sys.executable, "-m", "mypy", "--config-file", os.devnull, "--check-untyped-defs", "--cache-dir", tmp_path / "cache", tmp_path / f"program{number}.py"]
        run(*command, env=env, seconds=100)


def test_the_document_names_each_class_and_state_that_there_is():
    sys.path.insert(0, str(PACKAGE))
    import parlor
    from parlor import events

    text = DOCUMENT.read_text()
    told = [one.__name__ for one in events.Event.__args__] + [one.__name__ for one in events.Entry.__subclasses__()]
    assert [name for name in told if f"`{name}`" not in text] == []
    for names in (events.StateName, events.StatusName):
        assert [name for name in names.__args__ if f"`{name}`" not in text] == []
    assert [name for name in parlor.errors._OWN if f"`{name}`" not in text and name not in ("too_large", "not_member", "bad_json")] == []
