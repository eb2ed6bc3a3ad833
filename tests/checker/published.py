"""Do the events topics say what the journals say: all of it, once, in the order of each stream.

A record that stands there again with the same position and hash is a repeat: allowed, and
counted. What is judged are first occurrences. What a service said in an earlier epoch and its
journal does not hold was lost by a restore: it is named as that, and as nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from tests.checker.evidence import LETTER, PRIVATE, Database, Evidence, JournalRow, Place, Record
from tests.checker.verdict import Finding, Kind


def topics_of(service: str) -> tuple[str, str]:
    """A service's events and dead-letters topics."""
    return f"{service}.events.v1", f"{service}.dead-letters.v1"


def repeats(evidence: Evidence) -> int:
    """Records on internal and answers topics that say again what was said."""
    count = 0
    for topic in evidence.topics:
        if ".answers." in topic:
            records = evidence.of_topic(topic)
            count += len(records) - len({record.attribute("id") for record in records})
    for service in evidence.databases:
        for topic in topics_of(service):
            records = evidence.of_topic(topic)
            count += len(records) - len(evidence.first_of(topic))
    return count


def published(evidence: Evidence) -> Iterator[Finding]:
    """Each service's topics against its journal."""
    for topic in evidence.cut:
        yield Finding(Kind.GAP, "first-records-deleted", topic)
    for database in evidence.databases.values():
        events, letters = topics_of(database.service)
        rows = [row for row in database.journal if row.kind not in PRIVATE]
        for topic, theirs in (
            (events, [row for row in rows if row.kind != LETTER]),
            (letters, [row for row in rows if row.kind == LETTER]),
        ):
            yield from _topic(evidence, topic, theirs, database.epoch)
        yield from _outbox(database)


def _outbox(database: Database) -> Iterator[Finding]:
    last = max((row.seq for row in database.journal), default=0)
    if database.cursor < last:
        where = f"{database.service}: {last - database.cursor} rows"
        yield Finding(Kind.WAITING, "outbox-not-empty", where)


def lost_by_restores(evidence: Evidence) -> frozenset[str]:
    """Ids of the events that were published and that no journal holds any more."""
    found = set()
    for database in evidence.databases.values():
        rows = {(row.stream, row.epoch, row.version) for row in database.journal}
        for topic in topics_of(database.service):
            for position, record in evidence.first_of(topic).items():
                if position not in rows and position[1] < database.epoch:
                    found.add(record.attribute("id") or "")
    return frozenset(found)


def _topic(
    evidence: Evidence, topic: str, rows: Sequence[JournalRow], epoch: int
) -> Iterator[Finding]:
    by_position = {(row.stream, row.epoch, row.version): row for row in rows}
    first = evidence.first_of(topic)
    yield from _each(evidence.of_topic(topic), first, by_position, epoch)
    yield from _order(first)
    for position, row in by_position.items():
        if position not in first:
            yield Finding(Kind.LOST, "journal-row-not-published", f"{topic} {_name(position)}")
        elif not _says(first[position], row):
            yield Finding(Kind.STRANGER, "says-what-no-row-says", first[position].position)


def _each(
    records: Sequence[Record],
    first: Mapping[Place, Record],
    rows: Mapping[Place, JournalRow],
    epoch: int,
) -> Iterator[Finding]:
    for record in records:
        position = record.place
        if position is None:
            yield Finding(Kind.STRANGER, "event-without-position", record.position)
        elif position not in rows and position[1] < epoch:
            stream, earlier, sequence = position
            where = f"{record.topic} {stream} {earlier}:{sequence}"
            yield Finding(Kind.LOST, "lost-by-a-restore", where)
        elif position not in rows:
            yield Finding(Kind.STRANGER, "event-without-journal-row", record.position)
        elif not _same(record, first[position]):
            yield Finding(Kind.DOUBLED, "position-told-with-another-content", record.position)


def _order(first: Mapping[Place, Record]) -> Iterator[Finding]:
    """Within a stream the first occurrences ascend, without a hole, in one partition.

    A higher epoch begins again before the end of the one that it follows.
    """
    reached: dict[str, tuple[tuple[int, int], Record]] = {}
    for (stream, epoch, sequence), record in first.items():
        last, before = reached.get(stream, ((0, 0), record))
        if record.partition != before.partition:
            yield Finding(Kind.OUT_OF_ORDER, "stream-in-two-partitions", record.position)
        if (epoch, sequence) < last:
            yield Finding(Kind.OUT_OF_ORDER, "later-event-stands-before", record.position)
            continue
        reached[stream] = ((epoch, sequence), record)
    told: dict[str, set[int]] = {}
    for stream, _, sequence in first:
        told.setdefault(stream, set()).add(sequence)
    for stream, sequences in told.items():
        for missing in sorted(set(range(1, max(sequences) + 1)) - sequences):
            where = f"{reached[stream][1].topic} {stream}:{missing}"
            yield Finding(Kind.GAP, "sequence-missing", where)


def _says(record: Record, row: JournalRow) -> bool:
    return (
        record.attribute("id") == row.id
        and record.attribute("type") == row.type
        and record.attribute("rowhash") == row.hash.hex()
        and record.attribute("causationid") == row.causation
        and record.value == row.body.encode()
    )


def _same(one: Record, other: Record) -> bool:
    return (
        one.attribute("id") == other.attribute("id")
        and one.attribute("rowhash") == other.attribute("rowhash")
        and one.value == other.value
    )


def _name(position: Place) -> str:
    stream, epoch, sequence = position
    return f"{stream}:{sequence}" if epoch == 1 else f"{stream}:{sequence} (epoch {epoch})"
