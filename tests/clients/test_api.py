"""The API over HTTP: each call as whoever may make it, what it answers, and who is told."""

import json
import re
import subprocess
import time

import pytest

import harness
from harness import Chat, Raw

ADMIN_TOKEN = "an admin token for tests, of more than 32 bytes"


@pytest.fixture(scope="module")
def secured(module_servers):
    """A server with a secret, an admin token and an origin that is let in."""
    token = module_servers.directory() / "admin"
    token.write_text(ADMIN_TOKEN + "\n")
    return module_servers.parlor(
        "--secret-file",
        module_servers.secret_file(),
        "--allow-origin",
        "https://app.example",
        set={"auth.admin_token_file": token},
    )


@pytest.fixture
def call(secured):
    """`call("GET", "rooms/x", user="ada")`: gives status and payload."""

    def one(method, path, payload=None, user=None, admin=False, token=None, headers=None):
        if user:
            token = harness.token(user, admin=admin)
        return secured.api(method, path, payload, token, headers)

    return one


@pytest.fixture
def online(secured):
    """Opens connections to the server: `online("ada")`."""
    opened = []

    def one(user, **claims):
        opened.append(Chat(secured, token=harness.token(user, **claims)))
        return opened[-1]

    yield one
    for chat in opened:
        chat.end()


def code(answer):
    status, body = answer
    return status, body["error"]["code"]


class TestCalls:
    def test_any_request_of_a_socket_is_a_call(self, call, online, name):
        room = name("room")
        ada = online("ada")
        assert call("POST", "call/room:join", {"room": room}, user="ada")[0] == 200
        status, sent = call("POST", "call/chat:send", {"room": room, "text": "hi"}, user="ada")
        assert (status, sent["room"], sent["seq"]) == (200, room, 2)
        assert ada.push("chat:message", where=lambda one: one["room"] == room)["text"] == "hi"
        status, page = call("POST", "call/chat:history", {"room": room}, user="ada")
        assert [one["payload"]["seq"] for one in page["entries"]] == [1, 2]
        assert call("POST", "call/ping", user="ada")[1].keys() == {"ts"}

    def test_an_empty_content_is_an_empty_payload(self, secured, call):
        assert call("POST", "call/room:list", user="ada")[0] == 200
        token = {"Authorization": f"Bearer {harness.token('ada')}"}
        assert secured.http("/api/v1/call/ping", "POST", token, b" \n")[0] == 200

    @pytest.mark.parametrize("kind", ["auth", "resume", "subscribe", "unsubscribe"])
    def test_what_acts_on_its_own_connection_is_no_call(self, call, kind):
        assert code(call("POST", f"call/{kind}", {}, user="ada")) == (400, "bad_request")

    def test_a_repeat_on_a_socket_and_over_http_is_one_message(self, call, online, name):
        room = name("room")
        ada = online("ada")
        ada.join(room)
        first = ada.request("chat:send", room=room, text="once", cid="c1")
        path = f"rooms/{room}/messages"
        status, again = call("POST", path, {"text": "once", "cid": "c1"}, user="ada")
        assert (status, again["seq"], again["duplicate"]) == (200, first["seq"], True)
        key = {"Idempotency-Key": '"c2"'}
        status, new = call("POST", path, {"text": "new"}, user="ada", headers=key)
        assert (status, "duplicate" in new) == (201, False)
        again = ada.request("chat:send", room=room, text="new", cid="c2")
        assert (again["seq"], again["duplicate"]) == (new["seq"], True)
        assert call("POST", path, {"text": "new", "cid": "c2"}, user="ada", headers=key)[0] == 200
        differs = call("POST", path, {"text": "new", "cid": "c3"}, user="ada", headers=key)
        assert code(differs) == (400, "bad_request")
        other = call("POST", path, {"text": "other", "cid": "c2"}, user="ada")
        assert code(other) == (409, "duplicate_mismatch")

    def test_typing_without_a_connection_is_told_to_the_others(self, call, online, name):
        room = name("room")
        bob = online("bob")
        bob.join(room)
        call("PUT", f"rooms/{room}/members/ada", user="ada")
        assert call("POST", "call/chat:typing", {"room": room}, user="ada") == (200, {})
        assert bob.push("chat:typing", where=lambda one: one["room"] == room)["user"] == "ada"

    def test_errors_have_the_members_that_they_have_on_a_socket(self, call):
        status, body = call("POST", "call/chat:send", {"room": "x", "text": "x" * 16_385}, user="ada")
        assert (status, body["error"]["code"]) == (413, "too_large")
        assert (body["error"]["field"], body["error"]["limit"]) == ("text", 16_384)

    @pytest.mark.parametrize(
        ("body", "expected"),
        [
            (b"{", "bad_json"),
            (b"\xff", "bad_json"),
            (b'{"a":1,"a":2}', "bad_json"),
            (b'{"a":' + b"[" * 31 + b"]" * 31 + b"}", "bad_json"),
            (b"[]", "bad_request"),
            (b"7", "bad_request"),
        ],
    )
    def test_what_is_no_payload_is_400(self, secured, body, expected):
        token = {"Authorization": f"Bearer {harness.token('ada')}"}
        for path in ("/api/v1/call/ping", "/api/v1/rooms/x/messages"):
            status, _, text = secured.http(path, "POST", token, body)
            assert (status, json.loads(text)["error"]["code"]) == (400, expected), path


