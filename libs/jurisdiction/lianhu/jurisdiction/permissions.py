"""Whether a post may give a command for a unit's case."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from lianhu.jurisdiction.units import Divisions


class Post(StrEnum):
    """The posts 岗位 of a unit.

    chair 主席 · duty-officer 值班 · mediator 家事调解员 · investigator 家事调查员 ·
    social-worker 社工 · reviewer 审核 · approver 审批 · finance 财务; at districts also
    counsellor 心理咨询师 · family-education-guide 家庭教育指导师 · lawyer 家事律师.
    """

    CHAIR = "chair"
    DUTY_OFFICER = "duty-officer"
    MEDIATOR = "mediator"
    INVESTIGATOR = "investigator"
    SOCIAL_WORKER = "social-worker"
    REVIEWER = "reviewer"
    APPROVER = "approver"
    FINANCE = "finance"
    COUNSELLOR = "counsellor"
    FAMILY_EDUCATION_GUIDE = "family-education-guide"
    LAWYER = "lawyer"


CommandName = Annotated[str, StringConstraints(pattern=r"\A[a-z0-9]+(-[a-z0-9]+)*\z")]
Posts = Annotated[frozenset[Post], Field(min_length=1)]


class Permissions(BaseModel):
    """The policy's table: command → the posts that may give it, and where the rule is from.

    A command that is not listed may be given by nobody.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
    commands: Annotated[Mapping[CommandName, Posts], Field(min_length=1)]


class DenialSlug(StrEnum):
    """Why a command was denied; stable."""

    UNKNOWN_COMMAND = "unknown-command"
    POST_MAY_NOT = "post-may-not"
    UNKNOWN_UNIT = "unknown-unit"
    WRONG_UNIT = "wrong-unit"


@dataclass(frozen=True, slots=True)
class Denial:
    """A "no" with its stable slug and a sentence for the person who asked."""

    slug: DenialSlug
    detail: str


def may(
    permissions: Permissions,
    divisions: Divisions,
    *,
    post: Post,
    acting_unit: str,
    command: str,
    owning_unit: str,
) -> Denial | None:
    """None if the post may give the command for a case of `owning_unit`, else the first denial.

    May act: posts of the owning unit, and of the units above it in the same branch. Units are
    division codes. Asked in the order of `DenialSlug`.
    """
    posts = permissions.commands.get(command)
    if posts is None:
        # The name came from outside and is not repeated.
        return Denial(DenialSlug.UNKNOWN_COMMAND, "the policy lists no such command")
    if post not in posts:
        return Denial(DenialSlug.POST_MAY_NOT, f"{post} may not give {command}")
    if acting_unit not in divisions:
        return Denial(DenialSlug.UNKNOWN_UNIT, "the acting unit is not in the table of divisions")
    if owning_unit not in divisions:
        return Denial(DenialSlug.UNKNOWN_UNIT, "the owning unit is not in the table of divisions")
    if acting_unit != owning_unit and not divisions.is_above(acting_unit, owning_unit):
        return Denial(
            DenialSlug.WRONG_UNIT,
            f"{acting_unit} neither owns the case nor stands above {owning_unit}",
        )
    return None


def objections(
    permissions: Permissions,
    divisions: Divisions,
    *,
    post: Post,
    acting_unit: str,
    command: str,
    owning_unit: str,
    system_unit: str | None,
) -> Iterator[tuple[str, str]]:
    """Everything that stands against an officer's command, as `post` or `unit` and a slug.

    `system_unit` is the unit of the system that speaks for the officer, which speaks for its own
    branch only; None: nobody does.
    """

    def denied(with_post: Post) -> Denial | None:
        return may(
            permissions,
            divisions,
            post=with_post,
            acting_unit=acting_unit,
            command=command,
            owning_unit=owning_unit,
        )

    denial = denied(post)
    if denial is not None and denial.slug is DenialSlug.POST_MAY_NOT:
        yield "post", denial.slug
        # asked once more with a post that may, so that a wrong unit is told in the same answer
        denial = denied(next(iter(permissions.commands[command])))
    if denial is not None:
        yield "unit", denial.slug
    of_its_branch = acting_unit == system_unit or (
        system_unit is not None and divisions.is_above(system_unit, acting_unit)
    )
    if system_unit is None or (acting_unit in divisions and not of_its_branch):
        yield "unit", "unit-not-of-publisher"
