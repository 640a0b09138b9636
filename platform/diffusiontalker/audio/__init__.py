"""Sound: decoding within limits, frame arithmetic, log-mel spectrograms, augmentation."""

from diffusiontalker.audio import timebase
from diffusiontalker.audio.augment import AugmentConfig, add_noise, change_gain, change_speed
from diffusiontalker.audio.log_mel import (
    HOP_SAMPLES,
    MEL_FPS,
    NUM_MELS,
    WINDOW_SAMPLES,
    log_mel,
    log_mel_of_windows,
)
from diffusiontalker.audio.timebase import SAMPLE_RATE_HZ, SPEECH_FPS

__all__ = [
    "HOP_SAMPLES",
    "MEL_FPS",
    "NUM_MELS",
    "SAMPLE_RATE_HZ",
    "SPEECH_FPS",
    "WINDOW_SAMPLES",
    "AugmentConfig",
    "add_noise",
    "change_gain",
    "change_speed",
    "log_mel",
    "log_mel_of_windows",
    "timebase",
]
