"""Rooms and what is said in them: every request, reply, push and refusal about a room's log."""

import json
import random
import sqlite3
import threading
import time
from contextlib import ExitStack

import pytest

import harness
from harness import PATIENCE, TEXT, Chat, Raw, Refused, frame


def texts(pushes):
    return [payload.get("text") for payload in pushes]


def seqs(payloads):
    return [payload["seq"] for payload in payloads]


class Pipe:
    """A connection on a bare socket, for requests in one segment and for reading slowly."""

    def __init__(self, server, user, **how):
        self.raw = Raw(server, path=f"/ws?user={user}", **how)
        assert self.next()["type"] == "hello"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.raw.end()

    def next(self):
        return json.loads(self.raw.read_message().payload)

    def send(self, *requests):
        """All in one segment: `(type, payload)`, with ids 1, 2, 3 …"""
        self.raw.send(
            *(
                frame(TEXT, json.dumps({"type": kind, "id": id, "payload": payload}))
                for id, (kind, payload) in enumerate(requests, 1)
            )
        )

    def answers(self, count):
        """The answers to the ids 1 to `count`, and all pushes that came before the last of them."""
        answers, pushes = {}, []
        while len(answers) < count:
            message = self.next()
            if "id" in message:
                answers[message["id"]] = message
            else:
                pushes.append(message)
        return [answers[id] for id in range(1, count + 1)], pushes


@pytest.fixture(scope="module")
def told(server):
    """A room of 450 entries."""
    with Chat(server, "teller") as teller:
        teller.join("told")
        ids = [
            teller.send("chat:send", room="told", text=f"entry {n}", cid=f"c{n}")
            for n in range(2, 451)
        ]
        for id in ids:
            teller.answer(id)
    return "told"


class TestJoining:
    def test_a_name_that_nobody_uses_becomes_an_open_room_of_the_callers(self, chat, name):
        room, ada, bob = name("room"), chat(name("ada")), chat(name("bob"))
        joined = ada.join(room)
        assert joined["room"] == room and joined["title"] == ""
        assert (joined["head"], joined["read"], joined["unread"], joined["members"]) == (1, 1, 0, 1)
        push = ada.push("room:joined")
        assert (push["room"], push["seq"], push["user"]) == (room, 1, ada.user)
        assert isinstance(push["ts"], int) and "by" not in push
        joined = bob.join(room)
        assert (joined["head"], joined["read"], joined["members"]) == (2, 2, 2)
        assert ada.push("room:joined")["user"] == bob.user
        members = ada.request("room:members", room=room)
        roles = {member["user"]: member["role"] for member in members["members"]}
        assert roles == {ada.user: "owner", bob.user: "member"}

    def test_joining_again_changes_nothing(self, chat, name):
        room, ada = name("room"), chat(name("ada"))
        ada.join(room)
        ada.say(room, "one")
        again = ada.join(room)
        assert (again["head"], again["members"]) == (2, 1)
        assert len(ada.pushed("room:joined", room=room)) == 1

    def test_all_connections_of_a_user_follow_what_one_joins(self, chat, name):
        room, user = name("room"), name("ada")
        one, other = chat(user), chat(user)
        one.join(room)
        assert other.push("room:joined")["room"] == room
        one.say(room, "to both")
        assert other.push("chat:message")["text"] == "to both"

    @pytest.mark.parametrize(
        "room", ["", "a b", "ä", "a/b", "x" * 65, ".", "..", "...", "a\n", 7, None, [], {}]
    )
    def test_a_name_that_is_none_is_bad_request(self, chat, name, room):
        refusal = chat(name("ada")).refusal("room:join", room=room)
        assert (refusal["code"], refusal["field"]) == ("bad_request", "room")

    @pytest.mark.parametrize("room", ["x" * 64, "a.b_c@d-e:F9", "0", ".a", "A", "a"])
    def test_names_have_their_letters_and_differ_by_case(self, chat, name, room):
        assert chat(name("ada")).join(room)["room"] == room

    def test_names_that_begin_with_dm_are_reserved(self, chat, name):
        ada = chat(name("ada"))
        for room in ("dm:a:b", "dm:x", f"dm:{ada.user}:zoe", "dm:" + "x" * 64 + ":" + "y" * 64):
            assert ada.refused("room:join", room=room) == "not_member", room
            assert ada.refused("room:create", room=room) in ("forbidden", "bad_request"), room

    def test_the_number_of_ones_rooms_has_a_limit(self, servers):
        server = servers.parlor(set={"limits.rooms": 2})
        with Chat(server, "ada") as ada, Chat(server, "bob") as bob:
            assert ada.hello["limits"]["rooms"] == 2
            bob.request("chat:send", to="ada", text="this room does not count")
            ada.join("one")
            bob.join("one")
            ada.request("room:create", room="two")
            bob.request("room:create", room="three", members=["ada"])
            for kind in ("room:join", "room:create"):
                refusal = ada.refusal(kind, room="four")
                assert (refusal["code"], refusal["limit"]) == ("quota", 2), kind
            ada.request("room:leave", room="one")
            ada.join("four")

    def test_a_room_has_a_number_of_members(self, servers):
        server = servers.parlor(set={"limits.room_members": 2})
        with Chat(server, "ada") as ada, Chat(server, "bob") as bob, Chat(server, "eve") as eve:
            ada.join("small")
            bob.join("small")
            refusal = eve.refusal("room:join", room="small")
            assert (refusal["code"], refusal["limit"]) == ("quota", 2)
            refusal = eve.refusal("room:create", room="other", members=["ada", "bob"])
            assert refusal["code"] == "quota"