class TestWho:
    def test_nobody_is_401_and_is_told_how(self, secured):
        for path, method in (("info", "GET"), ("rooms/x/messages", "POST"), ("call/ping", "POST")):
            status, fields, body = secured.http(f"/api/v1/{path}", method)
            assert (status, fields["www-authenticate"]) == (401, "Bearer"), path
            assert json.loads(body)["error"]["code"] == "unauthorized"

    def test_only_the_authorization_field_counts(self, secured, call):
        token = harness.token("ada")
        for path, headers in (
            (f"info?token={token}", {}),
            ("info?user=ada", {}),
            ("info", {"Cookie": f"token={token}"}),
            ("info", {"Sec-WebSocket-Protocol": f"bearer.{token}"}),
            ("info", {"Authorization": f"Basic {token}"}),
        ):
            assert code(call("GET", path, headers=headers)) == (401, "unauthorized"), path
        assert code(call("GET", "info", token="x")) == (401, "unauthorized")
        assert code(call("GET", "info", token=harness.token("ada", ttl=-60))) == (401, "unauthorized")
        assert call("GET", "info", token=token)[0] == 200

    def test_a_users_rights_are_those_of_a_socket(self, call, name):
        room = name("room")
        assert call("PUT", f"rooms/{room}", {}, user="ada")[0] == 201
        assert code(call("GET", f"rooms/{room}", user="bob")) == (403, "not_member")
        assert code(call("GET", f"rooms/{name('none')}", user="bob")) == (403, "not_member")
        assert code(call("DELETE", f"rooms/{room}", user="bob")) == (403, "not_member")
        assert code(call("GET", f"rooms/{name('none')}", user="root", admin=True)) == (
            404,
            "no_such_room",
        )

    @pytest.mark.parametrize(
        ("method", "path"),
        [
            ("GET", "connections"),
            ("DELETE", "connections/1-1"),
            ("POST", "connections/1-1/push"),
            ("GET", "users/ada"),
            ("DELETE", "users/ada/connections"),
            ("POST", "users/ada/push"),
            ("POST", "push"),
            ("POST", "call/admin:users"),
            ("POST", "call/auth:revoke"),
        ],
    )
    def test_what_is_for_admins_is_403_to_others(self, call, method, path):
        payload = {"jti": "x"} if path == "call/auth:revoke" else {} if method == "POST" else None
        assert code(call(method, path, payload, user="ada")) == (403, "forbidden")

    def test_the_admin_token_acts_in_any_name(self, call, name):
        room = name("room")
        call("PUT", f"rooms/{room}", {}, user="ada")
        status, info = call("GET", "info", token=ADMIN_TOKEN)
        assert (status, info["user"]) == (200, {"id": ":admin", "name": ":admin", "admin": True})
        said = call("POST", f"rooms/{room}/messages?user=ada", {"text": "hi"}, token=ADMIN_TOKEN)
        assert said[0] == 201
        said = call("POST", f"rooms/{room}/messages", {"text": "hi"}, token=ADMIN_TOKEN)
        assert code(said) == (403, "not_member")
        for wrong in (ADMIN_TOKEN[:-1], ADMIN_TOKEN + "x", ADMIN_TOKEN.upper()):
            assert code(call("GET", "info", token=wrong)) == (401, "unauthorized")

    def test_the_admin_token_has_no_rate(self, module_servers):
        token = module_servers.directory() / "admin"
        token.write_text(ADMIN_TOKEN)
        server = module_servers.parlor(
            "--secret-file",
            module_servers.secret_file(),
            set={"auth.admin_token_file": token, "limits.requests_per_second": 1, "limits.burst": 2},
        )
        for method, path in (("GET", "info"), ("POST", "ticket")):
            answers = [server.api(method, path, token=ADMIN_TOKEN)[0] for _ in range(5)]
            assert answers == [200] * 5, path

    def test_no_token_beside_the_admin_token_counts_where_events_are_listened_to(self, secured):
        bearer = {"Authorization": f"Bearer {ADMIN_TOKEN}", "Accept": "text/event-stream"}
        for beside in (harness.token("ada"), "x", ""):
            path = f"/api/v1/events?user=ada&token={beside}"
            assert secured.http(path, "HEAD", bearer)[0] == 401
        assert secured.http("/api/v1/events?user=ada", "HEAD", bearer)[0] == 200

    def test_the_admin_token_opens_no_socket(self, secured):
        with Raw(secured, open=False) as client:
            fields = [*harness.FIELDS, ("Authorization", f"Bearer {ADMIN_TOKEN}")]
            client.send(harness.request_head("/ws", fields))
            assert client.read_answer().status == 401

    def test_a_revoked_token_is_401(self, call):
        token = harness.token("rita", jti="rita-http")
        assert call("GET", "info", token=token)[0] == 200
        revoked = call("POST", "call/auth:revoke", {"jti": "rita-http"}, user="root", admin=True)
        assert revoked == (200, {"closed": 0})
        assert code(call("GET", "info", token=token)) == (401, "unauthorized")

    def test_an_idempotency_key_is_refused_where_it_means_nothing(self, server, name):
        room, key = name("room"), {"Idempotency-Key": '"k"'}
        calls = [("PUT", f"rooms/{room}", {}), ("GET", "info", None)]
        calls += [("POST", "call/chat:send", {"room": room, "text": "x"}), ("DELETE", f"rooms/{room}", None)]
        for method, path, payload in calls:
            answer = server.api(method, f"{path}?user=ada", payload, headers=key)
            assert code(answer) == (400, "bad_request"), path
            assert "Idempotency-Key" in answer[1]["error"]["message"]
        assert server.api("PUT", f"rooms/{room}?user=ada", {})[0] == 201, "nothing was done"

    def test_in_open_mode_a_name_is_enough_and_a_token_too_much(self, server, name):
        room = name("room")
        assert server.api("PUT", f"rooms/{room}?user=ada", {})[0] == 201
        assert code(server.api("GET", f"rooms/{room}")) == (401, "unauthorized")
        assert code(server.api("GET", f"rooms/{room}?user=a%20b")) == (400, "bad_request")
        assert code(server.api("GET", f"rooms/{room}?user=ada", token="x")) == (401, "unauthorized")
        assert code(server.api("GET", "connections?user=ada")) == (403, "forbidden")

    def test_in_open_mode_the_admin_token_makes_an_admin(self, module_servers):
        server = module_servers.parlor(env={"PARLOR_ADMIN_TOKEN": ADMIN_TOKEN})
        assert server.api("GET", "connections", token=ADMIN_TOKEN)[0] == 200

    def test_a_short_admin_token_is_an_error_at_the_start(self):
        run = harness.run_parlor("serve", "--data", ":memory:", env={"PARLOR_ADMIN_TOKEN": "short"})
        assert run.returncode == 2 and "PARLOR_ADMIN_TOKEN" in run.stderr


