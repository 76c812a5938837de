"""`parlor admin`, `health`, `completions` and `man`."""

import http.server
import json
import os
import pty
import socket
import subprocess
import threading

import pytest

import harness
from certificates import Authority
from harness import HOST, PATIENCE, Chat, free_port

ADMIN_TOKEN = "an admin's token of these tests, long enough"


def run(*arguments, **how):
    return harness.run_parlor(*arguments, seconds=PATIENCE, **how)


def at_terminal(*arguments):
    """What a command prints to a terminal, and its status."""
    ours, its = pty.openpty()
    process = subprocess.Popen(
        [harness.parlor_binary(), *map(str, arguments)], stdout=its, stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL, env=harness.clean_environment(),
    )  # fmt: skip
    os.close(its)
    printed = b""
    while True:
        try:
            piece = os.read(ours, 65_536)
        except OSError:
            piece = b""
        if not piece:
            break
        printed += piece
    os.close(ours)
    return process.wait(PATIENCE), printed.decode().replace("\r\n", "\n")


class Place:
    def __init__(self, servers):
        self.directory = servers.directory()
        self.socket = self.directory / "admin.sock"
        self.port, self.admin = free_port(), free_port()
        (self.directory / "admin").write_text(ADMIN_TOKEN)
        self.server = servers.parlor(
            "--secret-file", servers.secret_file(),
            "--set", f"auth.admin_token_file={self.directory / 'admin'}",
            "--set", 'streams={ "ticker" = { publish = true }, "cpu" = { publish = true } }',
            "--set", "limits.page=2",
            port=self.port,
            listeners=[
                f'address = "{HOST}:{self.port}"',
                f'address = "{HOST}:{self.admin}", serves = ["admin"]',
                f'address = "unix:{self.socket}", serves = ["admin"]',
            ],
        )  # fmt: skip

    def chat(self, user, **claims):
        return Chat(self.server, token=harness.token(user, **claims))

    def __call__(self, *arguments, **how):
        """A command through the socket: its answer."""
        done = run("admin", *arguments, "--socket", self.socket, **how)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def fails(self, *arguments):
        done = run("admin", *arguments, "--socket", self.socket)
        assert done.returncode != 0 and not done.stdout
        return done.stderr


@pytest.fixture(scope="module")
def place(module_servers):
    return Place(module_servers)


class TestLists:
    def test_all_pages_come_as_one_where_a_program_reads(self, place):
        with place.chat("ada") as ada, place.chat("bob"), place.chat("eve"):
            for room in ("one", "two", "three"):
                ada.request("room:create", room=room)
            users = place("users")["users"]
            assert [one["user"] for one in users] == ["ada", "bob", "eve"]
            assert {one["user"] for one in place("connections")["connections"]} == {"ada", "bob", "eve"}
            # Also those that nobody else sees, of nobody who asks.
            assert [one["room"] for one in place("rooms")["rooms"]] == ["one", "three", "two"]
            assert [one["stream"] for one in place("streams")["streams"]] == ["cpu", "ticker"]

    def test_people_see_tables_that_nobody_paints(self, place):
        with place.chat("ada", name="Ada B"):
            status, printed = at_terminal("admin", "users", "--socket", place.socket)
            lines = printed.splitlines()
            assert status == 0 and lines[0].split() == ["USER", "NAME", "CONNECTIONS", "SINCE"]
            assert lines[1].startswith("ada") and lines[1].split()[-1].endswith("Z")
            assert json.loads(at_terminal("admin", "users", "--json", "--socket", place.socket)[1])["users"]
        status, printed = at_terminal("admin", "streams", "--socket", place.socket)
        assert printed.splitlines()[1].split()[:2] == ["cpu", "latest"]

    def test_all_rooms_are_for_admins(self, place):
        with place.chat("joe") as joe:
            assert joe.refused("room:list", all=True) == "forbidden"


