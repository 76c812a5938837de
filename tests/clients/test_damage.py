"""A server on a damaged file: what it serves is what was written, and a cut is said at the start.

tests/store_damage.rs does so with a thousand flips; here is the whole program."""

import os
import random
import shutil
import subprocess
import time

import pytest

import harness
from harness import Chat, Refused

ROOMS = ("tea", "den")
FLIPS = 40
SEED = 11


def history(connection, room, **direction):
    """All pages of a room: entries by seq; those of pages that are refused are not there."""
    found, place = {}, 0
    while True:
        try:
            page = connection.history(room, after=place, limit=20)
        except Refused as refused:
            if refused.code == "gone":
                place = refused.payload["first"] - 1
                continue
            assert refused.code in ("unavailable", "internal"), refused
            place += 20
            if place > 400:
                return found
            continue
        for entry in page["entries"]:
            found[entry["payload"]["seq"]] = entry
            place = entry["payload"]["seq"]
        if not page["more"]:
            return found


@pytest.fixture(scope="module")
def filled(module_servers):
    """A directory with a store, and what is in it."""
    server = module_servers.parlor()
    chance = random.Random(SEED)
    with Chat(server, "ada") as ada, Chat(server, "bob") as bob:
        for room in ROOMS:
            ada.join(room)
            bob.join(room)
            said = []
            for number in range(150):
                who = chance.choice([ada, bob])
                text = f"{number} " + "x" * chance.randrange(80)
                seq = who.say(room, text, cid=f"{room}-{number}")["seq"]
                said.append((who, seq))
            for who, seq in chance.sample(said, 30):
                who.request("chat:edit", room=room, seq=seq, text=f"edit of {seq}")
            for who, seq in chance.sample(said, 20):
                who.request("chat:delete", room=room, seq=seq)
            for _, seq in chance.sample(said, 30):
                try:
                    ada.request("chat:react", room=room, seq=seq, emoji="+")
                except Refused as refused:
                    assert refused.code == "no_such_message"
    assert server.stop() == 0
    server = module_servers.parlor(data=server.data)
    with Chat(server, "ada") as ada:
        truth = {room: history(ada, room) for room in ROOMS}
        hello = ada.hello
    assert server.stop() == 0
    return server.data, truth, hello


def copied(servers, filled):
    data = servers.directory()
    shutil.copy(filled[0] / "parlor.db", data / "parlor.db")
    return data


def start(data):
    """A server that is to end by itself at its start."""
    return harness.run_parlor("serve", "--listen", "127.0.0.1:0", "--data", data, seconds=10)


def up_or_over(servers, data):
    """A server that serves, or has ended by itself at its start."""

    def is_up_or_over(server):
        while server.process.poll() is None and not harness._is_healthy(server):
            time.sleep(0.01)
        return True

    return servers.parlor(data=data, is_ready=is_up_or_over)


