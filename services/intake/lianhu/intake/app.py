"""Intake put together: one value that the engine runs."""

from importlib.resources import files

from lianhu.eventing.rules import Rank
from lianhu.eventing.service import Service
from lianhu.intake import workflow
from lianhu.intake.policy import Policy
from lianhu.intake.settings import Settings
from lianhu.intake.state import CaseState, PersonState

service = Service(
    name="intake",
    settings=Settings,
    workflow=workflow,
    states={Rank.CASE: CaseState, Rank.PERSON: PersonState},
    policy=Policy.load,
    migrations=files("lianhu.intake") / "migrations",
)
