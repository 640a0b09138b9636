import numpy as np
import pytest
from loudness import loudness_db

from diffusiontalker.config import ConfigError, from_plain
from diffusiontalker.data import (
    EMOTIONS,
    SPEAKER_NAMES,
    Corpus,
    CorpusError,
    SyntheticCorpusConfig,
    inspect_corpus,
    speak,
    synthesize_corpus,
)
from diffusiontalker.data.synthetic.coarticulation import Sound
from diffusiontalker.data.synthetic.generate import script
from diffusiontalker.data.synthetic.performance import perform
from diffusiontalker.data.synthetic.performers import emotion_named, speaker_named
from diffusiontalker.data.synthetic.sentences import distinct_sentences, sentence
from diffusiontalker.face.arkit import CHANNELS, UPPER_FACE_CHANNELS

TINY = SyntheticCorpusConfig(num_speakers=3, emotions=("neutral", "angry"), sentences_per_speaker_emotion=3)
TEXT = "Maybe Bob put a few brown maps by the piano."


def test_sentences_vary_and_repeat_with_their_seed():
    drawn = distinct_sentences(200, generator=np.random.default_rng(0), taken=set())
    assert len(set(drawn)) == 200
    assert drawn[0] == sentence(np.random.default_rng(0))
    assert all(text[0].isupper() and text.endswith(".") and "{" not in text for text in drawn)


def test_a_clip_depends_on_its_own_seed_and_text_alone(tmp_path):
    first = synthesize_corpus(tmp_path / "first", TINY)
    speak("Something in between.", voice="derek", emotion="sad")
    second = synthesize_corpus(tmp_path / "second", TINY)
    assert first.digest == second.digest
    line = next(line for line in script(TINY) if line.split == "test")
    alone = speak(line.text, voice=line.voice, emotion=line.emotion, clip_id=line.clip_id)
    stored = next(clip for clip in Corpus.open(tmp_path / "first").clips("test") if clip.clip_id == line.clip_id)
    np.testing.assert_array_equal(stored.motion.coefficients, alone.motion.coefficients)
    np.testing.assert_allclose(stored.waveform, alone.waveform, atol=1 / 32768)


def test_another_seed_gives_another_corpus():
    other = SyntheticCorpusConfig(
        num_speakers=3, emotions=("neutral", "angry"), sentences_per_speaker_emotion=3, seed=1
    )
    assert {line.text for line in script(TINY)}.isdisjoint(line.text for line in script(other))


def test_sentences_and_speakers_are_held_out():
    lines = script(SyntheticCorpusConfig())
    texts = {split: {line.text for line in lines if line.split == split} for split in ("train", "validation", "test")}
    assert texts["train"].isdisjoint(texts["test"])
    assert texts["train"].isdisjoint(texts["validation"])
    assert texts["validation"].isdisjoint(texts["test"])
    unseen = [line for line in lines if line.split == "test_unseen_speaker"]
    assert {line.voice for line in unseen} == {SPEAKER_NAMES[5]}
    assert not any(line.voice == SPEAKER_NAMES[5] for line in lines if line.split != "test_unseen_speaker")
    assert {line.text for line in unseen} == texts["test"]
    for split in texts:
        said = {(line.voice, line.emotion) for line in lines if line.split == split}
        assert len(said) == 5 * 4, "every speaker plays every emotion in every split"
    assert len({line.clip_id for line in lines}) == len(lines)


def test_progress_counts_the_clips_and_sound_and_face_keep_time(tmp_path):
    calls = []
    info = synthesize_corpus(tmp_path / "corpus", TINY, progress=lambda done, total: calls.append((done, total)))
    assert calls == [(done, info.num_clips) for done in range(1, info.num_clips + 1)]
    summary = inspect_corpus(Corpus.open(tmp_path / "corpus"))
    assert summary.sync.num_clear
    assert summary.sync.median_lag_s == pytest.approx(0.01, abs=0.025)
    assert info.missing_channels == ()


@pytest.mark.parametrize("emotion", EMOTIONS)
def test_silence_closes_the_mouth_and_speech_opens_it(emotion):
    clip = speak(TEXT, emotion=emotion)
    jaw = clip.motion.column("jawOpen")
    loudness = loudness_db(clip.waveform, num_frames=clip.motion.num_frames, motion_fps=clip.motion.fps)
    is_edge = np.arange(len(jaw)) / clip.motion.fps < 0.08
    assert jaw[is_edge].max() < 0.01
    assert jaw[-3:].max() < 0.02
    assert jaw[loudness > -8].mean() > 0.2
    assert jaw.max() > 0.4


def test_a_long_pause_closes_the_mouth():
    clip = speak("Ah. Ah. Ah.")
    jaw = clip.motion.column("jawOpen")
    is_open = jaw > 0.1
    assert np.count_nonzero(np.diff(is_open.astype(int)) == 1) == 3


def test_lips_are_shut_in_every_bilabial():
    """`mouthClose` shuts the lips over an open jaw: the gap is jawOpen - mouthClose."""
    spans = [("open_back", 0.15), ("bilabial", 0.08)] * 4 + [("open_back", 0.15)]
    sounds, start = [], 0.0
    for name, seconds in spans:
        sounds.append(Sound(viseme=name, start_s=start, end_s=start + seconds))
        start += seconds
    motion = perform(
        sounds,
        speaker=speaker_named("amber"),
        emotion=emotion_named("neutral"),
        intensity=1.0,
        num_frames=round(start * 100),
        fps=100.0,
        generator=np.random.default_rng(0),
    )
    gap = motion.column("jawOpen") - motion.column("mouthClose")
    for sound in sounds:
        middle = round(50 * (sound.start_s + sound.end_s))
        assert gap[middle] < 0.02 if sound.viseme == "bilabial" else gap[middle] > 0.3


