"""The ledger report 台账: each pool from its journal, and whether it balances."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Annotated

import asyncpg
import typer
from rich.console import Console
from rich.table import Table

from lianhu.contracts.money import LedgerAccount, yuan
from lianhu.contracts.payments import LedgerPosted
from lianhu.eventing.service import OnDatabase
from lianhu.welfare import store
from lianhu.welfare.workflow.applying import STANDING
from lianhu.welfare.workflow.state import PoolState

_WIDTH = 160
"""Columns of text that the table needs."""


@dataclass(slots=True)
class PoolReport:
    """One pool as its entries give it, and what is wrong with them."""

    pool: str
    entries: int = 0
    balances: dict[LedgerAccount, int] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)

    @property
    def unit(self) -> str:
        """The unit whose pool it is."""
        return self.pool.split("/")[1]

    def add(self, entry: LedgerPosted) -> None:
        """Take an entry, and hold it against what must be true of every one."""
        self.entries += 1
        if sum(line.change for line in entry.lines) != 0:
            self.faults.append(f"entry {self.entries} does not sum to zero")
        for line in entry.lines:
            after = self.balances.get(line.account, 0) + line.change
            self.balances[line.account] = after
            if after < 0 and line.account is not LedgerAccount.SOURCE:
                self.faults.append(f"entry {self.entries} takes {line.account} below zero")

    def hold_against(self, state: PoolState) -> None:
        """The state of the service must say the same as the journal."""
        accounts = [*LedgerAccount]
        if any(self.balances.get(one, 0) != state.of(one) for one in accounts):
            self.faults.append("the state of the pool is not the sum of its entries")

    def shown(self, account: LedgerAccount) -> str:
        """A balance in yuan, or in places 名额 where the pool is one of places."""
        amount = self.balances.get(account, 0)
        if self.pool.endswith(f"/{STANDING}"):
            return str(amount)
        return f"-{yuan(-amount)}" if amount < 0 else yuan(amount)


async def reports(
    connection: asyncpg.Connection, pool: str | None, unit: str | None
) -> list[PoolReport]:
    """Each pool, by its name; of one moment."""
    found: dict[str, PoolReport] = {}
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        async for entry in store.entries(connection, pool, unit):
            found.setdefault(entry.pool, PoolReport(entry.pool)).add(entry)
        for state in await store.pools(connection, pool, unit):
            found.setdefault(state.pool, PoolReport(state.pool)).hold_against(state)
    return [found[name] for name in sorted(found)]


def table(found: Iterable[PoolReport]) -> Table:
    """A line for each pool, and one for each unit with more than one pool of money."""
    shown = Table("pool")
    for name in ("entries", *LedgerAccount):
        shown.add_column(name, justify="right")
    shown.add_column("balances")
    by_unit: dict[str, list[PoolReport]] = {}
    for one in found:
        _line(shown, one.pool, one)
        if not one.pool.endswith(f"/{STANDING}"):
            by_unit.setdefault(one.unit, []).append(one)
    for unit, pools in by_unit.items():
        if len(pools) > 1:
            _line(shown, f"unit {unit}", _sum(unit, pools))
    return shown


def _sum(unit: str, pools: Iterable[PoolReport]) -> PoolReport:
    total = PoolReport(f"all/{unit}/all")
    for one in pools:
        total.entries += one.entries
        total.faults += one.faults
        for account, amount in one.balances.items():
            total.balances[account] = total.balances.get(account, 0) + amount
    return total


def _line(shown: Table, name: str, one: PoolReport) -> None:
    balances = "no" if one.faults or sum(one.balances.values()) else "yes"
    shown.add_row(
        name, str(one.entries), *(one.shown(account) for account in LedgerAccount), balances
    )


def commands(cli: typer.Typer, on_database: OnDatabase) -> None:
    """Adds `ledger` to the command line."""

    @cli.command()
    def ledger(
        pool: Annotated[
            str | None, typer.Option(help="one pool: difficulty-relief/440304000000/2026")
        ] = None,
        unit: Annotated[str | None, typer.Option(help="the pools of one unit")] = None,
    ) -> None:
        """What each pool received, holds and paid, from the journal; 1 if it does not balance."""
        found = on_database(lambda connection, _: reports(connection, pool, unit))
        console = Console()
        # in a narrow window lines are broken rather than amounts cut off
        Console(width=max(console.width, _WIDTH), soft_wrap=True).print(table(found))
        wrong = [f"{one.pool}: {fault}" for one in found for fault in one.faults]
        for sentence in wrong:
            print(sentence)
        if wrong:
            raise SystemExit(1)
