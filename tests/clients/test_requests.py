"""Every request, as everybody who may send one: nobody yet, a stranger, a member, the owner, an
admin. What each is answered, and each refusal that the request has. A request without a row fails."""

import itertools
import time

import pytest

import harness
from harness import PATIENCE, Chat

MEMBERS_ONLY = {"stranger": "not_member", "member": "ok", "owner": "ok", "admin": "not_member"}
OWNERS = {"stranger": "not_member", "member": "forbidden", "owner": "ok", "admin": "ok"}
EVERYBODY = dict.fromkeys(("stranger", "member", "owner", "admin"), "ok")

ADMINS = {"stranger": "forbidden", "member": "forbidden", "owner": "forbidden", "admin": "ok"}

LONG = "x" * 65

#: What clients take for the server's own, on a WebSocket or as an event's name.
WIRES = (
    *("auth", "info", "ping", "publish", "resume", "subscribe", "unsubscribe"),
    *("event", "notice", "reply", "subscribed"),
    *("connected", "error", "keepalive", "message", "open", "resumed"),
)

#: Each request: a payload for each caller ({room}, {closed}, {seq} … are filled in), what each
#: caller is answered, and payloads that are refused to the owner, with the code.
TABLE = {
    "admin:add": (
        {"room": "{closed}", "user": "{member}"},
        ADMINS,
        [
            ({"room": "{closed}", "user": "{banned}"}, "forbidden"),
            ({"room": "{direct}", "user": "{guest}"}, "forbidden"),
            ({"room": "{ended}", "user": "{guest}"}, "no_such_room"),
            ({"room": "never-made", "user": "{guest}"}, "no_such_room"),
            ({"room": "{closed}"}, "bad_request"),
            ({"user": "{guest}"}, "bad_request"),
        ],
    ),
    "admin:connections": (
        {},
        ADMINS,
        [({"limit": 0}, "bad_request"), ({"after": "x"}, "bad_request")],
    ),
    "admin:disconnect": (
        {"user": "{victim}"},
        ADMINS,
        [
            ({"connection": "9999-1"}, "no_such_connection"),
            ({"connection": "x"}, "bad_request"),
            ({"connection": "9999-1", "user": "x"}, "bad_request"),
            ({}, "bad_request"),
        ],
    ),
    "admin:pause": (
        {"stream": "hooked"},
        ADMINS,
        [({}, "bad_request"), ({"stream": "state"}, "conflict"), ({"stream": "nothing"}, "no_such_stream")],
    ),
    "admin:resume": (
        {"stream": "hooked"},
        ADMINS,
        [({"stream": 7}, "bad_request"), ({"stream": "nothing"}, "no_such_stream")],
    ),
    "admin:push": (
        {"users": ["{victim}"], "type": "a.note", "payload": {}},
        ADMINS,
        [
            ({"users": ["a b"], "type": "x"}, "bad_request"),
            ({"users": ["x"] * 1_001, "type": "x"}, "too_large"),
            ({"room": "{missing}", "type": "x"}, "no_such_room"),
            ({"connection": "9999-1", "type": "x"}, "no_such_connection"),
            ({"user": "x", "room": "y", "type": "x"}, "bad_request"),
            ({"type": "x"}, "bad_request"),
            ({"all": False, "type": "x"}, "bad_request"),
            ({"user": "x", "type": ""}, "bad_request"),
            ({"user": "x", "type": "hello"}, "bad_request"),
            *(({"all": True, "type": kind}, "bad_request") for kind in WIRES),
            ({"all": True, "type": "x" * 65}, "bad_request"),
            ({"all": True, "type": "a\nb"}, "bad_request"),
            ({"all": True, "type": "a\u0085b"}, "bad_request"),
            ({"user": "x", "type": "chat:message"}, "bad_request"),
            ({"user": "x"}, "bad_request"),
            ({"user": "x", "type": "x", "payload": []}, "bad_request"),
        ],
    ),
    "admin:user": ({"user": "{owner}"}, ADMINS, [({"user": "unseen"}, "no_such_user"), ({}, "bad_request")]),
    "admin:users": ({}, ADMINS, [({"limit": 0}, "bad_request"), ({"after": "a b"}, "bad_request")]),
    "room:info": (
        {"room": "{closed}"},
        {**MEMBERS_ONLY, "admin": "ok"},
        [({"room": "{missing}"}, "not_member"), ({"room": "{ended}"}, "not_member"), ({}, "bad_request")],
    ),
    "ping": ({}, EVERYBODY, []),
    "info": ({}, EVERYBODY, []),
    "resume": (
        {"epoch": "x", "rooms": {}},
        # Nobody here has announced one.
        dict.fromkeys(EVERYBODY, "conflict"),
        [({"rooms": {}}, "bad_request"), ({"epoch": "x", "rooms": {"a b": 1}}, "bad_request")],
    ),
    "auth": (
        {"token": "{token}"},
        EVERYBODY,
        [({"token": "{other}"}, "unauthorized"), ({"token": 7}, "bad_request"), ({}, "bad_request")],
    ),
    "auth:revoke": (
        {"jti": "nobody-has-this"},
        {"stranger": "forbidden", "member": "forbidden", "owner": "forbidden", "admin": "ok"},
        [
            ({}, "bad_request"),
            ({"jti": "a", "user": "b"}, "bad_request"),
            ({"jti": "a", "before": 5}, "bad_request"),
            ({"user": "a b"}, "bad_request"),
            ({"jti": "x" * 1_000}, "too_large"),
        ],
    ),
    "room:create": (
        {"room": "{new}", "title": "T", "members": ["{member}"]},
        EVERYBODY,
        [
            ({"room": "{room}"}, "conflict"),
            ({"room": "{ended}"}, "conflict"),
            ({"room": "dm:a:b"}, "forbidden"),
            ({"room": "a b"}, "bad_request"),
            ({"title": "x" * 129}, "too_large"),
            ({"members": ["a b"]}, "bad_request"),
            ({"members": ["x"] * 201}, "too_large"),
        ],
    ),
    "room:join": (
        {"room": "{closed}"},
        MEMBERS_ONLY,
        [
            ({"room": "{ended}"}, "not_member"),
            ({"room": "dm:a:b"}, "not_member"),
            ({}, "bad_request"),
        ],
    ),
    "room:leave": (
        {"room": "{left}"},
        MEMBERS_ONLY,
        [({"room": "{direct}"}, "forbidden"), ({"room": "{missing}"}, "not_member")],
    ),
    "room:invite": (
        {"room": "{closed}", "user": "{guest}"},
        OWNERS,
        [
            ({"room": "{closed}", "user": "{banned}"}, "conflict"),
            ({"room": "{direct}", "user": "{guest}"}, "forbidden"),
            ({"room": "{missing}", "user": "{guest}"}, "not_member"),
            ({"room": "{closed}"}, "bad_request"),
        ],
    ),
    "room:remove": (
        {"room": "{closed}", "user": "{victim}"},
        OWNERS,
        [
            ({"room": "{closed}", "user": "{stranger}"}, "no_such_user"),
            ({"room": "{direct}", "user": "{member}"}, "forbidden"),
            ({"room": "{missing}", "user": "{member}"}, "not_member"),
        ],
    ),
    "room:ban": (
        {"room": "{closed}", "user": "{guest}"},
        OWNERS,
        [
            ({"room": "{closed}", "user": "{owner}"}, "bad_request"),
            ({"room": "{direct}", "user": "{member}"}, "forbidden"),
        ],
    ),
    "room:unban": (
        {"room": "{closed}", "user": "{guest}"},
        OWNERS,
        [({"room": "{direct}", "user": "{member}"}, "forbidden")],
    ),
    "room:update": (
        {"room": "{closed}", "title": "Another"},
        OWNERS,
        [
            ({"room": "{closed}", "owner": "{stranger}"}, "no_such_user"),
            ({"room": "{closed}", "title": "x" * 129}, "too_large"),
            ({"room": "{closed}", "open": 1}, "bad_request"),
            ({"room": "{direct}", "title": "x"}, "forbidden"),
        ],
    ),
    "room:delete": (
        {"room": "{doomed}"},
        OWNERS,
        [({"room": "{direct}"}, "forbidden"), ({"room": "{ended}"}, "not_member")],
    ),
    "room:list": ({}, EVERYBODY, [({"limit": 0}, "bad_request"), ({"after": "a b"}, "bad_request")]),
    "room:members": ({"room": "{closed}"}, MEMBERS_ONLY, [({"room": "{missing}"}, "not_member")]),
    "chat:send": (
        {"room": "{closed}", "text": "hello"},
        MEMBERS_ONLY,
        [
            ({"room": "{missing}", "text": ""}, "not_member"),
            ({"room": "{closed}", "text": "", "reply_to": 10**9}, "no_such_message"),
            ({"room": "{closed}", "text": "other", "cid": "{cid}"}, "duplicate_mismatch"),
            ({"room": "{closed}", "text": "x" * 16_385}, "too_large"),
            ({"room": "{closed}", "text": "", "data": "x" * 16_385}, "too_large"),
            ({"room": "{closed}", "text": "", "cid": LONG}, "too_large"),
            ({"room": "{closed}", "to": "x", "text": ""}, "bad_request"),
            ({"to": "{owner}", "text": ""}, "bad_request"),
            ({"text": ""}, "bad_request"),
        ],
    ),
    "chat:edit": (
        {"room": "{closed}", "seq": "{owners_seq}", "text": "edited"},
        {"stranger": "not_member", "member": "forbidden", "owner": "ok", "admin": "not_member"},
        [
            ({"room": "{closed}", "seq": 1, "text": ""}, "no_such_message"),
            ({"room": "{closed}", "seq": 10**9, "text": ""}, "no_such_message"),
            ({"room": "{closed}", "seq": "{deleted_seq}", "text": ""}, "no_such_message"),
            ({"room": "{closed}", "seq": "{owners_seq}", "text": "x" * 16_385}, "too_large"),
            ({"room": "{closed}", "seq": "{owners_seq}"}, "bad_request"),
            ({"room": "{closed}", "text": ""}, "bad_request"),
        ],
    ),
    "chat:delete": (
        {"room": "{closed}", "seq": "{members_seq}"},
        {"stranger": "not_member", "member": "ok", "owner": "ok", "admin": "ok"},
        [({"room": "{closed}", "seq": 1}, "no_such_message"), ({"seq": 1}, "bad_request")],
    ),
    "chat:react": (
        {"room": "{closed}", "seq": "{owners_seq}", "emoji": "👍"},
        MEMBERS_ONLY,
        [
            ({"room": "{closed}", "seq": 1, "emoji": "x"}, "no_such_message"),
            ({"room": "{closed}", "seq": "{deleted_seq}", "emoji": "x"}, "no_such_message"),
            ({"room": "{closed}", "seq": "{owners_seq}", "emoji": ""}, "bad_request"),
            ({"room": "{closed}", "seq": "{owners_seq}", "emoji": "x" * 33}, "too_large"),
            ({"room": "{closed}", "seq": "{owners_seq}"}, "bad_request"),
        ],
    ),
    "chat:history": (
        {"room": "{closed}"},
        MEMBERS_ONLY,
        [
            ({"room": "{closed}", "after": 1, "before": 2}, "bad_request"),
            ({"room": "{short}", "after": 1}, "gone"),
        ],
    ),
    "chat:typing": ({"room": "{closed}"}, MEMBERS_ONLY, [({"room": 7}, "bad_request")]),
    "chat:read": (
        {"room": "{closed}", "seq": 2},
        MEMBERS_ONLY,
        [({"room": "{closed}"}, "bad_request"), ({"room": "{closed}", "seq": -1}, "bad_request")],
    ),
    "chat:ack": (
        {"room": "{closed}", "seq": 2},
        MEMBERS_ONLY,
        [
            ({"room": "{closed}"}, "bad_request"),
            ({"rooms": []}, "bad_request"),
            ({"room": "{closed}", "rooms": {}}, "bad_request"),
        ],
    ),
    "presence:list": ({"room": "{closed}"}, MEMBERS_ONLY, [({"limit": 0}, "bad_request")]),
    "subscribe": (
        {"stream": "state", "filter": {"/a": {"in": [1]}}, "max_rate": 30},
        EVERYBODY,
        [
            ({}, "bad_request"),
            ({"stream": "a b"}, "bad_request"),
            ({"stream": "state", "streams": ["state"]}, "bad_request"),
            ({"stream": "state", "filter": {"a": 1}}, "bad_request"),
            ({"stream": "state", "max_rate": 0}, "bad_request"),
            ({"stream": "state", "epoch": "x"}, "bad_request"),
            ({"streams": ["state"] * 101}, "too_large"),
            ({"streams": [f"many:{number}" for number in range(100)]}, "quota"),
            ({"stream": "nothing"}, "no_such_stream"),
            ({"stream": "secret"}, "forbidden"),
        ],
    ),
    "unsubscribe": (
        {"streams": ["state", "nothing"]},
        EVERYBODY,
        [({}, "bad_request"), ({"streams": []}, "bad_request"), ({"stream": 7}, "bad_request")],
    ),
    "publish": (
        {"stream": "state", "data": {"a": 1}},
        {"stranger": "forbidden", "member": "forbidden", "owner": "ok", "admin": "ok"},
        [
            ({"stream": "state"}, "bad_request"),
            ({"data": 1}, "bad_request"),
            ({"stream": "state", "data": {"b": 1}}, "bad_request"),
            ({"stream": "state", "data": {"a": "x" * 1_000}}, "too_large"),
            ({"stream": "nothing", "data": 1}, "no_such_stream"),
            ({"stream": "secret", "data": 1}, "forbidden"),
        ],
    ),
    "stream:list": ({"limit": 5}, EVERYBODY, [({"limit": 0}, "bad_request"), ({"after": 7}, "bad_request")]),
    "stream:get": (
        {"stream": "state"},
        EVERYBODY,
        [({}, "bad_request"), ({"stream": "nothing"}, "no_such_stream"), ({"stream": "secret"}, "forbidden")],
    ),
    "stream:subscribers": (
        {"stream": "state"},
        {"stranger": "forbidden", "member": "forbidden", "owner": "forbidden", "admin": "ok"},
        [({}, "bad_request"), ({"stream": "state", "after": "x"}, "bad_request"), ({"stream": "nothing"}, "no_such_stream")],
    ),
    "stream:ack": (
        {"stream": "state", "seq": 0},
        EVERYBODY,
        [
            ({"stream": "state"}, "bad_request"),
            ({"stream": "state", "seq": 1_000_000}, "bad_request"),
            ({"stream": "secret", "seq": 0}, "conflict"),
            ({"stream": "nothing", "seq": 0}, "no_such_stream"),
        ],
    ),
}

