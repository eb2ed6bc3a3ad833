"""The bill of materials of each image names what lies in it, and that is what is pinned."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from deploy.embedded.jars import DIGESTS
from deploy.embedded.services import SERVICES
from deploy.supply.__main__ import main
from deploy.supply.bom import validate
from deploy.supply.images import IMAGES
from deploy.supply.licences import rules, shipped
from tests.compose.deployment import why_not

pytestmark = [pytest.mark.compose, pytest.mark.long]


@pytest.fixture(scope="module")
def bills(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[dict[str, Any]]]:
    """Of each image its parts."""
    if (reason := why_not()) is not None:
        pytest.skip(reason)
    folder: Path = tmp_path_factory.mktemp("bills")
    assert main(folder) == 0, "`make airgap` makes the images"
    found = {}
    for name in IMAGES:
        text = (folder / f"{name}.cdx.json").read_text(encoding="utf-8")
        validate(text)
        found[name] = json.loads(text)["components"]
    return found


def of_kind(parts: list[dict[str, Any]], kind: str) -> dict[str, dict[str, Any]]:
    return {one["name"]: one for one in parts if one["purl"].startswith(f"pkg:{kind}/")}


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_s_image_holds_what_is_pinned_and_nothing_else(
    service: str, bills: dict[str, list[dict[str, Any]]]
) -> None:
    held = of_kind(bills[service], "pypi")
    assert {name: one["version"] for name, one in held.items()} == {
        one.name: one.version for one in shipped(rules())
    }
    assert [name for name, one in held.items() if not one.get("licenses")] == []
    assert [name for name, one in held.items() if not one.get("externalReferences")] == []


@pytest.mark.parametrize("service", SERVICES)
def test_of_ours_it_holds_the_libraries_and_itself(
    service: str, bills: dict[str, list[dict[str, Any]]]
) -> None:
    ours = {"contracts", "eventing", "jurisdiction", "privacy", service}
    assert set(of_kind(bills[service], "generic")) == {f"lianhu-{name}" for name in ours}


def test_the_broker_s_jars_are_those_that_are_pinned(
    bills: dict[str, list[dict[str, Any]]],
) -> None:
    pinned = {line.split()[0] for line in DIGESTS.read_text().splitlines()}
    held = of_kind(bills["kafka"], "maven")
    assert {one["hashes"][0]["content"] for one in held.values()} == pinned


def test_every_image_names_the_debian_below_it(bills: dict[str, list[dict[str, Any]]]) -> None:
    for name, parts in bills.items():
        below = of_kind(parts, "deb")
        assert {"libc6", "base-files"} <= set(below), name
        assert all("distro=debian-" in one["purl"] for one in below.values())


@pytest.mark.parametrize(
    ("image", "program"),
    [
        ("prometheus", "prometheus"),
        ("alertmanager", "prometheus-alertmanager"),
        ("postgres-exporter", "prometheus-postgres-exporter"),
    ],
)
def test_a_stand_in_of_the_monitoring_names_its_program(
    image: str, program: str, bills: dict[str, list[dict[str, Any]]]
) -> None:
    assert program in of_kind(bills[image], "deb")
