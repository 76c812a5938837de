"""What each request may have (`docs/protocol.md`), for `Connection.request` and `Admin.call`: `ChatSend` is of `chat:send`.

It was made of docs/wire.schema.json by from_schema.py: change what the server parses.
"""

from __future__ import annotations

from typing import Any, Literal, TypedDict, Union


class AdminAdd(TypedDict):
    """Of `admin:add`."""

    room: str
    user: str


class AdminConnections(TypedDict, total=False):
    """Of `admin:connections`."""

    after: str
    limit: int


class AdminDisconnectByUser(TypedDict):
    """Of `admin:disconnect`, with `user`."""

    user: str


class AdminDisconnectByConnection(TypedDict):
    """Of `admin:disconnect`, with `connection`."""

    connection: str


#: Of `admin:disconnect`.
AdminDisconnect = Union[AdminDisconnectByUser, AdminDisconnectByConnection]


class AdminPause(TypedDict):
    """Of `admin:pause`."""

    stream: str


class _AdminPushByUsers(TypedDict):
    type: str
    users: list[str]


class AdminPushByUsers(_AdminPushByUsers, total=False):
    """Of `admin:push`, with `users`."""

    payload: dict[str, Any]


class _AdminPushByAll(TypedDict):
    all: Literal[True]
    type: str


class AdminPushByAll(_AdminPushByAll, total=False):
    """Of `admin:push`, with `all`."""

    payload: dict[str, Any]


class _AdminPushByConnection(TypedDict):
    connection: str
    type: str


class AdminPushByConnection(_AdminPushByConnection, total=False):
    """Of `admin:push`, with `connection`."""

    payload: dict[str, Any]


class _AdminPushByRoom(TypedDict):
    room: str
    type: str


class AdminPushByRoom(_AdminPushByRoom, total=False):
    """Of `admin:push`, with `room`."""

    payload: dict[str, Any]


class _AdminPushByUser(TypedDict):
    type: str
    user: str


class AdminPushByUser(_AdminPushByUser, total=False):
    """Of `admin:push`, with `user`."""

    payload: dict[str, Any]


#: Of `admin:push`.
AdminPush = Union[AdminPushByUsers, AdminPushByAll, AdminPushByConnection, AdminPushByRoom, AdminPushByUser]


class AdminResume(TypedDict):
    """Of `admin:resume`."""

    stream: str


class AdminUser(TypedDict):
    """Of `admin:user`."""

    user: str


class AdminUsers(TypedDict, total=False):
    """Of `admin:users`."""

    after: str
    limit: int


class _Auth(TypedDict):
    token: str


class Auth(_Auth, total=False):
    """Of `auth`."""

    resume: bool


class AuthRevokeByJti(TypedDict):
    """Of `auth:revoke`, with `jti`."""

    jti: str


class _AuthRevokeByUser(TypedDict):
    user: str


class AuthRevokeByUser(_AuthRevokeByUser, total=False):
    """Of `auth:revoke`, with `user`."""

    before: int


#: Of `auth:revoke`.
AuthRevoke = Union[AuthRevokeByJti, AuthRevokeByUser]


class ChatAckByRoom(TypedDict):
    """Of `chat:ack`, with `room`."""

    room: str
    seq: int


class ChatAckByRooms(TypedDict):
    """Of `chat:ack`, with `rooms`."""

    rooms: dict[str, int]


#: Of `chat:ack`.
ChatAck = Union[ChatAckByRoom, ChatAckByRooms]


class ChatDelete(TypedDict):
    """Of `chat:delete`."""

    room: str
    seq: int


class ChatEdit(TypedDict):
    """Of `chat:edit`."""

    room: str
    seq: int
    text: str


class _ChatHistory(TypedDict):
    room: str


class ChatHistory(_ChatHistory, total=False):
    """Of `chat:history`."""

    after: int
    before: int
    limit: int


class _ChatReact(TypedDict):
    emoji: str
    room: str
    seq: int


class ChatReact(_ChatReact, total=False):
    """Of `chat:react`."""

    on: bool


class ChatRead(TypedDict):
    """Of `chat:read`."""

    room: str
    seq: int


