"""A failing message is alone in its failure; a bad release parks at most the limit."""

from __future__ import annotations

import json
from collections.abc import Sequence

import asyncpg
import pytest

from lianhu.eventing import journal
from lianhu.eventing.delivery import Outcome
from lianhu.eventing.errors import LimitReached, passes
from lianhu.eventing.rules import Rank, Stream, case_stream
from lianhu.eventing.testing import TestEngine
from tests.conftest import MakeDatabase
from tests.engine_toy import Toy, again, command, emptied, engine, event, event_id, report

pytestmark = pytest.mark.infra

CASE = "440304-2026-000001"
STREAM = case_stream(CASE)


async def written(one: TestEngine, stream: Stream = STREAM) -> list[str]:
    text = await one.state(stream)
    return [] if text is None else list(json.loads(text)["written"])


def batches(one: TestEngine) -> list[int]:
    return [len(done.outcomes) for done in one.done]


async def reasons(one: TestEngine) -> list[str]:
    return [reason for reason, _ in await one.parked()]


async def test_a_message_sees_the_state_as_its_predecessors_in_the_batch_left_it(
    make_database: MakeDatabase,
) -> None:
    async with engine(make_database, Toy()) as one:
        await one.take(
            event(CASE, 1),
            *(command(CASE, f"c-{n}", offset=n) for n in range(5)),
            event(CASE, 2),
        )
        expected = [event_id(CASE, 1), *(f"c-{n}" for n in range(5)), event_id(CASE, 2)]
        assert await written(one) == expected
        assert batches(one) == [7]
        rows = await one.fetch("SELECT version FROM journal ORDER BY seq")
        assert [row["version"] for row in rows] == [1, 2, 3, 4, 5, 6, 7]


@pytest.mark.parametrize("what", ["raise", "poison", "touch-raise", "touch-other"])
async def test_a_failure_in_memory_changes_nothing_and_touches_nobody(
    make_database: MakeDatabase, what: str
) -> None:
    toy = Toy()
    toy.does["bad"] = what
    async with engine(make_database, toy, "intake") as one:
        await one.take(
            report("a", f"at={STREAM}", offset=0),
            report("bad", f"at={STREAM} at=matter/m1", offset=1),
            report("b", f"at={STREAM}", offset=2),
        )
        assert batches(one) == [3], "no transaction was tried again"
        assert await written(one) == ["a", "b"]
        assert await written(one, Stream(Rank.MATTER, "m1")) == []
        assert await reasons(one) == ["poison"]
        assert await one.verify() == []


async def test_rules_that_fail_over_a_state_are_a_failure_of_that_message(
    make_database: MakeDatabase,
) -> None:
    class Stumbling(Toy):
        def touches_more(self, message, states):  # type: ignore[no-untyped-def]
            if message.id == "bad":
                raise RuntimeError("a toy fell")
            return super().touches_more(message, states)

    async with engine(make_database, Stumbling(), "intake") as one:
        await one.take(
            *(report(id_, f"at={STREAM}", offset=n) for n, id_ in enumerate(("a", "bad", "b")))
        )
        assert batches(one) == [3]
        assert await written(one) == ["a", "b"]
        assert await reasons(one) == ["poison"]


@pytest.mark.parametrize("what", ["unwritable", "touch-nul"])
async def test_what_the_database_refuses_is_found_one_by_one_and_parked_alone(
    make_database: MakeDatabase, what: str
) -> None:
    toy = Toy()
    toy.does["bad"] = what
    async with engine(make_database, toy, "intake") as one:
        await one.take(
            *(report(id_, f"at={STREAM}", offset=n) for n, id_ in enumerate(("a", "bad", "b")))
        )
        assert batches(one) == [1, 1, 1]
        assert await written(one) == ["a", "b"]
        (row,) = await one.fetch("SELECT reason, faults FROM parked")
        assert row["reason"] == "poison"
        assert json.loads(row["faults"]) == [{"path": "", "slug": "breaks-its-transaction"}]
        assert await one.verify() == []


