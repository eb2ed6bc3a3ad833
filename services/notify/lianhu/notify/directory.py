"""The units' duty contacts 值班联系方式: where red risk goes besides the unit's screen."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from lianhu.contracts.base import DivisionCode
from lianhu.contracts.parts import Email, Phone
from lianhu.contracts.vocabulary import NoticeChannel


class DutyContact(BaseModel):
    """How the officer on duty of one unit is reached. Never shown."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    phone: Phone | None = Field(default=None, repr=False)
    email: Email | None = Field(default=None, repr=False)

    def address(self, channel: NoticeChannel) -> str | None:
        """Where this channel goes; None where it does not."""
        return {NoticeChannel.SMS: self.phone, NoticeChannel.EMAIL: self.email}.get(channel)


class Directory(BaseModel):
    """The duty contacts by unit; a unit that is not here has its screen only."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    units: Mapping[DivisionCode, DutyContact] = {}

    @classmethod
    def read(cls, file: Path | None) -> Directory:
        """From the file that the settings name, or the shipped one, which is empty.

        Raises ValueError that names the place of a fault and never a value.
        """
        source = file if file is not None else files("lianhu.notify") / "directory.yaml"
        try:
            return cls.model_validate(yaml.safe_load(source.read_text(encoding="utf-8")) or {})
        except yaml.YAMLError:
            raise ValueError("the directory of duty contacts is not YAML") from None
        except ValidationError as fault:
            places = sorted(".".join(str(p) for p in e["loc"]) for e in fault.errors())
            raise ValueError(
                f"the directory of duty contacts is wrong at {', '.join(places)}"
            ) from None

    def address(self, unit: str, channel: NoticeChannel) -> str | None:
        """Where this channel goes for a unit; None where it does not."""
        contact = self.units.get(unit)
        return None if contact is None else contact.address(channel)
