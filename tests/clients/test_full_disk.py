"""A store that cannot write: nothing half stored, everything else as ever, and on it goes when it
can write again. The limit on a file's size stands for the full disk."""

import resource
import signal
import time

import pytest

import harness
from harness import Chat, Refused

LIMIT = 768 * 1024


def small_files():
    """Runs in the server's process before it is the server's."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT, hard))


def texts(connection, room="lobby"):
    """All that was said, and that the log has no hole."""
    found, after = [], 0
    while True:
        page = connection.history(room, after=after)
        for entry in page["entries"]:
            after += 1
            assert entry["payload"]["seq"] == after
            if entry["type"] == "chat:message":
                found.append(entry["payload"]["text"])
        if not page["more"]:
            assert page["head"] == after
            return found


@pytest.fixture
def full(servers):
    """A server whose store is full: it, ada and bob in the lobby, what was acknowledged, and what
    was refused first."""
    server = servers.parlor(preexec=small_files)
    with Chat(server, "ada") as ada, Chat(server, "bob") as bob:
        ada.join("lobby")
        bob.join("lobby")
        acknowledged = []
        for number in range(500):
            text = f"{number} " + "x" * 10_000
            try:
                ada.say("lobby", text, cid=f"c{number}")
                acknowledged.append(text)
            except Refused as refused:
                assert refused.code == "unavailable", refused
                assert 0 < refused.payload["retry_after_ms"] <= 60_000
                break
        else:
            pytest.fail("the store never was full")
        assert len(acknowledged) > 5
        # What room is left takes small ones.
        for small in range(500):
            try:
                ada.say("lobby", f"small {small}")
                acknowledged.append(f"small {small}")
            except Refused:
                break
        # Messages go to the tail. What changes tables goes to the log, which is to be full, too.
        with Chat(server, "eve") as eve:
            for room in range(1_000):
                try:
                    eve.request("room:create", room=f"room{room}", title="x" * 100)
                except Refused:
                    break
            else:
                pytest.fail("the log never was full")
        yield server, ada, bob, acknowledged, (f"c{number}", text)


def test_what_cannot_be_written_is_unavailable_and_not_stored(full):
    server, ada, bob, acknowledged, (cid, text) = full
    for _ in range(3):
        assert ada.refused("chat:send", room="lobby", text=text, cid=cid) == "unavailable"
    # In a batch of many, too.
    ids = [ada.send("chat:send", room="lobby", text=text) for _ in range(20)]
    for id in ids:
        with pytest.raises(Refused, match="unavailable"):
            ada.answer(id)
    assert ada.refused("chat:send", to="eve", text=text) == "unavailable"
    status, fields, body = server.http("/readyz")
    assert (status, fields["retry-after"]) == (503, "1") and b'"unavailable"' in body
    sent = server.api("POST", "rooms/lobby/messages?user=ada", {"text": text})
    assert (sent[0], sent[1]["error"]["code"]) == (503, "unavailable")
    assert texts(ada) == acknowledged
    shown = [payload["text"] for payload in bob.messages("lobby")]
    assert shown == acknowledged, "nobody is shown what is not stored"
    assert all(room["room"] == "lobby" for room in ada.request("room:list")["rooms"])


def test_everything_else_goes_on(full):
    server, ada, bob, acknowledged, _ = full
    ada.request("ping")
    ada.request("chat:typing", room="lobby")
    assert bob.push("chat:typing")["typing"] is True
    assert len(ada.request("room:members", room="lobby")["members"]) == 2
    with Chat(server, "eve") as eve:
        assert {"ada", "bob", "eve"} <= {
            user["user"] for user in eve.request("presence:list")["users"]
        }
    with Chat(server, "bob", resume=1) as again:
        again.request("resume", epoch=again.hello["epoch"], rooms={"lobby": 0})
        again.settle()
        last = again.push("chat:message", where=lambda payload: payload["text"] == acknowledged[-1])
        assert last["seq"] == len(acknowledged) + 2
    assert server.http("/healthz")[0] == 200


def test_a_membership_that_could_not_end_goes_on(full):
    server, ada, bob, acknowledged, (cid, text) = full
    assert bob.refused("room:leave", room="lobby") == "unavailable"
    members = {one["user"] for one in ada.request("room:members", room="lobby")["members"]}
    assert "bob" in members
    assert bob.pushed("room:removed") == []
    resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
    say_until_it_works(ada, text, cid)
    assert bob.push("chat:message", where=lambda payload: payload["text"] == text)
    bob.settle()
    assert [payload["text"] for payload in bob.messages("lobby")] == acknowledged


def say_until_it_works(connection, text, cid):
    deadline = time.monotonic() + 5
    while True:
        try:
            return connection.say("lobby", text, cid=cid)
        except Refused as refused:
            assert refused.code == "unavailable"
            assert time.monotonic() < deadline, "it can write again, and does not"
            time.sleep(0.1)


def test_when_it_can_write_again_it_does(full):
    server, ada, bob, acknowledged, (cid, text) = full
    resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
    sent = say_until_it_works(ada, text, cid)
    assert server.http("/readyz")[0] == 200
    assert sent["seq"] == len(acknowledged) + 3, "what failed used up no number"
    assert "duplicate" not in sent, "what was refused was not stored"
    assert ada.say("lobby", text, cid=cid) == {**sent, "duplicate": True}
    assert texts(ada) == [*acknowledged, text]
    assert bob.push("chat:message", where=lambda payload: payload["text"] == text)


def test_after_a_restart_all_that_was_acknowledged_is_there_and_nothing_else(full, servers):
    server, ada, bob, acknowledged, (cid, text) = full
    epoch = ada.hello["epoch"]
    server.kill()
    server = servers.parlor(data=server.data)
    with Chat(server, "ada") as ada:
        assert ada.hello["epoch"] == epoch
        assert texts(ada) == acknowledged
        sent = ada.say("lobby", text, cid=cid)
        assert sent["seq"] == len(acknowledged) + 3 and "duplicate" not in sent


def test_a_start_on_a_disk_that_is_full_serves_what_was_acknowledged(full, servers):
    server, ada, bob, acknowledged, (cid, text) = full
    epoch = ada.hello["epoch"]
    server.kill()
    server = servers.parlor(data=server.data, preexec=small_files)
    with Chat(server, "ada") as ada:
        assert ada.hello["epoch"] == epoch
        assert texts(ada) == acknowledged
        assert ada.refused("chat:send", room="lobby", text=text, cid=cid) == "unavailable"
        resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
        assert say_until_it_works(ada, text, cid)["seq"] == len(acknowledged) + 3
        assert texts(ada) == [*acknowledged, text]
    server.stop()
    checked = harness.run_parlor("data", "check", "--data", server.data)
    assert checked.returncode == 0, checked.stdout


def test_it_stops_in_order_although_it_is_full(full, servers):
    server, ada, bob, acknowledged, _ = full
    server.signal(signal.SIGTERM)
    assert ada.closed() == 1012
    assert server.process.wait(harness.STOP_SECONDS) == 0
    server = servers.parlor(data=server.data)
    with Chat(server, "ada") as ada:
        assert texts(ada) == acknowledged


@pytest.mark.seconds(90)
def test_a_full_disk_comes_and_goes_and_what_was_acknowledged_stays(servers):
    """Four times, under messages, edits, deletions, reactions and read marks."""
    server = servers.parlor(preexec=small_files)
    infinite = (resource.RLIM_INFINITY,) * 2
    #: seq → the text that is acknowledged; None is deleted. And what of others is refused.
    expected, refusals, read = {}, 0, 0
    with Chat(server, "ada") as ada, Chat(server, "bob") as bob:
        ada.join("lobby")
        bob.join("lobby")
        epoch, number = ada.hello["epoch"], 0

        def turn(room_left):
            """One request of each kind; gives whether all were stored."""
            nonlocal number, refusals, read
            number += 1
            stored = True

            def attempt(connection, kind, **payload):
                nonlocal stored, refusals
                try:
                    return connection.request(kind, room="lobby", **payload)
                except Refused as refused:
                    assert refused.code == "unavailable", refused
                    assert not room_left, f"there is room, and {kind} is refused"
                    stored, refusals = False, refusals + 1
                    return None

            text = f"{number} " + "x" * 5_000
            sent = attempt(ada, "chat:send", text=text, cid=f"c{number}")
            if sent:
                expected[sent["seq"]] = text
            alive = [seq for seq, text in expected.items() if text is not None]
            if alive and attempt(ada, "chat:edit", seq=alive[-1], text=f"{number} edited"):
                expected[alive[-1]] = f"{number} edited"
            if alive:
                attempt(bob, "chat:react", seq=alive[-1], emoji="+", on=number % 2 == 0)
            if len(alive) > 5 and attempt(ada, "chat:delete", seq=alive[0]):
                expected[alive[0]] = None
            newest = max(expected, default=0)
            if newest and attempt(bob, "chat:read", seq=newest):
                read = newest
            return stored

        for _ in range(4):
            # Until nothing is stored any more, not even small things.
            while turn(room_left=False):
                assert number < 5_000, "the store never was full"
            for _ in range(10):
                turn(room_left=False)
            resource.prlimit(server.pid, resource.RLIMIT_FSIZE, infinite)
            deadline = time.monotonic() + 5
            while not turn(room_left=False):
                assert time.monotonic() < deadline, "it can write again, and does not"
            for _ in range(10):
                turn(room_left=True)
            longest = max(file.stat().st_size for file in server.data.glob("parlor.db*"))
            limit = longest + 64 * 1024
            resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
        resource.prlimit(server.pid, resource.RLIMIT_FSIZE, infinite)
    assert refusals > 40
    server.kill()
    checked = harness.run_parlor("data", "check", "--data", server.data, seconds=20)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    server = servers.parlor(data=server.data)
    with Chat(server, "bob") as bob:
        assert bob.hello["epoch"] == epoch
        (lobby,) = (room for room in bob.hello["rooms"] if room["room"] == "lobby")
        assert lobby["read"] >= read
        found, after = {}, 0
        while True:
            page = bob.history("lobby", after=after)
            for entry in page["entries"]:
                after += 1
                assert entry["payload"]["seq"] == after
                if entry["type"] == "chat:message":
                    payload = entry["payload"]
                    found[after] = None if payload.get("deleted") else payload["text"]
            if not page["more"]:
                break
        assert found == expected
