"""`Sealed[T]`: a personal value as a field of an event, in memory open, written only closed.

A closed value is the string ``s1:<key id>:<base64url of nonce ‖ ciphertext ‖ tag>``, without
padding. The head ``s1:<key id>`` is authenticated with it.
"""

from __future__ import annotations

import base64
import binascii
import copy
import re
import types
from collections.abc import Callable
from functools import cached_property
from typing import Any, Generic, TypeVar, Union, cast, get_args, get_origin

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler, TypeAdapter, ValidationError
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import PydanticCustomError, PydanticSerializationError, core_schema

from lianhu.privacy._cipher import close, open_
from lianhu.privacy.errors import SealError, UnsealError
from lianhu.privacy.keys import KEY_ID, DataKey

T_co = TypeVar("T_co", covariant=True)
V = TypeVar("V")

TOKEN_PATTERN = f"^s1:{KEY_ID}:[A-Za-z0-9_-]{{39,}}$"
"""29 bytes at least: nonce, tag, and JSON of one character."""

_is_token: Callable[[str], re.Match[str] | None] = re.compile(TOKEN_PATTERN[1:-1]).fullmatch


class Sealer:
    """Closes values with one data key; the ``context`` of ``model_dump_json``."""

    __slots__ = ("_about", "_head", "_key", "_others", "count", "key_id")

    def __init__(
        self,
        key: DataKey | Callable[[], DataKey],
        key_id: str | None = None,
        others: Callable[[str], DataKey | None] | None = None,
    ) -> None:
        """With a key, or with its id and how to get it when it is first needed.

        ``others`` finds keys by which values that are closed already are opened, to be closed anew
        with this one; without it, and for a key it does not know, they stay as they are.
        """
        self._key = key
        self.key_id = key.id if isinstance(key, DataKey) else key_id or ""
        self._others = others
        self._head = f"s1:{self.key_id}:"
        self._about = _about(self.key_id)
        self.count = 0
        """How many values were closed so far."""

    def seal(self, json_bytes: bytes) -> str:
        """A token. Two calls never give the same one."""
        if not isinstance(self._key, DataKey):
            self._key = self._key()
        self.count += 1
        blob = close(self._key.cipher, json_bytes, self._about)
        return self._head + base64.urlsafe_b64encode(blob).rstrip(b"=").decode("ascii")

    def adopt(self, token: str) -> str:
        """The same value under this key, if it was closed with another that can be had."""
        _, key_id, text = token.split(":", 2)
        if key_id == self.key_id or self._others is None:
            return token
        key = self._others(key_id)
        return (
            token if key is None else self.seal(open_(key.cipher, _decoded(text), _about(key_id)))
        )


class _Shape:
    """The ``T`` of one ``Sealed[T]``: its name and, once needed, its validator."""

    def __init__(self, of: Any) -> None:
        self.of = of
        self.name = _name(of)

    @cached_property
    def adapter(self) -> TypeAdapter[Any]:
        return TypeAdapter(self.of)

    def admits(self, value: object) -> bool:
        """Whether an open value is of this type as it stands, nothing converted."""
        try:
            self.adapter.validate_python(value, strict=True)
        except ValidationError:
            return False
        return True

    def json(self, value: object) -> bytes | None:
        """The value as JSON; None where its own serialiser fails."""
        try:
            # Warnings would print the value; its type was checked when it met the field.
            return self.adapter.dump_json(value, warnings=False)
        except (PydanticSerializationError, ValueError, TypeError):
            return None


