"""What others would build it on, on the same broker, database, records and rules."""

from __future__ import annotations

import os
import sys
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime

import asyncpg

from deploy.embedded import Session
from tests.load.racers import Handwritten, Racer
from tests.load.tutorial import OUTBOX

History = Sequence[tuple[str, int, str, datetime]]
"""What happened in each stream: its name, the row's place in it, type, domain time."""


class Peer(Racer):
    """One that works on a copy of what the floor made of the cases."""

    states_sql = "SELECT stream, state FROM states"

    @property
    def _copy(self) -> str:
        return self.name.replace("-", "_")

    @property
    def database(self) -> str:
        floor = self._session.dsns(Handwritten.name)
        return floor.admin.replace(f"/{Handwritten.name}?", f"/{self._copy}?")

    async def prepare(self) -> None:
        """A copy of the floor's database, which nobody may use meanwhile."""
        self._session.stack.postgres.psql(
            f"CREATE DATABASE {self._copy} TEMPLATE {Handwritten.name}"
        )

    def _told(self, prefix: str) -> dict[str, str]:
        return {
            **os.environ,
            f"{prefix}_DATABASE": self.database,
            f"{prefix}_KAFKA": self._session.bootstrap,
            f"{prefix}_MASTER_KEY": str(self._session.master_key),
        }


class Tutorial(Peer):
    """FastStream, one message a call."""

    def __init__(self, session: Session, statements: str) -> None:
        self.name = f"tutorial-{statements}"  # type: ignore[misc]
        super().__init__(session)
        self._statements = statements

    async def prepare(self) -> None:
        """With a table for what waits to be published."""
        await super().prepare()
        connection = await asyncpg.connect(self.database)
        try:
            await connection.execute(OUTBOX)
        finally:
            await connection.close()

    def command(self) -> list[str]:
        return [sys.executable, "-m", "tests.load.tutorial"]

    def environment(self) -> dict[str, str]:
        return {**self._told("TUTORIAL"), "TUTORIAL_STATEMENTS": self._statements}


class Durable(Peer):
    """DBOS, a workflow a message; its own tables lie in the same database."""

    name = "durable"

    def command(self) -> list[str]:
        return [sys.executable, "-m", "tests.load.durable"]

    def environment(self) -> dict[str, str]:
        return self._told("DURABLE")


def begins(part: History, whole: History) -> bool:
    """Whether each stream of the first went the way of the second so far."""
    ways = _by_stream(whole)
    return all(events == ways[stream][: len(events)] for stream, events in _by_stream(part).items())


def _by_stream(history: History) -> dict[str, list[tuple[int, str, datetime]]]:
    found: dict[str, list[tuple[int, str, datetime]]] = defaultdict(list)
    for stream, version, type_, at in history:
        found[stream].append((version, type_, at))
    return found
