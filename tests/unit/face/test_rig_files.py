import numpy as np
import pytest
from small_rig import DELTAS, NAMES, NEUTRAL, REAL_RIG, TRIANGLES, save_npz, write_glb

from diffusiontalker.config import ArtefactError
from diffusiontalker.face import (
    RigError,
    builtin_rig,
    load_rig,
    read_rig,
    read_shape_names,
    save_rig,
)


def write_obj(path, vertices, faces=("f 1 2 3 4",)):
    path.write_text("\n".join(["# head", *(f"v {x} {y} {z}" for x, y, z in vertices), "vn 0 0 1", *faces]) + "\n")


@pytest.mark.parametrize(("unit", "factor"), [("m", 1.0), ("cm", 100.0), ("mm", 1000.0)])
def test_units_are_found_by_the_size_of_the_face(tmp_path, unit, factor):
    path = save_npz(tmp_path / "head.npz", neutral=NEUTRAL * factor, deltas=DELTAS * factor)
    for rig in (load_rig(path), load_rig(path, units=unit)):
        np.testing.assert_allclose(rig.neutral, NEUTRAL, atol=1e-6)
        np.testing.assert_allclose(rig.shape_deltas, DELTAS, atol=1e-6)
        assert rig.shape_names == ("jawOpen", "mouthSmileLeft")
        assert rig.name == "head"


def test_units_may_be_a_number_which_the_eyes_suggest(tmp_path):
    rig = builtin_rig()
    content = {"triangles": rig.triangles, "names": np.array(rig.shape_names)}
    path = save_npz(tmp_path / "head.npz", neutral=rig.neutral * 12.5, deltas=rig.shape_deltas * 12.5, **content)
    with pytest.raises(
        RigError, match=r"is a face in neither .*; give --units 0\.0796, in metres per unit, which puts the eyes"
    ):
        load_rig(path)
    np.testing.assert_allclose(load_rig(path, units="0.08").neutral, rig.neutral, atol=1e-6)
    assert (read_rig(path, units="0.08").units, read_rig(path, units="0.08").units_from) == ("0.08", "given")
    for units in ("0", "-1", "nan", "inf", "inch", ""):
        with pytest.raises(RigError, match=rf"unknown units '{units}', expected auto, m, cm, mm, or metres per unit"):
            load_rig(path, units=units)


def test_an_npz_may_name_its_regions(tmp_path):
    rig = load_rig(save_npz(tmp_path / "head.npz", lip_vertices=np.array([2, 3])))
    assert rig.lip_vertices.tolist() == [2, 3]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"neutral": NEUTRAL * 10, "deltas": DELTAS * 10}, "1.5 units large, which is a face in neither metres"),
        ({"triangles": None, "names": None}, "lacks triangles, names"),
        ({"deltas": DELTAS[:, :3]}, r"deltas are \(2, 3, 3\), expected \(2, 4, 3\)"),
        ({"names": np.array(["jawOpen", "jawOpen"])}, "holds a name twice"),
        ({"names": np.array(["jawOpen", "JawOpen"])}, "several shapes mean jawOpen"),
        ({"names": np.array(["A", "B"])}, r"no shape has an ARKit name such as jawOpen \(found: A, B\)"),
        ({"names": NAMES.astype(object)}, "without pickle"),
        ({"neutral": NEUTRAL.astype(str)}, "expected numbers"),
        ({"triangles": np.array([[0, 1, 9]])}, "triangles use vertices 0 to 9"),
        ({"deltas": np.where(DELTAS == 0, np.nan, DELTAS)}, r"head\.npz: .*mouthSmileLeft: NaN or infinite offsets"),
        ({"neutral": NEUTRAL[:, :2]}, "expected"),
        ({"neutral": np.full((4, 3), np.inf)}, "neutral holds NaN or infinite"),
        ({"deltas": DELTAS * 1e30}, "JawOpen reaches 1e.28, which no head does"),
        ({"triangles": TRIANGLES + 0.5}, "triangles holds float64, expected whole numbers"),
        ({"triangles": TRIANGLES.astype(str)}, "triangles holds <U21, expected whole numbers"),
        ({"triangles": TRIANGLES + 2**40}, "triangles reaches 1.09951e.12"),
        ({"triangles": TRIANGLES[:, :2]}, r"triangles have shape \(2, 2\)"),
        ({"names": np.array([1, 2])}, "names holds int64 in shape .2,., expected a list of texts"),
        ({"names": NAMES[None]}, "names holds <U12 in shape .1, 2."),
        ({"deltas": DELTAS.astype(complex)}, "deltas holds complex128, expected numbers"),
        ({"colors": np.ones((3, 3))}, r"colors have shape \(3, 3\)"),
        ({"lip_vertices": np.array([4])}, "lip_vertices must be indices between 0 and 3"),
        ({"upper_face_vertices": np.array(["a"])}, "upper_face_vertices holds <U1"),
        ({"units": np.array("inch")}, "its units are 'inch', expected m, cm, mm"),
    ],
)
def test_a_bad_npz_is_refused(tmp_path, changes, message):
    path = save_npz(tmp_path / "head.npz", **changes)
    with pytest.raises(RigError, match=message):
        load_rig(path)


