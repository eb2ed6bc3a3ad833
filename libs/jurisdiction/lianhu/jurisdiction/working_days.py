"""Which days are worked in mainland China, year by year, and which of them are settled."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Self

import chinese_calendar
from chinese_calendar.constants import holidays as _library_days_off
from holidays import country_holidays
from pydantic import BaseModel, ConfigDict, StringConstraints, model_validator

LIBRARY_YEARS: frozenset[int] = frozenset(day.year for day in _library_days_off)
"""The years whose notice is in `chinesecalendar` (from 2004)."""

_TURN_OF_YEAR = (12, 25)
"""A year's notice may move days of the December before it: 2018-12-29 was worked for 2019-01-01.

In all the notices since 2004 the earliest such day was a 29 December.
"""


class Notice(BaseModel):
    """The State Council's yearly notice 节假日安排通知, for a year the library does not have yet.

    `days_off` are all days off but plain weekends; `workdays` are the make-up workdays 调休.
    Both may reach into the last week of the December before.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    year: int
    days_off: frozenset[date]
    workdays: frozenset[date]
    source: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]

    @model_validator(mode="after")
    def _check(self) -> Self:
        first, last = date(self.year - 1, *_TURN_OF_YEAR), date(self.year, 12, 31)
        if stray := sorted(d for d in self.days_off | self.workdays if not first <= d <= last):
            raise ValueError(f"not days of the notice for {self.year}: {_listed(stray)}")
        if both := sorted(self.days_off & self.workdays):
            raise ValueError(f"both off and worked: {_listed(both)}")
        if not self.days_off:
            raise ValueError(f"the notice for {self.year} lists no days off")
        return self


@dataclass(frozen=True, slots=True)
class YearTable:
    """One year, laid out so that any count within it is an index. Days are date ordinals."""

    first: int
    """1 January."""
    days: tuple[int, ...]
    """The working days in order."""
    rank: tuple[int, ...]
    """For each day of the year, how many working days there are up to and including it."""
    settled_until: int
    """The last day that no notice can change any more; before `first` if there is none."""


def year_table(year: int, announced: Collection[int], notices: Collection[Notice]) -> YearTable:
    """The table of one year; `announced` are all years whose notice may be used.

    A year not announced has weekends and the statutory holidays off (全国年节及纪念日放假办法
    §2: New Year, Spring Festival, Tomb Sweeping, Labour Day, Dragon Boat, Mid-Autumn, National
    Day, lunar ones computed), without bridges, compensation for a weekend, or make-up workdays,
    which only the notice knows. Before 1950 and after 2100 it has weekends only.
    """
    first, last = date(year, 1, 1).toordinal(), date(year, 12, 31).toordinal()
    worked = _worked_days(year, announced, notices)
    days: list[int] = []
    rank: list[int] = []
    for ordinal in range(first, last + 1):
        if date.fromordinal(ordinal) in worked:
            days.append(ordinal)
        rank.append(len(days))
    if year not in announced:
        settled_until = first - 1
    elif year + 1 in announced:
        settled_until = last
    else:
        settled_until = date(year, *_TURN_OF_YEAR).toordinal() - 1
    return YearTable(first, tuple(days), tuple(rank), settled_until)


def _worked_days(
    year: int, announced: Collection[int], notices: Collection[Notice]
) -> frozenset[date]:
    start = date(year, 1, 1).toordinal()
    all_days = [date.fromordinal(o) for o in range(start, date(year, 12, 31).toordinal() + 1)]
    noticed = {notice.year for notice in notices}
    if year in announced and year not in noticed:
        worked = {day for day in all_days if chinese_calendar.is_workday(day)}
    else:
        worked = {day for day in all_days if day.weekday() < 5}
        if year not in noticed:
            worked -= _statutory(year)
    for notice in notices:
        worked -= notice.days_off
        worked |= {day for day in notice.workdays if day.year == year}
    return frozenset(worked)


def _statutory(year: int) -> frozenset[date]:
    days = country_holidays("CN", years=year, expand=False, observed=False)
    return frozenset(day for day in days if day.year == year)


def _listed(days: list[date]) -> str:
    return ", ".join(day.isoformat() for day in days)
