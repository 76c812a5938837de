"""Plays all operations by each way that there is, and looks whether all of them say the same.

    python examples/pileup/play.py

By the application's own routes; by a WebSocket of parlor's; by parlor's calls over HTTP; by the program's own protocol. The events
of each are heard by a WebSocket and by Server-Sent Events, with a filter and from a place on. It needs what README.md starts.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, urlencode

import parlor.sync
from parlor import RequestError, StreamEvent
from rules import EVENTS, OPERATIONS
from websockets.sync.client import connect

APP = os.environ.get("PILEUP_URL", "http://127.0.0.1:8000")
PARLOR = os.environ.get("PILEUP_PARLOR", "http://127.0.0.1:8080")
BASIC = "Basic " + base64.b64encode(os.environ["PILEUP_OPERATORS"].split(",")[0].encode()).decode()
#: How long something may take, in seconds.
PATIENCE = 10.0

BY_NAME = {operation.name: operation for operation in OPERATIONS}
#: An operator's operation, asked by somebody else: the application says `unauthorized`, parlor says `forbidden` to a guest.
NOT_ALLOWED = "unauthorized or forbidden"
Ask = Callable[[str, dict[str, Any], bool], "dict[str, Any] | str"]

#: An operation, its data, whether an operator asks, and what is answered: a part of it, or the code of the refusal.
PLAY: list[tuple[str, dict[str, Any], bool, dict[str, Any] | str]] = [
    ("set_status", {"open": False}, True, {"open": False}),
    ("clear", {}, True, {}),
    ("register", {"callsign": "DL1ABC"}, False, "closed"),
    ("set_status", {"open": True}, True, {"open": True}),
    ("set_status", {"open": True}, False, NOT_ALLOWED),
    ("register", {"callsign": "dl1abc", "name": "Ada"}, False, {"callsign": "DL1ABC", "place": 1}),
    ("register", {"callsign": "DL1ABC"}, False, "already_in_queue"),
    ("register", {"callsign": "nobody"}, False, "bad_callsign"),
    ("register", {"callsign": "VP2E/K1ABC"}, False, {"place": 2}),
    ("register", {"callsign": "W1AW/4"}, False, {"place": 3}),
    ("list", {}, False, {}),
    ("status", {"callsign": "W1AW/4"}, False, {"place": 3}),
    ("status", {"callsign": "K9ZZ"}, False, "not_found"),
    ("next", {}, True, {}),
    ("current", {}, False, {}),
    ("back", {}, True, {"callsign": "DL1ABC", "place": 1}),
    ("next", {}, True, {}),
    ("complete", {}, True, {}),
    ("complete", {}, True, "nobody"),
    ("worked", {}, False, {}),
    ("remove", {"callsign": "VP2E/K1ABC"}, True, {"removed": "VP2E/K1ABC"}),
    ("set_split", {"split": "up 5"}, True, "no_frequency"),
    ("tune", {"frequency_khz": 14250}, True, {"frequency_khz": 14250.0, "split": None}),
    ("frequency", {}, False, {"frequency_khz": 14250.0}),
    ("set_split", {"split": "up 5"}, True, {"split": "up 5"}),
    ("split", {}, False, {"split": "up 5"}),
    ("clear_split", {}, True, {"split": None}),
    ("untune", {}, True, {"frequency_khz": None}),
    ("clear", {}, True, {"removed": 1}),
    ("state", {}, False, {"open": True, "current": None, "waiting": []}),
]
#: The events that follow from it.
EVENTS_OF_A_PLAY = (
    "status cleared status registered registered registered called registered called completed removed tuned tuned tuned tuned cleared".split()
)


def http(method: str, url: str, data: dict[str, Any] | None, basic: bool) -> dict[str, Any] | str:
    headers = {"Content-Type": "application/json", **({"Authorization": BASIC} if basic else {})}
    body = None if method == "GET" else json.dumps(data or {}).encode()
    while True:
        try:
            with urllib.request.urlopen(urllib.request.Request(url, body, headers, method=method), timeout=PATIENCE) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            code = json.load(error)["error"]["code"]
            if code != "rate_limited":
                return code
            # What parlor's own clients do by themselves.
            time.sleep(int(error.headers["Retry-After"]))


def by_routes(name: str, data: dict[str, Any], is_operator: bool) -> dict[str, Any] | str:
    operation = BY_NAME[name]
    path = operation.path.replace("{callsign:path}", quote(data.get("callsign", "")))
    return http(operation.method, APP + path, data, is_operator)


def by_calls(name: str, data: dict[str, Any], is_operator: bool) -> dict[str, Any] | str:
    return http("POST", f"{PARLOR}/api/v1/call/{BY_NAME[name].type}", data, is_operator)


class ByParlor:
    """Two connections of parlor's, a guest's and an operator's."""

    def __enter__(self) -> ByParlor:
        url = PARLOR.replace("http", "ws", 1) + "/ws"
        self.guest = parlor.sync.Connection(url + "?anonymous=1")
        self.operator = parlor.sync.Connection(url, headers={"Authorization": BASIC})
        return self

    def __exit__(self, *_: object) -> None:
        self.guest.close()
        self.operator.close()

    def ask(self, name: str, data: dict[str, Any], is_operator: bool) -> dict[str, Any] | str:
        try:
            return (self.operator if is_operator else self.guest).request(BY_NAME[name].type, data)
        except RequestError as error:
            return error.code


