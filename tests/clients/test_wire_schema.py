"""docs/wire.schema.json, made of what parses requests and writes replies and pushes, beside all that is made of it, the
protocol's page, and a server."""

import itertools
import json
import os
import re
import subprocess
import sys

import jsonschema
import pytest

import harness
from harness import ROOT, Chat, Refused
from test_c import run

pytestmark = pytest.mark.plain

SCHEMA = json.loads((ROOT / "docs/wire.schema.json").read_text())
PROTOCOL = (ROOT / "docs/protocol.md").read_text()
REQUESTS, REPLIES, PUSHES = (SCHEMA[part] for part in ("requests", "replies", "pushes"))

#: Streams of several kinds, and one that is fed by a command.
STREAMS = """
[streams]
state = { publish = true }
news = { keep = 5, publish = true, ack = true }
load = { keep = 3, command = ["echo", "7"], every_ms = 100 }
"""


def ways(schema):
    """The ways to say something, with the members that each may have."""
    return [
        {**way, "properties": {name: of for name, of in way.get("properties", {}).items() if of is not False}}
        for way in schema.get("oneOf", [schema])
    ]


def refused_beside(schema):
    """Of each way that is complete a payload with a member more, which belongs to another."""
    members = {name: of for way in ways(schema) for name, of in way["properties"].items()}
    for whole, way in zip(schema.get("oneOf", [schema]), ways(schema), strict=True):
        least = {name: sample(way["properties"][name]) for name in way.get("required", [])}
        for name, of in whole.get("properties", {}).items():
            if of is False:
                yield {**least, name: sample(members[name])}


def test_what_is_made_of_the_schema_is_as_it_would_be_made():
    run(sys.executable, ROOT / "clients/python/from_schema.py", "--check", cwd=ROOT)
    run("node", ROOT / "clients/js/wire-table.mjs", "--check", cwd=ROOT)


def of_notation(notation):
    """The ways that a notation of the page's allows: what is needed, and what may be."""
    # What members have in them is said elsewhere.
    flat = notation
    while (less := re.sub(r":(\{[^{}]*\}|\[[^\[\]]*\])", "", flat)) != flat:
        flat = less
    parts = [part.strip() for part in flat.strip("{}").split(",") if part.strip()]
    needed, optional = [], set()
    for part in parts:
        names = [name.strip() for name in part.split("|")]
        if all(name.endswith("?") for name in names):
            optional |= {name.rstrip("?") for name in names}
        else:
            needed.append(names)
    return {frozenset(way) for way in itertools.product(*needed)}, optional


def notations():
    """Of each request, as the page has it."""
    requests = PROTOCOL.split("\n## Requests\n")[1].split("\n## Pushes\n")[0]
    for heading, text in re.findall(r"^### ([a-z:, ]+)\n\n→ (.*?) ←", requests, re.MULTILINE | re.DOTALL):
        kinds, payloads = heading.split(", "), re.findall(r"`(\{.*?\})`(?:,| or |$|\s)", text + " ", re.DOTALL)
        if " or " in text:
            payloads = [payloads]
        elif len(payloads) == 1:
            payloads *= len(kinds)
        yield from zip(kinds, payloads, strict=True)
    for kinds, payloads in re.findall(r"^- ((?:`[a-z:]+`(?:, )?)+) ((?:`\{[^`]*\}`(?: or )?)+) →", requests, re.MULTILINE):
        for kind in re.findall(r"`([a-z:]+)`", kinds):
            yield kind, re.findall(r"`(\{.*?\})`", payloads)


def test_the_page_says_what_the_schema_says():
    said = dict(notations())
    assert set(said) == set(REQUESTS)
    for kind, payloads in said.items():
        needed, optional = set(), set()
        for payload in [payloads] if isinstance(payloads, str) else payloads:
            more_needed, more_optional = of_notation(payload)
            needed, optional = needed | more_needed, optional | more_optional
        schemas = ways(REQUESTS[kind])
        assert needed == {frozenset(schema.get("required", [])) for schema in schemas}, kind
        beside = {name for schema in schemas for name in schema["properties"] if name not in schema.get("required", [])}
        assert optional == beside, kind


