"""Who may come in, who must go, what a room is like, and its end. Presence by room, and by number."""

import json
import socket

import pytest

from harness import Chat, Raw


@pytest.fixture
def closed(chat, name):
    """A closed room with its owner and a member, and a stranger."""
    room, ada, bob, eve = name("closed"), *(chat(name(who)) for who in ("ada", "bob", "eve"))
    ada.request("room:create", room=room, title="T", members=[bob.user])
    bob.join(room)
    for one in (ada, bob):
        one.settle()
        one.pushed()
    return room, ada, bob, eve


class TestInvitations:
    def test_who_is_invited_is_told_and_may_come_in(self, closed, chat):
        room, ada, bob, eve = closed
        assert eve.refused("room:join", room=room) == "not_member"
        reply = ada.request("room:invite", room=room, user=eve.user)
        assert reply == {"room": room, "user": eve.user}
        invite = {"room": room, "title": "T", "by": ada.user}
        assert eve.push("room:invited") == invite
        assert ada.request("room:invite", room=room, user=eve.user) == reply, "once is enough"
        assert chat(eve.user).hello["invites"] == [invite]
        assert eve.join(room)["members"] == 3
        assert chat(eve.user).hello["invites"] == []
        assert bob.push("room:joined")["user"] == eve.user

    def test_an_invitation_outlives_the_server(self, servers):
        server = servers.parlor()
        with Chat(server, "ada") as ada:
            ada.request("room:create", room="closed")
            ada.request("room:invite", room="closed", user="eve")
        server.kill()
        server = servers.parlor(data=server.data)
        with Chat(server, "eve") as eve:
            assert eve.hello["invites"] == [{"room": "closed", "title": "", "by": "ada"}]
            assert eve.join("closed")["room"] == "closed"


class TestRemoving:
    def test_who_is_removed_is_told_and_the_others_see_it(self, closed):
        room, ada, bob, eve = closed
        ada.request("room:remove", room=room, user=bob.user)
        assert bob.push("room:removed") == {"room": room, "by": ada.user, "reason": "removed"}
        left = ada.push("room:left")
        assert (left["user"], left["by"]) == (bob.user, ada.user)
        assert bob.refused("chat:send", room=room, text="x") == "not_member"
        assert ada.refused("room:remove", room=room, user=bob.user) == "no_such_user"

    def test_who_is_banned_cannot_come_back_until_the_ban_is_lifted(self, chat, name):
        room, ada, bob = name("open"), chat(name("ada")), chat(name("bob"))
        ada.join(room)
        bob.join(room)
        ada.request("room:ban", room=room, user=bob.user)
        assert bob.push("room:removed")["reason"] == "banned"
        assert bob.refused("room:join", room=room) == "forbidden"
        assert room not in [one["room"] for one in bob.request("room:list", open=True)["rooms"]]
        assert ada.refused("room:invite", room=room, user=bob.user) == "conflict"
        ada.request("room:unban", room=room, user=bob.user)
        assert bob.join(room)["members"] == 2

    def test_a_ban_takes_an_invitation_back(self, closed):
        room, ada, _, eve = closed
        ada.request("room:invite", room=room, user=eve.user)
        ada.request("room:ban", room=room, user=eve.user)
        assert eve.refused("room:join", room=room) == "not_member", "nothing tells that there is one"


class TestUpdating:
    def test_what_a_room_is_like_changes(self, closed):
        room, ada, bob, eve = closed
        reply = ada.request("room:update", room=room, title="Other", open=True)
        assert (reply["title"], reply["open"]) == ("Other", True)
        assert eve.join(room)["title"] == "Other"
        ada.request("room:update", room=room, owner=bob.user)
        assert ada.refused("room:update", room=room, title="x") == "forbidden"
        roles = {one["user"]: one["role"] for one in bob.request("room:members", room=room)["members"]}
        assert roles[bob.user] == "owner" and roles[ada.user] == "member"

    def test_members_are_told_and_nobody_else(self, servers):
        server = servers.parlor()
        with Chat(server, "ada") as ada, Chat(server, "bob") as bob, Chat(server, "bob") as second, Chat(server, "eve") as eve:
            ada.request("room:create", room="den", title="Old", members=["bob"])
            bob.join("den")
            ada.request("room:update", room="den", title="New")
            told = {"room": "den", "title": "New", "open": False, "owner": "ada", "by": "ada"}
            for one in (ada, bob, second):
                assert one.pushed("room:updated") == [("room:updated", told)]
            server.api("PUT", "rooms/den?user=ada", {"open": True})
            assert bob.push("room:updated") == {**told, "open": True}
            ada.request("room:update", room="den", open=True)
            bob.request("room:leave", room="den")
            ada.request("room:update", room="den", owner="ada", title="")
            assert ada.push("room:updated", where=lambda payload: payload["title"] == "")["open"] is True
            for one in (bob, second, eve):
                assert [payload for _, payload in one.pushed("room:updated") if payload["title"] == ""] == []

    def test_who_comes_back_is_told_with_the_resume(self, servers):
        server = servers.parlor()
        with Chat(server, "ada") as ada:
            ada.request("room:create", room="den", members=["bob"])
            server.admit("den", "bob")
        with Chat(server, "ada") as ada, Chat(server, "bob", resume=1) as bob:
            (den,) = bob.hello["rooms"]
            ada.request("room:update", room="den", title="One")
            ada.request("room:update", room="den", title="Two")
            assert bob.pushed(room="den") == []
            bob.request("resume", epoch=bob.hello["epoch"], rooms={"den": den["head"]})
            assert [payload["title"] for _, payload in bob.pushed("room:updated")] == ["Two"]

    def test_who_reads_slowly_is_told_the_newest_in_the_end(self, servers):
        server = servers.parlor(
            data=":memory:",
            set={
                "limits.outbox_bytes": 65_536,
                "limits.requests_per_second": 10_000,
                "limits.burst": 10_000,
                "limits.bytes_per_second": 0,
            }
        )
        with Chat(server, "ada") as ada, Raw(server, "/ws?user=bob", receive_buffer=65_536) as bob:
            ada.request("room:create", room="den", members=["bob"])
            server.admit("den", "bob")
            for _ in range(350):
                ada.send("chat:send", room="den", text="x" * 16_000)
            ada.settle()
            # More than there is room for beside an entry.
            for number in range(100):
                ada.request("room:update", room="den", title=f"{number:0100}")
            bob.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
            titles, head = [], 0
            while head < 352 or titles[-1:] != [f"{99:0100}"]:
                message = json.loads(bob.read_message().payload)
                head = message["payload"].get("seq", head)
                if message["type"] == "room:updated":
                    titles.append(message["payload"]["title"])
            assert titles == sorted(titles) and len(titles) < 100, "those between were not kept for it"

    def test_who_owns_a_room_and_leaves_hands_over(self, closed):
        room, ada, bob, _ = closed
        ada.request("room:leave", room=room)
        assert bob.request("room:update", room=room, title="mine")["title"] == "mine"


