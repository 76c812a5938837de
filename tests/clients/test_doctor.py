"""`parlor doctor`: each thing that can be wrong is found, with the line that mends it; nothing is changed."""

import datetime
import hashlib
import json
import os
import re
import resource
import socket
import sqlite3
import subprocess
import time

import pytest

import harness
from certificates import Authority, key_pem, new_key
from harness import HOST, Server, free_port
from keys import EdDsa
from test_admin import at_terminal
from test_proxy import answers

ADMIN_TOKEN = "an admin's token of these tests, long enough"

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
    map $http_upgrade $connection_upgrade {{
        default upgrade;
        "" "";
    }}
    server {{
        listen {host}:{port};
        location / {{
            proxy_pass http://{host}:{upstream};
            {fields}
        }}
    }}
}}
"""
HOST_FIELD = "proxy_set_header Host $http_host;"
UPGRADE = """proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade;
proxy_set_header Connection $connection_upgrade;"""
FORWARDED = "proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;"


def content(directory):
    """All that is in a directory: names, modes, times and bytes."""
    found = {}
    for path in sorted(directory.rglob("*")):
        stat = path.stat()
        digest = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        found[str(path)] = (stat.st_mode, stat.st_uid, stat.st_mtime_ns, digest)
    return found


def until_still(directory):
    """Waits until nothing has changed for longer than an idle server takes to change something."""
    deadline = time.monotonic() + 20
    while True:
        before = content(directory)
        time.sleep(1.5)
        if content(directory) == before:
            return
        assert time.monotonic() < deadline, "it never stands still"


class Place:
    """A server's files, in which nothing is wrong."""

    def __init__(self, servers):
        self.servers = servers
        self.directory = servers.directory()
        self.directory.chmod(0o755)
        self.port = free_port()
        self.data = self.directory / "data"
        self.data.mkdir(mode=0o700)
        self.secret = self.write("secret", harness.SECRET)
        self.admin = self.write("admin", ADMIN_TOKEN)
        self.keys = {
            "listen": f'"{HOST}:{self.port}"',
            "data": f'"{self.data}"',
            "auth.secret_file": f'"{self.secret}"',
            "auth.admin_token_file": f'"{self.admin}"',
        }

    def write(self, name, text):
        path = self.directory / name
        path.write_text(text)
        path.chmod(0o600)
        return path

    def tls(self, authority, **how):
        cert, key = authority.write(self.directory, "chat.example", **how)
        key.chmod(0o600)
        self.keys |= {"tls.cert_file": f'"{cert}"', "tls.key_file": f'"{key}"'}
        return cert, key

    def config(self):
        return self.write("parlor.toml", "".join(f"{key} = {value}\n" for key, value in self.keys.items()))

    def doctor(self, *arguments, preexec=None):
        """Its exit status, and what it found."""
        command = [harness.parlor_binary(), "doctor", "--config", self.config(), *arguments]
        before = content(self.directory)
        done = subprocess.run(
            [*map(str, command)], env=harness.clean_environment(), stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=20, preexec_fn=preexec,
        )  # fmt: skip
        assert content(self.directory) == before, "it has changed something"
        assert harness.SECRET not in done.stdout + done.stderr and ADMIN_TOKEN not in done.stdout + done.stderr
        assert done.returncode in (0, 1), done.stderr
        said = json.loads(done.stdout)
        errors = [one for one in said["findings"] if one["verdict"] == "error"]
        assert said["errors"] == len(errors)
        assert bool(errors) == (done.returncode == 1), said
        return done.returncode, said["findings"]

    def serve(self, **how):
        """Its server."""
        port = how.pop("port", self.port)
        command = [harness.parlor_binary(), "serve", "--config", self.config()]
        server = Server(command, port, "parlor", how.pop("is_ready", harness._is_healthy), **how)
        self.servers._started.append(server)
        return server


@pytest.fixture
def place(servers):
    return Place(servers)


@pytest.fixture(scope="module")
def authority():
    return Authority()


