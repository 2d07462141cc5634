"""Adversaries on embeddings: their limits, their dual, noise as temperature, the losses that they wrap."""

import math
from functools import partial

import pytest
import torch

from clopsim.losses import adversarial, dcl, info_nce, l_statistic, noisy, supcon, vicreg
from clopsim.losses.adversarial import adversarial_of_rows, noisy_of_rows
from clopsim.losses.dcl import dcl_of_rows
from clopsim.losses.info_nce import info_nce_of_rows
from clopsim.losses.views import unit_rows


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("base", (info_nce, dcl, supcon, partial(supcon, form="in")))
@pytest.mark.parametrize("reduction", ("mean", "sum", "none"))
def test_nothing_to_move_is_the_base(base, reduction, batch):
    first, second, labels = batch()
    options = {"temperature": 0.3, "reduction": reduction}
    wanted = base(first, second, labels, **options)
    for choice in ({"sigma": 0}, {"entropy": math.inf}):
        torch.testing.assert_close(adversarial(first, second, labels, base=base, **choice, **options), wanted)
    for entropy in (0, 1.0, math.inf):
        found = noisy(first, second, labels, base=base, noise=generator(), sigma=0, entropy=entropy, **options)
        torch.testing.assert_close(found, wanted)


def test_to_first_order_it_adds_the_squared_gradient(batch):
    """max over delta of G.delta - |delta|^2/(2 r) is r |G|^2/2, r = sigma^2/entropy."""
    z = unit_rows(torch.cat(batch()[:2])).requires_grad_()
    (slope,) = torch.autograd.grad(info_nce(z[:6], z[6:], temperature=0.4, reduction="sum"), z)
    base = info_nce(z[:6], z[6:], temperature=0.4, reduction="sum")
    for reach in (1e-4, 1e-5):
        value = adversarial(z[:6], z[6:], temperature=0.4, sigma=math.sqrt(3 * reach), entropy=3.0, reduction="sum")
        gain = (value - base).detach() / (reach / 2 * slope.square().sum())
        assert float(gain) == pytest.approx(1, abs=60 * reach)


def test_only_sigma_squared_over_entropy_counts(batch):
    first, second, labels = batch()
    one = adversarial(first, second, labels, sigma=0.1, entropy=1.0, steps=2)
    assert float(adversarial(first, second, labels, sigma=0.2, entropy=4.0, steps=2)) == pytest.approx(float(one))
    assert float(adversarial(first, second, labels, sigma=0.2, entropy=1.0, steps=2)) > float(one) + 1e-3


def test_more_steps_find_more_until_the_best_move(batch):
    """The value rises to a maximum over delta: at the end its gradient in delta is 0."""
    first, second, labels = batch()
    values = [
        float(adversarial(first, second, labels, base=dcl, temperature=0.5, steps=k)) for k in (1, 2, 4, 8, 16, 32)
    ]
    assert values == sorted(values)
    assert values[-1] - values[-2] < 1e-9
    assert values[0] > float(dcl(first, second, labels, temperature=0.5))


def test_a_curvature_becomes_its_harmonic_shift():
    """A quadratic of curvature c has 1/(1/c - r) at the adversary's best move, and c (1 + a + a^2) after one step."""
    c, reach = 3.0, 0.1

    def own(rows, labels, *, reduction):
        return c / 2 * rows[:, 1].square()  # c/2 of the squared distance from (1, 0), small

    z = torch.tensor([[math.cos(1e-4), math.sin(1e-4)]], dtype=torch.float64)
    for steps, wanted in ((1, c * (1 + 0.3 + 0.09)), (60, 1 / (1 / c - reach))):
        value = adversarial_of_rows(z, base=own, sigma=math.sqrt(reach), entropy=1.0, steps=steps)
        assert float(value) == pytest.approx(wanted / 2 * 1e-8, rel=1e-6)


