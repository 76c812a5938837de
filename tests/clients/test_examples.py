"""The examples that applications begin with, as their users would run them."""

import json
import os
import re
import secrets
import signal
import subprocess
import sys
import time

import pytest

import harness
from harness import PATIENCE
from test_events import Events
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect


class Own:
    """A client of the queue's protocol, which knows nothing of parlor's."""

    def __init__(self, server, token=None):
        query = f"?token={token}" if token else ""
        url = f"ws://{harness.HOST}:{server.port}/ws/queue{query}"
        self.socket = connect(url, proxy=None)
        self.id = 0
        self.events = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def next(self):
        return json.loads(self.socket.recv(PATIENCE))

    def changed(self):
        """The data of the next event."""
        if self.events:
            return self.events.pop(0)
        message = self.next()
        assert message["event"] == "queue.changed", message
        return message["data"]

    def ask(self, request, **params):
        self.id += 1
        self.socket.send(json.dumps({"request": request, "id": self.id, "params": params}))
        while "response" not in (message := self.next()):
            self.events.append(message["data"])
        assert message["response"] == self.id
        return message


@pytest.fixture
def queue(servers):
    server = servers.example("queue")
    deadline = time.monotonic() + PATIENCE
    while (printed := re.search(r"#token=(\S+)\n", server.output())) is None:
        assert time.monotonic() < deadline, "no link for an admin was printed"
        time.sleep(0.01)
    server.admin = printed.group(1)
    return server


def test_the_queue_is_the_same_by_its_own_protocol_and_by_events(queue):
    with Own(queue) as ada, Own(queue, queue.admin) as desk:
        assert ada.changed() == desk.changed() == {"serving": None, "waiting": []}
        with Events(queue, "/api/v1/streams/queue") as source:
            (snapshot,) = source.await_("subscribed")["streams"]
            assert snapshot["snapshot"] == {"serving": None, "waiting": []}
            assert ada.ask("queue.join", name="Ada")["result"] == {"number": 1}
            assert ada.ask("queue.join", name="Bob")["result"] == {"number": 2}
            both = [{"number": 1, "name": "Ada"}, {"number": 2, "name": "Bob"}]
            first = {"serving": None, "waiting": both[:1]}
            second = {"serving": None, "waiting": both}
            third = {"serving": 1, "waiting": both[1:]}
            assert desk.ask("queue.next")["result"] == {"serving": 1}
            assert [desk.changed() for _ in range(3)] == [first, second, third]
            assert [ada.changed() for _ in range(3)] == [first, second, third]
            while source.await_("event")["data"] != third:
                pass
            assert ada.ask("queue.list")["result"] == third


def test_the_queue_refuses_in_words_and_lets_admins_do_what_others_may_not(queue):
    with Own(queue) as ada:
        ada.changed()
        for request, params, code in [
            ("queue.next", {}, "forbidden"),
            ("queue.join", {"name": ""}, "bad_request"),
            ("queue.join", {"name": "x" * 65}, "bad_request"),
            ("queue.leave", {"number": 7}, "not_found"),
            ("queue.what", {}, "unknown"),
        ]:
            assert ada.ask(request, **params)["error"]["code"] == code
        ada.socket.send("no json")
        assert ada.next()["error"]["code"] == "bad_request"
    with pytest.raises(InvalidStatus) as refused:
        Own(queue, "wrong")
    assert refused.value.response.status_code == 401


def test_the_queues_page_is_there(queue):
    status, fields, body = queue.http("/")
    assert (status, fields["content-type"]) == (200, "text/html; charset=utf-8")
    assert b"/ws/queue" in body and b"EventSource" in body


#: The examples that serve, the path of a WebSocket, and the code with which SIGTERM closes it: 1012 where the chat
#: server is told that another takes its place, as `parlor` is.
SERVING = {
    "bot": ("/ws?user=ada", 1012),
    "echo": ("/", 1001),
    "fan_out": ("/", 1001),
    "pipeline": ("/ws?user=ada", 1012),
    "queue": ("/ws/queue", 1012),
    "serve_blocking": ("/", 1001),
    "sohbet": ("/ws", 1012),
}