def test_paths_that_are_no_rigs_are_refused(tmp_path):
    with pytest.raises(RigError, match="there is no such rig"):
        load_rig(tmp_path / "absent.npz")
    (tmp_path / "head.fbx").write_text("x")
    with pytest.raises(RigError, match="unknown rig format"):
        load_rig(tmp_path / "head.fbx")
    with pytest.raises(RigError, match="unknown units 'inch'"):
        load_rig(tmp_path / "head.fbx", units="inch")
    (tmp_path / "torn.npz").write_bytes(b"PK\x03\x04 torn")
    with pytest.raises(RigError, match="cannot be read as NPZ"):
        load_rig(tmp_path / "torn.npz")
    np.save(tmp_path / "bare.npy", NEUTRAL)
    (tmp_path / "bare.npy").rename(tmp_path / "bare.npz")
    with pytest.raises(RigError, match="cannot be read as NPZ"):
        load_rig(tmp_path / "bare.npz")


def test_a_folder_of_obj_becomes_a_rig(tmp_path):
    write_obj(tmp_path / "Neutral.obj", NEUTRAL * 100)
    write_obj(tmp_path / "jawOpen.obj", (NEUTRAL + DELTAS[0]) * 100, faces=["f 1/1/1 2/1/1 -2 -1"])
    write_obj(tmp_path / "mouthSmile_L.obj", (NEUTRAL + DELTAS[1]) * 100)
    write_obj(tmp_path / "hat.obj", NEUTRAL[:3])
    rig = load_rig(tmp_path)
    np.testing.assert_allclose(rig.neutral, NEUTRAL, atol=1e-6)
    np.testing.assert_allclose(rig.shape_deltas, DELTAS, atol=1e-6)
    np.testing.assert_array_equal(rig.triangles, TRIANGLES)


def test_bad_obj_folders_are_refused(tmp_path):
    with pytest.raises(RigError, match=r"has no neutral.obj"):
        load_rig(tmp_path)
    write_obj(tmp_path / "neutral.obj", NEUTRAL, faces=())
    with pytest.raises(RigError, match="has no faces"):
        load_rig(tmp_path)
    write_obj(tmp_path / "neutral.obj", NEUTRAL)
    write_obj(tmp_path / "jawOpen.obj", NEUTRAL[:3])
    with pytest.raises(RigError, match=r"jawOpen.obj: has 3 vertices but neutral.obj 4"):
        load_rig(tmp_path)
    (tmp_path / "jawOpen.obj").write_text("v 1 2 x\n")
    with pytest.raises(RigError, match="line 1, 'v 1 2 x'"):
        load_rig(tmp_path)
    (tmp_path / "jawOpen.obj").write_text("nothing\n")
    with pytest.raises(RigError, match="holds no vertices"):
        load_rig(tmp_path)


@pytest.mark.parametrize(
    ("face", "message"),
    [("f 1 2", "2 corners"), ("f 1 2 0", "counted from 1"), ("f 1 2 x", "invalid literal"), ("f 1 2 -9", "backwards")],
)
def test_bad_faces_of_an_obj_are_named(tmp_path, face, message):
    write_obj(tmp_path / "neutral.obj", NEUTRAL, faces=("f 1 2 3", face))
    with pytest.raises(RigError, match=f"neutral.obj: line 8, '{face}', cannot be read: .*{message}"):
        load_rig(tmp_path)


