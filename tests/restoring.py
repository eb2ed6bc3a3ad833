"""Backup, drop, restore: up to the drop nothing is lost; short of it, it is told.

The same on every deployment, whose own hands do it. In the order in which they stand: the second
goes on where the first ended.
"""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import Protocol

from lianhu.eventing.connection import Access
from lianhu.eventing.rules import case_stream
from tests.checker.collect import judge
from tests.checker.verdict import Finding, Kind
from tests.counter import DISTRICT, SERVICES, Counter
from tests.demo.book import Case
from tests.demo.chain import by
from tests.demo.reports import HOTLINE, OFFICERS
from tests.load.sending import Sending

TOLD = {"narrative": "夫妻因家务多次争吵。"}
SHE = {"name": "宇文静", "phone": "13603018811", "document": {"number": "440304198703120045"}}
PAUSE = 0.1
SECONDS = 120.0


class Hands(Protocol):
    """What an operator does to a deployment."""

    def access(self, user: str = ...) -> Access:
        """How the broker is reached: by who may read everything, or a publisher."""

    def stop(self) -> None:
        """Every replica of every service ends."""

    def start(self) -> None:
        """They run again."""

    def sql(self, statement: str) -> str:
        """What the database server answers its administrator."""

    def back_up(self) -> str:
        """A base backup; its name."""

    def restore(self, target: str) -> list[str]:
        """Everything as it was then; `SERVICE: …`, what each service says to it."""


def settled(desk: Counter, hands: Hands) -> None:
    """Nothing is on its way, and nothing was lost."""
    verdict = judge(hands.access(), desk.dsns, within=60.0)
    assert verdict.ok, verdict.lines()


def named(lines: list[str], service: str, what: str) -> list[list[str]]:
    """The words behind `what` in the lines of one service."""
    words = [line.split() for line in lines]
    return [one[2:] for one in words if one[:2] == [f"{service}:", what]]


def drop_and_restore(desk: Counter, hands: Hands) -> None:
    """The base backup under load, more of everything, the drop; all up to it comes back."""
    first = desk.opened("restore-1", **TOLD)
    with Sending(hands.access(HOTLINE), PAUSE) as sending:
        base = hands.back_up()
    assert base.startswith("base-")
    second = desk.opened("restore-2", **TOLD)
    desk.accepted(first)
    sending.are_cases(hands.access())
    settled(desk, hands)
    hands.stop()
    at = hands.sql("SELECT pg_current_wal_flush_lsn()::text")
    hands.sql("DROP DATABASE intake")
    desk.report("restore-meanwhile", **TOLD)

    lines = hands.restore(f"lsn={at}")

    for service in SERVICES:
        assert f"{service}: the topic knows nothing more than the journal: epoch 1 stays" in lines
        assert named(lines, service, "affected") == []
    hands.start()
    desk.accepted(second)
    desk.offered("restore-meanwhile")
    settled(desk, hands)


def restore_short(desk: Counter, hands: Hands, moment: Callable[[], str]) -> None:
    """What was lost is named, what was erased stays so, and traffic goes on.

    `moment`: the target that is now.
    """
    before = desk.opened("restore-3", **TOLD)
    untouched = desk.opened("restore-4", **TOLD)
    hers = desk.opened("restore-erased", **TOLD, concerned=SHE)
    desk.closed(hers)
    settled(desk, hands)
    at = moment()
    desk.accepted(before)
    gone = desk.opened("restore-5", **TOLD)
    erase = {"case": hers.number, "by": by("chair", DISTRICT), "basis": "个人信息保护法 §47"}
    desk.done(OFFICERS, "intake", "erase-case", **erase)
    desk.happens(hers, "keys-erased", len(SERVICES))
    held = {service for service in SERVICES if _keys(desk, service, hers)}
    settled(desk, hands)
    known = len(desk.watcher.book.cases)

    lines = hands.restore(at)

    for service in SERVICES:
        assert f"{service}: it goes on in epoch 2" in lines
        stream = str(case_stream(hers.number))
        assert named(lines, service, "erased") == ([[stream]] if service in held else [])
        assert _keys(desk, service, hers) <= {True}
    affected = {stream for name in SERVICES for (stream,) in named(lines, name, "affected")}
    cases = {stream for stream in affected if stream.startswith("case/")}
    assert cases == {str(case_stream(one.number)) for one in (before, gone, hers)}
    lost = {
        f"{service}.events.v1 {stream} {place}"
        for service in SERVICES
        for stream, place, *_ in named(lines, service, "lost")
    }
    types = {words[2].split(".")[2] for words in named(lines, "mediation", "lost")}
    assert types >= {"case-accepted", "case-offered"}

    hands.start()
    # the report that was lost is a case again, under a number that was never given
    desk.watcher.until(
        "the lost report to be a case again",
        lambda book: len(book.cases) == known + 1 or None,
        SECONDS,
    )
    desk.accepted(untouched)
    later = desk.opened("restore-6", **TOLD)
    desk.accepted(later)
    desk.happens(hers, "keys-erased", 2 * len(SERVICES))
    desk.watcher.to_the_end()
    for service in SERVICES:
        rows = desk.ask(service, "SELECT reason, stream FROM parked WHERE reason <> 'refused'")
        assert [tuple(row) for row in rows] == []
    expected = {Finding(Kind.LOST, "lost-by-a-restore", where) for where in lost}
    last = monotonic() + 60
    while (found := _found(desk, hands)) != expected and monotonic() < last:
        desk.watcher.to_the_end()
    assert found == expected, "what it named is all that is wrong"


def _found(desk: Counter, hands: Hands) -> set[Finding]:
    return set(judge(hands.access(), desk.dsns).findings)


def _keys(desk: Counter, service: str, case: Case) -> set[bool]:
    """Whether the case's key is destroyed, where the service has a row of one."""
    sql = "SELECT wrapped, erased_at FROM case_keys WHERE id = $1"
    rows = desk.ask(service, sql, f"case/{case.number}")
    return {(row["wrapped"], row["erased_at"] is None) == (b"", False) for row in rows}
