"""The manifests: valid, closed, and about the service and image that are here."""

import re
from pathlib import Path

import kubernetes_validate
import pytest
import yaml

from service.settings import Settings

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "service" / "kubernetes").glob("*.yaml"))
VERSIONS = ("1.30", "1.37")
"""The oldest Kubernetes that knows every field, and the newest whose schema is here."""


def read(path):
    return yaml.safe_load(path.read_text())


@pytest.fixture(scope="module")
def manifests():
    return {manifest["kind"]: manifest for manifest in map(read, FILES)}


@pytest.fixture(scope="module")
def pod(manifests):
    return manifests["Deployment"]["spec"]["template"]["spec"]


@pytest.fixture(scope="module")
def container(pod):
    [container] = pod["containers"]
    return container


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_field_is_one_that_kubernetes_knows(path, version):
    kubernetes_validate.validate(read(path), version, strict=True)


def test_each_part_is_there_and_finds_the_pods(manifests):
    assert manifests.keys() == {
        "Deployment",
        "HorizontalPodAutoscaler",
        "PodDisruptionBudget",
        "Service",
    }
    deployment = manifests["Deployment"]
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert deployment["spec"]["selector"]["matchLabels"] == labels
    assert manifests["Service"]["spec"]["selector"] == labels
    assert manifests["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"] == labels
    scaled = manifests["HorizontalPodAutoscaler"]["spec"]["scaleTargetRef"]
    assert (scaled["kind"], scaled["name"]) == ("Deployment", deployment["metadata"]["name"])


def test_ports_and_users_are_those_of_the_image(manifests, pod, container):
    dockerfile = (ROOT / "Dockerfile").read_text()
    [port] = container["ports"]
    assert f"EXPOSE {port['containerPort']}" in dockerfile
    assert manifests["Service"]["spec"]["ports"][0]["targetPort"] == port["name"]
    user = f"{pod['securityContext']['runAsUser']}:{pod['securityContext']['runAsGroup']}"
    assert f"USER {user}" in dockerfile
    [mount] = container["volumeMounts"]
    assert f"TMPDIR={mount['mountPath']}" in dockerfile


def test_the_container_may_do_nothing_but_serve(pod, container):
    assert pod["securityContext"]["runAsNonRoot"]
    assert not pod["automountServiceAccountToken"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert container["resources"]["limits"].keys() == {"cpu", "memory"}


def test_probes_ask_routes_that_exist(container, tiny):
    with tiny.client() as client:
        for name in ("startupProbe", "readinessProbe", "livenessProbe"):
            assert client.get(container[name]["httpGet"]["path"]).status_code == 200
    # One that is not ready is not killed for it.
    assert container["livenessProbe"]["httpGet"]["path"] == "/healthz"


def test_settings_exist_and_fit_the_limits(pod, container):
    environment = {one["name"]: one for one in container["env"]}
    fields = {f"SALIENCY_{name.upper()}": field for name, field in Settings.model_fields.items()}
    assert environment.keys() <= fields.keys()
    assert environment["SALIENCY_THREADS"]["value"] == container["resources"]["limits"]["cpu"]
    pause = container["lifecycle"]["preStop"]["sleep"]["seconds"]
    shutdown_s = fields["SALIENCY_SHUTDOWN_S"].default
    assert pod["terminationGracePeriodSeconds"] > pause + shutdown_s


def test_no_key_stands_in_a_manifest(container):
    [keys] = [one for one in container["env"] if one["name"] == "SALIENCY_API_KEYS"]
    assert keys["valueFrom"].keys() == {"secretKeyRef"}
    for path in FILES:
        assert not re.search(r"[0-9a-f]{32}", path.read_text())
