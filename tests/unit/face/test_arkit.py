import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

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


def words(name):
    return re.findall(r"[A-Z]?[a-z]+", name)


def pascal(name):
    return name[0].upper() + name[1:]


def side_first(name, *, short=False):
    """`LeftMouthSmile` or `L_mouthSmile`; the name itself where it has no side."""
    stem, side, _ = re.split(r"(Left|Right)$", name) if re.search(r"(Left|Right)$", name) else (name, "", "")
    if not side:
        return name
    return f"{side[0]}_{stem}" if short else side + pascal(stem)


def short_side(name, separator):
    return re.sub(r"(Left|Right)$", lambda match: separator + match.group()[0], name)


CONVENTIONS = {
    "camelCase": str,
    "PascalCase": pascal,
    "lowercase": str.lower,
    "UPPERCASE": str.upper,
    "snake_case": lambda name: "_".join(words(name)).lower(),
    "SNAKE_CASE": lambda name: "_".join(words(name)).upper(),
    "kebab-case": lambda name: "-".join(words(name)).lower(),
    "with spaces": lambda name: " ".join(words(name)),
    "_L": lambda name: short_side(name, "_"),
    "_l in snake_case": lambda name: short_side("_".join(words(name)), "").lower(),
    ".L": lambda name: short_side(name, "."),
    "-L": lambda name: short_side(name, "-"),
    " L": lambda name: short_side(name, " "),
    "L without separator": lambda name: short_side(name, ""),
    "Pascal_L": lambda name: pascal(short_side(name, "_")),
    "_left": lambda name: re.sub(r"(Left|Right)$", lambda match: "_" + match.group().lower(), name),
    "Left first": side_first,
    "left first in lower case": lambda name: side_first(name).lower(),
    "LEFT FIRST": lambda name: side_first(name).upper(),
    "L_ first": lambda name: side_first(name, short=True),
}
PREFIXES = (
    "", "blendShape1.", "blendShape12.", "Head_blendshapes.", "ARKit_", "arkit.", "ARKit52_", "BS_", "Rig:",
    "rig|face|", "shapes_", "head_", "Face_", "group/", "morphTarget_",
)  # fmt: skip


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_every_channel_is_known_in_every_convention(convention):
    for name in CHANNELS:
        for prefix in PREFIXES:
            spelling = prefix + CONVENTIONS[convention](name)
            assert canonical_name(spelling) == name, spelling


FOREIGN_NAMES = (
    "", "_neutral", "Timecode", "BlendShapeCount", "HeadYaw", "LeftEyeYaw", "RightEyePitch", "time_s", "frame", "Left",
    "L", "mouth", "jaw", "eyeLeft", "EyeLeft", "eye_R", "brow_L", "Head.Left", "blendShape1", "ARKit", "BS_",
    "viseme_aa", "viseme_sil", "A", "E", "O", "Fcl_MTH_A", "Fcl_EYE_Close_L", "Mouth_Open", "mouthOpen", "Smile",
    "mouthSmile", "Mouth_Smile_L.001", "eyesClosed", "eyeBlink", "Blink_L", "browUp", "jawOpen2", "jawOpen.001",
    "jawOpen_mouthClose", "correctiveJawOpen", "jawOpenCorrective", "jawOpenLeft", "jawOpen_L", "tongueOut_R",
    "mouthLeftRight", "mouthSmileLeftLeft", "CTRL_L_mouth_cornerPull", "eyeLookLeft", "CC_Base_JawRoot", "AU25",
    "jawÖffnen", "jawOpen\u200b", "j\u0430wOpen", "jaw*Open", "shape7",
)  # fmt: skip


@pytest.mark.parametrize("name", FOREIGN_NAMES)
def test_names_of_other_things_are_no_channels(name):
    assert canonical_name(name) is None


@given(st.sampled_from(CHANNELS), st.text("abcdefghijkmnopqsuvwxyz0123456789", min_size=1, max_size=8), st.booleans())
def test_a_letter_or_digit_more_is_another_name(name, more, in_front):
    spelling = f"{more}_{name}" if in_front else f"{name}_{more}"
    is_prefix = in_front and re.fullmatch(r"(bs|head|face|shapes?)[0-9]*", more)
    assert canonical_name(spelling) == (name if is_prefix else None)


@given(st.text(max_size=24))
def test_any_text_is_read_without_failing_and_names_nothing_it_does_not_spell(text):
    name = canonical_name(text)
    if name is not None:
        assert words(name)[0] in text.lower()


@pytest.mark.parametrize(
    ("spelling", "expected"),
    [
        ("eye_L_blink", "eyeBlinkLeft"),
        ("mouthL", "mouthLeft"),
        ("jaw_r", "jawRight"),
        ("LeftJaw", "jawLeft"),
        ("blendShape1.mouthSmile.R", "mouthSmileRight"),
        ("Rig:Head.L_eyeLookIn", "eyeLookInLeft"),
        ("ARKitJawOpen", "jawOpen"),
        ("lEyeBlink", "eyeBlinkLeft"),
        ("MOUTHPUCKER", "mouthPucker"),
        (" jawOpen ", "jawOpen"),
    ],
)
def test_sides_and_prefixes_are_found_where_they_stand(spelling, expected):
    assert canonical_name(spelling) == expected


def test_index_is_the_position_in_the_list():
    assert all(CHANNELS[index] == name for name, index in CHANNEL_INDEX.items())
