"""What a corpus holds: minutes per speaker and split, and how much each channel moves."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from diffusiontalker.data import CorpusSummary
from diffusiontalker.evaluation.plots import style
from diffusiontalker.face.arkit import CHANNELS, LIP_CHANNELS

_MOST_SPEAKERS = 30
_REGIONS = ("mouth and jaw", "brows, eyes, cheeks, nose", "tongue")


def draw_corpus(summary: CorpusSummary) -> Figure:
    """Minutes by speaker, stacked by split, at the left; standard deviation of every channel at the right."""
    figure = Figure(figsize=(12.0, 7.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    _draw_minutes(left, summary)
    _draw_activity(right, summary)
    return figure


def _draw_minutes(axis: Axes, summary: CorpusSummary) -> None:
    minutes: dict[str, dict[str, float]] = {}
    for group in summary.groups:
        of_speaker = minutes.setdefault(group.speaker, {})
        of_speaker[group.split] = of_speaker.get(group.split, 0.0) + group.seconds / 60
    speakers = sorted(minutes, key=lambda speaker: -sum(minutes[speaker].values()))
    shown = speakers[:_MOST_SPEAKERS]
    begin = [0.0] * len(shown)
    for number, split in enumerate(summary.info.splits):
        lengths = [minutes[speaker].get(split, 0.0) for speaker in shown]
        axis.barh(range(len(shown)), lengths, left=begin, color=style.series(number), height=0.7, label=split)
        begin = [a + b for a, b in zip(begin, lengths, strict=True)]
    hidden = len(speakers) - len(shown)
    axis.set_title("minutes by speaker" + (f" (the {hidden} shortest are not shown)" if hidden else ""))
    axis.set_yticks(range(len(shown)), shown)
    axis.set_ylim(len(shown) - 0.4, -0.6)
    axis.set_xlabel("minutes")
    axis.grid(axis="y", visible=False)
    axis.legend(loc="lower right")


def _draw_activity(axis: Axes, summary: CorpusSummary) -> None:
    channels = sorted(summary.channels, key=lambda channel: -channel.std)
    regions = [_region(channel.name) for channel in channels]
    for number, region in enumerate(_REGIONS):
        rows = [row for row, own in enumerate(regions) if own == region]
        if rows:
            lengths = [channels[row].std for row in rows]
            axis.barh(rows, lengths, color=style.series(number), height=0.7, label=region)
    missing = set(summary.info.missing_channels)
    axis.set_title("how much each channel moves" + (f" ({style.MISSING})" if missing else ""))
    names = [style.marked(channel.name, missing) for channel in channels]
    axis.set_yticks(range(len(channels)), names, fontsize=7)
    axis.set_ylim(len(channels) - 0.4, -0.6)
    axis.set_xlabel("standard deviation (coefficient, 0 to 1)")
    axis.grid(axis="y", visible=False)
    axis.legend(loc="lower right")


def _region(name: str) -> str:
    lips = {CHANNELS[index] for index in LIP_CHANNELS}
    return "tongue" if name == "tongueOut" else "mouth and jaw" if name in lips else "brows, eyes, cheeks, nose"
