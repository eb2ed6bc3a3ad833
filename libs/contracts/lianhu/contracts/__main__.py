"""The contracts' command line: write or check the committed schemas, print AsyncAPI."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from lianhu.contracts import SERVICES
from lianhu.contracts.asyncapi import asyncapi
from lianhu.contracts.publishers import Publishers
from lianhu.contracts.schemas import FOLDER, breaks, committed, differences, generated, write


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when all is well, 1 when a contract is not as it should be, 2 for wrong usage."""
    options = _parser().parse_args(arguments)
    match options.verb:
        case "write":
            return _write(options.folder, options.new)
        case "check":
            return _check(options.folder)
        case _:
            return _asyncapi(options.service, options.publishers)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m lianhu.contracts", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    for name, what in (
        ("write", "bring the committed schemas up to date; refuses what would break somebody"),
        ("check", "compare the models with the committed schemas"),
    ):
        verb = verbs.add_parser(name, help=what, description=what)
        verb.add_argument("--folder", type=Path, default=FOLDER, help="of the schemas")
        if name == "write":
            verb.add_argument(
                "--new",
                nargs="+",
                default=[],
                metavar="TYPE",
                help="types, or patterns of them, that nobody outside has seen yet: "
                "these may change in any way",
            )
    what = "print the AsyncAPI document of a service, or of all"
    verb = verbs.add_parser("asyncapi", help=what, description=what)
    verb.add_argument("service", nargs="?", choices=SERVICES)
    verb.add_argument("--publishers", type=Path, help="a registry instead of the demo's")
    return parser


def _write(folder: Path, new: Sequence[str]) -> int:
    try:
        touched = write(folder, new)
    except ValueError as refused:
        _tell(str(refused))
        _tell("Nothing was written. A change that breaks somebody is a new type, with the next")
        _tell("major version; --new is only for a type that nobody outside has seen yet.")
        return 1
    print("\n".join(touched) if touched else "Every committed schema is as its model.")
    return 0


def _check(folder: Path) -> int:
    try:
        old = committed(folder)
    except FileNotFoundError as missing:
        _tell(str(missing))
        return 1
    new = generated()
    broken, differing = breaks(old, new), differences(old, new)
    for line in (*broken, *differing):
        _tell(line)
    if differing and not broken:
        _tell("Nobody is broken by it: `python -m lianhu.contracts write`, and commit the files.")
    if broken or differing:
        return 1
    print(f"{len(new)} types, each as it is committed.")
    return 0


def _asyncapi(service: str | None, publishers: Path | None) -> int:
    document = asyncapi(service, Publishers.read(publishers))
    print(json.dumps(document, ensure_ascii=False, indent=2))
    return 0


def _tell(line: str) -> None:
    print(line, file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
