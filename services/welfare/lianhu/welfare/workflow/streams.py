"""Which streams a message of welfare needs, and how claims, pools and envelopes are called."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from hashlib import sha256

from lianhu.contracts.faults import Poison
from lianhu.contracts.intake import (
    CaseClosed,
    CaseOpened,
    CaseReopened,
    ErasureAsked,
    ErasureOrdered,
    ErasureRestricted,
    ReportJoined,
)
from lianhu.contracts.payments import BouncePayment, ConfirmPayment, FundPool
from lianhu.contracts.welfare import (
    Apply,
    ResubmitApplication,
    WelfareCommand,
)
from lianhu.eventing.rules import (
    DeadlineReached,
    Ids,
    Message,
    Rank,
    State,
    Stream,
    case_stream,
)
from lianhu.jurisdiction import SHANGHAI
from lianhu.privacy import normal
from lianhu.welfare.programmes import Once
from lianhu.welfare.workflow.state import CaseState, EnvelopeState

DAYS = 3
"""An envelope that is begun now is called after today or one of the next days: one that was cut or
is full is followed by the next day's."""

APPLICANT = "applicant"
"""The label under which an applicant is found again."""

CaseEvent = (
    CaseOpened
    | CaseReopened
    | ReportJoined
    | CaseClosed
    | ErasureAsked
    | ErasureOrdered
    | ErasureRestricted
)


def pool_stream(pool: str) -> Stream:
    """The stream of a pool."""
    return Stream(Rank.POOL, pool)


def envelope_stream(envelope: str) -> Stream:
    """The stream of an envelope."""
    return Stream(Rank.ENVELOPE, envelope)


def person_stream(person: str) -> Stream:
    """The stream of a person who applied."""
    return Stream(Rank.PERSON, person)


def claim_stream(claim: str) -> Stream:
    """The stream of a claim."""
    return Stream(Rank.CLAIM, claim)


def case_of(application: str) -> str:
    """The case of an application: `440304-2026-000123` of `440304-2026-000123-a1`."""
    return application.rpartition("-a")[0]


def pool_of(envelope: str) -> str:
    """The pool of an envelope."""
    return envelope.rpartition("/")[0]


def shanghai_day(at: datetime) -> date:
    """The day in Shanghai."""
    return at.astimezone(SHANGHAI).date()


def envelopes(pool: str, at: datetime) -> list[str]:
    """The envelopes with which a payment that is queued now may go, in this order."""
    today = shanghai_day(at)
    return [f"{pool}/{(today + timedelta(days=n)).isoformat()}" for n in range(DAYS)]


def claim(programme: str, once: Once, person: str, at: datetime, cause: str | None) -> str:
    """What keeps one person from having it twice; says nothing of whom or what for."""
    period = {
        Once.LIFETIME: "life",
        Once.YEAR: f"year {shanghai_day(at).year}",
        Once.CAUSE: f"cause {cause}",
    }[once]
    return sha256(f"{programme}\n{period}\n{person}".encode()).hexdigest()[:32]


def identities(message: Message) -> Mapping[str, str]:
    """The applicant, by the identity document; nobody where its number cannot be read."""
    match message.data:
        case Apply(applicant=applicant) | ResubmitApplication(applicant=applicant):
            known = "" if applicant is None else normal.document("resident-id", applicant.document)
            return {APPLICANT: known} if known else {}
        case _:
            return {}


def touches(message: Message, ids: Ids) -> Sequence[Stream]:
    """The streams that a message names by itself, its own first."""
    match message.data:
        case Apply() as apply:
            # which kind of claim a programme knows is its own to say, later
            if not identities(message):
                return (case_stream(apply.case),)
            person = ids.person(APPLICANT)
            return (
                case_stream(apply.case),
                person_stream(person),
                *(
                    claim_stream(claim(apply.programme, once, person, message.time, apply.cause))
                    for once in Once
                    if once is not Once.CAUSE or apply.cause is not None
                ),
            )
        case WelfareCommand(case=case):
            return (case_stream(case),)
        case FundPool(pool=pool):
            return (pool_stream(pool),)
        case ConfirmPayment(envelope=envelope):
            return (envelope_stream(envelope), *_around(pool_of(envelope), message.time))
        case BouncePayment(envelope=envelope, application=application):
            return (
                envelope_stream(envelope),
                case_stream(case_of(application)),
                *_around(pool_of(envelope), message.time),
            )
        case DeadlineReached(stream=stream):
            return (Stream.parse(stream),)
        case _ if isinstance(message.data, CaseEvent):
            return (case_stream(message.data.case),)
        case _:
            raise Poison("not-for-welfare")


def touches_more(message: Message, states: Mapping[Stream, State | None]) -> Sequence[Stream]:
    """What a case's applications and an envelope's payments are tied to."""
    match message.data:
        case DeadlineReached(stream=stream):
            first = Stream.parse(stream)
            return [pool_stream(pool_of(first.key))] if first.kind is Rank.ENVELOPE else []
        case ConfirmPayment(envelope=envelope):
            found = states.get(envelope_stream(envelope))
            items = found.items if isinstance(found, EnvelopeState) else ()
            return [case_stream(case_of(item.application)) for item in items]
        case Apply():
            return ()
        case WelfareCommand(case=case):
            application = getattr(message.data, "application", None)
            return _tied(states.get(case_stream(case)), message.time, application)
        case ErasureOrdered(case=case):
            state = states.get(case_stream(case))
            people = set() if not isinstance(state, CaseState) else state.people
            return [
                *(person_stream(person) for person in sorted(people)),
                *_tied(state, message.time, None),
            ]
        case ErasureRestricted(case=case):
            return _tied(states.get(case_stream(case)), message.time, None)
        case _:
            return ()


def _around(pool: str, at: datetime) -> list[Stream]:
    return [pool_stream(pool), *(envelope_stream(name) for name in envelopes(pool, at))]


def _tied(state: State | None, at: datetime, application: str | None) -> list[Stream]:
    """What may change with these applications of a case; all of them without a name."""
    if not isinstance(state, CaseState):
        return []
    found: list[Stream] = []
    for one in state.applications.values():
        if one.ended or application not in (None, one.id):
            continue
        if one.claim is not None:
            found.append(claim_stream(one.claim))
        if one.pool is not None:
            found.append(pool_stream(one.pool))
            if one.amount is not None:
                found += [envelope_stream(name) for name in envelopes(one.pool, at)]
        if one.envelope is not None:
            found.append(envelope_stream(one.envelope))
    return found
