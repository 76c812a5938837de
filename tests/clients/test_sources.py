"""Sources of streams: polled URLs and commands, webhooks, and what operators see of them and do."""

import json
import signal
import socket
import subprocess
import time
import urllib.parse

import pytest

import harness
from backend import Backend, signature, until
from harness import HOST, PATIENCE, Chat
from test_events import Events
from test_guests import plain

#: Circuits that open soon, and not for long.
FAST = {"backend.retries": 1, "backend.backoff_ms": 5, "backend.circuit_failures": 2, "backend.circuit_open_ms": 100}
HOOK_SECRET = "what they and we alone know, in enough bytes"
ADMIN = "an admin token for tests, of more than 32 bytes"


@pytest.fixture
def backend():
    with Backend() as started:
        yield started


@pytest.fixture
def start(servers):
    """Starts a server with a secret, an admin token and these rows of [streams]."""

    def begin(*rows, **set):
        path = servers.directory() / "parlor.toml"
        path.write_text("\n".join(["[streams]", *rows]))
        secret = servers.secret_file(HOOK_SECRET)
        server = servers.parlor(
            "--config", path, "--secret-file", servers.secret_file(), data=":memory:",
            set={**FAST, **set}, env={"PARLOR_ADMIN_TOKEN": ADMIN, "A_HOOK": HOOK_SECRET},
        )
        server.config, server.hook_secret = path, secret
        return server

    return begin


def watch(server, stream, user="eve"):
    """A connection that watches a stream, and what it had at once."""
    connection = Chat(server, token=harness.token(user))
    (known,) = connection.request("subscribe", stream=stream)["streams"]
    return connection, known


def newest(server, stream):
    return server.api("GET", f"streams/{stream}", token=ADMIN)[1]


def source(server, stream):
    return newest(server, stream)["source"]


def counter(server, name, **labels):
    wanted = ",".join(f'{label}="{value}"' for label, value in labels.items())
    _, _, text = server.http("/metrics", headers={"Authorization": f"Bearer {ADMIN}"})
    for line in text.decode().splitlines():
        if line.startswith(f"{name}{{{wanted}}} "):
            return float(line.rsplit(" ", 1)[1])
    raise AssertionError(f"no {name} {wanted}")


