"""The kit for tests of an application: a server of one's own."""

import os
from pathlib import Path

import parlor.sync
import pytest
from parlor.testing import Server

PROGRAM = os.environ.get("PARLOR_BIN") or Path(__file__).parents[3] / "target/release/parlor"


@pytest.fixture
def program():
    assert Path(PROGRAM).exists(), f"{PROGRAM} is missing: cargo build --release, or set PARLOR_BIN"
    return PROGRAM


def test_a_server_is_killed_and_is_there_again_as_it_was(program, tmp_path):
    with Server(program=program, data=tmp_path / "data") as server:
        with parlor.sync.Connection(server.url("ada"), backoff=parlor.Backoff(min=0.01, max=0.1)) as ada:
            ada.room("tea").join()
            stored = ada.room("tea").send("one").wait(10)
            server.kill()
            server.kill()
            later = ada.room("tea").send("two")
            server.start()
            server.start()
            assert later.wait(20).seq == stored.seq + 1
        assert "connected" in server.log


def test_it_says_why_there_is_none(program):
    with pytest.raises(RuntimeError, match="no key is called"):
        Server("--set", "nonsense.key=1", program=program)
    with pytest.raises(FileNotFoundError, match="cargo build"):
        Server(program="/nowhere/parlor")
    with Server(program=program) as server, parlor.sync.Connection(server.url("ada", name="Ada L")) as ada:
        ada.ready(10)
        assert ada.hello.name == "Ada L"
