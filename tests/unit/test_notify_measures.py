"""How long a red-risk notice to officers took is measured from what it tells of to its end."""

from __future__ import annotations

from datetime import timedelta

from prometheus_client import CollectorRegistry

from lianhu.contracts.notify import NoticeAttempted
from lianhu.contracts.vocabulary import AudienceRole, NoticeChannel, Risk
from lianhu.eventing.measures import Happened
from lianhu.eventing.rules import State, Stream
from lianhu.notify import workflow
from lianhu.notify.measures import NotifyMeasures
from tests.notify_desk import DISTRICT, Desk, her, offered, unit

UNIT = unit(AudienceRole.OWNING_UNIT, DISTRICT)


def measured(desk: Desk, late: timedelta = timedelta(0)) -> CollectorRegistry:
    """What the engine would have counted of a desk's journal, committed so much later."""
    registry = CollectorRegistry()
    measures, states = NotifyMeasures(registry), dict[Stream, State | None]()
    for stream, event, at in desk.journal:
        before = states.get(stream)
        measures.happened(Happened(stream, before, event, at), at + late)
        states[stream] = workflow.evolve(stream, before, event, at)
    return registry


def shown(registry: CollectorRegistry, sample: str, **labels: str) -> float | None:
    return registry.get_sample_value(f"lianhu_notify_red_notice_seconds_{sample}", labels)


def attempts(desk: Desk) -> list[NoticeAttempted]:
    return [event for _, event, _ in desk.journal if isinstance(event, NoticeAttempted)]


def test_a_red_notice_counts_from_the_report_to_what_the_channel_says() -> None:
    desk = Desk()
    desk.hears(offered(UNIT, risk=Risk.RED))
    desk.now += timedelta(seconds=40)
    ways = {attempt.channel: attempt for attempt in attempts(desk)}
    desk.outcome(ways[NoticeChannel.EMAIL], "done")
    desk.outcome(ways[NoticeChannel.SMS], "failed", "no-such-number", final="yes")

    registry = measured(desk, late=timedelta(seconds=2))
    assert shown(registry, "sum", outcome="delivered") == 2 + 42, "the screen and the e-mail"
    assert shown(registry, "bucket", outcome="delivered", le="30.0") == 1
    assert shown(registry, "bucket", outcome="delivered", le="60.0") == 2
    assert shown(registry, "count", outcome="failed") == 1


def test_what_is_not_red_and_what_people_are_told_is_not_counted() -> None:
    desk = Desk()
    desk.hears(offered(UNIT, her()))

    assert shown(measured(desk), "count", outcome="delivered") == 0
