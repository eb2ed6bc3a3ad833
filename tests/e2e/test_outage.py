"""Time goes on while a service is down: what was sent in time is in time when it comes back."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from deploy.embedded import session
from tests.demo.clock import Clock
from tests.standing import Offer, Standing
from tests.wire import until

pytestmark = [pytest.mark.long, pytest.mark.timeout(420)]

CASES = 40
RED = {"indicators": {"self_harm": True}}
"""Whose unit has an hour to accept."""
MISSED = """
SELECT body FROM journal WHERE type = 'lianhu.mediation.case-escalated.v1' ORDER BY seq
"""


@pytest.fixture(scope="module")
async def standing() -> AsyncIterator[Standing]:
    with session(services={"intake": 1, "mediation": 1, "welfare": 0, "notify": 0}) as running:
        yield Standing(running)


@pytest.fixture(scope="module")
def clock(standing: Standing) -> Clock:
    return Clock(standing.dsns)


async def offered(standing: Standing) -> list[Offer]:
    """New cases, each with its unit, that wait to be accepted within the hour."""
    before = len(standing.sent)
    standing.reports(CASES, more=RED)
    await standing.until_count("mediation", "case-offered", len(standing.sent))
    return (await standing.offers())[before:]


async def missed_acceptance(standing: Standing) -> Counter[str]:
    """Case -> how often it climbed because nobody accepted it."""
    bodies = [json.loads(row[0]) for row in await standing.fetch("mediation", MISSED)]
    return Counter(body["case"] for body in bodies if body["missed"] == "accept")


async def is_right(standing: Standing, cases: list[Offer], in_time: list[Offer]) -> None:
    """Whoever was accepted in time was; all others climbed, once; nothing else is wrong."""
    late = {case for case, _ in cases} - {case for case, _ in in_time}

    async def climbed() -> bool:
        return late <= (await missed_acceptance(standing)).keys()

    await until(climbed, f"{len(late)} cases to climb", 90)
    await standing.judged()
    known = await missed_acceptance(standing)
    assert {case: known[case] for case, _ in in_time} == {case: 0 for case, _ in in_time}
    assert {case: known[case] for case in late} == dict.fromkeys(late, 1)
    stories = await standing.stories("mediation")
    for case, _ in in_time:
        assert stories[f"case/{case}"][:2] == ["case-offered", "case-accepted"]


async def test_two_hours_of_outage_make_nobody_late_who_was_not(
    standing: Standing, clock: Clock
) -> None:
    cases = await offered(standing)
    in_time = cases[::2]
    standing.running.stop("mediation")
    standing.accept(in_time)
    # longer than the hour that a unit has
    await asyncio.to_thread(clock.pass_by, clock.now() + timedelta(hours=2))
    standing.running.start("mediation")
    await is_right(standing, cases, in_time)


async def test_a_killed_service_and_a_clock_that_jumps_a_day_make_nobody_late(
    standing: Standing, clock: Clock
) -> None:
    cases = await offered(standing)
    in_time = cases[::2]
    standing.running.kill("mediation")
    standing.accept(in_time)
    await asyncio.to_thread(clock.pass_by, clock.now() + timedelta(days=1))
    standing.running.start("mediation")
    await is_right(standing, cases, in_time)


async def test_a_clock_that_jumps_a_day_under_a_running_service_makes_nobody_late(
    standing: Standing, clock: Clock
) -> None:
    cases = await offered(standing)
    in_time = cases[::2]
    standing.accept(in_time)
    await asyncio.to_thread(clock.pass_by, clock.now() + timedelta(days=1))
    await is_right(standing, cases, in_time)
