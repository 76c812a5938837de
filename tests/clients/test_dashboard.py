"""The server's own streams, which the dashboard shows: how it is, and what admins did; and the dashboard's files."""

import json
import time

import pytest

import harness
from harness import Chat

ADMIN_TOKEN = "an admin's token of these tests, long enough"
VITALS, AUDIT = "parlor:vitals", "parlor:audit"
#: An event comes every 5 s.
PATIENCE = 20


class Place:
    def __init__(self, servers):
        self.servers = servers
        self.data = servers.directory()
        self.secret = servers.secret_file()
        self.server = None
        self.start()

    def start(self):
        self.server = self.servers.parlor(
            "--secret-file", self.secret,
            "--set", 'streams={ "ticker" = { publish = true }, "cpu:{id}" = { publish = true, command = ["echo", "{id}"], every_ms = 1000 } }',
            data=self.data,
            set={"limits.rooms": 2},
            env={"PARLOR_ADMIN_TOKEN": ADMIN_TOKEN},
        )  # fmt: skip

    def api(self, method, path, payload=None, token=ADMIN_TOKEN):
        return self.server.api(method, path, payload, token=token)

    def call(self, kind, token=ADMIN_TOKEN, **payload):
        return self.api("POST", f"call/{kind}", payload, token=token)

    def chat(self, user, **claims):
        return Chat(self.server, token=harness.token(user, **claims))

    def audit(self, after=0, count=0):
        """What is in the audit log after so many, oldest first: so many, once they are stored."""
        deadline = time.monotonic() + PATIENCE
        while True:
            with self.chat("root", admin=True) as root:
                told = root.request("subscribe", stream=AUDIT)["streams"][0]
            found = [event["data"] for event in told.get("snapshot", [])][after:]
            if len(found) >= count:
                return found
            assert time.monotonic() < deadline, found
            time.sleep(0.05)


@pytest.fixture(scope="module")
def place(module_servers):
    return Place(module_servers)


def next_vitals(client):
    return client.push("event", seconds=PATIENCE)["data"]


class TestVitals:
    def test_they_are_for_admins_and_nobody_publishes_to_them(self, place):
        user, admin = harness.token("ada"), harness.token("root", admin=True)
        for stream in (VITALS, AUDIT):
            assert place.call("stream:get", token=user, stream=stream)[0] == 403
            assert place.call("stream:get", token=admin, stream=stream)[0] == 200
            assert place.server.http(f"/api/v1/streams/{stream}", headers={"Accept": "text/event-stream"})[0] == 401
            headers = {"Accept": "text/event-stream", "Authorization": f"Bearer {user}"}
            assert place.server.http(f"/api/v1/streams/{stream}", headers=headers)[0] == 403
            for token in (user, admin, ADMIN_TOKEN):
                status, answer = place.call("publish", token=token, stream=stream, data={})
                assert (status, answer["error"]["code"]) == (403, "forbidden")
            assert place.call("admin:pause", stream=stream)[1]["error"]["code"] == "conflict"
            with place.chat("ada") as ada, place.chat("root", admin=True) as root:
                assert ada.refused("subscribe", stream=stream) == "forbidden"
                assert root.request("subscribe", stream=stream)["streams"][0]["stream"] == stream

    def test_no_list_has_them(self, place):
        assert [one["stream"] for one in place.api("GET", "streams")[1]["streams"]] == ["ticker"]
        ready = json.loads(place.server.http("/readyz")[2])
        assert [one["stream"] for one in ready["streams"]] == ["cpu:{id}", "ticker"]
        metrics = place.server.http("/metrics", headers={"Authorization": f"Bearer {ADMIN_TOKEN}"})[2].decode()
        assert "parlor:" not in metrics

    def test_they_tell_what_has_happened_since(self, place):
        with place.chat("root", admin=True) as root, place.chat("eve") as eve:
            root.request("subscribe", stream=VITALS)
            first = next_vitals(root)
            assert first["websockets"] >= 2 and first["online"] >= 2
            eve.request("room:create", room="den")
            for number in range(20):
                eve.request("chat:send", room="den", text=f"number {number}")
            eve.request("room:create", room="den2")
            assert eve.refused("room:create", room="den3") == "quota"
            seen = [next_vitals(root), next_vitals(root)]
            both = lambda name: sum(one[name] for one in seen)
            assert both("received") >= 23 and both("requests") >= 22 and both("received_bytes") > 1_000
            for times in ("commits", "deliveries"):
                told = [one[times] for one in seen if one[times]["count"] > 0]
                assert sum(one["count"] for one in told) >= 10, times
                assert all(0 < one["p50_us"] <= one["p99_us"] <= 10_000_000 for one in told)
            assert sum(one["limits"].get("rooms", 0) for one in seen) == 1
            assert both("refused") >= 1 and both("store_failures") == 0
            last = seen[-1]
            assert 4_000 < last["ms"] < 15_000 and last["rooms"] >= 2
            assert 0 < last["resident_bytes"] < last["memory_bytes"]
            taken, size = last["pools"]["connections"]
            assert 2 <= taken < size and last["pools"]["rooms"][0] == last["rooms"]

    def test_the_metrics_have_memory_and_delivery(self, place):
        metrics = place.server.http("/metrics", headers={"Authorization": f"Bearer {ADMIN_TOKEN}"})[2].decode()
        value = lambda name: float(next(line.split()[-1] for line in metrics.splitlines() if line.startswith(f"{name} ")))
        assert value("parlor_resident_memory_bytes") == pytest.approx(place.server.memory(), rel=0.2)
        assert value("parlor_delivery_seconds_count") > 0

    def test_in_open_mode_everybody_may_watch_them(self, servers):
        server = servers.parlor()
        with Chat(server, "ada") as ada:
            assert ada.request("subscribe", stream=VITALS)["streams"][0]["stream"] == VITALS
            assert next_vitals(ada)["online"] == 1
            assert ada.refused("publish", stream=VITALS, data={}) == "forbidden"
            assert ada.request("stream:list")["streams"] == []

    @pytest.mark.parametrize("name", ["parlor:vitals", "parlor:audit", "parlor:x", "parlor:{id}"])
    def test_nobody_declares_such_a_stream(self, name):
        done = harness.run_parlor("serve", "--data", ":memory:", "--set", f'streams={{ "{name}" = {{ publish = true }} }}')
        assert done.returncode == 2 and "the server's own" in done.stderr


