"""The bench's report: goals are judged by medians, a part that fails is told and ends no other."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.load import bench
from tests.load.asking import percentile
from tests.load.clocks import Fired
from tests.load.clocks import findings as of_deadlines
from tests.load.crowded import Burst, Crowded
from tests.load.crowded import findings as of_crowded
from tests.load.generator import Load
from tests.load.parts import SHORT, Finding, Goal, Say, Setting
from tests.load.pictures import by_unit, slug
from tests.load.racers import Run
from tests.load.sampled import DECIDE, DECODE, PARTS, PUBLISH, REST, SQL, Sampler, part_of
from tests.load.scale import Pair, Scaled
from tests.load.scale import findings as of_scale

RUN = Run(hops=1000, seconds=1.0, cpu=200.0, postgres_cpu=100.0, kafka_cpu=50.0, peak=2**27)
START = datetime(2026, 3, 2, 10, tzinfo=UTC)


class Steady:
    """A part that measures what it is told."""

    def __init__(self, name: str, *found: Finding) -> None:
        self.name = name
        self._found = found

    def run(self, setting: Setting, say: Say) -> Sequence[Finding]:
        say(f"{setting.rounds} rounds")
        return self._found


class Broken:
    name = "broken"

    def run(self, setting: Setting, say: Say) -> Sequence[Finding]:
        raise RuntimeError("no disk")


def test_a_goal_is_met_by_the_median() -> None:
    least, most = Goal(20, at_least=True), Goal(10, at_least=False)
    assert (str(least), str(most)) == ("≥ 20", "≤ 10")
    assert Finding("ratio", (5.0, 21.0, 40.0), "times", least).met is True
    assert Finding("ratio", (5.0, 19.0, 40.0), "times", least).met is False
    assert Finding("loss", (5.0, 9.0, 40.0), "%", most).met is True
    assert Finding("loss", (1.0,), "%").met is None


def test_a_part_that_fails_leaves_the_others_their_turn() -> None:
    said: list[str] = []
    good = Steady("good", Finding("rate", (2.0, 1.0, 3.0), "hops/s"))
    report = bench.run([Broken(), good], SHORT, said.append)
    assert report.failed == {"broken": "RuntimeError: no disk"}
    assert [finding.what for finding in report.found["good"]] == ["rate"]
    assert not report.ok
    assert f"{SHORT.rounds} rounds" in said
    assert bench.table(report).row_count == 3


def test_the_report_is_well_only_with_every_goal_met() -> None:
    goal = Goal(2, at_least=True)
    met = Steady("a", Finding("rate", (2.0,), "times", goal))
    missed = Steady("b", Finding("rate", (1.9,), "times", goal))
    assert bench.run([met], SHORT, print).ok
    assert not bench.run([met, missed], SHORT, print).ok


def test_all_that_was_measured_is_written(tmp_path: Path) -> None:
    part = Steady(
        "hop",
        Finding("the engine", (900.0, 1000.0, 1100.0), "hops/s"),
        Finding("DBOS", (9.0, 10.0), "hops/s"),
        Finding("ratio", (100.0,), "times", Goal(20, at_least=True)),
    )
    report = bench.run([part], SHORT, print)
    written = bench.write(report, tmp_path / "bench")
    assert [path.name for path in written] == ["report.json", "hop-hops-s.svg"]
    assert "the engine" in written[1].read_text()
    told = json.loads(written[0].read_text())
    first, _, ratio = told["parts"]["hop"]["findings"]
    assert (first["median"], first["values"]) == (1000.0, [900.0, 1000.0, 1100.0])
    assert (ratio["goal"], ratio["met"]) == ("≥ 20", True)
    assert told["ok"] is True


def test_names_of_parts_and_of_pictures_are_unique() -> None:
    names = [part.name for part in bench.PARTS]
    assert len(set(names)) == len(names)
    assert slug("hop µs/hop, % of it") == "hop-us-hop-per-cent-of-it"
    found = [Finding("a", (1.0,), "s"), Finding("b", (1.0,), "%"), Finding("c", (2.0,), "s")]
    assert {unit: len(same) for unit, same in by_unit(found).items()} == {"s": 2, "%": 1}


@pytest.mark.parametrize(("share", "value"), [(0.0, 1.0), (0.5, 2.0), (0.75, 3.0), (1.0, 4.0)])
def test_a_percentile_is_a_value_that_was_measured(share: float, value: float) -> None:
    assert percentile([4.0, 2.0, 1.0, 3.0], share) == value


@pytest.mark.parametrize(
    ("part", "stack"),
    [
        (DECODE, [("pydantic/main.py", "validate"), ("lianhu/eventing/envelope.py", "read")]),
        (DECIDE, [("lianhu/eventing/journal.py", "chain"), ("lianhu/eventing/work.py", "row")]),
        (SQL, [("lianhu/eventing/journal.py", "append"), ("lianhu/eventing/batch.py", "_write")]),
        (SQL, [("x/asyncpg/connection.py", "execute"), ("lianhu/eventing/inbox.py", "take")]),
        (PUBLISH, [("x/asyncpg/connection.py", "fetch"), ("tests/load/floor.py", "_relay")]),
        (SQL, [("x/asyncpg/connect_utils.py", "call")]),
        (REST, [("uvloop/__init__.py", "run")]),
        (REST, [("lianhu/eventing/work.py", "<module>"), ("lianhu/eventing/batch.py", "<module>")]),
    ],
)
def test_a_stack_is_at_work_on_one_part(part: str, stack: list[tuple[str, str]]) -> None:
    assert part_of(stack) == part


def test_the_sampler_tells_of_every_part() -> None:
    sampler = Sampler()
    sampler.start()
    assert list(sampler.end()) == list(PARTS)


def test_loads_of_other_cases_share_no_number() -> None:
    loads = [Load(2, 5, START, seed=1), Load(2, 5, START, seed=2, first=2)]
    told = [{order.key for order in load.orders()} for load in loads]
    assert told[0].isdisjoint(told[1])
    assert {b"440304-2026-000001", b"440304-2026-000004"} <= told[0] | told[1]


def test_loss_is_in_per_cent_of_the_small_database() -> None:
    slower = Run(900, 1.0, 220.0, 110.0, 50.0, 2**27)
    found = of_scale(Scaled(100_000, 5000, (Pair(RUN, slower),), 2.0, 900.0, 6000.0))
    (loss,) = [finding for finding in found if finding.unit == "%"]
    assert loss.values == pytest.approx((10.0,))


def test_lives_among_many_cases_are_compared_turn_by_turn() -> None:
    few, many = (Burst(50.0, 30_000), Burst(40.0, 36_000)), (Burst(45.0, 33_000), Burst(42.0, 0))
    found = of_crowded(Crowded(few, many, 900, 100_000))
    (loss,) = [finding for finding in found if finding.unit == "%"]
    assert loss.values == pytest.approx((10.0, -5.0))
    assert loss.met is True


def test_what_commands_notice_of_deadlines_is_a_ratio() -> None:
    found = of_deadlines([Fired(100_000, 10_000, 5.0, (0.01, 0.02, 0.03), (0.04, 0.02, 0.06))])
    ratios = [finding.values for finding in found if finding.unit == "times"]
    assert ratios == [pytest.approx((2.0,)), pytest.approx((2.0,))]


def test_a_short_run_leaves_out_what_takes_long_unless_it_is_named() -> None:
    names = [part.name for part in bench.PARTS]
    assert set(names) > bench.LONGER
    assert [part.name for part in bench.chosen("", long=True)] == names
    assert {part.name for part in bench.chosen("", long=False)} == set(names) - bench.LONGER
    assert [part.name for part in bench.chosen("among", long=False)] == ["lives among many"]
