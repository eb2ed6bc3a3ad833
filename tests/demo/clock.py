"""Moves the time of the chain, in all databases at the same moment of the broker's time."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from time import sleep

import asyncpg

from lianhu.eventing.clock import advance

_AHEAD = timedelta(milliseconds=700)
"""Moves are agreed upon before they are in force, so that no record is dated by half of them."""
_PAST = timedelta(seconds=2)


class Clock:
    """Domain time: the machine's, and so much ahead."""

    def __init__(self, dsns: Mapping[str, str]) -> None:
        self._dsns = dsns
        self.ahead = timedelta(0)

    def now(self) -> datetime:
        """The domain time of this moment."""
        return datetime.now(UTC) + self.ahead

    def pass_by(self, due: datetime) -> timedelta:
        """Move time to just after `due`, if it is not there yet; by how much it was moved."""
        by = due + _PAST - self.now()
        if by <= timedelta(0):
            return timedelta(0)
        start = datetime.now(UTC) + _AHEAD
        asyncio.run(self._advance(by, start))
        self.ahead += by
        left = (start - datetime.now(UTC)).total_seconds()
        sleep(max(left, 0.0))  # until the moment that was agreed upon
        return by

    async def _advance(self, by: timedelta, start: datetime) -> None:
        await asyncio.gather(*(_move(dsn, by, start) for dsn in self._dsns.values()))


async def _move(dsn: str, by: timedelta, start: datetime) -> None:
    connection = await asyncpg.connect(dsn, timeout=10)
    try:
        await advance(connection, by, start)
    finally:
        await connection.close()