#: Streams that are declared, and who may publish to them.
STREAMS = """{
    state = { publish = true, ack = true, max_bytes = 500, members = { a = "any" } },
    secret = { publish = true, read = "admin" },
    "many:{n}" = { publish = true },
    hooked = { command = ["printf", "1"], every_ms = 1000 },
}"""
PUBLISH = {"owner": ["state", "many:*"]}

CALLERS = ("stranger", "member", "owner", "admin")


class Scene:
    """A server with everybody in it, and the names that the table uses."""

    def __init__(self, servers):
        self.numbers = itertools.count(1)
        secret = ("--secret-file", servers.secret_file())
        self.server = servers.parlor(
            *secret, set={"retention.rooms": "short=3/all", "streams": STREAMS.replace("\n", " ")}
        )
        self.people = {
            who: Chat(self.server, token=self.token(who)) for who in (*CALLERS, "guest")
        }
        for who in CALLERS:
            self.people[who].request("subscribe", streams=["state", "many:0"])
        owner, member = self.people["owner"], self.people["member"]
        self.names = {
            "room": "open-room", "closed": "closed-room", "doomed": "doomed", "left": "left",
            "ended": "ended", "missing": "missing", "direct": "dm:member:owner", "short": "short",
            "cid": "used", "banned": "banned", "guest": "guest", "victim": "victim",
            "other": harness.token("somebody-else"),
            **{who: who for who in CALLERS},
        }
        owner.request("room:join", room="open-room")
        for who in ("owner", "member", "victim"):
            # Who shares a room with somebody may bring them into another.
            with Chat(self.server, token=self.token(who)) as one:
                one.request("room:join", room="open-room")
        owner.request("room:create", room="closed-room", members=["member", "victim"])
        for who in ("member", "victim"):
            with Chat(self.server, token=self.token(who)) as one:
                one.request("room:leave", room="open-room")
        owner.request("room:create", room="short")
        for n in range(9):
            owner.request("chat:send", room="short", text=str(n))
        owner.request("room:create", room="ended")
        owner.request("room:delete", room="ended")
        owner.request("room:ban", room="closed-room", user="banned")
        owner.request("chat:send", to="member", text="psst")
        owner.request("chat:send", room="closed-room", text="first", cid="used")
        said = [owner.request("chat:send", room="closed-room", text=text) for text in "ab"]
        owner.request("chat:delete", room="closed-room", seq=said[1]["seq"])
        self.names["owners_seq"], self.names["deleted_seq"] = said[0]["seq"], said[1]["seq"]
        self.names["members_seq"] = member.request("chat:send", room="closed-room", text="m")["seq"]

    def token(self, who):
        return harness.token(who, admin=who == "admin", publish=PUBLISH.get(who))

    def before(self, kind, who):
        """What the row needs anew for each caller."""
        owner, self.names["token"] = self.people["owner"], self.token(who)
        number = next(self.numbers)
        self.names["new"] = f"new-{number}"
        if kind == "room:leave":
            self.names["left"] = f"left-{number}"
            owner.request("room:create", room=f"left-{number}", members=["member"])
        if kind in ("unsubscribe", "stream:ack"):
            self.people[who].request("subscribe", stream="state")
        if kind == "room:delete":
            self.names["doomed"] = f"doomed-{number}"
            owner.request("room:create", room=f"doomed-{number}", members=["member"])
        if kind == "room:remove":
            members = owner.request("room:members", room="closed-room")["members"]
            if "victim" not in [one["user"] for one in members]:
                owner.request("room:unban", room="closed-room", user="victim")
                owner.request("room:invite", room="closed-room", user="victim")
                with Chat(self.server, token=harness.token("victim")) as victim:
                    victim.request("room:join", room="closed-room")
        if kind == "room:invite":
            owner.request("room:unban", room="closed-room", user="guest")
        if kind == "chat:delete":
            member = self.people["member"]
            said = member.request("chat:send", room="closed-room", text=f"for {who}")
            self.names["members_seq"] = said["seq"]

    def filled(self, value):
        if isinstance(value, dict):
            return {name: self.filled(one) for name, one in value.items()}
        if isinstance(value, list):
            return [self.filled(one) for one in value]
        if isinstance(value, str) and value.startswith("{"):
            return self.names[value[1:-1]]
        return value

    def outcome(self, chat, kind, payload):
        try:
            chat.request(kind, self.filled(payload))
            return "ok"
        except harness.Refused as refused:
            assert isinstance(refused.payload.get("message"), str), "a refusal has a sentence"
            return refused.payload["code"]