class TestPolled:
    def test_what_a_url_has_is_published_when_it_has_changed(self, backend, start):
        values = [b'{"a":{"n": 1.50}}']
        backend.answers = lambda asked: (200, values[0])
        server = start(f'state = {{ url = "{backend.url}/state", every_ms = 20, pointer = "/a" }}')
        until(lambda: newest(server, "state")["seq"] == 1)
        eve, known = watch(server, "state")
        with eve:
            assert known["snapshot"] == {"n": 1.5}
            backend.wait_for(len(backend.asked()) + 3)
            assert newest(server, "state")["seq"] == 1, "it has not changed"
            values[0] = b'{"a":{"n": 2.50}}'
            event = eve.push("event")
            assert (event["seq"], event["data"]) == (2, {"n": 2.5})
            assert '{"n": 2.50}' in eve.texts[-1], "as it came"
        asked = backend.asked()[0]
        assert asked.method == "GET" and asked.fields["user-agent"].startswith("parlor/")

    def test_a_family_is_polled_only_while_somebody_watches(self, backend, start):
        backend.answers = lambda asked: (200, {"path": asked.path})
        server = start(f'"adw:{{id}}" = {{ url = "{backend.url}/adw/{{id}}?x={{id}}", every_ms = 20, path = "/ws/adw/{{id}}" }}')
        eve, known = watch(server, "adw:a@b")
        with eve:
            assert known["seq"] == 0, "it is asked when somebody watches"
            assert eve.push("event")["data"] == {"path": "/adw/a%40b?x=a%40b"}
            backend.wait_for(3)
        until(lambda: newest(server, "adw:a@b")["subscribers"] == 0)
        token = harness.token("eve")
        with harness.Raw(server, f"/ws/adw/7?token={token}") as raw:
            message = json.loads(raw.read_message().payload)
            assert message["data"] == {"path": "/adw/7?x=7"}
        until(lambda: newest(server, "adw:7")["subscribers"] == 0)
        before = len(backend.asked("/adw/7?x=7"))
        eve, _ = watch(server, "adw:clock")
        with eve:
            backend.wait_for(5, "/adw/clock?x=clock")
        assert len(backend.asked("/adw/7?x=7")) <= before + 1, "one may have been under way"

    def test_an_id_that_is_a_path_of_its_own_is_not_asked_for(self, backend, start):
        server = start(f'"adw:{{id}}" = {{ url = "{backend.url}/adw/{{id}}/x", every_ms = 20 }}')
        eve, _ = watch(server, "adw:..")
        with eve:
            until(lambda: counter(server, "parlor_source_failures_total", stream="adw:{id}") > 0)
            assert backend.asked() == []

    def test_a_command_is_run_without_a_shell_and_with_its_bounds(self, start):
        server = start(
            'now = { command = ["printf", "%s", "[\\"$HOME\\"]"], every_ms = 50 }',
            '"id:{x}" = { command = ["printf", "\\"%s\\"", "{x}"], every_ms = 50 }',
            'slow = { command = ["sleep", "600"], every_ms = 50, timeout_ms = 30 }',
            'raw = { command = ["printf", "%b", "a\\\\0000b"], every_ms = 50, binary = true }',
            'env = { command = ["env"], every_ms = 50, binary = true }',
            'named = { command = ["env"], env = ["A_HOOK", "MORE=a = b", "NOT_THERE"], every_ms = 50, binary = true }',
        )
        assert until(lambda: newest(server, "now").get("data")) == ["$HOME"]
        eve, _ = watch(server, "id:-n.7")
        with eve:
            until(lambda: counter(server, "parlor_source_failures_total", stream="id:{x}") > 0)
        eve, _ = watch(server, "id:7")
        with eve:
            assert eve.push("event")["data"] == "7"
        assert until(lambda: source(server, "slow").get("error")) == "it took too long"
        headers = {"Authorization": f"Bearer {ADMIN}"}
        until(lambda: server.http("/api/v1/streams/raw", headers=headers)[0] == 200)
        assert server.http("/api/v1/streams/raw", headers=headers)[2] == b"a\0b"
        until(lambda: server.http("/api/v1/streams/env", headers=headers)[0] == 200)
        environment = server.http("/api/v1/streams/env", headers=headers)[2]
        assert environment.startswith(b"PATH=") and environment.count(b"\n") == 1, "no secret, and nothing else"
        until(lambda: server.http("/api/v1/streams/named", headers=headers)[0] == 200)
        lines = server.http("/api/v1/streams/named", headers=headers)[2].decode().splitlines()
        assert {line.partition("=")[0] for line in lines} == {"PATH", "A_HOOK", "MORE"}
        assert f"A_HOOK={HOOK_SECRET}" in lines and "MORE=a = b" in lines
        children = until(lambda: children_of(server, "sleep"))
        assert server.stop() == 0
        until(lambda: not any(is_alive(pid, "sleep") for pid in children))

    def test_data_that_the_stream_does_not_take_are_counted_and_told_to_nobody(self, backend, start):
        backend.answers = lambda asked: (200, {"n": "x"})
        server = start(f's = {{ url = "{backend.url}/", every_ms = 20, members = {{ n = "number" }} }}')
        until(lambda: counter(server, "parlor_source_refused_total", stream="s") == 1)
        backend.wait_for(len(backend.asked()) + 2)
        known = newest(server, "s")
        assert known["seq"] == 0 and known["source"]["refused"] == 1, "counted when it changes"
        assert known["source"]["error"].startswith("n: ")
        backend.answers = lambda asked: (200, {"n": 7})
        assert until(lambda: newest(server, "s").get("data")) == {"n": 7}

    @pytest.mark.parametrize(
        "answer, error",
        [
            ((500, {}), "it answered 500"),
            ((302, {}, {"Location": "/elsewhere"}), "it answered 302"),
            ((200, b"\xff"), "it is not UTF-8"),
            ((200, b"{"), "the message is not JSON"),
            ((200, {"b": 1}), "the pointer leads nowhere"),
            ((200, b"x" * 1_100_000), "the answer is too large"),
        ],
    )
    def test_what_is_no_data_is_a_failure(self, backend, start, answer, error):
        backend.answers = lambda asked: answer
        server = start(f's = {{ url = "{backend.url}/", every_ms = 20, pointer = "/a" }}')
        assert until(lambda: source(server, "s").get("error")) == error
        assert backend.asked("/elsewhere") == []

    @pytest.mark.parametrize("threads", [1, 3])
    def test_so_many_are_polled_at_a_time_and_the_others_wait(self, backend, start, threads):
        names = [f"s{number}" for number in range(8)]
        backend.answers = lambda asked: (backend.release.wait(30), (200, {"x": 1}))[1]
        rows = [f'{name} = {{ url = "{backend.url}/{name}", every_ms = 20 }}' for name in names]
        server = start(*rows, **{"backend.poll_threads": threads})
        backend.wait_for(threads)
        # Whatever else there was to begin with has been begun.
        assert server.http("/healthz")[0] == 200
        assert len(backend.asked()) == threads
        backend.release.set()
        until(lambda: all(newest(server, name)["seq"] == 1 for name in names))


    def test_what_comes_may_be_as_large_as_the_data(self, backend, start):
        backend.answers = lambda asked: (200, b'"' + b"x" * 2_000_000 + b'"')
        row = f'max_bytes = 2_000_002, webhook = {{ path = "/hook", secret_env = "A_HOOK" }}'
        server = start(f's = {{ url = "{backend.url}/", every_ms = 20, {row} }}')
        assert until(lambda: len(newest(server, "s").get("data", ""))) == 2_000_000
        body = b'"' + b"y" * 2_000_000 + b'"'
        signed = {"X-Hub-Signature-256": signature(HOOK_SECRET, body)}
        assert server.http("/hook", "POST", signed, body)[0] == 202
        assert server.http("/hook", "POST", signed, body + b" " * 5_000)[0] == 413


