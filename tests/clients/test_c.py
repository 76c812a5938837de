"""The C library: its header and itself are one, and none of the traps of C befalls a program that links it."""

import contextlib
import json
import queue
import re
import signal
import socket
import ssl
import subprocess
import sys
import threading
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

import pytest
from websockets.sync.server import serve

import harness
from certificates import Authority, key_pem
from harness import ROOT, tool

#: The programs connect without TLS.
pytestmark = pytest.mark.plain

PACKAGE = ROOT / "clients/c"
HEADER = PACKAGE / "include/parlor.h"
BUILT = ROOT / "target/c"
#: What a static library of Rust needs beside it.
SYSTEM = ["-lpthread", "-ldl", "-lm"]
WARNINGS = ["-Wall", "-Wextra", "-Wpedantic", "-Werror"]
SO_BYTES_MAX = 2_200_000


def run(*command, seconds=60, **how):
    done = subprocess.run([str(one) for one in command], capture_output=True, text=True, timeout=seconds, check=False, **how)
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout


def built(name):
    path = BUILT / name
    assert path.exists(), f"{path} is missing: make c"
    return path


def without_comments(text):
    return re.sub(r"/\*.*?\*/|//[^\n]*", "", text, flags=re.S)


@pytest.fixture(scope="module")
def programs(tmp_path_factory):
    """Compiles a program of clients/c/tests, once: with the archive, or with the shared library."""
    folder, made = tmp_path_factory.mktemp("programs"), {}

    def program(name, kind="static"):
        if (name, kind) not in made:
            made[name, kind] = folder / f"{name}-{kind}"
            link = [built("libparlor.a"), *SYSTEM] if kind == "static" else [f"-L{built('libparlor.so').parent}", "-lparlor", "-lpthread"]
            source = PACKAGE / "tests" / name
            compiler = ("c++", "-std=c++11") if name.endswith("pp") else ("cc", "-std=c99", "-D_GNU_SOURCE")
            run(*compiler, *WARNINGS, f"-I{HEADER.parent}", source, *link, "-o", made[name, kind])
        return made[name, kind]

    return program


@pytest.fixture(scope="module")
def sanitized(tmp_path_factory):
    """Compiles a program of clients/c/tests with AddressSanitizer and UndefinedBehaviorSanitizer, once."""
    folder, made = tmp_path_factory.mktemp("sanitized"), {}

    def program(name):
        if name not in made:
            made[name] = folder / name.replace(".", "-")
            compiler = ("c++", "-std=c++11") if name.endswith("pp") else ("cc", "-std=c99", "-D_GNU_SOURCE")
            flags = ["-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer"]
            run(*compiler, *flags, f"-I{HEADER.parent}", PACKAGE / "tests" / name, built("libparlor.a"), *SYSTEM, "-o", made[name])
        return made[name]

    return program


@pytest.fixture(scope="module")
def url(module_servers):
    return module_servers.parlor().url()


class Library(NamedTuple):
    """One of the two, and what its header has."""

    name: str
    header: Path
    structures: list[str]
    #: Fewer would not be all.
    constants_min: int
    functions: int


OURS = [
    Library("libparlor", HEADER, ["parlor_str", "parlor_event", "parlor_config", "parlor_message"], 60, 38),
    Library("libparlor-server", HEADER.parent / "parlor_server.h", ["parlor_call", "parlor_server_config"], 20, 41),
]
of_each_library = pytest.mark.parametrize("library", OURS, ids=lambda library: library.name)