class TestCreating:
    def test_a_room_has_title_members_and_owner(self, chat, name):
        room, ada, bob, eve = name("room"), chat(name("ada")), chat(name("bob")), name("eve")
        before = name("before")
        for one in (ada, bob):
            one.join(before)
        made = ada.request(
            "room:create", room=room, title="Tea – 5 o'clock", members=[bob.user, eve]
        )
        assert (made["room"], made["invited"]) == (room, [eve]), "they share no room"
        entries = ada.history(room)["entries"]
        assert [entry["type"] for entry in entries] == ["room:joined"] * 2
        assert entries[0]["payload"]["user"] == ada.user and "by" not in entries[0]["payload"]
        assert (entries[1]["payload"]["user"], entries[1]["payload"]["by"]) == (bob.user, ada.user)
        pushed = [payload["seq"] for _, payload in bob.pushed("room:joined", room=room)]
        assert pushed and pushed == sorted(pushed), "a member's connections follow at once"
        (listed,) = [one for one in bob.request("room:list")["rooms"] if one["room"] == room]
        assert (listed["title"], listed["members"]) == ("Tea – 5 o'clock", 2)
        assert listed["open"] is False

    def test_a_taken_name_is_a_conflict(self, chat, name):
        room, ada, bob = name("room"), chat(name("ada")), chat(name("bob"))
        ada.request("room:create", room=room)
        assert ada.refused("room:create", room=room) == "conflict"
        assert bob.refused("room:create", room=room) == "conflict"

    def test_a_closed_room_is_not_joined_and_an_open_one_is(self, chat, name):
        ada, bob = chat(name("ada")), chat(name("bob"))
        closed, opened = name("closed"), name("open")
        ada.request("room:create", room=closed)
        ada.request("room:create", room=opened, open=True)
        assert bob.refused("room:join", room=closed) == "not_member"
        assert bob.join(opened)["members"] == 2

    def test_without_a_name_the_server_makes_one(self, chat, name):
        ada = chat(name("ada"))
        one, other = (ada.request("room:create", title="x")["room"] for _ in range(2))
        assert one != other
        assert ada.say(one, "here")["room"] == one

    @pytest.mark.parametrize(
        ("member", "value", "code"),
        [
            ("title", "x" * 129, "too_large"),
            ("title", "é" * 65, "too_large"),
            ("title", 7, "bad_request"),
            ("title", "Tea\u202e", "bad_request"),
            ("title", "Tea\n5", "bad_request"),
            ("open", "yes", "bad_request"),
            ("members", "bob", "bad_request"),
            ("members", [7], "bad_request"),
            ("members", ["a b"], "bad_request"),
            ("members", [f"user{n}" for n in range(201)], "too_large"),
        ],
    )
    def test_what_is_wrong_is_named(self, chat, name, member, value, code):
        refusal = chat(name("ada")).refusal("room:create", {"room": name("room"), member: value})
        assert refusal["code"] == code
        if code == "bad_request":
            assert refusal["field"] == member
        else:
            assert refusal["limit"] == (128 if member == "title" else 200)

    def test_a_title_is_kept_in_one_form(self, chat, name):
        room, ada = name("room"), chat(name("ada"))
        made = ada.request("room:create", room=room, title=" Cafe\u0301 \U0001f469\u200d\U0001f680 ")
        assert made["title"] == "Caf\u00e9 \U0001f469\u200d\U0001f680"
        assert ada.request("room:update", room=room, title="\u200b")["title"] == ""
        refusal = ada.refusal("room:update", {"room": room, "title": "a\u2066b"})
        assert (refusal["code"], refusal["field"]) == ("bad_request", "title")

    def test_200_members_are_taken_at_once(self, chat, name, server):
        room, ada, users = name("room"), chat(name("ada")), [f"m{n}" for n in range(200)]
        before = name("before")
        ada.join(before)
        server.admit(before, *users)
        ada.request("room:create", room=room, title="é" * 64, members=users)
        page = ada.request("room:members", room=room, limit=1_000)
        assert len(page["members"]) == 200 and page["more"] is True, "more is taken as 200"
        rest = ada.request("room:members", room=room, after=page["members"][-1]["user"])
        assert len(rest["members"]) == 1 and rest["more"] is False


class TestLeaving:
    def test_it_ends_the_pushes_on_all_connections_and_is_an_entry_for_the_others(self, chat, name):
        room, user, bob = name("room"), name("ada"), chat(name("bob"))
        one, other = chat(user), chat(user)
        one.join(room)
        bob.join(room)
        assert one.request("room:leave", room=room) == {"room": room}
        for connection in (one, other):
            removed = connection.push("room:removed")
            assert (removed["room"], removed["reason"]) == (room, "left")
        left = bob.push("room:left")
        assert (left["room"], left["user"], left["seq"]) == (room, user, 3)
        bob.say(room, "they are gone")
        for connection in (one, other):
            connection.pushed("room:joined")
            assert connection.pushed(room=room) == [], "nothing more of the room is pushed"
            assert connection.refused("chat:send", room=room, text="hm") == "not_member"
            assert connection.refused("chat:history", room=room) == "not_member"

    def test_an_owner_hands_over_to_the_member_of_longest_standing(self, chat, name):
        room = name("room")
        ada, zoe, bob = chat(name("ada")), chat(name("zoe")), chat(name("bob"))
        for member in (ada, zoe, bob):
            member.join(room)
        ada.request("room:leave", room=room)
        members = bob.request("room:members", room=room)["members"]
        assert {member["user"]: member["role"] for member in members} == {
            zoe.user: "owner",
            bob.user: "member",
        }

    def test_a_room_outlives_its_last_member_and_uses_no_number_twice(self, chat, name):
        room, ada, bob = name("room"), chat(name("ada")), chat(name("bob"))
        ada.join(room)
        ada.say(room, "remember me")
        ada.request("room:leave", room=room)
        assert bob.join(room)["head"] == 4
        entries = bob.history(room)["entries"]
        assert [entry["payload"]["seq"] for entry in entries] == [1, 2, 3, 4]
        assert entries[1]["payload"]["text"] == "remember me", "a member may read the whole log"

    def test_a_stranger_cannot_leave(self, chat, name):
        assert chat(name("ada")).refused("room:leave", room=name("room")) == "not_member"


class TestStrangers:
    def test_they_cannot_tell_a_room_that_exists_from_one_that_does_not(self, chat, name):
        secret, absent = name("secret"), name("secret")
        ada, eve = chat(name("ada")), chat(name("eve"))
        ada.request("room:create", room=secret)
        requests = [
            ("chat:send", {"text": "?"}),
            ("chat:send", {"text": "?", "reply_to": 1}),
            ("chat:history", {}),
            ("chat:history", {"after": 0}),
            ("chat:typing", {}),
            ("chat:read", {"seq": 1}),
            ("room:leave", {}),
            ("room:members", {}),
            ("presence:list", {}),
        ]
        for kind, payload in requests:
            there, nowhere = (
                json.dumps(eve.refusal(kind, {**payload, "room": room})).replace(room, "ROOM")
                for room in (secret, absent)
            )
            assert json.loads(there)["code"] == "not_member", kind
            assert there == nowhere, kind
        assert all(room["room"] != secret for room in eve.request("room:list", open=True)["rooms"])
        ada.settle()
        assert ada.pushed("chat:message", "chat:typing", "chat:read") == []


