"""Welfare carried as the engine carries it: every stream, through JSON, within what was touched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, Final, TypeVar

import pytest

from lianhu.contracts import REGISTRY
from lianhu.contracts.base import Internal, Model
from lianhu.contracts.faults import Refused
from lianhu.contracts.intake import CaseClosed, CaseOpened
from lianhu.contracts.money import LedgerAccount, Money, yuan
from lianhu.contracts.parts import Account, CardRef, ContactCard, Officer, Tag
from lianhu.contracts.payments import Bounced, ConfirmPayment, FundPool, PaymentInstructed
from lianhu.contracts.publishers import Publisher, Publishers
from lianhu.contracts.vocabulary import Category, Channel, LegalBasis, Outcome, Path, Risk
from lianhu.contracts.welfare import Applicant, Apply, SignApplication, Verdict
from lianhu.eventing.rules import (
    Deadline,
    DeadlineReached,
    Message,
    Rank,
    State,
    Stream,
    case_stream,
)
from lianhu.jurisdiction import SHANGHAI, Level, Post
from lianhu.privacy import DataKey, Sealed, Sealer
from lianhu.welfare import workflow
from lianhu.welfare.policy import Policy
from lianhu.welfare.settings import Settings
from lianhu.welfare.workflow.state import Application, CaseState, EnvelopeState, PoolState

E = TypeVar("E", bound=Internal)

CASE: Final = "440304-2026-000123"
COMMUNITY: Final = "440304001020"  # 南园社区
STREET: Final = "440304001000"  # 南园街道
DISTRICT: Final = "440304000000"  # 福田区
CITY: Final = "440300000000"  # 深圳市
POOL: Final = f"difficulty-relief/{DISTRICT}/2026"
SHELTER: Final = f"shelter/{DISTRICT}/0000"
POLICY: Final = Policy.load(Settings())
_KEY: Final = DataKey.new(f"case/{CASE}")
UNITS: Final[Mapping[Level, str]] = {
    Level.COMMUNITY: COMMUNITY,
    Level.STREET: STREET,
    Level.DISTRICT: DISTRICT,
    Level.CITY: CITY,
}


def _publisher(name: str) -> Publisher:
    found = Publishers.read().get(name)
    assert found is not None
    return found


OFFICERS: Final = _publisher("officers-shenzhen")
TREASURY: Final = _publisher("treasury-futian")


def at(text: str) -> datetime:
    """A moment in Shenzhen, such as `2026-03-02 10:00`."""
    return datetime.fromisoformat(text).replace(tzinfo=SHANGHAI)


def officer(
    name: str = "clerk-1", post: Post = Post.SOCIAL_WORKER, unit: str = COMMUNITY
) -> Officer:
    """Somebody at a post of a unit."""
    return Officer(officer=name, post=post, unit=unit)


def signer(level: Level, name: str | None = None) -> Officer:
    """Who signs for a level."""
    return officer(name or f"reviewer-{level}", Post.REVIEWER, UNITS[level])


def opened(case: str = CASE, **more: Any) -> CaseOpened:
    """What intake says when a report became a case."""
    fields: dict[str, Any] = {
        "publisher": "hotline-futian",
        "channel": Channel.HOTLINE_12338,
        "category": Category.FAMILY_DISPUTE,
        "risk": Risk.GREEN,
        "reasons": ("no indicator was named",),
        "unit": COMMUNITY,
        "level": Level.COMMUNITY,
        "legal_basis": LegalBasis.CONSENT,
        "card": CardRef(person="a" * 32, version=1, card=Sealed.hold(ContactCard())),
        "account": Sealed.hold(Account(narrative="She has no income.")),
        "policy_version": "intake-test",
        **more,
    }
    return CaseOpened(case=case, **fields)


def closed(case: str = CASE) -> CaseClosed:
    """What intake says when every service is done with the case."""
    return CaseClosed(case=case, outcome=Outcome.SETTLED, unit=COMMUNITY, level=Level.COMMUNITY)


def applicant(document: str = "440304199002281234", **more: Any) -> Applicant:
    """Somebody who is eligible for relief."""
    fields: dict[str, Any] = {
        "name": "王小红",
        "born": "1990-02-28",
        "tags": (Tag(name="poverty"),),
        **more,
    }
    return Applicant(document=document, **fields)


def apply(case: str = CASE, **more: Any) -> Apply:
    """A complete application for difficulty relief."""
    fields: dict[str, Any] = {
        "by": officer(),
        "programme": "difficulty-relief",
        "applicant": applicant(),
        "cause": "winter",
        "papers": ("identity", "difficulty-proof"),
        "payee": "card-0001",
        **more,
    }
    return Apply(case=case, **fields)


def sign(
    level: Level = Level.STREET,
    verdict: Verdict = Verdict.APPROVE,
    number: int = 1,
    case: str = CASE,
    **more: Any,
) -> SignApplication:
    """A level's say."""
    fields: dict[str, Any] = {
        "application": f"{case}-a{number}",
        "by": signer(level),
        "reason": None if verdict is Verdict.APPROVE else "The proof is of last year.",
        **more,
    }
    return SignApplication(case=case, verdict=verdict, **fields)


