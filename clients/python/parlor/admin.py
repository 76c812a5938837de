"""What an administrator, or a service beside parlor, asks of it over HTTP (`docs/http.md`).

    admin = Admin("http://127.0.0.1:8080", os.environ["PARLOR_ADMIN_TOKEN"])
    admin.publish("state", {"open": True})
    admin.push("app.note", {"text": "back in five minutes"})
    for connection in admin.connections():
        print(connection["user"], connection["kind"])

Types of what is answered are in `parlor.api`. The standard library is all that it needs. `Admin` may be called from every
thread; each call has a connection of its own.
"""

from __future__ import annotations

import asyncio
import functools
import http.client
import itertools
import json
import socket
import ssl as tls
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, TypeVar, cast
from urllib.parse import quote, urlencode, urlsplit

from . import api
from ._names import raw_json
from ._told import as_object, members, number, parse, text
from .errors import RequestError

T = TypeVar("T")
P = ParamSpec("P")

#: The largest answer that is read, and the longest line of an event, in bytes.
ANSWER_BYTES_MAX = 64 * 1024 * 1024
#: How long is waited before events are asked for again, in seconds, unless the server says it.
RETRY_SECONDS = 1.0
RETRY_SECONDS_MAX = 30.0
#: A server that was silent for so long is not there: it sends something every 25 s, unless it is configured otherwise.
SILENCE_SECONDS = 75.0
#: How many items of a list one thread gets for asyncio.
AT_ONCE = 200


@dataclass(frozen=True)
class ServerEvent:
    """A message that the server pushes, as an event (`docs/http.md`, "Events")."""

    type: str
    payload: dict[str, Any]
    #: Where it stands: `Admin.events(last_id=…)` goes on behind it. Empty for one that has no place.
    id: str


