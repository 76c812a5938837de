"""Tokens under several keys, and what tries to get in with others: on each of the four ways to present
one, with the exact answer. Keys that are exchanged while the server runs. `parlor token --key`."""

import base64
import itertools
import json
import signal
import socket
import time

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

import harness
from harness import FIELDS, HOST, SECRET, Chat, Raw, b64url, free_port, request_head
from keys import EdDsa, Es256, Hs256, Rs256, compact, jwks, kept, signed_by

AUDIENCE, ISSUER = "chat.example", "https://id.example"

INVALID = "the token is not valid here"
UNKNOWN_KEY = "the token names a key that this server does not have"
EXPIRED = "the token has expired"
NOT_YET = "the token is not valid yet"
NO_EXPIRY = "the token has no exp"
WRONG_AUDIENCE = "the token is for another audience: see its aud"
WRONG_ISSUER = "the token is from another issuer: see its iss"

#: The keys of the server under attack: two PEM files, a set of keys, and a secret.
NAMED = {
    "RS256": Rs256("rsa-1"),
    "ES256": Es256("ec-1"),
    "EdDSA": EdDsa("ed-1"),
    "HS256": Hs256("oct-1"),
}
SECRET_KEY = Hs256(secret=SECRET.encode())


def write(path, text):
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    path.chmod(0o600)
    return path


@pytest.fixture(scope="module")
def server(module_servers):
    folder = module_servers.directory()
    rsa = write(folder / "rsa.pem", NAMED["RS256"].public_pem())
    ec = write(folder / "ec.pem", NAMED["ES256"].public_pem())
    keys = write(folder / "keys.json", jwks(NAMED["EdDSA"], NAMED["HS256"]))
    arguments = ["--key-file", f"rsa-1={rsa}", "--key-file", f"ec-1={ec}", "--key-file", keys]
    expected = {"auth.audience": AUDIENCE, "auth.issuer": ISSUER}
    secret = module_servers.secret_file()
    return module_servers.parlor(*arguments, "--secret-file", secret, set=expected)


def good(key, sub="ada", **how):
    return key.token(sub, **{"aud": AUDIENCE, "iss": ISSUER, **how})


# --- the four ways ------------------------------------------------------------------------------


def upgrade(server, path="/ws", *fields):
    with Raw(server, open=False) as raw:
        raw.send(request_head(path, [*FIELDS, *fields]))
        return raw.read_answer()


BEFORE_THE_UPGRADE = {
    "header": lambda jwt: ("/ws", [("Authorization", f"Bearer {jwt}")]),
    "query": lambda jwt: (f"/ws?token={jwt}", []),
    "subprotocol": lambda jwt: ("/ws", [("Sec-WebSocket-Protocol", f"parlor.v1, bearer.{jwt}")]),
}


def refused_before_the_upgrade(answer, message):
    assert answer.status == 401
    assert answer.fields["content-type"].startswith("application/json")
    assert answer.fields["www-authenticate"] == "Bearer"
    assert json.loads(answer.body)["error"] == {"code": "unauthorized", "message": message}


def refused_as_a_message(server, jwt, message):
    with Chat(server, hello=False) as late:
        late.raw(json.dumps({"type": "auth", "id": 1, "payload": {"token": jwt}}))
        error = late.push("error")
        assert error == {"code": "unauthorized", "message": message, "close": 4001}
        assert late.closed() == 4001
        assert not late._answers and not late._pushes, "no reply, and no hello"


def let_in(server, way, jwt):
    """The user as whom a token lets in."""
    if way == "message":
        with Chat(server, hello=False) as late:
            late.request("auth", token=jwt)
            return late.push("hello")["user"]["id"]
    how = {
        "header": {"headers": {"Authorization": f"Bearer {jwt}"}},
        "query": {"token": jwt},
        "subprotocol": {"subprotocols": ["parlor.v1", f"bearer.{jwt}"]},
    }[way]
    with Chat(server, **how) as chat:
        return chat.hello["user"]["id"]


WAYS = [*BEFORE_THE_UPGRADE, "message"]


