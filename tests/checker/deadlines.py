"""Was each deadline answered once, and none that was due before what had come in time was handled.

That each which was due is answered at all is asked of the states, see `folds`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime

from tests.checker.effects import names_its_cause, submissions
from tests.checker.evidence import Database, Evidence, JournalRow
from tests.checker.verdict import Finding, Kind

_ID = re.compile(r"[a-z]+/.+:(?P<due>[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.+]+)$")
"""The id of a deadline that fired: stream, kind, and the moment at which it was due."""

Cause = tuple[bool, str, str]
"""Whether it is an id, the publisher, the id or place."""


def deadlines(evidence: Evidence) -> Iterator[Finding]:
    """Each journal, stream by stream, by what caused its rows."""
    for database in evidence.databases.values():
        answered: dict[tuple[str, str], list[JournalRow]] = {}
        for row in database.journal:
            if row.causation is not None and _ID.match(row.causation):
                answered.setdefault((row.stream, row.causation), []).append(row)
        for (stream, cause), rows in answered.items():
            if not _of_one_decision(rows):
                where = f"{database.service} {stream} {cause}"
                yield Finding(Kind.DOUBLED, "deadline-answered-twice", where)
        yield from _overtaken(evidence, database)


def _of_one_decision(rows: list[JournalRow]) -> bool:
    """Rows of one decision stand one behind the other and are of one moment."""
    versions = sorted(row.version for row in rows)
    whole = versions == [*range(versions[0], versions[0] + len(rows))]
    return whole and len({row.time for row in rows}) == 1


def _overtaken(evidence: Evidence, database: Database) -> Iterator[Finding]:
    """What a publisher had sent before the moment was handled before the deadline fired."""
    sent = _sent(evidence, database)
    last_due: dict[str, datetime] = {}
    for row in sorted(database.journal, key=lambda row: (row.stream, row.version)):
        fired = _ID.match(row.causation or "")
        if fired and (row.causation or "").startswith(f"{row.stream}:"):
            due = datetime.fromisoformat(fired["due"])
            last_due[row.stream] = max(due, last_due.get(row.stream, due))
        elif row.stream in last_due and row.causation is not None:
            publisher = str(row.answers or row.data.get("publisher"))
            at = sent.get((names_its_cause(row.name, row.data), publisher, row.causation))
            if at is not None and at < last_due[row.stream]:
                where = f"{database.service} {row.stream}:{row.version}"
                yield Finding(Kind.OUT_OF_ORDER, "deadline-before-what-came-in-time", where)


def _sent(evidence: Evidence, database: Database) -> Mapping[Cause, datetime]:
    """When each message to a service was there at the latest, in domain time."""
    return {
        (one.named, one.publisher, one.identity): database.domain(
            max(record.at for record in one.records)
        )
        for one in submissions(evidence)
        if one.service == database.service
    }
