"""The folder of a running server is moved, removed or replaced: nothing is acknowledged into files that are gone, it is
said, and no second server comes in between."""

import os
import shutil
import threading

import pytest

import harness
from backend import until
from harness import Chat, Refused


def is_ready(server):
    return server.http("/readyz")[0] == 200


def acknowledged(chat, count=40):
    """How many of so many messages are acknowledged."""
    total = 0
    for _ in range(count):
        try:
            chat.say("r", "x")
            total += 1
        except Refused as refused:
            assert refused.code == "unavailable"
    return total


@pytest.fixture
def started(servers):
    """A server with a message, in a folder that may go."""
    data = servers.directory() / "data"
    server = servers.parlor(data=data)
    with Chat(server, "ada") as ada:
        ada.join("r")
        ada.say("r", "kept")
        yield server, data, ada


LOSSES = {
    "the folder is moved": lambda data: data.rename(data.with_name("elsewhere")),
    "the folder is removed": shutil.rmtree,
    "the folder is another": lambda data: (data.rename(data.with_name("elsewhere")), data.mkdir()),
    "the database is removed": lambda data: (data / "parlor.db").unlink(),
    "the log is removed": lambda data: (data / "parlor.db-wal").unlink(),
    "the log is another": lambda data: ((data / "parlor.db-wal").unlink(), (data / "parlor.db-wal").touch()),
    "the log is cut": lambda data: (data / "parlor.db-wal").write_bytes(b""),
    "the tail is removed": lambda data: (data / "parlor.db-tail").unlink(),
    "the tail is another": lambda data: ((data / "parlor.db-tail").unlink(), (data / "parlor.db-tail").touch()),
    "the tail is cut": lambda data: (data / "parlor.db-tail").write_bytes(b""),
    "the lock is removed": lambda data: (data / "parlor.lock").unlink(),
    "a copy takes its place": lambda data: (
        shutil.copytree(data, data.with_name("copy")),
        data.rename(data.with_name("elsewhere")),
        data.with_name("copy").rename(data),
    ),
}


@pytest.mark.parametrize("loss", LOSSES)
def test_nothing_is_acknowledged_into_files_that_are_gone(started, loss):
    server, data, ada = started
    assert is_ready(server)
    LOSSES[loss](data)
    assert acknowledged(ada) == 0
    assert not is_ready(server)
    assert "is not the file any more that this server has open" in server.output()
    # What is there is still shown.
    assert [entry["payload"].get("text") for entry in ada.history("r")["entries"]][-1] == "kept"


def test_a_tail_that_is_gone_before_anything_is_in_it_is_noticed(servers):
    server = servers.parlor()
    with Chat(server, "ada") as ada:
        # This changes tables, so it is in the log.
        ada.join("r")
        (server.data / "parlor.db-tail").unlink()
        assert acknowledged(ada, 3) == 0 and not is_ready(server)


def test_the_log_of_a_database_that_a_link_leads_to_is_watched_too(servers):
    data, real = servers.directory(), servers.directory() / "real.db"
    servers.parlor(data=data).stop()
    (data / "parlor.db").rename(real)
    (data / "parlor.db").symlink_to(real)
    server = servers.parlor(data=data)
    with Chat(server, "ada") as ada:
        ada.join("r")
        ada.say("r", "kept")
        log = real.with_name("real.db-wal")
        log.rename(log.with_name("aside"))
        assert acknowledged(ada, 3) == 0 and not is_ready(server)
        log.with_name("aside").rename(log)
        assert acknowledged(ada, 3) == 3


def test_a_checkpoint_and_a_backup_are_no_loss(servers):
    server = servers.parlor()
    copies = servers.directory()
    with Chat(server, "ada") as ada:
        ada.join("r")
        # More than the log has before it is brought into the file: 16 MiB, and cut to that. In
        # portions, since a client that sends holds what reads up: if the server waited for it to
        # read, both would wait.
        for _ in range(75):
            sent = [ada.send("chat:send", room="r", text="x" * 16_000) for _ in range(20)]
            ada.answer(sent[-1])
        ada.say("r", "kept", cid="last")
        done = harness.run_parlor("data", "backup", copies / "b.db", "--data", server.data, seconds=20)
        assert done.returncode == 0, done.stderr
        assert acknowledged(ada, 3) == 3 and is_ready(server)


def test_it_is_noticed_also_while_nobody_writes(started):
    server, data, _ = started
    data.rename(data.with_name("elsewhere"))
    until(lambda: not is_ready(server))


def test_when_the_files_are_back_it_goes_on_without_a_hole(started):
    server, data, ada = started
    data.rename(data.with_name("elsewhere"))
    assert acknowledged(ada, 3) == 0
    data.with_name("elsewhere").rename(data)
    assert acknowledged(ada, 3) == 3
    until(lambda: is_ready(server))
    assert "stored again" in server.output()
    server.kill()
    again = harness.run_parlor("data", "check", "--data", data)
    assert again.returncode == 0, again.stdout


def killed_with(servers, count):
    """What a kill leaves of a server with so many messages, and its epoch."""
    server = servers.parlor()
    with Chat(server, "ada") as ada:
        ada.join("r")
        for number in range(count):
            ada.say("r", str(number))
        epoch = ada.hello["epoch"]
    server.kill()
    return server.data, epoch


WITHOUT_THE_TAIL = {
    "the tail is removed": lambda data: (data / "parlor.db-tail").unlink(),
    "the tail is emptied": lambda data: (data / "parlor.db-tail").write_bytes(b""),
    "the tail is cut": lambda data: os.truncate(data / "parlor.db-tail", 1_000),
    "the file is copied alone": lambda data: [
        (data / name).unlink() for name in ("parlor.db-wal", "parlor.db-tail", "parlor.mark")
    ],
}


