"""The shipped policy has no hole, and each sort of hole stops the start with a sentence."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import yaml

from lianhu.contracts import REGISTRY, Kind
from lianhu.contracts.vocabulary import AudienceRole, NoticeChannel
from lianhu.notify.digests import PERSONS
from lianhu.notify.entries import Told, ToldPerson
from lianhu.notify.facts import tells
from lianhu.notify.policy import Policy
from lianhu.notify.settings import Settings

SHIPPED = Path(str(files("lianhu.notify")))
OFFERED = "lianhu.mediation.case-offered.v1"


class House:
    """A copy of the shipped policy and texts, to be broken."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "policy.yaml"
        self.templates = folder / "templates"
        shutil.copy(SHIPPED / "policy.yaml", self.file)
        shutil.copytree(SHIPPED / "templates", self.templates)

    def change(self, change: Callable[[dict[str, Any]], object]) -> None:
        written = yaml.safe_load(self.file.read_text(encoding="utf-8"))
        change(written)
        self.file.write_text(yaml.safe_dump(written, allow_unicode=True), encoding="utf-8")

    def write(self, template: str, text: str) -> None:
        (self.templates / template).write_text(text, encoding="utf-8")

    def load(self) -> Policy:
        return Policy.load(Settings(policy_file=self.file, templates_folder=self.templates))

    def hole(self) -> str:
        """The sentence with which the start is refused."""
        with pytest.raises(ValueError, match=r"notify|words|txt") as refused:
            self.load()
        assert refused.type is ValueError
        return str(refused.value)


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def test_the_shipped_policy_has_no_hole(house: House) -> None:
    assert house.load().version == Policy.load(Settings()).version


def test_every_event_that_notify_reads_or_that_names_an_audience_has_a_rule() -> None:
    others = {c for c in REGISTRY if c.kind is Kind.EVENT and c.service != "notify"}
    concerned = {c.type for c in others if "notify" in c.consumers or tells(c.model)}
    assert Policy.load(Settings()).rules.keys() == concerned


def test_every_event_that_notify_reads_names_every_role_or_says_why_it_is_silent() -> None:
    rules = Policy.load(Settings()).rules
    for contract in REGISTRY.read_by("notify"):
        rule = rules[contract.type]
        assert rule.silent or (rule.tell is not None and set(rule.tell) == set(AudienceRole))


def test_whoever_is_concerned_has_neutral_words_wherever_they_are_told_and_the_other_never() -> (
    None
):
    told = 0
    for rule in Policy.load(Settings()).rules.values():
        for role, entry in (rule.tell or {}).items():
            assert not (role in PERSONS and isinstance(entry, Told))
            if isinstance(entry, ToldPerson):
                told += 1
                assert (entry.neutral is None) == (role is AudienceRole.OTHER_PARTY)
    assert told


def test_the_first_attempt_counts_among_those_that_the_policy_allows() -> None:
    channel = Policy.load(Settings()).channels[NoticeChannel.IN_APP]
    assert channel.attempts == len(channel.retry_after) + 1


def test_an_event_without_a_rule(house: House) -> None:
    house.change(lambda policy: policy["rules"].pop(OFFERED))
    assert f"the event {OFFERED} has no rule" in house.hole()


def test_a_rule_for_an_event_that_nobody_publishes(house: House) -> None:
    house.change(
        lambda policy: policy["rules"].update({"lianhu.intake.gone.v1": {"silent": "gone"}})
    )
    assert "the rule lianhu.intake.gone.v1 is for no event" in house.hole()


def test_a_rule_for_an_event_of_notify_itself(house: House) -> None:
    own = "lianhu.notify.notice-delivered.v1"
    house.change(lambda policy: policy["rules"].update({own: {"silent": "ours"}}))
    assert f"the rule {own} is for no event that another service publishes" in house.hole()


def test_a_rule_for_an_event_that_notify_does_not_read(house: House) -> None:
    receipt = "lianhu.intake.report-accepted.v1"

    def tell(policy: dict[str, Any]) -> None:
        policy["rules"][receipt] = policy["rules"][OFFERED]

    house.change(tell)
    hole = house.hole()
    assert f"the rule {receipt} is never used: notify does not read that event" in hole
    assert f"the event {receipt} names no audience" in hole


def test_a_role_without_an_entry(house: House) -> None:
    house.change(lambda policy: policy["rules"][OFFERED]["tell"].pop("unit-left"))
    assert f"the rule {OFFERED} has no entry for unit-left" in house.hole()


def test_a_role_that_nobody_has(house: House) -> None:
    house.change(
        lambda policy: policy["rules"][OFFERED]["tell"].update({"mayor": {"silent": "no"}})
    )
    assert "mayor" in house.hole()


