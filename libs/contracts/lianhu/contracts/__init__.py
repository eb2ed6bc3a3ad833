"""Every event, command and answer of Lianhu, and the registry that ties type, model and topic."""

from lianhu.contracts import intake, mediation, notify, payments, welfare
from lianhu.contracts.registry import REGISTRY, SERVICES, Contract, Kind

__all__ = [
    "REGISTRY",
    "SERVICES",
    "Contract",
    "Kind",
    "intake",
    "mediation",
    "notify",
    "payments",
    "welfare",
]
