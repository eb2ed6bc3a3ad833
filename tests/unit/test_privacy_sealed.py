"""`Sealed[T]`: open in memory, closed when written, shown never."""

from __future__ import annotations

import copy
import json
import pickle
import re
import string
import traceback
from collections.abc import Callable
from datetime import date

import pytest
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError

from lianhu.privacy import DataKey, Sealed, Sealer, SealError, UnsealError

CASE = "case/440304-2026-000123"
NAME = "王小兰"
PHONE = "13800138000"


class Person(BaseModel):
    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)
    name: str
    phone: str
    born: date | None = None


class Reported(BaseModel):
    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)
    person: Sealed[Person]
    narrative: Sealed[str] | None = None
    others: tuple[Sealed[list[Person]], ...] = ()


WANG = Person(name=NAME, phone=PHONE, born=date(1990, 1, 2))


@pytest.fixture
def key() -> DataKey:
    return DataKey.new(CASE)


@pytest.fixture
def reported() -> Reported:
    return Reported(
        person=Sealed.hold(WANG),
        narrative=Sealed.hold("他打我"),
        others=(Sealed.hold([WANG, WANG]),),
    )


def keys(*known: DataKey) -> Callable[[str], DataKey]:
    return {key.id: key for key in known}.__getitem__


def test_a_model_is_written_closed_and_revealed_again(key: DataKey, reported: Reported) -> None:
    written = reported.model_dump_json(context=Sealer(key))
    assert NAME not in written
    assert json.loads(written)["person"].startswith(f"s1:{CASE}:")

    back = Reported.model_validate_json(written)
    assert not back.person.is_open
    assert back.person.key_id == CASE
    assert back.person.reveal(keys(key)) == WANG
    assert back.narrative is not None
    assert back.narrative.reveal(keys(key)) == "他打我"
    assert back.others[0].reveal(keys(key)) == [WANG, WANG]
    assert back.model_dump_json() == written  # closed needs no sealer


def test_an_open_value_is_revealed_without_a_key(reported: Reported) -> None:
    assert reported.person.is_open
    assert reported.person.key_id is None
    assert reported.person.reveal(keys()) == WANG


def test_an_open_value_is_never_written_without_a_sealer(reported: Reported, key: DataKey) -> None:
    for context in (None, {"sealer": Sealer(key)}, key):
        with pytest.raises(PydanticSerializationError, match="no-sealer") as caught:
            reported.model_dump_json(context=context)
        assert NAME not in str(caught.value)
    with pytest.raises(PydanticSerializationError, match="no-sealer"):
        reported.model_dump(mode="json")


def test_not_even_from_a_field_of_any_type() -> None:
    class Loose(BaseModel):
        anything: object
        either: Sealed[str] | int

    with pytest.raises(PydanticSerializationError):
        Loose(anything=Sealed.hold(NAME), either=1).model_dump_json()
    with pytest.raises(PydanticSerializationError):
        Loose(anything=1, either=Sealed.hold(NAME)).model_dump_json()


def test_a_plain_value_smuggled_into_a_sealed_field_is_not_written(key: DataKey) -> None:
    smuggled = Reported.model_construct(person=NAME)  # type: ignore[arg-type]
    with pytest.raises(PydanticSerializationError, match="not-sealed") as caught:
        smuggled.model_dump_json(context=Sealer(key))
    assert NAME not in str(caught.value)


def test_an_open_value_of_another_type_is_refused_where_it_meets_the_field(key: DataKey) -> None:
    with pytest.raises(ValidationError, match="wrong-type") as caught:
        Reported.model_validate({"person": Sealed.hold(NAME)})
    assert NAME not in str(caught.value)

    unchecked = Reported.model_construct(person=Sealed.hold(NAME))  # type: ignore[arg-type]
    with pytest.raises(PydanticSerializationError, match="wrong-type") as written:
        unchecked.model_dump_json(context=Sealer(key))
    assert NAME not in str(written.value)


