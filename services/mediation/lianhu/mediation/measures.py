"""What mediation measures: open and overdue cases by level and unit, climbs, how cases end.

How many cases of red risk a level has is counted without the unit: in a small community a count
of one would point at somebody.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from prometheus_client import CollectorRegistry, Counter, Gauge

from lianhu.contracts.mediation import CaseConcluded, CaseEscalated
from lianhu.contracts.vocabulary import DeadlineKind, Outcome
from lianhu.eventing.measures import Happened, Measures, Part
from lianhu.eventing.rules import Rank, State
from lianhu.jurisdiction import Level
from lianhu.mediation.workflow.state import CaseState, Status


class MediationMeasures(Measures):
    """Counted from events; stock taken of cases."""

    kinds = (Rank.CASE,)

    def __init__(self, registry: CollectorRegistry) -> None:
        self._open = Gauge(
            "lianhu_mediation_cases_open",
            "Cases not concluded, by where they are",
            ["level", "unit"],
            registry=registry,
        )
        self._risk = Gauge(
            "lianhu_mediation_cases_open_by_risk",
            "Cases not concluded, by level and risk",
            ["level", "risk"],
            registry=registry,
        )
        self._overdue = Gauge(
            "lianhu_mediation_cases_overdue",
            "Open cases of which the last level above missed a deadline 超期",
            ["level", "unit"],
            registry=registry,
        )
        self._escalations = Counter(
            "lianhu_mediation_escalations",
            "Cases that climbed a level 升级上报, by the level they left and what it missed",
            ["from_level", "missed"],
            registry=registry,
        )
        self._conclusions = Counter(
            "lianhu_mediation_conclusions",
            "Cases concluded 办结, by outcome and level",
            ["outcome", "level"],
            registry=registry,
        )
        for level in Level:  # an increase from nothing is none that Prometheus sees
            for missed in DeadlineKind:
                self._escalations.labels(level, missed)
            for outcome in Outcome:
                self._conclusions.labels(outcome, level)

    def happened(self, one: Happened, now: datetime) -> None:
        """A climb, an end."""
        match one.event:
            case CaseEscalated(from_level=level, missed=missed):
                self._escalations.labels(level, missed).inc()
            case CaseConcluded(outcome=outcome, level=level):
                self._conclusions.labels(outcome, level).inc()
            case _:
                pass

    def parts(self, state: State) -> Iterable[Part]:
        """One open case, and whether it is overdue."""
        if not isinstance(state, CaseState) or state.status in (Status.CONCLUDED, Status.ERASED):
            return
        yield Part(self._open, (state.level, state.unit), 1)
        yield Part(self._risk, (state.level, state.risk), 1)
        if state.overdue:
            yield Part(self._overdue, (state.level, state.unit), 1)
