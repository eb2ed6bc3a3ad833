"""The configured area of casework: is a division code ours, and which unit owns its cases."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from lianhu.jurisdiction.units import Divisions, Kind, Level, Unit, is_division_code

FUTIAN = "440304000000"
SHENZHEN = "440300000000"


@dataclass(frozen=True, slots=True)
class MalformedDivision:
    """Not 12 ASCII digits. What was written is left out: it may be anything, a name even."""

    slug: ClassVar[str] = "malformed-division"


@dataclass(frozen=True, slots=True)
class UnknownDivision:
    """Well formed, but not in the table."""

    slug: ClassVar[str] = "unknown-division"
    code: str


@dataclass(frozen=True, slots=True)
class OutsideArea:
    """A real unit that another body is responsible for; the answer carries `unit.name`."""

    slug: ClassVar[str] = "outside-area"
    unit: Unit


@dataclass(frozen=True, slots=True)
class Inside:
    """A unit of the area (it may be a zone: ask `Area.owner` who owns the case)."""

    unit: Unit


Located = MalformedDivision | UnknownDivision | OutsideArea | Inside


class Area:
    """The districts whose cases are handled here, with everything below them, and their city.

    The city's own code is inside (the last level a case can climb to); its other districts
    are not. Immutable.
    """

    __slots__ = ("_inside", "city", "districts", "divisions")

    def __init__(
        self,
        divisions: Divisions,
        districts: Iterable[str] = frozenset({FUTIAN}),
        city: str = SHENZHEN,
    ) -> None:
        """Raise ValueError, naming every fault, unless this is a city and districts of it."""
        self.divisions = divisions
        self.districts = frozenset(districts)
        self.city = city
        if faults := _faults(divisions, self.districts, city):
            raise ValueError("invalid area: " + "; ".join(faults))
        self._inside = {city: Inside(divisions[city])} | {
            unit.code: Inside(unit)
            for district in sorted(self.districts)
            for unit in (divisions[district], *divisions.descendants(district))
        }

    def locate(self, code: str) -> Located:
        """Where a division code lies. Never raises; only 12 ASCII digits are a code."""
        if (inside := self._inside.get(code)) is not None:
            return inside
        if not is_division_code(code):
            return MalformedDivision()
        unit = self.divisions.get(code)
        return UnknownDivision(code) if unit is None else OutsideArea(unit)

    def owner(self, unit: Unit) -> Unit:
        """The unit that owns a case located in `unit`: itself, or, for a zone, the nearest above.

        A zone 功能区 has no federation posts and owns no case. Raises KeyError for a unit that
        is not in the table.
        """
        # The top of every branch is a city, and `Divisions` refuses a city that is a zone.
        return next(u for u in self.divisions.branch(unit.code) if u.kind is Kind.UNIT)

    def above(self, code: str) -> Unit | None:
        """The unit a case climbs to: the parent, a zone 功能区 skipped, which has no posts.

        None above the city, and for a unit that the table does not have, or no longer.
        """
        parent = self.divisions.parent(code) if code in self.divisions else None
        return None if parent is None else self.owner(parent)


def _faults(divisions: Divisions, districts: frozenset[str], city: str) -> list[str]:
    faults = [] if districts else ["no districts"]
    for code, level in [(city, Level.CITY), *((d, Level.DISTRICT) for d in sorted(districts))]:
        unit = divisions.get(code)
        if unit is None:
            faults.append(f"{code}: not in the table")
        elif unit.level is not level:
            faults.append(f"{code}: a {unit.level}, not a {level}")
        elif level is Level.DISTRICT and not divisions.is_above(city, code):
            faults.append(f"{code}: not a district of {city}")
    return faults
