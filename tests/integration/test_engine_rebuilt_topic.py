"""A topic that was deleted and made anew has other records at places that are known."""

from __future__ import annotations

from datetime import timedelta

import pytest

from lianhu.eventing import inbox
from lianhu.eventing.rules import case_stream
from lianhu.eventing.testing import START, TestEngine
from tests.conftest import MakeDatabase
from tests.engine_toy import Toy, engine, event, event_id

pytestmark = pytest.mark.infra

FIRST, SECOND = "440304-2026-000001", "440304-2026-000002"
LATER = START + timedelta(days=1)


async def reached(one: TestEngine) -> list[int]:
    async with one.pool.acquire() as connection:
        return [offset for offset, _ in (await inbox.progress_of(connection)).values()]


async def test_what_is_parked_at_a_place_of_the_old_topic_displaces_nothing_of_the_new(
    make_database: MakeDatabase,
) -> None:
    toy = Toy()
    toy.does = {event_id(FIRST, 1): "raise", event_id(SECOND, 1): "raise"}
    async with engine(make_database, toy) as one:
        await one.take(event(FIRST, 1, offset=0))
        renewed = [event(SECOND, 1, offset=0, at=LATER), event(FIRST, 1, offset=1, at=LATER)]
        await one.take(*renewed)
        await one.take(*renewed)
        streams = [str(case_stream(case)) for case in (FIRST, SECOND, FIRST)]
        assert await one.parked() == [("poison", stream) for stream in streams]

        toy.does.clear()
        rows = await one.fetch("SELECT letter FROM parked")
        await one.replay(*(row["letter"] for row in rows))
        await one.drain()
        assert await one.parked() == []
        for case in (FIRST, SECOND):
            assert await one.types(case_stream(case)) == ["report-accepted"], "once"


async def test_progress_begins_again_with_the_topic(make_database: MakeDatabase) -> None:
    async with engine(make_database, Toy()) as one:
        known = [event(FIRST, number, offset=number - 1) for number in (1, 2, 3)]
        await one.take(*known)
        assert await reached(one) == [3]
        await one.take(known[0])
        assert await reached(one) == [3], "told again is not told anew"
        await one.take(event(FIRST, 1, offset=0, at=LATER))
        assert await reached(one) == [1]
        await one.take(event(FIRST, 2, offset=1, at=LATER))
        assert await reached(one) == [2]
