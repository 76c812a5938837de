"""Acknowledged means durable. `kill -9` does not show it, as the page cache survives: here the
system calls do. Between the arrival of a request that adds an entry and the first byte of its reply
and of its push, the write-ahead log or the tail of the journal is synced."""

import json
import re
import time

import pytest

import harness
from harness import TEXT, Raw

SYNCS = ("fsync", "fdatasync")
READS = ("read", "recvfrom", "recvmsg", "readv")
SENDS = ("write", "writev", "sendto", "sendmsg")
WRITES = ("write", "pwrite64", "pwritev", "writev")

#: Where commits go.
LOG = re.compile(r"-(?:wal|tail)>")

#: "12 10:00:00.000000 call(…) = 5", or the halves of it.
LINE = re.compile(r"^(\d+) +[\d:.]+ (?:<\.\.\. (\w+) resumed>)?(.*)$")


def strace():
    return harness.tool("strace", "install it (Debian and Ubuntu: apt-get install strace)")


def traced(servers, data=None):
    """A server under strace; gives it and the trace's file."""
    trace = servers.directory() / "trace"
    calls = ",".join(sorted({*SYNCS, *READS, *SENDS, *WRITES}))
    # -D: the server stays this process's own child, and is ended as such.
    wrapper = [
        strace(),
        "-D",
        "-f",
        "-qq",
        "-yy",
        "-tt",
        "-s",
        "4096",
        "-o",
        trace,
        "-e",
        f"trace={calls}",
    ]
    return servers.parlor(wrapper=wrapper, data=data), trace


class Trace:
    """What the server did: a list of `(begin, end, call, text)`, with places in the trace as times.

    strace writes a line when a call ends, or one when it begins and another when it ends if
    another thread did something in between."""

    def __init__(self, path):
        self.calls, begun = [], {}
        for place, line in enumerate(path.read_text(errors="replace").splitlines()):
            match = LINE.match(line)
            if not match:
                continue
            thread, resumed, rest = match.groups()
            if resumed:
                began, text = begun.pop((thread, resumed), (place, ""))
                self.calls.append((began, place, resumed, text + rest))
                continue
            name = rest.split("(", 1)[0]
            if rest.endswith("<unfinished ...>"):
                begun[thread, name] = (place, rest)
            else:
                self.calls.append((place, place, name, rest))
        # What began and has not ended: a send counts from its beginning.
        for (_, name), (began, text) in begun.items():
            self.calls.append((began, float("inf"), name, text))
        self.calls.sort()

    def check(self, request, answers):
        """The log is synced between the read that brought `request` and the first send of each of
        `answers`."""
        arrival = next(
            (
                end
                for _, end, name, text in self.calls
                if name in READS and "<TCP:" in text and request in text
            ),
            None,
        )
        assert arrival is not None, f"the arrival of {request} is not in the trace"
        for what, answer in answers.items():
            sent = next(
                (
                    begin
                    for begin, _, name, text in self.calls
                    if name in SENDS and "<TCP:" in text and begin > arrival and answer in text
                ),
                None,
            )
            assert sent is not None, f"the {what} {answer} is not in the trace"
            between = [call for call in self.calls if call[0] > arrival and call[1] < sent]
            written = [end for _, end, name, text in between if name in WRITES and LOG.search(text)]
            synced = [
                begin
                for begin, _, name, text in between
                if name in SYNCS and LOG.search(text) and text.rstrip().endswith("= 0")
            ]
            assert written, f"nothing was written to the log between {request} and its {what}"
            assert synced, f"the log was not synced between {request} and its {what}"
            assert max(synced) > max(written), (
                f"the log was written after its sync, before the {what}"
            )


#: A request, and by what its reply and its push to another member are known: `{n}` is a number that
#: nothing else has.
REQUESTS = {
    "chat:read": ("chat:read", {"room": "lobby", "seq": 3}, "chat:read"),
    "chat:send": ("chat:send", {"room": "lobby", "text": "text-{n}"}, "text-{n}"),
    "chat:send with a cid": (
        "chat:send",
        {"room": "lobby", "text": "text-{n}", "cid": "c-{n}"},
        "text-{n}",
    ),
    "chat:send to a user, the first": ("chat:send", {"to": "bob", "text": "text-{n}"}, "text-{n}"),
    "chat:send to a user, the second": ("chat:send", {"to": "bob", "text": "text-{n}"}, "text-{n}"),
    "room:create": ("room:create", {"room": "made-{n}", "members": ["bob"]}, "made-{n}"),
    "room:join": ("room:join", {"room": "den"}, "room:joined"),
    "room:leave": ("room:leave", {"room": "den"}, "room:left"),
}


