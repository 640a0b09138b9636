"""`bench features`."""

import dataclasses
import math
import tempfile
from pathlib import Path

from diffusiontalker.cli.verb import OptionalText, UsageError, Verb, say, working


@dataclasses.dataclass(frozen=True, kw_only=True)
class BenchFeatures(Verb):
    """Measures what precomputed features save: an epoch with a frozen speech encoder, and one that reads its features.

    The default teacher with a pretrained encoder, in this process. In the first epoch every clip is encoded, in the
    second its features are read from where the first has kept them.

    Examples:
        diffusiontalker bench features --corpus runs/grid_teacher/corpus
        diffusiontalker bench features --corpus runs/grid_teacher/corpus --checkpoint models/wavlm-base
    """

    corpus: str
    """Corpus to train on: a folder or URL."""
    checkpoint: OptionalText = None
    """Folder of a hubert, wav2vec2, wavlm or whisper checkpoint; by default a HuBERT of base size with random weights:
    as fast as the real one."""
    batch_size: int = 64
    """Windows of a step."""
    steps: int = 5
    """Steps that are timed; the median counts."""

    def run(self) -> None:
        """Trains, prints a table."""
        for name in ("batch_size", "steps"):
            if getattr(self, name) < 1:
                raise UsageError(f"--{name.replace('_', '-')} {getattr(self, name)}: expected at least 1")
        from diffusiontalker.data import Corpus, ReadingConfig
        from diffusiontalker.models import SpeechEncoderConfig, TalkerConfig
        from diffusiontalker.training import TimedTraining, TrainingConfig, time_trainings

        corpus = Corpus.open(self.corpus)
        epoch = math.ceil(corpus.info.splits["train"] / self.batch_size)
        with tempfile.TemporaryDirectory(prefix="diffusiontalker-") as folder, working("training"):
            checkpoint = self.checkpoint or _random_hubert(Path(folder) / "hubert")
            training = TrainingConfig(
                talker=TalkerConfig(encoder=SpeechEncoderConfig(family="hugging_face", checkpoint=checkpoint)),
                batch_size=self.batch_size,
                reading=ReadingConfig(memory_gb=math.inf),
                feature_cache=f"{folder}/features",
            )
            kinds = {"encoded": TimedTraining(config=training), "read": TimedTraining(config=training)}
            found = time_trainings(kinds, corpus, rounds=self.steps)
        say(f"an epoch: {corpus.info.splits['train']} clips, {epoch} steps of {self.batch_size} windows")
        say(f"{'features':10} {'made or read (s)':>17} {'a step (s)':>11} {'an epoch (s)':>13}")
        for name, taken in found.items():
            say(f"{name:10} {taken.preparation_s:17.1f} {taken.step_s:11.2f} {taken.total_s(epoch):13.1f}")
        say(f"an epoch is {found['encoded'].total_s(epoch) / found['read'].total_s(epoch):.1f} times cheaper")


def _random_hubert(folder: Path) -> str:
    """A checkpoint of the size of hubert-base-ls960."""
    import torch
    from transformers.models.hubert import HubertConfig, HubertModel

    torch.manual_seed(0)
    HubertModel(HubertConfig()).save_pretrained(folder)
    return str(folder)