@pytest.mark.parametrize("loss", WITHOUT_THE_TAIL)
def test_a_start_that_finds_less_than_was_acknowledged_says_so_and_takes_a_new_epoch(servers, loss):
    data, epoch = killed_with(servers, 20)
    WITHOUT_THE_TAIL[loss](data)
    checked = harness.run_parlor("data", "check", "--data", data)
    assert checked.returncode == 1
    is_known = (data / "parlor.mark").exists()
    named = "to 21 are lost" if is_known else "the mark of the data is not there"
    assert named in checked.stdout, checked.stdout
    # Imported with its epoch, it would give numbers again; and a copy has no mark that would show it.
    exported = harness.run_parlor("data", "export", "-", "--data", data)
    assert (exported.returncode, exported.stdout) == (1, ""), exported
    assert "something that was acknowledged is missing" in exported.stderr and named in exported.stderr
    copied = harness.run_parlor("data", "backup", servers.directory() / "copy.db", "--data", data)
    assert copied.returncode == 1 and named in copied.stdout + copied.stderr
    server = servers.parlor(data=data)
    assert named in server.output() and "The epoch is a new one" in server.output()
    assert "of another store" not in server.output(), "the mark was right"
    with Chat(server, "ada") as ada:
        assert ada.hello["epoch"] != epoch
        found = len(ada.history("r", limit=100)["entries"])
        assert 0 < found < 20 and ada.say("r", "after")["seq"] == found + 1
        epoch = ada.hello["epoch"]
    exported = harness.run_parlor("data", "export", "-", "--data", data)
    assert exported.returncode == 0, exported
    # It is said once.
    server.kill()
    again = servers.parlor(data=data)
    with Chat(again, "ada") as ada:
        assert ada.hello["epoch"] == epoch
    assert "lost" not in again.output()


def test_what_is_in_the_tail_does_not_need_the_log(servers):
    data, epoch = killed_with(servers, 20)
    (data / "parlor.db-wal").unlink()
    checked = harness.run_parlor("data", "check", "--data", data)
    assert checked.returncode == 0, checked.stdout
    server = servers.parlor(data=data)
    with Chat(server, "ada") as ada:
        assert ada.hello["epoch"] == epoch
        assert [entry["payload"].get("text") for entry in ada.history("r")["entries"]][-1] == "19"


def test_beside_a_server_that_writes_nothing_looks_lost(servers):
    server = servers.parlor()
    is_over = threading.Event()

    def write():
        with Chat(server, "ada") as ada:
            ada.join("r")
            while not is_over.is_set():
                ada.say("r", "x" * 2_000)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for number in range(12):
            exported = harness.run_parlor("data", "export", "-", "--data", server.data)
            assert exported.returncode == 0, exported.stderr
            copied = harness.run_parlor("data", "backup", servers.directory() / f"{number}.db", "--data", server.data)
            assert copied.returncode == 0, copied.stderr
            assert harness.run_parlor("data", "check", "--data", server.data).returncode == 0
    finally:
        is_over.set()
        writer.join()


def test_of_many_logs_that_have_lost_something_the_first_are_named(servers):
    server = servers.parlor()
    with Chat(server, "ada") as ada:
        ada.join("r")
        for number in range(25):
            ada.join(f"r{number}")
    server.kill()
    (server.data / "parlor.db-wal").unlink()
    checked = harness.run_parlor("data", "check", "--data", server.data)
    assert checked.stdout.count("entry 1 is lost") == 25, checked.stdout
    again = servers.parlor(data=server.data)
    assert again.output().count("entry 1 is lost") == 20
    assert "entries of more logs are lost more=5" in again.output()


def test_a_server_that_can_keep_no_mark_says_so_and_serves(servers):
    data = servers.directory()
    (data / "parlor.mark.new").mkdir()
    server = servers.parlor(data=data)
    assert "no mark can be kept beside the data" in server.output()
    with Chat(server, "ada") as ada:
        ada.join("r")
        ada.say("r", "kept")
        epoch = ada.hello["epoch"]
    server.kill()
    (data / "parlor.mark.new").rmdir()
    again = servers.parlor(data=data)
    with Chat(again, "ada") as ada:
        assert ada.hello["epoch"] == epoch
        assert [entry["payload"].get("text") for entry in ada.history("r")["entries"]][-1] == "kept"


def test_the_clean_copy_of_a_stopped_server_has_lost_nothing(servers):
    server = servers.parlor()
    with Chat(server, "ada") as ada:
        ada.join("r")
        ada.say("r", "kept")
        epoch = ada.hello["epoch"]
    assert server.stop() == 0
    alone = servers.directory() / "alone"
    alone.mkdir()
    shutil.copy(server.data / "parlor.db", alone)
    for data in (alone, shutil.copytree(server.data, servers.directory() / "all")):
        copy = servers.parlor(data=data)
        with Chat(copy, "ada") as ada:
            assert ada.hello["epoch"] == epoch
        assert "lost" not in copy.output()


def test_whoever_removes_the_lock_lets_no_second_server_in(started):
    _, data, _ = started
    (data / "parlor.lock").unlink()
    port = str(harness.free_port())
    second = harness.run_parlor("serve", "--listen", f"{harness.HOST}:{port}", "--data", data)
    assert second.returncode == 1
    assert "in use by another process" in second.stderr
    for command in (("restore", data / "parlor.db"), ("repair",)):
        done = harness.run_parlor("data", *command, "--data", data)
        assert done.returncode == 1, command
