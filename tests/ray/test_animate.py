"""Bulk animation on a real Ray cluster, from and to an object store."""

import io
import json

import numpy as np
import pytest
import soundfile
from pyarrow import fs
from tiny import tiny_corpus, tiny_training

from diffusiontalker.audio.waveform import read_waveform
from diffusiontalker.config import ArtefactError, ConfigError
from diffusiontalker.face import read_motion
from diffusiontalker.inference import Bundle, animate, enroll, save_bundle
from diffusiontalker.inference.voice_store import VoiceStore
from diffusiontalker.orchestration import AnimateJobConfig, run_animate_job
from diffusiontalker.orchestration.actor_pool import BulkError
from diffusiontalker.orchestration.animate_plan import BulkConfig
from diffusiontalker.storage import files_below, open_filesystem
from diffusiontalker.training import train

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("ray_session")]

TWO = BulkConfig(num_actors=2, batch_frames=100)
KINDS = {"wav": "WAV", "flac": "FLAC", "ogg": "OGG", "mp3": "MP3"}


def sound(number: int, suffix: str = "wav") -> bytes:
    generator = np.random.default_rng(number)
    buffer = io.BytesIO()
    soundfile.write(buffer, 0.1 * generator.standard_normal(9_600 + 1_600 * number), 16_000, format=KINDS[suffix])
    return buffer.getvalue()


def put(uri: str, content: bytes) -> None:
    filesystem, path = open_filesystem(uri)
    with filesystem.open_output_stream(path) as stream:
        stream.write(content)


def content(uri: str) -> bytes:
    filesystem, path = open_filesystem(uri)
    with filesystem.open_input_stream(path) as stream:
        return stream.read()


def motion_below(uri: str) -> dict[str, int]:
    """Motion file -> when it was written, in nanoseconds."""
    filesystem, root = open_filesystem(uri)
    names = [name for name in files_below(filesystem, root) if name.endswith(".csv")]
    return {name: filesystem.get_file_info(f"{root}/{name}").mtime_ns for name in names}


@pytest.fixture(scope="module")
def bundle(tmp_path_factory) -> tuple[Bundle, str]:
    root = tmp_path_factory.mktemp("bulk")
    bundle = Bundle(talker=train(tiny_training(num_steps=2), tiny_corpus(root / "corpus")).eval())
    save_bundle(bundle, root / "bundle")
    return bundle, str(root / "bundle")


def test_a_bucket_of_speech_becomes_a_bucket_of_motion_and_only_what_is_missing_is_done_again(
    bundle, s3_endpoint, tmp_path
):
    talker, _ = bundle
    fs.S3FileSystem(endpoint_override=s3_endpoint, allow_bucket_creation=True).create_dir("films")
    speech, out = "s3://films/speech", "s3://films/motion"
    sounds = {f"{('', 'anna/', 'anna/day 2/')[n % 3]}{n}.{kind}": sound(n, kind) for n, kind in enumerate(KINDS)}
    for name, sent in sounds.items():
        put(f"{speech}/{name}", sent)
    put(f"{speech}/anna/broken.wav", sound(9)[:2000])
    save_bundle(talker, "s3://films/bundle")
    voice = enroll(talker, [read_waveform(sound(20))], name="Anna")
    VoiceStore("s3://films/voices").save(voice)
    config = AnimateJobConfig(
        recordings=speech, bundle="s3://films/bundle", voices="s3://films/voices", voice="Anna", seed=3,
        orchestration=TWO,
    )  # fmt: skip

    assert "4 of 5 recordings are animated, 4 of them now" in run_animate_job(config, out=out)
    made = motion_below(out)
    assert made.keys() == {name.rpartition(".")[0] + ".csv" for name in sounds}
    failures = [json.loads(line) for line in content(f"{out}/failed.jsonl").splitlines()]
    assert [failure["file"] for failure in failures] == ["anna/broken.wav"]
    assert "it is cut off" in failures[0]["reason"]
    figures = json.loads(content(f"{out}/summary.json"))
    assert (figures["recordings"], figures["finished"], figures["failed"]) == (5, 4, 1)
    assert figures["this_start"]["audio_s"] == pytest.approx(sum(0.6 + 0.1 * n for n in range(4)), abs=0.1)
    for name, sent in sounds.items():
        (tmp_path / "one.csv").write_bytes(content(f"{out}/{name.rpartition('.')[0]}.csv"))
        alone = animate(talker, read_waveform(sent), voice=voice, seed=3)
        np.testing.assert_allclose(read_motion(tmp_path / "one.csv").coefficients, alone.coefficients, atol=2e-5)

    with pytest.raises(ArtefactError, match="already exists and nothing is overwritten"):
        run_animate_job(config, out=out)
    filesystem, root = open_filesystem(out)
    filesystem.delete_file(f"{root}/anna/1.csv")
    put(f"{speech}/anna/broken.wav", sound(9))
    assert "5 of 5 recordings are animated, 2 of them now" in run_animate_job(config, out=out, resume=True)
    again = motion_below(out)
    assert again.keys() == made.keys() | {"anna/broken.csv"}
    assert {name for name in made if again[name] != made[name]} == {"anna/1.csv"}
    assert "failed.jsonl" not in files_below(filesystem, root)
    assert "all 5 recordings are animated" in run_animate_job(config, out=out, resume=None)
    assert motion_below(out) == again


def test_what_can_never_work_ends_with_an_error_that_says_so(bundle, tmp_path):
    _, bundle_path = bundle
    speech = tmp_path / "speech"
    speech.mkdir()
    (speech / "a.wav").write_bytes(b"hello")
    config = AnimateJobConfig(recordings=str(speech), bundle=bundle_path, orchestration=BulkConfig(num_actors=1))
    with pytest.raises(BulkError, match=r"none of 1 recordings could be animated, the first because: a.wav: unknown"):
        run_animate_job(config, out=tmp_path / "motion")
    (speech / "a.wav").write_bytes(sound(1))
    gpus = AnimateJobConfig(recordings=str(speech), bundle=bundle_path, orchestration=BulkConfig(use_gpu=True))
    with pytest.raises(ConfigError, match=r"the cluster has 4 CPUs and 0 GPUs, an actor needs 1 CPUs and 1 GPUs"):
        run_animate_job(gpus, out=tmp_path / "motion", resume=True)
    (tmp_path / "motion" / "a.csv").mkdir()
    with pytest.raises(BulkError, match=r"a.csv: cannot be written .*go on with --resume"):
        run_animate_job(config, out=tmp_path / "motion", resume=True)
