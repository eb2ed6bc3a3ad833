"""Mediation put together: one value that the engine runs."""

from importlib.resources import files

from lianhu.eventing.rules import Rank
from lianhu.eventing.service import Service
from lianhu.mediation import workflow
from lianhu.mediation.measures import MediationMeasures
from lianhu.mediation.policy import Policy
from lianhu.mediation.settings import Settings
from lianhu.mediation.workflow import CaseState

service = Service(
    name="mediation",
    settings=Settings,
    workflow=workflow,
    states={Rank.CASE: CaseState},
    policy=Policy.load,
    migrations=files("lianhu.mediation") / "migrations",
    measures=MediationMeasures,
)
