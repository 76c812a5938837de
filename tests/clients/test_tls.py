"""TLS: what clients of others see, certificates that change, and attacks."""

import contextlib
import json
import re
import signal
import socket
import ssl
import struct
import subprocess
import time

import pytest

import harness
from certificates import Authority, key_pem, new_key
from harness import HOST, PATIENCE, request_head

VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


@pytest.fixture(scope="module")
def authority():
    return Authority()


def is_up(server):
    with contextlib.suppress(OSError):
        socket.create_connection((HOST, server.port), 1).close()
        return True
    return False


def serve(servers, authority, files, **how):
    return servers.parlor(tls=(*files, authority.context()), **how)


@pytest.fixture(scope="module")
def files(authority, module_servers):
    return authority.write(module_servers.directory(), HOST, "chat.example")


@pytest.fixture(scope="module")
def server(module_servers, authority, files):
    return serve(module_servers, authority, files)


def open_tls(server, context, name=HOST, **how):
    plain = socket.create_connection((HOST, server.port), PATIENCE)
    return context.wrap_socket(plain, server_hostname=name, **how)


def get(tls, path="/healthz"):
    """One request; gives the answer's body."""
    tls.sendall(request_head(path, [("Host", HOST), ("Connection", "close")]))
    answer = b""
    while piece := tls.recv(65_536):
        answer += piece
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 "), head
    return body


def shown(server, context, name=HOST):
    """The certificate's serial number that a new connection is shown."""
    with open_tls(server, context, name) as tls:
        return tls.getpeercert()["serialNumber"]


def until(holds, seconds=PATIENCE, what="it"):
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"{what} does not come"
        time.sleep(0.05)


