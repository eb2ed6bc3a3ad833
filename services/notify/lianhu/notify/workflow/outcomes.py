"""What follows when a call outside ended, or when nobody knows how it ended."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from lianhu.contracts.base import Internal
from lianhu.contracts.notify import (
    NoticeDeferred,
    NoticeDelivered,
    NoticeFailed,
    NoticeSuppressed,
    NoticeUncertain,
    NoticeWaiting,
)
from lianhu.contracts.vocabulary import NoticeChannel
from lianhu.eventing.rules import Deadline, DeadlineReached, EffectEnded
from lianhu.notify.policy import Policy
from lianhu.notify.state import Notices, Pending, Stage
from lianhu.notify.templates import TemplateFault
from lianhu.notify.ways import NOTHING_LEFT
from lianhu.notify.workflow.notices import (
    attempted,
    card_of,
    guarded,
    handed,
    head,
    unreached,
    way_sought,
)

WAY = "way-"
"""Begins the reference of a call that opens a contact card; the notice's id follows."""
_NOT_READ = "card-not-read"


def on_outcome(
    outcome: EffectEnded, state: Notices, now: datetime, policy: Policy
) -> Sequence[Internal]:
    """What the end of a call means for its notice; nothing, if that has gone on meanwhile."""
    pending = state.pending.get(outcome.ref.removeprefix(WAY))
    if pending is None:
        return ()
    if outcome.ref.startswith(WAY):
        if pending.stage is not Stage.SEEKING or pending.look != outcome.attempt:
            return ()
        return tuple(_looked(outcome, pending, state, now, policy))
    if pending.stage is not Stage.SENDING or pending.attempt != outcome.attempt:
        return ()  # of an attempt that was given up or answered before
    match outcome.outcome:
        case "done":
            return (NoticeDelivered(**head(pending.step), attempt=outcome.attempt),)
        case "failed":
            return tuple(_failed(outcome, pending, state, now, policy))
        case _:
            return tuple(_unknown(pending, state, now, policy))


def on_deadline(
    reached: DeadlineReached, state: Notices, now: datetime, policy: Policy
) -> Sequence[Internal]:
    """What follows when the time of a notice's present stage is over."""
    pending = state.pending.get(reached.kind.partition("-")[2])
    if pending is None or pending.deadline != Deadline(reached.kind, reached.due):
        return ()
    match pending.stage:
        case Stage.SENDING:
            return tuple(_unknown(pending, state, now, policy))
        case Stage.SEEKING:
            return tuple(_unanswered(pending, state, now, policy))
        case Stage.WAITING | Stage.RETRYING:
            return tuple(_onward(pending, state, now, policy))


def _looked(
    outcome: EffectEnded, pending: Pending, state: Notices, now: datetime, policy: Policy
) -> Iterator[Internal]:
    """What the opened card said: a channel, a later moment, or that there is no way."""
    step, found, reason = pending.step, outcome.found, _reason(outcome)
    if outcome.outcome != "done":
        vain = pending.vain + 1
        if vain >= policy.cards.attempts:
            yield from _never_opened(pending, now, policy)
            return
        until = now + policy.cards.retry_after[vain - 1]
        yield NoticeWaiting(**dict(step), reason=_NOT_READ, until=until, vain=vain)
    elif now > pending.due:
        # the hour that it was asked for is over: the event itself came late, or the answer did
        yield from _unanswered(pending, state, now, policy)
    elif (newest := card_of(step, state)) is not None and newest.version != pending.version:
        # while it was looked at, it was replaced: what it said counts no more
        yield from _seek(pending, state, now, policy, step.tried)
    elif "channel" in found:
        safe = guarded(step, state, policy)
        if isinstance(safe, NoticeSuppressed):
            yield from _suppressed(pending, safe.reason, now, policy)
            return
        channel = NoticeChannel(found["channel"])
        if pending.doubt and channel is not step.channel:
            # a newer card prefers another way: by the old one it may have got through already
            yield from _uncertain(pending, now, policy)
            return
        yield attempted(safe, pending.attempt + 1, channel, now, policy, newest)
    elif "until" in found:
        until = max(now, datetime.fromisoformat(found["until"]))
        yield NoticeWaiting(**dict(step), reason=reason, until=until)
    elif reason == NOTHING_LEFT and pending.attempt and not pending.doubt:
        yield NoticeFailed(**head(step), attempt=pending.attempt, reason=NOTHING_LEFT)
        yield from unreached(step, NOTHING_LEFT, now, policy)
    else:
        yield from _suppressed(pending, reason, now, policy)


