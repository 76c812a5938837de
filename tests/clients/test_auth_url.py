"""`auth.url`: the application's backend says who sends a request, by cookie, password or whatever it knows."""

import base64
import contextlib
import json

import pytest

import harness
from backend import Backend, signature, until
from harness import FIELDS, TEXT, Chat, Raw, frame, request_head
from test_events import Events

FAST = {"backend.retries": 1, "backend.backoff_ms": 5, "backend.circuit_failures": 2, "backend.circuit_open_ms": 1_000}
HOOK_SECRET = "what they and we alone know, in enough bytes"
STREAMS = '{ open = { publish = true }, mine = { publish = true, path = "/ws/mine" } }'


def people(asked):
    """A backend with sessions and passwords."""
    cookie, basic = asked.fields.get("cookie", ""), asked.fields.get("authorization", "")
    if cookie.startswith("session="):
        name = cookie.removeprefix("session=")
        return 200, {"user": {"id": name, "name": name.title(), "admin": name == "boss"}, "publish": ["mine*"]}
    if basic == "Basic " + base64.b64encode(b"ada:secret").decode():
        return 200, {"user": {"id": "ada"}, "subscribe": ["open"]}
    if basic == "Basic banned":
        return 403, {"why": "banned"}
    return 401, {"why": "who are you?"}, {"WWW-Authenticate": 'Basic realm="us"', "Content-Type": "application/json"}


@pytest.fixture
def backend():
    with Backend(people) as started:
        yield started


@pytest.fixture
def start(servers, backend):
    def begin(*arguments, **set):
        values = {**FAST, "auth.url": f"{backend.url}/who", "streams": STREAMS, **set}
        return servers.parlor(*arguments, data=":memory:", set=values)

    return begin


def session(server, name, **how):
    return Chat(server, headers={"Cookie": f"session={name}"}, **how)


def upgrade(server, path="/ws", **fields):
    """The answer to a request for a WebSocket."""
    with Raw(server, open=False) as raw:
        raw.send(request_head(path, [*FIELDS, *((name.replace("_", "-"), value) for name, value in fields.items())]))
        answer = raw.read_head()
        length = int(answer.fields.get("content-length", 0))
        answer.body = raw._take(length) if length else b""
        return answer


class TestPathsBelowTheApi:
    """What is not the API's own below /api belongs to streams and others."""

    STREAMS = (
        '{ mine = { publish = true, path = "/api/v1/ws/workflows" }, "mine:{id}" = { publish = true, path = "/api/public/{id}" }, '
        'push = { webhook = { path = "/api/v1/hooks/git", secret_env = "A_HOOK" } } }'
    )

    @pytest.fixture
    def server(self, servers, backend):
        set = {**FAST, "auth.url": f"{backend.url}/who", "streams": self.STREAMS}
        return servers.parlor(data=":memory:", set=set, env={"A_HOOK": HOOK_SECRET})

    def test_streams_have_paths_there_and_the_api_answers_what_is_nobodys(self, server):
        for path, stream in (("/api/v1/ws/workflows", "mine"), ("/api/public/7", "mine:7")):
            with Raw(server, open=False) as raw:
                raw.send(request_head(path, [*FIELDS, ("Cookie", "session=eve")]))
                assert raw.read_head().status == 101
                assert server.api("POST", f"streams/{stream}", {"n": 1}, headers={"Cookie": "session=boss"})[0] == 200
                assert json.loads(raw.read_message().payload)["type"] == stream
            assert upgrade(server, path).status == 401
            assert server.http(path)[0] == 426
        for path in ("nowhere", "rooms/a/b", "search", "ws/other", "", "ws"):
            for method in ("GET", "POST"):
                status, answer = server.api(method, path, headers={"Cookie": "session=eve"})
                assert (status, answer["error"]["code"]) == (404, "not_found"), path
        assert server.api("GET", "info")[0] == 401
        assert server.http("/api/public/7/x")[0] == 404

    def test_nobody_stands_for_what_is_posted_to_a_webhook(self, backend, server):
        body = b'{"n":1}'
        answer = server.http("/api/v1/hooks/git", "POST", {"X-Hub-Signature-256": signature(HOOK_SECRET, body)}, body)
        assert answer[0] == 202
        assert backend.asked("/who") == []


