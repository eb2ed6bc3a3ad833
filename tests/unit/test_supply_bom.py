"""What a file system holds is found, and becomes a bill of materials that its schema takes."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from importlib.metadata import distribution, version
from pathlib import Path
from typing import Any

import pytest

from deploy.embedded.jars import DIGESTS
from deploy.supply.__main__ import what_is_known
from deploy.supply.bom import Invalid, bill, validate
from deploy.supply.contents import Part, parts
from deploy.supply.images import IMAGES, named

KNOWN = what_is_known()
SITE = "opt/lianhu/lib/python3.11/site-packages"
JAR, JAR_DIGEST = "kafka-clients-4.4.0.jar", hashlib.sha256(b"a jar").hexdigest()
STATUS = """\
Package: libc6
Status: install ok installed
Architecture: amd64
Version: 2.36-9+deb12u13
Conffiles:
 /etc/ld.so.conf 0

Package: gone
Status: deinstall ok config-files
Architecture: all
Version: 1.0
"""
RELEASE = 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nVERSION_ID="12"\nID=debian\n'


def metadata(name: str) -> str:
    """A real distribution's own."""
    return distribution(name).read_text("METADATA") or ""


def files(**more: str) -> dict[str, str]:
    """An image in small; the file that tells its release comes last."""
    return {
        "./var/lib/dpkg/status": STATUS,
        f"./{SITE}/jinja2-3.1.6.dist-info/METADATA": metadata("jinja2"),
        f"./{SITE}/aiokafka-0.14.0.dist-info/METADATA": metadata("aiokafka"),
        f"./{SITE}/aiokafka/METADATA": "no distribution's",
        f"./opt/kafka/libs/{JAR}": "a jar",
        "./opt/java/openjdk/release": 'IMPLEMENTOR="x"\nJAVA_VERSION="25.0.2"\n',
        "./usr/lib/postgresql/18/lib/pkgconfig/libpq.pc": "Name: libpq\nVersion: 18.6\n",
        "./opt/service/lianhu/intake/__init__.py": "",
        **more,
        "./usr/lib/os-release": RELEASE,
    }


def packed(held: dict[str, str]) -> io.BytesIO:
    """As an engine exports it."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for name, text in held.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text.encode())
            tar.addfile(entry, io.BytesIO(text.encode()))
    stream.seek(0)
    return stream


def found(held: dict[str, str]) -> dict[str, Part]:
    return {str(part.purl): part for part in parts(packed(held), KNOWN)}


def test_each_kind_of_package_is_found_with_its_version_and_licence() -> None:
    held = found(files())
    assert {name: part.licence for name, part in held.items()} == {
        "pkg:deb/debian/libc6@2.36-9%2Bdeb12u13?arch=amd64&distro=debian-12": None,
        f"pkg:pypi/jinja2@{version('jinja2')}": "BSD-3-Clause",
        f"pkg:pypi/aiokafka@{version('aiokafka')}": "Apache-2.0",
        "pkg:maven/org.apache.kafka/kafka-clients@4.4.0": "Apache-2.0",
        "pkg:generic/openjdk@25.0.2": "GPL-2.0-only WITH Classpath-exception-2.0",
        "pkg:generic/postgresql@18.6": "PostgreSQL",
        f"pkg:generic/lianhu-intake@{KNOWN.ours}": "Apache-2.0",
    }


def test_a_wheel_has_the_digests_that_are_pinned_and_a_jar_its_own() -> None:
    held = found(files())
    assert held["pkg:maven/org.apache.kafka/kafka-clients@4.4.0"].digest == JAR_DIGEST
    pinned = held[f"pkg:pypi/jinja2@{version('jinja2')}"].pinned
    requirements = (Path(__file__).parents[2] / "requirements.txt").read_text()
    assert pinned
    assert all(f"--hash=sha256:{one}" in requirements for one in pinned)


def test_what_nobody_pinned_is_there_all_the_same() -> None:
    stranger = "Metadata-Version: 2.1\nName: Some.Stranger\nVersion: 7\n"
    held = found(
        files(
            **{
                f"{SITE}/some_stranger-7.dist-info/METADATA": stranger,
                "opt/kafka/libs/stranger-1.jar": "another",
            }
        )
    )
    assert held["pkg:pypi/some-stranger@7"].licence is None
    assert held["pkg:generic/stranger-1"].digest == hashlib.sha256(b"another").hexdigest()


def test_every_jar_of_the_broker_has_a_name_at_maven() -> None:
    names = [line.split()[1] for line in DIGESTS.read_text().splitlines()]
    held = found({f"opt/kafka/libs/{name}": "" for name in names})
    assert len(held) == len(names)
    assert all(name.startswith("pkg:maven/") for name in held)


def test_the_bill_names_the_image_and_all_parts_and_is_valid() -> None:
    held = [*parts(packed(files()), KNOWN)]
    told: dict[str, Any] = json.loads(bill("lianhu/intake:latest", "0" * 64, held))
    whole = told["metadata"]["component"]
    assert (whole["type"], whole["name"], whole["version"]) == (
        "container",
        "lianhu/intake",
        "latest",
    )
    assert {one["purl"] for one in told["components"]} == {str(part.purl) for part in held}
    by_name = {one["name"]: one for one in told["components"]}
    assert by_name["jinja2"]["licenses"] == [{"license": {"id": "BSD-3-Clause"}}]
    assert by_name["openjdk"]["licenses"][0]["expression"].endswith("Classpath-exception-2.0")
    assert by_name["kafka-clients"]["hashes"] == [{"alg": "SHA-256", "content": JAR_DIGEST}]


@pytest.mark.parametrize(
    "broken", [{"bomFormat": "another"}, {"components": [{"name": "no type"}]}]
)
def test_a_bill_that_the_schema_does_not_take_is_an_error(broken: dict[str, Any]) -> None:
    told = json.loads(bill("lianhu/intake:latest", "0" * 64, []))
    with pytest.raises(Invalid):
        validate(json.dumps(told | broken))


def test_images_are_named_as_compose_names_them() -> None:
    assert named({})["kafka"].startswith("apache/kafka:")
    told = {"LIANHU_IMAGE_KAFKA": "stand-in/kafka:1", "LIANHU_VERSION": "7"}
    assert named(told) == {
        **{name: f"lianhu/{name}:7" for name in IMAGES[:4]},
        "kafka": "stand-in/kafka:1",
        **{name: named({})[name] for name in IMAGES[5:]},
    }
