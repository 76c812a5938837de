"""Gives a core its sockets, its clock and its outbox, on a loop of asyncio's; the two shells are in front of it.

Its methods may be called from every thread. What they want done is done on the loop's thread.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import os
import queue
import random
import ssl
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar, Union
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from ._core import Core, CoreOptions
from ._desk import Answer, AskToken, Dial, Drop, Forget, Keep, Now, Tell, TicketIs, Transmit
from ._outbox import message_id
from ._told import parse, text, members
from .errors import RequestError
from .events import Event, Kept, Status, TokenReason
from .outbox import Change, Outbox

T = TypeVar("T")

logger = logging.getLogger("parlor")

#: What says who this is, when it is asked; it may be a coroutine function.
TokenFunction = Callable[[TokenReason], Union[str, None, Awaitable[Union[str, None]]]]

#: The largest message that is taken, in bytes: a page of the largest entries is smaller.
MESSAGE_BYTES_MAX = 64 * 1024 * 1024
#: How long the end of a connection is waited for, in seconds.
HANG_UP_SECONDS = 1.0
#: How many events wait in each place that takes events, beside the queue of all.
EVENTS_WAITING = 64


@dataclass(frozen=True)
class EngineOptions:
    """How a client connects."""

    url: str
    core: CoreOptions
    token: TokenFunction | None = None
    #: Whether that function may wait: then it runs on a thread of its own.
    token_blocks: bool = False
    outbox: Outbox | None = None
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    ssl: ssl.SSLContext | None = None
    proxy: str | None = None


class Signal:
    """Tells those who wait that something has changed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: dict[int, Callable[[], None]] = {}
        self._last = 0

    def add(self, wake: Callable[[], None]) -> int:
        with self._lock:
            self._last += 1
            self._waiting[self._last] = wake
            return self._last

    def remove(self, number: int) -> None:
        with self._lock:
            self._waiting.pop(number, None)

    def send(self) -> None:
        with self._lock:
            waiting = list(self._waiting.values())
        for wake in waiting:
            wake()


class TicketState:
    """What has become of a message."""

    def __init__(self, id: str, status: Status) -> None:
        self.id = id
        self.status = status
        #: Whether it is in the outbox, or need not be.
        self.is_kept = False
        self.changed = Signal()

    def set(self, status: Status) -> None:
        self.status = status
        self.changed.send()

    def set_kept(self) -> None:
        self.is_kept = True
        self.changed.send()