def test_a_cut_file_is_said_at_the_start_and_repaired(servers, filled):
    data = copied(servers, filled)
    file = data / "parlor.db"
    whole = file.stat().st_size
    for length in (whole - 1, whole - 4_096, whole * 3 // 4):
        file.write_bytes((filled[0] / "parlor.db").read_bytes()[:length])
        ended = start(data)
        assert ended.returncode == 1
        assert f"{file} is damaged" in ended.stderr and "parlor data repair" in ended.stderr
        assert f"its last {whole - length} bytes are not there" in ended.stderr
        assert file.stat().st_size == length, "nothing is changed"
    repaired = harness.run_parlor("data", "repair", "--data", data, seconds=20)
    assert repaired.returncode == 0, repaired.stderr
    assert "are lost" in repaired.stdout
    server = servers.parlor(data=data)
    with Chat(server, "ada") as ada:
        assert ada.hello["epoch"] != filled[2]["epoch"]
        for room in ROOMS:
            kept = history(ada, room)
            for seq, entry in kept.items():
                # What a repair has written again, and what it could not keep, is another.
                of_truth = filled[1][room].get(seq, {})
                if entry["type"] == "chat:message" and of_truth.get("type") == "chat:message":
                    assert entry["payload"]["from"] == of_truth["payload"]["from"]
        ada.say("tea", "it goes on")


@pytest.mark.seconds(120)
def test_a_flipped_bit_is_never_served(servers, filled):
    _, truth, hello = filled
    chance = random.Random(SEED)
    seen = {"refused at the start": 0, "refused in reading": 0, "nothing": 0}
    for flip in range(FLIPS):
        data = copied(servers, filled)
        file = data / "parlor.db"
        content = bytearray(file.read_bytes())
        place, bit = chance.randrange(len(content)), chance.randrange(8)
        content[place] ^= 1 << bit
        file.write_bytes(content)
        where = f"flip {flip}: bit {bit} at {place}"
        checked = harness.run_parlor("data", "check", "--data", data, seconds=20)
        assert checked.returncode in (0, 1), f"{where}: {checked.stderr}"
        for leftover in ("parlor.db-wal", "parlor.db-shm"):
            (data / leftover).unlink(missing_ok=True)
        server = up_or_over(servers, data)
        if not server.is_running():
            assert server.process.returncode == 1, where
            assert checked.returncode == 1, f"{where}: the check finds nothing"
            seen["refused at the start"] += 1
            continue
        with Chat(server, "ada") as ada:
            assert ada.hello["epoch"] == hello["epoch"], where
            assert ada.hello["rooms"] == hello["rooms"], where
            served = {room: history(ada, room) for room in ROOMS}
        for room in ROOMS:
            for seq, entry in served[room].items():
                assert entry == truth[room][seq], f"{where}: {room} {seq}"
        is_whole = served == truth
        assert is_whole or checked.returncode == 1, f"{where}: the check finds nothing"
        seen["nothing" if is_whole else "refused in reading"] += 1
        server.kill()
    print(seen)
    assert seen["refused in reading"] > 2, seen


def test_data_commands_go_on_while_a_server_runs_or_say_that_it_does(servers):
    server = servers.parlor()
    folder = servers.directory()
    with Chat(server, "ada") as ada:
        ada.join("tea")
        ada.say("tea", "hello")
        for command in (
            ("check", "--data", server.data),
            ("check", "--json", "--data", server.data),
            ("export", folder / "lines", "--data", server.data),
            ("backup", folder / "backup.db", "--data", server.data),
            ("check", folder / "backup.db"),
        ):
            done = harness.run_parlor("data", *command)
            assert done.returncode == 0, f"{command}: {done.stderr}"
            # What is written later is in none of them.
            ada.say("tea", "later")
        for command in (
            ("import", folder / "lines", "--data", server.data),
            ("restore", folder / "backup.db", "--data", server.data),
            ("repair", "--data", server.data),
        ):
            done = harness.run_parlor("data", *command)
            assert done.returncode == 1, command
            assert f"is in use by process {server.pid}" in done.stderr
        for command in (("export", folder / "lines"), ("backup", folder / "backup.db")):
            done = harness.run_parlor("data", *command, "--data", server.data)
            assert done.returncode == 1 and "exists" in done.stderr or "already" in done.stderr
        epoch = ada.hello["epoch"]
    assert server.stop() == 0
    for file in (folder / "lines", folder / "backup.db"):
        assert file.stat().st_mode & 0o777 == 0o600
    moved = folder / "moved"
    for arguments, is_same in ((("--keep-epoch",), True), ((), False)):
        shutil.rmtree(moved, ignore_errors=True)
        done = harness.run_parlor("data", "import", folder / "lines", "--data", moved, *arguments)
        assert done.returncode == 0, done.stderr
        again = servers.parlor(data=moved)
        with Chat(again, "ada") as ada:
            assert (ada.hello["epoch"] == epoch) is is_same
            assert ada.history("tea")["head"] >= 2
        assert again.stop() == 0
    done = harness.run_parlor("data", "restore", folder / "backup.db", "--data", server.data)
    assert done.returncode == 0, done.stderr
    again = servers.parlor(data=server.data)
    with Chat(again, "ada") as ada:
        assert ada.hello["epoch"] != epoch
    # A pipe, from one to the other.
    piped = folder / "piped"
    parlor = f"'{harness.parlor_binary()}' data"
    pipe = f"{parlor} export - --data '{moved}' | {parlor} import - --data '{piped}'"
    assert subprocess.run(["sh", "-c", pipe], capture_output=True, timeout=20).returncode == 0
    assert harness.run_parlor("data", "check", "--data", piped).returncode == 0


@pytest.mark.usefixtures("root")
def test_what_root_makes_belongs_to_whom_the_directory_does(servers):
    server = servers.parlor()
    with Chat(server, "ada") as ada:
        ada.join("tea")
    assert server.stop() == 0
    folder = servers.directory()
    for command in (("backup", folder / "backup.db"), ("export", folder / "lines")):
        assert harness.run_parlor("data", *command, "--data", server.data).returncode == 0
    for name, task in (("restored", ("restore", folder / "backup.db")), ("imported", ("import", folder / "lines"))):
        data, roots = folder / name, folder / f"{name} beside"
        data.mkdir()
        roots.write_text("root's, and of no store")
        (data / "parlor.hard").hardlink_to(roots)
        (data / "parlor.soft").symlink_to(roots)
        os.chown(data, 4321, 4322)
        for command in (task, ("repair",)):
            done = harness.run_parlor("data", *command, "--data", data)
            assert done.returncode == 0, done.stderr
            owners = {path.name: (path.lstat().st_uid, path.lstat().st_gid) for path in data.iterdir()}
            assert owners.pop("parlor.hard") == owners.pop("parlor.soft") == (0, 0)
            assert "parlor.db" in owners and set(owners.values()) == {(4321, 4322)}, owners
        (data / "parlor.db").rename(data / "away")
        assert harness.run_parlor("data", "repair", "--data", data).returncode == 1
        assert (data / "parlor.lock").stat().st_uid == 4321


#: What a kill may come before or behind, of what moves files.
MOVES = "?link,linkat,?rename,?renameat,renameat2,?unlink,unlinkat"


def stored(data):
    """The files that are a store, or were one, with what is in them."""
    names = sorted(name for name in data.iterdir() if not name.name.endswith(("-shm", ".lock")))
    return {name.name: name.read_bytes() for name in names}


def laid_out(servers, files):
    data = servers.directory()
    for name, content in files.items():
        (data / name).write_bytes(content)
    return data


@pytest.fixture(scope="module")
def killed(module_servers):
    """The files that a kill leaves, a backup that is older, and an export of it."""
    server = module_servers.parlor()
    folder = module_servers.directory()
    with Chat(server, "ada") as ada:
        ada.join("tea")
        for number in range(100):
            ada.say("tea", f"before {number} " + "x" * 500)
        server.stop()
    server = module_servers.parlor(data=server.data)
    for command in (("backup", folder / "backup.db"), ("export", folder / "lines")):
        done = harness.run_parlor("data", *command, "--data", server.data)
        assert done.returncode == 0, done.stderr
    with Chat(server, "ada") as ada:
        for number in range(10):
            ada.say("tea", f"later {number} " + "x" * 500)
    server.kill()
    return stored(server.data), folder


def said(servers, data):
    """What is served: the number of messages; None if it is refused as damaged."""
    server = up_or_over(servers, data)
    if not server.is_running():
        return None
    with Chat(server, "ada") as ada:
        texts = [entry["payload"].get("text") for entry in history(ada, "tea").values()]
    assert server.stop() == 0
    return sum(text is not None for text in texts)


def test_files_that_are_not_one_whole_store_are_refused_and_left_as_they_are(servers, killed):
    files, folder = killed
    cut = {**files, "parlor.db": files["parlor.db"][: 10 * 4_096]}
    empty = {**files, "parlor.db": b""}
    gone = {"parlor.db-wal": files["parlor.db-wal"]}
    for broken, words in (
        (cut, " bytes are not there"),
        (empty, "it is empty, and its log parlor.db-wal is not"),
        (gone, "it is not there, and its log parlor.db-wal is"),
    ):
        data = laid_out(servers, broken)
        # The second start finds what the first one found.
        for _ in range(2):
            ended = start(data)
            assert ended.returncode == 1
            assert words in ended.stderr and "parlor data restore" in ended.stderr
            checked = harness.run_parlor("data", "check", "--data", data)
            assert checked.returncode == 1 and words in checked.stdout, checked.stdout
            assert stored(data) == broken, "something was changed"
        imported = harness.run_parlor("data", "import", folder / "lines", "--data", data)
        assert imported.returncode == 1 and stored(data) == broken, imported.stderr
        done = harness.run_parlor("data", "restore", folder / "backup.db", "--data", data)
        assert done.returncode == 0 and "parlor.db.old-1" in done.stdout, done.stderr
        # The mark says nothing of the new one.
        data_of = {name: content for name, content in broken.items() if name != "parlor.mark"}
        aside = {name.replace("parlor.db", "parlor.db.old-1"): data_of[name] for name in data_of}
        assert {name: stored(data).get(name) for name in aside} == aside, "it is put aside"
        assert said(servers, data) == 100


@pytest.mark.seconds(240)
def test_a_kill_at_any_step_of_a_restore_leaves_the_old_store_or_the_new_one(servers, killed):
    files, folder = killed
    strace = harness.tool("strace", "install it (Debian and Ubuntu: apt-get install strace)")
    cut = {**files, "parlor.db": files["parlor.db"][: 10 * 4_096]}
    for before, old in ((files, 110), (cut, None)):
        seen = []
        for step in range(1, 50):
            data = laid_out(servers, before)
            # fmt: off
            command = [strace, "-f", "-qq", "-o", "/dev/null", "-e", f"trace={MOVES}",
                       "-e", f"inject={MOVES}:signal=KILL:when={step}",
                       harness.parlor_binary(), "data", "restore", folder / "backup.db",
                       "--data", data]
            # fmt: on
            done = subprocess.run([str(word) for word in command], capture_output=True, timeout=30)
            left = stored(data)
            count = said(servers, data)
            assert count in (old, 100), f"step {step}: {count} messages"
            if count is None:
                # As it was, beside what it is put aside as.
                assert {name: left.get(name) for name in before} == before, f"step {step}"
                again = harness.run_parlor(
                    "data", "restore", folder / "backup.db", "--data", data, seconds=20
                )
                assert again.returncode == 0, f"step {step}: {again.stderr}"
                assert said(servers, data) == 100, f"step {step}"
            seen.append(count)
            if done.returncode == 0:
                break
        assert seen == sorted(seen, key=lambda count: count == 100), seen
        assert seen[0] == old and seen[-1] == 100 and 3 < len(seen) < 49, seen


@pytest.mark.seconds(240)
@pytest.mark.parametrize("command", ["backup", "export"])
def test_a_kill_at_any_step_of_a_copy_leaves_all_of_it_or_nothing_under_its_name(servers, killed, command):
    files, folder = killed
    strace = harness.tool("strace", "install it (Debian and Ubuntu: apt-get install strace)")
    data, copies = laid_out(servers, files), servers.directory()
    whole = harness.run_parlor("data", command, copies / "whole", "--data", data)
    assert whole.returncode == 0, whole.stderr
    copy, seen = copies / "copy", []
    steps = f"{MOVES},write,pwrite64,fsync"
    for step in range(1, 400):
        # fmt: off
        killing = [strace, "-f", "-qq", "-o", "/dev/null", "-e", f"trace={steps}",
                   "-e", f"inject={steps}:signal=KILL:when={step}",
                   harness.parlor_binary(), "data", command, copy, "--data", data]
        # fmt: on
        done = subprocess.run([str(word) for word in killing], capture_output=True, timeout=30)
        seen.append(copy.exists())
        if copy.exists():
            if command == "backup":
                checked = harness.run_parlor("data", "check", copy)
                assert checked.returncode == 0, f"step {step}: {checked.stdout}"
            else:
                assert copy.read_bytes() == (copies / "whole").read_bytes(), f"step {step}"
            copy.unlink()
        if done.returncode == 0:
            break
    assert seen[0] is False and seen[-1] is True and 5 < len(seen) < 399, seen
    assert seen == sorted(seen), "once it is there it stays"
    assert sorted(path.name for path in copies.iterdir()) == ["whole"], "what a kill has left is gone"
