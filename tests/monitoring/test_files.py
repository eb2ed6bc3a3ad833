"""The monitoring's files agree with one another, with the runbooks and with what they name."""

from __future__ import annotations

import re
from importlib import import_module
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from deploy.embedded.services import SERVICES
from lianhu.eventing.cli import build
from tests.monitoring.asked import (
    ALERTMANAGER,
    DASHBOARDS,
    MONITORING,
    PROMETHEUS,
    RULE_TESTS,
    alerts,
    panels,
)

ROOT = Path(__file__).parents[2]
RUNBOOKS = ROOT / "docs" / "runbooks"
NAMES = sorted({rule["alert"] for rule in alerts()})
PARTS = (
    "## 现象 How it shows",
    "## 系统自己做什么 What the service does by itself",
    "## 人做什么 What a person does",
)
COMMAND = re.compile(r"make service NAME=(\S+) ARGS='([^']*)'")
MAKE = re.compile(r"\bmake ([a-z-]+)")
REFERENCE = re.compile(r"\]\(([^)#]+)\)")


def datasource() -> str:
    path = MONITORING / "grafana" / "provisioning" / "datasources" / "prometheus.yml"
    (one,) = yaml.safe_load(path.read_text())["datasources"]
    return str(one["uid"])


def overlap(one: dict[str, int], other: dict[str, int]) -> bool:
    return (
        one["x"] < other["x"] + other["w"]
        and other["x"] < one["x"] + one["w"]
        and one["y"] < other["y"] + other["h"]
        and other["y"] < one["y"] + one["h"]
    )


def unknown_commands(text: str) -> list[str]:
    """Operator's commands that no service has, and verbs that the Makefile has not."""
    verbs = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    wrong = [verb for verb in MAKE.findall(text) if verb not in verbs]
    for name, words in COMMAND.findall(text):
        known: Any = typer.main.get_command(build(import_module(f"lianhu.{name}.app").service))
        for word in words.split():
            if not hasattr(known, "commands"):
                break
            if word not in known.commands:
                wrong.append(f"{name} {words}")
                break
            known = known.commands[word]
    return wrong


def cases(name: str) -> list[list[object]]:
    """What the rule tests expect of an alert, each time they look."""
    return [
        check["exp_alerts"]
        for path in RULE_TESTS
        for test in yaml.safe_load(path.read_text(encoding="utf-8"))["tests"]
        for check in test.get("alert_rule_test", ())
        if check["alertname"] == name
    ]


@pytest.mark.parametrize("rule", alerts(), ids=lambda rule: rule["alert"])
def test_every_alert_says_how_grave_for_whom_and_what_to_do(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in ("critical", "warning")
    assert rule["labels"]["audience"] in ("operations", "district-duty")
    notes = rule["annotations"]
    assert re.search(r"[一-鿿]", notes["summary"])
    assert not re.search(r"[一-鿿]", notes["summary_en"])
    assert notes["runbook"] == f"docs/runbooks/{rule['alert']}.md"


@pytest.mark.parametrize("name", NAMES)
def test_every_alert_is_tested_firing_and_silent(name: str) -> None:
    expected = cases(name)
    assert any(expected), "no test in which it fires"
    assert not all(expected), "no test in which it does not"


def test_there_is_a_runbook_for_each_alert_and_no_other() -> None:
    assert sorted(path.stem for path in RUNBOOKS.glob("*.md")) == sorted([*NAMES, "README"])


@pytest.mark.parametrize("name", NAMES)
def test_a_runbook_says_what_is_seen_what_happens_and_what_to_do(name: str) -> None:
    text = (RUNBOOKS / f"{name}.md").read_text(encoding="utf-8")
    places = [text.find(part) for part in PARTS]
    assert -1 not in places
    assert places == sorted(places)
    assert unknown_commands(text) == []
    missing = [to for to in REFERENCE.findall(text) if not (RUNBOOKS / to).exists()]
    assert missing == []


def test_a_command_that_nobody_has_is_found() -> None:
    assert unknown_commands("make service NAME=intake ARGS='parked lost x'") == [
        "intake parked lost x"
    ]
    assert unknown_commands("run `make plans`") == ["plans"]


def test_every_service_is_scraped_and_missed_when_it_is_gone() -> None:
    config = yaml.safe_load(PROMETHEUS.read_text(encoding="utf-8"))
    (lianhu,) = [one for one in config["scrape_configs"] if one["job_name"] == "lianhu"]
    (found,) = lianhu["dns_sd_configs"]
    assert found["names"] == list(SERVICES)
    (down,) = [rule for rule in alerts() if rule["alert"] == "ServiceDown"]
    assert [service for service in SERVICES if f'service="{service}"' not in down["expr"]] == []


def test_every_route_and_inhibition_names_alerts_and_receivers_that_exist() -> None:
    config = yaml.safe_load(ALERTMANAGER.read_text(encoding="utf-8"))
    named = {
        name
        for rule in config["inhibit_rules"]
        for matcher in (*rule["source_matchers"], *rule["target_matchers"])
        if matcher.startswith("alertname")
        for name in re.findall(r"\w+", matcher.split('"')[1])
    }
    assert named - set(NAMES) == set()


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_a_dashboard_is_whole(path: Path) -> None:
    shown = [*panels(path)]
    assert len({panel["id"] for panel in shown}) == len(shown)
    assert {panel["datasource"]["uid"] for panel in shown} == {datasource()}
    assert all(panel["title"] and panel["targets"] for panel in shown)
    places = [panel["gridPos"] for panel in shown]
    assert [pair for pair in combinations(places, 2) if overlap(*pair)] == []
    assert all(place["x"] + place["w"] <= 24 for place in places)
