import copy
import math

import pytest
import torch

from clopsim.losses import CLOP, OrthonormalPrototypes, info_nce, prototype_term


@pytest.mark.parametrize("kind, classes, dimension", (
    ("orthonormal", 1, 1), ("orthonormal", 3, 8), ("orthonormal", 8, 8),
    ("simplex", 2, 1), ("simplex", 3, 8), ("simplex", 8, 8), ("simplex", 9, 8), ("simplex", 4, 3),
))  # fmt: skip
def test_cosines_are_those_of_the_frame(kind, classes, dimension):
    c = OrthonormalPrototypes(classes, dimension, kind=kind, dtype=torch.float64).vectors
    assert c.shape == (classes, dimension)
    off = 0 if kind == "orthonormal" else -1 / (classes - 1)
    wanted = torch.full((classes, classes), off, dtype=torch.float64).fill_diagonal_(1)
    torch.testing.assert_close(c @ c.mT, wanted, rtol=0, atol=1e-14)
    if kind == "simplex":
        assert float(c.sum(dim=0).abs().max()) < 1e-14


@pytest.mark.parametrize("kind, classes, most", (("orthonormal", 5, 3), ("simplex", 6, 4)))
def test_more_classes_than_fit_are_refused_with_the_dimension_that_holds_them(kind, classes, most):
    with pytest.raises(
        ValueError,
        match=f"classes must be <= {most} for {kind} .* in 3 dimensions, got {classes}; "
        "raise the embedding dimension to 5 or merge classes$",
    ):
        OrthonormalPrototypes(classes, 3, kind=kind)
    assert len(OrthonormalPrototypes(classes, 5, kind=kind).vectors) == classes
    with pytest.raises(ValueError, match="classes must be <= "):
        OrthonormalPrototypes(classes, 4, kind=kind)


def test_no_rank_one_state_is_stationary_once_two_vectors_are_not_parallel():
    """Of vectors of one's own, more than dimensions; base: InfoNCE."""
    generator = torch.Generator().manual_seed(0)
    vectors = torch.nn.functional.normalize(torch.randn(7, 3, generator=generator, dtype=torch.float64))
    labels = torch.arange(8) % 7
    signs = torch.tensor([1.0, -1.0] * 4, dtype=torch.float64)[:, None]

    def slope(point, vectors):
        first = (signs * point).requires_grad_()
        loss = info_nce(first, first) + prototype_term(first, first, labels, prototypes=vectors)
        return float(torch.autograd.grad(loss, first)[0].norm())

    for point in (*vectors, *torch.nn.functional.normalize(torch.randn(20, 3, generator=generator).double())):
        assert slope(point, vectors) > 0.1
    parallel = vectors[:1] * torch.tensor([1.0, -1, 1, 1, -1, 1, -1], dtype=torch.float64)[:, None]
    assert slope(vectors[0], parallel) < 1e-14


def test_other_wrong_inputs():
    with pytest.raises(ValueError, match="kind must be one of orthonormal, simplex, got 'etf'"):
        OrthonormalPrototypes(2, 3, kind="etf")
    with pytest.raises(ValueError, match="classes must be a whole number >= 1, got 0"):
        OrthonormalPrototypes(0, 3)
    with pytest.raises(ValueError, match="classes must be a whole number >= 2, got 1"):
        OrthonormalPrototypes(1, 3, kind="simplex")
    with pytest.raises(ValueError, match="dimension must be a whole number >= 1"):
        OrthonormalPrototypes(1, 2.5)
    with pytest.raises(ValueError, match="seed must be a whole number >= 0, got -1"):
        OrthonormalPrototypes(2, 3, seed=-1)
    with pytest.raises(ValueError, match="dtype must be a floating one, got torch.int64"):
        OrthonormalPrototypes(2, 3, dtype=torch.int64)


@pytest.mark.parametrize("kind", ("orthonormal", "simplex"))
def test_seeded_and_apart_from_the_global_generator(kind):
    torch.manual_seed(1)
    state = torch.get_rng_state()
    one = OrthonormalPrototypes(3, 5, kind=kind, seed=4).vectors
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(one, OrthonormalPrototypes(3, 5, kind=kind, seed=4).vectors)
    assert not torch.allclose(one, OrthonormalPrototypes(3, 5, kind=kind, seed=5).vectors, atol=0.1)


def test_directions_are_uniform():
    """Mean 0 and covariance I/d over seeds: raw QR, without its signs fixed, fails the mean."""
    c = torch.stack([OrthonormalPrototypes(2, 3, seed=seed, dtype=torch.float64).vectors for seed in range(400)])
    assert float(c.mean(dim=0).abs().max()) < 4 / math.sqrt(3 * 400)
    for k in range(2):
        torch.testing.assert_close(c[:, k].mT @ c[:, k] / 400, torch.eye(3).double() / 3, rtol=0, atol=0.08)


def test_state_dict_round_trip_and_never_trained():
    loss = CLOP(info_nce, OrthonormalPrototypes(3, 5, seed=1))
    assert list(loss.state_dict()) == ["prototypes.vectors"]
    assert not list(loss.parameters())
    assert not loss.prototypes.vectors.requires_grad
    other = CLOP(info_nce, OrthonormalPrototypes(3, 5, seed=2))
    other.load_state_dict(loss.state_dict())
    assert torch.equal(other.prototypes.vectors, loss.prototypes.vectors)
    twin = copy.deepcopy(loss)
    assert torch.equal(twin.prototypes.vectors, loss.prototypes.vectors)
    assert twin.prototypes.vectors.data_ptr() != loss.prototypes.vectors.data_ptr()
    assert twin.to("meta").prototypes.vectors.device.type == "meta"
    with pytest.raises(RuntimeError, match="size mismatch for prototypes.vectors"):
        loss.load_state_dict(CLOP(info_nce, OrthonormalPrototypes(2, 5)).state_dict())
    assert loss.double().prototypes.vectors.dtype == torch.float64
    assert "classes=3, dimension=5, kind='orthonormal'" in repr(loss)


def test_made_on_the_meta_device_and_under_a_default_device():
    assert OrthonormalPrototypes(3, 5, device="meta").vectors.device.type == "meta"
    with torch.device("meta"):
        assert OrthonormalPrototypes(3, 5, kind="simplex").vectors.device.type == "meta"
