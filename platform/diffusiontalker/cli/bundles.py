"""How flags name several bundles."""

from pathlib import Path

from diffusiontalker.cli.verb import UsageError


def named_bundles(specifications: tuple[str, ...]) -> dict[str, str]:
    """Name -> folder or URL, of `NAME=FOLDER` or `FOLDER`: `demo` of runs/demo/bundle, `best` of runs/best.

    Raises:
        UsageError: when a name is given twice, or there is none.
    """
    folders: dict[str, str] = {}
    for specification in specifications:
        name, separator, folder = specification.partition("=")
        if not separator or "/" in name:  # of a folder such as runs/rate=0.1/bundle
            path, folder = Path(specification).resolve(), specification
            name = path.parent.name if path.name == "bundle" else path.name
        if name in folders:
            raise UsageError(f"--bundle {specification}: '{name}' is given twice; write --bundle OTHERNAME={folder}")
        folders[name] = folder
    if not folders:
        raise UsageError("--bundle is missing: give at least one folder of a trained talker")
    return folders
