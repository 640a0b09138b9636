"""A run's results: what they were measured with, as JSON, as a table for people, and two of them compared."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from diffusiontalker.config import run_provenance
from diffusiontalker.load.measures import Level
from diffusiontalker.load.settings import LoadConfig, LoadError, Mode

KIND = "diffusiontalker load"
LEVEL_NAMES: Mapping[Mode, str] = {"closed": "workers", "open": "asked/s", "streams": "streams"}


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """The outcome of a search for the most that an endpoint carries."""

    largest: int
    """Largest level that held; 0: none."""
    target_ms: float
    limited_by: str
    """`endpoint`; `client`: it was too slow itself at the next level, so the endpoint may carry more; `most`: nothing
    larger was tried."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class LoadResult:
    """Everything about one run."""

    config: LoadConfig
    date: str
    """UTC, ISO 8601."""
    endpoint: Mapping[str, Any]
    """What the endpoint says of itself."""
    levels: Sequence[Level]
    """In the order they were run."""
    found: Found | None = None
    is_partial: bool = False
    """Whether it was interrupted; its last level is then shorter than the others."""
    client: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """How this client ran."""

    def plain(self) -> dict[str, Any]:
        """For JSON: settings, machine, versions, date, endpoint and levels."""
        return {
            "kind": KIND,
            "date": self.date,
            "settings": self.config.plain(),
            "machine": machine_facts(),
            "endpoint": dict(self.endpoint),
            "client": dict(self.client),
            "levels": [level.plain() for level in self.levels],
            "found": None if self.found is None else dataclasses.asdict(self.found),
            "is_partial": self.is_partial,
        }


def machine_facts() -> dict[str, Any]:
    """Versions, commit, processor."""
    facts: dict[str, Any] = dict(run_provenance())
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return facts | {"cpu": names[0] if names else "unknown"}


def read_result(path: Path) -> dict[str, Any]:
    """A `load.json`.

    Raises:
        LoadError: when it is none.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise LoadError(f"{path}: cannot be read ({error}); give a load.json") from None
    kind = content.get("kind") if isinstance(content, dict) else None
    if kind != KIND:
        raise LoadError(f"{path}: is of kind '{kind}', expected '{KIND}'; give the load.json of a run on one endpoint")
    return content


def table(result: LoadResult) -> str:
    """A line per level, by size, and what to beware of."""
    is_live = result.config.mode == "streams"
    rate, latency = ("frames/s", "lag") if is_live else ("answered/s", "latency")
    lines = [
        f"{LEVEL_NAMES[result.config.mode]:>8} {rate:>10} {'audio s/s':>9} | {latency} (ms) {'p50':>5} {'p95':>8} "
        f"{'p99':>8} {'max':>8} | {'machine':>7} {'client':>6} CPU {'late p99':>8} | errors"
    ]
    levels = sorted(result.levels, key=lambda level: level.level)
    lines += [_line(level, width=len(latency) + 11) for level in levels]
    if late := [f"{level.level:g}" for level in levels if level.is_client_late]:
        lines.append(
            f"beware: at {', '.join(late)} this client was late or busy itself (see its columns); these latencies "
            "are partly its own"
        )
    if result.found is not None:
        lines.append(_found_line(result.found, LEVEL_NAMES[result.config.mode]))
    if result.is_partial:
        lines.append("interrupted: the last level is not complete")
    return "\n".join(lines)


def level_line(level: Level, mode: Mode) -> str:
    """A level in one short line, while a run goes on."""
    latency = (
        "nothing came" if level.latency is None else f"p50 {level.latency.p50:.0f}, p99 {level.latency.p99:.0f} ms"
    )
    failed = sum(level.errors.values())
    problems = f", {failed} failed" if failed else ""
    return f"{level.level:g} {LEVEL_NAMES[mode]}: {level.throughput:.1f} a second, {latency}{problems}"


def comparison(first: Mapping[str, Any], second: Mapping[str, Any]) -> str:
    """Ratios of the second result to the first, at the levels that both have.

    Raises:
        LoadError: when they are of different modes or have no level in common.
    """
    one, other = first["settings"], second["settings"]
    if one["mode"] != other["mode"]:
        raise LoadError(f"one is of mode '{one['mode']}', the other '{other['mode']}'; compare runs of one mode")
    # A search tries some levels twice: the last try counts.
    mine, theirs = ({level["level"]: level for level in result["levels"]} for result in (first, second))
    pairs = [(mine[number], theirs[number]) for number in sorted(mine.keys() & theirs.keys())]
    if not pairs:
        raise LoadError("the two have no level in common; run the same levels")
    lines = [f"{LEVEL_NAMES[one['mode']]:>8} {'throughput':>20} {'p50 (ms)':>20} {'p99 (ms)':>20}   second / first"]
    for level, again in pairs:
        cells = [_ratio(level["throughput"], again["throughput"])]
        cells += [
            _ratio((level["latency"] or {}).get(name), (again["latency"] or {}).get(name)) for name in ("p50", "p99")
        ]
        lines.append(f"{level['level']:8g} " + " ".join(f"{cell:>20}" for cell in cells))
    ignored = {"url", "levels", "allow_remote", "find_max", "most", "target_ms"}
    lines += [
        f"beware: {name} differs ({one[name]} and {other.get(name)})"
        for name in one
        if name not in ignored and one[name] != other.get(name)
    ]
    if first["machine"].get("cpu") != second["machine"].get("cpu"):
        lines.append(f"beware: other machines ({first['machine'].get('cpu')} and {second['machine'].get('cpu')})")
    return "\n".join(lines)


def _line(level: Level, *, width: int) -> str:
    p50, p95, p99, most = ["-"] * 4
    if level.latency is not None:
        latency = level.latency
        p50, p95, p99, most = (f"{value:.1f}" for value in (latency.p50, latency.p95, latency.p99, latency.max))
    machine = "-" if level.machine_cpu_share is None else f"{level.machine_cpu_share:.0%}"
    late = "-" if level.late is None else f"{level.late.p99:.1f}"
    counts = {**dict(sorted(level.errors.items())), "refused": level.refused, "lost": level.lost}
    problems = [f"{what} {count}" for what, count in {**counts, "held up": level.held_up}.items() if count]
    return (
        f"{level.level:8g} {level.throughput:10.1f} {level.audio_s_per_s:9.1f} | {p50:>{width}} {p95:>8} {p99:>8} "
        f"{most:>8} | {machine:>7} {level.client_cpu_share:>6.1%}     {late:>8} | {', '.join(problems) or 'none'}"
    )


def _found_line(found: Found, unit: str) -> str:
    limits = {
        "endpoint": "",
        "client": "; this client was too slow for more, the endpoint may not be",
        "most": "; more was not tried",
    }
    return f"largest with p99 below {found.target_ms:g} ms: {found.largest} {unit}{limits[found.limited_by]}"


def _ratio(one: float | None, other: float | None) -> str:
    if one is None or other is None or not one:
        return "-"
    return f"{other:.1f} / {one:.1f} = {other / one:.2f}"
