"""What holds for every unit of any table of divisions."""

from hypothesis import given
from hypothesis import strategies as st

from lianhu.jurisdiction import (
    Area,
    Divisions,
    Inside,
    Kind,
    Level,
    MalformedDivision,
    Permissions,
    Post,
    Unit,
    may,
)

SHENZHEN = Divisions.shenzhen()
FUTIAN = Area(SHENZHEN)
A_DISTRICT = "999999999999"  # a code that `tables` never draws
codes = st.sampled_from(sorted(SHENZHEN))
PERMISSIONS = Permissions(source="[P]", commands={"accept-case": frozenset({Post.CHAIR})})


@st.composite
def tables(draw: st.DrawFn) -> list[Unit]:
    """A valid table whose codes are drawn at random, so that digits say nothing."""
    drawn = draw(
        st.lists(
            st.integers(0, 10**12 - 2).map("{:012d}".format), min_size=1, max_size=30, unique=True
        )
    )
    units = [Unit(drawn[0], "市", Level.CITY, None)]
    for code in drawn[1:]:
        parent = draw(st.sampled_from([u for u in units if u.level is not Level.COMMUNITY]))
        level = draw(st.sampled_from([lv for lv in Level if parent.level.is_above(lv)]))
        units.append(Unit(code, "名", level, parent.code, draw(st.sampled_from(Kind))))
    return draw(st.permutations(units))


@given(tables())
def test_parents_children_and_branches_tell_the_same_tree(units: list[Unit]) -> None:
    divisions = Divisions(units)
    for unit in units:
        assert all(divisions.parent(c.code) == unit for c in divisions.children(unit.code))
        assert {d.code for d in divisions.descendants(unit.code)} == {
            code for code in divisions if divisions.is_above(unit.code, code)
        }
        ranks = [u.level.rank for u in divisions.branch(unit.code)]
        assert ranks == sorted(set(ranks))
        assert divisions.branch(unit.code)[-1].level is Level.CITY


@given(tables())
def test_the_owner_is_a_unit_of_the_branch_with_only_zones_below_it(units: list[Unit]) -> None:
    city = next(unit.code for unit in units if unit.level is Level.CITY)
    divisions = Divisions([*units, Unit(A_DISTRICT, "区", Level.DISTRICT, city)])
    area = Area(divisions, {A_DISTRICT}, city)
    for unit in units:
        owner = area.owner(unit)
        branch = divisions.branch(unit.code)
        assert owner.kind is Kind.UNIT
        assert all(u.kind is Kind.ZONE for u in branch[: branch.index(owner)])


@given(codes, codes)
def test_acting_is_for_the_owner_and_its_branch_upwards(acting: str, owning: str) -> None:
    denial = may(
        PERMISSIONS,
        SHENZHEN,
        post=Post.CHAIR,
        acting_unit=acting,
        command="accept-case",
        owning_unit=owning,
    )
    in_branch = acting in {unit.code for unit in SHENZHEN.branch(owning)}
    assert (denial is None) == in_branch


@given(
    st.text(st.characters(categories=["Nd"]), min_size=12, max_size=12).filter(
        lambda digits: not digits.isascii()
    )
)
def test_digits_of_other_scripts_are_malformed(code: str) -> None:
    assert FUTIAN.locate(code) == MalformedDivision()


@given(st.text() | codes)
def test_locating_never_raises_and_only_the_table_is_inside(text: str) -> None:
    located = FUTIAN.locate(text)
    if isinstance(located, Inside):
        assert located.unit == SHENZHEN[text]
