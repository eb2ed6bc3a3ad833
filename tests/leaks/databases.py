"""Every column of every table of a database, row by row, whatever its type."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

import asyncpg

_COLUMNS = """
SELECT n.nspname AS schema, c.relname AS name, a.attname AS column,
       a.atttypid = 'bytea'::regtype AS raw
FROM pg_class AS c
JOIN pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_attribute AS a ON a.attrelid = c.oid
WHERE c.relkind IN ('r', 'm') AND a.attnum > 0 AND NOT a.attisdropped
  AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
ORDER BY 1, 2, a.attnum
"""
_PREFETCH = 500


@dataclass(frozen=True, slots=True)
class Cell:
    """One value. `row`: its place in the table, as PostgreSQL gives it."""

    table: str
    column: str
    row: str
    data: bytes


async def rows_of(dsn: str) -> AsyncIterator[list[Cell]]:
    """The cells of each row of each table, in one snapshot. Raises what asyncpg raises."""
    connection = await asyncpg.connect(dsn, timeout=10)
    try:
        await connection.execute("SET transaction_timeout = 0; SET statement_timeout = 0")
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            tables: dict[tuple[str, str], list[asyncpg.Record]] = {}
            for row in await connection.fetch(_COLUMNS):
                tables.setdefault((row["schema"], row["name"]), []).append(row)
            for (schema, name), columns in tables.items():
                async for row in connection.cursor(
                    _select(schema, name, columns), prefetch=_PREFETCH
                ):
                    yield [
                        Cell(name, column["column"], row[0], _bytes(value))
                        for column, value in zip(columns, row[1:], strict=True)
                        if value is not None
                    ]
    finally:
        await connection.close()


def _select(schema: str, name: str, columns: list[asyncpg.Record]) -> str:
    wanted = [_quoted(column["column"]) + ("" if column["raw"] else "::text") for column in columns]
    listed = ", ".join(["ctid::text", *wanted])
    return f"SELECT {listed} FROM {_quoted(schema)}.{_quoted(name)}"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _bytes(value: str | bytes) -> bytes:
    return value if isinstance(value, bytes) else value.encode("utf-8", "surrogatepass")
