"""Our own authority and a broker's certificate: made once, closed, and good for its names."""

from __future__ import annotations

import ipaddress
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from deploy.kafka.certificates import BROKER, CA_CERTIFICATE, CA_KEY, make_authority, make_broker

HOSTS = ["kafka", "127.0.0.1"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    make_authority(tmp_path)
    assert make_broker(tmp_path, HOSTS)
    return tmp_path


def verify(folder: Path, subject: x509.DNSName | x509.IPAddress) -> None:
    authority = x509.load_pem_x509_certificate((folder / CA_CERTIFICATE).read_bytes())
    broker = x509.load_pem_x509_certificate((folder / BROKER).read_bytes())
    PolicyBuilder().store(Store([authority])).build_server_verifier(subject).verify(broker, [])


def test_a_broker_is_vouched_for_under_its_names_and_no_other(folder: Path) -> None:
    verify(folder, x509.DNSName("kafka"))
    verify(folder, x509.IPAddress(ipaddress.ip_address("127.0.0.1")))
    with pytest.raises(VerificationError):
        verify(folder, x509.DNSName("elsewhere.example.org"))


def test_another_authority_vouches_for_nothing_of_ours(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    make_authority(other)
    (folder / CA_CERTIFICATE).write_bytes((other / CA_CERTIFICATE).read_bytes())
    with pytest.raises(VerificationError):
        verify(folder, x509.DNSName("kafka"))


def test_what_is_there_stays_until_another_name_is_wanted(folder: Path) -> None:
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    make_authority(folder)
    assert not make_broker(folder, HOSTS[:1])
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert make_broker(folder, [*HOSTS, "kafka-2"])
    verify(folder, x509.DNSName("kafka-2"))
    assert (folder / CA_KEY).read_bytes() == before[CA_KEY]
    assert make_broker(folder, HOSTS, anew=True)


def test_keys_are_closed_to_all_others(folder: Path) -> None:
    modes = {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()}
    assert modes == {CA_KEY: 0o600, BROKER: 0o600, CA_CERTIFICATE: 0o644}
