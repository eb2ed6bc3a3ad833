"""What is searched for: names, numbers, addresses and narratives, out of what publishers send."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_PEOPLE = ("reporter", "concerned", "other_party", "applicant")
_PROSE = ("narrative", "wish", "note", "reason", "terms", "statement")
_SLUG = re.compile(r"[a-z0-9-]*")
_SENTENCE = re.compile(r"[^\s。，、；：！？“”‘’（）《》…,.;:!?\"'()\\/\[\]{}<>|]+")
_NUMBER = re.compile(r"[0-9０-９][0-9０-９Xx \-]{7,28}[0-9０-９Xx]")
_LEAST_DIGITS = 8
_LEAST_PROSE = 8
"""Characters of a piece of prose; a shorter one may be anybody's words."""
_LEAST_BYTES = 5
"""Of a name or number in UTF-8: a shorter one is found everywhere."""


@dataclass(frozen=True, slots=True)
class Needle:
    """One thing that must not be found. `origin`: where it came from, for a person to look."""

    kind: str
    value: str
    origin: str


def needles_of(message: Mapping[str, Any], origin: str = "") -> Iterator[Needle]:
    """All that a report or a command tells of people, as it was written."""
    for name, value in message.items():
        if name in _PEOPLE and isinstance(value, dict):
            yield from _person(value, origin)
        elif name == "place" and isinstance(value, dict):
            yield from _short("address", value.get("address"), origin)
        elif name == "safe_contact" and isinstance(value, dict):
            yield from _prose(value.get("note"), origin)
        elif name == "address":
            yield from _short("address", value, origin)
        elif name in _PROSE:
            yield from _prose(value, origin)


def read_needles(path: Path) -> list[Needle]:
    """From a file, a JSON object a line: `{"kind", "value"}`, or a report as the demo takes it.

    Raises ValueError that names the line and nothing of what stands there.
    """
    found: list[Needle] = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if not line.strip():
            continue
        origin = f"{path.name}:{number}"
        try:
            whole = json.loads(line)
        except ValueError:
            whole = None
        match whole:
            case {"kind": str(kind), "value": str(value), **others} if not others:
                if len(value.strip().encode()) < _LEAST_BYTES:
                    raise ValueError(f"{origin} is too short to be looked for")
                found.append(Needle(kind, value, origin))
            case {"data": dict(data)}:
                found += needles_of(data, origin)
            case dict():
                found += needles_of(whole, origin)
            case _:
                raise ValueError(f"{origin} is not a JSON object")
    return found


def _person(person: Mapping[str, Any], origin: str) -> Iterator[Needle]:
    for kind in ("name", "phone", "email", "address"):
        yield from _short(kind, person.get(kind), origin)
    document = person.get("document")
    if isinstance(document, dict):
        document = document.get("number")
    yield from _short("document", document, origin)
    born = person.get("born")
    if isinstance(born, str) and len(born) == len("1990-01-31"):
        yield from _short("born", born, origin)


def _short(kind: str, value: object, origin: str) -> Iterator[Needle]:
    if isinstance(value, str) and len(value.strip().encode()) >= _LEAST_BYTES:
        yield Needle(kind, value.strip(), origin)


def _prose(text: object, origin: str) -> Iterator[Needle]:
    """Each longer piece between marks, since a text may be cut, and every number in it."""
    if not isinstance(text, str) or _SLUG.fullmatch(text):
        return
    for piece in _SENTENCE.findall(text):
        if len(piece) >= _LEAST_PROSE:
            yield Needle("narrative", piece, origin)
    for number in _NUMBER.findall(text):
        if sum(character.isdecimal() for character in number) >= _LEAST_DIGITS:
            yield Needle("number", number, origin)
