"""What the platform costs, measured in a way that can be compared: results, floors, pages, comparisons.

    results     rows of repeats, floors and what is wanted; JSON       machine   what this machine can do at its best
    pages       tables, a dated Markdown page, pictures, the folder    comparing two results: ratios, warnings
    inference   what `bench inference` measures, with students:
    animations  whole recordings                                       streams   live ones
    fresh       processes that have done nothing yet                   accuracy  what engines do to lip errors
    training    what `bench training` measures:                        steps     in this process, checkpoints too
    memory      of a sample, in fresh processes
    serving     what `bench serve --curves` measures

Every figure stands beside its spread and, where one can be derived, beside the best that the machine allows; `results`
says how they write what they found. `inference`, `training` and `serving` import evaluation and more, so they
are imported by whoever measures.
"""

from diffusiontalker.benchmarks.comparing import comparison
from diffusiontalker.benchmarks.machine import measure_rates
from diffusiontalker.benchmarks.pages import result_page, result_text, write_page, write_result
from diffusiontalker.benchmarks.results import (
    BenchmarkError,
    BenchmarkResult,
    Group,
    MachineRates,
    Row,
    new_result,
    read_result,
)

__all__ = [
    "BenchmarkError",
    "BenchmarkResult",
    "Group",
    "MachineRates",
    "Row",
    "comparison",
    "measure_rates",
    "new_result",
    "read_result",
    "result_page",
    "result_text",
    "write_page",
    "write_result",
]
