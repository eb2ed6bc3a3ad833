"""Is a division code ours, and who owns the case there."""

import pytest

from lianhu.jurisdiction import (
    Area,
    Divisions,
    Inside,
    Kind,
    MalformedDivision,
    OutsideArea,
    UnknownDivision,
)

CITY, LUOHU, FUTIAN = "440300000000", "440303000000", "440304000000"
ZONE_COMMUNITY = "440304400498"


@pytest.fixture
def futian() -> Area:
    return Area(Divisions.shenzhen())


@pytest.mark.parametrize(
    "code",
    [
        "",
        "440304",
        "4403040000000",
        "44030400000O",
        "４４０３０４００００００",
        "44030400000４",
        "44030400000²",
        "440304000000\n",
        " 440304000000",
        "+40304000000",
    ],
)
def test_only_twelve_ascii_digits_are_a_code(futian: Area, code: str) -> None:
    located = futian.locate(code)
    assert located == MalformedDivision()
    assert located.slug == "malformed-division"


def test_what_was_written_instead_of_a_code_is_not_kept(futian: Area) -> None:
    assert "张" not in repr(futian.locate("张某家"))


def test_a_code_that_is_not_in_the_table(futian: Area) -> None:
    located = futian.locate("440304999999")
    assert located == UnknownDivision("440304999999")
    assert located.slug == "unknown-division"


def test_another_district_is_answered_with_its_name(futian: Area) -> None:
    located = futian.locate(LUOHU)
    assert isinstance(located, OutsideArea)
    assert located.slug == "outside-area"
    assert located.unit.name == "罗湖区"


def test_the_district_all_below_it_and_the_city_are_inside(futian: Area) -> None:
    below = futian.divisions.descendants(FUTIAN)
    for code in (CITY, FUTIAN, *(unit.code for unit in below)):
        assert futian.locate(code) == Inside(futian.divisions[code])
    inside = [c for c in futian.divisions if isinstance(futian.locate(c), Inside)]
    assert len(inside) == 2 + len(below)


def test_an_area_may_have_several_districts() -> None:
    area = Area(Divisions.shenzhen(), {FUTIAN, LUOHU})
    assert isinstance(area.locate(LUOHU), Inside)
    assert isinstance(area.locate("440305000000"), OutsideArea)


def test_a_case_in_a_zone_is_owned_by_the_nearest_unit_above(futian: Area) -> None:
    located = futian.locate(ZONE_COMMUNITY)
    assert isinstance(located, Inside)
    assert located.unit.kind is Kind.ZONE
    assert futian.owner(located.unit) == futian.divisions[FUTIAN]


def test_a_case_in_a_unit_is_owned_by_that_unit(futian: Area) -> None:
    street = futian.divisions.children(FUTIAN)[0]
    assert futian.owner(street) is street


@pytest.mark.parametrize(
    ("districts", "city", "fault"),
    [
        (set(), CITY, "no districts"),
        ({FUTIAN}, "999999999999", "999999999999: not in the table"),
        ({"999999999999"}, CITY, "999999999999: not in the table"),
        ({CITY}, CITY, f"{CITY}: a city, not a district"),
        ({FUTIAN}, LUOHU, f"{LUOHU}: a district, not a city"),
        ({FUTIAN}, LUOHU, f"{FUTIAN}: not a district of {LUOHU}"),
    ],
)
def test_an_area_that_does_not_exist_is_refused(districts: set[str], city: str, fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        Area(Divisions.shenzhen(), districts, city)