def converse(server):
    """Sends each request and waits for what comes of it."""

    def opened(user):
        raw = Raw(server, path=f"/ws?user={user}")
        raw.socket.settimeout(10)
        assert json.loads(raw.read_message().payload)["type"] == "hello"
        return raw

    def request(raw, kind, payload, id):
        # A mask of zeros leaves the text to be read in the trace.
        text = json.dumps({"type": kind, "id": id, "payload": payload})
        raw.send_frame(TEXT, text, key=bytes(4))
        while (message := json.loads(raw.read_message().payload)).get("id") != id:
            pass
        assert message["type"] == "reply", message

    with opened("ada") as ada, opened("bob") as bob:
        request(bob, "room:join", {"room": "lobby"}, "bob-1")
        request(bob, "room:join", {"room": "den"}, "bob-2")
        request(ada, "room:join", {"room": "lobby"}, "ada-1")
        request(bob, "chat:send", {"room": "lobby", "text": "to be read"}, "bob-3")
        # What these have caused is over before the first of those that count.
        time.sleep(0.2)
        for number, (kind, payload, push) in enumerate(REQUESTS.values(), 1_001):
            filled = json.loads(json.dumps(payload).replace("{n}", str(number)))
            request(ada, kind, filled, f"mark-{number}")
            marker = push.replace("{n}", str(number))
            while marker not in json.dumps(json.loads(bob.read_message().payload)):
                pass
    return range(1_001, 1_001 + len(REQUESTS))


def quoted(text):
    """As strace prints it."""
    return text.replace('"', '\\"')


def check_all(trace):
    for number, (name, (kind, _, push)) in enumerate(REQUESTS.items(), 1_001):
        answers = {
            "reply": quoted(f'"id":"mark-{number}"'),
            "push": quoted(f'"type":"{kind}"')
            if push == kind
            else push.replace("{n}", str(number)),
        }
        try:
            trace.check(quoted(f'"id": "mark-{number}"'), answers)
        except AssertionError as broken:
            raise AssertionError(f"{name}: {broken}") from None


@pytest.mark.seconds(60)
def test_the_log_is_synced_between_each_request_and_its_reply_and_push(servers):
    server, trace = traced(servers)
    converse(server)
    assert server.stop() == 0
    check_all(Trace(trace))


@pytest.mark.seconds(60)
def test_the_check_notices_when_nothing_is_synced(servers):
    """The canary: a server that keeps nothing must fail it."""
    server, trace = traced(servers, data=":memory:")
    converse(server)
    server.stop()
    with pytest.raises(AssertionError, match="nothing was written to the log"):
        check_all(Trace(trace))


def test_the_check_notices_a_reply_before_the_sync(tmp_path):
    """The canary: made-up traces, of which one is right."""
    read = r'7 10:00:00.000001 read(9<TCP:[a->b]>, "{\"id\": \"m\"}", 99) = 9'
    write = '8 10:00:00.000002 pwrite64(5</d/parlor.db-wal>, "x", 1, 0) = 1'
    sync_begins = "8 10:00:00.000003 fdatasync(5</d/parlor.db-wal> <unfinished ...>"
    sync_ends = "8 10:00:00.000004 <... fdatasync resumed>) = 0"
    failed = "8 10:00:00.000004 <... fdatasync resumed>) = -1 EIO (Input/output error)"
    send = r'7 10:00:00.000005 sendto(9<TCP:[a->b]>, "\"id\":\"m\"", 9, 0, NULL, 0) = 9'

    def holds(*lines):
        path = tmp_path / "trace"
        path.write_text("\n".join(lines))
        try:
            Trace(path).check(quoted('"id": "m"'), {"reply": quoted('"id":"m"')})
            return True
        except AssertionError:
            return False

    assert holds(read, write, sync_begins, sync_ends, send)
    assert not holds(read, write, sync_begins, send, sync_ends)
    assert not holds(read, write, sync_begins, failed, send)
    assert not holds(read, sync_begins, sync_ends, write, send)
    assert not holds(write, sync_begins, sync_ends, read, send)
    assert not holds(read, send)
