"""`examples/serve_blocking`: the protocol over blocking sockets, without a reactor."""

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from harness import CLOSE, PATIENCE, TEXT, Raw, frame, request_head


@pytest.fixture(scope="module")
def blocking(module_servers):
    return module_servers.serve_blocking()


@pytest.mark.parametrize("compression", ["deflate", None])
def test_it_echoes(blocking, compression):
    url = f"ws://127.0.0.1:{blocking.port}/"
    with connect(url, compression=compression, proxy=None, max_size=None) as socket:
        for message in ("", "hello", "ä" * 5_000, b"\x00" * 300_000):
            socket.send(message)
            assert socket.recv(timeout=PATIENCE) == message
        socket.send(["in ", "three ", "fragments"])
        assert socket.recv(timeout=PATIENCE) == "in three fragments"
        socket.ping("are you there?").wait(PATIENCE)


def test_frames_behind_the_head_and_the_end_in_order(blocking):
    with Raw(blocking, open=False) as raw:
        raw.send(request_head(), frame(TEXT, "early"), frame(CLOSE, b"\x03\xe8"))
        assert raw.read_head().status == 101
        assert raw.read_frame().payload == b"early"
        assert raw.read_frame().code == 1000
        raw.expect_end()


def test_what_is_no_websocket_and_what_breaks_the_protocol(blocking):
    with Raw(blocking, open=False) as raw:
        raw.send(request_head(method="POST"))
        assert raw.read_head().status == 405
    with Raw(blocking) as raw:
        raw.send(frame(TEXT, "unmasked", key=None))
        assert raw.read_frame().code == 1002
    with connect(f"ws://127.0.0.1:{blocking.port}/", proxy=None) as socket:
        socket.close(1000)
        with pytest.raises(ConnectionClosed):
            socket.recv(timeout=PATIENCE)
