"""The suitability gate: what is not mediated, where it starts, who is a minor, and why in words."""

from __future__ import annotations

from typing import Any

import pytest

from lianhu.contracts.intake import CaseOpened
from lianhu.contracts.parts import Indicators
from lianhu.contracts.vocabulary import AudienceRole, Ground, Path, Risk
from lianhu.jurisdiction import Divisions, Kind, Level
from tests.intake_desk import (
    CITY,
    COMMUNITY,
    DISTRICT,
    GRID,
    HARMLESS,
    POLICY,
    START,
    STREET,
    Desk,
)


def opened(**fields: Any) -> CaseOpened:
    return Desk().opens(**fields)


def on(**indicators: bool) -> CaseOpened:
    return opened(indicators=indicators)


@pytest.mark.parametrize(
    ("indicators", "grounds"),
    [
        ({"physical_violence": True, "injury": True}, {"violence-with-injury"}),
        ({"physical_violence": True}, set()),
        ({"injury": True}, set()),
        ({"threat_to_kill": True}, {"grave-danger"}),
        ({"weapon": True}, {"grave-danger"}),
        ({"weapon": True, "injury": True}, {"grave-danger", "violence-with-injury"}),
        ({"strangulation": True}, {"grave-danger"}),
        ({"order_in_force": True}, {"order-in-force"}),
        ({"coercion": True}, {"coercion"}),
        ({"sexual_offence": True}, {"sexual-offence"}),
        ({"minor_victim": True}, {"minor-victim"}),
        ({"with_police_or_court": True}, {"with-police-or-court"}),
        ({"guardian_suspected": True}, {"minor-victim"}),
        ({"child_present": True, "pregnancy": True, "prior_police_call": True}, set()),
        (dict.fromkeys(Indicators.model_fields, False), set()),
    ],
)
def test_indicators_give_the_grounds(indicators: dict[str, bool], grounds: set[str]) -> None:
    event = on(**indicators)
    assert set(event.grounds) == grounds
    assert event.path is (Path.PROTECTION if grounds else Path.MEDIATION)


@pytest.mark.parametrize(
    ("narrative", "grounds"),
    [
        (HARMLESS, set()),
        ("老公昨晚又打我了，我不敢回家", set()),
        ("老公把我打得鼻青脸肿", {"violence-with-injury"}),
        ("他掐我脖子，说要弄死我", {"grave-danger"}),
        ("老公拿菜刀追着我砍", {"grave-danger"}),
        ("丈夫殴打我，还威胁我的家人", {"coercion"}),
        ("想离婚，他总纠缠我", set()),
        ("丈夫强行与我发生性关系", {"sexual-offence"}),
        ("邻居打我孩子，孩子才6岁", {"minor-victim"}),
        ("前夫违反人身安全保护令，到我单位门口", {"order-in-force"}),
        ("我想咨询怎么申请人身安全保护令，想离婚", set()),
        ("丈夫没有拿刀，也没有打我，只是吵架想离婚", set()),
        ("丈夫吵架后我报了警，派出所来过", set()),
    ],
)
def test_where_nobody_was_asked_the_words_give_them(narrative: str, grounds: set[str]) -> None:
    assert set(opened(narrative=narrative).grounds) == grounds


def test_a_channel_is_no_ground_by_itself() -> None:
    desk = Desk()
    assert desk.opens(GRID, channel="police").grounds == ()
    asked = desk.opens(GRID, channel="police", indicators={"with_police_or_court": True})
    assert asked.grounds == (Ground.WITH_POLICE_OR_COURT,)


def test_it_starts_at_the_district_and_those_below_that_the_place_names_are_informed() -> None:
    def where(division: str) -> tuple[str, Level, tuple[str, ...]]:
        event = opened(indicators={"weapon": True}, place={"division": division})
        informed = [a.unit for a in event.audience if a.role is AudienceRole.INFORMED_UNIT]
        assert tuple(informed) == event.informed
        return event.unit, event.level, event.informed

    assert where(COMMUNITY) == (DISTRICT, Level.DISTRICT, (STREET, COMMUNITY))
    assert where(STREET) == (DISTRICT, Level.DISTRICT, (STREET,))
    assert where(DISTRICT) == (DISTRICT, Level.DISTRICT, ())
    assert where(CITY) == (CITY, Level.CITY, ())


def test_a_zone_is_not_informed() -> None:
    divisions = Divisions.shenzhen()
    zones = [unit for unit in divisions.descendants(DISTRICT) if unit.kind is Kind.ZONE]
    assert zones
    for zone in zones:
        event = opened(indicators={"weapon": True}, place={"division": zone.code})
        assert event.unit == DISTRICT
        assert all(divisions[unit].kind is Kind.UNIT for unit in event.informed)


def test_nothing_on_the_protection_path_is_below_orange() -> None:
    event = on(with_police_or_court=True)
    assert event.risk is Risk.ORANGE
    assert "走保护路径：橙" in event.reasons
    assert on(weapon=True).risk is Risk.RED
    assert on().risk is Risk.GREEN


