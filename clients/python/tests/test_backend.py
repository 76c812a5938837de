"""An application's backend: what parlor sends it, and what it is answered, without a server."""

import asyncio
import base64
import io
import json
import threading

import pytest
from parlor.backend import BODY_BYTES_MAX, Asked, Backend, Guest, Refused, User, sign

SECRET = "a secret of the backend's, in enough bytes"


def request(kind="queue.register", user=None, **more):
    user = user or {"id": "ada", "name": "Ada", "admin": False, "anonymous": False}
    told = {"type": kind, "user": user, "payload": {"a": 1}, "rights": {"publish": ["x:*"], "subscribe": ["*"]}, **more}
    return json.dumps(told).encode()


def ask(backend, body, secret=SECRET):
    headers = {"X-Hub-Signature-256": sign(secret, body)} if secret else {}
    answer = backend.respond("POST", headers, body)
    return answer.status, json.loads(answer.body) if answer.body else None


@pytest.fixture
def backend():
    backend, seen = Backend(SECRET), []

    @backend.handle("queue.register", "queue.list")
    def register(call):
        seen.append(call)
        return {"place": len(seen)}

    @backend.handle("queue.*")
    async def others(call):
        await asyncio.sleep(0)
        raise Refused("already_in_queue", "you are in it", data={"place": [1, 2]}, retry_after_ms=50, status=409)

    backend.seen = seen
    return backend


def test_a_handler_is_told_who_asks_what_and_its_answer_is_the_reply(backend):
    assert ask(backend, request(id=7, connection="7-1a")) == (200, {"place": 1})
    (call,) = backend.seen
    assert (call.type, call.payload, call.id, call.connection) == ("queue.register", {"a": 1}, 7, "7-1a")
    assert call.user == User("ada", "Ada", publish=("x:*",), subscribe=("*",))
    nobody = json.dumps({"type": "queue.list", "user": None, "payload": {}}).encode()
    assert ask(backend, nobody) == (200, {"place": 2}) and backend.seen[1].user is None


def test_a_refusal_is_told_and_whatever_else_is_raised_is_not(backend, caplog):
    error = {"code": "already_in_queue", "message": "you are in it", "data": {"place": [1, 2]}, "retry_after_ms": 50}
    assert ask(backend, request("queue.leave")) == (409, {"error": error})

    @backend.handle("broken")
    def broken(call):
        return {"nothing": {1, 2}} if call.payload else None

    @backend.handle("list")
    def list_of(call):
        return [1]

    @backend.handle("worse")
    def worse(call):
        raise Refused("x", data=object())

    for kind in ("broken", "list", "worse"):
        assert ask(backend, request(kind)) == (500, None)
    assert len(caplog.records) == 3
    said = [record.getMessage() for record in caplog.records]
    assert said == ["the handler of broken has failed", "the handler of list has failed", "what a refusal says is no JSON"]
    assert ask(backend, request("nobody"))[0] == 404
    for code, status in (("Made up", 400), ("", 400), ("x" * 65, 400), ("ok", 200), ("ok", 500)):
        with pytest.raises(ValueError):
            Refused(code, status=status)


@pytest.mark.parametrize("raw", [b"", b"[]", b"{}", b'{"type":7}', b"\xff", b"[" * 100_000])
def test_what_is_no_request_is_refused(backend, raw):
    assert ask(backend, raw)[0] == 400


def test_only_what_is_signed_is_answered(backend):
    body = request()
    for signature in (None, "", "sha256=", sign("another secret, of more than enough bytes", body), sign(SECRET, body + b" "), "é", "\ud800"):
        headers = {} if signature is None else {"x-hub-signature-256": signature}
        assert backend.respond("POST", headers, body).status == 401
    assert backend.seen == []
    assert ask(backend, body, f" {SECRET}\n")[0] == 200
    assert backend.respond("POST", {}, b"x" * (BODY_BYTES_MAX + 1)).status == 413
    for secret in ("short", b"x" * 31, " " * 40):
        with pytest.raises(ValueError):
            Backend(secret)
    assert backend.respond("GET", {}).status == backend.respond("PUT", {}).status == 405


