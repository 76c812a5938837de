#!/usr/bin/env python3
"""Measures whether one client's abuse raises another's latency.

    python3 tests/measure/flood.py
    python3 tests/measure/flood.py --rounds 1 --samples 50
    python3 tests/measure/flood.py --threads 2 --connections 1 --flood small --flood large --flood history

A quiet client sends a request every few milliseconds and waits for its answer: alone, and beside a
flooding one, in turns. The flooding one is a process of its own, sends as fast as the server takes it,
looks at no `rate_limited`, and connects again whenever it is closed:

- small: requests of 40 bytes, many in one write, on eight connections
- large: messages of 60,000 bytes, on eight connections
- http: calls of the API, many in one write, on eight connections
- connects: a new WebSocket each time, which says one thing and goes
- tokens: tokens whose ES256 signatures are wrong, each another, many in one write, on 90 connections
- webhooks: contents of 900 kB whose signatures are wrong, on eight connections
- scrapes: the description of the API and the metrics, many in one write, on eight connections
- cookies: made-up cookies, each another, of which the backend says after 50 ms that they are nobody's, on 90 connections

These keep to the rate that the server allows, on 20 connections of one user:

- info: what a user is told who is in 3,000 rooms
- edits: edits of 16 kB
- history: pages of the largest size
- unread: the same, and what comes is never read
- rooms: rooms that they make, and first messages to people who were never here
- handlers: requests that the backend answers after a second
- filters: logs of 12 MB from their first event on, by a filter that none of them passes

Beside cookies the quiet client is another whom the backend knows by a cookie, from another address, and beside handlers
its requests are for the same backend, which answers them at once.

The server has its default limits; the quiet client alone may ask oftener than others, or it would take
minutes. What is printed are medians over the rounds.
"""

import argparse
import base64
import hashlib
import hmac
import http.client
import json
import multiprocessing
import os
import select
import socket
import statistics
import struct
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from common import HOST, PATIENCE, connect, frame, free_port, machine, parlor_binary, start, stop

FAST = ("small", "large", "http", "connects", "tokens", "webhooks", "scrapes", "cookies")
PACED = ("info", "edits", "history", "unread", "rooms", "handlers", "filters")
FLOODS = FAST + PACED
FLOODING_CONNECTIONS = 8
FAILING_CONNECTIONS = 90
PACED_CONNECTIONS = 20
#: What a connection may send in a second (limits.requests_per_second).
PACE = 10
ROOMS = 3_000
ENTRIES = 60
EVENTS = 200
WEBHOOK_BYTES = 900_000
SECRET = b"not a secret: tests/measure/flood.py"
ADMIN = "not a secret either: tests/measure/flood.py"
#: The base point of P-256 is a public key, too (SEC 2 §2.4.2), whose private key is 1.
P256 = (
    "6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296",
    "4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5",
)
#: Between two requests of the quiet client.
PAUSE_SECONDS = 0.004
SETTLE_SECONDS = 0.3


def b64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def signed(user, algorithm="HS256"):
    """A token without its signature."""
    claims = {"sub": user, "exp": int(time.time()) + 3_600}
    parts = ({"alg": algorithm, "typ": "JWT"}, claims)
    return ".".join(b64url(json.dumps(part).encode()) for part in parts)


def token(user):
    head = signed(user)
    return f"{head}.{b64url(hmac.new(SECRET, head.encode(), hashlib.sha256).digest())}"


def serve_backend():
    """Says whose a cookie is, and answers requests: those of the quiet client at once. Its port."""

    class Backend(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        #: An answer is one packet.
        wbufsize = 1 << 16

        def do_GET(self):
            is_known = self.headers["Cookie"] == "quiet"
            if not is_known:
                time.sleep(0.05)
            self.answer(200 if is_known else 401, {"user": {"id": "quiet"}} if is_known else {})

        def do_POST(self):
            content = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if content["user"]["id"] != "quiet":
                time.sleep(1)
            self.answer(200, {})

        def answer(self, status, content):
            text = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_):
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 512

        def handle_error(self, *_):
            pass

    server = Server((HOST, 0), Backend)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_address[1]


def ping(number):
    return frame(json.dumps({"type": "ping", "id": number}).encode())


