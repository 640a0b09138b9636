"""`diffusiontalker VERB ...`: finds the verb, parses its flags, runs it, turns errors into exit codes.

Exit codes: 0 done, 1 unexpected failure or interruption, 2 bad usage or input.
"""

import dataclasses
import difflib
import inspect
import logging
import os
import sys
import traceback
from collections.abc import Mapping, Sequence

import tyro

from diffusiontalker import __version__
from diffusiontalker.cli.animation import Animate, Enroll, ListVoices
from diffusiontalker.cli.bench_bulk import BenchBulk
from diffusiontalker.cli.bench_corpus import BenchCorpus
from diffusiontalker.cli.bench_features import BenchFeatures
from diffusiontalker.cli.bench_inference import BenchInference
from diffusiontalker.cli.bench_submission import BenchSubmission
from diffusiontalker.cli.bench_training import BenchTraining
from diffusiontalker.cli.benchmarks import BenchSearch, BenchServe
from diffusiontalker.cli.convert import Convert
from diffusiontalker.cli.corpora import ImportCorpus, InspectCorpus, LabelCorpus, SynthesizeCorpus
from diffusiontalker.cli.endpoint import NewKey, Serve
from diffusiontalker.cli.play import Play
from diffusiontalker.cli.reports import Evaluate
from diffusiontalker.cli.rigs import ImportRig, InspectRig, PreviewRig
from diffusiontalker.cli.tracking import TrackVideos
from diffusiontalker.cli.verb import UsageError, Verb

PROGRAM = "diffusiontalker"
DONE, FAILED, BAD_INPUT = 0, 1, 2


@dataclasses.dataclass(frozen=True, kw_only=True)
class Group:
    """Verbs that share their first word."""

    summary: str
    """What they are about, in one line."""
    verbs: Mapping[str, type[Verb]]
    """Second word -> verb."""


VERBS: dict[str, type[Verb] | Group] = {
    "animate": Animate,
    "convert": Convert,
    "play": Play,
    "enroll": Enroll,
    "voices": Group(summary="Stored voices.", verbs={"list": ListVoices}),
    "corpus": Group(
        summary="Corpora: paired speech and motion to train on.",
        verbs={
            "import": ImportCorpus,
            "synthesize": SynthesizeCorpus,
            "label": LabelCorpus,
            "track": TrackVideos,
            "inspect": InspectCorpus,
        },
    ),
    "rig": Group(
        summary="Heads: what they can do, and how they become usable.",
        verbs={"inspect": InspectRig, "import": ImportRig, "preview": PreviewRig},
    ),
    "evaluate": Evaluate,
    "serve": Serve,
    "keys": Group(summary="Keys of the endpoint.", verbs={"new": NewKey}),
    "bench": Group(
        summary="Measurements of this machine.",
        verbs={
            "inference": BenchInference,
            "training": BenchTraining,
            "submission": BenchSubmission,
            "bulk": BenchBulk,
            "corpus": BenchCorpus,
            "features": BenchFeatures,
            "search": BenchSearch,
            "serve": BenchServe,
        },
    ),
}
"""The whole surface of the command line."""

_SUMMARY = f"""Speech in, 3D facial animation out.

Example:
    {PROGRAM} animate speech.wav --bundle runs/demo/bundle --out speech.csv"""


def main(args: Sequence[str] | None = None) -> int:
    """Runs one command line (the process's own when None) and gives its exit code; never raises."""
    logging.basicConfig(format="%(levelname)s: %(message)s", level=logging.WARNING)
    try:
        verb = _parse(sys.argv[1:] if args is None else args, VERBS, program=PROGRAM, summary=_SUMMARY)
    except SystemExit as request:  # help, version and complaints about flags
        return request.code if isinstance(request.code, int) else DONE
    except UsageError as error:
        print(f"error: {error}", file=sys.stderr)
        return BAD_INPUT
    return _run(verb)


def _parse(args: Sequence[str], verbs: Mapping[str, type[Verb] | Group], *, program: str, summary: str) -> Verb:
    first = args[0] if args else None
    chosen = verbs.get(first or "")
    if isinstance(chosen, Group):
        return _parse(args[1:], chosen.verbs, program=f"{program} {first}", summary=chosen.summary)
    if chosen is not None:
        description = inspect.getdoc(chosen)
        config = (tyro.conf.FlagCreatePairsOff,)
        return tyro.cli(chosen, prog=f"{program} {first}", args=args[1:], description=description, config=config)
    if first in ("-h", "--help"):
        print(_overview(verbs, program=program, summary=summary))
        raise SystemExit(DONE)
    if first == "--version" and program == PROGRAM:
        print(f"{PROGRAM} {__version__}")
        raise SystemExit(DONE)
    problem = "a verb is missing" if first is None else f"'{first}' is no verb"
    close = difflib.get_close_matches(first or "", verbs, n=1)
    hint = f"; perhaps you meant '{close[0]}'" if close else ""
    raise UsageError(f"{program}: {problem}{hint} (allowed: {', '.join(verbs)}); see {program} --help")


def _overview(verbs: Mapping[str, type[Verb] | Group], *, program: str, summary: str) -> str:
    width = max(map(len, verbs))
    lines = [f"usage: {program} VERB ...", "", summary, "", "Verbs:"]
    for name, verb in verbs.items():
        text = verb.summary if isinstance(verb, Group) else (inspect.getdoc(verb) or "").splitlines()[0]
        lines.append(f"    {name:{width}}  {text}")
    lines += ["", f"Every verb explains itself, with examples: {program} VERB --help"]
    if program == PROGRAM:
        lines.append(f"Version: {program} --version")
    return "\n".join(lines)


def _run(verb: Verb) -> int:
    try:
        verb.require_local_paths()
        verb.run()
    except KeyboardInterrupt:
        print("interrupted; nothing unfinished was left under a final name", file=sys.stderr)
        return FAILED
    except Exception as error:
        if verb.debug or os.environ.get("DIFFUSIONTALKER_DEBUG"):
            traceback.print_exc()
        if _is_input_error(error):
            print(f"error: {error}", file=sys.stderr)
            return BAD_INPUT
        print(
            f"error: unexpected {type(error).__name__}: {error}\n"
            "this is a fault of the program or the machine; add --debug for the details",
            file=sys.stderr,
        )
        return FAILED
    return DONE


def _is_input_error(error: Exception) -> bool:
    """What users gave raises one of our own ValueErrors; a plain ValueError from a library is a fault of ours."""
    return isinstance(error, ValueError) and type(error).__module__.partition(".")[0] == PROGRAM
