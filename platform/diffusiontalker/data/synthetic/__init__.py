"""The synthetic corpus: espeak-ng speaks and its phoneme times drive a face.

For demos, tests and machines without data; knows nothing about models.
"""

from diffusiontalker.data.synthetic.generate import SyntheticCorpusConfig, speak, synthesize_corpus
from diffusiontalker.data.synthetic.performers import EMOTIONS, SPEAKER_NAMES

__all__ = ["EMOTIONS", "SPEAKER_NAMES", "SyntheticCorpusConfig", "speak", "synthesize_corpus"]
