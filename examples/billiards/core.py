"""What the pictures mean: where balls are and how fast, what has happened, and where they will go. It sees positions alone."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from table import Ball, Table

#: A ball that moves faster, in m/s, rolls; a slower one lies: positions are exact to some 2 mm.
ROLLS, LIES = 0.15, 0.06
#: The slowest shot that is surely seen, in m/s.
SPEED_MIN = 0.3
#: So many pictures say how fast a ball is.
REMEMBERED = 4
#: What is between two places is so much of a way without a bounce at least.
STRAIGHT = 0.95
#: A ball that was not seen in so many pictures is gone.
GONE = 5
#: How far the trajectory reaches, in seconds, and between its points.
AHEAD, APART = 3.0, 0.1

Event = dict[str, Any]


@dataclass
class Seen:
    """What is known of a ball."""

    places: deque[tuple[int, float, float]] = field(default_factory=lambda: deque(maxlen=REMEMBERED))
    missed: int = 0
    is_pocketed: bool = False

    @property
    def at(self) -> tuple[float, float]:
        _, x, y = self.places[-1]
        return x, y

    def speed(self, fps: float) -> float:
        """Along its way: a ball that bounces is where it was before, and rolls."""
        return self._way / self._seconds(fps) if len(self.places) > 1 else 0.0

    def velocity(self, fps: float) -> tuple[float, float]:
        if len(self.places) < 2:
            return 0.0, 0.0
        (_, x, y), (_, to_x, to_y) = self.places[0], self.places[-1]
        seconds = self._seconds(fps)
        if math.hypot(to_x - x, to_y - y) < STRAIGHT * self._way:
            # It has bounced in between.
            (first, x, y), (last, to_x, to_y) = self.places[-2], self.places[-1]
            seconds = (last - first) / fps
        return (to_x - x) / seconds, (to_y - y) / seconds

    @property
    def _way(self) -> float:
        places = list(self.places)
        return sum(math.dist(one[1:], other[1:]) for one, other in zip(places, places[1:]))

    def _seconds(self, fps: float) -> float:
        return (self.places[-1][0] - self.places[0][0]) / fps


class Core:
    """One game after the other. `see` takes what was found in a picture, and returns what has happened."""

    def __init__(self, fps: float) -> None:
        self.fps = fps
        self.game = self.shots = 0
        self.is_rolling = False
        self.balls: dict[str, Seen] = {}
        self.number = 0

    def start(self) -> list[Event]:
        """Another game begins: what was known of the balls is void."""
        self.game += 1
        self.shots = 0
        self.is_rolling = False
        self.balls = {}
        return [self._event("game_started")]

    def see(self, number: int, found: dict[str, tuple[float, float]]) -> list[Event]:
        self.number = number
        events = []
        for name, (x, y) in found.items():
            ball = self.balls.setdefault(name, Seen())
            if ball.is_pocketed:
                # The white ball is put back by hand.
                ball.is_pocketed = False
                ball.places.clear()
                events.append(self._event("ball_spotted", ball=name))
            ball.missed = 0
            ball.places.append((number, x, y))
        events += self._missing(found)
        least = LIES if self.is_rolling else ROLLS
        rolling = [name for name, ball in self.balls.items() if not ball.is_pocketed and ball.speed(self.fps) > least]
        if rolling and not self.is_rolling:
            self.is_rolling = True
            self.shots += 1
            events.append(self._event("shot_taken", shot=self.shots))
        elif self.is_rolling and not rolling and not any(ball.missed and not ball.is_pocketed for ball in self.balls.values()):
            self.is_rolling = False
            events.append(self._event("balls_stopped", shot=self.shots))
            if all(ball.is_pocketed for name, ball in self.balls.items() if name != "white"):
                events.append(self._event("game_ended", shots=self.shots))
        return events

    def _missing(self, found: dict[str, tuple[float, float]]) -> list[Event]:
        events = []
        for name, ball in self.balls.items():
            if name in found or ball.is_pocketed:
                continue
            ball.missed += 1
            if ball.missed == GONE:
                ball.is_pocketed = True
                events.append(self._event("ball_pocketed", ball=name))
        return events

    def state(self) -> dict[str, Any]:
        """What is known, of this picture."""
        balls = {
            name: {"x": ball.at[0], "y": ball.at[1], "speed": round(ball.speed(self.fps), 3), "pocketed": ball.is_pocketed}
            for name, ball in self.balls.items()
        }
        return {"picture": self.number, "game": self.game, "shots": self.shots, "rolling": self.is_rolling, "balls": balls}

    def trajectory(self) -> dict[str, Any]:
        """Where each ball will be, by the same physics, from what was seen."""
        balls = []
        for name, seen in self.balls.items():
            vx, vy = seen.velocity(self.fps) if self.is_rolling else (0.0, 0.0)
            balls.append(Ball(name, *seen.at, vx, vy, seen.is_pocketed))
        table = Table(balls)
        paths: dict[str, list[list[float]]] = {ball.name: [] for ball in balls if not ball.is_pocketed and ball.speed > LIES}
        for _ in range(round(AHEAD / APART)):
            if table.is_still:
                break
            for ball in table.balls:
                if ball.name in paths and not ball.is_pocketed:
                    paths[ball.name].append([round(ball.x, 3), round(ball.y, 3)])
            table.advance(APART)
        return {"picture": self.number, "every_ms": round(1_000 * APART), "paths": paths}

    def _event(self, name: str, **about: Any) -> Event:
        return {"event": name, "game": self.game, "picture": self.number, **about}


#: What may happen.
EVENTS = ("game_started", "shot_taken", "ball_pocketed", "ball_spotted", "balls_stopped", "game_ended")
