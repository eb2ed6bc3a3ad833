"""The limit: a bad release parks at most so many messages, then the service stands still."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from lianhu.eventing.errors import LimitReached


class Limit:
    """Counts failures over the last messages; refusals and gaps are no failures."""

    def __init__(self, in_a_row: int, window: int, share: float) -> None:
        self._in_a_row = in_a_row
        self._window = window
        self._share = share
        self._last: deque[bool] = deque(maxlen=max(window, in_a_row))

    def check(self, failures: Sequence[bool]) -> None:
        """Raises `LimitReached` if these, after those before, are too many. Counts nothing yet."""
        if not any(failures):
            return
        seen = deque(self._last, maxlen=self._last.maxlen)
        row = 0
        for failed in reversed(seen):
            if not failed:
                break
            row += 1
        for failed in failures:
            seen.append(failed)
            row = row + 1 if failed else 0
            window = list(seen)[-self._window :]
            # also before the window is full: a release that is bad from its start parks no more
            many = sum(window) > self._share * self._window
            if failed and (row > self._in_a_row or many):
                raise LimitReached(f"{row} messages in a row failed")

    def count(self, failures: Sequence[bool]) -> None:
        """They are committed."""
        self._last.extend(failures)
