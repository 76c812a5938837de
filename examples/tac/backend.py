"""The application beside the dashboard's parlor: workflows that wait, run and are done, each as JSON at an address.

Python's standard library alone. It knows of parlor what any backend would: where to send a webhook, and its secret."""

import hashlib
import hmac
import http.client
import json
import os
import signal
import sys
import threading
import time
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

SECRET = os.environ["GITHUB_SECRET"].encode()
PARLOR = os.environ.get("PARLOR_ADDRESS", "127.0.0.1:8080")
PAGE = Path(__file__).with_name("page.html")
BUNDLE = Path(os.environ.get("TAC_BUNDLE", Path(__file__).parents[2] / "target/tac/app.js"))
BODY_BYTES_MAX = 16 * 1024
WORKFLOWS_MAX = 100
STEPS = ("plan", "build", "test", "review")
STEP_SECONDS = float(os.environ.get("TAC_STEP_SECONDS", "2"))


class Works:
    """All workflows, oldest first. One runs at a time, step by step, unless the queue is paused."""

    def __init__(self):
        self.lock = threading.Lock()
        self.all = []
        self.paused = False
        self.count = 0

    def add(self, title):
        with self.lock:
            if len(self.all) >= WORKFLOWS_MAX:
                done = next((one for one in self.all if one["status"] == "completed"), None)
                if done is None:
                    return None
                self.all.remove(done)
            self.count += 1
            work = {"adw_id": f"w{self.count}", "title": title, "status": "queued", "step": None}
            self.all.append(work)
            return work

    def turn(self):
        """A step is done."""
        with self.lock:
            if self.paused:
                return
            work = next((one for one in self.all if one["status"] == "running"), None)
            work = work or next((one for one in self.all if one["status"] == "queued"), None)
            if work is None:
                return
            at = STEPS.index(work["step"]) + 1 if work["step"] else 0
            if at == len(STEPS):
                work.update(status="completed", step=None)
            else:
                work.update(status="running", step=STEPS[at])

    def of(self, *states):
        return [dict(work) for work in self.all if work["status"] in states]

    def seen(self, path):
        """What an address has, or None."""
        with self.lock:
            if path == "/workflows":
                return self.of("running", "queued")
            if path == "/routes":
                return {"routes": [{"method": method, "path": path} for method, path in ROUTES]}
            if path == "/workflow-history":
                done = self.of("completed")
                return {"workflows": done, "total_count": len(done)}
            if path == "/adw-monitor":
                states = ("queued", "running", "completed")
                summary = {state: len(self.of(state)) for state in states}
                return {"workflows": self.of("running"), "summary": summary}
            if path == "/queue":
                return {"phases": self.of("queued"), "paused": self.paused}
            if path == "/system-status":
                return {"overall_status": "paused" if self.paused else "healthy"}
            if path.startswith("/adw-state/"):
                name = path.removeprefix("/adw-state/")
                return next((dict(work) for work in self.all if work["adw_id"] == name), None)
            return None


ROUTES = [
    *(("GET", path) for path in ("/workflows", "/routes", "/workflow-history", "/adw-monitor", "/queue", "/system-status")),
    ("GET", "/adw-state/{id}"),
    ("POST", "/requests"),
    ("POST", "/pause"),
    ("POST", "/pushes"),
]
works = Works()


def push(ref):
    """Sends the webhook that GitHub would, signed as it is."""
    body = json.dumps({"ref": ref}).encode()
    headers = {
        "Content-Type": "application/json",
        "X-GitHub-Delivery": str(uuid.uuid4()),
        "X-Hub-Signature-256": f"sha256={hmac.new(SECRET, body, hashlib.sha256).hexdigest()}",
    }
    connection = http.client.HTTPConnection(PARLOR, timeout=5)
    try:
        connection.request("POST", "/hooks/github", body, headers)
        return connection.getresponse().status
    except OSError:
        return 503
    finally:
        connection.close()


class Backend(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if self.path == "/":
            return self.answer(200, "text/html; charset=utf-8", PAGE.read_bytes())
        if self.path == "/app.js":
            return self.answer(200, "text/javascript; charset=utf-8", BUNDLE.read_bytes())
        if self.path == "/parlor":
            return self.answer_json({"address": PARLOR})
        seen = works.seen(self.path)
        if seen is None:
            return self.answer_json({"error": "there is nothing here"}, 404)
        self.answer_json(seen)

    def do_POST(self):
        length = self.headers.get("Content-Length", "0")
        if not length.isdigit() or int(length) > BODY_BYTES_MAX:
            self.close_connection = True
            return self.answer_json({"error": "too large"}, 413)
        try:
            asked = json.loads(self.rfile.read(int(length)))
        except ValueError:
            asked = None
        if not isinstance(asked, dict):
            return self.answer_json({"error": "a JSON object is wanted"}, 400)
        if self.path == "/requests":
            work = works.add(str(asked.get("title", ""))[:200])
            status = 201 if work else 503
            return self.answer_json(work or {"error": "as many wait as may"}, status)
        if self.path == "/pause":
            works.paused = asked.get("paused") is True
            return self.answer_json({"paused": works.paused})
        if self.path == "/pushes":
            status = push(str(asked.get("ref", ""))[:200])
            return self.answer_json({"status": status}, 200 if status < 300 else 502)
        self.answer_json({"error": "there is nothing here"}, 404)

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


def work():
    while True:
        time.sleep(STEP_SECONDS)
        works.turn()


if __name__ == "__main__":
    if not BUNDLE.exists():
        sys.exit(f"{BUNDLE} is missing: node examples/build.mjs tac makes it")
    host, _, port = (sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1:9090").rpartition(":")
    server = ThreadingHTTPServer((host, int(port)), Backend)
    threading.Thread(target=work, daemon=True).start()
    # From a thread: `shutdown` waits for what `serve_forever` is answering.
    end = lambda *_: threading.Thread(target=server.shutdown).start()  # noqa: E731
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)
    print(f"Dashboard: http://{host}:{server.server_port}/", flush=True)
    server.serve_forever()
    server.server_close()
