"""What goes over the wire (`docs/protocol.md`), for `Connection.request` and `Admin.call`: `ChatSend` is what the request
`chat:send` may have, `ChatSendReply` what its reply has, `ChatMessagePush` what the push `chat:message` has.

It was made of docs/wire.schema.json by from_schema.py: change what the server parses and writes.
"""

from __future__ import annotations

from typing import Any, Literal, TypedDict, Union


class Entry(TypedDict):
    payload: dict[str, Any]
    type: Literal['chat:message', 'chat:edited', 'chat:deleted', 'chat:reacted', 'room:joined', 'room:left']


class Invitation(TypedDict):
    by: str
    room: str
    title: str


class _Limits(TypedDict):
    burst: int
    cid_bytes: int
    connections_per_user: int
    create_members: int
    data_bytes: int
    direct_rooms: int
    emoji_bytes: int
    filter_depth: int
    filter_values: int
    filters: int
    fragments: int
    invites: int
    message_bytes: int
    page: int
    requests_per_second: int
    room_members: int
    rooms: int
    subscriptions: int
    text_bytes: int
    title_bytes: int


class Limits(_Limits, total=False):
    bytes_burst: int
    bytes_per_second: int
    messages_per_minute: int
    user_burst: int
    user_requests_per_second: int
    user_work_burst: int
    user_work_per_second: int


class _Member(TypedDict):
    delivered: int
    name: str
    read: int
    role: Literal['member', 'owner']
    user: str


class Member(_Member, total=False):
    online: bool


class Present(TypedDict):
    connections: int
    name: str
    since: int
    user: str


class _Room(TypedDict):
    head: int
    members: int
    open: bool
    room: str
    title: str


class Room(_Room, total=False):
    read: int
    unread: int


class _Stored(TypedDict):
    room: str
    seq: int
    ts: int


class Stored(_Stored, total=False):
    duplicate: Literal[True]


class _StreamSource(TypedDict):
    failures: int
    refused: int
    state: Literal['half-open', 'open', 'paused', 'running']


class StreamSource(_StreamSource, total=False):
    declared: str
    error: str


class _Stream(TypedDict):
    binary: bool
    keep: Union[Literal['latest'], int]
    seq: int
    stream: str
    subscribers: int


class Stream(_Stream, total=False):
    age_ms: int
    epoch: str
    source: StreamSource
    ts: int


class SubscriptionStale(TypedDict):
    age_ms: int
    since: int


class _Subscription(TypedDict):
    epoch: str
    seq: int
    stream: str


class Subscription(_Subscription, total=False):
    replayed: bool
    snapshot: Any
    stale: SubscriptionStale


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


#: The reply to `admin:add`.
AdminAddReply = Room


class AdminConnectionsReplyConnectionQuality(TypedDict):
    jitter_ms: float
    level: Literal['critical', 'excellent', 'fair', 'good', 'poor']
    max_ms: int
    mean_ms: float
    min_ms: int
    rtt_ms: float
    stability: int


class _AdminConnectionsReplyConnection(TypedDict):
    admin: bool
    connection: str
    drops: int
    errors: int
    kind: Literal['events', 'websocket']
    received: int
    received_bytes: int
    sent: int
    sent_bytes: int
    user: str
    waiting_bytes: int


class AdminConnectionsReplyConnection(_AdminConnectionsReplyConnection, total=False):
    address: str
    quality: AdminConnectionsReplyConnectionQuality
    stream: str


class AdminConnectionsReply(TypedDict):
    """The reply to `admin:connections`."""

    connections: list[AdminConnectionsReplyConnection]
    more: bool


class AdminDisconnectReply(TypedDict):
    """The reply to `admin:disconnect`."""

    closed: int


class AdminPauseReply(TypedDict):
    """The reply to `admin:pause`."""

    state: Literal['paused', 'running']
    stream: str


class AdminPushReply(TypedDict):
    """The reply to `admin:push`."""

    reached: int


class AdminResumeReply(TypedDict):
    """The reply to `admin:resume`."""

    state: Literal['paused', 'running']
    stream: str


