"""The configuration through the program: its sources, what is wrong with them, and reading it again."""

import re
import signal
import subprocess
import time

import harness
import pytest
from harness import HOST, PATIENCE, Chat, clean_environment, free_port


def run(*arguments, directory, env=None):
    """Runs `parlor` to its end, in a directory; gives what subprocess.run gives."""
    return subprocess.run(
        [harness.parlor_binary(), *map(str, arguments)],
        env=clean_environment(**(env or {})),
        cwd=directory,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=5,
    )


def check(*arguments, directory, env=None):
    """What `parlor config --check` says of a configuration that is right, as lines."""
    done = run("config", "--check", *arguments, directory=directory, env=env)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    first, *lines = done.stdout.splitlines()
    assert first == "ok"
    return lines


def wrong(*arguments, directory, env=None):
    """What it says of one that is not; `parlor serve` says the same."""
    done = run("config", "--check", *arguments, directory=directory, env=env)
    assert (done.returncode, done.stdout) == (2, "")
    served = run("serve", *arguments, directory=directory, env=env)
    assert (served.returncode, served.stderr) == (2, done.stderr)
    return done.stderr


def config_file(servers, text="", name="parlor.toml"):
    path = servers.directory() / name
    path.write_text(text)
    return path


def serve(servers, path, *arguments, roomy=False, **how):
    how.setdefault("data", ":memory:")
    return servers.parlor("--config", path, *arguments, roomy=roomy, **how)


def hang_up(server, *expected):
    """SIGHUP; waits until the log has said each of `expected` once more than before."""
    before = [server.output().count(text) for text in expected]
    server.signal(signal.SIGHUP)
    deadline = time.monotonic() + PATIENCE
    for text, count in zip(expected, before):
        while server.output().count(text) == count:
            assert time.monotonic() < deadline, f"{text!r} is not said:\n{server.output()[-2_000:]}"
            time.sleep(0.02)


def limits(chat):
    """The limits as the server tells them now."""
    return chat.request("info")["limits"]


class TestExample:
    def test_the_example_is_a_configuration_and_the_defaults(self, servers):
        directory = servers.directory()
        done = run("config", directory=directory)
        assert done.returncode == 0
        path = directory / "example.toml"
        path.write_text(done.stdout)
        assert check(path, directory=directory) == []
        # Every key without its comment sign: the only difference is where the data are.
        path.write_text(re.sub(r"(?m)^#(?=[a-z])", "", done.stdout))
        lines = check(path, directory=directory)
        assert [line.split(" = ")[0] for line in lines] == ["data"]

    def test_the_example_is_a_configuration_with_the_examples_in_it(self, servers):
        directory = servers.directory()
        done = run("config", directory=directory)
        path = directory / "example.toml"
        path.write_text(re.sub(r"(?m)^#(?=\S)|^#   (?=\S)", "", done.stdout))
        lines = check(path, directory=directory)
        sections = ["listeners", "limits.users", "limits.claims", "retention.rooms", "streams", "handlers"]
        assert [line.split(" = ")[0] for line in lines] == ["data", *sections]
        for member in ("keep", "program", "max_rate", "every_ms", "webhook.secret_env", "concurrency", "age_ms"):
            assert f"\n# - {member}: " in done.stdout, member

    def test_what_is_shown_is_a_configuration_that_is_the_same(self, servers):
        directory = servers.directory()
        flags = ("--data", "here", "--set", "retention.rooms=tea=1/all", "--allow-origin", "http://a")
        secret = "not to be shown, of more than 32 bytes"
        done = run("config", "--show", *flags, directory=directory, env={"PARLOR_SECRET": secret})
        assert done.returncode == 0 and secret not in done.stdout
        (directory / "parlor.toml").write_text(done.stdout)
        lines = check(directory=directory)
        assert [line.rsplit(" (", 1)[0] for line in lines] == [
            "data = here",
            "http.allowed_origins = http://a",
            "retention.rooms = tea=1/all",
        ]