async def test_an_error_of_a_moment_that_nobody_knows_parks_nothing(
    make_database: MakeDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    append, failed = journal.append, list[BaseException]()

    async def once(connection: asyncpg.Connection, rows: Sequence[journal.Row]) -> None:
        if not failed:
            failed.append(RuntimeError("cache lookup failed for function 4711"))
            raise failed[0]
        await append(connection, rows)

    async with engine(make_database, Toy()) as one:
        monkeypatch.setattr(journal, "append", once)
        await one.take(event(CASE, 1))
        assert failed
        assert await written(one) == [event_id(CASE, 1)]
        assert await one.parked() == []


async def test_a_value_that_cannot_be_sent_is_no_passing_error(
    make_database: MakeDatabase,
) -> None:
    async with engine(make_database, Toy()) as one:
        # taken for a lost connection, its batch would be tried for ever
        with pytest.raises(asyncpg.DataError) as never:
            await one.fetch("SELECT $1::integer", 2**40)
        assert not passes(never.value)
        with pytest.raises(asyncpg.PostgresError) as gone:
            await one.fetch("SELECT pg_terminate_backend(pg_backend_pid())")
        assert passes(gone.value)


async def test_an_error_before_the_decision_is_remembered_when_the_batch_is_tried_again(
    make_database: MakeDatabase,
) -> None:
    toy = Toy()
    toy.does |= {"bad": "touch-raise", event_id(CASE, 2): "touch-raise", "worse": "unwritable"}
    async with engine(make_database, toy) as one:
        await one.take(
            event(CASE, 1),
            command(CASE, "bad", offset=0),
            event(CASE, 2),
            command(CASE, "worse", offset=1),
        )
        assert await written(one) == [event_id(CASE, 1)]
        assert set(toy.decided) == {event_id(CASE, 1), "worse"}
        assert await reasons(one) == ["poison", "poison", "poison"]


async def test_a_refusal_of_the_rules_takes_a_place_in_the_case_and_changes_nothing(
    make_database: MakeDatabase,
) -> None:
    toy = Toy()
    toy.does["no"] = "refuse"
    async with engine(make_database, toy) as one:
        await one.take(
            event(CASE, 1), command(CASE, "no", offset=0), command(CASE, "yes", offset=1)
        )
        assert await written(one) == [event_id(CASE, 1), "yes"]
        assert await one.types(STREAM) == ["report-accepted", "message-refused", "report-accepted"]
        (row,) = await one.fetch(
            "SELECT body, causation, answers FROM journal WHERE type LIKE '%refused.v1'"
        )
        assert (row["causation"], row["answers"]) == ("no", "officers-shenzhen")
        told = json.loads(row["body"])
        assert told["faults"] == [{"path": "/note", "slug": "toy-says-no"}]
        assert told["message"] == "no"
        assert await one.parked() == [("refused", str(STREAM))]


# the limit


async def test_invalid_input_of_a_publisher_never_counts(make_database: MakeDatabase) -> None:
    toy = Toy()
    async with engine(make_database, toy) as one:
        await one.take(event(CASE, 1))
        for turn in range(3):
            await one.take(
                *(
                    command(CASE, f"c-{turn}-{n}", offset=100 * turn + n, source="lianhu")
                    for n in range(100)
                )
            )
        assert one.outcomes().count(Outcome.REFUSED) == 300
        # and it does not hide failures either: those still stand in a row
        mixed = []
        for n in range(21):
            toy.does[f"bad-{n}"] = "raise"
            mixed.append(event(f"440304-2026-{n + 10:06d}", 1, offset=50 + n))
            toy.does[event_id(f"440304-2026-{n + 10:06d}", 1)] = "raise"
            mixed.append(command(CASE, f"c-x-{n}", offset=900 + n, source="lianhu"))
        with pytest.raises(LimitReached):
            await one.take(*mixed)


async def test_a_bad_release_parks_at_most_the_limit_and_loses_nothing(
    make_database: MakeDatabase,
) -> None:
    toy = Toy()
    cases = [f"440304-2026-{n:06d}" for n in range(60)]
    records = [event(case, 1, offset=n) for n, case in enumerate(cases)]
    for case in cases:
        toy.does[event_id(case, 1)] = "raise"
    url = await emptied(make_database, "mediation")
    async with again(url, toy) as (one,):
        with pytest.raises(LimitReached):
            await one.take(*records)
        assert await one.parked() == []
        assert await one.fetch("SELECT * FROM journal") == []
        assert await one.fetch("SELECT * FROM progress") == [], "the batch will come again"
        for record in records[:20]:
            await one.take(record)
        with pytest.raises(LimitReached):
            await one.take(records[20])
        assert await reasons(one) == ["poison"] * 20
        (row,) = await one.fetch('SELECT "offset" FROM progress')
        assert row["offset"] == 20
        for _ in range(3):
            with pytest.raises(LimitReached):
                await one.take(*records[20:])
        assert len(await one.parked()) == 20
    # the next release is good: the rest goes on, the parked ones by the operator
    toy.does.clear()
    async with again(url, toy) as (one,):
        await one.take(*records)
        letters = [row["letter"] for row in await one.fetch("SELECT letter FROM parked")]
        assert len(letters) == 20
        assert len(await one.fetch("SELECT * FROM aggregates WHERE state IS NOT NULL")) == 60
        await one.replay(*letters)
        await one.drain()
        assert await one.parked() == []
        for case in cases:
            assert await written(one, case_stream(case)) == [event_id(case, 1)]


async def test_a_share_of_failures_is_too_much_too(make_database: MakeDatabase) -> None:
    toy = Toy()
    cases = [f"440304-2026-{n:06d}" for n in range(250)]
    for case in cases[1::4]:
        toy.does[event_id(case, 1)] = "raise"
    async with engine(make_database, toy) as one:
        with pytest.raises(LimitReached):
            await one.take(*(event(case, 1, offset=n) for n, case in enumerate(cases)))
        assert one.house.stands_still
        await one.take(*(event(case, 1, offset=n) for n, case in enumerate(cases[:160])))
        assert not one.house.stands_still


async def test_events_that_only_wait_do_not_count(make_database: MakeDatabase) -> None:
    async with engine(make_database, Toy()) as one:
        await one.take(*(event(CASE, n) for n in range(2, 60)))
        assert (await reasons(one)).count("behind") == 57
        await one.take(*(command("440304-2026-000009", f"c-{n}", offset=n) for n in range(60)))
        assert (await reasons(one)).count("awaiting") == 60
