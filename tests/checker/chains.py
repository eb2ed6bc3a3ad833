"""Are the journals whole: versions without a hole, hashes that follow, states at their head."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256

from tests.checker.evidence import Database, Evidence, JournalRow
from tests.checker.verdict import Finding, Kind


def hash_of(row: JournalRow, previous: bytes | None) -> bytes:
    """The documented formula, written here a second time and not imported.

    SHA-256 over stream, version, id, type, time (ISO 8601, UTC), causation, body and the hash
    before it; each part as bytes with its length before it, four bytes big-endian; what is
    missing is empty.
    """
    digest = sha256()
    for part in (
        row.stream.encode(),
        str(row.version).encode(),
        row.id.encode(),
        row.type.encode(),
        row.time.isoformat().encode(),
        b"" if row.causation is None else row.causation.encode(),
        row.body.encode(),
        b"" if previous is None else previous,
    ):
        digest.update(len(part).to_bytes(4, "big"))
        digest.update(part)
    return digest.digest()


def streams_of(database: Database) -> Mapping[str, Sequence[JournalRow]]:
    """The rows of each stream by version."""
    found: dict[str, list[JournalRow]] = {}
    for row in database.journal:
        found.setdefault(row.stream, []).append(row)
    for rows in found.values():
        rows.sort(key=lambda row: row.version)
    return found


def chains(evidence: Evidence) -> Iterator[Finding]:
    """Each journal, stream by stream, and where its state says it stands."""
    for database in evidence.databases.values():
        states = {state.stream: state for state in database.states}
        streams = streams_of(database)
        for name, rows in streams.items():
            where = f"{database.service} {name}"
            yield from _whole(rows, where)
            state = states.get(name)
            if state is None:
                yield Finding(Kind.FOLD, "no-state", where)
            elif (state.version, state.head) != (rows[-1].version, rows[-1].hash):
                yield Finding(Kind.CHAIN, "state-stands-elsewhere", where)
        for name, state in states.items():
            if name not in streams and (state.version or state.state is not None):
                yield Finding(Kind.CHAIN, "no-journal", f"{database.service} {name}")


def _whole(rows: Sequence[JournalRow], where: str) -> Iterator[Finding]:
    previous: JournalRow | None = None
    for place, row in enumerate(rows, start=1):
        if row.version != place:
            yield Finding(Kind.GAP, "version-missing", f"{where}:{place}")
            return
        if row.hash != hash_of(row, None if previous is None else previous.hash):
            yield Finding(Kind.CHAIN, "row-is-not-what-its-hash-says", f"{where}:{place}")
        if previous is not None and row.seq < previous.seq:
            yield Finding(Kind.OUT_OF_ORDER, "committed-before-its-predecessor", f"{where}:{place}")
        if previous is not None and row.time < previous.time:
            yield Finding(Kind.OUT_OF_ORDER, "time-goes-back", f"{where}:{place}")
        previous = row
