"""A programme 救助项目: a YAML file, typed, checked at the start, every figure with its source."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum
from functools import lru_cache
from importlib.resources.abc import Traversable
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Self

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
    ValidationError,
    model_validator,
)

from lianhu.contracts import policies
from lianhu.contracts.base import DivisionCode, Line
from lianhu.contracts.faults import Slug
from lianhu.contracts.money import Money, ProgrammeId, yuan
from lianhu.jurisdiction import Level, Period
from lianhu.welfare.expressions import Expression, Facts

MOST_FEN = 10**10
"""No programme gives more to one application; the totals of an envelope stay within their type."""


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)


def _compiled(written: object) -> Expression:
    if isinstance(written, Expression):
        return written
    try:
        return Expression.compile(str(written))
    except ValueError as fault:
        raise ValueError(f"the expression `{written}` {fault}") from None


def _fen(written: object) -> int:
    if isinstance(written, str):
        fen = Money(amount=written).fen
        if 0 < fen <= MOST_FEN:
            return fen
    raise ValueError("an amount is written in yuan as text, above 0, at most 100 million")


When = Annotated[
    Expression, PlainValidator(_compiled), PlainSerializer(lambda one: one.text, return_type=str)
]
Amount = Annotated[int, PlainValidator(_fen), PlainSerializer(yuan, return_type=str)]
"""In fen; written in yuan."""


class Kind(StrEnum):
    """What a programme gives."""

    MONEY = "money"  # 资金
    SERVICE = "service"  # 服务
    EXTERNAL = "external"  # 外部资金


class Once(StrEnum):
    """How often the same person may have it; a claim keeps it."""

    LIFETIME = "lifetime"  # 终身一次
    YEAR = "year"  # 每年一次
    CAUSE = "cause"  # 每事一次


class Condition(_Model):
    """Who is eligible 救助对象: what must hold, and the slug by which it is refused otherwise."""

    refused_as: Slug
    source: Line
    when: When


class Band(_Model):
    """What is given at most to whom this applies; the first that does counts 救助标准."""

    source: Line
    amount: Amount
    when: When | None = None
    """None: to everybody that came so far."""
    percent_of_bill: Annotated[int, Field(ge=1, le=100)] | None = None
    """Not more than this share of the bill."""

    def gives(self, facts: Facts) -> int | None:
        """In fen; None where it does not apply."""
        if self.when is not None and not self.when.holds(facts):
            return None
        if self.percent_of_bill is None:
            return self.amount
        bill = facts.applicant.bill
        return None if bill is None else min(self.amount, bill.fen * self.percent_of_bill // 100)


class Step(_Model):
    """A level that signs 审核审批层级, and how long it has."""

    level: Level
    within: Period
    source: Line


class PublicNotice(_Model):
    """The public notice 公示: by the level that signed last, for how long."""

    after: Level
    period: Period
    source: Line


class Emergency(_Model):
    """Help first, papers later 先行救助: up to how much, how soon, and when the papers follow."""

    cap: Amount
    help: Period
    papers: Period
    source: Line


class Fund(_Model):
    """From where it is given: one pool for each unit of this level."""

    level: Level
    source: Line
    places: Mapping[DivisionCode, Annotated[int, Field(ge=1, le=10_000)]] = Field(
        default_factory=dict
    )
    """How many places 床位、名额 a unit has, for a service."""


class Programme(_Model):
    """One programme. A district adds one without code."""

    id: ProgrammeId
    title: Line
    kind: Kind
    source: Line
    once: Once | None = None
    once_open: bool = False
    """At most one open application in a case."""
    eligible: tuple[Condition, ...] = ()
    bands: tuple[Band, ...] = ()
    papers: tuple[Slug, ...] = ()
    chain: Annotated[tuple[Step, ...], Field(min_length=1)]
    """The levels after the community, from below; the community's submission is its signature."""
    notice: PublicNotice | None = None
    emergency: Emergency | None = None
    fund: Fund | None = None
    within: Period
    """After the last signature: until it is paid, provided, or decided elsewhere."""

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if faults := [*self._faults()]:
            raise ValueError("; ".join(faults))
        return self

    def _faults(self) -> Iterator[str]:
        money, service = self.kind is Kind.MONEY, self.kind is Kind.SERVICE
        if money != bool(self.bands):
            yield "bands: a programme of money has some, others none"
        if (self.kind is Kind.EXTERNAL) == (self.fund is not None):
            yield "fund: money and services have one, another's money has none"
        if self.fund is not None and service != bool(self.fund.places):
            yield "fund.places: a service has them, money has none"
        if self.emergency is not None and not money:
            yield "emergency: only money is given before the papers are there"
        if any(not b.level.is_above(a.level) for a, b in pairwise(self.chain)):
            yield "chain: each level stands above the one before it"
        if self.chain[0].level is Level.COMMUNITY:
            yield "chain: the community signs by submitting and has no step"
        after = {step.level for step in self.chain[:-1]}
        if self.notice is not None and self.notice.after not in after:
            yield "notice.after: a level of the chain that is not the last"
        if service and self.notice is not None:
            yield "notice: a service is not shown to the public"

    def terms(self) -> str:
        """The whole programme as text; `of_terms` reads it again."""
        return self.model_dump_json()

    def step(self, level: Level) -> Step | None:
        """The step of a level."""
        return next((step for step in self.chain if step.level is level), None)

    def refused_as(self, facts: Facts) -> list[str]:
        """The slugs of every condition that does not hold."""
        return [one.refused_as for one in self.eligible if not one.when.holds(facts)]

    def ceiling(self, facts: Facts) -> int | None:
        """What it gives at most, in fen; None where no band applies, or it gives no money."""
        given = (band.gives(facts) for band in self.bands)
        return next((fen for fen in given if fen), None)


@lru_cache(maxsize=256)
def of_terms(text: str) -> Programme:
    """The programme under whose terms an application was made. Raises ValidationError."""
    return Programme.model_validate_json(text)


def read(folder: Path | Traversable) -> dict[str, Programme]:
    """Every programme of a folder by its id. ValueError names every hole, with file and place."""
    found: dict[str, Programme] = {}
    holes: list[str] = []
    files = sorted(
        (file for file in folder.iterdir() if file.name.endswith(".yaml")), key=lambda f: f.name
    )
    for file in files:
        try:
            one = Programme.model_validate(yaml.safe_load(file.read_text(encoding="utf-8")))
        except yaml.YAMLError:
            holes.append(f"{file.name} is not YAML")
        except ValidationError as fault:
            holes += [f"{file.name}: {sentence}" for sentence in policies.sentences(fault)]
        else:
            if file.name != f"{one.id}.yaml":
                holes.append(f"{file.name}: the file of {one.id} is called {one.id}.yaml")
            found[one.id] = one
    if not files:
        holes.append("there is no programme")
    if holes:
        raise ValueError("the programmes of welfare have holes: " + "; ".join(holes))
    return found
