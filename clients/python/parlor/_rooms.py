"""Rooms: each a log of entries, handed on once, in order, without a hole.

Entries come by themselves while the connection stands. What is missing is read from the log before anything newer is
handed on; and if the program takes nothing, the room stops where it is, and is read on from there later.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from . import events
from ._desk import Desk, Tell
from ._outbox import Unsent
from ._requests import Requests, Result, Urgency
from ._told import flag, integer, members, number, objects, text, texts
from .errors import RequestError

RETRY_MS = 1_000
#: How many entries are asked for at once, unless the server allows fewer.
PAGE = 200
#: How many rooms one `resume` and one `chat:ack` name.
ROOMS_PER_REQUEST = 300
#: How many rooms a client follows at most; of further ones it knows nothing.
ROOMS_MAX = 100_000
#: How often somebody is told that the user types, and after how long nobody is believed to type.
TYPING_EVERY_MS = 3_000
TYPING_MS = 6_000
#: How many people are seen typing in a room at most.
TYPISTS_MAX = 100
#: While so many things are due later, nobody else is seen typing in any room.
TIMERS_MAX = 10_000
READ_EVERY_MS = 1_000
ACK_EVERY_MS = 1_000


@dataclass
class RoomLog:
    """A room, as far as the client knows it."""

    membership: events.MembershipName = "unknown"
    refusal: RequestError | None = None
    title: str = ""
    #: The newest entry that was handed on, or the head when the user came.
    last: int = 0
    #: The user's own mark.
    read: int = 0
    unread: int = 0
    #: Up to where entries are known to be there.
    head: int = 0
    #: Up to where `unread` counts.
    counted: int = 0
    #: A `resume` names it: it is one of the user's, of this epoch.
    is_followed: bool = False
    is_wanted: bool = False
    #: Where the program wants to begin, until it is known whether the user is a member.
    begin: int | None = None
    #: A page of it is asked for.
    is_reading: bool = False
    #: The server has refused to go on with it: nothing of it comes before it is read.
    is_cold: bool = False
    #: What the program has not been told yet.
    gap: events.Gap | None = None
    #: Of the newest `hello`.
    is_listed: bool = False
    listed_head: int = 0
    is_new_epoch: bool = False
    typists: set[str] = field(default_factory=set[str])
    typed_at: int | None = None

    def stop_following(self) -> None:
        """The user is in it no more: it begins anew if they come again."""
        self.is_followed, self.is_cold, self.gap = False, False, None

    def begin_at(self, head: int) -> None:
        """It is followed from here on, or from where the program wants to begin."""
        self.head = head
        self.last = min(head if self.begin is None else self.begin, head)
        self.begin = None


class Rooms:
    """The rooms of a client."""

    def __init__(self, desk: Desk, requests: Requests, unsent: Unsent) -> None:
        self._desk = desk
        self._requests = requests
        self._unsent = unsent
        self._rooms: dict[str, RoomLog] = {}
        self._hello: events.Hello | None = None
        #: Of which something is to be acknowledged; which have stopped, as the program took nothing; of which it has
        #: not been told what the user is in them.
        self._unacked: dict[str, None] = {}
        self._stopped: dict[str, None] = {}
        self._untold: dict[str, None] = {}

    def names(self) -> list[str]:
        return list(self._rooms)

    def view(self, name: str) -> events.RoomView | None:
        room = self._rooms.get(name)
        if room is None:
            return None
        return events.RoomView(room.membership, room.title, room.last, room.read, room.unread, frozenset(room.typists))

    def taken(self) -> None:
        """The program has taken something: it can be told what has waited."""
        self._tell_memberships()
        if self._stopped and self._desk.is_half_free:
            stopped, self._stopped = self._stopped, {}
            for name in stopped:
                self._go_on(name)

    def forget_user(self) -> None:
        """Nothing that one person has read is known in the name of another."""
        for name in self._rooms:
            self._desk.deadlines.clear(("read", name))
            self._desk.deadlines.clear(("missing", name))
        self._desk.deadlines.clear_where(_is_typing)
        for known in (self._rooms, self._unacked, self._stopped, self._untold):
            known.clear()

    def _known(self, name: str) -> RoomLog | None:
        """A room of which something was heard."""
        room = self._rooms.get(name)
        if room is None and len(self._rooms) < ROOMS_MAX:
            # `hello` has named all rooms of the user.
            room = RoomLog("none" if self._desk.is_online else "unknown")
            self._rooms[name] = room
        return room

    # --- What `hello` says ---

    def greeted(self, hello: events.Hello, is_new_epoch: bool) -> None:
        self._hello = hello
        for room in self._rooms.values():
            room.is_listed = False
            room.is_new_epoch |= is_new_epoch

    def listed(self, page: Mapping[str, Any]) -> None:
        """A page of the user's rooms came."""
        for told in objects(page, "rooms"):
            name = text(told, "room")
            if name is None or (len(self._rooms) >= ROOMS_MAX and name not in self._rooms):
                continue
            head = number(told, "head") or 0
            room = self._rooms.setdefault(name, RoomLog())
            room.is_listed, room.is_cold, room.listed_head = True, False, head
            if room.is_new_epoch:
                room.is_new_epoch = False
                self._reset(name, room, head)
            self.welcome(name, told)

    def all_listed(self) -> list[str]:
        """Of the rooms that were not listed the user is no member. Those that go on from where they were."""
        for name, room in list(self._rooms.items()):
            if not room.is_listed:
                room.is_new_epoch = False
                self._miss(name, room)
        known: list[str] = []
        for name, room in self._rooms.items():
            if name in self._stopped:
                # What is missing of it is read when the program takes something.
                room.head = max(room.head, room.listed_head)
            elif room.is_followed and room.last != room.listed_head:
                known.append(name)
        return known

    def positions(self, names: list[str]) -> dict[str, int]:
        """The newest entries that the program has of these."""
        return {name: self._rooms[name].last for name in names if name in self._rooms}

    def resumed(self, names: list[str], going_on: Mapping[str, Any], refused: Mapping[str, Any]) -> None:
        """The server has said which of these go on."""
        for name in names:
            room = self._rooms.get(name)
            if room is None:
                continue
            if text(members(refused, name), "code") == "not_member":
                self._miss(name, room)
            elif name not in going_on:
                # The log does not reach back so far: what there is of it is read. That makes the room live, too.
                room.is_cold = True
                self._is_behind(name, room, room.listed_head)

    def _reset(self, name: str, room: RoomLog, head: int) -> None:
        """A room's log is another: nothing that was known of it holds."""
        known = room.last if room.begin is None else room.begin
        room.begin = None
        after = room.last if room.is_followed else known
        room.last = room.head = head
        room.read = 0
        if after > 0:
            self._tell_gap(name, room, events.Gap(name, after, head + 1, "epoch_changed"))

    def _miss(self, name: str, room: RoomLog) -> None:
        """The user is no member, as the server says."""
        room.stop_following()
        self._stopped.pop(name, None)
        self._unacked.pop(name, None)
        # It waits to be joined: the program has asked for that.
        if room.membership == "joining":
            return
        self._become(name, room, "left" if room.membership in ("member", "left") else "none")
        if room.is_wanted and self._desk.is_online:
            self.join(name)

    def join_wanted(self) -> None:
        """Joins the rooms in which the user wants to be."""
        for name, room in list(self._rooms.items()):
            if room.is_wanted and not room.is_followed and room.membership != "joining":
                self.join(name)

    # --- Who is in it ---

    def welcome(self, name: str, told: Mapping[str, Any]) -> None:
        """What `hello`, `room:join` or `room:info` says of a room."""
        room = self._known(name)
        read = number(told, "read")
        if room is None or read is None:
            return
        head = number(told, "head") or 0
        if not room.is_followed:
            room.begin_at(head)
        room.is_followed = True
        room.counted = head
        unread = number(told, "unread")
        room.unread = room.unread if unread is None else unread
        title = text(told, "title")
        room.title = room.title if title is None else title
        # The server was not told, or the answer was lost.
        if read < room.read:
            self._desk.deadlines.set_once(("read", name), self._desk.after(READ_EVERY_MS), lambda: self._tell_read(name))
        room.read = max(room.read, read)
        self._become(name, room, "member")
        if room.is_cold:
            self._go_on(name)

    def _become(self, name: str, room: RoomLog, membership: events.MembershipName, why: RequestError | None = None) -> None:
        if (room.membership, room.refusal) != (membership, why):
            room.membership, room.refusal = membership, why
            self._untold[name] = None
            self._tell_memberships()

    def _tell_memberships(self) -> None:
        while self._untold and self._desk.credit > 0:
            name = next(iter(self._untold))
            del self._untold[name]
            room = self._rooms[name]
            self._desk.tell(events.Membership(name, room.membership, room.refusal))

    def join(self, name: str, call: int | None = None, answered: Callable[[Result], None] | None = None) -> None:
        """The user wants to be in it; `answered` where the program waits for the answer."""
        room = self._known(name)
        if room is None:
            if answered is not None:
                answered(RequestError("overloaded"))
            return
        room.is_wanted = True
        if answered is None and (room.is_followed or not self._desk.is_online):
            return
        self._become(name, room, "joining")

        def joined(result: Result) -> None:
            self._joined(name, result)
            if answered is not None:
                answered(result)

        # Before what was asked meanwhile, which wants a member.
        self._requests.ask("room:join", {"room": name}, joined, urgency=Urgency.FIRST, call=call)

    def _joined(self, name: str, result: Result) -> None:
        room = self._rooms.get(name)
        if not isinstance(result, RequestError):
            return self.welcome(name, result)
        if room is None:
            return
        if result.passing or result.is_end:
            return self._become(name, room, "member" if room.is_followed else "unknown")
        room.is_wanted = False
        self._become(name, room, "refused", result)
        self._unsent.refuse(name, result)

    def leave(self, name: str) -> None:
        """The user wants to be in it no more."""
        room = self._rooms.get(name)
        if room is not None:
            room.is_wanted = False

    def _removed(self, name: str, has_left: bool) -> None:
        room = self._rooms.get(name)
        if room is None:
            return
        room.is_wanted = room.is_wanted and has_left
        room.stop_following()
        self._stopped.pop(name, None)
        self._unacked.pop(name, None)
        self._become(name, room, "left")
        self._unsent.refuse(name, RequestError("not_member"))

    # --- What is pushed ---

    def told(self, kind: str, payload: dict[str, Any]) -> bool:
        """A push that may be about a room; whether all about it is told."""
        name = text(payload, "room")
        if name is None:
            return False
        seq = number(payload, "seq")
        if seq is not None and payload.get("ts") is not None:
            self._arrives(name, seq, kind, payload)
            return True
        user = text(payload, "user")
        if kind == "chat:typing":
            if user is not None:
                self._typed(name, user, payload.get("typing") is not False)
            return True
        if kind in ("chat:read", "chat:delivered"):
            if user is not None and seq is not None:
                if kind == "chat:read" and self._is_me(user):
                    self._has_read(name, seq)
                mark = events.Read if kind == "chat:read" else events.Delivered
                self._desk.tell_or_leave_out(mark(name, user, seq))
            return True
        room = self._rooms.get(name)
        if kind == "room:removed":
            self._removed(name, text(payload, "reason") == "left")
        elif kind == "room:updated" and room is not None:
            title = text(payload, "title")
            room.title = room.title if title is None else title
        elif kind == "room:invited" and room is not None:
            self._miss(name, room)
        return False

    def _is_me(self, user: str) -> bool:
        return self._hello is not None and self._hello.user == user

    # --- Entries ---

    def _arrives(self, name: str, seq: int, kind: str, payload: dict[str, Any]) -> None:
        """An entry was pushed."""
        room = self._known(name)
        if room is None:
            return
        if not room.is_followed:
            # Another client of the user's has joined, or somebody has added them: the rest is asked for.
            is_joining = room.membership == "joining"
            room.is_followed = True
            room.begin_at(max(seq - 1, 0))
            room.counted = room.head
            self._become(name, room, "member")
            if not is_joining:
                self._requests.ask("room:info", {"room": name}, lambda result: self._informed(name, result))
        if seq <= room.last:
            return
        if name in self._stopped:
            room.head = max(room.head, seq)
        elif seq == room.last + 1 and not room.is_reading and self._desk.credit > 0:
            self._take(name, room, seq, kind, payload)
        else:
            self._is_behind(name, room, seq)

    def _informed(self, name: str, result: Result) -> None:
        if not isinstance(result, RequestError):
            self.welcome(name, result)

    def _is_behind(self, name: str, room: RoomLog, head: int) -> None:
        """The log goes up to here, and what is missing up to there is read."""
        room.head = max(room.head, head)
        self._go_on(name)

    def _go_on(self, name: str) -> None:
        """Reads what is missing of a room, if the program takes it."""
        room = self._rooms.get(name)
        if room is None:
            return
        if room.gap is not None:
            gap, room.gap = room.gap, None
            self._tell_gap(name, room, gap)
        is_whole = room.last >= room.head and room.gap is None and not room.is_cold
        if not room.is_followed or room.is_reading or is_whole:
            return
        if self._desk.credit == 0 or room.gap is not None:
            self._stopped[name] = None
        else:
            self._read_missing(name, room)

    def _read_missing(self, name: str, room: RoomLog) -> None:
        page = min(PAGE, self._hello.limits.get("page", PAGE) if self._hello else PAGE)
        room.is_reading = True
        asked = {"room": name, "after": room.last, "limit": max(min(page, self._desk.credit), 1)}
        self._requests.ask("chat:history", asked, lambda result: self._missing_read(name, result))

    def _missing_read(self, name: str, result: Result) -> None:
        """A page of what was missing came."""
        room = self._rooms.get(name)
        if room is None:
            return
        room.is_reading = False
        if not isinstance(result, RequestError):
            room.is_cold = False
            head = number(result, "head") or 0
            room.head = max(room.head, head)
            entries = objects(result, "entries")
            if not entries:
                room.last = max(room.last, head)
                room.head = max(room.head, room.last)
            for one in entries:
                payload = members(one, "payload")
                seq, kind = number(payload, "seq"), text(one, "type")
                is_new = seq is not None and seq > room.last
                if seq is not None and kind is not None and is_new and not self._take(name, room, seq, kind, payload):
                    break
            self._go_on(name)
        elif result.code == "gone":
            before = max(room.head + 1 if result.first is None else result.first, room.last + 1)
            after, room.last = room.last, before - 1
            # It may have been asked before the room began anew.
            if after + 1 < before:
                self._tell_gap(name, room, events.Gap(name, after, before, "gone"))
            self._go_on(name)
        elif result.is_end or result.code == "disconnected":
            # The next connection asks again: a `resume` names the room.
            pass
        elif result.passing or result.code == "not_member":
            # The store may still refuse the end of a membership. Otherwise `room:removed` comes, and nothing is asked.
            wait = max(result.retry_after_ms or RETRY_MS, RETRY_MS)
            self._desk.deadlines.set(("missing", name), self._desk.after(wait), lambda: self._go_on(name))
        else:
            self._desk.tell_or_leave_out(events.Refusal(result))

    def _take(self, name: str, room: RoomLog, seq: int, kind: str, payload: dict[str, Any]) -> bool:
        """Hands an entry on; whether the program had room for it."""
        if self._desk.credit == 0:
            self._stopped[name] = None
            return False
        # Whatever else is told by it.
        self._desk.credit -= 1
        room.last = seq
        room.head = max(room.head, seq)
        entry = read_entry(kind, payload)
        if isinstance(entry, events.Message):
            self._typed(name, entry.from_user, False)
            if not self._is_me(entry.from_user):
                room.unread += int(not entry.deleted and seq > room.counted)
            else:
                if entry.cid is not None:
                    self._unsent.shown(entry.cid, name, seq, entry.ts)
                room.read, room.unread = seq, 0
        elif isinstance(entry, events.Left):
            self._typed(name, entry.user, False)
        self._seen(name)
        # One of a kind that this client does not know counts as seen.
        self._desk.do(Tell(events.Push(kind, payload) if entry is None else entry))
        return True

    def _tell_gap(self, name: str, room: RoomLog, gap: events.Gap) -> None:
        """Tells the program of a gap, or keeps it until it takes something; then the room stops there.

        One that was kept goes into it: there is one gap, wherever it ends.
        """
        if room.gap is not None:
            gap = events.Gap(name, room.gap.after, gap.before, gap.reason)
            room.gap = None
        if not self._desk.tell(gap):
            self._stopped[name] = None
            room.gap = gap

    def go_on_from(self, name: str, seq: int) -> None:
        """The program wants what is behind an entry."""
        room = self._known(name)
        if room is None:
            return
        if room.is_followed:
            room.head = max(room.head, room.last)
            room.last = min(seq, room.head)
            self._go_on(name)
        else:
            room.begin = seq

    # --- Acknowledgements and marks ---

    def _seen(self, name: str) -> None:
        self._unacked[name] = None
        self._desk.deadlines.set_once("ack", self._desk.after(ACK_EVERY_MS), self._acknowledge)

    def _acknowledge(self) -> None:
        """Tells the server what has come."""
        piece = list(self._unacked)[:ROOMS_PER_REQUEST]
        if piece and self._requests.say("chat:ack", {"rooms": self.positions(piece)}):
            for name in piece:
                del self._unacked[name]
        # The rate did not allow it, or there are more.
        if self._desk.is_online and self._unacked:
            self._desk.deadlines.set("ack", self._desk.after(ACK_EVERY_MS), self._acknowledge)

    def mark_read(self, name: str, seq: int | None) -> None:
        """The user has read so far."""
        room = self._rooms.get(name)
        if room is None:
            return
        seq = room.last if seq is None else seq
        if seq > room.read:
            self._has_read(name, seq)
            self._desk.deadlines.set_once(("read", name), self._desk.after(READ_EVERY_MS), lambda: self._tell_read(name))

    def _has_read(self, name: str, seq: int) -> None:
        room = self._rooms.get(name)
        if room is not None:
            room.read = max(room.read, seq)
            room.unread = 0 if seq >= room.last else room.unread

    def _tell_read(self, name: str) -> None:
        room = self._rooms.get(name)
        if room is not None:
            asked = {"room": name, "seq": room.read}
            self._requests.ask("chat:read", asked, lambda result: self._read_told(name, result))

    def _read_told(self, name: str, result: Result) -> None:
        room = self._rooms.get(name)
        unread = None if isinstance(result, RequestError) else number(result, "unread")
        if room is not None and unread is not None:
            room.unread = unread
            room.counted = max(room.counted, room.last)

    # --- Who types ---

    def types(self, name: str, is_typing: bool) -> None:
        """The user types, or no more."""
        room = self._known(name)
        if room is None:
            return
        is_told = room.typed_at is not None and self._desk.now.ms - room.typed_at < TYPING_EVERY_MS
        if is_typing != is_told and self._requests.say("chat:typing", {"room": name, "typing": is_typing}):
            room.typed_at = self._desk.now.ms if is_typing else None

    def _typed(self, name: str, user: str, is_typing: bool) -> None:
        """Somebody types, or no more."""
        room = self._rooms.get(name)
        if room is None:
            return
        due = ("typing", name, user)
        was = user in room.typists
        if not is_typing:
            room.typists.discard(user)
            self._desk.deadlines.clear(due)
        elif was or (len(room.typists) < TYPISTS_MAX and len(self._desk.deadlines) < TIMERS_MAX):
            room.typists.add(user)
            self._desk.deadlines.set(due, self._desk.after(TYPING_MS), lambda: self._typed(name, user, False))
        else:
            return
        if was != is_typing:
            self._desk.tell_or_leave_out(events.Typing(name, user, is_typing))


