"""The application beside the dashboard's parlor: what is polled, a page, and a button that tells the webhook.

Python's standard library alone. It knows of parlor what any backend would: an address and a secret."""

import hashlib
import hmac
import http.client
import json
import os
import random
import signal
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

PAGE = Path(__file__).with_name("index.html")
SECRET = os.environ["DEPLOYS_SECRET"].encode()
PARLOR = os.environ.get("PARLOR_ADDRESS", "127.0.0.1:8080")
BODY_BYTES_MAX = 16 * 1024

waiting = 7


def tell(deploy):
    """Posts to the webhook, signed as it wants to be."""
    body = json.dumps({"deploy": deploy}).encode()
    signature = hmac.new(SECRET, body, hashlib.sha256).hexdigest()
    connection = http.client.HTTPConnection(PARLOR, timeout=5)
    headers = {"X-Hub-Signature-256": f"sha256={signature}", "Content-Type": "application/json"}
    connection.request("POST", "/hooks/deploys", body, headers)
    status = connection.getresponse().status
    connection.close()
    return status


class Backend(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        global waiting
        if self.path == "/":
            self.answer(200, "text/html; charset=utf-8", PAGE.read_bytes())
        elif self.path == "/queue":
            waiting = max(0, waiting + random.choice([-1, 0, 0, 1]))
            self.answer_json({"now": {"waiting": waiting}})
        elif self.path.startswith("/machines/"):
            name = self.path.removeprefix("/machines/")
            self.answer_json({"machine": name, "degrees": 40 + random.randrange(20)})
        else:
            self.answer_json({"error": "there is nothing here"}, 404)

    def do_POST(self):
        length = self.headers.get("Content-Length", "0")
        if not length.isdigit() or int(length) > BODY_BYTES_MAX:
            return self.answer_json({"error": "too large"}, 413)
        body = self.rfile.read(int(length))
        if self.path != "/deploy":
            return self.answer_json({"error": "there is nothing here"}, 404)
        try:
            deploy = json.loads(body)
        except ValueError:
            return self.answer_json({"error": "no JSON"}, 400)
        self.answer_json({"status": tell(deploy)})

    def answer_json(self, value, status=200):
        self.answer(status, "application/json", json.dumps(value).encode())

    def answer(self, status, kind, body):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


if __name__ == "__main__":
    host, _, port = (sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1:9090").rpartition(":")
    server = ThreadingHTTPServer((host, int(port)), Backend)
    # From a thread: `shutdown` waits for what `serve_forever` is answering.
    end = lambda *_: threading.Thread(target=server.shutdown).start()  # noqa: E731
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)
    print(f"Dashboard: http://{host}:{server.server_port}/", flush=True)
    server.serve_forever()
    server.server_close()
