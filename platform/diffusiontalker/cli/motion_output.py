"""What `animate` and `convert` share: where motion goes, in which format, and with which sound beside it."""

import dataclasses
import logging
from pathlib import Path
from typing import TYPE_CHECKING

from diffusiontalker.cli.verb import UsageError, say
from diffusiontalker.config import counted, require_new

if TYPE_CHECKING:
    from diffusiontalker.face import MotionClip, Rig

logger = logging.getLogger(__name__)

MAX_FPS = 240.0
_MOST_DIFFERENCE_S = 0.1
"""Between sound and motion; beyond it, lips and sound visibly part, or they do not belong together."""
_SHOWN_CHANNELS = 3


def check_rate(fps: float | None, flag: str) -> None:
    """Refuses rates that no face is animated at.

    Raises:
        UsageError: names the flag.
    """
    if fps is not None and not 1 <= fps <= MAX_FPS:
        raise UsageError(f"{flag} {fps:g}: expected 1 to {MAX_FPS:g}, such as 25, 30 or 60")


@dataclasses.dataclass(frozen=True, kw_only=True)
class MotionOutput:
    """One motion file to be, checked before any work is done."""

    path: Path
    """Where the motion goes."""
    argument: str
    """What the command line calls that."""
    motion_format: str | None
    """Its format; None: what the name says."""
    audio: Path | None
    """The sound it belongs to, if there is one."""
    with_audio: bool
    """Whether that sound is to lie beside the motion."""
    overwrite: bool
    """Whether files may be replaced."""

    @property
    def sound_path(self) -> Path:
        """The sound beside the motion: the same stem, `.wav`."""
        from diffusiontalker.face import format_of

        known = format_of(self.path)
        stem = self.path.name[: -len(known.suffix)] if known else self.path.stem
        return self.path.with_name(f"{stem}.wav")

    @property
    def is_sound_there(self) -> bool:
        """Whether the sound itself, or what would be written of it, already lies there."""
        from diffusiontalker.audio.wav_copy import is_copy

        if self.audio is None or not self.sound_path.is_file():
            return False
        return self.audio.resolve() == self.sound_path.resolve() or is_copy(self.sound_path, self.audio)

    def check(self) -> None:
        """Fails early.

        Raises:
            ArtefactError: when a file to be written is there already.
            UsageError: when there is no such format, or the name says another.
            AudioError: when the sound cannot be read.
            MotionError: when the format needs an optional extra that is not installed.
        """
        from diffusiontalker.face import MOTION_FORMATS, MOTION_SUFFIXES, format_of, format_to_write, like_format

        said = format_of(self.path)
        if self.motion_format is None and said is None:
            endings = ", ".join(MOTION_SUFFIXES)
            raise UsageError(
                f"{self.path}: unknown format '{self.path.suffix}'; end it with one of {endings}, or give --format"
            )
        if self.motion_format and self.motion_format not in MOTION_FORMATS:
            raise UsageError(
                f"--format {self.motion_format}: unknown{like_format(self.motion_format)}; expected one of "
                f"{', '.join(MOTION_FORMATS)}"
            )
        known = format_to_write(self.path, self.motion_format)
        is_usd = said is not None and said.name == "usd" and known.needs_usd  # either kind may be called .usd
        if said is not None and not known.suffix.endswith(said.suffix) and not is_usd:
            raise UsageError(
                f"{self.path}: --format says {known.name}, the name says {said.name}; end the name with "
                f"{known.suffix}, or leave --format out"
            )
        known.require_installed()
        if not self.overwrite:
            require_new(self.path, remedy=f"choose another {self.argument} or add --overwrite")
        if self.with_audio and not self.overwrite and self.sound_path.exists() and not self.is_sound_there:
            remedy = f"the sound would go there; choose another {self.argument} or add --overwrite"
            require_new(self.sound_path, remedy=remedy)

    def write(self, clip: "MotionClip", *, rig: "Rig | None") -> None:
        """Writes the sound, if it is wanted, then the motion; says what a format cannot hold.

        Warns where sound and motion differ in length, as they then do not belong together.

        Args:
            clip: the motion.
            rig: the head; None: the built-in one.

        Raises:
            ArtefactError: when a file exists or cannot be written.
            AudioError: when the sound cannot be read.
        """
        from diffusiontalker.audio.timebase import SAMPLE_RATE_HZ
        from diffusiontalker.audio.wav_copy import copy_as_wav
        from diffusiontalker.audio.waveform import read_waveform
        from diffusiontalker.face import format_to_write, write_motion

        if self.with_audio and self.audio is not None:
            if self.is_sound_there:
                seconds = len(read_waveform(self.sound_path)) / SAMPLE_RATE_HZ
                say(f"kept {self.sound_path}: it is this sound already")
            else:
                seconds, rate_hz, channels = copy_as_wav(self.audio, self.sound_path, overwrite=self.overwrite)
                kind = "mono" if channels == 1 else f"{channels} channels"
                say(f"wrote {self.sound_path}: {seconds:.2f} s, {rate_hz} Hz, {kind}, 16 bits")
            if abs(seconds - clip.duration_s) > max(_MOST_DIFFERENCE_S, 1 / clip.fps):
                logger.warning(
                    "%s lasts %.2f s, the motion %.2f s: is it the sound of this motion?",
                    *(self.audio, seconds, clip.duration_s),
                )
        write_motion(
            clip,
            self.path,
            motion_format=self.motion_format,
            rig=rig,
            audio_path=self.sound_path if self.with_audio else self.audio,
            overwrite=self.overwrite,
        )
        known = format_to_write(self.path, self.motion_format)
        if lost := known.lost_channels(clip, rig=rig):
            say(f"left out of {self.path}, as it cannot hold them: {', '.join(lost)}")

    def described(self, clip: "MotionClip", *, rig: "Rig | None") -> str:
        """What was written, for people: `out.csv: 1.00 s, 30 frames at 30 fps, 52 channels`."""
        from diffusiontalker.face import format_to_write

        held = format_to_write(self.path, self.motion_format).held_channels(clip, rig=rig)
        lacking = [name for name in held if name not in clip.channel_names]
        which = ", ".join(lacking) if len(lacking) <= _SHOWN_CHANNELS else f"{len(lacking)} of them"
        still = f" ({which} at 0: the source lacks {'it' if len(lacking) == 1 else 'them'})"
        return (
            f"{self.path}: {clip.duration_s:.2f} s, {counted(clip.num_frames, 'frame')} at {clip.fps:g} fps, "
            f"{counted(len(held), 'channel')}{still if lacking else ''}"
        )
