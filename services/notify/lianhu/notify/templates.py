"""The texts of notices: plain files in each language, and the words that they take from a list.

A text for units stands in Chinese and English; one for people (`person/…`, `neutral/…`) also in
traditional characters.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated

import yaml
from jinja2 import StrictUndefined, Template, TemplateError, meta
from jinja2.sandbox import SandboxedEnvironment
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from lianhu.contracts.faults import LianhuError
from lianhu.contracts.vocabulary import Language
from lianhu.jurisdiction import SHANGHAI
from lianhu.notify.facts import Fact, vocabulary_name

UNIT_LANGUAGES = (Language.ZH_CN, Language.EN)
PERSON, NEUTRAL = "person", "neutral"
"""The folders of texts for people, and of those that say nothing of what it is about."""


def languages_of(name: str) -> tuple[Language, ...]:
    """The languages in which a template of this name must stand."""
    return tuple(Language) if name.startswith((f"{PERSON}/", f"{NEUTRAL}/")) else UNIT_LANGUAGES


@dataclass(frozen=True, slots=True)
class Text:
    """A notice as it is read: a line and a few sentences."""

    subject: str
    body: str


class TemplateFault(LianhuError):
    """A text cannot be made: no such template, or a value that it names is not there."""

    slug = "template-fault"


Word = Annotated[str, Field(min_length=1)]


class Words(BaseModel):
    """`words.yaml` of a language: how a moment and a list are written, and each vocabulary."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    moment: Word
    """A format of `year`, `month`, `day`, `hour`, `minute`, all numbers, in Shanghai's time."""
    between: Word
    """What stands between the members of a list."""
    vocabulary: Mapping[str, Mapping[str, Word]]

    def say_moment(self, fact: str) -> str:
        """`2026-03-05T17:00+08:00` as it is written in this language."""
        at = datetime.fromisoformat(fact).astimezone(SHANGHAI)
        return self.moment.format(
            year=at.year, month=at.month, day=at.day, hour=at.hour, minute=at.minute
        )

    def say_word(self, fact: str) -> str:
        """`level.street` as this language says it."""
        vocabulary, _, member = fact.partition(".")
        return self.vocabulary[vocabulary][member]

    def say_words(self, fact: str) -> str:
        """Several words, e.g. `visit-step.find-risks,visit-step.settle`."""
        return self.between.join(self.say_word(word) for word in fact.split(",") if word)

    def say_listed(self, fact: str) -> str:
        """Numbers one after the other, e.g. `440304-2026-000123,440304-2026-000124`."""
        return self.between.join(fact.split(","))


