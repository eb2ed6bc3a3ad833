"""What the checker knows from an earlier look, and when it does not count."""

from __future__ import annotations

from dataclasses import replace

from tests.checker.evidence import Database, Evidence, Folded, JournalRow, Record, StateRow
from tests.checker.folds import folds
from tests.checker.topics import _as_before
from tests.mediation_desk import Desk, at, opened
from tests.unit.test_checker_received import NOW


def records(first: int, last: int) -> list[Record]:
    return [Record("t", 0, offset, NOW, None, (), None) for offset in range(first, last + 1)]


def test_what_was_read_of_a_partition_that_grew_is_not_read_again() -> None:
    assert _as_before(records(0, 4), low=0, high=9) == records(0, 4)
    assert _as_before(records(0, 4), low=0, high=5) == records(0, 4)


def test_a_partition_that_ends_earlier_was_made_anew() -> None:
    assert _as_before(records(0, 4), low=0, high=3) == []


def test_a_partition_that_begins_later_is_read_anew() -> None:
    assert _as_before(records(0, 4), low=2, high=9) == []


def test_of_a_partition_that_was_never_read_nothing_is_known() -> None:
    assert _as_before([], low=0, high=9) == []


def rows_of(desk: Desk) -> list[JournalRow]:
    """What a desk's journal holds; each time as if it had been read anew."""
    return [
        JournalRow(
            *(version, str(desk.stream), version, 1, f"e-{version}", event.type_, moment),
            *(None, None, event.model_dump_json(), b""),
        )
        for version, (event, moment) in enumerate(zip(desk.journal, desk.moments, strict=True), 1)
    ]


def look(desk: Desk, rows: list[JournalRow], known: dict[tuple[str, str], Folded]) -> list[str]:
    """What is wrong with the state that the desk has now, as the fold of these rows."""
    due = min((deadline.due for deadline in desk.deadlines()), default=None)
    state = StateRow(
        *(str(desk.stream), len(rows), b"", desk.case.model_dump_json(), {}, due, desk.case.SHAPE)
    )
    database = Database("mediation", tuple(rows), (state,), (), len(rows))
    evidence = Evidence((), {"mediation": database}, {}, desk.moments[0], folded=known)
    return [finding.what for finding in folds(evidence)]


def went_on() -> tuple[Desk, list[JournalRow]]:
    """A case after its first event, and the rows of it."""
    desk = Desk()
    desk.hand(opened(), at("2026-03-02 10:00"), publisher=None)
    return desk, rows_of(desk)


def test_a_case_that_went_on_is_folded_on_from_where_it_stood() -> None:
    desk, first = went_on()
    known: dict[tuple[str, str], Folded] = {}
    assert look(desk, first, known) == []
    desk.miss_next()
    more = rows_of(desk)[len(first) :]
    assert look(desk, [*first, *more], known) == []
    assert [fold.rows for fold in known.values()] == [(*first, *more)]


def test_what_was_folded_before_is_not_folded_again() -> None:
    desk, first = went_on()
    known: dict[tuple[str, str], Folded] = {}
    assert look(desk, first, known) == []
    other = {
        name: replace(fold, state=fold.state.model_copy(update={"minor": True}))
        for name, fold in known.items()
    }
    desk.miss_next()
    assert look(desk, [*first, *rows_of(desk)[len(first) :]], other) == ["state-is-not-the-fold"]


def test_a_state_that_is_not_the_fold_is_found_also_where_the_first_look_found_nothing() -> None:
    desk, first = went_on()
    known: dict[tuple[str, str], Folded] = {}
    assert look(desk, first, known) == []
    desk.miss_next()
    assert look(desk, first, known) == ["state-is-not-the-fold"]


def test_where_an_earlier_row_was_changed_all_is_folded_anew() -> None:
    desk, _ = went_on()
    desk.miss_next()
    rows = rows_of(desk)
    known: dict[tuple[str, str], Folded] = {}
    assert look(desk, rows, known) == []
    changed = replace(rows[0], body=rows[0].body.replace('"minor":false', '"minor":true'))
    assert changed != rows[0]
    assert look(desk, [changed, *rows[1:]], known) == ["state-is-not-the-fold"]
