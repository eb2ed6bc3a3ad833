"""What the checker knows of a partition from an earlier look, and when it does not count."""

from __future__ import annotations

from tests.checker.evidence import Record
from tests.checker.topics import _as_before
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
