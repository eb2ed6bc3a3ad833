"""Reports of your own: a file with a JSON object a line. `docs/demo.md` says what stands in one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from lianhu.contracts.publishers import Publishers
from lianhu.contracts.vocabulary import PublisherKind
from tests.demo.reports import HOTLINE
from tests.demo.wire import Unexpected

KEYS = frozenset({"publisher", "id", "data"})


def read_reports(path: Path) -> list[tuple[str, str, bytes]]:
    """Publisher, id and body of each line. Raises `Unexpected`, naming the first wrong line.

    What a report says is not looked at: that is for the chain to answer.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise Unexpected(f"{path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise Unexpected(f"{path.name} is not UTF-8.") from None
    known = [one.name for one in Publishers.read().each() if one.kind is PublisherKind.REPORTING]
    found = []
    # not splitlines: within JSON a line may hold other characters that it would split at
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            try:
                found.append(_report(line, number, known))
            except ValueError as fault:
                raise Unexpected(f"{path.name}, line {number} {fault}") from None
    if not found:
        raise Unexpected(f"{path.name} holds no report.")
    return found


def _report(line: str, number: int, publishers: list[str]) -> tuple[str, str, bytes]:
    try:
        whole: Any = json.loads(line)
    except (ValueError, RecursionError):
        raise ValueError("is not JSON.") from None
    if not isinstance(whole, dict):
        raise ValueError("is not a JSON object.")
    if "data" not in whole:
        whole = {"data": whole}
    if unknown := whole.keys() - KEYS:
        names = ", ".join(sorted(unknown))
        raise ValueError(f"has keys beside `data` that are not known: {names}.")
    publisher, id_ = whole.get("publisher", HOTLINE), whole.get("id", f"line-{number}")
    if publisher not in publishers:
        raise ValueError(f"names no publisher of reports; there are {', '.join(publishers)}.")
    if not isinstance(id_, str):
        raise ValueError("has an id that is not a string.")
    body = json.dumps(whole["data"], ensure_ascii=False)
    # half a surrogate pair cannot be written as UTF-8; sent like this it is refused by the chain
    return publisher, id_, body.encode("utf-8", "surrogatepass")
