"""The scenarios that all clients play (clients/scenarios), by the C library: over sockets, and by the clock of this machine.

JavaScript, Rust and Python play the same files with clocks of their own.
"""

import asyncio
import json
import time

import pytest
import websockets
from test_c import HEADER, PACKAGE, SYSTEM, WARNINGS, built, run
from websockets.asyncio.server import serve

import harness
from harness import ROOT

pytestmark = pytest.mark.plain

FOLDER = ROOT / "clients/scenarios"
HELLO = json.loads((FOLDER / "hello.json").read_text())
SCENARIOS = sorted(path.stem for path in FOLDER.glob("*.json") if path.stem != "hello")
#: How long something is waited for that is to come, and that nothing comes, in seconds.
PATIENCE, QUIET = 10, 0.05
#: A machine that is late by more than this, in seconds, has not looked in time whether nothing happened before something was due.
LATE = 0.02

#: The scenario's clock goes on from what the client does, and from what the server begins to do. To look at what has come of it,
#: and what the program does, takes no time of the scenario's.
CLIENT, SERVER = {"dials", "opens", "sends"}, {"hello", "hears", "replies", "refuses", "loses"}

STATES = ["idle", "connecting", "authenticating", "online", "waiting", "paused", "closed", "failed"]
NAMES = ["kind", "state", "code", "request", "seq", "target", "count", "room", "stream", "user", "type", "id", "text", "data", "error", "message"]


def has(whole, part):
    if isinstance(part, dict):
        return isinstance(whole, dict) and all(name in whole and has(whole[name], value) for name, value in part.items())
    return whole == part


def told(event):
    """An event of the library's in the words of the scenarios; None for one that they have none for."""
    data = json.loads(event["data"]) if event["data"] else None
    room, seq = event["room"], int(event["seq"])
    match int(event["kind"]):
        case 1:
            code = event["error"] or int(event["code"]) or None
            return {"event": "state", "name": STATES[int(event["state"])], "code": code, "attempt": int(event["count"])}
        case 2:
            more = {"type": event["type"].split(":")[1], "from": event["user"], "text": event["text"]}
            return {"event": "entry", "room": room, "seq": seq, **more}
        case 3:
            return {"event": "gap", "room": room, "after": seq, "before": int(event["target"]), "reason": event["message"]}
        case 4:
            return {"event": "membership", "room": room, "name": event["text"]}
        case 7:
            return {"event": "typing", "room": room, "user": event["user"], "typing": event["count"] == "1"}
        case 8:
            return {"event": "presence", "users": data, "count": int(event["count"])}
        case 9:
            return {"event": "stream", "stream": event["stream"], "seq": seq, "data": data, "skipped": event["count"] == "1"}
        case 10:
            return {"event": "stream_gap", "stream": event["stream"], "after": seq, "reason": event["message"]}
        case 12:
            return {"event": "stream_refused", "stream": event["stream"], "code": event["error"]}
        case 17:
            return {"event": "error", "code": event["error"]}
        case 18:
            return {"event": "push", "type": event["type"], "payload": data}
    return None


