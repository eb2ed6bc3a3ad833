"""The checker after a restore: what was lost is named as that, and a stray stays a stray."""

from __future__ import annotations

from datetime import UTC, datetime

from tests.checker import Database, Evidence, Finding, JournalRow, Kind, Record
from tests.checker.published import lost_by_restores, published

NOW = datetime(2026, 3, 2, tzinfo=UTC)
TYPE = "lianhu.intake.report-accepted.v1"
STREAM = "case/440304-2026-000001"
TOPIC = "intake.events.v1"


def row(epoch: int, version: int) -> JournalRow:
    return JournalRow(
        *(version, STREAM, version, epoch, f"{epoch}-{version}", TYPE, NOW),
        *(None, None, "{}", bytes(32)),
    )


def record(epoch: int, version: int, offset: int) -> Record:
    attributes = {
        "subject": STREAM,
        "epoch": str(epoch),
        "sequence": str(version),
        "id": f"{epoch}-{version}",
        "type": TYPE,
        "rowhash": bytes(32).hex(),
    }
    headers = tuple((f"ce_{name}", text.encode()) for name, text in attributes.items())
    return Record(TOPIC, 0, offset, NOW, None, headers, b"{}")


def seen(epoch: int, rows: list[tuple[int, int]], records: list[tuple[int, int]]) -> Evidence:
    journal = tuple(row(*position) for position in rows)
    database = Database("intake", journal, (), (), len(rows), epoch=epoch)
    told = tuple(record(*position, offset) for offset, position in enumerate(records))
    return Evidence(told, {"intake": database}, {}, NOW)


RESTORED = [(1, 1), (2, 2), (2, 3)]
TOLD = [(1, 1), (1, 2), (1, 3), (1, 4), (2, 2), (2, 3)]


def test_what_a_restore_lost_is_named_and_nothing_else_is_wrong() -> None:
    evidence = seen(2, RESTORED, TOLD)
    assert {*published(evidence)} == {
        Finding(Kind.LOST, "lost-by-a-restore", f"{TOPIC} {STREAM} 1:{number}")
        for number in (2, 3, 4)
    }
    assert lost_by_restores(evidence) == {"1-2", "1-3", "1-4"}


def test_without_a_higher_epoch_it_is_an_event_that_no_row_says() -> None:
    evidence = seen(1, [(1, 1)], [(1, 1), (1, 2)])
    assert {finding.what for finding in published(evidence)} == {"event-without-journal-row"}
    assert lost_by_restores(evidence) == frozenset()


def test_an_event_of_an_earlier_epoch_stands_before_those_of_a_later_one() -> None:
    evidence = seen(2, [(1, 1), (1, 2), (2, 3)], [(1, 1), (2, 3), (1, 2)])
    assert {finding.what for finding in published(evidence)} == {"later-event-stands-before"}
