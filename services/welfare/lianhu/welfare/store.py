"""What the ledger report asks of the journal: all its SQL."""

from __future__ import annotations

from collections.abc import AsyncIterator

import asyncpg

from lianhu.contracts.payments import LedgerPosted
from lianhu.welfare.workflow.state import PoolState

_ENTRIES = """
SELECT stream, body FROM journal
WHERE type = $1 AND ($2::text IS NULL OR stream = $2) AND ($3::text IS NULL OR stream LIKE $3)
ORDER BY seq
"""
_STATES = """
SELECT stream, state FROM aggregates
WHERE stream LIKE 'pool/%' AND state IS NOT NULL
  AND ($1::text IS NULL OR stream = $1) AND ($2::text IS NULL OR stream LIKE $2)
ORDER BY stream
"""


async def entries(
    connection: asyncpg.Connection, pool: str | None, unit: str | None
) -> AsyncIterator[LedgerPosted]:
    """Every ledger entry in the order in which it was committed. Needs a transaction."""
    async for row in connection.cursor(_ENTRIES, LedgerPosted.type_, *_which(pool, unit)):
        yield LedgerPosted.model_validate_json(row["body"])


async def pools(
    connection: asyncpg.Connection, pool: str | None, unit: str | None
) -> list[PoolState]:
    """What the service itself holds for true of its pools."""
    rows = await connection.fetch(_STATES, *_which(pool, unit))
    return [PoolState.model_validate_json(row["state"]) for row in rows]


def _which(pool: str | None, unit: str | None) -> tuple[str | None, str | None]:
    return (
        None if pool is None else f"pool/{pool}",
        None if unit is None else f"pool/%/{unit}/%",
    )
