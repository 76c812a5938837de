"""The examples of the Rust client, as their users would run them, against a server that restarts."""

import re
import subprocess
import threading
import time

import pytest

import harness
from harness import PATIENCE, Chat


class Program:
    """An example that runs, and what it prints, line by line."""

    def __init__(self, path, *arguments, stdin=subprocess.DEVNULL):
        self.lines, self._came = [], threading.Condition()
        self.process = subprocess.Popen(
            [path, *map(str, arguments)], stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, bufsize=1
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        for line in self.process.stdout:
            with self._came:
                self.lines.append(line.rstrip("\n"))
                self._came.notify_all()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(PATIENCE)

    def says(self, pattern, times=1):
        """Waits for so many lines that match."""
        with self._came:
            matching = lambda: [line for line in self.lines if re.search(pattern, line)]
            assert self._came.wait_for(lambda: len(matching()) >= times, PATIENCE), self.lines
            return matching()[times - 1]

    def ends(self):
        """Waits for its end; gives its status, and what it has said."""
        status = self.process.wait(4 * PATIENCE)
        self._reader.join(PATIENCE)
        return status, "\n".join(self.lines)


def example(name):
    return harness.binary(f"PARLOR_{name.upper()}", f"target/release/examples/{name}", f"cargo build --release --example {name}")


@pytest.fixture
def directory(servers):
    return servers.directory()


def texts(server, room, user):
    entries = server.api("GET", f"rooms/{room}/messages?user={user}&limit=200")[1]["entries"]
    return [entry["payload"]["text"] for entry in entries if entry["type"] == "chat:message"]


def test_the_bot_answers_before_and_after_a_restart(servers, directory):
    server = servers.parlor(data=directory)
    with Program(example("client_bot"), server.url("clock"), "lobby") as bot:
        bot.says("answering in lobby")
        for _ in range(2):
            with Chat(server, "ada") as ada:
                ada.request("room:join", {"room": "lobby"})
                asked = ada.request("chat:send", {"room": "lobby", "text": "!time"})
                while (answer := ada.push("chat:message"))["from"] != "clock":
                    pass
                assert answer["reply_to"] == asked["seq"] and re.fullmatch(r"it is \d+ s after 1970", answer["text"])
            port = server.port
            assert server.stop() == 0
            bot.says("waiting")
            server = servers.parlor(data=directory, port=port)
            bot.says("online", times=2)


def test_the_bridge_keeps_its_lines_until_they_are_stored(servers, directory):
    data, outbox, lines = servers.directory(), directory / "outbox", directory / "lines"
    server = servers.parlor(data=data)
    port, url = server.port, server.url("logs")

    def bridge(*texts):
        lines.write_text("".join(f"{text}\n" for text in texts))
        with lines.open() as stdin, Program(example("client_bridge"), url, "logs", "logs", outbox, stdin=stdin) as program:
            return program.ends()

    assert bridge("one", "two") == (0, "")
    assert server.stop() == 0
    status, said = bridge("three", "four")
    assert status == 1 and "2 messages were not stored" in said, said
    server = servers.parlor(data=data, port=port)
    assert bridge("five") == (0, "")
    assert texts(server, "logs", "logs") == ["one", "two", "three", "four", "five"]


def test_the_feed_goes_on_after_a_restart(servers, directory):
    configuration = directory / "parlor.toml"
    configuration.write_text('[streams.prices]\nkeep = 100\npublish = true\nread = "users"\n')
    server = servers.parlor("--config", configuration, data=servers.directory())
    with Program(example("client_feed"), server.url("feed"), "prices") as feed:
        with Chat(server, "ada") as ada:
            time.sleep(0.3)
            for price in (1, 2):
                ada.request("publish", {"stream": "prices", "data": {"price": price}})
            assert feed.says("price") == '1 {"price": 1}'
            assert feed.says("price", times=2) == '2 {"price": 2}'


def test_the_load_counts_what_was_stored(servers):
    server = servers.parlor()
    with Program(example("client_load"), server.url(), 5, 20) as load:
        status, said = load.ends()
    assert status == 0 and "100 of 100 messages stored" in said, said
    assert re.search(r"^99 % within \d", said, re.M)
    assert len(texts(server, "load-3", "load-3")) == 20


def test_it_works_within_tokio(servers):
    program = harness.binary("PARLOR_TOKIO", "target/debug/parlor-with-tokio", "make binaries")
    server = servers.parlor()
    with Program(program, server.url("ada"), "tea") as tokio:
        status, said = tokio.ends()
    assert status == 0, said
    assert re.fullmatch(r"ada: hello from tokio\nstored as (\d+), heard as \1", said), said
