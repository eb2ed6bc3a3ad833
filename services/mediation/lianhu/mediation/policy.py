"""The policy of mediation: deadlines, partners, permissions; from policy.yaml, free of holes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from importlib.resources import files
from importlib.resources.abc import Traversable
from itertools import product
from pathlib import Path
from typing import Annotated

from pydantic import Field

from lianhu.contracts import policies
from lianhu.contracts.base import Line
from lianhu.contracts.parts import DueAt
from lianhu.contracts.policies import AreaOfCasework, Written
from lianhu.contracts.publishers import Publishers
from lianhu.contracts.vocabulary import Category, Chase, DeadlineKind, Risk
from lianhu.contracts.vocabulary import Path as CasePath
from lianhu.jurisdiction import Area, Calendar, Divisions, Level, Notice, Period, Permissions
from lianhu.mediation.figures import Clock, Periods
from lianhu.mediation.partners import JointResponse, Matter, Partners
from lianhu.mediation.settings import Settings

_WHAT = "the policy of mediation"

Key = tuple[DeadlineKind, Level, Category, Risk]


class Retention(Written):
    """How long the file of a mediation 调解档案 is kept once an agreement was reached."""

    source: Line
    basis: Line
    """The duty, as it is told to whoever asks for an erasure."""
    period: Period


class _File(Written):
    """policy.yaml as it is written."""

    version: Line
    area: AreaOfCasework
    notices: tuple[Notice, ...] = ()
    deadlines: Mapping[DeadlineKind, Clock]
    joint: Annotated[JointResponse, Field(alias="joint-response")]
    retention: Retention
    permissions: Permissions


@dataclass(frozen=True, slots=True)
class Policy:
    """Everything a city decides about mediation. Immutable; every question has an answer."""

    version: str
    area: Area
    permissions: Permissions
    calendar: Calendar
    periods: Mapping[Key, Period]
    """For every kind, level, category and risk."""
    protection: Mapping[Key, Period]
    """The same on the protection path."""
    joint: JointResponse
    partners: Partners
    retention: Retention

    @classmethod
    def load(cls, settings: Settings) -> Policy:
        """The policy that the settings name, or the shipped one. ValueError names every hole."""
        shipped = files("lianhu.mediation") / "policy.yaml"
        publishers = Publishers.read(settings.publishers_file)
        return cls.read(settings.policy_file or shipped, Divisions.shenzhen(), publishers)

    @classmethod
    def read(cls, file: Path | Traversable, divisions: Divisions, publishers: Publishers) -> Policy:
        """Read and check. Raises ValueError with a sentence for every hole."""
        written = policies.read(file, _File, _WHAT)
        found = [
            *_clock_holes(written.deadlines),
            *written.joint.holes(),
            *policies.command_holes("mediation", written.permissions),
        ]
        if found:
            raise policies.holes(_WHAT, found)
        try:
            area = written.area.among(divisions)
            calendar = Calendar(notices=written.notices)
        except ValueError as fault:
            raise policies.holes(_WHAT, [str(fault)]) from fault
        partners = Partners(publishers, area)
        if found := [*partners.holes(written.joint.authorities)]:
            raise policies.holes(_WHAT, found)
        return cls(
            version=written.version,
            area=area,
            permissions=written.permissions,
            calendar=calendar,
            periods=dict(_periods(written.deadlines, protected=False)),
            protection=dict(_periods(written.deadlines, protected=True)),
            joint=written.joint,
            partners=partners,
            retention=written.retention,
        )

    def due(
        self,
        kind: DeadlineKind,
        level: Level,
        category: Category,
        risk: Risk,
        start: datetime,
        path: CasePath = CasePath.MEDIATION,
    ) -> DueAt:
        """When a clock that `start` sets running has run out; an act at that moment is too late."""
        periods = self.protection if path is CasePath.PROTECTION else self.periods
        return self.after(start, periods[kind, level, category, risk])

    def after(self, start: datetime, period: Period) -> DueAt:
        """When a period that begins at `start` is over."""
        due = self.calendar.due(start, period)
        return DueAt(at=due.at, provisional=due.provisional)

    def asked(self, matter: Matter, risk: Risk, start: datetime) -> tuple[DueAt, DueAt]:
        """Until when a partner that is asked at `start` owes its receipt, and its answer."""
        question = self.joint.matters[matter]
        return self._of(question.receipt, risk, start), self._of(question.answer, risk, start)

    def feedback(self, risk: Risk, filed: datetime) -> DueAt:
        """Until when a partner that filed the case owes its answer."""
        return self._of(self.joint.feedback, risk, filed)

    def chase(self, step: Chase, now: datetime) -> DueAt | None:
        """When the next means of chasing follows; None after the last."""
        period = self.joint.chases.after.get(step)
        return None if period is None else self.after(now, period)

    def kept_until(self, concluded: datetime) -> datetime:
        """Until when the file of a mediation that reached an agreement is kept."""
        return self.after(concluded, self.retention.period).at

    def _of(self, periods: Periods, risk: Risk, start: datetime) -> DueAt:
        period = periods.of(risk)
        if period is None:
            raise KeyError(risk)  # a hole, which stops the start
        return self.after(start, period)


def _periods(
    clocks: Mapping[DeadlineKind, Clock], *, protected: bool
) -> Iterator[tuple[Key, Period]]:
    for kind, clock in clocks.items():
        for level, category, risk in product(Level, Category, Risk):
            period = clock.period(level, category, risk, protected=protected)
            if period is not None:
                yield (kind, level, category, risk), period


def _clock_holes(clocks: Mapping[DeadlineKind, Clock]) -> Iterator[str]:
    for kind in DeadlineKind:
        if (clock := clocks.get(kind)) is None:
            yield f"no deadline {kind}"
            continue
        for level, risk in product(Level, Risk):
            if any(clock.period(level, category, risk) is None for category in Category):
                yield f"no deadline {kind} at level {level} for risk {risk}"
