"""Requests that the application's backend answers: what it is sent, what becomes of its answer, its limits."""

import contextlib
import json
import signal
import time

import pytest

import harness
from backend import Backend, signature, until
from harness import Chat, Refused

SECRET = "what the backend and parlor share, in enough bytes"
ADMIN = "an admin token for tests, of more than 32 bytes"
FAST = {"backend.retries": 1, "backend.backoff_ms": 5, "backend.circuit_failures": 2, "backend.circuit_open_ms": 1_000}


@pytest.fixture
def backend():
    with Backend() as started:
        yield started


@pytest.fixture
def start(servers):
    """Starts a server with these tables of [[handlers]]."""

    def begin(*tables, **set):
        path = servers.directory() / "parlor.toml"
        path.write_text("".join(f"[[handlers]]\n{table}\n" for table in tables))
        server = servers.parlor(
            "--config", path, "--secret-file", servers.secret_file(), data=":memory:",
            set={**FAST, **set}, env={"PARLOR_ADMIN_TOKEN": ADMIN, "BACKEND_SECRET": SECRET},
        )
        server.config = path
        return server

    return begin


def queue(backend, more=""):
    return f'types = ["queue.*"]\nurl = "{backend.url}/parlor"\n{more}'


def opened(server, user="ada", **claims):
    return Chat(server, token=harness.token(user, **claims))


def metric(server, name, **labels):
    wanted = ",".join(f'{label}="{value}"' for label, value in labels.items())
    _, _, text = server.http("/metrics", headers={"Authorization": f"Bearer {ADMIN}"})
    (line,) = [line for line in text.decode().splitlines() if line.startswith(f"{name}{{{wanted}}} ")]
    return float(line.rsplit(" ", 1)[1])


