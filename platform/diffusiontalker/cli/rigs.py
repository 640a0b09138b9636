"""`rig inspect`, `rig import` and `rig preview`."""

import dataclasses
from pathlib import Path
from typing import Literal

from tyro.conf import Positional

from diffusiontalker.cli.verb import OptionalPath, OptionalText, UsageError, Verb, say, working
from diffusiontalker.config import counted, publish_file, require_new


@dataclasses.dataclass(frozen=True, kw_only=True)
class InspectRig(Verb):
    """Shows what a head can do: its size, its ARKit shapes, what is missing and what looks wrong.

    Examples:
        diffusiontalker rig inspect head.glb
        diffusiontalker rig inspect
    """

    rig: Positional[OptionalText] = None
    """Path or URL of a .glb, an .npz, or a folder of OBJ files; by default the built-in head."""
    units: str = "auto"
    """Unit of the file: m, cm, mm, or metres per unit such as 0.1; by default judged by the size of the face."""
    names: OptionalPath = None
    """Table for shapes with foreign names: CSV with the columns shape,channel."""

    def run(self) -> None:
        """Reads the rig and prints the summary."""
        from diffusiontalker.face import inspect_rig, read_rig, read_shape_names

        names = read_shape_names(self.names) if self.names else None
        say(inspect_rig(read_rig(self.rig, units=self.units, up="y", names=names)).text())


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImportRig(Verb):
    """Turns a head of any convention into one .npz: metres, Y up, ARKit names.

    Shapes are known by their names however these are written: jawOpen, JawOpen, jaw_open, mouthSmile_L,
    LeftMouthSmile, blendShape1.jawOpen, ARKit_jawOpen. For other names give a table, a CSV with a line such as
    "Mouth_Open,jawOpen" per shape under the head "shape,channel"; an empty channel leaves a shape out.

    Examples:
        diffusiontalker rig import head.glb --out head.npz
        diffusiontalker rig import scans/anna --out anna.npz --units mm --up z --names anna_names.csv
    """

    source: Positional[str]
    """Path or URL of a .glb, an .npz, or a folder with neutral.obj and an OBJ file per shape."""
    out: Path
    """The .npz to write."""
    units: str = "auto"
    """Unit of the source: m, cm, mm, or metres per unit such as 0.1; by default judged by the size of the face."""
    up: Literal["auto", "y", "z"] = "auto"
    """Which axis points up: y as in Maya, z as in Blender (the face then looks to -Y); by default judged by shapes."""
    names: OptionalPath = None
    """Table for shapes with foreign names: CSV with the columns shape,channel."""
    overwrite: bool = False
    """Replace --out if it exists."""

    def run(self) -> None:
        """Reads, writes, and prints what was understood."""
        if self.out.suffix.lower() != ".npz":
            raise UsageError(f"--out {self.out}: a rig is written as .npz; end the name with .npz")
        if not self.overwrite:
            require_new(self.out, remedy="choose another --out or add --overwrite")
        from diffusiontalker.face import inspect_rig, read_rig, read_shape_names, save_rig

        names = read_shape_names(self.names) if self.names else None
        reading = read_rig(self.source, units=self.units, up=self.up, names=names)
        save_rig(reading.rig, self.out, overwrite=self.overwrite)
        say(inspect_rig(reading).text())
        say(f"wrote {self.out}: {len(reading.rig.shape_names)} shapes, metres, Y up; use it with --rig {self.out}")


@dataclasses.dataclass(frozen=True, kw_only=True)
class PreviewRig(Verb):
    """Draws a head on one page: at rest, and each of its shapes with what it moves tinted.

    Examples:
        diffusiontalker rig preview head.npz --out head.png
        diffusiontalker rig preview head.glb --out mouth.png --shapes jawOpen mouthSmileLeft mouthPucker
    """

    rig: Positional[OptionalText] = None
    """Path or URL of a .glb, an .npz, or a folder of OBJ files; by default the built-in head."""
    out: Path
    """The .png to write."""
    shapes: tuple[str, ...] = ()
    """Shapes to draw, in any spelling; by default all that the head has."""
    units: str = "auto"
    """Unit of the file: m, cm, mm, or metres per unit such as 0.1; by default judged by the size of the face."""
    names: OptionalPath = None
    """Table for shapes with foreign names: CSV with the columns shape,channel."""
    theme: Literal["light", "dark"] = "light"
    """Background of the page."""
    pixels: int = 220
    """Height of one shape's picture."""
    overwrite: bool = False
    """Replace --out if it exists."""

    def run(self) -> None:
        """Renders every shape and writes the page."""
        if self.out.suffix.lower() != ".png":
            raise UsageError(f"--out {self.out}: the picture is a PNG; end the name with .png")
        if not 16 <= self.pixels <= 1024:
            raise UsageError(f"--pixels {self.pixels}: expected 16 to 1024")
        if not self.overwrite:
            require_new(self.out, remedy="choose another --out or add --overwrite")
        from diffusiontalker.evaluation.plots import draw_rig, render, render_rig
        from diffusiontalker.face import read_rig, read_shape_names

        names = read_shape_names(self.names) if self.names else None
        reading = read_rig(self.rig, units=self.units, names=names)
        rig, shapes = reading.rig, self._chosen(reading.rig.shape_names)
        absent = [shape for shape in shapes if shape not in rig.shape_names]
        missing = f"; missing: {', '.join(rig.missing_shapes)}" if rig.missing_shapes else ""
        note = (
            f"{rig.num_vertices} vertices, {len(rig.shape_names)} of 52 ARKit shapes{missing}; tint: how far skin moves"
        )
        with working(f"drawing {counted(len(shapes), 'shape')}"):
            images = render_rig(rig, shapes, pixels=self.pixels)
            pictures = render(
                lambda: draw_rig(images, title=reading.source, note=note), dpi=max(40, round(self.pixels / 1.35))
            )
        with publish_file(self.out, overwrite=self.overwrite) as temporary:
            temporary.write_bytes(pictures[self.theme])
        if reading.turned_from is not None:
            say(f"the head lies {reading.turned_from.text()}; it was turned for the picture")
        lacking = f"; not in this head: {', '.join(absent)}" if absent else ""
        say(f"wrote {self.out}: {counted(len(shapes) - len(absent), 'shape')} of {reading.source}{lacking}")

    def _chosen(self, available: tuple[str, ...]) -> tuple[str, ...]:
        """ARKit names, also those that the head lacks."""
        from diffusiontalker.face.arkit import CHANNELS, canonical_name
        from diffusiontalker.face.rig_names import suggestion

        chosen = [shape for text in self.shapes for shape in text.replace(",", " ").split()]
        for shape in chosen:
            if canonical_name(shape) is None:
                raise UsageError(
                    f"--shapes {shape}: no such shape{suggestion(shape)} (this head has: {', '.join(available)})"
                )
        return tuple(dict.fromkeys(str(canonical_name(shape)) for shape in chosen)) or tuple(
            name for name in CHANNELS if name in available
        )
