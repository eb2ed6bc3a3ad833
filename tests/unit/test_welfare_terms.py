"""An application is decided by the rules under which it was made, whatever becomes of them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lianhu.contracts.faults import Poison
from lianhu.contracts.welfare import (
    ApplicationApproved,
    ApplicationEnded,
    ApplicationEscalated,
    ApplicationSigned,
    ApplicationSubmitted,
    Ending,
    PublicNoticeStarted,
    RecordDelivery,
)
from lianhu.eventing.rules import case_stream
from lianhu.jurisdiction import Level
from lianhu.welfare.policy import Policy
from lianhu.welfare.programmes import Programme, of_terms
from lianhu.welfare.workflow.state import CaseState
from tests.welfare_desk import (
    CASE,
    POLICY,
    SHELTER,
    Desk,
    answer,
    apply,
    at,
    fund,
    instructed,
    officer,
    only,
    opened,
    protected,
    refused,
    sign,
)

A1 = f"{CASE}-a1"


def without(*names: str) -> Policy:
    """The same city after these programmes were taken away."""
    left = {name: one for name, one in POLICY.programmes.items() if name not in names}
    return replace(POLICY, programmes=left)


def changed(programme: Programme, **fields: object) -> Policy:
    """The same city after one programme was written anew."""
    new = Programme.model_validate({**programme.model_dump(), **fields})
    return replace(POLICY, programmes={**POLICY.programmes, new.id: new})


def applied() -> Desk:
    """A case with money in its pool and an application that waits for the street."""
    desk = Desk()
    desk.hand(fund(), at("2026-03-02 09:00"))
    desk.hand(opened(), at("2026-03-02 09:30"))
    desk.hand(apply(), at("2026-03-02 10:00"))
    return desk


@pytest.mark.parametrize("name", sorted(POLICY.programmes))
def test_a_programme_is_read_again_from_its_terms_as_it_was(name: str) -> None:
    programme = POLICY.programmes[name]
    assert of_terms(programme.terms()) == programme


def test_an_application_goes_its_whole_way_after_its_programme_was_taken_away() -> None:
    desk = applied()
    desk.policy = without("difficulty-relief")

    assert only(desk.miss("sign"), ApplicationEscalated).missed == "sign"
    desk.hand(sign(), at("2026-03-06 10:00"))
    desk.miss("notice")
    desk.hand(sign(Level.DISTRICT), at("2026-03-10 10:00"))
    approved = only(desk.hand(sign(Level.CITY), at("2026-03-11 10:00")), ApplicationApproved)
    assert approved.amount == 300_000
    ended = only(desk.hand(answer(instructed(desk)), at("2026-03-12 10:00")), ApplicationEnded)
    assert ended.ending is Ending.PAID
    assert refused(desk, apply(cause="spring"), "2026-03-13 10:00") == [
        "/programme unknown-programme"
    ]
    desk.check()


def test_a_chain_and_a_notice_that_were_changed_since_are_for_new_applications_only() -> None:
    desk = applied()
    relief = POLICY.programmes["difficulty-relief"]
    street = relief.chain[0].model_dump()
    desk.policy = changed(relief, chain=[street], notice=None)

    signed = desk.hand(sign(), at("2026-03-03 10:00"))
    assert only(signed, ApplicationSigned).next_level is Level.DISTRICT
    assert only(signed, PublicNoticeStarted).application == A1
    later = desk.hand(apply(cause="spring"), at("2026-03-03 11:00"))
    assert only(later, ApplicationSubmitted).terms == desk.policy.programmes[relief.id].terms()
    approved = desk.hand(sign(number=2), at("2026-03-03 12:00"))
    assert only(approved, ApplicationApproved).application == f"{CASE}-a2"
    desk.check()


def test_places_are_as_many_as_there_are_now_and_of_a_programme_taken_away_as_it_said_last() -> (
    None
):
    shelter = POLICY.programmes["shelter"]
    wanted = apply(programme="shelter", cause=None, payee=None, papers=())
    for policy, places in (
        (without("shelter"), 12),
        (
            changed(shelter, fund={**dict(shelter.fund or ()), "places": {protected()["unit"]: 3}}),
            3,
        ),
    ):
        desk = Desk()
        desk.hand(opened(**protected()), at("2026-03-02 09:30"))
        desk.hand(wanted, at("2026-03-02 10:00"))
        desk.policy = policy
        desk.hand(sign(Level.DISTRICT), at("2026-03-02 11:00"))
        assert desk.pool(SHELTER) == {"source": -places, "available": places - 1, "committed": 1}
        home = RecordDelivery(case=CASE, application=A1, by=officer())
        assert only(desk.hand(home, at("2026-03-20 09:00")), ApplicationEnded)
        desk.check()


def test_what_an_earlier_release_took_goes_by_the_programme_of_today() -> None:
    desk = applied()
    stream = case_stream(CASE)
    old = desk.states[stream]
    assert isinstance(old, CaseState)
    kept = desk.application().model_copy(update={"terms": None})
    desk.states[stream] = old.with_application(kept)

    assert only(desk.hand(sign(), at("2026-03-03 10:00")), ApplicationSigned)
    desk.policy = without("difficulty-relief")
    with pytest.raises(Poison, match="programme-gone"):
        desk.miss("notice")


def test_terms_that_this_release_cannot_read_wait_for_one_that_can() -> None:
    desk = applied()
    stream = case_stream(CASE)
    old = desk.states[stream]
    assert isinstance(old, CaseState)
    desk.states[stream] = old.with_application(
        desk.application().model_copy(update={"terms": '{"id": "of-tomorrow"}'})
    )
    with pytest.raises(Poison, match="terms-unreadable"):
        desk.hand(sign(), at("2026-03-03 10:00"))
