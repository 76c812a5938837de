"""Server-Sent Events: what a WebSocket is pushed, over HTTP, and without a gap after a cut."""

import http.client
import json
import random
import select
import signal
import socket
import threading
import time
import urllib.parse
from dataclasses import dataclass, field

import pytest

import harness
from backend import until
from harness import PATIENCE, Chat, Raw
from test_streams import opened, publisher, start

CONFIG = """
[auth]
anonymous = true

[limits]
requests_per_second = 5000
burst = 5000

[streams]
state = { keep = "latest", publish = true, read = "public" }
news = { keep = 5, publish = true }
more = { keep = 100, publish = true, read = "public" }
long = { keep = 200, publish = true, priority = "low" }
urgent = { keep = 100, publish = true, priority = "high" }
kept = { keep = 100, publish = true, durable = true }
inner = { keep = "latest", publish = true, read = "admin" }
cam = { keep = "latest", publish = true, binary = true, read = "public", max_bytes = 400_000 }
"""


@dataclass
class Event:
    """An event, and what the client would say that it has seen last."""

    name: str
    data: str
    last_id: str
    retry: int | None = None
    message: dict = field(default_factory=dict)


class Events:
    """An `EventSource` that reads as WHATWG HTML §9.2.6 says."""

    def __init__(
        self,
        server,
        path="/api/v1/events",
        last=None,
        headers=None,
        receive_buffer=None,
        **query,
    ):
        head = {"Accept": "text/event-stream", **(headers or {})}
        if last:
            head["Last-Event-ID"] = last
        self.http = server.http_connection()
        if receive_buffer:
            self.http.sock = socket.socket()
            self.http.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
            self.http.sock.connect((harness.HOST, server.port))
            if server.tls:
                self.http.sock = server.tls.wrap_socket(self.http.sock, server_hostname=harness.HOST)
        target = path + ("?" + urllib.parse.urlencode(query) if query else "")
        self.http.request("GET", target, headers=head)
        self.response = self.http.getresponse()
        self.status = self.response.status
        self.last = last or ""
        self.retry = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()

    def end(self):
        self.response.close()
        self.http.close()

    def next(self):
        """The next event; None at the end."""
        name, data = "message", []
        while True:
            line = self.response.readline()
            if not line:
                return None
            line = line.decode().rstrip("\n")
            if not line:
                if data:
                    break
                name = "message"
                continue
            key, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if key == "event":
                name = value
            elif key == "data":
                data.append(value)
            elif key == "id":
                assert len(line.encode()) < 512
                self.last = value
            elif key == "retry":
                self.retry = int(value)
        text = "\n".join(data)
        return Event(name, text, self.last, self.retry, json.loads(text))

    def await_(self, name, where=lambda payload: True):
        """The payload of the next event of this name."""
        while True:
            event = self.next()
            assert event is not None, f"it ended before {name}"
            if event.name == name and where(event.message["payload"]):
                assert event.message["type"] == name
                return event.message["payload"]

    def entries(self, count, seen=None):
        """The next entries of logs, as (room, seq); what comes again is known by its `seq`."""
        seen = {} if seen is None else seen
        found = 0
        while found < count:
            event = self.next()
            assert event is not None, f"it ended after {found} of {count}"
            payload = event.message["payload"]
            if event.name.startswith(("chat:message", "room:joined")) and "seq" in payload:
                room, seq = payload["room"], payload["seq"]
                if seq > seen.get(room, 0):
                    assert seq == seen.get(room, 0) + 1, f"a hole before {room} {seq}"
                    seen[room] = seq
                    found += 1
        return seen

    def body(self):
        return json.loads(self.response.read())


@pytest.fixture(scope="module")
def server(module_servers):
    return start(module_servers, CONFIG, set={"heartbeat.interval_ms": 400})


def events(server, user="ada", **how):
    return Events(server, headers={"Authorization": f"Bearer {harness.token(user)}"}, **how)


