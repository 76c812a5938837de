"""The client in Python, by asyncio and by threads, against the server: what it promises of messages, rooms and ends."""

import asyncio
import contextlib
import logging
import multiprocessing
import socket
import subprocess
import sys
import threading
import time

import harness
import pytest
from harness import ROOT
from certificates import Authority

sys.path.insert(0, str(ROOT / "clients/python"))

import parlor
import parlor.aio
import parlor.sync
from parlor import Backoff, Message, RequestError, SqliteOutbox, State, TokenError

pytestmark = pytest.mark.plain

QUICK = Backoff(min=0.02, max=0.1)
NOBODY = "ws://127.0.0.1:1/ws?user=ada"


def client(url, user="ada", **how):
    return parlor.sync.Connection(f"{url}?user={user}" if user else url, **{"backoff": QUICK, **how})


def with_secret(servers, config="", **how):
    path = servers.directory() / "parlor.toml"
    path.write_text(config)
    return servers.parlor("--config", path, "--secret-file", servers.secret_file(), **how)


@pytest.fixture
def url(servers):
    return servers.parlor().url()


def until(holds, seconds=20):
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it never came to be"
        time.sleep(0.005)


# --- asyncio ---


def test_two_clients_of_asyncio_talk(url):
    async def talk():
        async with parlor.aio.Connection(f"{url}?user=ada") as ada, parlor.aio.Connection(f"{url}?user=bob") as bob:
            for one in (ada, bob):
                await one.room("tea").join()
            heard = bob.room("tea").events(Message)
            stored = await ada.room("tea").send("Good evening", data={"a": [1.5, "é"]})
            message = await anext(heard)
            assert (message.seq, message.text, message.data, message.from_user) == (stored.seq, "Good evening", {"a": [1.5, "é"]}, "ada")
            await ada.room("tea").edit(stored.seq, "Good night")
            await ada.room("tea").react(stored.seq, "+1")
            page = await bob.room("tea").history(limit=50)
            assert [entry.text for entry in page.entries if isinstance(entry, Message)] == ["Good night"]
            members = (await bob.room("tea").members()).members
            assert [(member.user, member.is_online) for member in members] == [("ada", True), ("bob", True)]
            with pytest.raises(RequestError) as refused:
                await bob.request("no:such")
            assert refused.value.code == "unknown_type" and refused.value.fatal
        assert ada.state.name == "closed"
        with pytest.raises(RequestError):
            await ada.request("ping")

    asyncio.run(talk())


def test_a_handler_may_call_everything_and_what_it_raises_ends_nothing(url, caplog):
    async def talk():
        async with parlor.aio.Connection(f"{url}?user=ada") as ada, parlor.aio.Connection(f"{url}?user=bob") as bob:
            tea, heard = ada.room("tea"), bob.room("tea").events(Message)

            async def answer(message):
                if message.from_user == "bob":
                    # What waits for an answer, within what hears.
                    stored = await tea.send(f"{message.text}?")
                    await tea.edit(stored.seq, f"{message.text}!")
                    raise ValueError("after that")

            tea.on(Message, answer)
            await tea.join()
            await bob.room("tea").join()
            for text in ("one", "two"):
                await bob.room("tea").send(text)
            said = [(await anext(heard)).text for _ in range(4)]
            assert sorted(said) == ["one", "one?", "two", "two?"]

    with caplog.at_level(logging.ERROR, "parlor"):
        asyncio.run(talk())
    assert sum("a handler of Message has failed" in record.message for record in caplog.records) == 2


def test_a_lost_link_costs_no_processor_and_close_ends_the_retries():
    async def wait():
        ada = parlor.aio.Connection(NOBODY)
        await ada.wait_state(lambda state: state.name == "waiting" and state.attempt == 2)
        before = time.process_time()
        await asyncio.sleep(1)
        assert time.process_time() - before < 0.1
        begun = time.monotonic()
        await ada.close()
        assert time.monotonic() - begun < 1
        assert [task for task in asyncio.all_tasks() if task is not asyncio.current_task()] == []

    asyncio.run(wait())


