"""Billiards: its README's commands, both breakers, and what it says of a camera that sees nothing."""

import json
import math
import random
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pytest

import harness
from applications import Application
from backend import until
from harness import HOST, PATIENCE, ROOT

sys.path[:0] = [str(ROOT / "clients/python"), str(ROOT / "examples/billiards")]

import core
import parlor.sync
import pipeline as pipelines
import table as tables
import vision
from parlor import RequestError, StreamEvent, StreamStale

pytestmark = [pytest.mark.plain, pytest.mark.seconds(90)]

FOLDER = ROOT / "examples/billiards"
README = (FOLDER / "README.md").read_text()
API = "/api/v1/websocket"


class Billiards(Application):
    def __init__(self, servers):
        super().__init__("billiards", servers)
        self.variables |= {"BILLIARDS_URL": f"http://{HOST}:{self.app}", "BILLIARDS_PARLOR": f"http://{HOST}:{self.parlor}"}

    def ask(self, method, path, data=None, port=None):
        """Asks as an operator; gives the status and what is answered."""
        body = None if data is None else json.dumps(data).encode()
        headers = {"Authorization": f"Bearer {self.variables['BILLIARDS_TOKEN']}"}
        try:
            request = urllib.request.Request(f"http://{HOST}:{port or self.app}{path}", body, headers, method=method)
            with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)

    def health(self):
        return self.ask("GET", f"{API}/health")

    def metric(self, name):
        with urllib.request.urlopen(f"http://{HOST}:{self.parlor}/metrics", timeout=PATIENCE) as answer:
            found = re.search(rf"^{re.escape(name)} (\S+)$", answer.read().decode(), re.MULTILINE)
        assert found is not None, name
        return float(found.group(1))

    def guest(self):
        return parlor.sync.Connection(f"ws://{HOST}:{self.parlor}/ws?anonymous=1")


@pytest.fixture
def billiards(servers):
    with Billiards(servers) as started:
        yield started


def test_the_readmes_commands_play_two_games_and_call_all_paths(billiards):
    said = billiards.run(billiards.blocks[1], seconds=80)
    assert re.findall(r"game (\d+): (\d) shots", said) == [("2", "2"), ("3", "2")]
    assert f"{len(core.EVENTS)} kinds of events" in said and "all paths of the operators" in said
    assert re.search(r"60 pictures by a WebSocket, \d+ a second; the same by multipart", said)


def test_what_the_readme_says_is_what_there_is():
    config = (FOLDER / "parlor.toml").read_text()
    streams = set(re.findall(r'^"?([a-z:{}]+)"? = \{', config, re.MULTILINE))
    assert {name for name in re.findall(r"^\| `([a-z:{}]+)` \|", README, re.MULTILINE)} == streams
    (events,) = re.findall(r"Events are (.*?)\. Players", README, re.DOTALL)
    assert tuple(re.findall(r"`(\w+)`", events)) == core.EVENTS
    app = (FOLDER / "app.py").read_text()
    routes = {(method.upper(), path.replace("{API}", API)) for method, path in re.findall(r'@app\.(\w+)\((?:f|API \+ )?"(\S+)"\)', app) if path not in ("/", "/parlor-url")}
    routes = {(method, path if path.startswith("/api") else API + path) for method, path in routes}
    assert set(re.findall(r"^\| `(\w+) (/api\S+)` \|", README, re.MULTILINE)) == routes
    for name in re.findall(r"^\| \[(\S+)\]", README, re.MULTILINE):
        assert (FOLDER / name).is_file()
    assert (pipelines.FAILURES, pipelines.OPEN_SECONDS, pipelines.WAITING_MAX) == (5, 2.0, 1_000)
    assert "circuit_failures = 5" in config and "circuit_open_ms = 2000" in config


