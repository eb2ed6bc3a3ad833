"""What cases that are there already cost a hop: the same engine on a small and on a grown database.

Both are copies of one database. In turns each gets a backlog of commands about cases of its own,
once it has counted what it holds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import asyncpg

from deploy.embedded import session
from deploy.embedded.services import SERVICES
from lianhu.privacy import MasterKeys
from tests.load.generator import Load, send
from tests.load.growing import TEMPLATES, Grown
from tests.load.parts import Finding, Say, Setting, at_most
from tests.load.racers import Mediation, Run, rested

_TEMPLATES = 1000
_SIZES = """
SELECT pg_total_relation_size('journal'),
       (SELECT sum(pg_total_relation_size(oid))::float8 FROM pg_class
        WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace),
       (SELECT count(*) FROM journal),
       (SELECT count(*) FROM aggregates WHERE stream LIKE 'case/%')
"""
_EACH = 3
"""Commands that each case had which is multiplied: so many more rows its journal has."""


@dataclass(frozen=True)
class Pair:
    """One turn of each."""

    few: Run
    many: Run

    @property
    def loss(self) -> float:
        """By how many per cent fewer hops a second there are among many cases."""
        return 100 * (1 - self.many.rate / self.few.rate)


@dataclass(frozen=True)
class Scaled:
    """Every turn, how many cases the grown database had, and how long it took to count them."""

    present: int
    few: int
    pairs: tuple[Pair, ...]
    counted: float
    """Seconds from ready to idle with nothing to do but to count."""
    row: float
    """Bytes on disk of a journal row, with its indexes."""
    case: float
    """Bytes on disk of a case: state, journal of four rows, inbox, key, with their indexes."""


async def measure(present: int, commands: int, rounds: int, say: Say) -> Scaled:
    """On a stack of its own."""
    each = max(commands // 4, 1)
    with session(services=dict.fromkeys(SERVICES, 0), clock_movable=False) as stack:
        start, keys = datetime.now(UTC), MasterKeys.read(stack.master_key)
        base = Load(_TEMPLATES, _EACH * _TEMPLATES, start, seed=1000, first=TEMPLATES)
        turns = [
            Load(each, commands, start, seed=number + 1, first=number * each)
            for number in range(2 * rounds)
        ]
        first = Mediation(stack)
        await first.prepare()
        for load in (base, *turns):
            send(stack.bootstrap, load.opened(keys))
        await first.handle(_TEMPLATES + len(turns) * each)
        send(stack.bootstrap, base.orders())
        await first.handle(base.commands)
        few, many = Grown(stack, "mediation_few"), Grown(stack, "mediation_many")
        for racer in (few, many):
            await racer.prepare()
        there = await many.multiply(present, f"{base.beginning}9")
        say(f"{there:,} cases in the grown database, {_TEMPLATES + len(turns) * each:,} in both")
        row, case = await _sizes(many.database)
        counted = await many.settle()
        many.stop()
        pairs = []
        for number in range(rounds):
            runs: dict[Grown, Run] = {}
            for racer, load in zip(
                (few, many) if number % 2 == 0 else (many, few),
                turns[2 * number : 2 * number + 2],
                strict=True,
            ):
                runs[racer] = await racer.answer(list(load.orders()))
            pairs.append(found := Pair(runs[few], runs[many]))
            say(
                f"turn {number + 1}: {found.few.rate:,.0f} hops/s, among many cases "
                f"{found.many.rate:,.0f}, {found.loss:.1f} % less"
            )
        return Scaled(there, _TEMPLATES + len(turns) * each, tuple(pairs), counted, row, case)


async def _sizes(database: str) -> tuple[float, float]:
    connection = await asyncpg.connect(database)
    try:
        await rested(connection)
        journal, whole, rows, cases = await connection.fetchrow(_SIZES)
        return journal / rows, whole / cases
    finally:
        await connection.close()


def findings(found: Scaled) -> list[Finding]:
    """For the report."""
    pairs: Sequence[Pair] = found.pairs
    few, many = f"with {found.few:,} cases", f"with {found.present:,} cases"
    return [
        Finding(few, tuple(pair.few.rate for pair in pairs), "hops/s"),
        Finding(many, tuple(pair.many.rate for pair in pairs), "hops/s"),
        Finding(f"loss {many}", tuple(pair.loss for pair in pairs), "%", at_most(10)),
        Finding(few, tuple(pair.few.cpu for pair in pairs), "µs/hop of the engine"),
        Finding(many, tuple(pair.many.cpu for pair in pairs), "µs/hop of the engine"),
        Finding(few, tuple(pair.few.postgres_cpu for pair in pairs), "µs/hop of the database"),
        Finding(many, tuple(pair.many.postgres_cpu for pair in pairs), "µs/hop of the database"),
        Finding(f"{found.present:,} cases counted at the start", (found.counted,), "s"),
        Finding("a journal row on disk", (found.row,), "bytes"),
        Finding("a case on disk, its journal of four rows with it", (found.case,), "bytes"),
    ]


class Scale:
    """A part of the bench."""

    name = "scale"

    def run(self, setting: Setting, say: Say) -> Sequence[Finding]:
        """As the setting says."""
        found = asyncio.run(measure(setting.present, setting.commands, setting.rounds, say))
        return findings(found)