class TestUpgrades:
    def test_who_is_refused_is_named_the_way_that_is_left(self, backend, start):
        server = start()
        answer = upgrade(server, authorization="Basic banned")
        assert answer.status == 403 and "text/event-stream" in answer.fields["link"]
        backend.answers = lambda asked: (500, {})
        answer = upgrade(server, authorization="Basic banned")
        assert answer.status == 503 and "text/event-stream" in answer.fields["link"]
        assert json.loads(answer.body)["http"]["events"] == "/api/v1/events"

    def test_a_session_of_the_backend_lets_in(self, backend, start):
        server = start()
        with session(server, "eve") as eve, session(server, "boss") as boss:
            assert eve.hello["user"] == {"id": "eve", "name": "Eve", "admin": False}
            assert boss.hello["user"]["admin"] is True
            assert eve.request("publish", stream="mine", data=1)["seq"] == 1
            assert eve.refused("publish", stream="open", data=1) == "forbidden"
        asked = backend.asked()[0]
        assert asked.method == "GET" and asked.path == "/who" and asked.fields["cookie"] == "session=eve"
        assert asked.fields["x-original-uri"] == "/ws" and asked.fields["x-original-method"] == "GET"
        assert asked.fields["x-forwarded-for"] == "127.0.0.1"
        assert "sec-websocket-key" not in asked.fields

    def test_a_password_lets_in(self, start):
        server = start()
        basic = "Basic " + base64.b64encode(b"ada:secret").decode()
        with Chat(server, headers={"Authorization": basic}) as ada:
            assert ada.hello["user"]["id"] == "ada"
            assert ada.refused("subscribe", stream="mine") == "forbidden"
        assert upgrade(server, "/ws/mine", Authorization=basic).status == 403
        assert upgrade(server, "/ws/mine", Cookie="session=eve").status == 101

    def test_who_is_refused_is_told_so_in_the_backends_words(self, start):
        server = start()
        answer = upgrade(server, Authorization="Basic x")
        assert answer.status == 401 and json.loads(answer.body) == {"why": "who are you?"}
        assert answer.fields["www-authenticate"] == 'Basic realm="us"'
        assert upgrade(server, Authorization="Basic banned").status == 403

    def test_who_shows_nothing_is_nobody_and_the_backend_is_not_asked(self, backend, start):
        server = start()
        assert upgrade(server).status == 401
        assert upgrade(server, "/ws?token=x").status == 401
        assert backend.asked() == []
        assert "backend says who somebody is" in server.output() and "Tokens are needed" not in server.output()

    def test_whom_the_backend_calls_nobody_is_one_who_shows_nothing(self, backend, start):
        backend.answers = lambda asked: (200, {"user": None}) if asked.fields.get("cookie") == "theme=dark" else people(asked)
        streams = '{ open = { publish = true, read = "public" }, mine = { publish = true } }'
        closed = start(streams=streams)
        assert upgrade(closed, cookie="theme=dark").status == 401
        assert closed.api("GET", "rooms", headers={"Cookie": "theme=dark"})[0] == 401
        server = start(**{"auth.anonymous": "true", "limits.failed_proofs_burst": 3, "limits.failed_proofs_per_second": 1}, streams=streams)
        # Nobody pays for that: it is no try to be somebody.
        for _ in range(10):
            with Chat(server, anonymous=1, headers={"Cookie": "theme=dark"}) as guest:
                assert guest.hello["user"]["anonymous"] is True
                guest.request("subscribe", stream="open")
                assert guest.refused("subscribe", stream="mine") in ("unauthorized", "forbidden")
        assert server.api("GET", "streams/open", headers={"Cookie": "theme=dark"})[0] in (200, 404)
        assert server.api("GET", "rooms", headers={"Cookie": "theme=dark"})[0] in (401, 403)
        # Somebody of the session is still that, and who is wrong is still refused.
        with Chat(server, anonymous=1, headers={"Cookie": "session=eve"}) as eve:
            assert eve.hello["user"]["id"] == "eve"
        assert upgrade(server, "/ws?anonymous=1", cookie="session").status == 401
        # Rights are of somebody.
        backend.answers = lambda asked: (200, {"user": None, "publish": ["*"]})
        assert upgrade(server, "/ws?anonymous=1", cookie="theme=dark").status == 503
        assert 'backend failed backend=auth.url status=200 why="it does not say who somebody is"' in server.output()

    def test_nobody_is_free_for_guests_with_cookies_alone(self, backend, start):
        backend.answers = lambda asked: (200, {"user": None})
        budget = {"limits.failed_proofs_burst": 3, "limits.failed_proofs_per_second": 1}
        closed, server = start(**budget), start(**budget, **{"auth.anonymous": "true"})
        for number in range(10):
            assert server.api("GET", "info", headers={"Cookie": f"theme={number}"})[0] == 200
        # Where it may be a try to be somebody, it costs.
        for asked, fields in ((closed, {"Cookie": "session=guess"}), (server, {"Authorization": "Basic guess"}), (start(**budget), {"Authorization": "Bearer guess"})):
            statuses = {asked.api("GET", "info", headers=fields)[0] for _ in range(10)}
            assert 429 in statuses, fields
        # A token that nobody knows is not a guest's.
        assert upgrade(start(**{"auth.anonymous": "true"}), "/ws?anonymous=1", Authorization="Bearer guess").status == 401

    def test_what_a_page_elsewhere_embeds_is_not_asked_for_in_its_visitors_name(self, backend, start):
        streams = '{ open = { publish = true, read = "public" }, mine = { publish = true } }'
        server = start(streams=streams, **{"auth.anonymous": "true"})
        for stream in ("open", "mine"):
            assert server.api("POST", f"streams/{stream}", {"n": 1}, headers={"Cookie": "session=boss"})[0] in (200, 403)
        asked = len(backend.asked())
        fields = {"Cookie": "session=eve", "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}
        assert server.api("GET", "streams/open", headers=fields)[0] in (200, 404)
        assert server.api("GET", "streams/mine", headers=fields)[0] in (401, 403)
        assert server.api("GET", "rooms", headers=fields)[0] == 403
        assert len(backend.asked()) == asked
        assert server.api("GET", "streams/mine", headers={"Cookie": "session=eve"})[0] in (200, 404)

    def test_what_is_at_another_url_is_told_in_the_log(self, backend, start):
        server = start()
        backend.answers = lambda asked: (404, {})
        assert upgrade(server, Cookie="session=eve").status == 401
        until(lambda: 'backend failed backend=auth.url status=404 why="it does not answer at this URL"' in server.output())
        backend.answers = lambda asked: (200, {"user": {"id": "a b"}})
        assert upgrade(server, Cookie="session=eve").status == 503
        until(lambda: "backend failed backend=auth.url why=\"it says what cannot be" in server.output())

    def test_the_log_says_why_somebody_is_refused(self, backend, start):
        server = start()
        backend.answers = lambda asked: (401, {"error": {"code": "unauthorized", "message": "the session\nis over"}}, {"Content-Type": "application/json"})
        assert upgrade(server, cookie="session=eve").status == 401
        until(lambda: 'why="401 Unauthorized: the session\\nis over"' in server.output())
        assert upgrade(server).status == 401
        until(lambda: 'why="401 Unauthorized: say who you are"' in server.output())

    def test_the_backend_is_handed_the_fields_that_are_named_and_no_other(self, backend, start):
        backend.answers = lambda asked: (200, {"user": {"id": asked.fields["x-key"]}})
        server = start(**{"auth.url_headers": "x-key,x-device"})
        everything = {"X-Key": "eve", "X_Device": "phone", "Cookie": "session=bob", "Authorization": "Basic x", "X_Other": "y"}
        with Chat(server, headers={name.replace("_", "-"): value for name, value in everything.items()}) as eve:
            assert eve.hello["user"]["id"] == "eve"
        (asked,) = backend.asked()
        assert (asked.fields["x-key"], asked.fields["x-device"]) == ("eve", "phone")
        assert not {"cookie", "authorization", "x-other"} & asked.fields.keys()
        # What is not named says nothing: who shows that alone is nobody.
        assert upgrade(server, Cookie="session=bob", X_Other="y").status == 401
        assert backend.asked() == [asked]

    @pytest.mark.parametrize(("threads", "share"), [(1, 1), (3, 2), (8, 4)])
    def test_of_an_address_so_many_are_asked_about_at_a_time_and_the_others_wait(self, backend, start, threads, share):
        backend.answers = lambda asked: (backend.release.wait(30), people(asked))[1]
        server = start(**{"auth.url_threads": threads})
        with contextlib.ExitStack() as opened:
            all_of_them = [opened.enter_context(Raw(server, open=False)) for _ in range(8)]
            for number, raw in enumerate(all_of_them):
                raw.send(request_head("/ws", [*FIELDS, ("Cookie", f"session=user-{number}")]))
            backend.wait_for(share)
            # All of them have been read.
            assert server.http("/healthz")[0] == 200
            assert len(backend.asked()) == share
            backend.release.set()
            assert [raw.read_head().status for raw in all_of_them] == [101] * 8

    def test_a_page_elsewhere_cannot_use_a_session(self, backend, start):
        server = start()
        answer = upgrade(server, Cookie="session=eve", Origin="https://evil.example")
        assert answer.status == 403 and backend.asked() == []
        assert upgrade(server, Cookie="session=eve", Origin=f"http://{harness.HOST}").status == 101

    def test_frames_that_come_while_the_backend_is_asked_are_not_lost(self, backend, start):
        backend.answers = lambda asked: (backend.release.wait(30), people(asked))[1]
        server = start()
        with Raw(server, open=False) as raw:
            head = request_head("/ws", [*FIELDS, ("Cookie", "session=eve")])
            raw.send(head, frame(TEXT, '{"type":"ping","id":1}'))
            backend.wait_for(1)
            raw.send(frame(TEXT, '{"type":"ping","id":2}'))
            assert server.http("/healthz")[0] == 200, "nobody else waits"
            backend.release.set()
            assert raw.read_head().status == 101
            assert json.loads(raw.read_message().payload)["type"] == "hello"
            assert [json.loads(raw.read_message().payload)["id"] for _ in range(2)] == [1, 2]

    def test_who_goes_meanwhile_is_not_let_in(self, backend, start):
        backend.answers = lambda asked: (backend.release.wait(30), people(asked))[1]
        server = start()
        for count in range(1, 4):
            with Raw(server, open=False) as raw:
                raw.send(request_head("/ws", [*FIELDS, ("Cookie", "session=gone")]))
                backend.wait_for(count)
                raw.reset()
        backend.release.set()
        with session(server, "eve") as eve:
            until(lambda: [one["user"] for one in eve.request("presence:list")["users"]] == ["eve"])

    def test_rights_end_when_the_backend_says(self, backend, start):
        backend.answers = lambda asked: (200, {"user": {"id": "eve"}, "expires_in": 1})
        server = start(**{"auth.leeway_ms": 0})
        with session(server, "eve") as eve:
            assert eve.push("notice")["code"] == "token_expiring"
            assert eve.closed() == 4200


class TestCalls:
    def test_a_call_is_made_by_whom_the_backend_names(self, backend, start):
        server = start()
        headers = {"Cookie": "session=eve"}
        status, answer = server.api("PUT", "rooms/tea", {"title": "T" * 100}, headers=headers)
        assert status == 201 and answer["room"] == "tea"
        assert server.api("GET", "rooms", headers=headers)[1]["rooms"][0]["room"] == "tea"
        assert server.api("GET", "connections", headers=headers)[0] == 403
        assert server.api("GET", "connections", headers={"Cookie": "session=boss"})[0] == 200
        assert server.api("GET", "info")[0] == 401
        assert server.api("GET", "info", headers={"Authorization": "Basic x"})[0] == 401
        assert server.http("/metrics", headers={"Cookie": "session=boss"})[0] == 200
        assert server.http("/healthz", headers=headers)[0] == 200
        assert all(asked.path == "/who" and asked.body == b"" for asked in backend.asked())

    def test_a_page_elsewhere_can_neither_change_nor_read_by_a_session(self, backend, start):
        server = start()
        headers = {"Cookie": "session=eve", "Origin": "https://evil.example"}
        assert server.api("PUT", "rooms/tea", headers=headers)[0] == 403
        assert server.api("GET", "rooms", headers=headers)[0] == 403
        assert backend.asked() == []

    def test_a_page_of_an_allowed_origin_is_shown_why_somebody_is_not_let_in(self, start):
        page = "https://app.example"
        server = start("--allow-origin", page)
        for origin, shown in [(page, page), ("https://evil.example", None)]:
            with Raw(server, open=False) as raw:
                raw.send(request_head("/api/v1/rooms", [("Host", harness.HOST), ("Origin", origin), ("Authorization", "Basic wrong")]))
                answer = raw.read_head()
                body = json.loads(raw._take(int(answer.fields["content-length"])))
            assert (answer.status, body) == (401, {"why": "who are you?"})
            assert answer.fields.get("access-control-allow-origin") == shown

    def test_requests_that_are_pipelined_are_answered_in_order(self, backend, start):
        server = start()
        with Raw(server, open=False) as raw:
            names = ("eve", "ada", "bob")
            for name in names:
                raw.send(request_head("/api/v1/info", [("Host", harness.HOST), ("Cookie", f"session={name}")]))
            for name in names:
                answer = raw.read_head()
                body = json.loads(raw._take(int(answer.fields["content-length"])))
                assert body["user"]["id"] == name


class TestTokens:
    def test_a_jwt_is_judged_by_the_keys_first(self, backend, start, servers):
        server = start("--secret-file", servers.secret_file())
        with Chat(server, token=harness.token("ada")) as ada:
            assert ada.hello["user"]["id"] == "ada"
        bearer = {"Authorization": f"Bearer {harness.token('ada')}", "Cookie": "session=eve"}
        assert server.api("GET", "info", headers=bearer)[1]["user"]["id"] == "ada"
        bad = {"Authorization": f"Bearer {harness.token('ada', ttl=-100)}", "Cookie": "session=eve"}
        assert server.api("GET", "info", headers=bad)[0] == 401, "a bad token is not made good"
        assert backend.asked() == []
        other = {"Authorization": "Bearer an-opaque-token"}
        assert server.api("GET", "info", headers=other)[0] == 401
        assert backend.asked()[0].fields["authorization"] == "Bearer an-opaque-token"


class TestFailures:
    def test_without_its_backend_nobody_new_is_let_in_and_told_to_come_back(self, backend, start):
        server = start(**{"proxies.trusted": harness.HOST})
        with session(server, "eve") as eve:
            backend.answers = lambda asked: (500, b"")
            for address in ("192.0.2.1", "192.0.2.2"):
                answer = upgrade(server, Cookie="session=ada", X_Forwarded_For=address)
                assert answer.status == 503 and answer.fields["retry-after"] == "1"
            assert upgrade(server, Cookie="session=ada").status == 503
            assert len(backend.asked()) == 3, "it is left alone"
            assert eve.request("ping")["ts"] > 0
            backend.answers = people
            until(lambda: upgrade(server, Cookie="session=ada").status == 101)

    @pytest.mark.parametrize("answer", [(200, b""), (200, {}), (200, {"user": {"id": "a b"}})])
    def test_what_names_nobody_lets_nobody_in(self, backend, start, answer):
        backend.answers = lambda asked: answer
        assert upgrade(start(), Cookie="session=ada").status == 503

    def test_an_answer_is_waited_for_so_long(self, backend, start):
        backend.answers = lambda asked: (backend.release.wait(30), people(asked))[1]
        server = start(**{"auth.url_timeout_ms": 50})
        assert upgrade(server, Cookie="session=ada").status == 503

    def test_a_server_ends_in_time_while_its_backend_hangs(self, backend, start):
        backend.answers = lambda asked: (backend.release.wait(30), people(asked))[1]
        server = start(**{"auth.url_timeout_ms": 60_000})
        with Raw(server, open=False) as raw:
            raw.send(request_head("/ws", [*FIELDS, ("Cookie", "session=eve")]))
            backend.wait_for(1)
            assert server.stop() == 0

    def test_elsewhere_than_on_this_machine_it_needs_no_key(self, servers, backend):
        server = servers.parlor(*harness.AS_ROOT, data=":memory:", set={"auth.url": backend.url, "listen": "0.0.0.0:0"}, is_ready=lambda server: "Chat: " in server.output())
        assert "open mode" not in server.output().lower()


class TestEvents:
    """Events of those whom the backend vouches for."""

    def events(self, server, name="eve", **fields):
        return Events(server, headers={"Cookie": f"session={name}", **fields})

    def test_a_session_listens_and_its_end_is_heard(self, start):
        server = start(**{"presence.grace_ms": 1, "presence.window_ms": 20})
        with session(server, "boss") as boss:
            boss.join("tea")
            with self.events(server) as source:
                assert source.await_("connected")["user"]["id"] == "eve"
                boss.push("user:online", where=lambda push: "eve" in push["users"])
            # The client has gone without another word: that is noticed although it had to wait at first.
            boss.push("user:offline", where=lambda push: "eve" in push["users"])

    def test_who_is_revoked_is_ended_although_the_session_has_no_end(self, start):
        server = start()
        with session(server, "boss") as boss, session(server, "eve") as eve:
            with self.events(server) as source:
                source.await_("connected")
                assert boss.request("auth:revoke", user="eve")["closed"] == 2
                assert source.await_("error")["close"] == 4201
                assert source.next() is None
            assert eve.closed() == 4201

    def test_a_page_elsewhere_cannot_listen_in_somebodys_name(self, start):
        server = start()
        for site, status in [("cross-site", 403), ("same-site", 403), ("same-origin", 200), ("none", 200)]:
            with self.events(server, **{"Sec-Fetch-Site": site}) as source:
                assert source.status == status, site
        with self.events(server, Origin="https://evil.example") as source:
            assert source.status == 403

    def test_what_somebody_shows_does_not_open_the_circuit_for_all(self, backend, start):
        answers = {302: {}, 404: {}, 400: {}, 431: {}, 429: {}}

        def answer(asked):
            if (cookie := asked.fields.get("cookie", "")).startswith("odd="):
                return int(cookie.removeprefix("odd=")), answers[int(cookie.removeprefix("odd="))]
            return people(asked)

        backend.answers = answer
        server = start()
        for status in [*answers] * 3:
            expected = 503 if status == 429 else 401
            assert upgrade(server, Cookie=f"odd={status}").status == expected, status
        with session(server, "eve") as eve:
            assert eve.hello["user"]["id"] == "eve"
