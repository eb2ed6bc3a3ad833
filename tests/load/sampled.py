"""A module run with a thread beside it that asks, every few ms, what its CPU was spent on.

`python -m tests.load.sampled lianhu.mediation run` is `python -m lianhu.mediation run`. Each look
is weighed by the CPU that the main thread used since the last one: waiting costs nothing, nor does
a processor that others hold, and the parts add up to the whole. It writes µs by part as JSON to the
file that `LOAD_SPLIT` names, from the first decision on.
"""

from __future__ import annotations

import json
import os
import runpy
import signal
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

DECODE, DECIDE, SQL, PUBLISH = "decode", "decide", "SQL", "publish"
FETCH, MEASURES, REST = "fetch, commit offsets", "counters, stock", "the rest"
PARTS = (DECODE, DECIDE, SQL, PUBLISH, FETCH, MEASURES, REST)

_OURS: tuple[tuple[str, str, str], ...] = (
    (DECODE, "eventing/envelope.py", ""),
    (DECODE, "load/floor.py", "_read"),
    (MEASURES, "eventing/stock.py", ""),
    (MEASURES, "eventing/engine.py", "_count"),
    (SQL, "eventing/inbox.py", ""),
    (SQL, "eventing/parked.py", ""),
    (SQL, "eventing/aggregates.py", ""),
    (SQL, "eventing/journal.py", "append"),
    (SQL, "load/floor.py", "_batch _store _columns"),
    (DECIDE, "eventing/work.py", ""),
    (DECIDE, "eventing/turns.py", ""),
    (DECIDE, "eventing/batch.py", ""),
    (DECIDE, "load/floor.py", "_decide _sealer"),
    (PUBLISH, "eventing/relay.py", ""),
    (PUBLISH, "load/floor.py", "_relay _publish _add leaving"),
    (FETCH, "eventing/transport.py", ""),
    (FETCH, "eventing/fetching.py", ""),
    (FETCH, "eventing/records.py", ""),
    (FETCH, "load/floor.py", "_consume"),
)
"""Part, file, and its functions, or all of them. The innermost frame that fits says which."""
_DRIVERS = (
    (SQL, "/asyncpg/"),
    (PUBLISH, "/aiokafka/producer/"),
    (FETCH, "/aiokafka/"),
    (FETCH, "/faststream/"),
)
"""Where none of ours is on the stack: what the loop calls for a driver."""
_PAUSE_SECONDS = 0.002
_SWITCH_SECONDS = 0.0002


def part_of(stack: list[tuple[str, str]]) -> str:
    """What a stack is at work on, by file and function, innermost first."""
    for path, function in stack:
        if function == "<module>":  # it is being imported
            continue
        for part, file, functions in _OURS:
            if path.endswith(file) and (not functions or function in functions.split()):
                return part
    for path, _ in stack:
        for part, folder in _DRIVERS:
            if folder in path:
                return part
    return REST


class Sampler(threading.Thread):
    """Looks at the thread that makes it, until it is told to end."""

    def __init__(self) -> None:
        super().__init__(name="sampler", daemon=True)
        self._of = threading.get_ident()
        self._clock = time.pthread_getcpuclockid(self._of)
        self._over = threading.Event()
        self.spent: dict[str, float] = defaultdict(float)
        """Seconds of CPU by part."""

    def run(self) -> None:
        """Every two milliseconds."""
        before = time.clock_gettime(self._clock)
        while not self._over.wait(_PAUSE_SECONDS):
            now = time.clock_gettime(self._clock)
            part = part_of([*_stack(sys._current_frames().get(self._of))])
            if self.spent or part == DECIDE:
                self.spent[part] += now - before
            before = now

    def end(self) -> dict[str, float]:
        """µs by part, each of them."""
        self._over.set()
        self.join()
        return {part: 1e6 * self.spent.get(part, 0.0) for part in PARTS}


def _stack(frame: FrameType | None) -> Iterator[tuple[str, str]]:
    while frame is not None:
        yield frame.f_code.co_filename, frame.f_code.co_name
        frame = frame.f_back


def _end(*_: object) -> None:
    raise SystemExit(0)


def main() -> None:
    """Run the module that the first argument names, with the others."""
    signal.signal(signal.SIGTERM, _end)
    # a thread that asks for its turn gets it soon
    sys.setswitchinterval(_SWITCH_SECONDS)
    sys.argv = sys.argv[1:]
    sampler = Sampler()
    sampler.start()
    try:
        runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
    finally:
        Path(os.environ["LOAD_SPLIT"]).write_text(json.dumps(sampler.end()))


if __name__ == "__main__":
    main()
