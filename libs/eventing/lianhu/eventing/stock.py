"""Takes stock: sums over all states of a service, kept current at the price of what changed.

A sum over the table at each look would read every case that ever was. So the states are read once,
in pages, when the lead is taken, and after that only those of streams with new journal rows. What
each stream added to a gauge is remembered, and replaced when it changes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import lru_cache

import asyncpg
import structlog
from prometheus_client import Gauge

from lianhu.contracts.faults import Poison
from lianhu.eventing import journal
from lianhu.eventing.errors import ShapeFromTheFuture
from lianhu.eventing.house import House
from lianhu.eventing.measures import Part
from lianhu.eventing.rules import Stream

log = structlog.get_logger(__name__)

_PAGE = 500
_ROWS = 2000
_END = "SELECT COALESCE(max(seq), 0) FROM journal"
_ALL = """
SELECT stream, shape, state FROM aggregates
WHERE stream > $1 AND split_part(stream, '/', 1) = ANY ($2::text[])
ORDER BY stream LIMIT $3
"""
_CHANGED = """
SELECT stream, shape, state FROM aggregates
WHERE stream = ANY (ARRAY(SELECT DISTINCT stream FROM journal WHERE seq > $1 AND seq <= $2))
  AND split_part(stream, '/', 1) = ANY ($3::text[])
"""

_Place = tuple[Gauge, tuple[str, ...]]


@lru_cache(maxsize=4096)
def _shared(parts: tuple[Part, ...]) -> tuple[Part, ...]:
    """The same one for all streams that add the same: there are few of these, and many streams."""
    return parts


class Stock:
    """The sums of one leader; a new leader takes stock anew."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._kinds = [kind.value for kind in house.measures.kinds]
        self._page: str | None = ""
        """The last stream of the first reading so far; None: it is done."""
        self._seq: int | None = None
        self._parts: dict[str, tuple[Part, ...]] = {}
        self._sums: dict[_Place, float] = defaultdict(float)

    async def look(self, connection: asyncpg.Connection) -> bool:
        """One bounded step; whether there is more to read at once."""
        if not self._kinds:
            return False
        if self._seq is None:
            # before the first page: what changes while it is read is read again
            self._seq = await connection.fetchval(_END)
        if self._page is not None:
            found = await connection.fetch(_ALL, self._page, self._kinds, _PAGE)
            await self._take(connection, found)
            self._page = found[-1]["stream"] if len(found) == _PAGE else None
            if self._page is None:
                self._show(self._sums)
            return True
        end = await connection.fetchval(_END)
        upto = min(end, self._seq + _ROWS)
        if upto > self._seq:
            before = dict(self._sums)
            changed = await connection.fetch(_CHANGED, self._seq, upto, self._kinds)
            await self._take(connection, changed)
            self._show(place for place in self._sums if self._sums[place] != before.get(place))
            self._seq = upto
        return bool(upto < end)

    def forget(self) -> None:
        """The lead is lost: another replica shows the sums from now on."""
        for gauge in {gauge for gauge, _ in self._sums}:
            gauge.clear()

    def _show(self, places: Iterable[_Place]) -> None:
        for gauge, labels in places:
            gauge.labels(*labels).set(self._sums[gauge, labels])

    async def _take(self, connection: asyncpg.Connection, rows: Sequence[asyncpg.Record]) -> None:
        streams = [Stream.parse(row["stream"]) for row in rows]
        others = [
            row["stream"]
            for row, stream in zip(rows, streams, strict=True)
            if row["state"] is not None and row["shape"] != self._house.shape(stream.kind)
        ]  # folded anew, as they are wherever their streams are touched
        passed = await journal.passed_over(connection) if others else frozenset[str]()
        journals = await journal.of_streams(connection, others)
        for row, stream in zip(rows, streams, strict=True):
            name = row["stream"]
            try:
                state = (
                    self._house.fold(stream, journals[name], passed)
                    if name in journals
                    else self._house.parse(stream.kind, row["shape"], row["state"])
                )
                parts = () if state is None else (*self._house.measures.parts(state),)
            except (Poison, ShapeFromTheFuture, ValueError) as error:
                # told by whatever next touches the stream; here it is only not counted
                log.warning("not counted", stream=name, error=type(error).__name__)
                parts = ()
            for part in self._parts.pop(name, ()):
                self._sums[part.gauge, part.labels] -= part.amount
            for part in parts:
                self._sums[part.gauge, part.labels] += part.amount
            if parts:
                self._parts[name] = _shared(parts)
