"""What holds for every deadline, whatever the start and the period."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta, timezone

import chinese_calendar
from hypothesis import given
from hypothesis import strategies as st

from lianhu.jurisdiction import Calendar, Period, PeriodUnit, Roll

CALENDAR = Calendar()

starts = st.datetimes(datetime(2005, 1, 1), datetime(2060, 1, 1), timezones=st.just(UTC))
# Sixty months on, the library still knows the days.
announced_starts = st.datetimes(datetime(2005, 1, 1), datetime(2021, 1, 1), timezones=st.just(UTC))
counted_units = st.sampled_from([PeriodUnit.DAYS, PeriodUnit.WORKING_DAYS, PeriodUnit.MONTHS])
periods = st.builds(
    Period,
    amount=st.integers(1, 400),
    unit=st.sampled_from(PeriodUnit),
    roll=st.sampled_from(Roll),
)


def working_days(amount: int) -> Period:
    return Period(amount=amount, unit=PeriodUnit.WORKING_DAYS)


@contextmanager
def host_zone(name: str) -> Iterator[None]:
    """The process believes for a while to stand elsewhere."""
    before = os.environ.get("TZ")
    os.environ["TZ"] = name
    time.tzset()
    try:
        yield
    finally:
        if before is None:
            del os.environ["TZ"]
        else:
            os.environ["TZ"] = before
        time.tzset()


@given(starts, periods)
def test_a_deadline_is_after_its_start(start: datetime, period: Period) -> None:
    assert CALENDAR.due(start, period).at > start
    assert CALENDAR.expires(start, period).at > start


@given(starts, st.integers(1, 400), counted_units)
def test_a_rolled_deadline_ends_on_a_working_day(
    start: datetime, amount: int, unit: PeriodUnit
) -> None:
    due = CALENDAR.due(start, Period(amount=amount, unit=unit))
    assert CALENDAR.is_working_day(due.last_day)


@given(starts, periods)
def test_nothing_expires_after_the_deadline_of_the_same_period(
    start: datetime, period: Period
) -> None:
    assert CALENDAR.expires(start, period).at <= CALENDAR.due(start, period).at


@given(starts, st.integers(1, 400))
def test_one_working_day_more_is_the_next_working_day(start: datetime, amount: int) -> None:
    last = CALENDAR.due(start, working_days(amount)).last_day
    after = CALENDAR.due(start, working_days(amount + 1)).last_day
    assert after == CALENDAR.next_working_day(last + timedelta(days=1))


@given(starts, starts, periods)
def test_who_starts_later_is_never_due_earlier(
    one: datetime, other: datetime, period: Period
) -> None:
    earlier, later = sorted([one, other])
    assert CALENDAR.due(earlier, period).at <= CALENDAR.due(later, period).at


@given(starts, st.integers(1, 20_000))
def test_hours_are_exact(start: datetime, amount: int) -> None:
    due = CALENDAR.due(start, Period(amount=amount, unit=PeriodUnit.HOURS))
    assert due.at - start == timedelta(hours=amount)
    assert not due.provisional


@given(starts, st.integers(-14, 14), periods)
def test_the_zone_a_start_is_written_in_does_not_matter(
    start: datetime, offset: int, period: Period
) -> None:
    written = start.astimezone(timezone(timedelta(hours=offset)))
    assert CALENDAR.due(written, period) == CALENDAR.due(start, period)


@given(starts, periods, st.sampled_from(["America/New_York", "Pacific/Kiritimati", "UTC"]))
def test_the_zone_of_the_host_does_not_matter(start: datetime, period: Period, zone: str) -> None:
    expected = CALENDAR.due(start, period)
    with host_zone(zone):
        there = Calendar().due(start, period)
    assert there == expected
    assert there.at.isoformat() == expected.at.isoformat()


@given(announced_starts, st.integers(1, 60), counted_units)
def test_counting_agrees_with_walking_the_days(
    start: datetime, amount: int, unit: PeriodUnit
) -> None:
    """The tables against the plainest reading of the rule, day by day."""
    due = CALENDAR.due(start, Period(amount=amount, unit=unit))
    day = (start + timedelta(hours=8)).date()
    if unit is PeriodUnit.WORKING_DAYS:
        for _ in range(amount):
            day = walk(day + timedelta(days=1))
    elif unit is PeriodUnit.DAYS:
        day = walk(day + timedelta(days=amount))
    else:
        day = walk(same_number(day, amount))
    assert due.last_day == day
    assert not due.provisional


@given(st.dates(date(2004, 1, 1), date(2100, 12, 31)))
def test_the_next_working_day_skips_no_working_day(day: date) -> None:
    found = CALENDAR.next_working_day(day)
    between = [day + timedelta(days=n) for n in range((found - day).days)]
    assert CALENDAR.is_working_day(found)
    assert not any(map(CALENDAR.is_working_day, between))


@given(starts, periods)
def test_what_is_not_provisional_stays_when_more_is_announced(
    start: datetime, period: Period
) -> None:
    """The promise behind the mark: an unmarked deadline no later notice can move."""
    less = FEWER.due(start, period)
    if not less.provisional:
        assert CALENDAR.due(start, period).at == less.at


FEWER = Calendar({year for year in CALENDAR.announced if year % 3 != 0})


def walk(day: date) -> date:
    while not chinese_calendar.is_workday(day):
        day += timedelta(days=1)
    return day


def same_number(day: date, months: int) -> date:
    """The day of the same number so many months on, or the last day of that month."""
    first = day.replace(day=1)
    for _ in range(months):
        first = (first + timedelta(days=31)).replace(day=1)
    for number in range(day.day, 27, -1):
        try:
            return first.replace(day=number)
        except ValueError:
            continue
    return first.replace(day=day.day)
