"""The program: how it starts, what it refuses and why, how it ends, and the page that it serves."""

import re
import signal
import socket
import subprocess
import threading
import time

import pytest

import harness
from harness import CLOSE, HOST, SECRET, Chat, Raw, free_port, request_head, run_parlor


def refused(*arguments, **how):
    """Runs `parlor serve` that must end by itself, with an error; gives what it says."""
    try:
        done = run_parlor("serve", *arguments, **how)
    except subprocess.TimeoutExpired:
        pytest.fail(f"parlor serve {arguments} serves instead of refusing")
    assert done.returncode != 0, done.stdout
    assert "panicked" not in done.stderr and "RUST_BACKTRACE" not in done.stderr
    return done.stderr


class TestStart:
    def test_it_says_first_that_it_is_open_then_where_the_data_and_the_chat_are(self, servers):
        server = servers.parlor()
        lines = server.output().splitlines()
        assert "open mode" in lines[0].lower()
        said = "\n".join(lines)
        assert str(server.data) in said
        assert f"http://{HOST}:{server.port}" in said

    def test_with_a_secret_it_is_not_open(self, servers):
        for how in (
            {"arguments": ["--secret-file", servers.secret_file()]},
            {"env": {"PARLOR_SECRET": SECRET}},
        ):
            server = servers.parlor(*how.pop("arguments", []), **how)
            assert "open mode" not in server.output().splitlines()[0].lower()
            with Chat(server, token=harness.token("ada")) as ada:
                assert ada.hello["user"]["id"] == "ada"

    def test_plain_parlor_serves(self, servers):
        port, data = free_port(), servers.directory()
        command = [harness.parlor_binary(), "--listen", f"{HOST}:{port}", "--data", data]
        server = harness.Server(command, port, "parlor", harness._is_healthy)
        try:
            with Chat(server, "ada") as ada:
                ada.join("lobby")
        finally:
            assert server.stop() == 0

    def test_it_takes_the_place_of_one_that_was_killed_a_moment_ago(self, servers):
        first = servers.parlor()
        command = [harness.parlor_binary(), "--listen", f"{HOST}:{first.port}", "--data", first.data]
        killing = threading.Timer(0.15, first.kill)
        killing.start()
        # It begins while the other one still has its address and data.
        second = harness.Server(
            command, first.port, "parlor", lambda server: "Chat:" in server.output() and harness._is_healthy(server)
        )
        killing.join()
        assert second.stop() == 0

    def test_port_0_is_a_free_one_and_said(self, servers):
        command = [harness.parlor_binary(), "--listen", f"{HOST}:0", "--data", ":memory:"]

        def said_port(server):
            match = re.search(rf"http://{HOST}:(\d+)", server.output())
            server.port = int(match[1]) if match else 0
            return match is not None

        server = harness.Server(command, 0, "parlor", said_port)
        try:
            assert server.http("/healthz")[0] == 200
        finally:
            server.kill()

    def test_open_asked_for_expressly(self, servers):
        with Chat(servers.parlor("--open"), "ada") as ada:
            assert ada.hello["user"]["id"] == "ada"

    def test_help_names_the_options(self):
        done = run_parlor("serve", "--help")
        assert done.returncode == 0
        for option in (
            "--listen",
            "--data",
            "--secret-file",
            "--key-file",
            "--open",
            "--log",
            "--set",
        ):
            assert option in done.stdout
        assert "127.0.0.1:8080" in done.stdout and "PARLOR_SECRET" in done.stdout
        assert all(len(line) <= 100 for line in done.stdout.splitlines())


