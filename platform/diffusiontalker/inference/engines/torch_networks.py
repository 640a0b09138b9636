"""A talker's networks in PyTorch: the reference."""

import itertools

import torch
from torch import Tensor

from diffusiontalker.diffusion import ddim_step, time_grid, to_clean
from diffusiontalker.inference.stream_memory import (
    block_states,
    encoder_shapes,
    encoder_state,
    packed,
    step_shapes,
    tensors_of,
    unpacked,
)
from diffusiontalker.models import LogMelEncoder, Precision, Talker, autocast


class TorchNetworks:
    """See `Networks`.

    Args:
        talker: in eval mode.
        precision: of products; what comes out is float32.
    """

    is_serial = False

    def __init__(self, talker: Talker, *, precision: Precision) -> None:
        self._talker = talker
        self._precision: Precision = precision

    def encode(self, waveforms: Tensor, num_samples: Tensor) -> Tensor:
        """See `Networks`."""
        with self._arithmetic():
            return self._talker.encoder(waveforms, num_samples).float()

    def denoise(self, noisy: Tensor, time: Tensor, features: Tensor, personalized: Tensor, mask: Tensor) -> Tensor:
        """See `Networks`."""
        with self._arithmetic():
            return self._talker.denoiser(noisy, time, features, personalized, mask).float()

    def hear(self, mels: Tensor, mask: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        """See `Networks`."""
        encoder = self._talker.encoder
        assert isinstance(encoder, LogMelEncoder)
        past = encoder_state(unpacked(rows, encoder_shapes(encoder)))
        with self._arithmetic():
            features, _, state = encoder.advance(mels, mask, past)
        return features.float(), packed([state.mels, state.mask, *tensors_of(state.blocks)])

    def style(self, personalized: Tensor, *, num_steps: int) -> Tensor:
        """See `Networks`: the personalized embedding itself."""
        return personalized

    def move(
        self, noisy: Tensor, features: Tensor, mask: Tensor, styles: Tensor, rows: Tensor, *, num_steps: int
    ) -> tuple[Tensor, Tensor]:
        """See `Networks`."""
        talker, frames = self._talker, noisy.shape[1]
        past = iter(unpacked(rows, step_shapes(talker) * num_steps))
        after: list[Tensor] = []
        for now, then in itertools.pairwise(time_grid(num_steps)):
            time, next_time = (noisy.new_full((len(noisy),), value) for value in (now, then))
            noisy_before, features_before = next(past), next(past)
            blocks = block_states(past, len(talker.denoiser.blocks))
            with self._arithmetic():
                output, mask, states = talker.denoiser.advance(noisy, time, features, styles, mask, blocks)
            noisy, features = (torch.cat(pair, dim=1) for pair in ((noisy_before, noisy), (features_before, features)))
            after += [noisy[:, frames:], features[:, frames:], *tensors_of(states)]
            noisy, features = noisy[:, :frames], features[:, :frames]
            clean = to_clean(output.float(), noisy, time, prediction=talker.config.diffusion.prediction)
            noisy = ddim_step(noisy, clean, time, next_time)
        return noisy, packed(after)

    def _arithmetic(self) -> torch.autocast:
        return autocast(self._precision, self._talker.statistics.mean.device)
