"""`python -m deploy.supply.scan`: known vulnerabilities, where there are data without a service.

dbmate, the one Go program in the services' images, is looked at by Go's own scanner and the
newest of Go's data, which come as modules; the Debian packages of each image by apt, which knows
what Debian's security archive has newer. docs/operations.md says what is not looked at.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from deploy.embedded.faults import Missing
from deploy.embedded.services import ROOT
from deploy.supply import images

SCANNER = "golang.org/x/vuln/cmd/govulncheck@v1.9.0"
DATA = "golang.org/x/vulndb@latest"
ACCEPTED = Path(__file__).with_name("vulnerabilities.toml")
PROGRAM = ROOT / ".venv" / "bin" / "dbmate"
"""The same as in the images: out of a wheel with the same digest."""

_CACHE = ROOT / ".cache" / "scan"
_STATUS = "var/lib/dpkg/status"
_RELEASE = "usr/lib/os-release"
_CODENAME = re.compile(r"^VERSION_CODENAME=(\w+)$", re.M)
_UPDATE = re.compile(r"^Inst (\S+) \[([^\]]+)\] \((\S+) [^)]*Debian-Security", re.M)


@dataclass(frozen=True)
class Found:
    """Something known of a package, and the version in which it is mended, if in any."""

    name: str
    where: str
    mended: str


def told(text: str) -> set[Found]:
    """The findings in what Go's scanner prints, which is one JSON value after another."""
    found = set()
    for value in _values(text):
        if (one := value.get("finding")) is not None:
            place = one["trace"][0]
            where = f"{place['module']} {place.get('version', '')}".strip()
            found.add(Found(one["osv"], where, one.get("fixed_version", "")))
    return found


def judged(found: Iterable[Found], accepted: Mapping[str, str]) -> tuple[list[Found], list[str]]:
    """What nobody has looked at yet; and what somebody has, and is found no more."""
    fresh = {one for one in found if one.name not in accepted}
    gone = accepted.keys() - {one.name for one in found}
    return sorted(fresh, key=lambda one: (one.name, one.where)), sorted(gone)


def updates(text: str) -> list[Found]:
    """The security updates in what a simulated `apt-get dist-upgrade` prints."""
    return [Found(name, here, newer) for name, here, newer in _UPDATE.findall(text)]


def debian(stream: IO[bytes]) -> tuple[str, bytes]:
    """Of an image's files: the name of its Debian, and what its package manager wrote down."""
    held = {}
    with tarfile.open(fileobj=stream, mode="r|") as files:
        for entry in files:
            name = entry.name.removeprefix("./")
            if name in (_STATUS, _RELEASE) and (content := files.extractfile(entry)) is not None:
                held[name] = content.read()
    match = _CODENAME.search(held.get(_RELEASE, b"").decode())
    return ("" if match is None else match[1]), held.get(_STATUS, b"")


def main() -> int:
    """0 when nothing was found that nobody has looked at."""
    try:
        clean = [program(), *(system(names) for names in _by_system().items())]
    except Missing as error:
        print(error, file=sys.stderr)
        return 2
    print("Not looked at: Python packages, jars, what a wheel carries in binary form.")
    return 0 if all(clean) else 1


def program() -> bool:
    """Whether all that is known of dbmate was looked at."""
    accepted = tomllib.loads(ACCEPTED.read_text(encoding="utf-8"))["dbmate"]
    go = {**os.environ, "GOBIN": str(_CACHE)}
    _run(["go", "install", SCANNER], go)
    data = json.loads(_run(["go", "mod", "download", "-json", DATA], go))
    source = (Path(data["Dir"]) / "data" / "osv").as_uri()
    scanner = [str(_CACHE / "govulncheck"), "-mode=binary", "-format=json", f"-db={source}"]
    found = told(_run([*scanner, str(PROGRAM)], go))
    fresh, gone = judged(found, accepted)
    print(f"dbmate, by {data['Version']}: {len(found)} known, {len(fresh)} to be looked at")
    for one in fresh:
        print(f"  {one.name}  {one.where}, mended in {one.mended or 'none'}")
    for name in gone:
        print(f"  {name} is accepted and found no more: take it away")
    return not fresh and not gone


def system(one: tuple[tuple[str, bytes], list[str]]) -> bool:
    """Whether the Debian below these images has every security update."""
    (release, status), names = one
    if f"n={release}-security" not in _run(["apt-cache", "policy"], os.environ):
        raise Missing(
            f"apt knows no security archive of {release or 'its Debian'} on this machine."
        )
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "status")
        file.write_bytes(status)
        simulated = ["apt-get", "--simulate", f"-oDir::State::status={file}", "dist-upgrade"]
        found = updates(_run(simulated, os.environ))
    print(f"Debian {release} below {', '.join(names)}: {len(found)} security updates are missing")
    for update in found:
        print(f"  {update.name} {update.where}, mended in {update.mended}")
    return not found


def _by_system() -> dict[tuple[str, bytes], list[str]]:
    """The images that stand on the same Debian, together."""
    found: dict[tuple[str, bytes], list[str]] = {}
    for name, image in images.here().items():
        images.digest(image)
        with images.exported(image) as stream:
            below = debian(stream)
        if below[1]:
            found.setdefault(below, []).append(name)
        else:
            print(f"{name} stands on no Debian: not looked at")
    return found


def _values(text: str) -> Iterator[Mapping[str, Any]]:
    reader, rest = json.JSONDecoder(), text.lstrip()
    while rest:
        value, end = reader.raw_decode(rest)
        yield value
        rest = rest[end:].lstrip()


def _run(command: list[str], environment: Mapping[str, str]) -> str:
    if shutil.which(command[0]) is None:
        raise Missing(f"`{command[0]}` is not on this machine.")
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Missing(f"`{command[0]} {command[1]}` failed: {done.stderr.strip()[-2000:]}")
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
