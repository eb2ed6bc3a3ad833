"""`docs/licences.md`: the licence of everything the project stands on, and whether it may.

`python -m deploy.supply.licences write` brings it up to date, `check` fails while it is not, or
while a licence is unknown or not among those of `licences.toml`.
"""

from __future__ import annotations

import json
import re
import sys
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from email.message import Message
from importlib.metadata import PackageMetadata, PackageNotFoundError, metadata
from pathlib import Path
from typing import cast

from boolean import Expression
from license_expression import AND, OR, BaseSymbol, ExpressionError, get_spdx_licensing
from packaging.markers import Marker

from deploy.embedded.jars import DIGESTS
from deploy.embedded.services import ROOT

FILE = ROOT / "docs" / "licences.md"
RULES = Path(__file__).with_name("licences.toml")
JARS = ROOT / "deploy" / "kafka" / "jars.licences"
SHIPPED = ("requirements-services.txt",)
TOOLS = ("requirements.txt", "requirements-bootstrap.txt", "deploy/airgap/requirements.txt")
NODE = ROOT / "tests" / "asyncapi" / "package-lock.json"

_PINNED = re.compile(r"(?m)^([A-Za-z0-9][\w.-]*)==(\S+)(?: *; *(.*?))?(?: \\)?$")
_SPDX = get_spdx_licensing()
_HEAD = """\
# Licences

Of everything that the project stands on. Written by `make licences`; changes made here are lost.

Lianhu is under the Apache License 2.0. `deploy/supply/licences.toml` says which licences may stand beside it and why, and what was read by a person where a package's metadata leave it open; `make check` fails on any other. What checks the AsyncAPI documents comes by npm; it is judged and not listed. Looked at is what a package says of itself, not what its wheel carries in binary form (`make scan` looks into dbmate, the one Go program), nor the packages of the Debian below an image, whose terms are in its `/usr/share/doc`.
"""  # noqa: E501 - prose


@dataclass(frozen=True)
class Package:
    """A version of something, and its licence as an SPDX expression; none where not known."""

    name: str
    version: str
    licence: str | None


@dataclass(frozen=True)
class Rules:
    """`licences.toml`."""

    shipped: Mapping[str, str]
    tools: Mapping[str, str]
    words: Mapping[str, str]
    read: Mapping[str, Mapping[str, str]]


def rules(path: Path = RULES) -> Rules:
    """What may be, and what was read."""
    return Rules(**tomllib.loads(path.read_text(encoding="utf-8")))


def pinned(text: str) -> dict[str, str]:
    """Name and version of what a requirements file installs on a machine like this."""
    return {
        name.lower(): version
        for name, version, marker in _PINNED.findall(text)
        if not marker or Marker(marker).evaluate()
    }


def declared(told: PackageMetadata, words: Mapping[str, str]) -> str | None:
    """What a package's own metadata say, if they say one thing: newest way of saying it first."""
    if expression := told.get_all("License-Expression"):
        return str(expression[0])
    classifiers = [
        one.rsplit(" :: ", 1)[1]
        for one in told.get_all("Classifier") or []
        if one.startswith("License :: OSI Approved :: ")
    ]
    said = [*(told.get_all("License") or []), *(classifiers if len(classifiers) == 1 else [])]
    return next((known for one in said if (known := _known(one, words))), None)


def licence_of(name: str, version: str, told: PackageMetadata, ruled: Rules) -> str | None:
    """What a person read in this version of it, or what its metadata say."""
    if (read := ruled.read.get(name)) is not None and read["version"] == version:
        return read["licence"]
    return declared(told, ruled.words)


def allowed(expression: str, among: Iterable[str]) -> bool:
    """Whether one may use it by licences of these alone."""

    def holds(part: Expression) -> bool:
        match part:
            case BaseSymbol():
                return part.render() in among
            case AND():
                return all(map(holds, part.args))
            case OR():
                return any(map(holds, part.args))
            case _:
                return False

    try:
        return holds(_SPDX.parse(expression, validate=True))
    except ExpressionError:
        return False


def shipped(ruled: Rules) -> list[Package]:
    """The distributions that all services' images hold."""
    return _installed(_named(SHIPPED), ruled)


