"""Grafana's own model of a dashboard knows every word of ours."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from tests.monitoring.asked import DASHBOARDS


def understood(dashboard: dict[str, Any]) -> Any:
    """What is left of it once it has been through Grafana's model."""
    with warnings.catch_warnings():
        # its second kind of dashboard is preferred; files that are provisioned are of the first
        warnings.simplefilter("ignore", DeprecationWarning)
        from grafana_foundation_sdk.cog.encoder import JSONEncoder
        from grafana_foundation_sdk.cog.plugins import register_default_plugins
        from grafana_foundation_sdk.models.dashboard import Dashboard

        register_default_plugins()
        read = Dashboard.from_json(deepcopy(dashboard))
    return json.loads(JSONEncoder().encode(read))


def lost(ours: Any, theirs: Any, place: str = "") -> Iterator[str]:
    """Each place where something of ours is gone or is something else."""
    match ours, theirs:
        case dict(), dict():
            for name, value in ours.items():
                if name not in theirs:
                    yield f"{place}/{name}"
                else:
                    yield from lost(value, theirs[name], f"{place}/{name}")
        case list(), list() if len(ours) == len(theirs):
            for number, (one, other) in enumerate(zip(ours, theirs, strict=True)):
                yield from lost(one, other, f"{place}/{number}")
        case _:
            if ours != theirs:
                yield place


def load(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_grafana_knows_every_word(path: Path) -> None:
    ours = load(path)
    assert [*lost(ours, understood(ours))] == []


def test_a_word_that_grafana_does_not_know_is_found() -> None:
    ours = load(DASHBOARDS[0])
    number, panel = next(
        (number, one) for number, one in enumerate(ours["panels"]) if one["type"] == "timeseries"
    )
    ours["timezonee"] = "browser"
    panel["targets"][0]["legendFormatt"] = "x"
    panel["fieldConfig"]["defaults"]["unitt"] = "s"
    panel["options"] = {"legendd": {}}
    assert {*lost(ours, understood(ours))} == {
        "/timezonee",
        f"/panels/{number}/targets/0/legendFormatt",
        f"/panels/{number}/fieldConfig/defaults/unitt",
        f"/panels/{number}/options/legendd",
    }
