#!/usr/bin/env python3
"""Measures TLS of parlor itself beside nginx (Debian's, one worker) that speaks TLS in front of a plain
parlor, one after the other in each of several rounds:

    python3 tests/measure/tls_peers.py
    python3 tests/measure/tls_peers.py --rounds 5 --seconds 3

`handshakes`: connections with a full handshake and one GET /healthz, as many as `openssl s_time` makes, and
the same with sessions resumed. `full duplex`: a WebSocket publishes events of 60,000 bytes to a stream of
bytes that it watches itself, so that as much comes back as goes; 64 are under way.

Of each: the rate, and the servers' processor time, of nginx and parlor together. The client needs a
processor, too: on two the processor's time says more than the rate. The median of the rounds, and the
lowest and highest. The certificate is ECDSA (P-256), made by `openssl`.
"""

import argparse
import re
import shutil
import socket
import ssl
import statistics
import subprocess
import tempfile
import threading
import time
from pathlib import Path

from common import HOST, PATIENCE, free_port, machine, parlor_binary, start, stop

SIZE, UNDER_WAY = 60_000, 64
NGINX = """
daemon off; worker_processes 1; pid {directory}/pid; error_log stderr crit;
events {{ worker_connections 1024; }}
http {{
    access_log off; server_tokens off;
    client_body_temp_path {directory}/body; proxy_temp_path {directory}/proxy; fastcgi_temp_path {directory}/f;
    uwsgi_temp_path {directory}/u; scgi_temp_path {directory}/s;
    upstream parlor {{ server {host}:{upstream}; keepalive 16; }}
    map $http_upgrade $connection_upgrade {{ default upgrade; "" ""; }}
    server {{
        listen {host}:{port} ssl backlog=4096;
        ssl_certificate {directory}/chat.pem; ssl_certificate_key {directory}/chat.key;
        ssl_protocols TLSv1.2 TLSv1.3; ssl_session_tickets on;
        location / {{
            proxy_pass http://parlor; proxy_http_version 1.1; proxy_set_header Host $http_host;
            proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $connection_upgrade;
            proxy_buffering off;
        }}
    }}
}}
"""


def children(pid):
    listed = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(int(child) for child in listed)]


def processor_seconds(processes):
    total = 0
    for process in processes:
        for pid in children(process.pid):
            for task in Path(f"/proc/{pid}/task").iterdir():
                total += int((task / "schedstat").read_text().split()[0])
    return total / 1e9


def serve(directory, tls):
    """A parlor, with the certificate in the directory or plain; gives it and its port."""
    port = free_port()
    command = [parlor_binary(), "serve", "--port", str(port), "--data", ":memory:", "--log", "error"]
    for name, value in {
        "limits.connections_per_address": 10_000, "limits.requests_per_second": 1_000_000,
        "limits.burst": 1_000_000, "limits.user_work_per_second": 0, "limits.address_work_per_second": 0,
        "limits.message_bytes": 100_000, "limits.outbox_bytes": 16 << 20,
        "streams": '{ "s" = { publish = true, binary = true, max_bytes = 65536, read = "public", keep = 200 } }',
    }.items():  # fmt: skip
        command += ["--set", f"{name}={value}"]
    if tls:
        command += ["--tls-cert", str(directory / "chat.pem"), "--tls-key", str(directory / "chat.key")]
    return start(command, port), port


def begin(directory, who):
    """The servers, and the port for TLS."""
    if who == "parlor":
        process, port = serve(directory, tls=True)
        return [process], port
    program = shutil.which("nginx", path="/usr/sbin:/usr/bin")
    if program is None:
        raise SystemExit("nginx is missing: install it, on Debian by: apt-get install nginx-light")
    process, upstream = serve(directory, tls=False)
    port = free_port()
    config = directory / "nginx.conf"
    config.write_text(NGINX.format(directory=directory, host=HOST, port=port, upstream=upstream))
    return [process, start([program, "-c", str(config), "-p", str(directory)], port)], port


