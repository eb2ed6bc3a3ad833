"""Did each consumer handle all that was published to it: the last position it says it has seen."""

from __future__ import annotations

from collections.abc import Iterator

from lianhu.contracts import REGISTRY
from tests.checker.evidence import Database, Evidence
from tests.checker.published import topics_of
from tests.checker.verdict import Finding, Kind

_WAITS = ("poison", "behind", "gap", "fork", "awaiting")
"""Reasons of parked messages that were not handled; a refused one was answered."""


def handled(evidence: Evidence) -> Iterator[Finding]:
    """Each consumer against the topics it reads, and what it has parked."""
    for database in evidence.databases.values():
        for parked in database.parked:
            if parked.reason in _WAITS:
                where = f"{database.service} {parked.stream or parked.source} {parked.letter}"
                yield Finding(Kind.WAITING, f"parked-{parked.reason}", f"{where} {parked.faults}")
        for producer in REGISTRY.sources_of(database.service):
            yield from _seen(evidence, database, producer)


def _seen(evidence: Evidence, database: Database, producer: str) -> Iterator[Finding]:
    seen = {state.stream: state.seen.get(producer) for state in database.states}
    last: dict[str, tuple[int, int, str]] = {}
    events, _ = topics_of(producer)
    for (stream, epoch, sequence), record in evidence.first_of(events).items():
        position = (epoch, sequence, record.attribute("rowhash") or "")
        last[stream] = max(last.get(stream, position), position)
    for stream, position in last.items():
        known = seen.get(stream)
        where = f"{database.service} {stream} of {producer}"
        if known is None or known[:2] < position[:2]:
            yield Finding(Kind.LOST, "event-not-handled", where)
        elif known != position:
            yield Finding(Kind.STRANGER, "handled-what-is-not-on-the-topic", where)
    for stream, known in seen.items():
        if known is not None and stream not in last:
            where = f"{database.service} {stream} of {producer}"
            yield Finding(Kind.STRANGER, "handled-what-is-not-on-the-topic", where)
