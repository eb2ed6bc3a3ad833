"""Notify's rules at work on streams folded event by event, without engine and channels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from lianhu.contracts.base import Internal
from lianhu.contracts.mediation import CaseAccepted, CaseOffered
from lianhu.contracts.notify import NoticeAttempted, NoticeDelivered, NoticeEvent, WaySought
from lianhu.contracts.parts import Audience, CardRef, ContactCard, DueAt, Officer
from lianhu.contracts.vocabulary import AudienceRole, Category, NoticeChannel, Risk
from lianhu.eventing.rules import (
    Deadline,
    DeadlineReached,
    EffectEnded,
    Ids,
    Message,
    State,
    Stream,
    case_stream,
)
from lianhu.jurisdiction import Level, Post
from lianhu.notify import workflow
from lianhu.notify.directory import Directory, DutyContact
from lianhu.notify.lines import Gateway, Lines, Relay
from lianhu.notify.policy import Policy
from lianhu.notify.settings import Settings
from lianhu.notify.state import CaseState, DigestState
from lianhu.notify.workflow.outcomes import WAY
from lianhu.privacy import DataKey, Sealed, Sealer

CASE = "440304-2026-000123"
STREAM = case_stream(CASE)
NOON = datetime(2026, 3, 2, 4, 0, tzinfo=UTC)
"""A Monday, twelve o'clock in Shenzhen."""
STREET = "440304010000"
DISTRICT = "440304000000"
SHE, HE = "a" * 32, "b" * 32
BARE = Policy.load(Settings())
"""The shipped policy, as it is without any line out."""
LINES = Lines(
    relay=Relay(host="127.0.0.1", port=25, mode="insecure", sender="notice@example.org"),
    gateway=Gateway(url="http://127.0.0.1:80/sms"),
)
DUTY = Directory(units={DISTRICT: DutyContact(phone="+86 755 0000 1111", email="duty@example.org")})
POLICY = replace(BARE, lines=LINES, directory=DUTY)
"""The same with e-mail and text messages, and a duty contact of the district."""


def _texted(policy: Policy) -> Policy:
    rule, role = policy.rules[CaseOffered.type_], AudienceRole.OWNING_UNIT
    tell = rule.tell or {}
    told = tell[role].model_copy(update={"channels": (NoticeChannel.SMS,)})
    contact = DutyContact(phone="+86 755 0000 2222")
    return replace(
        policy,
        rules={
            **policy.rules,
            CaseOffered.type_: rule.model_copy(update={"tell": {**tell, role: told}}),
        },
        directory=Directory(units={**DUTY.units, STREET: contact}),
    )


TEXTED = _texted(POLICY)
"""The same, but a street hears of an offer by a text message only, at its own duty contact."""
SMS, EMAIL = NoticeChannel.SMS, NoticeChannel.EMAIL
KEY = DataKey.new(str(STREAM))
BY = Officer(officer="o-7", post=Post.MEDIATOR, unit=STREET)

E = TypeVar("E", bound=Internal)


class NoIds(Ids):
    """Notify draws no number: its ids follow from what it is told."""

    def case_number(self) -> str:
        """Never."""
        raise AssertionError("notify opens no case")

    def opaque(self, label: str) -> str:
        """Never."""
        raise AssertionError("notify makes up no id")

    def person(self, label: str) -> str:
        """Never."""
        raise AssertionError("notify knows nobody")


class Desk:
    """Notify as far as one case and the digests that it goes into."""

    def __init__(self, policy: Policy = POLICY, now: datetime = NOON) -> None:
        self.policy = policy
        self.now = now
        self.states: dict[Stream, State | None] = {}
        self.journal: list[tuple[Stream, Internal, datetime]] = []

    @property
    def case(self) -> CaseState:
        """What is known of the case."""
        state = self.states.get(STREAM)
        return state if isinstance(state, CaseState) else CaseState()

    def digest(self, stream: Stream) -> DigestState:
        """What is known of a digest."""
        state = self.states.get(stream)
        return state if isinstance(state, DigestState) else DigestState()

    def hears(
        self, data: Internal, id_: str = "e-1", stream: Stream = STREAM
    ) -> Sequence[Internal]:
        """An event of another service; what happens in its own stream."""
        source = data.type_.split(".")[1]
        return self.take(Message(id_, data.type_, data, self.now, source, stream))

    def outcome(
        self,
        of: NoticeAttempted,
        outcome: str,
        reason: str | None = None,
        stream: Stream = STREAM,
        **found: str,
    ) -> Sequence[Internal]:
        """The end of an attempt."""
        data = EffectEnded(
            stream=str(stream),
            ref=of.notice,
            attempt=of.attempt,
            outcome=outcome,
            reason=reason,
            found=found,
        )
        return self.take(Message("effect-1", "effect", data, self.now, "notify"))

    def looked(
        self, of: WaySought, outcome: str = "done", reason: str | None = None, **found: str
    ) -> Sequence[Internal]:
        """The answer of an opened card."""
        data = EffectEnded(
            stream=str(STREAM),
            ref=f"{WAY}{of.notice}",
            attempt=of.look,
            outcome=outcome,
            reason=reason,
            found=found,
        )
        return self.take(Message("effect-2", "effect", data, self.now, "notify"))

    def passes(self, time: timedelta, stream: Stream = STREAM) -> Sequence[Internal]:
        """Let time pass and fire the one deadline of the stream that is due then."""
        self.now += time
        (due,) = [deadline for deadline in self.deadlines(stream) if deadline.due <= self.now]
        return self.take(reached(due, self.now, stream))

    def deadlines(self, stream: Stream = STREAM) -> list[Deadline]:
        """The timers of a stream."""
        state = self.states.get(stream)
        return [] if state is None else list(workflow.deadlines(stream, state))

    def take(self, message: Message) -> Sequence[Internal]:
        """Let the rules decide and fold what they say."""
        touched = workflow.touches(message, NoIds())
        states = {stream: self.states.get(stream) for stream in touched}
        decision = workflow.decide(message, states, self.now, NoIds(), self.policy)
        assert decision.keys() <= set(touched)
        for stream, events in decision.items():
            for event in events:
                self.journal.append((stream, event, self.now))
                self.states[stream] = workflow.evolve(
                    stream, self.states.get(stream), event, self.now
                )
        return decision.get(touched[0], ()) if touched else ()

    def notices(self) -> list[NoticeEvent]:
        """All events about notices so far, of all streams."""
        return [event for _, event, _ in self.journal if isinstance(event, NoticeEvent)]


