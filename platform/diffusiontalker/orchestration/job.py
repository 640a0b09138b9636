"""What every job in `jobs/` shares: its flags, its log on the terminal, its exit codes.

Exit codes: 0 done, 2 bad usage or input, 1 failure.
"""

import argparse
import contextlib
import logging
import sys
from collections.abc import Callable, Sequence
from typing import TypeVar

from diffusiontalker.config import load_config
from diffusiontalker.orchestration.failure import JobError
from diffusiontalker.storage import local_copy

logger = logging.getLogger(__name__)

ConfigT = TypeVar("ConfigT")
DONE, FAILED, BAD_INPUT = 0, 1, 2


def run_job(
    config_class: type[ConfigT], work: Callable[..., str], arguments: Sequence[str], *, description: str
) -> int:
    """Parses the command line, does the work, prints what it returns, and gives the exit code.

    Args:
        config_class: dataclass of the job's configuration.
        work: called with the configuration and `out=`, `resume=` (True, False, or None: if there is something to
            resume); returns text for people.
        arguments: the command line without the program's name.
        description: help text; the job's docstring.
    """
    logging.basicConfig(format="%(asctime)s %(message)s", datefmt="%H:%M:%S", level=logging.WARNING)
    logging.getLogger("diffusiontalker").setLevel(logging.INFO)
    parser = argparse.ArgumentParser(
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        add_help=False,
        allow_abbrev=False,
    )
    parser.add_argument("--config", metavar="FILE", help="YAML file; flags such as --training.seed 3 win")
    parser.add_argument("--out", metavar="FOLDER", help="run folder, a path or s3://... (default: runs/<name>)")
    again = parser.add_mutually_exclusive_group()
    again.add_argument("--resume", action="store_true", help="continue the run that stands in the run folder")
    again.add_argument(
        "--resume-if-exists", action="store_true", help="continue it, or start it: for jobs that are started again"
    )
    parser.add_argument("-h", "--help", action="store_true", help="show this, then every key of the configuration")
    options, overrides = parser.parse_known_args(arguments)
    if options.help:
        parser.print_help()
        overrides = ["--help"]
    try:
        with local_copy(options.config) if options.config else contextlib.nullcontext() as path:
            config = load_config(config_class, path=path, overrides=overrides, program=parser.prog)
        text = work(config, out=options.out, resume=None if options.resume_if_exists else options.resume)
    except SystemExit as request:  # help, or a flag that cannot be used; the text is printed already
        return request.code if isinstance(request.code, int) else DONE
    except KeyboardInterrupt:
        logger.error("interrupted; continue with --resume")
        return FAILED
    except JobError as error:
        logger.error("%sfailed: %s", f"{error.__cause__}\n\n" if error.__cause__ else "", error)
        return FAILED
    except ValueError as error:
        if not _is_input_error(error):
            raise
        logger.error("error: %s", error)
        return BAD_INPUT
    print(f"\n{text}", file=sys.stdout, flush=True)
    return DONE


def _is_input_error(error: ValueError) -> bool:
    """What users gave raises one of our own types; a plain ValueError from a library is a fault of ours."""
    return type(error).__module__.partition(".")[0] == __name__.partition(".")[0]
