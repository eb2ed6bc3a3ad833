"""Two replicas and rows that do not exist yet; locks in one order; keys made while one waits."""

from __future__ import annotations

import asyncio
import json
from base64 import b64encode

import pytest

from lianhu.contracts.intake import ReportAccepted
from lianhu.contracts.mediation import NoteAdded
from lianhu.eventing.batch import Batch
from lianhu.eventing.rules import Rank, Stream, case_stream
from lianhu.eventing.testing import TestEngine, event_record
from lianhu.privacy import DataKey
from tests.conftest import MakeDatabase
from tests.engine_toy import KEYS, Toy, command, engine, engines, event, event_id, report

pytestmark = pytest.mark.infra

CASE = "440304-2026-000001"
STREAM = case_stream(CASE)
MATTER = Stream(Rank.MATTER, "m1")
PERSON = Stream(Rank.PERSON, "p1")


async def written(one: TestEngine, stream: Stream) -> list[str]:
    text = await one.state(stream)
    return [] if text is None else list(json.loads(text)["written"])


async def until_blocked(one: TestEngine) -> None:
    """Until some session of this database waits for a lock."""
    for _ in range(500):
        (row,) = await one.fetch(
            "SELECT count(*) AS waiting FROM pg_stat_activity"
            " WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        if row["waiting"]:
            return
        await asyncio.sleep(0.01)
    raise AssertionError("nobody waits")


async def test_two_replicas_open_one_aggregate(make_database: MakeDatabase) -> None:
    async with engines(make_database, Toy(), 2, "intake") as (one, two):
        for n in range(20):
            where = f"at=matter/m{n}"
            await asyncio.gather(
                one.take(report(f"a-{n}", where, offset=n)),
                two.take(report(f"b-{n}", where, offset=n, partition=1)),
            )
            stream = Stream(Rank.MATTER, f"m{n}")
            assert sorted(await written(one, stream)) == [f"a-{n}", f"b-{n}"]
        assert await one.verify() == []


async def test_the_same_streams_in_opposite_order_never_lock_each_other_up(
    make_database: MakeDatabase,
) -> None:
    async with engines(make_database, Toy(), 2, "intake") as (one, two):
        for turn in range(50):
            # half of the streams are new in each round, the others stand since the first
            places = [f"at=case/{n if n % 2 else f'{turn}-{n}'}" for n in range(8)]
            forth = [
                report(f"a-{turn}-{n}", place, offset=turn * 8 + n)
                for n, place in enumerate(places)
            ]
            back = [
                report(f"b-{turn}-{n}", place, offset=turn * 8 + n, partition=1)
                for n, place in enumerate(reversed(places))
            ]
            await asyncio.gather(one.take(*forth), two.take(*back))  # a deadlock would raise
        (row,) = await one.fetch("SELECT count(*) AS rows FROM journal")
        assert row["rows"] == 2 * 8 * 50


async def test_a_stream_of_a_lower_rank_that_a_state_names_is_locked_in_order(
    make_database: MakeDatabase,
) -> None:
    async with engines(make_database, Toy(), 2, "intake") as (one, two):
        await one.take(report("first", f"at={STREAM} link={MATTER}"))
        for n in range(25):
            # one replica comes from above and must go back, the other takes them in order
            await asyncio.gather(
                one.take(report(f"a-{n}", f"at={STREAM}", offset=1 + n)),
                two.take(report(f"b-{n}", f"at={MATTER} at={STREAM}", offset=n, partition=1)),
            )
        both = [f"{who}-{n}" for who in "ab" for n in range(25)]
        assert sorted(await written(one, MATTER)) == sorted(both)
        assert (await written(one, STREAM))[1:] == await written(one, MATTER)
        retries = one.house.metrics.registry.get_sample_value(
            "lianhu_batch_retries_total", {"cause": "touches-more"}
        )
        assert retries == 25


async def test_a_named_stream_is_handed_over_also_when_a_neighbour_touches_it(
    make_database: MakeDatabase,
) -> None:
    async with engine(make_database, Toy(), "intake") as one:
        await one.take(report("first", f"at={STREAM} link={MATTER}"))
        await one.take(report("a", f"at={STREAM}", offset=1), report("b", f"at={MATTER}", offset=2))
        assert await written(one, MATTER) == ["a", "b"]
        assert await one.parked() == []


async def test_a_stream_that_a_predecessor_in_the_batch_names_is_handed_over(
    make_database: MakeDatabase,
) -> None:
    async with engine(make_database, Toy(), "intake") as one:
        await one.take(
            report("a", f"at={STREAM} link={MATTER}", offset=0),
            report("b", f"at={STREAM}", offset=1),
        )
        assert await written(one, STREAM) == ["a", "b"]
        assert await written(one, MATTER) == ["b"]
        assert await one.verify() == []


async def test_locks_that_are_still_incomplete_are_taken_for_that_message_alone(
    make_database: MakeDatabase,
) -> None:
    async with engine(make_database, Toy(), "intake") as one:
        envelope = Stream(Rank.ENVELOPE, "e1")
        await one.take(
            report("1", f"at={PERSON} link={envelope}", offset=0),
        )
        await one.take(report("2", f"at={MATTER} link={PERSON}", offset=1))
        await one.take(report("3", f"at={STREAM} link={MATTER}", offset=2))
        size = len(one.done)
        await one.take(
            report("4", "at=case/x", offset=3),
            report("5", f"at={STREAM}", offset=4),
            report("6", "at=case/x", offset=5),
        )
        assert [len(done.outcomes) for done in one.done[size:]] == [1, 1, 1]
        for stream in (STREAM, MATTER, PERSON, envelope):
            assert (await written(one, stream))[-1] == "5"
        assert await written(one, Stream(Rank.CASE, "x")) == ["4", "6"]
        assert await one.parked() == []


async def test_a_command_creates_no_case(make_database: MakeDatabase) -> None:
    async with engine(make_database, Toy()) as one:
        await one.take(command(CASE, "c-1"))
        assert await one.parked() == [("awaiting", str(STREAM))]
        assert await one.fetch("SELECT * FROM aggregates") == []
        known = "440304-2026-000002"
        await one.take(event(known, 1))
        await one.take(command(known, "c-2", "at=case/new", offset=1))
        assert await one.fetch("SELECT stream FROM aggregates WHERE stream LIKE '%/new'") == []
        assert ("poison", f"case/{known}") in await one.parked()


async def test_a_command_creates_what_is_no_case(make_database: MakeDatabase) -> None:
    async with engine(make_database, Toy()) as one:
        await one.take(event(CASE, 1))
        pool = Stream(Rank.POOL, "relief/440304000000/2026")
        await one.take(command(CASE, "c-1", f"at={pool} at=claim/new", offset=1))
        assert await written(one, pool) == ["c-1"]
        assert await written(one, Stream(Rank.CLAIM, "new")) == ["c-1"]
        assert await one.parked() == []


async def notes(one: TestEngine) -> list[NoteAdded]:
    rows = await one.fetch("SELECT body FROM journal WHERE type = $1 ORDER BY seq", NoteAdded.type_)
    return [NoteAdded.model_validate_json(row["body"]) for row in rows]


async def test_the_key_that_came_with_an_event_seals_what_is_decided_about_it(
    make_database: MakeDatabase,
) -> None:
    toy = Toy()
    toy.does[event_id(CASE, 1)] = "seal"
    key = DataKey.new(str(STREAM))
    async with engine(make_database, toy) as one:
        await one.take(event(CASE, 1, datakey=b64encode(KEYS.wrap(key)).decode()))
        (note,) = await notes(one)
        assert note.note.reveal(lambda _: key) == "zhang san"
        (row,) = await one.fetch("SELECT wrapped FROM case_keys WHERE id = $1", str(STREAM))
        assert KEYS.unwrap(str(STREAM), row["wrapped"]).key == key.key
        assert await written(one, STREAM) == ["sealed", event_id(CASE, 1)]
        assert "zhang" not in repr(await one.fetch("SELECT * FROM journal, aggregates"))


async def test_a_key_made_while_another_replica_waits_is_the_key_of_both(
    make_database: MakeDatabase,
) -> None:
    toy = Toy()
    toy.does["c-1"] = "seal"
    async with engines(make_database, toy, 2) as (one, two):
        # the row stands, without a key
        nothing = ReportAccepted(receipt="0" * 32, report=None)
        await one.take(event_record("intake", nothing, STREAM, 1))
        key = DataKey.new(str(STREAM))
        second = event(CASE, 2, datakey=b64encode(KEYS.wrap(key)).decode())
        async with one.pool.acquire() as connection:
            transaction = connection.transaction()
            await transaction.start()
            await Batch(one.house, connection, [one.reader.read(second)]).run()
            late = asyncio.create_task(two.take(command(CASE, "c-1")))
            await until_blocked(two)
            await transaction.commit()
        await late
        (note,) = await notes(one)
        assert note.note.reveal(lambda _: key) == "zhang san"
        assert await one.parked() == []
