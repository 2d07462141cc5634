"""Options that several commands share, and the builders of the others."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, get_args

import typer

from clopsim.bounds import Gradient, Keys, Loss, PrototypeDistance, Prototypes, Reduction
from clopsim.bounds.setting import each_once

NARROW = 15
"""Letters of the column in which --help names what an option takes."""


def _number(text: str) -> float:
    """A float; the records check its range."""
    try:
        return float(text)
    except ValueError:
        _check_single(text)
        raise typer.BadParameter(f"must be a number, got {text!r}; write it as in 0.5") from None


def _whole(text: str) -> int:
    """An int; the records check its range."""
    try:
        return int(text)
    except ValueError:
        _check_single(text)
        raise typer.BadParameter(f"must be a whole number, got {text!r}; write it as in 8") from None


def _check_single(text: str) -> None:
    """BadParameter if these are several numbers."""
    with suppress(ValueError):
        if len(list(map(float, text.split(",")))) > 1:
            raise typer.BadParameter(
                f"takes one number here, got {text!r}; run the command once for each (fractions have a point: 0.5)"
            )


def number_option(help: str, *names: str, metavar: str = "NUMBER") -> Any:
    """An option that takes a float."""
    return typer.Option(*names, parser=_number, metavar=metavar, help=help)


def whole_option(help: str, *names: str) -> Any:
    """An option that takes a whole number."""
    return typer.Option(*names, parser=_whole, metavar="N", help=help)


def choice_option(choices: Any, help: str, *, metavar: str | None = None, **more: Any) -> Any:
    """Any word passes here: the record that takes it names the choices. metavar: in their place.

    Where they are many, they follow the help: the column they would stand in is narrow.
    """
    words = get_args(choices)
    if metavar is None and len("|".join(words)) > NARROW:
        metavar, help = "CHOICE", f"{help} One of {', '.join(words)}."
    return typer.Option(parser=str, metavar=metavar or "|".join(words), help=help, **more)


def list_option(help: str, *names: str, metavar: str = "NUMBER,...", **more: Any) -> Any:
    """An option that takes several values, by comma or given again: several() reads them."""
    return typer.Option(*names, metavar=metavar, help=help, **more)


def several(name: str, given: Sequence[str], kind: Callable[[str], Any] = float) -> tuple[Any, ...]:
    """The values of an option that takes several. Errors: ValueError for a gap, a repetition, a word for a number."""
    text = ",".join(given)
    words = [word.strip() for word in text.split(",")]
    each_once(name, words)
    try:
        return tuple(map(kind, words))
    except ValueError:
        what, example = ("whole number", 8) if kind is int else ("number", 0.5)
        if len(words) == 1:
            raise ValueError(f"{name} must be a {what}, got {text!r}; write it as in {example}") from None
        rule = f"{name} must be {what}s separated by commas, got {text!r}; write them as in {example},{2 * example}"
        raise ValueError(rule) from None


def folder_option(usual: str | None = None) -> Any:
    """The option for the folder that a command writes; usual: its name where none is given."""
    help = "Folder to write." if usual is None else f"Folder to write. (default: {usual})"
    return typer.Option(metavar="FOLDER", help=help, show_default=usual is None)


Tau = Annotated[float, number_option("Temperature, > 0.", "--tau")]
Taus = Annotated[list[str], list_option("Temperature, > 0.", "--tau")]
Dim = Annotated[int, whole_option("Dimension of the embeddings, >= 2.", "--dim")]
Samples = Annotated[
    int, whole_option("How many samples. As embeddings n in the loss; the full loss counts both views (2N).")
]
LossOption = Annotated[
    Loss, choice_option(Loss, "The loss. full: InfoNCE / NT-Xent; merged: its two views coincide (the paper).")
]
GradientOption = Annotated[
    Gradient,
    choice_option(Gradient, "ambient: Euclidean step (the paper); tangent: projected, as autograd through normalize."),
]
KeysOption = Annotated[
    Keys, choice_option(Keys, "detached: gradient through the anchor only, as with a momentum encoder.")
]
ReductionOption = Annotated[
    Reduction, choice_option(Reduction, "Over the anchors; PyTorch's cross_entropy takes the mean.")
]
MomentumOption = Annotated[
    float,
    number_option("Momentum beta, in [0, 1). A heavy ball: v <- beta v + g, z <- normalise(z - mu v).", "--momentum"),
]
Classes = Annotated[
    int | None, whole_option("Classes of the samples. Balanced; adds what prototypes do to them (merged loss, sum).")
]
PrototypesOption = Annotated[
    Prototypes,
    choice_option(
        Prototypes,
        "A fixed vector for each class. With --classes; etf: the authors' option of that name, which is no simplex.",
    ),
]
Weight = Annotated[
    float | None,
    number_option("Weight lambda of the prototype term. With --classes; per sample, next to the sum loss.", "--weight"),
]
DistanceOption = Annotated[
    PrototypeDistance,
    choice_option(PrototypeDistance, "Distance in the prototype term. With --classes; says which weight is named."),
]
LabelledOption = Annotated[float, number_option("Share of the samples whose label is seen. With --classes; in (0, 1].")]
Ema = Annotated[
    float | None,
    number_option("MoCo: momentum m of the key encoder, in [0, 1) (full loss, tangent gradient, detached keys)."),
]
Queue = Annotated[int, whole_option("With --ema: the queue holds the keys of so many steps.")]
BatchOf = Annotated[
    int | None, whole_option("The samples are a batch, drawn at every step from so many embeddings (full loss).")
]
Picture = Annotated[
    Path | None,
    typer.Option("--figure", metavar="PICTURE", help="Picture to draw: a .png, .pdf or .svg.", show_default=False),
]
Force = Annotated[bool, typer.Option("--force", help="Replace what --out already holds.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout and nothing else.")]
