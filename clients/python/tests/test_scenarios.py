"""The scenarios that all clients play: what a server sends and when, and what a client must send and tell."""

import json
from pathlib import Path

import pytest
from parlor import events
from parlor._link import Backoff
from parlor._streams import WatchOptions
from parlor.errors import RequestError, TokenError
from parlor.events import Kept
from scene import Scene, options

FOLDER = Path(__file__).parents[2] / "scenarios"
HELLO = json.loads((FOLDER / "hello.json").read_text())
SCENARIOS = sorted(path.stem for path in FOLDER.glob("*.json") if path.stem != "hello")


def has(whole, part):
    """Whether all that is in one is in the other."""
    if isinstance(part, dict):
        return isinstance(whole, dict) and all(name in whole and has(whole[name], value) for name, value in part.items())
    return whole == part


def told(event):
    """An event in the words of the scenarios."""
    match event:
        case events.State():
            return {"event": "state", "name": event.name, "code": event.code, "attempt": event.attempt}
        case events.Message():
            return {"event": "entry", "type": "message", "room": event.room, "seq": event.seq, "from": event.from_user, "text": event.text}
        case events.Entry():
            return {"event": "entry", "type": type(event).__name__.lower(), "room": event.room, "seq": event.seq}
        case events.Gap():
            return {"event": "gap", "room": event.room, "after": event.after, "before": event.before, "reason": event.reason}
        case events.Membership():
            return {"event": "membership", "room": event.room, "name": event.name}
        case events.Typing():
            return {"event": "typing", "room": event.room, "user": event.user, "typing": event.is_typing}
        case events.Presence():
            return {"event": "presence", "users": event.users, "count": event.count}
        case events.StreamEvent():
            return {"event": "stream", "stream": event.stream, "seq": event.seq, "data": event.data, "skipped": event.is_skipped}
        case events.StreamGap():
            return {"event": "stream_gap", "stream": event.stream, "after": event.after, "reason": event.reason}
        case events.StreamRefused():
            return {"event": "stream_refused", "stream": event.stream, "code": event.error.code}
        case events.Refusal():
            return {"event": "error", "code": event.error.code}
        case events.Push():
            return {"event": "push", "type": event.type, "payload": event.payload}
    return {"event": type(event).__name__.lower()}


class Player:
    """A client that plays a scenario."""

    def __init__(self, scenario):
        how = scenario.get("options", {})
        backoff = Backoff(jitter=how.get("jitter", False), attempts=how.get("attempts"))
        self.scene = Scene(options(backoff=backoff, token=True if how.get("token") == "asked" else None))
        self.ignores = {"quality", *scenario.get("ignores", ())}
        self.calls, self.last, self.dialled = {}, None, 0
        self.scene.do("open", "connect()")

    def play(self, step):
        ((kind, value),) = step.items()
        getattr(self, kind)(value)

    def dials(self, _):
        assert self.scene.dials == self.dialled + 1, "no connection was asked for"
        self.dialled += 1

    def opens(self, _):
        self.scene.do("dialled", self.scene.serial)

    def hello(self, more):
        self.hears({"type": "hello", "payload": {**HELLO, **more}})

    def hears(self, message):
        self.scene.hears(message)

    def sends(self, wanted):
        assert self.scene.sent, f"nothing was sent, not {wanted}"
        self.last = self.scene.sent.pop(0)
        assert has(self.last, wanted), f"{self.last} was sent, not {wanted}"

    def silent(self, _):
        assert self.scene.sent == [] and self.scene.dials == self.dialled

    def replies(self, payload):
        self.hears({"type": "reply", "id": self.last["id"], "payload": payload})

    def refuses(self, payload):
        self.hears({"type": "error", "id": self.last["id"], "payload": payload})

    def loses(self, code):
        self.scene.loses(code)

    def passes(self, ms):
        self.scene.passes(ms)

    def told(self, wanted):
        got = [one for event in self.scene.takes() if (one := told(event))["event"] not in self.ignores]
        assert len(got) == len(wanted) and all(map(has, got, wanted)), f"{got} was told, not {wanted}"

    def ticket(self, wanted):
        status = self.scene.status(wanted["id"])
        is_it = {"id": wanted["id"], "status": status.name}
        if status.stored:
            is_it["seq"] = status.stored.seq
        if status.error:
            is_it["code"] = status.error.code
        assert has(is_it, wanted), f"{is_it}, not {wanted}"

    def answer(self, wanted):
        answer = self.scene.answers[self.calls[wanted["name"]]]
        got = {"code": answer.code} if isinstance(answer, RequestError) else {"payload": answer}
        assert has({"name": wanted["name"], **got}, wanted), f"{got}, not {wanted}"

    def asks_token(self, reason):
        self.scene.passes(0)
        assert self.scene.asks_token is not None and self.scene.asks_token[1] == reason

    def does(self, action):
        ((kind, value),) = action.items()
        do = self.scene.do
        match kind:
            case "send":
                data = json.dumps(value["data"]) if "data" in value else None
                do("send", Kept(value["id"], value["room"], value["text"], data, value.get("reply_to")))
            case "cancel" | "retry":
                do(kind, value)
            case "token" | "no_token":
                serial, _ = self.scene.asks_token
                self.scene.asks_token = None
                do("token_given", serial, value if kind == "token" else TokenError(value))
            case "join":
                do("join", value, self.call(f"join {value}"))
            case "request":
                do("ask", self.call(value["name"]), value["type"], value["payload"])
            case "watch":
                filter = json.dumps(value["filter"]) if "filter" in value else None
                do("watch", value["stream"], WatchOptions(filter, value.get("max_rate")))
            case "watch_presence":
                do("watch_presence")
            case "mark_read":
                do("mark_read", value["room"], value["seq"])
            case "retry_now":
                do("open", "retry_now()")
            case _:
                raise AssertionError(kind)

    def call(self, name):
        self.calls[name] = len(self.calls) + 1
        return self.calls[name]


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_scenario_is_played(name):
    scenario = json.loads((FOLDER / f"{name}.json").read_text())
    player = Player(scenario)
    for number, step in enumerate(scenario["steps"]):
        try:
            player.play(step)
        except AssertionError as error:
            raise AssertionError(f"{name}.json, step {number + 1}, {json.dumps(step)}: {error}") from None


def test_the_readme_lists_them_all():
    readme = (FOLDER / "README.md").read_text()
    for name in SCENARIOS:
        about = json.loads((FOLDER / f"{name}.json").read_text())["about"]
        assert f"| [`{name}.json`]({name}.json) | {about} |" in readme
    assert readme.count(".json`](") == len(SCENARIOS)
