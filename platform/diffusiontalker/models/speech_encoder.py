"""Speech encoders: waveform -> features at 50 Hz. One protocol, two families.

`LogMelEncoder` is trained from scratch and sees a bounded context; `HuggingFaceEncoder` wraps a pretrained model, is
frozen, and sees everything it is given. Neither knows about motion.
"""

import dataclasses
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from diffusiontalker.audio import SPEECH_FPS, timebase
from diffusiontalker.audio.log_mel import NUM_MELS, log_mel
from diffusiontalker.models.blocks import BlockState, Context, advance_blocks, conv_blocks, frame_mask, total_context


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class SpeechEncoderConfig:
    """Which speech encoder, and its size."""

    family: Literal["log_mel", "hugging_face"] = "log_mel"
    """`log_mel`: convolutions over a log-mel spectrogram, trained from scratch. `hugging_face`: pretrained, frozen."""
    width: int = 192
    """Feature size of the log_mel family (the pretrained family brings its own)."""
    dilations: tuple[int, ...] = (1, 2, 4, 1, 2, 4)
    """One residual block per entry, at 50 Hz (log_mel)."""
    kernel_size: int = 3
    """Taps of each block's convolution (log_mel)."""
    look_ahead_frames: int | None = None
    """Most future 50 Hz frames the blocks may use; None: symmetric (log_mel)."""
    dropout: float = 0.1
    """Dropout inside the blocks (log_mel)."""
    checkpoint: str | None = None
    """Hub id or folder of a hubert, wav2vec2, wavlm or whisper checkpoint (hugging_face)."""
    architecture: dict[str, Any] | None = None
    """The checkpoint's own configuration; filled in when it is first loaded, so that a bundle needs no checkpoint."""
    normalize_waveform: bool = False
    """Zero mean and unit variance per clip, as the pretrained model's feature extractor would (hugging_face)."""

    def __post_init__(self) -> None:
        """Checks that the family has what it needs."""
        if self.family == "hugging_face" and not (self.checkpoint or self.architecture):
            raise ValueError("family is 'hugging_face' but checkpoint is missing; give a hub id or a folder")
        if self.width < 8 or self.kernel_size < 1 or not self.dilations:
            raise ValueError(
                f"width {self.width}, kernel_size {self.kernel_size}, dilations {self.dilations}: too small"
            )

    @property
    def is_frozen(self) -> bool:
        """True when features never change in training and can be computed once."""
        return self.family == "hugging_face"


@runtime_checkable
class SpeechEncoder(Protocol):
    """What the talker needs of an encoder."""

    feature_dim: int
    """Size of a feature vector."""
    context: Context | None
    """Receptive field in 50 Hz frames; None when unbounded."""

    def __call__(self, waveforms: Tensor, num_samples: Tensor) -> Tensor:
        """(batch, samples), (batch,) -> (batch, speech_frames, feature_dim), zero outside each clip."""
        ...


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class EncoderState:
    """What a `LogMelEncoder` remembers of streams between their pieces; zeros at their beginning."""

    mels: Tensor
    """(batch, 2, num_mels) the last mel frames."""
    mask: Tensor
    """(batch, 1, 1) mask of the speech frame whose last mel frames are still to come."""
    blocks: list[BlockState]


