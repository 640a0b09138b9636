import csv
import json
import resource
import shutil

import numpy as np
import pytest

from diffusiontalker.audio.waveform import write_wav
from diffusiontalker.data import Corpus, CorpusError, ImportConfig, import_corpus
from diffusiontalker.data.importers.folder import MANIFEST_COLUMNS

CHANNEL_COLUMNS = ("jawOpen", "browInnerUp", "mouthSmileLeft")


class Folder:
    """A folder corpus under construction: good by default, spoilt by the test."""

    def __init__(self, root):
        self.root = root
        self.rows = []
        root.mkdir()

    def add(self, clip_id, *, seconds=1.0, frames=25, fps=25, split="train", speaker="ada", seed=None, **changes):
        generator = np.random.default_rng(len(self.rows) if seed is None else seed)
        waveform = (0.1 * generator.standard_normal(round(16_000 * seconds))).astype(np.float32)
        write_wav(waveform, self.root / f"{clip_id}.wav")
        self.write_motion(clip_id, generator.random((frames, len(CHANNEL_COLUMNS))), fps=fps)
        row = {"clip_id": clip_id, "audio": f"{clip_id}.wav", "motion": f"{clip_id}.csv", "speaker": speaker}
        self.rows.append(row | {"emotion": "neutral", "fps": fps, "split": split} | changes)
        return self

    def write_motion(self, clip_id, values, *, fps=25, columns=CHANNEL_COLUMNS):
        with (self.root / f"{clip_id}.csv").open("w", newline="") as stream:
            writer = csv.writer(stream)
            writer.writerow(["time_s", *columns])
            writer.writerows([f"{frame / fps:.6f}", *row] for frame, row in enumerate(values))

    def done(self, columns=(*MANIFEST_COLUMNS, "remark")):
        with (self.root / "manifest.csv").open("w", newline="", encoding="utf-8") as stream:
            writer = csv.DictWriter(stream, columns, extrasaction="ignore")
            writer.writeheader()
            writer.writerows(self.rows)
        return self.root


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path / "recordings")


@pytest.fixture
def uri(tmp_path):
    return tmp_path / "corpus"


def test_clips_are_read_by_name_resampled_and_cut_to_their_sound(folder, uri):
    folder.add("a", seconds=1.0, frames=61, fps=60).add("b", seconds=0.99, frames=25, split="test")
    ramp = np.linspace(0.0, 1.0, 61)
    folder.write_motion("a", np.stack([ramp, 1 - ramp], axis=1), fps=60, columns=("MouthSmile_L", "JawOpen"))
    report = import_corpus(folder.done(), uri, config=ImportConfig(motion_fps=30.0))
    clip = Corpus.open(uri).load("train")[0]
    assert report.accepted == ("a", "b")
    assert clip.motion.fps == 30
    np.testing.assert_allclose(clip.motion.column("mouthSmileLeft"), ramp[:60:2], atol=1e-6)
    np.testing.assert_allclose(clip.motion.column("jawOpen"), 1 - ramp[:60:2], atol=1e-6)
    assert Corpus.open(uri).load("test")[0].motion.num_frames == 30


def test_channels_the_source_lacks_are_recorded(folder, uri):
    report = import_corpus(folder.add("a").done(), uri)
    assert len(report.info.missing_channels) == 52 - len(CHANNEL_COLUMNS)
    assert "tongueOut" in Corpus.open(uri).info.missing_channels
    assert "jawOpen" not in report.info.missing_channels
    assert "tongueOut" in report.text()


def corrupt(folder, clip_id):
    path = folder.root / f"{clip_id}.flac"
    path.write_bytes(b"fLaC" + bytes(200))
    folder.rows[-1]["audio"] = path.name


