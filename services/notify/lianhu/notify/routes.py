"""What can be asked of notify over HTTP: the messages on a unit's screen 站内消息.

Whoever reaches the service's port may ask; no message names a person.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from datetime import UTC

import asyncpg

from lianhu.contracts.faults import Fault
from lianhu.contracts.vocabulary import Language
from lianhu.jurisdiction import is_division_code
from lianhu.notify.store import InAppRow, InAppStore, StoreUnavailable

Handler = Callable[[Mapping[str, str]], Awaitable[tuple[int, object]]]
"""From the query's parameters to a status and what becomes the JSON body."""
Route = tuple[str, Handler]
"""An exact path, asked by GET, and its handler."""

MOST = 500
USUAL = 100


def routes(pool: asyncpg.Pool) -> Sequence[Route]:
    """`/in-app?unit=440304000000&limit=100&after={notice}`: a list, newest first.

    The next page follows the last notice of this one; a page shorter than `limit` is the last.
    Wrong parameters give 400 and `{"faults": [{"path", "slug"}]}`, a database that does not
    answer gives 503.
    """
    store = InAppStore(pool)

    async def in_app(query: Mapping[str, str]) -> tuple[int, object]:
        if faults := list(_faults(query)):
            return _answer(400, *faults)
        try:
            found = await store.page(
                query["unit"], int(query.get("limit", USUAL)), query.get("after")
            )
        except StoreUnavailable as error:
            return _answer(503, Fault(path="", slug=error.slug))
        if found is None:
            return _answer(400, Fault(path="/after", slug="unknown-notice"))
        return 200, [_json(row) for row in found]

    return (("/in-app", in_app),)


def _faults(query: Mapping[str, str]) -> Iterator[Fault]:
    for name in query:
        if name not in ("unit", "limit", "after"):
            yield Fault(path="", slug="unknown-parameter")
    if "unit" not in query:
        yield Fault(path="/unit", slug="missing")
    elif not is_division_code(query["unit"]):
        yield Fault(path="/unit", slug="malformed-division")
    limit = query.get("limit", str(USUAL))
    if not re.fullmatch("[0-9]{1,4}", limit):
        yield Fault(path="/limit", slug="not-a-number")
    elif not 1 <= int(limit) <= MOST:
        yield Fault(path="/limit", slug="out-of-range")
    if "after" in query and not re.fullmatch("[0-9a-f]{32}", query["after"]):
        yield Fault(path="/after", slug="malformed-notice")


def _answer(status: int, *faults: Fault) -> tuple[int, object]:
    return status, {"faults": [fault.model_dump() for fault in faults]}


def _json(row: InAppRow) -> dict[str, object]:
    return {
        "notice": row.notice,
        "at": row.at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z"),
        "unit": row.unit,
        "role": row.role,
        "case": row.case_number,
        "about_type": row.about_type,
        Language.ZH_CN.value: {"subject": row.subject_zh, "text": row.text_zh},
        Language.EN.value: {"subject": row.subject_en, "text": row.text_en},
    }
