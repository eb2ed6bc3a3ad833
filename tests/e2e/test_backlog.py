"""A backlog of one publisher takes little memory and holds up nobody else."""

from __future__ import annotations

import asyncio
import os

import pytest

from tests.load.backlog import measure

LONG = "LONG" in os.environ
"""`make test-long LONG=1`: all of it, to its end. That takes minutes."""

pytestmark = [pytest.mark.long, pytest.mark.timeout(1800 if LONG else 420)]

WAITING = 200_000 if LONG else 20_000
LARGEST = 200 * 1024 * 1024


async def test_a_flood_holds_up_nobody_else_and_fits_into_the_memory() -> None:
    backlog = await asyncio.to_thread(measure, WAITING, to_the_end=LONG)
    # five reports one after the other were answered before the flood was worked off; how long
    # each took is what the machine makes of it
    assert backlog.left > WAITING // 10, backlog
    assert backlog.largest < LARGEST, backlog
