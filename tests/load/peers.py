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


class Tutorial(Racer):
    """FastStream, one message a call, on the cases that the floor has taken in."""

    states_sql = "SELECT stream, state FROM states"

    def __init__(self, session: Session, statements: str) -> None:
        self.name = f"tutorial-{statements}"  # type: ignore[misc]
        super().__init__(session)
        self._statements = statements
        self._database = f"tutorial_{statements}"

    @property
    def database(self) -> str:
        floor = self._session.dsns(Handwritten.name)
        return floor.admin.replace(f"/{Handwritten.name}?", f"/{self._database}?")

    async def prepare(self) -> None:
        """A copy of the floor's database, which nobody may use meanwhile."""
        self._session.stack.postgres.psql(
            f"CREATE DATABASE {self._database} TEMPLATE {Handwritten.name}"
        )
        connection = await asyncpg.connect(self.database)
        try:
            await connection.execute(OUTBOX)
        finally:
            await connection.close()

    def command(self) -> list[str]:
        return [sys.executable, "-m", "tests.load.tutorial"]

    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "TUTORIAL_DATABASE": self.database,
            "TUTORIAL_KAFKA": self._session.bootstrap,
            "TUTORIAL_MASTER_KEY": str(self._session.master_key),
            "TUTORIAL_STATEMENTS": self._statements,
        }


def begins(part: History, whole: History) -> bool:
    """Whether each stream of the first went the way of the second so far."""
    ways = _by_stream(whole)
    return all(events == ways[stream][: len(events)] for stream, events in _by_stream(part).items())


def _by_stream(history: History) -> dict[str, list[tuple[int, str, datetime]]]:
    found: dict[str, list[tuple[int, str, datetime]]] = defaultdict(list)
    for stream, version, type_, at in history:
        found[stream].append((version, type_, at))
    return found
