"""From the camera to parlor: a picture is taken, balls are found in it, the core says what has happened, and all of it is published.

Pictures, states and trajectories are worth something for a moment: only the newest is sent. What happened is told, each once.
"""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections import Counter, deque
from dataclasses import asdict, dataclass, field
from typing import Any

import vision
from core import Core
from parlor import RequestError
from parlor.admin import AsyncAdmin
from table import Table

logger = logging.getLogger("billiards")

#: After so many failures in a row parlor is left alone for so long, in seconds; then one publication tries it.
FAILURES, OPEN_SECONDS = 5, 2.0
#: How many events wait for parlor at most; beyond it the oldest are lost, and the log says so.
WAITING_MAX = 1_000
#: States and trajectories go with every third picture.
EVERY = 3
#: Over so many seconds pictures are counted.
COUNTED_SECONDS = 2.0
#: With less than this part of the pictures that are wanted the pipeline is degraded.
ENOUGH = 0.8


class Breaker:
    """Leaves alone for a while what fails again and again. `now` is in seconds, of a clock that only goes forward."""

    def __init__(self) -> None:
        self.failures = self.opened = 0
        self.until = 0.0
        self.state = "closed"

    def allows(self, now: float) -> bool:
        """Whether it may be tried; of those behind an open breaker one, once it was open for long enough."""
        if self.state == "open" and now >= self.until:
            self.state = "half-open"
        return self.state != "open"

    def succeeded(self) -> None:
        self.failures, self.state = 0, "closed"

    def failed(self, now: float) -> None:
        self.failures += 1
        if self.state == "half-open" or self.failures >= FAILURES:
            self.opened += self.state == "closed"
            self.state, self.until = "open", now + OPEN_SECONDS


class Publisher:
    """Publishes, one after the other: first what happened, then the newest of everything else."""

    def __init__(self, admin: AsyncAdmin) -> None:
        self.admin = admin
        self.breaker = Breaker()
        self.published: Counter[str] = Counter()
        self.dropped: Counter[str] = Counter()
        self._events: deque[tuple[str, Any, str]] = deque()
        self._newest: dict[str, Any] = {}
        self._more = asyncio.Event()

    def tell(self, stream: str, data: Any) -> None:
        """Publishes this, however long it takes."""
        if len(self._events) >= WAITING_MAX:
            lost, *_ = self._events.popleft()
            self.dropped[lost] += 1
            logger.error("an event of %s is lost: parlor was away for too long", lost)
        self._events.append((stream, data, uuid.uuid4().hex))
        self._more.set()

    def show(self, stream: str, data: Any) -> None:
        """Publishes this unless something newer comes before."""
        self.dropped[stream] += stream in self._newest
        self._newest[stream] = data
        self._more.set()

    async def run(self) -> None:
        while True:
            if not self._events and not self._newest:
                self._more.clear()
                await self._more.wait()
            if not self.breaker.allows(time.monotonic()):
                await asyncio.sleep(0.05)
            elif self._events:
                event = self._events[0]
                if await self._publish(*event) and self._events and self._events[0] is event:
                    self._events.popleft()
            else:
                stream = next(iter(self._newest))
                await self._publish(stream, self._newest.pop(stream), None)

    async def _publish(self, stream: str, data: Any, id: str | None) -> bool:
        """Whether it need not be published again."""
        try:
            await self.admin.publish(stream, data, id=id)
        except Exception as error:
            self.dropped[stream] += id is None
            # What is no answer of parlor's, as a token that can be in no field, will not be another the next time.
            if not isinstance(error, OSError) and not (isinstance(error, RequestError) and error.passing):
                logger.error("an event of %s is lost: %s", stream, error)
                return True
            was = self.breaker.state
            self.breaker.failed(time.monotonic())
            if was == "closed" and self.breaker.state == "open":
                logger.warning("parlor is left alone: %s", error)
            return False
        if self.breaker.state != "closed":
            logger.warning("parlor is back")
        self.breaker.succeeded()
        self.published[stream] += 1
        return True


@dataclass
class Config:
    """What an operator may change."""

    fps: int = 30
    quality: int = 80
    #: The camera is covered: its pictures are black.
    covered: bool = False


