"""Who is online: told as changes, at most one list of each kind in a window, with versions."""

import time

import pytest

import harness
from harness import Chat

GRACE, WINDOW = 400, 100


@pytest.fixture(scope="module")
def server(module_servers):
    """A server with a short grace."""
    return module_servers.parlor(set={"presence.grace_ms": GRACE, "presence.window_ms": WINDOW})


@pytest.fixture
def watcher(chat, name):
    """Somebody who watches, after all that was before them has been told."""
    watcher = chat(name("watcher"))
    watcher.push("user:online", where=lambda payload: watcher.user in payload["users"])
    watcher.gather((GRACE + 2 * WINDOW) / 1_000)
    watcher.pushed("user:online", "user:offline")
    return watcher


def told(connection, user):
    """What a connection was told of a user until now: `(True or False, version)`."""
    return [
        (kind == "user:online", payload["version"])
        for kind, payload in connection.pushed("user:online", "user:offline")
        if user in payload["users"]
    ]


def listed(connection, **how):
    return {user["user"]: user for user in connection.request("presence:list", **how)["users"]}


class TestChanges:
    def test_coming_is_told_within_the_window_and_going_after_the_grace(self, chat, name, watcher):
        user = name("ada")
        start = time.monotonic()
        ada = chat(user)
        watcher.push("user:online", where=lambda payload: user in payload["users"])
        assert time.monotonic() - start < WINDOW / 1_000 + 0.5
        start = time.monotonic()
        ada.end()
        watcher.push("user:offline", where=lambda payload: user in payload["users"])
        took = time.monotonic() - start
        assert GRACE / 1_000 - 0.05 < took < (GRACE + WINDOW) / 1_000 + 0.5, f"{took:.2f} s"

    def test_one_is_online_from_the_first_connection_to_the_end_of_the_last(
        self, chat, name, watcher
    ):
        user = name("ada")
        first, second = chat(user), chat(user)
        watcher.gather(0.5)
        assert [online for online, _ in told(watcher, user)] == [True]
        assert listed(watcher)[user]["connections"] == 2
        first.end()
        watcher.gather((GRACE + WINDOW) / 1_000 + 0.2)
        assert told(watcher, user) == [], "one connection is left"
        assert listed(watcher)[user]["connections"] == 1
        second.end()
        watcher.push("user:offline", where=lambda payload: user in payload["users"])
        assert user not in listed(watcher)

    def test_a_reload_is_not_seen(self, chat, name, watcher):
        user = name("ada")
        ada = chat(user)
        watcher.gather(0.5)
        told(watcher, user)
        for _ in range(3):
            ada.end()
            time.sleep(0.05)
            ada = chat(user)
        watcher.gather((GRACE + 2 * WINDOW) / 1_000 + 0.2)
        assert told(watcher, user) == []

    def test_the_late_end_of_an_old_connection_takes_nobody_offline(self, chat, name, watcher):
        user = name("ada")
        old = chat(user)
        new = chat(user)
        old.socket.socket.close()
        watcher.gather((GRACE + 2 * WINDOW) / 1_000 + 0.2)
        assert [online for online, _ in told(watcher, user)] == [True]
        new.settle()

    def test_many_changes_are_one_list_with_a_rising_version(self, chat, name, watcher):
        users = [name("many") for _ in range(30)]
        crowd = [chat(user) for user in users]
        watcher.gather(0.6)
        pushes = [payload for _, payload in watcher.pushed("user:online")]
        assert sorted(user for payload in pushes for user in payload["users"]) == sorted(users)
        assert len(pushes) <= 4, "lists, not a push for each"
        for one in crowd:
            one.end()
        watcher.gather((GRACE + 2 * WINDOW) / 1_000 + 0.4)
        gone = [payload for _, payload in watcher.pushed("user:offline")]
        assert sorted(user for payload in gone for user in payload["users"]) == sorted(users)
        assert len(gone) <= 4
        versions = [payload["version"] for payload in pushes + gone]
        assert versions == sorted(set(versions)), "each has a version of its own, rising"

    def test_who_comes_and_goes_all_the_time_costs_one_list_a_window(self, chat, name, watcher):
        user, start = name("ada"), time.monotonic()
        while time.monotonic() - start < 1.0:
            chat(user).end()
        watcher.gather((GRACE + 2 * WINDOW) / 1_000)
        assert [online for online, _ in told(watcher, user)] == [True, False]

    def test_everybody_is_told_without_a_room_in_common(self, chat, name, watcher):
        """hello says `presence: everyone`."""
        assert watcher.hello["presence"] == "everyone"
        user = name("ada")
        chat(user)
        watcher.push("user:online", where=lambda payload: user in payload["users"])


