"""Sound: decoding within limits, frame arithmetic, log-mel spectrograms, augmentation."""

from diffusiontalker.audio import timebase
from diffusiontalker.audio.augment import AugmentConfig, add_noise, change_gain, change_speed
from diffusiontalker.audio.log_mel import MEL_FPS, NUM_MELS, log_mel
from diffusiontalker.audio.timebase import SAMPLE_RATE_HZ, SPEECH_FPS

__all__ = [
    "MEL_FPS",
    "NUM_MELS",
    "SAMPLE_RATE_HZ",
    "SPEECH_FPS",
    "AugmentConfig",
    "add_noise",
    "change_gain",
    "change_speed",
    "log_mel",
    "timebase",
]
