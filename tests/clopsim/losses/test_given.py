"""What is no tensor is refused in a sentence by every loss."""

import numpy as np
import pytest
import torch

from clopsim.losses import (
    CLOP,
    LOSSES,
    OrthonormalPrototypes,
    calibrated,
    coding_rate,
    gather_rows,
    gathered,
    info_nce,
    learned_balance,
    moco,
    prototype_distance,
    prototype_term,
    rank_weights,
)


@pytest.mark.parametrize("name", LOSSES)
def test_lists_and_arrays_are_refused_in_a_sentence(name):
    first, second = torch.eye(6, 4), torch.ones(6, 4)
    loss = LOSSES[name].loss
    with pytest.raises(ValueError, match="^first must be a tensor, got list; torch.as_tensor makes one"):
        loss(first.tolist(), second.tolist(), torch.zeros(6, dtype=torch.long))
    with pytest.raises(ValueError, match="must be a tensor, got ndarray; torch.as_tensor makes one"):
        loss(np.eye(6, 4), np.ones((6, 4)), torch.zeros(6, dtype=torch.long))
    with pytest.raises(ValueError, match="^labels must be a tensor, got list"):
        loss(first, second, [0, 1] * 3)


Z, Y = torch.eye(4), torch.arange(4)


@pytest.mark.parametrize("given", ([[1.0, 0.0]] * 4, np.eye(4)))
@pytest.mark.parametrize(
    "call, name",
    (
        (lambda x: learned_balance(x, Z[0]), "terms"),
        (lambda x: learned_balance(Z[0], x), "log_sigma"),
        (lambda x: calibrated(x, Z, Z), "logits"),
        (lambda x: calibrated(Z, x, Z), "embeddings"),
        (lambda x: calibrated(Z, Z, x), "means"),
        (lambda x: moco(x, Z, Z), "first"),
        (lambda x: moco(Z, x, Z), "second"),
        (lambda x: moco(Z, Z, x), "queue"),
        (lambda x: coding_rate(x), "z"),
        (lambda x: rank_weights(x, keep=0.5), "losses"),
        (lambda x: prototype_distance(x, Y, Z), "embeddings"),
        (lambda x: prototype_distance(Z, x, Z), "labels"),
        (lambda x: prototype_distance(Z, Y, x), "prototypes"),
        (lambda x: prototype_term(Z, x, Y, prototypes=Z), "second"),
        (lambda x: gather_rows(x), "rows"),
    ),
)
def test_what_stands_beside_the_losses_refuses_them_too(given, call, name):
    with pytest.raises(ValueError, match=f"^{name} must be a tensor, got (list|ndarray); torch.as_tensor makes one"):
        call(given)


def test_what_is_no_loss_and_no_prototypes_is_refused_where_it_is_given():
    with pytest.raises(ValueError, match="^loss must be a loss of two views and labels, got list"):
        gathered([1])
    with pytest.raises(ValueError, match="^base must be a loss of two views and labels, got str"):
        CLOP("infonce", OrthonormalPrototypes(2, 4))
    with pytest.raises(ValueError, match="^prototypes must be OrthonormalPrototypes, got Tensor"):
        CLOP(info_nce, Z)
