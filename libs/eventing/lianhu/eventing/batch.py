"""One transaction: a batch of deliveries becomes states, journal rows and parked messages.

The order is always the same: what came before (inbox), locks in rank order, decisions in the
order of arrival on the states as their predecessors left them, then everything written with one
statement a table. A message that fails is parked and its neighbours go on.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

import asyncpg
import structlog

from lianhu.contracts.faults import Fault
from lianhu.eventing import aggregates, inbox, journal, parked, persons
from lianhu.eventing.delivery import Delivery, Origin, Outcome
from lianhu.eventing.errors import Incomplete, Outdated
from lianhu.eventing.house import House
from lianhu.eventing.rules import Rank, Stream
from lianhu.eventing.turns import Turns
from lianhu.eventing.work import Done, Work

log = structlog.get_logger(__name__)

NOTIFY = "lianhu_journal"


class Batch:
    """A batch in its transaction. Made anew for each try."""

    def __init__(
        self, house: House, connection: asyncpg.Connection, deliveries: Sequence[Delivery]
    ) -> None:
        self._house = house
        self._connection = connection
        self._deliveries = deliveries
        self._work = Work(house)
        # also those of duplicates: their look may have made the reference
        self._people = {
            Stream(Rank.PERSON, ref)
            for delivery in deliveries
            for ref in delivery.ids.persons.values()
        }

    async def run(self) -> Done:
        """Handle all of them. Raises `Incomplete` when the locks must be taken anew."""
        work = self._work
        live = await self._take_in()
        names = await self._lock(live)
        live = await self._claim(live)
        mine = [delivery.parked for delivery in live if delivery.parked is not None]
        # a statement of its own after the locks: what it sees is as new as what was locked
        turns = Turns(work, *await parked.blocked(self._connection, names, mine))
        covered = [work.covers(delivery) for delivery in live]  # each of them is asked
        if not all(covered):
            raise Incomplete
        for delivery in live:
            outcome = turns.one(delivery)
            work.done.outcomes.append((delivery, outcome))
            kept = outcome in (Outcome.PARKED, Outcome.REFUSED)
            if delivery.parked is not None and not kept:
                work.changes.gone.append(delivery.parked)
        await self._write(turns)
        return work.done

    # what came before

    async def _take_in(self) -> list[Delivery]:
        public = [d for d in self._deliveries if d.public and d.origin is Origin.BROKER]
        if not public:
            return list(self._deliveries)
        wanted: dict[inbox.Key, bytes] = {}
        for delivery in public:
            wanted.setdefault((delivery.source, delivery.identity), delivery.digest)
        new, known = await inbox.take(self._connection, wanted)
        dropped: set[int] = set()
        reused: dict[inbox.Key, Delivery] = {}
        for delivery in public:
            key = (delivery.source, delivery.identity)
            if key in new:
                new.discard(key)
                known[key] = delivery.digest
            elif known[key] == delivery.digest:
                dropped.add(id(delivery))
            else:
                # the refusal of a second body is remembered too, so that it is answered once
                second = (delivery.source, f"{delivery.identity} {delivery.digest.hex()}")
                if second in reused:
                    dropped.add(id(delivery))
                reused.setdefault(second, delivery)
        if reused:
            fresh, _ = await inbox.take(
                self._connection, {key: found.digest for key, found in reused.items()}
            )
            for key, delivery in reused.items():
                if key in fresh:
                    delivery.message = None
                    delivery.faults = (Fault(path="ce:id", slug="id-reused"),)
                else:
                    dropped.add(id(delivery))
        return self._without(dropped, self._deliveries)

    async def _claim(self, live: list[Delivery]) -> list[Delivery]:
        """Drop what is no longer parked: another replica was quicker."""
        ids = [delivery.parked for delivery in live if delivery.parked is not None]
        if not ids:
            return live
        mine = await parked.claim(self._connection, ids)
        lost = {id(one) for one in live if one.parked is not None and one.parked not in mine}
        return self._without(lost, live)

    def _without(self, dropped: set[int], deliveries: Iterable[Delivery]) -> list[Delivery]:
        live = []
        for delivery in deliveries:
            if id(delivery) in dropped:
                self._work.done.outcomes.append((delivery, Outcome.DUPLICATE))
            else:
                live.append(delivery)
        return live

    # locks

    async def _lock(self, live: Sequence[Delivery]) -> list[str]:
        work = self._work
        creating = set(self._people)
        work.asked.update(self._people)
        for delivery in live:
            streams = work.touches(delivery)
            work.asked.update(streams)
            # a case is made by an event or a report, by a command only under its own fresh number
            makes = not delivery.command and delivery.origin is not Origin.ENGINE
            creating.update(
                one
                for one in streams
                if makes or one.kind is not Rank.CASE or one.key == delivery.ids.number
            )
        if creating:
            await aggregates.place(self._connection, creating)
        if work.asked:
            work.aggregates = await aggregates.lock(self._connection, work.asked)
            await self._recognise(live)
            await self._refold()
        return [str(stream) for stream in work.asked]

    async def _recognise(self, live: Sequence[Delivery]) -> None:
        """Raises `Outdated` when somebody was forgotten since; from here on the locks forbid it."""
        found = {pair for delivery in live for pair in delivery.ids.indexes.items()}
        if found and not await persons.stand(self._connection, found):
            raise Outdated

    async def _refold(self) -> None:
        """States of another release's shape are folded anew from the journal."""
        house = self._house
        others = [
            found
            for found in self._work.aggregates.values()
            if found.text is not None and found.shape != house.shape(found.stream.kind)
        ]
        if not others:
            return
        passed = await journal.passed_over(self._connection)
        rows = await journal.of_streams(self._connection, [found.name for found in others])
        for found in others:
            try:
                found.state = house.fold(found.stream, rows[found.name], passed)
            except Exception as error:
                if found.shape > house.shape(found.stream.kind):
                    continue  # the newer release's: raised when it is parsed
                log.error("journal cannot be folded", stream=found.name, exc_info=error)
                found.broken = "journal-not-foldable"
                continue
            found.parsed = found.evolved = found.dirty = True

    def _unknown(self) -> set[str]:
        """References of people of whom nothing was ever written: of a refused message, say.

        Nothing would ever forget them. Their rows are locked, so nobody is writing of them either.
        """
        found = self._work.aggregates
        return {one.key for one in self._people if one in found and not found[one].version}

    # writing

    async def _write(self, turns: Turns) -> None:
        connection, work = self._connection, self._work
        for found in work.aggregates.values():
            if found.evolved:
                state = found.state
                found.text = None if state is None else state.model_dump_json()
                found.shape = self._house.shape(found.stream.kind)
                waiting = (
                    () if state is None else self._house.workflow.deadlines(found.stream, state)
                )
                found.next_due = min((deadline.due for deadline in waiting), default=None)
            if found.deferred is not None:
                found.next_due = found.deferred
        turns.report(await parked.write(connection, work.changes, self._house.service_key))
        handled = _progress(self._deliveries)
        if handled:
            await inbox.progress(connection, handled)
        await aggregates.write(connection, [*work.aggregates.values()])
        if erased := [found.name for found in work.aggregates.values() if found.erase]:
            await parked.erase(connection, erased)
            work.done.released = True
        if forgotten := work.forgotten | self._unknown():
            await persons.forget(connection, forgotten)
        if work.own:
            await self._house.rows.write(connection, work.own)
        if work.done.rows:
            await journal.append(connection, work.done.rows)
            if not self._house.leads:
                # commits with a notification queue up, in whatever database of the server
                await connection.execute(f"NOTIFY {NOTIFY}")


def _progress(
    deliveries: Sequence[Delivery],
) -> dict[tuple[str, int], tuple[int, datetime]]:
    """The next offset of each partition, over everything that came from the broker."""
    reached: dict[tuple[str, int], tuple[int, datetime]] = {}
    for delivery in deliveries:
        record = delivery.record
        if record is not None and delivery.origin is Origin.BROKER:
            key = (record.topic, record.partition)
            if key not in reached or reached[key][0] <= record.offset:
                reached[key] = (record.offset + 1, delivery.at)
    return reached


__all__ = ["NOTIFY", "Batch", "Done"]
