"""Administrative divisions: the levels, the units, and who is whose parent."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

_COLUMNS = ["code", "name", "level", "parent", "kind"]


class Level(StrEnum):
    """社区 community → 街道 street → 区 district → 市 city.

    The members are strings, so `<` compares spelling; use `rank`, `above` or `is_above`.
    """

    COMMUNITY = "community"
    STREET = "street"
    DISTRICT = "district"
    CITY = "city"

    @property
    def rank(self) -> int:
        """0 for a community to 3 for a city."""
        return _RANK[self]

    @property
    def above(self) -> Level | None:
        """The next level up; None above the city."""
        return _NEXT_UP[self]

    def is_above(self, other: Level) -> bool:
        """Whether this level is strictly higher than the other."""
        return _RANK[self] > _RANK[other]


_RANK: dict[Level, int] = {level: rank for rank, level in enumerate(Level)}
_NEXT_UP: dict[Level, Level | None] = dict(zip(Level, [*list(Level)[1:], None], strict=True))


class Kind(StrEnum):
    """A unit 行政区划 proper, or a functional zone 功能区, which owns no case."""

    UNIT = "unit"
    ZONE = "zone"


@dataclass(frozen=True, slots=True)
class Unit:
    """One division. `parent` is data: nothing may be read from the digits of a code."""

    code: str
    name: str
    level: Level
    parent: str | None
    kind: Kind = Kind.UNIT


class InvalidDivisions(ValueError):
    """A table of divisions that contradicts itself; `faults` names every fault found."""

    def __init__(self, faults: Iterable[str]) -> None:
        self.faults = tuple(faults)
        super().__init__("invalid divisions: " + "; ".join(self.faults))


class Divisions(Mapping[str, Unit]):
    """An immutable table of units by code; every question is answered by a dict look-up.

    `get` answers None for an unknown code and `is_above` False; the other questions raise
    KeyError, because a code that reached them should have been located before.
    """

    __slots__ = ("_above", "_branches", "_children", "_units")

    def __init__(self, units: Iterable[Unit]) -> None:
        """Take the units in any order; raise `InvalidDivisions` with every fault."""
        listed = tuple(units)
        faults = _faults(listed)
        if faults:
            raise InvalidDivisions(faults)
        self._units = {unit.code: unit for unit in listed}
        self._branches = {unit.code: self._climb(unit) for unit in listed}
        self._above = {
            code: frozenset(unit.code for unit in branch[1:])
            for code, branch in self._branches.items()
        }
        children: dict[str, list[Unit]] = {unit.code: [] for unit in listed}
        for unit in listed:
            if unit.parent is not None:
                children[unit.parent].append(unit)
        self._children = {code: tuple(under) for code, under in children.items()}

    @classmethod
    def read(cls, path: Path | Traversable) -> Divisions:
        """Read a UTF-8 CSV with the columns code, name, level, parent, kind.

        An empty parent is no parent. Raises `InvalidDivisions` naming every fault, those of
        the rows with their line.
        """
        rows = csv.reader(path.read_text(encoding="utf-8-sig").splitlines())
        if next(rows, None) != _COLUMNS:
            raise InvalidDivisions(["line 1: the columns must be " + ",".join(_COLUMNS)])
        units: list[Unit] = []
        faults: list[str] = []
        unreadable: set[str] = set()
        for row in rows:
            try:
                units.append(_unit(row))
            except ValueError as fault:
                faults.append(f"line {rows.line_num}: {fault}")
                unreadable.update(row[:1])
        if faults:
            raise InvalidDivisions([*faults, *_faults(units, unreadable)])
        return cls(units)

    @classmethod
    def shenzhen(cls) -> Divisions:
        """Shenzhen in 2023 (深圳市, 440300): 1 city, 9 districts, 79 streets, 788 communities.

        Of them 5 streets and 5 communities are zones. Source: National Bureau of Statistics,
        统计用区划代码 2023. Read once per process.
        """
        return _shenzhen()

    def __getitem__(self, code: str) -> Unit:
        return self._units[code]

    def __iter__(self) -> Iterator[str]:
        return iter(self._units)

    def __len__(self) -> int:
        return len(self._units)

    def __contains__(self, code: object) -> bool:
        return code in self._units

    def parent(self, code: str) -> Unit | None:
        """The unit directly above; None for a city."""
        parent = self._units[code].parent
        return None if parent is None else self._units[parent]

    def branch(self, code: str) -> tuple[Unit, ...]:
        """The unit itself, then its parents up to the city."""
        return self._branches[code]

    def is_above(self, upper: str, lower: str) -> bool:
        """Whether `upper` is a parent, or a parent's parent, of `lower`; never of itself."""
        return upper in self._above.get(lower, ())

    def at_level(self, code: str, level: Level) -> Unit | None:
        """The unit of this level in the branch (itself included); None if there is none."""
        return next((unit for unit in self._branches[code] if unit.level is level), None)

    def children(self, code: str) -> tuple[Unit, ...]:
        """The units directly below, in the order of the table."""
        return self._children[code]

    def descendants(self, code: str) -> tuple[Unit, ...]:
        """Every unit below, nearest levels first, without the unit itself."""
        found: list[Unit] = list(self._children[code])
        for unit in found:  # grows while it is walked: breadth first
            found.extend(self._children[unit.code])
        return tuple(found)

    def _climb(self, unit: Unit) -> tuple[Unit, ...]:
        branch = [unit]
        while (parent := branch[-1].parent) is not None:
            branch.append(self._units[parent])
        return tuple(branch)