class TestPages:
    FOREIGN = "https://evil.example"
    ALLOWED = "https://app.example"

    def test_a_foreign_page_changes_nothing(self, secured, call, name):
        room = name("room")
        for origin in (self.FOREIGN, "null"):
            answer = call("PUT", f"rooms/{room}", {}, user="ada", headers={"Origin": origin})
            assert code(answer) == (403, "forbidden")
        assert code(call("GET", f"rooms/{room}", user="root", admin=True)) == (404, "no_such_room")

    def test_an_allowed_page_is_let_see_the_answers_and_the_errors(self, secured):
        headers = {"Origin": self.ALLOWED, "Authorization": f"Bearer {harness.token('ada')}"}
        for path, expected in (("info", 200), ("rooms/x", 403), ("nowhere", 404)):
            status, fields, _ = secured.http(f"/api/v1/{path}", headers=headers)
            assert (status, fields["access-control-allow-origin"]) == (expected, self.ALLOWED)
            assert fields["vary"] == "Origin"
            assert "access-control-allow-credentials" not in fields
        status, fields, _ = secured.http("/api/v1/info", headers={**headers, "Origin": self.FOREIGN})
        assert (status, "access-control-allow-origin" in fields) == (200, False)

    def test_a_browser_that_asks_first_is_told(self, secured):
        asks = {"Access-Control-Request-Method": "PUT"}
        path = "/api/v1/rooms/x"
        status, fields, body = secured.http(path, "OPTIONS", {**asks, "Origin": self.ALLOWED})
        assert (status, body) == (204, b"")
        assert fields["access-control-allow-origin"] == self.ALLOWED
        assert "PUT" in fields["access-control-allow-methods"]
        named = set(fields["access-control-allow-headers"].split(", "))
        assert named == {"Authorization", "Content-Type", "Idempotency-Key", "Last-Event-ID"}
        assert secured.http(path, "OPTIONS", {**asks, "Origin": self.FOREIGN})[0] == 403
        status, fields, _ = secured.http(path, "OPTIONS")
        assert (status, fields["allow"]) == (204, "GET, HEAD, PUT, DELETE, OPTIONS")


