"""A deadline locks what its message names: by itself, by the states, in rank order, no more."""

from __future__ import annotations

import asyncio
import json
from datetime import datetime, timedelta

import pytest

from lianhu.eventing.batch import Batch
from lianhu.eventing.rules import Rank, Stream, case_stream
from lianhu.eventing.testing import START, TestEngine
from tests.conftest import MakeDatabase
from tests.engine_toy import Toy, command, engine, engines, event, event_id
from tests.wire import until

pytestmark = pytest.mark.infra

CASE = "440304-2026-000001"
STREAM = case_stream(CASE)
MATTER, POOL = Stream(Rank.MATTER, "m1"), Stream(Rank.POOL, "p1")
"""One that is locked before a case, one that is locked after it."""
DUE = START + timedelta(days=1)
LATER = DUE + timedelta(hours=3)


def timer(named: Stream, due: datetime = DUE) -> str:
    return f"timer=at:{named}@{due.isoformat()}"


def id_of(named: Stream, due: datetime = DUE) -> str:
    return f"{STREAM}:at:{named}:{due.isoformat()}"


async def written(one: TestEngine, stream: Stream) -> list[str]:
    text = await one.state(stream)
    return [] if text is None else list(json.loads(text)["written"])


async def rows(one: TestEngine) -> set[str]:
    """Every stream that has a row, be it an empty one."""
    return {row["stream"] for row in await one.fetch("SELECT stream FROM aggregates")}


@pytest.mark.parametrize("named", [MATTER, POOL], ids=str)
async def test_a_deadline_is_decided_with_what_its_message_names(
    make_database: MakeDatabase, named: Stream
) -> None:
    async with engine(make_database, Toy()) as one:
        await one.take(event(CASE, 1), command(CASE, "c-1", timer(named)))
        assert str(named) not in await rows(one), "until it fires nobody asks for it"
        await one.fire(LATER, STREAM)
        assert await written(one, STREAM) == [event_id(CASE, 1), "c-1", id_of(named)]
        assert await written(one, named) == [id_of(named)]
        shown = one.house.metrics.registry.get_sample_value
        assert shown("lianhu_batch_retries_total", {"cause": "touches-more"}) == 1
        assert await one.verify() == []


async def test_a_deadline_is_decided_with_what_the_states_name_too(
    make_database: MakeDatabase,
) -> None:
    async with engine(make_database, Toy()) as one:
        await one.take(event(CASE, 1), command(CASE, "c-1", f"{timer(POOL)} link={MATTER}"))
        await one.fire(LATER, STREAM)
        for stream in (STREAM, POOL, MATTER):
            assert (await written(one, stream))[-1] == id_of(POOL)
        assert await one.verify() == []


async def test_what_a_deadline_names_is_not_asked_for_before_its_own_time(
    make_database: MakeDatabase,
) -> None:
    async with engine(make_database, Toy()) as one:
        text = f"{timer(POOL)} {timer(MATTER, LATER + timedelta(microseconds=1))}"
        await one.take(event(CASE, 1), command(CASE, "c-1", text))
        await one.fire(LATER, STREAM)
        assert await written(one, POOL) == [id_of(POOL)]
        assert await rows(one) == {str(STREAM), str(POOL)}


async def test_deadlines_of_one_stream_that_each_name_another_fire_one_after_the_other(
    make_database: MakeDatabase,
) -> None:
    pools = [Stream(Rank.POOL, f"p{n:02}") for n in range(16)]
    async with engine(make_database, Toy()) as one:
        await one.take(event(CASE, 1), command(CASE, "c-1", " ".join(map(timer, pools))))
        for _ in pools:
            await one.fire(LATER, STREAM)
        assert (await written(one, STREAM))[2:] == [id_of(pool) for pool in pools]
        for pool in pools:
            assert await written(one, pool) == [id_of(pool)], "each is handed its own"
        assert await one.verify() == []


async def test_a_case_that_is_not_known_is_not_made_by_a_deadline_that_names_it(
    make_database: MakeDatabase,
) -> None:
    unknown = case_stream("440304-2026-000002")
    async with engine(make_database, Toy()) as one:
        await one.take(event(CASE, 1), command(CASE, "c-1", timer(unknown)))
        await one.fire(LATER, STREAM)
        assert await rows(one) == {str(STREAM)}
        assert one.done[-1].failures == [True]
        assert await written(one, STREAM) == [event_id(CASE, 1), "c-1"]


@pytest.mark.parametrize("named", [MATTER, POOL], ids=str)
async def test_a_deadline_waits_for_whoever_holds_what_it_names(
    make_database: MakeDatabase, named: Stream
) -> None:
    async with engines(make_database, Toy(), 2) as (one, two):
        await one.take(event(CASE, 1), command(CASE, "c-1", timer(named)))
        other = "440304-2026-000002"
        await one.take(event(other, 1))
        holder = one.reader.read(command(other, "c-2", f"at={named}", offset=1))
        async with one.pool.acquire() as connection:
            transaction = connection.transaction()
            await transaction.start()
            await Batch(one.house, connection, [holder]).run()
            firing = asyncio.create_task(two.fire(LATER, STREAM))

            async def waits() -> int:
                (row,) = await two.fetch(
                    "SELECT count(*) AS waiting FROM pg_stat_activity"
                    " WHERE datname = current_database() AND wait_event_type = 'Lock'"
                )
                return int(row["waiting"])

            await until(waits, "the deadline to wait for the lock")
            await transaction.commit()
        await firing
        assert await written(one, named) == ["c-2", id_of(named)]
        assert await one.verify() == []


async def test_deadlines_that_name_a_lower_rank_never_lock_each_other_up(
    make_database: MakeDatabase,
) -> None:
    rounds = 25
    async with engines(make_database, Toy(), 2) as (one, two):
        await one.take(event(CASE, 1))
        for n in range(rounds):
            # the deadline comes from above and must go back, the command takes them in order
            await one.take(command(CASE, f"t-{n}", timer(MATTER), offset=2 * n))
            await asyncio.gather(
                one.fire(LATER, STREAM),
                two.take(command(CASE, f"c-{n}", f"at={MATTER}", offset=2 * n + 1)),
            )
        found = await written(one, MATTER)
        assert found.count(id_of(MATTER)) == rounds
        assert [id_ for id_ in found if id_ != id_of(MATTER)] == [f"c-{n}" for n in range(rounds)]
        assert await one.parked() == []
        assert await one.verify() == []