@pytest.mark.parametrize("name", SERVING)
def test_an_example_that_serves_ends_in_order_at_sigterm(servers, name):
    path, code = SERVING[name]
    start = getattr(servers, name, None)
    server = start() if start else servers.example(name)
    with connect(f"ws://{harness.HOST}:{server.port}{path}", proxy=None) as socket:
        server.signal(signal.SIGTERM)
        with pytest.raises(ConnectionClosed) as closed:
            while True:
                socket.recv(PATIENCE)
    assert closed.value.rcvd is not None, "it ended without a word"
    assert closed.value.rcvd.code == code
    assert server.process.wait(harness.STOP_SECONDS) == 0


def test_every_example_that_serves_is_among_them():
    rust = [path for path in (harness.ROOT / "examples").glob("**/*.rs")]
    listens = re.compile(r"Server::start|web::serve|TcpListener::bind")
    found = {
        path.parent.name if path.name == "main.rs" else path.stem
        for path in rust
        if listens.search(path.read_text())
    }
    assert found == set(SERVING)


def test_the_dashboards_backend_ends_in_order_at_sigterm():
    program = harness.ROOT / "examples/dashboard/backend.py"
    backend = subprocess.Popen(
        [sys.executable, program, f"127.0.0.1:{harness.free_port()}"],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "DEPLOYS_SECRET": secrets.token_hex(32)},
    )
    with backend:
        assert backend.stdout.readline().startswith("Dashboard: ")
        backend.terminate()
        assert backend.wait(harness.STOP_SECONDS) == 0


def test_the_pipeline_publishes_thirty_times_a_second(servers):
    server = servers.example("pipeline")
    with Events(server, "/api/v1/streams/trajectory") as source:
        source.await_("subscribed")
        events = [source.await_("event") for _ in range(60)]
        assert all(two["seq"] == one["seq"] + 1 for one, two in zip(events, events[1:]))
        # By its own clock: 59 intervals of a thirtieth second; late ones do not add up.
        took = events[-1]["ts"] - events[0]["ts"]
        assert 1_700 < took < 3_000, took
    with Events(server, "/api/v1/streams/frame?multipart=1") as source:
        assert source.response.readline() == b"--parlor\r\n"
        assert source.response.readline() == b"Content-Type: image/bmp\r\n"
    assert b"multipart=1" in server.http("/")[2]


@pytest.fixture
def dashboard(servers):
    """The dashboard's backend and parlor, as its README starts them, on ports of their own."""
    folder = harness.ROOT / "examples/dashboard"
    secret, ports = secrets.token_hex(32), [harness.free_port() for _ in range(2)]
    text = (folder / "parlor.toml").read_text().replace("127.0.0.1:9090", f"127.0.0.1:{ports[1]}")
    config = servers.directory() / "parlor.toml"
    config.write_text(text)
    env = {"DEPLOYS_SECRET": secret, "PARLOR_ADDRESS": f"127.0.0.1:{ports[0]}"}
    backend = subprocess.Popen(
        [sys.executable, folder / "backend.py", f"127.0.0.1:{ports[1]}"],
        env={**os.environ, **env},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert backend.stdout.readline() == f"Dashboard: http://127.0.0.1:{ports[1]}/\n"
        server = servers.parlor(
            "--config", config, data=":memory:", port=ports[0], roomy=False, env={"DEPLOYS_SECRET": secret}
        )
        server.origin = f"http://127.0.0.1:{ports[1]}"
        server.backend = harness.Server.__new__(harness.Server)
        server.backend.port = ports[1]
        yield server
    finally:
        backend.kill()
        backend.wait()


def test_the_dashboards_streams_are_polled_and_told(dashboard):
    def watch(stream):
        path = f"/api/v1/streams/{stream}"
        return Events(dashboard, path, headers={"Origin": dashboard.origin})

    with watch("queue") as queue, watch("clock") as clock, watch("machine:m2") as machine:
        assert queue.response.getheader("Access-Control-Allow-Origin") == dashboard.origin

        def first(source):
            (one,) = source.await_("subscribed")["streams"]
            return one.get("snapshot") or source.await_("event")["data"]

        assert isinstance(first(queue)["waiting"], int)
        assert abs(first(clock) - time.time()) < 10
        assert first(machine)["machine"] == "m2"
    with watch("deploys") as deploys:
        deploys.await_("subscribed")
        body = json.dumps({"name": "one"}).encode()
        status, _, answer = dashboard.backend.http("/deploy", "POST", body=body)
        assert (status, json.loads(answer)) == (200, {"status": 202})
        assert deploys.await_("event")["data"] == {"name": "one"}
    assert b"EventSource" in dashboard.backend.http("/")[2]
