"""What a service measures: counted once a commit, and the stock that its leader takes."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from prometheus_client import CollectorRegistry

from lianhu.contracts.base import Internal
from lianhu.eventing.rules import Rank, case_stream
from lianhu.eventing.stock import Stock
from lianhu.eventing.testing import START, FakeRecord, TestEngine, event_record, open_engine
from lianhu.mediation import workflow
from lianhu.mediation.measures import MediationMeasures
from lianhu.mediation.workflow import CaseState
from lianhu.privacy import MasterKey, MasterKeys, Sealer
from tests.conftest import MakeDatabase
from tests.engine_toy import Toy, engine, report
from tests.mediation_desk import CASE, CITY, COMMUNITY, KEY, POLICY, opened

pytestmark = pytest.mark.infra

KEYS = MasterKeys(MasterKey.generate())
STREAM = case_stream(CASE)


class Scraped:
    """Mediation on a database of its own, and what it would show to a scraper."""

    def __init__(self, one: TestEngine) -> None:
        self.one = one
        self.registry = CollectorRegistry()
        one.house.measures = MediationMeasures(self.registry)
        self.stock = Stock(one.house)

    async def look(self) -> None:
        """Until there is nothing more to read."""
        async with self.one.pool.acquire() as connection:
            while await self.stock.look(connection):
                pass

    def value(self, name: str, **labels: str) -> float | None:
        """A sample of mediation's; None: it is not shown."""
        return self.registry.get_sample_value(f"lianhu_mediation_{name}", labels)


@pytest.fixture
async def mediation(make_database: MakeDatabase) -> AsyncIterator[Scraped]:
    """Mediation, measured."""
    url = await make_database("mediation")
    one = await open_engine("mediation", url, workflow, {Rank.CASE: CaseState}, POLICY, keys=KEYS)
    yield Scraped(one)
    await one.pool.close()


def told(event: Internal, sequence: int) -> FakeRecord:
    """What intake says, closed with the case's key, which travels beside it."""
    body = event.model_dump_json(context=Sealer(KEY)).encode()
    wrapped = b64encode(KEYS.wrap(KEY)).decode()
    return event_record("intake", body, STREAM, sequence, type_=event.type_, datakey=wrapped)


async def test_open_and_overdue_cases_follow_a_case_up_the_levels(mediation: Scraped) -> None:
    await mediation.one.take(told(opened(), 1))
    await mediation.look()
    assert mediation.value("cases_open", level="community", unit=COMMUNITY) == 1
    assert mediation.value("cases_open_by_risk", level="community", risk="green") == 1

    for days in (60, 120, 180, 240):  # nobody accepts it, at any level
        await mediation.one.fire(START + timedelta(days=days), STREAM)
    await mediation.look()

    assert mediation.value("cases_open", level="community", unit=COMMUNITY) == 0
    assert mediation.value("cases_open", level="city", unit=CITY) == 1
    assert mediation.value("cases_overdue", level="city", unit=CITY) == 1
    assert mediation.value("escalations_total", from_level="street", missed="accept") == 1


async def test_the_stock_of_a_new_leader_is_that_of_the_old_one(mediation: Scraped) -> None:
    await mediation.look()
    await mediation.one.take(told(opened(), 1), told(opened(), 1))
    await mediation.look()
    mediation.stock.forget()
    assert mediation.value("cases_open", level="community", unit=COMMUNITY) is None

    before, mediation.stock = mediation.stock, Stock(mediation.one.house)
    await mediation.look()
    assert mediation.value("cases_open", level="community", unit=COMMUNITY) == 1
    # what is remembered of each case is one thing for all cases alike, else a city's would fill us
    assert mediation.stock._parts[str(STREAM)] is before._parts[str(STREAM)]


async def test_a_state_of_an_older_shape_is_counted_by_its_journal(mediation: Scraped) -> None:
    await mediation.one.take(told(opened(), 1))
    await mediation.one.fetch("UPDATE aggregates SET shape = 1, state = '{}'")

    await mediation.look()

    assert mediation.value("cases_open", level="community", unit=COMMUNITY) == 1


async def test_a_report_is_timed_once_by_what_became_of_it_first(
    make_database: MakeDatabase,
) -> None:
    toy = Toy()
    toy.does["r-2"], toy.does["r-3"] = "poison", "refuse"
    async with engine(make_database, toy, "intake") as one:
        await one.take(*(report(f"r-{n}", offset=n) for n in (1, 2, 3)), report("r-1", offset=4))
        toy.does.clear()
        await one.replay(*[row["letter"] for row in await one.fetch("SELECT letter FROM parked")])
        await one.drain()

        assert await one.parked() == []
        name = "lianhu_public_message_seconds_count"
        for outcome in ("handled", "parked", "refused", "duplicate"):
            labels = {"kind": "report", "outcome": outcome}
            assert one.house.metrics.registry.get_sample_value(name, labels) == 1
