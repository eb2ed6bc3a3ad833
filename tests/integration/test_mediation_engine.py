"""A protected case through the engine on PostgreSQL: asked, chased, answered, erased, folded."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from lianhu.contracts.base import Internal, Public
from lianhu.contracts.intake import ErasureOrdered
from lianhu.contracts.mediation import (
    AcceptCase,
    AddNote,
    CaseOffered,
    ConcludeProtection,
    PartnerAnswered,
)
from lianhu.contracts.vocabulary import PartnerSays
from lianhu.eventing.rules import Rank, case_stream
from lianhu.eventing.testing import (
    START,
    FakeRecord,
    TestEngine,
    event_record,
    open_engine,
    public_record,
)
from lianhu.jurisdiction import Post
from lianhu.mediation import workflow
from lianhu.mediation.workflow import CaseState
from lianhu.mediation.workflow.state import Status
from lianhu.privacy import MasterKey, MasterKeys, Sealer
from tests.conftest import MakeDatabase
from tests.mediation_desk import (
    CASE,
    DISTRICT,
    KEY,
    POLICE,
    POLICY,
    card,
    closed,
    joined,
    officer,
    protected,
    reopened,
)

pytestmark = pytest.mark.infra

KEYS = MasterKeys(MasterKey.generate())
STREAM = case_stream(CASE)
CHAIR = officer(Post.CHAIR, DISTRICT)
OFFICERS = "mediation.commands.officers-shenzhen.v1"


@pytest.fixture
async def mediation(make_database: MakeDatabase) -> AsyncIterator[TestEngine]:
    """Mediation on a database of its own."""
    url = await make_database("mediation")
    one = await open_engine("mediation", url, workflow, {Rank.CASE: CaseState}, POLICY, keys=KEYS)
    yield one
    await one.pool.close()


def told(event: Internal, sequence: int) -> FakeRecord:
    """What intake says, closed with the case's key, which travels beside it."""
    body = event.model_dump_json(context=Sealer(KEY)).encode()
    wrapped = b64encode(KEYS.wrap(KEY)).decode()
    return event_record("intake", body, STREAM, sequence, type_=event.type_, datakey=wrapped)


def said(command: Public, number: int, topic: str = OFFICERS) -> FakeRecord:
    later = START + timedelta(minutes=number)
    return public_record(topic, command.type_, command, id_=f"m-{number}", offset=number, at=later)


async def state(one: TestEngine) -> CaseState:
    text = await one.state(STREAM)
    assert text is not None
    return CaseState.model_validate_json(text)


async def answers(one: TestEngine) -> list[tuple[str, str]]:
    """What goes to whose answers topic: the publisher, and the short name of the event."""
    rows = await one.fetch(
        "SELECT answers, type FROM journal WHERE answers IS NOT NULL ORDER BY seq"
    )
    return [(row["answers"], row["type"].split(".")[2]) for row in rows]


async def test_a_protected_case_is_asked_about_chased_answered_and_erased(
    mediation: TestEngine,
) -> None:
    await mediation.take(told(protected(known=card()), 1))
    await mediation.take(said(AcceptCase(case=CASE, by=CHAIR), 10))
    await mediation.fire(START + timedelta(hours=2), STREAM)
    (ask,) = (await state(mediation)).asks
    reply = PartnerAnswered(
        case=CASE, ask=ask.id, says=PartnerSays.ANSWERED, by="desk-3", note="A patrol was there."
    )
    police = f"mediation.commands.{POLICE.name}.v1"
    await mediation.take(said(reply, 130, police))
    await mediation.take(said(ConcludeProtection(case=CASE, by=CHAIR, note="She is safe."), 140))

    assert await mediation.types(STREAM) == [
        "case-offered",
        "partner-asked",
        "case-accepted",
        "partner-chased",
        "partner-replied",
        "case-concluded",
    ]
    assert await answers(mediation) == [
        (POLICE.name, "partner-asked"),
        ("officers-shenzhen", "case-accepted"),
        (POLICE.name, "partner-chased"),
        (POLICE.name, "partner-replied"),
        ("officers-shenzhen", "case-concluded"),
    ]

    await mediation.take(told(closed(), 2), told(ErasureOrdered(case=CASE), 3))
    (key,) = await mediation.fetch(
        "SELECT wrapped, erased_at FROM case_keys WHERE id = $1", f"case/{CASE}"
    )
    assert key["wrapped"] == b""
    assert key["erased_at"] is not None
    assert (await state(mediation)).card is None

    await mediation.take(told(joined(known=card(2)), 4), told(reopened(protected()), 5))
    await mediation.take(said(AddNote(case=CASE, by=CHAIR, note="-"), 150))
    assert (await state(mediation)).status is Status.ERASED
    assert (await mediation.types(STREAM))[-2:] == ["keys-erased", "message-refused"]
    assert await mediation.parked() == [], "answered, and nothing of an erased case is kept"
    assert await mediation.verify() == []


async def test_a_state_of_the_first_shape_is_folded_anew_from_its_journal(
    mediation: TestEngine,
) -> None:
    await mediation.take(told(protected(known=card()), 1))
    whole = await state(mediation)
    old = whole.model_dump_json(
        include={"case", "status", "unit", "level", "category", "risk", "clocks"}
    )
    await mediation.fetch(
        "UPDATE aggregates SET shape = 1, state = $2 WHERE stream = $1", str(STREAM), old
    )

    await mediation.take(said(AcceptCase(case=CASE, by=CHAIR), 10))

    found = await state(mediation)
    assert found.status is Status.ACCEPTED
    assert (found.path, found.asks, found.card) == (whole.path, whole.asks, whole.card)
    (row,) = await mediation.fetch("SELECT shape FROM aggregates WHERE stream = $1", str(STREAM))
    assert row["shape"] == CaseState.SHAPE == 3
    assert await mediation.verify() == []


async def test_the_card_stays_closed_in_journal_and_state(mediation: TestEngine) -> None:
    await mediation.take(told(protected(known=card()), 1))

    (row,) = await mediation.fetch("SELECT body FROM journal WHERE type = $1", CaseOffered.type_)
    for text in (row["body"], await mediation.state(STREAM)):
        assert text is not None
        assert f"s1:case/{CASE}:" in text
        assert "lin@example.org" not in text
