"""Deadlines: fired once and in order, by nobody too early, put off when nobody answers them."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from secrets import token_hex

import pytest
import yaml

from lianhu.contracts.publishers import Publishers
from lianhu.eventing import topics
from lianhu.eventing.clock import advance, from_ms, utc_now
from lianhu.eventing.delivery import Outcome
from lianhu.eventing.rules import Stream, case_stream
from lianhu.eventing.testing import START, FakeRecord, TestEngine
from lianhu.eventing.watermark import Mark, Progress, Watermark
from tests.conftest import MakeDatabase
from tests.engine_toy import Toy, command, engine, engines, event, event_id
from tests.wire import Seen, sending, tail, until_true

pytestmark = pytest.mark.infra

CASE, OTHER = "440304-2026-000001", "440304-2026-000002"
STREAM = case_stream(CASE)
DUE = START + timedelta(days=1)
LATER = DUE + timedelta(hours=3)
MINUTE = timedelta(minutes=1)


def timer(kind: str, due: datetime) -> str:
    return f"timer={kind}@{due.isoformat()}"


def id_of(kind: str, due: datetime, stream: Stream = STREAM) -> str:
    return f"{stream}:{kind}:{due.isoformat()}"


async def causes(one: TestEngine, stream: Stream = STREAM) -> list[str]:
    """The ids of the messages that left something in a stream, oldest first."""
    rows = await one.fetch(
        "SELECT causation FROM journal WHERE stream = $1 ORDER BY version", str(stream)
    )
    return [row["causation"] for row in rows]


async def next_due(one: TestEngine, stream: Stream = STREAM) -> datetime | None:
    (row,) = await one.fetch("SELECT next_due FROM aggregates WHERE stream = $1", str(stream))
    found: datetime | None = row["next_due"]
    return found


async def test_a_deadline_is_a_message_of_its_stream_kind_and_due_date(
    make_database: MakeDatabase,
) -> None:
    async with engine(make_database, Toy()) as one:
        await one.take(event(CASE, 1), command(CASE, "c-1", timer("visit", DUE)))
        assert await next_due(one) == DUE
        await one.fire(DUE - timedelta(microseconds=1), STREAM)
        assert await causes(one) == [event_id(CASE, 1), "c-1"]
        await one.fire(LATER, STREAM)
        assert (await causes(one))[2:] == [f"case/{CASE}:visit:2026-03-03T01:00:00+00:00"]
        (row,) = await one.fetch("SELECT time FROM journal WHERE version = 3")
        assert row["time"] == LATER, "now is when it fires, not when it was due"
        assert await next_due(one) is None
        assert one.done[-1].fired == ["visit"]
        await one.fire(LATER, STREAM)
        assert len(await causes(one)) == 3
        assert await one.verify() == []


async def test_several_of_one_stream_fire_in_the_order_of_their_due_dates(
    make_database: MakeDatabase,
) -> None:
    dues = {"c": DUE + MINUTE, "a": DUE, "b": DUE, "d": DUE - MINUTE, "never": LATER + MINUTE}
    async with engine(make_database, Toy()) as one:
        text = " ".join(timer(kind, due) for kind, due in dues.items())
        await one.take(event(CASE, 1), command(CASE, "c-1", text))
        await one.fire(LATER, STREAM)
        assert one.done[-1].fired == ["d", "a", "b", "c"]
        assert (await causes(one))[2:] == [id_of(kind, dues[kind]) for kind in ("d", "a", "b", "c")]
        assert await next_due(one) == LATER + MINUTE
        assert await one.verify() == []


async def test_more_than_one_transaction_takes_stay_due(make_database: MakeDatabase) -> None:
    dues = [(f"k{n:02}", DUE + n * MINUTE) for n in range(20)]
    async with engine(make_database, Toy()) as one:
        text = " ".join(timer(kind, due) for kind, due in dues)
        await one.take(event(CASE, 1), command(CASE, "c-1", text))
        await one.fire(LATER, STREAM)
        assert await next_due(one) == dues[16][1]
        await one.fire(LATER, STREAM)
        assert (await causes(one))[2:] == [id_of(kind, due) for kind, due in dues]


async def test_an_answer_in_the_same_batch_wins_over_the_deadline(
    make_database: MakeDatabase,
) -> None:
    async with engine(make_database, Toy()) as one:
        await one.take(event(CASE, 1), command(CASE, "c-1", timer("visit", DUE), offset=0))
        # the row was read as due; when its turn comes, the state says otherwise
        await one.take(command(CASE, "c-2", "off=visit", offset=1))
        await one.fire(LATER, STREAM)
        assert await causes(one) == [event_id(CASE, 1), "c-1", "c-2"]
        assert one.outcomes()[-1] is Outcome.IGNORED


async def test_a_row_that_says_due_where_no_state_does_is_set_right(
    make_database: MakeDatabase,
) -> None:
    async with engine(make_database, Toy()) as one:
        await one.take(event(CASE, 1), command(CASE, "c-1", timer("visit", LATER + MINUTE)))
        await one.fetch("UPDATE aggregates SET next_due = $1", DUE)
        await one.fire(LATER, STREAM)
        assert await next_due(one) == LATER + MINUTE
        assert await causes(one) == [event_id(CASE, 1), "c-1"]


async def test_two_replicas_that_fire_the_same_have_one_effect(
    make_database: MakeDatabase,
) -> None:
    cases = [f"440304-2026-{n:06}" for n in range(1, 13)]
    streams = [case_stream(case) for case in cases]
    async with engines(make_database, Toy(), 2) as (one, two):
        for n, case in enumerate(cases):
            await one.take(event(case, 1), command(case, f"c-{n}", timer("visit", DUE), offset=n))
        await asyncio.gather(one.fire(LATER, *streams), two.fire(LATER, *reversed(streams)))
        for stream in streams:
            assert (await causes(one, stream))[2:] == [id_of("visit", DUE, stream)]
        outcomes = [*one.outcomes()[-12:], *two.outcomes()]
        assert outcomes.count(Outcome.HANDLED) == outcomes.count(Outcome.IGNORED) == 12
        assert await one.verify() == []


@pytest.mark.parametrize("what", ["deaf", "raise", "poison", "refuse"])
async def test_a_deadline_that_its_rules_do_not_answer_is_put_off_and_counted(
    make_database: MakeDatabase, what: str
) -> None:
    toy = Toy()
    toy.does["visit"] = what
    async with engine(make_database, toy) as one:
        for n, case in enumerate((CASE, OTHER)):
            kind = "visit" if case == CASE else "other"
            await one.take(event(case, 1), command(case, f"c-{n}", timer(kind, DUE), offset=n))
        # later than this machine's own time: that is when it is put off from
        horizon = utc_now() + timedelta(hours=1)
        await one.fire(horizon, STREAM, case_stream(OTHER))
        assert await causes(one) == [event_id(CASE, 1), "c-0"]
        assert len(await causes(one, case_stream(OTHER))) == 3, "its neighbour goes on"
        assert await next_due(one) == horizon + 10 * MINUTE
        assert one.done[-1].failures == [True, False]
        assert toy.decided.count(id_of("visit", DUE)) == 1
        assert await one.verify() == []

        toy.does.clear()
        await one.fire(horizon + 10 * MINUTE, STREAM)
        assert (await causes(one))[2:] == [id_of("visit", DUE)]
        assert one.done[-1].failures == [False]


async def test_those_beside_one_that_fails_are_answered_before_it_and_after(
    make_database: MakeDatabase,
) -> None:
    toy = Toy()
    toy.does["b"] = "deaf"
    async with engine(make_database, toy) as one:
        text = f"{timer('a', DUE)} {timer('b', DUE)} {timer('c', LATER)}"
        await one.take(event(CASE, 1), command(CASE, "c-1", text))
        await one.fire(LATER, STREAM)
        assert (await causes(one))[2:] == [id_of("a", DUE), id_of("c", LATER)]
        assert one.done[-1].fired == ["a", "c"]
        assert one.done[-1].failures == [False, True, False]
        assert await one.verify() == []
        # a message that is handled meanwhile has its deadlines looked at again at once
        toy.does.clear()
        await one.take(event(CASE, 2))
        assert await next_due(one) == DUE
        await one.fire(LATER, STREAM)
        assert one.done[-1].fired == ["b"]


# what waits on the real broker


class Looking(Watermark):
    """Counts how often the broker is looked at."""

    looks = 0

    async def read(self, progress: Progress) -> Mark:
        self.looks += 1
        return await super().read(progress)


class Office:
    """A publisher's topic on the real broker, an engine that reads it, and the leader's look."""

    def __init__(self, one: TestEngine, broker: str, topic: str, watermark: Looking) -> None:
        self.one = one
        self._broker = broker
        self._topic = topic
        self._watermark = watermark

    @property
    def looks(self) -> int:
        return self._watermark.looks

    async def send(self, *records: FakeRecord, partition: int = 0) -> datetime:
        """Send them; the broker's time of the last one's append."""
        async with sending(self._broker) as producer:
            for record in records:
                sent = await producer.send_and_wait(
                    self._topic, record.value, partition=partition, headers=[*record.headers]
                )
        return from_ms(sent.timestamp)

    async def open(self, kind: str, due: datetime) -> None:
        """A case with a timer."""
        await self.one.take(event(CASE, 1, at=utc_now()))
        await self.send(command(CASE, "c-1", timer(kind, due)))
        await self.handle(*await self.all(1))

    async def all(self, count: int) -> list[Seen]:
        """So many records of the topic, in the order of their append."""
        async with tail(self._broker, self._topic, from_start=True) as end:
            found = await end.reach(count)
        return sorted(found, key=lambda record: (record.timestamp, record.partition, record.offset))

    async def handle(self, *records: Seen) -> None:
        await self.one.handle([self.one.reader.read(record) for record in records])

    async def move(self, by: timedelta, start: datetime) -> None:
        """Move time from `start` on, and wait until the leader's look lies behind that."""
        clock = self.one.house.clock
        async with self.one.pool.acquire() as connection:
            ahead = await advance(connection, by, start)
            await clock.refresh(connection)
        reached = start + ahead + timedelta(seconds=1)
        await until_true(lambda: clock.now() > reached, "the moved time")

    async def look(self) -> list[str]:
        """Fire what may be fired, as the leader does; the causes in the case so far."""
        await self.one.fire_due(self._watermark)
        return await causes(self.one)


