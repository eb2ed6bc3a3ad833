"""The engine: takes deliveries, hands them to transactions, and sees to what a failure means.

At-least-once in, the first occurrence in order, exactly one effect of each.
"""

from __future__ import annotations

import re
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from time import perf_counter

import asyncpg
import structlog
from prometheus_client import Histogram

from lianhu.contracts.faults import Transient
from lianhu.eventing import inbox, parked, persons
from lianhu.eventing.batch import Batch, Done
from lianhu.eventing.clock import utc_now
from lianhu.eventing.delivery import Delivery, Origin, Outcome, Reason
from lianhu.eventing.errors import Incomplete, LimitReached, Outdated, passes
from lianhu.eventing.house import House
from lianhu.eventing.limit import Limit

log = structlog.get_logger(__name__)

_BLOCK = 50
"""Case numbers taken from a counter at a time."""
_AGAIN = 5
"""How often one message is tried anew because another replica made its states name more streams."""
_ID = re.compile(r"-[0-9a-f]{32}$|:.*")
"""What follows a deadline's kind: of which thing of the stream it is."""

After = Callable[[Done], Awaitable[None]]


class Engine:
    """Handles deliveries of one service. Safe to call from several tasks at once."""

    def __init__(self, house: House, pool: asyncpg.Pool, after: After) -> None:
        self._house = house
        self._pool = pool
        self._after = after
        settings = house.settings
        self.limit = Limit(settings.limit_in_a_row, settings.limit_window, settings.limit_share)
        self._numbers: dict[str, deque[int]] = {}
        self._pace = 0.0
        """Seconds a delivery took lately; bounds a batch in time."""

    async def handle(self, deliveries: Sequence[Delivery]) -> None:
        """Handle all, in this order, each exactly once. Raises `Transient`: none of the rest is.

        What was committed before a `Transient` stays; handing in the same again is harmless.
        """
        rest = list(deliveries)
        while rest:
            size = self._size(rest)
            chunk, rest = rest[:size], rest[size:]
            await self._chunk(chunk)

    def _size(self, deliveries: Sequence[Delivery]) -> int:
        settings = self._house.settings
        most = settings.batch_records
        if self._pace > 0:
            most = max(1, min(most, int(settings.batch_seconds / self._pace)))
        total = 0
        for count, delivery in enumerate(deliveries[:most]):
            total += delivery.size
            if total > settings.batch_bytes and count:
                return count
        return most

    async def _chunk(
        self, chunk: Sequence[Delivery], again: int = _AGAIN, *, sure: bool = False
    ) -> None:
        try:
            await self._transaction(chunk)
        except Incomplete:
            self._house.metrics.retries.labels("locks").inc()
            if len(chunk) > 1:
                for delivery in chunk:
                    await self._chunk([delivery])
            elif again:
                await self._chunk(chunk, again - 1, sure=sure)
            else:
                raise Transient("the locks of one message changed again and again") from None
        except Exception as error:
            if passes(error):
                raise
            if len(chunk) > 1:
                self._house.metrics.retries.labels("one-by-one").inc()
                log.warning("batch failed, trying one by one", exc_info=error)
                for delivery in chunk:
                    await self._chunk([delivery])
            elif not sure and chunk[0].poisoned is None:
                # an error that nobody knows may be the moment's and not the message's
                self._house.metrics.retries.labels("once-more").inc()
                log.warning(
                    "transaction failed, trying once more",
                    exc_info=error,
                    **chunk[0].ids_for_log(),
                )
                await self._chunk(chunk, again, sure=True)
            elif chunk[0].poisoned is None:
                log.error(
                    "message breaks its transaction", exc_info=error, **chunk[0].ids_for_log()
                )
                chunk[0].poisoned = "breaks-its-transaction"
                await self._chunk(chunk)
            elif chunk[0].touched and chunk[0].horizon is None:
                # not even its streams can be named to the database: parked without them
                chunk[0].touched = ()
                await self._chunk(chunk)
            else:
                raise

    async def _transaction(self, chunk: Sequence[Delivery]) -> None:
        metrics = self._house.metrics
        started = perf_counter()
        await self._reserve(chunk)
        await self._identify(chunk)
        done = await self._settled(chunk)
        taken = perf_counter() - started
        self._pace = 0.8 * self._pace + 0.2 * taken / len(chunk)
        metrics.batch_seconds.observe(taken)
        metrics.batch_records.observe(len(chunk))
        self.limit.count(done.failures)
        if done.failures:
            self._stands_still(yes=False)
        self._count(done)
        await self._after(done)

    async def _settled(self, chunk: Sequence[Delivery]) -> Done:
        """An attempt that was committed. Raises `Incomplete` for locks that fall short twice."""
        retries, widened = self._house.metrics.retries, False
        for _ in range(_AGAIN):
            try:
                return await self._attempt(chunk)
            except Incomplete:
                if widened:
                    raise
                # the states named streams of a lower rank: once more, with the full set in order
                widened = True
                retries.labels("touches-more").inc()
            except Outdated:
                retries.labels("references").inc()
                for delivery in chunk:
                    if delivery.ids.persons:
                        delivery.ids.persons, delivery.ids.indexes, delivery.touched = {}, {}, ()
                await self._identify(chunk)
        raise Transient("the people of these messages were forgotten again and again")

    async def _attempt(self, chunk: Sequence[Delivery]) -> Done:
        async with self._pool.acquire() as connection, connection.transaction():
            batch = Batch(self._house, connection, chunk)
            done = await batch.run()
            try:
                self.limit.check(done.failures)
            except LimitReached:
                self._stands_still(yes=True)
                raise
        return done

    def _stands_still(self, *, yes: bool) -> None:
        self._house.stands_still = yes
        self._house.metrics.limit_hit.set(yes)

    async def _reserve(self, chunk: Sequence[Delivery]) -> None:
        needed: dict[str, list[Delivery]] = {}
        for delivery in chunk:
            message = delivery.message
            if message is None or not delivery.public or delivery.ids.number:
                continue
            try:
                name = self._house.workflow.counter(message)
            except Exception:  # noqa: BLE001, S112 - its decision fails the same way, and is told
                continue
            if name is not None:
                needed.setdefault(name, []).append(delivery)
        while missing := self._number(needed):
            async with self._pool.acquire() as connection:
                blocks = await inbox.reserve(connection, missing, _BLOCK)
            for name, numbers in blocks.items():
                self._numbers.setdefault(name, deque()).extend(numbers)

    async def _identify(self, chunk: Sequence[Delivery]) -> None:
        """Find the references of the people that messages speak of, all with one statement."""
        wanted: list[tuple[Delivery, str, bytes]] = []
        for delivery in chunk:
            message = delivery.message
            if message is None or delivery.ids.persons or delivery.poisoned is not None:
                continue
            try:
                given = self._house.workflow.identities(message)
                indexes = {label: self._index(text) for label, text in given.items()}
            except Exception:  # noqa: BLE001, S112 - its decision fails the same way, and is told
                continue
            wanted += [(delivery, label, index) for label, index in indexes.items()]
        if not wanted:
            return
        async with self._pool.acquire() as connection:
            found = await persons.find(connection, (index for _, _, index in wanted))
        for delivery, label, index in wanted:
            delivery.ids.persons[label] = delivery.ids.indexes[index] = found[index]

    def _index(self, text: str) -> bytes:
        kind, _, value = text.partition(":")
        return self._house.index.of(kind, value)

    def _number(self, needed: Mapping[str, list[Delivery]]) -> dict[str, int]:
        """Give out what there is, at once, since other tasks take too; how many are missing."""
        missing = {}
        for name, wanting in needed.items():
            numbers = self._numbers.setdefault(name, deque())
            while wanting and numbers:
                wanting.pop(0).ids.number = f"{name}-{numbers.popleft():06d}"
            if wanting:
                missing[name] = len(wanting)
        return missing

    def _count(self, done: Done) -> None:
        # summed up first: finding a counter by its labels costs more than to count
        metrics, now = self._house.metrics, utc_now()
        outcomes = Counter((delivery.source, outcome) for delivery, outcome in done.outcomes)
        for (source, outcome), count in outcomes.items():
            metrics.handled.labels(source, outcome).inc(count)
            if outcome is Outcome.DUPLICATE:
                metrics.duplicates.labels(source).inc(count)
        seconds: dict[tuple[str, Outcome], Histogram] = {}
        for delivery, outcome in done.outcomes:
            if delivery.public and delivery.origin is Origin.BROKER:
                key = ("command" if delivery.command else "report", outcome)
                if key not in seconds:
                    seconds[key] = metrics.public_seconds.labels(*key)
                seconds[key].observe(max((now - delivery.at).total_seconds(), 0))
        for letter in done.letters:
            self._tell(letter)
        for type_, count in Counter(row.type for row in done.rows).items():
            metrics.journal_rows.labels(type_).inc(count)
        for kind, count in Counter(_ID.sub("", kind) for kind in done.fired).items():
            metrics.deadlines_fired.labels(kind).inc(count)
        now = self._house.clock.now()
        for event in done.happened:
            self._house.measures.happened(event, now)

    def _tell(self, letter: parked.Letter) -> None:
        metrics, delivery, reason = self._house.metrics, letter.delivery, letter.reason
        faults = [f"{fault.path or '/'} {fault.slug}" for fault in letter.faults]
        if reason is Reason.REFUSED:
            metrics.refused.labels(delivery.source, letter.faults[0].slug).inc()
            log.info("message refused", faults=faults, **delivery.ids_for_log())
        elif reason in (Reason.POISON, Reason.GAP, Reason.FORK):
            if reason is Reason.GAP:
                metrics.gaps.labels("internal").inc()
            elif reason is Reason.FORK:
                metrics.forks.labels("internal").inc()
            log.warning(
                "message parked", reason=reason.value, faults=faults, **delivery.ids_for_log()
            )
