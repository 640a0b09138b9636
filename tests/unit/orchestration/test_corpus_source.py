"""The main job imports recordings of any format."""

import pytest
from others_recordings import write_beat

from diffusiontalker.config import ConfigError, from_plain
from diffusiontalker.data import CorpusError
from diffusiontalker.orchestration.corpus_source import CorpusSourceConfig, open_corpus


def source(folder, **changes):
    return from_plain(CorpusSourceConfig, {"source": "folder", "folder": str(folder)} | changes, source="test")


@pytest.mark.parametrize("changes", [{}, {"format": "beat"}], ids=["recognized", "named"])
def test_recordings_of_beat_become_the_corpus(changes, tmp_path):
    write_beat(tmp_path / "beat", "2_scott_0_9_9")
    config = source(tmp_path / "beat", importing={"motion_fps": 60.0}, **changes)
    corpus = open_corpus(config, default_uri=tmp_path / "corpus", resume=False)
    assert (corpus.info.speakers, corpus.info.source["importer"]) == (("2_scott",), "beat")
    assert corpus.info.motion_fps == 60.0


def test_a_format_that_the_recordings_have_not_is_an_error(tmp_path):
    write_beat(tmp_path / "beat", "2_scott_0_9_9")
    with pytest.raises(CorpusError, match="has no manifest"):
        open_corpus(source(tmp_path / "beat", format="folder"), default_uri=tmp_path / "corpus", resume=False)
    with pytest.raises(ConfigError, match="format"):
        source(tmp_path / "beat", format="baet")
