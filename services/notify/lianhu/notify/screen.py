"""Messages on units' screens 站内消息: rows that stand exactly when their attempt is recorded."""

from __future__ import annotations

from collections.abc import Sequence

import asyncpg

from lianhu.contracts.base import Internal
from lianhu.contracts.faults import Poison
from lianhu.contracts.notify import NoticeAttempted
from lianhu.contracts.vocabulary import Language, NoticeChannel
from lianhu.notify.policy import Policy
from lianhu.notify.store import InAppRow, put
from lianhu.notify.templates import TemplateFault


class Screens:
    """The rows of attempts by this channel. A further attempt finds its row and adds none."""

    def of(self, event: Internal, policy: Policy) -> InAppRow | None:
        """What the unit reads. Raises `Poison` for a text that cannot be made."""
        if not isinstance(event, NoticeAttempted) or event.channel is not NoticeChannel.IN_APP:
            return None
        if event.unit is None:
            raise ValueError("a screen without a unit")
        try:
            zh, en = (
                policy.templates.text(event.template, language, event.params)
                for language in (Language.ZH_CN, Language.EN)
            )
        except TemplateFault as fault:
            raise Poison(fault.slug) from fault
        return InAppRow(
            notice=event.notice,
            at=event.answer_by - policy.channels[NoticeChannel.IN_APP].answer_within,
            unit=event.unit,
            role=event.role.value,
            case_number=event.case or "",
            about_type=event.about_type,
            subject_zh=zh.subject,
            text_zh=zh.body,
            subject_en=en.subject,
            text_en=en.body,
        )

    async def write(self, connection: asyncpg.Connection, rows: Sequence[InAppRow]) -> None:
        """All of them, with one statement."""
        await put(connection, rows)