def of(findings, about, verdict=None):
    """The findings about something."""
    found = [one for one in findings if one["about"] == about]
    return [one for one in found if verdict in (None, one["verdict"])]


def only(findings, about, verdict):
    found = of(findings, about)
    assert [one["verdict"] for one in found] == [verdict], found
    return found[0]


def as_nobody():
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)


class TestFine:
    def test_a_new_server_is_well(self, place):
        status, findings = place.doctor()
        assert status == 0 and not of(findings, "port", "error")
        for about in ("configuration", "user", "data", "store", "clock", "sign-in", "admins", "key files", "certificate"):
            only(findings, about, "ok")
        assert only(findings, "port", "ok")["text"] == f"{HOST}:{place.port} is free"

    def test_a_running_server_is_well_and_is_not_disturbed(self, place):
        server = place.serve()
        with harness.Chat(server, token=harness.token("ada")) as ada:
            ada.request("room:create", room="tea")
            ada.say("tea", "hello")
            log = server.output()
            # The server itself merges its journal when nothing came for a second.
            until_still(place.directory)
            status, findings = place.doctor()
            assert status == 0
            assert f"process {server.pid}" in only(findings, "store", "ok")["text"]
            assert "is served" in only(findings, "port", "ok")["text"]
            assert "running server" in of(findings, "open files")[0]["text"]
            ada.say("tea", "still there")
            assert server.output() == log

    def test_people_read_lines(self, place):
        status, printed = at_terminal("doctor", "--config", place.config())
        lines = printed.splitlines()
        assert status == 0 and lines[0].startswith("ok       configuration: ")
        assert all(re.match("(ok|warning|error) +[a-z -]+: .", line) for line in lines), printed
        assert json.loads(at_terminal("doctor", "--json", "--config", place.config())[1])["errors"] == 0

    def test_wrong_use_is_told_apart(self):
        done = harness.run_parlor("doctor", "--nothing")
        assert done.returncode == 2
        done = harness.run_parlor("doctor", "--help")
        assert "exit status is 0 if nothing is wrong" in " ".join(done.stdout.split())

    def test_a_stop_leaves_nothing_behind_that_it_would_change(self, place):
        server = place.serve()
        with harness.Chat(server, token=harness.token("ada")) as ada:
            ada.request("room:create", room="tea")
        server.stop()
        status, findings = place.doctor()
        assert status == 0 and "no server has it" in only(findings, "store", "ok")["text"]

    def test_the_log_of_a_killed_server_is_left_for_its_next_start(self, place):
        server = place.serve()
        with harness.Chat(server, token=harness.token("ada")) as ada:
            ada.request("room:create", room="tea")
            ada.say("tea", "hello")
        server.kill()
        for index in (True, False):
            status, findings = place.doctor()
            assert status == 0 and "was killed" in only(findings, "store", "ok")["text"]
            if index:
                (place.data / "parlor.db-shm").unlink()


class TestConfiguration:
    def test_an_error_has_its_line(self, place):
        place.keys["limits.bursts"] = "1"
        status, findings = place.doctor()
        found = only(findings, "configuration", "error")
        assert status == 1 and "parlor.toml:5:" in found["text"] and "limits.burst" in found["text"]
        assert "+5 " in found["mend"] and len(findings) == 1

    def test_a_key_that_does_not_fit(self, place, authority):
        _, key = place.tls(authority)
        key.write_bytes(key_pem(new_key()))
        status, findings = place.doctor()
        found = only(findings, "configuration", "error")
        assert status == 1 and "is not the key of the certificate" in found["text"] and str(key) in found["text"]


