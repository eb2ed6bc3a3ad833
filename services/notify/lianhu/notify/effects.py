"""What notify does outside the engine: open a card, hand an attempt to its channel.

Here alone closed contact cards are opened, for the purpose `notice`. What comes back to the rules
is a channel, a moment or a reason; an address goes to the channel and nowhere else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Protocol

import asyncpg

from lianhu.contracts.base import Internal
from lianhu.contracts.notify import NoticeAttempted, WaySought
from lianhu.contracts.parts import CardRef, ContactCard
from lianhu.contracts.vocabulary import Language, NoticeChannel
from lianhu.eventing.effects import Effect
from lianhu.eventing.errors import BROKEN_OFF
from lianhu.eventing.rules import EffectEnded, Stream
from lianhu.eventing.vault import NotOpened, Vault
from lianhu.notify.channels import Channel, Outcome, Sending
from lianhu.notify.outside import PATIENCE_SECONDS, Email, Sms
from lianhu.notify.policy import Policy
from lianhu.notify.templates import UNIT_LANGUAGES, TemplateFault
from lianhu.notify.ways import NO_SAFE_CONTACT, Go, Wait, address, hindered, way
from lianhu.notify.workflow.outcomes import WAY
from lianhu.privacy import Sealed

PURPOSE = "notice"
_PATIENCE = timedelta(seconds=PATIENCE_SECONDS)
_UNREAD = (asyncpg.PostgresError, *BROKEN_OFF, OSError)  # OSError: time-outs


class Opens(Protocol):
    """What opens closed values; the engine's vault does."""

    async def open(
        self, values: Sequence[Sealed[ContactCard]], purpose: str
    ) -> list[ContactCard | NotOpened]:
        """Each value or why it stays closed."""
        ...

    def now(self) -> datetime:
        """The domain time of this moment."""
        ...


def effects(policy: Policy, vault: Vault) -> Mapping[str, Effect]:
    """The effects by type of event. Raises ValueError when channels and policy disagree."""
    channels: list[Channel] = []
    if policy.lines.relay is not None:
        channels.append(Email(policy.lines.relay))
    if policy.lines.gateway is not None:
        channels.append(Sms(policy.lines.gateway))
    return {
        WaySought.type_: looks(policy, vault),
        NoticeAttempted.type_: attempts(channels, policy, vault),
    }


def looks(policy: Policy, vault: Opens) -> Effect:
    """The effect that opens a card and says which way is safe now."""

    async def look(stream: Stream, event: Internal) -> EffectEnded:
        if not isinstance(event, WaySought):
            raise TypeError(f"{type(event).__name__} seeks no way")
        outcome, found = "done", dict[str, str]()
        reason: str | None
        try:
            card = await _open(vault, event.card)
        except _UNREAD:
            outcome, reason = "failed", "store-unavailable"
        else:
            reason, found = _answer(card, event, policy)
        return EffectEnded(
            stream=str(stream),
            ref=f"{WAY}{event.notice}",
            attempt=event.look,
            outcome=outcome,
            reason=reason,
            found=found,
        )

    return look


def attempts(channels: Sequence[Channel], policy: Policy, vault: Opens) -> Effect:
    """The effect of an attempt, by these channels. Raises ValueError, see `effects`."""
    by_name = {channel.name: channel for channel in channels}
    if missing := set(policy.configured) - by_name.keys() - {NoticeChannel.IN_APP}:
        raise ValueError(f"notify has no way to send by the channel {', '.join(sorted(missing))}")
    for name, channel in by_name.items():
        use = policy.channels[name]
        if use.idempotent and not channel.idempotent:
            raise ValueError(f"the policy calls the channel {name} idempotent, which it is not")
        if use.answer_within <= _PATIENCE:
            raise ValueError(f"the policy gives up the channel {name} before it has answered")

    async def attempt(stream: Stream, event: Internal) -> EffectEnded:
        if not isinstance(event, NoticeAttempted):
            raise TypeError(f"{type(event).__name__} is not an attempt")
        ended, closed = await _attempt(by_name, event, policy, vault)
        found = {"closed": "yes"} if closed else {"final": "yes"} if ended.final else {}
        return EffectEnded(
            stream=str(stream),
            ref=event.notice,
            attempt=event.attempt,
            outcome=ended.outcome,
            reason=ended.reason,
            found=found,
        )

    return attempt


def _answer(
    card: ContactCard | NotOpened, event: WaySought, policy: Policy
) -> tuple[str | None, dict[str, str]]:
    """Why not now, if not; and the channel, or until when."""
    if isinstance(card, NotOpened):
        return card.slug, {}
    at = event.answer_by - policy.cards.answer_within
    outside = [
        policy.channels[channel].answer_within
        for channel in policy.configured
        if channel is not NoticeChannel.IN_APP
    ]
    longest = max(outside, default=timedelta(0))
    match way(card, at, longest, event.tried, policy.configured, policy.quiet):
        case Go(channel):
            return None, {"channel": channel.value}
        case Wait(until, reason):
            return reason, {"until": until.isoformat()}
        case nothing:
            return nothing.reason, {}


async def _attempt(
    channels: Mapping[NoticeChannel, Channel], event: NoticeAttempted, policy: Policy, vault: Opens
) -> tuple[Outcome, bool]:
    """How it ended, and whether the card stayed closed, so that nothing can be sent at all."""
    channel = None if event.channel is None else channels.get(event.channel)
    if channel is None:  # only after a restart without the line that there was before
        return Outcome("failed", "channel-not-configured", final=True), False
    languages: Sequence[Language] = UNIT_LANGUAGES
    to: str | None
    if event.card is not None:
        try:
            card = await _open(vault, event.card)
        except _UNREAD:
            return Outcome("failed", "store-unavailable"), False
        if isinstance(card, NotOpened):
            return Outcome("failed", card.slug), True
        languages, to = (card.language,), address(card, channel.name)
        if to is None:
            return Outcome("failed", NO_SAFE_CONTACT), True
        # it may have waited for its turn: its deadline must not overtake it, nor the hours end
        now = vault.now()
        if now + _PATIENCE > event.answer_by:
            return Outcome("failed", "too-late"), False
        if reason := hindered(card, now, _PATIENCE, policy.quiet):
            return Outcome("failed", reason), False
    elif event.unit is None:
        return Outcome("failed", "no-unit", final=True), False
    else:
        to = policy.directory.address(event.unit, channel.name)
        if to is None:
            return Outcome("failed", "no-duty-contact", final=True), False
    try:
        texts = {
            language: policy.templates.text(event.template, language, event.params)
            for language in languages
        }
    except TemplateFault as fault:
        # Only after a release that dropped or changed a text while a notice waited for a retry.
        return Outcome("failed", fault.slug), False
    return await channel.send(Sending(event.notice, texts, to)), False


async def _open(vault: Opens, card: CardRef) -> ContactCard | NotOpened:
    (opened,) = await vault.open([card.card], PURPOSE)
    return opened
