"""Behind proxies that are named: X-Forwarded-For and the PROXY protocol, by hand, by nginx, by Caddy and by HAProxy.
The client's address is what limits, logs and lists go by; nobody else can name one."""

import json
import re
import socket
import struct
import time

import pytest

import harness
from harness import FIELDS, HOST, PATIENCE, Chat, Raw, Server, request_head
from test_metrics import read

ADMIN_TOKEN = "an admin's token, of more than 32 bytes"
SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
LOCAL = SIGNATURE + b"\x20\x00\x00\x00"


def proxy_header(source, fields=b""):
    """A header of version 2, as from `source`."""
    family = socket.AF_INET6 if ":" in source else socket.AF_INET
    addresses = socket.inet_pton(family, source) * 2 + struct.pack("!HH", 4711, 80) + fields
    kind = b"\x21" if family == socket.AF_INET6 else b"\x11"
    return SIGNATURE + b"\x21" + kind + struct.pack("!H", len(addresses)) + addresses


def answers(server):
    try:
        socket.create_connection((HOST, server.port), 1).close()
        return True
    except OSError:
        return False


def serve(servers, is_ready=harness._is_healthy, **values):
    """A server with tokens, whose clients may have two connections to an address."""
    keys = {
        "limits.connections_per_address": 2,
        **{name.replace("__", "."): value for name, value in values.items()},
    }
    secret = servers.secret_file()
    return servers.parlor(
        "--secret-file",
        secret,
        set=keys,
        roomy=False,
        env={"PARLOR_ADMIN_TOKEN": ADMIN_TOKEN},
        is_ready=is_ready,
    )


def connect(server, begins=b"", forwarded=None, path="/ws", **query):
    """Asks for a WebSocket; gives the status of the answer, and the client."""
    client = Raw(server, open=False)
    fields = FIELDS + ((("X-Forwarded-For", forwarded),) if forwarded is not None else ())
    query = "&".join(f"{name}={value}" for name, value in {"token": harness.token(), **query}.items())
    client.send(begins + request_head(f"{path}?{query}", fields))
    return client.read_head().status, client


def await_open(server, **how):
    """A client that is let in, when those before it have gone."""
    deadline = time.monotonic() + PATIENCE
    while True:
        status, client = connect(server, **how)
        if status == 101:
            return client
        client.end()
        assert time.monotonic() < deadline, status
        time.sleep(0.02)


def statuses(asked):
    """The statuses of some answers; ends the clients."""
    asked = list(asked)
    for _, client in asked:
        client.end()
    return [status for status, _ in asked]


def addresses(server):
    listed = server.api("GET", "connections", token=ADMIN_TOKEN)[1]["connections"]
    return sorted(connection.get("address", "") for connection in listed)


def await_nobody(server):
    deadline = time.monotonic() + PATIENCE
    while addresses(server):
        assert time.monotonic() < deadline, "the connections do not end"
        time.sleep(0.02)


@pytest.fixture(scope="module")
def forwarded(module_servers):
    """A server that believes X-Forwarded-For."""
    return serve(module_servers, proxies__trusted="127.0.0.1,10.0.0.0/8,::1")


@pytest.fixture(scope="module")
def proxied(module_servers):
    """A server to which everybody speaks the PROXY protocol."""
    return serve(module_servers, is_ready=answers, proxies__protocol=HOST)