class TestFiles:
    def test_a_secret_that_everybody_may_read(self, place):
        place.secret.chmod(0o644)
        status, findings = place.doctor()
        found = only(findings, "key files", "error")
        assert status == 1 and found["mend"] == f"chmod o-rwx {place.secret}"
        place.secret.chmod(0o640)
        assert place.doctor()[0] == 0

    def test_a_secret_that_others_may_replace(self, place):
        place.directory.chmod(0o777)
        status, findings = place.doctor()
        assert status == 1 and {one["mend"] for one in of(findings, "key files", "error")} == {f"chmod o-w {place.directory}"}
        place.directory.chmod(0o755)
        assert place.doctor()[0] == 0

    @pytest.mark.usefixtures("root")
    def test_a_secret_of_another_user(self, place):
        os.chown(place.secret, 4321, 4321)
        status, findings = place.doctor()
        assert status == 1 and "belongs to the user 4321" in only(findings, "key files", "error")["text"]

    @pytest.mark.parametrize("name", ["parlor.lock", "parlor.mark", "parlor.db-wal"])
    def test_a_pipe_in_the_data_is_not_waited_for(self, place, name):
        harness.run_parlor("doctor", "--config", place.config())
        (place.data / name).unlink(missing_ok=True)
        os.mkfifo(place.data / name)
        began = time.monotonic()
        place.doctor()
        assert time.monotonic() - began < 10

    def test_a_public_key_that_everybody_may_write(self, place):
        path = place.write("issuer.pem", EdDsa().public_pem().decode())
        place.keys["auth.key_files"] = f'["{path}"]'
        path.chmod(0o666)
        status, findings = place.doctor()
        assert status == 1 and only(findings, "key files", "error")["mend"] == f"chmod o-w {path}"

    def test_data_that_everybody_may_read(self, place):
        place.data.chmod(0o755)
        status, findings = place.doctor()
        found = only(findings, "data", "error")
        assert status == 1 and found["mend"] == f"chmod go-rwx {place.data}"
        place.data.chmod(0o750)
        status, findings = place.doctor()
        assert status == 0
        only(findings, "data", "warning")

    @pytest.mark.usefixtures("root")
    def test_data_of_another_user(self, place):
        place.keys["process.user"] = '"nobody"'
        status, findings = place.doctor()
        found = only(findings, "data", "error")
        assert status == 1 and found["mend"] == f"chown -R nobody {place.data}"
        assert {one["mend"] for one in of(findings, "key files", "error")} >= {f"chown nobody {place.secret}"}
        for path in (place.data, place.secret, place.admin, place.config()):
            os.chown(path, 65534, 65534)
        (place.directory / "parlor.toml").chmod(0o644)
        place.config = lambda: place.directory / "parlor.toml"
        status, findings = place.doctor()
        assert status == 0, findings
        assert only(findings, "user", "ok")["text"] == "nobody, whom root becomes"

    @pytest.mark.usefixtures("root")
    def test_root_looks_as_who_has_the_data_where_systemd_begins_it(self, place):
        place.keys["listen"] = f'"0.0.0.0:{place.port}"'
        for path in (place.data, place.secret, place.admin):
            os.chown(path, 65534, 65534)
        config = place.config()
        config.chmod(0o644)
        place.config = lambda: config
        status, findings = place.doctor()
        assert status == 0, findings
        assert only(findings, "user", "ok")["text"] == "nobody, to whom the data belongs, is taken for the server's user"
        os.chown(place.secret, 0, 0)
        status, findings = place.doctor()
        assert status == 1 and only(findings, "key files", "error")["mend"] == f"chown nobody {place.secret}"

    @pytest.mark.usefixtures("root")
    def test_what_root_makes_before_it_becomes_another_user(self, place):
        config = place.directory / "parlor.toml"
        place.keys |= {
            "process.user": '"nobody"',
            "data": f'"{place.directory / "new"}"',
            "listeners": f'[{{ address = "unix:{place.directory}/s" }}]',
        }
        del place.keys["listen"]
        place.config()
        for path in (place.secret, place.admin, config):
            os.chown(path, 65534, 65534)
        place.config = lambda: config
        status, findings = place.doctor()
        assert status == 0, findings
        assert "made at the first start" in only(findings, "data", "ok")["text"]
        only(findings, "socket", "ok")

    def test_data_that_are_a_file_or_cannot_be_made(self, place):
        place.keys["data"] = f'"{place.secret}"'
        assert "is a file" in only(place.doctor()[1], "data", "error")["text"]
        place.keys["data"] = f'"{place.directory / "new" / "data"}"'
        assert "made at the first start" in only(place.doctor()[1], "data", "ok")["text"]
        assert not (place.directory / "new").exists()
        place.keys["data"] = f'"{place.secret}/data"'
        assert place.doctor()[0] == 1

    def test_a_damaged_store(self, place):
        server = place.serve()
        with harness.Chat(server, token=harness.token("ada")) as ada:
            ada.request("room:create", room="tea")
        server.stop()
        database = place.data / "parlor.db"
        whole = database.read_bytes()
        database.write_bytes(whole[:-4096])
        status, findings = place.doctor()
        found = only(findings, "store", "error")
        assert status == 1 and "last 4096 bytes" in found["text"]
        assert found["mend"] == f"parlor data check {place.data}"

    def test_a_full_disk(self, place):
        place.keys["limits.disk_reserve_bytes"] = str(1 << 60)
        status, findings = place.doctor()
        assert status == 1 and "only admins may store" in only(findings, "disk", "error")["text"]


