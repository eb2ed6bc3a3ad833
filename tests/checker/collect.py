"""Gathers the evidence of a running or stopped chain, once or until a verdict is clean."""

from __future__ import annotations

import asyncio
import gc
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic, sleep

from lianhu.eventing.connection import Access
from tests.checker.check import check
from tests.checker.databases import read_databases
from tests.checker.evidence import Database, Evidence, Folded, Received, Record
from tests.checker.policy import read_channels
from tests.checker.topics import read_topics
from tests.checker.verdict import Verdict

_PAUSE = 0.5


@dataclass(frozen=True)
class Memory:
    """What earlier looks at one chain have read: records of topics and rows of journals stay.

    And what the rows of each stream folded to.

    Only for looks in between. A last verdict remembers nothing: it would see it if they had not.
    """

    records: dict[tuple[str, int], list[Record]] = field(default_factory=dict)
    databases: dict[str, Database] = field(default_factory=dict)
    folded: dict[tuple[str, str], Folded] = field(default_factory=dict)


def collect(
    kafka: str | Access,
    dsns: Mapping[str, str],
    policy: Path | None = None,
    received: Path | None = None,
    memory: Memory | None = None,
) -> Evidence:
    """Read all topics, then all databases, then the book of what those outside received."""
    taken_at, known = datetime.now(UTC), memory or Memory()
    records, cut = read_topics(kafka, known.records)
    asyncio.run(read_databases(dsns, known.databases))
    databases = {name: known.databases[name] for name in dsns}
    got = None if received is None else read_received(received)
    return Evidence(records, databases, read_channels(policy), taken_at, cut, got, known.folded)


def read_received(book: Path) -> tuple[Received, ...]:
    """A JSON object a line; a file that is not there yet is empty."""
    if not book.exists():
        return ()
    lines = [json.loads(line) for line in book.read_text(encoding="utf-8").splitlines()]
    return tuple(
        Received(*(str(line[name]) for name in ("channel", "notice", "to", "subject", "text")))
        for line in lines
    )


def judge(
    kafka: str | Access,
    dsns: Mapping[str, str],
    within: float = 0.0,
    policy: Path | None = None,
    received: Path | None = None,
    memory: Memory | None = None,
) -> Verdict:
    """The verdict. While something is found, look again for `within` seconds.

    Work that is still on its way looks like a finding; what is broken stays broken.
    """
    last = monotonic() + within
    while True:
        with _uncollected():
            verdict = check(collect(kafka, dsns, policy, received, memory))
        if verdict.ok or monotonic() >= last:
            return verdict
        sleep(_PAUSE)


@contextmanager
def _uncollected() -> Iterator[None]:
    """Without the search for cycles: there are few, and it walks millions of rows each time."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()
