"""Which public messages came before, and how far each partition was handled. All its SQL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import asyncpg

# Sorted, so that two replicas that take in the same ids do not lock each other up; the one that
# comes second waits for the first to commit and then finds the id there.
_TAKE = """
INSERT INTO inbox (topic, id, digest) SELECT * FROM unnest($1::text[], $2::text[], $3::bytea[])
ON CONFLICT (topic, id) DO NOTHING RETURNING topic, id
"""
_KNOWN = """
SELECT i.topic, i.id, i.digest FROM inbox AS i
JOIN unnest($1::text[], $2::text[]) AS w (topic, id) USING (topic, id)
"""
# A later record at an earlier place: the topic was deleted and made anew, and begins again.
_PROGRESS = """
INSERT INTO progress AS p (topic, partition, "offset", at)
SELECT * FROM unnest($1::text[], $2::int[], $3::bigint[], $4::timestamptz[])
ON CONFLICT (topic, partition) DO UPDATE
SET "offset" = EXCLUDED."offset", at = GREATEST(p.at, EXCLUDED.at)
WHERE p."offset" < EXCLUDED."offset" OR p.at < EXCLUDED.at
"""
_PRUNE = """
DELETE FROM inbox WHERE ctid IN (SELECT ctid FROM inbox WHERE at < $1 LIMIT $2)
"""

Key = tuple[str, str]
"""Topic and id."""


async def take(
    connection: asyncpg.Connection, wanted: Mapping[Key, bytes]
) -> tuple[set[Key], dict[Key, bytes]]:
    """Which of these are new, and the digests under which the others are known."""
    ordered = sorted(wanted)
    rows = await connection.fetch(
        _TAKE,
        [topic for topic, _ in ordered],
        [id_ for _, id_ in ordered],
        [wanted[key] for key in ordered],
    )
    new = {(row[0], row[1]) for row in rows}
    old = [key for key in ordered if key not in new]
    if not old:
        return new, {}
    rows = await connection.fetch(_KNOWN, [topic for topic, _ in old], [id_ for _, id_ in old])
    return new, {(row[0], row[1]): row[2] for row in rows}


async def progress(
    connection: asyncpg.Connection, handled: Mapping[tuple[str, int], tuple[int, datetime]]
) -> None:
    """Note the next offset to handle and the broker time of the last one handled."""
    ordered = sorted(handled)
    await connection.execute(
        _PROGRESS,
        [topic for topic, _ in ordered],
        [partition for _, partition in ordered],
        [handled[key][0] for key in ordered],
        [handled[key][1] for key in ordered],
    )


async def progress_of(
    connection: asyncpg.Connection,
) -> dict[tuple[str, int], tuple[int, datetime]]:
    """How far each partition was handled, by all replicas together."""
    rows = await connection.fetch('SELECT topic, partition, "offset", at FROM progress')
    return {(row[0], row[1]): (row[2], row[3]) for row in rows}


async def prune(connection: asyncpg.Connection, now: datetime, days: int, limit: int = 5000) -> int:
    """Forget ids that are older than any retention; a bounded number at a time."""
    status: str = await connection.execute(_PRUNE, now - timedelta(days=days), limit)
    return int(status.rsplit(" ", 1)[1])


async def reserve(
    connection: asyncpg.Connection, needed: Mapping[str, int], block: int
) -> dict[str, list[int]]:
    """Take blocks of running numbers from counters; in a transaction of its own, gaps allowed."""
    names: Sequence[str] = sorted(needed)
    sizes = [max(needed[name], block) for name in names]
    rows = await connection.fetch(
        """
        INSERT INTO counters AS c (name, next)
        SELECT n, 1 + s FROM unnest($1::text[], $2::bigint[]) AS w (n, s)
        ON CONFLICT (name) DO UPDATE SET next = c.next + EXCLUDED.next - 1
        RETURNING name, next
        """,
        names,
        sizes,
    )
    ends = {row[0]: row[1] for row in rows}
    return {
        name: list(range(ends[name] - size, ends[name]))
        for name, size in zip(names, sizes, strict=True)
    }
