"""A core, its clock and its server's words."""

import json

from parlor._core import Core, CoreOptions
from parlor._desk import Answer, AskToken, Dial, Drop, Forget, Keep, Now, Tell, TicketIs, Transmit
from parlor._link import LinkOptions
from parlor.events import Entry, State

#: When the tests begin.
BEGIN_MS = 1_800_000_000_000


def message(room, seq, user="bob", **more):
    """An entry of a room, as it is pushed."""
    payload = {"room": room, "seq": seq, "from": user, "text": f"text {seq}", "ts": BEGIN_MS + seq, **more}
    return {"type": "chat:message", "payload": payload}


def options(*, queue=4_096, user=None, timeout_ms=20_000, **link):
    return CoreOptions(LinkOptions(**{"ping_interval_ms": 0, **link}), user, timeout_ms, queue)


class Scene:
    def __init__(self, how=None, seed=7):
        self.core = Core(how or options(), seed)
        self.ms = 1_000
        self.sent, self.told, self.tickets, self.answers, self.kept = [], [], [], {}, {}
        self.serial = self.dials = 0
        self.asks_token = None

    @classmethod
    def online(cls, rooms=(), how=None):
        """One that is online as `ada`, a member of these rooms with these heads."""
        scene = cls(how)
        scene.do("open", "connect()")
        scene.greets(dict(rooms))
        return scene

    def do(self, name, *arguments, **more):
        self.core.at(Now(self.ms, BEGIN_MS + self.ms))
        getattr(self.core, name)(*arguments, **more)
        for effect in self.core.take():
            match effect:
                case AskToken(serial, reason):
                    self.asks_token = (serial, reason)
                case Dial(serial, _):
                    self.serial, self.dials = serial, self.dials + 1
                case Transmit(serial, text):
                    assert serial == self.serial
                    self.sent.append(json.loads(text))
                case Drop():
                    self.sent.clear()
                case Tell(event):
                    self.told.append(event)
                case Answer(call, answer):
                    assert call not in self.answers
                    self.answers[call] = answer
                case TicketIs(id, status):
                    self.tickets.append((id, status))
                case Keep(kept):
                    self.kept[kept.id] = kept
                case Forget(id):
                    self.kept.pop(id, None)

    def passes(self, ms):
        """Lets time pass; what is due is done when it is."""
        end = self.ms + ms
        while (due := self.core.deadline()) is not None and due <= end:
            self.ms = max(self.ms, due)
            self.do("time")
        self.ms = end

    def hears(self, message):
        self.do("text", self.serial, message if isinstance(message, str) else json.dumps(message))

    def loses(self, code=None, reason=""):
        self.do("lost", self.serial, code, reason)

    def asked(self, kind):
        """The next request of a type; those before it go unanswered."""
        while self.sent:
            if (one := self.sent.pop(0))["type"] == kind:
                return one
        raise AssertionError(f"no {kind} was sent")

    def is_asked(self, kind):
        return any(one["type"] == kind for one in self.sent)

    def replies(self, kind, payload):
        """Answers the next request of a type; returns what it said."""
        asked = self.asked(kind)
        self.hears({"type": "reply", "id": asked["id"], "payload": payload})
        return asked["payload"]

    def refuses(self, kind, code, **more):
        asked = self.asked(kind)
        self.hears({"type": "error", "id": asked["id"], "payload": {"code": code, "message": "no", **more}})
        return asked["payload"]

    def says_hello(self, rooms, epoch="e1", user="ada", **more):
        self.do("dialled", self.serial)
        listed = [{"room": name, "title": "", "head": head, "read": 0, "unread": 0} for name, head in rooms.items()]
        limits = {"requests_per_second": 20, "burst": 60, "message_bytes": 65_536, "page": 200}
        self.hears({"type": "hello", "payload": {
            "server": "parlor/0", "connection": "c1", "epoch": epoch, "ts": BEGIN_MS,
            "user": {"id": user, "name": user.title(), "admin": False}, "heartbeat_ms": 25_000,
            "durability": "disk", "rooms": listed, "invites": [], "limits": limits, **more,
        }})  # fmt: skip

    def greets(self, rooms, epoch="e1", **more):
        """Opens the connection that was asked for, up to being online; returns the positions that were named."""
        self.says_hello(rooms, epoch, **more)
        asked = self.asked("resume")
        named = asked["payload"]["rooms"]
        going_on = {name: {"from": at, "head": rooms.get(name, 0)} for name, at in named.items()}
        self.hears({"type": "reply", "id": asked["id"], "payload": {"rooms": going_on, "refused": {}}})
        assert self.core.state.is_online
        return named

    def takes(self, *kinds):
        """What was told since this was asked last, of these kinds."""
        told, self.told = self.told, []
        return [event for event in told if not kinds or isinstance(event, kinds)]

    def entries(self, room):
        return [entry.seq for entry in self.takes(Entry) if entry.room == room]

    def states(self):
        return [state.name for state in self.takes(State)]

    def status(self, id):
        return next(status for of, status in reversed(self.tickets) if of == id)
