"""Recordings imported by actors: the same corpus that one process makes, whatever happened on the way."""

import csv
import dataclasses
import logging
import shutil

import numpy as np
import pytest
from pyarrow import fs

from diffusiontalker.audio import SAMPLE_RATE_HZ
from diffusiontalker.audio.waveform import write_wav
from diffusiontalker.config import ConfigError
from diffusiontalker.data import Corpus, CorpusError, ImportConfig, import_corpus
from diffusiontalker.face import CHANNELS, MotionClip, write_motion
from diffusiontalker.orchestration import ImportJobConfig, run_import_job
from diffusiontalker.orchestration.actor_pool import PoolConfig
from diffusiontalker.storage import open_filesystem

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("ray_session")]

NUM_CLIPS = 150
TWO = PoolConfig(num_actors=2)


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    """A folder corpus: one clip has no sound, another the sound of a clip of another split."""
    folder = tmp_path_factory.mktemp("recordings")
    generator = np.random.default_rng(0)
    rows = []
    for number in range(NUM_CLIPS):
        waveform = 0.1 * generator.standard_normal(SAMPLE_RATE_HZ // 5).astype(np.float32)
        write_wav(waveform if number != 70 else np.zeros_like(waveform), folder / f"{number}.wav")
        motion = generator.random((5, len(CHANNELS)), dtype=np.float32)
        write_motion(MotionClip(coefficients=motion, fps=25.0), folder / f"{number}.csv")
        split = "train" if number < 130 else "test"
        rows.append((f"clip{number}", f"{number}.wav", f"{number}.csv", "anna", "neutral", 25, split))
    shutil.copy(folder / "0.wav", folder / "140.wav")
    with (folder / "manifest.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([("clip_id", "audio", "motion", "speaker", "emotion", "fps", "split"), *rows])
    return folder


def test_the_corpus_is_the_one_that_one_process_makes(recordings, s3_endpoint, tmp_path):
    fs.S3FileSystem(endpoint_override=s3_endpoint, allow_bucket_creation=True).create_dir("imports")
    alone = import_corpus(recordings, tmp_path / "alone")
    text = run_import_job(
        ImportJobConfig(recordings=str(recordings), orchestration=TWO),
        out="s3://imports/run",
    )
    assert "accepted 148 clips" in text
    assert "clip70: manifest.csv, row 72: audio is silent" in text
    assert "clip140: manifest.csv, row 142: audio is identical to that of clip 'clip0' in split train" in text
    corpus = Corpus.open("s3://imports/run/corpus")
    corpus.verify()
    assert corpus.info.digest == alone.info.digest
    assert [clip.clip_id for clip in corpus.clips("train")] == [
        clip.clip_id for clip in Corpus.open(tmp_path / "alone").clips("train")
    ]


def test_what_was_checked_is_kept_but_for_what_was_rejected(recordings, tmp_path, caplog):
    copy = tmp_path / "copy"
    shutil.copytree(recordings, copy)
    strict = ImportJobConfig(recordings=str(copy), orchestration=TWO, importing=ImportConfig(max_rejected_fraction=0.0))
    out = tmp_path / "run"
    with pytest.raises(CorpusError, match="2 of 150 clips were rejected"):
        run_import_job(strict, out=out)
    parts = sorted((out / "checked").iterdir())
    assert [path.name for path in parts] == [f"{0:09d}-{64:09d}.parquet", f"{128:09d}-{150:09d}.parquet"]
    shutil.copy(copy / "71.wav", copy / "70.wav")  # repaired, more or less
    relaxed = dataclasses.replace(strict, importing=ImportConfig(max_rejected_fraction=0.1))
    with caplog.at_level(logging.INFO):
        text = run_import_job(relaxed, out=out, resume=True)
    assert "2 of 3 parts are checked already" in caplog.text
    assert "accepted 149 clips" in text
    assert not (out / "checked").exists()


def test_an_import_that_was_killed_while_it_wrote_is_resumed(recordings, s3_endpoint):
    fs.S3FileSystem(endpoint_override=s3_endpoint, allow_bucket_creation=True).create_dir("halfway")
    config = ImportJobConfig(recordings=str(recordings), orchestration=TWO)
    run_import_job(config, out="s3://halfway/run")
    digest = Corpus.open("s3://halfway/run/corpus").info.digest
    filesystem, root = open_filesystem("s3://halfway/run/corpus")
    filesystem.delete_file(f"{root}/corpus.json")
    run_import_job(config, out="s3://halfway/run", resume=True)
    assert Corpus.open("s3://halfway/run/corpus").info.digest == digest


def test_a_finished_import_leaves_the_corpus_and_is_not_done_again(recordings, tmp_path):
    config, out = ImportJobConfig(recordings=str(recordings), orchestration=TWO), tmp_path / "run"
    run_import_job(config, out=out)
    names = {"config.yaml", "corpus", "provenance.json", "recordings.sha256"}
    assert {path.name for path in out.iterdir()} == names
    assert "148 clips were imported before" in run_import_job(config, out=out, resume=True)


def test_other_recordings_than_before_are_refused(recordings, tmp_path):
    (tmp_path / "copy").mkdir()
    for path in recordings.iterdir():
        shutil.copy(path, tmp_path / "copy")
    config = ImportJobConfig(
        recordings=str(tmp_path / "copy"), orchestration=TWO, importing=ImportConfig(max_rejected_fraction=0.0)
    )
    with pytest.raises(CorpusError, match="clips were rejected"):
        run_import_job(config, out=tmp_path / "run")
    manifest = tmp_path / "copy" / "manifest.csv"
    manifest.write_text(manifest.read_text().replace(",anna,", ",berta,", 1))
    with pytest.raises(ConfigError, match="the list of recordings changed"):
        run_import_job(config, out=tmp_path / "run", resume=True)


def test_too_many_rejections_write_nothing_and_name_them(recordings, tmp_path):
    (tmp_path / "broken").mkdir()
    for path in recordings.iterdir():
        content = path.read_bytes()
        (tmp_path / "broken" / path.name).write_bytes(content[:20] if path.suffix == ".wav" else content)
    config = ImportJobConfig(recordings=str(tmp_path / "broken"), orchestration=TWO)
    with pytest.raises(CorpusError, match=r"150 of 150 clips were rejected.*(?s:.)*clip0: manifest\.csv, row 2"):
        run_import_job(config, out=tmp_path / "run")
    assert not (tmp_path / "run" / "corpus").exists()


def test_recordings_are_needed(tmp_path):
    with pytest.raises(ConfigError, match="recordings is empty"):
        run_import_job(ImportJobConfig(), out=tmp_path / "run")
    with pytest.raises(CorpusError, match="is no folder"):
        run_import_job(ImportJobConfig(recordings=str(tmp_path / "none")), out=tmp_path / "run")
