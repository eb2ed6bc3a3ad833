"""What came before is known: duplicates, reused ids, gaps, forks, epochs; what cannot be read."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest

from lianhu.contracts.intake import ReportAccepted
from lianhu.contracts.mediation import AddNote
from lianhu.eventing.delivery import Outcome
from lianhu.eventing.rules import Rank, Stream, case_stream
from lianhu.eventing.testing import FakeRecord, TestEngine, event_record, public_record
from tests.conftest import MakeDatabase
from tests.engine_toy import COMMANDS, Toy, command, engine, engines, event, event_id, report

pytestmark = pytest.mark.infra

CASE = "440304-2026-000001"
STREAM = case_stream(CASE)
MATTER = Stream(Rank.MATTER, "m1")
HERE = "at=matter/m1"


async def written(one: TestEngine, stream: Stream) -> list[str]:
    text = await one.state(stream)
    return [] if text is None else list(json.loads(text)["written"])


async def refusals(one: TestEngine) -> list[dict[str, Any]]:
    rows = await one.fetch(
        "SELECT stream, body FROM journal WHERE type LIKE '%.message-refused.v1' ORDER BY seq"
    )
    return [{"stream": row["stream"], **json.loads(row["body"])} for row in rows]


def faults(refusal: dict[str, Any]) -> set[tuple[str, str]]:
    return {(fault["path"], fault["slug"]) for fault in refusal["faults"]}


# public messages


async def test_the_same_report_twice_has_one_effect(make_database: MakeDatabase) -> None:
    async with engine(make_database, Toy(), "intake") as one:
        first = report("m-1", HERE, offset=0)
        await one.take(first, report("m-1", HERE, offset=1))
        await one.take(first)
        await one.take(report("m-1", HERE, partition=2, offset=7))
        assert await written(one, MATTER) == ["m-1"]
        assert one.outcomes().count(Outcome.HANDLED) == 1
        assert one.outcomes().count(Outcome.DUPLICATE) == 3
        assert await refusals(one) == []


async def test_two_replicas_take_in_the_same_reports_at_once(make_database: MakeDatabase) -> None:
    async with engines(make_database, Toy(), 2, "intake") as (one, two):
        for turn in range(20):
            records = [report(f"m-{turn}-{n}", HERE, offset=5 * turn + n) for n in range(5)]
            await asyncio.gather(one.take(*records), two.take(*reversed(records)))
        ids = await written(one, MATTER)
        assert len(ids) == len(set(ids)) == 100
        outcomes = one.outcomes() + two.outcomes()
        assert outcomes.count(Outcome.DUPLICATE) == 100


async def test_a_known_id_with_another_body_is_refused_by_name_and_once(
    make_database: MakeDatabase,
) -> None:
    async with engine(make_database, Toy(), "intake") as one:
        second = report("m-1", f"other {HERE}", offset=1)
        await one.take(report("m-1", HERE, offset=0), second)
        await one.take(second)
        await one.take(report("m-1", f"other {HERE}", offset=9), second)
        assert await written(one, MATTER) == ["m-1"]
        (refusal,) = await refusals(one)
        assert faults(refusal) == {("ce:id", "id-reused")}
        assert (refusal["message"], refusal["position"]) == ("m-1", "0/1")
        await one.take(report("m-1", f"a third {HERE}", offset=10))
        assert len(await refusals(one)) == 2


async def test_a_reused_id_is_refused_once_by_two_replicas(make_database: MakeDatabase) -> None:
    async with engines(make_database, Toy(), 2, "intake") as (one, two):
        pair = [report("m-1", HERE, offset=0), report("m-1", f"other {HERE}", offset=1)]
        await asyncio.gather(one.take(*pair), two.take(*pair))
        assert len(await refusals(one)) == 1
        assert await written(one, MATTER) == ["m-1"]


async def test_without_an_id_a_message_is_known_by_its_position(
    make_database: MakeDatabase,
) -> None:
    async with engine(make_database, Toy(), "intake") as one:
        nameless = report(None, HERE, offset=4)
        await one.take(nameless, report("0/4", HERE, offset=5))
        await one.take(nameless)
        await one.take(report(None, HERE, offset=6))
        told = await refusals(one)
        assert [refusal["position"] for refusal in told] == ["0/4", "0/6"]
        assert [refusal["message"] for refusal in told] == [None, None]
        assert all(faults(refusal) == {("ce:id", "missing")} for refusal in told)
        assert await written(one, MATTER) == ["0/4"]


async def test_one_publisher_s_ids_are_not_another_s(make_database: MakeDatabase) -> None:
    async with engine(make_database, Toy(), "intake") as one:
        other = replace(report("m-1", f"other {HERE}"), topic="intake.reports.grid-futian.v1")
        await one.take(report("m-1", HERE), other)
        assert await written(one, MATTER) == ["m-1", "m-1"]


# what cannot be read


def broken(body: bytes, id_: str | None = "m-1", **more: Any) -> FakeRecord:
    return public_record(COMMANDS, AddNote.type_, body, id_=id_, **more)


def body(**changes: Any) -> bytes:
    whole = {
        "case": CASE,
        "by": {"officer": "o-1", "post": "mediator", "unit": "440304000000"},
        "note": "SECRET-VALUE",
    }
    return json.dumps({**whole, **changes}).encode()


UNREADABLE: dict[str, tuple[FakeRecord, set[tuple[str, str]]]] = {
    "invalid json": (broken(b'{"note": "SECRET-VALUE"'), {("", "invalid-json")}),
    "broken in three places": (
        broken(body(case="SECRET-VALUE", by={"officer": "", "post": "SECRET-VALUE", "unit": "1"})),
        {
            ("/case", "string-pattern-mismatch"),
            ("/by/officer", "string-pattern-mismatch"),
            ("/by/post", "enum"),
            ("/by/unit", "string-pattern-mismatch"),
        },
    ),
    "a field nobody knows": (broken(body(SECRET="SECRET-VALUE")), {("/?", "unknown-field")}),
    "no id": (broken(body(), id_=None), {("ce:id", "missing")}),
    "our own source": (broken(body(), source="lianhu.intake"), {("ce:source", "reserved")}),
    "a future version": (
        public_record(COMMANDS, "lianhu.mediation.add-note.v7", body()),
        {("ce:type", "unsupported-version")},
    ),
    "an unknown type": (
        public_record(COMMANDS, "com.SECRET-VALUE", body()),
        {("ce:type", "unknown-type")},
    ),
    "another topic's type": (
        public_record(COMMANDS, "lianhu.intake.report-submitted.v1", body()),
        {("ce:type", "wrong-topic")},
    ),
    "a header that is not utf-8": (
        broken(body(), more={"ce_subject": b"\xff\xfe"}),
        {("ce:subject", "not-utf-8")},
    ),
    "a null header": (broken(body(), more={"ce_time": None}), {("ce:time", "null")}),
    "no body": (
        FakeRecord(COMMANDS, 0, 0, 0, broken(b"").headers, None),
        {("", "no-body")},
    ),
    "too large": (broken(body(note="SECRET-VALUE" * 25_000)), {("", "too-large")}),
    "several at once": (
        broken(body(note=7), id_=None, source="lianhu", more={"ce_time": b"SECRET-VALUE"}),
        {
            ("ce:id", "missing"),
            ("ce:source", "reserved"),
            ("ce:time", "malformed"),
            ("/note", "string-type"),
        },
    ),
}


@pytest.mark.parametrize("what", UNREADABLE)
async def test_what_cannot_be_read_is_answered_with_every_fault_and_kept(
    make_database: MakeDatabase, what: str
) -> None:
    record, expected = UNREADABLE[what]
    async with engine(make_database, Toy()) as one:
        await one.take(
            event(CASE, 1),
            command(CASE, "before", offset=100),
            record,
            command(CASE, "after", offset=101),
        )
        assert await written(one, STREAM) == [event_id(CASE, 1), "before", "after"]
        (refusal,) = await refusals(one)
        assert faults(refusal) == expected
        assert refusal["publisher"] == "officers-shenzhen"
        assert refusal["stream"].startswith("submission/officers-shenzhen-")
        assert await one.parked() == [("refused", None)]
        (row,) = await one.fetch("SELECT answers FROM journal WHERE stream LIKE 'submission/%'")
        assert row["answers"] == "officers-shenzhen"
        for table in ("journal", "parked", "aggregates", "inbox"):
            rows = await one.fetch(f"SELECT * FROM {table}")
            assert "SECRET-VALUE" not in repr(rows), f"the value was echoed into {table}"


async def test_one_undecodable_event_does_not_touch_its_neighbours(
    make_database: MakeDatabase,
) -> None:
    other = "440304-2026-000002"
    async with engine(make_database, Toy()) as one:
        await one.take(
            event(CASE, 1),
            event_record("intake", b"no json", STREAM, 2, type_="lianhu.intake.case-closed.v1"),
            event(other, 1),
            event(CASE, 3),
        )
        assert await written(one, STREAM) == [event_id(CASE, 1)]
        assert await written(one, case_stream(other)) == [event_id(other, 1)]
        assert await one.parked() == [("poison", str(STREAM)), ("behind", str(STREAM))]


async def test_an_event_without_its_place_is_parked_alone(make_database: MakeDatabase) -> None:
    async with engine(make_database, Toy()) as one:
        whole = event(CASE, 2, offset=1)
        headers = tuple(pair for pair in whole.headers if pair[0] != "ce_sequence")
        await one.take(event(CASE, 1), replace(whole, headers=headers), event(CASE, 2, offset=2))
        assert await written(one, STREAM) == [event_id(CASE, 1), event_id(CASE, 2)]
        assert await one.parked() == [("poison", str(STREAM))]


# events of other services


async def test_events_are_known_by_their_sequence(make_database: MakeDatabase) -> None:
    async with engine(make_database, Toy()) as one:
        await one.take(event(CASE, 1), event(CASE, 2), event(CASE, 1))
        await one.take(event(CASE, 1), event(CASE, 2), event(CASE, 3))
        assert await written(one, STREAM) == [event_id(CASE, n) for n in (1, 2, 3)]
        assert one.outcomes().count(Outcome.DUPLICATE) == 3
        assert await one.fetch("SELECT * FROM inbox") == []


async def test_two_replicas_take_in_the_same_events_at_once(make_database: MakeDatabase) -> None:
    async with engines(make_database, Toy(), 2) as (one, two):
        records = [event(CASE, n) for n in range(1, 31)]
        await asyncio.gather(one.take(*records), two.take(*records))
        assert await written(one, STREAM) == [event_id(CASE, n) for n in range(1, 31)]


async def test_a_gap_waits_for_the_missing_one_and_drains_in_order(
    make_database: MakeDatabase,
) -> None:
    async with engine(make_database, Toy()) as one:
        await one.take(event(CASE, 1), event(CASE, 4), event(CASE, 3), event(CASE, 5))
        assert [reason for reason, _ in await one.parked()] == ["gap", "behind", "behind"]
        assert await one.drain() == 0
        await one.take(event(CASE, 2))
        await one.drain()
        assert await written(one, STREAM) == [event_id(CASE, n) for n in range(1, 6)]
        assert await one.parked() == []


async def test_a_second_gap_behind_the_first_is_told_when_it_is_the_first(
    make_database: MakeDatabase,
) -> None:
    async with engine(make_database, Toy()) as one:
        await one.take(event(CASE, 2), event(CASE, 4))
        await one.take(event(CASE, 1))
        await one.drain()
        assert await written(one, STREAM) == [event_id(CASE, n) for n in (1, 2)]
        assert await one.parked() == [("gap", str(STREAM))]
        letters = await one.fetch(
            "SELECT body FROM journal WHERE type LIKE '%letter-parked.v1' ORDER BY seq"
        )
        assert [json.loads(row["body"])["offset"] for row in letters] == [1, 3]
        known = {row["letter"] for row in await one.fetch("SELECT letter FROM parked")}
        assert json.loads(letters[1]["body"])["letter"] in known
        await one.take(event(CASE, 3))
        await one.drain()
        assert await written(one, STREAM) == [event_id(CASE, n) for n in (1, 2, 3, 4)]


async def test_a_gap_that_comes_again_is_told_once(make_database: MakeDatabase) -> None:
    async with engine(make_database, Toy()) as one:
        for _ in range(3):
            await one.take(event(CASE, 2), event(CASE, 3))
        assert [reason for reason, _ in await one.parked()] == ["gap", "behind"]
        letters = await one.fetch(
            "SELECT body FROM journal WHERE type LIKE '%letter-parked.v1' ORDER BY seq"
        )
        assert len(letters) == 1


async def test_a_fork_is_parked_and_the_stream_goes_on(make_database: MakeDatabase) -> None:
    async with engine(make_database, Toy()) as one:
        await one.take(event(CASE, 1), event(CASE, 2))
        await one.take(event(CASE, 2, rowhash="f" * 64, offset=50), event(CASE, 3))
        assert await one.parked() == [("fork", str(STREAM))]
        assert await written(one, STREAM) == [event_id(CASE, n) for n in (1, 2, 3)]


async def test_a_restored_service_goes_on_in_a_higher_epoch(make_database: MakeDatabase) -> None:
    async with engine(make_database, Toy()) as one:
        await one.take(*(event(CASE, n) for n in (1, 2, 3)))
        again = [event(CASE, n, epoch=2, rowhash=f"{n}" * 64, offset=10 + n) for n in (2, 3, 4)]
        await one.take(*again)
        await one.take(*again)
        assert await written(one, STREAM) == [event_id(CASE, n) for n in (1, 2, 3, 2, 3, 4)]
        await one.take(event(CASE, 5, epoch=1, offset=30))
        assert await one.parked() == [("fork", str(STREAM))]
        seen = await one.fetch("SELECT seen FROM aggregates WHERE stream = $1", str(STREAM))
        assert json.loads(seen[0]["seen"])["intake"][:2] == [2, 4]


async def test_a_higher_epoch_does_not_overtake_what_is_parked(
    make_database: MakeDatabase,
) -> None:
    toy = Toy()
    async with engine(make_database, toy) as one:
        toy.does[event_id(CASE, 2)] = "poison"
        await one.take(*(event(CASE, n) for n in (1, 2, 3)))
        again = [event(CASE, n, epoch=2, rowhash=f"{n}" * 64, offset=10 + n) for n in (2, 3)]
        await one.take(*again)
        assert await one.parked() == [("poison", str(STREAM)), *3 * [("behind", str(STREAM))]]
        toy.does.clear()
        rows = await one.fetch("SELECT letter FROM parked WHERE reason = 'poison'")
        await one.replay(rows[0]["letter"])
        await one.drain()
        assert await one.parked() == []
        assert await written(one, STREAM) == [event_id(CASE, n) for n in (1, 2, 3, 2, 3)]


async def test_what_is_not_for_this_service_only_advances_the_sequence(
    make_database: MakeDatabase,
) -> None:
    async with engine(make_database, Toy()) as one:
        receipt = ReportAccepted(receipt="0" * 32, report=None)
        await one.take(
            event_record("intake", receipt, STREAM, 1),
            event_record("intake", b"{}", STREAM, 2, type_="lianhu.intake.newer-thing.v9"),
            event(CASE, 3),
        )
        assert one.outcomes() == [Outcome.IGNORED, Outcome.IGNORED, Outcome.HANDLED]
        assert await written(one, STREAM) == [event_id(CASE, 3)]
        assert await one.parked() == []


async def test_streams_nobody_reads_stay_in_the_house(make_database: MakeDatabase) -> None:
    assert not any(rank.published for rank in (Rank.PERSON, Rank.MATTER, Rank.CLAIM))
    async with engine(make_database, Toy(), "intake") as one:
        await one.take(report("m-1", "at=person/p1 at=matter/m1 at=case/440304-2026-000001"))
        rows = await one.fetch("SELECT stream, version FROM journal ORDER BY stream")
        assert [(row["stream"], row["version"]) for row in rows] == [
            ("case/440304-2026-000001", 1),
            ("matter/m1", 1),
            ("person/p1", 1),
        ]
