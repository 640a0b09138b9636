"""The only room that knows Ray: training on Ray Train, bulk work on Ray Data, the jobs from recordings to report.

What is public is loaded when it is asked for: every process of a job imports this room, and none needs all of it.
"""

import importlib
from typing import Any

_MODULES = {
    "AnimateJobConfig": "animate_plan",
    "ChainConfig": "distill",
    "CorpusSourceConfig": "corpus_source",
    "DistillJobConfig": "distill_plan",
    "EvaluateJobConfig": "evaluate_job",
    "FeaturesJobConfig": "features_job",
    "HelloConfig": "hello",
    "ImportJobConfig": "import_job",
    "MainJobConfig": "main_job",
    "OrchestrationConfig": "train",
    "RunFolder": "run_folder",
    "SearchJobConfig": "search_plan",
    "TrainingError": "train",
    "chain_stages": "distill",
    "open_corpus": "corpus_source",
    "ray_cluster": "cluster",
    "run_animate_job": "animate_job",
    "run_distill_job": "distill_job",
    "run_evaluate_job": "evaluate_job",
    "run_features_job": "features_job",
    "run_import_job": "import_job",
    "run_job": "job",
    "run_main_job": "main_job",
    "run_search_job": "search_job",
    "train_on_ray": "train",
}
"""Public name -> its module."""

__all__ = list(_MODULES)  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
