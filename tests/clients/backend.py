"""A small HTTP backend of an application, for tests: it answers as it is told, and remembers what it was asked."""

import hashlib
import hmac
import json
import ssl
import threading
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from harness import HOST, PATIENCE


@dataclass
class Asked:
    """A request that came."""

    method: str
    path: str
    fields: dict
    body: bytes

    @property
    def json(self):
        return json.loads(self.body)


class Backend:
    """Serves on a port of its own until `end`. `answers(asked)` gives a status and a body (bytes, or what
    becomes JSON), and perhaps header fields; it may wait on `release`."""

    def __init__(self, answers=None):
        self.answers = answers or (lambda asked: (200, {}))
        self.release = threading.Event()
        self._asked, self._changed = [], threading.Condition()
        backend = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def serve(self):
                length = int(self.headers.get("Content-Length") or 0)
                fields = {name.lower(): value for name, value in self.headers.items()}
                asked = Asked(self.command, self.path, fields, self.rfile.read(length))
                with backend._changed:
                    backend._asked.append(asked)
                    backend._changed.notify_all()
                status, body, *more = backend.answers(asked)
                body = body if isinstance(body, bytes) else json.dumps(body).encode()
                try:
                    self.send_response(status)
                    for name, value in more[0].items() if more else ():
                        self.send_header(name, value)
                    self.send_header("Content-Length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body)
                except OSError:
                    self.close_connection = True

            do_GET = do_POST = serve

            def log_message(self, *_):
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            #: Tests connect many times at once.
            request_queue_size = 512

        self._server = Server((HOST, 0), Handler)
        self.port = self._server.server_address[1]
        self.url = f"http://{HOST}:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def serve_tls(self, certificate, key):
        """Speaks TLS from here on."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        # The handshake is the handler's thread's, and one that fails is its own.
        plain = self._server.socket
        self._server.socket = context.wrap_socket(plain, server_side=True, do_handshake_on_connect=False)
        self._server.handle_error = lambda *_: None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()

    def end(self):
        self.release.set()
        self._server.shutdown()
        self._server.server_close()

    def asked(self, path=None):
        """What it was asked until now."""
        with self._changed:
            return [one for one in self._asked if path is None or one.path == path]

    def wait_for(self, count, path=None):
        """What it was asked, when that is so much."""
        with self._changed:
            came = self._changed.wait_for(lambda: len(self.asked_now(path)) >= count, PATIENCE)
            assert came, f"asked {len(self.asked_now(path))} times, not {count}"
            return self.asked_now(path)

    def asked_now(self, path):
        return [one for one in self._asked if path is None or one.path == path]


def signature(secret, body):
    """What X-Hub-Signature-256 has for this content."""
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def until(holds, seconds=PATIENCE):
    """Waits until something holds; gives what that is."""
    deadline = time.monotonic() + seconds
    while not (found := holds()):
        assert time.monotonic() < deadline, "it never came to be"
        time.sleep(0.01)
    return found
