"""What a hop costs in the engine, against the floor: on the same records, in turns.

Each round has a broker and databases of its own. Both take in the cases; then the commands are
written, and each in turn is started on that backlog. Who goes first changes every round.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

from rich.table import Table

from deploy.embedded import Session, session
from deploy.embedded.services import SERVICES
from lianhu.privacy import MasterKeys
from tests.load.generator import Load, send
from tests.load.racers import Handwritten, Mediation, Run

Say = Callable[[str], None]


@dataclass(frozen=True)
class Pair:
    """One round: the same commands by each of the two."""

    engine: Run
    floor: Run
    engine_first: bool
    load: float
    """The machine's load average over a minute when the round began."""

    @property
    def ratio(self) -> float:
        """Hops a second of the engine, as a share of the floor's."""
        return self.engine.rate / self.floor.rate

    @property
    def cpu_ratio(self) -> float:
        """The floor's CPU per hop as a share of the engine's."""
        return self.floor.cpu / self.engine.cpu


@dataclass(frozen=True)
class Ground:
    """A round's stack with both racers prepared and all cases known to them."""

    session: Session
    engine: Mediation
    floor: Handwritten
    commands: int


@asynccontextmanager
async def ground(
    cases: int, commands: int, seed: int, *, profile: Path | None = None, floor: bool = True
) -> AsyncIterator[Ground]:
    """Start broker and database, let the cases be handled, write the commands."""
    with session(services=dict.fromkeys(SERVICES, 0), clock_movable=False) as stack:
        made = Ground(stack, Mediation(stack, profile), Handwritten(stack), commands)
        load = Load(cases, commands, datetime.now(UTC), seed)
        send(stack.bootstrap, load.opened(MasterKeys.read(stack.master_key)))
        # the cases are not what is measured: without the profiler
        for racer in (Mediation(stack), made.floor) if floor else (Mediation(stack),):
            await racer.prepare()
            await racer.handle(cases)
        send(stack.bootstrap, load.orders())
        yield made


async def pair(cases: int, commands: int, seed: int, *, engine_first: bool) -> Pair:
    """One round. Raises `AssertionError` when the two do not end in the same states."""
    busy = os.getloadavg()[0]
    async with ground(cases, commands, seed) as made:
        if engine_first:
            engine = await made.engine.handle(commands)
            floor = await made.floor.handle(commands)
        else:
            floor = await made.floor.handle(commands)
            engine = await made.engine.handle(commands)
        if await made.engine.states() != await made.floor.states():
            raise AssertionError("the engine and the floor do not agree on the cases")
    return Pair(engine, floor, engine_first, busy)


async def rounds(cases: int, commands: int, count: int, say: Say) -> list[Pair]:
    """Several rounds, each with a seed of its own."""
    done = []
    for number in range(count):
        found = await pair(cases, commands, number + 1, engine_first=number % 2 == 0)
        done.append(found)
        say(
            f"round {number + 1}: engine {found.engine.rate:,.0f}, floor {found.floor.rate:,.0f} "
            f"hops/s, ratio {found.ratio:.2f} (machine's load before: {found.load:.1f})"
        )
    return done


def table(pairs: Sequence[Pair]) -> Table:
    """The rounds for a person."""
    shown = Table(
        "round",
        "first",
        "engine\nhops/s",
        "floor\nhops/s",
        "ratio",
        "engine\nµs/hop",
        "floor\nµs/hop",
        "database µs/hop\nengine | floor",
        "broker µs/hop\nengine | floor",
        "peak MiB\nengine | floor",
        title="One hop: read, decide, commit, publish",
    )
    for number, found in enumerate(pairs, start=1):
        engine, floor = found.engine, found.floor
        shown.add_row(
            str(number),
            "engine" if found.engine_first else "floor",
            f"{engine.rate:,.0f}",
            f"{floor.rate:,.0f}",
            f"{found.ratio:.2f}",
            f"{engine.cpu:.0f}",
            f"{floor.cpu:.0f}",
            f"{engine.postgres_cpu:.0f} | {floor.postgres_cpu:.0f}",
            f"{engine.kafka_cpu:.0f} | {floor.kafka_cpu:.0f}",
            f"{engine.peak / 2**20:.0f} | {floor.peak / 2**20:.0f}",
        )
    return shown


def summary(pairs: Sequence[Pair]) -> dict[str, float]:
    """Median, least and greatest ratio, and the medians of what is compared."""
    ratios = [found.ratio for found in pairs]
    return {
        "ratio_median": median(ratios),
        "ratio_min": min(ratios),
        "ratio_max": max(ratios),
        "cpu_ratio_median": median(found.cpu_ratio for found in pairs),
        "engine_hops_per_second": median(found.engine.rate for found in pairs),
        "floor_hops_per_second": median(found.floor.rate for found in pairs),
        "engine_cpu_us_per_hop": median(found.engine.cpu for found in pairs),
        "floor_cpu_us_per_hop": median(found.floor.cpu for found in pairs),
    }


def report(cases: int, commands: int, pairs: Sequence[Pair]) -> dict[str, object]:
    """The same as JSON."""
    return {
        "cases": cases,
        "commands": commands,
        "processors": os.cpu_count(),
        "summary": summary(pairs),
        "rounds": [
            {
                **asdict(found),
                "ratio": found.ratio,
                "engine_rate": found.engine.rate,
                "floor_rate": found.floor.rate,
            }
            for found in pairs
        ],
    }
