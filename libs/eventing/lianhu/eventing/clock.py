"""Domain time from the broker's time; in demo and tests it can be moved forward.

Time is moved by an append-only list of (from broker time, ahead by): a record's domain time is
its append time plus the offset in force at that moment, so time may be moved under load and a
replay of the topic gives the same times.
"""

from __future__ import annotations

from bisect import bisect_right
from datetime import UTC, datetime, timedelta

import asyncpg

from lianhu.contracts.base import LATEST
from lianhu.contracts.faults import Refused

_LATEST_MS = int(LATEST.timestamp() * 1000)
Moves = tuple[tuple[datetime, timedelta], ...]


class Clock:
    """Maps broker time to domain time."""

    def __init__(self, *, movable: bool = False) -> None:
        self.movable = movable
        self._from: list[datetime] = []
        self._ahead: list[timedelta] = []

    def set(self, moves: Moves) -> None:
        """Replace the list of moves."""
        ordered = sorted(moves)
        self._from = [at for at, _ in ordered]
        self._ahead = [ahead for _, ahead in ordered]

    def domain(self, broker: datetime) -> datetime:
        """The domain time of something appended at this broker time."""
        if not self._from:
            return broker
        place = bisect_right(self._from, broker)
        return broker + self._ahead[place - 1] if place else broker

    def domain_ms(self, stamp: int) -> datetime:
        """The same for a record's timestamp in milliseconds."""
        return self.domain(from_ms(stamp))

    def now(self) -> datetime:
        """The domain time of this moment."""
        return self.domain(utc_now())

    async def refresh(self, connection: asyncpg.Connection) -> None:
        """Read the moves anew; nothing to do where time is not moved."""
        if self.movable:
            rows = await connection.fetch("SELECT from_at, ahead FROM clock")
            self.set(tuple((row["from_at"], row["ahead"]) for row in rows))


def utc_now() -> datetime:
    """The machine's time. The only place where the engine reads it."""
    return datetime.now(UTC)


def from_ms(stamp: int) -> datetime:
    """A record's timestamp; an implausible one (a producer's own time) counts as the epoch."""
    return datetime.fromtimestamp(stamp / 1000 if 0 <= stamp < _LATEST_MS else 0, UTC)


async def advance(connection: asyncpg.Connection, by: timedelta, start: datetime) -> timedelta:
    """From broker time `start` on, move domain time forward by `by` more; returns the whole offset.

    Time never goes back, and a move never lies before one that stands.
    """
    if by <= timedelta(0):
        raise Refused.at("by", "not-forward")
    async with connection.transaction():
        await connection.execute("LOCK TABLE clock IN SHARE ROW EXCLUSIVE MODE")
        row = await connection.fetchrow(
            "SELECT from_at, ahead FROM clock ORDER BY from_at DESC LIMIT 1"
        )
        if row is not None and row["from_at"] >= start:
            raise Refused.at("from", "before-an-earlier-move")
        ahead: timedelta = by + (row["ahead"] if row is not None else timedelta(0))
        await connection.execute("INSERT INTO clock (from_at, ahead) VALUES ($1, $2)", start, ahead)
    return ahead
