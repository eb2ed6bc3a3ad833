"""The working set of one batch: locked states, and the rows that decisions add to them.

All of it is in memory. A decision is staged first and taken as a whole, so that one that fails
leaves no trace and its neighbours go on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from secrets import token_hex
from typing import Any

from lianhu.contracts import REGISTRY
from lianhu.contracts.base import Internal
from lianhu.contracts.engine import KeysErased, KeysRestricted, PersonForgotten
from lianhu.contracts.faults import Poison
from lianhu.eventing import journal, parked
from lianhu.eventing.aggregates import Aggregate
from lianhu.eventing.delivery import Delivery, Outcome
from lianhu.eventing.errors import Incomplete, ShapeFromTheFuture
from lianhu.eventing.house import House
from lianhu.eventing.measures import Happened
from lianhu.eventing.rules import Deadline, Message, State, Stream
from lianhu.privacy import Sealer


@dataclass(frozen=True, slots=True)
class Call:
    """A call outside that an event asks for, and what connects its end with the event's cause."""

    stream: Stream
    event: Internal
    correlation: str | None
    trace: str | None


@dataclass(slots=True)
class Done:
    """What a committed batch leaves to do."""

    outcomes: list[tuple[Delivery, Outcome]] = field(default_factory=list)
    failures: list[bool] = field(default_factory=list)
    """For each delivery that counts towards the limit: whether it failed."""
    effects: list[Call] = field(default_factory=list)
    rows: list[journal.Row] = field(default_factory=list)
    happened: list[Happened] = field(default_factory=list)
    """What the rules decided, in order; not what the engine itself wrote."""
    fired: list[str] = field(default_factory=list)
    letters: list[parked.Letter] = field(default_factory=list)
    """What is newly parked, or was tried again in vain."""
    released: bool = False


@dataclass(slots=True)
class _Staged:
    """What one decision adds to one stream, before it is taken."""

    found: Aggregate
    rows: list[journal.Row]
    events: list[Internal]
    happened: list[Happened]
    state: State | None
    own: list[Any] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)


