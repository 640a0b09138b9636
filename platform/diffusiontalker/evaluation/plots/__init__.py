"""Pictures for reports: the only place that knows matplotlib. Takes plain data, returns figures."""

from matplotlib.figure import Figure

from diffusiontalker.evaluation.plots.bubbles import Bubble, draw_bubbles
from diffusiontalker.evaluation.plots.channels import draw_channel_bars
from diffusiontalker.evaluation.plots.corpus import draw_corpus
from diffusiontalker.evaluation.plots.curves import CurvePanel, draw_curves, draw_variants
from diffusiontalker.evaluation.plots.embeddings import EmbeddingPanel, draw_embeddings
from diffusiontalker.evaluation.plots.faces import draw_face, draw_face_strip, render_face_strip
from diffusiontalker.evaluation.plots.load import LoadSeries, draw_load
from diffusiontalker.evaluation.plots.measured import Measured, draw_measured
from diffusiontalker.evaluation.plots.pareto import ParetoPanel, ParetoPoint, draw_pareto
from diffusiontalker.evaluation.plots.rigs import draw_rig, render_rig
from diffusiontalker.evaluation.plots.style import render
from diffusiontalker.evaluation.plots.training import draw_training

__all__ = [
    "Bubble",
    "CurvePanel",
    "EmbeddingPanel",
    "Figure",
    "LoadSeries",
    "Measured",
    "ParetoPanel",
    "ParetoPoint",
    "draw_bubbles",
    "draw_channel_bars",
    "draw_corpus",
    "draw_curves",
    "draw_embeddings",
    "draw_face",
    "draw_face_strip",
    "draw_load",
    "draw_measured",
    "draw_pareto",
    "draw_rig",
    "draw_training",
    "draw_variants",
    "render",
    "render_face_strip",
    "render_rig",
]
