"""What becomes of notices of a case whose keys are erased or restricted."""

from __future__ import annotations

from datetime import UTC, datetime

from lianhu.contracts.intake import (
    ErasureAsked,
    ErasureOrdered,
    ErasureRestricted,
)
from lianhu.contracts.notify import (
    NoticeSuppressed,
    NotifyErasureAnswered,
    NotifyKeysErased,
    NotifyKeysRestricted,
)
from tests.notify_desk import (
    BY,
    CASE,
    Desk,
    her,
    only,
    sought,
    unit,
)
from tests.notify_events import concluded


def test_an_erasure_is_not_forbidden_and_ends_what_is_under_way() -> None:
    desk = Desk()
    way = sought(desk)
    answer = only(
        desk.hears(ErasureAsked(case=CASE, by=BY, basis="§47"), "e-2"), NotifyErasureAnswered
    )
    assert answer.until is None
    stopped, erased = desk.hears(ErasureOrdered(case=CASE), "e-3")
    assert isinstance(stopped, NoticeSuppressed)
    assert (stopped.notice, stopped.reason) == (way.notice, "key-erased")
    assert isinstance(erased, NotifyKeysErased)
    assert desk.deadlines() == []
    assert desk.case.erased
    assert not desk.case.cards


def test_after_an_erasure_late_events_and_outcomes_of_the_case_are_passed_over() -> None:
    desk = Desk()
    way = sought(desk)
    desk.hears(ErasureOrdered(case=CASE), "e-2")
    assert not desk.hears(concluded(unit(), her()), "e-3")
    assert not desk.looked(way, channel="sms")
    # but an intake that was restored is told again
    only(desk.hears(ErasureOrdered(case=CASE), "e-4"), NotifyKeysErased)


def test_a_restriction_keeps_the_key_and_says_until_when() -> None:
    until = datetime(2031, 3, 1, tzinfo=UTC)
    order = ErasureRestricted(case=CASE, service="mediation", until=until, basis="§27")
    restricted = only(Desk().hears(order), NotifyKeysRestricted)
    assert (restricted.until, restricted.basis) == (until, "§27")