class TestEvents:
    def test_the_first_event_says_what_hello_says(self, server):
        with opened(server, "ann") as ann:
            ann.join("first")
            with events(server, "ann") as source:
                assert source.status == 200
                assert source.response.getheader("Content-Type") == "text/event-stream"
                assert source.response.getheader("Cache-Control") == "no-store"
                first = source.next()
                assert first.name == "connected"
                hello = first.message["payload"]
                assert set(hello) == set(ann.hello)
                assert hello["user"] == ann.hello["user"]
                assert hello["limits"] == ann.hello["limits"]
                assert [room["room"] for room in hello["rooms"]] == ["first"]
                assert hello["http"]["events"] == "/api/v1/events"
                assert 500 <= first.retry <= 5_000

    def test_the_same_comes_by_both(self, server, name):
        room = name("both")
        with opened(server, "amy") as amy, opened(server, "ben") as ben:
            amy.join(room)
            ben.join(room)
            with events(server, "amy") as source:
                source.await_("connected")
                amy.settle()
                ben.say(room, "one\ntwo\r\nthree")
                ben.request("chat:react", room=room, seq=3, emoji="+1")
                ben.request("chat:edit", room=room, seq=3, text="1")
                amy.say(room, "mine", cid="c-1")
                ben.request("chat:typing", room=room, typing=True)
                ben.request("chat:read", room=room, seq=4)
                wanted = ["chat:message", "chat:reacted", "chat:edited", "chat:typing", "chat:read"]
                by_socket = [(kind, amy.push(kind)) for kind in wanted]
                by_socket.append(("chat:message", amy.push("chat:message")))
                seen = {}
                while len(seen) < len(by_socket):
                    event = source.next()
                    if event.message["payload"].get("room") == room:
                        seen[event.data] = event
                        assert event.name == event.message["type"]
                by_events = [
                    (event.message["type"], event.message["payload"]) for event in seen.values()
                ]
                key = lambda one: json.dumps(one, sort_keys=True)
                assert sorted(by_events, key=key) == sorted(by_socket, key=key)

    def test_who_listens_is_online_and_counts_as_a_connection(self, server):
        with opened(server, "cat") as cat:
            cat.join("here")
            with events(server, "cid") as source:
                connection = source.await_("connected")["connection"]
                cat.push("user:online", where=lambda push: "cid" in push["users"])
                admin = harness.token("root", admin=True)
                user = server.api("GET", "users/cid", token=admin)[1]
                assert user["connections"] == [connection]

    def test_they_are_kept_alive(self, server):
        with events(server, "dan") as source:
            source.await_("connected")
            begun = time.monotonic()
            source.await_("keepalive")
            source.await_("keepalive")
            assert 0.5 < time.monotonic() - begun < 3

    def test_streams_come_along(self, server):
        with publisher(server) as pat:
            pat.request("publish", stream="state", data={"n": 1})
            with events(server, "eve", streams="state,news") as source:
                streams = source.await_("subscribed")["streams"]
                assert [one["stream"] for one in streams] == ["state", "news"]
                assert streams[0]["snapshot"] == {"n": 1}
                pat.request("publish", stream="news", data="x")
                event = source.await_("event")
                assert (event["stream"], event["data"]) == ("news", "x")

    def test_they_are_kept_alive_at_every_heartbeat_also_when_there_is_more(self, server):
        with publisher(server) as pat, events(server, "dee", streams="state") as source:
            source.await_("subscribed")
            found = []
            end = time.monotonic() + 1.6
            while time.monotonic() < end:
                pat.request("publish", stream="state", data=0)
                while not found or found[-1] != "event":
                    found.append(source.next().name)
                found.append("")
            assert 2 <= found.count("keepalive") <= 6

    def test_pushes_reach_them_and_they_are_told_to_go(self, server):
        admin = harness.token("root", admin=True)
        with events(server, "fay") as source:
            connection = source.await_("connected")["connection"]
            push = {"type": "app:ding", "payload": {"n": 1}}
            status, answer = server.api("POST", "users/fay/push", push, token=admin)
            assert (status, answer) == (200, {"reached": 1})
            assert source.await_("app:ding") == {"n": 1}
            server.api("DELETE", f"connections/{connection}", token=admin)
            assert source.await_("error")["close"] == 4003
            assert source.next() is None

    @pytest.mark.parametrize("number, code", [(signal.SIGINT, 1001), (signal.SIGTERM, 1012)])
    def test_at_the_servers_end_they_are_told(self, servers, number, code):
        server = start(servers, CONFIG)
        with events(server, "guy") as all_events, Events(server, "/api/v1/streams/more") as one:
            all_events.await_("connected")
            one.await_("subscribed")
            server.signal(number)
            for source in (all_events, one):
                assert source.await_("error")["close"] == code
                assert source.next() is None

    def test_who_may_not_watch_any_more_is_told_and_ended(self, servers):
        server = start(servers, CONFIG)
        with Events(server, "/api/v1/streams/more") as source:
            source.await_("subscribed")
            server.config.write_text(CONFIG.replace('publish = true, read = "public" }\nlong', 'publish = true }\nlong'))
            server.signal(signal.SIGHUP)
            assert source.await_("error")["close"] == 4003
            assert source.next() is None

    def test_a_user_has_so_many_connections_for_one_stream_too(self, servers):
        server = start(servers, CONFIG, set={"limits.connections_per_user": 3})
        token = harness.token("hob")
        with Events(server, "/api/v1/streams/more", token=token) as one, Chat(server, token=token) as hob:
            one.await_("subscribed")
            with Events(server, "/api/v1/streams/news", token=token) as two:
                two.await_("subscribed")
                for path in ("/api/v1/streams/more", "/api/v1/events"):
                    with Events(server, path, token=token) as source:
                        assert source.await_("error")["close"] == 4004
                        assert source.next() is None
                with Chat(server, token=token, hello=False) as more:
                    assert more.push("error")["close"] == 4004
            # Others have their own.
            with Events(server, "/api/v1/streams/more", token=harness.token("ida")) as other:
                other.await_("subscribed")
            hob.request("ping")
            until(lambda: "replayed" not in self.first(server, token))

    def first(self, server, token):
        with Events(server, "/api/v1/streams/more", token=token) as source:
            event = source.next()
            return "replayed" if event.name == "error" else event.name

    def test_a_token_that_is_revoked_or_ends_ends_them(self, server):
        with opened(server, "root", admin=True) as root:
            token = harness.token("gus", jti="gus-1")
            with Events(server, token=token) as source:
                source.await_("connected")
                root.request("auth:revoke", jti="gus-1")
                assert source.await_("error")["close"] == 4201
                assert source.next() is None

    def test_head_says_what_get_would(self, server):
        connection = server.http_connection()
        headers = {"Authorization": f"Bearer {harness.token('hal')}"}
        connection.request("HEAD", "/api/v1/events", headers=headers)
        response = connection.getresponse()
        assert (response.status, response.read()) == (200, b"")
        assert response.getheader("Content-Type") == "text/event-stream"
        connection.close()

    def test_one_that_does_not_stop_talking_is_cut(self, server):
        with Raw(server, open=False) as raw:
            raw.send(
                b"GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer "
                + harness.token("ivy").encode()
                + b"\r\n\r\n"
            )
            assert raw.read_head().status == 200
            try:
                for _ in range(200):
                    raw.send(b"GET / HTTP/1.1\r\n" * 64)
                    time.sleep(0.005)
            except OSError:
                return
            pytest.fail("it was listened to for ever")

    @pytest.mark.parametrize(
        "method, path, headers, status",
        [
            ("GET", "/api/v1/events", {}, 200),
            ("GET", "/api/v1/events", {"Authorization": "Bearer x"}, 401),
            ("GET", "/api/v1/events?token=x", {}, 401),
            ("GET", "/api/v1/events?token=ticket.x", {}, 401),
            ("GET", "/api/v1/events", {"Origin": "https://evil.example"}, 403),
            ("GET", "/api/v1/events?streams=nothing", {}, 404),
            ("GET", "/api/v1/events?streams=news", {}, 401),
            ("GET", "/api/v1/events?streams=inner", {"user": "jo"}, 403),
            ("GET", "/api/v1/events?streams=cam", {"user": "jo"}, 400),
            ("GET", "/api/v1/events?streams=%ff", {"user": "jo"}, 400),
            ("GET", "/api/v1/events?streams=a%20b", {"user": "jo"}, 400),
            ("POST", "/api/v1/events", {"user": "jo"}, 405),
            ("GET", "/api/v1/ticket", {"user": "jo"}, 405),
            ("POST", f"/api/v1/ticket?token={harness.token('jo')}", {}, 401),
            ("POST", f"/api/v1/ticket?token={harness.token('jo')}", {"Authorization": "Basic x"}, 401),
            ("POST", "/api/v1/ticket", {}, 401),
            ("GET", "/api/v1/streams/state", {"Accept": "text/event-stream"}, 200),
            ("GET", "/api/v1/streams/news", {"Accept": "text/event-stream"}, 401),
            ("GET", "/api/v1/streams/no", {"Accept": "text/event-stream"}, 404),
            ("GET", "/api/v1/streams/cam", {"Accept": "text/event-stream"}, 400),
            ("GET", "/api/v1/streams/state?multipart=1", {}, 400),
            ("GET", "/api/v1/streams/state?max_rate=x", {"Accept": "text/event-stream"}, 400),
            ("GET", "/api/v1/streams/state?max_rate=0", {"Accept": "text/event-stream"}, 400),
            ("GET", "/api/v1/streams/state?filter=x", {"Accept": "text/event-stream"}, 400),
            ("GET", "/api/v1/streams/state?filter=1,2", {"Accept": "text/event-stream"}, 400),
        ],
    )
    def test_who_may_not_listen_is_told_before_anything_begins(
        self, server, method, path, headers, status
    ):
        headers = dict(headers)
        if user := headers.pop("user", None):
            headers["Authorization"] = f"Bearer {harness.token(user)}"
        connection = server.http_connection()
        connection.request(method, path, headers=headers)
        response = connection.getresponse()
        assert response.status == status
        if status != 200:
            assert json.loads(response.read())["error"]["code"]
        connection.close()

    @pytest.mark.parametrize(
        "accept, kind",
        [
            ("application/json, text/event-stream;q=0", "application/json"),
            ("text/event-stream; Q=0.000, */*", "application/json"),
            ("text/event-stream;q=0.001", "text/event-stream"),
        ],
    )
    def test_what_has_the_weight_0_is_not_accepted(self, server, accept, kind):
        with Events(server, "/api/v1/streams/state", headers={"Accept": accept}) as source:
            assert source.status == 200
            assert source.response.headers["Content-Type"] == kind

    @pytest.mark.parametrize("rate", ["01", "00", "1e1", "-1", "99999999999999999999"])
    def test_a_rate_that_is_none_is_said_to_be_none(self, server, rate):
        with Events(server, "/api/v1/streams/state", max_rate=rate) as source:
            assert (source.status, source.body()["error"]["code"]) == (400, "bad_request")

    def test_streams_that_cannot_be_watched_do_not_end_the_rooms(self, servers, name):
        family = '"sensor:{id}" = { keep = "latest", publish = true }'
        config = CONFIG.replace("[streams]", f"[streams]\n{family}")
        server = start(servers, config, set={"limits.streams": 9})
        with opened(server, "ned") as ned, opened(server, "oda") as oda:
            ned.join("tea")
            oda.request("subscribe", stream="sensor:a")
            with events(server, "ned", streams="sensor:b") as source:
                source.await_("connected")
                refusal = source.await_("error")
                assert refusal["code"] == "quota" and "close" not in refusal
                ned.say("tea", "still here")
                assert source.await_("chat:message")["text"] == "still here"
            # Alone it has nothing more to say, and is not to come back at once.
            with events(server, "ned", path="/api/v1/streams/sensor:b") as source:
                assert source.await_("error")["code"] == "quota"
                assert source.retry == 30_000
                assert source.next() is None

    def test_in_open_mode_no_page_elsewhere_listens(self, servers):
        server = servers.parlor()
        with Events(server, user="ada", headers={"Sec-Fetch-Site": "cross-site"}) as source:
            assert source.status == 403
        with Events(server, user="ada", headers={"Sec-Fetch-Site": "same-origin"}) as source:
            assert source.await_("connected")["user"]["id"] == "ada"

    def test_too_many_of_a_user_are_refused_in_words(self, servers):
        limits = {"limits.connections_per_user": 1}
        server = start(servers, CONFIG, set=limits)
        with events(server, "kim") as one, events(server, "kim") as two:
            one.await_("connected")
            assert two.next().message["payload"]["close"] == 4004
            assert two.next() is None

    @pytest.mark.parametrize(
        "path, fields, status, code",
        [
            ("/ws?token=x", {}, 401, "unauthorized"),
            ("/ws/nowhere", {}, 404, "not_found"),
            ("/ws", {"Origin": "https://elsewhere.example"}, 403, "forbidden"),
            ("/ws", {"Sec-WebSocket-Version": "8"}, 426, "unsupported"),
            ("/ws", {"Sec-WebSocket-Key": "x"}, 400, "bad_request"),
            ("/ws", {"Cookie": "x" * 20_000}, 431, "bad_request"),
            ("/ws", {"Bad Name": "x"}, 400, "bad_request"),
        ],
    )
    def test_every_refused_upgrade_names_the_way_that_is_left(
        self, server, path, fields, status, code
    ):
        with Raw(server, path, open=False) as raw:
            raw.send(harness.request_head(path, tuple({**dict(harness.FIELDS), **fields}.items())))
            self.names_the_way_that_is_left(raw.read_answer(), status, code)

    @pytest.mark.parametrize(
        "method, headers, status",
        [
            ("GET", (), 426),
            ("POST", (), 405),
            ("GET", (("Origin", "https://evil.example"),), 426),
            ("GET", (("Authorization", "Bearer x"),), 426),
        ],
    )
    def test_who_asks_for_no_upgrade_where_websockets_are_is_told_so_too(
        self, server, method, headers, status
    ):
        fields = (("Host", "localhost"), *headers)
        with Raw(server, open=False) as raw:
            raw.send(harness.request_head("/ws", fields, method))
            self.names_the_way_that_is_left(raw.read_answer(), status, "bad_request")

    def test_one_too_many_from_an_address_is_told_so_too(self, servers):
        server = start(servers, CONFIG, set={"limits.connections_per_address": 1})
        # Either of them may take the place of what asked whether the server is there.
        with Raw(server, open=False) as one, Raw(server, open=False) as other:
            answered, _, _ = select.select([one.socket, other.socket], [], [], PATIENCE)
            raw = one if one.socket in answered else other
            self.names_the_way_that_is_left(raw.read_answer(), 429, "rate_limited")

    def test_one_too_many_guest_is_told_so_too(self, servers):
        server = start(servers, CONFIG, set={"limits.guests": 1})
        path = "/ws?anonymous=1"
        with Chat(server, anonymous=1), Raw(server, path, open=False) as raw:
            raw.send(harness.request_head(path))
            self.names_the_way_that_is_left(raw.read_answer(), 429, "rate_limited")

    def names_the_way_that_is_left(self, answer, status, code):
        body = json.loads(answer.body)
        assert (answer.status, body["error"]["code"]) == (status, code)
        assert body["http"]["events"] == "/api/v1/events"
        assert "text/event-stream" in answer.fields["link"]