def test_the_dual_of_the_draws(batch):
    """entropy log mean exp(l/entropy) is the largest E_p[l] + entropy (H(p) - log draws), p prop. exp(l/entropy)."""
    first, second, labels = batch()
    noise = torch.randn(4, 12, 5, generator=generator(3), dtype=torch.float64)
    losses = torch.stack([
        info_nce(*unit_rows(unit_rows(torch.cat([first, second])) + 0.2 * one).chunk(2), reduction="none")
        for one in noise
    ])  # fmt: skip
    options = {"noise": noise, "sigma": 0.2, "reduction": "none"}
    value = noisy(first, second, labels, entropy=0.05, **options)
    best = torch.softmax(losses / 0.05, dim=0)
    torch.testing.assert_close(value, (best * losses).sum(0) - 0.05 * (best * (4 * best).log()).sum(0))
    for other in torch.softmax(torch.randn(50, 4, 12, generator=generator(4), dtype=torch.float64), dim=1):
        assert ((other * losses).sum(0) - 0.05 * (other * (4 * other).log()).sum(0) <= value + 1e-12).all()
    torch.testing.assert_close(noisy(first, second, labels, entropy=math.inf, **options), losses.mean(0))
    torch.testing.assert_close(noisy(first, second, labels, entropy=0, **options), losses.amax(0))
    nearly = noisy(first, second, labels, entropy=1e-6, **options)
    torch.testing.assert_close(nearly, losses.amax(0), rtol=0, atol=1e-5)


def test_draws_come_in_opposite_pairs_from_the_generator_alone(batch):
    first, second, labels = batch()
    one, same, other = (float(noisy(first, second, labels, noise=generator(s), draws=4)) for s in (1, 1, 2))
    assert one == same != other
    half = torch.randn(2, 12, 5, generator=generator(1), dtype=torch.float64)
    assert float(noisy(first, second, labels, noise=torch.cat([half, -half]))) == one
    single = torch.randn(1, 12, 5, generator=generator(1), dtype=torch.float64)
    found = noisy(first, second, labels, noise=generator(1), draws=1)
    assert float(found) == float(noisy(first, second, labels, noise=single))


def test_in_high_dimension_noise_is_temperature():
    """tau -> tau (1 + (d - 1) sigma^2): the cosines of noisy points shrink by that factor."""
    d, nu = 40_000, 0.5
    first, second = torch.randn(2, 5, d, generator=generator(), dtype=torch.float64)
    second = first + 0.5 * second
    value = noisy(first, second, noise=generator(1), sigma=math.sqrt(nu / (d - 1)), temperature=0.2, draws=8)
    warmer = info_nce(first, second, temperature=0.2 * (1 + nu))
    assert float(value) == pytest.approx(float(warmer), rel=3e-3)
    assert abs(float(info_nce(first, second, temperature=0.2)) / float(warmer) - 1) > 0.3


def test_three_views_one_view_and_several_labels(batch):
    views = torch.stack([*batch()[:2], batch(seed=5)[0]])
    same = adversarial(list(views), steps=2)
    assert float(adversarial(views, steps=2)) == float(same) > float(info_nce(views))
    labels = torch.tensor([0, 0, 0, 1, 1, 1])
    alone = adversarial(views[0], None, labels, base=supcon, temperature=0.5)
    assert float(alone) > float(supcon(views[0], None, labels, temperature=0.5))
    several = torch.nn.functional.one_hot(labels)
    assert float(adversarial(views[0], None, several, base=supcon, temperature=0.5)) == pytest.approx(float(alone))


def test_wrappers_nest(batch):
    """Adversary outside, trimming inside: trimmed anchors are neither counted nor attacked."""
    first, second, labels = batch()
    found = adversarial(first, second, labels, base=l_statistic, keep=0.5, sigma=0.05)
    assert float(found) > float(l_statistic(first, second, labels, keep=0.5))
    whole = adversarial(first, second, labels, base=l_statistic, keep=1.0)
    assert float(whole) == pytest.approx(float(adversarial(first, second, labels)), rel=1e-13)
    outside = l_statistic(first, second, labels, base=adversarial, keep=0.5)
    moved = adversarial(first, second, labels, reduction="none").sort().values
    assert float(outside) == pytest.approx(float(moved[:6].mean()), rel=1e-14)


