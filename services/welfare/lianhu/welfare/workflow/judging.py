"""Whether somebody is eligible for a programme, for how much, and what keeps it at once."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

from lianhu.contracts.faults import Fault
from lianhu.contracts.vocabulary import Path
from lianhu.contracts.welfare import Applicant
from lianhu.jurisdiction import Period, Unit
from lianhu.privacy import normal
from lianhu.welfare.expressions import Facts, age
from lianhu.welfare.programmes import Programme, Step
from lianhu.welfare.workflow.state import Application, CaseState
from lianhu.welfare.workflow.streams import shanghai_day
from lianhu.welfare.workflow.turn import Turn

_ADULT = 18
"""未成年人保护法 §2."""


def facts(turn: Turn, case: CaseState, applicant: Applicant, amount: int | None) -> Facts:
    """What expressions are asked with."""
    today = shanghai_day(turn.message.time)
    return Facts(
        applicant=applicant,
        today=today,
        tags=frozenset(tag.name for tag in case.tags),
        amount=amount,
        category=case.category,
        risk=case.risk,
        path=case.path,
        minor=case.minor or age(applicant.born, today) < _ADULT,
    )


def unreadable(turn: Turn, applicant: Applicant) -> Iterator[Fault]:
    """What of an applicant cannot be read."""
    try:
        born = date.fromisoformat(applicant.born)
    except ValueError:
        born = date.max
    if born > shanghai_day(turn.message.time):
        yield Fault(path="/applicant/born", slug="implausible-date")
    if not normal.document("resident-id", applicant.document):
        yield Fault(path="/applicant/document", slug="unreadable-document")


def not_eligible(programme: Programme, known: Facts) -> Iterator[Fault]:
    """Every condition that does not hold."""
    for slug in programme.refused_as(known):
        yield Fault(path="/applicant", slug=slug)
    if programme.bands and programme.ceiling(known) is None:
        yield Fault(path="/applicant", slug="no-band-applies")


def steps(turn: Turn, case: CaseState, programme: Programme) -> list[tuple[Step, Unit]]:
    """The levels that sign an application of this case, from below, each with its unit."""
    found = ((step, turn.policy.unit_at(case.unit, step.level)) for step in programme.chain)
    return [(step, unit) for step, unit in found if unit is not None]


def within(turn: Turn, one: Application) -> Period:
    """How long the level has at which an application stands."""
    programme = turn.programme(one)
    if one.emergency and programme.emergency is not None:
        return programme.emergency.help
    step = programme.step(one.level)
    return programme.within if step is None else step.within


def withheld(programme: Programme, case: CaseState, minor: bool, emergency: bool) -> str | None:
    """Why nothing of it is shown to the public."""
    if case.path is Path.PROTECTION:
        return "victim"
    if case.minor or minor:
        return "minor"
    if emergency:
        return "emergency"
    return None if programme.notice is not None else "programme-has-none"


def masked(name: str) -> str:
    """What a public notice shows of a name: `王**`."""
    return f"{name[:1]}**"
