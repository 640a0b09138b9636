"""What every manifest must keep to, each rule a function over resources that returns findings; none: all is well."""

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import ray
from kustomized import Resource, cluster_specs, containers, pod_templates, title

import diffusiontalker

WRITABLE = {"/tmp", "/dev/shm"}
"""Where Ray writes, everywhere else being read-only."""
SECRETS = {"diffusiontalker-keys", "diffusiontalker-redis", "diffusiontalker-s3", "diffusiontalker-tls"}
"""What k8s/README.md tells users to create."""
MAX_NAME = 47
"""KubeRay's limit for RayJobs and RayServices: their clusters' names are longer by six."""

Policy = Callable[[Sequence[Resource]], Iterator[str]]


def images_are_pinned(resources: Sequence[Resource]) -> Iterator[str]:
    """A tag that says which version, and ours is this one's."""
    for resource in resources:
        for where, container in containers(resource):
            if "image" not in container:  # the autoscaler takes the head's
                continue
            name, _, tag = container["image"].rpartition(":")
            if not name or "/" in tag or tag == "latest":
                yield f"{where}: image '{container['image']}', expected NAME:VERSION"
            elif name.endswith("diffusiontalker") and tag not in _OUR_TAGS:
                yield f"{where}: tag '{tag}', expected one of {', '.join(sorted(_OUR_TAGS))}; see k8s/site"


_OUR_TAGS = {f"{diffusiontalker.__version__}-{variant}" for variant in ("cpu", "cuda")}


def resources_are_bounded(resources: Sequence[Resource]) -> Iterator[str]:
    """Requests and limits of CPU and memory; a request is not above its limit."""
    for resource in resources:
        for where, container in containers(resource):
            given = container.get("resources", {})
            for bound in ("requests", "limits"):
                for what in {"cpu", "memory"} - set(given.get(bound, {})):
                    yield f"{where}: {bound}.{what} is missing"
            for what, request in given.get("requests", {}).items():
                if what in given.get("limits", {}) and amount(request) > amount(given["limits"][what]):
                    yield f"{where}: requests.{what} {request} is above its limit"


def amount(quantity: str | int | float) -> float:
    """A Kubernetes quantity as a number."""
    number, unit = re.fullmatch(r"([0-9.]+)(m|[KMGT]i?)?", str(quantity)).groups()
    factors = {None: 1.0, "m": 1e-3} | {
        prefix + suffix: base ** (power + 1)
        for power, prefix in enumerate("KMGT")
        for suffix, base in (("", 1000.0), ("i", 1024.0))
    }
    return float(number) * factors[unit]


def tokens_guard_ray(resources: Sequence[Resource]) -> Iterator[str]:
    """Ray's token authentication is on: its jobs API runs whatever it is given."""
    for resource in resources:
        for spec in cluster_specs(resource):
            if spec.get("authOptions", {}).get("mode") != "token":
                yield f"{title(resource)}: authOptions.mode is not 'token'"


def nothing_of_the_node(resources: Sequence[Resource]) -> Iterator[str]:
    """No namespaces, ports or folders of the node."""
    for resource in resources:
        for where, template in pod_templates(resource):
            spec = template["spec"]
            for key in ("hostNetwork", "hostPID", "hostIPC"):
                if spec.get(key):
                    yield f"{where}: {key}"
            for volume in spec.get("volumes", []):
                if "hostPath" in volume:
                    yield f"{where}: volume {volume['name']} is a hostPath"
        for where, container in containers(resource):
            if any("hostPort" in port for port in container.get("ports", [])):
                yield f"{where}: hostPort"


def pods_are_restricted(resources: Sequence[Resource]) -> Iterator[str]:
    """Kubernetes' Pod Security Standard `restricted`, and a read-only root file system."""
    for resource in resources:
        for where, template in pod_templates(resource):
            context = template["spec"].get("securityContext", {})
            if context.get("runAsNonRoot") is not True or not context.get("runAsUser"):
                yield f"{where}: runs as root, or may"
            if context.get("seccompProfile", {}).get("type") != "RuntimeDefault":
                yield f"{where}: seccompProfile is not RuntimeDefault"
        for where, container in containers(resource):
            context = container.get("securityContext", {})
            if context.get("privileged"):
                yield f"{where}: privileged"
            if context.get("allowPrivilegeEscalation") is not False:
                yield f"{where}: allowPrivilegeEscalation is not false"
            if context.get("readOnlyRootFilesystem") is not True:
                yield f"{where}: readOnlyRootFilesystem is not true"
            if context.get("runAsNonRoot") is False or context.get("runAsUser") == 0:
                yield f"{where}: runs as root"
            if context.get("capabilities") != {"drop": ["ALL"]}:
                yield f"{where}: capabilities are not {{drop: [ALL]}}"


def ray_can_write(resources: Sequence[Resource]) -> Iterator[str]:
    """With a read-only root Ray needs /tmp and /dev/shm; both are bounded, and HOME is in one of them."""
    for resource in resources:
        if not list(cluster_specs(resource)):
            continue
        for where, template in pod_templates(resource):
            container = template["spec"]["containers"][0]
            volumes = {volume["name"]: volume for volume in template["spec"].get("volumes", [])}
            mounts = {mount["mountPath"]: mount["name"] for mount in container.get("volumeMounts", [])}
            for path in sorted(WRITABLE if container["name"] != "submitter" else {"/tmp"}):
                if not volumes.get(mounts.get(path, ""), {}).get("emptyDir", {}).get("sizeLimit"):
                    yield f"{where}: no emptyDir with a sizeLimit at {path}"
            if {"name": "HOME", "value": "/tmp"} not in container.get("env", []):
                yield f"{where}: HOME is not /tmp"


