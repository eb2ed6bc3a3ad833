"""Who is the same person: one reference for one identity, also for two replicas at once."""

from __future__ import annotations

import asyncio
import json

import pytest

from lianhu.eventing import persons
from lianhu.eventing.batch import Batch
from lianhu.eventing.rules import Rank, Stream
from lianhu.eventing.testing import FakeRecord, TestEngine
from lianhu.privacy import BlindIndex, DataKey
from tests.conftest import MakeDatabase
from tests.engine_toy import Toy, again, engine, engines, report

pytestmark = pytest.mark.infra

ROUNDS = 30


def about(id_: str, *people: str, offset: int = 0, partition: int = 0) -> FakeRecord:
    """A report that speaks of people, each `kind:value`."""
    text = " ".join(f"who={person}" for person in people)
    return report(id_, text, offset=offset, partition=partition)


async def written(one: TestEngine) -> dict[str, list[str]]:
    """What was written about each person, by reference."""
    rows = await one.fetch(
        "SELECT stream, state FROM aggregates WHERE stream LIKE 'person/%' AND state IS NOT NULL"
    )
    return {row["stream"]: json.loads(row["state"])["written"] for row in rows}


async def references(one: TestEngine) -> dict[bytes, str]:
    rows = await one.fetch("SELECT index, ref FROM person_refs")
    return {row["index"]: row["ref"] for row in rows}


async def test_the_same_identity_leads_to_the_same_person(make_database: MakeDatabase) -> None:
    async with engine(make_database, Toy(), "intake") as one:
        await one.take(about("a", "phone:1"), about("b", "phone:2", offset=1))
        await one.take(about("c", "phone:1", offset=2))
        assert sorted((await written(one)).values()) == [["a", "c"], ["b"]]


async def test_two_kinds_of_one_value_are_two_people(make_database: MakeDatabase) -> None:
    async with engine(make_database, Toy(), "intake") as one:
        await one.take(about("a", "phone:1", "document:1"))
        assert list((await written(one)).values()) == [["a"], ["a"]]


async def test_two_replicas_that_meet_somebody_at_once_find_one_person(
    make_database: MakeDatabase,
) -> None:
    async with engines(make_database, Toy(), 2, "intake") as (one, two):
        for n in range(ROUNDS):
            people = [f"phone:{n}-{k}" for k in range(5)]
            await asyncio.gather(
                one.take(about(f"a-{n}", *people, offset=n)),
                two.take(about(f"b-{n}", *reversed(people), offset=n, partition=1)),
            )
        found = await written(one)
        assert len(found) == 5 * ROUNDS == len(await references(one))
        for ids in found.values():
            (first, second) = sorted(ids)
            assert (first[0], second[0], first[1:]) == ("a", "b", second[1:])
        assert await one.parked() == []
        assert await one.verify() == []


async def test_many_looks_in_any_order_never_lock_each_other_up(
    make_database: MakeDatabase,
) -> None:
    async with engines(make_database, Toy(), 2, "intake") as replicas:
        pools = [one.pool for one in replicas]
        for n in range(ROUNDS):
            indexes = [b"%d-%d" % (n, k) for k in range(40)]

            async def look(turn: int, names: list[bytes] = indexes) -> dict[bytes, str]:
                order = names[turn:] + names[:turn]
                async with pools[turn % 2].acquire() as connection:
                    return await persons.find(connection, order)

            found = await asyncio.gather(*(look(turn) for turn in range(8)))
            assert all(one == found[0] for one in found)
            assert len(set(found[0].values())) == 40


async def test_a_reference_outlives_a_batch_that_is_tried_again(
    make_database: MakeDatabase,
) -> None:
    toy = Toy()
    async with engine(make_database, toy, "intake") as one:
        # one breaks the transaction, so that all are tried again, one by one
        toy.does["bad"] = "unwritable"
        await one.take(
            about("a", "phone:1"),
            about("bad", "phone:2", offset=1),
            about("c", "phone:1", offset=2),
        )
        assert toy.decided.count("a") > 1
        assert list((await written(one)).values()) == [["a", "c"]]
        before = await references(one)
        assert len(before) == 1
        toy.does.clear()
        (letter,) = await one.fetch("SELECT letter FROM parked")
        await one.replay(letter["letter"])
        await one.drain()
        assert before.items() < (await references(one)).items()
        assert sorted((await written(one)).values()) == [["a", "c"], ["bad"]]


async def test_a_reference_outlives_a_transaction_that_never_committed(
    make_database: MakeDatabase,
) -> None:
    async with engine(make_database, Toy(), "intake") as one:
        record = about("a", "phone:1")
        first, second = one.reader.read(record), one.reader.read(record)
        await one.engine._identify([first])
        async with one.pool.acquire() as connection:
            transaction = connection.transaction()
            await transaction.start()
            await Batch(one.house, connection, [first]).run()
            await transaction.rollback()
        await one.handle([second])
        assert second.ids.persons == first.ids.persons
        assert [*await written(one)] == [f"person/{first.ids.person('0')}"]


async def test_another_release_with_the_same_key_finds_the_same_person(
    make_database: MakeDatabase,
) -> None:
    toy = Toy()
    async with engine(make_database, toy, "intake") as one:
        url = str(one.house.settings.database_url)
        await one.take(about("a", "phone:1"))
        async with again(url, toy, 1, "intake") as (later,):
            await later.take(about("b", "phone:1", offset=1))
        assert list((await written(one)).values()) == [["a", "b"]]