class TestRightTokens:
    """What would be refused below for one fault alone is let in without it."""

    @pytest.mark.parametrize("way", WAYS)
    @pytest.mark.parametrize("alg", NAMED)
    def test_each_algorithm_on_each_way(self, server, alg, way):
        assert let_in(server, way, good(NAMED[alg])) == "ada"

    def test_the_secret_is_for_tokens_without_a_kid(self, server):
        assert let_in(server, "query", good(SECRET_KEY, kid=None)) == "ada"
        path, fields = BEFORE_THE_UPGRADE["query"](good(SECRET_KEY, kid="secret"))
        refused_before_the_upgrade(upgrade(server, path, *fields), UNKNOWN_KEY)

    @pytest.mark.parametrize("alg", ["RS256", "ES256", "EdDSA"])
    def test_without_a_kid_it_is_the_only_key_of_its_algorithm(self, server, alg):
        assert let_in(server, "header", good(NAMED[alg], kid=None)) == "ada"

    @pytest.mark.parametrize("aud", [AUDIENCE, [AUDIENCE], ["other", AUDIENCE]])
    def test_aud_is_one_or_several(self, server, aud):
        assert let_in(server, "header", good(NAMED["ES256"], aud=aud)) == "ada"

    def test_other_claims_and_what_a_header_says_of_keys_are_not_looked_at(self, server):
        head = {"jku": "http://127.0.0.1:1/", "x5u": "file:///etc/passwd", "typ": "at+jwt"}
        jwt = good(NAMED["RS256"], head=head, roles=["admin"], scope="admin")
        assert let_in(server, "header", jwt) == "ada"

    def test_times_may_have_fractions(self, server):
        now = time.time()
        jwt = good(NAMED["EdDSA"], exp=now + 60.25, nbf=now - 0.5, iat=now - 0.75)
        assert let_in(server, "query", jwt) == "ada"


# --- attacks ------------------------------------------------------------------------------------


def parts(jwt):
    return jwt.split(".")


def with_claims(jwt, **claims):
    """Other claims under the old signature."""
    head, payload, signature = parts(jwt)
    old = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return ".".join([head, b64url(json.dumps({**old, **claims}).encode()), signature])


