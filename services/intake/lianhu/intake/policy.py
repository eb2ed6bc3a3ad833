"""The policy of intake: area, words and risks, read from policy.yaml and free of holes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import NamedTuple

from lianhu.contracts import policies
from lianhu.contracts.parts import Indicators
from lianhu.contracts.vocabulary import Category, Ground, Risk
from lianhu.intake.reading import GAP, Reader, normalised
from lianhu.intake.settings import Settings
from lianhu.intake.tables import (
    CategoryWords,
    Gate,
    IndicatorRule,
    People,
    Sign,
    Together,
    Weighed,
    Written,
)
from lianhu.jurisdiction import Area, Divisions, Permissions

_WHAT = "the policy of intake"


class Meaning(NamedTuple):
    """What a word weighs in one list of the policy."""

    list: str
    """`signs.weapon`, `categories.labour`, `at_home.family-dispute`, `setting.home`."""
    weight: int
    order: int
    """Its place in the list, the heaviest words first."""
    at_most: int
    """How often it counts: in a category `repeats` times, else once."""
    meant: bool
    """Whether only mentions that are not denied count: in a sign."""


@dataclass(frozen=True, slots=True)
class Policy:
    """Everything a city decides about intake. Immutable; every question has an answer."""

    version: str
    area: Area
    precedence: tuple[Category, ...]
    """Which category comes first where several fit alike."""
    repeats: int
    indicators: Mapping[str, IndicatorRule]
    together: tuple[Together, ...]
    gate: Gate
    people: People
    permissions: Permissions
    signs: Mapping[str, Sign]
    categories: Mapping[Category, CategoryWords]
    meanings: Mapping[str, tuple[Meaning, ...]]
    """Every word of every list."""
    reader: Reader

    @classmethod
    def load(cls, settings: Settings) -> Policy:
        """The policy that the settings name, or the shipped one. ValueError names every hole."""
        shipped = files("lianhu.intake") / "policy.yaml"
        return cls.read(settings.policy_file or shipped, Divisions.shenzhen())

    @classmethod
    def read(cls, file: Path | Traversable, divisions: Divisions) -> Policy:
        """Read and check. Raises ValueError with a sentence for every hole."""
        written = policies.read(file, Written, _WHAT)
        if found := [
            *_table_holes(written),
            *_gate_holes(written),
            *policies.command_holes("intake", written.permissions),
            *_word_holes(written),
        ]:
            raise policies.holes(_WHAT, found)
        try:
            area = written.area.among(divisions)
        except ValueError as fault:
            raise policies.holes(_WHAT, [str(fault)]) from fault
        return cls(
            version=written.version,
            area=area,
            precedence=written.precedence,
            repeats=written.repeats,
            indicators=written.indicators,
            together=written.together,
            gate=written.gate,
            people=written.people,
            permissions=written.permissions,
            signs=written.signs,
            categories=written.categories,
            meanings=_meanings(written),
            reader=_reader(written),
        )


def _reader(written: Written) -> Reader:
    signs = written.signs.values()
    careful = {word for sign in signs for word in _flat(sign.words)}
    absolute = {word for sign in signs if sign.absolute for word in _flat(sign.words)}
    words = _implied(_meanings(written))
    return Reader(words, careful, absolute, written.boilerplate, written.grammar)


def _implied(meanings: Mapping[str, tuple[Meaning, ...]]) -> dict[str, list[str]]:
    """Each word with those of other lists that stand in it; its own list it counts for already."""
    lists_of = {word: {meaning.list for meaning in own} for word, own in meanings.items()}
    return {
        word: [
            inner
            for inner, its in lists_of.items()
            if inner != word and not its & own and any(inner in part for part in word.split(GAP))
        ]
        for word, own in lists_of.items()
    }


def _lists(written: Written) -> dict[str, Weighed]:
    """Every list of words, by its name."""
    lists: dict[str, Weighed] = {
        "setting.home": written.setting.home,
        "setting.elsewhere": written.setting.elsewhere,
    }
    lists |= {f"signs.{name}": sign.words for name, sign in written.signs.items()}
    for category, entry in written.categories.items():
        lists[f"categories.{category}"] = entry.words
        lists[f"at_home.{category}"] = entry.at_home
    return lists


def _meanings(written: Written) -> dict[str, tuple[Meaning, ...]]:
    meanings: dict[str, list[Meaning]] = {}
    for name, weighed in _lists(written).items():
        falling = [(w, word) for w in sorted(weighed, reverse=True) for word in weighed[w]]
        kind = name.split(".")[0]
        at_most = 1 if kind in ("signs", "setting") else written.repeats
        for order, (weight, word) in enumerate(falling):
            meaning = Meaning(name, weight, order, at_most, kind == "signs")
            meanings.setdefault(word, []).append(meaning)
    return {word: tuple(listed) for word, listed in meanings.items()}


def _table_holes(written: Written) -> Iterator[str]:
    """Holes and contradictions between the tables."""
    questions = Indicators.model_fields.keys()
    for name in sorted(questions - written.indicators.keys()):
        yield f"the indicator {name} has no entry in the risk table"
    for name in sorted(written.indicators.keys() - questions):
        yield f"the risk table has {name}, which is no indicator"
    for category in Category:
        if category not in written.categories:
            yield f"the category {category} has no entry"
        if written.precedence.count(category) != 1:
            yield f"the category {category} must stand in the precedence once"
    for name in sorted({rule.risk for rule in written.indicators.values()} ^ set(Risk)):
        if name is not Risk.GREEN:
            yield f"no indicator leads to the risk {name}"
    known = questions | written.signs.keys()
    for rule in written.together:
        for name in sorted(set(rule.of) - known):
            yield f"the combination {'+'.join(rule.of)} has {name}, no indicator and no sign"
        alone = [written.indicators[name].risk for name in rule.of if name in written.indicators]
        if any(risk.rank > rule.risk.rank for risk in alone):
            yield f"the combination {'+'.join(rule.of)} weighs less than one of its parts"
    for name, sign in written.signs.items():
        indicator = written.indicators.get(name)
        if indicator is not None and sign.risk.rank > indicator.risk.rank:
            yield f"the sign {name} weighs more than a yes to the indicator {name}"
        if sign.below.rank > sign.risk.rank:
            yield f"the sign {name} weighs more below enough than above it"
        for other in sorted(set(sign.only_with) - written.signs.keys() - set(Category)):
            yield f"the sign {name} counts only with {other}, no sign and no category"
    if not any(sign.violence for sign in written.signs.values()):
        yield "no sign is one of violence"


def _gate_holes(written: Written) -> Iterator[str]:
    """Grounds that nothing gives, or that something unknown does."""
    rules = written.gate.grounds
    for ground in Ground:
        if (rule := rules.get(ground)) is None:
            yield f"the ground {ground} has no entry in the gate"
            continue
        if not (rule.asked or rule.told or rule.minor):
            yield f"nothing gives the ground {ground}"
        for name in sorted({name for line in rule.asked for name in line}):
            if name not in written.indicators:
                yield f"the ground {ground} asks {name}, no indicator"
        for name in sorted({name for line in rule.told for name in line}):
            if name not in written.signs:
                yield f"the ground {ground} is told by {name}, no sign"
    if not any(rule.minor for rule in rules.values()):
        yield "no ground is given by a minor as person concerned"


def _word_holes(written: Written) -> Iterator[str]:
    """Words that can never be found, or that contradict each other."""
    for name, sign in written.signs.items():
        if not sign.words:
            yield f"the sign {name} has no words"
    for category, entry in written.categories.items():
        # violence has the words of the signs of violence
        if not entry.words and category is not Category.DOMESTIC_VIOLENCE:
            yield f"the category {category} has no words"
    for name, weighed in _lists(written).items():
        words = _flat(weighed)
        for word in sorted(word for word, times in Counter(words).items() if times > 1):
            yield f"{name} has {word} more than once"
        for word in words:
            if normalised(word) != word:
                yield f"{name}: {word} is written {normalised(word)} once it is normalised"
            elif word.count(GAP) > 1 or not all(word.split(GAP)):
                yield f"{name}: {word} may have one gap, between two parts"
    for word in sorted({*_flat(written.setting.home)} & {*_flat(written.setting.elsewhere)}):
        yield f"{word} speaks of home and of elsewhere"


def _flat(weighed: Weighed) -> list[str]:
    return [word for words in weighed.values() for word in words]
