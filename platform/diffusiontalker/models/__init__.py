"""Networks: speech encoders, the contrastive personalizer, the denoiser, and the talker that joins them."""

from diffusiontalker.models.blocks import BlockState, Context, ConvBlock, conv_blocks, frame_mask, total_context
from diffusiontalker.models.denoiser import Denoiser, DenoiserConfig
from diffusiontalker.models.motion_encoder import MotionEncoder, StyleEncoder
from diffusiontalker.models.personalizer import AttentiveStatistics, Personalizer, PersonalizerConfig
from diffusiontalker.models.precision import Precision, autocast, cpu_has
from diffusiontalker.models.presets import STUDENT_SIZES
from diffusiontalker.models.speech_encoder import (
    EncoderState,
    HuggingFaceEncoder,
    LogMelEncoder,
    SpeechEncoder,
    SpeechEncoderConfig,
    build_speech_encoder,
)
from diffusiontalker.models.talker import ChannelStatistics, Talker, TalkerConfig

__all__ = [
    "STUDENT_SIZES",
    "AttentiveStatistics",
    "BlockState",
    "ChannelStatistics",
    "Context",
    "ConvBlock",
    "Denoiser",
    "DenoiserConfig",
    "EncoderState",
    "HuggingFaceEncoder",
    "LogMelEncoder",
    "MotionEncoder",
    "Personalizer",
    "PersonalizerConfig",
    "Precision",
    "SpeechEncoder",
    "SpeechEncoderConfig",
    "StyleEncoder",
    "Talker",
    "TalkerConfig",
    "autocast",
    "build_speech_encoder",
    "conv_blocks",
    "cpu_has",
    "frame_mask",
    "total_context",
]
