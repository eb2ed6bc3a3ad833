"""The limit: so many failures in a row, or such a share of the last, and a service stands still."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lianhu.eventing.errors import LimitReached, Transient
from lianhu.eventing.limit import Limit
from lianhu.eventing.settings import EngineSettings

SETTINGS = EngineSettings(_env_file=None)
IN_A_ROW, WINDOW = SETTINGS.limit_in_a_row, SETTINGS.limit_window
MOST = int(SETTINGS.limit_share * WINDOW)


def limit() -> Limit:
    return Limit(IN_A_ROW, WINDOW, SETTINGS.limit_share)


def reached(limit: Limit, failures: list[bool]) -> bool:
    """Whether a batch of these is too much; counts it when it is not, as a commit does."""
    try:
        limit.check(failures)
    except LimitReached:
        return True
    limit.count(failures)
    return False


def reached_within(batches: list[list[bool]]) -> int | None:
    """How many deliveries were let through before the limit; None when all were."""
    counting, passed = limit(), 0
    for batch in batches:
        if reached(counting, batch):
            return passed
        passed += len(batch)
    return None


def test_the_figures_are_those_of_the_plan() -> None:
    assert (IN_A_ROW, WINDOW, MOST) == (20, 200, 40)
    assert issubclass(LimitReached, Transient), "its batch is rolled back and tried again"


def test_twenty_in_a_row_are_let_through_and_no_more() -> None:
    assert not reached(limit(), [True] * 20)
    assert reached(limit(), [True] * 21)
    assert reached_within([[True]] * 30) == 20


def test_a_row_goes_on_over_the_batches_and_ends_with_a_success() -> None:
    assert reached_within([[True] * 11, [True] * 9, [True]]) == 20
    assert reached_within([[True] * 19, [True, False], [True] * 20]) is None


def test_a_fifth_of_the_last_two_hundred_is_let_through_and_no_more() -> None:
    fifth = [True, False, False, False, False] * 40
    assert reached_within([fifth]) is None
    assert reached_within([fifth, [False] * 4, [True, True]]) is None  # the oldest fell out
    assert reached_within([fifth, [True]]) is None
    assert reached_within([fifth, [False, True, True]]) == 200


def test_a_start_lets_no_more_through_than_a_full_window() -> None:
    halves = [[True], [False]] * WINDOW
    assert reached_within(halves) == 2 * MOST, "the forty-first failure is the one too many"
    thirds = [True, False, False] * MOST
    assert reached_within([thirds]) is None
    assert reached_within([thirds, [False] * 20]) is None, "a success is never the one too many"
    assert reached_within([thirds, [False] * 19, [True]]) == len(thirds) + 19


def test_what_was_rolled_back_is_not_counted() -> None:
    counting = limit()
    for _ in range(5):
        with pytest.raises(LimitReached):
            counting.check([True] * 21)
    assert not reached(counting, [True] * 20)


def test_a_batch_without_failures_is_never_too_much() -> None:
    counting = limit()
    counting.count([True] * 20)
    assert not reached(counting, [False])
    assert not reached(counting, [])


@given(st.lists(st.lists(st.booleans(), max_size=60), max_size=12), st.integers(1, 60))
def test_how_deliveries_are_cut_into_batches_makes_no_difference(
    batches: list[list[bool]], size: int
) -> None:
    """But for how many of the last batch are let through: it is rolled back as a whole."""
    flat = [failed for batch in batches for failed in batch]
    again = [flat[start : start + size] for start in range(0, len(flat), size)]
    singly = reached_within([[failed] for failed in flat])
    for cut in (batches, again):
        passed = reached_within(cut)
        assert (passed is None) == (singly is None)
        if passed is not None and singly is not None:
            assert passed <= singly
