"""docs/wire.schema.json, made of what parses requests, beside all that is made of it, the protocol's page, and a server."""

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
REQUESTS = SCHEMA["requests"]


def ways(schema):
    return schema.get("oneOf", [schema])


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
    validators = {kind: jsonschema.Draft202012Validator({"$defs": SCHEMA["$defs"], **schema}) for kind, schema in REQUESTS.items()}
    asked = refused = 0
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
    assert asked > 80 and refused > 120, (asked, refused)


def test_names_are_what_the_schema_says(servers):
    server = servers.parlor()
    pattern = re.compile(SCHEMA["$defs"]["name"]["pattern"])
    longest = SCHEMA["$defs"]["name"]["maxLength"]
    with Chat(server, "ada") as ada:
        for name in ("tea", ".tea", "tea.x", "a b", "ä", "", "a" * longest, "a" * (longest + 1), "x:y", "-", "a/b", "@A_z"):
            is_name = pattern.fullmatch(name) is not None and len(name) <= longest
            assert (code(ada, "room:info", {"room": name}) != "bad_request") == is_name, name


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