class TestSources:
    def test_each_goes_before_the_ones_below_it(self, servers):
        text = "[limits]\nburst = 2\nrooms = 2\npage = 2\ninvites = 2\n"
        path = config_file(servers, text)
        env = {"PARLOR_LIMITS_ROOMS": "3", "PARLOR_LIMITS_PAGE": "3", "PARLOR_LIMITS_INVITES": "3"}
        flags = ("--set", "limits.page=4", "--set", "limits.invites=4", "--set", "limits.invites=5")
        with Chat(serve(servers, path, *flags, env=env), "ada") as ada:
            told = ada.hello["limits"]
            assert (told["burst"], told["rooms"], told["page"], told["invites"]) == (2, 3, 4, 5)
            assert told["create_members"] == 200
        assert check(path, *flags, directory=path.parent, env=env) == [
            f"limits.burst = 2 ({path}:2:1)",
            "limits.rooms = 3 (PARLOR_LIMITS_ROOMS)",
            "limits.invites = 5 (--set limits.invites=5)",
            "limits.page = 4 (--set limits.page=4)",
        ]

    def test_a_file_is_named_by_a_flag_or_a_variable_or_lies_there(self, servers):
        directory = servers.directory()
        for name in ("flag", "variable", "parlor"):
            (directory / f"{name}.toml").write_text(f'auth.issuer = "{name}"\n')
        env = {"PARLOR_CONFIG": "variable.toml"}
        for arguments, env, issuer in (
            (("--config", "flag.toml"), env, "flag"),
            (("flag.toml",), env, "flag"),
            ((), env, "variable"),
            ((), {}, "parlor"),
        ):
            said = check(*arguments, directory=directory, env=env)
            assert said == [f"auth.issuer = {issuer} ({issuer}.toml:1:6)"]
        (directory / "parlor.toml").unlink()
        assert check(directory=directory) == []
        said = wrong(directory=directory, env={"PARLOR_CONFIG": "nowhere.toml"})
        assert said.startswith("parlor: nowhere.toml: cannot be read")

    def test_short_forms_are_keys(self, servers):
        port, directory = free_port(), servers.directory()
        path = config_file(
            servers,
            f'listen = "{HOST}:1"\ndata = ":memory:"\nlog.level = "off"\n'
            'http.allowed_origins = ["https://a"]\n',
        )
        flags = ("--listen", f"{HOST}:{port}", "--log", "warn", "--open")
        said = check(path, *flags, directory=directory)
        assert f"listen = {HOST}:{port} (--listen {HOST}:{port})" in said
        assert "auth.open = true (--open)" in said and "log.level = warn (--log warn)" in said
        assert f"http.allowed_origins = https://a ({path}:4:6)" in said
        said = wrong("--config", path, "--allow-origin", "b", "--key-file", "=", directory=directory)
        assert "--allow-origin b: http.allowed_origins is a list of origins" in said
        assert "--key-file =: auth.key_files is a list of files" in said
        # The file alone says where to listen, and that it is silent.
        path.write_text(path.read_text().replace(f"{HOST}:1", f"{HOST}:{port}"))
        command = [harness.parlor_binary(), "--config", path]
        server = harness.Server(command, port, "parlor", harness._is_healthy)
        try:
            assert " INFO " not in server.output()
        finally:
            server.kill()