def faces(*, seed=0, voice="amber", emotion="neutral", intensity=1.0):
    sounds = [
        Sound(viseme="open_front" if n % 2 else "close_round", start_s=n * 0.2, end_s=n * 0.2 + 0.2, gain=1.15)
        for n in range(50)
    ]
    return perform(
        sounds,
        speaker=speaker_named(voice),
        emotion=emotion_named(emotion),
        intensity=intensity,
        num_frames=300,
        fps=30.0,
        generator=np.random.default_rng(seed),
    )


def test_chance_moves_the_upper_face_and_leaves_the_lips_to_the_speech():
    first, second = faces(seed=0), faces(seed=1)
    for name in ("jawOpen", "mouthPucker", "mouthFunnel", "mouthLowerDownLeft", "mouthClose"):
        np.testing.assert_array_equal(first.column(name), second.column(name))
    for name in ("eyeBlinkLeft", "browInnerUp", "eyeLookUpLeft"):
        assert np.abs(first.column(name) - second.column(name)).max() > 0.05, name


def test_speakers_differ_in_size_and_side():
    jaws = [faces(voice=name).column("jawOpen").max() for name in SPEAKER_NAMES]
    assert max(jaws) > 1.4 * min(jaws)
    for name in SPEAKER_NAMES:
        motion = faces(voice=name)
        left, right = motion.column("mouthStretchLeft").mean(), motion.column("mouthStretchRight").mean()
        assert left != pytest.approx(right, rel=1e-3)


@pytest.mark.parametrize(
    ("emotion", "channel"),
    [("happy", "mouthSmileLeft"), ("sad", "browInnerUp"), ("angry", "browDownLeft"), ("surprised", "eyeWideLeft")],
)
def test_emotions_show_with_their_intensity(emotion, channel):
    full, none = (
        faces(emotion=emotion).column(channel).mean(),
        faces(emotion=emotion, intensity=0.0).column(channel).mean(),
    )
    assert full > none + 0.2
    assert full > max(
        faces(emotion=name).column(channel).mean() for name in EMOTIONS if name not in (emotion, "surprised")
    )


def test_both_eyes_look_the_same_way_and_blinks_last_a_moment():
    motion = faces()
    np.testing.assert_allclose(motion.column("eyeLookOutLeft"), motion.column("eyeLookInRight"))
    np.testing.assert_allclose(motion.column("eyeLookInLeft"), motion.column("eyeLookOutRight"))
    is_shut = motion.column("eyeBlinkLeft") > 0.4
    assert 0.0 < is_shut.mean() < 0.25


def test_all_channels_stay_in_range():
    for emotion in EMOTIONS:
        coefficients = speak(TEXT, voice="jonas", emotion=emotion, intensity=1.0).motion.coefficients
        assert coefficients.min() >= 0.0
        assert coefficients.max() <= 1.0
    assert coefficients[:, UPPER_FACE_CHANNELS].std() > 0
    assert coefficients.shape[1] == len(CHANNELS)


def test_the_frame_rate_is_a_free_choice():
    slow, fast = (speak(TEXT, motion_fps=fps) for fps in (30.0, 60.0))
    np.testing.assert_array_equal(slow.waveform, fast.waveform)
    frames = slow.motion.num_frames
    np.testing.assert_allclose(fast.motion.column("jawOpen")[::2][:frames], slow.motion.column("jawOpen"), atol=1e-3)


def test_speech_is_neither_clipped_nor_lost_in_the_room_noise():
    for emotion in EMOTIONS:
        clip = speak(TEXT, voice="iris", emotion=emotion)
        assert 0.05 < np.abs(clip.waveform).max() < 0.99
        assert 1e-5 < clip.waveform[:1600].std() < 0.01


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"voice": "ambre"}, "no synthetic speaker 'ambre'; perhaps you meant 'amber'"),
        ({"emotion": "hapy"}, "no synthetic emotion 'hapy'; perhaps you meant 'happy'"),
        ({"intensity": 2.0}, "intensity is 2.0, expected 0 to 1"),
        ({"split": "tset"}, "unknown split"),
    ],
)
def test_speaking_refuses_what_does_not_exist(arguments, message):
    with pytest.raises(CorpusError, match=message):
        speak(TEXT, **arguments)


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ({"num_speakers": 13}, "num_speakers is 13"),
        ({"num_unseen_speakers": 6}, "expected 0 <= num_unseen_speakers < num_speakers"),
        ({"emotions": ["neutral", "angri"]}, "perhaps you meant 'angry'"),
        ({"emotions": ["sad", "sad"]}, "expected distinct names"),
        ({"sentences_per_speaker_emotion": 2}, "leave none for training"),
        ({"motion_fps": 0}, "motion_fps is 0"),
        ({"seed": -1}, "seed is -1"),
        ({"num_speaker": 3}, "'num_speaker' is not a known key"),
    ],
)
def test_the_configuration_is_checked(raw, message):
    with pytest.raises(ConfigError, match=message):
        from_plain(SyntheticCorpusConfig, raw)
