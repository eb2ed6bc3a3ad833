"""The suitability gate 适宜性审查: what must not be mediated, who is a minor, and why, in words."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import date, datetime

from lianhu.contracts.intake import ReportSubmitted
from lianhu.contracts.parts import Person
from lianhu.contracts.vocabulary import Category, Ground, Path, Relation, Risk
from lianhu.intake.policy import Policy
from lianhu.intake.state import CaseState
from lianhu.intake.tables import GroundRule
from lianhu.intake.triage import RISK_WORDS, Triage, called
from lianhu.jurisdiction import SHANGHAI
from lianhu.privacy import normal

ADULT = 18
"""未成年人保护法 §2."""
_RESIDENT = re.compile(r"resident-id:[0-9]{6}([0-9]{4})([0-9]{2})([0-9]{2})[0-9]{3}[0-9X]")


@dataclass(frozen=True, slots=True)
class Suitability:
    """What the gate says; `reasons` are sentences in zh-CN for the officer."""

    path: Path
    grounds: tuple[Ground, ...]
    risk: Risk
    minor: bool
    guardian_suspected: bool
    reasons: tuple[str, ...]


def suitability(
    report: ReportSubmitted,
    concerned: Person | None,
    triaged: Triage,
    at: datetime,
    policy: Policy,
) -> Suitability:
    """Total and deterministic. One more yes never takes a ground away."""
    minor = _minor(report, concerned, triaged, at, policy)
    given = {
        ground: list(_whence(rule, minor, triaged, policy))
        for ground, rule in policy.gate.grounds.items()
    }
    alone = Suitability(
        path=Path.MEDIATION,
        grounds=(),
        risk=triaged.risk,
        minor=minor is not None,
        guardian_suspected=report.indicators.guardian_suspected is True,
        reasons=(),
    )
    return _with({ground: "；".join(why) for ground, why in given.items() if why}, alone, policy)


def carried(gate: Suitability, case: CaseState, policy: Policy) -> Suitability:
    """The same as part of a case that is known: what kept the person safe goes on.

    Who had the gate of it overridden decided on what they knew then; intake does not hear of it.
    """
    minor = gate.minor or case.minor
    known = [
        ground
        for ground, rule in policy.gate.grounds.items()
        if (ground in case.grounds or (rule.minor and minor)) and ground not in gate.grounds
    ]
    suspected = gate.guardian_suspected or case.guardian_suspected
    gate = replace(gate, minor=minor, guardian_suspected=suspected)
    return _with(dict.fromkeys(known, "此前已认定"), gate, policy)


def _with(more: Mapping[Ground, str], gate: Suitability, policy: Policy) -> Suitability:
    """With further grounds, and why; path and least risk follow from all of them."""
    grounds = tuple(ground for ground in Ground if ground in gate.grounds or ground in more)
    reasons = [
        f"{policy.gate.grounds[ground].title}（{more[ground]}）：不适宜调解，走保护路径"
        for ground in grounds
        if ground in more
    ]
    risk = gate.risk
    if grounds and risk.rank < policy.gate.least.rank:
        risk = policy.gate.least
        reasons.append(f"走保护路径：{RISK_WORDS[risk]}")
    return replace(
        gate,
        path=Path.PROTECTION if grounds else Path.MEDIATION,
        grounds=grounds,
        risk=risk,
        reasons=(*gate.reasons, *reasons),
    )


def _minor(
    report: ReportSubmitted,
    concerned: Person | None,
    triaged: Triage,
    at: datetime,
    policy: Policy,
) -> str | None:
    """Why the person concerned is taken for a minor 未成年人, in words; None for who is not.

    By the day of birth (in doubt the latest that was written: 2008 is the last of December), by
    the indicator, or because the matter is one of minors. Also whose guardian is suspected, where
    no day of birth shows that they are of age and they do not report for themselves.
    """
    born = None if concerned is None else _born(concerned)
    today = at.astimezone(SHANGHAI).date()
    adult = born is not None and _birthday(born, ADULT) <= today
    young = born is not None and born <= today and not adult
    if young or report.indicators.minor_victim or triaged.category is Category.MINOR:
        return "当事人为未成年人"
    by_self = report.reporter is not None and report.reporter.relation is Relation.SELF
    if report.indicators.guardian_suspected and not adult and not by_self:
        return f"风险指标“{called('guardian_suspected', policy)}”为是，未见已成年"
    return None


def _whence(rule: GroundRule, minor: str | None, triaged: Triage, policy: Policy) -> Iterator[str]:
    """What gives a ground, in words: titles of the policy and nothing else."""
    if rule.minor and minor is not None:
        yield minor
    yes = set(triaged.yes)
    present = yes.union(triaged.told)
    asked = [line for line in rule.asked if yes.issuperset(line)]
    told = [line for line in rule.told if present.issuperset(line) and line not in asked]
    if asked:
        yield f"风险指标{_titles(asked, policy)}为是"
    if told:
        yield f"叙述中有{_titles(told, policy)}"


def _titles(lines: Sequence[Sequence[str]], policy: Policy) -> str:
    names = dict.fromkeys(name for line in lines for name in line)
    return "".join(f"“{called(name, policy)}”" for name in names)


def _born(person: Person) -> date | None:
    """The latest day of birth that what was written leaves open; None where nothing was."""
    written = person.born
    if written is None and person.document is not None:
        number = normal.document(person.document.kind, person.document.number)
        found = _RESIDENT.fullmatch(number)
        written = None if found is None else "-".join(found.groups())
    if written is None:
        return None
    year, month, day = (*(int(part) for part in written.split("-")), 0, 0)[:3]
    return _latest(year, month, day)


def _latest(year: int, month: int, day: int) -> date | None:
    """The day, or the last of its month or year where it is not written or there is none such."""
    if year < 1:
        return None
    known = 1 <= month <= 12
    wanted = day if known and day else 31
    for one in (wanted, *range(31, 27, -1)):
        with suppress(ValueError):
            return date(year, month if known else 12, one)
    return None


def _birthday(born: date, years: int) -> date:
    """Of somebody born on the 29th of February it is the 1st of March in other years."""
    try:
        return born.replace(year=born.year + years)
    except ValueError:
        return date(born.year + years, 3, 1)
