"""The client for programs with threads.

    with parlor.sync.Connection("ws://127.0.0.1:8080/ws?user=ada") as client:
        tea = client.room("tea")
        tea.join()
        print(tea.send("Good evening").wait())

All of it may be called from every thread, also at once. A client has a thread of its own for its connection, and one
for the program's functions, once there are some.
"""

from __future__ import annotations

import asyncio
import ssl as tls
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Generic, TypeVar, Union

from ._client import BaseConnection, BaseRoom, BaseTicket, Members, Page, Request, answer_of, engine, report_left, wants, why_not_ready
from ._engine import CallState, Engine, Signal, Subscription, logger
from ._link import Backoff
from .errors import RequestError
from .events import Event, Kept, State, Stored, TokenReason
from .outbox import Outbox

T = TypeVar("T")
E = TypeVar("E")

#: How long a function of the program's that runs is waited for at the end, in seconds.
HANDLER_SECONDS = 5.0


class Ticket(BaseTicket):
    """A message on its way."""

    def wait(self, timeout: float | None = None) -> Stored:
        """Waits until the message is on the server's disk, or never will be.

        Args:
            timeout: so many seconds at most; None for ever. The message goes on its way behind that.

        Raises:
            RequestError: why it was refused; `timeout`, if it is still on its way.
        """
        if not _until(self._state.changed, lambda: not self.status.is_step, timeout):
            raise RequestError("timeout")
        stored = self._outcome()
        assert stored is not None
        return stored


class Room(BaseRoom):
    """A room."""

    def __init__(self, engine: Engine, handlers: _Handlers, name: str) -> None:
        super().__init__(engine, name)
        self._handlers = handlers

    def send(self, text: str, *, data: Any = None, reply_to: int | None = None, id: str | None = None) -> Ticket:
        """Sends a message, whether or not there is a connection. With an outbox it is in there when this returns.

        Args:
            text: for people.
            data: any JSON that goes with it.
            reply_to: the entry to which it replies.
            id: an id of the program's own. A message with the id of one that waits is that message, if it says the
                same; else its ticket fails with `conflict`.

        Raises:
            TypeError, ValueError: it can never be sent.
        """
        state = self._send(text, data, reply_to, id)
        _until(state.changed, lambda: state.is_kept or not state.status.is_step)
        return Ticket(self._engine, state)

    def join(self) -> None:
        """Becomes a member, and stays one across losses. Joining a room that does not exist makes it."""
        _answer(self._engine, self._join())

    def leave(self) -> None:
        """Is a member no more."""
        _answer(self._engine, self._leave())

    def history(self, *, before: int | None = None, after: int | None = None, limit: int | None = None) -> Page:
        """Reads a part of the log: the newest entries, those before an entry, or those after it."""
        return self._request(self._history(before, after, limit))

    def members(self, *, after: str | None = None, limit: int | None = None) -> Members:
        """Who is in it, by user id, behind this one."""
        return self._request(self._members(after, limit))

    def edit(self, seq: int, text: str) -> Stored:
        """Gives a message of one's own another text."""
        return self._request(self._change("chat:edit", seq, text=text))

    def delete(self, seq: int) -> Stored:
        """Deletes a message."""
        return self._request(self._change("chat:delete", seq))

    def react(self, seq: int, emoji: str, is_on: bool = True) -> Stored:
        """Reacts to a message, or no more."""
        return self._request(self._change("chat:react", seq, emoji=emoji, on=is_on))

    def on(self, kind: type[E], handler: Callable[[E], object]) -> Callable[[], None]:
        """As `Connection.on`, of this room alone."""
        return self._handlers.on(kind, handler, self._is_of)

    def events(self, *kinds: type[E]) -> Events[E]:
        """As `Connection.events`, of this room alone."""
        return Events(self._engine.subscribe(wants(kinds, self._is_of)), self._engine)

    def _request(self, request: Request[T]) -> T:
        kind, payload, read = request
        return read(_answer(self._engine, self._ask(kind, payload)))


