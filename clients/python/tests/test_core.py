"""What a client decides, with a clock and a server's words of the test's own."""

import ast
from dataclasses import replace
from pathlib import Path

import parlor._core
import pytest
from parlor import events
from parlor._link import Backoff
from parlor._outbox import message_id
from parlor._streams import WatchOptions
from parlor.errors import RequestError, TokenError
from parlor.events import Kept
from scene import BEGIN_MS, Scene, message, options

NO_JITTER = Backoff(jitter=False)


def kept(id, room="tea", **more):
    return Kept(id, room, f"text of {id}", **more)


def code(scene, call):
    answer = scene.answers.get(call)
    return answer.code if isinstance(answer, RequestError) else None


def test_the_core_has_no_io():
    forbidden = {"asyncio", "socket", "threading", "time", "datetime", "os", "pathlib", "sqlite3", "ssl", "websockets", "logging"}
    seen, waiting = set(), ["_core"]
    folder = Path(parlor._core.__file__).parent
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        for node in ast.walk(ast.parse((folder / f"{name}.py").read_text())):
            if isinstance(node, ast.ImportFrom) and node.level:
                waiting += [node.module] if node.module else [alias.name for alias in node.names]
            elif isinstance(node, (ast.Import, ast.ImportFrom)):
                names = [node.module] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
                assert not forbidden & {one.split(".")[0] for one in names}, name
    assert len(seen) >= 9


# --- The connection ---


@pytest.mark.parametrize(
    ("closed", "state"),
    [(4003, "failed"), (1009, "failed"), (1002, "failed"), (1000, "waiting"), (1001, "waiting"), (4103, "waiting"), (4999, "waiting"), (None, "waiting")],
)
def test_the_codes_that_end_it_end_it_and_the_others_do_not(closed, state):
    scene = Scene.online()
    scene.loses(closed)
    assert scene.core.state.name == state
    assert scene.core.why()[-1].advice == ("ends" if state == "failed" else "comes back")


def test_the_waits_grow_and_are_as_many_as_one_wants():
    scene = Scene.online(how=options(backoff=replace(NO_JITTER, attempts=4)))
    waits = []
    scene.loses()
    while scene.core.state.name == "waiting":
        waits.append(scene.core.state.until - BEGIN_MS - scene.ms)
        scene.passes(waits[-1])
        scene.loses()
    assert waits == [1_000, 2_000, 4_000, 8_000]
    assert (scene.core.state.name, scene.core.state.code) == ("failed", "attempts")
    scene.do("open", "retry_now()")
    scene.greets({})


def test_waits_are_random_parts_and_begin_anew_after_a_connection_that_lasted():
    scene = Scene.online()
    longest = []
    for lasts in (0, 0, 29_000, 31_000):
        scene.passes(lasts)
        scene.loses()
        longest.append(scene.core.state.until - BEGIN_MS - scene.ms)
        scene.passes(longest[-1])
        scene.greets({})
    assert longest[0] <= 1_000 and longest[1] <= 2_000 and longest[2] <= 4_000 and longest[3] <= 1_000
    waits = set()
    for seed in range(20):
        scene = Scene(seed=seed)
        scene.do("open", "connect()")
        scene.loses()
        waits.add(scene.core.state.until)
    assert len(waits) > 10


def test_what_the_server_says_before_it_closes_decides():
    scene = Scene.online(how=options(backoff=NO_JITTER))
    scene.hears({"type": "error", "payload": {"code": "kicked", "message": "go", "close": 4003}})
    scene.loses(None)
    assert (scene.core.state.name, scene.core.state.code, scene.core.state.reason) == ("failed", 4003, "kicked: go")
    scene = Scene.online(how=options(backoff=NO_JITTER))
    scene.hears({"type": "error", "payload": {"code": "rate", "message": "slowly", "close": 4103, "retry_after_ms": 7_000}})
    scene.loses(4103)
    assert scene.core.state.until - BEGIN_MS - scene.ms == 8_000
    scene = Scene.online()
    scene.hears({"type": "notice", "payload": {"code": "draining", "spread_ms": 600_000}})
    scene.loses(1012)
    assert scene.core.state.until - BEGIN_MS - scene.ms > 4_000


