"""Everything an operator can set about the endpoint, as one typed object: the `args` of a Serve configuration.

Pydantic, because Ray Serve's application builder converts its arguments only for pydantic models; unknown keys are
errors.
"""

import dataclasses
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, model_validator

from diffusiontalker.audio.waveform import AudioLimits
from diffusiontalker.serving.engine import EngineConfig
from diffusiontalker.serving.style_cache import StyleCacheConfig

_MOST_NAME = 200


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Limits(_Strict):
    """What one request may ask for. `reconfigure` changes them without a restart."""

    min_seconds: float = Field(default=0.1, ge=0.0, description="Shortest sound, in seconds.")
    max_seconds: float = Field(default=300.0, gt=0.0, le=3600.0, description="Longest sound, in seconds.")
    max_upload_megabytes: float = Field(default=64.0, gt=0.0, description="Largest request body, in 10^6 bytes.")
    max_held_megabytes: float = Field(
        default=512.0, gt=0.0, description="Request bodies that a replica holds at the same time, in 10^6 bytes."
    )
    min_rate_hz: int = Field(default=8_000, gt=0, description="Lowest sample rate of a file or stream.")
    max_rate_hz: int = Field(default=192_000, gt=0, description="Highest sample rate.")
    max_channels: int = Field(default=8, gt=0, description="Most channels; they are averaged.")
    max_references: int = Field(default=16, gt=0, description="Most recordings that a voice is enrolled from.")
    max_decode_seconds: float = Field(default=20.0, gt=0.0, description="Wall-clock time to decode one file.")
    max_fps: float = Field(default=120.0, gt=0.0, description="Highest frame rate that can be asked for.")
    idle_seconds: float = Field(default=30.0, gt=0.0, description="A client that sends nothing for so long is let go.")
    wall_seconds: float = Field(
        default=900.0, gt=0.0, description="Longest time to send a request's body, and longest life of a stream."
    )
    max_streams_per_key: int = Field(default=64, gt=0, description="Live streams that one caller may have open.")

    def audio(self) -> AudioLimits:
        """For decoding."""
        return AudioLimits(
            min_seconds=self.min_seconds,
            max_seconds=self.max_seconds,
            min_rate_hz=self.min_rate_hz,
            max_rate_hz=self.max_rate_hz,
            max_channels=self.max_channels,
            max_bytes=self.max_upload_bytes,
            max_decode_seconds=self.max_decode_seconds,
        )

    @property
    def max_upload_bytes(self) -> int:
        """As a whole number."""
        return round(self.max_upload_megabytes * 1e6)

    @property
    def max_held_bytes(self) -> int:
        """As a whole number."""
        return round(self.max_held_megabytes * 1e6)

    @model_validator(mode="after")
    def _check(self) -> "Limits":
        self.audio()
        return self


class ServingArguments(_Strict):
    """One endpoint: a student or several, their voices, their limits."""

    bundle: str = Field(description="Folder or URL of the student.")
    name: str = Field(default="student", description="What requests call it, where they ask for one of several.")
    others: dict[str, str] = Field(
        default_factory=dict,
        description="Further students: name -> folder or URL. Each has an engine, with all that `engine` allows.",
    )
    voices: str = Field(default="voices", description="Folder or URL of enrolled voices.")
    device: str = Field(default="cpu", description="cpu, cuda, cuda:1 ...")
    personalizer_device: str = Field(default="cpu", description="The same for the personalizer.")
    keys_file: str = Field(
        default="",
        description="File of bearer keys, name:sha256hex[:requests_per_minute] a line; empty: $DIFFUSIONTALKER_KEYS, "
        "or without it everybody is let in.",
    )  # fmt: skip
    anonymous_per_minute: int = Field(default=0, ge=0, description="Most requests a minute without keys; 0: any.")
    decode_processes: int = Field(default=1, gt=0, description="Processes that decode uploads.")
    max_decodes_waiting: int = Field(default=64, ge=0, description="Uploads that wait for one; more are refused.")
    limits: Limits = Field(default_factory=Limits)
    engine: EngineConfig = EngineConfig()
    cache: StyleCacheConfig = StyleCacheConfig()

    @model_validator(mode="after")
    def _check(self) -> "ServingArguments":
        for name, bundle in {self.name: self.bundle, **self.others}.items():
            if not bundle:
                raise ValueError(
                    f"the bundle of '{name}' is empty; give the folder that a training or distillation wrote"
                )
            if not 1 <= len(name) <= _MOST_NAME or not name.isprintable():
                raise ValueError(f"{name!r} is no name of a student; give 1 to {_MOST_NAME} printable characters")
        if self.name in self.others:
            raise ValueError(f"'{self.name}' is the name of two students; give `bundle` another with `name`")
        return self

    @property
    def students(self) -> dict[str, str]:
        """Name -> folder or URL of every student; the first is meant where a request names none."""
        return {self.name: self.bundle, **self.others}

    def cache_of_each(self, *, is_shared: bool = True) -> StyleCacheConfig:
        """What the style cache of one student may use, so that all of them stay within `cache`.

        Args:
            is_shared: False where somebody further on shares entries.
        """
        share = self.cache.memory_bytes // len(self.students)
        url = self.cache.shared_url if is_shared else ""
        return dataclasses.replace(self.cache, memory_bytes=share, shared_url=url)

    def keys_path(self) -> Path | None:
        """Of the file with the keys."""
        return Path(self.keys_file) if self.keys_file else None


class UserConfig(_Strict):
    """What `user_config` of the talker may change while its replicas run."""

    limits: dict[str, float] = Field(default_factory=dict, description="Any of `Limits`.")
    max_batch_frames: int | None = Field(default=None, gt=0)
    max_waiting: int | None = Field(default=None, gt=0)

    def over(self, arguments: ServingArguments) -> ServingArguments:
        """The arguments with these changes; what is left out is as it was there."""
        engine = {name: value for name, value in self if name != "limits" and value is not None}
        return arguments.model_copy(
            update={
                "limits": Limits.model_validate(arguments.limits.model_dump() | self.limits),
                "engine": dataclasses.replace(arguments.engine, **engine),
            }
        )
