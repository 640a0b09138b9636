"""The command line is a promise: its verbs and flags change only on purpose, and help costs nothing."""

import dataclasses
import inspect
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import get_args

import pytest

import diffusiontalker
from diffusiontalker.cli.app import VERBS, Group
from diffusiontalker.cli.corpora import ImportCorpus, SynthesizeCorpus
from diffusiontalker.cli.reports import Evaluate
from diffusiontalker.cli.verb import Verb
from diffusiontalker.data import CORPUS_FORMATS, ImportConfig, SyntheticCorpusConfig
from diffusiontalker.evaluation import EvaluationConfig

SURFACE = {
    "animate": "AUDIO bundle device emotion emotion_intensity engine format fps num_steps out overwrite rig seed "
    "temperature voice voices with_audio",
    "convert": "OUT SOURCE audio format fps from_format input_fps max_gap_s overwrite rig skip_existing",
    "play": "SOURCE fps from_format input_fps loop subject udp",
    "enroll": "REFERENCES bundle device name voices",
    "voices list": "voices",
    "corpus import": "SOURCE correct_sync credit face_lag_s format licence max_drift_s max_rejected_fraction "
    "motion_fps out range_tolerance strict",
    "corpus synthesize": "emotions motion_fps num_speakers num_unseen_speakers out seed sentences_per_speaker_emotion",
    "corpus label": "FOLDER bundle device out seed",
    "corpus track": "VIDEOS emotion max_gap_s min_found min_seconds model motion_fps out speaker split",
    "corpus inspect": "CORPUS plots",
    "rig inspect": "RIG names units",
    "rig import": "SOURCE names out overwrite units up",
    "rig preview": "RIG names out overwrite pixels shapes theme units",
    "bench inference": "bundle compare corpus engines fps out page parts repeats sizes steps",
    "bench training": "batch_size compare corpus out page parts repeats steps students teacher trainings workers",
    "bench submission": "address checkout corpus out repeats workers",
    "bench bulk": "RECORDINGS actors bundle clips engine repeats",
    "bench corpus": "clips folder steps",
    "bench features": "batch_size checkpoint corpus steps",
    "bench search": "bundle corpus paths_per_clip rounds size threads trial_steps trials",
    "bench serve": "against_plain allow_remote bundle compare concurrency curves duration find_max format key mode "
    "most out page plain_at_once rates ray rounds seconds seed speech streams target_ms threads timeout url voice "
    "warm_up",
    "serve": "bundle cache device engine grpc_port ha_proxy host keys max_streams port voices",
    "keys new": "NAME file requests_per_minute",
    "evaluate": "bundle corpus device headline_speaker max_clips num_samples out report_clips rig splits",
}


def verbs(tree: Mapping[str, type[Verb] | Group] = VERBS, *, prefix: str = "") -> Iterator[tuple[str, type[Verb]]]:
    for name, verb in tree.items():
        if isinstance(verb, Group):
            yield from verbs(verb.verbs, prefix=f"{name} ")
        else:
            yield prefix + name, verb


def flags(verb: type[Verb]) -> list[str]:
    fields = [field for field in dataclasses.fields(verb) if field.name != "debug"]
    return sorted(field.name.upper() if "Positional" in str(field.type) else field.name for field in fields)


def test_verbs_and_flags_are_what_was_promised() -> None:
    assert {name: " ".join(flags(verb)) for name, verb in verbs()} == SURFACE


@pytest.mark.parametrize(
    ("verb", "config"),
    [(ImportCorpus, ImportConfig), (SynthesizeCorpus, SyntheticCorpusConfig), (Evaluate, EvaluationConfig)],
)
def test_flags_have_the_defaults_of_the_config_they_fill(verb: type[Verb], config: type) -> None:
    defaults = {field.name: field.default for field in dataclasses.fields(config)}
    shared = [field for field in dataclasses.fields(verb) if field.name in defaults]
    assert len(shared) >= 3
    for field in shared:
        assert field.default == defaults[field.name], field.name


@pytest.mark.parametrize(("name", "verb"), list(verbs()))
def test_every_verb_explains_itself_with_an_example(name: str, verb: type[Verb], command: Callable) -> None:
    outcome = command(*name.split(), "--help")
    assert outcome.code == 0
    assert f"diffusiontalker {name} " in outcome.out.partition("Examples:")[2]
    assert (inspect.getdoc(verb) or "").splitlines()[0] in outcome.out
    for field in dataclasses.fields(verb):
        assert f"--{field.name.replace('_', '-')}" in outcome.out or field.name.upper() in " ".join(flags(verb))


@pytest.mark.parametrize("args", [["-h"], ["--help"], ["corpus", "--help"], ["voices", "-h"]])
def test_overviews_list_the_verbs(args: list[str], command: Callable) -> None:
    outcome = command(*args)
    assert outcome.code == 0
    tree = VERBS if len(args) == 1 else VERBS[args[0]].verbs
    assert all(f"    {name} " in outcome.out for name in tree)
    assert "Every verb explains itself" in outcome.out


def test_the_version_is_the_package_version(command: Callable) -> None:
    assert command("--version").out == f"diffusiontalker {diffusiontalker.__version__}\n"


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (
            [],
            "a verb is missing (allowed: animate, convert, play, enroll, voices, corpus, rig, evaluate, serve, keys, "
            "bench)",
        ),
        (["anmate"], "'anmate' is no verb; perhaps you meant 'animate'"),
        (["corpus"], "diffusiontalker corpus: a verb is missing (allowed: import, synthesize, label, track, inspect)"),
        (["corpus", "imprt"], "perhaps you meant 'import'"),
        (["corpus", "--version"], "'--version' is no verb"),
    ],
)
def test_unknown_verbs_are_bad_usage(args: list[str], message: str, command: Callable) -> None:
    outcome = command(*args)
    assert outcome.code == 2
    assert message in outcome.err
    assert "--help" in outcome.err


@pytest.mark.parametrize(
    "args", [["animate"], ["animate", "a.wav", "--bundle", "b", "--out", "c.csv", "--sede", "1"], ["enroll", "--name"]]
)
def test_unknown_and_missing_flags_are_bad_usage(args: list[str], command: Callable) -> None:
    assert command(*args).code == 2


@pytest.mark.parametrize("args", ["['-h']", "['--version']", "['animate', '-h']", "['corpus', 'import', '--help']"])
def test_help_and_version_import_neither_torch_nor_ray(args: str) -> None:
    program = (
        "import sys; from diffusiontalker.cli import main; code = main(" + args + ");"
        "heavy = {'torch', 'ray', 'transformers', 'matplotlib', 'soundfile'} & set(sys.modules);"
        "sys.exit(f'imported {heavy}' if heavy else code)"
    )
    completed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert completed.returncode == 0, completed.stderr


def test_every_format_that_can_be_imported_is_offered_and_has_an_example() -> None:
    (kinds,) = (field.type for field in dataclasses.fields(ImportCorpus) if field.name == "format")
    assert get_args(kinds) == CORPUS_FORMATS
    examples = (inspect.getdoc(ImportCorpus) or "").partition("Examples:")[2]
    assert all(f"--format {name} " in examples for name in CORPUS_FORMATS if name not in ("auto", "folder"))
