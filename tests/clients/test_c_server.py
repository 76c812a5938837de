"""libparlor-server: a program in C that has a server in it, and people who come to it."""

import contextlib
import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

import harness
from harness import ROOT, Chat, Refused, tool
from test_c import HEADER, PACKAGE, SYSTEM, WARNINGS, built, run

pytestmark = pytest.mark.plain

REQUEST, PATH, OPENED, TEXT, BYTES, CLOSED, LIMITED, DRAINING, DONE = range(1, 10)
OK, ARGUMENT, SYSTEM_RC, CLOSED_RC, MODE, FREED, NO_REQUEST, CONFIG, REFUSED = 0, -1, -4, -8, -10, -12, -14, -15, -16
JOIN, INVITE, REMOVE, BAN, UNBAN = range(5)


@pytest.fixture(scope="module")
def programs(tmp_path_factory):
    folder, made = tmp_path_factory.mktemp("programs"), {}

    def program(name):
        if name not in made:
            made[name] = folder / name
            compiler = ("c++", "-std=c++11") if name.endswith("pp") else ("cc", "-std=c99", "-D_GNU_SOURCE")
            run(*compiler, *WARNINGS, f"-I{HEADER.parent}", PACKAGE / "tests" / name, built("libparlor-server.a"), *SYSTEM, "-o", made[name])
        return made[name]

    return program


class Embedded:
    """The program while it runs: what it is told to do, and what it says."""

    tls = None

    def __init__(self, program, *settings):
        pipe = subprocess.PIPE
        roomy = [f"{name}={value}" for name, value in harness.ROOMY.items()]
        self.process = subprocess.Popen([program, *roomy, *settings], stdin=pipe, stdout=pipe, stderr=pipe, text=True, env=harness.clean_environment())
        self.lines, self.log, self.changed = deque(), [], threading.Condition()
        for stream, take in ((self.process.stdout, self.lines.append), (self.process.stderr, self.log.append)):
            threading.Thread(target=self.read, args=(stream, take), daemon=True).start()
        self.port = int(self.line("port (.*)")[1])

    def read(self, stream, take):
        for line in stream:
            with self.changed:
                take(line.rstrip("\n"))
                self.changed.notify_all()

    def line(self, pattern, seconds=10):
        """The next line that is so; those before it are kept."""
        deadline = time.monotonic() + seconds
        with self.changed:
            while True:
                for line in self.lines:
                    if found := re.fullmatch(pattern, line):
                        self.lines.remove(line)
                        return found
                assert self.changed.wait(deadline - time.monotonic()), f"no {pattern}, but {list(self.lines)}\n{self.log[-5:]}"

    def logged(self, words, seconds=10):
        """Waits until it has logged a line with these words."""
        with self.changed:
            assert self.changed.wait_for(lambda: any(words in line for line in self.log), seconds), f"no {words}, but {self.log[-5:]}"

    def does(self, *words, rc=OK):
        """Has it do something; gives what it says of that, if it fails."""
        self.process.stdin.write("\t".join(str(word) for word in words) + "\n")
        self.process.stdin.flush()
        found = self.line(rf"rc {words[0]} (-?\d+) (.*)")
        assert int(found[1]) == rc, (words, found[0], self.log[-3:])
        return found[2]

    def done(self, *words):
        """Has it do something that ends later: the code of a refusal, or the JSON, and the place."""
        self.does(*words)
        rc, error, told, room, seq = self.line(rf"done {words[0]} (-?\d+) (\S*) (.*) (\S*) (\d+)").groups()
        if error:
            assert int(rc) == REFUSED
            return error
        assert int(rc) == OK
        return json.loads(told), (room, int(seq))

    http = harness.Server.http
    http_connection = harness.Server.http_connection
    url = harness.Server.url

    def end(self):
        """All is freed: what the program was handed, and the server."""
        self.process.stdin.close()
        dropped, stopped = self.line(r"freed (\d+) (-?\d+)").groups()
        assert self.process.wait(10) == 0 and int(stopped) == FREED
        return int(dropped)


@contextlib.contextmanager
def embedded(programs, *settings, name="server.c"):
    one = Embedded(programs(name), *settings)
    try:
        yield one
    finally:
        one.process.kill()
        one.process.wait()


