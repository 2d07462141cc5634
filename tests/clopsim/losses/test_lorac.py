"""LORAC beyond what every loss is asked: its two forms, smoothing, many views, the switch of temperature, the line."""

import math
from functools import partial

import pytest
import torch

from clopsim.losses import info_nce, lorac
from clopsim.losses.lorac import lorac_of_rows
from clopsim.losses.views import unit_rows

WAVES = torch.tensor([[math.cos(i * j) for j in range(1, 6)] for i in range(1, 13)], dtype=torch.float64)


def gradient(loss, *views):
    views = [view.clone().requires_grad_() for view in views]
    return torch.autograd.grad(loss(*views), views)


@pytest.mark.parametrize("written", ("matrix", "cosine"))
@pytest.mark.parametrize("options, value", (
    ({}, 1.944138754063), ({"temperature": 0.2, "beta": 3.0}, 3.843101195941), ({"smoothing": 0.01}, 1.944808058780),
))  # fmt: skip
def test_golden_values(written, options, value):
    assert float(lorac(WAVES[:6], WAVES[6:], written=written, **options)) == pytest.approx(value, abs=1e-12)


def slow(z, *, temperature, beta, smoothing):
    """z: (V, N, d) raw; one anchor, one positive, one negative at a time, the norm by singular values."""
    z = z / z.norm(dim=-1, keepdim=True)
    views, samples, _ = z.shape
    total = 0.0
    for i in range(samples):
        nu = sum(math.sqrt(float(sigma) ** 2 + smoothing) for sigma in torch.linalg.svdvals(z[:, i]))
        for v in range(views):
            negatives = [math.exp(float(z[v, i] @ z[w, a]) / temperature)
                         for w in range(views) for a in range(samples) if a != i]  # fmt: skip
            for p in range(views):
                if p != v:
                    positive = math.exp((float(z[v, i] @ z[p, i]) - nu / beta) / temperature)
                    total -= math.log(positive / (positive + sum(negatives))) / (views - 1)
    return total / (views * samples)


@pytest.mark.parametrize("views, smoothing", ((2, 0.01), (3, 0.0), (3, 0.1), (5, 0.0)))
def test_any_number_of_views_is_the_slow_loop(views, smoothing):
    z = torch.randn(views, 4, 6, generator=torch.Generator().manual_seed(views), dtype=torch.float64)
    options = {"temperature": 0.7, "beta": 2.0, "smoothing": smoothing}
    value = slow(z, **options)
    assert float(lorac(z, **options)) == pytest.approx(value, rel=1e-12)
    assert float(lorac(list(z), **options)) == pytest.approx(value, rel=1e-12)
    assert torch.autograd.gradcheck(lambda x: lorac(x, **options), z.requires_grad_(), atol=1e-7)


@pytest.mark.parametrize("smoothing", (0.0, 0.02))
def test_the_matrix_form_has_the_slope_of_the_singular_values(smoothing, batch):
    """On unit rows, radial part too; the cosine form has another radial part."""
    first, second, _ = batch(4, 5)
    z = unit_rows(torch.cat([first, second])).requires_grad_()

    def by_singular_values(z):
        s = z @ z.mT
        a, b = z.chunk(2)
        nu = (torch.linalg.svdvals(torch.stack([a, b], dim=1)).square() + smoothing).sqrt().sum(dim=-1) / 3
        hidden = torch.eye(4, dtype=torch.bool).repeat(2, 2)
        psi = (a * b).sum(dim=-1) - nu
        psi = torch.cat([psi, psi])
        negatives = s.masked_fill(hidden, -torch.inf).logsumexp(dim=-1)
        return (torch.logaddexp(negatives, psi) - psi).mean()

    (wanted,) = torch.autograd.grad(by_singular_values(z), z)
    found = {
        written: torch.autograd.grad(lorac_of_rows(z, beta=3.0, smoothing=smoothing, written=written), z)[0]
        for written in ("matrix", "cosine")
    }
    torch.testing.assert_close(found["matrix"], wanted, rtol=1e-11, atol=1e-13)
    radial = ((found["cosine"] - wanted) * z).sum(dim=-1, keepdim=True)
    assert radial.abs().min() > 1e-3
    torch.testing.assert_close(found["cosine"] - wanted, radial * z, rtol=0, atol=1e-13)


