"""The whole bench: every part in turn, one table of goals, the figures as JSON and as pictures.

A new part is a class of `parts.Part` in a module of its own, and a line in `PARTS`.
"""

from __future__ import annotations

import json
import os
import platform
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from traceback import format_exception_only

from rich.table import Table

from deploy.embedded.services import ROOT
from tests.load.backlog import Waiting
from tests.load.clocks import Deadlines
from tests.load.hop import Hop
from tests.load.lived import LIVED
from tests.load.parts import Finding, Part, Say, Setting
from tests.load.pictures import draw
from tests.load.scale import Scale
from tests.load.split import Split

PARTS: Sequence[Part] = (Hop(), Split(), Scale(), Deadlines(), Waiting(), *LIVED)
LONGER = frozenset({"lives among many", "full lives with relief paid"})
"""Parts that a short run leaves out, unless they are asked for by name."""
FOLDER = ROOT / "build" / "bench"


@dataclass(frozen=True)
class Report:
    """What was found by each part, in order, and what kept a part from finding anything."""

    setting: Setting
    began: datetime
    load: float
    """The machine's load average over a minute at the start."""
    found: dict[str, list[Finding]] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Every part ended and every goal is met."""
        whole = [finding for findings in self.found.values() for finding in findings]
        return not self.failed and all(finding.met is not False for finding in whole)


def chosen(only: str, *, long: bool) -> Sequence[Part]:
    """The parts whose names fit an expression, or those of a long or of a short run."""
    if only:
        return [part for part in PARTS if re.search(only, part.name)]
    return [part for part in PARTS if long or part.name not in LONGER]


def run(parts: Sequence[Part], setting: Setting, say: Say) -> Report:
    """One after the other; a part that fails leaves the others their turn."""
    report = Report(setting, datetime.now(UTC), os.getloadavg()[0])
    for part in parts:
        say(f"— {part.name}")
        began = monotonic()
        try:
            report.found[part.name] = list(part.run(setting, say))
        except Exception as error:
            report.failed[part.name] = "".join(format_exception_only(error)).strip()
            say(f"{part.name} failed: {report.failed[part.name]}")
        report.seconds[part.name] = monotonic() - began
    return report


def table(report: Report) -> Table:
    """For a person: what, goal, measured, met."""
    shown = Table("", "measured: median (least–greatest)", "unit", "goal", "met")
    for part, findings in report.found.items():
        shown.add_section()
        shown.add_row(f"[bold]{part}[/]")
        for finding in findings:
            goal = "" if finding.goal is None else str(finding.goal)
            shown.add_row(finding.what, str(finding.figure), finding.unit, goal, _MET[finding.met])
    for part, why in report.failed.items():
        shown.add_section()
        shown.add_row(f"[bold]{part}[/]", "[red]failed[/]", why.splitlines()[0])
    return shown


_MET: Mapping[bool | None, str] = {None: "", True: "yes", False: "[red]no[/]"}


def as_json(report: Report) -> dict[str, object]:
    """All of it, with each value that was measured."""
    return {
        "began": report.began.isoformat(),
        "machine": {
            "processors": os.cpu_count(),
            "system": platform.system(),
            "python": platform.python_version(),
            "load before": report.load,
        },
        "setting": asdict(report.setting),
        "ok": report.ok,
        "parts": {
            part: {
                "seconds": report.seconds[part],
                "findings": [
                    {
                        "what": finding.what,
                        "unit": finding.unit,
                        **asdict(finding.figure),
                        "values": finding.values,
                        "goal": None if finding.goal is None else str(finding.goal),
                        "met": finding.met,
                    }
                    for finding in findings
                ],
            }
            for part, findings in report.found.items()
        },
        "failed": report.failed,
    }


def write(report: Report, folder: Path = FOLDER) -> list[Path]:
    """`report.json` and the pictures, into this folder; their files."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "report.json"
    path.write_text(json.dumps(as_json(report), indent=2, ensure_ascii=False) + "\n")
    return [path, *draw(report.found, folder)]
