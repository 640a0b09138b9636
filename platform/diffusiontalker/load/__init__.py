"""Load on an endpoint, and what it does to it: latencies, throughput, the lag of live streams. Light: no torch, no Ray.

    settings     what a run does                      sound, schedule  what is sent, and when
    connections  HTTP as light as it gets             recordings       closed and open loops over it
    streams      live streams in real time            measures         percentiles, lags, a level's numbers
    search       the most that still holds            running          levels one after another
    results      JSON, tables, comparisons            pictures         the same, drawn
    against      in turns with what one would write   processes        endpoints that always end
    programs     those endpoints (they import torch)   telemetry       what endpoints tell of themselves
    curves       their batches, queues and CPUs under more and more load

It shares the machine with what it measures, so it takes as little CPU time as it can, and says how much.
"""

from diffusiontalker.load.against import Against, AgainstConfig, against_table, run_against
from diffusiontalker.load.curves import Curves, CurvesConfig, Point, Start, measure_curves
from diffusiontalker.load.measures import Level, Percentiles
from diffusiontalker.load.pictures import against_png, load_png
from diffusiontalker.load.results import LoadResult, comparison, read_result, table
from diffusiontalker.load.running import run_load
from diffusiontalker.load.settings import LoadConfig, LoadError

__all__ = [
    "Against",
    "AgainstConfig",
    "Curves",
    "CurvesConfig",
    "Level",
    "LoadConfig",
    "LoadError",
    "LoadResult",
    "Percentiles",
    "Point",
    "Start",
    "against_png",
    "against_table",
    "comparison",
    "load_png",
    "measure_curves",
    "read_result",
    "run_against",
    "run_load",
    "table",
]
