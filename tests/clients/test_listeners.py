"""[[listeners]]: several at once, each with its own roles, sockets, proxies and limits."""

import contextlib
import http.client
import json
import os
import re
import signal
import socket
import ssl
import stat
import subprocess
import time
from pathlib import Path

import pytest

import harness
from certificates import Authority
from harness import HOST, PATIENCE, Chat, Raw, Refused, free_port, request_head

ADMIN_TOKEN = "an admin's token of these tests, long enough"


class UnixConnection(http.client.HTTPConnection):
    """One at a path."""

    def __init__(self, path):
        super().__init__("localhost", timeout=PATIENCE)
        self._path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(PATIENCE)
        self.sock.connect(self._path)


def ask(where, path, method="GET", headers=None, body=None):
    """One request to a port, or to a path; gives status, fields and content."""
    connection = (
        http.client.HTTPConnection(HOST, where, timeout=PATIENCE) if isinstance(where, int) else UnixConnection(where)
    )
    with contextlib.closing(connection):
        connection.request(method, path, body=body, headers=headers or {})
        answer = connection.getresponse()
        fields = {name.lower(): value for name, value in answer.getheaders()}
        return answer.status, fields, answer.read()


def status(where, path, token=None, **how):
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return ask(where, path, headers=headers, **how)[0]


def refused_start(*arguments, env=None):
    """What a server says that does not start."""
    done = harness.run_parlor("serve", "--data", ":memory:", *arguments, seconds=PATIENCE, env=env)
    assert done.returncode != 0, done.stdout
    return done.stderr


class Place:
    """A server with a listener for each role."""

    def __init__(self, servers, **how):
        self.directory = servers.directory()
        self.socket = self.directory / "admin.sock"
        self.users_socket = self.directory / "users.sock"
        self.public, self.admin, self.metrics, self.both = (free_port() for _ in range(4))
        listeners = [
            f'address = "{HOST}:{self.public}"',
            f'address = "{HOST}:{self.admin}", serves = ["admin"]',
            f'address = "{HOST}:{self.metrics}", serves = ["metrics"]',
            f'address = "{HOST}:{self.both}", serves = ["public", "admin"]',
            f'address = "unix:{self.socket}", serves = ["admin", "metrics"]',
            f'address = "unix:{self.users_socket}", mode = "666"',
        ]
        (self.directory / "admin").write_text(ADMIN_TOKEN)
        self.server = servers.parlor(
            "--secret-file", servers.secret_file(),
            "--set", f"auth.admin_token_file={self.directory / 'admin'}",
            port=self.public,
            listeners=listeners,
            **how,
        )  # fmt: skip

    def everywhere(self, path, token=None):
        """The status at each listener, in their order."""
        ports = self.public, self.admin, self.metrics, self.both, self.socket, self.users_socket
        return [status(where, path, token) for where in ports]


@pytest.fixture(scope="module")
def place(module_servers):
    return Place(module_servers, set={"auth.anonymous": "true"})


