"""What goes over HTTP, as pydantic models: the OpenAPI page is made from them."""

import contextlib
from typing import Annotated, Any, Literal, get_args

from fastapi import Query
from pydantic import BaseModel, ConfigDict, Field

from diffusiontalker.face import FORMATS, MOTION_FORMATS, MotionError
from diffusiontalker.inference import Voice
from diffusiontalker.serving.voice_registry import VoiceEntry

MEDIA_TYPES = {name: FORMATS[name].media_type for name in MOTION_FORMATS}
MotionFormatName = Literal[
    "csv", "json", "ndjson", "npz", "parquet", "arrow", "glb", "usda", "usdc", "livelink", "beat", "a2f"
]
assert get_args(MotionFormatName) == MOTION_FORMATS


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ErrorDetail(BaseModel):
    """What went wrong."""

    code: str = Field(description="Cause, for programs.", examples=["bad_audio"])
    message: str = Field(description="For people: what was given, what is allowed, what to do next.")
    retry_after_s: float | None = Field(default=None, description="When to try again, in seconds.")


class ErrorBody(BaseModel):
    """The one shape of errors."""

    error: ErrorDetail


ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"model": ErrorBody, "description": meaning}
    for status, meaning in {
        400: "Malformed request or audio",
        401: "No key, or an unknown one",
        403: "A key that is switched off",
        404: "Unknown student, voice or path",
        408: "The client was too slow",
        409: "The voice exists already",
        413: "Too large or too long",
        415: "Unknown audio format",
        422: "A parameter out of range",
        429: "Busy; see Retry-After",
        503: "Starting or shutting down",
    }.items()
}


_STUDENT = "One of `students` of /v1/bundle; default: the first."
StudentName = Annotated[str | None, Query(max_length=200, description=_STUDENT)]
"""The parameter `student` of a URL."""


class StyleParameters(_Strict):
    """Which student animates, who speaks and how they feel, and which of the possible animations."""

    student: str | None = Field(default=None, max_length=200, description=_STUDENT)
    voice: str | None = Field(
        default=None,
        max_length=200,
        description="Id of an enrolled voice, or a speaker of the bundle; default: the audio's.",
    )
    emotion: str | None = Field(default=None, max_length=100, description="One of the bundle's, see /v1/bundle.")
    emotion_intensity: float = Field(default=1.0, ge=0.0, le=2.0, description="0 neutral, 1 as trained, 2 exaggerated.")
    num_steps: int | None = Field(default=None, ge=1, le=64, description="Diffusion steps; default: the bundle's.")
    temperature: float | None = Field(default=None, ge=0.0, le=4.0, description="Variety; default: the bundle's.")
    seed: int = Field(default=0, ge=-(2**63), lt=2**63, description="Another seed gives another take.")


class AnimationParameters(StyleParameters):
    """Of `POST /v1/animations`."""

    fps: float | None = Field(default=None, ge=1.0, le=1000.0, description="Frame rate; default: the bundle's.")
    format: MotionFormatName = Field(
        default="json",
        description="Channel names and frame rate are inside all of them. livelink: a recording of Live Link Face; "
        "beat: JSON of the BEAT corpus; a2f: JSON of Audio2Face.",
    )


class StreamStart(StyleParameters):
    """First message of `/v1/stream`."""

    type: Literal["start"] = "start"
    sample_rate_hz: int = Field(default=16_000, gt=0)
    channels: int = Field(default=1, gt=0)
    sample_format: Literal["int16", "float32"] = "int16"
    frames: Literal["json", "binary"] = "json"
    key: str | None = Field(default=None, max_length=500, description="For browsers, which cannot send the header.")


class StoredVoice(BaseModel):
    """An enrolled voice."""

    id: str = Field(examples=["anna-1f0c9a2b"])
    name: str | None = Field(examples=["Anna"])
    bundle_digest: str | None = None
    is_usable: bool = Field(description="Whether it was enrolled with the student that is asked for.")
    provenance: dict[str, Any] = Field(default_factory=dict)
    problem: str | None = Field(default=None, description="What is wrong with a damaged one.")

    @classmethod
    def of(cls, entry: Voice | VoiceEntry, *, digest: str) -> "StoredVoice":
        """As clients see it; embeddings stay here."""
        voice = entry.voice if isinstance(entry, VoiceEntry) else entry
        if voice is None:
            assert isinstance(entry, VoiceEntry)
            return cls(id=entry.voice_id, name=None, is_usable=False, problem=entry.problem)
        return cls(
            id=voice.voice_id,
            name=voice.name,
            bundle_digest=voice.bundle_digest,
            is_usable=voice.bundle_digest == digest,
            problem=None,
            provenance=voice.provenance,
        )


class VoiceList(BaseModel):
    """A page of voices."""

    voices: list[StoredVoice]
    next_after: str | None = Field(description="Give it as `after` for the next page; null: there is none.")


class NewName(_Strict):
    """Of `PATCH /v1/voices/{id}`."""

    name: str = Field(min_length=1, max_length=200)


class BlendPart(_Strict):
    """One ingredient."""

    id: str
    weight: float = Field(default=1.0, ge=0.0, le=1e6)


class Blend(_Strict):
    """Of `POST /v1/voices/blend`."""

    name: str = Field(min_length=1, max_length=200)
    voices: list[BlendPart] = Field(min_length=1, max_length=32)


class State(BaseModel):
    """Of the health routes."""

    status: str


class WritableFormat(BaseModel):
    """A motion format that this server can write."""

    name: str
    suffix: str = Field(description="How its files end.", examples=[".livelink.csv"])
    media_type: str


def writable_formats() -> list[WritableFormat]:
    """Those whose packages are installed here."""
    formats = []
    for name in MOTION_FORMATS:
        known = FORMATS[name]
        with contextlib.suppress(MotionError):
            known.require_installed()
            formats.append(WritableFormat(name=name, suffix=known.suffix, media_type=known.media_type))
    return formats


class About(BaseModel):
    """What is loaded; but for `students`, `limits` and `formats`, of one student."""

    students: list[str] = Field(description="What `student` may be; the first is meant where it is left out.")
    student: str
    name: str
    digest: str
    diffusiontalker: str
    parameters: int
    file_bytes: int
    fps: float
    channel_names: list[str]
    speakers: list[str]
    emotions: list[str]
    num_steps: int
    temperature: float
    streams: dict[str, Any]
    limits: dict[str, Any]
    formats: list[WritableFormat]
    measured: list[dict[str, Any]]
    data_licences: list[dict[str, Any]]