@asynccontextmanager
async def office(make_database: MakeDatabase, broker: str, folder: Path) -> AsyncIterator[Office]:
    name = f"officers-{token_hex(4)}"
    entry = {
        "name": name,
        "kind": "officers",
        "unit": "440300000000",
        "partitions": 2,
        "title": "An officers' system that no other test knows",
    }
    registry = folder / "publishers.yaml"
    registry.write_text(yaml.safe_dump({"publishers": [entry]}), encoding="utf-8")
    await topics.create(broker, registry)
    publishers = Publishers.read(registry)
    topic = f"mediation.commands.{name}.v1"
    watermark = Looking(broker, "mediation", re.escape(topic))
    await watermark.start()
    try:
        # a batch is as large as it is asked to be, however slow the machine
        async with engine(make_database, Toy(), publishers=publishers, batch_seconds=600.0) as one:
            yield Office(one, broker, topic, watermark)
    finally:
        await watermark.stop()


async def test_an_acceptance_that_lay_in_the_topic_during_an_outage_wins(
    make_database: MakeDatabase, broker: str, tmp_path: Path
) -> None:
    async with office(make_database, broker, tmp_path) as desk:
        due = utc_now() + timedelta(hours=1)
        await desk.open("accept", due)
        sent = await desk.send(command(CASE, "c-2", "off=accept"))
        # the service is away, and the hour passes
        await desk.move(timedelta(hours=2), sent + timedelta(milliseconds=1))
        assert await desk.look() == [event_id(CASE, 1), "c-1"], "it does not fire"
        await desk.handle(*(await desk.all(2))[1:])
        assert await desk.look() == [event_id(CASE, 1), "c-1", "c-2"]
        assert await next_due(desk.one) is None
        (row,) = await desk.one.fetch("SELECT time FROM journal WHERE version = 3")
        assert row["time"] < due, "it was sent in time"


