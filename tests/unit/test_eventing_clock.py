"""Domain time from broker time: it never runs backwards, and a replay gives the same times."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from lianhu.contracts.base import LATEST
from lianhu.eventing.clock import Clock, Moves, from_ms, utc_now

FIRST = datetime(2026, 1, 1, tzinfo=UTC)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
moments = st.datetimes(
    datetime(2026, 1, 1),
    datetime(2027, 1, 1),
    timezones=st.just(UTC),
)


@st.composite
def forward(draw: st.DrawFn) -> Moves:
    """Moves as `advance` writes them: each later than those before, and further ahead."""
    at, ahead, moves = FIRST, timedelta(0), []
    steps = st.timedeltas(timedelta(microseconds=1), timedelta(days=40))
    for _ in range(draw(st.integers(0, 6))):
        at, ahead = at + draw(steps), ahead + draw(steps)
        moves.append((at, ahead))
    return tuple(moves)


def clock(moves: Moves) -> Clock:
    made = Clock(movable=True)
    made.set(moves)
    return made


@given(forward(), moments, moments)
def test_time_moved_forward_never_runs_backwards(
    moves: Moves, one: datetime, other: datetime
) -> None:
    early, late = sorted((one, other))
    assert clock(moves).domain(early) <= clock(moves).domain(late)


@given(forward(), moments)
def test_time_is_ahead_by_the_move_in_force_and_by_no_other(moves: Moves, at: datetime) -> None:
    ahead = max((by for start, by in moves if start <= at), default=timedelta(0))
    assert clock(moves).domain(at) == at + ahead


@given(forward(), st.lists(moments, max_size=20).map(sorted))
def test_a_replay_gives_the_same_times_whenever_the_moves_became_known(
    moves: Moves, records: list[datetime]
) -> None:
    """A record that was read before a later move was made is read the same after it."""
    live = Clock(movable=True)
    first = []
    for record in records:
        live.set(tuple(move for move in moves if move[0] <= record))
        first.append(live.domain(record))
    assert [clock(moves[::-1]).domain(record) for record in records] == first


@given(moments, st.integers(0, 10**6))
def test_a_clock_without_moves_shows_the_broker_s_time(at: datetime, ms: int) -> None:
    assert Clock().domain(at) == at
    assert Clock().domain_ms(ms) == EPOCH + timedelta(milliseconds=ms)


def test_a_move_holds_from_its_very_moment_on() -> None:
    moved = clock(((FIRST, timedelta(days=3)),))
    tick = timedelta(microseconds=1)
    assert moved.domain(FIRST - tick) == FIRST - tick
    assert moved.domain(FIRST) == FIRST + timedelta(days=3)


def test_the_present_is_moved_as_records_are() -> None:
    ahead = timedelta(days=400)
    before = utc_now()
    assert before + ahead <= clock(((FIRST, ahead),)).now() <= utc_now() + ahead


@given(st.one_of(st.integers(max_value=-1), st.integers(min_value=int(LATEST.timestamp()) * 1000)))
def test_a_stamp_that_no_broker_gave_counts_as_the_epoch(ms: int) -> None:
    """A producer's own time on a topic that is set wrongly: no batch may fail over it."""
    assert from_ms(ms) == EPOCH