ACCEPTED = "lianhu.mediation.case-accepted.v1"


def telling(role: str, entry: dict[str, Any]) -> Callable[[dict[str, Any]], object]:
    """The change by which this role hears of an acceptance so."""
    return lambda policy: policy["rules"][ACCEPTED]["tell"].update({role: entry})


@pytest.mark.parametrize(
    ("role", "entry", "hole"),
    [
        (
            "person-concerned",
            {"template": "case-accepted", "channels": ["in-app"]},
            "tells a person as if they were a unit",
        ),
        (
            "owning-unit",
            {"person": "person/case-accepted", "neutral": "neutral/news"},
            "tells a unit as if it were a person",
        ),
        (
            "owning-unit",
            {"template": "person/case-accepted", "channels": ["in-app"]},
            "the template person/case-accepted is for people",
        ),
        (
            "person-concerned",
            {"person": "case-accepted", "neutral": "neutral/news"},
            "the template case-accepted does not stand in person/",
        ),
        (
            "person-concerned",
            {"person": "person/case-accepted", "neutral": "person/case-accepted"},
            "the template person/case-accepted does not stand in neutral/",
        ),
        (
            "person-concerned",
            {"person": "person/case-accepted"},
            "it has no neutral template for the protection path",
        ),
        (
            "person-concerned",
            {"person": "person/case-accepted", "neutral": "neutral/hush"},
            "the template neutral/hush is missing in zh-Hant",
        ),
        (
            "other-party",
            {"person": "person/invited", "neutral": "neutral/news"},
            "the other party is told nothing on the protection path",
        ),
        (
            "other-party",
            {"person": "person/invited", "reach": ["mediation"]},
            "the other party is told nothing on the protection path, and never visited",
        ),
        (
            "owning-unit",
            {"template": "case-accepted", "channels": ["in-app"], "digest": True},
            "this event waits for no digest",
        ),
    ],
)
def test_an_entry_that_tells_the_wrong_ones_or_in_the_wrong_words(
    house: House, role: str, entry: dict[str, Any], hole: str
) -> None:
    house.change(telling(role, entry))
    sentence = house.hole()
    assert f"the rule {ACCEPTED} for {role}" in sentence
    assert hole in sentence


def test_a_channel_that_is_named_twice(house: House) -> None:
    twice = {"template": "case-accepted", "channels": ["in-app", "in-app"]}
    house.change(telling("owning-unit", twice))
    assert "owning-unit.template.channels: Value error, a channel is named twice" in house.hole()


def test_a_neutral_text_that_names_a_fact(house: House) -> None:
    for language in ("zh-CN", "zh-Hant", "en"):
        house.write(f"{language}/neutral/news.txt", "A note\nSomething new in {{ case }}.\n")
    assert "the neutral template neutral/news names case" in house.hole()


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("zh-CN", "妇联请您回电"),
        ("zh-Hant", "婦聯請您回電"),
        ("en", "The Women's Federation called"),
    ],
)
def test_a_neutral_text_that_gives_away_who_writes(house: House, language: str, text: str) -> None:
    house.write(f"{language}/neutral/news.txt", f"A note\n{text}.\n")
    assert f"the neutral template {language}/neutral/news says" in house.hole()


def test_a_person_s_text_that_is_missing_in_traditional_characters(house: House) -> None:
    (house.templates / "zh-Hant/person/invited.txt").unlink()
    assert "the template person/invited is missing in zh-Hant" in house.hole()


@pytest.mark.parametrize("what", ["visit", "digest"])
def test_a_visit_or_a_digest_whose_text_names_what_nobody_gives_it(house: House, what: str) -> None:
    house.change(lambda policy: policy[what].update({"template": "case-offered"}))
    hole = house.hole()
    assert f"the {what}: the template case-offered names" in hole


@pytest.mark.parametrize("what", ["quiet", "neutral", "visit", "digest", "cards", "notices"])
def test_a_policy_that_lacks_a_part(house: House, what: str) -> None:
    house.change(lambda policy: policy.pop(what))
    assert f"{what}: Field required" in house.hole()


@pytest.mark.parametrize(
    ("rule", "hole"),
    [
        ({}, "a rule says either tell or silent"),
        ({"silent": "quiet", "tell": {}}, "a rule says either tell or silent"),
        ({"tell": {"owning-unit": {}}}, "an entry says template, person, suppressed or silent"),
        ({"tell": {"owning-unit": {"template": "case-offered"}}}, "channels: Field required"),
        ({"tell": {"owning-unit": {"template": "a", "channels": []}}}, "at least 1 item"),
        ({"tell": {"owning-unit": {"template": "a", "channels": ["fax"]}}}, "in-app"),
        ({"tell": {"owning-unit": {"silent": "no", "loud": "yes"}}}, "loud"),
    ],
)
def test_a_rule_that_says_too_little_or_too_much(
    house: House, rule: dict[str, Any], hole: str
) -> None:
    house.change(lambda policy: policy["rules"].update({OFFERED: rule}))
    sentence = house.hole()
    assert OFFERED in sentence
    assert hole in sentence


