"""Live streams: one thread moves all of them in common passes; every stream is an async object on the event loop.

The thread is the only one that touches the `StreamingTalker`. Requests reach it through a queue, frames come back to
the loop, all of one pass in one call.
"""

import asyncio
import contextlib
import logging
import math
import queue
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Any

import numpy as np
import torch

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
_PIECE_SAMPLES = SAMPLE_RATE_HZ
"""`feed` hands on so much at once, so that it can wait in the middle of a long piece."""

_Delivery = tuple["LiveStream", MotionPiece | None, int]
"""Frames (None: there will be no more) for a stream, and how many of its samples have been heard."""


class LiveStreams:
    """All streams of a replica, on one event loop.

    Args:
        talker: used by this object's thread alone.
        pass_s: how long the first sound after a pause waits for sound of other streams, to move in one pass.
        metrics: where numbers go; told from the event loop.
    """

    def __init__(self, talker: StreamingTalker, *, pass_s: float = 0.01, metrics: Metrics) -> None:
        self._talker, self._pass_s, self.metrics = talker, pass_s, metrics
        self._loop: asyncio.AbstractEventLoop | None = None
        self._live: set[LiveStream] = set()
        self._is_closed = False
        # The thread's own, but for the queue:
        self._thread: threading.Thread | None = None
        self._requests: queue.SimpleQueue[tuple[Callable[..., None], LiveStream, Any] | None] = queue.SimpleQueue()
        self._moving: dict[Stream, LiveStream] = {}

    @property
    def num_open(self) -> int:
        """Streams that have a place."""
        return len(self._live)

    def look_ahead_s(self, num_steps: int | None = None) -> float:
        """Of a stream of so many steps."""
        return self._talker.look_ahead_s(num_steps)

    def open(self, *, num_steps: int | None = None, max_seconds: float = math.inf, **style: Any) -> "LiveStream":
        """A new stream; the arguments are the longest sound that it may have, and those of `StreamingTalker.open`.

        Raises:
            ServingError: `busy` when as many are open as may be, `invalid_parameter` for a number of steps out of
                range, `unavailable` when this is closed.
        """
        if self._is_closed:
            raise _stopping()
        if self.num_open >= self._talker.max_streams:
            raise ServingError(
                "busy", f"{self.num_open} streams are open, which is as many as may be; try again", retry_after_s=2
            )
        bundle = self._talker.bundle
        try:
            look_ahead_s = self._talker.look_ahead_s(num_steps)
        except AnimationError as error:
            raise ServingError("invalid_parameter", str(error)) from None
        facts = StreamFacts(fps=bundle.motion_fps, channel_names=bundle.talker.channel_names, look_ahead_s=look_ahead_s)
        if self._thread is None:
            self._loop = asyncio.get_running_loop()
            self._thread = threading.Thread(target=self._work, name="streams", daemon=True)
            self._thread.start()
        live = LiveStream(self, facts=facts, max_samples=max_seconds * SAMPLE_RATE_HZ)
        self._live.add(live)
        self._requests.put((self._begin, live, {"num_steps": num_steps, **style}))
        return live

    async def close(self) -> None:
        """Ends the thread; streams that are still open fail."""
        self._is_closed = True
        for live in list(self._live):
            live.fail(_stopping())
        if self._thread is not None:
            self._requests.put(None)
            await asyncio.to_thread(self._thread.join)
            self._thread = None

    def feed(self, live: "LiveStream", samples: np.ndarray) -> None:
        """Sound for a stream."""
        self._requests.put((self._feed, live, samples))

    def finish(self, live: "LiveStream") -> None:
        """A stream's sound is complete."""
        self._requests.put((self._finish, live, None))

    def release(self, live: "LiveStream") -> None:
        """Nobody wants a stream's frames any more; its `freed` is set when its place is free."""
        self._requests.put((self._release, live, None))

    def _work(self) -> None:
        """The thread: everything asked for, then a pass over all streams; waits when nothing can move."""
        is_idle = True
        while self._take(is_idle=is_idle):
            try:
                is_idle = not self._pass()
            except Exception as error:
                logger.exception("a pass over the streams failed")
                is_idle = True
                for live in list(self._moving.values()):
                    self._end(live)
                    self._call(live.fail, error)

    def _take(self, *, is_idle: bool) -> bool:
        """Does everything that is asked for by now, or next; False at the end."""
        requests = []
        if is_idle:
            requests.append(self._requests.get())
            if len(self._moving) > 1:
                time.sleep(self._pass_s)
        requests += [self._requests.get_nowait() for _ in range(self._requests.qsize())]
        for request in requests:
            if request is None:
                return False
            what, live, argument = request
            try:
                what(live, argument)
            except Exception as error:
                logger.exception("a stream failed")
                self._end(live)
                self._call(live.fail, error)
        return True

    def _pass(self) -> bool:
        """Moves every stream a little and hands out what came; whether anything moved."""
        begin = time.perf_counter()
        torch.set_num_threads(1)  # these products are so small that a second thread takes longer to wake than to help
        moved, pieces = self._talker.advance()
        deliveries: list[_Delivery] = []
        for piece in pieces:
            heard = piece.stream.speech_in * (SAMPLE_RATE_HZ // SPEECH_FPS)
            frames = MotionPiece(first_frame=piece.first_frame, coefficients=piece.coefficients)
            deliveries.append((self._moving[piece.stream], frames, heard))
        for stream, live in list(self._moving.items()):
            if self._talker.is_done(stream):
                deliveries.append((live, None, 0))
                self._end(live)
        if moved or deliveries:
            self._call(self._deliver, deliveries, moved, time.perf_counter() - begin)
        return bool(moved)

    def _begin(self, live: "LiveStream", style: dict[str, Any]) -> None:
        live.stream = self._talker.open(**style)
        self._moving[live.stream] = live

    def _feed(self, live: "LiveStream", samples: np.ndarray) -> None:
        if live.stream in self._moving:
            self._talker.feed(live.stream, samples)

    def _finish(self, live: "LiveStream", _: None) -> None:
        if live.stream in self._moving:
            self._talker.finish(live.stream)

    def _release(self, live: "LiveStream", _: None) -> None:
        self._end(live)
        self._call(self._forget, live)

    def _end(self, live: "LiveStream") -> None:
        if live.stream is not None:
            self._moving.pop(live.stream, None)
            self._talker.close(live.stream)

    def _call(self, what: Callable[..., None], *arguments: Any) -> None:
        assert self._loop is not None
        with contextlib.suppress(RuntimeError):  # The loop is closed: nobody is left to hear of it.
            self._loop.call_soon_threadsafe(what, *arguments)

    def _forget(self, live: "LiveStream") -> None:
        """On the event loop."""
        self._live.discard(live)
        live.freed.set()

    def _deliver(self, deliveries: list[_Delivery], moved: int, seconds: float) -> None:
        """On the event loop: hands out the frames of a pass."""
        for live, piece, heard in deliveries:
            live.deliver(piece, heard)
        if moved:
            self.metrics.observe("stream_pass_seconds", seconds)
            self.metrics.observe("stream_pass_streams", moved)


class LiveStream:
    """One stream, on the event loop; see `SpeechStream`."""

    def __init__(self, streams: LiveStreams, *, facts: StreamFacts, max_samples: float) -> None:
        self.facts = facts
        self.stream: Stream | None = None
        """The thread's."""
        self.freed = asyncio.Event()
        """Whether its place is free."""
        self._streams, self._max_samples = streams, max_samples
        self._fed = self._heard = self._unread = 0
        self._arrivals: deque[tuple[int, float]] = deque()
        self._pieces: asyncio.Queue[MotionPiece | None] = asyncio.Queue()
        self._has_room = asyncio.Event()
        self._has_room.set()
        self._error: ServingError | None = None
        self._is_finished = self._is_over = self._has_ended = False

    async def feed(self, samples: np.ndarray) -> None:
        """See `SpeechStream`; raises what the stream failed with, if it did."""
        assert not self._is_finished, "feed() after finish()"
        if self._fed + len(samples) > self._max_samples:
            raise ServingError(
                "too_large",
                f"the stream is longer than {self._max_samples / SAMPLE_RATE_HZ:g} s, the longest allowed",
            )
        for first in range(0, len(samples), _PIECE_SAMPLES):
            await self._has_room.wait()
            if self._error is not None:
                raise self._error
            if self._is_over:
                return
            piece = samples[first : first + _PIECE_SAMPLES].astype(np.float32)  # a copy: the caller's may change
            self._fed += len(piece)
            self._arrivals.append((self._fed, time.monotonic()))
            self._streams.feed(self, piece)
            self._weigh()

    async def finish(self) -> None:
        """See `SpeechStream`."""
        self._is_finished = True
        if not self._is_over:
            self._streams.finish(self)

    async def __aiter__(self) -> AsyncIterator[MotionPiece]:
        """See `SpeechStream`."""
        while not self._has_ended:
            piece = await self._pieces.get()
            if piece is None:
                self._has_ended = True
                break
            self._unread -= len(piece.coefficients)
            self._weigh()
            yield piece
        if self._error is not None:
            raise self._error

    async def close(self) -> None:
        """See `SpeechStream`; returns when the place is free."""
        self._stop()
        await self.freed.wait()

    def fail(self, error: Exception) -> None:
        """The stream cannot go on: feeding and iterating raise from now on, unless all frames have been read."""
        if self._is_over:
            return
        if not isinstance(error, ServingError):
            error = ServingError("internal", "the stream failed; connect again", retry_after_s=1)
        self._error = None if self._has_ended else error
        self._stop()

    def deliver(self, piece: MotionPiece | None, heard: int) -> None:
        """Frames from the thread; None after the last ones."""
        if self._is_over:
            return
        self._pieces.put_nowait(piece)
        if piece is not None:
            self._unread += len(piece.coefficients)
            self._heard = heard
            self._weigh()
            self._tell_lag(piece)

    def _stop(self) -> None:
        """Frees everything at once and wakes whoever waits."""
        if self._is_over:
            return
        self._is_over = self._has_ended = True
        self._streams.release(self)
        self._arrivals.clear()
        while not self._pieces.empty():
            self._pieces.get_nowait()
        self._pieces.put_nowait(None)
        self._has_room.set()

    def _tell_lag(self, piece: MotionPiece) -> None:
        """How long after the sound that its last frame needed a piece came."""
        last_s = (piece.first_frame + len(piece.coefficients) - 1) / self.facts.fps
        needed = (last_s + self.facts.look_ahead_s) * SAMPLE_RATE_HZ
        while self._arrivals and self._arrivals[0][0] < needed:
            self._arrivals.popleft()
        if self._arrivals:  # else the end of the sound pushed it out
            self._streams.metrics.observe("frame_lag_seconds", time.monotonic() - self._arrivals[0][1])

    def _weigh(self) -> None:
        """Lets `feed` go on or wait."""
        is_ahead = self._fed - self._heard > (_MOST_UNHEARD_S + self.facts.look_ahead_s) * SAMPLE_RATE_HZ
        if not self._is_over and (is_ahead or self._unread > _MOST_UNREAD_S * self.facts.fps):
            self._has_room.clear()
        else:
            self._has_room.set()


def _stopping() -> ServingError:
    return ServingError("unavailable", "the server is shutting down; connect again", retry_after_s=1)