def test_people_chat_at_it(programs):
    with embedded(programs) as one:
        with Chat(one, "ada") as ada, Chat(one, "bob") as bob:
            ada.join("tea")
            bob.join("tea")
            ada.say("tea", "good evening")
            assert bob.push("chat:message")["text"] == "good evening"
            one.does("isonline", "ada")
            assert one.line("isonline (.*)")[1] == "1"
            one.does("isonline", "nobody")
            assert one.line("isonline (.*)")[1] == "0"
            assert one.done("online")[0] == ["ada", "bob"]
        assert any("started address=127.0.0.1:" in line for line in one.log)
        assert one.end() == 1


def test_its_own_requests_are_answered_now_later_or_refused(programs):
    with embedded(programs) as one, Chat(one, "ada") as ada:
        one.does("handle", "app:now", 1)
        one.does("handle", "app:later", 1)
        one.does("handle", "chat:send", 1)
        assert ada.request("app:now", {"a": 1}) == {"is": "now"}
        number, sent, caller = one.line(r"request (\d+) app:now (\{.*\}) (\S+) \d+").groups()
        assert json.loads(sent) == {"a": 1} and caller == "ada/ada/0" or caller == "ada//0"
        # It was answered.
        one.does("reply", number, "{}", rc=NO_REQUEST)
        later = ada.send("app:later", {})
        number = one.line(r"request (\d+) app:later .*")[1]
        one.does("reply", number, "[]", rc=ARGUMENT)
        one.does("answer", number, 200, "text/plain", "x", rc=MODE)
        one.does("reply", number, '{"is":"later"}')
        assert ada.answer(later) == {"is": "later"}
        # One of the server's own, whose place the program takes: it says who may.
        asked = ada.send("chat:send", {"room": "tea", "text": "psst"})
        number = one.line(r"request (\d+) chat:send .*")[1]
        assert "a-z, 0-9" in one.does("refuse", number, "Not today!", "Come back tomorrow.", "", rc=ARGUMENT)
        assert "data" in one.does("refuse", number, "not_today", "Come back tomorrow.", json.dumps("x" * 20_000), rc=ARGUMENT)
        # What was wrong could be put right.
        one.does("refuse", number, "not_today", "Come back tomorrow.", '{"day":2}')
        with pytest.raises(Refused) as refused:
            ada.answer(asked)
        assert refused.value.payload["code"] == "not_today" and refused.value.payload["data"] == {"day": 2}
        assert refused.value.payload["by"] == "application" or refused.value.payload["by"]
        # What is not answered is, when the server ends.
        left = ada.send("app:later", {})
        one.line(r"request (\d+) app:later .*")
        dropped = one.end()
        with contextlib.suppress(ConnectionClosed), pytest.raises(Refused):
            ada.answer(left)
        # The configuration's, and three handlers'.
        assert dropped == 4


def test_its_own_paths(programs):
    with embedded(programs) as one:
        one.does("path", "POST", "/queue/{id}")
        one.does("path", "GET", "/metrics", rc=ARGUMENT)
        answers = []
        asking = threading.Thread(target=lambda: answers.append(one.http("/queue/a%20b?x=1", "POST", {"X-Own": "yes", "Content-Type": "text/plain"}, b"hello")))
        asking.start()
        number, rest = one.line(r"path (\d+) (.*)").groups()
        assert rest == 'POST /queue/a%20b x=1 {"id":"a b"} hello 127.0.0.1 own'
        one.does("answer", number, 999, "text/plain", "x", rc=ARGUMENT)
        one.does("answer", number, 201, "text/plain", "x", "Content-Length: 5", rc=ARGUMENT)
        one.does("reply", number, "{}", rc=MODE)
        one.does("answer", number, 201, "text/plain; charset=utf-8", "taken", "X-Place: 7")
        asking.join(10)
        status, fields, content = answers[0]
        assert (status, fields["content-type"], fields["x-place"], content) == (201, "text/plain; charset=utf-8", "7", b"taken")
        # The configuration's, the path's, and that of the path which it could not have.
        assert one.end() == 3


