#!/usr/bin/env python3
"""Lets a server live through all that its clients may do, round by round, and looks whether anything stays
behind: memory, file descriptors, connections, cursors.

    python3 tests/measure/soak.py [--minutes 60] [--threads 1,2,4]

Each round: connects and leaves, orderly and by reset; a room in which all talk; a stream that all watch;
Server-Sent Events; calls over HTTP; clients that flood until they are closed with 4103; clients that do not
read; SIGHUP with another configuration. Three times in the whole run there is SIGTERM with everybody
connected, and a new server on the same data, which has the next number of `--threads`.

After each round the server must have as many file descriptors and connections, subscriptions and rooms as
after the first one of its life, and nothing that waits. Its memory (VmRSS) must come back to what it was
after the third, and MEMORY_SLACK_BYTES: the allocator keeps what was freed in pieces, and SQLite its pages
of a file that grows until the rooms' logs are as long as they may be.

It ends with a status other than 0, and says what has grown. The standard library only.
"""

import argparse
import http.client
import itertools
import json
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from common import HOST, PATIENCE, connect, frame, free_port, machine, parlor_binary, stop

#: What SQLite's pages may come to (`CACHE_KIB`): in ten minutes it is less than 2 MiB, allocator and all. Two
#: kilobytes left by each connection of the shortest life, of twenty seconds, would be more.
MEMORY_SLACK_BYTES = 8 << 20
#: What `limits.burst` is by turns. A flood must be far above it, or it is not refused often enough to be closed.
BURSTS = (30, 31)
#: Requests of a flood: a hundred (`limits.limited_requests`) refused, and as many let through meanwhile as the
#: rate and the burst allow, are less than half of them.
FLOOD = 500
#: Rounds of a life after which memory is as large as it gets.
WARM_ROUNDS = 3
LIVES = 3
USERS = 20
CROWD = 200
FLOODS = 4
SLOW = 3
LIMITED, RESTART = 4103, 1012

CONFIGURATION = """
threads = {threads}

[limits]
burst = {burst}
user_work_per_second = 0
connections_per_address = 20000
connections_per_user = 1000

[limits.users]
census = {{ requests_per_second = 1000, burst = 1000 }}

[presence]
grace_ms = 100

[retention]
default = "500/all"

[http]
idle_timeout_ms = 2000

[streams]
news = {{ keep = 20, publish = true }}
state = {{ keep = "latest", publish = true, max_bytes = 60000 }}
"""


class Failed(Exception):
    """The server has not done what it should."""