async def test_who_is_forgotten_is_found_no_more_and_is_another_later(
    make_database: MakeDatabase,
) -> None:
    toy = Toy()
    toy.does["last"] = "forget"
    async with engine(make_database, toy, "intake") as one:
        await one.take(about("a", "phone:1", offset=0), about("b", "phone:2", offset=1))
        before = await references(one)
        (row,) = await one.fetch("SELECT stream FROM journal WHERE causation = 'a'")
        gone = row["stream"].removeprefix("person/")
        await one.take(about("last", "phone:1", offset=2))
        after = await references(one)
        assert set(before.values()) - set(after.values()) == {gone}
        await one.take(about("c", "phone:1", offset=3))
        found = await written(one)
        assert found[f"person/{gone}"] == ["a", "person-forgotten", "last"]
        assert sorted(found.values()) == [["a", "person-forgotten", "last"], ["b"], ["c"]]
        assert await one.verify() == []


async def test_nobody_is_forgotten_by_a_transaction_that_never_committed(
    make_database: MakeDatabase,
) -> None:
    toy = Toy()
    toy.does["last"] = "forget"
    async with engine(make_database, toy, "intake") as one:
        await one.take(about("a", "phone:1"))
        before = await references(one)
        record = one.reader.read(about("last", "phone:1", offset=1))
        await one.engine._identify([record])
        async with one.pool.acquire() as connection:
            transaction = connection.transaction()
            await transaction.start()
            await Batch(one.house, connection, [record]).run()
            assert await connection.fetch("SELECT * FROM person_refs") == []
            await transaction.rollback()
        assert await references(one) == before


async def test_who_is_forgotten_between_the_look_and_the_locks_is_looked_up_again(
    make_database: MakeDatabase,
) -> None:
    toy = Toy()
    toy.does["last"] = "forget"
    async with engines(make_database, toy, 2, "intake") as (one, two):
        await one.take(about("a", "phone:1", offset=0))
        (old,) = (await references(one)).values()
        late = two.reader.read(about("late", "phone:1", offset=2))
        await two.engine._identify([late])
        assert late.ids.person("0") == old
        await one.take(about("last", "phone:1", offset=1))
        await two.handle([late])
        (new,) = (await references(one)).values()
        assert new != old
        assert await written(one) == {
            f"person/{old}": ["a", "person-forgotten", "last"],
            f"person/{new}": ["late"],
        }
        assert two.house.metrics.registry.get_sample_value(
            "lianhu_batch_retries_total", {"cause": "references"}
        )


async def test_of_whom_nothing_was_written_nothing_is_kept(make_database: MakeDatabase) -> None:
    toy = Toy()
    toy.does |= {"no": "refuse", "bad": "poison"}
    async with engine(make_database, toy, "intake") as one:
        await one.take(about("a", "phone:1"))
        known = await references(one)
        refused = about("no", "phone:1", "phone:2", offset=1)
        await one.take(refused, about("bad", "phone:3", offset=2))
        assert await references(one) == known, "who is known stays, the others are forgotten"
        await one.take(refused)
        assert await references(one) == known, "also when it comes again"
        # together with one that is taken, in one batch
        await one.take(about("no", "phone:2", offset=3), about("b", "phone:2", offset=4))
        assert len(await references(one)) == 2
        assert sorted((await written(one)).values()) == [["a"], ["b"]]
        assert await one.verify() == []


async def test_refused_by_one_replica_and_taken_by_the_other_at_once(
    make_database: MakeDatabase,
) -> None:
    toy = Toy()
    toy.does |= {f"no-{n}": "refuse" for n in range(ROUNDS)}
    async with engines(make_database, toy, 2, "intake") as (one, two):
        for n in range(ROUNDS):
            people = [f"phone:{n}-{k}" for k in range(3)]
            await asyncio.gather(
                one.take(about(f"no-{n}", *people, offset=n)),
                two.take(about(f"b-{n}", *reversed(people), offset=n, partition=1)),
            )
            await two.take(about(f"c-{n}", *people, offset=ROUNDS + n, partition=1))
        found = await written(one)
        assert len(found) == 3 * ROUNDS == len(await references(one))
        assert {f"person/{ref}" for ref in (await references(one)).values()} == found.keys()
        assert all(len(ids) == 2 for ids in found.values()), "what is written is found again"
        assert await one.verify() == []


async def test_somebody_nobody_can_be_identified_by_does_not_stop_the_neighbours(
    make_database: MakeDatabase,
) -> None:
    toy = Toy()
    toy.does["bad"] = "identify-raise"
    async with engine(make_database, toy, "intake") as one:
        await one.take(
            about("a", "phone:1"),
            about("bad", "phone:2", offset=1),
            about("c", "phone:3", offset=2),
        )
        assert sorted((await written(one)).values()) == [["a"], ["c"]]
        assert [reason for reason, _ in await one.parked()] == ["poison"]


async def test_nothing_that_identifies_anybody_is_stored(make_database: MakeDatabase) -> None:
    async with engine(make_database, Toy(), "intake") as one:
        await one.take(about("a", "phone:+8613800138000"))
        ((index, ref),) = (await references(one)).items()
        assert len(index) == 32
        assert len(ref) == 32
        int(ref, 16)
        assert index == one.house.index.of("phone", "+8613800138000")
        stranger = BlindIndex(DataKey.new("index/persons"))
        assert index != stranger.of("phone", "+8613800138000")
        other = BlindIndex(one.house.service_key)
        assert index != other.of("phone", "+8613800138000")
        stream = Stream(Rank.PERSON, ref)
        for table in ("person_refs", "inbox", "case_keys"):
            rows = await one.fetch(f"SELECT t::text AS line FROM {table} AS t")
            assert not any("13800138000" in row["line"] for row in rows)
        assert await one.types(stream) == ["report-accepted"]
