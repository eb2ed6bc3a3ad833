"""Backup, drop, restore on the real chain: up to the drop nothing is lost; short of it, it is told.

At the broker as it is deployed, where each service may do no more than it needs, also for this.
In the order in which they stand: the second goes on where the first ended.
"""

from __future__ import annotations

from collections.abc import Iterator
from time import monotonic

import pytest

from deploy.embedded import session
from deploy.embedded.secured import SecuredKafka
from deploy.embedded.session import Session
from lianhu.eventing.rules import case_stream
from tests.checker.collect import judge
from tests.checker.verdict import Finding, Kind
from tests.counter import COMMUNITY, SERVICES, Counter, dsns_of
from tests.demo.book import Case
from tests.demo.chain import by
from tests.demo.clock import Clock
from tests.demo.reports import OFFICERS
from tests.demo.wire import Sender, Watcher

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]

TOLD = {"narrative": "夫妻因家务多次争吵。"}


@pytest.fixture(scope="module")
def desk() -> Iterator[Counter]:
    with session(environment="test", archive=True, broker=SecuredKafka) as running:
        watcher = Watcher(running.access(), lambda _: None)
        try:
            clock = Clock(dsns_of(running))
            yield Counter(running, Sender(running.access()), watcher, clock)
        finally:
            watcher.close()


def accepted(desk: Counter, case: Case) -> None:
    desk.done(
        *(OFFICERS, "mediation", "accept-case"),
        case=case.number,
        by=by("duty-officer", COMMUNITY),
    )


def settled(desk: Counter) -> None:
    """Nothing is on its way, and nothing was lost."""
    verdict = judge(desk.running.access(), desk.dsns, within=60.0)
    assert verdict.ok, verdict.lines()


def found_now(desk: Counter) -> tuple[Finding, ...]:
    return judge(desk.running.access(), desk.dsns).findings


def now(running: Session) -> str:
    """Where the log stands."""
    return running.stack.postgres.psql("SELECT pg_current_wal_flush_lsn()").strip()


def stopped(running: Session) -> None:
    for name in SERVICES:
        running.stop(name)


def started(running: Session) -> None:
    for name in SERVICES:
        running.start(name)


def named(lines: list[str], service: str, what: str) -> list[list[str]]:
    """The words behind `what` in the lines of one service."""
    words = [line.split() for line in lines]
    return [one[2:] for one in words if one[:2] == [f"{service}:", what]]


def test_after_a_drop_everything_up_to_it_comes_back(desk: Counter) -> None:
    first = desk.opened("restore-1", **TOLD)
    base = desk.running.stack.back_up()
    assert base.startswith("base-")
    second = desk.opened("restore-2", **TOLD)
    accepted(desk, first)
    settled(desk)
    stopped(desk.running)
    at = now(desk.running)
    desk.running.stack.postgres.psql("DROP DATABASE intake")

    lines = desk.running.stack.restore(f"lsn={at}")

    for service in SERVICES:
        assert f"{service}: the topic knows nothing more than the journal: epoch 1 stays" in lines
        assert named(lines, service, "affected") == []
    started(desk.running)
    accepted(desk, second)
    settled(desk)


def test_short_of_the_last_commit_it_names_what_is_lost_and_traffic_goes_on(desk: Counter) -> None:
    before = desk.opened("restore-3", **TOLD)
    untouched = desk.opened("restore-4", **TOLD)
    settled(desk)
    at = now(desk.running)
    accepted(desk, before)
    gone = desk.opened("restore-5", **TOLD)
    settled(desk)
    known = len(desk.watcher.book.cases)

    lines = desk.running.stack.restore(f"lsn={at}")

    for service in SERVICES:
        assert f"{service}: it goes on in epoch 2" in lines
    affected = {stream for name in SERVICES for (stream,) in named(lines, name, "affected")}
    cases = {stream for stream in affected if stream.startswith("case/")}
    assert cases == {str(case_stream(before.number)), str(case_stream(gone.number))}
    lost = {
        f"{service}.events.v1 {stream} {place}"
        for service in SERVICES
        for stream, place, *_ in named(lines, service, "lost")
    }
    types = {words[2].split(".")[2] for words in named(lines, "mediation", "lost")}
    assert types >= {"case-accepted", "case-offered"}

    started(desk.running)
    # the report that was lost is a case again, under a number that was never given
    desk.watcher.until(
        "the lost report to be a case again",
        lambda book: len(book.cases) == known + 1 or None,
        120.0,
    )
    accepted(desk, untouched)
    later = desk.opened("restore-6", **TOLD)
    accepted(desk, later)
    desk.watcher.to_the_end()
    for service in SERVICES:
        rows = desk.ask(service, "SELECT reason, stream FROM parked WHERE reason <> 'refused'")
        assert [tuple(row) for row in rows] == []
    expected = {Finding(Kind.LOST, "lost-by-a-restore", where) for where in lost}
    last = monotonic() + 60
    while (found := set(found_now(desk))) != expected and monotonic() < last:
        desk.watcher.to_the_end()
    assert found == expected, "what it named is all that is wrong"