class TestRefusals:
    def test_a_second_process_on_the_same_data_names_the_first(self, servers):
        first = servers.parlor()
        said = refused("--listen", f"{HOST}:{free_port()}", "--data", first.data)
        assert re.search(rf"\b{first.pid}\b", said), said
        with Chat(first, "ada") as ada:
            ada.join("lobby")
        first.kill()
        servers.parlor(data=first.data)

    def test_a_taken_port_is_said_and_another_suggested(self, servers):
        with socket.socket() as taken:
            taken.bind((HOST, 0))
            taken.listen()
            port = taken.getsockname()[1]
            said = refused("--listen", f"{HOST}:{port}", "--data", servers.directory())
        assert str(port) in said
        others = {int(number) for number in re.findall(r":(\d{2,5})\b", said)} - {port}
        assert others, f"no other port is suggested: {said}"

    @pytest.mark.parametrize("address", ["0.0.0.0:0", "[::]:0"])
    def test_without_a_secret_it_does_not_listen_elsewhere(self, servers, address):
        said = refused("--listen", address, "--data", servers.directory()).lower()
        assert "secret" in said and "127.0.0.1" in said

    def test_with_a_secret_it_does(self, servers):
        port = free_port()
        command = [harness.parlor_binary(), "--listen", f"0.0.0.0:{port}", "--data", ":memory:", *harness.AS_ROOT]
        env = {"PARLOR_SECRET": SECRET}
        server = harness.Server(command, port, "parlor", harness._is_healthy, env)
        server.kill()

    def test_open_with_a_secret_or_elsewhere_is_an_error(self, servers):
        data = servers.directory()
        said = refused("--open", "--secret-file", servers.secret_file(), "--data", data)
        assert "--open" in said and "secret" in said
        assert "--open" in refused("--open", "--data", data, env={"PARLOR_SECRET": SECRET})
        assert "--open" in refused("--open", "--listen", "0.0.0.0:0", "--data", data)

    def test_a_short_or_absent_secret_is_an_error(self, servers):
        data = servers.directory()
        assert "32" in refused("--secret-file", servers.secret_file("x" * 31), "--data", data)
        assert "32" in refused("--data", data, env={"PARLOR_SECRET": "short"})
        assert "nowhere" in refused("--secret-file", data / "nowhere", "--data", data)
        # An empty variable is a mistake more often than a wish for open mode.
        refused("--listen", f"{HOST}:{free_port()}", "--data", data, env={"PARLOR_SECRET": ""})

    def test_an_unknown_key_names_the_nearest(self, servers):
        said = refused("--set", "limits.bursts=1", "--data", servers.directory())
        assert "limits.bursts" in said and "did you mean limits.burst?" in said

    @pytest.mark.parametrize(
        "value", ["limits.burst", "limits.burst=", "limits.burst=-1", "limits.burst=many"]
    )
    def test_a_value_of_no_kind_is_an_error_that_names_the_key(self, servers, value):
        assert "limits.burst" in refused("--set", value, "--data", servers.directory())

    @pytest.mark.parametrize(
        "arguments",
        [["--listen", "nowhere"], ["--log", "loud"], ["--unheard-of"], ["--allow-origin", "*"]],
    )
    def test_what_is_wrong_is_named(self, servers, arguments):
        assert arguments[0] in refused(*arguments, "--data", servers.directory())

    def test_data_that_is_no_directory_is_an_error(self, servers):
        file = servers.directory() / "file"
        file.write_text("not a directory")
        assert "file" in refused("--listen", f"{HOST}:{free_port()}", "--data", file)

    def test_a_database_of_another_kind_is_not_touched(self, servers):
        """Whatever stands in the place of the database is not overwritten."""
        first = servers.parlor()
        first.stop()
        (database,) = (path for path in first.data.iterdir() if path.read_bytes()[:6] == b"SQLite")
        database.write_bytes(b"this is somebody's diary " * 400)
        refused("--listen", f"{HOST}:{free_port()}", "--data", first.data)
        assert database.read_bytes() == b"this is somebody's diary " * 400