class Templates:
    """All templates of a folder, `{language}/{name}.txt`, compiled once. Immutable.

    The first line is the subject, the rest the text. The filters are `moment`, `word`, `words`,
    `listed`.
    """

    def __init__(self, folder: Path | Traversable) -> None:
        """Raises ValueError naming the file that is missing, or the line that cannot be read."""
        self._words: dict[Language, Words] = {}
        self._templates: dict[tuple[Language, str], Template] = {}
        self._needs: dict[str, frozenset[str]] = {}
        for language in Language:
            self._read(language, folder / language.value)

    @cached_property
    def names(self) -> frozenset[str]:
        """Every template that stands in at least one language."""
        return frozenset(name for _, name in self._templates)

    def has(self, name: str, language: Language) -> bool:
        """Whether the template stands in this language."""
        return (language, name) in self._templates

    def needs(self, name: str) -> frozenset[str]:
        """The facts that a template names in any language; KeyError for an unknown one."""
        return self._needs[name]

    def makes(self, name: str, params: Mapping[str, str]) -> bool:
        """Whether there is such a template, and all that it names is given."""
        return name in self._needs and self._needs[name] <= params.keys()

    def text(self, name: str, language: Language, params: Mapping[str, str]) -> Text:
        """The text for one notice. Raises TemplateFault."""
        template = self._templates.get((language, name))
        if template is None:
            raise TemplateFault(f"{language}/{name}.txt is not there")
        try:
            rendered = template.render(params)
        except (TemplateError, ValueError, LookupError) as fault:
            raise TemplateFault(f"{language}/{name}.txt: {_sentence(fault)}") from None
        subject, _, body = rendered.partition("\n")
        if not subject.strip() or not body.strip():
            raise TemplateFault(f"{language}/{name}.txt has no subject or no text")
        return Text(subject.strip(), body.strip())

    def holes(self, name: str, facts: Mapping[str, Fact]) -> Iterator[str]:
        """What is wrong with a template that is to be filled with these facts; a sentence each."""
        languages = languages_of(name)
        if missing := [language for language in languages if not self.has(name, language)]:
            yield from (f"the template {name} is missing in {language}" for language in missing)
            return
        if unknown := sorted(self.needs(name) - facts.keys()):
            yield f"the template {name} names {', '.join(unknown)}, which nobody gives it"
            return
        used = {fact: facts[fact] for fact in self.needs(name)}
        if wordless := list(self._wordless(used, languages)):
            yield from wordless
            return
        for language in languages:
            try:
                for params in samples(used):
                    self.text(name, language, params)
            except TemplateFault as fault:
                yield str(fault)

    def _wordless(self, facts: Mapping[str, Fact], languages: Iterable[Language]) -> Iterator[str]:
        for vocabulary in {fact.vocabulary for fact in facts.values() if fact.vocabulary}:
            name = vocabulary_name(vocabulary)
            for language in languages:
                known = self._words[language].vocabulary.get(name, {})
                for member in vocabulary:
                    if member.value not in known:
                        yield f"{language}/words.yaml has no word for {name}.{member.value}"

    def _read(self, language: Language, folder: Path | Traversable) -> None:
        words = folder / "words.yaml"
        if not words.is_file():
            raise ValueError(f"the words of notify are missing: {language}/words.yaml")
        try:
            self._words[language] = Words.model_validate(
                yaml.safe_load(words.read_text(encoding="utf-8"))
            )
        except (yaml.YAMLError, ValidationError) as fault:
            raise ValueError(f"{language}/words.yaml cannot be read: {fault}") from fault
        environment = _environment(self._words[language])
        for within in ("", f"{PERSON}/", f"{NEUTRAL}/"):
            where = folder / within[:-1] if within else folder
            if where.is_dir():
                for file in sorted(where.iterdir(), key=lambda file: file.name):
                    self._compile(environment, language, within, file)

    def _compile(
        self,
        environment: SandboxedEnvironment,
        language: Language,
        within: str,
        file: Path | Traversable,
    ) -> None:
        stem, dot, ending = file.name.rpartition(".")
        if (dot, ending) != (".", "txt"):
            return
        name, source = within + stem, file.read_text(encoding="utf-8")
        try:
            tree = environment.parse(source)
            self._templates[language, name] = environment.from_string(tree)
        except TemplateError as fault:
            raise ValueError(f"{language}/{name}.txt: {_sentence(fault)}") from fault
        named = frozenset(meta.find_undeclared_variables(tree))
        self._needs[name] = self._needs.get(name, frozenset()) | named


def _environment(words: Words) -> SandboxedEnvironment:
    # Plain text, so nothing is escaped: who shows a notice in a page escapes it there.
    environment = SandboxedEnvironment(
        undefined=StrictUndefined, autoescape=False, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters = {
        "moment": words.say_moment,
        "word": words.say_word,
        "words": words.say_words,
        "listed": words.say_listed,
    }
    environment.globals = {}
    return environment


def samples(facts: Mapping[str, Fact]) -> Iterator[dict[str, str]]:
    """Parameters in which every sample of every fact stands at least once."""
    for turn in range(max((len(fact.samples) for fact in facts.values()), default=1)):
        yield {name: fact.samples[turn % len(fact.samples)] for name, fact in facts.items()}


def _sentence(fault: Exception) -> str:
    return f"{type(fault).__name__}: {fault}"
