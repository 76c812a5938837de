"""parlor chat, through pipes and in a terminal, which is tmux."""

import os
import re
import shlex
import shutil
import signal
import subprocess
import tempfile
import time

import pytest

import harness
from harness import PATIENCE

from test_send_listen import send, without_time


@pytest.fixture
def server(servers):
    return servers.parlor()


def command(server, *arguments, user="ada"):
    return [harness.parlor_binary(), "chat", "--url", server.url(), *(("--user", user) if user else ()), *map(str, arguments)]


def chat_lines(server, *arguments, text, user="ada", seconds=20):
    """Runs `parlor chat` on pipes; gives its status, output and complaints."""
    done = subprocess.run(
        command(server, *arguments, user=user),
        input=text,
        capture_output=True,
        text=True,
        timeout=seconds,
        env=harness.clean_environment(),
        check=False,
    )
    return done.returncode, [without_time(line) for line in done.stdout.splitlines()], done.stderr


class Terminals:
    """Terminals of a tmux of our own."""

    def __init__(self):
        if shutil.which("tmux") is None:
            pytest.fail("tmux is missing: apt-get install tmux", pytrace=False)
        self._folder = tempfile.mkdtemp(prefix="parlor-tmux-")
        self._socket = os.path.join(self._folder, "socket")

    def tmux(self, *arguments):
        environment = {**harness.clean_environment(), "TERM": "xterm-256color", "TZ": "UTC", "LC_ALL": "C.UTF-8"}
        done = subprocess.run(
            ["tmux", "-u", "-f", "/dev/null", "-S", self._socket, *map(str, arguments)],
            capture_output=True,
            text=True,
            timeout=10,
            env=environment,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def open(self, name, line, width=80, height=24):
        """A terminal in which a shell runs a line, and which stays."""
        self.tmux("new-session", "-d", "-s", name, "-x", width, "-y", height, f"{line}; sleep 60")
        return Terminal(self, name)

    def end(self):
        subprocess.run(["tmux", "-S", self._socket, "kill-server"], capture_output=True, timeout=10, check=False)
        shutil.rmtree(self._folder, ignore_errors=True)


class Terminal:
    def __init__(self, terminals, name):
        self._terminals, self._name = terminals, name

    def types(self, text, *keys):
        if text:
            self._terminals.tmux("send-keys", "-t", self._name, "-l", text)
        if keys:
            self._terminals.tmux("send-keys", "-t", self._name, *keys)

    def resizes(self, width, height):
        self._terminals.tmux("resize-window", "-t", self._name, "-x", width, "-y", height)

    def screen(self):
        return self._terminals.tmux("capture-pane", "-p", "-t", self._name)

    def in_alternate_screen(self):
        return self._terminals.tmux("display-message", "-p", "-t", self._name, "#{alternate_on}").strip() == "1"

    def waits_for(self, is_there, what):
        """Waits until the screen is as wanted, and gives it."""
        end = time.monotonic() + 2 * PATIENCE
        while not is_there(screen := self.screen()):
            assert time.monotonic() < end, f"{what} is not on the screen:\n{screen}"
            time.sleep(0.03)
        return screen

    def sees(self, *texts):
        return self.waits_for(lambda screen: all(text in screen for text in texts), texts)

    def sees_no_more(self, text):
        return self.waits_for(lambda screen: text not in screen, f"no {text!r}")


@pytest.fixture
def terminals():
    terminals = Terminals()
    yield terminals
    terminals.end()


def shell_line(*words):
    return shlex.join(map(str, words))


def open_chat(terminals, server, name, *arguments, **size):
    return terminals.open(name, shell_line(*command(server, *arguments, user=name)), **size)


def test_lines_are_messages_and_what_comes_is_printed(server):
    status, lines, error = chat_lines(server, "tea", text="Good evening\n//etc/hosts\n\nlast")
    assert (status, error) == (0, "")
    # One for the room, too, as an empty line is a message.
    assert lines == ["tea 1 ada joins", "tea 2 ada: Good evening", "tea 3 ada: /etc/hosts", "tea 4 ada: ", "tea 5 ada: last"]
    entries = server.api("GET", "rooms/tea/messages?user=ada")[1]["entries"]
    assert [one["payload"]["text"] for one in entries[1:]] == ["Good evening", "/etc/hosts", "", "last"]


def test_commands_are_done_in_their_order(server):
    assert send(server, "--join", "tea", "one", user="bob")[0] == 0
    text = "\n".join(
        ["/room tea", "two", "/r three", "/e zwei", "/react 👍", "/react 2 👍", "/delete 2", "/who", "/room attic", "/dm bob hello", "/quit", "not sent"]
    )
    status, lines, error = chat_lines(server, text=text)
    # It is Bob's room.
    assert status == 1 and error.startswith("parlor: forbidden: ") and error.count("\n") == 1, error
    assert any(re.fullmatch(r"ada online read to \d+", line) for line in lines), lines
    entries = server.api("GET", "rooms/tea/messages?user=ada")[1]["entries"]
    kinds = [(one["type"], one["payload"].get("text"), one["payload"].get("reply_to")) for one in entries]
    assert kinds == [
        ("room:joined", None, None),
        ("chat:message", "one", None),
        ("room:joined", None, None),
        ("chat:message", "two", None),
        ("chat:message", "zwei", 2),
        ("chat:edited", "zwei", None),
        ("chat:reacted", None, None),
        ("chat:reacted", None, None),
    ], kinds
    assert entries[1]["payload"].get("reactions", {}) == {}
    direct = server.api("GET", "rooms/dm:ada:bob/messages?user=bob")[1]["entries"]
    assert direct[-1]["payload"]["text"] == "hello"


def test_what_is_wrong_is_said_and_is_the_status(servers, server):
    status, lines, error = chat_lines(server, text="hello\n/nonsense\n/reply x\n/help\n")
    assert status == 1 and "you are in no room: parlor chat ROOM, or /join NAME" in error
    assert "there is no command /nonsense: /help lists them" in error and "it is: /reply N TEXT" in error
    assert any(line.startswith("/leave ") for line in lines)
    status, _, error = chat_lines(server, "tea", "attic", text="")
    assert status == 2 and '"tea" is no URL: parlor chat [URL] [ROOM]' in error
    status, _, error = chat_lines(server, "tea", text="x", user=None)
    assert status == 4 and "status 401; say who you are: with --user at a server in open mode" in error, error
    keyed = servers.parlor("--secret-file", servers.secret_file())
    status, _, error = chat_lines(keyed, "--timeout", 1, "tea", text="x", user="ada")
    assert status == 4 and "no token was given" in error and "PARLOR_TOKEN" in error, error
    away = subprocess.run(
        [harness.parlor_binary(), "chat", f"ws://{harness.HOST}:{harness.free_port()}/ws", "--user", "ada", "--timeout", "0.5"],
        input="",
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert away.returncode == 3 and "connection refused" in away.stderr


def test_two_people_chat_at_terminals(terminals, server):
    ada = open_chat(terminals, server, "ada")
    ada.sees("You are in no room yet", "/join NAME", "● ada, online")
    ada.types("/join tea", "Enter")
    ada.sees("ada joins", "Nobody has written here yet")
    ada.types("Good evening 日本", "Enter")
    ada.sees(" 2 ", "ada: Good evening 日本")
    bob = open_chat(terminals, server, "bob", "tea")
    bob.sees("ada: Good evening 日本", "2 of 2 online: ada bob")
    ada.sees("bob joins", "2 of 2 online: ada bob")
    # Who types, until they have written.
    bob.types("/r hel")
    ada.sees("bob joins")
    bob.types("", "C-u")
    bob.types("hello, ")
    ada.sees("bob types …")
    bob.types("", "Home")
    bob.types("/r ")
    bob.types("", "End")
    bob.types("Ada", "Enter")
    ada.sees("┌ ada: Good evening 日本", "bob: hello, Ada")
    ada.sees_no_more("bob types …")
    # A room that is not looked at counts what is new.
    ada.types("/join attic", "Enter")
    ada.sees("Nobody has written here yet")
    for text in ("one", "two"):
        bob.types(text, "Enter")
    ada.waits_for(lambda screen: re.search(r"^ tea +2│", screen, re.MULTILINE), "a count of 2")
    ada.types("", "C-n")
    ada.sees("── new ──", "bob: two")
    ada.waits_for(lambda screen: re.search(r"^ tea +│", screen, re.MULTILINE), "no count")
    # Changes, and what is harmful.
    bob.types("/e 2 too", "Enter")
    ada.sees("bob: 2 too (edited)")
    ada.types("/react 👍", "Enter")
    bob.sees("👍 ada")
    assert send(server, "tea", "evil\x1b[2J\x1b]0;title\x07\u202etext", user="bob")[0] == 0
    ada.sees("bob: evil\ufffd[2J\ufffd]0;title\ufffd\ufffdtext")
    bob.types("/delete", "Enter")
    ada.sees("bob: (deleted)")
    ada.types("/who", "Enter")
    ada.sees("Who is in tea", "ada  online  owner  read to")
    ada.types("/dm bob psst", "Enter")
    ada.sees(" @bob ", "ada: psst")
    bob.waits_for(lambda screen: re.search(r"^ @ada +1│", screen, re.MULTILINE), "a direct message")
    ada.types("/leave", "Enter")
    ada.sees("forbidden: ")
    ada.types("/room attic", "Enter")
    ada.sees("Nobody has written here yet")
    ada.types("/leave", "Enter")
    ada.sees("you have left attic")
    ada.types("/nonsense", "Enter")
    ada.sees("there is no command /nonsense: /help lists them")


def test_history_is_scrolled_and_resizing_keeps_the_place(terminals, server):
    text = "".join(f"number {number}\n" for number in range(1, 501))
    assert send(server, "--join", "tea", text=text)[0] == 0
    ada = open_chat(terminals, server, "ada", "tea")
    ada.sees("number 500", "● ada, online")
    # Faster than the pages come.
    ada.types("", *["PageUp"] * 30)
    ada.sees("number 1\n", "ada joins")
    # Nothing is missing, and nothing there twice, from page to page.
    seen = set(re.findall(r"number (\d+)", ada.screen()))
    for _ in range(40):
        before = ada.screen()
        seen |= set(re.findall(r"number (\d+)", before))
        if "number 500" in before:
            break
        ada.types("", "PageDown")
        ada.waits_for(lambda screen: screen != before, "the next page")
    assert seen == {str(number) for number in range(1, 501)}
    ada.types("/history 250", "Enter")
    ada.sees("number 249\n", "older messages")
    assert send(server, "tea", "the newest one")[0] == 0
    ada.resizes(40, 12)
    ada.waits_for(lambda screen: len(screen.splitlines()) <= 12 and "number 249" in screen, "the same place at 40x12")
    ada.resizes(10, 4)
    ada.sees("Too small")
    ada.resizes(80, 24)
    ada.sees("number 249\n", "number 240\n")
    assert "the newest one" not in ada.screen()
    ada.types("", "Escape")
    ada.sees("the newest one")
    ada.types("/help", "Enter")
    screen = ada.sees("Commands and keys", "/room /join NAME", "/quit ", "Ctrl-K")
    assert "delete word, before, behind" in screen


def test_a_restart_of_the_server_loses_nothing(terminals, servers):
    data = servers.directory()
    server = servers.parlor(data=data)
    ada = open_chat(terminals, server, "ada", "tea")
    ada.sees("ada joins", "● ada, online")
    bob = open_chat(terminals, server, "bob", "tea")
    bob.sees("bob joins", "● bob, online")
    port = server.port
    server.kill()
    ada.sees("○ ada, not connected")
    for text in ("first", "second"):
        ada.types(text, "Enter")
    ada.sees("ada: first (waiting)", "ada: second (waiting)", "ada, 2 unsent, ")
    server = servers.parlor(data=data, port=port)
    for terminal in (ada, bob):
        terminal.types("/retry", "Enter")
        terminal.sees("online", "ada: first\n", "ada: second\n")
    ada.sees_no_more("waiting")
    entries = server.api("GET", "rooms/tea/messages?user=ada")[1]["entries"]
    assert [one["payload"]["text"] for one in entries if one["type"] == "chat:message"] == ["first", "second"]
    ada.types("/why", "Enter")
    ada.sees("The connection", "waiting: ")


@pytest.mark.parametrize("way", ["/quit", "SIGTERM", "C-c"])
def test_the_terminal_is_given_back(terminals, servers, server, way):
    folder = servers.directory()
    ended = shell_line("stty", "-a")
    # By its id: others have its name, too.
    chat = shell_line("sh", "-c", f"echo $$ >{folder}/process; exec {shell_line(*command(server, 'tea'))}")
    line = f"{ended} >{folder}/before; {chat}; echo status $? >{folder}/status; {ended} >{folder}/after"
    ada = terminals.open("ada", line)
    ada.sees("ada joins", "● ada, online")
    assert ada.in_alternate_screen()
    if way == "SIGTERM":
        os.kill(int((folder / "process").read_text()), signal.SIGTERM)
    elif way == "C-c":
        ada.types("", "C-c")
    else:
        ada.types(way, "Enter")
    end = time.monotonic() + 2 * PATIENCE
    while not (folder / "after").exists() or not (folder / "after").read_text().endswith("\n"):
        assert time.monotonic() < end, ada.screen()
        time.sleep(0.03)
    assert (folder / "status").read_text() == ("status 143\n" if way == "SIGTERM" else "status 0\n")
    assert (folder / "after").read_text() == (folder / "before").read_text()
    assert not ada.in_alternate_screen() and "ada joins" not in ada.screen()


def test_it_is_suspended_and_goes_on(terminals, server):
    ada = terminals.open("ada", "sh -i")
    ada.waits_for(lambda screen: screen.strip(), "a prompt")
    ada.types(shell_line(*command(server, "tea")), "Enter")
    ada.sees("ada joins", "● ada, online")
    ada.types("half", "C-z")
    ada.sees("Stopped")
    assert not ada.in_alternate_screen()
    assert send(server, "tea", "meanwhile", user="ada")[0] == 0
    ada.types("fg", "Enter")
    ada.sees("ada: meanwhile", "> half", "● ada, online")
    # Drawn anew whatever was there.
    ada.types("", "C-l")
    ada.types(" a line", "Enter")
    ada.sees("ada: half a line", "ada: meanwhile", "● ada, online")


@pytest.mark.parametrize("scope", ["rooms", "off"])
def test_who_is_online_as_the_server_tells_it(terminals, servers, scope):
    server = servers.parlor(set={"presence.scope": scope, "presence.grace_ms": 100})
    ada = open_chat(terminals, server, "ada", "tea")
    ada.sees("ada joins", "1 of 1 online: ada" if scope == "rooms" else "1 member")
    bob = open_chat(terminals, server, "bob", "tea")
    ada.sees("bob joins", "2 of 2 online: ada bob" if scope == "rooms" else "2 members")
    assert "forbidden" not in ada.screen()
    bob.types("/quit", "Enter")
    if scope == "rooms":
        ada.sees("1 of 2 online: ada")


def test_who_is_refused_reads_why_at_the_terminal(terminals, servers, server):
    line = shell_line(*command(server, "tea", user=None))
    ada = terminals.open("ada", f"{line}; echo status $?")
    ada.sees("status 401; say who", "--user", "PARLOR_TOKEN", "status 4")
    away = f"ws://{harness.HOST}:{harness.free_port()}/ws"
    bob = terminals.open("bob", shell_line(harness.parlor_binary(), "chat", "--user", "bob", away, "tea"))
    bob.sees("connection refused", "`parlor serve`", "not connected")
    bob.types("", "C-c")
    bob.sees_no_more("not connected")
