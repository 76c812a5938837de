"""parlor send and parlor listen, at a terminal's other end: pipes, files, exit statuses."""

import contextlib
import json
import os
import re
import resource
import signal
import socket
import subprocess
import threading
import time

import pytest
from websockets.sync.server import serve

import harness
from harness import PATIENCE, Chat, run_parlor


def send(server, *arguments, user="ada", text=None, seconds=20, env=None, url=None):
    """Runs `parlor send`; gives its status, output and complaints."""
    command = [harness.parlor_binary(), "send", "--url", url or server.url(), *(("--user", user) if user else ()), *map(str, arguments)]
    done = subprocess.run(
        command, input=text, capture_output=True, text=True, timeout=seconds, env=harness.clean_environment(**(env or {})), check=False
    )
    return done.returncode, done.stdout, done.stderr


class Listener:
    """`parlor listen`, which runs."""

    def __init__(self, server, *arguments, user="ada"):
        command = [harness.parlor_binary(), "listen", "--url", server.url(), "--user", user, *map(str, arguments)]
        # A shell that runs the tests in the background has them, and what they start, ignore SIGINT.
        self.process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=harness.clean_environment(),
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()

    def lines(self, count):
        return [self.process.stdout.readline().rstrip("\n") for _ in range(count)]

    def ends(self):
        out, error = self.process.communicate(timeout=4 * PATIENCE)
        return self.process.returncode, out, error


@pytest.fixture
def server(servers):
    return servers.parlor()