class Notation:
    """What the page says that an object has: by name whether it may be missing, and what is in it, if that is said."""

    def __init__(self, text):
        self.tokens = re.findall(r'"[^"]*"|[a-z_]+|[{}\[\]:?,…]', text)
        self.members = self.value()
        assert isinstance(self.members, dict) and not self.tokens, text

    def value(self):
        token = self.tokens.pop(0)
        if token == "[":
            item = self.value() if self.tokens[0] != "…" else None
            while self.tokens.pop(0) != "]":
                pass
            return item
        if token != "{":
            return None
        members = {}
        while (name := self.tokens.pop(0)) != "}":
            if name != ",":
                is_optional = self.tokens[0] == "?" and bool(self.tokens.pop(0))
                inner = self.tokens[0] == ":" and self.tokens.pop(0) and self.value()
                members[name] = (is_optional, inner or None)
        return members


def target(schema):
    """What a schema is, behind a reference, and of a list that of its items."""
    while "$ref" in schema or schema.get("type") == "array":
        schema = SCHEMA["$defs"][schema["$ref"].rsplit("/", 1)[-1]] if "$ref" in schema else schema["items"]
    return schema


def is_said(members, schema):
    """Whether a notation says what a schema has, as far as it says it."""
    schema = target(schema)
    if isinstance(of_each := schema.get("additionalProperties"), dict):
        return all(inner is None or is_said(inner, of_each) for _, inner in members.values())
    properties, required = schema["properties"], schema.get("required", [])
    named = {name: of for name, of in members.items() if name != "…"}
    # What only admins are told, docs/http.md says.
    missing = set(properties) - set(named) - {"age_ms", "source"}
    return (
        set(named) <= set(properties)
        and (not missing or "…" in members)
        and all(is_optional == (name not in required) for name, (is_optional, _) in named.items() if "…" not in members)
        and all(inner is None or is_said(inner, properties[name]) for name, (_, inner) in named.items())
    )


def replies():
    """Of each request, the notation of its reply, or the words that the page has in its place."""
    requests = PROTOCOL.split("\n## Requests\n")[1].split("\n## Pushes\n")[0]
    for heading, text in re.findall(r"^### ([a-z:, ]+)\n\n→ .*? ←\s(.*?)(?: —|,? and:)", requests, re.MULTILINE | re.DOTALL):
        yield from ((kind, text.strip("`")) for kind in heading.split(", "))
    for kinds, text in re.findall(r"^- ((?:`[a-z:]+`(?:, )?)+) (?:`\{[^`]*\}`(?: or )?)+ →\s+(`[^`]*`|[^:,]*)", requests, re.MULTILINE):
        yield from ((kind, text.strip("`")) for kind in re.findall(r"`([a-z:]+)`", kinds))


def test_the_page_says_what_replies_have():
    said = dict(replies())
    assert set(said) == set(REPLIES)
    in_words = {kind for kind, text in said.items() if not text.startswith("{")}
    assert in_words == {"admin:add", "info", "room:create", "room:info", "room:join", "room:update", "stream:get"}
    for kind in set(said) - in_words:
        assert is_said(Notation(said[kind]).members, REPLIES[kind]), (kind, said[kind])
    # “A room”, with `invited`; what `hello` says, with more; a stream of the list, with its newest data.
    room, stream = SCHEMA["$defs"]["Room"], SCHEMA["$defs"]["Stream"]
    assert all(target(REPLIES[kind]) == room for kind in ("admin:add", "room:info", "room:join", "room:update"))
    assert set(REPLIES["room:create"]["properties"]) == {*room["properties"], "invited"}
    assert set(REPLIES["stream:get"]["properties"]) == {*stream["properties"], "data"}
    assert set(REPLIES["info"]["properties"]) == {*PUSHES["hello"]["properties"], "uptime_ms", "counts", "types", "streams"}


