"""Master keys in files, data keys wrapped by them."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from lianhu.privacy import DataKey, KeyFileError, MasterKey, MasterKeys, UnsealError

CASE = "case/440304-2026-000123"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "master.keys"


def test_a_master_key_comes_back_from_its_file(path: Path) -> None:
    key = MasterKey.generate()
    key.write(path)
    assert MasterKey.read(path) == key
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_master_key_is_never_overwritten(path: Path) -> None:
    first = MasterKey.generate()
    first.write(path)
    with pytest.raises(KeyFileError, match="not overwritten") as caught:
        MasterKey.generate().write(path)
    assert caught.value.slug == "exists"
    assert MasterKey.read(path) == first


def test_a_missing_file_is_named(path: Path) -> None:
    with pytest.raises(KeyFileError, match=r"master\.keys does not exist") as caught:
        MasterKey.read(path)
    assert caught.value.slug == "missing"


@pytest.mark.parametrize("mode", [0o604, 0o644, 0o602])
def test_a_file_open_to_everybody_is_refused(path: Path, mode: int) -> None:
    MasterKey.generate().write(path)
    path.chmod(mode)
    with pytest.raises(KeyFileError, match="open to all users") as caught:
        MasterKey.read(path)
    assert caught.value.slug == "exposed"


@pytest.mark.parametrize(
    "line",
    [
        "",
        "c2VjcmV0LW1hdGVyaWFs",
        '["c2VjcmV0LW1hdGVyaWFs"]',
        '{"id": "a"}',
        '{"id": "a", "key": "c2VjcmV0LW1hdGVyaWFs"}',
        '{"id": "a", "key": "c2VjcmV0LW1hdGVyaWFs~"}',
        '{"id": "a:b", "key": "' + "A" * 43 + '="}',
    ],
)
def test_a_malformed_file_is_refused_without_showing_it(path: Path, line: str) -> None:
    path.write_text(line + "\n")
    path.chmod(0o600)
    with pytest.raises(KeyFileError) as caught:
        MasterKey.read(path)
    assert caught.value.slug == "malformed"
    assert "c2VjcmV0" not in str(caught.value)
    assert caught.value.__context__ is None


def test_two_keys_of_one_id_are_refused(path: Path) -> None:
    MasterKey.generate().write(path)
    path.write_text(path.read_text() * 2)
    with pytest.raises(KeyFileError, match="two keys of one id"):
        MasterKeys.read(path)


def test_rotation_wraps_with_the_new_key_and_unwraps_with_the_old(path: Path) -> None:
    old, new = MasterKey.generate(), MasterKey.generate()
    old.write(path)
    data_key = DataKey.new(CASE)
    wrapped = MasterKeys.read(path).wrap(data_key)

    new.append(path)
    keys = MasterKeys.read(path)
    assert keys.current == new
    assert [json.loads(line)["id"] for line in path.read_text().splitlines()] == [old.id, new.id]
    assert not keys.is_current(wrapped)

    renewed = keys.wrap(keys.unwrap(CASE, wrapped))
    assert keys.is_current(renewed)
    assert keys.unwrap(CASE, renewed) == data_key


def test_a_data_key_of_another_case_does_not_unwrap() -> None:
    keys = MasterKeys(MasterKey.generate())
    wrapped = keys.wrap(DataKey.new(CASE))
    with pytest.raises(UnsealError) as caught:
        keys.unwrap("case/440304-2026-000124", wrapped)
    assert caught.value.slug == "wrong-key"


def test_an_unknown_master_key_is_said_to_be_unknown() -> None:
    wrapped = MasterKeys(MasterKey.generate()).wrap(DataKey.new(CASE))
    with pytest.raises(UnsealError) as caught:
        MasterKeys(MasterKey.generate()).unwrap(CASE, wrapped)
    assert caught.value.slug == "unknown-master-key"


def test_a_key_that_another_process_appended_is_looked_for_in_the_file(path: Path) -> None:
    MasterKey.generate().write(path)
    ours, theirs = MasterKeys.read(path), MasterKeys.read(path)
    MasterKey.generate().append(path)
    assert theirs.renew()
    assert not theirs.renew(), "it changed once"
    data_key = DataKey.new("case/1")
    assert ours.current != theirs.current
    assert ours.unwrap("case/1", theirs.wrap(data_key)) == data_key
    assert ours.current == theirs.current, "and is current here too"
    assert MasterKeys.read(path).unwrap("case/1", ours.wrap(data_key)) == data_key


def test_a_file_that_breaks_while_we_run_takes_no_key_away(path: Path) -> None:
    MasterKey.generate().write(path)
    keys, stranger = MasterKeys.read(path), MasterKeys(MasterKey.generate())
    wrapped = keys.wrap(DataKey.new("case/1"))
    path.write_text("half a li")
    with pytest.raises(KeyFileError, match="malformed"):
        keys.renew()
    with pytest.raises(UnsealError, match="unknown-master-key"):
        keys.unwrap("case/1", stranger.wrap(DataKey.new("case/1")))
    path.unlink()
    with pytest.raises(KeyFileError, match="missing"):
        keys.renew()
    path.symlink_to(path)  # stands for all that a system says of a file that is there
    with pytest.raises(KeyFileError, match="unreadable") as caught:
        keys.renew()
    assert caught.value.slug == "unreadable"
    with pytest.raises(KeyFileError, match="unreadable"):
        MasterKeys.read(path)
    assert keys.unwrap("case/1", wrapped).id == "case/1"


def test_two_master_keys_of_one_id_differ_in_what_they_unwrap() -> None:
    one, other = DataKey.new("master-1"), DataKey.new("master-1")
    wrapped = MasterKeys(MasterKey("master-1", one.key)).wrap(DataKey.new(CASE))
    with pytest.raises(UnsealError) as caught:
        MasterKeys(MasterKey("master-1", other.key)).unwrap(CASE, wrapped)
    assert caught.value.slug == "wrong-key"


def test_every_altered_byte_and_every_cut_of_a_wrapped_key_is_found() -> None:
    keys = MasterKeys(MasterKey.generate())
    wrapped = keys.wrap(DataKey.new(CASE))
    for at in range(len(wrapped)):
        altered = wrapped[:at] + bytes([wrapped[at] ^ 1]) + wrapped[at + 1 :]
        for broken in (altered, wrapped[:at]):
            with pytest.raises(UnsealError):
                keys.unwrap(CASE, broken)


def test_no_repr_shows_a_key() -> None:
    data_key, master = DataKey.new(CASE), MasterKey.generate()
    assert repr(data_key) == f"DataKey(id={CASE!r})"
    assert repr(master) == f"MasterKey(id={master.id!r})"
    assert repr(MasterKeys(master)) == f"MasterKeys(current={master.id!r}, of 1)"


@pytest.mark.parametrize("bad", ["", "case:1", "案件/1", "a b", "/case", "a" * 121, "case/1\n"])
def test_a_key_id_fits_into_a_token(bad: str) -> None:
    with pytest.raises(ValueError, match="key id"):
        DataKey.new(bad)


def test_a_key_has_32_bytes() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        DataKey(CASE, b"short")
