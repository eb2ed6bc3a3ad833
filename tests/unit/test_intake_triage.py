"""Triage on what people say: category, risk, and reasons that repeat no narrative."""

from __future__ import annotations

import re
from typing import Any

import pytest

from lianhu.contracts.intake import ReportSubmitted
from lianhu.contracts.parts import Indicators
from lianhu.contracts.vocabulary import Category, Channel, Risk
from lianhu.intake.policy import Policy
from lianhu.intake.settings import Settings
from lianhu.intake.triage import Triage, triage

POLICY = Policy.load(Settings())


def found(narrative: str, category: Category | None = None, **indicators: Any) -> Triage:
    report = ReportSubmitted(
        channel=Channel.WALK_IN,
        narrative=narrative,
        category=category,
        indicators=Indicators(**indicators),
    )
    return triage(report, POLICY)


@pytest.mark.parametrize(
    ("narrative", "category", "risk"),
    [
        ("因为谁洗碗跟老公吵架，想找人评评理", "family-dispute", "green"),
        ("夫妻常为家务吵架，她想离婚", "family-dispute", "green"),
        ("丈夫没有打过我，就是冷暴力", "family-dispute", "yellow"),
        ("老公昨晚又打我了，我不敢回家", "domestic-violence", "orange"),
        ("他没有一天不打我", "domestic-violence", "orange"),
        ("他不是打我就是骂我", "domestic-violence", "orange"),
        ("被告无故殴打原告", "domestic-violence", "orange"),
        ("被告保证不再殴打原告", "domestic-violence", "orange"),
        ("他掐我脖子，说要弄死我", "domestic-violence", "red"),
        ("老公拿菜刀追着我砍", "domestic-violence", "red"),
        ("老公把我打得鼻青脸肿，我怀孕5个月了", "domestic-violence", "red"),
        ("女儿被继父猥亵", "domestic-violence", "red"),
        ("孩子在学校被同学霸凌", "minor", "orange"),
        ("邻居打我孩子，孩子才6岁", "minor", "red"),
        ("有人偷拍我", "personal-rights", "green"),
        ("上司对我性骚扰，发裸照威胁", "personal-rights", "yellow"),
        ("公司拖欠我三个月工资", "labour", "green"),
        ("怀孕后公司把我辞退了", "labour", "green"),
        ("厂里干活手被机器轧断，不给认定工伤", "labour", "green"),
        ("老板动手打了我，还扣工资", "labour", "orange"),
        ("我不想活了，老公出轨", "family-dispute", "red"),
        ("今天天气很好", "other", "green"),
        ("被告向原告借款，约定利息，系夫妻共同债务，出具借条", "other", "green"),
        ("某路发生交通事故，妻子和女儿受伤", "other", "green"),
    ],
)
def test_what_people_say(narrative: str, category: str, risk: str) -> None:
    result = found(narrative)
    assert (result.category, result.risk) == (category, risk)


@pytest.mark.parametrize(
    "narrative",
    [
        "被告没有殴打原告，双方只是离婚",
        "他从来没有对我动过手，想离婚",
        "原告诉称离婚，被告否认实施家庭暴力",
        "离婚案中原告未提供证据证明被告存在家庭暴力",
        "离婚，原告称被告实施家庭暴力不是事实",
        "离婚，被告没有殴打、辱骂、打骂原告",
        "想离婚，如果遇到家暴应该怎么办",
        "离婚时咨询一下家庭暴力的法律规定",
        "离婚后他打我电话，打她手机，总打麻将",
    ],
)
def test_what_is_denied_or_only_supposed_is_no_violence(narrative: str) -> None:
    result = found(narrative)
    assert result.category is Category.FAMILY_DISPUTE
    assert result.risk is Risk.GREEN