@dataclass
class Pipeline:
    publisher: Publisher
    config: Config = field(default_factory=Config)
    table: Table = field(default_factory=Table)

    def __post_init__(self) -> None:
        self.core = Core(self.config.fps)
        self.number = 0
        self.taken: deque[float] = deque()
        # None was told yet.
        self.level = ""
        self.is_blind = self.has_ended = False
        self.begun = time.monotonic()

    # --- What players do ---

    def start(self) -> dict[str, Any]:
        """Puts the balls in their places, for another game."""
        self.table = Table()
        for event in self.core.start():
            self.publisher.tell("events", event)
        return {"game": self.core.game}

    def shoot(self, angle: float, speed: float) -> bool:
        """Strikes the white ball; False while balls roll."""
        if not self.table.is_still or self.core.is_rolling:
            return False
        if self.table.ball("white").is_pocketed:
            self.table.spot()
        self.table.shoot(angle, speed)
        return True

    def configure(self, config: Config) -> None:
        self.config = config
        self.core.fps = config.fps
        self.taken.clear()
        self.begun = time.monotonic()
        self.publisher.tell("config", asdict(config))

    def ended(self, task: asyncio.Task[None]) -> None:
        """A part of it has ended, which none does by itself."""
        if not task.cancelled():
            self.has_ended = True
            logger.critical("the pipeline has ended", exc_info=task.exception())

    # --- Pictures ---

    async def run(self) -> None:
        self.publisher.tell("config", asdict(self.config))
        self.start()
        due = time.monotonic()
        while True:
            due = max(due + 1 / self.config.fps, time.monotonic() - 1)
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            self.number += 1
            self.table.advance(1 / self.config.fps)
            # Beside what the application answers meanwhile.
            game = self.core.game
            picture, found = await asyncio.to_thread(self._look, self.table.copy(), self.number)
            # One of the game before says nothing of this one.
            if game == self.core.game:
                self._see(picture, found)

    def _look(self, table: Table, number: int) -> tuple[bytes, dict[str, tuple[float, float]] | None]:
        image = vision.draw(table, number)
        if self.config.covered:
            image.paste((0, 0, 0), (0, 0, *image.size))
        picture = vision.jpeg(image, self.config.quality)
        return picture, None if vision.is_blind(picture) else vision.find(picture)

    def _see(self, picture: bytes, found: dict[str, tuple[float, float]] | None) -> None:
        now = time.monotonic()
        self.taken.append(now)
        while self.taken[0] < now - COUNTED_SECONDS:
            self.taken.popleft()
        self.publisher.show("frame", picture)
        self.is_blind = found is None
        if found is not None:
            for event in self.core.see(self.number, found):
                self.publisher.tell("events", event)
            if self.number % EVERY == 0:
                self.publisher.show("state", self.core.state())
                self.publisher.show("trajectory", self.core.trajectory())
        level, reasons = self.health()
        if level != self.level:
            self.level = level
            self.publisher.tell("alert", {"level": level, "message": "; ".join(reasons) or "all is well", "picture": self.number})

    @property
    def fps(self) -> float:
        """How many pictures there were in a second, of late."""
        now = time.monotonic()
        seconds = min(COUNTED_SECONDS, max(now - self.begun, 0.1))
        return round(sum(at > now - COUNTED_SECONDS for at in self.taken) / seconds, 1)

    def health(self) -> tuple[str, list[str]]:
        """`healthy`, `degraded` or `unhealthy`, and why."""
        unhealthy, degraded = [], []
        if self.publisher.breaker.state != "closed":
            unhealthy.append("parlor does not answer")
        if self.has_ended:
            unhealthy.append("the pipeline has ended")
        if self.is_blind:
            unhealthy.append("the camera sees nothing")
        if time.monotonic() - self.begun > COUNTED_SECONDS and self.fps < ENOUGH * self.config.fps:
            degraded.append(f"{self.fps} pictures a second, not {self.config.fps}")
        return "unhealthy" if unhealthy else "degraded" if degraded else "healthy", unhealthy + degraded
