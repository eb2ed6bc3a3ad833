"""Waiting for several things at once in one thread.

A step is a generator that yields while it waits. There are no threads to leave behind, so Ctrl-C
arrives between two polls and every step's `finally` runs.
"""

from __future__ import annotations

import time
from collections.abc import Generator

from deploy.embedded.faults import Died

Step = Generator[None, None, None]

POLL_SECONDS = 0.05


def together(*steps: Step) -> None:
    """Run every step to its end, taking turns. The first fault closes all the others."""
    waiting = list(steps)
    try:
        while waiting:
            waiting = [step for step in waiting if _goes_on(step)]
            if waiting:
                time.sleep(POLL_SECONDS)
    finally:
        for step in steps:
            step.close()


def side_by_side(*steps: Step) -> Step:
    """The same as a step: ends when all have ended."""
    waiting = list(steps)
    try:
        while waiting:
            waiting = [step for step in waiting if _goes_on(step)]
            if waiting:
                yield
    finally:
        for step in steps:
            step.close()


def _goes_on(step: Step) -> bool:
    try:
        next(step)
    except StopIteration:
        return False
    return True


class Deadline:
    """A moment after which waiting is given up, in seconds from now."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._end = time.monotonic() + seconds

    def check(self, what: str, log_tail: str) -> None:
        """Raise `Died` when the time is over. `what` says what was waited for."""
        if time.monotonic() > self._end:
            raise Died(f"{what} within {self.seconds:.0f} s.{log_tail}")
