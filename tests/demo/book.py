"""What the topics have said so far, case by case; every event once, whatever is repeated."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tests.checker.evidence import Record, short


@dataclass(frozen=True)
class Happened:
    """One event or answer. `time`: domain time; `record`: as it was read."""

    id: str
    service: str
    name: str
    time: datetime
    causation: str | None
    data: dict[str, Any]
    record: Record

    @property
    def answer(self) -> bool:
        """Whether it was read on an answers topic."""
        return ".answers." in self.record.topic


@dataclass
class Case:
    """One case and its events of intake and mediation, in the order in which they were read."""

    number: str
    report: str
    publisher: str
    events: list[Happened] = field(default_factory=list)

    def all(self, name: str) -> list[Happened]:
        """Its events of a type."""
        return [event for event in self.events if event.name == name]

    def last(self, name: str) -> Happened | None:
        """The newest event of a type."""
        return next((event for event in reversed(self.events) if event.name == name), None)

    @property
    def opened(self) -> Happened:
        """How it began."""
        return self.all("case-opened")[0]

    @property
    def unit(self) -> str:
        """The unit that owns it now."""
        escalated = self.last("case-escalated")
        return str(escalated.data["to_unit"] if escalated else self.opened.data["unit"])

    @property
    def level(self) -> str:
        """That unit's level."""
        escalated = self.last("case-escalated")
        return str(escalated.data["to_level"] if escalated else self.opened.data["level"])


class Book:
    """Cases by number, answers by publisher, notices by id."""

    def __init__(self) -> None:
        self.cases: dict[str, Case] = {}
        self.answers: list[tuple[str, Happened]] = []
        """Publisher and what it was told."""
        self.notices: dict[str, Happened] = {}
        """The end of each notice."""
        self._known: set[tuple[str, str]] = set()
        self._early: dict[str, list[Happened]] = {}
        self._told: dict[tuple[str, str | None], list[Happened]] = {}
        self._of_report: dict[tuple[str, str], Case] = {}

    def take(self, record: Record) -> Happened | None:
        """Note a record; None when it says nothing new."""
        parts = record.topic.split(".")
        id_, type_, time = (record.attribute(name) for name in ("id", "type", "time"))
        if id_ is None or type_ is None or time is None or (record.topic, id_) in self._known:
            return None
        self._known.add((record.topic, id_))
        happened = Happened(
            id=id_,
            service=parts[0],
            name=short(type_),
            time=datetime.fromisoformat(time),
            causation=record.attribute("causationid"),
            data=record.data,
            record=record,
        )
        if parts[1] == "answers":
            self.answers.append((parts[2], happened))
            self._told.setdefault((parts[2], happened.causation), []).append(happened)
        elif parts[1] == "events":
            self._event(happened)
        return happened

    def case_of(self, publisher: str, report: str) -> Case | None:
        """The case that a report became; the first, should there be two."""
        return self._of_report.get((publisher, report))

    def answers_to(self, publisher: str, message: str) -> Iterator[Happened]:
        """What a publisher was told about one of its messages."""
        yield from self._told.get((publisher, message), ())

    def _event(self, happened: Happened) -> None:
        number = happened.data.get("case")
        if happened.name.startswith("notice-"):
            if happened.name not in ("notice-attempted", "notice-deferred", "notice-waiting"):
                self.notices[happened.data["notice"]] = happened
        elif happened.name == "case-opened":
            case = Case(str(number), happened.causation or "", happened.data["publisher"])
            # topics have no order among each other: mediation's words may have come first
            case.events = [happened, *self._early.pop(case.number, [])]
            self.cases[case.number] = case
            self._of_report.setdefault((case.publisher, case.report), case)
        elif number in self.cases:
            self.cases[number].events.append(happened)
        elif number is not None:
            self._early.setdefault(number, []).append(happened)
