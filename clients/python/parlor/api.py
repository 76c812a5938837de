"""What the server's HTTP calls answer, and are given (`docs/http.md`).

It was made of docs/openapi.json by from_openapi.py: change that. Times are in milliseconds since 1970, UTC.
"""

from __future__ import annotations

from typing import Any, Literal, TypedDict, Union


class _ErrorError(TypedDict):
    #: For programs. Without `by`: see the table of refusals in http.md. With it any code of the application's.
    code: str
    #: For people.
    message: str


class ErrorError(_ErrorError, total=False):
    #: Which member is wrong.
    field: str
    #: Which limit is met.
    limit: int
    #: Nothing should be asked before.
    retry_after_ms: int
    #: The oldest entry that is kept.
    first: int
    #: The application has refused it: the code is its own, also where the server has one of that name.
    by: Literal['application']
    #: What the application says beside its message: any JSON.
    data: Any


class Error(TypedDict):
    error: ErrorError


class _Room(TypedDict):
    room: str
    title: str
    #: Whether anybody may join.
    open: bool
    members: int
    #: The newest entry.
    head: int


class Room(_Room, total=False):
    #: Up to which entry the caller, a member, has read.
    read: int
    unread: int


class Rooms(TypedDict):
    rooms: list[Room]
    more: bool


class _Done(TypedDict):
    room: str


class Done(_Done, total=False):
    user: str


class _Sent(TypedDict):
    room: str
    #: The message's place in the room's log.
    seq: int
    #: Milliseconds since 1970, UTC.
    ts: int


class Sent(_Sent, total=False):
    #: It was there before, by the same `cid`.
    duplicate: bool


class Entry(TypedDict):
    """An entry of a log, as it is pushed on a WebSocket."""

    type: str
    payload: dict[str, Any]


class History(TypedDict):
    room: str
    entries: list[Entry]
    head: int
    #: Whether there is more in the direction asked for.
    more: bool


class _Member(TypedDict):
    user: str
    name: str
    role: Literal['owner', 'member']
    read: int
    delivered: int


class Member(_Member, total=False):
    online: bool


class Members(TypedDict):
    members: list[Member]
    more: bool


class Present(TypedDict):
    user: str
    name: str
    connections: int
    #: Milliseconds since 1970, UTC.
    since: int


class _Users(TypedDict):
    users: list[Present]
    more: bool


class Users(_Users, total=False):
    #: Not for admins.
    version: int


class _User(TypedDict):
    user: str
    name: str
    online: bool
    connections: list[str]


class User(_User, total=False):
    #: Milliseconds since 1970, UTC.
    since: int


class Quality(TypedDict):
    """What the round trips of pings come to; not there before one was answered."""

    level: Literal['excellent', 'good', 'fair', 'poor', 'critical']
    #: The smoothed round trip, by which the level is.
    rtt_ms: float
    min_ms: int
    mean_ms: float
    max_ms: int
    jitter_ms: float
    stability: int


class _Connection(TypedDict):
    connection: str
    user: str
    admin: bool
    kind: Literal['websocket', 'events']
    waiting_bytes: int
    #: Messages that were queued for it; not more than 4294967295, as the next three.
    sent: int
    received: int
    #: Refusals and errors that it was told.
    errors: int
    #: Pushes that it did not get as it read too slowly: ephemeral ones, and events of states that were skipped.
    drops: int
    #: Bytes that the system took for it, HTTP head included
    sent_bytes: int
    #: Bytes that were read from it
    received_bytes: int


class Connection(_Connection, total=False):
    #: The one that it is for alone: it came by the stream's own path, or asked for that stream's events.
    stream: str
    #: As it is counted: an IPv4 address, or the /64 of an IPv6 one; of the client, if a proxy that is believed has
    #: named it.
    address: str
    #: What the round trips of pings come to; not there before one was answered.
    quality: Quality


class Connections(TypedDict):
    connections: list[Connection]
    more: bool


class Closed(TypedDict):
    #: How many connections were ended.
    closed: int


class Reached(TypedDict):
    #: How many connections have taken it.
    reached: int


class _Push(TypedDict):
    #: None of the wire's own types.
    type: str


class Push(_Push, total=False):
    payload: dict[str, Any]


class NewRoom(TypedDict, total=False):
    title: str
    open: bool
    #: Of a room that is new.
    members: list[str]
    owner: str


class _Message(TypedDict):
    #: At most `limits.text_bytes`.
    text: str


class Message(_Message, total=False):
    #: An application's own: any JSON.
    data: Any
    #: An entry of the room.
    reply_to: int
    #: The author's own id: sent again with the same one, it is one message.
    cid: str


class _StreamState(TypedDict):
    stream: str


class StreamState(_StreamState, total=False):
    #: Of the source, if it has one.
    state: Literal['running', 'paused', 'open', 'half-open']
    #: Without its source the server is not ready.
    required: Literal[True]
    #: How many sources are left alone, or are being tried.
    down: int
    #: Of the newest event that is kept.
    age_ms: int


#: Every stream that is declared, of a family the newest and the worst of all.
StreamStates = list[StreamState]


class _StreamInfo(TypedDict):
    stream: str
    keep: Union[Literal['latest'], int]
    binary: bool
    seq: int
    subscribers: int


class StreamInfo(_StreamInfo, total=False):
    epoch: str
    ts: int
    #: How old its newest event is; for admins.
    age_ms: int
    source: Source


class Streams(TypedDict):
    streams: list[StreamInfo]
    more: bool


class _Stream(TypedDict):
    stream: str
    keep: Union[Literal['latest'], int]
    binary: bool
    seq: int
    subscribers: int


class Stream(_Stream, total=False):
    epoch: str
    ts: int
    #: How old its newest event is; for admins.
    age_ms: int
    source: Source
    data: Any


class _Published(TypedDict):
    stream: str
    seq: int
    ts: int


class Published(_Published, total=False):
    #: It was there before, by the same id.
    duplicate: bool


class _Subscriber(TypedDict):
    connection: str
    sent: int
    lag: int


class Subscriber(_Subscriber, total=False):
    acked: int


class Subscribers(TypedDict):
    stream: str
    seq: int
    subscribers: list[Subscriber]
    more: bool


class Ticket(TypedDict):
    ticket: str
    #: When it ends, ms since 1970
    expires: int


class SourceState(TypedDict):
    stream: str
    state: Literal['running', 'paused']


class _Source(TypedDict):
    state: Literal['running', 'paused', 'open', 'half-open']
    failures: int
    refused: int


class Source(_Source, total=False):
    """What feeds it beside clients and the embedding program; for admins."""

    error: str


class SignInUser(TypedDict):
    """Nobody is signed in if it is null"""

    id: str
    name: str
    admin: bool


class _SignIn(TypedDict):
    #: Nobody is signed in if it is null
    user: Union[SignInUser, None]


class SignIn(_SignIn, total=False):
    by: Literal['link', 'application', 'token']
    #: Until when, in ms since 1970
    expires: int


class Healthz(TypedDict):
    """The answer of `/healthz`."""

    status: Literal['ok']
    open: bool
    version: str


class _Readyz(TypedDict):
    status: Literal['ready']


class Readyz(_Readyz, total=False):
    """The answer of `/readyz`."""

    streams: StreamStates
