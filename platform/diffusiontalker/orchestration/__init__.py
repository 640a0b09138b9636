"""The only room that knows Ray: training on Ray Train, bulk work on Ray Data, the jobs from recordings to report."""

from diffusiontalker.orchestration.animate_job import run_animate_job
from diffusiontalker.orchestration.animate_plan import AnimateJobConfig
from diffusiontalker.orchestration.cluster import ray_cluster
from diffusiontalker.orchestration.corpus_source import CorpusSourceConfig, open_corpus
from diffusiontalker.orchestration.distill import ChainConfig, chain_stages, distill
from diffusiontalker.orchestration.distill_job import run_distill_job
from diffusiontalker.orchestration.distill_plan import DistillJobConfig
from diffusiontalker.orchestration.evaluate_job import EvaluateJobConfig, run_evaluate_job
from diffusiontalker.orchestration.features_job import FeaturesJobConfig, run_features_job
from diffusiontalker.orchestration.hello import HelloConfig
from diffusiontalker.orchestration.import_job import ImportJobConfig, run_import_job
from diffusiontalker.orchestration.job import run_job
from diffusiontalker.orchestration.main_job import MainJobConfig, run_main_job
from diffusiontalker.orchestration.run_folder import RunFolder
from diffusiontalker.orchestration.search_job import run_search_job
from diffusiontalker.orchestration.search_plan import SearchJobConfig
from diffusiontalker.orchestration.train import OrchestrationConfig, TrainingError, train_on_ray

__all__ = [
    "AnimateJobConfig",
    "ChainConfig",
    "CorpusSourceConfig",
    "DistillJobConfig",
    "EvaluateJobConfig",
    "FeaturesJobConfig",
    "HelloConfig",
    "ImportJobConfig",
    "MainJobConfig",
    "OrchestrationConfig",
    "RunFolder",
    "SearchJobConfig",
    "TrainingError",
    "chain_stages",
    "distill",
    "open_corpus",
    "ray_cluster",
    "run_animate_job",
    "run_distill_job",
    "run_evaluate_job",
    "run_features_job",
    "run_import_job",
    "run_job",
    "run_main_job",
    "run_search_job",
    "train_on_ray",
]
