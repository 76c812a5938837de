"""The client for asyncio.

    async with parlor.aio.Connection("ws://127.0.0.1:8080/ws?user=ada") as client:
        tea = client.room("tea")
        await tea.join()
        print(await tea.send("Good evening"))

All of it belongs to one loop: nothing is to be called from another thread.
"""

from __future__ import annotations

import asyncio
import inspect
import ssl as tls
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Generic, TypeVar, Union

from ._client import BaseConnection, BaseRoom, BaseTicket, Members, Page, Request, answer_of, engine, report_left, wants, why_not_ready
from ._engine import CallState, Engine, Signal, Subscription, TokenFunction, logger
from ._link import Backoff
from .events import Event, Kept, State, Stored
from .outbox import Outbox

T = TypeVar("T")
E = TypeVar("E")


class Ticket(BaseTicket):
    """A message on its way. Awaiting it gives where it was `Stored`, or raises why it was not.

    A failure that nobody awaits is nobody's error.
    """

    def __await__(self) -> Generator[Any, None, Stored]:
        return self._wait().__await__()

    async def _wait(self) -> Stored:
        await _until(self._state.changed, lambda: not self.status.is_step)
        stored = self._outcome()
        assert stored is not None
        return stored

    async def kept(self) -> None:
        """Waits until the message is in the outbox, if there is one: then the next process sends it, if this does not.

        Raises:
            RequestError: `outbox_failed`.
        """
        await _until(self._state.changed, lambda: self._state.is_kept)
        if self.status.error is not None and self.status.error.code == "outbox_failed":
            raise self.status.error


class Room(BaseRoom):
    """A room."""

    def __init__(self, engine: Engine, handlers: _Handlers, name: str) -> None:
        super().__init__(engine, name)
        self._handlers = handlers

    def send(self, text: str, *, data: Any = None, reply_to: int | None = None, id: str | None = None) -> Ticket:
        """Sends a message, whether or not there is a connection.

        Args:
            text: for people.
            data: any JSON that goes with it.
            reply_to: the entry to which it replies.
            id: an id of the program's own. A message with the id of one that waits is that message, if it says the
                same; else its ticket fails with `conflict`.

        Raises:
            TypeError, ValueError: it can never be sent.
        """
        return Ticket(self._engine, self._send(text, data, reply_to, id))

    async def join(self) -> None:
        """Becomes a member, and stays one across losses. Joining a room that does not exist makes it."""
        await _answer(self._engine, self._join())

    async def leave(self) -> None:
        """Is a member no more."""
        await _answer(self._engine, self._leave())

    async def history(self, *, before: int | None = None, after: int | None = None, limit: int | None = None) -> Page:
        """Reads a part of the log: the newest entries, those before an entry, or those after it."""
        return await self._request(self._history(before, after, limit))

    async def members(self, *, after: str | None = None, limit: int | None = None) -> Members:
        """Who is in it, by user id, behind this one."""
        return await self._request(self._members(after, limit))

    async def edit(self, seq: int, text: str) -> Stored:
        """Gives a message of one's own another text."""
        return await self._request(self._change("chat:edit", seq, text=text))

    async def delete(self, seq: int) -> Stored:
        """Deletes a message."""
        return await self._request(self._change("chat:delete", seq))

    async def react(self, seq: int, emoji: str, is_on: bool = True) -> Stored:
        """Reacts to a message, or no more."""
        return await self._request(self._change("chat:react", seq, emoji=emoji, on=is_on))

    def on(self, kind: type[E], handler: Callable[[E], Union[Awaitable[object], object]]) -> Callable[[], None]:
        """As `Connection.on`, of this room alone."""
        return self._handlers.on(kind, handler, self._is_of)

    def events(self, *kinds: type[E]) -> Events[E]:
        """As `Connection.events`, of this room alone."""
        return Events(self._engine.subscribe(wants(kinds, self._is_of)), self._engine)

    async def _request(self, request: Request[T]) -> T:
        kind, payload, read = request
        return read(await _answer(self._engine, self._ask(kind, payload)))


