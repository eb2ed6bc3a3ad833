"""States of other releases are folded anew from the journal; where that fails, this one waits."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime, timedelta
from typing import ClassVar

import pytest
from structlog.testing import capture_logs

from lianhu.contracts import REGISTRY
from lianhu.contracts.base import Internal
from lianhu.contracts.mediation import PartnerChased
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


async def test_a_state_of_a_newer_release_is_folded_anew_by_this_one_and_back(
    make_database: MakeDatabase,
) -> None:
    url = await emptied(make_database, "mediation")
    async with again(url, Toy()) as (old,), next_release(url) as new:
        await new.take(event(CASE, 1), command(CASE, "c-0", f"timer=visit@{DUE.isoformat()}"))
        assert (await row(old))["shape"] == 2
        assert await old.verify() == [], "also while states of both shapes stand there"
        await old.take(command(CASE, "c-1", offset=1))
        touched = await row(old)
        assert (touched["shape"], touched["next_due"]) == (1, DUE)
        assert await old.verify() == []
        await new.take(command(CASE, "c-2", offset=2))
        touched = await row(new)
        assert (touched["shape"], touched["next_due"]) == (2, DUE - timedelta(days=1))
        assert json.loads(str(touched["state"]))["count"] == 4
        assert await new.verify() == []


@contextmanager
def unknown(type_: str) -> Iterator[None]:
    """As in a release before the one that has this type."""
    contract = REGISTRY._by_type.pop(type_)
    try:
        yield
    finally:
        REGISTRY._by_type[type_] = contract


async def test_before_a_new_type_of_a_newer_release_this_one_steps_aside(
    make_database: MakeDatabase,
) -> None:
    url = await emptied(make_database, "mediation")
    async with again(url, Toy()) as (old,), next_release(url) as new:
        await old.take(event(CASE, 1), event(OTHER, 1))
        await new.take(command(CASE, "c-1", offset=0))
        await writes_a_new_type(new, CASE, "c-new")
        before = await everything(old)
        batch = [
            command(OTHER, "c-2", offset=2),
            command(CASE, "c-3", offset=3),
            event(OTHER, 2),
        ]
        with unknown(PartnerChased.type_):
            for _ in range(2):
                with pytest.raises(ShapeFromTheFuture) as aside:
                    await old.take(*batch)
                assert isinstance(aside.value, Transient), "it is handed in again, until it is gone"
            with pytest.raises(ShapeFromTheFuture):
                await old.take(event(CASE, 2))
            assert await everything(old) == before, "nothing is written, nor of its neighbours"
        await new.take(*batch, event(CASE, 2))
        assert new.outcomes()[-4:] == [Outcome.HANDLED] * 4
        assert await new.verify() == []


async def test_a_new_type_that_is_named_as_passed_over_is_passed_over_and_counts_again_later(
    make_database: MakeDatabase,
) -> None:
    url = await emptied(make_database, "mediation")
    async with again(url, Toy()) as (old,), next_release(url) as new:
        await new.take(event(CASE, 1))
        await writes_a_new_type(new, CASE, "c-new")
        await new.fetch("INSERT INTO passed_over VALUES ($1)", PartnerChased.type_)
        try:
            with unknown(PartnerChased.type_):
                await old.take(command(CASE, "c-2", offset=2))
                assert old.outcomes() == [Outcome.HANDLED]
                state = json.loads(str((await row(old))["state"]))
                assert state["written"] == [event_id(CASE, 1), "c-new", "c-2"]
                assert await old.verify() == []
                # of its own shape now: what it does not know is no matter any more
                await old.take(command(CASE, "c-3", offset=3))
                assert await old.verify() == []
            await new.take(command(CASE, "c-4", offset=4))
            state = json.loads(str((await row(new))["state"]))
            everything_ = [event_id(CASE, 1), "partner-chased", "c-new", "c-2", "c-3", "c-4"]
            assert (state["written"], state["count"]) == (everything_, 6)
            assert await new.verify() == []
        finally:
            await new.fetch("DELETE FROM passed_over")


async def test_a_deadline_before_a_new_type_is_left_to_the_newer_release(
    make_database: MakeDatabase,
) -> None:
    url = await emptied(make_database, "mediation")
    async with again(url, Toy()) as (old,):
        async with next_release(url) as new:
            await new.take(event(CASE, 1), command(CASE, "c-1", f"timer=visit@{DUE.isoformat()}"))
            await writes_a_new_type(new, CASE, "c-new")
        before = await everything(old)
        with unknown(PartnerChased.type_), pytest.raises(ShapeFromTheFuture):
            await old.fire(DUE, STREAM)
        assert await everything(old) == before


async def test_a_newer_release_s_deadline_holds_up_no_other_case(
    make_database: MakeDatabase,
) -> None:
    url = await emptied(make_database, "mediation")
    timed = f"timer=visit@{DUE.isoformat()}"
    async with again(url, Toy()) as (old,):
        await old.take(event(OTHER, 1), command(OTHER, "c-2", timed, offset=7))
        async with next_release(url) as new:
            await new.take(event(CASE, 1), command(CASE, "c-1", timed))
            await writes_a_new_type(new, CASE, "c-new")
        with unknown(PartnerChased.type_):
            for _ in range(2):
                with pytest.raises(ShapeFromTheFuture):
                    await old.fire_apart(DUE, STREAM, case_stream(OTHER))
        assert [done.fired for done in old.done if done.fired] == [["visit"]]


async def writes_a_new_type(one: TestEngine, case: str, id_: str) -> None:
    """Have its rules write an event of a type that the release before does not know."""
    toy = one.house.workflow
    assert isinstance(toy, Toy)
    toy.does[id_] = "tell:police-futian"
    await one.take(command(case, id_, offset=1))
    assert "partner-chased" in await one.types(case_stream(case))


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
