"""What the engine logs of a message: ids by which it is found, and nothing of what it tells."""

from __future__ import annotations

import json
from collections.abc import MutableMapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from structlog.testing import capture_logs

from lianhu.contracts.mediation import AddNote
from lianhu.eventing.delivery import Delivery, Origin
from lianhu.eventing.rules import EffectEnded, Message, case_stream
from lianhu.eventing.testing import START, FakeRecord, TestEngine, public_record
from lianhu.privacy import redact
from tests.conftest import MakeDatabase
from tests.engine_toy import COMMANDS, Toy, command, engine, event, event_id, report

pytestmark = pytest.mark.infra

CASE = "440304-2026-000001"
STREAM = str(case_stream(CASE))
SECRET = "张小花 of Furong Road"
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
TRACED: dict[str, bytes | None] = {"ce_traceparent": TRACE.encode()}

Line = MutableMapping[str, Any]


def shown(lines: Sequence[Line]) -> list[Line]:
    """The lines as they are written; fails where one of them tells something personal."""
    out = [redact(None, "", dict(line)) for line in lines]
    text = json.dumps(out, ensure_ascii=False, default=str)
    assert "小花" not in text
    assert "Furong" not in text
    return out


def traced(record: FakeRecord) -> FakeRecord:
    return replace(record, headers=(*record.headers, *TRACED.items()))


async def take(one: TestEngine, *records: FakeRecord) -> list[Line]:
    """The lines that are written while these are handled."""
    with capture_logs() as found:
        await one.take(*records)
    return shown(found)


async def test_what_is_handled_or_known_is_no_line(make_database: MakeDatabase) -> None:
    async with engine(make_database, Toy(), log_level="DEBUG") as one:
        records = [event(CASE, 1), *(command(CASE, f"c-{n}", offset=n) for n in range(5))]
        assert await take(one, *records) == []
        assert await take(one, *records) == []
        assert await take(one, command("440304-2026-000009", "early", offset=9)) == []


async def test_a_message_over_which_the_rules_fall_is_found_by_its_ids(
    make_database: MakeDatabase,
) -> None:
    toy = Toy()
    toy.does["bad"] = "raise"
    async with engine(make_database, toy) as one:
        await one.take(event(CASE, 1))
        ids = {
            "source": COMMANDS,
            "position": "0/7",
            "message_id": "bad",
            "stream": STREAM,
            "trace": TRACE,
        }
        fell, parked = await take(
            one, command(CASE, "bad", SECRET, offset=7, more=TRACED), command(CASE, "c-2")
        )
        assert "RuntimeError: a toy fell" in fell.pop("exception")
        assert fell == {
            "event": "message failed",
            "log_level": "error",
            "type": AddNote.type_,
            **ids,
        }
        assert parked == {
            "event": "message parked",
            "log_level": "warning",
            "reason": "poison",
            "faults": ["/ unexpected-error"],
            **ids,
        }


async def test_a_message_that_rules_know_as_poison_is_one_line(
    make_database: MakeDatabase,
) -> None:
    toy = Toy()
    toy.does["bad"] = "poison"
    async with engine(make_database, toy) as one:
        await one.take(event(CASE, 1))
        (line,) = await take(one, command(CASE, "bad", SECRET, more=TRACED))
        assert (line["event"], line["reason"]) == ("message parked", "poison")
        assert (line["message_id"], line["stream"], line["trace"]) == ("bad", STREAM, TRACE)
        assert line["faults"] == ["/ toy-poison"]
        # an operator tries it again, in vain: that is told too
        (letter,) = await one.fetch("SELECT letter FROM parked")
        await one.replay(letter["letter"])
        with capture_logs() as found:
            await one.drain()
        assert shown(found) == [line]


async def test_a_refusal_of_the_rules_is_told_at_info_with_its_faults(
    make_database: MakeDatabase,
) -> None:
    toy = Toy()
    toy.does["c-1"] = "refuse"
    async with engine(make_database, toy) as one:
        await one.take(event(CASE, 1))
        (line,) = await take(one, command(CASE, "c-1", SECRET, offset=3, more=TRACED))
        assert line == {
            "event": "message refused",
            "log_level": "info",
            "faults": ["/note toy-says-no"],
            "source": COMMANDS,
            "position": "0/3",
            "message_id": "c-1",
            "stream": STREAM,
            "trace": TRACE,
        }
        labels = {"publisher": COMMANDS, "slug": "toy-says-no"}
        counted = one.house.metrics.registry.get_sample_value
        assert counted("lianhu_messages_refused_total", labels) == 1


