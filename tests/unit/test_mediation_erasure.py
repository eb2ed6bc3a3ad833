"""The end of a case's personal data, what duty keeps it, and journals of an older form."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime

import pytest

from lianhu.contracts import REGISTRY
from lianhu.contracts.base import Internal
from lianhu.contracts.faults import Refused
from lianhu.contracts.intake import ErasureAsked, ErasureOrdered, ErasureRestricted
from lianhu.contracts.mediation import (
    AcceptCase,
    AddNote,
    CaseCommand,
    MediationErasureAnswered,
    MediationKeysErased,
    MediationKeysRestricted,
    PartnerAnswered,
    RecordAgreement,
    RecordConsent,
    RecordFailure,
    RecordPerformance,
)
from lianhu.contracts.vocabulary import AgreementForm, PartnerSays, Party, Path
from lianhu.eventing.rules import case_stream
from lianhu.jurisdiction import Post
from lianhu.mediation.workflow.state import Status
from lianhu.privacy import Sealer
from tests.mediation_desk import (
    CASE,
    CITY,
    KEY,
    OFFICERS,
    POLICE,
    Desk,
    at,
    card,
    closed,
    fold,
    joined,
    officer,
    opened,
    protected,
    reopened,
)

CHAIR = officer(Post.CHAIR, CITY)
ACCEPT = AcceptCase(case=CASE, by=CHAIR)
BOTH = tuple(RecordConsent(case=CASE, by=CHAIR, party=party, consents=True) for party in Party)
AGREE = RecordAgreement(case=CASE, by=CHAIR, form=AgreementForm.ORAL, terms="He pays.")
PERFORM = RecordPerformance(case=CASE, by=CHAIR)
FAIL = RecordFailure(case=CASE, by=CHAIR, reason="He did not pay.")
NOTE = AddNote(case=CASE, by=CHAIR, note="-")
ASKED = ErasureAsked(case=CASE, by=CHAIR, basis="个人信息保护法 §47")
ORDERED = ErasureOrdered(case=CASE)
UNTIL = at("2031-03-04 00:00")
"""Five years after 2 March 2026, which is a Sunday then."""
RESTRICTED = ErasureRestricted(case=CASE, service="welfare", until=UNTIL, basis="会计档案管理办法")


def desk_after(*commands: CaseCommand) -> Desk:
    desk = Desk()
    desk.hand(opened(known=card()), at("2026-03-02 10:00"), publisher=None)
    for command in commands:
        desk.hand(command, at("2026-03-02 12:00"))
    return desk


def answer(desk: Desk, moment: str = "2026-03-09 10:00") -> tuple[datetime | None, str | None]:
    (answered,) = desk.hand(ASKED, at(moment), publisher=None)
    assert isinstance(answered, MediationErasureAnswered)
    return answered.until, answered.basis


def slugs(desk: Desk, command: CaseCommand | PartnerAnswered, moment: datetime) -> list[str]:
    publisher = POLICE if isinstance(command, PartnerAnswered) else OFFICERS
    with pytest.raises(Refused) as refusal:
        desk.hand(command, moment, publisher)
    return [fault.slug for fault in refusal.value.faults]


@pytest.mark.parametrize("end", [(PERFORM,), (FAIL,)], ids=["performed", "not performed"])
def test_the_file_of_an_agreement_is_kept_for_five_years(end: tuple[CaseCommand, ...]) -> None:
    desk = desk_after(ACCEPT, *BOTH, AGREE, *end)

    assert answer(desk) == (UNTIL, "人民调解法 §27")
    assert answer(desk, "2031-03-03 23:59") == (UNTIL, "人民调解法 §27")
    assert answer(desk, "2031-03-04 00:00") == (None, None), "the duty is over"


def test_without_an_agreement_nothing_is_kept() -> None:
    assert answer(desk_after(ACCEPT, FAIL)) == (None, None)
    assert answer(Desk()) == (None, None), "nor for a case that mediation never saw"


def test_a_file_is_kept_though_the_case_was_reopened_and_failed() -> None:
    desk = desk_after(ACCEPT, *BOTH, AGREE, PERFORM)
    desk.hand(reopened(opened()), at("2026-06-01 10:00"), publisher=None)
    desk.hand(ACCEPT, at("2026-06-01 11:00"))
    desk.hand(FAIL, at("2026-06-02 11:00"))

    until, _ = answer(desk, "2026-06-03 10:00")
    assert until == at("2031-06-03 00:00")


def test_erased_is_erased() -> None:
    desk = desk_after(ACCEPT, FAIL)

    (erased,) = desk.hand(ORDERED, at("2026-03-10 10:00"), publisher=None)

    assert isinstance(erased, MediationKeysErased)
    assert desk.case.status is Status.ERASED
    assert desk.case.card is None
    assert desk.deadlines() == []
    for late in (
        RESTRICTED,
        closed(),
        opened(),
        reopened(opened()),
        joined(known=card(2)),
    ):
        assert desk.hand(late, at("2026-03-11 10:00"), publisher=None) == []
    for command in (ACCEPT, AGREE, PERFORM, NOTE):
        assert slugs(desk, command, at("2026-03-11 10:00")) == ["case-erased"]


def test_an_intake_that_was_restored_is_answered_again() -> None:
    desk = desk_after(ACCEPT, *BOTH, AGREE, PERFORM)
    desk.hand(ORDERED, at("2026-03-10 10:00"), publisher=None)

    assert answer(desk, "2026-03-11 10:00")[0] is None, "there is no file any more"
    (erased,) = desk.hand(ORDERED, at("2026-03-11 10:00"), publisher=None)

    assert isinstance(erased, MediationKeysErased)
    assert desk.case.status is Status.ERASED


def test_a_case_is_erased_with_all_its_clocks_and_questions() -> None:
    desk = Desk()
    desk.hand(protected(known=card()), at("2026-03-02 10:00"), publisher=None)
    timers = desk.deadlines()
    assert len(timers) == 3
    (ask,) = desk.case.asks

    desk.hand(ORDERED, at("2026-03-02 10:10"), publisher=None)

    assert desk.deadlines() == []
    for timer in timers:
        assert desk.fire(timer) == []
    late = PartnerAnswered(case=CASE, ask=ask.id, says=PartnerSays.ANSWERED, by="desk-3")
    assert slugs(desk, late, at("2026-03-02 10:20")) == ["case-erased"]


def test_an_order_for_a_case_that_is_not_known_is_confirmed() -> None:
    desk = Desk()
    (erased,) = desk.hand(ORDERED, at("2026-03-10 10:00"), publisher=None)

    assert isinstance(erased, MediationKeysErased)
    assert desk.state is None


def test_while_a_duty_runs_nobody_works_on_the_case() -> None:
    desk = desk_after(ACCEPT, FAIL)

    (kept,) = desk.hand(RESTRICTED, at("2026-03-10 10:00"), publisher=None)

    assert isinstance(kept, MediationKeysRestricted)
    assert (kept.until, kept.basis) == (UNTIL, "会计档案管理办法")
    assert slugs(desk, NOTE, at("2026-03-11 10:00")) == ["case-restricted"]
    assert len(desk.hand(NOTE, UNTIL)) == 1
    (erased,) = desk.hand(ORDERED, UNTIL, publisher=None)
    assert isinstance(erased, MediationKeysErased)


# journals of the form that states had before

OLD_FIELDS = {
    "case-offered": ("path", "grounds", "minor", "card", "no_card"),
    "case-accepted": (),
}


def old_rows(events: Sequence[Internal]) -> list[tuple[str, str]]:
    """Rows as the release before wrote them: type and body, without the fields that are new."""
    rows = []
    for event in events:
        body = json.loads(event.model_dump_json(context=Sealer(KEY)))
        for name in OLD_FIELDS.get(event.type_.split(".")[2], ()):
            del body[name]
        for audience in body.get("audience", ()):
            for name in ("card", "neutral", "withheld"):
                del audience[name]
        rows.append((event.type_, json.dumps(body)))
    return rows


def test_a_journal_of_the_first_shape_folds() -> None:
    desk = Desk()
    desk.hand(opened(), at("2026-03-02 10:00"), publisher=None)
    desk.miss_next()
    for command in (ACCEPT, *BOTH, AGREE, PERFORM):
        desk.hand(command, at("2026-03-06 12:00"))

    read = []
    for type_, body in old_rows(desk.journal):
        contract = REGISTRY.get(type_)
        assert contract is not None
        event = contract.model.model_validate_json(body, extra="ignore")
        assert isinstance(event, Internal)
        read.append(event)

    assert fold(case_stream(CASE), read, desk.moments) == desk.state
    for count in range(1, len(read) + 1):
        state = fold(case_stream(CASE), read[:count], desk.moments[:count])
        assert state is not None
        assert state.path is Path.MEDIATION
    assert desk.case.agreement
    assert desk.case.concluded_at == at("2026-03-06 12:00"), "an old file is kept from its end on"
