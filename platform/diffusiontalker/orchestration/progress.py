"""From the workers to the terminal: training figures travel through a Ray queue to the process that started the run.

Only that process writes `metrics.jsonl` and TensorBoard, so workers may run on machines that do not see the run folder.
"""

import dataclasses
import logging
import threading
import time
from types import TracebackType

import ray
from ray.util.queue import Queue
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from diffusiontalker.orchestration.bulk_progress import clock
from diffusiontalker.training import Telemetry

logger = logging.getLogger(__name__)

_POLL_SECONDS = 0.5
_LINE_SECONDS = 5.0


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Span:
    """The part that one training is of a longer job: what its lines are called, and how its steps are counted."""

    title: str
    """Begins every line."""
    steps_before: int = 0
    """Training steps of the job before this training."""
    steps_in_all: int = 0
    """Training steps of the whole job; 0: this training is the whole job."""


class QueueTelemetry:
    """The worker's end: a telemetry sink that sends every row to the driver."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue

    def log(self, step: int, values: dict[str, float]) -> None:
        """Sends one row; returns when the queue has it, so nothing is lost when the worker ends."""
        self._queue.put((step, values))

    def note(self, text: str) -> None:
        """Sends what people should know: a worker's own log stays on its machine."""
        self._queue.put((None, text))

    def close(self) -> None:
        """Nothing to close: the queue belongs to the driver."""


class TrainingMonitor:
    """The driver's end: moves rows from the queue into a sink and logs a progress line every few seconds.

    A context manager around the training; on exit the last rows are written and the sink is closed. Rows are written
    with the steps of the whole job, so that the trainings of a chain follow each other in one log.
    """

    def __init__(self, sink: Telemetry, *, span: Span, num_steps: int) -> None:
        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        self.queue = Queue(actor_options={"num_cpus": 0, "scheduling_strategy": here})
        self._sink = sink
        self._span = span
        self._line = ProgressLine(span=span, num_steps=num_steps)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="training-monitor", daemon=True)

    def __enter__(self) -> "TrainingMonitor":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()
        self._sink.close()
        self.queue.shutdown()

    def _follow(self) -> None:
        is_last = False
        while not is_last:
            is_last = self._ended.wait(_POLL_SECONDS)
            for step, values in self.queue.get_nowait_batch(self.queue.qsize()):
                if step is None:
                    logger.warning("%s: %s", self._span.title, values)
                    continue
                self._sink.log(self._span.steps_before + step, values)
                self._line.update(step, values, is_urgent=step >= self._line.num_steps)


class ProgressLine:
    """Logs where a training stands: step of steps, loss, remaining time; at most one line every few seconds."""

    def __init__(self, *, span: Span, num_steps: int) -> None:
        self.num_steps = num_steps
        self._span = span
        self._start: tuple[int, float] | None = None
        self._last_line_s = float("-inf")

    def update(self, step: int, values: dict[str, float], *, is_urgent: bool = False) -> None:
        """Takes the newest row; a step lower than before (a worker was replaced) restarts the clock."""
        now = time.monotonic()
        if self._start is None or step < self._start[0]:
            self._start = (step, now)
        if "train/loss" not in values or (now - self._last_line_s < _LINE_SECONDS and not is_urgent):
            return
        self._last_line_s = now
        logger.info(
            "%s: step %d of %d (%s), loss %.4f, %s",
            self._span.title,
            step,
            self.num_steps,
            self._share(step),
            values["train/loss"],
            self._remaining(step, now),
        )

    def _share(self, step: int) -> str:
        share = f"{100 * step // max(1, self.num_steps)} %"
        in_all = self._span.steps_in_all
        return f"{share}, of all steps {100 * (self._span.steps_before + step) // in_all} %" if in_all else share

    def _remaining(self, step: int, now: float) -> str:
        first_step, start_s = self._start or (step, now)
        if step >= self.num_steps:
            return "done"
        if step <= first_step:
            return "remaining time not known yet"
        seconds = (now - start_s) / (step - first_step) * (self.num_steps - step)
        return f"{clock(seconds)} remaining"