def test_a_python_dump_keeps_sealed_values_as_they_are(reported: Reported) -> None:
    assert reported.model_dump()["person"] is reported.person


@pytest.mark.parametrize(
    "given",
    [
        NAME,
        {"name": NAME},
        13800138000,
        None,
        "",
        "s1:",
        f"s1:{CASE}:{NAME}",
        f"s1:{CASE}:" + "A" * 38,
        f"s1:{CASE}:" + "A" * 60 + "=",
        f"s1:{CASE}:" + "A" * 60 + "\n",
        "s2:" + CASE + ":" + "A" * 60,
        "s1:案件:" + "A" * 60,
    ],
)
def test_what_is_not_a_token_is_refused_and_not_echoed(given: object) -> None:
    with pytest.raises(ValidationError) as caught:
        Reported.model_validate({"person": given})
    (fault,) = caught.value.errors(include_input=False)
    assert (fault["type"], fault["loc"]) == ("not-sealed", ("person",))
    for shown in (
        str(caught.value),
        repr(caught.value),
        "".join(traceback.format_exception(caught.value, chain=True)),
    ):
        assert NAME not in shown
        assert PHONE not in shown
    with pytest.raises(ValidationError, match="not-sealed"):
        Reported.model_validate_json(json.dumps({"person": given}))


def test_nothing_shows_an_open_value(reported: Reported) -> None:
    with pytest.raises(RuntimeError) as caught:
        raise RuntimeError(f"could not handle {reported} of {reported.person!r}")
    for shown in (
        repr(reported),
        str(reported),
        f"{reported}",
        f"{reported.person}",
        f"{reported.person!r}",
        "{}".format(reported.person),  # noqa: UP032
        "%s %r" % (reported.person, reported.person),  # noqa: UP031
        str(reported.model_dump()),
        str([reported.person]),
        json.dumps(reported.model_dump(), default=str),
        "".join(traceback.TracebackException.from_exception(caught.value).format()),
        "".join(
            traceback.TracebackException.from_exception(caught.value, capture_locals=True).format()
        ),
    ):
        assert "Sealed(open)" in shown
        assert NAME not in shown
        assert "他打我" not in shown


def test_a_closed_value_shows_no_token(key: DataKey, reported: Reported) -> None:
    closed = Reported.model_validate_json(reported.model_dump_json(context=Sealer(key)))
    assert repr(closed.person) == str(closed.person) == "Sealed(closed)"


def test_copies_stay_sealed_and_open_values_do_not_pickle(key: DataKey, reported: Reported) -> None:
    twin = copy.deepcopy(reported)
    assert twin == reported
    assert repr(twin.person) == "Sealed(open)"
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(reported)

    closed = Reported.model_validate_json(reported.model_dump_json(context=Sealer(key)))
    assert copy.deepcopy(closed) == copy.copy(closed) == closed
    thawed = pickle.loads(pickle.dumps(closed))
    assert thawed == closed
    assert thawed.person.reveal(keys(key)) == WANG


def test_open_values_are_equal_by_value_closed_ones_by_token(
    key: DataKey, reported: Reported
) -> None:
    assert Sealed.hold(WANG) == Sealed.hold(WANG.model_copy())
    assert Sealed.hold(WANG) != Sealed.hold(WANG.model_copy(update={"name": "李"}))
    sealer = Sealer(key)
    once, twice = (
        Reported.model_validate_json(reported.model_dump_json(context=sealer)) for _ in range(2)
    )
    assert once.person != twice.person  # each closing has its own nonce
    assert once.person != reported.person
    assert once == Reported.model_validate_json(once.model_dump_json())
    assert Sealed.hold("x") != "x"


