import dataclasses
import os
from pathlib import Path
from typing import Literal

import pytest

from diffusiontalker.config import (
    ArtefactError,
    ConfigError,
    config_digest,
    expanded_path,
    from_plain,
    load_config,
    publish_directory,
    publish_file,
    require_new,
    run_provenance,
    to_plain,
    write_yaml,
)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Engine:
    """An engine."""

    learning_rate: float = 1e-3
    """Rate."""
    kind: Literal["petrol", "electric"] = "petrol"
    """Kind."""

    def __post_init__(self) -> None:
        if self.learning_rate <= 0:
            raise ValueError(f"learning_rate is {self.learning_rate}, expected a positive number")


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Car:
    """A car."""

    engine: Engine = dataclasses.field(default_factory=Engine)
    """Engine."""
    doors: tuple[int, ...] = (2, 2)
    """Doors."""


def test_flags_win_over_yaml_and_yaml_over_defaults(tmp_path):
    (tmp_path / "car.yaml").write_text("engine: {learning_rate: 1e-4, kind: electric}\n")
    from_file = load_config(Car, path=tmp_path / "car.yaml")
    assert from_file.engine.learning_rate == 1e-4  # YAML 1.1 reads 1e-4 as a string
    both = load_config(
        Car, path=tmp_path / "car.yaml", overrides=["--engine.learning-rate", "0.5", "--doors", "1", "3"]
    )
    assert (both.engine, both.doors) == (Engine(learning_rate=0.5, kind="electric"), (1, 3))
    assert load_config(Car).engine.learning_rate == 1e-3


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (
            {"engine": {"learning_rat": 1}},
            r"'engine\.learning_rat' is not a known key; perhaps you meant 'learning_rate'",
        ),
        ({"engine": {"kind": "steam"}}, r"'engine\.kind': .*'petrol' or 'electric'.*got 'steam'"),
        ({"engine": {"learning_rate": -1}}, r"'engine': learning_rate is -1\.0, expected a positive number"),
        ({"engine": {"learning_rate": "fast"}}, r"'engine\.learning_rate': .*got 'fast'"),
        ({"wheels": 3}, r"'wheels' is not a known key \(allowed: engine, doors\)"),
    ],
)
def test_every_mistake_is_named_with_its_dotted_path(raw, message):
    with pytest.raises(ConfigError, match=message):
        from_plain(Car, raw, source="car.yaml")


def test_missing_and_malformed_files_are_named(tmp_path):
    with pytest.raises(ConfigError, match=r"nothing\.yaml does not exist"):
        load_config(Car, path=tmp_path / "nothing.yaml")
    (tmp_path / "bad.yaml").write_text("engine: [\n")
    with pytest.raises(ConfigError, match="cannot be read as YAML"):
        load_config(Car, path=tmp_path / "bad.yaml")


def test_a_misspelt_flag_ends_with_exit_code_2(capsys):
    with pytest.raises(SystemExit) as ended:
        load_config(Car, overrides=["--engine.learning-rat", "1"])
    assert ended.value.code == 2
    assert "--engine.learning-rate" in capsys.readouterr().err


def test_plain_data_round_trips_and_the_digest_sees_every_value(tmp_path):
    car = Car(doors=(4,))
    assert from_plain(Car, to_plain(car)) == car
    assert config_digest(car) == config_digest(from_plain(Car, to_plain(car)))
    assert config_digest(car) != config_digest(Car())
    write_yaml(car, tmp_path / "run" / "car.yaml")
    assert load_config(Car, path=tmp_path / "run" / "car.yaml") == car


def test_a_file_appears_whole_or_not_at_all(tmp_path):
    path = tmp_path / "new" / "file.txt"
    with pytest.raises(RuntimeError), publish_file(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert list(path.parent.iterdir()) == []
    with publish_file(path) as temporary:
        assert temporary.suffix == ".txt"
        temporary.write_text("whole")
    assert path.read_text() == "whole"
    with pytest.raises(ArtefactError, match="nothing is overwritten"), publish_file(path):
        pass
    with publish_file(path, overwrite=True) as temporary:
        temporary.write_text("second")
    assert [entry.read_text() for entry in path.parent.iterdir()] == ["second"]


def test_a_directory_appears_whole_or_not_at_all(tmp_path):
    path = tmp_path / "bundle"
    with pytest.raises(RuntimeError), publish_directory(path) as temporary:
        (temporary / "half").touch()
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []
    for name in ("first", "second"):
        with publish_directory(path, overwrite=True) as temporary:
            (temporary / name).touch()
    assert [entry.name for entry in path.iterdir()] == ["second"]
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(ArtefactError, match="already exists"), publish_directory(path):
        pass


def test_an_empty_folder_may_be_filled_and_nothing_else(tmp_path):
    require_new(tmp_path / "new")
    (tmp_path / "empty").mkdir()
    require_new(tmp_path / "empty")
    (tmp_path / "file").touch()
    with pytest.raises(ArtefactError, match="try another"):
        require_new(tmp_path / "file", remedy="try another")


def test_unwritable_places_are_named(tmp_path):
    (tmp_path / "file").touch()
    for path in ("file/below.txt", "file/further/below.txt"):
        with pytest.raises(ArtefactError, match="file is a file, not a folder; choose"), publish_file(tmp_path / path):
            pass
    if Path("/proc/self").exists():
        with pytest.raises(ArtefactError, match="the system allows no files in /proc"), publish_file(Path("/proc/x")):
            pass
    with pytest.raises(ArtefactError, match="is a folder"), publish_file(tmp_path, overwrite=True):
        pass


def test_provenance_names_versions_commit_and_machine():
    provenance = run_provenance()
    assert {"torch", "ray", "git_commit", "machine", "diffusiontalker"} <= provenance.keys()
    assert provenance["cpu_count"] == os.cpu_count()


def test_paths_are_expanded_and_urls_left_whole(monkeypatch):
    monkeypatch.setenv("RUNS", "/runs")
    assert expanded_path("${RUNS}/demo", field="teacher") == "/runs/demo"
    assert expanded_path("s3://bucket/demo", field="corpus_uri") == "s3://bucket/demo"
    assert expanded_path("~/demo", field="teacher") == str(Path.home() / "demo")
    assert expanded_path("", field="rig") == ""
    with pytest.raises(ConfigError, match="NO_SUCH is not set; set it, or write the path with --teacher"):
        expanded_path("$NO_SUCH/demo", field="teacher")
