"""What welfare says no to, by path and slug, every fault at once; nothing happens then."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from lianhu.contracts.decode import decode
from lianhu.contracts.faults import Poison
from lianhu.contracts.money import Money
from lianhu.contracts.payments import FundPool
from lianhu.contracts.welfare import (
    Apply,
    RecordDelivery,
    RecordExternalOutcome,
    ResubmitApplication,
    Verdict,
    WithdrawApplication,
)
from lianhu.eventing.rules import EffectEnded
from lianhu.jurisdiction import Level, Post
from lianhu.welfare.workflow.state import Status
from tests.welfare_desk import (
    CASE,
    CITY,
    COMMUNITY,
    DISTRICT,
    OFFICERS,
    POLICY,
    POOL,
    SHELTER,
    STREET,
    TREASURY,
    Desk,
    answer,
    applicant,
    apply,
    at,
    fund,
    instructed,
    officer,
    opened,
    refused,
    relief_signed,
    sign,
    signer,
)

A1 = f"{CASE}-a1"
NOON = "2026-03-12 12:00"
NANSHAN = "440305000000"
RESUBMIT = ResubmitApplication(case=CASE, application=A1, by=officer(), papers=())


def desk_at(level: Level) -> Desk:
    """An application that the levels up to this one have signed."""
    desk = Desk()
    relief_signed(desk, level)
    return desk


def opened_desk() -> Desk:
    desk = Desk()
    desk.hand(opened(), at("2026-03-02 09:30"))
    return desk


@pytest.mark.parametrize(
    ("change", "faults"),
    [
        ({"by": officer(post=Post.REVIEWER)}, ["/by/post post-may-not"]),
        ({"by": officer(unit=NANSHAN)}, ["/by/unit wrong-unit"]),
        (
            {"by": officer(post=Post.FINANCE, unit="440304999999")},
            ["/by/post post-may-not", "/by/unit unknown-unit"],
        ),
        ({"programme": "lottery"}, ["/programme unknown-programme"]),
        ({"payee": None}, ["/payee payee-missing"]),
        ({"cause": None}, ["/cause cause-missing"]),
        ({"amount": Money(amount="3000.01")}, ["/amount more-than-is-given"]),
        ({"amount": Money(amount="0")}, ["/amount nothing"]),
        (
            {"amount": Money(amount="2000.01"), "emergency": True},
            ["/amount more-than-is-given"],
        ),
        ({"applicant": applicant(tags=())}, ["/applicant not-in-difficulty"]),
        (
            {"applicant": applicant(tags=(), monthly_income=Money(amount="4000.01"))},
            ["/applicant not-in-difficulty", "/applicant income-too-high"],
        ),
        ({"applicant": applicant(born="1990-02-31")}, ["/applicant/born implausible-date"]),
        ({"applicant": applicant(born="2026-03-13")}, ["/applicant/born implausible-date"]),
        ({"applicant": applicant("--()--")}, ["/applicant/document unreadable-document"]),
        ({"applicant": applicant("0000000000")}, ["/applicant/document unreadable-document"]),
        (
            {"programme": "shelter", "amount": Money(amount="1")},
            ["/applicant no-need-of-shelter", "/amount no-amount-here"],
        ),
        (
            {"programme": "four-cancer-relief", "emergency": True},
            ["/applicant not-of-the-four-cancers", "/emergency no-emergency-help"],
        ),
        (
            {"payee": None, "cause": None, "by": officer(unit=NANSHAN)},
            ["/by/unit wrong-unit", "/payee payee-missing", "/cause cause-missing"],
        ),
    ],
)
def test_an_application_that_cannot_be(change: dict[str, Any], faults: list[str]) -> None:
    assert refused(opened_desk(), apply(**change), NOON) == faults


def test_an_application_from_a_system_of_another_branch() -> None:
    system = OFFICERS.model_copy(update={"unit": NANSHAN})
    assert refused(opened_desk(), apply(), NOON, system) == ["/by/unit unit-not-of-publisher"]


def test_fifty_applications_of_one_case_are_enough() -> None:
    desk = opened_desk()
    for n in range(50):
        desk.hand(apply(cause=f"cause-{n}"), at("2026-03-02 10:00"))
    assert refused(desk, apply(), NOON) == ["/case too-many-applications"]


def test_whoever_submitted_it_does_not_decide_on_it() -> None:
    desk = desk_at(Level.COMMUNITY)
    for verdict in Verdict:
        own = sign(verdict=verdict, by=signer(Level.STREET, "clerk-1"))
        assert refused(desk, own, NOON) == ["/by/officer own-submission"]


def test_whoever_made_it_complete_does_not_decide_on_it_either() -> None:
    desk = Desk()
    desk.hand(fund(), at("2026-03-02 09:00"))
    desk.hand(opened(), at("2026-03-02 09:30"))
    desk.hand(apply(papers=("identity",)), at("2026-03-02 10:00"))
    desk.hand(sign(verdict=Verdict.RETURN), at("2026-03-03 09:00"))
    helper = officer("helper")
    again = RESUBMIT.model_copy(update={"papers": ("difficulty-proof",), "by": helper})
    desk.hand(again, at("2026-03-03 10:00"))

    own = sign(by=signer(Level.STREET, "helper"))
    assert refused(desk, own, NOON) == ["/by/officer own-submission"]
    desk.hand(sign(), at("2026-03-03 11:00"))  # who returned it may approve it


def test_nobody_signs_two_levels() -> None:
    desk = desk_at(Level.STREET)
    desk.miss("notice")
    for verdict in Verdict:
        again = sign(Level.DISTRICT, verdict, by=signer(Level.DISTRICT, "reviewer-street"))
        assert refused(desk, again, NOON) == ["/by/officer signed-before"]


def test_whoever_signed_it_does_not_submit_it_again() -> None:
    signer_of_it = officer("reviewer-street")
    desk = desk_at(Level.STREET)
    desk.miss("notice")
    own = RESUBMIT.model_copy(update={"by": signer_of_it, "payee": "card-0666"})
    assert refused(desk, own, NOON) == ["/by/officer signed-before", "/application not-returned"]

    desk.hand(sign(Level.DISTRICT, Verdict.RETURN), at("2026-03-10 10:00"))
    anew = own.model_copy(update={"applicant": applicant("440304199002285678")})
    assert refused(desk, anew, NOON) == [
        "/by/officer signed-before",
        "/applicant/document another-person",
    ]
    desk.hand(RESUBMIT, at("2026-03-11 10:00"))  # another may
    desk.check()


def test_whoever_approved_a_payment_that_came_back_does_not_send_it_elsewhere() -> None:
    desk = desk_at(Level.CITY)
    for moment in ("2026-03-11 09:00", "2026-03-12 09:00"):
        order = instructed(desk)
        desk.hand(answer(order, bounced=[A1]), at(moment))
    assert desk.application().status is Status.BOUNCED
    for name in ("reviewer-street", "reviewer-district", "reviewer-city"):
        own = RESUBMIT.model_copy(update={"by": officer(name), "payee": "card-0666"})
        assert refused(desk, own, NOON) == ["/by/officer signed-before"]
    desk.hand(RESUBMIT.model_copy(update={"payee": "card-0002"}), at(NOON))
    desk.check()


def test_whoever_returned_what_he_had_signed_may_put_it_right_and_signs_no_more() -> None:
    desk = desk_at(Level.STREET)
    desk.hand(sign(verdict=Verdict.RETURN), at("2026-03-04 09:00"))
    desk.hand(
        RESUBMIT.model_copy(update={"by": officer("reviewer-street")}), at("2026-03-04 10:00")
    )
    assert refused(desk, sign(), NOON) == ["/by/officer own-submission"]


def test_an_approval_that_comes_twice_or_out_of_order() -> None:
    desk = desk_at(Level.COMMUNITY)
    assert refused(desk, sign(Level.CITY), NOON) == ["/by/unit wrong-unit"]
    desk.hand(sign(), at("2026-03-03 10:00"))
    assert refused(desk, sign(), NOON) == ["/application public-notice-running"]
    desk.miss("notice")
    assert refused(desk, sign(), NOON) == ["/by/unit wrong-unit", "/by/officer signed-before"]
    desk.hand(sign(Level.DISTRICT), at("2026-03-10 10:00"))
    desk.hand(sign(Level.CITY), at("2026-03-11 10:00"))
    assert refused(desk, sign(Level.CITY), NOON) == ["/application already-approved"]


def test_an_approval_by_the_wrong_post_or_for_another_unit() -> None:
    desk = desk_at(Level.COMMUNITY)
    for unit in (NANSHAN, COMMUNITY, DISTRICT, CITY):
        by = officer("reviewer-7", Post.REVIEWER, unit)
        assert refused(desk, sign(by=by), NOON) == ["/by/unit wrong-unit"]
    by = officer("reviewer-7", Post.FINANCE, STREET)
    assert refused(desk, sign(by=by), NOON) == ["/by/post post-may-not"]
    by = officer("clerk-1", Post.FINANCE, NANSHAN)
    assert refused(desk, sign(by=by), NOON) == [
        "/by/post post-may-not",
        "/by/unit wrong-unit",
        "/by/officer own-submission",
    ]


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"amount": Money(amount="3000.01")}, "/amount more-than-asked"),
        ({"amount": Money(amount="0")}, "/amount nothing"),
        ({"verdict": Verdict.RETURN, "reason": None}, "/reason reason-missing"),
        ({"verdict": Verdict.REFUSE, "reason": None}, "/reason reason-missing"),
        (
            {"verdict": Verdict.RETURN, "amount": Money(amount="1"), "reason": "Too much."},
            "/amount no-amount-here",
        ),
        ({"number": 2}, "/application unknown-application"),
    ],
)
def test_a_say_that_cannot_be(change: dict[str, Any], fault: str) -> None:
    assert refused(desk_at(Level.COMMUNITY), sign(**change), NOON) == [fault]


def test_an_application_without_its_papers_is_not_approved() -> None:
    desk = opened_desk()
    desk.hand(apply(papers=()), at("2026-03-02 10:00"))
    assert refused(desk, sign(), NOON) == ["/application papers-missing"]


def test_what_is_not_returned_is_not_submitted_again() -> None:
    desk = desk_at(Level.COMMUNITY)
    assert refused(desk, RESUBMIT, NOON) == ["/application not-returned"]
    desk.hand(sign(verdict=Verdict.REFUSE), at("2026-03-03 10:00"))
    assert refused(desk, RESUBMIT, NOON) == ["/application already-ended"]
    assert refused(desk, sign(), NOON) == ["/application already-ended"]
    gone = WithdrawApplication(case=CASE, application=A1, by=officer(), reason="No.")
    assert refused(desk, gone, NOON) == ["/application already-ended"]


def test_what_is_submitted_again_is_complete_and_of_the_same_person() -> None:
    desk = opened_desk()
    desk.hand(apply(papers=()), at("2026-03-02 10:00"))
    desk.hand(sign(verdict=Verdict.RETURN), at("2026-03-03 10:00"))
    other = applicant("440304199002285678", tags=())
    again = RESUBMIT.model_copy(update={"papers": ("identity",), "applicant": other})
    assert refused(desk, again, NOON) == [
        "/papers papers-missing",
        "/applicant not-in-difficulty",
        "/applicant/document another-person",
    ]
    assert refused(desk, sign(), NOON) == [
        "/application awaiting-correction",
    ]


def test_what_is_described_anew_is_judged_anew_and_never_gives_more() -> None:
    desk = opened_desk()
    desk.hand(fund(), at("2026-03-02 09:40"))
    desk.hand(apply(applicant=applicant(household=4), papers=()), at("2026-03-02 10:00"))
    assert desk.application().amount == 400_000
    desk.hand(sign(verdict=Verdict.RETURN), at("2026-03-03 10:00"))
    papers = ("identity", "difficulty-proof")
    again = RESUBMIT.model_copy(update={"papers": papers, "applicant": applicant(household=2)})
    desk.hand(again, at("2026-03-04 10:00"))
    assert desk.application().amount == 300_000
    assert desk.application().shown == "王**"


def test_what_is_no_service_is_not_delivered_and_what_is_ours_not_decided_elsewhere() -> None:
    desk = desk_at(Level.COMMUNITY)
    home = RecordDelivery(case=CASE, application=A1, by=officer())
    assert refused(desk, home, NOON) == ["/application no-programme-of-service"]
    elsewhere = RecordExternalOutcome(case=CASE, application=A1, by=officer(), granted=True)
    assert refused(desk, elsewhere, NOON) == ["/application no-programme-of-external"]


@pytest.mark.parametrize(
    ("command", "fault"),
    [
        (fund(pool=f"lottery/{DISTRICT}/2026"), "/pool unknown-pool"),
        (fund(pool=f"difficulty-relief/{NANSHAN}/2026"), "/pool unknown-pool"),
        (fund(pool=f"difficulty-relief/{STREET}/2026"), "/pool unknown-pool"),
        (fund(pool=f"difficulty-relief/{CITY}/2026"), "/pool unknown-pool"),
        (fund(pool=f"difficulty-relief/{DISTRICT}/2028"), "/pool unknown-pool"),
        (fund(pool=f"four-cancer-relief/{DISTRICT}/2026"), "/pool unknown-pool"),
        (fund(pool=SHELTER), "/pool unknown-pool"),
        (fund(0), "/amount nothing"),
    ],
)
def test_a_pool_that_is_not_there_is_not_funded(command: FundPool, fault: str) -> None:
    assert refused(Desk(), command, NOON) == [fault]


def test_a_pool_is_funded_by_its_own_treasury() -> None:
    other = TREASURY.model_copy(update={"name": "treasury-nanshan"})
    assert refused(Desk(), fund(), NOON, other) == ["/pool not-of-this-publisher"]


@pytest.mark.parametrize(
    ("amount", "path"),
    [
        ('{"amount": "-5"}', "/amount/amount"),
        ('{"amount": "5.123456789"}', "/amount/amount"),
        ('{"amount": "5", "currency": "USD"}', "/amount/currency"),
        ('{"amount": 5}', "/amount/amount"),
    ],
)
def test_an_amount_that_is_none_never_reaches_the_rules(amount: str, path: str) -> None:
    body = apply().model_dump_json().replace('"amount":null', f'"amount":{amount}', 1)
    model, faults = decode(Apply, body.encode())
    assert model is None
    assert [fault.path for fault in faults] == [path]


def test_all_envelopes_that_may_be_next_are_full() -> None:
    payment = POLICY.payment.model_copy(update={"items": 1})
    desk = Desk(replace(POLICY, payment=payment))
    cases = [f"440304-2026-{n:06d}" for n in range(1, 5)]
    desk.hand(fund(), at("2026-03-02 09:00"))
    for n, case in enumerate(cases):
        desk.hand(opened(case), at("2026-03-02 09:30"))
        desk.hand(
            apply(case, applicant=applicant(f"44030419900228{n:04d}"), emergency=True),
            at("2026-03-02 10:00"),
        )
    for case in cases[:3]:
        desk.hand(sign(case=case), at("2026-03-02 11:00"))
    last = sign(case=cases[3])
    assert refused(desk, last, "2026-03-02 12:00") == ["/application envelopes-full"]
    order = instructed(desk)
    assert (order.envelope, order.count) == (f"{POOL}/2026-03-02", 1)
    desk.hand(last, at("2026-03-03 12:00"))


def test_a_message_that_is_not_for_welfare() -> None:
    ended = EffectEnded(stream=f"case/{CASE}", ref="n", attempt=1, outcome="done")
    with pytest.raises(Poison, match="not-for-welfare"):
        Desk().hand(ended, at(NOON))