class TestEnding:
    def test_a_deleted_room_is_gone_and_its_name_stays_taken(self, servers):
        server = servers.parlor()
        with Chat(server, "ada") as ada, Chat(server, "bob") as bob, Chat(server, "eve") as eve:
            ada.request("room:create", room="doomed", open=True)
            bob.join("doomed")
            ada.say("doomed", "secret of the doomed")
            assert ada.request("room:delete", room="doomed") == {"room": "doomed"}
            for one in (ada, bob):
                removed = one.push("room:removed")
                assert removed == {"room": "doomed", "by": "ada", "reason": "deleted"}
            for one in (ada, bob, eve):
                assert one.refused("chat:history", room="doomed") == "not_member"
                assert one.refused("room:join", room="doomed") == "not_member"
                assert one.refused("room:create", room="doomed") == "conflict"
                assert one.request("room:list", open=True)["rooms"] == []
        server.kill()
        server = servers.parlor(data=server.data)
        with Chat(server, "bob") as bob:
            assert bob.hello["rooms"] == []
            assert bob.refused("room:join", room="doomed") == "not_member"
            assert bob.refused("room:create", room="doomed") == "conflict"

    def test_rooms_are_made_by_admins_where_it_is_said_so(self, servers):
        server = servers.parlor(set={"rooms.create": "admin"})
        with Chat(server, "ada") as ada:
            assert ada.refused("room:create", room="mine") == "forbidden"
            assert ada.refused("room:join", room="mine") == "not_member"
            assert ada.request("chat:send", to="bob", text="psst")["room"] == "dm:ada:bob"


class TestPresence:
    def test_by_rooms_only_those_who_share_one_are_told(self, servers):
        quick = {"presence.scope": "rooms", "presence.window_ms": 50, "presence.grace_ms": 100}
        server = servers.parlor(set=quick)
        with Chat(server, "ada") as ada, Chat(server, "eve") as eve:
            assert ada.hello["presence"] == "rooms"
            ada.join("tea")
            with Chat(server, "bob") as bob:
                bob.join("tea")
                push = ada.push("user:online", where=lambda payload: "bob" in payload["users"])
                assert push["room"] == "tea"
                names = [one["user"] for one in ada.request("presence:list")["users"]]
                assert names == ["ada", "bob"]
                assert [one["user"] for one in eve.request("presence:list")["users"]] == ["eve"]
            assert ada.push("user:offline")["users"] == ["bob"]
            with Chat(server, "bob"):
                push = ada.push("user:online", where=lambda payload: "bob" in payload["users"])
                assert push["room"] == "tea"
            eve.gather(0.3)
            assert eve.pushed("user:online", "user:offline") == []

    def test_off_tells_nobody_of_anybody(self, servers):
        server = servers.parlor(set={"presence.scope": "off", "presence.window_ms": 20})
        with Chat(server, "ada") as ada, Chat(server, "bob"):
            assert ada.hello["presence"] == "off"
            ada.gather(0.3)
            assert ada.pushed("user:online", "user:offline", "user:count") == []
            assert ada.refused("presence:list") == "forbidden"

    def test_of_many_only_the_number_is_told_and_then_the_lists_are_back(self, servers):
        quick = {"presence.window_ms": 30, "presence.grace_ms": 50, "presence.listed_people": 10}
        server = servers.parlor(set=quick)
        with Chat(server, "ada") as ada:
            others = [Chat(server, f"other-{n}") for n in range(12)]
            push = ada.push("user:count", where=lambda payload: payload["online"] == 13)
            assert ada.request("presence:list", limit=5)["more"] is True
            for other in others[:6]:
                other.end()
            back = ada.push("user:online", where=lambda payload: payload.get("reset"))
            assert back["users"] == [] and back["version"] > push["version"]
            ada.pushed("user:online", "user:offline", "user:count")
            others[6].end()
            assert ada.push("user:offline")["users"] == ["other-6"]
            for other in others[7:]:
                other.end()
