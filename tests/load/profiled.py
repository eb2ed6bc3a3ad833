"""Mediation under a sampling profiler, and where its time went, per hop.

`python -m tests.load.profiled run` is `python -m lianhu.mediation run` with the profiler in the
same process; it writes its session to the file that `LOAD_PROFILE` names when it is stopped.
"""

from __future__ import annotations

import os
import signal
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pyinstrument import Profiler
from pyinstrument.frame import Frame
from pyinstrument.session import Session
from rich.table import Table

from lianhu.eventing.cli import main
from lianhu.mediation.app import service

_PARTS = (
    ("decode", "eventing/envelope.py"),
    ("decide, seal, evolve, chain", "eventing/work.py"),
    ("decide, seal, evolve, chain", "eventing/turns.py"),
    ("decide, seal, evolve, chain", "eventing/batch.py"),
    ("inbox and progress", "eventing/inbox.py"),
    ("parked", "eventing/parked.py"),
    ("states", "eventing/aggregates.py"),
    ("journal", "eventing/journal.py"),
    ("publish", "eventing/relay.py"),
    ("send to the broker", "aiokafka/producer"),
    ("fetch and commit", "aiokafka/consumer"),
    ("transport", "faststream"),
    ("connections to the broker", "aiokafka"),
    ("engine, the rest", "lianhu/eventing"),
)
"""By the innermost frame of such a file; the hash chain is of the batch that calls it."""
_LOOP = "the loop: waiting, sockets, asyncpg's protocol"
_WITHIN = "eventing/journal.py"


@dataclass(frozen=True)
class Cost:
    """One function or part: µs per hop with and without what it calls."""

    where: str
    with_calls: float
    alone: float


def parts(session: Session, hops: int) -> list[Cost]:
    """The time by part of the work, all of it; the dearest first."""
    found: dict[str, float] = defaultdict(float)
    for frame, above in _walk(session):
        found[_part(frame, above)] += frame.total_self_time
    costs = [Cost(name, time * 1e6 / hops, time * 1e6 / hops) for name, time in found.items()]
    return sorted(costs, key=lambda cost: cost.alone, reverse=True)


def functions(session: Session, hops: int) -> list[Cost]:
    """Every function that was seen, the dearest alone first."""
    with_calls: dict[str, float] = defaultdict(float)
    alone: dict[str, float] = defaultdict(float)
    for frame, above in _walk(session):
        place = _place(frame)
        if all(_place(one) != place for one in above):
            with_calls[place] += frame.time
        alone[place] += frame.total_self_time
    scale = 1e6 / hops
    costs = [Cost(place, with_calls[place] * scale, alone[place] * scale) for place in alone]
    return sorted(costs, key=lambda cost: cost.alone, reverse=True)


def tables(path: Path, hops: int, cpu: float, count: int = 15) -> list[Table]:
    """The session in this file for a person; `cpu`: µs of the process per hop, measured beside."""
    session = Session.load(path)
    by_part, by_function = parts(session, hops), functions(session, hops)
    seen = sum(cost.alone for cost in by_part if cost.where != _LOOP)
    first = Table("part", "µs/hop", title=f"Where the engine's time goes ({cpu:.0f} µs CPU/hop)")
    for cost in by_part:
        shown = max(cpu - seen, 0.0) if cost.where == _LOOP else cost.alone
        first.add_row(cost.where + (" (CPU only)" if cost.where == _LOOP else ""), f"{shown:.1f}")
    second = Table("function", "µs/hop alone", "with calls", title="The dearest functions, alone")
    third = Table(
        "function", "µs/hop with calls", "alone", title="The dearest functions, with calls"
    )
    ours = [cost for cost in by_function if not cost.where.startswith(_LOOP)]
    for cost in ours[:count]:
        second.add_row(cost.where, f"{cost.alone:.1f}", f"{cost.with_calls:.1f}")
    whole = sorted(ours, key=lambda cost: cost.with_calls, reverse=True)
    for cost in [cost for cost in whole if "lianhu" in cost.where][: 2 * count]:
        third.add_row(cost.where, f"{cost.with_calls:.1f}", f"{cost.alone:.1f}")
    return [first, second, third]


def _walk(session: Session) -> Iterator[tuple[Frame, Sequence[Frame]]]:
    """Every frame with those above it, outermost first."""
    root = session.root_frame()
    todo: list[tuple[Frame, tuple[Frame, ...]]] = [] if root is None else [(root, ())]
    while todo:
        frame, above = todo.pop()
        if frame.is_synthetic:
            continue
        yield frame, above
        todo += [(child, (*above, frame)) for child in frame.children]


def _part(frame: Frame, above: Sequence[Frame]) -> str:
    for one in (frame, *reversed(above)):
        path = one.file_path or ""
        if path.endswith(_WITHIN) and one.function == "chain":
            continue
        for name, piece in _PARTS:
            if piece in path:
                return name if _is_work(frame) else _LOOP
    return _LOOP


def _is_work(frame: Frame) -> bool:
    """Not the runner of the loop, whose own time is the time of C code and of waiting."""
    return frame.function not in ("run", "run_until_complete") or "uvloop" not in (
        frame.file_path or ""
    )


def _place(frame: Frame) -> str:
    if not _is_work(frame):
        return _LOOP
    path = Path(frame.file_path or "")
    return f"{'/'.join(path.parts[-3:])}:{frame.line_no} {frame.function}"


def _end(*_: object) -> None:
    raise SystemExit(0)


if __name__ == "__main__":
    # the web server raises the signal once more when it is done; by default that kills
    signal.signal(signal.SIGTERM, _end)
    profiler = Profiler(interval=0.001, async_mode="disabled")
    profiler.start()
    try:
        main(service)
    finally:
        profiler.stop().save(os.environ["LOAD_PROFILE"])
