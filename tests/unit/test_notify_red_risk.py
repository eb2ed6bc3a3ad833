"""Red risk in the quiet hours: the duty officer is woken, everybody else sleeps."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from lianhu.contracts.notify import (
    NoticeAttempted,
    NoticeSuppressed,
    NoticeWaiting,
)
from lianhu.contracts.vocabulary import (
    AudienceRole,
    NoticeChannel,
    Risk,
)
from tests.notify_desk import (
    BARE,
    DISTRICT,
    DUTY,
    EMAIL,
    POLICY,
    SMS,
    STREET,
    Desk,
    offered,
    only,
    shown,
    unit,
)
from tests.notify_events import opened


def test_red_risk_wakes_the_duty_officer_in_the_quiet_hours_and_everybody_else_sleeps() -> None:
    night = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)  # 23:00
    desk = Desk(now=night)
    red = opened().model_copy(update={"risk": Risk.RED})
    assert not desk.hears(red)  # mediation's offer tells the unit

    heard = desk.hears(offered(unit(code=DISTRICT), risk=Risk.RED), "e-2")
    assert {event.channel for event in heard if isinstance(event, NoticeAttempted)} == {
        NoticeChannel.IN_APP,
        SMS,
        EMAIL,
    }
    heard = desk.hears(offered(unit(code=DISTRICT), risk=Risk.ORANGE), "e-3")
    assert [event.channel for event in heard if isinstance(event, NoticeAttempted)] == [
        NoticeChannel.IN_APP
    ]


def test_a_unit_without_a_duty_contact_hears_of_red_risk_on_its_screen() -> None:

    heard = Desk().hears(offered(unit(code=STREET), risk=Risk.RED))
    assert shown(heard).unit == STREET


def test_a_duty_contact_without_a_line_out_is_named_as_not_told() -> None:

    heard = Desk(replace(BARE, directory=DUTY)).hears(offered(unit(code=DISTRICT), risk=Risk.RED))
    reasons = {e.channel: e.reason for e in heard if isinstance(e, NoticeSuppressed)}
    assert reasons == {SMS: "channel-not-configured", EMAIL: "channel-not-configured"}


def test_a_policy_that_writes_to_units_by_e_mail_lets_them_sleep() -> None:

    rules = dict(POLICY.rules)
    rule = rules["lianhu.mediation.case-offered.v1"]
    assert rule.tell is not None
    entry = rule.tell[AudienceRole.OWNING_UNIT].model_copy(update={"channels": (EMAIL,)})
    rules["lianhu.mediation.case-offered.v1"] = rule.model_copy(
        update={"tell": {**rule.tell, AudienceRole.OWNING_UNIT: entry}}
    )
    night = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)
    desk = Desk(replace(POLICY, rules=rules), night)
    waiting = only(desk.hears(offered(unit(code=DISTRICT))), NoticeWaiting)
    assert waiting.until == datetime(2026, 3, 2, 23, 0, tzinfo=UTC)
    attempt = only(desk.passes(timedelta(hours=8)), NoticeAttempted)
    assert (attempt.channel, attempt.attempt) == (EMAIL, 1)
