"""The checker finds a deadline that was answered twice, or before what had come in time."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

from tests.checker.deadlines import deadlines
from tests.checker.evidence import Database, Evidence, JournalRow, Record

DUE = datetime(2026, 3, 2, 9, tzinfo=UTC)
CASE = "case/440304-2026-000001"
FIRED = f"{CASE}:accept:{DUE.isoformat()}"
OFFICERS = "officers-shenzhen"
MINUTE = timedelta(minutes=1)


def row(version: int, name: str, cause: str, after: timedelta = MINUTE) -> JournalRow:
    """A row of the case; what a publisher caused answers that publisher."""
    answers = None if cause == FIRED else OFFICERS
    type_ = f"lianhu.mediation.{name}.v1"
    return JournalRow(
        *(version, CASE, version, 1, f"{version}", type_, DUE + after, cause, answers),
        *(json.dumps({"case": CASE}), b""),
    )


def command(id_: str, after: timedelta) -> Record:
    headers = (("ce_id", id_.encode()), ("ce_type", b"lianhu.mediation.accept-case.v1"))
    topic = f"mediation.commands.{OFFICERS}.v1"
    return Record(topic, 0, 0, DUE + after, None, headers, b"{}")


def found(*rows: JournalRow, sent: tuple[Record, ...] = (), moved: int = 0) -> set[str]:
    """What is found of a journal; `moved`: time is ahead by so many minutes."""
    moves = ((DUE - timedelta(days=1), moved * MINUTE),)
    database = Database("mediation", rows, (), (), 0, moves)
    evidence = Evidence(sent, {"mediation": database}, {}, DUE + timedelta(days=1))
    return {f"{one.kind}: {one.what}" for one in deadlines(evidence)}


def test_one_decision_may_leave_several_rows() -> None:
    assert found(row(3, "case-escalated", FIRED), row(4, "risk-raised", FIRED)) == set()


def test_a_deadline_that_fires_again_later_is_found() -> None:
    twice = (row(3, "case-escalated", FIRED), row(5, "case-overdue", FIRED))
    assert found(*twice) == {"doubled: deadline-answered-twice"}


def test_a_deadline_that_fires_again_at_once_is_found() -> None:
    twice = (row(3, "case-escalated", FIRED), row(4, "case-overdue", FIRED, 2 * MINUTE))
    assert found(*twice) == {"doubled: deadline-answered-twice"}


def test_a_command_that_came_in_time_and_was_handled_after_the_deadline_is_found() -> None:
    rows = (row(3, "case-escalated", FIRED), row(4, "case-accepted", "c-1"))
    late = {"out-of-order: deadline-before-what-came-in-time"}
    assert found(*rows, sent=(command("c-1", -MINUTE),)) == late
    assert found(*rows, sent=(command("c-1", MINUTE),)) == set()
    assert found(*rows, sent=(command("c-1", -MINUTE),), moved=2) == set()


def test_a_command_that_was_refused_because_its_deadline_came_first_is_found_too() -> None:
    rows = (row(3, "case-escalated", FIRED), row(4, "message-refused", "c-1"))
    told = tuple(
        JournalRow(
            *(one.seq, one.stream, one.version, one.epoch, one.id, one.type, one.time),
            *(one.causation, one.answers, json.dumps({"message": "c-1"}), one.hash),
        )
        for one in rows
    )
    assert found(*told, sent=(command("c-1", -MINUTE),)) == {
        "out-of-order: deadline-before-what-came-in-time"
    }
