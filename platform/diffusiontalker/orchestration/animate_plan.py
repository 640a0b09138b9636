"""What a bulk animation is asked to do: its configuration, checked as a whole before anything is computed.

A wrong voice in the last row of a list is found here, not after an hour.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import torch

from diffusiontalker.config import ConfigError, expanded_path
from diffusiontalker.data import Recording, list_recordings, motion_names
from diffusiontalker.face import FORMATS, MOTION_FORMATS, load_rig
from diffusiontalker.inference import (
    ORDERS,
    AnimationError,
    BulkOrder,
    Bundle,
    EngineName,
    Style,
    Voice,
    VoiceError,
    check_engine,
    find_voice,
    load_bundle,
    resolve,
)
from diffusiontalker.orchestration.actor_pool import PoolConfig
from diffusiontalker.storage import INDEX_NAME, absolute_uri

MADE_WITH, FAILED, SUMMARY = "made_with.json", "failed.jsonl", "summary.json"
RESERVED = frozenset({MADE_WITH, FAILED, SUMMARY, INDEX_NAME, "config.yaml", "provenance.json"})
"""Files at the top of the output folder that are no motion."""
_MAX_FPS = 240.0


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class BulkConfig(PoolConfig):
    """Where a bulk animation runs: every actor holds the bundle in its memory."""

    batch_frames: int = 2400
    """Motion frames computed at once by an actor, padding included; a longer recording is computed alone."""

    def __post_init__(self) -> None:
        """Checks ranges."""
        PoolConfig.__post_init__(self)
        if self.batch_frames < 1:
            raise ValueError(f"batch_frames is {self.batch_frames}, expected at least 1")


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class AnimateJobConfig:
    """Everything about one bulk animation."""

    recordings: str = ""
    """Folder or URL whose recordings (wav, flac, ogg, mp3; subfolders too) are animated, or a .csv with the column
    audio and, as wanted, voice, emotion and seed. May name environment variables, as in ${RUNS}/speech."""
    bundle: str = ""
    """Trained talker: a folder or URL; may name environment variables."""
    name: str = "animation"
    """Name of the output folder under runs/."""
    motion_format: str = "csv"
    """Format of the motion files: csv, json, ndjson, npz, parquet, arrow, glb, usda, usdc, livelink (a recording of
    Live Link Face), beat (JSON of the BEAT corpus) or a2f (JSON of Audio2Face)."""
    voice: str | None = None
    """Whose way of moving where a list says nothing else: name or id of an enrolled voice, a voice file, or a speaker
    the talker was trained on. By default it is heard from each recording."""
    voices: str = "voices"
    """Enrolled voices: a folder or URL; may name environment variables."""
    emotion: str | None = None
    """Emotion where a list says nothing else; by default it is heard from each recording."""
    emotion_intensity: float = 1.0
    """How much of an emotion that was named: 0 is neutral, 1 as trained, up to 2 exaggerated."""
    seed: int = 0
    """Seed where a list says nothing else."""
    num_steps: int | None = None
    """Sampling steps; the bundle's own by default."""
    temperature: float | None = None
    """Variety: 0 gives the most likely motion; the bundle's own by default."""
    engine: EngineName = "auto"
    """What computes: onnx (float32 on CPUs), onnx-int8 (the fastest on CPUs, and not quite the same), torch (the
    reference), torch-bfloat16 (for hardware that has it); auto: onnx on CPUs, torch elsewhere."""
    fps: float | None = None
    """Frame rate of the motion files; the talker's own by default."""
    rig: str = ""
    """Head for .glb: path or URL of an .npz, a folder of OBJ files or a GLB with ARKit shapes; empty for the built-in
    one."""
    orchestration: BulkConfig = dataclasses.field(default_factory=BulkConfig)
    """Where to compute."""

    def __post_init__(self) -> None:
        """Checks names and ranges."""
        if not self.name or Path(self.name).name != self.name:
            raise ValueError(f"name is '{self.name}', expected a folder name such as 'animation'")
        if self.motion_format not in MOTION_FORMATS:
            raise ValueError(f"motion_format is '{self.motion_format}', expected one of {', '.join(MOTION_FORMATS)}")
        FORMATS[self.motion_format].require_installed()
        if self.fps is not None and not 1 <= self.fps <= _MAX_FPS:
            raise ValueError(f"fps is {self.fps:g}, expected 1 to {_MAX_FPS:g}, such as 25, 30 or 60")
        if self.num_steps is not None and self.num_steps < 1:
            raise ValueError(f"num_steps is {self.num_steps}, expected at least 1")
        if self.temperature is not None and not 0 <= self.temperature <= 10:
            raise ValueError(f"temperature is {self.temperature}, expected 0 to 10")
        if self.seed < 0:
            raise ValueError(f"seed is {self.seed}, expected a whole number from 0 up")


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class BulkPlan:
    """What is to be animated and how."""

    config: AnimateJobConfig
    """The job's, its paths absolute."""
    recordings: Mapping[str, Recording]
    """Path of a motion file below the output folder -> its recording."""
    voices: Mapping[str, Voice | str]
    """What each name of a voice stands for."""
    bundle_digest: str
    """Digest of the bundle that was checked."""

    @property
    def made_with(self) -> dict[str, Any]:
        """What decides the motion beside the configuration; plain data."""
        voices = {name: getattr(voice, "voice_id", voice) for name, voice in self.voices.items()}
        return {"bundle": self.bundle_digest, "voices": voices}

    def order(self, *, out: str) -> BulkOrder:
        """What every process that animates must know."""
        config, orchestration = self.config, self.config.orchestration
        return BulkOrder(
            bundle=config.bundle,
            bundle_digest=self.bundle_digest,
            voices=self.voices,
            out=out,
            motion_format=config.motion_format,
            batch_frames=orchestration.batch_frames,
            emotion_intensity=config.emotion_intensity,
            num_steps=config.num_steps,
            temperature=config.temperature,
            fps=config.fps,
            rig=config.rig,
            device=orchestration.device,
            num_threads=orchestration.cpus_per_actor,
            engine=config.engine,
        )

    def table(self, outputs: Sequence[str]) -> pa.Table:
        """The recordings of some motion files, as a `BulkAnimator` takes them."""
        rows = []
        for output in outputs:
            one = self.recordings[output]
            rows.append(
                {
                    "output": output,
                    "name": one.name,
                    "uri": one.uri,
                    "voice": one.voice or self.config.voice,
                    "emotion": one.emotion or self.config.emotion,
                    "seed": self.config.seed if one.seed is None else one.seed,
                }
            )
        return pa.Table.from_pylist(rows, schema=ORDERS)


