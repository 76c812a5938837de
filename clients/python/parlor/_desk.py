"""What the parts of the core share: the time, what is due later, what is to be done, what the program is told."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from random import Random
from typing import Union

from .errors import RequestError
from .events import Event, Kept, LeftOut, Status, TokenReason


@dataclass(frozen=True)
class Now:
    """The time: of a clock that only goes forward, and since 1970; in ms."""

    ms: int = 0
    wall: int = 0


# --- What is to be done ---


@dataclass(frozen=True)
class AskToken:
    """A token is wanted: `Core.token_given`, with this number."""

    serial: int
    reason: TokenReason


@dataclass(frozen=True)
class Dial:
    """A WebSocket is to be opened: what comes of it has this number.

    With a token the first message has it, and the URL must not say `anonymous`; without one it says `resume=1`.
    """

    serial: int
    has_token: bool


@dataclass(frozen=True)
class Transmit:
    """A text is to be sent, on this connection."""

    serial: int
    text: str


@dataclass(frozen=True)
class Drop:
    """A connection is to be closed, with 1000, and not waited for."""

    serial: int


@dataclass(frozen=True)
class Tell:
    """The program is told something. It is told no more than it has room for."""

    event: Event


@dataclass(frozen=True)
class Answer:
    """The program's call is answered: a payload, or why not."""

    call: int
    answer: dict[str, object] | RequestError


@dataclass(frozen=True)
class TicketIs:
    """Something has become of a message."""

    id: str
    status: Status


@dataclass(frozen=True)
class Keep:
    """A message is to be kept until it is forgotten."""

    kept: Kept


@dataclass(frozen=True)
class Forget:
    """It need not be kept any more."""

    id: str


Effect = Union[AskToken, Dial, Transmit, Drop, Tell, Answer, TicketIs, Keep, Forget]


# --- What is due later ---


class Deadlines:
    """What is due when, by name; of each name at most one."""

    def __init__(self) -> None:
        self._due: dict[Hashable, tuple[int, int, Callable[[], None]]] = {}
        self._order: list[tuple[int, int, Hashable]] = []
        self._count = itertools.count()

    def set(self, name: Hashable, at: int, action: Callable[[], None]) -> None:
        """Sets one, also if it was set for another time."""
        number = next(self._count)
        self._due[name] = (at, number, action)
        heapq.heappush(self._order, (at, number, name))
        # Those that were cleared stay in the heap until their time: not more of them than of the others.
        if len(self._order) > 2 * len(self._due) + 64:
            self._order = [(at, number, name) for name, (at, number, _) in self._due.items()]
            heapq.heapify(self._order)

    def set_once(self, name: Hashable, at: int, action: Callable[[], None]) -> None:
        """Sets one, unless it is set."""
        if name not in self._due:
            self.set(name, at, action)

    def is_set(self, name: Hashable) -> bool:
        return name in self._due

    def clear(self, name: Hashable) -> None:
        self._due.pop(name, None)

    def clear_where(self, wanted: Callable[[Hashable], bool]) -> None:
        for name in [name for name in self._due if wanted(name)]:
            del self._due[name]

    def __len__(self) -> int:
        return len(self._due)

    def next(self) -> int | None:
        """When the next is due; None for never."""
        while self._order:
            at, number, name = self._order[0]
            known = self._due.get(name)
            if known is not None and known[1] == number:
                return at
            heapq.heappop(self._order)
        return None

    def take_due(self, now: int) -> Callable[[], None] | None:
        """What is due, once."""
        at = self.next()
        if at is None or at > now:
            return None
        _, _, name = heapq.heappop(self._order)
        return self._due.pop(name)[2]


# --- What the program is told ---


class Desk:
    """What the parts of the core share."""

    def __init__(self, queue: int, seed: int) -> None:
        self.now = Now()
        self.chance = Random(seed)
        self.deadlines = Deadlines()
        self.effects: list[Effect] = []
        self.is_online = False
        self._queue = max(queue, 1)
        #: How many more events the program can be told.
        self.credit = self._queue
        self._left_out = 0

    def after(self, ms: int) -> int:
        """The moment in so many ms."""
        return self.now.ms + ms

    def do(self, effect: Effect) -> None:
        self.effects.append(effect)

    def tell(self, event: Event) -> bool:
        """Tells the program something, if it has room for it; whether it had."""
        has_room = self.credit > 0
        if has_room:
            self.credit -= 1
            self.do(Tell(event))
        return has_room

    def tell_or_leave_out(self, event: Event) -> None:
        """Tells it something that is counted only, if it has no room."""
        if not self.tell(event):
            self._left_out += 1

    def taken(self, count: int) -> None:
        """The program has taken so many."""
        self.credit = min(self.credit + count, self._queue)

    def tell_left_out(self) -> None:
        """Tells it how many it was not told."""
        if self._left_out and self.tell(LeftOut(self._left_out)):
            self._left_out = 0

    @property
    def is_half_free(self) -> bool:
        """Whether as many can be told as make it worth while to read a page for them."""
        return self.credit >= (self._queue + 1) // 2
