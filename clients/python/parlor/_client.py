"""What both shells have: all that does not wait."""

from __future__ import annotations

import logging
import ssl as tls
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, Union
from urllib.parse import parse_qs, urlsplit

from . import _names
from ._core import Core, CoreOptions
from ._engine import CallState, Engine, EngineOptions, TicketState, TokenFunction
from ._link import Backoff, Hint, LinkOptions
from ._rooms import read_entry
from ._streams import WatchOptions
from ._told import flag, integer, number, objects, members, text
from .errors import TOKEN_CODES, RequestError
from .events import Entry, Event, Hello, Kept, Quality, RoomView, State, Status, Step, Stored
from .outbox import Outbox

logger = logging.getLogger("parlor")

E = TypeVar("E")

#: A request, and how its answer is read.
Request = tuple[str, Mapping[str, Any], Callable[[Mapping[str, Any]], E]]


@dataclass(frozen=True)
class Page:
    """A part of a room's log."""

    entries: list[Entry]
    #: The room's newest entry.
    head: int
    #: Whether there are more, in the direction that was asked for.
    more: bool


@dataclass(frozen=True)
class Member:
    """A member of a room."""

    user: str
    #: For people.
    name: str
    is_owner: bool
    #: None if the server tells nobody of anybody.
    is_online: bool | None
    #: How far they have read, and received.
    read: int
    delivered: int


@dataclass(frozen=True)
class Members:
    """A part of a room's members, by user id."""

    members: list[Member]
    #: Whether there are more, behind the last of these.
    more: bool


def _has_token(query: str, headers: Mapping[str, str]) -> bool:
    """Whether the request has a token, which is the same each time: it cannot be had anew."""
    fields = {name.lower(): value for name, value in headers.items()}
    return "token" in parse_qs(query, keep_blank_values=True) or fields.get("authorization", "").lower().startswith("bearer ")


