"""Kill points inside a service, by names: Python reads this file first where PYTHONPATH leads here.

No code of the services knows of it. Their methods are wrapped, and a process whose point is armed
sends itself a signal exactly there. Armed is a file `{service}.{point}.{signal}`; the first process
that renames it is struck, the others and all later ones go on. A method that is not there any more
ends the process at its start, and each process leaves a file for each point that it came by: a
point cannot be lost silently.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Awaitable, Callable
from functools import wraps
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

FOLDER = "LIANHU_FAULTS"
"""Environment variable: where the armed points lie."""
RELEASE = "LIANHU_NEW_RELEASE"
"""Environment variable: some replicas are of the next release, as `newer.py` makes it."""
WHEN = "lianhu.eventing.service"
"""The module that has all others of the engine imported."""
SIGNALS = ("SIGKILL", "SIGSTOP")

_service = ""
_passed: set[str] = set()


def struck_here(point: str) -> None:
    """Be struck, if this point is armed. Returns after a SIGCONT, never after a SIGKILL."""
    folder = Path(os.environ[FOLDER])
    if point not in _passed:
        _passed.add(point)
        folder.mkdir(exist_ok=True)
        (folder / f"{_service}.{point}.passed").touch()
    for name in SIGNALS:
        armed = folder / f"{_service}.{point}.{name}"
        try:
            armed.rename(armed.with_suffix(f".{name}-struck-{os.getpid()}"))
        except FileNotFoundError:
            continue
        os.kill(os.getpid(), getattr(signal, name))


def _wrap(
    owner: type,
    name: str,
    before: str = "",
    after: str = "",
    much: Callable[[Any], bool] = bool,
) -> None:
    """Strike before or after a method of coroutines, by the point's name; after: if it did much."""
    whole: Callable[..., Awaitable[Any]] = getattr(owner, name)

    @wraps(whole)
    async def wrapped(*given: Any, **more: Any) -> Any:
        if before:
            struck_here(before)
        found = await whole(*given, **more)
        if after and much(found):
            struck_here(after)
        return found

    setattr(owner, name, wrapped)


def _wrap_relay(relay: type) -> None:
    whole = relay._publish  # type: ignore[attr-defined]

    @wraps(whole)
    async def publish(self: Any, rows: Any, keys: Any, cursor: int) -> Any:
        reached, error = await whole(self, rows, keys, cursor)
        if reached > cursor:
            struck_here("published-before-cursor")
        return reached, error

    relay._publish = publish  # type: ignore[attr-defined]


def _wrap_effects(effects: type) -> None:
    whole = effects.__init__  # type: ignore[misc]

    def around(call: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def called(*given: Any) -> Any:
            struck_here("attempt-started-before-call")
            ended = await call(*given)
            struck_here("called-before-outcome")
            return ended

        return called

    @wraps(whole)
    def made(self: Any, service: str, calls: Any, *more: Any) -> None:
        whole(self, service, {name: around(call) for name, call in calls.items()}, *more)

    effects.__init__ = made  # type: ignore[misc]


def _install(module: ModuleType) -> None:
    from lianhu.eventing.batch import Batch
    from lianhu.eventing.effects import Effects
    from lianhu.eventing.relay import Relay
    from lianhu.eventing.transport import Consumer

    running = module.Running
    whole = running.__init__

    @wraps(whole)
    def named(self: Any, service: Any, settings: Any) -> None:
        global _service  # noqa: PLW0603 - one process is one service
        _service = service.name
        whole(self, service, settings)

    running.__init__ = named
    _wrap(running, "_records", before="after-fetch")
    _wrap(Batch, "_lock", after="after-locks")
    _wrap(Batch, "run", after="before-commit", much=lambda done: bool(done.rows))
    _wrap(Consumer, "_commit", before="after-commit-before-offsets")
    _wrap_relay(Relay)
    _wrap_effects(Effects)


class _After(MetaPathFinder):
    """Lets the engine be imported as ever, then wraps."""

    def find_spec(self, fullname: str, path: object, target: object = None) -> ModuleSpec | None:
        if fullname != WHEN:
            return None
        sys.meta_path.remove(self)
        spec = find_spec(fullname)
        if spec is not None and spec.loader is not None:
            spec.loader = _Wrapping(spec.loader)
        return spec


class _Wrapping(Loader):
    def __init__(self, whole: Loader) -> None:
        self._whole = whole

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._whole.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        self._whole.exec_module(module)
        _install(module)


if FOLDER in os.environ:
    sys.meta_path.insert(0, _After())
if RELEASE in os.environ:
    newer = import_module("newer")
    if newer.is_newer():
        newer.install()
