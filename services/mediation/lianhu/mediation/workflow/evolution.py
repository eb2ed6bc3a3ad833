"""The state of a case after each of its events. Reads no policy: due dates travel in events."""

from __future__ import annotations

from datetime import datetime

from lianhu.contracts.base import DivisionCode, Internal
from lianhu.contracts.mediation import (
    AgreementReached,
    CardRenewed,
    CaseAccepted,
    CaseAssigned,
    CaseConcluded,
    CaseEscalated,
    CaseOffered,
    CaseOverdue,
    ConsentRecorded,
    GateOverridden,
    MediationKeysErased,
    MediationKeysRestricted,
    MovedToProtection,
    OverrideProposed,
    PartnerAsked,
    PartnerChased,
    PartnerReplied,
    ReportNoted,
    RiskRaised,
    VisitRecorded,
)
from lianhu.contracts.parts import DueAt
from lianhu.contracts.vocabulary import DeadlineKind, PartnerSays, Party, Path
from lianhu.jurisdiction import Level
from lianhu.mediation.partners import Matter
from lianhu.mediation.workflow.state import RECEIPT, Ask, CaseState, Clock, Status, Visit


def after(state: CaseState | None, event: Internal, at: datetime) -> CaseState | None:
    """The case after an event of its own. An event that says nothing of it leaves it as it is."""
    if isinstance(event, CaseOffered):
        return begun(state, event)
    return state if state is None else onward(state, event, at)


def begun(before: CaseState | None, event: CaseOffered) -> CaseState:
    """The case at its first offer, or offered anew with what must not be forgotten of it."""
    opened = CaseState(
        case=event.case,
        status=Status.OFFERED,
        unit=event.unit,
        level=event.level,
        category=event.category,
        risk=event.risk,
        path=event.path,
        grounds=event.grounds,
        minor=event.minor,
        card=event.card,
        no_card=event.no_card,
        clocks=(Clock(DeadlineKind.ACCEPT, event.accept_by.at),),
    )
    if before is None:
        return opened
    return opened.model_copy(
        update={
            "asks": tuple(_stopped(ask, past=True) for ask in before.asks),
            "heard": before.heard,
            "reopened": before.reopened + 1,
            "agreement": before.agreement,
            "concluded_at": before.concluded_at,
        }
    )


def onward(state: CaseState, event: Internal, at: datetime) -> CaseState:
    """The case after any other event."""
    match event:
        case CaseAccepted():
            consent = event.consent_by
            return state.model_copy(
                update={
                    "status": Status.ACCEPTED,
                    "clocks": (
                        Clock(DeadlineKind.FIRST_VISIT, event.first_visit_by.at),
                        *(() if consent is None else (Clock(DeadlineKind.CONSENT, consent.at),)),
                        Clock(DeadlineKind.CONCLUDE, event.conclude_by.at),
                    ),
                }
            )
        case CaseAssigned():
            return state.model_copy(update={"mediator": event.mediator})
        case ConsentRecorded():
            return _consented(state, event)
        case VisitRecorded():
            before = tuple(visit for visit in state.visits if visit.step is not event.step)
            return state.model_copy(
                update={
                    "visits": (*before, Visit(event.step, event.visited_at)),
                    "clocks": state.clocks_without(DeadlineKind.FIRST_VISIT),
                }
            )
        case AgreementReached():
            # The agreement is what the clocks asked for: a case that is settled does not climb
            # for a visit that its level left out; what is missing was shown.
            return state.model_copy(
                update={"status": Status.AGREED, "clocks": (), "agreement": True}
            )
        case CaseConcluded():
            return _ended(state, Status.CONCLUDED).model_copy(
                update={"concluded_at": at if state.agreement else state.concluded_at}
            )
        case CaseEscalated():
            climbed = _offered_at(state, event.to_unit, event.to_level, event.accept_by)
            return climbed.model_copy(update={"category": event.category, "risk": event.risk})
        case CaseOverdue():
            return state.model_copy(
                update={
                    "clocks": state.clocks_without(event.missed),
                    "overdue": (*state.overdue, event.missed),
                }
            )
        case MediationKeysErased():
            erased = _ended(state, Status.ERASED)
            return erased.model_copy(update={"card": None, "restricted_until": None})
        case MediationKeysRestricted():
            return state.model_copy(update={"restricted_until": event.until})
        case PartnerAsked() | PartnerReplied() | PartnerChased():
            return _with_partner(state, event)
        case _:
            return _graver(state, event)