SPOILERS = {
    "audio file missing": (lambda folder: (folder.root / "x.wav").unlink(), "x.wav: no such file"),
    "motion file missing": (lambda folder: (folder.root / "x.csv").unlink(), "x.csv: there is no such file"),
    "audio of 0 bytes": (lambda folder: (folder.root / "x.wav").write_bytes(b""), "0 bytes"),
    "corrupt audio": (lambda folder: corrupt(folder, "x"), "cannot be decoded"),
    "silent audio": (
        lambda folder: write_wav(np.zeros(16_000, np.float32), folder.root / "x.wav", overwrite=True),
        "audio is silent",
    ),
    "NaN": (lambda folder: folder.write_motion("x", np.full((25, 3), np.nan)), "NaN"),
    "slightly out of range": (
        lambda folder: folder.write_motion("x", np.full((25, 3), 1.2)),
        "x.csv: motion reaches 1.2 in channel jawOpen at 0.00 s (frame 0 counted from 0",
    ),
    "percentages": (lambda folder: folder.write_motion("x", np.full((25, 3), 40.0)), "divide percentages by 100"),
    "no ARKit channel": (
        lambda folder: folder.write_motion("x", np.zeros((25, 3)), columns=("x", "y", "z")),
        "no column is named after an ARKit channel",
    ),
    "wrong fps": (lambda folder: folder.rows[-1].update(fps=30), "column fps says 30 fps but time_s says 25 fps"),
    "fps is no number": (
        lambda folder: folder.rows[-1].update(fps="fast"),
        "manifest.csv, row 7: column fps is 'fast', expected a positive number",
    ),
    "fps with a comma": (lambda folder: folder.rows[-1].update(fps="25,0"), "write a decimal point"),
    "drift": (
        lambda folder: folder.write_motion("x", np.full((30, 3), 0.5)),
        "1.20 s but audio 1.00 s (limit 0.070 s: 0.05 s and half a frame at 25 fps); at 29.97 or 30 fps it would fit",
    ),
    "unknown split": (lambda folder: folder.rows[-1].update(split="trian"), "perhaps you meant 'train'"),
    "no speaker": (lambda folder: folder.rows[-1].update(speaker=""), "manifest.csv, row 7: column speaker is empty"),
    "repeated id": (
        lambda folder: folder.rows.append(dict(folder.rows[0])),
        "manifest.csv, row 8: an earlier clip has this clip_id",
    ),
}


@pytest.mark.parametrize("name", SPOILERS)
def test_a_spoilt_clip_is_left_out_and_listed_with_the_reason(name, folder, uri):
    spoil, reason = SPOILERS[name]
    for number in range(5):
        folder.add(f"good{number}")
    folder.add("x")
    spoil(folder)
    config = ImportConfig(max_rejected_fraction=0.2)
    report = import_corpus(folder.done(), uri, config=config)
    ((clip_id, got),) = report.rejected
    assert reason in got
    assert clip_id not in report.accepted or name == "repeated id"
    assert clip_id in report.text()
    saved = json.loads((uri / "import_report.json").read_text())
    assert saved["rejected"] == [[clip_id, got]]
    assert len(Corpus.open(uri).load()) == len(report.accepted) >= 5


def test_half_a_frame_and_the_drift_limit_are_tolerated(folder, uri):
    folder.add("long", seconds=0.978, frames=25).add("short", seconds=0.978, frames=24)
    report = import_corpus(folder.done(), uri, config=ImportConfig(max_drift_s=0.022, strict=True))
    assert report.accepted == ("long", "short")


def test_small_overshoot_is_clamped(folder, uri):
    folder.add("a")
    folder.write_motion("a", np.full((25, 3), [1.04, -0.04, 0.5]))
    import_corpus(folder.done(), uri)
    coefficients = Corpus.open(uri).load()[0].motion.coefficients
    assert coefficients.min() == 0.0
    assert coefficients.max() == 1.0


@pytest.mark.parametrize("kind", ["audio", "motion"])
def test_content_of_another_split_is_rejected(kind, folder, uri):
    for number in range(4):
        folder.add(f"c{number}")
    folder.add("copy", split="test")
    suffix = {"audio": "wav", "motion": "csv"}[kind]
    shutil.copy(folder.root / f"c1.{suffix}", folder.root / f"copy.{suffix}")
    report = import_corpus(folder.done(), uri)
    ((clip_id, reason),) = report.rejected
    assert clip_id == "copy"
    assert f"{kind} is identical to that of clip 'c1' in split train, this one is in test" in reason


def test_oddities_are_accepted_with_a_warning(folder, uri):
    folder.add("a").add("twin", seed=0).add("still").add("poor")
    folder.write_motion("still", np.full((25, 3), 0.2))
    folder.write_motion("poor", np.random.default_rng(9).random((25, 2)), columns=CHANNEL_COLUMNS[:2])
    report = import_corpus(folder.done(), uri)
    assert not report.rejected
    assert report.warnings == (
        "twin: audio is identical to that of clip 'a'",
        "twin: motion is identical to that of clip 'a'",
        "still: motion never moves; the face was probably not tracked",
        "poor: 1 clip of 4 without channels that other clips have: mouthSmileLeft; 0 stands there, and no evaluation "
        "counts them",
    )
    assert "mouthSmileLeft" in report.info.missing_channels
    assert "(0 in the corpus): browDownLeft" in report.text()
    assert not any("mouthSmileLeft" in line for line in report.text().splitlines() if "(0 in the corpus)" in line)


def test_what_the_first_clips_lack_is_told_as_well_as_what_the_last_lack(folder, uri):
    for name in ("a", "b", "c"):
        folder.add(name)
    for seed, name in enumerate(("a", "b")):
        poor = np.random.default_rng(seed).random((25, 2))
        folder.write_motion(name, poor, columns=CHANNEL_COLUMNS[:2])
    (warning,) = import_corpus(folder.done(), uri).warnings
    assert warning.startswith("a, b: 2 clips of 3 without channels that other clips have: mouthSmileLeft")


