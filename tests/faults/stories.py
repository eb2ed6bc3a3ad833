"""What cases do under fire: each story is a generator that publishes and waits for what is read.

A story never calls into a service. What it waits for comes or is late; it does not time out: who
drives the stories asks after each fault whether all that was under way has ended.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import count, islice
from random import Random
from typing import Any

from tests.demo.book import Book, Case, Happened
from tests.demo.chain import CITY, DISTRICT, STREET, by
from tests.demo.reports import GRID, HOTLINE, OFFICERS, POLICE, TREASURY
from tests.demo.wire import Sender


@dataclass(frozen=True)
class Wait:
    """What a story waits for. `time`: not before the clock was moved, however quiet all is."""

    what: str
    found: Callable[[], Any]
    time: bool = False


Story = Generator[Wait, Any, None]

_PLACES = ("440304001019", "440304001020", "440304001023")
_PAPERS = ["identity", "difficulty-proof"]
_TRIES = 4
"""How often a command is given again that came too late for a case that has climbed meanwhile."""


@dataclass
class Hand:
    """What stories publish with and read from, and how much of it there was."""

    sender: Sender
    book: Book
    random: Random
    reports: int = 0
    commands: int = 0
    turned_away: int = 0
    """Stories that ended early because a command came too late for its case."""
    _ids: count[int] = field(default_factory=lambda: count(1))

    def report(self, publisher: str, body: Mapping[str, Any], id_: str = "") -> str:
        """Publish a report; its id."""
        id_ = id_ or f"fire-{next(self._ids)}"
        self.sender.report(publisher, id_, json.dumps(body, ensure_ascii=False).encode())
        self.reports += 1
        return id_

    def opened(self, publisher: str, id_: str) -> Generator[Wait, Any, Case]:
        """The case of a report, once mediation has offered it."""

        def found() -> Case | None:
            case = self.book.case_of(publisher, id_)
            return case if case is not None and case.last("case-offered") else None

        case: Case = yield Wait(f"{id_} of {publisher} to be offered", found)
        return case

    def told(self, publisher: str, id_: str) -> Generator[Wait, Any, Happened]:
        """What answers a message first."""

        def found() -> Happened | None:
            return next(self.book.answers_to(publisher, id_), None)

        answer: Happened = yield Wait(f"the answer to {id_} of {publisher}", found)
        return answer

    def give(
        self, publisher: str, service: str, name: str, key: str, data: Mapping[str, Any]
    ) -> Generator[Wait, Any, Happened]:
        """One command and its answer."""
        id_ = f"fire-{next(self._ids)}"
        self.sender.command(publisher, id_, name, key, dict(data), service=service)
        self.commands += 1
        answer: Happened = yield from self.told(publisher, id_)
        return answer

    def command(
        self, case: Case, name: str, post: str, **data: Any
    ) -> Generator[Wait, Any, Happened]:
        """A command of the unit that owns the case; again, when the case has climbed meanwhile."""
        for _ in range(_TRIES):
            unit = case.unit
            about = {"case": case.number, "by": by(post, unit), **data}
            answer = yield from self.give(OFFICERS, "mediation", name, case.number, about)
            if answer.name != "message-refused":
                return answer
            if case.unit == unit:
                break
        raise TurnedAway(answer.data["faults"])

    def signed(self, case: Case, application: str, unit: str) -> Generator[Wait, Any, Happened]:
        """A level approves an application."""
        about = {"case": case.number, "application": application, "verdict": "approve"}
        said = {**about, "by": by("reviewer", unit)}
        given = (OFFICERS, "welfare", "sign-application", case.number)
        answer = yield from self.give(*given, said)
        if answer.name == "message-refused":
            raise TurnedAway(answer.data["faults"])
        return answer

    def newest(self, case: Case, name: str, *, time: bool = False) -> Wait:
        """The newest event of a type about a case."""
        return Wait(f"{name} of {case.number}", lambda: case.last(name), time)

    def publisher(self) -> tuple[str, str]:
        """Somebody who reports, and a channel of theirs."""
        return self.random.choice(
            ((HOTLINE, "hotline-12338"), (HOTLINE, "walk-in"), (GRID, "grid"), (GRID, "school"))
        )

    def place(self) -> dict[str, str]:
        """A community."""
        return {"division": self.random.choice(_PLACES)}

    def somebody(self, number: int) -> dict[str, Any]:
        """A person like no other."""
        return {
            "name": f"王{number}",
            "phone": f"138{number:08d}",
            "document": {"number": document(number)},
        }


class TurnedAway(Exception):
    """A command was refused: it came too late for its case, or too early."""


def document(number: int) -> str:
    """An identity document's number like no other."""
    day = f"19{50 + number // 10_000 % 50:02d}0501"
    return f"440304{day}{number % 10_000:04d}"


