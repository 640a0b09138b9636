"""What the numbers say, in sentences: one headline and the checks that a reader should make."""

from collections.abc import Sequence
from typing import Any

Row = dict[str, Any]
Check = dict[str, Any]


def headline_and_checks(groups: Sequence[dict[str, Any]]) -> tuple[str, list[Check]]:
    """The headline about the first group's best row, and checks `{text, holds}` of its first talker."""
    rows: list[Row] = groups[0]["systems"]
    talkers = [row for row in rows if row["kind"] == "talker"]
    main = [row for row in talkers if row["family"] == talkers[0]["family"]]
    regressions = _regressions(talkers)
    rivals = [row for row in rows if row["kind"] == "control"] + regressions
    candidates = main or rivals
    if not candidates:
        return f"Only the truth was measured, on {_where(groups[0])}.", []
    best = min(candidates, key=lambda row: row["mae"])
    sentence = (
        f"On {_where(groups[0])}, {best['name']} follows the jaw with a correlation of "
        f"{_number(best['jaw_open_r'], 2)}, at a mean absolute error of {best['mae']:.4f} over all channels and a lip "
        f"vertex error of {best['lve_mm']:.2f} mm"
    )
    beside = [f"{row['name']} {row['mae']:.4f} and {row['lve_mm']:.2f} mm" for row in rivals if row is not best]
    sentence += f" (beside it: {', '.join(beside)})." if beside else "."
    if not main:
        return sentence, []
    checks = [_below(best, row, field) for row in rivals for field in ("lve_mm", "mae")]
    checks += _shuffled(main, rows)
    checks += _what_diffusion_adds(main, regressions)
    checks += _silence(best)
    return sentence, checks


def personalization_checks(content: dict[str, Any]) -> list[Check]:
    """Checks of a report's `personalizer` and `conditioning`, where there are speakers or emotions to tell apart."""
    checks: list[Check] = []
    scores, corpus = content.get("personalizer", {}), content["corpus"]
    for kind, labels, expected in (("identity", "speakers", 0.95), ("emotion", "emotions", 0.90)):
        accuracy = scores.get(f"{kind}_accuracy")
        if accuracy is not None and len(corpus[labels]) > 1:
            text = (
                f"Hears the {kind}: nearest prototype right for {accuracy:.1%} of {scores[f'{kind}_clips']} clips, "
                f"among {scores[f'{kind}_classes']} {labels} (expected: at least {expected:.0%})."
            )
            checks.append({"text": text, "holds": accuracy >= expected})
    panels: dict[str, list[dict[str, Any]]] = {}
    for row in content.get("conditioning", []):
        panels.setdefault(row["panel"], []).append(row)
    return checks + [_variants(panel, unchanged["variant"], others) for panel, (unchanged, *others) in panels.items()]


def _variants(panel: str, unchanged: str, others: Sequence[dict[str, Any]]) -> Check:
    """About the variant of a panel that does worst."""
    difference = min(row["upper_face_difference_to_first"] for row in others)
    correlations = [row["jaw_open_r_to_first"] for row in others]
    correlation = None if None in correlations else min(correlations)
    text = (
        f"Changes the face, not the words ({panel}; {len(others)} against '{unchanged}'): upper face differs by at "
        f"least {difference:.4f} (expected: more than 0.01), jawOpen correlation at least {_number(correlation, 2)} "
        "(expected: at least 0.9)."
    )
    return {"text": text, "holds": difference > 0.01 and correlation is not None and correlation >= 0.9}


def _regressions(talkers: Sequence[Row]) -> list[Row]:
    """Rows of the other talkers that are never sampled: each gives one answer."""
    sampled = {row["family"] for row in talkers if row["estimate"] == "one sample"}
    return [row for row in talkers if row["family"] not in {talkers[0]["family"], *sampled}]


def _where(group: dict[str, Any]) -> str:
    speakers = group["speakers"]
    of = f" of {speakers[0]}" if len(speakers) == 1 else f" of {len(speakers)} speakers"
    return f"{group['num_clips']} held-out clips ({group['split']}){of}"


def _below(best: Row, rival: Row, field: str) -> Check:
    label, digits, unit = {"lve_mm": ("lip vertex error", 2, " mm"), "mae": ("mean absolute error", 4, "")}[field]
    text = f"Lower {label} than {rival['name']}: {best[field]:.{digits}f} against {rival[field]:.{digits}f}{unit}."
    return {"text": text, "holds": best[field] < rival[field]}


def _shuffled(main: Sequence[Row], rows: Sequence[Row]) -> list[Check]:
    shuffled = [row for row in rows if row["kind"] == "shuffled" and row["family"] == main[0]["family"]]
    true = [row for row in main if row["estimate"] in ("one sample", "deterministic")]
    if not shuffled or not true or shuffled[0]["jaw_open_r"] is None or true[0]["jaw_open_r"] is None:
        return []
    mine, other = true[0]["jaw_open_r"], shuffled[0]["jaw_open_r"]
    text = (
        f"Hears the words, not only the timing: jawOpen correlation {mine:.2f} with its own audio, {other:.2f} with "
        "another clip's (expected: at least 0.1 lower)."
    )
    return [{"text": text, "holds": mine - other >= 0.1}]


def _what_diffusion_adds(main: Sequence[Row], regressions: Sequence[Row]) -> list[Check]:
    single = next((row for row in main if row["estimate"] == "one sample"), None)
    regression = next(iter(regressions), None)
    if single is None:
        return []
    checks = [{
        "text": "Differs from seed to seed: standard deviation over seeds "
        f"{single['diversity_upper']:.4f} in the upper face, {single['diversity_lips']:.4f} in lips and jaw "
        "(expected: more in the upper face, which speech decides less).",
        "holds": single["diversity_upper"] > single["diversity_lips"],
    }] if single["diversity_upper"] is not None else []  # fmt: skip
    if regression is None:
        return checks
    roughness = [row["jitter"] / max(row["jitter_truth"], 1e-12) for row in (single, regression)]
    return [
        *checks,
        {
            "text": f"Upper face as lively as the truth (|FDD|, 0 is equal): one sample {single['fdd_abs']:.2e} m², "
            f"{regression['name']} {regression['fdd_abs']:.2e} m².",
            "holds": single["fdd_abs"] < regression["fdd_abs"],
        },
        {
            "text": f"As rough as the truth (jitter over the truth's, 1 is equal): one sample {roughness[0]:.2f}, "
            f"{regression['name']} {roughness[1]:.2f}.",
            "holds": abs(roughness[0] - 1.0) < abs(roughness[1] - 1.0),
        },
    ]


def _silence(best: Row) -> list[Check]:
    if best["silence_closure"] is None:
        return []
    text = (
        f"Closes the mouth in silence: lips closed in {best['silence_closure']:.0%} of {best['silent_frames']} silent "
        f"frames, in the recordings {best['silence_closure_truth']:.0%} (expected: at most 5 points fewer)."
    )
    return [{"text": text, "holds": best["silence_closure"] >= best["silence_closure_truth"] - 0.05}]


def _number(value: float | None, digits: int) -> str:
    return "undefined" if value is None else f"{value:.{digits}f}"
