"""The one way through: waveform -> speech features -> personalized embedding -> DDIM -> coefficients.

    wav -> audio.waveform (samples,)          16 kHz mono float32 in [-1, 1]
        -> models.speech_encoder (T50, D)     50 Hz features
        -> audio.timebase        (F, D)       resampled to motion frames, one rounding rule
        -> models.personalizer   (S,)         identity + emotion -> personalized embedding   <- enrolled voice
        -> diffusion.sampler     (F, C)       n DDIM steps over models.denoiser
        -> face.postprocess      (F, C)       denormalized, clamped to [0, 1]

Encoder and denoiser run over windows of bounded length with exactly the context they need, so memory stays small, time
is linear, and the result is that of one pass over the whole recording (a pretrained encoder hears 24 s at a time).
"""

import dataclasses
import difflib
from collections.abc import Callable, Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from diffusiontalker.audio import SAMPLE_RATE_HZ, SPEECH_FPS, timebase
from diffusiontalker.diffusion import frame_noise, sample_ddim
from diffusiontalker.face import CHANNELS, MotionClip, postprocess
from diffusiontalker.inference.bundle import Bundle
from diffusiontalker.inference.voices import Voice
from diffusiontalker.inference.windows import side_by_side, threads_for, windows_of
from diffusiontalker.models import Context, Talker, frame_mask

MAX_EMOTION_INTENSITY = 2.0


class AnimationError(ValueError):
    """A request that a bundle cannot animate; the message says what is allowed."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Style:
    """Who speaks and how they feel; everything None: taken from the audio itself."""

    voice: Voice | str | None = None
    """An enrolled voice, or the name of a speaker the bundle was trained on."""
    emotion: str | None = None
    """One of the bundle's emotions; overrides what the audio or the voice says."""
    emotion_intensity: float = 1.0
    """0: neutral, 1: as in the training data, up to 2: exaggerated. Only with an explicit emotion."""


def animate(
    bundle: Bundle,
    waveform: Float[np.ndarray, " samples"],
    *,
    voice: Voice | str | None = None,
    emotion: str | None = None,
    emotion_intensity: float = 1.0,
    num_steps: int | None = None,
    temperature: float | None = None,
    seed: int = 0,
    guidance_scale: float | None = None,
    on_progress: Callable[[float], None] | None = None,
) -> MotionClip:
    """Animates one recording of any length.

    Args:
        bundle: the talker.
        waveform: 16 kHz mono in [-1, 1].
        voice: enrolled voice or training speaker; None: the audio's own identity.
        emotion: explicit emotion; None: the voice's, or the audio's own.
        emotion_intensity: 0 (neutral) to 2, for an explicit emotion.
        num_steps: DDIM steps; None: the bundle's.
        temperature: scale of the initial noise, 0 for none; None: the bundle's.
        seed: which of the possible animations.
        guidance_scale: classifier-free guidance; None: the bundle's.
        on_progress: receives the finished fraction.

    Raises:
        AnimationError: for empty audio, an unknown speaker or emotion, or a setting out of range.
    """
    style = Style(voice=voice, emotion=emotion, emotion_intensity=emotion_intensity)
    return _animate(
        bundle,
        [waveform],
        seeds=[seed],
        styles=[style],
        num_steps=num_steps,
        temperature=temperature,
        guidance_scale=guidance_scale,
        on_progress=on_progress,
    )[0]