class TestListing:
    def test_ones_own_rooms_with_their_marks(self, chat, name):
        ada, bob = chat(name("ada")), chat(name("bob"))
        one, two = name("own"), name("own")
        ada.join(one)
        ada.join(two)
        bob.join(one)
        bob.say(one, "unread")
        bob.say(one, "unread")
        listing = ada.request("room:list")
        assert listing["more"] is False
        rooms = {room.pop("room"): room for room in listing["rooms"]}
        assert rooms == {
            one: {"title": "", "open": True, "members": 2, "head": 4, "read": 1, "unread": 2},
            two: {"title": "", "open": True, "members": 1, "head": 1, "read": 1, "unread": 0},
        }
        again = chat(ada.user).hello["rooms"]
        told = {room["room"]: (room["head"], room["read"], room["unread"]) for room in again}
        assert told == {one: (4, 1, 2), two: (1, 1, 0)}

    def test_open_rooms_in_pages(self, servers):
        server = servers.parlor()
        with Chat(server, "ada") as ada, Chat(server, "bob") as bob:
            for number in range(5):
                ada.join(f"open-{number}")
            ada.request("room:create", room="open-closed")
            ada.request("chat:send", to="bob", text="hi")
            bob.join("open-3")
            found, after = [], None
            for _ in range(3):
                page = bob.request(
                    "room:list",
                    {"open": True, "limit": 2, "after": after}
                    if after
                    else {"open": True, "limit": 2},
                )
                found += page["rooms"]
                assert page["more"] is (len(found) < 5)
                after = found[-1]["room"]
            assert [room["room"] for room in found] == [f"open-{n}" for n in range(5)]
            for room in found:
                assert ("read" in room, "unread" in room) == (room["room"] == "open-3",) * 2
            own = [room["room"] for room in ada.request("room:list", open=True)["rooms"]]
            assert own == [f"open-{n}" for n in range(5)] + ["open-closed"], "or is in; never dm:"

    def test_members_in_pages(self, chat, name, server):
        room, ada = name("room"), chat(name("ada"))
        users = sorted([ada.user, *(name("zz") for _ in range(4))])
        ada.request("room:create", room=room, members=users[1:])
        server.admit(room, *users[1:])
        found = []
        while True:
            more = {"after": found[-1]["user"]} if found else {}
            page = ada.request("room:members", room=room, limit=2, **more)
            assert 1 <= len(page["members"]) <= 2
            found += page["members"]
            if not page["more"]:
                break
        assert sorted(member["user"] for member in found) == users
        online = {member["user"]: member["online"] for member in found}
        assert online == {user: user == ada.user for user in users}
        for member in found:
            assert isinstance(member["name"], str) and isinstance(member["read"], int)
        assert ada.refused("room:members", room=room, limit=0) == "bad_request"


class TestSending:
    def test_a_message_reaches_every_connection_of_every_member(self, chat, name):
        room, ada, bob = name("room"), chat(name("ada")), chat(name("bob"))
        second = chat(ada.user)
        ada.join(room)
        bob.join(room)
        sent = ada.say(room, "Hello – 😀 <b>&amp;", data={"k": [1]}, cid="c1")
        assert set(sent) == {"room", "seq", "ts"} and sent["seq"] == 3
        for connection in (ada, second, bob):
            message = connection.push("chat:message")
            cid = {} if connection is bob else {"cid": "c1"}
            assert message == {
                "room": room,
                "seq": 3,
                "from": ada.user,
                "text": "Hello – 😀 <b>&amp;",
                "data": {"k": [1]},
                "ts": sent["ts"],
                **cid,
            }
        reply = bob.say(room, "and to you", reply_to=3)
        assert ada.push("chat:message")["reply_to"] == 3
        assert reply["seq"] == 4 and reply["ts"] >= sent["ts"]

    @pytest.mark.parametrize(
        "data",
        [
            '{"b":1.50, "a":[1e400,12345678901234567890,-0.0],"b":2}',
            "null",
            "false",
            '"\\u00e4\\/"',
            '{"":{"":[]}}',
            "1.0",
            "[ ]",
        ],
    )
    def test_data_is_handed_on_as_it_came(self, chat, name, data):
        room, ada, bob = name("room"), chat(name("ada")), chat(name("bob"))
        ada.join(room)
        bob.join(room)
        ada.raw(
            '{"type":"chat:send","id":"d","payload":{"room":"%s","text":"x","data":%s}}'
            % (room, data)
        )
        ada.answer("d")
        bob.push("chat:message")
        pushed = next(text for text in bob.texts if '"chat:message"' in text)
        assert f'"data":{data}' in pushed
        bob.history(room, after=2)
        assert f'"data":{data}' in bob.texts[-1], "in a history, too"

    @pytest.mark.parametrize(
        ("members", "code", "field"),
        [
            ({"text": "x" * 16_385}, "too_large", 16_384),
            ({"text": "é" * 8_193}, "too_large", 16_384),
            ({"text": "", "data": "x" * 16_383}, "too_large", 16_384),
            ({"text": "", "cid": "x" * 65}, "too_large", 64),
            ({}, "bad_request", "text"),
            ({"text": None}, "bad_request", "text"),
            ({"text": 7}, "bad_request", "text"),
            ({"text": "", "cid": 7}, "bad_request", "cid"),
            ({"text": "", "cid": ""}, "bad_request", "cid"),
            ({"text": "", "reply_to": "1"}, "bad_request", "reply_to"),
            ({"text": "", "reply_to": -1}, "bad_request", "reply_to"),
            ({"text": "", "reply_to": 1.5}, "bad_request", "reply_to"),
            ({"text": "", "to": "zoe"}, "bad_request", None),
            ({"text": "", "reply_to": 99}, "no_such_message", None),
        ],
    )
    def test_what_is_wrong_is_named(self, chat, name, members, code, field):
        room, ada = name("room"), chat(name("ada"))
        ada.join(room)
        refusal = ada.refusal("chat:send", {"room": room, **members})
        assert refusal["code"] == code
        if code == "too_large":
            assert refusal["limit"] == field
        elif field:
            assert refusal["field"] == field
        assert ada.history(room)["head"] == 1, "nothing was stored"

    def test_texts_of_every_size_up_to_the_limit(self, chat, name):
        room, ada = name("room"), chat(name("ada"))
        ada.join(room)
        ada.say(room, "")
        ada.say(room, "x" * 16_384)
        ada.say(room, "\n" * 16_384)
        ada.say(room, "\0\x1f\u2028\u2029\ufeff</script>")
        got = [payload["text"] for payload in ada.messages(room)]
        assert got == ["", "x" * 16_384, "\n" * 16_384, "\0\x1f\u2028\u2029\ufeff</script>"]

    def test_times_never_fall_and_numbers_have_no_hole(self, chat, name):
        room, ada, bob = name("room"), chat(name("ada")), chat(name("bob"))
        ada.join(room)
        bob.join(room)
        ids = [
            (who, who.send("chat:send", room=room, text=str(n)))
            for n in range(100)
            for who in (ada, bob)
        ]
        replies = [who.answer(id) for who, id in ids]
        assert sorted(seqs(replies)) == list(range(3, 203))
        for who in (ada, bob):
            messages = who.messages(room)
            assert seqs(messages) == list(range(3, 203))
            times = [message["ts"] for message in messages]
            assert times == sorted(times)
            assert abs(times[-1] / 1_000 - time.time()) < 60
            own = [message["text"] for message in messages if message["from"] == who.user]
            assert own == [str(n) for n in range(100)], "in the order in which one sent them"


