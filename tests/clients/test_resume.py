"""Going on where one was: `?resume=1` and `resume`, after a cut, after a restart, or not at all."""

import random
import threading
import time

import pytest

from harness import Chat, token

ENTRIES = ("chat:message", "room:joined", "room:left")


def seqs(connection, room):
    return [payload["seq"] for _, payload in connection.pushed(*ENTRIES, room=room)]


@pytest.fixture
def pair(chat, name):
    """Two members of a room, with five entries."""
    room, ada, bob = name("room"), chat(name("ada")), chat(name("bob"))
    ada.join(room)
    bob.join(room)
    for number in range(3):
        ada.say(room, f"early {number}")
    return room, ada, bob


def resumed(connection, rooms, epoch=None, **more):
    epoch = epoch or connection.hello["epoch"]
    return connection.request("resume", epoch=epoch, rooms=rooms, **more)


class TestResume:
    def test_a_room_goes_on_from_the_position(self, pair, chat):
        room, ada, bob = pair
        bob.end()
        for number in range(4):
            ada.say(room, f"late {number}")
        bob = chat(bob.user, resume=1)
        assert resumed(bob, {room: 5}) == {"rooms": {room: {"from": 5, "head": 9}}, "refused": {}}
        assert seqs(bob, room) == [6, 7, 8, 9]
        ada.say(room, "live")
        assert bob.push("chat:message")["text"] == "live"

    def test_what_is_replayed_is_what_was_pushed(self, pair, chat):
        room, ada, bob = pair
        ada.say(room, "x", data={"n": 1}, reply_to=3, cid="c")
        ada.settle()
        pushed = [payload for _, payload in ada.pushed(*ENTRIES, room=room)]
        again = chat(ada.user, resume=1)
        resumed(again, {room: 0})
        replayed = [payload for _, payload in again.pushed(*ENTRIES, room=room)]
        assert replayed == pushed, "with one's own cid"

    def test_zero_is_a_position(self, pair, chat):
        room, _, bob = pair
        new = chat(bob.user, resume=1)
        assert resumed(new, {room: 0})["rooms"] == {room: {"from": 0, "head": 5}}
        assert seqs(new, room) == [1, 2, 3, 4, 5]

    def test_at_the_head_it_is_live_at_once(self, pair, chat):
        room, ada, bob = pair
        new = chat(bob.user, resume=1)
        resumed(new, {room: 5})
        ada.say(room, "live")
        assert seqs(new, room) == [6]

    def test_nothing_of_the_rooms_is_sent_before_it(self, pair, chat):
        """Not entries, not typing, not marks; afterwards the entries, once and in order."""
        room, ada, bob = pair
        bob.end()
        waiting = chat(bob.user, resume=1)
        other = chat(bob.user)
        ada.say(room, "while it waits")
        ada.request("chat:typing", room=room)
        other.request("chat:read", room=room, seq=6)
        waiting.settle()
        assert waiting.pushed(room=room) == []
        assert waiting.hello["rooms"][0]["head"] == 5
        resumed(waiting, {room: 4})
        assert seqs(waiting, room) == [5, 6]

    def test_requests_are_answered_before_it(self, pair, chat):
        room, _, bob = pair
        waiting = chat(bob.user, resume=1)
        assert waiting.history(room)["head"] == 5
        assert waiting.say(room, "from the one who waits")["seq"] == 6
        assert waiting.pushed(room=room) == []
        resumed(waiting, {room: 5})
        assert seqs(waiting, room) == [6]

    def test_rooms_never_named_go_on_from_the_heads_of_hello(self, pair, chat, name):
        room, ada, bob = pair
        other = name("room")
        ada.join(other)
        bob.join(other)
        waiting = chat(bob.user, resume=1)
        ada.say(other, "after hello")
        ada.say(room, "after hello")
        assert resumed(waiting, {room: 3})["rooms"] == {room: {"from": 3, "head": 6}}
        assert seqs(waiting, room) == [4, 5, 6]
        assert seqs(waiting, other) == [3]

    def test_it_may_come_in_pieces(self, pair, chat, name):
        room, ada, bob = pair
        rooms = [room, name("room"), name("room")]
        for one in rooms[1:]:
            ada.join(one)
            bob.join(one)
        waiting = chat(bob.user, resume=1)
        ada.say(rooms[1], "x")
        ada.say(rooms[2], "x")
        assert resumed(waiting, {rooms[0]: 2}, more=True)["rooms"].keys() == {rooms[0]}
        assert seqs(waiting, rooms[0]) == [3, 4, 5]
        assert waiting.pushed(room=rooms[1]) == [], "its piece has not come"
        assert resumed(waiting, {rooms[1]: 0})["rooms"] == {rooms[1]: {"from": 0, "head": 3}}
        assert seqs(waiting, rooms[1]) == [1, 2, 3]
        assert seqs(waiting, rooms[2]) == [3], "never named"
        assert waiting.refused("resume", epoch=waiting.hello["epoch"], rooms={}) == "conflict"

    def test_one_that_was_not_announced_is_a_conflict(self, pair, chat):
        room, ada, bob = pair
        assert bob.refused("resume", epoch=bob.hello["epoch"], rooms={room: 0}) == "conflict"
        ada.say(room, "goes on")
        assert bob.push("chat:message", where=lambda payload: payload["text"] == "goes on")

    def test_a_second_one_is_a_conflict(self, pair, chat):
        room, _, bob = pair
        new = chat(bob.user, resume=1)
        resumed(new, {room: 5})
        assert new.refused("resume", epoch=new.hello["epoch"], rooms={room: 0}) == "conflict"
        assert seqs(new, room) == []

    def test_an_empty_one_goes_on_from_hello(self, pair, chat):
        room, ada, bob = pair
        new = chat(bob.user, resume=1)
        ada.say(room, "x")
        assert resumed(new, {}) == {"rooms": {}, "refused": {}}
        assert seqs(new, room) == [6]

    def test_a_long_gap_is_replayed_whole(self, pair, chat):
        room, ada, bob = pair
        bob.end()
        ids = [ada.send("chat:send", room=room, text=f"{n} " + "x" * 500) for n in range(1_500)]
        for id in ids:
            ada.answer(id)
        new = chat(bob.user, resume=1)
        resumed(new, {room: 5})
        last = new.push("chat:message", where=lambda payload: payload["seq"] == 1_505)
        assert last["text"].startswith("1499 ")
        assert seqs(new, room) == list(range(6, 1_505))

    @pytest.mark.parametrize(
        "payload",
        [
            {"rooms": {}},
            {"epoch": 7, "rooms": {}},
            {"epoch": "e", "rooms": []},
            {"epoch": "e", "rooms": {"room": "1"}},
            {"epoch": "e", "rooms": {"room": -1}},
            {"epoch": "e", "rooms": {"room": 1.5}},
            {"epoch": "e", "rooms": {"a b": 1}},
            {"epoch": "e", "rooms": {}, "more": 1},
        ],
    )
    def test_what_makes_no_sense_is_bad_request(self, chat, name, payload):
        assert chat(name("ada"), resume=1).refused("resume", payload) == "bad_request"

    def test_by_a_first_message_auth_announces_it(self, servers):
        server = servers.parlor("--secret-file", servers.secret_file())
        with Chat(server, token=token("ada")) as ada:
            ada.join("lobby")
            ada.say("lobby", "x")
            with Chat(server, hello=False) as late:
                late.request("auth", token=token("ada"), resume=True)
                late.hello = late.push("hello")
                ada.say("lobby", "y")
                late.settle()
                assert late.pushed(room="lobby") == []
                resumed(late, {"lobby": 1})
                assert seqs(late, "lobby") == [2, 3]
            with Chat(server, hello=False, resume=1) as late:
                late.request("auth", token=token("ada"))
                late.hello = late.push("hello")
                resumed(late, {"lobby": 2})
                assert seqs(late, "lobby") == [3]


