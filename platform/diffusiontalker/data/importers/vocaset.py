"""VOCASET: heads of 5023 vertices at 60 fps, their sound, and each subject's head at rest; official split by subject.

Motion is how far every vertex lies from the subject's head at rest, in metres, one channel per vertex and axis. The
heads at rest go into the corpus as `templates.npz`, one (vertices, 3) array per subject: head + motion = vertices.
"""

import dataclasses
import functools
import io
import itertools
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from diffusiontalker.audio.waveform import read_waveform
from diffusiontalker.config import counted
from diffusiontalker.data.clip import CorpusError
from diffusiontalker.data.importers.pickles import read_pickle
from diffusiontalker.data.importers.source import ClipList, ClipSource, RecordedClip, UnusableClip, shown
from diffusiontalker.face import MotionClip, MotionError

FPS = 60.0
VERTICES_NAME, INDEX_NAME = "data_verts.npy", "subj_seq_to_idx.pkl"
AUDIO_NAME, TEMPLATES_NAME = "raw_audio_fixed.pkl", "templates.pkl"
TEMPLATES_DOCUMENT = "templates.npz"
"""What the heads at rest are called beside the shards of the corpus."""

_MAX_DISPLACEMENT_M = 0.1
"""No point of a face moves further from rest; beyond it the unit or the head is wrong."""
_SPLITS: dict[str, str] = {
    f"FaceTalk_{subject}_TA": split
    for split, subjects in {
        "train": "170728_03272 170904_00128 170725_00137 170915_00223 170811_03274 170913_03279 170904_03276 "
        "170912_03278",
        "validation": "170811_03275 170908_03277",
        "test": "170809_00138 170731_00024",
    }.items()
    for subject in subjects.split()
}
_SENTENCES = {"train": range(1, 41), "validation": range(21, 41), "test": range(21, 41)}


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class VocasetClip(ClipSource):
    """A sentence of a subject."""

    folder: Path
    """Where the four files are."""
    sequence: str
    """Name of the sentence."""
    rows: tuple[int, ...]
    """Row of `data_verts.npy` for each frame."""
    num_vertices: int
    """Vertices of a head."""

    def read(self) -> RecordedClip:
        """Sound and displacements. The sound of all sentences is one file: a process reads it once and keeps it."""
        template = _cached(self.folder / TEMPLATES_NAME)[self.speaker]
        vertices = _open_vertices(self.folder / VERTICES_NAME)[list(self.rows)]
        with np.errstate(invalid="ignore", over="ignore"):  # what is not finite is told by its place
            displacements = vertices.astype(np.float64) - np.asarray(template, dtype=np.float64)
        self._check(displacements)
        motion = MotionClip(
            coefficients=displacements.reshape(len(self.rows), -1),
            fps=FPS,
            channel_names=vertex_channel_names(self.num_vertices),
        )
        return RecordedClip(waveform=self._waveform(), motion=motion)

    def _check(self, displacements: np.ndarray) -> None:
        bad = np.argwhere(~(np.abs(displacements) <= _MAX_DISPLACEMENT_M))
        if len(bad):
            frame, vertex, axis = bad[0]
            raise MotionError(
                f"{self.folder / VERTICES_NAME}: row {self.rows[frame]} (counted from 0; frame {frame} of the clip), "
                f"vertex {vertex}, axis {'xyz'[axis]} lies {displacements[frame, vertex, axis]:.3g} m from the head at "
                f"rest in {TEMPLATES_NAME}, expected at most {_MAX_DISPLACEMENT_M:g} m; convert both to metres, or "
                "drop the clip"
            )

    def _waveform(self) -> np.ndarray:
        path = self.folder / AUDIO_NAME
        place = f"{path}: subject '{self.speaker}', sequence '{self.sequence}'"
        sounds = _cached(path)
        try:
            entry = sounds[self.speaker][self.sequence]
            samples, rate_hz = np.asarray(entry["audio"]), int(entry["sample_rate"])
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise CorpusError(
                f"{place}: has no audio and sample_rate ({type(error).__name__}: {error}); copy the corpus again"
            ) from None
        if samples.ndim != 1 or samples.dtype not in (np.int16, np.float32, np.float64):
            raise CorpusError(
                f"{place}: audio is {samples.dtype} {samples.shape}, expected int16 or float (samples,); copy the "
                "corpus again"
            )
        if rate_hz <= 0:
            raise CorpusError(f"{place}: sample_rate is {rate_hz}, expected Hz such as 22000; copy the corpus again")
        buffer = io.BytesIO()
        subtype = "PCM_16" if samples.dtype == np.int16 else "FLOAT"
        soundfile.write(buffer, samples, rate_hz, format="WAV", subtype=subtype)
        return read_waveform(buffer.getvalue(), name=place)