@pytest.fixture(scope="module")
def seen_by_cbindgen(tmp_path_factory):
    """Makes of the library's Rust what cbindgen makes of it: these items, their names with this before them."""
    cbindgen = ROOT / "target/test-tools/bin/cbindgen"
    assert cbindgen.exists(), "cbindgen is missing: make setup"
    folder = tmp_path_factory.mktemp("cbindgen")
    rust = "".join(path.read_text() for path in sorted((PACKAGE / "src").rglob("*.rs")))
    rust = re.sub(r"^(//!|#!\[).*", "", rust, flags=re.M)
    # It does not see through a name that a function that may be NULL has.
    rust = re.sub(r'(pub type parlor_\w+_fn =\s+)(unsafe extern "C)-unwind(" fn\([^;]*);', r"\1Option<\2\3>;", rust)
    (folder / "c.rs").write_text(re.sub(r"Option<(parlor_\w+_fn)>", r"\1", rust))

    def seen(items, prefix=""):
        quoted = ", ".join(f'"{item}"' for item in items)
        (folder / "cbindgen.toml").write_text(f"""language = "C"
            usize_is_size_t = true
            no_includes = true
            documentation = false
            [export]
            prefix = "{prefix}"
            item_types = [{quoted}]""")
        return run(cbindgen, "--quiet", "--config", folder / "cbindgen.toml", folder / "c.rs", cwd=folder)

    return seen


#: Of a structure: its type, and its name.
FIELD = re.compile(r"^\s*([\w ]+ \**)(\w+);", re.M)


@of_each_library
def test_types_and_constants_are_those_of_the_library(library, seen_by_cbindgen, tmp_path):
    header = without_comments(library.header.read_text())
    structures = re.findall(r"typedef struct (\w+) \{(.*?)\} \1;", header, re.S)
    assert [name for name, _ in structures] == library.structures
    own = seen_by_cbindgen(["structs", "typedefs", "constants", "opaque"], "rust_")
    checks = []
    for name, body in structures:
        [rust] = re.findall(rf"typedef struct rust_{name} \{{(.*?)\}} rust_{name};", own, re.S)
        fields = FIELD.findall(body)
        assert fields == FIELD.findall(re.sub(r"struct rust_|rust_", "", rust).replace("uint8_t *", "char *")) and fields[0] == ("size_t ", "p_size")
        checks += [f"sizeof({name}) == sizeof(rust_{name})"]
        checks += [f"offsetof({name}, {field}) == offsetof(rust_{name}, {field})" for _, field in fields]
    constants = re.findall(r"#define (PARLOR_\w+) \(?-?\d", header)
    assert len(constants) > library.constants_min
    checks += [f"{name} == rust_{name}" for name in constants if name != "PARLOR_ABI"]
    source = tmp_path / "types.c"
    body = "\n".join(f'_Static_assert({check}, "{check}");' for check in checks)
    source.write_text(f'#include "{library.header}"\n{own}\n{body}\n')
    run("cc", "-std=c11", "-Wall", "-Wextra", "-Werror", "-c", source, "-o", tmp_path / "types.o")


def test_no_constant_of_the_librarys_is_missing_in_the_headers(seen_by_cbindgen):
    headers = "".join(without_comments(one.header.read_text()) for one in OURS)
    declared = set(re.findall(r"#define (PARLOR_\w+) ", headers)) - {"PARLOR_ABI"}
    assert set(re.findall(r"#define (PARLOR_\w+)", seen_by_cbindgen(["constants"]))) == declared


@of_each_library
def test_the_headers_use_no_name_without_the_prefix(library):
    header = without_comments(library.header.read_text())
    bare = re.sub(r"#(ifndef|ifdef|endif|define|include).*|extern \"C\" \{", "", header)
    others = {word for word in re.findall(r"[A-Za-z_]\w*", bare) if not re.match(r"(?i)p(arlor)?_", word)}
    assert others <= {"typedef", "struct", "const", "char", "void", "size_t", "int32_t", "uint32_t", "int64_t", "uint64_t", "intptr_t"}
    assert not re.search(r"\benum\b|\bbool\b", header)


