"""Where closed values are opened 解封: each time for a stated purpose, and noted in the log."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TypeVar

import asyncpg
import structlog

from lianhu.contracts.faults import LianhuError
from lianhu.eventing.clock import Clock
from lianhu.eventing.metrics import Metrics
from lianhu.privacy import DataKey, MasterKeys, Sealed, UnsealError

log = structlog.get_logger(__name__)
T = TypeVar("T")

_FIND = """
SELECT id, wrapped, erased_at IS NOT NULL AS erased, restricted_until FROM case_keys
WHERE id = ANY ($1::text[])
"""


class NotOpened(LianhuError):
    """A value stays closed; `slug` says why: `key-missing`, `key-erased`, `key-restricted`, or
    what the cipher says."""

    def __init__(self, slug: str) -> None:
        super().__init__(slug)
        self.slug = slug


class Vault:
    """Opens values of one service with the keys in its database. Nothing is kept."""

    def __init__(
        self, pool: asyncpg.Pool, keys: MasterKeys, clock: Clock, metrics: Metrics
    ) -> None:
        self._pool = pool
        self._keys = keys
        self._clock = clock
        self._metrics = metrics

    def now(self) -> datetime:
        """The domain time of this moment, by which it is judged whether a key may be used."""
        return self._clock.now()

    async def open(self, values: Sequence[Sealed[T]], purpose: str) -> list[T | NotOpened]:
        """Each value or why it stays closed, in their order; one statement for all keys.

        `purpose` is a slug such as `notice`: it is logged and counted, with the keys' ids, which
        are case numbers.
        """
        wanted = sorted({value.key_id for value in values if value.key_id is not None})
        async with self._pool.acquire() as connection:
            rows = {row["id"]: row for row in await connection.fetch(_FIND, wanted)}
        found: dict[str, DataKey | NotOpened] = {
            id_: self._key(id_, rows.get(id_)) for id_ in wanted
        }
        opened: list[T | NotOpened] = [self._open(value, found) for value in values]
        done = [
            value.key_id
            for value, given in zip(values, opened, strict=True)
            if not isinstance(given, NotOpened)
        ]
        if done:
            self._metrics.unsealed.labels(purpose).inc(len(done))
            log.info("unsealed", purpose=purpose, streams=list(dict.fromkeys(done)))
        return opened

    def _key(self, id_: str, row: asyncpg.Record | None) -> DataKey | NotOpened:
        if row is None:
            return NotOpened("key-missing")
        if row["erased"]:
            return NotOpened("key-erased")
        if row["restricted_until"] is not None and row["restricted_until"] > self.now():
            return NotOpened("key-restricted")
        try:
            return self._keys.unwrap(id_, row["wrapped"])
        except UnsealError as error:
            return NotOpened(error.slug)

    def _open(self, value: Sealed[T], keys: dict[str, DataKey | NotOpened]) -> T | NotOpened:
        key = keys.get(value.key_id or "")
        if isinstance(key, NotOpened):
            return key
        try:
            return value.reveal(lambda _: key) if key is not None else NotOpened("key-missing")
        except UnsealError as error:
            return NotOpened(error.slug)
