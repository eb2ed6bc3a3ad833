"""May this post give this command for that unit's case."""

import pytest
from pydantic import ValidationError

from lianhu.jurisdiction import DenialSlug, Divisions, Permissions, Post, may

SHENZHEN = Divisions.shenzhen()
CITY, LUOHU, FUTIAN = "440300000000", "440303000000", "440304000000"
STREET, OTHER_STREET = (unit.code for unit in SHENZHEN.children(FUTIAN)[:2])
COMMUNITY = SHENZHEN.children(STREET)[0].code

PERMISSIONS = Permissions.model_validate(
    {
        "source": "[P] district policy",
        "commands": {"accept-case": ["duty-officer", "chair"], "pay": ["finance"]},
    }
)


def ask(
    post: Post = Post.CHAIR,
    acting: str = COMMUNITY,
    command: str = "accept-case",
    owning: str = COMMUNITY,
) -> DenialSlug | None:
    denial = may(
        PERMISSIONS,
        SHENZHEN,
        post=post,
        acting_unit=acting,
        command=command,
        owning_unit=owning,
    )
    return None if denial is None else denial.slug


@pytest.mark.parametrize("acting", [COMMUNITY, STREET, FUTIAN, CITY])
def test_the_owner_and_every_unit_above_it_may_act(acting: str) -> None:
    assert ask(acting=acting) is None


def test_a_unit_below_beside_or_in_another_branch_may_not() -> None:
    assert ask(acting=COMMUNITY, owning=STREET) is DenialSlug.WRONG_UNIT
    assert ask(acting=OTHER_STREET, owning=COMMUNITY) is DenialSlug.WRONG_UNIT
    assert ask(acting=LUOHU, owning=COMMUNITY) is DenialSlug.WRONG_UNIT


def test_only_the_posts_of_the_policy_may_give_a_command() -> None:
    allowed = {post for post in Post if ask(post=post) is None}
    assert allowed == {Post.CHAIR, Post.DUTY_OFFICER}
    assert ask(post=Post.FINANCE) is DenialSlug.POST_MAY_NOT
    assert ask(post=Post.FINANCE, command="pay") is None


def test_a_command_the_policy_does_not_list_is_for_nobody() -> None:
    denial = may(
        PERMISSIONS,
        SHENZHEN,
        post=Post.CHAIR,
        acting_unit=CITY,
        command="给某某打电话",
        owning_unit=CITY,
    )
    assert denial is not None
    assert denial.slug == "unknown-command"
    assert "某" not in denial.detail


def test_units_that_are_not_in_the_table() -> None:
    assert ask(acting="999999999999") is DenialSlug.UNKNOWN_UNIT
    assert ask(owning="999999999999") is DenialSlug.UNKNOWN_UNIT
    assert ask(acting="999999999999", owning="999999999999") is DenialSlug.UNKNOWN_UNIT


@pytest.mark.parametrize(
    "policy",
    [
        {"commands": {"pay": ["finance"]}},
        {"source": " ", "commands": {"pay": ["finance"]}},
        {"source": "[P]", "commands": {}},
        {"source": "[P]", "commands": {"pay": []}},
        {"source": "[P]", "commands": {"pay": ["treasurer"]}},
        {"source": "[P]", "commands": {"Pay out": ["finance"]}},
        {"source": "[P]", "commands": {"pay": ["finance"]}, "posts": []},
    ],
)
def test_a_policy_that_cannot_be_meant_is_refused(policy: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Permissions.model_validate(policy)
