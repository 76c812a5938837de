"""What the measuring scripts share: starting a server of our own, and WebSocket clients on bare
sockets. The standard library only."""

import os
import signal
import socket
import struct
import subprocess
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HOST = "127.0.0.1"
START_SECONDS = 30
STOP_SECONDS = 10
#: How long a client waits for what must come.
PATIENCE = 20
KEY = b"\x37\xfa\x21\x3d"
TEXT = 0x1


def binary(variable, default, how):
    path = Path(os.environ.get(variable) or ROOT / default)
    if not path.is_file():
        raise SystemExit(f"{path} is missing: {how}, or set {variable}")
    return str(path)


def echo_binary():
    how = "cargo build --release --example echo"
    return binary("PARLOR_ECHO", "target/release/examples/echo", how)


def parlor_binary():
    return binary("PARLOR_BIN", "target/release/parlor", "cargo build --release")


def free_port():
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return probe.getsockname()[1]


def environment():
    """That of a server: without what would be its configuration."""
    kept = (name for name in os.environ if not name.startswith("PARLOR_"))
    return {name: os.environ[name] for name in kept}


def start(command, port):
    """Starts a server and waits until it accepts."""
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, env=environment()
    )
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            socket.create_connection((HOST, port), 1).close()
            return process
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                if process.poll() is None:
                    process.kill()
                raise SystemExit(f"{command[0]} does not serve")
            time.sleep(0.02)


def stop(process, number=signal.SIGTERM):
    """Ends a process of ours, by its own id."""
    if process.poll() is None:
        process.send_signal(number)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def cpu_seconds(process):
    """What a process has worked so far."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def frame(payload, rsv=0):
    """A masked text frame. The key is always the same: nobody is attacked here."""
    length = len(payload)
    if length > 65_535:
        raise ValueError("this long a message is not needed here")
    form = struct.pack("!B", 0x80 | length) if length < 126 else struct.pack("!BH", 0xFE, length)
    masked = bytes(byte ^ KEY[place & 3] for place, byte in enumerate(payload))
    return bytes([0x80 | rsv << 4 | TEXT]) + form + KEY + masked


def connect(port, path="/", offer=None):
    """An open WebSocket: its socket, and what came behind the answer's head. `offer` are the
    extensions that it offers, and must be agreed to."""
    extensions = f"Sec-WebSocket-Extensions: {offer}\r\n" if offer else ""
    client = socket.create_connection((HOST, port), PATIENCE)
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    request = (
        f"GET {path} HTTP/1.1\r\nHost: {HOST}:{port}\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        f"Sec-WebSocket-Version: 13\r\n{extensions}\r\n"
    )
    client.sendall(request.encode())
    answer = b""
    while b"\r\n\r\n" not in answer:
        piece = client.recv(65_536)
        if not piece:
            raise SystemExit(f"the upgrade was refused: {answer.decode(errors='replace')}")
        answer += piece
    head, _, rest = answer.partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 101 "):
        raise SystemExit(f"the upgrade was refused: {answer.decode(errors='replace')}")
    if (b"permessage-deflate" in head) != bool(offer):
        raise SystemExit(f"another agreement than was wished for: {head.decode()}")
    return client, rest


def machine():
    """The machine, for beside the figures."""
    cpu = next(
        (
            line.split(":", 1)[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        "unknown processor",
    )
    return f"{cpu}, {os.cpu_count()} cores, {os.uname().sysname} {os.uname().release}"