class TestRoles:
    def test_each_serves_its_own(self, place):
        user, admin = harness.token("ada"), harness.token("root", admin=True)
        assert place.everywhere("/healthz") == place.everywhere("/readyz") == [200] * 6
        assert place.everywhere("/") == [200, 200, 404, 200, 200, 200]
        # Guests are let in where users are.
        assert place.everywhere("/api/v1/info") == [200, 401, 404, 200, 200, 200]
        assert place.everywhere("/api/v1/info", user) == [200, 403, 404, 200, 200, 200]
        assert place.everywhere("/api/v1/info", admin) == [200, 200, 404, 200, 200, 200]
        # Nobody is an admin where admins are not served.
        for token in (admin, ADMIN_TOKEN):
            as_nobody = 403 if token == admin else 401
            assert place.everywhere("/api/v1/connections", token) == [as_nobody, 200, 404, 200, 200, as_nobody]
        assert place.everywhere("/api/v1/connections", user) == [403, 403, 404, 403, 200, 403]
        # (A guest is somebody: not a 401.)
        assert place.everywhere("/metrics") == [403, 401, 200, 403, 200, 403]
        assert place.everywhere("/metrics", admin) == [403, 200, 200, 200, 200, 403]
        assert place.everywhere("/metrics", ADMIN_TOKEN) == [401, 200, 200, 200, 200, 401]

    @pytest.mark.parametrize("says", ["in the address", "later"])
    def test_an_admin_is_one_only_where_admins_are_served(self, place, says):
        def connections(port, **claims):
            """What `admin:connections` answers to a WebSocket."""
            place.server.port = port
            token = harness.token("root", **claims)
            try:
                with Chat(place.server, hello=False, **({"token": token} if says == "in the address" else {})) as chat:
                    if says == "later":
                        chat.request("auth", token=token)
                    return chat.request("admin:connections")
            finally:
                place.server.port = place.public

        for port in (place.admin, place.both):
            assert connections(port, admin=True)["connections"]
        with pytest.raises(Refused) as refused:
            connections(place.public, admin=True)
        assert refused.value.code == "forbidden"
        # A user gets nowhere at the listener for admins.
        with pytest.raises(Exception) as ended:
            connections(place.admin)
        refusal = "403" if says == "in the address" else "4001"
        assert refusal in str(ended.value)

    def test_a_cookie_and_a_ticket_have_no_more_rights_than_their_owner_has_there(self, place):
        admin = harness.token("root", admin=True)
        fields = {"Authorization": f"Bearer {admin}"}
        code, _, body = ask(place.both, "/api/v1/ticket", "POST", fields)
        ticket = json.loads(body)["ticket"]
        assert code == 200
        # A user's ticket is none at the listener for admins.
        code, _, body = ask(place.public, "/api/v1/ticket", "POST", fields)
        assert status(place.admin, f"/api/v1/events?token={json.loads(body)['ticket']}", method="HEAD") == 403
        assert status(place.admin, f"/api/v1/events?token={ticket}", method="HEAD") == 200
        code, _, _ = ask(place.admin, "/api/v1/ticket", "POST", {"Authorization": f"Bearer {harness.token('ada')}"})
        assert code == 403

    def test_what_is_for_users_alone_is_refused_elsewhere(self, place):
        upgrade = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13",
                   "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="}  # fmt: skip
        guest = "/ws?anonymous=1"
        assert [ask(port, guest, headers=upgrade)[0] for port in (place.public, place.metrics)] == [101, 404]
        # It may say later who it is; a guest it is not.
        place.server.port = place.admin
        try:
            with Chat(place.server, hello=False, anonymous=1) as nobody, pytest.raises(Refused) as refused:
                nobody.request("room:list")
            assert refused.value.code == "unauthorized"
        finally:
            place.server.port = place.public