def _quarrel(hand: Hand, channel: str, **more: Any) -> dict[str, Any]:
    narrative = "夫妻因家务分工和孩子教育多次争吵，希望有人调解。"
    return {"channel": channel, "narrative": narrative, "place": hand.place(), **more}


def settled(hand: Hand, number: int) -> Story:
    """Settled in its community; she is told by e-mail."""
    publisher, channel = hand.publisher()
    concerned = {"name": f"何{number}", "email": f"he-{number}@example.org"}
    body = _quarrel(hand, channel, concerned=concerned, safe_contact={"allowed": ["email"]})
    case = yield from hand.opened(publisher, hand.report(publisher, body))
    yield from hand.command(case, "accept-case", "duty-officer")
    yield from hand.command(case, "assign-case", "duty-officer", mediator="mediator-7")
    for party in ("concerned", "other"):
        yield from hand.command(case, "record-consent", "mediator", party=party, consents=True)
    for step in ("find-risks", "settle", "explain-law", "support"):
        yield from hand.command(case, "record-visit", "mediator", step=step, note="已走访")
    yield from hand.command(
        case, "record-agreement", "mediator", form="written", terms="分担家务，互相尊重。"
    )
    yield from hand.command(case, "record-performance", "mediator")
    yield hand.newest(case, "case-closed")


def refused_by_a_party(hand: Hand, number: int) -> Story:
    """One side clearly says no; the report came twice, which does nothing."""
    publisher, channel = hand.publisher()
    body = _quarrel(hand, channel)
    id_ = hand.report(publisher, body)
    hand.report(publisher, body, id_)
    case = yield from hand.opened(publisher, id_)
    yield from hand.command(case, "accept-case", "duty-officer")
    yield from hand.command(case, "record-consent", "mediator", party="other", consents=False)
    yield hand.newest(case, "case-closed")


def accepted_only(hand: Hand, number: int) -> Story:
    """Accepted, and then nothing more: its deadlines make it climb."""
    publisher, channel = hand.publisher()
    case = yield from hand.opened(publisher, hand.report(publisher, _quarrel(hand, channel)))
    yield from hand.command(case, "accept-case", "duty-officer")
    yield from hand.command(case, "record-visit", "mediator", step="find-risks")


def untouched(hand: Hand, number: int) -> Story:
    """Nobody accepts it: it climbs as days pass."""
    publisher, channel = hand.publisher()
    yield from hand.opened(publisher, hand.report(publisher, _quarrel(hand, channel)))


def _violence(hand: Hand, channel: str, concerned: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "channel": channel,
        "narrative": "昨晚被丈夫打伤，眼眶骨折，已去医院。",
        "place": hand.place(),
        "indicators": {"physical_violence": True, "injury": True},
        "concerned": concerned,
        "safe_contact": {"allowed": ["sms"], "hours": {"start": "00:00", "end": "00:00"}},
    }


def protected(hand: Hand, number: int) -> Story:
    """Violence with injury: the police is asked and answers; she is told by neutral texts."""
    body = _violence(hand, "hotline-12338", hand.somebody(number))
    case = yield from hand.opened(HOTLINE, hand.report(HOTLINE, body))
    ask = yield hand.newest(case, "partner-asked")
    about = {"case": case.number, "ask": ask.data["ask"], "by": "officer-110"}
    for says in ("received", "answered"):
        given = (POLICE, "mediation", "partner-answered", case.number)
        yield from hand.give(*given, {"says": says, **about})
    yield from hand.command(case, "accept-case", "chair")
    yield from hand.command(case, "conclude-protection", "chair", note="已获人身安全保护令")
    yield hand.newest(case, "case-closed")