class TestTickets:
    def ticket(self, server, user="tim", **claims):
        token = harness.token(user, **claims)
        status, answer = server.api("POST", "ticket", token=token)
        assert status == 200
        return answer["ticket"]

    def test_a_ticket_lets_in_once(self, server):
        ticket = self.ticket(server)
        with Events(server, token=ticket) as source:
            assert source.await_("connected")["user"]["id"] == "tim"
        with Events(server, token=ticket) as source:
            assert source.status == 401
            assert source.body()["error"]["code"] == "unauthorized"

    def test_head_says_whether_a_ticket_is_good_and_does_not_use_it_up(self, server):
        def head(ticket, streams=""):
            return server.http(f"/api/v1/events?token={ticket}&streams={streams}", "HEAD")[0]

        ticket = self.ticket(server)
        assert [head("ticket.bogus"), head(ticket, "inner"), head(ticket)] == [401, 403, 200]
        with Events(server, token=ticket) as source:
            assert source.status == 200
        assert head(ticket) == 401

    def test_a_ticket_has_the_rights_of_its_owner(self, server):
        with Events(server, token=self.ticket(server), streams="inner") as source:
            assert source.status == 403
        ticket = self.ticket(server, "uma", admin=True)
        with Events(server, token=ticket, streams="inner") as source:
            source.await_("subscribed")

    def test_a_ticket_of_a_revoked_token_is_none(self, server):
        ticket = self.ticket(server, "vic", jti="vic-1")
        with opened(server, "root", admin=True) as root:
            root.request("auth:revoke", jti="vic-1")
        with Events(server, token=ticket) as source:
            assert source.status == 401

    def test_nobody_takes_all_tickets(self, servers):
        limits = {"limits.requests_per_second": 1, "limits.burst": 3}
        server = start(servers, CONFIG.replace("5000", "1"), set=limits)
        token = harness.token("wes")
        status = [server.api("POST", "ticket", token=token)[0] for _ in range(4)]
        assert status == [200, 200, 200, 429]
        assert server.http("/api/v1/ticket", "POST", {"Authorization": f"Bearer {token}"})[1][
            "retry-after"
        ].isdigit()
        assert server.api("POST", "ticket", token=harness.token("another"))[0] == 200

    def test_tickets_are_calls_by_the_limits_of_their_owner(self, servers):
        server = start(servers, CONFIG + '\n[limits.users]\nbot = { requests_per_second = 1, burst = 2 }\n')
        status = [server.api("POST", "ticket", token=harness.token("bot"))[0] for _ in range(3)]
        assert status == [200, 200, 429]

    def test_a_ticket_is_no_token_elsewhere(self, server):
        ticket = self.ticket(server)
        assert server.api("GET", "info", token=ticket)[0] == 401
        with Raw(server, open=False) as raw:
            raw.send(harness.request_head(f"/ws?token={ticket}"))
            assert raw.read_answer().status == 401


