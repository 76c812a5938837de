"""What Python has for a service beside parlor: a backend with FastAPI and others, calls of an administrator, webhooks."""

import asyncio
import base64
import contextlib
import itertools
import json
import re
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
import wsgiref.simple_server

import harness
import pytest
from backend import until
from harness import ROOT

sys.path.insert(0, str(ROOT / "clients/python"))

import parlor.sync
from parlor import RequestError
from parlor.admin import Admin, AsyncAdmin
from parlor.backend import Backend, Refused, User, Webhook

pytestmark = pytest.mark.plain

SECRET = "what the backend and parlor know, in enough bytes"
ADMIN_TOKEN = "an admin token for tests, of more than 32 bytes"
CONFIG = """
[streams]
state = { keep = "latest", publish = true, read = "public" }
news = { keep = 5, publish = true, read = "public" }
cam = { publish = true, binary = true, read = "public" }
deploys = { keep = 100, read = "public", webhook = { path = "/hooks/deploy", secret_env = "BACKEND_SECRET" } }
"""


def start(servers, config="", **env):
    path = servers.directory() / "parlor.toml"
    path.write_text(CONFIG + config)
    env = {"PARLOR_ADMIN_TOKEN": ADMIN_TOKEN, "BACKEND_SECRET": SECRET, **env}
    return servers.parlor("--config", path, env=env)


def base(server):
    return f"http://{harness.HOST}:{server.port}"


def handlers(url):
    return f'[[handlers]]\ntypes = ["queue.*"]\nurl = "{url}"\nsecret_env = "BACKEND_SECRET"\n[auth]\nurl = "{url}"\nurl_headers = ["authorization"]\n'


@contextlib.contextmanager
def wsgi(backend):
    """The backend, by the server of the standard library."""

    class Quiet(wsgiref.simple_server.WSGIRequestHandler):
        def log_message(self, *_):
            pass

    with wsgiref.simple_server.make_server(harness.HOST, 0, backend.wsgi, handler_class=Quiet) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield f"http://{harness.HOST}:{server.server_port}/parlor/"
        server.shutdown()


@contextlib.contextmanager
def fastapi(backend):
    """The backend, below an application of FastAPI's, by uvicorn."""
    import fastapi
    import uvicorn

    app = fastapi.FastAPI()
    app.mount("/parlor", backend.asgi)

    @app.get("/own")
    def own():
        return {"is": "its own"}

    with socket.create_server((harness.HOST, 0)) as listener:
        port = listener.getsockname()[1]
        server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off"))
        thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[listener])), daemon=True)
        thread.start()
        until(lambda: server.started)
        yield f"http://{harness.HOST}:{port}/parlor/"
        server.should_exit = True
        thread.join(10)


def basic(user, password="good evening"):
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


@pytest.mark.parametrize("serves", [wsgi, fastapi])
def test_a_backend_answers_and_says_who_somebody_is(serves, servers):
    backend, queue = Backend(SECRET), []

    @backend.whoami
    def who(asked):
        name, password = asked.basic or ("", "")
        return User(name, name.title(), is_admin=name == "eve") if password == "good evening" else None

    @backend.handle("queue.register")
    def register(call):
        if call.user.id in queue:
            raise Refused("already_in_queue", "you are in the queue", data={"place": queue.index(call.user.id) + 1}, status=409)
        queue.append(call.user.id)
        return {"place": len(queue), "name": call.user.name}

    @backend.handle("queue.next")
    async def following(call):
        await asyncio.sleep(0.01)
        if not call.user.is_admin:
            raise Refused("not_yours", status=403)
        return {"user": queue.pop(0)}

    with serves(backend) as url:
        server = start(servers, handlers(url))

        def client(user, **how):
            return parlor.sync.Connection(server.url(), headers=basic(user, **how))

        with client("ada") as ada, client("eve") as eve:
            ada.ready(10)
            assert (ada.hello.user, ada.hello.name) == ("ada", "Ada")
            assert ada.request("queue.register") == {"place": 1, "name": "Ada"}
            with pytest.raises(RequestError) as refused:
                ada.request("queue.register")
            assert (refused.value.code, refused.value.by_application, refused.value.data) == ("already_in_queue", True, {"place": 1})
            with pytest.raises(RequestError, match="not_yours"):
                ada.request("queue.next")
            assert eve.request("queue.next") == {"user": "ada"}
        with client("ada", password="wrong") as nobody:
            state = nobody.wait_state(lambda state: state.name == "waiting", 10)
            assert state.reason.startswith("HTTP 401")
            nobody.pause()


