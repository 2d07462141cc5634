"""Options that several commands share, and the builders of the others."""

from typing import Annotated, Any, get_args

import typer

from clopsim.bounds import Gradient, Keys, Loss, PrototypeDistance, Prototypes, Reduction


def _number(text: str) -> float:
    """A float; the records check its range."""
    try:
        return float(text)
    except ValueError:
        raise typer.BadParameter(f"must be a number, got {text!r}; write it as in 0.5") from None


def _whole(text: str) -> int:
    """An int; the records check its range."""
    try:
        return int(text)
    except ValueError:
        raise typer.BadParameter(f"must be a whole number, got {text!r}; write it as in 8") from None


def number_option(help: str, *names: str) -> Any:
    """An option that takes a float."""
    return typer.Option(*names, parser=_number, metavar="NUMBER", help=help)


def whole_option(help: str, *names: str) -> Any:
    """An option that takes a whole number."""
    return typer.Option(*names, parser=_whole, metavar="N", help=help)


def choice_option(choices: Any, help: str) -> Any:
    """Any word passes here: the record that takes it names the choices."""
    return typer.Option(parser=str, metavar="|".join(get_args(choices)), help=help)


Tau = Annotated[float, number_option("Temperature, > 0.", "--tau")]
Taus = Annotated[list[float], number_option("Temperature, > 0; repeat for several.", "--tau")]
Dim = Annotated[int, whole_option("Dimension of the embeddings, >= 2.", "--dim")]
Samples = Annotated[int, whole_option("Embeddings n in the loss; the full loss counts both views (2N).")]
LossOption = Annotated[
    Loss, choice_option(Loss, "full: InfoNCE / NT-Xent; merged: its two views coincide (the paper).")
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
    float, number_option("beta of the heavy ball, v <- beta v + g, z <- normalise(z - mu v); in [0, 1).", "--momentum")
]
Classes = Annotated[int | None, whole_option("Balanced classes: what prototypes do to them, too (merged loss, sum).")]
PrototypesOption = Annotated[
    Prototypes, choice_option(Prototypes, "With --classes. etf: the authors' option of that name, which is no simplex.")
]
Weight = Annotated[
    float | None, number_option("With --classes: prototype weight per sample next to the sum loss.", "--weight")
]
DistanceOption = Annotated[
    PrototypeDistance, choice_option(PrototypeDistance, "With --classes: of the prototype term; which weight is named.")
]
LabelledOption = Annotated[float, number_option("With --classes: share of the samples with a label, in (0, 1].")]
Ema = Annotated[
    float | None,
    number_option("MoCo: momentum m of the key encoder, in [0, 1) (full loss, tangent gradient, detached keys)."),
]
Queue = Annotated[int, whole_option("With --ema: the queue holds the keys of so many steps.")]
BatchOf = Annotated[
    int | None, whole_option("The samples are a batch, drawn at every step from so many embeddings (full loss).")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout and nothing else.")]
