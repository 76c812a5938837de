"""The C and C++ client in loops that are not its own: poll(2)'s, GLib's, asio's, wxWidgets' and Qt's."""

import contextlib
import os
import re
import subprocess

import pytest

import harness
from harness import ROOT, tool
from test_c import HEADER, PACKAGE, SYSTEM, WARNINGS, built, run

#: The programs connect without TLS.
pytestmark = pytest.mark.plain

LOOPS = PACKAGE / "tests/loops"
C, CPP = ("cc", "-std=c99", "-D_GNU_SOURCE"), ("c++", "-std=c++11")


@pytest.fixture(scope="module")
def url(module_servers):
    return module_servers.parlor().url()


def flags(command, package, *words):
    """What a framework wants of the compiler."""
    return run(tool(command, f"apt-get install {package}"), *words).split()


def compiled(tmp_path, source, *more, compiler):
    run(*compiler, *WARNINGS, f"-I{HEADER.parent}", LOOPS / source, *more, built("libparlor.a"), *SYSTEM, "-o", tmp_path / "program")
    return tmp_path / "program"


def test_each_header_includes_its_own_framework_and_nothing_else():
    allowed = {
        "parlor_poll.h": "poll.h",
        "parlor_glib.h": "glib-unix.h fcntl.h unistd.h",
        "parlor_asio.hpp": "fcntl.h (boost/)?asio/.*",
        "parlor_wx.hpp": "fcntl.h unistd.h wx/.*",
        "parlor_qt.hpp": "Q[A-Z].* algorithm utility",
        "parlor_win32.hpp": "windows.h",
    }
    own = {"parlor.h", "parlor.hpp", "parlor_text.hpp", "parlor_server.h", "parlor_server.hpp"}
    others = {path.name for path in HEADER.parent.iterdir()} - own
    assert others == set(allowed)
    for name, patterns in allowed.items():
        includes = re.findall(r'#include [<"]([^>"]+)', (HEADER.parent / name).read_text())
        assert includes[0] == ("parlor.h" if name.endswith(".h") else "parlor.hpp")
        assert len(includes) > 1 and all(any(re.fullmatch(pattern, one) for pattern in patterns.split()) for one in includes[1:]), name


@pytest.mark.parametrize("standard", ["c99", "c17", "c++98", "c++11", "c++20"])
def test_the_headers_for_poll_and_glib_cast_as_the_language_does(standard, tmp_path):
    casts = ["-Wold-style-cast"] if "+" in standard else ["-D_GNU_SOURCE", "-Wc++-compat"]
    system = [word.replace("-I", "-isystem") for word in flags("pkg-config", "pkg-config libglib2.0-dev", "--cflags", "glib-2.0")]
    source = tmp_path / ("casts.cpp" if "+" in standard else "casts.c")
    source.write_text('#include "parlor_poll.h"\n#include "parlor_glib.h"\n')
    compiler = "c++" if "+" in standard else "cc"
    run(compiler, f"-std={standard}", *WARNINGS, *casts, "-Wconversion", "-Wshadow", "-fsyntax-only", f"-I{HEADER.parent}", *system, source)


@pytest.mark.parametrize(("compiler", "package"), [("c++", "g++"), ("clang++", "clang")])
def test_the_header_for_qt_hides_nothing_of_qts(compiler, package, tmp_path):
    system = [word.replace("-I", "-isystem") for word in flags("pkg-config", "qt6-base-dev", "--cflags", "Qt6Core")]
    (tmp_path / "window.cpp").write_text('#include "parlor_qt.hpp"\n')
    run(tool(compiler, f"apt-get install {package}"), "-std=c++17", "-fPIC", *WARNINGS, "-Woverloaded-virtual", "-fsyntax-only", f"-I{HEADER.parent}", *system, tmp_path / "window.cpp")