def attacks():
    now = int(time.time())
    rsa, ec_key, ed, octets = NAMED.values()
    claims = {"sub": "ada", "exp": now + 600, "iat": now, "aud": AUDIENCE, "iss": ISSUER}

    def signed(head, sign):
        return compact(head, claims, sign)

    def unsigned(_):
        return b""

    # alg: none
    for kid in (None, "rsa-1", "oct-1"):
        for alg in ("none", "None", "NONE", "nOnE"):
            yield f"{alg}_{kid}", signed(kept({"alg": alg, "kid": kid}), unsigned), INVALID
    yield "none_signed", signed({"alg": "none"}, SECRET_KEY.sign), INVALID
    yield "no_alg", signed({"typ": "JWT"}, SECRET_KEY.sign), INVALID
    yield "alg_list", signed({"alg": ["HS256"]}, SECRET_KEY.sign), INVALID

    # A public key, which anybody may have, as a secret.
    for key in (rsa, ec_key, ed):
        pem = key.public_pem()
        forms = {"pem": pem, "pem_stripped": pem.strip(), "der": key.public_der()}
        forms["body"] = b"".join(pem.splitlines()[1:-1])
        forms["jwk"] = json.dumps(key.jwk()).encode()
        for form, secret in forms.items():
            forger = Hs256(secret=secret)
            for kid in (key.kid, None):
                name = f"hs256_{key.alg}_{form}_{kid or 'no_kid'}"
                yield name, signed(kept({"alg": "HS256", "kid": kid}), forger.sign), INVALID
            yield (
                f"{key.alg}_by_hmac_{form}",
                signed({"alg": key.alg, "kid": key.kid}, forger.sign),
                INVALID,
            )

    # A key for one algorithm, with another.
    yield "rsa_pss", signed({"alg": "PS256", "kid": "rsa-1"}, rsa.sign_pss), INVALID
    yield "rsa_pss_as_rs256", signed({"alg": "RS256", "kid": "rsa-1"}, rsa.sign_pss), INVALID
    rs512 = lambda message: rsa.sign(message, hash=hashes.SHA512())
    yield "rs512", signed({"alg": "RS512", "kid": "rsa-1"}, rs512), INVALID
    yield "hs512", signed({"alg": "HS512", "kid": "oct-1"}, octets.sign), INVALID
    yield "es384", signed({"alg": "ES384", "kid": "ec-1"}, ec_key.sign), INVALID
    for one, other in itertools.permutations(NAMED.values(), 2):
        head = {"alg": one.alg, "kid": other.kid}
        yield f"{one.alg}_as_{other.kid}", signed(head, one.sign), INVALID
    yield "alg_in_another_case", signed({"alg": "rs256", "kid": "rsa-1"}, rsa.sign), INVALID

    # Signatures that are none.
    yield "es256_in_der", signed({"alg": "ES256", "kid": "ec-1"}, ec_key.sign_der), INVALID
    for alg, length in (("ES256", 64), ("EdDSA", 64), ("RS256", 256), ("HS256", 32)):
        kid = NAMED[alg].kid
        yield (
            f"{alg}_zeros",
            signed({"alg": alg, "kid": kid}, lambda _, n=length: bytes(n)),
            INVALID,
        )
        yield f"{alg}_empty", signed({"alg": alg, "kid": kid}, unsigned), INVALID

    # Unknown keys.
    for kid in ("rsa-2", "RSA-1", "", " rsa-1", "../../dev/null", "' OR 1=1 --", "x" * 1_000):
        yield f"unknown_kid_{kid[:9]}", good(rsa, kid=kid), UNKNOWN_KEY
    yield "kid_is_a_number", good(rsa, kid=1), INVALID
    for alg, kind in (("RS256", Rs256), ("ES256", Es256), ("EdDSA", EdDsa), ("HS256", Hs256)):
        stranger = kind(NAMED[alg].kid)
        yield f"another_{alg}_key", good(stranger), INVALID
        head = {"jwk": stranger.jwk(), "x5c": ["AAAA"]}
        yield f"{alg}_key_in_the_header", good(stranger, head=head), INVALID
        yield f"{alg}_key_in_the_header_no_kid", good(Hs256(), kid=None, head=head), INVALID

    for key in NAMED.values():
        alg, jwt = key.alg, good(key)
        # Times.
        yield f"{alg}_expired", good(key, ttl=-32), EXPIRED
        yield f"{alg}_not_yet", good(key, nbf=now + 3_600), NOT_YET
        yield f"{alg}_no_exp", without(key, "exp"), NO_EXPIRY
        # For somebody else.
        for name, aud in (
            ("other", "other.example"),
            ("prefix", AUDIENCE[:-1]),
            ("longer", AUDIENCE + "."),
            ("case", AUDIENCE.upper()),
            ("list", ["other.example"]),
            ("empty", []),
            ("object", {AUDIENCE: 1}),
        ):
            yield f"{alg}_aud_{name}", good(key, aud=aud), WRONG_AUDIENCE
        yield f"{alg}_no_aud", without(key, "aud"), WRONG_AUDIENCE
        yield f"{alg}_iss", good(key, iss=ISSUER + "/"), WRONG_ISSUER
        yield f"{alg}_no_iss", without(key, "iss"), WRONG_ISSUER
        yield f"{alg}_iss_list", good(key, iss=[ISSUER]), INVALID
        # Altered.
        yield f"{alg}_made_admin", with_claims(jwt, admin=True), INVALID
        yield f"{alg}_made_bob", with_claims(jwt, sub="bob"), INVALID
        yield f"{alg}_made_longer", with_claims(jwt, exp=now + 10**6), INVALID
        head, payload, signature = parts(jwt)
        other_head = b64url(json.dumps({"kid": key.kid, "alg": alg}).encode())
        yield f"{alg}_other_header", f"{other_head}.{payload}.{signature}", INVALID
        yield f"{alg}_padded", jwt + "=", INVALID
        yield f"{alg}_four_parts", jwt + "." + signature, INVALID
        yield f"{alg}_no_signature", f"{head}.{payload}.", INVALID
        yield f"{alg}_crit", good(key, head={"crit": ["exp"], "exp": now + 600}), INVALID
        yield f"{alg}_b64", good(key, head={"crit": ["b64"], "b64": False}), INVALID


def without(key, claim):
    claims = {"sub": "ada", "exp": int(time.time()) + 600, "aud": AUDIENCE, "iss": ISSUER}
    return compact({"alg": key.alg, "kid": key.kid}, kept({**claims, claim: None}), key.sign)


ATTACKS = {name: (jwt, message) for name, jwt, message in attacks()}


