"""CPU time is told by what it was used for; the age of a process grows with the clock."""

import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from diffusiontalker.serving.process_times import age_s, cpu_seconds

pytestmark = pytest.mark.skipif(not Path("/proc/self/schedstat").exists(), reason="needs /proc of Linux")
WORK_S = 0.15


def burn() -> None:
    begin = time.thread_time()
    while time.thread_time() - begin < WORK_S:
        pass


def added(work: Callable[[], None]) -> dict[str, float]:
    before = cpu_seconds()
    work()
    return {part: seconds - before.get(part, 0.0) for part, seconds in cpu_seconds().items()}


def beside(name: str) -> dict[str, float]:
    """What a thread of that name used, asked while it lives."""
    is_done, may_end = threading.Event(), threading.Event()

    def work() -> None:
        burn()
        is_done.set()
        may_end.wait(30.0)

    thread = threading.Thread(target=work, name=name)
    try:

        def watched() -> None:
            thread.start()
            assert is_done.wait(30.0)

        return added(watched)
    finally:
        may_end.set()
        thread.join()


def test_the_thread_that_asks_is_the_event_loop() -> None:
    assert added(burn)["event_loop"] == pytest.approx(WORK_S, abs=0.05)


@pytest.mark.parametrize(("name", "part"), [("batch_0", "batches"), ("streams", "streams"), ("asyncio_3", "rest")])
def test_threads_are_told_apart_by_their_names(name: str, part: str) -> None:
    found = beside(name)
    assert found[part] == pytest.approx(WORK_S, abs=0.05)
    assert all(found.get(other, 0.0) < 0.1 for other in {"batches", "streams", "rest"} - {part})


def test_decoders_count_while_they_run_and_when_they_have_ended() -> None:
    program = "import time\nwhile time.process_time() < 0.3: pass\nprint('done', flush=True)\ninput()"
    before = cpu_seconds()["decoders"]
    child = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert child.stdout is not None
    child.stdout.readline()
    running = cpu_seconds((child.pid,))["decoders"] - before
    child.communicate(b"\n")
    assert running == pytest.approx(0.3, abs=0.1)
    assert cpu_seconds()["decoders"] - before >= running - 0.02
    assert cpu_seconds((child.pid,))["decoders"] == cpu_seconds()["decoders"]


def test_a_process_ages_with_the_clock() -> None:
    first, begin = age_s(), time.monotonic()
    while time.monotonic() - begin < 0.05:
        pass
    second = age_s()
    assert first is not None
    assert second is not None
    assert 0.0 < first < second
    assert second - first == pytest.approx(time.monotonic() - begin, abs=0.05)
