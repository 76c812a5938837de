"""HTTP/1.1 on a bare socket: what keeps a connection, what ends it, and what is refused."""

import http.client
import json
import socket
import time

import pytest

import harness
from harness import HOST, PATIENCE, Raw

#: A call that takes a content.
CALL = "/api/v1/call/ping?user=ada"
GET = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
PUT = b"PUT /api/v1/rooms/half?user=ada HTTP/1.1\r\nHost: localhost\r\n\r\n"


def raw(server):
    return Raw(server, open=False)


def read(client, is_head=False):
    """An answer and its content; the connection stays."""
    answer = client.read_head()
    length = int(answer.fields.get("content-length", 0))
    if not is_head:
        answer.body = client._take(length)
    return answer


class TestConnections:
    def test_a_connection_is_kept_and_answers_one_request_after_another(self, server):
        with raw(server) as client:
            for _ in range(3):
                client.send(GET)
                answer = read(client)
                assert answer.status == 200 and json.loads(answer.body)["status"] == "ok"
                assert "connection" not in answer.fields
                assert answer.fields["date"].endswith(" GMT")

    def test_requests_that_came_together_are_answered_in_order(self, server):
        paths = ["/healthz", "/", "/nowhere", "/app.js", "/style.css"] * 40
        with raw(server) as client:
            client.send(*(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode() for path in paths))
            for path in paths:
                answer = read(client)
                assert answer.status == (404 if path == "/nowhere" else 200)
                assert (b"<!doctype html>" in answer.body.lower()) == (path == "/")

    def test_pythons_own_client_keeps_a_connection(self, server):
        connection = server.http_connection()
        for method, path in (("GET", "/"), ("HEAD", "/"), ("POST", CALL), ("GET", "/healthz")):
            connection.request(method, path, body=b"{}" if method == "POST" else None)
            answer = connection.getresponse()
            answer.read()
            assert answer.status == 200
            first = connection.sock if path == "/" and method == "GET" else first
            assert connection.sock is first, "another connection was needed"
        connection.close()

    def test_a_head_request_is_answered_by_a_head_alone(self, server):
        with raw(server) as client:
            client.send(GET.replace(b"GET /healthz", b"HEAD /"), GET)
            assert int(read(client, is_head=True).fields["content-length"]) > 100
            assert read(client).status == 200

    @pytest.mark.parametrize(
        "request_",
        [
            GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"),
            GET.replace(b"\r\n\r\n", b"\r\nConnection: x, CLOSE\r\n\r\n"),
            GET.replace(b"HTTP/1.1", b"HTTP/1.0"),
        ],
    )
    def test_whoever_wants_one_answer_gets_one(self, server, request_):
        with raw(server) as client:
            client.send(request_, GET)
            assert client.read_answer().status == 200

    def test_a_client_that_ends_its_half_is_answered(self, server):
        # What is answered at once, and what waits for the store.
        for number, request in enumerate((GET, PUT) * 10):
            with raw(server) as client:
                client.send(request.replace(b"half", b"half-%d" % number))
                client.socket.shutdown(socket.SHUT_WR)
                assert read(client).status in (200, 201)
                client.expect_end()

    def test_a_client_that_goes_before_its_answer_leaves_nothing_behind(self, server):
        idle = server.open_files()
        # Many, so that some take the place of others whose answers are still on their way.
        for number in range(500):
            with raw(server) as client:
                client.send(PUT.replace(b"half", b"gone-%d" % (number % 50)) * 3)
                client.reset()
        deadline = time.monotonic() + PATIENCE
        while server.open_files() > idle and time.monotonic() < deadline:
            time.sleep(0.02)
        assert server.open_files() <= idle
        with raw(server) as client:
            client.send(GET)
            assert read(client).status == 200

    def test_an_idle_connection_ends_without_a_word(self, module_servers):
        server = module_servers.parlor(set={"http.idle_timeout_ms": 200})
        with raw(server) as client:
            client.send(GET)
            assert read(client).status == 200
            began = time.monotonic()
            client.expect_end()
            assert time.monotonic() - began > 0.1

    def test_a_head_and_a_body_that_do_not_end_are_408(self, module_servers):
        server = module_servers.parlor(
            set={"handshake.timeout_ms": 200, "http.body_timeout_ms": 200}
        )
        for begun in (b"GET /", post("Content-Length: 9", body=b"{")):
            with raw(server) as client:
                client.send(GET, begun)
                assert read(client).status == 200
                assert client.read_answer().status == 408

    def test_whoever_reads_nothing_is_bounded_and_goes(self, module_servers):
        server = module_servers.parlor(
            set={"limits.outbox_bytes": 65_536, "limits.stall_timeout_ms": 500}
        )
        client = Raw(server, open=False, receive_buffer=4_096)
        before = server.memory()
        client.socket.settimeout(0.2)
        page = b"GET /app.js HTTP/1.1\r\nHost: localhost\r\n\r\n"
        with pytest.raises(OSError):
            for _ in range(200):
                client.send(page * 1_000)
        assert server.memory() - before < 8 << 20
        deadline = time.monotonic() + PATIENCE
        idle = server.open_files() - 1
        while server.open_files() > idle and time.monotonic() < deadline:
            time.sleep(0.05)
        assert server.open_files() == idle
        client.end()