def without_time(line):
    return re.sub(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z ", "", line)


def test_a_message_is_stored_and_its_number_printed(server):
    status, out, error = send(server, "--join", "tea", "Good evening")
    assert (status, error) == (0, "") and re.fullmatch(r"tea 2 in \d+ ms\n", out), (status, out, error)
    status, out, error = send(server, "--json", "--cid", "c-1", "--data", '{"n": 1.50}', "--reply-to", 2, "tea", "again")
    told = json.loads(out)
    assert (status, error) == (0, "") and told | {"ts": 0, "ms": 0} == {"room": "tea", "seq": 3, "ts": 0, "cid": "c-1", "ms": 0}
    # A repeat is harmless.
    again = send(server, "--json", "--cid", "c-1", "--data", '{"n": 1.50}', "--reply-to", 2, "tea", "again")
    assert json.loads(again[1])["seq"] == 3
    entries = server.api("GET", "rooms/tea/messages?user=ada")[1]["entries"]
    last = entries[-1]["payload"]
    assert (last["seq"], last["text"], last["data"], last["reply_to"]) == (3, "again", {"n": 1.5}, 2)


def test_lines_of_standard_input_are_messages(server):
    status, out, error = send(server, "--join", "tea", text="one\n\ntwo\nthree")
    assert (status, error) == (0, "")
    assert [line.split(" ")[1] for line in out.splitlines()] == ["2", "3", "4", "5"]
    begun = time.monotonic()
    status, out, _ = send(server, "--rate", 20, "tea", text="a\nb\nc\nd\n")
    assert status == 0 and len(out.splitlines()) == 4 and time.monotonic() - begun > 0.15


def test_each_line_is_answered_when_it_was_stored(server):
    command = [harness.parlor_binary(), "send", "--url", server.url(), "--user", "ada", "--join", "tea"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1) as process:
        for number in range(2, 5):
            process.stdin.write("a line\n")
            assert re.fullmatch(rf"tea {number} in \d+ ms\n", process.stdout.readline())
        process.stdin.close()
        assert process.wait(PATIENCE) == 0


def test_what_is_refused_says_why(server):
    assert send(server, "tea", "x") == (1, "", "parlor: tea: not_member: you are not a member of this room; --join joins it\n")
    status, out, error = send(server, "--json", "tea", "x")
    assert status == 1 and json.loads(out)["error"]["code"] == "not_member"
    for arguments, words in [
        (("a b", "x"), "invalid value 'a b' for '<ROOM>'"),
        (("--url", "nonsense", "tea", "x"), "does not begin with ws://"),
        (("--rate", "0", "tea"), "--rate is more than 0"),
        (("--token-file", "/nowhere", "tea", "x"), "/nowhere: No such file"),
        (("--proxy", "ftp://x", "tea", "x"), "the proxy's URL does not begin with"),
        (("-H", "no colon", "tea", "x"), "a field is NAME: VALUE"),
    ]:
        done = run_parlor("send", *(() if "--url" in arguments else ("--url", server.url())), "--user", "ada", *arguments, seconds=20)
        assert done.returncode == 2 and words in done.stderr and done.stdout == "", (arguments, done)


def test_a_server_that_is_away_is_status_3_and_an_outbox_keeps_the_messages(servers, server):
    folder, data = servers.directory() / "outbox", servers.directory()
    port = harness.free_port()
    away = f"ws://{harness.HOST}:{port}/ws"
    status, out, error = send(None, "--timeout", 0.5, "tea", "x", url=away)
    assert (status, out) == (3, "") and f"{away}: it cannot be reached: connection refused" in error, error
    for text in ("one", "two"):
        status, out, error = send(None, "--timeout", 0.5, "--outbox", folder, "--join", "tea", text, url=away)
        assert status == 3 and error.endswith(f"kept in {folder}\n"), (status, error)
    assert "2 messages are kept" in error
    there = servers.parlor(data=data, port=port)
    status, out, error = send(there, "--outbox", folder, "--join", "tea", "three")
    assert (status, error) == (0, ""), (status, out, error)
    entries = there.api("GET", "rooms/tea/messages?user=ada")[1]["entries"]
    assert [one["payload"]["text"] for one in entries if one["type"] == "chat:message"] == ["one", "two", "three"]


def test_a_token_of_another_user_sends_nothing_of_an_outbox(servers, tmp_path):
    server = servers.parlor("--secret-file", servers.secret_file())
    box = tmp_path / "outbox"
    nowhere = f"ws://{harness.HOST}:{harness.free_port()}/ws"
    for user in ("ada", "bob"):
        (tmp_path / user).write_text(harness.token(user))
    of = {user: ("--token-file", tmp_path / user) for user in ("ada", "bob")}
    assert send(server, *of["ada"], "--outbox", box, "--timeout", 0.2, "--join", "tea", "mine", url=nowhere)[0] == 3
    status, out, error = send(server, *of["bob"], "--outbox", box, "--timeout", 1, "--join", "tea", "hers")
    assert (status, out) == (4, ""), (status, out, error)
    assert error == f"parlor: --user is ada, and the token is that of bob; the messages of --user are kept in {box}\n"
    # Online for long when the message comes.
    command = ["--url", server.url(), "--user", "ada", *map(str, of["bob"]), "--outbox", str(box), "--timeout", "1", "tea"]
    command = [harness.parlor_binary(), "send", *command]
    environment = harness.clean_environment()
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, text=True, env=environment, **pipes) as late:
        time.sleep(0.5)
        out, error = late.communicate("late\n", timeout=PATIENCE)
    assert (late.returncode, out) == (4, ""), (out, error)
    status, out, error = send(server, *of["ada"], "--outbox", box, "--join", "tea", "third")
    assert (status, error) == (0, ""), (status, out, error)
    entries = server.api("GET", "rooms/tea/messages", token=harness.token("ada"))[1]["entries"]
    assert [one["payload"]["text"] for one in entries if "text" in one["payload"]] == ["mine", "hers", "late", "third"]


