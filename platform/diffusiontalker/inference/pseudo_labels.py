"""Pseudo labels: a teacher animates speech that has no face, and the result is an ordinary corpus to train on.

Distillation needs audio only, so any speech helps; a small student needs much of it.
Source: "Tiny is not small enough: high quality, low-resource facial animation models through hybrid knowledge
distillation", ACM TOG 2025.
"""

import dataclasses
import itertools
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from diffusiontalker.audio.waveform import CLIP_LIMITS, encode_flac, read_waveform
from diffusiontalker.data import MIN_SCALE, TEACHER_GENERATOR, Clip, CorpusInfo, CorpusWriter, SpeechFolder, SpeechPiece
from diffusiontalker.inference.bundle import Bundle
from diffusiontalker.inference.pipeline import animate_batch

UNLABELLED = "unlabelled"
"""Emotion of every clip, and first part of every speaker's name: names that no talker has a prototype for."""

_BATCH_SIZE = 8


def pseudo_label(
    bundle: Bundle,
    recordings: SpeechFolder,
    out_uri: str | Path,
    *,
    seed: int = 0,
    on_progress: Callable[[int, int], None] | None = None,
) -> CorpusInfo:
    """Writes a corpus of the recordings with the motion that the bundle gives them, all of it in split `train`.

    Every piece is animated with the bundle's own number of steps, in the style heard from the piece itself, with the
    seed `piece_seed` gives. Speakers are named after the folders of the files and never as a speaker the bundle knows.

    Args:
        bundle: the teacher.
        recordings: speech without faces.
        out_uri: where the corpus goes, a local path or URL; must not exist.
        seed: another seed gives another take of every piece.
        on_progress: called with (files begun, files in all).

    Raises:
        CorpusError: when the destination is unusable, or no recording can be read; nothing is written then.
    """
    talker = bundle.talker
    mark = _unknown_name(known={*talker.speakers, *talker.emotions})
    source = {
        "generator": TEACHER_GENERATOR,
        "teacher_digest": bundle.digest,
        "folder": recordings.path.resolve().name,
        "seed": seed,
    }
    settings = {"motion_fps": talker.motion_fps, "channel_names": talker.channel_names, "source": source}
    with CorpusWriter.create(out_uri, **settings) as writer:
        writer.missing_channels.update(_unlearnt_channels(bundle))
        pieces = recordings.pieces()
        while batch := list(itertools.islice(pieces, _BATCH_SIZE)):
            for clip in _labelled(bundle, batch, mark=mark, seed=seed):
                writer.add(clip)
            if on_progress:
                on_progress(batch[-1].file_index + 1, len(recordings.files))
    return writer.info


def piece_seed(piece_name: str, *, seed: int) -> int:
    """The seed of one piece: another one for every piece, whatever else lies in the folder."""
    return zlib.crc32(f"{seed}/{piece_name}".encode())


def _labelled(bundle: Bundle, pieces: Iterable[SpeechPiece], *, mark: str, seed: int) -> list[Clip]:
    # The teacher hears what the corpus stores: samples rounded to 16 bits.
    pieces = [dataclasses.replace(piece, waveform=_as_stored(piece.waveform)) for piece in pieces]
    seeds = [piece_seed(piece.name, seed=seed) for piece in pieces]
    motions = animate_batch(bundle, [piece.waveform for piece in pieces], seeds=seeds)
    return [
        Clip(
            clip_id=piece.name,
            waveform=piece.waveform,
            motion=motion,
            speaker=f"{mark}/{piece.folder or piece.name.partition('#')[0]}",
            emotion=mark,
            split="train",
        )
        for piece, motion in zip(pieces, motions, strict=True)
    ]


def _as_stored(waveform: np.ndarray) -> np.ndarray:
    return read_waveform(encode_flac(waveform), limits=CLIP_LIMITS)


def _unknown_name(*, known: Iterable[str]) -> str:
    """A name that begins none of the known ones, so that nothing made from it is known."""
    name = UNLABELLED
    while any(other.startswith(name) for other in known):
        name += "+"
    return name


def _unlearnt_channels(bundle: Bundle) -> list[str]:
    """Channels that never moved in the teacher's own corpus: 0 throughout, so it has learnt nothing about them."""
    statistics = bundle.talker.statistics
    is_unlearnt = ((statistics.mean == 0.0) & (statistics.scale <= np.float32(MIN_SCALE))).tolist()
    return list(itertools.compress(bundle.talker.channel_names, is_unlearnt))