@pytest.fixture(scope="module")
def scene(module_servers):
    return Scene(module_servers)


def test_every_request_has_a_row(scene):
    assert sorted(TABLE) == scene.people["admin"].request("info")["types"]


@pytest.mark.parametrize("kind", sorted(TABLE))
def test_each_caller_is_answered_as_is_theirs(scene, kind):
    payload, expected, _ = TABLE[kind]
    for who in CALLERS:
        scene.before(kind, who)
        assert scene.outcome(scene.people[who], kind, payload) == expected[who], who


@pytest.mark.parametrize("kind", sorted(TABLE))
def test_nobody_yet_is_told_to_say_who_they_are(scene, kind):
    with Chat(scene.server, hello=False) as nobody:
        if kind == "auth":
            nobody.raw('{"type":"auth","id":1,"payload":{"token":"none"}}')
            assert nobody.push("error")["code"] == "unauthorized"
        else:
            scene.before(kind, "stranger")
            assert scene.outcome(nobody, kind, TABLE[kind][0]) == "unauthorized"


@pytest.mark.parametrize("kind", sorted(TABLE))
def test_each_refusal_has_its_code(scene, kind):
    is_admins = kind in ("auth:revoke", "stream:subscribers") or kind.startswith("admin:")
    caller = "admin" if is_admins else "owner"
    for payload, code in TABLE[kind][2]:
        scene.before(kind, caller)
        assert scene.outcome(scene.people[caller], kind, payload) == code, payload


