"""One run: its levels one after another on one event loop, with progress, and partial results when interrupted."""

import asyncio
import contextlib
import datetime
import gc
import importlib.util
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx

from diffusiontalker.client.calls import headers_of
from diffusiontalker.load.measures import Level, Tally, Window
from diffusiontalker.load.processes import machine_times
from diffusiontalker.load.recordings import Sender, closed_loop, open_loop
from diffusiontalker.load.results import LEVEL_NAMES, Found, LoadResult, level_line
from diffusiontalker.load.schedule import poisson_arrivals, staggered_starts
from diffusiontalker.load.search import find_largest
from diffusiontalker.load.settings import LoadConfig, LoadError
from diffusiontalker.load.sound import Sound, load_sound
from diffusiontalker.load.streams import CHUNK_S, StreamClient, open_streams

_TELL_EVERY_S = 10.0
_TRIES = 2
"""In a search a level has failed when it failed so often: other work on the machine is no limit of the endpoint."""
_FACTS = ("name", "digest", "diffusiontalker", "parameters", "file_bytes", "fps", "num_steps", "temperature", "streams")


def run_load(
    config: LoadConfig,
    *,
    sound: Sound | None = None,
    on_line: Callable[[str], None] = lambda line: None,
    server_cpu_s: Callable[[], float] | None = None,
) -> LoadResult:
    """Puts load on an endpoint and measures. Ctrl-C ends it early, with what is known by then.

    Args:
        config: what to do.
        sound: what to send; None: as the config says.
        on_line: told how it goes, a line at a time.
        server_cpu_s: CPU seconds of the endpoint so far, where somebody knows them.

    Raises:
        LoadError: when nothing answers, or the endpoint refuses the key.
        AudioError: when the speech cannot be used.
    """
    endpoint = endpoint_facts(config)
    run = _Run(config, sound or load_sound(config.speech, seconds=config.seconds), on_line, server_cpu_s)
    date = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    begin, cpu = time.perf_counter(), time.process_time()
    is_partial, factory = False, _loop_factory()
    with _quiet_memory(), asyncio.Runner(loop_factory=factory) as runner:
        try:
            runner.run(run.all())
        except KeyboardInterrupt:
            is_partial = True
    return LoadResult(
        config=config,
        date=date,
        endpoint=endpoint,
        levels=run.levels,
        found=run.found,
        is_partial=is_partial,
        client={
            "event_loop": "asyncio" if factory is None else "uvloop",
            "cpu_s": round(time.process_time() - cpu, 3),
            "seconds": round(time.perf_counter() - begin, 3),
        },
    )


def endpoint_facts(config: LoadConfig) -> dict[str, Any]:
    """What an endpoint says of itself; empty when it answers but says nothing.

    Raises:
        LoadError: when nothing answers, or the key is refused.
    """
    try:
        with httpx.Client(base_url=config.url, headers=headers_of(config.key), timeout=10.0, trust_env=False) as client:
            client.get("/ready")
            answer = client.get("/v1/bundle")
    except httpx.HTTPError as error:
        raise LoadError(
            f"{config.url}: nothing answers ({error}); start an endpoint first: diffusiontalker serve --bundle BUNDLE"
        ) from None
    if answer.status_code in (401, 403):
        raise LoadError(f"{config.url}: the key is refused or missing ({answer.status_code}); give --key")
    with contextlib.suppress(ValueError):
        content = answer.json()
        if answer.is_success and isinstance(content, dict):
            return {name: content[name] for name in _FACTS if name in content}
    return {}


