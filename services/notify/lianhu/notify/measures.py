"""What notify measures: how long a red-risk notice to officers takes to leave, and whether it does.

It counts from what the notice tells of: the case of a fresh report, from the report's arrival.
What a unit hears in its digest, and what has no line or no duty contact, is not counted here: of
that there was no attempt.
"""

from __future__ import annotations

from datetime import datetime

from prometheus_client import CollectorRegistry, Histogram

from lianhu.contracts.notify import (
    NoticeDelivered,
    NoticeFailed,
    NoticeSuppressed,
    NoticeUncertain,
)
from lianhu.eventing.measures import Happened, Measures
from lianhu.notify.digests import PERSONS
from lianhu.notify.state import Notices

_SECONDS = (0.5, 1, 2.5, 5, 10, 20, 30, 45, 60, 120, 300, 1800)


class NotifyMeasures(Measures):
    """Counted from events."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._red = Histogram(
            "lianhu_notify_red_notice_seconds",
            "From what a red-risk notice to officers tells of to its end, by how it ended",
            ["outcome"],
            buckets=_SECONDS,
            registry=registry,
        )
        for outcome in ("delivered", "failed", "suppressed", "uncertain"):
            self._red.labels(outcome)  # an increase from nothing is none that Prometheus sees

    def happened(self, one: Happened, now: datetime) -> None:
        """A notice ended."""
        match one.event:
            case NoticeDelivered(notice=notice):
                outcome = "delivered"
            case NoticeFailed(notice=notice):
                outcome = "failed"
            case NoticeSuppressed(notice=notice):
                outcome = "suppressed"
            case NoticeUncertain(notice=notice):
                outcome = "uncertain"
            case _:
                return
        pending = one.before.pending.get(notice) if isinstance(one.before, Notices) else None
        if pending is None or not pending.step.urgent or pending.step.role in PERSONS:
            return
        begun = pending.step.begun
        if begun is not None:
            self._red.labels(outcome).observe(max((now - begun).total_seconds(), 0))