def test_a_code_that_the_program_calls_final_ends_it():
    scene = Scene.online(how=options(fatal=frozenset({4999})))
    scene.loses(4999)
    assert (scene.core.state.name, scene.core.state.code) == ("failed", 4999)


def test_a_silent_server_is_left():
    for interval in (5_000, 0):
        scene = Scene.online(how=options(ping_interval_ms=interval))
        scene.passes(50_000)
        assert not scene.core.state.is_online and scene.dials > 1, interval
    scene = Scene.online()
    for _ in range(10):
        scene.passes(20_000)
        scene.hears(message("tea", 1))
    assert scene.core.state.is_online


def test_the_round_trip_is_measured():
    scene = Scene.online(how=options(ping_interval_ms=5_000))
    for rtt in (10, 30, 300):
        scene.passes(rtt)
        scene.replies("ping", {"ts": 1})
        scene.passes(5_000 - rtt)
    levels = [(quality.level, quality.rtt_ms) for quality in scene.takes(events.Quality)]
    assert levels == [("excellent", 10), ("good", 30), ("critical", 300)]
    assert scene.core.quality.jitter_ms == pytest.approx((1.25 * 15 / 16) + 270 / 16)


def test_that_the_quality_is_lost_is_told_once_and_not_while_something_is_heard():
    scene = Scene.online(how=options(ping_interval_ms=5_000))
    scene.passes(5_000)
    scene.replies("ping", {"ts": 1})
    scene.passes(9_000)
    scene.hears(message("tea", 1))
    scene.passes(6_000)
    assert scene.core.state.is_online
    scene.passes(20_000)
    assert [quality.level for quality in scene.takes(events.Quality)].count("lost") == 1


def test_measurements_leave_half_of_the_rate_to_who_asks_something():
    scene = Scene.online(how=options(ping_interval_ms=10))
    answered = []

    def passes(times):
        for _ in range(times):
            scene.passes(10)
            while scene.sent:
                answered.append(scene.sent[0]["type"])
                scene.replies(answered[-1], {"ts": 1})

    passes(1_000)
    for call in range(3):
        scene.do("ask", call, "x:y", {"n": call})
    passes(50)
    assert answered.count("x:y") == 3 and answered.count("ping") > 80


def test_hints_open_probe_and_pause():
    scene = Scene.online(how=options(backoff=NO_JITTER))
    scene.loses()
    scene.do("hint", "online")
    scene.greets({})
    scene.do("hint", "sleep")
    assert scene.core.state.name == "paused"
    scene.do("hint", "online")
    assert scene.core.state.name == "paused"
    scene.do("hint", "wake")
    scene.greets({})
    scene.sent.clear()
    scene.do("hint", "offline")
    assert scene.is_asked("ping") and scene.core.state.is_online
    scene.passes(5_000)
    assert scene.core.state.name == "waiting"


def test_a_token_is_asked_for_first_when_it_ends_when_it_is_rejected_and_not_with_every_connection():
    scene = Scene(options(token=True))
    scene.do("open", "connect()")
    serial, reason = scene.asks_token
    assert reason == "first"
    scene.do("token_given", serial, "t1")
    scene.do("dialled", scene.serial)
    assert scene.sent.pop() == {"type": "auth", "payload": {"token": "t1", "resume": True}}
    scene.greets({})
    scene.asks_token = None
    scene.loses()
    scene.passes(1_000)
    scene.greets({})
    assert scene.asks_token is None
    scene.hears({"type": "notice", "payload": {"code": "token_expiring", "message": "", "expires": BEGIN_MS + 90_000}})
    scene.passes(0)
    assert scene.asks_token[1] == "expiring"
    scene.do("token_given", scene.asks_token[0], "t2")
    assert scene.replies("auth", {"user": "ada"}) == {"token": "t2"}
    # One that ends sooner than in a minute is renewed in the middle of what is left.
    scene.asks_token = None
    scene.hears({"type": "notice", "payload": {"code": "token_expiring", "expires": BEGIN_MS + scene.ms + 40_000}})
    scene.passes(19_000)
    assert scene.asks_token is None
    scene.passes(2_000)
    assert scene.asks_token[1] == "expiring"
    # That there is none does not end what is online.
    scene.do("token_given", scene.asks_token[0], OSError("503"))
    assert scene.core.state.is_online
    scene.loses(4200)
    assert scene.core.why()[-1].advice == "asks for a token"
    scene.passes(2_000)
    assert scene.asks_token[1] == "rejected"


