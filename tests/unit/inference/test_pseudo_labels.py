"""A teacher's corpus holds exactly what the teacher says about exactly the sound in it, and says who said so."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from diffusiontalker.audio.waveform import write_wav
from diffusiontalker.data import (
    MIN_SCALE,
    Corpus,
    CorpusError,
    SpeechFolder,
    WindowConfig,
    WindowSource,
    write_corpus,
)
from diffusiontalker.inference import Bundle, animate, piece_seed, pseudo_label
from diffusiontalker.models import Talker

SECONDS = {"carla/a.wav": 1.3, "carla/b.wav": 2.1, "dan/a.wav": 5.0, "top.wav": 1.0}


@pytest.fixture
def recordings(tmp_path: Path) -> SpeechFolder:
    for number, (name, seconds) in enumerate(SECONDS.items()):
        sound = np.random.default_rng(number).uniform(-0.3, 0.3, round(16_000 * seconds))
        write_wav(sound.astype(np.float32), tmp_path / "speech" / name)
    return SpeechFolder(path=tmp_path / "speech", max_seconds=4.0)


@pytest.fixture
def make_bundle(bundle: Bundle) -> Callable[..., Bundle]:
    """A tiny bundle that knows other names, or never saw a channel move."""

    def make(*, speakers: tuple[str, ...] = ("anna",), still: tuple[int, ...] = ()) -> Bundle:
        with torch.random.fork_rng(devices=[]):
            talker = Talker(
                bundle.talker.config, speakers=speakers, emotions=["neutral"], channel_names=["jawOpen", "mouthClose"],
                motion_fps=25.0,
            )  # fmt: skip
        talker.statistics.mean.fill_(0.1)
        for index in still:
            talker.statistics.mean[index], talker.statistics.scale[index] = 0.0, MIN_SCALE
        return Bundle(talker=talker.eval(), sampling=bundle.sampling)

    return make


def test_labels_equal_animating_each_piece_alone(bundle: Bundle, recordings: SpeechFolder, tmp_path: Path) -> None:
    info = pseudo_label(bundle, recordings, tmp_path / "corpus", seed=5)
    corpus = Corpus.open(tmp_path / "corpus")
    corpus.verify()
    clips = {clip.clip_id: clip for clip in corpus.clips("train")}
    assert list(clips) == ["carla/a.wav", "carla/b.wav", "dan/a.wav#1", "dan/a.wav#2", "top.wav"]
    assert info == corpus.info
    for name, clip in clips.items():
        alone = animate(bundle, clip.waveform, seed=piece_seed(name, seed=5))
        np.testing.assert_allclose(clip.motion.coefficients, alone.coefficients, atol=1e-5)
        other = animate(bundle, clip.waveform, seed=piece_seed(name, seed=6))
        assert np.abs(clip.motion.coefficients - other.coefficients).max() > 1e-2


def test_the_corpus_says_where_its_motion_comes_from(bundle: Bundle, recordings: SpeechFolder, tmp_path: Path) -> None:
    info = pseudo_label(bundle, recordings, tmp_path / "corpus", seed=5)
    assert info.source == {"generator": "teacher", "teacher_digest": bundle.digest, "folder": "speech", "seed": 5}
    assert (info.splits, info.emotions) == ({"train": 5}, ("unlabelled",))
    assert info.speakers == ("unlabelled/carla", "unlabelled/dan", "unlabelled/top.wav")
    assert info.seconds == pytest.approx(sum(SECONDS.values()))
    assert info.is_pseudo_labelled
    recorded = write_corpus(Corpus.open(tmp_path / "corpus").load(), tmp_path / "copy", motion_fps=bundle.motion_fps)
    assert not recorded.is_pseudo_labelled


def test_no_speaker_and_no_emotion_is_one_the_teacher_knows(
    make_bundle: Callable[..., Bundle], recordings: SpeechFolder, tmp_path: Path
) -> None:
    known = ("unlabelled", "unlabelled/carla", "unlabelled+/dan", "carla")
    pseudo_label(make_bundle(speakers=known), recordings, tmp_path / "corpus")
    corpus = Corpus.open(tmp_path / "corpus")
    assert corpus.info.speakers == ("unlabelled++/carla", "unlabelled++/dan", "unlabelled++/top.wav")
    windows = WindowSource(
        corpus.load(), speakers=known, emotions=["neutral"], config=WindowConfig(seconds=0.5), augment=None
    )
    labels = [(window.speaker, window.emotion) for window in (windows.window(index, seed=0) for index in range(5))]
    assert labels == [(-1, -1)] * 5


def test_channels_the_teacher_never_saw_move_are_missing(
    make_bundle: Callable[..., Bundle], recordings: SpeechFolder, tmp_path: Path
) -> None:
    assert pseudo_label(make_bundle(), recordings, tmp_path / "all").missing_channels == ()
    assert pseudo_label(make_bundle(still=(1,)), recordings, tmp_path / "one").missing_channels == ("mouthClose",)


def test_progress_counts_files_to_the_end(bundle: Bundle, recordings: SpeechFolder, tmp_path: Path) -> None:
    calls: list[tuple[int, int]] = []
    pseudo_label(bundle, recordings, tmp_path / "corpus", on_progress=lambda done, total: calls.append((done, total)))
    assert calls[-1] == (4, 4)
    assert calls == sorted(calls)


def test_an_unusable_destination_or_source_leaves_nothing(
    bundle: Bundle, recordings: SpeechFolder, tmp_path: Path
) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "precious").write_text("mine")
    with pytest.raises(CorpusError, match="already exists"):
        pseudo_label(bundle, recordings, tmp_path / "taken")
    for path in recordings.files:
        path.write_bytes(b"broken")
    with pytest.raises(CorpusError, match="no speech to use; 4 of 4 files cannot be read"):
        pseudo_label(bundle, recordings, tmp_path / "corpus")
    assert {path.name for path in tmp_path.iterdir()} == {"taken", "speech"}
