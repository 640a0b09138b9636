"""Every resource is what its API accepts, to the last key."""

import pytest
import schemas
from kustomized import APPLIED, built, needs_kubectl, one

pytestmark = [
    needs_kubectl,
    pytest.mark.skipif(
        not schemas.crd_folder().is_dir(),
        reason=f"KubeRay's CRDs are not in {schemas.crd_folder()}; set KUBERAY_CRDS to the folder with ray.io_*.yaml",
    ),
]


@pytest.mark.parametrize("folder", APPLIED)
def test_every_resource_is_valid(folder):
    assert [finding for resource in built(folder) for finding in schemas.findings(resource)] == []


def spoil(resource, path, value):
    *keys, last = path
    for key in keys:
        resource = resource[key]
    resource[last] = value


HEAD = ("spec", "rayClusterConfig", "headGroupSpec", "template", "spec")


@pytest.mark.parametrize(
    ("kind", "path", "value"),
    [
        ("Service", ("spec", "selektor"), {}),
        ("Service", ("spec", "ports", 0, "port"), "52000"),
        ("StatefulSet", ("spec", "template", "spec", "containers", 0, "readynessProbe"), {}),
        ("StatefulSet", ("metadata", "lables"), {}),
        ("PodDisruptionBudget", ("spec", "minAvailabel"), 1),
        ("Ingress", ("spec", "rules", 0, "hosts"), ["a"]),
        ("RayService", ("spec", "upgradeStrategie"), {}),
        ("RayService", ("spec", "upgradeStrategy", "typ"), "NewCluster"),
        ("RayService", ("spec", "rayClusterConfig", "authOptions", "mode"), "tokens"),
        ("RayService", ("spec", "rayClusterConfig", "autoscalerOptions", "version"), "v3"),
        ("RayService", ("spec", "rayClusterConfig", "gcsFaultToleranceOptions", "redisPasword"), {}),
        ("RayService", (*HEAD, "hostNetwrk"), True),
        ("RayService", (*HEAD, "containers", 0, "resources", "limit"), {}),
        ("RayService", (*HEAD, "containers", 0, "ports", 0, "containerPort"), "6379"),
        ("RayService", ("metadata", "anotations"), {}),
        ("RayService", ("specs",), {}),
    ],
)
def test_a_misspelt_key_and_a_wrong_type_are_found(kind, path, value):
    resources = built("overlays/gpu")
    resource = one(resources, kind, {"Service": "grpc", "Ingress": "http"}.get(kind))
    assert schemas.findings(resource) == []
    spoil(resource, path, value)
    assert len(schemas.findings(resource)) >= 1


@pytest.mark.parametrize(
    ("kind", "path", "value"),
    [
        ("PodMonitor", ("spec", "podMetricEndpoints"), []),
        ("PrometheusRule", ("spec", "groups", 0, "rules", 0, "expression"), "1"),
    ],
)
def test_a_misspelt_key_of_monitoring_is_found(kind, path, value):
    resource = one(built("monitoring"), kind)
    spoil(resource, path, value)
    assert len(schemas.findings(resource)) == 1


def test_a_missing_part_is_found():
    job = one(built("overlays/gpu/jobs/teacher"), "RayJob")
    del job["spec"]["rayClusterSpec"]["headGroupSpec"]["template"]["spec"]["containers"][0]["name"]
    assert any("'name' is a required property" in finding for finding in schemas.findings(job))


def test_what_a_crd_leaves_open_stays_open():
    schema = {
        "type": "object",
        "properties": {
            "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True, "properties": {"a": {}}},
            "either": {"x-kubernetes-int-or-string": True},
            "map": {"type": "object", "additionalProperties": {"type": "string"}},
        },
    }
    closed = schemas.closed(schema)
    assert "additionalProperties" not in closed["properties"]["free"]
    assert closed["properties"]["either"] == {"anyOf": [{"type": "integer"}, {"type": "string"}]}
    assert closed["properties"]["map"] == schema["properties"]["map"]
    assert closed["additionalProperties"] is False