def read_entry(kind: str, told: Mapping[str, Any]) -> events.Entry | None:
    """An entry; None for a kind that is not known, or without what belongs to it."""
    room, seq, ts = text(told, "room"), number(told, "seq"), integer(told, "ts")
    if room is None or seq is None or ts is None:
        return None
    target, user, by, said = number(told, "target"), text(told, "user"), text(told, "by"), text(told, "text")
    if kind == "chat:message":
        sender, is_deleted = text(told, "from"), flag(told, "deleted")
        if sender is None or (said is None and not is_deleted):
            return None
        return events.Message(
            room, seq, ts, sender, said or "", told.get("data"), number(told, "reply_to"), text(told, "cid"),
            number(told, "edited"), is_deleted, _reactions(members(told, "reactions")),
        )  # fmt: skip
    if kind in ("room:joined", "room:left") and user is not None:
        return (events.Joined if kind == "room:joined" else events.Left)(room, seq, ts, user, by)
    if target is None or by is None:
        return None
    if kind == "chat:edited":
        return events.Edited(room, seq, ts, target, by, said)
    if kind == "chat:deleted":
        return events.Deleted(room, seq, ts, target, by)
    emoji = text(told, "emoji")
    if kind == "chat:reacted" and emoji is not None:
        return events.Reacted(room, seq, ts, target, by, emoji, flag(told, "on"))
    return None


def _reactions(told: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    return {emoji: tuple(texts(told, emoji)) for emoji in told}


def _is_typing(due: Hashable) -> bool:
    return isinstance(due, tuple) and cast("tuple[object, ...]", due)[0] == "typing"