class TestTags:
    def test_a_file_that_the_client_has_is_not_sent_again(self, server):
        status, fields, body = server.http("/app.js")
        assert status == 200 and body
        tag = fields["etag"]
        assert tag.startswith('"') and fields["cache-control"] == "no-cache"
        status, again, body = server.http("/app.js", headers={"If-None-Match": f'"x", {tag}'})
        assert (status, body, again["etag"]) == (304, b"", tag)
        assert "content-length" not in again
        assert server.http("/style.css", headers={"If-None-Match": tag})[0] == 200

    def test_the_client_of_the_page_is_the_client_that_there_is(self, server):
        for name in ("index.js", "client.js", "indexeddb.js"):
            status, fields, body = server.http(f"/client/{name}")
            assert status == 200 and fields["content-type"] == "text/javascript; charset=utf-8"
            assert body == (harness.ROOT / "clients/js/src" / name).read_bytes()
            tag = fields["etag"]
            assert server.http(f"/client/{name}", headers={"If-None-Match": tag})[0] == 304
        assert server.http("/client/testing.js")[0] == 404


def post(*lines, body=b""):
    head = "\r\n".join([f"POST {CALL} HTTP/1.1", "Host: localhost", *lines])
    return head.encode("latin-1") + b"\r\n\r\n" + body


class TestBodies:
    @pytest.mark.parametrize(
        "request_",
        [
            post("Content-Length: 5", body=b"{   }"),
            post("Content-Length: 0"),
            post("Transfer-Encoding: chunked", body=b"5\r\n{   }\r\n0\r\n\r\n"),
            post("Transfer-Encoding: Chunked", body=b"5;a=b\r\n{   }\r\n00\r\nX: y\r\n\r\n"),
            post("Expect: 100-continue", "Content-Length: 5", body=b"{   }"),
        ],
    )
    def test_the_next_request_begins_where_a_body_ends(self, server, request_):
        with raw(server) as client:
            for _ in range(2):
                client.send(request_, GET)
                assert read(client).status == 200
                assert read(client).status == 200
            for byte in request_ + GET:
                client.send(bytes([byte]))
            answer = read(client)
            while answer.status == 100:
                answer = read(client)
            assert answer.status == 200
            assert read(client).status == 200

    @pytest.mark.parametrize("chunk", [None, 1 << 20, 65_535, 999])
    def test_a_content_as_large_as_it_may_be_is_read(self, server, chunk):
        content = b"{" + b" " * ((1 << 20) - 2) + b"}"
        if chunk is None:
            request = post(f"Content-Length: {len(content)}", body=content)
        else:
            pieces = [content[at : at + chunk] for at in range(0, len(content), chunk)]
            body = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces)
            request = post("Transfer-Encoding: chunked", body=body + b"0\r\n\r\n")
        with raw(server) as client:
            for _ in range(3):
                client.send(request, GET)
                assert read(client).status == 200
                assert read(client).status == 200

    def test_whoever_may_not_make_a_call_is_told_before_its_content(self, server):
        for path, status in (("/api/v1/push", 401), ("/api/v1/rooms/x", 405), ("/nowhere", 404)):
            with raw(server) as client:
                client.send(post("Content-Length: 1000000").replace(CALL.encode(), path.encode()))
                assert client.read_answer().status == status

    def test_a_client_that_expects_it_is_told_to_go_on(self, server):
        with raw(server) as client:
            client.send(post("Expect: 100-continue", "Content-Length: 5"))
            assert client.read_head().status == 100
            client.send(b"{   }")
            assert read(client).status == 200

    def test_one_that_is_too_large_is_refused_before_it_comes(self, module_servers):
        server = module_servers.parlor(set={"http.body_bytes": 100})
        for head in (
            post("Content-Length: 101"),
            post("Expect: 100-continue", "Content-Length: 101"),
            post("Content-Length: 99999999999999999999"[:34]),
            post("Transfer-Encoding: chunked", body=b"65\r\n"),
        ):
            with raw(server) as client:
                client.send(head)
                answer = client.read_answer()
                assert (answer.status, answer.error["code"]) == (413, "too_large")
        with raw(server) as client:
            client.send(post("Content-Length: 100", body=b"{" + b" " * 98 + b"}"), GET)
            assert read(client).status == 200
            assert read(client).status == 200


