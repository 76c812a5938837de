"""The description of the API, tried by a program that makes calls of it that nobody would think of."""

import json
import subprocess
import sys

import pytest

import harness
from harness import Chat

ADMIN_TOKEN = "an admin token for tests, of more than 32 bytes"
HOOK_SECRET = "what they and we alone know, in enough bytes"

#: A stream of every kind, so that what is called is there.
STREAMS = """
[streams]
state = { publish = true, read = "public" }
news = { keep = 5, publish = true }
journal = { keep = 20, durable = true, publish = true }
cam = { publish = true, binary = true }
pose = { publish = true, max_bytes = 100, members = { x = "number" } }
orders = { keep = 100, publish = true, ack = true, read = "admin" }
"sensor:{id}" = { publish = true }
hook = { publish = true, webhook = { path = "/hooks/git", secret_env = "A_HOOK" } }
load = { keep = 3, command = ["echo", "7"], every_ms = 100 }
silent = { webhook = { path = "/hooks/none", secret_env = "A_HOOK" } }
"""
#: What any JSON can be published to, and what else is asked for.
PUBLISHED = ("state", "news", "journal", "cam", "orders", "sensor:a", "hook")
NAMES = (*PUBLISHED, "pose", "load", "silent", "sensor:{id}", "nothing")

#: Most calls about a stream are about one of those; the rest is made up.
GUIDE = f"""
generation.max-examples = 12

[dictionaries.streams]
values = {json.dumps(NAMES)}

[parameters]
"path.stream" = {{ dictionary = "streams", probability = 0.9 }}

[[operations]]
include-path-regex = "/streams/"
generation.max-examples = 60
"""


def test_the_document_that_is_served_is_the_documentations(server):
    status, fields, body = server.http("/api/v1/openapi.json")
    assert (status, fields["content-type"]) == (200, "application/json")
    assert body == (harness.ROOT / "docs/openapi.json").read_bytes()
    assert json.loads(body)["openapi"].startswith("3.1.")
    again = server.http("/api/v1/openapi.json", headers={"If-None-Match": fields["etag"]})
    assert (again[0], again[2]) == (304, b"")


@pytest.mark.seconds(170)
def test_what_is_described_is_what_is_answered(module_servers):
    directory = module_servers.directory()
    (directory / "parlor.toml").write_text(STREAMS)
    (directory / "schemathesis.toml").write_text(GUIDE)
    server = module_servers.parlor(
        *("--config", directory / "parlor.toml", "--secret-file", module_servers.secret_file()),
        env={"PARLOR_ADMIN_TOKEN": ADMIN_TOKEN, "A_HOOK": HOOK_SECRET},
    )
    server.api("PUT", "rooms/tea", {}, ADMIN_TOKEN)
    for stream in (*PUBLISHED, "pose"):
        server.api("POST", f"streams/{stream}", {"x": 1}, ADMIN_TOKEN)
    before = newest(server)
    with Chat(server, token=harness.token("eve", admin=True)) as eve:
        eve.request("subscribe", streams=[*PUBLISHED, "load"])
        run = tried(server, directory)
    assert run.returncode == 0, f"{run.stdout[-8_000:]}{run.stderr[-2_000:]}"
    assert server.http("/healthz")[0] == 200
    after = newest(server)
    met = [stream for stream in PUBLISHED if after[stream] > before[stream]]
    assert len(met) > 3, f"what was made up was published to {met} alone: the test tests little"


def newest(server):
    """Each stream's newest event, by its number."""
    _, listed = server.api("GET", "streams", token=ADMIN_TOKEN)
    return {one["stream"]: one["seq"] for one in listed["streams"]}


def tried(server, directory):
    """What schemathesis says of a server, by the guide in this directory."""
    checks = (
        "not_a_server_error,status_code_conformance,content_type_conformance,"
        "response_headers_conformance,response_schema_conformance,unsupported_method,ignored_auth"
    )
    return subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli"),
            *("--config-file", directory / "schemathesis.toml", "run"),
            f"http://{harness.HOST}:{server.port}/api/v1/openapi.json",
            *("--header", f"Authorization: Bearer {ADMIN_TOKEN}"),
            *("--checks", checks, "--seed", "1"),
            *("--phases", "examples,coverage,fuzzing", "--request-timeout", "5", "--no-color"),
        ],
        cwd=directory,
        env=harness.clean_environment(),
        capture_output=True,
        text=True,
        timeout=160,
    )
