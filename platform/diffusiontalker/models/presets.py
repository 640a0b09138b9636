"""Sizes of students: networks that a teacher is distilled into, from desktop to phone.

All embed voices in 128 numbers, as the default teacher does, so the sizes differ in depth and width only. No dropout: a
teacher gives a student as many targets as there is speech, so there is nothing to overfit.
"""

from diffusiontalker.models.denoiser import DenoiserConfig
from diffusiontalker.models.personalizer import PersonalizerConfig
from diffusiontalker.models.speech_encoder import SpeechEncoderConfig
from diffusiontalker.models.talker import TalkerConfig

STUDENT_SIZES: dict[str, TalkerConfig] = {
    "base": TalkerConfig(
        encoder=SpeechEncoderConfig(width=320, dilations=(1, 2, 4, 1, 2, 4), dropout=0.0),
        personalizer=PersonalizerConfig(embedding_dim=128, hidden_dim=128, personalized_dim=128),
        denoiser=DenoiserConfig(width=352, dilations=(1, 2, 4, 8, 1, 2, 4, 8), dropout=0.0),
    ),
    "small": TalkerConfig(
        encoder=SpeechEncoderConfig(width=176, dilations=(1, 2, 4, 1, 2, 4), dropout=0.0),
        personalizer=PersonalizerConfig(embedding_dim=128, hidden_dim=128, personalized_dim=128),
        denoiser=DenoiserConfig(width=160, dilations=(1, 2, 4, 8, 1, 2, 4, 8), dropout=0.0),
    ),
    "nano": TalkerConfig(
        encoder=SpeechEncoderConfig(width=144, dilations=(1, 2, 4, 1, 2, 4), dropout=0.0),
        personalizer=PersonalizerConfig(embedding_dim=128, hidden_dim=64, personalized_dim=64),
        denoiser=DenoiserConfig(width=144, dilations=(1, 2, 4, 8, 1, 2), dropout=0.0),
    ),
}
"""Size -> network. Bundles of 20 speakers, 8 emotions and 52 channels measure 20.6, 5.4 and 3.3 MB stored in float16,
41.1, 10.8 and 6.5 MB in float32. In half precision nano is below the smallest published student (3.4 MB)."""