def test_shapes_that_are_none_of_arkits_are_named_and_left_out(tmp_path):
    reading = read_rig(save_npz(tmp_path / "head.npz", names=np.array(["JawOpen", "viseme_aa"])))
    assert (reading.names, reading.foreign) == ({"jawOpen": "JawOpen"}, ("viseme_aa",))
    glb = read_rig(write_glb(tmp_path, mesh={"extras": {"targetNames": ["viseme_aa", "ARKit_jawOpen"]}}))
    assert (glb.names, glb.foreign) == ({"jawOpen": "ARKit_jawOpen"}, ("viseme_aa",))
    np.testing.assert_allclose(glb.rig.shape_deltas[0], DELTAS[1], atol=1e-7)
    write_obj(tmp_path / "neutral.obj", NEUTRAL)
    write_obj(tmp_path / "jaw_open.obj", NEUTRAL + DELTAS[0])
    (tmp_path / "hat.obj").write_text("not even an OBJ file")
    assert read_rig(tmp_path).foreign == ("hat",)


def test_a_table_gives_foreign_names_a_meaning(tmp_path):
    table = {"Open": "jawOpen", "mouthSmile_L": ""}
    path = save_npz(tmp_path / "head.npz", names=np.array(["Open", "mouthSmile_L"]))
    reading = read_rig(path, names=table)
    assert (reading.names, reading.foreign) == ({"jawOpen": "Open"}, ("mouthSmile_L",))
    write_obj(tmp_path / "neutral.obj", NEUTRAL)
    write_obj(tmp_path / "Open.obj", NEUTRAL + DELTAS[0])
    write_obj(tmp_path / "mouthSmile_L.obj", NEUTRAL)
    assert read_rig(tmp_path, names=table).names == {"jawOpen": "Open"}
    with pytest.raises(RigError, match=r"has no shape 'Opne', which the table of names lists; perhaps 'Open'\?"):
        read_rig(path, names={"Opne": "jawOpen"})
    with pytest.raises(RigError, match=r"several shapes mean mouthSmileLeft \(Open, mouthSmile_L\)"):
        read_rig(path, names={"Open": "mouthSmileLeft"})
    with pytest.raises(RigError, match=r"no shape has an ARKit name such as jawOpen \(found: Open, mouthSmile_L\)"):
        read_rig(path, names={"mouthSmile_L": ""})


def test_tables_of_names_are_read_and_checked(tmp_path):
    path = tmp_path / "names.csv"
    path.write_text("\ufeffshape, channel ,note\nOpen,JawOpen,x\nKopf links,mouth_smile_left,\nhat,,\n", "utf-8")
    assert read_shape_names(path) == {"Open": "jawOpen", "Kopf links": "mouthSmileLeft", "hat": ""}
    for content, message in (
        ("", "lacks the column shape and the column channel"),
        ("shape,name\na,jawOpen\n", r"lacks the column channel \(it has shape, name\)"),
        ("shape,channel\n", "holds no names"),
        (
            "shape,channel\nOpen,jawOpn\n",
            r"line 2, column 'channel' is 'jawOpn', which is no ARKit name \(perhaps jawOpen",
        ),
        ("shape,channel\nOpen,smile\n", "'smile', which is no ARKit name$"),
        ("shape,channel\n,jawOpen\n", "line 2, column 'shape' is empty"),
        ("shape,channel\na,jawOpen\na,jawLeft\n", "line 3, shape 'a' stands in the table twice"),
        ("shape,channel\na,jawOpen\nb,JawOpen\n", "line 3, channel jawOpen stands in the table twice"),
        ("shape,channel\na\n\n,\n", "line 4, column 'shape' is empty"),
    ):
        path.write_text(content)
        with pytest.raises(RigError, match=f"names.csv: .*{message}"):
            read_shape_names(path)
    path.write_bytes(b"shape,channel\n\xff,jawOpen\n")
    with pytest.raises(RigError, match=r"names\.csv: cannot be read"):
        read_shape_names(path)
    with pytest.raises(RigError, match=r"none\.csv: cannot be read"):
        read_shape_names(tmp_path / "none.csv")


