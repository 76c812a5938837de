"""An application behind parlor: it answers requests (`docs/handlers.md`) and says who sends one (`auth.url`).

    backend = Backend(os.environ["BACKEND_SECRET"])

    @backend.handle("queue.register")
    async def register(call):
        if call.user.id in queue:
            raise Refused("already_in_queue", "you are in the queue")
        queue.append(call.user.id)
        return {"place": len(queue)}

    app = fastapi.FastAPI()
    app.mount("/parlor", backend.asgi)    # parlor's url is http://…/parlor/

`backend.asgi` and `backend.wsgi` are applications for any server of the two kinds, `respond` is for everything else. The
standard library is all that it needs.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import http.client
import inspect
import json
import logging
import re
import ssl as tls
import time
import uuid
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar, Union, cast
from urllib.parse import urlsplit

from . import _names
from ._told import as_object, flag, members, parse, text, texts

logger = logging.getLogger("parlor.backend")

#: The largest request that is read, in bytes: larger ones parlor does not send by itself.
BODY_BYTES_MAX = 2 * 1024 * 1024
#: What a secret has at least, in bytes.
SECRET_BYTES_MIN = 32
SIGNATURE = "x-hub-signature-256"
#: How often it is logged that requests are not signed with the secret, in seconds.
UNSIGNED_SECONDS = 60.0

_CODE = re.compile(r"[a-z0-9_]{1,64}", re.ASCII)


class Refused(Exception):
    """Raised by a handler: the client is told this error, and that the application says it.

    Args:
        code: for programs: 1 to 64 of `a-z`, `0-9` and `_`.
        message: a sentence for people.
        data: any JSON, for programs; of up to 16 KiB.
        retry_after_ms: the client should not ask the same before that.
        status: of the answer to parlor, 400 to 499; of `whoami`, 401 or 403.
        headers: further fields of that answer, as `WWW-Authenticate` of `whoami`.

    Raises:
        ValueError: such a code or status cannot be told.
    """

    def __init__(
        self,
        code: str,
        message: str = "",
        *,
        data: Any = None,
        retry_after_ms: int | None = None,
        status: int = 400,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(code, message)
        if _CODE.fullmatch(code) is None:
            raise ValueError(f"{code!r} is no code: 1 to 64 of a-z, 0-9 and _")
        if not 400 <= status <= 499:
            raise ValueError(f"{status} is no status of a refusal: 400 to 499")
        self.code = code
        self.message = message
        self.data = data
        self.retry_after_ms = retry_after_ms
        self.status = status
        self.headers = dict(headers or {})

    def as_json(self) -> dict[str, Any]:
        """The error as parlor reads it."""
        more = {"data": self.data, "retry_after_ms": self.retry_after_ms}
        return {"code": self.code, "message": self.message, **{name: value for name, value in more.items() if value is not None}}


@dataclass(frozen=True)
class User:
    """A user, as parlor knows them; or whom `whoami` says."""

    #: 1 to 64 of `A-Z a-z 0-9 _ . @ -`, not only dots.
    id: str
    #: For people.
    name: str | None = None
    is_admin: bool = False
    #: Guests have no rooms. `whoami` returns a `Guest` instead.
    is_guest: bool = False
    #: Patterns of the streams that they may publish to, and watch; None for what the streams say.
    publish: tuple[str, ...] | None = None
    subscribe: tuple[str, ...] | None = None
    #: After how many seconds a WebSocket of theirs ends; None for never. Only of `whoami`.
    expires_in: int | None = None


@dataclass(frozen=True)
class Guest:
    """What `whoami` returns for somebody who shows nothing that counts, as the cookie of another program's or of a session
    that is over: parlor treats them as one who shows nothing, which is a guest where guests are let in."""


@dataclass(frozen=True)
class Call:
    """A request of a client's."""

    type: str
    payload: dict[str, Any]
    #: Who sends it; None for one who has not said who they are, where the handler's `rights` are `public`.
    user: User | None
    #: Of the WebSocket, as its `hello` names it; None over HTTP.
    connection: str | None
    #: The client's own number or text for it; None if it wants no answer.
    id: Any = None