class TestClock:
    def test_it_is_behind_the_store(self, place):
        server = place.serve()
        with harness.Chat(server, token=harness.token("ada")) as ada:
            ada.request("room:create", room="tea")
        server.stop()
        assert place.doctor()[0] == 0
        later = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=400)
        with sqlite3.connect(place.data / "parlor.db") as db:
            db.create_function("row_sum", -1, lambda *_: 0)
            db.execute("UPDATE rooms SET ts = ?", [int(later.timestamp() * 1000)])
        db.close()
        status, findings = place.doctor()
        found = only(findings, "clock", "error")
        assert status == 1 and str(later.year) in found["text"] and "timedatectl" in found["mend"]


class TestCertificate:
    def test_one_that_has_long_is_well_but_for_what_is_above_it(self, place, authority):
        cert, _ = place.tls(authority)
        status, findings = place.doctor()
        assert status == 0 and "89 days" in of(findings, "certificate", "ok")[0]["text"]
        assert "tests of parlor" in of(findings, "certificate", "warning")[0]["text"]
        cert.write_bytes(cert.read_bytes() + authority.pem)
        only(place.doctor()[1], "certificate", "ok")

    def test_those_above_it_stand_in_another_order(self, place, authority):
        cert, _ = place.tls(authority)
        cert.write_bytes(cert.read_bytes() + authority.sign("elsewhere.example")[0] + authority.pem)
        status, findings = place.doctor()
        assert status == 1 and "certificate 2 is not" in of(findings, "certificate", "error")[0]["text"]

    def test_it_ends_soon(self, place, authority):
        place.tls(authority, days=12)
        status, findings = place.doctor()
        found = of(findings, "certificate", "warning")[0]
        assert status == 0 and "ends in 11 days" in found["text"] and found["mend"] == "certbot renew"

    def test_it_has_ended(self, place, authority):
        place.tls(authority, days=-1)
        status, findings = place.doctor()
        assert status == 1 and "has ended" in of(findings, "certificate", "error")[0]["text"]


class TestPort:
    def test_another_program_has_it(self, place):
        with socket.create_server((HOST, place.port)) as other:
            other.settimeout(0)
            status, findings = place.doctor()
        found = only(findings, "port", "error")
        assert status == 1 and f"another program listens at {HOST}:{place.port}" in found["text"]
        assert f'listen = "{HOST}:{place.port + 1}"' in found["mend"]

    def test_another_parlor_has_it(self, place, servers):
        servers.parlor(port=place.port)
        status, findings = place.doctor()
        assert status == 1 and "another parlor" in only(findings, "port", "error")["text"]

    def test_of_data_in_memory_nothing_tells_who_serves_it(self, place):
        place.keys["data"] = '":memory:"'
        place.serve()
        status, findings = place.doctor()
        assert status == 0 and "served by a parlor" in only(findings, "port", "ok")["text"]

    def test_it_is_of_no_address_here(self, place):
        place.keys["listen"] = '"192.0.2.1:8080"'
        status, findings = place.doctor(*harness.AS_ROOT)
        assert status == 1 and "no address of this machine" in only(findings, "port", "error")["text"]

    @pytest.mark.usefixtures("root")
    def test_it_is_for_root(self, place):
        place.keys["listen"] = f'"{HOST}:81"'
        assert not of(place.doctor()[1], "port", "error")
        for path in (place.data, place.secret, place.admin, place.config()):
            os.chown(path, 65534, 65534)
        place.config = lambda: place.directory / "parlor.toml"
        status, findings = place.doctor(preexec=as_nobody)
        if int(open("/proc/sys/net/ipv4/ip_unprivileged_port_start").read()) <= 81:
            pytest.fail("ports below 1024 are for everybody here: sysctl net.ipv4.ip_unprivileged_port_start=1024")
        found = only(findings, "port", "error")
        assert status == 1 and "--user" in found["mend"]