def test_what_a_tokens_function_says_comes_back_or_ends_it():
    scene = Scene(options(token=True))
    scene.do("open", "connect()")
    for _ in range(5):
        scene.do("token_given", scene.asks_token[0], OSError("503"))
        assert scene.core.state.name == "waiting" and scene.core.state.reason == "no token: 503"
        scene.passes(scene.core.state.until - BEGIN_MS - scene.ms)
    scene.do("token_given", scene.asks_token[0], TokenError("logged out"))
    assert (scene.core.state.name, scene.core.state.code) == ("failed", "token")


def test_why_has_the_last_twenty_changes():
    scene = Scene.online(how=options(backoff=NO_JITTER))
    for _ in range(10):
        scene.loses(1006)
        scene.passes(30_000)
    assert len(scene.core.why()) == 20
    step = next(step for step in reversed(scene.core.why()) if step.state == "waiting")
    assert (step.code, step.advice) == (1006, "comes back")


@pytest.mark.parametrize("raw", ["", "[]", "{}", '{"type":1}', '{"type":"hello","payload":[]}', "[" * 100_000, '{"type":"x","payload":{"n":NaN}}'])
def test_what_is_no_message_of_the_protocol_ends_the_connection(raw):
    scene = Scene()
    scene.do("open", "connect()")
    scene.do("dialled", scene.serial)
    scene.hears(raw)
    assert scene.core.state.name == "waiting"


# --- Requests ---


def test_requests_are_paced_as_the_server_says_and_go_in_order():
    scene = Scene.online()
    scene.sent.clear()
    for call in range(200):
        scene.do("ask", call, "x:y", {"n": call})
    burst = len(scene.sent)
    assert 50 <= burst <= 58
    scene.passes(1_000)
    assert 17 <= len(scene.sent) - burst <= 19
    scene.passes(10_000)
    assert [one["payload"]["n"] for one in scene.sent] == list(range(200))


def test_what_the_server_had_no_time_for_goes_again_before_the_rest():
    scene = Scene.online()
    scene.do("ask", 1, "x:y", {})
    scene.refuses("x:y", "rate_limited", retry_after_ms=2_000)
    scene.do("ask", 2, "x:z", {})
    scene.passes(1_900)
    assert not scene.sent
    scene.passes(200)
    assert [one["type"] for one in scene.sent] == ["x:y", "x:z"]


def test_a_request_is_answered_once_whatever_happens():
    scene = Scene.online()
    for call in (1, 2, 3, 4):
        scene.do("ask", call, "x:y", {})
    scene.replies("x:y", {"n": 1})
    scene.do("cancel_asked", 2)
    scene.passes(20_000)
    assert scene.answers[1] == {"n": 1} and code(scene, 2) == "cancelled" and code(scene, 3) == "timeout"
    scene = Scene.online()
    scene.do("ask", 1, "x:y", {})
    scene.loses()
    assert code(scene, 1) == "disconnected"
    scene.do("ask", 2, "x:y", {})
    scene.do("close")
    assert code(scene, 2) == "closed"
    scene.do("ask", 3, "x:y", {})
    assert code(scene, 3) == "closed"


def test_a_request_that_is_too_large_is_not_sent():
    scene = Scene.online()
    scene.sent.clear()
    scene.do("ask", 1, "x:y", {"text": "é" * 40_000})
    assert scene.sent == [] and scene.answers[1].limit == 65_536
    assert scene.core.state.is_online


def test_a_code_of_the_applications_own_is_its_own():
    scene = Scene.online()
    scene.do("ask", 1, "x:y", {})
    scene.refuses("x:y", "rate_limited", by="application", data={"a": 1})
    assert (scene.answers[1].passing, scene.answers[1].data) == (False, {"a": 1})
    # Names in it mean nothing but themselves.
    assert RequestError.read({"code": "x", "message": "y", "self": 1, "args": 2}).code == "x"


# --- Rooms ---


def page(first, last, head):
    return {"entries": [message("tea", seq) for seq in range(first, last + 1)], "head": head, "more": True}


