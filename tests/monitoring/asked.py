"""What rules and dashboards ask for, and what is shown on a metrics page, so that both compare."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import promql_parser
import yaml
from prometheus_client.parser import text_string_to_metric_families

MONITORING = Path(__file__).parents[2] / "deploy" / "monitoring"
PROMETHEUS = MONITORING / "prometheus" / "prometheus.yml"
RULES = sorted((MONITORING / "prometheus" / "rules").glob("*.yml"))
RULE_TESTS = sorted((MONITORING / "prometheus" / "tests").glob("*.yml"))
ALERTMANAGER = MONITORING / "alertmanager" / "alertmanager.yml"
DASHBOARDS = sorted((MONITORING / "grafana" / "dashboards").glob("*.json"))

_TARGET = {"job", "instance", "service"}
"""Labels that Prometheus gives to whatever it scrapes."""
_SUFFIXES = {
    "counter": ("_total",),
    "histogram": ("_bucket", "_count", "_sum"),
    "summary": ("", "_count", "_sum"),
}


@dataclass
class Shown:
    """Names of samples, and for each the labels seen; none where no sample was there yet."""

    labels: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    buckets: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))

    def read(self, page: str) -> None:
        """Take in a metrics page."""
        for family in text_string_to_metric_families(page):
            for suffix in _SUFFIXES.get(family.type, ("",)):
                self.labels[family.name + suffix] |= set()
            for sample in family.samples:
                self.labels[sample.name] |= sample.labels.keys()
                if "le" in sample.labels:
                    self.buckets[sample.name].add(sample.labels["le"])


def wrong(expression: str, shown: Shown, recorded: Iterable[str] = ()) -> list[str]:
    """A sentence for each thing that an expression asks for and nobody shows.

    `recorded`: names that recording rules give; what Prometheus itself knows is known.
    """
    known = {*recorded, "up", "ALERTS"}
    tree = promql_parser.parse(expression)
    faults, labels, free = [], set(_TARGET), False
    for selector in _all(tree, promql_parser.VectorSelector):
        name = selector.name or ""
        matchers = {one.name: one.value for one in selector.matchers.matchers}
        if name in known:
            free = True
            continue
        if name not in shown.labels:
            faults.append(f"nobody exports {name}")
            continue
        seen = shown.labels[name]
        labels |= seen
        free = free or not seen
        faults += [
            f"{name} has no label {one}" for one in matchers if seen and one not in seen | _TARGET
        ]
        if "le" in matchers and matchers["le"] not in shown.buckets[name]:
            faults.append(f"{name} has no bucket {matchers['le']}")
    for aggregate in _all(tree, promql_parser.AggregateExpr):
        by = set() if aggregate.modifier is None else set(aggregate.modifier.labels)
        if not free:
            faults += [f"no metric here has the label {one}" for one in by - labels]
    return faults


def _all(tree: Any, kind: type[Any]) -> list[Any]:
    found: list[Any] = []

    def visit(node: Any) -> bool:
        if isinstance(node, kind):
            found.append(node)
        return True

    promql_parser.walk(tree, visit)
    return found


def rules() -> Iterator[Mapping[str, Any]]:
    """Every alert and every recording rule."""
    for path in RULES:
        for group in yaml.safe_load(path.read_text(encoding="utf-8"))["groups"]:
            yield from group["rules"]


def alerts() -> list[Mapping[str, Any]]:
    """Every alert; one name may stand for several windows."""
    return [rule for rule in rules() if "alert" in rule]


def recorded() -> list[str]:
    """The names that recording rules give."""
    return [rule["record"] for rule in rules() if "record" in rule]


def panels(path: Path) -> Iterator[Mapping[str, Any]]:
    """The panels of a dashboard that show something."""
    for panel in json.loads(path.read_text(encoding="utf-8"))["panels"]:
        if panel["type"] != "row":
            yield panel


def expressions() -> Iterator[tuple[str, str]]:
    """Where it stands, and the expression: of each rule and each panel."""
    for rule in rules():
        yield rule.get("alert") or rule["record"], rule["expr"]
    for path in DASHBOARDS:
        for panel in panels(path):
            for target in panel["targets"]:
                yield f"{path.stem}: {panel['title']}", target["expr"]
