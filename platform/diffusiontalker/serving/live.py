"""Live streams: one thread moves all of them in common passes; every stream is an async object on the event loop.

The thread is the only one that touches the `StreamingTalker`. Requests reach it through a queue, frames come back to
the loop, all of one pass in one call.
"""

import asyncio
import concurrent.futures
import logging
import queue
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Any

import numpy as np

from diffusiontalker.audio import SAMPLE_RATE_HZ, SPEECH_FPS
from diffusiontalker.inference import AnimationError, Stream, StreamingTalker
from diffusiontalker.serving.errors import ServingError
from diffusiontalker.serving.metrics import Metrics
from diffusiontalker.serving.service import MotionPiece, StreamFacts

logger = logging.getLogger(__name__)

_MOST_UNHEARD_S = 4.0
"""Seconds of sound, beyond its look-ahead, that a stream may be ahead of the computation before `feed` waits."""
_MOST_UNREAD_S = 20.0
"""Seconds of frames that may lie unread before `feed` waits."""


class LiveStreams:
    """All streams of a replica.

    Args:
        talker: used by this object's thread alone.
        max_seconds: longest sound of one stream.
        pass_s: least time between the beginnings of two passes, in which sound of several streams gathers.
        metrics: where numbers go; told from the event loop.
    """

    def __init__(
        self,
        talker: StreamingTalker,
        *,
        max_seconds: float,
        pass_s: float = 0.01,
        metrics: Metrics,
    ) -> None:
        self._talker, self._max_seconds, self._pass_s, self.metrics = talker, max_seconds, pass_s, metrics
        self._requests: queue.SimpleQueue[tuple[Callable[..., Any], tuple[Any, ...]] | None] = queue.SimpleQueue()
        self._open: dict[Stream, LiveStream] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._streams_open = 0

    @property
    def num_open(self) -> int:
        """Streams that are open."""
        return self._streams_open

    def look_ahead_s(self, num_steps: int | None = None) -> float:
        """Of a stream of so many steps."""
        return self._talker.look_ahead_s(num_steps)

    async def open(self, *, num_steps: int | None, **style: Any) -> "LiveStream":
        """A new stream; the arguments are those of `StreamingTalker.open`.

        Raises:
            ServingError: `busy` when as many are open as may be, `invalid_parameter` for a number out of range.
        """
        self._loop = asyncio.get_running_loop()
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="streams", daemon=True)
            self._thread.start()
        talker = self._talker
        facts = StreamFacts(
            fps=talker.bundle.motion_fps,
            channel_names=talker.bundle.talker.channel_names,
            look_ahead_s=talker.look_ahead_s(num_steps),
        )
        if self._streams_open >= talker.max_streams:
            raise ServingError(
                "busy", f"{self._streams_open} streams are open, which is as many as may be; try again", retry_after_s=2
            )
        self._streams_open += 1
        opened: concurrent.futures.Future[Stream] = concurrent.futures.Future()
        live = LiveStream(self, facts=facts, max_samples=round(self._max_seconds * SAMPLE_RATE_HZ))
        self._requests.put((self._begin, (opened, live, num_steps, style)))
        try:
            live.stream = await asyncio.wrap_future(opened)
        except AnimationError as error:
            self._streams_open -= 1
            raise ServingError("invalid_parameter", str(error)) from None
        except asyncio.CancelledError:
            opened.add_done_callback(lambda done: done.cancelled() or self._requests.put((self._end, (done.result(),))))
            self._streams_open -= 1
            raise
        return live

    def request(self, what: Callable[..., None], *arguments: Any) -> None:
        """Has the thread do something."""
        self._requests.put((what, arguments))

    def ended(self) -> None:
        """A stream was closed."""
        self._streams_open -= 1

    async def close(self) -> None:
        """Ends the thread; streams that are still open fail."""
        if self._thread is not None:
            self._requests.put(None)
            await asyncio.to_thread(self._thread.join)
            self._thread = None

    def _work(self) -> None:
        """The thread: everything asked for, then a pass over all streams; waits when nothing can move."""
        is_idle = True
        while True:
            request = self._requests.get() if is_idle else None
            begin = time.perf_counter()
            if request is None and is_idle:
                break
            try:
                if request is not None:
                    request[0](*request[1])
                    self._gather(begin)
                if not self._drain():
                    break
                is_idle = not self._pass()
            except Exception as error:
                logger.exception("a pass over the streams failed")
                self._fail_all(error)
                is_idle = True
        self._fail_all(ServingError("unavailable", "the server is shutting down; connect again", retry_after_s=1))

    def _gather(self, begin: float) -> None:
        """Waits a moment for sound of other streams, so that they move in one pass."""
        if len(self._open) > 1:
            time.sleep(max(0.0, self._pass_s - (time.perf_counter() - begin)))

    def _drain(self) -> bool:
        """Does everything that is asked for by now; False at the end."""
        while True:
            try:
                request = self._requests.get_nowait()
            except queue.Empty:
                return True
            if request is None:
                return False
            request[0](*request[1])

    def _pass(self) -> bool:
        """Moves every stream a little and hands out what came; whether anything moved."""
        begin = time.perf_counter()
        moved, pieces = self._talker.advance()
        deliveries: list[tuple[LiveStream, MotionPiece | None, int]] = []
        for piece in pieces:
            live = self._open[piece.stream]
            heard = piece.stream.speech_in * (SAMPLE_RATE_HZ // SPEECH_FPS)
            deliveries.append(
                (live, MotionPiece(first_frame=piece.first_frame, coefficients=piece.coefficients), heard)
            )
        for stream, live in list(self._open.items()):
            if self._talker.is_done(stream):
                deliveries.append((live, None, 0))
                self._end(stream)
        if moved or deliveries:
            self._call(self._deliver, deliveries, moved, time.perf_counter() - begin)
        return bool(moved)

    def _deliver(
        self, deliveries: "list[tuple[LiveStream, MotionPiece | None, int]]", moved: int, seconds: float
    ) -> None:
        """On the event loop: hands out the frames of a pass."""
        for live, piece, heard in deliveries:
            live.deliver(piece, heard)
        if moved:
            self.metrics.observe("stream_pass_seconds", seconds)
            self.metrics.observe("stream_pass_streams", moved)

    def _begin(
        self,
        opened: "concurrent.futures.Future[Stream]",
        live: "LiveStream",
        num_steps: int | None,
        style: dict[str, Any],
    ) -> None:
        try:
            stream = self._talker.open(num_steps=num_steps, **style)
        except AnimationError as error:
            opened.set_exception(error)
            return
        self._open[stream] = live
        opened.set_result(stream)

    def _feed(self, stream: Stream, samples: np.ndarray) -> None:
        if stream in self._open:
            self._talker.feed(stream, samples)

    def _finish(self, stream: Stream) -> None:
        if stream in self._open:
            self._talker.finish(stream)

    def _end(self, stream: Stream) -> None:
        self._open.pop(stream, None)
        self._talker.close(stream)

    def _fail_all(self, error: Exception) -> None:
        for stream, live in list(self._open.items()):
            self._end(stream)
            self._call(live.fail, error)

    def _call(self, what: Callable[..., None], *arguments: Any) -> None:
        assert self._loop is not None
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(what, *arguments)


class LiveStream:
    """One stream, on the event loop; see `SpeechStream`."""

    def __init__(self, streams: LiveStreams, *, facts: StreamFacts, max_samples: int) -> None:
        self.facts = facts
        self.stream: Stream | None = None
        self._streams, self._max_samples = streams, max_samples
        self._fed = self._heard = self._unread = 0
        self._arrivals: deque[tuple[int, float]] = deque()
        self._pieces: asyncio.Queue[MotionPiece | Exception | None] = asyncio.Queue()
        self._has_room = asyncio.Event()
        self._has_room.set()
        self._is_closed = self._has_ended = False

    async def feed(self, samples: np.ndarray) -> None:
        """See `SpeechStream`."""
        if self._fed + len(samples) > self._max_samples:
            raise ServingError(
                "too_large",
                f"the stream is longer than {self._max_samples / SAMPLE_RATE_HZ:g} s, the longest allowed",
            )
        await self._has_room.wait()
        if self._is_closed or not len(samples):
            return
        self._fed += len(samples)
        self._arrivals.append((self._fed, time.monotonic()))
        self._streams.request(self._streams._feed, self.stream, samples)
        self._weigh()

    async def finish(self) -> None:
        """See `SpeechStream`."""
        if not self._is_closed:
            self._streams.request(self._streams._finish, self.stream)

    async def __aiter__(self) -> AsyncIterator[MotionPiece]:
        """See `SpeechStream`."""
        while not self._has_ended:
            piece = await self._pieces.get()
            if isinstance(piece, Exception):
                raise piece
            if piece is None:
                return
            self._unread -= len(piece.coefficients)
            self._weigh()
            yield piece

    async def close(self) -> None:
        """See `SpeechStream`."""
        if not self._is_closed:
            self._is_closed = True
            self._streams.request(self._streams._end, self.stream)
            self._streams.ended()
            self._has_room.set()
            self._pieces.put_nowait(None)

    def deliver(self, piece: MotionPiece | None, heard: int) -> None:
        """Frames from the thread; None after the last ones."""
        self._pieces.put_nowait(piece)
        if piece is not None:
            self._unread += len(piece.coefficients)
            self._heard = heard
            self._weigh()
            self._tell_lag(piece)

    def _tell_lag(self, piece: MotionPiece) -> None:
        """How long after the sound that its last frame needed a piece came."""
        last_s = (piece.first_frame + len(piece.coefficients) - 1) / self.facts.fps
        needed = (last_s + self.facts.look_ahead_s) * SAMPLE_RATE_HZ
        while self._arrivals and self._arrivals[0][0] < needed:
            self._arrivals.popleft()
        if self._arrivals:  # else the end of the sound pushed it out
            self._streams.metrics.observe("frame_lag_seconds", time.monotonic() - self._arrivals[0][1])

    def fail(self, error: Exception) -> None:
        """The stream cannot go on."""
        if not isinstance(error, ServingError):
            error = ServingError("internal", "the stream failed; connect again", retry_after_s=1)
        self._pieces.put_nowait(error)
        self._has_room.set()

    def _weigh(self) -> None:
        """Lets `feed` go on or wait."""
        is_ahead = self._fed - self._heard > (_MOST_UNHEARD_S + self.facts.look_ahead_s) * SAMPLE_RATE_HZ
        if is_ahead or self._unread > _MOST_UNREAD_S * self.facts.fps:
            self._has_room.clear()
        else:
            self._has_room.set()
