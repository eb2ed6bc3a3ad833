"""`python -m deploy.supply`: a bill of materials (SBOM) of each image, into `build/sbom`.

Images are those of the services and of the broker and the database as Compose names them; they
must be there: built, loaded, or made by `make airgap`.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import yaml

from deploy import environment
from deploy.embedded.services import ROOT
from deploy.supply import licences
from deploy.supply.bom import bill
from deploy.supply.contents import Known, parts

FOLDER = ROOT / "build" / "sbom"
COMPOSE = ROOT / "deploy" / "compose.yaml"
IMAGES = ("intake", "mediation", "welfare", "notify", "kafka", "postgres")
_VARIABLE = re.compile(r"\$\{(\w+):-([^}]*)\}")
_BLOCK = re.compile(r"(?m)^(?=[A-Za-z0-9])")
_DIGEST = re.compile(r"sha256:([0-9a-f]{64})")


def main(folder: Path = FOLDER) -> int:
    """0 when each is written."""
    names = images({**environment.read(), **os.environ})
    known = what_is_known()
    folder.mkdir(parents=True, exist_ok=True)
    for name, image in names.items():
        try:
            digest = _docker("image", "inspect", "--format={{.Id}}", image)
        except (FileNotFoundError, subprocess.CalledProcessError):
            print(f"{image} is not here: build or load it, or `make airgap`.", file=sys.stderr)
            return 1
        with _exported(image) as stream:
            found = parts(stream, known)
        path = folder / f"{name}.cdx.json"
        path.write_text(bill(image, digest.removeprefix("sha256:"), found), encoding="utf-8")
        print(f"{path.name}  {len(found)} parts of {image}", flush=True)
    return 0


def images(told: Mapping[str, str]) -> dict[str, str]:
    """Their names, as Compose reads them."""
    services = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))["services"]
    return {
        name: _VARIABLE.sub(lambda match: told.get(match[1]) or match[2], services[name]["image"])
        for name in IMAGES
    }


def what_is_known() -> Known:
    """Licences, the broker's jars and the pinned digests, out of this tree."""
    jars = licences.jars(licences.JARS.read_text(encoding="utf-8"))
    pinned = {}
    for name in (*licences.SHIPPED, *licences.TOOLS):
        for block in _BLOCK.split((ROOT / name).read_text(encoding="utf-8")):
            for package in licences.pinned(block):
                pinned[package] = tuple(_DIGEST.findall(block))
    return Known(
        licences.rules(),
        {f"{one.name.partition(':')[2]}-{one.version}": one for one in jars},
        pinned,
        licences.own_version(),
    )


@contextmanager
def _exported(image: str) -> Iterator[IO[bytes]]:
    """Its files, by a container that is never started."""
    container = _docker("create", image, "none")
    try:
        with subprocess.Popen(["docker", "export", container], stdout=subprocess.PIPE) as export:
            assert export.stdout is not None
            yield export.stdout
            export.stdout.read()
        if export.returncode != 0:
            raise RuntimeError(f"{image} could not be read")
    finally:
        _docker("rm", container)


def _docker(*arguments: str) -> str:
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
