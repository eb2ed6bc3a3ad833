"""By which ways a notice leaves, and what a channel can say of an attempt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, Protocol

from lianhu.contracts.vocabulary import AudienceRole, Language, NoticeChannel
from lianhu.notify.store import (
    InAppRow,
    InAppStore,
    StoreRefused,
    StoreUnavailable,
    StoreUnsure,
)
from lianhu.notify.templates import Text


@dataclass(frozen=True, slots=True)
class Sending:
    """One attempt: the notice, to whom, and what it says in which languages."""

    notice: str
    """The idempotency key: the same for every attempt."""
    attempt: int
    at: datetime
    """Domain time at which this attempt began."""
    case: str | None
    about_type: str
    role: AudienceRole
    unit: str | None
    texts: Mapping[Language, Text]
    to: str | None = field(default=None, repr=False)
    """The address, where the channel needs one. Never shown."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an attempt ended. `failed` is said only when it surely had no effect."""

    outcome: Literal["done", "failed", "unknown"]
    reason: str | None = None
    """A slug, with `failed`."""
    final: bool = False
    """With `failed`: trying again by this channel would fail again."""


class Channel(Protocol):
    """A way out."""

    name: NoticeChannel
    idempotent: bool
    """A second sending of the same notice changes nothing."""

    async def send(self, sending: Sending) -> Outcome:
        """Send, and say how it ended. What is neither `done` nor surely `failed` is `unknown`."""
        ...


class InApp:
    """Messages on the unit's own screen 站内消息: rows of a table, read over HTTP."""

    name = NoticeChannel.IN_APP
    idempotent = True

    def __init__(self, store: InAppStore) -> None:
        self._store = store

    async def send(self, sending: Sending) -> Outcome:
        """`done` also when the row stood there already, from an earlier attempt."""
        if sending.unit is None:
            return Outcome("failed", "no-unit", final=True)
        zh, en = sending.texts[Language.ZH_CN], sending.texts[Language.EN]
        row = InAppRow(
            notice=sending.notice,
            at=sending.at,
            unit=sending.unit,
            role=sending.role.value,
            case_number=sending.case or "",
            about_type=sending.about_type,
            subject_zh=zh.subject,
            text_zh=zh.body,
            subject_en=en.subject,
            text_en=en.body,
        )
        try:
            await self._store.put(row)
        except (StoreUnavailable, StoreRefused) as error:
            return Outcome("failed", error.slug)
        except StoreUnsure:
            return Outcome("unknown")
        return Outcome("done")
