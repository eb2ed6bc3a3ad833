"""Expressions 条件表达式 of programmes, in CEL: compiled once, tried at the start, then evaluated.

What an expression may ask: `applicant.age`, `.household`, `.income` and `.bill` (yuan, absent when
unknown: ask `has(applicant.income)` first), `tags` (names), `amount` (yuan asked for, absent when
open is 0.0), and `case.category`, `.risk`, `.path`, `.minor`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from celpy import Environment, Runner
from celpy.adapter import json_to_cel
from celpy.celparser import CELParseError
from celpy.celtypes import BoolType
from celpy.evaluation import CELEvalError

from lianhu.contracts.faults import Poison
from lianhu.contracts.vocabulary import Category, Path, Risk
from lianhu.contracts.welfare import Applicant

_ENVIRONMENT = Environment()


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of an application when it is judged."""

    applicant: Applicant
    today: date
    """In Shanghai."""
    tags: frozenset[str]
    amount: int | None
    """In fen."""
    category: Category
    risk: Risk
    path: Path
    minor: bool

    @property
    def age(self) -> int:
        """In full years; a day that the month does not have counts as its last."""
        return age(self.applicant.born, self.today)

    def as_cel(self) -> Any:
        """As an expression sees it."""
        applicant: dict[str, Any] = {"age": self.age, "household": self.applicant.household}
        if self.applicant.monthly_income is not None:
            applicant["income"] = self.applicant.monthly_income.fen / 100
        if self.applicant.bill is not None:
            applicant["bill"] = self.applicant.bill.fen / 100
        return json_to_cel(
            {
                "applicant": applicant,
                "tags": sorted(self.tags | {tag.name for tag in self.applicant.tags}),
                "amount": (self.amount or 0) / 100,
                "case": {
                    "category": self.category.value,
                    "risk": self.risk.value,
                    "path": self.path.value,
                    "minor": self.minor,
                },
            }
        )


def age(born: str, today: date) -> int:
    """The years between a date of birth and a day."""
    year, month, day = (int(part) for part in born.split("-"))
    return today.year - year - ((today.month, today.day) < (month, day))


@dataclass(frozen=True, slots=True)
class Expression:
    """A condition 条件 of a programme. Immutable."""

    text: str
    _program: Runner = field(repr=False, compare=False)

    @classmethod
    def compile(cls, text: str) -> Expression:
        """Raises ValueError, which says what is wrong, also for one that gives no yes or no.

        It is tried on applicants of whom everything and nearly nothing is known: one that asks
        for what may be absent, or for what there is not, fails here and not later.
        """
        try:
            made = cls(text, _ENVIRONMENT.program(_ENVIRONMENT.compile(text)))
        except CELParseError as fault:
            raise ValueError(f"not CEL: {' '.join(str(fault.args[0]).split())}") from None
        for facts in _TRIALS:
            made._ask(facts)
        return made

    def holds(self, facts: Facts) -> bool:
        """Whether it is true. Raises `Poison`, and only for facts that no trial was like."""
        try:
            return self._ask(facts)
        except ValueError:
            raise Poison("expression-failed") from None

    def _ask(self, facts: Facts) -> bool:
        try:
            said = self._program.evaluate(facts.as_cel())
        except CELEvalError as fault:
            # the first argument alone: the whole of it shows the facts
            raise ValueError(f"fails: {str(fault.args[0]).split(' (in activation')[0]}") from None
        if isinstance(said, BoolType):
            return bool(said)
        raise ValueError(f"gives {type(said).__name__}, not yes or no")


def _trials() -> tuple[Facts, ...]:
    bare = {"name": "a", "born": "1990-02-28", "document": "0000"}
    known = {"monthly_income": {"amount": "1000"}, "bill": {"amount": "5000"}, "household": 3}
    kinds: tuple[Mapping[str, Any], ...] = (bare, {**bare, **known})
    return tuple(
        Facts(
            applicant=Applicant.model_validate(kind),
            today=date(2026, 3, 2),
            tags=tags,
            amount=amount,
            category=category,
            risk=Risk.RED,
            path=path,
            minor=minor,
        )
        for kind in kinds
        for tags in (frozenset[str](), frozenset({"poverty"}))
        for amount in (None, 100_000)
        for category in (Category.OTHER, Category.DOMESTIC_VIOLENCE)
        for path in Path
        for minor in (False, True)
    )


_TRIALS = _trials()