class TestPaths:
    def test_another_method_is_405_with_those_that_there_are(self, secured):
        for method, path, allowed in (
            ("POST", "info", "GET, HEAD, OPTIONS"),
            ("GET", "push", "POST, OPTIONS"),
            ("PATCH", "rooms/x", "GET, HEAD, PUT, DELETE, OPTIONS"),
        ):
            status, fields, body = secured.http(f"/api/v1/{path}", method)
            assert (status, fields["allow"]) == (405, allowed)
            assert json.loads(body)["error"]["code"] == "bad_request"

    @pytest.mark.parametrize("path", ["", "nowhere", "rooms/", "rooms/x/", "Info", "rooms//members"])
    def test_what_is_not_there_is_404(self, call, path):
        status, _ = call("GET", path, user="ada")
        assert status in (404, 400 if path.startswith("rooms/") else 404)

    def test_a_segment_is_decoded_once_and_judged_as_a_name(self, call, name):
        room = name("a:b@c")
        escaped = "".join(f"%{byte:02X}" for byte in room.encode())
        assert call("PUT", f"rooms/{escaped}", {}, user="ada")[1]["room"] == room
        assert call("GET", f"rooms/{room}", user="ada")[1]["room"] == room
        for wrong in ("a%2Fb", "a%20b", "a+b", "%2e%2e", "%ff", "%zz", "%", "x" * 65):
            assert code(call("GET", f"rooms/{wrong}", user="ada")) == (400, "bad_request"), wrong

    def test_unknown_parameters_mean_nothing_and_wrong_ones_are_400(self, call):
        assert call("GET", "rooms?x=y&x=z&after=a", user="ada")[0] == 200
        for wrong in ("limit=0", "limit=x", "limit=-1", "limit=1e3", "limit=", "after=a%20b", "open=1"):
            assert code(call("GET", f"rooms?{wrong}", user="ada")) == (400, "bad_request"), wrong

    def test_head_is_get_without_its_content(self, secured):
        headers = {"Authorization": f"Bearer {harness.token('ada')}"}
        status, fields, body = secured.http("/api/v1/info", "HEAD", headers)
        assert (status, body) == (200, b"") and int(fields["content-length"]) > 100


