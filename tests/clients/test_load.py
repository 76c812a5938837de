"""parlor load: what it counts is what happened, and what is planted is found."""

import asyncio
import contextlib
import html.parser
import itertools
import json
import re
import subprocess
import threading
import time

import pytest
import websockets.exceptions
from websockets.asyncio.server import serve

import harness
from certificates import Authority
from harness import free_port, parlor_binary
from test_check import in_a_thread, lying, without


def load(*arguments, seconds=25):
    """Runs `parlor load`; gives its status, output and complaints."""
    done = subprocess.run(
        [parlor_binary(), "load", *map(str, arguments)], capture_output=True, text=True, timeout=seconds, env=harness.clean_environment(), check=False
    )
    return done.returncode, done.stdout, done.stderr


def figures(*arguments, **how):
    status, out, error = load(*arguments, "--json", **how)
    assert error == "", error
    return status, json.loads(out)


class Echo:
    """An echo that counts, and does something to some messages."""

    def __init__(self, change=None):
        self.came, self.connections, self.change, self.lock = 0, 0, change, threading.Lock()

    async def __call__(self, connection):
        self.connections += 1
        number, held = 0, []
        with contextlib.suppress(websockets.exceptions.ConnectionClosed):
            async for message in connection:
                self.came += 1
                number += 1
                for one in self.change(number, message, held) if self.change else [message]:
                    await connection.send(one)

    @contextlib.contextmanager
    def url(self):
        with in_a_thread(lambda: serve(self, "127.0.0.1", 0)) as port:
            yield f"ws://127.0.0.1:{port}/"


def swapped(number, message, held):
    """Every tenth comes behind the next."""
    if number % 10 == 0:
        held.append(message)
        return []
    return [message, held.pop()] if held else [message]


#: What is done to messages, and what is counted of 400 of four connections: each has 100.
PLANTED = {
    "lost": lambda number, message, _: [] if number % 10 == 0 else [message],
    "repeated": lambda number, message, _: [message] * (2 if number % 10 == 0 else 1),
    "reordered": swapped,
    # In what fills it, and not in the run's name, which is another each time.
    "foreign": lambda number, message, _: [message.replace("klmnopqrst", "klmnopqrs!") if number % 10 == 0 else message],
}


@pytest.mark.parametrize("fault", PLANTED)
def test_what_is_planted_is_counted(fault):
    with Echo(PLANTED[fault]).url() as url:
        status, found = figures(url, "--scenario", "echo", "-c", 4, "--rate", 200, "-z", 2, "--size", 100, "--drain", 1, "--slo", f"{fault}=0")
    assert (status, found["sent"]) == (7, 400)
    expected = {"lost": 0, "repeated": 0, "reordered": 0, "foreign": 0, fault: 40}
    if fault == "foreign":
        expected["lost"] = 40
    # The last of each connection waits for one that does not come.
    if fault == "reordered":
        expected = {**expected, "reordered": 36, "lost": 4}
    assert {name: found[name] for name in expected} == expected
    assert found["slo"] == [{"condition": f"{fault}=0", "measured": str(expected[fault]), "held": False}]


def test_an_independent_count_agrees():
    echo = Echo()
    with echo.url() as url:
        begun = time.monotonic()
        status, found = figures(url, "--scenario", "echo", "-c", 20, "--rate", 300, "-z", 3, "--slo", "lost=0,errors=0,repeated=0")
        took = time.monotonic() - begun
    assert status == 0
    assert (echo.connections, found["opened"]) == (20, 20)
    # So many as the rate says, and as came there.
    assert found["meant"] == found["sent"] == found["came"] == echo.came == 900
    assert sum(second["sent"] for second in found["seconds"]) == 900
    assert 2_900 <= found["sending_ms"] <= 1_000 * took
    latency = found["latency_us"]
    assert latency["delivery"]["count"] == latency["service"]["count"] == 900
    assert latency["service"]["p50"] <= latency["delivery"]["p50"]
    assert latency["connect"]["count"] == 20


def test_a_server_that_stops_for_a_moment_is_not_excused():
    """Latencies count from when a message was to leave: those that could not, too."""
    paused = threading.Event()

    def change(_, message, __):
        if not paused.is_set():
            paused.set()
            time.sleep(1)
        return [message]

    with Echo(change).url() as url:
        status, found = figures(url, "--scenario", "echo", "-c", 2, "--rate", 100, "-z", 3, "--slo", "p50<1s")
    delivery = found["latency_us"]["delivery"]
    # A third of all messages was to leave in that second.
    assert status == 0 and delivery["count"] == 300
    assert delivery["max"] > 900_000 and delivery["p90"] > 300_000


