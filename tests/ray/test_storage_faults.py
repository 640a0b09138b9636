"""An object store that is slow, busy, cut off and away for a while: a training and a serving start survive it."""

import dataclasses

import boto3
import httpx
import pytest
from endpoint import Endpoint
from faulty_proxy import Faults
from meanwhile import meanwhile
from sounds import speech, wav
from tiny_student import tiny_bundle
from trainings import LONG, QUICK, checkpoints, differences, rows, trained_here

from diffusiontalker.data import Corpus, ReadingConfig, write_corpus
from diffusiontalker.inference import VoiceStore, enroll, save_bundle
from diffusiontalker.orchestration import train_on_ray

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(400)]

BAD = Faults(delay_s=0.02, slow_down_share=0.15, cut_share=0.25, cut_after_bytes=1_500)


@pytest.fixture
def bucket(s3_proxy):
    boto3.client("s3").create_bucket(Bucket="faults")
    yield "s3://faults"
    s3_proxy.faults = Faults()


STREAMED = dataclasses.replace(LONG, reading=ReadingConfig(memory_gb=0.0, num_lanes=1))
"""Reads its clips from the store in every epoch."""


def test_a_training_whose_corpus_and_checkpoints_lie_in_a_bad_store_learns_the_same(
    ray_session, s3_proxy, bucket, tiny_corpus, tmp_path, monkeypatch
):
    corpus = Corpus.open(tiny_corpus)
    write_corpus(
        corpus.clips(), f"{bucket}/corpus", motion_fps=corpus.info.motion_fps, channel_names=corpus.info.channel_names
    )
    before = s3_proxy.counts.copy()
    s3_proxy.faults = BAD
    log = tmp_path / "metrics.jsonl"
    where = {
        "corpus_uri": f"{bucket}/corpus", "run_name": "bad", "storage_uri": f"{bucket}/runs",
        "telemetry_folder": tmp_path, "orchestration": dataclasses.replace(QUICK, max_failures=0),
    }  # fmt: skip
    with meanwhile(lambda: s3_proxy.fail_for(3.0), when=lambda: log.exists() and len(rows(tmp_path)) >= 45):
        talker = train_on_ray(STREAMED, **where)
    did = s3_proxy.counts - before
    assert min(did["slowed_down"], did["cut"], did["refused"]) > 0, did
    every_step = list(range(1, STREAMED.num_steps + 1))
    assert [row["step"] for row in rows(tmp_path)] == every_step, "no step was repeated"
    assert "validation/loss" in rows(tmp_path)[-1]
    assert list((tmp_path / "tensorboard").glob("events.*"))
    assert checkpoints(tmp_path) == []
    s3_proxy.faults = Faults()
    kept = boto3.client("s3").list_objects_v2(Bucket="faults", Prefix="runs/bad/checkpoint_")["Contents"]
    assert sum(one["Key"].endswith("/training_state.pt") for one in kept) == QUICK.checkpoints_to_keep
    assert not talker.training
    assert differences(talker, trained_here(STREAMED, tiny_corpus)) == []

    monkeypatch.delattr("ray.train.torch.TorchTrainer")
    again = train_on_ray(STREAMED, **where)
    assert differences(again, talker) == [], "what is finished is only read"
    assert [row["step"] for row in rows(tmp_path)] == every_step


def test_an_endpoint_starts_from_a_bad_store_and_knows_its_voices(s3_proxy, bucket, tmp_path):
    bundle = tiny_bundle()
    save_bundle(bundle, f"{bucket}/bundle")
    voice = enroll(bundle, [speech(2.0)], name="Anna")
    VoiceStore(f"{bucket}/voices").save(voice)
    before = s3_proxy.counts.copy()
    s3_proxy.faults = BAD
    endpoint = Endpoint(f"{bucket}/bundle", tmp_path, voices=f"{bucket}/voices")
    try:
        has_begun = lambda: s3_proxy.counts["connections"] > before["connections"] + 5  # noqa: E731
        with meanwhile(lambda: s3_proxy.fail_for(2.0), when=has_begun):
            endpoint.wait()
        answer = httpx.post(
            f"{endpoint.url}/v1/animations", params={"voice": voice.voice_id}, content=wav(speech()), timeout=30.0
        )
        assert answer.status_code == 200, answer.text
    finally:
        endpoint.end()
    did = s3_proxy.counts - before
    assert min(did["slowed_down"], did["refused"]) > 0, did
