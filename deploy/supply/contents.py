"""What a file system holds, by what its package managers wrote down: Python, Debian, jars.

It is read from a tar stream and nothing of it is run, so that it may hold no shell.
"""

from __future__ import annotations

import email
import hashlib
import re
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from email.message import Message
from importlib.metadata import PackageMetadata
from typing import IO, cast

from packageurl import PackageURL
from packaging.utils import canonicalize_name

from deploy.supply.licences import Package, Rules, licence_of

_DISTRIBUTION = re.compile(r"\.dist-info/METADATA$")
_DEBIAN = re.compile(r"^var/lib/dpkg/status(\.d/[^/]+)?$")
_SYSTEM = re.compile(r"^(usr/lib|etc)/os-release$")
_JAR = re.compile(r"/libs/([^/]+)\.jar$")
_JAVA = re.compile(r"/openjdk/release$")
_LIBPQ = re.compile(r"/pkgconfig/libpq\.pc$")
_OURS = re.compile(r"^opt/service/lianhu/([a-z]+)/__init__\.py$")
_JAVA_LICENCE = "GPL-2.0-only WITH Classpath-exception-2.0"


@dataclass(frozen=True)
class Part:
    """One package. `digest`: of the file that lies there. `pinned`: one of them its wheel had."""

    purl: PackageURL
    licence: str | None = None
    digest: str | None = None
    pinned: tuple[str, ...] = ()


@dataclass(frozen=True)
class Known:
    """What is known beforehand of what may lie there."""

    rules: Rules
    jars: Mapping[str, Package] = field(default_factory=dict)
    """By file name, without its suffix."""
    pinned: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """By name of a distribution."""
    ours: str = ""
    """The version of our own members."""


def parts(stream: IO[bytes], known: Known) -> list[Part]:
    """Everything, sorted, each once."""
    found: list[Part] = []
    system = PackageURL("generic", None, "debian")
    with tarfile.open(fileobj=stream, mode="r|") as files:
        for entry in files:
            name = entry.name.removeprefix("./")
            if not entry.isfile() or (kind := _kind(name)) is None:
                continue
            content = files.extractfile(entry)
            body = b"" if content is None else content.read()
            if kind is _SYSTEM:
                system = _system(body.decode())
            else:
                found += _found(kind, name, body, known)
    told = {str(one.purl): one for one in (_of_system(part, system) for part in found)}
    return [told[name] for name in sorted(told)]


def _kind(name: str) -> re.Pattern[str] | None:
    kinds = (_DISTRIBUTION, _DEBIAN, _SYSTEM, _JAR, _JAVA, _LIBPQ, _OURS)
    return next((kind for kind in kinds if kind.search(name)), None)


def _found(kind: re.Pattern[str], name: str, body: bytes, known: Known) -> Iterator[Part]:
    if kind is _DISTRIBUTION:
        yield _distribution(email.message_from_bytes(body), known)
    elif kind is _DEBIAN:
        yield from _debian(body.decode())
    elif kind is _JAR:
        yield _jar(name, body, known)
    elif kind is _JAVA:
        (version,) = re.findall(r'^JAVA_VERSION="(.+)"$', body.decode(), re.M)
        yield Part(PackageURL("generic", None, "openjdk", version), _JAVA_LICENCE)
    elif kind is _LIBPQ:
        (version,) = re.findall(r"^Version: *(\S+)$", body.decode(), re.M)
        yield Part(PackageURL("generic", None, "postgresql", version), "PostgreSQL")
    elif (match := _OURS.search(name)) is not None:
        yield Part(PackageURL("generic", None, f"lianhu-{match[1]}", known.ours), "Apache-2.0")


def _distribution(told: Message, known: Known) -> Part:
    purl = PackageURL("pypi", None, canonicalize_name(told["Name"]), told["Version"])
    licence = licence_of(purl.name, purl.version or "", cast("PackageMetadata", told), known.rules)
    return Part(purl, licence, pinned=known.pinned.get(purl.name, ()))


def _debian(status: str) -> Iterator[Part]:
    for paragraph in re.split(r"\n\n+", status.strip()):
        told = email.message_from_string(paragraph)
        if told.get("Status", "install ok installed").endswith(" installed"):
            named = {"arch": str(told["Architecture"])}
            yield Part(PackageURL("deb", "debian", told["Package"], told["Version"], named))


def _jar(name: str, body: bytes, known: Known) -> Part:
    match = _JAR.search(name)
    stem = "" if match is None else match[1]
    digest = hashlib.sha256(body).hexdigest()
    if (jar := known.jars.get(stem)) is None:
        return Part(PackageURL("generic", None, stem), digest=digest)
    group, _, artifact = jar.name.partition(":")
    return Part(PackageURL("maven", group, artifact, jar.version), jar.licence, digest)


def _system(text: str) -> PackageURL:
    told = dict(re.findall(r'^(ID|VERSION_ID)="?([^"\n]*)"?$', text, re.M))
    return PackageURL("generic", None, told.get("ID", "linux"), told.get("VERSION_ID"))


def _of_system(part: Part, system: PackageURL) -> Part:
    """A Debian package says of which release it is; the file that tells may come later."""
    if part.purl.type != "deb":
        return part
    named = {**part.purl.qualifiers, "distro": f"{system.name}-{system.version}"}
    return replace(part, purl=part.purl._replace(qualifiers=named))
