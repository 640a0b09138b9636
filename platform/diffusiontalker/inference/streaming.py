"""Streams: sound in pieces, frames as soon as they can be known; many streams move in one batched pass.

Every block remembers what it needs of the past (`ConvBlock.advance`), so a frame costs the same whenever it comes and
nothing is computed twice. All DDIM steps run behind one another as a pipeline. The frames of a whole stream are those
that `animate` gives for the same sound, style and seed.
"""

import dataclasses
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from diffusiontalker.audio import SAMPLE_RATE_HZ, SPEECH_FPS, timebase
from diffusiontalker.audio.log_mel import HOP_SAMPLES, WINDOW_SAMPLES, log_mel_of_windows
from diffusiontalker.diffusion import frame_noise
from diffusiontalker.inference.bundle import Bundle
from diffusiontalker.inference.pipeline import AnimationError, finished_frames
from diffusiontalker.inference.stream_memory import StreamMemory, encoder_shapes, step_shapes
from diffusiontalker.models import LogMelEncoder

KeyT = TypeVar("KeyT")
_SPEECH_SAMPLES = SAMPLE_RATE_HZ // SPEECH_FPS
_WINDOWS_REACH = WINDOW_SAMPLES - HOP_SAMPLES
"""Samples that the windows of speech frames span beyond `_SPEECH_SAMPLES` for each of them."""
_SAMPLES_AHEAD = WINDOW_SAMPLES // 2
"""Samples after the instant of a speech frame that its first mel frame needs."""
_MOST_FRAMES = 25
"""Frames that a stream moves at most in one pass, so that one that is far behind does not keep others waiting."""
_NOISE_FRAMES = 128
"""Frames whose noise is drawn at once."""


class Stream:
    """One stream of a `StreamingTalker`; what it holds grows neither with its length nor with its age."""

    def __init__(self, *, slot: int, style: Tensor, temperature: float, seed: int, num_steps: int) -> None:
        self.slot, self.style, self.num_steps = slot, style, num_steps
        self._temperature, self._seed = temperature, seed
        # The mel frame before the first speech frame is heard in silence: what is before the stream.
        self.samples = np.zeros(WINDOW_SAMPLES - _SAMPLES_AHEAD + HOP_SAMPLES, dtype=np.float32)
        self.num_samples = 0
        self.is_finished = False
        self.speech_in = self.speech_out = self.motion_in = self.motion_out = 0
        self.features: list[Tensor] = []
        self.first_feature = 0
        self._noise, self._noise_from = torch.zeros(0), 0

    def noise(self, frames: int, *, channels: int) -> Tensor:
        """(frames, channels) the scaled noise of the next frames that go in."""
        first = self.motion_in
        if first + frames > self._noise_from + len(self._noise):
            self._noise = (
                self._temperature
                * frame_noise(
                    [self._seed], num_frames=max(frames, _NOISE_FRAMES), channels=channels, first_frame=first
                )[0]
            )
            self._noise_from = first
        begin = first - self._noise_from
        return self._noise[begin : begin + frames]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class StreamedFrames:
    """Frames of one stream, in order."""

    stream: Stream
    first_frame: int
    coefficients: np.ndarray
    """(frames, channels) float32."""