class TestSystem:
    def test_few_files_may_be_open(self, place):
        def few():
            resource.setrlimit(resource.RLIMIT_NOFILE, (200, 200))

        status, findings = place.doctor(preexec=few)
        found = only(findings, "open files", "warning")
        assert status == 0 and "ulimit -n 65536" in found["mend"]

    def test_fewer_files_than_connections(self, place):
        place.keys["limits.connections"] = "999999"
        def some():
            hard = min(4096, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))

        found = only(place.doctor(preexec=some)[1], "open files", "warning")
        assert f"ulimit -n {999_999 + 160}" in found["mend"]

    def test_little_memory(self, place):
        place.keys["limits.all_streams_bytes"] = str(1 << 50)
        found = only(place.doctor()[1], "memory", "warning")
        assert "limits.all_streams_bytes = " in found["mend"]

    @pytest.mark.usefixtures("root")
    def test_root_beyond_loopback(self, place):
        place.keys["listen"] = f'"0.0.0.0:{place.port}"'
        status, findings = place.doctor()
        found = only(findings, "user", "error")
        assert status == 1 and "as root" in found["text"] and found["mend"] == 'process.user = "parlor"'
        place.keys["process.user"] = '"nobody-has-this-name"'
        assert place.doctor()[0] == 1

    @pytest.mark.usefixtures("root")
    def test_only_root_becomes_another_user(self, place):
        place.keys["process.user"] = '"root"'
        for path in (place.data, place.secret, place.admin, place.config()):
            os.chown(path, 65534, 65534)
        place.config = lambda: place.directory / "parlor.toml"
        status, findings = place.doctor(preexec=as_nobody)
        assert status == 1 and only(findings, "user", "error")["mend"] == "sudo parlor doctor"


class TestSignIn:
    def test_nobody_can(self, place):
        path = place.write("keys.json", '{"keys":[]}')
        del place.keys["auth.secret_file"]
        place.keys["auth.key_files"] = f'["{path}"]'
        status, findings = place.doctor()
        found = only(findings, "configuration", "error")
        assert status == 1 and "keys.json: has no key" in found["text"] and "+4 " in found["mend"]

    def test_there_is_no_admin(self, place):
        del place.keys["auth.admin_token_file"]
        status, findings = place.doctor()
        assert status == 0 and "auth.admin_token_file" in only(findings, "admins", "warning")["mend"]

    def test_an_origin_in_clear(self, place):
        place.keys["http.allowed_origins"] = '["http://app.example"]'
        found = only(place.doctor()[1], "origins", "warning")
        assert found["mend"] == 'http.allowed_origins = ["https://app.example"]'


class Proxied:
    """nginx in front of the server of a place."""

    def __init__(self, place, *fields, upstream=None):
        nginx = harness.tool("nginx", "on Debian: apt-get install nginx-light")
        directory, port = place.servers.directory(), free_port()
        text = NGINX.format(
            directory=directory, host=HOST, port=port, upstream=upstream or place.port, fields="\n".join(fields)
        )
        (directory / "nginx.conf").write_text(text)
        self.server = Server([nginx, "-p", directory, "-c", directory / "nginx.conf"], port, "nginx", answers)
        place.servers._started.append(self.server)
        self.url = f"http://{HOST}:{port}/"


