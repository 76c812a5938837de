"""The table as it is: three balls, six pockets, cushions and cloth. Nothing here is seen by the program but through the camera.

Metres, seconds, metres per second. The origin is the corner at the top left.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

LENGTH, WIDTH = 2.54, 1.27
RADIUS = 0.0286
POCKET_RADIUS = 0.06
POCKETS = [(x, y) for y in (0.0, WIDTH) for x in (0.0, LENGTH / 2, LENGTH)]

#: The cloth slows a rolling ball by so much, in m/s².
ROLLING = 0.25
#: What a cushion, and another ball, leave of the speed across.
CUSHION, BALL = 0.75, 0.95
#: The shortest time that is computed, in seconds: the fastest ball goes less than its radius in it.
STEP = 1 / 480
SPEED_MAX = 5.0
#: A slower ball lies still.
STILL = 0.01


@dataclass
class Ball:
    name: str
    x: float
    y: float
    vx: float = 0.0
    vy: float = 0.0
    is_pocketed: bool = False

    @property
    def speed(self) -> float:
        return math.hypot(self.vx, self.vy)


def rack() -> list[Ball]:
    """The balls as a game begins."""
    return [Ball("white", LENGTH / 4, WIDTH / 2), Ball("red", LENGTH * 3 / 4, WIDTH / 2), Ball("yellow", LENGTH / 2, WIDTH / 4)]


@dataclass
class Table:
    balls: list[Ball] = field(default_factory=rack)

    @property
    def is_still(self) -> bool:
        return all(ball.speed == 0 or ball.is_pocketed for ball in self.balls)

    def ball(self, name: str) -> Ball:
        return next(ball for ball in self.balls if ball.name == name)

    def copy(self) -> Table:
        return Table([replace(ball) for ball in self.balls])

    def shoot(self, angle: float, speed: float) -> None:
        """The white ball is struck: `angle` in radians, 0 to the right, clockwise as one looks down."""
        white = self.ball("white")
        speed = min(speed, SPEED_MAX)
        white.vx, white.vy = speed * math.cos(angle), speed * math.sin(angle)

    def spot(self) -> None:
        """A white ball that was pocketed comes back to where nobody lies."""
        white = self.ball("white")
        others = [ball for ball in self.balls if ball is not white and not ball.is_pocketed]
        places = ((LENGTH / 4, WIDTH * at / 10) for at in (5, 3, 7, 1, 9))
        x, y = next((x, y) for x, y in places if all(math.hypot(x - ball.x, y - ball.y) > 2 * RADIUS for ball in others))
        white.x, white.y, white.vx, white.vy, white.is_pocketed = x, y, 0.0, 0.0, False

    def advance(self, seconds: float) -> None:
        """Lets time pass."""
        for _ in range(max(1, round(seconds / STEP))):
            self._step()

    def _step(self) -> None:
        rolling = [ball for ball in self.balls if not ball.is_pocketed]
        for ball in rolling:
            ball.x += ball.vx * STEP
            ball.y += ball.vy * STEP
            speed = ball.speed
            left = max(0.0, speed - ROLLING * STEP)
            scale = left / speed if left > STILL else 0.0
            ball.vx, ball.vy = ball.vx * scale, ball.vy * scale
        for one, other in _pairs(rolling):
            _collide(one, other)
        for ball in rolling:
            if any(math.hypot(ball.x - x, ball.y - y) < POCKET_RADIUS for x, y in POCKETS):
                ball.is_pocketed, ball.vx, ball.vy = True, 0.0, 0.0
            else:
                ball.x, ball.vx = _bounce(ball.x, ball.vx, LENGTH)
                ball.y, ball.vy = _bounce(ball.y, ball.vy, WIDTH)


def _pairs(balls: list[Ball]) -> Iterator[tuple[Ball, Ball]]:
    for at, one in enumerate(balls):
        for other in balls[at + 1 :]:
            yield one, other


def _bounce(at: float, speed: float, end: float) -> tuple[float, float]:
    if at < RADIUS and speed < 0:
        return RADIUS, -speed * CUSHION
    if at > end - RADIUS and speed > 0:
        return end - RADIUS, -speed * CUSHION
    return at, speed


def _collide(one: Ball, other: Ball) -> None:
    """Balls of the same mass exchange what they have of speed along the line between them."""
    dx, dy = other.x - one.x, other.y - one.y
    distance = math.hypot(dx, dy)
    if distance >= 2 * RADIUS or distance == 0:
        return
    nx, ny = dx / distance, dy / distance
    closing = (one.vx - other.vx) * nx + (one.vy - other.vy) * ny
    overlap = (2 * RADIUS - distance) / 2
    one.x, one.y, other.x, other.y = one.x - nx * overlap, one.y - ny * overlap, other.x + nx * overlap, other.y + ny * overlap
    if closing > 0:
        push = closing * (1 + BALL) / 2
        one.vx, one.vy, other.vx, other.vy = one.vx - push * nx, one.vy - push * ny, other.vx + push * nx, other.vy + push * ny
