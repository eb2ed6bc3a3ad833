"""The images of the deployment: their names, and their files without running them."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import IO

import yaml

from deploy import environment
from deploy.embedded.faults import Missing
from deploy.embedded.services import ROOT, SERVICES

COMPOSE = ROOT / "deploy" / "compose.yaml"
IMAGES = (
    *SERVICES,
    "kafka",
    "postgres",
    "postgres-exporter",
    "prometheus",
    "alertmanager",
)
"""By the names of their services; Grafana's is not among them, which cannot be had everywhere."""
_VARIABLE = re.compile(r"\$\{(\w+):-([^}]*)\}")


def named(told: Mapping[str, str]) -> dict[str, str]:
    """Their names, as Compose reads them."""
    services = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))["services"]
    return {
        name: _VARIABLE.sub(lambda match: told.get(match[1]) or match[2], services[name]["image"])
        for name in IMAGES
    }


def here() -> dict[str, str]:
    """Their names on this machine."""
    return named({**environment.read(), **os.environ})


def digest(image: str) -> str:
    """Its own. Raises `Missing` where the engine has no such image, or there is no engine."""
    try:
        told = _docker("image", "inspect", "--format={{.Id}}", image)
    except (FileNotFoundError, subprocess.CalledProcessError) as error:
        raise Missing(f"{image} is not here: build or load it, or `make airgap`.") from error
    return told.removeprefix("sha256:")


@contextmanager
def exported(image: str) -> Iterator[IO[bytes]]:
    """Its files as a tar stream, by a container that is never started."""
    container = _docker("create", image, "none")
    try:
        with subprocess.Popen(["docker", "export", container], stdout=subprocess.PIPE) as export:
            assert export.stdout is not None
            yield export.stdout
            while export.stdout.read(1 << 20):
                pass
        if export.returncode != 0:
            raise Missing(f"{image} could not be read.")
    finally:
        _docker("rm", container)


def _docker(*arguments: str) -> str:
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()
