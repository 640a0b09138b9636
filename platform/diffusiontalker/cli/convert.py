"""`convert`: motion from one format to another."""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

from tyro.conf import Positional

from diffusiontalker.cli.motion_output import MotionOutput, check_rate
from diffusiontalker.cli.verb import (
    OptionalNumber,
    OptionalPath,
    OptionalText,
    UsageError,
    Verb,
    progress,
    say,
)
from diffusiontalker.config import counted

if TYPE_CHECKING:
    from diffusiontalker.face import Rig

_SHOWN = 8


@dataclasses.dataclass(frozen=True, kw_only=True)
class Convert(Verb):
    """Turns motion from one format into another: a file, or all motion files of a folder.

    The end of a name says the format, unless a flag does:
        .csv .json .ndjson .npz .parquet .arrow    ARKit coefficients by name, one row per frame
        .livelink.csv                              a recording of Live Link Face, as Unreal Engine takes it
        .beat.json .a2f.json                       JSON of the BEAT corpus, of NVIDIA Audio2Face
        .glb .usda .usdc                           an animated head (USD needs the extra diffusiontalker[usd])
        .npy                                       52 unnamed columns, alphabetical; only read, needs --input-fps
        .usd .usdz                                 only read

    A plain .csv or .json that is read may be any of its kinds. Channels are matched by name, never by position;
    only ARKit channels are kept, not the rotation of head and eyes.

    At another frame rate a clip has frames = seconds x rate, rounded up: every started frame counts. So 355 frames at
    60 fps become 148 at 25 fps, and back at 60 fps 356: the last one is held.

    Examples:
        diffusiontalker convert take.csv take.usdc --audio take.wav
        diffusiontalker convert speech.csv speech.livelink.csv --fps 60
        diffusiontalker convert motions converted --format beat --skip-existing
    """

    source: Positional[Path]
    """The motion file, or a folder of them (subfolders too)."""
    out: Positional[Path]
    """The file to write, or a folder for those of a folder."""
    from_format: OptionalText = None
    """Format of the source; by default what its name says."""
    format: OptionalText = None
    """Format to write; by default what the name of the file says. Needed for a folder."""
    fps: OptionalNumber = None
    """Frame rate to write; by default that of the source."""
    input_fps: OptionalNumber = None
    """Frame rate of the source, where the file does not tell it."""
    max_gap_s: float = 0.25
    """Longest gap in a recording (dropped frames) that is filled, in seconds."""
    rig: OptionalText = None
    """Head for .glb, .usda and .usdc: path or URL of an .npz, a folder of OBJ files or a GLB; by default built in."""
    audio: OptionalPath = None
    """Sound that belongs to the motion: written beside it as 16-bit .wav, and named inside formats that can name it."""
    overwrite: bool = False
    """Replace files that exist."""
    skip_existing: bool = False
    """Keep files that exist and write the others: goes on where a conversion of a folder ended."""

    def run(self) -> None:
        """Reads, resamples, writes."""
        check_rate(self.fps, "--fps")
        check_rate(self.input_fps, "--input-fps")
        if self.overwrite and self.skip_existing:
            raise UsageError("--skip-existing keeps files that exist, --overwrite replaces them; give one of them")
        from diffusiontalker.face import load_rig

        pairs = self._folder_pairs() if self.source.is_dir() else [(self.source, self.out)]
        existing = {out for _, out in pairs if out.exists()}
        if existing and self.source.is_dir() and not (self.overwrite or self.skip_existing):
            raise UsageError(
                f"{len(existing)} of {counted(len(pairs), 'file')} to write are there already, such as "
                f"{min(existing)}; add --skip-existing to keep them, or --overwrite"
            )
        if self.skip_existing:
            pairs = [(source, out) for source, out in pairs if out not in existing]
        for _, out in pairs:
            self._output(out).check()
        rig = load_rig(self.rig) if self.rig else None
        if self.source.is_dir():
            self._convert_folder(pairs, rig, num_kept=len(existing) if self.skip_existing else 0)
        else:
            say(self._converted(self.source, self.out, rig) if pairs else f"kept {self.out}: it is there already")

    def _convert_folder(self, pairs: list[tuple[Path, Path]], rig: "Rig | None", *, num_kept: int) -> None:
        """Converts one file after the other; those that cannot be do not stop the others."""
        from diffusiontalker.face import NoMotionError

        failures, foreign = [], []
        with progress(f"converting {self.source}") as report_progress:
            for done, (source, out) in enumerate(pairs):
                report_progress(done, len(pairs))
                try:
                    self._converted(source, out, rig)
                except NoMotionError as error:
                    foreign.append(str(error))
                except ValueError as error:
                    failures.append(str(error))
        num_motions = len(pairs) - len(foreign)
        kept = f"; kept {num_kept} that {'was' if num_kept == 1 else 'were'} there already" if num_kept else ""
        say(f"wrote {num_motions - len(failures)} of {counted(num_motions, 'file')} to {self.out}{kept}")
        if foreign:
            say(f"left out {counted(len(foreign), 'file')} without motion:\n{_listed(foreign)}")
        if failures:
            raise UsageError(f"{counted(len(failures), 'file')} could not be converted:\n{_listed(failures)}")
        if foreign and not num_motions and not num_kept:
            raise UsageError(f"{self.source}: none of its {counted(len(foreign), 'file')} holds motion")

    def _converted(self, source: Path, out: Path, rig: "Rig | None") -> str:
        """Converts one file; what to say about it."""
        from diffusiontalker.face import read_motion

        clip = read_motion(
            source,
            motion_format=self.from_format,
            fps=self.input_fps,
            fps_name="--input-fps",
            max_gap_s=self.max_gap_s,
        )
        clip = clip if self.fps is None else clip.resampled(self.fps)
        output = self._output(out)
        output.write(clip, rig=rig)
        return f"wrote {output.described(clip, rig=rig)}"

    def _output(self, out: Path) -> MotionOutput:
        return MotionOutput(
            path=out,
            argument="OUT",
            motion_format=self.format,
            audio=self.audio,
            with_audio=self.audio is not None,
            overwrite=self.overwrite,
        )

    def _folder_pairs(self) -> list[tuple[Path, Path]]:
        """Every motion file of the folder and where it goes: the same subfolder and stem."""
        from diffusiontalker.face import FORMATS, MOTION_FORMATS, format_of, like_format

        if self.format is None:
            raise UsageError(
                f"--format is missing: {self.source} is a folder, so say what to write: {', '.join(MOTION_FORMATS)}"
            )
        if self.format not in MOTION_FORMATS:
            raise UsageError(
                f"--format {self.format}: unknown{like_format(self.format)}; expected one of "
                f"{', '.join(MOTION_FORMATS)}"
            )
        if self.audio:
            raise UsageError(f"--audio {self.audio}: {self.source} is a folder; a sound belongs to a single file")
        pairs: dict[Path, Path] = {}
        for source in sorted(path for path in self.source.rglob("*") if path.is_file()):
            known = format_of(source)
            if known is None or (self.from_format and known.name != self.from_format):
                continue
            name = source.name[: -len(known.suffix)] + FORMATS[self.format].suffix
            out = self.out / source.relative_to(self.source).with_name(name)
            if out in pairs:
                raise UsageError(f"{pairs[out]} and {source} would both become {out}; rename one or give --from-format")
            pairs[out] = source
        if not pairs:
            raise UsageError(f"{self.source}: holds no motion file; expected {', '.join(MOTION_FORMATS)}, or npy")
        return [(source, out) for out, source in pairs.items()]


def _listed(problems: list[str]) -> str:
    more = [f"... and {len(problems) - _SHOWN} more"] if len(problems) > _SHOWN else []
    return "\n".join([*problems[:_SHOWN], *more])