class Work:
    """The states of a batch as its messages so far have left them."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.aggregates: dict[Stream, Aggregate] = {}
        self.asked: set[Stream] = set()
        """Streams whose rows were asked for; a row that does not exist is not in `aggregates`."""
        self.changes = parked.Changes()
        self.done = Done()
        self.own: list[Any] = []
        """Rows of the service's own, as its `Rows` made them."""
        self.forgotten: set[str] = set()
        """References of people whose indexes go with this transaction."""
        self._early: dict[int, Exception] = {}
        # not in the aggregates: each leads to all of them, and such a ring waits for the collector
        self._sealers: dict[str, Sealer] = {}

    # what a delivery needs

    def touches(self, delivery: Delivery) -> tuple[Stream, ...]:
        """The streams of a delivery; what its rules raise is told when its turn comes."""
        if delivery.touched:
            return delivery.touched
        own: tuple[Stream, ...] = () if delivery.stream is None else (delivery.stream,)
        if delivery.message is not None and delivery.poisoned is None:
            try:
                more = self.house.workflow.touches(delivery.message, delivery.ids)
            except Exception as error:  # noqa: BLE001 - told when its turn comes
                self._early[id(delivery)] = error
                return own
            own += tuple(more)
        delivery.touched = tuple(dict.fromkeys(own))
        return delivery.touched

    def covers(self, delivery: Delivery) -> bool:
        """Whether what was asked for covers what the states name; adds it to the delivery."""
        message = delivery.message
        if message is None or delivery.poisoned is not None or id(delivery) in self._early:
            return True
        try:
            return self._widen(delivery, message)
        except ShapeFromTheFuture:
            raise
        except Exception as error:  # noqa: BLE001 - told when its turn comes
            self._early[id(delivery)] = error
            return True

    def failed_early(self, delivery: Delivery) -> Exception | None:
        """What its rules raised before its turn."""
        return self._early.get(id(delivery))

    def _widen(self, delivery: Delivery, message: Message) -> bool:
        more = self.house.workflow.touches_more(message, self.states(delivery))
        if delivery.horizon is not None:
            # which deadline is due is known under the lock only: what it names by itself comes late
            more = [*self.house.workflow.touches(message, delivery.ids), *more]
        if not more:
            return True
        new = [stream for stream in dict.fromkeys(more) if stream not in delivery.touched]
        delivery.touched += tuple(new)
        return self.asked.issuperset(new)

    # states

    def state(self, found: Aggregate) -> State | None:
        """Parsed on first use. Raises `ShapeFromTheFuture`, and `Poison` for one past reading."""
        if found.broken is not None:
            raise Poison(found.broken)
        if not found.parsed:
            found.state = self.house.parse(found.stream.kind, found.shape, found.text)
            found.parsed = True
        return found.state

    def states(self, delivery: Delivery) -> Mapping[Stream, State | None]:
        """The states of what a delivery touches."""
        return {
            stream: self.state(found)
            if (found := self.aggregates.get(stream)) is not None
            else None
            for stream in delivery.touched
        }

    def fresh(self, stream: Stream) -> Aggregate:
        """A new stream that nothing else can touch."""
        found = Aggregate(stream, str(stream), new=True, parsed=True)
        self.aggregates[stream] = found
        return found

    # decisions

    def decide(self, delivery: Delivery, message: Message, answers: Deadline | None = None) -> None:
        """Let the rules decide, and take what they say as a whole or not at all.

        `answers`: a deadline that must be gone afterwards. Raises what the rules raise, and
        `Incomplete` when the states, as predecessors left them, name streams that are not locked.
        """
        touched = [self.aggregates.get(stream) for stream in delivery.touched]
        changed = answers is not None or any(found and found.evolved for found in touched)
        if changed and not self._widen(delivery, message):
            raise Incomplete
        first = touched[0] if touched else None
        now = message.time
        if first is not None and first.at is not None and first.at > now:
            now = first.at
        house = self.house
        decision = house.workflow.decide(
            message, self.states(delivery), now, delivery.ids, house.policy
        )
        staged = []
        for stream, events in decision.items():
            if events:
                found = self.aggregates.get(stream)
                if found is None or stream not in delivery.touched:
                    raise Poison("stream-not-touched")
                staged.append(self._stage(found, events, message, now))
        if answers is not None and first is not None:
            self._answered(first, staged, answers)
        for one in staged:
            self.take(one.found, one.rows)
            one.found.state, one.found.evolved = one.state, True
            self._erase(one)
            self.done.happened += one.happened
            self.done.effects += one.calls
            self.own += one.own

    def _stage(
        self, found: Aggregate, events: Sequence[Internal], message: Message, now: datetime
    ) -> _Staged:
        at = now if found.at is None or found.at <= now else found.at
        version, head = found.version, found.head
        staged = _Staged(found, [], [], [], self.state(found))
        for given in events:
            if REGISTRY.get(given.type_) is None:
                raise Poison("unregistered-event")
            if given.addressee is not None and not self.house.can_tell(given.addressee):
                raise Poison("unknown-addressee")
            event, body = self.house.dump(given, found, self._sealer)
            version += 1
            row = self.row(
                found.name, version, event.type_, at, body, head, message, to=event.addressee
            )
            head = row.hash
            staged.rows.append(row)
            staged.events.append(event)
            staged.happened.append(Happened(found.stream, staged.state, event, at))
            staged.state = self.house.workflow.evolve(found.stream, staged.state, event, at)
            if (own := self.house.rows.of(event, self.house.policy)) is not None:
                staged.own.append(own)
            elif event.type_ in self.house.effects:
                call = Call(found.stream, event, message.correlation, message.trace)
                staged.calls.append(call)
        return staged

    def _sealer(self, found: Aggregate) -> Sealer:
        if (sealer := self._sealers.get(found.name)) is None:
            sealer = self._sealers[found.name] = self.house.sealer(found, self.aggregates)
        return sealer

    def _erase(self, staged: _Staged) -> None:
        """What the rules decided about keys and about who is found again."""
        for event in staged.events:
            match event:
                case KeysErased():
                    found = staged.found
                    found.erase = found.erased = True
                    found.wrapped, found.new_key = None, False
                    self._sealers.pop(found.name, None)
                case KeysRestricted():
                    staged.found.restrict = event.until
                case PersonForgotten():
                    self.forgotten.add(staged.found.stream.key)
                case _:
                    pass

    def _answered(self, first: Aggregate, staged: Sequence[_Staged], deadline: Deadline) -> None:
        state = next((one.state for one in staged if one.found is first), self.state(first))
        if state is not None and deadline in [*self.house.workflow.deadlines(first.stream, state)]:
            raise Poison("deadline-not-answered")

    # rows

    def row(
        self,
        name: str,
        version: int,
        type_: str,
        at: datetime,
        body: str,
        head: bytes | None,
        cause: Message | None,
        delivery: Delivery | None = None,
        to: str | None = None,
    ) -> journal.Row:
        """A journal row, chained to the one before it; `delivery` names what cannot be read.

        `to`: the publisher to whom it goes as well, whoever caused it.
        """
        causation = cause.id if cause is not None else None
        publisher = cause.publisher if cause is not None else None
        if delivery is not None:
            causation, publisher = delivery.identity.strip() or causation, delivery.publisher
        contract = REGISTRY.get(type_)
        id_ = token_hex(16)
        answers = to
        if not to and publisher is not None and contract is not None:
            answers = publisher.name if publisher.kind in contract.answers else None
        return journal.Row(
            name,
            version,
            self.house.epoch,
            id_,
            type_,
            at,
            causation,
            cause.correlation if cause is not None else causation,
            cause.trace if cause is not None else None,
            answers or None,
            body,
            journal.chain(name, version, id_, type_, at, causation, body, head),
        )

    def take(self, found: Aggregate, rows: Sequence[journal.Row]) -> None:
        """Append rows to a stream."""
        last = rows[-1]
        found.version, found.head, found.at = last.version, last.hash, last.time
        found.dirty = True
        self.done.rows += rows