class TestAttacks:
    @pytest.mark.parametrize("way", BEFORE_THE_UPGRADE)
    @pytest.mark.parametrize("name", ATTACKS)
    def test_each_is_401_before_the_upgrade(self, server, name, way):
        jwt, message = ATTACKS[name]
        path, fields = BEFORE_THE_UPGRADE[way](jwt)
        answer = upgrade(server, path, *fields)
        if way == "subprotocol" and "=" in jwt:
            assert (answer.status, answer.error["code"]) == (400, "bad_request"), (
                "RFC 9110: no token"
            )
            return
        refused_before_the_upgrade(answer, message)

    @pytest.mark.parametrize("name", ATTACKS)
    def test_each_is_4001_as_a_first_message(self, server, name):
        refused_as_a_message(server, *ATTACKS[name])

    @pytest.mark.parametrize(
        "name", ["none_rsa-1", "unknown_kid_rsa-2", "RS256_expired", "ES256_iss"]
    )
    def test_as_a_refresh_it_is_refused_and_changes_nothing(self, server, name):
        jwt, message = ATTACKS[name]
        with Chat(server, token=good(NAMED["EdDSA"], admin=True)) as ada:
            refusal = ada.refusal("auth", token=jwt)
            assert refusal == {"code": "unauthorized", "message": message}
            assert ada.request("info")["user"]["admin"] is True

    def test_no_address_in_a_token_is_asked(self, server):
        with socket.create_server((HOST, 0)) as listener:
            url = f"http://{HOST}:{listener.getsockname()[1]}/keys.json"
            stranger = Rs256("rsa-1")
            jwt = good(stranger, head={"jku": url, "x5u": url})
            path, fields = BEFORE_THE_UPGRADE["header"](jwt)
            refused_before_the_upgrade(upgrade(server, path, *fields), INVALID)
            listener.settimeout(0.3)
            with pytest.raises(TimeoutError):
                listener.accept()


class TestTwoTokens:
    """A bad token is not made good by another one that is right, whichever comes first."""

    pairs = list(itertools.permutations(BEFORE_THE_UPGRADE, 2))

    def both(self, server, first, second):
        queries, fields = [], []
        for way, jwt in (first, second):
            path, more = BEFORE_THE_UPGRADE[way](jwt)
            queries += path.partition("?")[2:]
            fields += more
        return upgrade(server, "/ws?" + "&".join(filter(None, queries)), *fields)

    @pytest.mark.parametrize(("one", "other"), pairs)
    @pytest.mark.parametrize("name", ["none_None", "RS256_expired", "another_ES256_key"])
    def test_a_good_and_a_bad_one_are_401(self, server, one, other, name):
        jwt, message = ATTACKS[name]
        right = good(NAMED["EdDSA"])
        refused_before_the_upgrade(self.both(server, (one, right), (other, jwt)), message)

    @pytest.mark.parametrize("name", ["none_None", "RS256_expired", "another_ES256_key"])
    def test_also_within_one_way(self, server, name):
        jwt, message = ATTACKS[name]
        right = good(NAMED["EdDSA"])
        for first, second in ((jwt, right), (right, jwt)):
            answer = upgrade(server, f"/ws?token={first}&token={second}")
            refused_before_the_upgrade(answer, message)
            for offered in (
                [f"bearer.{first}, parlor.v1, bearer.{second}"],
                [f"bearer.{first}", f"parlor.v1,bearer.{second}"],
            ):
                fields = [("Sec-WebSocket-Protocol", line) for line in offered]
                refused_before_the_upgrade(upgrade(server, "/ws", *fields), message)

    def test_two_good_ones_are_the_first_ways_user(self, server):
        ada, bob = good(NAMED["EdDSA"]), good(NAMED["ES256"], "bob")
        how = {"headers": {"Authorization": f"Bearer {ada}"}, "token": bob}
        with Chat(server, **how) as chat:
            assert chat.hello["user"]["id"] == "ada"
        with Chat(server, token=bob, subprotocols=["parlor.v1", f"bearer.{ada}"]) as chat:
            assert chat.hello["user"]["id"] == "bob"

    def test_another_users_token_as_a_message_is_refused(self, server):
        with Chat(server, token=good(NAMED["EdDSA"])) as ada:
            assert ada.refused("auth", token=good(NAMED["ES256"], "bob")) == "unauthorized"
            assert ada.request("info")["user"]["id"] == "ada"

    def test_five_are_too_many(self, server):
        query = "&".join([f"token={good(NAMED['EdDSA'])}"] * 5)
        refused_before_the_upgrade(upgrade(server, f"/ws?{query}"), "there are too many tokens")
        assert upgrade(server, f"/ws?{query.partition('&')[2]}").status == 101


