"""What may be told of an event: its case, units, dates and words of a vocabulary, nothing else.

A fact is a string of no language: `440304001000`, `2026-03-05T17:00+08:00`, `level.street`, `yes`.
Free text, references and everything sealed have no fact, so that no template can name them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import cache
from types import MappingProxyType, NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from lianhu.contracts.base import CaseId, DivisionCode, Instant, Model
from lianhu.contracts.money import ApplicationId, EnvelopeId, Fen, PoolId, ProgrammeId, yuan
from lianhu.contracts.parts import Audience, DueAt
from lianhu.jurisdiction import SHANGHAI, Divisions


def tells(model: type[Model]) -> bool:
    """Whether events of this type name an audience."""
    return "audience" in model.model_fields


def audience_of(event: Model) -> tuple[Audience, ...]:
    """Who is to hear of an event."""
    found: tuple[Audience, ...] = getattr(event, "audience", ())
    return found


def case_of(event: Model) -> str | None:
    """The case that an event is about, if it is about one."""
    found: str | None = getattr(event, "case", None)
    return found


@dataclass(frozen=True, slots=True)
class Fact:
    """One value that may be told of an event type, and what it may look like."""

    tell: Callable[[Model, Divisions], str]
    samples: tuple[str, ...]
    """Every form it may take, or one of each sort; templates are tried with them at the start."""
    vocabulary: type[StrEnum] | None = None


@cache
def facts_of(model: type[Model]) -> Mapping[str, Fact]:
    """Every fact of an event type by name.

    A unit gives its code and, under `{field}_name`, its name; a due date gives its moment and,
    under `{field}_provisional`, `yes` or `no`.
    """
    found: dict[str, Fact] = {}
    for name, hint in get_type_hints(model, include_extras=True).items():
        if name in model.model_fields:
            found.update(_facts(name, hint))
    return MappingProxyType(found)


def facts(event: Model, names: Iterable[str], divisions: Divisions) -> dict[str, str]:
    """The named facts of an event, sorted by name; KeyError for a name that is no fact of it."""
    known = facts_of(type(event))
    return {name: known[name].tell(event, divisions) for name in sorted(names)}


def vocabulary_name(vocabulary: type[StrEnum]) -> str:
    """`DeadlineKind` is `deadline-kind`."""
    return re.sub(r"(?<!^)(?=[A-Z])", "-", vocabulary.__name__).lower()


def _facts(name: str, hint: object) -> dict[str, Fact]:
    sorts = [arg for arg in get_args(hint) if arg is not NoneType]
    if get_origin(hint) in (Union, UnionType) and len(sorts) == 1:
        # what is not there is an empty string, so that a template can ask for it
        return {at: _maybe(name, fact) for at, fact in _facts(name, sorts[0]).items()}

    def value(event: Model) -> Any:
        return getattr(event, name)

    if hint in _NUMBERS:
        return {name: Fact(lambda event, _: value(event), (_NUMBERS[hint],))}
    if hint == Fen:
        return {name: Fact(lambda event, _: yuan(value(event)), ("1234.50",))}
    if hint == DivisionCode:
        return {
            name: Fact(lambda event, _: value(event), ("440304000000",)),
            f"{name}_name": Fact(lambda event, d: _unit_name(value(event), d), ("福田区",)),
        }
    if hint == Instant:
        return {name: Fact(lambda event, _: _moment(value(event)), (_MOMENT,))}
    if hint is DueAt:
        return {
            name: Fact(lambda event, _: _moment(value(event).at), (_MOMENT,)),
            f"{name}_provisional": Fact(
                lambda event, _: _yes_no(value(event).provisional), ("yes", "no")
            ),
        }
    if hint is bool:
        return {name: Fact(lambda event, _: _yes_no(value(event)), ("yes", "no"))}
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        words = tuple(_word(member) for member in hint)
        return {name: Fact(lambda event, _: _word(value(event)), words, hint)}
    if get_origin(hint) is tuple and isinstance(of := get_args(hint)[0], type):
        if not issubclass(of, StrEnum):
            return {}
        every = ",".join(_word(member) for member in of)
        return {
            name: Fact(
                lambda event, _: ",".join(_word(member) for member in value(event)),
                ("", every),
                of,
            )
        }
    return {}


def _maybe(name: str, fact: Fact) -> Fact:
    return Fact(
        lambda event, d: "" if getattr(event, name) is None else fact.tell(event, d),
        ("", *fact.samples),
        fact.vocabulary,
    )


_NUMBERS: Mapping[object, str] = {
    CaseId: "440304-2026-000123",
    ApplicationId: "440304-2026-000123-a1",
    ProgrammeId: "difficulty-relief",
    PoolId: "difficulty-relief/440304000000/2026",
    EnvelopeId: "difficulty-relief/440304000000/2026/2026-03-05",
}
"""What is named by a number or a slug of our own, with an example."""

_MOMENT = "2026-03-05T17:00+08:00"


def _moment(at: datetime) -> str:
    return at.astimezone(SHANGHAI).isoformat(timespec="minutes")


def _yes_no(value: bool) -> str:
    return "yes" if value else "no"


def _word(member: StrEnum) -> str:
    return f"{vocabulary_name(type(member))}.{member.value}"


def _unit_name(code: str, divisions: Divisions) -> str:
    unit = divisions.get(code)
    return code if unit is None else unit.name
