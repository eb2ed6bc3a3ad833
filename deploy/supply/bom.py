"""A bill of materials in CycloneDX' JSON, valid by its schema, or an error."""

from __future__ import annotations

from collections.abc import Iterable

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import ExternalReference, ExternalReferenceType, HashAlgorithm, HashType, XsUri
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output import make_outputter
from cyclonedx.schema import OutputFormat, SchemaVersion
from cyclonedx.validation import make_schemabased_validator

from deploy.supply.contents import Part

VERSION = SchemaVersion.V1_6
_LICENCES = LicenseFactory()


class Invalid(Exception):
    """It would not be what the schema asks for."""


def bill(image: str, digest: str, parts: Iterable[Part]) -> str:
    """Of an image by its name and its digest: what it holds."""
    name, _, tag = image.rpartition(":")
    whole = Component(
        bom_ref=image,
        name=name,
        version=tag,
        type=ComponentType.CONTAINER,
        hashes=[_sha256(digest)],
    )
    bom = Bom(components=[_component(part) for part in parts])
    bom.metadata.component = whole
    bom.register_dependency(whole, bom.components)
    text = make_outputter(bom, OutputFormat.JSON, VERSION).output_as_string(indent=1)
    validate(text)
    return text


def validate(text: str) -> None:
    """Raise `Invalid` with what the schema says."""
    fault = make_schemabased_validator(OutputFormat.JSON, VERSION).validate_str(text)
    if fault is not None:
        raise Invalid(str(fault))


def _component(part: Part) -> Component:
    purl = part.purl
    return Component(
        bom_ref=str(purl),
        type=ComponentType.LIBRARY,
        group=purl.namespace,
        name=purl.name,
        version=purl.version,
        purl=purl,
        licenses=[] if part.licence is None else [_LICENCES.make_from_string(part.licence)],
        hashes=[] if part.digest is None else [_sha256(part.digest)],
        external_references=[_wheels(part)] if part.pinned else [],
    )


def _wheels(part: Part) -> ExternalReference:
    return ExternalReference(
        type=ExternalReferenceType.DISTRIBUTION,
        url=XsUri(str(part.purl)),
        comment="what was installed has one of these digests",
        hashes=[_sha256(one) for one in part.pinned],
    )


def _sha256(digest: str) -> HashType:
    return HashType(alg=HashAlgorithm.SHA_256, content=digest)
