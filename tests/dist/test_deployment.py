"""The files for Docker Compose, Prometheus, Grafana and Kubernetes: they say what the image and the server do."""

import re
import tomllib

import pytest
import yaml

import places

DEPLOY = places.ROOT / "deploy"
#: What SIGTERM takes at most (docs/operations.md, "Signals").
DRAIN_SECONDS = 5


def listeners():
    """Port of the image's configuration by what is served there."""
    config = tomllib.loads((DEPLOY / "container/parlor.toml").read_text())
    return {one["serves"][0]: int(one["address"].rsplit(":", 1)[1]) for one in config["listeners"]}


def version():
    return tomllib.loads((places.ROOT / "Cargo.toml").read_text())["package"]["version"]


@pytest.fixture(scope="module")
def manifest():
    return list(yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text()))


@pytest.fixture(scope="module")
def pod(manifest):
    [workload] = [one for one in manifest if one["kind"] == "StatefulSet"]
    assert workload["spec"]["replicas"] == 1
    assert workload["spec"]["selector"]["matchLabels"] == workload["spec"]["template"]["metadata"]["labels"]
    [claim] = workload["spec"]["volumeClaimTemplates"]
    assert claim["spec"]["accessModes"] == ["ReadWriteOnce"]
    spec = workload["spec"]["template"]["spec"]
    [mount] = spec["containers"][0]["volumeMounts"]
    assert mount == {"name": claim["metadata"]["name"], "mountPath": "/var/lib/parlor"}
    return spec


def test_the_limit_of_the_drain_is_the_documented_one():
    assert "at most five seconds" in (places.ROOT / "docs/operations.md").read_text()


def test_the_pod_has_more_time_than_the_drain_takes(pod):
    assert pod["terminationGracePeriodSeconds"] > 2 * DRAIN_SECONDS


def test_the_pod_has_no_right_and_the_images_user(pod):
    from_image = re.search(r"^USER (\d+):(\d+)$", (places.ROOT / "Dockerfile").read_text(), re.M)
    security = pod["securityContext"]
    assert (security["runAsUser"], security["runAsGroup"]) == (int(from_image[1]), int(from_image[2]))
    assert security["runAsNonRoot"] and security["fsGroup"] == security["runAsGroup"]
    own = pod["containers"][0]["securityContext"]
    assert own["readOnlyRootFilesystem"] and not own["allowPrivilegeEscalation"] and own["capabilities"] == {"drop": ["ALL"]}
    # Else Kubernetes sets PARLOR_METRICS_PORT and others, which no key has.
    assert pod["enableServiceLinks"] is False


def test_probes_and_ports_are_those_of_the_image(pod, manifest):
    container = pod["containers"][0]
    ports = {one["name"]: one["containerPort"] for one in container["ports"]}
    assert ports == {"http": listeners()["public"], "metrics": listeners()["metrics"]}
    paths = {name: container[f"{name}Probe"]["httpGet"]["path"] for name in ("startup", "liveness", "readiness")}
    assert paths == {"startup": "/healthz", "liveness": "/healthz", "readiness": "/readyz"}
    assert {container[f"{name}Probe"]["httpGet"]["port"] for name in paths} == {"http"}
    services = [one for one in manifest if one["kind"] == "Service"]
    assert {port["targetPort"] for one in services for port in one["spec"]["ports"]} == set(ports)
    assert all(one["spec"]["selector"] == {"app": "parlor"} for one in services)
    assert container["image"].endswith(f":{version()}")


def test_compose_mounts_what_is_there_and_shows_it_to_this_machine_alone():
    composed = yaml.safe_load((places.ROOT / "compose.yaml").read_text())
    services = composed["services"]
    assert services["parlor"]["image"] == f"parlor:{version()}"
    for service in services.values():
        assert all(port.startswith("127.0.0.1:") for port in service["ports"])
        for volume in service["volumes"]:
            source = volume.split(":")[0]
            assert (places.ROOT / source).is_dir() if source.startswith(".") else source in composed["volumes"], volume
    assert services["parlor"]["ports"] == [f"127.0.0.1:8080:{listeners()['public']}"]
    assert int(services["parlor"]["stop_grace_period"].rstrip("s")) > DRAIN_SECONDS


def test_prometheus_reads_the_metrics_and_grafana_reads_prometheus():
    read = yaml.safe_load((DEPLOY / "prometheus/prometheus.yml").read_text())
    [job] = read["scrape_configs"]
    assert job["static_configs"] == [{"targets": [f"parlor:{listeners()['metrics']}"]}]
    provisioning = DEPLOY / "grafana/provisioning"
    [source] = yaml.safe_load((provisioning / "datasources/prometheus.yml").read_text())["datasources"]
    assert source["url"] == "http://prometheus:9090"
    [provider] = yaml.safe_load((provisioning / "dashboards/parlor.yml").read_text())["providers"]
    mounted = yaml.safe_load((places.ROOT / "compose.yaml").read_text())["services"]["grafana"]["volumes"]
    assert f"./deploy/grafana:{provider['options']['path']}:ro" in mounted


def test_the_documents_name_what_is_made():
    said = places.shell_lines("install.md")
    assert f"./{places.made('*.deb').name}" in said
    if places.target().endswith("musl"):
        assert places.made("parlor-*.tar.gz").name in said
    for document in ("run-with-docker.md", "run-in-kubernetes.md"):
        assert set(re.findall(r"parlor:(\d[\d.]*\d)", places.shell_lines(document))) <= {version()}
