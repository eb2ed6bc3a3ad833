"""The committed schemas: what `write` refuses, what `check` says, what stands in a file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from lianhu.contracts import REGISTRY, Contract
from lianhu.contracts.__main__ import main
from lianhu.contracts.schemas import committed, generated, schema_of, text_of, write

REPORT = "lianhu.intake.report-submitted.v1"
OPENED = "lianhu.intake.case-opened.v1"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of schemas as they are generated now."""
    write(tmp_path)
    return tmp_path


def publish(folder: Path, type_: str, **changes: object) -> None:
    """Make as if another schema of a type had been published."""
    file = folder / f"{type_}.json"
    file.write_text(json.dumps(json.loads(file.read_text("utf-8")) | changes), encoding="utf-8")


@pytest.mark.parametrize("contract", list(REGISTRY), ids=lambda contract: contract.type)
def test_a_schema_is_valid_named_by_its_type_and_names_no_host(contract: Contract) -> None:
    schema = schema_of(contract)
    Draft202012Validator.check_schema(schema)
    assert schema["$id"] == contract.type
    assert "://" not in text_of(schema)


def test_what_a_case_seals_stands_in_its_schema() -> None:
    schema = json.loads(text_of(generated()[OPENED]))
    assert schema["properties"]["account"]["x-sealed"] == "Account"
    assert {"Account", "Person", "SafeContact"} <= set(schema["$defs"])


def test_a_file_is_sorted_and_ends_with_a_line(folder: Path) -> None:
    text = (folder / f"{REPORT}.json").read_text(encoding="utf-8")
    assert text == text_of(json.loads(text))
    assert text.endswith("}\n")
    assert "来电来访来信" in text


def test_writing_twice_changes_nothing(folder: Path) -> None:
    assert write(folder) == []


def test_a_compatible_change_is_written(folder: Path) -> None:
    publish(folder, REPORT, required=["channel", "narrative", "wish"])
    assert write(folder) == [REPORT]
    assert committed(folder) == generated()


def test_a_breaking_change_is_refused_and_nothing_is_written(folder: Path) -> None:
    publish(folder, REPORT, required=["channel"])
    publish(folder, OPENED, description="other words")
    before = committed(folder)
    with pytest.raises(ValueError, match=f"{REPORT} /narrative: may be absent, and is required"):
        write(folder)
    assert committed(folder) == before


def test_a_type_that_nobody_has_seen_may_change_in_any_way(folder: Path) -> None:
    publish(folder, REPORT, required=["channel"])
    assert write(folder, unpublished=["lianhu.intake.*"]) == [REPORT]


def test_a_published_type_cannot_vanish(folder: Path) -> None:
    publish_unknown(folder)
    with pytest.raises(ValueError, match="no model is left"):
        write(folder)
    assert write(folder, unpublished=["lianhu.intake.gone.v1"]) == ["lianhu.intake.gone.v1"]
    assert committed(folder) == generated()


def publish_unknown(folder: Path) -> None:
    """Make as if a type had been published that has no model."""
    (folder / "lianhu.intake.gone.v1.json").write_text("{}", encoding="utf-8")


def check(folder: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """What the command says of a folder."""
    code = main(["check", "--folder", str(folder)])
    return code, capsys.readouterr().err


def test_check_is_content_with_what_was_written(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert check(folder, capsys) == (0, "")


def test_check_names_a_type_that_differs_and_how_to_go_on(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    publish(folder, REPORT, description="other words")
    code, told = check(folder, capsys)
    assert code == 1
    assert told.startswith(f"{REPORT}: differs from its committed schema\nNobody is broken by it")


def test_check_names_what_breaks(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    publish(folder, OPENED, required=[])
    code, told = check(folder, capsys)
    assert code == 1
    assert f"{OPENED} /case: may be absent, and is required (in an old journal)" in told
    assert "Nobody is broken" not in told


def test_check_names_a_type_without_a_file_and_a_file_without_a_type(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / f"{REPORT}.json").unlink()
    publish_unknown(folder)
    code, told = check(folder, capsys)
    assert code == 1
    assert f"{REPORT}: has no committed schema" in told
    assert "lianhu.intake.gone.v1: published, and no model is left of it" in told


def test_check_needs_a_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, told = check(tmp_path / "nowhere", capsys)
    assert code == 1
    assert told.startswith("no folder of schemas")


def test_the_command_writes_and_refuses(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    publish(folder, REPORT, required=["channel"])
    assert main(["write", "--folder", str(folder)]) == 1
    assert "Nothing was written" in capsys.readouterr().err
    assert main(["write", "--folder", str(folder), "--new", REPORT]) == 0
    assert capsys.readouterr().out == f"{REPORT}\n"
