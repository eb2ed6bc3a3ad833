"""Looks for all needles in all spellings at once, and says where without saying what."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ahocorasick_rs import BytesAhoCorasick

from tests.leaks.needles import Needle
from tests.leaks.spellings import spellings, views


@dataclass(frozen=True, slots=True, order=True)
class Leak:
    """A needle that was found: its kind and number, never itself."""

    where: str
    kind: str
    number: int
    spelling: str
    origin: str

    def __str__(self) -> str:
        came = f", which came with {self.origin}" if self.origin else ""
        return f"{self.where}: {self.kind} #{self.number} as {self.spelling}{came}"


class Finder:
    """One automaton over all needles; equal ones are one, the first names its origin."""

    def __init__(self, needles: Iterable[Needle]) -> None:
        different: dict[tuple[str, str], Needle] = {}
        for needle in needles:
            different.setdefault((needle.kind, needle.value), needle)
        self.needles = list(different.values())
        patterns: dict[bytes, tuple[int, str]] = {}
        for number, needle in enumerate(self.needles):
            for how, pattern in spellings(needle):
                patterns.setdefault(pattern, (number, how))
        self._meanings = list(patterns.values())
        self._automaton = BytesAhoCorasick(list(patterns))

    def __len__(self) -> int:
        """How many byte patterns it looks for."""
        return len(self._meanings)

    def kinds(self) -> dict[str, int]:
        """How many needles there are of each kind."""
        counts: dict[str, int] = {}
        for needle in self.needles:
            counts[needle.kind] = counts.get(needle.kind, 0) + 1
        return counts

    def holds(self, data: bytes) -> bool:
        """Whether any needle is in there."""
        return any(True for _ in self._found(data))

    def leaks(self, where: str, data: bytes) -> set[Leak]:
        """What is in there."""
        return {self._leak(where, meaning) for _, meaning in self._found(data)}

    def lines(self, where: str, data: bytes, first: int) -> set[Leak]:
        """What is in these whole lines, each with its number; `first`: that of the first."""
        return {
            self._leak(f"{where}:{first + line}", meaning) for line, meaning in self._found(data)
        }

    def _found(self, data: bytes) -> Iterator[tuple[int, int]]:
        """The line, from 0, and the meaning of each match."""
        for view in views(data):
            for meaning, start, _ in self._automaton.find_matches_as_indexes(
                view, overlapping=True
            ):
                yield view.count(b"\n", 0, start), meaning

    def _leak(self, where: str, meaning: int) -> Leak:
        number, how = self._meanings[meaning]
        needle = self.needles[number]
        return Leak(where, needle.kind, number + 1, how, needle.origin)
