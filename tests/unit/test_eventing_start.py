"""A start with a setting or a text that is wrong: one sentence names it, and exit code 2."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from shutil import copytree

import pytest
from typer.testing import CliRunner

from lianhu.eventing.cli import build
from lianhu.mediation.app import service
from lianhu.notify.app import service as notify


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("POLICY_FILE", "none.yaml", "policy_file: Path does not point to a file"),
        ("PUBLISHERS_FILE", "none.yaml", "publishers_file: Path does not point to a file"),
        ("ENVIRONMENT", "prod", "environment: Input should be 'demo', 'test' or 'production'"),
        ("LOG_LEVEL", "loud", "log_level: Input should be 'DEBUG', 'INFO', "),
        ("CLOCK_MOVABLE", "true", "time is not moved in production: set CLOCK_MOVABLE=false"),
    ],
)
def test_a_setting_that_is_wrong_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, value: str, sentence: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(f"LIANHU_MEDIATION_{name}", value)
    ended = CliRunner().invoke(build(service), ["run"])
    assert ended.exit_code == 2
    assert ended.stdout == ""
    (line,) = ended.stderr.splitlines()
    assert line.startswith(f"mediation: {sentence}")


def test_a_template_that_names_a_value_which_nobody_gives_stops_the_start(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    templates = tmp_path / "templates"
    copytree(str(files("lianhu.notify") / "templates"), templates)
    held = templates / "zh-CN" / "envelope-held.txt"
    held.write_text(held.read_text(encoding="utf-8") + "{{ payee }}\n", encoding="utf-8")
    monkeypatch.setenv("LIANHU_NOTIFY_TEMPLATES_FOLDER", str(templates))
    ended = CliRunner().invoke(build(notify), ["run"])
    assert ended.exit_code == 2
    assert ended.stdout == ""
    (line,) = ended.stderr.splitlines()
    assert line.startswith("notify: ")
    assert "the template envelope-held names payee, which nobody gives it" in line