class Quiet:
    """The client whose requests are timed."""

    def __init__(self, port):
        self.socket, self.buffer = connect(port, f"/ws?token={token('quiet')}")
        self.number = 0
        self.http = http.client.HTTPConnection(HOST, port, PATIENCE, source_address=("127.0.0.2", 0))

    def end(self):
        self.socket.close()
        self.http.close()

    def message(self):
        """The next message, as JSON."""
        while True:
            data = self.buffer
            if len(data) >= 2:
                length, start = data[1], 2
                if length == 126:
                    length, start = int.from_bytes(data[2:4], "big"), 4
                elif length == 127:
                    length, start = int.from_bytes(data[2:10], "big"), 10
                if len(data) >= start + length:
                    self.buffer = data[start + length :]
                    if data[0] == 0x81:
                        return json.loads(data[start : start + length])
                    continue
            piece = self.socket.recv(1 << 16)
            if not piece:
                raise SystemExit("the quiet client was closed")
            self.buffer += piece

    def come(self):
        """Seconds from a call with a cookie to its answer."""
        began = time.perf_counter()
        self.http.request("GET", "/api/v1/rooms", headers={"Cookie": "quiet"})
        answer = self.http.getresponse()
        said = answer.read()
        if answer.status != 200:
            raise SystemExit(f"the quiet client was refused: {answer.status} {said.decode()}")
        return time.perf_counter() - began

    def ask(self, kind="ping"):
        """Seconds from a request to its reply."""
        self.number += 1
        text = frame(json.dumps({"type": kind, "id": self.number}).encode())
        began = time.perf_counter()
        self.socket.sendall(text)
        while True:
            message = self.message()
            if message.get("id") == self.number:
                took = time.perf_counter() - began
                if message["type"] != "reply":
                    raise SystemExit(f"the quiet client was refused: {message}")
                return took

    def measure(self, samples, flood=None):
        """p50 and p99, in milliseconds."""
        ask = {"cookies": self.come, "handlers": lambda: self.ask("flood")}.get(flood, self.ask)
        if flood == "cookies":
            # The server ends a connection that asks for nothing for long.
            self.http.close()
            ask()
        times = []
        for _ in range(samples):
            times.append(ask() * 1_000)
            time.sleep(PAUSE_SECONDS)
        times.sort()
        return times[len(times) // 2], times[min(len(times) - 1, len(times) * 99 // 100)]


def upgrade(port, user):
    return (
        f"GET /ws?token={token(user)} HTTP/1.1\r\nHost: {HOST}:{port}\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        "Sec-WebSocket-Version: 13\r\n\r\n"
    ).encode()


def large_frame():
    """A message of 60,000 bytes. It is masked at once, as a flood would."""
    payload = json.dumps({"type": "chat:send", "payload": {"room": "r", "text": "x" * 59_900}}).encode()
    key = b"\x37\xfa\x21\x3d"
    repeated = key * (len(payload) // 4 + 1)
    number = int.from_bytes(payload, "big") ^ int.from_bytes(repeated[: len(payload)], "big")
    return struct.pack("!BBH", 0x81, 0xFE, len(payload)) + key + number.to_bytes(len(payload), "big")


def request(port, method, path, content=b"", fields=""):
    return (
        f"{method} {path} HTTP/1.1\r\nHost: {HOST}:{port}\r\n{fields}"
        f"Content-Length: {len(content)}\r\n\r\n"
    ).encode() + content


def call(port):
    bearer = f"Authorization: Bearer {token('flood')}\r\n"
    return request(port, "POST", "/api/v1/call/ping", b"{}", bearer)


def failing(port):
    """Requests with tokens whose signatures are wrong, each another."""
    head = signed("flood", "ES256")
    tokens = (f"{head}.{b64url(os.urandom(64))}" for _ in range(16))
    return b"".join(
        request(port, "GET", "/api/v1/info", b"", f"Authorization: Bearer {one}\r\n") for one in tokens
    )


def made_up(port):
    """Requests with cookies that are nobody's."""
    return b"".join(
        request(port, "GET", "/api/v1/info", b"", f"Cookie: {os.urandom(16).hex()}\r\n") for _ in range(4)
    )


def webhook(port):
    """A content whose signature is wrong."""
    signature = f"X-Hub-Signature-256: sha256={os.urandom(32).hex()}\r\n"
    return request(port, "POST", "/hooks/flood", b"x" * WEBHOOK_BYTES, signature)


def scrapes(port):
    pair = request(port, "GET", "/api/v1/openapi.json") + request(port, "GET", "/metrics")
    return pair * 8


def paced(kind, port, until, counts, connections):
    """As often as the server allows, on all connections of a user."""
    history = ("chat:history", {"room": "r0"})
    contents = {
        "info": [("info", {})],
        "edits": [("chat:edit", {"room": "r0", "seq": 1, "text": "x" * 16_000})],
        "history": [history],
        "unread": [history],
        "rooms": [("room:create", {}), ("chat:send", {"to": "stranger", "text": "x"})],
        "handlers": [("flood", {})],
        "filters": [("subscribe", {"stream": "log", "since": 0, "filter": {"/n": "none"}})],
    }[kind]
    clients, turn = [], 0
    while not until.is_set():
        while len(clients) < (connections or PACED_CONNECTIONS):
            client = socket.create_connection((HOST, port), 1)
            client.sendall(upgrade(port, "flood"))
            client.setblocking(False)
            clients.append(client)
            counts[1] += 1
        began = time.monotonic()
        for client in list(clients):
            turn += 1
            name, payload = contents[turn % len(contents)]
            if "to" in payload:
                payload = {**payload, "to": f"stranger{turn}"}
            message = frame(json.dumps({"type": name, "id": 1, "payload": payload}).encode())
            try:
                client.send(message)
                counts[0] += len(message)
            except BlockingIOError:
                pass
            except OSError:
                clients.remove(client)
                client.close()
        if kind == "unread":
            time.sleep(1 / PACE)
            continue
        # What comes is read, as a client would.
        while (left := began + 1 / PACE - time.monotonic()) > 0 and clients:
            readable, _, _ = select.select(clients, [], [], left)
            for client in readable:
                try:
                    is_over = not client.recv(1 << 20)
                except BlockingIOError:
                    continue
                except OSError:
                    is_over = True
                if is_over:
                    clients.remove(client)
                    client.close()


def flood(kind, port, until, counts, connections):
    """Floods until it is told to end; counts bytes that were sent, and connections."""
    if kind in PACED:
        return paced(kind, port, until, counts, connections)
    speaks_http = kind in ("http", "tokens", "webhooks", "scrapes", "cookies")
    opening = b"" if speaks_http else upgrade(port, "flood")
    once = {
        "small": ping(1) * 1_000,
        "large": large_frame(),
        "http": call(port) * 100,
        "connects": ping(1),
        "webhooks": webhook(port),
        "scrapes": scrapes(port),
    }
    most = connections or (FAILING_CONNECTIONS if kind in ("tokens", "cookies") else FLOODING_CONNECTIONS)
    made = {"tokens": failing, "cookies": made_up}

    def next_burst():
        return made[kind](port) if kind in made else once[kind]

    burst = b"" if kind in made else once[kind]
    if kind == "connects":
        while not until.is_set():
            with socket.socket() as client:
                client.settimeout(1)
                try:
                    client.connect((HOST, port))
                    client.sendall(opening + burst)
                    client.recv(1 << 16)
                except OSError:
                    continue
                counts[0] += len(burst)
                counts[1] += 1
        return
    clients = {}
    while not until.is_set():
        while len(clients) < most:
            client = socket.create_connection((HOST, port), 1)
            client.setblocking(False)
            clients[client] = opening + next_burst()
            counts[1] += 1
        readable, writable, _ = select.select(list(clients), list(clients), [], 0.1)
        for client in readable:
            try:
                is_over = not client.recv(1 << 18)
            except BlockingIOError:
                is_over = False
            except OSError:
                is_over = True
            if is_over:
                del clients[client]
                client.close()
        for client in writable:
            if client not in clients:
                continue
            try:
                sent = client.send(clients[client])
            except BlockingIOError:
                continue
            except OSError:
                del clients[client]
                client.close()
                continue
            counts[0] += sent
            clients[client] = clients[client][sent:] or next_burst()


class Flooding:
    """A flooding client, for the time of a `with`."""

    def __init__(self, kind, port, connections):
        self.until = multiprocessing.Event()
        self.counts = multiprocessing.Array("Q", 2, lock=False)
        self.process = multiprocessing.Process(
            target=flood, args=(kind, port, self.until, self.counts, connections), daemon=True
        )

    def __enter__(self):
        self.process.start()
        self.began = time.monotonic()
        time.sleep(SETTLE_SECONDS)
        return self

    def __exit__(self, *_):
        if not self.process.is_alive():
            raise SystemExit("the flooding client has ended by itself")
        self.until.set()
        self.process.join(PATIENCE)
        self.seconds = time.monotonic() - self.began
        if not self.counts[0]:
            raise SystemExit("nothing was flooded")


def prepare(port):
    """The rooms of the flooding user, and a log whose pages are as large as they may be."""
    api = http.client.HTTPConnection(HOST, port, timeout=PATIENCE)

    def ask(method, path, content):
        fields = {"Authorization": f"Bearer {ADMIN}"}
        api.request(method, f"/api/v1{path}?user=flood", json.dumps(content), fields)
        answer = api.getresponse()
        said = answer.read()
        if answer.status >= 300:
            raise SystemExit(f"{method} {path}: {answer.status} {said.decode()}")

    # One user may be in so many rooms that they have made themselves: the others are made in others' names.
    for number in range(ROOMS):
        content = {"title": "t" * 100, "members": ["flood"]}
        path = f"/api/v1/rooms/r{number}?user=maker{number // 900}"
        api.request("PUT", path, json.dumps(content), {"Authorization": f"Bearer {ADMIN}"})
        answer = api.getresponse()
        said = answer.read()
        if answer.status >= 300:
            raise SystemExit(f"{path}: {answer.status} {said.decode()}")
    for _ in range(ENTRIES):
        ask("POST", "/rooms/r0/messages", {"text": "x" * 8_000})
    for number in range(EVENTS):
        ask("POST", "/streams/log", {"n": number, "x": ["a"] * 12_000})
    api.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--samples", type=int, default=500)
    parser.add_argument("--flood", choices=FLOODS, action="append")
    parser.add_argument("--threads", type=int, default=1, help="of the server; each has a quiet client, and the slowest is told")
    parser.add_argument("--connections", type=int, help="of the flooding client, in place of those said above")
    arguments = parser.parse_args()
    floods = arguments.flood or FLOODS
    port = free_port()
    often = ", ".join(f"{key} = 10000" for key in ("requests_per_second", "burst", "user_work_per_second", "user_work_burst"))
    users = f"limits.users={{ quiet = {{ {often} }} }}"
    with tempfile.TemporaryDirectory() as directory:
        folder = Path(directory)

        def kept(name, content):
            (folder / name).write_bytes(content)
            (folder / name).chmod(0o600)
            return folder / name

        x, y = (b64url(bytes.fromhex(one)) for one in P256)
        key = {"kty": "EC", "crv": "P-256", "x": x, "y": y}
        secret = kept("secret", SECRET)
        hook = f'flood = {{ webhook = {{ path = "/hooks/flood", secret_file = "{secret}" }} }}'
        streams = f"streams={{ {hook}, log = {{ keep = 1000, publish = true }} }}"
        command = [parlor_binary(), "serve", "--listen", f"{HOST}:{port}", "--data", folder / "data"]
        command += ["--set", f"threads={arguments.threads}", "--secret-file", secret, "--key-file", kept("keys.json", json.dumps({"keys": [key]}).encode())]
        backend = f"http://{HOST}:{serve_backend()}/"
        handlers = f'handlers=[{{ types = ["flood"], url = "{backend}", secret_file = "{secret}" }}]'
        command += ["--set", handlers, "--set", f"auth.url={backend}", "--set", "auth.url_headers=cookie"]
        command += ["--set", f"auth.admin_token_file={kept('admin', ADMIN.encode())}", "--set", streams]
        server = start([*command, "--set", "metrics.public=true", "--set", users, "--log", "error"], port)
        try:
            if set(floods) & set(PACED):
                prepare(port)
            rows = measure(port, floods, arguments)
        finally:
            stop(server)
    print(f"{machine()}; {arguments.rounds} rounds of {arguments.samples} requests, medians, ms\n")
    print("| flood | p50 alone | p50 beside it | p99 alone | p99 beside it | MB a second | connections a second |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for kind, figures in rows.items():
        alone, beside, rates = (list(zip(*column)) for column in zip(*figures))
        (a50, a99), (b50, b99), (sent, opened) = (
            [statistics.median(values) for values in column] for column in (alone, beside, rates)
        )
        print(f"| {kind} | {a50:.2f} | {b50:.2f} | {a99:.2f} | {b99:.2f} | {sent:.1f} | {opened:.0f} |")


def measure(port, floods, arguments):
    rows = {kind: [] for kind in floods}
    # Each goes to the thread that has fewest.
    quiet = [Quiet(port) for _ in range(arguments.threads)]

    def slowest(kind=None, samples=arguments.samples):
        figures = [one.measure(samples, kind) for one in quiet]
        return tuple(map(max, zip(*figures)))

    slowest(samples=20)
    for _ in range(arguments.rounds):
        for kind in floods:
            alone = slowest(kind)
            with Flooding(kind, port, arguments.connections) as flooding:
                beside = slowest(kind)
            seconds = flooding.seconds
            rates = (flooding.counts[0] / seconds / 1e6, flooding.counts[1] / seconds)
            rows[kind].append((alone, beside, rates))
            time.sleep(SETTLE_SECONDS)
    for one in quiet:
        one.end()
    return rows


if __name__ == "__main__":
    main()
