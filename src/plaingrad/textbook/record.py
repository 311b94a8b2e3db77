"""Records: frozen settings that print shortly, compare by value and travel as JSON."""

import functools
import json
import math
import sys
import types
import typing
from collections.abc import Iterator
from dataclasses import MISSING, dataclass, fields
from typing import Any, ClassVar, Self, dataclass_transform

import numpy as np

from plaingrad.errors import LARGEST, SettingError, nearest
from plaingrad.textbook.habits import refuse


@dataclass_transform(frozen_default=True)
class Record:
    """A few named settings. A subclass states its fields; equality, hash, `repr`, JSON and a check of types come free.

    A class that only stands for its family is `abstract`: it has no instances and no name in a file.
    """

    abstract: ClassVar[bool] = True

    def __init_subclass__(cls, abstract: bool = False) -> None:
        cls.abstract = abstract
        dataclass(frozen=True, repr=False)(cls)
        made, known = cls.__init__, [each.name for each in fields(cls)]  # type: ignore[arg-type]

        @functools.wraps(made)
        def init(self: Any, *given: Any, **settings: Any) -> None:
            refuse(type(self).__name__, {name: settings[name] for name in settings.keys() - {*known}}, known)
            made(self, *given, **settings)

        cls.__init__ = init  # type: ignore[method-assign]

    def __post_init__(self) -> None:
        """Every setting is of its declared type. A subclass that checks more calls this first."""
        self.require(not self.abstract, "no kind", f"it stands for one of {', '.join(sorted(self.kinds()))}")
        for name, kind in typing.get_type_hints(type(self)).items():
            if typing.get_origin(kind) is not ClassVar:
                value = getattr(self, name)
                if isinstance(value, np.integer | np.floating):  # NumPy's numbers are not JSON's
                    value = value.item()
                    self.put(**{name: value})
                is_large = type(value) is int and abs(value) > LARGEST
                large = f", and whole numbers reach to 2⁵³ = {LARGEST:,}" if is_large else ""
                self.require(_is_a(value, kind), f"{name}={value!r}", f"{name} is {_in_words(kind)}{large}")

    def settings(self) -> dict[str, Any]:
        """Every field and its value."""
        return {field.name: getattr(self, field.name) for field in fields(self)}  # type: ignore[arg-type]

    def __repr__(self) -> str:
        """The record as one would write it: what is at its default is left out, and a pair of equals is one number."""
        return f"{type(self).__name__}({', '.join(self.shown())})"

    def shown(self) -> list[str]:
        """The settings as one would write them: those without a default need no name."""
        texts = []
        for field in fields(self):  # type: ignore[arg-type]
            value = getattr(self, field.name)
            if isinstance(value, tuple) and len(set(value)) == 1 and not _is_list(type(self), field.name):
                value = value[0]
            if field.default is MISSING:
                texts.append(repr(value))
            elif value != field.default:
                texts.append(f"{field.name}={value!r}")
        return texts

    def in_full(self) -> str:
        """The record with every setting, for a protocol."""
        settings = ", ".join(f"{name}={value!r}" for name, value in self.settings().items())
        return f"{type(self).__name__}({settings})"

    def replace(self, **settings: Any) -> Self:
        """The same record with some settings changed, checked anew."""
        return type(self)(**{**self.settings(), **settings})

    def put(self, **settings: Any) -> None:
        """Set fields to their normal form; for `__post_init__` alone."""
        for name, value in settings.items():
            object.__setattr__(self, name, value)

    def require(self, right: bool, got: str, needs: str) -> None:
        """One voice for a setting that cannot be."""
        if not right:
            raise SettingError(f"{type(self).__name__} got {got}; {needs}")

    def to_json(self) -> dict[str, Any]:
        """`{"kind": "Conv", "filters": 6, …}`: numbers, strings, lists and records only."""
        return {"kind": type(self).__name__} | {name: _plain(value) for name, value in self.settings().items()}

    @classmethod
    def kinds(cls) -> dict[str, type[Self]]:
        """Every kind of this family by name, itself among them where it is one."""
        return {kind.__name__: kind for kind in (cls, *_family(cls)) if not kind.abstract}

    @classmethod
    def from_json(cls, text: Any) -> Self:
        """The record that `to_json` wrote. What is left out takes its default; what is unknown is an error."""
        family = cls.__name__.lower()
        if not isinstance(text, dict) or not isinstance(text.get("kind"), str):
            raise SettingError(f'a {family} is written {{"kind": NAME, …}}, got {str(text)[:60]!r}')
        kinds, name = cls.kinds(), text["kind"]
        if name not in kinds:
            own = ". One of your own is known once the file that defines it is imported" if family == "layer" else ""
            raise SettingError(f"there is no {family} called {name!r}; {nearest(name, kinds)}{own}")
        kind = kinds[name]
        known = {field.name for field in fields(kind)}  # type: ignore[arg-type]
        for key in text.keys() - known - {"kind"}:
            raise SettingError(f"{name} has no setting {key!r}; {nearest(key, known)}")
        try:
            return kind(**{key: _lively(value) for key, value in text.items() if key != "kind"})
        except TypeError as error:  # a setting without default is missing, or of a type that cannot be
            raise SettingError(f"{name}: {str(error).replace('__init__() ', '')}") from None


