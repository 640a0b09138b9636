"""Networks: speech encoders, the contrastive personalizer, the denoiser, and the talker that joins them."""

from diffusiontalker.models.blocks import Context, ConvBlock, conv_blocks, frame_mask, total_context
from diffusiontalker.models.denoiser import Denoiser, DenoiserConfig
from diffusiontalker.models.personalizer import AttentiveStatistics, Personalizer, PersonalizerConfig
from diffusiontalker.models.speech_encoder import (
    HuggingFaceEncoder,
    LogMelEncoder,
    SpeechEncoder,
    SpeechEncoderConfig,
    build_speech_encoder,
)
from diffusiontalker.models.talker import ChannelStatistics, Talker, TalkerConfig

__all__ = [
    "AttentiveStatistics",
    "ChannelStatistics",
    "Context",
    "ConvBlock",
    "Denoiser",
    "DenoiserConfig",
    "HuggingFaceEncoder",
    "LogMelEncoder",
    "Personalizer",
    "PersonalizerConfig",
    "SpeechEncoder",
    "SpeechEncoderConfig",
    "Talker",
    "TalkerConfig",
    "build_speech_encoder",
    "conv_blocks",
    "frame_mask",
    "total_context",
]
