"""Behind nginx, which keeps connections to the server and sends one client's requests after another's on
them: whatever anybody sends, each client gets the answers to what it asked itself."""

import json
import re
import socket

import pytest

import harness
from harness import HOST, PATIENCE, Raw, Server
from test_http import CALL, REFUSED

CONFIGURATION = """
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
    upstream parlor {{
        server {host}:{upstream};
        # One connection, for everybody.
        keepalive 1;
    }}
    map $http_upgrade $connection_upgrade {{
        default upgrade;
        "" "";
    }}
    server {{
        listen {host}:{port};
        underscores_in_headers on;
        ignore_invalid_headers off;
        location / {{
            proxy_pass http://parlor;
            proxy_http_version 1.1;
            proxy_request_buffering off;
            proxy_buffering off;
            proxy_set_header Host localhost;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection $connection_upgrade;
        }}
    }}
}}
"""


def answers(server):
    try:
        socket.create_connection((HOST, server.port), 1).close()
        return True
    except OSError:
        return False


@pytest.fixture(scope="module")
def proxy(module_servers):
    """nginx in front of a chat server in open mode."""
    nginx = harness.tool("nginx", "on Debian: apt-get install nginx-light")
    parlor = module_servers.parlor("--log", "debug")
    directory, port = module_servers.directory(), harness.free_port()
    text = CONFIGURATION.format(directory=directory, host=HOST, port=port, upstream=parlor.port)
    (directory / "nginx.conf").write_text(text)
    command = [nginx, "-p", directory, "-c", directory / "nginx.conf"]
    server = Server(command, port, "nginx", answers)
    server.upstream = parlor
    yield server
    server.kill()


def ask(client, path, number):
    """One request whose answer tells that it is its own."""
    content = json.dumps({"room": f"probe-{number}"}).encode()
    client.send(
        f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(content)}\r\n\r\n".encode(), content
    )
    answer = client.read_head()
    if "content-length" in answer.fields:
        body = client._take(int(answer.fields["content-length"]))
    else:
        body = b""
    return answer.status, body


def probe(proxy, number):
    """Two requests of others, each of which must get its own answer."""
    for user in ("one", "two"):
        with Raw(proxy, open=False) as client:
            room = f"probe-{number}-{user}"
            status, body = ask(client, f"/api/v1/call/room:join?user={user}", f"{number}-{user}")
            assert (status, json.loads(body)["room"]) == (200, room)
            client.send(f"GET /api/v1/rooms/{room}?user={user} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            answer = client.read_head()
            body = client._take(int(answer.fields["content-length"]))
            assert (answer.status, json.loads(body)["room"]) == (200, room)


#: Requests that are right, and a request within their content.
HIDDEN = b"GET /api/v1/rooms/hidden HTTP/1.1\r\nHost: localhost\r\n\r\n"
HIDING = {
    "in a length": f"POST {CALL} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(HIDDEN)}\r\n\r\n".encode()
    + HIDDEN,
    "in a chunk": f"POST {CALL} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n{len(HIDDEN):x}"
    "\r\n".encode()
    + HIDDEN
    + b"\r\n0\r\n\r\n",
    "where no content is wanted": f"GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: {len(HIDDEN)}"
    "\r\n\r\n".encode()
    + HIDDEN,
    "where there is nothing": f"POST /nowhere HTTP/1.1\r\nHost: x\r\nContent-Length: {len(HIDDEN)}"
    "\r\n\r\n".encode()
    + HIDDEN,
    "behind a refused upgrade": b"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
    b"Connection: Upgrade\r\n\r\n" + HIDDEN,
    "behind a head alone": b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n",
    "behind one that is not changed": b'GET /app.js HTTP/1.1\r\nHost: x\r\nIf-None-Match: *\r\n\r\n',
    "behind one without content": b"OPTIONS /api/v1/info HTTP/1.1\r\nHost: x\r\n\r\n",
    "expected": f"POST {CALL} HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: "
    f"{len(HIDDEN)}\r\n\r\n".encode()
    + HIDDEN,
}
SHAPES = {**{name: request for name, (_, request) in REFUSED.items()}, **HIDING}


@pytest.mark.parametrize("shape", SHAPES)
def test_nobody_gets_anothers_answer_whatever_is_sent(proxy, shape):
    number = list(SHAPES).index(shape)
    probe(proxy, f"{number}-before")
    with Raw(proxy, open=False) as client:
        client.socket.settimeout(0.3)
        client.send(SHAPES[shape])
        try:
            while client._fill():
                pass
        except (TimeoutError, ConnectionError):
            pass
        probe(proxy, f"{number}-during")
    probe(proxy, f"{number}-after")


def test_a_request_that_is_cut_off_leaves_the_others_alone(proxy):
    for number, shape in enumerate(HIDING):
        for part in (1, 2, 3):
            with Raw(proxy, open=False) as client:
                client.send(HIDING[shape][: -part * 10])
            probe(proxy, f"cut-{number}-{part}")


def test_a_websocket_goes_through(proxy):
    with Raw(proxy, "/ws?user=ada") as client:
        assert client.read_message() is not None


def test_the_proxys_connection_is_kept(proxy):
    with Raw(proxy, open=False) as client:
        client.socket.settimeout(PATIENCE)
        for number in range(20):
            assert ask(client, "/api/v1/call/room:join?user=kept", f"kept-{number}")[0] == 200
    answered = re.findall(r"(\S+): answered 200 OK", proxy.upstream.output())[-20:]
    assert len(answered) == 20 and len(set(answered)) == 1, "or nothing here is proved"
