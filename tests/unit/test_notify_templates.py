"""The texts of notices as an officer reads them, and what may be told of an event at all."""

from __future__ import annotations

import pytest

from lianhu.contracts import REGISTRY
from lianhu.contracts.intake import CaseOpened
from lianhu.contracts.mediation import (
    AgreementReached,
    CaseAccepted,
    CaseAssigned,
    CaseOffered,
    ConsentRecorded,
)
from lianhu.contracts.vocabulary import DeadlineKind, Language
from lianhu.contracts.welfare import ApplicationSigned
from lianhu.notify.entries import Told, ToldPerson
from lianhu.notify.facts import facts_of, tells, vocabulary_name
from lianhu.notify.policy import DIGEST_FACTS, VISIT_FACTS, Policy
from lianhu.notify.settings import Settings
from lianhu.notify.templates import UNIT_LANGUAGES, TemplateFault, languages_of

POLICY = Policy.load(Settings())
TEMPLATES = POLICY.templates
OFFERED = {
    "accept_by": "2026-03-05T17:00+08:00",
    "accept_by_provisional": "no",
    "case": "440304-2026-000123",
    "category": "category.family-dispute",
    "level": "level.street",
    "risk": "risk.yellow",
    "unit_name": "华强北街道",
}
ENTRIES = [entry for rule in POLICY.rules.values() for entry in (rule.tell or {}).values()]
OF_UNITS = sorted(
    {entry.template for entry in ENTRIES if isinstance(entry, Told)}
    | {POLICY.visit.template, POLICY.digest.template}
)
OF_PEOPLE = sorted(
    {
        name
        for entry in ENTRIES
        if isinstance(entry, ToldPerson)
        for name in (entry.person, entry.neutral)
        if name
    }
)


def filled(name: str, language: Language) -> str:
    """The text filled with the first sample of every fact of whatever uses it."""
    used = [facts_of(c.model) for c in REGISTRY.read_by("notify") if tells(c.model)]
    for facts in (VISIT_FACTS, DIGEST_FACTS, *used):
        if TEMPLATES.needs(name) <= facts.keys():
            params = {need: facts[need].samples[0] for need in TEMPLATES.needs(name)}
            return TEMPLATES.text(name, language, params).body
    raise AssertionError(f"no event can fill {name}")


def test_the_offer_in_chinese() -> None:
    text = TEMPLATES.text("case-offered", Language.ZH_CN, OFFERED)
    assert text.subject == "请受理个案 440304-2026-000123"
    assert text.body.splitlines()[:2] == [
        "华强北街道（街道）：个案 440304-2026-000123 已派至贵单位。"
        "类别：婚姻家庭纠纷；风险等级：黄色。",
        "请于 2026年3月5日17:00 前受理。",
    ]


def test_the_offer_in_english() -> None:
    text = TEMPLATES.text("case-offered", Language.EN, OFFERED)
    assert text.subject == "Please accept case 440304-2026-000123"
    assert "Please accept it by 2026-03-05 17:00 (Beijing time)." in text.body.splitlines()
    assert "provisional" not in text.body


@pytest.mark.parametrize(
    ("language", "word"), [(Language.ZH_CN, "暂定"), (Language.EN, "provisional")]
)
def test_a_provisional_date_is_said_to_be_one(language: Language, word: str) -> None:
    params = {**OFFERED, "accept_by_provisional": "yes"}
    assert word in TEMPLATES.text("case-offered", language, params).body


def test_missing_visit_steps_are_listed_only_where_some_are() -> None:
    params = {
        "case": "440304-2026-000123",
        "form": "agreement-form.oral",
        "missing_steps": "visit-step.find-risks,visit-step.support",
    }
    assert (
        "尚缺：摸排隐患、后续支持。"
        in TEMPLATES.text("agreement-reached", Language.ZH_CN, params).body
    )
    assert (
        "find risks, follow-up support."
        in TEMPLATES.text("agreement-reached", Language.EN, params).body
    )
    none_missing = TEMPLATES.text("agreement-reached", Language.EN, {**params, "missing_steps": ""})
    assert "steps" not in none_missing.body


def test_every_template_is_used_by_a_rule() -> None:
    assert sorted(TEMPLATES.names) == sorted([*OF_UNITS, *OF_PEOPLE])


@pytest.mark.parametrize("name", OF_PEOPLE)
def test_every_text_for_people_stands_in_each_language_and_promises_no_next_step_of_theirs(
    name: str,
) -> None:
    assert languages_of(name) == tuple(Language)
    for language in Language:
        assert TEMPLATES.has(name, language)
        assert filled(name, language)


def test_a_text_in_traditional_characters_has_none_that_are_simplified() -> None:
    simplified = set("您们这个请联络编号员将与见系统办级转为处办结达议动动间问题应时务长门开关补证")
    traditional = set("您請聯絡編號員將與見系統辦級轉為處結達議動間問題應時務長門開關補證")
    for name in OF_PEOPLE:
        assert not set(filled(name, Language.ZH_HANT)) & (simplified - traditional), name


@pytest.mark.parametrize("name", OF_UNITS)
def test_every_text_ends_with_what_comes_next_in_both_languages(name: str) -> None:
    for language, next_ in zip(UNIT_LANGUAGES, ("下一步：", "Next: "), strict=True):
        assert TEMPLATES.has(name, language)
        assert filled(name, language).splitlines()[-1].startswith(next_)


def test_a_value_that_is_missing_is_a_fault_and_never_a_gap() -> None:
    params = {name: value for name, value in OFFERED.items() if name != "risk"}
    with pytest.raises(TemplateFault, match=r"en/case-offered\.txt: UndefinedError"):
        TEMPLATES.text("case-offered", Language.EN, params)


def test_a_template_that_a_release_dropped_is_a_fault() -> None:
    with pytest.raises(TemplateFault, match=r"zh-CN/case-lost\.txt is not there"):
        TEMPLATES.text("case-lost", Language.ZH_CN, {})


def test_the_facts_of_an_offer() -> None:
    assert set(facts_of(CaseOffered)) == {
        "accept_by",
        "accept_by_provisional",
        "case",
        "category",
        "grounds",
        "level",
        "minor",
        "path",
        "risk",
        "unit",
        "unit_name",
    }


def test_what_an_event_may_leave_open_is_an_empty_fact() -> None:
    facts = facts_of(ApplicationSigned)
    assert facts["next_unit"].samples == ("", "440304000000")
    assert facts["sign_by"].samples[0] == ""
    assert facts["amount"].samples == ("", "1234.50")
    assert facts["application"].samples == ("440304-2026-000123-a1",)
    assert not {"by", "reason", "payee", "applicant"} & facts.keys()


def test_nothing_sealed_no_free_text_and_no_officer_is_a_fact() -> None:
    opened = facts_of(CaseOpened).keys()
    assert {"case", "category", "channel", "level", "risk", "unit", "unit_name"} <= opened
    private = {"account", "audience", "card", "no_card", "publisher", "reasons", "tags"}
    assert private <= CaseOpened.model_fields.keys()
    assert not private & opened
    assert set(facts_of(CaseAssigned)) == {"case"}
    assert set(facts_of(AgreementReached)) == {"case", "form", "missing_steps"}
    assert set(facts_of(ConsentRecorded)) == {"case", "consents", "party"}
    assert not {"by", "mediator", "note"} & set(facts_of(CaseAccepted))


def test_a_vocabulary_is_named_as_its_words_are() -> None:
    assert vocabulary_name(DeadlineKind) == "deadline-kind"
