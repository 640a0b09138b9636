"""Results of benchmarks whose numbers are known."""

from diffusiontalker.benchmarks import BenchmarkResult, Group, MachineRates, Row

RATES = MachineRates(
    float32_one_core=60.0, float32_all_cores=110.0, bfloat16_one_core=120.0, bfloat16_all_cores=220.0, copy_one_core=8.0
)


def make_result(*, factor: float = 1.0, **changes) -> BenchmarkResult:
    """`factor`: times that everything takes longer."""
    speeds = tuple(factor * value for value in (0.0040, 0.0042, 0.0041))
    throughput = [tuple(number / factor * value for value in (95.0, 100.0, 102.0)) for number in (1, 8)]
    settings = {
        "benchmark": "inference",
        "date": "2026-11-26T20:00:00+00:00",
        "command": "diffusiontalker bench inference",
        "machine": {
            "cpu": "a processor", "cpu_count": 2, "memory_gb": 23.5, "git_commit": "0123456789ab", "torch": "2",
        },
        "config": {"engines": ["torch"], "repeats": 3, "bundle": None, "networks": {"small": {"width": 160}}},
        "rates": RATES,
        "groups": (
            Group(
                title="Real-time factor",
                about="10 s of sound.",
                rows=(
                    Row(
                        name="small", unit="RTF", values=speeds, floor=0.0020, floor_from="products", wanted=0.006
                    ),
                    Row(name="nano", unit="RTF", values=tuple(value / 2 for value in speeds), wanted=0.001),
                ),
            ),
            Group(
                title="Batches",
                rows=tuple(
                    Row(name=f"{number} at once", unit="audio s/s", values=values, series="small", x=number)
                    for number, values in zip((1, 8), throughput, strict=True)
                ),
                x_label="recordings at once",
            ),
        ),
    }  # fmt: skip
    return BenchmarkResult(**(settings | changes))
