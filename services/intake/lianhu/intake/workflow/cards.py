"""The contact card 联系卡 of a report: by which ways a person may be told, or why not at all."""

from __future__ import annotations

from typing import NamedTuple

from lianhu.contracts.faults import Slug
from lianhu.contracts.intake import ReportSubmitted, SafetyWord
from lianhu.contracts.parts import CardRef, ContactCard, Person, SafeContact
from lianhu.contracts.vocabulary import Holder, Language, NoticeChannel, Path, Relation
from lianhu.eventing.rules import Ids
from lianhu.intake.state import CONCERNED, CaseState
from lianhu.intake.workflow.people import (
    OTHER_DOCUMENT,
    OTHER_PHONE,
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
    shared: bool = False
    """The other party has a way that the report gives as theirs, or may have it."""


class Suspicion(NamedTuple):
    """What is known of the case that decides whom a card may be of."""

    path: Path
    minor: bool
    guardian_suspected: bool
    reporter_is_other: bool
    """The reporter is the other party of this report or of another case."""
    shared: bool = False
    """Of the case it is known that the other party has a way that was given as theirs."""


def told(report: ReportSubmitted, about: Suspicion) -> Told:
    """How the person concerned of a report may be told; in doubt not at all."""
    safe, safety = report.safe_contact, _whose_word(report)
    if about.minor and (about.guardian_suspected or about.reporter_is_other):
        return Told(None, SUSPECT, safety)
    holder = _guardian(report) if about.minor else concerned_of(report)
    if holder is None or (holder.phone is None and holder.email is None):
        return Told(None, NO_CONTACT, safety)
    protected, other = about.path is Path.PROTECTION, report.other_party
    given = {NoticeChannel.SMS: holder.phone, NoticeChannel.EMAIL: holder.email}
    own = {NoticeChannel.SMS: _phone(holder, other), NoticeChannel.EMAIL: _email(holder, other)}
    # what is given may be the shared way again where nobody says which one the other party has
    doubt = about.shared and not _reachable(other)
    shared = doubt or own != given
    if about.reporter_is_other or (protected and (safe is None or doubt)):
        return Told(None, NOT_SAFE, safety, shared)
    # what the other party reads too is no way to a protected person
    ways = own if protected else given
    channels = tuple(channel for channel in _allowed(safe) if ways.get(channel) is not None)
    if not channels:
        return Told(None, NOT_SAFE, safety, shared)
    card = ContactCard(
        holder=Holder.GUARDIAN if about.minor else Holder.SELF,
        name=holder.name,
        phone=ways[NoticeChannel.SMS],
        email=ways[NoticeChannel.EMAIL],
        channels=channels,
        hours=None if safe is None else safe.hours,
        language=Language.ZH_CN if safe is None else safe.language,
    )
    return Told(card, None, safety, shared)


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
    shared: bool
    """The other party has a way of the card that counts, or counted until now."""


def renewed(case: CaseState, said: Told, about: Suspicion, people: Who) -> Renewed:
    """Whether what a joined report says of contact counts. A weaker word never beats a stronger."""
    protected = about.path is Path.PROTECTION
    heard = not weaker(said.safety, case.safety)
    safety = said.safety if heard else case.safety
    shared = _read_by_other(case, people)
    if said.no_card == SUSPECT:
        return Renewed(replaces=False, no_card=SUSPECT, safety=safety, shared=shared)
    if said.card is not None and heard and case.no_card != SUSPECT:
        shared = said.shared and not protected
        return Renewed(replaces=True, no_card=None, safety=safety, shared=shared)
    # the words of nobody were enough for a dispute, they are not for protection
    turns = protected and case.path is not Path.PROTECTION and case.safety is SafetyWord.NOBODY
    withdrawn = turns or (protected and shared) or (about.minor and not case.minor)
    forbidden = heard and said.no_card == NOT_SAFE and said.safety is not SafetyWord.NOBODY
    no_card = NOT_SAFE if case.card is not None and (withdrawn or forbidden) else None
    return Renewed(replaces=False, no_card=no_card, safety=safety, shared=shared)


def _read_by_other(case: CaseState, people: Who) -> bool:
    """Whether the other party has a way of the card that counts; a report may name them later.

    Whoever gave themselves out as the person concerned is known by their own document and phone.
    """
    if case.card is None:
        return False
    known = (case.people, *(one.found.people for one in case.joined))
    own = {one.person for group in known for one in group if one.role == CONCERNED}
    other = (people.refs.get(label) for label in (OTHER_DOCUMENT, OTHER_PHONE))
    return case.cards[-1].shared or any(ref in own for ref in other)


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


def _reachable(other: Person | None) -> bool:
    return other is not None and bool(other.email or (other.phone and normal.phone(other.phone)))


def _phone(holder: Person, other: Person | None) -> str | None:
    theirs = None if other is None or other.phone is None else normal.phone(other.phone)
    if holder.phone is None or (theirs and normal.phone(holder.phone) == theirs):
        return None
    return holder.phone


def _email(holder: Person, other: Person | None) -> str | None:
    theirs = None if other is None or other.email is None else other.email.casefold()
    return None if holder.email is None or holder.email.casefold() == theirs else holder.email