class TestProxy:
    def test_none_is_named(self, place):
        status, findings = place.doctor()
        assert status == 0 and only(findings, "proxy", "warning")["mend"] == 'proxies.trusted = ["127.0.0.1"]'
        place.keys["proxies.trusted"] = '["127.0.0.1"]'
        only(place.doctor()[1], "proxy", "ok")

    def test_all_passes(self, place):
        place.keys["proxies.trusted"] = '["127.0.0.1"]'
        place.serve()
        proxied = Proxied(place, HOST_FIELD, UPGRADE, FORWARDED)
        token = place.write("token", harness.token("ada"))
        status, findings = place.doctor("--url", proxied.url, "--token-file", token)
        assert status == 0, findings
        texts = [one["text"] for one in of(findings, "url")]
        assert "WebSockets pass" in texts and "X-Forwarded-For is taken" in texts

    def test_the_server_has_tls_of_its_own(self, place, authority):
        ca = place.directory / "ca.pem"
        ca.write_bytes(authority.pem)
        cert, key = authority.write(place.directory, HOST)
        key.chmod(0o600)
        place.keys |= {"tls.cert_file": f'"{cert}"', "tls.key_file": f'"{key}"'}
        token = place.write("token", harness.token("ada"))
        place.serve(tls=authority.context())
        url = f"https://{HOST}:{place.port}/"
        status, findings = place.doctor("--url", url, "--ca", ca, "--token-file", token)
        assert not of(findings, "url", "error"), findings
        texts = [one["text"] for one in of(findings, "url")]
        assert f"the server takes {HOST} for this client, which is at its machine" in texts
        found = of(place.doctor("--url", url)[1], "url", "error")[0]
        assert "signed by nobody whom this system trusts (--ca FILE names one more)" in found["text"]

    def test_the_proxy_is_not_named(self, place):
        place.serve()
        proxied = Proxied(place, HOST_FIELD, UPGRADE, FORWARDED)
        token = place.write("token", harness.token("ada"))
        status, findings = place.doctor("--url", proxied.url, "--token-file", token)
        found = of(findings, "url", "error")[0]
        assert status == 1 and found["mend"] == 'proxies.trusted = ["127.0.0.1"]'

    def test_the_proxy_names_nobody(self, place):
        place.keys["proxies.trusted"] = '["127.0.0.1"]'
        place.serve()
        proxied = Proxied(place, HOST_FIELD, UPGRADE, 'proxy_set_header X-Forwarded-For "";')
        token = place.write("token", harness.token("ada"))
        status, findings = place.doctor("--url", proxied.url, "--token-file", token)
        assert status == 1 and "X-Forwarded-For" in of(findings, "url", "error")[0]["mend"]

    def test_upgrades_do_not_pass(self, place):
        place.serve()
        status, findings = place.doctor("--url", Proxied(place, HOST_FIELD).url)
        found = of(findings, "url", "error")[0]
        assert status == 1 and "do not pass" in found["text"] and "Upgrade" in found["mend"]

    def test_another_host_is_passed_on(self, place):
        place.serve()
        status, findings = place.doctor("--url", Proxied(place, UPGRADE, "proxy_set_header Host other;").url)
        assert status == 1 and "Host $http_host" in of(findings, "url", "error")[0]["mend"]

    def test_nobody_is_behind_it(self, place):
        status, findings = place.doctor("--url", Proxied(place, upstream=free_port()).url)
        assert status == 1 and "does not reach" in of(findings, "url", "error")[0]["text"]

    def test_it_is_not_there_or_does_not_answer(self, place):
        with socket.create_server((HOST, 0)) as silent:
            url = f"http://{HOST}:{silent.getsockname()[1]}/"
            begun = time.monotonic()
            status, findings = place.doctor("--url", url)
            # It waits three seconds, and the machine may be slow.
            assert 2.5 < time.monotonic() - begun < 9
            assert status == 1 and "does not answer" in of(findings, "url", "error")[0]["text"]
        status, findings = place.doctor("--url", url)
        assert status == 1 and of(findings, "url", "error")[0]["mend"].startswith("curl -v")