def reached(deadline: Deadline, now: datetime, stream: Stream = STREAM) -> Message:
    """A deadline that fired."""
    data = DeadlineReached(stream=str(stream), kind=deadline.kind, due=deadline.due)
    return Message(f"{stream}:{deadline.kind}", "deadline", data, now, "notify")


def sealed(card: ContactCard, key: DataKey = KEY) -> Sealed[ContactCard]:
    """A card closed with the case's key, as it travels."""
    ref = CardRef(person=SHE, version=1, card=Sealed.hold(card))
    return CardRef.model_validate_json(ref.model_dump_json(context=Sealer(key))).card


def card_ref(
    person: str = SHE, version: int = 1, card: ContactCard | None = None, key: DataKey = KEY
) -> CardRef:
    """A reference with a closed card."""
    shown = card or ContactCard(phone="13800000001", channels=(NoticeChannel.SMS,))
    return CardRef(person=person, version=version, card=sealed(shown, key))


def unit(role: AudienceRole = AudienceRole.OWNING_UNIT, code: str | None = STREET) -> Audience:
    """A unit that is to hear of it."""
    return Audience(role=role, unit=code)


def her(card: CardRef | None = None, *, neutral: bool = False) -> Audience:
    """The person concerned, with a card."""
    return Audience(role=AudienceRole.PERSON_CONCERNED, card=card or card_ref(), neutral=neutral)


def him(card: CardRef | None = None) -> Audience:
    """The other party, with a card."""
    return Audience(role=AudienceRole.OTHER_PARTY, card=card or card_ref(HE))


def offered(*audience: Audience, risk: Risk = Risk.YELLOW) -> CaseOffered:
    """An offer, to the street if nobody else is named."""
    return CaseOffered(
        case=CASE,
        audience=audience or (unit(),),
        unit=STREET,
        level=Level.STREET,
        category=Category.FAMILY_DISPUTE,
        risk=risk,
        accept_by=DueAt(at=datetime(2026, 3, 5, 9, 0, tzinfo=UTC)),
        policy_version="mediation-2026-01",
    )


def accepted(*audience: Audience) -> CaseAccepted:
    """An acceptance."""
    due = DueAt(at=datetime(2026, 3, 9, 16, 0, tzinfo=UTC))
    return CaseAccepted(
        case=CASE,
        audience=audience,
        unit=STREET,
        level=Level.STREET,
        by=BY,
        first_visit_by=due,
        consent_by=due,
        conclude_by=due,
        policy_version="mediation-2026-01",
    )


def only(events: Sequence[Internal], of: type[E]) -> E:
    """The one event, which is of this type."""
    (event,) = events
    assert isinstance(event, of), event
    return event


def first(events: Sequence[Internal], of: type[E]) -> E:
    """The first of this type."""
    return next(event for event in events if isinstance(event, of))


def shown(events: Sequence[Internal]) -> NoticeAttempted:
    """The one attempt, on a screen: it is delivered with it."""
    attempt, delivered = events
    assert isinstance(attempt, NoticeAttempted), attempt
    assert isinstance(delivered, NoticeDelivered), delivered
    assert attempt.channel is NoticeChannel.IN_APP
    assert (delivered.notice, delivered.attempt) == (attempt.notice, attempt.attempt)
    return attempt


def sought(desk: Desk, *audience: Audience) -> WaySought:
    return first(desk.hears(accepted(*audience or (her(),))), WaySought)


def attempted(desk: Desk, channel: NoticeChannel = SMS) -> NoticeAttempted:
    return only(desk.looked(sought(desk), channel=channel), NoticeAttempted)
