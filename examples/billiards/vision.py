"""The camera, and what is found in its pictures. The camera draws: the same table at the same time is the same picture."""

from __future__ import annotations

import io
import random

from PIL import Image, ImageChops, ImageDraw
from table import LENGTH, POCKET_RADIUS, POCKETS, RADIUS, WIDTH, Table

#: A picture, in pixels, and the frame around the cloth.
SIZE = (640, 340)
EDGE = 20
SCALE = (SIZE[0] - 2 * EDGE) / LENGTH

CLOTH, WOOD, HOLE = (20, 110, 70), (110, 70, 40), (10, 10, 12)
COLOURS = {"white": (245, 245, 235), "red": (200, 30, 30), "yellow": (235, 200, 40)}
#: How much the light changes from picture to picture.
FLICKER = 6
#: A picture that is darker on average, of 255, shows nothing.
DARK = 30


def draw(table: Table, number: int) -> Image.Image:
    """The picture of this number."""
    image = Image.new("RGB", SIZE, WOOD)
    pen = ImageDraw.Draw(image)
    pen.rectangle((EDGE, EDGE, *_place(LENGTH, WIDTH)), CLOTH)
    for x, y in POCKETS:
        _disc(pen, x, y, POCKET_RADIUS, HOLE)
    light = random.Random(number).randint(-FLICKER, FLICKER)
    for ball in table.balls:
        if not ball.is_pocketed:
            red, green, blue = COLOURS[ball.name]
            _disc(pen, ball.x, ball.y, RADIUS, (red + light, green + light, blue + light))
    return image


def jpeg(image: Image.Image, quality: int) -> bytes:
    """The picture as it is sent."""
    out = io.BytesIO()
    image.save(out, "JPEG", quality=quality)
    return out.getvalue()


def find(picture: bytes) -> dict[str, tuple[float, float]]:
    """Where the balls are in a JPEG, in metres; those that are not seen are not in it."""
    image = Image.open(io.BytesIO(picture)).convert("RGB")
    red, green, blue = image.split()
    masks = {
        "white": ImageChops.darker(ImageChops.darker(red, green), blue).point(lambda value: 255 if value > 150 else 0),
        "red": ImageChops.subtract(red, green).point(lambda value: 255 if value > 90 else 0),
        "yellow": ImageChops.subtract(green, blue).point(lambda value: 255 if value > 90 else 0),
    }
    found = {}
    for name, mask in masks.items():
        box = mask.getbbox()
        # What is much smaller than a ball is the edge of another.
        if box is not None and min(box[2] - box[0], box[3] - box[1]) >= RADIUS * SCALE:
            found[name] = (round(((box[0] + box[2]) / 2 - EDGE) / SCALE, 4), round(((box[1] + box[3]) / 2 - EDGE) / SCALE, 4))
    return found


def is_blind(picture: bytes) -> bool:
    """Whether there is no table in it: the camera is covered."""
    image = Image.open(io.BytesIO(picture)).convert("L")
    return image.resize((1, 1)).getpixel((0, 0)) < DARK


def _place(x: float, y: float) -> tuple[float, float]:
    return EDGE + x * SCALE, EDGE + y * SCALE


def _disc(pen: ImageDraw.ImageDraw, x: float, y: float, radius: float, colour: tuple[int, int, int]) -> None:
    at_x, at_y = _place(x, y)
    size = radius * SCALE
    pen.ellipse((at_x - size, at_y - size, at_x + size, at_y + size), colour)
