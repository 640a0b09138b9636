"""Alerts and the dashboard ask for metrics that exist, by labels that they have."""

import json
import re
import shutil
import subprocess

import pytest
import yaml
from kustomized import built, cluster_specs, needs_kubectl, one

from diffusiontalker.serving.metrics import METRICS, PREFIX

pytestmark = needs_kubectl

RAYS_OWN = {
    "ray_node_cpu_utilization": set(),
    "ray_node_mem_total": set(),
    "ray_node_mem_used": set(),
    "ray_serve_autoscaling_target_replicas": {"deployment", "application"},
    "ray_serve_deployment_queued_queries": {"deployment", "application"},
    "ray_serve_deployment_replica_healthy": {"deployment", "application", "replica"},
}
"""Metrics of Ray itself that are used here, with their labels; seen in the output of a node's agent of Ray 2.60."""
TARGET = {"pod", "namespace", "instance", "ray_io_cluster", "ray_io_node_type"}
"""Labels that Prometheus adds."""
BUILT_IN = {"absent", "by", "histogram_quantile", "le", "max", "on", "or", "rate", "sum", "m", "without"}


def exported():
    """Every series of ours as Ray's agents export it, with its labels."""
    series = dict(RAYS_OWN)
    for name, metric in METRICS.items():
        full, labels = f"ray_{PREFIX}{name}", {*metric.labels, "deployment"}
        if metric.kind == "histogram":
            series |= {f"{full}_bucket": labels | {"le"}, f"{full}_sum": labels, f"{full}_count": labels}
        else:
            series[full] = labels
    return series


def expressions():
    """Every question to Prometheus, with where it stands."""
    resources = built("monitoring")
    for group in one(resources, "PrometheusRule")["spec"]["groups"]:
        for rule in group["rules"]:
            yield rule["alert"], rule["expr"]
    for panel in json.loads(one(resources, "ConfigMap", "dashboard")["data"]["dashboard.endpoint.json"])["panels"]:
        for target in panel["targets"]:
            yield panel["title"], target["expr"]


def unknown(expression):
    """Names in an expression that nothing exports: metrics, and labels of the metrics in it."""
    series = exported()
    bare = re.sub(r'"[^"]*"', '""', expression.replace("$__rate_interval", "5m"))
    words = set(re.findall(r"[a-zA-Z_][a-zA-Z0-9_]*", bare))
    metrics = {word for word in words if word.startswith("ray_") and word not in TARGET}
    labels = TARGET.union(*(series.get(metric, set()) for metric in metrics))
    return sorted((metrics - set(series)) | (words - metrics - labels - BUILT_IN))


@pytest.mark.parametrize(("where", "expression"), list(expressions()) if shutil.which("kubectl") else [])
def test_what_is_asked_for_exists(where, expression):
    assert unknown(expression) == [], where


@pytest.mark.parametrize(
    ("expression", "names"),
    [
        ("rate(ray_diffusiontalker_request_total[5m])", ["ray_diffusiontalker_request_total"]),
        ("ray_diffusiontalker_rtf", ["ray_diffusiontalker_rtf"]),
        ('ray_diffusiontalker_requests_total{status="500"}', ["status"]),
        ("sum by (stage) (ray_diffusiontalker_streams_open)", ["stage"]),
        ("ray_serve_replica_count", ["ray_serve_replica_count"]),
    ],
)
def test_a_name_that_does_not_exist_is_found(expression, names):
    assert unknown(expression) == names


def test_every_metric_of_ours_is_on_the_dashboard():
    asked = " ".join(expression for _, expression in expressions())
    assert [name for name in METRICS if f"ray_{PREFIX}{name}" not in asked] == []


def test_every_alert_says_how_bad_and_what_to_do():
    for group in one(built("monitoring"), "PrometheusRule")["spec"]["groups"]:
        for rule in group["rules"]:
            assert rule["labels"]["severity"] in ("critical", "warning")
            assert set(rule["annotations"]) == {"summary", "description"}


def check_rules(spec, folder):
    """What promtool says."""
    file = folder / "rules.yaml"
    file.write_text(yaml.safe_dump(spec))
    return subprocess.run(["promtool", "check", "rules", str(file)], capture_output=True, text=True, timeout=60)


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed; it comes with Prometheus")
def test_prometheus_can_read_the_rules(tmp_path):
    spec = one(built("monitoring"), "PrometheusRule")["spec"]
    assert check_rules(spec, tmp_path).returncode == 0
    spec["groups"][0]["rules"][0]["expr"] = "sum(rate(ray_diffusiontalker_requests_total[5m])"
    assert check_rules(spec, tmp_path).returncode != 0


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed; it comes with Prometheus")
def test_the_alerts_fire_when_they_should(tmp_path):
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(one(built("monitoring"), "PrometheusRule")["spec"]))
    healthy = 'ray_serve_deployment_replica_healthy{deployment="Talker"}'
    requests = "ray_diffusiontalker_requests_total"
    lag = "ray_diffusiontalker_frame_lag_seconds_bucket"

    def case(name, series, *, fires):
        inputs = [{"series": metric, "values": values} for metric, values in series.items()]
        asked = {"expr": f'count(ALERTS{{alertname="{name}", alertstate="firing"}})', "eval_time": "30m"}
        samples = [{"labels": "{}", "value": 1}] if fires else []
        return {"interval": "1m", "input_series": inputs, "promql_expr_test": [asked | {"exp_samples": samples}]}

    good, bad, busy = (f'{requests}{{code="{code}"}}' for code in (200, 500, 429))
    early, late, all_ = (f'{lag}{{le="{bound}"}}' for bound in ("0.25", "0.5", "+Inf"))
    tests = [
        case("TalkerDown", {}, fires=True),
        case("TalkerDown", {healthy: "0x30"}, fires=True),
        case("TalkerDown", {healthy: "1x30"}, fires=False),
        case("TalkerFails", {good: "0+100x30", bad: "0+5x30"}, fires=True),
        case("TalkerFails", {good: "0+100x30", bad: "0+1x30"}, fires=False),
        case("TalkerRefuses", {good: "0+100x30", busy: "0+10x30"}, fires=True),
        case("LiveFramesLate", {early: "0+90x30", late: "0+100x30", all_: "0+100x30"}, fires=True),
        case("LiveFramesLate", {early: "0+100x30", late: "0+100x30", all_: "0+100x30"}, fires=False),
        case("RayNodeFull", {"ray_node_mem_used": "95x30", "ray_node_mem_total": "100x30"}, fires=True),
    ]  # fmt: skip
    (tmp_path / "tests.yaml").write_text(yaml.safe_dump({"rule_files": ["rules.yaml"], "tests": tests}))
    run = subprocess.run(["promtool", "test", "rules", str(tmp_path / "tests.yaml")], capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr


def test_prometheus_finds_the_port_of_every_ray_pod():
    monitor = one(built("monitoring"), "PodMonitor")["spec"]
    (port,) = [endpoint["port"] for endpoint in monitor["podMetricsEndpoints"]]
    for folder in ("overlays/cpu-small", "overlays/gpu", "overlays/gpu/dev", "overlays/cpu-small/jobs/teacher"):
        for resource in built(folder):
            for cluster in cluster_specs(resource):
                groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
                for template in (group["template"] for group in groups):
                    ports = {one["name"]: one["containerPort"] for one in template["spec"]["containers"][0]["ports"]}
                    assert ports[port] == 8080
