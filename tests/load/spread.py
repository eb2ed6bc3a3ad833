"""How long things took: percentiles of an HdrHistogram, from the moment each was meant to begin."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from hdrh.histogram import HdrHistogram

_HIGHEST = 3600 * 1_000_000
"""An hour, in µs; what takes longer counts as one."""
_DIGITS = 3


@dataclass(frozen=True)
class Spread:
    """Percentiles in seconds, exact to three digits; all 0 of nothing."""

    count: int
    p50: float
    p95: float
    p99: float
    greatest: float

    @classmethod
    def of(cls, seconds: Iterable[float]) -> Spread:
        """Of each thing that was begun and has ended."""
        found = HdrHistogram(1, _HIGHEST, _DIGITS)
        for one in seconds:
            found.record_value(min(max(int(one * 1e6), 1), _HIGHEST))
        count = int(found.get_total_count())
        if not count:
            return cls(0, 0.0, 0.0, 0.0, 0.0)
        p50, p95, p99 = (found.get_value_at_percentile(share) / 1e6 for share in (50, 95, 99))
        return cls(count, p50, p95, p99, found.get_max_value() / 1e6)

    def __str__(self) -> str:
        shown = (self.p50, self.p95, self.p99, self.greatest)
        return " / ".join(f"{one * 1000:,.0f}" for one in shown) + " ms"
