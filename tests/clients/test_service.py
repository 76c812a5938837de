"""The program as a service: what systemd passes and is told, the user it becomes, and another process that takes its
place."""

import contextlib
import json
import os
import re
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import harness
from harness import HOST, PATIENCE, ROOT, Chat, free_port

# Programs that measure know nothing but the standard library.
sys.path.append(str(ROOT / "tests/measure"))
from attempts import Attempts  # noqa: E402

needs_root = pytest.mark.usefixtures("root")


def until(holds, seconds=PATIENCE, what="it"):
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"{what} does not come"
        time.sleep(0.02)


def refused_start(*arguments, **how):
    done = harness.run_parlor("serve", *arguments, seconds=PATIENCE, **how)
    assert done.returncode != 0, done.stdout
    return done.stderr


class Manager:
    """What systemd listens at."""

    def __init__(self, directory):
        self.path = directory / "notify"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(self.path))
        self._socket.settimeout(PATIENCE)

    def told(self):
        return self._socket.recv(4_096).decode().splitlines()

    def next(self, *but):
        """The next message that is none of these."""
        while (told := self.told())[0] in but:
            pass
        return told


class TestNotifications:
    def test_it_says_when_it_is_ready_reloads_and_stops(self, servers):
        directory = servers.directory()
        manager = Manager(directory)
        (directory / "parlor.toml").write_text("")
        env = {"NOTIFY_SOCKET": str(manager.path)}
        server = servers.parlor("--config", directory / "parlor.toml", env=env)
        assert manager.told() == ["READY=1"]
        server.signal(signal.SIGHUP)
        told = manager.told()
        assert told[0] == "RELOADING=1" and re.fullmatch(r"MONOTONIC_USEC=\d+", told[1])
        assert manager.told() == ["READY=1"]
        assert server.stop() == 0
        assert manager.told() == ["STOPPING=1"]

    def test_the_watchdog_is_told_while_the_loop_turns(self, servers):
        manager = Manager(servers.directory())
        env = {"NOTIFY_SOCKET": str(manager.path), "WATCHDOG_USEC": "300000"}
        server = servers.parlor(env=env)
        begun, told = time.monotonic(), 0
        while time.monotonic() - begun < 1.5:
            told += manager.next("READY=1") == ["WATCHDOG=1"]
        # Every 100 ms; a busy machine may be late.
        assert 5 <= told <= 17
        server.stop()

    def test_nobody_is_told_where_nobody_listens(self, servers):
        server = servers.parlor(env={"NOTIFY_SOCKET": "/nowhere/at/all"})
        assert "systemd is not told" in server.output()


def listening(kind=socket.AF_INET, address=(HOST, 0)):
    one = socket.socket(kind, socket.SOCK_STREAM)
    one.bind(address)
    one.listen()
    return one


class Passing:
    """Passes sockets, as systemd does."""

    def __init__(self, *sockets):
        self._fds = [one.fileno() for one in sockets]

    def __call__(self):
        # As in `sd_listen_fds(3)`: from 3 on.
        copies = [os.dup(fd) for fd in self._fds]
        high = [os.dup2(fd, 200 + place) for place, fd in enumerate(copies)]
        for place, fd in enumerate(high):
            os.dup2(fd, 3 + place, inheritable=True)

    def wrapper(self, *names):
        variables = f"LISTEN_FDS={len(self._fds)} LISTEN_FDNAMES={':'.join(names)}"
        return ["sh", "-c", f'LISTEN_PID=$$ {variables} exec "$0" "$@"']


def start_with(servers, sockets, names, *arguments, port=None, **how):
    """The file descriptors are the process's own: the harness closes none."""
    passing = Passing(*sockets)
    port = port or sockets[0].getsockname()[1]
    command = [*passing.wrapper(*names), harness.parlor_binary(), "serve", "--data", servers.directory(), *arguments]

    class Started(harness.Server):
        pass

    original = harness.subprocess.Popen

    def popen(*positional, **named):
        return original(*positional, **{**named, "close_fds": False})

    harness.subprocess.Popen = popen
    try:
        server = Started(command, port, "parlor", how.pop("is_ready", harness._is_healthy), preexec=passing, **how)
    finally:
        harness.subprocess.Popen = original
    servers._started.append(server)
    return server