def test_another_key_does_not_reveal(key: DataKey, reported: Reported) -> None:
    closed = Reported.model_validate_json(reported.model_dump_json(context=Sealer(key)))
    stranger = DataKey.new("case/440304-2026-000124")
    for found in (DataKey.new(CASE), stranger, DataKey(stranger.id, key.key)):
        with pytest.raises(UnsealError) as caught:
            closed.person.reveal({CASE: found}.__getitem__)
        assert caught.value.slug == "wrong-key"
    with pytest.raises(KeyError):
        closed.person.reveal(keys())  # an erased case: the finder's own error passes


def test_every_altered_character_of_a_token_is_found(key: DataKey) -> None:
    adapter = TypeAdapter(Sealed[str])
    token = Sealer(key).seal(json.dumps(NAME).encode())
    other = DataKey("case/940304-2026-000123", key.key)
    for at, was in enumerate(token):
        for now in {"A", "B", "w", "9", "_"} - {was}:
            altered = token[:at] + now + token[at + 1 :]
            with pytest.raises((UnsealError, ValidationError, KeyError)):
                adapter.validate_python(altered).reveal(keys(key, other))
        with pytest.raises((UnsealError, ValidationError, KeyError)):
            adapter.validate_python(token[:at] + token[at + 1 :]).reveal(keys(key))


@pytest.mark.parametrize("length", [1, 2, 3])
def test_a_token_has_one_spelling_only(key: DataKey, length: int) -> None:
    """The last character of base64 may hold bits that mean nothing: they too must stand."""
    adapter = TypeAdapter(Sealed[str])
    token = Sealer(key).seal(json.dumps("x" * length).encode())
    alphabet = string.ascii_letters + string.digits + "-_"
    revealed = []
    for last in alphabet:
        try:
            adapter.validate_python(token[:-1] + last).reveal(keys(key))
        except UnsealError:
            continue
        revealed.append(last)
    assert revealed == [token[-1]]


def test_what_opens_to_another_type_is_malformed_and_not_shown(key: DataKey) -> None:
    token = Sealer(key).seal(json.dumps({"nom": NAME}).encode())
    with pytest.raises(UnsealError) as caught:
        TypeAdapter(Sealed[Person]).validate_python(token).reveal(keys(key))
    assert caught.value.slug == "malformed"
    assert caught.value.__context__ is None
    shown = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    assert NAME not in "".join(shown.format())


def test_a_closed_value_takes_the_type_of_the_field_it_is_moved_to(key: DataKey) -> None:
    class Card(BaseModel):
        phone: str

    class Notice(BaseModel):
        to: Sealed[Card]

    token = Sealer(key).seal(WANG.model_dump_json().encode())
    person = TypeAdapter(Sealed[Person]).validate_python(token)
    notice = Notice.model_validate({"to": person})
    assert notice.to.reveal(keys(key)) == Card(phone=PHONE)


def test_the_schema_says_what_is_sealed_and_how_it_looks(key: DataKey) -> None:
    for mode in ("validation", "serialization"):
        schema = Reported.model_json_schema(mode=mode)
        person = schema["properties"]["person"]
        assert person["type"] == "string"
        assert person["x-sealed"] == "Person"
        assert person["description"] == "sealed Person"
        assert re.search(person["pattern"], Sealer(key).seal(b"1"))
        assert not re.search(person["pattern"], NAME)
        assert schema["properties"]["others"]["items"]["x-sealed"] == "list[Person]"
        assert "$defs" not in schema  # what is inside is nobody's contract but the service's


def test_optional_and_united_types_have_short_names() -> None:
    named = TypeAdapter(Sealed[dict[str, Person | None]]).json_schema()
    assert named["x-sealed"] == "dict[str, Person | None]"


def test_sealed_of_nothing_is_a_mistake_of_the_author() -> None:
    with pytest.raises(TypeError, match="Sealed needs the type"):
        TypeAdapter(Sealed)


def test_errors_of_sealing_have_slugs() -> None:
    assert SealError("no-sealer").slug == "no-sealer"
    assert str(UnsealError("wrong-key")).startswith("wrong-key: ")