class TestHeaderRules:
    def status(self, server, *values, path="/ws"):
        return upgrade(server, path, *(("Authorization", value) for value in values)).status

    def test_the_field_comes_once(self, server):
        jwt = good(NAMED["EdDSA"])
        assert self.status(server, f"Bearer {jwt}") == 101
        assert self.status(server, f"Bearer {jwt}", f"Bearer {jwt}") == 400
        assert self.status(server, "Basic YTpi", f"Bearer {jwt}") == 400
        assert self.status(server, f"Bearer {jwt}, Bearer {jwt}") == 401

    def test_the_schemes_name_has_no_case_and_space_may_be_more(self, server):
        jwt = good(NAMED["EdDSA"])
        for value in (f"bearer {jwt}", f"BEARER   {jwt}", f"Bearer\t{jwt}", f"Bearer {jwt}  "):
            assert self.status(server, value) == 101, value

    def test_a_bearer_without_a_token_is_a_bad_one(self, server):
        for value in ("Bearer", "Bearer ", "bearer\t"):
            assert self.status(server, value) == 401, value
            assert self.status(server, value, path=f"/ws?token={good(NAMED['EdDSA'])}") == 401

    def test_what_is_not_ascii_is_no_absent_token(self, server):
        path = f"/ws?token={good(NAMED['EdDSA'])}"
        assert self.status(server, "Bearer \xe9", path=path) == 400

    def test_another_scheme_is_for_somebody_else(self, server):
        assert self.status(server, "Basic YTpi", path=f"/ws?token={good(NAMED['EdDSA'])}") == 101

    def test_a_cookie_is_no_token(self, server):
        with Raw(server, open=False) as raw:
            cookie = ("Cookie", f"token={good(NAMED['EdDSA'])}; bearer={good(NAMED['EdDSA'])}")
            raw.send(request_head("/ws", [*FIELDS, cookie]))
            assert raw.read_head().status == 101
            raw.expect_nothing(0.3)

    def test_the_bearer_item_is_never_echoed(self, server):
        jwt = good(NAMED["EdDSA"])
        for offered in (f"bearer.{jwt}", f"bearer.{jwt}, parlor.v1"):
            answer = upgrade(server, "/ws", ("Sec-WebSocket-Protocol", offered))
            assert answer.status == 101 and jwt not in str(answer.fields)


# --- keys that are exchanged --------------------------------------------------------------------


def said(server, text, seconds=5):
    """Waits until the server has said it once more than before."""
    before = server.output().count(text)

    def wait():
        deadline = time.monotonic() + seconds
        while server.output().count(text) == before:
            assert time.monotonic() < deadline, f"{text!r} is not said:\n{server.output()[-2_000:]}"
            time.sleep(0.02)

    return wait


def read_again(server, expected="keys, read again"):
    wait = said(server, expected)
    server.signal(signal.SIGHUP)
    wait()


def status(server, jwt):
    return upgrade(server, f"/ws?token={jwt}").status


