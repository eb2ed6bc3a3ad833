"""Notify's SQL: the table `in_app`, what an error says about a row, and how notices ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass
from datetime import datetime
from typing import NamedTuple

import asyncpg

from lianhu.contracts.faults import Transient
from lianhu.contracts.notify import NoticeEvent, NoticeFailed, NoticeSuppressed, NoticeUncertain

_PUT = """
INSERT INTO in_app (notice, at, unit, role, case_number, about_type,
                    subject_zh, text_zh, subject_en, text_en)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
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

# Real seconds; together well under the shortest sensible `answer_within`.
_CONNECT_SECONDS = 5.0
_QUERY_SECONDS = 10.0

_DATABASE_ERRORS = (asyncpg.PostgresError, asyncpg.InterfaceError, OSError)  # OSError: time-outs


class StoreUnavailable(Transient):
    """The table could not be asked; nothing was written."""

    slug = "store-unavailable"


class StoreRefused(Transient):
    """The database took back the statement with an error; nothing was written."""

    slug = "store-refused"


class StoreUnsure(Transient):
    """The connection was lost while writing: the row may stand there or not."""

    slug = "store-unsure"


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


class InAppStore:
    """The table behind a pool; each call is a transaction of its own."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def put(self, row: InAppRow) -> None:
        """Write the row unless the notice stands there already.

        Raises StoreUnavailable or StoreRefused when it surely was not written, else StoreUnsure.
        """
        connection = await self._connect()
        written = False
        try:
            try:
                await connection.execute(_PUT, *astuple(row), timeout=_QUERY_SECONDS)
                written = True
            finally:
                await self._pool.release(connection)
        except _DATABASE_ERRORS as error:
            if not written:  # else only the handing back of the connection failed
                raise _verdict(error) from error

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


def _verdict(error: BaseException) -> Transient:
    """The server's own error means a rolled-back statement; a lost connection means nothing."""
    if not isinstance(error, asyncpg.PostgresError):
        return StoreUnsure()
    lost = (error.sqlstate or "08").startswith(("08", "57P"))  # connection; shut down or crashed
    return StoreUnsure() if lost else StoreRefused()
