"""What becomes of messages: edits, deletions, reactions, marks of delivery, and what is kept."""

import time

import pytest

from harness import Chat

ENTRY = ("chat:message", "chat:edited", "chat:deleted", "chat:reacted", "room:joined", "room:left")


@pytest.fixture
def tea(chat, name):
    """A room with two people in it, who have seen each other come."""
    room, ada, bob = name("tea"), chat(name("ada")), chat(name("bob"))
    ada.join(room)
    bob.join(room)
    for one in (ada, bob):
        one.pushed()
    return room, ada, bob


def entries(reader, room, **how):
    return {entry["payload"]["seq"]: entry for entry in reader.history(room, **how)["entries"]}


class TestEditing:
    def test_an_edit_is_an_entry_that_everybody_is_told(self, tea):
        room, ada, bob = tea
        seq = ada.say(room, "helo", data={"a": 1.50})["seq"]
        edited = ada.request("chat:edit", room=room, seq=seq, text="hello")
        assert edited["seq"] == seq + 1 and "duplicate" not in edited
        for reader in (ada, bob):
            push = reader.push("chat:edited")
            assert push == {
                "room": room, "seq": seq + 1, "target": seq, "text": "hello", "by": ada.user,
                "ts": edited["ts"],
            }
        log = entries(bob, room)
        message = log[seq]["payload"]
        assert (message["text"], message["edited"], message["data"]) == ("hello", seq + 1, {"a": 1.5})
        assert log[seq + 1]["payload"]["text"] == "hello"

    def test_what_changes_nothing_is_answered_with_what_made_it_so(self, tea):
        room, ada, bob = tea
        sent = ada.say(room, "same")
        first = ada.request("chat:edit", room=room, seq=sent["seq"], text="same")
        assert first == {"room": room, "seq": sent["seq"], "ts": sent["ts"], "duplicate": True}
        edit = ada.request("chat:edit", room=room, seq=sent["seq"], text="other")
        again = ada.request("chat:edit", room=room, seq=sent["seq"], text="other")
        assert again == {**edit, "duplicate": True}
        bob.settle()
        assert [kind for kind, _ in bob.pushed(*ENTRY)] == ["chat:message", "chat:edited"]

    def test_a_repeat_is_compared_with_what_was_sent_first(self, tea):
        room, ada, _ = tea
        sent = ada.say(room, "first", cid="c")
        ada.request("chat:edit", room=room, seq=sent["seq"], text="second")
        assert ada.say(room, "first", cid="c") == {**sent, "duplicate": True}
        assert ada.refused("chat:send", room=room, text="second", cid="c") == "duplicate_mismatch"
        ada.request("chat:delete", room=room, seq=sent["seq"])
        assert ada.say(room, "first", cid="c") == {**sent, "duplicate": True}


class TestDeleting:
    def test_what_is_deleted_is_gone_with_its_edits(self, tea):
        room, ada, bob = tea
        seq = ada.say(room, "secret", data=[1])["seq"]
        ada.request("chat:edit", room=room, seq=seq, text="secret, too")
        ada.request("chat:react", room=room, seq=seq, emoji="x")
        deleted = ada.request("chat:delete", room=room, seq=seq)
        assert bob.push("chat:deleted") == {
            "room": room, "seq": deleted["seq"], "target": seq, "by": ada.user, "ts": deleted["ts"],
        }
        log = entries(bob, room)
        message, edit = log[seq]["payload"], log[seq + 1]["payload"]
        assert message["deleted"] is True and not {"text", "data", "reactions"} & set(message)
        assert edit["deleted"] is True and "text" not in edit
        assert ada.request("chat:delete", room=room, seq=seq) == {**deleted, "duplicate": True}

    def test_the_owner_may_delete_and_others_may_not(self, tea):
        room, ada, bob = tea
        of_ada, of_bob = ada.say(room, "a")["seq"], bob.say(room, "b")["seq"]
        assert bob.refused("chat:delete", room=room, seq=of_ada) == "forbidden"
        assert ada.request("chat:delete", room=room, seq=of_bob)["seq"] == of_bob + 1

    def test_what_is_deleted_does_not_count_as_unread(self, tea):
        room, ada, bob = tea
        seqs = [ada.say(room, text)["seq"] for text in "abcd"]

        def unread(of):
            return next(one for one in of.request("room:list")["rooms"] if one["room"] == room)["unread"]

        assert unread(bob) == 4
        ada.request("chat:delete", room=room, seq=seqs[2])
        assert unread(bob) == 3
        assert bob.request("chat:read", room=room, seq=seqs[0])["unread"] == 2
        ada.request("chat:delete", room=room, seq=seqs[0])
        assert unread(bob) == 2, "what was read before it was deleted"
        assert bob.request("chat:read", room=room, seq=seqs[3])["unread"] == 0


