"""A browser signs in: a code that is good for one exchange, and the cookie that it is exchanged for."""

import base64
import json
import re
import threading
import time

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

import harness
from backend import Backend
from harness import HOST, PATIENCE, SECRET, Chat, token

PATH = "/api/v1/sign-in"


def code(sub="ada", jti=None, sign_in=3_600, **claims):
    return token(sub, jti=jti or f"{sub}-{time.monotonic_ns()}", sign_in=sign_in, **claims)


class Browser:
    """A browser as far as cookies go: one jar for all ports of a host."""

    def __init__(self, jar=None):
        self.jar = {} if jar is None else jar

    def ask(self, server, method, path=PATH, body=None, origin=True, **fields):
        headers = {name.replace("_", "-"): value for name, value in fields.items()}
        if origin is True and method not in ("GET", "HEAD"):
            origin = f"http://{HOST}:{server.port}"
        if isinstance(origin, str):
            headers["Origin"] = origin
        if self.jar:
            headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.jar.items())
        body = None if body is None else json.dumps(body)
        status, answer, text = server.http(path, method, headers, body)
        if "set-cookie" in answer:
            name, value = answer["set-cookie"].split(";")[0].split("=", 1)
            if "Max-Age=0" in answer["set-cookie"]:
                self.jar.pop(name, None)
            else:
                self.jar[name] = value
        return status, json.loads(text) if text else None, answer

    def sign_in(self, server, link):
        return self.ask(server, "POST", body={"code": link})

    def who(self, server):
        return self.ask(server, "GET")[1]

    def socket(self, server, origin=True):
        headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in self.jar.items())}
        if origin:
            headers["Origin"] = f"http://{HOST}:{server.port}" if origin is True else origin
        return Chat(server, headers=headers)


@pytest.fixture
def start(servers):
    secret = servers.secret_file()

    def begin(*arguments, **how):
        return servers.parlor("--secret-file", secret, *arguments, **how)

    return begin


@pytest.fixture
def server(start):
    return start()


@pytest.fixture
def browser():
    return Browser()