def test_the_reasons_say_what_gave_a_ground() -> None:
    event = opened(indicators={"physical_violence": True}, narrative="王小红住在某小区，被打得骨折")
    assert "暴力致伤（叙述中有“身体暴力”“受伤”）：不适宜调解，走保护路径" in event.reasons
    asked = on(physical_violence=True, injury=True)
    assert "暴力致伤（风险指标“身体暴力”“受伤”为是）：不适宜调解，走保护路径" in asked.reasons
    assert not any("王小红" in reason for reason in event.reasons)


@pytest.mark.parametrize(
    ("born", "minor"),
    [
        ("2008-03-02", False),  # eighteen today, in Shanghai
        ("2008-03-03", True),
        ("2008-02-29", False),
        ("2008-03", True),  # in doubt a minor: the last of March
        ("2008-02", False),
        ("2008", True),
        ("2007", False),
        ("2008-02-31", False),  # no such day: the last there is
        ("2008-13-01", True),  # no such month: the last of the year
        ("2026-03-03", False),  # not born yet
        ("1990-05-01", False),
    ],
)
def test_a_minor_is_born_less_than_eighteen_years_before(born: str, minor: bool) -> None:
    assert START.hour == 3, "eleven o'clock in Shanghai"
    event = opened(concerned={"born": born})
    assert event.minor is minor
    assert (Ground.MINOR_VICTIM in event.grounds) is minor


def test_the_day_is_that_of_shanghai() -> None:
    desk = Desk()
    desk.now = desk.now.replace(hour=15, minute=50)  # ten to midnight in Shanghai
    assert desk.opens(concerned={"born": "2008-03-03"}).minor
    desk.now = desk.now.replace(hour=16, minute=10)
    assert not desk.opens(concerned={"born": "2008-03-03"}).minor


def test_who_is_born_on_the_29th_of_february_is_of_age_on_the_1st_of_march() -> None:
    desk = Desk()
    desk.now = desk.now.replace(year=2022, month=2, day=28)
    assert desk.opens(concerned={"born": "2004-02-29"}).minor
    desk.now = desk.now.replace(month=3, day=1)
    assert not desk.opens(concerned={"born": "2004-02-29"}).minor


def test_an_identity_number_tells_the_day_of_birth_too() -> None:
    assert opened(concerned={"document": {"number": "440304201501010017"}}).minor
    assert not opened(concerned={"document": {"number": "440304199001010017"}}).minor
    passport = {"kind": "passport", "number": "440304201501010017"}
    assert not opened(concerned={"document": passport}).minor


def test_who_reports_for_themselves_is_the_person_concerned() -> None:
    born = {"born": "2012-01-01", "relation": "self"}
    assert opened(reporter=born).minor
    assert not opened(reporter=born | {"relation": "family"}).minor


def test_a_matter_of_minors_is_a_minors() -> None:
    assert opened(category="minor").minor
    assert on(minor_victim=True).minor
    assert "未成年人受害（当事人为未成年人）：不适宜调解，走保护路径" in (
        opened(category="minor").reasons
    )


def test_a_suspected_guardian_is_named() -> None:
    event = opened(concerned={"born": "2015"}, indicators={"guardian_suspected": True})
    assert event.guardian_suspected
    assert event.risk is Risk.RED
    assert not on(guardian_suspected=False).guardian_suspected


@pytest.mark.parametrize(
    ("said", "minor"),
    [
        ({}, True),
        ({"concerned": {"name": "王天", "phone": "13800138000"}}, True),
        ({"concerned": {"born": "2015"}}, True),
        ({"concerned": {"born": "1990-05-01"}}, False),
        ({"concerned": {"document": {"number": "440304199001010017"}}}, False),
        ({"reporter": {"relation": "family"}}, True),
        ({"reporter": {"relation": "self"}}, False),
        ({"reporter": {"relation": "self", "born": "2012-01-01"}}, True),
    ],
)
def test_who_has_a_guardian_and_is_not_known_to_be_of_age_is_a_minor(
    said: dict[str, Any], minor: bool
) -> None:
    event = opened(indicators={"guardian_suspected": True}, safe_contact={}, **said)
    assert event.minor is minor
    assert event.path is (Path.PROTECTION if minor else Path.MEDIATION)
    assert (event.no_card == "guardian-is-suspect") is minor


def test_the_reasons_say_whether_a_minor_is_known_or_only_supposed() -> None:
    supposed = "未成年人受害（风险指标“监护人涉嫌”为是，未见已成年）：不适宜调解，走保护路径"
    assert supposed in on(guardian_suspected=True).reasons
    known = opened(concerned={"born": "2015"}, indicators={"guardian_suspected": True})
    assert "未成年人受害（当事人为未成年人）：不适宜调解，走保护路径" in known.reasons
    assert supposed not in known.reasons


def test_every_ground_of_the_policy_has_its_source() -> None:
    assert POLICY.gate.grounds.keys() == set(Ground)
    assert all(rule.source for rule in POLICY.gate.grounds.values())
