"""The files for Prometheus and Grafana: valid, and every metric that they name exists."""

import json
import re
import shutil
import subprocess
import time
import urllib.parse
import urllib.request
from pathlib import Path

import pytest

import harness
from harness import HOST, Chat, free_port

ROOT = Path(__file__).parents[2]
ALERTS = ROOT / "deploy/prometheus/alerts.yml"
DASHBOARD = ROOT / "deploy/grafana/parlor.json"
HOW = "apt-get install prometheus, or make setup"


def documented():
    """Each metric with its labels, as the table of docs/metrics.md has them; a test of the server compares that."""
    rows = re.findall(r"^\| `(parlor_\w+)` \| (\w+) \| (.*?) \| ", (ROOT / "docs/metrics.md").read_text(), re.M)
    found = {}
    for name, kind, labels in rows:
        labels = set(re.findall(r"`(\w+)`", labels)) | {"instance", "job"}
        if kind == "histogram":
            found |= {name + end: labels | {"le"} for end in ("_bucket", "_sum", "_count")}
        else:
            found[name] = labels
    assert len(found) > 50
    return found


def panels():
    return json.loads(DASHBOARD.read_text())["panels"]


def expressions():
    yield from re.findall(r"^        expr: (.*)$", ALERTS.read_text(), re.M)
    for panel in panels():
        yield from (target["expr"] for target in panel["targets"])


def promtool(*arguments):
    program = harness.tool("promtool", HOW)
    done = subprocess.run([program, *arguments], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_prometheus_takes_the_alerts_and_they_come_when_they_should():
    assert "SUCCESS" in promtool("check", "rules", ALERTS)
    assert "SUCCESS" in promtool("test", "rules", ALERTS.with_name("alerts_test.yml"))


def test_prometheus_takes_the_configuration_of_compose(tmp_path):
    """Where compose.yaml mounts it: the whole folder, at another place."""
    folder = shutil.copytree(ALERTS.parent, tmp_path / "mounted")
    assert "SUCCESS: 1 rule files found" in promtool("check", "config", folder / "prometheus.yml")


def test_every_metric_and_label_that_is_named_exists():
    known = documented()
    named = set()
    for expression in expressions():
        for name, selector in re.findall(r"\b(parlor_\w+)(?:\{([^}]*)\})?", expression):
            assert name in known, f"{name} in {expression}"
            assert set(re.findall(r"(\w+)\s*(?:=~|!=|!~|=)", selector)) <= known[name], expression
            named.add(name)
        everything = set().union(*known.values())
        for labels in re.findall(r"by \(([^)]*)\)", expression):
            assert set(labels.replace(" ", "").split(",")) <= everything, expression
    assert len(named) > 25


def test_every_alert_has_its_place_in_the_runbook():
    text = (ROOT / "docs/how-to/runbook.md").read_text()
    anchors = {re.sub(r"[^a-z0-9 -]", "", line.lower()).strip().replace(" ", "-") for line in re.findall(r"^#+ (.*)$", text, re.M)}
    alerts = re.findall(r"- alert: (\w+)(.*?)(?=- alert|\Z)", ALERTS.read_text(), re.S)
    assert len(alerts) > 10
    for name, rest in alerts:
        file, anchor = re.search(r'runbook: "(.*?)#(.*?)"', rest).groups()
        assert file == "docs/how-to/runbook.md" and anchor in anchors, name
        assert f"`{name}`" in text, f"{name} is not in the runbook"


def test_the_dashboards_panels_are_apart():
    places = set()
    for panel in panels():
        place = panel["gridPos"]
        cells = {(x, y) for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])}
        assert not cells & places and place["x"] + place["w"] <= 24, panel["title"]
        places |= cells
    for name in ("id", "title"):
        assert len({panel[name] for panel in panels()}) == len(panels())


@pytest.fixture
def prometheus(servers):
    """A Prometheus that has read a server with somebody in it, some times."""
    program = harness.tool("prometheus", HOW)
    directory = servers.directory()
    server = servers.parlor("--set", 'streams={ "ticker" = { publish = true } }')
    port = free_port()
    scrape = {"job_name": "parlor", "scrape_interval": "1s", "static_configs": [{"targets": [f"{HOST}:{server.port}"]}]}
    if server.tls:
        scrape |= {"scheme": "https", "tls_config": {"insecure_skip_verify": True}}
    # JSON is YAML.
    config = {"rule_files": [str(ALERTS)], "global": {"evaluation_interval": "1s"}, "scrape_configs": [scrape]}
    (directory / "prometheus.yml").write_text(json.dumps(config))
    process = subprocess.Popen(
        [program, f"--config.file={directory}/prometheus.yml", f"--storage.tsdb.path={directory}/data", f"--web.listen-address={HOST}:{port}"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        with Chat(server, "ada") as ada:
            ada.request("room:create", room="den")

            def ask(path, **query):
                address = f"http://{HOST}:{port}/api/v1/{path}?{urllib.parse.urlencode(query)}"
                with urllib.request.urlopen(address, timeout=5) as answer:
                    return json.load(answer)["data"]

            deadline = time.monotonic() + 60
            while True:
                assert process.poll() is None, "Prometheus has ended"
                ada.request("chat:send", room="den", text="hello")
                ada.request("publish", stream="ticker", data=1)
                try:
                    if ask("query", query="count_over_time(parlor_rooms[1m]) >= 6")["result"]:
                        break
                except OSError:
                    pass
                assert time.monotonic() < deadline, "Prometheus has read nothing"
                time.sleep(0.2)
            yield ask
    finally:
        process.terminate()
        process.wait(20)


def test_prometheus_answers_what_every_panel_asks(prometheus):
    assert all(rule["health"] == "ok" for group in prometheus("rules")["groups"] for rule in group["rules"])
    # A slow or full disk is this machine's.
    raised = {alert["labels"]["alertname"] for alert in prometheus("alerts")["alerts"]}
    assert raised <= {"ParlorDiskFills", "ParlorSlowCommits"}
    empty = set()
    for panel in panels():
        for target in panel["targets"]:
            expression = target["expr"].replace("$__rate_interval", "30s").replace("$instance", ".*")
            if not prometheus("query", query=expression)["result"]:
                empty.add(panel["title"])
    # Where nothing was wrong, nothing is shown.
    assert empty <= {"Limits that applied", "Sources that do not run", "WebSockets closed a minute", "Connections refused"}
