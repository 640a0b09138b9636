"""The only room that knows Ray: training on Ray Train, and the main job from corpus to report."""

from diffusiontalker.orchestration.cluster import absolute_uri, ray_cluster
from diffusiontalker.orchestration.corpus_source import CorpusSourceConfig, open_corpus
from diffusiontalker.orchestration.job import run_job
from diffusiontalker.orchestration.main_job import HelloConfig, MainJobConfig, run_main_job
from diffusiontalker.orchestration.run_folder import RunFolder
from diffusiontalker.orchestration.train import OrchestrationConfig, train_on_ray

__all__ = [
    "CorpusSourceConfig",
    "HelloConfig",
    "MainJobConfig",
    "OrchestrationConfig",
    "RunFolder",
    "absolute_uri",
    "open_corpus",
    "ray_cluster",
    "run_job",
    "run_main_job",
    "train_on_ray",
]
