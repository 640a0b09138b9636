"""The table of motion formats: what each is called, how its files end, and who reads and writes it."""

import dataclasses
import difflib
import functools
from collections.abc import Callable
from pathlib import Path

from diffusiontalker.face import readers, writers
from diffusiontalker.face.head import builtin_rig
from diffusiontalker.face.live_link import CSV_CHANNELS
from diffusiontalker.face.motion import MotionClip, MotionError
from diffusiontalker.face.rig import Rig
from diffusiontalker.face.usd import require_usd

_Encode = Callable[[MotionClip, Rig | None, str | None], bytes]
_Decode = Callable[[readers.MotionSource], readers.MotionTable]


@dataclasses.dataclass(frozen=True, kw_only=True)
class MotionFormat:
    """One way to store motion."""

    name: str
    """What flags and parameters call it."""
    suffix: str
    """How its files end; a longer suffix wins over a shorter one."""
    media_type: str
    """What HTTP calls it."""
    decode: _Decode
    """From bytes to what the file says."""
    encode: _Encode | None = None
    """From clip, rig (None: built in) and name of the sound file to bytes; None: cannot be written."""
    has_head: bool = False
    """Whether it holds a rig."""
    needs_usd: bool = False
    """Whether the optional extra `usd` reads and writes it."""
    audio_must_exist: bool = False
    """Whether the sound that it names must lie beside it: a name alone makes the file a broken one."""
    channels: tuple[str, ...] | None = None
    """What each of its files holds, no more and no less; None: whatever the clip has."""

    def require_installed(self) -> None:
        """Fails early where the format cannot be used on this machine.

        Raises:
            MotionError: when it needs an optional extra that is not installed.
        """
        if self.needs_usd:
            require_usd()

    def held_channels(self, clip: MotionClip, *, rig: Rig | None = None) -> tuple[str, ...]:
        """Channels that a file of this format holds for a clip; those that the clip lacks are 0."""
        if self.name == "glb":
            return tuple(name for name in clip.channel_names if name in (rig or builtin_rig()).shape_names)
        return clip.channel_names if self.channels is None else self.channels

    def lost_channels(self, clip: MotionClip, *, rig: Rig | None = None) -> tuple[str, ...]:
        """Channels that move in a clip, but that a file of this format cannot hold (a .glb: those without a shape)."""
        held = self.held_channels(clip, rig=rig)
        return tuple(name for name in clip.channel_names if name not in held and clip.column(name).any())


def _tabular(write: Callable[[MotionClip], bytes]) -> _Encode:
    """An encoder for a format that holds neither a head nor the name of a sound."""
    return lambda clip, rig, audio_name: write(clip)


def _naming(write: Callable[..., bytes]) -> _Encode:
    """An encoder for a format that names the sound, but holds no head."""
    return lambda clip, rig, audio_name: write(clip, audio_name=audio_name)


def _with_head(write: Callable[..., bytes]) -> _Encode:
    """An encoder for a format that holds a head and names the sound."""
    return lambda clip, rig, audio_name: write(clip, rig=rig or builtin_rig(), audio_name=audio_name)


FORMATS: dict[str, MotionFormat] = {
    known.name: known
    for known in (
        MotionFormat(
            name="csv",
            suffix=".csv",
            media_type="text/csv",
            decode=readers.read_csv,
            encode=_tabular(writers.csv_bytes),
        ),
        MotionFormat(
            name="json",
            suffix=".json",
            media_type="application/json",
            decode=readers.read_json,
            encode=_naming(writers.json_bytes),
        ),
        MotionFormat(
            name="ndjson",
            suffix=".ndjson",
            media_type="application/x-ndjson",
            decode=readers.read_ndjson,
            encode=_tabular(writers.ndjson_bytes),
        ),
        MotionFormat(
            name="npz",
            suffix=".npz",
            media_type="application/octet-stream",
            decode=readers.read_npz,
            encode=_tabular(writers.npz_bytes),
        ),
        MotionFormat(
            name="parquet",
            suffix=".parquet",
            media_type="application/vnd.apache.parquet",
            decode=readers.read_parquet,
            encode=_tabular(writers.parquet_bytes),
        ),
        MotionFormat(
            name="arrow",
            suffix=".arrow",
            media_type="application/vnd.apache.arrow.stream",
            decode=readers.read_arrow,
            encode=_tabular(writers.arrow_bytes),
        ),
        MotionFormat(
            name="glb",
            suffix=".glb",
            media_type="model/gltf-binary",
            decode=readers.read_glb,
            encode=_with_head(writers.glb_bytes),
            has_head=True,
        ),
        *(
            MotionFormat(
                name=name,
                suffix=f".{name}",
                media_type="model/vnd.usda" if name == "usda" else "application/octet-stream",
                decode=readers.read_usd,
                encode=_with_head(functools.partial(writers.usd_bytes, suffix=f".{name}")),
                has_head=True,
                needs_usd=True,
                audio_must_exist=True,
            )
            for name in ("usda", "usdc")
        ),
        *(
            MotionFormat(
                name=name,
                suffix=f".{name}",
                media_type="application/octet-stream",
                decode=readers.read_usd,
                needs_usd=True,
            )
            for name in ("usd", "usdz")
        ),
        MotionFormat(name="npy", suffix=".npy", media_type="application/octet-stream", decode=readers.read_npy),
        MotionFormat(
            name="livelink",
            suffix=".livelink.csv",
            media_type="text/csv",
            decode=readers.read_live_link,
            encode=_tabular(writers.live_link_bytes),
            channels=CSV_CHANNELS,
        ),
        MotionFormat(
            name="beat",
            suffix=".beat.json",
            media_type="application/json",
            decode=readers.read_beat,
            encode=_tabular(writers.beat_bytes),
            channels=writers.BEAT_CHANNELS,
        ),
        MotionFormat(
            name="a2f",
            suffix=".a2f.json",
            media_type="application/json",
            decode=readers.read_audio2face,
            encode=_naming(writers.audio2face_bytes),
        ),
    )
}
"""Name -> format, of all that can be read."""

MOTION_FORMATS: tuple[str, ...] = tuple(name for name, known in FORMATS.items() if known.encode)
"""Formats that can be written."""
MOTION_SUFFIXES: tuple[str, ...] = tuple(FORMATS[name].suffix for name in MOTION_FORMATS)
"""How their files end."""


def format_named(name: str) -> MotionFormat:
    """The format of that name.

    Raises:
        MotionError: when there is none.
    """
    if name not in FORMATS:
        raise MotionError(f"unknown motion format '{name}'{like_format(name)}; choose one of {', '.join(FORMATS)}")
    return FORMATS[name]


def like_format(name: str) -> str:
    """` (perhaps livelink?)` for what looks like the name or the suffix of a format, else nothing."""
    plain = name.lower().lstrip(".")
    spellings = {known.suffix[1:]: known.name for known in FORMATS.values()} | {known: known for known in FORMATS}
    close = [plain] if plain in spellings else difflib.get_close_matches(plain, spellings, n=1)
    return f" (perhaps {spellings[close[0]]}?)" if close else ""


def format_of(path: Path | str) -> MotionFormat | None:
    """The format that a file's name ends in: the one with the longest suffix that fits; None when none does."""
    name = Path(path).name.lower()
    fitting = [known for known in FORMATS.values() if name.endswith(known.suffix)]
    return max(fitting, key=lambda known: len(known.suffix), default=None)
