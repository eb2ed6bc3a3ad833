"""Alive as long as it answers; ready only when it reads, can write and does not stand still."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass

import asyncpg
import pytest

from lianhu.contracts.publishers import Publishers
from lianhu.eventing import health
from lianhu.eventing.clock import Clock
from lianhu.eventing.health import Health
from lianhu.eventing.house import House
from lianhu.eventing.metrics import Metrics
from lianhu.eventing.settings import EngineSettings
from lianhu.privacy import BlindIndex, DataKey, MasterKey, MasterKeys
from tests.engine_toy import STATES, Toy
from tests.infrastructure.ground import Server

HOUSE = House(
    name="mediation",
    workflow=Toy(),
    states=STATES,
    policy=None,
    settings=EngineSettings(),
    publishers=Publishers.read(),
    keys=MasterKeys(MasterKey.generate()),
    service_key=DataKey.new("service/mediation"),
    index=BlindIndex(DataKey.new("index/persons")),
    epoch=1,
    clock=Clock(),
    metrics=Metrics(),
)


@dataclass
class Reads:
    """What health asks of a consumer."""

    assigned: bool = True
    missing: Collection[str] = ()
    failing: bool = False


@pytest.fixture
async def nowhere() -> AsyncIterator[asyncpg.Pool]:
    """A pool of a database that nobody serves: its port is taken and does not listen."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        dsn = f"postgresql://mediation@127.0.0.1:{port}/mediation?sslmode=disable"
        pool = await asyncpg.create_pool(dsn, min_size=0, max_size=1)
        yield pool
        pool.terminate()


@pytest.fixture
async def served(postgres: Server) -> AsyncIterator[asyncpg.Pool]:
    pool = await asyncpg.create_pool(postgres.admin_dsn(), min_size=0, max_size=1)
    yield pool
    pool.terminate()


def answer(ready: bool, *reasons: str) -> tuple[int, object]:
    told = {"service": "mediation", "ready": ready, "reasons": [*reasons]}
    return (200 if ready else 503), told


async def test_a_process_that_answers_is_alive_whatever_else_is_wrong(
    nowhere: asyncpg.Pool,
) -> None:
    ill = Health(HOUSE, nowhere, Reads(assigned=False, failing=True))
    assert await ill.alive({}) == (200, {"service": "mediation", "alive": True})


async def test_every_reason_for_not_being_ready_is_told_at_once(nowhere: asyncpg.Pool) -> None:
    ill = Health(HOUSE, nowhere, Reads(assigned=False, failing=True))
    expected = ("not-in-the-consumer-group", "last-batch-failed", "no-database")
    assert await ill.ready({}) == answer(False, *expected)


@pytest.mark.infra
async def test_it_is_ready_when_nothing_is_wrong_and_only_then(
    served: asyncpg.Pool,
) -> None:
    reads = Reads()
    health = Health(HOUSE, served, reads)
    assert await health.ready({}) == answer(True)
    reads.failing = True
    assert await health.ready({}) == answer(False, "last-batch-failed")
    reads.failing, reads.assigned = False, False
    assert await health.ready({}) == answer(False, "not-in-the-consumer-group")
    reads.assigned = True
    reads.missing = ["intake.events.v1"]
    assert await health.ready({}) == answer(False, "topic-missing")
    reads.missing = ()
    HOUSE.stands_still = True
    assert await health.ready({}) == answer(False, "limit-reached")
    HOUSE.stands_still = False
    assert await health.ready({}) == answer(True)


@pytest.mark.infra
async def test_a_database_that_lets_nobody_in_for_too_long_counts_as_none(
    served: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "_SECONDS", 0.1)
    asked = Health(HOUSE, served, Reads())
    async with served.acquire():  # the only connection of this pool
        assert await asked.ready({}) == answer(False, "no-database")
    assert await asked.ready({}) == answer(True)
