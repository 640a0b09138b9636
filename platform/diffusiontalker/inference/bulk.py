"""Recordings in, motion files out, in bulk: reads ahead, computes in batches, writes behind.

Turns a table of recordings into a table of results, and leaves one motion file for each that could be animated. Every
process of a bulk animation holds one `BulkAnimator`, and with it the bundle; who starts them is not known here.
"""

import collections
import dataclasses
import functools
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import pyarrow as pa
import torch
from pyarrow import fs

from diffusiontalker.audio import SAMPLE_RATE_HZ, timebase
from diffusiontalker.audio.waveform import AudioError, AudioLimits, read_waveform
from diffusiontalker.face import FORMATS, MotionClip, encode_motion, load_rig
from diffusiontalker.inference.bundle import load_bundle
from diffusiontalker.inference.bundle_files import BundleError
from diffusiontalker.inference.engines import EngineName
from diffusiontalker.inference.pipeline import Style, animate_batch
from diffusiontalker.inference.voices import Voice
from diffusiontalker.storage import StorageError, is_url, joined, open_filesystem, write_file

_READERS = 4
"""Files that are read at once: hides the latency of an object store, and bounds the waveforms that wait."""
_WRITERS = 2
_LIMITS = AudioLimits()

ORDERS = pa.schema(
    [(name, pa.string()) for name in ("output", "name", "uri", "voice", "emotion")] + [("seed", pa.int64())]
)
"""A recording: path of its motion file below the output folder, what messages call it, its absolute path or URL, and
its style; null where that is heard from the audio."""
RESULTS = pa.schema(
    [("output", pa.string()), ("seconds", pa.float64()), ("reason", pa.string()), ("is_unwritable", pa.bool_())]
)
"""What became of it: seconds of sound, why there is no motion (null: there is), and whether the output is to blame."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class BulkOrder:
    """What all recordings of a bulk animation have in common."""

    bundle: str
    """Path or URL."""
    bundle_digest: str
    """The bundle found there must have this digest."""
    voices: Mapping[str, Voice | str]
    """What each name of a voice stands for, as in `Style`."""
    out: str
    """Output folder: an absolute path or a URL."""
    motion_format: str
    """One of `face.MOTION_FORMATS`."""
    batch_frames: int
    """Motion frames computed at once, padding included."""
    emotion_intensity: float = 1.0
    """As in `Style`."""
    num_steps: int | None = None
    """Sampling steps; None: the bundle's."""
    temperature: float | None = None
    """Variety; None: the bundle's."""
    fps: float | None = None
    """Frame rate of the motion files; None: the bundle's."""
    rig: str = ""
    """Head for .glb; empty for the built-in one."""
    device: str = "cpu"
    """Where to compute."""
    num_threads: int = 1
    """Threads that computing may use."""
    engine: EngineName = "auto"
    """What computes."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class _Heard:
    """A recording whose sound is in memory."""

    order: dict
    waveform: np.ndarray
    frames: int


class BulkAnimator:
    """Holds a bundle and animates table after table of recordings.

    Args:
        order: what to do with all recordings.

    Raises:
        BundleError: when the bundle cannot be loaded, or is another one than was ordered.
        RigError: when the rig cannot be read.
    """

    def __init__(self, order: BulkOrder) -> None:
        self._order = order
        torch.set_num_threads(order.num_threads)
        self._bundle = load_bundle(order.bundle, device=order.device, engine=order.engine)
        if self._bundle.digest != order.bundle_digest:
            raise BundleError(
                f"{order.bundle}: the bundle seen here is {self._bundle.digest[:12]}, ordered was "
                f"{order.bundle_digest[:12]}; give one path or URL that is the same on every node"
            )
        self._format = FORMATS[order.motion_format]
        self._rig = load_rig(order.rig) if self._format.has_head else None
        self._filesystem, self._root = open_filesystem(order.out)
        self._readers = ThreadPoolExecutor(_READERS, thread_name_prefix="read")
        self._writers = ThreadPoolExecutor(_WRITERS, thread_name_prefix="write")

    def __call__(self, orders: pa.Table) -> pa.Table:
        """Animates every recording of a table (`ORDERS`); says what became of each (`RESULTS`)."""
        results: list[dict] = []
        written: list[Future[dict]] = []
        batch: list[_Heard] = []
        for order, waveform in self._read_ahead(orders.to_pylist()):
            if isinstance(waveform, Exception):
                results.append(_result(order, reason=str(waveform)))
                continue
            frames = timebase.motion_frames(len(waveform), motion_fps=self._bundle.motion_fps)
            longest = max([frames, *(heard.frames for heard in batch)])
            if batch and longest * (len(batch) + 1) > self._order.batch_frames:
                written += self._animated(batch, results)
                batch = []
            batch.append(_Heard(order=order, waveform=waveform, frames=frames))
        written += self._animated(batch, results)
        results += [future.result() for future in written]
        return pa.Table.from_pylist(results, schema=RESULTS)

    def _read_ahead(self, orders: Sequence[dict]) -> Iterator[tuple[dict, np.ndarray | Exception]]:
        """Every recording with its waveform, in order; a few are read while earlier ones are computed."""
        waiting: collections.deque[tuple[dict, Future]] = collections.deque()
        for order in orders:
            if len(waiting) == _READERS:
                first, future = waiting.popleft()
                yield first, future.result()
            waiting.append((order, self._readers.submit(_heard, order)))
        for order, future in waiting:
            yield order, future.result()

    def _animated(self, batch: Sequence[_Heard], results: list[dict]) -> list["Future[dict]"]:
        """Computes a batch and begins to write it; what cannot be computed is a result already."""
        try:
            clips: list[MotionClip | Exception] = [*self._animate(batch)]
        except Exception:
            # One recording spoils the batch, or the batch the memory: each is given its own chance.
            clips = [self._animated_alone(heard) for heard in batch]
        futures = []
        for heard, clip in zip(batch, clips, strict=True):
            if isinstance(clip, Exception):
                results.append(_result(heard.order, reason=f"cannot be animated ({type(clip).__name__}: {clip})"))
            else:
                futures.append(self._writers.submit(self._write, heard, clip))
        return futures

    def _animated_alone(self, heard: _Heard) -> MotionClip | Exception:
        try:
            return self._animate([heard])[0]
        except Exception as error:
            return error

    def _animate(self, batch: Sequence[_Heard]) -> list[MotionClip]:
        return animate_batch(
            self._bundle,
            [heard.waveform for heard in batch],
            seeds=[heard.order["seed"] for heard in batch],
            styles=[self._style(heard.order) for heard in batch],
            num_steps=self._order.num_steps,
            temperature=self._order.temperature,
        )

    def _style(self, order: dict) -> Style:
        voice = order["voice"]
        return Style(
            voice=None if voice is None else self._order.voices[voice],
            emotion=order["emotion"],
            emotion_intensity=self._order.emotion_intensity,
        )

    def _write(self, heard: _Heard, clip: MotionClip) -> dict:
        order, fps, motion_format = heard.order, self._order.fps, self._order.motion_format
        try:
            clip = clip if fps is None else clip.resampled(fps)
            audio_name = None if self._format.audio_must_exist else order["uri"].rpartition("/")[2]
            content = encode_motion(clip, motion_format, rig=self._rig, audio_name=audio_name)
        except Exception as error:
            return _result(order, reason=f"its motion cannot be stored ({type(error).__name__}: {error})")
        try:
            # What stands there can only be this very motion, from a process that died before it said so.
            write_file(self._filesystem, joined(self._root, order["output"]), content)
        except StorageError as error:
            return _result(order, reason=str(error), is_unwritable=True)
        return _result(order, seconds=len(heard.waveform) / SAMPLE_RATE_HZ)


def _heard(order: dict) -> np.ndarray | Exception:
    """The waveform, or why there is none."""
    name, uri = order["name"], order["uri"]
    try:
        if not is_url(uri):
            return read_waveform(uri, limits=_LIMITS, name=name)
        folder, _, file_name = uri.rpartition("/")
        filesystem, root = _opened(folder)
        with filesystem.open_input_file(joined(root, file_name)) as stream:
            num_bytes = stream.size()
            if num_bytes > _LIMITS.max_bytes:
                raise AudioError(f"{name}: {num_bytes} bytes, at most {_LIMITS.max_bytes} are allowed; split it")
            content = stream.read()
        return read_waveform(content, limits=_LIMITS, name=name)
    except FileNotFoundError:
        return AudioError(f"{name}: there is nothing at {uri}; check the address")
    except Exception as error:
        is_ours = isinstance(error, AudioError | StorageError)
        return error if is_ours else AudioError(f"{name}: cannot be read ({type(error).__name__}: {error})")


@functools.lru_cache(maxsize=64)
def _opened(folder: str) -> tuple[fs.FileSystem, str]:
    """A connection to the store is worth keeping."""
    return open_filesystem(folder)


def _result(order: dict, *, seconds: float = 0.0, reason: str | None = None, is_unwritable: bool = False) -> dict:
    return {"output": order["output"], "seconds": seconds, "reason": reason, "is_unwritable": is_unwritable}
