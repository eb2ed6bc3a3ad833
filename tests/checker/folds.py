"""Is each state the fold of its journal, and is every deadline that was due answered.

The fold uses the services' `evolve`: a pure rule, and not the process whose work is judged.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from importlib import import_module
from types import ModuleType

from lianhu.contracts import REGISTRY
from lianhu.contracts.base import Internal
from lianhu.eventing.rules import Rank, State, Stream
from tests.checker.chains import streams_of
from tests.checker.evidence import Evidence, Folded, JournalRow
from tests.checker.verdict import Finding, Kind

GRACE = timedelta(seconds=10)
"""A deadline that fell due within so many real seconds before the look may still be firing."""


class Unfoldable(ValueError):
    """A journal row that no rule can read; the message is a slug."""


def folds(evidence: Evidence) -> Iterator[Finding]:
    """Each stored state against the fold of its stream, then its timers."""
    for database in evidence.databases.values():
        shapes = _shapes(database.service)
        workflow = import_module(f"lianhu.{database.service}.workflow")
        streams = streams_of(database)
        latest = database.domain(evidence.taken_at - GRACE)
        for row in database.states:
            where = f"{database.service} {row.stream}"
            if row.state is not None and row.shape != shapes.get(Stream.parse(row.stream).kind, 0):
                continue  # of another release: its own `journal verify` judges it
            rows = streams.get(row.stream, ())
            name = (database.service, row.stream)
            before = evidence.folded.get(name)
            if before is not None and not before.begins(rows):
                before = None
            try:
                state = _fold(workflow, row.stream, rows, database.passed_over, before)
            except Unfoldable as fault:
                yield Finding(Kind.FOLD, str(fault), where)
                continue
            if rows:
                evidence.folded[name] = Folded(tuple(rows), state)
            folded = None if state is None else json.loads(state.model_dump_json())
            if folded != (None if row.state is None else json.loads(row.state)):
                yield Finding(Kind.FOLD, "state-is-not-the-fold", where)
                continue
            due = min(_dues(workflow, row.stream, state), default=None)
            if due != row.next_due:
                yield Finding(Kind.FOLD, "timer-does-not-follow", where)
            if row.next_due is not None and row.next_due <= latest:
                yield Finding(Kind.WAITING, "deadline-not-answered", where)


def _shapes(service: str) -> Mapping[Rank, int]:
    """The shapes of the states that this release of a service writes."""
    states = import_module(f"lianhu.{service}.app").service.states
    return {kind: int(getattr(model, "SHAPE", 1)) for kind, model in states.items()}


def _fold(
    workflow: ModuleType,
    name: str,
    rows: Sequence[JournalRow],
    passed_over: Collection[str],
    before: Folded | None,
) -> State | None:
    stream = Stream.parse(name)
    state: State | None = None if before is None else before.state
    for row in rows if before is None else rows[len(before.rows) :]:
        if row.name in ("message-refused", "letter-parked"):
            continue  # the engine's own; they change no state
        contract = REGISTRY.get(row.type)
        if contract is None and row.type in passed_over:
            continue
        if contract is None:
            raise Unfoldable("unknown-type")
        try:
            event = contract.model.model_validate_json(row.body, extra="ignore")
        except ValueError:
            raise Unfoldable("unreadable-row") from None
        if not isinstance(event, Internal):
            raise Unfoldable("not-an-event")
        state = workflow.evolve(stream, state, event, row.time)
    return state


def _dues(workflow: ModuleType, name: str, state: State | None) -> Iterable[datetime]:
    if state is None:
        return ()
    return [deadline.due for deadline in workflow.deadlines(Stream.parse(name), state)]
