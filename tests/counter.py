"""A counter at a whole running chain: publishers of every kind give something, and are answered."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from itertools import count
from pathlib import Path

import asyncpg

from deploy.embedded import session
from deploy.embedded.session import Session
from lianhu.eventing import topics
from tests.demo.book import Case, Happened
from tests.demo.chain import by
from tests.demo.clock import Clock
from tests.demo.reports import HOTLINE, OFFICERS
from tests.demo.wire import Sender, Watcher

SERVICES = ("intake", "mediation", "welfare", "notify")
COMMUNITY, STREET, DISTRICT = "440304001019", "440304001000", "440304000000"
CITY = "440300000000"

Faults = set[tuple[str, str]]
_WORD = re.compile(r"[a-z-]+|.{0,2}")
"""A slug of ours, or too short to be told from anything else."""


@dataclass
class Counter:
    """Who stands here waits for the answer to everything they give."""

    databases: Callable[[], Mapping[str, str]]
    """Where the services' databases are now."""
    sender: Sender
    watcher: Watcher
    clock: Clock
    _numbers: Iterator[int] = field(default_factory=lambda: count(1))

    @property
    def dsns(self) -> Mapping[str, str]:
        """The services' databases."""
        return self.databases()

    def report(self, id_: str, publisher: str = HOTLINE, **body: object) -> None:
        """Send a report from the community."""
        whole = {"channel": "walk-in", "place": {"division": COMMUNITY}, **body}
        self.sender.report(publisher, id_, json.dumps(whole, ensure_ascii=False).encode())
        self.sender.flush()

    def opened(self, id_: str, **body: object) -> Case:
        """The case of a report, once it lies with a unit."""
        self.report(id_, HOTLINE, **body)
        return self.offered(id_)

    def offered(self, id_: str) -> Case:
        """The case of a report that was sent, once it lies with a unit."""

        def found() -> Case | None:
            case = self.watcher.book.case_of(HOTLINE, id_)
            return case if case is not None and case.last("case-offered") else None

        return self.watcher.until(f"{id_} to be offered", lambda _: found(), 60.0)

    def accepted(self, case: Case) -> None:
        """Its community takes a case on."""
        officer = by("duty-officer", COMMUNITY)
        self.done(OFFICERS, "mediation", "accept-case", case=case.number, by=officer)

    def closed(self, case: Case) -> None:
        """Accepted, and ended by a party's clear no: no agreement that a file would be kept of."""
        self.accepted(case)
        said = {"by": by("mediator", COMMUNITY), "party": "other", "consents": False}
        self.done(OFFICERS, "mediation", "record-consent", case=case.number, **said)
        self.happens(case, "case-closed")

    def happens(self, case: Case, name: str, times: int = 1) -> Happened:
        """Wait until something has happened to a case so many times; the last of them."""
        return self.watcher.until(
            f"{name} of {case.number}",
            lambda _: case.last(name) if len(case.all(name)) >= times else None,
            60.0,
        )

    def send(self, publisher: str, service: str, name: str, **data: object) -> str:
        """Hand a command in and do not wait; its id."""
        id_ = f"{name}-{next(self._numbers)}"
        key = str(data.get("case") or data.get("envelope") or data.get("pool"))
        self.sender.command(publisher, id_, name, key, data, service=service)
        self.sender.flush()
        return id_

    def answers(self, publisher: str, id_: str) -> list[Happened]:
        """What a command was answered; the first is waited for."""
        self.watcher.until(
            f"the answer to {id_}",
            lambda book: next(book.answers_to(publisher, id_), None),
            60.0,
        )
        return [*self.watcher.book.answers_to(publisher, id_)]

    def done(self, publisher: str, service: str, name: str, **data: object) -> Happened:
        """Give a command that is carried out; the event that answers it first."""
        answer = self.answers(publisher, self.send(publisher, service, name, **data))[0]
        assert answer.name != "message-refused", answer.data["faults"]
        return answer

    def refused(self, publisher: str, service: str, name: str, **data: object) -> Faults:
        """Give a command that is refused on the publisher's own topic; every fault."""
        id_ = self.send(publisher, service, name, **data)
        (answer,) = self.answers(publisher, id_)
        assert answer.name == "message-refused"
        assert answer.record.topic == f"{service}.answers.{publisher}.v1"
        assert answer.data["message"] == id_
        body = (answer.record.value or b"").decode()
        assert not [text for text in texts(data) if text in body], "no value is told again"
        return {(fault["path"], fault["slug"]) for fault in answer.data["faults"]}

    def ask(self, service: str, sql: str, *arguments: object) -> list[asyncpg.Record]:
        """Ask a service's database."""

        async def work() -> list[asyncpg.Record]:
            connection = await asyncpg.connect(self.dsns[service])
            try:
                return list(await connection.fetch(sql, *arguments))
            finally:
                await connection.close()

        return asyncio.run(work())

    def pass_by(self, due: str) -> None:
        """Let time pass until just after a moment that an event named."""
        self.clock.pass_by(datetime.fromisoformat(due))

    def instructed(self, treasury: str, envelope: str) -> Happened:
        """Let time pass until an envelope is cut; what the treasury is told."""

        def told() -> Happened | None:
            for to, event in self.watcher.book.answers:
                about = (to, event.name, event.data.get("envelope"))
                if about == (treasury, "payment-instructed", envelope):
                    return event
            return None

        (row,) = self.ask(
            "welfare", "SELECT next_due FROM aggregates WHERE stream = $1", f"envelope/{envelope}"
        )
        self.clock.pass_by(row["next_due"])
        return self.watcher.until(f"{envelope} to be sent", lambda _: told(), 60.0)


@dataclass(kw_only=True)
class ChainCounter(Counter):
    """At a chain of one's own."""

    running: Session


def texts(value: object) -> Iterator[str]:
    """Every text in what is sent that is more than a word of ours."""
    match value:
        case dict():
            for one in value.values():
                yield from texts(one)
        case list() | tuple():
            for one in value:
                yield from texts(one)
        case str() if not _WORD.fullmatch(value):
            yield value
        case int() | float() if not isinstance(value, bool) and len(repr(value)) >= 7:
            yield repr(value)
        case _:
            pass


def dsns_of(running: Session) -> dict[str, str]:
    """The addresses of the services' databases, as the services themselves have them."""
    return {name: running.dsns(name).runtime for name in SERVICES}


@contextmanager
def counter(publishers: Path | None = None) -> Iterator[ChainCounter]:
    """A chain that runs for as long as the block, and a counter at it.

    `publishers`: a registry that names further ones, whose topics are made once the chain runs.
    """
    extra = {}
    if publishers is not None:
        for service in SERVICES:
            extra[f"LIANHU_{service.upper()}_PUBLISHERS_FILE"] = str(publishers)
            extra[f"LIANHU_{service.upper()}_METADATA_MAX_AGE_MS"] = "1000"
    with session(environment="test", extra=extra) as running:
        if publishers is not None:
            asyncio.run(topics.create(running.bootstrap, publishers))
        watcher = Watcher(running.bootstrap, lambda _: None)
        try:
            yield ChainCounter(
                databases=lambda: dsns_of(running),
                sender=Sender(running.bootstrap),
                watcher=watcher,
                clock=Clock(dsns_of(running)),
                running=running,
            )
        finally:
            watcher.close()