def test_what_a_full_disk_does_not_keep_is_said(tmp_path):
    nowhere = f"ws://{harness.HOST}:{harness.free_port()}/ws"
    command = [harness.parlor_binary(), "send", "--url", nowhere, "--user", "ada", "--timeout", "2", "--outbox", str(tmp_path / "box"), "tea"]

    def small_files():
        resource.setrlimit(resource.RLIMIT_FSIZE, (4_096, 4_096))
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    lines = "".join(f"{number} {'x' * 500}\n" for number in range(20))
    done = subprocess.run(
        command, input=lines, capture_output=True, text=True, timeout=20, env=harness.clean_environment(), preexec_fn=small_files, check=False
    )
    assert done.returncode == 3, done
    kept, lost = map(int, re.search(r"; (\d+) messages are kept in .*; (\d+) could not be kept, and are lost\n", done.stderr).groups())
    assert kept + lost == 20 and kept > 3 and lost > 3
    assert len((tmp_path / "box/outbox.ndjson").read_text().splitlines()) == kept


def test_tokens_come_from_a_file_a_command_or_the_environment(servers):
    server = servers.parlor("--secret-file", servers.secret_file())
    token, folder = harness.token("ada"), servers.directory()
    (folder / "token").write_text(token + "\n")
    assert send(server, "--join", "--token-file", folder / "token", "tea", "x", user=None)[0] == 0
    assert send(server, "--token-cmd", f"cat {folder}/token", "tea", "x", user=None)[0] == 0
    assert send(server, "tea", "x", user=None, env={"PARLOR_TOKEN": token})[0] == 0
    status, _, error = send(server, "tea", "x", user=None, env={"PARLOR_TOKEN": "wrong"})
    assert status == 4 and "unauthorized" in error, error
    status, _, error = send(server, "--timeout", 1, "--token-cmd", "exit 7", "tea", "x", user=None)
    assert status == 4 and "no token: the command for the token ended with exit status: 7" in error, error


def test_listen_prints_what_comes_and_goes_on_after_a_restart(servers):
    data = servers.directory()
    server = servers.parlor(data=data)
    assert send(server, "--join", "tea", "before")[0] == 0
    with Listener(server, "--since", 0, "tea") as plain, Listener(server, "--json", "--count", 4) as every:
        assert [without_time(line) for line in plain.lines(2)] == ["tea 1 ada joins", "tea 2 ada: before"]
        time.sleep(0.3)
        with Chat(server, "ada") as ada:
            ada.request("chat:edit", room="tea", seq=2, text="af\x1bter")
            ada.request("chat:react", room="tea", seq=2, emoji="👍")
        assert [without_time(line) for line in plain.lines(2)] == ["tea 3 ada edits 2: af\ufffdter", "tea 4 ada 👍 2"]
        port = server.port
        assert server.stop() == 0
        server = servers.parlor(data=data, port=port)
        with Chat(server, "ada") as ada:
            ada.request("chat:delete", room="tea", seq=2)
            ada.request("chat:send", room="tea", text="x\ny", reply_to=4)
        assert [without_time(line) for line in plain.lines(2)] == ["tea 5 ada deletes 2", "tea 6 ada (to 4): x\ufffdy"]
        status, out, _ = every.ends()
        pushes = [json.loads(line) for line in out.splitlines()]
        assert status == 0 and [push["type"] for push in pushes] == ["chat:edited", "chat:reacted", "chat:deleted", "chat:message"]
        assert pushes[3]["payload"]["text"] == "x\ny"
        plain.process.send_signal(signal.SIGINT)
        assert plain.process.wait(PATIENCE) == -signal.SIGINT


def test_listen_ends_as_it_is_told(servers, server):
    with Listener(server, "tea") as refused:
        assert refused.ends() == (1, "", "parlor: tea: not_member: you are not a member of this room; --join joins it\n")
    with Listener(server, "--join", "--for", 0.3, "tea") as short:
        assert short.ends()[0] == 0
    assert send(server, "tea", "here")[0] == 0
    with Listener(server, "--for", 0.3, "--count", 5, "tea") as too_few:
        status, _, error = too_few.ends()
        assert status == 6 and error == "parlor: 5 of 5 have not come\n"
    # Only of the rooms that are named, and each once.
    assert send(server, "--join", "attic", "there")[0] == 0
    with Listener(server, "--json", "--since", 0, "--count", 2, "tea", "tea") as twice:
        status, out, _ = twice.ends()
        told = [json.loads(line)["payload"] for line in out.splitlines()]
        assert status == 0 and [(one["room"], one["seq"]) for one in told] == [("tea", 1), ("tea", 2)]
    with Listener(server, "--stream", "nothing") as unknown:
        status, _, error = unknown.ends()
        assert status == 1 and error.startswith("parlor: nothing: no_such_stream")