def test_entries_come_once_in_order_and_without_a_hole():
    scene = Scene.online({"tea": 3})
    for seq in (4, 4, 2, 5, 8):
        scene.hears(message("tea", seq))
    assert scene.entries("tea") == [4, 5]
    scene.hears(message("tea", 9))
    asked = scene.replies("chat:history", page(6, 8, 8))
    assert (asked["room"], asked["after"]) == ("tea", 5)
    assert scene.entries("tea") == [6, 7, 8]
    # What came meanwhile.
    assert scene.replies("chat:history", page(9, 9, 9))["after"] == 8
    scene.hears(message("tea", 10))
    assert scene.entries("tea") == [9, 10]


def test_after_a_loss_a_room_goes_on_where_it_was():
    scene = Scene.online({"tea": 3, "den": 7})
    scene.hears(message("tea", 4))
    scene.loses()
    scene.passes(1_000)
    assert scene.greets({"tea": 6, "den": 7}) == {"tea": 4}
    scene.hears(message("tea", 5))
    assert scene.entries("tea") == [4, 5]


def test_where_the_log_does_not_reach_back_there_is_one_gap():
    scene = Scene.online({"tea": 3})
    scene.loses()
    scene.passes(1_000)
    scene.says_hello({"tea": 90})
    scene.replies("resume", {"rooms": {}, "refused": {"tea": {"code": "gone", "first": 80, "head": 90}}})
    scene.refuses("chat:history", "gone", first=80)
    assert scene.replies("chat:history", page(80, 90, 90))["after"] == 79
    told = scene.takes(events.Gap, events.Entry)
    assert told[0] == events.Gap("tea", 3, 80, "gone")
    assert [entry.seq for entry in told[1:]] == list(range(80, 91))


def test_another_life_of_the_store_is_a_gap():
    scene = Scene.online({"tea": 3})
    scene.loses()
    scene.passes(1_000)
    assert scene.greets({"tea": 2}, epoch="e2") == {}
    assert scene.takes(events.Gap) == [events.Gap("tea", 3, 3, "epoch_changed")]
    scene.hears(message("tea", 3))
    assert scene.entries("tea") == [3]


def test_a_program_that_takes_nothing_stops_the_rooms_and_loses_nothing_of_them():
    scene = Scene.online({"tea": 0}, options(queue=10))
    scene.takes()
    scene.do("taken", 10)
    for seq in range(1, 31):
        scene.hears(message("tea", seq))
        scene.hears({"type": "chat:typing", "payload": {"room": "tea", "user": "cyd", "typing": seq % 2 == 0}})
    got = scene.entries("tea")
    while scene.core.room("tea").last < 30:
        scene.do("taken", 10)
        if scene.is_asked("chat:history"):
            asked = scene.asked("chat:history")
            first = asked["payload"]["after"] + 1
            answer = page(first, min(first + asked["payload"]["limit"] - 1, 30), 30)
            scene.hears({"type": "reply", "id": asked["id"], "payload": answer})
        told = scene.takes()
        got += [event.seq for event in told if isinstance(event, events.Entry)]
        assert len(told) <= 10
    assert got == list(range(1, 31))
    scene.do("taken", 10)


def test_the_positions_of_many_rooms_go_in_pieces():
    rooms = {f"r{n}": 1 for n in range(700)}
    scene = Scene.online(rooms)
    for name in rooms:
        scene.hears(message(name, 2))
    scene.loses()
    scene.passes(1_000)
    scene.says_hello({name: 9 for name in rooms})
    sizes = []
    while not scene.core.state.is_online:
        asked = scene.asked("resume")["payload"]
        sizes.append((len(asked["rooms"]), asked["more"]))
        scene.sent.clear()
        scene.hears({"type": "reply", "id": scene.core._requests._last_id, "payload": {"rooms": {n: {} for n in asked["rooms"]}, "refused": {}}})
    assert sizes == [(300, True), (300, True), (100, False)]


