"""The commands that write a registry, a password or a master key into a file."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from lianhu.contracts.publishers import Publishers
from lianhu.eventing.__main__ import cli
from lianhu.eventing.users import make_password, password_file
from lianhu.privacy import MasterKey, MasterKeys


def said(*arguments: str) -> Result:
    return CliRunner().invoke(cli, arguments)


@pytest.fixture
def registry(tmp_path: Path) -> Path:
    path = tmp_path / "publishers.yaml"
    path.write_bytes((files("lianhu.contracts") / "publishers.yaml").read_bytes())
    return path


def add(registry: Path, name: str, *more: str) -> Result:
    known = ("--unit", "440304000000", "--title", "一个系统", "--file", str(registry))
    return said("publishers", "add", name, *known, *more)


@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("school-futian", ("--kind", "reporting", "--channel", "school", "--channel", "walk-in")),
        ("officers-futian", ("--kind", "officers", "--partitions", "6")),
        ("court-futian", ("--kind", "partner", "--authority", "court")),
        ("treasury-luohu", ("--kind", "treasury")),
    ],
)
def test_a_publisher_of_each_kind_is_registered_by_a_command(
    registry: Path, name: str, more: tuple[str, ...]
) -> None:
    ended = add(registry, name, *more)
    assert (ended.exit_code, ended.output) == (0, f"{name} is registered\n")
    found = Publishers.read(registry).get(name)
    assert found is not None
    assert found.kind == more[1]


@pytest.mark.parametrize(
    ("name", "more", "why"),
    [
        ("school-futian", ("--kind", "reporting"), "a reporting system has channels"),
        ("school-futian", ("--kind", "reporting", "--channel", "pigeon"), "channels_0"),
        ("court-futian", ("--kind", "partner"), "a partner has an authority"),
        ("hotline-futian", ("--kind", "officers"), "registered twice: hotline-futian"),
        ("monitor", ("--kind", "officers"), "one of our own names is no publisher's: monitor"),
        ("No Name", ("--kind", "officers"), "name"),
    ],
)
def test_what_is_no_publisher_is_told_in_a_sentence_and_changes_nothing(
    registry: Path, name: str, more: tuple[str, ...], why: str
) -> None:
    before = registry.read_bytes()
    ended = add(registry, name, *more)
    assert ended.exit_code == 2
    assert why in ended.stderr
    assert len(ended.stderr.splitlines()) == 1, ended.stderr
    assert registry.read_bytes() == before


def test_a_password_is_renewed_in_its_file_which_stays_the_same_file(tmp_path: Path) -> None:
    assert make_password(tmp_path, "intake")
    assert not make_password(tmp_path, "intake")
    file = password_file(tmp_path, "intake")
    file.chmod(0o640)
    before, was = file.read_text(), file.stat()
    assert said("passwords", "renew", "intake", "--folder", str(tmp_path)).exit_code == 0
    assert file.read_text() != before
    assert len(file.read_text()) == len(before)
    assert (file.stat().st_ino, file.stat().st_mode) == (was.st_ino, was.st_mode)
    unknown = said("passwords", "renew", "nobody", "--folder", str(tmp_path))
    assert unknown.exit_code == 1
    assert "nobody has no password" in unknown.stderr


def test_a_master_key_is_appended_and_the_older_ones_stay(tmp_path: Path) -> None:
    file = tmp_path / "master.key"
    missing = said("master-key", "renew", str(file))
    assert (missing.exit_code, len(missing.stderr.splitlines())) == (2, 1)
    first = MasterKey.generate()
    first.write(file)
    ended = said("master-key", "renew", str(file))
    assert ended.output == "2 master keys, another one is current\n"
    assert first.id in MasterKeys.read(file).ids
    assert MasterKeys.read(file).current != first