def test_rooms_of_a_parlor(servers):
    server = servers.parlor()
    status, found = figures(f"ws://127.0.0.1:{server.port}/ws", "-c", 40, "--rooms", 4, "--rate", 60, "-z", 2, "--slo", "lost=0,errors=0,ack.p99<5s")
    assert status == 0
    assert (found["sent"], found["acknowledged"], found["came"], found["lost"], found["foreign"]) == (120, 120, 1200, 0, 0)
    body = server.http("/metrics")[2].decode()
    assert "\nparlor_rooms 4\n" in body


def test_a_parlor_that_loses_messages_is_found(servers):
    server = servers.parlor()
    with lying(server, without("chat:message")) as port:
        status, found = figures(f"ws://127.0.0.1:{port}/ws", "-c", 4, "--rooms", 2, "--rate", 20, "-z", 1, "--drain", 0.5, "--slo", "lost=0")
    assert (status, found["acknowledged"], found["came"]) == (7, 20, 0)
    assert found["lost"] == 40


def test_streams_and_storms(servers):
    server = servers.parlor(set={"streams": "{ load = { publish = true } }"})
    url = f"ws://127.0.0.1:{server.port}/ws"
    status, found = figures(url, "--scenario", "streams", "-c", 30, "--rate", 20, "-z", 2, "--slo", "lost=0,errors=0")
    assert (status, found["sent"], found["came"]) == (0, 40, 1200)
    status, found = figures(url + "?user=storm-{conn}", "--scenario", "storm", "-c", 20, "--ramp", 100, "-z", 2, "--stay", 0.05)
    assert status == 0 and found["errors"] == {} and found["sent"] == 0
    # Each comes more often than once, and none when the two seconds are over, however busy the machine is.
    assert 100 < found["opened"] <= 210


def test_a_crowd_comes_back_after_a_restart_and_misses_nothing(servers):
    server = servers.parlor()
    result = []
    arguments = (f"ws://127.0.0.1:{server.port}/ws", "--scenario", "crowd", "-c", 30, "--rooms", 3, "--rate", 60, "-z", 6, "--slo", "lost=0,repeated=0,reordered=0")
    thread = threading.Thread(target=lambda: result.append(figures(*arguments)))
    thread.start()
    time.sleep(2)
    server.stop()
    servers.parlor(port=server.port, data=server.data)
    thread.join()
    [(status, found)] = result
    assert status == 0, found
    assert sum(count for cause, count in found["errors"].items() if cause.startswith("lost: ")) >= 30
    assert found["opened"] >= 60 and found["acknowledged"] > 100


#: `HOLES_MAX` of src/cli/load/track.rs: so many missing messages of a sender are told from repeated ones.
HOLES_MAX = 1_024
#: `CAUSES_MAX` of src/cli/load/figures.rs.
CAUSES_MAX = 64


def test_the_bounds_here_are_those_of_the_source():
    for name, value, path in (("HOLES_MAX", HOLES_MAX, "track"), ("CAUSES_MAX", CAUSES_MAX, "figures")):
        [found] = re.findall(rf"const {name}: usize = ([0-9_]+);", (harness.ROOT / f"src/cli/load/{path}.rs").read_text())
        assert int(found) == value


def test_causes_that_a_server_makes_up_are_counted_and_not_all_kept():
    numbers = itertools.count()

    async def make_up(connection):
        await connection.close(4000, f"cause {next(numbers)}")

    with in_a_thread(lambda: serve(make_up, "127.0.0.1", 0)) as port:
        _, found = figures(f"ws://127.0.0.1:{port}/", "--scenario", "storm", "-c", 20, "--ramp", 200, "-z", 2)
    came = next(numbers)
    assert came > 2 * CAUSES_MAX and len(found["errors"]) <= CAUSES_MAX + 1
    assert sum(found["errors"].values()) >= came - 20


