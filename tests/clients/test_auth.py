"""Who somebody is: tokens and the four ways to present them, open mode, Host and Origin."""

import base64
import hashlib
import hmac
import json
import time
from urllib.parse import quote

import pytest

import harness
from harness import FIELDS, SECRET, Chat, Raw, b64url, request_head, token

LEEWAY = 30


@pytest.fixture(scope="module")
def server(module_servers):
    """A server with a secret."""
    return module_servers.parlor("--secret-file", module_servers.secret_file())


@pytest.fixture(scope="module")
def opened(module_servers):
    """A server in open mode."""
    return module_servers.parlor()


@pytest.fixture(scope="module")
def allowing(module_servers):
    """One in open mode that allows another origin."""
    return module_servers.parlor("--allow-origin", "https://chat.example")


def upgrade(server, path="/ws", *fields, host=None):
    """Asks for an upgrade; gives the answer, after which (if it is a refusal) the connection has
    ended."""
    kept = [(name, value) for name, value in FIELDS if name != "Host" or host is None]
    host_fields = [("Host", host)] if host is not None else []
    with Raw(server, open=False) as raw:
        raw.send(request_head(path, [*host_fields, *kept, *fields]))
        return raw.read_answer()


def altered(text, place):
    """One character of a token made another."""
    letter = "A" if text[place] != "A" else "B"
    return text[:place] + letter + text[place + 1 :]


def in_part(text, part, change):
    parts = text.split(".")
    parts[part] = change(parts[part])
    return ".".join(parts)


def bad_tokens():
    now = int(time.time())
    good = token("ada")
    admin = b64url(json.dumps({"sub": "ada", "exp": now + 60, "admin": True}).encode())
    yield "none", token("ada", alg="none")
    yield "none_in_another_case", token("ada", alg="nOnE")
    yield "none_with_a_signature", token("ada", head={"alg": "none"})
    yield "no_alg", token("ada", head={"typ": "JWT"})
    yield "hs384", token("ada", alg="HS384")
    yield "hs512", token("ada", alg="HS512")
    yield "rs256_by_name", token("ada", head={"alg": "RS256"})
    yield "another_secret", token("ada", secret="another secret, of more than 32 bytes, too")
    yield "an_empty_secret", token("ada", secret="")
    yield "other_claims", in_part(good, 1, lambda _: admin)
    yield "a_changed_signature", in_part(good, 2, lambda part: altered(part, 5))
    yield "no_signature", in_part(good, 2, lambda _: "")
    yield "a_short_signature", in_part(good, 2, lambda part: part[:20])
    yield "two_parts", ".".join(good.split(".")[:2])
    yield "four_parts", good + ".AAAA"
    yield "garbage", "garbage"
    yield "dots", ".."
    yield "expired", token("ada", ttl=-LEEWAY - 2)
    yield "long_expired", token("ada", ttl=-(10**9))
    # Far enough away that it is still to come when the test runs.
    yield "not_yet", token("ada", nbf=now + 3_600, exp=now + 7_200)
    yield "no_exp", token("ada", exp=None)
    yield "exp_is_text", token("ada", exp=str(now + 60))
    yield "no_sub", token(None)
    yield "sub_is_empty", token("")
    yield "sub_is_no_id", token("a b")
    yield "sub_is_dots", token("..")
    yield "sub_is_long", token("x" * 65)
    yield "sub_is_bool", token(True)
    yield "sub_is_a_fraction", token(1.5)
    yield "sub_is_a_list", token(["ada"])


BAD = dict(bad_tokens())


def ways(jwt):
    """The three ways before the upgrade: a path, header fields."""
    return {
        "header": ("/ws", [("Authorization", f"Bearer {jwt}")]),
        "query": (f"/ws?token={jwt}", []),
        "subprotocol": ("/ws", [("Sec-WebSocket-Protocol", f"parlor.v1, bearer.{jwt}")]),
    }