class Events(Generic[E]):
    """Events, in their order: an iterator, which ends when the client does.

    While it takes none, events wait: at first here, then in the client's queue; then rooms stop at their place, and go
    on from there later. So close one that is not read any more, or let go of it.
    """

    def __init__(self, subscription: Subscription, engine: Engine) -> None:
        self._subscription = subscription
        self._engine = engine

    def __iter__(self) -> Iterator[E]:
        return self

    def __next__(self) -> E:
        event = self._take(None)
        if event is None:
            raise StopIteration
        return event

    def take(self, timeout: float | None = None) -> E | None:
        """The next event; None if none came within so many seconds, or the client has ended."""
        return self._take(timeout)

    def _take(self, timeout: float | None) -> E | None:
        taken: list[Any] = []

        def take() -> bool:
            event = self._subscription.take()
            if event is not None:
                taken.append(event)
            return event is not None or self._subscription.is_over

        _until(self._subscription.changed, take, timeout)
        event: E | None = taken[0] if taken else None
        return event

    def close(self) -> None:
        """Takes no more; whoever waits in it goes on."""
        self._engine.abandon(self._subscription)
        self._subscription.end()

    def __del__(self) -> None:
        self._engine.abandon(self._subscription)


class _Handlers:
    """Calls a program's functions, on a thread of their own."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lock = threading.Lock()
        self._known: list[tuple[Callable[[Event], bool], Callable[[Any], object]]] = []
        self._thread: threading.Thread | None = None

    def on(self, kind: type[Any], handler: Callable[[Any], object], also: Callable[[Event], bool] | None) -> Callable[[], None]:
        known = (wants((kind,), also), handler)
        with self._lock:
            self._known.append(known)
            if self._thread is None:
                events: Events[Event] = Events(self._engine.subscribe(self._is_wanted), self._engine)
                self._thread = threading.Thread(target=self._run, args=(events,), name="parlor-handlers", daemon=True)
                self._thread.start()

        def take_away() -> None:
            with self._lock:
                if known in self._known:
                    self._known.remove(known)

        return take_away

    def _is_wanted(self, event: Event) -> bool:
        return any(is_wanted(event) for is_wanted, _ in list(self._known))

    def _run(self, events: Events[Event]) -> None:
        for event in events:
            with self._lock:
                known = list(self._known)
            for is_wanted, handler in known:
                if not is_wanted(event):
                    continue
                try:
                    handler(event)
                except Exception:
                    logger.exception("a handler of %s has failed", type(event).__name__)

    def join(self) -> None:
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(HANDLER_SECONDS)


class Connection(BaseConnection):
    """A client of a parlor: it begins at once, and stays connected until it is closed.

    Args:
        url: `ws://host/ws` or `wss://host/ws`; `?user=` in open mode, `?anonymous=1` for a guest.
        token: who this is: a token, or a function that gets one. It is asked at first (`first`), when the token ends
            (`expiring`) and when the server refuses it (`rejected`), not with each connection, on a thread of its own:
            it may block. None from it is a guest; `TokenError` stops the client; what else it raises is tried again
            later.
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
    """

    def __init__(
        self,
        url: str,
        *,
        token: str | Callable[[TokenReason], str | None] | None = None,
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
                url, token=token, token_blocks=True, user=user, outbox=outbox, backoff=backoff, fatal=fatal,
                ping_interval=ping_interval, ping_timeout=ping_timeout, timeout=timeout, queue=queue,
                headers=headers, ssl=ssl, ca_file=ca_file, proxy=proxy,
            )
        )  # fmt: skip
        self._handlers = _Handlers(self._engine)
        self._loop = asyncio.new_event_loop()
        self._closing = threading.Lock()
        begun, failed = threading.Event(), list[BaseException]()

        def begin() -> None:
            try:
                self._engine.start()
            except BaseException as error:
                failed.append(error)
                self._loop.stop()
            begun.set()

        def run() -> None:
            asyncio.set_event_loop(self._loop)
            self._loop.call_soon(begin)
            self._loop.run_forever()
            self._loop.close()

        self._thread = threading.Thread(target=run, name="parlor-connection", daemon=True)
        self._thread.start()
        begun.wait()
        if failed:
            self._thread.join()
            raise failed[0]

    def room(self, name: str) -> Room:
        """A room.

        Raises:
            ValueError: nothing can have this name.
        """
        return Room(self._engine, self._handlers, name)

    # --- Waiting ---

    def ready(self, timeout: float | None = None) -> None:
        """Waits until it is online.

        Args:
            timeout: so many seconds at most; None for ever.

        Raises:
            RequestError: `timeout`; or `closed`, if it is closed or does not try again (`why` says more).
        """
        state = self.wait_state(lambda state: state.is_online or state.is_over, timeout)
        if state is None or not state.is_online:
            raise why_not_ready(self._engine, state)

    def wait_state(self, is_wanted: Callable[[State], bool], timeout: float | None = None) -> State | None:
        """Waits until the state is one that is wanted; None if it was none within so many seconds."""
        found: list[State] = []

        def look() -> bool:
            state = self.state
            if is_wanted(state):
                found.append(state)
            return bool(found)

        _until(self._engine.changed, look, timeout)
        return found[0] if found else None

    def request(self, type: str, payload: Mapping[str, Any] | None = None, *, timeout: float | None = None) -> dict[str, Any]:
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
        return _answer(self._engine, self._ask(type, payload, timeout))

    # --- Events ---

    def on(self, kind: type[E], handler: Callable[[E], object]) -> Callable[[], None]:
        """Has a function called with each event of a kind; returns what takes it away again.

        Functions are called one after the other, in the events' order, on one thread beside that of the connection:
        they may call everything here, and wait for it. What they raise is logged (`parlor`), and they are called with
        the next event.
        """
        return self._handlers.on(kind, handler, None)

    def events(self, *kinds: type[E]) -> Events[E]:
        """Events of these kinds, or of all, in their order, from now on.

        What came while nobody took any waits for the first who does.
        """
        return Events(self._engine.subscribe(wants(kinds)), self._engine)

    # --- The end ---

    def close(self, drain: float = 5.0) -> list[Kept]:
        """Closes for good: when all messages are on the server's disk, at the latest after so many seconds.

        It does not wait for messages that were refused, nor while the client has failed or is paused. Returns those
        that were not stored; with an outbox the next process sends them. Behind it no function of the program's is
        called, but one that runs for more than 5 s.
        """
        _until(self._engine.changed, lambda: self._engine.is_ended or self._engine.is_drained, drain)
        with self._closing:
            if not self._engine.is_ended:
                asyncio.run_coroutine_threadsafe(self._engine.end(), self._loop).result()
                self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._handlers.join()
        return self.unsent()

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        report_left(self.close())


def _answer(engine: Engine, call: CallState) -> dict[str, Any]:
    try:
        _until(call.changed, lambda: call.answer is not None)
    except BaseException:
        engine.do(lambda core: core.cancel_asked(call.number))
        raise
    return answer_of(engine, call)


def _until(changed: Signal, holds: Callable[[], bool], timeout: float | None = None) -> bool:
    """Waits until something holds; whether it did within so many seconds."""
    if holds():
        return True
    woken = threading.Event()
    number = changed.add(woken.set)
    end = None if timeout is None else time.monotonic() + timeout
    try:
        while not holds():
            woken.clear()
            if holds():
                return True
            left = None if end is None else end - time.monotonic()
            if left is not None and left <= 0:
                return False
            woken.wait(left)
        return True
    finally:
        changed.remove(number)
