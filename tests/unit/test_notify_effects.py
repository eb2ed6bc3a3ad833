"""A card is opened for its way, an attempt handed to its channel; what nobody knows is unknown."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import asyncpg
import pytest

from lianhu.contracts.faults import Poison
from lianhu.contracts.mediation import CaseOffered
from lianhu.contracts.notify import NoticeAttempted, NoticeDelivered, WaySought
from lianhu.contracts.parts import ContactCard, Hours
from lianhu.contracts.vocabulary import AudienceRole, Language, NoticeChannel
from lianhu.eventing.rules import EffectEnded
from lianhu.eventing.vault import NotOpened
from lianhu.notify.channels import Channel, Outcome, Sending
from lianhu.notify.effects import PURPOSE, attempts, looks
from lianhu.notify.policy import Policy
from lianhu.notify.routes import routes
from lianhu.notify.screen import Screens
from lianhu.privacy import Sealed
from tests.notify_desk import BARE, CASE, DISTRICT, KEY, NOON, POLICY, SHE, STREAM, STREET, card_ref

IN_APP, EMAIL, SMS = NoticeChannel.IN_APP, NoticeChannel.EMAIL, NoticeChannel.SMS
ATTEMPT = NoticeAttempted(
    case=CASE,
    notice="0f" * 16,
    about="e-1",
    about_type=CaseOffered.type_,
    role=AudienceRole.OWNING_UNIT,
    unit=DISTRICT,
    channel=SMS,
    attempt=2,
    template="case-assigned",
    params={"case": CASE},
    answer_by=NOON + POLICY.channels[SMS].answer_within,
)
CARD = ContactCard(
    phone="13800000001",
    email="she@example.org",
    channels=(SMS, EMAIL),
    language=Language.ZH_HANT,
)


class Vault:
    """Opens with the one key, or fails as told; remembers what for."""

    def __init__(self, fails: NotOpened | Exception | None = None) -> None:
        self.fails = fails
        self.purposes: list[str] = []
        self.at = NOON

    def now(self) -> datetime:
        return self.at

    async def open(
        self, values: Sequence[Sealed[ContactCard]], purpose: str
    ) -> list[ContactCard | NotOpened]:
        self.purposes.append(purpose)
        if isinstance(self.fails, NotOpened):
            return [self.fails for _ in values]
        if self.fails is not None:
            raise self.fails
        return [value.reveal(lambda _: KEY) for value in values]


class Board:
    """A channel that shows what it was given and answers as it is told."""

    def __init__(
        self, outcome: Outcome, name: NoticeChannel = SMS, *, idempotent: bool = True
    ) -> None:
        self.name = name
        self.idempotent = idempotent
        self.sent: list[Sending] = []
        self._outcome = outcome

    async def send(self, sending: Sending) -> Outcome:
        self.sent.append(sending)
        return self._outcome


async def ended(
    board: Channel, attempt: NoticeAttempted = ATTEMPT, vault: Vault | None = None
) -> EffectEnded:
    effect = attempts([board], sms_only(), vault or Vault())
    return await effect(STREAM, attempt)


def to_her(channel: NoticeChannel = SMS, card: ContactCard = CARD) -> NoticeAttempted:
    return ATTEMPT.model_copy(
        update={
            "role": AudienceRole.PERSON_CONCERNED,
            "unit": None,
            "person": SHE,
            "channel": channel,
            "template": "neutral/news",
            "params": {},
            "card": card_ref(card=card),
            "answer_by": NOON + POLICY.channels[channel].answer_within,
        }
    )


def sms_only(policy: Policy = POLICY) -> Policy:
    return replace(policy, lines=policy.lines.model_copy(update={"relay": None}))


async def found(
    card: ContactCard = CARD,
    vault: Vault | None = None,
    policy: Policy = POLICY,
    at: timedelta = timedelta(0),
    tried: tuple[NoticeChannel, ...] = (),
) -> EffectEnded:
    sought = WaySought(
        **{
            name: getattr(to_her(card=card), name)
            for name in WaySought.model_fields
            if name in NoticeAttempted.model_fields and name not in ("answer_by", "tried")
        },
        look=3,
        tried=tried,
        answer_by=NOON + at + policy.cards.answer_within,
    )
    return await looks(policy, vault or Vault())(STREAM, sought)


def said(outcome: EffectEnded) -> tuple[str | None, object]:
    return outcome.reason, outcome.found


@pytest.fixture
async def nowhere() -> AsyncIterator[asyncpg.Pool]:
    """A pool of a database that nobody serves: its port is taken and does not listen."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        dsn = f"postgresql://notify@127.0.0.1:{port}/notify?sslmode=disable"
        pool = await asyncpg.create_pool(dsn, min_size=0, max_size=1)
        yield pool
        pool.terminate()