class TestRooms:
    def test_a_room_is_made_changed_and_ended(self, call, name):
        path = f"rooms/{name('room')}"
        status, made = call("PUT", path, {"title": "T", "members": ["bob"]}, user="ada")
        assert status == 201 and made.get("invited", ["bob"]) == ["bob"]
        assert call("PUT", f"{path}/members/bob", user="bob")[0] == 200
        assert call("GET", path, user="bob")[1]["title"] == "T"
        status, room = call("PUT", path, {"title": "U", "open": True}, user="ada")
        assert (status, room["title"], room["open"]) == (200, "U", True)
        assert code(call("PUT", path, {"title": "V"}, user="bob")) == (403, "forbidden")
        assert call("DELETE", path, user="ada")[0] == 200
        assert code(call("GET", path, user="ada")) == (403, "not_member")
        assert code(call("PUT", path, {}, user="ada")) == (409, "conflict")

    def test_members_come_and_go(self, call, online, name):
        room = name("room")
        path = f"rooms/{room}/members"
        bob = online("bob")
        call("PUT", f"rooms/{room}", {}, user="ada")
        status, _ = call("PUT", f"{path}/bob", user="ada")
        assert status == 202, "asked, and no member yet"
        assert bob.push("room:invited")["room"] == room
        assert call("PUT", f"{path}/bob", user="bob")[0] == 200
        assert bob.push("room:joined", where=lambda one: one["room"] == room)["user"] == "bob"
        status, joined = call("PUT", f"{path}/eve", user="root", admin=True)
        assert (status, joined["members"]) == (200, 3)
        assert bob.push("room:joined", where=lambda one: one["user"] == "eve")["by"] == "root"
        members = call("GET", path, user="bob")[1]["members"]
        assert [one["user"] for one in members] == ["ada", "bob", "eve"]
        assert call("DELETE", f"{path}/eve", user="eve")[0] == 200
        assert call("DELETE", f"{path}/bob", user="ada")[0] == 200
        assert bob.push("room:removed", where=lambda one: one["room"] == room)["by"] == "ada"
        assert code(call("DELETE", f"{path}/bob", user="ada")) == (404, "no_such_user")

    def test_a_log_is_read_in_pages(self, call, name):
        path = f"rooms/{name('room')}"
        call("PUT", path, {}, user="ada")
        for number in range(5):
            assert call("POST", f"{path}/messages", {"text": str(number)}, user="ada")[0] == 201
        page = call("GET", f"{path}/messages?after=2&limit=2", user="ada")[1]
        assert [one["payload"]["text"] for one in page["entries"]] == ["1", "2"]
        assert page["more"] is True and page["head"] == 6
        page = call("GET", f"{path}/messages?before=4", user="ada")[1]
        assert [one["payload"]["seq"] for one in page["entries"]] == [1, 2, 3]
        assert code(call("GET", f"{path}/messages?after=1&before=2", user="ada")) == (400, "bad_request")
        sent = call("POST", f"{path}/messages", {"room": "elsewhere", "text": "x"}, user="ada")[1]
        assert sent["room"] == path.split("/")[1], "the path says where"

    def test_a_log_that_is_gone_is_410(self, module_servers):
        server = module_servers.parlor(set={"retention.default": "2/all"})
        server.api("PUT", "rooms/short?user=ada", {})
        for _ in range(9):
            server.api("POST", "rooms/short/messages?user=ada", {"text": "x"})
        status, body = server.api("GET", "rooms/short/messages?user=ada&after=1")
        assert (status, body["error"]["code"]) == (410, "gone") and body["error"]["first"] > 2


class TestAdmins:
    def test_connections_are_listed_in_pages_and_ended(self, call, online):
        people = [online("lina"), online("lina"), online("omar")]
        listed, after = [], ""
        while True:
            path = f"connections?limit=1{after}"
            status, page = call("GET", path, user="root", admin=True)
            assert status == 200 and len(page["connections"]) == 1
            listed += page["connections"]
            if not page["more"]:
                break
            after = f"&after={listed[-1]['connection']}"
        users = sorted(one["user"] for one in listed)
        assert [user for user in users if user in ("lina", "omar")] == ["lina", "lina", "omar"]
        of_omar = next(one["connection"] for one in listed if one["user"] == "omar")
        assert of_omar == people[2].hello["connection"]
        assert call("DELETE", f"connections/{of_omar}", user="root", admin=True) == (200, {"closed": 1})
        assert people[2].push("error")["close"] == 4003
        assert people[2].closed() == 4003
        gone = call("DELETE", f"connections/{of_omar}", user="root", admin=True)
        assert code(gone) == (404, "no_such_connection")
        assert call("DELETE", "users/lina/connections", user="root", admin=True) == (200, {"closed": 2})
        assert [one.closed() for one in people[:2]] == [4003, 4003]
        assert call("DELETE", "users/lina/connections", user="root", admin=True) == (200, {"closed": 0})

    def test_users_are_listed_and_shown(self, call, online):
        nora = online("nora", name="Nora N.")
        status, shown = call("GET", "users/nora", token=ADMIN_TOKEN)
        assert status == 200
        assert shown.pop("since") > 0
        assert shown == {
            "user": "nora",
            "name": "Nora N.",
            "online": True,
            "connections": [nora.hello["connection"]],
        }
        listed = call("GET", "users?after=nor&limit=1", token=ADMIN_TOKEN)[1]["users"]
        assert [one["user"] for one in listed] == ["nora"]
        assert code(call("GET", "users/nobody-ever", token=ADMIN_TOKEN)) == (404, "no_such_user")
        as_user = call("GET", "users?after=nor&limit=1", user="nora")[1]
        assert as_user["users"][0]["user"] == "nora" and "version" in as_user

    def test_a_push_reaches_whom_it_names(self, call, online, name):
        room = name("room")
        ada, bob, eve = (online(user) for user in ("ada", "bob", "eve"))
        ada.join(room)
        bob.join(room)
        note = {"type": "app.note", "payload": {"n": 1.50}}
        for path, whom, told in (
            ("users/ada/push", {}, [ada]),
            (f"connections/{bob.hello['connection']}/push", {}, [bob]),
            ("push", {"users": ["ada", "bob", "ada", "nobody"]}, [ada, bob]),
            ("push", {"room": room}, [ada, bob]),
            ("push", {"all": True}, [ada, bob, eve]),
        ):
            status, answer = call("POST", path, {**note, **whom}, token=ADMIN_TOKEN)
            assert (status, answer) == (200, {"reached": len(told)}), path
            for chat in told:
                assert chat.push("app.note") == {"n": 1.5}
        for chat in (ada, bob, eve):
            assert chat.pushed("app.note") == []
        assert call("POST", "users/nobody/push", note, token=ADMIN_TOKEN) == (200, {"reached": 0})
        wires = call("POST", "push", {"all": True, "type": "chat:message"}, token=ADMIN_TOKEN)
        assert code(wires) == (400, "bad_request")
        large = {"all": True, "type": "x", "payload": {"text": "x" * 70_000}}
        assert code(call("POST", "push", large, token=ADMIN_TOKEN)) == (413, "too_large")

    def test_the_same_is_asked_on_a_socket(self, online):
        root, ada = online("root", admin=True), online("ada")
        assert root.request("admin:push", {"user": "ada", "type": "x"}) == {"reached": 1}
        assert ada.push("x") == {}
        assert root.request("admin:user", user="ada")["online"] is True
        assert root.request("admin:disconnect", user="ada") == {"closed": 1}
        assert ada.closed() == 4003


