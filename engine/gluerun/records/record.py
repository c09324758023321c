"""Frozen values without generated code: what a frozen dataclass promises, at a fraction of its import cost.

A cycle that finds nothing to do must cost a few interpreter starts (docs/decisions/0002). The standard
decorator compiles several functions for every class; this one shares five between all of them.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeVar, dataclass_transform

    T = TypeVar("T")
else:

    def dataclass_transform(**_):
        """Stand in at run time for the type checker's marker."""
        return lambda function: function


@dataclass_transform(frozen_default=True, kw_only_default=True)
def record(cls: type[T]) -> type[T]:
    """Make *cls* a frozen value: keyword-only fields from its annotations, compared by value."""
    fields = tuple(cls.__annotations__)
    defaults = {name: cls.__dict__[name] for name in fields if name in cls.__dict__}
    for name, member in (
        ("__fields__", fields),
        ("__blank__", {name: defaults.get(name) for name in fields}),
        ("__names__", frozenset(fields)),
        ("__required__", frozenset(fields) - defaults.keys()),
        ("__match_args__", fields),
        ("__init__", _init),
        ("__eq__", _eq),
        ("__hash__", _hash),
        ("__repr__", _repr),
        ("__setattr__", _frozen),
        ("__delattr__", _frozen),
        ("__deepcopy__", _itself),
    ):
        setattr(cls, name, member)
    return cls


def replace(value: T, **changes: Any) -> T:
    """Return a copy of the record *value* with *changes* made."""
    return type(value)(**{**value.__dict__, **changes})


def fields_of(cls: type[Any]) -> tuple[str, ...]:
    """Return the field names of a record class in their order."""
    names: tuple[str, ...] = cls.__fields__
    return names


def _init(self: Any, **values: Any) -> None:
    cls = type(self)
    given = values.keys()
    made = cls.__blank__ | values  # in the order of the fields, whatever the order they are given in
    if len(made) != len(cls.__blank__) or not cls.__required__ <= given:
        unknown = sorted(given - cls.__names__)
        missing = sorted(cls.__required__ - given)
        raise TypeError(f"{cls.__name__}: unknown fields {unknown}, missing fields {missing}")
    self.__dict__.update(made)


def _eq(self: Any, other: object) -> bool:
    return type(self) is type(other) and self.__dict__ == other.__dict__


def _hash(self: Any) -> int:
    return hash((type(self), *self.__dict__.values()))


def _repr(self: Any) -> str:
    shown = ", ".join(f"{name}={value!r}" for name, value in self.__dict__.items())
    return f"{type(self).__name__}({shown})"


def _itself(self: Any, memo: object) -> Any:
    del memo
    return self


def _frozen(self: Any, name: str, *_: object) -> None:
    raise AttributeError(f"{type(self).__name__}.{name}: records are frozen; use replace()")
