"""The Kafka client's consumer as we use it: fair among partitions, unhurried, losing nothing."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import Any

from aiokafka import AIOKafkaConsumer

Actions = Callable[[Any], tuple[Any, Any, float, bool, Any]]
"""What the fetcher does next: fetches and resets by broker, seconds until it looks anew, …"""


_PATIENCE_MS = 200
"""So long it waits for a first record; when one comes it is handed over at once."""


class Client(AIOKafkaConsumer):  # type: ignore[misc]
    """The consumer of the Kafka client; a failed fetch loses nothing.

    When a fetch raises, the client forgets what it had already taken out of other partitions but
    keeps their positions: the next commit would pass over them. So it goes back to what is
    committed.

    `pace`: it asks a broker again this many seconds after it asked before, not sooner.
    """

    _doubtful = False

    def __init__(self, *topics: str, pace: float = 0.0, **settings: Any) -> None:
        super().__init__(*topics, **settings)
        self._pace = pace

    async def start(self) -> None:
        """As of the client."""
        await super().start()
        self._fetcher._get_actions_per_node = paced(self._fetcher._get_actions_per_node, self._pace)

    def died(self) -> str | None:
        """Which of its own tasks ended by itself, if one did: then it reads nothing any more."""
        coordinator, fetcher = self._coordinator, self._fetcher
        if self._closed or coordinator is None or fetcher is None:
            return None
        tasks = {"its place in the group": coordinator._coordination_task}
        tasks["its fetches"] = fetcher._fetch_task
        return next((name for name, task in tasks.items() if task.done()), None)

    async def getmany(
        self, *partitions: Any, timeout_ms: int = 0, max_records: int | None = None
    ) -> Any:
        """As of the client, but it waits longer for a first record than it is asked to.

        What is handed out twice is known to its reader.
        """
        if self._doubtful:
            await self._go_back()
            self._doubtful = False
        try:
            found = await self._fair(max_records) if not partitions and max_records else {}
            patience = max(timeout_ms, _PATIENCE_MS) if timeout_ms else 0
            return found or await super().getmany(
                *partitions, timeout_ms=patience, max_records=max_records
            )
        except Exception:
            self._doubtful = True
            raise

    async def _fair(self, most: int) -> dict[Any, Any]:
        """Of what has come from each partition a share; the client itself would empty one first.

        So a publisher that floods its topic does not hold up what others wrote.
        """
        waiting = [*self._fetcher._records]
        if len(waiting) < 2:
            return {}
        share = max(most // len(waiting), 1)
        found: dict[Any, Any] = {}
        for place in waiting[:most]:
            found |= await super().getmany(place, timeout_ms=0, max_records=share)
        return found

    async def _go_back(self) -> None:
        for place in self.assignment():
            offset = await self.committed(place)
            if offset is None:
                await self.seek_to_beginning(place)
            else:
                self.seek(place, offset)


def paced(actions: Actions, seconds: float, clock: Callable[[], float] = monotonic) -> Actions:
    """The fetcher's next actions, but no broker is asked for records twice within so many seconds.

    The first record that comes ends a fetch. Asked again at once, a broker would give each record
    of a moment by itself, and each answer names all partitions and ends in a transaction. Who was
    idle asks at once.
    """
    last: dict[Any, float] = {}

    def unhurried(assignment: Any) -> tuple[Any, Any, float, bool, Any]:
        fetches, resets, timeout, unknown, resumed = actions(assignment)
        now = clock()
        wait = max((last[node] + seconds - now for node, _ in fetches if node in last), default=0.0)
        if wait > 0:
            return [], resets, min(timeout, wait), unknown, resumed
        last.update((node, now) for node, _ in fetches)
        return fetches, resets, timeout, unknown, resumed

    return unhurried
