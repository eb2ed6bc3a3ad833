"""Who is the same person: a blind index leads to a random reference. All its SQL.

Journals name people by reference only. The table is deletable: without its row a reference is of
nobody, and the same person later gets another one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from secrets import token_hex

import asyncpg

# sorted, so that two replicas that meet the same people do not lock each other up
_FIND = """
WITH given AS (SELECT * FROM unnest($1::bytea[], $2::text[]) AS g (index, ref)),
     made AS (
         INSERT INTO person_refs (index, ref) SELECT index, ref FROM given
         ON CONFLICT (index) DO NOTHING RETURNING index, ref
     )
SELECT index, ref FROM made
UNION ALL
SELECT p.index, p.ref FROM person_refs AS p JOIN given USING (index)
"""
_STAND = """
SELECT count(*) FROM person_refs
JOIN unnest($1::bytea[], $2::text[]) AS found (index, ref) USING (index, ref)
"""


async def find(connection: asyncpg.Connection, indexes: Iterable[bytes]) -> dict[bytes, str]:
    """The reference of each index; one that is met for the first time gets a fresh one."""
    left = sorted(set(indexes))
    found: dict[bytes, str] = {}
    while left:
        # what another replica makes at this moment is seen by the next look
        rows = await connection.fetch(_FIND, left, [token_hex(16) for _ in left])
        found |= {row[0]: row[1] for row in rows}
        left = [index for index in left if index not in found]
    return found


async def stand(connection: asyncpg.Connection, found: Collection[tuple[bytes, str]]) -> bool:
    """Whether each of these indexes still leads to the reference that was found by it."""
    count: int = await connection.fetchval(
        _STAND, [index for index, _ in found], [ref for _, ref in found]
    )
    return count == len(found)


async def forget(connection: asyncpg.Connection, refs: Iterable[str]) -> None:
    """Delete the indexes that lead to these references."""
    await connection.execute("DELETE FROM person_refs WHERE ref = ANY ($1::text[])", sorted(refs))
