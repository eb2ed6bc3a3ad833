"""Joint response: who is asked at once, what a partner's word does, how silence is chased."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import pytest
import yaml

from lianhu.contracts.base import Internal
from lianhu.contracts.faults import Refused
from lianhu.contracts.mediation import (
    AcceptCase,
    ConcludeProtection,
    PartnerAnswered,
    PartnerAsked,
    PartnerChased,
    PartnerReplied,
)
from lianhu.contracts.parts import Audience
from lianhu.contracts.publishers import Publisher, Publishers
from lianhu.contracts.vocabulary import (
    AudienceRole,
    Authority,
    Chase,
    Ground,
    PartnerSays,
    PublisherKind,
    Risk,
)
from lianhu.eventing.rules import Deadline
from lianhu.jurisdiction import Divisions, Post
from lianhu.mediation.policy import Policy
from lianhu.mediation.settings import Settings
from tests.mediation_desk import (
    CASE,
    CITY,
    CIVIL_AFFAIRS,
    COMMUNITY,
    DISTRICT,
    KEY,
    OFFICERS,
    POLICE,
    POLICY,
    Desk,
    at,
    joined,
    officer,
    opened,
    protected,
    reopened,
)

MONDAY = at("2026-03-02 10:00")
CHAIR = officer(Post.CHAIR, DISTRICT)
SAYS = PartnerSays


def asked_desk(risk: Risk = Risk.RED) -> tuple[Desk, PartnerAsked]:
    """A protected case, and what the police were asked."""
    desk = Desk()
    _, asked = desk.hand(protected(risk=risk), MONDAY, publisher=None)
    assert isinstance(asked, PartnerAsked)
    return desk, asked


def word(asked: PartnerAsked, says: PartnerSays, note: str | None = None) -> PartnerAnswered:
    return PartnerAnswered(case=CASE, ask=asked.ask, says=says, by="desk-3", note=note)


def of_partners(desk: Desk) -> list[Deadline]:
    """The timers that wait for partners, the next first."""
    kinds = ("receipt-", "answer-")
    found = [one for one in desk.deadlines() if one.kind.startswith(kinds)]
    return sorted(found, key=lambda one: one.due)


def asks(events: list[Internal]) -> list[tuple[Authority, str]]:
    return [(one.authority, one.matter) for one in events if isinstance(one, PartnerAsked)]


def refused(desk: Desk, reply: PartnerAnswered, publisher: Publisher | None) -> list[str]:
    before = desk.state
    with pytest.raises(Refused) as refusal:
        desk.hand(reply, at("2026-03-02 12:00"), publisher)
    assert desk.state == before
    return [f"{fault.path} {fault.slug}" for fault in refusal.value.faults]


def test_the_police_are_asked_at_once_on_their_own_topic() -> None:
    desk, asked = asked_desk()

    assert (asked.authority, asked.to, asked.matter) == (
        Authority.POLICE,
        POLICE.name,
        "protection",
    )
    assert asked.addressee == POLICE.name
    assert (asked.unit, asked.grounds) == (DISTRICT, (Ground.VIOLENCE_WITH_INJURY,))
    assert asked.receipt_by.at == at("2026-03-02 11:00")
    assert asked.answer_by.at == at("2026-03-06 00:00")
    assert asked.audience == (Audience(role=AudienceRole.OWNING_UNIT, unit=DISTRICT),)
    assert desk.clocks[f"receipt-{asked.ask}"] == asked.receipt_by.at
    assert desk.clocks[f"answer-{asked.ask}"] == asked.answer_by.at


@pytest.mark.parametrize("first", [protected(Ground.MINOR_VICTIM), protected(minor=True)])
def test_a_minor_is_reported_to_police_and_civil_affairs_at_once(first: Internal) -> None:
    desk = Desk()
    events = desk.hand(first, MONDAY, publisher=None)

    assert asks(events) == [
        (Authority.POLICE, "mandatory-report"),
        (Authority.CIVIL_AFFAIRS, "mandatory-report"),
    ]
    assert len({timer.kind for timer in of_partners(desk)}) == 4, "each has its own clocks"


def test_a_minor_is_reported_whatever_path_the_case_takes() -> None:
    assert asks(Desk().hand(opened(minor=True), MONDAY, publisher=None)) == [
        (Authority.POLICE, "mandatory-report"),
        (Authority.CIVIL_AFFAIRS, "mandatory-report"),
    ]
    assert asks(Desk().hand(opened(), MONDAY, publisher=None)) == []


def test_a_receipt_an_answer_and_nobody_is_chased() -> None:
    desk, asked = asked_desk()

    (replied,) = desk.hand(word(asked, SAYS.RECEIVED), at("2026-03-02 10:20"), POLICE)
    assert isinstance(replied, PartnerReplied)
    assert (replied.says, replied.answer_by) == (SAYS.RECEIVED, None)
    assert [one.kind for one in of_partners(desk)] == [f"answer-{asked.ask}"]

    (answered,) = desk.hand(
        word(asked, SAYS.ANSWERED, "A patrol was there."), at("2026-03-03 09:00"), POLICE
    )
    assert isinstance(answered, PartnerReplied)
    assert answered.note is not None
    assert answered.note.reveal(lambda _: KEY) == "A patrol was there."
    assert answered.audience == (Audience(role=AudienceRole.OWNING_UNIT, unit=DISTRICT),)
    assert of_partners(desk) == []


def test_what_was_filed_is_to_be_answered_within_three_days() -> None:
    desk, asked = asked_desk()

    (filed,) = desk.hand(word(asked, SAYS.FILED), at("2026-03-04 15:00"), POLICE)

    assert isinstance(filed, PartnerReplied)
    assert filed.answer_by is not None
    assert filed.answer_by.at == at("2026-03-10 00:00"), "the third day is a Saturday"
    (left,) = of_partners(desk)
    assert (left.kind, left.due) == (f"answer-{asked.ask}", filed.answer_by.at)


def test_a_partner_that_declines_is_not_chased() -> None:
    desk, asked = asked_desk()
    desk.hand(word(asked, SAYS.DECLINED), at("2026-03-02 10:20"), POLICE)

    assert of_partners(desk) == []


def test_silence_is_chased_by_the_next_means_each_time_and_then_no_more() -> None:
    desk, asked = asked_desk()
    desk.hand(AcceptCase(case=CASE, by=CHAIR), at("2026-03-02 10:10"))
    steps: list[PartnerChased] = []
    while timers := of_partners(desk):
        (event,) = desk.fire(timers[0])
        assert isinstance(event, PartnerChased)
        steps.append(event)

    assert [(one.step, one.missed, one.due) for one in steps] == [
        (Chase.REMINDER, "receipt", at("2026-03-02 11:00")),
        (Chase.DEMAND, "receipt", at("2026-03-04 00:00")),
        (Chase.SUPERVISION_LETTER, "answer", at("2026-03-06 00:00")),
        (Chase.GOVERNMENT, "answer", at("2026-03-14 00:00")),
    ]
    assert [one.addressee for one in steps] == [POLICE.name] * 4
    district = Audience(role=AudienceRole.OWNING_UNIT, unit=DISTRICT)
    assert [one.audience for one in steps[:3]] == [(district,)] * 3
    above = Audience(role=AudienceRole.OWNING_UNIT, unit=CITY)
    assert steps[-1].audience == (district, above), "the unit above hears of the last"
    assert steps[-1].next_by is None

    desk.hand(word(asked, SAYS.FILED), at("2026-03-16 09:00"), POLICE)
    assert of_partners(desk) == [], "a word after the last means is taken, and nothing follows"
    assert desk.case.asks[0].says is SAYS.FILED


def test_a_receipt_after_a_reminder_leaves_the_answer_due() -> None:
    desk, asked = asked_desk()
    desk.fire(of_partners(desk)[0])
    desk.hand(word(asked, SAYS.RECEIVED), at("2026-03-02 11:30"), POLICE)

    (left,) = of_partners(desk)
    assert (left.kind, left.due) == (f"answer-{asked.ask}", at("2026-03-06 00:00"))
    (chased,) = desk.fire(left)
    assert isinstance(chased, PartnerChased)
    assert (chased.step, chased.missed) == (Chase.DEMAND, "answer"), "the next means, not the first"


def test_a_chase_that_was_answered_meanwhile_does_not_happen() -> None:
    desk, asked = asked_desk()
    receipt = of_partners(desk)[0]
    desk.hand(word(asked, SAYS.RECEIVED), at("2026-03-02 10:59"), POLICE)

    assert desk.fire(receipt) == []


def test_chases_go_on_when_the_case_climbs_and_stop_when_it_is_concluded() -> None:
    desk, asked = asked_desk()
    before = of_partners(desk)
    (accept,) = [one for one in desk.deadlines() if one.kind == "accept"]
    desk.fire(accept)
    assert desk.case.unit == CITY
    assert of_partners(desk) == before

    chair = officer(Post.CHAIR, CITY)
    desk.hand(AcceptCase(case=CASE, by=chair), at("2026-03-02 11:10"))
    desk.hand(ConcludeProtection(case=CASE, by=chair, note="-"), at("2026-03-02 11:20"))
    assert of_partners(desk) == []
    for timer in before:
        assert desk.fire(timer) == []
    (late,) = desk.hand(word(asked, SAYS.FILED), at("2026-03-03 09:00"), POLICE)
    assert isinstance(late, PartnerReplied)
    assert late.answer_by is None
    assert desk.deadlines() == []


def test_only_who_was_asked_may_answer() -> None:
    desk, asked = asked_desk()
    reply = word(asked, SAYS.ANSWERED)
    of_another_name = POLICE.model_copy(update={"name": "police-luohu"})
    of_another_office = POLICE.model_copy(update={"authority": Authority.CIVIL_AFFAIRS})

    for publisher in (CIVIL_AFFAIRS, OFFICERS, of_another_name, of_another_office, None):
        assert refused(desk, reply, publisher) == ["/ask not-asked"]


def test_what_was_never_asked_is_not_answered() -> None:
    desk, asked = asked_desk()
    reply = word(asked, SAYS.ANSWERED).model_copy(update={"ask": "f" * 32})

    assert refused(desk, reply, POLICE) == ["/ask unknown-ask"]
    assert refused(Desk(), reply, POLICE) == ["/case unknown-case"]


@pytest.mark.parametrize(
    ("first", "then", "fault"),
    [
        (SAYS.ANSWERED, SAYS.ANSWERED, "/ask already-answered"),
        (SAYS.ANSWERED, SAYS.FILED, "/ask already-answered"),
        (SAYS.DECLINED, SAYS.RECEIVED, "/ask already-answered"),
        (SAYS.RECEIVED, SAYS.RECEIVED, "/says already-recorded"),
        (SAYS.FILED, SAYS.FILED, "/says already-recorded"),
        (SAYS.FILED, SAYS.RECEIVED, "/says already-recorded"),
    ],
)
def test_a_word_is_taken_once(first: PartnerSays, then: PartnerSays, fault: str) -> None:
    desk, asked = asked_desk()
    desk.hand(word(asked, first), at("2026-03-02 10:20"), POLICE)

    assert refused(desk, word(asked, then), POLICE) == [fault]


def test_a_reopened_case_asks_anew_and_waits_for_the_old_answer_no_more() -> None:
    desk, asked = asked_desk()
    desk.hand(AcceptCase(case=CASE, by=CHAIR), at("2026-03-02 10:10"))
    desk.hand(ConcludeProtection(case=CASE, by=CHAIR, note="-"), at("2026-03-02 10:20"))

    _, again = desk.hand(reopened(protected()), at("2026-04-01 09:00"), publisher=None)

    assert isinstance(again, PartnerAsked)
    assert again.ask != asked.ask
    assert {one.kind for one in of_partners(desk)} == {
        f"receipt-{again.ask}",
        f"answer-{again.ask}",
    }
    (late,) = desk.hand(word(asked, SAYS.FILED), at("2026-04-02 09:00"), POLICE)
    assert isinstance(late, PartnerReplied)
    assert late.answer_by is None
    assert len(of_partners(desk)) == 2


def test_whoever_took_the_place_of_a_partner_is_chased_and_may_answer() -> None:
    desk, asked = asked_desk()
    new = POLICE.model_copy(update={"name": "police-futian-2"})
    desk.policy = policy_with([new, CIVIL_AFFAIRS])

    (chased,) = desk.fire(of_partners(desk)[0])

    assert isinstance(chased, PartnerChased)
    assert chased.addressee == "police-futian-2"
    assert refused(desk, word(asked, SAYS.ANSWERED), POLICE) == ["/ask not-asked"]
    assert len(desk.hand(word(asked, SAYS.ANSWERED), at("2026-03-02 12:00"), new)) == 1


def test_news_of_a_minor_brings_the_mandatory_report_once() -> None:
    desk, _ = asked_desk()
    report = joined(Ground.MINOR_VICTIM, risk=Risk.RED)

    events = desk.hand(report, at("2026-03-02 10:30"), publisher=None)
    assert asks(events) == [
        (Authority.POLICE, "mandatory-report"),
        (Authority.CIVIL_AFFAIRS, "mandatory-report"),
    ]
    worse = joined(Ground.COERCION, risk=Risk.RED)
    assert asks(desk.hand(worse, at("2026-03-02 10:40"), publisher=None)) == []


# who is a unit's partner


def policy_with(partners: list[Publisher]) -> Policy:
    """The shipped policy with these partners."""
    shipped = files("lianhu.mediation") / "policy.yaml"
    publishers = Publishers(publishers=(OFFICERS, *partners))
    return Policy.read(shipped, Divisions.shenzhen(), publishers)


def partner(name: str, unit: str, authority: Authority = Authority.POLICE) -> Publisher:
    return Publisher(
        name=name, kind=PublisherKind.PARTNER, unit=unit, authority=authority, title="-"
    )


def test_the_nearest_partner_above_is_asked() -> None:
    policy = policy_with(
        [
            partner("police-shenzhen", CITY),
            POLICE,
            partner("police-nanyuan", COMMUNITY),
            CIVIL_AFFAIRS,
        ]
    )

    def of(unit: str) -> str:
        found = policy.partners.of(Authority.POLICE, unit)
        assert found is not None
        return found.name

    assert of(COMMUNITY) == "police-nanyuan"
    assert of("440304001000") == "police-futian"
    assert of(DISTRICT) == "police-futian"
    assert of(CITY) == "police-shenzhen"


def test_a_case_of_the_city_is_put_to_a_district_s_partner_rather_than_to_nobody() -> None:
    found = POLICY.partners.of(Authority.POLICE, CITY)

    assert found == POLICE
    assert POLICY.partners.of(Authority.COURT, CITY) is None


@pytest.mark.parametrize(
    ("left", "sentence"),
    [
        ([POLICE], "no civil-affairs is registered as a publisher for district 440304000000"),
        ([CIVIL_AFFAIRS], "no police is registered as a publisher for district 440304000000"),
        (
            [partner("police-nanyuan", COMMUNITY), CIVIL_AFFAIRS],
            "no police is registered as a publisher for district 440304000000",
        ),
        (
            [partner("police-luohu", "440303000000"), CIVIL_AFFAIRS],
            "no police is registered as a publisher for district 440304000000",
        ),
    ],
    ids=["no-civil-affairs", "no-police", "police-of-a-community", "police-of-another-district"],
)
def test_a_district_without_its_partners_stops_the_start(
    tmp_path: Path, left: list[Publisher], sentence: str
) -> None:
    file = tmp_path / "publishers.yaml"
    written = Publishers(publishers=(OFFICERS, *left)).model_dump(mode="json", exclude_none=True)
    file.write_text(yaml.safe_dump(written, allow_unicode=True), encoding="utf-8")

    with pytest.raises(ValueError, match="the policy of mediation has holes") as hole:
        Policy.load(Settings(publishers_file=file))
    assert sentence in str(hole.value)


def test_partners_of_the_city_are_enough() -> None:
    policy = policy_with(
        [
            partner("police-shenzhen", CITY),
            partner("civil-affairs-shenzhen", CITY, Authority.CIVIL_AFFAIRS),
        ]
    )

    found = policy.partners.of(Authority.CIVIL_AFFAIRS, COMMUNITY)
    assert found is not None
    assert found.name == "civil-affairs-shenzhen"
