"""The whole search over one chain, running or stopped, and what it says at the end."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lianhu.eventing.connection import Access
from tests.checker.evidence import Record, data_of
from tests.leaks.databases import rows_of
from tests.leaks.finder import Finder, Leak
from tests.leaks.needles import Needle, needles_of
from tests.leaks.pages import pages_of
from tests.leaks.topics import records_of

_BLOCK = 1 << 20


@dataclass(frozen=True)
class Chain:
    """What is searched; what is left out is not, and is said. `pages`: name -> HTTP address."""

    kafka: str | Access | None = None
    databases: Mapping[str, str] = field(default_factory=dict)
    logs: Path | None = None
    pages: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Searched:
    """What was found, and how much was looked through."""

    needles: Mapping[str, int]
    patterns: int
    leaks: list[Leak] = field(default_factory=list)
    sent: int = 0
    """Records on the publishers' own topics that hold a needle: there they belong."""
    seen: dict[str, int] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Nothing was found."""
        return not self.leaks

    def lines(self) -> Iterator[str]:
        """For a person; no needle is among the words."""
        kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(self.needles.items()))
        yield f"looked for: {kinds or 'nothing'}, in {self.patterns} spellings"
        yield f"looked through: {', '.join(f'{count} {what}' for what, count in self.seen.items())}"
        yield f"went in: {self.sent} messages of publishers hold some of it"
        yield from (f"LEAK {leak}" for leak in self.leaks)
        yield f"leaks: {len(self.leaks)}"


def sent_needles(kafka: str | Access) -> Iterator[Needle]:
    """What the publishers told of people, from their own topics. Raises `Unreadable`."""
    for record in records_of(kafka, public=True):
        yield from needles_of(data_of(record.value), record.position)


async def search(chain: Chain, needles: Iterable[Needle] = ()) -> Searched:
    """Look for these needles and for all that was sent, everywhere.

    Raises `Unreadable`, `NoAnswer`, and what asyncpg raises: what cannot be read is not clean.
    """
    given = list(needles)
    if chain.kafka is not None:
        given += sent_needles(chain.kafka)
    finder = Finder(given)
    found = Searched(finder.kinds(), len(finder))
    leaks: set[Leak] = set()
    if chain.kafka is not None:
        found.sent = sum(
            any(finder.holds(part) for _, part in _parts(record))
            for record in records_of(chain.kafka, public=True)
        )
        leaks |= _topics(chain.kafka, finder, found.seen)
    for name, dsn in chain.databases.items():
        leaks |= await _database(name, dsn, finder, found.seen)
    if chain.logs is not None:
        leaks |= _logs(chain.logs, finder, found.seen)
    for name, url in chain.pages.items():
        leaks |= _pages(name, url, finder, found.seen)
    found.leaks = sorted(leaks)
    return found


def _topics(kafka: str | Access, finder: Finder, seen: dict[str, int]) -> set[Leak]:
    leaks: set[Leak] = set()
    for record in records_of(kafka, public=False):
        _count(seen, "records")
        for part, data in _parts(record):
            leaks |= finder.leaks(f"{record.position} {part}", data)
    return leaks


def _parts(record: Record) -> Iterator[tuple[str, bytes]]:
    """Key, headers and value of a record."""
    if record.key is not None:
        yield "key", record.key
    for name, value in record.headers:
        yield "header", name.encode("utf-8", "replace")
        if value is not None:
            yield f"header {name}", value
    if record.value is not None:
        yield "value", record.value


async def _database(name: str, dsn: str, finder: Finder, seen: dict[str, int]) -> set[Leak]:
    leaks: set[Leak] = set()
    async for cells in rows_of(dsn):
        _count(seen, "rows")
        # the whole row at once first: nearly every one is clean
        if finder.holds(b"\n".join(cell.data for cell in cells)):
            for cell in cells:
                where = f"{name} {cell.table}.{cell.column} row {cell.row}"
                leaks |= finder.leaks(where, cell.data)
    return leaks


def _logs(folder: Path, finder: Finder, seen: dict[str, int]) -> set[Leak]:
    leaks: set[Leak] = set()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        _count(seen, "log files")
        where, line = str(path.relative_to(folder)), 1
        for block in _blocks(path):
            leaks |= finder.lines(where, block, line)
            line += block.count(b"\n")
    return leaks


def _blocks(path: Path) -> Iterator[bytes]:
    """The file in blocks of whole lines."""
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            yield block + file.readline()


def _pages(name: str, url: str, finder: Finder, seen: dict[str, int]) -> set[Leak]:
    leaks: set[Leak] = set()
    for path, body in pages_of(url):
        _count(seen, "answers")
        leaks |= finder.lines(f"{name}{path}", body, 1)
    return leaks


def _count(seen: dict[str, int], what: str) -> None:
    seen[what] = seen.get(what, 0) + 1
