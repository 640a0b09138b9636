"""`bench corpus`."""

import csv
import dataclasses
import tempfile
import time
from pathlib import Path

from diffusiontalker.cli.verb import OptionalPath, UsageError, Verb, say, working

_FEWEST_CLIPS = 1000


@dataclasses.dataclass(frozen=True, kw_only=True)
class BenchCorpus(Verb):
    """Measures how import and training cope with many clips: time and peak memory.

    Makes tiny recordings (half a second of a tone that opens the jaw), imports them with as many actors as there are
    cores, and trains on the corpus, streamed. With memory that is bounded, ten times the clips take no more of it.

    Examples:
        diffusiontalker bench corpus --clips 5000 50000
    """

    clips: tuple[int, ...] = (5_000, 50_000)
    """Numbers of clips."""
    steps: int = 30
    """Training steps, of 64 windows each."""
    folder: OptionalPath = None
    """Where recordings and corpora are made and left, about 1.5 GB for 50,000 clips; by default they are removed."""

    def run(self) -> None:
        """Prints a row for each number."""
        if min(self.clips) < _FEWEST_CLIPS or self.steps < 2:
            raise UsageError(
                f"--clips {min(self.clips)} --steps {self.steps}: expected at least {_FEWEST_CLIPS} clips and 2 steps"
            )
        say(
            f"{'clips':>8} {'import (s)':>11} {'clips/s':>8} {'this process (MB)':>18} {'with Ray (MB)':>14} "
            f"{'train: first step (s)':>22} {'windows/s':>10} {'process (MB)':>13}"
        )
        with tempfile.TemporaryDirectory(prefix="diffusiontalker-") as temporary:
            for number in self.clips:
                self._measure(number, (self.folder or Path(temporary)) / str(number))

    def _measure(self, number: int, folder: Path) -> None:
        from diffusiontalker.data import Corpus, ReadingConfig
        from diffusiontalker.orchestration.import_job import ImportJobConfig, run_import_job
        from diffusiontalker.orchestration.memory import peak_memory
        from diffusiontalker.training import TrainingConfig, train

        with working(f"making {number} recordings"):
            _make_recordings(folder / "recordings", number)
        with peak_memory() as of_import:
            begin = time.perf_counter()
            run_import_job(ImportJobConfig(recordings=str(folder / "recordings")), out=folder / "run")
            import_s = time.perf_counter() - begin
        config = TrainingConfig(num_steps=self.steps, log_every=1, reading=ReadingConfig(memory_gb=0.0))
        steps = _Steps()
        with peak_memory() as of_training, working("training"):
            train(config, Corpus.open(folder / "run" / "corpus"), telemetry=steps)
        say(
            f"{number:8} {import_s:11.1f} {number / import_s:8.0f} {of_import.own_mb:18.0f} {of_import.all_mb:14.0f} "
            f"{steps.first_s:22.1f} {steps.rate(config.batch_size):10.1f} {of_training.own_mb:13.0f}"
        )


class _Steps:
    """Notes when steps are done."""

    def __init__(self) -> None:
        self._begin = time.perf_counter()
        self._done: list[float] = []

    def log(self, step: int, values: dict[str, float]) -> None:
        self._done.append(time.perf_counter())

    def close(self) -> None:
        pass

    @property
    def first_s(self) -> float:
        return self._done[0] - self._begin

    def rate(self, batch_size: int) -> float:
        """Windows a second after the first step."""
        return batch_size * (len(self._done) - 1) / max(1e-9, self._done[-1] - self._done[0])


def _make_recordings(folder: Path, number: int) -> None:
    """A folder corpus whose every clip is another one."""
    import numpy as np

    from diffusiontalker.audio import SAMPLE_RATE_HZ
    from diffusiontalker.audio.waveform import encode_flac
    from diffusiontalker.face import MotionClip, encode_motion

    generator = np.random.default_rng(0)
    seconds, frames = np.arange(SAMPLE_RATE_HZ // 2) / SAMPLE_RATE_HZ, np.arange(13) / 25.0
    names = ("jawOpen", "mouthFunnel", "mouthSmileLeft", "mouthSmileRight")
    rows = []
    for clip in range(number):
        speaker, rate, phase = clip * 20 // number, generator.uniform(2.0, 5.0), generator.uniform(0.0, 6.28)
        place = folder / f"speaker{speaker}"
        place.mkdir(parents=True, exist_ok=True)
        loudness = 0.5 + 0.5 * np.sin(2 * np.pi * rate * seconds + phase)
        tone = np.sin(2 * np.pi * (120 + 10 * speaker) * seconds)
        (place / f"{clip}.flac").write_bytes(encode_flac((0.3 * loudness * tone).astype(np.float32)))
        opening = 0.25 + 0.25 * np.sin(2 * np.pi * rate * frames + phase)
        coefficients = np.stack([opening, 0.3 * opening, *generator.uniform(0.0, 0.2, (2, 1)) + 0 * frames], axis=1)
        motion = MotionClip(coefficients=coefficients, fps=25.0, channel_names=names)
        (place / f"{clip}.csv").write_bytes(encode_motion(motion, "csv"))
        split = "train" if clip % 50 else "test"
        name = f"speaker{speaker}/{clip}"
        rows.append((f"clip{clip}", f"{name}.flac", f"{name}.csv", f"speaker{speaker}", "neutral", 25, split))
    with (folder / "manifest.csv").open("w", newline="", encoding="utf-8") as stream:
        table = csv.writer(stream)
        table.writerow(("clip_id", "audio", "motion", "speaker", "emotion", "fps", "split"))
        table.writerows(rows)
