"""Guests, and streams' own paths: for those who have not said who they are, or speak nothing."""

import json
import re
import time

import pytest

import harness
from harness import Chat
from test_events import Events
from test_streams import opened, publisher, start, subscribed
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

CONFIG = """
[auth]
anonymous = true

[streams]
state = { publish = true, read = "public", path = "/ws/state", type = "state_update" }
log = { keep = 3, publish = true, read = "public", path = "/ws/log" }
inner = { publish = true, path = "/ws/inner" }
cam = { publish = true, binary = true, read = "public", path = "/ws/cam" }
"adw-state:{id}" = { publish = true, read = "public", path = "/ws/adw-state/{id}" }
"""


@pytest.fixture(scope="module")
def server(module_servers):
    limits = {"limits.guest_requests_per_second": 1_000, "limits.guest_burst": 1_000}
    return start(module_servers, CONFIG, set=limits)


def plain(server, path, **how):
    """A client that knows nothing of parlor."""
    return connect(f"ws://{harness.HOST}:{server.port}{path}", proxy=None, **how)


def told(socket):
    return json.loads(socket.recv(harness.PATIENCE))


class TestPath:
    def test_the_snapshot_and_then_every_change_comes_by_itself(self, server):
        with publisher(server) as pat:
            pat.request("publish", stream="state", data={"n": 1})
            with plain(server, "/ws/state") as one:
                first = told(one)
                assert (first["type"], first["data"]) == ("state_update", {"n": 1})
                assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", first["timestamp"])
                assert set(first) == {"type", "data", "timestamp"}
                pat.request("publish", stream="state", data={"n": 2})
                assert told(one)["data"] == {"n": 2}

    def test_who_asks_for_no_upgrade_is_told_what_it_is(self, server):
        status, fields, body = server.http("/ws/state")
        assert status == 426 and "text/event-stream" in fields["link"]
        assert json.loads(body)["http"]["events"] == "/api/v1/events"
        assert server.http("/ws/state", "POST", body=b"x")[0] == 404

    def test_a_restart_is_a_close_and_no_word(self, module_servers):
        server = start(module_servers, CONFIG)
        with plain(server, "/ws/state") as one:
            server.signal(15)
            with pytest.raises(ConnectionClosed) as closed:
                one.recv(harness.PATIENCE)
            assert closed.value.rcvd.code == 1012

    def test_of_a_log_all_that_is_kept_comes(self, server):
        with publisher(server) as pat:
            for number in range(5):
                pat.request("publish", stream="log", data=number)
            with plain(server, "/ws/log") as one:
                assert [told(one)["data"] for _ in range(3)] == [2, 3, 4]
                pat.request("publish", stream="log", data=5)
                after = told(one)
                assert (after["type"], after["data"]) == ("log", 5)

    def test_a_family_has_a_path_for_each(self, server):
        with publisher(server) as pat:
            with plain(server, "/ws/adw-state/7") as seven, plain(server, "/ws/adw-state/8") as eight:
                pat.request("publish", stream="adw-state:8", data="eight")
                assert told(eight)["data"] == "eight"
                pat.request("publish", stream="adw-state:7", data="seven")
                assert told(seven)["data"] == "seven"

    def test_bytes_come_as_they_are(self, server):
        with publisher(server) as pat:
            pat.socket.send(b"\x03cam\x00\xff")
            pat.request("ping")
            with plain(server, "/ws/cam") as one:
                assert one.recv(harness.PATIENCE) == b"\x00\xff"

    def test_what_they_send_is_ignored_until_it_is_too_much(self, servers):
        server = start(
            servers, CONFIG, roomy=False, set={"limits.requests_per_second": 1, "limits.burst": 5}
        )
        with publisher(server) as pat, plain(server, "/ws/state") as one:
            for text in ("hello", '{"type":"subscribe","id":1}', b"\x00"):
                one.send(text)
            pat.request("publish", stream="state", data=1)
            assert told(one)["data"] == 1
            with pytest.raises(ConnectionClosed) as closed:
                for _ in range(200):
                    one.send("more")
                one.recv(harness.PATIENCE)
            assert closed.value.rcvd.code == 4103

    def test_who_may_not_watch_is_refused_before_the_upgrade(self, server):
        for path, status in (
            ("/ws/inner", 401),
            ("/ws/inner?token=none", 401),
            (f"/ws/inner?token={harness.token('eve', subscribe=['state'])}", 403),
            ("/ws/adw-state/", 404),
            ("/ws/other", 404),
        ):
            with pytest.raises(InvalidStatus) as refused:
                plain(server, path)
            assert refused.value.response.status_code == status, path
        with publisher(server) as pat:
            pat.request("publish", stream="inner", data=1)
        with plain(server, f"/ws/inner?token={harness.token('eve')}") as eve:
            assert told(eve)["data"] == 1

    def test_without_guests_a_token_may_still_come_as_the_first_message(self, servers):
        server = start(servers, CONFIG.replace("anonymous = true", ""))
        with publisher(server) as pat, plain(server, "/ws/state") as one:
            pat.request("publish", stream="state", data=1)
            one.send(json.dumps({"type": "auth", "payload": {"token": harness.token("eve")}}))
            assert told(one)["data"] == 1