class TestHttps:
    def test_a_backend_behind_https_is_judged_by_the_systems_certificates(self, backend, servers):
        directory = servers.directory()
        certificate, key = directory / "certificate.pem", directory / "key.pem"
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
             "-subj", "/CN=test", "-addext", f"subjectAltName=IP:{HOST}", "-addext", "basicConstraints=critical,CA:FALSE", "-keyout", key, "-out", certificate],
            check=True, capture_output=True,
        )
        backend.serve_tls(certificate, key)
        url = backend.url.replace("http:", "https:")
        streams = f'{{ s = {{ url = "{url}", every_ms = 50 }} }}'
        for trusted, is_well in ((certificate, True), (None, False)):
            env = {"PARLOR_ADMIN_TOKEN": ADMIN}
            if trusted:
                env["SSL_CERT_FILE"] = str(trusted)
            server = servers.parlor(data=":memory:", set={**FAST, "streams": streams}, env=env)
            if is_well:
                until(lambda: newest(server, "s")["seq"] == 1)
            else:
                until(lambda: "ertificate" in source(server, "s").get("error", ""))
                assert newest(server, "s")["seq"] == 0


class TestCircuit:
    def test_a_source_that_fails_is_left_alone_and_then_tried_once(self, backend, start):
        backend.answers = lambda asked: (500, {})
        server = start(
            f's = {{ url = "{backend.url}/", every_ms = 10, required = true }}',
            "t = { publish = true }",
            **{"backend.circuit_open_ms": 1_000},
        )
        until(lambda: source(server, "s")["state"] == "open")
        assert len(backend.asked()) == 4, "two failures, each tried twice"
        status, _, body = server.http("/readyz")
        answer = json.loads(body)
        assert (status, answer["error"]["code"]) == (503, "unavailable")
        assert answer["streams"][0].pop("polled_ms") < 10_000
        assert answer["streams"] == [
            {"stream": "s", "state": "open", "required": True, "down": 1, "every_ms": 10},
            {"stream": "t"},
        ]
        backend.wait_for(5)
        until(lambda: source(server, "s")["failures"] == 3)
        assert len(backend.asked()) == 5, "a trial is one"
        backend.answers = lambda asked: (200, 1)
        assert until(lambda: newest(server, "s").get("data")) == 1
        assert source(server, "s")["state"] == "running"
        status, _, body = server.http("/readyz")
        first = json.loads(body)["streams"][0]
        assert status == 200 and 0 <= first.pop("age_ms") < 10_000
        assert first.pop("polled_ms") < 10_000
        assert first == {"stream": "s", "state": "running", "required": True, "every_ms": 10}
        log = server.output()
        assert log.count("is left alone for 1000 ms: it answered 500") == 1, log
        assert log.count("the source of s answers again") == 1

    def test_readyz_names_what_is_down_and_is_ready_all_the_same(self, start):
        with socket.socket() as nobody:
            nobody.bind((HOST, 0))
            url = f"http://{HOST}:{nobody.getsockname()[1]}/secret-path"
            server = start(f's = {{ url = "{url}", every_ms = 10 }}', **{"backend.circuit_open_ms": 60_000})
            until(lambda: source(server, "s")["state"] == "open")
        status, _, body = server.http("/readyz")
        answer = json.loads(body)
        assert answer["streams"][0].pop("polled_ms") < 10_000
        streams = [{"stream": "s", "state": "open", "down": 1, "every_ms": 10}]
        assert (status, answer) == (200, {"status": "ready", "streams": streams})
        assert source(server, "s")["error"].startswith("it cannot be reached: ")
        assert "secret-path" not in json.dumps(source(server, "s"))
        assert counter(server, "parlor_sources", stream="s", state="open") == 1

    def test_a_backend_that_hangs_does_not_delay_others_nor_the_end(self, backend, start):
        backend.answers = lambda asked: (backend.release.wait(30), (200, 1))[1]
        server = start(
            f's = {{ url = "{backend.url}/", every_ms = 10, timeout_ms = 60_000 }}',
            't = { command = ["printf", "7"], every_ms = 10 }',
        )
        backend.wait_for(1)
        assert until(lambda: newest(server, "t").get("data")) == 7
        assert server.stop() == 0