class TestUnixSockets:
    def test_the_file_has_its_mode_and_goes_with_the_server(self, servers):
        place = Place(servers)
        modes = [stat.S_IMODE(path.stat().st_mode) for path in (place.socket, place.users_socket)]
        assert modes == [0o600, 0o666]
        assert place.server.stop() == 0
        assert not place.socket.exists() and not place.users_socket.exists()

    def test_a_file_that_a_killed_server_left_is_replaced(self, servers):
        place = Place(servers)
        place.server.kill()
        assert place.socket.exists()
        with servers.parlor(data=":memory:", port=free_port(), listeners=[
            f'address = "unix:{place.socket}", serves = ["admin"]',
        ], is_ready=lambda server: "Listens at" in server.output()).process as process:  # fmt: skip
            assert status(place.socket, "/api/v1/connections") == 200
            process.kill()

    def test_what_somebody_else_has_there_stays(self, servers):
        place = Place(servers)
        listeners = f'listeners=[{{ address = "unix:{place.socket}", serves = ["admin"] }}]'
        assert f"unix:{place.socket} is in use" in refused_start("--set", listeners)
        assert status(place.socket, "/healthz") == 200
        file = place.directory / "file"
        file.write_text("mine")
        said = refused_start("--set", listeners.replace(str(place.socket), str(file)))
        assert "there is a file that is no socket" in said and file.read_text() == "mine"

    def test_whoever_opens_a_socket_for_admins_is_one(self, place):
        # Also in the name of a user, and without a Host of this machine.
        code, _, body = ask(place.socket, "/api/v1/rooms/r?user=ada", "PUT", {"Host": "anything"}, b"{}")
        assert code == 201, body
        code, _, body = ask(place.socket, "/api/v1/rooms/r/members?user=ada")
        assert code == 200 and [one["user"] for one in json.loads(body)["members"]] == ["ada"]

    def test_in_open_mode_there_are_admins_at_the_socket_alone(self, servers):
        path, port = servers.directory() / "s", free_port()
        servers.parlor(port=port, listeners=[
            f'address = "{HOST}:{port}", serves = ["public", "admin"]',
            f'address = "unix:{path}", serves = ["admin"]',
        ])  # fmt: skip
        assert status(port, "/api/v1/connections?user=ada") == 403
        assert status(path, "/api/v1/connections?user=ada") == 200

    def test_users_chat_at_one(self, place):
        with socket.socket(socket.AF_UNIX) as raw:
            raw.settimeout(PATIENCE)
            raw.connect(str(place.users_socket))
            from websockets.sync.client import connect

            with connect(f"ws://localhost/ws?token={harness.token('eve')}", sock=raw, legacy=True) as chat:
                assert json.loads(chat.recv(PATIENCE))["type"] == "hello"
                text = "y" * 15_000
                chat.send(json.dumps({"type": "room:create", "id": 1, "payload": {"room": "u"}}))
                chat.send(json.dumps({"type": "chat:send", "id": 2, "payload": {"room": "u", "text": text}}))
                while (got := json.loads(chat.recv(PATIENCE)))["type"] != "chat:message":
                    pass
                assert got["payload"]["text"] == text

    def test_its_owner_is_set_and_one_that_is_nobody_is_told(self, servers):
        listeners = 'listeners=[{{ address = "unix:{}", serves = ["admin"], owner = "{}" }}]'
        path = servers.directory() / "s"
        said = refused_start("--set", listeners.format(path, "nobody-of-this-name"))
        assert "nobody-of-this-name is no user or no group" in said and not path.exists()

    def test_root_gives_it_away_and_others_leave_nothing_behind(self, servers, root):
        path, directory = servers.directory() / "s", servers.directory()
        server = servers.parlor(port=1, listeners=[
            f'address = "unix:{path}", serves = ["admin"], owner = "nobody:12345"',
        ], is_ready=lambda server: "Listens at" in server.output())  # fmt: skip
        found = path.stat()
        assert (found.st_uid, found.st_gid) == (65_534, 12_345)
        server.stop()
        directory.chmod(0o777)
        listeners = f'listeners=[{{ address = "unix:{directory}/s", serves = ["admin"], owner = "root" }}]'
        done = subprocess.run(
            [harness.parlor_binary(), "serve", "--data", ":memory:", "--set", listeners], user=65_534, group=65_534,
            extra_groups=[], capture_output=True, text=True, timeout=PATIENCE, check=False, cwd="/",
        )  # fmt: skip
        assert done.returncode == 1 and "cannot listen" in done.stderr, done
        assert list(directory.iterdir()) == []


def line(client):
    """A PROXY header, version 1."""
    return f"PROXY TCP4 {client} {HOST} 1 2\r\n".encode()