def test_that_requests_are_not_signed_is_logged_but_not_each_time(backend, caplog, monkeypatch):
    now = [100.0]
    monkeypatch.setattr("parlor.backend.time.monotonic", lambda: now[0])
    for seconds, logged in [(0, 1), (59, 1), (60, 2), (61, 2)]:
        now[0] = 100.0 + seconds
        assert backend.respond("POST", {}, request()).status == 401
        assert [record.levelname for record in caplog.records] == ["WARNING"] * logged
    assert "has parlor the same" in caplog.text


def test_a_type_has_one_handler_and_the_longest_star_wins():
    backend = Backend(None)
    for kind in ("*", "queue.*", "queue.a.*"):
        backend.handle(kind)(lambda call, kind=kind: {"by": kind})
    said = {kind: ask(backend, request(kind), None)[1]["by"] for kind in ("x", "queue.", "queue.a", "queue.a.b")}
    assert said == {"x": "*", "queue.": "queue.*", "queue.a": "queue.*", "queue.a.b": "queue.a.*"}
    with pytest.raises(ValueError, match=r"queue\.\*"):
        backend.handle("other", "queue.*")
    with pytest.raises(ValueError):
        backend.handle()


def test_whoami_says_who_somebody_is(backend, caplog):
    def who(asked):
        if asked.basic == ("ada", "good: evening"):
            return User("ada", "Ada", is_admin=True, publish=("*",), expires_in=60)
        if asked.cookies.get("session") == "s1":
            return User("bob")
        if asked.bearer == "old":
            raise Refused("token_expired", "it is old", status=403, headers={"WWW-Authenticate": "Bearer"})
        return None

    backend.whoami(who)
    credentials = base64.b64encode(b"ada:good: evening").decode()
    answer = backend.respond("GET", {"Authorization": f"Basic {credentials}", "X-Original-URI": "/ws"})
    assert json.loads(answer.body) == {"user": {"id": "ada", "name": "Ada", "admin": True}, "publish": ["*"], "expires_in": 60}
    assert json.loads(backend.respond("GET", {"Cookie": "a=b; session=s1"}).body) == {"user": {"id": "bob"}}
    answer = backend.respond("GET", {"authorization": "bearer old"})
    assert (answer.status, answer.headers["WWW-Authenticate"]) == (403, "Bearer")
    backend_of_guests = Backend(SECRET)
    backend_of_guests.whoami(lambda _: User("bob", is_guest=True))
    assert backend_of_guests.respond("GET", {}).status == 500
    assert "whoami has failed" in caplog.text and "whoami returns Guest() for a guest" in caplog.text
    for wrong, why in (
        (User("a b"), "'a b' is no name"),
        (User(":x"), "has a colon"),
        (User("a", subscribe="*"), "and not '*'"),  # type: ignore[arg-type]
        (User("a", publish=(1,)), "and not (1,)"),  # type: ignore[arg-type]
        (User("a", expires_in=2.5), "and not 2.5"),  # type: ignore[arg-type]
    ):
        backend_of_some = Backend(SECRET)
        backend_of_some.whoami(lambda _, wrong=wrong: wrong)
        assert backend_of_some.respond("GET", {}).status == 500 and why in caplog.text
    backend_of_guests = Backend(SECRET)
    backend_of_guests.whoami(lambda _: Guest())
    answer = backend_of_guests.respond("GET", {"Cookie": "theme=dark"})
    assert (answer.status, json.loads(answer.body)) == (200, {"user": None})
    for wrong in ("Basic !!", "Basic YQ==", "Basic /w==", "Bearer ", "Basic", ""):
        assert backend.respond("GET", {"Authorization": wrong}).status == 401
    assert Asked({"cookie": "\x00=;;"}, "", "", "").cookies == {}
    with pytest.raises(ValueError):
        backend.whoami(who)