class TestOperators:
    def test_a_source_is_paused_and_goes_on(self, backend, start):
        backend.answers = lambda asked: (200, len(backend.asked()))
        server = start(f's = {{ url = "{backend.url}/", every_ms = 20 }}')
        until(lambda: newest(server, "s")["seq"] > 1)
        paused = {"stream": "s", "state": "paused"}
        assert server.api("POST", "streams/s/pause", token=ADMIN) == (200, paused)
        seq = newest(server, "s")["seq"]
        assert source(server, "s")["state"] == "paused"
        with Chat(server, token=harness.token("boss", admin=True)) as boss:
            assert newest(server, "s")["seq"] == seq
            assert boss.request("admin:resume", stream="s") == {"stream": "s", "state": "running"}
        until(lambda: newest(server, "s")["seq"] > seq)

    def test_a_family_is_paused_by_its_declared_name(self, backend, start):
        server = start(f'"a:{{id}}" = {{ url = "{backend.url}/{{id}}", every_ms = 20 }}')
        assert server.api("POST", "streams/a%3A%7Bid%7D/pause", token=ADMIN)[0] == 200
        eve, _ = watch(server, "a:1")
        with eve:
            assert source(server, "a:1")["state"] == "paused"
            assert server.api("POST", "streams/a:1/resume", token=ADMIN)[0] == 409
            assert server.api("POST", "streams/a%3A%7Bid%7D/resume", token=ADMIN)[0] == 200
            backend.wait_for(1, "/1")

    def test_who_is_no_admin_sees_nothing_of_sources(self, backend, start):
        server = start(f's = {{ url = "{backend.url}/", every_ms = 20 }}')
        until(lambda: newest(server, "s")["seq"] > 0)
        token = harness.token("eve")
        seen = server.api("GET", "streams", token=token)[1]["streams"][0]
        assert "source" not in seen and "age_ms" not in seen
        assert server.api("POST", "streams/s/pause", token=token)[0] == 403
        assert newest(server, "s")["age_ms"] >= 0
        assert counter(server, "parlor_stream_event_age_seconds", stream="s") >= 0

    def test_sighup_declares_anew_and_what_has_stayed_goes_on(self, backend, start):
        backend.answers = lambda asked: (200, {"path": asked.path})
        rows = ["[streams]", *(f'{name} = {{ url = "{backend.url}/{name}", every_ms = 20 }}' for name in "abc")]
        server = start(*rows[1:])
        for name in "abc":
            backend.wait_for(1, f"/{name}")
        server.api("POST", "streams/a/pause", token=ADMIN)
        rows[2] = rows[2].replace("/b", "/other")
        server.config.write_text("\n".join(rows[:3]))
        server.signal(signal.SIGHUP)
        backend.wait_for(1, "/other")
        assert source(server, "a")["state"] == "paused"
        assert server.api("GET", "streams/c", token=ADMIN)[0] == 404
        asked = len(backend.asked("/c"))
        backend.wait_for(len(backend.asked("/other")) + 3, "/other")
        assert len(backend.asked("/c")) <= asked + 1, "one may have been under way"