def test_the_formulas_on_rows_without_a_move_have_the_ambient_gradient_of_the_base(batch):
    z = unit_rows(torch.cat(batch()[:2])).requires_grad_()
    (wanted,) = torch.autograd.grad(dcl_of_rows(z, temperature=0.3), z)
    for value in (
        adversarial_of_rows(z, base=dcl_of_rows, temperature=0.3, sigma=1e-9),
        noisy_of_rows(z, base=dcl_of_rows, temperature=0.3, sigma=1e-9, noise=generator()),
    ):
        torch.testing.assert_close(torch.autograd.grad(value, z)[0], wanted, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("steps", (1, 3))
def test_gradients_pass_through_the_move(steps, batch):
    first, second, labels = batch(3, 4)
    first.requires_grad_(), second.requires_grad_()

    def value(a, b):
        return adversarial(a, b, labels, steps=steps, sigma=0.2, temperature=0.5)

    assert torch.autograd.gradcheck(value, (first, second), atol=1e-7)


@pytest.mark.parametrize("entropy", (0, 0.3, math.inf))
def test_noise_has_gradients_maps_over_models_and_compiles(entropy, batch):
    first, second, labels = batch(4)
    noise = torch.randn(3, 8, 5, generator=generator(2), dtype=torch.float64)

    def value(a, b, one=noise):
        return noisy(a, b, labels, noise=one, entropy=entropy, temperature=0.3)

    leaves = (first.clone().requires_grad_(), second.clone().requires_grad_())
    assert torch.autograd.gradcheck(value, leaves, atol=1e-7)
    a, b, both = torch.stack([first, second]), torch.stack([second, first]), torch.stack([noise, noise.flip(0)])
    together = torch.func.vmap(value)(a, b, both)
    for k in range(2):
        assert float(together[k]) == pytest.approx(float(value(a[k], b[k], both[k])), rel=1e-13)
    torch.compiler.reset()
    compiled = torch.compile(value, fullgraph=True, backend="aot_eager")
    assert float(compiled(first, second)) == pytest.approx(float(value(first, second)), rel=1e-13)


@pytest.mark.parametrize("dtype", (torch.float16, torch.bfloat16), ids=str)
def test_noise_in_half_precision_is_that_of_float32(dtype, batch):
    first, second, labels = batch(dtype=dtype)
    value = noisy(first.requires_grad_(), second, labels, noise=generator())
    value.backward()
    wanted = noisy(first.detach().float(), second.float(), labels, noise=generator())
    assert value.dtype == torch.float32
    assert float(value.detach()) == pytest.approx(float(wanted), rel=1e-5)
    assert first.grad.isfinite().all()


def test_dead_rows_stay_dead_and_broken_rows_break_the_value(batch):
    first, second, labels = batch()
    broken = torch.where(torch.arange(6)[:, None] == 2, math.nan, first)
    assert noisy(broken, second, labels, noise=generator()).isnan()
    dead = torch.where(torch.arange(6)[:, None] == 2, 0.0, first).requires_grad_()
    for value in (adversarial(dead, second, labels, steps=3), noisy(dead, second, labels, noise=generator())):
        (slope,) = torch.autograd.grad(value, dead)
        assert slope.isfinite().all()
        assert not slope[2].any()


def test_tiles_have_no_second_derivatives_and_say_so(batch):
    first, second, labels = batch()
    with pytest.raises(RuntimeError, match="tiled must be False for second derivatives"):
        adversarial(first.requires_grad_(), second, labels, tiled=True).backward()
    assert noisy(first, second, labels, tiled=True, noise=generator()).isfinite()


def test_wrong_options(batch):
    first, second, _ = batch()
    for wrong in (adversarial, partial(noisy, noise=generator())):
        with pytest.raises(ValueError, match="sigma must be a finite number >= 0, got -1; 0 leaves the base loss"):
            wrong(first, second, sigma=-1)
        with pytest.raises(ValueError, match=r"base must return 12 losses .*, got shape \(\)"):
            wrong(first, second, base=lambda a, b, y, reduction: vicreg(a, b, y))
        with pytest.raises(ValueError, match="second must match first"):
            wrong(first, second[:4])
    for entropy in (0, -1.0, float("nan"), True):
        with pytest.raises(ValueError, match="entropy must be > 0, got .*; without it"):
            adversarial(first, second, entropy=entropy)
    for entropy in (-1.0, float("nan"), True):
        with pytest.raises(ValueError, match="entropy must be >= 0, got .*; inf is noise"):
            noisy(first, second, entropy=entropy, noise=generator())
    with pytest.raises(ValueError, match="steps must be"):
        adversarial(first, second, steps=0)
    with pytest.raises(ValueError, match="draws must be 1 or even, got 3; they come in opposite pairs"):
        noisy(first, second, noise=generator(), draws=3)
    with pytest.raises(ValueError, match=r"noise must have shape \(draws, 12, 5\), got \(12, 5\); torch.randn"):
        noisy(first, second, noise=torch.zeros(12, 5))
    with pytest.raises(ValueError, match="base must return"):
        adversarial_of_rows(unit_rows(torch.cat([first, second])), base=partial(_first_half, info_nce_of_rows))


def _first_half(base, rows, labels, *, reduction):
    return base(rows, labels, reduction=reduction)[:6]