async def test_what_cannot_be_read_is_found_by_the_id_it_gave_or_by_its_place(
    make_database: MakeDatabase,
) -> None:
    async with engine(make_database, Toy()) as one:
        body = json.dumps({"case": CASE, "note": 7, "张小花": SECRET}).encode()
        records = [
            public_record(COMMANDS, AddNote.type_, body, id_=id_, offset=n)
            for n, id_ in enumerate(("c-1", None))
        ]
        named, nameless = await take(one, *records)
        assert named["message_id"] == "c-1"
        assert {"/note string-type", "/? unknown-field"} <= set(named["faults"])
        assert "message_id" not in nameless
        assert (nameless["source"], nameless["position"]) == (COMMANDS, "0/1")
        counted = one.house.metrics.registry.get_sample_value
        for slug in (named["faults"][0].split(" ")[1], "missing"):
            labels = {"publisher": COMMANDS, "slug": slug}
            assert counted("lianhu_messages_refused_total", labels), slug


async def test_a_gap_and_a_fork_are_told_with_their_place_in_the_stream(
    make_database: MakeDatabase,
) -> None:
    async with engine(make_database, Toy()) as one:
        await one.take(event(CASE, 1))
        (gap,) = await take(one, traced(event(CASE, 4)))
        assert gap == {
            "event": "message parked",
            "log_level": "warning",
            "reason": "gap",
            "faults": [],
            "source": "intake",
            "position": "0/3",
            "message_id": event_id(CASE, 4),
            "stream": STREAM,
            "sequence": 4,
            "trace": TRACE,
        }
        assert await take(one, traced(event(CASE, 4))) == [], "it came again"
        other = event(CASE, 1, rowhash="f" * 64, offset=20)
        (fork,) = await take(one, other)
        assert (fork["reason"], fork["stream"], fork["sequence"]) == ("fork", STREAM, 1)
        # what waits behind a gap is told once, not with every look
        with capture_logs() as found:
            await one.fetch("UPDATE parked SET due = now() WHERE reason = 'gap'")
            await one.drain()
        assert found == []


async def test_a_message_that_breaks_its_transaction_is_named(make_database: MakeDatabase) -> None:
    toy = Toy()
    toy.does["bad"] = "unwritable"
    async with engine(make_database, toy, "intake") as one:
        found = await take(
            one,
            report("good", f"at={STREAM} {SECRET}", offset=0),
            report("bad", f"at={STREAM} {SECRET}", offset=1, more=TRACED),
        )
        told = [line["event"] for line in found]
        assert told == [
            "batch failed, trying one by one",
            "transaction failed, trying once more",
            "message breaks its transaction",
            "message parked",
        ]
        for line in found[1:]:
            assert (line["message_id"], line["stream"], line["trace"]) == ("bad", STREAM, TRACE)


@pytest.mark.parametrize("what", ["deaf", "raise"])
async def test_a_deadline_that_fails_is_told_with_its_id(
    make_database: MakeDatabase, what: str
) -> None:
    toy = Toy()
    toy.does["visit"] = what
    due = START + timedelta(days=1)
    async with engine(make_database, toy) as one:
        text = f"timer=visit@{due.isoformat()} {SECRET}"
        await one.take(event(CASE, 1), command(CASE, "c-1", text))
        with capture_logs() as found:
            await one.fire(due, case_stream(CASE))
        (line,) = shown(found)
        assert (line["event"], line["stream"]) == ("deadline failed", STREAM)
        assert line["message_id"] == f"{STREAM}:visit:{due.isoformat()}"


async def test_the_end_of_a_call_that_cannot_be_handled_is_told_with_its_id(
    make_database: MakeDatabase,
) -> None:
    toy = Toy()
    ended = EffectEnded(stream=STREAM, ref="n-1", attempt=1, outcome="done", reason=SECRET)
    message = Message("end-1", "effect", ended, START, "mediation")
    toy.does["end-1"] = "poison"
    async with engine(make_database, toy) as one:
        await one.take(event(CASE, 1))
        with capture_logs() as found:
            await one.handle([Delivery(Origin.ENGINE, "mediation", START, message=message)])
        (line,) = shown(found)
        assert line["event"] == "message of the engine failed"
        assert (line["message_id"], line["stream"]) == ("end-1", STREAM)
        assert line["slug"] == "toy-poison"
