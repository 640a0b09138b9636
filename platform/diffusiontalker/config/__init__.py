"""Configuration: YAML and flags to validated frozen dataclasses, and the files a run leaves behind.

Knows nothing about audio, faces or models: every config dataclass lives beside the class it configures.
"""

from diffusiontalker.config.artefacts import (
    ArtefactError,
    publish_directory,
    publish_file,
    require_new,
    sha256_of,
)
from diffusiontalker.config.loading import (
    ConfigError,
    config_digest,
    expanded_path,
    from_plain,
    load_config,
    to_plain,
    write_yaml,
)
from diffusiontalker.config.provenance import run_provenance
from diffusiontalker.config.wording import counted

__all__ = [
    "ArtefactError",
    "ConfigError",
    "config_digest",
    "counted",
    "expanded_path",
    "from_plain",
    "load_config",
    "publish_directory",
    "publish_file",
    "require_new",
    "run_provenance",
    "sha256_of",
    "to_plain",
    "write_yaml",
]