class TestStale:
    """Whoever watches a stream is told when its source has been silent for too long."""

    def test_a_source_that_dies_is_stale_and_is_not_when_it_is_back(self, backend, start):
        alive = [True]
        backend.answers = lambda asked: (200, b'{"n":1}') if alive[0] else (500, b"")
        server = start(
            f'state = {{ url = "{backend.url}/state", every_ms = 20, stale_ms = 300, path = "/state" }}'
        )
        until(lambda: newest(server, "state")["seq"] == 1)
        eve, known = watch(server, "state")
        with eve, plain(server, f"/state?token={harness.token('zoe')}") as one:
            assert "stale" not in known
            assert json.loads(one.recv(timeout=PATIENCE))["data"] == {"n": 1}
            # What it answers is the same each time, and it answers.
            backend.wait_for(len(backend.asked()) + 40)
            assert "stale" not in watched_again(eve)
            alive[0] = False
            told = eve.push("stream:stale")
            assert told["stream"] == "state" and told["stale"] is True
            assert 300 <= told["age_ms"] < 5_000 and told["since"] > known_time(server, "state")
            said = json.loads(one.recv(timeout=PATIENCE))
            assert said["type"] == "stream:stale" and said["data"]["since"] == told["since"]
            # Who comes now is told at once, and nobody is told twice.
            zoe, late = watch(server, "state", "zoe")
            with zoe:
                assert late["stale"]["since"] == told["since"]
                assert late["stale"]["age_ms"] >= told["age_ms"]
                # By a path of its own there is no answer: it comes behind what is kept.
                with plain(server, f"/state?token={harness.token('pat')}") as new:
                    assert json.loads(new.recv(timeout=PATIENCE))["data"] == {"n": 1}
                    behind = json.loads(new.recv(timeout=PATIENCE))
                    assert (behind["type"], behind["data"]["since"]) == ("stream:stale", told["since"])
                alive[0] = True
                for each in (eve, zoe):
                    assert each.push("stream:stale") == {"stream": "state", "stale": False}
            assert json.loads(one.recv(timeout=PATIENCE))["data"] == {"stream": "state", "stale": False}
            alive[0] = False
            assert eve.push("stream:stale")["stale"] is True

    def test_what_nobody_publishes_any_more_is_stale(self, start):
        server = start("fed = { publish = true, stale_ms = 200 }", "other = { publish = true }")
        pat = Chat(server, token=harness.token("pat", publish=["*"]))
        eve, known = watch(server, "fed")
        with eve, pat:
            assert "stale" not in known
            # It never had anything: it is waited for since somebody watches.
            assert eve.push("stream:stale")["stale"] is True
            pat.request("publish", stream="fed", data=1)
            # It is no more before the event comes.
            first, second = eve.push("stream:stale"), eve.push("event")
            assert (first["stale"], second["data"]) == (False, 1)
            told = eve.push("stream:stale")
            assert told["since"] == second["ts"] and told["age_ms"] >= 200
            eve.request("subscribe", stream="other")
            time.sleep(0.5)
            assert eve.pushed("stream:stale") == []

    def test_what_is_asked_for_while_it_is_paused_is_published_afterwards(self, backend, start):
        value, slow = [1], [0]

        def answer(_):
            said = value[0]
            time.sleep(slow[0])
            return 200, b'{"n":%d}' % said

        backend.answers = answer
        server = start(f's = {{ url = "{backend.url}/", every_ms = 20, stale_ms = 60000 }}')
        until(lambda: newest(server, "s")["seq"] == 1)
        value[0], slow[0] = 2, 0.5
        asked = len(backend.asked())
        backend.wait_for(asked + 2)
        with harness.Chat(server, token=harness.token("boss", admin=True)) as boss:
            boss.request("admin:pause", stream="s")
            time.sleep(1)
            slow[0] = 0
            boss.request("admin:resume", stream="s")
            until(lambda: newest(server, "s")["data"] == {"n": 2})

    def test_data_that_the_stream_does_not_take_are_no_sign_of_life(self, backend, start):
        values = [b'{"n":1}']
        backend.answers = lambda asked: (200, values[0])
        server = start(
            f's = {{ url = "{backend.url}/", every_ms = 20, stale_ms = 400, members = {{ n = "number" }} }}'
        )
        until(lambda: newest(server, "s")["seq"] == 1)
        eve, _ = watch(server, "s")
        with eve:
            values[0] = b'{"n":"x"}'
            assert eve.push("stream:stale")["stale"] is True
            asked = len(backend.asked())
            backend.wait_for(asked + 5)
            assert eve.pushed("stream:stale") == [], "it answers, and what it says is not taken"
            values[0] = b'{"n":2}'
            assert eve.push("stream:stale")["stale"] is False

    def test_after_a_restart_a_durable_stream_is_as_old_as_its_newest_event(self, servers):
        path = servers.directory() / "parlor.toml"
        path.write_text("[streams]\nkept = { publish = true, durable = true, stale_ms = 300 }")
        server = servers.parlor("--config", path)
        with Chat(server, "pat") as pat:
            ts = pat.request("publish", stream="kept", data=1)["ts"]
        server.kill()
        time.sleep(0.4)
        server = servers.parlor("--config", path, data=server.data)
        with Chat(server, "eve") as eve:
            (known,) = eve.request("subscribe", stream="kept")["streams"]
            assert known["stale"]["since"] == ts and known["stale"]["age_ms"] >= 400
            path.write_text("[streams]\nkept = { publish = true, durable = true, stale_ms = 0 }")
            server.signal(signal.SIGHUP)
            assert eve.push("stream:stale") == {"stream": "kept", "stale": False}

    def test_events_by_http_tell_it_too(self, start):
        server = start('fed = { publish = true, read = "public", stale_ms = 200 }')
        token = {"Authorization": f"Bearer {harness.token('eve')}"}
        with (
            Events(server, "/api/v1/streams/fed", headers=token) as one,
            Events(server, headers=token, streams="fed") as all_of_them,
        ):
            for source in (one, all_of_them):
                source.await_("subscribed")
                assert source.await_("stream:stale")["stale"] is True


