"""What a server says, as a client reads it: a member that is missing, null or of another type is None.

A client ignores what it does not know (`docs/protocol.md`, "Messages").
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, cast

#: 2⁵³ − 1, the largest integer that every client can express (RFC 8259 §6).
NUMBER_MAX = (1 << 53) - 1


def parse(raw: str) -> dict[str, Any] | None:
    """The object of a text; None for what is none, or is nested deeper than Python reads."""
    try:
        value = json.loads(raw, parse_constant=_no_number)
    except (ValueError, RecursionError):
        return None
    return as_object(value)


def as_object(value: Any) -> dict[str, Any] | None:
    """What is an object; None for anything else."""
    return cast("dict[str, Any]", value) if isinstance(value, dict) else None


def as_list(value: Any) -> list[Any]:
    """What is a list; an empty one for anything else."""
    return list(cast("Iterable[Any]", value)) if isinstance(value, list) else []


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def text(told: Mapping[str, Any], name: str) -> str | None:
    value = told.get(name)
    return value if isinstance(value, str) else None


def number(told: Mapping[str, Any], name: str) -> int | None:
    """A whole number from 0 on."""
    value = integer(told, name)
    return value if value is not None and value >= 0 else None


def integer(told: Mapping[str, Any], name: str) -> int | None:
    """A whole number, which may be negative as times are."""
    value = told.get(name)
    is_one = isinstance(value, int) and not isinstance(value, bool) and abs(value) <= NUMBER_MAX
    return value if is_one else None


def flag(told: Mapping[str, Any], name: str) -> bool:
    return told.get(name) is True


def members(told: Mapping[str, Any], name: str) -> dict[str, Any]:
    """An object; an empty one where there is none."""
    return as_object(told.get(name)) or {}


def objects(told: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    """The objects of a list."""
    return [one for value in as_list(told.get(name)) if (one := as_object(value)) is not None]


def texts(told: Mapping[str, Any], name: str) -> list[str]:
    """The texts of a list."""
    return [one for one in as_list(told.get(name)) if isinstance(one, str)]


def written(value: Mapping[str, Any]) -> str:
    """An object's JSON, as short as it can be.

    Raises:
        TypeError: something in it is no JSON.
        ValueError: a number in it is none of JSON's, it contains itself, or half of a surrogate pair.
    """
    raw = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    raw.encode()
    return raw