class TestClients:
    @pytest.mark.parametrize("version", VERSIONS)
    def test_requests_are_answered_in_both_versions(self, server, authority, version):
        context = authority.context()
        context.minimum_version = context.maximum_version = version
        with open_tls(server, context) as tls:
            assert tls.version() == version.name.replace("v1_", "v1.")
            assert tls.selected_alpn_protocol() == "http/1.1"
            assert json.loads(get(tls))["status"] == "ok"

    def test_older_versions_and_other_protocols_are_refused_with_an_alert(self, server, authority):
        context = authority.context()
        context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
        context.maximum_version = ssl.TLSVersion.TLSv1_1
        context.set_ciphers("ALL:@SECLEVEL=0")
        with pytest.raises(ssl.SSLError, match="(?i)alert (protocol version|handshake failure)"):
            open_tls(server, context)
        context = authority.context()
        context.set_alpn_protocols(["h2"])
        with pytest.raises(ssl.SSLError, match="NO_APPLICATION_PROTOCOL|no application protocol"):
            open_tls(server, context)

    @pytest.mark.parametrize("version", VERSIONS)
    def test_who_comes_back_resumes_the_session(self, server, authority, version):
        context = authority.context()
        context.minimum_version = context.maximum_version = version
        with open_tls(server, context) as tls:
            assert not tls.session_reused
            get(tls)
            session = tls.session
        with open_tls(server, context, session=session) as tls:
            assert tls.session_reused
            get(tls)

    def test_two_users_chat(self, server):
        with harness.Chat(server, "ada") as ada, harness.Chat(server, "bob") as bob:
            ada.join("tls")
            bob.join("tls")
            for length in (1, 15_000, 8):
                ada.say("tls", "x" * length)
                assert bob.push("chat:message")["text"] == "x" * length

    def test_a_page_is_whole(self, server, authority):
        with open_tls(server, authority.context()) as tls:
            assert get(tls, "/").endswith(b"</html>\n")

    def test_plain_http_is_told_so(self, server):
        with socket.create_connection((HOST, server.port), PATIENCE) as raw:
            raw.sendall(request_head("/"))
            answer = raw.recv(65_536)
        head, _, body = answer.partition(b"\r\n\r\n")
        assert (head.split()[1], body) == (b"400", b"this address speaks TLS: use https:// or wss://\n")

    def test_a_proxy_names_the_client_before_the_handshake(self, servers, authority, files):
        server = serve(servers, authority, files, set={"proxies.protocol": HOST}, is_ready=is_up)
        with socket.create_connection((HOST, server.port), PATIENCE) as raw:
            # proxy-protocol.txt §2.2: PROXY, TCP over IPv4, 12 bytes of addresses.
            raw.sendall(b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c" + bytes([192, 0, 2, 7, 127, 0, 0, 1, 9, 9, 1, 187]))
            with authority.context().wrap_socket(raw, server_hostname=HOST) as tls:
                tls.sendall(request_head("/ws?user=ada", (("Host", "localhost"), *harness.FIELDS[1:])))
                assert b" 403 " in tls.recv(65_536).split(b"\r\n")[0], "open mode is for this machine"

    def test_who_may_send_no_such_header_is_ended(self, server):
        with socket.create_connection((HOST, server.port), PATIENCE * 2) as raw:
            raw.sendall(b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0")
            with contextlib.suppress(ConnectionResetError):
                assert raw.recv(100) == b"", "nothing in the clear"

    def test_the_page_of_the_documents_works(self, servers):
        text = (harness.ROOT / "docs/how-to/serve-with-tls.md").read_text()
        commands = re.search(r"```sh\n(openssl req.*?)```", text, re.S)[1].replace("8443", str(harness.free_port()))
        environment = harness.clean_environment(PATH=f"{harness.parlor_binary().parent}:/usr/bin:/bin")
        ended = subprocess.run(
            ["sh", "-ec", f"trap 'kill $!' EXIT\n{commands}"],
            cwd=servers.directory(),
            env=environment,
            capture_output=True,
            text=True,
            timeout=20,
        )
        assert ended.returncode == 0 and '"status":"ok"' in ended.stdout, ended

    def test_the_end_is_said_before_the_connection_ends(self, server, authority):
        # Python's ssl raises an error if TCP ends without close_notify.
        with open_tls(server, authority.context(), suppress_ragged_eofs=False) as tls:
            get(tls)

    def test_the_start_says_https(self, server):
        assert f"Chat: https://{HOST}:{server.port}/\n" in server.output()


class TestCertificates:
    def test_a_new_one_is_taken_at_sighup_and_nobody_is_dropped(self, servers, authority):
        directory = servers.directory()
        server = serve(servers, authority, authority.write(directory, HOST))
        context = authority.context()
        before = shown(server, context)
        with open_tls(server, context) as old:
            authority.write(directory, HOST)
            server.signal(signal.SIGHUP)
            until(lambda: shown(server, context) != before, what="the new certificate")
            assert "certificate, read again: valid until " in server.output()
            get(old)

    @pytest.mark.seconds(40)
    def test_a_new_one_is_taken_when_its_file_changes(self, servers, authority):
        directory = servers.directory()
        server = serve(servers, authority, authority.write(directory, HOST))
        context = authority.context()
        before = shown(server, context)
        authority.write(directory, HOST)
        until(lambda: shown(server, context) != before, 15, "the new certificate")
        assert "certificate, read again as its file changed: valid until " in server.output()
        # What does not fit is not taken, and said once.
        (directory / "chat.key").write_bytes(key_pem(new_key()))
        until(lambda: "the old one stays" in server.output(), 15, "the error")
        assert "is not the key of the certificate" in server.output()
        shown(server, context)

    def test_one_that_ends_soon_is_said_in_the_log_in_healthz_and_a_metric(self, servers, authority):
        server = serve(servers, authority, authority.write(servers.directory(), HOST, days=12.5))
        until(lambda: "the certificate ends in 12 days" in server.output(), what="the warning")
        with open_tls(server, authority.context()) as tls:
            about = json.loads(get(tls))["certificate"]
        ends = time.time() + 12.5 * 86_400
        assert about["warning"] == "the certificate ends in 12 days: renew it"
        assert abs(about["expires"] / 1000 - ends) < 60
        with open_tls(server, authority.context()) as tls:
            metric = re.search(rb"\nparlor_tls_certificate_expiry_seconds (\d+)\n", get(tls, "/metrics"))
        assert int(metric[1]) == about["expires"] // 1000

    def test_one_with_time_left_is_no_warning(self, servers, authority):
        server = serve(servers, authority, authority.write(servers.directory(), HOST))
        with open_tls(server, authority.context()) as tls:
            assert "warning" not in json.loads(get(tls))["certificate"]
        assert "certificate ends" not in server.output()

    def test_rsa_and_old_forms_of_keys_are_taken(self, servers, authority):
        from cryptography.hazmat.primitives import serialization

        form = serialization.PrivateFormat.TraditionalOpenSSL
        for kind in ("rsa", "ec"):
            key = new_key(kind)
            directory = servers.directory()
            files = authority.write(directory, HOST, key=key)
            files[1].write_bytes(
                key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
            )
            with open_tls(serve(servers, authority, files), authority.context()) as tls:
                get(tls)

    def test_what_cannot_be_used_is_refused_with_the_reason(self, servers, authority):
        directory = servers.directory()
        certificate, key = authority.write(directory, HOST)
        wrong = {
            "empty": b"",
            "other.key": key_pem(new_key()),
            "encrypted.key": key_pem(new_key(), b"secret"),
            "torn.pem": b"-----BEGIN CERTIFICATE-----\nMIIB\n",
            "broken.pem": b"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n",
            "large.pem": b"x" * 70_000,
        }
        for file, content in wrong.items():
            (directory / file).write_bytes(content)
        for with_certificate, with_key, reason in [
            (directory / "none.pem", key, "tls.cert_file: .*none.pem cannot be read: No such file"),
            (directory / "empty", key, "tls.cert_file: .*empty has no certificate"),
            (directory / "torn.pem", key, "tls.cert_file: .*has a PEM block that cannot be read"),
            (directory / "broken.pem", key, "tls.cert_file: .*has a certificate that cannot be read"),
            (directory / "large.pem", key, "tls.cert_file: .*more than 65536 bytes"),
            (certificate, directory / "empty", "tls.key_file: .*empty has no private key"),
            (certificate, certificate, "tls.key_file: .*chat.pem has no private key"),
            (certificate, directory / "other.key", "tls.key_file: .*is not the key of the certificate"),
            (certificate, directory / "encrypted.key", "tls.key_file: .*is encrypted: decrypt it"),
        ]:
            arguments = ["--data", ":memory:", "--tls-cert", with_certificate, "--tls-key", with_key]
            ended = harness.run_parlor("serve", *arguments)
            assert ended.returncode == 2 and re.search(reason, ended.stderr), (reason, ended)
        ended = harness.run_parlor("serve", "--data", ":memory:", "--tls-cert", certificate)
        assert ended.returncode == 2 and "belong together: give both" in ended.stderr

    def test_tls_begins_and_ends_with_a_restart(self, servers, authority):
        directory = servers.directory()
        certificate, key = authority.write(directory, HOST)
        file = directory / "parlor.toml"
        tls = f'[tls]\ncert_file = "{certificate}"\nkey_file = "{key}"\n'
        file.write_text("")
        server = servers.parlor("--config", file)
        file.write_text(tls)
        server.signal(signal.SIGHUP)
        until(lambda: server.output().count("this needs a restart") == 2, what="both keys")
        assert server.http("/healthz")[0] == 200


def alert(tls_bytes):
    """The description of a plain alert."""
    kind, _, length, level, what = struct.unpack("!BHHBB", tls_bytes[:7])
    assert (kind, length, level) == (21, 2, 2), tls_bytes
    return what


class TestAttacks:
    def test_a_handshake_that_does_not_go_on_is_ended_in_time(self, servers, authority, files):
        server = serve(servers, authority, files, set={"handshake.timeout_ms": 400, "limits.connections": 50})
        hello = client_hello(authority)
        begun = []
        for length in (0, 1, 5, 40, len(hello) - 1, len(hello)):
            one = socket.create_connection((HOST, server.port), PATIENCE)
            one.sendall(hello[:length])
            begun.append(one)
        for one in begun:
            while one.recv(65_536):
                pass
            one.close()
        with open_tls(server, authority.context()) as tls:
            get(tls)
        with open_tls(server, authority.context()) as tls:
            assert b'parlor_tls_handshakes_total{outcome="failed"} 5\n' in get(tls, "/metrics")

    def test_records_of_one_byte_are_read(self, server, authority):
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = authority.context().wrap_bio(incoming, outgoing, server_hostname=HOST)
        with socket.create_connection((HOST, server.port), PATIENCE) as raw:
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

            def done(step):
                while True:
                    with contextlib.suppress(ssl.SSLWantReadError):
                        got = step()
                        break
                    raw.sendall(outgoing.read())
                    incoming.write(raw.recv(65_536))
                # Segments of one byte, too.
                for byte in outgoing.read():
                    raw.send(bytes([byte]))
                return got

            done(tls.do_handshake)
            for byte in request_head("/healthz", [("Host", HOST)]):
                done(lambda: tls.write(bytes([byte])))
            assert done(lambda: tls.read(65_536)).startswith(b"HTTP/1.1 200 ")

    def test_renegotiation_is_refused(self, server):
        openssl = harness.tool("openssl", "apt-get install openssl")
        client = subprocess.Popen(
            [openssl, "s_client", "-connect", f"{HOST}:{server.port}", "-tls1_2"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        time.sleep(0.5)
        client.stdin.write(b"R\n")
        client.stdin.flush()
        time.sleep(0.5)
        client.stdin.close()
        said = client.stdout.read().decode(errors="replace")
        client.wait(PATIENCE)
        assert "RENEGOTIATING" in said and "no renegotiation" in said.lower().replace("_", " "), said

    def test_what_is_no_tls_is_answered_with_an_alert(self, server):
        for sent, what in [
            (b"\x16\x03\x01\xff\xff" + b"\0" * 100, 50),
            (b"\x00" * 64, 50),
            (b"\x17\x03\x03\x00\x10" + b"\0" * 16, 10),
            # A Finished where a ClientHello belongs.
            (b"\x16\x03\x01\x00\x04\x14\0\0\0", 10),
        ]:
            with socket.create_connection((HOST, server.port), PATIENCE) as raw:
                raw.sendall(sent)
                answer = b""
                with contextlib.suppress(ConnectionResetError):
                    while piece := raw.recv(100):
                        answer += piece
                assert alert(answer) == what, sent[:5]
        assert "rustls" not in server.output(), "a stranger fills no log"

    def test_a_client_that_never_reads_is_closed_and_nobody_else_is(self, servers, authority, files):
        limits = {"limits.stall_timeout_ms": 500, "limits.outbox_bytes": 300_000}
        server = serve(servers, authority, files, set=limits)
        with harness.Chat(server, "ada") as ada:
            ada.join("much")
            fields = (("Host", HOST), *harness.FIELDS[1:])
            with harness.Raw(server, "/ws?user=slow", fields, receive_buffer=4_096) as slow:
                slow.send_frame(harness.TEXT, '{"type":"room:join","payload":{"room":"much"}}')
                ada.push("room:joined", where=lambda push: push["user"] == "slow")
                memory = server.memory()
                for _ in range(600):
                    ada.say("much", "x" * 15_000)
                until(lambda: "user=slow kind=websocket address=127.0.0.1 by=server" in server.output(), 10)
                assert server.memory() - memory < 30 << 20
            ada.say("much", "still here")


def client_hello(authority):
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = authority.context().wrap_bio(incoming, outgoing, server_hostname=HOST)
    with contextlib.suppress(ssl.SSLWantReadError):
        tls.do_handshake()
    return outgoing.read()


@pytest.mark.one_thread
def test_whoever_has_begun_a_handshake_is_not_idle(servers, authority, files):
    """Where few places are left, newcomers end idle connections."""
    limits = {"limits.connections": 256, "limits.connections_per_address": 1_000, "handshake.timeout_ms": 60_000}
    server = serve(servers, authority, files, set=limits)
    context = authority.context()

    def come():
        plain = socket.create_connection((HOST, server.port), PATIENCE)
        return context.wrap_socket(plain, server_hostname=HOST, do_handshake_on_connect=False)

    begun = [come() for _ in range(200)]
    time.sleep(0.3)
    server.signal(signal.SIGSTOP)
    begun += [come() for _ in range(45)]
    for tls in begun:
        tls.setblocking(False)
        with contextlib.suppress(ssl.SSLWantReadError):
            tls.do_handshake()
    server.signal(signal.SIGCONT)
    for tls in begun:
        tls.settimeout(PATIENCE)
        tls.do_handshake()
        get(tls)
        tls.close()
