"""What a client decides: states of its connection, requests, messages on their way, rooms, streams, presence.

It has no I/O, no clock and no threads: `at` says what time it is, the other methods what has happened, and `take` has
what is to be done about it. Its names, states, codes and defaults are those of the clients in JavaScript and Rust.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ._desk import Answer, Desk, Effect, Now
from ._link import Hint, Link, LinkOptions
from ._outbox import Unsent
from ._presence import People
from ._requests import Requests, Result, Urgency
from ._rooms import ROOMS_PER_REQUEST, Rooms
from ._streams import Streams, WatchOptions
from ._told import flag, integer, members, number, parse, text, texts
from .errors import RequestError
from .events import Hello, Kept, Push, Quality, Refusal, RoomView, State, Step


@dataclass(frozen=True)
class CoreOptions:
    """How a client behaves."""

    link: LinkOptions = field(default_factory=LinkOptions)
    #: As whom the server knows this client, if the program knows it: what an earlier process left unsent without having
    #: known is theirs.
    user: str | None = None
    #: How long an answer may take.
    timeout_ms: int = 20_000
    #: How many events wait for the program at most.
    queue: int = 4_096


class Core:
    """A client without its sockets, clock and threads. `seed` decides its waits."""

    def __init__(self, options: CoreOptions, seed: int) -> None:
        self._desk = Desk(options.queue, seed)
        self._requests = Requests(self._desk, options.timeout_ms)
        self._unsent = Unsent(self._desk, self._requests, options.user)
        self._rooms = Rooms(self._desk, self._requests, self._unsent)
        self._streams = Streams(self._desk, self._requests)
        self._people = People(self._desk, self._requests)
        self._link = Link(self._desk, self._requests, options.link, self)
        self._hello: Hello | None = None
        #: Whose is what is here, once that is known; guests are one.
        self._owner: tuple[str | None] | None = None
        #: The life of the store to which all positions belong.
        self._epoch: str | None = None
        #: Between `hello` and being online: rooms of which the server has not said where they go on.
        self._greeting: deque[list[str]] | None = None

    # --- The time, and what is to be done ---

    def at(self, now: Now) -> None:
        """What follows happens now."""
        self._desk.now = now

    def take(self) -> list[Effect]:
        """What is to be done, in this order."""
        effects, self._desk.effects = self._desk.effects, []
        return effects

    def deadline(self) -> int | None:
        """When `time` is due, on the clock of `Now.ms`; None for never."""
        return self._desk.deadlines.next()

    def time(self) -> None:
        """Time has passed: what is due is done."""
        while (action := self._desk.deadlines.take_due(self._desk.now.ms)) is not None:
            action()

    # --- What is known ---

    @property
    def state(self) -> State:
        """What it does about its connection."""
        return self._link.state

    @property
    def quality(self) -> Quality | None:
        """The round trip, once it was measured."""
        return self._link.quality

    @property
    def hello(self) -> Hello | None:
        """What the server has said of itself, once it has."""
        return self._hello

    def why(self) -> list[Step]:
        """The last 20 changes of the state, oldest first, each with its cause and what is done about it."""
        return list(self._link.steps)

    def room(self, name: str) -> RoomView | None:
        """What is known of a room."""
        return self._rooms.view(name)

    def rooms(self) -> list[str]:
        """The names of the rooms of which something is known."""
        return self._rooms.names()

    def unsent(self) -> list[Kept]:
        """The messages that are not acknowledged, of whoever is here, room by room in their order."""
        return list(self._unsent.all())

    @property
    def is_drained(self) -> bool:
        """Whether nothing is on its way that arrives without the program's doing something about it."""
        tries = not self.state.is_over and self.state.name != "paused"
        return not (tries and self._unsent.is_waiting(self._owner is not None))

    def has_unsent(self, id: str) -> bool:
        """Whether a message is among those, or another user's."""
        return self._unsent.has(id)

    def repeats(self, kept: Kept) -> bool:
        """Whether it is one of those, and no other message of the same id."""
        return self._unsent.repeats(kept)

    # --- The connection ---

    def open(self, cause: str) -> None:
        """The program wants a connection now, whatever was planned; also after `pause`, `close` and a failure."""
        self._link.open(cause)

    def pause(self, reason: str) -> None:
        """It wants none for now."""
        self._link.pause(reason)

    def close(self) -> None:
        """It wants none any more."""
        self._link.close()

    def hint(self, hint: Hint) -> None:
        """It knows something of the network or the machine."""
        self._link.hint(hint)

    def token_given(self, serial: int, given: str | Exception | None) -> None:
        """The token's source has answered: a token, None for a guest, or why there is none."""
        self._link.token_given(serial, given)

    def dialled(self, serial: int) -> None:
        """The WebSocket is open."""
        self._link.dialled(serial)

    def lost(self, serial: int, code: int | None, reason: str, retry_after_ms: int | None = None) -> None:
        """The connection ended, or could not be opened. `retry_after_ms` is what the server asked for."""
        if serial == self._link.serial:
            self._link.lost(code, reason, retry_after_ms)

    # --- What comes ---

    def text(self, serial: int, raw: str) -> None:
        """A text message came."""
        if serial != self._link.serial:
            return
        self._link.hears()
        told = parse(raw)
        kind = None if told is None else text(told, "type")
        if told is None or kind is None:
            return self._link.lost(None, "what came is no message of the protocol")
        payload = members(told, "payload")
        if kind == "hello":
            self._welcomed(payload)
        elif kind == "reply":
            self._requests.settle(number(told, "id"), payload)
        elif kind == "error":
            error = RequestError.read(payload)
            self._link.refused(error)
            self._requests.settle(number(told, "id"), error)
            if told.get("id") is None:
                self._desk.tell_or_leave_out(Refusal(error))
        elif not self._pushed(kind, payload):
            self._desk.tell_or_leave_out(Push(kind, payload))

    def bytes(self, serial: int, raw: bytes) -> None:
        """A message of bytes came."""
        if serial == self._link.serial:
            self._link.hears()
            self._streams.hears_bytes(raw)

    def _pushed(self, kind: str, payload: dict[str, Any]) -> bool:
        """A push came; whether all about it is told."""
        if kind in ("event", "stream:stale"):
            return self._streams.told(payload)
        if kind in ("user:online", "user:offline", "user:count"):
            return self._people.told(kind, payload)
        if kind == "notice":
            self._link.noticed(payload)
            if text(payload, "code") == "unsubscribed":
                for name in texts(payload, "streams"):
                    self._streams.ended(name, text(payload, "message") or "")
            return False
        return self._rooms.told(kind, payload)

    # --- Between `hello` and being online (`docs/protocol.md`, "Resuming") ---

    def _welcomed(self, payload: Mapping[str, Any]) -> None:
        hello = _read_hello(payload)
        if hello is None:
            return self._link.lost(None, "the server's hello cannot be read")
        if self._desk.is_online or self._greeting is not None:
            return
        self._link.greeted(hello.heartbeat_ms)
        self._requests.begin(hello.limits)
        before, self._owner = self._owner, (None if hello.is_guest else hello.user,)
        if before is not None and before != self._owner:
            # Nothing that one person has asked for or read is done in the name of another.
            self._rooms.forget_user()
            self._requests.end("cancelled")
            self._streams.forget_user()
        is_new_epoch = self._epoch is not None and self._epoch != hello.epoch
        self._epoch, self._hello = hello.epoch, hello
        self._greeting = deque()
        self._rooms.greeted(hello, is_new_epoch)
        self._paged(payload)

    def _ask_now(self, kind: str, payload: dict[str, Any], answered: Any) -> None:
        """Asks what must be known before it is online: a refusal ends the connection."""

        def heard(result: Result) -> None:
            if self._greeting is None:
                return
            if isinstance(result, RequestError):
                return self._link.lost(None, str(result), result.retry_after_ms)
            answered(result)

        self._requests.ask(kind, payload, heard, urgency=Urgency.NOW)

    def _paged(self, page: Mapping[str, Any]) -> None:
        """A page of the user's rooms came."""
        self._rooms.listed(page)
        after = text(page, "after")
        if after is not None:
            return self._ask_now("info", {"after": after}, self._paged)
        known = self._rooms.all_listed()
        # All that comes from here on is newer than `hello`.
        assert self._owner is not None
        self._unsent.own(self._owner[0])
        if self._owner[0] is None:
            # Guests are in no room, and may not even send a `resume`.
            return self._go_online()
        pieces = [known[at : at + ROOMS_PER_REQUEST] for at in range(0, len(known), ROOMS_PER_REQUEST)]
        self._greeting = deque(pieces or [[]])
        self._resume_next()

    def _resume_next(self) -> None:
        if not self._greeting:
            return self._go_online()
        piece = self._greeting.popleft()
        more = bool(self._greeting)
        payload = {"epoch": self._epoch, "rooms": self._rooms.positions(piece), "more": more}

        def resumed(answer: Mapping[str, Any]) -> None:
            self._rooms.resumed(piece, members(answer, "rooms"), members(answer, "refused"))
            self._resume_next()

        self._ask_now("resume", payload, resumed)

    def _go_online(self) -> None:
        self._greeting = None
        self._link.go_online()

    # --- What becomes of the connection: `Follower` ---

    def opened(self) -> None:
        """It is online."""
        self._unsent.write_all()
        self._streams.settle_all()
        self._people.list()
        self._rooms.join_wanted()

    def gone(self) -> None:
        """It is another, or gone."""
        self._greeting = None
        self._people.lose()
        self._streams.lose()

    # --- What the program wants ---

    def taken(self, count: int) -> None:
        """The program has taken so many events."""
        self._desk.taken(count)
        self._link.taken()
        self._desk.tell_left_out()
        self._rooms.taken()
        self._people.taken()
        self._streams.taken()

    def left(self, kept: Iterable[Kept]) -> None:
        """Messages that an earlier process left unsent, in their order."""
        self._unsent.left(list(kept))

    def send(self, kept: Kept) -> None:
        """A message is to be sent."""
        self._unsent.send(kept)

    def cancel(self, id: str) -> None:
        """One is not to be sent, if that is still possible."""
        self._unsent.cancel(id)

    def retry(self, id: str) -> None:
        """One that has failed is to be sent again."""
        self._unsent.retry(id)

    def join(self, room: str, call: int) -> None:
        """The user wants to be in a room."""
        if self.state.is_over:
            return self._answer(call, RequestError("closed"))
        self._rooms.join(room, call, lambda result: self._answer(call, result))

    def leave(self, room: str, call: int) -> None:
        """The user wants to be in it no more."""
        self._rooms.leave(room)
        self.ask(call, "room:leave", {"room": room})

    def go_on_from(self, room: str, seq: int) -> None:
        """The program wants what is behind an entry of a room."""
        self._rooms.go_on_from(room, seq)

    def mark_read(self, room: str, seq: int | None) -> None:
        """The user has read so far; None for all that came."""
        self._rooms.mark_read(room, seq)

    def typing(self, room: str, is_typing: bool) -> None:
        """The user types, or no more."""
        self._rooms.types(room, is_typing)

    def watch(self, stream: str, options: WatchOptions | None) -> None:
        """A stream is to be watched, or no more."""
        self._streams.watch(stream, options)

    def watch_presence(self) -> None:
        """Who is online is to be told."""
        self._people.watch()

    def ask(self, call: int, kind: str, payload: Mapping[str, Any] | str, timeout_ms: int | None = None) -> None:
        """The program asks something; without a connection that could come, it is answered at once."""
        if self.state.is_over:
            return self._answer(call, RequestError("closed"))
        self._requests.ask(kind, payload, lambda result: self._answer(call, result), timeout_ms=timeout_ms, call=call)

    def cancel_asked(self, call: int) -> None:
        """The program does not want the answer any more."""
        self._requests.cancel(call)

    def say(self, kind: str, payload: Mapping[str, Any] | str) -> bool:
        """The program says something that wants no answer, now or never; whether it was sent."""
        return self._requests.say(kind, payload)

    def _answer(self, call: int, result: Result) -> None:
        self._desk.do(Answer(call, result))


def _read_hello(payload: Mapping[str, Any]) -> Hello | None:
    user = members(payload, "user")
    id, epoch = text(user, "id"), text(payload, "epoch")
    if id is None or epoch is None:
        return None
    limits = members(payload, "limits")
    known = {name: limit for name in limits if (limit := number(limits, name)) is not None}
    return Hello(
        server=text(payload, "server") or "",
        connection=text(payload, "connection") or "",
        epoch=epoch,
        ts=integer(payload, "ts") or 0,
        user=id,
        name=text(user, "name") or "",
        is_admin=flag(user, "admin"),
        is_guest=flag(user, "anonymous"),
        heartbeat_ms=number(payload, "heartbeat_ms") or 0,
        limits=known,
        is_durable=text(payload, "durability") == "disk",
    )