class StreamingTalker:
    """Many streams of one bundle, moved together. Not thread-safe: one thread calls it.

    Args:
        bundle: a talker whose encoder and denoiser see a bounded stretch of sound, without guidance.
        max_streams: streams that may be open at once; their memory is there from the start.

    Raises:
        AnimationError: for a bundle that cannot stream.
    """

    def __init__(self, bundle: Bundle, *, max_streams: int = 64) -> None:
        encoder = bundle.talker.encoder
        if not isinstance(encoder, LogMelEncoder):
            raise AnimationError(
                "this bundle hears with a pretrained speech encoder, which needs the whole recording; distil a student "
                "to stream with"
            )
        if bundle.sampling.guidance_scale != 1.0:
            raise AnimationError(
                f"this bundle samples with guidance {bundle.sampling.guidance_scale:g}, which streams do not have; "
                "distil a student to stream with"
            )
        self.bundle, self._talker, self._encoder = bundle, bundle.talker, encoder
        self.max_streams = max_streams
        self._device = self._talker.statistics.mean.device
        self._free = list(range(max_streams))[::-1]
        self._encoder_memory = StreamMemory(max_streams, encoder_shapes(encoder), device=self._device)
        self._denoiser_memory: dict[int, StreamMemory] = {}
        self._look_ahead_s: dict[int, float] = {}
        self.streams: set[Stream] = set()
        """The open ones."""

    def look_ahead_s(self, num_steps: int | None = None) -> float:
        """Seconds of sound beyond a frame's instant that must have come before the frame can go out."""
        fps, steps = self._talker.motion_fps, self._steps(num_steps)
        if steps not in self._look_ahead_s:
            frames = np.arange(round(fps) * 60)
            speech = np.ceil((frames + self._delay(steps)) * (SPEECH_FPS / fps) - 1e-6) + self._encoder.delay
            ahead = (speech * _SPEECH_SAMPLES + _SAMPLES_AHEAD) / SAMPLE_RATE_HZ - frames / fps
            self._look_ahead_s[steps] = float(ahead.max())
        return self._look_ahead_s[steps]

    @torch.inference_mode()
    def open(
        self,
        *,
        identity: np.ndarray,
        emotion: np.ndarray,
        num_steps: int | None = None,
        temperature: float | None = None,
        seed: int = 0,
    ) -> Stream:
        """A new stream in the style of two embeddings, (embedding,) each.

        Raises:
            AnimationError: when no stream is free, or a number is out of range.
        """
        temperature = self.bundle.sampling.temperature if temperature is None else temperature
        if not temperature >= 0.0:
            raise AnimationError(f"temperature is {temperature}, expected 0 or more")
        steps = self._steps(num_steps)
        if not self._free:
            raise AnimationError(f"{self.max_streams} streams are open, which is as many as may be")
        pair = (
            torch.from_numpy(np.asarray(one, dtype=np.float32)).to(self._device)[None] for one in (identity, emotion)
        )
        stream = Stream(
            slot=self._free.pop(),
            style=self.bundle.networks.style(self._talker.personalizer(*pair)[0], num_steps=steps),
            temperature=temperature,
            seed=seed,
            num_steps=steps,
        )
        self._encoder_memory.clear(stream.slot)
        self._motion_memory(steps).clear(stream.slot)
        self.streams.add(stream)
        return stream

    def feed(self, stream: Stream, samples: np.ndarray) -> None:
        """Takes (samples,) float32 at 16 kHz, any number of them."""
        assert not stream.is_finished
        stream.samples = np.concatenate([stream.samples, samples.astype(np.float32, copy=False)])
        stream.num_samples += len(samples)

    def finish(self, stream: Stream) -> None:
        """No more sound will come: the frames that waited for some can now be known."""
        if stream.is_finished:
            return
        stream.is_finished = True
        total = timebase.speech_frames(stream.num_samples) + self._encoder.delay - stream.speech_in
        missing = total * _SPEECH_SAMPLES + _WINDOWS_REACH - len(stream.samples)
        stream.samples = np.concatenate([stream.samples, np.zeros(max(0, missing), dtype=np.float32)])

    def close(self, stream: Stream) -> None:
        """Ends a stream and frees its place; harmless when done twice."""
        if stream in self.streams:
            self.streams.remove(stream)
            self._free.append(stream.slot)

    def is_done(self, stream: Stream) -> bool:
        """Whether all frames of a finished stream have come out."""
        return stream.is_finished and stream.motion_out >= self._motion_total(stream)

    @torch.inference_mode()
    def advance(self) -> tuple[int, list[StreamedFrames]]:
        """Moves every stream by what its sound allows, at most `_MOST_FRAMES`.

        Returns:
            How many streams moved, 0 when none can; and the frames that came out.
        """
        moved: set[Stream] = set()
        for frames, group in _grouped(self.streams, by=self._speech_ready):
            if frames > 0:
                self._hear(group, frames)
                moved.update(group)
        pieces = []
        for (frames, num_steps), group in _grouped(
            self.streams, by=lambda stream: (self._motion_ready(stream), stream.num_steps)
        ):
            if frames > 0:
                pieces += self._move(group, frames, num_steps=num_steps)
                moved.update(group)
        return len(moved), pieces

    def _steps(self, num_steps: int | None) -> int:
        steps = self.bundle.sampling.num_steps if num_steps is None else num_steps
        if steps < 1:
            raise AnimationError(f"num_steps is {steps}, expected 1 or more")
        return steps

    def _delay(self, num_steps: int) -> int:
        """Motion frames by which the denoiser's steps, one behind the other, are late."""
        return num_steps * self._talker.denoiser.context.right

    def _motion_total(self, stream: Stream) -> int:
        return timebase.motion_frames(stream.num_samples, motion_fps=self._talker.motion_fps)

    def _speech_ready(self, stream: Stream) -> int:
        """Speech frames whose samples are there."""
        return min(2 * _MOST_FRAMES, max(0, len(stream.samples) - _WINDOWS_REACH) // _SPEECH_SAMPLES)

    def _motion_ready(self, stream: Stream) -> int:
        """Motion frames whose speech features are there; after the end also those that push the others out."""
        if stream.is_finished and stream.speech_out == timebase.speech_frames(stream.num_samples):
            total = self._motion_total(stream)
            total += self._delay(stream.num_steps) if total else 0
        else:
            total = math.floor((stream.speech_out - 1) * self._talker.motion_fps / SPEECH_FPS + 1e-6) + 1
        return min(_MOST_FRAMES, total - stream.motion_in)

    def _hear(self, group: Sequence[Stream], frames: int) -> None:
        """Speech features of the next frames of streams."""
        span = frames * _SPEECH_SAMPLES
        samples = torch.from_numpy(np.stack([stream.samples[: span + _WINDOWS_REACH] for stream in group]))
        mels = log_mel_of_windows(samples.to(self._device).unfold(1, WINDOW_SAMPLES, HOP_SAMPLES))
        totals = [timebase.speech_frames(stream.num_samples) if stream.is_finished else math.inf for stream in group]
        mask = self._mask([stream.speech_in for stream in group], totals, frames)
        slots = [stream.slot for stream in group]
        features, rows = self.bundle.networks.hear(mels, mask, self._encoder_memory.of(slots))
        self._encoder_memory.keep(slots, rows)
        for stream, row, total in zip(group, features, totals, strict=True):
            first = stream.speech_in - self._encoder.delay
            valid = row[max(0, -first) : max(0, int(min(frames, total - first)))]
            stream.samples = stream.samples[span:]
            stream.speech_in += frames
            if len(valid):
                stream.features.append(valid)
                stream.speech_out += len(valid)

    def _move(self, group: Sequence[Stream], frames: int, *, num_steps: int) -> Iterator[StreamedFrames]:
        """The next motion frames of streams through all diffusion steps."""
        talker, memory = self._talker, self._motion_memory(num_steps)
        features = torch.stack([self._aligned(stream, frames) for stream in group])
        noisy = torch.stack([stream.noise(frames, channels=len(talker.channel_names)) for stream in group])
        noisy = noisy.to(self._device)
        totals = [self._motion_total(stream) if stream.is_finished else math.inf for stream in group]
        mask = self._mask([stream.motion_in for stream in group], totals, frames)
        styles = torch.stack([stream.style for stream in group])
        slots = [stream.slot for stream in group]
        normalized, rows = self.bundle.networks.move(
            noisy, features, mask, styles, memory.of(slots), num_steps=num_steps
        )
        memory.keep(slots, rows)
        motion = talker.statistics.denormalize(normalized).cpu().numpy()
        for stream, row, total in zip(group, motion, totals, strict=True):
            first = stream.motion_in - self._delay(num_steps)
            valid = row[max(0, -first) : max(0, int(min(frames, total - first)))]
            stream.motion_in += frames
            if len(valid):
                begin = stream.motion_out
                stream.motion_out += len(valid)
                yield StreamedFrames(stream=stream, first_frame=begin, coefficients=finished_frames(talker, valid))

    def _aligned(self, stream: Stream, frames: int) -> Tensor:
        """(frames, features) at the instants of the next motion frames; features that are past are dropped."""
        features = torch.cat(stream.features)
        lower, weight = timebase.interpolation(
            frames,
            target_fps=self._talker.motion_fps,
            source_frames=stream.speech_out,
            source_fps=SPEECH_FPS,
            first_frame=stream.motion_in,
        )
        below = torch.from_numpy(lower - stream.first_feature).to(self._device)
        share = torch.from_numpy(weight).to(features)[:, None]
        above = (below + 1).clamp_max(len(features) - 1)
        aligned = torch.lerp(features[below], features[above], share.expand(-1, features.shape[1]))
        used = int(below[-1])
        stream.features, stream.first_feature = [features[used:].clone()], stream.first_feature + used
        return aligned

    def _mask(self, first: Sequence[int], totals: Sequence[float], frames: int) -> Tensor:
        """(streams, frames, 1) 1 for frames before the end of a stream."""
        number = np.asarray(first)[:, None] + np.arange(frames)
        return torch.from_numpy((number < np.asarray(totals)[:, None]).astype(np.float32))[..., None].to(self._device)

    def _motion_memory(self, num_steps: int) -> StreamMemory:
        if num_steps not in self._denoiser_memory:
            shapes = step_shapes(self._talker) * num_steps
            self._denoiser_memory[num_steps] = StreamMemory(self.max_streams, shapes, device=self._device)
        return self._denoiser_memory[num_steps]


def _grouped(streams: Iterable[Stream], *, by: Callable[[Stream], KeyT]) -> list[tuple[KeyT, list[Stream]]]:
    """Streams of which `by` says the same."""
    groups: dict[KeyT, list[Stream]] = {}
    for stream in streams:
        groups.setdefault(by(stream), []).append(stream)
    return list(groups.items())