class ByOwn:
    """Two clients of the program's own protocol, which know nothing of parlor's."""

    def __enter__(self) -> ByOwn:
        url = APP.replace("http", "ws", 1) + "/ws"
        self.open = contextlib.ExitStack()
        self.sockets = [self.open.enter_context(connect(url, proxy=None, additional_headers=fields)) for fields in ({}, {"Authorization": BASIC})]
        self.id = 0
        self.events: list[dict[str, Any]] = []
        return self

    def __exit__(self, *_: object) -> None:
        self.open.close()

    def next(self, is_operator: bool) -> dict[str, Any]:
        """The next response or error; the operator's events are kept."""
        while True:
            said = json.loads(self.sockets[int(is_operator)].recv(PATIENCE))
            if said["type"] != "event":
                return said
            if is_operator:
                self.events.append({"event": said["event"], "data": said["data"]})

    def ask(self, name: str, data: dict[str, Any], is_operator: bool) -> dict[str, Any] | str:
        self.id += 1
        self.sockets[int(is_operator)].send(json.dumps({"type": "request", "id": str(self.id), "operation": name, "data": data}))
        said = self.next(is_operator)
        if said["id"] != str(self.id):
            sys.exit(f"{said} is no answer to {self.id}")
        return said["data"] if said["type"] == "response" else said["code"]

    def heard(self, count: int) -> list[str]:
        def next_event() -> dict[str, Any]:
            while not self.events:
                said = json.loads(self.sockets[1].recv(PATIENCE))
                self.events.append({"event": said["event"], "data": said["data"]})
            return self.events.pop(0)

        return taken(next_event, count)


def play(ask: Ask) -> None:
    """Plays all of it; an answer that is not as it should be ends the program."""
    for name, data, is_operator, wanted in PLAY:
        answer = ask(name, data, is_operator)
        if isinstance(wanted, str) or isinstance(answer, str):
            is_right = answer == wanted or (wanted == NOT_ALLOWED and answer in wanted.split(" or "))
        else:
            is_right = wanted.items() <= answer.items()
        if not is_right:
            sys.exit(f"{name} {json.dumps(data)} was answered {answer!r}, not {wanted!r}")


class Source:
    """An `EventSource` of the stream `events`; `last` is a place on which it goes on."""

    def __init__(self, last: str = "", **query: str) -> None:
        headers = {"Accept": "text/event-stream", **({"Last-Event-ID": last} if last else {})}
        request = urllib.request.Request(f"{PARLOR}/api/v1/streams/events?{urlencode(query)}", headers=headers)
        self.lines = urllib.request.urlopen(request, timeout=PATIENCE)
        self.last = last

    def next(self, kind: str) -> dict[str, Any]:
        """The payload of the next message of a type; `last` is its place."""
        while True:
            told = {}
            while line := self.lines.readline().decode().rstrip("\n"):
                name, _, value = line.partition(":")
                told[name] = value.removeprefix(" ")
            self.last = told.get("id", self.last)
            if told.get("event") == kind:
                return json.loads(told["data"])["payload"]


def taken(next_event: Callable[[], dict[str, Any]], count: int) -> list[str]:
    """The names of so many events, from the first that a play brings: it closes the queue."""
    while (event := next_event()) != {"event": "status", "data": {"open": False}}:
        pass
    return [event["event"], *(next_event()["event"] for _ in range(count - 1))]


def compare(way: str, names: list[str], wanted: list[str]) -> None:
    if names != wanted:
        sys.exit(f"these events came {way}: {names}, and not {wanted}")
    print(f"{len(names)} events {way}, as they should be")


def main() -> None:
    by_routes("set_status", {"open": True}, True)
    source = Source()
    source.next("subscribed")
    place = source.last
    with ByParlor() as connections, ByOwn() as own:
        connections.guest.watch("events")
        events = connections.guest.events(StreamEvent)
        # It is answered behind what is watched.
        connections.guest.request("pileup.state")
        ways: dict[str, Ask] = {"its own routes": by_routes, "a WebSocket": connections.ask, "calls over HTTP": by_calls, "its own protocol": own.ask}
        for way, ask in ways.items():
            play(ask)
            print(f"{len(PLAY)} requests by {way}: {len({step[0] for step in PLAY})} operations, as they should be")
        wanted = EVENTS_OF_A_PLAY * len(ways)
        compare("by a WebSocket", taken(lambda: next(events).data, len(wanted)), wanted)
        compare("by its own protocol", own.heard(len(wanted)), wanted)
    compare("by Server-Sent Events", taken(lambda: source.next("event")["data"], len(wanted)), wanted)
    again = Source(place)
    compare("that were told before, from a place on", taken(lambda: again.next("event")["data"], len(wanted)), wanted)
    calls = [name for name in wanted if name == "called"]
    some = Source(place, filter='{"/event":"called"}')
    compare("through a filter", [some.next("event")["data"]["event"] for _ in calls], calls)
    if set(wanted) != set(EVENTS):
        sys.exit("not every event was played")


if __name__ == "__main__":
    main()