class TestProxiesAndLimits:
    @pytest.fixture(scope="class")
    @classmethod
    def ports(cls, module_servers):
        forwarded, protocol, few, direct = (free_port() for _ in range(4))
        secret = module_servers.secret_file()
        server = module_servers.parlor(
            "--secret-file", secret,
            port=direct,
            set={"limits.connections": 40},
            listeners=[
                f'address = "{HOST}:{direct}", serves = ["public", "admin"], connections_per_address = 3',
                f'address = "{HOST}:{forwarded}", proxy = "forwarded", connections_per_address = 2',
                f'address = "{HOST}:{protocol}", proxy = "protocol", connections_per_address = 2',
                f'address = "{HOST}:{few}", connections = 2',
            ],
        )  # fmt: skip
        return server, direct, forwarded, protocol, few

    def hold(self, server, port, first=b"", fields=()):
        """A WebSocket, and the status of its answer."""
        server.port, before = port, server.port
        try:
            client = Raw(server, open=False)
        finally:
            server.port = before
        client.send(first + request_head(f"/ws?token={harness.token()}", (*harness.FIELDS, *fields)))
        return client.read_answer().status, client

    def test_clients_are_told_apart_as_the_listener_says(self, ports):
        server, direct, forwarded, protocol, _ = ports
        held = []
        for port, first, fields in (
            (direct, lambda client: b"", lambda client: [("X-Forwarded-For", client)]),
            (forwarded, lambda client: b"", lambda client: [("X-Forwarded-For", client)]),
            (protocol, line, lambda client: []),
        ):
            asked = []
            for client in ("192.0.2.1", "192.0.2.1", "192.0.2.1", "192.0.2.2", "192.0.2.3"):
                status, raw = self.hold(server, port, first(client), fields(client))
                asked.append(status)
                held.append(raw)
            # Where nothing says otherwise, all are at the same address, and its limit is the listener's.
            expected = [101, 101, 101, 429, 429] if port == direct else [101, 101, 429, 101, 101]
            assert asked == expected, port
        for raw in held:
            raw.end()

    def test_a_header_where_none_is_expected_is_refused_and_one_that_is_missing_too(self, ports):
        server, direct, _, protocol, _ = ports
        harness_until(lambda: self.hold(server, direct, line("192.0.2.1"))[0] == 400)
        assert self.hold(server, protocol)[0] == 400

    def test_a_listener_with_places_of_its_own_neither_takes_nor_needs_those_of_all(self, ports):
        server, direct, forwarded, _, few = ports
        held = [self.hold(server, few) for _ in range(2)]
        assert [status for status, _ in held] == [101, 101]
        assert self.hold(server, few)[0] == 503
        for _, raw in held:
            raw.end()
        everybody = [
            self.hold(server, forwarded, fields=[("X-Forwarded-For", f"198.51.100.{host}")]) for host in range(45)
        ]
        statuses = [status for status, _ in everybody]
        assert statuses.count(503) >= 5 and statuses.count(101) >= 35, statuses
        # Operators, and the others with places of their own, come in.
        deadline = time.monotonic() + PATIENCE
        while (found := self.hold(server, few)[0]) == 503 and time.monotonic() < deadline:
            time.sleep(0.1)
        assert found == 101
        for _, raw in everybody:
            raw.end()

    def test_it_has_its_own_patience(self, servers):
        direct, few = free_port(), free_port()
        servers.parlor(port=direct, set={"handshake.timeout_ms": 60_000}, listeners=[
            f'address = "{HOST}:{direct}"',
            f'address = "{HOST}:{few}", handshake_timeout_ms = 300',
        ])  # fmt: skip
        with socket.create_connection((HOST, direct)) as patient, socket.create_connection((HOST, few)) as hasty:
            for one in (patient, hasty):
                one.sendall(b"GET /healthz HTTP/1.1\r\n")
                one.settimeout(PATIENCE)
            assert b" 408 " in hasty.recv(1_000)
            patient.settimeout(0.3)
            with pytest.raises(TimeoutError):
                patient.recv(1)


def idle(port, client):
    """A connection of that client's, by a proxy, which has had its answer and may be used again."""
    one = socket.create_connection((HOST, port), PATIENCE)
    one.settimeout(PATIENCE)
    one.sendall(line(client) + request_head("/healthz", [("Host", HOST)]))
    return one, one.recv(1_000)[9:12]


