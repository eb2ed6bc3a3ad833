"""Any event of any type: strategies that follow a model's own fields and their bounds."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import Enum
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from hypothesis import strategies as st
from pydantic import BaseModel, StringConstraints
from pydantic.fields import FieldInfo

from lianhu.contracts.base import Model
from lianhu.privacy import Sealed

_TOKEN = "s1:case/440304-2026-000123:" + "A" * 60
"""Closed by its form; nobody opens it."""
_WORDS = (
    "440304-2026-000123",
    "440304-2026-000124",
    "440304-2026-000123-a1",
    "440304000000",
    "440304010000",
    "difficulty-relief",
    "difficulty-relief/440304000000/2026",
    "difficulty-relief/440304000000/2026/2026-03-02",
    "a" * 32,
    "b" * 32,
    "o-7",
    "protection",
    "mandatory-report",
    "receipt",
    "answer",
    "concerned",
    "reporter",
    "other-party",
    "no-safe-contact",
    "2026-03-02",
    "13800000001",
    "a@example.org",
    "08:30",
    "12.50",
    "王**",
)
"""Texts of a form; drawing them from the forms themselves takes minutes."""
_MOMENTS = st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC))


@cache
def samples_of(model: type[Model]) -> st.SearchStrategy[Model]:
    """Valid events of a type."""
    return _fields(model).map(model.model_validate)


def _fields(model: type[BaseModel]) -> st.SearchStrategy[dict[str, Any]]:
    hints = get_type_hints(model, include_extras=True)
    return st.fixed_dictionaries({name: _values(hints[name]) for name in model.model_fields})


def _values(hint: Any, bounds: Mapping[str, Any] | None = None) -> st.SearchStrategy[Any]:
    bounds = bounds or {}
    origin, args = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _values(args[0], {**bounds, **bounds_of(args[1:])})
    if origin in (Union, UnionType):
        return st.one_of(*(_values(arg, bounds) for arg in args))
    if origin is tuple:
        return st.lists(_values(args[0]), min_size=bounds.get("min_length", 0), max_size=2)
    if origin is dict:
        return st.dictionaries(_values(args[0]), _values(args[1]), max_size=2)
    if origin is Literal:
        return st.sampled_from(args)
    if origin is Sealed:
        return st.just(_TOKEN)
    if hint is NoneType:
        return st.none()
    if hint is bool:
        return st.booleans()
    if hint is int:
        return st.integers(bounds.get("ge", 0), bounds.get("le", 10**9))
    if hint is str:
        return _texts(bounds)
    if isinstance(hint, type) and issubclass(hint, Enum):
        return st.sampled_from([member.value for member in hint])
    if isinstance(hint, type) and issubclass(hint, BaseModel):
        return _fields(hint)
    if isinstance(hint, type) and issubclass(hint, datetime):
        return _MOMENTS
    if getattr(hint, "__name__", "") == "AwareDatetime":
        return _MOMENTS
    raise TypeError(f"no samples of {hint}")


def _texts(bounds: Mapping[str, Any]) -> st.SearchStrategy[str]:
    if (pattern := bounds.get("pattern")) is not None:
        fitting = [word for word in _WORDS if re.search(pattern, word)]
        if not fitting:
            raise TypeError(f"no word of the list fits {pattern}")
        return st.sampled_from(fitting)
    letters = st.sampled_from("王小红 abc 123")
    return st.text(letters, min_size=1, max_size=12).map(lambda text: text.strip() or "x")


def bounds_of(metadata: tuple[Any, ...]) -> dict[str, Any]:
    """Pattern, least and most that the metadata of a contract's field ask for."""
    found: dict[str, Any] = {}
    for given in metadata:
        if isinstance(given, StringConstraints):
            found |= {"pattern": given.pattern} if given.pattern else {}
        elif isinstance(given, FieldInfo):
            found |= bounds_of(tuple(given.metadata))
        else:
            found |= {
                name: value
                for name in ("ge", "le", "min_length")
                if (value := getattr(given, name, None)) is not None
            }
    return found
