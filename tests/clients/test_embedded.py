"""What every answer says to browsers, and what pages elsewhere may embed."""

import json

import pytest

import harness
from harness import HOST, Raw, request_head

ADMIN = "an admin token for tests, of more than 32 bytes"
STREAMS = '{ shown = { publish = true, read = "public" }, hidden = { publish = true, read = "users" } }'
ELSEWHERE = "https://elsewhere.example"
FRIEND = "https://friend.example"


@pytest.fixture(scope="module")
def server(module_servers):
    started = module_servers.parlor(
        "--secret-file", module_servers.secret_file(), "--allow-origin", FRIEND,
        set={"streams": STREAMS, "auth.anonymous": "true", "metrics.public": "true"},
        env={"PARLOR_ADMIN_TOKEN": ADMIN},
    )
    for stream in ("shown", "hidden"):
        status, body = started.api("POST", f"streams/{stream}", {"n": 1}, token=ADMIN)
        assert status < 300, body
    return started


def heard(server, path, method="GET", fields=(), body=b""):
    """The head of an answer, however the connection goes on."""
    fields = [("Host", f"{HOST}:{server.port}"), *fields]
    if body:
        fields.append(("Content-Length", str(len(body))))
    with Raw(server, open=False) as raw:
        raw.send(request_head(path, fields, method) + body)
        return raw.read_head()


BEARER = ("Authorization", f"Bearer {harness.token('ada')}")
WHOLE = ("Authorization", f"Bearer {ADMIN}")
#: Answers of each kind: the status, and how it is come by.
ANSWERS = [
    (200, "/", {}),
    (200, "/healthz", {}),
    (200, "/readyz", {}),
    (200, "/metrics", {}),
    (200, "/api/v1/openapi.json", {}),
    (304, "/api/v1/openapi.json", {"fields": [("If-None-Match", "*")]}),
    (200, "/api/v1/info", {"fields": [BEARER]}),
    (200, "/api/v1/info", {"method": "HEAD", "fields": [BEARER]}),
    (201, "/api/v1/rooms/made", {"method": "PUT", "fields": [WHOLE], "body": b"{}"}),
    (200, "/api/v1/ticket", {"method": "POST", "fields": [BEARER]}),
    (200, "/api/v1/events", {"fields": [BEARER]}),
    (200, "/api/v1/sign-in", {}),
    (204, "/api/v1/info", {"method": "OPTIONS"}),
    (400, "/api/v1/call/x", {"method": "POST", "fields": [WHOLE, ("Transfer-Encoding", "chunked, chunked")]}),
    (400, "/api/v1/rooms?limit=x", {"fields": [BEARER]}),
    (401, "/api/v1/info", {"fields": [("Authorization", "Bearer no.token.here")]}),
    (403, "/api/v1/connections", {"fields": [BEARER]}),
    (404, "/nothing/here", {}),
    (403, "/api/v1/rooms/none", {"fields": [BEARER]}),
    (405, "/", {"method": "DELETE"}),
    (413, "/api/v1/call/x", {"method": "POST", "fields": [WHOLE, ("Content-Length", "99999999")]}),
    (417, "/", {"fields": [("Expect", "wonders")]}),
    (431, "/" + "x" * 9_000, {}),
]


@pytest.mark.parametrize(("status", "path", "how"), ANSWERS, ids=[f"{s} {p[:30]}" for s, p, _ in ANSWERS])
def test_every_answer_says_that_it_is_what_it_says_and_nobody_elsewhere_s_and_not_to_be_kept(server, status, path, how):
    answer = heard(server, path, **how)
    assert answer.status == status
    assert answer.fields["x-content-type-options"] == "nosniff"
    # Of what cannot be read it is not known that it was no WebSocket's.
    policy = "cross-origin" if status == 431 else "same-origin"
    assert answer.fields["cross-origin-resource-policy"] == policy
    assert answer.fields["cache-control"] in ("no-store", "no-cache")


