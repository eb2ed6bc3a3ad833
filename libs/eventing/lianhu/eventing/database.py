"""Connections to a service's database, and the time-outs that stop a stopped process.

A process that is stopped while it holds locks keeps them until a time-out ends its session.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import asyncpg
from tenacity import AsyncRetrying, retry_if_exception, stop_after_delay, wait_random_exponential

from lianhu.contracts.faults import Transient
from lianhu.eventing.connection import secret_of
from lianhu.eventing.errors import passes
from lianhu.eventing.settings import EngineSettings

_SESSION = {
    "timezone": "UTC",
    "jit": "off",
    "lock_timeout": "8s",
    "statement_timeout": "10s",
    "idle_in_transaction_session_timeout": "5s",
    "transaction_timeout": "30s",
}


class NoDatabase(Transient):
    """The database was not there, or not migrated, for as long as the start waits."""

    slug = "no-database"


def address(settings: EngineSettings) -> dict[str, Any]:
    """Where the database is and as whom it is spoken to, for a client of asyncpg.

    A password's file is read for each connection: the next one has the renewed password.
    """
    if settings.database_url is None:
        raise ValueError("DATABASE_URL is not set: the service does not know its database")
    found: dict[str, Any] = {"dsn": str(settings.database_url)}
    if settings.database_password_file is not None:
        found["password"] = partial(_password, settings.database_password_file)
    return found


def owner_url(settings: EngineSettings) -> str | None:
    """The owner's address with its password in it, for the migrator; None: there is none."""
    if settings.migration_url is None:
        return None
    url = urlsplit(settings.migration_url.get_secret_value())
    if settings.migration_password_file is None:
        return url.geturl()
    password = quote(_password(settings.migration_password_file), safe="")
    who, _, where = url.netloc.rpartition("@")
    return url._replace(netloc=f"{who.partition(':')[0]}:{password}@{where}").geturl()


def _password(file: Path) -> str:
    found = secret_of(file, None)
    return "" if found is None else found.get_secret_value()


async def open_pool(settings: EngineSettings, service: str, wait: float = 60.0) -> asyncpg.Pool:
    """A pool, once the database answers; waits for it up to `wait` seconds."""
    where = address(settings)
    async for attempt in AsyncRetrying(
        stop=stop_after_delay(wait),
        wait=wait_random_exponential(multiplier=0.1, max=2.0),
        retry=retry_if_exception(passes),
        reraise=True,
    ):
        with attempt:
            return await asyncpg.create_pool(
                **where,
                min_size=2,
                max_size=settings.pool_size,
                command_timeout=15,
                max_inactive_connection_lifetime=60,
                reset=_as_it_is,
                server_settings={**_SESSION, "application_name": service},
            )
    raise NoDatabase(service)


async def _as_it_is(connection: asyncpg.Connection) -> None:
    """What a connection was told for itself alone would stay: it is told within transactions only.

    The client itself rolls one back that is still open. To reset all else takes a round trip each
    time that a connection is handed back.
    """


async def open_leader(settings: EngineSettings, service: str) -> asyncpg.Connection:
    """The leader's connection: idle for 5 s, it is ended and the lead is free.

    It writes nothing but the relay's cursor, and waits for no disk: after a crash of the database
    the cursor may stand where it stood a moment before, and readers know what comes again.
    """
    return await asyncpg.connect(
        **address(settings),
        command_timeout=15,
        server_settings={
            **_SESSION,
            "idle_session_timeout": "5s",
            "synchronous_commit": "off",
            "application_name": f"{service}-leader",
        },
    )


async def epoch(connection: asyncpg.Connection) -> int:
    """The present epoch: raised when the database was restored to an earlier point."""
    found: int | None = await connection.fetchval("SELECT max(epoch) FROM epochs")
    if found is None:
        raise NoDatabase("the table of epochs is empty")
    return found


async def service_key(connection: asyncpg.Connection, name: str, fresh: bytes) -> bytes:
    """The wrapped key of the service itself, made at its first start."""
    await connection.execute(
        "INSERT INTO case_keys (id, wrapped) VALUES ($1, $2) ON CONFLICT (id) DO NOTHING",
        name,
        fresh,
    )
    found: bytes = await connection.fetchval("SELECT wrapped FROM case_keys WHERE id = $1", name)
    return found
