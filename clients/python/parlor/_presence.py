"""Who is online: the list, and what has changed since, by version (`docs/protocol.md`, "Presence")."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ._desk import Desk
from ._requests import Requests, Result
from ._told import flag, number, objects, text, texts
from .errors import RequestError
from .events import Presence, Refusal

RETRY_MS = 2_000
#: How many changes are kept that come while the list does, and how many people are known: more than a server tells of.
EARLY_MAX = 10_000
PEOPLE_MAX = 100_000


@dataclass
class _Change:
    version: int
    is_online: bool
    users: list[str]


class People:
    """Who is online, as far as the client knows."""

    def __init__(self, desk: Desk, requests: Requests) -> None:
        self._desk = desk
        self._requests = requests
        #: The program wants to know.
        self._is_watched = False
        #: The list that is being read: answers of others are nobody's.
        self._listing: int | None = None
        self._last_listing = 0
        self._is_listed = False
        self._users: dict[str, str] = {}
        #: So many are there that only their number is told.
        self._count: int | None = None
        #: That of the first page, or of the newest change; None before.
        self._version: int | None = None
        #: Changes that came while the list did.
        self._early: list[_Change] = []
        self._is_untold = False

    def lose(self) -> None:
        """The connection is another, or gone: what was known is of that one."""
        self._listing, self._is_listed, self._version = None, False, None
        self._early.clear()

    def watch(self) -> None:
        """The program wants to know who is online."""
        self._is_watched = True
        self.list()

    def list(self) -> None:
        """Asks for the list, if it is wanted and not known."""
        is_wanted = self._is_watched and not self._is_listed and self._listing is None
        if is_wanted and self._desk.is_online:
            self._last_listing += 1
            self._listing = self._last_listing
            self._users.clear()
            self._version = None
            self._early.clear()
            self._ask({}, self._listing)

    def _ask(self, payload: dict[str, Any], listing: int) -> None:
        self._requests.ask("presence:list", payload, lambda result: self._listed(listing, result), is_of_connection=True)

    def _listed(self, listing: int, result: Result) -> None:
        """A page of the list came."""
        if self._listing != listing:
            return
        if isinstance(result, RequestError):
            self._listing = None
            if result.code == "disconnected":
                return
            if result.passing:
                return self._desk.deadlines.set("presence", self._desk.after(RETRY_MS), self.list)
            self._is_watched = False
            return self._desk.tell_or_leave_out(Refusal(result))
        # Of a list in pages the first version counts.
        if self._version is None:
            self._version = number(result, "version")
        last = None
        for one in objects(result, "users"):
            user = text(one, "user")
            if user is None:
                continue
            if len(self._users) < PEOPLE_MAX:
                self._users[user] = text(one, "name") or user
            last = user
        if last is not None and flag(result, "more"):
            return self._ask({"after": last}, listing)
        self._listing, self._is_listed, self._count = None, True, None
        early, self._early = self._early, []
        for change in early:
            self._apply(change)
        self._changed()

    def _apply(self, change: _Change) -> None:
        if self._version is not None and change.version <= self._version:
            return
        self._version = change.version
        for user in change.users:
            if not change.is_online:
                self._users.pop(user, None)
            elif len(self._users) < PEOPLE_MAX:
                self._users.setdefault(user, user)

    def told(self, kind: str, payload: Mapping[str, Any]) -> bool:
        """A push about presence came; whether all about it is told."""
        version = number(payload, "version")
        # Of a room alone, or a program's own.
        if version is None or payload.get("room") is not None or not self._is_watched:
            return False
        if kind == "user:count":
            # A list that is being read is void.
            self._listing, self._is_listed = None, True
            self._count = number(payload, "online")
            self._users.clear()
            self._changed()
        elif flag(payload, "reset") and (self._version is None or self._version <= version):
            # A reset has the version of the change before it.
            self._is_listed, self._listing = False, None
            self.list()
        else:
            change = _Change(version, kind == "user:online", texts(payload, "users"))
            if self._is_listed:
                self._apply(change)
                self._changed()
            elif self._listing is not None and len(self._early) < EARLY_MAX:
                self._early.append(change)
        return True

    def _changed(self) -> None:
        self._is_untold = True
        self.taken()

    def taken(self) -> None:
        """Tells the program who is there, if it has not been told."""
        if self._is_untold and self._desk.credit > 0:
            count = len(self._users) if self._count is None else self._count
            self._is_untold = not self._desk.tell(Presence(dict(self._users), count, self._count is not None))
