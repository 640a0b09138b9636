"""The command line: verbs for people, one module per group.

Only parsing happens here before a verb runs: torch and the other rooms are imported inside `run`, so help is instant.
"""

from diffusiontalker.cli.app import main

__all__ = ["main"]
