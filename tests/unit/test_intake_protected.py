"""Who is protected stays so: when the case is opened again, and when he says that he is she."""

from __future__ import annotations

from typing import Any

import pytest

from lianhu.contracts.intake import CaseLinked, CaseOpened, CaseReopened, ReportJoined
from lianhu.contracts.vocabulary import AudienceRole, Ground, Path, Risk
from lianhu.jurisdiction import Level
from tests.intake_desk import COMMUNITY, DISTRICT, GRID, LI, STREET, WANG, Desk, only

NAMED = WANG | {"document": None}
"""Known by name, day of birth and phone only."""
HERSELF = {"relation": "self", "phone": WANG["phone"], "name": WANG["name"]}
HIS_LIE: dict[str, Any] = {
    "reporter": {"relation": "self", "phone": LI["phone"]},
    "concerned": {"document": WANG["document"]},
    "safe_contact": {"allowed": ["sms"]},
}
"""He gives himself out as her, with her document and his own phone."""


def test_who_gives_himself_out_as_her_is_told_nothing_and_nobody_joins_him() -> None:
    desk = Desk()
    hers = desk.opens(concerned=WANG, other_party=LI).case
    lie = desk.report(**HIS_LIE)
    (his,) = only(lie, CaseOpened)
    assert {(link.case, link.other) for link in only(lie, CaseLinked)} >= {(his.case, hers)}
    assert (his.by_other_side, his.card, his.no_card) == (True, None, "no-safe-contact")
    again = desk.report(GRID, concerned=WANG, indicators={"weapon": True})
    (joined,) = only(again, ReportJoined)
    assert joined.case == hers


def test_nor_after_her_case_was_closed() -> None:
    desk = Desk()
    hers = desk.opens(concerned=WANG, other_party=LI).case
    desk.conclude(hers)
    (his,) = only(desk.report(**HIS_LIE), CaseOpened)
    assert (his.by_other_side, his.card, his.no_card) == (True, None, "no-safe-contact")
    assert desk.case(hers).status == "closed"


def test_he_joins_no_other_case_of_hers_either() -> None:
    desk = Desk()
    desk.opens(concerned={"document": WANG["document"]}, other_party=LI)
    desk.opens(concerned=NAMED)
    lie = desk.report(**(HIS_LIE | {"concerned": WANG}))
    assert only(lie, CaseOpened)[0].by_other_side
    assert {link.reason for link in only(lie, CaseLinked)} == {"reporter-is-other-party"}


@pytest.mark.parametrize("known", ["phone", "document"])
def test_where_he_did_so_first_his_card_goes_once_a_report_names_him(known: str) -> None:
    desk = Desk()
    reporter = HIS_LIE["reporter"] | {known: LI[known]}
    case = desk.opens(**(HIS_LIE | {"reporter": reporter})).case
    assert desk.case(case).card is not None
    police: dict[str, Any] = {"concerned": WANG, "other_party": {known: LI[known]}}
    found = desk.report(GRID, **police, indicators={"weapon": True})
    (joined,) = only(found, ReportJoined)
    assert (joined.case, joined.card, joined.no_card) == (case, None, "no-safe-contact")
    assert desk.case(case).card is None


def test_her_complaint_about_him_is_still_her_own_where_he_has_one_about_her() -> None:
    desk = Desk()
    his = desk.opens(concerned=LI, reporter=LI | {"relation": "self"}, other_party=WANG)
    hers = desk.opens(concerned=WANG, reporter=WANG | {"relation": "self"}, other_party=LI)
    assert not his.by_other_side
    assert not hers.by_other_side
    assert his.card is not None
    assert hers.card is not None


def test_a_protected_case_that_is_opened_again_is_still_not_mediated() -> None:
    desk = Desk()
    case = desk.opens(concerned=WANG, indicators={"order_in_force": True}).case
    desk.conclude(case)
    mild = {"reporter": HERSELF, "indicators": {"coercion": True}}
    for further, grounds in (
        ({}, (Ground.ORDER_IN_FORCE,)),
        (mild, (Ground.ORDER_IN_FORCE, Ground.COERCION)),
    ):
        (event,) = only(desk.report(GRID, concerned=WANG, **further), CaseReopened)
        assert (event.path, event.grounds) == (Path.PROTECTION, grounds)
        assert event.risk.rank >= Risk.ORANGE.rank
        assert (event.unit, event.level) == (DISTRICT, Level.DISTRICT)
        assert event.informed == (STREET, COMMUNITY)
        assert (event.card, event.no_card) == (None, "no-safe-contact")
        assert "保护令或告诫书有效（此前已认定）：不适宜调解，走保护路径" in event.reasons
        state = desk.case(case)
        assert (state.path, state.grounds, state.owner) == (Path.PROTECTION, grounds, DISTRICT)
        (person,) = [a for a in event.audience if a.role is AudienceRole.PERSON_CONCERNED]
        assert person.neutral
        desk.conclude(case)


def test_a_minors_case_that_is_opened_again_is_still_a_minors() -> None:
    desk = Desk()
    by_document = {"document": {"kind": "passport", "number": "E12345678"}}
    case = desk.opens(concerned=by_document, indicators={"minor_victim": True}).case
    desk.conclude(case)
    (event,) = only(desk.report(GRID, concerned=by_document), CaseReopened)
    assert event.minor
    assert (event.path, event.grounds) == (Path.PROTECTION, (Ground.MINOR_VICTIM,))
