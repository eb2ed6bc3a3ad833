"""The policy of welfare: programmes, permissions, payment; read at the start and free of holes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated

from pydantic import Field

from lianhu.contracts import policies
from lianhu.contracts.base import Line
from lianhu.contracts.parts import Clock, DueAt
from lianhu.contracts.policies import AreaOfCasework, Written
from lianhu.contracts.publishers import Publishers
from lianhu.contracts.vocabulary import PublisherKind
from lianhu.jurisdiction import (
    SHANGHAI,
    Area,
    Calendar,
    Divisions,
    Kind,
    Level,
    Notice,
    Period,
    Permissions,
    Unit,
)
from lianhu.welfare import programmes
from lianhu.welfare.programmes import Programme
from lianhu.welfare.settings import Settings

_WHAT = "the policy of welfare"


class Correction(Written):
    """How long it may take to put something right 补正."""

    source: Line
    period: Period


class Payment(Written):
    """How money is paid 支付: envelopes, tries, the treasury's time."""

    source: Line
    cut: Clock
    items: Annotated[int, Field(ge=1, le=200)]
    attempts: Annotated[int, Field(ge=1, le=10)]
    confirm: Period


class Retention(Written):
    """How long vouchers 会计凭证 are kept after the year of payment."""

    source: Line
    basis: Line
    years: Annotated[int, Field(ge=1, le=100)]


class _File(Written):
    """policy.yaml as it is written."""

    version: Line
    area: AreaOfCasework
    notices: tuple[Notice, ...] = ()
    correction: Correction
    payment: Payment
    retention: Retention
    permissions: Permissions


@dataclass(frozen=True, slots=True)
class Policy:
    """Everything a city decides about welfare. Immutable; every question has an answer."""

    version: str
    area: Area
    calendar: Calendar
    permissions: Permissions
    correction: Period
    payment: Payment
    retention: Retention
    programmes: Mapping[str, Programme]
    treasuries: Mapping[str, str]
    """For each unit with pools of money, the publisher that pays."""

    @classmethod
    def load(cls, settings: Settings) -> Policy:
        """What the settings name, or what is shipped. ValueError names every hole."""
        home = files("lianhu.welfare")
        return cls.read(
            settings.policy_file or home / "policy.yaml",
            settings.programmes_folder or home / "programmes",
            Publishers.read(settings.publishers_file),
        )

    @classmethod
    def read(
        cls, file: Path | Traversable, folder: Path | Traversable, publishers: Publishers
    ) -> Policy:
        """Read and check. Raises ValueError with a sentence for every hole."""
        written = policies.read(file, _File, _WHAT)
        found = programmes.read(folder)
        try:
            area = written.area.among(Divisions.shenzhen())
            calendar = Calendar(notices=written.notices)
        except ValueError as fault:
            raise policies.holes(_WHAT, [str(fault)]) from fault
        treasuries = _treasuries(area, publishers)
        if holes := [
            *policies.command_holes("welfare", written.permissions),
            *_fund_holes(found, area, treasuries),
        ]:
            raise policies.holes(_WHAT, holes)
        return cls(
            version=written.version,
            area=area,
            calendar=calendar,
            permissions=written.permissions,
            correction=written.correction.period,
            payment=written.payment,
            retention=written.retention,
            programmes=found,
            treasuries=treasuries,
        )

    def due(self, start: datetime, period: Period) -> DueAt:
        """When a clock that `start` sets running has run out; an act at that moment is too late."""
        due = self.calendar.due(start, period)
        return DueAt(at=due.at, provisional=due.provisional)

    def cut_of(self, day: date) -> DueAt:
        """When an envelope begun on this day is cut: at the hour of the first working day."""
        worked = self.calendar.next_working_day(day)
        at = datetime.combine(worked, time.fromisoformat(self.payment.cut), SHANGHAI)
        return DueAt(at=at, provisional=not self.calendar.is_settled(worked))

    def kept_until(self, paid: datetime) -> datetime:
        """The end of the retention of what was paid then; it begins with the year after."""
        year = paid.astimezone(SHANGHAI).year + 1 + self.retention.years
        return datetime(year, 1, 1, tzinfo=SHANGHAI)

    def unit_at(self, code: str, level: Level) -> Unit | None:
        """The unit of this level in the branch, if there is one that has posts."""
        if code not in self.area.divisions:
            return None
        unit = self.area.divisions.at_level(code, level)
        return unit if unit is not None and unit.kind is Kind.UNIT else None


def _treasuries(area: Area, publishers: Publishers) -> dict[str, str]:
    """For each unit of the area that may have pools: the treasury of the nearest unit above it."""
    ours = {p.unit: p.name for p in publishers.each() if p.kind is PublisherKind.TREASURY}
    found = {}
    for code in (area.city, *sorted(area.districts)):
        nearest = (ours[u.code] for u in area.divisions.branch(code) if u.code in ours)
        if (name := next(nearest, None)) is not None:
            found[code] = name
    return found


def _fund_holes(
    found: Mapping[str, Programme], area: Area, treasuries: Mapping[str, str]
) -> Iterator[str]:
    for programme in found.values():
        if (fund := programme.fund) is None:
            continue
        if fund.level not in (Level.DISTRICT, Level.CITY):
            yield f"{programme.id}: pools are those of districts or of the city"
            continue
        units = sorted(area.districts) if fund.level is Level.DISTRICT else [area.city]
        for unit in units:
            if programme.kind is programmes.Kind.MONEY and unit not in treasuries:
                yield f"{programme.id}: no treasury is registered that pays for {unit}"
            if programme.kind is programmes.Kind.SERVICE and unit not in fund.places:
                yield f"{programme.id}: no places for {unit}"