def watched_again(connection, stream="state"):
    (known,) = connection.request("subscribe", stream=stream)["streams"]
    return known


def known_time(server, stream):
    return newest(server, stream)["ts"]


class TestWebhooks:
    ROWS = (
        'push = { webhook = { path = "/hooks/git", secret_env = "A_HOOK", pointer = "/head/0" } }',
        '"repo:{name}" = { webhook = { path = "/hooks/{name}/x", secret_env = "A_HOOK" }, max_bytes = 100, members = { n = "number" } }',
        'bytes = { binary = true, webhook = { path = "/hooks/bytes", secret_env = "A_HOOK" } }',
    )

    def post(self, server, path, body, secret=HOOK_SECRET, **fields):
        fields = {"X-Hub-Signature-256": signature(secret, body), **fields}
        fields = {name: value for name, value in fields.items() if value is not None}
        status, _, answer = server.http(path, "POST", fields, body)
        return status, json.loads(answer)

    def test_what_is_signed_is_published(self, start):
        server = start(*self.ROWS)
        eve, _ = watch(server, "push")
        with eve:
            status, answer = self.post(server, "/hooks/git", b'{"head": [ {"id": 1.50} ]}')
            assert status == 202 and (answer["stream"], answer["seq"]) == ("push", 1)
            assert eve.push("event")["data"] == {"id": 1.5}
        assert self.post(server, "/hooks/parlor/x", b'{"n":1}')[1]["stream"] == "repo:parlor"
        assert self.post(server, "/hooks/bytes", b"\0\xff")[0] == 202
        answer = server.http("/api/v1/streams/bytes", headers={"Authorization": f"Bearer {ADMIN}"})
        assert answer[2] == b"\0\xff"

    def test_what_is_not_signed_is_refused(self, start):
        server = start(*self.ROWS)
        body = b'{"head":[1]}'
        right = signature(HOOK_SECRET, body)
        for wrong in (None, "", right[7:], right[:-1], right + "0", right.replace("sha256", "sha1"), signature("x", body)):
            fields = {"X-Hub-Signature-256": wrong}
            assert self.post(server, "/hooks/git", body, **fields)[0] == 401, wrong
        assert self.post(server, "/hooks/git", body + b" ", **{"X-Hub-Signature-256": right})[0] == 401
        assert newest(server, "push")["seq"] == 0
        status, fields, _ = server.http("/hooks/git")
        assert status == 405 and fields["allow"] == "POST"
        assert server.http("/hooks/none", "POST", {"X-Hub-Signature-256": right}, body)[0] == 404
        assert server.http("/hooks/a%3Ab/x", "POST", {"X-Hub-Signature-256": right}, body)[0] == 404

    def test_what_is_no_data_is_counted(self, start):
        server = start(*self.ROWS)
        for body in (b'{"head":[]}', b"{", b"\xff"):
            assert self.post(server, "/hooks/git", body)[0] == 400, body
        assert source(server, "push") == {
            "state": "running", "failures": 0, "refused": 3, "error": "it is not UTF-8"
        }
        status, answer = self.post(server, "/hooks/parlor/x", b'{"n":"1"}')
        assert (status, answer["error"]["code"], answer["error"]["field"]) == (400, "bad_request", "n")
        assert self.post(server, "/hooks/parlor/x", b'{"n":%s}' % (b"1" * 200))[0] == 413
        assert counter(server, "parlor_source_refused_total", stream="repo:{name}") == 2

    def test_a_paused_webhook_takes_nothing(self, start):
        server = start(*self.ROWS)
        server.api("POST", "streams/push/pause", token=ADMIN)
        assert self.post(server, "/hooks/git", b'{"head":[1]}')[0] == 503
        server.api("POST", "streams/push/resume", token=ADMIN)
        assert self.post(server, "/hooks/git", b'{"head":[1]}')[0] == 202

    def raw_post(self, server, path, body, **fields):
        """The status, the content's type and the content of the answer."""
        fields = {"X-Hub-Signature-256": signature(HOOK_SECRET, body), **fields}
        status, fields, answer = server.http(path, "POST", fields, body)
        return status, fields.get("content-type"), answer

    def test_the_answer_is_what_is_declared(self, start):
        hook = 'publish = true, webhook = { path = "/%s", secret_env = "A_HOOK", %s }'
        server = start(
            "a = { %s }" % (hook % ("a", """status = 200, body = '{"status":"ok"}'""")),
            "b = { %s }" % (hook % ("b", 'status = 201, body = "thanks"')),
            "c = { %s }" % (hook % ("c", "status = 204")),
            "d = { %s }" % (hook % ("d", "status = 200")),
        )
        for _ in range(2):
            assert self.raw_post(server, "/a", b"1", **{"X-GitHub-Delivery": "x"}) == (200, "application/json", b'{"status":"ok"}')
        assert self.raw_post(server, "/b", b"1") == (201, "text/plain; charset=utf-8", b"thanks")
        status, _, content = self.raw_post(server, "/c", b"1")
        assert (status, content) == (204, b"")
        status, kind, content = self.raw_post(server, "/d", b"1")
        assert (status, kind, json.loads(content)["stream"]) == (200, "application/json", "d")
        assert self.raw_post(server, "/a", b"{")[0] == 400
        assert newest(server, "a")["seq"] == 1

    def test_a_form_has_the_data_in_its_payload(self, start):
        row = 'push = { webhook = { path = "/hooks/git", secret_env = "A_HOOK", pointer = "/head/0" }, max_bytes = 90_000 }'
        server = start(row, 'bytes = { binary = true, webhook = { path = "/bytes", secret_env = "A_HOOK" } }')
        form = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}

        def post(data, **fields):
            body = urllib.parse.urlencode({"a": "b", "payload": json.dumps({"head": [data]})}).encode()
            return self.post(server, "/hooks/git", body, **{**form, **fields})

        assert post("é & = + %")[0] == 202
        assert newest(server, "push")["data"] == "é & = + %"
        # Three bytes for each: what the stream takes comes also so.
        assert post("é" * 14_000)[0] == 202
        assert post("x", **{"Content-Type": "application/json"})[0] == 400
        assert self.post(server, "/hooks/git", b"payload=%7B%7D", secret="y" * 40, **form)[0] == 401
        # What curl says of all that it posts.
        assert self.post(server, "/hooks/git", b'{"head":["&payload=7"]}', **form)[0] == 202
        assert newest(server, "push")["data"] == "&payload=7"
        for none in (b"a=b", b"payload=", b"payload=%FF", b"payload=%7"):
            assert self.post(server, "/hooks/git", none, **form)[0] == 400, none
        assert self.post(server, "/bytes", b"payload=1", **form)[0] == 202
        assert server.http("/api/v1/streams/bytes", headers={"Authorization": f"Bearer {ADMIN}"})[2] == b"payload=1"

    def test_a_delivery_that_comes_twice_is_published_once(self, start):
        server = start(
            *self.ROWS,
            'own = { webhook = { path = "/own", secret_env = "A_HOOK", delivery = "X-Request-Id" } }',
        )
        eve, _ = watch(server, "push")
        with eve:
            of = lambda id, value, path="/hooks/git", field="x-github-delivery": self.post(
                server, path, b'{"head":[%d]}' % value, **{field: id}
            )
            status, first = of("one", 1)
            assert status == 202 and "duplicate" not in first
            assert of("one", 1) == (202, {**first, "duplicate": True})
            assert of("two", 2)[1]["seq"] == 2
            assert self.post(server, "/hooks/git", b'{"head":[3]}')[1]["seq"] == 3, "without an id each is one"
            server.config.write_text(server.config.read_text().replace('"/head/0" }', '"/head/0", status = 200 }'))
            server.signal(signal.SIGHUP)
            until(lambda: of("one", 1)[0] == 200)
            assert of("one", 1)[1]["seq"] == 1, "a reload forgets nothing"
            events = [eve.push("event")["data"] for _ in range(3)]
            assert events == [1, 2, 3] and eve.pushed("event") == []
        # Another stream, another field, and what was refused at first.
        assert of("one", 1, "/hooks/bytes")[1]["seq"] == 1
        assert [of("one", 1, "/own")[1]["seq"] for _ in range(2)] == [1, 2]
        assert [of("one", 1, "/own", "X-Request-ID")[1]["seq"] for _ in range(2)] == [3, 3]
        assert self.post(server, "/hooks/a/x", b'{"n":"1"}', **{"X-GitHub-Delivery": "9"})[0] == 400
        assert self.post(server, "/hooks/a/x", b'{"n":1}', **{"X-GitHub-Delivery": "9"})[1]["seq"] == 1
        assert of("x" * 128, 7)[0] == 200 and of("x" * 129, 7)[0] == 400

    def test_without_its_secret_the_server_does_not_start(self, servers):
        path = servers.directory() / "parlor.toml"
        path.write_text('[streams]\ns = { webhook = { path = "/h", secret_env = "NOT_SET" } }')
        ended = harness.run_parlor("config", "--check", path)
        assert ended.returncode == 2 and "NOT_SET: the environment has no such variable" in ended.stderr


def children_of(server, program):
    """Processes that this server has started and that run a program."""
    listed = subprocess.run(["ps", "-o", "pid=,comm=", "--ppid", str(server.pid)], capture_output=True, text=True)
    rows = [line.split() for line in listed.stdout.splitlines()]
    return [int(pid) for pid, name, *_ in rows if name == program]


def is_alive(pid, program):
    try:
        with open(f"/proc/{pid}/stat") as stat:
            fields = stat.read()
    except OSError:
        return False
    return f"({program})" in fields and fields.rsplit(")", 1)[1].split()[0] != "Z"