class Admin:
    """Calls of a parlor's.

    Args:
        url: of the server, as `http://127.0.0.1:8080`.
        token: the admin token, or any user's.
        timeout: how long a call may take, in seconds.
        ssl: how TLS is spoken; the system's authorities, or those of `ca_file` (PEM), are trusted otherwise.

    Raises:
        ValueError: this is no such URL.

    Every call raises `RequestError` with the server's code if it is refused, and `OSError` if there is no answer.
    """

    def __init__(self, url: str, token: str | None = None, *, timeout: float = 20.0, ssl: tls.SSLContext | None = None, ca_file: str | None = None) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise ValueError(f"{url!r} is no URL of a server: it begins with http:// or https://, and has a host")
        self._host, self._port, self._base = parts.hostname, parts.port, parts.path.rstrip("/")
        self._headers = {"Authorization": f"Bearer {token}"} if token is not None else {}
        self._timeout = timeout
        self._ssl = (ssl or tls.create_default_context(cafile=ca_file)) if parts.scheme == "https" else None

    # --- Any call ---

    def call(self, type: str, payload: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Any request of the protocol's, or of the application's handlers."""
        return cast("dict[str, Any]", self._json("POST", f"call/{_part(type)}", dict(payload or {})))

    def connect(self, timeout: float) -> http.client.HTTPConnection:
        """A connection to the server."""
        if self._ssl is not None:
            connection: http.client.HTTPConnection = http.client.HTTPSConnection(self._host, self._port, timeout=timeout, context=self._ssl)
        else:
            connection = http.client.HTTPConnection(self._host, self._port, timeout=timeout)
        connection.connect()
        return connection

    def ask(
        self,
        connection: http.client.HTTPConnection,
        method: str,
        path: str,
        body: bytes | None,
        query: Mapping[str, Any] | None,
        headers: Mapping[str, str] | None,
    ) -> None:
        """Sends a request."""
        given = {name: value for name, value in (query or {}).items() if value is not None}
        target = f"{self._base}{path}" + (f"?{urlencode(given)}" if given else "")
        connection.request(method, target, body, {**self._headers, **(headers or {})})

    def _ask(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        query: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> tuple[http.client.HTTPResponse, bytes]:
        connection = self.connect(self._timeout)
        try:
            self.ask(connection, method, path, body, query, headers)
            response = connection.getresponse()
            said = response.read(ANSWER_BYTES_MAX + 1)
        except http.client.HTTPException as error:
            raise ConnectionError(f"the server answers in no HTTP: {error!r}") from error
        finally:
            connection.close()
        if len(said) > ANSWER_BYTES_MAX:
            raise ConnectionError(f"the answer has more than {ANSWER_BYTES_MAX} bytes")
        if not 200 <= response.status <= 299:
            raise _refusal(response, said)
        return response, said

    def _json(
        self, method: str, path: str, payload: Mapping[str, Any] | None = None, query: Mapping[str, Any] | None = None, headers: Mapping[str, str] | None = None
    ) -> Any:
        raw = None if payload is None else (raw_json(payload) or "").encode()
        _, said = self._ask(method, f"/api/v1/{path}", raw, query, headers)
        return _object(said)

    def _pages(self, path: str, name: str, key: str, limit: int | None, **query: Any) -> Iterator[Any]:
        after: str | None = None
        while True:
            page = self._json("GET", path, query={**query, "after": after, "limit": limit})
            yield from page[name]
            if not page["more"] or not page[name]:
                return
            after = page[name][-1][key]

    # --- Streams ---

    def publish(self, stream: str, data: Any, *, id: str | None = None) -> api.Published:
        """Publishes to a stream.

        Args:
            stream: its name.
            data: any JSON; bytes for a stream of bytes.
            id: the publication's own: a repeat with the same one is one event.
        """
        headers = {"Idempotency-Key": json.dumps(id)} if id is not None else {}
        path = f"/api/v1/streams/{_part(stream)}"
        if isinstance(data, bytes):
            body, headers["Content-Type"] = data, "application/octet-stream"
        else:
            # So that an object with `data` alone is that object.
            body, headers["Content-Type"] = ('{"data":' + (raw_json(data) or "null") + "}").encode(), "application/json"
        _, said = self._ask("POST", path, body, headers=headers)
        return cast(api.Published, _object(said))

    def streams(self, *, page: int | None = None) -> Iterator[api.StreamInfo]:
        """All streams that may be watched, with their sources; `page` is how many are asked for at once."""
        return self._pages("streams", "streams", "stream", page)

    def stream(self, name: str) -> api.Stream | bytes | None:
        """A stream with its newest data; of a stream of bytes these, and None before there are any."""
        response, said = self._ask("GET", f"/api/v1/streams/{_part(name)}")
        if response.status == 204:
            return None
        if (response.headers.get("Content-Type") or "").startswith("application/json") and response.headers.get("Parlor-Seq") is None:
            return cast(api.Stream, _object(said))
        return said

    def pause(self, stream: str) -> api.SourceState:
        """Pauses what feeds a stream."""
        return cast(api.SourceState, self._json("POST", f"streams/{_part(stream)}/pause"))

    def resume(self, stream: str) -> api.SourceState:
        """Lets it go on."""
        return cast(api.SourceState, self._json("POST", f"streams/{_part(stream)}/resume"))

    def subscribers(self, stream: str, *, page: int | None = None) -> Iterator[api.Subscriber]:
        """Who watches a stream, and how far they are."""
        return self._pages(f"streams/{_part(stream)}/subscribers", "subscribers", "connection", page)

    # --- People ---

    def push(self, type: str, payload: Mapping[str, Any] | None = None, *, users: Iterable[str] | None = None, room: str | None = None) -> int:
        """Sends a message to the connections of these users, or of who follows a room, or to all; it is not stored.

        Returns: how many connections took it.
        """
        if users is not None and room is not None:
            raise ValueError("a push is for users, or for a room")
        to: dict[str, Any] = {"users": list(users)} if users is not None else {"room": room} if room is not None else {"all": True}
        return _reached(self._json("POST", "push", {**to, "type": type, "payload": dict(payload or {})}))

    def push_to_user(self, user: str, type: str, payload: Mapping[str, Any] | None = None) -> int:
        """The same, to the connections of one user."""
        return _reached(self._json("POST", f"users/{_part(user)}/push", {"type": type, "payload": dict(payload or {})}))

    def push_to_connection(self, connection: str, type: str, payload: Mapping[str, Any] | None = None) -> int:
        """The same, to one connection."""
        return _reached(self._json("POST", f"connections/{_part(connection)}/push", {"type": type, "payload": dict(payload or {})}))

    def users(self, *, page: int | None = None) -> Iterator[api.Present]:
        """Who is online."""
        return self._pages("users", "users", "user", page)

    def user(self, user: str) -> api.User:
        """A user, with their connections."""
        return cast(api.User, self._json("GET", f"users/{_part(user)}"))

    def connections(self, *, page: int | None = None) -> Iterator[api.Connection]:
        """All connections."""
        return self._pages("connections", "connections", "connection", page)

    def disconnect(self, connection: str) -> int:
        """Ends a connection (4003: its client does not come back). Returns how many were ended."""
        return _closed(self._json("DELETE", f"connections/{_part(connection)}"))

    def disconnect_user(self, user: str) -> int:
        """Ends all connections of a user."""
        return _closed(self._json("DELETE", f"users/{_part(user)}/connections"))

    def revoke(self, *, user: str | None = None, jti: str | None = None) -> int:
        """Revokes a token by its id, or those of a user that were made until now. Returns how many connections were ended."""
        given = {name: value for name, value in (("user", user), ("jti", jti)) if value is not None}
        return _closed(self.call("auth:revoke", given))

    # --- Rooms ---

    def rooms(self, *, page: int | None = None) -> Iterator[api.Room]:
        """All rooms, by name."""
        return self._pages("rooms", "rooms", "room", page, all="true")

    def room(self, room: str) -> api.Room:
        """A room."""
        return cast(api.Room, self._json("GET", f"rooms/{_part(room)}"))

    def put_room(self, room: str, *, title: str | None = None, is_open: bool | None = None, members: Iterable[str] | None = None, owner: str | None = None) -> api.Room:
        """Makes a room, or changes it."""
        payload = {"title": title, "open": is_open, "members": None if members is None else list(members), "owner": owner}
        given = {name: value for name, value in payload.items() if value is not None}
        return cast(api.Room, self._json("PUT", f"rooms/{_part(room)}", given))

    def delete_room(self, room: str) -> None:
        """Ends a room; its name stays taken."""
        self._json("DELETE", f"rooms/{_part(room)}")

    def members(self, room: str, *, page: int | None = None) -> Iterator[api.Member]:
        """A room's members."""
        return self._pages(f"rooms/{_part(room)}/members", "members", "user", page)

    def add_member(self, room: str, user: str) -> None:
        """Makes a user a member."""
        self._json("PUT", f"rooms/{_part(room)}/members/{_part(user)}")

    def remove_member(self, room: str, user: str) -> None:
        """Ends a membership."""
        self._json("DELETE", f"rooms/{_part(room)}/members/{_part(user)}")

    def messages(self, room: str, *, before: int | None = None, after: int | None = None, limit: int | None = None) -> api.History:
        """A part of a room's log: the newest entries, those before an entry, or those after it."""
        query = {"before": before, "after": after, "limit": limit}
        return cast(api.History, self._json("GET", f"rooms/{_part(room)}/messages", query=query))

    # --- The server ---

    def info(self) -> dict[str, Any]:
        """What the server says of itself: limits, counts, version."""
        return cast("dict[str, Any]", self._json("GET", "info"))

    def is_ready(self) -> bool:
        """Whether the server can do what it is for."""
        try:
            self._ask("GET", "/readyz")
        except (OSError, RequestError):
            return False
        return True

    def metrics(self) -> str:
        """What is counted, in the text of OpenMetrics."""
        return self._ask("GET", "/metrics")[1].decode()

    # --- Events ---

    def events(self, streams: Iterable[str] = (), *, last_id: str = "") -> Events:
        """What a WebSocket would be pushed, as Server-Sent Events; they go on after each loss.

        Args:
            streams: up to 32 streams, whose events come, too.
            last_id: of the newest event that was seen: they go on behind it.
        """
        return Events(self, list(streams), last_id)


class Events:
    """Server-Sent Events: an iterator that ends when it is closed, from any thread.

    A loss is waited for and mended: what is kept comes once more from the last place (`docs/http.md`, "Reconnecting").
    It raises `RequestError` where the server says that it is in vain, as that the token is not good.
    """

    def __init__(self, admin: Admin, streams: list[str], last_id: str) -> None:
        self._admin = admin
        self._streams = streams
        #: Of the newest event that came.
        self.last_id = last_id
        self._connection: http.client.HTTPConnection | None = None
        self._socket: socket.socket | None = None
        self._lines: Iterator[ServerEvent] | None = None
        self._closed = threading.Event()
        self._retry = RETRY_SECONDS
        self._failures = 0

    def __iter__(self) -> Iterator[ServerEvent]:
        return self

    def __next__(self) -> ServerEvent:
        while not self._closed.is_set():
            try:
                if self._lines is None:
                    self._lines = self._open()
                event = next(self._lines, None)
            except (OSError, http.client.HTTPException, ValueError):
                event = None
            except RequestError as error:
                if not error.passing:
                    self.close()
                    raise
                self._retry = max(self._retry, (error.retry_after_ms or 0) / 1_000)
                event = None
            if event is not None:
                self._failures = 0
                self.last_id = event.id or self.last_id
                return event
            self._lose()
        raise StopIteration

    def _lose(self) -> None:
        self._lines = None
        if self._connection is not None:
            self._connection.close()
        wait = min(self._retry * 2**self._failures, RETRY_SECONDS_MAX)
        self._failures = min(self._failures + 1, 10)
        self._closed.wait(wait)

    def _open(self) -> Iterator[ServerEvent]:
        self._connection = connection = self._admin.connect(SILENCE_SECONDS)
        # Whoever reads the answer has it to itself then.
        self._socket = connection.sock
        query = {"streams": ",".join(self._streams)} if self._streams else {}
        headers = {"Accept": "text/event-stream", **({"Last-Event-ID": self.last_id} if self.last_id else {})}
        self._admin.ask(connection, "GET", "/api/v1/events", None, query, headers)
        response = connection.getresponse()
        if response.status != 200:
            raise _refusal(response, response.read(ANSWER_BYTES_MAX))
        return self._read(response)

    def _read(self, response: http.client.HTTPResponse) -> Iterator[ServerEvent]:
        """Events of a text/event-stream (WHATWG HTML, "Server-sent events")."""
        name, data, id = "", list[str](), ""
        while (raw := response.readline(ANSWER_BYTES_MAX)).endswith(b"\n"):
            line = raw.rstrip(b"\r\n").decode(errors="replace")
            member, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if member == "retry" and value.isascii() and value.isdigit():
                self._retry = min(int(value[:9]) / 1_000, RETRY_SECONDS_MAX)
            elif member == "event":
                name = value
            elif member == "data":
                data.append(value)
            elif member == "id":
                id = value
            elif not line:
                told = parse("\n".join(data)) if data else None
                if told is not None and name != "keepalive":
                    yield ServerEvent(text(told, "type") or name, members(told, "payload"), id)
                name, data, id = "", [], ""

    def close(self) -> None:
        """Ends it; whoever waits in it goes on."""
        self._closed.set()
        if self._socket is not None:
            try:
                self._socket.shutdown(socket.SHUT_RDWR)
            except OSError:
                # It is closed already.
                pass

    def __enter__(self) -> Events:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def _later(method: Callable[Concatenate[Admin, P], T]) -> Callable[Concatenate[AsyncAdmin, P], Coroutine[Any, Any, T]]:
    """A call, for asyncio."""

    @functools.wraps(method)
    async def call(self: AsyncAdmin, /, *arguments: P.args, **more: P.kwargs) -> T:
        return await asyncio.to_thread(method, self.admin, *arguments, **more)

    return call


def _each(method: Callable[Concatenate[Admin, P], Iterator[T]]) -> Callable[Concatenate[AsyncAdmin, P], AsyncIterator[T]]:
    """A list in pages, for asyncio."""

    @functools.wraps(method)
    async def call(self: AsyncAdmin, /, *arguments: P.args, **more: P.kwargs) -> AsyncIterator[T]:
        every = method(self.admin, *arguments, **more)
        while some := await asyncio.to_thread(lambda: list(itertools.islice(every, AT_ONCE))):
            for one in some:
                yield one

    return call


class AsyncAdmin:
    """The same for asyncio: each call is awaited, and made on a thread."""

    def __init__(
        self, url: str, token: str | None = None, *, timeout: float = 20.0, ssl: tls.SSLContext | None = None, ca_file: str | None = None
    ) -> None:
        self.admin = Admin(url, token, timeout=timeout, ssl=ssl, ca_file=ca_file)

    call = _later(Admin.call)
    publish = _later(Admin.publish)
    streams = _each(Admin.streams)
    stream = _later(Admin.stream)
    pause = _later(Admin.pause)
    resume = _later(Admin.resume)
    subscribers = _each(Admin.subscribers)
    push = _later(Admin.push)
    push_to_user = _later(Admin.push_to_user)
    push_to_connection = _later(Admin.push_to_connection)
    users = _each(Admin.users)
    user = _later(Admin.user)
    connections = _each(Admin.connections)
    disconnect = _later(Admin.disconnect)
    disconnect_user = _later(Admin.disconnect_user)
    revoke = _later(Admin.revoke)
    rooms = _each(Admin.rooms)
    room = _later(Admin.room)
    put_room = _later(Admin.put_room)
    delete_room = _later(Admin.delete_room)
    members = _each(Admin.members)
    add_member = _later(Admin.add_member)
    remove_member = _later(Admin.remove_member)
    messages = _later(Admin.messages)
    info = _later(Admin.info)
    is_ready = _later(Admin.is_ready)
    metrics = _later(Admin.metrics)

    def events(self, streams: Iterable[str] = (), *, last_id: str = "") -> AsyncEvents:
        """As `Admin.events`."""
        return AsyncEvents(self.admin.events(streams, last_id=last_id))


class AsyncEvents:
    """`Events` for asyncio: `async with admin.events() as events: async for event in events`. Leaving the block closes it.

    They are read by a thread of their own: it waits as long as there is no event.
    """

    def __init__(self, events: Events) -> None:
        self._events = events
        self._threads = ThreadPoolExecutor(1, "parlor-events")
        self._next: asyncio.Future[ServerEvent | None] | None = None

    @property
    def last_id(self) -> str:
        """Of the newest event that came."""
        return self._events.last_id

    def __aiter__(self) -> AsyncIterator[ServerEvent]:
        return self

    async def __anext__(self) -> ServerEvent:
        # Whoever waited, and waits no more, has not taken it.
        if self._next is None:
            self._next = asyncio.get_running_loop().run_in_executor(self._threads, next, self._events, None)
        event = await asyncio.shield(self._next)
        self._next = None
        if event is None:
            raise StopAsyncIteration
        return event

    async def close(self) -> None:
        """Ends it."""
        self._events.close()
        if self._next is not None:
            await asyncio.wait([self._next])
        self._threads.shutdown(wait=False)

    async def __aenter__(self) -> AsyncEvents:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.close()


def _part(name: str) -> str:
    return quote(name, safe="")


def _object(said: bytes) -> dict[str, Any]:
    told = parse(said.decode(errors="replace"))
    if told is None:
        raise ConnectionError("the server's answer is no JSON")
    return told


def _reached(told: Mapping[str, Any]) -> int:
    return number(told, "reached") or 0


def _closed(told: Mapping[str, Any]) -> int:
    return number(told, "closed") or 0


def _refusal(response: http.client.HTTPResponse, said: bytes) -> RequestError | ConnectionError:
    error = as_object((parse(said.decode(errors="replace")) or {}).get("error"))
    if error is None or text(error, "code") is None:
        return ConnectionError(f"the server answers {response.status} {response.reason}")
    return RequestError.read(error)
