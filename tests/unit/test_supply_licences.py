"""What the project stands on may stand beside its licence, and what may not is named."""

from __future__ import annotations

import dataclasses
from email.message import Message
from importlib.metadata import PackageMetadata
from pathlib import Path
from typing import Any, cast

import pytest

from deploy.embedded.jars import DIGESTS
from deploy.supply import licences
from deploy.supply.jars import lines
from deploy.supply.licences import (
    FILE,
    allowed,
    declared,
    faults,
    main,
    pinned,
    rules,
    shipped,
    table,
)

RULES = rules()


def told(**fields: str | list[str]) -> PackageMetadata:
    """A package's metadata of these fields."""
    found = Message()
    for name, values in fields.items():
        for value in [values] if isinstance(values, str) else values:
            found[name.replace("_", "-")] = value
    return cast("PackageMetadata", found)


def without(part: str, name: str) -> licences.Rules:
    """The rules short of a line."""
    left = {key: value for key, value in getattr(RULES, part).items() if key != name}
    changes: dict[str, Any] = {part: left}
    return dataclasses.replace(RULES, **changes)


def test_all_may_be_here_and_the_committed_table_is_current() -> None:
    assert faults(RULES) == []
    assert FILE.read_text(encoding="utf-8") == table(RULES), "`make licences`"
    assert main(["check"]) == 0


def test_every_licence_has_the_reason_why_it_may() -> None:
    assert all({**RULES.shipped, **RULES.tools}.values())
    assert not [one for one in RULES.words.values() if not allowed(one, RULES.shipped)]


def test_a_licence_that_is_not_listed_is_told_of_each_package() -> None:
    found = faults(without("shipped", "MPL-2.0"))
    (certifi,) = [one for one in shipped(RULES) if one.name == "certifi"]
    assert f"certifi {certifi.version}: MPL-2.0 is not allowed here" in found
    assert {one.partition(": ")[2] for one in found} == {"MPL-2.0 is not allowed here"}


def test_what_is_no_more_than_a_tool_may_not_be_shipped() -> None:
    (tool,) = [name for name in RULES.tools if name.startswith("GPL")]
    assert not allowed(tool, RULES.shipped)
    assert allowed(tool, RULES.tools)


def test_a_package_of_which_nobody_can_tell_is_told() -> None:
    assert [one.partition(" ")[0] for one in faults(without("read", "jinja2"))] == ["jinja2"]


def test_another_version_of_what_a_person_read_is_to_be_read_again() -> None:
    read = {**RULES.read, "jinja2": {**RULES.read["jinja2"], "version": "3.1.5"}}
    found = faults(dataclasses.replace(RULES, read=read))
    assert [one.partition(":")[0] for one in found] == [
        f"jinja2 {RULES.read['jinja2']['version']}",
        f"jinja2 3.1.5 was read, {RULES.read['jinja2']['version']} is pinned",
    ]


def test_a_jar_without_a_line_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    digests = tmp_path / "jars.sha256"
    digests.write_text(DIGESTS.read_text() + f"{'0' * 64}  planted-1.0.jar\n")
    monkeypatch.setattr(licences, "DIGESTS", digests)
    assert faults(RULES) == ["jars.licences is not of planted-1.0.jar"]


def test_a_table_that_is_not_current_is_found(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(licences, "_HEAD", "# Something else\n")
    assert main(["check"]) == 1
    assert "make licences" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("expression", "may"),
    [
        ("MIT", True),
        ("MIT OR AGPL-3.0-only", True),
        ("MIT AND AGPL-3.0-only", False),
        ("MIT AND (ISC OR AGPL-3.0-only)", True),
        ("GPL-2.0-only", False),
        ("GPL-2.0-only WITH Classpath-exception-2.0", False),
        ("MIT AND", False),
        ("Anything", False),
    ],
)
def test_a_choice_may_be_made_and_what_comes_together_must_all_be_allowed(
    expression: str, may: bool
) -> None:
    assert allowed(expression, {"MIT", "ISC"}) is may


@pytest.mark.parametrize(
    ("metadata", "licence"),
    [
        (told(License_Expression="MIT", License="BSD-3-Clause"), "MIT"),
        (told(License="Apache 2.0"), "Apache-2.0"),
        (told(License="BSD-3-Clause"), "BSD-3-Clause"),
        (told(License="BSD"), None),
        (told(License="Copyright somebody\nPermission is hereby granted"), None),
        (told(Classifier="License :: OSI Approved :: MIT License"), "MIT"),
        (told(Classifier="License :: OSI Approved :: BSD License"), None),
        (
            told(
                Classifier=[
                    "License :: OSI Approved :: MIT License",
                    "License :: OSI Approved :: Apache Software License",
                ]
            ),
            None,
        ),
        (told(Name="nothing"), None),
    ],
)
def test_what_metadata_leave_open_is_not_guessed(
    metadata: PackageMetadata, licence: str | None
) -> None:
    assert declared(metadata, RULES.words) == licence


def test_what_another_machine_installs_is_not_looked_for() -> None:
    text = (
        "a-b==1.0 \\\n    --hash=sha256:0\nC==2 ; sys_platform == 'win32' \\\n    --hash=sha256:1\n"
    )
    assert pinned(text) == {"a-b": "1.0"}


def test_maven_s_words_become_a_line_for_each_jar() -> None:
    summary = """<licenseSummary><dependencies><dependency>
        <groupId>org.example</groupId><artifactId>one</artifactId><version>2.1</version>
        <licenses><license><name>The MIT License</name></license>
        <license><name>GPL-3.0-only</name></license></licenses>
        </dependency></dependencies></licenseSummary>"""
    assert lines(summary, RULES.words) == ["org.example:one:2.1  MIT OR GPL-3.0-only"]
    (jar,) = licences.jars("org.example:one:2.1  MIT OR GPL-3.0-only")
    assert licences.files([jar]) == {"one-2.1.jar"}
