"""Requests on their way: numbered, as fast as the server's limits allow, answered or given up.

When the connection ends, those that were sent are `disconnected`; the others wait for the next one.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Union

from ._desk import Desk, Transmit
from ._told import written
from .errors import RequestError

#: What a request comes to.
Result = Union[dict[str, Any], RequestError]

#: How many requests wait at most, and how many wait for their answers.
WAITING_MAX = 1_000
SENT_MAX = 10_000
#: How often a request that the server had no time for is repeated.
LIMITED_MAX = 8
#: A little below what the server allows: its bucket and ours do not fill at the same moment.
PACE = 0.9
BURST_SPARE = 2
#: Slower than this no server is asked, a second.
PER_SECOND_MIN = 0.2
PUMP_MS_MIN = 5
#: How long nothing is asked after `rate_limited`, if the server does not say it.
LIMITED_MS = 1_000


class Urgency(Enum):
    """How a request is asked."""

    #: Behind those that wait.
    LAST = 0
    #: Before them.
    FIRST = 1
    #: Before the client is online: on this connection or never.
    NOW = 2


@dataclass
class _Asked:
    number: int
    kind: str
    payload: str
    answered: Callable[[Result], None]
    #: The next connection asks anew.
    is_of_connection: bool
    call: int | None
    limited: int = 0


class Requests:
    """The requests of a client."""

    def __init__(self, desk: Desk, timeout_ms: int) -> None:
        self._desk = desk
        self._timeout_ms = timeout_ms
        self._queue: deque[_Asked] = deque()
        self._sent: dict[int, _Asked] = {}
        self._last_id = 0
        self._last_number = 0
        #: The connection on which they go.
        self.serial = 0
        self._is_open = False
        self._per_second = PER_SECOND_MIN
        self._burst = 1.0
        self._bytes_max = math.inf
        self._tokens = 0.0
        self._filled_at = 0
        self._paused_until = 0

    # --- The server's pace ---

    def begin(self, limits: Mapping[str, int]) -> None:
        """A connection has said hello; its limits hold from now on."""
        self._per_second = max(limits.get("requests_per_second", 10) * PACE, PER_SECOND_MIN)
        self._burst = max(limits.get("burst", 30) - BURST_SPARE, 1.0)
        self._tokens = self._burst
        self._bytes_max = limits.get("message_bytes", math.inf)
        self._filled_at = self._desk.now.ms
        self._paused_until = 0

    @property
    def ms_of_two(self) -> int:
        """How long two requests take at least, in ms."""
        return math.ceil(2_000 / self._per_second)

    def _fill(self) -> None:
        now = self._desk.now.ms
        self._tokens = min(self._tokens + (now - self._filled_at) / 1_000 * self._per_second, self._burst)
        self._filled_at = now

    # --- Asking ---

    def ask(
        self,
        kind: str,
        payload: Mapping[str, Any] | str,
        answered: Callable[[Result], None],
        *,
        urgency: Urgency = Urgency.LAST,
        is_of_connection: bool = False,
        timeout_ms: int | None = None,
        call: int | None = None,
    ) -> None:
        """Asks the server; `answered` is called once, with the answer or why there is none."""
        if len(self._queue) >= WAITING_MAX:
            return answered(RequestError("overloaded"))
        self._last_number += 1
        number = self._last_number
        raw = payload if isinstance(payload, str) else written(payload)
        asked = _Asked(number, kind, raw, answered, is_of_connection, call)
        at = self._desk.after(self._timeout_ms if timeout_ms is None else timeout_ms)
        self._desk.deadlines.set(("late", number), at, lambda: self._late(number))
        if urgency is Urgency.NOW:
            return self._send(asked)
        if urgency is Urgency.FIRST:
            self._queue.appendleft(asked)
        else:
            self._queue.append(asked)
        self._pump()

    def say(self, kind: str, payload: Mapping[str, Any] | str) -> bool:
        """Says something that is worth nothing later: now or never; whether it was sent."""
        self._fill()
        text = _message(kind, None, payload if isinstance(payload, str) else written(payload))
        is_free = self._is_open and not self._queue and self._paused_until <= self._desk.now.ms
        if not is_free or self._tokens < 1 or len(text.encode()) > self._bytes_max:
            return False
        self._tokens -= 1
        self._desk.do(Transmit(self.serial, text))
        return True

    def _pump(self) -> None:
        """Sends what waits, as far as the rate allows."""
        now = self._desk.now.ms
        self._desk.deadlines.clear("pump")
        self._fill()
        while self._tokens >= 1 and self._paused_until <= now:
            if not self._is_open or len(self._sent) >= SENT_MAX or not self._queue:
                return
            self._send(self._queue.popleft())
        if self._is_open and self._queue:
            refill = math.ceil(max(1 - self._tokens, 0) / self._per_second * 1_000)
            at = max(now + max(refill, PUMP_MS_MIN), self._paused_until)
            self._desk.deadlines.set("pump", at, self._pump)

    def _send(self, asked: _Asked) -> None:
        self._last_id += 1
        text = _message(asked.kind, self._last_id, asked.payload)
        if len(text.encode()) > self._bytes_max:
            # The server would end the connection over it, and again at every repeat.
            self._desk.deadlines.clear(("late", asked.number))
            return asked.answered(RequestError("too_large", more={"limit": int(self._bytes_max)}))
        self._tokens -= 1
        self._sent[self._last_id] = asked
        self._desk.do(Transmit(self.serial, text))

    # --- The connection ---

    def release(self) -> None:
        """It is online: what has waited goes."""
        self._is_open = True
        self._pump()

    def pause(self) -> None:
        """The connection is gone: nothing that was asked on it is answered any more."""
        self._is_open = False
        self._desk.deadlines.clear("pump")
        over = list(self._sent.values())
        self._sent.clear()
        over += [asked for asked in self._queue if asked.is_of_connection]
        self._queue = deque(asked for asked in self._queue if not asked.is_of_connection)
        self._end(over, "disconnected")

    def end(self, code: str) -> None:
        """None will come, or none of these is for who is there now."""
        over = list(self._queue)
        self._queue.clear()
        self._end(over, code)

    def _end(self, over: list[_Asked], code: str) -> None:
        for asked in over:
            self._desk.deadlines.clear(("late", asked.number))
            asked.answered(RequestError(code))

    # --- Answers ---

    def _take(self, wanted: Callable[[_Asked], bool]) -> _Asked | None:
        for asked in self._queue:
            if wanted(asked):
                self._queue.remove(asked)
                return asked
        for number, asked in self._sent.items():
            if wanted(asked):
                return self._sent.pop(number)
        return None

    def _late(self, number: int) -> None:
        asked = self._take(lambda asked: asked.number == number)
        if asked is not None:
            asked.answered(RequestError("timeout"))
            self._pump()

    def cancel(self, call: int) -> None:
        """The program does not want the answer any more."""
        asked = self._take(lambda asked: asked.call == call)
        if asked is not None:
            self._end([asked], "cancelled")

    def settle(self, number: int | None, result: Result) -> None:
        """A `reply` or an `error` came."""
        refusal = result if isinstance(result, RequestError) else None
        is_limited = refusal is not None and refusal.code == "rate_limited" and not refusal.by_application
        if refusal is not None and is_limited:
            wait = LIMITED_MS if refusal.retry_after_ms is None else refusal.retry_after_ms
            self._paused_until = max(self._paused_until, self._desk.after(wait))
        asked = None if number is None else self._sent.pop(number, None)
        if asked is None:
            return
        if is_limited and self._is_open and asked.limited < LIMITED_MAX:
            # The server has not looked at it: it goes before later ones.
            asked.limited += 1
            self._queue.appendleft(asked)
            return self._pump()
        self._desk.deadlines.clear(("late", asked.number))
        asked.answered(result)
        self._pump()


def _message(kind: str, number: int | None, payload: str) -> str:
    head = {"type": kind} if number is None else {"type": kind, "id": number}
    return f'{written(head)[:-1]},"payload":{payload}}}'
