"""Keys that go: with the transaction that says so, for good, and nothing is unsealed afterwards."""

from __future__ import annotations

import asyncio
import json
from base64 import b64encode
from datetime import timedelta

import pytest

from lianhu.contracts.mediation import NoteAdded
from lianhu.eventing.batch import Batch
from lianhu.eventing.rules import Rank, Stream, case_stream
from lianhu.eventing.testing import START, FakeRecord, TestEngine
from lianhu.eventing.vault import NotOpened, Vault
from lianhu.privacy import DataKey, Sealed, UnsealError, open_bytes
from tests.conftest import MakeDatabase
from tests.engine_toy import (
    KEYS,
    RESTRICTED,
    SECRET,
    Toy,
    command,
    engine,
    engines,
    event,
    event_id,
)

pytestmark = pytest.mark.infra

CASE = "440304-2026-000001"
STREAM = case_stream(CASE)
NAME = str(STREAM)
KEY = DataKey.new(NAME)


def keyed(sequence: int) -> FakeRecord:
    """An event as the relay writes it while the key stands."""
    return event(CASE, sequence, datakey=b64encode(KEYS.wrap(KEY)).decode())


async def written(one: TestEngine, stream: Stream = STREAM) -> list[str]:
    text = await one.state(stream)
    return [] if text is None else list(json.loads(text)["written"])


async def notes(one: TestEngine, stream: Stream = STREAM) -> list[Sealed[str]]:
    rows = await one.fetch(
        "SELECT body FROM journal WHERE stream = $1 AND type = $2 ORDER BY version",
        str(stream),
        NoteAdded.type_,
    )
    return [NoteAdded.model_validate_json(row["body"]).note for row in rows]


async def keys(one: TestEngine) -> dict[str, tuple[bytes, bool]]:
    """Each stream's wrapped key, and whether it was erased."""
    rows = await one.fetch("SELECT id, wrapped, erased_at FROM case_keys WHERE id LIKE 'case/%'")
    return {row["id"]: (row["wrapped"], row["erased_at"] is not None) for row in rows}


async def refusals(one: TestEngine) -> list[tuple[str, str]]:
    """Who was refused, and why."""
    rows = await one.fetch(
        "SELECT body FROM journal WHERE type = $1 ORDER BY seq", one.house.refusal.type_
    )
    bodies = [json.loads(row["body"]) for row in rows]
    return [(body["message"], body["faults"][0]["slug"]) for body in bodies]


async def opened(one: TestEngine, *values: Sealed[str]) -> list[str]:
    """What the vault gives: the values, or why not."""
    vault = Vault(one.pool, one.house.keys, one.house.clock, one.house.metrics)
    given = await vault.open(values, "test")
    return [found.slug if isinstance(found, NotOpened) else found for found in given]


async def test_an_erased_key_is_gone_and_what_it_closed_stays_closed(
    make_database: MakeDatabase,
) -> None:
    toy = Toy()
    toy.does |= {"seal": "seal", "erase": "erase"}
    async with engine(make_database, toy) as one:
        await one.take(keyed(1), command(CASE, "seal"))
        (note,) = await notes(one)
        assert await opened(one, note) == [SECRET]
        await one.take(command(CASE, "erase", offset=1))
        assert await keys(one) == {NAME: (b"", True)}
        assert await opened(one, note) == ["key-erased"]
        for row in await one.fetch("SELECT wrapped FROM case_keys"):
            with pytest.raises(UnsealError):
                KEYS.unwrap(NAME, row["wrapped"])
        assert await written(one) == [event_id(CASE, 1), "sealed", "seal", "keys-erased", "erase"]
        assert await one.verify() == []


async def test_a_transaction_that_never_committed_erases_nothing(
    make_database: MakeDatabase,
) -> None:
    toy = Toy()
    toy.does |= {"seal": "seal", "erase": "erase"}
    async with engine(make_database, toy) as one:
        await one.take(keyed(1), command(CASE, "seal"))
        before = await keys(one)
        record = one.reader.read(command(CASE, "erase", offset=1))
        async with one.pool.acquire() as connection:
            transaction = connection.transaction()
            await transaction.start()
            await Batch(one.house, connection, [record]).run()
            gone = await connection.fetchval("SELECT wrapped FROM case_keys WHERE id = $1", NAME)
            assert gone == b""
            await transaction.rollback()
        assert await keys(one) == before
        assert await opened(one, *await notes(one)) == [SECRET]


