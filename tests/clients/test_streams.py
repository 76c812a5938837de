"""Streams: snapshot first and then every change, filters, rates, replays, rights and bytes."""

import json
import signal
import struct
import subprocess
import time

import pytest

import harness
from harness import BINARY, TEXT, Chat, Raw, frame
from test_full_disk import small_files

CONFIG = """
[streams]
state = { keep = "latest", publish = true, read = "public" }
news = { keep = 5, publish = true }
orders = { keep = 100, publish = true, ack = true, read = "admin" }
cam = { keep = "latest", publish = true, binary = true, max_bytes = 400_000 }
clip = { keep = 3, publish = true, binary = true, max_bytes = 1000 }
logo = { keep = "latest", publish = true, binary = true }
paced = { keep = "latest", publish = true, max_rate = 10, max_rate_ceiling = 20 }
pose = { keep = "latest", publish = true, members = { x = "number", name = "string" } }
wrapped = { keep = "latest", publish = true, members = { data = "string" } }
"sensor:{id}" = { keep = "latest", publish = true, max_bytes = 200 }
journal = { keep = 20, durable = true, publish = true }
"setting:{id}" = { keep = "latest", durable = true, publish = true }
clip_kept = { keep = 3, durable = true, publish = true, binary = true }
"""

PRIORITIES = ["low", "normal", "high"]


@pytest.fixture(scope="module")
def streams(module_servers):
    """A server with a secret, and these streams."""
    return start(module_servers, CONFIG)


def start(servers, config, **how):
    path = servers.directory() / "parlor.toml"
    path.write_text(config)
    server = servers.parlor(
        "--config", path, "--secret-file", servers.secret_file(), **how
    )
    server.config = path
    return server


def opened(server, user, **claims):
    return Chat(server, token=harness.token(user, **claims))


def publisher(server, *patterns):
    return opened(server, "pat", publish=list(patterns) or ["*"])


def named(stream, data, id):
    """A publication with the publisher's own id."""
    return {"stream": stream, "data": data, "id": id}


def subscribed(connection, stream, **how):
    (one,) = connection.request("subscribe", stream=stream, **how)["streams"]
    assert one["stream"] == stream
    return one


def events(connection, count, stream=None):
    """The next events, as (seq, prev, data)."""
    found = []
    for _ in range(count):
        payload = connection.push("event")
        assert stream is None or payload["stream"] == stream
        found.append((payload["seq"], payload["prev"], payload["data"]))
    return found


def events_to(connection, last):
    """The `seq`s of all events up to this one."""
    seen = [connection.push("event")["seq"]]
    while seen[-1] < last:
        seen.append(connection.push("event")["seq"])
    return seen


class TestState:
    def test_the_snapshot_comes_first_and_then_every_change(self, streams):
        with publisher(streams) as pat, opened(streams, "eve") as eve:
            first = pat.request("publish", stream="sensor:a", data={"t": 1})
            assert (first["stream"], first["seq"]) == ("sensor:a", 1)
            known = subscribed(eve, "sensor:a")
            assert (known["seq"], known["snapshot"]) == (1, {"t": 1})
            for value in range(2, 6):
                pat.request("publish", stream="sensor:a", data={"t": value})
            assert events(eve, 4) == [(n, n - 1, {"t": n}) for n in range(2, 6)]

    def test_without_a_value_there_is_no_snapshot(self, streams):
        with opened(streams, "eve") as eve:
            known = subscribed(eve, "sensor:never")
            assert known["seq"] == 0 and "snapshot" not in known

    def test_data_is_handed_on_as_it_came(self, streams):
        with publisher(streams) as pat, opened(streams, "eve") as eve:
            subscribed(eve, "sensor:raw")
            raw = '{"b": 1.50, "a": [ ], "long": 12345678901234567890}'
            pat.raw('{"type":"publish","id":"p","payload":{"stream":"sensor:raw","data":%s}}' % raw)
            eve.push("event")
            assert raw in eve.texts[-1]

    def test_who_reads_slowly_skips_to_the_newest(self, servers):
        server = start(
            servers,
            '[streams]\nbig = { keep = "latest", publish = true, max_bytes = 60_000 }',
            set={"limits.outbox_bytes": 200_000},
        )
        token = harness.token("eve")
        with Raw(server, f"/ws?token={token}", receive_buffer=4096) as eve, publisher(server) as pat:
            eve.read_message()
            eve.send(frame(TEXT, '{"type":"subscribe","id":1,"payload":{"stream":"big"}}'))
            eve.read_message()
            for number in range(1, 201):
                pat.request("publish", stream="big", data={"n": number, "x": "y" * 50_000})
            seen, prev = [], 0
            while not seen or seen[-1] < 200:
                message = json.loads(eve.read_message().payload)
                if message["type"] != "event":
                    continue
                payload = message["payload"]
                assert payload["prev"] == prev and payload["seq"] == payload["data"]["n"]
                prev = payload["seq"]
                seen.append(prev)
            assert len(seen) < 150, "nothing was skipped: the test tests nothing"
            assert seen == sorted(set(seen))

    def test_what_has_a_higher_priority_goes_first_to_who_reads_slowly(self, servers):
        rows = [f'{name} = {{ keep = 1000, publish = true, priority = "{name}" }}' for name in PRIORITIES]
        server = start(servers, "\n".join(["[streams]", *rows]), set={"limits.outbox_bytes": 200_000})
        token, sent = harness.token("eve"), {"low": 200, "normal": 20, "high": 8}
        with Raw(server, f"/ws?token={token}", receive_buffer=4096) as eve, publisher(server) as pat:
            eve.read_message()
            asked = {"type": "subscribe", "id": 1, "payload": {"streams": PRIORITIES}}
            eve.send(frame(TEXT, json.dumps(asked)))
            eve.read_message()
            # The lowest comes first, and is more than the system takes and its share of the outbox has room for.
            for stream, count in sent.items():
                for number in range(count):
                    pat.request("publish", stream=stream, data=[number, "x" * 10_000])
            came = []
            while len(came) < sum(sent.values()):
                message = json.loads(eve.read_message().payload)
                # A slow server tells of who has come first.
                if message["type"] == "event":
                    came.append((message["payload"]["stream"], message["payload"]["data"][0]))
        order = [stream for stream, _ in came]
        first = {stream: order.index(stream) for stream in PRIORITIES}
        assert first["low"] < first["high"] < first["normal"]
        assert order[first["high"] :][: sent["high"]] == ["high"] * sent["high"]
        waited = order[first["normal"] + sent["normal"] :].count("low")
        assert waited > 100 and order[first["normal"] :].index("low") > 4, "what waits is overtaken"
        for stream, count in sent.items():
            assert [number for one, number in came if one == stream] == list(range(count)), "in order"

    def test_unsubscribe_ends_it(self, streams):
        with publisher(streams) as pat, opened(streams, "eve") as eve:
            subscribed(eve, "sensor:u")
            assert eve.request("unsubscribe", stream="sensor:u") == {"streams": ["sensor:u"]}
            assert eve.request("unsubscribe", stream="sensor:u") == {"streams": []}
            pat.request("publish", stream="sensor:u", data=1)
            assert eve.pushed("event") == []

    def test_without_an_id_it_is_answered_by_a_push(self, streams):
        with publisher(streams) as pat, opened(streams, "eve") as eve:
            pat.request("publish", stream="sensor:push", data=7)
            eve.raw('{"type":"subscribe","payload":{"streams":["sensor:push","state"]}}')
            told = eve.push("subscribed")["streams"]
            assert [one["stream"] for one in told] == ["sensor:push", "state"]
            assert told[0]["snapshot"] == 7


