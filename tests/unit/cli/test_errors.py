"""Bad input ends with exit code 2 and one line that says where, what, what is allowed and what to do; no traceback."""

from collections.abc import Callable
from pathlib import Path

import pytest

from diffusiontalker.cli import app
from diffusiontalker.cli.verb import Verb


def assert_refused(outcome: object, *parts: str) -> None:
    assert outcome.code == 2, outcome.err
    assert outcome.err.startswith("error: ")
    assert "Traceback" not in outcome.err
    for part in parts:
        assert part in outcome.err


@pytest.fixture
def animate(tmp_path: Path, speech_path: Path, bundle_path: Path, command: Callable) -> Callable:
    """`animate` on good input, with flags replaced or added; nothing may be left under the final name."""

    def run(audio: Path = speech_path, *, bundle: Path = bundle_path, out: str = "x.csv", flags: tuple = ()) -> object:
        existing = set(tmp_path.iterdir())
        outcome = command("animate", audio, "--bundle", bundle, "--out", tmp_path / out, *flags)
        assert set(tmp_path.iterdir()) == existing
        return outcome

    return run


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty (0 bytes), expected wav, flac, ogg"),
        (b"no sound at all", "unknown format"),
        (b"fLaC" + b"\x00" * 100, "corrupt or cut off, export it again"),
    ],
)
def test_bad_audio_is_named(tmp_path: Path, animate: Callable, content: bytes, message: str) -> None:
    audio = tmp_path / "bad.wav"
    audio.write_bytes(content)
    assert_refused(animate(audio), str(audio), message)


def test_missing_audio_is_named(tmp_path: Path, animate: Callable) -> None:
    assert_refused(animate(tmp_path / "gone.wav"), "gone.wav", "no such file", "check the path")


def test_an_unknown_output_format_is_refused_before_any_work(tmp_path: Path, animate: Callable) -> None:
    outcome = animate(tmp_path / "gone.wav", out="x.mp4")
    assert_refused(outcome, "unknown format '.mp4'", ".csv, .json, .ndjson, .npz, .parquet, .arrow, .glb")


def test_an_existing_output_is_kept_unless_overwriting_is_asked_for(
    tmp_path: Path, animate: Callable, speech_path: Path, bundle_path: Path, command: Callable
) -> None:
    out = tmp_path / "x.csv"
    out.write_text("precious")
    assert_refused(animate(), "already exists and nothing is overwritten", "--overwrite")
    assert out.read_text() == "precious"
    assert command("animate", speech_path, "--bundle", bundle_path, "--out", out, "--overwrite").code == 0
    assert out.read_text() != "precious"


def test_an_unwritable_output_is_named(tmp_path: Path, animate: Callable) -> None:
    (tmp_path / "file").write_text("")
    assert_refused(animate(out="file/x.csv"), "cannot be written", "choose a writable folder")


def test_bundles_that_are_none_are_named(tmp_path: Path, animate: Callable) -> None:
    assert_refused(animate(bundle=tmp_path / "nowhere"), "nowhere: does not exist", "give the folder")
    assert_refused(animate(bundle=tmp_path), "is no bundle, or an unfinished one (no manifest.json)")


@pytest.mark.parametrize(
    ("flags", "parts"),
    [
        (("--emotion", "hapy"), ("hapy", "neutral", "happy")),
        (("--voice", "eve"), ("no voice 'eve'", "amy, bob")),
        (("--voice", "eve.json"), ("eve.json: no such voice file", "diffusiontalker enroll")),
        (("--num-steps", "0"), ("num_steps", "0")),
        (("--temperature", "-1"), ("temperature", "-1")),
        (("--fps", "0"), ("--fps 0", "expected 1 to 240")),
        (("--rig", "nowhere.npz"), ("nowhere.npz",)),
        (("--device", "gpu9"), ("device 'gpu9' cannot be used", "try device 'cpu'")),
    ],
)
def test_flags_outside_what_is_allowed_are_named(flags: tuple, parts: tuple, animate: Callable) -> None:
    assert_refused(animate(flags=flags), *parts)


