"""Deadline arithmetic as the law counts it, in Asia/Shanghai."""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field

from lianhu.jurisdiction.working_days import LIBRARY_YEARS, Notice, YearTable, year_table

SHANGHAI = ZoneInfo("Asia/Shanghai")


class PeriodUnit(StrEnum):
    """What a period is counted in: 小时, 日, 工作日, 月."""

    HOURS = "hours"
    DAYS = "days"
    WORKING_DAYS = "working-days"
    MONTHS = "months"


class Roll(StrEnum):
    """What happens when the last day of a period in days or months is not a working day."""

    NEXT_WORKING_DAY = "next-working-day"
    """It ends on the next working day (民法典 §203)."""
    NONE = "none"
    """It ends on that day."""


class Period(BaseModel):
    """A length of time as a rule states it: "3 working-days", "1 months".

    `roll` bears on days and months only: hours never roll, working days never need to. The
    upper bound is a hundred years in days, so that a slip in a policy cannot run away.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    amount: Annotated[int, Field(gt=0, le=36_500, strict=True)]
    unit: PeriodUnit
    roll: Roll = Roll.NEXT_WORKING_DAY


@dataclass(frozen=True, slots=True)
class Due:
    """When a period ends.

    `at` is the first instant that is too late, in Asia/Shanghai: an act is in time while
    `now < at`. A period in days ends at 24:00 of its last day (民法典 §203), and that instant
    is 00:00 of the day after; 23:59:59 would call the last second late. To show a date to
    people use `last_day`.

    `provisional` says that a year's notice which is not in yet may still move it.
    """

    at: datetime
    provisional: bool

    @property
    def last_day(self) -> date:
        """The last day (in Shanghai) on which an act is in time."""
        return (self.at - timedelta(microseconds=1)).date()


class Calendar:
    """The working days of mainland China, and counting with them.

    Immutable to its users: the same question always has the same answer, whatever the clock
    or the time zone of the host. Tables are built once a year asked for, after which a count
    is a few look-ups.
    """

    __slots__ = ("_notices", "_tables", "announced")

    def __init__(
        self, announced: Collection[int] | None = None, notices: Collection[Notice] = ()
    ) -> None:
        """Count with the notices of `chinesecalendar`, and with `notices` besides them.

        `announced` restricts the library's years to these (None: all it has). A notice of our
        own for a year wins over the library's. Raises ValueError for an announced year that
        the library lacks, and for two notices of one year.
        """
        known = LIBRARY_YEARS if announced is None else frozenset(announced)
        if missing := sorted(known - LIBRARY_YEARS):
            raise ValueError(f"chinesecalendar has no notice for {_listed(missing)}")
        years = [notice.year for notice in notices]
        if twice := sorted({year for year in years if years.count(year) > 1}):
            raise ValueError(f"more than one notice for {_listed(twice)}")
        self.announced: frozenset[int] = known.union(years)
        self._notices = tuple(notices)
        self._tables: dict[int, YearTable] = {}

    def due(self, start: datetime, period: Period) -> Due:
        """When a period that `start` (aware) sets running is over.

        - hours run from the moment and do not roll;
        - else the day of the event, in Shanghai, is not counted (民法典 §201);
        - months end on the day of the same number, or the month's last (§202);
        - days and months that would end on a day off end on the next working day (§203);
        - working days count worked days only, make-up workdays 调休 among them.

        Raises ValueError for a naive `start`, OverflowError past the year 9999.
        """
        return self._end(start, period, roll=period.roll is Roll.NEXT_WORKING_DAY)

    def expires(self, start: datetime, period: Period) -> Due:
        """When something that is in force for a period from `start` (aware) runs out.

        Counted like `due`, but never rolled: what protects somebody must not be believed to
        last over a holiday when it does not.
        """
        return self._end(start, period, roll=False)

    def is_working_day(self, day: date) -> bool:
        """Whether the day is worked, as far as is announced (see `is_settled`)."""
        ordinal = day.toordinal()
        return self._working_day(ordinal - 1, 1) == ordinal

    def next_working_day(self, day: date) -> date:
        """The day itself if it is worked, else the first one after it that is."""
        return date.fromordinal(self._working_day(day.toordinal() - 1, 1))

    def is_settled(self, day: date) -> bool:
        """Whether no notice to come can change the day.

        The last week of December is open until the next year's notice is in.
        """
        return day.toordinal() <= self._table(day.year).settled_until

    def warn_ahead(self, today: date, days: int = 60) -> list[str]:
        """A sentence for each year that `today` and the next `days` days touch unannounced."""
        until = today + timedelta(days=days)
        return [
            f"The working days of {year} are not announced, or not installed "
            f"({_begins(year, today)}): deadlines in it are provisional."
            for year in range(today.year, until.year + 1)
            if year not in self.announced
        ]

    def _end(self, start: datetime, period: Period, *, roll: bool) -> Due:
        if start.utcoffset() is None:
            raise ValueError("start has no time zone")
        if period.unit is PeriodUnit.HOURS:
            moment = start.astimezone(UTC) + timedelta(hours=period.amount)
            return Due(moment.astimezone(SHANGHAI), provisional=False)
        event = start.astimezone(SHANGHAI).date()
        if period.unit is PeriodUnit.WORKING_DAYS:
            first = event.toordinal() + 1
            last = self._working_day(first - 1, period.amount)
            provisional = self._is_open(first, last)
        else:
            last = _last_day(event, period)
            provisional = False
            if roll:
                nominal = last
                last = self._working_day(nominal - 1, 1)
                provisional = self._is_open(nominal, last)
        midnight = datetime.fromordinal(last) + timedelta(days=1)
        return Due(midnight.replace(tzinfo=SHANGHAI), provisional)

    def _table(self, year: int) -> YearTable:
        table = self._tables.get(year)
        if table is None:
            _check(year)
            # Two threads may both build it; they build the same.
            table = self._tables[year] = year_table(year, self.announced, self._notices)
        return table

    def _working_day(self, after: int, count: int) -> int:
        """The count-th working day after a day; days are ordinals."""
        year = date.fromordinal(after).year
        table = self._table(year)
        index = table.rank[after - table.first] + count - 1
        while index >= len(table.days):
            index -= len(table.days)
            year += 1
            table = self._table(year)
        return table.days[index]

    def _is_open(self, first: int, last: int) -> bool:
        """Whether a notice to come may change any day from first to last (ordinals)."""
        while last >= first:  # a year at a time, backwards; nearly always one
            table = self._table(date.fromordinal(last).year)
            if last > table.settled_until:
                return True
            last = table.first - 1
        return False


def _last_day(event: date, period: Period) -> int:
    """The last day of a period in days or months, not rolled, as an ordinal."""
    if period.unit is PeriodUnit.DAYS:
        return (event + timedelta(days=period.amount)).toordinal()
    years, month = divmod(event.month - 1 + period.amount, 12)
    year = event.year + years
    _check(year)
    # Every month has 28 days; the look-up is for the others only.
    day = event.day if event.day <= 28 else min(event.day, monthrange(year, month + 1)[1])
    return date(year, month + 1, day).toordinal()


def _check(year: int) -> None:
    if year > date.max.year:
        raise OverflowError("the period ends past the year 9999")


def _begins(year: int, today: date) -> str:
    ahead = (date(year, 1, 1) - today).days
    return f"it begins in {ahead} days" if ahead > 0 else "it has begun"


def _listed(years: list[int]) -> str:
    return ", ".join(map(str, years))
