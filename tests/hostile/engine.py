"""A service's own rules in a real engine on a real database, fed with wild records."""

from __future__ import annotations

import gc
import json
from base64 import b64encode
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from importlib import import_module
from itertools import islice
from random import Random

import psutil
from structlog.testing import capture_logs

from lianhu.contracts import REGISTRY
from lianhu.contracts.decode import decode
from lianhu.contracts.intake import CaseOpened
from lianhu.contracts.registry import Contract
from lianhu.eventing.delivery import Outcome, Reason
from lianhu.eventing.rules import Stream, case_stream
from lianhu.eventing.service import Service
from lianhu.eventing.testing import START, FakeRecord, TestEngine, event_record, open_engine, stamp
from lianhu.privacy import DataKey, MasterKeys
from tests.hostile.made import Maker
from tests.hostile.records import topics_of, wild

SERVICES = ("intake", "mediation", "welfare", "notify")
BATCH = 200
_OURS = ("unexpected-error", "breaks-its-transaction", "stream-not-touched", "unregistered-event")
"""Slugs that name a fault of ours and none of the message."""

PACE = 20
"""After so many records there is another case to speak of."""
_OPENED = next(one for one in REGISTRY if one.model is CaseOpened)
_AT_HOME = {"unit": "440304001019", "level": "community"}
_PASSING = (Reason.REFUSED, Reason.AWAITING, Reason.BEHIND)
"""Answered, or tried once more at once; no other reason may befall a publisher's message."""
_HURRY = """
WITH hurried AS (
    UPDATE parked SET due = now() WHERE source LIKE '%.%' AND reason IN ('awaiting', 'behind')
    RETURNING 1
) SELECT count(*) FROM hurried
"""
_LEFT = """
SELECT DISTINCT reason || ' ' || source AS faults FROM parked
WHERE source LIKE '%.%' AND reason IN ('awaiting', 'behind')
"""
_ROUNDS = 30
"""More than a batch has commands of one case."""


@dataclass
class Harm:
    """What became of the wild records."""

    outcomes: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    """A sentence for each that was not answered, or that broke a rule."""
    grown: int = 0
    """Bytes by which the process grew over the second half."""


def service_of(name: str) -> Service:
    """The service as it is run."""
    found: Service = import_module(f"lianhu.{name}.app").service
    return found


@asynccontextmanager
async def opened(name: str, url: str) -> AsyncIterator[TestEngine]:
    """A service's rules and policy in an engine; its limit is out of reach."""
    service = service_of(name)
    settings = service.settings(database_url=url)
    one = await open_engine(
        name,
        url,
        service.workflow,
        service.states,
        service.policy(settings),
        rows=service.rows,
        limit_in_a_row=10**6,
        limit_window=10**6,
        limit_share=1,
    )
    try:
        yield one
    finally:
        await one.pool.close()


async def strike(name: str, url: str, seed: int, count: int) -> Harm:
    """Feed so many wild records to a service, half of them events of others where it reads any."""
    random, harm = Random(seed), Harm()
    async with opened(name, url) as one:
        outside, inside = _outside(name, random), _inside(name, random, one.house.keys)
        size = 0
        for done in range(0, count, BATCH):
            if done >= count // 2 and not size:
                size = _resident()
            public = BATCH if name == "intake" else BATCH // 2 if topics_of(name) else 0
            records = [*islice(outside, public), *islice(inside, BATCH - public)]
            await _take(one, records, harm)
        harm.grown = _resident() - size
        harm.faults += await _ours(one)
        harm.faults += [f"{name}: {sentence}" for sentence in await one.verify()]
    return harm


async def _take(one: TestEngine, records: list[FakeRecord], harm: Harm) -> None:
    deliveries = [one.reader.read(record) for record in records]
    with capture_logs():
        await one.handle(deliveries)
        # whoever waits for a case waits no longer: it is there, or that is the answer
        for _ in range(_ROUNDS):
            if not await one.pool.fetchval(_HURRY):
                break
            await one.drain()
        else:
            harm.faults += [f"waits for ever: {row['faults']}" for row in await one.fetch(_LEFT)]
    for done in one.done:
        answered = {(row.causation, row.answers) for row in done.rows}
        refusals = sum(row.type.endswith("message-refused.v1") for row in done.rows)
        for delivery, outcome in done.outcomes:
            harm.outcomes[outcome.value] += 1
            if not delivery.public:
                continue
            refusals -= outcome is Outcome.REFUSED
            message, publisher = delivery.message, delivery.publisher
            if outcome is not Outcome.HANDLED or message is None or publisher is None:
                continue
            if (message.id, publisher.name) not in answered:
                harm.faults.append(f"{delivery.type} {message.id}: not answered")
        if refusals:
            harm.faults.append(f"{refusals} refusals more than refused")
        harm.faults += [
            f"{letter.delivery.type} from outside is {letter.reason}: {letter.faults}"
            for letter in done.letters
            if letter.delivery.public and letter.reason not in _PASSING
        ]
    one.done.clear()


async def _ours(one: TestEngine) -> list[str]:
    """Letters whose fault is ours."""
    rows = await one.fetch("SELECT topic, faults FROM parked WHERE reason <> 'refused'")
    return [
        f"{row['topic']}: {row['faults']}"
        for row in rows
        if any(slug in row["faults"] for slug in _OURS)
    ]


def _resident() -> int:
    gc.collect()
    return int(psutil.Process().memory_info().rss)


def _outside(name: str, random: Random) -> Iterator[FakeRecord]:
    if not topics_of(name):
        return
    for offset, (topic, value, headers) in enumerate(wild(name, random)):
        at = stamp(START + timedelta(seconds=offset))
        yield FakeRecord(topic, 0, offset, at, tuple(headers), value)


def _inside(name: str, random: Random, keys: MasterKeys) -> Iterator[FakeRecord]:
    """Events of other services at the edges of their forms, each next in its stream."""
    contracts = [one for one in REGISTRY if name in one.consumers and not one.kind.public]
    if not contracts:
        return
    makers = [Maker(random, harm) for harm in (0.0, 0.0, 0.01)]
    of: dict[Stream, DataKey] = {}
    last: Counter[tuple[str, Stream]] = Counter()
    number = 0
    while True:
        number += 1
        maker = random.choice(makers)
        maker.newest = 1 + number // PACE
        contract: Contract = random.choice(contracts)
        stream = case_stream(maker.case())
        maker.key = key = of.setdefault(stream, DataKey.new(str(stream)))
        if contract.service == "intake" and not last["intake", stream]:
            contract = _OPENED
        body = maker.body(contract.model)
        if "case" in body:
            body["case"] = stream.key
        if contract is _OPENED:
            body |= _AT_HOME
        if contract.service == "intake" and decode(contract.model, _dumped(body), tolerant=True)[1]:
            continue  # what holds up a whole case would leave little to try
        last[contract.service, stream] += 1
        yield event_record(
            contract.service,
            _dumped(body),
            stream,
            last[contract.service, stream],
            type_=contract.type,
            offset=number,
            at=START + timedelta(seconds=number),
            datakey=b64encode(keys.wrap(key)).decode(),
        )


def _dumped(body: object) -> bytes:
    return json.dumps(body).encode()
