"""What may be the name of a user, a room, a stream (`docs/protocol.md`, "Names"), and what a program hands in."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from ._told import NUMBER_MAX

_NAME = re.compile(r"[A-Za-z0-9_.@:-]{1,64}", re.ASCII)


def name(given: str) -> str:
    """A room's or a stream's name, checked.

    Raises:
        ValueError: nothing can have this name.
    """
    if _NAME.fullmatch(given) is None or not given.strip("."):
        raise ValueError(f"{given!r} is no name: 1 to 64 of A-Z a-z 0-9 _ . @ - :, not only dots")
    return given


def whole(given: int) -> int:
    """A number of an entry, from 0 on.

    Raises:
        ValueError: it is none.
    """
    if not 0 <= given <= NUMBER_MAX:
        raise ValueError(f"{given!r} is no number of an entry")
    return given


def raw_json(given: Any) -> str | None:
    """JSON of a value; None for None.

    Raises:
        TypeError, ValueError: it is none.
    """
    if given is None:
        return None
    raw = json.dumps(given, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    raw.encode()
    return raw


def payload(given: Mapping[str, Any] | None) -> str:
    """A request's payload.

    Raises:
        TypeError, ValueError: it is no JSON.
    """
    return raw_json(dict(given or {})) or "{}"
