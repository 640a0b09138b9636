"""Flags and exit codes that all jobs share."""

import dataclasses
from pathlib import Path

import pytest

from diffusiontalker.config import ArtefactError
from diffusiontalker.orchestration import run_job


@dataclasses.dataclass(frozen=True, kw_only=True)
class Greeting:
    """Configuration of the job of these tests."""

    name: str = "world"
    """Whom to greet."""


def greet(config: Greeting, *, out: Path | None, resume: bool) -> str:
    return f"hello {config.name}, {out}, {resume}"


def raising(error: BaseException):
    def work(config: Greeting, *, out: Path | None, resume: bool) -> str:
        raise error

    return work


def test_flags_win_over_the_file_and_the_result_is_printed(tmp_path, capsys):
    path = tmp_path / "job.yaml"
    path.write_text("name: file\n", encoding="utf-8")
    assert run_job(Greeting, greet, ["--config", str(path)], description="") == 0
    assert capsys.readouterr().out.strip() == "hello file, None, False"
    flags = ["--config", str(path), "--name", "flag", "--out", "there", "--resume"]
    assert run_job(Greeting, greet, flags, description="") == 0
    assert capsys.readouterr().out.strip() == "hello flag, there, True"


def test_errors_about_input_end_with_code_2_and_only_their_message(caplog):
    assert run_job(Greeting, raising(ArtefactError("no room")), [], description="") == 2
    assert caplog.messages == ["error: no room"]


def test_faults_of_the_program_keep_their_traceback():
    with pytest.raises(ValueError, match="a library's"):
        run_job(Greeting, raising(ValueError("a library's")), [], description="")


def test_an_interrupt_ends_with_code_1_and_says_how_to_go_on(caplog):
    assert run_job(Greeting, raising(KeyboardInterrupt()), [], description="") == 1
    assert "--resume" in caplog.text


def test_an_unknown_flag_ends_with_code_2(capsys):
    assert run_job(Greeting, greet, ["--nam", "x"], description="") == 2
    assert "--nam" in capsys.readouterr().err


def test_help_shows_the_description_and_every_key(capsys):
    assert run_job(Greeting, greet, ["--help"], description="Greets politely.") == 0
    text = capsys.readouterr().out
    for part in ("Greets politely.", "--resume", "--name", "Whom to greet."):
        assert part in text