def _failed(
    outcome: EffectEnded, pending: Pending, state: Notices, now: datetime, policy: Policy
) -> Iterator[Internal]:
    """The attempt surely had no effect."""
    step, reason = pending.step, _reason(outcome)
    channel = policy.channels[_channel(pending)]
    if "closed" in outcome.found and not pending.doubt:
        yield from _suppressed(pending, reason, now, policy)
    elif pending.tries < channel.attempts and "final" not in outcome.found:
        retry_at = now + channel.retry_after[pending.tries - 1]
        yield NoticeDeferred(
            **head(step), attempt=outcome.attempt, reason=reason, retry_at=retry_at
        )
    elif pending.doubt:
        yield from _uncertain(pending, now, policy)
    elif step.person is not None:
        tried = (*step.tried, _channel(pending))
        yield from _seek(pending, state, now, policy, tried)
    else:
        yield NoticeFailed(**head(step), attempt=outcome.attempt, reason=reason)


def _unknown(pending: Pending, state: Notices, now: datetime, policy: Policy) -> Iterator[Internal]:
    """The attempt may have had its effect: only a channel that tells doubles apart tries again."""
    name = _channel(pending)
    channel = policy.channels[name]
    # on a screen, where an older release left it open, the next attempt is the last in any case
    again = channel.idempotent and pending.tries < channel.attempts
    if again or name is NoticeChannel.IN_APP:
        yield from _onward(pending, state, now, policy)
    else:
        yield from _uncertain(pending, now, policy)


def _onward(pending: Pending, state: Notices, now: datetime, policy: Policy) -> Iterator[Internal]:
    """The next attempt, for a person after another look at the card and the hour."""
    if pending.step.person is not None:
        # to be asked again while still being sought means that no answer came
        vain = pending.vain + (pending.stage is Stage.SEEKING)
        yield from _seek(pending, state, now, policy, pending.step.tried, vain)
    elif _lost(pending, policy):
        if pending.doubt or pending.stage is Stage.SENDING:
            yield from _uncertain(pending, now, policy)
        else:
            reason = TemplateFault.slug
            yield NoticeFailed(**head(pending.step), attempt=pending.attempt, reason=reason)
    else:
        yield from handed(pending.step, pending.attempt + 1, _channel(pending), now, policy)


def _unanswered(
    pending: Pending, state: Notices, now: datetime, policy: Policy
) -> Iterator[Internal]:
    """No answer of a card came in time: it is asked again, so often."""
    if pending.vain + 1 >= policy.cards.attempts:
        yield from _never_opened(pending, now, policy)
    else:
        yield from _onward(pending, state, now, policy)


def _lost(pending: Pending, policy: Policy) -> bool:
    """Whether a screen's text, begun by an older release, is not among this one's."""
    step = pending.step
    on_screen = step.channel is NoticeChannel.IN_APP
    return on_screen and not policy.templates.makes(step.template, step.params)


def _seek(
    pending: Pending,
    state: Notices,
    now: datetime,
    policy: Policy,
    tried: tuple[NoticeChannel, ...],
    vain: int = 0,
) -> Iterator[Internal]:
    step = pending.step.model_copy(update={"tried": tried})
    sought = way_sought(step, pending.look + 1, vain, state, now, policy)
    if not isinstance(sought, NoticeSuppressed):
        yield sought
    elif pending.stage is Stage.SENDING and tried == pending.step.tried:
        yield from _uncertain(pending, now, policy)
    else:
        yield from _suppressed(pending, sought.reason, now, policy)


def _suppressed(pending: Pending, reason: str, now: datetime, policy: Policy) -> Iterator[Internal]:
    if pending.doubt:  # what may have been sent was not suppressed
        yield from _uncertain(pending, now, policy)
        return
    yield NoticeSuppressed(**head(pending.step), reason=reason)
    yield from unreached(pending.step, reason, now, policy)


def _uncertain(pending: Pending, now: datetime, policy: Policy) -> Iterator[Internal]:
    yield NoticeUncertain(**head(pending.step), attempt=pending.attempt)
    yield from unreached(pending.step, "uncertain", now, policy)


def _never_opened(pending: Pending, now: datetime, policy: Policy) -> Iterator[Internal]:
    if pending.doubt:
        yield from _uncertain(pending, now, policy)
        return
    yield NoticeFailed(**head(pending.step), attempt=pending.attempt, reason=_NOT_READ)
    yield from unreached(pending.step, _NOT_READ, now, policy)


def _reason(outcome: EffectEnded) -> str:
    return outcome.reason or "no-reason-given"


def _channel(pending: Pending) -> NoticeChannel:
    channel = pending.step.channel
    if channel is None:
        raise ValueError("an attempt without a channel")
    return channel
