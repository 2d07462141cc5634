import math

import numpy as np
import pytest
import torch

from clopsim.metrics import geometry


def unit_rows(n: int, d: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    z = torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return (z / z.norm(dim=-1, keepdim=True)).to(dtype)


def simplex(k: int, d: int) -> torch.Tensor:
    z = torch.eye(k, dtype=torch.float64) - 1 / k
    return torch.nn.functional.pad(z / z.norm(dim=-1, keepdim=True), (0, d - k))


@pytest.mark.parametrize(
    "z, energy, amplitude, centered",
    [  # the four conventions in use, by hand
        (torch.eye(4, dtype=torch.float64)[[0] * 6], 1, 1, 0),
        (torch.eye(4, dtype=torch.float64)[[0] * 6] * torch.tensor([1.0, -1] * 3).double()[:, None], 1, 1, 1),
        (simplex(4, 8), 3, 3, 3),
        (torch.eye(4, 8, dtype=torch.float64), 4, 4, 3),
        (torch.eye(3, dtype=torch.float64)[[0, 0, 0, 1]], 0.75**-0.75 * 0.25**-0.25, None, 1),
    ],
    ids=["point", "antipodal pair", "simplex", "orthonormal", "three and one"],
)
def test_effective_rank_by_hand(z, energy, amplitude, centered):
    assert float(geometry.effective_rank(z)) == pytest.approx(energy, rel=1e-7)
    assert float(geometry.effective_rank(z, centered=True)) == pytest.approx(centered, abs=1e-7)
    if amplitude:
        assert float(geometry.effective_rank(z, spectrum="amplitude")) == pytest.approx(amplitude, rel=1e-6)


@pytest.mark.parametrize("shape", [(8, 16), (64, 8)])
def test_effective_rank_equals_the_definition_by_svd(shape):
    z = unit_rows(*shape)
    sigma = np.linalg.svd(z.numpy(), compute_uv=False)
    for spectrum, weight in (("amplitude", sigma), ("energy", sigma**2)):
        p = weight / weight.sum()
        expected = math.exp(-(p * np.log(p)).sum())
        assert float(geometry.effective_rank(z, spectrum=spectrum)) == pytest.approx(expected, rel=1e-10)


def test_a_collapsed_float32_batch_with_noise_in_its_last_bits_has_no_centered_rank():
    """Without a scale guard this batch scores about 62 of 64."""
    noise = 1e-7 * torch.randn(64, 64, generator=torch.Generator().manual_seed(0))
    z = torch.full((64, 64), 1 / 8) + noise
    assert float(geometry.effective_rank(z, centered=True)) < 1.01
    assert float(geometry.effective_rank(z)) == pytest.approx(1, abs=1e-6)
    perturbed = torch.full((64, 64), 1 / 8, dtype=torch.float64) + 1e3 * noise.double()
    assert float(geometry.effective_rank(perturbed, centered=True)) > 30  # a real spread of 1e-4 is measured


def test_simple_observables_by_hand():
    pair = torch.tensor([[1.0, 0.0], [0.0, 1.0]], dtype=torch.float64)
    assert float(geometry.mean_resultant_length(pair)) == pytest.approx(math.sqrt(0.5))
    assert float(geometry.mean_cosine(pair)) == pytest.approx(0, abs=1e-15)
    assert float(geometry.leading_share(pair)) == pytest.approx(0.5)
    assert float(geometry.alignment(pair)) == pytest.approx(2)
    assert float(geometry.uniformity(pair)) == pytest.approx(-4)
    point = pair[[0, 0]]
    assert [
        float(f(point)) for f in (geometry.mean_resultant_length, geometry.mean_cosine, geometry.leading_share)
    ] == [1] * 3
    assert [float(f(point)) for f in (geometry.alignment, geometry.uniformity)] == [0, 0]


def test_mean_cosine_and_uniformity_equal_slow_loops():
    z = unit_rows(7, 3)
    pairs = [(i, j) for i in range(7) for j in range(7) if i != j]
    cosine = sum(float(z[i] @ z[j]) for i, j in pairs) / len(pairs)
    kernel = sum(math.exp(-2 * float((z[i] - z[j]) @ (z[i] - z[j]))) for i, j in pairs) / len(pairs)
    assert float(geometry.mean_cosine(z)) == pytest.approx(cosine, abs=1e-14)
    assert float(geometry.uniformity(z)) == pytest.approx(math.log(kernel), rel=1e-12)


@pytest.mark.parametrize("d", (2, 3, 8))
def test_harmonic_energy(d):
    z = unit_rows(9, d)
    energy = geometry.harmonic_energy(z)
    assert float(energy[0]) == pytest.approx(float(geometry.mean_resultant_length(z)) ** 2, rel=1e-12)
    torch.testing.assert_close(geometry.harmonic_energy(z[[0] * 5]), torch.ones(4, dtype=torch.float64))
    line = z[[0] * 4] * torch.tensor([1.0, -1.0, 1.0, -1.0], dtype=torch.float64)[:, None]
    torch.testing.assert_close(geometry.harmonic_energy(line), torch.tensor([0.0, 1, 0, 1], dtype=torch.float64))
    frame = torch.cat([torch.eye(d, dtype=torch.float64), -torch.eye(d, dtype=torch.float64)])
    torch.testing.assert_close(geometry.harmonic_energy(frame)[:3], torch.zeros(3, dtype=torch.float64))


def test_harmonic_energy_on_the_circle_is_the_fourier_energy():
    angle = torch.randn(11, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    energy = geometry.harmonic_energy(torch.stack([angle.cos(), angle.sin()], dim=1), degrees=6)
    for degree in range(1, 7):
        fourier = torch.exp(1j * degree * angle).mean().abs() ** 2
        assert float(energy[degree - 1]) == pytest.approx(float(fourier), abs=1e-13)


def test_a_run_that_is_not_finite_is_nan_and_touches_no_other():
    z = torch.stack([unit_rows(6, 3, seed) for seed in range(3)])
    z[1, 2] = torch.nan
    for function in (
        geometry.mean_resultant_length, geometry.effective_rank, geometry.leading_share, geometry.mean_cosine,
        geometry.alignment, geometry.uniformity, geometry.harmonic_energy,
    ):  # fmt: skip
        values = function(z)
        assert values[1].isnan().all(), function.__name__
        torch.testing.assert_close(values[2], function(z[2]), rtol=1e-12, atol=1e-14)


def test_wrong_input():
    with pytest.raises(ValueError, match="^z must hold two views of every sample, got n = 3"):
        geometry.alignment(unit_rows(3, 2))
    with pytest.raises(ValueError, match="^spectrum must be one of energy, amplitude"):
        geometry.effective_rank(unit_rows(3, 2), spectrum="sigma")


@pytest.mark.parametrize(
    "observable",
    (
        "mean_resultant_length",
        "effective_rank",
        "leading_share",
        "mean_cosine",
        "alignment",
        "uniformity",
        "harmonic_energy",
    ),
)
@pytest.mark.parametrize("given", ([[1.0, 0.0], [0.0, 1.0]], np.eye(2)))
def test_what_is_no_tensor_is_refused_in_a_sentence(observable, given):
    with pytest.raises(ValueError, match=f"^z must be a tensor, got {type(given).__name__}; torch.as_tensor makes one"):
        getattr(geometry, observable)(given)
