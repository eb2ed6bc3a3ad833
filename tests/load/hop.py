"""What a hop costs in the engine, and in what others would build it on: the same records, in turns.

Each round has a broker and databases of its own. Engine and floor take in the cases; then the
commands are written, and each in turn is started on that backlog. Who goes first changes every
round. The slower peers are timed on a part of it.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from rich.table import Table

from deploy.embedded import Session, session
from deploy.embedded.kafka import LastingKafka
from deploy.embedded.services import SERVICES
from lianhu.privacy import MasterKeys
from tests.load.durable import STEPS
from tests.load.figures import Figure
from tests.load.generator import Load, send
from tests.load.parts import Finding, Goal, Say, Setting, at_least
from tests.load.peers import Durable, Tutorial, begins
from tests.load.racers import Handwritten, Mediation, Run

PEER_SECONDS = 4.0
"""So long a peer is timed that would take minutes for the whole backlog."""


@dataclass(frozen=True)
class Round:
    """One round: the same commands by each."""

    engine: Run
    floor: Run
    five: Run
    """FastStream, one message a call, five statements."""
    one: Run
    """The same with one statement."""
    durable: Run
    """DBOS, four durable steps a message."""
    engine_first: bool
    load: float
    """The machine's load average over a minute when the round began."""

    def against(self, other: Run) -> float:
        """Hops a second of the engine for one of the other's."""
        return self.engine.rate / other.rate

    @property
    def against_steps(self) -> float:
        """Hops a second of the engine for one durable step a second of DBOS."""
        return self.engine.rate / (STEPS * self.durable.rate)

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
    with session(
        services=dict.fromkeys(SERVICES, 0), clock_movable=False, broker=LastingKafka
    ) as stack:
        made = Ground(stack, Mediation(stack, profile), Handwritten(stack), commands)
        load = Load(cases, commands, datetime.now(UTC), seed)
        send(stack.bootstrap, load.opened(MasterKeys.read(stack.master_key)))
        # the cases are not what is measured: without the profiler
        for racer in (Mediation(stack), made.floor) if floor else (Mediation(stack),):
            await racer.prepare()
            await racer.handle(cases)
        send(stack.bootstrap, load.orders())
        yield made


async def round_(cases: int, commands: int, seed: int, *, engine_first: bool) -> Round:
    """One round. Raises `AssertionError` when they do not make the same of the commands."""
    busy = os.getloadavg()[0]
    async with ground(cases, commands, seed) as made:
        five, one = (Tutorial(made.session, statements) for statements in ("five", "one"))
        peers = (five, one, durable := Durable(made.session))
        for peer in peers:
            await peer.prepare()
        slow = [(peer, await peer.work(PEER_SECONDS)) for peer in peers[:: -1 if seed % 2 else 1]]
        racers = (made.engine, made.floor) if engine_first else (made.floor, made.engine)
        quick = [(racer, await racer.handle(commands)) for racer in racers]
        if await made.engine.states() != await made.floor.states():
            raise AssertionError("the engine and the floor do not agree on the cases")
        whole = await made.floor.history()
        for peer in peers:
            if not begins(await peer.history(), whole):
                raise AssertionError(f"{peer.name} and the floor do not agree on the cases")
    runs = {racer.name: run for racer, run in [*slow, *quick]}
    return Round(
        runs[made.engine.name],
        runs[made.floor.name],
        runs[five.name],
        runs[one.name],
        runs[durable.name],
        engine_first,
        busy,
    )


async def rounds(cases: int, commands: int, count: int, say: Say) -> list[Round]:
    """Several rounds, each with a seed of its own."""
    done = []
    for number in range(count):
        found = await round_(cases, commands, number + 1, engine_first=number % 2 == 0)
        done.append(found)
        say(
            f"round {number + 1}: engine {found.engine.rate:,.0f}, floor {found.floor.rate:,.0f}, "
            f"FastStream {found.five.rate:,.0f} and {found.one.rate:,.0f}, "
            f"DBOS {found.durable.rate:,.0f} hops/s "
            f"(machine's load before: {found.load:.1f})"
        )
    return done


_Cost = Callable[[Run], float]


def table(done: Sequence[Round]) -> Table:
    """What each needs, for a person."""
    shown = Table(
        "",
        "hops/s",
        "engine: times as many",
        "µs/hop",
        "database µs/hop",
        "broker µs/hop",
        "peak MiB",
        title="One hop: read, decide, commit, publish",
    )

    def of(pick: Callable[[Round], Run], cost: _Cost) -> str:
        return str(Figure.of(cost(pick(found)) for found in done))

    for name, pick in _RACERS.items():
        shown.add_row(
            name,
            of(pick, lambda run: run.rate),
            str(Figure.of(found.against(pick(found)) for found in done)),
            of(pick, lambda run: run.cpu),
            of(pick, lambda run: run.postgres_cpu),
            of(pick, lambda run: run.kafka_cpu),
            of(pick, lambda run: run.peak / 2**20),
        )
    return shown


_TIMES = "times"
_RACERS: dict[str, Callable[[Round], Run]] = {
    "the engine": lambda found: found.engine,
    "by hand, in batches (no parking, gaps, deadlines, replicas)": lambda found: found.floor,
    "FastStream, a call each, one statement (no relay, nothing parked)": lambda found: found.one,
    "FastStream, a call each, five statements (the same)": lambda found: found.five,
    "DBOS, a workflow each, four durable steps (nothing parked)": lambda found: found.durable,
}


def summary(done: Sequence[Round]) -> dict[str, Figure]:
    """The ratios, each with its least and greatest value."""
    return {one.what: one.figure for one in findings(done) if one.unit == _TIMES}


def findings(done: Sequence[Round]) -> list[Finding]:
    """For the report."""

    def of(name: str, unit: str, value: Callable[[Round], float], goal: Goal | None = None) -> None:
        told.append(Finding(name, tuple(value(found) for found in done), unit, goal))

    told: list[Finding] = []
    for name, pick in _RACERS.items():
        of(name, "hops/s", lambda found, pick=pick: pick(found).rate)  # type: ignore[misc]
    for name, pick in _RACERS.items():
        of(name, "µs CPU/hop", lambda found, pick=pick: pick(found).cpu)  # type: ignore[misc]
    of("engine / floor", _TIMES, lambda found: found.against(found.floor), at_least(0.6))
    of("engine / FastStream, one statement", _TIMES, lambda f: f.against(f.one), at_least(4))
    of("engine / FastStream, five statements", _TIMES, lambda f: f.against(f.five), at_least(8))
    of("engine / DBOS", _TIMES, lambda found: found.against(found.durable))
    of("engine's hops / DBOS' durable steps", _TIMES, lambda f: f.against_steps, at_least(20))
    of("CPU of floor / engine", _TIMES, lambda found: found.cpu_ratio)
    return told


class Hop:
    """A part of the bench."""

    name = "hop"

    def run(self, setting: Setting, say: Say) -> Sequence[Finding]:
        """As the setting says."""
        done = asyncio.run(rounds(setting.cases, setting.commands, setting.rounds, say))
        return findings(done)


def report(cases: int, commands: int, done: Sequence[Round]) -> dict[str, object]:
    """The same as JSON."""
    return {
        "cases": cases,
        "commands": commands,
        "processors": os.cpu_count(),
        "summary": {name: asdict(figure) for name, figure in summary(done).items()},
        "rounds": [asdict(found) for found in done],
    }