def test_functions_have_in_rust_the_parameters_of_the_header(seen_by_cbindgen, tmp_path):
    """One that is declared twice with different parameters, or a different result, is an error of the compiler's."""
    own = seen_by_cbindgen(["functions"])
    pointers = re.findall(r"^typedef \w+ \(\*parlor_\w+_fn\).*?;$", seen_by_cbindgen(["functions", "structs", "typedefs"]), re.M | re.S)
    assert len(pointers) == 6
    headers = "".join(f'#include "{one.header}"\n' for one in OURS)
    declared = set(re.findall(r"\b(parlor_\w+)\(", "".join(without_comments(one.header.read_text()) for one in OURS)))
    rust = set(re.findall(r"\b(parlor_\w+)\(", own))
    assert rust == declared and len(rust) == sum(one.functions for one in OURS)
    source = tmp_path / "functions.c"
    source.write_text("\n".join([headers, *pointers, own]))
    run("cc", "-std=c11", "-Wall", "-Wextra", "-Werror", "-c", source, "-o", tmp_path / "functions.o")


@of_each_library
def test_the_libraries_define_what_the_header_declares_and_nothing_else(library):
    declared = sorted(set(re.findall(r"[ *](parlor_[a-z_]+)\(", without_comments(library.header.read_text()))))
    archive, shared = built(f"{library.name}.a"), built(f"{library.name}.so.0")
    defined = {line.split()[-1] for line in run("nm", "--defined-only", "--extern-only", archive).splitlines() if len(line.split()) == 3}
    assert sorted(defined) == declared and len(declared) == library.functions
    exported = run("nm", "--dynamic", "--defined-only", "--with-symbol-versions", shared).split()
    assert sorted(word for word in exported if word.startswith("parlor_") and "@" in word) == [f"{name}@@parlor_0" for name in declared]
    said = run("readelf", "--dynamic", "--wide", shared)
    assert f"soname: [{library.name}.so.0]" in said and "NODELETE" in said


def test_the_clients_library_is_small():
    assert built("libparlor.so.0").stat().st_size <= SO_BYTES_MAX


#: What the headers of large systems define; each of these would break a header that uses the word.
MACROS = """ERROR DELETE GET PUT POST HEAD PATCH OPTIONS IN OUT OPTIONAL CONST VOID TRUE FALSE BOOL INT UINT CHAR BYTE WORD DWORD LONG SHORT
    min max interface small near far huge pascal cdecl SendMessage CreateWindow CreateFile GetMessage GetObject PostMessage DrawText LoadString
    status state data size type text code kind room user name id value event message request time error info debug warn log level mode config
    url token proxy field fields protocol protocols client server open close send next stop free wait join leave read write count seq target
    stream about version major minor unix linux NO_ERROR STRICT THIS SUCCESS FAILED IGNORE INFINITE Status Success Bool None Always
    signals slots emit foreach check verify require assert_equal EOF_ X Y T""".split()


@pytest.mark.parametrize("standard", ["c99", "c11", "c17", "c++98", "c++11", "c++14", "c++17", "c++20"])
def test_no_macro_of_a_programs_breaks_the_header(standard, tmp_path):
    compiler, suffix = ("c++", "cpp") if "+" in standard else ("cc", "c")
    poison = "".join(f"#define {macro} @ poison @\n" for macro in MACROS)
    source = tmp_path / f"hostile.{suffix}"
    source.write_text(
        f'#include <stddef.h>\n#include <stdint.h>\n{poison}#include "parlor.h"\n#include "parlor_server.h"\n#include "parlor.h"\n{poison}'
        "extern parlor_config g_config;\nextern parlor_server_config g_server;\nparlor_rc g_rc(parlor_client *p_client);\n"
        "parlor_rc g_rc(parlor_client *p_client) { return parlor_stop(p_client, 0); }\n"
    )
    run(compiler, f"-std={standard}", *WARNINGS, "-c", f"-I{HEADER.parent}", source, "-o", tmp_path / "hostile.o")


@pytest.mark.parametrize("kind", ["static", "shared"])
def test_two_clients_talk(kind, programs, url):
    env = {**harness.clean_environment(), "LD_LIBRARY_PATH": str(BUILT)}
    said = run(programs("talk.c", kind), url, env=env).splitlines()
    assert sorted(said[:2]) == ["ada hears bob: good evening", "bob's message is stored"] and said[2:] == ["done"]


