"""How good is it: metrics with units, controls, real-time factors, and one report with pictures.

Every number stands beside its controls. Nothing here trains, and only `plots` knows matplotlib.
"""

from diffusiontalker.evaluation.ablation import ablation_text
from diffusiontalker.evaluation.comparison import ComparisonConfig, compare
from diffusiontalker.evaluation.controls import MeanFace, Ridge, ShuffledAudio, Truth, standard_systems
from diffusiontalker.evaluation.latency import Latency, measure_rtf, measure_side_by_side
from diffusiontalker.evaluation.measuring import EvaluationConfig
from diffusiontalker.evaluation.protocol import DEFAULT_SPLITS, evaluate, rig_facts
from diffusiontalker.evaluation.report import Report, results_table
from diffusiontalker.evaluation.scoring import EvaluationError
from diffusiontalker.evaluation.systems import BundleSystem, System

__all__ = [
    "DEFAULT_SPLITS",
    "BundleSystem",
    "ComparisonConfig",
    "EvaluationConfig",
    "EvaluationError",
    "Latency",
    "MeanFace",
    "Report",
    "Ridge",
    "ShuffledAudio",
    "System",
    "Truth",
    "ablation_text",
    "compare",
    "evaluate",
    "measure_rtf",
    "measure_side_by_side",
    "results_table",
    "rig_facts",
    "standard_systems",
]
