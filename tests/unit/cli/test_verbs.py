"""Each verb does its work in one call and says what it wrote."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from diffusiontalker.data import Corpus
from diffusiontalker.face import read_motion
from diffusiontalker.inference import VoiceStore


@pytest.fixture(scope="session")
def corpus_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from diffusiontalker.cli import main

    path = tmp_path_factory.mktemp("corpora") / "small"
    flags = ["--num-speakers", "2", "--emotions", "neutral", "happy", "--sentences-per-speaker-emotion", "3"]
    assert main(["corpus", "synthesize", "--out", str(path), *flags]) == 0
    return path


@pytest.mark.parametrize("suffix", ["csv", "json", "npz", "parquet"])
def test_animate_writes_every_format(
    suffix: str, tmp_path: Path, speech_path: Path, bundle_path: Path, command: Callable
) -> None:
    out = tmp_path / f"speech.{suffix}"
    outcome = command("animate", speech_path, "--bundle", bundle_path, "--out", out)
    assert (outcome.code, outcome.err) == (0, "")
    assert f"wrote {out}: 1.50 s, 45 frames at 30 fps, 52 channels" in outcome.out
    assert "RTF 0." in outcome.out
    motion = read_motion(out)
    assert (motion.num_frames, motion.fps) == (45, 30.0)


def test_animate_writes_a_glb_on_the_built_in_head(
    tmp_path: Path, speech_path: Path, bundle_path: Path, command: Callable
) -> None:
    out = tmp_path / "speech.glb"
    assert command("animate", speech_path, "--bundle", bundle_path, "--out", out).code == 0
    assert out.read_bytes()[:4] == b"glTF"


def test_the_seed_decides_the_take(tmp_path: Path, speech_path: Path, bundle_path: Path, command: Callable) -> None:
    motions = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        out = tmp_path / f"{name}.npz"
        assert command("animate", speech_path, "--bundle", bundle_path, "--out", out, "--seed", seed).code == 0
        motions.append(read_motion(out).coefficients)
    assert np.array_equal(motions[0], motions[1])
    assert not np.array_equal(motions[0], motions[2])


def test_animate_resamples_to_the_asked_rate(
    tmp_path: Path, speech_path: Path, bundle_path: Path, command: Callable
) -> None:
    out = tmp_path / "speech.csv"
    outcome = command("animate", speech_path, "--bundle", bundle_path, "--out", out, "--fps", 60, "--emotion", "happy")
    assert outcome.code == 0
    assert "90 frames at 60 fps" in outcome.out


def test_a_voice_is_enrolled_listed_and_used_by_name_id_and_file(
    tmp_path: Path, speech_path: Path, bundle_path: Path, command: Callable
) -> None:
    voices = tmp_path / "voices"
    name = "Žofie's voice"
    outcome = command("enroll", speech_path, speech_path, "--name", name, "--bundle", bundle_path, "--voices", voices)
    assert outcome.code == 0, outcome.err
    (voice,) = VoiceStore(voices).list()
    assert f"voice '{name}', id {voice.voice_id}" in outcome.out
    assert voice.voice_id in command("voices", "list", "--voices", voices).out
    motions = []
    for number, wanted in enumerate((name, voice.voice_id, voices / f"{voice.voice_id}.json", "bob")):
        out = tmp_path / f"{number}.npz"
        outcome = command(
            "animate", speech_path, "--bundle", bundle_path, "--out", out, "--voice", wanted, "--voices", voices
        )
        assert outcome.code == 0, outcome.err
        motions.append(read_motion(out).coefficients)
    assert np.array_equal(motions[0], motions[1])
    assert np.array_equal(motions[0], motions[2])
    assert not np.array_equal(motions[0], motions[3])


def test_an_empty_voice_folder_says_how_to_fill_it(tmp_path: Path, command: Callable) -> None:
    outcome = command("voices", "list", "--voices", tmp_path / "none")
    assert outcome.code == 0
    assert "make one with 'diffusiontalker enroll'" in outcome.out


def test_a_synthetic_corpus_is_made_and_inspected(corpus_path: Path, command: Callable) -> None:
    assert Corpus.open(corpus_path).info.emotions == ("neutral", "happy")
    plots = corpus_path.parent / "plots"
    outcome = command("corpus", "inspect", corpus_path, "--plots", plots)
    assert outcome.code == 0, outcome.err
    assert "neutral" in outcome.out
    assert "jawOpen" in outcome.out
    assert {path.name for path in plots.iterdir()} == {
        f"{picture}_{theme}.png" for picture in ("corpus", "channels", "curves") for theme in ("light", "dark")
    }


def test_a_folder_is_imported(tmp_path: Path, corpus_path: Path, speech_path: Path, command: Callable) -> None:
    from diffusiontalker.audio.waveform import write_wav
    from diffusiontalker.face import write_motion

    source = tmp_path / "recordings"
    lines = ["clip_id,audio,motion,speaker,emotion,fps,split"]
    for number, clip in enumerate(Corpus.open(corpus_path).load("train")):
        write_wav(clip.waveform, source / f"{number}.wav")
        write_motion(clip.motion, source / f"{number}.csv")
        lines.append(f"clip{number},{number}.wav,{number}.csv,anna,neutral,30,train")
    (source / "manifest.csv").write_text("\n".join(lines) + "\n")
    out = tmp_path / "corpus"
    outcome = command("corpus", "import", source, "--out", out, "--motion-fps", 25, "--strict")
    assert outcome.code == 0, outcome.err
    assert f"accepted {len(lines) - 1} clips" in outcome.out
    assert Corpus.open(out).info.motion_fps == 25.0


def test_speech_without_faces_becomes_a_corpus(
    tmp_path: Path, speech_path: Path, bundle_path: Path, command: Callable
) -> None:
    out = tmp_path / "corpus"
    outcome = command("corpus", "label", speech_path.parent, "--bundle", bundle_path, "--out", out, "--seed", 3)
    assert (outcome.code, outcome.err) == (0, "")
    assert f"wrote {out}: 1 pieces, 0.0 min at 30 fps from 1 files; speakers unlabelled" in outcome.out
    (clip,) = Corpus.open(out).load("train")
    assert (clip.clip_id, clip.seconds, clip.motion.num_frames) == ("speech.wav", 1.5, 45)


@pytest.mark.slow
def test_evaluate_measures_a_bundle_beside_the_controls(
    tmp_path: Path, corpus_path: Path, bundle_path: Path, command: Callable
) -> None:
    out = tmp_path / "report"
    outcome = command(
        *("evaluate", "--corpus", corpus_path, "--bundle", f"mine={bundle_path}", "--out", out),
        *("--num-samples", 2, "--max-clips", 2),
    )
    assert outcome.code == 0, outcome.err
    assert (out / "report.html").is_file()
    names = {row["name"] for row in json.loads((out / "report.json").read_text())["systems"]}
    assert any(name.startswith("mine") for name in names)
    assert "mine" in outcome.out
    assert f"wrote {out / 'report.html'}" in outcome.out


def test_the_installed_program_animates_in_a_process_of_its_own(
    tmp_path: Path, speech_path: Path, bundle_path: Path
) -> None:
    program = str(Path(sys.executable).with_name("diffusiontalker"))
    out = tmp_path / "speech.csv"
    args = [program, "animate", str(speech_path), "--bundle", str(bundle_path), "--out", str(out)]
    done = subprocess.run(args, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"wrote {out}")
    again = subprocess.run(args, capture_output=True, text=True, check=False)
    assert again.returncode == 2
    assert (
        again.stderr
        == f"error: {out} already exists and nothing is overwritten; choose another --out or add --overwrite\n"
    )


@pytest.mark.slow
def test_bench_search_compares_ways_to_train_a_student(corpus_path: Path, bundle_path: Path, command: Callable) -> None:
    flags = ["--rounds", "1", "--trial-steps", "10", "--trials", "2", "--paths-per-clip", "1", "--threads", "1"]
    outcome = command("bench", "search", "--bundle", bundle_path, "--corpus", corpus_path, *flags)
    assert (outcome.code, outcome.err) == (0, "")
    heads, shared, anew, *halvings, totals = outcome.out.splitlines()
    assert heads.split()[0] == "prepare"
    assert shared.startswith("paths ready-made")
    assert shared.split()[-1] == "1.00"
    assert anew.startswith("paths taken anew")
    assert [line.startswith("two teacher steps") for line in halvings] == [True, True]
    assert "2 trials of 10 steps" in totals
    refused = command("bench", "search", "--bundle", bundle_path, "--corpus", corpus_path, "--rounds", "0")
    assert (refused.code, refused.err) == (2, "error: --rounds 0: expected at least 1\n")


def test_bench_submission_says_what_it_needs(tmp_path: Path, repository_root: Path, command: Callable) -> None:
    flags = ["--corpus", tmp_path, "--out", tmp_path / "timed"]
    refused = command("bench", "submission", *flags, "--checkout", tmp_path)
    assert refused.code == 2
    assert "expected a checkout of this project" in refused.err
    refused = command("bench", "submission", *flags, "--checkout", repository_root, "--address", "http://127.0.0.1:9")
    assert refused.code == 2
    assert "http://127.0.0.1:9: no Ray cluster takes jobs there" in refused.err
