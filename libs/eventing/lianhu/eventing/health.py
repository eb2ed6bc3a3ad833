"""Whether a service is alive and whether it is ready, with the reasons in words."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from typing import Protocol

import asyncpg

from lianhu.eventing.errors import passes
from lianhu.eventing.house import House

_SECONDS = 2.0


class Reading(Protocol):
    """What health asks of the consumer."""

    @property
    def assigned(self) -> bool:
        """Whether it has its place in the group."""
        ...

    @property
    def missing(self) -> Collection[str]:
        """Topics that it cannot do without and that are not there."""
        ...

    @property
    def failing(self) -> bool:
        """Whether the last batch could not be handled."""
        ...


class Health:
    """Answers `/livez` and `/readyz`."""

    def __init__(self, house: House, pool: asyncpg.Pool, consumer: Reading) -> None:
        self._house = house
        self._pool = pool
        self._consumer = consumer

    async def alive(self, _: Mapping[str, str]) -> tuple[int, object]:
        """200 as long as the process answers."""
        return 200, {"service": self._house.name, "alive": True}

    async def ready(self, _: Mapping[str, str]) -> tuple[int, object]:
        """200 when it reads, can write and does not stand still; else 503 with every reason."""
        reasons = []
        if not self._consumer.assigned:
            reasons.append("not-in-the-consumer-group")
        if self._consumer.missing:
            reasons.append("topic-missing")
        if self._consumer.failing:
            reasons.append("last-batch-failed")
        if self._house.stands_still:
            reasons.append("limit-reached")
        try:
            async with asyncio.timeout(_SECONDS), self._pool.acquire() as connection:
                await connection.fetchval("SELECT 1")
        except Exception as error:
            if not passes(error):
                raise
            reasons.append("no-database")
        status = 503 if reasons else 200
        return status, {"service": self._house.name, "ready": not reasons, "reasons": reasons}