def test_the_page_says_what_pushes_have():
    said = {}
    table = PROTOCOL.split("\n## Pushes\n")[1].split("\n\n")[0]
    for kind, notations in re.findall(r"^\| `([a-z:]+)` \| ((?:`[^`]*`(?:, )?)+) \|", table, re.MULTILINE):
        said.setdefault(kind, []).extend(Notation(one).members for one in re.findall(r"`([^`]*)`", notations))
    assert set(said) == set(PUSHES) - {"hello", "error"}
    for kind, notations in said.items():
        shapes = ways(PUSHES[kind])
        assert len(shapes) == len(notations), kind
        assert all(any(is_said(notation, shape) for notation in notations) for shape in shapes), kind
    hello = json.loads(re.search(r'^\{"type":"hello","payload":(.*?)\}\n```$', PROTOCOL.replace(",…", ""), re.MULTILINE | re.DOTALL).group(1))
    assert set(hello) == set(PUSHES["hello"]["required"])


def objects(schema):
    if isinstance(schema, dict):
        if "properties" in schema:
            yield schema
        for inner in schema.values():
            yield from objects(inner)
    elif isinstance(schema, list):
        for inner in schema:
            yield from objects(inner)


def test_what_a_server_says_has_nothing_beside():
    told = list(objects([REPLIES, PUSHES]))
    assert len(told) > 60 and all(one["additionalProperties"] is False or one["properties"].keys() & {"type", "properties"} for one in told)


def validator(schema):
    return jsonschema.Draft202012Validator({"$defs": SCHEMA["$defs"], **schema})


VALIDATORS = {part: {kind: validator(schema) for kind, schema in SCHEMA[part].items()} for part in ("replies", "pushes")}


class Checked(Chat):
    """A connection on which all that the server says is compared with the schema."""

    seen = {"replies": set(), "pushes": set()}

    def __init__(self, *args, **query):
        self.asked = {}
        super().__init__(*args, **query)

    def send(self, kind, payload=None, id=None, **members):
        id = super().send(kind, payload, id, **members)
        self.asked[id] = kind
        return id

    def _receive(self, deadline):
        super()._receive(deadline)
        message = json.loads(self.texts[-1])
        kind, part = message["type"], "pushes"
        if kind == "reply":
            kind, part = self.asked[message["id"]], "replies"
        self.check(part, kind, message["payload"])
        for entry in message["payload"].get("entries", []):
            self.check("pushes", entry["type"], entry["payload"])

    def check(self, part, kind, payload):
        # Others are the application's.
        if kind in VALIDATORS[part]:
            errors = [error.message for error in VALIDATORS[part][kind].iter_errors(payload)]
            assert errors == [], (kind, payload)
            self.seen[part].add(kind)


def in_a_room(ada, bob):
    ada.request("room:create", room="tea", title="Tea", open=True, members=["bob"])
    bob.request("room:join", room="tea")
    seq = [ada.request("chat:send", room="tea", text="one", data={"x": 1.50}, cid="c")["seq"] for _ in range(2)][0]
    ada.request("chat:send", room="tea", text="two", reply_to=seq)
    bob.request("chat:typing", room="tea")
    bob.request("chat:read", room="tea", seq=seq)
    bob.request("chat:ack", room="tea", seq=seq)
    ada.request("chat:edit", room="tea", seq=seq, text="1")
    ada.request("chat:react", room="tea", seq=seq, emoji="+")
    ada.request("chat:react", room="tea", seq=seq, emoji="+", on=False)
    ada.request("chat:react", room="tea", seq=seq, emoji="-")
    ada.request("chat:history", room="tea")
    ada.request("chat:delete", room="tea", seq=seq)
    ada.request("chat:history", room="tea")
    for kind in ("invite", "remove", "ban", "unban"):
        ada.request(f"room:{kind}", room="tea", user="cy")
    ada.request("room:update", room="tea", title="More tea")
    for kind in ("room:info", "room:members", "presence:list"):
        bob.request(kind, room="tea")
    ada.request("room:list")