class TestActivation:
    def test_what_is_no_number_of_sockets_ends_the_start(self):
        for count in ("abc", "", "-1", "17", "4000000000"):
            done = harness.run_parlor("serve", "--data", ":memory:", "--port", "0", env={"LISTEN_FDS": count})
            assert done.returncode == 2 and "LISTEN_FDS is " in done.stderr, count

    def test_what_is_passed_to_another_process_is_not_looked_at(self, servers):
        servers.parlor(env={"LISTEN_FDS": "abc", "LISTEN_PID": "1"})

    def test_a_socket_that_is_passed_stands_for_listen(self, servers):
        with listening() as passed:
            # Whoever connects before it starts waits.
            early = socket.create_connection(passed.getsockname(), PATIENCE)
            early.sendall(harness.request_head("/healthz", [("Host", HOST), ("Connection", "close")]))
            server = start_with(servers, [passed], ["parlor.socket"])
            early.settimeout(PATIENCE)
            assert early.recv(100).startswith(b"HTTP/1.1 200 ")
            assert f"Chat: http://{HOST}:{server.port}/" in server.output()
            assert server.stop() == 0
            # It is systemd's, and listens on.
            socket.create_connection(passed.getsockname(), PATIENCE).close()

    def test_several_are_told_apart_by_their_names_and_addresses(self, servers):
        directory, port = servers.directory(), free_port()
        path = directory / "admin.sock"
        with listening() as public, listening() as metrics, listening(socket.AF_UNIX, str(path)) as admin:
            listeners = ", ".join([
                f'{{ address = "{HOST}:{port}" }}',
                '{ address = "systemd:web" }',
                '{ address = "systemd:local", serves = ["admin"] }',
                f'{{ address = "{HOST}:{metrics.getsockname()[1]}", serves = ["metrics"] }}',
            ])  # fmt: skip
            server = start_with(
                servers, [public, metrics, admin], ["web", "unnamed", "local"], "--set", f"listeners=[{listeners}]",
                port=port,
            )  # fmt: skip
            for place in (port, public.getsockname()[1]):
                server.port = place
                assert server.http("/")[0] == 200
            server.port = metrics.getsockname()[1]
            assert [server.http(path)[0] for path in ("/", "/metrics")] == [404, 200]
            assert f"Listens at unix:{path} (admin)" in server.output()
            assert server.stop() == 0
            assert path.exists(), "it is systemd's"

    def test_one_that_nobody_takes_and_one_that_does_not_come_are_errors(self, servers):
        with listening() as passed, pytest.raises(pytest.fail.Exception) as failed:
            start_with(servers, [passed], ["other"], "--set", 'listeners=[{ address = "0" }]')
        assert 'with the name "other", and no listener takes it' in str(failed.value)
        said = refused_start("--data", ":memory:", "--set", 'listeners=[{ address = "systemd:web" }]')
        assert "systemd:web: no socket of this name was passed" in said

    def test_open_mode_stays_at_this_machine(self, servers):
        with listening(address=("0.0.0.0", 0)) as passed, pytest.raises(pytest.fail.Exception) as failed:
            start_with(servers, [passed], ["web"])
        assert "refusing to listen on 0.0.0.0" in str(failed.value)

    def test_admins_and_users_do_not_share_a_unix_socket(self, servers):
        path = servers.directory() / "s"
        with listening(socket.AF_UNIX, str(path)) as passed, pytest.raises(pytest.fail.Exception) as failed:
            start_with(servers, [passed], ["web"], port=1)
        assert "everybody is an administrator" in str(failed.value)


