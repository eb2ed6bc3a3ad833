"""Lianhu's map and calendar: divisions, the area of casework, who may act on what, deadlines.

Pure: nothing here reads a clock, a setting or the network, and nothing imports another
package of Lianhu.
"""

from lianhu.jurisdiction.area import (
    Area,
    Inside,
    Located,
    MalformedDivision,
    OutsideArea,
    UnknownDivision,
)
from lianhu.jurisdiction.legal_calendar import (
    SHANGHAI,
    Calendar,
    Due,
    Period,
    PeriodUnit,
    Roll,
)
from lianhu.jurisdiction.permissions import (
    Denial,
    DenialSlug,
    Permissions,
    Post,
    may,
    objections,
)
from lianhu.jurisdiction.units import (
    Divisions,
    InvalidDivisions,
    Kind,
    Level,
    Unit,
    is_division_code,
)
from lianhu.jurisdiction.working_days import LIBRARY_YEARS, Notice

__all__ = [
    "LIBRARY_YEARS",
    "SHANGHAI",
    "Area",
    "Calendar",
    "Denial",
    "DenialSlug",
    "Divisions",
    "Due",
    "Inside",
    "InvalidDivisions",
    "Kind",
    "Level",
    "Located",
    "MalformedDivision",
    "Notice",
    "OutsideArea",
    "Period",
    "PeriodUnit",
    "Permissions",
    "Post",
    "Roll",
    "Unit",
    "UnknownDivision",
    "is_division_code",
    "may",
    "objections",
]