def with_streams(eve, bob):
    for stream in ("state", "news"):
        eve.request("subscribe", stream=stream)
        for _ in range(2):
            eve.request("publish", {"stream": stream, "data": {"x": 1.50}, "id": "i"})
        bob.request("subscribe", streams=[stream, "load"])
        bob.request("stream:get", stream=stream)
    eve.request("stream:ack", stream="news", seq=1)
    bob.request("stream:list")
    eve.request("unsubscribe", stream="state")
    eve.raw('{"type":"subscribe","payload":{"stream":"state"}}')
    eve.push("subscribed")


def as_admin(eve):
    for kind in ("connections", "users"):
        eve.request(f"admin:{kind}")
    for user in ("bob", "cy"):
        eve.request("admin:add", room="tea", user=user)
        eve.request("admin:user", user=user)
    eve.request("admin:push", {"type": "x.y", "payload": {"x": 1}, "users": ["ada"]})
    eve.request("admin:disconnect", user="nobody")
    eve.request("auth:revoke", user="nobody")
    for kind in ("pause", "resume"):
        eve.request(f"admin:{kind}", stream="load")
    for kind in ("stream:list", "info"):
        eve.request(kind)
    for stream in ("state", "load"):
        eve.request("stream:get", stream=stream)
        eve.request("stream:subscribers", stream=stream)


def test_a_server_says_what_the_schema_has(servers):
    directory = servers.directory()
    (directory / "parlor.toml").write_text(STREAMS)
    server = servers.parlor("--config", directory / "parlor.toml", "--secret-file", servers.secret_file())
    with (
        Checked(server, token=harness.token("eve", admin=True)) as eve,
        Checked(server, token=harness.token("ada")) as ada,
        Checked(server, token=harness.token("bob"), resume=1) as bob,
    ):
        bob.request("resume", epoch=bob.hello["epoch"], rooms={"attic": 1})
        ada.request("auth", token=harness.token("ada"))
        for kind in ("ping", "info"):
            ada.request(kind)
        in_a_room(ada, bob)
        with Checked(server, token=harness.token("bob"), resume=1) as again:
            # In two pieces, of which both name one room.
            where = {"epoch": again.hello["epoch"], "rooms": {"tea": 1}}
            again.request("resume", **where, more=True)
            assert again.request("resume", **where)["refused"]["tea"]["code"] == "conflict"
        with_streams(eve, bob)
        as_admin(eve)
        ada.raw('{"type":"room:info"}')
        ada.push("error")
        bob.request("room:leave", room="tea")
        ada.request("room:delete", room="tea")
        for chat in (eve, ada, bob):
            chat.request("ping")
        bob.push("room:removed")
        eve.push("user:online")
    assert Checked.seen["replies"] == set(REPLIES)
    # Those take a time, or many people.
    assert set(PUSHES) - Checked.seen["pushes"] <= {"notice", "stream:stale", "user:count", "user:offline"}


def sample(schema):
    """Something that a schema allows."""
    if "$ref" in schema:
        return {"name": "tea", "user": "bob", "anybody": "bob", "connection": "7-1a2b3c"}[schema["$ref"].rsplit("/", 1)[-1]]
    if "const" in schema:
        return schema["const"]
    match schema.get("type"):
        case "string":
            return "a"
        case "integer":
            return schema.get("minimum", 0)
        case "boolean":
            return True
        case "array":
            return [sample(schema["items"])]
        case "object":
            return {}
        case None:
            return [1.50, None]
    raise AssertionError(schema)


def payloads(schema):
    """Of each way the least, and with each optional member."""
    for way in ways(schema):
        least = {name: sample(way["properties"][name]) for name in way.get("required", [])}
        yield least
        for name, of in way["properties"].items():
            if name not in least:
                with_others = {other: sample(way["properties"][other]) for other in way.get("dependentRequired", {}).get(name, [])}
                yield {**least, name: sample(of), **with_others}


def code(chat, kind, payload):
    try:
        chat.request(kind, payload)
    except Refused as refused:
        return refused.payload["code"]
    return None


