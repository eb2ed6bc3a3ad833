"""Bodies of any contract out of its own fields, with what no system should ever write in places."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from enum import Enum
from functools import cache
from random import Random
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from pydantic import BaseModel

from lianhu.privacy import DataKey, Sealed, Sealer
from tests.samples import bounds_of

TEXTS = (
    "",
    " ",
    "\x00",
    "a\x00b",
    "\ud800",
    "\udfff\ud800",
    "\u202e反\u2066写\u2069",
    "\u200b\u200f\ufeff",
    "e" + "\u0301" * 500,
    "\U0001f468\u200d\U0001f469\u200d\U0001f467",
    "４４０３０４００１０１９",
    "٤٤٠٣٠٤٠٠١٠١٩",
    "440304-２０２６-000001",
    "0000-01-01T00:00:00Z",
    "10000-01-01T00:00:00Z",
    "9999-12-31T23:59:59.999999Z",
    "0001-01-01T00:00:00+14:00",
    "2199-12-31T23:59:59Z",
    "1900-01-01T00:00:00Z",
    "2026-02-30T25:61:61Z",
    "2026-06-30T23:59:60Z",
    "0000-00-00",
    "10000-01-01",
    "9999-12-31",
    "%s%n{0}{__class__}${jndi:ldap://x}",
    "'; DROP TABLE journal; --",
    "../../etc/passwd",
    "\r\n\x1b[2J\x9b",
    "x" * 5000,
    "愿" * 20_001,
    "NaN",
    "null",
)
"""Texts that are none, or not what they look like."""
VALUES: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    -1,
    2**31,
    2**63,
    10**400,
    -(10**400),
    0.1,
    -0.0,
    1e308,
    float("nan"),
    float("inf"),
    [],
    {},
    [[[]]],
    {"": {"": {"": None}}},
    [None] * 300,
)
"""Values of a wrong type or size."""
_EDGES = (
    "440304-2026-000001",
    "440304-2026-000002",
    "440304-2026-000003",
    "440304-2026-999999999999",
    "440304-2026-000001-a1",
    "440304-2026-000001-a999",
    "440304000000",
    "440304001019",
    "440304001020",
    "000000000000",
    "999999999999",
    "difficulty-relief",
    "difficulty-relief/440304000000/2026",
    "difficulty-relief/440304000000/0000",
    "difficulty-relief/440304000000/2026/2026-03-02",
    "difficulty-relief/440304000000/2026/0000-99-99",
    "a" * 32,
    "0" * 32,
    "o-7",
    "protection",
    "mandatory-report",
    "receipt",
    "answer",
    "resident-id",
    "concerned",
    "reporter",
    "other-party",
    "no-safe-contact",
    "2026-03-02",
    "0000-00-00",
    "9999-99-99",
    "2026-19-39",
    "13800000001",
    "+99999999999999999999",
    "0-- - -- -",
    "a@example.org",
    "@@example.org",
    "08:30",
    "23:59",
    "00:00",
    "12.50",
    "9999999999.99",
    "0",
    "王**",
    "440304199002281234",
    "(//)",
)
"""Texts of some form, at its edges; each stands wherever a pattern takes it."""
_MOMENTS = (
    "2026-03-02T01:00:00Z",
    "2026-03-02T09:00:00+08:00",
    "2026-12-31T23:59:59.999999-23:59",
    "1900-01-01T00:00:00Z",
    "2199-12-31T23:59:59.999999Z",
    "2024-02-29T00:00:00Z",
)
_CASE = "440304-2026-000001"
_RECENT = 30
_LETTERS = "王小红 abc123\u202e\u0301吵打"


@cache
def _hints(model: type[BaseModel]) -> Mapping[str, Any]:
    return get_type_hints(model, include_extras=True)


@cache
def _fitting(pattern: str) -> tuple[str, ...]:
    return tuple(word for word in _EDGES if re.search(pattern, word))


class Maker:
    """Makes bodies. `harm`: how likely each value is replaced by one that does not belong there."""

    def __init__(self, random: Random, harm: float) -> None:
        self._random = random
        self._harm = harm
        self.key: DataKey | None = None
        """What is told of people is closed with it, as it is between services; None: it is open."""
        self.newest = 1
        """The running number of the newest case; bodies speak of one of the latest mostly."""

    def body(self, model: type[BaseModel]) -> dict[str, Any]:
        """A body of this type, with optional fields left out at times."""
        random = self._random
        found = {
            name: self._value(_hints(model)[name], {})
            for name, field in model.model_fields.items()
            if field.is_required() or random.random() < 0.6
        }
        if self._struck():
            found[random.choice(("extra", "__proto__", "张三", "\ud800", "a" * 300))] = 1
        if found and self._struck():
            del found[random.choice([*found])]
        return found

    def case(self) -> str:
        """One of the latest cases."""
        oldest = max(self.newest - _RECENT, 1)
        return f"440304-2026-{self._random.randint(oldest, self.newest):06d}"

    def odd(self) -> Any:
        """A value that belongs nowhere."""
        return self._random.choice(TEXTS if self._random.random() < 0.7 else VALUES)

    def _struck(self) -> bool:
        return self._random.random() < self._harm

    def _value(self, hint: Any, bounds: Mapping[str, Any]) -> Any:
        if self._struck():
            return self.odd()
        random = self._random
        origin, args = get_origin(hint), get_args(hint)
        if origin is Annotated:
            return self._value(args[0], {**bounds, **bounds_of(args[1:])})
        if origin in (Union, UnionType):
            return self._value(random.choice(args), bounds)
        if origin is tuple:
            least = bounds.get("min_length", 0)
            return [self._value(args[0], {}) for _ in range(random.randint(least, least + 2))]
        if origin is dict:
            return {
                str(self._value(args[0], {})): self._value(args[1], {})
                for _ in range(random.randint(0, 2))
            }
        if origin is Literal:
            return random.choice(args)
        if origin is Sealed:
            return self._told(args[0])
        return self._plain(hint, bounds)

    def _told(self, hint: Any) -> str:
        if self.key is None:
            return self._text({})
        return Sealer(self.key).seal(json.dumps(self._value(hint, {})).encode())

    def _plain(self, hint: Any, bounds: Mapping[str, Any]) -> Any:
        random = self._random
        if hint is NoneType:
            return None
        if hint is bool:
            return random.random() < 0.5
        if hint is int:
            low, high = bounds.get("ge", 0), bounds.get("le", 10**13)
            return random.choice((low, high, random.randint(low, high)))
        if hint is str:
            return self._text(bounds)
        if isinstance(hint, type) and issubclass(hint, Enum):
            return random.choice([member.value for member in hint])
        if isinstance(hint, type) and issubclass(hint, BaseModel):
            return self.body(hint)
        return random.choice(_MOMENTS)

    def _text(self, bounds: Mapping[str, Any]) -> str:
        random = self._random
        if (pattern := bounds.get("pattern")) is not None:
            fitting = _fitting(pattern)
            if _CASE in fitting and random.random() < 0.9:
                return self.case()
            return random.choice(fitting or _EDGES)
        return "".join(random.choices(_LETTERS, k=random.randint(1, 12))).strip() or "x"
