"""Keys: only their owners get in, limits are exact, and a lost or broken file of keys opens nothing."""

import hashlib
import logging
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diffusiontalker.serving.auth import (
    KEYS_VARIABLE,
    Authenticator,
    KeysError,
    make_authenticator,
    new_key,
    parse_keys,
)
from diffusiontalker.serving.errors import ServingError


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def refusal(authenticator: Authenticator, header: str | None) -> ServingError:
    with pytest.raises(ServingError) as caught:
        authenticator.authenticate(header)
    return caught.value


def replace_keys(path: Path, text: str, *, clock: Clock) -> None:
    """As Kubernetes does: a new file takes the old one's place; the time of the next look has come."""
    new = path.with_suffix(".new")
    new.write_text(text)
    new.replace(path)
    clock.now += 1.0


def test_a_new_key_lets_its_owner_in_and_the_file_does_not_hold_it() -> None:
    key, line = new_key("studio-7")
    other, other_line = new_key("mobile", requests_per_minute=30)
    assert key not in line
    assert hashlib.sha256(key.encode()).hexdigest() in line
    authenticator = Authenticator(text=f"# production\n\n{line}  # since spring\n{other_line}\n")
    assert authenticator.authenticate(f"Bearer {key}").name == "studio-7"
    assert authenticator.authenticate(f"bearer  {other} ").name == "mobile"
    assert not authenticator.is_open


@pytest.mark.parametrize(
    "header", [None, "", "Bearer", "Bearer ", "Basic dXNlcg==", "Bearer two words", "Bearer unknown"]
)
def test_without_a_known_key_nobody_gets_in(header: str | None) -> None:
    error = refusal(Authenticator(text=new_key("a")[1]), header)
    assert error.code == "unauthenticated"
    assert "unknown" not in error.message


@given(st.text(max_size=200))
def test_no_header_whatever_breaks_it(header: str) -> None:
    authenticator = Authenticator(text=new_key("a")[1])
    assert refusal(authenticator, header).code == "unauthenticated"
    assert refusal(authenticator, f"Bearer {header}\ud800").code == "unauthenticated"


def test_a_key_with_no_requests_per_minute_is_switched_off() -> None:
    key, line = new_key("old", requests_per_minute=0)
    error = refusal(Authenticator(text=line), f"Bearer {key}")
    assert error.code == "forbidden"
    assert "key 'old' is switched off" in error.message


def test_every_key_has_its_own_allowance_and_it_refills() -> None:
    clock = Clock()
    (first, first_line), (second, second_line) = (new_key(name, requests_per_minute=3) for name in ("a", "b"))
    authenticator = Authenticator(text=f"{first_line}\n{second_line}", clock=clock)
    for _ in range(3):
        authenticator.authenticate(f"Bearer {first}")
    error = refusal(authenticator, f"Bearer {first}")
    assert error.code == "busy"
    assert error.retry_after_s == pytest.approx(20.0)
    assert authenticator.authenticate(f"Bearer {second}").name == "b"
    clock.now += 19.9
    assert refusal(authenticator, f"Bearer {first}").retry_after_s == pytest.approx(0.1)
    clock.now += 0.2
    authenticator.authenticate(f"Bearer {first}")
    clock.now += 3600.0
    for _ in range(3):  # An hour of silence saves up no more than a minute's worth.
        authenticator.authenticate(f"Bearer {first}")
    assert refusal(authenticator, f"Bearer {first}").code == "busy"


def test_no_keys_configured_lets_everybody_in_within_one_allowance() -> None:
    authenticator = make_authenticator(environment={}, anonymous_per_minute=2)
    assert authenticator.is_open
    assert [authenticator.authenticate(header).name for header in (None, "Bearer x")] == ["anonymous"] * 2
    assert refusal(authenticator, None).code == "busy"
    assert make_authenticator(environment={}).authenticate(None).name == "anonymous"


def test_the_environment_variable_holds_the_same_text() -> None:
    key, line = new_key("a")
    assert make_authenticator(environment={KEYS_VARIABLE: line}).authenticate(f"Bearer {key}").name == "a"


@pytest.mark.parametrize("text", ["", "\n# nobody yet\n"])
def test_configured_but_empty_keys_are_an_error_not_an_open_door(text: str, tmp_path: Path) -> None:
    (tmp_path / "keys").write_text(text)
    with pytest.raises(KeysError, match="holds no key"):
        make_authenticator(environment={KEYS_VARIABLE: text})
    with pytest.raises(KeysError, match=r"keys: holds no key"):
        make_authenticator(tmp_path / "keys", environment={})


