"""What a unit may hear together, next working morning, instead of one by one 汇总提醒."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta

from lianhu.contracts.base import Model
from lianhu.contracts.intake import CaseClosed, ReportJoined
from lianhu.contracts.mediation import (
    CaseAssigned,
    CaseEscalated,
    ConsentRecorded,
    PartnerChased,
    VisitRecorded,
)
from lianhu.contracts.vocabulary import AudienceRole
from lianhu.contracts.welfare import (
    ApplicationSigned,
    PaymentConfirmed,
    PublicNoticeEnded,
    PublicNoticeStarted,
)
from lianhu.eventing.rules import Rank, Stream
from lianhu.jurisdiction import SHANGHAI, Calendar
from lianhu.notify.facts import audience_of

MAY_WAIT: frozenset[type[Model]] = frozenset(
    {
        ApplicationSigned,
        CaseAssigned,
        CaseClosed,
        CaseEscalated,
        ConsentRecorded,
        PartnerChased,
        PaymentConfirmed,
        PublicNoticeEnded,
        PublicNoticeStarted,
        ReportJoined,
        VisitRecorded,
    }
)
"""The events that a policy may put into a digest. They alone lock the digest's row."""

_ANNOUNCED = Calendar()
"""The working days that are known without a policy."""
_LONGEST = 12
"""Days from an event to its digest at the most, over the longest holidays."""

PERSONS = frozenset({AudienceRole.PERSON_CONCERNED, AudienceRole.OTHER_PARTY})
"""Roles of people; all others are of units."""


def shanghai_day(at: datetime) -> date:
    """The day in Shanghai."""
    return at.astimezone(SHANGHAI).date()


def digest_stream(unit: str, morning: date) -> Stream:
    """What a unit is to hear on one working morning: that of three days, after a weekend."""
    return Stream(Rank.DIGEST, f"{unit}-{morning.isoformat()}")


def digests_of(event: Model, at: datetime) -> Sequence[Stream]:
    """The digests into which an event may go, by its audience and day alone."""
    if type(event) not in MAY_WAIT:
        return ()
    units = [a.unit for a in audience_of(event) if a.role not in PERSONS and a.unit is not None]
    days = _mornings(shanghai_day(at))
    return [digest_stream(unit, day) for unit in dict.fromkeys(units) for day in days]


def _mornings(day: date) -> Sequence[date]:
    """On which of these days its digest leaves is the policy's to say, which may know of notices
    that the calendar library lacks. One day where the library knows all that can be announced."""
    tomorrow = day + timedelta(days=1)
    first = _ANNOUNCED.next_working_day(tomorrow)
    if _ANNOUNCED.is_settled(first):
        return [first]
    return [tomorrow + timedelta(days=n) for n in range(_LONGEST)]