class TestFourWays:
    def test_authorization_header(self, server, chat):
        ada = chat(headers={"Authorization": f"Bearer {token('ada', name='Ada L.')}"})
        assert ada.hello["user"] == {"id": "ada", "name": "Ada L.", "admin": False}

    def test_the_schemes_name_has_no_case(self, server):
        assert upgrade(server, "/ws", ("Authorization", f"bearer {token('ada')}")).status == 101

    def test_query(self, server, chat):
        assert chat(token=token("ada", admin=True)).hello["user"]["admin"] is True

    def test_subprotocol_of_which_only_the_harmless_part_is_echoed(self, server, chat):
        ada = chat(subprotocols=["parlor.v1", f"bearer.{token('ada')}"])
        assert ada.hello["user"]["id"] == "ada"
        assert ada.socket.subprotocol == "parlor.v1"

    def test_the_bearer_item_alone_is_never_echoed(self, server):
        jwt = token("ada")
        for offered in (f"bearer.{jwt}", f"bearer.{jwt}, parlor.v1", f"other, bearer.{jwt}"):
            answer = upgrade(server, "/ws", ("Sec-WebSocket-Protocol", offered))
            assert jwt not in str(answer.fields), "RFC 6455 §4.2.2 does not make us echo a secret"

    def test_first_message(self, server, chat):
        late = chat(hello=False)
        reply = late.request("auth", token=token("ada", ttl=600))
        assert late.push("hello")["user"]["id"] == "ada"
        assert abs(reply["expires"] / 1_000 - time.time() - 600) < 5, "milliseconds"
        assert "ada" in json.dumps(reply["user"])
        late.join("lobby")

    def test_an_integer_and_its_digits_are_one_user(self, server, chat):
        number, text = chat(token=token(1)), chat(token=token("1"))
        assert number.hello["user"]["id"] == text.hello["user"]["id"] == "1"

    def test_a_token_is_good_for_the_leeway_after_its_end(self, server, chat):
        assert chat(token=token("ada", ttl=-LEEWAY + 10)).hello["user"]["id"] == "ada"
        assert chat(token=token("ada", nbf=int(time.time()) + LEEWAY - 10)).hello

    def test_user_is_for_open_mode_alone(self, server, chat):
        eve = chat(user="eve", token=token("ada"))
        assert eve.hello["user"]["id"] == "ada"
        nobody = chat(user="eve", hello=False)
        nobody.gather(0.3)
        assert nobody.pushed("hello", settle=False) == []


class TestBadTokens:
    @pytest.mark.parametrize("jwt", BAD.values(), ids=BAD)
    def test_each_is_401_before_the_upgrade_by_each_way(self, server, jwt):
        for way, (path, fields) in ways(jwt).items():
            answer = upgrade(server, path, *fields)
            assert answer.status == 401, way
            assert answer.error["code"] == "unauthorized", way
            assert answer.error["message"]

    @pytest.mark.parametrize("jwt", BAD.values(), ids=BAD)
    def test_each_is_4001_as_a_first_message(self, server, chat, jwt):
        late = chat(hello=False)
        late.raw(json.dumps({"type": "auth", "payload": {"token": jwt}}))
        error = late.push("error", where=lambda payload: "close" in payload)
        assert (error["code"], error["close"]) == ("unauthorized", 4001)
        assert late.closed() == 4001

    @pytest.mark.parametrize("second", ["query", "subprotocol"])
    def test_one_is_not_made_good_by_another_way_that_is_right(self, server, second):
        path, fields = ways(token("ada"))[second]
        bad = [("Authorization", f"Bearer {BAD['another_secret']}")]
        assert upgrade(server, path, *bad, *fields).status == 401

    def test_the_first_way_that_is_present_decides(self, server, chat):
        both = chat(headers={"Authorization": f"Bearer {token('ada')}"}, token=token("bob"))
        assert both.hello["user"]["id"] == "ada"

    def test_an_empty_token_is_no_token(self, server):
        assert upgrade(server, "/ws?token=").status == 401
        assert upgrade(server, "/ws", ("Authorization", "Bearer ")).status == 401

    def test_no_token_is_logged(self, servers):
        server = servers.parlor("--secret-file", servers.secret_file(), "--log", "trace")
        good, bad = token("ada"), BAD["another_secret"]
        for jwt in (good, bad):
            for path, fields in ways(jwt).values():
                upgrade(server, path, *fields)
        with Chat(server, hello=False) as late:
            late.request("auth", token=good)
        said = server.output()
        assert good.split(".")[2] not in said and bad.split(".")[2] not in said
        assert SECRET not in said


