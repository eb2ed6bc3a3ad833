"""At which moments a person may be told: their own hours, and the quiet hours 免打扰时段."""

from __future__ import annotations

from datetime import datetime, time, timedelta

from lianhu.contracts.parts import Hours
from lianhu.jurisdiction import SHANGHAI

OUTSIDE_HOURS = "outside-hours"
QUIET_HOURS = "quiet-hours"


def within(hours: Hours, at: datetime) -> bool:
    """Whether a moment lies in these hours of a day in Shanghai, the end not included."""
    clock, start, end = at.astimezone(SHANGHAI).time(), _clock(hours.start), _clock(hours.end)
    if start < end:
        return start <= clock < end
    return clock >= start or clock < end  # over midnight; the whole day where both are the same


def hindrance(at: datetime, hours: Hours | None, quiet: Hours) -> str | None:
    """Why nobody is told at this moment: `outside-hours`, `quiet-hours`, or None: they may be."""
    if hours is not None and not within(hours, at):
        return OUTSIDE_HOURS
    return QUIET_HOURS if within(quiet, at) else None


def next_moment(
    at: datetime, lasting: timedelta, hours: Hours | None, quiet: Hours
) -> datetime | None:
    """The first moment from `at` on, at which and until `lasting` later somebody may be told.

    None where there is no such moment on any day.
    """

    def fits(moment: datetime) -> bool:
        # What is forbidden lasts far longer than a call, so both ends show all of it.
        return not hindrance(moment, hours, quiet) and not hindrance(moment + lasting, hours, quiet)

    local = at.astimezone(SHANGHAI)
    begins = [_clock(quiet.end)] + ([] if hours is None else [_clock(hours.start)])
    moments = [
        datetime.combine(local.date() + timedelta(days=day), clock, SHANGHAI)
        for day in range(2)
        for clock in begins
    ]
    later = sorted(moment.astimezone(at.tzinfo) for moment in moments if moment > local)
    return next((moment for moment in (at, *later) if fits(moment)), None)


def _clock(text: str) -> time:
    return time.fromisoformat(text)
