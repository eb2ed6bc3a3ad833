"""The policy of intake: every hole and every contradiction stops the start and is named."""

from __future__ import annotations

from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import yaml

from lianhu.contracts.vocabulary import Category
from lianhu.intake.policy import Policy
from lianhu.intake.settings import Settings
from lianhu.jurisdiction import Divisions

Change = Callable[[dict[str, Any]], object]


def read(tmp_path: Path, change: Change) -> Policy:
    shipped = files("lianhu.intake") / "policy.yaml"
    written = yaml.safe_load(shipped.read_text(encoding="utf-8"))
    change(written)
    file = tmp_path / "policy.yaml"
    file.write_text(yaml.safe_dump(written, allow_unicode=True), encoding="utf-8")
    return Policy.read(file, Divisions.shenzhen())


def test_the_shipped_policy_has_no_hole() -> None:
    policy = Policy.load(Settings())
    assert policy.categories.keys() == set(Category)
    assert policy.area.city == "440300000000"


def test_a_city_may_have_its_own(tmp_path: Path) -> None:
    policy = read(tmp_path, lambda p: p.update(version="another"))
    assert policy.version == "another"


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda p: p["indicators"].pop("weapon"), "the indicator weapon has no entry"),
        (
            lambda p: p["indicators"].update(dream=p["indicators"]["weapon"]),
            "the risk table has dream, which is no indicator",
        ),
        (lambda p: p["categories"].pop("labour"), "the category labour has no entry"),
        (
            lambda p: p["categories"]["labour"].update(words={}),
            "the category labour has no words",
        ),
        (lambda p: p["signs"]["weapon"].update(words={}), "the sign weapon has no words"),
        (
            lambda p: p["precedence"].remove("minor"),
            "the category minor must stand in the precedence once",
        ),
        (
            lambda p: p["precedence"].append("minor"),
            "the category minor must stand in the precedence once",
        ),
        (lambda p: p["area"].update(districts=["999999999999"]), "999999999999: not in the table"),
        (lambda p: p["area"].update(districts=[]), "area.districts"),
        (lambda p: p["indicators"]["weapon"].pop("risk"), "indicators.weapon.risk"),
        (lambda p: p["indicators"]["weapon"].pop("source"), "indicators.weapon.source"),
        (lambda p: p["indicators"]["weapon"].update(risk="purple"), "indicators.weapon.risk"),
        (
            lambda p: p["signs"]["physical_violence"].update(risk="red"),
            "the sign physical_violence weighs more than a yes",
        ),
        (
            lambda p: p["signs"]["verbal_abuse"].update(below="red"),
            "the sign verbal_abuse weighs more below enough",
        ),
        (
            lambda p: p["signs"]["injury"].update(only_with=["dream"]),
            "the sign injury counts only with dream",
        ),
        (
            lambda p: p["together"][0].update(of=["weapon", "dream"]),
            "has dream, no indicator and no sign",
        ),
        (
            lambda p: p["together"][0].update(of=["weapon", "injury"], risk="green"),
            "weighs less than one of its parts",
        ),
        (
            lambda p: p["signs"]["weapon"]["words"][2].append("持刀"),
            "signs.weapon has 持刀 more than once",
        ),
        (
            lambda p: p["signs"]["weapon"]["words"][2].append("毆打"),
            "signs.weapon: 毆打 is written 殴打",
        ),
        (
            lambda p: p["signs"]["weapon"]["words"][2].append("用…打…我"),
            "用…打…我 may have one gap",
        ),
        (
            lambda p: p["setting"]["home"][1].append("同事"),
            "同事 speaks of home and of elsewhere",
        ),
        (
            lambda p: p["gate"]["grounds"].pop("coercion"),
            "the ground coercion has no entry in the gate",
        ),
        (
            lambda p: p["gate"]["grounds"]["coercion"].update(asked=[], told=[]),
            "nothing gives the ground coercion",
        ),
        (
            lambda p: p["gate"]["grounds"]["coercion"].update(asked=[["dream"]]),
            "the ground coercion asks dream, no indicator",
        ),
        (
            lambda p: p["gate"]["grounds"]["coercion"].update(told=[["coercion", "unpaid_wages"]]),
            "the ground coercion is told by unpaid_wages, no sign",
        ),
        (
            lambda p: p["gate"]["grounds"]["coercion"].update(asked=[[]]),
            "gate.grounds.coercion.asked.0",
        ),
        (
            lambda p: p["gate"]["grounds"]["minor-victim"].update(minor=False),
            "no ground is given by a minor as person concerned",
        ),
        (lambda p: p["gate"]["grounds"]["coercion"].pop("source"), "coercion.source"),
        (lambda p: p["people"].pop("reopen"), "people.reopen"),
        (lambda p: p["people"]["repeat"].update(times=1), "people.repeat.times"),
        (lambda p: p["people"]["kept"].update(days=0), "people.kept.days"),
        (
            lambda p: p["permissions"]["commands"].pop("erase-case"),
            "nobody may give the command erase-case",
        ),
        (
            lambda p: p["permissions"]["commands"].update({"dream": ["chair"]}),
            "the row of permissions dream is for no command that officers give to intake",
        ),
        (lambda p: p.update(surprise=1), "surprise"),
    ],
)
def test_a_hole_is_named(tmp_path: Path, change: Change, sentence: str) -> None:
    with pytest.raises(ValueError, match="the policy of intake has holes") as raised:
        read(tmp_path, change)
    assert sentence in str(raised.value)


def test_no_risk_without_an_indicator_that_leads_to_it(tmp_path: Path) -> None:
    def only_red(policy: dict[str, Any]) -> None:
        for rule in policy["indicators"].values():
            rule["risk"] = "red"

    with pytest.raises(ValueError, match="no indicator leads to the risk yellow"):
        read(tmp_path, only_red)


def test_what_is_not_yaml_is_said(tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text("a: [", encoding="utf-8")
    with pytest.raises(ValueError, match="is not YAML"):
        Policy.read(file, Divisions.shenzhen())