def tools(ruled: Rules) -> list[Package]:
    """The distributions that only develop and test it."""
    held = _named(SHIPPED)
    return _installed(
        {name: version for name, version in _named(TOOLS).items() if name not in held}, ruled
    )


def jars(text: str) -> list[Package]:
    """The broker's jars, as `deploy/kafka/jars.licences` has them."""
    found = []
    for line in text.splitlines():
        place, licence = line.split(maxsplit=1)
        group, artifact, version = place.split(":")
        found.append(Package(f"{group}:{artifact}", version, licence))
    return found


def own_version() -> str:
    """The version of this tree."""
    told = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return str(told["project"]["version"])


def files(packages: Iterable[Package]) -> set[str]:
    """The file names of jars."""
    return {f"{one.name.partition(':')[2]}-{one.version}.jar" for one in packages}


def node(lock: Path = NODE) -> list[Package]:
    """The packages by which the AsyncAPI documents are checked."""
    held = json.loads(lock.read_text(encoding="utf-8"))["packages"]
    return [
        Package(place.rpartition("node_modules/")[2], one["version"], one.get("license"))
        for place, one in sorted(held.items())
        if place
    ]


def faults(ruled: Rules) -> list[str]:
    """A sentence for each package that may not be here, or that nobody can tell of."""
    beside = {*ruled.shipped, *ruled.tools}
    broker = jars(JARS.read_text(encoding="utf-8"))
    held = {line.split()[1] for line in DIGESTS.read_text(encoding="utf-8").splitlines()}
    found = [f"jars.licences is not of {name}" for name in sorted(held ^ files(broker))]
    found += [
        *_faults(shipped(ruled), ruled.shipped),
        *_faults(broker, ruled.shipped),
        *_faults(tools(ruled), beside),
        *_faults(node(), beside),
    ]
    names = {**_named(SHIPPED), **_named(TOOLS)}
    found += [
        f"{name} {one['version']} was read, {names.get(name, 'nothing')} is pinned: read it again"
        for name, one in ruled.read.items()
        if names.get(name) != one["version"]
    ]
    return found


def table(ruled: Rules) -> str:
    """The whole file."""
    parts = [
        ("In the images of the services", shipped(ruled)),
        ("The broker's jars, in the stand-in and the embedded stack", jars(JARS.read_text())),
        ("For development and tests", tools(ruled)),
    ]
    lines = [_HEAD]
    for title, packages in parts:
        lines += [f"## {title}", "", "| name | version | licence |", "|---|---|---|"]
        lines += [f"| {one.name} | {one.version} | {one.licence} |" for one in packages]
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def main(arguments: Sequence[str]) -> int:
    """0 when all may be, and the file says so."""
    ruled = rules()
    found = faults(ruled)
    for sentence in found:
        print(sentence, file=sys.stderr)
    match [*arguments]:
        case ["write"]:
            if not found:
                FILE.write_text(table(ruled), encoding="utf-8")
        case ["check"]:
            if not found and FILE.read_text(encoding="utf-8") != table(ruled):
                print("docs/licences.md is not as packages are: `make licences`.", file=sys.stderr)
                return 1
        case _:
            print(__doc__, file=sys.stderr)
            return 2
    return 1 if found else 0


def _named(files: Iterable[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name in files:
        found |= pinned((ROOT / name).read_text(encoding="utf-8"))
    return dict(sorted(found.items()))


def _installed(named: Mapping[str, str], ruled: Rules) -> list[Package]:
    return [
        Package(name, version, _licence(name, version, ruled)) for name, version in named.items()
    ]


def _licence(name: str, version: str, ruled: Rules) -> str | None:
    try:
        told = metadata(name)
    except PackageNotFoundError:
        told = cast("PackageMetadata", Message())
    return licence_of(name, version, told, ruled)


def _known(said: str, words: Mapping[str, str]) -> str | None:
    if not said or "\n" in said:
        return None
    if said in words:
        return words[said]
    try:
        _SPDX.parse(said, validate=True, strict=True)
    except ExpressionError:
        return None
    return said


def _faults(packages: Iterable[Package], among: Iterable[str]) -> list[str]:
    return [
        f"{one.name} {one.version}: "
        + ("no licence is known" if one.licence is None else f"{one.licence} is not allowed here")
        for one in packages
        if one.licence is None or not allowed(one.licence, among)
    ]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