def test_a_voice_of_another_bundle_is_refused(
    tmp_path: Path, speech_path: Path, bundle_path: Path, animate: Callable, command: Callable
) -> None:
    voices = tmp_path / "voices"
    flags = ("--bundle", bundle_path, "--voices", voices)
    assert command("enroll", speech_path, "--name", "Anna", *flags).code == 0
    (path,) = voices.iterdir()
    text = path.read_text()
    digest = text.partition('"bundle_digest": "')[2][:64]
    path.write_text(text.replace(digest, "0" * 64))
    outcome = animate(flags=("--voice", "Anna", "--voices", voices))
    assert_refused(outcome, "was enrolled with bundle 000000000000", "enroll it again with this bundle")


def test_enrolling_needs_sound_and_a_name(
    tmp_path: Path, speech_path: Path, bundle_path: Path, command: Callable
) -> None:
    flags = ("--bundle", bundle_path, "--voices", tmp_path / "voices")
    assert_refused(command("enroll", speech_path, "--name", " ", *flags), "is not usable", "printable")
    assert_refused(command("enroll", tmp_path / "gone.wav", "--name", "Anna", *flags), "gone.wav: no such file")
    assert not (tmp_path / "voices").exists()


def test_corpora_that_are_none_are_named(tmp_path: Path, bundle_path: Path, command: Callable) -> None:
    nowhere, out = tmp_path / "nowhere", tmp_path / "out"
    assert_refused(command("corpus", "inspect", nowhere), "nowhere: there is no corpus", "corpus import")
    assert_refused(command("corpus", "import", nowhere, "--out", out), "nowhere")
    assert_refused(
        command("corpus", "label", nowhere, "--bundle", bundle_path, "--out", out), "nowhere: is no folder", "give the"
    )
    assert_refused(command("evaluate", "--corpus", nowhere, "--bundle", bundle_path, "--out", out), "no corpus")
    assert not out.exists()


@pytest.mark.parametrize(
    ("args", "parts"),
    [
        (("synthesize", "--num-speakers", 99), ("--num-speakers is 99", "12")),
        (("synthesize", "--emotions", "hapy"), ("no synthetic emotion 'hapy'", "happy")),
        (("import", "source", "--motion-fps", 0), ("--motion-fps is 0", "expected 1 to 240")),
    ],
)
def test_corpus_flags_outside_their_range_are_named(
    tmp_path: Path, args: tuple, parts: tuple, command: Callable
) -> None:
    assert_refused(command("corpus", *args, "--out", tmp_path / "corpus"), *parts)
    assert list(tmp_path.iterdir()) == []


def test_two_bundles_of_one_name_are_told_apart(tmp_path: Path, bundle_path: Path, command: Callable) -> None:
    outcome = command(
        *("evaluate", "--corpus", "c", "--bundle", bundle_path, "--bundle", bundle_path, "--out", tmp_path / "out")
    )
    assert_refused(outcome, "'tiny' is given twice", "--bundle OTHERNAME=")


class Failing(Verb):
    """Fails as only a fault of the program would."""

    def run(self) -> None:
        raise ValueError("operands could not be broadcast together")


class Interrupted(Verb):
    """Is interrupted by the user."""

    def run(self) -> None:
        raise KeyboardInterrupt


def test_faults_of_the_program_are_failures_without_a_traceback(
    command: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(app.VERBS, "fail", Failing)
    outcome = command("fail")
    assert outcome.code == 1
    assert outcome.err.startswith("error: unexpected ValueError: operands could not be broadcast together\n")
    assert "--debug" in outcome.err
    assert "Traceback" not in outcome.err


def test_debug_shows_the_traceback(command: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(app.VERBS, "fail", Failing)
    assert "Traceback" in command("fail", "--debug").err
    monkeypatch.setenv("DIFFUSIONTALKER_DEBUG", "1")
    assert "Traceback" in command("fail").err


def test_an_interruption_is_a_failure_that_says_so(command: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(app.VERBS, "stop", Interrupted)
    outcome = command("stop")
    assert outcome.code == 1
    assert "interrupted" in outcome.err


def test_a_url_where_only_a_local_path_will_do_is_refused(
    command: Callable, bundle_path: Path, speech_path: Path
) -> None:
    outcome = command("animate", speech_path, "--bundle", bundle_path, "--out", "s3://bucket/speech.csv")
    assert_refused(outcome, "--out s3://bucket/speech.csv: a local path is needed here")
    assert not Path("s3:").exists()
