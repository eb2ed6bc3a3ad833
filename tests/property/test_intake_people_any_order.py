"""Whatever is reported, said and asked in whatever order: who joins, and who never does."""

from __future__ import annotations

from collections import defaultdict
from contextlib import suppress
from typing import Any

from hypothesis import event, given, settings
from hypothesis import strategies as st

from lianhu.contracts import REGISTRY
from lianhu.contracts.faults import Refused
from lianhu.contracts.intake import (
    CaseErased,
    CaseLinked,
    CaseOpened,
    CaseReopened,
    EraseCase,
    Found,
    IntakeKeysErased,
    ReportAccepted,
    ReportJoined,
    ReportSubmitted,
    SplitCase,
)
from lianhu.contracts.parts import Indicators
from lianhu.contracts.vocabulary import AudienceRole, Path, Relation
from lianhu.intake.state import CaseState, PersonState, Status
from lianhu.intake.suitability import suitability
from lianhu.intake.triage import triage
from lianhu.intake.workflow.people import by_self, concerned_of, identities_of
from tests.intake_desk import (
    ANSWERS,
    COMMUNITY,
    CONFIRMATIONS,
    GRID,
    HARMLESS,
    HOTLINE,
    LI,
    OFFICERS,
    POLICY,
    START,
    WANG,
    Desk,
    flat,
    officer,
    only,
)

SISTER = {"name": "王小兰", "born": "1992-01-01", "phone": WANG["phone"]}
CHILD = {"name": "王天", "born": "2015-06-01", "phone": WANG["phone"]}
SPELT = WANG | {"name": "王晓红", "document": None}

people = st.sampled_from([WANG, WANG | {"document": None}, SPELT, LI, SISTER, CHILD])
sides = st.sampled_from([LI, LI, SISTER, WANG])
reporters = st.builds(
    lambda person, relation: person | {"relation": relation}, sides, st.sampled_from(Relation)
)
safe = st.fixed_dictionaries({}, optional={"allowed": st.sampled_from([[], ["sms"], ["email"]])})
graver = st.sampled_from(
    [{}, {"weapon": True}, {"coercion": True}, {"minor_victim": True}, {"guardian_suspected": True}]
)
submissions = st.fixed_dictionaries(
    {"publisher": st.sampled_from([HOTLINE, GRID]), "concerned": people},
    optional={
        "reporter": reporters,
        "other_party": sides,
        "safe_contact": safe,
        "indicators": graver,
    },
)
ends = st.tuples(
    st.sampled_from(["conclude", "conclude", "split", "erase", "answer", "confirm", "vanish"]),
    st.integers(0, 9),
)
worlds = st.lists(st.one_of(submissions, submissions, ends), min_size=4, max_size=16)


class World:
    """A desk, and what the reports of each case said about people."""

    def __init__(self) -> None:
        self.desk = Desk()
        self.reporters: dict[str, set[str]] = defaultdict(set)
        self.others: dict[str, set[str]] = defaultdict(set)
        self.joined: list[ReportJoined] = []

    def report(self, publisher: Any, **fields: Any) -> None:
        desk = self.desk
        body = {"channel": publisher.channels[0], "narrative": HARMLESS}
        said = ReportSubmitted.model_validate(body | {"place": {"division": COMMUNITY}} | fields)
        before = {case.case: case for case in desk.cases()}
        found = desk.take(said, publisher)
        assert len(only(found, ReportAccepted)) == 1
        (became,) = [
            one for one in flat(found) if isinstance(one, CaseOpened | CaseReopened | ReportJoined)
        ]
        event(type(became).__name__)
        told, others = self._identities(said)
        if isinstance(became, ReportJoined):
            self.joined.append(became)
            self._fits(became, before[became.case], told, others)
        else:
            assert became.no_card is None or became.card is None
            assert became.card is None or not became.by_other_side
            if isinstance(became, CaseReopened):
                self._stays_protected(became, before[became.case])
        links = only(found, CaseLinked)
        assert {(link.case, link.other) for link in links} == {
            (link.other, link.case) for link in links
        }
        if not by_self(said):
            # who tells and bears the number of the person concerned is that person
            self.reporters[became.case] |= told - self._concerned(said)
        self.others[became.case] |= others

    def end(self, what: str, number: int) -> None:
        """Something that may end a case, or be refused. To vanish is the whole way at once."""
        desk = self.desk
        if what == "vanish":
            for each in ("conclude", "erase", "answer", "confirm"):
                self.end(each, number)
            return
        cases = [case.case for case in desk.cases()]
        if not cases:
            return
        case = cases[number % len(cases)]
        with suppress(Refused):
            match what:
                case "conclude":
                    desk.conclude(case)
                case "split" if self.joined:
                    one = self.joined[number % len(self.joined)]
                    report = SplitCase(case=one.case, report=one.joined, by=officer(), reason="x")
                    desk.take(report, OFFICERS)
                    # what was said of whom is no more of one case
                    self.reporters.clear()
                    self.others.clear()
                case "erase":
                    desk.take(EraseCase(case=case, by=officer(), basis="x"), OFFICERS)
                case "answer":
                    for kind in ANSWERS:
                        desk.take(kind(case=case))
                case "confirm":
                    for confirmation in CONFIRMATIONS:
                        desk.take(confirmation(case=case))

    def _stays_protected(self, became: CaseReopened | ReportJoined, before: CaseState) -> None:
        """Nobody is mediated, or told, because a case was closed in between."""
        assert set(became.grounds) >= set(before.grounds)
        assert (became.path is Path.PROTECTION) == bool(became.grounds)
        assert became.minor >= before.minor
        assert became.guardian_suspected >= before.guardian_suspected

    def _fits(
        self, became: ReportJoined, before: CaseState, told: set[str], others: set[str]
    ) -> None:
        """It is of the same person, of nobody on the other side, and nothing became milder."""
        assert before.status is Status.OPEN
        assert not told & self.others[became.case]
        assert not others & self.reporters[became.case]
        assert became.risk.rank >= before.risk.rank
        self._stays_protected(became, before)

    def _concerned(self, said: ReportSubmitted) -> set[str]:
        found = identities_of(said).items()
        return {text for label, text in found if label.startswith("concerned")}

    def _identities(self, said: ReportSubmitted) -> tuple[set[str], set[str]]:
        """Of who tells, whoever they say to be, and of the other party."""
        found = identities_of(said)
        told = {text for label, text in found.items() if label.startswith("reporter")}
        others = {text for label, text in found.items() if label.startswith("other")}
        # somebody named on both sides of one report is the person concerned
        others -= self._concerned(said)
        if by_self(said):
            others -= told
        return told, others


