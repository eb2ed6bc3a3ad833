"""How a person is told: by the safest way, at an allowed hour, once, or by an officer who goes."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from lianhu.contracts.intake import (
    CaseOpened,
    CaseSplit,
    ErasureAsked,
    ErasureOrdered,
    ErasureRestricted,
    Found,
    ReportJoined,
)
from lianhu.contracts.mediation import CaseConcluded, GateOverridden, MovedToProtection
from lianhu.contracts.notify import (
    ContactNoted,
    NoticeAttempted,
    NoticeDeferred,
    NoticeDelivered,
    NoticeFailed,
    NoticeSuppressed,
    NoticeUncertain,
    NoticeWaiting,
    NotifyErasureAnswered,
    NotifyKeysErased,
    NotifyKeysRestricted,
    VisitAsked,
    WaySought,
)
from lianhu.contracts.parts import Account, Audience, DueAt
from lianhu.contracts.vocabulary import (
    AudienceRole,
    Category,
    Channel,
    LegalBasis,
    NoticeChannel,
    Outcome,
    Path,
    Risk,
)
from lianhu.jurisdiction import Level
from lianhu.privacy import Sealed
from tests.notify_desk import (
    BARE,
    BY,
    CASE,
    DISTRICT,
    DUTY,
    POLICY,
    SHE,
    STREET,
    Desk,
    accepted,
    card_ref,
    first,
    her,
    him,
    offered,
    only,
    shown,
    unit,
)

SMS, EMAIL = NoticeChannel.SMS, NoticeChannel.EMAIL
ACCOUNT = Sealed.hold(Account(narrative="he shouts"))
DUE = DueAt(at=datetime(2026, 3, 9, 16, 0, tzinfo=UTC))


def opened(
    *audience: Audience, path: Path = Path.MEDIATION, no_card: str | None = None
) -> CaseOpened:
    return CaseOpened(
        case=CASE,
        publisher="hotline-futian",
        channel=Channel.HOTLINE_12338,
        category=Category.FAMILY_DISPUTE,
        risk=Risk.ORANGE,
        reasons=("he shouts",),
        path=path,
        unit=DISTRICT,
        level=Level.DISTRICT,
        no_card=no_card,
        legal_basis=LegalBasis.CONSENT,
        account=ACCOUNT,
        audience=(unit(code=DISTRICT), *audience),
        policy_version="intake-2026-01",
    )


def joined(no_card: str | None) -> ReportJoined:
    report = opened()
    return ReportJoined(
        case=CASE,
        joined="0" * 32,
        publisher="hotline-futian",
        channel=Channel.HOTLINE_12338,
        risk=Risk.ORANGE,
        reasons=("again",),
        path=Path.MEDIATION,
        grounds=(),
        unit=DISTRICT,
        no_card=no_card,
        alone=Found(**{name: getattr(report, name) for name in Found.model_fields}),
        account=ACCOUNT,
        policy_version="intake-2026-01",
    )


def split() -> CaseSplit:
    return CaseSplit(
        case=CASE,
        new="440304-2026-000124",
        joined="0" * 32,
        by=BY,
        reason=Sealed.hold("another woman"),
    )


def withheld(reason: str) -> Audience:
    return Audience(role=AudienceRole.PERSON_CONCERNED, withheld=reason, neutral=True)


def moved(*audience: Audience) -> MovedToProtection:
    return MovedToProtection(
        case=CASE,
        audience=audience,
        grounds=(),
        from_unit=STREET,
        to_unit=DISTRICT,
        to_level=Level.DISTRICT,
        risk=Risk.ORANGE,
        accept_by=DUE,
        policy_version="mediation-2026-01",
    )


def concluded(*audience: Audience) -> CaseConcluded:
    return CaseConcluded(
        case=CASE,
        audience=audience,
        outcome=Outcome.SETTLED,
        unit=STREET,
        level=Level.STREET,
        missing_steps=(),
        by=BY,
    )


def overridden() -> GateOverridden:
    return GateOverridden(
        case=CASE,
        reason=Sealed.hold("r"),
        wish=Sealed.hold("w"),
        proposed_by=BY,
        by=BY,
        unit=DISTRICT,
        level=Level.DISTRICT,
        accept_by=DUE,
        policy_version="mediation-2026-01",
    )


def sought(desk: Desk, *audience: Audience) -> WaySought:
    return first(desk.hears(accepted(*audience or (her(),))), WaySought)


def attempted(desk: Desk, channel: NoticeChannel = SMS) -> NoticeAttempted:
    return only(desk.looked(sought(desk), channel=channel), NoticeAttempted)


def test_a_person_is_told_in_two_steps_the_way_and_then_the_attempt() -> None:
    desk = Desk()
    noted, way = desk.hears(accepted(her()))
    assert isinstance(noted, ContactNoted)
    assert isinstance(way, WaySought)
    assert (way.channel, way.person, way.unit, way.look) == (None, SHE, None, 1)
    assert way.template == "person/case-accepted"
    attempt = only(desk.looked(way, channel="sms"), NoticeAttempted)
    assert (attempt.channel, attempt.attempt, attempt.card) == (SMS, 1, way.card)
    assert (attempt.notice, attempt.params) == (way.notice, way.params)
    delivered = only(desk.outcome(attempt, "done"), NoticeDelivered)
    assert delivered.channel is SMS
    assert desk.deadlines() == []


def test_nothing_of_a_card_stands_open_in_any_event_or_state() -> None:
    desk = Desk()
    desk.looked(sought(desk), channel="sms")
    written = [event.model_dump_json() for _, event, _ in desk.journal]
    written += [state.model_dump_json() for state in desk.states.values() if state is not None]
    assert not [text for text in written if "13800000001" in text]


def test_outside_the_hours_the_notice_waits_and_is_then_sought_anew() -> None:
    desk = Desk()
    until = desk.now + timedelta(hours=6)
    events = desk.looked(sought(desk), until=until.isoformat(), reason="outside-hours")
    waiting = only(events, NoticeWaiting)
    assert (waiting.reason, waiting.until) == ("outside-hours", until)
    assert [d.due for d in desk.deadlines()] == [until]
    way = only(desk.passes(timedelta(hours=6)), WaySought)
    assert (way.look, way.vain) == (2, 0)


def test_a_sure_failure_is_tried_again_and_then_the_next_channel_of_the_card() -> None:
    desk = Desk()
    attempt = attempted(desk)
    for wait in POLICY.channels[SMS].retry_after:
        put_off = only(desk.outcome(attempt, "failed", "gateway-unreachable"), NoticeDeferred)
        assert put_off.retry_at == desk.now + wait
        way = only(desk.passes(wait), WaySought)
        assert way.tried == ()
        attempt = only(desk.looked(way, channel="sms"), NoticeAttempted)
    assert attempt.attempt == POLICY.channels[SMS].attempts
    way = only(desk.outcome(attempt, "failed", "gateway-unreachable"), WaySought)
    assert way.tried == (SMS,)
    attempt = only(desk.looked(way, channel="email"), NoticeAttempted)
    assert (attempt.channel, attempt.attempt) == (EMAIL, POLICY.channels[SMS].attempts + 1)
    only(desk.outcome(attempt, "failed", "relay-unreachable"), NoticeDeferred)  # counted anew
    assert desk.case.pending[attempt.notice].tries == 1


def test_a_failure_for_good_goes_to_the_next_channel_at_once() -> None:
    desk = Desk()
    attempt = attempted(desk, EMAIL)
    way = only(desk.outcome(attempt, "failed", "address-refused", final="yes"), WaySought)
    assert way.tried == (EMAIL,)


def test_when_every_way_has_failed_the_notice_has() -> None:
    desk = Desk()
    attempt = attempted(desk, EMAIL)
    way = only(desk.outcome(attempt, "failed", "address-refused", final="yes"), WaySought)
    failed = only(desk.looked(way, reason="every-way-failed"), NoticeFailed)
    assert (failed.reason, failed.attempt) == ("every-way-failed", 1)


def test_an_e_mail_that_may_have_been_sent_is_never_sent_again_nor_by_another_way() -> None:
    desk = Desk()
    attempt = attempted(desk, EMAIL)
    only(desk.outcome(attempt, "unknown"), NoticeUncertain)
    assert desk.deadlines() == []
    desk = Desk()
    attempted(desk, EMAIL)
    only(desk.passes(POLICY.channels[EMAIL].answer_within), NoticeUncertain)


def test_a_text_message_that_may_have_been_sent_is_sent_again_under_the_same_key() -> None:
    desk = Desk()
    attempt = attempted(desk)
    way = only(desk.outcome(attempt, "unknown"), WaySought)
    assert way.tried == ()
    again = only(desk.looked(way, channel="sms"), NoticeAttempted)
    assert (again.notice, again.attempt) == (attempt.notice, 2)


def test_after_an_unknown_outcome_no_other_channel_is_tried_and_none_is_said_to_have_failed() -> (
    None
):
    desk = Desk()
    way = only(desk.outcome(attempted(desk), "unknown"), WaySought)
    attempt = only(desk.looked(way, channel="sms"), NoticeAttempted)
    only(desk.outcome(attempt, "failed", "gateway-unreachable", final="yes"), NoticeUncertain)
    desk = Desk()
    way = only(desk.outcome(attempted(desk), "unknown"), WaySought)
    only(desk.looked(way, reason="key-erased"), NoticeUncertain)


def test_after_an_unknown_outcome_a_newer_card_s_other_channel_is_not_tried_either() -> None:
    desk = Desk()
    way = only(desk.outcome(attempted(desk), "unknown"), WaySought)
    only(desk.looked(way, channel="email"), NoticeUncertain)


def test_a_card_that_cannot_be_read_now_is_tried_again_a_bounded_number_of_times() -> None:
    desk = Desk()
    way = sought(desk)
    for wait in POLICY.cards.retry_after:
        waiting = only(desk.looked(way, "failed", "store-unavailable"), NoticeWaiting)
        assert (waiting.reason, waiting.until) == ("card-not-read", desk.now + wait)
        way = only(desk.passes(wait), WaySought)
    assert way.look == POLICY.cards.attempts
    failed = only(desk.looked(way, "failed", "store-unavailable"), NoticeFailed)
    assert failed.reason == "card-not-read"


def test_an_answer_that_never_comes_is_sought_again_a_bounded_number_of_times() -> None:
    desk = Desk()
    sought(desk)
    seen = []
    while desk.deadlines():
        (event,) = desk.passes(POLICY.cards.answer_within)
        seen.append(type(event))
    assert seen == [*[WaySought] * (POLICY.cards.attempts - 1), NoticeFailed]


def test_a_late_answer_about_the_way_is_not_taken_for_that_of_a_later_look() -> None:
    desk = Desk()
    early = sought(desk)
    attempt = only(desk.looked(early, channel="email"), NoticeAttempted)
    way = only(desk.outcome(attempt, "failed", "address-refused", final="yes"), WaySought)
    assert not desk.looked(early, channel="email")
    assert only(desk.looked(way, channel="sms"), NoticeAttempted).channel is SMS


def test_a_second_answer_about_the_way_changes_nothing() -> None:
    desk = Desk()
    way = sought(desk)
    desk.looked(way, channel="sms")
    assert not desk.looked(way, channel="email")


def test_the_same_event_in_two_roles_is_told_to_one_person_once_and_with_the_greater_care() -> None:
    desk = Desk()
    also = Audience(role=AudienceRole.OTHER_PARTY, card=card_ref(SHE), neutral=False)
    events = desk.hears(accepted(her(), also))
    assert len([event for event in events if isinstance(event, WaySought)]) == 1
    desk = Desk()
    events = desk.hears(accepted(also, her(neutral=True)))
    assert first(events, WaySought).template == "neutral/news"


def test_an_older_card_is_told_by_the_newer_one_that_is_known() -> None:
    desk = Desk()
    newer = card_ref(version=3)
    desk.hears(accepted(her(newer)), "e-1")
    way = first(desk.hears(concluded(her(card_ref(version=2))), "e-2"), WaySought)
    assert way.card == newer


def test_a_card_that_an_event_brings_is_noted_even_where_nobody_is_told() -> None:
    desk = Desk()
    newer = card_ref(version=2)
    desk.hears(accepted(her(newer)).model_copy(update={"audience": (her(newer),)}), "e-1")
    desk.hears(joined(None).model_copy(update={"card": card_ref(version=5)}), "e-2")
    assert desk.case.cards[AudienceRole.PERSON_CONCERNED].version == 5


def test_a_notice_that_waits_goes_by_the_card_that_came_meanwhile() -> None:
    desk = Desk()
    until = (desk.now + timedelta(hours=1)).isoformat()
    desk.looked(sought(desk), until=until, reason="outside-hours")
    newer = card_ref(version=2)
    desk.hears(joined(None).model_copy(update={"card": newer}), "e-2")
    assert only(desk.passes(timedelta(hours=1)), WaySought).card == newer


def test_a_newer_card_replaces_an_older_one_also_under_another_reference() -> None:
    desk = Desk()
    newer = card_ref("c" * 32, version=2)
    desk.hears(accepted(her(newer)), "e-1")
    way = first(desk.hears(concluded(her(card_ref(SHE, version=1))), "e-2"), WaySought)
    assert (way.card, way.person) == (newer, "c" * 32)
    assert len(desk.case.cards) == 1


def test_a_card_that_is_replaced_while_it_is_looked_at_counts_no_more() -> None:
    desk = Desk()
    way = sought(desk)
    newer = card_ref(version=2)
    desk.hears(joined(None).model_copy(update={"card": newer}), "e-2")
    again = only(desk.looked(way, reason="no-safe-contact"), WaySought)
    assert (again.card, again.look, again.vain) == (newer, 2, 0)
    assert only(desk.looked(again, channel="sms"), NoticeAttempted).card == newer


def test_two_cards_of_one_version_are_a_doubt_and_nobody_is_told() -> None:
    desk = Desk()
    desk.hears(accepted(her()), "e-1")
    stranger = her(card_ref("c" * 32))
    assert only(desk.hears(concluded(stranger), "e-2"), NoticeSuppressed).reason == "card-in-doubt"


def test_the_card_of_a_report_that_is_split_off_again_is_used_no_more() -> None:
    desk = Desk()
    desk.hears(accepted(her()), "e-1")
    desk.hears(joined(None).model_copy(update={"card": card_ref("c" * 32, version=2)}), "e-2")
    before = card_ref(SHE, version=3)
    desk.hears(split().model_copy(update={"card": before}), "e-3")
    assert first(desk.hears(concluded(her()), "e-4"), WaySought).card == before
    desk.hears(split().model_copy(update={"no_card": "no-contact-card"}), "e-5")
    late = only(desk.hears(concluded(her()), "e-6"), NoticeSuppressed)
    assert late.reason == "no-contact-card"


@pytest.mark.parametrize("reason", ["no-safe-contact", "no-contact-card"])
def test_a_card_taken_back_by_intake_stops_what_waits_until_a_newer_one_comes(reason: str) -> None:
    desk = Desk()
    until = (desk.now + timedelta(hours=1)).isoformat()
    desk.looked(sought(desk), until=until, reason="outside-hours")
    desk.hears(joined(reason), "e-2")
    assert only(desk.passes(timedelta(hours=1)), NoticeSuppressed).reason == reason
    assert first(desk.hears(concluded(her()), "e-3"), NoticeSuppressed).reason == reason
    assert first(desk.hears(concluded(her(card_ref(version=2))), "e-4"), WaySought)


def test_a_report_that_says_nothing_of_contact_takes_no_card_back() -> None:
    desk = Desk()
    desk.hears(accepted(her()), "e-1")
    desk.hears(joined(None), "e-2")
    assert first(desk.hears(concluded(her()), "e-3"), WaySought)


def test_what_another_service_withholds_binds_its_own_event_only() -> None:
    desk = Desk()
    desk.hears(accepted(her()), "e-1")
    assert first(desk.hears(concluded(withheld("no-contact-card")), "e-2"), NoticeSuppressed)
    assert first(desk.hears(concluded(her()), "e-3"), WaySought)


@pytest.mark.parametrize("reason", ["no-safe-contact", "no-contact-card"])
def test_where_nothing_is_safe_an_officer_of_the_owning_unit_is_asked_to_go(reason: str) -> None:
    desk = Desk()
    events = desk.hears(opened(withheld(reason), path=Path.PROTECTION, no_card=reason))
    suppressed = first(events, NoticeSuppressed)
    assert suppressed.reason == reason
    visit = first(events, VisitAsked)
    assert (visit.unit, visit.reason, visit.notice) == (DISTRICT, reason, suppressed.notice)
    told = first(events, NoticeAttempted)
    assert (told.unit, told.template, told.channel) == (
        DISTRICT,
        "visit-asked",
        NoticeChannel.IN_APP,
    )
    assert (told.about, told.about_type) == (suppressed.notice, VisitAsked.type_)
    assert reason not in str(told.params)


def test_an_ordinary_dispute_sends_nobody_to_a_person_without_a_card() -> None:
    desk = Desk()
    events = desk.hears(opened(Audience(role=AudienceRole.PERSON_CONCERNED)))
    assert [type(event) for event in events] == [NoticeSuppressed]


def test_nobody_goes_to_a_child_whose_guardian_is_the_suspect() -> None:
    reason = "guardian-is-suspect"
    events = Desk().hears(opened(withheld(reason), path=Path.PROTECTION, no_card=reason))
    assert not [event for event in events if isinstance(event, VisitAsked | NoticeAttempted)]


def test_a_card_that_shows_no_safe_way_sends_an_officer_too() -> None:
    desk = Desk()
    way = first(desk.hears(opened(her(neutral=True), path=Path.PROTECTION)), WaySought)
    events = desk.looked(way, reason="no-safe-contact")
    suppressed, visit, *asked = events
    assert (type(suppressed), type(visit)) == (NoticeSuppressed, VisitAsked)
    assert shown(asked).about == way.notice


def test_an_uncertain_end_sends_an_officer_too() -> None:
    desk = Desk()
    way = first(desk.hears(opened(her(neutral=True), path=Path.PROTECTION)), WaySought)
    attempt = only(desk.looked(way, channel="email"), NoticeAttempted)
    events = desk.outcome(attempt, "unknown")
    uncertain, visit, *asked = events
    assert (type(uncertain), type(visit)) == (NoticeUncertain, VisitAsked)
    assert shown(asked).about == attempt.notice


@pytest.mark.parametrize("slug", ["key-erased", "key-restricted"])
def test_of_an_erased_or_restricted_case_nobody_is_told_and_nobody_goes(slug: str) -> None:
    desk = Desk()
    way = first(desk.hears(opened(her(neutral=True), path=Path.PROTECTION)), WaySought)
    assert only(desk.looked(way, reason=slug), NoticeSuppressed).reason == slug
    desk = Desk()
    way = first(desk.hears(opened(her(neutral=True), path=Path.PROTECTION)), WaySought)
    attempt = only(desk.looked(way, channel="sms"), NoticeAttempted)
    ended = desk.outcome(attempt, "failed", slug, closed="yes")
    assert only(ended, NoticeSuppressed).reason == slug


def test_on_the_protection_path_the_other_party_is_told_nothing_even_if_an_audience_names_him() -> (
    None
):
    desk = Desk()
    desk.hears(opened(her(neutral=True), path=Path.PROTECTION), "e-1")
    him_told = [e for e in desk.hears(accepted(him()), "e-2") if not isinstance(e, ContactNoted)]
    assert only(him_told, NoticeSuppressed).reason == "protection-path"


def test_a_late_event_that_does_not_know_of_the_protection_path_is_told_in_neutral_words() -> None:
    desk = Desk()
    desk.hears(moved(), "e-1")
    assert first(desk.hears(concluded(her(neutral=False)), "e-2"), WaySought).template == (
        "neutral/news"
    )


def test_a_notice_that_waits_while_the_case_turns_to_protection_goes_in_neutral_words() -> None:
    desk = Desk()
    until = (desk.now + timedelta(hours=1)).isoformat()
    desk.looked(sought(desk), until=until, reason="outside-hours")
    desk.hears(moved(), "e-2")
    way = only(desk.passes(timedelta(hours=1)), WaySought)
    assert (way.template, way.params) == ("neutral/news", {})


def test_the_other_party_s_invitation_that_waits_is_dropped_when_the_case_turns_to_protection() -> (
    None
):
    desk = Desk()
    way = sought(desk, him())
    desk.hears(moved(), "e-2")
    stopped = only(desk.looked(way, channel="sms"), NoticeSuppressed)
    assert stopped.reason == "protection-path"


def test_two_persons_take_a_case_off_the_protection_path() -> None:
    desk = Desk()
    desk.hears(opened(her(neutral=True), path=Path.PROTECTION), "e-1")
    desk.hears(overridden(), "e-2")
    way = first(desk.hears(accepted(her()), "e-3"), WaySought)
    assert way.template == "person/case-accepted"


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
