"""The policy and the programmes of welfare: their figures, and the holes that stop a start."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import yaml

from lianhu.contracts import REGISTRY
from lianhu.contracts.money import Money
from lianhu.contracts.parts import Tag
from lianhu.contracts.publishers import Publishers
from lianhu.contracts.vocabulary import Category, PublisherKind, Risk
from lianhu.contracts.vocabulary import Path as CasePath
from lianhu.contracts.welfare import Applicant
from lianhu.welfare.expressions import Expression, Facts, age
from lianhu.welfare.policy import Policy
from lianhu.welfare.settings import Settings
from tests.welfare_desk import DISTRICT, POLICY, applicant, at

Written = dict[str, Any]
HOME = files("lianhu.welfare")
RELIEF = POLICY.programmes["difficulty-relief"]


def facts(who: Applicant | None = None, **more: Any) -> Facts:
    fields: dict[str, Any] = {
        "today": date(2026, 3, 2),
        "tags": frozenset(),
        "amount": None,
        "category": Category.FAMILY_DISPUTE,
        "risk": Risk.GREEN,
        "path": CasePath.MEDIATION,
        "minor": False,
        **more,
    }
    return Facts(applicant=who or applicant(tags=()), **fields)


def read(
    folder: Path,
    name: str,
    change: Callable[[Written], object],
    publishers: Publishers | None = None,
) -> Policy:
    """The shipped policy and programmes with a change in one file."""
    programmes = folder / "programmes"
    programmes.mkdir()
    for source in [HOME / "policy.yaml", *(HOME / "programmes").iterdir()]:
        written = yaml.safe_load(source.read_text(encoding="utf-8"))
        if source.name == name:
            change(written)
        place = folder if source.name == "policy.yaml" else programmes
        text = yaml.safe_dump(written, allow_unicode=True)
        (place / source.name).write_text(text, encoding="utf-8")
    return Policy.read(folder / "policy.yaml", programmes, publishers or Publishers.read())


def test_welfare_reads_what_it_acts_on() -> None:
    read = {c.name for c in REGISTRY.read_by("welfare") if c.service == "intake"}
    assert read == {
        "case-opened",
        "case-reopened",
        "case-closed",
        "report-joined",
        "erasure-asked",
        "erasure-ordered",
        "erasure-restricted",
    }


def test_the_shipped_programmes_are_of_three_kinds() -> None:
    kinds = {name: programme.kind.value for name, programme in POLICY.programmes.items()}
    assert kinds == {
        "difficulty-relief": "money",
        "four-cancer-relief": "external",
        "shelter": "service",
    }
    assert POLICY.treasuries == {DISTRICT: "treasury-futian"}


@pytest.mark.parametrize(
    ("known", "fen"),
    [
        (facts(), 300_000),
        (facts(applicant(household=4)), 400_000),
        (facts(minor=True), 500_000),
        (facts(path=CasePath.PROTECTION), 500_000),
        (
            facts(applicant(bill=Money(amount="8000.01"), tags=(Tag(name="serious-illness"),))),
            400_000,
        ),
        (
            facts(applicant(bill=Money(amount="90000")), tags=frozenset({"serious-illness"})),
            1_000_000,
        ),
        (facts(applicant(tags=(Tag(name="serious-illness"),))), 300_000),
    ],
)
def test_the_first_band_that_applies_says_how_much(known: Facts, fen: int) -> None:
    assert RELIEF.ceiling(known) == fen


@pytest.mark.parametrize(
    ("income", "tags", "refused"),
    [
        (None, {"poverty"}, []),
        ("4000", {"poverty"}, []),
        ("4000.01", {"poverty"}, ["income-too-high"]),
        (None, set(), ["not-in-difficulty"]),
        ("5000", {"migrant"}, ["not-in-difficulty", "income-too-high"]),
    ],
)
def test_every_condition_that_does_not_hold_is_named(
    income: str | None, tags: set[str], refused: list[str]
) -> None:
    who = applicant(tags=(), monthly_income=None if income is None else Money(amount=income))
    assert RELIEF.refused_as(facts(who, tags=frozenset(tags))) == refused


@pytest.mark.parametrize(
    ("born", "today", "years"),
    [
        ("2008-03-02", date(2026, 3, 2), 18),
        ("2008-03-03", date(2026, 3, 2), 17),
        ("2008-02-29", date(2026, 2, 28), 17),
        ("2008-02-29", date(2026, 3, 1), 18),
    ],
)
def test_an_age_is_in_full_years(born: str, today: date, years: int) -> None:
    assert age(born, today) == years


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("1 +", "not CEL"),
        ("applicant.income > 1.0", "fails"),  # it may be absent
        ("applicant.shoe_size > 1", "fails"),
        ("amount", "gives DoubleType, not yes or no"),
        ("nobody(1)", "fails"),
        ("applicant.age > 1.5", "fails"),
    ],
)
def test_an_expression_that_is_wrong_is_found_at_the_start(text: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence) as wrong:
        Expression.compile(text)
    assert "1990" not in str(wrong.value), "no facts in it"


def test_a_wrong_expression_stops_the_start_and_is_named(tmp_path: Path) -> None:
    def change(written: Written) -> None:
        written["eligible"][1]["when"] = "applicant.income <= 4000.0"

    with pytest.raises(ValueError, match="the programmes of welfare have holes") as hole:
        read(tmp_path, "difficulty-relief.yaml", change)
    assert "difficulty-relief.yaml: eligible.1.when" in str(hole.value)
    assert "`applicant.income <= 4000.0` fails" in str(hole.value)


@pytest.mark.parametrize(
    ("name", "change", "sentence"),
    [
        ("shelter.yaml", lambda w: w.pop("source"), "shelter.yaml: source: Field required"),
        ("shelter.yaml", lambda w: w["chain"][0].pop("source"), "chain.0.source"),
        ("shelter.yaml", lambda w: w.update(id="shelter-2"), "the file of shelter-2 is called"),
        ("shelter.yaml", lambda w: w["fund"].pop("places"), "fund.places: a service has them"),
        (
            "shelter.yaml",
            lambda w: w["fund"].update(places={"440305000000": 3}),
            f"shelter: no places for {DISTRICT}",
        ),
        ("shelter.yaml", lambda w: w["fund"].update(level="street"), "pools are those of"),
        ("shelter.yaml", lambda w: w.update(chain=[]), "chain"),
        ("four-cancer-relief.yaml", lambda w: w["chain"].reverse(), "each level stands above"),
        (
            "four-cancer-relief.yaml",
            lambda w: w["chain"][0].update(level="community"),
            "the community signs by submitting",
        ),
        ("difficulty-relief.yaml", lambda w: w.pop("fund"), "fund: money and services have one"),
        ("difficulty-relief.yaml", lambda w: w.update(bands=[]), "bands: a programme of money"),
        ("difficulty-relief.yaml", lambda w: w["bands"][3].update(amount=3000), "in yuan as text"),
        ("difficulty-relief.yaml", lambda w: w["bands"][3].update(amount="-1"), "amount"),
        ("difficulty-relief.yaml", lambda w: w["bands"][3].update(amount="0"), "above 0"),
        ("difficulty-relief.yaml", lambda w: w["notice"].update(after="city"), "notice.after"),
        ("difficulty-relief.yaml", lambda w: w.update(prize=1), "prize: Extra inputs"),
        ("policy.yaml", lambda w: w["payment"].update(items=201), "payment.items"),
        ("policy.yaml", lambda w: w["payment"].update(cut="25:00"), "payment.cut"),
        ("policy.yaml", lambda w: w["retention"].pop("source"), "retention.source"),
        ("policy.yaml", lambda w: w.pop("version"), "version: Field required"),
        ("policy.yaml", lambda w: w["area"].update(city=DISTRICT), "a district, not a city"),
        (
            "policy.yaml",
            lambda w: w["permissions"]["commands"].pop("apply"),
            "nobody may give the command apply",
        ),
        (
            "policy.yaml",
            lambda w: w["permissions"]["commands"].update({"fund-pool": ["chair"]}),
            "the row of permissions fund-pool is for no command that officers give",
        ),
    ],
)
def test_a_hole_stops_the_start_and_is_named(
    tmp_path: Path, name: str, change: Callable[[Written], object], sentence: str
) -> None:
    with pytest.raises(ValueError, match=r"ha(ve|s) holes") as hole:
        read(tmp_path, name, change)
    assert sentence in str(hole.value)


def test_a_city_without_a_treasury_does_not_start(tmp_path: Path) -> None:
    all_ = Publishers.read().publishers
    without = Publishers(
        publishers=tuple(one for one in all_ if one.kind is not PublisherKind.TREASURY)
    )
    with pytest.raises(ValueError, match=f"no treasury is registered that pays for {DISTRICT}"):
        read(tmp_path, "policy.yaml", lambda w: w, without)


def test_files_that_are_no_yaml(tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text("version: [", encoding="utf-8")
    with pytest.raises(ValueError, match="is not YAML"):
        Policy.load(Settings(policy_file=file))
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(ValueError, match="there is no programme"):
        Policy.load(Settings(programmes_folder=empty))
    (empty / "one.yaml").write_text("[", encoding="utf-8")
    with pytest.raises(ValueError, match=r"one\.yaml is not YAML"):
        Policy.load(Settings(programmes_folder=empty))


def test_a_district_adds_a_programme_without_code(tmp_path: Path) -> None:
    policy = read(tmp_path, "policy.yaml", lambda w: w)
    assert policy.programmes.keys() == POLICY.programmes.keys()
    written = yaml.safe_load((HOME / "programmes" / "shelter.yaml").read_text(encoding="utf-8"))
    written |= {"id": "legal-aid", "title": "法律援助"}
    text = yaml.safe_dump(written, allow_unicode=True)
    (tmp_path / "programmes" / "legal-aid.yaml").write_text(text, encoding="utf-8")
    again = Policy.load(Settings(programmes_folder=tmp_path / "programmes"))
    assert "legal-aid" in again.programmes


def test_the_cut_is_at_its_hour_of_a_working_day() -> None:
    assert POLICY.cut_of(date(2026, 3, 2)).at == at("2026-03-02 17:00")
    assert POLICY.cut_of(date(2026, 2, 15)).at == at("2026-02-24 17:00"), "after the festival"
    assert POLICY.cut_of(date(2090, 3, 2)).provisional
