"""A service that comes up only in part ends, so that whatever watches over it starts it again."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest

from lianhu.privacy import MasterKey
from tests.conftest import MakeDatabase

pytestmark = pytest.mark.infra

_LEFT = """
import runpy, sys
from aiokafka.errors import KafkaConnectionError
from lianhu.eventing.fetching import Client

async def start(client):
    raise KafkaConnectionError("gone")

Client.start = start
sys.argv[1:] = ["run"]
runpy.run_module("lianhu.mediation", run_name="__main__")
"""


async def test_a_broker_that_leaves_between_two_looks_of_the_start_ends_it(
    broker: str, make_database: MakeDatabase, tmp_path: Path
) -> None:
    """FastStream makes its consumer when the web server already answers, and tells it nothing."""
    keys = tmp_path / "master.key"
    MasterKey.generate().write(keys)
    told = {
        "DATABASE_URL": await make_database("mediation"),
        "KAFKA": broker,
        "MASTER_KEY_FILE": str(keys),
        "ENVIRONMENT": "test",
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", _LEFT),
        env={**os.environ, **{f"LIANHU_MEDIATION_{name}": value for name, value in told.items()}},
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        _, logged = await asyncio.wait_for(process.communicate(), 60)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 1
    assert b"KafkaConnectionError: gone" in logged