class TestResume:
    def test_a_cut_leaves_no_hole(self, server, name):
        rooms = [name("cut") for _ in range(3)]
        with opened(server, "wes") as wes, opened(server, "xia") as xia:
            for room in rooms:
                wes.join(room)
                xia.join(room)
            with events(server, "wes") as source:
                heads = {
                    room["room"]: room["head"] for room in source.await_("connected")["rooms"]
                }
                for n in range(9):
                    xia.say(rooms[n % 3], f"{n}")
                seen = source.entries(9, dict(heads))
                last = source.last
            assert last.startswith(wes.hello["epoch"] + ".")
            for n in range(300):
                xia.say(rooms[n % 3], f"away {n}")
            with events(server, "wes", last=last) as source:
                assert source.next().name == "connected"
                resumed = source.await_("resumed")
                assert resumed["refused"] == {}
                assert set(resumed["rooms"]) == set(rooms)
                xia.say(rooms[0], "live")
                source.entries(301, seen)
            assert all(seen[room] >= 100 for room in rooms)

    def test_streams_that_come_along_go_on_too(self, server, name):
        room = name("along")
        with publisher(server) as pat, opened(server, "ole") as ole:
            ole.join(room)
            with events(server, "ole", streams="more,state") as source:
                subscribed = source.await_("subscribed")["streams"]
                head = subscribed[0]["seq"]
                for n in range(3):
                    pat.request("publish", stream="more", data=n)
                assert [source.await_("event")["seq"] for _ in range(3)] == [head + 1, head + 2, head + 3]
                # What is in a room stands for the streams, too.
                ole.say(room, "1")
                source.entries(1, {room: 1})
                last = source.last
            for n in range(3, 6):
                pat.request("publish", stream="more", data=n)
            pat.request("publish", stream="state", data={"n": 7})
            # In another order, and with one that was not there before.
            with events(server, "ole", last=last, streams="state,more,long") as source:
                subscribed = source.await_("subscribed")["streams"]
                told = {one["stream"]: one for one in subscribed}
                assert told["more"]["replayed"] and "snapshot" not in told["more"]
                assert not told["long"]["replayed"]
                found = []
                while len(found) < 3:
                    event = source.await_("event")
                    if event["stream"] == "more":
                        found.append(event["data"])
                assert found == [3, 4, 5]
                # Its own `id` stands for them.
                last = source.last
            with events(server, "ole", last=last, streams="more") as source:
                assert source.await_("subscribed")["streams"][0]["replayed"]
                pat.request("publish", stream="more", data="next")
                assert source.await_("event")["seq"] == head + 7

    def test_what_is_large_is_the_same_for_all_and_what_follows_says_where_they_are(self, server):
        with publisher(server) as pat, events(server, "lea", streams="more") as source:
            head = source.await_("subscribed")["streams"][0]["seq"]
            before = source.last
            assert before
            pat.request("publish", stream="more", data="x" * 5_000)
            assert source.await_("event")["seq"] == head + 1
            # It has no `id`: who is cut here gets it again, and nothing is missed.
            assert source.last == before
            pat.request("publish", stream="more", data="small")
            assert source.await_("event")["seq"] == head + 2
            assert source.last != before
            with events(server, "lea", streams="more", last=before) as again:
                assert again.await_("subscribed")["streams"][0]["replayed"]
                assert [again.await_("event")["seq"] for _ in range(2)] == [head + 1, head + 2]

    def test_a_stream_whose_log_does_not_reach_back_says_so(self, server):
        with publisher(server) as pat:
            with events(server, "pia", streams="news") as source:
                source.await_("subscribed")
                pat.request("publish", stream="news", data="seen")
                source.await_("event")
                last = source.last
            for n in range(50):
                pat.request("publish", stream="news", data=n)
            with events(server, "pia", last=last, streams="news") as source:
                (news,) = source.await_("subscribed")["streams"]
                assert news["replayed"] is False
                assert [event["data"] for event in news["snapshot"]][-1] == 49

    def test_a_stream_that_began_anew_says_so(self, servers):
        data = servers.directory() / "parlor.db"
        server = start(servers, CONFIG, data=data)
        with publisher(server) as pat, events(server, "quy", streams="news,kept") as source:
            source.await_("subscribed")
            for stream in ("news", "kept"):
                pat.request("publish", stream=stream, data="seen")
                source.await_("event")
            last = source.last
            pat.request("publish", stream="kept", data="not seen")
        server.stop()
        server = start(servers, CONFIG, data=data)
        with events(server, "quy", last=last, streams="news,kept") as source:
            news, kept = source.await_("subscribed")["streams"]
            assert news["replayed"] is False
            assert kept["replayed"] is True
            assert source.await_("event")["data"] == "not seen"

    def test_guests_go_on_too(self, servers):
        server = start(servers, CONFIG, set={"auth.anonymous": "true"})
        with publisher(server) as pat:
            with Events(server, streams="more") as source:
                source.await_("subscribed")
                pat.request("publish", stream="more", data="seen")
                source.await_("event")
                last = source.last
            pat.request("publish", stream="more", data="missed")
            with Events(server, last=last, streams="more") as source:
                assert source.await_("subscribed")["streams"][0]["replayed"]
                assert source.await_("event")["data"] == "missed"

    def test_an_event_that_went_before_others_stands_for_none_of_them(self, server):
        "A high one overtakes what waits: whoever is cut then has it, and not the others."
        who = {"token": harness.token("rex"), "streams": "urgent,long"}
        with publisher(server) as pat:
            with Events(server, receive_buffer=4096, **who) as source:
                source.await_("subscribed")
                # More than the kernel takes for one who does not read: some of it waits.
                for n in range(150):
                    pat.request("publish", stream="long", data=[n, "x" * 40_000])
                pat.request("publish", stream="urgent", data="now")
                seen = 0
                while (event := source.await_("event"))["stream"] == "long":
                    seen = event["seq"]
                assert 0 < seen < 150
                last = source.last
            with Events(server, last=last, **who) as source:
                long = source.await_("subscribed")["streams"][1]
                assert long["replayed"]
                assert source.await_("event")["seq"] <= seen + 1

    def test_the_rooms_come_back_although_the_streams_do_not(self, servers, name):
        server = start(servers, CONFIG, set={"limits.tail_entries": 10})
        room = name("back")
        token = harness.token("tom", limits={"subscriptions": 1})
        with Chat(server, token=token) as tom:
            tom.join(room)
            with Events(server, token=token, streams="state,news") as source:
                assert source.await_("error")["code"] == "quota"
                tom.say(room, "1")
                seen = source.entries(1, {room: 1})
                last = source.last
            # More than is at hand: it is looked up in the store where that was.
            for n in range(50):
                tom.say(room, f"{n}")
            with Events(server, token=token, last=last, streams="state,news") as source:
                source.entries(50, seen)

    def test_of_one_stream_every_id_leads_on_or_says_that_it_does_not(self, servers):
        server = start(servers, CONFIG)
        path = "/api/v1/streams/more"
        with publisher(server) as pat:
            with Events(server, path) as source:
                # Nothing was there yet, and that is a place.
                source.await_("subscribed")
                last = source.last
            for n in range(3):
                pat.request("publish", stream="more", data=n)
            with Events(server, path, last=last) as source:
                assert source.await_("subscribed")["streams"][0]["replayed"] is True
                assert [source.await_("event")["data"] for _ in range(3)] == [0, 1, 2]
                epoch = source.last.split(".")[0]
            with events(server, "uma", streams="more") as source:
                source.await_("subscribed")
                of_all = source.last
            for wrong in ("x", "\u00e9", "9" * 50, f"{epoch}.-1", f"{epoch}.+1", f"{epoch}.1.x", of_all):
                with Events(server, path, last_event_id=wrong) as source:
                    (told,) = source.await_("subscribed")["streams"]
                    assert told["replayed"] is False and len(told["snapshot"]) == 3, wrong

    def test_an_id_that_knows_no_stream_is_a_gap_in_all(self, server):
        with publisher(server) as pat, events(server, "val") as source:
            source.await_("connected")
            last = source.last
            pat.request("publish", stream="more", data=1)
        assert last.count(".") == 1
        with events(server, "val", last=last, streams="more") as source:
            assert source.await_("subscribed")["streams"][0]["replayed"] is False

    def test_another_priority_changes_no_order(self, servers):
        server = start(servers, CONFIG)
        path = "/api/v1/streams/long"
        token = harness.token("xia")
        with publisher(server) as pat:
            with Events(server, path, receive_buffer=4096, token=token) as source:
                source.await_("subscribed")
                for n in range(150):
                    pat.request("publish", stream="long", data=[n, "x" * 40_000])
                server.config.write_text(CONFIG.replace('priority = "low"', 'priority = "high"'))
                server.signal(signal.SIGHUP)
                until(lambda: "changed \"long\"" in server.output())
                pat.request("publish", stream="long", data=[150])
                seqs = [source.await_("event")["seq"] for _ in range(151)]
                assert seqs == list(range(1, 152))

    def test_the_address_may_say_it_too(self, server, name):
        room = name("address")
        with opened(server, "yan") as yan:
            yan.join(room)
            with events(server, "yan") as source:
                source.await_("connected")
                yan.say(room, "1")
                source.entries(1, {room: 1})
                last = source.last
            yan.say(room, "2")
            with events(server, "yan", last_event_id=last) as source:
                source.entries(1, {room: 2})

    @pytest.mark.parametrize("last", ["x", "x.1", "other.17", "é", "9" * 600, "."])
    def test_a_position_that_nobody_knows_is_refused_and_not_guessed(self, server, name, last):
        room = name("unknown")
        with opened(server, "zoe") as zoe:
            zoe.join(room)
            zoe.say(room, "1")
            with Events(server, token=harness.token("zoe"), last_event_id=last) as source:
                resumed = source.await_("resumed")
                assert resumed["rooms"] == {}
                assert resumed["refused"][room]["head"] == 2
                assert resumed["refused"][room]["code"] in ("epoch_changed", "gone")
                zoe.say(room, "2")
                # From the head that was told it is live.
                assert source.await_("chat:message")["seq"] == 3

    def test_what_is_not_kept_any_more_is_told(self, servers, name):
        server = start(servers, CONFIG, set={"retention.default": "10/all"})
        with opened(server, "abe") as abe:
            abe.join("short")
            with events(server, "abe") as source:
                source.await_("connected")
                abe.say("short", "1")
                source.entries(1, {"short": 1})
                last = source.last
            for n in range(40):
                abe.say("short", f"{n}")
            with events(server, "abe", last=last) as source:
                refused = source.await_("resumed")["refused"]["short"]
                assert refused["code"] == "gone"
                assert refused["head"] == 42
                abe.say("short", "after")
                assert source.await_("chat:message")["seq"] == 43

    def test_a_restart_is_a_cut_like_others(self, servers):
        directory = servers.directory()
        server = start(servers, CONFIG, data=directory)
        with opened(server, "bea") as bea:
            bea.join("kept")
            for n in range(700):
                bea.send("chat:send", {"room": "kept", "text": f"{n}"})
            bea.settle()
            with events(server, "bea") as source:
                source.await_("connected")
                bea.say("kept", "seen")
                seen = source.entries(1, {"kept": 701})
                last = source.last
            for n in range(700):
                bea.send("chat:send", {"room": "kept", "text": f"more {n}"})
            bea.settle()
        server.stop()
        server = start(servers, CONFIG, data=directory)
        with events(server, "bea", last=last) as source:
            source.entries(700, seen)

    def test_a_thousand_rooms_are_one_short_position(self, servers):
        limits = {"limits.rooms": 1000}
        server = start(servers, CONFIG, set=limits)
        with opened(server, "cal") as cal, opened(server, "deb") as deb:
            for n in range(1000):
                cal.send("room:join", {"room": f"r{n}"})
                deb.send("room:join", {"room": f"r{n}"})
                if n % 100 == 99:
                    cal.settle()
                    deb.settle()
            seen = {f"r{n}": 2 for n in range(1000)}
            with events(server, "cal") as source:
                source.await_("connected")
                deb.say("r0", "x")
                source.entries(1, seen)
                last = source.last
            assert len(last) < 64
            for n in range(1000):
                deb.send("chat:send", {"room": f"r{n}", "text": "away"})
            deb.settle()
            with events(server, "cal", last=last) as source:
                source.entries(1000, seen)

    @pytest.mark.seconds(60)
    def test_random_cuts_while_others_write_leave_no_hole(self, server, name):
        """Five rooms, three writers, a reader who is cut at random bytes and comes back."""
        chance = random.Random(7)
        rooms = [name("random") for _ in range(5)]
        with opened(server, "eli") as eli:
            for room in rooms:
                eli.join(room)
        seen = {room: 1 for room in rooms}
        written = {room: 1 for room in rooms}
        lock = threading.Lock()

        def write(number):
            chance = random.Random(number)
            with opened(server, f"writer{number}") as writer:
                for room in rooms:
                    writer.join(room)
                    with lock:
                        written[room] += 1
                for _ in range(300):
                    room = chance.choice(rooms)
                    writer.say(room, "x" * chance.choice([1, 100, 3000]))
                    with lock:
                        written[room] += 1

        with events(server, "eli") as source:
            source.await_("connected")
            last = source.last
        writers = [threading.Thread(target=write, args=(n,)) for n in range(3)]
        for writer in writers:
            writer.start()
        while True:
            is_over = not any(writer.is_alive() for writer in writers)
            with events(server, "eli", last=last) as source:
                source.await_("connected")
                left = chance.randrange(1, 120)
                while left and (not is_over or seen != written):
                    event = source.next()
                    payload = event.message["payload"]
                    if event.name in ("chat:message", "room:joined"):
                        room, seq = payload["room"], payload["seq"]
                        assert seq <= seen[room] + 1, f"a hole before {room} {seq}"
                        seen[room] = max(seen[room], seq)
                    last = source.last
                    left -= 1
            if is_over and seen == written:
                break


