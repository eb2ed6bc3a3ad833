"""A further report about the same case 并案, or one that is split off: graver, never milder."""

from __future__ import annotations

from datetime import datetime

from lianhu.contracts.intake import CaseSplit, ReportJoined
from lianhu.contracts.mediation import (
    CardRenewed,
    CaseEvent,
    CaseOffered,
    MovedToProtection,
    ReportNoted,
    RiskRaised,
)
from lianhu.contracts.parts import DueAt
from lianhu.contracts.vocabulary import AudienceRole, DeadlineKind, Ground, Path, Risk
from lianhu.eventing.rules import Ids
from lianhu.mediation.policy import Policy
from lianhu.mediation.workflow.audiences import district_above, newer, owner, person, unit
from lianhu.mediation.workflow.evolution import begun, onward
from lianhu.mediation.workflow.joint import asked
from lianhu.mediation.workflow.state import CaseState, Status


def joined(
    report: ReportJoined, state: CaseState, now: datetime, ids: Ids, policy: Policy
) -> list[CaseEvent]:
    """What a further report changes, and that it was heard: the conclusion says so to intake."""
    noted = ReportNoted(case=state.case, number=report.number)
    changes = _changed(report, state, now, ids, policy)
    return [*changes, noted] if report.number > state.heard else changes


def _changed(
    report: ReportJoined, state: CaseState, now: datetime, ids: Ids, policy: Policy
) -> list[CaseEvent]:
    """Nothing where it says what is known."""
    if state.status is Status.CONCLUDED:
        return _offered_anew(report, state, now, ids, policy)
    card, no_card = newer(state, report.card, report.no_card)
    found = _graver(report, state)
    news = found != (state.risk, state.grounds, state.minor)
    turns = report.path is Path.PROTECTION and not state.protected
    if turns and state.overridden:
        turns = news  # two persons knew what was known: only news undoes their word
    if not (news or turns):
        return renewed(report, state)
    risk, grounds, minor = found
    raised = RiskRaised(
        case=state.case,
        risk=risk,
        path=Path.PROTECTION if turns else state.path,
        grounds=grounds,
        minor=minor,
        reasons=report.reasons,
        card=card,
        no_card=no_card,
        accept_by=None if turns else _sooner(state, risk, now, policy),
        policy_version=policy.version,
        audience=() if turns else owner(state),  # the move says it to all it concerns
    )
    known = onward(state, raised, now)
    if not turns:
        return [raised, *asked(known, now, ids, policy, again=False)]
    moved = _moved(known, now, policy)
    return [raised, moved, *asked(onward(known, moved, now), now, ids, policy)]


def renewed(report: ReportJoined | CaseSplit, state: CaseState) -> list[CaseEvent]:
    """How the person may be told, where that is news: a report that is split off takes its own
    card with it, and intake says what is left."""
    card, no_card = newer(state, report.card, report.no_card)
    if (card, no_card) == (state.card, state.no_card):
        return []
    return [CardRenewed(case=state.case, card=card, no_card=no_card)]


def _offered_anew(
    report: ReportJoined, state: CaseState, now: datetime, ids: Ids, policy: Policy
) -> list[CaseEvent]:
    """A report that came while the case was being concluded: it is not closed in with it."""
    card, no_card = newer(state, report.card, report.no_card)
    risk, grounds, minor = _graver(report, state)
    protected = state.protected or report.path is Path.PROTECTION
    path = Path.PROTECTION if protected else Path.MEDIATION
    district = district_above(state.unit, state.level, policy) if protected else None
    to, level = (state.unit, state.level) if district is None else (district.code, district.level)
    offer = CaseOffered(
        case=state.case,
        unit=to,
        level=level,
        category=state.category,
        risk=risk,
        path=path,
        grounds=grounds,
        minor=minor,
        card=card,
        no_card=no_card,
        accept_by=policy.due(DeadlineKind.ACCEPT, level, state.category, risk, now, path),
        policy_version=policy.version,
        audience=(unit(to),),
    )
    return [offer, *asked(begun(state, offer), now, ids, policy)]


def _graver(report: ReportJoined, state: CaseState) -> tuple[Risk, tuple[Ground, ...], bool]:
    """The graver risk of the two, all grounds, and whether it is about a minor."""
    risk = max(report.risk, state.risk, key=lambda one: one.rank)
    grounds = tuple(dict.fromkeys((*state.grounds, *report.grounds)))
    return risk, grounds, state.minor or report.minor or Ground.MINOR_VICTIM in grounds


def _sooner(state: CaseState, risk: Risk, now: datetime, policy: Policy) -> DueAt | None:
    """The clock to accept, if it runs: as the risk has it, and never later than it was."""
    running = state.accept_by
    if running is None:
        return None
    due = policy.due(DeadlineKind.ACCEPT, state.level, state.category, risk, now, state.path)
    return due if due.at < running else DueAt(at=running)


def _moved(state: CaseState, now: datetime, policy: Policy) -> MovedToProtection:
    """To the district; a case that has climbed there or further stays where it is. She is told
    in neutral words, or visited: how she was to be told before may not be safe any more."""
    district = district_above(state.unit, state.level, policy)
    to, level = (state.unit, state.level) if district is None else (district.code, district.level)
    accept_by = policy.due(
        DeadlineKind.ACCEPT, level, state.category, state.risk, now, Path.PROTECTION
    )
    her = person(state.card, state.no_card, protected=True)
    if district is None:
        running = state.accept_by
        if running is not None and running < accept_by.at:
            accept_by = DueAt(at=running)
        audience = (*owner(state), her)
    else:
        branch = policy.area.divisions.branch(state.unit)
        between = [
            one for one in branch[1:] if level.is_above(one.level) and policy.area.owner(one) is one
        ]
        audience = (
            unit(state.unit, AudienceRole.UNIT_LEFT),
            unit(to, AudienceRole.UNIT_REACHED),
            *(unit(one.code, AudienceRole.INFORMED_UNIT) for one in between),
            her,
        )
    return MovedToProtection(
        case=state.case,
        grounds=state.grounds,
        from_unit=state.unit,
        to_unit=to,
        to_level=level,
        risk=state.risk,
        accept_by=accept_by,
        policy_version=policy.version,
        audience=audience,
    )