class Player:
    """A program that plays a scenario, and the server that it talks to."""

    def __init__(self, scenario):
        self.options = scenario.get("options", {})
        self.ignores = set(scenario.get("ignores", ()))
        self.dialling, self.opening, self.opened = asyncio.Queue(), None, asyncio.Queue()
        self.heard, self.told_, self.events = asyncio.Queue(), [], asyncio.Queue()
        self.socket, self.last = None, None
        self.counts_anew()
        self.numbers, self.answers, self.tickets, self.reason = {}, {}, {}, None

    async def play(self, program, steps):
        async with serve(self.connected, harness.HOST, 0, process_request=self.dialled, ping_interval=None, close_timeout=0.1) as server:
            port = server.sockets[0].getsockname()[1]
            how = [self.options.get("attempts", -1), int(self.options.get("jitter", False)), int(self.options.get("token") == "asked")]
            command = [program, f"ws://{harness.HOST}:{port}/ws", *map(str, how)]
            self.process = await asyncio.create_subprocess_exec(*command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE)
            reading = asyncio.create_task(self.read())
            try:
                for number, step in enumerate(steps):
                    ((kind, value),) = step.items()
                    if kind in SERVER:
                        self.counts_anew()
                    try:
                        await getattr(self, kind)(value)
                    except (AssertionError, asyncio.TimeoutError) as error:
                        raise AssertionError(f"step {number + 1}, {json.dumps(step)}: {error!r}; told: {self.told_}") from None
                    if kind in CLIENT:
                        self.counts_anew()
                self.process.stdin.close()
                assert await asyncio.wait_for(self.process.wait(), PATIENCE) == 0
            finally:
                reading.cancel()
                if self.process.returncode is None:
                    self.process.kill()

    def counts_anew(self):
        self.at, self.has_passed = time.monotonic(), False

    # --- The server ---

    async def dialled(self, connection, _request):
        opening = asyncio.get_running_loop().create_future()
        await self.dialling.put((connection, opening))
        if not await opening:
            connection.transport.abort()

    async def connected(self, socket):
        await self.opened.put(socket)
        try:
            async for message in socket:
                await self.heard.put(json.loads(message))
        except websockets.ConnectionClosed:
            pass

    async def dials(self, _):
        self.connection, self.opening = await asyncio.wait_for(self.dialling.get(), PATIENCE)
        self.socket = None

    async def opens(self, _):
        self.opening.set_result(True)
        self.socket = await asyncio.wait_for(self.opened.get(), PATIENCE)

    async def hello(self, more):
        await self.hears({"type": "hello", "payload": {**HELLO, **more}})

    async def hears(self, message):
        await self.socket.send(json.dumps(message))

    async def sends(self, wanted):
        self.last = await asyncio.wait_for(self.heard.get(), PATIENCE)
        assert has(self.last, wanted), f"{self.last} was sent"

    async def silent(self, _):
        await asyncio.sleep(QUIET)
        was_quiet = self.heard.empty() and self.dialling.empty()
        is_late = self.has_passed and time.monotonic() > self.at + QUIET + LATE
        assert was_quiet or is_late

    async def replies(self, payload):
        await self.hears({"type": "reply", "id": self.last["id"], "payload": payload})

    async def refuses(self, payload):
        await self.hears({"type": "error", "id": self.last["id"], "payload": payload})

    async def loses(self, code):
        if self.socket is None:
            self.opening.set_result(False)
        elif code is None:
            self.socket.transport.abort()
        else:
            await self.socket.close(code)

    async def passes(self, ms):
        # What was looked at in between took time, too: it is a part of this.
        self.at, self.has_passed = self.at + ms / 1_000, True
        await asyncio.sleep(self.at - time.monotonic())

    # --- The program ---

    async def read(self):
        while line := await self.process.stdout.readline():
            kind, *fields = line.decode().rstrip("\n").split("\037")
            if kind == "request":
                self.numbers[fields[1]] = fields[0]
            elif kind == "refused":
                await self.events.put({"event": "refused", "what": fields})
            else:
                await self.take(dict(zip(NAMES, [kind, *fields], strict=True)))

    async def take(self, event):
        if event["kind"] == "15":
            status = {"cancelled": "cancelled", "": "acked"}.get(event["error"], "failed")
            self.tickets[event["id"]] = {"status": status, "seq": int(event["seq"]), "code": event["error"]}
        elif event["kind"] == "14":
            payload = json.loads(event["data"]) if event["data"] else None
            self.answers[event["request"]] = {"payload": payload} if not event["error"] else {"code": event["error"]}
        elif event["kind"] == "16":
            self.reason = event["text"]
        elif (one := told(event)) is not None and one["event"] not in self.ignores:
            await self.events.put(one)

    async def told(self, wanted):
        self.told_ = [await asyncio.wait_for(self.events.get(), PATIENCE) for _ in wanted]
        await asyncio.sleep(QUIET)
        while not self.events.empty():
            self.told_.append(self.events.get_nowait())
        assert len(self.told_) == len(wanted) and all(map(has, self.told_, wanted))

    async def until(self, holds):
        end = time.monotonic() + PATIENCE
        while not holds():
            assert time.monotonic() < end, "it never came to be"
            await asyncio.sleep(0.005)

    async def ticket(self, wanted):
        wanted = dict(wanted)
        id = wanted.pop("id")
        if wanted["status"] in ("queued", "sent"):
            # Only what becomes of it in the end is told.
            await asyncio.sleep(QUIET)
            assert self.tickets.get(id, {}).get("status") in (None, "failed")
        else:
            await self.until(lambda: has(self.tickets.get(id), wanted))

    async def answer(self, wanted):
        def has_come():
            numbers = [number for number, name in self.numbers.items() if name == wanted["name"]]
            return numbers and has({**self.answers.get(numbers[0], {}), "name": wanted["name"]}, wanted)

        await self.until(has_come)

    async def asks_token(self, reason):
        await self.until(lambda: self.reason == reason)
        self.reason = None

    async def does(self, action):
        ((kind, value),) = action.items()
        fields = {
            "send": lambda: [value["room"], value["text"], value["id"], json.dumps(value["data"]) if "data" in value else "", value.get("reply_to", 0)],
            "cancel": lambda: [value],
            "retry": lambda: [value],
            "token": lambda: [value, ""],
            "no_token": lambda: ["", value],
            "join": lambda: [value],
            "request": lambda: [value["type"], json.dumps(value["payload"]), value["name"]],
            "watch": lambda: [value["stream"], json.dumps(value["filter"]) if "filter" in value else "", value.get("max_rate", 0)],
            "watch_presence": lambda: [],
            "mark_read": lambda: [value["room"], value["seq"]],
            "retry_now": lambda: [],
        }[kind]()
        line = "\037".join(map(str, ["token" if kind == "no_token" else kind, *fields]))
        # What the server has said before comes on another way: it is to be there first.
        await asyncio.sleep(QUIET)
        self.process.stdin.write(line.encode() + b"\n")
        await asyncio.sleep(QUIET)


@pytest.mark.seconds(120)
def test_the_c_library_plays_all_scenarios(tmp_path):
    program = tmp_path / "scenario"
    run("cc", "-std=c99", "-D_GNU_SOURCE", *WARNINGS, f"-I{HEADER.parent}", PACKAGE / "tests/scenario.c", built("libparlor.a"), *SYSTEM, "-o", program)

    async def play(name):
        scenario = json.loads((FOLDER / f"{name}.json").read_text())
        try:
            await Player(scenario).play(program, scenario["steps"])
        except Exception as error:
            return f"{name}.json: {error}"
        # `clients/scenarios/table.py` reads this.
        print(f"played: {name}")
        return None

    async def play_all():
        # They mostly wait.
        return await asyncio.gather(*map(play, SCENARIOS))

    failures = [failure for failure in asyncio.run(play_all()) if failure]
    assert failures == [] and len(SCENARIOS) >= 27