class TestEnd:
    @pytest.mark.parametrize("number, code", [(signal.SIGTERM, 1012), (signal.SIGINT, 1001)])
    def test_it_closes_everybody_and_leaves_with_0_within_5_s(self, servers, number, code):
        """SIGTERM is for a restart, SIGINT for good."""
        server = servers.parlor()
        with Chat(server, "ada") as ada, Raw(server, "/ws?user=bob"):
            # One that answers no Close, and one that has not even sent a head.
            with Raw(server, open=False) as silent:
                silent.send(b"GET /ws HTTP/1.1\r\n")
                ada.join("lobby")
                start = time.monotonic()
                server.signal(number)
                assert ada.closed() == code
                assert server.process.wait(6) == 0
                assert time.monotonic() - start < 5
            notices = [notice["code"] for _, notice in ada.pushed("notice", settle=False)]
            assert notices == (["draining"] if code == 1012 else [])

    def test_a_restart_is_announced_and_served_on_until_it_comes(self, servers):
        server = servers.parlor()
        with Chat(server, "ada") as ada:
            ada.join("lobby")
            server.signal(signal.SIGTERM)
            notice = ada.push("notice")
            assert notice["code"] == "draining"
            assert 1_000 <= notice["spread_ms"] <= 60_000
            assert ada.say("lobby", "still here")["seq"] == 2
            assert self.status_of_an_upgrade(server) == 503
            assert ada.closed() == 1012
        assert server.process.wait(6) == 0
        server = servers.parlor(data=server.data)
        with Chat(server, "ada") as ada:
            (said,) = [e for e in ada.history("lobby")["entries"] if e["type"] == "chat:message"]
            assert (said["payload"]["seq"], said["payload"]["text"]) == (2, "still here")

    def test_without_anybody_there_it_ends_at_once(self, servers):
        server = servers.parlor()
        assert server.stop() == 0
        assert "draining" not in server.output()

    def test_a_second_signal_does_no_harm(self, servers):
        server = servers.parlor()
        with Chat(server, "ada"):
            server.signal(signal.SIGTERM)
            server.signal(signal.SIGTERM)
            assert server.process.wait(6) == 0

    def test_no_new_connection_is_taken(self, servers):
        server = servers.parlor()
        # It answers no Close, so that the server does not end at once.
        with Raw(server, "/ws?user=ada") as silent:
            server.signal(signal.SIGTERM)
            while silent.read_frame().opcode != CLOSE:
                pass
            for _ in range(5):
                status = self.status_of_an_upgrade(server)
                assert status in (None, 503), f"an upgrade is answered with {status}"
                time.sleep(0.05)
        assert server.process.wait(6) == 0

    def status_of_an_upgrade(self, server):
        try:
            with Raw(server, open=False) as raw:
                raw.socket.settimeout(0.3)
                raw.send(request_head("/ws?user=bob"))
                received = raw.socket.recv(100)
                return int(received.split()[1]) if received else None
        except OSError:
            return None

    @pytest.mark.seconds(60)
    @pytest.mark.parametrize("delay", [0.05, 0.1, 0.2])
    def test_all_that_was_acknowledged_is_on_disk(self, servers, delay):
        """And whoever wrote until the end was told the truth: acknowledged, refused, or nothing."""
        server = servers.parlor()
        acknowledged = []
        with Chat(server, "ada") as ada:
            ada.join("lobby")
            threading.Timer(delay, server.signal, [signal.SIGTERM]).start()
            waiting, number = {}, 0
            try:
                while True:
                    for _ in range(20):
                        number += 1
                        waiting[ada.send("chat:send", room="lobby", text=str(number))] = str(number)
                    ada.gather(0.002)
            except harness.ConnectionClosed as closed:
                assert closed.rcvd is not None and closed.rcvd.code == 1012
            for id, text in waiting.items():
                message = ada._answers.get(str(id))
                if message and message["type"] == "reply":
                    acknowledged.append((message["payload"]["seq"], text))
        assert server.process.wait(6) == 0
        assert acknowledged, "nothing was sent in time"
        server = servers.parlor(data=server.data)
        with Chat(server, "ada") as ada:
            log, after = {}, 0
            while True:
                page = ada.history("lobby", after=after)
                for entry in page["entries"]:
                    after += 1
                    assert entry["payload"]["seq"] == after
                    log[after] = entry["payload"].get("text")
                if not page["more"]:
                    break
            for seq, text in acknowledged:
                assert log[seq] == text

    def test_it_is_quick_to_come_back_on_its_port(self, servers):
        server = servers.parlor()
        with Chat(server, "ada") as ada:
            ada.join("lobby")
            server.stop()
        again = servers.parlor(data=server.data, port=server.port)
        with Chat(again, "ada") as ada:
            assert ada.hello["rooms"][0]["room"] == "lobby"


