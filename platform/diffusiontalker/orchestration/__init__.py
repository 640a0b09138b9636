"""The only room that knows Ray: training on Ray Train, and the main job from corpus to report."""

from diffusiontalker.orchestration.cluster import absolute_uri, ray_cluster
from diffusiontalker.orchestration.train import OrchestrationConfig, train_on_ray

__all__ = [
    "OrchestrationConfig",
    "absolute_uri",
    "ray_cluster",
    "train_on_ray",
]
