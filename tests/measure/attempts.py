"""Somebody who asks a server for its health without a pause, on a new connection each time. The standard
library only."""

import socket
import threading
import time

HOST = "127.0.0.1"
#: How long an attempt may take.
PATIENCE = 20


class Attempts:
    """Asks on a thread of its own until the end of the block, and counts how it went."""

    def __init__(self, port):
        self.port, self.served, self.refused, self.longest = port, 0, 0, 0.0
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._is_over.set()
        self._thread.join()

    def _run(self):
        request = f"GET /healthz HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n".encode()
        while not self._is_over.is_set():
            begun = time.monotonic()
            try:
                with socket.create_connection((HOST, self.port), PATIENCE) as one:
                    one.sendall(request)
                    is_served = one.recv(1_000).startswith(b"HTTP/1.1 200 ")
            except OSError:
                is_served = False
            self.served += is_served
            self.refused += not is_served
            self.longest = max(self.longest, time.monotonic() - begun)
            time.sleep(0.002)
