"""The further stories: the same twice, protection, a call of the other's, a visit, relief paid."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import count
from typing import Any

from tests.demo import words
from tests.demo.book import Book, Case, Happened
from tests.demo.clock import Clock
from tests.demo.reports import GRID, HOTLINE, OFFICERS, POLICE, TREASURY
from tests.demo.screen import Screen
from tests.demo.stories import case_of
from tests.demo.wire import Sender, Unexpected, Watcher

STREET, DISTRICT, CITY = "440304001000", "440304000000", "440300000000"
POOL = "difficulty-relief/440304000000/{year}"
_FREE_DAYS = 4
_PAPERS = ["identity", "difficulty-proof"]


class Office:
    """Officers, the police and the treasury: each publishes, and waits for its own answer."""

    def __init__(self, sender: Sender, watcher: Watcher) -> None:
        self._sender = sender
        self._watcher = watcher
        self._numbers = count(1)

    def give(
        self, publisher: str, service: str, name: str, key: str, **data: Any
    ) -> list[Happened]:
        """One command; all that answers it so far, the first of which is waited for."""
        id_ = f"chain-{next(self._numbers)}"
        self._sender.command(publisher, id_, name, key, dict(data), service=service)
        self._sender.flush()
        self._watcher.until(
            f"the answer to {name} of {publisher}",
            lambda book: next(book.answers_to(publisher, id_), None),
        )
        return [*self._watcher.book.answers_to(publisher, id_)]

    def done(self, *given: str, **data: Any) -> Happened:
        """The same, and it must not be refused."""
        first = self.give(*given, **data)[0]
        if first.name == "message-refused":
            raise Unexpected(f"{given[2]} was refused: {first.data['faults']}")
        return first

    def refused(self, *given: str, **data: Any) -> str:
        """The same, and it must be refused; the slug."""
        first = self.give(*given, **data)[0]
        if first.name != "message-refused":
            raise Unexpected(f"{given[2]} should have been refused and was not")
        return str(first.data["faults"][0]["slug"])


def by(post: str, unit: str, name: str | None = None) -> dict[str, str]:
    """Who gives a command."""
    return {"officer": name or f"officer-{post}-{unit[:9]}", "post": post, "unit": unit}


def protected(screen: Screen, office: Office, watcher: Watcher) -> None:
    """Violence with injury: not mediated, the district at once, the police asked and answering."""
    case = case_of(watcher, "story-4")
    if case.opened.data["path"] != "protection":
        raise Unexpected(f"{case.number} is not on the protection path")
    ask = watcher.until("the police to be asked", lambda _: case.last("partner-asked"))
    screen.say(f"{case.number}  已向公安提出联动请求 the police was asked")
    about = {"case": case.number, "ask": ask.data["ask"], "by": "officer-110"}
    office.done(POLICE, "mediation", "partner-answered", case.number, says="received", **about)
    office.done(POLICE, "mediation", "partner-answered", case.number, says="answered", **about)
    refused = office.refused(
        *(OFFICERS, "mediation", "record-agreement", case.number),
        **{"case": case.number, "by": by("mediator", DISTRICT), "form": "oral", "terms": "和好"},
    )
    screen.say(f"{case.number}  不予调解 mediation refused: {refused}")
    for name, more in (
        ("accept-case", {}),
        ("conclude-protection", {"note": "已获人身安全保护令"}),
    ):
        office.done(
            *(OFFICERS, "mediation", name, case.number),
            **{"case": case.number, "by": by("chair", DISTRICT), **more},
        )
    watcher.until(f"{case.number} to be closed", lambda _: case.last("case-closed"))


def met_again(screen: Screen, watcher: Watcher) -> None:
    """The same matter by a second channel is joined; the other party's own call is linked only."""
    case = case_of(watcher, "story-4")
    watcher.until("the second report to be joined", lambda _: case.last("report-joined"))
    screen.say(f"{case.number}  并案 the police's report about her joined her case")
    his = case_of(watcher, "story-4-other")
    watcher.until("his call to be linked", lambda _: his.last("case-linked"))
    screen.say(f"{his.number}  关联，不并案 his own call is a case of its own, linked, not joined")


def met_twice(screen: Screen, watcher: Watcher) -> None:
    """A report that is sent again, with the same id and the same body, does nothing."""
    case = case_of(watcher, "story-1")
    answers = [*watcher.book.answers_to(HOTLINE, "story-1")]
    if [answer.name for answer in answers] != ["report-accepted"]:
        raise Unexpected(f"story-1 was answered {len(answers)} times")
    screen.say(f"{case.number}  重复报告 the same report came again: one case, one answer")


def in_person(screen: Screen, watcher: Watcher) -> None:
    """No way to her is safe: nothing is sent, and an officer is told to go to her."""
    case = case_of(watcher, "story-8")
    asked = watcher.until("a visit to be asked", _newest(case, "visit-asked"))
    unit = words.unit(asked.data["unit"])
    screen.say(
        f"{case.number}  不发消息，请上门 nothing safe to send: {unit} is asked to go to her"
    )


def a_minor(screen: Screen, watcher: Watcher) -> None:
    """A harmed minor: police and civil affairs at once."""
    case = case_of(watcher, "story-5", GRID)
    watcher.until("both authorities", lambda _: len(case.all("partner-asked")) == 2 or None)
    asked = sorted(event.data["authority"] for event in case.all("partner-asked"))
    screen.say(f"{case.number}  强制报告 reported at once to {', '.join(asked)}")