class _AdminUserReply(TypedDict):
    connections: list[str]
    name: str
    online: bool
    user: str


class AdminUserReply(_AdminUserReply, total=False):
    """The reply to `admin:user`."""

    since: int


class AdminUsersReply(TypedDict):
    """The reply to `admin:users`."""

    more: bool
    users: list[Present]


class _AuthReply(TypedDict):
    user: str


class AuthReply(_AuthReply, total=False):
    """The reply to `auth`."""

    expires: int


class AuthRevokeReply(TypedDict):
    """The reply to `auth:revoke`."""

    closed: int


class ChatAckReply(TypedDict, total=False):
    """The reply to `chat:ack`."""



#: The reply to `chat:delete`.
ChatDeleteReply = Stored


#: The reply to `chat:edit`.
ChatEditReply = Stored


class ChatHistoryReply(TypedDict):
    """The reply to `chat:history`."""

    entries: list[Entry]
    head: int
    more: bool
    room: str


#: The reply to `chat:react`.
ChatReactReply = Stored


class ChatReadReply(TypedDict):
    """The reply to `chat:read`."""

    room: str
    seq: int
    unread: int


#: The reply to `chat:send`.
ChatSendReply = Stored


class ChatTypingReply(TypedDict, total=False):
    """The reply to `chat:typing`."""



class _InfoReplyCounts(TypedDict):
    connections: int
    rooms: int


class InfoReplyCounts(_InfoReplyCounts, total=False):
    online: int
    waiting_at_store: int
    waiting_bytes: int


class InfoReplyHttp(TypedDict):
    call: str
    events: str


class InfoReplyStream(TypedDict):
    binary: bool
    keep: Union[Literal['latest'], int]
    max_bytes: int
    publish: bool
    stream: str
    subscribe: bool


class _InfoReplyUser(TypedDict):
    admin: bool
    id: str
    name: str


class InfoReplyUser(_InfoReplyUser, total=False):
    anonymous: Literal[True]


class _InfoReply(TypedDict):
    counts: InfoReplyCounts
    durability: Literal['disk', 'memory']
    epoch: str
    heartbeat_ms: int
    http: InfoReplyHttp
    invites: list[Invitation]
    limits: Limits
    presence: Literal['everyone', 'off', 'rooms']
    protocol: int
    rooms: list[Room]
    server: str
    streams: list[InfoReplyStream]
    ts: int
    types: list[str]
    uptime_ms: int
    user: InfoReplyUser


class InfoReply(_InfoReply, total=False):
    """The reply to `info`."""

    after: str
    connection: str


class PingReply(TypedDict):
    """The reply to `ping`."""

    ts: int


class PresenceListReply(TypedDict):
    """The reply to `presence:list`."""

    more: bool
    users: list[Present]
    version: int


class _PublishReply(TypedDict):
    seq: int
    stream: str
    ts: int


class PublishReply(_PublishReply, total=False):
    """The reply to `publish`."""

    duplicate: Literal[True]


class _ResumeReplyRefused(TypedDict):
    code: Literal['conflict', 'epoch_changed', 'gone', 'not_member']


class ResumeReplyRefused(_ResumeReplyRefused, total=False):
    first: int
    head: int


_ResumeReplyRoomsWords = TypedDict("_ResumeReplyRoomsWords", {"from": int})


class ResumeReplyRooms(_ResumeReplyRoomsWords):
    head: int


class ResumeReply(TypedDict):
    """The reply to `resume`."""

    refused: dict[str, ResumeReplyRefused]
    rooms: dict[str, ResumeReplyRooms]


class RoomBanReply(TypedDict):
    """The reply to `room:ban`."""

    room: str
    user: str


class _RoomCreateReply(TypedDict):
    head: int
    members: int
    open: bool
    room: str
    title: str


class RoomCreateReply(_RoomCreateReply, total=False):
    """The reply to `room:create`."""

    invited: list[str]
    read: int
    unread: int


class RoomDeleteReply(TypedDict):
    """The reply to `room:delete`."""

    room: str