class TestLog:
    def test_a_newcomer_gets_what_is_kept_and_who_was_away_what_they_missed(self, streams):
        with publisher(streams) as pat, opened(streams, "eve") as eve:
            for number in range(1, 9):
                pat.request("publish", stream="news", data=number)
            known = subscribed(eve, "news")
            assert [(one["seq"], one["data"]) for one in known["snapshot"]] == [
                (number, number) for number in range(4, 9)
            ]
            with opened(streams, "bob") as bob:
                back = subscribed(bob, "news", since=5, epoch=known["epoch"])
                assert back["replayed"] is True and "snapshot" not in back
                assert events(bob, 3) == [(n, n - 1, n) for n in (6, 7, 8)]
            for how in ({"since": 2}, {"since": 99}, {"since": 8, "epoch": "another"}):
                with opened(streams, "cy") as cy:
                    back = subscribed(cy, "news", **how)
                    assert back["replayed"] is False and len(back["snapshot"]) == 5

    def test_every_start_gives_a_stream_another_epoch(self, servers):
        server = start(servers, CONFIG)
        with opened(server, "eve") as eve:
            before = subscribed(eve, "news")["epoch"]
        server.stop()
        server = start(servers, CONFIG, data=server.data)
        with opened(server, "eve") as eve:
            assert subscribed(eve, "news")["epoch"] != before

    def test_a_subscriber_says_up_to_where_it_has_come(self, streams):
        with publisher(streams) as pat, opened(streams, "root", admin=True) as root:
            subscribed(root, "orders")
            pat.request("publish", stream="orders", data=1)
            root.push("event")
            assert root.request("stream:ack", stream="orders", seq=1) == {}
            assert root.refused("stream:ack", stream="orders", seq=2) == "bad_request"
            subscribed(root, "news")
            assert root.refused("stream:ack", stream="news", seq=0) == "bad_request"
            assert root.refused("stream:ack", stream="pose", seq=0) == "conflict"


class TestFilter:
    def test_only_what_fits_comes(self, streams):
        with publisher(streams) as pat, opened(streams, "eve") as eve:
            subscribed(eve, "sensor:f", filter={"/kind": "temp", "/v": {"ge": 10}})
            for value in ({"kind": "temp", "v": 9}, {"kind": "temp", "v": 10}, {"kind": "x", "v": 11}):
                pat.request("publish", stream="sensor:f", data=value)
            pat.request("publish", stream="sensor:f", data={"kind": "temp", "v": 12.5})
            assert [(seq, prev) for seq, prev, _ in events(eve, 2)] == [(2, 0), (4, 2)]
            known = subscribed(eve, "sensor:f", filter={"/v": 1})
            assert known["seq"] == 4 and "snapshot" not in known

    def test_filters_have_limits(self, streams):
        with opened(streams, "eve") as eve:
            deep = {"/a" * 9: 1}
            assert eve.refused("subscribe", stream="sensor:f", filter=deep) == "too_large"
            many = {"/a": {"in": list(range(65))}}
            assert eve.refused("subscribe", stream="sensor:f", filter=many) == "too_large"
            for number in range(16):
                subscribed(eve, f"sensor:{number}", filter={"/n": number})
            assert eve.refused("subscribe", stream="state", filter={"/n": 1}) == "quota"
            subscribed(eve, "sensor:0", filter={"/n": 17})
            subscribed(eve, "sensor:0")
            subscribed(eve, "state", filter={"/n": 1})


