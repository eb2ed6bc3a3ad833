"""The table of divisions: Shenzhen as it is, and the tables that are refused."""

from collections import Counter
from pathlib import Path

import pytest

from lianhu.jurisdiction import Divisions, InvalidDivisions, Kind, Level, Unit

CITY, FUTIAN = "440300000000", "440304000000"
HEADER = "code,name,level,parent,kind\n"


def unit(code: str, level: Level, parent: str | None, kind: Kind = Kind.UNIT) -> Unit:
    return Unit(code, f"单位{code}", level, parent, kind)


@pytest.fixture
def shenzhen() -> Divisions:
    return Divisions.shenzhen()


def test_shenzhen_has_the_units_of_2023(shenzhen: Divisions) -> None:
    levels = Counter((u.level, u.kind) for u in shenzhen.values())
    assert levels == {
        (Level.CITY, Kind.UNIT): 1,
        (Level.DISTRICT, Kind.UNIT): 9,
        (Level.STREET, Kind.UNIT): 74,
        (Level.STREET, Kind.ZONE): 5,
        (Level.COMMUNITY, Kind.UNIT): 783,
        (Level.COMMUNITY, Kind.ZONE): 5,
    }


def test_futian_is_ten_streets_and_ninety_two_communities(shenzhen: Divisions) -> None:
    proper = [u for u in shenzhen.descendants(FUTIAN) if u.kind is Kind.UNIT]
    assert Counter(u.level for u in proper) == {Level.STREET: 10, Level.COMMUNITY: 92}


def test_the_table_is_read_once() -> None:
    assert Divisions.shenzhen() is Divisions.shenzhen()


def test_a_community_climbs_street_district_city(shenzhen: Divisions) -> None:
    community = shenzhen.children(shenzhen.children(FUTIAN)[0].code)[0]
    branch = shenzhen.branch(community.code)
    assert [u.level for u in branch] == list(Level)
    assert branch[0] is community
    assert [u.code for u in branch[2:]] == [FUTIAN, CITY]
    assert shenzhen.at_level(community.code, Level.DISTRICT) == shenzhen[FUTIAN]
    assert shenzhen.at_level(CITY, Level.STREET) is None


def test_above_is_strict_and_within_one_branch(shenzhen: Divisions) -> None:
    street, other_street = (s.code for s in shenzhen.children(FUTIAN)[:2])
    community = shenzhen.children(street)[0].code
    assert shenzhen.is_above(CITY, community)
    assert shenzhen.is_above(street, community)
    assert not shenzhen.is_above(community, street)
    assert not shenzhen.is_above(street, street)
    assert not shenzhen.is_above(other_street, community)
    assert not shenzhen.is_above(CITY, "999999999999")


def test_an_unknown_code_is_none_or_a_key_error(shenzhen: Divisions) -> None:
    assert shenzhen.get("999999999999") is None
    with pytest.raises(KeyError):
        shenzhen.branch("999999999999")


def test_a_parent_is_data_never_a_prefix() -> None:
    """大鹏's streets once hung under another district's number; here nothing matches at all."""
    divisions = Divisions(
        [
            unit("111111111111", Level.COMMUNITY, "999900000000"),
            unit("440304001000", Level.STREET, "555500000000"),
            unit("999900000000", Level.STREET, FUTIAN),
            unit("555500000000", Level.DISTRICT, "777700000000"),
            unit(FUTIAN, Level.DISTRICT, "777700000000"),
            unit("777700000000", Level.CITY, None),
        ]
    )
    assert divisions.parent("111111111111") == divisions["999900000000"]
    assert divisions.is_above(FUTIAN, "111111111111")
    assert not divisions.is_above(FUTIAN, "440304001000"), "the digits say Futian, the data do not"
    assert [u.code for u in divisions.descendants(FUTIAN)] == ["999900000000", "111111111111"]


def test_a_level_may_be_missing_in_a_branch() -> None:
    """A city without districts (不设区的市) has its streets directly below."""
    divisions = Divisions([unit(CITY, Level.CITY, None), unit("440300001000", Level.STREET, CITY)])
    assert divisions.at_level("440300001000", Level.DISTRICT) is None
    assert divisions.parent("440300001000") == divisions[CITY]


@pytest.mark.parametrize(
    ("units", "fault"),
    [
        ([], "the table is empty"),
        ([unit("44030", Level.CITY, None)], "44030: a code is 12 digits"),
        ([Unit(CITY, "", Level.CITY, None)], f"{CITY}: no name"),
        ([unit(CITY, Level.CITY, None, Kind.ZONE)], f"{CITY}: a city cannot be a zone"),
        ([unit(CITY, Level.CITY, None)] * 2, f"{CITY}: listed 2 times"),
        ([unit(FUTIAN, Level.DISTRICT, None)], f"{FUTIAN}: a district without a parent"),
        ([unit(FUTIAN, Level.DISTRICT, CITY)], f"{FUTIAN}: unknown parent {CITY}"),
        (
            [unit(CITY, Level.CITY, None), unit("440399000000", Level.CITY, CITY)],
            f"440399000000: a city cannot lie under the city {CITY}",
        ),
    ],
)
def test_a_table_that_contradicts_itself_is_refused(units: list[Unit], fault: str) -> None:
    with pytest.raises(InvalidDivisions) as refused:
        Divisions(units)
    assert fault in refused.value.faults


def test_a_ring_of_parents_is_named() -> None:
    ring = [
        unit("000000000001", Level.STREET, "000000000002"),
        unit("000000000002", Level.DISTRICT, "000000000001"),
    ]
    with pytest.raises(InvalidDivisions, match="000000000001 → 000000000002 → 000000000001"):
        Divisions(ring)


def test_every_fault_of_a_file_is_named_at_once(tmp_path: Path) -> None:
    file = tmp_path / "divisions.csv"
    file.write_text(
        HEADER
        + f"{CITY},深圳市,city,,unit\n"
        + f"{FUTIAN},福田区,province,{CITY},unit\n"
        + f"440304001000,园岭街道,street,{FUTIAN},unit\n"
        + "440304002000,南园街道,street\n"
        + "440304003000,福保街道,street,123456789012,unit\n",
        encoding="utf-8",
    )
    with pytest.raises(InvalidDivisions) as refused:
        Divisions.read(file)
    assert refused.value.faults == (
        "line 3: 'province' is not a valid Level",
        "line 5: 3 columns instead of 5",
        "440304003000: unknown parent 123456789012",
    )


def test_a_file_with_other_columns_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "divisions.csv"
    file.write_text("code,name\n", encoding="utf-8")
    with pytest.raises(InvalidDivisions, match="line 1: the columns must be code,name,level"):
        Divisions.read(file)


def test_levels_are_ordered_from_community_to_city() -> None:
    assert [level.above for level in Level] == [Level.STREET, Level.DISTRICT, Level.CITY, None]
    assert sorted(Level, key=lambda level: level.rank) == list(Level)
    assert Level.CITY.is_above(Level.STREET)
    assert not Level.STREET.is_above(Level.STREET)
    assert not Level.COMMUNITY.is_above(Level.STREET)
