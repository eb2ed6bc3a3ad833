"""States of other releases: older ones are folded anew from the journal, newer ones step aside."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import ClassVar

import pytest
from structlog.testing import capture_logs

from lianhu.contracts.base import Internal
from lianhu.eventing.delivery import Outcome
from lianhu.eventing.errors import ShapeFromTheFuture, Transient
from lianhu.eventing.rules import Deadline, State, Stream, case_stream
from lianhu.eventing.testing import START, TestEngine, open_engine
from tests.conftest import MakeDatabase
from tests.engine_toy import KEYS, STATES, Notes, Toy, again, command, emptied, event, event_id

pytestmark = pytest.mark.infra

CASE, OTHER = "440304-2026-000001", "440304-2026-000002"
STREAM = case_stream(CASE)
DUE = START + timedelta(days=2)
TABLES = ("aggregates", "journal", "inbox", "parked", "progress", "case_keys")


class Counted(Notes):
    """The state of the next release: it also knows how many things were written."""

    SHAPE: ClassVar[int] = 2

    count: int = 0


class Counting(Toy):
    """The rules of the next release. They look at each timer a day earlier, too."""

    def evolve(self, stream: Stream, state: State | None, event: Internal, at: datetime) -> Counted:
        notes = super().evolve(stream, state, event, at)
        fields = {**notes.model_dump(), "count": len(notes.written)}
        return Counted.model_validate(fields)

    def deadlines(self, stream: Stream, state: State) -> Sequence[Deadline]:
        return [
            Deadline(one.kind, one.due - timedelta(days=1))
            for one in super().deadlines(stream, state)
        ]


@asynccontextmanager
async def next_release(url: str) -> AsyncIterator[TestEngine]:
    one = await open_engine("mediation", url, Counting(), dict.fromkeys(STATES, Counted), keys=KEYS)
    try:
        with capture_logs():
            yield one
    finally:
        await one.pool.close()


async def row(one: TestEngine, stream: Stream = STREAM) -> Mapping[str, object]:
    (found,) = await one.fetch("SELECT * FROM aggregates WHERE stream = $1", str(stream))
    return dict(found)


async def everything(one: TestEngine) -> dict[str, list[str]]:
    """Every row of every table."""
    return {
        table: [
            found["line"]
            for found in await one.fetch(f"SELECT t::text AS line FROM {table} AS t ORDER BY 1")
        ]
        for table in TABLES
    }


async def test_a_state_of_an_older_release_is_folded_anew_when_it_is_next_touched(
    make_database: MakeDatabase,
) -> None:
    url = await emptied(make_database, "mediation")
    async with again(url, Toy()) as (old,):
        for n, case in enumerate((CASE, OTHER)):
            text = f"timer=visit@{DUE.isoformat()}"
            await old.take(event(case, 1), command(case, f"c-{n}", text, offset=n))
        assert (await row(old))["shape"] == 1
    async with next_release(url) as new:
        before = await row(new, case_stream(OTHER))
        assert await new.verify() == [], "also while states of both shapes stand there"
        await new.take(command(CASE, "c-2", offset=2))
        touched = await row(new)
        assert touched["shape"] == 2
        state = json.loads(str(touched["state"]))
        assert state["count"] == 3
        assert state["written"] == [event_id(CASE, 1), "c-0", "c-2"]
        assert touched["next_due"] == DUE - timedelta(days=1)
        assert await row(new, case_stream(OTHER)) == before, "nobody touched it"
        assert await new.verify() == []


async def test_it_is_folded_anew_also_by_what_changes_nothing(
    make_database: MakeDatabase,
) -> None:
    url = await emptied(make_database, "mediation")
    async with again(url, Toy()) as (old,):
        await old.take(event(CASE, 1), command(CASE, "c-1", f"timer=visit@{DUE.isoformat()}"))
    async with next_release(url) as new:
        toy = new.house.workflow
        assert isinstance(toy, Toy)
        toy.does["no"] = "refuse"
        await new.take(command(CASE, "no", offset=1))
        assert new.outcomes() == [Outcome.REFUSED]
        touched = await row(new)
        assert (touched["shape"], touched["next_due"]) == (2, DUE - timedelta(days=1))
        assert json.loads(str(touched["state"]))["count"] == 2
        assert await new.verify() == []


async def test_a_deadline_of_an_older_state_fires_by_the_new_rules(
    make_database: MakeDatabase,
) -> None:
    url = await emptied(make_database, "mediation")
    async with again(url, Toy()) as (old,):
        await old.take(event(CASE, 1), command(CASE, "c-1", f"timer=visit@{DUE.isoformat()}"))
    async with next_release(url) as new:
        await new.fire(DUE, STREAM)
        (last,) = await new.fetch("SELECT causation FROM journal ORDER BY seq DESC LIMIT 1")
        assert last["causation"] == f"{STREAM}:visit:{(DUE - timedelta(days=1)).isoformat()}"
        assert (await row(new))["next_due"] is None
        assert await new.verify() == []


async def test_before_a_state_of_a_newer_release_this_one_steps_aside(
    make_database: MakeDatabase,
) -> None:
    url = await emptied(make_database, "mediation")
    async with again(url, Toy()) as (old,):
        await old.take(event(CASE, 1), event(OTHER, 1))
        async with next_release(url) as new:
            await new.take(command(CASE, "c-1", offset=0))
        before = await everything(old)
        batch = [
            command(OTHER, "c-2", offset=1),
            command(CASE, "c-3", offset=2),
            event(OTHER, 2),
        ]
        for _ in range(2):
            with pytest.raises(ShapeFromTheFuture) as aside:
                await old.take(*batch)
            assert isinstance(aside.value, Transient), "it is handed in again, until it is gone"
        with pytest.raises(ShapeFromTheFuture):
            await old.take(event(CASE, 2))
        assert await everything(old) == before, "nothing is written, nor of its neighbours"
        async with next_release(url) as new:
            await new.take(*batch, event(CASE, 2))
            assert new.outcomes() == [Outcome.HANDLED] * 4
            assert await new.verify() == []


async def test_a_deadline_of_a_newer_state_is_left_to_the_newer_release(
    make_database: MakeDatabase,
) -> None:
    url = await emptied(make_database, "mediation")
    async with again(url, Toy()) as (old,):
        async with next_release(url) as new:
            await new.take(event(CASE, 1), command(CASE, "c-1", f"timer=visit@{DUE.isoformat()}"))
        before = await everything(old)
        with pytest.raises(ShapeFromTheFuture):
            await old.fire(DUE, STREAM)
        assert await everything(old) == before


BROKEN = {
    "a body that is no event": "UPDATE journal SET body = '{}' WHERE stream = $1",
    "no JSON": "UPDATE journal SET body = 'x' WHERE stream = $1",
    "an unknown type": "UPDATE journal SET type = 'lianhu.mediation.dreamt.v1' WHERE stream = $1",
}


@pytest.mark.parametrize("what", BROKEN)
async def test_a_journal_that_cannot_be_folded_is_told_of_the_message_that_needs_it(
    make_database: MakeDatabase, what: str
) -> None:
    url = await emptied(make_database, "mediation")
    async with again(url, Toy()) as (old,):
        text = f"timer=visit@{DUE.isoformat()}"
        await old.take(event(CASE, 1), command(CASE, "c-1", text), event(OTHER, 1))
        await old.fetch(BROKEN[what], str(STREAM))
    async with next_release(url) as new:
        before = await row(new)
        with capture_logs() as logged:
            await new.take(
                command(OTHER, "c-2", offset=1),
                command(CASE, "c-3", offset=2),
                event(CASE, 2),
                event(OTHER, 2),
            )
        assert new.outcomes() == [
            Outcome.HANDLED,
            Outcome.PARKED,
            Outcome.PARKED,
            Outcome.HANDLED,
        ]
        parked = await new.fetch("SELECT reason, stream, faults FROM parked ORDER BY id")
        for letter in parked:
            assert (letter["reason"], letter["stream"]) == ("poison", str(STREAM))
            assert json.loads(letter["faults"]) == [{"path": "", "slug": "journal-not-foldable"}]
        (told, *_) = [line for line in logged if line["event"] == "journal cannot be folded"]
        assert told["stream"] == str(STREAM)
        other = json.loads(str((await row(new, case_stream(OTHER)))["state"]))
        assert other["written"] == [event_id(OTHER, 1), "c-2", event_id(OTHER, 2)]
        # its deadline is put off, and its row stands as the older release left it
        await new.fire(DUE, STREAM)
        after = await row(new)
        assert {**after, "next_due": None} == {**before, "next_due": None}
        assert after["next_due"] != before["next_due"]
        assert any(line.startswith(f"{STREAM}: ") for line in await new.verify())


async def test_what_could_not_be_folded_goes_on_when_its_journal_was_mended(
    make_database: MakeDatabase,
) -> None:
    url = await emptied(make_database, "mediation")
    async with again(url, Toy()) as (old,):
        await old.take(event(CASE, 1))
        (good,) = await old.fetch("SELECT seq, body FROM journal")
        await old.fetch("UPDATE journal SET body = '{}'")
    async with next_release(url) as new:
        await new.take(command(CASE, "c-1", offset=0), event(CASE, 2))
        await new.fetch("UPDATE journal SET body = $1 WHERE seq = $2", good["body"], good["seq"])
        for letter in await new.fetch("SELECT letter FROM parked"):
            await new.replay(letter["letter"])
        await new.drain()
        assert await new.parked() == []
        state = json.loads(str((await row(new))["state"]))
        assert sorted(state["written"]) == sorted([event_id(CASE, 1), "c-1", event_id(CASE, 2)])
        assert await new.verify() == []