def test_a_changed_file_is_read_again_after_a_second(tmp_path: Path) -> None:
    clock, path = Clock(), tmp_path / "keys"
    (old, old_line), (new, new_line) = new_key("old"), new_key("new")
    path.write_text(old_line)
    authenticator = Authenticator(path=path, clock=clock)
    replace_keys(path, new_line, clock=clock)
    clock.now -= 0.1
    assert authenticator.authenticate(f"Bearer {old}").name == "old"
    clock.now += 0.1
    assert authenticator.authenticate(f"Bearer {new}").name == "new"
    assert refusal(authenticator, f"Bearer {old}").code == "unauthenticated"


def test_a_broken_new_version_keeps_the_keys_and_is_logged_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clock, path = Clock(), tmp_path / "keys"
    key, line = new_key("a")
    path.write_text(line)
    authenticator = Authenticator(path=path, clock=clock)
    for number, break_it in enumerate((lambda: replace_keys(path, "", clock=clock), path.unlink), start=1):
        break_it()
        for _ in range(3):
            clock.now += 1.0
            assert authenticator.authenticate(f"Bearer {key}").name == "a"
        warnings = [record for record in caplog.records if record.levelno == logging.WARNING]
        assert len(warnings) == number
        assert "the 1 keys known so far stay" in warnings[-1].getMessage()
    replace_keys(path, line, clock=clock)
    assert authenticator.authenticate(f"Bearer {key}").name == "a"


def test_a_rewritten_file_does_not_refill_allowances_but_a_changed_limit_counts(tmp_path: Path) -> None:
    clock, path = Clock(), tmp_path / "keys"
    key, line = new_key("a", requests_per_minute=1)
    path.write_text(line)
    authenticator = Authenticator(path=path, clock=clock)
    authenticator.authenticate(f"Bearer {key}")
    replace_keys(path, f"# again\n{line}", clock=clock)
    assert refusal(authenticator, f"Bearer {key}").code == "busy"
    replace_keys(path, line.removesuffix(":1") + ":2", clock=clock)
    assert authenticator.authenticate(f"Bearer {key}").name == "a"


@pytest.mark.parametrize(
    "line",
    ["secret-key", "a:secret-key", f"a b:{'0' * 64}", f"a:{'0' * 63}", f"a:{'0' * 64}:many", f"a:{'0' * 64}:-1",
     f"a:{'0' * 64}:1:2", f":{'0' * 64}", f"a:{'0' * 64}:1e400", f"a:{'0' * 64}:nan"],
)  # fmt: skip
def test_malformed_lines_are_named_by_number_and_never_shown(line: str) -> None:
    with pytest.raises(KeysError, match=r"^keys, line 2: ") as caught:
        parse_keys(f"# comment\n{line}", source="keys")
    assert "secret" not in str(caught.value)


def test_names_and_keys_are_unique() -> None:
    first, second = new_key("a")[1], new_key("a")[1]
    for text in (f"{first}\n{second}", f"{first}\nb{first.removeprefix('a')}"):
        with pytest.raises(KeysError, match="line 2: the name or the key stands on an earlier line"):
            parse_keys(text, source="keys")


@pytest.mark.parametrize("name", ["", "a#b", "a:b", "a\nb", "ä", "x" * 65])
def test_keys_are_only_made_for_names_the_file_can_hold(name: str) -> None:
    with pytest.raises(KeysError, match="new key for"):
        new_key(name)


def test_unusable_settings_are_refused(tmp_path: Path) -> None:
    with pytest.raises(KeysError, match="given twice"):
        make_authenticator(tmp_path / "keys", environment={KEYS_VARIABLE: new_key("a")[1]})
    with pytest.raises(KeysError, match="cannot be read"):
        make_authenticator(tmp_path / "gone", environment={})
    (tmp_path / "binary").write_bytes(os.urandom(64) + b"\xff")
    with pytest.raises(KeysError, match="no UTF-8 text"):
        make_authenticator(tmp_path / "binary", environment={})
    with pytest.raises(KeysError, match="anonymous_per_minute is 0"):
        make_authenticator(environment={}, anonymous_per_minute=0)