class TestSigningIn:
    def test_a_code_is_exchanged_once_for_a_cookie_by_which_one_is_in(self, server, browser):
        assert browser.who(server) == {"user": None}
        link = code("ada", name="Ada L.", admin=True)
        status, said, fields = browser.sign_in(server, link)
        assert (status, said["user"]) == (200, {"id": "ada", "name": "Ada L.", "admin": True})
        assert abs(said["expires"] / 1_000 - time.time() - 3_600) < 10 and said["by"] == "link"
        assert browser.who(server) == said
        with browser.socket(server) as ada:
            assert ada.hello["user"] == {"id": "ada", "name": "Ada L.", "admin": True}
        status, rooms, _ = browser.ask(server, "GET", "/api/v1/rooms")
        assert status == 200 and rooms["rooms"] == []
        # Whoever else has the link has come too late, and is told so.
        status, said, _ = Browser().sign_in(server, link)
        assert (status, said["error"]["code"]) == (401, "unauthorized")

    def test_the_cookie_is_the_pages_alone(self, server, browser):
        _, _, fields = browser.sign_in(server, code())
        cookie = fields["set-cookie"]
        assert cookie.startswith(f"parlor_sign_in_{server.port}=")
        assert {"HttpOnly", "SameSite=Lax", "Path=/", "Max-Age=3600"} <= set(cookie.split("; ")[1:])
        assert "Secure" not in cookie and fields["cache-control"] == "no-store"

    def test_under_https_it_is_secure(self, server, browser):
        # As behind a proxy that has TLS, and hands the host on.
        origin = f"https://{HOST}:{server.port}"
        _, _, fields = browser.ask(server, "POST", body={"code": code()}, origin=origin)
        assert "; Secure" in fields["set-cookie"]

    def test_of_two_who_open_a_link_at_once_one_is_in(self, server):
        for _ in range(5):
            link, outcomes = code(), []
            threads = [
                threading.Thread(target=lambda: outcomes.append(Browser().sign_in(server, link)[0]))
                for _ in range(8)
            ]
            for one in threads:
                one.start()
            for one in threads:
                one.join()
            assert outcomes.count(200) == 1 and set(outcomes) <= {200, 401, 409}

    def test_a_link_stays_used_and_a_sign_in_holds_over_a_kill(self, servers, start, browser):
        directory = servers.directory()
        server, link = start(data=directory), code()
        assert browser.sign_in(server, link)[0] == 200
        server.kill()
        server = start(data=directory, port=server.port)
        assert browser.who(server)["user"]["id"] == "ada"
        assert Browser().sign_in(server, link)[0] == 401
        assert (directory / "sign-in.key").stat().st_mode & 0o777 == 0o600

    def test_servers_on_one_host_do_not_take_each_others_cookies(self, start, browser):
        one, other = start(), start()
        browser.sign_in(one, code("ada"))
        browser.sign_in(other, code("bob"))
        assert len(browser.jar) == 2
        assert (browser.who(one)["user"]["id"], browser.who(other)["user"]["id"]) == ("ada", "bob")
        # A cookie of another's is none of ours, whatever its name.
        (of_one, of_other) = (f"parlor_sign_in_{server.port}" for server in (one, other))
        browser.jar[of_one], browser.jar[of_other] = browser.jar[of_other], browser.jar[of_one]
        assert browser.who(one) == browser.who(other) == {"user": None}

    @pytest.mark.parametrize(
        "link, status",
        [
            ("no token", 401),
            (token("ada"), 401),
            (code(sign_in=0), 401),
            (token("ada", sign_in=60), 401),
            (code(ttl=-60), 401),
            (code(secret="x" * 32), 401),
            (code(alg="none"), 401),
            (code(jti="x" * 121), 401),
        ],
    )
    def test_what_is_no_good_code_signs_nobody_in(self, server, browser, link, status):
        answered, said, fields = browser.sign_in(server, link)
        assert answered == status and "set-cookie" not in fields and said["error"]["message"]
        assert browser.who(server) == {"user": None}

    @pytest.mark.parametrize("body", [b"", b"{", b"[]", b"{}", b'{"code":7}', b"\xff", b'{"code":null}'])
    def test_what_is_no_request_is_refused(self, server, body):
        headers = {"Origin": f"http://{HOST}:{server.port}"}
        status, fields, _ = server.http(PATH, "POST", headers, body)
        assert status == 400 and "set-cookie" not in fields

    def test_a_code_is_no_token(self, server):
        for how in ({"token": code()}, {"headers": {"Authorization": f"Bearer {code()}"}}):
            with pytest.raises(InvalidStatus) as refused:
                Chat(server, **how)
            assert refused.value.response.status_code == 401
        assert server.api("GET", "rooms", token=code())[0] == 401

    def test_a_cookie_is_no_token(self, server, browser):
        browser.sign_in(server, code())
        (value,) = browser.jar.values()
        assert server.api("GET", "rooms", token=value)[0] == 401

    def test_rights_that_a_cookie_cannot_hold_are_refused_and_the_link_is_good_still(self, server, browser):
        link = code(publish=[f"stream-{number}:{'x' * 40}" for number in range(80)])
        status, said, _ = browser.sign_in(server, link)
        assert status in (401, 413), said
        assert browser.who(server) == {"user": None}

    def test_other_methods_are_named(self, server, browser):
        status, _, fields = browser.ask(server, "PUT")
        assert (status, fields["allow"]) == (405, "DELETE, GET, HEAD, POST")


