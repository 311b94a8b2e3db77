"""Records: frozen settings that print shortly, compare by value and travel as JSON."""

from collections.abc import Iterator
from dataclasses import MISSING, dataclass, fields
from typing import Any, Self, dataclass_transform

from plaingrad.errors import SettingError, nearest


@dataclass_transform(frozen_default=True)
class Record:
    """A few named settings. A subclass states its fields; equality, hash, `repr` and JSON come free."""

    def __init_subclass__(cls) -> None:
        dataclass(frozen=True, repr=False)(cls)

    def settings(self) -> dict[str, Any]:
        """Every field and its value."""
        return {field.name: getattr(self, field.name) for field in fields(self)}  # type: ignore[arg-type]

    def __repr__(self) -> str:
        """The record as one would write it: what is at its default is left out, and a pair of equals is one number."""
        shown = []
        for field in fields(self):  # type: ignore[arg-type]
            value = getattr(self, field.name)
            if isinstance(value, tuple) and len(set(value)) == 1:
                value = value[0]
            if field.default is MISSING or value != field.default:
                shown.append(f"{field.name}={value!r}")
        return f"{type(self).__name__}({', '.join(shown)})"

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
        """Every kind of this family by name."""
        return {kind.__name__: kind for kind in _family(cls)}

    @classmethod
    def from_json(cls, text: Any) -> Self:
        """The record that `to_json` wrote. What is left out takes its default; what is unknown is an error."""
        family = cls.__name__.lower()
        if not isinstance(text, dict) or not isinstance(text.get("kind"), str):
            raise SettingError(f'a {family} is written {{"kind": NAME, …}}, got {str(text)[:60]!r}')
        kinds, name = cls.kinds(), text["kind"]
        if name not in kinds:
            raise SettingError(f"there is no {family} called {name!r}; {nearest(name, kinds)}")
        kind = kinds[name]
        known = {field.name for field in fields(kind)}  # type: ignore[arg-type]
        for key in text.keys() - known - {"kind"}:
            raise SettingError(f"{name} has no setting {key!r}; {nearest(key, known)}")
        try:
            return kind(**{key: _lively(value) for key, value in text.items() if key != "kind"})
        except TypeError as error:  # a setting without default is missing, or of a type that cannot be
            raise SettingError(f"{name}: {str(error).replace('__init__() ', '')}") from None


def _family(cls: type) -> Iterator[Any]:
    for kind in cls.__subclasses__():
        yield kind
        yield from _family(kind)


def _plain(value: Any) -> Any:
    if isinstance(value, Record):
        return value.to_json()
    return [_plain(each) for each in value] if isinstance(value, tuple) else value


def _lively(value: Any) -> Any:
    if isinstance(value, dict):
        return Record.from_json(value)
    return tuple(_lively(each) for each in value) if isinstance(value, list) else value
