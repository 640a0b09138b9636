"""How good is it: metrics with units, controls, real-time factors, and one report with pictures.

Every number stands beside its controls. Nothing here trains, and only `plots` knows matplotlib.
"""

from diffusiontalker.evaluation.ablation import ablation_text
from diffusiontalker.evaluation.comparison import ComparisonConfig, compare
from diffusiontalker.evaluation.controls import MeanFace, Ridge, ShuffledAudio, Truth, standard_systems
from diffusiontalker.evaluation.cost import Cost, look_ahead_s, one_core_speeds, operations_per_s
from diffusiontalker.evaluation.counting import Counts, count, count_animation, count_nodes, noise
from diffusiontalker.evaluation.latency import Latency, measure_rtf, measure_side_by_side, seconds_in_turns
from diffusiontalker.evaluation.measuring import EvaluationConfig, Stage, headline_figures
from diffusiontalker.evaluation.protocol import DEFAULT_SPLITS, evaluate, rig_facts
from diffusiontalker.evaluation.report import Report, results_table
from diffusiontalker.evaluation.scoring import EvaluationError
from diffusiontalker.evaluation.search_report import search_table, write_search_report
from diffusiontalker.evaluation.systems import BundleSystem, System

__all__ = [
    "DEFAULT_SPLITS",
    "BundleSystem",
    "ComparisonConfig",
    "Cost",
    "Counts",
    "EvaluationConfig",
    "EvaluationError",
    "Latency",
    "MeanFace",
    "Report",
    "Ridge",
    "ShuffledAudio",
    "Stage",
    "System",
    "Truth",
    "ablation_text",
    "compare",
    "count",
    "count_animation",
    "count_nodes",
    "evaluate",
    "headline_figures",
    "look_ahead_s",
    "measure_rtf",
    "measure_side_by_side",
    "noise",
    "one_core_speeds",
    "operations_per_s",
    "results_table",
    "rig_facts",
    "search_table",
    "seconds_in_turns",
    "standard_systems",
    "write_search_report",
]