def _applied(office: Office, case: Case, unit: str, document: str) -> str:
    applicant = {
        "name": "赵小梅",
        "born": "1985-05-01",
        "document": document,
        "monthly_income": {"amount": "1200"},
        "tags": [{"name": "poverty"}],
    }
    told = office.done(
        *(OFFICERS, "welfare", "apply", case.number),
        case=case.number,
        by=by("social-worker", unit),
        programme="difficulty-relief",
        applicant=applicant,
        cause="winter",
        papers=_PAPERS,
        payee=f"card-{document[-4:]}",
    )
    return str(told.data["application"])


def relief(screen: Screen, office: Office, watcher: Watcher, clock: Clock) -> None:
    """Two applications: one returned once; both approved; one is paid, the other comes back."""
    screen.title("六 救助金 relief: returned, approved, paid, came back")
    pool = POOL.format(year=clock.now().year)
    first, second = case_of(watcher, "story-6"), case_of(watcher, "story-7")
    one = _applied(office, first, first.opened.data["unit"], "440304198505010021")
    two = _applied(office, second, second.opened.data["unit"], "440304198505010022")

    def sign(case: Case, application: str, unit: str, verdict: str, **more: object) -> Any:
        given = (OFFICERS, "welfare", "sign-application", case.number)
        said = {"case": case.number, "application": application, "verdict": verdict, **more}
        return given, {"by": by("reviewer", unit), **said}

    def signed(case: Case, application: str, unit: str, verdict: str, **more: object) -> None:
        positional, data = sign(case, application, unit, verdict, **more)
        office.done(*positional, **data)

    own = {"by": by("reviewer", STREET, f"officer-social-worker-{first.opened.data['unit'][:9]}")}
    given, data = sign(first, one, STREET, "approve")
    screen.say(f"{one}  自批 self-approval refused: {office.refused(*given, **{**data, **own})}")
    screen.say(f"{one}  空池 an empty pool refuses: {office.refused(*given, **data)}")
    office.done(
        *(TREASURY, "welfare", "fund-pool", pool),
        **{"pool": pool, "amount": {"amount": "50000"}, "by": "clerk-1"},
    )
    signed(first, one, STREET, "return", reason="证明已过期")
    office.done(
        *(OFFICERS, "welfare", "resubmit-application", first.number),
        **{"case": first.number, "application": one, "papers": _PAPERS},
        by=by("social-worker", first.opened.data["unit"]),
    )
    for case, application in ((first, one), (second, two)):
        signed(case, application, STREET, "approve")
        noticed = watcher.until("the public notice", _newest(case, "public-notice-started"))
        clock.pass_by(datetime.fromisoformat(noticed.data["until"]["at"]))
        watcher.until("its end", _newest(case, "public-notice-ended"))
        signed(case, application, DISTRICT, "approve")
        signed(case, application, CITY, "approve")
    approved = [
        watcher.until("approval", _newest(c, "application-approved")) for c in (first, second)
    ]
    envelopes = sorted({str(event.data["envelope"]) for event in approved})
    screen.say(f"已批准 approved, to be paid in {len(envelopes)} envelopes")
    for envelope in envelopes:
        _paid(screen, office, watcher, clock, envelope, bounced={two})


def _newest(case: Case, name: str) -> Callable[[Book], Happened | None]:
    return lambda _: case.last(name)


def _paid(
    screen: Screen,
    office: Office,
    watcher: Watcher,
    clock: Clock,
    envelope: str,
    bounced: set[str],
) -> None:
    """The envelope is cut; the treasury's wrong totals hold it, its right ones settle it."""
    day = datetime.fromisoformat(f"{envelope.rsplit('/', 1)[1]}T17:00:00+08:00")

    def instructed(book: Book) -> Happened | None:
        for to, event in book.answers:
            ours = (to, event.name) == (TREASURY, "payment-instructed")
            if ours and event.data["envelope"] == envelope:
                return event
        return None

    told = None
    for later in range(_FREE_DAYS):  # one begun on a free day is cut on the next working day
        clock.pass_by(day + timedelta(days=later))
        try:
            told = watcher.until(f"the envelope {envelope}", instructed, 4.0)
            break
        except Unexpected:
            continue
    if told is None:
        raise Unexpected(f"The envelope {envelope} was not sent to the treasury.")
    items = [item["application"] for item in told.data["items"]]
    back = [item for item in items if item in bounced]
    total = {"amount": f"{told.data['total'] / 100:.2f}"}
    word = {"envelope": envelope, "by": "clerk-1"}
    held = office.done(
        *(TREASURY, "welfare", "confirm-payment", envelope),
        **{**word, "count": len(items) + 1, "total": total, "paid": items},
    )
    screen.say(f"{envelope}  控制总数不符，挂起 wrong totals: {held.name}")
    office.done(
        *(TREASURY, "welfare", "confirm-payment", envelope),
        **{**word, "count": len(items), "total": total},
        paid=[item for item in items if item not in bounced],
        bounced=[{"application": item, "reason": "no-such-account"} for item in back],
    )
    screen.say(f"{envelope}  已付 paid {len(items) - len(back)}, 退票 came back {len(back)}")


def guarded(screen: Screen, office: Office, watcher: Watcher) -> None:
    """What no time may pass before: people in danger."""
    met_twice(screen, watcher)
    screen.title("四 保护路径 violence with injury: protection")
    met_again(screen, watcher)
    protected(screen, office, watcher)
    in_person(screen, watcher)
    screen.title("五 未成年人 a minor")
    a_minor(screen, watcher)