class TestOrigin:
    def test_a_page_elsewhere_signs_nobody_in_and_nobody_out(self, server, browser):
        for origin in (f"http://{HOST}:1", "http://evil.example", "null"):
            status, _, fields = browser.ask(server, "POST", body={"code": code()}, origin=origin)
            assert status == 403 and "set-cookie" not in fields
        browser.sign_in(server, code())
        assert browser.ask(server, "DELETE", origin="http://evil.example")[0] == 403
        # Without one nothing is done, and nobody is told that it was; nor for a token, which has no end here.
        assert browser.ask(server, "DELETE", origin=None)[0] == 403
        bearer = f"Bearer {token('eve')}"
        assert Browser().ask(server, "DELETE", Authorization=bearer)[0] == 400
        assert browser.who(server)["user"]["id"] == "ada"
        # A proxy may send one along: the sign-in ends all the same.
        assert browser.ask(server, "DELETE", Authorization=bearer)[0] == 200
        assert browser.who(server)["user"] is None

    def test_a_page_on_another_port_of_this_host_uses_no_cookie(self, server, browser):
        browser.sign_in(server, code())
        elsewhere = f"http://{HOST}:{server.port + 1}"
        with pytest.raises(InvalidStatus) as refused:
            browser.socket(server, origin=elsewhere)
        assert refused.value.response.status_code == 403
        path = "/api/v1/rooms/tea/messages"
        assert browser.ask(server, "POST", path, {"text": "x"}, origin=elsewhere)[0] == 403
        # Such a page's browser says so where it sends no Origin; nobody else sends none with what changes something.
        assert browser.ask(server, "GET", "/api/v1/rooms", Sec_Fetch_Site="same-site")[0] == 403
        assert browser.ask(server, "POST", path, {"text": "x"}, origin=False)[0] == 401
        assert browser.ask(server, "GET", "/api/v1/rooms", Sec_Fetch_Site="same-origin")[0] == 200

    def test_an_allowed_origin_is_no_page_of_ours(self, start, browser):
        server = start("--allow-origin", "https://app.example")
        browser.sign_in(server, code())
        path = "/api/v1/rooms/tea/members/ada"
        assert browser.ask(server, "PUT", path, origin="https://app.example")[0] == 401
        assert browser.ask(server, "PUT", path)[0] == 200

    def test_a_token_goes_before_the_cookie(self, server, browser):
        browser.sign_in(server, code("ada"))
        fields = {"Authorization": f"Bearer {token('bob')}"}
        assert browser.ask(server, "GET", **fields)[1]["user"]["id"] == "bob"
        fields = {"Authorization": "Bearer a.b.c"}
        assert browser.ask(server, "GET", "/api/v1/rooms", **fields)[0] == 401


class TestTheEnd:
    def test_signing_out_ends_it_here_and_on_all_its_connections(self, server, browser):
        other = Browser()
        browser.sign_in(server, code("ada"))
        other.sign_in(server, code("ada"))
        kept = dict(browser.jar)
        with browser.socket(server) as here, other.socket(server) as there:
            assert browser.ask(server, "DELETE")[0] == 200
            assert browser.jar == {} and browser.who(server) == {"user": None}
            with pytest.raises(ConnectionClosed) as closed:
                while True:
                    here.socket.recv(PATIENCE)
            assert closed.value.rcvd.code == 4201
            assert there.request("ping")["ts"]
        assert Browser(kept).who(server) == {"user": None}, "a copy of the cookie is good no more"
        assert other.who(server)["user"]["id"] == "ada"

    def test_signing_out_everywhere_ends_all_of_a_user_and_nobody_elses(self, server, browser):
        others = [Browser(), Browser()]
        browser.sign_in(server, code("ada"))
        others[0].sign_in(server, code("ada"))
        others[1].sign_in(server, code("bob"))
        assert browser.ask(server, "DELETE", f"{PATH}?everywhere=1")[0] == 200
        assert [one.who(server)["user"] and one.who(server)["user"]["id"] for one in others] == [None, "bob"]
        # And one can sign in again, by a link that was made later: times of issue are whole seconds.
        assert browser.sign_in(server, code("ada", iat=int(time.time()) + 1))[0] == 200
        assert browser.who(server)["user"]["id"] == "ada"

    def test_signing_out_holds_over_a_restart(self, servers, start, browser):
        directory = servers.directory()
        server = start(data=directory)
        browser.sign_in(server, code("ada"))
        kept = dict(browser.jar)
        browser.ask(server, "DELETE")
        server.stop()
        server = start(data=directory, port=server.port)
        assert Browser(kept).who(server) == {"user": None}

    def test_who_is_not_signed_in_signs_out_all_the_same(self, server, browser):
        browser.jar[f"parlor_sign_in_{server.port}"] = "stale"
        assert browser.ask(server, "DELETE")[0] == 200
        assert browser.jar == {}

    def test_a_revocation_of_the_user_ends_it_and_so_does_its_time(self, server, browser):
        browser.sign_in(server, code("ada"))
        short = Browser()
        short.sign_in(server, code("bob", sign_in=1))
        admin = {"token": token("root", admin=True)}
        with browser.socket(server) as ada, Chat(server, **admin) as root:
            assert root.request("auth:revoke", user="ada")["closed"] == 1
            with pytest.raises(ConnectionClosed) as closed:
                while True:
                    ada.socket.recv(PATIENCE)
            assert closed.value.rcvd.code == 4201
        assert browser.who(server) == {"user": None}

    def test_a_sign_in_ends_when_it_says(self, start, browser):
        server = start(set={"auth.leeway_ms": 0})
        browser.sign_in(server, code("ada", sign_in=1))
        with browser.socket(server) as ada:
            with pytest.raises(ConnectionClosed) as closed:
                while True:
                    ada.socket.recv(PATIENCE)
            assert closed.value.rcvd.code == 4200
        assert browser.who(server) == {"user": None}


