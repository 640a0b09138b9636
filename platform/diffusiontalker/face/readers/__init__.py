"""Readers of motion: what others record and what we write, by name, in any order and any capitalisation.

Each module turns bytes into a `MotionTable`; `table.to_clip` judges it.
"""

from diffusiontalker.face.readers.arrays import read_arrow, read_npy, read_npz, read_parquet
from diffusiontalker.face.readers.csv_tables import read_csv, read_live_link
from diffusiontalker.face.readers.gltf import read_glb
from diffusiontalker.face.readers.json_documents import read_audio2face, read_beat, read_json, read_ndjson
from diffusiontalker.face.readers.source import MotionSource
from diffusiontalker.face.readers.table import HIGHEST_VALUE, LOWEST_VALUE, MotionTable, NoMotionError, to_clip
from diffusiontalker.face.readers.timestamps import MAX_GAP_S
from diffusiontalker.face.readers.usd import read_usd

__all__ = [
    "HIGHEST_VALUE",
    "LOWEST_VALUE",
    "MAX_GAP_S",
    "MotionSource",
    "MotionTable",
    "NoMotionError",
    "read_arrow",
    "read_audio2face",
    "read_beat",
    "read_csv",
    "read_glb",
    "read_json",
    "read_live_link",
    "read_ndjson",
    "read_npy",
    "read_npz",
    "read_parquet",
    "read_usd",
    "to_clip",
]
