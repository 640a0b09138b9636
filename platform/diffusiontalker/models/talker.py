"""`Talker`: speech encoder, personalizer and denoiser put together, with channel statistics and labels.

Everything a bundle needs is in its `state_dict` and `TalkerConfig`. It predicts; losses live elsewhere.
"""

import dataclasses
from collections.abc import Callable, Sequence

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from diffusiontalker.audio import SPEECH_FPS, timebase
from diffusiontalker.diffusion import DiffusionConfig, to_clean
from diffusiontalker.models.blocks import frame_mask
from diffusiontalker.models.denoiser import Denoiser, DenoiserConfig
from diffusiontalker.models.personalizer import Personalizer, PersonalizerConfig
from diffusiontalker.models.speech_encoder import HuggingFaceEncoder, SpeechEncoderConfig, build_speech_encoder


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class TalkerConfig:
    """The whole network."""

    encoder: SpeechEncoderConfig = dataclasses.field(default_factory=SpeechEncoderConfig)
    """Speech encoder."""
    personalizer: PersonalizerConfig = dataclasses.field(default_factory=PersonalizerConfig)
    """Identity and emotion embeddings and their fusion."""
    denoiser: DenoiserConfig = dataclasses.field(default_factory=DenoiserConfig)
    """Motion denoiser."""
    diffusion: DiffusionConfig = dataclasses.field(default_factory=DiffusionConfig)
    """Prediction type."""


class ChannelStatistics(nn.Module):
    """Mean and scale per channel: motion = mean + scale * normalized."""

    mean: Tensor
    scale: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("scale", torch.ones(channels))

    def normalize(self, motion: Float[Tensor, "*batch channels"]) -> Float[Tensor, "*batch channels"]:
        """Motion to the space the denoiser works in."""
        return (motion - self.mean) / self.scale

    def denormalize(self, normalized: Float[Tensor, "*batch channels"]) -> Float[Tensor, "*batch channels"]:
        """Back to coefficients."""
        return self.mean + self.scale * normalized


class Talker(nn.Module):
    """Speech in, normalized motion out.

    Args:
        config: sizes.
        speakers: names of the speakers that have an identity prototype.
        emotions: names of the emotions that have a prototype.
        channel_names: one per motion channel.
        motion_fps: frame rate of its motion.
    """

    def __init__(
        self,
        config: TalkerConfig,
        *,
        speakers: Sequence[str],
        emotions: Sequence[str],
        channel_names: Sequence[str],
        motion_fps: float,
    ) -> None:
        super().__init__()
        self.encoder = build_speech_encoder(config.encoder)
        if isinstance(self.encoder, HuggingFaceEncoder):
            encoder = dataclasses.replace(config.encoder, architecture=self.encoder.architecture)
            config = dataclasses.replace(config, encoder=encoder)
        self.config = config
        self.speakers, self.emotions = tuple(speakers), tuple(emotions)
        self.channel_names, self.motion_fps = tuple(channel_names), float(motion_fps)
        feature_dim, channels = self.encoder.feature_dim, len(self.channel_names)
        self.statistics = ChannelStatistics(channels)
        self.personalizer = Personalizer(
            config.personalizer, feature_dim=feature_dim, num_speakers=len(speakers), num_emotions=len(emotions)
        )
        self.denoiser = Denoiser(
            config.denoiser,
            channels=channels,
            feature_dim=feature_dim,
            personalized_dim=config.personalizer.personalized_dim,
        )

    def encode(
        self, waveforms: Float[Tensor, "batch samples"], num_samples: Int[Tensor, " batch"]
    ) -> tuple[Float[Tensor, "batch speech_frames features"], Bool[Tensor, "batch speech_frames"]]:
        """Speech features at 50 Hz and the mask of frames inside each clip; beyond its end its last frame is held."""
        lengths = [timebase.speech_frames(length) for length in num_samples.tolist()]
        features = self.encoder(waveforms, num_samples)
        return self.hold_last(features, torch.tensor(lengths, device=features.device))

    @staticmethod
    def hold_last(
        features: Float[Tensor, "batch speech_frames features"], lengths: Int[Tensor, " batch"]
    ) -> tuple[Float[Tensor, "batch speech_frames features"], Bool[Tensor, "batch speech_frames"]]:
        """Repeats each clip's last frame beyond its end, so that interpolation never meets padding; and the mask.

        Args:
            features: padded features.
            lengths: speech frames inside each clip.
        """
        index = torch.minimum(torch.arange(features.shape[1], device=features.device), lengths[:, None] - 1)
        held = features[torch.arange(len(features), device=features.device)[:, None], index]
        return held, frame_mask(lengths, features.shape[1])

    def to_motion_rate(
        self, features: Float[Tensor, "batch speech_frames features"], *, frames: int, first_frame: int = 0
    ) -> Float[Tensor, "batch frames features"]:
        """Features at the instants of motion frames `first_frame ... first_frame + frames - 1`, interpolated."""
        lower, weight = timebase.interpolation(
            frames,
            target_fps=self.motion_fps,
            source_frames=features.shape[1],
            source_fps=SPEECH_FPS,
            first_frame=first_frame,
        )
        below = torch.from_numpy(lower).to(features.device)
        share = torch.from_numpy(weight).to(features)[:, None]
        above = (below + 1).clamp_max(features.shape[1] - 1)
        return torch.lerp(features[:, below], features[:, above], share.expand(-1, features.shape[2]))

    def predict_clean(
        self,
        noisy: Float[Tensor, "batch frames channels"],
        time: Float[Tensor, " batch"],
        features: Float[Tensor, "batch frames features"],
        personalized: Float[Tensor, "batch personalized"],
        mask: Float[Tensor, "batch frames 1"],
        *,
        guidance_scale: float = 1.0,
        denoise: Callable[..., Tensor] | None = None,
    ) -> Float[Tensor, "batch frames channels"]:
        """Clean normalized motion; with a guidance scale other than 1, extrapolated from the unconditional prediction.

        `denoise` computes what the denoiser would; None: the denoiser itself.
        Source: classifier-free guidance, Ho & Salimans 2022 (arXiv 2207.12598).
        """
        denoise = denoise or self.denoiser

        def predict(features: Tensor, personalized: Tensor) -> Tensor:
            output = denoise(noisy, time, features, personalized, mask)
            return to_clean(output, noisy, time, prediction=self.config.diffusion.prediction)

        clean = predict(features, personalized)
        if guidance_scale == 1.0:
            return clean
        dropped = torch.ones(len(noisy), dtype=torch.bool, device=noisy.device)
        free = predict(*self.denoiser.drop_condition(features, personalized, dropped))
        return free + guidance_scale * (clean - free)
