"""The end of a case: closed when mediation is done with it and no welfare application is open."""

from __future__ import annotations

from lianhu.contracts.base import DivisionCode, Internal
from lianhu.contracts.intake import (
    ApplicationNoted,
    CaseClosed,
    ConclusionNoted,
    PersonCaseEnded,
    UnitNoted,
)
from lianhu.contracts.mediation import CaseConcluded
from lianhu.contracts.parts import Audience
from lianhu.contracts.vocabulary import AudienceRole
from lianhu.eventing.rules import Rank, Stream, case_stream
from lianhu.intake.state import CaseState, Conclusion, Status
from lianhu.intake.workflow.reports import Events, person_of
from lianhu.jurisdiction import Level


def concluded(event: CaseConcluded, case: CaseState) -> Events:
    """Mediation is done with it; said again, or of a closed case, it changes nothing.

    Nor does a word that crossed a further report on its way: mediation, which reads the report
    after it, offers the case anew and concludes it again.
    """
    if event.heard is not None and event.heard < case.told:
        return {}
    if case.status is not Status.OPEN or case.conclusion is not None:
        return {}
    said = Conclusion(event.outcome, event.unit, event.level)
    if not case.applications:
        return _closed(case, said, [])
    noted = ConclusionNoted(case=case.case, **said._asdict())
    return {case_stream(case.case): [noted]}


def application(case: CaseState, number: str, *, is_open: bool) -> Events:
    """An application was submitted, or ended: the last one to end may close the case."""
    if is_open == (number in case.applications) or case.status is Status.ERASED:
        return {}
    noted = ApplicationNoted(case=case.case, application=number, open=is_open)
    left = [one for one in case.applications if one != number]
    if not is_open and not left and case.conclusion is not None:
        return _closed(case, case.conclusion, [noted])
    return {case_stream(case.case): [noted]}


def moved(case: CaseState, unit: DivisionCode, level: Level) -> Events:
    """Another unit owns it now."""
    if case.status is not Status.OPEN or case.owner == unit:
        return {}
    return {case_stream(case.case): [UnitNoted(case=case.case, unit=unit, level=level)]}


def _closed(case: CaseState, said: Conclusion, before: list[Internal]) -> Events:
    closed = CaseClosed(
        case=case.case,
        **said._asdict(),
        audience=(
            *(Audience(role=AudienceRole.INFORMED_UNIT, unit=unit) for unit in case.informed),
            person_of(case.path, case.card, case.no_card),
        ),
    )
    events: Events = {case_stream(case.case): [*before, closed]}
    for ref in case.refs:
        events[Stream(Rank.PERSON, ref)] = [PersonCaseEnded(person=ref, case=case.case)]
    return events
