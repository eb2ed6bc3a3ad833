"""The vault: the one place where closed values are opened, each for a purpose, noted, bounded."""

from __future__ import annotations

from datetime import timedelta

import pytest
from pydantic import BaseModel, ConfigDict
from structlog.testing import capture_logs

from lianhu.eventing.testing import TestEngine
from lianhu.eventing.vault import NotOpened, Vault
from lianhu.privacy import DataKey, MasterKey, MasterKeys, Sealed, Sealer
from tests.conftest import MakeDatabase
from tests.engine_toy import KEYS, Toy, engine

pytestmark = pytest.mark.infra

SECRET = "王小红 13800138000"


class Letter(BaseModel):
    """Something with a sealed value in it."""

    model_config = ConfigDict(hide_input_in_errors=True)

    text: Sealed[str]
    number: Sealed[int]


def closed(key: DataKey, text: str = SECRET) -> Letter:
    """Both values closed with a key, as a journal has them."""
    whole = Letter(text=Sealed.hold(text), number=Sealed.hold(7))
    return Letter.model_validate_json(whole.model_dump_json(context=Sealer(key)))


def vault(one: TestEngine) -> Vault:
    """The vault of a service."""
    return Vault(one.pool, one.house.keys, one.house.clock, one.house.metrics)


async def keep(one: TestEngine, key: DataKey, keys: MasterKeys = KEYS) -> DataKey:
    """The key stands in the service's database."""
    await one.fetch("INSERT INTO case_keys (id, wrapped) VALUES ($1, $2)", key.id, keys.wrap(key))
    return key


def slugs(given: list[object]) -> list[object]:
    """What was given, and why something was not."""
    return [found.slug if isinstance(found, NotOpened) else found for found in given]


async def test_values_are_opened_in_their_order_or_it_says_why_not(
    make_database: MakeDatabase,
) -> None:
    async with engine(make_database, Toy()) as one:
        good = await keep(one, DataKey.new("case/a"))
        other = await keep(one, DataKey.new("case/b"))
        lost = DataKey.new("case/lost")
        await one.fetch(
            "INSERT INTO case_keys (id, wrapped, erased_at) VALUES ('case/erased', '', now())"
        )
        erased = closed(DataKey.new("case/erased"))
        forged = closed(DataKey.new(good.id))
        await keep(one, DataKey.new("case/stranger"), MasterKeys(MasterKey.generate()))
        stranger = closed(DataKey.new("case/stranger"))
        await one.fetch("INSERT INTO case_keys (id, wrapped) VALUES ('case/broken', 'x')")
        given = await vault(one).open(
            [
                closed(other, "second").text,
                closed(lost).text,
                closed(good, "first").text,
                erased.text,
                forged.text,
                stranger.text,
                closed(DataKey.new("case/broken")).text,
            ],
            "test",
        )
        assert slugs([*given]) == [
            "second",
            "key-missing",
            "first",
            "key-erased",
            "wrong-key",
            "unknown-master-key",
            "malformed",
        ]


async def test_a_restricted_key_opens_nothing_until_its_time_in_domain_time(
    make_database: MakeDatabase,
) -> None:
    async with engine(make_database, Toy()) as one:
        key = await keep(one, DataKey.new("case/a"))
        letter, clock = closed(key), one.house.clock
        now = clock.now()
        until = now + timedelta(days=365)
        await one.fetch("UPDATE case_keys SET restricted_until = $1", until)
        for ahead, expected in (
            (timedelta(days=364), "key-restricted"),
            (timedelta(days=366), SECRET),
        ):
            clock.set(((now, ahead),))
            assert slugs([*await vault(one).open([letter.text], "test")]) == [expected]


async def test_an_old_master_key_still_opens(make_database: MakeDatabase) -> None:
    async with engine(make_database, Toy()) as one:
        key = await keep(one, DataKey.new("case/a"))
        one.house.keys = MasterKeys(MasterKey.generate(), [KEYS.current])
        assert await vault(one).open([closed(key).text], "test") == [SECRET]


async def test_each_opening_is_noted_and_counted_without_what_was_in_it(
    make_database: MakeDatabase,
) -> None:
    async with engine(make_database, Toy()) as one:
        key = await keep(one, DataKey.new("case/a"))
        letter = closed(key)
        lost = closed(DataKey.new("case/lost"))
        with capture_logs() as lines:
            await vault(one).open([letter.text, closed(key).text, lost.text], "notice")
            await vault(one).open([lost.text], "notice")
        assert lines == [
            {"event": "unsealed", "log_level": "info", "purpose": "notice", "streams": ["case/a"]}
        ]
        metrics = one.house.metrics.registry
        assert metrics.get_sample_value("lianhu_values_unsealed_total", {"purpose": "notice"}) == 2


async def test_a_value_of_another_type_is_not_half_opened(make_database: MakeDatabase) -> None:
    async with engine(make_database, Toy()) as one:
        key = await keep(one, DataKey.new("case/a"))
        letter = closed(key)
        swapped = Letter.model_validate(
            {"text": letter.text, "number": letter.model_dump(mode="json")["text"]}
        )
        assert slugs([*await vault(one).open([swapped.number], "test")]) == ["malformed"]


async def test_nothing_to_open_is_no_opening(make_database: MakeDatabase) -> None:
    async with engine(make_database, Toy()) as one:
        with capture_logs() as lines:
            assert await vault(one).open([], "test") == []
        assert lines == []
