"""Every manifest keeps to every rule, and each rule finds what breaks it."""

import policies
import pytest
from kustomized import APPLIED, built, needs_kubectl, one

pytestmark = needs_kubectl


@pytest.mark.parametrize("name", policies.POLICIES)
@pytest.mark.parametrize("folder", APPLIED)
def test_every_manifest_keeps_to_the_rule(folder, name):
    assert list(policies.POLICIES[name](built(folder))) == []


HEAD = "rayClusterConfig.headGroupSpec.template.spec"
WORKER = "rayClusterConfig.workerGroupSpecs.0.template.spec"
AUTOSCALER = "rayClusterConfig.autoscalerOptions"
GONE = object()


def change(node, path, value):
    """Sets or removes what stands at a dotted path."""
    *keys, last = [int(key) if key.isdigit() else key for key in path.split(".")]
    for key in keys:
        node = node[key]
    if value is GONE:
        del node[last]
    else:
        node[last] = value


BROKEN = [
    ("images_are_pinned", f"{HEAD}.containers.0.image", "diffusiontalker"),
    ("images_are_pinned", f"{HEAD}.containers.0.image", "diffusiontalker:latest"),
    ("images_are_pinned", f"{HEAD}.containers.0.image", "registry:5000/diffusiontalker"),
    ("images_are_pinned", f"{WORKER}.containers.0.image", "registry.example.com/diffusiontalker:0.0.9-cpu"),
    ("resources_are_bounded", f"{HEAD}.containers.0.resources.limits.memory", GONE),
    ("resources_are_bounded", f"{AUTOSCALER}.resources.requests.cpu", GONE),
    ("resources_are_bounded", f"{WORKER}.containers.0.resources.requests.memory", "64Gi"),
    ("tokens_guard_ray", "rayClusterConfig.authOptions", GONE),
    ("tokens_guard_ray", "rayClusterConfig.authOptions.mode", "disabled"),
    ("nothing_of_the_node", f"{WORKER}.hostNetwork", True),
    ("nothing_of_the_node", f"{HEAD}.hostPID", True),
    ("nothing_of_the_node", f"{HEAD}.volumes.0", {"name": "tmp", "hostPath": {"path": "/tmp"}}),
    ("nothing_of_the_node", f"{HEAD}.containers.0.ports.0.hostPort", 6379),
    ("pods_are_restricted", f"{HEAD}.securityContext.runAsNonRoot", GONE),
    ("pods_are_restricted", f"{HEAD}.securityContext.runAsUser", 0),
    ("pods_are_restricted", f"{WORKER}.securityContext.seccompProfile", GONE),
    ("pods_are_restricted", f"{WORKER}.containers.0.securityContext.privileged", True),
    ("pods_are_restricted", f"{WORKER}.containers.0.securityContext.allowPrivilegeEscalation", GONE),
    ("pods_are_restricted", f"{WORKER}.containers.0.securityContext.readOnlyRootFilesystem", False),
    ("pods_are_restricted", f"{WORKER}.containers.0.securityContext.runAsNonRoot", False),
    ("pods_are_restricted", f"{AUTOSCALER}.securityContext.capabilities.drop", ["NET_RAW"]),
    ("pods_are_restricted", f"{HEAD}.containers.0.securityContext.capabilities.add", ["SYS_PTRACE"]),
    ("ray_can_write", f"{HEAD}.containers.0.volumeMounts.0", GONE),
    ("ray_can_write", f"{WORKER}.volumes.1.emptyDir.sizeLimit", GONE),
    ("ray_can_write", f"{WORKER}.containers.0.env.0", GONE),
    ("secrets_stay_outside", f"{HEAD}.containers.0.env.0", {"name": "AWS_SECRET_ACCESS_KEY", "value": "x"}),
    ("secrets_stay_outside", f"{HEAD}.containers.0.envFrom.0.secretRef.name", "other"),
    ("accounts_have_no_token", f"{WORKER}.automountServiceAccountToken", GONE),
    ("accounts_have_no_token", f"{HEAD}.containers.0.volumeMounts.0.name", "api-access"),
    ("ray_version_is_installed_one", "rayClusterConfig.rayVersion", "2.9.0"),
    ("operator_accepts", "rayClusterConfig.enableInTreeAutoscaling", GONE),
    ("operator_accepts", "upgradeStrategy.type", "Rolling"),
    ("operator_accepts", f"{HEAD}.serviceAccountName", "diffusiontalker"),
    ("operator_accepts", f"{HEAD}.containers.0.env.0.name", "REDIS_PASSWORD"),
    ("operator_accepts", "rayClusterConfig.workerGroupSpecs.0.replicas", 9),
]


@pytest.mark.parametrize(("name", "path", "value"), BROKEN)
def test_what_breaks_the_rule_is_found(name, path, value):
    resources = built("overlays/gpu")
    change(one(resources, "RayService")["spec"], path, value)
    assert len(list(policies.POLICIES[name](resources))) == 1


def test_every_rule_has_a_manifest_that_breaks_it():
    assert {name for name, _, _ in BROKEN} == set(policies.POLICIES)


def test_a_secret_a_token_and_a_forgotten_shutdown_are_found():
    secret = {"kind": "Secret", "metadata": {"name": "s"}, "stringData": {"a": "b"}}
    assert len(list(policies.secrets_stay_outside([secret]))) == 1
    account = {"kind": "ServiceAccount", "metadata": {"name": "a"}}
    assert len(list(policies.accounts_have_no_token([account]))) == 1
    job = one(built("overlays/cpu-small/jobs/teacher"), "RayJob")
    job["metadata"]["name"] = "n" * 48
    del job["spec"]["shutdownAfterJobFinishes"]
    assert len(list(policies.operator_accepts([job]))) == 2


def test_parts_of_jobs_and_of_redis_are_looked_at_too():
    job = one(built("overlays/cpu-small/jobs/teacher"), "RayJob")
    del job["spec"]["submitterPodTemplate"]["spec"]["containers"][0]["resources"]
    assert len(list(policies.resources_are_bounded([job]))) == 4
    redis = one(built("overlays/cpu-small"), "StatefulSet")
    redis["spec"]["template"]["spec"]["containers"][0]["image"] = "redis"
    assert len(list(policies.images_are_pinned([redis]))) == 1


@pytest.mark.parametrize(
    ("text", "number"), [("500m", 0.5), ("2", 2.0), (2, 2.0), ("1Ki", 1024.0), ("4Gi", 4 * 2**30), ("1M", 1e6)]
)
def test_quantities_are_numbers(text, number):
    assert policies.amount(text) == number
