"""The contact card 联系卡 of a report: by which ways a person may be told, or why not at all."""

from __future__ import annotations

from typing import NamedTuple

from lianhu.contracts.faults import Slug
from lianhu.contracts.intake import ReportSubmitted, SafetyWord
from lianhu.contracts.parts import CardRef, ContactCard, Person, SafeContact
from lianhu.contracts.vocabulary import Holder, Language, NoticeChannel, Path, Relation
from lianhu.eventing.rules import Ids
from lianhu.intake.state import CaseState
from lianhu.intake.workflow.people import (
    REPORTER_DOCUMENT,
    REPORTER_PHONE,
    SAME_PERSON,
    Who,
    by_self,
    concerned_of,
)
from lianhu.privacy import Sealed, normal

NO_CONTACT, NOT_SAFE, SUSPECT = "no-contact-card", "no-safe-contact", "guardian-is-suspect"
_CHANNELS = (NoticeChannel.SMS, NoticeChannel.EMAIL)
"""That reach a person, the preferred first."""
_STRENGTH = tuple(SafetyWord)


class Told(NamedTuple):
    """A card, or the reason for none, and on whose word."""

    card: ContactCard | None
    no_card: Slug | None
    safety: SafetyWord


class Suspicion(NamedTuple):
    """What is known of the case that decides whom a card may be of."""

    path: Path
    minor: bool
    guardian_suspected: bool
    reporter_is_other: bool
    """The reporter is the other party of this report or of another case."""


def told(report: ReportSubmitted, about: Suspicion) -> Told:
    """How the person concerned of a report may be told; in doubt not at all."""
    safe, safety = report.safe_contact, _whose_word(report)
    if about.minor and (about.guardian_suspected or about.reporter_is_other):
        return Told(None, SUSPECT, safety)
    holder = _guardian(report) if about.minor else concerned_of(report)
    if holder is None or (holder.phone is None and holder.email is None):
        return Told(None, NO_CONTACT, safety)
    protected = about.path is Path.PROTECTION
    if protected and (safe is None or about.reporter_is_other):
        return Told(None, NOT_SAFE, safety)
    # what the other party reads too is no way to a protected person
    other = report.other_party if protected else None
    ways = {NoticeChannel.SMS: _phone(holder, other), NoticeChannel.EMAIL: _email(holder, other)}
    channels = tuple(channel for channel in _allowed(safe) if ways.get(channel) is not None)
    if not channels:
        return Told(None, NOT_SAFE, safety)
    card = ContactCard(
        holder=Holder.GUARDIAN if about.minor else Holder.SELF,
        name=holder.name,
        phone=ways[NoticeChannel.SMS],
        email=ways[NoticeChannel.EMAIL],
        channels=channels,
        hours=None if safe is None else safe.hours,
        language=Language.ZH_CN if safe is None else safe.language,
    )
    return Told(card, None, safety)


def first_card(said: Told, people: Who, ids: Ids, version: int) -> CardRef | None:
    """The card of a report, sealed later, under the reference of its holder."""
    if said.card is None:
        return None
    guardian = said.card.holder is Holder.GUARDIAN
    labels = (REPORTER_DOCUMENT, REPORTER_PHONE) if guardian else SAME_PERSON
    known = [people.refs[label] for label in labels if label in people.refs]
    person = known[0] if known else ids.opaque("card")
    return CardRef(person=person, version=version, card=Sealed.hold(said.card))


class Renewed(NamedTuple):
    """What a further report changes: `replaces`, else the card of the case stays as it was."""

    replaces: bool
    no_card: Slug | None
    safety: SafetyWord


def renewed(case: CaseState, said: Told, about: Suspicion) -> Renewed:
    """Whether what a joined report says of contact counts. A weaker word never beats a stronger."""
    heard = not weaker(said.safety, case.safety)
    safety = said.safety if heard else case.safety
    if said.no_card == SUSPECT:
        return Renewed(replaces=False, no_card=SUSPECT, safety=safety)
    if said.card is not None and heard and case.no_card != SUSPECT:
        return Renewed(replaces=True, no_card=None, safety=safety)
    withdrawn = (
        # the words of nobody were enough for a dispute, they are not for protection
        (about.path is Path.PROTECTION and case.path is not Path.PROTECTION)
        and case.safety is SafetyWord.NOBODY
    ) or (about.minor and not case.minor)
    forbidden = heard and said.no_card == NOT_SAFE and said.safety is not SafetyWord.NOBODY
    if case.card is not None and (withdrawn or forbidden):
        return Renewed(replaces=False, no_card=NOT_SAFE, safety=safety)
    return Renewed(replaces=False, no_card=None, safety=safety)


def weaker(word: SafetyWord, than: SafetyWord) -> bool:
    """Whether the one is said by somebody further from the person than the other."""
    return _STRENGTH.index(word) < _STRENGTH.index(than)


def _whose_word(report: ReportSubmitted) -> SafetyWord:
    if report.safe_contact is None:
        return SafetyWord.NOBODY
    return SafetyWord.SELF if by_self(report) else SafetyWord.ANOTHER


def _guardian(report: ReportSubmitted) -> Person | None:
    """Of a minor's people only one of the family who reports may be told."""
    reporter = report.reporter
    return reporter if reporter is not None and reporter.relation is Relation.FAMILY else None


def _allowed(safe: SafeContact | None) -> tuple[NoticeChannel, ...]:
    if safe is None:
        return _CHANNELS
    allowed = _CHANNELS if safe.allowed is None else tuple(dict.fromkeys(safe.allowed))
    return tuple(channel for channel in allowed if channel not in safe.never)


def _phone(holder: Person, other: Person | None) -> str | None:
    theirs = None if other is None or other.phone is None else normal.phone(other.phone)
    if holder.phone is None or (theirs and normal.phone(holder.phone) == theirs):
        return None
    return holder.phone


def _email(holder: Person, other: Person | None) -> str | None:
    theirs = None if other is None or other.email is None else other.email.casefold()
    return None if holder.email is None or holder.email.casefold() == theirs else holder.email
