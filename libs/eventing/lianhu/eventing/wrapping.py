"""Data keys under a renewed master key: how far that is, and doing it beside the running service.

Only the wrapping changes. What the data keys close, journals and states among it, stays as it is.
"""

from __future__ import annotations

from collections import Counter

import asyncpg
from rich.console import Console
from rich.table import Table

from lianhu.privacy import MasterKeys

_READ = """
SELECT id, wrapped FROM case_keys
WHERE id > $1 AND erased_at IS NULL AND wrapped <> '' ORDER BY id LIMIT $2
"""
# an erased key stays erased, and one that somebody else wrapped anew stays as that one did it
_WRITE = """
UPDATE case_keys AS k SET wrapped = n.fresh
FROM unnest($1::text[], $2::bytea[], $3::bytea[]) AS n (id, was, fresh)
WHERE k.id = n.id AND k.wrapped = n.was AND k.erased_at IS NULL
"""
_AT_ONCE = 500


async def rewrap(connection: asyncpg.Connection, keys: MasterKeys) -> int:
    """Wrap with the current master key what an older one wrapped; how many there were.

    Raises `UnsealError` at a key that none of the file's master keys wrapped.
    """
    count, last = 0, ""
    while rows := await connection.fetch(_READ, last, _AT_ONCE):
        last = rows[-1][0]
        old = [(name, wrapped) for name, wrapped in rows if not keys.is_current(wrapped)]
        if old:
            fresh = [keys.wrap(keys.unwrap(name, wrapped)) for name, wrapped in old]
            done: str = await connection.execute(
                _WRITE, [name for name, _ in old], [wrapped for _, wrapped in old], fresh
            )
            count += int(done.rpartition(" ")[2])
    return count


async def show(connection: asyncpg.Connection, console: Console, keys: MasterKeys) -> None:
    """How many data keys each master key wraps; the current one stands last."""
    names = sorted(keys.ids, key=lambda name: (name == keys.current.id, name))
    counts: Counter[str] = Counter(dict.fromkeys(names, 0))
    last = ""
    while rows := await connection.fetch(_READ, last, _AT_ONCE):
        last = rows[-1][0]
        counts.update(keys.master_of(wrapped) for _, wrapped in rows)
    table = Table(box=None, pad_edge=False)
    for title in ("master key", "wraps", ""):
        table.add_column(title, justify="right" if title == "wraps" else "left")
    for name, count in counts.items():
        table.add_row(name, str(count), "current" if name == keys.current.id else "")
    console.print(table)