@pytest.fixture(scope="module")
def served(module_servers):
    """All files of the page, by path: `(header fields, text)`."""
    server = module_servers.parlor()
    files, waiting = {}, ["/"]
    while waiting:
        path = waiting.pop()
        if path in files:
            continue
        status, fields, body = server.http(path)
        assert status == 200, path
        files[path] = fields, body.decode()
        text = body.decode()
        found = re.findall(r"""(?:src|href)="(/[^"#?]+)""", text)
        found += ["/" + name for name in re.findall(r"""from\s*["']\./([\w.-]+)["']""", text)]
        found += ["/" + name for name in re.findall(r"""import\(?\s*["']\./([\w.-]+)["']""", text)]
        waiting += found
    return files


class TestPage:
    def test_it_is_html_with_modules_and_a_style(self, served):
        types = {path: fields["content-type"].split(";")[0] for path, (fields, _) in served.items()}
        assert types["/"] == "text/html"
        assert "text/css" in types.values() and "text/javascript" in types.values()
        for path, (fields, text) in served.items():
            assert int(fields["content-length"]) == len(text.encode()), path

    def test_its_policy_lets_nothing_in_from_elsewhere_and_nothing_inline(self, served):
        fields, _ = served["/"]
        policy = {}
        for directive in fields["content-security-policy"].split(";"):
            name, *values = directive.split()
            policy[name] = values
        assert policy["default-src"] in (["'none'"], ["'self'"])
        for name, values in policy.items():
            assert not {"'unsafe-inline'", "'unsafe-eval'", "*", "http:", "https:"} & set(values), (
                name
            )
        assert policy.get("script-src", policy["default-src"]) == ["'self'"]
        assert policy["base-uri"] == ["'none'"] and policy["frame-ancestors"] == ["'none'"]
        assert "data:" not in policy.get("script-src", [])

    def test_no_file_is_taken_for_another_kind(self, served):
        for path, (fields, _) in served.items():
            assert fields["x-content-type-options"] == "nosniff", path

    def test_the_html_keeps_to_its_policy(self, served):
        _, html = served["/"]
        assert not re.search(r"<script(?![^>]*\bsrc=)", html), "a script stands inline"
        assert not re.search(r"<style\b", html), "a style stands inline"
        assert not re.search(r"<[^>]+\s(?:on\w+|style)\s*=", html), "an attribute is a program"
        assert not re.search(r"""(?:src|href)=["']?(?:https?:)?//""", html), (
            "something from elsewhere"
        )

    def test_no_module_makes_markup_or_programs_of_text(self, served):
        """Text of users is never markup: there is no way in these files that could make it so."""
        for path, (fields, text) in served.items():
            if "javascript" not in fields["content-type"]:
                continue
            for sink in (
                r"\binnerHTML\b",
                r"\bouterHTML\b",
                r"\binsertAdjacentHTML\b",
                r"\bsetHTMLUnsafe\b",
                r"\bcreateContextualFragment\b",
                r"\bDOMParser\b",
                r"\bdocument\.write",
                r"\beval\s*\(",
                r"\bnew Function\b",
                r"\bsrcdoc\b",
            ):
                assert not re.search(sink, text), f"{path} uses {sink}"

    def test_health_and_what_is_not_there(self, module_servers):
        server = module_servers.parlor()
        assert server.http("/healthz")[0] == 200
        for path in ("/nowhere", "/../Cargo.toml", "/index.html/..", "/%2e%2e/secret", "/app.js/"):
            status, fields, body = server.http(path)
            assert status == 404, path
            assert b'"error"' in body
        assert server.http("/", method="POST")[0] == 405
        status, fields, body = server.http("/", method="HEAD")
        assert (status, body) == (200, b"")
        assert server.http("/ws")[0] == 426
