"""The RayService's Serve configuration is the one of serve_configs/, for this site, and fits the pods around it."""

import importlib.util
import shutil

import pytest
import yaml
from kustomized import K8S, OVERLAYS, ROOT, built, cluster_specs, needs_kubectl, one
from ray.serve.schema import ServeDeploySchema

from diffusiontalker.serving.arguments import ServingArguments

specification = importlib.util.spec_from_file_location("k8s_generate", K8S / "generate.py")
generate = importlib.util.module_from_spec(specification)
specification.loader.exec_module(generate)


@pytest.fixture
def checkout(tmp_path):
    """What the script reads and writes, to be changed."""
    shutil.copytree(K8S, tmp_path / "k8s")
    shutil.copytree(ROOT / "serve_configs", tmp_path / "serve_configs")
    return tmp_path


def test_the_generated_files_are_up_to_date(capsys):
    assert generate.main(["--check"]) == 0, capsys.readouterr().err


def test_a_changed_source_is_noticed_and_taken_over(checkout, capsys):
    source = checkout / "serve_configs" / "gpu.yaml"
    source.write_text(source.read_text().replace("max_streams: 512", "max_streams: 511"))
    assert generate.main(["--check"], root=checkout) == 1
    assert "k8s/overlays/gpu/rayservice.config.yaml" in capsys.readouterr().err
    assert generate.main([], root=checkout) == 0
    assert generate.main(["--check"], root=checkout) == 0
    assert "max_streams: 511" in (checkout / "k8s/overlays/gpu/rayservice.config.yaml").read_text()


def test_the_site_says_where_bundle_and_voices_are(checkout):
    site = checkout / "k8s" / "site" / "site.env"
    site.write_text(site.read_text().replace("s3://diffusiontalker/", "s3://elsewhere/"))
    assert generate.main([], root=checkout) == 0
    for overlay in OVERLAYS:
        text = (checkout / "k8s" / overlay / "rayservice.config.yaml").read_text()
        assert "bundle: s3://elsewhere/" in text
        assert "voices: s3://elsewhere/" in text
        assert "s3://diffusiontalker" not in text


def test_what_cannot_be_used_is_told(checkout, capsys):
    site = checkout / "k8s" / "site" / "site.env"
    original = site.read_text()
    for text, message in ((original + "RUNS\n", "'RUNS' has no value"), ("RUNS=s3://a\n", "BUNDLE, VOICES missing")):
        site.write_text(text)
        assert generate.main(["--check"], root=checkout) == 2
        assert message in capsys.readouterr().err
    site.write_text(original)
    config = checkout / "serve_configs" / "gpu.yaml"
    config.write_text("applications: []\n")
    assert generate.main(["--check"], root=checkout) == 2
    assert "0 applications, expected 1" in capsys.readouterr().err
    config.unlink()
    assert generate.main([], root=checkout) == 2
    assert "gpu.yaml is not there" in capsys.readouterr().err


@needs_kubectl
@pytest.mark.parametrize("overlay", OVERLAYS)
def test_ray_serve_takes_it_and_it_fits_the_pods(overlay):
    resources = built(overlay)
    service = one(resources, "RayService")
    config = yaml.safe_load(service["spec"]["serveConfigV2"])
    ServeDeploySchema.model_validate(config)
    (application,) = config["applications"]
    arguments = ServingArguments.model_validate(application["args"])
    assert (arguments.bundle[:5], arguments.voices[:5]) == ("s3://", "s3://")

    (cluster,) = cluster_specs(service)
    (group,) = cluster["workerGroupSpecs"]
    (worker,) = group["template"]["spec"]["containers"]
    ports = {port["name"]: port["containerPort"] for port in worker["ports"]}
    assert (ports["serve"], ports["serve-grpc"]) == (config["http_options"]["port"], config["grpc_options"]["port"])
    assert config["http_options"]["host"] == "0.0.0.0"
    mounts = {mount["mountPath"] for mount in worker["volumeMounts"]}
    assert str(arguments.keys_path().parent) in mounts
    redis = one(resources, "Service", "redis")
    assert arguments.cache.shared_url.startswith(
        f"redis://{redis['metadata']['name']}:{redis['spec']['ports'][0]['port']}"
    )
    assert cluster["gcsFaultToleranceOptions"]["redisAddress"] == "redis:6379"


@needs_kubectl
@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_replica_fits_on_a_worker_of_its_own_or_beside_others(overlay):
    service = one(built(overlay), "RayService")
    (cluster,) = cluster_specs(service)
    limits = cluster["workerGroupSpecs"][0]["template"]["spec"]["containers"][0]["resources"]["limits"]
    room = {"num_cpus": float(limits["cpu"]), "num_gpus": float(limits.get("nvidia.com/gpu", 0))}
    (application,) = yaml.safe_load(service["spec"]["serveConfigV2"])["applications"]
    needs = [deployment["ray_actor_options"] for deployment in application["deployments"]]
    for what, available in room.items():
        assert sum(need.get(what, 0) for need in needs) <= available, what


@needs_kubectl
@pytest.mark.parametrize("overlay", OVERLAYS)
def test_ha_proxy_is_on_in_every_pod_and_keeps_streams_as_long_as_they_may_last(overlay):
    service = one(built(overlay), "RayService")
    (cluster,) = cluster_specs(service)
    longest = ServingArguments(bundle="b").limits.wall_seconds
    assert service["spec"]["rayClusterDeletionDelaySeconds"] >= longest
    for template in (cluster["headGroupSpec"]["template"], cluster["workerGroupSpecs"][0]["template"]):
        environment = {each["name"]: each.get("value") for each in template["spec"]["containers"][0]["env"]}
        assert environment["RAY_SERVE_ENABLE_HA_PROXY"] == "1"
        assert float(environment["RAY_SERVE_HAPROXY_HARD_STOP_AFTER_S"]) >= longest
    for name in ("http", "grpc"):
        annotations = one(built(overlay), "Ingress", name)["metadata"]["annotations"]
        assert float(annotations["nginx.ingress.kubernetes.io/proxy-read-timeout"]) > longest