async def test_the_channel_gets_the_notice_and_its_text_in_both_languages_of_a_unit() -> None:
    board = Board(Outcome("done"))
    assert await ended(board) == EffectEnded(
        stream=str(STREAM), ref=ATTEMPT.notice, attempt=2, outcome="done"
    )
    (sent,) = board.sent
    assert sent.notice == ATTEMPT.notice
    assert set(sent.texts) == {Language.ZH_CN, Language.EN}
    assert sent.texts[Language.EN].subject == f"Case {CASE} has its mediator"
    assert sent.to == "+86 755 0000 1111"


async def test_a_person_gets_the_text_in_the_language_of_their_card_at_its_address() -> None:
    board, vault = Board(Outcome("done")), Vault()
    assert (await ended(board, to_her(), vault)).outcome == "done"
    (sent,) = board.sent
    assert set(sent.texts) == {Language.ZH_HANT}
    assert sent.to == CARD.phone
    assert vault.purposes == [PURPOSE]


async def test_an_address_is_shown_nowhere() -> None:
    board = Board(Outcome("done"))
    outcome = await ended(board, to_her())
    assert "13800000001" not in f"{board.sent} {outcome!r} {outcome.model_dump_json()} {to_her()!r}"


@pytest.mark.parametrize("slug", ["key-erased", "key-restricted", "key-missing"])
async def test_a_card_that_stays_closed_when_it_is_to_be_used_sends_nothing(slug: str) -> None:
    board = Board(Outcome("done"))
    outcome = await ended(board, to_her(), Vault(NotOpened(slug)))
    assert (outcome.outcome, outcome.reason) == ("failed", slug)
    assert outcome.found == {"closed": "yes"}
    assert not board.sent


async def test_nobody_is_told_by_a_channel_that_is_not_on_the_card() -> None:
    board = Board(Outcome("done"))
    card = CARD.model_copy(update={"channels": (EMAIL,)})
    outcome = await ended(board, to_her(card=card))
    assert (outcome.outcome, outcome.reason) == ("failed", "no-safe-contact")
    assert not board.sent


async def test_an_attempt_that_waited_until_the_hours_were_over_is_not_made() -> None:
    vault, board = Vault(), Board(Outcome("done"))
    evening = CARD.model_copy(update={"hours": Hours(start="18:00", end="20:00")})
    for card, hours, reason in (
        (CARD, timedelta(hours=10), "quiet-hours"),  # ten in the evening
        (evening, timedelta(hours=7, minutes=59), "outside-hours"),  # it may last over eight
    ):
        vault.at = NOON + hours
        late = {"answer_by": vault.at + POLICY.channels[SMS].answer_within}
        attempt = to_her(card=card).model_copy(update=late)
        outcome = await ended(board, attempt, vault)
        assert (outcome.outcome, outcome.reason, outcome.found) == ("failed", reason, {})
    assert not board.sent


async def test_an_attempt_that_its_deadline_would_overtake_is_not_made() -> None:
    """Who looks at the card then may go by a newer one; this one is tried again after that."""
    vault, board, attempt = Vault(), Board(Outcome("done")), to_her()
    vault.at = attempt.answer_by - timedelta(seconds=60)
    outcome = await ended(board, attempt, vault)
    assert (outcome.outcome, outcome.reason, outcome.found) == ("failed", "too-late", {})
    assert not board.sent


