"""What a running service is made of, as the engine sees it: rules, policy, keys, clock."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from prometheus_client import CollectorRegistry
from pydantic_core import PydanticSerializationError

from lianhu.contracts import REGISTRY
from lianhu.contracts.base import Internal, Model
from lianhu.contracts.engine import LetterParked, MessageRefused
from lianhu.contracts.faults import Poison
from lianhu.contracts.publishers import Publishers
from lianhu.contracts.registry import answers_topic
from lianhu.eventing.aggregates import Aggregate
from lianhu.eventing.clock import Clock
from lianhu.eventing.errors import ShapeFromTheFuture
from lianhu.eventing.journal import Row
from lianhu.eventing.measures import Measures
from lianhu.eventing.metrics import Metrics
from lianhu.eventing.rows import NoRows, Rows
from lianhu.eventing.rules import Rank, State, Stream, Workflow
from lianhu.eventing.settings import EngineSettings
from lianhu.privacy import BlindIndex, DataKey, MasterKeys, Sealer


def _carries_personal_data(model: type[Model]) -> bool:
    return '"x-sealed"' in json.dumps(model.model_json_schema())


@dataclass(slots=True)
class House:
    """One service's rules and surroundings. Nothing here opens a connection."""

    name: str
    workflow: Workflow
    states: Mapping[Rank, type[State]]
    policy: Any
    settings: EngineSettings
    publishers: Publishers
    keys: MasterKeys
    service_key: DataKey
    index: BlindIndex
    epoch: int
    clock: Clock
    metrics: Metrics
    measures: Measures = field(default_factory=lambda: Measures(CollectorRegistry()))
    effects: frozenset[str] = frozenset()
    """Types of events that start a call outside."""
    rows: Rows = field(default_factory=NoRows)
    leads: bool = False
    """This process publishes what it commits, and needs no notification of it."""
    stands_still: bool = False
    """Too many messages fail: the last batch was rolled back for it."""
    refusal: type[MessageRefused] = field(init=False)
    letter: type[LetterParked] = field(init=False)
    _sealed: frozenset[str] = field(init=False)
    _shapes: dict[Rank, int] = field(init=False)

    def __post_init__(self) -> None:
        refusal = REGISTRY.refusal_of(self.name).model
        letter = REGISTRY.letter_of(self.name).model
        if not issubclass(refusal, MessageRefused) or not issubclass(letter, LetterParked):
            raise TypeError(
                f"{self.name}: the registry's refusal or letter type is of another kind"
            )
        self.refusal, self.letter = refusal, letter
        self._sealed = frozenset(
            contract.type
            for contract in REGISTRY.published_by(self.name)
            if _carries_personal_data(contract.model)
        )
        self._shapes = {
            kind: int(getattr(model, "SHAPE", 1)) for kind, model in self.states.items()
        }

    def can_tell(self, addressee: str) -> bool:
        """Whether there is a topic for it; a row without one would hold up all that follow."""
        publisher = self.publishers.get(addressee)
        return publisher is not None and answers_topic(self.name, addressee) in publisher.reads()

    def shape(self, kind: Rank) -> int:
        """The shape of the states that this release writes; 0 where a stream has none."""
        return self._shapes.get(kind, 0)

    def parse(self, kind: Rank, shape: int, text: str | None) -> State | None:
        """A stored state. Raises `ShapeFromTheFuture` for one that a newer release wrote."""
        if text is None:
            return None
        if shape > self.shape(kind):
            raise ShapeFromTheFuture(f"{kind} of shape {shape}")
        return self.states[kind].model_validate_json(text)

    def dump(
        self, event: Internal, found: Aggregate, sealer_of: Callable[[Aggregate], Sealer]
    ) -> tuple[Internal, str]:
        """The event as it is written, its personal values closed by the stream's sealer."""
        if event.type_ not in self._sealed:
            return event, event.model_dump_json()
        sealer = sealer_of(found)
        before = sealer.count
        try:
            body = event.model_dump_json(context=sealer)
        except PydanticSerializationError:
            if found.erased:
                raise Poison("data-key-erased") from None
            if found.wrapped is None:
                raise Poison("no-data-key") from None
            raise
        return (event if sealer.count == before else type(event).model_validate_json(body)), body

    def read(self, row: Row) -> Internal | None:
        """The event of a journal row; None for what the engine itself wrote."""
        contract = REGISTRY.get(row.type)
        if contract is None:
            raise Poison("unknown-type")
        if contract.model in (self.refusal, self.letter):
            return None
        event = contract.model.model_validate_json(row.body, extra="ignore")
        if not isinstance(event, Internal):
            raise Poison("not-an-event")
        return event

    def fold(
        self, stream: Stream, rows: Sequence[Row], passed_over: Collection[str]
    ) -> State | None:
        """The state that a stream's journal rows give.

        `passed_over`: types that are no reason to give up where this release does not know them.
        """
        state: State | None = None
        for row in rows:
            if row.type in passed_over and REGISTRY.get(row.type) is None:
                continue
            event = self.read(row)
            if event is not None:
                state = self.workflow.evolve(stream, state, event, row.time)
        return state

    def sealer(self, found: Aggregate, others: Mapping[Stream, Aggregate]) -> Sealer:
        """What closes a stream's values with its data key, which it makes where there is none.

        A value that is closed with the key of one of `others` is closed anew with this one's.
        """

        def own() -> DataKey:
            if found.wrapped is not None:
                return self.keys.unwrap(found.name, found.wrapped)
            if found.version or found.erased:
                raise LookupError("no data key")  # told by dump
            key = DataKey.new(found.name)
            found.wrapped, found.new_key = self.keys.wrap(key), True
            return key

        def of_another(key_id: str) -> DataKey | None:
            other = next((one for one in others.values() if one.name == key_id), None)
            if other is None or other.wrapped is None:
                return None
            return self.keys.unwrap(key_id, other.wrapped)

        return Sealer(own, found.name, of_another)
