"""Same person, same matter 并案: which case a report joins, reopens or is linked to, and repeats.

Only the person concerned joins, by document or by name, day of birth and phone. Whoever may be on
the other side never does: if the other party of a case calls, the report is a case of its own.
All is asked of states that are locked: two replicas cannot both find nobody.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

from lianhu.contracts.faults import Slug
from lianhu.contracts.vocabulary import Channel
from lianhu.eventing.rules import Rank, State, Stream, case_stream
from lianhu.intake.state import (
    CONCERNED,
    OTHER,
    REPORTER,
    CaseState,
    PersonState,
    Seen,
    Status,
)
from lianhu.intake.tables import People
from lianhu.intake.workflow.people import (
    DOCUMENT,
    EXACT,
    OTHER_DOCUMENT,
    OTHER_PHONE,
    REPORTER_DOCUMENT,
    REPORTER_PHONE,
    SAME_PERSON,
    SOUND,
    Who,
)

States = Mapping[Stream, State | None]

_REPORTER = (REPORTER_DOCUMENT, REPORTER_PHONE)
_OTHER = (OTHER_DOCUMENT, OTHER_PHONE)
_LINKS = 4
"""A phone that is in many cases would link them all: the latest are enough for an officer."""


class Link(NamedTuple):
    """Another case that may belong together with this one, and why."""

    case: CaseState
    reason: Slug


class Match(NamedTuple):
    """What the people of a report are found in."""

    joins: CaseState | None
    reopens: CaseState | None
    links: tuple[Link, ...]
    reporter_is_other: bool
    """The reporter is not the person concerned, whoever they say to be: they are the other party
    here or elsewhere."""
    times: int
    """How often the person concerned was reported lately, this time included."""
    channels: frozenset[Channel]
    repeat: bool


def named(states: States) -> tuple[Stream, ...]:
    """The cases that locked people name: the latest few of each, open ones first.

    Where somebody only reported, nothing follows for that case; people who report as their work
    would otherwise name all that they ever reported.
    """
    found: dict[Stream, None] = {}
    for stream, state in states.items():
        if stream.kind is Rank.PERSON and isinstance(state, PersonState):
            for role in (CONCERNED, OTHER):
                latest = [seen for seen in reversed(state.seen) if seen.role == role]
                latest.sort(key=lambda seen: not seen.open)
                cases = dict.fromkeys(seen.case for seen in latest)
                found |= dict.fromkeys(case_stream(case) for case in [*cases][:_LINKS])
    return tuple(found)


class _Search:
    """The people of one report in the states that were locked for it."""

    def __init__(self, people: Who, states: States) -> None:
        self._people = people
        self._states = states

    def seen(self, labels: Iterable[str], role: str) -> Iterator[Seen]:
        """Where these identities were spoken of in this role, the latest first."""
        refs = dict.fromkeys(ref for one in labels if (ref := self._people.refs.get(one)))
        states = [self._states.get(Stream(Rank.PERSON, ref)) for ref in refs]
        found = [
            seen
            for state in states
            if isinstance(state, PersonState)
            for seen in state.seen
            if seen.role == role
        ]
        return iter(sorted(found, key=lambda seen: seen.at, reverse=True))

    def cases(self, labels: Iterable[str], role: str, status: Status) -> list[CaseState]:
        """Cases of this status among them, the latest first."""
        numbers = dict.fromkeys(seen.case for seen in self.seen(labels, role))
        states = [self._states.get(case_stream(number)) for number in numbers]
        return [one for one in states if isinstance(one, CaseState) and one.status is status]

    def among_theirs(self, labels: Iterable[str]) -> bool:
        """Whether in a case of this very person concerned these identities are the other party."""
        theirs = {seen.case for seen in self.seen(SAME_PERSON, CONCERNED)}
        return any(seen.case in theirs for seen in self.seen(labels, OTHER))

    def between(self, case: CaseState) -> Slug | None:
        """Why this report must not join a case in which the person concerned is found."""
        if any(seen.case == case.case for seen in self.seen(_REPORTER, OTHER)):
            return "reporter-is-other-party"
        told = any(seen.case == case.case for seen in self.seen(_OTHER, REPORTER))
        if told or case.by_other_side:
            return "other-party-is-reporter"
        return None


def matched(
    people: Who, channel: Channel, states: States, now: datetime, policy: People, suspect: bool
) -> Match:
    """Who they are found to be. `suspect`: by the report itself the reporter is the other party."""
    search = _Search(people, states)
    accused = search.cases(_REPORTER, OTHER, Status.OPEN)
    theirs = search.cases(SAME_PERSON, CONCERNED, Status.OPEN)
    # a man who gives himself out as her is found by her case, in which he is the other party
    stranger = (
        suspect or (bool(accused) and not people.by_themselves) or search.among_theirs(_REPORTER)
    )
    against = {
        case.case: "reporter-is-other-party" if stranger else search.between(case)
        for case in theirs
    }
    joins = next((case for case in theirs if against[case.case] is None), None)
    reopens = None if theirs or stranger else _reopened(search, now, policy)
    own = joins or reopens
    if joins is not None:
        # found by one identity in this case, by the other in that
        listed = [(case, against[case.case] or "same-person-concerned") for case in theirs]
    else:
        listed = [(case, why) for case in theirs if (why := against[case.case]) is not None]
        listed += [(case, "reporter-is-other-party") for case in accused]
        for labels, role, reason in (
            (SAME_PERSON, OTHER, "concerned-is-other-party"),
            (_OTHER, CONCERNED, "other-party-is-concerned"),
            ((SOUND,), CONCERNED, "same-sound-born-and-phone"),
        ):
            listed += [(case, reason) for case in search.cases(labels, role, Status.OPEN)]
    links: dict[str, Link] = {}
    for case, why in listed:
        if own is None or (case is not own and case.case not in own.links):
            links.setdefault(case.case, Link(case, why))
    times, channels = _repeated(search, channel, now, policy)
    often = times >= policy.repeat.times or len(channels) >= policy.repeat.channels
    return Match(
        joins=joins,
        reopens=reopens,
        links=tuple(links.values())[:_LINKS],
        reporter_is_other=stranger,
        times=times,
        channels=channels,
        repeat=times > 1 and often,
    )


def _reopened(search: _Search, now: datetime, policy: People) -> CaseState | None:
    since = now - timedelta(days=policy.reopen.days)
    for case in search.cases(SAME_PERSON, CONCERNED, Status.CLOSED):
        lately = case.closed_at is not None and case.closed_at >= since
        if lately and case.erasure is None and search.between(case) is None:
            return case
    return None


def _repeated(
    search: _Search, channel: Channel, now: datetime, policy: People
) -> tuple[int, frozenset[Channel]]:
    """Reports and channels within the window, by whichever identity the most are found."""
    since = now - timedelta(days=policy.repeat.days)
    times, channels = 0, {channel}
    for label in (DOCUMENT, EXACT, SOUND):
        before = {
            (seen.case, seen.channel, seen.at)
            for seen in search.seen((label,), CONCERNED)
            if seen.at >= since
        }
        times = max(times, len(before))
        channels |= {found for _, found, _ in before}
    return times + 1, frozenset(channels)
