"""The rules of a pileup: who calls, in which order, and what the operator may do. Nothing here waits or speaks to anybody.

Each operation takes the request's data, and returns what is answered and the events that follow from it.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

#: How many callers wait at most, and how many of those worked are remembered.
WAITING_MAX = 50
WORKED_MAX = 100
#: The longest name and split, in characters.
TEXT_MAX = 64

#: One or two letters or digits, a digit, up to four more, the last a letter; with a prefix or a suffix, as DL/K1ABC/P.
CALLSIGN = re.compile(r"(?:[A-Z0-9]{1,4}/)?[A-Z0-9]{1,3}[0-9][A-Z0-9]{0,3}[A-Z](?:/[A-Z0-9]{1,4})?")

Data = Mapping[str, Any]
Event = tuple[str, dict[str, Any]]
Outcome = tuple[dict[str, Any], list[Event]]


class Broken(Exception):
    """A rule that does not allow this."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


@dataclass(frozen=True)
class Caller:
    callsign: str
    name: str
    #: When they came, in ms since 1970.
    since: int


@dataclass
class Pileup:
    is_open: bool = True
    frequency_khz: float | None = None
    split: str | None = None
    current: Caller | None = None
    waiting: deque[Caller] = field(default_factory=deque)
    worked: deque[Caller] = field(default_factory=lambda: deque(maxlen=WORKED_MAX))

    # --- For everybody ---

    def state(self, _: Data, __: int) -> Outcome:
        return self.as_json(), []

    def list(self, _: Data, __: int) -> Outcome:
        return {"waiting": [asdict(caller) for caller in self.waiting]}, []

    def status(self, data: Data, _: int) -> Outcome:
        callsign = _callsign(data)
        if self.current is not None and self.current.callsign == callsign:
            return {"callsign": callsign, "place": 0}, []
        return {"callsign": callsign, "place": self._place(callsign) + 1}, []

    def now(self, _: Data, __: int) -> Outcome:
        return {"current": self.current and asdict(self.current)}, []

    def worked_list(self, _: Data, __: int) -> Outcome:
        return {"worked": [asdict(caller) for caller in self.worked]}, []

    def frequency(self, _: Data, __: int) -> Outcome:
        return {"frequency_khz": self.frequency_khz}, []

    def split_of(self, _: Data, __: int) -> Outcome:
        return {"split": self.split}, []

    def register(self, data: Data, now: int) -> Outcome:
        caller = Caller(_callsign(data), _text(data, "name", needed=False) or "", now)
        if not self.is_open:
            raise Broken("closed", "the operator takes no calls now")
        if self.current is not None and self.current.callsign == caller.callsign:
            raise Broken("on_air", f"{caller.callsign} is on the air")
        if any(one.callsign == caller.callsign for one in self.waiting):
            raise Broken("already_in_queue", f"{caller.callsign} waits already")
        if len(self.waiting) >= WAITING_MAX:
            raise Broken("full", f"{WAITING_MAX} callers wait: try again later")
        self.waiting.append(caller)
        place = len(self.waiting)
        return {"callsign": caller.callsign, "place": place}, [("registered", {"caller": asdict(caller), "place": place})]

    # --- For the operator ---

    def next(self, data: Data, _: int) -> Outcome:
        # Who says whom they see on the air does not pass over somebody whom another operator has just called.
        seen = data.get("after")
        if seen is not None and seen != (self.current.callsign if self.current else ""):
            raise Broken("changed", "another operator was faster")
        if not self.waiting:
            raise Broken("nobody", "nobody waits")
        events = self._done()
        self.current = self.waiting.popleft()
        return {"current": asdict(self.current)}, [*events, ("called", {"caller": asdict(self.current)})]

    def complete(self, _: Data, __: int) -> Outcome:
        if self.current is None:
            raise Broken("nobody", "nobody is on the air")
        worked = asdict(self.current)
        return {"worked": worked}, self._done()

    def back(self, _: Data, __: int) -> Outcome:
        if self.current is None:
            raise Broken("nobody", "nobody is on the air")
        caller, self.current = self.current, None
        self.waiting.appendleft(caller)
        return {"callsign": caller.callsign, "place": 1}, [("registered", {"caller": asdict(caller), "place": 1})]

    def remove(self, data: Data, _: int) -> Outcome:
        place = self._place(_callsign(data))
        caller = self.waiting[place]
        del self.waiting[place]
        return {"removed": caller.callsign}, [("removed", {"caller": asdict(caller)})]

    def clear(self, _: Data, __: int) -> Outcome:
        count = len(self.waiting)
        self.waiting.clear()
        return {"removed": count}, [("cleared", {"removed": count})]

    def tune(self, data: Data, _: int) -> Outcome:
        khz = data.get("frequency_khz")
        if isinstance(khz, bool) or not isinstance(khz, (int, float)) or not 100 <= khz <= 300_000_000:
            raise Broken("bad_request", "frequency_khz is a number of kHz, from 100 on")
        self.frequency_khz = float(khz)
        return self._tuned()

    def untune(self, _: Data, __: int) -> Outcome:
        self.frequency_khz = self.split = None
        return self._tuned()

    def set_split(self, data: Data, _: int) -> Outcome:
        if self.frequency_khz is None:
            raise Broken("no_frequency", "a split is of a frequency: set that first")
        self.split = _text(data, "split")
        return self._tuned()

    def clear_split(self, _: Data, __: int) -> Outcome:
        self.split = None
        return self._tuned()

    def set_status(self, data: Data, _: int) -> Outcome:
        is_open = data.get("open")
        if not isinstance(is_open, bool):
            raise Broken("bad_request", "open is true or false")
        events = [("status", {"open": is_open})] if is_open != self.is_open else []
        self.is_open = is_open
        return {"open": is_open}, events

    # --- What they share ---

    def as_json(self) -> dict[str, Any]:
        """All that anybody is shown."""
        return {
            "open": self.is_open,
            "frequency_khz": self.frequency_khz,
            "split": self.split,
            "current": self.current and asdict(self.current),
            "waiting": [asdict(caller) for caller in self.waiting],
            "worked": len(self.worked),
        }

    def _done(self) -> list[Event]:
        if self.current is None:
            return []
        caller, self.current = self.current, None
        self.worked.appendleft(caller)
        return [("completed", {"caller": asdict(caller)})]

    def _tuned(self) -> Outcome:
        tuned = {"frequency_khz": self.frequency_khz, "split": self.split}
        return dict(tuned), [("tuned", tuned)]

    def _place(self, callsign: str) -> int:
        for place, caller in enumerate(self.waiting):
            if caller.callsign == callsign:
                return place
        raise Broken("not_found", f"{callsign} does not wait")