def test_a_channel_without_an_entry(house: House) -> None:
    house.change(lambda policy: policy.update({"channels": {}}))
    assert "the channel in-app has no entry" in house.hole()


@pytest.mark.parametrize(
    ("figure", "value"), [("answer_within", "PT0S"), ("retry_after", ["-PT1S"]), ("source", "")]
)
def test_a_figure_that_makes_no_sense(house: House, figure: str, value: object) -> None:
    house.change(lambda policy: policy["channels"]["in-app"].update({figure: value}))
    assert f"channels.in-app.{figure}" in house.hole()


def test_a_policy_that_cannot_be_read(house: House) -> None:
    house.file.write_text("rules: [", encoding="utf-8")
    assert "the policy of notify is not YAML" in house.hole()


@pytest.mark.parametrize("language", ["zh-CN", "en"])
def test_a_template_that_is_missing_in_one_language(house: House, language: str) -> None:
    (house.templates / language / "case-offered.txt").unlink()
    hole = house.hole()
    assert f"the rule {OFFERED} for owning-unit" in hole
    assert f"the template case-offered is missing in {language}" in hole


def test_a_template_that_is_missing_in_every_language(house: House) -> None:
    def rename(policy: dict[str, Any]) -> None:
        policy["rules"][OFFERED]["tell"]["owning-unit"]["template"] = "welcome"

    house.change(rename)
    hole = house.hole()
    assert "the template welcome is missing in zh-CN" in hole
    assert "the template welcome is missing in en" in hole


def test_a_template_that_names_what_the_event_does_not_have(house: House) -> None:
    house.write("en/case-offered.txt", "Case {{ case }}\nMediator: {{ mediator }}\n")
    assert "the template case-offered names mediator, which nobody gives it" in house.hole()


@pytest.mark.parametrize("private", ["publisher", "account", "reasons", "tags"])
def test_a_template_that_names_what_may_not_be_told(house: House, private: str) -> None:
    house.write("en/case-offered.txt", f"Case {{{{ case }}}}\nIt says {{{{ {private} }}}}\n")
    # even where the event has such a field
    assert f"names {private}, which nobody gives it" in house.hole()


@pytest.mark.parametrize(
    ("text", "hole"),
    [
        ("Case {{ case }}\n", "has no subject or no text"),
        ("\nCase {{ case }}\n", "has no subject or no text"),
        ("Case {{ case }}\n{{ level.size }}\n", "UndefinedError"),
        ("Case {{ case }}\n{{ case | moment }}\n", "ValueError"),
        ("Case {{ case }}\n{{ case | word }}\n", "KeyError"),
        ("Case {{ case }}\n{{ case.__class__ }}\n", "SecurityError"),
        ("Case {{ case\n", "TemplateSyntaxError"),
        ("Case {{ case | shout }}\nAct.\n", "No filter named 'shout'"),
    ],
)
def test_a_template_that_cannot_be_filled(house: House, text: str, hole: str) -> None:
    house.write("en/case-offered.txt", text)
    sentence = house.hole()
    assert "en/case-offered.txt" in sentence
    assert hole in sentence


def test_a_vocabulary_that_lacks_a_word(house: House) -> None:
    file = house.templates / "zh-CN" / "words.yaml"
    words = yaml.safe_load(file.read_text(encoding="utf-8"))
    del words["vocabulary"]["risk"]["orange"]
    file.write_text(yaml.safe_dump(words, allow_unicode=True), encoding="utf-8")
    assert "zh-CN/words.yaml has no word for risk.orange" in house.hole()


def test_words_that_are_missing_or_cannot_be_read(house: House) -> None:
    file = house.templates / "en" / "words.yaml"
    file.write_text("moment: ''\n", encoding="utf-8")
    assert "en/words.yaml cannot be read" in house.hole()
    file.unlink()
    assert "the words of notify are missing: en/words.yaml" in house.hole()


def test_all_holes_are_named_at_once(house: House) -> None:
    house.change(lambda policy: policy["rules"].pop(OFFERED))
    house.change(lambda policy: policy["rules"].pop("lianhu.intake.case-closed.v1"))
    hole = house.hole()
    assert OFFERED in hole
    assert "lianhu.intake.case-closed.v1" in hole
