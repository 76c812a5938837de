"""parlor check finds each fault of a set of broken servers and clients, and nothing in good ones."""

import asyncio
import concurrent.futures
import contextlib
import json
import re
import socket
import subprocess
import sys
import threading
import time
import xml.etree.ElementTree
from pathlib import Path

import pytest
import websockets.exceptions
from websockets.asyncio.client import connect
from websockets.asyncio.server import serve

import broken_peer
import harness
from certificates import Authority
from harness import ROOT, free_port, parlor_binary

BROKEN = Path(__file__).with_name("broken_peer.py")
TABLE = ROOT / "docs/conformance.md"
#: So many cases are named of those that find a fault.
NAMED = 3


def check(*arguments, seconds=120):
    """Runs `parlor check`; gives its status, output and complaints."""
    done = subprocess.run(
        [parlor_binary(), "check", *map(str, arguments)], capture_output=True, text=True, timeout=seconds, env=harness.clean_environment(), check=False
    )
    return done.returncode, done.stdout, done.stderr


def findings(output):
    """Names of the cases of a report in JSON, by their result."""
    found = {"good": [], "note": [], "fault": [], "open": []}
    for line in output.splitlines():
        one = json.loads(line)
        found[one["result"]].append(one["check"])
    return found


@contextlib.contextmanager
def running(*command, reads_port=False):
    process = subprocess.Popen([*map(str, command)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        yield int(process.stdout.readline()) if reads_port else process
    finally:
        process.kill()
        process.communicate()


def check_server(fault):
    with running(sys.executable, BROKEN, "server", 0, *([fault] if fault else []), reads_port=True) as port:
        return check(f"ws://127.0.0.1:{port}/", "--echo", "--json", "--timeout", 1, "--patience", 1, "--jobs", 16)


def check_client(fault):
    port = free_port()
    command = [parlor_binary(), "check", "--listen", f"127.0.0.1:{port}", "--echo", "--json", "--timeout", "0.5", "--patience", "5"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=harness.clean_environment())
    try:
        wait_for_port(port, process)
        with running(sys.executable, BROKEN, "client", port, *([fault] if fault else [])):
            out, error = process.communicate(timeout=120)
    finally:
        process.kill()
    return process.returncode, out, error


def wait_for_port(port, process):
    """Waits until somebody listens, without connecting."""
    wanted = f"{port:04X}"
    for _ in range(500):
        lines = Path("/proc/net/tcp").read_text().splitlines()
        if any(line.split()[1].endswith(f":{wanted}") and line.split()[3] == "0A" for line in lines[1:]):
            return
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    pytest.fail(f"nobody listens at {port}")


def found_by(faults, run):
    """The cases that find each fault."""
    with concurrent.futures.ThreadPoolExecutor(max_workers=8) as pool:
        results = dict(zip(faults, pool.map(run, faults)))
    found = {}
    for fault, (status, out, error) in results.items():
        of_fault = findings(out)
        found[fault] = of_fault["fault"] + of_fault["note"]
        # What no clause forbids is told as a note, and is no fault.
        assert found[fault] and status == (7 if of_fault["fault"] else 0), (fault, status, error, of_fault)
    return found


def row(what, names):
    """A row of the documents' table."""
    more = " and others" if len(names) > NAMED else ""
    return f"| {what} | {', '.join(f'`{name}`' for name in names[:NAMED])}{more} |"


@pytest.mark.seconds(120)
@pytest.mark.parametrize(("title", "faults", "run"), [("Servers", broken_peer.SERVER_FAULTS, check_server), ("Clients", broken_peer.CLIENT_FAULTS, check_client)])
def test_each_fault_is_found_and_the_documents_say_by_what(title, faults, run):
    section = TABLE.read_text().partition(f"| {title} that | are found by |\n")[2].partition("\n\n")[0]
    for fault, names in found_by(faults, run).items():
        what = faults[fault]
        [told] = [line for line in section.splitlines() if line.startswith(f"| {what} |")] or [""]
        named = set(re.findall(r"`([a-z0-9]+\.[a-z0-9.-]+)`", told.removeprefix(f"| {what} |")))
        is_all = "others" not in told
        assert named and named <= set(names) and (not is_all or named == set(names)), f"docs/conformance.md should have:\n{row(what, names)}"


@pytest.mark.parametrize("run", [check_server, check_client])
def test_without_a_fault_nothing_is_found(run):
    status, out, error = run(None)
    found = findings(out)
    assert (status, error, found["fault"], found["note"]) == (0, "", [], [])
    assert len(found["good"]) > 130


#: Departures that no conversation suffers from.
KNOWN_NOTES = {
    "websockets": ["opening.no-host", "opening.other-version"],
    "ws": ["opening.http-1.0", "opening.no-host"],
    "parlor's echo": [],
}


@contextlib.contextmanager
def websockets_server():
    async def echo(connection):
        with contextlib.suppress(websockets.exceptions.ConnectionClosed):
            async for message in connection:
                await connection.send(message)

    with in_a_thread(lambda: serve(echo, "127.0.0.1", 0)) as port:
        yield port


@contextlib.contextmanager
def in_a_thread(start):
    """A server of asyncio, in a thread of its own."""
    ready, loop = concurrent.futures.Future(), asyncio.new_event_loop()

    async def main():
        stop = loop.create_future()
        async with start() as server:
            ready.set_result((server.sockets[0].getsockname()[1], stop))
            await stop

    thread = threading.Thread(target=lambda: loop.run_until_complete(main()), daemon=True)
    thread.start()
    port, stop = ready.result(timeout=10)
    try:
        yield port
    finally:
        loop.call_soon_threadsafe(lambda: stop.done() or stop.set_result(None))
        thread.join(timeout=15)


def test_a_server_that_never_falls_silent_is_judged_as_any_other():
    async def tick_and_echo(connection):
        async def tick():
            with contextlib.suppress(websockets.exceptions.ConnectionClosed):
                while True:
                    await connection.send("tick")
                    await asyncio.sleep(0.02)

        task = asyncio.create_task(tick())
        with contextlib.suppress(websockets.exceptions.ConnectionClosed):
            async for message in connection:
                await connection.send(message)
        task.cancel()

    with in_a_thread(lambda: serve(tick_and_echo, "127.0.0.1", 0)) as port:
        groups = [part for group in ("framing", "fragments", "utf8", "closing") for part in ("--only", group)]
        status, out, error = check(f"ws://127.0.0.1:{port}/", "--json", "--timeout", 2, *groups, seconds=25)
    assert (status, error, findings(out)["fault"]) == (0, "", [])
    # What does not fail is told in time, too.
    async def deaf(connection):
        with contextlib.suppress(websockets.exceptions.ConnectionClosed):
            while True:
                await connection.send("tick\x1b]0;title\x07\x9b2J")
                await asyncio.sleep(0.02)

    with in_a_thread(lambda: serve(deaf, "127.0.0.1", 0)) as port:
        status, out, error = check(f"ws://127.0.0.1:{port}/", "--echo", "--timeout", 0.5, "--only", "framing.text", seconds=10)
    assert (status, error) == (7, "") and "does not send the message back; it sends the text" in out
    assert not [one for one in out if ord(one) < 32 and one != "\n" or 127 <= ord(one) < 160]


WS = """
import { WebSocketServer } from 'ws';
const server = new WebSocketServer({ port: 0, host: '127.0.0.1', perMessageDeflate: true }, () => console.log(server.address().port));
server.on('connection', (client) => {
  client.on('error', () => {});
  client.on('message', (data, binary) => client.send(data, { binary }));
});
"""


@contextlib.contextmanager
def ws_server(tmp_path):
    (tmp_path / "node_modules").symlink_to(ROOT / "tests/node_modules")
    script = tmp_path / "echo.mjs"
    script.write_text(WS)
    with running(harness.tool("node", "apt-get install nodejs"), script, reads_port=True) as port:
        yield port


@pytest.mark.parametrize("name", KNOWN_NOTES)
def test_good_servers_have_no_fault(name, servers, tmp_path):
    starts = {
        "websockets": websockets_server,
        "ws": lambda: ws_server(tmp_path),
        "parlor's echo": lambda: contextlib.nullcontext(servers.echo().port),
    }
    with starts[name]() as port:
        status, out, error = check(f"ws://127.0.0.1:{port}/", "--json", "--patience", 1)
    found = findings(out)
    assert (status, error, found["fault"]) == (0, "", [])
    assert found["note"] == KNOWN_NOTES[name]
    assert len(found["good"]) > 155


def test_a_parlor_has_no_fault_and_keeps_to_its_contract(servers):
    server = servers.parlor(roomy=False, set={"streams": BOARD})
    status, out, error = check(f"ws://127.0.0.1:{server.port}/ws", "--chat", "--json", "--patience", 1)
    found = findings(out)
    assert (status, error, found["fault"], found["note"]) == (0, "", [], [])
    assert len([name for name in found["good"] if name.startswith("chat.")]) == 42
    # The direct conversation is left.
    assert re.search(rb"^parlor_rooms 1$", server.http("/metrics")[2], re.M)


#: A stream for everybody.
BOARD = '{ board = { publish = true } }'


def altered(change):
    """What a proxy does to a message of the server's: passes it on, changed, or none, or several."""
    return lambda message: [json.dumps(one, separators=(",", ":")) for one in change(json.loads(message))]


def without(kind):
    return altered(lambda message: [] if message["type"] == kind else [message])


def twice(kind):
    return altered(lambda message: [message, message] if message["type"] == kind else [message])


def with_member(kind, **members):
    return altered(lambda message: [{**message, "payload": {**message["payload"], **members}}] if message["type"] == kind else [message])


def without_member(name):
    return altered(lambda message: [{**message, "payload": {key: value for key, value in message.get("payload", {}).items() if key != name}}])


#: What is done to a parlor's messages, and trials that find it.
LIES = {
    "loses messages": (without("chat:message"), {"send", "resume", "direct"}),
    "repeats messages": (twice("chat:message"), {"resume", "repeat"}),
    "tells everybody the cid": (with_member("chat:message", cid="send-0"), {"send"}),
    "numbers wrong": (with_member("chat:message", seq=1), {"send", "resume"}),
    "does not tell repeats": (without_member("duplicate"), {"repeat", "edit", "react"}),
    "tells nobody who types": (without("chat:typing"), {"typing"}),
    "tells nobody of reading": (without("chat:read"), {"read"}),
    "tells nobody of changes": (without("room:updated"), {"update"}),
    "tells nobody that they are out": (without("room:removed"), {"remove", "ban", "leave", "room-delete"}),
    "does not say for how long": (without_member("retry_after_ms"), {"rate"}),
    "names no field": (without_member("field"), {"bad-request", "too-large"}),
    "shows the wrong text": (with_member("chat:edited", text="wrong"), {"edit"}),
}


@contextlib.contextmanager
def lying(server, change):
    async def pass_on(connection):
        async with connect(f"ws://127.0.0.1:{server.port}{connection.request.path}", max_size=None, compression=None) as upstream:

            async def back():
                async for message in upstream:
                    for one in change(message) if isinstance(message, str) else [message]:
                        await connection.send(one)
                await connection.close(upstream.close_code or 1000)

            with contextlib.suppress(websockets.exceptions.ConnectionClosed):
                task = asyncio.create_task(back())
                async for message in connection:
                    await upstream.send(message)
                task.cancel()

    with in_a_thread(lambda: serve(pass_on, "127.0.0.1", 0, max_size=None, compression=None)) as port:
        yield port


@pytest.mark.seconds(60)
def test_a_parlor_that_breaks_its_contract_is_found(servers):
    server = servers.parlor(roomy=False, set={"streams": BOARD, "limits.connections_per_user": 100})

    def run(lie):
        with lying(server, LIES[lie][0]) as port:
            return check(f"ws://127.0.0.1:{port}/ws", "--chat", "--json", "--only", "chat", "--timeout", 2)

    with concurrent.futures.ThreadPoolExecutor(max_workers=4) as pool:
        results = dict(zip(LIES, pool.map(run, LIES)))
    for lie, (status, out, error) in results.items():
        found = {name.removeprefix("chat.") for name in findings(out)["fault"]}
        assert status == 7 and found >= LIES[lie][1], (lie, status, error, found)


def test_the_reports(servers, tmp_path):
    server, report = servers.echo(), tmp_path / "report.xml"
    url = f"ws://127.0.0.1:{server.port}/"
    status, out, error = check(url, "--only", "closing", "--only", "utf8.fe", "--junit", report, "--verbose")
    assert (status, error) == (0, "")
    assert out.startswith(f"{url}: an echo\n\nclosing ")
    assert "good   utf8.fe: a text that is not UTF-8 fails the connection (RFC 6455 §8.1)\n" in out
    assert re.search(r"\n38 checks in \d+\.\d s: 38 good, 0 faults, 0 notes, 0 open\n$", out)
    suite = xml.etree.ElementTree.parse(report).getroot().find("testsuite")
    assert (suite.get("name"), suite.get("tests"), suite.get("failures"), suite.get("skipped")) == (url, "38", "0", "0")
    assert suite.find("testcase[@name='fe']").get("classname") == "utf8"
    with running(sys.executable, BROKEN, "server", 0, "any-text", reads_port=True) as port:
        status, out, error = check(f"ws://127.0.0.1:{port}/", "--only", "utf8.fe", "--junit", report)
    assert (status, error) == (7, "")
    assert "  FAULT  utf8.fe: a text that is not UTF-8 fails the connection (RFC 6455 §8.1)\n" in out
    assert "sent 818137fa213dc9" in out
    failure = xml.etree.ElementTree.parse(report).getroot().find(".//failure")
    assert failure.get("message") == "a text that is not UTF-8 fails the connection (RFC 6455 §8.1)"


def test_what_is_wrong_with_the_command_line_or_the_server_is_said(servers):
    status, out, error = check("--list")
    assert status == 0 and "utf8.fe: " in out and "chat.resume: " in out and len(out.splitlines()) > 200
    status, _, error = check()
    assert status == 2 and "<URL>" in error
    status, _, error = check("127.0.0.1:1")
    assert status == 2 and "ws://" in error
    status, _, error = check("ws://127.0.0.1:1/", "--only", "nothing")
    assert status == 2 and error == "parlor: --only nothing: there is no such group or case; see --list\n"
    status, _, error = check("ws://127.0.0.1:1/", "--only", "chat")
    assert status == 2 and error == "parlor: --only chat: there is no such group or case; it needs --chat\n"
    status, _, error = check(f"ws://127.0.0.1:{free_port()}/")
    assert status == 3 and "cannot be reached" in error
    server = servers.parlor()
    status, _, error = check(f"ws://127.0.0.1:{server.port}/ws")
    assert status == 5 and error.endswith("Authorization: Bearer …'\n")
    # Users whom the server does not let in.
    locked = servers.parlor("--secret-file", servers.secret_file())
    status, _, error = check(f"ws://127.0.0.1:{locked.port}/ws", "--chat", "--timeout", 0.5)
    assert status == 4 and "no session: " in error and error.endswith("a server with keys wants --token-file twice\n")
    status, _, error = check("--listen", f"127.0.0.1:{free_port()}", "--patience", 0.1)
    assert status == 6 and error == "parlor: no client has connected within 0.1 s (--patience)\n"


def test_over_tls_and_with_tokens(servers, tmp_path):
    authority = Authority()
    files = authority.write(tmp_path, "localhost", "127.0.0.1")
    (tmp_path / "ca.pem").write_bytes(authority.pem)
    for user in ("ada", "bob"):
        (tmp_path / user).write_text(harness.token(user))
    secret = servers.secret_file()
    server = servers.parlor("--secret-file", secret, tls=(*files, authority.context()))
    url = f"wss://localhost:{server.port}/ws"
    status, _, error = check(url, "--only", "control")
    assert status == 3 and "certificate" in error
    tokens = ("--token-file", tmp_path / "ada", "--token-file", tmp_path / "bob")
    status, out, error = check(url, "--ca", tmp_path / "ca.pem", "--chat", *tokens, "--only", "control", "--only", "chat", "--json")
    found = findings(out)
    assert (status, error, found["fault"]) == (0, "", [])
    assert len(found["good"]) > 50
    status, _, error = check(url, "--ca", tmp_path / "ca.pem", "--chat", *tokens[:2])
    assert (status, error) == (2, "parlor: --token-file is needed twice: the contract takes two users\n")


def test_a_client_that_goes_away_leaves_the_rest_open():
    port = free_port()
    process = subprocess.Popen(
        [parlor_binary(), "check", "--listen", f"127.0.0.1:{port}", "--json", "--patience", "1"], stdout=subprocess.PIPE, text=True, env=harness.clean_environment()
    )
    wait_for_port(port, process)
    with socket.create_connection(("127.0.0.1", port)) as once:
        once.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        out, _ = process.communicate(timeout=30)
    found = findings(out)
    assert process.returncode == 7
    assert found["fault"] == ["opening.answer", "opening.requests"]
    assert len(found["open"]) > 140


def test_a_client_that_stops_without_a_fault_is_status_6():
    port = free_port()
    process = subprocess.Popen(
        [parlor_binary(), "check", "--listen", f"127.0.0.1:{port}", "--json", "--patience", "1", "--only", "framing"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=harness.clean_environment(),
    )
    wait_for_port(port, process)

    async def once():
        with contextlib.suppress(websockets.exceptions.ConnectionClosed):
            async with connect(f"ws://127.0.0.1:{port}/") as connection:
                async for _ in connection:
                    pass

    asyncio.run(once())
    out, error = process.communicate(timeout=30)
    found = findings(out)
    assert (process.returncode, found["fault"]) == (6, []) and len(found["open"]) > 1
    assert re.fullmatch(r"parlor: the client did not come back for \d+ cases\n", error)