#: The events that there are.
EVENTS = ("registered", "called", "completed", "removed", "cleared", "tuned", "status")


@dataclass(frozen=True)
class Operation:
    """One operation, and its route over HTTP."""

    name: str
    method: str
    path: str
    run: Callable[[Pileup, Data, int], Outcome]
    is_for_operators: bool = False

    @property
    def type(self) -> str:
        """Of the request by which parlor's clients ask for it."""
        return f"pileup.operator.{self.name}" if self.is_for_operators else f"pileup.{self.name}"


OPERATIONS = [
    Operation("state", "GET", "/api/state", Pileup.state),
    Operation("list", "GET", "/api/queue", Pileup.list),
    Operation("register", "POST", "/api/queue", Pileup.register),
    Operation("status", "GET", "/api/queue/{callsign:path}", Pileup.status),
    Operation("current", "GET", "/api/current", Pileup.now),
    Operation("worked", "GET", "/api/worked", Pileup.worked_list),
    Operation("frequency", "GET", "/api/frequency", Pileup.frequency),
    Operation("split", "GET", "/api/split", Pileup.split_of),
    Operation("next", "POST", "/api/admin/next", Pileup.next, is_for_operators=True),
    Operation("complete", "POST", "/api/admin/complete", Pileup.complete, is_for_operators=True),
    Operation("back", "POST", "/api/admin/back", Pileup.back, is_for_operators=True),
    Operation("remove", "DELETE", "/api/admin/queue/{callsign:path}", Pileup.remove, is_for_operators=True),
    Operation("clear", "DELETE", "/api/admin/queue", Pileup.clear, is_for_operators=True),
    Operation("tune", "PUT", "/api/admin/frequency", Pileup.tune, is_for_operators=True),
    Operation("untune", "DELETE", "/api/admin/frequency", Pileup.untune, is_for_operators=True),
    Operation("set_split", "PUT", "/api/admin/split", Pileup.set_split, is_for_operators=True),
    Operation("clear_split", "DELETE", "/api/admin/split", Pileup.clear_split, is_for_operators=True),
    Operation("set_status", "PUT", "/api/admin/status", Pileup.set_status, is_for_operators=True),
]


def _callsign(data: Data) -> str:
    callsign = data.get("callsign")
    found = callsign.strip().upper() if isinstance(callsign, str) else ""
    if not CALLSIGN.fullmatch(found):
        raise Broken("bad_callsign", "callsign is one of amateur radio, as DL1ABC")
    return found


def _text(data: Data, member: str, needed: bool = True) -> str | None:
    value = data.get(member)
    if value is None and not needed:
        return None
    found = value.strip() if isinstance(value, str) else ""
    if not 0 < len(found) <= TEXT_MAX or not found.isprintable():
        raise Broken("bad_request", f"{member} has 1 to {TEXT_MAX} printable characters")
    return found
