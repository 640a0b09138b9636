"""Results as pictures. Imports matplotlib (and, on the way, torch) when called, so call it when all is measured."""

from collections.abc import Sequence

from diffusiontalker.load.against import Against
from diffusiontalker.load.measures import Level
from diffusiontalker.load.results import LoadResult
from diffusiontalker.load.settings import Mode

_LEVEL_LABELS: dict[Mode, str] = {
    "closed": "workers, each with one request under way",
    "open": "requests that arrive per second",
    "streams": "live streams",
}


def load_png(result: LoadResult) -> bytes | None:
    """Percentiles and throughput over the levels of a run; None when nothing was answered."""
    from diffusiontalker.evaluation.plots import LoadSeries, draw_load, render

    levels = _drawable(result.levels)
    if not levels:
        return None
    is_live = result.config.mode == "streams"
    series = LoadSeries(
        label="",
        levels=[level.level for level in levels],
        latencies_ms=_latencies(levels, ("p50", "p95", "p99", "max")),
        throughput=[level.throughput for level in levels],
    )
    figure = render(
        lambda: draw_load(
            [series],
            level_label=_LEVEL_LABELS[result.config.mode],
            latency_label="lag of frames" if is_live else "latency",
            throughput_label="frames per second" if is_live else "requests answered per second",
            target_ms=result.config.target_ms if is_live or result.config.find_max else 0.0,
        )
    )
    return figure["light"]


def against_png(against: Against) -> bytes | None:
    """Every endpoint's medians over the levels; None when nothing was answered."""
    from diffusiontalker.evaluation.plots import LoadSeries, draw_load, render

    series = []
    for system in against.config.commands():
        found = [against.level(system, number) for number in against.config.load.levels]
        levels = _drawable([level for level in found if level is not None])
        if levels:
            series.append(
                LoadSeries(
                    label=system,
                    levels=[level.level for level in levels],
                    latencies_ms=_latencies(levels, ("p50", "p99")),
                    throughput=[level.throughput for level in levels],
                )
            )
    if not series:
        return None
    figure = render(
        lambda: draw_load(
            series,
            level_label=_LEVEL_LABELS["closed"],
            latency_label="latency",
            throughput_label="requests answered per second",
        )
    )
    return figure["light"]


def _drawable(levels: Sequence[Level]) -> list[Level]:
    """By size; of one that was tried again, the last."""
    last = {level.level: level for level in levels if level.latency is not None}
    return [last[number] for number in sorted(last)]


def _latencies(levels: Sequence[Level], names: Sequence[str]) -> dict[str, list[float]]:
    return {name: [getattr(level.latency, name) for level in levels] for name in names}
