"""What spreadsheets make of CSV files is called that, whoever reads them."""

import pytest

from diffusiontalker.face import MotionError, RigError, read_motion, read_shape_names
from diffusiontalker.face.csv_text import csv_problem, first_csv_line

TEXT = "time_s,jawOpen\n0.0,0.5\n0.04,0.25\n"
SPOILT = {
    "semicolons": (TEXT.replace(",", ";").encode(), "its cells are separated by semicolons"),
    "decimal commas": (TEXT.replace(",", ";").replace(".", ",").encode(), "its cells are separated by semicolons"),
    "tabs": (TEXT.replace(",", "\t").encode("utf-8-sig"), "its cells are separated by tabs"),
    "utf-16": (TEXT.encode("utf-16"), "is UTF-16 text"),
    "utf-16, big end first": (b"\xfe\xff" + TEXT.encode("utf-16-be"), "is UTF-16 text"),
}


@pytest.mark.parametrize("name", SPOILT)
def test_a_file_that_a_spreadsheet_saved_is_called_that(name, tmp_path):
    content, message = SPOILT[name]
    path = tmp_path / "a.csv"
    path.write_bytes(content)
    said = rf"a\.csv: {message}; save it as comma-separated UTF-8 text, with points as decimal marks"
    with pytest.raises(MotionError, match=said):
        read_motion(path)
    with pytest.raises(RigError, match=said):
        read_shape_names(path)
    assert first_csv_line(content).startswith("time_s")


@pytest.mark.parametrize("content", [TEXT.encode(), TEXT.encode("utf-8-sig"), b"jawOpen\n0.5\n", b"", b"a,b;c\n"])
def test_text_with_commas_has_no_problem(content):
    assert csv_problem(content) == ""


def test_a_quoted_decimal_comma_is_told(tmp_path):
    (tmp_path / "a.csv").write_text('time_s,jawOpen\n0.0,"0,5"\n0.04,0.5\n')
    with pytest.raises(MotionError, match=r"column 'jawOpen' is '0,5', expected a number with a decimal point"):
        read_motion(tmp_path / "a.csv")