class TestOperatorsComeIn:
    """Whatever strangers hold."""

    def test_an_address_has_a_part_of_the_places_and_who_does_nothing_makes_room(self, servers):
        port, public = free_port(), free_port()
        servers.parlor(port=public, roomy=False, listeners=[
            f'address = "{HOST}:{public}"',
            f'address = "{HOST}:{port}", serves = ["admin"], proxy = "protocol"',
        ], env={"PARLOR_SECRET": harness.SECRET})  # fmt: skip
        with contextlib.ExitStack() as stack:
            def come(client):
                one, status = idle(port, client)
                stack.enter_context(one)
                return status

            assert [come("192.0.2.1") for _ in range(17)] == [b"200"] * 16 + [b"429"]
            # Four addresses have all places, and do nothing with them: newcomers come in.
            assert {come(f"192.0.2.{host}") for host in (2, 3, 4) for _ in range(16)} == {b"200"}
            assert [come(f"198.51.100.{host}") for host in range(30)] == [b"200"] * 30

    def test_connections_of_users_end_no_idle_ones_of_operators(self, servers):
        metrics, public = free_port(), free_port()
        servers.parlor(port=public, roomy=False, set={"limits.connections": 16}, listeners=[
            f'address = "{HOST}:{public}"',
            f'address = "{HOST}:{metrics}", serves = ["metrics"]',
        ])  # fmt: skip
        with contextlib.ExitStack() as stack:
            kept = http.client.HTTPConnection(HOST, metrics, timeout=PATIENCE)
            stack.callback(kept.close)
            kept.request("GET", "/metrics")
            kept.getresponse().read()
            sock = kept.sock
            for _ in range(20):
                stack.enter_context(socket.create_connection((HOST, public)))
            kept.request("GET", "/metrics")
            assert kept.getresponse().status == 200 and kept.sock is sock

    def test_metrics_cost_work_that_users_do_not_use_up(self, servers):
        metrics, public = free_port(), free_port()
        work = {"limits.address_work_per_second": 1, "limits.address_work_burst": 8, "metrics.public": "true"}
        servers.parlor(port=public, roomy=False, set=work, listeners=[
            f'address = "{HOST}:{public}"',
            f'address = "{HOST}:{metrics}", serves = ["metrics"]',
        ])  # fmt: skip
        # Four units each.
        assert [status(public, "/metrics") for _ in range(3)] == [200, 200, 429]
        assert [status(metrics, "/metrics") for _ in range(3)] == [200, 200, 429]
        code, fields, body = ask(metrics, "/metrics")
        assert code == 429 and b"rate_limited" in body and int(fields["retry-after"]) >= 1
        assert ask(metrics, "/healthz")[0] == 200

    def test_a_unix_socket_has_no_address_that_others_use_up(self, servers):
        path, public = servers.directory() / "s", free_port()
        servers.parlor(port=public, roomy=False, set={"limits.connections_per_address": 5, "proxies.protocol": HOST},
                       is_ready=lambda server: "Chat: " in server.output(), listeners=[
            f'address = "{HOST}:{public}"',
            f'address = "unix:{path}", serves = ["admin"]',
        ])  # fmt: skip
        with contextlib.ExitStack() as stack:
            for _ in range(7):
                one, _ = idle(public, HOST)
                stack.enter_context(one)
            # Nor is it a proxy's.
            for _ in range(20):
                one = socket.socket(socket.AF_UNIX)
                stack.enter_context(one)
                one.connect(str(path))
            assert status(path, "/api/v1/connections") == 200


