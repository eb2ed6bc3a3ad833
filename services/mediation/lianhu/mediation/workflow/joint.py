"""Joint response 联动: partners are asked, what they say, and how a silent one is chased 督办."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from lianhu.contracts.faults import Fault
from lianhu.contracts.mediation import (
    CaseEvent,
    PartnerAnswered,
    PartnerAsked,
    PartnerChased,
    PartnerReplied,
)
from lianhu.contracts.publishers import Publisher
from lianhu.contracts.vocabulary import Chase, PartnerSays
from lianhu.eventing.rules import DeadlineReached, Ids
from lianhu.mediation.partners import Matter
from lianhu.mediation.policy import Policy
from lianhu.mediation.workflow.audiences import owner, unit
from lianhu.mediation.workflow.state import ANSWER, RECEIPT, Ask, CaseState, Status
from lianhu.privacy import Sealed

_ORDER = (None, *Chase)


def asked(
    state: CaseState, now: datetime, ids: Ids, policy: Policy, *, again: bool = True
) -> list[PartnerAsked]:
    """What partners are asked now that the case is as it is, and were not asked already.

    `again`: what was answered is asked once more, since the case starts anew.
    """
    matter = _matter(state)
    if matter is None:
        return []
    waiting = {
        ask.authority
        for ask in state.asks
        if ask.matter is matter and not ask.past and not (again and ask.answered)
    }
    receipt_by, answer_by = policy.asked(matter, state.risk, now)
    found = []
    for authority in policy.joint.matters[matter].asks:
        partner = policy.partners.of(authority, state.unit)
        if authority in waiting or partner is None:  # None is a hole, which stops the start
            continue
        found.append(
            PartnerAsked(
                case=state.case,
                ask=ids.opaque(f"{matter}-{authority}"),
                authority=authority,
                to=partner.name,
                matter=matter,
                unit=state.unit,
                level=state.level,
                category=state.category,
                risk=state.risk,
                grounds=state.grounds,
                receipt_by=receipt_by,
                answer_by=answer_by,
                policy_version=policy.version,
                audience=owner(state),
            )
        )
    return found


def _matter(state: CaseState) -> Matter | None:
    if state.minor:
        return Matter.MANDATORY_REPORT
    return Matter.PROTECTION if state.protected else None


def faults_of_reply(
    reply: PartnerAnswered, state: CaseState, publisher: Publisher | None
) -> Iterator[Fault]:
    """Why a partner's word is not taken: it answers what it was asked, and once."""
    if state.status is Status.ERASED:
        yield Fault(path="/case", slug="case-erased")
        return
    ask = state.ask(reply.ask)
    if ask is None:
        yield Fault(path="/ask", slug="unknown-ask")
    elif publisher is None or (publisher.name, publisher.authority) != (ask.to, ask.authority):
        yield Fault(path="/ask", slug="not-asked")
    elif ask.answered:
        yield Fault(path="/ask", slug="already-answered")
    elif reply.says is ask.says or (reply.says is PartnerSays.RECEIVED and ask.says is not None):
        yield Fault(path="/says", slug="already-recorded")


def replied(
    reply: PartnerAnswered, state: CaseState, now: datetime, policy: Policy
) -> list[CaseEvent]:
    """A partner's word that has no faults; that it filed the case gives it its days anew."""
    ask = state.ask(reply.ask)
    if ask is None:
        return []
    ended = state.status is Status.CONCLUDED or ask.past or ask.spent
    filed = reply.says is PartnerSays.FILED and not ended
    return [
        PartnerReplied(
            case=state.case,
            ask=ask.id,
            authority=ask.authority,
            says=reply.says,
            by=reply.by,
            note=None if reply.note is None else Sealed.hold(reply.note),
            answer_by=policy.feedback(state.risk, now) if filed else None,
            audience=owner(state),
        )
    ]


def chased(
    reached: DeadlineReached, state: CaseState, now: datetime, policy: Policy
) -> list[CaseEvent]:
    """A silent partner is chased by the next means. Nothing if it spoke since."""
    owed, _, id_ = reached.kind.partition("-")
    ask = state.ask(id_)
    if ask is None or (reached.kind, reached.due) not in ask.timers():
        return []
    step = Chase(_ORDER[_ORDER.index(ask.chased) + 1])
    next_by = policy.chase(step, now)
    audience = owner(state)
    above = policy.area.above(state.unit)
    if next_by is None and above is not None:
        audience = (*audience, unit(above.code))
    return [
        PartnerChased(
            case=state.case,
            ask=ask.id,
            authority=ask.authority,
            to=_partner(ask, state, policy),
            step=step,
            missed=owed,
            due=reached.due,
            next_by=next_by,
            audience=audience,
        )
    ]


def _partner(ask: Ask, state: CaseState, policy: Policy) -> str:
    """Who is chased: who was asked, or whoever is registered in its place by now."""
    if policy.partners.knows(ask.to, ask.authority):
        return ask.to
    partner = policy.partners.of(ask.authority, state.unit)
    return ask.to if partner is None else partner.name


def waits_for_partner(kind: str) -> bool:
    """Whether a timer of this kind waits for a partner, not for the unit."""
    return kind.startswith((f"{RECEIPT}-", f"{ANSWER}-"))