class TestAnswers:
    def test_the_backend_is_sent_who_asks_for_what_and_its_answer_is_the_reply(self, backend, start):
        backend.answers = lambda asked: (200, b' {"n": 1.50, "list": [ ]} ')
        server = start(queue(backend, 'secret_env = "BACKEND_SECRET"'))
        with opened(server, name="Ada", publish=["a:*"]) as ada:
            payload = '{"x": 1.50, "y": 12345678901234567890}'
            ada.raw('{"type":"queue.pause","id":"q-1","payload":%s}' % payload)
            assert ada.answer("q-1") == {"n": 1.5, "list": []}
            assert '{"n": 1.50, "list": [ ]}' in ada.texts[-1], "as it came"
            connection = ada.hello["connection"]
        (asked,) = backend.asked()
        assert asked.method == "POST" and asked.path == "/parlor"
        assert asked.fields["content-type"] == "application/json"
        assert asked.fields["x-hub-signature-256"] == signature(SECRET, asked.body)
        assert payload.encode() in asked.body
        sent = asked.json
        assert sent.pop("payload") == json.loads(payload)
        assert sent == {
            "type": "queue.pause",
            "id": "q-1",
            "user": {"id": "ada", "name": "Ada", "admin": False, "anonymous": False},
            "rights": {"publish": ["a:*"], "subscribe": ["*"]},
            "connection": connection,
        }

    def test_it_is_the_same_over_http(self, backend, start):
        backend.answers = lambda asked: (200, {"who": asked.json["user"]["id"]})
        server = start(queue(backend))
        token = harness.token("eve")
        assert server.api("POST", "call/queue.now", {"a": 1}, token=token) == (200, {"who": "eve"})
        sent = backend.asked()[0].json
        assert "id" not in sent and "connection" not in sent and sent["payload"] == {"a": 1}
        assert "x-hub-signature-256" not in backend.asked()[0].fields
        error = {"code": "no_such_room", "message": "gone", "data": {"room": [7, 1.50]}}
        backend.answers = lambda asked: (404, {"error": error})
        status, answer = server.api("POST", "call/queue.now", token=token)
        assert (status, answer["error"]) == (404, {**error, "by": "application"})
        error["code"] = "no_such_callsign"
        status, answer = server.api("POST", "call/queue.now", token=token)
        assert (status, answer["error"]) == (400, {**error, "by": "application"})

    @pytest.mark.parametrize(
        "status, error, otherwise",
        [
            (404, {"code": "not_found", "message": "no such callsign"}, {}),
            (409, {"code": "conflict", "message": "taken", "data": None}, {}),
            (429, {"code": "rate_limited", "message": "", "retry_after_ms": 70}, {}),
            (422, {"code": "a" * 64, "message": "x", "data": ["y", {"z": 1}]}, {}),
            (503, {"code": "closed_today", "message": "x"}, {}),
            (400, {"code": "long", "message": "é" * 600}, {"message": "é" * 512}),
            (400, {"code": "long", "message": "", "data": "x" * 17_000}, {"data": ...}),
        ],
    )
    def test_the_words_of_the_application_go_to_who_asks(self, backend, start, status, error, otherwise):
        backend.answers = lambda asked: (status, {"error": error})
        server = start(queue(backend))
        told = {**error, **otherwise, "by": "application"}
        with opened(server) as ada:
            assert ada.refusal("queue.x") == {name: value for name, value in told.items() if value is not ...}

    @pytest.mark.parametrize(
        "status, body, code",
        [
            (422, {"error": {"code": "Made up", "message": "x"}}, "bad_request"),
            (422, {"error": {"code": "a" * 65, "message": "x"}}, "bad_request"),
            (422, {"error": {"code": "", "message": "x"}}, "bad_request"),
            (422, {"error": "no"}, "bad_request"),
            (500, b"<html>", "internal"),
            (302, b"", "internal"),
            (200, b"[]", "internal"),
            (200, b"x" * 70_000, "internal"),
        ],
    )
    def test_what_is_no_answer_is_a_refusal_of_parlors_own(self, backend, start, status, body, code):
        backend.answers = lambda asked: (status, body, {"Location": "/elsewhere"})
        server = start(queue(backend))
        with opened(server) as ada:
            refusal = ada.refusal("queue.x")
            assert refusal["code"] == code and "by" not in refusal
        assert backend.asked("/elsewhere") == []

    def test_of_errors_without_an_id_the_newest_comes_with_a_count(self, backend, start):
        backend.answers = lambda asked: (404, {"error": {"code": asked.json["type"][6:], "message": "no"}})
        server = start(queue(backend, "concurrency = 1"))
        with opened(server) as ada:
            told = []
            for code in ("one", "two"):
                ada.raw('{"type":"queue.%s"}' % code)
                backend.wait_for(len(told) + 1)
                told.append(ada.push("error"))
            assert [(error["code"], error["by"]) for error in told] == [("one", "application"), ("two", "application")]
            assert told[1]["count"] == 1

    def test_nothing_is_an_empty_reply_and_without_id_there_is_none(self, backend, start):
        backend.answers = lambda asked: (204, b"")
        server = start(queue(backend))
        with opened(server) as ada:
            ada.raw('{"type":"queue.a"}')
            assert ada.request("queue.b") == {}
            assert ada.pushed("error", "reply") == []
        assert [asked.json["type"] for asked in backend.wait_for(2)].count("queue.a") == 1


class TestRights:
    def test_who_may_send_it_is_declared(self, backend, start):
        server = start(
            queue(backend, 'rights = "admin"'),
            f'types = ["open"]\nurl = "{backend.url}/open"\nrights = "public"',
            f'types = ["mine"]\nurl = "{backend.url}/mine"',
            **{"auth.anonymous": "true"},
        )
        with opened(server) as ada, opened(server, "boss", admin=True) as boss:
            assert ada.refused("queue.x") == "forbidden"
            assert boss.request("queue.x") == {} and ada.request("mine") == {}
            types = ada.request("info")["types"]
            assert {"open", "mine", "chat:send"} <= set(types)
            assert "queue.*" not in types and "admin:push" not in types
            assert {"queue.*", "admin:push"} <= set(boss.request("info")["types"])
        with Chat(server, anonymous=1) as guest:
            assert guest.request("open") == {}
            assert guest.refused("mine") == "unauthorized"
            assert set(guest.request("info")["types"]) >= {"open", "subscribe"}
            types = set(guest.request("info")["types"])
            assert not types & {"chat:send", "publish", "stream:subscribers", "admin:users"}
        assert backend.asked("/open")[0].json["user"]["anonymous"] is True
        assert len(backend.asked("/parlor")) == 1

    def test_a_type_that_nobody_answers_is_unknown(self, backend, start):
        server = start(queue(backend))
        with opened(server) as ada:
            assert ada.refused("queue") == "unknown_type"
            assert ada.refused("other.x") == "unknown_type"

    def test_a_type_of_the_servers_own_is_an_error_of_the_configuration(self, servers):
        path = servers.directory() / "parlor.toml"
        path.write_text('[[handlers]]\ntypes = ["chat:*"]\nurl = "http://a/"\n')
        ended = harness.run_parlor("config", "--check", path)
        assert ended.returncode == 2 and "the server's own" in ended.stderr


