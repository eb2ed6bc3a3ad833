"""How often the broker is asked: what came meanwhile is fetched together."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from lianhu.eventing.fetching import paced

LOOK_AGAIN = 0.2


@dataclass
class Fetcher:
    """The client's: what it would ask for now, of which broker; a clock that stands still."""

    wanted: list[tuple[int, str]] = field(default_factory=list)
    resets: dict[int, list[str]] = field(default_factory=dict)
    now: float = 1000.0

    def actions(self, _: Any) -> tuple[Any, Any, float, bool, Any]:
        return [*self.wanted], self.resets, LOOK_AGAIN, False, []


def test_who_was_idle_asks_at_once_and_then_lets_records_gather() -> None:
    of = Fetcher([(1, "all that is new")])
    next_ = paced(of.actions, 0.02, lambda: of.now)
    assert next_(None) == ([(1, "all that is new")], {}, LOOK_AGAIN, False, [])
    of.now += 0.005
    fetches, _, wait, *_ = next_(None)
    assert (fetches, round(wait, 3)) == ([], 0.015)
    of.now += 0.015
    assert next_(None)[0] == [(1, "all that is new")]
    of.now += 10
    assert next_(None)[0] == [(1, "all that is new")]


def test_a_wait_without_anything_to_ask_for_is_the_clients_own() -> None:
    of = Fetcher([(1, "first")])
    next_ = paced(of.actions, 0.02, lambda: of.now)
    next_(None)
    of.wanted = []
    assert next_(None) == ([], {}, LOOK_AGAIN, False, [])


def test_the_client_looks_again_sooner_if_it_wants_to() -> None:
    of = Fetcher([(1, "first")])
    next_ = paced(of.actions, 10.0, lambda: of.now)
    next_(None)
    assert next_(None)[2] == LOOK_AGAIN


def test_offsets_are_looked_up_without_waiting() -> None:
    of = Fetcher([(1, "first")])
    next_ = paced(of.actions, 0.02, lambda: of.now)
    next_(None)
    of.resets = {1: ["a partition without a position"]}
    assert next_(None)[:2] == ([], {1: ["a partition without a position"]})


def test_brokers_are_asked_together() -> None:
    of = Fetcher([(1, "first")])
    next_ = paced(of.actions, 0.02, lambda: of.now)
    next_(None)
    of.wanted = [(1, "more"), (2, "first")]
    assert next_(None)[0] == []
    of.now += 0.02
    assert next_(None)[0] == [(1, "more"), (2, "first")]
    of.wanted = [(2, "more")]
    assert next_(None)[0] == []


def test_without_a_pace_nothing_waits() -> None:
    of = Fetcher([(1, "first")])
    next_ = paced(of.actions, 0.0, lambda: of.now)
    assert next_(None)[0] == next_(None)[0] == [(1, "first")]
