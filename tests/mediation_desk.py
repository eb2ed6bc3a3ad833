"""One case in mediation, carried as the engine carries it: events and states pass through JSON."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from hashlib import sha256
from typing import Any, Final

from lianhu.contracts.base import Internal, Model
from lianhu.contracts.faults import Slug
from lianhu.contracts.intake import CaseClosed, CaseOpened, CaseReopened, Found, ReportJoined
from lianhu.contracts.parts import Account, CardRef, ContactCard, Officer
from lianhu.contracts.publishers import Publisher, Publishers
from lianhu.contracts.vocabulary import (
    Category,
    Channel,
    Ground,
    LegalBasis,
    NoticeChannel,
    Outcome,
    Path,
    Risk,
)
from lianhu.eventing.rules import Deadline, DeadlineReached, Message, Stream, case_stream
from lianhu.jurisdiction import SHANGHAI, Level, Post
from lianhu.mediation import workflow
from lianhu.mediation.policy import Policy
from lianhu.mediation.settings import Settings
from lianhu.mediation.workflow import CaseState
from lianhu.privacy import DataKey, Sealed, Sealer

CASE: Final = "440304-2026-000123"
COMMUNITY: Final = "440304001020"  # 南园社区
STREET: Final = "440304001000"  # 南园街道
DISTRICT: Final = "440304000000"  # 福田区
CITY: Final = "440300000000"  # 深圳市
LADDER: Final = (
    (COMMUNITY, Level.COMMUNITY),
    (STREET, Level.STREET),
    (DISTRICT, Level.DISTRICT),
    (CITY, Level.CITY),
)
POLICY: Final = Policy.load(Settings())
KEY: Final = DataKey.new(f"case/{CASE}")


def system(name: str) -> Publisher:
    """A publisher of the demo."""
    found = Publishers.read().get(name)
    assert found is not None
    return found


OFFICERS: Final = system("officers-shenzhen")
"""The officers' system of the whole city."""
POLICE: Final = system("police-futian")
CIVIL_AFFAIRS: Final = system("civil-affairs-futian")


def at(text: str) -> datetime:
    """A moment in Shenzhen, such as `2026-03-02 10:00`."""
    return datetime.fromisoformat(text).replace(tzinfo=SHANGHAI)


def officer(post: Post = Post.MEDIATOR, unit: str = COMMUNITY, ref: str = "officer-7") -> Officer:
    """Somebody at a post of a unit."""
    return Officer(officer=ref, post=post, unit=unit)


def card(version: int = 1) -> CardRef:
    """A contact card, closed as intake closes it."""
    way = ContactCard(email="lin@example.org", channels=(NoticeChannel.EMAIL,))
    ref = CardRef(person="1" * 32, version=version, card=Sealed.hold(way))
    return CardRef.model_validate_json(ref.model_dump_json(context=Sealer(KEY)))


def _opening(
    risk: Risk,
    category: Category,
    unit: str,
    level: Level,
    grounds: tuple[Ground, ...],
    informed: tuple[str, ...],
    minor: bool,
    known: CardRef | None,
    no_card: Slug | None,
) -> dict[str, Any]:
    return {
        "case": CASE,
        "publisher": "hotline-futian",
        "channel": Channel.HOTLINE_12338,
        "category": category,
        "risk": risk,
        "reasons": ("no indicator was named",),
        "path": Path.PROTECTION if grounds else Path.MEDIATION,
        "grounds": grounds,
        "minor": minor,
        "unit": unit,
        "level": level,
        "informed": informed,
        "card": known,
        "no_card": no_card,
        "legal_basis": LegalBasis.CONSENT,
        "account": Sealed.hold(Account(narrative="They quarrel about the flat.")),
        "policy_version": "intake-test",
    }


def opened(
    risk: Risk = Risk.GREEN,
    category: Category = Category.FAMILY_DISPUTE,
    unit: str = COMMUNITY,
    level: Level = Level.COMMUNITY,
    *,
    known: CardRef | None = None,
    no_card: Slug | None = None,
    minor: bool = False,
) -> CaseOpened:
    """What intake says when a report became a case that may be mediated."""
    return CaseOpened(**_opening(risk, category, unit, level, (), (), minor, known, no_card))


def protected(
    *grounds: Ground,
    risk: Risk = Risk.RED,
    known: CardRef | None = None,
    no_card: Slug | None = None,
    minor: bool = False,
) -> CaseOpened:
    """What intake says when it must not be mediated; by default, violence that injured."""
    return CaseOpened(
        **_opening(
            risk,
            Category.DOMESTIC_VIOLENCE,
            DISTRICT,
            Level.DISTRICT,
            grounds or (Ground.VIOLENCE_WITH_INJURY,),
            (STREET, COMMUNITY),
            minor,
            known,
            no_card,
        )
    )


