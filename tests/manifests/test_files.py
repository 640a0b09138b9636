"""What stands in k8s/ is used, named by rule, and refers to what is there."""

import re

import policies
import pytest
import yaml
from kustomized import APPLIED, JOBS, K8S, OVERLAYS, ROOT, SIZES, built, needs_kubectl, one

NOT_BUILT = {"README.md", "generate.py"}
LISTS = ("resources", "components")


def reached(kustomization, seen=None):
    """Files that a kustomization reads, those of its bases and components included."""
    seen = set() if seen is None else seen
    file = kustomization / "kustomization.yaml"
    if file in seen:
        return seen
    seen.add(file)
    content = yaml.safe_load(file.read_text())
    paths = [path for key in LISTS for path in content.get(key, [])]
    paths += [patch["path"] for patch in content.get("patches", []) if "path" in patch]
    for generator in content.get("configMapGenerator", []):
        paths += generator.get("files", []) + generator.get("envs", [])
    for path in paths:
        target = (kustomization / path).resolve()
        if target.is_dir():
            reached(target, seen)
        else:
            seen.add(target)
    return seen


def orphans(folder, roots):
    """Files that no root reads."""
    used = {path for root in roots for path in reached(folder / root)}
    files = {path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    return sorted(str(path.relative_to(folder)) for path in files - used if path.name not in NOT_BUILT)


def test_every_file_is_used_by_something_that_is_applied():
    assert orphans(K8S, APPLIED) == []


def test_a_forgotten_file_is_found(tmp_path):
    (tmp_path / "base").mkdir()
    (tmp_path / "base" / "kustomization.yaml").write_text("resources: [service.a.yaml]\n")
    for name in ("service.a.yaml", "service.b.yaml"):
        (tmp_path / "base" / name).write_text("")
    assert orphans(tmp_path, ["base"]) == ["base/service.b.yaml"]


def test_files_are_named_by_kind_and_variant(tmp_path):
    assert list(policies.files_are_named_by_kind(K8S)) == []
    for name in ("RayJob.yaml", "rayjob-teacher.yaml", "rayjob.Teacher.yaml"):
        (tmp_path / name).write_text("")
    assert len(list(policies.files_are_named_by_kind(tmp_path))) == 3


def test_a_file_that_is_a_resource_holds_the_kind_of_its_name():
    for path in K8S.rglob("*.yaml"):
        content = yaml.safe_load(path.read_text())
        if path.name != "kustomization.yaml" and isinstance(content, dict):
            assert content["kind"].lower() == path.name.partition(".")[0], path


def test_every_job_is_there_in_every_size():
    jobs = {path.parent.name for path in K8S.glob("jobs/*/rayjob.*.yaml")} - {"common"}
    assert set(JOBS) == {f"overlays/{size}/jobs/{job}" for size in SIZES for job in jobs}
    assert jobs >= {"teacher", "distill", "search", "evaluate", "animate"}


@needs_kubectl
@pytest.mark.parametrize("folder", JOBS)
def test_a_job_is_applied_alone(folder):
    (job,) = built(folder)
    assert (job["kind"], job["metadata"]["name"]) == ("RayJob", folder.rpartition("/")[2])


@needs_kubectl
@pytest.mark.parametrize("folder", APPLIED)
def test_nothing_is_left_to_be_filled_in(folder):
    assert "filled by" not in str(built(folder))


@needs_kubectl
@pytest.mark.parametrize("folder", [folder for folder in APPLIED if folder != "base"])
def test_everything_is_in_the_namespace_of_the_site(folder):
    assert {resource["metadata"]["namespace"] for resource in built(folder)} == {"diffusiontalker"}


@needs_kubectl
@pytest.mark.parametrize("folder", OVERLAYS)
def test_ingresses_lead_to_services_that_exist(folder):
    resources = built(folder)
    ours = {one["metadata"]["name"] for one in resources if one["kind"] == "Service"}
    service = one(resources, "RayService")
    name = service["metadata"]["name"]
    is_incremental = service["spec"]["upgradeStrategy"]["type"] == "NewClusterWithIncrementalUpgrade"
    made_by_the_operator = {f"{name}-serve-svc"} if not is_incremental else {f"{name}-gateway-istio"}
    backends = [
        path["backend"]["service"]["name"]
        for each in resources
        if each["kind"] == "Ingress"
        for rule in each["spec"]["rules"]
        for path in rule["http"]["paths"]
    ]
    assert len(backends) == 2
    assert set(backends) <= ours | made_by_the_operator


@needs_kubectl
def test_the_gpu_sizes_ask_for_gpus_and_laptops_do_not():
    for folder in APPLIED:
        text = str(built(folder))
        is_ray = "'rayVersion'" in text
        assert ("nvidia.com/gpu" in text) == ("-cuda" in text) == (is_ray and "overlays/gpu" in folder), folder


def test_the_readme_names_every_secret_and_everything_that_is_applied():
    text = (K8S / "README.md").read_text()
    created = set(re.findall(r"create secret \S+ (\S+)", text))
    assert created == policies.SECRETS
    for size in SIZES:
        assert f"k8s/overlays/{size}" in text
    for path in re.findall(r"k8s/[\w./-]+", text):
        assert (ROOT / path.rstrip(".")).exists(), path