class _ChatSendByRoom(TypedDict):
    room: str
    text: str


class ChatSendByRoom(_ChatSendByRoom, total=False):
    """Of `chat:send`, with `room`."""

    cid: str
    data: Any
    reply_to: int


class _ChatSendByTo(TypedDict):
    text: str
    to: str


class ChatSendByTo(_ChatSendByTo, total=False):
    """Of `chat:send`, with `to`."""

    cid: str
    data: Any
    reply_to: int


#: Of `chat:send`.
ChatSend = Union[ChatSendByRoom, ChatSendByTo]


class _ChatTyping(TypedDict):
    room: str


class ChatTyping(_ChatTyping, total=False):
    """Of `chat:typing`."""

    typing: bool


class Info(TypedDict, total=False):
    """Of `info`."""

    after: str


class Ping(TypedDict, total=False):
    """Of `ping`."""



class PresenceList(TypedDict, total=False):
    """Of `presence:list`."""

    after: str
    limit: int
    room: str


class _Publish(TypedDict):
    data: Any
    stream: str


class Publish(_Publish, total=False):
    """Of `publish`."""

    id: str


class _Resume(TypedDict):
    epoch: str


class Resume(_Resume, total=False):
    """Of `resume`."""

    more: bool
    rooms: dict[str, int]


class RoomBan(TypedDict):
    """Of `room:ban`."""

    room: str
    user: str


class RoomCreate(TypedDict, total=False):
    """Of `room:create`."""

    members: list[str]
    open: bool
    room: str
    title: str


class RoomDelete(TypedDict):
    """Of `room:delete`."""

    room: str


class RoomInfo(TypedDict):
    """Of `room:info`."""

    room: str


class RoomInvite(TypedDict):
    """Of `room:invite`."""

    room: str
    user: str


class RoomJoin(TypedDict):
    """Of `room:join`."""

    room: str


class RoomLeave(TypedDict):
    """Of `room:leave`."""

    room: str


class RoomList(TypedDict, total=False):
    """Of `room:list`."""

    after: str
    all: bool
    limit: int
    open: bool


class _RoomMembers(TypedDict):
    room: str


class RoomMembers(_RoomMembers, total=False):
    """Of `room:members`."""

    after: str
    limit: int


class RoomRemove(TypedDict):
    """Of `room:remove`."""

    room: str
    user: str


class RoomUnban(TypedDict):
    """Of `room:unban`."""

    room: str
    user: str


class _RoomUpdate(TypedDict):
    room: str


class RoomUpdate(_RoomUpdate, total=False):
    """Of `room:update`."""

    open: bool
    owner: str
    title: str


class StreamAck(TypedDict):
    """Of `stream:ack`."""

    seq: int
    stream: str


class StreamGet(TypedDict):
    """Of `stream:get`."""

    stream: str


class StreamList(TypedDict, total=False):
    """Of `stream:list`."""

    after: str
    limit: int


class _StreamSubscribers(TypedDict):
    stream: str


class StreamSubscribers(_StreamSubscribers, total=False):
    """Of `stream:subscribers`."""

    after: str
    limit: int


class _SubscribeByStream(TypedDict):
    stream: str


class SubscribeByStream(_SubscribeByStream, total=False):
    """Of `subscribe`, with `stream`."""

    epoch: str
    filter: dict[str, Any]
    max_rate: int
    since: int


class _SubscribeByStreams(TypedDict):
    streams: list[str]


class SubscribeByStreams(_SubscribeByStreams, total=False):
    """Of `subscribe`, with `streams`."""

    filter: dict[str, Any]
    max_rate: int


#: Of `subscribe`.
Subscribe = Union[SubscribeByStream, SubscribeByStreams]


class UnsubscribeByStream(TypedDict):
    """Of `unsubscribe`, with `stream`."""

    stream: str


class UnsubscribeByStreams(TypedDict):
    """Of `unsubscribe`, with `streams`."""

    streams: list[str]


#: Of `unsubscribe`.
Unsubscribe = Union[UnsubscribeByStream, UnsubscribeByStreams]
