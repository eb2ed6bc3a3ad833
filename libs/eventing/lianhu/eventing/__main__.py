"""What concerns the broker and no single service: `python -m lianhu.eventing broker apply`."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, TypeVar

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.table import Table

from lianhu.contracts.publishers import Publisher, Publishers
from lianhu.contracts.registering import register
from lianhu.contracts.vocabulary import PublisherKind
from lianhu.eventing import topics
from lianhu.eventing.broker import Broker, Difference, Unanswered
from lianhu.eventing.errors import passes
from lianhu.eventing.settings import BrokerSettings
from lianhu.eventing.users import password_file, renew_password
from lianhu.privacy import KeyFileError, MasterKey, MasterKeys

T = TypeVar("T")

cli = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
topics_cli = typer.Typer(no_args_is_help=True)
publishers_cli = typer.Typer(no_args_is_help=True)
passwords_cli = typer.Typer(no_args_is_help=True)
keys_cli = typer.Typer(no_args_is_help=True)
broker_cli = typer.Typer(no_args_is_help=True)
cli.add_typer(topics_cli, name="topics", help="The topics of the contracts' registry.")
cli.add_typer(broker_cli, name="broker", help="Users, rights and topics; see LIANHU_BROKER_….")
cli.add_typer(publishers_cli, name="publishers", help="Systems outside.")
cli.add_typer(passwords_cli, name="passwords", help="The broker's users' passwords.")
cli.add_typer(keys_cli, name="master-key", help="The keys that wrap all others.")

console = Console(soft_wrap=True, highlight=False)

Kafka = Annotated[str, typer.Option(help="bootstrap servers, host:port")]
PublishersFile = Annotated[Path | None, typer.Option(help="registry of publishers, YAML")]


@publishers_cli.callback()
def _publishers() -> None:
    """Systems outside."""


@publishers_cli.command()
def add(
    name: str,
    kind: Annotated[PublisherKind, typer.Option(help="what sort of system it is")],
    unit: Annotated[str, typer.Option(help="division code of the unit it belongs to")],
    title: Annotated[str, typer.Option(help="how people call it")],
    file: Annotated[Path, typer.Option(help="the registry, YAML")],
    channel: Annotated[list[str] | None, typer.Option(help="of a reporting system; repeat")] = None,
    authority: Annotated[str | None, typer.Option(help="which one a partner is")] = None,
    partitions: Annotated[int | None, typer.Option(help="of its topics, for ever")] = None,
) -> None:
    """Write one more publisher into the registry. `broker apply` then lets it in."""
    given = {"channels": channel or None, "authority": authority, "partitions": partitions}
    known = {"name": name, "kind": kind, "unit": unit, "title": title}
    entry = known | {field: value for field, value in given.items() if value is not None}
    _said(lambda: register(file, Publisher.model_validate(entry)))
    typer.echo(f"{name} is registered")


@passwords_cli.callback()
def _passwords() -> None:
    """The broker's users' passwords."""


@passwords_cli.command()
def renew(user: str, folder: Annotated[Path, typer.Option(help="of the passwords")]) -> None:
    """Another password in the user's file. `broker apply` then lets it in by that one only."""
    if not password_file(folder, user).exists():
        _wrong(f"{user} has no password in {folder}")
        raise SystemExit(1)
    renew_password(folder, user)
    typer.echo(f"{user} has another password")


@keys_cli.callback()
def _master_key() -> None:
    """The keys that wrap all others."""


@keys_cli.command("renew")
def renew_(file: Path) -> None:
    """One more master key, with which all is wrapped from now on; the older ones stay.

    Services read it within seconds. `keys rewrap` of each service then frees the older ones.
    """
    _said(lambda: MasterKey.generate().append(file))
    typer.echo(f"{len(MasterKeys.read(file).ids)} master keys, another one is current")


@cli.callback()
def _() -> None:
    """The broker's side of the house."""


@topics_cli.command()
def create(kafka: Kafka, publishers: PublishersFile = None, replication: int = 1) -> None:
    """Create what is missing, on a broker that asks nobody's name."""
    made = asyncio.run(topics.create(kafka, publishers, replication))
    typer.echo(f"{len(made)} topics created")


@topics_cli.command("drift")
def drift_(kafka: Kafka, publishers: PublishersFile = None) -> None:
    """Name each topic that is missing or set otherwise than the registry says."""
    found = asyncio.run(topics.drift(kafka, publishers))
    for sentence in found:
        typer.echo(sentence)
    typer.echo(f"{len(found)} differences")
    raise SystemExit(1 if found else 0)


@broker_cli.command()
def apply() -> None:
    """Make users, rights and topics what the registry says; what nobody wrote down goes.

    A topic that is there is left as it is; where it differs, a table says so.
    """
    told = _told(_apply)
    for line in told:
        typer.echo(line)
    found = _told(_differences)
    if found:
        _print(found)


@broker_cli.command()
def drift() -> None:
    """Change nothing; a table of what is not as the registry says, and 1 if there is anything."""
    found = _told(_differences)
    if found:
        _print(found)
    typer.echo(f"{len(found)} differences")
    raise SystemExit(1 if found else 0)


def _apply(settings: BrokerSettings) -> list[str]:
    publishers = Publishers.read(settings.publishers_file)
    if settings.passwords is None:
        raise ValueError("PASSWORDS is not set: the users' passwords are not known")
    access = settings.access()
    broker = Broker(access)
    before = broker.differences(publishers)
    # rights before topics: a service that sees a topic of its own may read it from the start on
    broker.apply(publishers, settings.passwords)
    made = asyncio.run(topics.create(access, settings.publishers_file, settings.replication))
    return [
        *(f"mended: {one.kind}: {one.what}" for one in before),
        *(f"created: {name}" for name in made),
    ]


def _differences(settings: BrokerSettings) -> list[Difference]:
    access = settings.access()
    found = Broker(access).differences(Publishers.read(settings.publishers_file))
    sentences = topics.drift(access, settings.publishers_file, settings.replication)
    return [*found, *(Difference("topic", one) for one in asyncio.run(sentences))]


def _told(work: Callable[[BrokerSettings], T]) -> T:
    """What `work` gives; what goes wrong is a sentence, and names no secret."""
    return _said(lambda: work(BrokerSettings()))


def _said(work: Callable[[], T]) -> T:
    try:
        return work()
    except ValidationError as error:
        for found in error.errors(include_url=False, include_input=False):
            name = "_".join(str(part) for part in found["loc"])
            _wrong(f"{name}: {found['msg'].removeprefix('Value error, ')}".removeprefix(": "))
        raise SystemExit(2) from None
    except (ValueError, KeyFileError, FileNotFoundError) as error:
        _wrong(" ".join(str(error).split()))
        raise SystemExit(2) from None
    except Exception as error:
        if not passes(error):
            raise
        why = str(error) if isinstance(error, Unanswered) else type(error).__name__
        _wrong(f"the broker does not do it ({why})")
        raise SystemExit(1) from None


def _print(found: list[Difference]) -> None:
    table = Table(box=None, pad_edge=False)
    for title in ("what", "difference"):
        table.add_column(title, overflow="fold")
    for one in found:
        table.add_row(one.kind, one.what)
    console.print(table)


def _wrong(sentence: str) -> None:
    print(f"broker: {sentence}", file=sys.stderr)


if __name__ == "__main__":
    cli()
