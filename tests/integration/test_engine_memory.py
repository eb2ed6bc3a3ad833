"""A batch leaves nothing behind that only the garbage collector would take away.

It comes by seldom: in a backlog the states and keys of thousands of cases would wait for it.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from tests.conftest import MakeDatabase
from tests.engine_toy import Toy, command, engine, event, event_id

pytestmark = pytest.mark.infra

_FEW, _MANY = 10, 200


@pytest.fixture
def uncollected() -> Iterator[None]:
    """No collector runs by itself."""
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("uncollected")
async def test_what_a_batch_leaves_to_the_collector_does_not_grow_with_its_messages(
    make_database: MakeDatabase,
) -> None:
    toy = Toy()
    async with engine(make_database, toy, name="mediation") as one:
        left = []
        made = 0
        for count in (_FEW, _FEW, _MANY):
            cases = [f"440304-2026-{number:06d}" for number in range(made, made + count)]
            made += count
            toy.does |= {event_id(case, 1): "seal" for case in cases}
            batch = [event(case, 1, offset=made + n) for n, case in enumerate(cases)]
            batch += [command(case, f"c-{case}", offset=made + n) for n, case in enumerate(cases)]
            gc.collect()
            await one.take(*batch)
            assert await one.parked() == []
            one.done.clear()
            del batch
            left.append(gc.collect())
        assert left[2] - left[1] < _MANY, left
