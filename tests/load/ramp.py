"""Which rate a chain sustains: higher and higher ones are tried until it no longer keeps up."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from statistics import fmean

KEPT = 0.95
"""Such a share of what was begun in a window must have ended in it."""


def intended(start: float, rate: float, seconds: float) -> Iterator[float]:
    """The moments at which lives are meant to begin: evenly, whatever became of those before."""
    return (start + number / rate for number in range(round(rate * seconds)))


def keeps_up(started: int, completed: int, under_way: Sequence[int]) -> bool:
    """Whether a window's work was done as it came, and the backlog did not grow over it.

    `under_way`: how many were under way, looked at again and again over the window. Where many
    more are under way in its last third than in its first, the chain falls behind.
    """
    if not started or completed < KEPT * started:
        return False
    third = max(len(under_way) // 3, 1)
    grown = fmean(under_way[-third:]) - fmean(under_way[:third]) if under_way else 0.0
    return grown <= max((1 - KEPT) * started, 2.0)


def sustained(
    rates: Iterable[float], tried: Callable[[float], bool], halvings: int = 1
) -> float | None:
    """The highest rate that was kept; None when not even the first was.

    The rates rise. After the first that is not kept, the middle between the two is tried so often.
    """
    kept: float | None = None
    lost: float | None = None
    for rate in rates:
        if not tried(rate):
            lost = rate
            break
        kept = rate
    for _ in range(halvings if kept is not None and lost is not None else 0):
        assert kept is not None
        assert lost is not None
        middle = round((kept + lost) / 2, 1)
        if middle in (kept, lost):
            break
        kept, lost = (middle, lost) if tried(middle) else (kept, middle)
    return kept


def rising(first: float, factor: float = 1.5) -> Iterator[float]:
    """Rates without end, each higher by the factor."""
    rate = first
    while True:
        yield round(rate, 1)
        rate *= factor
