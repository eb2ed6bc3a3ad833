"""`python -m tests.hostile`: wild records by the hundred thousand, then through a real chain."""

from __future__ import annotations

import asyncio
from importlib.resources import files
from secrets import randbelow
from typing import Annotated

import asyncpg
import typer

from deploy.embedded import Postgres, ports
from lianhu.eventing.migrate import migrate
from tests.hostile.chain import through_the_chain
from tests.hostile.engine import SERVICES, Harm, strike
from tests.infrastructure.embedded import folder

_MOST_GROWN = 48 * 1024 * 1024
"""Bytes that a process may grow by over the second half: what Python's allocator keeps is less."""
_SHOWN = 10


async def _of_one(server: Postgres, service: str, seed: int, count: int) -> Harm:
    admin = await asyncpg.connect(server.admin_dsn())
    try:
        await admin.execute(f"CREATE DATABASE hostile_{service}")
    finally:
        await admin.close()
    url = server.admin_dsn(f"hostile_{service}")
    await asyncio.to_thread(migrate, url, files(f"lianhu.{service}") / "migrations")
    harm = await strike(service, url, seed, count)
    if harm.grown > _MOST_GROWN:
        harm.faults.append(f"grew by {harm.grown >> 20} MiB over its second half")
    return harm


def main(
    messages: Annotated[int, typer.Option(min=1000, help="to all services together")] = 100_000,
    chain: Annotated[int, typer.Option(min=0, help="through the real broker")] = 3000,
    seed: Annotated[int, typer.Option(help="draws them")] = -1,
) -> None:
    """Exit code 0 when each was answered and nothing broke."""
    seed = randbelow(10**6) if seed < 0 else seed
    print(f"seed {seed}: `make hostile SEED={seed}` draws the same again")
    wrong = 0
    with folder() as made:
        (port,) = ports.pick_free(1)
        with Postgres(made, port) as server:
            for service in SERVICES:
                harm = asyncio.run(_of_one(server, service, seed, messages // len(SERVICES)))
                told = ", ".join(f"{count} {what}" for what, count in sorted(harm.outcomes.items()))
                print(f"{service}: {told}; grew by {harm.grown >> 20} MiB over the second half")
                for fault in harm.faults[:_SHOWN]:
                    print(f"  {fault}")
                wrong += len(harm.faults)
    if chain:
        faults = through_the_chain(seed, chain)
        print(f"through the chain: {chain} sent, {len(faults)} not answered or broken")
        for fault in faults[:_SHOWN]:
            print(f"  {fault}")
        wrong += len(faults)
    raise SystemExit(1 if wrong else 0)


if __name__ == "__main__":
    typer.run(main)