def process_status(server, field):
    for line in Path(f"/proc/{server.pid}/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return line.split()[1:]
    raise AssertionError(field)


class TestItsOwnProcess:
    def test_the_limit_on_open_files_is_raised_as_far_as_it_may_be(self, servers):
        server = servers.parlor(preexec=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (400, 900)))
        limits = Path(f"/proc/{server.pid}/limits").read_text()
        assert re.search(r"Max open files\s+900\s+900", limits)
        assert "open files: up to 900 was=400" in server.output()

    def test_what_it_creates_is_its_users_alone(self, servers):
        assert process_status(servers.parlor(), "Umask") == ["0077"]
        assert process_status(servers.parlor(set={"process.umask": "027"}), "Umask") == ["0027"]

    @needs_root
    def test_root_says_whom_it_becomes_before_others_can_reach_it(self, servers):
        secret = servers.secret_file()
        for address in ("0.0.0.0:0", "[::]:0"):
            said = refused_start("--data", ":memory:", "--listen", address, "--secret-file", secret)
            assert "as root" in said and "--user NAME" in said and "--user root" in said
        server = servers.parlor("--user", "root", "--secret-file", secret, set={"listen": "0.0.0.0:0"},
                                is_ready=lambda server: "Chat: " in server.output())  # fmt: skip
        assert process_status(server, "Uid") == ["0"] * 4

    @needs_root
    @pytest.mark.parametrize("user", ["nobody", "65534:65534", "nobody:daemon"])
    def test_it_becomes_another_user_with_all_that_is_its(self, servers, user):
        directory = servers.directory()
        directory.chmod(0o755)
        data, path = directory / "a/data", directory / "s"
        port = free_port()
        server = servers.parlor("--user", user, data=data, port=port, listeners=[
            f'address = "{HOST}:{port}"', f'address = "unix:{path}", serves = ["admin"]',
        ])  # fmt: skip
        group = "1" if user.endswith("daemon") else "65534"
        assert process_status(server, "Uid") == ["65534"] * 4
        assert process_status(server, "Gid") == [group] * 4
        assert all(group not in ("0",) for group in process_status(server, "Groups"))
        assert int(process_status(server, "CapEff")[0], 16) == 0
        for one in (data, data / "parlor.db", path):
            assert one.stat().st_uid == 65_534, one
        with Chat(server, "ada") as ada:
            ada.join("r")
            ada.say("r", "kept")
        server.stop()
        assert harness.run_parlor("data", "check", "--data", data).returncode == 0

    def test_who_is_nobody_is_told(self):
        for user, sentence in (
            ("no-such-user", "no-such-user is no user of this machine"),
            ("nobody:no-such-group", "no-such-group is no group"),
            ("4000000000", "say its group, too"),
        ):
            assert sentence in refused_start("--data", ":memory:", "--user", user)

    @needs_root
    def test_only_root_becomes_another(self):
        done = subprocess.run(
            [harness.parlor_binary(), "serve", "--data", ":memory:", "--user", "daemon"], user=65_534, group=65_534,
            extra_groups=[], capture_output=True, text=True, timeout=PATIENCE, check=False, cwd="/",
        )  # fmt: skip
        assert done.returncode == 2 and "only root can become another user" in done.stderr


