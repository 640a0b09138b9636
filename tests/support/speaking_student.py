"""A student that learnt, in half a minute, to open its mouth to speech: for tests that look at the face."""

from pathlib import Path

from diffusiontalker.config import from_plain
from diffusiontalker.data import Corpus
from diffusiontalker.data.synthetic import SyntheticCorpusConfig, synthesize_corpus
from diffusiontalker.inference import Bundle, SamplingConfig, save_bundle
from diffusiontalker.training import TrainingConfig, train

_CORPUS = SyntheticCorpusConfig(
    num_speakers=3, num_unseen_speakers=1, emotions=("neutral", "happy", "angry"), sentences_per_speaker_emotion=4
)
_TRAINING = {
    "num_steps": 150,
    "precision": "float32",
    "batch_size": 12,
    "checkpoint_every": 150,
    "talker": {
        "encoder": {"width": 48, "dilations": [1, 2, 4], "look_ahead_frames": 4, "dropout": 0.0},
        "personalizer": {"embedding_dim": 32, "personalized_dim": 32, "hidden_dim": 32, "num_heads": 2},
        "denoiser": {"width": 64, "dilations": [1, 2, 4, 8], "look_ahead_frames": 1, "dropout": 0.0},
    },
    "windows": {"seconds": 1.6, "reference_seconds": 1.6},
    "optimizer": {"warmup_steps": 10, "learning_rate": 4e-3, "ema_decay": 0.97},
}


def make_speaking_student(folder: Path) -> Path:
    """Trains one in the folder, and gives the folder of its bundle."""
    synthesize_corpus(folder / "corpus", _CORPUS)
    talker = train(from_plain(TrainingConfig, _TRAINING), Corpus.open(folder / "corpus"))
    save_bundle(
        Bundle(talker=talker, sampling=SamplingConfig(num_steps=2), card={"name": "speaking"}), folder / "bundle"
    )
    return folder / "bundle"