def test_its_own_websockets(programs):
    with embedded(programs) as one:
        one.does("socketpath", "/ws/queue/{id}", "queue.v1")
        url = f"ws://127.0.0.1:{one.port}/ws/queue/7?a=b"
        with connect(url, subprotocols=["queue.v1"]) as first, connect(url, subprotocols=["queue.v1"]) as second:
            assert first.subprotocol == "queue.v1"
            numbers = [one.line(rf'socket {OPENED} (\d+) {{"id":"7"}} a=b  0')[1] for _ in range(2)]
            first.send("hello")
            assert one.line(rf"socket {TEXT} (\d+)   hello 0")[1] == numbers[0]
            one.does("socket", numbers[0], "and to you")
            assert first.recv(timeout=5) == "and to you"
            first.send(b"echo")
            assert first.recv(timeout=5) == b"echo"
            # One that is closed is left out.
            one.does("sockets", "to all", *numbers, 12345)
            for socket in (first, second):
                assert socket.recv(timeout=5) == b"\x01" and socket.recv(timeout=5) == "to all"
            one.done("close", numbers[1], 4321, "enough")
            with pytest.raises(ConnectionClosed) as closed:
                second.recv(timeout=5)
            assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (4321, "enough")
            first.close(4000)
        assert {one.line(rf"socket {CLOSED} (\d+)    (\d+)")[1] for _ in range(2)} == set(numbers)
        one.does("socket", numbers[0], "too late", rc=NO_REQUEST)
        one.does("close", 1, 1005, "no code of a frame", rc=ARGUMENT)
        assert one.end() == 2


def test_it_sends_to_users_to_all_and_to_one(programs):
    with embedded(programs) as one, Chat(one, "ada") as ada, Chat(one, "ada") as again, Chat(one, "bob") as bob:
        one.does("send", "ada", "app:hint", '{"to":"ada"}')
        assert one.line("reached (.*)")[1] == "2"
        assert ada.push("app:hint") == again.push("app:hint") == {"to": "ada"}
        one.does("send", "ada,bob,nobody", "app:hint", '{"to":"both"}')
        assert one.line("reached (.*)")[1] == "3"
        assert bob.push("app:hint") == {"to": "both"}
        one.does("broadcast", "app:all", "{}")
        assert one.line("reached (.*)")[1] == "3" and bob.push("app:all") == {}
        one.does("handle", "app:now", 1)
        ada.request("app:now", {})
        number = one.line(r"request \d+ app:now .* (\d+)")[1]
        assert one.done("sendto", number, "app:you", '{"a":1}')[0] == {} and ada.push("app:you") == {"a": 1}
        assert one.done("sendto", 999_999, "app:you", "{}") == "no_such_connection"
        # None of the server's own, and no JSON but an object.
        one.does("send", "ada", "chat:message", "{}", rc=ARGUMENT)
        one.does("broadcast", "app:all", "[1]", rc=ARGUMENT)
        one.does("send", "", "app:hint", "{}")


def test_rooms(programs):
    with embedded(programs) as one, Chat(one, "bob") as bob:
        told, place = one.done("create", "den", "ada", "The den", 0, "bob,cy")
        assert place == ("den", told["seq"]) and told["room"] == "den"
        assert one.done("create", "den", "ada", "", 0) == "conflict"
        stored, place = one.done("publish", "den", "ada", "good evening", "m-1")
        assert one.done("publish", "den", "ada", "good evening", "m-1")[1] == place
        assert one.done("publish", "den", "eve", "let me in", "") == "not_member"
        assert bob.push("chat:message")["text"] == "good evening"
        one.done("update", "den", "A new den", 1, "bob")
        assert bob.push("room:updated", where=lambda room: room["title"] == "A new den")["owner"] == "bob"
        one.done("member", JOIN, "den", "dee")
        one.done("member", INVITE, "den", "eve", "bob")
        one.done("member", REMOVE, "den", "cy")
        one.done("member", BAN, "den", "dee", "bob")
        assert one.done("member", JOIN, "den", "dee") == "forbidden"
        one.done("member", UNBAN, "den", "dee")
        one.done("member", JOIN, "den", "dee")
        members = one.done("members", "den", "")[0]
        assert [(member["user"], member["owner"]) for member in members["members"]] == [("ada", False), ("bob", True), ("dee", False)]
        assert [member["user"] for member in one.done("members", "den", "ada")[0]["members"]] == ["bob", "dee"]
        page = one.done("history", "den", 0, 0)[0]
        newest = [entry for entry in page["entries"] if entry["type"] == "chat:message"]
        assert [entry["payload"]["text"] for entry in newest] == ["good evening"] and page["more"] is False
        assert one.done("history", "den", stored["seq"], 0)[0]["entries"][0]["payload"]["seq"] == stored["seq"] + 1
        assert one.done("history", "den", 0, stored["seq"])[0]["entries"][-1]["payload"]["seq"] == stored["seq"] - 1
        one.does("history", "den", 1, 2, rc=ARGUMENT)
        unread = one.done("unread", "den", "bob")[0]
        assert unread["unread"] == 1 and unread["read"] < stored["seq"]
        assert one.done("unread", "den", "eve") == "not_member"
        one.done("end", "den")
        assert one.done("history", "den", 0, 0) == "no_such_room"
        one.does("publish", "no room!", "ada", "x", "", rc=ARGUMENT)
        one.does("member", 9, "den", "ada", rc=ARGUMENT)


