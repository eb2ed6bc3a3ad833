"""One more publisher in a registry's file: what stands there stays, and half of it never does."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import pytest

from lianhu.contracts.publishers import Publisher, Publishers
from lianhu.contracts.registering import register
from lianhu.contracts.vocabulary import Authority, Channel, PublisherKind

SCHOOL = Publisher(
    name="school-futian",
    kind=PublisherKind.REPORTING,
    unit="440304000000",
    channels=(Channel.SCHOOL, Channel.WALK_IN),
    title="福田区学校: 转办 # 第一批",
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "publishers.yaml"
    path.write_bytes((files("lianhu.contracts") / "publishers.yaml").read_bytes())
    path.chmod(0o640)
    return path


def test_one_more_is_added_and_nothing_else_changes(file: Path) -> None:
    before = file.read_text(encoding="utf-8")
    register(file, SCHOOL)
    after = file.read_text(encoding="utf-8")
    assert after.startswith(before), "comments and order are people's own"
    assert Publishers.read(file).publishers[:-1] == Publishers.read().publishers
    assert Publishers.read(file).get("school-futian") == SCHOOL
    assert file.stat().st_mode & 0o777 == 0o640
    assert [*file.parent.iterdir()] == [file]


def test_a_partner_is_added_with_its_authority(file: Path) -> None:
    court = Publisher(
        name="court-futian",
        kind=PublisherKind.PARTNER,
        unit="440304000000",
        authority=Authority.COURT,
        partitions=1,
        title="福田区人民法院",
    )
    register(file, court)
    assert Publishers.read(file).get("court-futian") == court


def test_what_is_registered_already_leaves_the_file_as_it_was(file: Path) -> None:
    register(file, SCHOOL)
    before = file.read_bytes()
    with pytest.raises(ValueError, match="registered twice: school-futian"):
        register(file, SCHOOL)
    with pytest.raises(ValueError, match="one of our own names"):
        register(file, SCHOOL.model_copy(update={"name": "monitor"}))
    assert file.read_bytes() == before
    assert [*file.parent.iterdir()] == [file]


def test_a_file_that_is_no_plain_list_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "publishers.yaml"
    file.write_text("publishers: []\n")
    with pytest.raises(ValueError, match="publishers"):
        register(file, SCHOOL)
    assert file.read_text() == "publishers: []\n"
