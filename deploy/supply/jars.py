"""`deploy/kafka/jars.licences`: group, name, version and licence of each of the broker's jars.

`python -m deploy.supply.jars` asks Maven anew, which is needed when `jars.sha256` changes;
`make check` says so.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from xml.etree import ElementTree

from deploy.embedded import jars
from deploy.supply.licences import JARS, rules

PLUGIN = "org.codehaus.mojo:license-maven-plugin:2.7.0:download-licenses"


def lines(summary: str, words: Mapping[str, str]) -> list[str]:
    """A line for each jar, out of the plugin's summary; several licences are a choice."""
    found = []
    for one in ElementTree.fromstring(summary).iter("dependency"):  # noqa: S314  Maven wrote it
        place = ":".join(one.findtext(part, "") for part in ("groupId", "artifactId", "version"))
        said = [licence.findtext("name", "") for licence in one.iter("license")]
        found.append(f"{place}  {' OR '.join(words.get(name, name) for name in said)}")
    return sorted(found)


def main() -> int:
    """0 when the file was written."""
    maven = shutil.which("mvn")
    if maven is None:
        print("Maven (`mvn`) is not on this machine.", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as folder:
        summary = Path(folder, "summary.xml")
        subprocess.run(
            [
                *(maven, "--quiet", "--batch-mode", f"--file={jars.POM}", PLUGIN),
                *(
                    "-Dstyle.color=never",
                    "-DskipDownloadLicenses=true",
                    f"-DlicensesOutputFile={summary}",
                ),
                f"-DlicensesOutputDirectory={folder}",
            ],
            check=True,
        )
        told = lines(summary.read_text(encoding="utf-8"), rules().words)
    JARS.write_text("".join(f"{line}\n" for line in told), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
