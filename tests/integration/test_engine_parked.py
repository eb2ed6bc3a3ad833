"""What is parked: held in order, released, replayed under the same id, sealed, bounded, told."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta

import pytest

from lianhu.eventing import parked
from lianhu.eventing.clock import from_ms, utc_now
from lianhu.eventing.rules import Rank, Stream, case_stream
from lianhu.eventing.testing import TestEngine
from lianhu.privacy import open_bytes
from tests.conftest import MakeDatabase
from tests.engine_toy import (
    COMMANDS,
    Toy,
    command,
    engine,
    engines,
    event,
    event_id,
    report,
)

pytestmark = pytest.mark.infra

CASE = "440304-2026-000001"
STREAM = case_stream(CASE)


async def written(one: TestEngine, stream: Stream = STREAM) -> list[str]:
    text = await one.state(stream)
    return [] if text is None else list(json.loads(text)["written"])


async def reasons(one: TestEngine) -> list[str]:
    return [reason for reason, _ in await one.parked()]


async def letters(one: TestEngine, reason: str) -> list[str]:
    rows = await one.fetch("SELECT letter FROM parked WHERE reason = $1 ORDER BY id", reason)
    return [row["letter"] for row in rows]


async def pass_by(one: TestEngine, seconds: float) -> None:
    """So much real time goes by for what is parked."""
    await one.fetch("UPDATE parked SET due = due - $1::interval", timedelta(seconds=seconds))


# events


async def test_events_behind_a_poisonous_one_wait_and_follow_it_in_order(
    make_database: MakeDatabase,
) -> None:
    toy = Toy()
    toy.does[event_id(CASE, 2)] = "raise"
    async with engine(make_database, toy) as one:
        await one.take(*(event(CASE, n) for n in (1, 2, 3)))
        await one.take(event(CASE, 4))
        assert await reasons(one) == ["poison", "behind", "behind"]
        assert await written(one) == [event_id(CASE, 1)]

        await one.replay(*await letters(one, "poison"))
        await one.drain()
        assert await reasons(one) == ["poison", "behind", "behind"], "still the same release"
        (row,) = await one.fetch("SELECT attempts FROM parked WHERE reason = 'poison'")
        assert row["attempts"] == 1

        toy.does.clear()
        await one.replay(*await letters(one, "poison"))
        await one.drain()
        assert await written(one) == [event_id(CASE, n) for n in (1, 2, 3, 4)]
        assert await one.parked() == []
        rows = await one.fetch(
            "SELECT causation FROM journal WHERE stream = $1 ORDER BY version", str(STREAM)
        )
        assert [row["causation"] for row in rows] == [event_id(CASE, n) for n in (1, 2, 3, 4)]


async def test_a_redelivered_event_that_is_parked_has_one_effect(
    make_database: MakeDatabase,
) -> None:
    toy = Toy()
    toy.does[event_id(CASE, 2)] = "raise"
    async with engine(make_database, toy) as one:
        records = [event(CASE, n) for n in (1, 2, 3)]
        await one.take(*records)
        await one.take(*records)
        toy.does.clear()
        await one.take(*records)
        await one.drain()
        assert await written(one) == [event_id(CASE, n) for n in (1, 2, 3)]
        await one.replay(*await letters(one, "poison"), *await letters(one, "behind"))
        await one.drain()
        assert await written(one) == [event_id(CASE, n) for n in (1, 2, 3)]
        assert await one.parked() == []


# commands


async def test_a_command_waits_for_its_case_and_goes_when_it_comes(
    make_database: MakeDatabase,
) -> None:
    async with engine(make_database, Toy()) as one:
        before = utc_now()
        await one.take(command(CASE, "c-1", offset=0))
        (row,) = await one.fetch("SELECT reason, due FROM parked")
        assert row["reason"] == "awaiting"
        waits = (row["due"] - before).total_seconds()
        assert waits == pytest.approx(30, abs=5)
        assert await one.drain() == 0, "not its time yet"
        await one.take(event(CASE, 1))
        assert one.done[-1].released
        await one.drain()
        assert await written(one) == [event_id(CASE, 1), "c-1"]
        assert await one.parked() == []


async def test_a_command_whose_case_never_comes_is_refused_after_half_a_minute(
    make_database: MakeDatabase,
) -> None:
    async with engine(make_database, Toy()) as one:
        await one.take(command(CASE, "c-1", offset=0))
        await pass_by(one, 29)
        assert await one.drain() == 0
        await pass_by(one, 2)
        await one.drain()
        assert await reasons(one) == ["refused"]
        (row,) = await one.fetch("SELECT body FROM journal WHERE type LIKE '%.message-refused.v1'")
        told = json.loads(row["body"])
        assert told["faults"] == [{"path": "/case", "slug": "unknown-case"}]
        assert told["message"] == "c-1"
        assert await one.drain() == 0
        await one.take(command(CASE, "c-1", offset=0))
        rows = await one.fetch("SELECT body FROM journal WHERE type LIKE '%.message-refused.v1'")
        assert len(rows) == 1, "answered once"


async def test_a_command_waits_on_while_its_case_may_lie_unread_in_another_partition(
    make_database: MakeDatabase,
) -> None:
    async with engine(make_database, Toy()) as one:
        sent = command(CASE, "c-1", offset=0)
        at = from_ms(sent.timestamp)
        await one.take(sent)
        for _ in range(2):
            await pass_by(one, 31)
            assert await one.drain(at - timedelta(seconds=1)) == 1, "and not again at once"
            assert await reasons(one) == ["awaiting"]
        await one.take(event(CASE, 1))
        await one.drain(at - timedelta(seconds=1))
        assert await written(one) == [event_id(CASE, 1), "c-1"]


async def test_each_command_of_an_unknown_case_waits_its_own_half_minute(
    make_database: MakeDatabase,
) -> None:
    async with engine(make_database, Toy()) as one:
        await one.take(command(CASE, "c-1", offset=0))
        await pass_by(one, 20)
        await one.take(command(CASE, "c-2", offset=1))
        await one.take(command(CASE, "c-3", offset=2))
        await pass_by(one, 15)
        await one.drain()
        assert await reasons(one) == ["refused", "awaiting", "awaiting"]
        await pass_by(one, 20)
        await one.drain()
        assert await reasons(one) == ["refused", "refused", "refused"]


async def test_commands_keep_their_order_also_before_later_ones(
    make_database: MakeDatabase,
) -> None:
    async with engine(make_database, Toy()) as one:
        await one.take(command(CASE, "c-1", offset=0), command(CASE, "c-2", offset=1))
        # in one batch with the case itself, and after it, while the first still wait
        await one.take(event(CASE, 1), command(CASE, "c-3", offset=2))
        await one.take(command(CASE, "c-4", offset=3))
        assert await reasons(one) == ["awaiting", "awaiting", "behind", "behind"]
        await one.drain()
        await one.take(command(CASE, "c-5", offset=4))
        assert (await written(one))[1:] == ["c-1", "c-2", "c-3", "c-4", "c-5"]
        assert await one.parked() == []


async def test_commands_behind_a_poisonous_one_are_not_let_past_it(
    make_database: MakeDatabase,
) -> None:
    toy = Toy()
    toy.does["bad"] = "raise"
    async with engine(make_database, toy) as one:
        await one.take(event(CASE, 1), command(CASE, "bad", offset=0))
        await one.take(command(CASE, "c-2", offset=1), command(CASE, "c-3", offset=2))
        assert await reasons(one) == ["poison", "behind", "behind"]
        # something else happens in the case, and somebody tries only a later one
        await one.take(event(CASE, 2))
        await one.drain()
        (_, last) = await letters(one, "behind")
        await one.replay(last)
        await one.drain()
        assert (await written(one))[1:] == [event_id(CASE, 2)]
        assert await reasons(one) == ["poison", "behind", "behind"]
        toy.does.clear()
        await one.replay(*await letters(one, "poison"))
        await one.drain()
        assert (await written(one))[2:] == ["bad", "c-2", "c-3"]


async def test_more_parked_than_one_round_takes_stay_in_order(
    make_database: MakeDatabase,
) -> None:
    async with engine(make_database, Toy(), batch_records=7) as one:
        ids = [f"c-{n}" for n in range(40)]
        await one.take(*(command(CASE, id_, offset=n) for n, id_ in enumerate(ids)))
        await one.take(event(CASE, 1))
        await one.drain()
        assert (await written(one))[1:] == ids


async def test_a_poisonous_command_holds_up_its_own_case_only(make_database: MakeDatabase) -> None:
    toy = Toy()
    toy.does["bad"] = "raise"
    async with engine(make_database, toy) as one:
        await one.take(event(CASE, 1), command(CASE, "bad", offset=0))
        await one.take(event(CASE, 2), command("440304-2026-000001", "c-2", offset=1))
        assert await written(one) == [event_id(CASE, 1), event_id(CASE, 2)]
        other = "440304-2026-000002"
        await one.take(event(other, 1), command(other, "c-3", offset=2))
        assert await written(one, case_stream(other)) == [event_id(other, 1), "c-3"]


# replay


async def test_a_replayed_message_has_the_id_and_the_time_it_came_with(
    make_database: MakeDatabase,
) -> None:
    toy = Toy()
    toy.does["bad"] = "raise"
    async with engine(make_database, toy, "intake") as one:
        record = report("bad", "at=matter/m1")
        await one.take(record)
        toy.does.clear()
        await one.replay(*await letters(one, "poison"))
        await one.drain()
        rows = await one.fetch("SELECT causation, time FROM journal WHERE stream = 'matter/m1'")
        assert [row["causation"] for row in rows] == ["bad"]
        assert rows[0]["time"] == one.house.clock.domain_ms(record.timestamp)
        await one.take(record)
        assert len(await one.fetch("SELECT * FROM journal WHERE stream = 'matter/m1'")) == 1


async def test_a_replayed_message_that_the_rules_refuse_is_answered(
    make_database: MakeDatabase,
) -> None:
    toy = Toy()
    toy.does["bad"] = "raise"
    async with engine(make_database, toy) as one:
        await one.take(event(CASE, 1), command(CASE, "bad"))
        toy.does["bad"] = "refuse"
        await one.replay(*await letters(one, "poison"))
        await one.drain()
        assert await reasons(one) == ["refused"]
        assert (await one.types(STREAM))[-1] == "message-refused"


async def test_two_replicas_that_replay_the_same_letters_have_one_effect(
    make_database: MakeDatabase,
) -> None:
    toy = Toy()
    ids = [f"bad-{n}" for n in range(10)]
    toy.does |= dict.fromkeys(ids, "raise")
    async with engines(make_database, toy, 2, "intake") as (one, two):
        await one.take(*(report(id_, "at=matter/m1", offset=n) for n, id_ in enumerate(ids)))
        toy.does.clear()
        await one.replay(*await letters(one, "poison"))
        # both think that they lead: one was stopped for a while and does not know better
        async with one.pool.acquire() as connection:
            found = await parked.ripe(connection, one.house.service_key, 100)
        await asyncio.gather(
            one.handle([one.again(letter) for letter in found]),
            two.handle([two.again(letter) for letter in found]),
        )
        assert await written(one, Stream(Rank.MATTER, "m1")) == ids
        assert await one.parked() == []


# the letters themselves


async def test_bodies_are_sealed_and_letters_carry_none(make_database: MakeDatabase) -> None:
    toy = Toy()
    toy.does["bad"] = "raise"
    async with engine(make_database, toy) as one:
        await one.take(event(CASE, 1), command(CASE, "bad", "SECRET-NARRATIVE", offset=0))
        await one.take(command(CASE, "late", "SECRET-NARRATIVE", offset=1))
        await one.take(command(CASE, "c-3", "SECRET-NARRATIVE", offset=2, source="lianhu"))
        assert await reasons(one) == ["poison", "behind", "refused"]
        rows = await one.fetch("SELECT * FROM parked ORDER BY id")
        assert len(rows) == 3
        for table in ("parked", "journal", "aggregates", "inbox"):
            found = await one.fetch(f"SELECT t::text AS line FROM {table} AS t")
            assert not any("SECRET" in row["line"] for row in found)
        for row in rows:
            assert b"SECRET" not in row["body"]
            assert b"U0VDUkVU" not in row["body"], "nor as base64"
            opened = open_bytes(one.house.service_key, row["body"])
            record = parked.unpack(row["topic"], 0, row["offset"], row["stamp"], opened)
            assert b"SECRET-NARRATIVE" in (record.value or b"")
        told = await one.fetch(
            "SELECT stream, type, body FROM journal WHERE stream LIKE 'letter/%' ORDER BY seq"
        )
        known = {row["letter"]: row for row in rows}
        assert len(told) == 2, "what waits behind another is no letter"
        for row in told:
            letter = json.loads(row["body"])
            assert row["type"] == "lianhu.mediation.letter-parked.v1"
            assert row["stream"] == f"letter/{letter['letter']}"
            assert letter["reason"] == known[letter["letter"]]["reason"]
            assert (letter["topic"], letter["partition"]) == (COMMANDS, 0)
            assert letter["offset"] == known[letter["letter"]]["offset"]
            assert letter["faults"]
        assert await one.verify() == []


async def test_refused_messages_are_kept_within_bounds(make_database: MakeDatabase) -> None:
    async with engine(make_database, Toy()) as one:
        await one.take(
            *(command(CASE, f"c-{n}", offset=n, source="lianhu") for n in range(8)),
        )
        other = "welfare.commands.officers-shenzhen.v1"
        await one.fetch('UPDATE parked SET source = $1 WHERE "offset" = 0', other)
        await one.fetch("UPDATE parked SET at = at - interval '91 days' WHERE \"offset\" = 7")
        await one.take(command("440304-2026-000007", "waits", offset=50))
        await one.fetch("UPDATE parked SET at = at - interval '91 days' WHERE \"offset\" = 50")
        async with one.pool.acquire() as connection:
            await parked.prune(connection, utc_now(), days=90, most=3)
        rows = await one.fetch('SELECT "offset" FROM parked ORDER BY "offset"')
        # the newest three of one publisher, all of the other; what waits is not for pruning
        assert [row["offset"] for row in rows] == [0, 4, 5, 6, 50]