def serve_asgi(app, method="POST", headers=(), pieces=(b"",)):
    """What an ASGI application answers: status, fields, body."""

    async def run():
        waiting, said = list(pieces), []

        async def receive():
            if not waiting:
                return {"type": "http.disconnect"}
            body = waiting.pop(0)
            return {"type": "http.request", "body": body, "more_body": bool(waiting)}

        async def send(message):
            said.append(message)

        raw = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers]
        await app({"type": "http", "method": method, "headers": raw, "path": "/", "root_path": "/parlor"}, receive, send)
        return said

    said = asyncio.run(run())
    if not said:
        return None
    return said[0]["status"], dict(said[0]["headers"]), b"".join(one.get("body", b"") for one in said[1:])


def test_the_asgi_application(backend):
    body = request()
    signed = [("X-Hub-Signature-256", sign(SECRET, body))]
    status, fields, said = serve_asgi(backend.asgi, headers=signed, pieces=[body[:10], body[10:]])
    assert (status, json.loads(said), fields[b"content-length"]) == (200, {"place": 1}, str(len(said)).encode())
    assert fields[b"content-type"] == b"application/json"
    assert serve_asgi(backend.asgi, headers=signed, pieces=[]) is None
    assert serve_asgi(backend.asgi, pieces=[b"x" * 1_000_000] * 4)[0] == 413
    # A function runs on a thread: it may block.
    threads = []
    backend.handle("where")(lambda call: threads.append(threading.current_thread()))
    body = request("where")
    assert serve_asgi(backend.asgi, headers=[("X-Hub-Signature-256", sign(SECRET, body))], pieces=[body])[0] == 200
    assert threads != [threading.main_thread()]

    async def lives():
        messages, said = ["lifespan.startup", "lifespan.shutdown"], []

        async def receive():
            return {"type": messages.pop(0)}

        async def send(message):
            said.append(message["type"])

        await backend.asgi({"type": "lifespan"}, receive, send)
        return said

    assert asyncio.run(lives()) == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    with pytest.raises(ValueError, match="websocket"):
        asyncio.run(backend.asgi({"type": "websocket"}, None, None))


def test_the_wsgi_application(backend):
    said = []

    def start(status, fields):
        said.append((status, dict(fields)))

    def serve(body, **more):
        environ = {"REQUEST_METHOD": "POST", "CONTENT_LENGTH": str(len(body)), "wsgi.input": io.BytesIO(body), "HTTP_X_HUB_SIGNATURE_256": sign(SECRET, body), **more}
        return b"".join(backend.wsgi(environ, start))

    assert json.loads(serve(request())) == {"place": 1} and said[-1][0] == "200 OK"
    assert json.loads(serve(request("queue.leave")))["error"]["code"] == "already_in_queue" and said[-1][0] == "409 Conflict"
    for length in ("", "nonsense", "-1", "²"):
        serve(request(), CONTENT_LENGTH=length)
        assert said[-1][0] == "401 Unauthorized"
    # Its functions run where the server is, as what belongs to a thread wants it.
    threads = []
    backend.handle("where")(lambda call: threads.append(threading.current_thread()))
    serve(request("where"))
    assert threads == [threading.current_thread()]


@pytest.mark.parametrize("other", ['prefs={"a":1}', "flags", "k[]=1", "a,b=1", "path=/", "=x", ""])
def test_a_cookie_of_another_program_leaves_the_others(other):
    asked = Asked({"cookie": f'{other}; session="S"; session=older'}, "GET", "/ws", "")
    assert asked.cookies["session"] == "S"
    assert Asked({}, "GET", "/ws", "").cookies == {}


@pytest.mark.parametrize("field", ["Basic é", "Basic !!", "Basic", "Bearer x", "Basic YQ=="])
def test_what_is_no_name_and_password_is_none(field):
    assert Asked({"authorization": field}, "GET", "/ws", "").basic is None