def test_a_split_without_clips_is_told(folder, uri):
    report = import_corpus(folder.add("a").add("b", split="test").done(), uri)
    assert "no clip is in validation: training needs train, validation, test" in report.text()


@pytest.mark.parametrize(
    ("suffix", "change"),
    [
        ("manifest", lambda text: text.replace(",", ";").encode()),
        ("manifest", lambda text: text.replace(",", "\t").encode("utf-8-sig")),
        ("manifest", lambda text: text.encode("utf-16")),
        ("a", lambda text: text.replace(",", ";").replace(".", ",").encode()),
        ("a", lambda text: text.replace(",", ";").encode("utf-16")),
    ],
)
def test_what_a_spreadsheet_made_of_a_csv_file_is_called_that(suffix, change, folder, uri):
    path = folder.add("a").done() / f"{suffix}.csv"
    path.write_bytes(change(path.read_text()))
    said = rf"{suffix}\.csv: (its cells are separated by|is UTF-16 text)(.|\n)*; save it as comma-separated UTF-8 text"
    with pytest.raises(CorpusError, match=said):
        import_corpus(folder.root, uri)


def test_a_file_that_cannot_be_written_is_called_by_its_name_in_the_corpus(folder, uri):
    folder.add("a").done()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(CorpusError, match=rf"^{uri}/train-00000\.parquet: cannot be written \(.*File too large"):
            import_corpus(folder.root, uri)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not uri.exists()


def test_strict_turns_one_rejection_into_an_error(folder, uri):
    folder.add("good").add("bad", split="nowhere")
    with pytest.raises(CorpusError, match=r"1 of 2 clips were rejected; --strict allows none(.|\n)*bad: .*nowhere"):
        import_corpus(folder.done(), uri, config=ImportConfig(strict=True))
    assert not uri.exists()


def test_too_many_rejections_are_an_error(folder, uri):
    folder.add("bad", split="nowhere").add("good").add("better")
    with pytest.raises(CorpusError, match=r"1 of 3 clips were rejected; at most 0 \(30 %\) may be"):
        import_corpus(folder.done(), uri, config=ImportConfig(max_rejected_fraction=0.3))
    folder.rows = folder.rows[:1]
    with pytest.raises(CorpusError, match="1 of 1 clips were rejected"):
        import_corpus(folder.done(), uri, config=ImportConfig(max_rejected_fraction=1.0))
    assert not uri.exists()


def test_an_unusable_manifest_says_what_it_lacks(folder, uri):
    with pytest.raises(CorpusError, match=r"has no manifest\.csv; write one"):
        import_corpus(folder.root, uri, corpus_format="folder")
    folder.add("a").done(columns=[name for name in MANIFEST_COLUMNS if name not in ("fps", "split")])
    with pytest.raises(CorpusError, match=r"lacks the columns fps, split \(it has clip_id.*; a split is one of train"):
        import_corpus(folder.root, uri)
    folder.rows.clear()
    with pytest.raises(CorpusError, match="lists no clips"):
        import_corpus(folder.done(), uri)
    (folder.root / "manifest.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(CorpusError, match="save it as comma-separated UTF-8"):
        import_corpus(folder.root, uri)


def test_an_unseen_speaker_may_not_be_seen(folder, uri):
    folder.add("a", speaker="eve").add("b", speaker="eve", split="test_unseen_speaker")
    with pytest.raises(CorpusError, match="speakers eve are in split test_unseen_speaker and in others"):
        import_corpus(folder.done(), uri)


def test_an_existing_corpus_is_not_overwritten_and_stays_whole(folder, uri):
    folder.add("a").done()
    digest = import_corpus(folder.root, uri).info.digest
    with pytest.raises(CorpusError, match="already exists and nothing is overwritten"):
        import_corpus(folder.root, uri)
    assert Corpus.open(uri).info.digest == digest


@pytest.mark.parametrize(
    "wrong",
    [{"motion_fps": 0.0}, {"max_drift_s": -1.0}, {"max_rejected_fraction": 2.0}],
    ids=lambda wrong: next(iter(wrong)),
)
def test_settings_are_checked(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        ImportConfig(**wrong)


def test_real_recordings_with_a_small_length_mismatch_are_imported_whole(real_data, folder, uri):
    source = real_data / "grid_faces"
    with (source / "manifest.csv").open() as stream:
        rows = [row for row in csv.DictReader(stream) if row["frames"] == "74" or row["clip_id"].endswith("bbaf2n")]
    assert any(row["frames"] == "74" for row in rows)
    for row in rows:
        paths = {name: str((source / row[name]).absolute()) for name in ("audio", "motion")}
        folder.rows.append({name: row[name] for name in MANIFEST_COLUMNS} | paths)
    report = import_corpus(folder.done(), uri, config=ImportConfig(motion_fps=25.0, strict=True))
    assert report.info.missing_channels == ("tongueOut",)
    assert {clip.motion.num_frames for clip in Corpus.open(uri).clips()} == {75}
