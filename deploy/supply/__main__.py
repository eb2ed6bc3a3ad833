"""`python -m deploy.supply`: a bill of materials (SBOM) of each image, into `build/sbom`.

Images are those of the services, the broker, the database and the monitoring as Compose names them;
they must be there: built, loaded, or made by `make airgap`.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from deploy.embedded.faults import Missing
from deploy.embedded.services import ROOT
from deploy.supply import images, licences
from deploy.supply.bom import bill
from deploy.supply.contents import Known, parts

FOLDER = ROOT / "build" / "sbom"
_BLOCK = re.compile(r"(?m)^(?=[A-Za-z0-9])")
_DIGEST = re.compile(r"sha256:([0-9a-f]{64})")


def main(folder: Path = FOLDER) -> int:
    """0 when each is written."""
    known = what_is_known()
    folder.mkdir(parents=True, exist_ok=True)
    try:
        for name, image in images.here().items():
            digest = images.digest(image)
            with images.exported(image) as stream:
                found = parts(stream, known)
            path = folder / f"{name}.cdx.json"
            path.write_text(bill(image, digest, found), encoding="utf-8")
            print(f"{path.name}  {len(found)} parts of {image}", flush=True)
    except Missing as error:
        print(error, file=sys.stderr)
        return 1
    return 0


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


if __name__ == "__main__":
    sys.exit(main())
