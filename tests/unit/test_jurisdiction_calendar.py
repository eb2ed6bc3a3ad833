"""Deadlines on real dates: holidays, make-up workdays, month ends, years not announced."""

from datetime import UTC, date, datetime, timedelta

import chinese_calendar
import pytest
from holidays import country_holidays
from pydantic import ValidationError

from lianhu.jurisdiction import LIBRARY_YEARS, SHANGHAI, Calendar, Notice, Period

ANNOUNCED = Calendar({2024, 2025, 2026})


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=SHANGHAI)


def period(text: str) -> Period:
    amount, unit, *roll = text.split()
    return Period.model_validate(
        {"amount": int(amount), "unit": unit, **({"roll": roll[0]} if roll else {})}
    )


@pytest.mark.parametrize(
    ("start", "length", "last_day"),
    [
        # National Day 2025: 1 to 8 October off, Sunday 28 September and Saturday 11 worked.
        ("2025-09-27T10:00", "1 working-days", "2025-09-28"),
        ("2025-09-30T10:00", "1 working-days", "2025-10-09"),
        ("2025-09-30T10:00", "3 working-days", "2025-10-11"),
        ("2025-09-30T10:00", "4 working-days", "2025-10-13"),
        ("2025-10-03T10:00", "1 working-days", "2025-10-09"),
        ("2025-09-26T10:00", "5 days", "2025-10-09"),
        ("2025-09-26T10:00", "5 days none", "2025-10-01"),
        ("2025-09-05T10:00", "1 months", "2025-10-09"),
        ("2025-10-01T10:00", "10 days", "2025-10-11"),
        # National Day 2026: 1 to 7 October off, Sunday 20 September and Saturday 10 worked.
        ("2026-09-30T23:59", "2 working-days", "2026-10-09"),
        ("2026-09-30T23:59", "3 working-days", "2026-10-10"),
        ("2026-09-18T10:00", "1 working-days", "2026-09-20"),
        # Spring Festival 2026: 15 to 23 February off, the Saturdays 14 and 28 worked.
        ("2026-02-12T09:00", "2 working-days", "2026-02-14"),
        ("2026-02-13T09:00", "2 working-days", "2026-02-24"),
        ("2026-02-14T09:00", "5 working-days", "2026-02-28"),
        ("2026-02-10T09:00", "7 days", "2026-02-24"),
        ("2026-01-17T09:00", "1 months", "2026-02-24"),
        # An ordinary weekend.
        ("2026-03-10T09:00", "4 days", "2026-03-16"),
        # Months: the same number, or the last day there is.
        ("2026-01-30T09:00", "1 months", "2026-02-28"),
        ("2024-01-31T09:00", "1 months", "2024-02-29"),
        ("2025-08-31T09:00", "1 months", "2025-09-30"),
        ("2025-12-10T09:00", "1 months none", "2026-01-10"),
        ("2025-11-25T09:00", "12 months", "2026-11-25"),
        ("2024-12-15T09:00", "12 months", "2025-12-15"),
    ],
)
def test_the_last_day(start: str, length: str, last_day: str) -> None:
    due = ANNOUNCED.due(at(start), period(length))
    assert due.last_day == date.fromisoformat(last_day)
    assert not due.provisional


def test_the_last_day_ends_at_24_00_in_shanghai() -> None:
    due = ANNOUNCED.due(at("2026-03-09T15:30"), period("1 working-days"))
    assert due.at == datetime(2026, 3, 10, 16, tzinfo=UTC)
    assert due.at.isoformat() == "2026-03-11T00:00:00+08:00"


def test_the_day_of_the_event_is_shanghais_day() -> None:
    """23:30 of 9 March in UTC is the morning of the 10th in Shanghai."""
    start = datetime(2026, 3, 9, 23, 30, tzinfo=UTC)
    assert ANNOUNCED.due(start, period("1 days")).last_day == date(2026, 3, 11)


def test_hours_run_through_the_night_and_the_holiday() -> None:
    due = ANNOUNCED.due(at("2026-02-16T22:15"), period("4 hours"))
    assert due.at == at("2026-02-17T02:15")
    assert not due.provisional


def test_hours_are_never_provisional() -> None:
    assert not ANNOUNCED.due(at("2031-01-01T00:00"), period("72 hours")).provisional


