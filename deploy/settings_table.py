"""`docs/settings.md`: every setting of every service in one table, out of the settings' classes.

`python -m deploy.settings_table write` brings it up to date, `check` fails while it is not.
"""

from __future__ import annotations

import ast
import inspect
import sys
import textwrap
from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any, get_args, get_origin

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined
from pydantic_settings import BaseSettings

from deploy.embedded.services import ROOT
from lianhu.eventing.settings import BrokerSettings, EngineSettings
from lianhu.intake.settings import Settings as Intake
from lianhu.mediation.settings import Settings as Mediation
from lianhu.notify.settings import Settings as Notify
from lianhu.welfare.settings import Settings as Welfare

FILE = ROOT / "docs" / "settings.md"
SERVICES: Mapping[str, type[BaseSettings]] = {
    "intake": Intake,
    "mediation": Mediation,
    "welfare": Welfare,
    "notify": Notify,
}
_HEAD = """\
# Settings

Every setting of every service, by environment. Written by `make settings`; changes made here are lost.

A setting's variable is a prefix and its name: `LIANHU_MEDIATION_KAFKA` for mediation. Without one the default stands; **required** where nothing works without it. A setting that ends in `_FILE` and names a secret is to be preferred to the value itself. A value that makes no sense stops the start with a sentence that does not show it. `LIANHU_BROKER_…` is read by the job that makes users, rights and topics.
"""  # noqa: E501 - prose
_NEEDED = {"database_url", "master_key_file"}
"""What has no default and yet None as its value, since some commands do without it."""


def rows() -> list[tuple[str, str, str, str]]:
    """Name, whose it is, default, and what it means; the common ones first."""
    found = []
    owners: dict[str, type[BaseSettings]] = {"": EngineSettings}
    owners |= SERVICES
    owners["broker"] = BrokerSettings
    for owner, model in owners.items():
        told = docstrings(model)
        for name, field in model.model_fields.items():
            own = name not in EngineSettings.model_fields
            changed = not own and str(field) != str(EngineSettings.model_fields[name])
            if owner == "" or own or changed:
                whose = _whose(name) if owner == "" else owner
                found.append((name.upper(), whose, _default(name, field), _said(field, told[name])))
    return found


def docstrings(model: type[BaseSettings]) -> dict[str, str]:
    """What stands under each field, of the class itself and of those it is made from."""
    found: dict[str, str] = dict.fromkeys(model.model_fields, "")
    for base in reversed(model.__mro__):
        if not issubclass(base, BaseSettings) or base is BaseSettings:
            continue
        (body,) = ast.parse(textwrap.dedent(inspect.getsource(base))).body
        assert isinstance(body, ast.ClassDef)
        for one, after in zip(body.body, [*body.body[1:], ast.Pass()], strict=True):
            if isinstance(one, ast.AnnAssign) and isinstance(one.target, ast.Name):
                match after:
                    case ast.Expr(value=ast.Constant(value=str(text))):
                        found[one.target.id] = " ".join(text.split())
    return found


def table() -> str:
    """The whole file."""
    lines = ["| setting | whose | default | what |", "|---|---|---|---|"]
    lines += [
        f"| `{name}` | {whose} | {default} | {what} |" for name, whose, default, what in rows()
    ]
    return _HEAD + "\n" + "\n".join(lines) + "\n"


def main(arguments: Sequence[str]) -> int:
    """0 when the file is as it should be."""
    match [*arguments]:
        case ["write"]:
            FILE.write_text(table(), encoding="utf-8")
            return 0
        case ["check"]:
            if FILE.exists() and FILE.read_text(encoding="utf-8") == table():
                return 0
            print("docs/settings.md is not as the settings are: `make settings`.", file=sys.stderr)
            return 1
        case _:
            print(__doc__, file=sys.stderr)
            return 2


def _whose(name: str) -> str:
    return "all, broker" if name in BrokerSettings.model_fields else "all"


def _default(name: str, field: FieldInfo) -> str:
    if name in _NEEDED or field.default is PydanticUndefined:
        return "**required**"
    match field.default:
        case None | "":
            return "–"
        case bool(value):
            return f"`{str(value).lower()}`"
        case StrEnum() | Path() | str() as value:
            return f"`{value}`"
        case value:
            return f"`{value}`"


def _said(field: FieldInfo, text: str) -> str:
    words = _words(field.annotation)
    among = f" One of {', '.join(f'`{word}`' for word in words)}." if words else ""
    return (text + among).replace("|", "\\|").strip()


def _words(annotation: Any) -> list[str]:
    """The words that it may be, where these are few."""
    if isinstance(annotation, type) and issubclass(annotation, StrEnum):
        return [member.value for member in annotation]
    if get_origin(annotation) is not None:
        return [word for word in get_args(annotation) if isinstance(word, str)]
    return []


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
