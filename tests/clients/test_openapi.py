"""The description of the API, tried by a program that makes calls of it that nobody would think of."""

import json
import subprocess
import sys

import pytest

import harness

ADMIN_TOKEN = "an admin token for tests, of more than 32 bytes"
EXAMPLES = 12


def test_the_document_that_is_served_is_the_documentations(server):
    status, fields, body = server.http("/api/v1/openapi.json")
    assert (status, fields["content-type"]) == (200, "application/json")
    assert body == (harness.ROOT / "docs/openapi.json").read_bytes()
    assert json.loads(body)["openapi"].startswith("3.1.")
    again = server.http("/api/v1/openapi.json", headers={"If-None-Match": fields["etag"]})
    assert (again[0], again[2]) == (304, b"")


@pytest.mark.seconds(170)
def test_what_is_described_is_what_is_answered(module_servers):
    server = module_servers.parlor(
        "--secret-file", module_servers.secret_file(), env={"PARLOR_ADMIN_TOKEN": ADMIN_TOKEN}
    )
    server.api("PUT", "rooms/tea", {}, ADMIN_TOKEN)
    checks = (
        "not_a_server_error,status_code_conformance,content_type_conformance,"
        "response_headers_conformance,response_schema_conformance,unsupported_method,ignored_auth"
    )
    run = subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli", "run"),
            f"http://{harness.HOST}:{server.port}/api/v1/openapi.json",
            *("--header", f"Authorization: Bearer {ADMIN_TOKEN}"),
            *("--checks", checks, "--max-examples", str(EXAMPLES), "--seed", "1"),
            *("--phases", "examples,coverage,fuzzing", "--request-timeout", "5", "--no-color"),
        ],
        cwd=module_servers.directory(),
        env=harness.clean_environment(),
        capture_output=True,
        text=True,
        timeout=160,
    )
    assert run.returncode == 0, f"{run.stdout[-8_000:]}{run.stderr[-2_000:]}"
    assert server.http("/healthz")[0] == 200
