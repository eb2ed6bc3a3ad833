"""How a figure is written in policy.yaml: a period and its source, by risk, level, category."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

from pydantic import Field, model_validator

from lianhu.contracts.base import Line
from lianhu.contracts.policies import Written
from lianhu.contracts.vocabulary import Category, Risk
from lianhu.jurisdiction import Level, Period


class Periods(Written):
    """How long something may take: by risk, or one `period` for every risk that has none."""

    source: Line
    """The statute or policy that says so."""
    period: Period | None = None
    risks: Mapping[Risk, Period] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.period is None and not self.risks:
            raise ValueError("a source without a period: say period or risks")
        return self

    def of(self, risk: Risk) -> Period | None:
        """The period of this risk, if there is one."""
        return self.risks.get(risk, self.period)


class Clock(Written):
    """One kind of deadline 时限: the default, and what levels and categories have instead.

    A category's figure wins over a level's: the former is the law's, the latter a city's own.
    The protection path's wins over both: it is about safety, not about settlement.
    """

    default: Periods | None = None
    levels: Mapping[Level, Periods] = Field(default_factory=dict)
    categories: Mapping[Category, Periods] = Field(default_factory=dict)
    protection: Periods | None = None

    def period(
        self, level: Level, category: Category, risk: Risk, *, protected: bool = False
    ) -> Period | None:
        """From the narrowest to the widest; None is a hole."""
        own = self.protection if protected else None
        for periods in (own, self.categories.get(category), self.levels.get(level), self.default):
            if periods is not None and (period := periods.of(risk)) is not None:
                return period
        return None