async def test_a_decision_that_is_not_taken_erases_nothing(make_database: MakeDatabase) -> None:
    toy = Toy()
    toy.does |= {"seal": "seal", "erase": "erase"}
    async with engine(make_database, toy) as one:
        await one.take(keyed(1), command(CASE, "seal"))
        before = await keys(one)
        # the other stream cannot be written, so nothing of the decision is
        await one.take(command(CASE, "erase", "at=case/unknown", offset=1))
        assert [reason for reason, _ in await one.parked()] == ["poison"]
        assert await keys(one) == before
        assert await opened(one, *await notes(one)) == [SECRET]


async def test_an_old_event_with_the_key_in_its_header_brings_no_key_back(
    make_database: MakeDatabase,
) -> None:
    toy = Toy()
    toy.does |= {"erase": "erase"}
    async with engine(make_database, toy) as one:
        await one.take(keyed(1))
        await one.take(command(CASE, "erase", offset=1))
        await one.take(keyed(1))
        await one.take(keyed(2), keyed(3))
        assert await keys(one) == {NAME: (b"", True)}
        assert (await written(one))[-2:] == [event_id(CASE, 2), event_id(CASE, 3)]


async def test_a_key_that_comes_in_the_batch_that_erases_it_is_gone_too(
    make_database: MakeDatabase,
) -> None:
    toy = Toy()
    toy.does |= {event_id(CASE, 1): "erase", event_id(CASE, 3): "seal"}
    async with engine(make_database, toy) as one:
        await one.take(keyed(1), keyed(2), keyed(3), keyed(4))
        assert await keys(one) == {NAME: (b"", True)}
        assert await written(one) == [
            "keys-erased",
            *(event_id(CASE, number) for number in (1, 2, 4)),
        ]
        assert await one.parked() == [], "what was to be sealed is passed by"


async def test_a_case_whose_key_never_came_is_erased_before_it_comes(
    make_database: MakeDatabase,
) -> None:
    toy = Toy()
    toy.does |= {event_id(CASE, 1): "erase"}
    async with engine(make_database, toy) as one:
        await one.take(event(CASE, 1))
        await one.take(keyed(2))
        assert await keys(one) == {NAME: (b"", True)}


async def test_nothing_is_sealed_after_an_erasure_and_what_is_open_goes_on(
    make_database: MakeDatabase,
) -> None:
    toy = Toy()
    toy.does |= {"erase": "erase", event_id(CASE, 2): "seal", "note": "seal"}
    async with engine(make_database, toy) as one:
        await one.take(keyed(1), command(CASE, "erase", offset=1))
        await one.take(command(CASE, "plain", offset=2), command(CASE, "note", offset=3))
        assert (await written(one))[-1] == "plain"
        await one.take(keyed(2), keyed(3))
        assert (await written(one))[-1] == event_id(CASE, 3)
        assert await refusals(one) == [("note", "case-erased")]
        assert await one.parked() == []
        assert "zhang" not in repr(await one.fetch("SELECT * FROM journal, aggregates"))
        # another case is as it was
        other = case_stream("440304-2026-000002")
        toy.does[event_id("440304-2026-000002", 1)] = "seal"
        key = DataKey.new(str(other))
        await one.take(event("440304-2026-000002", 1, datakey=b64encode(KEYS.wrap(key)).decode()))
        assert await opened(one, *await notes(one, other)) == [SECRET]
        assert await one.verify() == []