class TestRefused:
    def test_a_stranger_is_no_member(self, pair, chat, name):
        room, _, _ = pair
        eve = chat(name("eve"), resume=1)
        reply = resumed(eve, {room: 0, name("nowhere"): 0})
        assert reply["rooms"] == {}
        codes = [refusal["code"] for refusal in reply["refused"].values()]
        assert codes == ["not_member", "not_member"]
        assert all(set(refusal) == {"code"} for refusal in reply["refused"].values())

    def test_who_was_removed_meanwhile_is_no_member(self, pair, chat):
        room, _, bob = pair
        second = chat(bob.user)
        bob.end()
        second.request("room:leave", room=room)
        again = chat(bob.user, resume=1)
        assert resumed(again, {room: 3})["refused"] == {room: {"code": "not_member"}}

    def test_a_position_beyond_the_head_is_gone(self, pair, chat):
        room, ada, bob = pair
        new = chat(bob.user, resume=1)
        refused = resumed(new, {room: 6})["refused"][room]
        assert refused["code"] == "gone"
        assert (refused["first"], refused["head"]) == (1, 5)
        self.is_silent_until_history(new, room, ada)

    def test_another_epoch_refuses_all_and_the_reply_itself_succeeds(self, pair, chat, name):
        room, ada, bob = pair
        other = name("room")
        bob.join(other)
        new = chat(bob.user, resume=1)
        reply = resumed(new, {room: 5, other: 1}, epoch="another")
        assert reply["rooms"] == {}
        assert {refusal["code"] for refusal in reply["refused"].values()} == {"epoch_changed"}
        assert reply["refused"].keys() == {room, other}
        self.is_silent_until_history(new, room, ada)

    def is_silent_until_history(self, connection, room, other):
        """Nothing of a refused room is sent until the client asks for its history; then it is live
        from the head that the first reply tells."""
        other.say(room, "not told")
        other.request("chat:typing", room=room)
        other.request("chat:read", room=room, seq=1)
        connection.settle()
        assert connection.pushed(room=room) == []
        head = connection.history(room, limit=2)["head"]
        other.say(room, "told")
        assert seqs(connection, room) == [head + 1]

    def test_the_other_rooms_are_resumed(self, pair, chat, name):
        room, ada, bob = pair
        other = name("room")
        bob.join(other)
        new = chat(bob.user, resume=1)
        reply = resumed(new, {room: 99, other: 0, name("nowhere"): 1})
        assert reply["rooms"] == {other: {"from": 0, "head": 1}}
        assert len(reply["refused"]) == 2
        assert seqs(new, other) == [1]

    def test_a_lost_store_is_another_epoch(self, servers):
        server = servers.parlor()
        with Chat(server, "ada") as ada:
            ada.join("lobby")
            epoch = ada.hello["epoch"]
        server.kill()
        lost = servers.parlor(port=server.port)
        with Chat(lost, "ada", resume=1) as ada:
            assert ada.hello["epoch"] != epoch
            reply = resumed(ada, {"lobby": 1}, epoch=epoch)
            assert reply["refused"]["lobby"]["code"] == "epoch_changed"


