"""What produced an artefact: package versions, git commit, machine."""

import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path

from diffusiontalker import __version__

_PACKAGES = ("torch", "onnxruntime", "ray", "numpy", "pyarrow", "transformers", "soundfile", "safetensors")


def run_provenance() -> dict[str, str | int]:
    """Versions of the packages that matter, git commit (`unknown` outside a checkout), CPU count and platform."""
    versions: dict[str, str | int] = {"diffusiontalker": __version__, "python": platform.python_version()}
    for package in _PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            versions[package] = "absent"
    versions["git_commit"] = _git_commit()
    versions["machine"] = platform.platform()
    versions["cpu_count"] = os.cpu_count() or 0
    return versions


def _git_commit() -> str:
    try:
        completed = subprocess.run(
            ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"],
            capture_output=True, text=True, timeout=10, check=False,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return completed.stdout.strip() if completed.returncode == 0 else "unknown"
