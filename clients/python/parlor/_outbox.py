"""Messages that are sent and not known to be on the server's disk.

Each has an id, the `cid` of the wire, so that sending it again is harmless; and of each room one is under way at a
time, which keeps their order.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any, Literal

from ._desk import Desk, Forget, Keep, TicketIs
from ._requests import Requests, Result
from ._told import flag, integer, number, written
from .errors import RequestError
from .events import Kept, Status, Stored

#: Messages older than this are not sent any more, in ms.
AGE_MS_MAX = 48 * 3_600_000
#: How many wait at most.
UNSENT_MAX = 10_000
WAIT_MS_MIN = 1_000
WAIT_MS_MAX = 30_000

_ID_LETTERS = "abcdefghijklmnopqrstuvwxyz234567"


def message_id(wall: int, count: int, chance: Random) -> str:
    """An id for a message that no other client of the same user has."""
    return f"{wall:x}-{count:x}-{''.join(chance.choices(_ID_LETTERS, k=10))}"


@dataclass
class _Outgoing:
    kept: Kept
    state: Literal["queued", "sent", "failed"]
    #: It may be on the server's disk, whatever came back.
    was_sent: bool = False


@dataclass
class _OfRoom:
    #: In the order in which they go.
    ids: deque[str] = field(default_factory=deque[str])
    #: The one that was sent, until it is answered.
    under_way: str | None = None
    wait_ms: int = WAIT_MS_MIN


class Unsent:
    """All messages that are not acknowledged."""

    def __init__(self, desk: Desk, requests: Requests, user: str | None) -> None:
        self._desk = desk
        self._requests = requests
        self._messages: dict[str, _Outgoing] = {}
        self._rooms: dict[str, _OfRoom] = {}
        #: Who the program says that it is, and who is here, as far as it is known.
        self._said = user
        self._user = user
        #: Whoever is here leaves nothing behind.
        self._is_guest = False

    def _is_mine(self, unsent: _Outgoing) -> bool:
        return unsent.kept.user is None or unsent.kept.user == self._user

    def all(self) -> Iterator[Kept]:
        """Those of whoever is here, room by room in their order."""
        for of_room in self._rooms.values():
            for one in of_room.ids:
                unsent = self._messages[one]
                if self._is_mine(unsent):
                    yield unsent.kept

    def is_waiting(self, is_user_known: bool) -> bool:
        """Whether one may still be sent by itself: of whoever is here, or, as long as that is not known, of anybody."""
        waiting = (one for one in self._messages.values() if one.state != "failed")
        return any(not is_user_known or self._is_mine(one) for one in waiting)

    def has(self, id: str) -> bool:
        """Whether it is among them."""
        return id in self._messages

    def repeats(self, kept: Kept) -> bool:
        """Whether it is one of them, and no other message of the same id."""
        known = self._messages.get(kept.id)
        if known is None or not self._is_mine(known):
            return False
        was = known.kept
        return (was.room, was.text, was.data, was.reply_to) == (kept.room, kept.text, kept.data, kept.reply_to)

    # --- The program ---

    def left(self, kept: list[Kept]) -> None:
        """An earlier process has left these."""
        for one in kept:
            if one.id in self._messages or len(self._messages) >= UNSENT_MAX:
                continue
            if one.user is None:
                # It may be another's.
                failed = one.failed or ("unconfirmed" if self._said is None else None)
                one = replace(one, user=self._said, failed=failed)
            self._put(_Outgoing(one, "queued" if one.failed is None else "failed"))
            self.write(one.room)

    def send(self, kept: Kept) -> None:
        """The program sends a message."""
        if len(self._messages) >= UNSENT_MAX or kept.id in self._messages:
            code = "outbox_full" if len(self._messages) >= UNSENT_MAX else "conflict"
            return self._ticket(kept.id, Status("failed", error=RequestError(code)))
        kept = replace(kept, user=self._user, at=self._desk.now.wall, failed=None)
        self._put(_Outgoing(kept, "queued"))
        self._keep(kept.id)
        self._ticket(kept.id, Status("queued"))
        self.write(kept.room)

    def _put(self, unsent: _Outgoing) -> None:
        self._messages[unsent.kept.id] = unsent
        self._rooms.setdefault(unsent.kept.room, _OfRoom()).ids.append(unsent.kept.id)

    def cancel(self, id: str) -> None:
        """Takes one back, if it was not sent."""
        unsent = self._messages.get(id)
        if unsent is not None and not unsent.was_sent:
            self._end(id, Status("cancelled"))

    def retry(self, id: str) -> None:
        """Sends one again that has failed."""
        unsent = self._messages.get(id)
        if unsent is None or unsent.state != "failed":
            return
        unsent.state = "queued"
        unsent.kept = replace(unsent.kept, failed=None, at=self._desk.now.wall)
        self._keep(id)
        self._ticket(id, Status("queued"))
        self.write(unsent.kept.room)

    # --- Who is here ---

    def own(self, user: str | None) -> None:
        """Somebody is here, or a guest: what they wrote before that was known is theirs."""
        self._is_guest = user is None
        self._user = user
        if user is None:
            return
        for unsent in self._messages.values():
            if unsent.kept.user is None and unsent.kept.failed is None:
                unsent.kept = replace(unsent.kept, user=user)
                self._keep(unsent.kept.id)

    # --- The server ---

    def write_all(self) -> None:
        for room in list(self._rooms):
            self.write(room)

    def write(self, room: str) -> None:
        """Sends the next of a room, if none is under way."""
        while True:
            of_room = self._rooms.get(room)
            is_busy = of_room is None or of_room.under_way is not None
            if is_busy or self._desk.deadlines.is_set(("unsent", room)):
                return
            assert of_room is not None
            queued = (self._messages[one] for one in of_room.ids)
            unsent = next((one for one in queued if one.state == "queued" and self._is_mine(one)), None)
            if unsent is None:
                return
            id = unsent.kept.id
            if self._desk.now.wall - unsent.kept.at > AGE_MS_MAX:
                self._fail(id, RequestError("expired"))
                continue
            if not self._desk.is_online:
                return
            of_room.under_way = id
            unsent.state, unsent.was_sent = "sent", True
            self._ticket(id, Status("sent"))
            return self._requests.ask("chat:send", self._payload(unsent.kept), lambda result: self._answered(id, result))

    def _payload(self, kept: Kept) -> str:
        payload: dict[str, Any] = {}
        other = self._other(kept.room)
        # A conversation is made by its first message.
        payload["room" if other is None else "to"] = kept.room if other is None else other
        payload["text"] = kept.text
        payload["cid"] = kept.id
        if kept.reply_to is not None:
            payload["reply_to"] = kept.reply_to
        raw = written(payload)
        return raw if kept.data is None else f'{raw[:-1]},"data":{kept.data}}}'

    def _other(self, room: str) -> str | None:
        """The other one of a direct conversation."""
        if not room.startswith("dm:"):
            return None
        one, _, other = room[3:].partition(":")
        return other if self._user == one else one

    def _is_back(self, room: str, id: str) -> None:
        of_room = self._rooms.get(room)
        if of_room is not None and of_room.under_way == id:
            of_room.under_way = None

    def _answered(self, id: str, result: Result) -> None:
        """The server has answered a `chat:send`, or the connection is gone."""
        unsent = self._messages.get(id)
        if unsent is None:
            # Its entry may have come before.
            return
        room = unsent.kept.room
        self._is_back(room, id)
        if not isinstance(result, RequestError):
            self._acknowledge(id, Stored(room, number(result, "seq") or 0, integer(result, "ts") or 0, flag(result, "duplicate")))
        elif result.passing or result.is_end:
            unsent.state = "queued"
            self._ticket(id, Status("queued"))
            if result.code != "disconnected" and not result.is_end:
                return self._wait(room, result.retry_after_ms)
        else:
            self._fail(id, result)
            # Not from here: one after the other may be too large for a server that takes little.
            return self._later(room, 0)
        self.write(room)

    def _wait(self, room: str, retry_after_ms: int | None) -> None:
        of_room = self._rooms.get(room)
        if of_room is not None:
            wait = min(max(of_room.wait_ms, WAIT_MS_MIN), WAIT_MS_MAX)
            of_room.wait_ms = wait * 2
            self._later(room, max(wait, retry_after_ms or 0))

    def _later(self, room: str, wait_ms: int) -> None:
        self._desk.deadlines.set(("unsent", room), self._desk.after(wait_ms), lambda: self.write(room))

    def shown(self, id: str, room: str, seq: int, ts: int) -> None:
        """The user's own message was pushed: it is on the disk, whatever became of the answer."""
        unsent = self._messages.get(id)
        if unsent is not None and unsent.kept.room == room and self._is_mine(unsent):
            self._is_back(room, id)
            self._acknowledge(id, Stored(room, seq, ts))
            self.write(room)

    def _acknowledge(self, id: str, stored: Stored) -> None:
        of_room = self._rooms.get(stored.room)
        if of_room is not None:
            of_room.wait_ms = WAIT_MS_MIN
        self._desk.deadlines.clear(("unsent", stored.room))
        self._end(id, Status("acked", stored))

    def refuse(self, room: str, error: RequestError) -> None:
        """The user may not write there any more."""
        of_room = self._rooms.get(room)
        for id in list(of_room.ids) if of_room is not None else []:
            unsent = self._messages[id]
            if unsent.state == "queued" and self._is_mine(unsent):
                self._fail(id, error)

    def _fail(self, id: str, error: RequestError) -> None:
        unsent = self._messages[id]
        # The server has looked at it and refused it, or it was never sent.
        unsent.was_sent = False
        unsent.state = "failed"
        unsent.kept = replace(unsent.kept, failed=error.code)
        self._keep(id)
        self._ticket(id, Status("expired" if error.code == "expired" else "failed", error=error))

    def _end(self, id: str, status: Status) -> None:
        """It is none of ours any more."""
        kept = self._messages.pop(id).kept
        of_room = self._rooms[kept.room]
        # As a rule it is the first.
        of_room.ids.remove(id)
        if not of_room.ids:
            del self._rooms[kept.room]
        self._desk.do(Forget(id))
        self._ticket(id, status)

    def _keep(self, id: str) -> None:
        # A guest's messages end with the program: no later user may find them as their own.
        if not self._is_guest:
            self._desk.do(Keep(self._messages[id].kept))

    def _ticket(self, id: str, status: Status) -> None:
        self._desk.do(TicketIs(id, status))