def test_a_server_that_means_harm_moves_no_cursor_and_takes_no_memory():
    def forge(number, message, _):
        # Of senders and numbers that there are not.
        return [message] + [re.sub(r"^(parlor-load \S+) \d+ \d+", rf"\1 {sender} {2**63 + sender}", message) for sender in range(200)]

    with Echo(forge).url() as url:
        status, found = figures(url, "--scenario", "broadcast", "-c", 1, "--rate", 20, "-z", 1)
    assert (status, found["came"], found["lost"], found["foreign"]) == (0, 20, 0, 4000)

    async def insult(connection):
        await connection.close(4000, "\x1b]0;title\x07\x9b2J")

    with in_a_thread(lambda: serve(insult, "127.0.0.1", 0)) as port:
        for arguments in (("--scenario", "echo"), ("--scenario", "storm")):
            status, out, error = load(f"ws://127.0.0.1:{port}/", "-c", 2, "--rate", 5, "-z", 1, "--ramp", 20, *arguments)
            assert "closed with 4000" in out
            assert not [one for one in out + error if ord(one) < 32 and one != "\n" or 127 <= ord(one) < 160]


def test_a_storm_goes_on_where_the_server_ends_connections():
    async def brief(connection):
        await asyncio.sleep(0.02)
        await connection.close(1000)

    with in_a_thread(lambda: serve(brief, "127.0.0.1", 0)) as port:
        _, found = figures(f"ws://127.0.0.1:{port}/", "--scenario", "storm", "-c", 5, "--ramp", 50, "-z", 2, "--stay", 0.5)
    # At the rate of the ramp all the time, and none of them twice at once.
    assert 70 < found["opened"] <= 110
    assert max(second["open"] for second in found["seconds"]) <= 5


class Page(html.parser.HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags, self.links = [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.links += [value for name, value in attributes if name in ("src", "href")]


def test_the_reports(servers, tmp_path):
    server, page = servers.echo(), tmp_path / "run.html"
    url = f"ws://127.0.0.1:{server.port}/"
    status, out, error = load(url, "--scenario", "echo", "-c", 3, "--rate", 30, "-z", 2, "--report", page, "--slo", "p99<10s")
    assert (status, error) == (0, "")
    lines = out.splitlines()
    assert lines[0] == f"{url}: echo, 3 connections, 30 messages a second, of 64 bytes, for 2 s"
    assert "sent         60 of 60" in lines and "             0 lost, 0 repeated, 0 reordered, 0 foreign" in lines
    assert any(line.startswith("slo p99<10s: held, it is ") for line in lines)
    assert any("█" in line for line in lines)
    written = Page(page.read_text())
    assert written.tags.count("svg") == 4 and written.links == []
    assert "60 of 60" in page.read_text()


def test_templates_and_what_is_wrong_is_said(servers):
    with Echo(lambda _, message, __: [json.dumps({"said": json.loads(message)["say"]})]).url() as url:
        status, found = figures(url, "--scenario", "echo", "-c", 2, "--rate", 20, "-z", 1, "--template", '{"say":"{mark}"}', "--slo", "lost=0")
    assert (status, found["came"]) == (0, 20)
    for arguments, wrong in [
        (("ws://127.0.0.1:1/", "--slo", "best<1ms"), '"best" is not measured'),
        (("ws://127.0.0.1:1/", "--scenario", "echo", "--template", "x"), "--template has no {mark}"),
        (("ws://127.0.0.1:1/", "--template", "{mark}"), "--template is for echo and broadcast"),
        (("127.0.0.1:1",), "ws://"),
        (("ws://127.0.0.1:1/", "--rate", "0"), "more than 0, and at most 10000000"),
        (("ws://127.0.0.1:1/", "-c", "1000000"), "as each is a file"),
    ]:
        status, _, error = load(*arguments)
        assert status == 2 and wrong in error, error
    status, _, error = load(f"ws://127.0.0.1:{free_port()}/", "--scenario", "echo", "-z", 1)
    assert status == 3 and "no connection was ready: it cannot be reached" in error


def test_a_parlor_with_keys_and_tls(servers, tmp_path):
    authority = Authority()
    files = authority.write(tmp_path, "localhost", "127.0.0.1")
    (tmp_path / "ca.pem").write_bytes(authority.pem)
    secret = servers.secret_file()
    server = servers.parlor("--secret-file", secret, tls=(*files, authority.context()))
    url = f"wss://localhost:{server.port}/ws"
    status, found = figures(url, "--ca", tmp_path / "ca.pem", "--secret-file", secret, "-c", 10, "--rooms", 1, "--rate", 20, "-z", 1, "--slo", "lost=0")
    assert (status, found["sent"], found["came"]) == (0, 20, 200)
    status, _, error = load(url, "--ca", tmp_path / "ca.pem", "-c", 2, "-z", 1, "--timeout", 0.5)
    assert status == 3 and "--secret-file" in error