class TestForwardedFor:
    def test_each_client_is_counted_by_itself(self, forwarded):
        one = [connect(forwarded, forwarded="192.0.2.1") for _ in range(3)]
        other = [connect(forwarded, forwarded="192.0.2.2") for _ in range(2)]
        assert addresses(forwarded) == ["192.0.2.1"] * 2 + ["192.0.2.2"] * 2
        assert statuses(one) == [101, 101, 429] and statuses(other) == [101, 101]
        await_nobody(forwarded)
        assert statuses([connect(forwarded, forwarded="192.0.2.1")]) == [101]

    def test_an_ipv6_client_is_counted_by_its_64(self, forwarded):
        asked = [connect(forwarded, forwarded=f"2001:db8:7::{host}") for host in ("1", "2", "ffff:3")]
        asked.append(connect(forwarded, forwarded="2001:db8:7:1::1"))
        assert addresses(forwarded) == ["2001:db8:7:1::/64"] + ["2001:db8:7::/64"] * 2
        assert statuses(asked) == [101, 101, 429, 101]

    def test_what_a_client_makes_up_does_not_count(self, forwarded):
        made_up = [connect(forwarded, forwarded=f"198.51.100.{n}, 192.0.2.9, 10.0.0.1") for n in range(3)]
        assert statuses(made_up) == [101, 101, 429]

    def test_what_counts_and_cannot_be_read_is_refused(self, forwarded):
        before = read(forwarded, token=ADMIN_TOKEN)["parlor_connections_refused_total", "reason", "proxy"]
        assert statuses([connect(forwarded, forwarded="unknown")]) == [400]
        after = read(forwarded, token=ADMIN_TOKEN)["parlor_connections_refused_total", "reason", "proxy"]
        assert after == before + 1

    def test_the_proxy_itself_has_as_many_connections_as_it_needs(self, forwarded):
        asked = [connect(forwarded) for _ in range(4)]
        assert addresses(forwarded)[:4] == [""] * 4
        assert statuses(asked) == [101] * 4

    def test_who_is_not_named_is_not_believed(self, servers):
        server = serve(servers, proxies__trusted="10.0.0.0/8", limits__connections_per_address=1)
        with await_open(server, forwarded="192.0.2.1"):
            assert statuses([connect(server, forwarded="192.0.2.2")]) == [429]

    def test_calls_of_those_who_say_nothing_are_counted_by_client(self, servers):
        server = serve(
            servers,
            proxies__trusted=HOST,
            auth__anonymous="true",
            limits__burst=2,
            limits__requests_per_second=1,
            streams="{ news = { publish = true, read = \"public\" } }",
        )

        def call(client):
            return server.api("GET", "streams", headers={"X-Forwarded-For": client})[0]

        assert [call("192.0.2.1") for _ in range(3)] == [200, 200, 429]
        assert call("192.0.2.2") == 200

    def test_open_mode_is_for_this_machine_alone(self, servers):
        server = servers.parlor(set={"proxies.trusted": HOST})
        answer = [server.http("/healthz", headers={"X-Forwarded-For": client})[0] for client in (HOST, "::1")]
        assert answer == [200, 200]
        status, _, body = server.http("/healthz", headers={"X-Forwarded-For": "192.0.2.1"})
        assert (status, json.loads(body)["error"]["code"]) == (403, "forbidden")

    def test_the_list_of_proxies_is_read_again(self, servers):
        config = servers.directory() / "parlor.toml"
        config.write_text("")
        server = servers.parlor(
            "--secret-file",
            servers.secret_file(),
            "--config",
            config,
            roomy=False,
            set={"limits.connections_per_address": 1},
        )
        with await_open(server, forwarded="192.0.2.1"):
            assert statuses([connect(server, forwarded="192.0.2.2")]) == [429]
        config.write_text(f'[proxies]\ntrusted = ["{HOST}"]\n')
        server.signal(harness.signal.SIGHUP)
        deadline = time.monotonic() + PATIENCE
        while "1 taken" not in server.output():
            assert time.monotonic() < deadline, server.output()
            time.sleep(0.02)
        assert statuses([connect(server, forwarded=f"192.0.2.{n}") for n in range(3)]) == [101] * 3