def test_an_expiry_does_not_roll() -> None:
    """A protection order of 6 months from 1 April 2026 ends on 1 October, a holiday."""
    order = period("6 months")
    assert ANNOUNCED.expires(at("2026-04-01T09:00"), order).last_day == date(2026, 10, 1)
    assert ANNOUNCED.due(at("2026-04-01T09:00"), order).last_day == date(2026, 10, 8)


def test_an_expiry_in_an_unannounced_year_is_certain() -> None:
    assert not ANNOUNCED.expires(at("2026-11-01T09:00"), period("6 months")).provisional


def test_a_naive_start_is_refused() -> None:
    with pytest.raises(ValueError, match="no time zone"):
        ANNOUNCED.due(datetime(2026, 3, 9), period("1 days"))


@pytest.mark.parametrize("unit", ["months", "days", "working-days", "hours"])
def test_past_the_last_year_there_is_is_an_overflow(unit: str) -> None:
    with pytest.raises(OverflowError):
        ANNOUNCED.due(at("9996-12-01T00:00"), period(f"36500 {unit}"))


@pytest.mark.parametrize("length", ["1 months", "30 days", "23 working-days"])
def test_the_last_day_of_the_last_year_has_no_24_00(length: str) -> None:
    with pytest.raises(OverflowError):
        ANNOUNCED.due(at("9999-12-01T00:00"), period(length))


