"""What the public functions of bounds take, checked at the door by their own annotations.

Inside bounds the functions call each other without it: there they get symbols and balls of intervals as well.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from fractions import Fraction
from functools import cache, partial, wraps
from inspect import signature
from numbers import Integral, Real
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, cast, get_args, get_origin

import numpy as np
from numpy.typing import ArrayLike, NDArray

from clopsim.bounds.setting import LARGEST, one_of, plain, shown

Public = TypeVar("Public")
Fit = Callable[[str, Any], Any]
"""The value of an argument of this name as the function takes it; ValueError if it is of another kind."""

RECORDS = {
    "Setting": "Setting(temperature=0.5, dimension=3, samples=60)",
    "PaucSetting": "PaucSetting(classes=4, per_class=2)",
    "ClassLoss": "class_loss('supcon', classes=4, per_class=8, temperature=0.5)",
    "Pattern": "Pattern('spread', neighbours=0.0, positives=0.0, number=7)",
    "LineSlopes": "line_slopes('nt_xent', classes=4, per_class=8, temperature=0.5)",
}
"""How to make a record that functions take."""

FAR = 100
"""Factor from 1 beyond which an argument, and not the formula, is to blame for an overflow."""


def at_the_door(public: Public) -> Public:
    """A function that fits its arguments to its annotations first; anything else as it is.

    A number may be one of numpy, or an array or tensor without axes; an array may be a list, a tuple or a tensor.
    """
    if not callable(public) or isinstance(public, type) or get_origin(public):
        return public

    @wraps(public)
    def call(*args: Any, **keywords: Any) -> Any:
        fits, places = _fits(public)
        given = [fit(name, value) for (name, fit), value in zip(places, args, strict=False)]
        named = {name: fits[name](name, value) if name in fits else value for name, value in keywords.items()}
        try:
            return public(*given, *args[len(given) :], **named)
        except (OverflowError, ZeroDivisionError) as error:
            if far := _farthest({**dict(zip(fits, given, strict=False)), **named}):
                name, value = far
                raise ValueError(
                    f"{name} must be nearer to 1, got {shown(value)}; the formula leaves the range of a float there"
                ) from error
            raise

    call.__module__ = __package__  # where it is found by its name, as pickle does
    return cast(Public, call)


def fit_fields(record: Any) -> None:
    """Fit the fields of a frozen record to their annotations; ValueError if one is of another kind."""
    kind: type = type(record)
    for name, fit in _field_fits(kind).items():
        object.__setattr__(record, name, fit(name, getattr(record, name)))


def _farthest(given: Mapping[str, Any]) -> tuple[str, Any] | None:
    """The argument that is farthest from 1, by its factor; None if all are within FAR."""
    numbers = {name: abs(value) for name, value in given.items() if isinstance(value, int | float)}
    factors = {name: max(number, 1 / number) if number else math.inf for name, number in numbers.items()}
    name = max(factors, key=factors.__getitem__, default="")
    return (name, given[name]) if factors.get(name, 0) > FAR else None


@cache
def _fits(function: Callable[..., Any]) -> tuple[dict[str, Fit], list[tuple[str, Fit]]]:
    """How each argument is fitted: by name, and of those that may be given by place."""
    parameters = signature(function).parameters.values()
    fits = {each.name: fit_of(each.annotation) for each in parameters}
    return fits, [(each.name, fits[each.name]) for each in parameters if each.kind is each.POSITIONAL_OR_KEYWORD]


@cache
def _field_fits(record: type) -> dict[str, Fit]:
    return {name: fit_of(hint) for name, hint in record.__annotations__.items()}


def fit_of(hint: Any) -> Fit:
    """The fit of an annotation."""
    options = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
    if NoneType in options:
        return partial(_or_none, fit_of(Union[tuple(each for each in options if each is not NoneType)]))  # noqa: UP007
    if hint == ArrayLike:
        return _array
    if arrays := [each for each in options if get_origin(each) is np.ndarray]:
        (dtype,) = get_args(get_args(arrays[0])[1])
        return partial(_numbers if float in options else _array, dtype=dtype)
    origin, args = get_origin(hint), get_args(hint)
    if isinstance(hint, TypeVar) or hint is float:
        return _number
    if hint in (int, bool, str):
        return {int: _whole, bool: _flag, str: _word}[hint]
    if origin is Literal:
        return partial(_choice, choices=args)
    if origin is tuple and args[-1] is not Ellipsis:
        return partial(_several, fit=fit_of(args[0]), count=len(args))
    if origin in (Sequence, Iterable, tuple):
        return partial(_several, fit=fit_of(args[0]), ordered=origin is not Iterable)
    if origin is Callable:
        return _function
    return partial(_record, kind=hint)


def _or_none(fit: Fit, name: str, value: object) -> Any:
    return None if value is None else fit(name, value)


def _number(name: str, value: Any) -> Any:
    if type(value) is float:
        return value
    found = plain(value)
    if isinstance(found, bool) or not isinstance(found, Real):
        raise ValueError(f"{name} must be a number, got {shown(value)}; give one such as 0.5")
    try:
        number = float(found)
    except OverflowError:
        raise ValueError(f"{name} must be a number below 1e308, got {shown(value)}; lower it") from None
    return found if isinstance(found, int | float | Fraction) else number


def _whole(name: str, value: Any) -> int:
    found = plain(value)
    if isinstance(found, bool) or not isinstance(found, Integral):
        raise ValueError(f"{name} must be a whole number, got {shown(value)}; give one such as 8")
    if abs(number := int(found)) > LARGEST:
        raise ValueError(f"{name} must be a whole number <= {LARGEST}, got {shown(value)}; lower it")
    return number


def _flag(name: str, value: Any) -> bool:
    found = plain(value)
    if not isinstance(found, bool):
        raise ValueError(f"{name} must be True or False, got {shown(value)}; choose one of them")
    return found


def _word(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{name} must be a word, got {shown(value)}; give one such as 'spread'")
    return value


def _choice(name: str, value: object, *, choices: Sequence[str]) -> object:
    one_of(name, value, choices)
    return value


def _numbers(name: str, value: Any, *, dtype: Any) -> Any:
    """A number, or an array of them."""
    if isinstance(value, float | int) or getattr(value, "shape", None) == ():
        return _number(name, value)
    return _array(name, value, dtype=dtype, rule="a number or an array of numbers", remedy="0.5 or [0.5, 1.0]")


def _array(
    name: str, value: Any, *, dtype: Any = None, rule: str = "an array of numbers", remedy: str = "[0.5, 1.0]"
) -> NDArray[Any]:
    """An array with one or more axes; those of numbers of any kind keep it where dtype is None."""
    try:
        array = np.asarray(plain(value) if hasattr(value, "detach") else value)
    except (RuntimeError, TypeError, ValueError):
        array = np.empty((), dtype=object)
    if array.dtype.kind not in "biuf" or not array.ndim:
        raise ValueError(f"{name} must be {rule}, got {shown(value)}; give one such as {remedy}")
    return array if dtype in (None, Any) else array.astype(dtype, copy=False)


def _several(name: str, value: Any, *, fit: Fit, count: int | None = None, ordered: bool = True) -> tuple[Any, ...]:
    """A tuple, from anything that has its values in order; if not ordered, in any."""
    unfit = str | bytes | Mapping | Set if ordered else str | bytes | Mapping
    try:
        values = None if isinstance(value, unfit) else tuple(value)
    except TypeError:
        values = None
    if values is None or count not in (None, len(values)):
        rule = "a list" if count is None else f"a list of {count} values"
        raise ValueError(
            f"{name} must be {rule}, got {shown(value)}; give one such as {list(range(4, 4 + (count or 2)))}"
        )
    return tuple(fit(f"{name}[{place}]", each) for place, each in enumerate(values))


def _function(name: str, value: object) -> object:
    if not callable(value):
        raise ValueError(f"{name} must be a function, got {shown(value)}; give one such as lambda x: x**2 - 2")
    return value


def _record(name: str, value: object, *, kind: type) -> object:
    if not isinstance(value, kind):
        raise ValueError(
            f"{name} must be a {__package__}.{kind.__name__}, got {shown(value)}; build one: {RECORDS[kind.__name__]}"
        )
    for field in getattr(kind, "_fields", ()):  # of a named tuple, which checks none when it is made
        _field_fits(kind)[field](f"{name}.{field}", getattr(value, field))
    return value