class _Run:
    """The levels so far, and what is needed for the next."""

    def __init__(
        self,
        config: LoadConfig,
        sound: Sound,
        on_line: Callable[[str], None],
        server_cpu_s: Callable[[], float] | None,
    ) -> None:
        self._config, self._sound, self._tell, self._server_cpu_s = config, sound, on_line, server_cpu_s
        self._sender = Sender(config, sound)
        self.levels: list[Level] = []
        self.found: Found | None = None

    async def all(self) -> None:
        """All levels, or the search."""
        try:
            if self._config.find_max:
                await self._find_largest()
            else:
                for number in self._config.levels:
                    await self._level(number)
        finally:
            self._sender.connections.close()

    async def _find_largest(self) -> None:
        async def holds(number: int) -> bool:
            for _ in range(_TRIES):
                if (await self._level(number)).holds(self._config.target_ms):
                    return True
            return False

        first = max(1, int(self._config.levels[0]))
        largest = await find_largest(holds, first=first, most=self._config.most)
        failed = [level for level in self.levels if level.level > largest]
        next_up = min(failed, key=lambda level: level.level, default=None)
        is_client = next_up is not None and next_up.would_hold(self._config.target_ms)
        limited_by = "client" if is_client else "endpoint" if failed else "most"
        self.found = Found(largest=largest, target_ms=self._config.target_ms, limited_by=limited_by)

    async def _level(self, number: float) -> Level:
        """Runs one; it is kept even when it is interrupted."""
        config = self._config
        seconds = {"warm_up_s": config.warm_up_s, "counted_s": config.duration_s}
        tally = Tally(window=Window.starting(time.perf_counter(), **seconds))
        begin, cpu_s, server_s, machine = time.perf_counter(), time.process_time(), self._server_s(), machine_times()
        is_complete, telling = False, asyncio.create_task(self._tell_progress(number))
        try:
            match config.mode:
                case "closed":
                    await closed_loop(self._sender, tally, workers=int(number))
                case "open":
                    sent_s = config.warm_up_s + config.duration_s
                    arrivals_s = poisson_arrivals(number, seconds=sent_s, seed=config.seed)
                    await open_loop(self._sender, tally, arrivals_s=arrivals_s)
                case "streams":
                    await self._stream(int(number), tally)
            is_complete = True
        finally:
            telling.cancel()
            level = tally.level(
                number,
                clip_s=self._sound.seconds,
                wall_s=time.perf_counter() - begin,
                client_cpu_s=time.process_time() - cpu_s,
                server_cpu_s=None if server_s is None else (self._server_s() or 0.0) - server_s,
                machine_cpu_share=_share(machine, machine_times()),
                is_complete=is_complete,
            )
            self.levels.append(level)
            self._tell(level_line(level, config.mode))
        return level

    async def _stream(self, number: int, tally: Tally) -> None:
        """Opens all streams, then has them speak; the window begins when they do."""
        config = self._config
        clients = [StreamClient(config, self._sound, number=place) for place in range(number)]
        try:
            taken = await open_streams(clients, tally)
            begin = time.perf_counter()
            starts_s = staggered_starts(number, over_s=config.stagger_s, chunk_s=CHUNK_S, seed=config.seed)
            tally.window = Window.starting(
                begin, warm_up_s=config.stagger_s + config.warm_up_s, counted_s=config.duration_s
            )
            async with asyncio.TaskGroup() as tasks:
                for client, start_s in zip(taken, starts_s, strict=False):
                    tasks.create_task(client.speak(tally, begin=begin + start_s))
        finally:
            await asyncio.gather(*(client.close() for client in clients), return_exceptions=True)

    async def _tell_progress(self, number: float) -> None:
        """A line now and then, so that a long level is seen to go on."""
        config, begin = self._config, time.perf_counter()
        while True:
            await asyncio.sleep(_TELL_EVERY_S)
            gone_s, all_s = time.perf_counter() - begin, config.warm_up_s + config.duration_s
            self._tell(f"{number:g} {LEVEL_NAMES[config.mode]}: {gone_s:.0f} s of {all_s:.0f} s")

    def _server_s(self) -> float | None:
        return None if self._server_cpu_s is None else self._server_cpu_s()


def _share(before: tuple[float, float] | None, after: tuple[float, float] | None) -> float | None:
    """Used over available between two instants."""
    if before is None or after is None or after[1] <= before[1]:
        return None
    return round((after[0] - before[0]) / (after[1] - before[1]), 4)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop's, where it is installed: it costs this client half the CPU time."""
    if importlib.util.find_spec("uvloop") is None:
        return None
    import uvloop

    return uvloop.new_event_loop


@contextlib.contextmanager
def _quiet_memory() -> Iterator[None]:
    """Keeps what was loaded before from being searched for garbage while time is taken."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
