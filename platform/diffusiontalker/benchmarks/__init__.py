"""What the platform costs, measured in a way that can be compared: results, floors, pages, comparisons.

    results     rows of repeats, floors and what is wanted; JSON       machine   what this machine can do at its best
    pages       tables, a dated Markdown page, pictures, the folder    comparing two results: ratios, warnings
    inference   what `bench inference` measures, with students:
    animations  whole recordings                                       streams   live ones
    fresh       processes that have done nothing yet                   accuracy  what engines do to lip errors

Every figure stands beside its spread and, where one can be derived, beside the best that the machine allows; `results`
says how other benchmarks write what they found.
"""

from diffusiontalker.benchmarks.comparing import comparison
from diffusiontalker.benchmarks.inference import InferenceConfig, measure_inference
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
    "InferenceConfig",
    "MachineRates",
    "Row",
    "comparison",
    "measure_inference",
    "measure_rates",
    "new_result",
    "read_result",
    "result_page",
    "result_text",
    "write_page",
    "write_result",
]
