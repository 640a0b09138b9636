"""Features of a frozen encoder, made by actors and used by a training."""

import json
import logging

import pytest
import tiny
import torch
from pyarrow import fs

from diffusiontalker.config import ConfigError, from_plain
from diffusiontalker.data import Corpus
from diffusiontalker.models import SpeechEncoderConfig
from diffusiontalker.orchestration import FeaturesJobConfig, run_features_job
from diffusiontalker.orchestration.actor_pool import PoolConfig
from diffusiontalker.storage import files_below, open_filesystem
from diffusiontalker.training import TrainingConfig, train

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("ray_session")]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Corpus:
    """Three blocks of training clips, one of each other split."""
    return tiny.tiny_corpus(tmp_path_factory.mktemp("features") / "corpus", clips_each=70, seconds=0.3)


@pytest.fixture(scope="module")
def hubert(tmp_path_factory) -> str:
    return str(tiny.tiny_hubert(tmp_path_factory.mktemp("features") / "hubert"))


def kept(uri: str) -> dict[str, int]:
    """File of features -> when it was written, in nanoseconds."""
    filesystem, root = open_filesystem(uri)
    return {name: filesystem.get_file_info(f"{root}/{name}").mtime_ns for name in files_below(filesystem, root)}


def test_a_training_finds_every_feature_and_learns_what_it_would_learn_without(corpus, hubert, s3_endpoint, tmp_path):
    fs.S3FileSystem(endpoint_override=s3_endpoint, allow_bucket_creation=True).create_dir("feats")
    encoder = SpeechEncoderConfig(family="hugging_face", checkpoint=hubert)
    config = FeaturesJobConfig(
        corpus=corpus.uri, encoder=encoder, feature_cache="s3://feats/cache", orchestration=PoolConfig(num_actors=2)
    )
    text = run_features_job(config, out=tmp_path / "run")
    assert "train with   --training.feature-cache s3://feats/cache" in text
    made = kept("s3://feats/cache")
    assert len(made) == 5
    raw = tiny.TINY_TRAINING | {"num_steps": 2, "talker": {**tiny.TINY_TRAINING["talker"]}}
    raw["talker"]["encoder"] = {"family": "hugging_face", "checkpoint": hubert}
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as actors have
    alone = train(from_plain(TrainingConfig, raw), corpus)
    fed = train(from_plain(TrainingConfig, raw | {"feature_cache": "s3://feats/cache"}), corpus)
    torch.set_num_threads(threads)
    tiny.assert_same_weights(alone, fed)
    assert kept("s3://feats/cache") == made


def test_what_is_missing_is_made_and_damage_is_listed(corpus, hubert, tmp_path, caplog):
    copy = tiny.tiny_corpus(tmp_path / "corpus", clips_each=70, seconds=0.3)
    whole = (tmp_path / "corpus" / "train-00000.parquet").read_bytes()
    (tmp_path / "corpus" / "train-00000.parquet").write_bytes(whole[:9000])
    encoder = SpeechEncoderConfig(family="hugging_face", checkpoint=hubert)
    config = FeaturesJobConfig(corpus=copy.uri, encoder=encoder, orchestration=PoolConfig(num_actors=1))
    text = run_features_job(config, out=tmp_path / "run")
    assert "FAILED       3 blocks" in text
    failures = [json.loads(line) for line in (tmp_path / "run" / "failed.jsonl").read_text().splitlines()]
    assert sorted(failure["file"] for failure in failures) == [f"train-00000-000{number}" for number in range(3)]
    assert all("train-00000.parquet: shard cannot be read" in failure["reason"] for failure in failures)
    before = kept(str(tmp_path / "run" / "features"))
    assert len(before) == 2

    (tmp_path / "corpus" / "train-00000.parquet").write_bytes(whole)
    with caplog.at_level(logging.INFO):
        run_features_job(config, out=tmp_path / "run", resume=True)
    assert "2 of 5 blocks have their features already" in caplog.text
    after = kept(str(tmp_path / "run" / "features"))
    assert len(after) == 5
    assert before.items() <= after.items()
    assert not (tmp_path / "run" / "failed.jsonl").exists()
    assert "all 5 blocks are there" in run_features_job(config, out=tmp_path / "run", resume=True)


def test_it_must_be_said_who_hears_what(corpus, tmp_path):
    with pytest.raises(ConfigError, match="either --bundle TEACHER or a pretrained encoder"):
        run_features_job(FeaturesJobConfig(corpus=corpus.uri), out=tmp_path / "run")
    assert not (tmp_path / "run").exists()
