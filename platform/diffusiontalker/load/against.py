"""This package's endpoint against what one would write instead, in turns, on the same sound and the same load.

One endpoint is up at a time, in a process of its own, so that neither takes CPU time from the other; the order is
reversed from round to round, so that a machine that grows slower or faster treats them alike.
"""

import dataclasses
import datetime
import os
import statistics
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from diffusiontalker.load.measures import Level
from diffusiontalker.load.processes import ServerProcess, free_port, python_program, running
from diffusiontalker.load.results import machine_facts
from diffusiontalker.load.running import run_load
from diffusiontalker.load.settings import LoadConfig, LoadError
from diffusiontalker.load.sound import Sound, load_sound

KIND = "diffusiontalker load against plain FastAPI"
OWN, OWN_ON_RAY, PLAIN = "ours", "ours on Ray Serve", "plain FastAPI"
_RATIOS = ("throughput", "p50", "p99", "server_cpu_ms")


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class AgainstConfig:
    """A comparison."""

    load: LoadConfig
    """What each endpoint is asked; a closed loop, whose url is replaced."""
    bundle: Path
    """What each endpoint serves."""
    rounds: int = 3
    """How often each endpoint has its turn."""
    with_ray: bool = False
    """Whether the endpoint on Ray Serve takes part, too."""
    threads: int = 0
    """CPU threads of one computation, in all of them; 0: one for every core."""
    plain_at_once: int = 0
    """Requests that plain FastAPI computes at once; 0: the 40 of Starlette's thread pool."""

    def __post_init__(self) -> None:
        """Checks what can be compared."""
        if self.load.mode != "closed" or self.load.find_max:
            raise LoadError("only levels of a closed loop can be compared; leave out other modes and the search")
        if self.rounds < 1 or self.threads < 0 or self.plain_at_once < 0:
            raise LoadError(
                f"rounds {self.rounds}, threads {self.threads}: expected rounds of 1 or more, else 0 or more"
            )

    def commands(self) -> dict[str, Callable[[int], list[str]]]:
        """Endpoint -> command line on a port."""
        common = ("--bundle", self.bundle, "--threads", self.threads or os.cpu_count() or 1, "--port")
        own, plain = "diffusiontalker.load.programs.own", "diffusiontalker.load.programs.plain_fastapi"
        commands = {
            OWN: lambda port: python_program(own, *common, port),
            PLAIN: lambda port: python_program(plain, *common, port, "--at-once", self.plain_at_once),
        }
        if self.with_ray:
            commands[OWN_ON_RAY] = lambda port: python_program(own, *common, port, "--ray")
        return commands


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Turn:
    """One endpoint's levels in one round."""

    round: int
    system: str
    levels: Sequence[Level]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Against:
    """What came of a comparison."""

    config: AgainstConfig
    date: str
    turns: Sequence[Turn]
    is_partial: bool

    def level(self, system: str, number: float) -> Level | None:
        """An endpoint's level in the middle of its rounds: of every number the median, errors added up."""
        levels = [
            level for turn in self.turns if turn.system == system for level in turn.levels if level.level == number
        ]
        return _median_level(levels) if levels else None

    def ratios(self, system: str, number: float) -> dict[str, list[float]]:
        """Quantity -> the endpoint's value over that of plain FastAPI, once for every round that both finished."""
        found: dict[str, list[float]] = {name: [] for name in _RATIOS}
        for turn in (turn for turn in self.turns if turn.system == system):
            others = [other for other in self.turns if (other.system, other.round) == (PLAIN, turn.round)]
            mine = [level for level in turn.levels if level.level == number and level.is_complete]
            theirs = [
                level for other in others for level in other.levels if level.level == number and level.is_complete
            ]
            for one, other in zip(mine, theirs, strict=False):
                for name in _RATIOS:
                    value, base = _quantity(one, name), _quantity(other, name)
                    if value is not None and base:
                        found[name].append(round(value / base, 4))
        return found

    def plain(self) -> dict[str, Any]:
        """For JSON."""
        systems = [system for system in self.config.commands() if system != PLAIN]
        return {
            "kind": KIND,
            "date": self.date,
            "settings": {
                **self.config.load.plain(),
                **{name: getattr(self.config, name) for name in ("rounds", "threads", "plain_at_once")},
                "bundle": str(self.config.bundle),
            },
            "machine": machine_facts(),
            "turns": [
                {"round": turn.round, "system": turn.system, "levels": [level.plain() for level in turn.levels]}
                for turn in self.turns
            ],
            "ratios": {
                system: {f"{number:g}": self.ratios(system, number) for number in self.config.load.levels}
                for system in systems
            },
            "is_partial": self.is_partial,
        }