@pytest.mark.seconds(60)
def test_streams(programs):
    declared = 'streams={ "temp:{room}" = { program = true }, bytes = { program = true, binary = true }, polled = { program = true }, broken = { program = true } }'
    with embedded(programs, declared) as one, Chat(one, "ada") as ada:
        ada.request("subscribe", stream="temp:kitchen")
        one.does("event", "temp:kitchen", '{"c":21}', "e-1")
        assert ada.push("event")["data"] == {"c": 21}
        one.does("event", "temp:kitchen", '{"c":21}', "e-1")
        one.does("event", "temp:kitchen", '{"c":22}', "")
        assert ada.push("event")["data"] == {"c": 22}
        assert "no_such_stream" in one.does("event", "other", "{}", "", rc=REFUSED)
        one.does("event", "temp:kitchen", "no json", "", rc=ARGUMENT)
        one.does("poll", "polled")
        ada.request("subscribe", stream="polled")
        first = ada.push("event", where=lambda event: event["stream"] == "polled")["data"]["asked"]
        assert ada.push("event", where=lambda event: event["stream"] == "polled")["data"]["asked"] > first
        one.does("poll", "broken")
        # When it has failed so often that it is left alone for a while.
        ada.request("subscribe", stream="broken")
        one.logged("the sensor is away", seconds=30)
        assert one.end() == 3


def test_the_program_says_who_sends_a_request(programs):
    with embedded(programs, "--head") as one:
        with Chat(one, None, headers={"X-Key": "let me in"}, **{"as": "ada"}) as ada:
            assert (ada.hello["user"]["id"], ada.hello["user"]["name"], ada.hello["user"]["admin"]) == ("ada", "The ada", True)
        assert one.line("head GET /ws 127.0.0.1")
        for key, status in (("wrong", 401), ("go away", 403), ("nonsense", 401)):
            assert one.http("/api/v1/info", headers={"X-Key": key})[0] == status, key
        # A right that is misspelt is none that is not there.
        one.logged("no proof")


def test_reloading_stopping_and_what_is_wrong(programs):
    with embedded(programs) as one, Chat(one, "ada") as ada:
        told, _ = one.done("reload", "limits.burst=7")
        assert [change["key"] for change in told["taken"]] == ["limits.burst"] and told["waiting"] == []
        told, _ = one.done("reload", "data=/elsewhere")
        assert [change["key"] for change in told["waiting"]] == ["data"]
        assert "no key is called" in one.does("reload", "limits.bursts=7", rc=CONFIG)
        # A function of the server's must not wait for it.
        one.does("handle", "app:wait", 1)
        ada.send("app:wait", {})
        assert one.line("join (.*)")[1] == str(MODE)
        one.does("stop")
        one.does("join")
        one.does("join")
        one.does("stop")
        one.does("broadcast", "app:all", "{}", rc=CLOSED_RC)
        one.does("handle", "app:again", 1, rc=CLOSED_RC)
        # That one was dropped, too.
        assert one.end() == 3


def test_it_restarts_and_everybody_is_told(programs):
    with embedded(programs) as one, Chat(one, "ada") as ada:
        one.does("restart")
        assert ada.push("notice")["code"] == "draining"
        assert ada.closed() == 1012
        one.does("join")


