"""`evaluate`."""

import dataclasses
from pathlib import Path
from typing import Annotated

from tyro.conf import UseAppendAction

from diffusiontalker.cli.bundles import named_bundles
from diffusiontalker.cli.verb import OptionalText, Verb, flags, say, working
from diffusiontalker.config import from_plain, require_new

_COLUMNS = {"mae": ".4f", "jaw_open_r": ".3f", "lve_mm": ".2f", "rtf": ".3f"}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Evaluate(Verb):
    """Measures talkers on the held-out clips of a corpus, beside the controls, and writes a report.

    The controls (true motion, mean face, ridge regression, shuffled audio) are part of every report.

    Examples:
        diffusiontalker evaluate --corpus runs/demo/corpus --bundle runs/demo/bundle --out runs/demo/evaluation
        diffusiontalker evaluate --corpus grid --bundle teacher=runs/a/bundle --bundle student=runs/b/bundle --out new
    """

    corpus: str
    """Corpus to measure on: a folder or URL."""
    bundle: Annotated[tuple[str, ...], UseAppendAction]
    """A trained talker, a folder or URL, or NAME=FOLDER; may be given several times."""
    out: Path
    """Folder for report.html, report.json and pictures."""
    splits: tuple[str, ...] = ("test", "test_unseen_speaker")
    """Splits to measure on."""
    num_samples: int = 8
    """Takes per clip, with different seeds."""
    max_clips: int = 0
    """Clips used per split; 0 means all."""
    headline_speaker: str = ""
    """Speaker whose clips give the headline numbers; by default all of the first split."""
    report_clips: int = 3
    """Clips that the page plays, sound and faces inside it; 0 where the corpus must not be passed on."""
    rig: OptionalText = None
    """Head whose vertices are measured: path or URL of an .npz, a folder of OBJ files or a GLB; by default built in."""
    device: str = "cpu"
    """Where to compute: cpu, cuda, cuda:1 ..."""

    def run(self) -> None:
        """Loads everything, evaluates, prints a small table and where the report lies."""
        require_new(self.out, remedy="choose another --out")
        folders = named_bundles(self.bundle)
        from diffusiontalker.data import Corpus
        from diffusiontalker.evaluation import EvaluationConfig, evaluate, results_table, standard_systems
        from diffusiontalker.face import load_rig
        from diffusiontalker.inference import load_bundle

        config = from_plain(EvaluationConfig, flags(self, EvaluationConfig), source="flags")
        corpus = Corpus.open(self.corpus)
        bundles = {name: load_bundle(folder, device=self.device) for name, folder in folders.items()}
        rig = load_rig(self.rig)
        with working(f"measuring on {self.corpus}"):
            systems = standard_systems(corpus, bundles)
            report = evaluate(corpus, systems, rig=rig, out=self.out, splits=self.splits, config=config)
        say(results_table(report.rows(), columns=_COLUMNS))
        say(f"wrote {self.out / 'report.html'} and {self.out / 'report.json'}")
