"""How the surfaces of the built-in head are: where it is wet, where hair grows, where its bust fades out."""

import numpy as np

from diffusiontalker.face.head.parts import GLINT_DEPTH
from diffusiontalker.face.head.piece import Kind, Piece, smoothstep
from diffusiontalker.face.rig import Finish

_FADE_FROM_Y, _FADE_TO_Y = -13.0, -16.6


def finish_of(head: Piece, parts: tuple[tuple[str, int], ...]) -> Finish:
    """The finish of a head whose pieces were joined in the order of `parts`."""
    _, y, _ = head.vertices.T
    gloss = np.zeros(len(y))
    lip = head.kind == Kind.LIP
    gloss[lip] = smoothstep(np.clip(head.depth[lip], 0, 1) / 0.6)
    gloss[head.kind == Kind.CAVITY] = 0.6
    gloss[np.isin(head.kind, (Kind.TONGUE, Kind.UPPER_TEETH, Kind.LOWER_TEETH, Kind.EYEBALL, Kind.CARUNCLE))] = 1.0
    gloss[head.kind == Kind.LASH] = 0.8
    # Hairs are drawn one beside the other.
    in_row = np.isin(head.kind, (Kind.BROW, Kind.LASH)) & (head.depth > 0)
    gloss[in_row] = head.depth[in_row]
    hair = np.where(np.isin(head.kind, (Kind.BROW, Kind.LASH)), head.shade, 0.0)
    hair = np.where(head.kind == Kind.HAIR, 1 - smoothstep((head.depth - 0.72) / 0.28), hair)
    fade = smoothstep((_FADE_FROM_Y - y) / (_FADE_FROM_Y - _FADE_TO_Y))
    # Studios reflect in eyes by themselves.
    fade[(head.kind == Kind.EYEBALL) & (head.depth == GLINT_DEPTH)] = 1.0
    return Finish(
        parts=parts,
        gloss=gloss.astype(np.float32),
        hair=np.clip(hair, 0, 1).astype(np.float32),
        fade=fade.astype(np.float32),
    )