class Server:
    """A life of the server."""

    def __init__(self, directory, port, threads):
        self.port, self.directory, self.threads = port, directory, threads
        self.path, self.reloads = directory / "parlor.toml", 0
        self.path.write_text(CONFIGURATION.format(threads=threads, burst=BURSTS[0]))
        self.log = open(directory / "log", "ab")
        self.log_begins = self.log.tell()
        # Where that which the last reload said ends.
        self.log_read = self.log_begins
        command = [parlor_binary(), "serve", "--config", self.path]
        command += ["--listen", f"{HOST}:{port}", "--data", directory / "data"]
        environment = {name: of for name, of in os.environ.items() if not name.startswith("PARLOR_")}
        self.process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, env=environment
        )
        await_that(self.answers, "the server serves")

    def answers(self):
        if self.process.poll() is not None:
            raise Failed(f"the server ended at its start:\n{self.said()[-2_000:]}")
        try:
            return self.get("/readyz")[0] == 200
        except OSError:
            return False

    def said(self, since=None):
        with open(self.directory / "log", "rb") as log:
            log.seek(self.log_begins if since is None else since)
            return log.read().decode(errors="replace")

    def get(self, path, method="GET", payload=None):
        connection = http.client.HTTPConnection(HOST, self.port, timeout=PATIENCE)
        try:
            body = None if payload is None else json.dumps(payload)
            connection.request(method, path, body)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def reload(self):
        """SIGHUP with another configuration; waits until the log says that it was read."""
        self.reloads += 1
        burst = BURSTS[self.reloads % len(BURSTS)]
        text = f'limits.burst: "{burst}"'
        self.path.write_text(CONFIGURATION.format(threads=self.threads, burst=burst))
        self.process.send_signal(signal.SIGHUP)
        await_that(lambda: text in self.said(self.log_read), f"the log says {text}")
        self.log_read = os.path.getsize(self.directory / "log")

    def memory(self):
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        raise Failed("the server is gone")

    def counts(self):
        """All that must come back to what it was."""
        samples = {}
        for line in self.get("/metrics")[1].decode().splitlines():
            sample = re.fullmatch(r'(parlor_\w+)(?:\{\w+="(\w+)"\})? (\d+)', line)
            if sample:
                samples[sample[1], sample[2]] = int(sample[3])
        info = json.loads(self.get("/api/v1/info?user=census")[1])["counts"]
        kept = {f"info {name}": info[name] for name in ("connections", "online", "rooms")}
        for name, label in (
            ("parlor_connections", "websocket"),
            ("parlor_connections", "events"),
            # That by which they are asked for.
            ("parlor_connections", "http"),
            ("parlor_users_online", None),
            ("parlor_rooms", None),
            ("parlor_streams", None),
            ("parlor_subscriptions", None),
            ("parlor_cursors_behind", None),
            ("parlor_store_queue", None),
        ):
            kept[f"{name} {label or ''}".strip()] = samples[name, label]
        kept["file descriptors"] = self.files()
        return kept

    def files(self):
        """File descriptors. That of the connection which was just closed here may still be open there: the
        least of some looks."""
        looks = []
        for _ in range(5):
            looks.append(len(os.listdir(f"/proc/{self.process.pid}/fd")))
            time.sleep(0.01)
        return min(looks)


def await_that(holds, what):
    deadline = time.monotonic() + PATIENCE
    while not holds():
        if time.monotonic() > deadline:
            raise Failed(f"after {PATIENCE} s it does not hold that {what}")
        time.sleep(0.05)


class Client:
    """A user's WebSocket."""

    def __init__(self, port, user):
        self.socket, self.came = connect(port, f"/ws?user={user}")
        self.await_text('"type":"hello"')

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, kind, id, **payload):
        envelope = {"type": kind, "id": id, "payload": payload}
        message = json.dumps(envelope, separators=(",", ":"))
        self.socket.sendall(frame(message.encode()))

    def request(self, kind, id, **payload):
        self.send(kind, id, **payload)
        self.await_text(f'"type":"reply","id":"{id}"')

    def await_text(self, text):
        """Reads until this has come. What came before it is forgotten."""
        text = text.encode()
        while text not in self.came:
            piece = self.socket.recv(1 << 18)
            if not piece or b'"type":"error"' in self.came:
                raise Failed(f"no {text}, but {self.came[-300:]}")
            self.came += piece
        self.came = self.came[self.came.index(text) + len(text) :]

    def await_end(self):
        """Reads until it is closed, and answers; gives the code. Says what came last if it is not closed."""
        code = None
        while True:
            if code is None and (code := self.code_of_close()) is not None:
                self.say_close()
            try:
                piece = self.read_to_end()
            except TimeoutError:
                raise Failed(f"not closed within {PATIENCE} s (code {code}); at last came {self.came[-300:]}") from None
            if not piece:
                return code
            self.came = (self.came + piece)[-4_096:]

    def code_of_close(self):
        """The code of the Close with which all that came ends, if it does."""
        for place in range(len(self.came) - 4, -1, -1):
            if self.came[place] == 0x88 and len(self.came) - place == 2 + self.came[place + 1]:
                return struct.unpack_from("!H", self.came, place + 2)[0]
        return None

    def say_close(self):
        """A Close with 1000, masked with zeroes (RFC 6455 §5.5.1)."""
        try:
            self.socket.sendall(b"\x88\x82\0\0\0\0\x03\xe8")
        except OSError:
            # The server need not wait for it.
            pass

    def read_to_end(self):
        try:
            return self.socket.recv(1 << 18)
        except ConnectionError:
            return b""

    def close(self):
        self.say_close()
        while self.read_to_end():
            pass
        self.socket.close()

    def reset(self):
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()


