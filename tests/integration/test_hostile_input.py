"""Whatever is written to a service: it stands, and answers each message."""

from __future__ import annotations

import pytest

from tests.conftest import MakeDatabase
from tests.hostile.engine import SERVICES, strike

pytestmark = pytest.mark.infra

COUNT = 1600
SEED = 20260302


@pytest.mark.parametrize("service", SERVICES)
async def test_wild_records_are_answered_and_break_nothing(
    make_database: MakeDatabase, service: str
) -> None:
    harm = await strike(service, await make_database(service), SEED, COUNT)
    assert harm.faults == []
    assert harm.outcomes.total() >= COUNT
    assert harm.outcomes["handled"] > COUNT / 50, "some of it is in order"
