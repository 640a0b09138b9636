"""Is it distillation that made the student good? The claims of the paper and its controls as checks `{text, holds}`.

Every check says its numbers, whether it holds or not.
"""

import dataclasses
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from diffusiontalker.evaluation.ablation import BY_FIELD, Contrast, Results, contrast
from diffusiontalker.evaluation.findings import Check, Row

SIZE_REDUCTION = 0.864
"""Share of the teacher's bytes that the student must save; the paper's 334 MB -> 45 MB of trainable parameters."""
SPEED_UP = 8.0
"""How many times faster the student must be; the paper's claim."""
LVE_FACTOR = 1.10
"""Most the student's lip vertex error may be, over the teacher's."""
VOICE_POINTS = 0.03
"""Most accuracy that enrolled voices may lose to the teacher's."""

_ERRORS = ("lve_m2", "eve_m2", "fdd_abs")


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Evidence:
    """Everything the checks look at."""

    teacher: str
    student: str
    rows: Mapping[str, Row]
    """System name -> row of the headline group."""
    results: Results
    """Bundle name, and `respaced` -> figures, over its trainings."""
    pool: Sequence[str]
    """Names whose repetitions stand in where two compared ones were not both repeated."""
    respaced: str
    """Name of the teacher's row in the student's number of steps."""
    enrolled: Mapping[str, Sequence[Sequence[Mapping[str, Any]]]]
    """Bundle name -> per training the scores per length of enrollment."""
    direct: str = ""
    """Name of the student trained on the data without a teacher."""
    without_enhancer: str = ""
    """Name of the student distilled without the personalizer enhancer."""


def comparison_headline(evidence: Evidence) -> str:
    """The paper's headline with our numbers."""
    teacher, student = evidence.rows[evidence.teacher], evidence.rows[evidence.student]
    saved = 1.0 - student["file_bytes"] / teacher["file_bytes"]
    faster = f", {_speed_up(evidence):.1f} times faster" if _speed_up(evidence) else ""
    errors = ", ".join(
        f"{BY_FIELD[field].heading} {BY_FIELD[field].text(_mean(evidence, evidence.teacher, field))} → "
        f"{BY_FIELD[field].amount(_mean(evidence, evidence.student, field))}"
        for field in _ERRORS
    )
    return (
        f"From {_named(teacher)} of {teacher['file_bytes'] / 1e6:.2f} MB to {_named(student)} of "
        f"{student['file_bytes'] / 1e6:.2f} MB: {-100 * saved:+.1f} % size{faster}; {errors}."
    )


def comparison_checks(evidence: Evidence) -> list[Check]:
    """All checks that the evidence allows, the paper's claims first."""
    checks = [_size(evidence), *_speed(evidence), _lip_error(evidence)]
    checks += [_no_worse(evidence, field) for field in ("eve_m2", "fdd_abs")]
    checks.append(_beats(evidence, evidence.respaced, claim="Distillation beats skipping steps", how="not distilled"))
    if evidence.direct:
        checks.append(_beats(evidence, evidence.direct, claim="Distillation beats training without a teacher"))
    if evidence.without_enhancer:
        checks += _enhancer(evidence)
    return checks + _enrolled_voices(evidence)


def _size(evidence: Evidence) -> Check:
    teacher, student = (evidence.rows[name] for name in (evidence.teacher, evidence.student))
    saved = 1.0 - student["file_bytes"] / teacher["file_bytes"]
    sizes = [f"{row['file_bytes'] / 1e6:.2f} MB ({row['precision']} as stored)" for row in (student, teacher)]
    text = (
        f"Smaller: {sizes[0]} instead of {sizes[1]}, {-100 * saved:+.1f} % (expected: {-100 * SIZE_REDUCTION:+.1f} % "
        f"or less); {student['parameters'] / 1e6:.2f} instead of {teacher['parameters'] / 1e6:.2f} million parameters, "
        f"{100 * (student['parameters'] / teacher['parameters'] - 1.0):+.1f} %."
    )
    return {"text": text, "holds": saved >= SIZE_REDUCTION}


def _speed(evidence: Evidence) -> list[Check]:
    faster = _speed_up(evidence)
    if faster is None:
        return []
    teacher, student = (evidence.rows[name] for name in (evidence.teacher, evidence.student))
    latency = student["latency"]
    text = (
        f"Faster: {student['frames_per_s']:,.0f} instead of {teacher['frames_per_s']:,.0f} frames/s, {faster:.1f} "
        f"times (expected: at least {SPEED_UP:g} times), from waveform to coefficients, measured in turns on "
        f"{latency['device']}, PyTorch threads: {latency['threads']}."
    )
    return [{"text": text, "holds": faster >= SPEED_UP}]


def _lip_error(evidence: Evidence) -> Check:
    held = _against(evidence, evidence.teacher, "lve_m2")
    factor = held.mine / held.other
    text = (
        f"Lips as good: {held.figure.heading} {held.figure.text(held.mine)} against the teacher's "
        f"{held.figure.amount(held.other)}, {factor:.2f} times (expected: at most {LVE_FACTOR:.2f} times), one sample "
        "against one sample."
    )
    return {"text": text, "holds": factor <= LVE_FACTOR}


