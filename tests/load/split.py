"""Where a hop's CPU goes, part by part: in the engine, and in the same hop written by hand."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.load.hop import Ground, ground
from tests.load.parts import Finding, Say, Setting
from tests.load.racers import Handwritten, Mediation
from tests.load.sampled import PARTS


class _Engine(Mediation):
    def command(self) -> list[str]:
        return [sys.executable, "-m", "tests.load.sampled", "lianhu.mediation", "run"]

    def environment(self) -> dict[str, str]:
        return {**super().environment(), "LOAD_SPLIT": str(_file(self))}


class _Floor(Handwritten):
    def command(self) -> list[str]:
        return [sys.executable, "-m", "tests.load.sampled", "tests.load.floor"]

    def environment(self) -> dict[str, str]:
        return {**super().environment(), "LOAD_SPLIT": str(_file(self))}


@dataclass(frozen=True)
class Divided:
    """µs of CPU per hop by `sampled.PARTS`."""

    engine: Mapping[str, float]
    floor: Mapping[str, float]


async def measure(cases: int, commands: int) -> Divided:
    """One backlog, by each."""
    async with ground(cases, commands, 1) as made:
        return Divided(
            await _of(_Engine(made.session), made), await _of(_Floor(made.session), made)
        )


async def _of(racer: _Engine | _Floor, made: Ground) -> dict[str, float]:
    await racer.handle(made.commands)
    spent = json.loads(_file(racer).read_text())
    return {part: spent[part] / made.commands for part in PARTS}


def _file(racer: Mediation | Handwritten) -> Path:
    return racer.daemon.run_dir / f"{racer.name}.split.json"


class Split:
    """A part of the bench."""

    name = "split"

    def run(self, setting: Setting, say: Say) -> Sequence[Finding]:
        """As the setting says, once."""
        found = asyncio.run(measure(setting.cases, setting.commands))
        told = []
        for name, spent in (("engine", found.engine), ("floor", found.floor)):
            whole = sum(spent.values())
            say(f"{name}: {whole:.0f} µs CPU per hop")
            told += [
                Finding(f"{name}: {part}", (cost,), "µs CPU/hop") for part, cost in spent.items()
            ]
            told += [
                Finding(f"{name}: {part}", (100 * cost / whole,), "% of its hop")
                for part, cost in spent.items()
            ]
        return told