class TestFirstMessage:
    def test_nothing_is_done_before_it(self, server, chat):
        late = chat(hello=False)
        for kind, payload in (
            ("chat:send", {"room": "lobby", "text": "hi"}),
            ("room:list", {"open": True}),
            ("presence:list", {}),
            ("room:join", {"room": "lobby"}),
        ):
            assert late.refused(kind, payload) == "unauthorized", kind

    def test_it_must_come_in_time(self, servers):
        server = servers.parlor(
            "--secret-file", servers.secret_file(), set={"auth.timeout_ms": 400}
        )
        with Chat(server, hello=False) as late:
            start = time.monotonic()
            error = late.push("error")
            assert (error["code"], error["close"]) == ("auth_timeout", 4002)
            assert late.closed() == 4002
            assert 0.3 < time.monotonic() - start < 3
        with Chat(server, hello=False) as in_time:
            in_time.request("auth", token=token("ada"))
            in_time.gather(0.8)
            in_time.settle()

    def test_a_connection_that_says_nothing_good_is_timed_out_all_the_same(self, servers):
        server = servers.parlor(
            "--secret-file", servers.secret_file(), set={"auth.timeout_ms": 600}
        )
        with Chat(server, hello=False) as late:
            for _ in range(3):
                late.send("ping")
                late.gather(0.15)
            assert late.closed() == 4002

    @pytest.mark.parametrize("payload", [{}, {"token": 7}, {"token": None}])
    def test_an_auth_without_a_token_is_refused(self, server, chat, payload):
        late = chat(hello=False)
        assert late.refused("auth", payload) in ("bad_request", "unauthorized")


class TestRefresh:
    def test_a_new_token_extends_the_connection(self, server, chat):
        ada = chat(token=token("ada", ttl=100))
        reply = ada.request("auth", token=token("ada", ttl=1_000))
        assert abs(reply["expires"] / 1_000 - time.time() - 1_000) < 5
        ada.settle()
        assert ada.pushed("hello") == [], "it is the same connection"

    def test_its_rights_replace_the_old_ones_downwards_too(self, server, chat):
        ada = chat(token=token("ada", admin=True))
        ada.request("auth", token=token("ada"))
        assert ada.request("info").get("user", {}).get("admin") is False

    def test_another_users_token_is_refused_and_changes_nothing(self, server, chat):
        ada = chat(token=token("ada"))
        assert ada.refused("auth", token=token("bob")) in ("unauthorized", "forbidden")
        ada.request("room:join", room="refreshed")
        assert ada.push("room:joined")["user"] == "ada"

    def test_a_refresh_that_fails_changes_nothing(self, server, chat):
        ada = chat(token=token("ada"))
        assert ada.refused("auth", token=BAD["expired"]) == "unauthorized"
        assert ada.refused("auth", token=BAD["none"]) == "unauthorized"
        ada.settle()

    def test_the_end_of_a_token_is_told_60_s_before(self, server, chat):
        ada = chat(token=token("ada", ttl=50))
        assert ada.push("notice")["code"] == "token_expiring"
        long = chat(token=token("ada", ttl=600))
        long.gather(0.3)
        assert long.pushed("notice") == []

    def test_at_its_end_and_the_leeway_it_is_closed_with_4200(self, servers):
        server = servers.parlor("--secret-file", servers.secret_file(), set={"auth.leeway_ms": 500})
        with Chat(server, token=token("ada", exp=time.time() + 3)) as ada:
            with Chat(server, token=token("ada", exp=time.time() + 1)) as extended:
                extended.request("auth", token=token("ada", ttl=60))
                error = ada.push("error")
                assert (error["code"], error["close"]) == ("token_expired", 4200)
                assert ada.closed() == 4200
                extended.gather(0.5)
                extended.settle()


