"""Within a network namespace: how long the end of a client of the C library takes in each of its states.

`c_states.py PROGRAM PARLOR` prints a line of JSON: by state, µs of parlor_free; of parlor_stop; of parlor_free behind it.
"""

import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time

from websockets.sync.server import serve

from certificates import Authority

#: Nobody has this address.
BLACK_HOLE = "10.99.99.2"
CONNECTING, AUTHENTICATING, ONLINE, WAITING, PAUSED = 1, 2, 3, 4, 5


def mute(answer):
    """A server that takes connections, says this to each, and nothing more; its port."""
    listener, kept = socket.create_server(("127.0.0.1", 0)), []

    def answer_all():
        while True:
            stream = listener.accept()[0]
            stream.sendall(answer)
            kept.append(stream)

    threading.Thread(target=answer_all, daemon=True).start()
    return listener.getsockname()[1]


def opens_only():
    """A server that opens each WebSocket, and then says nothing; its port."""

    def wait(connection):
        with contextlib.suppress(Exception):
            connection.recv()

    server = serve(wait, "127.0.0.1", 0)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.socket.getsockname()[1]


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def main(program, parlor):
    port = free_port()
    server = subprocess.Popen([parlor, "serve", "--data", ":memory:", "--listen", f"127.0.0.1:{port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    for _ in range(200):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            break
        time.sleep(0.05)
    url = f"ws://127.0.0.1:{port}/ws?user=ada"
    nobody = f"ws://127.0.0.1:{free_port()}/"
    states = {
        "resolving": ("ws://nobody.example/", CONNECTING, "left"),
        "black hole": (f"ws://{BLACK_HOLE}/", CONNECTING),
        "TLS stalled": (f"wss://127.0.0.1:{mute(b'')}/", CONNECTING),
        "upgrade stalled": (f"ws://127.0.0.1:{mute(b'HTTP/1.1 101 Swit')}/", CONNECTING),
        "authenticating": (f"ws://127.0.0.1:{opens_only()}/", AUTHENTICATING),
        "online": (url, ONLINE),
        "backoff": (nobody, WAITING),
        "paused": (url, PAUSED, "pause"),
        "outbox full": (nobody, WAITING, "full"),
        "socket connecting": (f"ws://{BLACK_HOLE}/", CONNECTING, "socket"),
        "socket open": (f"ws://127.0.0.1:{opens_only()}/", ONLINE, "socket"),
    }
    took = {}
    try:
        with tempfile.NamedTemporaryFile(suffix=".pem") as authority:
            authority.write(Authority().pem)
            authority.flush()
            for delivery in ("callback", "poll"):
                for name, (address, state, *how) in states.items():
                    command = [program, address, str(state), delivery, *how]
                    said = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, env={**os.environ, "CA_FILE": authority.name})
                    assert said.returncode == 0, (name, said)
                    took[f"{name}, {delivery}"] = [int(one) for one in said.stdout.split()]
    finally:
        server.kill()
        server.wait()
    print(json.dumps(took))
    # Threads wait for connections that do not come.
    os._exit(0)


sys.stdout.reconfigure(line_buffering=True)
main(*sys.argv[1:])
