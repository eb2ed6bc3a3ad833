"""The policy of notify: who hears what by which channel, how often is tried; checked at the start.

Every type of event that another service publishes for notify or that names an audience has a
rule, every rule an entry for every role, every entry its texts in every language. A hole stops the
start: it would be silence.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from lianhu.contracts import REGISTRY, Contract, Kind, policies
from lianhu.contracts.base import Line
from lianhu.contracts.policies import Written
from lianhu.contracts.vocabulary import AudienceRole, NoticeChannel
from lianhu.jurisdiction import SHANGHAI, Calendar, Divisions, Notice
from lianhu.notify.digests import MAY_WAIT, PERSONS
from lianhu.notify.directory import Directory
from lianhu.notify.entries import (
    ChannelPolicy,
    Digest,
    Entry,
    Neutral,
    Quiet,
    Rule,
    Silent,
    Suppressed,
    Told,
    ToldPerson,
    Trying,
    Visit,
)
from lianhu.notify.facts import Fact, facts_of, tells
from lianhu.notify.lines import Lines
from lianhu.notify.settings import Settings
from lianhu.notify.templates import (
    NEUTRAL,
    PERSON,
    Templates,
    languages_of,
    samples,
)

VISIT_FACTS: Mapping[str, Fact] = {
    "case": Fact(lambda event, _: "", ("440304-2026-000123",)),
    "unit_name": Fact(lambda event, _: "", ("福田区",)),
}
DIGEST_FACTS: Mapping[str, Fact] = {
    "unit_name": Fact(lambda event, _: "", ("福田区",)),
    "day": Fact(lambda event, _: "", ("2026-03-05",)),
    "cases": Fact(lambda event, _: "", ("440304-2026-000123", "440304-2026-000123,440304-2026-1")),
    "count": Fact(lambda event, _: "", ("1", "7")),
    "more": Fact(lambda event, _: "", ("", "3")),
}
"""What the texts of a visit and of a digest may name; the rules give it to them."""


_WHAT = "the policy of notify"


class _File(Written):
    """policy.yaml as it is written."""

    version: Line
    notices: tuple[Notice, ...]
    quiet: Quiet
    neutral: Neutral
    visit: Visit
    digest: Digest
    cards: Trying
    channels: Mapping[NoticeChannel, ChannelPolicy]
    rules: Mapping[str, Rule]


@dataclass(frozen=True, slots=True)
class Policy:
    """Everything that a district decides about notices. Immutable and free of holes."""

    version: str
    quiet: Quiet
    neutral: Neutral
    visit: Visit
    digest: Digest
    cards: Trying
    """How the opening of a contact card is tried."""
    channels: Mapping[NoticeChannel, ChannelPolicy]
    rules: Mapping[str, Rule]
    templates: Templates
    divisions: Divisions
    calendar: Calendar
    directory: Directory
    lines: Lines

    @classmethod
    def load(cls, settings: Settings) -> Policy:
        """The policy that the settings name, or the shipped one. ValueError names every hole."""
        here = files("lianhu.notify")
        return cls.read(
            settings.policy_file or here / "policy.yaml",
            settings.templates_folder or here / "templates",
            Divisions.shenzhen(),
            Directory.read(settings.directory_file),
            settings.lines(),
        )

    @classmethod
    def read(
        cls,
        file: Path | Traversable,
        templates: Path | Traversable,
        divisions: Divisions,
        directory: Directory,
        lines: Lines,
    ) -> Policy:
        """Read and check. Raises ValueError with a sentence for every hole."""
        written = policies.read(file, _File, _WHAT)
        policy = cls(
            version=written.version,
            quiet=written.quiet,
            neutral=written.neutral,
            visit=written.visit,
            digest=written.digest,
            cards=written.cards,
            channels=written.channels,
            rules=written.rules,
            templates=Templates(templates),
            divisions=divisions,
            calendar=Calendar(notices=written.notices),
            directory=directory,
            lines=lines,
        )
        if found := list(policy.check()):
            raise policies.holes(_WHAT, found)
        return policy

    @property
    def configured(self) -> tuple[NoticeChannel, ...]:
        """The channels that this house has."""
        lines = {NoticeChannel.EMAIL: self.lines.relay, NoticeChannel.SMS: self.lines.gateway}
        return tuple(
            channel
            for channel in NoticeChannel
            if channel is NoticeChannel.IN_APP or lines[channel] is not None
        )

    def leaves_at(self, day: date) -> datetime:
        """When the digest of a day leaves: the policy's hour on the next working day."""
        morning = self.calendar.next_working_day(day + timedelta(days=1))
        return datetime.combine(morning, time.fromisoformat(self.digest.hour), SHANGHAI)

    def check(self) -> Iterator[str]:
        """Every hole, a sentence each."""
        for channel in NoticeChannel:
            if channel not in self.channels:
                yield f"the channel {channel} has no entry"
        yield from (f"the visit: {h}" for h in self._unit_text(self.visit.template, VISIT_FACTS))
        yield from (f"the digest: {h}" for h in self._unit_text(self.digest.template, DIGEST_FACTS))
        tellable = {c.type: c for c in REGISTRY if c.kind is Kind.EVENT and c.service != "notify"}
        for type_, contract in tellable.items():
            if type_ not in self.rules and _concerns_notify(contract):
                yield f"the event {type_} has no rule"
        for type_, rule in self.rules.items():
            if type_ not in tellable:
                yield f"the rule {type_} is for no event that another service publishes"
            elif rule.tell is not None:
                yield from self._check_rule(tellable[type_], rule.tell)

    def _check_rule(self, contract: Contract, tell: Mapping[AudienceRole, Entry]) -> Iterator[str]:
        if "notify" not in contract.consumers:
            yield f"the rule {contract.type} is never used: notify does not read that event"
        if not tells(contract.model):
            yield f"the event {contract.type} names no audience: its rule is silent"
            return
        facts = facts_of(contract.model)
        for role in AudienceRole:
            where = f"the rule {contract.type} for {role}"
            match tell.get(role):
                case None:
                    yield f"the rule {contract.type} has no entry for {role}"
                case Told() as entry if role in PERSONS:
                    yield f"{where} tells a person as if they were a unit ({entry.template})"
                case ToldPerson() as entry if role not in PERSONS:
                    yield f"{where} tells a unit as if it were a person ({entry.person})"
                case Told() as entry:
                    if entry.digest and contract.model not in MAY_WAIT:
                        yield f"{where}: this event waits for no digest"
                    yield from (f"{where}: {h}" for h in self._unit_text(entry.template, facts))
                case ToldPerson() as entry:
                    yield from (f"{where}: {h}" for h in self._person_texts(role, entry, facts))
                case Suppressed() | Silent():
                    pass

    def _unit_text(self, name: str, facts: Mapping[str, Fact]) -> Iterator[str]:
        if "/" in name:
            yield f"the template {name} is for people"
        else:
            yield from self.templates.holes(name, facts)

    def _person_texts(
        self, role: AudienceRole, entry: ToldPerson, facts: Mapping[str, Fact]
    ) -> Iterator[str]:
        if not entry.person.startswith(f"{PERSON}/"):
            yield f"the template {entry.person} does not stand in {PERSON}/"
        else:
            yield from self.templates.holes(entry.person, facts)
        if role is AudienceRole.OTHER_PARTY:
            if entry.neutral is not None or entry.reach:
                yield "the other party is told nothing on the protection path, and never visited"
        elif entry.neutral is None:
            yield "it has no neutral template for the protection path"
        else:
            yield from self._neutral_text(entry.neutral, facts)

    def _neutral_text(self, name: str, facts: Mapping[str, Fact]) -> Iterator[str]:
        if not name.startswith(f"{NEUTRAL}/"):
            yield f"the template {name} does not stand in {NEUTRAL}/"
            return
        if holes := list(self.templates.holes(name, facts)):
            yield from holes
            return
        needs = self.templates.needs(name)
        if told := sorted(needs - set(self.neutral.facts)):
            yield f"the neutral template {name} names {', '.join(told)}"
        used = {fact: facts[fact] for fact in needs}
        for language in languages_of(name):
            for params in samples(used):
                text = self.templates.text(name, language, params)
                said = f"{text.subject}\n{text.body}".casefold()
                if words := [word for word in self.neutral.never if word.casefold() in said]:
                    yield f"the neutral template {language}/{name} says {', '.join(words)}"


def _concerns_notify(contract: Contract) -> bool:
    return "notify" in contract.consumers or tells(contract.model)
