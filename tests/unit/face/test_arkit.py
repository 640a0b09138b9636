import pytest

from diffusiontalker.face.arkit import (
    CHANNEL_INDEX,
    CHANNELS,
    LIP_CHANNELS,
    MIRROR_PERMUTATION,
    UPPER_FACE_CHANNELS,
    canonical_name,
    mirrored_name,
)


def test_there_are_52_different_names_in_alphabetical_order_with_tongue_last():
    assert len(set(CHANNELS)) == 52
    assert list(CHANNELS) == sorted(CHANNELS)
    assert CHANNELS[-1] == "tongueOut"
    assert CHANNELS[24] == "jawOpen"


def test_lip_and_upper_face_regions_are_disjoint_and_leave_out_cheek_puff_and_tongue():
    regions = {*LIP_CHANNELS, *UPPER_FACE_CHANNELS}
    assert not {*LIP_CHANNELS} & {*UPPER_FACE_CHANNELS}
    assert {CHANNELS[index] for index in set(range(52)) - regions} == {"cheekPuff", "tongueOut"}


def test_mirroring_twice_gives_every_channel_back():
    assert [MIRROR_PERMUTATION[index] for index in MIRROR_PERMUTATION] == list(range(52))
    assert mirrored_name("mouthSmileLeft") == "mouthSmileRight"
    assert mirrored_name("jawLeft") == "jawRight"
    assert mirrored_name("jawOpen") == "jawOpen"


@pytest.mark.parametrize("name", CHANNELS)
def test_every_name_is_known_in_camel_pascal_and_lower_case(name):
    for spelling in (name, name[0].upper() + name[1:], name.lower(), f" {name} "):
        assert canonical_name(spelling) == name


@pytest.mark.parametrize(
    ("spelling", "expected"),
    [
        ("mouthSmile_L", "mouthSmileLeft"),
        ("mouthSmile.R", "mouthSmileRight"),
        ("eye_blink_left", "eyeBlinkLeft"),
        ("MOUTHPUCKER", "mouthPucker"),
        ("HeadYaw", None),
        ("Timecode", None),
        ("", None),
    ],
)
def test_other_spellings_map_to_the_channel_or_to_none(spelling, expected):
    assert canonical_name(spelling) == expected


def test_index_is_the_position_in_the_list():
    assert all(CHANNELS[index] == name for name, index in CHANNEL_INDEX.items())