class TestProxyProtocol:
    def test_each_client_is_counted_by_itself(self, proxied):
        asked = [connect(proxied, proxy_header("192.0.2.1", b"\x05\0\x03abc")) for _ in range(3)]
        asked += [connect(proxied, proxy_header(f"2001:db8::{host}")) for host in ("1", "2", "3")]
        with Raw(proxied, open=False) as admin:
            admin.send(LOCAL + request_head("/api/v1/connections", (("Host", HOST), ("Authorization", f"Bearer {ADMIN_TOKEN}"))))
            body = admin._take(int(admin.read_head().fields["content-length"]))
        listed = sorted(one["address"] for one in json.loads(body)["connections"])
        assert listed == ["192.0.2.1"] * 2 + ["2001:db8::/64"] * 2
        assert statuses(asked) == [101, 101, 429, 101, 101, 429]

    def test_a_proxy_of_http_behind_one_of_tcp_is_believed_too(self, servers):
        server = serve(
            servers, is_ready=answers, proxies__protocol=HOST, proxies__trusted="10.0.0.0/8"
        )
        chain = [connect(server, proxy_header("10.0.0.9"), "192.0.2.1") for _ in range(3)]
        assert statuses(chain) == [101, 101, 429]
        # One that is not behind the proxy of HTTP names nobody.
        direct = [connect(server, proxy_header("192.0.2.2"), f"192.0.2.{n}") for n in range(5, 8)]
        assert statuses(direct) == [101, 101, 429]

    def test_a_header_in_pieces_is_read_as_one(self, proxied):
        message = proxy_header("192.0.2.3") + request_head("/ws?token=" + harness.token())
        with Raw(proxied, open=False) as client:
            for place in range(0, 48):
                client.send(message[place : place + 1])
                time.sleep(0.001)
            client.send(message[48:])
            assert client.read_head().status == 101

    def test_a_line_of_version_1_names_the_client_too(self, proxied):
        def line(client):
            family = "TCP6" if ":" in client else "TCP4"
            return f"PROXY {family} {client} {client} 1 2\r\n".encode()

        asked = [connect(proxied, line("192.0.2.7")) for _ in range(3)]
        asked += [connect(proxied, line("2001:db8:7::1"))]
        asked += [connect(proxied, b"PROXY UNKNOWN\r\n")]
        assert statuses(asked) == [101, 101, 429, 101, 101]

    def test_one_too_many_is_refused_before_its_request_is_read(self, proxied):
        held = [connect(proxied, proxy_header("192.0.2.4"))[1] for _ in range(2)]
        with Raw(proxied, open=False) as third:
            third.send(proxy_header("192.0.2.4"))
            answer = third.read_answer()
            assert (answer.status, int(answer.fields["retry-after"])) == (429, 10)
        for client in held:
            client.end()

    @pytest.mark.parametrize(
        ("bytes", "sentence"),
        [
            (request_head("/healthz"), "begins with a header of the PROXY protocol"),
            (b"PROXY TCP4 1.2.3.4 5.6.7.8 1\r\n", "two ports"),
            (b"PROXY TCP4 " + bytes(97), "too long"),
            (SIGNATURE + b"\x21\x11\xff\xff", "too long"),
            (SIGNATURE + b"\x21\x11\x00\x04abcd", "no room"),
            (SIGNATURE + b"\x31\x11\x00\x00", "version"),
            (SIGNATURE + b"\x22\x11\x00\x00", "command"),
            (SIGNATURE + b"\x21\x12\x00\x0c" + bytes(12), "TCP"),
        ],
    )
    def test_what_is_no_header_is_refused_and_says_why(self, proxied, bytes, sentence):
        with Raw(proxied, open=False) as client:
            client.send(bytes)
            answer = client.read_answer()
            assert answer.status == 400 and sentence in answer.error["message"], answer

    def test_who_is_not_named_may_send_none(self, servers):
        server = serve(servers, proxies__protocol="10.0.0.0/8")
        for header in (proxy_header("192.0.2.1"), b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n"):
            with Raw(server, open=False) as client:
                client.send(header + request_head("/healthz"))
                answer = client.read_answer()
                assert answer.status == 400 and "proxies.protocol" in answer.error["message"], answer
        assert server.http("/healthz")[0] == 200
        assert read(server, token=ADMIN_TOKEN)["parlor_connections_refused_total", "reason", "proxy"] == 2

    def test_who_says_nothing_is_not_waited_for(self, servers):
        server = servers.parlor(
            set={"proxies.protocol": HOST, "handshake.timeout_ms": 200}, is_ready=answers
        )
        for sent, status in ((b"", None), (SIGNATURE[:5], 408)):
            with Raw(server, open=False) as client:
                client.send(sent)
                if status is None:
                    assert client._take(1) is None
                else:
                    assert client.read_answer().status == status


NGINX = """
daemon off;
master_process off;
pid {directory}/pid;
error_log stderr crit;
events {{ }}
http {{
    access_log off;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    server {{
        listen {host}:{port};
        location / {{
            proxy_pass http://{host}:{upstream};
            proxy_http_version 1.1;
            proxy_set_header Host $host;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection upgrade;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
        }}
    }}
}}
"""

#: Around what docs/how-to/run-behind-a-proxy.md has for Caddy.
CADDY = """
{{{{
    admin off
    auto_https off
    storage file_system {{directory}}/data
}}}}
{site}
"""

HAPROXY = """
defaults
    mode tcp
    timeout connect 5s
    timeout client 30s
    timeout server 30s
listen parlor
    bind {host}:{port}
    server parlor {host}:{upstream} send-proxy-v2 check inter 200ms
"""


def begin(servers, text, upstream, name):
    directory, port = servers.directory(), harness.free_port()
    file = directory / name
    file.write_text(text.format(directory=directory, host=HOST, port=port, upstream=upstream.port))
    program = harness.tool(name, f"on Debian: apt-get install {'nginx-light' if name == 'nginx' else name}")
    command = {
        "nginx": [program, "-p", directory, "-c", file],
        "haproxy": [program, "-db", "-f", file],
        "caddy": [program, "run", "--adapter", "caddyfile", "--config", file],
    }[name]
    # Caddy keeps what it likes at home.
    server = Server(command, port, name, answers, {"HOME": str(directory)})
    servers._started.append(server)
    return server


class TestRealProxies:
    """Clients come from 127.0.0.2 and 127.0.0.3, the proxies from 127.0.0.1."""

    def upgrade(self, proxy, source, **more):
        with socket.socket() as client:
            client.bind((source, 0))
            client.settimeout(PATIENCE)
            client.connect((HOST, proxy.port))
            fields = FIELDS + tuple(more.items())
            client.sendall(request_head("/ws?token=" + harness.token(), fields))
            head = b""
            while b"\r\n\r\n" not in head:
                piece = client.recv(1 << 16)
                assert piece, head
                head += piece
            yield int(head.split()[1])

    def check(self, proxy, server, own):
        """Each source has two connections; what a client says of itself changes nothing."""
        held = []
        for source, expected in (("127.0.0.2", 101), ("127.0.0.2", 101), ("127.0.0.2", 429), ("127.0.0.3", 101)):
            client = self.upgrade(proxy, source, **{"X-Forwarded-For": "192.0.2.7"})
            assert next(client) == expected, source
            held.append(client)
        listed = own()
        assert listed == ["127.0.0.2", "127.0.0.2", "127.0.0.3"]
        for client in held:
            client.close()

    def test_clients_of_nginx_are_told_apart(self, servers):
        server = serve(servers, proxies__trusted=HOST)
        proxy = begin(servers, NGINX, server, "nginx")
        self.check(proxy, server, lambda: addresses(server))

    def test_clients_of_caddy_are_told_apart_as_the_document_has_it(self, servers):
        server = serve(servers, proxies__trusted=HOST)
        document = (harness.ROOT / "docs/how-to/run-behind-a-proxy.md").read_text()
        site = re.search(r"```caddy\n(.*?)```", document, re.S)[1]
        site = site.replace("{", "{{").replace("}", "}}").replace("127.0.0.1:8080", "{host}:{upstream}")
        text = CADDY.format(site=site.replace("chat.example", "http://:{port}"))
        proxy = begin(servers, text, server, "caddy")
        self.check(proxy, server, lambda: addresses(server))

    def test_clients_of_haproxy_are_told_apart(self, servers):
        server = serve(servers, is_ready=answers, proxies__protocol=HOST)
        proxy = begin(servers, HAPROXY, server, "haproxy")
        deadline = time.monotonic() + PATIENCE
        while True:
            # Until its first check of health has been answered it refuses.
            try:
                if proxy.http("/healthz")[0] == 200:
                    break
            except OSError:
                assert time.monotonic() < deadline
                time.sleep(0.05)
        self.check(proxy, server, lambda: addresses(proxy))