def test_a_function_may_free_the_server(programs):
    with embedded(programs) as one, Chat(one, "ada") as ada:
        one.does("handle", "app:free", 1)
        ada.send("app:free", {})
        one.line("request .*")
        with contextlib.suppress(ConnectionClosed), contextlib.suppress(Refused):
            ada.gather(10)
        one.does("stop", rc=FREED)
        deadline = time.monotonic() + 5
        while len(list(Path(f"/proc/{one.process.pid}/task").iterdir())) > 1:
            assert time.monotonic() < deadline, "threads are left"
            time.sleep(0.02)
        assert one.end() == 2


def test_cpp_answers_for_what_a_function_throws_or_forgets(programs):
    with embedded(programs, name="server.cpp") as one, Chat(one, "ada") as ada:
        assert ada.request("app:now", {"a": 1}) == {"was": {"a": 1}, "user": "ada"}
        assert ada.request("app:later", {}) == {"is": "later"}
        assert ada.refused("app:refuse", {}) == "not_today"
        assert ada.refused("app:throw", {}) == "internal"
        one.logged("log 1 it does not like that")
        assert ada.refused("app:forget", {}) == "internal"
        status, fields, content = one.http("/hello/a%20b")
        assert (status, fields["x-own"], content) == (200, "yes", b'{"name":"a b"}')
        assert one.http("/forget")[0] == 500
        with connect(f"ws://127.0.0.1:{one.port}/ws/own") as socket:
            socket.send("hello")
            assert socket.recv(timeout=5) == "hello, too"
        # What is done later is told: a room is created, a message published, and read again.
        said = ada.request("app:rooms", {})
        assert [entry["payload"]["text"] for entry in said["entries"] if entry["type"] == "chat:message"] == ["good evening"]
        assert ada.request("app:refused", {}) == {"refusal": "no_such_room"}
        assert ada.request("app:online", {}) == {"online": ["ada"]}
        ada.request("subscribe", stream="polled")
        first = ada.push("event")["data"]
        assert first["stream"] == "polled" and ada.push("event")["data"]["asked"] > first["asked"]
        # All functions are destroyed with the server: what they held is counted.
        one.process.stdin.close()
        assert one.line("left (.*)")[1] == "0" and one.process.wait(10) == 0


@pytest.mark.parametrize(
    ("setting", "rc", "words"),
    [
        ("limits.bursts=7", CONFIG, "no key is called"),
        ("limits.burst=many", CONFIG, "limits.burst is"),
        ("auth.secret_file=/nowhere", CONFIG, "/nowhere"),
        ("threads=2", CONFIG, "threads: "),
        ("--data=", CONFIG, "p_data is empty"),
        ("--listen=127.0.0.1:{taken}", SYSTEM_RC, "127.0.0.1:{taken}"),
    ],
)
def test_what_cannot_start_says_why_and_drops_what_it_was_handed(setting, rc, words, programs):
    with socket.create_server((harness.HOST, 0)) as listener:
        taken = listener.getsockname()[1]
        done = subprocess.run([programs("server.c"), setting.format(taken=taken)], capture_output=True, text=True, timeout=20, check=False)
    said = re.fullmatch(r"start (-?\d+) (.*) (\d+)\n", done.stdout, re.S)
    assert said, done.stdout
    assert int(said[1]) == rc and words.format(taken=taken) in said[2] and said[3] == "1", done.stdout


TRAPS = re.findall(r'\{"(\w+)",', (PACKAGE / "tests/server_traps.c").read_text())


@pytest.mark.parametrize("trap", TRAPS)
def test_a_program_with_a_server_falls_into_no_trap(trap, programs):
    assert run(programs("server_traps.c"), trap) == "ok\n"


@pytest.mark.seconds(120)
@pytest.mark.parametrize("trap", ["arguments", "leaves_nothing", "log_within"])
def test_valgrind_finds_nothing_at_a_server(trap, programs):
    valgrind = tool("valgrind", "apt-get install valgrind")
    leaks = ("--leak-check=full", "--show-leak-kinds=definite,indirect,possible", "--error-exitcode=9")
    run(valgrind, "-q", *leaks, programs("server_traps.c"), trap, seconds=110)