def fund(fen: int = 10_000_000, pool: str = POOL) -> FundPool:
    """The treasury pays in."""
    return FundPool(pool=pool, amount=Money(amount=yuan(fen)), by="clerk-9")


def answer(
    instructed: PaymentInstructed, bounced: Sequence[str] = (), **more: Any
) -> ConfirmPayment:
    """What the treasury says of an envelope: all was paid but what came back."""
    items = [item.application for item in instructed.items]
    fields: dict[str, Any] = {
        "count": instructed.count,
        "total": Money(amount=yuan(instructed.total)),
        "paid": tuple(item for item in items if item not in bounced),
        "bounced": tuple(Bounced(application=one, reason="no-such-account") for one in bounced),
        **more,
    }
    return ConfirmPayment(envelope=instructed.envelope, by="clerk-9", **fields)


class People:
    """The references of people, as the engine's index gives them."""

    def __init__(self, identities: Mapping[str, str]) -> None:
        self._identities = identities

    def case_number(self) -> str:
        """Never called."""
        raise AssertionError("welfare opens no case")

    def opaque(self, label: str) -> str:
        """Never called."""
        raise AssertionError("welfare draws no id")

    def person(self, label: str) -> str:
        """The same for the same text."""
        return sha256(self._identities[label].encode()).hexdigest()[:32]


class Desk:
    """All streams of welfare: what is handed in happens at once, at the moment that is named."""

    def __init__(self, policy: Policy = POLICY) -> None:
        self.policy = policy
        self.states: dict[Stream, State] = {}
        self.journal: list[tuple[Stream, Internal, datetime]] = []

    def hand(
        self, data: Model, moment: datetime, publisher: Publisher | None = None
    ) -> list[Internal]:
        """Hand in a message; its events, as they are read again from the journal."""
        if publisher is None and type(data).type_ and not isinstance(data, Internal):
            publisher = TREASURY if not hasattr(data, "case") else OFFICERS
        message = Message(
            id="m-1",
            type=data.type_ or "deadline",
            data=data,
            time=moment,
            source="test",
            publisher=publisher,
        )
        ids = People(workflow.identities(message))
        touched = [*workflow.touches(message, ids)]
        states = {stream: self.states.get(stream) for stream in touched}
        more = workflow.touches_more(message, states)
        states |= {stream: self.states.get(stream) for stream in more}
        # the engine asks twice and locks once: what the second asking names must be there already
        assert set(workflow.touches_more(message, states)) <= set(states)
        decision = workflow.decide(message, states, moment, ids, self.policy)
        assert set(decision) <= set(states)
        told: list[Internal] = []
        for stream, events in decision.items():
            for given in events:
                event = _reread(given)
                evolved = workflow.evolve(stream, self.states.get(stream), event, moment)
                if evolved is not None:
                    self.states[stream] = _restored(evolved)
                self.journal.append((stream, event, moment))
                told.append(event)
        return told

    @property
    def case(self) -> CaseState:
        """The case of most tests."""
        found = self.states[case_stream(CASE)]
        assert isinstance(found, CaseState)
        return found

    def application(self, number: int = 1, case: str = CASE) -> Application:
        """An application."""
        found = self.states[case_stream(case)]
        assert isinstance(found, CaseState)
        return found.applications[f"{case}-a{number}"]

    def pool(self, pool: str = POOL) -> dict[str, int]:
        """The balances that are not zero."""
        found = self.states.get(Stream(Rank.POOL, pool))
        balances = found.balances if isinstance(found, PoolState) else {}
        return {account.value: fen for account, fen in balances.items() if fen}

    def envelope(self, name: str) -> EnvelopeState:
        """An envelope."""
        found = self.states[Stream(Rank.ENVELOPE, name)]
        assert isinstance(found, EnvelopeState)
        return found

    def deadlines(self) -> list[tuple[Stream, Deadline]]:
        """Every clock that runs, the earliest first."""
        found = [
            (stream, deadline)
            for stream, state in self.states.items()
            for deadline in workflow.deadlines(stream, state)
        ]
        return sorted(found, key=lambda pair: (pair[1].due, pair[1].kind, pair[0].sort_key))

    def clocks(self) -> dict[str, datetime]:
        """The clocks of the case."""
        return {d.kind: d.due for d in workflow.deadlines(case_stream(CASE), self.case)}

    def fire(
        self, stream: Stream, deadline: Deadline, moment: datetime | None = None
    ) -> list[Internal]:
        """Let a deadline fire, on time or late; afterwards it does not run any more."""
        reached = DeadlineReached(stream=str(stream), kind=deadline.kind, due=deadline.due)
        events = self.hand(reached, moment or deadline.due)
        state = self.states[stream]
        assert deadline not in workflow.deadlines(stream, state), "it is answered"
        return events

    def miss(self, kind: str, late: timedelta = timedelta()) -> list[Internal]:
        """Let the first clock of a kind run out."""
        stream, deadline = next(
            pair for pair in self.deadlines() if pair[1].kind.partition(":")[0] == kind
        )
        return self.fire(stream, deadline, deadline.due + late)

    def folded(self) -> dict[Stream, State]:
        """Every state as a fold over the journal."""
        states: dict[Stream, State] = {}
        for stream, event, moment in self.journal:
            evolved = workflow.evolve(stream, states.get(stream), event, moment)
            if evolved is not None:
                states[stream] = evolved
        return states

    def check(self) -> None:
        """What must hold of money and states whatever happened."""
        assert self.folded() == self.states
        for stream, event, _ in self.journal:
            assert REGISTRY.of(type(event)).private is not stream.kind.published
            units = [one.unit for one in getattr(event, "audience", ()) if one.unit is not None]
            assert len(set(units)) == len(units), "no unit hears of one event twice"
        for state in self.states.values():
            if isinstance(state, PoolState):
                assert sum(state.balances.values()) == 0, "the books balance"
                below = [
                    account
                    for account, fen in state.balances.items()
                    if fen < 0 and account is not LedgerAccount.SOURCE
                ]
                assert below == [], "no account but the source is ever negative"


