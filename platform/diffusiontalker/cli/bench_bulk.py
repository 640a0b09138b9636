"""`bench bulk`."""

import dataclasses
import itertools
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tyro.conf import Positional

from diffusiontalker.cli.verb import EngineName, UsageError, Verb, say, working

_LOOP = """
import sys
from pathlib import Path
from diffusiontalker.audio.waveform import read_waveform
from diffusiontalker.face import write_motion
from diffusiontalker.inference import animate, load_bundle
bundle, source, out = load_bundle(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3])
for path in sorted(source.iterdir()):
    write_motion(animate(bundle, read_waveform(path)), out / f"{path.stem}.csv")
"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class BenchBulk(Verb):
    """Measures what bulk animation saves against a loop of `animate` calls in one process.

    Both are started from nothing, read the same files and write the same CSV; the start of Python, Ray and the actors
    counts, and so does the bundle's loading.

    Examples:
        diffusiontalker bench bulk recordings --bundle runs/grid_student/bundle
    """

    recordings: Positional[Path]
    """Folder of wav, flac, ogg or mp3; used over and over if there are fewer than --clips."""
    bundle: Path
    """The student."""
    clips: int = 1000
    """Recordings that are animated."""
    engine: EngineName = "auto"
    """What computes in the bulk animation; in the loop it is auto."""
    actors: int = 0
    """Processes of the bulk animation; 0: one for each core."""
    repeats: int = 1
    """Rounds, each of a loop and a bulk animation; the median counts."""

    def run(self) -> None:
        """Animates into a temporary folder, prints a table."""
        if min(self.clips, self.repeats) < 1 or self.actors < 0:
            raise UsageError(f"--clips {self.clips} --repeats {self.repeats} --actors {self.actors}: too few")
        from diffusiontalker.data import list_recordings

        found = [Path(recording.uri) for recording in list_recordings(str(self.recordings))]
        rows: dict[str, list[float]] = {"loop": [], "bulk": [], "bulk, animating": []}
        with tempfile.TemporaryDirectory(prefix="diffusiontalker-") as name, working("animating"):
            folder = Path(name)
            (folder / "speech").mkdir()
            for number, path in enumerate(itertools.islice(itertools.cycle(found), self.clips)):
                (folder / "speech" / f"{number:06d}{path.suffix}").symlink_to(path)
            for _ in range(self.repeats):
                rows["loop"].append(self._loop(folder))
                total, animating = self._bulk(folder)
                rows["bulk"].append(total)
                rows["bulk, animating"].append(animating)
        seconds = {name: statistics.median(values) for name, values in rows.items()}
        say(f"{'':16} {'seconds':>8} {'clips/s':>8} {'of the loop':>12}")
        for name, value in seconds.items():
            say(f"{name:16} {value:8.1f} {self.clips / value:8.1f} {seconds['loop'] / value:12.2f}")

    def _loop(self, folder: Path) -> float:
        begin = time.perf_counter()
        self._run("-c", _LOOP, self.bundle, folder / "speech", folder / "loop")
        seconds = time.perf_counter() - begin
        shutil.rmtree(folder / "loop")
        return seconds

    def _bulk(self, folder: Path) -> tuple[float, float]:
        """Seconds in all, and of them those in which actors were at work."""
        job = (
            "import sys; from diffusiontalker.orchestration import AnimateJobConfig, run_animate_job, run_job; "
            "sys.exit(run_job(AnimateJobConfig, run_animate_job, sys.argv[1:], description=''))"
        )
        begin = time.perf_counter()
        self._run(
            *("-c", job, "--recordings", folder / "speech", "--bundle", self.bundle, "--out", folder / "bulk"),
            *("--orchestration.num-actors", self.actors, "--engine", self.engine),
        )
        seconds = time.perf_counter() - begin
        summary = json.loads((folder / "bulk" / "summary.json").read_text())
        if summary["finished"] != self.clips:
            raise UsageError(f"{summary['failed']} recordings could not be animated; give others")
        shutil.rmtree(folder / "bulk")
        return seconds, summary["this_start"]["wall_s"]

    @staticmethod
    def _run(*arguments: object) -> None:
        ended = subprocess.run([sys.executable, *map(str, arguments)], capture_output=True, text=True, check=False)
        if ended.returncode:
            raise UsageError(f"a run failed:\n{ended.stderr[-2000:]}")