@pytest.fixture(scope="module")
def sanitized(tmp_path_factory):
    program = tmp_path_factory.mktemp("sanitized") / "traps"
    flags = ["-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer"]
    source, archive = PACKAGE / "tests/server_traps.c", built("libparlor-server.a")
    run("cc", "-std=c99", "-D_GNU_SOURCE", *flags, f"-I{HEADER.parent}", source, archive, *SYSTEM, "-o", program)
    return program


@pytest.mark.parametrize("trap", TRAPS)
def test_sanitizers_find_nothing_at_a_server(trap, sanitized):
    assert run(sanitized, trap) == "ok\n"


CMAKE = """cmake_minimum_required(VERSION 3.16)
project(both CXX)
find_package(parlor 0.1 REQUIRED)
add_executable(both both.cpp)
target_link_libraries(both PRIVATE parlor::server parlor::static)
"""


@pytest.fixture(scope="module")
def prefix(tmp_path_factory):
    folder = tmp_path_factory.mktemp("prefix")
    run("sh", PACKAGE / "install.sh", built("libparlor.a").parent, folder)
    return folder


@pytest.mark.seconds(60)
def test_a_client_and_a_server_are_linked_into_one_program(prefix, tmp_path):
    cmake = tool("cmake", "apt-get install cmake")
    (tmp_path / "CMakeLists.txt").write_text(CMAKE)
    (tmp_path / "both.cpp").write_text((PACKAGE / "tests/both.cpp").read_text())
    run(cmake, "-S", tmp_path, "-B", tmp_path / "build", f"-DCMAKE_PREFIX_PATH={prefix}")
    run(cmake, "--build", tmp_path / "build")
    assert run(tmp_path / "build/both") == "ada hears: good evening\ndone\n"
    # And by pkg-config, with the shared libraries.
    pkg_config = tool("pkg-config", "apt-get install pkg-config")
    env = {**harness.clean_environment(), "PKG_CONFIG_PATH": str(prefix / "lib/pkgconfig"), "LD_LIBRARY_PATH": str(prefix / "lib")}
    flags = run(pkg_config, "--cflags", "--libs", "parlor", "parlor-server", env=env).split()
    run("c++", "-std=c++11", *WARNINGS, PACKAGE / "tests/both.cpp", *flags, "-o", tmp_path / "both")
    assert run(tmp_path / "both", env=env) == "ada hears: good evening\ndone\n"


@pytest.mark.seconds(300)
def test_a_recipe_of_conan_makes_a_package(tmp_path):
    conan = Path(sys.executable).with_name("conan")
    assert conan.exists(), "conan is missing: make setup"
    # What cargo has compiled here it need not compile again.
    env = {**os.environ, "CONAN_HOME": str(tmp_path / "home"), "CARGO_TARGET_DIR": str(ROOT / "target"), "PROFILE": "dev"}
    run(conan, "profile", "detect", env=env)
    # It leaves nothing in the checkout.
    folders = ["-c", f"tools.cmake.cmake_layout:test_folder={tmp_path}", "-c", "tools.cmake.cmaketoolchain:user_presets="]
    said = run("sh", "-c", 'exec "$@" 2>&1', "sh", conan, "create", PACKAGE, "-o", "&:server=False", *folders, seconds=280, env=env)
    version = re.search('^version = "(.*)"', (PACKAGE / "Cargo.toml").read_text(), re.M)[1]
    assert f"parlor {version}\n" in said
    assert not (PACKAGE / "test_package/build").exists()


def test_the_documents_program_serves(tmp_path):
    [program] = [one for one in re.findall(r"```cpp\n(.*?)```", (ROOT / "docs/embedding-c.md").read_text(), re.S) if "server.cpp" in one]
    port = harness.free_port()
    (tmp_path / "server.cpp").write_text(program.replace("8080", str(port)))
    run("c++", "-std=c++11", *WARNINGS, f"-I{HEADER.parent}", tmp_path / "server.cpp", built("libparlor-server.a"), *SYSTEM, "-o", tmp_path / "server")
    serving = subprocess.Popen([tmp_path / "server"], stdout=subprocess.DEVNULL)
    try:
        one = Embedded.__new__(Embedded)
        one.port = port
        deadline = time.monotonic() + 10
        while True:
            with contextlib.suppress(OSError), socket.create_connection((harness.HOST, port)):
                break
            assert time.monotonic() < deadline
            time.sleep(0.02)
        with Chat(one, "ada") as ada:
            assert ada.request("app:hello", {"a": 1}) == {"hello": {"a": 1}} and ada.push("app:greeted") == {"by": "ada"}
    finally:
        serving.kill()
        serving.wait()


