"""Notify's policy as data: which role hears of which event, and how."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path

import yaml

PERSON = "person"
"""In place of channels: a person is told by whichever way is safe."""


@cache
def read_channels(path: Path | None = None) -> Mapping[tuple[str, str], tuple[str, ...]]:
    """(event type, role) -> channels, or `PERSON`; nothing for whoever the policy leaves silent.

    A suppressed notice and one that goes with a digest count: an event says so each time.
    """
    source = path if path is not None else files("lianhu.notify") / "policy.yaml"
    rules = yaml.safe_load(source.read_text(encoding="utf-8"))["rules"]
    found: dict[tuple[str, str], tuple[str, ...]] = {}
    for type_, rule in rules.items():
        for role, entry in (rule.get("tell") or {}).items():
            if "person" in entry:
                found[type_, role] = (PERSON,)
            elif "silent" not in entry:
                found[type_, role] = tuple(entry.get("channels", ()))
    return found
