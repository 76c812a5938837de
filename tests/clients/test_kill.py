"""kill -9 under load, again and again: what was acknowledged is there, once and in order.

A failure prints its seed; PARLOR_SEED=… repeats the moments of the kills and the choices of the
clients (the machine's own timing it cannot repeat).
"""

import asyncio
import json
import os
import random
import time

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidMessage

import harness

ROUNDS = 24
ROOMS = ("lobby", "den")
SENDERS, FOLLOWERS = 4, 2
WINDOW = 16

CUT = (OSError, EOFError, ConnectionClosed, InvalidHandshake, InvalidMessage, TimeoutError)


class World:
    """The server, which is killed and comes back, and what everybody knows of it."""

    def __init__(self, servers, seed):
        self.servers, self.chance = servers, random.Random(seed)
        self.server = servers.parlor()
        self.port, self.data = self.server.port, self.server.data
        self.epoch, self.is_over, self.reconnections = None, False, 0

    def open(self, user, **query):
        return connect(
            self.server.url(user, **query),
            proxy=None,
            compression=None,
            open_timeout=3,
            close_timeout=1,
            ping_interval=None,
            max_queue=None,
        )

    async def greeted(self, socket):
        hello = json.loads(await asyncio.wait_for(socket.recv(), 5))
        assert hello["type"] == "hello", hello
        hello = hello["payload"]
        self.epoch = self.epoch or hello["epoch"]
        assert hello["epoch"] == self.epoch, "no log was lost: the epoch stays"
        self.reconnections += 1
        return hello

    async def kill_and_restart(self):
        await asyncio.to_thread(self.server.kill)
        # Sometimes it is killed while it comes up, too.
        for _ in range(self.chance.choice([0, 0, 0, 1, 2])):
            moment = self.chance.random() * 0.03
            await asyncio.to_thread(self._start_and_kill, moment)
        self.server = await asyncio.to_thread(
            lambda: self.servers.parlor(data=self.data, port=self.port)
        )

    def _start_and_kill(self, moment):
        deadline = time.monotonic() + moment

        def is_time(_):
            return time.monotonic() >= deadline

        self.servers.parlor(data=self.data, port=self.port, is_ready=is_time).kill()


class Sender:
    """Numbers its messages, gives each a cid of its own, and repeats what was not acknowledged."""

    def __init__(self, world, user, seed):
        self.world, self.user, self.chance = world, user, random.Random(seed)
        #: Not acknowledged, in the order in which they were first sent: cid → (room, text).
        self.unacknowledged = {}
        #: cid → (room, seq, text)
        self.acknowledged = {}
        self.number, self.repeats = 0, 0
        self.is_drained = False

    async def run(self):
        while not self.is_drained:
            try:
                async with self.world.open(self.user) as socket:
                    await self.world.greeted(socket)
                    for room in ROOMS:
                        request = {
                            "type": "room:join",
                            "id": f"join {room}",
                            "payload": {"room": room},
                        }
                        await socket.send(json.dumps(request))
                    self.joined = 0
                    in_flight = set()
                    for cid in self.unacknowledged:
                        await self.send(socket, cid, in_flight)
                    await self.converse(socket, in_flight)
            except CUT:
                await asyncio.sleep(0.005 + self.chance.random() * 0.02)

    async def send(self, socket, cid, in_flight):
        room, text = self.unacknowledged.get(cid) or self.acknowledged[cid][::2]
        payload = {"room": room, "text": text, "cid": cid}
        in_flight.add(cid)
        await socket.send(json.dumps({"type": "chat:send", "id": cid, "payload": payload}))

    async def converse(self, socket, in_flight):
        while not self.is_drained:
            while len(in_flight) < WINDOW and not self.world.is_over:
                if self.acknowledged and self.chance.random() < 0.03:
                    cid = self.chance.choice(list(self.acknowledged)[-50:])
                    if cid in in_flight:
                        continue
                    self.repeats += 1
                else:
                    self.number += 1
                    cid = f"{self.user}-{self.number}"
                    text = f"{self.number} " + "x" * self.chance.choice([0, 10, 300, 5_000])
                    self.unacknowledged[cid] = (self.chance.choice(ROOMS), text)
                await self.send(socket, cid, in_flight)
            if self.world.is_over and not in_flight:
                self.is_drained = True
                return
            self.hear(json.loads(await asyncio.wait_for(socket.recv(), 10)), in_flight)

    def hear(self, message, in_flight):
        if "id" not in message:
            assert message["type"] != "error", message
            return
        assert message["type"] == "reply", f"refused: {message}"
        cid, payload = message["id"], message["payload"]
        if cid.startswith("join "):
            return
        in_flight.discard(cid)
        if cid in self.acknowledged:
            assert payload["duplicate"] is True, f"{cid} was acknowledged before"
            assert payload["seq"] == self.acknowledged[cid][1], f"{cid} has another place now"
        else:
            room, text = self.unacknowledged.pop(cid)
            assert payload["room"] == room
            self.acknowledged[cid] = (room, payload["seq"], text)