@dataclass(frozen=True)
class Asked:
    """Somebody of whom parlor wants to know who they are."""

    #: The fields of their request that `auth.url_headers` names, by their names in lower case.
    headers: Mapping[str, str]
    #: What they ask for.
    method: str
    path: str
    #: From where.
    address: str

    @property
    def basic(self) -> tuple[str, str] | None:
        """Name and password of HTTP Basic (RFC 7617), if they are given. Compare passwords with `hmac.compare_digest`."""
        kind, _, credentials = self.headers.get("authorization", "").partition(" ")
        if kind.lower() != "basic":
            return None
        try:
            name, colon, password = base64.b64decode(credentials.strip(), validate=True).decode().partition(":")
        except ValueError:
            # `binascii.Error`, `UnicodeDecodeError`, and what is not ASCII.
            return None
        return (name, password) if colon else None

    @property
    def bearer(self) -> str | None:
        """The token of a `Bearer` field (RFC 6750), if there is one."""
        kind, _, token = self.headers.get("authorization", "").partition(" ")
        return token.strip() or None if kind.lower() == "bearer" else None

    @property
    def cookies(self) -> dict[str, str]:
        """The cookies that are sent (RFC 6265 §5.4). Of several with one name the first counts, which is that of the longest path.

        One that another program has set, of whatever form, leaves the others as they are.
        """
        found: dict[str, str] = {}
        for pair in self.headers.get("cookie", "").split(";"):
            name, sign, value = pair.partition("=")
            value = value.strip()
            if len(value) >= 2 and value[0] == value[-1] == '"':
                value = value[1:-1]
            if sign and name.strip().isprintable() and name.strip():
                found.setdefault(name.strip(), value)
        return found


