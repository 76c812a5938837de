#!/usr/bin/env python3
"""Measures what TLS costs the server: its processor's time for a connection with a handshake and one
request, and the memory of an idle connection that has made one request.

    python3 tests/measure/tls.py
    python3 tests/measure/tls.py --connections 3000

For keys of ECDSA (P-256) and RSA (2048 bits): full handshakes, and such that resume the session of
the connection before, one after another. The processor's time is that of all threads
(/proc/PID/task/*/schedstat), memory is VmRSS. Certificates are made by `openssl`.
"""

import argparse
import socket
import ssl
import subprocess
import tempfile
from pathlib import Path

from common import HOST, free_port, machine, parlor_binary, start, stop

KEYS = {"ECDSA": ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"], "RSA": ["rsa:2048"]}
REQUEST = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"


def processor_seconds(process):
    tasks = Path(f"/proc/{process.pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


def resident(process):
    for line in Path(f"/proc/{process.pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise SystemExit("the server is gone")


def connected(port, context, session=None):
    """A connection on which a request was answered."""
    raw = socket.create_connection((HOST, port))
    tls = context.wrap_socket(raw, server_hostname="localhost", session=session)
    tls.sendall(REQUEST)
    if not tls.recv(65_536).startswith(b"HTTP/1.1 200"):
        raise SystemExit("the request was refused")
    return tls


def measure(kind, count, directory):
    certificate, key = directory / "chat.pem", directory / "chat.key"
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    made = ["openssl", "req", "-x509", "-nodes", "-days", "9", "-newkey", *KEYS[kind], *subject]
    subprocess.run([*made, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    port = free_port()
    files = ["--tls-cert", certificate, "--tls-key", key]
    limits = ["--set", f"limits.connections_per_address={count + 10}", "--log", "error"]
    command = [parlor_binary(), "serve", "--port", str(port), "--data", ":memory:", *files, *limits]
    process = start([str(part) for part in command], port)
    context = ssl.create_default_context(cafile=certificate)
    try:
        for way in ("full", "resumed"):
            session = None
            with connected(port, context) as tls:
                session = tls.session
            before = processor_seconds(process)
            for _ in range(count):
                with connected(port, context, session if way == "resumed" else None) as tls:
                    if tls.session_reused != (way == "resumed"):
                        raise SystemExit("another kind of handshake")
                    session = tls.session
            took = (processor_seconds(process) - before) / count
            print(f"{kind}, {way} handshake and a request: {took * 1e3:.2f} ms of the server's processor")
        before = resident(process)
        held = [connected(port, context) for _ in range(count)]
        print(f"{kind}, idle connection: {(resident(process) - before) / count:.0f} bytes")
        for tls in held:
            tls.close()
    finally:
        stop(process)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--connections", type=int, default=1_000)
    count = parser.parse_args().connections
    print(f"{count} connections; {machine()}")
    for kind in KEYS:
        with tempfile.TemporaryDirectory() as directory:
            measure(kind, count, Path(directory))


if __name__ == "__main__":
    main()