class TestBesideOthers:
    def test_open_mode_has_no_cookie(self, servers, browser):
        server = servers.parlor()
        assert browser.sign_in(server, code())[0] == 401
        assert browser.who(server) == {"user": None}
        browser.jar[f"parlor_sign_in_{server.port}"] = "x"
        with Chat(server, "ada") as ada:
            assert ada.hello["user"]["id"] == "ada"

    def test_the_applications_own_cookie_lets_in_without_a_link_and_never_sees_ours(self, start, browser):
        def people(asked):
            cookie = asked.fields.get("cookie", "")
            if "session=eve" in cookie:
                return 200, {"user": {"id": "eve", "name": "Eve"}}
            return 401, {}

        with Backend(people) as backend:
            server = start(set={"auth.url": f"{backend.url}/who"})
            browser.jar["session"] = "eve"
            said = browser.who(server)
            assert said == {"user": {"id": "eve", "name": "Eve", "admin": False}, "by": "application"}
            # A link goes before it, and the backend is not asked.
            browser.sign_in(server, code("ada"))
            before = len(backend.asked())
            assert browser.who(server)["user"]["id"] == "ada"
            assert len(backend.asked()) == before
            # With a cookie of ours that is good no more it is asked, and sees its own alone.
            (name,) = [name for name in browser.jar if name.startswith("parlor")]
            browser.jar[name] = "stale"
            assert browser.who(server)["user"]["id"] == "eve"
            assert all(asked.fields["cookie"] == "session=eve" for asked in backend.asked())

    def test_no_cookie_and_no_code_is_in_the_log(self, start, browser):
        server = start("--log", "trace")
        link = code()
        browser.sign_in(server, link)
        with browser.socket(server):
            pass
        (value,) = browser.jar.values()
        assert link not in server.output() and value not in server.output()


class TestTheLink:
    def link(self, *arguments, **how):
        done = harness.run_parlor("token", "--user", "ada", *arguments, env={"PARLOR_SECRET": SECRET}, **how)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def test_a_link_has_a_code_that_signs_in_for_as_long_as_ttl_says(self, server, browser):
        url = f"http://{HOST}:{server.port}/"
        link = self.link("--url", url, "--ttl", "7d", "--name", "Ada Lovelace")
        found = re.fullmatch(re.escape(url) + r"#code=(\S+)", link)
        status, said, _ = browser.sign_in(server, found.group(1))
        assert status == 200 and said["user"]["name"] == "Ada Lovelace"
        assert abs(said["expires"] / 1_000 - time.time() - 7 * 86_400) < 10

    def test_two_links_are_two(self, server):
        for _ in range(2):
            found = self.link("--url").split("#code=")[1]
            assert Browser().sign_in(server, found)[0] == 200

    def test_a_link_is_good_for_a_day_or_as_long_as_it_says(self, server):
        def until(*arguments):
            claims = self.link("--url", *arguments).split("#code=")[1].split(".")[1]
            claims = base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4))
            return json.loads(claims)["exp"] - time.time()

        assert abs(until() - 86_400) < 10
        assert abs(until("--open-within", "10m") - 600) < 10
        done = harness.run_parlor("token", "--user", "ada", "--open-within", "1h", env={"PARLOR_SECRET": SECRET})
        assert done.returncode == 2 and "--url" in done.stderr