class Events(Generic[E]):
    """Events, in their order: an asynchronous iterator, which ends when the client does.

    While it takes none, events wait: at first here, then in the client's queue; then rooms stop at their place, and go
    on from there later. So close one that is not read any more, or let go of it.
    """

    def __init__(self, subscription: Subscription, engine: Engine) -> None:
        self._subscription = subscription
        self._engine = engine

    def __aiter__(self) -> AsyncIterator[E]:
        return self

    async def __anext__(self) -> E:
        taken: list[Event] = []

        def take() -> bool:
            event = self._subscription.take()
            if event is not None:
                taken.append(event)
            return event is not None or self._subscription.is_over

        await _until(self._subscription.changed, take)
        if not taken:
            raise StopAsyncIteration
        event: Any = taken[0]
        return event  # type: ignore[no-any-return]

    def close(self) -> None:
        """Takes no more."""
        self._engine.abandon(self._subscription)
        self._subscription.end()

    def __del__(self) -> None:
        self._engine.abandon(self._subscription)


class _Handlers:
    """Calls a program's functions, in a task of their own."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._known: list[tuple[Callable[[Event], bool], Callable[[Any], object]]] = []
        self._task: asyncio.Task[None] | None = None

    def on(self, kind: type[Any], handler: Callable[[Any], object], also: Callable[[Event], bool] | None) -> Callable[[], None]:
        known = (wants((kind,), also), handler)
        self._known.append(known)
        if self._task is None:
            events: Events[Event] = Events(self._engine.subscribe(self._is_wanted), self._engine)
            self._task = asyncio.get_running_loop().create_task(self._dispatch(events))

        def take_away() -> None:
            if known in self._known:
                self._known.remove(known)

        return take_away

    def _is_wanted(self, event: Event) -> bool:
        return any(is_wanted(event) for is_wanted, _ in self._known)

    async def _dispatch(self, events: Events[Event]) -> None:
        async for event in events:
            for is_wanted, handler in list(self._known):
                if not is_wanted(event):
                    continue
                try:
                    outcome = handler(event)
                    if inspect.isawaitable(outcome):
                        await outcome
                except Exception:
                    logger.exception("a handler of %s has failed", type(event).__name__)


class Connection(BaseConnection):
    """A client of a parlor, on the loop that runs: it begins at once, and stays connected until it is closed.

    Args:
        url: `ws://host/ws` or `wss://host/ws`; `?user=` in open mode, `?anonymous=1` for a guest.
        token: who this is: a token, or a function that gets one. It is asked at first (`first`), when the token ends
            (`expiring`) and when the server refuses it (`rejected`), not with each connection; it may be a coroutine
            function. None from it is a guest; `TokenError` stops the client; what else it raises is tried again later.
        user: as whom the server knows this client, if the program knows it before: what an earlier process left in the
            outbox without having known is theirs.
        outbox: where messages are kept until they are on the server's disk.
        backoff: how long it waits between attempts; a random part of 1 s, 2 s, 4 s … 30 s, for ever.
        fatal: close codes after which it does not come back, beside those of the protocol.
        ping_interval: how often the round trip is measured, in seconds; 0 for never.
        ping_timeout: how long the answer to that may take, in seconds, before the server is left.
        timeout: how long any other answer may take, in seconds.
        queue: how many events wait for the program at most.
        headers: further fields of the opening request, as a cookie.
        ssl: how TLS is spoken; the system's authorities, or those of `ca_file` (PEM), are trusted otherwise.
        proxy: `http://host:port` or `socks5://host:port` (which needs `python-socks`); none is taken from the environment.

    Raises:
        ValueError: what can never connect.
        RuntimeError: no loop runs here.
    """

    def __init__(
        self,
        url: str,
        *,
        token: str | TokenFunction | None = None,
        user: str | None = None,
        outbox: Outbox | None = None,
        backoff: Backoff | None = None,
        fatal: Iterable[int] = (),
        ping_interval: float = 5.0,
        ping_timeout: float = 10.0,
        timeout: float = 20.0,
        queue: int = 4_096,
        headers: Mapping[str, str] | None = None,
        ssl: tls.SSLContext | None = None,
        ca_file: Union[str, Path, None] = None,
        proxy: str | None = None,
    ) -> None:
        super().__init__(
            engine(
                url, token=token, token_blocks=False, user=user, outbox=outbox, backoff=backoff, fatal=fatal,
                ping_interval=ping_interval, ping_timeout=ping_timeout, timeout=timeout, queue=queue,
                headers=headers, ssl=ssl, ca_file=ca_file, proxy=proxy,
            )
        )  # fmt: skip
        self._handlers = _Handlers(self._engine)
        self._closing: asyncio.Task[None] | None = None
        self._engine.start()

    def room(self, name: str) -> Room:
        """A room.

        Raises:
            ValueError: nothing can have this name.
        """
        return Room(self._engine, self._handlers, name)

    # --- Waiting ---

    async def ready(self, timeout: float | None = None) -> None:
        """Waits until it is online.

        Args:
            timeout: so many seconds at most; None for ever.

        Raises:
            RequestError: `timeout`; or `closed`, if it is closed or does not try again (`why` says more).
        """
        state = await self.wait_state(lambda state: state.is_online or state.is_over, timeout)
        if state is None or not state.is_online:
            raise why_not_ready(self._engine, state)

    async def wait_state(self, is_wanted: Callable[[State], bool], timeout: float | None = None) -> State | None:
        """Waits until the state is one that is wanted; None if it was none within so many seconds."""
        found: list[State] = []

        def look() -> bool:
            state = self.state
            if is_wanted(state):
                found.append(state)
            return bool(found)

        await _until(self._engine.changed, look, timeout)
        return found[0] if found else None

    async def request(self, type: str, payload: Mapping[str, Any] | None = None, *, timeout: float | None = None) -> dict[str, Any]:
        """Asks the server anything, also a type of the application's own (`docs/handlers.md`).

        While there is no connection it waits for one. Requests keep to the server's rate by themselves.

        Args:
            type: for instance `room:list`.
            payload: its members.
            timeout: in seconds; None for that of the client.

        Raises:
            RequestError: why it was not done.
            TypeError, ValueError: the payload is no JSON.
        """
        return await _answer(self._engine, self._ask(type, payload, timeout))

    # --- Events ---

    def on(self, kind: type[E], handler: Callable[[E], Union[Awaitable[object], object]]) -> Callable[[], None]:
        """Has a function called with each event of a kind; returns what takes it away again.

        Functions are called one after the other, in the events' order, beside what reads the connection: they may call
        and await everything. Coroutine functions are awaited; for what takes long, begin a task. What they raise is
        logged (`parlor`), and they are called with the next event.
        """
        return self._handlers.on(kind, handler, None)

    def events(self, *kinds: type[E]) -> Events[E]:
        """Events of these kinds, or of all, in their order, from now on.

        What came while nobody took any waits for the first who does.
        """
        return Events(self._engine.subscribe(wants(kinds)), self._engine)

    # --- The end ---

    async def close(self, drain: float = 5.0) -> list[Kept]:
        """Closes for good: when all messages are on the server's disk, at the latest after so many seconds.

        It does not wait for messages that were refused, nor while the client has failed or is paused. Returns those
        that were not stored; with an outbox the next process sends them.
        """
        if self._closing is None:
            self._closing = asyncio.get_running_loop().create_task(self._close(drain))
        await asyncio.shield(self._closing)
        return self.unsent()

    async def _close(self, drain: float) -> None:
        await _until(self._engine.changed, lambda: self._engine.is_drained, drain)
        await self._engine.end()

    async def __aenter__(self) -> Connection:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        report_left(await self.close())


async def _answer(engine: Engine, call: CallState) -> dict[str, Any]:
    try:
        await _until(call.changed, lambda: call.answer is not None)
    except BaseException:
        engine.do(lambda core: core.cancel_asked(call.number))
        raise
    return answer_of(engine, call)


async def _until(changed: Signal, holds: Callable[[], bool], timeout: float | None = None) -> bool:
    """Waits until something holds; whether it did within so many seconds."""
    if holds():
        return True
    loop = asyncio.get_running_loop()
    woken = asyncio.Event()

    def wake() -> None:
        # Also from the outbox's thread, and behind the end of the loop.
        try:
            loop.call_soon_threadsafe(woken.set)
        except RuntimeError:
            pass

    number = changed.add(wake)
    end = None if timeout is None else loop.time() + timeout
    try:
        while not holds():
            woken.clear()
            if holds():
                break
            try:
                await asyncio.wait_for(woken.wait(), None if end is None else max(end - loop.time(), 0))
            except asyncio.TimeoutError:
                return holds()
        return True
    finally:
        changed.remove(number)
