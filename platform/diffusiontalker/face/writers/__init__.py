"""Writers of motion: each turns a clip into the bytes of a file."""

from diffusiontalker.face.writers.exchange import BEAT_CHANNELS, audio2face_bytes, beat_bytes, live_link_bytes
from diffusiontalker.face.writers.gltf import glb_bytes, head_glb_bytes
from diffusiontalker.face.writers.tables import (
    arrow_bytes,
    csv_bytes,
    json_bytes,
    ndjson_bytes,
    npz_bytes,
    parquet_bytes,
)
from diffusiontalker.face.writers.usd import usd_bytes

__all__ = [
    "BEAT_CHANNELS",
    "arrow_bytes",
    "audio2face_bytes",
    "beat_bytes",
    "csv_bytes",
    "glb_bytes",
    "head_glb_bytes",
    "json_bytes",
    "live_link_bytes",
    "ndjson_bytes",
    "npz_bytes",
    "parquet_bytes",
    "usd_bytes",
]