def test_a_room_that_is_wanted_is_joined_again_and_one_that_was_refused_is_not():
    scene = Scene.online()
    scene.do("join", "tea", 1)
    scene.replies("room:join", {"room": "tea", "title": "Tea", "head": 1, "read": 1, "unread": 0})
    assert scene.core.room("tea").membership == "member" and scene.answers[1]["title"] == "Tea"
    scene.loses()
    scene.passes(1_000)
    scene.greets({})
    assert scene.asked("room:join")["payload"] == {"room": "tea"}
    scene = Scene.online()
    scene.do("send", kept("m1", "attic"))
    scene.do("join", "attic", 1)
    scene.refuses("room:join", "not_member")
    assert code(scene, 1) == "not_member"
    assert scene.takes(events.Membership)[-1].name == "refused"
    scene.loses()
    scene.passes(1_000)
    scene.greets({})
    assert not scene.is_asked("room:join")


def test_what_is_read_and_received_is_told_to_the_server_now_and_then():
    scene = Scene.online({"tea": 0, "den": 0})
    for room, seq in (("tea", 1), ("den", 1), ("tea", 2)):
        scene.hears(message(room, seq))
    assert scene.core.room("tea").unread == 2
    scene.do("mark_read", "tea", 1)
    scene.do("mark_read", "tea", None)
    scene.passes(1_000)
    assert scene.asked("chat:ack")["payload"] == {"rooms": {"tea": 2, "den": 1}}
    assert scene.replies("chat:read", {"unread": 0}) == {"room": "tea", "seq": 2}
    assert scene.core.room("tea").unread == 0
    scene.passes(5_000)
    assert not scene.is_asked("chat:ack") and not scene.is_asked("chat:read")


def test_nobody_types_for_ever():
    scene = Scene.online({"tea": 0})
    typing = {"type": "chat:typing", "payload": {"room": "tea", "user": "bob", "typing": True}}
    scene.hears(typing)
    assert scene.core.room("tea").typists == {"bob"}
    scene.passes(6_000)
    scene.hears(typing)
    scene.hears(message("tea", 1))
    told = scene.takes(events.Typing, events.Entry)
    assert [event.is_typing for event in told[:4]] == [True, False, True, False] and isinstance(told[4], events.Message)


def test_another_user_finds_nothing_of_the_one_before():
    scene = Scene.online({"tea": 3})
    scene.do("send", kept("m1"))
    scene.do("ask", 1, "x:y", {})
    scene.loses()
    scene.do("ask", 2, "x:y", {})
    scene.passes(1_000)
    assert scene.greets({"den": 1}, user="bob") == {}
    assert code(scene, 2) == "cancelled" and scene.core.unsent() == [] and scene.core.rooms() == ["den"]
    scene.loses()
    scene.passes(2_000)
    scene.greets({"tea": 3}, user="ada")
    assert scene.asked("chat:send")["payload"]["cid"] == "m1"


# --- Messages ---


def test_of_a_room_one_is_under_way_and_each_is_acknowledged():
    scene = Scene.online({"tea": 0, "den": 0})
    for id, room in (("m1", "tea"), ("m2", "tea"), ("d1", "den")):
        scene.do("send", kept(id, room))
    assert [one["payload"]["cid"] for one in scene.sent if one["type"] == "chat:send"] == ["m1", "d1"]
    scene.replies("chat:send", {"seq": 5, "ts": 9})
    assert scene.status("m1").stored == events.Stored("tea", 5, 9)
    scene.replies("chat:send", {"seq": 1, "ts": 9, "duplicate": True})
    assert scene.status("d1").stored.is_duplicate
    scene.replies("chat:send", {"seq": 6, "ts": 9})
    assert scene.core.unsent() == [] and scene.kept == {}


def test_a_message_is_sent_again_with_its_id_after_a_loss():
    scene = Scene.online({"tea": 0})
    scene.do("send", kept("m1", data='{"a":1.50}'))
    scene.do("send", kept("m2"))
    scene.loses()
    assert scene.status("m1").name == "queued"
    scene.do("cancel", "m1")
    scene.do("cancel", "m2")
    assert scene.status("m2").name == "cancelled"
    scene.passes(1_000)
    scene.greets({"tea": 0})
    asked = scene.asked("chat:send")["payload"]
    assert asked == {"room": "tea", "text": "text of m1", "cid": "m1", "data": {"a": 1.5}}
    # Its entry says that it is stored, whatever becomes of the answer.
    scene.hears(message("tea", 1, "ada", cid="m1"))
    assert scene.status("m1").name == "acked"
    assert [type(event) for event in scene.takes(events.Entry)] == [events.Message]


