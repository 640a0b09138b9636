"""The shipped Serve configurations say what they seem to say: Ray Serve itself drops keys that it does not know."""

from pathlib import Path

import pytest
import yaml
from ray.serve.schema import ServeDeploySchema

from diffusiontalker.serving.app import GRPC_SERVICERS
from diffusiontalker.serving.arguments import ServingArguments, UserConfig
from diffusiontalker.serving.deployments import PERSONALIZER, TALKER

CONFIGS = sorted((Path(__file__).parents[3] / "serve_configs").glob("*.yaml"))
DEPLOYMENTS = {deployment.name for deployment in (TALKER, PERSONALIZER)}


def unknown_keys(given, parsed, path=""):
    """Keys of a configuration that did not survive parsing."""
    if isinstance(given, dict):
        for key, value in given.items():
            if not isinstance(parsed, dict) or key not in parsed:
                yield f"{path}.{key}"
            elif path.rpartition(".")[2] not in ("args", "user_config"):
                yield from unknown_keys(value, parsed[key], f"{path}.{key}")
    elif isinstance(given, list) and isinstance(parsed, list):
        for number, (one, other) in enumerate(zip(given, parsed, strict=True)):
            yield from unknown_keys(one, other, f"{path}[{number}]")


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_key_is_one_that_ray_serve_and_we_know(path):
    plain = yaml.safe_load(path.read_text())
    parsed = ServeDeploySchema.model_validate(plain).model_dump(exclude_unset=True)
    assert not list(unknown_keys(plain, parsed))
    assert tuple(plain["grpc_options"]["grpc_servicer_functions"]) == GRPC_SERVICERS
    (application,) = plain["applications"]
    assert application["import_path"] == "diffusiontalker.serving.app:build_app"
    arguments = ServingArguments.model_validate(application["args"])
    assert {one["name"] for one in application["deployments"]} == DEPLOYMENTS
    for deployment in application["deployments"]:
        if deployment["name"] == "Talker":
            UserConfig.model_validate(deployment.get("user_config", {})).over(arguments)
        else:
            assert "user_config" not in deployment


def test_a_misspelt_key_is_found():
    plain = {"applications": [{"name": "a", "import_path": "b:c", "rout_prefix": "/"}]}
    parsed = ServeDeploySchema.model_validate(plain).model_dump(exclude_unset=True)
    assert list(unknown_keys(plain, parsed)) == [".applications[0].rout_prefix"]


def test_the_configurations_are_there():
    assert [path.stem for path in CONFIGS] == ["autoscaling", "gpu", "local"]


def test_a_user_config_changes_what_it_names_and_nothing_else():
    arguments = ServingArguments(bundle="b", limits={"max_seconds": 60.0, "max_fps": 30.0}, engine={"max_waiting": 7})
    changed = UserConfig(limits={"max_seconds": 5.0}, max_batch_frames=100).over(arguments)
    assert (changed.limits.max_seconds, changed.limits.max_fps) == (5.0, 30.0)
    assert (changed.engine.max_batch_frames, changed.engine.max_waiting) == (100, 7)
    assert UserConfig().over(arguments) == arguments
    for wrong in ({"max_second": 5.0}, {"max_seconds": -1.0}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            UserConfig(limits=wrong).over(arguments)