class TestRate:
    def test_thirty_a_second_are_thirty_and_the_newest_comes_last(self, servers):
        server = start(servers, '[streams]\nfast = { keep = "latest", publish = true }')
        with publisher(server) as pat, opened(server, "eve") as eve:
            subscribed(eve, "fast", max_rate=30)
            begun, number = time.monotonic(), 0
            while time.monotonic() < begun + 2:
                number += 1
                pat.request("publish", stream="fast", data=number)
                time.sleep(0.004)
            seen = events_to(eve, number)
            took = time.monotonic() - begun
            assert seen == sorted(set(seen)) and seen[-1] == number
            assert len(seen) <= 30 * took + 2
            assert len(seen) >= min(0.8 * 30 * 2, 0.5 * number)

    def test_the_stream_has_a_rate_and_a_ceiling(self, streams):
        with publisher(streams) as pat, opened(streams, "eve") as eve, opened(streams, "bob") as bob:
            subscribed(eve, "paced")
            subscribed(bob, "paced", max_rate=1000)
            begun = time.monotonic()
            while time.monotonic() < begun + 1.5:
                last = pat.request("publish", stream="paced", data=0)["seq"]
                time.sleep(0.005)
            counts = [len(events_to(connection, last)) for connection in (eve, bob)]
            took = time.monotonic() - begun
            assert counts[0] <= 10 * took + 2 and counts[1] <= 20 * took + 2
            assert counts[1] > counts[0]


class TestRights:
    def test_who_may_watch_and_who_may_publish(self, streams):
        with opened(streams, "eve") as eve:
            assert eve.refused("subscribe", stream="orders") == "forbidden"
            assert eve.refused("subscribe", stream="nothing") == "no_such_stream"
            assert eve.refused("subscribe", streams=["state", "orders"]) == "forbidden"
            assert eve.refused("publish", stream="state", data=1) == "forbidden"
            assert eve.refused("publish", stream="nothing", data=1) == "no_such_stream"
        with opened(streams, "eve", subscribe=["sensor:*"], publish=["sensor:{id}"]) as eve:
            assert eve.refused("subscribe", stream="state") == "forbidden"
            subscribed(eve, "sensor:r")
            assert eve.refused("publish", stream="state", data=1) == "forbidden"
            eve.request("publish", stream="sensor:r", data=1)
        with opened(streams, "root", admin=True) as root:
            subscribed(root, "orders")
            root.request("publish", stream="state", data=1)

    def test_info_lists_what_one_may_use_and_nothing_else(self, streams):
        def listed(**claims):
            with opened(streams, "eve", **claims) as eve:
                info = eve.request("info")
            uses = {one["stream"]: (one["subscribe"], one["publish"]) for one in info["streams"]}
            return uses, set(info["types"])

        uses, types = listed()
        assert uses["state"] == (True, False) and "orders" not in uses
        assert not types & {"publish", "auth:revoke", "stream:subscribers", "admin:push"}
        assert types >= {"subscribe", "chat:send", "stream:get"}
        # A right to publish where there is no such stream.
        for nothing in ("nothing", "sensor"):
            assert "publish" not in listed(publish=[nothing])[1], nothing
        # Only to publish, and only one of a family.
        uses, types = listed(subscribe=["sensor:7"], publish=["orders", "sensor:8"])
        assert uses == {"orders": (False, True), "sensor:{id}": (True, True)}
        assert "publish" in types
        uses, types = listed(admin=True)
        assert uses["orders"] == (True, True)
        assert types >= {"publish", "auth:revoke", "stream:subscribers", "admin:push"}

    def test_a_refreshed_token_with_fewer_rights_ends_what_it_does_not_allow(self, streams):
        with publisher(streams) as pat, opened(streams, "eve") as eve:
            subscribed(eve, "sensor:x")
            subscribed(eve, "state")
            eve.request("auth", token=harness.token("eve", subscribe=["state"]))
            notice = eve.push("notice")
            assert (notice["code"], notice["streams"]) == ("unsubscribed", ["sensor:x"])
            pat.request("publish", stream="sensor:x", data=1)
            pat.request("publish", stream="state", data=1)
            assert [payload["stream"] for _, payload in eve.pushed("event")] == ["state"]

    def test_a_refreshed_token_that_may_publish_to_less_publishes_to_no_more(self, streams):
        def claims(*patterns):
            return {"token": harness.token("eve", publish=list(patterns))}

        with opened(streams, "eve", publish=["state", "logo"]) as eve, opened(streams, "bob") as bob:
            heads = {stream: subscribed(bob, stream)["seq"] for stream in ("state", "logo")}
            eve.request("publish", stream="state", data="before")
            eve.socket.send(b"\x04logo" + b"before")
            assert bob.binary().endswith(b"before")
            eve.request("auth", **claims("sensor:*"))
            assert eve.refused("publish", stream="state", data="after") == "forbidden"
            eve.socket.send(b"\x04logo" + b"after")
            assert eve.push("error")["code"] == "forbidden"
            eve.request("publish", stream="sensor:of-eve", data=1)
            again = {stream: subscribed(bob, stream)["seq"] for stream in heads}
            assert again == {stream: head + 1 for stream, head in heads.items()}, "nothing came of it"
            # And a token that may do more does more.
            eve.request("auth", **claims("state", "logo"))
            eve.request("publish", stream="state", data="again")
            # Who may publish nothing at all has the usual limit of a message again.
            eve.request("auth", **claims())
            eve.socket.send(b"\x03cam" + bytes(70_000))
            assert eve.closed() == 1009

    def test_claims_that_are_no_patterns_make_a_token_bad(self, streams):
        for claims in ({"publish": "state"}, {"subscribe": ["a b"]}, {"publish": [7]}):
            with Raw(streams, f"/ws?token={harness.token('eve', **claims)}", open=False) as raw:
                raw.send(harness.request_head(f"/ws?token={harness.token('eve', **claims)}"))
                assert raw.read_answer().status == 401

    def test_in_open_mode_everybody_publishes(self, servers):
        path = servers.directory() / "parlor.toml"
        path.write_text(CONFIG)
        server = servers.parlor("--config", path)
        with Chat(server, "ada") as ada:
            ada.request("publish", stream="state", data=1)
            assert ada.refused("subscribe", stream="orders") == "forbidden"


