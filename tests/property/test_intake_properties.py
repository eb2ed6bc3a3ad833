"""Triage is total and monotone; whatever comes in whatever order, a case opens and closes once."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from lianhu.contracts.base import Line
from lianhu.contracts.faults import Refused
from lianhu.contracts.intake import CaseClosed, CaseOpened, ReportSubmitted
from lianhu.contracts.mediation import CaseConcluded
from lianhu.contracts.parts import Indicators, Officer
from lianhu.contracts.publishers import Publishers
from lianhu.contracts.vocabulary import Category, Channel, Outcome
from lianhu.eventing.rules import Message, State, Stream
from lianhu.intake import workflow
from lianhu.intake.policy import Policy
from lianhu.intake.reading import normalised
from lianhu.intake.settings import Settings
from lianhu.intake.state import CaseState
from lianhu.intake.triage import triage
from lianhu.jurisdiction import Level, Post

POLICY = Policy.load(Settings())
PUBLISHER = Publishers.read().get("hotline-futian")
START = datetime(2026, 3, 2, tzinfo=UTC)
LINE = TypeAdapter(Line)

words = st.sampled_from(sorted(word.replace("…", "他的") for word in POLICY.meanings))
fragments = st.one_of(
    words,
    st.sampled_from(
        ["没有", "如果", "，", "。", "《", "（三）", "的；", "有下列情形之一", "１２", "\n"]
    ),
    st.text(max_size=8),
)
narratives = st.lists(fragments, min_size=1, max_size=25).map("".join).filter(bool)
answers = st.fixed_dictionaries(
    {}, optional={name: st.sampled_from([True, False, None]) for name in Indicators.model_fields}
)
categories = st.none() | st.sampled_from(Category)


def submitted(
    narrative: str, indicators: dict[str, Any], category: Category | None = None
) -> ReportSubmitted:
    return ReportSubmitted(
        channel=Channel.WALK_IN,
        narrative=narrative,
        indicators=Indicators(**indicators),
        category=category,
    )


@given(narratives, answers, categories)
def test_triage_is_total_and_deterministic(
    narrative: str, indicators: dict[str, Any], category: Category | None
) -> None:
    report = submitted(narrative, indicators, category)
    result = triage(report, POLICY)
    assert result == triage(report, POLICY)
    assert result.reasons
    for reason in result.reasons:
        LINE.validate_python(reason)


@given(narratives, answers, categories, st.sampled_from(sorted(Indicators.model_fields)))
def test_one_more_yes_never_lowers_the_risk(
    narrative: str, indicators: dict[str, Any], category: Category | None, more: str
) -> None:
    before = triage(submitted(narrative, indicators, category), POLICY)
    after = triage(submitted(narrative, indicators | {more: True}, category), POLICY)
    assert after.risk.rank >= before.risk.rank


SENTENCES = re.compile(
    "(?:叙述中有Q+(?:（T）|，归入T)(?:：R)?|叙述以Q+为主，未识别出本单位受理的事项"
    "|风险指标Q为是(?:，归入T|：R)|Q与Q同时存在：R|报告人已选类别：T"
    "|叙述和指标中未识别出本单位受理的事项|未发现危险迹象：绿)".replace("Q", "(?:“[^”]+”)")
    .replace("T", "[^，。“”]{2,9}")
    .replace("R", "[黄橙红]")
)
TITLES = {
    entry.title
    for entries in (POLICY.indicators, POLICY.signs, POLICY.categories)
    for entry in entries.values()
}


@given(narratives, answers, categories)
def test_reasons_hold_nothing_of_the_narrative_but_policy_words(
    narrative: str, indicators: dict[str, Any], category: Category | None
) -> None:
    for reason in triage(submitted(narrative, indicators, category), POLICY).reasons:
        assert SENTENCES.fullmatch(reason)
        assert set(re.findall("“(.+?)”", reason)) <= POLICY.meanings.keys() | TITLES
        assert set(re.findall("(?:（|归入|类别：)([^，。“”）]+)", reason)) <= TITLES


@given(st.text())
def test_normalising_is_total_and_settles(text: str) -> None:
    assert not re.search("[ \t\u3000\u200b]", normalised(text))


outside = st.sampled_from(["440303000000", "999999999999", "福田", "44030400000O", ""])


@given(outside, st.sampled_from(Channel), narratives)
def test_a_refusal_names_every_fault_and_no_value(
    division: str, channel: Channel, narrative: str
) -> None:
    assert PUBLISHER is not None
    report = ReportSubmitted.model_validate(
        {"channel": channel, "narrative": narrative, "place": {"division": division}}
    )
    message = Message("r", report.type_, report, START, "x", publisher=PUBLISHER)
    with pytest.raises(Refused) as refused:
        workflow.decide(message, {}, START, Ids("440304-2026-000001"), POLICY)
    paths = {fault.path for fault in refused.value.faults}
    wrong_channel = channel not in PUBLISHER.channels
    assert paths == {"/place/division", *(["/channel"] if wrong_channel else [])}
    for fault in refused.value.faults:
        assert fault.slug in {
            "malformed-division",
            "unknown-division",
            "outside-area",
            "channel-not-of-publisher",
        }


class Ids:
    """Ids as the engine gives them for one message."""

    def __init__(self, number: str) -> None:
        self.number = number

    def case_number(self) -> str:
        return self.number

    def opaque(self, label: str) -> str:
        return "ab" * 16

    def person(self, label: str) -> str:
        return "ab" * 16


def conclusion(case: str, outcome: Outcome) -> CaseConcluded:
    return CaseConcluded(
        case=case,
        outcome=outcome,
        unit="440304000000",
        level=Level.DISTRICT,
        missing_steps=(),
        by=Officer(officer="o-1", post=Post.MEDIATOR, unit="440304000000"),
    )


arrivals = st.lists(
    st.one_of(narratives, st.tuples(st.integers(0, 4), st.sampled_from(Outcome))), max_size=20
)


@given(arrivals)
def test_every_case_opens_once_and_closes_at_most_once(
    arriving: list[str | tuple[int, Outcome]],
) -> None:
    states: dict[Stream, State | None] = {}
    history: dict[Stream, list[type]] = {}
    opened = 0
    for step, arrival in enumerate(arriving):
        if isinstance(arrival, str):
            data: Any = submitted(arrival, {})
        else:
            data = conclusion(f"440304-2026-{arrival[0]:06d}", arrival[1])
        message = Message(
            f"m-{step}",
            data.type_,
            data,
            START + timedelta(minutes=step),
            "x",
            publisher=PUBLISHER if isinstance(arrival, str) else None,
        )
        prefix = workflow.counter(message)
        ids = Ids(f"{prefix}-{opened:06d}")
        opened += isinstance(arrival, str)
        streams = workflow.touches(message, ids)
        loaded = {stream: states.get(stream) for stream in streams}
        decision = workflow.decide(message, loaded, message.time, ids, POLICY)
        assert decision.keys() <= set(streams)
        for stream, events in decision.items():
            for event in events:
                states[stream] = workflow.evolve(stream, states.get(stream), event, message.time)
                history.setdefault(stream, []).append(type(event))
    assert len(history) == opened
    for stream, types in history.items():
        assert types[0] is CaseOpened
        assert types.count(CaseOpened) == 1
        assert types.count(CaseClosed) <= 1
        state = states[stream]
        assert isinstance(state, CaseState)
        assert (state.status == "closed") == (CaseClosed in types)
