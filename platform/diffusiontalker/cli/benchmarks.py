"""`bench`: measurements that the documentation quotes, for this machine."""

import dataclasses
import json
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from tyro.conf import arg

from diffusiontalker.cli.benchmark import keep_result, tell
from diffusiontalker.cli.verb import OptionalPath, OptionalText, UsageError, Verb, say, working
from diffusiontalker.config import publish_directory, require_new

if TYPE_CHECKING:
    from diffusiontalker.load import LoadConfig

_WORKERS, _CURVE_WORKERS = (1, 4, 16), (1, 2, 4, 8, 16, 32)
_ROUNDS, _CURVE_ROUNDS = 3, 5
_SHARED, _ANEW = "paths ready-made (a trial)", "paths taken anew in every step"


@dataclasses.dataclass(frozen=True, kw_only=True)
class BenchSearch(Verb):
    """Measures what a search saves by asking the teacher once for all trials.

    One student is trained in four ways, in turns. From the teacher's ready-made paths, as trials are; from the same
    paths, taken anew in every step; and as a distillation's halving is, whose teacher takes two steps for every target,
    with its speech features computed once per training, or in every step.

    Examples:
        diffusiontalker bench search --bundle runs/grid_teacher/bundle --corpus runs/grid_teacher/corpus
    """

    bundle: str
    """The teacher: a folder or URL."""
    corpus: str
    """Corpus to distil on: a folder or URL."""
    size: Literal["base", "small", "nano"] = "nano"
    """Student that is trained."""
    trial_steps: int = 400
    """Training steps of one trial, for the totals."""
    trials: int = 12
    """Trials that share the teacher's work, for the totals."""
    rounds: int = 20
    """Timed steps of each way."""
    paths_per_clip: int = 2
    """Windows of every training clip on which the teacher's path is taken."""
    threads: int = 1
    """CPU threads, as a trial has them."""

    def run(self) -> None:
        """Records paths into a temporary folder, times the three ways, prints a table."""
        for name in ("trial_steps", "trials", "rounds", "paths_per_clip", "threads"):
            if getattr(self, name) < 1:
                raise UsageError(f"--{name.replace('_', '-')} {getattr(self, name)}: expected at least 1")
        import torch

        from diffusiontalker.data import Corpus
        from diffusiontalker.inference import load_bundle
        from diffusiontalker.models import STUDENT_SIZES
        from diffusiontalker.storage import absolute_uri
        from diffusiontalker.training import (
            DistillationObjectiveConfig,
            TimedTraining,
            TrainingConfig,
            record_teacher_paths,
            time_trainings,
        )

        torch.set_num_threads(self.threads)
        corpus = Corpus.open(self.corpus)
        teacher_steps = load_bundle(self.bundle).sampling.num_steps
        asked = DistillationObjectiveConfig(
            teacher=absolute_uri(self.bundle), student_steps=2, condition_dropout=0.0, precompute=False
        )
        with_features = dataclasses.replace(asked, precompute=True)
        training = TrainingConfig(talker=STUDENT_SIZES[self.size], objective=asked, batch_size=32)
        with tempfile.TemporaryDirectory(prefix="diffusiontalker-") as folder, working("measuring"):
            begin = time.perf_counter()
            recording = dataclasses.replace(training, objective=with_features)
            record_teacher_paths(recording, corpus, Path(folder), states=2, per_clip=self.paths_per_clip)
            recording_s = time.perf_counter() - begin
            ways = {
                _SHARED: TimedTraining(
                    config=dataclasses.replace(training, objective=dataclasses.replace(asked, paths=folder))
                ),
                _ANEW: TimedTraining(config=training, walk_steps=teacher_steps),
                "two teacher steps, features ready": TimedTraining(config=recording),
                "two teacher steps": TimedTraining(config=training),
            }
            times = time_trainings(ways, corpus, rounds=self.rounds)
        shared = times[_SHARED].total_s(self.trial_steps)
        say(f"{'':34} {'prepare (s)':>12} {'step (s)':>9} {'trial (s)':>10} {'times':>6}")
        for name, taken in times.items():
            total = taken.total_s(self.trial_steps)
            say(f"{name:34} {taken.preparation_s:12.1f} {taken.step_s:9.3f} {total:10.1f} {total / shared:6.2f}")
        everything = recording_s + self.trials * shared
        plain = self.trials * times[_ANEW].total_s(self.trial_steps)
        say(
            f"taking the paths once: {recording_s:.1f} s; {self.trials} trials of {self.trial_steps} steps: "
            f"{everything:.0f} s with it, {plain:.0f} s with paths taken anew, {plain / everything:.2f} times"
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class BenchServe(Verb):
    """Puts load on an endpoint and measures latencies, throughput and the lag of live streams.

    Three kinds of load. closed: each of N workers sends its next recording when its last is answered. open: N requests
    a second arrive at random whether or not earlier ones are answered, and latencies count from the instant they should
    have been sent. streams: N live streams in real time, in chunks of 33 ms; a frame's lag counts from the sending of
    the last sample that it needs. Ctrl-C ends a run early and keeps what is known by then.

    Examples:
        diffusiontalker bench serve --concurrency 1 4 16 --out load
        diffusiontalker bench serve --mode open --rates 5 10 20 --speech recordings --voice anna-1f0c9a2b
        diffusiontalker bench serve --mode streams --streams 4 --find-max --target-ms 100
        diffusiontalker bench serve --against-plain --bundle runs/demo_student/bundle --out against
        diffusiontalker bench serve --curves --out runs/bench/serve
        diffusiontalker bench serve --compare before/load.json after/load.json
        diffusiontalker bench serve --compare before/serve.json after/serve.json
    """

    url: str = "http://127.0.0.1:8000"
    """The endpoint."""
    key: OptionalText = None
    """Bearer key, where the endpoint asks for one."""
    allow_remote: bool = False
    """Let the endpoint be another machine, which you may put load on."""
    mode: Literal["closed", "open", "streams"] = "closed"
    """Kind of load."""
    concurrency: tuple[int, ...] = ()
    """Workers, one level after another, in mode closed; by default 1 4 16, with --curves 1 2 4 8 16 32."""
    rates: tuple[float, ...] = (1.0, 4.0, 16.0)
    """Requests per second, likewise, in mode open."""
    streams: tuple[int, ...] = (1, 4, 16)
    """Live streams, likewise, in mode streams."""
    speech: OptionalPath = None
    """Folder of speech to send: wav, flac, ogg, mp3, subfolders included; by default a made-up signal."""
    seconds: float = 3.0
    """Length of a recording."""
    voice: str = "none"
    """Voice or speaker to ask for; none: the audio's own; reference: a recording is sent along with each request."""
    format: Literal[
        "csv", "json", "ndjson", "npz", "parquet", "arrow", "glb", "usda", "usdc", "livelink", "beat", "a2f"
    ] = "npz"
    """Of the answers; live frames are always binary."""
    duration: float = 10.0
    """Measured seconds of a level."""
    warm_up: float = 2.0
    """Seconds before them that are not counted."""
    timeout: float = 30.0
    """Seconds after which a request has failed."""
    seed: int = 0
    """Decides when requests arrive and how streams are staggered."""
    find_max: bool = False
    """Search, from the first level on, for the largest whose 99th percentile is below the target; a level that misses
    it is tried a second time, as other work on the machine is no limit of the endpoint."""
    target_ms: float = 100.0
    """That target."""
    most: int = 256
    """Where that search ends."""
    out: OptionalPath = None
    """Folder for load.json and load.png, with --curves for serve.json, page.md and pictures, which does not exist yet;
    none by default."""
    page: OptionalPath = None
    """With --curves: file for the page alone, as in docs/benchmarks, which does not exist yet; none by default."""
    compare: Annotated[tuple[Path, Path] | None, arg(metavar="A.json B.json")] = None
    """Measure nothing, but print the ratios between two results."""
    against_plain: bool = False
    """Start endpoints of a bundle in turns: this package's, and what one would write instead with FastAPI."""
    curves: bool = False
    """Start endpoints and measure what more and more load does to their batches, queues and CPUs, what of their time is
    not the model's, and how soon they are ready."""
    bundle: OptionalPath = None
    """Folder of that bundle; with --curves by default untrained students of two sizes, which cost the same."""
    rounds: int = 0
    """Turns of each of these endpoints; by default 3, the least, with --curves 5."""
    ray: bool = False
    """Let this package's endpoint on Ray Serve have its turns, too."""
    threads: int = 0
    """CPU threads of one computation in these endpoints; 0: one for every core."""
    plain_at_once: int = 0
    """Requests that plain FastAPI computes at once; 0: the 40 of its thread pool."""

    def run(self) -> None:
        """Measures, prints a table, writes the folder."""
        from diffusiontalker.load import load_png, run_load, table

        if self.compare is not None:
            say(_compared(*self.compare))
            return
        for name, path in (("out", self.out), ("page", self.page)):
            if path is not None:
                require_new(path, remedy=f"choose another --{name}")
        if self.against_plain and self.curves:
            raise UsageError("--against-plain and --curves: two measurements; give one of them")
        if self.curves and self.key is not None:
            raise UsageError("--key is for a running endpoint; --curves starts its own, which asks for none")
        if self.page is not None and not self.curves:
            raise UsageError("--page is for --curves; add it, or leave --page out")
        if self.against_plain:
            self._run_against()
            return
        if self.curves:
            self._run_curves()
            return
        if self.bundle is not None or self.ray or self.rounds:
            raise UsageError(
                "--bundle, --ray and --rounds are for --against-plain and --curves; add one of them, or give --url of "
                "a running endpoint"
            )
        result = run_load(self._config(_WORKERS), on_line=tell)
        say(table(result))
        self._write(result.plain(), load_png(result) if self.out else None)
        if result.is_partial:
            raise KeyboardInterrupt

    def _run_against(self) -> None:
        from diffusiontalker.load import AgainstConfig, against_png, against_table, run_against

        if self.bundle is None:
            raise UsageError("--against-plain starts endpoints itself; give the --bundle that they serve")
        rounds = self._rounds(_ROUNDS)
        from diffusiontalker.inference import load_bundle

        load_bundle(self.bundle)
        config = AgainstConfig(
            load=self._config(_WORKERS),
            bundle=self.bundle.resolve(),
            rounds=rounds,
            with_ray=self.ray,
            threads=self.threads,
            plain_at_once=self.plain_at_once,
        )
        against = run_against(config, on_line=tell)
        say(against_table(against))
        self._write(against.plain(), against_png(against) if self.out else None)
        if against.is_partial:
            raise KeyboardInterrupt

    def _run_curves(self) -> None:
        rounds, load = self._rounds(_CURVE_ROUNDS), self._config(_CURVE_WORKERS)
        from diffusiontalker.benchmarks.serving import measure_serving, served_bundles
        from diffusiontalker.load import CurvesConfig

        with served_bundles(self.bundle) as bundles:
            config = CurvesConfig(load=load, bundles=bundles, rounds=rounds, with_ray=self.ray, threads=self.threads)
            result = measure_serving(config, on_line=tell)
        keep_result(result, out=self.out, page=self.page)

    def _rounds(self, default: int) -> int:
        rounds = self.rounds or default
        if rounds < _ROUNDS:
            raise UsageError(
                f"--rounds {rounds}: expected at least {_ROUNDS}, as one machine differs from minute to minute"
            )
        return rounds

    def _config(self, workers: tuple[int, ...]) -> "LoadConfig":
        from diffusiontalker.load import LoadConfig

        levels: dict[str, tuple[float, ...]] = {
            "closed": self.concurrency or workers,
            "open": self.rates,
            "streams": self.streams,
        }
        return LoadConfig(
            url=self.url,
            key=self.key,
            allow_remote=self.allow_remote,
            mode=self.mode,
            levels=levels[self.mode],
            speech=self.speech,
            seconds=self.seconds,
            voice=self.voice,
            motion_format=self.format,
            duration_s=self.duration,
            warm_up_s=self.warm_up,
            timeout_s=self.timeout,
            seed=self.seed,
            find_max=self.find_max,
            target_ms=self.target_ms,
            most=self.most,
        )

    def _write(self, content: dict[str, Any], png: bytes | None) -> None:
        if self.out is None:
            return
        with publish_directory(self.out) as temporary:
            text = json.dumps(content, indent=2, ensure_ascii=False)
            (temporary / "load.json").write_text(text + "\n", encoding="utf-8")
            if png is not None:
                (temporary / "load.png").write_bytes(png)
        say(f"wrote {self.out}: load.json{' and load.png' if png is not None else ''}")


def _compared(first: Path, second: Path) -> str:
    """Of two results of one kind: those of `--curves` are a benchmark's."""
    if _is_benchmark(first) and _is_benchmark(second):
        from diffusiontalker.benchmarks import comparison, read_result

        return comparison(*map(read_result, (first, second)))
    from diffusiontalker import load

    return load.comparison(*map(load.read_result, (first, second)))


def _is_benchmark(path: Path) -> bool:
    """Whether it is to be read as one; whoever reads it says what is wrong with it."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(content, dict) and "benchmark" in content