def test_an_admin_is_told_that_there_is_no_such_room(scene):
    admin = scene.people["admin"]
    for kind in ("room:members", "room:delete", "chat:history", "room:leave", "presence:list"):
        assert scene.outcome(admin, kind, {"room": "{missing}"}) == "no_such_room", kind
    assert scene.outcome(admin, "room:ban", {"room": "{ended}", "user": "x"}) == "no_such_room"


def test_a_revoked_token_ends_its_connections_and_lets_nobody_in(scene):
    admin = scene.people["admin"]
    first = harness.token("rita", jti="rita-1")
    second = harness.token("rita", jti="rita-2")
    with Chat(scene.server, token=first) as one, Chat(scene.server, token=second) as two:
        assert admin.request("auth:revoke", jti="rita-1") == {"closed": 1}
        assert one.push("error")["close"] == 4201
        assert one.closed() == 4201
        assert two.request("ping")
        with Chat(scene.server, hello=False) as late:
            late.raw('{"type":"auth","id":1,"payload":{"token":"%s"}}' % first)
            assert late.push("error")["code"] == "unauthorized"
            assert late.closed() == 4001
        time.sleep(1.1)
        assert admin.request("auth:revoke", user="rita") == {"closed": 1}
        assert two.closed() == 4201
    time.sleep(1.1)
    with Chat(scene.server, token=harness.token("rita", iat=int(time.time()))) as again:
        assert again.request("ping")
    assert admin.request("auth:revoke", user="rita", before=1_000) == {"closed": 0}


def test_revocations_outlive_the_server(servers):
    revoked = harness.token("rita", jti="rita-1")
    secret = ("--secret-file", servers.secret_file())
    server = servers.parlor(*secret)
    with Chat(server, token=harness.token("admin", admin=True)) as admin:
        admin.request("auth:revoke", jti="rita-1")
    server.kill()
    server = servers.parlor(*secret, data=server.data)
    with Chat(server, hello=False) as late:
        late.raw('{"type":"auth","id":1,"payload":{"token":"%s"}}' % revoked)
        assert late.push("error", seconds=PATIENCE)["code"] == "unauthorized"