class TestStrangers:
    def test_what_is_for_everybody_is_so_only_where_users_are_served(self, servers):
        public, admin, redirect = (free_port() for _ in range(3))
        # Nobody answers at port 1: who is asked is seen by the answer.
        server = servers.parlor(
            "--set", 'handlers=[{ types = ["open.*"], url = "http://127.0.0.1:1/", rights = "public" }]',
            "--set", "auth.url=http://127.0.0.1:1/",
            port=public,
            listeners=[
                f'address = "{HOST}:{public}"',
                f'address = "{HOST}:{admin}", serves = ["admin"]',
                f'address = "{HOST}:{redirect}", serves = ["redirect"], https_port = 443',
            ],
        )  # fmt: skip
        for port, expected in ((public, 502), (admin, 401)):
            code, _, body = ask(port, "/api/v1/call/open.x", "POST", body=b"{}")
            assert code == expected or (port == public and code in (503, 504)), body
        # What comes in the clear is shown to nobody.
        code, fields, _ = ask(redirect, "/api/v1/info", headers={"Host": "a.example", "Cookie": "session=1"})
        assert (code, fields["location"]) == (308, "https://a.example/api/v1/info")
        assert server.http("/healthz")[0] == 200

    def test_metrics_are_not_read_by_pages_elsewhere_nor_in_open_mode_by_everybody(self, servers, place):
        assert ask(place.metrics, "/metrics", headers={"Host": f"localhost:{place.metrics}"})[0] == 200
        assert ask(place.metrics, "/metrics", headers={"Host": "evil.example"})[0] == 403
        public, admin = free_port(), free_port()
        servers.parlor(port=public, listeners=[
            f'address = "{HOST}:{public}"', f'address = "{HOST}:{admin}", serves = ["admin"]',
        ])  # fmt: skip
        assert [status(port, "/metrics") for port in (public, admin)] == [200, 401]


class TestTls:
    @pytest.fixture(scope="class")
    @classmethod
    def authority(cls):
        return Authority()

    @pytest.fixture(scope="class")
    @classmethod
    def files(cls, authority, module_servers):
        names = ["chat.example", "b.example", "*.c.example"]
        directories = [module_servers.directory() for _ in names]
        return [authority.write(path, name, HOST) for path, name in zip(directories, names)]

    def context(self, authority, client=None):
        context = authority.context()
        context.check_hostname = False
        if client:
            context.load_cert_chain(client[1], client[2])
        return context

    def shown(self, port, authority, name):
        raw = socket.create_connection((HOST, port), PATIENCE)
        with self.context(authority).wrap_socket(raw, server_hostname=name) as tls:
            return dict(part[0] for part in tls.getpeercert()["subject"])["commonName"]

    def test_the_name_that_is_asked_for_has_its_certificate(self, servers, authority, files):
        port, plain = free_port(), free_port()
        pairs = ",".join(f"{cert}:{key}" for cert, key in files[1:])
        server = servers.parlor(
            "--tls-cert", files[0][0], "--tls-key", files[0][1],
            "--set", f"tls.certificates={pairs}",
            port=plain,
            listeners=[f'address = "{HOST}:{port}", tls = true', f'address = "{HOST}:{plain}"'],
        )  # fmt: skip
        for name, expected in [
            ("chat.example", "chat.example"),
            ("b.example", "b.example"),
            ("x.c.example", "*.c.example"),
            ("y.x.c.example", "chat.example"),
            (None, "chat.example"),
        ]:
            assert self.shown(port, authority, name) == expected
        # One that is not the default changes, too, while it runs.
        authority.write(files[1][0].parent, "b.example", "new.example")
        server.signal(signal.SIGHUP)
        harness_until(lambda: self.shown(port, authority, "new.example") == "b.example")
        # Each listener is what it is.
        assert status(plain, "/healthz") == 200 and status(port, "/healthz") == 400

    def test_a_listener_may_ask_for_a_certificate_of_the_clients_own(self, servers, authority, files):
        clients, strangers = Authority(), Authority()
        directory = servers.directory()
        (directory / "ca.pem").write_bytes(clients.pem)
        (directory / "admin").write_text(ADMIN_TOKEN)
        admin, public = free_port(), free_port()
        servers.parlor(
            "--tls-cert", files[0][0], "--tls-key", files[0][1],
            "--secret-file", servers.secret_file(),
            "--set", f"auth.admin_token_file={directory / 'admin'}",
            port=public,
            listeners=[
                f'address = "{HOST}:{admin}", serves = ["admin"], tls = true, client_ca_file = "{directory / "ca.pem"}"',
                f'address = "{HOST}:{public}"',
            ],
        )  # fmt: skip

        def asked(client, token):
            own = None
            if client:
                folder = servers.directory()
                own = (client, *client.write(folder, "operator"))
            connection = http.client.HTTPSConnection(
                HOST, admin, context=self.context(authority, own), timeout=PATIENCE
            )
            with contextlib.closing(connection):
                connection.request("GET", "/api/v1/connections", headers={"Authorization": f"Bearer {token}"})
                return connection.getresponse().status

        assert asked(clients, ADMIN_TOKEN) == 200
        # Nobody comes back by a ticket without showing it again: it may have ended.
        folder = servers.directory()
        context = self.context(authority, (clients, *clients.write(folder, "operator")))
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            context.maximum_version = version
            session = None
            for _ in range(2):
                raw = socket.create_connection((HOST, admin), PATIENCE)
                with context.wrap_socket(raw, session=session) as tls:
                    tls.sendall(request_head("/healthz", [("Host", HOST)]))
                    assert tls.recv(100).startswith(b"HTTP/1.1 200 ") and not tls.session_reused
                    session = tls.session
        # The certificate does not stand for the token, nor the token for the certificate.
        assert asked(clients, "another") == 401
        for client in (None, strangers):
            with pytest.raises((ssl.SSLError, ConnectionError)):
                asked(client, ADMIN_TOKEN)
        assert status(public, "/healthz") == 200