def takes_connections(port):
    with contextlib.suppress(OSError), socket.create_connection((harness.HOST, port)):
        return True
    return False


@contextlib.contextmanager
def of_the_document(section, servers, **env):
    """A backend of the document's and parlor with its configuration, of this section; their ports."""
    text = (ROOT / "docs/client-python.md").read_text().partition(f"\n{section}\n")[2].partition("\n## ")[0].partition("\n### ")[0]
    (program,), (config,) = (re.findall(rf"```{kind}\n(.*?)```", text, re.S) for kind in ("python", "toml"))
    directory, port, own = servers.directory(), harness.free_port(), harness.free_port()
    (directory / "backend.py").write_text(program.replace("127.0.0.1:8080", f"127.0.0.1:{own}"))
    (directory / "parlor.toml").write_text(config.replace("127.0.0.1:8000", f"127.0.0.1:{port}"))
    env = {"BACKEND_SECRET": SECRET, **env}
    command = [sys.executable, "-m", "uvicorn", "backend:app", "--port", str(port), "--log-level", "error"]
    with subprocess.Popen(command, cwd=directory, env=harness.clean_environment(PYTHONPATH=str(ROOT / "clients/python"), **env)) as backend:
        try:
            until(lambda: takes_connections(port))
            yield port, servers.parlor("--config", directory / "parlor.toml", port=own, env=env)
        finally:
            backend.kill()


def test_the_documents_backend_runs(servers):
    with of_the_document("## A backend", servers) as (_, server):
        with parlor.sync.Connection(server.url(), headers=basic("ada"), backoff=parlor.Backoff(min=0.05, max=0.2)) as ada:
            ada.ready(20)
            assert ada.request("queue.register") == {"place": 1}
            with pytest.raises(RequestError, match="already_in_queue: you are in the queue"):
                ada.request("queue.register")


def test_the_documents_sessions_begin_and_end(servers):
    with of_the_document("### With sessions", servers, PARLOR_ADMIN_TOKEN=ADMIN_TOKEN) as (port, server):
        assert "Programs with the admin token may call everything." in server.output()

        def post(path, cookie="", **content):
            asked = urllib.request.Request(f"http://{harness.HOST}:{port}{path}", json.dumps(content).encode(), method="POST")
            asked.add_header("Content-Type", "application/json")
            asked.add_header("Cookie", cookie)
            with urllib.request.urlopen(asked) as answer:
                return answer.headers["Set-Cookie"].partition(";")[0]

        def client(cookie):
            headers = {"Cookie": cookie, "Origin": f"http://{harness.HOST}:{port}"}
            return parlor.sync.Connection(server.url() + "?anonymous=1", headers=headers, backoff=parlor.Backoff(min=0.05, max=0.2))

        with pytest.raises(urllib.error.HTTPError, match="401"):
            post("/login", name="ada", password="wrong")
        first, second = (post("/login", name="ada", password="good evening") for _ in range(2))
        with client(first) as one, client(second) as two, client("theme=dark") as guest:
            for connection in (one, two, guest):
                connection.ready(20)
            assert [connection.hello.user for connection in (one, two)] == ["ada", "ada"] and guest.hello.is_guest
            post("/logout", first)
            # Both come back, each as whom its cookie names.
            until(lambda: one.hello is not None and one.hello.is_guest)
            two.ready(20)
            until(lambda: sum("connected" in line and "user=ada" in line for line in server.output().splitlines()) >= 3)
            assert two.hello.user == "ada"


def test_a_wrong_url_of_a_handler_is_told_in_the_log(servers):
    with fastapi(Backend(SECRET)) as url:
        server = start(servers, handlers(url.replace("/parlor/", "/elsewhere/")).partition("[auth]")[0])
        with parlor.sync.Connection(f"{server.url()}?user=ada") as ada:
            with pytest.raises(RequestError, match="bad_request"):
                ada.request("queue.register")
        until(lambda: 'backend failed backend="queue.*" status=404 why="it does not answer at this URL"' in server.output())


def test_a_client_says_what_keeps_it_from_its_server(servers):
    with parlor.sync.Connection(f"ws://{harness.HOST}:{harness.free_port()}/ws?user=ada") as nobody:
        with pytest.raises(RequestError, match="timeout: no answer came in time; no connection: ConnectionRefusedError") as late:
            nobody.request("ping", timeout=0.5)
        assert late.value.passing
        with pytest.raises(RequestError, match="not online in time; no connection: ConnectionRefusedError"):
            nobody.ready(0.2)