class CallState:
    """What has become of a request."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.answer: dict[str, Any] | RequestError | None = None
        self.changed = Signal()

    def set(self, answer: dict[str, Any] | RequestError) -> None:
        self.answer = answer
        self.changed.send()


class Subscription:
    """A place that takes events: at most `EVENTS_WAITING` wait in it."""

    def __init__(self, engine: Engine, wants: Callable[[Event], bool]) -> None:
        self._engine = engine
        self.wants = wants
        self.events: deque[Event] = deque()
        self.is_over = False
        #: Nobody has it any more.
        self.is_abandoned = False
        self.changed = Signal()

    @property
    def is_full(self) -> bool:
        return len(self.events) >= EVENTS_WAITING

    def take(self) -> Event | None:
        """The next event, if one is there."""
        try:
            event = self.events.popleft()
        except IndexError:
            return None
        self._engine.distribute_soon()
        return event

    def end(self) -> None:
        self.is_over = True
        self.changed.send()


class _Link:
    """A WebSocket, and what waits to be sent on it."""

    def __init__(self) -> None:
        self.socket: ClientConnection | None = None
        self.outgoing: deque[str] = deque()
        self.has_more = asyncio.Event()
        self.task: asyncio.Task[None] | None = None


class Engine:
    """A client on a loop."""

    def __init__(self, options: EngineOptions) -> None:
        self._options = options
        self._core = Core(options.core, random.SystemRandom().getrandbits(64))
        self._lock = threading.RLock()
        self._process = os.getpid()
        self._effects: deque[Any] = deque()
        self._is_running = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = 0
        self._timer: asyncio.TimerHandle | None = None
        #: For when that is set.
        self._due: int | None = None
        self._links: dict[int, _Link] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        #: Those that end a connection.
        self._hanging_up: set[asyncio.Task[None]] = set()
        self._calls: dict[int, CallState] = {}
        self._last_call = 0
        self._last_message = 0
        self._tickets: dict[str, TicketState] = {}
        self._told: deque[Event] = deque()
        self._subscriptions: list[Subscription] = []
        self._writer = _OutboxWriter(self, options.outbox) if options.outbox is not None else None
        #: Ids of messages that are in the outbox, or are not because it could not be written.
        self._kept: set[str] = set()
        self._unkept: set[str] = set()
        self.is_ended = False
        #: The state has changed, or what is unsent.
        self.changed = Signal()

    # --- The core, from any thread ---

    def do(self, call: Callable[[Core], T]) -> T:
        """Has the core do something now; what it wants done is done on the loop's thread."""
        self._check_process()
        with self._lock:
            self._core.at(Now(int(time.monotonic() * 1_000), int(time.time() * 1_000)))
            result = call(self._core)
            self._effects.extend(self._core.take())
        self._wake()
        return result

    def look(self, call: Callable[[Core], T]) -> T:
        """Looks at the core."""
        self._check_process()
        with self._lock:
            return call(self._core)

    def _check_process(self) -> None:
        if os.getpid() != self._process:
            raise RuntimeError("this client belongs to the process that began it: begin one behind the fork")

    def _wake(self) -> None:
        loop = self._loop
        if loop is None or self.is_ended or threading.get_ident() == self._thread:
            self._run_effects()
            return
        try:
            loop.call_soon_threadsafe(self._run_effects)
        except RuntimeError:
            # It has just been closed.
            self._run_effects()

    def send(self, kept: Kept) -> TicketState:
        """Sends a message. A repeat of one that is not on the server's disk is that one."""

        def send(core: Core) -> TicketState:
            if core.state.is_over:
                return TicketState(kept.id, Status("failed", error=RequestError("closed")))
            if core.has_unsent(kept.id):
                if not core.repeats(kept):
                    return TicketState(kept.id, Status("failed", error=RequestError("conflict")))
                # An earlier process has left it, if nobody here has sent it.
                state = self._tickets.setdefault(kept.id, TicketState(kept.id, Status("queued")))
                core.retry(kept.id)
                return state
            state = TicketState(kept.id, Status("queued"))
            state.is_kept = self._writer is None
            self._tickets[kept.id] = state
            core.send(kept)
            return state

        return self.do(send)

    def new_id(self) -> str:
        """An id for a message that no other client of the same user has."""
        with self._lock:
            self._last_message += 1
            return message_id(int(time.time() * 1_000), self._last_message, random.SystemRandom())

    def call(self, begin: Callable[[Core, int], None]) -> CallState:
        """Asks something; `begin` is handed the call's number."""

        def ask(core: Core) -> CallState:
            self._last_call += 1
            state = CallState(self._last_call)
            self._calls[state.number] = state
            begin(core, state.number)
            return state

        return self.do(ask)

    # --- Events ---

    def subscribe(self, wants: Callable[[Event], bool]) -> Subscription:
        subscription = Subscription(self, wants)
        with self._lock:
            self._subscriptions.append(subscription)
            if self.is_ended:
                subscription.is_over = True
        self.distribute_soon()
        return subscription

    def abandon(self, subscription: Subscription) -> None:
        """Nobody takes from it any more. It takes no lock: also for what is called when memory is freed."""
        subscription.is_abandoned = True
        loop = self._loop
        if loop is not None and not self.is_ended:
            try:
                loop.call_soon_threadsafe(self._run_effects)
            except RuntimeError:
                # The loop is closed.
                pass

    def distribute_soon(self) -> None:
        """Hands events on, where there is room for them."""
        if self._told:
            self._wake()

    def _distribute(self) -> bool:
        """Hands events on, where there is room for them; whether it could."""
        taken = 0
        woken: set[Subscription] = set()
        with self._lock:
            self._subscriptions = [one for one in self._subscriptions if not one.is_abandoned]
            while self._told and self._subscriptions:
                wanting = [one for one in self._subscriptions if one.wants(self._told[0])]
                # The slowest decides, so that nobody misses one.
                if any(one.is_full for one in wanting):
                    break
                event = self._told.popleft()
                taken += 1
                for one in wanting:
                    one.events.append(event)
                    woken.add(one)
        for one in woken:
            one.changed.send()
        if taken:
            self.do(lambda core: core.taken(taken))
        return taken > 0

    # --- The loop's thread ---

    def start(self) -> None:
        """Begins, on the loop that runs here."""
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        left = self._options.outbox.left() if self._options.outbox is not None else []
        self._kept.update(kept.id for kept in left)

        def begin(core: Core) -> None:
            core.left(left)
            core.open("connect()")

        self.do(begin)

    def _run_effects(self) -> None:
        if self._is_running:
            # Whoever runs them goes on with these.
            return
        self._is_running = True
        try:
            while True:
                while self._effects:
                    self._execute(self._effects.popleft())
                if not self._distribute() and not self._effects:
                    break
            self._set_timer()
        finally:
            self._is_running = False
        self.changed.send()

    def _set_timer(self) -> None:
        due = self.look(lambda core: core.deadline())
        if due == self._due:
            return
        self._due = due
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if due is not None and self._loop is not None and not self.is_ended:
            # A little late, so that it is due by then.
            wait = max(due / 1_000 - time.monotonic(), 0) + 0.001
            self._timer = self._loop.call_later(wait, self._is_due)

    def _is_due(self) -> None:
        self._due = None
        self.do(lambda core: core.time())

    def _execute(self, effect: Any) -> None:
        if isinstance(effect, Tell):
            self._told.append(effect.event)
        elif isinstance(effect, Transmit):
            link = self._links.get(effect.serial)
            if link is not None:
                link.outgoing.append(effect.text)
                link.has_more.set()
        elif isinstance(effect, Answer):
            call = self._calls.pop(effect.call, None)
            if call is not None:
                call.set(effect.answer)
        elif isinstance(effect, TicketIs):
            self._ticket_is(effect.id, effect.status)
        elif isinstance(effect, (Keep, Forget)):
            if self._writer is not None:
                self._writer.put(effect.kept if isinstance(effect, Keep) else effect.id)
        elif isinstance(effect, AskToken):
            self._spawn(self._ask_token(effect.serial, effect.reason))
        elif isinstance(effect, Dial):
            link = _Link()
            self._links[effect.serial] = link
            link.task = self._spawn(self._connect(effect.serial, link, effect.has_token))
        elif isinstance(effect, Drop):
            link = self._links.pop(effect.serial, None)
            if link is not None:
                task = self._spawn(self._hang_up(link))
                self._hanging_up.add(task)
                task.add_done_callback(self._hanging_up.discard)

    def _spawn(self, work: Any) -> asyncio.Task[None]:
        assert self._loop is not None
        task: asyncio.Task[None] = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._is_done)
        return task

    def _is_done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            logger.error("a task of the client's has failed", exc_info=task.exception())

    # --- The connection ---

    async def _connect(self, serial: int, link: _Link, has_token: bool) -> None:
        code: int | None = None
        reason, retry_after_ms = "", None
        try:
            link.socket = await connect(
                target(self._options.url, has_token),
                additional_headers=dict(self._options.headers),
                ssl=self._options.ssl,
                proxy=self._options.proxy,
                open_timeout=None,
                ping_interval=None,
                close_timeout=HANG_UP_SECONDS,
                max_size=MESSAGE_BYTES_MAX,
                user_agent_header="parlor-client (Python)",
                logger=logging.getLogger("parlor.websockets"),
            )
            self.do(lambda core: core.dialled(serial))
            writer = self._spawn(self._write(link, link.socket))
            try:
                while True:
                    self._hears(serial, await link.socket.recv())
            finally:
                writer.cancel()
        except ConnectionClosed as closed:
            if closed.rcvd is not None:
                code, reason = closed.rcvd.code, closed.rcvd.reason
        except InvalidStatus as refused:
            reason, retry_after_ms = _refusal(refused)
        except Exception as error:
            reason = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        self.do(lambda core: core.lost(serial, code, reason, retry_after_ms))

    def _hears(self, serial: int, message: str | bytes) -> None:
        if isinstance(message, str):
            self.do(lambda core: core.text(serial, message))
        else:
            self.do(lambda core: core.bytes(serial, message))

    async def _write(self, link: _Link, socket: ClientConnection) -> None:
        try:
            while True:
                while link.outgoing:
                    await socket.send(link.outgoing.popleft())
                link.has_more.clear()
                await link.has_more.wait()
        except ConnectionClosed:
            # Whoever reads says so.
            pass

    async def _hang_up(self, link: _Link) -> None:
        """Closes with 1000, behind what waits to be sent."""
        task, socket = link.task, link.socket
        if socket is None or task is None:
            if task is not None:
                task.cancel()
            return
        try:
            async with _timeout(HANG_UP_SECONDS):
                while link.outgoing:
                    await socket.send(link.outgoing.popleft())
                await socket.close()
        except (ConnectionClosed, OSError, asyncio.TimeoutError):
            socket.transport.abort()
        finally:
            task.cancel()

    async def _ask_token(self, serial: int, reason: TokenReason) -> None:
        given: str | Exception | None
        try:
            given = await self._token(reason)
            if given is not None and not isinstance(given, str):  # pyright: ignore[reportUnnecessaryIsInstance]
                given = TypeError(f"the token's function returned {type(given).__name__}, not str or None")
        except Exception as error:
            given = error
        except asyncio.CancelledError:
            if self.is_ended:
                raise
            given = RuntimeError("the token's function was cancelled")
        answer = given
        self.do(lambda core: core.token_given(serial, answer))

    async def _token(self, reason: TokenReason) -> str | None:
        ask = self._options.token
        assert ask is not None and self._loop is not None
        if not self._options.token_blocks:
            given = ask(reason)
            return await given if inspect.isawaitable(given) else given
        loop, done = self._loop, self._loop.create_future()

        def answer(set_it: Callable[[Any], None], value: Any) -> None:
            if not done.done():
                set_it(value)

        def on_its_thread() -> None:
            try:
                given = ask(reason)
                outcome: tuple[Callable[[Any], None], Any] = (done.set_result, given)
            except Exception as error:
                outcome = (done.set_exception, error)
            try:
                loop.call_soon_threadsafe(answer, *outcome)
            except RuntimeError:
                # The client has ended meanwhile.
                pass

        threading.Thread(target=on_its_thread, name="parlor-token", daemon=True).start()
        result: str | None = await done
        return result

    # --- Messages ---

    def _ticket_is(self, id: str, status: Status) -> None:
        if status.name == "cancelled" and id in self._unkept:
            self._unkept.discard(id)
            status = Status("failed", error=RequestError("outbox_failed"))
        state = self._tickets.get(id)
        if not status.is_step and not self.look(lambda core: core.has_unsent(id)):
            self._tickets.pop(id, None)
            self._kept.discard(id)
        if state is not None:
            state.set(status)

    def written(self, changes: list[Change]) -> None:
        """The outbox has taken these; on its thread."""
        for change in changes:
            if isinstance(change, Kept):
                self._kept.add(change.id)
                state = self._tickets.get(change.id)
                if state is not None and not state.is_kept:
                    state.set_kept()
            else:
                self._kept.discard(change)

    def not_written(self, changes: list[Change], error: Exception) -> None:
        """It has not; on its thread. A message that was never in it, and was not sent, is taken back."""
        logger.error("messages cannot be kept: %s", error)
        for change in changes:
            if isinstance(change, Kept) and change.id not in self._kept:
                self._take_back(change.id)

    def _take_back(self, id: str) -> None:
        self._unkept.add(id)
        self.do(lambda core: core.cancel(id))
        state = self._tickets.get(id)
        if state is not None:
            state.set_kept()

    # --- The end ---

    @property
    def is_drained(self) -> bool:
        """Whether nothing is on its way that could still arrive."""
        return self.look(lambda core: core.is_drained)

    async def end(self) -> None:
        """Closes for good, on the loop's thread."""
        if self.is_ended:
            return
        self.do(lambda core: None if core.state.name == "closed" else core.close())
        self.is_ended = True
        for task in self._tasks - self._hanging_up:
            task.cancel()
        if self._hanging_up:
            # Each has a bound of its own.
            await asyncio.wait(set(self._hanging_up))
        if self._timer is not None:
            self._timer.cancel()
        for state in list(self._tickets.values()):
            if state.status.is_step:
                state.set(Status("failed", error=RequestError("closed")))
        self._tickets.clear()
        for call in list(self._calls.values()):
            call.set(RequestError("closed"))
        self._calls.clear()
        if self._writer is not None:
            await asyncio.to_thread(self._writer.end)
        with self._lock:
            subscriptions = [one for one in self._subscriptions if not one.is_abandoned]
            # The last ones are for whoever goes on until there is none, up to that it is closed.
            while self._told:
                event = self._told.popleft()
                for subscription in subscriptions:
                    if subscription.wants(event):
                        subscription.events.append(event)
        for subscription in subscriptions:
            subscription.end()
        self.changed.send()


