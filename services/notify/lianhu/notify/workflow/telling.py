"""Who hears of an event: units by their screens, people by the safest way of their card.

On the protection path a person gets neutral words and the other party nothing, whatever an
audience says: what was once noted of a case binds every later notice of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta

from lianhu.contracts.base import Internal, Model
from lianhu.contracts.intake import CaseSplit, Opened, ReportJoined
from lianhu.contracts.mediation import GateOverridden, MovedToProtection
from lianhu.contracts.notify import (
    ContactNoted,
    DigestAdded,
    NoticeBundled,
    NoticeStep,
    NoticeSuppressed,
    NoticeWaiting,
)
from lianhu.contracts.parts import Audience, CardRef
from lianhu.contracts.vocabulary import AudienceRole, NoticeChannel, Path, Risk
from lianhu.eventing.rules import Decision, Message, Stream
from lianhu.notify.digests import PERSONS, digest_stream, shanghai_day
from lianhu.notify.entries import Silent, Suppressed, Told, ToldPerson
from lianhu.notify.facts import audience_of, case_of, facts
from lianhu.notify.hours import hindrance, next_moment
from lianhu.notify.policy import Policy
from lianhu.notify.state import CaseState, DigestState
from lianhu.notify.workflow.evolution import after
from lianhu.notify.workflow.notices import (
    PROTECTION,
    handed,
    head,
    notice_id,
    person_notice_id,
    unreached,
    way_sought,
)

NO_CARD = "no-contact-card"
_NO_UNIT = "no-unit"
_NO_LINE = "channel-not-configured"


def told(
    message: Message,
    data: Model,
    stream: Stream,
    state: CaseState,
    digests: Mapping[Stream, DigestState],
    now: datetime,
    policy: Policy,
) -> Decision:
    """What is noted, and the notices of an event. An erased case is not spoken of any more."""
    if state.erased:
        return {}
    telling = _Telling(message, data, policy, digests, now)
    found = list(telling.events(state))
    return {stream: found, **telling.added}


class _Telling:
    """One event being told."""

    def __init__(
        self,
        message: Message,
        data: Model,
        policy: Policy,
        digests: Mapping[Stream, DigestState],
        now: datetime,
    ) -> None:
        self._message = message
        self._data = data
        self._policy = policy
        self._digests = digests
        self._now = now
        self._leaves_at = policy.leaves_at(shanghai_day(message.time))
        self.added: dict[Stream, list[Internal]] = {}
        """What goes into the digests of units."""

    def events(self, state: CaseState) -> Iterator[Internal]:
        """In their order; each is told on the state as those before it left it."""
        for noted in _noted(self._data, state):
            yield noted
            after_it = after(state, noted)
            state = after_it if isinstance(after_it, CaseState) else state
        rule = self._policy.rules[self._message.type]
        if rule.tell is None:
            return
        told: set[str] = set()
        for audience in _once_a_person(audience_of(self._data)):
            match rule.tell[audience.role]:
                case Silent():
                    continue
                case Told() as entry:
                    events = self._unit(audience, entry)
                case ToldPerson() as entry:
                    events = self._person(audience, entry, state)
                case Suppressed() as entry:
                    events = self._suppressed(audience, entry)
            now_told: set[str] = set()
            for event in events:
                notice = str(getattr(event, "notice", ""))
                if state.knows(notice) or notice in told:
                    continue
                now_told.add(notice)
                if isinstance(event, NoticeBundled):
                    self._add(event)
                yield event
            told |= now_told

    def _unit(self, audience: Audience, entry: Told) -> Iterator[Internal]:
        unit, data, policy = audience.unit, self._data, self._policy
        red = getattr(data, "risk", None) is Risk.RED
        for channel in dict.fromkeys((*entry.channels, *(entry.red if red else ()))):
            step = self._step(audience, channel).model_copy(
                update={
                    "notice": notice_id(self._message.id, audience.role, unit, channel),
                    "template": entry.template,
                    "params": self._facts(policy.templates.needs(entry.template)),
                    "urgent": red,
                }
            )
            if unit is None:
                yield NoticeSuppressed(**head(step), reason=_NO_UNIT)
            elif channel is NoticeChannel.IN_APP:
                digest = digest_stream(unit, shanghai_day(self._leaves_at))
                waits = entry.digest and digest in self._digests and not self._digests[digest].left
                if waits:
                    yield NoticeBundled(**head(step), digest=str(digest))
                else:
                    yield from self._at_once(step, channel)
            elif policy.directory.address(unit, channel) is None:
                if channel in entry.channels:
                    yield NoticeSuppressed(**head(step), reason="no-duty-contact")
            elif channel not in policy.configured:
                yield NoticeSuppressed(**head(step), reason=_NO_LINE)
            else:
                yield from self._at_once(step, channel)

    def _at_once(self, step: NoticeStep, channel: NoticeChannel) -> Iterator[Internal]:
        """A screen wakes nobody; red risk may."""
        quiet, now = self._policy.quiet, self._now
        if channel is not NoticeChannel.IN_APP and not step.urgent:
            reason = hindrance(now, None, quiet)
            until = next_moment(now, timedelta(0), None, quiet)
            if reason is not None and until is not None:
                yield NoticeWaiting(**dict(step), reason=reason, until=until)
                return
        yield from handed(step, 1, channel, now, self._policy)

    def _add(self, bundled: NoticeBundled) -> None:
        self.added.setdefault(Stream.parse(bundled.digest), []).append(
            DigestAdded(
                unit=bundled.unit or "",
                case=bundled.case,
                about=bundled.about,
                about_type=bundled.about_type,
                leaves_at=self._leaves_at,
            )
        )

    def _person(
        self, audience: Audience, entry: ToldPerson, state: CaseState
    ) -> Iterator[Internal]:
        neutral = state.neutral or audience.neutral
        template = entry.neutral if neutral else entry.person
        path = Path.PROTECTION if neutral else Path.MEDIATION
        step = self._step(audience, None).model_copy(
            update={"visit": _owner(self._data) if path in entry.reach else None}
        )
        reason = audience.withheld or state.withheld.get(audience.role)
        if template is None:
            reason = PROTECTION
        elif reason is None:
            reason = _no_card(audience, state)
        if template is None or reason is not None:
            yield NoticeSuppressed(**head(step), reason=reason or PROTECTION)
            yield from unreached(step, reason or PROTECTION, self._now, self._policy)
            return
        # what the neutral words need goes with the others: the case may change its path meanwhile
        needs = self._policy.templates.needs(template)
        if not neutral and entry.neutral is not None:
            needs |= self._policy.templates.needs(entry.neutral)
        step = step.model_copy(update={"template": template, "params": self._facts(needs)})
        sought = way_sought(step, 1, 0, state, self._now, self._policy)
        yield sought
        if isinstance(sought, NoticeSuppressed):
            yield from unreached(step, sought.reason, self._now, self._policy)

    def _suppressed(self, audience: Audience, entry: Suppressed) -> Iterator[Internal]:
        if audience.role in PERSONS:
            step = self._step(audience, None)
            yield NoticeSuppressed(**head(step), reason=entry.suppressed)
            return
        for channel in entry.channels:
            step = self._step(audience, channel)
            yield NoticeSuppressed(**head(step), reason=entry.suppressed)

    def _step(self, audience: Audience, channel: NoticeChannel | None) -> NoticeStep:
        person = None if audience.card is None else audience.card.person
        about, role = self._message.id, audience.role
        return NoticeStep(
            case=case_of(self._data),
            notice=person_notice_id(about, role, person)
            if channel is None
            else notice_id(about, role, audience.unit, channel),
            about=about,
            about_type=self._message.type,
            role=role,
            unit=None if role in PERSONS else audience.unit,
            person=person if role in PERSONS else None,
            channel=channel,
            template="",
            params={},
            begun=self._message.time,
        )

    def _facts(self, names: Iterable[str]) -> dict[str, str]:
        return facts(self._data, names, self._policy.divisions)


def _noted(data: Model, state: CaseState) -> Iterator[ContactNoted]:
    """What an event says that binds later notices: the path, newer cards, cards taken back."""
    case = case_of(data)
    if case is None:
        return
    neutral = _neutral(data, state)
    changed = neutral != state.neutral
    cards: dict[AudienceRole, CardRef] = {
        audience.role: audience.card
        for audience in audience_of(data)
        if audience.card is not None and audience.role in PERSONS
    }
    if isinstance(own := getattr(data, "card", None), CardRef):
        cards[AudienceRole.PERSON_CONCERNED] = own
    for role, card in cards.items():
        if state.newer(role, card):
            changed = False
            yield ContactNoted(case=case, role=role, card=card, neutral=neutral)
    role = AudienceRole.PERSON_CONCERNED
    if isinstance(data, Opened | ReportJoined | CaseSplit) and role not in cards:
        # Intake makes the cards, so it alone takes one back.
        reason = data.no_card
        if reason not in (None, state.withheld.get(role)):
            changed = False
            yield ContactNoted(case=case, role=role, withheld=reason, neutral=neutral)
    if changed:
        yield ContactNoted(case=case, neutral=neutral)


def _neutral(data: Model, state: CaseState) -> bool:
    """Whether the case is on the protection path from here on; only two persons take it off."""
    if isinstance(data, GateOverridden):
        return any(audience.neutral for audience in audience_of(data))
    return (
        state.neutral
        or isinstance(data, MovedToProtection)
        or getattr(data, "path", None) is Path.PROTECTION
        or any(audience.neutral for audience in audience_of(data))
    )


def _no_card(audience: Audience, state: CaseState) -> str | None:
    """Why there is no card to go by; two of one version are a doubt, in which nobody is told."""
    if audience.card is None:
        return NO_CARD
    known = state.cards.get(audience.role)
    if known is not None and known.version == audience.card.version:
        return None if known.person == audience.card.person else "card-in-doubt"
    return None


def _once_a_person(audiences: Iterable[Audience]) -> Iterator[Audience]:
    """Each audience; of one person's several the most careful: withheld, then neutral."""
    people: dict[str, Audience] = {}
    for audience in audiences:
        if audience.role not in PERSONS or audience.card is None:
            yield audience
            continue
        known = people.get(audience.card.person)
        if known is None or _care(audience) > _care(known):
            people[audience.card.person] = audience
    yield from people.values()


def _care(audience: Audience) -> tuple[bool, bool, int]:
    version = 0 if audience.card is None else audience.card.version
    return audience.withheld is not None, audience.neutral, version


def _owner(data: Model) -> str | None:
    """The unit that owns the case after this event, as far as the event says."""
    owners = (AudienceRole.OWNING_UNIT, AudienceRole.UNIT_REACHED)
    found = {a.role: a.unit for a in reversed(audience_of(data)) if a.unit is not None}
    named = next((found[role] for role in owners if role in found), None)
    return named or getattr(data, "to_unit", None) or getattr(data, "unit", None)
