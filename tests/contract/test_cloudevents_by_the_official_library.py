"""Our binding and the official CloudEvents library understand each other, in both modes."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone

from cloudevents.core.bindings.kafka import (
    KafkaMessage,
    from_binary_event,
    to_binary_event,
    to_structured_event,
)
from cloudevents.core.v1.event import CloudEvent
from hypothesis import given
from hypothesis import strategies as st

from lianhu.contracts.cloudevents import headers_of, read

printable = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=40)
texts = st.text(
    st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=40
)  # as CloudEvents has them: no control characters
offsets = st.integers(-12 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
times = st.datetimes(
    min_value=datetime(1970, 1, 2), max_value=datetime(2199, 12, 30), timezones=offsets
)
extensions = st.dictionaries(
    st.sampled_from(["correlationid", "causationid", "traceparent", "sequence", "rowhash"]), texts
)
events = st.fixed_dictionaries(
    {"id": printable, "source": texts, "type": printable, "specversion": st.just("1.0")},
    optional={"subject": texts, "time": times},
)
bodies = st.dictionaries(
    texts,
    st.recursive(
        st.one_of(st.none(), st.booleans(), st.integers(-(2**53), 2**53), texts),
        lambda parts: st.lists(parts, max_size=3),
        max_leaves=4,
    ),
    min_size=1,
    max_size=4,
)
Attributes = dict[str, str | datetime]


def as_sent(attributes: Attributes) -> dict[str, str]:
    """Attributes as texts, times as the library writes them."""
    return {
        name: _rfc3339(value) if isinstance(value, datetime) else value
        for name, value in attributes.items()
    }


def _rfc3339(time: datetime) -> str:
    text = time.isoformat()
    return f"{text[:-6]}Z" if text.endswith("+00:00") else text


def event(attributes: Attributes, body: dict[str, object]) -> CloudEvent:
    """The library's own event. It would add a time of its own where there is none."""
    given_time = {"time": datetime(2026, 1, 1, tzinfo=UTC)} | attributes
    return CloudEvent({**given_time, "datacontenttype": "application/json"}, body)


@given(events, extensions, bodies)
def test_what_we_write_the_library_reads(
    attributes: Attributes, more: dict[str, str], body: dict[str, object]
) -> None:
    sent = as_sent(attributes) | more
    value = json.dumps(body).encode()
    got = from_binary_event(KafkaMessage(headers=dict(headers_of(sent)), key=None, value=value))
    assert got.get_data() == body
    found = got.get_attributes()
    assert found.pop("datacontenttype") == "application/json"
    if "time" not in sent:
        del found["time"]
    assert found == attributes | more


@given(events, extensions, bodies)
def test_what_the_library_writes_in_binary_mode_we_read(
    attributes: Attributes, more: dict[str, str], body: dict[str, object]
) -> None:
    written = to_binary_event(event({**attributes, **more}, body))
    envelope = read(list(written.headers.items()), written.value)
    assert envelope.faults == ()
    assert as_sent(attributes).items() | more.items() <= envelope.attributes.items()
    assert json.loads(envelope.data) == body


@given(events, extensions, bodies)
def test_what_the_library_writes_in_structured_mode_we_read(
    attributes: Attributes, more: dict[str, str], body: dict[str, object]
) -> None:
    written = to_structured_event(event({**attributes, **more}, body))
    envelope = read(list(written.headers.items()), written.value)
    assert envelope.faults == ()
    found = dict(envelope.attributes)
    time = found.pop("time")
    assert datetime.fromisoformat(time) == attributes.get("time", datetime(2026, 1, 1, tzinfo=UTC))
    texts = {name: text for name, text in as_sent(attributes).items() if name != "time"}
    assert texts.items() | more.items() <= found.items()
    assert json.loads(envelope.data) == body
