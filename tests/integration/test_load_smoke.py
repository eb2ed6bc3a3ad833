"""The engine and the hand-written floor do the same with the same commands."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from lianhu.mediation.workflow import CaseState
from tests.load.generator import Load
from tests.load.growing import Grown
from tests.load.hop import ground

CASES = 80
COMMANDS = 200


@pytest.mark.long
async def test_the_service_and_the_floor_handle_the_same_commands_to_the_same_states() -> None:
    async with ground(CASES, COMMANDS, seed=3) as made:
        engine = await made.engine.handle(COMMANDS)
        floor = await made.floor.handle(COMMANDS)
        states = await made.engine.states()
        assert len(states) == CASES
        assert states == await made.floor.states()
        assert await made.engine.history() == await made.floor.history()
        grown = Grown(made.session, "mediation_grown")
        await grown.prepare()
        beginning = Load(CASES, COMMANDS, datetime.now(UTC)).beginning
        assert await grown.multiply(5 * CASES, beginning) == 5 * CASES
        copies = await grown.states()
    assert len(copies) == 5 * CASES
    for stream, state in copies.items():
        assert stream == f"case/{CaseState.model_validate_json(state).case}"
    for run in (engine, floor):
        assert run.hops <= COMMANDS
        assert run.peak > 0
