"""What a client tells a program: each kind of event is a class, and `on` and `events` know them by it.

Names, states and codes are those of the clients in JavaScript and Rust. Times (`ts`, `since`, `until`) are in
milliseconds since 1970, UTC; `seq` is the number of an entry in its room, or of an event in its stream.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Union

from .errors import RequestError, Verdict

StateName = Literal["idle", "connecting", "authenticating", "online", "waiting", "paused", "closed", "failed"]
StatusName = Literal["queued", "sent", "acked", "failed", "expired", "cancelled"]
MembershipName = Literal["unknown", "none", "joining", "member", "refused", "left"]
Level = Literal["excellent", "good", "fair", "poor", "critical", "lost"]
#: Why a token is asked for: there is none yet, the one in use ends soon, or was refused.
TokenReason = Literal["first", "expiring", "rejected"]
#: Why a client does not try again: a close code, all attempts were used up, or there will be no token.
FailCode = Union[int, Literal["attempts", "token"]]
#: Why a part of a log cannot be had: it is not kept any more, or the log is another.
GapReason = Literal["gone", "epoch_changed"]


@dataclass(frozen=True)
class State:
    """What a client is doing about its connection.

    `idle`: it has not begun. `connecting`: it asks for a token, looks the name up, connects. `authenticating`: it says
    who it is, and reads on what it missed. `online`: it sends and receives. `waiting`: it comes back at `until`.
    `paused`: it has let go, until `retry_now`. `closed`: by intent. `failed`: it does not come back by itself.
    """

    name: StateName
    #: `online`: since when.
    since: int | None = None
    #: `waiting`: until when.
    until: int | None = None
    #: `waiting`: the number of the next attempt: 1 after a connection that lasted.
    attempt: int | None = None
    #: `waiting`, `paused`, `failed`: why, for people.
    reason: str = ""
    #: `waiting`: the close code, if one came. `failed`: why it does not try again.
    code: FailCode | None = None

    @property
    def is_online(self) -> bool:
        """Whether it sends and receives."""
        return self.name == "online"

    @property
    def is_over(self) -> bool:
        """Whether it does not come back by itself."""
        return self.name in ("closed", "failed")


@dataclass(frozen=True)
class Step:
    """A change of the state, as `why()` has it."""

    at: int
    state: StateName
    #: Why.
    cause: str
    #: The close code, or why it does not try again.
    code: FailCode | None = None
    #: What is done about it.
    advice: Verdict | None = None


@dataclass(frozen=True)
class Quality:
    """How good the connection is, by its round trips."""

    level: Level
    #: The newest round trip, in ms.
    rtt_ms: int
    #: How much round trips differ, in ms (RFC 3550 §6.4.1).
    jitter_ms: float


@dataclass(frozen=True)
class Hello:
    """What the server has said of itself (`docs/protocol.md`, "hello")."""

    #: Its name and version.
    server: str
    #: This connection's name, as in the server's log.
    connection: str
    #: The life of its store: if it is another, every `seq` that was known is void.
    epoch: str
    #: Its time.
    ts: int
    #: The user's id, and their display name.
    user: str
    name: str
    is_admin: bool
    #: Guests have no rooms.
    is_guest: bool
    #: About how often it pings, in ms.
    heartbeat_ms: int
    #: Its limits, by the last parts of their keys.
    limits: Mapping[str, int]
    #: Whether what it acknowledges survives its end.
    is_durable: bool


# --- Rooms ---


@dataclass(frozen=True)
class Entry:
    """An entry of a room's log: each is told once, in order, without a hole."""

    room: str
    seq: int
    ts: int


@dataclass(frozen=True)
class Message(Entry):
    """A message: as it was sent or, where it is read later, as it is now."""

    from_user: str
    #: Empty if it was deleted.
    text: str
    #: What goes with it: any JSON.
    data: Any = None
    #: The entry to which it replies.
    reply_to: int | None = None
    #: Its id, if it is one's own.
    cid: str | None = None
    #: The `seq` of its newest edit.
    edited: int | None = None
    deleted: bool = False
    #: Who, by emoji.
    reactions: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])


@dataclass(frozen=True)
class Edited(Entry):
    """Another text for the message `target`."""

    target: int
    by: str
    #: None for a message that is deleted by now.
    text: str | None


@dataclass(frozen=True)
class Deleted(Entry):
    """The message `target` is no more."""

    target: int
    by: str