#: The reply to `room:info`.
RoomInfoReply = Room


class RoomInviteReply(TypedDict):
    """The reply to `room:invite`."""

    room: str
    user: str


#: The reply to `room:join`.
RoomJoinReply = Room


class RoomLeaveReply(TypedDict):
    """The reply to `room:leave`."""

    room: str


class RoomListReply(TypedDict):
    """The reply to `room:list`."""

    more: bool
    rooms: list[Room]


class RoomMembersReply(TypedDict):
    """The reply to `room:members`."""

    members: list[Member]
    more: bool


class RoomRemoveReply(TypedDict):
    """The reply to `room:remove`."""

    room: str
    user: str


class RoomUnbanReply(TypedDict):
    """The reply to `room:unban`."""

    room: str
    user: str


#: The reply to `room:update`.
RoomUpdateReply = Room


class StreamAckReply(TypedDict, total=False):
    """The reply to `stream:ack`."""



class _StreamGetReplySource(TypedDict):
    failures: int
    refused: int
    state: Literal['half-open', 'open', 'paused', 'running']


class StreamGetReplySource(_StreamGetReplySource, total=False):
    declared: str
    error: str


class _StreamGetReply(TypedDict):
    binary: bool
    keep: Union[Literal['latest'], int]
    seq: int
    stream: str
    subscribers: int


class StreamGetReply(_StreamGetReply, total=False):
    """The reply to `stream:get`."""

    age_ms: int
    data: Any
    epoch: str
    source: StreamGetReplySource
    ts: int


class StreamListReply(TypedDict):
    """The reply to `stream:list`."""

    more: bool
    streams: list[Stream]


class _StreamSubscribersReplySubscriber(TypedDict):
    connection: str
    lag: int
    sent: int


class StreamSubscribersReplySubscriber(_StreamSubscribersReplySubscriber, total=False):
    acked: int


class StreamSubscribersReply(TypedDict):
    """The reply to `stream:subscribers`."""

    more: bool
    seq: int
    stream: str
    subscribers: list[StreamSubscribersReplySubscriber]


class SubscribeReply(TypedDict):
    """The reply to `subscribe`."""

    streams: list[Subscription]


class UnsubscribeReply(TypedDict):
    """The reply to `unsubscribe`."""

    streams: list[str]


class ChatDeletedPush(TypedDict):
    """The push `chat:deleted`."""

    by: str
    room: str
    seq: int
    target: int
    ts: int


class ChatDeliveredPush(TypedDict):
    """The push `chat:delivered`."""

    room: str
    seq: int
    user: str


class ChatEditedPush1(TypedDict):
    """The push `chat:edited`."""

    by: str
    room: str
    seq: int
    target: int
    text: str
    ts: int


class ChatEditedPush2(TypedDict):
    """The push `chat:edited`."""

    by: str
    deleted: Literal[True]
    room: str
    seq: int
    target: int
    ts: int


#: The push `chat:edited`.
ChatEditedPush = Union[ChatEditedPush1, ChatEditedPush2]


_ChatMessagePush1Words = TypedDict("_ChatMessagePush1Words", {"from": str})


class _ChatMessagePush1(_ChatMessagePush1Words):
    room: str
    seq: int
    text: str
    ts: int


class ChatMessagePush1(_ChatMessagePush1, total=False):
    """The push `chat:message`."""

    cid: str
    data: Any
    edited: int
    reactions: dict[str, list[str]]
    reply_to: int


_ChatMessagePush2Words = TypedDict("_ChatMessagePush2Words", {"from": str})


class _ChatMessagePush2(_ChatMessagePush2Words):
    deleted: Literal[True]
    room: str
    seq: int
    ts: int


class ChatMessagePush2(_ChatMessagePush2, total=False):
    """The push `chat:message`."""

    cid: str
    edited: int
    reactions: dict[str, list[str]]
    reply_to: int


#: The push `chat:message`.
ChatMessagePush = Union[ChatMessagePush1, ChatMessagePush2]