def handshakes(processes, port, seconds, way):
    before = processor_seconds(processes)
    command = ["openssl", "s_time", "-connect", f"{HOST}:{port}", f"-{way}", "-www", "/healthz", "-time", str(seconds)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds * 4 + 20, check=True)
    count, took = re.search(r"(\d+) connections in (\d+) real seconds", done.stdout).groups()
    spent = processor_seconds(processes) - before
    return int(count) / max(1, int(took)), spent / int(count) * 1e3


def message(opcode, payload):
    """A masked frame whose key is nothing, so that masking costs the client nothing."""
    head = bytes([0x80 | opcode])
    length = len(payload)
    head += bytes([0x80 | length]) if length < 126 else b"\xfe" + length.to_bytes(2, "big")
    return head + bytes(4) + payload


def full_duplex(processes, port, seconds, directory):
    context = ssl.create_default_context(cafile=directory / "chat.pem")
    context.check_hostname = False
    tls = context.wrap_socket(socket.create_connection((HOST, port), PATIENCE))
    tls.sendall(
        b"GET /ws?user=u HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    tls.sendall(message(1, b'{"type":"subscribe","id":1,"payload":{"stream":"s"}}'))
    came = b""
    while b'"streams"' not in came:
        piece = tls.recv(65_536)
        if not piece:
            raise SystemExit("the connection ended")
        came += piece
    event = message(2, b"\x01s" + b"x" * SIZE)
    before, begun = processor_seconds(processes), time.monotonic()
    received, sent, is_over = 0, 0, False
    room = threading.Semaphore(UNDER_WAY)

    def send():
        nonlocal sent
        while not is_over:
            if room.acquire(timeout=0.5):
                tls.sendall(event)
                sent += SIZE

    sender = threading.Thread(target=send)
    sender.start()
    buffer, freed = bytearray(1 << 18), 0
    while time.monotonic() - begun < seconds:
        received += tls.recv_into(buffer)
        while freed + SIZE <= received:
            freed += SIZE
            room.release()
    is_over = True
    took = time.monotonic() - begun
    room.release()
    spent = processor_seconds(processes) - before
    tls.settimeout(1)
    sender.join()
    tls.close()
    return received / took / 1e6, spent / (received / 1e6) * 1e3


def shown(values):
    return f"{statistics.median(values):.2f} ({min(values):.2f}-{max(values):.2f})"


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=3)
    arguments = parser.parse_args()
    found = {}
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        made = ["openssl", "req", "-x509", "-nodes", "-days", "9", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
        made += ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
        files = ["-keyout", directory / "chat.key", "-out", directory / "chat.pem"]
        subprocess.run([*made, *files], check=True, capture_output=True)
        for _ in range(arguments.rounds):
            for who in ("parlor", "nginx"):
                processes, port = begin(directory, who)
                try:
                    for what, run in (
                        ("full handshake", lambda: handshakes(processes, port, arguments.seconds, "new")),
                        ("resumed", lambda: handshakes(processes, port, arguments.seconds, "reuse")),
                        ("full duplex", lambda: full_duplex(processes, port, arguments.seconds, directory)),
                    ):
                        found.setdefault((what, who), []).append(run())
                finally:
                    for process in reversed(processes):
                        stop(process)
    print(f"{machine()}; {arguments.rounds} rounds of {arguments.seconds} s; median (lowest-highest)\n")
    print("| what | who | a second | the servers' processor |")
    print("| --- | --- | ---: | ---: |")
    units = {"full duplex": ("MB each way", "ms a MB")}
    for (what, who), values in sorted(found.items()):
        unit, cost = units.get(what, ("connections", "ms each"))
        rates, costs = zip(*values)
        print(f"| {what} | {who} | {shown(rates)} {unit} | {shown(costs)} {cost} |")


if __name__ == "__main__":
    main()
