"""Triage 分诊: which category a report is of, how grave it is, and why, in words.

Indicators come first, the words of the narrative second. The risk is the gravest that anything
gives, so that one more yes never lowers it. Reasons name indicators and words of the policy; what
else the narrative says never appears in them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from lianhu.contracts.intake import ReportSubmitted
from lianhu.contracts.vocabulary import Category, Risk
from lianhu.intake.policy import Policy
from lianhu.intake.reading import Found

RISK_WORDS = {Risk.GREEN: "绿", Risk.YELLOW: "黄", Risk.ORANGE: "橙", Risk.RED: "红"}
_SHOWN = 5
"""Words that one reason names."""

_ELSEWHERE = Category.PERSONAL_RIGHTS
"""Violence outside the home."""
_MAY_BE_NARROWED = (Category.FAMILY_DISPUTE, Category.OTHER)
_NARROWS = (Category.DOMESTIC_VIOLENCE, Category.MINOR)


@dataclass(frozen=True, slots=True)
class Triage:
    """What triage found; `reasons` are sentences in zh-CN for the officer."""

    category: Category
    risk: Risk
    reasons: tuple[str, ...]
    yes: tuple[str, ...] = ()
    """Indicators that were answered with yes."""
    told: tuple[str, ...] = ()
    """Signs that the narrative shows, with words enough."""


class _Evidence(NamedTuple):
    """Words of one list that stand in the narrative, the heaviest first, and what they weigh."""

    score: int
    words: tuple[str, ...]

    def quoted(self) -> str:
        return "".join(f"“{word}”" for word in self.words[:_SHOWN])

    def and_(self, other: _Evidence) -> _Evidence:
        return _Evidence(self.score + other.score, self.words + other.words)


_NOTHING = _Evidence(0, ())


def triage(report: ReportSubmitted, policy: Policy) -> Triage:
    """Category, risk and reasons of a report. Total and deterministic.

    A category that the reporter gave stands, except that a yes about violence or a harmed minor
    narrows `family-dispute` and `other`.
    """
    yes = [name for name in policy.indicators if getattr(report.indicators, name) is True]
    lists = _weighed(policy.reader.read(report.narrative), policy)
    scores = {category: _score(category, lists) for category in policy.precedence}
    signs = _signs(lists, scores, policy)
    at_home = _at_home(lists, scores)
    category, why = _category(report.category, yes, at_home, scores, signs, policy)
    risk, whence = _risk(yes, signs, policy)
    return Triage(category, risk, (*why, *whence), tuple(yes), _reached(signs, policy))


def _weighed(found: Found, policy: Policy) -> dict[str, _Evidence]:
    """The evidence of each list of which a word stands in the narrative."""
    lists: dict[str, list[tuple[int, str, int]]] = {}
    for word, times in found.said.items():
        for name, weight, order, at_most, meant in policy.meanings[word]:
            if not meant or word in found.meant:
                lists.setdefault(name, []).append((order, word, weight * min(times, at_most)))
    evidence = {}
    for name, listed in lists.items():
        listed.sort()
        evidence[name] = _Evidence(
            sum([score for _, _, score in listed]), tuple([word for _, word, _ in listed])
        )
    return evidence


def _score(category: Category, lists: Mapping[str, _Evidence]) -> _Evidence:
    evidence = lists.get(f"categories.{category.value}", _NOTHING)
    if "setting.home" in lists:
        return evidence.and_(lists.get(f"at_home.{category.value}", _NOTHING))
    return evidence


def _signs(
    lists: Mapping[str, _Evidence], scores: Mapping[Category, _Evidence], policy: Policy
) -> dict[str, _Evidence]:
    """The signs that count, in the order of the policy."""
    told = {name: lists[key] for name in policy.signs if (key := f"signs.{name}") in lists}
    standing: set[str] = {
        name for name, evidence in told.items() if policy.signs[name].reached(evidence.score)
    }
    standing |= {category for category, evidence in scores.items() if evidence.score}
    return {
        name: evidence
        for name, evidence in told.items()
        if not policy.signs[name].only_with or standing.intersection(policy.signs[name].only_with)
    }


def _at_home(lists: Mapping[str, _Evidence], scores: Mapping[Category, _Evidence]) -> bool:
    """Whether violence is domestic: nothing speaks for another place more than for the home.

    Where nothing is said of a place it is: the error that costs the person less.
    """
    home = scores[Category.FAMILY_DISPUTE].score + lists.get("setting.home", _NOTHING).score
    away = scores[Category.LABOUR].score + lists.get("setting.elsewhere", _NOTHING).score
    return home >= away


def _category(
    given: Category | None,
    yes: Iterable[str],
    at_home: bool,
    scores: Mapping[Category, _Evidence],
    signs: Mapping[str, _Evidence],
    policy: Policy,
) -> tuple[Category, list[str]]:
    asked = {name: policy.indicators[name].category for name in yes}
    indicated = {
        category if at_home or category is not Category.DOMESTIC_VIOLENCE else _ELSEWHERE: name
        for name, category in asked.items()
        if category is not None
    }
    first = next((category for category in policy.precedence if category in indicated), None)
    narrowed = given in _MAY_BE_NARROWED and first in _NARROWS
    if given is not None and not narrowed:
        return given, [f"报告人已选类别：{_title(given, policy)}"]
    if first is not None:
        title = policy.indicators[indicated[first]].title
        return first, [f"风险指标“{title}”为是，归入{_title(first, policy)}"]
    return _by_words(at_home, scores, signs, policy)


def _by_words(
    at_home: bool,
    scores: Mapping[Category, _Evidence],
    signs: Mapping[str, _Evidence],
    policy: Policy,
) -> tuple[Category, list[str]]:
    violence = [name for name in signs if policy.signs[name].violence]
    told = _NOTHING
    for name in violence:
        told = told.and_(signs[name])
    evidence = dict(scores)
    enough = {category: entry.enough for category, entry in policy.categories.items()}
    if any(policy.signs[name].reached(signs[name].score) for name in violence):
        if at_home:
            title = _title(Category.DOMESTIC_VIOLENCE, policy)
            return Category.DOMESTIC_VIOLENCE, [f"叙述中有{told.quoted()}，归入{title}"]
        other = Category.MINOR if "minor_victim" in signs else _ELSEWHERE
        evidence[other] = told.and_(evidence[other])
        enough[other] = 1
    # the first of several that weigh alike, in the order of precedence
    best = max(policy.precedence, key=lambda category: evidence[category].score)
    if evidence[best].score < enough[best]:
        return Category.OTHER, ["叙述和指标中未识别出本单位受理的事项"]
    words = evidence[best].quoted()
    if best is Category.OTHER:
        return best, [f"叙述以{words}为主，未识别出本单位受理的事项"]
    return best, [f"叙述中有{words}，归入{_title(best, policy)}"]


def _reached(signs: Mapping[str, _Evidence], policy: Policy) -> tuple[str, ...]:
    return tuple(name for name in signs if policy.signs[name].reached(signs[name].score))


def _risk(yes: list[str], signs: Mapping[str, _Evidence], policy: Policy) -> tuple[Risk, list[str]]:
    reasons: list[tuple[Risk, str]] = []
    for name in yes:
        rule = policy.indicators[name]
        reasons.append((rule.risk, f"风险指标“{rule.title}”为是"))
    reached = set(_reached(signs, policy))
    for name, evidence in signs.items():
        sign = policy.signs[name]
        risk = sign.risk if name in reached else sign.below
        reasons.append((risk, f"叙述中有{evidence.quoted()}（{sign.title}）"))
    present = reached.union(yes)
    for rule_ in policy.together:
        if present.issuperset(rule_.of):
            titles = "”与“".join(called(name, policy) for name in rule_.of)
            reasons.append((rule_.risk, f"“{titles}”同时存在"))
    raised = [reason for reason in reasons if reason[0] is not Risk.GREEN]
    if not raised:
        return Risk.GREEN, ["未发现危险迹象：绿"]
    raised.sort(key=lambda reason: -reason[0].rank)
    return raised[0][0], [f"{reason}：{RISK_WORDS[risk]}" for risk, reason in raised]


def called(name: str, policy: Policy) -> str:
    """The title of an indicator, or of a sign that is none."""
    return policy.indicators[name].title if name in policy.indicators else policy.signs[name].title


def _title(category: Category, policy: Policy) -> str:
    return policy.categories[category].title
