"""A client of the parlor chat and presence server: `parlor.aio` for asyncio, `parlor.sync` for threads."""

from ._client import Member, Members, Page
from ._link import Backoff, Hint
from .errors import RequestError, TokenError, Verdict, verdict
from .events import (
    Deleted,
    Delivered,
    Edited,
    Entry,
    Event,
    Gap,
    Hello,
    Joined,
    Kept,
    Left,
    LeftOut,
    Membership,
    Message,
    Presence,
    Push,
    Quality,
    Reacted,
    Read,
    Refusal,
    RoomView,
    State,
    Status,
    Step,
    Stored,
    StreamEvent,
    StreamGap,
    StreamRefused,
    StreamStale,
    TokenReason,
    Typing,
)
from .outbox import Outbox, OutboxError, SqliteOutbox

__version__ = "0.1.0"

__all__ = [
    "Backoff", "Deleted", "Delivered", "Edited", "Entry", "Event", "Gap", "Hello", "Hint", "Joined", "Kept", "Left",
    "LeftOut", "Member", "Members", "Membership", "Message", "Outbox", "OutboxError", "Page", "Presence", "Push",
    "Quality", "Reacted", "Read", "Refusal", "RequestError", "RoomView", "SqliteOutbox", "State", "Status", "Step",
    "Stored", "StreamEvent", "StreamGap", "StreamRefused", "StreamStale", "TokenError", "TokenReason", "Typing", "Verdict",
    "verdict",
]  # fmt: skip