class _OutboxWriter:
    """Writes to the outbox, on a thread of its own: what comes while the disk is busy goes there at once."""

    def __init__(self, engine: Engine, outbox: Outbox) -> None:
        self._engine = engine
        self._outbox = outbox
        self._queue: queue.SimpleQueue[Change | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="parlor-outbox", daemon=True)
        self._thread.start()

    def put(self, change: Change) -> None:
        self._queue.put(change)

    def end(self) -> None:
        """Writes what waits, and closes it."""
        self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        is_over = False
        while not is_over:
            changes: list[Change] = []
            change = self._queue.get()
            while change is not None:
                changes.append(change)
                try:
                    change = self._queue.get_nowait()
                except queue.Empty:
                    break
            is_over = change is None
            if changes:
                self._write(changes)
        self._outbox.close()

    def _write(self, changes: list[Change]) -> None:
        try:
            self._outbox.write(changes)
        except Exception as error:
            self._engine.not_written(changes, error)
        else:
            self._engine.written(changes)


class _timeout:
    """`asyncio.timeout`, which Python 3.10 does not have, for a task that nobody else cancels meanwhile."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._is_late = False

    async def __aenter__(self) -> None:
        task = asyncio.current_task()
        assert task is not None

        def late() -> None:
            self._is_late = True
            task.cancel()

        self._handle = asyncio.get_running_loop().call_later(self._seconds, late)

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._handle.cancel()
        if kind is not None and issubclass(kind, asyncio.CancelledError) and self._is_late:
            raise asyncio.TimeoutError


def target(url: str, has_token: bool) -> str:
    """The URL of a connection: with a token it must not say `anonymous`, without one it announces a `resume`."""
    parts = urlsplit(url)
    scheme = {"http": "ws", "https": "wss"}.get(parts.scheme, parts.scheme)
    query = parse_qsl(parts.query, keep_blank_values=True)
    if has_token:
        query = [(name, value) for name, value in query if name != "anonymous"]
    else:
        query.append(("resume", "1"))
    return urlunsplit((scheme, parts.netloc, parts.path or "/", urlencode(query), ""))


def _refusal(refused: InvalidStatus) -> tuple[str, int | None]:
    """Why the server did not open a WebSocket, and after how many ms it may be asked again."""
    response = refused.response
    body = bytes(response.body or b"").decode(errors="replace")
    error = members(parse(body) or {}, "error")
    why = f": {text(error, 'code')}: {text(error, 'message')}" if error else ""
    seconds = response.headers.get("Retry-After", "")
    wait = int(seconds) * 1_000 if seconds.isascii() and seconds.isdigit() and len(seconds) < 8 else None
    return f"HTTP {response.status_code}{why}", wait