@given(worlds)
@settings(max_examples=150)
def test_any_order(world: list[Any]) -> None:
    one = World()
    for step in world:
        if isinstance(step, tuple):
            one.end(*step)
        else:
            one.report(**step)
    desk = one.desk
    assert desk.folded() == desk.states
    for stream, rows in desk.journal.items():
        for happened, _ in rows:
            assert REGISTRY.of(type(happened)).private is not stream.kind.published
    for rows in desk.journal.values():
        for happened, _ in rows:
            audience = getattr(happened, "audience", ())
            assert all(heard.role is not AudienceRole.OTHER_PARTY for heard in audience)
            for heard in audience:
                if heard.role is AudienceRole.PERSON_CONCERNED:
                    assert (heard.card is None) == (heard.withheld is not None)
            if isinstance(happened, Found) and happened.guardian_suspected and happened.minor:
                assert happened.card is None
    known = {
        seen.case for s in desk.states.values() if isinstance(s, PersonState) for seen in s.seen
    }
    for case in desk.cases():
        assert case.no_card is None or not case.cards, "what was withdrawn is forgotten"
        if case.path is Path.PROTECTION and case.card is not None:
            assert not case.cards[-1].shared
        if case.status is Status.ERASED:
            assert case.case not in known
            assert "s1:" not in case.model_dump_json()
    ended = [type(happened) for rows in desk.journal.values() for happened, _ in rows]
    assert ended.count(CaseErased) == ended.count(IntakeKeysErased)


@given(st.lists(st.tuples(st.sampled_from([HOTLINE, GRID]), people, graver), max_size=10))
@settings(max_examples=60)
def test_a_person_has_one_open_case(reports: list[Any]) -> None:
    desk = Desk()
    opened: dict[str, set[str]] = defaultdict(set)
    for publisher, person, indicators in reports:
        found = desk.report(publisher, concerned=person, indicators=indicators)
        (became,) = [
            one for one in flat(found) if isinstance(one, CaseOpened | CaseReopened | ReportJoined)
        ]
        said = ReportSubmitted.model_validate(
            {"channel": "grid", "narrative": "x", "concerned": person}
        )
        for label, text in identities_of(said).items():
            if "sound" not in label:
                opened[text].add(became.case)
    assert all(len(cases) == 1 for cases in opened.values())


answers = st.fixed_dictionaries(
    {}, optional={name: st.sampled_from([True, False, None]) for name in Indicators.model_fields}
)


@given(answers, st.sampled_from(sorted(Indicators.model_fields)), st.none() | people)
def test_one_more_yes_takes_no_ground_away(
    indicators: dict[str, Any], more: str, concerned: dict[str, Any] | None
) -> None:
    def found(given: dict[str, Any]) -> Any:
        body = {"channel": "grid", "narrative": HARMLESS, "concerned": concerned}
        report = ReportSubmitted.model_validate(body | {"indicators": given})
        triaged = triage(report, POLICY)
        return suitability(report, concerned_of(report), triaged, START, POLICY)

    before, after = found(indicators), found(indicators | {more: True})
    assert set(before.grounds) <= set(after.grounds)
    assert before.risk.rank <= after.risk.rank
    assert (after.path is Path.PROTECTION) == bool(after.grounds)
    assert before.minor <= after.minor