@dataclass(frozen=True)
class Answer:
    """What parlor is answered."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict[str, str])

    @classmethod
    def json(cls, status: int, value: Any, headers: Mapping[str, str] | None = None) -> Answer:
        """One of JSON."""
        body = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
        return cls(status, body, {**(headers or {}), "Content-Type": "application/json"})


#: Calls a program's function.
_Caller = Callable[[Callable[[Any], Any], Any], Awaitable[Any]]

Handler = Callable[[Call], Union[Mapping[str, Any], None, Awaitable[Union[Mapping[str, Any], None]]]]
WhoIs = Callable[[Asked], Union[User, Guest, None, Awaitable[Union[User, Guest, None]]]]
H = TypeVar("H", bound=Handler)
W = TypeVar("W", bound=WhoIs)


class Backend:
    """Answers parlor's requests.

    A POST is a request of a client's, signed with the secret; a GET asks who somebody is. Handlers and `whoami` may be
    functions or coroutine functions: with ASGI, functions run on threads of their own, and may block.

    Args:
        secret: that of the handler's `secret_file` or `secret_env`, of at least 32 bytes; None for none, where nobody but
            parlor can reach the backend.

    Raises:
        ValueError: the secret is too short.
    """

    def __init__(self, secret: str | bytes | None) -> None:
        raw = secret.encode() if isinstance(secret, str) else secret
        # As parlor reads it.
        self._secret = None if raw is None else raw.strip()
        if self._secret is not None and len(self._secret) < SECRET_BYTES_MIN:
            raise ValueError(f"a secret has at least {SECRET_BYTES_MIN} bytes")
        self._handlers: dict[str, Handler] = {}
        self._whoami: WhoIs | None = None
        self._unsigned_logged: float | None = None

    def handle(self, *types: str) -> Callable[[H], H]:
        """Has a function answer requests of these types; one that ends with a star stands for all that begin so.

        What it returns is the reply's payload; None is an empty one. `Refused` is told to the client; whatever else it
        raises is logged (`parlor.backend`), and the client is told `internal`.

        Raises:
            ValueError: another function has one of these, or there is none.
        """
        taken = [one for one in types if one in self._handlers]
        if taken or not types:
            raise ValueError(f"{taken[0]!r} has a handler" if taken else "a handler is for one type at least")

        def register(handler: H) -> H:
            self._handlers.update(dict.fromkeys(types, handler))
            return handler

        return register

    def whoami(self, whoami: W) -> W:
        """Has a function say who somebody is, for parlor's `auth.url`: a `User`, a `Guest`, or None for nobody (401).

        None is for what is wrong, as a password: tries of these are limited for each address. What is only of no meaning, as a
        cookie that nobody knows, is a guest's.

        Raises:
            ValueError: another function does.
        """
        if self._whoami is not None:
            raise ValueError("there is a whoami")
        self._whoami = whoami
        return whoami

    def _handler(self, kind: str) -> Handler | None:
        found = self._handlers.get(kind)
        if found is None:
            stars = [one for one in self._handlers if one.endswith("*") and kind.startswith(one[:-1])]
            found = self._handlers[max(stars, key=len)] if stars else None
        return found

    # --- Any server ---

    def respond(self, method: str, headers: Mapping[str, str], body: bytes = b"") -> Answer:
        """Answers a request of parlor's, on this thread; a coroutine function runs on a loop of its own.

        Args:
            method: as `POST`.
            headers: its fields; their names in any case.
            body: its content, as it came: a signature is of every byte.
        """
        return _finish(self._respond(_call_here, method, headers, body))

    async def arespond(self, method: str, headers: Mapping[str, str], body: bytes = b"") -> Answer:
        """The same for asyncio: functions run on threads of their own."""
        return await self._respond(_call, method, headers, body)

    async def _respond(self, call: _Caller, method: str, headers: Mapping[str, str], body: bytes) -> Answer:
        fields = {name.lower(): value for name, value in headers.items()}
        if method == "GET" and self._whoami is not None:
            return await self._answer("whoami", lambda: self._say_who(call, fields))
        if method != "POST":
            return Answer(405, headers={"Allow": "GET, POST" if self._whoami is not None else "POST"})
        if len(body) > BODY_BYTES_MAX:
            return Answer.json(413, {"error": Refused("too_large", "the request is too large").as_json()})
        signature = fields.get(SIGNATURE, "").encode(errors="replace")
        if self._secret is not None and not hmac.compare_digest(sign(self._secret, body).encode(), signature):
            self._log_unsigned()
            return Answer.json(401, {"error": Refused("bad_signature", "the request is not signed with the backend's secret").as_json()})
        return await self._answer("a request", lambda: self._handle(call, body))

    def _log_unsigned(self) -> None:
        now = time.monotonic()
        if self._unsigned_logged is None or now - self._unsigned_logged >= UNSIGNED_SECONDS:
            self._unsigned_logged = now
            logger.warning("a request is not signed with the secret: has parlor the same (secret_file, secret_env)?")

    async def _answer(self, what: str, answer: Callable[[], Awaitable[Answer]]) -> Answer:
        try:
            return await answer()
        except Refused as refused:
            try:
                return Answer.json(refused.status, {"error": refused.as_json()}, refused.headers)
            except (TypeError, ValueError):
                logger.exception("what a refusal says is no JSON")
        except Exception:
            logger.exception("%s has failed", what)
        return Answer(500)

    async def _handle(self, call: _Caller, body: bytes) -> Answer:
        try:
            told = parse(body.decode())
        except UnicodeDecodeError:
            told = None
        kind = None if told is None else text(told, "type")
        if told is None or kind is None:
            raise Refused("bad_request", "this is no request of parlor's")
        handler = self._handler(kind)
        if handler is None:
            raise Refused("unknown_type", f"nobody here answers {kind}", status=404)
        request = Call(kind, members(told, "payload"), _read_user(told), text(told, "connection"), told.get("id"))
        try:
            answer: Any = await call(handler, request)
            if answer is not None and not isinstance(answer, Mapping):
                raise TypeError(f"it returned {type(answer).__name__}, and no object")
            return Answer.json(200, dict(cast("Mapping[str, Any]", answer or {})))
        except Refused:
            raise
        except Exception:
            logger.exception("the handler of %s has failed", kind)
            return Answer(500)

    async def _say_who(self, call: _Caller, fields: Mapping[str, str]) -> Answer:
        assert self._whoami is not None
        asked = Asked(
            headers=fields,
            method=fields.get("x-original-method", ""),
            path=fields.get("x-original-uri", ""),
            address=fields.get("x-forwarded-for", ""),
        )
        user: User | Guest | None = await call(self._whoami, asked)
        if user is None:
            raise Refused("unauthorized", "nobody is known by this", status=401)
        if isinstance(user, Guest):
            return Answer.json(200, {"user": None})
        if user.is_guest:
            raise ValueError("whoami returns Guest() for a guest")
        _check(user)
        who = {"id": user.id, "name": user.name, "admin": user.is_admin or None}
        rights = {"publish": user.publish, "subscribe": user.subscribe, "expires_in": user.expires_in}
        told = {"user": _given(who), **_given(rights)}
        return Answer.json(200, told)

    # --- ASGI and WSGI ---

    async def asgi(self, scope: Any, receive: Any, send: Any) -> None:
        """An ASGI application: every path below it is parlor's."""
        if scope["type"] == "lifespan":
            return await _live(receive, send)
        if scope["type"] != "http":
            raise ValueError(f"this is no application for {scope['type']}")
        body = b""
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body += message.get("body", b"")
            if len(body) > BODY_BYTES_MAX or not message.get("more_body", False):
                break
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        answer = await self.arespond(scope["method"], headers, body)
        fields = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in _fields(answer)]
        await send({"type": "http.response.start", "status": answer.status, "headers": fields})
        await send({"type": "http.response.body", "body": answer.body})

    def wsgi(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """A WSGI application: every path below it is parlor's. Functions run on the server's thread."""
        headers = {name[5:].replace("_", "-"): value for name, value in environ.items() if name.startswith("HTTP_")}
        length = environ.get("CONTENT_LENGTH") or "0"
        size = int(length) if length.isascii() and length.isdigit() else 0
        # One byte more than there may be says that there are more.
        body = environ["wsgi.input"].read(min(size, BODY_BYTES_MAX + 1))
        answer = self.respond(environ["REQUEST_METHOD"], headers, body)
        reason = http.client.responses.get(answer.status, "")
        start_response(f"{answer.status} {reason}", list(_fields(answer)))
        return [answer.body]


def sign(secret: str | bytes, body: bytes) -> str:
    """What `X-Hub-Signature-256` has for this content."""
    raw = secret.encode() if isinstance(secret, str) else secret
    return "sha256=" + hmac.new(raw.strip(), body, hashlib.sha256).hexdigest()


class Webhook:
    """Posts data to a stream's webhook (`docs/streams.md`, "Webhooks"), signed.

    Args:
        url: `http://host/hooks/…`, the path as the stream declares it.
        secret: that of the webhook.
        timeout: how long it may take, in seconds.
        ssl: how TLS is spoken; the system's authorities are trusted otherwise.

    Raises:
        ValueError: this is no such URL.
    """

    def __init__(self, url: str, secret: str | bytes, *, timeout: float = 10.0, ssl: tls.SSLContext | None = None) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"{url!r} is no URL of a webhook: it begins with http:// or https://, and has a host")
        self._parts = parts
        self._secret = secret
        self._timeout = timeout
        self._ssl = ssl

    def send(self, data: Any, *, delivery: str | None = None) -> None:
        """Posts JSON; when it returns, the stream has it.

        Args:
            data: any JSON.
            delivery: its id: sent again with the same one, it is one delivery. One is made if it is None.

        Raises:
            OSError: it could not be posted: `ConnectionError` with the status and what the server says, if it said something.
        """
        body = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
        headers = {
            "Content-Type": "application/json",
            "X-Hub-Signature-256": sign(self._secret, body),
            "X-GitHub-Delivery": delivery or str(uuid.uuid4()),
        }
        host, port = self._parts.hostname or "", self._parts.port
        if self._parts.scheme == "https":
            connection: http.client.HTTPConnection = http.client.HTTPSConnection(host, port, timeout=self._timeout, context=self._ssl)
        else:
            connection = http.client.HTTPConnection(host, port, timeout=self._timeout)
        try:
            connection.request("POST", self._parts.path or "/", body, headers)
            response = connection.getresponse()
            said = response.read(BODY_BYTES_MAX)
        except http.client.HTTPException as error:
            raise ConnectionError(f"the webhook's server answers in no HTTP: {error!r}") from error
        finally:
            connection.close()
        if not 200 <= response.status <= 299:
            raise ConnectionError(f"the webhook was refused: {response.status} {said[:500].decode(errors='replace')}")