@pytest.mark.parametrize("way", ["query", "field"])
def test_a_token_of_the_request_is_not_tried_for_ever(way, servers):
    server = servers.parlor("--secret-file", servers.secret_file(), set={"auth.leeway_ms": 0})
    token = harness.token("ada", ttl=2)
    url, headers = (f"{server.url()}?token={token}", {}) if way == "query" else (server.url(), {"Authorization": f"Bearer {token}"})
    with parlor.sync.Connection(url, headers=headers) as ada:
        ada.ready(10)
        assert ada.wait_state(lambda state: state.is_over, 10).code == 4200


def test_what_a_block_leaves_is_logged(servers, caplog):
    with parlor.sync.Connection(f"{servers.parlor().url()}?user=ada") as ada:
        ticket = ada.room("nowhere").send("x")
        with pytest.raises(RequestError, match="not_member"):
            ticket.wait(10)
    assert "leaves messages unsent: 1; the first, to nowhere, is refused as not_member" in caplog.text


def test_another_secret_is_told_in_the_log_and_not_to_clients(servers):
    backend = Backend("another secret than that of parlor, long enough")
    backend.handle("queue.*")(lambda call: {})
    with wsgi(backend) as url:
        server = start(servers, handlers(url).partition("[auth]")[0])
        with parlor.sync.Connection(f"{server.url()}?user=ada") as ada:
            ada.ready(10)
            with pytest.raises(RequestError) as failed:
                ada.request("queue.register")
        assert (failed.value.code, failed.value.by_application) == ("internal", False)
        until(lambda: 'backend failed backend="queue.*" status=401 why="it and this server have different secrets"' in server.output())


# --- Calls ---


@pytest.fixture
def server(servers):
    return start(servers, "[auth]\nanonymous = true\n")


@pytest.fixture
def admin(server):
    return Admin(base(server), ADMIN_TOKEN)


def test_an_administrator_makes_rooms_and_sees_who_is_there(admin, server, servers):
    assert admin.put_room("tea", title="Tea", is_open=True)["title"] == "Tea"
    for user in ("ada", "bob"):
        admin.add_member("tea", user)
    assert {member["user"] for member in admin.members("tea", page=1)} >= {"ada", "bob"}
    assert [room["room"] for room in admin.rooms()] == ["tea"]
    assert [entry["type"] for entry in admin.messages("tea", limit=10)["entries"]][:1] == ["room:joined"]
    admin.remove_member("tea", "bob")
    assert "bob" not in {member["user"] for member in admin.members("tea")}
    admin.delete_room("tea")
    with pytest.raises(RequestError) as gone:
        admin.room("tea")
    assert gone.value.code == "no_such_room" and gone.value.fatal
    assert admin.info()["server"].startswith("parlor/") and admin.is_ready()
    assert "parlor_connections" in admin.metrics()


def test_what_is_published_and_pushed_comes_as_events_and_goes_on_behind_the_last(admin, server):
    with admin.events(["news", "state"]) as events:
        assert next(events).type == "connected"
        first = admin.publish("news", {"n": 1}, id="one")
        assert admin.publish("news", {"n": 1}, id="one")["duplicate"] is True and first["seq"] == 1
        admin.publish("state", {"data": 5})
        seen = itertools.islice((event for event in events if event.type == "event"), 2)
        assert [event.payload["data"] for event in seen] == [{"n": 1}, {"data": 5}]
        last = events.last_id
    assert admin.stream("state")["data"] == {"data": 5}
    admin.publish("news", {"n": 2})
    with admin.events(["news", "state"], last_id=last) as events:
        until(lambda: (event := next(events)).type == "event" and event.payload["data"] == {"n": 2})
    assert admin.push("app.note", {"text": "x"}) == 0
    assert admin.publish("cam", b"\x00\xff")["seq"] == 1 and admin.stream("cam") == b"\x00\xff"
    assert {stream["stream"] for stream in admin.streams(page=2)} >= {"news", "state", "cam", "deploys"}


def test_events_survive_the_server(servers):
    data = servers.directory()
    server = servers.parlor(data=data, env={"PARLOR_ADMIN_TOKEN": ADMIN_TOKEN})
    admin = Admin(base(server), ADMIN_TOKEN)
    with admin.events() as events:
        assert next(events).type == "connected"
        server.kill()
        server = servers.parlor(data=data, port=server.port, env={"PARLOR_ADMIN_TOKEN": ADMIN_TOKEN})
        until(lambda: next(events).type == "connected")
        threading.Timer(0.2, events.close).start()
        begun = time.monotonic()
        assert all(event.type for event in events) and time.monotonic() - begun < 5