def come_and_go(port):
    crowd = [Client(port, f"u{n % USERS}") for n in range(CROWD)]
    for n, client in enumerate(crowd):
        client.reset() if n % 2 else client.close()


def talk(port, round_number):
    users = [Client(port, f"u{n}") for n in range(USERS)]
    for user in users:
        user.request("room:join", "join", room="soak")
    for n, user in enumerate(users):
        for m in range(5):
            cid = f"{round_number}-{os.getpid()}-{n}-{m}"
            user.send("chat:send", m, room="soak", text=f"text {cid} end", cid=cid)
    for user in users:
        user.await_text("-4 end")
    for user in users:
        user.request("chat:history", "history", room="soak", limit=50)
        user.close()


def watch(port):
    users = [Client(port, f"u{n}") for n in range(USERS)]
    for user in users:
        user.request("subscribe", "watch", streams=["news", "state"])
    for n, user in enumerate(users):
        for m in range(5):
            user.send("publish", m, stream="news", data={"n": n, "m": m})
    users[0].request("publish", "last", stream="news", data={"last": True})
    for user in users[1:]:
        user.await_text('"last":true')
    for user in users:
        user.reset()


def listen(port):
    """Server-Sent Events, of a user who is told what another says."""
    listeners = []
    for n in range(USERS):
        connection = http.client.HTTPConnection(HOST, port, timeout=PATIENCE)
        connection.request("GET", f"/api/v1/events?user=u{n}", headers={"Accept": "text/event-stream"})
        answer = connection.getresponse()
        if answer.status != 200:
            raise Failed(f"events are {answer.status}: {answer.read()[:300]}")
        listeners.append((connection, answer))
    with Client(port, "u0") as speaker:
        speaker.request("chat:send", "told", room="soak", text="for all that listen")
    for connection, answer in listeners:
        while b"for all that listen" not in answer.readline():
            pass
        answer.close()
        connection.close()


def call(server):
    for n in range(USERS):
        for path in ("rooms", "rooms/soak/messages?limit=20", "streams", "info", "rooms/none"):
            joint = "&" if "?" in path else "?"
            server.get(f"/api/v1/{path}{joint}user=u{n}")
        server.get(f"/api/v1/rooms/soak/messages?user=u{n}", "POST", {"text": f"by HTTP {n}"})
        server.get("/ws")
        server.get("/nothing")


def flood(port):
    """Sends on while limited, and is closed for it."""
    clients = [Client(port, f"flood{n}") for n in range(FLOODS)]
    ping = frame(b'{"type":"ping","id":1}')
    for client in clients:
        try:
            client.socket.sendall(ping * FLOOD)
        except OSError:
            # It may have been closed before all was written.
            pass
    for client in clients:
        code = client.await_end()
        if code != LIMITED:
            raise Failed(f"a flood was closed with {code}")
        client.socket.close()


def read_slowly(port, round_number):
    """Some do not read what they are told: one goes so, the others read it all in the end."""
    slow = []
    for n in range(SLOW):
        slow.append(Client(port, f"u{n}"))
        slow[-1].socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
    end = f"the end of {round_number}"
    for n in range(SLOW, USERS):
        with Client(port, f"u{n}") as speaker:
            for m in range(10):
                speaker.request("chat:send", f"s{m}", room="soak", text="x" * 15_000)
                speaker.request("chat:typing", f"t{m}", room="soak")
    with Client(port, f"u{SLOW}") as speaker:
        speaker.request("chat:send", "end", room="soak", text=end)
    slow[0].reset()
    for client in slow[1:]:
        client.await_text(end)
        client.close()