class TestRate:
    def test_a_users_calls_are_counted_over_all_connections(self, module_servers):
        server = module_servers.parlor(
            "--secret-file",
            module_servers.secret_file(),
            roomy=False,
            set={"limits.burst": 3, "limits.requests_per_second": 1},
            env={"PARLOR_ADMIN_TOKEN": ADMIN_TOKEN},
        )
        token = harness.token("ada")
        answers = [server.api("POST", "call/ping", {}, token)[0] for _ in range(4)]
        assert answers == [200, 200, 200, 429]
        headers = {"Authorization": f"Bearer {token}"}
        status, fields, body = server.http("/api/v1/info", headers=headers)
        error = json.loads(body)["error"]
        assert (status, fields["retry-after"], error["code"]) == (429, "1", "rate_limited")
        assert 0 < error["retry_after_ms"] <= 1_000
        assert server.api("POST", "call/ping", {}, harness.token("bob"))[0] == 200
        assert all(server.api("GET", "users", None, ADMIN_TOKEN)[0] == 200 for _ in range(9))
        time.sleep(1.1)
        assert server.api("POST", "call/ping", {}, token)[0] == 200


class TestHealth:
    def test_a_server_that_serves_is_ready(self, server):
        for path in ("/healthz", "/readyz"):
            status, fields, _ = server.http(path)
            assert (status, fields["cache-control"]) == (200, "no-store")
            assert server.http(path, "POST")[0] == 405


class TestDocumentation:
    def test_its_commands_answer_what_it_says(self, module_servers):
        curl = harness.tool("curl", "on Debian: apt-get install curl")
        text = (harness.ROOT / "docs/http.md").read_text()
        blocks = re.findall(r"^```console\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
        assert len(blocks) == 2
        for block in blocks:
            server = module_servers.parlor(env={"PARLOR_ADMIN_TOKEN": ADMIN_TOKEN})
            said = re.findall(r"^\$ curl (.*)\n(.*)\n", block, re.MULTILINE)
            assert said
            for command, expected in said:
                command = command.replace(":8080", f":{server.port}")
                answer = subprocess.run(
                    f"{curl} --silent --fail-with-body --max-time 5 {command}",
                    shell=True,
                    env={"PARLOR_ADMIN_TOKEN": ADMIN_TOKEN},
                    capture_output=True,
                    check=True,
                )
                now = re.compile(rb'"ts":\d+')
                assert json.loads(now.sub(b'"ts":0', answer.stdout)) == json.loads(
                    now.sub(b'"ts":0', expected.encode())
                ), command
