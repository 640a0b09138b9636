"""Writers of motion: each turns a clip into the bytes of a file."""

from diffusiontalker.face.writers.gltf import glb_bytes
from diffusiontalker.face.writers.tables import (
    arrow_bytes,
    csv_bytes,
    json_bytes,
    ndjson_bytes,
    npz_bytes,
    parquet_bytes,
)

__all__ = ["arrow_bytes", "csv_bytes", "glb_bytes", "json_bytes", "ndjson_bytes", "npz_bytes", "parquet_bytes"]
