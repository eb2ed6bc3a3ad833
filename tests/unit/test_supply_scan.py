"""What scanners print is understood, and what nobody has looked at fails the scan."""

from __future__ import annotations

import io
import json
import tarfile
import tomllib
from typing import Any

import pytest

from deploy.embedded.faults import Missing
from deploy.supply import scan
from deploy.supply.scan import ACCEPTED, Found, debian, judged, told, updates

SIMULATED = """\
Reading package lists...
The following packages will be upgraded:
  apt libssl3
Inst libssl3 [3.0.20-1~deb12u2] (3.0.22-1~deb12u2 Debian-Security:12/oldstable-security [amd64]) []
Inst apt [2.6.1] (2.6.2 Debian:12.13/oldstable [amd64])
Inst new (1.0 Debian-Security:12/oldstable-security [amd64])
Conf libssl3 (3.0.22-1~deb12u2 Debian-Security:12/oldstable-security [amd64])
"""
SSL = Found("libssl3", "3.0.20-1~deb12u2", "3.0.22-1~deb12u2")


def printed(*findings: dict[str, Any]) -> str:
    """As Go's scanner prints them."""
    values = [{"config": {"scan_mode": "binary"}}, *({"finding": one} for one in findings)]
    return "\n".join(json.dumps(value, indent=2) for value in values) + "\n"


def finding(name: str, module: str, **more: str) -> dict[str, Any]:
    return {"osv": name, "trace": [{"module": module, "version": "v1.0.0"}], **more}


def packed(**held: str) -> io.BytesIO:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for name, text in held.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text)
            tar.addfile(entry, io.BytesIO(text.encode()))
    stream.seek(0)
    return stream


def test_findings_are_told_once_with_what_mends_them() -> None:
    one = finding("GO-1", "example.org/one", fixed_version="v1.0.1")
    assert told(printed(one, one, finding("GO-2", "stdlib"))) == {
        Found("GO-1", "example.org/one v1.0.0", "v1.0.1"),
        Found("GO-2", "stdlib v1.0.0", ""),
    }
    assert told(printed()) == set()


def test_what_nobody_has_looked_at_and_what_is_found_no_more_are_both_told() -> None:
    found = told(printed(finding("GO-1", "one"), finding("GO-2", "two")))
    fresh, gone = judged(found, {"GO-1": "a reason", "GO-0": "a reason"})
    assert [one.name for one in fresh] == ["GO-2"]
    assert gone == ["GO-0"]


def test_what_is_accepted_has_a_reason() -> None:
    accepted = tomllib.loads(ACCEPTED.read_text(encoding="utf-8"))
    assert set(accepted) == {"dbmate"}
    assert all(len(reason) > 20 for reason in accepted["dbmate"].values())


def test_security_updates_are_those_of_the_security_archive_for_what_is_installed() -> None:
    assert updates(SIMULATED) == [SSL]


def test_an_image_tells_its_release_and_its_packages() -> None:
    stream = packed(
        **{"./var/lib/dpkg/status": "Package: apt\n", "usr/lib/os-release": "ID=debian\n"},
        **{"etc/passwd": "root"},
    )
    assert debian(stream) == ("", b"Package: apt\n")
    stream = packed(**{"./usr/lib/os-release": "ID=debian\nVERSION_CODENAME=bookworm\n"})
    assert debian(stream) == ("bookworm", b"")


@pytest.mark.parametrize(("simulated", "clean"), [(SIMULATED, False), ("Reading\n", True)])
def test_a_missing_update_fails_the_scan(
    simulated: str, clean: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(command: list[str], _: object) -> str:
        return "n=bookworm-security" if command[0] == "apt-cache" else simulated

    monkeypatch.setattr(scan, "_run", run)
    assert scan.system((("bookworm", b""), ["intake"])) is clean
    assert ("libssl3" in capsys.readouterr().out) is not clean


def test_another_debian_than_apt_s_is_not_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scan, "_run", lambda *_: "n=trixie-security")
    with pytest.raises(Missing, match="bookworm"):
        scan.system((("bookworm", b""), ["intake"]))