class TestRepeats:
    def test_a_repeat_returns_the_first_result_and_shows_nothing(self, chat, name):
        room, ada, bob = name("room"), chat(name("ada")), chat(name("bob"))
        ada.join(room)
        bob.join(room)
        first = ada.say(room, "once", cid="same", data={"n": 1.0})
        for connection in (ada, chat(ada.user)):
            again = connection.say(room, "once", cid="same", data={"n": 1.0})
            assert again == {**first, "duplicate": True}
        assert texts(bob.messages(room)) == ["once"]
        assert bob.history(room)["head"] == 3

    def test_another_message_under_the_same_cid_is_refused(self, chat, name):
        room, ada = name("room"), chat(name("ada"))
        ada.join(room)
        ada.say(room, "text", cid="same", data=1, reply_to=1)
        for members in (
            {"text": "other", "data": 1, "reply_to": 1},
            {"text": "text", "data": 2, "reply_to": 1},
            {"text": "text", "reply_to": 1},
            {"text": "text", "data": 1},
        ):
            refusal = ada.refused("chat:send", {"room": room, "cid": "same", **members})
            assert refusal == "duplicate_mismatch", members
        assert ada.history(room)["head"] == 2

    def test_cids_are_of_an_author_and_a_room(self, chat, name):
        one, two, ada, bob = name("room"), name("room"), chat(name("ada")), chat(name("bob"))
        for who in (ada, bob):
            who.join(one)
            who.join(two)
        results = [who.say(room, "x", cid="same") for who in (ada, bob) for room in (one, two)]
        assert not any("duplicate" in result for result in results)
        dm = ada.request("chat:send", to=bob.user, text="x", cid="same")
        assert "duplicate" not in dm
        assert ada.request("chat:send", to=bob.user, text="x", cid="same")["duplicate"] is True

    def test_a_repeat_while_the_first_is_committed_joins_it(self, server, name):
        room = name("room")
        with Pipe(server, name("ada")) as pipe:
            send = ("chat:send", {"room": room, "text": "once", "cid": "c"})
            other = ("chat:send", {"room": room, "text": "other", "cid": "c"})
            pipe.send(("room:join", {"room": room}), send, send, send, other, ("ping", {}))
            answers, pushes = pipe.answers(6)
            results = [answer["payload"] for answer in answers[1:4]]
            assert [result["seq"] for result in results] == [2, 2, 2]
            assert sorted(result.get("duplicate", False) for result in results) == [
                False,
                True,
                True,
            ]
            assert answers[4]["payload"]["code"] == "duplicate_mismatch"
            messages = [push for push in pushes if push["type"] == "chat:message"]
            assert len(messages) == 1

    def test_two_connections_race_with_one_cid(self, server, name):
        user, room = name("ada"), name("room")
        with Pipe(server, user) as one, Pipe(server, user) as other:
            one.send(("room:join", {"room": room}))
            one.answers(1)
            sends = [
                ("chat:send", {"room": room, "text": f"{n}", "cid": f"c{n}"}) for n in range(50)
            ]
            one.send(*sends)
            other.send(*sends)
            first, second = one.answers(50)[0], other.answers(50)[0]
            for left, right in zip(first, second):
                left, right = left["payload"], right["payload"]
                assert left["seq"] == right["seq"]
                assert ("duplicate" in left) != ("duplicate" in right), "one of them was the first"
        with Chat(server, user) as ada:
            assert ada.history(room)["head"] == 51

    def test_membership_is_checked_again(self, chat, name):
        room, ada = name("room"), chat(name("ada"))
        ada.join(room)
        ada.say(room, "x", cid="c")
        ada.request("room:leave", room=room)
        assert ada.refused("chat:send", room=room, text="x", cid="c") == "not_member"

    def test_a_repeat_is_known_after_a_restart(self, servers):
        server = servers.parlor()
        with Chat(server, "ada") as ada:
            ada.join("lobby")
            first = ada.say("lobby", "once", cid="c", data={"a": 1.50})
            epoch = ada.hello["epoch"]
        server.kill()
        server = servers.parlor(data=server.data)
        with Chat(server, "ada") as ada:
            assert ada.hello["epoch"] == epoch
            assert ada.say("lobby", "once", cid="c", data={"a": 1.50}) == {
                **first,
                "duplicate": True,
            }
            assert (
                ada.refused("chat:send", room="lobby", text="twice", cid="c")
                == "duplicate_mismatch"
            )
            assert ada.history("lobby")["head"] == 2


