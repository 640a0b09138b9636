"""How good is it: metrics with units, controls, real-time factors, and one report with pictures.

Every number stands beside its controls. Nothing here trains, and only `plots` knows matplotlib.
"""

from diffusiontalker.evaluation.controls import MeanFace, Ridge, ShuffledAudio, Truth, standard_systems
from diffusiontalker.evaluation.latency import Latency, measure_rtf
from diffusiontalker.evaluation.protocol import DEFAULT_SPLITS, EvaluationConfig, evaluate
from diffusiontalker.evaluation.report import Report, results_table
from diffusiontalker.evaluation.scoring import EvaluationError
from diffusiontalker.evaluation.systems import BundleSystem, System

__all__ = [
    "DEFAULT_SPLITS",
    "BundleSystem",
    "EvaluationConfig",
    "EvaluationError",
    "Latency",
    "MeanFace",
    "Report",
    "Ridge",
    "ShuffledAudio",
    "System",
    "Truth",
    "evaluate",
    "measure_rtf",
    "results_table",
    "standard_systems",
]