class TestList:
    def test_it_says_who_is_there_and_since_when(self, chat, name, watcher):
        ada = chat(name("ada"))
        reply = watcher.request("presence:list", limit=200)
        assert set(reply) == {"users", "version", "more"}
        entry = next(user for user in reply["users"] if user["user"] == ada.user)
        assert entry == {
            "user": ada.user,
            "name": ada.user,
            "connections": 1,
            "since": entry["since"],
        }
        assert abs(entry["since"] / 1_000 - time.time()) < 30

    def test_it_is_the_state_of_now_and_changes_since_the_version_follow(self, chat, name, watcher):
        """A client that lists and then applies newer changes has the truth, whenever it lists."""
        user = name("ada")
        for delay in (0.0, 0.05, WINDOW / 1_000 + 0.1):
            ada = chat(user)
            time.sleep(delay)
            reply = watcher.request("presence:list")
            state = {one["user"] for one in reply["users"]}
            assert user in state, "the state of now"
            ada.end()
            time.sleep(0.05)
            reply = watcher.request("presence:list")
            state, version = {one["user"] for one in reply["users"]}, reply["version"]
            assert user not in state, "the state of now, without the grace"
            watcher.pushed("user:online", "user:offline", settle=False)
            ada = chat(user)
            watcher.gather((GRACE + 2 * WINDOW) / 1_000 + 0.2)
            changes = [change for change in told(watcher, user) if change[1] > version]
            assert changes and changes[-1][0] is True, (
                "whoever changed since is in the next push, even if that was announced before"
            )
            ada.end()
            watcher.push("user:offline", where=lambda payload: user in payload["users"])

    def test_of_a_room_it_lists_the_members_that_are_there(self, chat, name, server):
        room, ada, bob, eve = name("room"), chat(name("ada")), chat(name("bob")), chat(name("eve"))
        absent = name("absent")
        ada.request("room:create", room=room, members=[bob.user, absent])
        server.admit(room, bob.user, absent)
        assert listed(ada, room=room).keys() == {ada.user, bob.user}
        assert eve.refused("presence:list", room=room) == "not_member"

    def test_in_pages(self, chat, name):
        room, ada = name("room"), chat(name("ada"))
        others = [chat(name("other")) for _ in range(4)]
        users = sorted([ada.user, *(other.user for other in others)])
        ada.request("room:create", room=room, members=[other.user for other in others])
        for other in others:
            other.join(room)
        found = []
        while True:
            more = {"after": found[-1]} if found else {}
            page = ada.request("presence:list", room=room, limit=2, **more)
            found += [one["user"] for one in page["users"]]
            if not page["more"]:
                break
            assert len(page["users"]) == 2
        assert found == users
        assert ada.refused("presence:list", limit=0) == "bad_request"

    def test_members_are_listed_with_who_is_online(self, chat, name):
        room, ada, bob = name("room"), chat(name("ada")), chat(name("bob"))
        ada.request("room:create", room=room, members=[bob.user])
        bob.join(room)
        bob.end()
        time.sleep(0.05)
        members = ada.request("room:members", room=room)["members"]
        assert {one["user"]: one["online"] for one in members} == {ada.user: True, bob.user: False}


class TestRestart:
    def test_a_planned_end_announces_nobodys_going(self, servers):
        server = servers.parlor(set={"presence.grace_ms": 50, "presence.window_ms": 50})
        with Chat(server, "ada") as ada, Chat(server, "bob"):
            ada.push("user:online", where=lambda payload: "bob" in payload["users"])
            assert server.stop() == 0
            assert ada.closed() == 1012
            assert ada.pushed("user:offline", settle=False) == []


def test_names_come_from_tokens(servers):
    server = servers.parlor("--secret-file", servers.secret_file())
    with Chat(server, token=harness.token("ada", name="Ada L.")) as ada:
        (listed,) = ada.request("presence:list")["users"]
        assert (listed["user"], listed["name"]) == ("ada", "Ada L.")
        ada.join("lobby")
        (member,) = ada.request("room:members", room="lobby")["members"]
        assert (member["user"], member["name"]) == ("ada", "Ada L.")