def joined(hand: Hand, number: int) -> Story:
    """The same matter by two publishers: the second report joins the case of the first."""
    concerned = hand.somebody(number)
    body = _violence(hand, "hotline-12338", concerned)
    case = yield from hand.opened(HOTLINE, hand.report(HOTLINE, body))
    yield from hand.told(GRID, hand.report(GRID, {**body, "channel": "police"}))
    yield hand.newest(case, "report-joined")


def bad(hand: Hand, number: int) -> Story:
    """A report with faults: answered by a refusal that names them."""
    publisher, _ = hand.publisher()
    body = {"channel": "fax", "narrative": "", "place": {"division": "12"}}
    yield from hand.told(publisher, hand.report(publisher, body))


def relieved(hand: Hand, number: int) -> Story:
    """Relief: applied for, approved by three levels, made public, paid by the treasury."""
    body = {
        "channel": "walk-in",
        "narrative": "丈夫去世后独自抚养孩子，生活困难。",
        "place": hand.place(),
    }
    case = yield from hand.opened(HOTLINE, hand.report(HOTLINE, body))
    applicant = {
        "name": f"赵{number}",
        "born": "1985-05-01",
        "document": document(number),
        "monthly_income": {"amount": "1200"},
        "tags": [{"name": "poverty"}],
    }
    told = yield from hand.give(
        *(OFFICERS, "welfare", "apply", case.number),
        {
            "case": case.number,
            "by": by("social-worker", case.opened.data["unit"]),
            "programme": "difficulty-relief",
            "applicant": applicant,
            "cause": "winter",
            "papers": _PAPERS,
            "payee": f"card-{number}",
        },
    )
    if told.name == "message-refused":
        raise TurnedAway(told.data["faults"])
    application = str(told.data["application"])
    yield from hand.signed(case, application, STREET)
    yield hand.newest(case, "public-notice-ended", time=True)
    yield from hand.signed(case, application, DISTRICT)
    yield from hand.signed(case, application, CITY)
    yield hand.newest(case, "application-approved")
    yield hand.newest(case, "payment-confirmed", time=True)


def treasury(hand: Hand, years: Iterable[int]) -> Story:
    """Fills the pools, and confirms each envelope as it comes; it never ends by itself."""
    for year in years:
        pool = f"difficulty-relief/{DISTRICT}/{year}"
        amount = {"amount": "9000000"}
        given = (TREASURY, "welfare", "fund-pool", pool)
        yield from hand.give(*given, {"pool": pool, "amount": amount, "by": "clerk-1"})
    read = 0

    def new() -> Happened | None:
        nonlocal read
        while read < len(hand.book.answers):
            to, event = hand.book.answers[read]
            read += 1
            if (to, event.name) == (TREASURY, "payment-instructed"):
                return event
        return None

    while True:
        told = yield Wait("an envelope", new, time=True)
        envelope = str(told.data["envelope"])
        items = [item["application"] for item in told.data["items"]]
        given = (TREASURY, "welfare", "confirm-payment", envelope)
        total = {"amount": f"{told.data['total'] / 100:.2f}"}
        word = {"envelope": envelope, "by": "clerk-1", "count": len(items), "total": total}
        yield from hand.give(*given, {**word, "paid": items})


def probe(hand: Hand, number: int) -> Story:
    """A report of this moment: it is a case, it is offered, and its unit has it on its screen."""
    publisher, channel = hand.publisher()
    before = len(hand.book.notices)
    case = yield from hand.opened(publisher, hand.report(publisher, _quarrel(hand, channel)))
    offered = case.all("case-offered")[0]

    def on_screen() -> bool:
        return any(
            notice.name == "notice-delivered" and notice.data["about"] == offered.id
            for notice in islice(hand.book.notices.values(), before, None)
        )

    yield Wait(f"the unit of {case.number} to be told", on_screen)


PLANS: tuple[tuple[Callable[[Hand, int], Story], int], ...] = (
    (settled, 4),
    (refused_by_a_party, 4),
    (accepted_only, 3),
    (untouched, 2),
    (protected, 4),
    (joined, 2),
    (relieved, 3),
    (bad, 2),
)
"""Each with its weight."""