class TestOpenMode:
    def test_a_user_is_who_they_say(self, opened):
        with Chat(opened, "ada.B_c@d-9") as ada:
            assert ada.hello["user"] == {"id": "ada.B_c@d-9", "name": "ada.B_c@d-9", "admin": False}

    @pytest.mark.parametrize(
        ("said", "name"),
        [
            ("Ada Lovelace", "Ada Lovelace"),
            ("Jose\u0301", "Jos\u00e9"),
            (" \u7530\u4e2d\n", "\u7530\u4e2d"),
            ("\u200b", "lov"),
            ("", "lov"),
            ("\u00e9" * 64, "\u00e9" * 64),
        ],
    )
    def test_a_user_is_called_what_they_say(self, opened, said, name):
        with Chat(opened, "lov", name=quote(said)) as lov:
            assert lov.hello["user"] == {"id": "lov", "name": name, "admin": False}
            lov.request("room:join", room="named")
        # It stays with a member until they come with another.
        with Chat(opened, "eve") as eve:
            eve.request("room:join", room="named")
            members = eve.request("room:members", room="named")["members"]
            assert [one["name"] for one in members if one["user"] == "lov"] == [name]
        with Chat(opened, "lov") as lov:
            assert lov.hello["user"]["name"] == name
        with Chat(opened, "lov", name="lov") as lov:
            assert lov.hello["user"]["name"] == "lov"

    @pytest.mark.parametrize("said", ["a%E2%80%AEb", "a%0Ab", "a%00b", "a%C2%85b", "x" * 129, "%ff", "%zz"])
    def test_what_is_no_name_is_400(self, opened, said):
        answer = upgrade(opened, f"/ws?user=ada&name={said}")
        assert (answer.status, answer.error["code"]) == (400, "bad_request")
        status, body = opened.api("GET", f"events?user=ada&name={said}")
        assert (status, body["error"]["code"]) == (400, "bad_request")

    def test_a_token_is_401(self, opened):
        for path, fields in ways(token("ada")).values():
            answer = upgrade(opened, path, *fields)
            assert (answer.status, answer.error["code"]) == (401, "unauthorized")
        assert upgrade(opened, f"/ws?user=ada&token={token('ada')}").status == 401

    def test_no_user_is_401(self, opened):
        answer = upgrade(opened, "/ws")
        assert (answer.status, answer.error["code"]) == (401, "unauthorized")

    @pytest.mark.parametrize("user", ["", "a%20b", "..", "x" * 65, "%ff", "a:b", "%3Cb%3E", "%zz"])
    def test_a_bad_id_is_400(self, opened, user):
        answer = upgrade(opened, f"/ws?user={user}")
        assert (answer.status, answer.error["code"]) == (400, "bad_request")

    @pytest.mark.parametrize(
        "host", ["localhost", "127.0.0.1", "[::1]", "LOCALHOST:1", "127.0.0.1:65535", "[::1]:80"]
    )
    def test_a_host_that_is_this_machine_is_served(self, opened, host):
        assert upgrade(opened, "/ws?user=ada", host=host).status == 101

    @pytest.mark.parametrize(
        "host",
        [
            "evil.example",
            "evil.example:8080",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "evil.example:localhost",
            "127.0.0.2",
            "0.0.0.0",
            "[::]",
            "localhost:x",
            "localhost@evil.example",
            "::1",
            "",
        ],
    )
    @pytest.mark.parametrize("path", ["/ws?user=ada", "/", "/healthz", "/app.js", "/nowhere"])
    def test_another_host_is_403_on_every_path(self, opened, host, path):
        """A web page elsewhere that makes its own name point here (DNS rebinding) gets nothing."""
        with Raw(opened, open=False) as raw:
            fields = [("Host", host), *FIELDS[1:]] if path.startswith("/ws") else [("Host", host)]
            raw.send(request_head(path, fields))
            answer = raw.read_answer()
        # What can be no host at all is refused before anybody asks whose it is.
        expected = (400, "bad_request") if "@" in host else (403, "forbidden")
        assert (answer.status, answer.error["code"]) == expected

    def test_with_a_secret_a_server_has_any_name(self, server):
        assert upgrade(server, f"/ws?token={token('ada')}", host="chat.example").status == 101

    def test_health_is_served_to_this_machine(self, opened):
        assert opened.http("/healthz")[0] == 200


