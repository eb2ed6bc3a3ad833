"""Makes reports of real accounts: `python -m tests.narratives IN.jsonl > OUT.jsonl`.

It reads a JSON object a line with `id` and `text`, and writes what `make demo REPORTS=…` takes. The
same account always makes the same report, whatever stands around it.

Taken from the account: its `id`, as the message's id; its `text`, whole and unchanged, as the
narrative.

Chosen, because a report needs it and no account says it: the channel, a letter 来信, for somebody
wrote it down; the hotline of Futian, which takes letters; one of Futian's communities, by a digest
of the id. The people live elsewhere, and what is outside the area would be refused.

Left out: `domain` and `labels`, which others found in the text and which triage must find itself;
names, which are blanked; dates and sums, which have no field; indicators, which nobody asked for.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any

import typer

from lianhu.jurisdiction import Divisions, Kind, Level

FILE = Path(__file__).parents[1].parent / "shared" / "data" / "narratives.jsonl"
"""The accounts that lie beside the repository, where they do."""

PUBLISHER, CHANNEL = "hotline-futian", "letter"
COMMUNITIES = tuple(
    unit.code
    for unit in Divisions.shenzhen().descendants("440304000000")
    if unit.level is Level.COMMUNITY and unit.kind is Kind.UNIT
)


class NoAccount(ValueError):
    """A line that is no account; the message names it."""


def report_of(account: dict[str, Any]) -> dict[str, Any]:
    """The report of one account. Raises KeyError."""
    id_ = str(account["id"])
    place = int.from_bytes(sha256(id_.encode()).digest()[:8], "big") % len(COMMUNITIES)
    return {
        "publisher": PUBLISHER,
        "id": id_,
        "data": {
            "channel": CHANNEL,
            "narrative": account["text"],
            "place": {"division": COMMUNITIES[place]},
        },
    }


def reports_of(lines: Iterable[str]) -> Iterator[dict[str, Any]]:
    """The report of each line. Raises `NoAccount`."""
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            yield report_of(json.loads(line))
        except (ValueError, TypeError):
            raise NoAccount(f"line {number} is not a JSON object") from None
        except KeyError as missing:
            raise NoAccount(f"line {number} has no {missing.args[0]}") from None


def main(
    accounts: Annotated[Path, typer.Argument(help="a JSON object a line, with id and text")],
) -> None:
    """Reports for `make demo REPORTS=…`, a line each, on the standard output."""
    try:
        with accounts.open(encoding="utf-8") as lines:
            for report in reports_of(lines):
                print(json.dumps(report, ensure_ascii=False))
    except (OSError, UnicodeDecodeError, NoAccount) as fault:
        print(f"{accounts.name}: {fault}", file=sys.stderr)
        raise SystemExit(1) from None


if __name__ == "__main__":
    typer.run(main)