def one_round(server, round_number):
    port = server.port
    come_and_go(port)
    talk(port, round_number)
    watch(port)
    listen(port)
    call(server)
    flood(port)
    read_slowly(port, round_number)
    server.reload()


def drain(server):
    """SIGTERM with everybody connected: they are told, closed with 1012, and the server ends well."""
    clients = [Client(server.port, f"u{n % USERS}") for n in range(100)]
    server.process.send_signal(signal.SIGTERM)
    for client in clients:
        client.await_text('"code":"draining"')
        code = client.await_end()
        if code != RESTART:
            raise Failed(f"a restart closed with {code}")
        client.socket.close()
    status = server.process.wait(PATIENCE)
    if status != 0:
        raise Failed(f"the server ended with {status}")


def is_alone(counts):
    """Whether nobody is connected but whoever asks."""
    here = ("info connections", "info online", "parlor_connections websocket")
    here += ("parlor_connections events", "parlor_subscriptions")
    return all(counts[name] == 0 for name in here) and counts["parlor_connections http"] == 1


def grown(server, first):
    """What is more, or less, than after the first round; waits until nothing is."""
    differs = {}

    def is_as_before():
        now = server.counts()
        differs.clear()
        differs.update({name: (first[name], of) for name, of in now.items() if of != first[name]})
        return not differs

    try:
        await_that(is_as_before, "all is as before")
    except Failed:
        pass
    return [f"{name}: {of}, was {before}" for name, (before, of) in differs.items()]


def settled(server):
    """What is there when it has not changed for a moment: what ended a moment ago may still be open."""
    looks = [server.counts()]

    def is_as_before():
        time.sleep(0.5)
        looks.append(server.counts())
        return looks[-1] == looks[-2]

    await_that(is_as_before, "nothing changes")
    return looks[-1]


def live(server, until, numbers):
    """Rounds until it is time; says what each leaves."""
    first, warm = None, None
    rounds = 0
    while rounds <= WARM_ROUNDS or time.monotonic() < until:
        rounds += 1
        one_round(server, next(numbers))
        if first is None:
            # Whoever was reset is gone when the system says so, and offline after a grace.
            await_that(lambda: is_alone(server.counts()), "nobody is connected")
            first = settled(server)
        faults = grown(server, first)
        memory = server.memory()
        if rounds == WARM_ROUNDS:
            warm = memory
        if warm is not None and memory > warm + MEMORY_SLACK_BYTES:
            faults.append(f"VmRSS: {memory >> 10} KiB, was {warm >> 10} KiB after {WARM_ROUNDS} rounds")
        if faults:
            raise Failed("; ".join(faults))
    print(
        f"{rounds} rounds, {server.threads} threads: VmRSS {warm >> 10} KiB after {WARM_ROUNDS}, {memory >> 10} KiB in the end; "
        f"{first['file descriptors']} file descriptors, all else as after the first",
        flush=True,
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--threads", default="1", help="that serve: a number for each life, by turns, with commas")
    arguments = parser.parse_args()
    minutes, threads = arguments.minutes, itertools.cycle(arguments.threads.split(","))
    begun, port = time.monotonic(), free_port()
    numbers = iter(range(1 << 62))
    print(machine(), flush=True)
    with tempfile.TemporaryDirectory(prefix="parlor-soak-") as directory:
        for life in range(LIVES):
            server = Server(Path(directory), port, next(threads))
            try:
                live(server, begun + minutes * 60 * (life + 1) / LIVES, numbers)
                drain(server)
                for line in server.said().splitlines():
                    if " ERROR " in line or "panicked" in line:
                        raise Failed(f"the log has: {line}")
            except (Failed, OSError) as failure:
                print(f"soak: {failure}\n{server.said()[-2_000:]}", file=sys.stderr)
                return 1
            finally:
                stop(server.process)
                server.log.close()
    print(f"nothing has grown in {(time.monotonic() - begun) / 60:.1f} minutes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