class TestWhatIsWrong:
    @pytest.mark.parametrize(
        "text, said",
        [
            ("limits.bursts = 1", '1:8: no key is called "limits.bursts": did you mean limits.burst?'),
            ("[limit]", '1:2: no key is called "limit": did you mean limits?'),
            ("\nlimits.burst = 'x'", '2:16: limits.burst is an integer from 1 to'),
            ("compression.level = 10", "1:21: compression.level is an integer from 0 to 9; not 10"),
            ("listen = 'x'", "1:10: listen is an IP address and a port"),
            ("listen =", "1:9: this is not TOML"),
            ("[streams]\na = { program = true }", '2:17: stream "a": nothing can feed it: program = true is'),
            ("listen = '0.0.0.0:0'", "1:1: refusing to listen on 0.0.0.0:0 without a secret"),
        ],
    )
    def test_it_is_said_with_its_place(self, servers, text, said):
        path = config_file(servers, text)
        assert wrong("--config", path, directory=path.parent).startswith(f"parlor: {path}:{said}")

    def test_all_of_it_is_said_at_once(self, servers):
        path = config_file(servers, 'a = 1\nlimits.page = "many"\nauth.secret_file = "nowhere"\n')
        env = {"PARLOR_LIMIT_BURST": "1", "PARLOR_LIMITS_ROOMS": "-1"}
        flags = ("--config", path, "--set", "b=1", "--log", "loud")
        said = wrong(*flags, directory=path.parent, env=env).splitlines()
        assert len(said) == 7, said
        for text in (
            f'{path}:1:1: no key is called "a"',
            f"{path}:2:15: limits.page is",
            "PARLOR_LIMIT_BURST: no key has this variable: did you mean PARLOR_LIMITS_BURST?",
            "PARLOR_LIMITS_ROOMS: limits.rooms is an integer from 0",
            '--set b=1: no key is called "b"',
            "--log loud: log.level is off,",
            "nowhere: cannot be read",
        ):
            assert sum(text in line for line in said) == 1, (text, said)

    def test_what_kubernetes_sets_for_a_service_is_no_error(self, servers):
        env = {"PARLOR_SERVICE_HOST": "10.0.0.1", "PARLOR_PORT_8080_TCP": "tcp://10.0.0.1:8080"}
        assert check(directory=servers.directory(), env=env) == []


class TestWhatCannotBeRead:
    def test_each_file_and_variable_is_told_with_the_key_and_the_place_that_names_it(self, servers):
        directory = servers.directory()
        (directory / "short").write_text("too short")
        path = directory / "parlor.toml"
        path.write_text(
            """\
limits.page = "many"
[auth]
secret_file = "nowhere"
key_files = ["short", "no.pem"]
admin_token_file = "short"
[streams]
a = { webhook = { path = "/hooks/a", secret_file = "gone" } }
b = { webhook = { path = "/hooks/b", secret_env = "NOT_SET" } }
c = { binary = true, publish = true, members = { x = "number" } }
d = { publish = true, every_ms = 50 }
e = { publish = true, path = "/ws" }
f = { publish = true, keep = 0 }
[[handlers]]
types = ["a.*"]
url = "http://127.0.0.1:9/"
secret_file = "short"
[[handlers]]
url = "http://127.0.0.1:9/"
types = ["b", "chat:send"]
secret_env = "NOT_SET_EITHER"
"""
        )
        said = wrong("--config", path, directory=directory)
        for place, text in (
            ("1:15", "limits.page is an integer"),
            ("3:1", "auth.secret_file: nowhere: cannot be read: No such file"),
            ("4:1", "auth.key_files: short: is neither PEM"),
            ("4:1", "auth.key_files: no.pem: cannot be read"),
            ("5:1", "auth.admin_token_file: short: the secret has 9 bytes"),
            ("7:52", 'stream "a": the webhook\'s secret: gone: cannot be read'),
            ("8:51", 'stream "b": the webhook\'s secret: NOT_SET: '),
            ("9:48", 'stream "c": a stream of bytes has no members'),
            ("10:34", 'stream "d": every_ms, timeout_ms and pointer are for'),
            ("11:30", 'stream "e": '),
            ("12:30", 'stream "f": keep is'),
            ("16:15", "handlers: the secret: short: the secret has 9 bytes"),
            ("19:9", 'handlers: "chat:send" is, or has, a type of the server\'s own'),
            ("20:14", "handlers: the secret: NOT_SET_EITHER: "),
        ):
            assert f"{path}:{place}: {text}" in said, (place, text, said)
        assert len(said.splitlines()) == 14, said

    def test_check_and_show_take_the_file_wherever_it_stands(self, servers):
        path = config_file(servers, "limits.page = 7\n")
        for order in (("--check", path, "--log", "warn"), (path, "--log", "warn", "--check")):
            done = run("config", *order, directory=path.parent)
            assert done.returncode == 0 and "limits.page = 7" in done.stdout, done
        assert "page = 7" in run("config", "--show", path, directory=path.parent).stdout
        done = run("config", path, directory=path.parent)
        assert done.returncode == 2 and "--check or --show" in done.stderr