class TestOrigin:
    def status(self, server, origin, host="127.0.0.1:8080", path="/ws?user=ada"):
        return upgrade(server, path, ("Origin", origin), host=host).status

    @pytest.mark.parametrize(
        ("origin", "host"),
        [
            ("http://127.0.0.1:8080", "127.0.0.1:8080"),
            ("http://localhost:8080", "localhost:8080"),
            ("http://LOCALHOST:8080", "localhost:8080"),
            ("http://localhost", "localhost"),
            ("http://localhost", "localhost:80"),
            ("http://[::1]:8080", "[::1]:8080"),
            ("https://chat.example", "127.0.0.1:8080"),
        ],
    )
    def test_ones_own_and_an_allowed_origin_pass(self, allowing, origin, host):
        assert self.status(allowing, origin, host) == 101

    @pytest.mark.parametrize(
        "origin",
        [
            "null",
            "http://evil.example",
            "http://127.0.0.1:8081",
            "http://127.0.0.1",
            "http://127.0.0.1:8080.evil.example",
            "http://127.0.0.1:8080@evil.example",
            "http://evil.example/127.0.0.1:8080",
            "http://chat.example",
            "https://chat.example.evil.example",
            "https://chat.example:444",
            "file://",
            "127.0.0.1:8080",
            "",
        ],
    )
    def test_every_other_is_403(self, allowing, origin):
        assert self.status(allowing, origin) == 403

    def test_with_a_token_it_is_judged_too(self, server):
        path = f"/ws?token={token('ada')}"
        assert self.status(server, "http://evil.example", path=path) == 403
        assert self.status(server, "null", path=path) == 403
        assert self.status(server, "http://127.0.0.1:8080", path=path) == 101

    def test_without_an_origin_it_is_no_browser(self, allowing):
        assert upgrade(allowing, "/ws?user=ada").status == 101


class TestMadeTokens:
    """`parlor token`."""

    def made(self, *arguments, **how):
        done = harness.run_parlor("token", *arguments, **how)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def claims(self, jwt):
        part = jwt.split(".")[1]
        return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))

    def test_a_token_is_a_right_one(self, servers, server, chat):
        secret = servers.secret_file()
        jwt = self.made("--user", "ada", "--ttl", "1h", "--secret-file", secret)
        claims = self.claims(jwt)
        assert claims["sub"] == "ada" and not claims.get("admin")
        assert abs(claims["exp"] - time.time() - 3_600) < 10
        head, payload, _ = jwt.split(".")
        assert jwt == resigned(head, payload), "signed with HS256 by this secret"
        assert chat(token=jwt).hello["user"]["id"] == "ada"

    def test_a_name_and_admin_are_in_it(self, servers, server, chat):
        secret = servers.secret_file()
        jwt = self.made("--user", "ada", "--name", "Ada L.", "--admin", "--secret-file", secret)
        assert chat(token=jwt).hello["user"] == {"id": "ada", "name": "Ada L.", "admin": True}

    def test_the_secret_may_come_from_the_environment(self, server, chat):
        jwt = self.made("--user", "ada", env={"PARLOR_SECRET": SECRET})
        assert chat(token=jwt).hello["user"]["id"] == "ada"

    def test_a_link_carries_a_code_where_no_log_sees_it(self, servers):
        link = self.made("--user", "ada", "--url", "--secret-file", servers.secret_file())
        assert link.startswith("http") and "/#code=" in link and "?" not in link
        claims = self.claims(link.split("#code=")[1])
        assert claims["sub"] == "ada" and claims["sign_in"] == 3_600 and claims["jti"]

    @pytest.mark.parametrize(
        "arguments",
        [
            ["--user", "a b"],
            ["--user", "ada", "--ttl", "soon"],
            ["--user", "ada", "--ttl", "-1h"],
            [],
        ],
    )
    def test_what_is_wrong_makes_none(self, servers, arguments):
        done = harness.run_parlor("token", *arguments, "--secret-file", servers.secret_file())
        assert done.returncode != 0 and done.stderr and not done.stdout

    def test_without_a_secret_none_is_made(self):
        done = harness.run_parlor("token", "--user", "ada")
        assert done.returncode != 0 and "secret" in done.stderr.lower()


def resigned(head, payload):
    signature = hmac.new(SECRET.encode(), f"{head}.{payload}".encode(), hashlib.sha256).digest()
    return f"{head}.{payload}.{b64url(signature)}"