class TestSlow:
    @pytest.mark.plain  # Python decrypts 45 MB too slowly
    def test_who_does_not_read_is_fed_later_and_costs_no_memory(self, servers):
        """As for a WebSocket: the cursor stays behind, nothing piles up, and nothing is missed."""
        server = start(servers, CONFIG)
        with opened(server, "ida") as ida, opened(server, "joe") as joe:
            ida.join("slow")
            joe.join("slow")
            slow = harness.Raw(server, open=False, receive_buffer=16 * 1024).socket
            token = harness.token("ida")
            slow.sendall(f"GET /api/v1/events?token={token} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
            joe.say("slow", "warm")
            before = server.memory()
            for _ in range(150):
                for _ in range(20):
                    joe.send("chat:send", {"room": "slow", "text": "x" * 15_000})
                joe.settle()
                while ida.messages("slow"):
                    pass
            # 45 MB were said; an outbox holds 1 MiB, and SQLite keeps 8 MiB of pages.
            assert server.memory() - before < 20 << 20
            slow.settimeout(PATIENCE)
            seqs, name = [], None
            for line in slow.makefile("rb"):
                if line.startswith(b"event: "):
                    name = line[7:].strip()
                elif line.startswith(b"data: ") and name == b"chat:message":
                    seqs.append(json.loads(line[6:])["payload"]["seq"])
                    if seqs[-1] == 3003:
                        break
            assert seqs == list(range(3, 3004))
            slow.close()

    def test_one_whose_log_is_gone_is_ended_and_told_when_it_comes_back(self, servers):
        server = start(servers, CONFIG, set={"retention.default": "50/all"})
        with opened(server, "kay") as kay, opened(server, "leo") as leo:
            kay.join("short")
            leo.join("short")
            with Events(server, token=harness.token("kay")) as source:
                source.await_("connected")
                leo.say("short", "seen")
                source.entries(1, {"short": 2})
                last = source.last
                for _ in range(40):
                    for _ in range(20):
                        leo.send("chat:send", {"room": "short", "text": "x" * 15_000})
                    leo.settle()
                while (event := source.next()) is not None and event.name != "error":
                    pass
                assert event is None or event.message["payload"]["close"] == 4101
            with events(server, "kay", last=last) as source:
                assert source.await_("resumed")["refused"]["short"]["code"] == "gone"


class TestStream:
    def source(self, server, name="state", last=None, **query):
        return Events(server, f"/api/v1/streams/{name}", last=last, **query)

    def test_the_snapshot_and_then_every_change(self, server):
        with publisher(server) as pat:
            pat.request("publish", stream="state", data={"n": 1})
            with self.source(server) as source:
                assert source.await_("connected")["user"]["anonymous"] is True
                (one,) = source.await_("subscribed")["streams"]
                assert (one["stream"], one["snapshot"]) == ("state", {"n": 1})
                pat.request("publish", stream="state", data={"n": 2})
                event = source.await_("event")
                assert (event["data"], event["prev"], event["seq"]) == (
                    {"n": 2},
                    one["seq"],
                    one["seq"] + 1,
                )
                assert source.last == f"{one['epoch']}.{event['seq']}"

    def test_a_log_is_gone_on_with(self, server):
        with publisher(server) as pat:
            pat.request("publish", stream="news", data=0)
            with self.source(server, "news", token=harness.token("fox")) as source:
                source.await_("subscribed")
                pat.request("publish", stream="news", data=1)
                assert source.await_("event")["data"] == 1
                last = source.last
            for n in range(2, 6):
                pat.request("publish", stream="news", data=n)
            with self.source(server, "news", last, token=harness.token("fox")) as source:
                (one,) = source.await_("subscribed")["streams"]
                assert one["replayed"] is True
                assert [source.await_("event")["data"] for _ in range(4)] == [2, 3, 4, 5]
            for n in range(6):
                pat.request("publish", stream="news", data=n)
            with self.source(server, "news", last, token=harness.token("fox")) as source:
                (one,) = source.await_("subscribed")["streams"]
                assert one["replayed"] is False
                assert [event["data"] for event in one["snapshot"]] == [1, 2, 3, 4, 5]

    def test_filters_and_rates_are_asked_for_in_the_address(self, server):
        with publisher(server) as pat:
            pat.request("publish", stream="state", data={"n": 0})
            wanted = json.dumps({"/n": {"ge": 5}})
            with self.source(server, filter=wanted, max_rate=1000) as source:
                source.await_("subscribed")
                for n in (1, 7, 2):
                    pat.request("publish", stream="state", data={"n": n})
                assert source.await_("event")["data"] == {"n": 7}

    def test_without_that_header_it_is_the_newest_value(self, server):
        with publisher(server) as pat:
            pat.request("publish", stream="state", data={"n": 3})
            status, answer = server.api("GET", "streams/state")
            assert (status, answer["data"]) == (200, {"n": 3})

    def test_pictures_replace_each_other(self, server):
        first, second = b"\xff\xd8\xff" + b"1" * 300_000, b"\x89PNG\r\n\x1a\n" + b"2" * 10
        with publisher(server) as pat:
            pat.socket.send(b"\x03cam" + first)
            pat.request("ping")
            path = "/api/v1/streams/cam?multipart=1"
            with Events(server, path, headers={"Accept": "image/*"}) as source:
                kind = source.response.getheader("Content-Type")
                assert kind == "multipart/x-mixed-replace; boundary=parlor"
                assert source.response.readline() == b"--parlor\r\n"
                assert self.part(source.response) == ("image/jpeg", first)
                pat.socket.send(b"\x03cam" + second)
                assert self.part(source.response) == ("image/png", second)

    def test_a_slow_reader_of_pictures_skips(self, server):
        with publisher(server) as pat:
            slow = harness.Raw(server, open=False, receive_buffer=64 * 1024).socket
            slow.sendall(b"GET /api/v1/streams/cam?multipart=1 HTTP/1.1\r\nHost: localhost\r\n\r\n")
            for n in range(200):
                pat.socket.send(b"\x03cam\xff\xd8\xff" + bytes([n]) * 100_000)
                pat.request("ping")
            slow.settimeout(PATIENCE)
            reader = slow.makefile("rb")
            while reader.readline() != b"\r\n":
                pass
            assert reader.readline() == b"--parlor\r\n"
            snapshot = self.part(reader)[1]
            numbers = [snapshot[3] if snapshot[:3] == b"\xff\xd8\xff" else 0]
            while numbers[-1] != 199:
                numbers.append(self.part(reader)[1][3])
            assert numbers == sorted(numbers)
            assert len(numbers) < 150, "it was sent nearly all"
            slow.close()

    def part(self, reader):
        fields = {}
        while (line := reader.readline()) != b"\r\n":
            key, _, value = line.decode().partition(":")
            fields[key.lower()] = value.strip()
        data = reader.read(int(fields["content-length"]))
        assert reader.readline() == b"\r\n"
        assert reader.readline() == b"--parlor\r\n"
        return fields["content-type"], data


class TestEnd:
    def test_a_restart_says_nothing_between_pictures(self, servers):
        server = start(servers, CONFIG)
        with publisher(server) as pat:
            pat.socket.send(b"\x03cam\xff\xd8\xff")
            pat.request("ping")
        with Events(server, "/api/v1/streams/cam?multipart=1") as source:
            server.signal(15)
            assert b"draining" not in source.response.read()

    def test_a_restart_spreads_the_return(self, servers):
        server = start(servers, CONFIG)
        with events(server, "gil") as one, events(server, "hew") as two:
            for source in (one, two):
                source.await_("connected")
            server.signal(15)
            for source in (one, two):
                notice = source.await_("notice")
                assert notice["code"] == "draining"
                assert 500 <= source.retry <= 500 + notice["spread_ms"]
                while event := source.next():
                    payload = event.message["payload"]
                    assert event.name.startswith("user:") or payload.get("close") == 1012
            assert one.retry != two.retry
            assert server.process.wait(5) == 0