class TestRotation:
    def test_a_new_key_is_taken_and_an_old_one_refused_while_connections_stay(self, servers):
        old, new = EdDsa("2026-01"), Es256("2026-02")
        path = write(servers.directory() / "keys.json", jwks(old))
        server = servers.parlor("--key-file", path)
        assert (status(server, old.token()), status(server, new.token())) == (101, 401)
        with Chat(server, token=old.token()) as ada:
            ada.join("lobby")
            write(path, jwks(old, new))
            read_again(server, 'keys, read again: 2: EdDSA "2026-01", ES256 "2026-02"')
            assert (status(server, old.token()), status(server, new.token())) == (101, 101)
            write(path, jwks(new))
            read_again(server, 'keys, read again: 1: ES256 "2026-02"')
            path_of, fields = BEFORE_THE_UPGRADE["header"](old.token())
            refused_before_the_upgrade(upgrade(server, path_of, *fields), UNKNOWN_KEY)
            refused_as_a_message(server, old.token(), UNKNOWN_KEY)
            # The connection stands on a token that was good, and goes on.
            ada.say("lobby", "still here")
            assert ada.push("chat:message")["text"] == "still here"
            assert ada.refused("auth", token=old.token()) == "unauthorized"
            ada.say("lobby", "and here")
            ada.request("auth", token=new.token())
            with Chat(server, token=new.token("bob")) as bob:
                bob.settle()
            ada.settle()
            assert ada.pushed("hello") == []

    @pytest.mark.parametrize("kind", [Rs256, Es256, EdDsa])
    def test_a_pem_file_is_replaced_in_its_place(self, servers, kind):
        old, new = kind(), kind()
        path = write(servers.directory() / "key.pem", old.public_pem())
        server = servers.parlor("--key-file", path)
        assert (status(server, old.token()), status(server, new.token())) == (101, 401)
        write(path, new.public_pem())
        read_again(server)
        assert (status(server, old.token()), status(server, new.token())) == (401, 101)

    def test_a_secrets_file_is_read_again_too(self, servers):
        old, new = Hs256(secret=b"a" * 40), Hs256(secret=b"b" * 40)
        path = servers.secret_file("a" * 40)
        server = servers.parlor("--secret-file", path)
        write(path, "b" * 40 + "\n")
        read_again(server)
        assert (status(server, old.token()), status(server, new.token())) == (401, 101)

    def test_what_is_wrong_is_said_and_the_old_keys_stay(self, servers):
        key, other = Hs256("a"), Rs256("b")
        path = write(servers.directory() / "keys.json", jwks(key))
        server = servers.parlor("--key-file", path)
        broken = {
            "gone": None,
            "empty": "",
            "cut": jwks(key, other)[:-2],
            "no_set": json.dumps(other.jwk()),
            "no_keys": jwks(),
            "kid_twice": jwks(key, Es256("a")),
            "half_wrong": jwks(key, other.jwk(kty="unheard-of")),
            "private": other.private_pem(),
            "large": jwks(key) + " " * 65_536,
        }
        with Chat(server, token=key.token()) as ada:
            for name, text in broken.items():
                path.unlink(missing_ok=True)
                if text is not None:
                    write(path, text)
                read_again(server, "configuration and keys, not read again, the old ones stay")
                assert (name, status(server, key.token())) == (name, 101)
                assert status(server, other.token()) == 401
            ada.settle()
            write(path, jwks(other))
            read_again(server)
            assert (status(server, key.token()), status(server, other.token())) == (401, 101)
        output = server.output()
        assert str(path) in output
        assert key.members()["k"] not in output and other.members()["n"] not in output
        assert "PRIVATE" not in output

    def test_a_secret_of_the_environment_stays_and_the_server_too(self, servers):
        server = servers.parlor(env={"PARLOR_SECRET": SECRET})
        read_again(server, "keys, read again: 1: HS256 without a kid")
        assert status(server, SECRET_KEY.token()) == 101

    def test_many_signals_at_once_harm_nothing(self, servers):
        key = EdDsa("a")
        path = write(servers.directory() / "keys.json", jwks(key))
        server = servers.parlor("--key-file", path)
        with Chat(server, token=key.token()) as ada:
            for _ in range(200):
                server.signal(signal.SIGHUP)
                ada.settle()
        read_again(server)
        assert server.stop() == 0

    def test_in_open_mode_it_ends_the_program_as_ever(self, servers):
        # Under nohup all that is started ignores it.
        server = servers.parlor(preexec=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL))
        server.signal(signal.SIGHUP)
        assert server.process.wait(5) == -signal.SIGHUP


class TestWhatIsLogged:
    def test_no_token_and_nothing_of_a_key(self, servers):
        keys = [Rs256("a"), Es256("b"), EdDsa("c"), Hs256("d")]
        path = write(servers.directory() / "keys.json", jwks(*keys))
        secret = servers.secret_file()
        server = servers.parlor("--key-file", path, "--secret-file", secret, "--log", "trace")
        shown = [SECRET]
        for key in keys:
            stranger = type(key)(key.kid)
            good_one = key.token()
            for jwt in (good_one, stranger.token(), key.token(ttl=-100), key.token(kid="z")):
                for request in BEFORE_THE_UPGRADE.values():
                    where, fields = request(jwt)
                    upgrade(server, where, *fields)
                with Chat(server, hello=False) as late:
                    late.raw(json.dumps({"type": "auth", "payload": {"token": jwt}}))
                    late.settle() if jwt == good_one else late.closed()
                shown += parts(jwt)[1:]
            with Chat(server, token=key.token()) as ada:
                again, forged = key.token(ttl=7_200), stranger.token(ttl=7_200)
                ada.request("auth", token=again)
                ada.refused("auth", token=forged)
                shown += [*parts(again)[1:], *parts(forged)[1:]]
            members = key.members()
            shown += [members[name] for name in ("n", "x", "y", "k") if name in members]
        read_again(server)
        write(path, "{")
        read_again(server, "keys, not read again")
        server.stop()
        output = server.output()
        assert "parlor" in output and len(output) > 1_000, "it did log"
        assert [part for part in shown if part and part in output] == []


