"""The term that CLOP adds: the distance of every labelled embedding to the prototype of its class."""

from typing import Literal

import torch
from torch import Tensor

from clopsim.bounds.setting import one_of
from clopsim.losses.views import (
    Views,
    check_directions,
    check_floats,
    check_labels,
    check_views,
    of_class,
    parts,
    unit_rows,
)

Distance = Literal["cosine", "euclidean", "manhattan"]


def prototype_distance(
    embeddings: Tensor, labels: Tensor, prototypes: Tensor, *, distance: Distance = "cosine"
) -> Tensor:
    """Distance of every normalised embedding to its class's prototype, (N,); 0 for an unlabelled one.

        cosine: 1 - z.c;   euclidean: |z - c|_2 / 2;   manhattan: |z - c|_1 / 2

    Source: arXiv:2403.18699v2 (authors' code: halves, not squared).
    embeddings: (N, d) raw, normalised inside; labels: (N,) integers below K, < 0 = unlabelled; prototypes: (K, d).
    Returns float32 or better. Raises ValueError for wrong shapes, tensors on several devices, an unknown distance and a
    label >= K (on an accelerator and compiled it is the device's own assertion, because looking at the labels would
    make every step wait: look once, before training).
    """
    one_of("distance", distance, ("cosine", "euclidean", "manhattan"))
    check_floats(embeddings, "embeddings")
    check_labels(embeddings, labels)
    check_directions(prototypes, embeddings, "prototypes")
    z = unit_rows(embeddings)  # (N, d)
    c = of_class(prototypes.to(z.dtype), labels, "prototypes")  # (N, d)
    if distance == "cosine":
        far = 1 - (z * c).sum(dim=-1)
    else:
        far = torch.linalg.vector_norm(z - c, ord=2 if distance == "euclidean" else 1, dim=-1) / 2
    return torch.where(labels >= 0, far, 0.0)


def prototype_term(
    first: Views,
    second: Tensor | None,
    labels: Tensor,
    *,
    prototypes: Tensor,
    distance: Distance = "cosine",
) -> Tensor:
    """Mean of prototype_distance over the labelled samples and over the views; exactly 0 where no sample is labelled.

        (1/|S|) sum_(i in S) mean over views of distance(z_i, c_y(i)),   S the labelled samples

    Reduction: so each labelled row weighs 1/(2 |S|), or 1/|S| with one view, however many unlabelled ones there are.
    Critical rates: proportional to |S|; the cosine term has sharpness 1/(2 |S|) at the prototypes (ours).

    Source: arXiv:2403.18699v2 (authors' code; the paper's first version has the sum).
    first, second: (N, d) raw embeddings of the two views; second None for one view, (V, N, d) or a list of views; the
    rest as for prototype_distance. Returns a scalar, float32 or better.
    """
    views = parts(first, second)
    for view in views:
        check_views(views[0], view, labels)
    far = torch.stack([prototype_distance(view, labels, prototypes, distance=distance) for view in views])  # (V, N)
    return far.sum() / (len(views) * (labels >= 0).sum().clamp(min=1))