class TestRestart:
    @pytest.mark.parametrize("end", ["kill", "stop"])
    def test_a_position_is_enough(self, servers, end):
        server = servers.parlor()
        with Chat(server, "ada") as ada, Chat(server, "bob") as bob:
            for who in (ada, bob):
                who.join("lobby")
            for number in range(300):
                ada.send("chat:send", room="lobby", text=str(number))
            ada.settle()
            ada.say("lobby", "last")
            epoch = ada.hello["epoch"]
        getattr(server, end)()
        server = servers.parlor(data=server.data, port=server.port)
        with Chat(server, "bob", resume=1) as bob:
            assert bob.hello["epoch"] == epoch
            reply = resumed(bob, {"lobby": 150})
            assert reply["rooms"] == {"lobby": {"from": 150, "head": 303}}
            bob.push("chat:message", where=lambda payload: payload["text"] == "last")
            assert seqs(bob, "lobby") == list(range(151, 303))


class TestAtEveryMoment:
    @pytest.mark.seconds(60)
    def test_there_is_no_hole_between_replay_and_live(self, servers):
        """A client comes and goes while others write, and resumes each time: what it saw is the
        log."""
        seed = random.randrange(1 << 32)
        print(f"seed {seed}")
        chance = random.Random(seed)
        server = servers.parlor()
        stop, written = threading.Event(), []

        def write():
            with Chat(server, "writer") as writer:
                waiting = []
                while not stop.is_set():
                    waiting.append(writer.send("chat:send", room="lobby", text="x" * 200))
                    if len(waiting) > 8:
                        written.append(writer.answer(waiting.pop(0))["seq"])
                for id in waiting:
                    written.append(writer.answer(id)["seq"])

        with Chat(server, "writer") as writer, Chat(server, "reader") as reader:
            writer.join("lobby")
            reader.join("lobby")
        thread = threading.Thread(target=write)
        thread.start()
        position, deadline = 2, time.monotonic() + 6
        try:
            while time.monotonic() < deadline:
                with Chat(server, "reader", resume=1) as reader:
                    time.sleep(chance.random() * 0.02)
                    resumed(reader, {"lobby": position})
                    for _ in range(chance.randrange(200)):
                        entry = reader.push("chat:message")
                        position += 1
                        assert entry["seq"] == position, f"seed {seed}"
        finally:
            stop.set()
            thread.join()
        with Chat(server, "reader", resume=1) as reader:
            resumed(reader, {"lobby": position})
            while position < written[-1]:
                position += 1
                assert reader.push("chat:message")["seq"] == position, f"seed {seed}"
        assert written == list(range(3, 3 + len(written)))
        assert len(written) > 100
