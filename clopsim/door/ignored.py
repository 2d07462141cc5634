"""Options that a training would ignore are refused, not swallowed."""

from collections.abc import Collection, Mapping
from typing import Any

from clopsim.bounds.setting import shown
from clopsim.door.arguments import option_name

DRAWN = ("clusters", "lines")
"""Data that are drawn here."""

OF_DRAWN = ("features", "classes", "noise")
"""Options that say how."""


def chosen(given: Mapping[str, Any], usual: Mapping[str, Any]) -> set[str]:
    """Names of the options that somebody chose: the given ones, or of a whole record, as runs keep it to be repeated,
    those that are not as usual.
    """
    whole = usual.keys() <= given.keys()
    return {name for name, value in given.items() if not whole or value != usual[name]}


def check_used(told: Collection[str], options: Mapping[str, Any]) -> None:
    """ValueError if something was told that no run of these options, or lists of them, would use.

    told: names of the fields that somebody set; options: all of them, checked.
    """
    from clopsim.losses import LOSSES

    losses, data = (_listed(options[name]) for name in ("loss", "data"))
    if "temperature" in told and not any(loss == "clop" or LOSSES[loss].takes_temperature for loss in losses):
        raise ValueError(
            f"temperature must come with a loss that has one, got {shown(options['temperature'])} with "
            f"{', '.join(losses)}; leave {option_name('temperature')} out"
        )
    for name in OF_DRAWN:
        if name in told and not any(source in DRAWN for source in data):
            raise ValueError(
                f"{name} must come with data that are drawn here ({', '.join(DRAWN)}), got {shown(options[name])} with "
                f"{', '.join(data)}, which has its own; leave {option_name(name)} out"
            )


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]