class TestGuest:
    def test_a_guest_sees_what_is_public_and_nothing_else(self, server):
        with Chat(server, anonymous=1) as guest, publisher(server) as pat:
            user = guest.hello["user"]
            assert user["anonymous"] is True and user["id"].startswith(":guest-")
            assert guest.hello["rooms"] == []
            known = subscribed(guest, "state")
            pat.request("publish", stream="state", data={"new": known["seq"]})
            assert guest.push("event")["data"] == {"new": known["seq"]}
            assert guest.refused("subscribe", stream="inner") == "forbidden"
            assert guest.refused("publish", stream="state", data=1) == "forbidden"
            names = [one["stream"] for one in guest.request("stream:list")["streams"]]
            assert "state" in names and "inner" not in names
            assert "ts" in guest.request("ping")
            assert [one["stream"] for one in guest.request("info")["streams"]]
            assert guest.refused("info", after="no room's name") == "bad_request"
            for kind in ("room:join", "chat:send", "presence:list", "room:list", "auth:revoke"):
                assert guest.refused(kind, room="lobby") == "forbidden"
            assert guest.refused("queue.leave") == "unknown_type"

    def test_no_two_guests_have_one_name_and_nobody_sees_them(self, server):
        with opened(server, "ada") as ada, Chat(server, anonymous=1) as one, Chat(
            server, anonymous=1
        ) as other:
            assert one.hello["user"]["id"] != other.hello["user"]["id"]
            users = [user["user"] for user in ada.request("presence:list")["users"]]
            assert "ada" in users and not any(user.startswith("guest") for user in users)

    def test_over_http_they_see_what_is_public(self, server):
        assert server.api("GET", "streams/state")[0] == 200
        assert server.api("GET", "streams/inner")[0] == 403
        assert server.api("POST", "streams/state", 1)[0] == 403
        assert server.api("GET", "rooms")[0] == 403

    def test_without_the_key_nobody_is_a_guest(self, servers):
        server = start(servers, CONFIG.replace("anonymous = true", "anonymous = false"))
        with Chat(server, hello=False, anonymous=1) as nobody:
            assert nobody.refused("subscribe", stream="state") == "unauthorized"
        assert server.api("GET", "streams/state")[0] == 401

    def test_guests_have_limits_of_their_own(self, servers):
        limits = {"limits.guests": 2, "limits.guest_requests_per_second": 1, "limits.guest_burst": 3}
        server = start(servers, CONFIG, set=limits)
        with Chat(server, anonymous=1) as one, Chat(server, anonymous=1), opened(server, "eve"):
            with pytest.raises(InvalidStatus) as refused:
                plain(server, "/ws/state")
            assert refused.value.response.status_code == 429
            for _ in range(3):
                one.request("ping")
            assert one.refused("ping") == "rate_limited"
        # Their places are free again.
        deadline = time.monotonic() + harness.PATIENCE
        while not comes_in(server):
            assert time.monotonic() < deadline, "guests who have gone still count"
            time.sleep(0.02)