class TestOrder:
    def test_what_is_sent_without_waiting_is_handled_as_if_in_order(self, server, name):
        room, user = name("room"), name("ada")
        with Pipe(server, user) as pipe:
            pipe.send(
                ("room:join", {"room": room}),
                ("chat:send", {"room": room, "text": "one"}),
                ("chat:send", {"room": room, "text": "two"}),
                ("chat:history", {"room": room}),
                ("room:members", {"room": room}),
                ("room:list", {}),
                ("chat:read", {"room": room, "seq": 3}),
                ("room:leave", {"room": room}),
                ("chat:send", {"room": room, "text": "too late"}),
                ("room:list", {}),
                ("room:join", {"room": room}),
                ("chat:history", {"room": room}),
            )
            answers, pushes = pipe.answers(12)
            kinds = [answer["type"] for answer in answers]
            assert kinds == ["reply"] * 8 + ["error"] + ["reply"] * 3
            answers = [answer["payload"] for answer in answers]
            assert texts([entry["payload"] for entry in answers[3]["entries"]]) == [
                None,
                "one",
                "two",
            ]
            assert answers[4]["members"][0]["user"] == user
            assert answers[5]["rooms"][0]["head"] == 3
            assert answers[6] == {"room": room, "seq": 3, "unread": 0}
            assert answers[8]["code"] == "not_member"
            assert answers[9]["rooms"] == []
            assert answers[11]["head"] == 5
            numbers = [
                push["payload"]["seq"]
                for push in pushes
                if "seq" in push["payload"] and push["type"] != "chat:read"
            ]
            assert numbers == [1, 2, 3, 5], "no hole but the leaving, which the leaver is not shown"

    def test_create_send_and_direct_messages_without_waiting(self, server, name):
        room, ada, bob = name("room"), name("ada"), name("bob")
        with Pipe(server, ada) as pipe:
            direct = f"dm:{min(ada, bob)}:{max(ada, bob)}"
            pipe.send(
                ("room:create", {"room": room}),
                ("chat:send", {"room": room, "text": "mine"}),
                ("room:create", {"room": room}),
                ("chat:send", {"to": bob, "text": "one"}),
                ("chat:send", {"room": direct, "text": "two"}),
                ("chat:history", {"room": direct}),
            )
            answers, _ = pipe.answers(6)
            assert [answer["payload"].get("seq") for answer in answers[:5]] == [None, 2, None, 1, 2]
            assert answers[2]["payload"]["code"] == "conflict"
            assert answers[5]["payload"]["head"] == 2


class TestDirectMessages:
    def test_the_first_makes_the_room_for_both(self, chat, name):
        bob, ada = chat(name("bob")), chat(name("ada"))
        second = chat(bob.user)
        room = f"dm:{ada.user}:{bob.user}" if ada.user < bob.user else f"dm:{bob.user}:{ada.user}"
        sent = bob.request("chat:send", to=ada.user, text="psst")
        assert (sent["room"], sent["seq"]) == (room, 1)
        for connection in (ada, bob, second):
            message = connection.push("chat:message")
            assert (message["room"], message["from"], message["text"]) == (room, bob.user, "psst")
        assert ada.request("chat:send", to=bob.user, text="what?")["room"] == room
        assert ada.say(room, "by its name")["seq"] == 3
        (listed,) = chat(bob.user).hello["rooms"]
        assert (listed["room"], listed["head"], listed["unread"]) == (room, 3, 2)

    def test_the_other_may_never_have_been_here(self, chat, name):
        ada, bob = chat(name("ada")), name("bob")
        sent = ada.request("chat:send", to=bob, text="for later")
        late = chat(bob)
        (room,) = late.hello["rooms"]
        assert (room["room"], room["unread"]) == (sent["room"], 1)
        assert late.history(sent["room"])["entries"][0]["payload"]["text"] == "for later"

    def test_nobody_else_gets_in_and_nobody_gets_out(self, chat, name):
        ada, bob, eve = chat(name("ada")), chat(name("bob")), chat(name("eve"))
        room = ada.request("chat:send", to=bob.user, text="psst")["room"]
        for kind, more in (("room:join", {}), ("chat:send", {"text": "?"}), ("chat:history", {})):
            assert eve.refused(kind, room=room, **more) == "not_member"
        assert ada.refused("room:leave", room=room) == "forbidden"
        assert eve.pushed("chat:message") == []
        assert all(one["room"] != room for one in ada.request("room:list", open=True)["rooms"])

    @pytest.mark.parametrize("to", ["", "a b", "a:b", "x" * 65, "..", 7, None])
    def test_it_is_to_a_user(self, chat, name, to):
        refusal = chat(name("ada")).refusal("chat:send", to=to, text="hi")
        assert refusal["code"] == "bad_request"

    def test_nobody_writes_to_themselves(self, chat, name):
        ada = chat(name("ada"))
        assert ada.refused("chat:send", to=ada.user, text="dear diary") == "bad_request"

    def test_ids_that_look_like_parts_of_a_rooms_name_do_not_mix(self, server, name):
        with Chat(server, "x-") as one, Chat(server, "x") as other, Chat(server, "x.y") as third:
            rooms = {
                one.request("chat:send", to="y", text="1")["room"],
                other.request("chat:send", to="-.y", text="1")["room"],
                third.request("chat:send", to="x", text="1")["room"],
            }
            assert len(rooms) == 3

    def test_hello_lists_the_newest_100_in_which_one_never_wrote(self, servers):
        server = servers.parlor()
        with Chat(server, "spam") as spam:
            for number in range(103):
                with Chat(server, f"friend{number:03}") as friend:
                    friend.request("chat:send", to="ada", text=str(number))
            spam.settle()
        with Chat(server, "ada") as ada:
            listed = {room["room"] for room in ada.hello["rooms"]}
            assert len(listed) == 100
            assert "dm:ada:friend102" in listed and "dm:ada:friend000" not in listed
            ada.request("chat:send", to="friend000", text="hello")
        with Chat(server, "ada") as ada:
            listed = {room["room"] for room in ada.hello["rooms"]}
            assert "dm:ada:friend000" in listed, "where one has written it is one's room"


