"""The command line of every service: run, migrate, and the operator's commands."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Annotated, Any

import asyncpg
import typer
import uvloop
from pydantic import TypeAdapter, ValidationError
from rich.console import Console

from lianhu.contracts.base import Instant
from lianhu.contracts.faults import Refused
from lianhu.eventing import database, logs, ops, parked, relay, restored, wrapping
from lianhu.eventing.clock import Clock
from lianhu.eventing.delivery import Reason
from lianhu.eventing.errors import passes
from lianhu.eventing.migrate import MigrationFailed, migrate
from lianhu.eventing.service import Running, Service, build_house
from lianhu.eventing.settings import EngineSettings
from lianhu.privacy import KeyFileError, MasterKeys, UnsealError

console = Console(soft_wrap=True)
Limit = Annotated[int, typer.Option(min=1, help="how many at most")]

_WRONG = (
    ValueError,
    KeyFileError,
    UnsealError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.InvalidAuthorizationSpecificationError,
)
"""What a wrong setting, key, database or password ends in; its text tells no secret."""
_STEP: TypeAdapter[timedelta] = TypeAdapter(timedelta)
_MOMENT: TypeAdapter[datetime] = TypeAdapter(Instant)


def main(service: Service) -> None:
    """Run the command line of a service."""
    build(service)()


def _settings(service: Service) -> EngineSettings:
    try:
        return service.settings()
    except ValidationError as error:
        for found in error.errors(include_url=False, include_input=False):
            name = "_".join(str(part) for part in found["loc"])
            said = found["msg"].removeprefix("Value error, ")
            _tell(service, f"{name}: {said}" if name else said)
        raise SystemExit(2) from None


def _end(*_: object) -> None:
    raise SystemExit(0)


def _tell(service: Service, why: object) -> None:
    """A sentence is a line, also where a library's own has several."""
    print(f"{service.name}: {' '.join(str(why).split())}", file=sys.stderr)


@contextmanager
def _answered(service: Service, unanswered: str) -> Iterator[None]:
    """What goes wrong inside is a sentence: 2 for a wrong setting, 1 for who does not answer."""
    try:
        yield
    except _WRONG as error:
        _tell(service, error)
        raise SystemExit(2) from None
    except Exception as error:
        if not passes(error):
            raise
        _tell(service, f"{unanswered} ({type(error).__name__})")
        raise SystemExit(1) from None


def _with_connection(
    service: Service, work: Callable[[asyncpg.Connection, EngineSettings], Awaitable[Any]]
) -> Any:
    settings = _settings(service)

    async def go() -> Any:
        pool = await database.open_pool(settings, f"{service.name}-ops", wait=5)
        try:
            async with pool.acquire() as connection:
                return await work(connection, settings)
        finally:
            pool.terminate()

    with _answered(service, "the database does not answer"):
        return asyncio.run(go())


def _restored(service: Service) -> None:
    settings = _settings(service)

    async def work(url: str) -> None:
        connection = await asyncpg.connect(url, timeout=10)
        access, name = settings.access(), service.name
        patience = 3 * settings.session_timeout_ms / 1000
        try:
            async with restored.alone(connection, access, name, patience):
                found = await restored.compare(connection, access, name, service.pattern())
                # told before anything is changed: another call would find less
                for line in restored.told(found):
                    console.out(line, highlight=False)
                for stream in await restored.go_on(connection, access, name, found):
                    console.out(f"erased {stream}", highlight=False)
                console.out(restored.ended(found), highlight=False)
        finally:
            await connection.close()

    with _answered(service, "database or broker does not answer"):
        url = database.owner_url(settings)
        if url is None:
            raise ValueError("MIGRATION_URL is not set")
        asyncio.run(work(url))


def _master_keys(settings: EngineSettings) -> MasterKeys:
    if settings.master_key_file is None:
        raise ValueError("MASTER_KEY_FILE is not set")
    return MasterKeys.read(settings.master_key_file)


