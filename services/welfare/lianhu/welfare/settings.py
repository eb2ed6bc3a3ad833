"""What welfare is told by its environment, with the prefix `LIANHU_WELFARE_`."""

from __future__ import annotations

from pathlib import Path

from pydantic import FilePath
from pydantic_settings import SettingsConfigDict

from lianhu.eventing.settings import EngineSettings


class Settings(EngineSettings):
    """The engine's settings and where a district's own policy and programmes lie."""

    model_config = SettingsConfigDict(env_prefix="LIANHU_WELFARE_")

    policy_file: FilePath | None = None
    """A policy.yaml instead of the one that is shipped."""
    programmes_folder: Path | None = None
    """A folder of programmes instead of those that are shipped."""