async def test_what_was_refused_in_the_case_goes_with_its_key(make_database: MakeDatabase) -> None:
    toy = Toy()
    toy.does |= {"no": "refuse", "erase": "erase"}
    other = "440304-2026-000002"
    async with engine(make_database, toy) as one:
        await one.take(keyed(1), event(other, 1))
        await one.take(command(CASE, "no", offset=1))
        toy.does["no-2"] = "refuse"
        await one.take(command(other, "no-2", offset=2))
        assert len(await one.parked()) == 2
        await one.take(command(CASE, "erase", offset=3))
        assert await one.parked() == [("refused", f"case/{other}")]


async def test_what_waited_in_the_case_is_let_go_with_its_key(make_database: MakeDatabase) -> None:
    toy = Toy()
    toy.does |= {event_id(CASE, 2): "poison", "erase": "erase"}
    other = "440304-2026-000002"
    async with engine(make_database, toy) as one:
        await one.take(keyed(1), event(other, 1), keyed(2), keyed(3), keyed(6))
        await one.take(event(other, 3, offset=9))
        waiting = [("poison", NAME), ("behind", NAME), ("behind", NAME), ("gap", f"case/{other}")]
        assert await one.parked() == waiting
        forged = event(CASE, 1, offset=7, datakey=b64encode(KEYS.wrap(KEY)).decode(), rowhash="f")
        await one.take(forged)
        assert (await one.parked())[-1] == ("fork", NAME)

        await one.take(command(CASE, "erase", offset=1))
        await one.drain()

        assert await one.parked() == [("gap", f"case/{other}")], "another case's letters stay"
        assert (await written(one))[-2:] == ["erase", event_id(CASE, 3)]
        # its place is passed: the producer's later events are handled, the missing ones are not
        await one.take(keyed(7), keyed(4))
        assert (await written(one))[-1] == event_id(CASE, 7)
        assert await one.parked() == [("gap", f"case/{other}")]
        assert await one.verify() == []


async def test_a_publisher_whose_command_waited_is_answered(make_database: MakeDatabase) -> None:
    toy = Toy()
    toy.does |= {"bad": "poison", event_id(CASE, 2): "erase"}
    async with engine(make_database, toy) as one:
        await one.take(keyed(1), command(CASE, "bad"), command(CASE, "next", offset=1))
        assert [reason for reason, _ in await one.parked()] == ["poison", "behind"]

        await one.take(keyed(2))
        await one.drain()

        assert await one.parked() == []
        assert await refusals(one) == [("bad", "case-erased")]
        assert (await written(one))[-1] == "next"
        toy.does["late"] = "refuse"
        await one.take(command(CASE, "late", offset=2))
        assert await one.parked() == [], "answered, and its body is not kept"
        assert await refusals(one) == [("bad", "case-erased"), ("late", "toy-says-no")]
        assert await one.verify() == []


async def test_after_an_erasure_no_body_that_is_kept_holds_the_key(
    make_database: MakeDatabase,
) -> None:
    toy = Toy()
    toy.does |= {event_id(CASE, 2): "poison", "erase": "erase"}
    async with engine(make_database, toy) as one:

        async def holding() -> int:
            """How many parked bodies hold the wrapped key, which the master key opens."""
            rows = await one.fetch("SELECT body FROM parked")
            bodies = [open_bytes(one.house.service_key, row["body"]) for row in rows]
            return sum(b"ce_datakey" in body for body in bodies)

        await one.take(keyed(1), keyed(2), keyed(3))
        assert await holding() == 2
        await one.take(command(CASE, "erase", offset=1))
        await one.drain()
        await one.take(keyed(4), keyed(9))
        assert await holding() == 0


async def test_a_restricted_key_stays_and_still_closes(make_database: MakeDatabase) -> None:
    toy = Toy()
    toy.does |= {"seal": "seal", "more": "seal", "restrict": "restrict"}
    async with engine(make_database, toy) as one:
        await one.take(keyed(1), command(CASE, "seal"))
        before = await keys(one)
        await one.take(command(CASE, "restrict", offset=1), command(CASE, "more", offset=2))
        assert await keys(one) == before
        assert await opened(one, *await notes(one)) == ["key-restricted", "key-restricted"]
        assert await one.verify() == []


