"""A red-risk notice that no channel takes is measured, and an operator sees which one it was."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from prometheus_client import CollectorRegistry

from lianhu.contracts.notify import NoticeAttempted
from lianhu.contracts.vocabulary import AudienceRole, NoticeChannel, Risk
from lianhu.eventing.clock import Clock
from lianhu.eventing.delivery import Delivery, Origin
from lianhu.eventing.rules import EffectEnded, Message, Rank, State
from lianhu.eventing.testing import event_record, open_engine
from lianhu.notify import workflow
from lianhu.notify.measures import NotifyMeasures
from lianhu.notify.screen import Screens
from lianhu.notify.state import CaseState, DigestState
from lianhu.notify.store import ended_otherwise
from lianhu.notify.undelivered import lines
from tests.conftest import MakeDatabase
from tests.notify_desk import CASE, DISTRICT, NOON, POLICY, STREAM, offered, unit

pytestmark = pytest.mark.infra

STATES: dict[Rank, type[State]] = {
    Rank.CASE: CaseState,
    Rank.ENVELOPE: CaseState,
    Rank.DIGEST: DigestState,
}


class Still(Clock):
    """Three seconds past noon."""

    def now(self) -> datetime:
        return NOON + timedelta(seconds=3)


async def test_a_red_notice_that_no_channel_takes_is_counted_and_listed(
    make_database: MakeDatabase,
) -> None:
    url = await make_database("notify")
    one = await open_engine("notify", url, workflow, STATES, POLICY, rows=Screens())
    one.house.clock = Still(movable=True)
    registry = CollectorRegistry()
    one.house.measures = NotifyMeasures(registry)
    try:
        event = offered(unit(AudienceRole.OWNING_UNIT, DISTRICT), risk=Risk.RED)
        await one.take(event_record("mediation", event, STREAM, 1, at=NOON))
        rows = await one.fetch("SELECT body FROM journal WHERE type = $1", NoticeAttempted.type_)
        attempts = [NoticeAttempted.model_validate_json(row["body"]) for row in rows]
        (text,) = [one for one in attempts if one.channel is NoticeChannel.SMS]
        ended = EffectEnded(
            stream=str(STREAM),
            ref=text.notice,
            attempt=1,
            outcome="failed",
            reason="no-such-number",
            found={"final": "yes"},
        )
        now = NOON + timedelta(seconds=3)
        message = Message("effect-1", "effect", ended, now, "notify")
        await one.handle([Delivery(Origin.ENGINE, "notify", now, message=message)])

        async with one.pool.acquire() as connection:
            (line,) = lines(await ended_otherwise(connection), 10)
        assert line.split() == [
            *("2026-03-02T04:00:03+00:00", CASE, DISTRICT, "sms", "failed", "no-such-number"),
            "case-offered",
        ]
        name = "lianhu_notify_red_notice_seconds_sum"
        assert registry.get_sample_value(name, {"outcome": "failed"}) == 3
    finally:
        await one.pool.close()
