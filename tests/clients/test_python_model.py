"""The Python client, both shells, against a server that is killed, stopped and cut off, with clocks that are wrong: what each
client was told is the log, and what was sent is in it once. PARLOR_ROUNDS is how many rounds there are.
"""

import asyncio
import os
import random
import signal
import sys
import threading
import time
from dataclasses import replace

import pytest
from harness import ROOT

sys.path.insert(0, str(ROOT / "clients/python"))

import parlor
import parlor._engine
import parlor.aio
import parlor.sync
from parlor import Backoff, Entry, Gap, Message

pytestmark = pytest.mark.plain

ROUNDS = int(os.environ.get("PARLOR_ROUNDS", "6"))
ROOMS = ("tea", "den")
QUICK = Backoff(min=0.01, max=0.1)
PATIENCE = 60


class Client:
    """One of the two shells, and what was heard by it."""

    def __init__(self, url, user, outbox=None):
        self.user, self.heard, self.tickets = user, {room: [] for room in ROOMS}, {}
        self.how = {"backoff": QUICK, "user": user, "outbox": outbox, "queue": 32, "ping_interval": 0.2, "ping_timeout": 0.4}
        self.url = f"{url}?user={user}"

    def hear(self, entry):
        self.heard[entry.room].append(plain(entry))


class Threads(Client):
    def __init__(self, *how):
        super().__init__(*how)
        self.connection = parlor.sync.Connection(self.url, **self.how)
        self.connection.on(Entry, self.hear)
        self.connection.on(Gap, self.hear)

    def join(self, room):
        self.connection.room(room).join()

    def send(self, room, text):
        self.tickets[text] = self.connection.room(room).send(text)

    def status(self, text):
        return self.tickets[text].status

    def cut(self):
        self.connection._loop.call_soon_threadsafe(cut, self.connection)

    def close(self):
        return self.connection.close(PATIENCE)


class Tasks(Client):
    """That of asyncio, on a loop of its own."""

    def __init__(self, *how):
        super().__init__(*how)
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        self.connection = self.run(self.begin())

    async def begin(self):
        connection = parlor.aio.Connection(self.url, **self.how)

        async def hears(entry):
            await asyncio.sleep(0)
            self.hear(entry)

        connection.on(Entry, hears)
        connection.on(Gap, hears)
        return connection

    def run(self, work):
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(PATIENCE)

    def join(self, room):
        self.run(self.connection.room(room).join())

    def send(self, room, text):
        async def send():
            self.tickets[text] = self.connection.room(room).send(text)

        self.run(send())

    def status(self, text):
        return self.tickets[text].status

    def cut(self):
        self.loop.call_soon_threadsafe(cut, self.connection)

    def close(self):
        left = self.run(self.connection.close(PATIENCE))
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()
        return left


def cut(connection):
    for link in connection._engine._links.values():
        if link.socket is not None:
            link.socket.transport.abort()


def plain(entry):
    """Without the id of a message, which is its author's alone."""
    return replace(entry, cid=None) if isinstance(entry, Message) else entry


def log_of(url, room):
    """All of a room's log."""
    with parlor.sync.Connection(f"{url}?user=ada") as reader:
        entries, after = [], 0
        while True:
            page = reader.room(room).history(after=after)
            entries += map(plain, page.entries)
            if not page.more:
                return entries
            after = entries[-1].seq


@pytest.mark.seconds(60 * ROUNDS)
@pytest.mark.parametrize("round", range(ROUNDS))
def test_the_transcript_is_the_log(round, servers, monkeypatch):
    chance = random.Random(round)
    data = servers.directory()
    server = servers.parlor(data=data)
    skew = [0.0]
    monkeypatch.setattr(parlor._engine.time, "time", lambda begun=time.time() - time.monotonic(): begun + time.monotonic() + skew[0])
    outbox = parlor.SqliteOutbox(servers.directory() / "outbox.db")
    clients = [Threads(server.url(), "ada", outbox), Tasks(server.url(), "bob")]
    for client in clients:
        for room in ROOMS:
            client.join(room)
    sent = {room: [] for room in ROOMS}
    for number in range(60):
        client, room = chance.choice(clients), chance.choice(ROOMS)
        match chance.choices(["send", "cut", "kill", "stop", "clock", "rest"], [40, 4, 1, 1, 2, 6])[0]:
            case "send":
                text = f"{client.user} {number}"
                sent[room].append(text)
                client.send(room, text)
            case "cut":
                client.cut()
            case "kill":
                server.kill()
                server = servers.parlor(data=data, port=server.port)
            case "stop":
                server.signal(signal.SIGSTOP)
                time.sleep(chance.uniform(0.1, 0.8))
                server.signal(signal.SIGCONT)
            case "clock":
                skew[0] = chance.uniform(-3_600, 3_600)
            case "rest":
                time.sleep(chance.uniform(0, 0.05))
    for text in (text for room in ROOMS for text in sent[room]):
        client = clients[0] if text.startswith("ada") else clients[1]
        settles(lambda: client.status(text).name == "acked")
    logs = {room: log_of(server.url(), room) for room in ROOMS}
    for client in clients:
        for room in ROOMS:
            head = logs[room][-1].seq
            settles(lambda: client.heard[room] and getattr(client.heard[room][-1], "seq", 0) == head)
        assert client.close() == []
    for room in ROOMS:
        texts = [entry.text for entry in logs[room] if isinstance(entry, Message)]
        assert sorted(texts) == sorted(sent[room]), "each message is in the log once"
        for client in clients:
            own = [text for text in texts if text.startswith(client.user)]
            assert own == [text for text in sent[room] if text.startswith(client.user)], "in the order in which they were sent"
            heard = client.heard[room]
            assert heard == logs[room][-len(heard) :], f"{client.user} was told the log of {room}, from where they came"
            assert len(heard) >= len(texts)
        for entry in (entry for entry in logs[room] if isinstance(entry, Message)):
            client = clients[0] if entry.from_user == "ada" else clients[1]
            assert client.status(entry.text).stored.seq == entry.seq


def settles(holds):
    end = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < end, "it never came to be"
        time.sleep(0.01)