#: Requests in odd shapes; each is refused with its status, and the connection ends.
REFUSED = {
    "two lengths": (400, post("Content-Length: 5", "Content-Length: 6", body=b"{   }!")),
    "one length twice": (400, post("Content-Length: 5", "Content-Length: 5", body=b"{   }")),
    "a list of lengths": (400, post("Content-Length: 5, 5", body=b"{   }")),
    "a length with a sign": (400, post("Content-Length: +5", body=b"{   }")),
    "a negative length": (400, post("Content-Length: -5")),
    "a length in hexadecimal": (400, post("Content-Length: 0x5", body=b"{   }")),
    "an empty length": (400, post("Content-Length:")),
    "a length and chunks": (
        400,
        post("Content-Length: 5", "Transfer-Encoding: chunked", body=b"0\r\n\r\n"),
    ),
    "chunks and a length": (
        400,
        post("Transfer-Encoding: chunked", "Content-Length: 5", body=b"0\r\n\r\n"),
    ),
    "chunks twice": (400, post("Transfer-Encoding: chunked, chunked", body=b"0\r\n\r\n")),
    "chunks before something else": (400, post("Transfer-Encoding: chunked, gzip")),
    "another coding": (501, post("Transfer-Encoding: gzip")),
    "another coding before chunks": (501, post("Transfer-Encoding: gzip, chunked")),
    "no coding": (501, post("Transfer-Encoding: identity")),
    "a coding that looks like chunked": (501, post("Transfer-Encoding: xchunked")),
    "chunked behind a control": (400, post("Transfer-Encoding: \x0bchunked")),
    "chunks in HTTP/1.0": (
        400,
        post("Transfer-Encoding: chunked").replace(b"HTTP/1.1", b"HTTP/1.0"),
    ),
    "white space before the colon": (400, post("Content-Length : 5", body=b"{   }")),
    "white space before the name": (400, post(" Content-Length: 5", body=b"{   }")),
    "a folded line": (400, post("X: a", " b")),
    "a folded coding": (400, post("Transfer-Encoding:", " chunked", body=b"0\r\n\r\n")),
    "a line that ends in LF": (400, GET.replace(b"localhost\r\n", b"localhost\n")),
    "a CR within a line": (400, GET.replace(b"Host", b"X: a\rb\r\nHost")),
    "a NUL": (400, GET.replace(b"Host", b"X: \0\r\nHost")),
    "a NUL in the target": (400, GET.replace(b"/healthz", b"/health\0z")),
    "no colon": (400, GET.replace(b"Host", b"nonsense\r\nHost")),
    "no name": (400, GET.replace(b"Host", b": x\r\nHost")),
    "no host": (400, b"GET /healthz HTTP/1.1\r\n\r\n"),
    "two hosts": (400, GET.replace(b"Host", b"Host: localhost\r\nHost")),
    "no version": (400, b"GET /healthz\r\n\r\n"),
    "another version": (400, GET.replace(b"HTTP/1.1", b"HTTP/2.0")),
    "a version in small letters": (400, GET.replace(b"HTTP/1.1", b"http/1.1")),
    "two spaces": (400, GET.replace(b"GET ", b"GET  ")),
    "a tab": (400, GET.replace(b"GET ", b"GET\t")),
    "a target that is no path": (400, GET.replace(b"/healthz", b"healthz")),
    "another host's target": (400, GET.replace(b"/healthz", b"http://other/healthz")),
    "a fragment": (400, GET.replace(b"/healthz", b"/healthz#a")),
    "an asterisk": (400, GET.replace(b"GET /healthz", b"OPTIONS *")),
    "a tunnel": (400, b"CONNECT localhost:80 HTTP/1.1\r\nHost: localhost:80\r\n\r\n"),
    "two empty lines first": (400, b"\r\n\r\n" + GET),
    "HTTP/2": (400, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    "TLS": (400, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\n"),
    "another expectation": (417, post("Expect: 200-ok", "Content-Length: 5")),
    "too many fields": (431, GET.replace(b"Host", b"X: y\r\n" * 64 + b"Host")),
    "a long head": (431, GET.replace(b"Host", b"X: " + b"y" * 9_000 + b"\r\nHost")),
    "a chunk without a size": (400, post("Transfer-Encoding: chunked", body=b"\r\n")),
    "a chunk's size with a sign": (400, post("Transfer-Encoding: chunked", body=b"+5\r\n")),
    "a chunk's size with 0x": (400, post("Transfer-Encoding: chunked", body=b"0x5\r\n")),
    "a chunk's size and a space": (400, post("Transfer-Encoding: chunked", body=b"5 \r\n")),
    "a chunk's size that ends in LF": (400, post("Transfer-Encoding: chunked", body=b"5\n{   }")),
    "a huge chunk": (413, post("Transfer-Encoding: chunked", body=b"ffffffffffffffff\r\n")),
    "a chunk's size beyond numbers": (
        400,
        post("Transfer-Encoding: chunked", body=b"10000000000000005\r\n"),
    ),
    "a chunk longer than its size": (
        400,
        post("Transfer-Encoding: chunked", body=b"5\r\n{   }!\r\n"),
    ),
    "a chunk's end in LF": (400, post("Transfer-Encoding: chunked", body=b"5\r\n{   }\n0\r\n\r\n")),
    "a long extension": (
        400,
        post("Transfer-Encoding: chunked", body=b"5;" + b"x" * 300 + b"\r\n"),
    ),
    "a trailer that is no field": (
        400,
        post("Transfer-Encoding: chunked", body=b"0\r\nnonsense\r\n\r\n"),
    ),
    "a folded trailer": (
        400,
        post("Transfer-Encoding: chunked", body=b"0\r\nX: a\r\n b\r\n\r\n"),
    ),
    "an upgrade where there is none": (
        404,
        GET.replace(b"Host", b"Connection: Upgrade\r\nUpgrade: websocket\r\nHost"),
    ),
    "no upgrade where there is one": (426, GET.replace(b"/healthz", b"/ws")),
    "an upgrade with a body": (
        400,
        post("Connection: Upgrade", "Upgrade: websocket", "Content-Length: 5").replace(
            f"POST {CALL}".encode(), b"GET /ws"
        ),
    ),
}


class TestOddShapes:
    @pytest.mark.parametrize("shape", REFUSED)
    def test_each_is_refused_with_its_status_and_nothing_behind_it_is_a_request(self, server, shape):
        status, request_ = REFUSED[shape]
        with raw(server) as client:
            # What came before it is answered; what comes after it is never looked at.
            client.send(GET, request_, GET)
            assert read(client).status == 200
            answer = client.read_answer()
            assert (answer.status, "code" in answer.error) == (status, True)
