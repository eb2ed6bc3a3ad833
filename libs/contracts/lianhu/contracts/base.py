"""The two kinds of model, strict towards publishers and tolerant between services, and their types.

Public models forbid unknown fields, so that a misspelt `safe_contact` is told to its sender
instead of being dropped. Internal ones ignore what they do not know: a newer service may add.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, ClassVar

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, StringConstraints
from pydantic_core import PydanticCustomError

EARLIEST = datetime(1900, 1, 1, tzinfo=UTC)
LATEST = datetime(2200, 1, 1, tzinfo=UTC)


def _plausible(value: datetime) -> datetime:
    if not EARLIEST <= value < LATEST:
        raise PydanticCustomError("implausible-time", "not between the years 1900 and 2200")
    return value.astimezone(UTC)


Instant = Annotated[AwareDatetime, AfterValidator(_plausible)]
"""A moment with its offset, kept in UTC; between the years 1900 and 2200."""

DivisionCode = Annotated[str, StringConstraints(pattern=r"^[0-9]{12}$")]
"""A division code 行政区划代码 of twelve ASCII digits; the form only."""

CaseId = Annotated[str, StringConstraints(pattern=r"^[0-9]{6}-[0-9]{4}-[0-9]{6,12}$")]
"""A case number 个案编号 such as `440304-2026-000123`: district, year, running number."""

Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100)]
Line = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Prose = Annotated[str, StringConstraints(min_length=1, max_length=20_000)]
Ref = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:/@-]{0,127}$")]
"""A reference that a system gives: no spaces, at most 128 ASCII characters, no personal data."""


class Model(BaseModel):
    """What both kinds share: frozen, and errors that never show the input."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True, ser_json_timedelta="iso8601")

    type_: ClassVar[str] = ""
    """The CloudEvents type of a registered message, e.g. `lianhu.intake.case-opened.v1`."""


class Public(Model):
    """What a publisher outside sends; an unknown field is a fault."""

    model_config = ConfigDict(extra="forbid")


class Internal(Model):
    """What a service publishes; a reader ignores fields that it does not know."""

    model_config = ConfigDict(extra="ignore")

    @property
    def addressee(self) -> str | None:
        """The publisher to whom this event goes as well, whoever caused it."""
        return None