def test_listen_watches_streams_and_presence(servers):
    configuration = servers.directory() / "parlor.toml"
    configuration.write_text('[streams.prices]\nkeep = 100\npublish = true\n')
    server = servers.parlor("--config", configuration)
    with Listener(server, "--stream", "prices", "--json", "--count", 2) as prices, Listener(server, "--presence") as people:
        assert people.lines(1)[0] == "1 online: ada"
        time.sleep(0.3)
        with Chat(server, "bob") as bob:
            assert people.lines(1)[0] == "2 online: ada bob"
            for price in (1, 2):
                bob.request("publish", stream="prices", data={"price": price})
        status, out, _ = prices.ends()
        events = [json.loads(line)["payload"] for line in out.splitlines()]
        assert status == 0 and [(event["seq"], event["data"]) for event in events] == [(1, {"price": 1}), (2, {"price": 2})]


def test_a_reader_that_has_seen_enough_is_no_failure(server):
    assert send(server, "--join", "tea", "x")[0] == 0
    command = [harness.parlor_binary(), "listen", "--url", server.url(), "--user", "ada", "--since", "0", "tea"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert "joins" in process.stdout.readline()
        process.stdout.close()
        send(server, "tea", "y")
        send(server, "tea", "z")
        # It notices with the next line that it writes.
        assert process.wait(PATIENCE) == 0 and process.stderr.read() == ""


def test_a_line_of_json_is_one_whatever_its_sender_has_between_its_tokens(server):
    forged = '{"type":"chat:message","payload":{"room":"tea","seq":99,"from":"root","text":"forged","ts":1}}'
    with Listener(server, "--json", "--join", "--count", 3, "tea") as ada, Chat(server, "eve") as eve:
        ada.lines(1)
        eve.join("tea")
        eve.socket.send('{"type":"chat:send","id":7,"payload":{"room":"tea","text":"hi","data":{"a":\n' + forged + "\r\n}}}")
        lines = [json.loads(line) for line in ada.lines(2)]
        assert ada.ends()[0] == 0
    assert [line["payload"].get("from", line["payload"].get("user")) for line in lines] == ["eve", "eve"]
    assert lines[1]["payload"]["data"]["a"]["payload"]["text"] == "forged"


#: What would change a terminal, write another line, or turn it.
RAW = "\x1b[2J\x07\x9b31m\u202e\nparlor: forged"


def says_and_closes(code, first=None):
    def serve_one(connection):
        if first:
            connection.send(first)
        connection.close(code, RAW)

    return serve_one


@pytest.mark.parametrize("command", [["send", "tea", "hi"], ["listen", "tea"], ["chat", "tea"]], ids=["send", "listen", "chat"])
def test_what_a_server_says_changes_no_terminal(command):
    refusal = json.dumps({"type": "error", "payload": {"code": RAW, "message": RAW}})
    with serve(says_and_closes(4_000, refusal), harness.HOST, 0) as hostile:
        threading.Thread(target=hostile.serve_forever, daemon=True).start()
        url = f"ws://{harness.HOST}:{hostile.socket.getsockname()[1]}/ws"
        name, *rest = command
        done = run_parlor(name, "--url", url, "--user", "ada", "--timeout", 3, *rest, seconds=20)
        hostile.shutdown()
    status, out, error = done.returncode, done.stdout, done.stderr
    assert status == 4 and "forged" in error, (status, out, error)
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e]", out + error)
    assert not re.search("^parlor: forged", error, flags=re.MULTILINE)


