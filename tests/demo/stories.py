"""The three stories: settled in its community; nobody accepts; accepted and not concluded."""

from __future__ import annotations

from datetime import datetime
from itertools import count

from tests.demo import words
from tests.demo.book import Book, Case, Happened
from tests.demo.clock import Clock
from tests.demo.reports import HOTLINE, OFFICERS
from tests.demo.screen import Screen
from tests.demo.wire import Sender, Unexpected, Watcher

_LEVELS = 4


class Desk:
    """An officers' system: publishes commands and waits for the event that answers each."""

    def __init__(self, sender: Sender, watcher: Watcher) -> None:
        self._sender = sender
        self._watcher = watcher
        self._numbers = count(1)

    def give(self, case: Case, name: str, post: str, **data: object) -> Happened:
        """One command; returns its answer, raises when it was refused."""
        id_ = f"command-{next(self._numbers)}"
        by = {"officer": f"officer-{post}", "post": post, "unit": case.unit}
        self._sender.command(
            OFFICERS, id_, name, case.number, {"case": case.number, "by": by, **data}
        )
        self._sender.flush()

        def answer(book: Book) -> Happened | None:
            return next(book.answers_to(OFFICERS, id_), None)

        happened = self._watcher.until(f"the answer to {name} for {case.number}", answer)
        if happened.name == "message-refused":
            raise Unexpected(f"{name} for {case.number} was refused: {happened.data['faults']}")
        return happened


def _due(case: Case) -> datetime:
    offer = case.last("case-escalated") or case.last("case-offered")
    if offer is None:
        raise Unexpected(f"{case.number} was never offered")
    return datetime.fromisoformat(offer.data["accept_by"]["at"])


def settled(desk: Desk, watcher: Watcher, case: Case) -> None:
    """Story 1: settled in its community."""
    desk.give(case, "accept-case", "duty-officer")
    desk.give(case, "assign-case", "duty-officer", mediator="mediator-7")
    desk.give(case, "record-consent", "mediator", party="concerned", consents=True)
    desk.give(case, "record-consent", "mediator", party="other", consents=True)
    for step in ("find-risks", "settle", "explain-law", "support"):
        desk.give(case, "record-visit", "mediator", step=step, note="已走访")
    desk.give(case, "record-agreement", "mediator", form="written", terms="分担家务，互相尊重。")
    desk.give(case, "record-performance", "mediator")
    watcher.until(f"{case.number} to be closed", lambda _: case.last("case-closed"))


def accepted_only(desk: Desk, case: Case) -> None:
    """The beginning of story 3: accepted in time, both agree, one visit; then nothing more."""
    desk.give(case, "accept-case", "duty-officer")
    desk.give(case, "record-consent", "mediator", party="concerned", consents=True)
    desk.give(case, "record-consent", "mediator", party="other", consents=True)
    desk.give(case, "record-visit", "mediator", step="find-risks")


def refused_by_a_party(desk: Desk, case: Case) -> None:
    """A case that ends because one side clearly says no."""
    desk.give(case, "accept-case", "duty-officer")
    desk.give(case, "record-consent", "mediator", party="other", consents=False)


def nobody_accepts(screen: Screen, watcher: Watcher, clock: Clock, case: Case) -> None:
    """Story 2: community → street → district → city, then overdue and named."""
    for climbed in range(1, _LEVELS):
        by = clock.pass_by(_due(case))
        screen.say(f"时间前进 time moves on by {words.span(by)}")

        def higher(_: Book, climbed: int = climbed) -> bool:
            return len(case.all("case-escalated")) >= climbed

        watcher.until(f"{case.number} to climb the {climbed}. time", higher)
    screen.say(f"时间前进 time moves on by {words.span(clock.pass_by(_due(case)))}")
    watcher.until(f"{case.number} to be overdue", lambda _: case.last("case-overdue"))


def not_concluded(screen: Screen, watcher: Watcher, clock: Clock, case: Case) -> None:
    """The end of story 3: accepted in time, not concluded in time, so it climbs too."""
    accepted = case.all("case-accepted")[0]
    due = datetime.fromisoformat(accepted.data["conclude_by"]["at"])
    screen.say(f"时间前进 time moves on by {words.span(clock.pass_by(due))}")
    climbed = watcher.until(
        f"{case.number} to climb", lambda _: next(iter(case.all("case-escalated")), None)
    )
    if climbed.data["missed"] != "conclude":
        raise Unexpected(f"{case.number} climbed for {climbed.data['missed']}, not for conclude")


def case_of(watcher: Watcher, report: str, publisher: str = HOTLINE) -> Case:
    """The case of a report, once mediation has offered it."""

    def offered(book: Book) -> Case | None:
        case = book.case_of(publisher, report)
        return case if case is not None and case.last("case-offered") else None

    return watcher.until(f"report {report} to be offered as a case", offered)