async def test_the_longest_duty_restricts(make_database: MakeDatabase) -> None:
    toy = Toy()
    longer = RESTRICTED + timedelta(days=1)
    async with engine(make_database, toy) as one:
        await one.take(keyed(1))
        for n, (stands, then) in enumerate(
            ((None, RESTRICTED), (longer, longer), (START, RESTRICTED))
        ):
            await one.fetch(
                "UPDATE case_keys SET restricted_until = $1 WHERE id = $2", stands, NAME
            )
            toy.does[f"restrict-{n}"] = "restrict"
            await one.take(command(CASE, f"restrict-{n}", offset=n))
            (row,) = await one.fetch("SELECT restricted_until FROM case_keys WHERE id = $1", NAME)
            assert row["restricted_until"] == then


# keys that are made, and values that move


async def test_a_stream_without_sealed_values_gets_no_key(make_database: MakeDatabase) -> None:
    toy = Toy()
    toy.does["b"] = "seal"
    async with engine(make_database, toy) as one:
        await one.take(keyed(1), command(CASE, "a", "at=matter/m1"))
        await one.take(command(CASE, "b", "at=matter/m2", offset=1))
        rows = await one.fetch("SELECT id FROM case_keys WHERE id LIKE 'matter/%'")
        assert [row["id"] for row in rows] == ["matter/m2"]


async def test_a_value_that_moves_to_another_stream_is_closed_with_that_one_s_key(
    make_database: MakeDatabase,
) -> None:
    toy = Toy()
    toy.does |= {"a": "seal", "b": "carry", "erase": "erase"}
    matter = Stream(Rank.MATTER, "m1")
    async with engine(make_database, toy) as one:
        await one.take(keyed(1), command(CASE, "a"))
        await one.take(command(CASE, "b", f"at={matter}", offset=1))
        (old,), (new,) = await notes(one), await notes(one, matter)
        assert (old.key_id, new.key_id) == (NAME, str(matter))
        (row,) = await one.fetch("SELECT wrapped FROM case_keys WHERE id = $1", str(matter))
        key = KEYS.unwrap(str(matter), row["wrapped"])
        assert new.reveal(lambda _: key) == SECRET
        with pytest.raises(UnsealError, match="wrong-key"):
            new.reveal(lambda _: DataKey(str(matter), KEY.key))
        assert await opened(one, old, new) == [SECRET, SECRET]
        # so the one outlives the other
        await one.take(command(CASE, "erase", offset=2))
        assert await opened(one, old, new) == ["key-erased", SECRET]
        assert await one.verify() == []


async def test_a_value_under_an_erased_key_moves_nowhere_and_breaks_nothing(
    make_database: MakeDatabase,
) -> None:
    toy = Toy()
    toy.does |= {"a": "seal", "erase": "erase", "b": "carry"}
    matter = Stream(Rank.MATTER, "m1")
    async with engine(make_database, toy) as one:
        await one.take(keyed(1), command(CASE, "a"), command(CASE, "erase", offset=1))
        await one.take(command(CASE, "b", f"at={matter}", offset=2))
        (still,) = await notes(one, matter)
        assert still.key_id == NAME, "it travels as it is"
        assert await opened(one, still) == ["key-erased"]


async def test_two_replicas_that_seal_and_erase_at_once_leave_nothing_open(
    make_database: MakeDatabase,
) -> None:
    toy = Toy()
    async with engines(make_database, toy, 2) as (one, two):
        for n in range(20):
            case = f"440304-2026-{n:06d}"
            key = DataKey.new(f"case/{case}")
            header = b64encode(KEYS.wrap(key)).decode()
            await one.take(event(case, 1, datakey=header))
            toy.does |= {f"erase-{n}": "erase", f"seal-{n}": "seal", event_id(case, 2): "seal"}
            await asyncio.gather(
                one.take(command(case, f"seal-{n}", offset=2 * n)),
                two.take(command(case, f"erase-{n}", offset=2 * n + 1)),
                two.take(event(case, 2, datakey=header)),
            )
            assert (await keys(one))[f"case/{case}"] == (b"", True)
            for note in await notes(one, case_stream(case)):
                assert await opened(one, note) == ["key-erased"]
        assert await one.verify() == []