async def test_a_database_that_does_not_answer_leaves_the_card_closed_for_now() -> None:
    board = Board(Outcome("done"))
    outcome = await ended(board, to_her(), Vault(OSError()))
    assert (outcome.outcome, outcome.reason) == ("failed", "store-unavailable")
    assert not outcome.found
    assert not board.sent


async def test_a_unit_that_left_the_directory_meanwhile_is_not_told_by_it() -> None:
    board = Board(Outcome("done"))
    outcome = await ended(board, ATTEMPT.model_copy(update={"unit": STREET}))
    assert (outcome.outcome, outcome.reason) == ("failed", "no-duty-contact")
    assert outcome.found == {"final": "yes"}
    assert not board.sent


async def test_a_line_that_was_taken_away_meanwhile_fails_for_good() -> None:
    outcome = await ended(Board(Outcome("done")), to_her(EMAIL))
    assert (outcome.outcome, outcome.reason) == ("failed", "channel-not-configured")
    assert outcome.found == {"final": "yes"}


async def test_the_first_channel_of_the_card_that_is_left_is_the_way() -> None:
    ended_ = await found()
    assert (ended_.ref, ended_.attempt, ended_.outcome) == (f"way-{ATTEMPT.notice}", 3, "done")
    assert ended_.found == {"channel": "sms"}
    assert (await found(tried=(SMS,))).found == {"channel": "email"}
    assert said(await found(tried=(SMS, EMAIL))) == ("every-way-failed", {})


async def test_a_card_without_a_way_says_why() -> None:
    nothing = CARD.model_copy(update={"channels": ()})
    assert said(await found(nothing)) == ("no-safe-contact", {})
    without = CARD.model_copy(update={"phone": None, "channels": (SMS,)})
    assert said(await found(without)) == ("no-safe-contact", {})
    assert said(await found(policy=BARE)) == ("channel-not-configured", {})
    night = CARD.model_copy(update={"hours": Hours(start="23:00", end="05:00")})
    assert said(await found(night)) == ("no-safe-hours", {})


async def test_outside_the_hours_the_card_says_until_when() -> None:
    late = await found(at=timedelta(hours=11))  # 23:00
    assert said(late) == ("quiet-hours", {"until": "2026-03-02T23:00:00+00:00"})
    evening = CARD.model_copy(update={"hours": Hours(start="18:00", end="20:00")})
    wait = {"until": "2026-03-02T10:00:00+00:00"}
    assert said(await found(evening)) == ("outside-hours", wait)


@pytest.mark.parametrize("slug", ["key-erased", "key-restricted", "key-missing"])
async def test_a_card_that_stays_closed_is_no_way(slug: str) -> None:
    outcome = await found(vault=Vault(NotOpened(slug)))
    assert outcome.outcome == "done"
    assert said(outcome) == (slug, {})


async def test_a_database_that_does_not_answer_is_asked_again() -> None:
    outcome = await found(vault=Vault(asyncpg.InterfaceError("gone")))
    assert (outcome.outcome, outcome.reason) == ("failed", "store-unavailable")


async def test_what_the_channel_says_is_what_the_rules_hear() -> None:
    failed = await ended(Board(Outcome("failed", "gateway-unreachable")))
    assert (failed.outcome, failed.reason, failed.found) == ("failed", "gateway-unreachable", {})
    final = await ended(Board(Outcome("failed", "address-refused", final=True)))
    assert final.found == {"final": "yes"}
    assert (await ended(Board(Outcome("unknown")))).outcome == "unknown"


async def test_a_text_that_a_release_dropped_fails_before_anything_is_sent() -> None:
    board = Board(Outcome("done"))
    outcome = await ended(board, ATTEMPT.model_copy(update={"template": "case-lost"}))
    assert (outcome.outcome, outcome.reason) == ("failed", "template-fault")
    assert not board.sent