def engine(
    url: str,
    *,
    token: str | TokenFunction | None,
    token_blocks: bool,
    user: str | None,
    outbox: Outbox | None,
    backoff: Backoff | None,
    fatal: Iterable[int],
    ping_interval: float,
    ping_timeout: float,
    timeout: float,
    queue: int,
    headers: Mapping[str, str] | None,
    ssl: tls.SSLContext | None,
    ca_file: Union[str, Path, None],
    proxy: str | None,
) -> Engine:
    """A client that has not begun.

    Raises:
        ValueError: what can never connect: the URL, a name, a number.
        OSError: the file of authorities cannot be read.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("ws", "wss", "http", "https") or not parts.hostname:
        raise ValueError(f"{url!r} is no URL of a WebSocket: it begins with ws:// or wss://, and has a host")
    if parts.username is not None or parts.fragment:
        raise ValueError("a URL of a WebSocket has no user, password or fragment")
    if min(ping_interval, ping_timeout, timeout) < 0 or ping_timeout == 0 or timeout == 0 or queue < 1:
        raise ValueError("ping_interval is from 0 on; ping_timeout, timeout and queue are more than 0")
    if user is not None and ":" in _names.name(user):
        raise ValueError(f"{user!r} is no user id")
    is_secure = parts.scheme in ("wss", "https")
    if is_secure and ssl is None:
        ssl = tls.create_default_context(cafile=str(ca_file) if ca_file is not None else None)
    link = LinkOptions(
        token=token if token is None or isinstance(token, str) else True,
        backoff=backoff or Backoff(),
        fatal=frozenset((*fatal, *(TOKEN_CODES if _has_token(parts.query, headers or {}) else ()))),
        ping_interval_ms=round(ping_interval * 1_000),
        ping_timeout_ms=max(round(ping_timeout * 1_000), 1),
    )
    core = CoreOptions(link, user, max(round(timeout * 1_000), 1), queue)
    function = None if token is None or isinstance(token, str) else token
    return Engine(
        EngineOptions(url, core, function, token_blocks, outbox, dict(headers or {}), ssl if is_secure else None, proxy)
    )


class BaseTicket:
    """A message on its way."""

    def __init__(self, engine: Engine, state: TicketState) -> None:
        self._engine = engine
        self._state = state

    @property
    def id(self) -> str:
        """Its id, the `cid` of the protocol."""
        return self._state.id

    @property
    def status(self) -> Status:
        """What has become of it."""
        return self._state.status

    def cancel(self) -> None:
        """Takes it back, if it was not sent."""
        self._engine.do(lambda core: core.cancel(self.id))

    def retry(self) -> None:
        """Sends it again, if it has failed or expired."""
        self._engine.do(lambda core: core.retry(self.id))

    def _outcome(self) -> Stored | None:
        status = self._state.status
        if status.is_step:
            return None
        if status.stored is not None:
            return status.stored
        raise status.error or RequestError("cancelled")

    def __repr__(self) -> str:
        return f"<Ticket {self.id} {self.status.name}>"


class BaseRoom:
    """A room."""

    def __init__(self, engine: Engine, name: str) -> None:
        self._engine = engine
        #: Its name.
        self.name = _names.name(name)

    @property
    def view(self) -> RoomView:
        """What is known of it: membership, title, what is unread, who types."""
        known = self._engine.look(lambda core: core.room(self.name))
        return known or RoomView("unknown", "", 0, 0, 0, frozenset())

    def resume(self, seq: int) -> None:
        """Has it go on behind an entry, as one that the program has seen before; otherwise it begins with what is new.

        Raises:
            ValueError: that is no number of an entry.
        """
        _names.whole(seq)
        self._engine.do(lambda core: core.go_on_from(self.name, seq))

    def mark_read(self, seq: int | None = None) -> None:
        """Says that the user has read up to this entry; None: all that came. The server is told within a second."""
        if seq is not None:
            _names.whole(seq)
        self._engine.do(lambda core: core.mark_read(self.name, seq))

    def typing(self, is_typing: bool = True) -> None:
        """Says that the user types, or no more; others forget it after 6 s. Nothing is told more often than needed."""
        self._engine.do(lambda core: core.typing(self.name, is_typing))

    def _send(self, text: str, data: Any, reply_to: int | None, id: str | None) -> TicketState:
        text.encode()
        kept = Kept(
            id=id if id is not None else self._engine.new_id(),
            room=self.name,
            text=text,
            data=_names.raw_json(data),
            reply_to=None if reply_to is None else _names.whole(reply_to),
        )
        if not kept.id or len(kept.id.encode()) > 64:
            raise ValueError("a message's id has 1 to 64 bytes")
        return self._engine.send(kept)

    def _join(self) -> CallState:
        return self._engine.call(lambda core, call: core.join(self.name, call))

    def _leave(self) -> CallState:
        return self._engine.call(lambda core, call: core.leave(self.name, call))

    def _history(self, before: int | None, after: int | None, limit: int | None) -> Request[Page]:
        asked = {"before": before, "after": after, "limit": limit}
        payload = {name: _names.whole(value) for name, value in asked.items() if value is not None}

        def read(told: Mapping[str, Any]) -> Page:
            entries = (read_entry(text(one, "type") or "", members(one, "payload")) for one in objects(told, "entries"))
            return Page([entry for entry in entries if entry is not None], number(told, "head") or 0, flag(told, "more"))

        return "chat:history", {"room": self.name, **payload}, read

    def _members(self, after: str | None, limit: int | None) -> Request[Members]:
        payload: dict[str, Any] = {"room": self.name}
        if after is not None:
            payload["after"] = after
        if limit is not None:
            payload["limit"] = limit

        def read(told: Mapping[str, Any]) -> Members:
            return Members([_read_member(one) for one in objects(told, "members")], flag(told, "more"))

        return "room:members", payload, read

    def _change(self, kind: str, seq: int, **more: Any) -> Request[Stored]:
        return kind, {"room": self.name, "seq": _names.whole(seq), **more}, self._stored

    def _stored(self, told: Mapping[str, Any]) -> Stored:
        return Stored(self.name, number(told, "seq") or 0, integer(told, "ts") or 0, flag(told, "duplicate"))

    def _ask(self, kind: str, payload: Mapping[str, Any]) -> CallState:
        return _ask(self._engine, kind, payload, None)

    def _is_of(self, event: Event) -> bool:
        return getattr(event, "room", None) == self.name

    def __repr__(self) -> str:
        return f"<Room {self.name}>"


class BaseConnection:
    """A client: its connection mends itself, what it sends is neither lost nor doubled, its rooms have no holes."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @property
    def state(self) -> State:
        """What it does about its connection."""
        return self._engine.look(lambda core: core.state)

    @property
    def quality(self) -> Quality | None:
        """The round trip, once it was measured."""
        return self._engine.look(lambda core: core.quality)

    @property
    def hello(self) -> Hello | None:
        """What the server has said of itself, once it has."""
        return self._engine.look(lambda core: core.hello)

    def why(self) -> list[Step]:
        """The last 20 changes of the state, oldest first, each with its cause and what is done about it.

        It is the first thing to print when something does not connect.
        """
        return self._engine.look(lambda core: core.why())

    def rooms(self) -> list[str]:
        """The names of the rooms of which something is known."""
        return self._engine.look(lambda core: core.rooms())

    def unsent(self) -> list[Kept]:
        """The messages that are not on the server's disk, with those that were refused (`failed` says why)."""
        return self._engine.look(lambda core: core.unsent())

    def cancel(self, id: str) -> None:
        """Takes back a message of `unsent`, unless it was sent already."""
        self._engine.do(lambda core: core.cancel(id))

    def retry(self, id: str) -> None:
        """Sends a message of `unsent` again that has failed or expired."""
        self._engine.do(lambda core: core.retry(id))

    def retry_now(self) -> None:
        """Connects now, whatever was planned; also after `pause`, and after it has failed. Not after `close`."""

        def retry(core: Core) -> None:
            if core.state.name != "closed":
                core.open("retry_now()")

        self._engine.do(retry)

    def pause(self) -> None:
        """Lets go of the connection until `retry_now`: what is asked meanwhile waits."""
        self._engine.do(lambda core: core.pause("pause()"))

    def hint(self, hint: Hint) -> None:
        """Tells what the program knows of the network or the machine: `online`, `offline`, `sleep` or `wake`."""
        self._engine.do(lambda core: core.hint(hint))

    def watch_presence(self) -> None:
        """Has who is online told, as `Presence`."""
        self._engine.do(lambda core: core.watch_presence())

    def watch(self, stream: str, *, filter: Mapping[str, Any] | None = None, max_rate: int | None = None) -> None:
        """Watches a stream: `StreamEvent`, `StreamGap`, `StreamStale`, `StreamRefused`. It goes on after each loss.

        Args:
            stream: its name.
            filter: which events, as JSON pointers and values (`docs/streams.md`).
            max_rate: most events a second.

        Raises:
            ValueError: nothing can have this name, or the filter is no JSON.
        """
        _names.name(stream)
        options = WatchOptions(None if filter is None else _names.payload(filter), max_rate)
        self._engine.do(lambda core: core.watch(stream, options))

    def unwatch(self, stream: str) -> None:
        """Watches it no more."""
        self._engine.do(lambda core: core.watch(stream, None))

    def say(self, type: str, payload: Mapping[str, Any] | None = None) -> bool:
        """Says something that wants no answer, and is worth nothing later: now or never; whether it was sent."""
        raw = _names.payload(payload)
        return self._engine.do(lambda core: core.say(type, raw))

    def _ask(self, type: str, payload: Mapping[str, Any] | None, timeout: float | None) -> CallState:
        return _ask(self._engine, type, payload, timeout)

    def __repr__(self) -> str:
        return f"<{type(self).__module__}.Connection {self.state.name}>"


