"""From an event with a sealed card to a message received: engine, vault, channels, receivers."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest
from structlog.testing import capture_logs

from lianhu.contracts.base import Internal
from lianhu.contracts.intake import CaseClosed, ErasureAsked, ErasureOrdered, ErasureRestricted
from lianhu.contracts.mediation import CaseConcluded
from lianhu.contracts.notify import NoticeAttempted, WaySought
from lianhu.contracts.parts import Audience, ContactCard
from lianhu.contracts.vocabulary import AudienceRole, Language, NoticeChannel, Outcome
from lianhu.eventing.clock import utc_now
from lianhu.eventing.effects import Effects
from lianhu.eventing.rules import Rank, Stream, case_stream
from lianhu.eventing.testing import FakeRecord, TestEngine, event_record, open_engine
from lianhu.eventing.vault import NotOpened, Vault
from lianhu.jurisdiction import Level
from lianhu.notify import workflow
from lianhu.notify.app import service
from lianhu.notify.effects import effects
from lianhu.notify.lines import Gateway, Lines, Relay
from lianhu.notify.policy import Policy
from lianhu.privacy import DataKey, MasterKey, MasterKeys
from tests import receivers as ends
from tests.conftest import MakeDatabase
from tests.notify_desk import (
    BARE,
    BY,
    CASE,
    KEY,
    NOON,
    SHE,
    STREAM,
    STREET,
    accepted,
    card_ref,
    her,
    unit,
)
from tests.receivers import Behaviour, Receivers
from tests.wire import until

pytestmark = pytest.mark.infra

MASTER = MasterKeys(MasterKey.generate())
PHONE, MAIL = "13800138001", "xiaohong@example.org"
CARD = ContactCard(phone=PHONE, email=MAIL, channels=(NoticeChannel.SMS, NoticeChannel.EMAIL))
MAIL_ONLY = CARD.model_copy(update={"channels": (NoticeChannel.EMAIL,)})
CALLS = frozenset({WaySought.type_, NoticeAttempted.type_})


@dataclass
class Notify:
    """Notify on a database of its own, with its calls outside, and without a broker."""

    one: TestEngine
    calls: Effects
    told: int = 0
    sequences: dict[tuple[str, str], int] = field(default_factory=dict)

    def now(self, moment: datetime) -> None:
        """From here on the calls outside end at about this moment of domain time."""
        real = utc_now()
        self.one.house.clock.set(((real - timedelta(days=1), moment - real),))

    async def hears(self, *events: Internal, at: datetime = NOON, key: DataKey = KEY) -> None:
        """Events of other services, one batch, then the calls that follow from them."""
        await self.takes(*(self.record(event, at, key) for event in events))

    async def takes(self, *records: FakeRecord) -> None:
        """Records as they are."""
        await self.one.take(*records)
        self.call()

    def record(self, event: Internal, at: datetime = NOON, key: DataKey = KEY) -> FakeRecord:
        """The next event of a producer on the stream of its case, with the case's key."""
        producer, stream = event.type_.split(".")[1], case_stream(str(getattr(event, "case", "")))
        number = self.sequences[producer, str(stream)] = (
            self.sequences.get((producer, str(stream)), 0) + 1
        )
        wrapped = b64encode(MASTER.wrap(key)).decode()
        return event_record(producer, event, stream, number, at=at, datakey=wrapped)

    def call(self) -> None:
        """Hand what was committed since to the calls outside."""
        done = self.one.done[self.told :]
        self.told = len(self.one.done)
        for batch in done:
            self.calls.start(batch.effects)

    async def reach(self, *types: str, stream: Stream = STREAM) -> list[str]:
        """What happened on a stream, as soon as its last events are these."""

        async def there() -> bool:
            self.call()
            return (await self.one.types(stream))[-len(types) :] == [*types]

        await until(there, f"{types} at the end of {await self.one.types(stream)}")
        return await self.one.types(stream)

    async def fire(self, at: datetime, stream: Stream = STREAM) -> None:
        """Fire what is due on a stream up to a moment."""
        await self.one.fire(at, stream)
        self.call()

    def vault(self) -> Vault:
        """What opens the cards here."""
        house = self.one.house
        return Vault(self.one.pool, house.keys, house.clock, house.metrics)


def with_lines(both: Receivers) -> Policy:
    relay = Relay(
        host="127.0.0.1", port=both.smtp_port, mode="insecure", sender="notice@example.org"
    )
    gateway = Gateway(url=f"http://127.0.0.1:{both.http_port}/sms")
    return replace(BARE, lines=Lines(relay=relay, gateway=gateway))


