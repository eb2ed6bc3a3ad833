"""The committed schemas are those of the models, and no change since breaks anybody."""

from __future__ import annotations

from lianhu.contracts.schemas import breaks, committed, differences, generated


def test_every_type_has_its_committed_schema_as_it_is_generated() -> None:
    assert differences(committed(), generated()) == [], "python -m lianhu.contracts write"


def test_nothing_that_was_published_is_broken() -> None:
    assert breaks(committed(), generated()) == []