class TestData:
    def test_what_a_stream_declares_it_has(self, streams):
        with publisher(streams) as pat:
            pat.request("publish", stream="pose", data={"x": 1.5, "name": "a", "more": []})
            for data, field in (
                ({"x": "1", "name": "a"}, "x"),
                ({"x": 1}, "name"),
                ([], "name"),
            ):
                refusal = pat.refusal("publish", stream="pose", data=data)
                assert (refusal["code"], refusal["field"]) == ("bad_request", field)

    def test_data_has_the_size_that_is_declared(self, streams):
        with publisher(streams) as pat:
            pat.request("publish", stream="sensor:size", data="x" * 198)
            refusal = pat.refusal("publish", stream="sensor:size", data="x" * 199)
            assert (refusal["code"], refusal["limit"]) == ("too_large", 200)


class TestBinary:
    def test_a_frame_of_video_passes_while_chat_stays_small(self, streams):
        image = bytes(range(256)) * 1_200
        with publisher(streams) as pat, opened(streams, "eve") as eve:
            subscribed(eve, "cam")
            pat.socket.send(b"\x03cam" + image)
            assert eve.binary() == b"\x03cam" + struct.pack("!Q", 1) + image
            with opened(streams, "bob") as bob:
                assert subscribed(bob, "cam")["seq"] == 1
                assert bob.binary() == b"\x03cam" + struct.pack("!Q", 1) + image
            pat.raw(json.dumps({"type": "ping", "payload": {"x": "y" * 70_000}}))
            assert pat.closed() == 1009

    def test_by_http_a_content_may_be_as_large_as_the_data(self, servers):
        config = '''
            [streams]
            film = { keep = "latest", publish = true, binary = true, max_bytes = 3_000_000 }
            text = { keep = "latest", publish = true, max_bytes = 2_000_000 }
        '''
        server = start(servers, config, set={"http.body_bytes": 100})
        bearer = {"Authorization": "Bearer " + harness.token("pat", publish=["*"])}
        typed = {**bearer, "Content-Type": "video/mp4"}
        with opened(server, "eve") as eve:
            for name, fields, body, status in (
                ("film", typed, bytes(3_000_000), 200),
                ("film", typed, bytes(3_000_001), 413),
                ("text", bearer, json.dumps({"data": "x" * 1_999_998}), 200),
                ("text", bearer, json.dumps({"data": "x" * 1_999_999}), 413),
                ("text", bearer, json.dumps({"data": "x" * 2_004_096}), 413),
                ("none", bearer, json.dumps({"data": "x" * 100}), 413),
            ):
                answer = server.http(f"/api/v1/streams/{name}", "POST", fields, body)
                assert answer[0] == status, (name, len(body), answer)
            assert len(eve.request("stream:get", stream="text")["data"]) == 1_999_998

    def test_who_may_not_publish_bytes_has_the_usual_limit(self, streams):
        with opened(streams, "eve") as eve:
            eve.socket.send(b"\x03cam" + bytes(70_000))
            assert eve.closed() == 1009

    def test_only_who_may_publish_such_bytes_may_send_as_many(self, servers):
        config = '''
            [streams]
            film = { publish = true, binary = true, max_bytes = 3_000_000 }
            icon = { publish = true, binary = true, max_bytes = 100_000 }
            note = { publish = true }
        '''
        server = start(servers, config)
        for publish, most in ((["note"], 65_536), (["icon", "note"], 100_000), (["*"], 3_000_000)):
            with opened(server, "eve", publish=publish) as eve:
                eve.socket.send(b"\x04none" + bytes(most - 5))
                assert eve.push("error")["code"] == "no_such_stream"
                eve.socket.send(b"\x04none" + bytes(most + 2_000))
                assert eve.closed() == 1009, publish
        # SIGHUP lets those who are there send as much as is declared now.
        with opened(server, "eve", publish=["icon"]) as eve:
            server.config.write_text(config.replace("100_000", "200_000"))
            server.signal(signal.SIGHUP)
            eventually = time.monotonic() + harness.PATIENCE
            while "changed" not in server.output():
                assert time.monotonic() < eventually
                time.sleep(0.02)
            eve.socket.send(b"\x04icon" + bytes(200_000))
            assert subscribed(eve, "icon")["seq"] == 1

    def test_who_may_not_publish_is_told_so_before_the_content_comes(self, servers):
        config = '''
            [auth]
            anonymous = true
            [streams]
            film = { publish = true, binary = true, read = "public", max_bytes = 3_000_000 }
            inner = { publish = true, binary = true, read = "admin", max_bytes = 3_000_000 }
        '''
        server = start(servers, config)
        for token, stream, status in (
            (None, "film", 403),
            (harness.token("eve"), "film", 403),
            (harness.token("eve"), "inner", 403),
            (harness.token("eve", publish=["film"]), "inner", 403),
        ):
            fields = [("Host", "localhost"), ("Content-Length", "3000000"), ("Expect", "100-continue")]
            if token:
                fields.append(("Authorization", f"Bearer {token}"))
            with Raw(server, open=False) as raw:
                raw.send(harness.request_head(f"/api/v1/streams/{stream}", fields, method="POST"))
                assert raw.read_answer().status == status, (stream, status)

    def test_a_message_of_bytes_that_publishes_nothing_is_refused(self, streams):
        with publisher(streams) as pat:
            for message, code in (
                (b"", "bad_request"),
                (b"\x09short", "bad_request"),
                (b"\x05statex", "bad_request"),
                (b"\x04nonex", "no_such_stream"),
                (b"\x04clip" + bytes(1001), "too_large"),
            ):
                pat.socket.send(message)
                assert pat.push("error")["code"] == code, message
                time.sleep(1.1)
            assert pat.refused("publish", stream="clip", data=1) == "bad_request"

    def test_of_a_log_of_bytes_all_that_is_kept_comes(self, streams):
        with publisher(streams) as pat, opened(streams, "eve") as eve:
            for number in range(5):
                pat.socket.send(b"\x04clip" + bytes([number]))
            pat.request("ping")
            assert subscribed(eve, "clip")["seq"] == 5
            got = [eve.binary() for _ in range(3)]
            assert got == [b"\x04clip" + struct.pack("!Q", n + 1) + bytes([n]) for n in (2, 3, 4)]