@asynccontextmanager
async def notify(url: str, policy: Policy) -> AsyncIterator[Notify]:
    one = await open_engine(
        "notify",
        url,
        workflow,
        service.states,
        policy,
        effects=CALLS,
        rows=service.rows,
        keys=MASTER,
    )
    house = one.house
    vault = Vault(one.pool, house.keys, house.clock, house.metrics)
    made = effects(policy, vault)
    assert made.keys() == CALLS
    calls = Effects("notify", made, one.engine.handle, house.clock, house.metrics, 4)
    running = asyncio.create_task(calls.run())
    try:
        found = Notify(one, calls)
        found.now(NOON)
        yield found
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await one.pool.close()


@pytest.fixture
async def both() -> AsyncIterator[Receivers]:
    async with ends.receivers() as found:
        yield found


@pytest.fixture
async def house(make_database: MakeDatabase, both: Receivers) -> AsyncIterator[Notify]:
    """Notify with both lines out, to receivers in this process."""
    async with notify(await make_database("notify"), with_lines(both)) as found:
        yield found


def hers(card: ContactCard = CARD, *, neutral: bool = False) -> Audience:
    return her(card_ref(SHE, card=card), neutral=neutral)


def concluded(*audience: Audience) -> CaseConcluded:
    return CaseConcluded(
        case=CASE,
        audience=audience,
        outcome=Outcome.PROTECTED,
        unit=STREET,
        level=Level.STREET,
        missing_steps=(),
        by=BY,
    )


def closed(case: str) -> CaseClosed:
    return CaseClosed(
        case=case,
        outcome=Outcome.SETTLED,
        unit=STREET,
        level=Level.STREET,
        audience=(unit(AudienceRole.INFORMED_UNIT),),
    )


async def written(one: TestEngine) -> str:
    """All that stands in the tables of notify, as text."""
    found: Sequence[object] = ()
    for table in ("journal", "aggregates", "parked", "in_app"):
        found = [*found, *(await one.fetch(f"SELECT t::text FROM {table} AS t"))]
    return "\n".join(str(row) for row in found)


async def test_a_person_is_told_once_by_their_card_and_no_table_or_log_names_the_address(
    house: Notify, both: Receivers
) -> None:
    record = house.record(accepted(unit(), hers()))
    with capture_logs() as logs:
        await house.takes(record)
        await house.reach("notice-attempted", "notice-delivered")
        await house.takes(record)  # once more, as after a rebalance
        await house.hears(concluded(hers()))
        types = await house.reach("way-sought", "notice-attempted", "notice-delivered")
    assert types.count("notice-delivered") == 3  # the unit once, she twice
    assert [one.to for one in both.received] == [PHONE, PHONE]
    assert len(both.sms()) == 2
    assert "440304-2026-000123" in both.received[0].text
    for needle in (PHONE, MAIL):
        assert needle not in await written(house.one)
        assert needle not in str(logs)
    assert {log["purpose"] for log in logs if log["event"] == "unsealed"} == {"notice"}
    assert await house.one.verify() == []


async def test_a_lost_text_message_is_posted_again_under_its_key_and_goes_out_once(
    house: Notify, both: Receivers
) -> None:
    both.behaviour = Behaviour.LOSE
    await house.hears(accepted(hers()))

    async def lost() -> bool:
        house.call()
        return len(both.received) >= 2

    await until(lost, "the same message was posted again")
    both.behaviour = Behaviour.TAKE
    await house.reach("notice-delivered")
    assert len(both.sms()) == 1
    assert len({one.notice for one in both.received}) == 1


async def test_an_e_mail_of_unknown_fate_is_not_sent_again_and_an_officer_goes_there(
    house: Notify, both: Receivers
) -> None:
    both.behaviour = Behaviour.LOSE
    await house.hears(concluded(unit(), hers(MAIL_ONLY, neutral=True)))
    types = await house.reach(
        "notice-uncertain", "visit-asked", "notice-attempted", "notice-delivered"
    )
    assert types.count("way-sought") == 1
    assert len(both.received) == 1
    rows = await house.one.fetch("SELECT about_type, subject_zh FROM in_app ORDER BY about_type")
    assert [row["about_type"] for row in rows] == [
        "lianhu.mediation.case-concluded.v1",
        "lianhu.notify.visit-asked.v1",
    ]
    assert rows[1]["subject_zh"] == f"个案 {CASE}：请上门联系，勿用电话"


