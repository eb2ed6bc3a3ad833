"""Data keys under a renewed master key, on the real database."""

from __future__ import annotations

import asyncpg
import pytest
from rich.console import Console

from lianhu.eventing import wrapping
from lianhu.privacy import DataKey, MasterKey, MasterKeys, UnsealError
from tests.conftest import MakeDatabase

pytestmark = pytest.mark.infra

OLD, NEW = MasterKey.generate(), MasterKey.generate()
BOTH = MasterKeys(NEW, [OLD])
COUNT = 1203
"""More than two rounds of them."""


async def test_every_key_is_wrapped_anew_once_and_an_erased_one_stays_erased(
    make_database: MakeDatabase,
) -> None:
    connection = await asyncpg.connect(await make_database("intake"))
    try:
        keys = [DataKey.new(f"case/440304-2026-{number:06}") for number in range(COUNT)]
        before = MasterKeys(OLD)
        await connection.executemany(
            "INSERT INTO case_keys (id, wrapped) VALUES ($1, $2)",
            [(key.id, before.wrap(key)) for key in keys],
        )
        await connection.execute(
            "UPDATE case_keys SET wrapped = '', erased_at = now() WHERE id = $1", keys[7].id
        )
        console = Console(record=True, width=80)
        await wrapping.show(connection, console, BOTH)
        assert await wrapping.rewrap(connection, BOTH) == COUNT - 1
        assert await wrapping.rewrap(connection, BOTH) == 0
        await wrapping.show(connection, console, BOTH)
        told = [line.split() for line in console.export_text().splitlines()]
        counts = [line[1] for line in told if line[0] == OLD.id]
        assert counts == [str(COUNT - 1), "0"]

        rows = await connection.fetch("SELECT id, wrapped, erased_at FROM case_keys ORDER BY id")
        only_new = MasterKeys(NEW)
        for key, row in zip(keys, rows, strict=True):
            if key is keys[7]:
                assert (row["wrapped"], row["erased_at"] is None) == (b"", False)
            else:
                assert only_new.unwrap(key.id, row["wrapped"]) == key
    finally:
        await connection.close()


async def test_a_key_that_none_of_ours_wrapped_stops_it_and_changes_nothing(
    make_database: MakeDatabase,
) -> None:
    connection = await asyncpg.connect(await make_database("intake"))
    try:
        for id_, keys in (
            ("case/a", MasterKeys(OLD)),
            ("case/b", MasterKeys(MasterKey.generate())),
        ):
            await connection.execute(
                "INSERT INTO case_keys (id, wrapped) VALUES ($1, $2)",
                *(id_, keys.wrap(DataKey.new(id_))),
            )
        before = await connection.fetch("SELECT id, wrapped FROM case_keys ORDER BY id")
        with pytest.raises(UnsealError, match="unknown-master-key"):
            await wrapping.rewrap(connection, BOTH)
        assert await connection.fetch("SELECT id, wrapped FROM case_keys ORDER BY id") == before
    finally:
        await connection.close()
