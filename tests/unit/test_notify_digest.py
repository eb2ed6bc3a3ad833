"""What may wait is heard together on the next working morning, and never twice or not at all."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta

from hypothesis import given
from hypothesis import strategies as st

from lianhu.contracts.intake import CaseClosed
from lianhu.contracts.notify import DigestAdded, NoticeBundled
from lianhu.contracts.vocabulary import AudienceRole, Language, NoticeChannel, Outcome
from lianhu.eventing.rules import Rank, Stream
from lianhu.jurisdiction import LIBRARY_YEARS, SHANGHAI, Calendar, Level, Notice
from lianhu.notify.digests import digest_stream, digests_of
from lianhu.notify.state import NAMED, DigestState
from tests.notify_desk import CASE, DISTRICT, NOON, POLICY, STREET, Desk, only, shown, unit

DIGEST = Stream(Rank.DIGEST, f"{STREET}-2026-03-03")
MORNING = datetime(2026, 3, 3, 0, 30, tzinfo=UTC)  # Tuesday, 8:30


def closed(case: str = CASE, code: str = STREET) -> CaseClosed:
    return CaseClosed(
        case=case,
        outcome=Outcome.SETTLED,
        unit=DISTRICT,
        level=Level.DISTRICT,
        audience=(unit(AudienceRole.INFORMED_UNIT, code),),
    )


def test_what_may_wait_goes_with_the_unit_s_digest_and_is_named_there() -> None:
    desk = Desk()
    bundled = only(desk.hears(closed()), NoticeBundled)
    assert (bundled.unit, bundled.digest) == (STREET, str(DIGEST))
    (added,) = [event for stream, event, _ in desk.journal if stream == DIGEST]
    assert isinstance(added, DigestAdded)
    assert (added.case, added.about, added.leaves_at) == (CASE, "e-1", MORNING)
    assert not desk.deadlines()
    assert [(d.kind, d.due) for d in desk.deadlines(DIGEST)] == [("leave", MORNING)]


def test_the_same_event_again_adds_nothing() -> None:
    desk = Desk()
    desk.hears(closed())
    assert not desk.hears(closed())
    assert desk.digest(DIGEST).count == 1


def test_a_digest_leaves_once_names_each_case_once_and_ends_like_any_notice() -> None:
    desk = Desk()
    desk.hears(closed(), "e-1")
    desk.hears(closed(), "e-2")
    desk.now = MORNING
    notice = shown(desk.passes(timedelta(0), DIGEST))
    assert (notice.unit, notice.case, notice.channel) == (STREET, None, NoticeChannel.IN_APP)
    assert notice.params == {
        "cases": CASE,
        "count": "2",
        "day": "2026-03-03",
        "more": "",
        "unit_name": POLICY.divisions[STREET].name,
    }
    assert not desk.deadlines(DIGEST)


def test_what_comes_after_its_digest_has_left_is_told_at_once() -> None:
    desk = Desk()
    desk.hears(closed(), "e-1")
    desk.now = MORNING
    desk.passes(timedelta(0), DIGEST)
    desk.now = NOON  # as the event itself is dated, however late it came
    late = shown(desk.hears(closed(), "e-2"))
    assert (late.template, late.unit) == ("case-closed", STREET)


def test_a_friday_s_digest_leaves_on_monday_and_a_holiday_s_after_it() -> None:
    friday, eve = date(2026, 3, 6), date(2026, 9, 30)
    assert POLICY.leaves_at(friday) == datetime(2026, 3, 9, 0, 30, tzinfo=UTC)
    leaves = POLICY.leaves_at(eve)  # the National Day holiday lies in between
    assert leaves > datetime(2026, 10, 5, tzinfo=UTC)


def test_all_that_happens_from_friday_to_sunday_leaves_as_one_digest_on_monday() -> None:
    desk = Desk()
    monday = Stream(Rank.DIGEST, f"{STREET}-2026-03-09")
    for number, day in enumerate((6, 7, 8)):
        desk.now = datetime(2026, 3, day, 4, 0, tzinfo=UTC)
        bundled = only(desk.hears(closed(), f"e-{number}"), NoticeBundled)
        assert bundled.digest == str(monday)
    assert desk.digest(monday).count == 3
    assert [stream for stream in desk.states if stream.kind is Rank.DIGEST] == [monday]
    desk.now = POLICY.leaves_at(date(2026, 3, 6))
    notice = shown(desk.passes(timedelta(0), monday))
    assert (notice.params["day"], notice.params["count"]) == ("2026-03-09", "3")


@given(st.dates(date(2024, 1, 1), date(2031, 12, 31)), st.booleans())
def test_the_digest_that_the_policy_names_is_among_those_that_were_locked(
    day: date, noticed: bool
) -> None:
    off = frozenset(date(2028, 1, 24) + timedelta(days=n) for n in range(9))
    notice = Notice(year=2028, days_off=off, workdays=frozenset(), source="a notice to come")
    policy = replace(POLICY, calendar=Calendar(notices=[notice])) if noticed else POLICY
    at = datetime.combine(day, time(12, 0), SHANGHAI)
    leaves = policy.leaves_at(day).date()
    assert digest_stream(STREET, leaves) in digests_of(closed(), at)
    if day.year in LIBRARY_YEARS and day.month < 12:
        assert len(digests_of(closed(), at)) == 1, "and no other, where the days are announced"


def test_two_units_have_two_digests() -> None:
    desk = Desk()
    both = closed().model_copy(
        update={
            "audience": (
                unit(AudienceRole.INFORMED_UNIT, STREET),
                unit(AudienceRole.INFORMED_UNIT, "440304010001"),
            )
        }
    )
    assert [type(event) for event in desk.hears(both)] == [NoticeBundled, NoticeBundled]
    assert desk.digest(DIGEST).count == 1
    assert desk.digest(Stream(Rank.DIGEST, "440304010001-2026-03-03")).count == 1


def test_a_long_digest_names_as_many_as_the_policy_says_and_counts_the_others() -> None:
    few = replace(POLICY, digest=POLICY.digest.model_copy(update={"most": 2}))
    desk = Desk(few)
    for number in range(5):
        desk.states.pop(Stream(Rank.CASE, CASE), None)
        desk.hears(closed(f"440304-2026-{number:06d}"), f"e-{number}")
    desk.now = MORNING
    notice = shown(desk.passes(timedelta(0), DIGEST))
    assert notice.params["cases"] == "440304-2026-000000,440304-2026-000001"
    assert notice.params["more"] == "3"
    text = few.templates.text(notice.template, Language.EN, notice.params)
    assert "440304-2026-000000, 440304-2026-000001, and 3 more" in text.body


def test_a_digest_remembers_a_bounded_number_of_cases() -> None:
    state = DigestState()
    for number in range(NAMED + 7):
        state = state.with_added(
            DigestAdded(
                unit=STREET,
                case=f"440304-2026-{number:06d}",
                about=f"e-{number}",
                about_type=CaseClosed.type_,
                leaves_at=MORNING,
            )
        )
    assert (len(state.cases), state.further, state.count) == (NAMED, 7, NAMED + 7)