def test_three_views_of_which_two_agree_are_no_trouble(batch):
    """Singular values that are 0 or equal: the slope stays bounded."""
    first, second, _ = batch(4, 5)
    for z in (
        torch.stack([first, first, second]),
        torch.stack([first, first, first]),
        torch.eye(4).double()[None] + 0 * first[:1, :4],
    ):
        z = z.expand(3, -1, -1).clone() if len(z) == 1 else z
        (slope,) = gradient(lorac, z)
        assert slope.isfinite().all()
        assert slope.abs().max() < 10


@pytest.mark.parametrize("written", ("matrix", "cosine"))
@pytest.mark.parametrize("dtype", (torch.float64, torch.float32), ids=str)
@pytest.mark.parametrize("sign", (1, -1))
def test_where_views_agree_or_are_opposite_the_slope_is_0_of_the_kink(written, dtype, sign, batch):
    """T1 for the exact form, in the sense of subgradients; rounding of the unit rows makes no slope of 1/beta."""
    first = batch(6, 5, dtype=dtype)[0]
    for slope in gradient(partial(lorac, written=written, beta=0.01), first, sign * 3 * first):
        away = gradient(partial(lorac, prior=False), first, sign * 3 * first)[0]
        assert slope.abs().max() < 10 * away.abs().max() + 1e-3  # a kink would give 1/(12 beta) = 8
    signs = torch.tensor([1.0, 1, -1, 1, 1, -1], dtype=dtype)[:, None]
    line = signs * torch.linspace(0.5, 2, 6, dtype=dtype)[:, None] * first[0]
    for slope in gradient(partial(lorac, written=written, beta=0.01), line, sign * 3 * line):
        assert slope.abs().max() < 100 * torch.finfo(dtype).eps


@pytest.mark.parametrize("written", ("matrix", "cosine"))
def test_a_line_is_stationary_for_the_smoothed_loss(written, batch):
    """T1."""
    first = batch(6, 5)[0]
    signs = torch.tensor([1.0, 1, -1, 1, 1, -1], dtype=torch.float64)[:, None]
    loss = partial(lorac, smoothing=0.01, beta=1.0, written=written)
    for second in (signs.flip(0) * first[0], 2 * signs * first[0]):
        for slope in gradient(loss, signs * first[0], second):
            assert slope.abs().max() < 1e-14
    assert gradient(loss, first, first + 0.1)[0].abs().max() > 1e-3


@pytest.mark.parametrize("written", ("matrix", "cosine"))
def test_the_norm_is_least_where_views_agree_or_are_opposite(written):
    """nu is the same at c and -c: sqrt(2) at +-1, 2 at 0."""
    angles = torch.tensor([0.0, 0.3, 1.2, math.pi / 2], dtype=torch.float64)

    def cost(angle):
        first = torch.tensor([[1.0, 0.0]], dtype=torch.float64)
        second = torch.stack([angle.cos(), angle.sin()])[None]
        rows = torch.cat([first, second, torch.tensor([[0.0, 1.0]]).double().expand(2, 2)])[[0, 2, 1, 3]]
        # one more sample, whose views agree; the difference of two betas isolates the norm of the first
        return [
            float(lorac(rows[:2], rows[2:], beta=beta, written=written, reduction="none")[0]) for beta in (1.0, 1e9)
        ]

    for angle in angles:
        c = math.cos(angle)
        nu = math.sqrt(1 + c) + math.sqrt(max(0.0, 1 - c))
        for theta, cosine in ((angle, c), (math.pi - angle, -c)):
            with_prior, without = cost(torch.as_tensor(theta))
            # loss = log(1 + n exp(-psi)): invert
            shift = math.log(math.expm1(with_prior)) - math.log(math.expm1(without))
            assert shift == pytest.approx(nu, abs=1e-7), (theta, cosine)


