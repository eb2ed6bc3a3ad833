"""The pure parts of what measures whole lives: the schedule, the climb, percentiles, scripts."""

from __future__ import annotations

import json
from itertools import islice

import pytest

from lianhu.contracts import REGISTRY
from lianhu.contracts.decode import decode
from tests.load import ramp
from tests.load.scripts import PLACES, REST, SCRIPTS, filled
from tests.load.spread import Spread

CASE = b"440304-2026-000001"


def test_lives_are_meant_to_begin_evenly_from_the_start_on() -> None:
    assert list(ramp.intended(10.0, 4.0, 1.5)) == [10.0, 10.25, 10.5, 10.75, 11.0, 11.25]
    assert len(list(ramp.intended(0.0, 12.5, 20.0))) == 250


@pytest.mark.parametrize(
    ("started", "completed", "under_way", "kept"),
    [
        (100, 100, [10] * 12, True),
        (100, 95, [10] * 12, True),
        (100, 94, [10] * 12, False),
        (100, 100, [10, 10, 10, 12, 12, 12, 14, 14, 14], True),
        (100, 97, [10, 10, 10, 14, 14, 14, 18, 18, 18], False),  # more and more are under way
        (100, 100, [18, 18, 18, 14, 14, 14, 10, 10, 10], True),
        (4, 4, [0, 1, 2], True),  # few lives: one or two more say nothing
        (0, 0, [0, 0, 0], False),
        (10, 10, [], True),
    ],
)
def test_a_chain_keeps_up_while_its_work_is_done_as_it_comes(
    started: int, completed: int, under_way: list[int], kept: bool
) -> None:
    assert ramp.keeps_up(started, completed, under_way) is kept


@pytest.mark.parametrize(
    ("limit", "halvings", "found", "asked"),
    [
        (20, 0, 13.5, [4.0, 6.0, 9.0, 13.5, 20.2]),
        (20, 1, 16.9, [4.0, 6.0, 9.0, 13.5, 20.2, 16.9]),
        (15, 1, 13.5, [4.0, 6.0, 9.0, 13.5, 20.2, 16.9]),
        (15, 2, 13.5, [4.0, 6.0, 9.0, 13.5, 20.2, 16.9, 15.2]),
        (3, 2, None, [4.0]),
    ],
)
def test_rates_climb_until_one_is_not_kept(
    limit: float, halvings: int, found: float | None, asked: list[float]
) -> None:
    seen: list[float] = []

    def tried(rate: float) -> bool:
        seen.append(rate)
        return rate <= limit

    assert ramp.sustained(ramp.rising(4.0), tried, halvings) == found
    assert seen == asked


def test_the_last_of_the_rates_asked_for_may_be_kept_too() -> None:
    assert ramp.sustained([2.0, 4.0], lambda _: True) == 4.0
    assert list(islice(ramp.rising(1.0, 2.0), 3)) == [1.0, 2.0, 4.0]


def test_percentiles_are_those_of_the_values_to_three_digits() -> None:
    spread = Spread.of(n / 1000 for n in range(1, 1001))
    assert spread.count == 1000
    for got, meant in ((spread.p50, 0.5), (spread.p95, 0.95), (spread.p99, 0.99)):
        assert got == pytest.approx(meant, rel=2e-3)
    assert spread.greatest == pytest.approx(1.0, rel=2e-3)
    assert Spread.of([]) == Spread(0, 0.0, 0.0, 0.0, 0.0)


@pytest.mark.parametrize("name", SCRIPTS)
def test_what_a_script_says_is_what_the_contracts_demand(name: str) -> None:
    script = SCRIPTS[name]
    said = [("lianhu.intake.report-submitted.v1", script.reported(7))]
    said += [(one.type.decode(), filled(one.body, CASE, 7)) for one in (*script.steps, *REST)]
    for type_, body in said:
        contract = REGISTRY.get(type_)
        assert contract is not None, type_
        data, faults = decode(contract.model, body)
        assert data is not None, (type_, faults)
        assert "<" not in json.loads(body).get("case", ""), "a mark was left"
        assert b"<" not in body


def test_a_life_speaks_of_a_person_and_a_place_of_its_own() -> None:
    script = SCRIPTS["short"]
    first, second = (json.loads(script.reported(number)) for number in (1, 2))
    assert first["concerned"] != second["concerned"]
    assert first["place"] != second["place"]
    assert json.loads(script.reported(1 + len(PLACES)))["place"] == first["place"]
