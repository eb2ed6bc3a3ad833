"""Whatever a card says, a person is told by its channels and in its hours only."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from lianhu.contracts.parts import ContactCard, Hours
from lianhu.contracts.vocabulary import NoticeChannel
from lianhu.jurisdiction import SHANGHAI
from lianhu.notify.hours import hindrance, next_moment, within
from lianhu.notify.ways import Go, Nothing, Wait, address, way

QUIET = Hours(start="22:00", end="07:00")
LASTING = timedelta(minutes=2)

clocks = st.times().map(lambda time: time.strftime("%H:%M"))
hours = st.builds(Hours, start=clocks, end=clocks)
moments = st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 31), timezones=st.just(UTC))
channels = st.lists(st.sampled_from(NoticeChannel), unique=True, max_size=3).map(tuple)
cards = st.builds(
    ContactCard,
    phone=st.sampled_from([None, "13800000001"]),
    email=st.sampled_from([None, "she@example.org"]),
    channels=channels,
    hours=st.none() | hours,
)


@given(hours, moments)
def test_hours_and_their_complement_share_the_day_between_them(hours: Hours, at: datetime) -> None:
    if hours.start == hours.end:
        assert within(hours, at)
    else:
        assert within(hours, at) != within(Hours(start=hours.end, end=hours.start), at)


@given(hours)
def test_hours_begin_at_their_start_and_have_ended_at_their_end(hours: Hours) -> None:
    for clock, inside in ((hours.start, True), (hours.end, hours.start == hours.end)):
        at = datetime.fromisoformat(f"2026-03-02T{clock}:00").replace(tzinfo=SHANGHAI)
        assert within(hours, at) is inside


@given(st.none() | hours, hours, moments)
def test_the_next_moment_is_allowed_and_none_before_it_is(
    own: Hours | None, quiet: Hours, at: datetime
) -> None:
    found = next_moment(at, LASTING, own, quiet)
    minutes = [at + timedelta(minutes=step) for step in range(0, 24 * 60, 7)]

    def allowed(moment: datetime) -> bool:
        return not hindrance(moment, own, quiet) and not hindrance(moment + LASTING, own, quiet)

    if found is None:
        assert not any(allowed(moment) for moment in minutes)
        return
    assert allowed(found)
    assert at <= found <= at + timedelta(days=1)
    assert not any(allowed(moment) for moment in minutes if moment < found)


@given(cards, moments, channels, channels)
def test_a_person_is_told_by_a_channel_of_the_card_at_an_allowed_hour_or_not_at_all(
    card: ContactCard,
    at: datetime,
    tried: tuple[NoticeChannel, ...],
    open_: tuple[NoticeChannel, ...],
) -> None:
    match way(card, at, LASTING, tried, open_, QUIET):
        case Go(channel):
            assert channel in card.channels
            assert channel in open_
            assert channel not in tried
            assert channel is not NoticeChannel.IN_APP
            assert address(card, channel)
            assert not hindrance(at, card.hours, QUIET)
            assert not hindrance(at + LASTING, card.hours, QUIET)
            before = card.channels[: card.channels.index(channel)]
            assert all(c in tried or c not in open_ or not address(card, c) for c in before)
        case Wait(until, reason):
            assert until > at
            assert reason in ("outside-hours", "quiet-hours")
            assert isinstance(way(card, until, LASTING, tried, open_, QUIET), Go)
        case Nothing(reason):
            left = [c for c in card.channels if address(card, c) and c in open_ and c not in tried]
            assert not left or reason == "no-safe-hours"