class TestConfiguration:
    def test_a_stream_that_nothing_can_feed_is_an_error(self, servers):
        path = servers.directory() / "parlor.toml"
        path.write_text('[streams]\nlonely = { keep = "latest" }\n')
        run = harness.run_parlor("config", "--check", path)
        assert run.returncode == 2
        assert "lonely" in run.stderr + run.stdout and "nothing can feed it" in run.stderr + run.stdout

    def test_a_hangup_declares_streams_anew(self, servers):
        server = start(servers, CONFIG)
        with publisher(server) as pat, opened(server, "eve") as eve:
            subscribed(eve, "state")
            before = subscribed(eve, "news")["epoch"]
            pat.request("publish", stream="news", data=1)
            eve.push("event")
            server.config.write_text(
                '[streams]\nnews = { keep = 2, publish = true }\nlate = { publish = true }\n'
            )
            server.signal(signal.SIGHUP)
            notice = eve.push("notice")
            assert (notice["code"], notice["streams"]) == ("unsubscribed", ["state"])
            assert eve.refused("subscribe", stream="state") == "no_such_stream"
            pat.request("publish", stream="news", data=2)
            assert eve.push("event")["seq"] == 2
            assert subscribed(eve, "news")["epoch"] == before
            assert subscribed(eve, "late")["seq"] == 0

    def test_who_may_not_watch_any_more_is_told_so_at_a_hangup(self, servers):
        server = start(servers, 'auth.anonymous = true\n[streams]\nopen = { publish = true, read = "public" }\n')
        with publisher(server) as pat, opened(server, "eve") as eve:
            with opened(server, "root", admin=True) as root, Chat(server, anonymous=1) as guest:
                for one in (eve, root, guest):
                    subscribed(one, "open")
                for read, lost in (("users", guest), ("admin", eve)):
                    server.config.write_text(
                        f'auth.anonymous = true\n[streams]\nopen = {{ publish = true, read = "{read}" }}\n'
                    )
                    server.signal(signal.SIGHUP)
                    notice = lost.push("notice")
                    assert (notice["code"], notice["streams"]) == ("unsubscribed", ["open"])
                    pat.request("publish", stream="open", data=read)
                    assert root.push("event")["data"] == read
                    assert [payload["data"] for _, payload in lost.pushed("event")] in ([], ["users"])

    def test_another_ceiling_holds_for_who_is_there(self, servers):
        text = "[streams]\nfast = {{ publish = true, keep = 100{more} }}\n"
        server = start(servers, text.format(more=""))
        with publisher(server) as pat, opened(server, "eve") as eve:
            subscribed(eve, "fast")
            server.config.write_text(text.format(more=", max_rate_ceiling = 1"))
            server.signal(signal.SIGHUP)
            while 'streams: changed "fast"' not in server.output():
                time.sleep(0.02)
            for number in range(5):
                pat.request("publish", stream="fast", data=number)
            assert eve.push("event")["data"] == 0
            assert len(eve.pushed("event")) <= 1