class TestActions:
    def test_somebody_is_kicked(self, place):
        with place.chat("kim") as kim, place.chat("kim") as other:
            one = place("connections")["connections"][0]["connection"]
            assert place("kick", "--connection", one) == {"closed": 1}
            assert place("kick", "kim") == {"closed": 1}
            assert {kim.closed(), other.closed()} == {4003}

    def test_tokens_are_revoked(self, place):
        token = harness.token("lea")
        with Chat(place.server, token=token) as lea:
            assert place("revoke", "lea") == {"closed": 1}
            assert lea.closed() == 4201
        assert place.server.http(f"/api/v1/info", headers={"Authorization": f"Bearer {token}"})[0] == 401
        assert place("revoke", "--token-id", "some-id") == {"closed": 0}

    def test_somebody_is_invited_and_pushed_to(self, place):
        with place.chat("max") as max_, place.chat("ned") as ned:
            max_.request("room:create", room="den:1")
            assert place("invite", "den:1", "ned")["members"] == 2
            assert ned.push("room:joined")["room"] == "den:1"
            for whom, reached in (("--all", 2), ("--user=max", 1), ("--room=den:1", 2)):
                assert place("push", "app:news", '{"n":1}', whom) == {"reached": reached}
            assert max_.push("app:news") == {"n": 1}

    def test_what_is_refused_says_why(self, place):
        assert "404 no_such_room" in place.fails("invite", "nowhere", "ned")
        assert "say to whom" in place.fails("push", "app:news")
        assert "no JSON object" in place.fails("push", "app:news", "[1]", "--all")
        done = run("admin", "users", "--url", f"http://{HOST}:{place.port}/")
        assert done.returncode == 1 and "401" in done.stderr
        done = run("admin", "users", "--socket", place.directory / "none")
        assert done.returncode == 1 and f"{place.directory / 'none'}: nobody listens there" in done.stderr
        done = run("admin", "kick")
        assert done.returncode == 2 and "--connection" in done.stderr


    def test_a_socket_whose_backlog_is_full_is_not_waited_for_without_end(self, servers):
        path = servers.directory() / "full"
        with socket.socket(socket.AF_UNIX) as listening, socket.socket(socket.AF_UNIX) as first:
            listening.bind(str(path))
            listening.listen(0)
            first.connect(str(path))
            done = harness.run_parlor("health", "--socket", path, seconds=20)
        assert done.returncode == 1 and "does not answer" in done.stderr, done


class TestWhere:
    def test_by_a_url_with_a_token(self, place):
        url = ("--url", f"http://{HOST}:{place.admin}")
        done = run("admin", "users", *url, "--token-file", place.directory / "admin")
        assert json.loads(done.stdout) == {"users": []}, done.stderr
        done = run("admin", "users", *url, env={"PARLOR_ADMIN_TOKEN": ADMIN_TOKEN})
        assert json.loads(done.stdout) == {"users": []}, done.stderr

    def test_the_configuration_says_where(self, servers):
        directory = servers.directory()
        port, path = free_port(), directory / "s"
        (directory / "admin").write_text(ADMIN_TOKEN)
        config = directory / "parlor.toml"
        common = f'[auth]\nsecret_file = "{servers.secret_file()}"\nadmin_token_file = "{directory / "admin"}"\n'
        for listeners in (
            f'listen = "{HOST}:{port}"\n',
            f'[[listeners]]\naddress = "{HOST}:{port}"\n[[listeners]]\naddress = "unix:{path}"\nserves = ["admin"]\n',
        ):
            config.write_text(listeners + common)
            command = [harness.parlor_binary(), "serve", "--data", ":memory:", "--config", config]
            server = harness.Server(command, port, "parlor", harness._is_healthy)
            for how in ({"env": {"PARLOR_CONFIG": config}}, {}):
                arguments = () if how else ("--config", config)
                assert json.loads(run("admin", "rooms", *arguments, **how).stdout) == {"rooms": []}
                done = run("health", *arguments, **how)
                assert done.returncode == 0 and "ready" in done.stdout, done
            server.stop()
        done = run("health", "--config", config)
        assert done.returncode == 1 and "does not answer" in done.stderr

    def test_over_tls_with_certificates_at_both_ends(self, servers):
        authority, clients = Authority(), Authority()
        directory, own = servers.directory(), servers.directory()
        files = authority.write(directory, HOST)
        (directory / "ca.pem").write_bytes(authority.pem)
        (directory / "clients.pem").write_bytes(clients.pem)
        (directory / "admin").write_text(ADMIN_TOKEN)
        certificate, key = clients.write(own, "operator")
        (own / "both.pem").write_bytes(certificate.read_bytes() + key.read_bytes())
        port, plain = free_port(), free_port()
        config = directory / "parlor.toml"
        config.write_text(
            f'[[listeners]]\naddress = "{HOST}:{port}"\nserves = ["admin"]\ntls = true\n'
            f'client_ca_file = "{directory}/clients.pem"\n[[listeners]]\naddress = "{HOST}:{plain}"\n'
            f'[tls]\ncert_file = "{files[0]}"\nkey_file = "{files[1]}"\n'
            f'[auth]\nsecret_file = "{servers.secret_file()}"\nadmin_token_file = "{directory}/admin"\n'
        )
        command = [harness.parlor_binary(), "serve", "--data", ":memory:", "--config", config]
        server = harness.Server(command, plain, "parlor", harness._is_healthy)
        try:
            by_url = ["--url", f"https://{HOST}:{port}", "--token-file", directory / "admin"]
            good = ["--ca", directory / "ca.pem", "--cert", own / "both.pem"]
            assert json.loads(run("admin", "users", *by_url, *good).stdout) == {"users": []}
            assert run("admin", "users", *by_url, *good[2:]).returncode == 1, "nobody knows its authority"
            assert run("admin", "users", *by_url, *good[:2]).returncode == 1, "it wants a certificate"
            here = run("admin", "users", "--config", config, "--cert", own / "both.pem")
            assert json.loads(here.stdout) == {"users": []}, here.stderr
        finally:
            server.kill()