class Sealed(Generic[T_co]):
    """A personal value: *open* in memory, or *closed* as a token. Never shown, never half-way.

    ``Sealed.hold(value)`` makes an open one. ``model_dump_json(context=Sealer(key))`` closes it;
    without a `Sealer` the dump fails (`SealError` ``no-sealer``, wrapped by pydantic). A python
    dump (``model_dump()``) keeps the `Sealed` as it is. From JSON or python, a token is taken as
    closed, by its form alone; any other string or value is the error ``not-sealed``.

    pydantic itself prints the input beside an error: models with sealed fields set
    ``hide_input_in_errors=True``, and readers of ``errors()`` pass ``include_input=False``.

    Equality: closed by token, open by value, never across. Not hashable. An open value does not
    pickle: that would be writing it.
    """

    __slots__ = ("_shape", "_token", "_value")

    def __init__(self, token: str | None, value: object, shape: _Shape | None) -> None:
        """Not to be called: open values come from `hold`, closed ones from validation."""
        self._token = token
        self._value = value
        self._shape = shape

    @staticmethod
    def hold(value: V) -> Sealed[V]:
        """An open value, in memory only."""
        return Sealed(None, value, None)

    @property
    def is_open(self) -> bool:
        """Whether the value stands in memory unsealed."""
        return self._token is None

    @property
    def key_id(self) -> str | None:
        """The id of the data key that closed it; None while open."""
        return None if self._token is None else self._token.split(":", 2)[1]

    def reveal(self, keys: Callable[[str], DataKey]) -> T_co:
        """The value. ``keys`` finds a data key by its id; what it raises is passed on.

        Raises `UnsealError`: ``wrong-key``, or ``malformed`` also when it opens to another type.
        """
        if self._token is None:
            return cast("T_co", self._value)
        if self._shape is None:
            raise UnsealError("malformed")
        _, key_id, text = self._token.split(":", 2)
        key = keys(key_id)
        if key.id != key_id:
            raise UnsealError("wrong-key")
        blob = _decoded(text)
        try:
            # The plain bytes get no name here: a traceback that prints locals would show them.
            return cast(
                "T_co",
                self._shape.adapter.validate_json(
                    open_(key.cipher, blob, _about(key_id)), extra="ignore"
                ),
            )
        except ValidationError:
            pass  # raised below, so that the error carries no context with the value in it
        raise UnsealError("malformed")

    def __repr__(self) -> str:
        return "Sealed(open)" if self._token is None else "Sealed(closed)"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sealed):
            return NotImplemented
        if self._token is None and other._token is None:
            return bool(self._value == other._value)
        return self._token == other._token

    __hash__ = None  # type: ignore[assignment]

    def __copy__(self) -> Sealed[T_co]:
        return self

    def __deepcopy__(self, memo: dict[int, object]) -> Sealed[T_co]:
        if self._token is not None:
            return self
        return Sealed(None, copy.deepcopy(self._value, memo), self._shape)

    def __reduce__(self) -> tuple[Callable[[str, object], Sealed[Any]], tuple[str, object]]:
        if self._token is None or self._shape is None:
            raise TypeError("an open sealed value is not pickled")
        return _unpickled, (self._token, self._shape.of)

    @classmethod
    def __get_pydantic_core_schema__(
        cls, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        args = get_args(source)
        if len(args) != 1:
            raise TypeError("Sealed needs the type of what it holds, such as Sealed[Person]")
        shape = _Shape(args[0])

        def validate(given: object) -> Sealed[Any]:
            if type(given) is str:
                if _is_token(given):
                    return Sealed(given, None, shape)
            elif isinstance(given, Sealed):
                return _bound(given, shape)
            raise PydanticCustomError("not-sealed", "a sealed value is expected")

        def serialise(held: object, info: core_schema.SerializationInfo) -> str:
            if not isinstance(held, Sealed):
                raise SealError("not-sealed")
            if held._token is not None:
                if isinstance(info.context, Sealer):
                    return info.context.adopt(held._token)
                return held._token
            if not isinstance(info.context, Sealer):
                raise SealError("no-sealer")
            fits = held._shape is shape or shape.admits(held._value)
            plain = shape.json(held._value) if fits else None
            if plain is None:
                raise SealError("wrong-type")
            return info.context.seal(plain)

        return core_schema.no_info_plain_validator_function(
            validate,
            metadata={"x-sealed": shape.name},
            serialization=core_schema.plain_serializer_function_ser_schema(
                serialise,
                info_arg=True,
                return_schema=core_schema.str_schema(),
                when_used="json",
            ),
        )

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        name = schema.get("metadata", {})["x-sealed"]
        return {
            "type": "string",
            "pattern": TOKEN_PATTERN,
            "description": f"sealed {name}",
            "x-sealed": name,
        }


def _bound(given: Sealed[Any], shape: _Shape) -> Sealed[Any]:
    """The same value under the type of the field it met."""
    if given._shape is shape:
        return given
    if given._token is None and not shape.admits(given._value):
        raise PydanticCustomError("wrong-type", "the sealed value is not of the field's type")
    return Sealed(given._token, given._value, shape)


def _unpickled(token: str, of: object) -> Sealed[Any]:
    return Sealed(token, None, _Shape(of))


def _about(key_id: str) -> bytes:
    return b"s1:" + key_id.encode("ascii")


def _decoded(text: str) -> bytes:
    """Bytes of unpadded base64url; only the one spelling that `Sealer` writes is accepted."""
    try:
        blob = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except binascii.Error:
        raise UnsealError("malformed") from None
    if base64.urlsafe_b64encode(blob).rstrip(b"=") != text.encode("ascii"):
        raise UnsealError("malformed")
    return blob


def _name(of: object) -> str:
    """``Person``, ``list[Person]``, ``Person | None``: short, the same in every process."""
    if of is type(None):
        return "None"
    origin, args = get_origin(of), get_args(of)
    if hasattr(of, "__metadata__"):
        return _name(args[0])
    if origin in (Union, types.UnionType):
        return " | ".join(_name(arg) for arg in args)
    if origin is not None:
        inner = ", ".join("…" if arg is ... else _name(arg) for arg in args)
        return f"{_name(origin)}[{inner}]"
    return str(getattr(of, "__name__", of))
