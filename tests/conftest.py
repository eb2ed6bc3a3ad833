"""What all tests stand on: the real broker and database, started once; a fresh database each."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterator
from importlib.resources import files

import asyncpg
import hypothesis
import pytest

from deploy.embedded import StackFault, ports
from lianhu.contracts.publishers import Publishers
from lianhu.eventing import topics
from lianhu.eventing.migrate import migrate
from tests.infrastructure import chosen, names
from tests.infrastructure.ground import Broker, Infrastructure, Server

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


LONGEST = "test_under_fire.py"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest file begins first: beside it go all the others."""
    items.sort(key=lambda item: item.path.name != LONGEST)


def pytest_configure(config: pytest.Config) -> None:
    """End before the first test where the chosen ground cannot be had."""
    try:
        chosen.check(config.getoption("numprocesses", None) or 1)
    except StackFault as fault:
        raise pytest.UsageError(str(fault)) from None


def pytest_runtest_setup(item: pytest.Item) -> None:
    """What stands on the ground is marked, so that it is run on every one."""
    if (
        "infrastructure" in getattr(item, "fixturenames", ())
        and item.get_closest_marker("infra") is None
    ):
        pytest.fail("it takes its broker or its database from the ground: mark it `infra`")


@pytest.fixture(scope="session")
def infrastructure() -> Iterator[Infrastructure]:
    """Where broker and database come from."""
    with chosen.chosen() as ground:
        yield ground


@pytest.fixture(scope="session")
def postgres(infrastructure: Infrastructure) -> Iterator[Server]:
    """The real PostgreSQL."""
    with infrastructure.server() as server:
        yield server


@pytest.fixture(scope="session")
def kafka(infrastructure: Infrastructure) -> Iterator[Broker]:
    """The real Kafka."""
    with infrastructure.broker() as broker:
        yield broker


@pytest.fixture(scope="session")
def broker(kafka: Broker) -> str:
    """The bootstrap address of the real Kafka."""
    return kafka.bootstrap


@pytest.fixture(scope="session")
async def broker_with_topics(broker: str) -> str:
    """The same, with the topics of the demo's publishers."""
    await topics.create(broker, None)
    assert Publishers.read()
    return broker


@pytest.fixture(scope="session")
async def templates(postgres: Server) -> dict[str, str]:
    """A migrated template database for each service, by service."""
    made = {service: names.fresh(f"template_{service}") for service in SERVICES}
    admin = await asyncpg.connect(postgres.admin_dsn())
    try:
        for name in made.values():
            await admin.execute(f"CREATE DATABASE {name}")
    finally:
        await admin.close()
    await asyncio.gather(
        *(
            asyncio.to_thread(
                migrate, postgres.admin_dsn(name), files(f"lianhu.{service}") / "migrations"
            )
            for service, name in made.items()
        )
    )
    return made


@pytest.fixture(scope="session")
async def make_database(postgres: Server, templates: dict[str, str]) -> MakeDatabase:
    """Makes an empty, migrated database of a service and returns its address."""

    async def make(service: str) -> str:
        name = names.fresh(service)
        admin = await asyncpg.connect(postgres.admin_dsn())
        try:
            await admin.execute(f"CREATE DATABASE {name} TEMPLATE {templates[service]}")
        finally:
            await admin.close()
        return postgres.admin_dsn(name)

    return make