@pytest.fixture(scope="module")
def backend(prefix, tmp_path_factory):
    cmake, folder = tool("cmake", "apt-get install cmake"), tmp_path_factory.mktemp("embed")
    run(cmake, "-S", ROOT / "examples/embed-cpp", "-B", folder, f"-DCMAKE_PREFIX_PATH={prefix}")
    run(cmake, "--build", folder, seconds=100)
    return folder / "embed-cpp"


class Backend:
    """examples/embed-cpp while it runs."""

    tls = None
    http_connection = harness.Server.http_connection
    url = harness.Server.url

    def __init__(self, program, folder):
        self.port, self.chat = harness.free_port(), harness.free_port()
        command = [program, "--http", str(self.port), "--chat", str(self.chat), "--database", folder / "own.db"]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert "/online" in self.process.stdout.readline()

    def http(self, path, method="GET", body=None, session=None):
        status, _, content = harness.Server.http(self, path, method, {"X-Session": session} if session else {}, body)
        return status, json.loads(content)

    def people(self, *sessions):
        """Their connections, on the other port."""
        other = Embedded.__new__(Embedded)
        other.port, other.tls = self.chat, None
        return [Chat(other, None, session=session) for session in sessions]

    def end(self):
        self.process.stdin.close()
        return self.process.wait(10)


@pytest.mark.seconds(120)
def test_a_backend_has_its_own_users_conversations_and_rights(backend, tmp_path):
    def added(person, *options):
        return run(backend, "--database", tmp_path / "own.db", "--add", person, *options).strip()

    ada_key, bob_key, cy_key = added("ada", "--admin", "--in", "tea"), added("bob", "--in", "tea"), added("cy")
    one = Backend(backend, tmp_path)
    try:
        # What another would be in SQL is a key that nobody has.
        for wrong in (ada_key[:-1], "' OR '1'='1"):
            assert one.http("/online", session=wrong)[0] == 401
        ada, bob, cy = one.people(ada_key, bob_key, cy_key)
        assert ada.hello["user"]["id"] == "ada" and ada.hello["user"]["admin"] and not bob.hello["user"]["admin"]
        stored = ada.request("chat:send", {"conversation": "tea", "text": "good \"evening\""})
        assert bob.push("chat:message") == ada.push("chat:message") == stored and stored["text"] == 'good "evening"'
        assert cy.refused("chat:send", {"conversation": "tea", "text": "psst"}) == "not_member"
        assert bob.refused("chat:send", {"conversation": "tea", "text": "x" * 5000}) == "bad_text"
        bob.request("chat:typing", {"conversation": "tea"})
        assert ada.push("chat:typing") == {"conversation": "tea", "person": "bob"}
        assert one.http("/conversations/tea/messages", session=bob_key) == (200, [{key: value for key, value in stored.items() if key != "conversation"}])
        assert one.http("/conversations/tea/messages", session=cy_key)[0] == 403
        assert one.http("/conversations/tea/messages")[0] == 401
        assert one.http("/online", session=bob_key) == (200, ["ada", "bob", "cy"])
        assert one.http("/tell/cy", "POST", "come in", session=bob_key) == (200, {"reached": 1})
        assert cy.push("app:told") == {"from": "bob", "text": "come in"}
        assert one.http("/announce", "POST", "all out", session=bob_key)[0] == 403
        assert one.http("/announce", "POST", "all out", session=ada_key) == (200, {"reached": 3})
        assert bob.push("app:announced") == {"text": "all out"}
        assert not cy.pushed("chat:message", "chat:typing")
        # Who is added while it runs is there at once.
        [dee] = one.people(added("dee", "--in", "tea"))
        ada.request("chat:send", {"conversation": "tea", "text": "welcome"})
        assert dee.push("chat:message")["text"] == "welcome"
        assert one.end() == 0
        # What was said is there again, and so is who has signed in.
        one = Backend(backend, tmp_path)
        assert [message["text"] for message in one.http("/conversations/tea/messages", session=ada_key)[1]] == ["welcome", 'good "evening"']
        assert one.end() == 0
    finally:
        one.process.kill()
        one.process.wait()