def animate_batch(
    bundle: Bundle,
    waveforms: Sequence[Float[np.ndarray, " _"]],
    *,
    seeds: Sequence[int],
    styles: Sequence[Style] | None = None,
    num_steps: int | None = None,
    temperature: Sequence[float] | float | None = None,
    guidance_scale: float | None = None,
) -> list[MotionClip]:
    """Animates several recordings of different lengths in one pass; each as `animate` would alone.

    Every recording has its own seed, style and, if wanted, temperature; the number of steps is common to all.

    Raises:
        AnimationError: as `animate`, or when the counts differ.
    """
    styles = [Style()] * len(waveforms) if styles is None else styles
    if not len(waveforms) == len(seeds) == len(styles):
        raise AnimationError(f"{len(waveforms)} waveforms, {len(seeds)} seeds, {len(styles)} styles: give one each")
    if not waveforms:
        return []
    temperature = bundle.sampling.temperature if temperature is None else temperature
    temperatures = np.broadcast_to(temperature, len(waveforms)).tolist()

    def animated(part: slice) -> list[MotionClip]:
        return _animate(
            bundle,
            waveforms[part],
            seeds=seeds[part],
            styles=styles[part],
            num_steps=num_steps,
            temperature=temperatures[part],
            guidance_scale=guidance_scale,
            on_progress=None,
        )

    size = -(-len(waveforms) // threads_for(bundle.networks))
    parts = [slice(first, first + size) for first in range(0, len(waveforms), size)]
    return [clip for part in side_by_side(bundle.networks, animated, parts) for clip in part]


def embed(bundle: Bundle, waveform: Float[np.ndarray, " samples"]) -> tuple[np.ndarray, np.ndarray]:
    """Identity and emotion embedding of a recording, (embedding,) float32 each, unit length."""
    return embed_batch(bundle, [waveform])[0]


@torch.inference_mode()
def embed_batch(bundle: Bundle, waveforms: Sequence[Float[np.ndarray, " _"]]) -> list[tuple[np.ndarray, np.ndarray]]:
    """`embed` of several recordings in one pass."""
    stacked, lengths = _stacked(waveforms, _device(bundle.talker))
    embeddings = _embeddings(bundle.talker, _speech_features(bundle, stacked, lengths), lengths)
    identity, emotion = (one.cpu().numpy() for one in embeddings)
    return list(zip(identity, emotion, strict=True))


@torch.inference_mode()
def _animate(
    bundle: Bundle,
    waveforms: Sequence[np.ndarray],
    *,
    seeds: Sequence[int],
    styles: Sequence[Style],
    num_steps: int | None,
    temperature: Sequence[float] | float | None,
    guidance_scale: float | None,
    on_progress: Callable[[float], None] | None,
) -> list[MotionClip]:
    talker, sampling = bundle.talker, bundle.sampling
    num_steps = sampling.num_steps if num_steps is None else num_steps
    temperatures = np.broadcast_to(sampling.temperature if temperature is None else temperature, len(waveforms))
    guidance = sampling.guidance_scale if guidance_scale is None else guidance_scale
    if num_steps < 1 or not (temperatures >= 0.0).all() or not guidance >= 0.0:
        raise AnimationError(
            f"num_steps {num_steps}, temperature {float(temperatures.min())}, guidance_scale {guidance}: "
            "expected at least 1, 0 and 0"
        )
    stacked, lengths = _stacked(waveforms, _device(talker))
    features = _speech_features(bundle, stacked, lengths)
    personalized = talker.personalizer(*_styled(bundle, styles, features, lengths))
    frames = [timebase.motion_frames(length, motion_fps=talker.motion_fps) for length in lengths.tolist()]
    aligned = _aligned(talker, features, frames=max(frames))
    del features  # of a long recording they are large
    mask = frame_mask(torch.tensor(frames, device=aligned.device), max(frames))[..., None].to(aligned.dtype)
    noise = frame_noise(seeds, num_frames=max(frames), channels=len(talker.channel_names)).to(aligned)

    def predict_clean(noisy: Tensor, time: Tensor) -> Tensor:
        def piece(window: tuple[slice, slice]) -> Tensor:
            inner, outer = window
            inputs = (noisy[:, outer], time, aligned[:, outer], personalized, mask[:, outer])
            clean = talker.predict_clean(*inputs, guidance_scale=guidance, denoise=bundle.networks.denoise)
            return clean[:, inner.start - outer.start : inner.stop - outer.start]

        windows = windows_of(max(frames), rate=talker.motion_fps, context=talker.denoiser.context)
        return torch.cat(side_by_side(bundle.networks, piece, list(windows)), dim=1)

    def report(step: int, clean: Tensor) -> None:
        if on_progress is not None:
            on_progress((step + 1) / num_steps)

    scale = torch.from_numpy(temperatures.astype(np.float32)).to(noise)[:, None, None]
    normalized = sample_ddim(predict_clean, noise * scale, num_steps=num_steps, callback=report)
    motion = talker.statistics.denormalize(normalized).cpu().numpy()
    return [
        MotionClip(
            coefficients=finished_frames(talker, row[:length]),
            fps=talker.motion_fps,
            channel_names=talker.channel_names,
        )
        for row, length in zip(motion, frames, strict=True)
    ]


def _speech_features(bundle: Bundle, waveforms: Tensor, lengths: Tensor) -> Tensor:
    """(batch, speech_frames, features) as of `Talker.encode`, window by window: in bounded memory."""
    talker, networks = bundle.talker, bundle.networks
    context, total = talker.encoder.context, timebase.speech_frames(waveforms.shape[1])
    if context is None:
        features = networks.encode(waveforms, lengths)
    else:
        hop = SAMPLE_RATE_HZ // SPEECH_FPS
        features = waveforms.new_empty(len(waveforms), total, talker.encoder.feature_dim)

        def encode(window: tuple[slice, slice]) -> None:
            inner, outer = window
            start = outer.start * hop
            piece = waveforms[:, start : outer.stop * hop]
            encoded = networks.encode(piece, (lengths - start).clamp(0, piece.shape[1]))
            features[:, inner] = encoded[:, inner.start - outer.start : inner.stop - outer.start]

        side_by_side(bundle.networks, encode, list(windows_of(total, rate=SPEECH_FPS, context=context)))
    return features if len(waveforms) == 1 else talker.hold_last(features, _speech_lengths(lengths))[0]


def _aligned(talker: Talker, features: Tensor, *, frames: int) -> Tensor:
    """`Talker.to_motion_rate` in windows."""
    aligned = features.new_empty(len(features), frames, features.shape[2])
    for inner, _ in windows_of(frames, rate=talker.motion_fps, context=Context(left=0, right=0)):
        size = inner.stop - inner.start
        aligned[:, inner] = talker.to_motion_rate(features, frames=size, first_frame=inner.start)
    return aligned


def _embeddings(talker: Talker, features: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
    return talker.personalizer.embed(features, frame_mask(_speech_lengths(lengths), features.shape[1]))


def _speech_lengths(num_samples: Tensor) -> Tensor:
    """(batch,) samples -> (batch,) speech frames."""
    return torch.tensor([timebase.speech_frames(length) for length in num_samples.tolist()], device=num_samples.device)


def _styled(bundle: Bundle, styles: Sequence[Style], features: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
    """(batch, embedding) identities and emotions; the personalizer listens only where a style leaves something open."""
    is_open = torch.tensor([not isinstance(style.voice, Voice) for style in styles], device=features.device)
    size = bundle.talker.config.personalizer.embedding_dim
    identity, emotion = features.new_zeros(2, len(styles), size).unbind()
    if is_open.any():
        heard = _embeddings(bundle.talker, features[is_open], lengths[is_open])
        identity[is_open], emotion[is_open] = (one.to(features) for one in heard)
    pairs = [resolve(bundle, *one) for one in zip(styles, identity, emotion, strict=True)]
    return torch.stack([pair[0] for pair in pairs]), torch.stack([pair[1] for pair in pairs])


def resolve(bundle: Bundle, style: Style, identity: Tensor, emotion: Tensor) -> tuple[Tensor, Tensor]:
    """The embeddings that a style stands for, (embedding,) each, given those of the audio itself.

    Raises:
        AnimationError: for an unknown speaker or emotion, or an intensity out of range.
        VoiceError: for a voice of another bundle.
    """
    talker = bundle.talker
    identity_prototypes, emotion_prototypes = talker.personalizer.prototypes()
    if isinstance(style.voice, Voice):
        style.voice.check_bundle(bundle.digest)
        identity = torch.from_numpy(style.voice.identity).to(identity)
        emotion = torch.from_numpy(style.voice.emotion).to(emotion)
    elif style.voice is not None:
        identity = identity_prototypes[_index(style.voice, talker.speakers, what="speaker")]
    if style.emotion is None:
        return identity, emotion
    if not 0.0 <= style.emotion_intensity <= MAX_EMOTION_INTENSITY:
        raise AnimationError(
            f"emotion_intensity is {style.emotion_intensity}, expected 0 (neutral) to {MAX_EMOTION_INTENSITY:g}"
        )
    target = emotion_prototypes[_index(style.emotion, talker.emotions, what="emotion")]
    start = emotion_prototypes[talker.emotions.index("neutral")] if "neutral" in talker.emotions else emotion
    return identity, F.normalize(torch.lerp(start, target, style.emotion_intensity), dim=-1)


def _index(name: str, known: Sequence[str], *, what: str) -> int:
    if name in known:
        return known.index(name)
    close = difflib.get_close_matches(name, known, n=1)
    hint = f"; perhaps you meant '{close[0]}'" if close else ""
    raise AnimationError(f"unknown {what} '{name}'{hint} (this bundle knows: {', '.join(known)})")


def _stacked(waveforms: Sequence[np.ndarray], device: torch.device) -> tuple[Tensor, Tensor]:
    """Zero-padded (batch, samples) and lengths (batch,)."""
    for number, waveform in enumerate(waveforms):
        if waveform.ndim != 1 or not len(waveform):
            raise AnimationError(
                f"waveform {number} has shape {waveform.shape}, expected (samples,) with at least one sample at 16 kHz"
            )
    lengths = torch.tensor([len(waveform) for waveform in waveforms], device=device)
    tensors = [_tensor(waveform) for waveform in waveforms]
    if len(tensors) == 1:
        return tensors[0].to(device)[None], lengths
    stacked = torch.zeros(len(waveforms), int(lengths.max()), device=device)
    for row, waveform in zip(stacked, tensors, strict=True):
        row[: len(waveform)] = waveform
    return stacked, lengths


def _tensor(waveform: np.ndarray) -> Tensor:
    """The same numbers, and where torch allows it the same memory."""
    return torch.from_numpy(np.require(waveform, dtype=np.float32, requirements=["C", "W"]))


def finished_frames(talker: Talker, motion: np.ndarray) -> np.ndarray:
    """(frames, channels) as they leave the house: ARKit weights in [0, 1], other channels as they are."""
    return postprocess(motion, fps=talker.motion_fps) if talker.channel_names == CHANNELS else motion


def _device(talker: Talker) -> torch.device:
    return talker.statistics.mean.device
