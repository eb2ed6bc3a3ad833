"""Kafka's published jars: fetched by Maven once, checked against pinned digests.

`deploy/kafka/pom.xml` says which release, `deploy/kafka/jars.sha256` what exactly must arrive.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import ssl
import subprocess
import tempfile
import warnings
from pathlib import Path

from deploy.embedded.faults import Missing
from deploy.embedded.java import Java, find_java

ROOT = Path(__file__).parents[2]
POM = ROOT / "deploy" / "kafka" / "pom.xml"
DIGESTS = ROOT / "deploy" / "kafka" / "jars.sha256"
JARS = ROOT / ".cache" / "kafka-4.4.0"
STAMP = ".digests"
TRUST_PASSWORD = "changeit"  # noqa: S105  a store of public certificates; the format wants one


def installed() -> Path:
    """The folder of jars. Raises `Missing` when they were not fetched."""
    if not is_installed():
        raise Missing("Kafka's jars are not here: run `make install` first.")
    return JARS


def is_installed() -> bool:
    """Whether the jars that `jars.sha256` names were fetched and checked."""
    stamp = JARS / STAMP
    return stamp.exists() and stamp.read_text() == DIGESTS.read_text()


def fetch() -> None:
    """Fetch, check and lay the jars in place in one move; nothing when they are there."""
    if is_installed():
        return
    maven = shutil.which("mvn")
    if maven is None:
        raise Missing(
            "Maven (`mvn`) is not on this machine; it fetches Kafka's jars. "
            "Debian and Ubuntu have it as the package `maven`."
        )
    JARS.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=JARS.parent) as folder:
        work = Path(folder)
        arrived = work / "jars"
        _run_maven(maven, find_java(), work, arrived)
        check(arrived, DIGESTS.read_text())
        (arrived / STAMP).write_text(DIGESTS.read_text())
        if JARS.exists():
            shutil.rmtree(JARS)
        arrived.replace(JARS)


def check(folder: Path, digests: str) -> None:
    """Raise `Missing` unless the folder holds exactly the jars that are pinned."""
    lines = [line.split() for line in digests.splitlines()]
    pinned = {name: digest for digest, name in lines}
    found = {jar.name: hashlib.sha256(jar.read_bytes()).hexdigest() for jar in folder.glob("*.jar")}
    wrong = sorted(name for name in pinned | found if pinned.get(name) != found.get(name))
    if wrong:
        raise Missing(
            f"Kafka's jars are not the pinned ones ({', '.join(wrong)}): nothing was installed."
        )


def _run_maven(maven: str, java: Java, work: Path, target: Path) -> None:
    environment = dict(os.environ)
    if java.wheel:
        environment["JAVA_HOME"] = str(java.command.parents[1])
        # The wheel's Java trusts its own list of certificate authorities; a company's or a
        # mirror's, known to the machine, would be refused.
        trust = work / "trust.p12"
        trust.write_bytes(machine_trust())
        options = [
            f"-Djavax.net.ssl.trustStore={trust}",
            f"-Djavax.net.ssl.trustStorePassword={TRUST_PASSWORD}",
            environment.get("MAVEN_OPTS", ""),
        ]
        if java.version >= 24:
            options.insert(0, "--sun-misc-unsafe-memory-access=allow")  # Maven's own libraries
        environment["MAVEN_OPTS"] = " ".join(options).strip()
    result = subprocess.run(
        [
            *(maven, "--quiet", "--batch-mode", "--strict-checksums", "--file", str(POM)),
            *("dependency:copy-dependencies", f"-DoutputDirectory={target}"),
        ],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if result.returncode != 0:
        raise Missing(f"Maven could not fetch Kafka's jars. It said:\n{result.stdout.strip()}")


def machine_trust() -> bytes:
    """The machine's certificate authorities as a key store that Java reads (PKCS #12)."""
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, pkcs12

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # old roots with odd serial numbers are still roots
        certificates = [
            pkcs12.PKCS12Certificate(x509.load_der_x509_certificate(der), f"ca-{n}".encode())
            for n, der in enumerate(ssl.create_default_context().get_ca_certs(binary_form=True))
        ]
    return pkcs12.serialize_java_truststore(
        certificates, BestAvailableEncryption(TRUST_PASSWORD.encode())
    )