def test_no_503_of_a_tokens_function_ends_the_client(servers):
    server = with_secret(servers)

    async def wait():
        asked = []

        async def token(reason):
            asked.append(reason)
            if len(asked) <= 3:
                raise OSError("HTTP 503")
            return harness.token()

        async with parlor.aio.Connection(server.url(), token=token, backoff=QUICK) as ada:
            await ada.ready(10)
            assert ada.hello.user == "ada" and asked == ["first"] * 4
            assert "no token: HTTP 503" in {step.cause for step in ada.why()}

        def none(reason):
            raise TokenError("logged out")

        gone = parlor.aio.Connection(server.url(), token=none)
        with pytest.raises(RequestError) as failed:
            await gone.ready(10)
        assert "logged out" in str(failed.value) and gone.state.code == "token"
        await gone.close()

    asyncio.run(wait())


def test_awaiting_can_be_cancelled(url):
    async def wait():
        async with parlor.aio.Connection(NOBODY) as away:
            ticket = away.room("tea").send("later")
            for waits in (away.ready(), away.request("ping"), ticket._wait(), away.room("tea").join()):
                with pytest.raises(asyncio.TimeoutError):
                    await asyncio.wait_for(waits, 0.05)
            assert ticket.status.name == "queued"
            ticket.cancel()
            with pytest.raises(RequestError, match="cancelled"):
                await ticket
            begun = time.monotonic()
        assert time.monotonic() - begun < 1

    asyncio.run(wait())


# --- Threads ---


def test_two_clients_with_threads_talk(url):
    with client(url) as ada, client(url, "bob") as bob:
        heard, told = [], threading.Event()

        def hears(message):
            heard.append((message.text, threading.current_thread().name))
            if len(heard) < 4:
                # Waits, on the thread of handlers.
                bob.room("tea").send(f"{message.text}!").wait(10)
            else:
                told.set()

        bob.room("tea").on(Message, hears)
        ada.room("tea").join()
        bob.room("tea").join()
        assert ada.room("tea").send("a").wait(10).seq > 0
        assert told.wait(10)
        assert heard == [("a" + "!" * n, "parlor-handlers") for n in range(4)]
    assert {thread.name for thread in threading.enumerate()} & {"parlor-connection", "parlor-handlers"} == set()