class TestHistory:
    @pytest.fixture
    def reader(self, chat, told, server):
        with Chat(server, "teller") as reader:
            yield reader

    @pytest.mark.parametrize(
        ("asked", "first", "last", "more"),
        [
            ({}, 251, 450, True),
            ({"limit": 10}, 441, 450, True),
            ({"limit": 1}, 450, 450, True),
            ({"limit": 500}, 251, 450, True),
            ({"before": 11}, 1, 10, False),
            ({"before": 11, "limit": 3}, 8, 10, True),
            ({"before": 451}, 251, 450, True),
            ({"before": 9_999, "limit": 2}, 449, 450, True),
            ({"before": 4, "limit": 3}, 1, 3, False),
            ({"after": 0}, 1, 200, True),
            ({"after": 0, "limit": 3}, 1, 3, True),
            ({"after": 250}, 251, 450, False),
            ({"after": 249}, 250, 449, True),
            ({"after": 445}, 446, 450, False),
            ({"after": 440, "limit": 5}, 441, 445, True),
        ],
    )
    def test_pages_in_both_directions(self, reader, told, asked, first, last, more):
        page = reader.history(told, **asked)
        assert set(page) == {"room", "entries", "head", "more"}
        assert seqs([entry["payload"] for entry in page["entries"]]) == list(range(first, last + 1))
        assert (page["room"], page["head"], page["more"]) == (told, 450, more)

    @pytest.mark.parametrize(
        "asked", [{"after": 450}, {"after": 9_999}, {"before": 1}, {"before": 0}]
    )
    def test_there_is_nothing_beyond_the_ends(self, reader, told, asked):
        page = reader.history(told, **asked)
        assert (page["entries"], page["more"], page["head"]) == ([], False, 450)

    def test_a_client_reads_the_whole_log_by_either_way(self, reader, told):
        forward = []
        while True:
            page = reader.history(told, after=forward[-1] if forward else 0, limit=77)
            forward += seqs([entry["payload"] for entry in page["entries"]])
            if not page["more"]:
                break
        backward = []
        while True:
            more = {"before": backward[0]} if backward else {}
            page = reader.history(told, limit=77, **more)
            backward = seqs([entry["payload"] for entry in page["entries"]]) + backward
            if not page["more"]:
                break
        assert forward == backward == list(range(1, 451))

    @pytest.mark.parametrize(
        "asked",
        [
            {"after": 1, "before": 5},
            {"limit": 0},
            {"limit": -1},
            {"after": -1},
            {"after": "1"},
            {"limit": "2"},
        ],
    )
    def test_what_makes_no_sense_is_bad_request(self, reader, told, asked):
        assert reader.refused("chat:history", room=told, **asked) == "bad_request"

    def test_it_returns_the_envelopes_that_were_pushed(self, chat, name):
        room, ada, bob = name("room"), chat(name("ada")), chat(name("bob"))
        ada.join(room)
        bob.join(room)
        ada.say(room, "x", data={"a": 1}, reply_to=1, cid="c")
        bob.say(room, "y")
        bob.request("room:leave", room=room)
        pushed = [
            {"type": kind, "payload": payload}
            for kind, payload in ada.pushed("chat:message", "room:joined", "room:left", room=room)
        ]
        assert ada.history(room)["entries"] == pushed
        assert [entry["type"] for entry in pushed] == ["room:joined"] * 2 + ["chat:message"] * 2 + [
            "room:left"
        ]

    def test_a_page_is_bounded_in_bytes_and_has_at_least_one_entry(self, chat, name):
        room, ada = name("room"), chat(name("ada"))
        ada.join(room)
        ids = [
            ada.send("chat:send", room=room, text="x" * 16_000, data="y" * 16_000)
            for _ in range(40)
        ]
        for id in ids:
            ada.answer(id)
        for asked in ({}, {"after": 0}):
            page = ada.history(room, **asked)
            assert 1 <= len(page["entries"]) < 40 and page["more"] is True
            assert len(ada.texts[-1]) < 300_000
        forward = []
        while True:
            page = ada.history(room, after=forward[-1] if forward else 0)
            forward += seqs([entry["payload"] for entry in page["entries"]])
            if not page["more"]:
                break
        assert forward == list(range(1, 42))


class TestReadMarks:
    def test_a_mark_moves_forward_only_and_everybody_is_told(self, chat, name):
        room, ada, bob = name("room"), chat(name("ada")), chat(name("bob"))
        second = chat(bob.user)
        ada.join(room)
        bob.join(room)
        for number in range(5):
            ada.say(room, str(number))
        assert bob.request("chat:read", room=room, seq=4) == {"room": room, "seq": 4, "unread": 3}
        for connection in (ada, second):
            mark = connection.push("chat:read")
            assert mark == {"room": room, "user": bob.user, "seq": 4}
        assert bob.request("chat:read", room=room, seq=3) == {"room": room, "seq": 4, "unread": 3}
        assert bob.request("chat:read", room=room, seq=7) == {"room": room, "seq": 7, "unread": 0}
        assert ada.push("chat:read")["seq"] == 7
        ada.settle()
        assert ada.pushed("chat:read") == [], "what changes nothing is not told"
        members = ada.request("room:members", room=room)["members"]
        assert {member["user"]: member["read"] for member in members}[bob.user] == 7

    def test_a_mark_beyond_the_head_is_at_the_head(self, chat, name):
        room, ada, bob = name("room"), chat(name("ada")), chat(name("bob"))
        ada.join(room)
        bob.join(room)
        assert bob.request("chat:read", room=room, seq=999)["seq"] == 2
        ada.say(room, "new")
        (listed,) = bob.request("room:list")["rooms"]
        assert (listed["read"], listed["unread"]) == (2, 1)

    def test_unread_counts_others_messages_after_the_mark(self, chat, name):
        room, ada, bob, eve = name("room"), chat(name("ada")), chat(name("bob")), chat(name("eve"))
        ada.join(room)
        ada.say(room, "before bob came")
        assert bob.join(room)["unread"] == 0

        def unread():
            (listed,) = bob.request("room:list")["rooms"]
            return listed["unread"]

        ada.say(room, "1")
        eve.join(room)
        ada.say(room, "2")
        eve.request("room:leave", room=room)
        assert unread() == 2, "who comes and goes is no message"
        mine = bob.say(room, "mine")["seq"]
        assert unread() == 0, "sending moves one's own mark"
        (listed,) = chat(bob.user).hello["rooms"]
        assert (listed["read"], listed["unread"]) == (mine, 0)
        ada.say(room, "3")
        assert unread() == 1

    @pytest.mark.parametrize("seq", [-1, "1", 1.5, None])
    def test_a_mark_is_a_number(self, chat, name, seq):
        room, ada = name("room"), chat(name("ada"))
        ada.join(room)
        assert ada.refused("chat:read", room=room, seq=seq) == "bad_request"

    def test_marks_survive_a_restart(self, servers):
        server = servers.parlor()
        with Chat(server, "ada") as ada, Chat(server, "bob") as bob:
            ada.join("lobby")
            bob.join("lobby")
            for number in range(6):
                ada.say("lobby", str(number))
            bob.request("chat:read", room="lobby", seq=5)
            direct = ada.request("chat:send", to="bob", text="psst")["room"]
        server.kill()
        server = servers.parlor(data=server.data)
        with Chat(server, "bob") as bob:
            rooms = {room["room"]: room for room in bob.hello["rooms"]}
            lobby = rooms["lobby"]
            assert (lobby["head"], lobby["read"], lobby["unread"]) == (8, 5, 3)
            assert (rooms[direct]["read"], rooms[direct]["unread"]) == (0, 1)
        with Chat(server, "ada") as ada:
            rooms = {room["room"]: room for room in ada.hello["rooms"]}
            assert (rooms["lobby"]["read"], rooms["lobby"]["unread"]) == (8, 0)

    def test_in_rooms_of_over_50_only_ones_own_connections_are_told(self, chat, name, server):
        room, ada, bob = name("room"), chat(name("ada")), chat(name("bob"))
        second = chat(bob.user)
        ada.request("room:create", room=room, open=True)
        server.admit(room, bob.user, *(f"m{n}" for n in range(49)))
        head = ada.say(room, "x")["seq"]
        bob.request("chat:read", room=room, seq=head)
        assert second.push("chat:read")["seq"] == head
        ada.settle()
        assert ada.pushed("chat:read") == []


