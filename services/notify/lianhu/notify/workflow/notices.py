"""What every step of a notice is made of: its id, its head, and the attempts that follow."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from hashlib import sha256
from typing import TypedDict

from lianhu.contracts.base import Internal
from lianhu.contracts.notify import (
    NoticeAttempted,
    NoticeDelivered,
    NoticeEvent,
    NoticeStep,
    NoticeSuppressed,
    VisitAsked,
    WaySought,
)
from lianhu.contracts.parts import CardRef
from lianhu.contracts.vocabulary import AudienceRole, NoticeChannel
from lianhu.notify.digests import PERSONS
from lianhu.notify.entries import ToldPerson
from lianhu.notify.policy import Policy
from lianhu.notify.state import CaseState, Notices
from lianhu.notify.templates import PERSON

PROTECTION = "protection-path"
"""Why the other party is told nothing."""


class Head(TypedDict):
    """What every event about a notice says."""

    case: str | None
    notice: str
    about: str
    about_type: str
    role: AudienceRole
    unit: str | None
    person: str | None
    channel: NoticeChannel | None


def notice_id(about: str, role: AudienceRole, unit: str | None, channel: NoticeChannel) -> str:
    """32 hex digits that follow from event, audience and channel, and from nothing else."""
    return _id(about, role, unit or "", channel)


def person_notice_id(about: str, role: AudienceRole, person: str | None) -> str:
    """The same for a person: in whichever role and by whichever way, they are told once."""
    return _id(about, "person", person) if person else _id(about, "nobody", role)


def head(event: NoticeEvent) -> Head:
    """The head of a further event about the same notice."""
    return Head(
        case=event.case,
        notice=event.notice,
        about=event.about,
        about_type=event.about_type,
        role=event.role,
        unit=event.unit,
        person=event.person,
        channel=event.channel,
    )


def step_of(event: NoticeStep) -> NoticeStep:
    """What is common to all steps, without what only this one says."""
    return NoticeStep(**{name: getattr(event, name) for name in NoticeStep.model_fields})


def attempted(
    step: NoticeStep,
    attempt: int,
    channel: NoticeChannel,
    now: datetime,
    policy: Policy,
    card: CardRef | None = None,
) -> NoticeAttempted:
    """The next attempt by a channel."""
    told = step_of(step).model_copy(update={"channel": channel})
    return NoticeAttempted(
        **dict(told),
        attempt=attempt,
        card=card,
        answer_by=now + policy.channels[channel].answer_within,
    )


def handed(
    step: NoticeStep, attempt: int, channel: NoticeChannel, now: datetime, policy: Policy
) -> Iterator[Internal]:
    """A unit's next attempt. On its screen it stands with this decision, so it is delivered."""
    begun = attempted(step, attempt, channel, now, policy)
    yield begun
    if channel is NoticeChannel.IN_APP:
        yield NoticeDelivered(**head(begun), attempt=attempt)


def way_sought(
    step: NoticeStep, look: int, vain: int, state: Notices, now: datetime, policy: Policy
) -> WaySought | NoticeSuppressed:
    """The card is opened, unless something has come to light meanwhile that forbids it."""
    safe = guarded(step, state, policy)
    if isinstance(safe, NoticeSuppressed):
        return safe
    card = card_of(safe, state)
    if card is None:
        return NoticeSuppressed(**head(safe), reason="no-contact-card")
    return WaySought(
        **dict(safe.model_copy(update={"person": card.person})),
        look=look,
        vain=vain,
        card=card,
        answer_by=now + policy.cards.answer_within,
    )


def card_of(step: NoticeStep, state: Notices) -> CardRef | None:
    """The newest card that is known of the role."""
    return state.cards.get(step.role) if isinstance(state, CaseState) else None


def guarded(step: NoticeStep, state: Notices, policy: Policy) -> NoticeStep | NoticeSuppressed:
    """The step as it may be taken now: what was noted since it began binds it too."""
    step = step_of(step)
    if step.role not in PERSONS or not isinstance(state, CaseState):
        return step
    if (withheld := state.withheld.get(step.role)) is not None:
        return NoticeSuppressed(**head(step), reason=withheld)
    if not state.neutral or not step.template.startswith(f"{PERSON}/"):
        return step
    entry = (policy.rules[step.about_type].tell or {}).get(step.role)
    if not isinstance(entry, ToldPerson) or entry.neutral is None:
        return NoticeSuppressed(**head(step), reason=PROTECTION)
    needs = policy.templates.needs(entry.neutral)
    params = {name: value for name, value in step.params.items() if name in needs}
    return step.model_copy(update={"template": entry.neutral, "params": params})


def unreached(step: NoticeEvent, reason: str, now: datetime, policy: Policy) -> Iterator[Internal]:
    """What follows when nothing reached a person who must be reached: an officer goes there."""
    visit, case = getattr(step, "visit", None), step.case
    if visit is None or case is None or reason in policy.visit.not_for:
        return
    yield VisitAsked(
        case=case,
        about=step.about,
        about_type=step.about_type,
        notice=step.notice,
        person=step.person,
        reason=reason,
        unit=visit,
    )
    known = policy.divisions.get(visit)
    facts = {"case": case, "unit_name": visit if known is None else known.name}
    needs = policy.templates.needs(policy.visit.template)
    for channel in policy.visit.channels:
        asked = NoticeStep(
            case=case,
            notice=notice_id(step.notice, AudienceRole.OWNING_UNIT, visit, channel),
            about=step.notice,
            about_type=VisitAsked.type_,
            role=AudienceRole.OWNING_UNIT,
            unit=visit,
            channel=channel,
            template=policy.visit.template,
            params={name: value for name, value in facts.items() if name in needs},
        )
        yield from handed(asked, 1, channel, now, policy)


def _id(*parts: str) -> str:
    return sha256("\n".join(parts).encode()).hexdigest()[:32]