def run_against(config: AgainstConfig, *, on_line: Callable[[str], None] = lambda line: None) -> Against:
    """Runs all rounds. Ctrl-C ends it early, with what is known by then; no endpoint is left running.

    Raises:
        LoadError: when an endpoint does not start.
        AudioError: when the speech cannot be used.
    """
    sound = load_sound(config.load.speech, seconds=config.load.seconds)
    date = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    commands, turns, is_partial = config.commands(), [], False
    with tempfile.TemporaryDirectory(prefix="diffusiontalker-") as folder:
        try:
            for number in range(1, config.rounds + 1):
                for system in list(commands) if number % 2 else list(commands)[::-1]:
                    on_line(f"round {number} of {config.rounds}: {system}")
                    turn, is_partial = _take_turn(
                        config, commands[system], sound, Path(folder) / "log", on_line, round=number, system=system
                    )
                    turns.append(turn)
                    if is_partial:
                        raise KeyboardInterrupt
        except KeyboardInterrupt:
            is_partial = True
    return Against(config=config, date=date, turns=turns, is_partial=is_partial)


def _take_turn(
    config: AgainstConfig,
    command: Callable[[int], list[str]],
    sound: Sound,
    log: Path,
    on_line: Callable[[str], None],
    *,
    round: int,
    system: str,
) -> tuple[Turn, bool]:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    server: ServerProcess
    with running(command(port), url=url, log=log) as server:
        result = run_load(
            dataclasses.replace(config.load, url=url), sound=sound, on_line=on_line, server_cpu_s=server.cpu_s
        )
    return Turn(round=round, system=system, levels=result.levels), result.is_partial


def against_table(against: Against) -> str:
    """Medians over the rounds for people, and how they compare with plain FastAPI."""
    lines = [
        f"{'workers':>8} {'endpoint':<18} {'answered/s':>10} {'p50 ms':>8} {'p99 ms':>8} {'CPU ms':>8} | over plain "
        f"FastAPI, median (least to most) of {against.config.rounds} rounds"
    ]
    for number in against.config.load.levels:
        for system in against.config.commands():
            level = against.level(system, number)
            if level is None:
                continue
            latency = ("-", "-") if level.latency is None else (f"{level.latency.p50:.1f}", f"{level.latency.p99:.1f}")
            cpu = "-" if level.server_cpu_ms is None else f"{level.server_cpu_ms:.1f}"
            told = "" if system == PLAIN else _told(against.ratios(system, number))
            problems = ", ".join(f"{code} {count}" for code, count in sorted(level.errors.items()))
            lines.append(
                f"{number:8g} {system:<18} {level.throughput:10.1f} {latency[0]:>8} {latency[1]:>8} {cpu:>8} | {told}"
                f"{'; failed: ' + problems if problems else ''}"
            )
    if against.is_partial:
        lines.append("interrupted: not all rounds are complete")
    return "\n".join(lines)


def _told(ratios: Mapping[str, Sequence[float]]) -> str:
    labels = {"throughput": "throughput", "p99": "p99", "server_cpu_ms": "CPU"}
    return ", ".join(
        f"{label} {statistics.median(ratios[name]):.2f} ({min(ratios[name]):.2f} to {max(ratios[name]):.2f})"
        for name, label in labels.items()
        if ratios[name]
    )


def _median_level(levels: Sequence[Level]) -> Level:
    latencies = [level.latency for level in levels if level.latency is not None]
    cpu = [level.server_cpu_ms for level in levels if level.server_cpu_ms is not None]
    errors = {code: sum(level.errors.get(code, 0) for level in levels) for level in levels for code in level.errors}
    latency = None
    if latencies:
        names = [field.name for field in dataclasses.fields(latencies[0])]
        latency = type(latencies[0])(
            **{name: statistics.median(getattr(one, name) for one in latencies) for name in names}
        )
    return dataclasses.replace(
        levels[0],
        throughput=statistics.median(level.throughput for level in levels),
        audio_s_per_s=statistics.median(level.audio_s_per_s for level in levels),
        client_cpu_share=statistics.median(level.client_cpu_share for level in levels),
        server_cpu_ms=statistics.median(cpu) if cpu else None,
        latency=latency,
        errors=errors,
    )


def _quantity(level: Level, name: str) -> float | None:
    if name in ("p50", "p99"):
        return None if level.latency is None else getattr(level.latency, name)
    return getattr(level, name)