def build(service: Service) -> typer.Typer:
    """The commands of a service, as a value."""
    cli = typer.Typer(
        name=f"lianhu.{service.name}",
        help=f"The service {service.name}.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )

    @cli.command()
    def run() -> None:
        """Run the service until it is told to stop."""
        settings = _settings(service)
        logs.configure(service.name, settings.log_level)
        # also while it waits for database and broker: nothing is under way then
        signal.signal(signal.SIGTERM, _end)
        try:
            uvloop.run(Running(service, settings).run())
        except _WRONG as error:
            _tell(service, error)
            raise SystemExit(2) from None

    @cli.command("migrate")
    def migrate_() -> None:
        """Bring the database to this release; needs the owner's MIGRATION_URL."""
        settings = _settings(service)
        try:
            url = database.owner_url(settings)
        except ValueError as error:
            _tell(service, error)
            raise SystemExit(2) from None
        if url is None:
            _tell(service, "MIGRATION_URL is not set")
            raise SystemExit(2)
        try:
            print(migrate(url, service.migrations))
        except MigrationFailed as error:
            print(f"{service.name}: {error}", file=sys.stderr)
            raise SystemExit(1) from None

    @cli.command("restored")
    def restored_() -> None:
        """After a restore to an earlier point, before the start; needs the owner's MIGRATION_URL.

        Lists what the topics know and the journal does not, raises the epoch, takes the inputs
        again from there. Twice is harmless. Refused while the service runs.
        """
        _restored(service)

    cli.add_typer(_parked(service), name="parked", help="Dead letters and what waits.")
    cli.add_typer(_keys(service), name="keys", help="By which master keys ours are wrapped.")
    cli.add_typer(_journal(service), name="journal", help="Verify it, publish it again.")
    cli.add_typer(_deadlines(service), name="deadlines", help="What is due.")
    cli.add_typer(_clock(service), name="clock", help="Move time, in demo and tests.")

    @cli.command()
    def outbox() -> None:
        """How many journal rows wait to be published."""
        _with_connection(service, lambda connection, _: ops.outbox(connection, console))

    service.commands(cli, lambda work: _with_connection(service, work))
    return cli


def _parked(service: Service) -> typer.Typer:
    cli = typer.Typer(no_args_is_help=True)

    @cli.command("list")
    def list_(reason: Reason | None = None, limit: Limit = 100) -> None:
        """What is parked, without bodies."""
        _with_connection(
            service, lambda connection, _: ops.parked_list(connection, console, reason, limit)
        )

    @cli.command()
    def show(letter: str) -> None:
        """One letter with its body, unsealed; a line of the log says so."""

        async def work(connection: asyncpg.Connection, settings: EngineSettings) -> bool:
            async with asyncpg.create_pool(**database.address(settings), min_size=1) as pool:
                house = await build_house(service, settings, pool)
            logs.configure(service.name, settings.log_level)
            return await ops.parked_show(connection, console, letter, house.service_key)

        if not _with_connection(service, work):
            print(f"no letter {letter}", file=sys.stderr)
            raise SystemExit(1)

    @cli.command()
    def replay(letters: list[str]) -> None:
        """Try letters once more, through the same rules and under the same ids."""
        count = _with_connection(service, lambda connection, _: parked.replay(connection, letters))
        print(f"{count} of {len(letters)} letters are tried again")
        if count < len(letters):
            raise SystemExit(1)

    return cli


def _keys(service: Service) -> typer.Typer:
    cli = typer.Typer(no_args_is_help=True)

    @cli.command("list")
    def list_() -> None:
        """How many data keys each master key wraps; one that wraps none may go from the file."""

        async def work(connection: asyncpg.Connection, settings: EngineSettings) -> None:
            await wrapping.show(connection, console, _master_keys(settings))

        _with_connection(service, work)

    @cli.command()
    def rewrap() -> None:
        """Wrap every data key with the current master key, while the service runs."""

        async def work(connection: asyncpg.Connection, settings: EngineSettings) -> int:
            return await wrapping.rewrap(connection, _master_keys(settings))

        print(f"{_with_connection(service, work)} data keys are wrapped anew")

    return cli


def _journal(service: Service) -> typer.Typer:
    cli = typer.Typer(no_args_is_help=True)

    @cli.command()
    def verify() -> None:
        """Check every chain, and that each state is the fold of its journal."""

        async def work(connection: asyncpg.Connection, settings: EngineSettings) -> list[str]:
            async with asyncpg.create_pool(**database.address(settings), min_size=1) as pool:
                house = await build_house(service, settings, pool)
            return await ops.verify(connection, house)

        wrong = _with_connection(service, work)
        for sentence in wrong:
            print(sentence)
        print(f"{len(wrong)} faults")
        if wrong:
            raise SystemExit(1)

    @cli.command()
    def republish(
        after: Annotated[int, typer.Option(min=0, help="publish again all rows after this number")],
    ) -> None:
        """Publish rows again; readers drop what they know."""

        async def work(connection: asyncpg.Connection, _: EngineSettings) -> None:
            await relay.republish(connection, after)
            cursor, last = await relay.outbox(connection)
            print(f"rows after {cursor} are published again, {last - cursor} in all")

        _with_connection(service, work)

    return cli


def _deadlines(service: Service) -> typer.Typer:
    cli = typer.Typer(no_args_is_help=True)

    @cli.callback()
    def _() -> None:
        """What is due."""

    @cli.command()
    def overdue(limit: Limit = 100) -> None:
        """Deadlines that are due and not answered."""

        async def work(connection: asyncpg.Connection, settings: EngineSettings) -> None:
            clock = Clock(movable=settings.clock_movable)
            await ops.overdue(connection, console, clock, limit)

        _with_connection(service, work)

    return cli


def _clock(service: Service) -> typer.Typer:
    cli = typer.Typer(no_args_is_help=True)

    @cli.callback()
    def _() -> None:
        """Move time."""

    @cli.command()
    def advance(
        by: Annotated[str, typer.Argument(help="an ISO 8601 duration such as P3D or PT4H")],
        start: Annotated[
            str | None, typer.Option("--from", help="broker time from which on, ISO 8601")
        ] = None,
    ) -> None:
        """Move domain time forward; the same must be said to every service."""
        try:
            step = _STEP.validate_python(by)
            at = _MOMENT.validate_python(start) if start else None
        except ValidationError as error:
            for found in error.errors(include_url=False, include_input=False):
                _tell(service, found["msg"])
            raise SystemExit(2) from None

        async def work(connection: asyncpg.Connection, settings: EngineSettings) -> None:
            if not settings.clock_movable:
                raise Refused.at("clock", "not-movable")
            begin, ahead = await ops.clock_advance(connection, step, at)
            print(f"from {begin.isoformat()} on, time is ahead by {ahead}")

        try:
            _with_connection(service, work)
        except Refused as error:
            _tell(service, error)
            raise SystemExit(1) from None

    return cli