def _family(cls: type) -> Iterator[Any]:
    kinds: list[type] = cls.__subclasses__()
    for kind in kinds:
        yield kind
        yield from _family(kind)


def _is_a(value: Any, kind: Any) -> bool:
    """Whether a value is of a declared type. A whole number will do for a float; True is not a number."""
    if isinstance(kind, types.UnionType):
        return any(_is_a(value, each) for each in kind.__args__)
    if typing.get_origin(kind) is tuple:
        parts = typing.get_args(kind)
        if parts[-1] is Ellipsis:
            return isinstance(value, tuple) and all(_is_a(each, parts[0]) for each in value)
        return isinstance(value, tuple) and len(value) == len(parts) and all(map(_is_a, value, parts))
    if kind in (int, float):
        number = isinstance(value, int | np.integer | (float if kind is float else int)) and not isinstance(value, bool)
        # A whole number of a file may be beyond any float, and one of machine code's has 64 bits.
        return number and abs(value) <= (LARGEST if isinstance(value, int) else sys.float_info.max)
    return isinstance(value, kind)


def _is_list(owner: type, name: str) -> bool:
    """Whether a setting is a list of any length, and no pair."""
    kind = typing.get_type_hints(owner)[name]
    kinds = kind.__args__ if isinstance(kind, types.UnionType) else (kind,)
    return any(Ellipsis in typing.get_args(each) for each in kinds)


def _in_words(kind: Any) -> str:
    if isinstance(kind, types.UnionType):
        return " or ".join(map(_in_words, kind.__args__))
    if Ellipsis in typing.get_args(kind):
        return f"a list, of which each is {_in_words(typing.get_args(kind)[0])}"
    words = {
        int: "a whole number",
        float: "a finite number",
        bool: "True or False",
        str: "a word",
        types.NoneType: "None",
    }
    return words.get(kind) or ("a pair (rows, columns)" if typing.get_origin(kind) is tuple else f"a {kind.__name__}")


def _plain(value: Any) -> Any:
    if isinstance(value, Record):
        return value.to_json()
    return [_plain(each) for each in value] if isinstance(value, tuple) else value


def _lively(value: Any) -> Any:
    if isinstance(value, dict):
        return Record.from_json(value)
    return tuple(_lively(each) for each in value) if isinstance(value, list) else value


def bounded(path: str, most: int) -> bytes:
    """The bytes of a file, or `most` and one more of a larger one: a device has no size, and no end."""
    content = bytearray()
    with open(path, "rb") as stream:
        while len(content) <= most and (chunk := stream.read(min(1 << 20, most + 1 - len(content)))):
            content += chunk
    return bytes(content)


def json_text(value: Any) -> str:
    """One line of JSON. JSON has no NaN and no infinity: a number that is not finite is null."""
    return json.dumps(_finite(value), allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