class TestHostile:
    @pytest.fixture
    def server(self):
        """A server that is none; `asked` are the heads of its requests."""
        asked, answers = [], {}

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                asked.append(dict(self.headers))
                status, body = answers["all"]
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_DELETE = do_GET

            def log_message(self, *_):
                pass

        server = http.server.ThreadingHTTPServer((HOST, 0), Handler)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://{HOST}:{server.server_port}", asked, answers
        server.shutdown()
        thread.join()
        server.server_close()

    def test_what_a_server_says_controls_no_terminal(self, server):
        url, _, answers = server
        escape = "\u001b[31m"
        answers["all"] = 403, json.dumps({"error": {"code": escape, "message": escape}}).encode()
        assert "\x1b" not in at_terminal("admin", "kick", "ada", "--url", url)[1]
        answers["all"] = 200, json.dumps({escape: escape}).encode()
        printed = at_terminal("admin", "kick", "ada", "--url", url)[1]
        assert "\x1b" not in printed and "u{1b}" in printed

    def test_who_asks_for_health_shows_no_token(self, server):
        url, asked, answers = server
        answers["all"] = 200, b"{}"
        assert run("health", "--url", url, env={"PARLOR_ADMIN_TOKEN": ADMIN_TOKEN}).returncode == 0
        assert "Authorization" not in asked[0]

    def test_a_reader_that_has_seen_enough_is_no_failure(self, place):
        program = f"{harness.parlor_binary()} admin streams --socket {place.socket}"
        for command, status in ((f"{program} | true", 0), (f"{program} >/dev/full", 1)):
            done = subprocess.run(
                ["bash", "-c", f"set -o pipefail; {command}"], capture_output=True, text=True, check=False
            )
            assert done.returncode == status and "panicked" not in done.stderr, done


class TestGenerated:
    @pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
    def test_a_shell_completes_it(self, shell):
        done = run("completions", shell)
        assert done.returncode == 0 and "listeners" not in done.stderr
        assert "connections" in done.stdout and "--socket" in done.stdout.replace("-l socket", "--socket")
        if shell == "bash":
            assert subprocess.run(["bash", "-n"], input=done.stdout, text=True, check=False).returncode == 0

    def test_every_command_has_a_page(self, servers):
        directory = servers.directory()
        assert run("man", directory).returncode == 0
        pages = {path.name for path in directory.iterdir()}
        assert {"parlor.1", "parlor-serve.1", "parlor-admin.1", "parlor-admin-kick.1", "parlor-data-backup.1"} <= pages
        assert "Take the place of the server" in (directory / "parlor-serve.1").read_text()
        assert run("man", directory / "new/one").returncode == 0
