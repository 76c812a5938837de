"""The log at its default level: who comes and goes, who is refused and limited, in lines that can be
counted on, whatever a client sends; and no token, at any level."""

import json
import re
import signal
import time

import pytest

import harness
from harness import FIELDS, TEXT, Chat, Raw, request_head

FORGED = "x%0A%5B2026-01-01T00%3A00%3A00.000Z%20ERROR%20parlor%5D%20forged"


def lines(server):
    """What it has logged: its lines that are objects."""
    return [json.loads(line) for line in server.output().splitlines() if line.startswith("{")]


def await_line(server, message, **fields):
    """Waits for a line with this message and these fields."""
    deadline = time.monotonic() + harness.PATIENCE
    while True:
        for line in lines(server):
            if line["message"] == message and fields.items() <= line.items():
                return line
        assert time.monotonic() < deadline, f"no {message} {fields} in\n{server.output()[-4_000:]}"
        time.sleep(0.02)


@pytest.fixture
def json_server(servers):
    return servers.parlor(set={"log.format": "json"})


def test_each_connection_comes_and_goes_in_two_lines_and_messages_in_none(json_server):
    with Chat(json_server, "ada") as ada:
        ada.request("room:create", room="tea")
        before = len(lines(json_server))
        for n in range(20):
            ada.say("tea", f"message {n}")
        assert len(lines(json_server)) == before, "a line for a message"
        connection = ada.hello["connection"]
    came = await_line(json_server, "connected", connection=connection)
    assert came["user"] == "ada" and came["address"] == "127.0.0.1" and came["kind"] == "websocket"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", came["ts"])
    assert came["level"] == "info" and came["target"].startswith("parlor::")
    went = await_line(json_server, "disconnected", connection=connection)
    assert (went["user"], went["by"], went["code"], went["why"]) == ("ada", "client", 1000, "normal")
    with Raw(json_server, "/ws?user=bob", FIELDS) as bob:
        bob.reset()
    await_line(json_server, "disconnected", user="bob", code=1006, why="lost")
    with Chat(json_server, "eve") as eve:
        json_server.signal(signal.SIGTERM)
        assert eve.closed() == 1012
    assert json_server.process.wait(harness.STOP_SECONDS) == 0
    assert [one["message"] for one in lines(json_server)][0] == "started"
    assert [one["message"] for one in lines(json_server)][-1] == "stopped"
    await_line(json_server, "draining", connections=1)
    await_line(json_server, "disconnected", user="eve", by="server", code=1012, why="restart")


def test_who_is_refused_and_who_is_limited_is_said_and_a_flood_of_it_is_not(servers):
    server = servers.parlor(
        roomy=False,
        set={"log.format": "json", "limits.burst": 2, "limits.connections_per_address": 1_000},
    )
    for _ in range(100):
        assert server.http("/ws?user=a%20b", headers=dict(FIELDS))[0] == 400
    refused = await_line(server, "refused")
    assert refused["address"] == "127.0.0.1" and refused["why"].startswith("400")
    with Raw(server, "/ws?user=ada", FIELDS) as ada:
        ada.send(*(harness.frame(TEXT, '{"type":"ping","id":1}') for _ in range(150)))
        limited = await_line(server, "limited", user="ada", limit="requests_per_second")
        went = await_line(server, "disconnected", user="ada", why="rate", code=4103, by="server")
    assert limited["connection"] == went["connection"]
    # In how many seconds they came nobody knows: 250 of them in a minute would be a slow machine.
    said = [line["message"] for line in lines(server)]
    assert said.count("refused") < 100 and said.count("limited") < 100
    time.sleep(1)
    server.http("/ws?user=a%20b", headers=dict(FIELDS))
    told = await_line(server, "refusals: there were more than a second's lines")
    assert 0 < told["count"] <= 80


def test_a_line_is_one_line_whatever_a_client_sends(servers):
    for form in ("text", "json"):
        server = servers.parlor("--log", "trace", set={"log.format": form})
        server.http(f"/ws?user={FORGED}", headers=dict(FIELDS))
        server.http(f"/{FORGED}", headers={"X-Forwarded-For": "1.2.3.4\x1b[2J"})
        with Raw(server, open=False) as raw:
            raw.send(b"GET /\x1b[2Jforged HTTP/1.1\r\nHost: a\r\n\r\n")
            raw.socket.recv(1_000)
        with Raw(server, "/ws?user=ada", FIELDS) as raw:
            raw.send_frame(TEXT, "\n[2026-01-01T00:00:00.000Z ERROR parlor] forged")
            raw.send_frame(harness.CLOSE, harness.close_body(4_999, b"\n[2026 ERROR] forged"))
            while raw.read_frame() is not None:
                pass
        server.stop()
        for line in server.output().splitlines():
            assert not re.match(r"\[2026(-01-01T\S+)? ERROR", line), line
            assert "\x1b" not in line, line
        if form == "json":
            assert lines(server)[-1]["message"] == "stopped"


def test_no_token_is_logged_at_any_level_however_it_is_presented(servers):
    server = servers.parlor("--secret-file", servers.secret_file(), "--log", "trace")
    good = harness.token("ada")
    bad = harness.token("ada", secret="another secret, of more than 32 bytes too")
    for token, status in ((good, 200), (bad, 401)):
        assert server.api("GET", "rooms", token=token)[0] == status
        assert server.http(f"/api/v1/rooms?token={token}")[0] in (200, 400, 401)
        fields = (*FIELDS, ("Authorization", f"Bearer {token}"))
        ways = [
            request_head(f"/ws?token={token}"),
            request_head("/ws", fields),
            request_head("/ws", (*FIELDS, ("Sec-WebSocket-Protocol", f"parlor, token.{token}"))),
            request_head("/ws", (*FIELDS, ("Sec-WebSocket-Protocol", f"parlor, bearer, {token}"))),
        ]
        for head in ways:
            with Raw(server, open=False) as raw:
                raw.send(head)
                raw.read_head()
        with Raw(server, "/ws", FIELDS) as raw:
            raw.send_frame(TEXT, json.dumps({"type": "auth", "id": 1, "payload": {"token": token}}))
            raw.read_message()
    server.stop()
    output = server.output()
    assert "connected" in output and "refused" in output
    for token in (good, bad):
        for part in token.split("."):
            assert part not in output, "a token is in the log"
    assert harness.SECRET not in output


def test_the_form_changes_with_a_hangup(servers):
    path = servers.directory() / "parlor.toml"
    path.write_text('[log]\nformat = "text"\n')
    server = servers.parlor("--config", path)
    assert not lines(server) and " INFO " in server.output()
    path.write_text('[log]\nformat = "json"\n')
    server.signal(signal.SIGHUP)
    await_line(server, "configuration, read again: 1 taken, 0 waiting")
