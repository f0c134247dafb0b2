"""Settings as fields: section, type and range of each; a value from a file as that type."""

from __future__ import annotations

import dataclasses
import functools
import operator
from collections.abc import Callable
from pathlib import Path
from types import UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from moontune.config.other_names import nearest_value
from moontune.config.schema import Range, RunConfig
from moontune.system.files import user_path

T = TypeVar("T")


def sections() -> dict[str, type]:
    """Section name -> its dataclass."""
    return {f.name: get_args(hint)[0] if get_args(hint) else hint for f, hint in hints(RunConfig)}


def hints(cls: type) -> list[tuple[dataclasses.Field[Any], Any]]:
    """Fields of a dataclass with their types, ranges among them."""
    types = get_type_hints(cls, include_extras=True)
    return [(f, types[f.name]) for f in dataclasses.fields(cls)]


def known_keys() -> dict[str, tuple[str, Any]]:
    """Setting name -> (section, type hint)."""
    return {
        f.name: (section, hint) for section, cls in sections().items() for f, hint in hints(cls)
    }


def ranged(config: RunConfig) -> list[tuple[str, float, Range]]:
    """Name, value and range of every setting that has a range."""
    found: list[tuple[str, float, Range]] = []
    for section, cls in sections().items():
        for f, hint in hints(cls):
            value = getattr(getattr(config, section), f.name)
            for extra in getattr(hint, "__metadata__", ()):
                if isinstance(extra, Range) and value is not None:
                    found.append((f.name, value, extra))
    return found


def coerce(hint: Any, value: Any) -> Any:
    """A value from a file, or words of the command line, as the setting's type; raises TypeError
    or ValueError with what is expected."""
    if hasattr(hint, "__metadata__"):
        hint = get_args(hint)[0]
    options = get_args(hint)
    if type(None) in options:
        return None if value is None else coerce(not_none(hint), value)
    return _COERCE[get_origin(hint) or hint](value, options)


def not_none(hint: Any) -> Any:
    """The type without None."""
    rest = [option for option in get_args(hint) if option is not type(None)]
    return functools.reduce(operator.or_, rest)


def _either(value: Any, options: tuple[Any, ...]) -> Any:
    """A value of one of several types: a number, or one of some words."""
    wrong: list[str] = []
    for option in options:
        try:
            return coerce(option, value)
        except (TypeError, ValueError) as error:
            wrong.append(str(error).removeprefix("expected ").removeprefix("one of "))
    raise ValueError(f"expected {' or '.join(wrong)}")


def _path(value: Any, options: tuple[Any, ...]) -> Path:
    if not isinstance(value, str):
        raise TypeError("expected a path")
    if "\0" in value:
        raise ValueError("no path has such a character")
    if not value.strip():  # Path("") is the folder that one is in
        raise ValueError("expected a path, and it is empty")
    return user_path(value)


def _bool(value: Any, options: tuple[Any, ...]) -> bool:
    if not isinstance(value, bool):
        raise TypeError("expected true or false")
    return value


def _int(value: Any, options: tuple[Any, ...]) -> int:
    if isinstance(value, bool) or (isinstance(value, float) and not value.is_integer()):
        raise TypeError("expected a whole number")
    return _number(int, value, "a whole number")


def _float(value: Any, options: tuple[Any, ...]) -> float:  # YAML 1.1 reads 3e-4 as a string
    if isinstance(value, bool):
        raise TypeError("expected a number")
    return _number(float, value, "a number")


def _number(make: Callable[[Any], T], value: Any, what: str) -> T:
    try:
        return make(value)
    except (TypeError, ValueError):
        raise TypeError(f"expected {what}") from None


def _str(value: Any, options: tuple[Any, ...]) -> str:
    if not isinstance(value, str):
        raise TypeError("expected text")
    return value


def _tuple(value: Any, options: tuple[Any, ...]) -> tuple[Any, ...]:
    if isinstance(value, str):  # a path may hold spaces
        value = [value] if options[0] is Path else value.split()
    items = () if value is None else value
    if not isinstance(items, list | tuple):
        raise TypeError("expected a list")
    return tuple(coerce(options[0], item) for item in items)


def _literal(value: Any, options: tuple[Any, ...]) -> Any:
    if value is False and "off" in options:  # YAML 1.1 reads off so
        return "off"
    if value in options:
        return value
    listed = ", ".join(map(str, options))
    near = nearest_value(str(value), [str(option) for option in options])
    if near is not None:
        raise ValueError(f"did you mean {near}? It is one of {listed}")
    raise ValueError(f"expected one of {listed}")


_COERCE: dict[Any, Callable[[Any, tuple[Any, ...]], Any]] = {
    Path: _path,
    bool: _bool,
    int: _int,
    float: _float,
    str: _str,
    tuple: _tuple,
    Literal: _literal,
    Union: _either,
    UnionType: _either,
}