class TestHttp:
    def test_a_backend_publishes_and_reads_the_newest(self, streams):
        token = harness.token("back", publish=["sensor:*"])
        with opened(streams, "eve") as eve:
            subscribed(eve, "sensor:h")
            status, answer = streams.api("POST", "streams/sensor:h", {"t": 1}, token)
            assert (status, answer["stream"], answer["seq"]) == (200, "sensor:h", 1)
            assert streams.api("POST", "streams/sensor:h", {"data": [2]}, token)[1]["seq"] == 2
            assert [data for _, _, data in events(eve, 2)] == [{"t": 1}, [2]]
        status, answer = streams.api("GET", "streams/sensor:h", token=token)
        assert (status, answer["seq"], answer["data"]) == (200, 2, [2])
        assert "data" not in streams.api("GET", "streams/sensor:none", token=token)[1]
        names = [one["stream"] for one in streams.api("GET", "streams", token=token)[1]["streams"]]
        assert "sensor:h" in names and "orders" not in names and names == sorted(names)
        page = streams.api("GET", "streams?limit=1&after=paced", token=token)[1]
        assert [one["stream"] for one in page["streams"]] == ["pose"] and page["more"] is True

    def test_each_refusal_has_its_status(self, streams):
        eve, pat = harness.token("eve"), harness.token("pat", publish=["*"])
        for method, path, body, token, status, code in (
            ("GET", "streams/nothing", None, eve, 404, "no_such_stream"),
            ("GET", "streams/orders", None, eve, 403, "forbidden"),
            ("GET", "streams/state/subscribers", None, eve, 403, "forbidden"),
            ("GET", "streams/a%20b", None, eve, 400, "bad_request"),
            ("POST", "streams/state", 1, eve, 403, "forbidden"),
            ("POST", "streams/pose", {"x": 1}, pat, 400, "bad_request"),
            ("POST", "streams/sensor:b", "x" * 300, pat, 413, "too_large"),
            ("POST", "streams/nothing", 1, pat, 404, "no_such_stream"),
            ("POST", "streams/state", 1, None, 401, "unauthorized"),
            ("GET", "streams", None, None, 401, "unauthorized"),
        ):
            got, answer = streams.api(method, path, body, token)
            assert (got, answer["error"]["code"]) == (status, code), path
        bearer = {"Authorization": f"Bearer {pat}"}
        for body in (b"", b"{", b'{"a":1,"a":2}', b"\xff"):
            status, _, answer = streams.http("/api/v1/streams/state", "POST", bearer, body)
            assert status == 400 and b"bad_" in answer, body

    def test_members_that_are_declared_come_in_the_query(self, streams):
        pat = harness.token("pat", publish=["*"])
        path = "streams/pose?x=-1.50e2&name=na%C3%AFve+%22robot%22"
        with opened(streams, "eve") as eve:
            subscribed(eve, "pose")
            status, answer = streams.api("POST", path, token=pat)
            assert (status, answer["stream"]) == (200, "pose")
            [(_, _, data)] = events(eve, 1)
            assert data == {"x": -150.0, "name": 'na\u00efve "robot"'}
        # A token in the query says who it is, and is no member.
        status, _, body = streams.http(f"/api/v1/streams/pose?x=1&name=b&token={pat}", "POST")
        assert (status, json.loads(body)["error"]["code"]) == (401, "unauthorized")

    @pytest.mark.parametrize(
        ("query", "content", "why"),
        [
            ("x=1", None, "name"),
            ("x=one&name=b", None, "number"),
            ("x=%221%22&name=b", None, "x"),
            ("x=1&x=2&name=b", None, "twice"),
            ("x=1&name=b&z=3", None, '"z"'),
            ("x=1&name=%ff", None, "UTF-8"),
            ("x=1&name=b", {"x": 1, "name": "b"}, "both"),
            ("x=1,2&name=b", None, "number"),
            ("x=1}&name=b", None, "number"),
        ],
    )
    def test_a_query_that_is_no_data_is_told(self, streams, query, content, why):
        pat = harness.token("pat", publish=["*"])
        status, answer = streams.api("POST", f"streams/pose?{query}", content, pat)
        error = answer["error"]
        assert (status, error["code"]) == (400, "bad_request")
        assert why in error["message"] + error.get("field", "")

    def test_the_only_member_may_be_called_data(self, streams):
        pat = harness.token("pat", publish=["*"])
        with opened(streams, "eve") as eve:
            subscribed(eve, "wrapped")
            assert streams.api("POST", "streams/wrapped?data=hello", token=pat)[0] == 200
            assert [data for _, _, data in events(eve, 1)] == [{"data": "hello"}]

    def test_who_may_not_publish_learns_nothing_of_the_members(self, streams):
        eve, pat = harness.token("eve"), harness.token("pat", publish=["*"])
        for path, token, status, code in (
            ("streams/pose?zz=1", eve, 403, "forbidden"),
            ("streams/pose?x=one", eve, 403, "forbidden"),
            ("streams/nope?x=1", pat, 404, "no_such_stream"),
        ):
            got, answer = streams.api("POST", path, token=token)
            assert (got, answer["error"]["code"]) == (status, code), path
        status, answer = streams.api("POST", "streams/state?x=1", None, pat)
        assert status == 400 and "members" in answer["error"]["message"]
        status, answer = streams.api("POST", f"streams/pose?{'z' * 5000}=1", None, pat)
        assert status == 400 and len(answer["error"]["message"]) < 200

    def test_an_idempotency_key_is_the_id_of_a_publication(self, streams):
        pat, key = harness.token("pat", publish=["*"]), {"Idempotency-Key": '"once"'}

        def post(stream, data, user=pat, headers=key):
            return streams.api("POST", f"streams/{stream}", data, user, headers=headers)

        with opened(streams, "eve") as eve, publisher(streams) as same:
            for stream in ("news", "journal"):
                subscribed(eve, stream)
                status, first = post(stream, {"n": 1})
                assert status == 200 and "duplicate" not in first
                assert post(stream, {"n": 1}) == (200, {**first, "duplicate": True})
                # The same word without quotes, and on a socket.
                bare = {"Idempotency-Key": "once"}
                assert post(stream, {"n": 1}, headers=bare)[1]["duplicate"] is True
                again = same.request("publish", named(stream, {"n": 1}, "once"))
                assert again == {**first, "duplicate": True}
                status, answer = post(stream, {"n": 2})
                assert (status, answer["error"]["code"]) == (409, "duplicate_mismatch")
                code = same.refused("publish", named(stream, 2, "once"))
                assert code == "duplicate_mismatch"
                # Another's word is another's.
                status, other = post(stream, {"n": 3}, harness.token("zoe", publish=["*"]))
                assert (status, other["seq"]) == (200, first["seq"] + 1)
                assert [data for _, _, data in events(eve, 2, stream)] == [{"n": 1}, {"n": 3}]
        # Whoever has the admin token is a publisher as any.
        root = harness.token("root", admin=True)
        first = post("news", 7, root)[1]
        assert post("news", 7, root) == (200, {**first, "duplicate": True})
        for bad in ("", '""', "k" * 65):
            status, answer = post("state", 1, headers={"Idempotency-Key": bad})
            assert status in (400, 413) and answer["error"]["field"] == "id", bad

    def test_members_in_the_query_and_bytes_have_an_id_too(self, streams):
        pat, key = harness.token("pat", publish=["*"]), {"Idempotency-Key": '"k"'}
        answers = [
            streams.api("POST", "streams/pose?x=1&name=k", None, pat, headers=key) for _ in range(2)
        ]
        assert answers[1] == (200, {**answers[0][1], "duplicate": True})
        fields = {"Authorization": f"Bearer {pat}", "Content-Type": "image/png", **key}
        for stream in ("clip", "clip_kept"):
            path = f"/api/v1/streams/{stream}"
            answers = [json.loads(streams.http(path, "POST", fields, b"\0\1")[2]) for _ in range(2)]
            assert answers[1] == {**answers[0], "duplicate": True}
            status, _, answer = streams.http(path, "POST", fields, b"\0\2")
            assert (status, json.loads(answer)["error"]["code"]) == (409, "duplicate_mismatch")

    def test_a_publication_is_known_as_long_as_its_stream_keeps_it(self, streams):
        with publisher(streams) as pat:

            def publish(stream, number):
                return pat.request("publish", named(stream, number, f"n{number}"))

            first = publish("sensor:ids", 1)["seq"]
            assert publish("sensor:ids", 1)["duplicate"] is True
            publish("sensor:ids", 2)
            assert publish("sensor:ids", 1)["seq"] == first + 2, "a state keeps the newest"

    def test_a_stream_without_members_has_its_data_as_the_content(self, streams):
        pat = harness.token("pat", publish=["*"])
        assert streams.api("POST", "streams/state?x=1", None, pat)[0] == 400
        assert streams.api("POST", "streams/state?x=1", 7, pat)[0] == 200

    def test_bytes_go_in_and_come_out_as_they_are(self, streams):
        bearer = {"Authorization": f"Bearer {harness.token('pat', publish=['*'])}"}
        image = bytes(range(256)) * 1_000
        typed = {**bearer, "Content-Type": "image/jpeg"}
        with opened(streams, "eve") as eve:
            subscribed(eve, "cam")
            status, _, answer = streams.http("/api/v1/streams/cam", "POST", typed, image)
            assert status == 200
            seq = json.loads(answer)["seq"]
            name = b"\x03cam" + struct.pack("!Q", seq)
            while not (message := eve.binary()).startswith(name):
                pass
            assert message == name + image
        status, fields, body = streams.http("/api/v1/streams/cam", headers=bearer)
        assert (status, body, fields["parlor-seq"]) == (200, image, str(seq))
        assert fields["content-type"] == "application/octet-stream"
        too_large = bytes(400_001)
        assert streams.http("/api/v1/streams/cam", "POST", typed, too_large)[0] == 413

    def test_an_admin_sees_who_watches_and_how_far_they_are(self, streams):
        root = harness.token("root", admin=True)
        with opened(streams, "root", admin=True) as one, publisher(streams) as pat:
            before = subscribed(one, "orders")["seq"]
            for number in range(3):
                pat.request("publish", stream="orders", data=number)
            one.push("event", where=lambda payload: payload["seq"] == before + 3)
            one.request("stream:ack", stream="orders", seq=before + 1)
            status, answer = streams.api("GET", "streams/orders/subscribers", token=root)
            assert (status, answer["seq"]) == (200, before + 3)
            (seen,) = answer["subscribers"]
            assert seen == {
                "connection": one.hello["connection"],
                "sent": before + 3,
                "acked": before + 1,
                "lag": 2,
            }