class TestTyping:
    @pytest.fixture
    def pair(self, chat, name):
        room, ada, bob = name("room"), chat(name("ada")), chat(name("bob"))
        ada.join(room)
        bob.join(room)
        return room, ada, bob

    def test_the_others_are_told_and_oneself_is_not(self, pair, chat):
        room, ada, bob = pair
        second = chat(ada.user)
        assert ada.request("chat:typing", room=room, typing=True) == {}
        assert bob.push("chat:typing") == {"room": room, "user": ada.user, "typing": True}
        assert ada.request("chat:typing", room=room, typing=False) == {}
        assert bob.push("chat:typing")["typing"] is False
        for connection in (ada, second):
            assert connection.pushed("chat:typing") == []

    def test_more_often_than_every_3_s_is_answered_and_not_told(self, pair):
        room, ada, bob = pair
        for _ in range(5):
            assert ada.request("chat:typing", room=room) == {}
        assert len(bob.pushed("chat:typing")) == 1
        time.sleep(3.05)
        ada.request("chat:typing", room=room)
        assert len(bob.pushed("chat:typing")) == 1

    def test_it_ends_with_the_message(self, pair):
        room, ada, bob = pair
        ada.request("chat:typing", room=room)
        ada.say(room, "done")
        told = [payload["typing"] for _, payload in bob.pushed("chat:typing")]
        assert told == [True, False]

    def test_it_ends_at_once_with_the_last_connection(self, pair, chat):
        room, ada, bob = pair
        second = chat(ada.user)
        ada.request("chat:typing", room=room)
        ada.end()
        bob.settle()
        assert [payload["typing"] for _, payload in bob.pushed("chat:typing")] == [True]
        second.end()
        assert bob.push("chat:typing", seconds=1)["typing"] is False

    def test_it_ends_with_the_membership(self, pair):
        room, ada, bob = pair
        ada.request("chat:typing", room=room)
        ada.request("room:leave", room=room)
        assert [payload["typing"] for _, payload in bob.pushed("chat:typing")] == [True, False]

    def test_it_is_not_told_in_rooms_of_over_200(self, chat, name, server):
        room, ada, bob = name("room"), chat(name("ada")), chat(name("bob"))
        ada.request("room:create", room=room, open=True)
        server.admit(room, bob.user, *(f"m{n}" for n in range(199)))
        assert ada.request("chat:typing", room=room) == {}
        bob.settle()
        assert bob.pushed("chat:typing") == []

    def test_it_is_not_in_the_log(self, pair):
        room, ada, _ = pair
        ada.request("chat:typing", room=room)
        assert ada.history(room)["head"] == 2