def secrets_stay_outside(resources: Sequence[Resource]) -> Iterator[str]:
    """No Secret stands here, no password in an environment, and only documented Secrets are named."""
    for resource in resources:
        if resource["kind"] == "Secret":
            yield f"{title(resource)}: Secrets are created by hand, see k8s/README.md"
        for where, container in containers(resource):
            for variable in container.get("env", []):
                if re.search("PASSWORD|SECRET|TOKEN|_KEY", variable["name"]) and "value" in variable:
                    yield f"{where}: {variable['name']} has its value here, expected valueFrom.secretKeyRef"
        for name in secret_names(resource):
            if name not in SECRETS:
                yield f"{title(resource)}: Secret '{name}' is not one of {', '.join(sorted(SECRETS))}"


def secret_names(node: object) -> Iterator[str]:
    """Names of Secrets that are referred to anywhere below."""
    if isinstance(node, list):
        for child in node:
            yield from secret_names(child)
    if isinstance(node, dict):
        for key, child in node.items():
            if key in ("secretRef", "secretKeyRef"):
                yield child["name"]
            elif key == "secretName":
                yield child
            else:
                yield from secret_names(child)


def accounts_have_no_token(resources: Sequence[Resource]) -> Iterator[str]:
    """No pod gets a token of the Kubernetes API by itself; only the autoscaler's container mounts one."""
    for resource in resources:
        if resource["kind"] == "ServiceAccount" and resource.get("automountServiceAccountToken") is not False:
            yield f"{title(resource)}: automountServiceAccountToken is not false"
        for where, template in pod_templates(resource):
            if template["spec"].get("automountServiceAccountToken") is not False:
                yield f"{where}: automountServiceAccountToken is not false"
            tokens = {
                volume["name"]
                for volume in template["spec"].get("volumes", [])
                if any("serviceAccountToken" in source for source in volume.get("projected", {}).get("sources", []))
            }
            for container in template["spec"]["containers"]:
                if tokens & {mount["name"] for mount in container.get("volumeMounts", [])}:
                    yield f"{where} {container['name']}: mounts an API token"


def ray_version_is_installed_one(resources: Sequence[Resource]) -> Iterator[str]:
    """The operator decides by it how to talk to Ray."""
    for resource in resources:
        for spec in cluster_specs(resource):
            if spec.get("rayVersion") != ray.__version__:
                yield f"{title(resource)}: rayVersion {spec.get('rayVersion')}, installed is {ray.__version__}"


def operator_accepts(resources: Sequence[Resource]) -> Iterator[str]:
    """Rules of KubeRay that no schema holds: it rejects resources that break them, after they were applied."""
    for resource in resources:
        spec = resource.get("spec", {})
        if resource["kind"] in ("RayJob", "RayService") and len(resource["metadata"]["name"]) > MAX_NAME:
            yield f"{title(resource)}: the name has more than {MAX_NAME} characters"
        if spec.get("ttlSecondsAfterFinished") and not spec.get("shutdownAfterJobFinishes"):
            yield f"{title(resource)}: ttlSecondsAfterFinished needs shutdownAfterJobFinishes"
        strategy = spec.get("upgradeStrategy", {}).get("type")
        if resource["kind"] == "RayService" and strategy not in ("NewCluster", "NewClusterWithIncrementalUpgrade"):
            yield f"{title(resource)}: upgradeStrategy.type is {strategy}"
        for cluster in cluster_specs(resource):
            yield from _cluster_rules(title(resource), cluster, is_incremental="Incremental" in (strategy or ""))


def _cluster_rules(where: str, cluster: dict, *, is_incremental: bool) -> Iterator[str]:
    is_scaling = cluster.get("enableInTreeAutoscaling", False)
    head = cluster["headGroupSpec"]["template"]["spec"]
    names = {variable["name"] for variable in head["containers"][0].get("env", [])}
    if is_incremental and not is_scaling:
        yield f"{where}: an incremental upgrade needs enableInTreeAutoscaling"
    if is_scaling and head.get("serviceAccountName"):
        yield f"{where}: the autoscaling head names an account, which would then need the autoscaler's rights"
    if "gcsFaultToleranceOptions" in cluster and names & {"REDIS_PASSWORD", "RAY_REDIS_ADDRESS", "REDIS_USERNAME"}:
        yield f"{where}: Redis is set by gcsFaultToleranceOptions, not by the environment"
    for group in cluster.get("workerGroupSpecs", []):
        if not group["minReplicas"] <= group["replicas"] <= group["maxReplicas"]:
            yield f"{where} {group['groupName']}: replicas are not between minReplicas and maxReplicas"


def files_are_named_by_kind(folder: Path) -> Iterator[str]:
    """<kind>.<variant>.yaml, but for kustomizations."""
    for path in sorted(folder.rglob("*.yaml")):
        if path.name != "kustomization.yaml" and not re.fullmatch(r"[a-z]+\.[a-z][a-z0-9-]*\.yaml", path.name):
            yield f"{path.name}: expected <kind>.<variant>.yaml"


POLICIES: dict[str, Policy] = {
    policy.__name__: policy
    for policy in (
        images_are_pinned, resources_are_bounded, tokens_guard_ray, nothing_of_the_node, pods_are_restricted,
        ray_can_write, secrets_stay_outside, accounts_have_no_token, ray_version_is_installed_one, operator_accepts,
    )
}  # fmt: skip