class Follower:
    """Follows the rooms by `resume`, and writes down what it is shown."""

    def __init__(self, world, user, seed):
        self.world, self.user, self.chance = world, user, random.Random(seed)
        self.logs = {room: [] for room in ROOMS}

    async def run(self):
        while True:
            try:
                async with self.world.open(self.user, resume=1) as socket:
                    await self.world.greeted(socket)
                    await self.follow(socket)
            except CUT:
                await asyncio.sleep(0.005 + self.chance.random() * 0.02)

    async def follow(self, socket):
        positions = {room: len(log) for room, log in self.logs.items()}
        payload = {"epoch": self.world.epoch, "rooms": positions}
        await socket.send(json.dumps({"type": "resume", "id": "r", "payload": payload}))
        # It goes by itself, too, sometimes.
        leave_after = self.chance.choice([50, 500, 1 << 30])
        while leave_after > 0:
            leave_after -= 1
            message = json.loads(await socket.recv())
            payload = message["payload"]
            if message.get("id") == "r":
                assert message["type"] == "reply", message
                assert not payload["refused"], f"what was shown is not there any more: {payload}"
            elif "seq" in payload and message["type"] != "chat:read":
                log = self.logs[payload["room"]]
                assert payload["seq"] == len(log) + 1, (
                    f"{self.user} has {len(log)} of {payload['room']}, and is shown {payload['seq']}"
                )
                payload.pop("cid", None)
                log.append(message)


async def ordeal(world, senders, followers, kills):
    tasks = [asyncio.create_task(one.run()) for one in [*senders, *followers]]

    async def guarded(coroutine):
        """Ends early with the first client that saw something wrong."""
        work = asyncio.create_task(coroutine)
        await asyncio.wait([work, *tasks], return_when=asyncio.FIRST_COMPLETED)
        for task in [work, *tasks]:
            if task.done():
                task.result()
        await work

    try:
        for delay in kills:
            await guarded(asyncio.sleep(delay))
            await guarded(world.kill_and_restart())
        world.is_over = True
        await asyncio.wait_for(asyncio.gather(*tasks[: len(senders)]), 20)
        logs = {room: await whole_log(world, room) for room in ROOMS}
        deadline = time.monotonic() + 20
        while any(len(one.logs[room]) < len(logs[room]) for one in followers for room in ROOMS):
            assert time.monotonic() < deadline, "a follower does not catch up"
            for task in tasks[len(senders) :]:
                if task.done():
                    task.result()
            await asyncio.sleep(0.05)
        return logs
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def whole_log(world, room):
    entries = []
    async with world.open("follower0") as socket:
        await world.greeted(socket)
        while True:
            payload = {"room": room, "after": len(entries)}
            request = {"type": "chat:history", "id": len(entries), "payload": payload}
            await socket.send(json.dumps(request))
            while (message := json.loads(await asyncio.wait_for(socket.recv(), 5))).get(
                "id"
            ) != len(entries):
                pass
            entries += message["payload"]["entries"]
            if not message["payload"]["more"]:
                assert len(entries) == message["payload"]["head"]
                return entries


@pytest.mark.seconds(150)
def test_what_was_acknowledged_survives_kill_9_once_and_in_order(servers):
    seed = int(os.environ.get("PARLOR_SEED") or random.randrange(1 << 32))
    print(f"seed {seed}: PARLOR_SEED={seed} repeats it")
    chance = random.Random(seed)
    world = World(servers, chance.random())
    for number in range(FOLLOWERS):
        with harness.Chat(world.server, f"follower{number}") as follower:
            for room in ROOMS:
                follower.join(room)
    senders = [Sender(world, f"sender{n}", chance.random()) for n in range(SENDERS)]
    followers = [Follower(world, f"follower{n}", chance.random()) for n in range(FOLLOWERS)]
    kills = [chance.choice([0.1, 0.5, 1.0, 2.0]) * chance.random() + 0.05 for _ in range(ROUNDS)]
    logs = asyncio.run(ordeal(world, senders, followers, kills))

    for room, entries in logs.items():
        assert [entry["payload"]["seq"] for entry in entries] == list(range(1, len(entries) + 1)), (
            f"{room}: a hole in seq, or a seq twice"
        )
        times = [entry["payload"]["ts"] for entry in entries]
        assert times == sorted(times), f"{room}: a ts falls"
        for follower in followers:
            seen = [json.loads(json.dumps(entry)) for entry in entries]
            for entry in seen:
                entry["payload"].pop("cid", None)
            assert follower.logs[room] == seen, f"{follower.user} saw another log of {room}"
    total = repeats = 0
    for sender in senders:
        assert not sender.unacknowledged
        for cid, (room, seq, text) in sender.acknowledged.items():
            payload = logs[room][seq - 1]["payload"]
            assert (payload["from"], payload["text"]) == (sender.user, text), (
                f"{cid} is not at {seq}"
            )
        for room in ROOMS:
            own = [
                entry["payload"]["text"]
                for entry in logs[room]
                if entry["payload"].get("from") == sender.user
            ]
            numbers = [int(text.split()[0]) for text in own]
            assert numbers == sorted(set(numbers)), (
                f"{sender.user} in {room}: twice, or out of order"
            )
        stored = sum(
            entry["payload"].get("from") == sender.user
            for entries in logs.values()
            for entry in entries
        )
        assert stored == len(sender.acknowledged) == sender.number
        total, repeats = total + stored, repeats + sender.repeats
    print(
        f"{ROUNDS} kills, {total} messages, {repeats} repeated at will, {world.reconnections} connections"
    )
    assert total > ROUNDS * 20, "too little load to show anything"
    assert world.reconnections > ROUNDS * (SENDERS + FOLLOWERS) / 2
