"""The policy of mediation: its figures, and the holes that stop a start."""

from __future__ import annotations

from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import yaml

from lianhu.contracts.publishers import Publishers
from lianhu.contracts.vocabulary import Category, DeadlineKind, Risk
from lianhu.jurisdiction import Divisions, Kind, Level, Unit
from lianhu.mediation.policy import Policy
from lianhu.mediation.settings import Settings
from tests.mediation_desk import CITY, COMMUNITY, DISTRICT, POLICY, STREET, at

Written = dict[str, Any]
MONDAY = at("2026-03-02 10:00")


def policy_with(folder: Path, change: Callable[[Written], object]) -> Policy:
    """The shipped policy with a change, read as a city's own."""
    shipped = files("lianhu.mediation") / "policy.yaml"
    written = yaml.safe_load(shipped.read_text(encoding="utf-8"))
    change(written)
    file = folder / "policy.yaml"
    file.write_text(yaml.safe_dump(written, allow_unicode=True), encoding="utf-8")
    return Policy.load(Settings(policy_file=file))


@pytest.mark.parametrize(
    ("risk", "due"),
    [
        (Risk.GREEN, "2026-03-06 00:00"),
        (Risk.YELLOW, "2026-03-04 00:00"),
        (Risk.ORANGE, "2026-03-02 14:00"),
        (Risk.RED, "2026-03-02 11:00"),
    ],
)
def test_the_time_to_accept_follows_the_risk(risk: Risk, due: str) -> None:
    found = POLICY.due(DeadlineKind.ACCEPT, Level.COMMUNITY, Category.FAMILY_DISPUTE, risk, MONDAY)
    assert found.at == at(due)
    assert not found.provisional


def test_a_deadline_in_a_year_that_is_not_announced_is_provisional() -> None:
    later = at("2090-03-01 09:00")
    found = POLICY.due(DeadlineKind.CONCLUDE, Level.CITY, Category.OTHER, Risk.GREEN, later)
    assert found.provisional


def test_a_level_overrides_the_default_and_a_category_the_level(tmp_path: Path) -> None:
    def change(written: Written) -> None:
        conclude = written["deadlines"]["conclude"]
        conclude["levels"] = {
            "street": {"source": "its own", "risks": {"red": {"amount": 3, "unit": "days"}}}
        }

    policy = policy_with(tmp_path, change)

    def days(level: Level, category: Category, risk: Risk) -> str:
        period = policy.periods[DeadlineKind.CONCLUDE, level, category, risk]
        return f"{period.amount} {period.unit}"

    assert days(Level.STREET, Category.OTHER, Risk.RED) == "3 days"
    assert days(Level.STREET, Category.OTHER, Risk.GREEN) == "1 months"
    assert days(Level.DISTRICT, Category.OTHER, Risk.RED) == "1 months"
    assert days(Level.STREET, Category.LABOUR, Risk.RED) == "15 days"


def test_a_case_climbs_by_parents_and_never_to_a_zone() -> None:
    assert POLICY.area.above(COMMUNITY) == Divisions.shenzhen()[STREET]
    assert POLICY.area.above(CITY) is None
    assert POLICY.area.above("440304999999") is None

    zone, under = "440304000001", "440304000002"
    table = [
        *Divisions.shenzhen().values(),
        Unit(zone, "a zone", Level.STREET, DISTRICT, Kind.ZONE),
        Unit(under, "a community within it", Level.COMMUNITY, zone),
    ]
    shipped = files("lianhu.mediation") / "policy.yaml"
    above = Policy.read(shipped, Divisions(table), Publishers.read()).area.above(under)
    assert above is not None
    assert above.code == DISTRICT


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            lambda w: w["deadlines"]["accept"]["default"]["risks"].pop("red"),
            "no deadline accept at level street for risk red",
        ),
        (lambda w: w["deadlines"].pop("first-visit"), "no deadline first-visit"),
        (
            lambda w: w["deadlines"]["consent"].pop("default"),
            "no deadline consent at level city for risk green",
        ),
        (
            lambda w: w["deadlines"]["consent"]["default"].pop("period"),
            "a source without a period",
        ),
        (
            lambda w: w["deadlines"]["consent"]["default"].pop("source"),
            "deadlines.consent.default.source: Field required",
        ),
        (
            lambda w: w["permissions"]["commands"].pop("accept-case"),
            "nobody may give the command accept-case",
        ),
        (
            lambda w: w["permissions"]["commands"].update({"drop-case": ["chair"]}),
            "the row of permissions drop-case is for no command that officers give to mediation",
        ),
        (
            lambda w: w["permissions"]["commands"].update({"add-note": ["janitor"]}),
            "permissions.commands.add-note.0",
        ),
        (lambda w: w["permissions"]["commands"].update({"add-note": []}), "add-note"),
        (lambda w: w["area"].update(city="440304000000"), "440304000000: a district, not a city"),
        (lambda w: w["area"].update(districts=["440304999999"]), "440304999999: not in the table"),
        (lambda w: w.pop("version"), "version: Field required"),
        (lambda w: w.update(deadline={}), "deadline: Extra inputs"),
    ],
)
def test_a_hole_stops_the_start_and_is_named(
    tmp_path: Path, change: Callable[[Written], object], sentence: str
) -> None:
    with pytest.raises(ValueError, match="the policy of mediation has holes") as hole:
        policy_with(tmp_path, change)
    assert sentence in str(hole.value)


def test_an_unknown_post_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="janitor"):
        policy_with(
            tmp_path,
            lambda w: w["permissions"]["commands"].update({"add-note": ["janitor"]}),
        )


def test_every_hole_is_named_at_once(tmp_path: Path) -> None:
    def change(written: Written) -> None:
        del written["deadlines"]["conclude"]
        del written["permissions"]["commands"]["add-note"]

    with pytest.raises(ValueError, match=r"no deadline conclude; .* command add-note"):
        policy_with(tmp_path, change)


def test_a_file_that_is_no_yaml(tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text("version: [", encoding="utf-8")
    with pytest.raises(ValueError, match="is not YAML"):
        Policy.load(Settings(policy_file=file))
