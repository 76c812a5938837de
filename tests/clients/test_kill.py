"""kill -9 under load, again and again: what was acknowledged is there, once and in order.

Senders write, edit, delete and react; followers resume and read. After each kill `parlor data check`
finds nothing. PARLOR_ROUNDS is how often it is killed (`make kill ROUNDS=200`). A failure prints its seed; PARLOR_SEED=… repeats the moments of the kills and the choices of the
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

ROUNDS = int(os.environ.get("PARLOR_ROUNDS") or 20)
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
        self.epoch, self.is_over, self.reconnections, self.checks = None, False, 0, 0

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
        await asyncio.to_thread(self.check)
        # Sometimes it is killed while it comes up, too.
        for _ in range(self.chance.choice([0, 0, 0, 1, 2])):
            moment = self.chance.random() * 0.03
            await asyncio.to_thread(self._start_and_kill, moment)
        self.server = await asyncio.to_thread(
            lambda: self.servers.parlor(data=self.data, port=self.port)
        )

    def check(self):
        checked = harness.run_parlor("data", "check", "--data", self.data, seconds=20)
        assert checked.returncode == 0, f"after a kill: {checked.stdout}{checked.stderr}"
        self.checks += 1

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
        #: (room, seq) → what its author has made of it since: text, deleted, reactions.
        self.states = {}
        #: Changes that are not acknowledged, in order: id → (room, seq, kind, members).
        self.changes = {}
        self.number, self.repeats, self.changed = 0, 0, 0
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
                    for id in self.changes:
                        await self.send_change(socket, id, in_flight)
                    await self.converse(socket, in_flight)
            except CUT:
                await asyncio.sleep(0.005 + self.chance.random() * 0.02)

    async def send(self, socket, cid, in_flight):
        room, text = self.unacknowledged.get(cid) or self.acknowledged[cid][::2]
        payload = {"room": room, "text": text, "cid": cid}
        in_flight.add(cid)
        await socket.send(json.dumps({"type": "chat:send", "id": cid, "payload": payload}))

    async def send_change(self, socket, id, in_flight):
        room, seq, kind, members = self.changes[id]
        in_flight.add(id)
        payload = {"room": room, "seq": seq, **members}
        await socket.send(json.dumps({"type": f"chat:{kind}", "id": id, "payload": payload}))

    def change(self):
        """Decides on a change of one of the newest own messages that none is under way for."""
        busy = {(room, seq) for room, seq, _, _ in self.changes.values()}
        recent = list(self.acknowledged.values())[-30:]
        free = [
            (room, seq, text)
            for room, seq, text in recent
            if (room, seq) not in busy and not self.state(room, seq, text)["deleted"]
        ]
        if not free:
            return None
        room, seq, text = self.chance.choice(free)
        self.changed += 1
        id = f"change {self.user} {self.changed}"
        kind = self.chance.choice(["edit", "edit", "react", "react", "delete"])
        members = {
            "edit": {"text": f"{text.split()[0]} edit {self.changed}"},
            "react": {
                "emoji": self.chance.choice(["+", "-"]),
                "on": self.chance.random() < 0.7,
            },
            "delete": {},
        }[kind]
        self.changes[id] = (room, seq, kind, members)
        return id

    def state(self, room, seq, text):
        first = {"text": text, "deleted": False, "reactions": set()}
        return self.states.setdefault((room, seq), first)

    def acknowledge(self, id):
        room, seq, kind, members = self.changes.pop(id)
        state = self.states[room, seq]
        if kind == "edit":
            state["text"] = members["text"]
        elif kind == "delete":
            state.update(text=None, deleted=True, reactions=set())
        elif members["on"]:
            state["reactions"].add(members["emoji"])
        else:
            state["reactions"].discard(members["emoji"])

    async def converse(self, socket, in_flight):
        while not self.is_drained:
            while len(in_flight) < WINDOW and not self.world.is_over:
                if self.acknowledged and self.chance.random() < 0.25:
                    id = self.change()
                    if id is not None:
                        await self.send_change(socket, id, in_flight)
                        continue
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
        if cid in self.changes:
            self.acknowledge(cid)
        elif cid in self.acknowledged:
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
        #: room → up to where it has said that it has read, and was answered.
        self.read = dict.fromkeys(ROOMS, 0)

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
            elif str(message.get("id")).startswith("read "):
                assert message["type"] == "reply", message
                room, seq = payload["room"], int(message["id"].split()[2])
                assert payload["seq"] >= seq, f"{self.user} has read {seq}, and is told {payload}"
                self.read[room] = max(self.read[room], seq)
            elif "seq" in payload and message["type"] not in ("chat:read", "chat:delivered"):
                log = self.logs[payload["room"]]
                assert payload["seq"] == len(log) + 1, (
                    f"{self.user} has {len(log)} of {payload['room']}, and is shown {payload['seq']}"
                )
                payload.pop("cid", None)
                log.append(message)
                if self.chance.random() < 0.05:
                    room, seq = payload["room"], len(log)
                    request = {"room": room, "seq": seq}
                    id = f"read {room} {seq}"
                    text = json.dumps({"type": "chat:read", "id": id, "payload": request})
                    await socket.send(text)


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


def folded(entries):
    """The newest state of each message of a log, as a client has it that applies each entry."""
    messages = {}
    for entry in entries:
        kind, payload = entry["type"], entry["payload"]
        if kind == "chat:message":
            reactions = payload.get("reactions", {})
            messages[payload["seq"]] = {
                "from": payload["from"],
                "text": payload.get("text"),
                "edited": payload.get("edited", 0),
                "deleted": payload.get("deleted", False),
                "reactions": {(emoji, user) for emoji, users in reactions.items() for user in users},
            }
            continue
        message = messages.get(payload.get("target"))
        if message is None or message["deleted"]:
            continue
        if kind == "chat:edited" and payload.get("deleted"):
            # Its text is gone, and the entry that deleted the message is still to come.
            continue
        if kind == "chat:edited" and payload["seq"] > message["edited"]:
            message.update(text=payload["text"], edited=payload["seq"])
        elif kind == "chat:deleted":
            message.update(text=None, deleted=True, reactions=set())
        elif kind == "chat:reacted":
            change = message["reactions"].add if payload["on"] else message["reactions"].discard
            change((payload["emoji"], payload["by"]))
    for message in messages.values():
        if message["deleted"]:
            message.update(text=None, edited=0)
    return messages


@pytest.mark.seconds(120 + 5 * ROUNDS)
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

    messages = {room: folded(entries) for room, entries in logs.items()}
    for room, entries in logs.items():
        assert [entry["payload"]["seq"] for entry in entries] == list(range(1, len(entries) + 1)), (
            f"{room}: a hole in seq, or a seq twice"
        )
        times = [entry["payload"]["ts"] for entry in entries]
        assert times == sorted(times), f"{room}: a ts falls"

        def outline(entry):
            names = ("seq", "ts", "from", "user", "by", "target", "emoji", "on", "reply_to")
            return entry["type"], *(entry["payload"].get(name) for name in names)

        for follower in followers:
            seen = follower.logs[room]
            assert [*map(outline, seen)] == [*map(outline, entries)], (
                f"{follower.user} saw another log of {room}"
            )
            assert folded(seen) == messages[room], f"{follower.user} has other messages in {room}"
    for follower in followers:
        with harness.Chat(world.server, follower.user) as again:
            marks = {one["room"]: one["read"] for one in again.hello["rooms"]}
            for room in ROOMS:
                assert follower.read[room] > 0, "nothing was read"
                assert follower.read[room] <= marks[room] <= len(logs[room]), (
                    f"{follower.user} has read {follower.read[room]} of {room}, not {marks[room]}"
                )
    total = repeats = changes = 0
    for sender in senders:
        assert not sender.unacknowledged and not sender.changes
        last = dict.fromkeys(ROOMS, 0)
        by_number = sorted(sender.acknowledged.items(), key=lambda one: int(one[0].split("-")[1]))
        for cid, (room, seq, text) in by_number:
            assert seq > last[room], f"{cid} is out of order"
            last[room] = seq
            state = sender.state(room, seq, text)
            message = messages[room][seq]
            found = {emoji for emoji, user in message["reactions"] if user == sender.user}
            assert (message["from"], message["text"], message["deleted"], found) == (
                sender.user,
                state["text"],
                state["deleted"],
                state["reactions"],
            ), f"{cid} at {seq} of {room} is not as it was acknowledged"
        stored = sum(
            message["from"] == sender.user
            for of_room in messages.values()
            for message in of_room.values()
        )
        assert stored == len(sender.acknowledged) == sender.number
        total, repeats = total + stored, repeats + sender.repeats
        changes += sender.changed
    assert world.server.stop() == 0
    world.check()
    print(
        f"{ROUNDS} kills, {world.checks} checks, {total} messages, {changes} changes, "
        f"{repeats} repeated at will, {world.reconnections} connections"
    )
    assert total > ROUNDS * 20 and changes > ROUNDS * 5, "too little load to show anything"
    assert world.reconnections > ROUNDS * (SENDERS + FOLLOWERS) / 2
