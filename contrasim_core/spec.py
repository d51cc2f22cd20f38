"""The request behind a run: frozen, checked, and keyed by its content. Names no kind of run; standard library only.

A spec says *what* to compute and never *where*: it leaves out device, batch size and number of threads, because they
change the result only by rounding. Equal specs have equal keys; every field changes the key.
"""

from __future__ import annotations

import json
import types
import typing
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields, is_dataclass
from typing import Any, ClassVar, Literal, Self, Union, get_args, get_origin

from contrasim_core.errors import SpecError
from contrasim_core.refs import digest

SPEC_FORMAT = 1


@dataclass(frozen=True, kw_only=True)
class Spec:
    """The base of all specs: literal fields are checked on creation, and the key is a digest of every field."""

    kind: ClassVar[str] = "spec"
    revision: ClassVar[int] = 1
    """Incremented when the same spec yields other results than before, so that stored results are not reused."""

    def __post_init__(self) -> None:
        hints = typing.get_type_hints(type(self))
        for item in fields(self):
            check_literal(type(self).__name__, item.name, hints[item.name], getattr(self, item.name))

    @property
    def key(self) -> str:
        """The digest of the kind, the format number and every field, as sixteen hex digits."""
        kind = self.kind if self.revision == 1 else f"{self.kind} {self.revision}"
        return digest([json.dumps({"format": SPEC_FORMAT, "kind": kind, **asdict(self)}, sort_keys=True)])

    def to_json(self) -> str:
        """Return the spec as JSON text that `spec_from_json` reads."""
        return json.dumps({"format": SPEC_FORMAT, "kind": self.kind, "spec": asdict(self)}, sort_keys=True, indent=1)

    def replace(self, **changes: Any) -> Self:
        """Return a copy with some fields changed, checked again."""
        values = {item.name: getattr(self, item.name) for item in fields(self)}
        return type(self)(**{**values, **changes})


def check_literal(owner: str, name: str, hint: Any, value: Any) -> None:
    """Refuse a value that its `Literal` type does not allow."""
    options = _literal_options(hint)
    if options and value not in options:
        allowed = ", ".join(repr(option) for option in options)
        raise SpecError(f"{owner}.{name} is {value!r}. It can be: {allowed}.")


def _literal_options(hint: Any) -> tuple[Any, ...]:
    """Return the values that a `Literal` (or a union of only literals and None) allows; empty for other types."""
    if get_origin(hint) is Literal:
        return get_args(hint)
    if get_origin(hint) in (Union, types.UnionType):
        parts = [(None,) if part is type(None) else _literal_options(part) for part in get_args(hint)]
        return sum(parts, ()) if all(parts) else ()
    return ()


def require(condition: bool, message: str) -> None:  # noqa: FBT001 - an assertion with a message
    """Raise `SpecError(message)` unless the condition holds."""
    if not condition:
        raise SpecError(message)


def spec_from_json(text: str, classes: Iterable[type[Spec]]) -> Spec:
    """Read the spec that `to_json` wrote.

    Args:
        text: JSON.
        classes: the classes of spec to accept.

    Raises:
        SpecError: if the text is not a spec of this format and one of these classes.
    """
    try:
        data = json.loads(text)
        known = {spec.kind: spec for spec in classes}
        require(
            data["format"] == SPEC_FORMAT,
            f"This spec has format {data['format']}; this version reads format {SPEC_FORMAT}.",
        )
        spec: Spec = decode(known[data["kind"]], data["spec"])
    except (KeyError, TypeError, AttributeError, StopIteration, json.JSONDecodeError) as error:
        raise SpecError(f"This is not a spec written by contrasim ({type(error).__name__}: {error}).") from error
    return spec


def decode(hint: Any, value: Any) -> Any:
    """Rebuild dataclasses and tuples from their JSON form, guided by the declared type."""
    if is_dataclass(hint) and isinstance(hint, type):
        hints = typing.get_type_hints(hint)
        unknown = set(value) - {item.name for item in fields(hint)}
        require(not unknown, f"{hint.__name__} has no field {', '.join(sorted(unknown))}.")
        return hint(**{name: decode(hints[name], item) for name, item in value.items()})
    if get_origin(hint) in (Union, types.UnionType):
        return _decode_union(get_args(hint), value)
    if get_origin(hint) is tuple and isinstance(value, list):
        return tuple(decode(get_args(hint)[0], item) for item in value)
    return value


def _decode_union(options: tuple[Any, ...], value: Any) -> Any:
    if isinstance(value, list):
        return decode(next(option for option in options if get_origin(option) is tuple), value)
    if isinstance(value, dict):
        return decode(next(option for option in options if is_dataclass(option)), value)
    return value
