"""How the functions name their arguments: as the command line names its options."""

import inspect
import re
import sys
from collections.abc import Callable, Collection, Iterable, Mapping
from difflib import get_close_matches
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

OPTION_NAMES = {
    "temperature": "--tau",
    "dimension": "--dim",
    "kind": "KIND",
    "function": "LOSS",
    "file": "FILE",
    "names": "NAME",
    "protocol": "NAME",
    "stored": "--runs",
    "form": "--format",
    "folder": "FOLDER",
    "folders": "FOLDER...",
    "json_output": "--json",
    "every": "--all",
}
"""Options that are not spelt like their field."""

EMBEDDINGS = "file"
"""What inspection calls its embeddings, which a function calls z."""

Answered = TypeVar("Answered")


class WrongArgument(ValueError):
    """A wrong argument by its name here; about_field: the sentence about the field of a record."""

    def __init__(self, message: str, about_field: str) -> None:
        """Keep both sentences."""
        super().__init__(message)
        self.about_field = about_field


def option_name(field: str) -> str:
    """The option that sets a field of a record."""
    return OPTION_NAMES.get(field, "--" + field.replace("_", "-"))


def argument_name(field: str) -> str:
    """The argument of a function that sets a field of a record."""
    option = OPTION_NAMES.get(field, "")
    if field == EMBEDDINGS:
        return "z"
    return option.removeprefix("--").replace("-", "_") if option.startswith("--") else field


def takes(fields: Mapping[str, Any]) -> Callable[[Callable[..., Answered]], Callable[..., Answered]]:
    """Let a function take fields of a record, with their defaults, by the names of the options.

    The function gets those that were given, by field, as keywords; its signature shows them all, so that help() and tab
    completion know them. A ValueError about a field becomes one about the argument.
    """
    of_argument = {argument_name(field): field for field in fields}

    def decorate(function: Callable[..., Answered]) -> Callable[..., Answered]:
        own = inspect.signature(function)
        kinds = inspect.Parameter
        mine = [each for each in own.parameters.values() if each.kind is not kinds.VAR_KEYWORD]
        shown = [kinds(name, kinds.KEYWORD_ONLY, default=fields[field]) for name, field in of_argument.items()]
        first = [each for each in mine if each.kind is not kinds.KEYWORD_ONLY]
        signature = own.replace(parameters=[*first, *shown, *(each for each in mine if each not in first)])

        several = any(each.kind is kinds.VAR_POSITIONAL for each in first)
        named = [each.name for each in signature.parameters.values() if each not in first]
        usual = {each.name: each.default for each in signature.parameters.values()}

        @wraps(function)
        def call(*arguments: Any, **keywords: Any) -> Answered:
            if len(arguments) > len(first) and named and not several:
                from clopsim.bounds.setting import shown

                extra = shown(arguments[len(first)])
                raise TypeError(f"{function.__name__}() takes {extra} by name alone, as in {named[0]}={extra}")
            try:
                signature.bind(*arguments, **keywords)
            except TypeError as error:
                near = _nearest(keywords, signature.parameters)
                raise TypeError(f"{function.__name__}() {error}{near}") from None
            given = {
                of_argument.get(name, name): _kept(name, value, usual[name], field=name in of_argument)
                for name, value in keywords.items()
            }
            try:
                return function(*arguments, **given)
            except ValueError as error:
                if found := _about_argument(str(error)):
                    raise WrongArgument(found, str(error)) from None
                raise

        call.__signature__ = signature  # type: ignore[attr-defined]
        return call

    return decorate


def _nearest(given: Iterable[str], known: Collection[str]) -> str:
    """A question about the first argument that is unknown: whether a known one was meant; nothing if none is near."""
    other = next((name for name in given if name not in known), "")
    same = argument_name(other)  # of a field that is called otherwise here
    near = [same] if same in known else get_close_matches(other, known, n=1)
    return f"; did you mean {near[0]} instead of {other}?" if near else ""


def _about_argument(message: str) -> str | None:
    """The sentence about a field as one about its argument; None if it is about none."""
    found = re.match(r"(\w+)(?= (?:must|needs)\b)", message)
    if not found:
        return None
    rest = re.sub(r"--([a-z][a-z-]*)", lambda option: option[1].replace("-", "_"), message[found.end() :])
    return argument_name(found[1]) + rest


def _kept(name: str, value: Any, usual: Any, *, field: bool) -> Any:
    """The value of an argument; ValueError if it is no flag where the usual one is, or nothing for a field of a record:
    a number, a word, or a list of them."""
    from clopsim.bounds.setting import shown

    kept = _plain(value) if field or isinstance(usual, bool) else value
    if isinstance(usual, bool) and not isinstance(kept, bool):
        raise ValueError(f"{name} must be True or False, got {shown(value)}; choose one of them")
    if not field:
        return kept
    first = usual[0] if isinstance(usual, tuple) else usual
    words = isinstance(first, str)
    for each in kept if isinstance(kept, list) else [kept]:
        if not isinstance(each, str if words else bool | int | float | str | None):
            kind = "a word" if words else "a number"
            raise ValueError(f"{name} must be {kind} or a list of them, got {shown(value)}; the usual one is {first!r}")
        if isinstance(each, int) and abs(each) > sys.float_info.max:
            raise ValueError(f"{name} must be a number below 1e308, got {shown(value)}; lower it")
    return kept


def _plain(value: Any) -> Any:
    """A number, word or list as Python's own: records are written as JSON."""
    from clopsim.bounds.setting import plain

    if isinstance(value, Path) or type(value).__name__ == "device":  # of torch, which is not loaded for its sake
        return str(value)
    if isinstance(value, list | tuple | range):
        return [_plain(each) for each in value]
    return plain(value)
