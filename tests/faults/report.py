"""The table of a run, for a person and for a program."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.faults.fire import Fire, Line

WIDTH = 118
_TITLES = ("fault", "struck", "cases", "lost", "doubled", "out of order", "other", "recovery")


def table(lines: Sequence[Line]) -> Table:
    """A line for each fault."""
    made = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for title in _TITLES:
        made.add_column(title, justify="left" if title == "fault" else "right")
    for line in lines:
        found = (line.struck, line.cases, line.lost, line.doubled, line.out_of_order, line.other)
        made.add_row(line.fault, *map(str, found), f"{line.recovery:.1f} s")
    return made


def tell(fire: Fire, console: Console) -> None:
    """Print table, notes, findings, and the last verdict."""
    console.print(table(fire.lines))
    for line in fire.lines:
        for note in [*line.notes, *([f"not struck: {line.not_here}"] if line.not_here else [])]:
            console.print(f"{line.fault}: {note}", soft_wrap=True)
        for finding in [*line.findings[:50], *([line.broke] if line.broke else [])]:
            console.print(f"✗ {line.fault}: {finding}", soft_wrap=True)
    if fire.verdict is not None:
        for said in fire.verdict.lines():
            console.print(said, soft_wrap=True)


def write(fire: Fire, folder: Path) -> None:
    """The same as `faults.txt`, and everything as `faults.json`."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "faults.txt").open("w", encoding="utf-8") as file:
        tell(fire, Console(file=file, width=WIDTH, highlight=False, markup=False, emoji=False))
    whole = json.dumps(fire.written(), ensure_ascii=False, indent=2)
    (folder / "faults.json").write_text(whole + "\n", encoding="utf-8")
