"""Sound: decoding within limits, frame arithmetic, log-mel spectrograms, augmentation.

Only `audio.log_mel` needs torch, so it is imported by whoever computes spectrograms: clients and files of motion do
without.
"""

from diffusiontalker.audio import timebase
from diffusiontalker.audio.augment import AugmentConfig, add_noise, change_gain, change_speed
from diffusiontalker.audio.timebase import SAMPLE_RATE_HZ, SPEECH_FPS

__all__ = [
    "SAMPLE_RATE_HZ",
    "SPEECH_FPS",
    "AugmentConfig",
    "add_noise",
    "change_gain",
    "change_speed",
    "timebase",
]