class TestLimits:
    def test_a_slow_backend_delays_nobody_else(self, backend, start):
        slow, quick = Backend(), backend
        with slow:
            slow.answers = lambda asked: (slow.release.wait(30), (200, {"slow": 1}))[1]
            server = start(queue(slow, "timeout_ms = 30_000"), f'types = ["quick"]\nurl = "{quick.url}/"')
            with opened(server) as ada:
                waits = ada.send("queue.x")
                slow.wait_for(1)
                assert ada.request("quick") == {} and ada.request("ping")["ts"] > 0
                slow.release.set()
                assert ada.answer(waits) == {"slow": 1}

    def test_so_many_are_under_way_and_more_are_overloaded(self, backend, start):
        backend.answers = lambda asked: (backend.release.wait(30), (200, {}))[1]
        server = start(queue(backend, "concurrency = 2\ntimeout_ms = 30_000"))
        with opened(server) as ada, opened(server, "bob") as bob, opened(server, "eve") as eve:
            waiting = [(one, one.send("queue.x")) for one in (ada, bob)]
            backend.wait_for(2)
            refusal = eve.refusal("queue.x")
            assert refusal["code"] == "overloaded" and refusal["retry_after_ms"] > 0
            assert metric(server, "parlor_handler_requests_under_way", handler="queue.*") == 2
            backend.release.set()
            assert [one.answer(id) for one, id in waiting] == [{}, {}]
            assert eve.request("queue.x") == {}
            assert len(backend.asked()) == 3

    def test_sixty_who_ask_at_once_are_all_answered(self, backend, start):
        backend.answers = lambda asked: (time.sleep(0.02), (200, {"n": asked.json["payload"]["n"]}))[1]
        server = start(queue(backend))
        with contextlib.ExitStack() as stack:
            everybody = [stack.enter_context(opened(server, f"u{n}")) for n in range(20)]
            asked = [(one, one.send("queue.x", n=n), n) for n in range(3) for one in everybody]
            assert [one.answer(id)["n"] for one, id, n in asked] == [n for _, _, n in asked]
        assert metric(server, "parlor_handler_requests_waited_total", handler="queue.*") == 52
        assert metric(server, "parlor_handler_requests_waiting", handler="queue.*") == 0
        assert metric(server, "parlor_handler_requests_turned_away_total", handler="queue.*", why="full") == 0

    def test_who_asks_much_delays_another_by_one(self, backend, start):
        backend.answers = lambda asked: (backend.release.wait(30), (200, {}))[1]
        server = start(queue(backend, "concurrency = 1\nwaiting_ms = 30_000"))
        with opened(server) as ada, opened(server, "eve") as eve:
            many = [ada.send("queue.x") for _ in range(30)]
            backend.wait_for(1)
            until(lambda: metric(server, "parlor_handler_requests_waiting", handler="queue.*") == 29)
            one = eve.send("queue.x")
            until(lambda: metric(server, "parlor_handler_requests_waiting", handler="queue.*") == 30)
            backend.release.set()
            assert eve.answer(one) == {}
            assert [ada.answer(id) for id in many] == [{}] * 30
        users = [asked.json["user"]["id"] for asked in backend.asked()]
        assert users.index("eve") <= 2 and len(users) == 31

    def test_a_full_line_has_room_for_who_has_less_in_it(self, backend, start):
        backend.answers = lambda asked: (backend.release.wait(30), (200, {}))[1]
        server = start(queue(backend, "concurrency = 1\nwaiting = 3\nwaiting_ms = 30_000"))
        with opened(server) as ada, opened(server, "eve") as eve:
            asked = [ada.send("queue.x") for _ in range(5)]
            with pytest.raises(Refused) as refused:
                ada.answer(asked[4])
            assert refused.value.code == "overloaded" and refused.value.payload["retry_after_ms"] > 0
            one = eve.send("queue.x")
            with pytest.raises(Refused) as refused:
                ada.answer(asked[3])
            assert refused.value.code == "overloaded"
            backend.release.set()
            assert [eve.answer(one)] + [ada.answer(id) for id in asked[:3]] == [{}] * 4
        assert metric(server, "parlor_handler_requests_turned_away_total", handler="queue.*", why="full") == 2
        assert len(backend.asked()) == 4

    def test_who_has_waited_too_long_is_told_and_not_asked(self, backend, start):
        backend.answers = lambda asked: (backend.release.wait(30), (200, {}))[1]
        server = start(queue(backend, "concurrency = 1\nwaiting_ms = 100\ntimeout_ms = 30_000"))
        with opened(server) as ada:
            asked = [ada.send("queue.x") for _ in range(3)]
            for id in asked[1:]:
                with pytest.raises(Refused) as refused:
                    ada.answer(id)
                assert refused.value.code == "overloaded"
            backend.release.set()
            assert ada.answer(asked[0]) == {}
            assert ada.request("queue.x") == {}
        assert len(backend.asked()) == 2
        assert metric(server, "parlor_handler_requests_turned_away_total", handler="queue.*", why="late") == 2

    def test_what_waits_for_somebody_who_has_gone_is_not_asked(self, backend, start):
        backend.answers = lambda asked: (backend.release.wait(30), (200, {}))[1]
        server = start(queue(backend, "concurrency = 1\nwaiting_ms = 30_000"))
        with opened(server, "eve") as eve:
            with opened(server) as ada:
                ada.send("queue.x")
                backend.wait_for(1)
                for _ in range(3):
                    ada.send("queue.x")
                until(lambda: metric(server, "parlor_handler_requests_waiting", handler="queue.*") == 3)
            until(lambda: metric(server, "parlor_handler_requests_waiting", handler="queue.*") == 0)
            backend.release.set()
            assert eve.request("queue.x") == {}
        assert [asked.json["user"]["id"] for asked in backend.asked()] == ["ada", "eve"]

    def test_a_request_of_any_size_is_asked_where_there_is_a_place(self, backend, start):
        backend.answers = lambda asked: (200, {"n": len(asked.json["payload"]["x"])})
        server = start(queue(backend), **{"limits.message_bytes": 32 << 20, "http.body_bytes": 32 << 20})
        status, answer = server.api("POST", "call/queue.x", {"x": "x" * (9 << 20)}, harness.token("eve"))
        assert (status, answer) == (200, {"n": 9 << 20})

    def test_a_backend_that_is_left_alone_is_so_at_once(self, backend, start):
        slow = Backend()
        with slow:
            slow.answers = lambda asked: (slow.release.wait(30), (200, {}))[1]
            backend.answers = lambda asked: (500, b"")
            other = f'types = ["slow"]\nurl = "{slow.url}/"\ntimeout_ms = 30_000'
            server = start(queue(backend, "waiting_ms = 30_000"), other, **{"backend.call_threads": 1, "backend.circuit_open_ms": 30_000})
            with opened(server) as ada, opened(server, "eve") as eve:
                assert [one.refused("queue.x") for one in (ada, eve)] == ["internal"] * 2
                waits = ada.send("slow")
                slow.wait_for(1)
                assert ada.refused("queue.x") == "unavailable"
                slow.release.set()
                assert ada.answer(waits) == {}

    def test_a_line_over_http_and_without_one(self, backend, start):
        backend.answers = lambda asked: (backend.release.wait(30), (200, {}))[1]
        server = start(queue(backend, "concurrency = 1\nwaiting = 0\ntimeout_ms = 30_000"))
        with opened(server) as ada:
            waits = ada.send("queue.x")
            backend.wait_for(1)
            status, answer = server.api("POST", "call/queue.x", {}, harness.token("eve"))
            assert (status, answer["error"]["code"]) == (503, "overloaded")
            backend.release.set()
            assert ada.answer(waits) == {}

    def test_beyond_all_threads_it_is_overloaded(self, backend, start):
        backend.answers = lambda asked: (backend.release.wait(30), (200, {}))[1]
        server = start(queue(backend, "timeout_ms = 30_000"), **{"backend.call_threads": 1})
        with opened(server) as ada:
            waits = ada.send("queue.x")
            backend.wait_for(1)
            assert ada.refused("queue.x") == "overloaded"
            backend.release.set()
            assert ada.answer(waits) == {}

    def test_a_connection_owes_no_more_than_so_many_answers(self, backend, start):
        backend.answers = lambda asked: (backend.release.wait(30), (200, {}))[1]
        server = start(queue(backend, "concurrency = 200\ntimeout_ms = 30_000"), **{"backend.call_threads": 200})
        with opened(server) as ada, opened(server, "eve") as eve:
            waiting = [ada.send("queue.x") for _ in range(70)]
            backend.wait_for(64)
            assert eve.request("ping")["ts"] > 0
            assert len(backend.asked()) == 64, "the others are not read"
            backend.release.set()
            assert [ada.answer(id) for id in waiting] == [{}] * 70

    def test_who_does_not_answer_in_time_is_unavailable(self, backend, start):
        backend.answers = lambda asked: (backend.release.wait(30), (200, {}))[1]
        server = start(queue(backend, "timeout_ms = 50"))
        with opened(server) as ada:
            refusal = ada.refusal("queue.x")
            assert refusal["code"] == "unavailable" and refusal["retry_after_ms"] > 0
        assert len(backend.asked()) == 1, "it may have been heard: it is not sent twice"

    def test_a_backend_that_fails_is_left_alone_and_then_tried_once(self, backend, start):
        backend.answers = lambda asked: (500, b"")
        server = start(queue(backend))
        with opened(server) as ada, opened(server, "eve") as eve:
            assert [one.refused("queue.x") for one in (ada, eve)] == ["internal"] * 2
            refusal = ada.refusal("queue.x")
            assert refusal["code"] == "unavailable" and 0 < refusal["retry_after_ms"] <= 1_000
            assert len(backend.asked()) == 2
            assert metric(server, "parlor_handler_down", handler="queue.*") == 1
            backend.answers = lambda asked: (200, {})
            until(lambda: answered(ada))
        assert metric(server, "parlor_handler_down", handler="queue.*") == 0
        assert server.output().count("is left alone for 1000 ms") == 1

    def test_a_server_ends_in_time_while_its_backend_hangs(self, backend, start):
        backend.answers = lambda asked: (backend.release.wait(30), (200, {}))[1]
        server = start(queue(backend, "timeout_ms = 60_000"))
        with opened(server) as ada:
            ada.send("queue.x")
            backend.wait_for(1)
            assert server.stop() == 0

    def test_who_goes_before_the_answer_leaves_nothing(self, backend, start):
        backend.answers = lambda asked: (backend.release.wait(30), (200, {}))[1]
        server = start(queue(backend, "timeout_ms = 30_000"))
        with opened(server) as ada:
            ada.send("queue.x")
            backend.wait_for(1)
        backend.release.set()
        until(lambda: metric(server, "parlor_handler_requests_under_way", handler="queue.*") == 0)
        with opened(server, "eve") as eve:
            assert eve.request("queue.x") == {}


class TestReload:
    def test_sighup_declares_them_anew(self, backend, start):
        server = start(queue(backend))
        with opened(server) as ada:
            assert ada.request("queue.x") == {}
            server.config.write_text(f'[[handlers]]\ntypes = ["other"]\nurl = "{backend.url}/other"\n')
            server.signal(signal.SIGHUP)
            until(lambda: "other" in ada.request("info")["types"])
            assert ada.refused("queue.x") == "unknown_type" and ada.request("other") == {}


def answered(connection):
    """Whether the backend is asked again."""
    try:
        return connection.request("queue.x") == {}
    except harness.Refused:
        return False