def test_the_breaker_opens_when_parlor_is_gone_and_closes_when_it_is_back(billiards):
    with billiards.guest() as guest:
        guest.watch("events", filter={"/event": "game_started"})
        events = guest.events(StreamEvent)
        first = next(events).data["game"]
        until(lambda: billiards.health()[1]["status"] != "unhealthy")
        billiards.end("parlor", signal.SIGKILL)
        until(lambda: billiards.health()[1]["breaker"] == "open")
        status, health = billiards.health()
        assert (status, health["status"]) == (503, "unhealthy") and "parlor does not answer" in health["reasons"]
        assert billiards.ask("GET", f"{API}/connections")[0] == 503
        before = billiards.ask("GET", f"{API}/metrics")[1]
        until(lambda: billiards.ask("GET", f"{API}/metrics")[1]["dropped"].get("frame", 0) > before["dropped"].get("frame", 0))
        billiards.begin("parlor")
        until(lambda: billiards.health()[1]["breaker"] == "closed")
        assert billiards.ask("GET", f"{API}/metrics")[1]["breaker"]["opened"] >= 1
        assert guest.request("billiards.start") == {"game": first + 1}
        assert next(events).data["game"] == first + 1
    assert "parlor is left alone" in billiards.log("app") and "parlor is back" in billiards.log("app")
    # That it was unhealthy is told when it can be told.
    with billiards.guest() as guest:
        guest.watch("alert")
        alerts = guest.events(StreamEvent)
        while "parlor does not answer" not in next(alerts).data["message"]:
            pass


def test_parlors_breaker_opens_when_the_pipeline_is_gone_and_closes_when_it_is_back(billiards):
    down = 'parlor_handler_down{handler="billiards.*"}'
    with billiards.guest() as guest:
        guest.watch("state")
        stale = guest.events(StreamStale)
        guest.request("billiards.start")
        assert billiards.metric(down) == 0
        billiards.end("app")
        for _ in range(5):
            with pytest.raises(RequestError) as refused:
                guest.request("billiards.start")
            assert (refused.value.code, refused.value.by_application) == ("unavailable", False)
        assert billiards.metric(down) == 1
        assert next(stale).since is not None
        billiards.begin("app")

        def starts():
            try:
                return guest.request("billiards.start")
            except RequestError as error:
                assert error.code == "unavailable"
                return None

        until(starts)
        assert billiards.metric(down) == 0
        assert next(stale).since is None


def test_a_covered_camera_pockets_nothing_and_is_told(billiards):
    with billiards.guest() as guest:
        guest.watch("alert")
        alerts = guest.events(StreamEvent)
        guest.watch("events")
        guest.request("billiards.start")
        until(lambda: billiards.health()[0] == 200)
        # What is told follows with the next picture: that parlor is there now. Without it there is no
        # change to be told when the camera is covered.
        time.sleep(1)
        assert billiards.ask("PUT", "/api/v1/config", {"covered": True})[0] == 200
        until(lambda: billiards.health()[0] == 503)
        assert "the camera sees nothing" in billiards.health()[1]["reasons"]
        assert billiards.ask("PUT", "/api/v1/config", {})[0] == 200
        until(lambda: billiards.health()[0] == 200)
        heard = []
        # An earlier one is that parlor was not there yet.
        while not any("the camera sees nothing" in message for _, message in heard[:-1]):
            event = next(alerts)
            assert event.data.get("event") != "ball_pocketed"
            heard += [(event.data["level"], event.data["message"])] if event.stream == "alert" else []
        assert heard[-1][0] != "unhealthy"


def test_what_is_asked_wrongly_is_refused(billiards):
    with billiards.guest() as guest:
        for payload in ({}, {"angle": 0}, {"angle": 0, "speed": 100}, {"angle": True, "speed": 1}, {"angle": 0, "speed": "1"}):
            with pytest.raises(RequestError) as refused:
                guest.request("billiards.shoot", payload)
            assert (refused.value.code, refused.value.by_application) == ("bad_request", True)
        with pytest.raises(RequestError) as refused:
            guest.request("publish", {"stream": "alert", "data": {"level": "healthy", "message": "a lie"}})
        assert refused.value.code == "forbidden"
    assert billiards.ask("PUT", "/api/v1/config", {"fps": 1_000})[0] == 422
    assert billiards.ask("POST", f"{API}/broadcast/alert", "x" * 200_000)[0] == 413
    # An operator is one of parlor's, too.
    assert billiards.ask("GET", "/api/v1/connections", port=billiards.parlor)[0] == 200


