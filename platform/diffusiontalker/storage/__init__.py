"""Where artefacts live beside the local disk: URLs such as s3://bucket/prefix.

One rule makes folders at a URL trustworthy: `manifest.json` is written last and taken away before anything changes, so
a folder that has one is whole. Knows nothing about what the files hold.
"""

from diffusiontalker.storage.filesystem import (
    NothingThereError,
    StorageError,
    absolute_uri,
    file_names,
    files_below,
    is_url,
    joined,
    open_filesystem,
    read_bytes,
    read_through,
    write_file,
)
from diffusiontalker.storage.folders import MANIFEST_NAME, local_copy, new_folder
from diffusiontalker.storage.working_copy import INDEX_NAME, WorkingCopy

__all__ = [
    "INDEX_NAME",
    "MANIFEST_NAME",
    "NothingThereError",
    "StorageError",
    "WorkingCopy",
    "absolute_uri",
    "file_names",
    "files_below",
    "is_url",
    "joined",
    "local_copy",
    "new_folder",
    "open_filesystem",
    "read_bytes",
    "read_through",
    "write_file",
]
