"""Intake's rules carried as the engine carries them: locked streams, closed values, folded states.

No engine and no database: what the rules name is all they see, and events pass through JSON.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any, Final, TypeVar

from lianhu.contracts.base import Internal, Model
from lianhu.contracts.faults import Refused
from lianhu.contracts.intake import CaseOpened, ReportAccepted, ReportSubmitted
from lianhu.contracts.mediation import (
    CaseConcluded,
    MediationErasureAnswered,
    MediationKeysErased,
)
from lianhu.contracts.notify import NotifyErasureAnswered, NotifyKeysErased
from lianhu.contracts.parts import CardRef, ContactCard, Officer
from lianhu.contracts.publishers import Publisher, Publishers
from lianhu.contracts.vocabulary import Outcome
from lianhu.contracts.welfare import WelfareErasureAnswered, WelfareKeysErased
from lianhu.eventing.rules import Deadline, DeadlineReached, Message, State, Stream, case_stream
from lianhu.intake import workflow
from lianhu.intake.policy import Policy
from lianhu.intake.settings import Settings
from lianhu.intake.state import CaseState
from lianhu.jurisdiction import Level, Post
from lianhu.privacy import DataKey, Sealer

E = TypeVar("E", bound=Internal)

POLICY: Final = Policy.load(Settings())
START: Final = datetime(2026, 3, 2, 3, 0, tzinfo=UTC)
COMMUNITY: Final = "440304001020"  # 南园社区
STREET: Final = "440304001000"  # 南园街道
DISTRICT: Final = "440304000000"  # 福田区
CITY: Final = "440300000000"  # 深圳市
HARMLESS: Final = "夫妻为家务吵架，想离婚"

ANSWERS: Final = (MediationErasureAnswered, WelfareErasureAnswered, NotifyErasureAnswered)
CONFIRMATIONS: Final = (MediationKeysErased, WelfareKeysErased, NotifyKeysErased)

WANG: Final[dict[str, Any]] = {
    "name": "王小红",
    "born": "1990-05-01",
    "phone": "138 0013 8000",
    "document": {"number": "110105199005011022"},
}
"""The person concerned."""
LI: Final[dict[str, Any]] = {
    "name": "李强",
    "phone": "139 0013 9000",
    "document": {"number": "110105198802021235"},
}
"""The other party."""


def system(name: str) -> Publisher:
    """A publisher of the demo."""
    found = Publishers.read().get(name)
    assert found is not None
    return found


HOTLINE: Final = system("hotline-futian")
GRID: Final = system("grid-futian")
OFFICERS: Final = system("officers-shenzhen")


def officer(post: Post = Post.CHAIR, unit: str = DISTRICT) -> Officer:
    """Somebody at a post of a unit."""
    return Officer(officer="o-1", post=post, unit=unit)


class Ids:
    """Ids as the engine gives them; the reference of a text is always the same."""

    def __init__(self, number: str | None, message: Message) -> None:
        self._number = number
        self._message = message

    def case_number(self) -> str:
        """The reserved one."""
        assert self._number is not None
        return self._number

    def opaque(self, label: str) -> str:
        """Another one for each message."""
        return sha256(f"{self._message.id} {label}".encode()).hexdigest()[:32]

    def person(self, label: str) -> str:
        """By the identity alone."""
        return sha256(workflow.identities(self._message)[label].encode()).hexdigest()[:32]


class Desk:
    """Everything that intake knows, and what happened so far."""

    def __init__(self, policy: Policy = POLICY) -> None:
        self.policy = policy
        self.now = START
        self.states: dict[Stream, State | None] = {}
        self.journal: dict[Stream, list[tuple[Internal, datetime]]] = {}
        self.keys: dict[str, DataKey] = {}
        self._count = 0

    # what comes in

    def report(self, publisher: Publisher = HOTLINE, **fields: Any) -> dict[Stream, list[Internal]]:
        """A report comes in now; the narrative is harmless unless another is given."""
        channel = publisher.channels[0]
        given = {"channel": channel, "narrative": HARMLESS, "place": {"division": COMMUNITY}}
        return self.take(ReportSubmitted.model_validate(given | fields), publisher)

    def opens(self, publisher: Publisher = HOTLINE, **fields: Any) -> CaseOpened:
        """The same, and it opens a case."""
        found = self.report(publisher, **fields)
        (opened,) = only(found, CaseOpened)
        return opened

    def conclude(self, case: str, outcome: Outcome = Outcome.SETTLED) -> list[Internal]:
        """Mediation is done with it."""
        said = CaseConcluded(
            case=case,
            outcome=outcome,
            unit=DISTRICT,
            level=Level.DISTRICT,
            missing_steps=(),
            by=officer(Post.MEDIATOR),
        )
        return flat(self.take(said))

    def fire(self, case: str, deadline: Deadline) -> list[Internal]:
        """A deadline is due."""
        self.now = deadline.due
        stream = case_stream(case)
        data = DeadlineReached(stream=str(stream), kind=deadline.kind, due=deadline.due)
        return flat(self.take(data))

    def faults(self, data: Model, publisher: Publisher = OFFICERS) -> set[tuple[str, str]]:
        """Why it is refused."""
        try:
            self.take(data, publisher)
        except Refused as refused:
            return {(fault.path, fault.slug) for fault in refused.faults}
        raise AssertionError("it was not refused")

    def take(self, data: Model, publisher: Publisher | None = None) -> dict[Stream, list[Internal]]:
        """What happens, a minute later; raises what the rules raise."""
        self.now += timedelta(minutes=1)
        self._count += 1
        message = Message(
            id=f"m-{self._count}",
            type=data.type_,
            data=data,
            time=self.now,
            source="x",
            publisher=publisher,
        )
        counter = workflow.counter(message)
        ids = Ids(None if counter is None else f"{counter}-{self._count:06d}", message)
        touched = dict.fromkeys(workflow.touches(message, ids))
        for _ in range(2):  # what is named is locked, and nothing further is named then
            loaded = {stream: self.states.get(stream) for stream in touched}
            more = workflow.touches_more(message, loaded)
            missing = dict.fromkeys(more).keys() - touched.keys()
            touched |= dict.fromkeys(more)
        assert not missing
        decision = workflow.decide(message, loaded, self.now, ids, self.policy)
        assert decision.keys() <= touched.keys()
        return {stream: self._append(stream, events) for stream, events in decision.items()}

    def _append(self, stream: Stream, events: Any) -> list[Internal]:
        key = self.keys.setdefault(str(stream), DataKey.new(str(stream)))
        sealer = Sealer(key, others=self.keys.get)
        written = []
        for event in events:
            closed = type(event).model_validate_json(event.model_dump_json(context=sealer))
            self.states[stream] = workflow.evolve(stream, self.states.get(stream), closed, self.now)
            self.journal.setdefault(stream, []).append((closed, self.now))
            written.append(closed)
        return written

    # what is known

    def case(self, number: str) -> CaseState:
        """The state of a case."""
        state = self.states[case_stream(number)]
        assert isinstance(state, CaseState)
        return state

    def cases(self) -> list[CaseState]:
        """All of them."""
        return [state for state in self.states.values() if isinstance(state, CaseState)]

    def card(self, ref: CardRef | None) -> ContactCard:
        """What a card says."""
        assert ref is not None
        return ref.card.reveal(self.keys.__getitem__)

    def folded(self) -> Mapping[Stream, State | None]:
        """The states that the journal gives."""
        found: dict[Stream, State | None] = {}
        for stream, rows in self.journal.items():
            for event, at in rows:
                found[stream] = workflow.evolve(stream, found.get(stream), event, at)
        return found


def flat(decision: Mapping[Stream, list[Internal]]) -> list[Internal]:
    """All events of a decision."""
    return [event for events in decision.values() for event in events]


def only(decision: Mapping[Stream, list[Internal]], kind: type[E]) -> list[E]:
    """Its events of one type."""
    return [event for event in flat(decision) if isinstance(event, kind)]


def receipt(decision: Mapping[Stream, list[Internal]]) -> ReportAccepted:
    """The receipt of a report, exactly one."""
    (found,) = only(decision, ReportAccepted)
    return found
