"""The manifests of k8s/ as `kubectl apply -k` would send them, and a way through their parts."""

import copy
import functools
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
K8S = ROOT / "k8s"
SIZES = ("cpu-small", "gpu")
OVERLAYS = [f"overlays/{size}" for size in SIZES]
JOBS = sorted(str(path.parent.relative_to(K8S)) for path in K8S.glob("overlays/*/jobs/*/kustomization.yaml"))
APPLIED = ["base", "monitoring", *OVERLAYS, *(f"overlays/{size}/dev" for size in SIZES), *JOBS]
"""Every folder that k8s/README.md applies."""

needs_kubectl = pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed")

Resource = dict[str, Any]
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""Ten times as fast where libyaml is there: CRDs are long."""


@functools.cache
def _built(folder: str) -> list[Resource]:
    run = subprocess.run(["kubectl", "kustomize", str(K8S / folder)], capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, f"kubectl kustomize k8s/{folder}: {run.stderr}"
    assert "deprecated" not in run.stderr, run.stderr
    return list(yaml.load_all(run.stdout, LOADER))


def built(folder: str) -> list[Resource]:
    """The resources of one kustomization, to keep or to spoil."""
    return copy.deepcopy(_built(folder))


def one(resources: list[Resource], kind: str, name: str | None = None) -> Resource:
    """The only resource of a kind (and name)."""
    (found,) = [each for each in resources if each["kind"] == kind and name in (None, each["metadata"]["name"])]
    return found


def title(resource: Resource) -> str:
    """For messages."""
    return f"{resource['kind']}/{resource['metadata']['name']}"


def cluster_specs(resource: Resource) -> Iterator[dict[str, Any]]:
    """The Ray cluster that a resource describes, if it does."""
    where = {"RayCluster": None, "RayJob": "rayClusterSpec", "RayService": "rayClusterConfig"}
    if resource["kind"] in where:
        key = where[resource["kind"]]
        yield resource["spec"] if key is None else resource["spec"][key]


def pod_templates(resource: Resource) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every pod template, with where it stands."""
    spec = resource.get("spec", {})
    if resource["kind"] in ("Deployment", "StatefulSet", "DaemonSet", "Job"):
        yield title(resource), spec["template"]
    for cluster in cluster_specs(resource):
        yield f"{title(resource)} head", cluster["headGroupSpec"]["template"]
        for group in cluster.get("workerGroupSpecs", []):
            yield f"{title(resource)} {group['groupName']}", group["template"]
    if resource["kind"] == "RayJob":
        yield f"{title(resource)} submitter", spec["submitterPodTemplate"]


def containers(resource: Resource) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every container, and the autoscaler's, which the operator makes from options of the same names."""
    for where, template in pod_templates(resource):
        for kind in ("initContainers", "containers"):
            for container in template["spec"].get(kind, []):
                yield f"{where} {container['name']}", container
    for cluster in cluster_specs(resource):
        if cluster.get("enableInTreeAutoscaling"):
            yield f"{title(resource)} autoscaler", cluster.get("autoscalerOptions", {})
