"""Passwords of the database come from files, where they may be renewed, and are never shown."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lianhu.eventing import database
from lianhu.eventing.settings import EngineSettings


def settings(**given: Any) -> EngineSettings:
    return EngineSettings(**given)


def test_a_renewed_password_is_read_anew_for_the_next_connection(tmp_path: Path) -> None:
    file = tmp_path / "postgres-intake"
    where = database.address(
        settings(database_url="postgresql://intake@db/intake", database_password_file=file)
    )
    for word in ("geheim-1", "geheim-2"):
        file.write_text(f"{word}\n")
        assert where["password"]() == word
    assert "geheim" not in repr(where)


def test_without_a_file_the_address_is_all_there_is() -> None:
    url = "postgresql://intake:geheim@db/intake"
    assert database.address(settings(database_url=url)) == {"dsn": url}
    assert database.owner_url(settings(migration_url=url)) == url
    assert database.owner_url(settings()) is None


@pytest.mark.parametrize("who", ["intake_owner", "intake_owner:old"])
def test_the_owner_s_password_is_put_into_the_address_as_it_must_be_written(
    tmp_path: Path, who: str
) -> None:
    file = tmp_path / "postgres-intake_owner"
    file.write_text("a/b@c:d e\n")
    found = database.owner_url(
        settings(
            migration_url=f"postgresql://{who}@db:5432/intake?sslmode=disable",
            migration_password_file=file,
        )
    )
    assert found == ("postgresql://intake_owner:a%2Fb%40c%3Ad%20e@db:5432/intake?sslmode=disable")


def test_a_missing_file_is_named_and_its_folder_is_not(tmp_path: Path) -> None:
    missing = tmp_path / "postgres-intake"
    where = database.address(
        settings(database_url="postgresql://intake@db/intake", database_password_file=missing)
    )
    with pytest.raises(ValueError, match=r"cannot be read: postgres-intake$"):
        where["password"]()