def test_a_loop_of_poll(url, tmp_path):
    program = compiled(tmp_path, "poll.c", compiler=C)
    playing = subprocess.Popen([program, url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    said = [playing.stdout.readline() for _ in range(2)]
    assert sorted(said) == ["ada is online\n", "bob is online\n"]
    said, _ = playing.communicate("good evening\n", timeout=20)
    assert playing.returncode == 0 and "ada hears: good evening" in said and said.endswith("done\n")


def test_a_loop_of_glib(url, tmp_path):
    program = compiled(tmp_path, "glib.c", *flags("pkg-config", "pkg-config libglib2.0-dev", "--cflags", "--libs", "glib-2.0"), compiler=C)
    assert run(program, f"{url}?user=ada") == "online\nended\ndone\n"


@pytest.mark.parametrize("whose", [[], ["-DPARLOR_BOOST_ASIO"]], ids=["asio", "boost"])
def test_a_loop_of_asio(whose, url, tmp_path):
    program = compiled(tmp_path, "asio.cpp", *whose, compiler=CPP)
    assert run(program, url) == "caught: it does not like that\nada hears: good evening\nbob has ended\ndone\n"


def test_a_loop_of_wxwidgets(url, tmp_path):
    program = compiled(tmp_path, "wx.cpp", *flags("wx-config", "libwxgtk3.2-dev", "--cxxflags", "--libs", "base"), compiler=CPP)
    assert run(program, f"{url}?user=ada") == "heard: good evening\n" * 2 + "done\n"


def test_the_header_for_windows_compiles_and_says_that_it_was_not_run(tmp_path):
    compiler = tool("x86_64-w64-mingw32-g++-posix", "apt-get install g++-mingw-w64-x86-64-posix")
    run(compiler, "-std=c++11", *WARNINGS, f"-I{HEADER.parent}", "-c", LOOPS / "win32.cpp", "-o", tmp_path / "win32.o")
    # What windows.h defines before ours, and behind.
    for order in (["windows.h", "parlor.h", "parlor.hpp"], ["parlor.hpp", "windows.h", "parlor_win32.hpp"]):
        (tmp_path / "order.cpp").write_text("".join(f"#include <{name}>\n" for name in order) + "parlor::Client *client;\n")
        run(compiler, "-std=c++11", *WARNINGS, f"-I{HEADER.parent}", "-c", tmp_path / "order.cpp", "-o", tmp_path / "order.o")
    assert "It was never run" in (HEADER.parent / "parlor_win32.hpp").read_text()


@contextlib.contextmanager
def screen():
    """A screen that nobody sees; its name."""
    reading, writing = os.pipe()
    command = [tool("Xvfb", "apt-get install xvfb"), "-displayfd", str(writing), "-screen", "0", "1280x900x24", "-nolisten", "tcp"]
    server = subprocess.Popen(command, pass_fds=[writing], stderr=subprocess.DEVNULL)
    os.close(writing)
    try:
        with os.fdopen(reading) as name:
            yield f":{name.readline().strip()}"
    finally:
        server.kill()
        server.wait()


@pytest.mark.seconds(240)
def test_a_window_of_qts_chats(servers, tmp_path):
    cmake = tool("cmake", "apt-get install cmake")
    run("sh", PACKAGE / "install.sh", built("libparlor.a").parent, tmp_path / "prefix")
    run(cmake, "-S", ROOT / "examples/qt-chat", "-B", tmp_path / "build", f"-DCMAKE_PREFIX_PATH={tmp_path / 'prefix'}", "-DQT_CHAT_TESTS=ON")
    run(cmake, "--build", tmp_path / "build", seconds=200)
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    server = servers.parlor()
    with screen() as display:
        env = {**harness.clean_environment(), "DISPLAY": display, "QT_QPA_PLATFORM": "xcb", "LC_ALL": "C.UTF-8"}
        command, line = [tmp_path / "build/play", server.url(), pictures], None
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env) as playing:
            try:
                for line in playing.stdout:
                    if line == "stop\n":
                        server.kill()
                    if line == "start\n":
                        server = servers.parlor(port=server.port, data=server.data)
                assert line == "done\n" and playing.wait(10) == 0, playing.stderr.read()
            finally:
                playing.kill()
        help_text = run(tmp_path / "build/qt-chat", "--help", env=env)
        assert all(word in help_text for word in ("URL", "--token-file", "--ca", "--outbox"))
        wrong = subprocess.run([tmp_path / "build/qt-chat", "nonsense"], env=env, capture_output=True, text=True, timeout=20, check=False)
        assert wrong.returncode == 1 and wrong.stderr
    assert sorted(path.name for path in pictures.iterdir()) == ["away.png", "online.png"]
    assert all(path.stat().st_size > 5_000 for path in pictures.iterdir())
