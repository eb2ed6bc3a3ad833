"""Time in the engine: by the broker's append, moved by the table `clock`, never backwards."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from lianhu.contracts.faults import Refused
from lianhu.eventing.clock import Clock, advance
from lianhu.eventing.rules import case_stream
from lianhu.eventing.testing import START, FakeRecord, TestEngine
from tests.conftest import MakeDatabase
from tests.engine_toy import Toy, command, engine, event

pytestmark = pytest.mark.infra

CASE = "440304-2026-000001"
STREAM = case_stream(CASE)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


async def move(one: TestEngine, by: timedelta, start: datetime) -> timedelta:
    """As the operator's command does it."""
    async with one.pool.acquire() as connection:
        return await advance(connection, by, start)


async def take(one: TestEngine, *records: FakeRecord) -> None:
    """A batch as a running service takes it: what moved time is read first."""
    async with one.pool.acquire() as connection:
        await one.house.clock.refresh(connection)
    await one.take(*records)


async def times(one: TestEngine) -> list[tuple[str, datetime]]:
    rows = await one.fetch("SELECT causation, time FROM journal ORDER BY seq")
    return [(row["causation"], row["time"]) for row in rows]


def hourly(count: int) -> Sequence[FakeRecord]:
    """Commands on one case, appended an hour apart."""
    return [command(CASE, f"c-{n}", offset=n, at=START + n * HOUR) for n in range(count)]


async def test_records_are_moved_by_the_time_of_their_append(make_database: MakeDatabase) -> None:
    opened = event(CASE, 1)
    records = hourly(6)
    async with engine(make_database, Toy()) as one:
        await take(one, opened, *records[:2])
        # the third record was appended before time is moved, the fourth at that very moment
        await move(one, 3 * DAY, START + 3 * HOUR)
        await take(one, *records[2:5])
        await move(one, 7 * DAY, START + 5 * HOUR)
        await take(one, *records[5:])
        live = (await times(one))[1:]
        ahead = [0, 0, 0, 3, 3, 10]
        assert live == [(f"c-{n}", START + n * HOUR + days * DAY) for n, days in enumerate(ahead)]
        moves = await one.fetch("SELECT from_at, ahead FROM clock ORDER BY from_at")
    async with engine(make_database, Toy()) as other:
        # once more on an empty database: all moves are known from the start, in one batch
        for row in moves:
            await other.fetch("INSERT INTO clock VALUES ($1, $2)", row["from_at"], row["ahead"])
        await take(other, opened, *records)
        assert (await times(other))[1:] == live


async def test_a_record_that_comes_again_later_is_not_told_anew_in_another_time(
    make_database: MakeDatabase,
) -> None:
    async with engine(make_database, Toy()) as one:
        await take(one, event(CASE, 1), *hourly(2))
        before = await times(one)
        await move(one, DAY, START + HOUR)
        await take(one, event(CASE, 1), *hourly(2))
        assert await times(one) == before


async def test_an_event_counts_by_its_producer_s_time(make_database: MakeDatabase) -> None:
    """The producer moved it already: it is not moved twice."""
    async with engine(make_database, Toy()) as one:
        await move(one, DAY, START)
        first = event(CASE, 1, at=START + HOUR)
        headers = dict(first.headers) | {"ce_time": (START + 2 * DAY).isoformat().encode()}
        await take(one, replace(first, headers=tuple(headers.items())))
        assert [at for _, at in await times(one)] == [START + 2 * DAY]


async def test_time_in_a_stream_never_goes_back(make_database: MakeDatabase) -> None:
    async with engine(make_database, Toy()) as one:
        await take(one, event(CASE, 1), command(CASE, "c-1", at=START + 5 * HOUR, offset=0))
        # another publisher's partition, read late; then one from before and one from after
        await take(one, command(CASE, "c-2", at=START + HOUR, offset=0, partition=1))
        await take(one, event(CASE, 2, at=START + 2 * HOUR), event(CASE, 3, at=START + 6 * HOUR))
        expected = [START, START + 5 * HOUR, START + 5 * HOUR, START + 5 * HOUR, START + 6 * HOUR]
        assert [at for _, at in await times(one)] == expected
        text = await one.state(STREAM)
        assert text is not None
        assert len(json.loads(text)["written"]) == 5


@pytest.mark.parametrize("by", [timedelta(0), -timedelta(microseconds=1), -DAY])
async def test_time_is_moved_forward_only(make_database: MakeDatabase, by: timedelta) -> None:
    async with engine(make_database, Toy()) as one:
        with pytest.raises(Refused, match="by not-forward"):
            await move(one, by, START)
        assert await one.fetch("SELECT FROM clock") == []


async def test_a_move_lies_behind_all_that_stand(make_database: MakeDatabase) -> None:
    async with engine(make_database, Toy()) as one:
        assert await move(one, DAY, START) == DAY
        for early in (START - HOUR, START):
            with pytest.raises(Refused, match="from before-an-earlier-move"):
                await move(one, DAY, early)
        assert await move(one, 2 * DAY, START + HOUR) == 3 * DAY
        rows = await one.fetch("SELECT from_at, ahead FROM clock ORDER BY from_at")
        assert [tuple(row) for row in rows] == [(START, DAY), (START + HOUR, 3 * DAY)]


async def test_two_who_move_time_at_once_do_not_overlook_each_other(
    make_database: MakeDatabase,
) -> None:
    async with engine(make_database, Toy()) as one:
        starts = [START + n * HOUR for n in (1, 1, 2, 2, 3, 3)]
        told = await asyncio.gather(
            *(move(one, DAY, start) for start in starts), return_exceptions=True
        )
        moved = [ahead for ahead in told if isinstance(ahead, timedelta)]
        assert all(isinstance(one, timedelta | Refused) for one in told)
        assert sorted(moved) == [n * DAY for n in range(1, len(moved) + 1)]
        rows = await one.fetch("SELECT ahead FROM clock ORDER BY from_at")
        assert [row["ahead"] for row in rows] == sorted(moved)


async def test_a_service_whose_time_stands_does_not_look_at_the_table(
    make_database: MakeDatabase,
) -> None:
    async with engine(make_database, Toy()) as one:
        await move(one, DAY, START)
        standing, moving = Clock(movable=False), Clock(movable=True)
        async with one.pool.acquire() as connection:
            for clock in (standing, moving):
                await clock.refresh(connection)
        assert (standing.domain(START), moving.domain(START)) == (START, START + DAY)
