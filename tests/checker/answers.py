"""Was every publisher answered: each message once or more, on its own topic, revealing nothing."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence

from tests.checker.effects import names_its_cause, submissions
from tests.checker.evidence import Evidence, JournalRow, Record, short
from tests.checker.published import lost_by_restores
from tests.checker.verdict import Finding, Kind

_CASE = re.compile(rb"[0-9]{6}-[0-9]{4}-[0-9]{6,12}")


def answers(evidence: Evidence) -> Iterator[Finding]:
    """Answers topics against the public topics, and against the journals."""
    reporting = set()
    lost = lost_by_restores(evidence)  # named as events; what they answered is answered again
    told_to = _told_to(evidence, lost)
    for one in submissions(evidence):
        if one.report:
            reporting.add(one.publisher)
        topic = f"{one.service}.answers.{one.publisher}.v1"
        told = told_to.get((topic, one.named, one.identity), set())
        if len(told) < len(one.bodies):
            yield Finding(Kind.LOST, "not-answered", one.where)
        elif one.report and len(told) > len(one.bodies):
            yield Finding(Kind.DOUBLED, "answered-twice", one.where)
    owed: dict[str, dict[str, JournalRow]] = {}
    for database in evidence.databases.values():
        for row in database.journal:
            if row.answers is not None:
                topic = f"{database.service}.answers.{row.answers}.v1"
                owed.setdefault(topic, {})[row.id] = row
    for topic in sorted({t for t in evidence.topics if ".answers." in t} | owed.keys()):
        records = evidence.of_topic(topic)
        known = [record for record in records if record.attribute("id") not in lost]
        yield from _topic(topic, known, owed.get(topic, {}))
        if topic.split(".")[2] in reporting:
            yield from _opaque(records)


def _told_to(evidence: Evidence, lost: Collection[str]) -> Mapping[tuple[str, bool, str], set[str]]:
    """Ids of the answers, by topic and by the identity of the message that they answer."""
    found: dict[tuple[str, bool, str], set[str]] = {}
    for record in evidence.records:
        cause, id_ = record.attribute("causationid"), record.attribute("id")
        if (
            ".answers." in record.topic
            and cause is not None
            and id_ is not None
            and id_ not in lost
        ):
            named = names_its_cause(short(record.attribute("type") or ""), record.data)
            found.setdefault((record.topic, named, cause), set()).add(id_)
    return found


def _topic(topic: str, records: Sequence[Record], owed: dict[str, JournalRow]) -> Iterator[Finding]:
    told: set[str] = set()
    for record in records:
        row = owed.get(record.attribute("id") or "")
        if row is None:
            yield Finding(Kind.STRANGER, "answer-without-journal-row", record.position)
            continue
        told.add(row.id)
        if record.value != row.body.encode() or record.attribute("type") != row.type:
            yield Finding(Kind.STRANGER, "says-what-no-row-says", record.position)
    for id_, row in owed.items():
        if id_ not in told:
            yield Finding(Kind.LOST, "answer-not-published", f"{topic} {row.stream}:{row.version}")


def _opaque(records: Sequence[Record]) -> Iterator[Finding]:
    """A reporting system is never told the number of a case, nor which reports share one.

    What it said itself, its id and its trace, may look like one and reveals nothing.
    """
    for record in records:
        own = [record.attribute(name) or "" for name in ("causationid", "traceparent")]
        said = " ".join(own).encode()
        told = [record.key, record.value, *(value for _, value in record.headers)]
        numbers = {number for part in told if part for number in _CASE.findall(part)}
        if any(number not in said for number in numbers):
            yield Finding(Kind.TOLD_WRONGLY, "answer-reveals-a-case", record.position)