async def test_a_command_that_was_parked_and_is_tried_again_now_comes_before_the_deadline(
    make_database: MakeDatabase, broker: str, tmp_path: Path
) -> None:
    async with office(make_database, broker, tmp_path) as desk:
        toy = desk.one.house.workflow
        assert isinstance(toy, Toy)
        await desk.open("accept", utc_now() + timedelta(hours=1))
        toy.does["c-2"] = "raise"
        sent = await desk.send(command(CASE, "c-2", "off=accept"))
        await desk.handle(*(await desk.all(2))[1:])
        toy.does.clear()
        await desk.move(timedelta(hours=2), sent + timedelta(milliseconds=1))
        letters = await desk.one.fetch("SELECT letter FROM parked")
        await desk.one.replay(*(row["letter"] for row in letters))
        assert await desk.look() == [event_id(CASE, 1), "c-1"], "it does not fire"
        await desk.one.drain()
        assert await desk.look() == [event_id(CASE, 1), "c-1", "c-2"]
        assert await next_due(desk.one) is None


async def test_a_deadline_fires_when_all_that_came_before_it_is_handled(
    make_database: MakeDatabase, broker: str, tmp_path: Path
) -> None:
    async with office(make_database, broker, tmp_path) as desk:
        clock = desk.one.house.clock
        due = utc_now() + timedelta(hours=1)
        await desk.open("accept", due)
        sent = await desk.send(command(OTHER, "c-2"), partition=1)
        await desk.move(timedelta(hours=2), sent + timedelta(milliseconds=1))
        late = [await desk.send(command(OTHER, f"c-{n}"), partition=1) for n in (3, 4)]
        assert all(clock.domain(at) > due for at in late)
        assert await desk.look() == [event_id(CASE, 1), "c-1"], "a partition was never read"
        (_, early, after, _) = await desk.all(4)
        await desk.handle(early)
        assert await desk.look() == [event_id(CASE, 1), "c-1"], "what follows may be from before"
        # up to a record appended after the due date: nothing from before it can still be waiting
        await desk.handle(after)
        before = clock.now()
        assert await desk.look() == [event_id(CASE, 1), "c-1", id_of("accept", due)]
        (row,) = await desk.one.fetch(
            "SELECT time FROM journal WHERE stream = $1 AND version = 3", str(STREAM)
        )
        assert due < before <= row["time"] <= clock.now(), "now is the time of firing"
        shown = desk.one.house.metrics.registry.get_sample_value
        assert shown("lianhu_deadlines_fired_total", {"kind": "accept"}) == 1