def outcome(client, id):
    """The code of a refusal."""
    with pytest.raises(harness.Refused) as refused:
        client.answer(id)
    return refused.value.payload["code"]


class TestAudit:
    def test_each_action_of_an_admin_is_in_it_and_nothing_else(self, place):
        before = len(place.audit())
        with place.chat("ada") as ada, place.chat("bob") as bob:
            ada.request("room:create", room="attic")
            ada.request("room:update", room="attic", title="The attic")
            ada.request("chat:send", room="attic", text="hello")
            listed = place.call("admin:connections")[1]["connections"]
            connection = next(one["connection"] for one in listed if one["user"] == "ada")
            assert place.call("admin:add", room="attic", user="bob")[0] == 200
            assert place.call("admin:push", users=["ada", "bob"], type="app:news", payload={"secret": "no"})[1] == {"reached": 2}
            assert place.call("admin:push", all=True, type="app:news")[0] == 200
            assert place.call("admin:pause", stream="cpu:{id}")[0] == 200
            assert place.call("admin:resume", stream="cpu:{id}")[0] == 200
            assert place.call("room:update", room="attic", title="Up")[0] in (200, 403, 404)
            assert place.call("admin:disconnect", connection="9-9")[0] == 404
            assert place.call("admin:disconnect", connection=connection)[0] == 200
            assert place.call("auth:revoke", user="bob")[0] == 200
            assert bob.closed() == 4201
        entries = place.audit(before, 9)
        assert all(one["by"] == ":admin" and one["address"] == harness.HOST for one in entries)
        told = [{name: value for name, value in one.items() if name not in ("by", "address")} for one in entries]
        assert told[:5] == [
            {"type": "admin:add", "room": "attic", "user": "bob"},
            {"type": "admin:push", "push": "app:news", "users": 2},
            {"type": "admin:push", "push": "app:news", "all": True},
            {"type": "admin:pause", "stream": "cpu:{id}"},
            {"type": "admin:resume", "stream": "cpu:{id}"},
        ]
        assert told[5]["type"] == "room:update" and told[5]["room"] == "attic"
        assert told[6:] == [
            {"type": "admin:disconnect", "connection": "9-9", "refused": "no_such_connection"},
            {"type": "admin:disconnect", "connection": connection},
            {"type": "auth:revoke", "user": "bob"},
        ]

    def test_an_admin_on_a_websocket_is_named(self, place):
        before = len(place.audit())
        with place.chat("root", admin=True) as root, place.chat("tim"):
            assert root.request("admin:disconnect", user="tim") == {"closed": 1}
            assert root.refused("admin:push", type="no colon" * 20) == "bad_request"
        assert place.audit(before, 2) == [
            {"by": "root", "address": harness.HOST, "type": "admin:disconnect", "user": "tim"},
            {"by": "root", "address": harness.HOST, "type": "admin:push", "refused": "bad_request"},
        ]

    def test_what_an_admin_does_to_others_by_any_request_is_in_it(self, place):
        before = len(place.audit())
        with place.chat("ada") as ada:
            seq = ada.request("chat:send", to="bob", text="hello")["seq"]
        room = "dm:ada:bob"
        # A number that is no double hides nothing, and members of other requests are not written down.
        body = f'{{"room":"{room}","seq":{seq},"x":1e999,"user":"nobody"}}'.encode()
        headers = {"Authorization": f"Bearer {ADMIN_TOKEN}", "Content-Type": "application/json"}
        assert place.server.http("/api/v1/call/chat:delete", "POST", headers, body)[0] == 200
        assert place.call("room:create", room="made", members=["ada", "bob"])[0] in (200, 409)
        # In somebody's name it is still the admin's.
        status = place.api("POST", "call/room:update?user=carl", {"room": "made", "owner": "bob"})[0]
        told = [{k: v for k, v in one.items() if k != "address"} for one in place.audit(before, 3)]
        assert told[0] == {"by": ":admin", "type": "chat:delete", "room": room, "seq": seq}
        assert told[1]["members"] == 2 and told[1]["type"] == "room:create"
        assert told[2]["by"] == ":admin" and told[2]["as"] == "carl" and told[2]["owner"] == "bob", status

    def test_a_request_that_waits_for_an_earlier_one_is_in_it_with_its_outcome(self, place):
        with place.chat("root", admin=True) as root:
            before = len(place.audit())
            root.request("room:create", room="busy")
            # It is written down behind its reply.
            before += len(place.audit(before, 1))
            for number in range(10):
                root.send("chat:send", room="busy", text=f"{number}")
                root.send("room:delete", id=f"d{number}", room="nowhere")
            codes = [outcome(root, f"d{number}") for number in range(10)]
        assert set(codes) == {"no_such_room"}
        assert [one.get("refused") for one in place.audit(before, 10)] == codes

    def test_refusals_do_not_push_out_what_was_done(self, place):
        before = len(place.audit())
        for _ in range(400):
            assert place.call("admin:disconnect", connection="9-9")[0] == 404
        time.sleep(1.5)
        place.call("admin:push")
        deadline = time.monotonic() + PATIENCE
        entries = place.audit(before, 50)
        while entries[-1]["type"] != "admin:push":
            assert time.monotonic() < deadline
            time.sleep(0.1)
            entries = place.audit(before, 50)
        assert len(entries) < 200
        assert sum(one.get("left_out", 0) for one in entries) + len(entries) == 401

    def test_full_streams_of_others_leave_it_alone(self, servers):
        secret = servers.secret_file()
        server = servers.parlor(
            "--secret-file", secret,
            "--set", 'streams={ "{a}:{b}" = { publish = true, keep = 1000, webhook = { path = "/hooks/{a}/{b}", secret_env = "HOOK" } } }',
            set={"limits.all_streams_bytes": 65_536},
            env={"PARLOR_ADMIN_TOKEN": ADMIN_TOKEN, "HOOK": "a secret of this webhook, long enough"},
        )  # fmt: skip

        def call(kind, token=ADMIN_TOKEN, **payload):
            return server.api("POST", f"call/{kind}", payload, token=token)

        for number in range(20):
            assert call("admin:push", all=True, type=f"app:{number}")[0] == 200
        for number in range(40):
            user = harness.token(f"u{number}", publish=["*"])
            for kind in range(4):
                assert call("publish", user, stream=f"s:{number}{kind}", data="x" * 1_500)[0] in (200, 429, 507, 503)
            # Names of the server's own fit no family.
            assert call("publish", user, stream=VITALS, data={})[0] == 403
            assert call("publish", user, stream="parlor:x", data={})[0] in (403, 404)
        assert server.http("/hooks/parlor/audit", "POST", {}, b"{}")[0] == 404
        assert call("admin:push", all=True, type="app:last")[0] == 200
        deadline = time.monotonic() + PATIENCE
        # The last one is in it once it is stored.
        while call("stream:get", stream=AUDIT)[1]["seq"] < 21:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        with Chat(server, token=harness.token("root", admin=True)) as root:
            found = [one["data"]["push"] for one in root.request("subscribe", stream=AUDIT)["streams"][0]["snapshot"]]
            assert found == [*(f"app:{number}" for number in range(20)), "app:last"]
            root.request("subscribe", stream=VITALS)
            next_vitals(root)

    def test_it_survives_a_restart_and_is_in_the_log(self, place):
        number = len(place.audit())
        assert place.call("admin:push", all=True, type="app:last")[0] == 200
        before = place.audit(0, number + 1)
        place.server.kill()
        said = place.server.output()
        assert 'admin: {"by":":admin"' in said and '"push":"app:last"' in said
        place.start()
        assert place.audit() == before and before[-1]["push"] == "app:last"


class TestFiles:
    @pytest.mark.parametrize("path", ["/dashboard", "/dashboard/"])
    def test_the_page_is_there_for_everybody_and_takes_nothing_from_elsewhere(self, place, path):
        status, fields, body = place.server.http(path)
        assert (status, fields["content-type"]) == (200, "text/html; charset=utf-8")
        assert "default-src 'none'" in fields["content-security-policy"]
        text = body.decode()
        names = [part.split('"')[0] for mark in ('src="', 'href="') for part in text.split(mark)[1:]]
        for name in names:
            if not name.startswith("#"):
                assert name.startswith("/") and not name.startswith("//")
                assert place.server.http(name)[0] == 200, name
        assert b"Leon Sorokin" in place.server.http("/dashboard/uplot.js")[2], "with its licence"