#: Of windows.h, X11, Qt and of programs; a name of parlor.hpp's that is none of its own prefix must not be one of these.
MACROS_OF_SYSTEMS = [macro for macro in MACROS if not macro.islower() or macro in ("min", "max", "interface", "small", "near", "far", "signals", "slots", "emit", "foreach")]


@pytest.mark.parametrize("standard", ["c++11", "c++14", "c++17", "c++20"])
def test_no_macro_of_large_systems_breaks_the_header_for_cpp(standard, tmp_path):
    includes = "".join(f"#include <{name}>\n" for name in ("chrono", "cstdint", "cstring", "functional", "initializer_list", "memory", "string", "system_error", "utility", "vector"))
    includes += "#if __cplusplus >= 201703L\n#include <string_view>\n#endif\n"
    poison = "".join(f"#define {macro} @ poison @\n" for macro in MACROS_OF_SYSTEMS)
    source = tmp_path / "hostile.cpp"
    source.write_text(
        f'{includes}{poison}#include "parlor.hpp"\n#include "parlor_server.hpp"\n#include "parlor.hpp"\n{poison}'
        "std::error_code g_open(parlor::Client &p_client);\n"
        'std::error_code g_open(parlor::Client &p_client) { return p_client.open(parlor::Options("ws://a")); }\n'
        "std::error_code g_start(parlor::Server &p_server);\n"
        "std::error_code g_start(parlor::Server &p_server) { return p_server.start(parlor::ServerOptions()); }\n"
    )
    run("c++", f"-std={standard}", *WARNINGS, "-c", f"-I{HEADER.parent}", source, "-o", tmp_path / "hostile.o")


@pytest.mark.parametrize("standard", ["c99", "c17", "c++98", "c++11", "c++14", "c++17", "c++20"])
def test_clang_finds_nothing_in_the_headers(standard, tmp_path):
    is_cpp, is_old = "+" in standard, standard in ("c99", "c17", "c++98")
    compiler, suffix = (tool("clang++", "apt-get install clang"), "cpp") if is_cpp else (tool("clang", "apt-get install clang"), "c")
    headers = ["parlor.h", "parlor_server.h"] if is_old else ["parlor.hpp", "parlor_server.hpp"]
    source = tmp_path / f"headers.{suffix}"
    source.write_text("".join(f'#include "{header}"\n' for header in headers))
    # What these say is of older standards, of room between members, of where a table of functions is.
    less = ["-Wno-padded", "-Wno-weak-vtables", "-Wno-c++98-compat-pedantic", "-Wno-variadic-macros", "-Wno-c++11-long-long", "-Wno-long-long"]
    run(compiler, f"-std={standard}", "-Weverything", "-Werror", *less, "-fsyntax-only", f"-I{HEADER.parent}", source)


@pytest.mark.parametrize("standards", [("11", "17"), ("20", "14")], ids="and".join)
def test_parts_of_a_program_may_be_compiled_by_different_standards(standards, tmp_path):
    objects = [tmp_path / f"half{half}.o" for half in (1, 2)]
    for half, standard in enumerate(standards, 1):
        flags = [f"-std=c++{standard}", f"-DHALF={half}", "-O0", *WARNINGS, f"-I{HEADER.parent}"]
        run("c++", *flags, "-c", PACKAGE / "tests/mixed.cpp", "-o", objects[half - 1])
    # Of a function that is in both the linker takes the first.
    for order in (objects, objects[::-1]):
        run("c++", *order, built("libparlor.a"), *SYSTEM, "-o", tmp_path / "mixed")
        assert "connection refused" in run(tmp_path / "mixed")


@pytest.mark.seconds(60)
def test_what_is_measured_beside_other_libraries_can_be():
    said = run(sys.executable, ROOT / "benches/c/measure.py", "--quick")
    rows = [line.split(" | ") for line in said.splitlines()]
    assert len(rows) == 13 and rows[0][1].startswith("libparlor")
    document = (ROOT / "docs/embedding-c.md").read_text()
    for label, *_ in rows[2:]:
        assert f"\n{label} | " in document


