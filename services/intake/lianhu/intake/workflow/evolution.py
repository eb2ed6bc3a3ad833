"""The states after each event: of a case, and of a person. Reads no policy."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from lianhu.contracts.base import Internal
from lianhu.contracts.intake import (
    ApplicationNoted,
    CaseClosed,
    CaseErased,
    CaseLinked,
    CaseOpened,
    CaseReopened,
    CaseSplit,
    ConclusionNoted,
    ErasureAsked,
    ErasureConfirmed,
    ErasureNoted,
    ErasureOrdered,
    ErasureRestricted,
    IntakeKeysErased,
    IntakePersonForgotten,
    Opened,
    PersonCaseEnded,
    PersonSeen,
    PersonSpoken,
    ReportJoined,
    UnitNoted,
)
from lianhu.contracts.parts import CardRef
from lianhu.contracts.vocabulary import Path
from lianhu.intake.state import (
    CONCERNED,
    OTHER,
    REPORTER,
    Answer,
    Card,
    CaseState,
    Conclusion,
    Erasure,
    Joined,
    PersonState,
    Seen,
    Stage,
    Status,
)

KEPT_REPORTS = 20
"""Joined reports that can be split off again, the latest."""
KEPT_SEEN = 8
"""So many reports that spoke of a person, and so many cases, the latest in each role."""


def case_after(case: CaseState | None, event: Internal, at: datetime) -> CaseState | None:
    """The case after one of its events; one that says nothing of it leaves it as it is."""
    if isinstance(event, CaseOpened):
        return _begun(event, None, at)
    if case is None:
        return None
    match event:
        case CaseReopened():
            return _begun(event, case, at)
        case ReportJoined():
            return _joined(case, event)
        case CaseSplit():
            return _split(case, event)
        case CaseLinked():
            others = tuple(one for one in case.links if one != event.other)
            return case.model_copy(update={"links": (*others, event.other)[-KEPT_REPORTS:]})
        case UnitNoted():
            return case.model_copy(update={"owner": event.unit})
        case ApplicationNoted():
            rest = tuple(one for one in case.applications if one != event.application)
            left = (*rest, event.application) if event.open else rest
            return case.model_copy(update={"applications": left})
        case ConclusionNoted():
            said = Conclusion(event.outcome, event.unit, event.level)
            return case.model_copy(update={"conclusion": said, "owner": event.unit})
        case CaseClosed():
            done = {"status": Status.CLOSED, "closed_at": at, "conclusion": None}
            return case.model_copy(update=done | {"owner": event.unit})
        case _:
            return _erasing(case, event)


def person_after(person: PersonState | None, event: Internal, at: datetime) -> PersonState | None:
    """The person after one of their events."""
    match event:
        case PersonSeen():
            before = () if person is None else person.seen
            own = [seen._replace(open=True) if seen.case == event.case else seen for seen in before]
            own.append(Seen(event.case, event.role, event.channel, at))
            return PersonState(person=event.person, seen=_latest(own))
        case PersonCaseEnded() if person is not None:
            return person.model_copy(update={"seen": tuple(_ended(person.seen, event))})
        case IntakePersonForgotten():
            return None if person is None else person.model_copy(update={"seen": ()})
        case _:
            return person


def _begun(event: Opened, before: CaseState | None, at: datetime) -> CaseState:
    # a card of the protected has no way of the other party's: what is shared is not on it
    shared = event.shared and event.path is not Path.PROTECTION
    cards = _cards(() if before is None else before.cards, event.card, None, shared=shared)
    return CaseState(
        case=event.case,
        status=Status.OPEN,
        category=event.category,
        risk=event.risk,
        repeat=event.repeat,
        path=event.path,
        grounds=event.grounds,
        minor=event.minor,
        guardian_suspected=event.guardian_suspected,
        unit=event.unit,
        informed=event.informed,
        owner=event.unit,
        publisher=event.publisher,
        by_other_side=event.by_other_side,
        opened_at=at if before is None else before.opened_at,
        cards=() if event.card is None else cards,
        card_version=_version(before, event.card),
        no_card=event.no_card,
        shared=event.shared or (before is not None and before.shared),
        safety=event.safety,
        people=_together(() if before is None else before.people, event.people),
        joined=() if before is None else before.joined,
        told=0 if before is None else before.told,
        split=() if before is None else before.split,
        links=() if before is None else before.links,
        dropped=0 if before is None else before.dropped,
        applications=() if before is None else before.applications,
    )


def _joined(case: CaseState, event: ReportJoined) -> CaseState:
    report = Joined(event.joined, event.publisher, event.channel, event.alone, event.account)
    # too old to be split off: its people are the case's own from now on
    old, kept = (*case.joined, report)[:-KEPT_REPORTS], (*case.joined, report)[-KEPT_REPORTS:]
    cards = () if event.no_card is not None else case.cards
    cards = _cards(cards, event.card, event.joined, shared=event.shared)
    no_card = case.no_card if event.card is None else None
    return case.model_copy(
        update={
            "risk": event.risk,
            "repeat": event.repeat,
            "path": event.path,
            "grounds": event.grounds,
            "minor": event.minor,
            "guardian_suspected": event.guardian_suspected,
            "cards": cards,
            "card_version": _version(case, event.card),
            "no_card": event.no_card or no_card,
            "shared": case.shared or event.shared or event.alone.shared,
            "safety": event.safety,
            "people": _together(case.people, *(one.found.people for one in old)),
            "joined": kept,
            "told": max(case.told, event.number),
            "dropped": case.dropped + len(old),
            # mediation takes a concluded case up again for it, and concludes it anew
            "conclusion": None,
        }
    )


def _split(case: CaseState, event: CaseSplit) -> CaseState:
    cards = tuple(card for card in case.cards if card.joined != event.joined)
    if event.no_card is not None:
        cards = ()
    elif event.card is not None:
        last = cards[-1] if cards else Card(event.card, None)
        cards = (*cards[:-1], last._replace(ref=event.card))
    no_card = case.no_card if event.card is None else None
    return case.model_copy(
        update={
            "cards": cards,
            "card_version": _version(case, event.card),
            "no_card": event.no_card or no_card,
            "joined": tuple(one for one in case.joined if one.joined != event.joined),
            "split": (*case.split, event.joined)[-KEPT_REPORTS:],
        }
    )


def _erasing(case: CaseState, event: Internal) -> CaseState:
    found = case.erasure
    match event:
        case ErasureAsked():
            found = Erasure(stage=Stage.ASKED, by=event.by, basis=event.basis)
        case ErasureNoted() if found is not None:
            answer = Answer(event.service, event.until, event.basis)
            found = found.model_copy(update={"answers": (*found.answers, answer)})
        case ErasureOrdered() if found is not None:
            found = found.model_copy(update={"stage": Stage.ORDERED})
        case ErasureRestricted() if found is not None:
            found = found.model_copy(update={"stage": Stage.RESTRICTED, "until": event.until})
        case ErasureConfirmed() if found is not None:
            confirmed = (*found.confirmed, event.service)
            found = found.model_copy(update={"confirmed": confirmed})
        case CaseErased():
            return case.model_copy(update={"status": Status.ERASED, "erasure": None})
        case IntakeKeysErased():
            # closed values that nobody can open any more, and people that nobody finds
            return case.model_copy(update={"cards": (), "joined": (), "people": ()})
        case _:
            return case
    return case.model_copy(update={"erasure": found})


def _together(*groups: Iterable[PersonSpoken]) -> tuple[PersonSpoken, ...]:
    """Each person once."""
    found: dict[str, PersonSpoken] = {}
    for one in (one for group in groups for one in group):
        found.setdefault(one.person, one)
    return tuple(found.values())


def _cards(
    cards: tuple[Card, ...], new: CardRef | None, joined: str | None, *, shared: bool
) -> tuple[Card, ...]:
    """With a further one; without one, what is known of the last from now on."""
    if new is not None:
        return (*cards, Card(new, joined, shared))[-KEPT_REPORTS:]
    if shared and cards:
        return (*cards[:-1], cards[-1]._replace(shared=True))
    return cards


def _version(case: CaseState | None, card: CardRef | None) -> int:
    if card is not None:
        return card.version
    return 0 if case is None else case.card_version


def _ended(seen: Iterable[Seen], event: PersonCaseEnded) -> Iterable[Seen]:
    for one in seen:
        if one.case != event.case:
            yield one
        elif not event.forget:
            yield one._replace(open=False)


def _latest(seen: list[Seen]) -> tuple[Seen, ...]:
    """Of each role the latest, and the latest of each of the latest cases; the ended go first."""
    kept: set[int] = set()
    for role in (CONCERNED, OTHER, REPORTER):
        places = [place for place, one in enumerate(seen) if one.role == role]
        places.sort(key=lambda place: (seen[place].open, place), reverse=True)
        kept.update(places[:KEPT_SEEN])
        cases: dict[str, int] = {}
        for place in places:
            cases.setdefault(seen[place].case, place)
        kept.update([*cases.values()][:KEPT_SEEN])
    return tuple(one for place, one in enumerate(seen) if place in kept)
