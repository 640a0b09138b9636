"""`bench submission`."""

import dataclasses
import statistics
from pathlib import Path

from diffusiontalker.cli.verb import UsageError, Verb, progress, say


@dataclasses.dataclass(frozen=True, kw_only=True)
class BenchSubmission(Verb):
    """Measures how long a submitted training takes to its first step.

    Submits `jobs/train_teacher.py` of a checkout to a running cluster, waits for the first step, stops the job; again
    and again. What it leaves are the run folders below --out.

    Examples:
        diffusiontalker bench submission --corpus SHARED/corpus --out SHARED/timed
        diffusiontalker bench submission --corpus s3://bucket/corpus --out s3://bucket/timed --workers 2
    """

    corpus: str
    """Corpus to train on: a folder or URL that every node sees."""
    out: str
    """Gets the run folders: a folder or URL that every node and this machine see."""
    address: str = "http://127.0.0.1:8265"
    """The cluster's dashboard."""
    checkout: Path = Path()
    """What is uploaded."""
    workers: int = 1
    """Ranks."""
    repeats: int = 3
    """Jobs, one after the other; the median counts."""

    def run(self) -> None:
        """Submits, prints a table."""
        job, runtime_env = (self.checkout / "jobs" / name for name in ("train_teacher.py", "runtime_env.yaml"))
        for path in (job, runtime_env):
            if not path.is_file():
                raise UsageError(f"--checkout {self.checkout}: expected a checkout of this project, no {path} there")
        if min(self.workers, self.repeats) < 1:
            raise UsageError(f"--workers {self.workers} --repeats {self.repeats}: expected at least 1")
        from diffusiontalker.orchestration.submission import time_submission
        from diffusiontalker.storage import absolute_uri

        found = []
        with progress("submitting") as report:
            for number in range(self.repeats):
                report(number, self.repeats)
                out_uri = f"{absolute_uri(self.out)}/{number}"
                entrypoint = [
                    *("python", "jobs/train_teacher.py", "--out", out_uri, "--regression-steps", "0"),
                    *("--corpus.source", "corpus", "--corpus.uri", absolute_uri(self.corpus)),
                    *("--training.log-every", "1", "--orchestration.num-workers", str(self.workers)),
                ]
                found.append(
                    time_submission(
                        self.address, entrypoint, out_uri=out_uri, working_dir=self.checkout, runtime_env=runtime_env
                    )
                )
        say(f"{'seconds since the submission':30} {'median':>8} {'fastest':>8} {'slowest':>8}")
        for name, text in (("accepted_s", "accepted"), ("driver_s", "driver at work"), ("first_step_s", "first step")):
            seconds = [getattr(one, name) for one in found]
            say(f"{text:30} {statistics.median(seconds):8.1f} {min(seconds):8.1f} {max(seconds):8.1f}")
