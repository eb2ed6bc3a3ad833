"""What mediation is told by its environment, with the prefix `LIANHU_MEDIATION_`."""

from __future__ import annotations

from pydantic import FilePath
from pydantic_settings import SettingsConfigDict

from lianhu.eventing.settings import EngineSettings


class Settings(EngineSettings):
    """The engine's settings and where a city's own policy lies."""

    model_config = SettingsConfigDict(env_prefix="LIANHU_MEDIATION_")

    policy_file: FilePath | None = None
    """A policy.yaml instead of the one that is shipped."""
