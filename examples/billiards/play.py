"""Plays two games by parlor, hears all that is told, and calls all paths of the operators.

    python examples/billiards/play.py

It needs what README.md starts. What is not as README.md says ends it with a sentence.
"""

from __future__ import annotations

import io
import json
import os
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import parlor.sync
from core import EVENTS
from parlor import RequestError, StreamEvent
from PIL import Image

APP = os.environ.get("BILLIARDS_URL", "http://127.0.0.1:8000")
PARLOR = os.environ.get("BILLIARDS_PARLOR", "http://127.0.0.1:8080")
TOKEN = os.environ["BILLIARDS_TOKEN"]
#: How long something may take, in seconds.
PATIENCE = 20.0

#: Angle and speed of a shot, and the ball that it pockets: the same table at the same shot is the same game.
FIRST_GAME: list[tuple[float, float, str | None]] = [(2.06, 2.5, "white"), (0.0, 0.5, None)]
SECOND_GAME: list[tuple[float, float, str | None]] = [(-0.455, 2.8, "yellow"), (0.245, 2.9, "red")]


def check(is_so: bool, what: str) -> None:
    if not is_so:
        sys.exit(f"this is not so: {what}")


def connect() -> parlor.sync.Connection:
    return parlor.sync.Connection(PARLOR.replace("http", "ws", 1) + "/ws?anonymous=1")


def events(client: parlor.sync.Connection) -> Iterator[dict[str, Any]]:
    for event in client.events(StreamEvent):
        yield event.data


def play(client: parlor.sync.Connection, heard: Iterator[dict[str, Any]], shots: list[tuple[float, float, str | None]]) -> None:
    """Plays a game; each shot brings the events that it must."""
    game = client.request("billiards.start")["game"]
    while (event := next(heard)) != {"event": "game_started", "game": game, "picture": event["picture"]}:
        pass
    for number, (angle, speed, pocketed) in enumerate(shots, 1):
        wanted = [*(["ball_spotted"] if number > 1 and shots[number - 2][2] == "white" else []), "shot_taken"]
        wanted += [*(["ball_pocketed"] if pocketed else []), "balls_stopped", *(["game_ended"] if pocketed == "red" else [])]
        end = time.monotonic() + PATIENCE
        while True:
            try:
                check(client.request("billiards.shoot", {"angle": angle, "speed": speed})["shot"] == number, f"this is shot {number}")
                break
            except RequestError as error:
                check(error.code == "balls_roll" and time.monotonic() < end, f"a shot is refused only while balls roll: {error}")
                time.sleep((error.retry_after_ms or 0) / 1_000)
        told = [next(heard) for _ in wanted]
        check([event["event"] for event in told] == wanted, f"{wanted} follow shot {number}, not {told}")
        check(pocketed is None or pocketed in {event.get("ball") for event in told}, f"{pocketed} is pocketed")
    print(f"game {game}: {len(shots)} shots")


def ask(method: str, path: str, body: bytes | None = None, token: str | None = TOKEN) -> tuple[int, Any]:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        with urllib.request.urlopen(urllib.request.Request(APP + path, body, headers, method=method), timeout=PATIENCE) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def watch(stream: str, is_enough: Callable[[list[StreamEvent]], bool], **how: Any) -> list[StreamEvent]:
    """Events of a stream's, until they are enough."""
    with connect() as client:
        client.watch(stream, **how)
        taken: list[StreamEvent] = []
        for event in client.events(StreamEvent):
            taken.append(event)
            if is_enough(taken):
                break
        return taken


def pictures() -> None:
    begun = time.monotonic()
    frames = watch("frame", lambda taken: len(taken) >= 60)
    rate = 60 / (time.monotonic() - begun)
    sizes = {Image.open(io.BytesIO(frame.data)).size for frame in frames}
    check(sizes == {(640, 340)}, f"each picture is a JPEG of 640 by 340, not {sizes}")
    slow = watch("frame", lambda taken: len(taken) >= 10, max_rate=5)
    spread = ((slow[-1].seq or 0) - (slow[0].seq or 0)) / 9
    check(spread > 2, f"with 5 a second most pictures are left out, not {spread:.1f} apart")
    with urllib.request.urlopen(f"{PARLOR}/api/v1/streams/frame?multipart=1", timeout=PATIENCE) as answer:
        check(answer.headers.get_content_type() == "multipart/x-mixed-replace", "the other way is multipart/x-mixed-replace")
        check(answer.read(200).count(b"image/jpeg") == 1, "its parts are JPEGs")
    print(f"60 pictures by a WebSocket, {rate:.0f} a second; the same by multipart")


