"""Duties of RFC 6455 that no other file proves: the rest of what docs/conformance.md maps."""

import json
import shutil
import subprocess
import time

import harness
from harness import FIELDS, TEXT, Raw, request_head

WEB = harness.ROOT / "web"

#: The page's connection without a browser: who it would connect to never answers, or closes with a
#: reason, and no time passes. Prints how long each new attempt waits, and all that is said of it.
LOSSES = """
import { Connection } from './connection.js';

let socket, chance;
const waits = [], said = [];
globalThis.location = { protocol: 'http:', host: 'localhost' };
globalThis.document = { visibilityState: 'visible' };
globalThis.WebSocket = class { constructor() { socket = this; } send() {} close() {} };
globalThis.clearTimeout = () => {};
Math.random = () => chance;

const connection = new Connection({
  user: 'ada', onState: (state) => said.push(state), onPush() {}, onRefused() {}, onHello() {},
});
for (chance of [0.25, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5]) {
  globalThis.setTimeout = () => {};
  connection.open();
  globalThis.setTimeout = (_, ms) => waits.push(ms);
  socket.onclose({ code: waits.length % 2 ? 1006 : 1011, reason: 'of the server' });
}
console.log(JSON.stringify({ waits, said }));
"""


def page_after_losses(directory):
    # Beside a package.json that says what a page's scripts are: modules.
    for script in WEB.glob("*.js"):
        shutil.copy(script, directory)
    (directory / "package.json").write_text('{"type":"module"}')
    (directory / "losses.js").write_text(LOSSES)
    node = harness.tool("node", "make setup")
    done = subprocess.run(
        [node, "losses.js"], cwd=directory, capture_output=True, text=True, timeout=20
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


class TestServer:
    def test_a_websocket_where_there_is_none_is_404_and_the_end(self, servers):
        """RFC 6455 §4.2.2, 4: a service that is not available."""
        with Raw(servers.parlor(), open=False) as raw:
            raw.send(request_head("/nothing?user=ada", FIELDS))
            assert raw.read_answer().status == 404

    def test_what_breaks_the_protocol_is_logged(self, servers):
        """RFC 6455 §7.1.7: a server that fails a connection logs why."""
        server = servers.parlor("--log", "debug")
        with Raw(server, path="/ws?user=ada") as raw:
            raw.read_message()
            raw.send_frame(TEXT, "not masked", key=None)
            raw.expect_close(1002)
        deadline = time.monotonic() + harness.PATIENCE
        while "a client's frame is not masked" not in server.output():
            assert time.monotonic() < deadline, server.output()
            time.sleep(0.02)


class TestPage:
    """The page is a client, too, but for what the browser does for it."""

    def test_it_comes_back_after_longer_and_longer_waits_of_random_length(self, tmp_path):
        """RFC 6455 §7.2.3."""
        waits = page_after_losses(tmp_path)["waits"]
        assert waits == [250, 1_000, 2_000, 4_000, 8_000, 15_000, 15_000, 15_000]

    def test_it_shows_no_reason_of_a_close(self, tmp_path):
        """RFC 6455 §5.5.1: a reason is not for people; the page has sentences of its own."""
        said = page_after_losses(tmp_path)["said"]
        assert len(said) == 16 and said[-1]["reason"]
        assert "of the server" not in json.dumps(said)
