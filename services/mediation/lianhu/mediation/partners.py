"""Joint response 联动: which partner is asked of what, by when, and how a silent one is chased."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from lianhu.contracts.base import Line
from lianhu.contracts.policies import Written
from lianhu.contracts.publishers import Publisher, Publishers
from lianhu.contracts.vocabulary import Authority, Chase, Risk
from lianhu.jurisdiction import Area, Period
from lianhu.mediation.figures import Periods

LAST: Chase = [*Chase][-1]
"""After it nothing more follows."""


class Matter(StrEnum):
    """What a partner is asked for."""

    PROTECTION = "protection"  # 保护
    MANDATORY_REPORT = "mandatory-report"  # 强制报告


class Question(Written):
    """Who is asked about a matter, and how long each has for its receipt and its answer."""

    source: Line
    asks: Annotated[tuple[Authority, ...], Field(min_length=1)]
    receipt: Periods
    answer: Periods


class Chases(Written):
    """How long after each means of chasing 督办 the next one follows."""

    source: Line
    after: Mapping[Chase, Period]


class JointResponse(Written):
    """The figures of joint response, as they stand in policy.yaml."""

    matters: Mapping[Matter, Question]
    feedback: Periods
    """From the moment a partner says that it filed the case."""
    chases: Chases

    def holes(self) -> Iterator[str]:
        """A sentence for everything that has no answer here."""
        for matter in Matter:
            question = self.matters.get(matter)
            if question is None:
                yield f"nobody is asked about {matter}"
                continue
            for risk in Risk:
                if question.receipt.of(risk) is None:
                    yield f"no deadline for the receipt of {matter} for risk {risk}"
                if question.answer.of(risk) is None:
                    yield f"no deadline for the answer to {matter} for risk {risk}"
        for risk in Risk:
            if self.feedback.of(risk) is None:
                yield f"no deadline for feedback after filing for risk {risk}"
        for step in Chase:
            if step is not LAST and step not in self.chases.after:
                yield f"no period after the chase {step}"

    @property
    def authorities(self) -> frozenset[Authority]:
        """All that are asked of anything."""
        return frozenset(one for question in self.matters.values() for one in question.asks)


class Partners:
    """The partner authorities that are registered as publishers. Immutable."""

    def __init__(self, publishers: Publishers, area: Area) -> None:
        self._area = area
        self._all = tuple(one for one in publishers.each() if one.authority is not None)

    def of(self, authority: Authority, unit: str) -> Publisher | None:
        """The partner for a unit: the unit's own, or else that of the nearest unit above it.

        A case of the city, where no partner is above, is put to one of the area's districts:
        a wrong police station passes it on, silence passes nothing on.
        """
        found = [one for one in self._all if one.authority is authority]
        divisions = self._area.divisions
        branch = [one.code for one in divisions.branch(unit)] if unit in divisions else []
        for code in branch:
            if (near := next((one for one in found if one.unit == code), None)) is not None:
                return near
        return next((one for one in found if one.unit in self._area.districts), None)

    def knows(self, name: str, authority: Authority) -> bool:
        """Whether this authority is still registered under this name."""
        return any(one.name == name and one.authority is authority for one in self._all)

    def holes(self, authorities: frozenset[Authority]) -> Iterator[str]:
        """A sentence for each district that could not ask one of them."""
        for district in sorted(self._area.districts):
            above = {one.code for one in self._area.divisions.branch(district)}
            for authority in sorted(authorities):
                if not any(one.authority is authority and one.unit in above for one in self._all):
                    yield f"no {authority} is registered as a publisher for district {district}"