def operators() -> None:
    api = "/api/v1/websocket"
    status, health = ask("GET", f"{api}/health", token=None)
    check((status, health["status"], health["breaker"]) in ((200, "healthy", "closed"), (200, "degraded", "closed")), f"{health} is healthy")
    check(ask("GET", f"{api}/metrics", token=None)[1]["published"]["frame"] > 0, "metrics count pictures")
    for method, path in [("GET", "connections"), ("DELETE", "connections/x"), ("POST", "broadcast/alert"), ("POST", "broadcast/frame"), ("POST", "broadcast/group/x")]:
        check(ask(method, f"{api}/{path}", b"{}", token=None)[0] == 401, f"{method} {path} is for operators")
    with connect() as client:
        client.ready(PATIENCE)
        status, told = ask("GET", f"{api}/connections")
        check(status == 200 and len(told["connections"]) >= 1, "the connection is among them")
        group = client.events(StreamEvent)
        client.watch("group:referees")
        client.watch("alert")
        client.request("billiards.start")
        check(ask("POST", f"{api}/broadcast/group/referees", b'{"message":"look"}')[0] == 200, "a group can be told something")
        while (event := next(group)).stream != "group:referees":
            pass
        check(event.data == {"message": "look"}, "who watches a group's stream is told")
        check(ask("POST", f"{api}/broadcast/alert", b'{"level":"degraded","message":"a test"}')[0] == 200, "an alert can be broadcast")
        while (event := next(group)).data.get("message") != "a test":
            pass
        check(client.hello is not None, "the connection is online")
        mine = client.hello.connection
        check(ask("DELETE", f"{api}/connections/{mine}")[1] == {"closed": 1}, "a connection can be ended")
        check(ask("DELETE", f"{api}/connections/{mine}")[0] in (200, 404), "and is gone then")
    for stream in ("state", "trajectory"):
        check(ask("POST", f"{api}/broadcast/{stream}", b'{"picture":0,"balls":{},"paths":{}}')[0] == 200, f"{stream} can be broadcast")
    check(ask("POST", f"{api}/broadcast/config", b'{"fps":30}')[0] == 400, "what a stream must have is looked at")
    check(ask("POST", f"{api}/broadcast/events", b"{}")[0] == 422, "what happened is told by the core alone")
    picture = io.BytesIO()
    Image.new("RGB", (640, 340)).save(picture, "JPEG")
    check(ask("POST", f"{api}/broadcast/frame", picture.getvalue())[0] == 200, "a picture can be broadcast")
    check(ask("PUT", "/api/v1/config", b'{"fps":20,"quality":70}')[1] == {"fps": 20, "quality": 70, "covered": False}, "the pipeline can be configured")
    config = watch("config", lambda taken: taken[-1].data["fps"] == 20)[-1].data
    check(config["quality"] == 70, f"all are told the configuration, not {config}")
    ask("PUT", "/api/v1/config", b"{}")
    print("all paths of the operators")


def main() -> None:
    with connect() as client:
        client.watch("events")
        heard = events(client)
        client.ready(PATIENCE)
        play(client, heard, FIRST_GAME)
        play(client, heard, SECOND_GAME)
    pocketed = watch("events", lambda taken: taken[-1].data["ball"] == "red", filter={"/event": "ball_pocketed"})
    check({event.data["event"] for event in pocketed} == {"ball_pocketed"}, "a filter leaves the others out")
    every = watch("events", lambda taken: {event.data["event"] for event in taken} == set(EVENTS))
    print(f"{len(EVENTS)} kinds of events: {', '.join(EVENTS)}; {len(every)} are kept, {len(pocketed)} of them of pocketed balls")
    pictures()
    operators()


if __name__ == "__main__":
    main()