def test_what_is_refused_stays_and_what_passes_goes_again():
    scene = Scene.online({"tea": 0})
    scene.do("send", kept("m1"))
    scene.refuses("chat:send", "forbidden")
    assert scene.status("m1").error.code == "forbidden" and scene.kept["m1"].failed == "forbidden"
    assert scene.core.repeats(kept("m1")) and not scene.core.repeats(replace(kept("m1"), text="other"))
    scene.do("send", kept("m1"))
    assert scene.status("m1").error.code == "conflict"
    scene.do("retry", "m1")
    scene.passes(0)
    scene.refuses("chat:send", "unavailable", retry_after_ms=4_000)
    scene.passes(3_900)
    assert not scene.is_asked("chat:send")
    scene.passes(200)
    scene.replies("chat:send", {"seq": 1, "ts": 2})
    assert scene.status("m1").name == "acked"


def test_messages_that_are_too_old_or_too_many_are_told():
    scene = Scene()
    scene.do("send", kept("m1"))
    scene.passes(49 * 3_600_000)
    scene.do("open", "connect()")
    scene.greets({"tea": 0})
    assert scene.status("m1").name == "expired"
    scene = Scene()
    for n in range(10_001):
        scene.do("send", kept(f"m{n}"))
    assert scene.status("m10000").error.code == "outbox_full"


def test_what_an_earlier_process_left_is_its_users():
    for said in (None, "ada"):
        scene = Scene(options(user=said))
        scene.do("left", [kept("m1", at=BEGIN_MS)])
        scene.do("open", "connect()")
        scene.greets({"tea": 0})
        assert scene.is_asked("chat:send") == (said is not None)
        assert [one.failed for one in scene.core.unsent()] == [None if said else "unconfirmed"]
        assert not said or scene.status("m1").name == "sent"
    scene = Scene()
    scene.do("left", [kept("m1", user="bob")])
    scene.do("open", "connect()")
    scene.greets({"tea": 0})
    assert scene.core.unsent() == []


def test_a_guest_leaves_nothing():
    scene = Scene()
    scene.do("open", "connect()")
    scene.do("dialled", scene.serial)
    scene.hears({"type": "hello", "payload": {"epoch": "e", "user": {"id": "guest", "anonymous": True}, "limits": {}}})
    assert scene.core.state.is_online and scene.core.hello.is_guest
    scene.do("send", kept("m1"))
    assert scene.kept == {}


def test_ids_are_not_the_same():
    from random import Random

    assert len({message_id(5, 1, Random(seed)) for seed in range(1_000)}) == 1_000


def test_a_conversation_is_made_by_its_first_message():
    scene = Scene.online()
    scene.do("send", kept("m1", "dm:ada:bob"))
    assert scene.asked("chat:send")["payload"]["to"] == "bob"


# --- People and streams ---


def test_who_is_online_is_the_list_and_what_has_changed_since():
    scene = Scene.online()
    scene.do("watch_presence")

    def change(kind, version, *users, **more):
        return {"type": f"user:{kind}", "payload": {"version": version, "users": list(users), **more}}

    scene.replies("presence:list", {"version": 5, "more": True, "users": [{"user": "ada", "name": "Ada"}, {"user": "bob", "name": "B"}]})
    scene.hears(change("offline", 6, "ada"))
    scene.hears(change("offline", 5, "cyd"))
    assert scene.replies("presence:list", {"version": 9, "users": [{"user": "cyd", "name": "C"}]}) == {"after": "bob"}
    assert scene.takes(events.Presence)[-1].users == {"bob": "B", "cyd": "C"}
    scene.hears(change("online", 10, "dan"))
    scene.hears(change("offline", 11, "bob", room="tea"))
    assert scene.takes(events.Presence)[-1].users == {"bob": "B", "cyd": "C", "dan": "dan"}
    scene.hears({"type": "user:count", "payload": {"version": 12, "online": 900}})
    assert scene.takes(events.Presence)[-1] == events.Presence({}, 900, True)
    scene.hears(change("online", 13, "eve", reset=True))
    assert scene.is_asked("presence:list")


def event(seq, prev=None):
    return {"type": "event", "payload": {"stream": "depth", "seq": seq, "prev": prev, "ts": 5, "data": {"n": seq}}}


def begins(**told):
    return {"streams": [{"stream": "depth", **told}]}