def _no_worse(evidence: Evidence, field: str) -> Check:
    held = _against(evidence, evidence.teacher, field)
    text = (
        f"{held.figure.heading} no worse than the teacher's: {held.figure.text(held.mine)} against "
        f"{held.figure.amount(held.other)} ({held.difference_text}; expected: not above, with no allowance)."
    )
    return {"text": text, "holds": held.mine <= held.other}


def _beats(evidence: Evidence, rival: str, *, claim: str, how: str = "") -> Check:
    """Better in at least one of the errors, by more than the margin."""
    held = [_against(evidence, rival, field) for field in _ERRORS]
    named = ", ".join(part for part in (rival, how) if part)
    text = (
        f"{claim} ({named}): {_summary(held)}. {'; '.join(one.text for one in held)} "
        f"({_margins(held)}expected: better in at least one, beyond that)."
    )
    return {"text": text, "holds": any(one.verdict == "better" for one in held)}


def _enhancer(evidence: Evidence) -> list[Check]:
    """Another voice or emotion is recognized more often or moves the upper face more, and the lips pay nothing."""
    mine, other = (evidence.results[name] for name in (evidence.student, evidence.without_enhancer))
    checks = []
    for kind in ("voice", "emotion"):
        fields = (f"style_{kind}", f"displacement_{kind}")
        if any(field not in results for field in fields for results in (mine, other)):
            continue
        styles = [_against(evidence, evidence.without_enhancer, field) for field in fields]
        lips = _against(evidence, evidence.without_enhancer, "lve_m2")
        held = [lips, *styles]
        text = (
            f"The personalizer enhancer pays ({evidence.without_enhancer} does without): {_summary(held)}. "
            f"{'; '.join(one.text for one in held)}. Retrieval is {styles[0].figure.meaning}; displacement is "
            f"{styles[1].figure.meaning} ({_margins(held)}expected: one of the two better, neither worse, LVE not "
            "worse, beyond that). Retrieval reads mean and deviation over time, as the enhancer does while it teaches."
        )
        moves = any(one.verdict == "better" for one in styles)
        checks.append({"text": text, "holds": moves and all(one.verdict != "worse" for one in held)})
    return checks


def _enrolled_voices(evidence: Evidence) -> list[Check]:
    teacher, student = (_mean_accuracies(evidence.enrolled[name]) for name in (evidence.teacher, evidence.student))
    if not teacher:
        return []
    parts = [
        f"{seconds:g} s: {100 * student[seconds]:.1f} % against {100 * accuracy:.1f} %"
        for seconds, accuracy in teacher.items()
    ]
    text = (
        f"Enrolled voices are told apart as well as the teacher's: {'; '.join(parts)} of held-out clips nearest to "
        f"their own speaker (expected: at most {100 * VOICE_POINTS:g} points fewer)."
    )
    return [{"text": text, "holds": all(student[seconds] >= teacher[seconds] - VOICE_POINTS for seconds in teacher)}]


def _mean_accuracies(trainings: Sequence[Sequence[Mapping[str, Any]]]) -> dict[float, float]:
    """Seconds of enrollment -> accuracy, over trainings; lengths for which there was too little audio are absent."""
    lengths = [entry["seconds"] for entry in trainings[0] if entry["accuracy"] is not None]
    return {
        seconds: statistics.fmean(
            entry["accuracy"] for scores in trainings for entry in scores if entry["seconds"] == seconds
        )
        for seconds in lengths
    }


def _mean(evidence: Evidence, name: str, field: str) -> float:
    """Over trainings."""
    return evidence.results[name][field].mean


def _speed_up(evidence: Evidence) -> float | None:
    teacher, student = (evidence.rows[name]["rtf"] for name in (evidence.teacher, evidence.student))
    return None if teacher is None or student is None else teacher / student


def _against(evidence: Evidence, rival: str, field: str) -> Contrast:
    return contrast(field, evidence.results, mine=evidence.student, other=rival, pool=evidence.pool)


def _summary(held: Sequence[Contrast]) -> str:
    """Such as `better in |FDD|, worse in LVE and EVE`."""
    parts = []
    for verdict in ("better", "worse"):
        headings = [one.figure.heading for one in held if one.verdict == verdict]
        if headings:
            parts.append(f"{verdict} in {' and '.join(headings)}")
    return ", ".join(parts) or "no difference beyond chance"


def _margins(held: Sequence[Contrast]) -> str:
    """What the numbers after `±` are."""
    overs = list(dict.fromkeys(one.margin.over for one in held if one.margin.over != "nothing"))
    if not overs:
        return "nothing was repeated, so every difference counts; "
    return f"±: twice the standard error of the difference, over {' and '.join(overs)}; "


def _named(row: Row) -> str:
    steps = row["num_steps"]
    return f"{row['name']} ({steps} step{'s' if steps != 1 else ''})"
