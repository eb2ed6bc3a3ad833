"""policy.yaml as it is written: its tables, each figure with its source."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from lianhu.contracts.base import Line
from lianhu.contracts.policies import AreaOfCasework
from lianhu.contracts.policies import Written as Part
from lianhu.contracts.vocabulary import Category, Ground, Risk
from lianhu.intake.reading import Boilerplate, Grammar, Words
from lianhu.jurisdiction import Permissions

Weight = Annotated[int, Field(ge=1, le=10)]
Weighed = Mapping[Weight, Words]
"""Words by weight."""
Names = Annotated[tuple[str, ...], Field(min_length=1)]
"""Indicators or signs that must all be there."""


class IndicatorRule(Part):
    """What a yes to one question 风险指标 means."""

    source: Line
    title: Line
    risk: Risk
    category: Category | None = None


class Together(Part):
    """Indicators or signs that are graver together than each alone."""

    source: Line
    of: Annotated[tuple[str, ...], Field(min_length=2)]
    risk: Risk


class Sign(Part):
    """What a narrative may tell of danger, by its words; each distinct word counts once.

    A sign named like an indicator is that question, answered by the narrative.
    """

    source: Line
    title: Line
    risk: Risk
    """From the weight `enough` on."""
    below: Risk = Risk.GREEN
    """For less than that."""
    enough: Weight = 2
    violence: bool = False
    """Violence 暴力 makes a matter at home domestic violence, elsewhere one of personal rights."""
    absolute: bool = False
    """Counts even when only supposed: a threat."""
    only_with: tuple[str, ...] = ()
    """Counts only beside one of these signs or categories."""
    words: Weighed

    def reached(self, score: int) -> bool:
        """Whether the words are enough."""
        return score >= self.enough


class CategoryWords(Part):
    """What a narrative of this category speaks of. A word counts `repeats` times at most."""

    source: Line
    title: Line
    enough: Weight = 3
    words: Weighed = Field(default_factory=dict)
    at_home: Weighed = Field(default_factory=dict)
    """Count only where the narrative speaks of home."""


class Setting(Part):
    """Where a narrative plays; decides nothing by itself."""

    source: Line
    home: Weighed
    elsewhere: Weighed


class GroundRule(Part):
    """What gives one ground against mediation 不适宜调解的情形; any line of either table does."""

    source: Line
    title: Line
    asked: tuple[Names, ...]
    """Indicators that are all answered with yes."""
    told: tuple[Names, ...]
    """Signs that the narrative shows; a yes to the indicator of that name counts as well."""
    minor: bool = False
    """That the person concerned is a minor gives it too."""


class Gate(Part):
    """The suitability gate 适宜性审查: which cases take the protection path, and their risk."""

    source: Line
    least: Risk
    """On the protection path no risk is lower."""
    grounds: Mapping[Ground, GroundRule]


class Window(Part):
    """So many days."""

    source: Line
    days: Annotated[int, Field(ge=1, le=3660)]


class Repeat(Window):
    """From how many reports or channels within the days somebody is a repeat victim 重复受害."""

    times: Annotated[int, Field(ge=2, le=20)]
    channels: Annotated[int, Field(ge=2, le=20)]


class People(Part):
    """What follows from meeting the same person again, and how long traces of the erased stay."""

    reopen: Window
    repeat: Repeat
    kept: Window


class Written(Part):
    """policy.yaml as it is written."""

    version: Line
    area: AreaOfCasework
    precedence: tuple[Category, ...]
    repeats: Annotated[int, Field(ge=1, le=10)]
    indicators: Mapping[str, IndicatorRule]
    together: tuple[Together, ...]
    gate: Gate
    people: People
    permissions: Permissions
    signs: Mapping[str, Sign]
    categories: Mapping[Category, CategoryWords]
    setting: Setting
    boilerplate: tuple[Boilerplate, ...]
    grammar: Grammar
