"""`python -m deploy.airgap`: every stand-in that is missing, the services' images on them, Compose.

Their names go to `deploy/.env`, which Compose reads by itself. A second run finds all of it there.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from deploy.airgap.images import AS_OF, PACKAGES, SUITE, Image, as_of, base_key, images
from deploy.embedded import jars
from deploy.embedded.faults import Missing
from deploy.embedded.services import ROOT, SERVICES
from deploy.environment import remember

CACHE = ROOT / ".cache" / "airgap"
COMPOSE = ROOT / ".cache" / "compose" / "bin" / "docker-compose"
PREFIX = "lianhu-airgap"


def main() -> int:
    """0 when all are there."""
    begun = time.monotonic()
    try:
        jars.fetch()
        base = f"{PREFIX}/python:{base_key()}"
        if not _is_there(base):
            _import(base)
            _say(begun, f"{base} is made")
        named = {"LIANHU_IMAGE_PYTHON": base}
        for image in images():
            named[image.variable] = _make(image, base, begun)
        if not has_compose():
            _fetch_compose()
            _say(begun, "Compose is here")
        for service in SERVICES:
            _service(service, named)
            _say(begun, f"the image of {service} is as the source")
    except Missing as error:
        print(error, file=sys.stderr)
        return 1
    remember({**named, AS_OF: as_of()})
    _say(begun, f"{len(named) + len(SERVICES)} images are there")
    return 0


def _make(image: Image, base: str, begun: float) -> str:
    name = f"{PREFIX}/{image.name}:{image.key(base)}"
    if not _is_there(name):
        with tempfile.TemporaryDirectory() as folder:
            context = Path(folder, "context")
            shutil.copytree(Path(__file__).parent / image.recipe, context)
            image.stage(context)
            arguments = {"BASE": base, **image.arguments}
            given = [f"--build-arg={key}={value}" for key, value in arguments.items()]
            # the older builder needs nothing beside the engine
            _docker(["build", "--quiet", "--tag", name, *given, str(context)])
        _say(begun, f"{name} is made")
    return name


def has_compose() -> bool:
    """Whether the engine has Compose, or we have."""
    own = subprocess.run(["docker", "compose", "version"], capture_output=True, check=False)
    return own.returncode == 0 or COMPOSE.exists()


def _fetch_compose() -> None:
    """By pip, which knows the mirror where there is one; by its pinned digest."""
    pinned = Path(__file__).parent / "requirements.txt"
    folder = COMPOSE.parents[1]
    shutil.rmtree(folder, ignore_errors=True)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--require-hashes"]
    _run([*pip, "--only-binary=:all:", f"--target={folder}", "-r", str(pinned)])


def _service(service: str, named: dict[str, str]) -> None:
    """What did not change since the last time the engine knows by itself."""
    arguments = {
        "SERVICE": service,
        "BASE_IMAGE": named["LIANHU_IMAGE_PYTHON"],
        "BUILD_IMAGE": named["LIANHU_IMAGE_PYTHON_BUILD"],
    }
    given = [f"--build-arg={key}={value}" for key, value in arguments.items()]
    tag = f"lianhu/{service}:{os.environ.get('LIANHU_VERSION') or 'latest'}"
    recipe = str(ROOT / "deploy" / "Dockerfile")
    _docker(["build", "--quiet", "--tag", tag, "--file", recipe, *given, str(ROOT)])


def _import(base: str) -> None:
    """A minimal Debian with Python; kept as a file too, so that another engine has it at once."""
    packed = CACHE / f"base-{base_key()}.tar"
    if not packed.exists():
        if os.geteuid() != 0 or shutil.which("debootstrap") is None:
            raise Missing("The base is made by debootstrap (Debian's package), as root.")
        packed.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder, "root")
            mirror = os.environ.get("LIANHU_DEBIAN_MIRROR")
            command = ["debootstrap", "--variant=minbase", f"--include={PACKAGES}", SUITE]
            _run([*command, str(root), *([mirror] if mirror else [])])
            _update(root)
            for place in ("var/cache/apt", "var/lib/apt/lists", "usr/share/doc", "usr/share/man"):
                shutil.rmtree(root / place, ignore_errors=True)
                (root / place).mkdir(parents=True)
            draft = packed.with_suffix(".new")
            _run(["tar", "--numeric-owner", "-C", str(root), "-cf", str(draft), "."])
            draft.replace(packed)
    _docker(["import", "--change", 'CMD ["/bin/bash"]', str(packed), base])


def _update(root: Path) -> None:
    """What Debian's security archive has newer; it lies beside the archive."""
    sources = root / "etc" / "apt" / "sources.list"
    (archive,) = re.findall(r"^deb (\S+) ", sources.read_text(), re.M)
    with sources.open("a") as file:
        file.write(f"deb {archive.rstrip('/')}-security {SUITE}-security main\n")
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for step in (["update"], ["--yes", "dist-upgrade"]):
        _run(["chroot", str(root), "apt-get", "--quiet=2", *step], quiet)


def _is_there(name: str) -> bool:
    return (
        subprocess.run(["docker", "image", "inspect", name], capture_output=True, check=False)
    ).returncode == 0


def _docker(arguments: list[str]) -> None:
    _run(["docker", *arguments], {**os.environ, "DOCKER_BUILDKIT": "0"})


def _run(command: list[str], environment: dict[str, str] | None = None) -> None:
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        told = f"{done.stdout[-2000:]}\n{done.stderr[-2000:]}".strip()
        raise Missing(f"`{command[0]} {command[1]}` failed:\n{told}")


def _say(begun: float, line: str) -> None:
    print(f"{time.monotonic() - begun:5.1f} s  {line}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
