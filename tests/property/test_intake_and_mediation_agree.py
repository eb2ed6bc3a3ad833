"""In every order of delivery intake and mediation agree in the end whether a case is open."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from datetime import timedelta
from itertools import product
from typing import Any

from hypothesis import event, given, settings
from hypothesis import strategies as st

from lianhu.contracts import REGISTRY
from lianhu.contracts.base import Internal
from lianhu.contracts.faults import Refused
from lianhu.contracts.intake import CaseClosed, ReportJoined, SplitCase
from lianhu.contracts.mediation import AcceptCase, CaseConcluded, CaseOffered, RecordFailure
from lianhu.contracts.welfare import ApplicationEnded, ApplicationSubmitted, Ending
from lianhu.eventing.rules import case_stream
from lianhu.intake.state import Status
from lianhu.jurisdiction import Post
from lianhu.mediation.workflow.state import Status as Mediated
from tests import intake_desk, mediation_desk
from tests.intake_desk import CITY, OFFICERS, flat, officer

WOMAN: dict[str, Any] = {
    "name": "王小红",
    "born": "1990-05-01",
    "document": {"number": "110105199005011022"},
}
"""The person concerned; there is no way to tell her anything, so nothing is closed for her."""
CHAIR = officer(Post.CHAIR, CITY)


class World:
    """Two services, and between them two topics on which what was said waits in its order."""

    def __init__(self) -> None:
        self.intake = intake_desk.Desk()
        self.person = WOMAN
        self.cases: dict[str, mediation_desk.Desk] = {}
        self.to_mediation: deque[Internal] = deque()
        self.to_intake: deque[Internal] = deque()
        self.joined: list[ReportJoined] = []
        self.applications: list[str] = []
        self.seen: set[type[Internal]] = set()

    def reports(self, **indicators: bool) -> None:
        found = self.intake.report(concerned=self.person, indicators=indicators)
        self.joined += intake_desk.only(found, ReportJoined)
        self._said_by_intake(flat(found))

    def splits(self) -> None:
        if self.joined:
            one = self.joined.pop()
            command = SplitCase(case=one.case, report=one.joined, by=CHAIR, reason="-")
            with suppress(Refused):
                self._said_by_intake(flat(self.intake.take(command, OFFICERS)))

    def applies(self) -> None:
        case = self.intake.cases()[0].case
        self.applications.append(f"{case}-a{len(self.applications) + 1}")
        said: Any = ApplicationSubmitted.model_construct
        self._to_intake(said(case=case, application=self.applications[-1], programme="-"))

    def is_paid(self) -> None:
        if self.applications:
            number = self.applications.pop()
            done = ApplicationEnded(
                case=number.rsplit("-", 1)[0],
                application=number,
                programme="difficulty-relief",
                ending=Ending.PAID,
                amount=100,
            )
            self._to_intake(done)

    def concludes(self) -> None:
        """Mediation is done with every case that it has, as far as it has heard."""
        for case in self.cases:
            self._command(case, AcceptCase(case=case, by=CHAIR))
            self._command(case, RecordFailure(case=case, by=CHAIR, reason="-"))

    def protects(self) -> None:
        self.reports(physical_violence=True, injury=True)

    def climbs(self) -> None:
        for desk in self.cases.values():
            if desk.clocks:
                deadline = min(desk.deadlines(), key=lambda one: one.due)
                self._said_by_mediation(desk.fire(deadline, self._now()))

    def mediation_reads(self) -> None:
        if self.to_mediation:
            said: Any = self.to_mediation.popleft()
            desk = self.cases.get(said.case)
            if desk is None:
                desk = self.cases[said.case] = mediation_desk.Desk()
                desk.stream = case_stream(said.case)
            self._said_by_mediation(desk.hand(said, self._now(), publisher=None))

    def intake_reads(self) -> None:
        if self.to_intake:
            self._to_intake(self.to_intake.popleft())

    def everything_is_read(self) -> None:
        while self.to_mediation or self.to_intake:
            self.mediation_reads()
            self.intake_reads()

    def agrees(self) -> None:
        """Closed at intake once mediation has concluded and no application is open."""
        for known in self.intake.cases():
            mediated = self.cases[known.case].case
            ended = mediated.status is Mediated.CONCLUDED
            closed = known.status is Status.CLOSED
            assert ended or not closed, "closed at intake while it is open at mediation"
            assert closed or not ended or known.applications, "open at intake alone"
            assert (known.conclusion is not None) == (ended and not closed)
            assert known.owner == mediated.unit
            assert known.told == mediated.heard
        assert self.intake.folded() == self.intake.states

    def _command(self, case: str, command: AcceptCase | RecordFailure) -> None:
        desk = self.cases[case]
        with suppress(Refused):
            self._said_by_mediation(desk.hand(command, self._now()))

    def _to_intake(self, said: Internal) -> None:
        self._said_by_intake(flat(self.intake.take(said)))

    def _said_by_intake(self, events: Iterable[Internal]) -> None:
        self._said(events, "mediation", self.to_mediation)

    def _said_by_mediation(self, events: Iterable[Internal]) -> None:
        self._said(events, "intake", self.to_intake)

    def _said(self, events: Iterable[Internal], reader: str, way: deque[Internal]) -> None:
        for one in events:
            self.seen.add(type(one))
            if reader in REGISTRY.of(type(one)).consumers:
                way.append(one)

    def _now(self) -> Any:
        self.intake.now += timedelta(minutes=1)
        return self.intake.now


STEPS = (
    World.reports,
    World.reports,
    World.protects,
    World.concludes,
    World.concludes,
    World.mediation_reads,
    World.mediation_reads,
    World.intake_reads,
    World.intake_reads,
    World.splits,
    World.applies,
    World.is_paid,
    World.climbs,
)


@given(st.lists(st.sampled_from(STEPS), max_size=30))
@settings(max_examples=200, deadline=None)
def test_whatever_happens_while_something_is_on_its_way(steps: list[Any]) -> None:
    world = World()
    world.reports()
    for step in steps:
        step(world)
    world.everything_is_read()
    event("closed" if CaseClosed in world.seen else "open")
    world.agrees()


def test_a_report_and_a_conclusion_in_every_order_of_four_steps() -> None:
    crossed = 0
    ways = (World.reports, World.concludes, World.mediation_reads, World.intake_reads)
    for steps in product(ways, repeat=4):
        world = World()
        world.reports()
        world.mediation_reads()
        world.intake_reads()
        for step in steps:
            step(world)
        world.everything_is_read()
        world.agrees()
        (desk,) = world.cases.values()
        kinds = [type(one) for one in desk.journal]
        crossed += (
            CaseOffered in kinds[kinds.index(CaseConcluded) :] if CaseConcluded in kinds else 0
        )
    assert crossed > 10, "a report came after a conclusion in many of them"


def test_a_conclusion_that_crossed_a_report_closes_nothing_and_the_next_one_does() -> None:
    world = World()
    world.reports()
    world.mediation_reads()
    world.concludes()
    world.reports()

    world.everything_is_read()
    assert CaseClosed not in world.seen
    world.agrees()

    world.concludes()
    world.everything_is_read()
    assert CaseClosed in world.seen
    world.agrees()