async def test_where_the_first_channel_surely_failed_the_next_one_of_the_card_is_taken(
    make_database: MakeDatabase, both: Receivers
) -> None:
    policy = with_lines(both)
    patient = policy.channels[NoticeChannel.EMAIL].model_copy(update={"retry_after": ()})
    policy = replace(policy, channels={**policy.channels, NoticeChannel.EMAIL: patient})
    both.behaviour = Behaviour.REFUSE  # the relay, not before it is asked; the gateway too
    mail_first = CARD.model_copy(
        update={"channels": (NoticeChannel.EMAIL, NoticeChannel.SMS), "language": Language.EN}
    )
    async with notify(await make_database("notify"), policy) as house:
        await house.hears(accepted(hers(mail_first)))
        await house.reach("way-sought", "notice-attempted", "way-sought", "notice-attempted")
        both.behaviour = Behaviour.TAKE
        await house.reach("notice-delivered")
    (one,) = both.received
    assert (one.channel, one.to) == ("sms", PHONE)
    assert one.text.startswith("Hello.")


async def test_at_night_the_notice_waits_for_the_morning(house: Notify, both: Receivers) -> None:
    night = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)  # 23:00
    house.now(night)
    await house.hears(accepted(hers()), at=night)
    await house.reach("way-sought", "notice-waiting")
    assert both.received == []
    await house.fire(night + timedelta(hours=7, minutes=59))
    assert (await house.one.types(STREAM))[-1] == "notice-waiting"
    house.now(night + timedelta(hours=8))
    await house.fire(night + timedelta(hours=8))
    await house.reach("way-sought", "notice-attempted", "notice-delivered")
    assert len(both.received) == 1


async def test_an_erased_case_is_not_spoken_of_and_its_card_is_opened_by_nobody(
    house: Notify, both: Receivers
) -> None:
    night = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)  # 23:00
    house.now(night)
    await house.hears(accepted(hers()), at=night)
    await house.reach("way-sought", "notice-waiting")
    await house.hears(ErasureAsked(case=CASE, by=BY, basis="§47"), at=night)
    await house.reach("erasure-answered")
    await house.hears(ErasureOrdered(case=CASE), at=night)
    await house.reach("notice-suppressed", "keys-erased")
    late = house.record(concluded(unit(), hers()), night)
    await house.takes(late)
    await house.fire(night + timedelta(days=2))
    assert (await house.one.types(STREAM))[-1] == "keys-erased"
    (opened,) = await house.vault().open([card_ref(SHE, card=CARD).card], "notice")
    assert isinstance(opened, NotOpened)
    assert opened.slug == "key-erased"
    assert both.received == []
    assert await house.one.parked() == []
    assert await house.one.verify() == []


async def test_of_a_restricted_case_units_hear_and_people_do_not(
    house: Notify, both: Receivers
) -> None:
    await house.hears(accepted(hers()))
    await house.reach("notice-delivered")
    until_ = datetime(2031, 3, 1, tzinfo=UTC)
    order = ErasureRestricted(case=CASE, service="mediation", until=until_, basis="§27")
    await house.hears(order)
    await house.reach("keys-restricted")
    await house.hears(concluded(unit(), hers()))

    async def both_ended() -> bool:
        house.call()
        return {"notice-delivered", "notice-suppressed"} <= {*(await house.one.types(STREAM))[-4:]}

    await until(both_ended, "the unit is told, she is not")
    rows = await house.one.fetch("SELECT body FROM journal WHERE type LIKE '%notice-suppressed%'")
    assert '"key-restricted"' in rows[0]["body"]
    assert len(both.received) == 1


async def test_two_replicas_put_the_cases_of_one_day_into_one_digest_that_leaves_once(
    make_database: MakeDatabase, both: Receivers
) -> None:
    url, policy = await make_database("notify"), with_lines(both)
    digest = Stream(Rank.DIGEST, f"{STREET}-2026-03-03")
    numbers = [f"440304-2026-{number:06d}" for number in range(40)]
    async with notify(url, policy) as one, notify(url, policy) as other:

        async def some(house: Notify, mine: Sequence[str]) -> None:
            for number in mine:
                await house.hears(closed(number), key=DataKey.new(str(case_stream(number))))

        await asyncio.gather(some(one, numbers[::2]), some(other, numbers[1::2]))
        assert (await one.one.types(digest)).count("digest-added") == len(numbers)
        assert await one.one.fetch("SELECT 1 FROM in_app") == []
        morning = policy.leaves_at(datetime(2026, 3, 2, tzinfo=UTC).date())
        await asyncio.gather(one.fire(morning, digest), other.fire(morning, digest))
        await one.reach("notice-attempted", "notice-delivered", stream=digest)
        (row,) = await one.one.fetch("SELECT unit, case_number, text_en FROM in_app")
        assert (row["unit"], row["case_number"]) == (STREET, "")
        assert all(number in row["text_en"] for number in numbers)
        assert await one.one.verify() == []