@cache
def _shenzhen() -> Divisions:
    return Divisions.read(files(__package__) / "divisions.csv")


def is_division_code(text: str) -> bool:
    """Whether the text has the form of a code: exactly 12 ASCII digits, nothing around them."""
    return len(text) == 12 and text.isascii() and text.isdigit()


def _unit(row: list[str]) -> Unit:
    if len(row) != len(_COLUMNS):
        raise ValueError(f"{len(row)} columns instead of {len(_COLUMNS)}")
    code, name, level, parent, kind = row
    return Unit(code, name, Level(level), parent or None, Kind(kind))


def _faults(units: Sequence[Unit], unreadable: Collection[str] = ()) -> list[str]:
    """Every contradiction in the table; a parent that is `unreadable` is named already."""
    by_code = {unit.code: unit for unit in units}
    faults = [] if units or unreadable else ["the table is empty"]
    faults += [
        f"{code}: listed {times} times"
        for code, times in Counter(unit.code for unit in units).items()
        if times > 1
    ]
    for unit in units:
        faults += _faults_of(unit, by_code, unreadable)
    return faults + _cycles(by_code)


def _faults_of(
    unit: Unit, by_code: Mapping[str, Unit], unreadable: Collection[str]
) -> Iterator[str]:
    if not is_division_code(unit.code):
        yield f"{unit.code}: a code is 12 digits"
    if not unit.name:
        yield f"{unit.code}: no name"
    if unit.level is Level.CITY and unit.kind is Kind.ZONE:
        yield f"{unit.code}: a city cannot be a zone"
    if unit.parent is None:
        if unit.level is not Level.CITY:
            yield f"{unit.code}: a {unit.level} without a parent"
    elif (parent := by_code.get(unit.parent)) is None:
        if unit.parent not in unreadable:
            yield f"{unit.code}: unknown parent {unit.parent}"
    elif not parent.level.is_above(unit.level):
        yield f"{unit.code}: a {unit.level} cannot lie under the {parent.level} {unit.parent}"


def _cycles(by_code: Mapping[str, Unit]) -> list[str]:
    """One fault for each ring of parents."""
    faults: list[str] = []
    done: set[str] = set()
    for start in by_code:
        path: list[str] = []
        code = start
        while code in by_code and code not in done:
            done.add(code)
            path.append(code)
            code = by_code[code].parent or ""
        if code in path:
            ring = path[path.index(code) :]
            faults.append("a ring of parents: " + " → ".join([*ring, code]))
    return faults