def test_a_stream_begins_with_what_there_is_and_then_each_event_comes_once():
    scene = Scene.online()
    scene.do("watch", "depth", WatchOptions('{"/a":1}', 5))
    asked = scene.replies("subscribe", begins(epoch="s1", seq=7, snapshot={"n": 7}))
    assert asked == {"stream": "depth", "filter": {"/a": 1}, "max_rate": 5}
    for seq, prev in ((8, None), (9, 8), (9, 8), (12, 11), (13, 9)):
        scene.hears(event(seq, prev))
    assert [(told.seq, told.is_skipped) for told in scene.takes(events.StreamEvent)] == [(7, False), (8, False), (9, False), (12, False), (13, True)]


@pytest.mark.parametrize(("epoch", "replayed", "reason"), [("s1", True, None), ("s1", False, "gone"), ("s2", False, "epoch_changed")])
def test_after_a_loss_a_stream_goes_on_and_what_is_not_kept_is_told(epoch, replayed, reason):
    scene = Scene.online()
    scene.do("watch", "depth", WatchOptions())
    scene.replies("subscribe", begins(epoch="s1", seq=7))
    scene.hears(event(8))
    scene.loses()
    scene.passes(1_000)
    scene.greets({})
    assert scene.replies("subscribe", begins(epoch=epoch, seq=20, replayed=replayed)) == {"stream": "depth", "since": 8, "epoch": "s1"}
    assert [gap.reason for gap in scene.takes(events.StreamGap)] == ([reason] if reason else [])


def test_the_snapshot_of_a_log_is_its_events():
    scene = Scene.online()
    scene.do("watch", "depth", WatchOptions())
    log = [{"seq": 3, "ts": 1, "data": 1}, {"seq": 4, "ts": 2, "data": 2}]
    scene.replies("subscribe", begins(epoch="s1", seq=4, snapshot=log))
    assert [told.seq for told in scene.takes(events.StreamEvent)] == [3, 4]
    scene = Scene.online()
    scene.do("watch", "depth", WatchOptions())
    scene.replies("subscribe", begins(epoch="s1", seq=4, snapshot=[{"seq": 3}, 7]))
    assert [told.data for told in scene.takes(events.StreamEvent)] == [[{"seq": 3}, 7]]


def test_bytes_come_behind_the_name_and_the_number():
    scene = Scene.online()
    scene.do("watch", "frame", WatchOptions())
    scene.replies("subscribe", {"streams": [{"stream": "frame", "epoch": "s", "seq": 1}]})
    raw = bytes([5]) + b"frame" + (258).to_bytes(8, "big") + b"\x00\xff"
    for cut in range(len(raw) - 2):
        scene.do("bytes", scene.serial, raw[:cut])
    scene.do("bytes", scene.serial, raw)
    assert [(told.seq, told.data) for told in scene.takes(events.StreamEvent)] == [(258, b"\x00\xff")]


def test_a_stream_that_is_refused_is_told_once_and_one_that_ends_too():
    scene = Scene.online()
    scene.do("watch", "depth", WatchOptions())
    scene.refuses("subscribe", "no_such_stream")
    assert [told.error.code for told in scene.takes(events.StreamRefused)] == ["no_such_stream"]
    scene.do("watch", "depth", WatchOptions())
    scene.replies("subscribe", begins(epoch="s1", seq=0))
    scene.hears({"type": "stream:stale", "payload": {"stream": "depth", "stale": True, "since": 5, "age_ms": 3}})
    scene.hears({"type": "stream:stale", "payload": {"stream": "depth", "stale": False}})
    assert [told.since for told in scene.takes(events.StreamStale)] == [5, None]
    scene.hears({"type": "notice", "payload": {"code": "unsubscribed", "message": "rights", "streams": ["depth"]}})
    assert [told.error.code for told in scene.takes(events.StreamRefused)] == ["unsubscribed"]


def test_what_is_not_known_is_told_as_it_came():
    scene = Scene.online({"tea": 0})
    scene.hears({"type": "dice", "payload": {"n": 6}})
    scene.hears({"type": "chat:pinned", "payload": {"room": "tea", "seq": 1, "ts": 5}})
    assert [push.type for push in scene.takes(events.Push)] == ["dice", "chat:pinned"]
    assert scene.core.room("tea").last == 1
