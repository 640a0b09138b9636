import boto3
import pytest
from moto.server import ThreadedMotoServer

from diffusiontalker.data import Corpus, CorpusError, discard_unfinished_corpus, write_corpus
from diffusiontalker.storage import open_filesystem


@pytest.fixture
def bucket(monkeypatch):
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    environment = {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_REGION": "us-east-1",
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    boto3.client("s3").create_bucket(Bucket="corpora")
    yield "s3://corpora"
    server.stop()


def test_a_corpus_lives_in_an_s3_compatible_store(bucket, make_clip, tmp_path):
    clips = [make_clip("a"), make_clip("b", split="test")]
    local = write_corpus(clips, tmp_path / "corpus", motion_fps=25.0)
    written = write_corpus(clips, f"{bucket}/mine/one", motion_fps=25.0)
    assert written == local
    corpus = Corpus.open(f"{bucket}/mine/one")
    corpus.verify()
    assert [clip.clip_id for clip in corpus.clips("test")] == ["b"]
    assert [clip.clip_id for block in corpus.blocks("train") for clip in corpus.read_block(block)] == ["a"]
    with pytest.raises(CorpusError, match="already exists"):
        write_corpus(clips, f"{bucket}/mine/one", motion_fps=25.0)
    with pytest.raises(CorpusError, match="there is no corpus"):
        Corpus.open(f"{bucket}/mine/two")
    with pytest.raises(CorpusError, match="no clip was written"):
        write_corpus([], f"{bucket}/mine/two", motion_fps=25.0)
    with pytest.raises(CorpusError, match=r"cannot be written .*NO_SUCH_BUCKET"):
        write_corpus(clips, "s3://no-such-bucket/two", motion_fps=25.0)


def test_what_a_killed_writer_left_is_discarded_and_a_whole_corpus_is_not(bucket, make_clip, tmp_path):
    uri = f"{bucket}/run/corpus"
    write_corpus([make_clip("a")], uri, motion_fps=25.0)
    discard_unfinished_corpus(uri)
    Corpus.open(uri).verify()
    filesystem, root = open_filesystem(uri)
    filesystem.delete_file(f"{root}/corpus.json")
    filesystem.copy_file(f"{root}/train-00000.parquet", f"{root}/import_report.json")
    discard_unfinished_corpus(uri)
    write_corpus([make_clip("a")], uri, motion_fps=25.0)

    (tmp_path / ".corpus-half").mkdir()
    write_corpus([make_clip("a")], tmp_path / "corpus", motion_fps=25.0)
    discard_unfinished_corpus(tmp_path / "corpus")
    assert [path.name for path in tmp_path.iterdir()] == ["corpus"]
