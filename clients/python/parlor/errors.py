"""Why something was not done: codes for programs, and what a close code asks of a client.

The codes, and which of them pass, are those of `docs/protocol.md`, "Errors" and "Closing", and of all clients.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from ._told import number, text

#: What a client does about the end of a connection.
Verdict = Literal["ends", "asks for a token", "comes back"]

#: The longest wait of a server's that is believed, in ms.
ANNOUNCED_MS_MAX = 3_600_000

_PASSING = frozenset({"rate_limited", "unavailable", "overloaded", "internal", "disconnected", "timeout"})

_OWN = {
    "disconnected": "the connection ended before the answer",
    "timeout": "no answer came in time",
    "cancelled": "it was taken back",
    "expired": "it was too old to be sent",
    "overloaded": "too many requests wait, or answers that were not taken",
    "outbox_full": "too many messages wait to be sent",
    "outbox_failed": "the outbox cannot be written: the message is not kept",
    "unconfirmed": "it was written before anybody was known, perhaps by another user",
    "too_large": "it is larger than the server takes",
    "not_member": "you are not a member of the room",
    "bad_json": "this is no JSON that can be sent",
    "conflict": "another message has this id",
    "closed": "the client is closed",
}


class RequestError(Exception):
    """A refusal of the server's (`docs/protocol.md`, "Errors"), or a client's own word:

    - `disconnected`: the connection ended before the answer; whether it was done is not known
    - `timeout`: no answer came in time
    - `cancelled`: it was taken back, or asked in the name of another user
    - `expired`: a message was not sent within 48 hours
    - `overloaded`: too many requests wait already
    - `outbox_full`, `outbox_failed`: a message cannot be kept
    - `unconfirmed`: an earlier process left it without having known whose it was
    - `conflict`: another message with this id waits
    - `closed`: the client is closed, or does not try again
    """

    def __init__(self, code: str, message: str = "", more: Mapping[str, Any] | None = None) -> None:
        super().__init__(code, message)
        more = more or {}
        #: For programs.
        self.code = code
        #: For people.
        self.message = message or _OWN.get(code, "")
        #: The member of the payload that is wrong.
        self.field: str | None = text(more, "field")
        #: The limit that was reached.
        self.limit: int | None = number(more, "limit")
        #: The oldest entry that is kept, if older ones were asked for.
        self.first: int | None = number(more, "first")
        wait = number(more, "retry_after_ms")
        #: In how many ms the same may succeed, if the server said so.
        self.retry_after_ms: int | None = None if wait is None else min(wait, ANNOUNCED_MS_MAX)
        #: The close code, if the connection ends with it.
        self.close: int | None = number(more, "close")
        #: For how many refusals it stands, of requests that want no answer.
        self.count: int | None = number(more, "count")
        #: Whether the application refused it: its code means what the application says.
        self.by_application = more.get("by") is not None
        #: What the application said beside it.
        self.data: Any = more.get("data")

    @classmethod
    def read(cls, payload: Mapping[str, Any]) -> RequestError:
        """That of an `error` of the server's."""
        return cls(text(payload, "code") or "internal", text(payload, "message") or "", payload)

    @property
    def passing(self) -> bool:
        """Whether the same request may succeed later: a code of the application's does not say so."""
        return not self.by_application and self.code in _PASSING

    @property
    def fatal(self) -> bool:
        """Whether the same request will be refused again, as far as is known."""
        return not self.passing and self.retry_after_ms is None

    @property
    def is_end(self) -> bool:
        """Whether nobody has refused it: the client has ended, or its user, or the program did not want the answer."""
        return not self.by_application and self.code in ("closed", "cancelled")

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"

    def __repr__(self) -> str:
        return f"RequestError({self.code!r}, {self.message!r})"


class TokenError(Exception):
    """Raised by a token's function: there will be none, and the client stops (`failed`, `token`).

    Any other exception of the function's is a reason to try again later.
    """


#: Close codes that ask for another token (`docs/protocol.md`, "Closing").
TOKEN_CODES = frozenset(range(4200, 4300))


def verdict(code: int) -> Verdict:
    """What a close code asks of a client; one that no table lists is judged by its range."""
    if code in (1002, 1003, 1007, 1009) or 4000 <= code <= 4099:
        return "ends"
    return "asks for a token" if code in TOKEN_CODES else "comes back"