def test_a_server_takes_what_the_schema_allows_and_nothing_less(servers):
    secret = servers.secret_file()
    server = servers.parlor("--secret-file", secret, "--set", 'streams={ "tea" = { publish = true } }', set={"limits.malformed_requests": 100_000})
    validators = {kind: validator(schema) for kind, schema in REQUESTS.items()}
    asked = refused = beside = 0
    # What ends a connection, or is about one, is asked of one of its own.
    with Chat(server, token=harness.token("eve", admin=True)) as admin:
        for kind, schema in REQUESTS.items():
            for payload in payloads(schema):
                assert validators[kind].is_valid(payload), (kind, payload)
                asked += 1
                assert code(admin, kind, payload) != "bad_request", (kind, payload)
                for way in ways(schema):
                    for name in way.get("required", []):
                        less = {member: value for member, value in payload.items() if member != name}
                        if name in payload and not validators[kind].is_valid(less):
                            refused += 1
                            assert code(admin, kind, less) in ("bad_request", "unauthorized"), (kind, less)
                for name in payload:
                    wrong = {**payload, name: {"no": ["such"]}}
                    if not validators[kind].is_valid(wrong):
                        refused += 1
                        assert code(admin, kind, wrong) in ("bad_request", "unauthorized"), (kind, wrong)
            for payload in refused_beside(schema):
                assert not validators[kind].is_valid(payload), (kind, payload)
                beside += 1
                assert code(admin, kind, payload) == "bad_request", (kind, payload)
    assert asked > 80 and refused > 120 and beside > 20, (asked, refused, beside)


def test_names_are_what_the_schema_says(servers):
    server = servers.parlor()
    own, direct = SCHEMA["$defs"]["name"]["anyOf"]
    pattern, longest = re.compile(own["pattern"]), own["maxLength"]
    with Chat(server, "ada") as ada:
        for name in ("tea", ".tea", "tea.x", "a b", "ä", "", "a" * longest, "a" * (longest + 1), "x:y", "-", "a/b", "@A_z", "dm:" + "a" * 40 + ":" + "b" * 40):
            is_direct = re.match(direct["pattern"], name) is not None and len(name) <= direct["maxLength"]
            is_name = (pattern.fullmatch(name) is not None and len(name) <= longest) or is_direct
            assert (code(ada, "room:info", {"room": name}) != "bad_request") == is_name, name


def test_whom_an_administrator_may_name_is_what_the_schema_says(servers):
    server = servers.parlor("--secret-file", servers.secret_file())
    names = ["ada", ":guest-1-0", ":program", ":", "::a", ":..", "", "a:b", "..", ":" + "a" * 64, ":" + "a" * 65, "a" * 65]
    ids = ["0-0", "10-1a2b3c", "01-1", "1-01", "1-A", "-1", "1-", "1", "1-fffffffff"]
    with Chat(server, token=harness.token("eve", admin=True)) as eve:
        for member, samples in [("user", names), ("connection", ids)]:
            for name in samples:
                is_valid = validator(REQUESTS["admin:disconnect"]).is_valid({member: name})
                assert (code(eve, "admin:disconnect", {member: name}) != "bad_request") == is_valid, name


def test_types_of_python_are_of_use_and_complain(tmp_path):
    (tmp_path / "right.py").write_text(
        "import parlor.sync\nfrom parlor.wire import ChatSend, Subscribe\n\n"
        "def ask(client: parlor.sync.Connection) -> None:\n"
        '    message: ChatSend = {"room": "tea", "text": "good evening", "data": [1]}\n'
        '    watched: Subscribe = {"stream": "state", "max_rate": 5}\n'
        '    client.request("chat:send", message)\n'
        '    client.request("subscribe", watched)\n'
    )
    (tmp_path / "wrong.py").write_text('from parlor.wire import ChatSend\n\nmessage: ChatSend = {"room": "tea", "txt": "good evening"}\n')
    env = {**os.environ, "MYPYPATH": str(ROOT / "clients/python")}
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file", os.devnull, "--cache-dir", str(tmp_path / "cache")]
    done = subprocess.run([*command, tmp_path / "right.py"], env=env, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stdout
    done = subprocess.run([*command, tmp_path / "wrong.py"], env=env, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 1 and "wrong.py:3: error" in done.stdout, done.stdout
