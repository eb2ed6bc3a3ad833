"""What the demo prints: lines with the seconds since the start, and tables of a fixed width."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from time import monotonic

from rich.console import Console
from rich.table import Table

WIDTH = 118


class Screen:
    """Prints at once, on a terminal or into a file alike."""

    def __init__(self) -> None:
        self._began = monotonic()
        self._console = Console(
            file=sys.stdout, width=WIDTH, highlight=False, markup=False, emoji=False
        )

    @property
    def seconds(self) -> float:
        """Since the start."""
        return monotonic() - self._began

    def say(self, line: str) -> None:
        """One line of progress."""
        print(f"{self.seconds:6.1f} s  {line}", flush=True)

    def stack(self, line: str) -> None:
        """A line of the stack, which brings seconds of its own."""
        self.say(line.partition(" s  ")[2] or line)

    def title(self, line: str) -> None:
        """The beginning of a part."""
        print(flush=True)
        self.say(f"── {line}")

    def table(self, titles: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        """A table without frames."""
        table = Table(*titles, box=None, pad_edge=False, padding=(0, 2, 0, 0))
        for row in rows:
            table.add_row(*row)
        print(flush=True)
        self._console.print(table)
        sys.stdout.flush()

    def plain(self, line: str = "") -> None:
        """A line without seconds."""
        print(line, flush=True)