def list_vocaset(folder: Path) -> ClipList:
    """The sentences of the official split, by subject and name; the others are left out with a note.

    Raises:
        CorpusError: when a file is missing or damaged, or no sentence is in the split.
    """
    index, templates = _cached(folder / INDEX_NAME), _cached(folder / TEMPLATES_NAME)
    if not (folder / AUDIO_NAME).is_file():
        raise CorpusError(f"{folder / AUDIO_NAME}: there is no such file; copy the whole corpus")
    num_rows, num_vertices = _open_vertices(folder / VERTICES_NAME).shape[:2]
    for name, content in ((INDEX_NAME, index), (TEMPLATES_NAME, templates)):
        _check_named(content, f"{folder / name}:", by="subject")
    names = vertex_channel_names(num_vertices)
    clips: list[ClipSource] = []
    left_out = []
    for subject in sorted(index):
        _check_named(index[subject], f"{folder / INDEX_NAME}: subject '{subject}'", by="sequence")
        for sequence in sorted(index[subject]):
            clip_id, split = f"{subject}_{sequence}", _split(subject, sequence)
            if split is None:
                left_out.append(clip_id)
                continue
            labels = {"clip_id": clip_id, "speaker": subject, "emotion": "neutral", "split": split}
            source = f"{INDEX_NAME}, subject '{subject}', sequence '{sequence}'"
            rows, problem = _rows(index[subject][sequence], num_rows=num_rows)
            problem = problem or _template_problem(templates.get(subject), subject, num_vertices=num_vertices)
            clips.append(
                UnusableClip(**labels, source=source, reason=problem)
                if problem
                else VocasetClip(
                    **labels, source=source, folder=folder, sequence=sequence, rows=rows, num_vertices=num_vertices
                )
            )
    if not clips:
        raise CorpusError(f"{folder}: none of its subjects {shown(sorted(index))} is in the official split")
    return ClipList(
        format="vocaset",
        clips=tuple(clips),
        channel_names=names,
        notes=tuple(_notes(left_out)),
        documents={TEMPLATES_DOCUMENT: _templates(templates, clips)},
    )


@functools.lru_cache(maxsize=2)
def vertex_channel_names(num_vertices: int) -> tuple[str, ...]:
    """`v0000_x`, `v0000_y`, `v0000_z`, `v0001_x` ...: the channels of a face that is told by its vertices."""
    return tuple(f"v{vertex:04d}_{axis}" for vertex in range(num_vertices) for axis in "xyz")


def _cached(path: Path) -> Any:
    """`read_pickle`, once per process and file."""
    try:
        state = path.stat()
    except FileNotFoundError:
        raise CorpusError(f"{path}: there is no such file; copy the whole corpus") from None
    return _read_once(path, state.st_mtime_ns, state.st_size)


@functools.lru_cache(maxsize=4)
def _read_once(path: Path, changed_ns: int, num_bytes: int) -> Any:
    return read_pickle(path)


def _open_vertices(path: Path) -> np.ndarray:
    """(frames, vertices, 3), read from the file only where it is looked at."""
    try:
        vertices = np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        raise CorpusError(f"{path}: there is no such file; copy the whole corpus") from None
    except Exception as error:  # a damaged header raises whatever Python makes of its text
        problem = "it is cut off" if "mmap length" in str(error) else str(error)
        raise CorpusError(f"{path}: cannot be read as NPY without pickle ({problem}); copy the corpus again") from None
    is_array = isinstance(vertices, np.ndarray)
    if not is_array or vertices.ndim != 3 or vertices.shape[2] != 3 or vertices.dtype.kind != "f":
        what = f"{vertices.dtype} {vertices.shape}" if is_array else "an archive"
        raise CorpusError(f"{path}: holds {what}, expected floats (frames, vertices, 3); copy the corpus again")
    return vertices


def _split(subject: str, sequence: str) -> str | None:
    split = _SPLITS.get(subject)
    number = re.fullmatch(r"sentence([0-9]+)", sequence)
    return split if split and number and int(number[1]) in _SENTENCES[split] else None


def _rows(frames: Any, *, num_rows: int) -> tuple[tuple[int, ...], str]:
    """The rows of a sentence in order of its frames, and what is wrong with them."""
    if not isinstance(frames, Mapping) or not frames:
        return (), f"holds a {type(frames).__name__} without frames, expected a dictionary frame -> row"
    if not all(isinstance(number, int | np.integer) for number in frames):
        return (), "has a frame whose number is no whole number; copy the corpus again"
    numbers = sorted(frames)
    jump = next((number for before, number in itertools.pairwise(numbers) if number != before + 1), None)
    if jump is not None:
        return (), f"frame {jump} does not follow the one before it; a frame is missing, drop the sentence"
    wrong = next((number for number in numbers if not _is_row(frames[number], num_rows=num_rows)), None)
    if wrong is not None:
        has = f"{VERTICES_NAME}, which has {num_rows}"
        return (), f"frame {wrong} is row {frames[wrong]} of {has}; copy the corpus again"
    return tuple(int(frames[number]) for number in numbers), ""


def _is_row(value: Any, *, num_rows: int) -> bool:
    return isinstance(value, int | np.integer) and 0 <= int(value) < num_rows


def _template_problem(template: Any, subject: str, *, num_vertices: int) -> str:
    if template is None:
        return f"{TEMPLATES_NAME} has no subject '{subject}'; copy the corpus again"
    shape = np.shape(template)
    if shape != (num_vertices, 3) or not np.isfinite(np.asarray(template, dtype=np.float64)).all():
        expected = f"finite ({num_vertices}, 3)"
        return f"{TEMPLATES_NAME}, subject '{subject}': holds {shape}, expected {expected}; copy the corpus again"
    return ""


def _templates(templates: Mapping[str, Any], clips: list[ClipSource]) -> bytes:
    subjects = sorted({clip.speaker for clip in clips if isinstance(clip, VocasetClip)})
    buffer = io.BytesIO()
    heads: dict[str, Any] = {subject: np.asarray(templates[subject], dtype=np.float32) for subject in subjects}
    np.savez(buffer, **heads)
    return buffer.getvalue()


def _check_named(value: Any, place: str, *, by: str) -> None:
    if not isinstance(value, Mapping) or not all(isinstance(name, str) for name in value):
        what = f"a {type(value).__name__}" if not isinstance(value, Mapping) else "names that are no text"
        raise CorpusError(f"{place} holds {what}, expected a dictionary by {by}; copy the corpus again")


def _notes(left_out: list[str]) -> Iterator[str]:
    if left_out:
        yield f"{counted(len(left_out), 'sentence')} left out, not in the official split: {shown(left_out)}"
