"""`parlor init`: what it writes serves, and it overwrites nothing."""

import json
import os
import pty
import re
import stat
import subprocess
import time

import pytest
import yaml

import harness
from certificates import Authority, new_key
from cryptography.hazmat.primitives import serialization
from harness import HOST, PATIENCE, free_port


def init(directory, *arguments):
    return harness.run_parlor("init", directory, "--data", directory / "data", *arguments)


def serve(servers, directory):
    """What was written, at a port that is free."""
    port, config = free_port(), directory / "parlor.toml"
    config.write_text(config.read_text().replace("127.0.0.1:8080", f"{HOST}:{port}"))
    command = [harness.parlor_binary(), "serve", "--config", config]
    server = harness.Server(command, port, "parlor", harness._is_healthy)
    servers._started.append(server)
    return server, config


def test_for_this_machine_it_serves_and_the_link_signs_an_administrator_in(servers):
    directory = servers.directory() / "new"
    done = init(directory)
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in directory.iterdir()) == ["admin-token", "data", "parlor.toml", "secret"]
    for name in ("secret", "admin-token"):
        assert stat.S_IMODE((directory / name).stat().st_mode) == 0o600
        assert len((directory / name).read_text()) == 64
    link = done.stdout.split()[-1]
    assert link.startswith("http://127.0.0.1:8080/#code=")
    server, config = serve(servers, directory)
    origin = f"http://{HOST}:{server.port}"
    body = json.dumps({"code": link.split("code=")[1]}).encode()
    headers = {"Origin": origin, "Content-Type": "application/json"}
    status, fields, answer = server.http("/api/v1/sign-in", "POST", headers, body)
    assert status == 200 and b"\"admin\":true" in answer, answer
    cookie = fields["set-cookie"].split(";")[0]
    assert server.http("/api/v1/connections", headers={"Cookie": cookie, "Origin": origin})[0] == 200
    # It is good for once.
    assert server.http("/api/v1/sign-in", "POST", headers, body)[0] == 401
    assert json.loads(harness.run_parlor("admin", "users", "--config", config).stdout) == {"users": []}


def test_nothing_is_overwritten(servers):
    directory = servers.directory()
    assert init(directory).returncode == 0
    before = {path: path.read_bytes() for path in directory.iterdir() if path.is_file()}
    for gone in (None, "parlor.toml"):
        if gone:
            (directory / gone).unlink()
            del before[directory / gone]
        done = init(directory)
        assert done.returncode == 1 and "is there already: nothing was written" in done.stderr
        assert {path: path.read_bytes() for path in directory.iterdir() if path.is_file()} == before