class ChatReactedPush(TypedDict):
    """The push `chat:reacted`."""

    by: str
    emoji: str
    on: bool
    room: str
    seq: int
    target: int
    ts: int


class ChatReadPush(TypedDict):
    """The push `chat:read`."""

    room: str
    seq: int
    user: str


class ChatTypingPush(TypedDict):
    """The push `chat:typing`."""

    room: str
    typing: bool
    user: str


class _ErrorPush(TypedDict):
    code: str
    message: str


class ErrorPush(_ErrorPush, total=False):
    """The push `error`."""

    by: Literal['application']
    close: int
    count: int
    data: Any
    field: str
    first: int
    limit: int
    retry_after_ms: int


class EventPush(TypedDict):
    """The push `event`."""

    data: Any
    prev: int
    seq: int
    stream: str
    ts: int


class HelloPushHttp(TypedDict):
    call: str
    events: str


class _HelloPushUser(TypedDict):
    admin: bool
    id: str
    name: str


class HelloPushUser(_HelloPushUser, total=False):
    anonymous: Literal[True]


class _HelloPush(TypedDict):
    connection: str
    durability: Literal['disk', 'memory']
    epoch: str
    heartbeat_ms: int
    http: HelloPushHttp
    invites: list[Invitation]
    limits: Limits
    presence: Literal['everyone', 'off', 'rooms']
    protocol: int
    rooms: list[Room]
    server: str
    ts: int
    user: HelloPushUser


class HelloPush(_HelloPush, total=False):
    """The push `hello`."""

    after: str


class NoticePush1(TypedDict):
    """The push `notice`."""

    code: Literal['unsubscribed']
    message: str
    streams: list[str]


class NoticePush2(TypedDict):
    """The push `notice`."""

    code: Literal['token_expiring']
    expires: int
    message: str


class NoticePush3(TypedDict):
    """The push `notice`."""

    code: Literal['draining']
    message: str
    spread_ms: int


#: The push `notice`.
NoticePush = Union[NoticePush1, NoticePush2, NoticePush3]


#: The push `room:invited`.
RoomInvitedPush = Invitation


class _RoomJoinedPush(TypedDict):
    room: str
    seq: int
    ts: int
    user: str


class RoomJoinedPush(_RoomJoinedPush, total=False):
    """The push `room:joined`."""

    by: str


class _RoomLeftPush(TypedDict):
    room: str
    seq: int
    ts: int
    user: str


class RoomLeftPush(_RoomLeftPush, total=False):
    """The push `room:left`."""

    by: str


class _RoomRemovedPush(TypedDict):
    reason: Literal['banned', 'deleted', 'left', 'removed']
    room: str


class RoomRemovedPush(_RoomRemovedPush, total=False):
    """The push `room:removed`."""

    by: str


class _RoomUpdatedPush(TypedDict):
    open: bool
    room: str
    title: str


class RoomUpdatedPush(_RoomUpdatedPush, total=False):
    """The push `room:updated`."""

    by: str
    owner: str


class StreamStalePush1(TypedDict):
    """The push `stream:stale`."""

    age_ms: int
    since: int
    stale: Literal[True]
    stream: str


class StreamStalePush2(TypedDict):
    """The push `stream:stale`."""

    stale: Literal[False]
    stream: str


#: The push `stream:stale`.
StreamStalePush = Union[StreamStalePush1, StreamStalePush2]


class SubscribedPush(TypedDict):
    """The push `subscribed`."""

    streams: list[Subscription]


class _UserCountPush(TypedDict):
    online: int
    version: int


class UserCountPush(_UserCountPush, total=False):
    """The push `user:count`."""

    room: str


class _UserOfflinePush(TypedDict):
    users: list[str]
    version: int


class UserOfflinePush(_UserOfflinePush, total=False):
    """The push `user:offline`."""

    room: str


class _UserOnlinePush(TypedDict):
    users: list[str]
    version: int


class UserOnlinePush(_UserOnlinePush, total=False):
    """The push `user:online`."""

    reset: Literal[True]
    room: str