# --- at the start -------------------------------------------------------------------------------


def refused_start(*arguments, **how):
    done = harness.run_parlor("serve", "--listen", f"{HOST}:{free_port()}", *arguments, **how)
    assert done.returncode == 2, done
    assert "panicked" not in done.stderr
    return done.stderr


class TestStart:
    def test_with_a_key_there_is_no_open_mode(self, servers):
        path = write(servers.directory() / "key.pem", EdDsa().public_pem())
        server = servers.parlor("--key-file", path)
        assert "Tokens are needed" in server.output()
        assert json.loads(server.http("/healthz")[2])["open"] is False
        assert upgrade(server, "/ws?user=ada").status == 101, "auth may still come"
        with Chat(server, user="ada", hello=False) as nobody:
            assert nobody.refused("room:list") == "unauthorized"
        data = servers.directory()
        assert "--open" in refused_start("--open", "--key-file", path, "--data", data)

    def test_the_keys_may_be_set_as_values_of_the_configuration(self, servers):
        folder = servers.directory()
        one, two = Rs256("one"), EdDsa("two")
        first = write(folder / "one.pem", one.public_pem())
        second = write(folder / "two.json", jwks(two))
        files = {
            "auth.key_files": f"one={first},{second}",
            "auth.secret_file": servers.secret_file(),
        }
        server = servers.parlor(set={**files, "auth.audience": AUDIENCE})
        for key in (one, two, SECRET_KEY):
            assert status(server, key.token(aud=AUDIENCE)) == 101
            assert status(server, key.token()) == 401

    def test_openssls_older_form_of_an_rsa_key_is_taken(self, servers):
        key = Rs256()
        pem = key.private.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.PKCS1
        )
        server = servers.parlor("--key-file", write(servers.directory() / "key.pem", pem))
        assert status(server, key.token()) == 101

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            (Rs256().private_pem(), "openssl pkey -in FILE -pubout"),
            (Es256().private_pem(serialization.PrivateFormat.TraditionalOpenSSL), "private key"),
            (EdDsa().private_pem(password=b"x"), "private key"),
            (Rs256(bits=1024).public_pem(), "RSA key of 1024 bits"),
            (Es256(curve=ec.SECP384R1()).public_pem(), "no key of RSA, of EC P-256 or of Ed25519"),
            (Es256(curve=ec.SECP256K1()).public_pem(), "no key of RSA, of EC P-256 or of Ed25519"),
            (EdDsa().public_pem() * 2, "several PEM blocks"),
            (b"ssh-ed25519 AAAA", "neither PEM"),
            (b"\xff\xfe", "neither PEM"),
            (jwks(Hs256("a", secret=b"x" * 31)), '"a": the secret has 31 bytes'),
            (jwks(Rs256("a", bits=1024)), '"a": is an RSA key of 1024 bits'),
            (jwks(Es256("a").jwk(alg="HS256")), '"a": has the alg "HS256"'),
            (jwks(Es256("a").jwk(use="enc")), '"a": is not for signatures'),
            (jwks(Es256("a").jwk(d="AAAA")), '"a": is a private key'),
            (jwks(Es256("a").jwk(kty="AKP")), '"a": has the kty "AKP"'),
            (jwks(Es256("a").jwk(crv="P-521")), '"a": has the crv "P-521"'),
            (jwks(EdDsa("a"), Es256("a")), '"a": another key has this kid'),
            (jwks(EdDsa(), EdDsa()), "second key of EdDSA without a kid"),
        ],
    )
    def test_a_file_that_is_wrong_is_refused_with_its_name_and_what_to_do(
        self, servers, text, expected
    ):
        path = write(servers.directory() / "the-key-file", text)
        message = refused_start("--key-file", path, "--data", servers.directory())
        assert expected in message and "the-key-file" in message

    def test_a_certificate_is_refused_with_what_to_do(self, servers):
        pem = EdDsa().public_pem().replace(b"PUBLIC KEY", b"CERTIFICATE")
        path = write(servers.directory() / "cert.pem", pem)
        message = refused_start("--key-file", path, "--data", servers.directory())
        assert "openssl x509 -in FILE -noout -pubkey" in message

    def test_a_file_that_is_not_there_and_one_too_many(self, servers):
        data = servers.directory()
        assert "nowhere" in refused_start("--key-file", data / "nowhere", "--data", data)
        path = write(data / "key.pem", EdDsa().public_pem())
        many = [part for n in range(17) for part in ("--key-file", f"k{n}={path}")]
        assert "more than 16 key files" in refused_start(*many, "--data", data)
        assert "KID" in refused_start("--set", "auth.key_files=a=", "--data", data)
        both = refused_start(
            "--secret-file", servers.secret_file(), "--data", data, env={"PARLOR_SECRET": SECRET}
        )
        assert "PARLOR_SECRET" in both and "--secret-file" in both


