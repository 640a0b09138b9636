"""What one process of a bulk animation makes of a table of recordings."""

import dataclasses
import os
from urllib.parse import urlsplit

import numpy as np
import pyarrow as pa
import pytest
from faulty_proxy import Faults, FaultyProxy
from object_store import bucket_on_s3

from diffusiontalker.audio import SAMPLE_RATE_HZ
from diffusiontalker.audio.waveform import read_waveform, write_wav
from diffusiontalker.inference import (
    ORDERS,
    BulkAnimator,
    BulkOrder,
    Bundle,
    BundleError,
    animate,
    save_bundle,
)
from diffusiontalker.inference import bulk as bulk_module
from diffusiontalker.storage import open_filesystem, write_file


@pytest.fixture
def order(bundle: Bundle, tmp_path) -> BulkOrder:
    save_bundle(bundle, tmp_path / "bundle")
    return BulkOrder(
        bundle=str(tmp_path / "bundle"),
        bundle_digest=bundle.digest,
        voices={"anna": "anna"},
        out=str(tmp_path / "motion"),
        motion_format="csv",
        batch_frames=60,
    )


@pytest.fixture
def table(tmp_path) -> pa.Table:
    """Five recordings of 0.4 to 1.2 s (10 to 30 frames), each with another wish; the third is no audio."""
    generator = np.random.default_rng(0)
    rows = []
    for number, seconds in enumerate((0.4, 1.2, 0.8, 1.0, 0.6)):
        path = tmp_path / f"{number}.wav"
        write_wav(0.1 * generator.standard_normal(round(seconds * SAMPLE_RATE_HZ)), path)
        voice, emotion = ("anna" if number % 2 else None), ("joy" if number > 2 else None)
        rows.append(
            {"output": f"x/{number}.csv", "name": f"{number}.wav", "uri": str(path), "voice": voice, "emotion": emotion,
             "seed": number}
        )  # fmt: skip
    (tmp_path / "2.wav").write_bytes(b"hello")
    return pa.Table.from_pylist(rows, schema=ORDERS)


def test_every_recording_becomes_what_it_would_be_alone_and_failures_are_results(order, table, bundle, tmp_path):
    rows = BulkAnimator(order)(table).to_pylist()
    results = {row["output"]: row for row in rows}
    assert len(rows) == len(results) == 5
    failed = results.pop("x/2.csv")
    assert failed["reason"].startswith("2.wav: unknown format")
    assert not failed["is_unwritable"]
    assert not (tmp_path / "motion/x/2.csv").exists()
    for wish in table.to_pylist():
        if wish["output"] in results:
            waveform = read_waveform(wish["uri"])
            alone = animate(bundle, waveform, voice=wish["voice"], emotion=wish["emotion"], seed=wish["seed"])
            made = np.genfromtxt(tmp_path / "motion" / wish["output"], delimiter=",", names=True)
            made = np.stack([made[name] for name in alone.channel_names], axis=1)
            np.testing.assert_allclose(made, alone.coefficients, atol=2e-5)
            assert results[wish["output"]]["seconds"] == len(waveform) / SAMPLE_RATE_HZ


@pytest.mark.parametrize("engine", ["torch-bfloat16", "onnx-int8"])
def test_rougher_arithmetic_is_asked_for_and_stays_close(engine, order, table, tmp_path):
    def motion_of(engine: str) -> np.ndarray:
        changed = dataclasses.replace(order, engine=engine, out=str(tmp_path / engine))
        assert sum(row["reason"] is None for row in BulkAnimator(changed)(table).to_pylist()) == 4
        files = sorted((tmp_path / engine / "x").iterdir())
        return np.concatenate([np.loadtxt(path, delimiter=",", skiprows=1) for path in files])

    exact, rough = motion_of("torch"), motion_of(engine)
    assert np.abs(rough - exact).max() > 0
    np.testing.assert_allclose(rough, exact, atol=0.05)


def test_batches_hold_at_most_so_many_frames_padding_included(order, table, monkeypatch):
    batches = []

    def animate_batch(bundle, waveforms, **options):
        batches.append([round(len(waveform) / SAMPLE_RATE_HZ * 25) for waveform in waveforms])
        return real(bundle, waveforms, **options)

    real = bulk_module.animate_batch
    monkeypatch.setattr(bulk_module, "animate_batch", animate_batch)
    BulkAnimator(order)(table)
    assert batches == [[10, 30], [25, 15]]
    batches.clear()
    BulkAnimator(dataclasses.replace(order, batch_frames=1))(table)
    assert batches == [[10], [30], [25], [15]]


def test_one_that_cannot_be_animated_does_not_spoil_its_batch(order, table):
    rows = table.to_pylist()
    rows[1]["emotion"] = "jealousy"
    results = BulkAnimator(order)(pa.Table.from_pylist(rows, schema=ORDERS)).to_pylist()
    reasons = {row["output"]: row["reason"] for row in results if row["reason"]}
    assert reasons.keys() == {"x/1.csv", "x/2.csv"}
    assert "AnimationError: unknown emotion 'jealousy'" in reasons["x/1.csv"]


def test_an_output_that_cannot_be_written_is_told_apart(order, table, tmp_path):
    (tmp_path / "motion").write_text("a file where the folder should be", encoding="utf-8")
    results = BulkAnimator(order)(table).to_pylist()
    assert [row["is_unwritable"] for row in results].count(True) == 4
    assert all("cannot be written" in row["reason"] for row in results if row["is_unwritable"])


def test_another_bundle_than_was_ordered_is_refused(order):
    with pytest.raises(BundleError, match=r"the bundle seen here is \w+, ordered was 0123"):
        BulkAnimator(dataclasses.replace(order, bundle_digest="0123"))


def test_motion_comes_at_another_rate_and_in_another_format(order, table, tmp_path):
    order = dataclasses.replace(order, fps=50.0, motion_format="npz")
    rows = [row | {"output": row["output"].replace("csv", "npz")} for row in table.slice(0, 1).to_pylist()]
    (result,) = BulkAnimator(order)(pa.Table.from_pylist(rows, schema=ORDERS)).to_pylist()
    assert result["reason"] is None
    with np.load(tmp_path / "motion/x/0.npz") as stored:
        assert any(array.shape[:1] == (20,) for array in stored.values())


@pytest.mark.slow
def test_answers_of_a_store_that_break_off_are_asked_for_again(tmp_path, monkeypatch):
    write_wav(0.1 * np.random.default_rng(0).standard_normal(SAMPLE_RATE_HZ), tmp_path / "speech.wav")
    with bucket_on_s3("speech") as bucket:
        filesystem, path = open_filesystem(f"{bucket}/takes/speech.wav")
        write_file(filesystem, path, (tmp_path / "speech.wav").read_bytes())
        with FaultyProxy(urlsplit(os.environ["AWS_ENDPOINT_URL"]).port) as proxy:
            monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
            bulk_module._opened.cache_clear()
            proxy.faults = Faults(cut_share=0.5, cut_after_bytes=8_000)
            wish = {"name": "speech.wav", "uri": f"{bucket}/takes/speech.wav"}
            heard = [bulk_module._heard(wish) for _ in range(8)]
        bulk_module._opened.cache_clear()
    assert proxy.counts["cut"] > 1
    for waveform in heard:
        np.testing.assert_array_equal(waveform, read_waveform(tmp_path / "speech.wav"))
