"""What a service answers over HTTP: metrics, its contract, its health, every unit's screen."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from urllib.parse import urlsplit

from lianhu.jurisdiction import Divisions

_PATHS = ("/metrics", "/asyncapi.json", "/livez", "/readyz")
_PAGE = 500
_OK, _ASKED_WRONGLY = 200, 400


class NoAnswer(RuntimeError):
    """A service did not answer; the message is a sentence."""


def pages_of(url: str) -> Iterator[tuple[str, bytes]]:
    """Path and body of each answer. Raises `NoAnswer`."""
    place = urlsplit(url)
    connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=30)
    try:
        for path in _PATHS:
            yield path, _get(connection, path)[1]
        if _get(connection, "/in-app")[0] in (_OK, _ASKED_WRONGLY):
            for unit in Divisions.shenzhen():
                yield from _screen(connection, unit)
    except (OSError, http.client.HTTPException) as error:
        raise NoAnswer(f"{url} did not answer: {type(error).__name__}") from error
    finally:
        connection.close()


def _screen(connection: http.client.HTTPConnection, unit: str) -> Iterator[tuple[str, bytes]]:
    path = f"/in-app?unit={unit}&limit={_PAGE}"
    after = ""
    while True:
        status, body = _get(connection, path + after)
        if status != _OK:
            raise NoAnswer(f"/in-app answered {status} for a unit")
        yield path, body
        notices = json.loads(body)
        if len(notices) < _PAGE:
            return
        after = f"&after={notices[-1]['notice']}"


def _get(connection: http.client.HTTPConnection, path: str) -> tuple[int, bytes]:
    connection.request("GET", path)
    answer = connection.getresponse()
    return answer.status, answer.read()