async def test_a_deadline_that_is_not_due_yet_does_not_fire(
    make_database: MakeDatabase, broker: str, tmp_path: Path
) -> None:
    async with office(make_database, broker, tmp_path) as desk:
        due = utc_now() + timedelta(hours=1)
        await desk.open("accept", due)
        assert await desk.look() == [event_id(CASE, 1), "c-1"]
        await desk.move(timedelta(hours=1), utc_now())
        assert await desk.look() == [event_id(CASE, 1), "c-1", id_of("accept", due)]


async def test_a_deaf_rule_is_asked_once_and_not_in_a_loop(
    make_database: MakeDatabase, broker: str, tmp_path: Path
) -> None:
    async with office(make_database, broker, tmp_path) as desk:
        one = desk.one
        due = utc_now() + timedelta(hours=1)
        await desk.open("x", due)
        toy = one.house.workflow
        assert isinstance(toy, Toy)
        toy.does["x"] = "deaf"
        await desk.move(timedelta(hours=2), utc_now())
        for _ in range(3):
            assert len(await desk.look()) == 2
        assert toy.decided.count(id_of("x", due)) == 1
        put_off = await next_due(one)
        now = one.house.clock.now()
        assert put_off is not None
        assert now < put_off <= now + 10 * MINUTE
        toy.does.clear()
        await desk.move(10 * MINUTE, utc_now())
        assert (await desk.look())[2:] == [id_of("x", due)]
        text = await one.state(STREAM)
        assert text is not None
        assert json.loads(text)["timers"] == []


async def test_many_that_are_due_fire_in_small_transactions_under_one_look(
    make_database: MakeDatabase, broker: str, tmp_path: Path
) -> None:
    cases = [f"440304-2026-{n:06}" for n in range(1, 251)]
    async with office(make_database, broker, tmp_path) as desk:
        one, due = desk.one, utc_now() + timedelta(hours=1)
        await one.take(*(event(case, 1, at=utc_now()) for case in cases))
        text = timer("accept", due)
        await desk.send(*(command(case, f"c-{n}", text) for n, case in enumerate(cases)))
        await desk.handle(*await desk.all(250))
        await desk.move(timedelta(hours=2), utc_now())
        before = len(one.done)
        await desk.look()
        assert [len(done.fired) for done in one.done[before:]] == [100, 100, 50]
        assert desk.looks == 1
        assert await one.verify() == []
