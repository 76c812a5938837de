"""docs/clients.md: each language has the same sections, and its programs run. Those in Rust are tests of the documents of the library."""

import re
import sys

import pytest

import harness
from harness import ROOT
from test_c import HEADER, SYSTEM, WARNINGS, built, run

pytestmark = pytest.mark.plain

PAGE = (ROOT / "docs/clients.md").read_text()
LANGUAGES = ["JavaScript", "Rust", "C", "C++", "Python"]
PAGES = ["README.md", "docs/README.md", "docs/client-rust.md", "docs/client-python.md", "docs/embedding-c.md", "clients/js/README.md"]
SECTIONS = ["Begin in", "Connections in", "Test an application in", "Debug in", "In a desktop program in"]


def programs(language):
    return re.findall(rf"^```{re.escape(language)}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def test_each_language_has_the_same_sections():
    assert [name for name in re.findall(r"^## (.*)$", PAGE, re.MULTILINE) if name in LANGUAGES] == LANGUAGES
    for language in LANGUAGES:
        part = PAGE.split(f"\n## {language}\n")[1].split("\n## ")[0]
        assert re.findall(r"^### (.*)$", part, re.MULTILINE) == [f"{section} {language}" for section in SECTIONS]
    assert [len(programs(name)) for name in ("js", "rust,no_run", "c", "cpp", "python")] == [2, 2, 2, 2, 2]


@pytest.mark.parametrize("name", PAGES)
def test_each_clients_own_page_leads_here(name):
    assert re.search(r"\]\((?:\.\./)*(?:docs/)?clients\.md[)#]", (ROOT / name).read_text())


def test_programs_in_python_run(servers, tmp_path):
    server = servers.parlor()
    env = harness.clean_environment(PYTHONPATH=str(ROOT / "clients/python"), PARLOR_BIN=str(harness.parlor_binary()))
    for number, program in enumerate(programs("python")):
        path = tmp_path / f"{number}.py"
        path.write_text(program.replace("8080", str(server.port)))
        said = run(sys.executable, path, env=env)
        assert number == 1 or re.search(r"it has number \d+, and is on the server's disk", said)


def test_programs_in_javascript_run(servers, tmp_path):
    server = servers.parlor()
    modules = tmp_path / "node_modules"
    modules.mkdir()
    (modules / "parlor-client").symlink_to(ROOT / "clients/js")
    (modules / "ws").symlink_to(ROOT / "tests/node_modules/ws")
    for number, program in enumerate(programs("js")):
        path = tmp_path / f"{number}.mjs"
        path.write_text(program.replace("8080", str(server.port)))
        said = run("node", path)
        assert number == 1 or re.search(r"it has number \d+, and is on the server's disk", said)


@pytest.mark.parametrize(("language", "compiler"), [("c", ["cc", "-std=c99"]), ("cpp", ["c++", "-std=c++11"])])
def test_programs_in_c_and_cpp_run(servers, tmp_path, language, compiler):
    server = servers.parlor()
    libraries = [[built("libparlor.a")], [built("libparlor.a"), built("libparlor-server.a")]]
    said = []
    for number, (program, linked) in enumerate(zip(programs(language), libraries, strict=True)):
        source, made = tmp_path / f"{number}.{language}", tmp_path / str(number)
        source.write_text(program.replace("8080", str(server.port)))
        run(*compiler, *WARNINGS, f"-I{HEADER.parent}", source, *linked, *SYSTEM, "-o", made)
        said.append(run(made))
    assert said == ["it is on the server's disk\n", ""]
