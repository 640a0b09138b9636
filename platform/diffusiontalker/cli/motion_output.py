"""What `animate` and `convert` share: where motion goes, in which format, and with which sound beside it."""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

from diffusiontalker.cli.verb import UsageError, say
from diffusiontalker.config import require_new

if TYPE_CHECKING:
    from diffusiontalker.face import MotionClip, Rig

MAX_FPS = 240.0


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
        """Whether the sound itself already lies where it would be written."""
        return self.audio is not None and self.audio.resolve() == self.sound_path.resolve()

    def check(self) -> None:
        """Fails early.

        Raises:
            ArtefactError: when a file to be written is there already.
            UsageError: when there is no such format.
            MotionError: when the format needs an optional extra that is not installed.
        """
        from diffusiontalker.face import MOTION_FORMATS, MOTION_SUFFIXES, format_of, format_to_write

        known = self.motion_format or format_of(self.path)
        if known is None:
            endings = ", ".join(MOTION_SUFFIXES)
            raise UsageError(
                f"{self.path}: unknown format '{self.path.suffix}'; end it with one of {endings}, or give --format"
            )
        if self.motion_format and self.motion_format not in MOTION_FORMATS:
            raise UsageError(f"--format {self.motion_format}: expected one of {', '.join(MOTION_FORMATS)}")
        format_to_write(self.path, self.motion_format).require_installed()
        if not self.overwrite:
            require_new(self.path, remedy=f"choose another {self.argument} or add --overwrite")
        if self.with_audio and not self.overwrite and not self.is_sound_there:
            remedy = f"the sound would go there; choose another {self.argument} or add --overwrite"
            require_new(self.sound_path, remedy=remedy)

    def write(self, clip: "MotionClip", *, rig: "Rig | None") -> None:
        """Writes the sound, if it is wanted, then the motion; says what a format cannot hold.

        Args:
            clip: the motion.
            rig: the head; None: the built-in one.

        Raises:
            ArtefactError: when a file exists or cannot be written.
            AudioError: when the sound cannot be read.
        """
        from diffusiontalker.audio.wav_copy import copy_as_wav
        from diffusiontalker.face import format_to_write, write_motion

        if self.with_audio and self.audio is not None and not self.is_sound_there:
            seconds, rate_hz, channels = copy_as_wav(self.audio, self.sound_path, overwrite=self.overwrite)
            kind = "mono" if channels == 1 else f"{channels} channels"
            say(f"wrote {self.sound_path}: {seconds:.2f} s, {rate_hz} Hz, {kind}, 16 bits")
        write_motion(
            clip,
            self.path,
            motion_format=self.motion_format,
            rig=rig,
            audio_path=self.sound_path if self.with_audio else self.audio,
            overwrite=self.overwrite,
        )
        lost = format_to_write(self.path, self.motion_format).lost_channels(clip, rig=rig)
        if lost:
            say(f"left out of {self.path}, as it cannot hold them: {', '.join(lost)}")