class LogMelEncoder(nn.Module):
    """Log-mel frames, two per speech frame, folded together; then residual convolution blocks."""

    def __init__(self, config: SpeechEncoderConfig) -> None:
        super().__init__()
        self.feature_dim = config.width
        self.fold = nn.Linear(4 * NUM_MELS, config.width)
        self.blocks = conv_blocks(
            config.width,
            dilations=config.dilations,
            kernel_size=config.kernel_size,
            look_ahead=config.look_ahead_frames,
            dropout=config.dropout,
        )
        self.norm = nn.LayerNorm(config.width)
        inner = total_context(self.blocks)
        # Below the blocks a speech frame hears 360 samples before its instant and 520 after: two frames on either side.
        self.context: Context | None = Context(left=inner.left + 2, right=inner.right + 2)

    def forward(
        self, waveforms: Float[Tensor, "batch samples"], num_samples: Int[Tensor, " batch"]
    ) -> Float[Tensor, "batch speech_frames features"]:
        """Features of zero-padded waveforms; a clip's features do not depend on its padding."""
        lengths = (num_samples * SPEECH_FPS + timebase.SAMPLE_RATE_HZ - 1) // timebase.SAMPLE_RATE_HZ
        return self.of_mels(log_mel(waveforms), lengths)

    def of_mels(
        self, mels: Float[Tensor, "batch mels num_mels"], lengths: Int[Tensor, " batch"]
    ) -> Float[Tensor, "batch speech_frames features"]:
        """Features of log-mel frames, two for each of the `lengths` speech frames that a clip has."""
        mask = frame_mask(lengths, mels.shape[1] // 2)[..., None].to(mels.dtype)
        mels = mels * mask.repeat_interleave(2, dim=1)
        # Four mel frames around every speech frame: its own two and one on either side.
        x = self.fold(nn.functional.pad(mels, (0, 0, 1, 1)).unfold(1, 4, 2).flatten(2))
        for block in self.blocks:
            x = block(x, mask)
        return self.norm(x) * mask

    def advance(
        self,
        mels: Float[Tensor, "batch mels num_mels"],
        mask: Float[Tensor, "batch speech_frames 1"],
        past: "EncoderState",
    ) -> tuple[Float[Tensor, "batch speech_frames features"], Float[Tensor, "batch speech_frames 1"], "EncoderState"]:
        """The next speech frames of streams, `delay` frames later than they came in; and their mask.

        Args:
            mels: for every speech frame its first mel frame and the one before.
            mask: 1 inside the clip; `delay` frames of 0 must follow its end.
            past: what the call before gave; zeros at the beginning.
        """
        frames = mask.shape[1]
        mask = torch.cat([past.mask, mask], dim=1)
        mels = mels * torch.cat([mask[:, :-1], mask[:, 1:]], dim=2).flatten(1)[..., None]
        mels = torch.cat([past.mels, mels], dim=1)
        x = self.fold(mels.unfold(1, 4, 2).flatten(2))
        x, late, blocks = advance_blocks(self.blocks, x, mask[:, :frames], None, past.blocks)
        state = EncoderState(mels=mels[:, 2 * frames :], mask=mask[:, frames:], blocks=blocks)
        return self.norm(x) * late, late, state

    @property
    def delay(self) -> int:
        """Speech frames by which `advance` is late: the look-ahead of the blocks, and one for the mel frames after."""
        return total_context(self.blocks).right + 1


class HuggingFaceEncoder(nn.Module):
    """A pretrained hubert, wav2vec2, wavlm or whisper encoder; frozen, always in eval mode.

    Clips are encoded one at a time, long ones in windows of `WINDOW_S` with `OVERLAP_S` of context on either side, so
    memory is bounded and padding has no effect.
    """

    WINDOW_S = 20
    OVERLAP_S = 2

    def __init__(self, config: SpeechEncoderConfig) -> None:
        super().__init__()
        import transformers

        if config.architecture is not None:
            plain = dict(config.architecture)
            model = transformers.AutoModel.from_config(
                transformers.AutoConfig.for_model(plain.pop("model_type"), **plain)
            )
        else:
            assert config.checkpoint is not None
            model = transformers.AutoModel.from_pretrained(config.checkpoint)
        self.is_whisper = model.config.model_type == "whisper"
        self.model = model.encoder if self.is_whisper else model
        self.architecture: dict[str, Any] = model.config.to_dict()
        self.normalize_waveform = config.normalize_waveform
        self.feature_dim: int = model.config.d_model if self.is_whisper else model.config.hidden_size
        self.context: Context | None = None
        self.requires_grad_(False)
        self.eval()

    def train(self, mode: bool = True) -> "HuggingFaceEncoder":
        """Stays in eval mode: no dropout, no time masking."""
        return super().train(False)

    @torch.no_grad()
    def forward(
        self, waveforms: Float[Tensor, "batch samples"], num_samples: Int[Tensor, " batch"]
    ) -> Float[Tensor, "batch speech_frames features"]:
        """Features of each clip without its padding; zero beyond its end."""
        total = timebase.speech_frames(waveforms.shape[1])
        features = waveforms.new_zeros(len(waveforms), total, self.feature_dim)
        for row, (waveform, length) in enumerate(zip(waveforms, num_samples.tolist(), strict=True)):
            encoded = self._encode_clip(waveform[:length])
            features[row, : len(encoded)] = encoded
        return features

    def _encode_clip(self, waveform: Tensor) -> Tensor:
        """(samples,) -> (speech_frames, features)."""
        if self.normalize_waveform:
            waveform = (waveform - waveform.mean()) / (waveform.std(correction=0) + 1e-7)
        hop = timebase.SAMPLE_RATE_HZ // SPEECH_FPS
        frames = timebase.speech_frames(len(waveform))
        window, overlap = self.WINDOW_S * SPEECH_FPS, self.OVERLAP_S * SPEECH_FPS
        pieces = []
        for first in range(0, frames, window):
            start, stop = max(0, first - overlap), min(frames, first + window + overlap)
            encoded = self._encode_window(waveform[start * hop : stop * hop], stop - start)
            pieces.append(encoded[first - start : min(first + window, frames) - start])
        return torch.cat(pieces)

    def _encode_window(self, waveform: Tensor, frames: int) -> Tensor:
        if self.is_whisper:
            encoded = self.model(self._whisper_mels(waveform)).last_hidden_state[0]
        else:
            # The feature extractor's receptive field is 400 samples at a hop of 320: 80 more give one frame per hop.
            missing = frames * 320 + 80 - len(waveform)
            encoded = self.model(nn.functional.pad(waveform, (0, max(0, missing)))[None]).last_hidden_state[0]
        return encoded[:frames]

    def _whisper_mels(self, waveform: Tensor) -> Tensor:
        import transformers

        extractor = transformers.WhisperFeatureExtractor(feature_size=self.model.config.num_mel_bins)
        seconds = self.model.config.max_source_positions / SPEECH_FPS
        extracted = extractor(
            waveform.cpu().numpy(),
            sampling_rate=timebase.SAMPLE_RATE_HZ,
            return_tensors="pt",
            padding="max_length",
            max_length=round(seconds * timebase.SAMPLE_RATE_HZ),
        )
        return extracted.input_features.to(waveform.device)


def build_speech_encoder(config: SpeechEncoderConfig) -> LogMelEncoder | HuggingFaceEncoder:
    """The encoder a config describes.

    Raises:
        ValueError: when a checkpoint folder or hub id cannot be loaded.
    """
    if config.family == "log_mel":
        return LogMelEncoder(config)
    try:
        return HuggingFaceEncoder(config)
    except OSError as error:
        where = f"folder {config.checkpoint}" if Path(str(config.checkpoint)).exists() else f"'{config.checkpoint}'"
        raise ValueError(
            f"speech encoder checkpoint {where} cannot be loaded: {str(error).splitlines()[0]}; "
            "give a folder with config.json and weights, or use family 'log_mel'"
        ) from None