def harness_until(holds):
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline, "it does not come"
        time.sleep(0.05)


class TestRedirects:
    @pytest.fixture(scope="class")
    @classmethod
    def port(cls, module_servers):
        authority = Authority()
        files = authority.write(module_servers.directory(), HOST)
        self_port, https = free_port(), free_port()
        webroot = module_servers.directory()
        challenges = webroot / ".well-known/acme-challenge"
        challenges.mkdir(parents=True)
        (challenges / "a-Token_1").write_text("a-Token_1.thumbprint")
        (challenges / "large").write_text("x" * 5_000)
        (challenges / "folder").mkdir()
        (challenges.parent / "outside").write_text("secret")
        os.mkfifo(challenges / "pipe")
        module_servers.parlor(
            "--tls-cert", files[0], "--tls-key", files[1],
            port=self_port,
            listeners=[
                f'address = "{HOST}:{https}", tls = true',
                f'address = "{HOST}:{self_port}", serves = ["redirect"], acme_webroot = "{webroot}"',
            ],
        )  # fmt: skip
        return self_port, https, challenges

    def test_a_request_is_sent_to_https(self, servers, port):
        port, https, _ = port
        for path in ("/", "/rooms?x=%20y&z", "/metrics", "/api/v1/info", "/.well-known/other", "/ws"):
            code, fields, _ = ask(port, path, headers={"Host": "localhost:80"})
            assert (code, fields["location"]) == (308, f"https://localhost:{https}{path}")
        # Behind a container's ports, https is at another one than here.
        outside = free_port()
        servers.parlor(port=outside, listeners=[
            f'address = "{HOST}:{free_port()}"',
            f'address = "{HOST}:{outside}", serves = ["redirect"], https_port = 443',
        ], env={"PARLOR_SECRET": harness.SECRET})  # fmt: skip
        assert ask(outside, "/a?b", headers={"Host": "a.example:80"})[1]["location"] == "https://a.example/a?b"
        # Nobody believes that what was sent in the clear was right.
        code, fields, body = ask(port, "/api/v1/rooms/r/messages", "POST", {"Host": "localhost"}, b"{}")
        assert code == 403 and b"https alone" in body and "location" not in fields
        assert ask(port, "/healthz")[0] == 200

    def test_browsers_are_told_to_come_by_https_where_the_rest_is_redirected(self, servers, port):
        _, https, _ = port
        context = ssl._create_unverified_context()

        def fields(port, context):
            connection = http.client.HTTPSConnection(HOST, port, context=context, timeout=PATIENCE)
            with contextlib.closing(connection):
                connection.request("GET", "/")
                return dict(connection.getresponse().getheaders())

        assert fields(https, context)["Strict-Transport-Security"] == "max-age=31536000"
        server = servers.parlor(tls=servers._tls(), port=free_port())
        assert "Strict-Transport-Security" not in fields(server.port, server.tls)

    def test_challenges_are_served(self, port):
        port, _, port_challenges = port
        code, fields, body = ask(port, "/.well-known/acme-challenge/a-Token_1")
        assert (code, body) == (200, b"a-Token_1.thumbprint")
        assert ask(port, "/.well-known/acme-challenge/a-Token_1", "HEAD")[0] == 200
        (port_challenges / "link").symlink_to("/etc/hostname")
        assert fields["x-content-type-options"] == "nosniff" and fields["cache-control"] == "no-store"
        for name in ("none", "large", "folder", "pipe", "link"):
            assert ask(port, f"/.well-known/acme-challenge/{name}")[0] == 404, name
        # Nothing else of the directory is served, and what is no token is not looked for.
        for name in ("", "..%2foutside", "../outside", "a.b", "x" * 129):
            assert ask(port, f"/.well-known/acme-challenge/{name}")[0] == 308, name