class TestReplacing:
    def replace(self, servers, old, *arguments, **how):
        # The old one answers at first.
        how.setdefault("is_ready", lambda server: "Data: " in server.output() and harness._is_healthy(server))
        return servers.parlor("--replace", *arguments, data=old.data, port=old.port, **how)

    def test_another_takes_its_place_and_nobody_is_refused(self, servers):
        old = servers.parlor()
        with contextlib.ExitStack() as stack:
            users = [stack.enter_context(Chat(old, f"user{number}")) for number in range(20)]
            users[0].join("r")
            epoch = users[0].hello["epoch"]
            sent = [users[0].say("r", str(number))["seq"] for number in range(50)]
            attempts = stack.enter_context(Attempts(old.port))
            until(lambda: attempts.served > 20)
            new = self.replace(servers, old)
            for user in users:
                assert user.push("notice")["code"] == "draining"
                assert user.closed() == 1012
            until(lambda: not old.is_running())
            assert old.process.returncode == 0
            before = attempts.served
            until(lambda: attempts.served > before + 20)
        assert attempts.refused == 0 and attempts.longest < 6, (attempts.refused, attempts.longest)
        with Chat(new, "user0") as back:
            assert back.hello["epoch"] == epoch
            assert [entry["payload"]["seq"] for entry in back.history("r", limit=100)["entries"]][-50:] == sent
        assert "the sockets are another server's" in old.output()
        # And again, without anybody connected: at once.
        begun = time.monotonic()
        third = self.replace(servers, new)
        assert time.monotonic() - begun < 3
        until(lambda: not new.is_running())
        assert third.http("/healthz")[0] == 200

    def test_with_other_listeners(self, servers):
        directory, first, second, third = servers.directory(), *(free_port() for _ in range(3))
        path = directory / "s"
        old = servers.parlor(port=first, listeners=[
            f'address = "{HOST}:{first}"', f'address = "{HOST}:{second}"', f'address = "unix:{path}", serves = ["admin"]',
        ])  # fmt: skip
        new = self.replace(servers, old, listeners=[
            f'address = "{HOST}:{third}"', f'address = "unix:{path}", serves = ["admin"]', f'address = "{HOST}:{first}"',
        ])  # fmt: skip
        assert f"no longer listening on {HOST}:{second}" in new.output()
        with pytest.raises(OSError):
            socket.create_connection((HOST, second))
        until(lambda: not old.is_running())
        assert path.exists()
        new.stop()
        assert not path.exists()

    def test_without_a_server_it_only_starts_and_for_memory_it_cannot(self, servers):
        server = servers.parlor("--replace")
        assert "no server to replace" in server.output()
        assert "data in memory has none" in refused_start("--replace", "--data", ":memory:", "--port", "0")

    def test_what_is_wrong_with_the_new_one_does_not_end_the_old_one(self, servers):
        old = servers.parlor()
        said = refused_start("--replace", "--data", old.data, "--secret-file", "/nowhere")
        assert "/nowhere" in said
        with Chat(old, "ada") as ada:
            ada.join("r")

    @needs_root
    def test_what_the_new_one_cannot_have_ends_nothing(self, servers):
        old = servers.parlor()
        port = ["--data", old.data, "--replace"]
        for wrong, sentence in (
            (["--user", "no-such-user"], "no-such-user is no user"),
            (["--set", 'listeners=[{ address = "unix:/nowhere/s", serves = ["admin"] }]'], "/nowhere/s"),
            (["--listen", "0.0.0.0:0", "--secret-file", servers.secret_file()], "as root"),
        ):
            assert sentence in refused_start(*port, *wrong)
        assert old.http("/healthz")[0] == 200
        # Another address with the same port: the old one is let go first.
        new = servers.parlor("--replace", "--secret-file", servers.secret_file(), *harness.AS_ROOT, data=old.data,
                             port=old.port, set={"listen": f"0.0.0.0:{old.port}"},
                             is_ready=lambda server: "Data: " in server.output())  # fmt: skip
        until(lambda: not old.is_running())
        assert new.http("/healthz")[0] == 200

    def test_a_server_that_ends_already_is_followed_anew(self, servers):
        for number in (signal.SIGTERM, signal.SIGKILL):
            old = servers.parlor()
            with Chat(old, "ada"):
                if number == signal.SIGKILL:
                    killer = threading.Timer(0.25, lambda pid=old.pid: os.kill(pid, signal.SIGKILL))
                    killer.start()
                else:
                    old.signal(number)
                    time.sleep(0.2)
                new = self.replace(servers, old)
            assert "ended without passing its sockets: listening anew" in new.output()
            assert new.http("/healthz")[0] == 200
            new.stop()

    def test_a_unix_socket_is_no_looser_than_its_listener_says(self, servers):
        path, port = servers.directory() / "s", free_port()
        old = servers.parlor(port=port, listeners=[f'address = "{HOST}:{port}"', f'address = "unix:{path}", mode = "666"'])
        new = self.replace(servers, old, listeners=[
            f'address = "{HOST}:{port}"', f'address = "unix:{path}", serves = ["admin"]',
        ])  # fmt: skip
        assert path.stat().st_mode & 0o777 == 0o600
        new.stop()
        admin = '{ address = "systemd:adm", serves = ["admin"] }'
        for address in (str(path), "\0parlor-test-" + str(port)):
            with listening(socket.AF_UNIX, address) as loose, pytest.raises(pytest.fail.Exception) as failed:
                if address[0] != "\0":
                    path.chmod(0o666)
                start_with(servers, [loose], ["adm"], "--set", f"listeners=[{admin}]", port=1)
            assert "SocketMode=0600" in str(failed.value)

    def test_a_mode_that_the_listener_allows_is_taken(self, servers):
        path = servers.directory() / "s"
        with listening(socket.AF_UNIX, str(path)) as passed:
            path.chmod(0o660)
            admin = '{ address = "systemd:adm", serves = ["admin"], mode = "660" }'
            start_with(servers, [passed], ["adm"], "--set", f"listeners=[{admin}]", port=1,
                       is_ready=lambda server: "Listens at" in server.output())  # fmt: skip

    def test_strangers_do_not_fill_the_log(self, servers):
        server = servers.parlor()
        found = Path(server.data).stat()
        for _ in range(200):
            with socket.socket(socket.AF_UNIX) as stranger:
                stranger.connect(f"\0parlor-replace-{found.st_dev:x}-{found.st_ino:x}")
        with Chat(server, "ada"):
            pass
        assert server.output().count("a request to replace this server") < 5

    def test_without_it_the_error_names_it(self, servers):
        old = servers.parlor()
        assert "--replace" in refused_start("--data", old.data, "--listen", f"{HOST}:{old.port}")

    @needs_root
    def test_a_stranger_is_not_believed(self, servers):
        """Anybody can take the name that the two meet by."""
        data = servers.directory()
        found = data.stat()
        name = f"\0parlor-replace-{found.st_dev:x}-{found.st_ino:x}"
        pid = os.fork()
        if pid == 0:
            try:
                os.setuid(65_534)
                with listening(socket.AF_UNIX, name) as stranger:
                    stranger.settimeout(10)
                    stranger.accept()
            finally:
                os._exit(0)
        try:
            until(lambda: name[1:] in Path("/proc/net/unix").read_text())
            server = servers.parlor(data=data)
            assert "cannot be replaced by --replace" in server.output()
            assert "another user's program" in refused_start("--replace", "--data", data, "--port", "0")
        finally:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)

    def test_metrics_of_the_new_one_begin_anew(self, servers):
        old = servers.parlor(set={"metrics.public": "true"})
        with Chat(old, "ada") as ada:
            ada.join("r")
        new = self.replace(servers, old, set={"metrics.public": "true"})
        text = new.http("/metrics")[2].decode()
        assert re.search(r"^parlor_store_records_total\S* 0$|^parlor_connections_accepted_total [0-9]$", text, re.M)
        assert json.loads(new.http("/healthz")[2])["status"] == "ok"


