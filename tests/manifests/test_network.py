"""Who reaches what, worked out from the NetworkPolicies as a cluster would: closed but for what a policy opens."""

import pytest
from kustomized import OVERLAYS, built, needs_kubectl

pytestmark = needs_kubectl

RAY = {"app.kubernetes.io/part-of": "diffusiontalker", "ray.io/is-ray-node": "yes"}
ENDPOINT = RAY | {"app.kubernetes.io/component": "endpoint"}
HEAD, WORKER = ENDPOINT | {"ray.io/node-type": "head"}, ENDPOINT | {"ray.io/node-type": "worker"}
JOB_HEAD = RAY | {"ray.io/node-type": "head"}
SUBMITTER = {"app.kubernetes.io/part-of": "diffusiontalker"}
REDIS = {"app.kubernetes.io/name": "redis"}
HERE = "diffusiontalker"
PEERS = {
    "worker": (HERE, WORKER),
    "submitter": (HERE, SUBMITTER),
    "stranger in the namespace": (HERE, {"app": "other"}),
    "redis": (HERE, REDIS),
    "operator": ("kuberay-system", {"app.kubernetes.io/component": "kuberay-operator"}),
    "false operator": ("default", {"app.kubernetes.io/component": "kuberay-operator"}),
    "nginx": ("ingress-nginx", {"app.kubernetes.io/name": "ingress-nginx"}),
    "beside nginx": ("ingress-nginx", {"app": "other"}),
    "prometheus": ("monitoring", {"app.kubernetes.io/name": "prometheus"}),
    "gateway": (HERE, {"gateway.networking.k8s.io/gateway-name": "endpoint-gateway"}),
}
# GCS, dashboard and jobs API, client, HAProxy's statistics and metrics, the agent, a replica's own port: Ray's alone.
PRIVATE = {6379, 8265, 10001, 8404, 9101, 52365, 30000}
SERVE, METRICS = {8000, 52000}, {8080}


def policies(*folders):
    return [each for folder in folders for each in built(folder) if each["kind"] == "NetworkPolicy"]


def selects(selector, labels):
    assert set(selector) <= {"matchLabels"}
    return selector.get("matchLabels", {}).items() <= labels.items()


def is_peer(rule, namespace, labels):
    """Whether a pod is among those of a `from` or `to`."""
    if "ipBlock" in rule:
        return False
    if "namespaceSelector" in rule:
        is_there = selects(rule["namespaceSelector"], {"kubernetes.io/metadata.name": namespace})
    else:
        is_there = namespace == HERE
    return is_there and selects(rule.get("podSelector", {}), labels)


def reached(rules, target, peer, ports):
    """The ports of a target that a peer reaches."""
    namespace, labels = peer
    mine = [
        one["spec"]
        for one in rules
        if selects(one["spec"]["podSelector"], target) and "Ingress" in one["spec"]["policyTypes"]
    ]
    if not mine:
        return set(ports)
    return {
        port
        for port in ports
        for spec in mine
        for rule in spec.get("ingress", [])
        if any(is_peer(one, namespace, labels) for one in rule.get("from", [{}]))
        and ("ports" not in rule or any(one["port"] == port for one in rule["ports"]))
    }


ALL = PRIVATE | SERVE | METRICS


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_only_those_who_must_reach_ray(overlay):
    rules = policies(overlay, "monitoring")
    is_incremental = overlay.endswith("gpu")
    for target in (HEAD, WORKER, JOB_HEAD, SUBMITTER):
        expected = {
            "worker": ALL,
            "submitter": ALL,
            "operator": {8265, 8000} if target in (HEAD, JOB_HEAD) else set(),
            "nginx": SERVE if target is WORKER else set(),
            "prometheus": METRICS,
            "gateway": {8000} if is_incremental and target is WORKER else set(),
        }
        for name, peer in PEERS.items():
            assert reached(rules, target, peer, ALL) == expected.get(name, set()), (target, name)


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_only_ray_reaches_redis_and_only_at_its_port(overlay):
    rules = policies(overlay, "monitoring")
    for name, peer in PEERS.items():
        expected = {6379} if name in ("worker", "submitter") else set()
        assert reached(rules, REDIS, peer, {6379, 26379}) == expected, name


def test_without_the_policies_everything_is_open_and_one_too_many_is_noticed():
    assert reached([], HEAD, PEERS["nginx"], ALL) == ALL
    rules = policies("overlays/gpu")
    assert reached(rules, HEAD, PEERS["stranger in the namespace"], ALL) == set()
    hole = {"podSelector": {}, "policyTypes": ["Ingress"], "ingress": [{"ports": [{"port": 8265}]}]}
    assert reached([*rules, {"spec": hole}], HEAD, PEERS["stranger in the namespace"], ALL) == {8265}


def egress(rules, source):
    """What a pod may ask: (block or labels, port) of every rule."""
    return {
        (
            to["ipBlock"]["cidr"] if "ipBlock" in to else "=".join(*to["podSelector"]["matchLabels"].items()),
            port.get("port"),
        )
        for one in rules
        if selects(one["spec"]["podSelector"], source) and "Egress" in one["spec"]["policyTypes"]
        for rule in one["spec"]["egress"]
        for to in rule["to"]
        for port in rule.get("ports", [{}])
    }


def test_pods_ask_only_ray_dns_redis_storage_and_the_autoscaler_the_api():
    rules = policies("overlays/gpu")
    common = {
        ("app.kubernetes.io/part-of=diffusiontalker", None),
        ("app.kubernetes.io/name=redis", 6379),
        ("k8s-app=kube-dns", 53),
        ("0.0.0.0/0", 443),
    }
    assert egress(rules, WORKER) == egress(rules, JOB_HEAD) == common
    assert egress(rules, HEAD) == common | {("0.0.0.0/0", 6443)}
    assert egress(rules, REDIS) == set()


def test_the_metadata_service_of_clouds_is_out_of_reach():
    blocks = [
        to["ipBlock"] for one in policies("overlays/gpu") for rule in one["spec"].get("egress", []) for to in rule["to"]
        if "ipBlock" in to
    ]  # fmt: skip
    assert blocks
    assert all("169.254.169.254/32" in block["except"] for block in blocks)


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_pods_carry_the_labels_that_policies_select_by(overlay):
    service = next(one for one in built(overlay) if one["kind"] == "RayService")
    cluster = service["spec"]["rayClusterConfig"]
    for template in (cluster["headGroupSpec"]["template"], cluster["workerGroupSpecs"][0]["template"]):
        ours = {
            key: value for key, value in ENDPOINT.items() if not key.startswith("ray.io")
        }  # the operator adds those
        assert template["metadata"]["labels"] == ours
    (job,) = built(f"{overlay}/jobs/teacher")
    assert job["spec"]["submitterPodTemplate"]["metadata"]["labels"] == SUBMITTER