def test_the_prior_sits_inside_the_softmax(batch):
    """Its force fades with the share of the negatives: it is not a term beside the loss."""
    first, second, _ = batch(6, 5)
    gap = lorac(first, second, temperature=0.02, prior=False) - lorac(first, second, temperature=0.02)
    close = first + 0.01 * second
    faded = lorac(first, close, temperature=0.02, prior=False) - lorac(first, close, temperature=0.02)
    assert abs(float(faded)) < 1e-2 * abs(float(gap))


def test_without_the_prior_it_is_info_nce(batch):
    first, second, _ = batch()
    for tau in (0.2, 1.0):
        found = gradient(partial(lorac, prior=False, temperature=tau), first, second)
        wanted = gradient(partial(info_nce, temperature=tau), first, second)
        torch.testing.assert_close(found, wanted, rtol=1e-12, atol=1e-14)


def test_the_switch_drops_the_temperature_once_the_prior_is_on(batch):
    first, second, _ = batch()
    authors = partial(lorac, temperature=0.2, switch_temperature=True)
    assert torch.equal(authors(first, second, prior=False), lorac(first, second, temperature=0.2, prior=False))
    assert torch.equal(authors(first, second), lorac(first, second, temperature=1.0))
    assert not torch.equal(authors(first, second), lorac(first, second, temperature=0.2))


@pytest.mark.parametrize("dtype", (torch.float16, torch.bfloat16, torch.float32), ids=str)
@pytest.mark.parametrize("options", ({"smoothing": 0.01}, {"written": "cosine"}, {"beta": 0.1}))
def test_half_precision(dtype, options, batch):
    first, second, _ = batch(dtype=dtype)
    for other in (second, first, -first):
        a = first.clone().requires_grad_()
        value = lorac(a, other, **options)
        value.backward()
        assert value.dtype == torch.float32
        assert a.grad.isfinite().all()
        assert float(value.detach()) == pytest.approx(float(lorac(first.double(), other.double(), **options)), rel=1e-5)


def test_one_sample_has_no_negative(batch):
    first, second, _ = batch(1, 5)
    assert float(lorac(first, second)) == 0
    assert gradient(lorac, first, second)[0].abs().max() == 0


def test_reductions_and_tiles(batch):
    first, second, _ = batch()
    each = lorac(first, second, reduction="none")
    assert each.shape == (12,)
    assert float(lorac(first, second, reduction="sum")) == pytest.approx(float(each.sum()), rel=1e-14)
    assert float(lorac(first, second)) == pytest.approx(float(each.mean()), rel=1e-14)
    assert float(lorac(first, second, tiled=True)) == pytest.approx(float(each.mean()), rel=1e-13)


@pytest.mark.parametrize("options, message", (
    ({"beta": 0.0}, "beta must be a finite number > 0, got 0.0; the authors take 15"),
    ({"beta": math.nan}, "beta must be a finite number > 0"),
    ({"smoothing": -0.1}, "smoothing must be a finite number >= 0"),
    ({"written": "svd"}, "written must be one of matrix, cosine, got 'svd'"),
    ({"temperature": 0.0}, "temperature must be a finite number > 0"),
    ({"reduction": "all"}, "reduction must be one of mean, sum, none"),
))  # fmt: skip
def test_wrong_options(options, message):
    with pytest.raises(ValueError, match=message):
        lorac(torch.ones(4, 3), torch.ones(4, 3), **options)


def test_wrong_number_of_views():
    with pytest.raises(ValueError, match="first must hold at least two views, got 1; another view is the only pos"):
        lorac(torch.ones(4, 3))
    with pytest.raises(ValueError, match="first must hold two views in the cosine form, got 3"):
        lorac(torch.ones(3, 4, 3), written="cosine")