def test_an_answer_costs_three_system_calls(tmp_path):
    """One that is sent by the function that is told: receive, send, wait. Nobody is woken for it."""
    bench, strace = ROOT / "benches/c", tool("strace", "apt-get install strace")
    run("c++", "-std=c++11", "-O2", f"-I{HEADER.parent}", bench / "driver.cpp", bench / "libparlor.cpp", built("libparlor.a"), *SYSTEM, "-o", tmp_path / "driver")
    command = [ROOT / "target/release/examples/echo", f"{harness.HOST}:0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as echo:
        try:
            url = re.search(r"ws://\S+", echo.stdout.readline())[0]
            run(strace, "-f", "-c", "-o", tmp_path / "calls", tmp_path / "driver", "rate", url, "", 2_000, 64, 1)
        finally:
            echo.terminate()
    counted = re.findall(r"^ +[\d.]+ +[\d.]+ +\d+ +(\d+) +(?:\d+ +)?(\w+)$", (tmp_path / "calls").read_text(), re.M)
    calls = {name: int(count) for count, name in counted}
    few = 100
    assert all(2_000 <= calls.pop(name) < 2_000 + few for name in ("recvfrom", "sendto", "epoll_wait")), counted
    assert calls["futex"] + calls["write"] < few


def test_clients_and_sockets_of_cpp_talk(programs, url):
    said = run(programs("talk.cpp"), url).splitlines()
    assert said == ["ada hears bob: good evening", "done"]


def test_what_a_function_throws_is_logged_and_goes_no_further(programs, url):
    said = run(programs("talk.cpp"), url, "throw").splitlines()
    assert said == ["ada hears bob: good evening", "log: it does not like that", "done"]


@pytest.mark.seconds(60)
@pytest.mark.parametrize(
    "program",
    [["talk.c"], ["talk.cpp"], *(["traps.c", trap] for trap in ("leaves_nothing", "arguments", "senders", "freed_within", "free_each_other")),
     *(["late_traps.c", trap] for trap in ("exits_and_frees", "thread_ends", "tells_of_all", "refused"))],
    ids=" ".join,
)
def test_valgrind_finds_nothing(program, programs, url):
    valgrind = tool("valgrind", "apt-get install valgrind")
    name, *trap = program
    run(valgrind, "-q", "--leak-check=full", "--show-leak-kinds=definite,indirect,possible", "--error-exitcode=9", programs(name), *trap, url)


def races(program, *arguments, folder):
    """What helgrind says of the program's own memory: how the library's threads hand over, by futexes, it cannot see."""
    valgrind, found = tool("valgrind", "apt-get install valgrind"), folder / "found.xml"
    run(valgrind, "--tool=helgrind", "--xml=yes", f"--xml-file={found}", program, *arguments, env={**harness.clean_environment(), "LD_LIBRARY_PATH": str(BUILT)})
    return [error for error in ElementTree.parse(found).getroot().findall("error") if not is_of_the_library(error)]


def is_of_the_library(error):
    """Whether the library has the memory, or looks at it: the first frame, or one of those that have made the block."""
    is_ours = lambda frames: any("libparlor" in (frame.findtext("obj") or "") for frame in frames)
    parts = [part for part in error if part.tag in ("auxwhat", "xauxwhat", "stack")]
    made = [stack for said, stack in zip(parts, parts[1:], strict=False) if "alloc'd" in "".join(said.itertext())]
    first = error.find("stack").findall("frame")[:1]
    return is_ours(first) or any(is_ours(stack.iter("frame")) for stack in made)


def test_helgrind_finds_no_race_in_a_program_of_cpp(programs, url, tmp_path):
    assert races(programs("talk.cpp", "shared"), url, folder=tmp_path) == []
    assert races(programs("talk.cpp", "shared"), url, "race", folder=tmp_path) != []


def traps(name):
    return [(name, trap) for trap in re.findall(r'\{"(\w+)",', (PACKAGE / "tests" / name).read_text())]


TRAPS = traps("traps.c") + traps("late_traps.c")


@pytest.mark.parametrize(("name", "trap"), TRAPS)
def test_a_program_falls_into_no_trap(name, trap, programs, url):
    assert len(TRAPS) == 19
    assert run(programs(name), trap, url) == "ok\n"


@pytest.mark.parametrize(("name", "trap"), [*TRAPS, ("talk.c", None), ("talk.cpp", None)])
def test_sanitizers_find_nothing(name, trap, sanitized, url):
    said = run(sanitized(name), *([trap] if trap else []), url)
    assert said.endswith("ok\n" if trap else "done\n")


def test_the_shared_library_is_loaded_and_unloaded(url, tmp_path):
    run("cc", "-std=c99", "-D_GNU_SOURCE", *WARNINGS, f"-I{HEADER.parent}", PACKAGE / "tests/load.c", "-ldl", "-o", tmp_path / "load")
    assert run(tmp_path / "load", built("libparlor.so.0"), f"{url}?user=ada") == "ok\n"


def test_a_function_that_throws_ends_the_program_and_nothing_worse(programs, url):
    done = subprocess.run([programs("throws.cpp"), f"{url}?user=ada"], capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == -signal.SIGABRT, done


#: As tests/client_states.rs has it for the client in Rust.
NAMESPACE = """ip link set lo up
{ ip link add hole type dummy || ip link add hole type veth peer name other; } 2>/dev/null
ip addr add 10.99.99.1/24 dev hole && ip link set hole up && ip neigh add 10.99.99.2 lladdr 02:00:00:00:00:01 dev hole
{ ip link set other up || true; } 2>/dev/null
echo 'nameserver 10.99.99.2' >"$1/resolv.conf" && echo 'hosts: files dns' >"$1/nsswitch.conf"
mount --bind "$1/resolv.conf" "$(readlink -f /etc/resolv.conf)"
{ [ ! -e /etc/nsswitch.conf ] || mount --bind "$1/nsswitch.conf" /etc/nsswitch.conf; }
exec "$2" "$3" "$4" "$5"
"""
AT_ONCE_US = 50_000


@pytest.mark.seconds(120)
def test_stopping_and_freeing_take_less_than_50_ms_in_each_state(programs, tmp_path):
    script, unshare = ROOT / "tests/clients/c_states.py", tool("unshare", "apt-get install util-linux")
    command = [unshare, "--user", "--map-root-user", "--net", "--mount", "sh", "-c", NAMESPACE, "sh"]
    said = run(*command, tmp_path, sys.executable, script, programs("states.c"), harness.parlor_binary(), seconds=110, env=harness.clean_environment())
    took = json.loads(said.splitlines()[-1])
    print(took)
    assert len(took) == 22
    for state, times in took.items():
        assert len(times) == 3 and max(times) < AT_ONCE_US, (state, times)


def test_openssl_is_linked_beside(servers, tmp_path):
    authority = Authority()
    files = authority.write(tmp_path, "localhost", "127.0.0.1")
    (tmp_path / "ca.pem").write_bytes(authority.pem)
    server = servers.parlor(tls=(*files, authority.context()))
    source = PACKAGE / "tests/beside_openssl.c"
    for order in (["-lssl", "-lcrypto", built("libparlor.a")], [built("libparlor.a"), "-lssl", "-lcrypto"]):
        run("cc", "-std=c99", *WARNINGS, f"-I{HEADER.parent}", source, *order, *SYSTEM, "-o", tmp_path / "beside")
        assert run(tmp_path / "beside", server.port, tmp_path / "ca.pem") == "both\n"


@contextlib.contextmanager
def shakes_hands(files):
    """A server that speaks TLS, and nothing else; its port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*files)
    with socket.create_server((harness.HOST, 0)) as listener:

        def serve():
            with contextlib.suppress(OSError):
                while True:
                    stream = listener.accept()[0]
                    with contextlib.suppress(OSError), context.wrap_socket(stream, server_side=True) as tls:
                        tls.recv(1)

        threading.Thread(target=serve, daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ("authority", "is signed by nobody whom this program trusts: name its authority's file"),
        ("self-signed", "is that of an authority, as one that signs itself mostly is: have a server's own signed"),
        ("name", "is not for localhost: ask for it by a name that it has"),
        ("date", "has expired: it is to be renewed"),
    ],
)
def test_a_certificate_that_is_wrong_is_refused_in_words(wrong, words, programs, tmp_path):
    authority = Authority()
    trusted = Authority() if wrong in ("authority", "self-signed") else authority
    (tmp_path / "ca.pem").write_bytes(trusted.pem)
    files = authority.write(tmp_path, "other.example" if wrong == "name" else "localhost", days=-1 if wrong == "date" else 90)
    if wrong == "self-signed":
        files[0].write_bytes(authority.pem)
        files[1].write_bytes(key_pem(authority.key))
    with shakes_hands(files) as port:
        said = run(programs("connect.c"), f"wss://localhost:{port}/ws", tmp_path / "ca.pem")
    assert words in said, said


def test_another_library_of_rust_is_linked_beside(programs, url, tmp_path):
    """Each has a standard library of its own; two of them in one program are an error of the linker's, usually."""
    (tmp_path / "other.rs").write_text(
        "#[unsafe(no_mangle)]\npub extern \"C\" fn other_sum(count: u32) -> u32 {\n"
        "    std::thread::spawn(move || (1..=count).map(|n| n.to_string().parse::<u32>().unwrap()).sum()).join().unwrap()\n}\n"
    )
    run("rustc", "--edition", "2024", "--crate-type", "staticlib", tmp_path / "other.rs", "-o", tmp_path / "libother.a", env=harness.clean_environment())
    source = (PACKAGE / "tests/talk.c").read_text().replace('puts("done");', 'printf("%u\\n", other_sum(4));').replace(
        "int main(", "unsigned other_sum(unsigned);\nint main("
    )
    (tmp_path / "both.c").write_text(source)
    run("cc", "-D_GNU_SOURCE", f"-I{HEADER.parent}", tmp_path / "both.c", built("libparlor.a"), tmp_path / "libother.a", *SYSTEM, "-o", tmp_path / "both")
    assert run(tmp_path / "both", url).splitlines()[-1] == "10"


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """What is installed, in a tree that was moved afterwards."""
    folder = tmp_path_factory.mktemp("installed")
    env = harness.clean_environment()
    run("make", "-C", PACKAGE, "install", "PREFIX=/usr", f"DESTDIR={folder / 'first'}", f"BUILT={folder / 'built'}", "PARTS=client", seconds=200, env=env)
    (folder / "first/usr").rename(folder / "moved")
    return folder / "moved"


def installed_environment(installed):
    return {**harness.clean_environment(), "PKG_CONFIG_PATH": str(installed / "lib/pkgconfig"), "LD_LIBRARY_PATH": str(installed / "lib")}


@pytest.mark.parametrize("kind", ["static", "shared"])
def test_a_program_is_linked_by_pkg_config(kind, installed, url, tmp_path):
    pkg_config = tool("pkg-config", "apt-get install pkg-config")
    env = installed_environment(installed)
    flags = run(pkg_config, "--cflags", "--libs", *(["--static"] if kind == "static" else []), "parlor", env=env).split()
    if kind == "static":
        flags = [str(installed / "lib/libparlor.a") if flag == "-lparlor" else flag for flag in flags]
    run("c++", PACKAGE / "tests/talk.cpp", *flags, "-o", tmp_path / "talk")
    assert ("libparlor.so.0" in run("readelf", "--dynamic", tmp_path / "talk")) == (kind == "shared")
    assert run(tmp_path / "talk", url, env=env).splitlines()[-1] == "done"


CMAKE = """cmake_minimum_required(VERSION 3.16)
project(talk C CXX)
find_package(parlor 0.1 REQUIRED)
add_executable(own talk.cpp)
target_link_libraries(own PRIVATE parlor::parlor)
add_executable(shared talk.cpp)
target_link_libraries(shared PRIVATE parlor::shared)
"""


@pytest.mark.seconds(60)
def test_a_program_is_linked_by_cmake(installed, url, tmp_path):
    cmake = tool("cmake", "apt-get install cmake")
    (tmp_path / "CMakeLists.txt").write_text(CMAKE)
    (tmp_path / "talk.cpp").write_text((PACKAGE / "tests/talk.cpp").read_text())
    run(cmake, "-S", tmp_path, "-B", tmp_path / "build", f"-DCMAKE_PREFIX_PATH={installed}")
    run(cmake, "--build", tmp_path / "build")
    for program in ("own", "shared"):
        assert run(tmp_path / "build" / program, url).splitlines()[-1] == "done"
    (tmp_path / "CMakeLists.txt").write_text(CMAKE.replace("0.1 REQUIRED", "0.2 REQUIRED"))
    refused = subprocess.run([cmake, "-S", tmp_path, "-B", tmp_path / "again", f"-DCMAKE_PREFIX_PATH={installed}"], capture_output=True, text=True, check=False)
    assert refused.returncode != 0 and "version: 0.1.0" in refused.stderr


@contextlib.contextmanager
def shouts():
    """A server of WebSockets that answers once, and closes; its port, and what it was told."""
    told = queue.Queue()

    def shout(connection):
        told.put(connection.recv())
        connection.send("GOOD EVENING")

    with serve(shout, harness.HOST, 0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.socket.getsockname()[1], told
        server.shutdown()


def test_the_documents_programs_chat(installed, url, tmp_path):
    document = (ROOT / "docs/embedding-c.md").read_text()
    chat, echo, _ = re.findall(r"```cpp\n(.*?)```", document, re.S)
    assert len(chat.splitlines()) <= 30 and len(echo.splitlines()) <= 20
    (tmp_path / "chat.cpp").write_text(chat)
    run("sh", "-c", "c++ -std=c++11 -Wall chat.cpp $(pkg-config --cflags --libs parlor) -o cpp", cwd=tmp_path, env=installed_environment(installed))
    said = run(tmp_path / "cpp", f"{url}?user=ada", "Good day", env=installed_environment(installed))
    assert said == "ada: Good day\n"
    [program] = re.findall(r"```c\n(.*?)```", document, re.S)
    (tmp_path / "chat.c").write_text(program)
    compiled, started = re.search(r"```sh\n(cc -I clients.*)\n(\./chat .*)\n```", document).groups()
    compiled = compiled.replace("clients/c/include", str(HEADER.parent)).replace("target/c/libparlor.a", str(built("libparlor.a")))
    run("sh", "-c", compiled.replace("-o chat", "-std=c99 -Wall -Wextra -Wpedantic -Werror -o chat"), cwd=tmp_path)
    said = run("sh", "-c", started.replace("ws://127.0.0.1:8080/ws", url), cwd=tmp_path).splitlines()
    assert said[-1] == "ada: Good evening"
    # What is not stored is no success.
    for program in (tmp_path / "chat", tmp_path / "cpp"):
        command, env = [program, f"{url}?user=ada", "x" * 20_000], installed_environment(installed)
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=env)
        assert done.returncode == 1 and done.stderr != "", done


def test_the_documents_program_talks_to_any_server(tmp_path):
    _, echo, _ = re.findall(r"```cpp\n(.*?)```", (ROOT / "docs/embedding-c.md").read_text(), re.S)
    (tmp_path / "echo.cpp").write_text(echo)
    run("c++", "-std=c++11", *WARNINGS, f"-I{HEADER.parent}", tmp_path / "echo.cpp", built("libparlor.a"), *SYSTEM, "-o", tmp_path / "echo")
    with shouts() as (port, told):
        pipe = subprocess.PIPE
        echoing = subprocess.Popen([tmp_path / "echo", f"ws://127.0.0.1:{port}/", "good evening"], stdout=pipe, stderr=pipe, text=True)
        try:
            assert told.get(timeout=20) == "good evening" and echoing.stdout.readline() == "GOOD EVENING\n"
            # It says why the connection ended, and comes back by itself.
            assert echoing.stderr.readline() == "lost: 1000 \n"
            assert told.get(timeout=20) == "good evening"
        finally:
            echoing.kill()
            echoing.communicate()