def embedding(site, mode="no-cors", origin=None, dest="image"):
    fields = [("Sec-Fetch-Site", site), ("Sec-Fetch-Mode", mode), ("Sec-Fetch-Dest", dest)]
    return [*fields, *([("Origin", origin)] if origin else [])]


OWN = ["/", "/healthz", "/readyz", "/metrics", "/api/v1/openapi.json", "/api/v1/sign-in", "/client/client.js"]


@pytest.mark.parametrize("path", OWN)
def test_a_page_elsewhere_embeds_nothing_of_the_servers_own(server, path):
    good = heard(server, path).status
    assert good == 200
    for site in ("cross-site", "same-site"):
        for mode, origin in (("no-cors", None), ("cors", ELSEWHERE), ("no-cors", ELSEWHERE)):
            assert heard(server, path, fields=embedding(site, mode, origin)).status == 403, (site, mode, origin)
        for dest in ("object", "embed", "iframe", "frame", "fencedframe"):
            assert heard(server, path, fields=embedding(site, "navigate", dest=dest)).status == 403, (site, dest)
        # A link, an address that is typed, a page that is allowed, the page itself.
        assert heard(server, path, fields=embedding(site, "navigate", dest="document")).status == good
        assert heard(server, path, fields=embedding(site, "cors", FRIEND)).status == good
    for site in ("same-origin", "none"):
        assert heard(server, path, fields=embedding(site)).status == good
        assert heard(server, path, fields=embedding(site, "navigate", dest="iframe")).status == good


def test_a_refusal_of_what_is_embedded_says_so(server):
    status, fields, body = server.http("/readyz", headers=dict(embedding("cross-site")))
    assert (status, json.loads(body)["error"]["code"]) == (403, "forbidden")
    assert fields["content-type"] == "application/json"


def test_a_page_elsewhere_finds_out_that_there_is_a_server(server):
    for site in ("cross-site", "same-site", "same-origin"):
        answer = heard(server, "/ws", fields=embedding(site))
        assert (answer.status, answer.fields["cross-origin-resource-policy"]) == (426, "cross-origin")
        assert (answer.fields["x-content-type-options"], answer.fields["cache-control"]) == ("nosniff", "no-store")


def test_public_streams_are_for_pages_elsewhere_too_and_others_are_not(server):
    fields = embedding("cross-site")
    shown = heard(server, "/api/v1/streams/shown", fields=fields)
    assert (shown.status, shown.fields["cross-origin-resource-policy"]) == (200, "cross-origin")
    listening = heard(server, "/api/v1/streams/shown", fields=[*fields, ("Accept", "text/event-stream")])
    assert (listening.status, listening.fields["cross-origin-resource-policy"]) == (200, "cross-origin")
    assert heard(server, "/api/v1/streams/hidden", fields=fields).status in (401, 403, 404)
    # A ticket is what a page elsewhere is given for what others may not see.
    ticket = json.loads(server.http("/api/v1/ticket", "POST", headers=dict([BEARER]))[2])["ticket"]
    watched = f"/api/v1/streams/hidden?token={ticket}"
    listening = heard(server, watched, fields=[*fields, ("Accept", "text/event-stream")])
    assert (listening.status, listening.fields["cross-origin-resource-policy"]) == (200, "cross-origin")
    own = heard(server, "/api/v1/streams/shown", fields=[BEARER])
    assert (own.status, own.fields["cross-origin-resource-policy"]) == (200, "same-origin")


def test_in_open_mode_nothing_is_embedded_in_somebodys_name(servers):
    server = servers.parlor(set={"streams": STREAMS, "auth.anonymous": "true"})
    fields = embedding("cross-site")
    for path in ("/api/v1/info?user=ada", "/api/v1/rooms?user=ada", "/api/v1/streams/shown?user=ada"):
        assert heard(server, path, fields=fields).status == 403, path
        assert heard(server, path, fields=embedding("same-origin")).status in (200, 404), path
