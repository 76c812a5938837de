"""Duties of RFC 6455 that no other file proves: the rest of what docs/conformance.md maps."""

import json
import shutil
import subprocess
import time

import harness
from harness import FIELDS, TEXT, Raw, request_head

WEB = harness.ROOT / "web"
CLIENT = harness.ROOT / "clients/js/src"

#: The page's connection without a browser: who it would connect to never answers, or closes with a
#: reason, and no time passes. Prints how long each new attempt waits, and all that is said of it.
LOSSES = """
import { connect } from './client/index.js';
import { closedBecause } from './words.js';

let socket, chance;
const waits = [], said = [];
const client = connect('ws://localhost/ws?user=ada', { env: {
  now: () => 0, random: () => chance, setTimeout() {}, clearTimeout() {},
  WebSocket: class { constructor() { socket = this; } send() {} close() {} },
} });
client.on('state', (state) => {
  if (state.name === 'waiting') waits.push(state.until);
  said.push(state.name, state.code ? closedBecause(state.code) : '');
});
for (chance of [0.25, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5]) {
  client.retryNow();
  await null;
  socket.onclose({ code: waits.length % 2 ? 1006 : 1011, reason: 'of the server' });
}
console.log(JSON.stringify({ waits, said }));
"""


def page_after_losses(directory):
    # Beside a package.json that says what a page's scripts are: modules.
    shutil.copytree(WEB, directory, dirs_exist_ok=True)
    shutil.copytree(CLIENT, directory / "client")
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
        assert len(said) == 30 and said[-2:] == ["waiting", "The connection was lost."]
        assert "of the server" not in json.dumps(said)
