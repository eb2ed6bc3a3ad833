"""Who a report speaks of 人员: whom as what, and by which identities they are found again.

The person concerned is found by document, and by name with day of birth and phone; the same by
sound only links. A reporter and an other party are found by document and by phone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, NamedTuple

from lianhu.contracts.intake import PersonSpoken, ReportSubmitted
from lianhu.contracts.parts import Person
from lianhu.contracts.vocabulary import Relation
from lianhu.eventing.rules import Ids, Rank, Stream
from lianhu.intake.state import CONCERNED, OTHER, REPORTER
from lianhu.privacy import normal
from lianhu.privacy.sounds import sound as sound_of

DOCUMENT: Final = "concerned-document"
EXACT: Final = "concerned-name-born-phone"
SOUND: Final = "concerned-sound-born-phone"
REPORTER_DOCUMENT: Final = "reporter-document"
REPORTER_PHONE: Final = "reporter-phone"
OTHER_DOCUMENT: Final = "other-document"
OTHER_PHONE: Final = "other-phone"

SAME_PERSON = (DOCUMENT, EXACT)
"""What joins."""
_WEIGHT = (CONCERNED, OTHER, REPORTER)
"""As what somebody counts whom a report names in two roles by one identity."""
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


class Who(NamedTuple):
    """The people of one report: label of an identity -> reference."""

    refs: Mapping[str, str]
    by_themselves: bool
    """The person concerned reports."""

    def streams(self) -> tuple[Stream, ...]:
        """The streams of all, each once."""
        return tuple(Stream(Rank.PERSON, ref) for ref in dict.fromkeys(self.refs.values()))

    def spoken(self) -> tuple[PersonSpoken, ...]:
        """As what each is spoken of, once; who reports about themselves is the one concerned."""
        roles: dict[str, str] = {}
        for label, ref in self.refs.items():
            role = self._role(label)
            known = roles.setdefault(ref, role)
            roles[ref] = min(known, role, key=_WEIGHT.index)
        return tuple(PersonSpoken(person=ref, role=role) for ref, role in roles.items())

    def _role(self, label: str) -> str:
        if label.startswith("other"):
            return OTHER
        if label.startswith("reporter") and not self.by_themselves:
            return REPORTER
        return CONCERNED


def who(report: ReportSubmitted, ids: Ids) -> Who:
    """Everybody that can be found again."""
    return Who({label: ids.person(label) for label in identities_of(report)}, by_self(report))


def by_self(report: ReportSubmitted) -> bool:
    """Whether the reporter says to be the person concerned."""
    return report.reporter is not None and report.reporter.relation is Relation.SELF


def concerned_of(report: ReportSubmitted) -> Person | None:
    """The person concerned; what is not said of them, a reporter of the same name says."""
    person, reporter = report.concerned, report.reporter
    if reporter is None or not by_self(report):
        return person
    own = Person(**{name: getattr(reporter, name) for name in Person.model_fields})
    if person is None:
        return own
    if person.name and own.name and normal.name(person.name) != normal.name(own.name):
        return person
    return person.model_copy(
        update={
            name: value
            for name in Person.model_fields
            if getattr(person, name) is None and (value := getattr(own, name)) is not None
        }
    )


def identities_of(report: ReportSubmitted) -> dict[str, str]:
    """Label -> `kind:normalised value`, as the engine wants it."""
    concerned, reporter, other = concerned_of(report), report.reporter, report.other_party
    shared = _phone(concerned)
    found = {
        DOCUMENT: _document(concerned),
        EXACT: _named("name-born-phone", concerned, sound=False),
        SOUND: _named("sound-born-phone", concerned, sound=True),
        REPORTER_DOCUMENT: _document(reporter),
        REPORTER_PHONE: _phone(reporter),
        OTHER_DOCUMENT: _document(other),
        # a household shares a phone: it is no sign of the other party then
        OTHER_PHONE: phone if (phone := _phone(other)) != shared else "",
    }
    return {label: text for label, text in found.items() if text}


def reporter_is_other_party(report: ReportSubmitted) -> bool:
    """Whether by the report itself the one who tells is the one it is about."""
    found = identities_of(report)
    return not by_self(report) and any(
        found.get(own) is not None and found.get(own) == found.get(other)
        for own, other in ((REPORTER_DOCUMENT, OTHER_DOCUMENT), (REPORTER_PHONE, OTHER_PHONE))
    )


def _document(person: Person | None) -> str:
    document = None if person is None else person.document
    value = "" if document is None else normal.document(document.kind, document.number)
    return f"document:{value}" if value else ""


def _phone(person: Person | None) -> str:
    value = "" if person is None or person.phone is None else normal.phone(person.phone)
    return f"phone:{value}" if value else ""


def _named(kind: str, person: Person | None, *, sound: bool) -> str:
    if person is None or person.name is None or not _DAY.fullmatch(person.born or ""):
        return ""
    name = sound_of(person.name) if sound else normal.name(person.name)
    phone = _phone(person).removeprefix("phone:")
    return f"{kind}:{name}|{person.born}|{phone}" if name and phone else ""
