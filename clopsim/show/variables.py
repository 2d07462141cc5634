"""What the variables of data.nc are: long_name and units of each, by the kind of run. The guide shows them."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import xarray as xr

Kind = Literal["sweep", "train", "train-sweep"]

SHARED: Mapping[str, str] = {
    "temperature": "temperature tau",
    "seed": "seed of the run",
    "step": "steps of gradient descent done",
    "mean_resultant_length": "length R of the mean unit embedding; 1 at complete collapse",
    "effective_rank": "exp of the entropy of the embeddings' energies",
    "leading_share": "share of the energy in the leading direction; 1 on a line",
    "mean_cosine": "mean cosine over all pairs",
    "uniformity": "log of the mean of exp(-2 x squared distance) over all pairs; 0 at a point",
    "alignment": "mean squared distance of the two views, 0 to 4",
    "effective_rank_centered": "effective rank about the mean embedding",
    "view_cosine": "mean cosine of the two views",
    "squared_norm": "mean squared norm of the raw embeddings",
    "outcome": "outcome at the last step",
}

OF_KIND: Mapping[Kind, Mapping[str, str]] = {
    "sweep": {
        "rate": "learning rate over mu_c",
        "degree": "degree of the spherical harmonics",
        "mu_c": "tau (n-1)/(n-2), scaled to keys, reduction and momentum",
        "learning_rate": "learning rate mu of the unit embeddings",
        "loss": "loss, of the setting's reduction",
        "loss_at_collapse": "loss where all embeddings are one point",
        "harmonic_energy": "energy of each degree; 1 at a point",
    },
    "train": {
        "learning_rate": "learning rate of the weights, after the warm-up",
        "loss": "loss, mean over the observed batches, prototypes included",
        "learning_rate_now": "learning rate of the weights, after the schedule",
        "effective_rate": "learning rate / mean squared norm, over the threshold of T5, (1 + momentum) tau n / 2",
        "sharpness": "largest Hessian eigenvalue in the weights, loss without decay, mean over the observed batches",
        "stable_learning_rate": "edge of stability on such a quadratic; sgd: 2 (1 + momentum) / (sharpness + decay)",
    },
    "train-sweep": {
        "loss": "name of the loss",
        "learning_rate": "learning rate of the weights, after the warm-up",
        "weight_decay": "weight decay of all parameters",
        "weight": "weight lambda of the prototype term; 0: the loss alone",
        "labelled_fraction": "share of the training labels that the loss sees",
        "batch_size": "samples in a step, two views each; 0: all",
        "loss_value": "loss of the observed batches, prototypes included",
        "embedding_variance": "total variance of the unit embeddings, 1 - R^2; 0 at complete collapse",
        "knn": "held-out accuracy, 20 nearest neighbours, all training labels",
        "linear_probe": "held-out accuracy, ridge on unit embeddings, all training labels",
    },
}

UNITS: Mapping[str, str] = {"rate": "mu_c"}
"""All else is a pure number (or a word): "1"."""


def attributes(kind: Kind, name: str) -> dict[str, str]:
    """long_name and units of a variable of such a run. Errors: KeyError for one that is not in the tables above."""
    long_name = OF_KIND[kind][name] if name in OF_KIND[kind] else SHARED[name]
    return {"long_name": long_name, "units": UNITS.get(name, "1")}


def described(dataset: "xr.Dataset", kind: Kind) -> "xr.Dataset":
    """The dataset of such a run, in which every variable and coordinate says what it is."""
    for name, variable in dataset.variables.items():
        variable.attrs.update(attributes(kind, str(name)))
    return dataset
