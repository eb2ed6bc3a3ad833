"""Whatever intake, mediation and welfare say of one thing that happened, a person hears of it once.

One thing is what began it: a report, an officer's command, a deadline. Its events come from several
services, such as `case-opened` and the `case-offered` that follows it, and each has a rule.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from hypothesis import event, given, settings
from hypothesis import strategies as st

from lianhu.contracts import REGISTRY
from lianhu.contracts.base import Internal
from lianhu.contracts.notify import NoticeSuppressed, VisitAsked, WaySought
from lianhu.contracts.vocabulary import AudienceRole
from lianhu.eventing.rules import case_stream
from lianhu.notify.facts import audience_of
from tests import notify_desk
from tests.property.test_intake_and_mediation_agree import STEPS, WOMAN, World

REACHABLE = WOMAN | {"phone": "138 0013 8000"}


class Heard(World):
    """The same two services, and notify, which hears each event as it is said."""

    def __init__(self, person: dict[str, Any]) -> None:
        super().__init__()
        self.person = person
        self.notify = notify_desk.Desk()
        self.root = 0
        self._roots: dict[int, tuple[int, Internal]] = {}
        self.told: Counter[tuple[str, str, int]] = Counter()
        self.units: list[tuple[str, tuple[str, ...]]] = []

    def begins(self) -> None:
        """What follows has nothing before it."""
        self.root += 1

    def mediation_reads(self) -> None:
        if self.to_mediation:
            self._follows(self.to_mediation[0], super().mediation_reads)

    def intake_reads(self) -> None:
        if self.to_intake:
            self._follows(self.to_intake[0], super().intake_reads)

    def _follows(self, cause: Internal, read: Any) -> None:
        latest, self.root = self.root, self._roots[id(cause)][0]
        read()
        self.root = latest

    def _command(self, case: str, command: Any) -> None:
        self.begins()
        super()._command(case, command)

    def _said(self, events: Iterable[Internal], reader: str, way: Any) -> None:
        given = [*events]
        super()._said(given, reader, way)
        for one in given:
            self._roots[id(one)] = (self.root, one)
            units = tuple(a.unit for a in audience_of(one) if a.unit is not None)
            self.units.append((type(one).__name__, units))
            if "notify" in REGISTRY.of(type(one)).consumers:
                self._hears(one)

    def _hears(self, one: Any) -> None:
        self.notify.now = max(self.notify.now, self.intake.now)
        stream = case_stream(one.case)
        for notice in self.notify.hears(one, f"e-{len(self._roots)}", stream):
            if isinstance(notice, VisitAsked):
                self.told["visit", one.case, self.root] += 1
            elif (
                isinstance(notice, WaySought | NoticeSuppressed)
                and notice.role is AudienceRole.PERSON_CONCERNED
            ):
                self.told["notice", one.case, self.root] += 1


@given(
    st.sampled_from([WOMAN, REACHABLE]),
    st.lists(st.sampled_from(STEPS), max_size=25),
    st.booleans(),
)
@settings(max_examples=150, deadline=None)
def test_nobody_is_told_the_same_twice(
    person: dict[str, Any], steps: list[Any], grave: bool
) -> None:
    world = Heard(person)
    for step in (World.protects if grave else World.reports, *steps):
        world.begins()
        step(world)
    world.everything_is_read()
    event(f"{sum(world.told.values()) > 2}")
    twice = {what: count for what, count in world.told.items() if count > 1}
    assert not twice, "one thing that happened is told a person once"
    assert any(kind == "notice" for kind, _, _ in world.told)
    for name, units in world.units:
        assert len(set(units)) == len(units), f"{name} tells one unit twice"


def test_the_opening_of_a_protected_case_is_told_once_though_two_services_speak_of_it() -> None:
    world = Heard(REACHABLE)
    world.begins()
    world.protects()
    world.everything_is_read()
    assert {"CaseOpened", "CaseOffered"} <= {name for name, _ in world.units}
    assert sorted(world.told.values()) in ([1], [1, 1])