class TestBounds:
    def test_what_is_kept_of_all_streams_has_a_bound(self, servers):
        config = """
            [streams]
            fixed = { keep = 1000, publish = true }
            "many:{id}" = { keep = 1000, publish = true }
        """
        server = start(servers, config, set={"limits.all_streams_bytes": 40_000})
        with publisher(server) as pat, opened(server, "eve") as eve:
            first = pat.request("publish", stream="many:0", data="x" * 9_000)
            assert first["seq"] == 1
            epoch = subscribed(eve, "many:0")["epoch"]
            eve.request("unsubscribe", stream="many:0")
            for number in range(1, 6):
                pat.request("publish", stream=f"many:{number}", data="x" * 9_000)
            # The one that nobody had used for the longest time has gone.
            known = subscribed(eve, "many:0")
            assert known["seq"] == 0 and known["epoch"] != epoch
            for number in range(12):
                pat.request("publish", stream="fixed", data=str(number) + "x" * 9_000)
            back = subscribed(eve, "fixed", since=0)
            assert back["seq"] == 12 and back["replayed"] is False
            kept = back.get("snapshot") or [event for _, _, event in events(eve, 4)]
            assert len(kept) == 4, "the newest, as many as there may be of all streams"
            refusal = pat.refusal("publish", stream="many:9", data="x" * 41_000)
            assert (refusal["code"], refusal["limit"]) == ("quota", 40_000)

    def test_a_filter_that_nothing_passes_costs_no_more_than_a_page_at_a_time(self, servers):
        config = '[streams]\nlog = { keep = 100_000, publish = true }'
        server = start(servers, config, set={"limits.page_bytes": 2_000})
        with publisher(server) as pat, opened(server, "eve") as eve:
            for number in range(300):
                pat.send("publish", stream="log", data={"n": number, "x": "y" * 90})
            pat.request("ping")
            known = subscribed(eve, "log", filter={"/n": 5})
            assert known["seq"] == 300 and "snapshot" not in known
            back = subscribed(eve, "log", since=0, filter={"/n": {"in": [5, 299]}})
            assert back["replayed"] is True
            assert [(seq, prev) for seq, prev, _ in events(eve, 2)] == [(6, 0), (300, 6)]
            pat.request("publish", stream="log", data={"n": 299})
            assert events(eve, 1)[0][:2] == (301, 300)


def sound(data):
    """`parlor data check` finds nothing; gives what it has counted."""
    done = subprocess.run(
        [harness.parlor_binary(), "data", "check", "--json", data],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout.splitlines()[-1])["summary"]


def restarted(servers, server, config=CONFIG):
    return start(servers, config, data=server.data)