class TestReactions:
    def test_a_reaction_comes_and_goes(self, tea):
        room, ada, bob = tea
        seq = ada.say(room, "tea?")["seq"]
        came = bob.request("chat:react", room=room, seq=seq, emoji="👍")
        assert ada.push("chat:reacted") == {
            "room": room, "seq": came["seq"], "target": seq, "emoji": "👍", "on": True,
            "by": bob.user, "ts": came["ts"],
        }
        again = bob.request("chat:react", room=room, seq=seq, emoji="👍")
        assert again == {**came, "duplicate": True}
        ada.request("chat:react", room=room, seq=seq, emoji="👍")
        ada.request("chat:react", room=room, seq=seq, emoji="❤")
        assert entries(bob, room)[seq]["payload"]["reactions"] == {
            "👍": [bob.user, ada.user], "❤": [ada.user],
        }
        gone = bob.request("chat:react", room=room, seq=seq, emoji="👍", on=False)
        assert bob.request("chat:react", room=room, seq=seq, emoji="👍", on=False) == {
            **gone, "duplicate": True,
        }
        assert entries(bob, room)[seq]["payload"]["reactions"]["👍"] == [ada.user]

    def test_a_message_has_so_many_different_ones(self, tea):
        room, ada, bob = tea
        seq = ada.say(room, "x")["seq"]
        for n in range(10):
            ada.request("chat:react", room=room, seq=seq, emoji=f"e{n}")
        assert ada.refusal("chat:react", room=room, seq=seq, emoji="half of them")["limit"] == 20
        for n in range(10, 15):
            bob.request("chat:react", room=room, seq=seq, emoji=f"e{n}")
        assert bob.refusal("chat:react", room=room, seq=seq, emoji="half of the rest")["limit"] == 20
        assert bob.request("chat:react", room=room, seq=seq, emoji="e3")
        ada.request("chat:react", room=room, seq=seq, emoji="e0", on=False)
        assert bob.refused("chat:react", {"room": room, "seq": seq, "emoji": "e0"}) == "quota", "six of 20, and six free"
        ada.request("chat:react", room=room, seq=seq, emoji="e1", on=False)
        bob.request("chat:react", room=room, seq=seq, emoji="e0")


class TestMarks:
    def test_what_was_received_is_told_and_kept(self, tea, server):
        room, ada, bob = tea
        seq = ada.say(room, "x")["seq"]
        assert bob.request("chat:ack", rooms={room: seq, "nowhere": 3}) == {}
        assert ada.push("chat:delivered") == {"room": room, "user": bob.user, "seq": seq}
        assert bob.request("chat:ack", room=room, seq=1) == {}, "only ever forward"
        members = {one["user"]: one for one in ada.request("room:members", room=room)["members"]}
        assert members[bob.user]["delivered"] == seq
        assert bob.refused("chat:ack", room="nowhere", seq=1) == "not_member"


def test_a_resume_brings_edits_and_deletions_that_were_missed(tea, chat):
    room, ada, bob = tea
    first, second = ada.say(room, "one")["seq"], ada.say(room, "two")["seq"]
    bob.settle()
    bob.end()
    ada.request("chat:edit", room=room, seq=first, text="one, edited")
    ada.request("chat:delete", room=room, seq=second)
    back = chat(bob.user, resume=1)
    reply = back.request("resume", epoch=back.hello["epoch"], rooms={room: second})
    assert reply["rooms"][room] == {"from": second, "head": second + 2}
    kinds = [(kind, payload["target"]) for kind, payload in back.pushed(*ENTRY, room=room)]
    assert kinds == [("chat:edited", first), ("chat:deleted", second)]


class TestKeeping:
    def test_only_the_newest_are_kept_and_who_asks_for_others_is_told(self, servers):
        server = servers.parlor(set={"retention.default": "5/all", "retention.rooms": "all=all/all"})
        with Chat(server, "ada") as ada, Chat(server, "bob") as bob:
            for room in ("tea", "all"):
                ada.join(room)
                bob.join(room)
            for n in range(3, 21):
                ada.say("tea", f"entry {n}")
                ada.say("all", f"entry {n}")
            bob.gather(0.2)
            page = bob.history("tea")
            assert [entry["payload"]["seq"] for entry in page["entries"]] == [16, 17, 18, 19, 20]
            assert (page["head"], page["more"]) == (20, False)
            refusal = bob.refusal("chat:history", room="tea", after=9)
            assert (refusal["code"], refusal["first"]) == ("gone", 16)
            assert bob.history("tea", after=15, limit=1)["entries"][0]["payload"]["seq"] == 16
            assert bob.history("tea", before=16)["entries"] == []
            assert ada.refused("chat:edit", room="tea", seq=5, text="x") == "no_such_message"
            assert len(bob.history("all")["entries"]) == 20
            mine = {one["room"]: one for one in bob.request("room:list")["rooms"]}
            assert (mine["tea"]["unread"], mine["all"]["unread"]) == (5, 18)
            bob.end()
            with Chat(server, "bob", resume=1) as back:
                reply = back.request("resume", epoch=back.hello["epoch"], rooms={"tea": 14, "all": 14})
                assert reply["refused"] == {"tea": {"code": "gone", "first": 16, "head": 20}}
                assert reply["rooms"] == {"all": {"from": 14, "head": 20}}
            server.kill()
        server = servers.parlor(data=server.data, set={"retention.default": "5/all"})
        with Chat(server, "bob") as bob:
            assert bob.refusal("chat:history", room="tea", after=9)["first"] == 16
            # What is kept of the other room is now as little.
            assert bob.refusal("chat:history", room="all", after=9)["first"] == 16

    def test_entries_of_an_age_go(self, servers):
        server = servers.parlor(set={"retention.default": "all/700"})
        with Chat(server, "ada") as ada:
            ada.join("tea")
            old = ada.say("tea", "old")["seq"]
            time.sleep(0.8)
            new = ada.say("tea", "new")["seq"]
            deadline = time.monotonic() + 5
            while time.monotonic() < deadline:
                seqs = [entry["payload"]["seq"] for entry in ada.history("tea")["entries"]]
                if old not in seqs:
                    break
                time.sleep(0.05)
            assert old not in seqs
            assert ada.refusal("chat:history", room="tea", after=0)["code"] == "gone"
            assert new > old
