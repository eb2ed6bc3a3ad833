"""Over all events, roles and paths: neutral words to her, nothing to him, no way off the card.

Any event of any type is told here by the shipped policy, through rules, card and channel; only the
channel itself is a board on which it can be read what would have gone out, and to whom.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lianhu.contracts import REGISTRY
from lianhu.contracts.base import Internal, Model
from lianhu.contracts.mediation import GateOverridden, MovedToProtection
from lianhu.contracts.notify import (
    ContactNoted,
    NoticeAttempted,
    NoticeEvent,
    NoticeSuppressed,
    VisitAsked,
    WaySought,
)
from lianhu.contracts.parts import Audience, ContactCard, Hours
from lianhu.contracts.registry import Contract
from lianhu.contracts.vocabulary import AudienceRole, Language, NoticeChannel, Path
from lianhu.eventing.rules import EffectEnded, Message, Stream
from lianhu.eventing.vault import NotOpened
from lianhu.notify.channels import Outcome, Sending
from lianhu.notify.digests import PERSONS
from lianhu.notify.effects import attempts, looks
from lianhu.notify.entries import ToldPerson
from lianhu.notify.facts import case_of, tells
from lianhu.notify.hours import hindrance
from lianhu.notify.screen import Screens
from lianhu.notify.templates import Text
from lianhu.privacy import Sealed
from tests.notify_desk import (
    CASE,
    DISTRICT,
    HE,
    KEY,
    NOON,
    POLICY,
    SHE,
    STREAM,
    STREET,
    Desk,
    card_ref,
    reached,
    unit,
)
from tests.samples import samples_of

SMS, EMAIL = NoticeChannel.SMS, NoticeChannel.EMAIL
HER_PHONE, HER_MAIL, HIS_PHONE = "13800000001", "she@example.org", "13900000002"
TELLING = sorted((c for c in REGISTRY.read_by("notify") if tells(c.model)), key=lambda c: c.type)
OF_A_CASE = [contract for contract in TELLING if "case" in contract.model.model_fields]
EVERY = pytest.mark.parametrize("contract", TELLING, ids=lambda contract: contract.type[7:])
FEW = settings(max_examples=12, suppress_health_check=[*HealthCheck])
REVEALING = (
    *(
        "妇",
        "婦",
        "联合会",
        "聯合會",
        "联护",
        "聯護",
        "家暴",
        "暴力",
        "家庭",
        "婚",
        "案",
        "调解",
        "調解",
    ),
    *(
        "保护",
        "保護",
        "警",
        "公安",
        "法院",
        "法律",
        "律师",
        "律師",
        "社区",
        "社區",
        "街道",
        "区",
        "民政",
    ),
    *(
        "救助",
        "资金",
        "資金",
        "申请",
        "申請",
        "受理",
        "维权",
        "維權",
        "报告",
        "報告",
        "投诉",
        "投訴",
    ),
    *(
        "举报",
        "舉報",
        "庇护",
        "庇護",
        "伤",
        "傷",
        "危险",
        "危險",
        "安全",
        "风险",
        "丈夫",
        "孩子",
        "儿童",
    ),
    *("women", "woman", "federation", "case", "violen", "abuse", "mediat", "protect", "police"),
    *("court", "lawyer", "legal", "right", "communit", "district", "street", "relief", "fund"),
    *("applicat", "report", "complain", "shelter", "victim", "safe", "risk", "danger", "child"),
    *("husband", "family", "lianhu", "officer", "marri", "440304", CASE),
)
"""Words that tell somebody who reads along what it is about, or who writes."""

clocks = st.times().map(lambda time: time.strftime("%H:%M"))
cards = st.builds(
    ContactCard,
    phone=st.sampled_from([None, HER_PHONE]),
    email=st.sampled_from([None, HER_MAIL]),
    channels=st.lists(st.sampled_from(NoticeChannel), unique=True, max_size=3).map(tuple),
    hours=st.none() | st.builds(Hours, start=clocks, end=clocks),
    language=st.sampled_from(Language),
)


class Vault:
    """Opens with the one key, at the time that it is in a house."""

    def __init__(self, house: Desk) -> None:
        self._house = house

    def now(self) -> datetime:
        return self._house.now

    async def open(
        self, values: Sequence[Sealed[ContactCard]], purpose: str
    ) -> list[ContactCard | NotOpened]:
        return [value.reveal(lambda _: KEY) for value in values]


@dataclass(frozen=True)
class Sent:
    """What went out or stands on a screen: when, for which attempt, in which words, and to whom."""

    at: datetime
    attempt: NoticeAttempted
    texts: Mapping[Language, Text]
    to: str | None = None


@dataclass
class Board:
    """A channel on which all that would go out is kept; it answers in turn as it is told."""

    name: NoticeChannel
    idempotent: bool
    sent: list[Sending]
    outcomes: list[Outcome] = field(default_factory=list)

    async def send(self, sending: Sending) -> Outcome:
        self.sent.append(sending)
        return self.outcomes.pop() if self.outcomes else Outcome("done")


class House(Desk):
    """Rules, cards and channels together, until nothing is left to do."""

    def __init__(self, outcomes: Sequence[Outcome] = (), now: datetime = NOON) -> None:
        super().__init__(now=now)
        self.sent: list[Sent] = []
        self._out: list[Sending] = []
        boards = [
            Board(EMAIL, False, self._out, [*outcomes]),
            Board(SMS, True, self._out, [*outcomes]),
        ]
        self._effects = {
            WaySought: looks(POLICY, Vault(self)),
            NoticeAttempted: attempts(boards, POLICY, Vault(self)),
        }
        self._done = 0

    def tell(self, data: Model, id_: str, late: timedelta = timedelta(0)) -> None:
        """An event of another service, handled so late, and all that follows from it."""
        stream = STREAM if case_of(data) else Stream.parse("envelope/e-1")
        source = data.type_.split(".")[1]
        self.now -= late  # decided as of the moment at which it happened
        self.take(Message(id_, data.type_, data, self.now, source, stream))
        self.now += late
        asyncio.run(self._settle())

    async def _settle(self) -> None:
        while True:
            while self._done < len(self.journal):
                stream, event, _ = self.journal[self._done]
                self._done += 1
                if isinstance(event, NoticeAttempted) and self._shown(event):
                    continue
                if (effect := self._effects.get(type(event))) is not None:
                    ended = await effect(stream, event)
                    if isinstance(event, NoticeAttempted):
                        self.sent += [Sent(self.now, event, o.texts, o.to) for o in self._out]
                        self._out.clear()
                    self._ended(ended)
            due = [
                (deadline.due, stream)
                for stream in self.states
                for deadline in self.deadlines(stream)
                if deadline.kind != "leave"
            ]
            if not due:
                return
            at, stream = min(due)
            self.passes(max(at - self.now, timedelta(0)), stream)

    def _shown(self, event: NoticeAttempted) -> bool:
        row = Screens().of(event, POLICY)
        if row is not None:
            texts = {
                Language.ZH_CN: Text(row.subject_zh, row.text_zh),
                Language.EN: Text(row.subject_en, row.text_en),
            }
            self.sent.append(Sent(row.at, event, texts))
        return row is not None

    def _ended(self, ended: EffectEnded) -> None:
        self.take(Message("effect", "effect", ended, self.now, "notify"))

    def passes(self, time: timedelta, stream: Stream = STREAM) -> Sequence[Internal]:
        """Let time pass and fire the earliest deadline of the stream."""
        self.now += time
        first = min(self.deadlines(stream), key=lambda deadline: deadline.due)
        return self.take(reached(first, self.now, stream))

    def to_people(self) -> list[Sent]:
        """What went out to people."""
        return [one for one in self.sent if one.attempt.role in PERSONS]


def of(contract: Contract, *audience: Audience) -> st.SearchStrategy[Model]:
    """Events of a type about the one case, with this audience and no card of their own."""
    given = {"case": CASE, "audience": audience, "card": None}
    update = {name: value for name, value in given.items() if name in contract.model.model_fields}
    return samples_of(contract.model).map(lambda event: event.model_copy(update=update))


def her(card: ContactCard, *, neutral: bool) -> Audience:
    return Audience(
        role=AudienceRole.PERSON_CONCERNED, card=card_ref(SHE, card=card), neutral=neutral
    )


def him() -> Audience:
    card = ContactCard(phone=HIS_PHONE, channels=(SMS,))
    return Audience(role=AudienceRole.OTHER_PARTY, card=card_ref(HE, card=card))


OPEN = ContactCard(phone=HER_PHONE, email=HER_MAIL, channels=(SMS, EMAIL))


def protected(house: House) -> None:
    """The case takes the protection path."""
    moved = samples_of(MovedToProtection).map(
        lambda event: event.model_copy(update={"case": CASE, "audience": ()})
    )
    house.tell(_one(moved), "e-0")


def _one(strategy: st.SearchStrategy[Model]) -> Model:
    found: list[Model] = []

    @settings(max_examples=1, database=None, suppress_health_check=[*HealthCheck])
    @given(strategy)
    def draw(event: Model) -> None:
        found.append(event)

    draw()
    return found[0]


@EVERY
@FEW
@given(data=st.data(), known=st.booleans(), language=st.sampled_from(Language))
def test_on_the_protection_path_she_gets_neutral_words_and_he_nothing(
    contract: Contract, data: st.DataObject, known: bool, language: Language
) -> None:
    """`known`: from an earlier event; the event itself then knows nothing of it."""
    house = House()
    if known and contract.model is not GateOverridden:
        protected(house)
        neutral = False
    else:
        neutral = True
    card = OPEN.model_copy(update={"language": language})
    audience = (unit(code=DISTRICT), unit(AudienceRole.INFORMED_UNIT, STREET), him())
    house.tell(data.draw(of(contract, *audience, her(card, neutral=neutral))), "e-1")
    for one in house.to_people():
        assert one.attempt.role is AudienceRole.PERSON_CONCERNED
        assert one.to in (HER_PHONE, HER_MAIL)
        assert set(one.texts) == {language}
        for text in one.texts.values():
            said = f"{text.subject}\n{text.body}".casefold()
            assert not [word for word in REVEALING if word in said]
    for _, event, _ in house.journal:
        if isinstance(event, NoticeEvent) and event.role is AudienceRole.OTHER_PARTY:
            assert isinstance(event, NoticeSuppressed)
    assert HIS_PHONE not in str([one.to for one in house.sent])


@EVERY
@FEW
@given(data=st.data(), role=st.sampled_from(AudienceRole), neutral=st.booleans())
def test_each_role_is_told_as_the_policy_says_and_nobody_else_is(
    contract: Contract, data: st.DataObject, role: AudienceRole, neutral: bool
) -> None:
    card = card_ref(SHE, card=OPEN) if role in PERSONS else None
    code = None if role in PERSONS else DISTRICT
    audience = Audience(role=role, unit=code, card=card, neutral=neutral)
    event = data.draw(of(contract, audience))
    house = House()
    house.tell(event, "e-1")
    rule = POLICY.rules[contract.type]
    entry = (rule.tell or {}).get(role)
    told = [e for _, e, _ in house.journal if isinstance(e, NoticeEvent) and e.about == "e-1"]
    assert {event.role for event in told} <= {role}
    assert bool(told) == (entry is not None and not hasattr(entry, "silent"))
    if role in PERSONS:
        assert (house.to_people() != []) == (
            isinstance(entry, ToldPerson)
            and not (role is AudienceRole.OTHER_PARTY and house.case.neutral)
        )
        assert not [one for one in house.sent if one.attempt.role not in PERSONS]
    else:
        assert house.to_people() == []
        assert {one.attempt.unit for one in house.sent} <= {DISTRICT}


@given(
    data=st.data(),
    card=cards,
    contract=st.sampled_from([c for c in OF_A_CASE if (POLICY.rules[c.type].tell or {})]),
    outcomes=st.lists(
        st.sampled_from(
            [
                Outcome("done"),
                Outcome("unknown"),
                Outcome("failed", "relay-unreachable"),
                Outcome("failed", "address-refused", final=True),
            ]
        ),
        max_size=8,
    ),
    at=st.timedeltas(timedelta(0), timedelta(days=40)),
    late=st.just(timedelta(0)) | st.timedeltas(timedelta(0), timedelta(days=2)),
    neutral=st.booleans(),
)
@settings(max_examples=200, suppress_health_check=[*HealthCheck])
def test_a_person_is_told_by_the_card_alone_in_its_hours_and_once(
    data: st.DataObject,
    card: ContactCard,
    contract: Contract,
    outcomes: list[Outcome],
    at: timedelta,
    late: timedelta,
    neutral: bool,
) -> None:
    house = House(outcomes, NOON + at)
    house.tell(data.draw(of(contract, unit(), her(card, neutral=neutral))), "e-1", late)
    went = house.to_people()
    for one in went:
        channel = one.attempt.channel
        assert channel in card.channels
        assert one.to == {SMS: card.phone, EMAIL: card.email}[channel]
        assert set(one.texts) == {card.language}
        assert not hindrance(one.at, card.hours, POLICY.quiet)
    notices = {one.attempt.notice for one in went}
    assert len(notices) <= 1
    mails = [one for one in went if one.attempt.channel is EMAIL]
    assert len(mails) <= POLICY.channels[EMAIL].attempts
    assert len(went) <= sum(POLICY.channels[channel].attempts for channel in (SMS, EMAIL))


@pytest.mark.parametrize(
    "contract",
    [
        c
        for c in OF_A_CASE
        if isinstance(
            (POLICY.rules[c.type].tell or {}).get(AudienceRole.PERSON_CONCERNED), ToldPerson
        )
    ],
    ids=lambda contract: contract.type[7:],
)
@FEW
@given(data=st.data(), path=st.sampled_from(Path))
def test_whoever_must_be_reached_and_has_no_safe_contact_is_visited_and_the_officer_is_told(
    contract: Contract, data: st.DataObject, path: Path
) -> None:
    house = House()
    withheld = Audience(
        role=AudienceRole.PERSON_CONCERNED,
        withheld="no-safe-contact",
        neutral=path is Path.PROTECTION,
    )
    event = data.draw(of(contract, unit(code=DISTRICT), withheld))
    house.tell(event, "e-1")
    entry = (POLICY.rules[contract.type].tell or {})[AudienceRole.PERSON_CONCERNED]
    assert isinstance(entry, ToldPerson)
    taken = Path.PROTECTION if house.case.neutral else Path.MEDIATION
    visits = [e for _, e, _ in house.journal if isinstance(e, VisitAsked)]
    shown = [one for one in house.sent if one.attempt.about_type == VisitAsked.type_]
    assert len(visits) == len(shown) == (taken in entry.reach)
    assert house.to_people() == []
    for one in shown:
        assert (one.attempt.unit, one.attempt.role) == (DISTRICT, AudienceRole.OWNING_UNIT)
        assert "请上门联系，勿用电话" in one.texts[Language.ZH_CN].subject


def test_the_words_that_reveal_are_found_where_they_stand() -> None:
    house = House()
    ordinary = next(c for c in OF_A_CASE if c.type.endswith("case-accepted.v1"))
    house.tell(_one(of(ordinary, her(OPEN, neutral=False))), "e-1")
    (one,) = house.to_people()
    (text,) = one.texts.values()
    assert [word for word in REVEALING if word in f"{text.subject}\n{text.body}".casefold()]
    assert any(isinstance(event, ContactNoted) for _, event, _ in house.journal)
