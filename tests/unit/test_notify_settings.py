"""What the environment says of the lines out and the directory, and what it may not say."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from lianhu.contracts.vocabulary import NoticeChannel
from lianhu.eventing.settings import Environment
from lianhu.notify.directory import Directory
from lianhu.notify.policy import Policy
from lianhu.notify.settings import Settings

MAIL = {"smtp_host": "mail.example.org", "smtp_from": "通知 <notice@example.org>"}


def test_without_lines_out_there_are_the_screens_only() -> None:
    assert Policy.load(Settings()).configured == (NoticeChannel.IN_APP,)


def test_each_line_is_there_when_its_address_is() -> None:
    settings = Settings(**MAIL, sms_url="https://sms.example.org/send")  # type: ignore[arg-type]
    assert Policy.load(settings).configured == (
        NoticeChannel.IN_APP,
        NoticeChannel.EMAIL,
        NoticeChannel.SMS,
    )
    relay = settings.lines().relay
    assert relay is not None
    assert (relay.port, relay.mode, relay.address) == (587, "starttls", "notice@example.org")


def test_a_secret_comes_from_its_file_and_is_shown_nowhere(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("h0rse\n", encoding="utf-8")
    settings = Settings(**MAIL, smtp_user="u", smtp_password_file=file)  # type: ignore[arg-type]
    relay = settings.lines().relay
    assert relay is not None
    assert relay.password == SecretStr("h0rse")
    assert "h0rse" not in f"{settings!r} {relay!r} {settings.lines()!r}"


def test_a_secret_s_missing_file_stops_the_start(tmp_path: Path) -> None:
    settings = Settings(sms_url="https://sms.example.org/send", sms_token_file=tmp_path / "missing")
    with pytest.raises(ValueError, match="a secret's file cannot be read: missing"):
        settings.lines()


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        ({"smtp_host": "mail.example.org"}, "SMTP_FROM gives no address"),
        ({**MAIL, "smtp_from": "nobody"}, "SMTP_FROM gives no address"),
        ({**MAIL, "smtp_mode": "insecure"}, "e-mail is not sent over an open line"),
        ({"sms_url": "ftp://sms.example.org"}, "SMS_URL is no http or https address"),
        ({"sms_url": "http://sms.example.org"}, "messages are not sent over an open line"),
    ],
)
def test_a_line_that_is_open_or_half_named_stops_the_start(
    given: dict[str, str], fault: str
) -> None:
    with pytest.raises(ValidationError, match=fault):
        Settings(environment=Environment.PRODUCTION, **given)  # type: ignore[arg-type]


def test_in_a_demo_the_lines_may_be_open() -> None:
    settings = Settings(
        environment=Environment.DEMO,
        smtp_mode="insecure",
        sms_url="http://sms.example.org",
        **MAIL,  # type: ignore[arg-type]
    )
    assert len(Policy.load(settings).configured) == 3


def test_the_shipped_directory_is_empty() -> None:
    assert not Directory.read(None).units


def test_a_directory_gives_the_address_of_each_channel_and_shows_none(tmp_path: Path) -> None:
    file = tmp_path / "directory.yaml"
    file.write_text('units: {"440304000000": {phone: "+86 755 0000 1111"}}\n', encoding="utf-8")
    directory = Directory.read(file)
    assert directory.address("440304000000", NoticeChannel.SMS) == "+86 755 0000 1111"
    assert directory.address("440304000000", NoticeChannel.EMAIL) is None
    assert directory.address("440304000000", NoticeChannel.IN_APP) is None
    assert directory.address("440304010000", NoticeChannel.SMS) is None
    assert "0000 1111" not in repr(directory)


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("units: [", "is not YAML"),
        ('units: {"4403": {}}', "units.4403"),
        ('units: {"440304000000": {phone: call me}}', "units.440304000000.phone"),
        ('units: {"440304000000": {fax: "1"}}', "units.440304000000.fax"),
        ("people: {}", "people"),
    ],
)
def test_a_fault_of_the_directory_is_named_by_its_place_and_never_by_its_value(
    tmp_path: Path, text: str, where: str
) -> None:
    file = tmp_path / "directory.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match="the directory of duty contacts") as fault:
        Directory.read(file)
    assert where in str(fault.value)
    assert "call me" not in str(fault.value)
