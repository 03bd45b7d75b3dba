"""compose.yaml: closed to other machines, and about the image, port and settings that are here."""

from pathlib import Path

import pytest
import yaml

from service.settings import Settings

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def compose():
    return yaml.safe_load((ROOT / "compose.yaml").read_text())


def test_without_a_profile_there_is_the_service_alone(compose):
    services = compose["services"]
    assert services.keys() == {"saliency", "prometheus"}
    assert "profiles" not in services["saliency"]
    assert services["prometheus"]["profiles"] == ["metrics"]


def test_ports_are_published_to_this_machine_alone(compose):
    for service in compose["services"].values():
        assert all(port.startswith("127.0.0.1:") for port in service["ports"])


def test_the_port_is_the_images(compose):
    [port] = compose["services"]["saliency"]["ports"]
    assert f"EXPOSE {port.split(':')[-1]}\n" in (ROOT / "Dockerfile").read_text()


def test_settings_are_strings_that_the_service_takes(compose):
    given = compose["services"]["saliency"]["environment"]
    fields = {f"SALIENCY_{name.upper()}" for name in Settings.model_fields}
    assert given.keys() <= fields
    assert given["SALIENCY_AUTH"] == "off"  # a bare off is False in YAML
    assert given["SALIENCY_API_KEYS"] == "${SALIENCY_API_KEYS:-}"  # no key in the file


def test_containers_may_do_nothing_but_serve(compose):
    for service in compose["services"].values():
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
    assert compose["services"]["saliency"]["read_only"]


def test_prometheus_asks_the_route_that_has_metrics(compose, tiny):
    prometheus = compose["services"]["prometheus"]
    [mounted] = prometheus["configs"]
    assert mounted["target"] == "/etc/prometheus/prometheus.yml"
    config = yaml.safe_load(compose["configs"][mounted["source"]]["content"])
    [job] = config["scrape_configs"]
    assert job["static_configs"] == [{"targets": ["saliency:8000"]}]
    path = job.get("metrics_path", "/metrics")  # Prometheus's default
    with tiny.client() as client:
        assert "saliency_" in client.get(path).text


def test_named_volumes_are_declared(compose):
    for service in compose["services"].values():
        assert {mount.split(":")[0] for mount in service.get("volumes", ())} <= compose[
            "volumes"
        ].keys()