class TestReadingAgain:
    def test_a_changed_limit_holds_for_a_connection_that_is_open(self, servers):
        path = config_file(servers, "limits = { requests_per_second = 1, burst = 1000 }\n")
        server = serve(servers, path)
        with Chat(server, "ada") as ada:
            assert limits(ada)["burst"] == 1_000
            for _ in range(20):
                ada.request("ping")
            path.write_text("limits = { requests_per_second = 1, burst = 10 }\n")
            hang_up(server, 'configuration: limits.burst: "10", was "1000"', "1 taken, 0 waiting")
            # More than ten requests have been made within their seconds.
            assert ada.refused("ping") == "rate_limited"
            path.write_text("limits = { requests_per_second = 1, burst = 1000 }\n")
            hang_up(server, "configuration, read again: 1 taken")
            for _ in range(20):
                ada.request("ping")
            ada.settle()

    def test_of_streams_names_are_logged_and_never_a_query(self, servers):
        polled = '{ url = "http://127.0.0.1:9/?token=hush", every_ms = 60000 }'
        path = config_file(servers, f"[streams]\na = {polled}\nb = {polled}\n")
        server = serve(servers, path)
        path.write_text(f"[streams]\nb = {polled.replace('hush', 'hushed')}\nc = {polled}\n")
        hang_up(server, 'configuration: streams: added "c"; changed "b"; removed "a"', "1 taken, 0 waiting")
        assert "hush" not in server.output()
        done = run("config", "--show", "--config", path, directory=path.parent)
        assert "hush" not in done.stdout and 'url = "http://127.0.0.1:9/?…"' in done.stdout
        (line,) = (line for line in check("--config", path, directory=path.parent) if "streams" in line)
        assert line == f'streams = "b", "c" ({path}:1:2)'

    def test_flags_and_variables_go_before_the_file_as_ever(self, servers):
        path = config_file(servers, "[limits]\ninvites = 1\n")
        env = {"PARLOR_LIMITS_ROOMS": "5"}
        server = serve(servers, path, "--set", "limits.page=5", env=env)
        with Chat(server, "ada") as ada:
            path.write_text("[limits]\nrooms = 7\npage = 7\ninvites = 7\n")
            hang_up(server, "configuration, read again: 1 taken, 0 waiting")
            told = limits(ada)
            assert (told["rooms"], told["page"], told["invites"]) == (5, 5, 7)

    def test_of_a_broken_file_all_is_said_and_nothing_taken(self, servers):
        path = config_file(servers, "[limits]\ninvites = 1\n")
        server = serve(servers, path)
        with Chat(server, "ada") as ada:
            for text, said in (
                ("[limits]\ninvites = 2\nbursts = 3\npage = -1\n", (":3:1: no key", ":4:8: limits.page")),
                ("[limits]\ninvites = 2\n[auth]\nsecret_file = 'nowhere'\n", ("nowhere: cannot be read",)),
                ("[limits]\ninvites = 2\n[limits]\n", ("this is not TOML",)),
                ("[limits]\ninvites = 2\n[streams]\na = { program = true }\n", ("nothing can feed it",)),
                (None, (f"{path}: cannot be read",)),
            ):
                path.unlink(missing_ok=True)
                if text is not None:
                    path.write_text(text)
                hang_up(server, *said, "not read again, the old ones stay")
                assert limits(ada)["invites"] == 1, text
            path.write_text("[limits]\ninvites = 2\n")
            hang_up(server, "configuration, read again: 1 taken")
            assert limits(ada)["invites"] == 2

    def test_what_needs_a_restart_waits_and_is_named_each_time(self, servers):
        path = config_file(servers)
        server = serve(servers, path)
        path.write_text("[limits]\noutbox_bytes = 2048\nrooms = 3\n[presence]\nscope = 'off'\n")
        needed = 'presence.scope: "off", was "everyone": this needs a restart'
        with Chat(server, "ada") as ada:
            hang_up(server, needed, "configuration, read again: 1 taken, 3 waiting")
            assert limits(ada)["rooms"] == 3
            assert ada.request("info")["presence"] == "everyone"
            hang_up(server, needed, "configuration, read again: 0 taken, 3 waiting")

    def test_another_file_with_the_admins_token_waits_and_the_old_token_stays(self, servers):
        path, directory = config_file(servers), servers.directory()
        for name in ("old", "new"):
            (directory / name).write_text(f"the {name} admins' token, of more than 32 bytes")
        path.write_text(f'auth.admin_token_file = "{directory / "old"}"\n')
        server = serve(servers, path)
        hang_up(server, "configuration, read again: 0 taken, 0 waiting")
        path.write_text(f'auth.admin_token_file = "{directory / "new"}"\n')
        hang_up(server, "auth.admin_token_file: ", "configuration, read again: 0 taken, 1 waiting")
        tokens = [f"the {name} admins' token, of more than 32 bytes" for name in ("old", "new")]
        assert [server.api("GET", "connections", token=token)[0] for token in tokens] == [200, 401]

    def test_the_logs_level_changes(self, servers):
        path = config_file(servers, 'log.level = "warn"\n')
        server = serve(servers, path)
        assert " INFO " not in server.output()
        path.write_text('log.level = "info,parlor::web=debug"\n')
        hang_up(server, "configuration, read again: 1 taken")
        with Chat(server, "ada") as ada:
            ada.settle()
        deadline = time.monotonic() + PATIENCE
        while " DEBUG parlor::web" not in server.output() and time.monotonic() < deadline:
            time.sleep(0.02)
        assert " DEBUG parlor::web" in server.output()
        path.write_text('log.level = "off"\n')
        hang_up(server, 'log.level: "off", was "info,parlor::web=debug"')

    def test_limits_of_users_and_of_addresses_are_for_who_comes_then(self, servers):
        path = config_file(servers)
        server = serve(servers, path)
        with Chat(server, "ada") as ada, Chat(server, "ada") as second:
            path.write_text("[limits]\nconnections_per_user = 1\n")
            hang_up(server, "1 taken")
            ada.settle()
            second.settle()
            with harness.Raw(server, "/ws?user=ada") as third:
                frames = iter(third.read_frame, None)
                assert next(frame.code for frame in frames if frame.opcode == harness.CLOSE) == 4004
            path.write_text("[limits]\nconnections_per_address = 2\n")
            hang_up(server, "2 taken")
            # The log says what was handed over; what is answered after it was gone by.
            ada.settle()
            with harness.Raw(server, open=False) as fourth:
                assert fourth.read_answer().status == 429
            ada.settle()

    def test_a_shorter_heartbeat_and_a_larger_message_are_for_new_connections(self, servers):
        path = config_file(servers)
        server = serve(servers, path)
        path.write_text("[heartbeat]\ninterval_ms = 100\n[limits]\nmessage_bytes = 100\n")
        hang_up(server, "2 taken")
        with harness.Raw(server, "/ws?user=ada") as ada:
            frames = iter(ada.read_frame, None)
            assert any(frame.opcode == harness.PING for frame in frames)
            ada.send_frame(harness.TEXT, b" " * 101)
            assert next(frame.code for frame in frames if frame.opcode == harness.CLOSE) == 1009

    def test_in_open_mode_with_a_file_it_is_read_and_the_mode_stays(self, servers):
        path = config_file(servers)
        server = serve(servers, path)
        secret = servers.secret_file()
        path.write_text(f'auth.secret_file = "{secret}"\n')
        hang_up(server, f'auth.secret_file: "{secret}", was "": this needs a restart')
        with Chat(server, "ada") as ada:
            ada.settle()

    def test_a_key_file_that_is_new_in_the_configuration_is_taken(self, servers):
        from keys import EdDsa, jwks

        old, new = EdDsa("old"), EdDsa("new")
        directory = servers.directory()
        for key, name in ((old, "old.json"), (new, "new.json")):
            (directory / name).write_text(jwks(key))
        path = config_file(servers, f'auth.key_files = ["{directory}/old.json"]\n')
        server = serve(servers, path)
        with Chat(server, token=old.token()) as ada:
            path.write_text(
                f'auth.key_files = ["{directory}/old.json", "{directory}/new.json"]\n'
                'auth.audience = "chat"\n'
            )
            hang_up(server, "2 taken, 0 waiting", 'keys, read again: 2: EdDSA "old", EdDSA "new"')
            ada.settle()
            assert ada.refused("auth", token=old.token()) == "unauthorized", "it has no aud"
            with Chat(server, token=new.token("bob", aud="chat")) as bob:
                bob.settle()