def make_plan(config: AnimateJobConfig) -> BulkPlan:
    """Lists the recordings and checks everything they ask for.

    Raises:
        AnimationError: for an emotion that the bundle does not know, or an intensity out of range.
        BundleError: when the bundle cannot be loaded.
        ConfigError: without recordings or bundle, for a rig that cannot be used, or an environment variable that is
            not set.
        CorpusError: when recordings cannot be listed, or two would become one motion file.
        VoiceError: for a voice that is not found, or belongs to another bundle.
    """
    if not config.recordings or not config.bundle:
        missing = "bundle" if config.recordings else "recordings"
        raise ConfigError(f"{missing} is empty; say what to animate: --recordings FOLDER --bundle BUNDLE")
    places = {
        name: absolute_uri(expanded_path(getattr(config, name), field=name))
        for name in ("recordings", "bundle", "voices", "rig")
        if getattr(config, name)
    }
    config = dataclasses.replace(config, **places)
    check_engine(config.engine, config.orchestration.device)
    recordings = list_recordings(config.recordings)
    suffix = FORMATS[config.motion_format].suffix
    named = motion_names(recordings, motion_format=suffix.removeprefix("."), reserved=RESERVED)
    bundle = load_bundle(config.bundle)
    if config.rig:
        load_rig(config.rig)
    voices = _checked_voices(recordings, bundle, config)
    return BulkPlan(config=config, recordings=named, voices=voices, bundle_digest=bundle.digest)


def _checked_voices(
    recordings: Sequence[Recording], bundle: Bundle, config: AnimateJobConfig
) -> dict[str, Voice | str]:
    """Every voice that is asked for, found once; every pair of voice and emotion, tried once."""
    voices: dict[str, Voice | str] = {}
    tried = set()
    nobody = torch.zeros(bundle.talker.config.personalizer.embedding_dim)
    for recording in recordings:
        voice, emotion = recording.voice or config.voice, recording.emotion or config.emotion
        if (voice, emotion) in tried:
            continue
        tried.add((voice, emotion))
        try:
            if voice is not None and voice not in voices:
                voices[voice] = find_voice(voice, bundle=bundle, voices=config.voices)
            style = Style(
                voice=voices[voice] if voice is not None else None,
                emotion=emotion,
                emotion_intensity=config.emotion_intensity,
            )
            resolve(bundle, style, nobody, nobody)
        except (VoiceError, AnimationError) as error:
            column = "voice" if isinstance(error, VoiceError) else "emotion"
            is_listed = getattr(recording, column) is not None
            where = f"{recording.source}, column {column}" if is_listed else column
            raise type(error)(f"{where}: {error}") from None
    return voices