@dataclass(frozen=True)
class Reacted(Entry):
    """A reaction to the message `target`, or, if not `is_on`, the end of one."""

    target: int
    by: str
    emoji: str
    is_on: bool


@dataclass(frozen=True)
class Joined(Entry):
    """Somebody is a member from now on; `by` if another did it."""

    user: str
    by: str | None = None


@dataclass(frozen=True)
class Left(Entry):
    """Somebody is no member any more; `by` if another did it."""

    user: str
    by: str | None = None


@dataclass(frozen=True)
class Gap:
    """A part of a room's log that cannot be had: behind the entry `after`, up to the entry `before`."""

    room: str
    after: int
    before: int
    reason: GapReason


@dataclass(frozen=True)
class Read:
    """How far somebody has read."""

    room: str
    user: str
    seq: int


@dataclass(frozen=True)
class Delivered:
    """How far somebody's client has received."""

    room: str
    user: str
    seq: int


@dataclass(frozen=True)
class Typing:
    """Somebody types, or no more."""

    room: str
    user: str
    is_typing: bool


@dataclass(frozen=True)
class Membership:
    """What the user is in a room."""

    room: str
    name: MembershipName
    #: Of `refused`.
    error: RequestError | None = None


# --- People and streams ---


@dataclass(frozen=True)
class Presence:
    """Who is online, as far as this user is told."""

    #: Display names by id.
    users: Mapping[str, str]
    count: int
    #: There are so many that only their number is told.
    is_counted: bool = False


@dataclass(frozen=True)
class StreamEvent:
    """An event of a stream."""

    stream: str
    seq: int
    #: What it says: JSON, or bytes.
    data: Any
    #: When it was published, if that is told.
    ts: int | None = None
    #: Whether some before it were left out, as the stream or the rate allows, or as the program took none.
    is_skipped: bool = False


@dataclass(frozen=True)
class StreamGap:
    """Events of a stream, behind the event `after`, that cannot be had."""

    stream: str
    after: int
    reason: GapReason


@dataclass(frozen=True)
class StreamStale:
    """Nothing was heard of a stream for too long, since then; None when something is."""

    stream: str
    since: int | None


@dataclass(frozen=True)
class StreamRefused:
    """A stream cannot be watched."""

    stream: str
    error: RequestError


# --- The rest ---


@dataclass(frozen=True)
class Refusal:
    """A refusal that answers no request."""

    error: RequestError


@dataclass(frozen=True)
class Push:
    """Any other message of the server's, as it came."""

    type: str
    payload: Mapping[str, Any]


@dataclass(frozen=True)
class LeftOut:
    """So many events were left out, of those that say nothing of a log, as the program took none."""

    count: int


#: What `events` yields.
Event = Union[
    State, Quality, Entry, Gap, Read, Delivered, Typing, Membership, Presence,
    StreamEvent, StreamGap, StreamStale, StreamRefused, Refusal, Push, LeftOut,
]  # fmt: skip


# --- What asks for more than an event ---


@dataclass(frozen=True)
class Stored:
    """Where something stands in a room's log, on the server's disk."""

    room: str
    seq: int
    ts: int
    #: It was stored before.
    is_duplicate: bool = False


@dataclass(frozen=True)
class Status:
    """What has become of a message.

    `queued`: it waits. `sent`: it may be on the server's disk. `acked`: it is. `failed`: it was refused; it stays, and
    can be sent again. `expired`: it was too old, and stays. `cancelled`: it was taken back.
    """

    name: StatusName
    #: Of `acked`.
    stored: Stored | None = None
    #: Of `failed` and `expired`.
    error: RequestError | None = None

    @property
    def is_step(self) -> bool:
        """Whether more becomes of it by itself."""
        return self.name in ("queued", "sent")


@dataclass(frozen=True)
class Kept:
    """A message that is not known to be on the server's disk."""

    id: str
    room: str
    text: str
    #: JSON.
    data: str | None = None
    reply_to: int | None = None
    #: When it was written.
    at: int = 0
    #: Who wrote it, once that is known.
    user: str | None = None
    #: Why it was refused.
    failed: str | None = None


@dataclass(frozen=True)
class RoomView:
    """What a client knows of a room."""

    membership: MembershipName
    #: For people; empty if it has none, or none is known.
    title: str
    #: The newest entry that the program was told, or where the room began for it.
    last: int
    #: How far the user has read.
    read: int
    #: How many messages of others are behind that.
    unread: int
    #: Who types.
    typists: frozenset[str]