def reopened(first: CaseOpened) -> CaseReopened:
    """What intake says when a new report about a closed case came."""
    return CaseReopened.model_validate(first.model_dump())


def joined(
    *grounds: Ground,
    risk: Risk = Risk.GREEN,
    known: CardRef | None = None,
    no_card: Slug | None = None,
    minor: bool = False,
    number: int = 0,
) -> ReportJoined:
    """What intake says when a further report about an open case came."""
    alone = opened().model_dump() | {"risk": risk, "grounds": grounds}
    return ReportJoined(
        case=CASE,
        joined="2" * 32,
        number=number,
        publisher="grid-futian",
        channel=Channel.GRID,
        risk=risk,
        reasons=("a neighbour heard blows",),
        path=Path.PROTECTION if grounds else Path.MEDIATION,
        grounds=grounds,
        minor=minor,
        unit=COMMUNITY,
        card=known,
        no_card=no_card,
        alone=Found.model_validate(alone),
        account=Sealed.hold(Account(narrative="It was loud again.")),
        policy_version="intake-test",
    )


def closed() -> CaseClosed:
    """What intake says when every service is done with the case."""
    return CaseClosed(case=CASE, outcome=Outcome.SETTLED, unit=COMMUNITY, level=Level.COMMUNITY)


class Drawn:
    """Ids for one message; a case number or a person is none of mediation's business."""

    def __init__(self, message: int) -> None:
        self.message = message

    def case_number(self) -> str:
        """Never called."""
        raise AssertionError("mediation numbers no case")

    def opaque(self, label: str) -> str:
        """The same for the same label."""
        return sha256(f"{self.message} {label}".encode()).hexdigest()[:32]

    def person(self, label: str) -> str:
        """Never called."""
        raise AssertionError("mediation knows nobody")


class Desk:
    """The stream of one case: what is handed in happens at once, at the moment that is named."""

    def __init__(self, policy: Policy = POLICY) -> None:
        self.policy = policy
        self.stream: Stream = case_stream(CASE)
        self.state: CaseState | None = None
        self.journal: list[Internal] = []
        self.moments: list[datetime] = []
        """When each event of the journal happened."""
        self.handed = 0

    @property
    def case(self) -> CaseState:
        """The state of a case that is known."""
        assert self.state is not None
        return self.state

    @property
    def clocks(self) -> dict[str, datetime]:
        """What runs, and when it has run out."""
        return {deadline.kind: deadline.due for deadline in self.deadlines()}

    def deadlines(self) -> list[Deadline]:
        """The timers of the case."""
        return [] if self.state is None else [*workflow.deadlines(self.stream, self.state)]

    def hand(
        self, data: Model, moment: datetime, publisher: Publisher | None = OFFICERS
    ) -> list[Internal]:
        """Hand in a message; the events, as they are read again from the journal."""
        self.handed += 1
        ids = Drawn(self.handed)
        message = Message(
            id=f"m-{self.handed}",
            type=data.type_ or "deadline",
            data=data,
            time=moment,
            source="test",
            publisher=publisher,
        )
        assert workflow.touches(message, ids) == (self.stream,)
        states = {self.stream: self.state}
        decision = workflow.decide(message, states, moment, ids, self.policy)
        assert set(decision) == {self.stream}
        events = [_reread(event) for event in decision[self.stream]]
        for event in events:
            evolved = workflow.evolve(self.stream, self.state, event, moment)
            self.state = None if evolved is None else _restored(evolved)
        self.journal += events
        self.moments += [moment] * len(events)
        return events

    def fire(self, deadline: Deadline, moment: datetime | None = None) -> list[Internal]:
        """Let a deadline fire, on time or late."""
        reached = DeadlineReached(stream=str(self.stream), kind=deadline.kind, due=deadline.due)
        return self.hand(reached, moment or deadline.due, publisher=None)

    def miss_next(self, late_until: datetime | None = None) -> Internal:
        """Let the next deadline run out; the one event of it."""
        first = min(self.deadlines(), key=lambda deadline: deadline.due)
        (event,) = self.fire(first, late_until)
        return event

    def folded(self) -> CaseState | None:
        """The state as a fold over the journal."""
        return fold(self.stream, self.journal, self.moments)


def fold(
    stream: Stream, journal: Sequence[Internal], moments: Sequence[datetime] | None = None
) -> CaseState | None:
    """The state that a journal gives."""
    if moments is None:
        moments = [at("2026-01-01 00:00")] * len(journal)
    state = None
    for event, moment in zip(journal, moments, strict=True):
        state = workflow.evolve(stream, state, event, moment)
    return state


def _reread(event: Internal) -> Internal:
    return type(event).model_validate_json(event.model_dump_json(context=Sealer(KEY)))


def _restored(state: CaseState) -> CaseState:
    restored = CaseState.model_validate_json(state.model_dump_json())
    assert restored == state
    return restored