def test_for_a_domain_with_a_certificate(servers):
    directory = servers.directory()
    certificate, key = Authority().write(servers.directory(), "chat.example")
    done = init(directory, "--domain", "chat.example", "--tls-cert", certificate, "--tls-key", key, "--unit")
    assert done.returncode == 0, done.stderr
    assert "https://chat.example/#code=" in done.stdout
    config = (directory / "parlor.toml").read_text()
    assert '"0.0.0.0:443"' in config and 'serves = ["redirect"]' in config and f'cert_file = "{certificate}"' in config
    assert harness.run_parlor("config", "--check", directory / "parlor.toml").returncode == 0
    unit = (directory / "parlor.service").read_text()
    assert f"ExecStart={harness.parlor_binary()} serve --config {directory}/parlor.toml\n" in unit
    assert f"ReadWritePaths={directory}/data\n" in unit and "CapabilityBoundingSet=CAP_NET_BIND_SERVICE" in unit
    analyze = harness.tool("systemd-analyze", "install it, on Debian by: apt-get install systemd")
    level = subprocess.run(
        [analyze, "security", "--offline=true", "--no-pager", directory / "parlor.service"], capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    assert float(re.search(r"exposure level for \S+: ([0-9.]+)", level.stdout)[1]) <= 2.0


def test_for_docker_compose(servers):
    """As root, and as somebody else: the container's user has the files, and serves with them."""
    shared = servers.directory()
    shared.chmod(0o755)
    whole = yaml.safe_load((harness.ROOT / "compose.yaml").read_text())["services"]["parlor"]
    for user in (0, 4321) if os.geteuid() == 0 else (os.geteuid(),):
        place = shared / str(user)
        place.mkdir()
        if os.geteuid() == 0:
            os.chown(place, user, user)
            for above in (shared, *shared.parents):
                assert above.stat().st_mode & 0o1, f"{above} must be open to all users"
        directory, data = place / "conf", place / "data"

        def init(*more):
            command = [harness.parlor_binary(), "init", directory, "--data", data, "--compose", *more]
            return subprocess.run(
                command, capture_output=True, text=True, timeout=30, env=harness.clean_environment(),
                **({"user": user, "group": user, "extra_groups": []} if os.geteuid() == 0 else {}),
            )  # fmt: skip

        refused = init("--tls-cert", "a", "--tls-key", "b")
        assert refused.returncode == 2 and "--compose" in refused.stderr
        done = init("--domain", "chat.example")
        assert done.returncode == 0, done.stderr
        assert f"docker compose -f {directory}/compose.yaml up -d" in done.stdout
        composed = yaml.safe_load((directory / "compose.yaml").read_text())
        assert list(composed) == ["services"] and list(composed["services"]) == ["parlor"]
        service = composed["services"]["parlor"]
        own = {key: service.pop(key) for key in ("user", "command", "healthcheck", "volumes")}
        # All else is as in the repository's.
        assert service == {key: value for key, value in whole.items() if key not in ("build", "environment", "volumes")}
        assert own["volumes"] == [f"{directory}:{directory}:ro", f"{data}:{data}"]
        inside = 65532 if user == 0 else user
        assert own["user"] == f"{inside}:{inside}"
        assert {path.stat().st_uid for path in (directory, data, *directory.iterdir())} == {inside}
        assert stat.S_IMODE((directory / "secret").stat().st_mode) == 0o600
        config = directory / "parlor.toml"
        port = free_port()
        config.write_text(config.read_text().replace("0.0.0.0:8080", f"{HOST}:{port}"))
        assert own["command"] == ["serve", "--config", str(config)]
        become = ["setpriv", "--reuid", str(inside), "--regid", str(inside), "--clear-groups"] if os.geteuid() == 0 else []
        command = [*become, harness.parlor_binary(), *own["command"]]
        server = harness.Server(command, port, "parlor", harness._is_healthy)
        servers._started.append(server)
        assert own["healthcheck"]["test"][:3] == ["CMD", "/usr/bin/parlor", "health"]
        done = subprocess.run([*become, harness.parlor_binary(), *own["healthcheck"]["test"][2:]], timeout=30)
        assert done.returncode == 0
        assert json.loads(harness.run_parlor("admin", "users", "--config", config).stdout) == {"users": []}
        again = init()
        assert again.returncode == 1 and "is there already" in again.stderr
        for name in ("parlor.toml", "secret", "admin-token", "compose.yaml"):
            (directory / name).unlink()
        again = init()
        # Root gives nothing away that was there before.
        assert (again.returncode, "it must be new" in again.stderr) == ((1, True) if user == 0 else (0, False))


def test_behind_a_proxy_the_client_is_whom_it_names(servers):
    directory = servers.directory()
    done = init(directory, "--domain", "chat.example")
    assert done.returncode == 0 and "run-behind-a-proxy.md" in done.stdout, done.stderr
    server, _ = serve(servers, directory)
    server.tls = None
    assert server.http("/healthz", headers={"X-Forwarded-For": "nonsense"})[0] == 400


def test_others_may_say_who_somebody_is(servers):
    directory = servers.directory()
    public = new_key().public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    (directory / "app.pem").write_bytes(public)
    for how, line in (
        (["--sign-in", "keys", "--key-file", directory / "app.pem"], "key_files = ["),
        (["--sign-in", "backend", "--auth-url", "http://127.0.0.1:9/who"], 'url = "http://127.0.0.1:9/who"'),
    ):
        place = servers.directory()
        done = init(place, *how)
        assert done.returncode == 0 and "#code=" not in done.stdout, done.stderr
        assert line in (place / "parlor.toml").read_text() and not (place / "secret").exists()
    done = init(servers.directory(), "--sign-in", "keys")
    assert done.returncode == 2 and "--key-file" in done.stderr
    for empty in (("keys", "--key-file", ""), ("backend", "--auth-url", "")):
        place = servers.directory() / "new"
        assert init(place, "--sign-in", *empty).returncode == 2 and not place.exists()
    done = init(servers.directory(), "--sign-in", "keys", "--key-file", "/nowhere.pem")
    assert done.returncode == 1 and "Nothing was written" in done.stderr and "/nowhere.pem" in done.stderr
    assert "the configuration would be refused: " in done.stderr
    # Half of it would keep the next attempt from writing the whole.
    place = servers.directory()
    assert init(place / "new", "--sign-in", "keys", "--key-file", "/nowhere.pem").returncode == 1
    assert list(place.iterdir()) == []
    assert init(place / "new").returncode == 0
    assert "for --sign-in keys" in init(servers.directory(), "--key-file", "/nowhere.pem").stderr
    odd = servers.directory() / "a b%c"
    assert "in a path with --unit" in init(odd, "--unit").stderr and not odd.exists()
    assert "in a path with --compose" in init(odd, "--compose").stderr and not odd.exists()
    assert init(odd).returncode == 0


@pytest.mark.parametrize("domain", ["a b", "https://chat.example", "chat.example/x", "..", "a-"])
def test_what_is_no_domain_is_told(servers, domain):
    done = init(servers.directory(), "--domain", domain)
    assert done.returncode == 2 and "no name of a host" in done.stderr


def asked(directory, *answers):
    """Its exit status at a terminal, which answers each question; `None` is the end of all answers."""
    ours, its = pty.openpty()
    process = subprocess.Popen(
        [harness.parlor_binary(), "init", directory], stdin=its, stdout=its, stderr=its, env=harness.clean_environment()
    )
    os.close(its)
    printed = b""
    for question, answer in answers:
        deadline = time.monotonic() + PATIENCE
        while question not in printed:
            assert time.monotonic() < deadline, printed
            printed += os.read(ours, 4_096)
        printed = b""
        os.write(ours, b"\x04" if answer is None else answer.encode() + b"\n")
    status = process.wait(PATIENCE)
    os.close(ours)
    return status


def test_at_a_terminal_it_asks_until_an_answer_is_good(servers):
    directory = servers.directory()
    certificate, key = Authority().write(servers.directory(), "chat.example")
    data = str(directory / "d")
    questions = (b"name", "a b"), (b"is no name of a host", "chat.example"), (b"certificate", "/nowhere.pem")
    questions += (b"/nowhere.pem: No such file", str(certificate)), (b"private key", ""), (b"needs its key", str(key))
    questions += (b"data", data), (b"who", "you"), (b"none of links", "")
    assert asked(directory, *questions) == 0
    config = (directory / "parlor.toml").read_text()
    assert f'data = "{data}"' in config and f'key_file = "{key}"' in config and "secret_file" in config


def test_what_is_not_answered_is_not_written(servers):
    directory = servers.directory() / "new"
    assert asked(directory, (b"name", "chat.example"), (b"certificate", None)) == 1
    assert not directory.exists()


def test_at_a_terminal_a_proxy_has_the_certificate_unless_a_file_is_named(servers):
    directory = servers.directory()
    data = str(directory / "d")
    questions = (b"name", "chat.example"), (b"certificate", ""), (b"data", data), (b"who", "")
    assert asked(directory, *questions) == 0
    config = (directory / "parlor.toml").read_text()
    assert f'data = "{directory}/d"' in config and 'proxy = "forwarded"' in config and "secret_file" in config