# --- parlor token -------------------------------------------------------------------------------


def made(*arguments, **how):
    done = harness.run_parlor("token", "--user", "ada", *arguments, **how)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def part(jwt, index):
    text = parts(jwt)[index]
    return json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))


class TestMadeTokens:
    @pytest.mark.parametrize("kind", [Rs256, Es256, EdDsa])
    def test_a_private_key_signs_with_what_it_is_for(self, servers, server, kind):
        key = kind("mine")
        path = write(servers.directory() / "key.pem", key.private_pem())
        jwt = made(
            "--key", path, "--kid", "mine", "--aud", AUDIENCE, "--iss", ISSUER, "--jti", "t-1"
        )
        assert part(jwt, 0) == {"alg": key.alg, "typ": "JWT", "kid": "mine"}
        claims = part(jwt, 1)
        assert (claims["aud"], claims["iss"], claims["jti"]) == (AUDIENCE, ISSUER, "t-1")
        assert signed_by(jwt, key) and not signed_by(jwt, kind())
        assert status(server, jwt) == 401, "a stranger's key"
        mine = servers.parlor("--key-file", write(path.with_name("public.pem"), key.public_pem()))
        assert status(mine, made("--key", path)) == 101
        assert part(made("--key", path), 0) == {"alg": key.alg, "typ": "JWT"}

    def test_one_of_the_servers_own_keys_is_taken(self, servers, server):
        path = write(servers.directory() / "key.pem", NAMED["ES256"].private_pem())
        names = ["--aud", "other.example", "--aud", AUDIENCE, "--iss", ISSUER]
        assert status(server, made("--key", path, "--kid", "ec-1", *names)) == 101
        assert part(made("--key", path, *names), 1)["aud"] == ["other.example", AUDIENCE]

    @pytest.mark.parametrize("kind", [Rs256, Es256])
    def test_openssls_older_forms_are_taken(self, servers, kind):
        key = kind()
        pem = key.private_pem(serialization.PrivateFormat.TraditionalOpenSSL)
        assert signed_by(made("--key", write(servers.directory() / "key.pem", pem)), key)

    def test_a_secret_signs_with_a_kid_too(self, servers):
        secret = servers.secret_file()
        assert part(made("--secret-file", secret, "--kid", "a"), 0)["kid"] == "a"

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            (EdDsa().public_pem(), "public key"),
            (EdDsa().private_pem(password=b"x"), "encrypted"),
            (Es256(curve=ec.SECP384R1()).private_pem(), "no key of RSA, of EC P-256 or of Ed25519"),
            (Rs256(bits=1024).private_pem(), "RSA"),
            (b"nothing", "neither PEM"),
        ],
    )
    def test_a_key_that_is_none_is_refused(self, servers, text, expected):
        path = write(servers.directory() / "the-key", text)
        done = harness.run_parlor("token", "--user", "ada", "--key", path)
        assert done.returncode == 2 and not done.stdout
        assert expected in done.stderr and "the-key" in done.stderr
        assert "panicked" not in done.stderr

    def test_one_thing_signs(self, servers):
        path = write(servers.directory() / "key.pem", EdDsa().private_pem())
        secret = servers.secret_file()
        for arguments, env in (
            (["--key", path, "--secret-file", secret], {}),
            (["--key", path], {"PARLOR_SECRET": SECRET}),
            (["--secret-file", secret], {"PARLOR_SECRET": SECRET}),
            ([], {}),
            (["--key", path, "--kid", ""], {}),
            (["--key", path, "--kid", "x" * 129], {}),
            (["--key", path, "--jti", "x" * 129], {}),
        ):
            done = harness.run_parlor("token", "--user", "ada", *arguments, env=env)
            assert done.returncode == 2 and done.stderr and not done.stdout, arguments
