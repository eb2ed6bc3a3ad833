"""Faults strike a chain under load; after each, the chain must be well again and is judged."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from random import Random
from typing import Any

import asyncpg

from deploy.embedded.faults import StackFault
from tests.checker.topics import Unreadable
from tests.checker.verdict import Finding, Kind, Verdict
from tests.demo.wire import Unexpected
from tests.faults.ground import WELL, Ground
from tests.faults.small_disk import NotHere
from tests.faults.strikes import Fault

_BEGIN = 3
"""Stories that are begun before a fault strikes, so that it strikes something."""
_ALL = 1800.0
_UNDISTURBED = 10.0
"""Stories a second where nothing strikes any more: as many as are ready, side by side."""
_COLUMNS = {Kind.LOST: "lost", Kind.GAP: "lost", Kind.DOUBLED: "doubled"} | {
    Kind.OUT_OF_ORDER: "out_of_order"
}

Say = Callable[[str], None]


@dataclass
class Line:
    """One line of the table: a fault, how often it struck, and what became of the promise.

    `recovery`: the longest, in seconds, from the end of a strike until a report sent at that
    moment was a case, was offered, and its unit was told. `other`: findings of further kinds.
    """

    fault: str
    struck: int = 0
    cases: int = 0
    lost: int = 0
    doubled: int = 0
    out_of_order: int = 0
    other: int = 0
    recovery: float = 0.0
    notes: list[str] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)
    not_here: str = ""
    """Why this machine does not let us make it."""
    broke: str = ""
    """Why it could not be struck, or why the chain did not become well."""

    @property
    def ok(self) -> bool:
        """Whether the promise was kept and the chain became well."""
        return not self.findings and not self.broke

    def find(self, findings: Sequence[Finding]) -> None:
        """Count what was found."""
        for finding in findings:
            column = _COLUMNS.get(finding.kind, "other")
            setattr(self, column, getattr(self, column) + 1)
            self.findings.append(str(finding))


def drawn(faults: Sequence[Fault], seed: int, kills: int, others: int) -> list[Fault]:
    """So many of those that kill a process and of all others, in an order drawn by the seed."""
    random = Random(seed)
    killing = [fault for fault in faults if fault.kills]
    chosen = random.choices(killing, k=kills)
    chosen += random.choices([fault for fault in faults if not fault.kills], k=others)
    random.shuffle(chosen)
    return chosen


class Fire:
    """A chain under fire, and the lines written so far."""

    def __init__(self, ground: Ground, say: Say) -> None:
        self._ground = ground
        self._say = say
        self._known: set[Finding] = set()
        self._cases = 0
        self.lines: list[Line] = []
        self.verdict: Verdict | None = None

    @property
    def ok(self) -> bool:
        """Whether all that struck did no harm."""
        return bool(self.lines) and all(line.ok for line in self.lines)

    def alone(self, faults: Sequence[Fault], *, last: bool) -> None:
        """Each by itself, and a verdict after each; ends at the first that did harm.

        `last`: nothing comes after them, and the last verdict remembers nothing.
        """
        for fault in faults:
            line = Line(fault.name)
            self.lines.append(line)
            self._strike(fault, line)
            self._judge(line, afresh=last and fault is faults[-1])
            self._say(said(line))
            if not line.ok:
                return

    def mixed(self, chosen: Sequence[Fault], seed: int, judged: int, *, last: bool) -> None:
        """One after the other, and a verdict after every `judged` of them and at the end.

        `last`: that at the end remembers nothing.
        """
        line = Line(f"mixed, seed {seed}")
        self.lines.append(line)
        struck: Counter[str] = Counter()
        for number, fault in enumerate(chosen, start=1):
            before = line.struck
            self._strike(fault, line)
            struck[fault.name] += line.struck - before
            if line.broke or number % judged == 0 or number == len(chosen):
                self._judge(line, afresh=last and number == len(chosen))
                self._say(said(line))
            if not line.ok:
                break
        line.notes += [f"{count} x {name}" for name, count in sorted(struck.items()) if count]

    def rest_of_the_load(self) -> None:
        """Let stories be told until there are as many cases as there were to be."""
        load, least = self._ground.load, self._ground.size.least
        load.go(2 * least, _UNDISTURBED)
        load.until(f"{least:,} cases", lambda: load.cases >= least, _ALL)
        line = Line("the rest of the load")
        self.lines.append(line)
        self._judge(line, afresh=True)
        self._say(said(line))

    def _strike(self, fault: Fault, line: Line) -> None:
        ground = self._ground
        load = ground.load
        try:
            ground.day_passes()
            begun = load.begun
            load.go(ground.size.each)
            load.until("stories to begin", lambda: load.begun >= begun + _BEGIN)
            if note := fault.strike(ground):
                line.notes.append(note)
            line.struck += 1
            probe = load.probe()
            if ended := ground.revive():
                line.notes.append(f"{', '.join(ended)} had ended by itself")
            line.recovery = max(line.recovery, probe.seconds(WELL))
        except NotHere as reason:
            line.not_here = str(reason)
        except (Unexpected, StackFault) as error:
            line.broke = f"{fault.name}: {error}"

    def _judge(self, line: Line, *, afresh: bool) -> None:
        ground = self._ground
        try:
            ground.a_while_passes()
            # also where it broke: what is still on its way would be found as lost
            ground.load.rest(WELL)
        except (Unexpected, OSError, asyncpg.PostgresError) as error:
            line.broke = line.broke or str(error)
        try:
            self.verdict = verdict = ground.judge(afresh=afresh)
        except (Unreadable, OSError, asyncpg.PostgresError) as error:
            line.broke += f" It could not be judged: {error}"
            return
        line.find([finding for finding in verdict.findings if finding not in self._known])
        self._known.update(verdict.findings)
        line.cases += verdict.counts["cases"] - self._cases
        self._cases = verdict.counts["cases"]

    def written(self) -> dict[str, Any]:
        """Everything as plain data."""
        hand, load = self._ground.load.hand, self._ground.load
        return {
            "ok": self.ok,
            "lines": [asdict(line) for line in self.lines],
            "sent": {
                "reports": hand.reports,
                "commands": hand.commands,
                "stories": dict(load.kinds),
                "turned_away": hand.turned_away,
            },
            "verdict": [] if self.verdict is None else self.verdict.lines(),
        }


def said(line: Line) -> str:
    """One line of progress."""
    if line.broke:
        return f"{line.fault}: BROKEN: {line.broke}"
    if line.not_here and not line.struck:
        return f"{line.fault}: not struck: {line.not_here}"
    what = "kept" if line.ok else f"BROKEN: {len(line.findings)} findings"
    return f"{line.fault}: {what}; {line.cases} cases, well again after {line.recovery:.1f} s"