async def test_an_attempt_for_no_unit_fails_before_anything_is_sent() -> None:
    board = Board(Outcome("done"))
    outcome = await ended(board, ATTEMPT.model_copy(update={"unit": None}))
    assert (outcome.outcome, outcome.reason) == ("failed", "no-unit")
    assert not board.sent


async def test_only_an_attempt_is_an_attempt_and_only_a_search_is_one() -> None:
    other = NoticeDelivered.model_validate(ATTEMPT.model_dump())
    attempt = attempts((Board(Outcome("done")),), sms_only(), Vault())
    with pytest.raises(TypeError, match="NoticeDelivered is not an attempt"):
        await attempt(STREAM, other)
    with pytest.raises(TypeError, match="NoticeDelivered seeks no way"):
        await looks(BARE, Vault())(STREAM, other)


def test_a_channel_of_the_policy_that_nobody_built_stops_the_start() -> None:
    with pytest.raises(ValueError, match="no way to send by the channel email, sms"):
        attempts((), POLICY, Vault())


def test_a_channel_that_doubles_cannot_be_called_idempotent() -> None:
    with pytest.raises(ValueError, match="calls the channel sms idempotent"):
        attempts((Board(Outcome("done"), idempotent=False),), sms_only(), Vault())


def test_a_policy_more_impatient_than_a_channel_stops_the_start() -> None:
    hasty = POLICY.channels[SMS].model_copy(update={"answer_within": timedelta(seconds=30)})
    policy = replace(sms_only(), channels={**POLICY.channels, SMS: hasty})
    with pytest.raises(ValueError, match="gives up the channel sms before it has answered"):
        attempts((Board(Outcome("done")),), policy, Vault())


def test_a_screen_shows_what_its_attempt_says_in_both_languages() -> None:
    shown = ATTEMPT.model_copy(
        update={
            "channel": IN_APP,
            "unit": STREET,
            "answer_by": NOON + POLICY.channels[IN_APP].answer_within,
        }
    )
    row = Screens().of(shown, BARE)
    assert row is not None
    assert (row.notice, row.at, row.unit, row.case_number) == (ATTEMPT.notice, NOON, STREET, CASE)
    assert row.subject_en == f"Case {CASE} has its mediator"
    assert CASE in row.text_zh


def test_nothing_else_stands_on_a_screen() -> None:
    assert Screens().of(ATTEMPT, POLICY) is None
    assert Screens().of(NoticeDelivered.model_validate(ATTEMPT.model_dump()), POLICY) is None


def test_a_text_that_a_release_lost_is_on_no_screen() -> None:
    lost = ATTEMPT.model_copy(update={"channel": IN_APP, "template": "case-lost"})
    with pytest.raises(Poison, match="template-fault"):
        Screens().of(lost, BARE)


async def test_a_screen_that_cannot_be_read_at_the_moment_says_so(nowhere: asyncpg.Pool) -> None:
    ((path, in_app),) = routes(nowhere)
    assert path == "/in-app"
    assert await in_app({"unit": STREET}) == (
        503,
        {"faults": [{"path": "", "slug": "store-unavailable"}]},
    )


@pytest.mark.parametrize(
    ("query", "path", "slug"),
    [
        ({}, "/unit", "missing"),
        ({"unit": "44030401"}, "/unit", "malformed-division"),
        ({"unit": STREET, "limit": "many"}, "/limit", "not-a-number"),
        ({"unit": STREET, "limit": "٣"}, "/limit", "not-a-number"),
        ({"unit": STREET, "limit": "0"}, "/limit", "out-of-range"),
        ({"unit": STREET, "limit": "501"}, "/limit", "out-of-range"),
        ({"unit": STREET, "after": "yesterday"}, "/after", "malformed-notice"),
        ({"unit": STREET, "page": "2"}, "", "unknown-parameter"),
    ],
)
async def test_a_wrong_parameter_is_named(
    nowhere: asyncpg.Pool, query: dict[str, str], path: str, slug: str
) -> None:
    ((_, in_app),) = routes(nowhere)
    assert await in_app(query) == (400, {"faults": [{"path": path, "slug": slug}]})
