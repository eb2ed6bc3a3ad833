"""What the bench is made of: a part that measures, its findings, and the goals they are held to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from tests.load.figures import Figure

Say = Callable[[str], None]


@dataclass(frozen=True)
class Setting:
    """How much each part does."""

    rounds: int
    """How often what is compared runs, in turns."""
    commands: int
    """Of each run of a hop."""
    cases: int
    """Over which they are spread."""
    present: int
    """Cases that are there already, where it is asked what they cost."""
    pending: int
    """Deadlines that wait while others are due."""
    due: int
    """Deadlines that are due at once."""
    waiting: int
    """Reports of a backlog."""
    seconds: float
    """So long each rate of lives is looked at."""
    calm_seconds: float
    """So long a chain with little to do."""
    paid: int
    """Full lives whose relief is paid; at most 200."""


SHORT = Setting(
    rounds=2,
    commands=6_000,
    cases=3_000,
    present=100_000,
    pending=20_000,
    due=10_000,
    waiting=10_000,
    seconds=5.0,
    calm_seconds=12.0,
    paid=20,
)
LONG = Setting(
    rounds=5,
    commands=50_000,
    cases=20_000,
    present=1_000_000,
    pending=1_000_000,
    due=10_000,
    waiting=200_000,
    seconds=30.0,
    calm_seconds=60.0,
    paid=80,
)


@dataclass(frozen=True)
class Goal:
    """A bound that the median must keep."""

    bound: float
    at_least: bool
    """Else at most."""

    def met_by(self, figure: Figure) -> bool:
        """Whether the median keeps it."""
        return figure.median >= self.bound if self.at_least else figure.median <= self.bound

    def __str__(self) -> str:
        return f"{'≥' if self.at_least else '≤'} {self.bound:g}"


def at_least(bound: float) -> Goal:
    """The median is this or more."""
    return Goal(bound, at_least=True)


def at_most(bound: float) -> Goal:
    """The median is this or less."""
    return Goal(bound, at_least=False)


@dataclass(frozen=True)
class Finding:
    """One thing that was measured: each value, in this unit."""

    what: str
    values: tuple[float, ...]
    unit: str
    goal: Goal | None = None

    @property
    def figure(self) -> Figure:
        """Median, least and greatest."""
        return Figure.of(self.values)

    @property
    def met(self) -> bool | None:
        """Whether the goal is met; None: there is none."""
        return None if self.goal is None else self.goal.met_by(self.figure)


class Part(Protocol):
    """One thing that the bench measures."""

    @property
    def name(self) -> str:
        """A word or two, unique."""

    def run(self, setting: Setting, say: Say) -> Sequence[Finding]:
        """Measure; starts what it needs and leaves nothing running. Raises what went wrong."""