class TestDurable:
    def test_after_a_kill_since_replays_exactly_what_was_missed(self, servers):
        server = start(servers, CONFIG)
        with publisher(server) as pat, opened(server, "eve") as eve:
            epoch = subscribed(eve, "journal")["epoch"]
            for number in range(1, 31):
                told = pat.request("publish", stream="journal", data={"n": number})
                assert told["seq"] == number
            assert events(eve, 2) == [(1, 0, {"n": 1}), (2, 1, {"n": 2})]
            pat.request("publish", stream="setting:1", data="red")
            pat.request("publish", stream="setting:1", data="blue")
        server.kill()
        assert sound(server.data)["streams"] == 2
        server = restarted(servers, server)
        with publisher(server) as pat, opened(server, "eve") as eve:
            back = subscribed(eve, "journal", since=12, epoch=epoch)
            assert (back["seq"], back["epoch"], back["replayed"]) == (30, epoch, True)
            missed = [(n, n - 1, {"n": n}) for n in range(13, 31)]
            assert events(eve, 18) == missed
            assert pat.request("publish", stream="journal", data={"n": 31})["seq"] == 31
            assert events(eve, 1) == [(31, 30, {"n": 31})]
            # What is kept no more is not replayed.
            back = subscribed(eve, "journal", since=9, epoch=epoch)
            assert back["replayed"] is False
            assert [one["seq"] for one in back["snapshot"]] == list(range(12, 32))
            state = subscribed(eve, "setting:1")
            assert (state["seq"], state["snapshot"]) == (2, "blue")

    def test_what_is_published_while_it_is_killed_is_there_if_it_was_answered(self, servers):
        server = start(servers, CONFIG)
        acknowledged = {}
        for round_ in range(3):
            with publisher(server) as pat:
                asked = {
                    pat.send("publish", stream="journal", data=[round_, number]): [round_, number]
                    for number in range(200)
                }
                # Those behind them are under way when it is killed.
                for id in list(asked)[: 50 * (round_ + 1)]:
                    acknowledged[pat.answer(id)["seq"]] = asked[id]
                server.kill()
            server = restarted(servers, server)
        assert len(acknowledged) == 300
        sound(server.data)
        with opened(server, "eve") as eve:
            known = subscribed(eve, "journal")
            kept = {one["seq"]: one["data"] for one in known["snapshot"]}
        assert known["seq"] >= max(acknowledged)
        assert len(kept) == min(20, known["seq"])
        for seq, data in acknowledged.items():
            assert kept.get(seq, data) == data

    def test_a_publication_that_comes_again_after_a_kill_is_one_event(self, servers):
        server = start(servers, CONFIG)
        with publisher(server) as pat:
            # Both are under way at once.
            ids = [pat.send("publish", named("journal", 1, "a")) for _ in range(2)]
            first, second = (pat.answer(id) for id in ids)
            assert second == {**first, "duplicate": True}
            asked = [pat.send("publish", named("journal", n, f"n{n}")) for n in range(12)]
            pat.answer(asked[3])
            server.kill()
        server = restarted(servers, server)
        with publisher(server) as pat, opened(server, "eve") as eve:
            known = subscribed(eve, "journal")
            for number in range(12):
                pat.request("publish", named("journal", number, f"n{number}"))
            assert pat.request("publish", named("journal", 1, "a"))["duplicate"] is True
            kept = subscribed(eve, "journal")["snapshot"]
            assert known["seq"] >= 5
            assert sorted(one["data"] for one in kept) == sorted([1, *range(12)])
        server.kill()
        assert sound(server.data)["events"] == 13

    def test_bytes_and_streams_that_are_declared_no_more_stay(self, servers):
        server = start(servers, CONFIG)
        with publisher(server) as pat, opened(server, "eve") as eve:
            epoch = subscribed(eve, "clip_kept")["epoch"]
            for number in range(4):
                pat.socket.send(b"\x09clip_kept" + bytes([0, number]))
            received = [eve.binary() for _ in range(4)]
        server.stop()
        plain = CONFIG.replace("clip_kept = ", "other = ")
        server = restarted(servers, server, plain)
        with opened(server, "eve") as eve:
            assert eve.refused("subscribe", stream="clip_kept") == "no_such_stream"
            # Declared again, its numbers go on, and what it had is read at the next start.
            server.config.write_text(CONFIG)
            server.signal(signal.SIGHUP)
            deadline = time.monotonic() + harness.PATIENCE
            while is_refused(eve, "clip_kept"):
                assert time.monotonic() < deadline, "it is not declared again"
                time.sleep(0.05)
            known = subscribed(eve, "clip_kept", since=1, epoch=epoch)
            assert (known["seq"], known["epoch"], known["replayed"]) == (4, epoch, False)
        server.stop()
        server = restarted(servers, server)
        with opened(server, "eve") as eve:
            known = subscribed(eve, "clip_kept", since=1, epoch=epoch)
            assert known["replayed"] is True
            assert [eve.binary() for _ in range(3)] == received[1:]

    def test_what_cannot_be_stored_is_refused_and_told_to_nobody(self, servers):
        server = start(servers, CONFIG, preexec=small_files)
        with publisher(server) as pat, opened(server, "eve") as eve:
            subscribed(eve, "journal")
            acknowledged = []
            for number in range(500):
                try:
                    data = [number, "x" * 10_000]
                    acknowledged.append(pat.request("publish", stream="journal", data=data)["seq"])
                except harness.Refused as refused:
                    assert refused.code == "unavailable", refused
                    break
            else:
                pytest.fail("the store never was full")
            assert acknowledged == list(range(1, number + 1))
            seen = [seq for seq, _, _ in events(eve, number)]
            assert seen == acknowledged
            # What is in memory goes on, and is told next.
            pat.request("publish", stream="news", data=1)
            subscribed(eve, "news")
            pat.request("publish", stream="news", data=2)
            assert eve.push("event")["stream"] == "news"


def is_refused(connection, stream):
    try:
        subscribed(connection, stream)
    except harness.Refused:
        return True
    return False
