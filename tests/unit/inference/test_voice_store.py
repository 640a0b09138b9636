"""Voices in an object store: as in a folder."""

import numpy as np
import pytest
from object_store import bucket_on_s3

from diffusiontalker.config import ArtefactError
from diffusiontalker.inference import Voice, VoiceError, VoiceStore, find_voice, make_voice


def test_voices_in_an_object_store_are_saved_found_listed_and_deleted():
    vector = np.eye(4, dtype=np.float32)
    anna, ben = (
        make_voice(name=name, identity=vector[number], emotion=vector[3], bundle_digest="digest", provenance={})
        for number, name in enumerate(("Anna", "Ben"))
    )
    with bucket_on_s3("voices") as bucket:
        store = VoiceStore(f"{bucket}/mine/")
        assert store.list() == []
        assert store.save(anna) == f"{bucket}/mine/{anna.voice_id}.json"
        store.save(ben)
        with pytest.raises(ArtefactError, match=r"s3://voices/mine/anna-.*already exists"):
            store.save(anna)
        store.save(anna, overwrite=True)
        assert store.ids() == sorted([anna.voice_id, ben.voice_id])
        assert store.find("ben").voice_id == ben.voice_id
        np.testing.assert_array_equal(store.load(anna.voice_id).identity, anna.identity)
        store.delete(ben.voice_id)
        with pytest.raises(VoiceError, match=r"s3://voices/mine: no voice 'Ben'.*stored: Anna"):
            store.find("Ben")
        with pytest.raises(VoiceError, match="no voice"):
            store.delete(ben.voice_id)


def test_a_voice_file_at_a_url_is_found_by_its_url(bundle):
    size = bundle.talker.config.personalizer.embedding_dim
    vector = np.eye(size, dtype=np.float32)
    anna = make_voice(name="Anna", identity=vector[0], emotion=vector[1], bundle_digest=bundle.digest, provenance={})
    with bucket_on_s3("voices") as bucket:
        address = VoiceStore(f"{bucket}/shared").save(anna)
        found = find_voice(address, bundle=bundle, voices="nowhere")
        assert isinstance(found, Voice)
        assert found.voice_id == anna.voice_id
        with pytest.raises(VoiceError, match=r"s3://voices/shared/nobody\.json: there is nothing"):
            find_voice(f"{bucket}/shared/nobody.json", bundle=bundle, voices="nowhere")