class TestUnits:
    UNIT = Path(__file__).parents[2] / "deploy/parlor.service"

    def test_the_unit_is_hardened(self):
        analyze = harness.tool("systemd-analyze", "install it, on Debian by: apt-get install systemd")
        done = subprocess.run(
            [analyze, "security", "--offline=true", "--no-pager", self.UNIT], capture_output=True, text=True, check=False
        )
        level = re.search(r"Overall exposure level for parlor.service: ([0-9.]+)", done.stdout)
        assert level, done.stdout + done.stderr
        assert float(level[1]) <= 2.0
        shown = (self.UNIT.parents[1] / "docs/how-to/run-with-systemd.md").read_text()
        assert f"gives it {level[1]} of 10" in shown

    def test_its_command_serves(self, servers, tmp_path):
        line = re.search(r"^ExecStart=(.*)$", self.UNIT.read_text(), re.M)[1].split()
        (tmp_path / "parlor.toml").write_text(f'listen = "{HOST}:0"\n')
        put = {"/usr/bin/parlor": harness.parlor_binary(), "/etc/parlor/parlor.toml": tmp_path / "parlor.toml",
               "/var/lib/parlor": tmp_path / "data"}  # fmt: skip
        command = [put.get(word, word) for word in line]
        server = harness.Server(command, 0, "parlor", lambda server: "Chat: " in server.output())
        assert f"Data: {tmp_path}/data" in server.output()
        server.stop()


def journal_fields(entry):
    """The fields of an entry (https://systemd.io/JOURNAL_NATIVE_PROTOCOL/)."""
    fields = {}
    while entry:
        line, _, entry = entry.partition(b"\n")
        name, is_short, value = line.partition(b"=")
        if not is_short:
            length = int.from_bytes(entry[:8], "little")
            value, entry = entry[8 : 8 + length], entry[9 + length :]
        fields[name.decode()] = value.decode()
    return fields


@needs_root
class TestJournal:
    def test_lines_for_people_go_there_with_their_fields(self, servers):
        directory = servers.directory()
        journal = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        journal.bind(str(directory / "socket"))
        journal.settimeout(PATIENCE)
        script = (
            f"mkdir -p /run/systemd && mount -t tmpfs none /run/systemd && mkdir /run/systemd/journal && "
            f"mount --bind {directory} /run/systemd/journal && "
            'JOURNAL_STREAM=$(stat -Lc %d:%i /proc/self/fd/2) exec "$0" "$@"'
        )
        server = servers.parlor(wrapper=["unshare", "--mount", "sh", "-c", script])
        found = {}
        with Chat(server, "ada"):
            while found.get("MESSAGE") != "connected":
                found = journal_fields(journal.recv(1 << 16))
        assert (found["USER"], found["KIND"], found["PRIORITY"]) == ("ada", "websocket", "5")
        assert found["SYSLOG_IDENTIFIER"] == "parlor" and found["TARGET"].startswith("parlor::")
        assert " connected " not in server.output()

    def test_without_one_they_go_where_they_went(self, servers):
        server = servers.parlor(env={"JOURNAL_STREAM": "1:1"})
        assert "started" in server.output()
