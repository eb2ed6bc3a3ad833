"""The table of settings is as the settings are, and says of each what it is for."""

from __future__ import annotations

import pytest

from deploy import settings_table
from deploy.settings_table import FILE, SERVICES, docstrings, main, rows, table


def test_the_committed_table_is_current() -> None:
    assert FILE.read_text(encoding="utf-8") == table(), "`make settings`"
    assert main(["check"]) == 0


def test_every_setting_says_what_it_is_for() -> None:
    assert [name for name, _, _, what in rows() if not what or what.startswith("One of")] == []


def test_every_setting_of_every_service_stands_in_it() -> None:
    told = {(name, whose) for name, whose, _, _ in rows()}
    for service, model in SERVICES.items():
        for name in docstrings(model):
            ways = {(name.upper(), whose) for whose in ("all", "all, broker", service)}
            assert ways & told, f"{service}: {name}"


def test_a_default_that_a_service_changes_is_told_as_its_own() -> None:
    assert ("EFFECTS_AT_ONCE", "notify", "`32`") in {row[:3] for row in rows()}


def test_a_table_that_is_not_current_is_found(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(settings_table, "_HEAD", "# Something else\n")
    assert main(["check"]) == 1
    assert "make settings" in capsys.readouterr().err