def _graver(state: CaseState, event: Internal) -> CaseState:
    """What a further report, or two persons, change of the path of a case."""
    match event:
        case RiskRaised():
            clocks = state.clocks
            if event.accept_by is not None and state.accept_by is not None:
                clocks = (Clock(DeadlineKind.ACCEPT, event.accept_by.at),)
            return state.model_copy(
                update={
                    "risk": event.risk,
                    "grounds": event.grounds,
                    "minor": event.minor,
                    "card": event.card,
                    "no_card": event.no_card,
                    "clocks": clocks,
                    # what was proposed was proposed without knowing this
                    "proposed_by": None,
                }
            )
        case ReportNoted():
            return state.model_copy(update={"heard": event.number})
        case CardRenewed():
            return state.model_copy(update={"card": event.card, "no_card": event.no_card})
        case MovedToProtection():
            moved = _offered_at(state, event.to_unit, event.to_level, event.accept_by)
            return moved.model_copy(
                update={
                    "path": Path.PROTECTION,
                    "risk": event.risk,
                    "grounds": event.grounds,
                    "overridden": False,
                }
            )
        case OverrideProposed():
            return state.model_copy(update={"proposed_by": event.by})
        case GateOverridden():
            offered = _offered_at(state, event.unit, event.level, event.accept_by)
            return offered.model_copy(update={"path": Path.MEDIATION, "overridden": True})
        case _:
            return state


def _offered_at(state: CaseState, unit: DivisionCode, level: Level, accept_by: DueAt) -> CaseState:
    """Offered anew, with nothing yet of what a level does; what is known of the case stays."""
    return state.model_copy(
        update={
            "status": Status.OFFERED,
            "unit": unit,
            "level": level,
            "clocks": (Clock(DeadlineKind.ACCEPT, accept_by.at),),
            "overdue": (),
            "mediator": None,
            "consents": (),
            "visits": (),
            "proposed_by": None,
        }
    )


def _ended(state: CaseState, status: Status) -> CaseState:
    """No clock runs any more, and nobody is waited for."""
    asks = tuple(_stopped(ask, past=ask.past) for ask in state.asks)
    return state.model_copy(
        update={"status": status, "clocks": (), "proposed_by": None, "asks": asks}
    )


def _consented(state: CaseState, event: ConsentRecorded) -> CaseState:
    others = tuple(party for party in state.consents if party is not event.party)
    consents = (*others, event.party) if event.consents else others
    met = len(consents) == len(Party)
    return state.model_copy(
        update={
            "consents": consents,
            "clocks": state.clocks_without(DeadlineKind.CONSENT) if met else state.clocks,
        }
    )


def _with_partner(
    state: CaseState, event: PartnerAsked | PartnerReplied | PartnerChased
) -> CaseState:
    match event:
        case PartnerAsked():
            ask: Ask | None = Ask(
                id=event.ask,
                authority=event.authority,
                to=event.to,
                matter=Matter(event.matter),
                receipt_by=event.receipt_by.at,
                answer_by=event.answer_by.at,
            )
        case PartnerReplied():
            ask = _heard(state.ask(event.ask), event)
        case PartnerChased():
            ask = _chased(state.ask(event.ask), event)
    if ask is None:
        return state
    others = tuple(one for one in state.asks if one.id != ask.id)
    return state.model_copy(update={"asks": (*others, ask)})


def _heard(ask: Ask | None, event: PartnerReplied) -> Ask | None:
    """A receipt leaves its answer due as it was, a filing gives it anew, an answer ends it."""
    if ask is None:
        return None
    answer_by = ask.answer_by if event.says is PartnerSays.RECEIVED else None
    if event.says is PartnerSays.FILED and event.answer_by is not None:
        answer_by = event.answer_by.at
    return ask.model_copy(update={"says": event.says, "receipt_by": None, "answer_by": answer_by})


def _chased(ask: Ask | None, event: PartnerChased) -> Ask | None:
    """The clock that ran out runs on to the next step; a missed answer leaves no receipt due."""
    if ask is None:
        return None
    due = None if event.next_by is None else event.next_by.at
    receipt_by = due if event.missed == RECEIPT else None
    answer_by = due if event.missed != RECEIPT else (None if due is None else ask.answer_by)
    return ask.model_copy(
        update={
            "to": event.to,
            "chased": event.step,
            "receipt_by": receipt_by,
            "answer_by": answer_by,
        }
    )


def _stopped(ask: Ask, *, past: bool) -> Ask:
    return ask.model_copy(update={"receipt_by": None, "answer_by": None, "past": past})
