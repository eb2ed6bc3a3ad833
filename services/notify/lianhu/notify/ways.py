"""Which way to a person is safe now: the answer of an opened contact card, and nothing else of it.

Pure: what leaves the card is a channel, a moment or a reason, never an address.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from lianhu.contracts.parts import ContactCard, Hours
from lianhu.contracts.vocabulary import NoticeChannel
from lianhu.notify.hours import OUTSIDE_HOURS, hindrance, next_moment

NO_SAFE_CONTACT = "no-safe-contact"
NO_SAFE_HOURS = "no-safe-hours"
NOT_CONFIGURED = "channel-not-configured"
NOTHING_LEFT = "every-way-failed"


@dataclass(frozen=True, slots=True)
class Go:
    """Tell them now, by this channel."""

    channel: NoticeChannel


@dataclass(frozen=True, slots=True)
class Wait:
    """Not now, but then."""

    until: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class Nothing:
    """There is no safe way, and why."""

    reason: str


Way = Go | Wait | Nothing


def address(card: ContactCard, channel: NoticeChannel) -> str | None:
    """Where the card lets this channel go; None where it does not, or there is no address."""
    if channel not in card.channels:
        return None
    match channel:
        case NoticeChannel.SMS:
            return card.phone
        case NoticeChannel.EMAIL:
            return card.email
        case NoticeChannel.IN_APP:
            return None  # a unit's screen; no person has one


def hindered(card: ContactCard, at: datetime, lasting: timedelta, quiet: Hours) -> str | None:
    """Why the hours do not allow it from this moment until `lasting` later; None: they do."""
    return hindrance(at, card.hours, quiet) or hindrance(at + lasting, card.hours, quiet)


def way(
    card: ContactCard,
    at: datetime,
    lasting: timedelta,
    tried: Collection[NoticeChannel],
    open_: Collection[NoticeChannel],
    quiet: Hours,
) -> Way:
    """The card's first channel that is left, if the hours allow it from now until `lasting` later.

    `tried` did not get through; `open_` are the channels that this house has.
    """
    safe = [channel for channel in card.channels if address(card, channel)]
    if not safe:
        return Nothing(NO_SAFE_CONTACT)
    reachable = [channel for channel in safe if channel in open_]
    if not reachable:
        return Nothing(NOT_CONFIGURED)
    left = [channel for channel in reachable if channel not in tried]
    if not left:
        return Nothing(NOTHING_LEFT)
    moment = next_moment(at, lasting, card.hours, quiet)
    if moment is None:
        return Nothing(NO_SAFE_HOURS)
    if moment > at:
        return Wait(moment, hindered(card, at, lasting, quiet) or OUTSIDE_HOURS)
    return Go(left[0])
