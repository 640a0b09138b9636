"""`bench inference`: what engines do to accuracy: the lip error of held-out clips over that of the reference engine."""

from collections.abc import Sequence

from diffusiontalker.benchmarks.results import Group, Row
from diffusiontalker.benchmarks.students import Student
from diffusiontalker.data import Corpus
from diffusiontalker.evaluation import BundleSystem, EvaluationConfig, Stage, headline_figures
from diffusiontalker.face import builtin_rig

REFERENCE = "torch"
_WANTED = 1.01


def accuracy_group(students: Sequence[Student], corpus: Corpus, *, split: str = "test") -> Group:
    """LVE of every student, one sample of every clip with the same seeds; the reference is in its place among them.

    Args:
        students: with one on the reference engine for every size and number of steps.
        corpus: at the students' frame rate.
        split: its clips.

    Raises:
        EvaluationError: when the corpus lacks the split, or does not fit.
    """
    stage = Stage.open(corpus, rig=builtin_rig(), splits=(split,), config=EvaluationConfig(num_samples=1))
    errors = {one: _lip_error(stage, one) for one in students}
    references = {(one.size, one.steps): error for one, error in errors.items() if one.engine == REFERENCE}
    rows = []
    for one, error in errors.items():
        rows.append(Row(name=f"{one.name}: LVE (1e-5 m²)", unit="error", values=(error * 1e5,)))
        if one.engine != REFERENCE:
            ratio = error / references[one.size, one.steps]
            rows.append(Row(name=f"{one.name}: over {REFERENCE}", unit="times", values=(ratio,), wanted=_WANTED))
    about = f"Largest lip vertex error, mean over the frames of {len(stage.first_split)} clips of split '{split}'."
    return Group(title="Accuracy", about=about, rows=tuple(rows))


def _lip_error(stage: Stage, student: Student) -> float:
    return float(headline_figures(stage, BundleSystem(bundle=student.bundle, name=student.name))["lve_m2"])
