"""The report's findings as pictures: a bar for each, with the least and the greatest value."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.figure import Figure as Canvas

from tests.load.parts import Finding

_WIDE = 50.0
"""Bars that differ by more than this are drawn on a logarithmic axis."""
_INK = "#33691e"


def draw(found: Mapping[str, Sequence[Finding]], folder: Path) -> list[Path]:
    """A picture for each part and unit that has more than one finding, as SVG; their files."""
    drawn = []
    for part, findings in found.items():
        for unit, same in by_unit(findings).items():
            if len(same) > 1:
                path = folder / f"{slug(f'{part} {unit}')}.svg"
                _bars(f"{part}: {unit}", unit, same, path)
                drawn.append(path)
    return drawn


def by_unit(findings: Sequence[Finding]) -> dict[str, list[Finding]]:
    """The findings of each unit, in their order."""
    found: dict[str, list[Finding]] = defaultdict(list)
    for finding in findings:
        found[finding.unit].append(finding)
    return dict(found)


def slug(text: str) -> str:
    """What a file may be called everywhere."""
    named = text.replace("µ", "u").replace("%", "per cent").lower()
    return re.sub(r"[^a-z0-9]+", "-", named).strip("-")


def _bars(title: str, unit: str, findings: Sequence[Finding], path: Path) -> None:
    figures = [finding.figure for finding in findings][::-1]
    medians = [figure.median for figure in figures]
    canvas = Canvas(figsize=(11, 1.2 + 0.5 * len(findings)), layout="constrained")
    axes = canvas.add_subplot()
    axes.barh(
        [finding.what for finding in findings][::-1],
        medians,
        color=_INK,
        height=0.6,
        xerr=(
            [figure.median - figure.least for figure in figures],
            [figure.greatest - figure.median for figure in figures],
        ),
        ecolor="#9e9e9e",
        capsize=3,
    )
    if min(medians) > 0 and max(medians) / min(medians) > _WIDE:
        axes.set_xscale("log")
    for place, figure in enumerate(figures):
        axes.annotate(
            str(figure),
            (max(figure.greatest, 0), place),
            (6, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
        )
    axes.margins(x=0.4)
    axes.set_xlabel(unit)
    axes.set_title(title, loc="left")
    axes.spines[["top", "right"]].set_visible(False)
    path.parent.mkdir(parents=True, exist_ok=True)
    canvas.savefig(path, format="svg", metadata={"Date": None})