def comes_in(server):
    try:
        with plain(server, "/ws/state"):
            return True
    except InvalidStatus:
        return False


class TestAdmins:
    "Whoever is listed can be ended, and told what they would understand."

    @pytest.fixture
    def listed(self, server):
        def listed():
            status, page = server.api("GET", "connections", token=harness.token("root", admin=True))
            assert status == 200 and not page["more"]
            return {one["user"]: one for one in page["connections"]}

        return listed

    def test_guests_and_watchers_are_ended(self, server, listed):
        root = harness.token("root", admin=True)
        eve = harness.token("eve-who-watches")
        with (
            Chat(server, anonymous=1) as guest,
            plain(server, "/ws/state") as nobody,
            plain(server, f"/ws/inner?token={eve}") as inner,
            Events(server, "/api/v1/streams/state") as state,
            Events(server, streams="state") as all_events,
        ):
            of_events = [one.await_("connected")["connection"] for one in (state, all_events)]
            name = guest.hello["user"]["id"]
            here = listed()
            assert (here[name]["kind"], here[name].get("stream")) == ("websocket", None)
            of_eve = here["eve-who-watches"]
            assert (of_eve["kind"], of_eve["stream"]) == ("websocket", "inner")
            of_nobody = next(
                one
                for one in here.values()
                if (one["kind"], one.get("stream")) == ("websocket", "state")
            )
            ended = server.api("DELETE", f"users/{name}/connections", token=root)
            assert ended == (200, {"closed": 1})
            assert guest.closed() == 4003
            for path in ("users/eve-who-watches/connections", f"connections/{of_nobody['connection']}"):
                assert server.api("DELETE", path, token=root) == (200, {"closed": 1}), path
            for one in (inner, nobody):
                # Not a word of a protocol that they do not speak.
                with pytest.raises(ConnectionClosed) as closed:
                    while True:
                        assert told(one)["type"] in ("state_update", "inner")
                assert closed.value.rcvd.code == 4003
            for connection, source in zip(of_events, (state, all_events)):
                ended = server.api("DELETE", f"connections/{connection}", token=root)
                assert ended == (200, {"closed": 1})
                assert source.await_("error")["close"] == 4003
                assert source.next() is None

    def test_pushes_reach_guests_and_not_who_speaks_nothing(self, server, listed):
        root = harness.token("root", admin=True)
        note = {"type": "app.note", "payload": {"n": 1}}
        with (
            Chat(server, anonymous=1) as guest,
            plain(server, "/ws/state") as nobody,
            Events(server, streams="state") as events,
            publisher(server) as pat,
        ):
            of_events = events.await_("connected")
            name = guest.hello["user"]["id"]
            of_nobody = next(
                one for one in listed().values() if one.get("stream") == "state"
            )["connection"]
            for path, whom, reached in (
                ("push", {"all": True}, 3),
                ("push", {"users": [name, of_events["user"]["id"]]}, 2),
                (f"users/{name}/push", {}, 1),
                (f"connections/{guest.hello['connection']}/push", {}, 1),
                (f"connections/{of_events['connection']}/push", {}, 1),
                (f"connections/{of_nobody}/push", {}, 0),
                (f"users/:guest-{of_nobody}/push", {}, 0),
                (f"users/guest-{of_nobody}/push", {}, 0),
            ):
                answer = server.api("POST", path, {**note, **whom}, token=root)
                assert answer == (200, {"reached": reached}), path
            for _ in range(4):
                assert guest.push("app.note") == {"n": 1}
            for _ in range(3):
                assert events.await_("app.note") == {"n": 1}
            pat.request("publish", stream="state", data="next")
            while (one := told(nobody))["data"] != "next":
                assert one["type"] == "state_update"