def _finish(work: Coroutine[Any, Any, Answer]) -> Answer:
    """Runs what waits for nothing."""
    try:
        work.send(None)
    except StopIteration as done:
        answer: Answer = done.value
        return answer
    work.close()
    raise RuntimeError("this waits")


async def _call_here(function: Callable[[Any], Any], given: Any) -> Any:
    answer = function(given)
    return asyncio.run(_wait(answer)) if inspect.isawaitable(answer) else answer


async def _wait(answer: Awaitable[Any]) -> Any:
    return await answer


async def _call(function: Callable[[Any], Any], given: Any) -> Any:
    if inspect.iscoroutinefunction(function):
        return await function(given)
    answer = await asyncio.to_thread(function, given)
    return await answer if inspect.isawaitable(answer) else answer


def _read_user(told: Mapping[str, Any]) -> User | None:
    user = as_object(told.get("user"))
    id = None if user is None else text(user, "id")
    if user is None or id is None:
        return None
    rights = members(told, "rights")
    return User(
        id=id,
        name=text(user, "name"),
        is_admin=flag(user, "admin"),
        is_guest=flag(user, "anonymous"),
        publish=tuple(texts(rights, "publish")) if "publish" in rights else None,
        subscribe=tuple(texts(rights, "subscribe")) if "subscribe" in rights else None,
    )


def _check(user: Any) -> None:
    """Raises ValueError or TypeError for what parlor would not take, so that the log says which member it is."""
    if ":" in _names.name(user.id):
        raise ValueError(f"{user.id!r} is no user id: it has a colon")
    for patterns in (user.publish, user.subscribe):
        if patterns is not None and (isinstance(patterns, str) or not all(isinstance(one, str) for one in patterns)):
            raise TypeError(f"publish and subscribe are patterns, as ('news', 'sensor:*'), and not {patterns!r}")
    if user.expires_in is not None and (not isinstance(user.expires_in, int) or user.expires_in < 0):
        raise TypeError(f"expires_in is a whole number of seconds, and not {user.expires_in!r}")


def _given(told: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in told.items() if value is not None}


def _fields(answer: Answer) -> Iterable[tuple[str, str]]:
    return [*answer.headers.items(), ("Content-Length", str(len(answer.body)))]


async def _live(receive: Any, send: Any) -> None:
    """ASGI's lifespan: nothing is begun, nothing is ended."""
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
