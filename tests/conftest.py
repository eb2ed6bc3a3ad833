"""The ground for tests: the real broker and database, started once; a fresh database each."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterator
from importlib.resources import files
from pathlib import Path
from secrets import token_hex
from shutil import rmtree
from tempfile import mkdtemp

import asyncpg
import hypothesis
import pytest

from deploy.embedded import Kafka, Postgres, ports
from deploy.embedded.place import Place
from lianhu.contracts.publishers import Publishers
from lianhu.eventing import topics
from lianhu.eventing.migrate import migrate

# no test depends on how quick the machine is
hypothesis.settings.register_profile("lianhu", deadline=None)
hypothesis.settings.load_profile("lianhu")

# tests that run side by side never take each other's ports between picking and using them
if worker := os.environ.get("PYTEST_XDIST_WORKER", "").removeprefix("gw"):
    each = len(ports.FREE_PORTS) // int(os.environ["PYTEST_XDIST_WORKER_COUNT"])
    begin = ports.FREE_PORTS.start + int(worker) * each
    os.environ[ports.AMONG] = f"{begin}-{begin + each}"

SERVICES = ("intake", "mediation", "welfare", "notify")

MakeDatabase = Callable[[str], Awaitable[str]]


@pytest.fixture(scope="session")
def run_dir() -> Iterator[Path]:
    """A folder for the broker's and the database's data, gone afterwards."""
    folder = Path(mkdtemp(prefix="lianhu-test-"))
    yield folder
    Place(folder).remove()
    rmtree(folder)


@pytest.fixture(scope="session")
def postgres(run_dir: Path) -> Iterator[Postgres]:
    """The real PostgreSQL."""
    (port,) = ports.pick_free(1)
    with Postgres(run_dir, port) as server:
        yield server


@pytest.fixture(scope="session")
def broker(run_dir: Path) -> Iterator[str]:
    """The bootstrap address of the real Kafka, with every topic of the registry."""
    (port,) = ports.pick_free(1)
    with Kafka(run_dir, port) as server:
        yield server.bootstrap


@pytest.fixture(scope="session")
async def broker_with_topics(broker: str) -> str:
    """The same, with the topics of the demo's publishers."""
    await topics.create(broker, None)
    assert Publishers.read()
    return broker


@pytest.fixture(scope="session")
async def templates(postgres: Postgres) -> dict[str, str]:
    """A migrated template database for each service, by service."""
    admin = await asyncpg.connect(postgres.admin_dsn())
    try:
        for service in SERVICES:
            await admin.execute(f"CREATE DATABASE template_{service}")
    finally:
        await admin.close()
    await asyncio.gather(
        *(
            asyncio.to_thread(
                migrate,
                postgres.admin_dsn(f"template_{service}"),
                files(f"lianhu.{service}") / "migrations",
            )
            for service in SERVICES
        )
    )
    return {service: f"template_{service}" for service in SERVICES}


@pytest.fixture(scope="session")
async def make_database(postgres: Postgres, templates: dict[str, str]) -> MakeDatabase:
    """Makes an empty, migrated database of a service and returns its address."""

    async def make(service: str) -> str:
        name = f"test_{service}_{token_hex(4)}"
        admin = await asyncpg.connect(postgres.admin_dsn())
        try:
            await admin.execute(f"CREATE DATABASE {name} TEMPLATE {templates[service]}")
        finally:
            await admin.close()
        return postgres.admin_dsn(name)

    return make