@pytest.mark.parametrize(
    "fields",
    [
        {"amount": 0, "unit": "days"},
        {"amount": -1, "unit": "days"},
        {"amount": "3", "unit": "days"},
        {"amount": True, "unit": "days"},
        {"amount": 1.5, "unit": "days"},
        {"amount": 36_501, "unit": "days"},
        {"amount": 1, "unit": "weeks"},
        {"amount": 1, "unit": "days", "roll": "back"},
        {"amount": 1, "unit": "days", "from": "effect"},
    ],
)
def test_a_period_that_cannot_be_meant_is_refused(fields: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Period.model_validate(fields)


# --- years not announced -------------------------------------------------------------------


@pytest.mark.parametrize(
    "holiday",
    [
        "2027-01-01",  # 元旦
        "2027-02-05",  # 除夕
        "2027-02-08",  # 初三
        "2027-04-05",  # 清明
        "2028-05-01",  # 劳动节
        "2028-05-02",
        "2027-06-09",  # 端午
        "2027-09-15",  # 中秋
        "2033-09-08",  # 中秋 of the year whose leap month some tables get wrong
        "2029-10-01",  # 国庆
        "2029-10-02",
        "2029-10-03",
    ],
)
def test_the_statutory_holidays_count_before_the_notice_is_in(holiday: str) -> None:
    day = date.fromisoformat(holiday)
    assert not ANNOUNCED.is_working_day(day)
    assert not ANNOUNCED.is_settled(day)


def test_without_a_notice_there_are_no_bridges_and_no_make_up_days() -> None:
    assert ANNOUNCED.is_working_day(date(2027, 10, 4))
    worked = [date(2027, 1, 1) + timedelta(days=n) for n in range(365)]
    assert not any(ANNOUNCED.is_working_day(day) for day in worked if day.weekday() >= 5)


def test_a_deadline_in_an_unannounced_year_is_provisional() -> None:
    into_2027 = ANNOUNCED.due(at("2026-12-10T09:00"), period("1 months"))
    assert into_2027.last_day == date(2027, 1, 11)
    assert into_2027.provisional


def test_the_last_week_of_december_waits_for_the_next_notice() -> None:
    """29 December 2018, a Saturday, was worked because of the notice for 2019."""
    before = Calendar({2017, 2018})
    after = Calendar({2018, 2019})
    friday, saturday = at("2018-12-28T09:00"), date(2018, 12, 29)
    assert before.due(friday, period("1 working-days")).provisional
    assert not before.due(at("2018-12-20T09:00"), period("2 working-days")).provisional
    settled = after.due(friday, period("1 working-days"))
    assert settled.last_day == saturday
    assert not settled.provisional


def test_no_notice_ever_moved_a_december_day_before_the_week_that_waits() -> None:
    moved = [
        day
        for day in {*chinese_calendar.constants.holidays, *chinese_calendar.constants.workdays}
        if day.month == 12
    ]
    assert moved
    assert min(day.day for day in moved) >= 25


def test_working_days_counted_through_a_gap_are_provisional() -> None:
    gap = Calendar({2024, 2026})
    assert gap.due(at("2024-12-20T09:00"), period("270 working-days")).provisional
    assert not gap.due(at("2026-03-02T09:00"), period("5 working-days")).provisional


def test_a_roll_out_of_an_unannounced_year_is_provisional() -> None:
    """Saturday 31 December 2022 rolls to 3 January 2023, unless it turns out to be worked."""
    due = Calendar({2023}).due(at("2022-12-01T09:00"), period("30 days"))
    assert due.last_day == date(2023, 1, 3)
    assert due.provisional


def test_beyond_the_lunar_tables_weekends_still_count() -> None:
    assert ANNOUNCED.next_working_day(date(2150, 3, 7)) == date(2150, 3, 9)


def test_a_year_the_library_lacks_cannot_be_called_announced() -> None:
    with pytest.raises(ValueError, match="no notice for 2090, 2091"):
        Calendar({2026, 2090, 2091})


def test_the_two_libraries_agree_on_every_announced_year() -> None:
    """Two sources of the same notices, kept by different people."""
    calendar = Calendar()
    other = country_holidays("CN", years=range(min(LIBRARY_YEARS), max(LIBRARY_YEARS) + 2))
    first, last = date(min(LIBRARY_YEARS), 1, 1), date(max(LIBRARY_YEARS), 12, 31)
    days = (first + timedelta(days=n) for n in range((last - first).days + 1))
    disputed = {d for d in days if calendar.is_working_day(d) != other.is_working_day(d)}
    # A Saturday that `chinesecalendar` does not know was worked for the New Year of 2006.
    assert disputed <= {date(2005, 12, 31)}


# --- warnings ------------------------------------------------------------------------------


def test_the_next_year_is_warned_of_sixty_days_ahead() -> None:
    assert ANNOUNCED.warn_ahead(date(2026, 11, 1)) == []
    assert ANNOUNCED.warn_ahead(date(2026, 11, 2)) == [
        "The working days of 2027 are not announced, or not installed (it begins in 60 days): "
        "deadlines in it are provisional."
    ]


def test_a_year_that_has_begun_without_its_notice_is_named_too() -> None:
    sentences = ANNOUNCED.warn_ahead(date(2027, 12, 24))
    assert [sentence.split()[4] for sentence in sentences] == ["2027", "2028"]
    assert "it has begun" in sentences[0]


# --- a notice that came before the library had it ---------------------------------------------


def notice(**changes: object) -> Notice:
    fields: dict[str, object] = {
        "year": 2027,
        "days_off": ["2026-12-31", "2027-01-01", "2027-10-04"],
        "workdays": ["2026-12-27", "2027-10-09"],
        "source": "an invented notice",
    }
    return Notice.model_validate(fields | changes)


def test_a_notice_settles_its_year_and_the_december_before() -> None:
    calendar = Calendar({2025, 2026}, [notice()])
    assert calendar.announced == {2025, 2026, 2027}
    assert calendar.is_settled(date(2026, 12, 31))
    worked = {
        day: calendar.is_working_day(day)
        for day in map(
            date.fromisoformat,
            ["2026-12-27", "2026-12-31", "2027-01-01", "2027-10-04", "2027-10-09"],
        )
    }
    assert list(worked.values()) == [True, False, False, False, True]
    due = calendar.due(at("2026-12-26T09:00"), period("4 working-days"))
    assert due.last_day == date(2026, 12, 30)
    assert not due.provisional


def test_two_notices_of_one_year_are_refused() -> None:
    with pytest.raises(ValueError, match="more than one notice for 2027"):
        Calendar(notices=[notice(), notice(source="another")])


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"days_off": ["2028-01-01"]}, "not days of the notice for 2027: 2028-01-01"),
        ({"workdays": ["2026-12-24"]}, "not days of the notice for 2027: 2026-12-24"),
        ({"workdays": ["2027-10-04"]}, "both off and worked: 2027-10-04"),
        ({"days_off": []}, "lists no days off"),
        ({"source": ""}, "source"),
    ],
)
def test_a_notice_that_cannot_be_meant_is_refused(changes: dict[str, object], fault: str) -> None:
    with pytest.raises(ValidationError, match=fault):
        notice(**changes)