def test_a_saved_rig_is_read_back_exactly(tmp_path):
    for rig in (builtin_rig(), load_rig(save_npz(tmp_path / "small.npz"))):
        save_rig(rig, tmp_path / "saved.npz", overwrite=True)
        reading = read_rig(tmp_path / "saved.npz")
        assert (reading.units, reading.units_from) == ("m", "as the file says")
        assert reading.rig.shape_names == rig.shape_names
        for field in ("neutral", "triangles", "shape_deltas", "colors", "lip_vertices", "upper_face_vertices"):
            np.testing.assert_array_equal(getattr(reading.rig, field), getattr(rig, field))
    with pytest.raises(ArtefactError, match="already exists"):
        save_rig(rig, tmp_path / "saved.npz")
    with pytest.raises(RigError, match=r"saved.glb: rigs are written as .npz"):
        save_rig(rig, tmp_path / "saved.glb")


AXES = {"Blender": ([1, 0, 0], [0, 0, 1], [0, -1, 0]), "from behind": ([-1, 0, 0], [0, 1, 0], [0, 0, -1]),
        "lying": ([0, 1, 0], [1, 0, 0], [0, 0, -1]), "ours": ([1, 0, 0], [0, 1, 0], [0, 0, 1])}  # fmt: skip
"""Where left, up and forward point in a file."""


@pytest.mark.parametrize("axes", AXES)
def test_a_head_is_turned_to_stand_as_rigs_do_here(tmp_path, axes, caplog):
    rig, turn = builtin_rig(), np.array(AXES[axes], dtype=np.float32)
    names = np.array(rig.shape_names)
    path = save_npz(
        *(tmp_path / "head.npz",), neutral=rig.neutral @ turn, triangles=rig.triangles, names=names,
        deltas=rig.shape_deltas @ turn,
    )  # fmt: skip
    reading = read_rig(path)
    np.testing.assert_array_equal(reading.rig.neutral, rig.neutral)
    np.testing.assert_array_equal(reading.rig.shape_deltas, rig.shape_deltas)
    np.testing.assert_array_equal(read_rig(path, up="y").rig.neutral, rig.neutral @ turn)
    is_ours = axes == "ours"
    assert (reading.turned_from is None) == is_ours
    assert load_rig(path).neutral[0].tolist() == (rig.neutral @ turn)[0].tolist()
    assert ("turn it with 'diffusiontalker rig import'" in caplog.text) != is_ours
    if axes == "Blender":
        assert reading.found.text() == "Z up, facing -Y"
        np.testing.assert_array_equal(read_rig(path, up="z").rig.neutral, rig.neutral)
    with pytest.raises(RigError, match="unknown up 'x', expected auto, y, z"):
        read_rig(path, up="x")


def test_a_head_whose_shapes_do_not_tell_is_left_as_it_is(tmp_path):
    reading = read_rig(save_npz(tmp_path / "head.npz"))
    assert reading.found is None
    np.testing.assert_allclose(reading.rig.neutral, NEUTRAL, atol=1e-7)


@pytest.mark.skipif(not REAL_RIG.exists(), reason=f"the real head is not at {REAL_RIG}")
def test_a_real_head_loads_with_sensible_regions():
    rig = load_rig(REAL_RIG)
    assert rig.missing_shapes == ("tongueOut",)
    height = np.ptp(rig.neutral[:, 1])
    assert 0.2 < height < 0.35
    assert read_rig(REAL_RIG).found.is_ours
    lips, upper = rig.neutral[rig.lip_vertices], rig.neutral[rig.upper_face_vertices]
    assert 400 < len(lips) < 1500
    assert 0.04 < np.ptp(lips[:, 0]) < 0.08
    assert np.ptp(lips[:, 1]) < 0.045
    assert 1000 < len(upper) < 4000
    assert np.median(upper[:, 1]) > lips[:, 1].max()
    assert not np.isin(rig.lip_vertices, rig.upper_face_vertices).any()