def test_connections_are_listed_pushed_to_and_ended(admin, server):
    with parlor.sync.Connection(server.url() + "?anonymous=1") as guest:
        guest.ready(10)
        heard = guest.events(parlor.Push)
        (connection,) = admin.connections()
        assert connection["kind"] == "websocket" and connection["connection"] == guest.hello.connection
        assert admin.push_to_connection(connection["connection"], "app.note", {"n": 1}) == 1
        assert admin.push("app.note", {"n": 2}) == 1
        assert [heard.take(10).payload["n"] for _ in range(2)] == [1, 2]
        assert admin.disconnect(connection["connection"]) == 1
        assert guest.wait_state(lambda state: state.is_over, 10).code == 4003
    with pytest.raises(ValueError):
        admin.push("x", users=["ada"], room="tea")


def test_the_calls_are_there_for_asyncio(server):
    async def calls():
        admin = AsyncAdmin(base(server), ADMIN_TOKEN)
        async with admin.events(["news"]) as events:
            assert (await anext(events)).type == "connected"
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(news(events), 0.2)
            published = await asyncio.gather(*(admin.publish("news", n) for n in range(3)))
            assert sorted(one["seq"] for one in published) == [1, 2, 3]
            data = []
            while len(data) < 3:
                event = await anext(events)
                if event.type == "event":
                    data.append(event.payload["data"])
            assert sorted(data) == [0, 1, 2]
        assert [room async for room in admin.rooms()] == []
        with pytest.raises(RequestError, match="no_such_room"):
            await admin.room("none")

    async def news(events):
        while True:
            if (await anext(events)).type == "event":
                return

    asyncio.run(calls())


def test_what_is_refused_and_what_is_not_there_is_told(server):
    with pytest.raises(RequestError) as refused:
        list(Admin(base(server), "nonsense").connections())
    assert refused.value.code == "unauthorized"
    with pytest.raises(RequestError, match="unauthorized"):
        next(Admin(base(server), "nonsense").events())
    with pytest.raises(OSError):
        Admin("http://127.0.0.1:1", ADMIN_TOKEN).info()
    for wrong in ("", "127.0.0.1:8080", "ftp://a", "http:///x", "http://a?b"):
        with pytest.raises(ValueError):
            Admin(wrong)
    with pytest.raises(ValueError):
        Webhook("x", SECRET)
    # Names that mean something in an address mean nothing there.
    with pytest.raises(RequestError):
        Admin(base(server), ADMIN_TOKEN).room("../info?x#y")


def test_a_webhook_is_signed_and_a_repeat_is_one(admin, server):
    hook = Webhook(f"{base(server)}/hooks/deploy", SECRET)
    hook.send({"ok": 1}, delivery="d1")
    hook.send({"ok": 1}, delivery="d1")
    hook.send({"ok": "é"})
    assert admin.stream("deploys")["seq"] == 2
    with pytest.raises(ConnectionError, match="40[13]"):
        Webhook(f"{base(server)}/hooks/deploy", "another secret, in more than enough bytes").send({})


def test_the_types_are_those_of_the_servers_document():
    done = subprocess.run([sys.executable, ROOT / "clients/python/from_openapi.py", "--check"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_events_for_asyncio_leave_the_threads_of_the_program_alone(servers):
    # Nobody is told of anybody: nothing more comes.
    server = start(servers, '[presence]\nscope = "off"\n')

    async def follow():
        admin = AsyncAdmin(base(server), ADMIN_TOKEN)
        many = [admin.events() for _ in range(40)]
        tasks = [asyncio.create_task(anext(events)) for events in many]
        await asyncio.gather(*tasks)
        waiting = [asyncio.create_task(anext(events)) for events in many]
        await asyncio.sleep(0.2)
        # Each waits for what does not come; the program's own threads do not.
        assert (await asyncio.wait_for(admin.info(), 5))["protocol"] == 1
        for events in many:
            await asyncio.wait_for(events.close(), 5)
        # A task makes a `RuntimeError` of the end of an iterator.
        ended = await asyncio.gather(*waiting, return_exceptions=True)
        assert all(isinstance(one, (RuntimeError, StopAsyncIteration)) for one in ended), ended

    asyncio.run(follow())