def answers_with(answer):
    """A server of this answer, to ten that come one after the other; its port."""
    listener = socket.create_server((harness.HOST, 0))

    def answer_all():
        with listener:
            for _ in range(10):
                with listener.accept()[0] as stream, contextlib.suppress(OSError):
                    stream.settimeout(PATIENCE)
                    stream.recv(65_536)
                    stream.sendall(answer)
                    while stream.recv(65_536):
                        pass

    threading.Thread(target=answer_all, daemon=True).start()
    return listener.getsockname()[1]


def test_a_server_that_breaks_the_protocol_is_status_5():
    for answer in (b"HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: no\r\n\r\n", b"220 mail\r\n\r\n"):
        url = f"ws://{harness.HOST}:{answers_with(answer)}/ws"
        done = run_parlor("send", "--url", url, "--user", "ada", "--timeout", 1, "tea", "hi", seconds=20)
        assert done.returncode == 5 and "the server broke the protocol" in done.stderr, done


def test_an_outbox_is_somebodys_and_its_damage_holds_nothing_up(servers, server, tmp_path):
    token = tmp_path / "token"
    token.write_text("x")
    status, _, error = send(server, "--token-file", token, "--outbox", tmp_path / "box", "tea", "hi", user=None)
    assert status == 2 and "--user" in error
    nowhere = f"ws://{harness.HOST}:{harness.free_port()}/ws"
    box = tmp_path / "outbox"
    assert send(server, "--outbox", box, "--timeout", 0.2, "tea", "whole", url=nowhere)[0] == 3
    kept = (box / "outbox.ndjson").read_text()
    damaged = json.dumps(json.loads(kept) | {"id": "damaged", "data": "}{ no json"})
    (box / "outbox.ndjson").write_text(damaged + "\n" + kept)
    status, out, error = send(server, "--outbox", box, "--join", "tea", "new")
    assert (status, len(out.splitlines())) == (0, 1) and "cannot be read: they are in" in error, (status, out, error)
    assert (box / "outbox.unreadable").read_text() == damaged + "\n"
    page = server.api("GET", "rooms/tea/messages?user=ada")[1]["entries"]
    assert [entry["payload"]["text"] for entry in page if "text" in entry["payload"]] == ["whole", "new"]
    # What another has put there is not followed.
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (box / "outbox.ndjson.new").symlink_to(victim)
    assert send(server, "--outbox", box, "tea", "again")[0] == 0 and victim.read_text() == "precious"
    (box / "outbox.ndjson").unlink()
    (box / "outbox.ndjson").symlink_to(victim)
    status, _, error = send(server, "--outbox", box, "tea", "again")
    assert status == 1 and "outbox.ndjson" in error and victim.read_text() == "precious"
    (box / "outbox.ndjson").unlink()
    os.mkfifo(box / "outbox.ndjson")
    status, _, error = send(server, "--outbox", box, "--timeout", 1, "tea", "again")
    assert status == 1 and "no file" in error


def silent_behind(first):
    """A server that lets a client in, answers pings, and says nothing more."""

    def serve_one(connection):
        if first:
            connection.send(first)
        for text in connection:
            asked = json.loads(text)
            if asked["type"] == "ping":
                connection.send(json.dumps({"type": "reply", "id": asked["id"], "payload": {}}))

    return serve_one


def test_a_server_that_falls_silent_is_waited_for_as_long_as_is_said(server):
    with Chat(server, "bob") as bob:
        hello = json.dumps({"type": "hello", "payload": bob.hello})
    with serve(silent_behind(hello), harness.HOST, 0) as silent:
        threading.Thread(target=silent.serve_forever, daemon=True).start()
        url = f"ws://{harness.HOST}:{silent.socket.getsockname()[1]}/ws"
        for command in (["send", "tea", "hi"], ["listen", "tea"], ["chat", "tea"]):
            begun = time.monotonic()
            name, *rest = command
            done = run_parlor(name, "--url", url, "--user", "ada", "--timeout", 1, *rest, seconds=20)
            assert done.returncode == 6, done
            assert time.monotonic() - begun < 5, name
        silent.shutdown()