def _ask(engine: Engine, kind: str, payload: Mapping[str, Any] | None, timeout: float | None) -> CallState:
    kind.encode()
    raw = _names.payload(payload)
    timeout_ms = None if timeout is None else max(round(timeout * 1_000), 1)
    return engine.call(lambda core, call: core.ask(call, kind, raw, timeout_ms))


def answer_of(engine: Engine, call: CallState) -> dict[str, Any]:
    """What a request has come to.

    Raises:
        RequestError: it was refused, or has no answer: if there is no connection, with what keeps it away.
    """
    answer = call.answer
    if isinstance(answer, RequestError):
        raise _late(engine, answer.message) if answer.code == "timeout" else answer
    assert answer is not None
    return answer


def _late(engine: Engine, what: str) -> RequestError:
    state, steps = engine.look(lambda core: (core.state, core.why()))
    cause = next((step.cause for step in reversed(steps) if step.state == "waiting"), None)
    return RequestError("timeout", what if state.is_online or cause is None else f"{what}; no connection: {cause}")


def why_not_ready(engine: Engine, state: State | None) -> RequestError:
    """Why a client is not online: its state, or None if that was not in time."""
    if state is None:
        return _late(engine, "the client is not online in time")
    why = f" ({state.code}): {state.reason}" if state.name == "failed" else ""
    return RequestError("closed", f"the client is {state.name}{why}")


def report_left(left: list[Kept]) -> None:
    """What a `with` block leaves is told in the log: nobody sees what `close` returns there."""
    if left:
        first = left[0]
        why = f"refused as {first.failed}" if first.failed else "not stored yet"
        logger.warning("the end of the block leaves messages unsent: %d; the first, to %s, is %s", len(left), first.room, why)


def _read_member(told: Mapping[str, Any]) -> Member:
    user = text(told, "user") or ""
    online = told.get("online")
    return Member(
        user=user,
        name=text(told, "name") or user,
        is_owner=text(told, "role") == "owner",
        is_online=online if isinstance(online, bool) else None,
        read=number(told, "read") or 0,
        delivered=number(told, "delivered") or 0,
    )


def wants(kinds: tuple[type[Any], ...], also: Callable[[Event], bool] | None = None) -> Callable[[Event], bool]:
    """Which events are of these kinds; all, if there are none."""

    def is_wanted(event: Event) -> bool:
        return (not kinds or isinstance(event, kinds)) and (also is None or also(event))

    return is_wanted