@pytest.mark.parametrize("token", ["", "short"])
def test_without_a_token_that_cannot_be_guessed_it_does_not_start(token):
    env = harness.clean_environment(PYTHONPATH=str(ROOT / "clients/python"), PARLOR_ADMIN_TOKEN="x" * 32, BILLIARDS_SECRET="x" * 32, BILLIARDS_TOKEN=token)
    done = subprocess.run([sys.executable, FOLDER / "app.py"], env=env, capture_output=True, text=True, timeout=PATIENCE * 4, check=False)
    assert done.returncode == 1 and "BILLIARDS_TOKEN has 32 bytes at least" in done.stderr


def test_a_breaker_lets_one_through_and_opens_again_at_once():
    breaker = pipelines.Breaker()
    for _ in range(pipelines.FAILURES):
        assert breaker.allows(0) and breaker.state == "closed"
        breaker.failed(0)
    assert (breaker.state, breaker.opened) == ("open", 1)
    assert not breaker.allows(pipelines.OPEN_SECONDS - 0.1)
    assert breaker.allows(pipelines.OPEN_SECONDS) and breaker.state == "half-open"
    breaker.failed(2)
    assert not breaker.allows(3.9) and breaker.allows(4)
    breaker.succeeded()
    assert (breaker.state, breaker.failures, breaker.opened) == ("closed", 0, 1)


@pytest.mark.parametrize("seed", range(4))
def test_what_is_found_is_where_the_balls_are_and_what_happened_happened(seed):
    """The core, that sees pictures alone, beside the table itself."""
    chance = random.Random(seed)
    table, seen = tables.Table(), core.Core(30)
    number, told = 0, []
    seen.start()
    for shot in range(3):
        if table.ball("white").is_pocketed:
            table.spot()
        table.shoot(chance.uniform(-3, 3), chance.uniform(1.5, 4))
        for _ in range(2_000):
            number += 1
            table.advance(1 / 30)
            found = vision.find(vision.jpeg(vision.draw(table, number), 80))
            for ball in table.balls:
                assert (ball.name in found) != ball.is_pocketed
                if not ball.is_pocketed:
                    # Two pixels.
                    assert math.dist(found[ball.name], (ball.x, ball.y)) < 0.0085
            events = seen.see(number, found)
            told += events
            if any(event["event"] == "balls_stopped" for event in events):
                break
        else:
            raise AssertionError("the balls never stopped")
        # What creeps on is not seen to roll.
        assert all(ball.speed < core.ROLLS for ball in table.balls)
        while not table.is_still:
            number += 1
            table.advance(1 / 30)
            assert seen.see(number, vision.find(vision.jpeg(vision.draw(table, number), 80))) == []
        pocketed = {ball.name for ball in table.balls if ball.is_pocketed}
        assert {name for name, ball in seen.balls.items() if ball.is_pocketed} == pocketed
        assert seen.shots == shot + 1
        if pocketed >= {"red", "yellow"}:
            assert told[-1]["event"] == "game_ended"
            break


def test_a_trajectory_is_where_the_ball_will_be():
    table, seen = tables.Table(), core.Core(30)
    table.shoot(2.0, 2.0)
    for number in range(1, 8):
        table.advance(1 / 30)
        seen.see(number, vision.find(vision.jpeg(vision.draw(table, number), 80)))
    path = seen.trajectory()["paths"]["white"]
    for x, y in path[:5]:
        # What is seen is some milliseconds old, and exact to pixels.
        assert math.dist((x, y), (table.ball("white").x, table.ball("white").y)) < 0.12
        table.advance(core.APART)


def test_energy_never_grows_and_balls_stay_on_the_table():
    chance = random.Random(1)
    for _ in range(20):
        table = tables.Table()
        table.shoot(chance.uniform(-3, 3), tables.SPEED_MAX)
        energy = math.inf
        for _ in range(600):
            table.advance(1 / 30)
            now = sum(ball.speed**2 for ball in table.balls)
            assert now <= energy + 1e-9
            energy = now
            for ball in table.balls:
                assert -0.01 <= ball.x <= tables.LENGTH + 0.01 and -0.01 <= ball.y <= tables.WIDTH + 0.01