def test_the_how_to_shows_a_configuration(tmp_path):
    """But for its files and directories, which are put where they can be."""
    text = (Path(__file__).parents[2] / "docs/how-to/listen-in-several-places.md").read_text()
    shown = re.search(r"```toml\n(.*?)```", text, re.S)[1]
    authority = Authority()
    (tmp_path / "etc").mkdir()
    for name in ("chat", "other"):
        for path, content in zip((f"etc/{name}.pem", f"etc/{name}.key"), authority.sign("chat.example")):
            (tmp_path / path).write_bytes(content)
    (tmp_path / "etc/operators.pem").write_bytes(authority.pem)
    for name in ("secret", "admin"):
        (tmp_path / "etc" / name).write_text(f"{name}, which is long enough for this")
        (tmp_path / "etc" / name).chmod(0o600)
    config = tmp_path / "parlor.toml"
    config.write_text(shown.replace("/etc/parlor", str(tmp_path / "etc")))
    done = harness.run_parlor("config", "--check", config)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("address = ") == 5, done.stdout


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--listen", f"{HOST}:1", "--set", 'listeners=[{ address = "1" }]'], "listeners too: give one"),
        (["--set", 'listeners=[{ address = "0.0.0.0:1" }]'], "refusing to listen on 0.0.0.0:1 without a secret"),
        (["--set", 'listeners=[{ address = "unix:/nowhere/at/all" }]'], "cannot listen on unix:/nowhere/at/all"),
        (["--set", 'listeners=[{ address = "1", tls = true }]'], "there is no certificate"),
    ],
)
def test_what_cannot_be_says_what_to_do(arguments, sentence):
    assert sentence in refused_start(*arguments)


def test_a_file_has_them_as_tables_and_the_start_names_them(servers):
    directory = servers.directory()
    (directory / "parlor.toml").write_text(
        f"""
        [[listeners]]
        address = "{HOST}:0"
        serves = ["public", "admin"]

        [[listeners]]
        address = "unix:{directory}/s"
        serves = ["admin"]
        """
    )
    program = [harness.parlor_binary(), "serve", "--data", ":memory:", "--config", directory / "parlor.toml"]
    process = subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        lines = [process.stdout.readline().strip() for _ in range(5)]
        assert lines[2].startswith(f"Listens at {HOST}:") and lines[2].endswith(" (public,admin)")
        assert lines[3] == f"Listens at unix:{directory}/s (admin)"
        assert lines[4].startswith(f"Chat: http://{HOST}:")
        assert ask(int(lines[4].rstrip("/").rsplit(":", 1)[1]), "/healthz")[0] == 200
    finally:
        process.kill()
        process.wait()
    shown = harness.run_parlor("config", "--show", directory / "parlor.toml").stdout
    assert shown.count("[[listeners]]") == 2 and f'address = "unix:{directory}/s"' in shown
    assert Path(directory / "s").exists(), "it was killed"