def only(events: Sequence[Internal], kind: type[E]) -> E:
    """The one event of this type."""
    (found,) = (event for event in events if isinstance(event, kind))
    return found


def instructed(desk: Desk) -> PaymentInstructed:
    """The next envelope is cut."""
    return only(desk.miss("cut"), PaymentInstructed)


def refused(
    desk: Desk, command: Model, moment: str, publisher: Publisher | None = None
) -> list[str]:
    """The faults as `path slug`; nothing happens."""
    before, entries = dict(desk.states), len(desk.journal)
    with pytest.raises(Refused) as refusal:
        desk.hand(command, at(moment), publisher)
    assert desk.states == before
    assert len(desk.journal) == entries
    return [f"{fault.path} {fault.slug}" for fault in refusal.value.faults]


def relief_signed(desk: Desk, upto: Level = Level.CITY) -> list[Internal]:
    """An open, funded case whose application has passed the levels up to this one."""
    desk.hand(fund(), at("2026-03-02 09:00"))
    desk.hand(opened(), at("2026-03-02 09:30"))
    events = desk.hand(apply(), at("2026-03-02 10:00"))
    steps = (
        (Level.STREET, "2026-03-03 10:00"),
        (Level.DISTRICT, "2026-03-09 10:00"),
        (Level.CITY, "2026-03-10 10:00"),
    )
    for level, moment in steps:
        if level.rank <= upto.rank:
            events = desk.hand(sign(level), at(moment))
            if level is Level.STREET and upto is not Level.STREET:
                desk.miss("notice")
    return events


def protected() -> dict[str, Any]:
    """What makes a case one of the protection path."""
    return {
        "path": Path.PROTECTION,
        "category": Category.DOMESTIC_VIOLENCE,
        "risk": Risk.RED,
        "unit": DISTRICT,
        "level": Level.DISTRICT,
        "informed": (STREET, COMMUNITY),
    }


def _reread(event: Internal) -> Internal:
    return type(event).model_validate_json(event.model_dump_json(context=Sealer(_KEY)))


def _restored(state: State) -> State:
    restored = type(state).model_validate_json(state.model_dump_json())
    assert restored == state
    return restored