def test_eight_threads_send_and_each_message_is_stored_once(url):
    with client(url) as ada, client(url, "bob") as bob:
        bob.room("tea").join()
        ada.room("tea").join()
        heard = bob.room("tea").events(Message)

        def sends(thread):
            for n in range(20):
                ada.room("tea").send(f"{thread} {n}")

        threads = [threading.Thread(target=sends, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        said = [heard.take(60).text for _ in range(160)]
        assert ada.close(60) == []
    assert len(set(said)) == 160
    for thread in range(8):
        assert [text for text in said if text.startswith(f"{thread} ")] == [f"{thread} {n}" for n in range(20)]


def test_a_client_closes_in_each_state_and_in_its_own_functions(url):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        places = [NOBODY, f"ws://127.0.0.1:{silent.getsockname()[1]}/ws", f"{url}?user=ada"]
        for place in places:
            one = parlor.sync.Connection(place)
            time.sleep(0.1)
            begun = time.monotonic()
            one.close(0)
            assert time.monotonic() - begun < 1.5, place
            one.close(0)
    done = threading.Event()
    one = client(url)

    def closes(state):
        if state.is_online:
            one.close(0)
            done.set()

    one.on(State, closes)
    assert done.wait(10)
    one.close()


def test_a_child_of_a_fork_is_told(url):
    with client(url) as ada:
        ada.ready(10)
        reading, writing = multiprocessing.get_context("fork").Pipe(duplex=False)

        def child():
            try:
                ada.room("tea").send("x")
            except RuntimeError as error:
                writing.send(str(error))

        process = multiprocessing.get_context("fork").Process(target=child)
        process.start()
        assert reading.poll(10) and "behind the fork" in reading.recv()
        process.join(10)
        assert ada.request("ping")["ts"] > 0


def test_a_program_that_leaves_a_client_open_ends(url, tmp_path):
    program = f"import parlor.sync\nc = parlor.sync.Connection('{url}?user=ada')\nc.ready(10)\nc.on(parlor.Message, print)\n"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT / "clients/python", capture_output=True, text=True, timeout=20, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_events_go_on_up_to_the_end(url):
    with client(url) as ada:
        ada.ready(10)
        # The first hears all from the beginning; what the next one hears depends on the threads.
        some, every, closed = ada.events(State), ada.events(), ada.events(State)
        closed.close()
    assert [state.name for state in some] == ["connecting", "authenticating", "online", "closed"]
    assert [event for event in every if isinstance(event, State)][-1].name == "closed"
    assert list(closed) == []
    with pytest.raises(RequestError, match="closed"):
        ada.room("tea").send("late").wait()


# --- Losses ---


def test_after_a_kill_nothing_is_lost_or_doubled_or_out_of_order(servers):
    data = servers.directory()
    server = servers.parlor(data=data)
    with client(server.url()) as ada, client(server.url(), "bob") as bob:
        ada.room("tea").join()
        bob.room("tea").join()
        heard = bob.room("tea").events(Message, parlor.Gap)
        tickets = [ada.room("tea").send(str(n)) for n in range(30)]
        server.kill()
        tickets += [ada.room("tea").send(str(n)) for n in range(30, 60)]
        server = servers.parlor(data=data, port=server.port)
        seqs = [ticket.wait(30).seq for ticket in tickets]
        said = [heard.take(20) for _ in range(60)]
        assert [message.text for message in said] == [str(n) for n in range(60)]
        assert [message.seq for message in said] == seqs == sorted(seqs)


def test_an_outbox_outlives_its_process_and_is_of_one_at_a_time(url, tmp_path):
    path = tmp_path / "outbox.db"
    with client(url) as ada:
        ada.room("tea").join()
    away = parlor.sync.Connection(NOBODY, user="ada", outbox=SqliteOutbox(path))
    tickets = [away.room("tea").send(str(n), data={"n": n}) for n in range(5)]
    with pytest.raises(parlor.OutboxError, match="another"):
        SqliteOutbox(path)
    tickets[2].cancel()
    with pytest.raises(RequestError, match="cancelled"):
        tickets[2].wait(5)
    assert [kept.text for kept in away.close(0)] == ["0", "1", "3", "4"]
    with pytest.raises(RequestError, match="closed"):
        tickets[0].wait(5)
    with client(url, user="bob") as bob:
        bob.room("tea").join()
        heard = bob.room("tea").events(Message)
        assert client(url, outbox=SqliteOutbox(path)).close(10) == []
        said = [heard.take(10) for _ in range(4)]
        assert [(message.text, message.data) for message in said] == [(str(n), {"n": n}) for n in (0, 1, 3, 4)]
    # Nothing is left.
    outbox = SqliteOutbox(path)
    assert outbox.left() == []
    outbox.close()


def test_an_outbox_that_cannot_be_written_takes_nothing(tmp_path):
    class Full:
        def __init__(self):
            self.is_full = False

        def left(self):
            return []

        def write(self, changes):
            if self.is_full:
                raise OSError("no space")

        def close(self):
            pass

    outbox = Full()
    with parlor.sync.Connection(NOBODY, user="ada", outbox=outbox) as away:
        kept = away.room("tea").send("one")
        outbox.is_full = True
        lost = away.room("tea").send("two")
        with pytest.raises(RequestError, match="outbox_failed"):
            lost.wait(10)
        assert kept.status.name == "queued" and [one.text for one in away.unsent()] == ["one"]


def test_a_room_goes_on_from_where_a_program_says(url):
    with client(url) as ada:
        ada.room("tea").join()
        seqs = [ada.room("tea").send(str(n)).wait(10).seq for n in range(5)]
    with client(url) as again:
        tea = again.room("tea")
        heard = tea.events(Message)
        tea.resume(seqs[1])
        assert [heard.take(10).text for _ in range(3)] == ["2", "3", "4"]


def test_a_program_that_takes_events_slowly_misses_nothing_of_a_room(url):
    with client(url, queue=10) as slow, client(url, "bob") as bob:
        slow.room("tea").join()
        bob.room("tea").join()
        heard = slow.room("tea").events(Message)
        for n in range(300):
            bob.room("tea").send(str(n))
        assert bob.close(60) == []
        assert [heard.take(20).text for _ in range(300)] == [str(n) for n in range(300)]


# --- Streams and people ---


def test_streams_and_people_are_told(servers):
    server = with_secret(servers, '[streams]\ndepth = { keep = "latest", publish = true, read = "public" }\n')
    with client(server.url(), None, token=harness.token()) as ada, client(server.url(), None, token=harness.token("bob", publish=["*"])) as bob:
        streams, people = ada.events(parlor.StreamEvent, parlor.StreamRefused), ada.events(parlor.Presence)
        ada.watch("depth", filter={"/n": {"ge": 2}})
        ada.watch("nothing")
        ada.watch_presence()
        bob.ready(10)
        refused = streams.take(10)
        assert (refused.stream, refused.error.code) == ("nothing", "no_such_stream")
        for n in (1, 2, 3):
            bob.request("publish", {"stream": "depth", "data": {"n": n}})
        assert [streams.take(10).data["n"] for _ in range(2)] == [2, 3]
        until(lambda: (told := people.take(10)) is not None and set(told.users) == {"ada", "bob"})


# --- What can never be ---


@pytest.mark.parametrize("wrong", ["", "host", "http:///x", "ftp://a/", "ws://u:p@a/", "ws://a/#b"])
def test_a_url_that_is_none_is_refused_at_once(wrong):
    with pytest.raises(ValueError):
        parlor.sync.Connection(wrong)


def test_what_can_never_be_sent_is_refused_at_once():
    with contextlib.closing(parlor.sync.Connection(NOBODY)) as away:
        for name in ("", "a b", "..", "x" * 65, "a/b", "é"):
            with pytest.raises(ValueError):
                away.room(name)
        tea = away.room("tea")
        for how in ({"data": {1, 2}}, {"data": float("nan")}, {"reply_to": -1}, {"id": ""}, {"id": "x" * 65}):
            with pytest.raises((TypeError, ValueError)):
                tea.send("x", **how)
        with pytest.raises(ValueError):
            tea.send("\ud800")
        with pytest.raises((TypeError, ValueError)):
            away.request("x:y", {"a": object()})
        assert away.unsent() == []
        away.close(0)


def test_a_server_that_refuses_says_why(servers):
    server = with_secret(servers, set={"auth.timeout_ms": 500})
    for how, code in (({"token": "nonsense"}, 4001), ({}, 4002)):
        with client(server.url(), None, **how) as wrong:
            with pytest.raises(RequestError, match=str(code)):
                wrong.ready(10)
            assert wrong.state.code == code and wrong.why()[-1].advice == "ends"
    with client(servers.parlor().url(), "a%20b") as wrong:
        state = wrong.wait_state(lambda state: state.name == "waiting", 10)
        assert state.reason.startswith("HTTP 400: bad_request: ")
        wrong.pause()


def test_a_token_is_renewed_before_it_ends(servers):
    server = with_secret(servers, set={"auth.leeway_ms": 1_000})
    asked = []

    def token(reason):
        asked.append(reason)
        # The server says a minute before that it ends.
        return harness.token(ttl=62 if len(asked) == 1 else 3_600)

    with client(server.url(), None, token=token) as ada:
        ada.ready(10)
        until(lambda: asked == ["first", "expiring"])
        assert ada.request("ping", timeout=10) and [step.state for step in ada.why()].count("online") == 1


def test_tls_trusts_those_of_a_file_alone(servers):
    authority, folder = Authority(), servers.directory()
    (folder / "ca.pem").write_bytes(authority.pem)
    server = servers.parlor(tls=(*authority.write(folder, harness.HOST), authority.context()))
    with client(server.url(), ca_file=folder / "ca.pem") as ada:
        ada.ready(10)
    with contextlib.closing(client(server.url())) as stranger:
        state = stranger.wait_state(lambda state: state.name == "waiting", 10)
        assert "certificate" in state.reason.lower()
        stranger.close(0)
    with pytest.raises(OSError):
        client(server.url(), ca_file=folder / "none.pem")