@pytest.mark.parametrize(
    "statute",
    [
        "有下列情形之一，导致离婚的，无过错方有权请求损害赔偿：（三）实施家庭暴力的；",
        "应准予离婚：（二）实施家庭暴力或虐待、遗弃家庭成员的；（三）有赌博恶习的。",
        "所称“家庭暴力”，是指行为人以殴打、捆绑、残害等手段造成伤害后果的行为。",
        "依照《中华人民共和国反家庭暴力法》第二条。",
    ],
)
def test_a_statute_is_no_evidence(statute: str) -> None:
    assert found(f"原告请求与被告离婚。{statute}").category is Category.FAMILY_DISPUTE
    assert found(f"被告殴打原告。{statute}").category is Category.DOMESTIC_VIOLENCE


def test_a_threat_counts_although_it_begins_with_if() -> None:
    assert found("他说如果我敢离婚就砍死我全家").risk is Risk.RED


@pytest.mark.parametrize(
    "narrative", ["我老公經常毆打我", "家 暴", "家　暴", "家\u200b暴", "被告經常對原告實施家庭暴力"]
)
def test_script_and_spaces_make_no_difference(narrative: str) -> None:
    assert found(narrative).category is Category.DOMESTIC_VIOLENCE


@pytest.mark.parametrize(
    ("indicators", "risk"),
    [
        ({"strangulation": True}, Risk.RED),
        ({"weapon": True}, Risk.RED),
        ({"physical_violence": True}, Risk.ORANGE),
        ({"physical_violence": True, "pregnancy": True}, Risk.RED),
        ({"physical_violence": True, "prior_police_call": True}, Risk.RED),
        ({"child_present": True}, Risk.YELLOW),
        ({"unpaid_wages": True}, Risk.GREEN),
        ({"strangulation": False}, Risk.GREEN),
    ],
)
def test_indicators_give_the_risk(indicators: dict[str, bool], risk: Risk) -> None:
    assert found("请帮帮我", None, **indicators).risk is risk


def test_a_harmed_minor_comes_before_everything() -> None:
    result = found("老公打我", minor_victim=True, physical_violence=True, unpaid_wages=True)
    assert result.category is Category.MINOR


def test_violence_at_work_is_not_domestic() -> None:
    assert found("老板和工友", physical_violence=True).category is Category.PERSONAL_RIGHTS
    assert found("老公", physical_violence=True).category is Category.DOMESTIC_VIOLENCE


def test_the_reporters_category_wins_over_words_and_the_reason_says_so() -> None:
    result = found("夫妻吵架，想离婚，还遭殴打", category=Category.LABOUR)
    assert result.category is Category.LABOUR
    assert result.reasons[0] == "报告人已选类别：劳动权益"
    assert result.risk is Risk.ORANGE


def test_a_yes_about_violence_narrows_a_given_family_dispute() -> None:
    given = Category.FAMILY_DISPUTE
    assert found("想离婚", given, strangulation=True).category is Category.DOMESTIC_VIOLENCE
    assert found("想离婚", given, pregnancy=True).category is given


def test_reasons_name_indicators_and_words() -> None:
    result = found("王小红住在某小区，丈夫殴打她", strangulation=True)
    assert result.reasons == (
        "风险指标“掐颈”为是，归入家庭暴力",
        "风险指标“掐颈”为是：红",
        "叙述中有“殴打”（身体暴力）：橙",
    )


def test_nothing_recognised_is_said() -> None:
    result = found("天气很好")
    assert result.reasons == ("叙述和指标中未识别出本单位受理的事项", "未发现危险迹象：绿")


def test_reasons_quote_policy_words_only() -> None:
    known = POLICY.meanings.keys() | {rule.title for rule in POLICY.indicators.values()}
    result = found("丈夫李四用菜刀砍伤我，多次报警，离婚，抚养费，孩子", weapon=True, injury=True)
    quoted = {word for reason in result.reasons for word in re.findall("“(.+?)”", reason)}
    assert quoted
    assert quoted <= known | {sign.title for sign in POLICY.signs.values()}
