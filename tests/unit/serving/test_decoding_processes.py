"""The processes that decode: killed when they hang, replaced when they die, gone when the server is."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from decoding_pools import limits_of, pool_of, refusal
from in_loop import eventually, in_loop
from sounds import encoded, tone

from diffusiontalker.audio.waveform import encode_flac
from diffusiontalker.serving import decoding
from diffusiontalker.serving.decode_process import DecodeProcess
from diffusiontalker.serving.decoding import DecodingConfig, DecodingPool

LIMITS = limits_of()
WAV = encoded(tone(1.5))


@in_loop
async def test_a_process_that_hangs_is_killed_and_replaced() -> None:
    async with pool_of(num_processes=1) as pool:
        await pool.start()
        (pid,) = pool.process_ids
        os.kill(pid, signal.SIGSTOP)
        error = await refusal(pool.decode(WAV, limits=limits_of(max_decode_seconds=0.1)))
        assert error.code == "too_large"
        assert "longer than 0.1 s" in error.message
        assert not Path(f"/proc/{pid}").exists()
        assert len(await pool.decode(WAV, limits=LIMITS)) == len(tone(1.5))
        counters = pool.counters
        assert (counters.timed_out, counters.crashed, counters.started) == (1, 0, 2)


@in_loop
async def test_processes_that_were_launched_are_those_that_decode() -> None:
    async with pool_of(num_processes=2) as pool:
        pool.launch()
        pids = set(pool.process_ids)
        assert len(pids) == 2
        for _ in range(2):
            assert len(await pool.decode(WAV, limits=LIMITS)) == len(tone(1.5))
        await pool.start()
        assert set(pool.process_ids) == pids
        assert pool.counters.started == 2


@in_loop
async def test_processes_that_were_launched_end_with_the_pool_used_or_not() -> None:
    async with pool_of(num_processes=2) as pool:
        pool.launch()
        pids = pool.process_ids
        await pool.decode(WAV, limits=LIMITS)
    assert not [pid for pid in pids if Path(f"/proc/{pid}").exists()]
    assert not pool.process_ids


@in_loop
async def test_a_process_that_died_after_its_launch_is_replaced() -> None:
    async with pool_of(num_processes=1) as pool:
        pool.launch()
        os.kill(pool.process_ids[0], signal.SIGKILL)
        assert (await refusal(pool.decode(WAV, limits=LIMITS))).code == "unavailable"
        assert len(await pool.decode(WAV, limits=LIMITS)) == len(tone(1.5))
        assert pool.counters.started == 2


@in_loop
async def test_a_process_that_dies_is_replaced_and_the_audio_is_tried_once_more(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with pool_of(num_processes=1) as pool:
        await pool.start()
        (pid,) = pool.process_ids
        os.kill(pid, signal.SIGKILL)
        assert len(await pool.decode(WAV, limits=LIMITS)) == len(tone(1.5))
        assert (pool.counters.crashed, pool.counters.started) == (1, 2)
        assert f"decoder process {pid} crashed on {len(WAV)} bytes: it ended with code -9" in caplog.text


@in_loop
async def test_audio_that_crashes_the_decoder_is_refused_after_a_second_try(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "soxr.py").write_text("import os\ndef ResampleStream(*_, **__): os.kill(os.getpid(), 11)\n")
    async with pool_of(num_processes=1) as pool:
        with monkeypatch.context() as patch:
            patch.syspath_prepend(tmp_path)
            error = await refusal(pool.decode(WAV, limits=LIMITS))
        assert error.code == "bad_audio"
        assert "the decoder crashed on it" in error.message
        assert (pool.counters.crashed, pool.counters.refused, pool.counters.started) == (2, 1, 2)
        assert len(await pool.decode(WAV, limits=LIMITS)) == len(tone(1.5))


@in_loop
async def test_an_error_nobody_thought_of_ends_the_process_and_the_log_says_where(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "soxr.py").write_text("def ResampleStream(*_, **__): raise KeyError('a bug')\n")
    async with pool_of(num_processes=1) as pool:
        with monkeypatch.context() as patch:
            patch.syspath_prepend(tmp_path)
            error = await refusal(pool.decode(WAV, limits=LIMITS))
        assert error.code == "bad_audio"
        assert "KeyError: 'a bug'" in caplog.text
        assert str(tmp_path) not in error.message


@in_loop
async def test_when_too_many_wait_callers_are_told_when_to_come_back() -> None:
    async with pool_of(num_processes=1, max_queued=2) as pool:
        await pool.start()
        os.kill(pool.process_ids[0], signal.SIGSTOP)
        accepted = [asyncio.create_task(pool.decode(WAV, limits=LIMITS)) for _ in range(3)]
        await eventually(lambda: pool._num_waiting == 2)
        error = await refusal(pool.decode(WAV, limits=LIMITS))
        assert error.code == "busy"
        assert error.retry_after_s is not None
        assert 0.5 <= error.retry_after_s <= 30.0
        accepted[1].cancel()  # Makes room in the queue.
        await eventually(lambda: pool._num_waiting == 1)
        accepted.append(asyncio.create_task(pool.decode(WAV, limits=LIMITS)))
        os.kill(pool.process_ids[0], signal.SIGCONT)
        results = await asyncio.gather(*accepted, return_exceptions=True)
        assert [isinstance(result, asyncio.CancelledError) for result in results] == [False, True, False, False]
        assert (pool.counters.turned_away, pool.counters.decoded) == (1, 3)


@in_loop
async def test_a_caller_that_leaves_does_not_cost_a_process() -> None:
    async with pool_of(num_processes=1) as pool:
        await pool.start()
        for content in (WAV, b"no audio"):
            os.kill(pool.process_ids[0], signal.SIGSTOP)
            caller = asyncio.create_task(pool.decode(content, limits=LIMITS))
            await eventually(lambda: len(pool._running) == 1)
            caller.cancel()
            os.kill(pool.process_ids[0], signal.SIGCONT)
            await eventually(lambda: not pool._running)
            with pytest.raises(asyncio.CancelledError):
                await caller
        assert len(await pool.decode(WAV, limits=LIMITS)) == len(tone(1.5))
        assert pool.counters.started == 1


@in_loop
async def test_closing_ends_processes_and_answers_everybody() -> None:
    pool = DecodingPool(DecodingConfig(num_processes=2, max_queued=8))
    await pool.start()
    pids = pool.process_ids
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    callers = [asyncio.create_task(pool.decode(WAV, limits=LIMITS)) for _ in range(5)]
    await eventually(lambda: pool._num_waiting == 3)
    await pool.close()
    for caller in [*callers, asyncio.create_task(pool.decode(WAV, limits=LIMITS))]:
        assert (await refusal(caller)).code == "unavailable"
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)
    await pool.close()


@in_loop
async def test_closing_while_processes_start_leaves_none_behind() -> None:
    pool = DecodingPool(DecodingConfig(num_processes=2))
    starting = asyncio.create_task(pool.start())
    decoding = asyncio.create_task(pool.decode(WAV, limits=LIMITS))
    await eventually(lambda: pool.process_ids != ())
    pids = pool.process_ids
    await pool.close()
    assert {(await refusal(task)).code for task in (starting, decoding)} == {"unavailable"}
    assert pool.process_ids == ()
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)


@in_loop
async def test_closing_waits_for_a_process_that_is_only_being_made(monkeypatch: pytest.MonkeyPatch) -> None:
    made = list[DecodeProcess]()

    class SlowSecond(DecodeProcess):
        def __init__(self, **options: int) -> None:
            made.append(self)
            if len(made) == 2:
                time.sleep(0.5)
            super().__init__(**options)

    monkeypatch.setattr(decoding, "DecodeProcess", SlowSecond)
    pool = DecodingPool(DecodingConfig(num_processes=2))
    starting = asyncio.create_task(pool.start())
    await eventually(lambda: pool.process_ids != ())
    await pool.close()
    assert (await refusal(starting)).code == "unavailable"
    assert pool.process_ids == ()
    assert not any(Path(f"/proc/{process.pid}").exists() for process in made)


@in_loop
async def test_processes_hold_neither_torch_nor_secrets_nor_the_right_to_write(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hunter2")
    async with pool_of(num_processes=1) as pool:
        await pool.decode(WAV, limits=LIMITS)
        process = Path(f"/proc/{pool.process_ids[0]}")
        assert "torch" not in (process / "maps").read_text()
        assert b"hunter2" not in (process / "environ").read_bytes()
        limits = (process / "limits").read_text()
        for name in ("Max file size", "Max core file size"):
            assert next(line for line in limits.splitlines() if line.startswith(name)).split()[-3:-1] == ["0", "0"]
        assert next(line for line in limits.splitlines() if line.startswith("Max address space")).split()[-2].isdigit()
        assert len(list((process / "fd").iterdir())) <= 5


@in_loop
async def test_processes_end_when_the_server_is_killed() -> None:
    code = (
        "import asyncio, os\n"
        "from diffusiontalker.serving.decoding import DecodingPool\n"
        "async def main():\n"
        "    pool = DecodingPool()\n"
        "    await pool.start()\n"
        "    print(*pool.process_ids, flush=True)\n"
        "    os.kill(os.getpid(), 9)\n"
        "asyncio.run(main())\n"
    )
    server = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert server.returncode == -signal.SIGKILL
    pids = server.stdout.split()
    assert len(pids) == 2

    def has_ended(pid: str) -> bool:
        try:
            return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
        except (FileNotFoundError, ProcessLookupError):
            return True

    await eventually(lambda: all(has_ended(pid) for pid in pids))


@in_loop
async def test_a_process_that_cannot_start_is_unavailable_and_the_log_says_why(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "soundfile.py").write_text("raise ImportError('no libsndfile here')")
    monkeypatch.syspath_prepend(tmp_path)
    async with pool_of(num_processes=1) as pool:
        for action in (pool.decode(WAV, limits=LIMITS), pool.start()):
            error = await refusal(action)
            assert error.code == "unavailable"
            assert "libsndfile" not in error.message
        assert "no libsndfile here" in caplog.text
        assert pool.process_ids == ()


@in_loop
async def test_processes_are_replaced_after_many_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("diffusiontalker.serving.decoding._MAX_JOBS", 3)
    short = encode_flac(tone(1.0))
    async with pool_of(num_processes=1) as pool:
        for _ in range(7):
            await pool.decode(short, limits=LIMITS)
        assert (pool.counters.started, pool.counters.decoded, pool.counters.crashed) == (3, 7, 0)


@in_loop
async def test_a_successor_is_there_before_a_process_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("diffusiontalker.serving.decoding._MAX_JOBS", 4)
    monkeypatch.setattr("diffusiontalker.serving.decoding._NOTICE_JOBS", 3)
    short = encode_flac(tone(1.0))
    async with pool_of(num_processes=1) as pool:
        await pool.decode(short, limits=LIMITS)
        await eventually(lambda: len(pool.process_ids) == 2)
        first, successor = pool.process_ids
        for _ in range(3):
            await pool.decode(short, limits=LIMITS)
        assert pool.process_ids == (successor,)
        await pool.decode(short, limits=LIMITS)
        assert successor in pool.process_ids
        assert not Path(f"/proc/{first}").exists()
