"""Notify's SQL: the table `in_app`, and how notices ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass
from datetime import datetime
from typing import NamedTuple

import asyncpg

from lianhu.contracts.faults import Transient
from lianhu.contracts.notify import NoticeEvent, NoticeFailed, NoticeSuppressed, NoticeUncertain
from lianhu.eventing.errors import BROKEN_OFF

_PUT = """
INSERT INTO in_app (notice, at, unit, role, case_number, about_type,
                    subject_zh, text_zh, subject_en, text_en)
SELECT * FROM unnest($1::text[], $2::timestamptz[], $3::text[], $4::text[], $5::text[],
                     $6::text[], $7::text[], $8::text[], $9::text[], $10::text[])
ON CONFLICT (notice) DO NOTHING
"""
_WHEN = "SELECT at FROM in_app WHERE notice = $1 AND unit = $2"
_COLUMNS = """
SELECT notice, at, unit, role, case_number, about_type, subject_zh, text_zh, subject_en, text_en
FROM in_app
"""
_NEWEST = f"{_COLUMNS} WHERE unit = $1 ORDER BY at DESC, notice DESC LIMIT $2"
_OLDER = (
    f"{_COLUMNS} WHERE unit = $1 AND (at, notice) < ($2, $3) ORDER BY at DESC, notice DESC LIMIT $4"
)

# No index leads to a type, so it looks at the newest rows only.
_ENDED = """
SELECT time, type, body FROM journal
WHERE seq > (SELECT COALESCE(max(seq), 0) FROM journal) - 100000 AND type = ANY ($1::text[])
ORDER BY seq DESC
"""
_OTHERWISE: Mapping[str, type[NoticeEvent]] = {
    event.type_: event for event in (NoticeFailed, NoticeSuppressed, NoticeUncertain)
}

# Real seconds.
_CONNECT_SECONDS = 5.0
_QUERY_SECONDS = 10.0

_DATABASE_ERRORS = (asyncpg.PostgresError, *BROKEN_OFF, OSError)  # OSError: time-outs


class StoreUnavailable(Transient):
    """The table could not be asked."""

    slug = "store-unavailable"


@dataclass(frozen=True, slots=True)
class InAppRow:
    """One message on a unit's screen. The fields stand in the order of the statements above."""

    notice: str
    at: datetime
    unit: str
    role: str
    case_number: str
    about_type: str
    subject_zh: str
    text_zh: str
    subject_en: str
    text_en: str


async def put(connection: asyncpg.Connection, rows: Sequence[InAppRow]) -> None:
    """Write these rows but for the notices that stand there already; at least one row."""
    await connection.execute(_PUT, *zip(*map(astuple, rows), strict=True))


class InAppStore:
    """The table behind a pool, for reading."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def page(self, unit: str, limit: int, after: str | None) -> Sequence[InAppRow] | None:
        """At most `limit` messages of a unit, newest first, those that follow the notice `after`.

        None when `after` is no notice of this unit. Raises StoreUnavailable.
        """
        connection = await self._connect()
        try:
            try:
                if after is None:
                    found = await connection.fetch(_NEWEST, unit, limit, timeout=_QUERY_SECONDS)
                else:
                    at = await connection.fetchval(_WHEN, after, unit, timeout=_QUERY_SECONDS)
                    if at is None:
                        return None
                    found = await connection.fetch(
                        _OLDER, unit, at, after, limit, timeout=_QUERY_SECONDS
                    )
            finally:
                await self._pool.release(connection)
        except _DATABASE_ERRORS as error:
            raise StoreUnavailable from error
        return [InAppRow(*record) for record in found]

    async def _connect(self) -> asyncpg.Connection:
        try:
            return await self._pool.acquire(timeout=_CONNECT_SECONDS)
        except _DATABASE_ERRORS as error:
            raise StoreUnavailable from error


class Ended(NamedTuple):
    """A notice that ended otherwise than delivered, and when."""

    at: datetime
    event: NoticeEvent


async def ended_otherwise(connection: asyncpg.Connection) -> list[Ended]:
    """Notices that ended otherwise than delivered among the newest rows, newest first."""
    rows = await connection.fetch(_ENDED, [*_OTHERWISE])
    return [
        Ended(row["time"], _OTHERWISE[row["type"]].model_validate_json(row["body"], extra="ignore"))
        for row in rows
    ]
