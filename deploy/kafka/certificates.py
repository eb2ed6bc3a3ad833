"""A certificate authority of our own, and a broker's certificate signed by it.

Whoever holds a certificate of it is a broker to the brokers: it signs for nobody else. The
systems outside are given `ca.crt` and a password.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

CA_CERTIFICATE, CA_KEY, BROKER = "ca.crt", "ca.key", "broker.pem"
CA_DAYS, BROKER_DAYS = 3650, 825
_BEFORE = timedelta(hours=1)
"""Clocks differ: a certificate is valid from a little earlier on."""


def make_authority(folder: Path) -> None:
    """`ca.key` and `ca.crt`; nothing when both are there."""
    if (folder / CA_KEY).exists() and (folder / CA_CERTIFICATE).exists():
        return
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name("Lianhu's own authority")
    certificate = (
        _valid(CA_DAYS)
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    _write(folder / CA_KEY, _pem_of(key), 0o600)
    _write(folder / CA_CERTIFICATE, certificate.public_bytes(serialization.Encoding.PEM), 0o644)


def make_broker(folder: Path, hosts: Sequence[str], *, anew: bool = False) -> bool:
    """`broker.pem`, key and certificate for these names and addresses; whether it was made.

    One that is there stays, unless it does not name all of `hosts` or `anew` is said.
    """
    path = folder / BROKER
    if path.exists() and not anew and set(hosts) <= hosts_of(path):
        return False
    authority = x509.load_pem_x509_certificate((folder / CA_CERTIFICATE).read_bytes())
    signing = serialization.load_pem_private_key((folder / CA_KEY).read_bytes(), None)
    if not isinstance(signing, ec.EllipticCurvePrivateKey):
        raise TypeError(f"{CA_KEY} is not a key of ours")
    key = ec.generate_private_key(ec.SECP256R1())
    both = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
    certificate = (
        _valid(BROKER_DAYS)
        .subject_name(_name("broker"))
        .issuer_name(authority.subject)
        .public_key(key.public_key())
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs=False), critical=True)
        .add_extension(both, critical=False)
        .add_extension(x509.SubjectAlternativeName([_host(one) for one in hosts]), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signing.public_key()), critical=False
        )
        .sign(signing, hashes.SHA256())
    )
    _write(path, _pem_of(key) + certificate.public_bytes(serialization.Encoding.PEM), 0o600)
    return True


def hosts_of(path: Path) -> set[str]:
    """The names and addresses that a certificate speaks for."""
    certificate = x509.load_pem_x509_certificate(path.read_bytes())
    found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    names = found.get_values_for_type(x509.DNSName)
    addresses = found.get_values_for_type(x509.IPAddress)
    return {*names, *(str(address) for address in addresses)}


def _valid(days: int) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BEFORE)
        .not_valid_after(now + timedelta(days=days))
    )


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _host(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs,
        crl_sign=signs,
        encipher_only=False,
        decipher_only=False,
    )


def _pem_of(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _write(path: Path, content: bytes, mode: int) -> None:
    """At once or not at all, and at no moment open to others."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(content)
    draft.replace(path)