class TestSlowReader:
    @pytest.mark.seconds(60)
    def test_it_is_fed_from_the_log_on_the_same_socket_without_a_hole_or_a_repeat(self, servers):
        """20 MB are said while one of the members does not read: far more than its outbox holds."""
        server = servers.parlor()
        few, count = 1_000, 3_500

        def say_much(connection, room, numbers):
            waiting = []
            for number in numbers:
                waiting.append(
                    connection.send("chat:send", room=room, text=f"{number} " + "x" * 8_000)
                )
                if len(waiting) > 100:
                    connection.answer(waiting.pop(0))
            for id in waiting:
                connection.answer(id)

        with Chat(server, "slow") as slow:
            slow.join("lobby")
        with Chat(server, "ada") as ada:
            # The store's caches fill without anybody being slow, too: by merging, and by reading.
            ada.join("elsewhere")
            say_much(ada, "elsewhere", range(count))
            for after in range(0, count, 20):
                ada.history("elsewhere", after=after, limit=20)
            fresh = server.memory()
            with Pipe(server, "slow", receive_buffer=8_192) as slow:
                ada.join("lobby")
                seen = []
                for some in range(0, few, 200):
                    say_much(ada, "lobby", range(some, some + 200))
                    seen.append(server.memory())
                before = max(seen)
                say_much(ada, "lobby", range(few, count))
                grown = server.memory() - before
                assert grown < 4 * 1024 * 1024, f"{grown} bytes: what waits does not pile up"
                grown = server.memory() - fresh
                assert grown < 8 * 1024 * 1024, f"{grown} bytes: and 8 MB were enough to see it"
                slow.raw.socket.settimeout(PATIENCE)
                expected = 2
                while expected <= count + 2:
                    push = slow.next()
                    if push["type"] in ("chat:message", "room:joined"):
                        assert push["payload"]["seq"] == expected, "in order, no hole, no repeat"
                        expected += 1
                # Live again: the next entry comes by itself.
                ada.say("lobby", "live")
                while (push := slow.next())["type"] != "chat:message":
                    pass
                assert (push["payload"]["seq"], push["payload"]["text"]) == (count + 3, "live")

    @pytest.mark.seconds(60)
    def test_it_reads_while_others_write(self, servers):
        """The cursor reaches the head while the head moves: from live to behind and back, over and
        over."""
        server = servers.parlor(set={"limits.outbox_bytes": 32_768})
        count, burst = 3_000, 150
        with Chat(server, "slow") as slow:
            slow.join("lobby")
        with Pipe(server, "slow", receive_buffer=4_096) as slow, Chat(server, "ada") as ada:
            ada.join("lobby")

            def write():
                for _ in range(count // burst):
                    ids = [
                        ada.send("chat:send", room="lobby", text="y" * 4_000) for _ in range(burst)
                    ]
                    for id in ids:
                        ada.answer(id)
                    time.sleep(0.01)

            writer = threading.Thread(target=write)
            writer.start()
            expected = 2
            while expected <= count + 2:
                push = slow.next()
                if push["type"] in ("chat:message", "room:joined"):
                    assert push["payload"]["seq"] == expected, "in order, no hole, no repeat"
                    expected += 1
                    if expected % 170 == 0:
                        time.sleep(0.03)
            writer.join()

    @pytest.mark.seconds(60)
    def test_all_outboxes_together_have_a_limit_and_nobody_loses_anything_by_it(self, servers):
        server = servers.parlor(set={"limits.all_outboxes_bytes": 2 * 1024 * 1024})
        count, readers = 400, [f"slow{number}" for number in range(15)]
        with Chat(server, "ada") as ada, ExitStack() as opened:
            ada.request("room:create", room="lobby", open=True)
            server.admit("lobby", *readers)
            pipes = [
                opened.enter_context(Pipe(server, user, receive_buffer=8_192)) for user in readers
            ]
            ids = [ada.send("chat:send", room="lobby", text="w" * 8_000) for _ in range(count)]
            for id in ids:
                ada.answer(id, seconds=15)
            # 15 times 3 MB were said; whoever reads is served.
            with Chat(server, "bob") as bob:
                bob.settle()
            for pipe in pipes:
                expected = 17
                while expected < 17 + count:
                    push = pipe.next()
                    if push["type"] == "chat:message":
                        assert push["payload"]["seq"] == expected, "in order, no hole, no repeat"
                        expected += 1

    @pytest.mark.seconds(60)
    def test_who_asks_without_reading_the_answers_is_asked_to_wait(self, servers):
        """Answers are never dropped: instead no more requests are read."""
        server = servers.parlor()
        count = 400
        with Chat(server, "ada") as ada:
            ada.join("lobby")
            ids = [ada.send("chat:send", room="lobby", text="v" * 16_000) for _ in range(200)]
            for id in ids:
                ada.answer(id)
            while ada.history("lobby", after=100)["head"] < 201:
                pass
            before = server.memory()
            with Pipe(server, "ada", receive_buffer=8_192) as pipe:
                asking = ("chat:history", {"room": "lobby", "after": 0})
                sender = threading.Thread(target=pipe.send, args=[asking] * count)
                sender.start()
                time.sleep(0.5)
                ada.settle()
                grown = server.memory() - before
                assert grown < 8 * 1024 * 1024, f"{grown} bytes for answers that nobody reads"
                answers, _ = pipe.answers(count)
                sender.join()
                assert all(len(answer["payload"]["entries"]) > 10 for answer in answers)

    def test_leaving_takes_back_what_waits(self, servers):
        """After room:removed nothing of the room comes, and what was queued by then does not come
        either: only what the system had taken already."""
        server = servers.parlor(set={"limits.outbox_bytes": 8 * 1024 * 1024})
        count = 700
        with Chat(server, "slow") as slow:
            slow.join("lobby")
        with Pipe(server, "slow", receive_buffer=4_096) as pipe, Chat(server, "ada") as ada:
            ada.join("lobby")
            ids = [ada.send("chat:send", room="lobby", text="z" * 10_000) for _ in range(count)]
            for id in ids:
                ada.answer(id)
            with Chat(server, "slow") as other:
                other.request("room:leave", room="lobby")
            ada.say("lobby", "behind their back")
            seen = []
            while (push := pipe.next())["type"] != "room:removed":
                if push["type"] == "chat:message":
                    seen.append(push["payload"]["seq"])
            assert seen == list(range(3, 3 + len(seen)))
            assert len(seen) < count / 2, f"{len(seen)} of {count} came after the membership's end"
            pipe.send(("ping", {}))
            while (push := pipe.next()).get("id") != 1:
                assert push["payload"].get("room") != "lobby", push


class TestNonsense:
    @pytest.mark.seconds(60)
    def test_whatever_a_client_asks_is_answered_once_and_never_by_an_internal_error(self, servers):
        seed = random.randrange(1 << 32)
        print(f"seed {seed}")
        chance = random.Random(seed)
        kinds = ["room:create", "room:join", "room:leave", "room:list", "room:members", "chat:send"]
        kinds += ["chat:history", "chat:typing", "chat:read", "presence:list", "resume", "auth"]
        kinds += ["ping", "info", "chat:edit", ""]
        values = [
            "lobby",
            "den",
            "dm:ada:bob",
            "dm:",
            "ada",
            "bob",
            "",
            "..",
            "a b",
            "x" * 200,
            "\0",
        ]
        values += [None, True, False, 0, 1, 2, 3, -1, 1 << 53, 1 << 64, -(1 << 64), 1.5, 1e300]
        values += [[], {}, ["bob"], ["bob", "bob"], [7], {"lobby": 1}, {"lobby": -1}, [[[]]]]
        names = ["room", "to", "text", "data", "cid", "reply_to", "seq", "after", "before", "limit"]
        names += ["open", "title", "members", "typing", "epoch", "rooms", "more", "token", "resume"]
        codes = set()
        server = servers.parlor()
        with Chat(server, "ada", resume=1) as ada, Chat(server, "bob") as bob:
            for _ in range(4_000):
                chosen = chance.sample(names, chance.randrange(5))
                payload = {name: chance.choice(values) for name in chosen}
                if chance.random() < 0.7:
                    payload["room"] = chance.choice(["lobby", "den"])
                # Malformed requests have a limit, too: take turns with a good one.
                with Chat(server, "ada") if chance.random() < 0.03 else ExitStack() as other:
                    who = other if isinstance(other, Chat) else chance.choice([ada, bob])
                    try:
                        who.request(chance.choice(kinds), payload)
                        codes.add("reply")
                    except Refused as refused:
                        codes.add(refused.code)
                        assert refused.code not in ("internal", "unavailable"), f"seed {seed}"
                    except harness.ConnectionClosed as closed:
                        assert closed.rcvd.code == 4000, f"seed {seed}"
                        ada.end()
                        bob.end()
                        ada, bob = Chat(server, "ada", resume=1), Chat(server, "bob")
            assert {"reply", "bad_request", "not_member", "conflict", "unknown_type"} <= codes
            assert server.is_running()
            ada.end()
            bob.end()


class TestStore:
    def test_a_person_can_read_the_file_with_sqlite(self, servers):
        server = servers.parlor()
        with Chat(server, "ada") as ada:
            ada.join("lobby")
            ada.say("lobby", "find me in the file")
        assert server.stop() == 0
        files = [
            path for path in server.data.iterdir() if path.read_bytes()[:15] == b"SQLite format 3"
        ]
        assert len(files) == 1, list(server.data.iterdir())
        database = sqlite3.connect(f"file:{files[0]}?mode=ro", uri=True)
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert "find me in the file" in "\n".join(map(str, database.iterdump()))
        database.close()
