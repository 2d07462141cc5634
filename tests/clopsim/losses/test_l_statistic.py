"""The L-statistic: ranks and weights by hand, its edges, the losses that it wraps."""

import math
from functools import partial

import pytest
import torch

from clopsim.losses import by_name, dcl, info_nce, l_statistic, rank_weights, supcon, vicreg
from clopsim.losses.dcl import dcl_of_rows
from clopsim.losses.l_statistic import l_statistic_of_rows
from clopsim.losses.views import unit_rows


def slow_weights(losses, keep, ramp):
    """W(rank/n) by the definition, divided by its mean."""
    n = len(losses)
    order = sorted(range(n), key=lambda i: losses[i])  # stable
    weights = [0.0] * n
    for place, i in enumerate(order, start=1):
        t = place / n
        weights[i] = 1.0 if t <= keep + 1e-9 else max(0.0, 1 - (t - keep) / ramp) if ramp else 0.0
    if not any(weights):
        weights[order[0]] = 1.0
    return [w * n / sum(weights) for w in weights]


@pytest.mark.parametrize("keep", (1e-6, 0.1, 0.29, 0.5, 0.7, 0.999, 1.0))
@pytest.mark.parametrize("ramp", (0.0, 1e-7, 0.2, 0.5, 3.0))
@pytest.mark.parametrize("n", (1, 2, 7, 10, 100))
def test_weights_are_those_of_the_definition(n, keep, ramp):
    losses = torch.randn(n, generator=torch.Generator().manual_seed(n), dtype=torch.float64)
    found = rank_weights(losses, keep=keep, ramp=ramp)
    wanted = torch.tensor(slow_weights(losses.tolist(), keep, ramp), dtype=torch.float64)
    torch.testing.assert_close(found, wanted, rtol=1e-12, atol=1e-7 if 0 < ramp < 1e-6 else 1e-12)
    assert float(found.mean()) == pytest.approx(1, rel=1e-12)


def test_a_share_that_is_whole_keeps_that_many():
    """0.29 x 100 is 28.999999999999996 in double precision."""
    assert int((rank_weights(torch.arange(100.0), keep=0.29) > 0).sum()) == 29


def test_of_equal_losses_the_earlier_is_kept():
    assert rank_weights(torch.zeros(4), keep=0.5).tolist() == [2, 2, 0, 0]
    assert rank_weights(torch.tensor([1.0, 0, 1, 0]), keep=0.75).tolist() == pytest.approx([4 / 3, 4 / 3, 0, 4 / 3])


def test_half_precision_weights_are_float32():
    weights = rank_weights(torch.arange(4000).half(), keep=0.7)
    assert weights.dtype == torch.float32
    assert float(weights.mean()) == pytest.approx(1, rel=1e-6)


@pytest.mark.parametrize("base", (info_nce, dcl, supcon, partial(supcon, form="in")))
@pytest.mark.parametrize("reduction", ("mean", "sum", "none"))
def test_trimming_nothing_is_the_base(base, reduction, batch):
    first, second, labels = batch()
    found = l_statistic(first, second, labels, base=base, keep=1.0, temperature=0.3, reduction=reduction)
    torch.testing.assert_close(found, base(first, second, labels, temperature=0.3, reduction=reduction))


def test_trimming_all_but_one_is_the_smallest_loss(batch):
    first, second, labels = batch()
    losses = dcl(first, second, temperature=0.3, reduction="none")
    for ramp in (0.0, 1e-3):
        found = l_statistic(first, second, labels, base=dcl, keep=1e-3, ramp=ramp, temperature=0.3)
        assert float(found) == pytest.approx(float(losses.min()), rel=1e-14)


def test_one_sample_is_its_base(batch):
    first, second, _ = batch(1)
    assert float(l_statistic(first, second, keep=0.5)) == pytest.approx(0, abs=1e-15)
    assert float(l_statistic(first, second, keep=0.5, base=supcon)) == pytest.approx(0, abs=1e-15)
    alone = l_statistic(first, None, torch.tensor([0]), base=supcon, keep=0.5)  # one anchor, without a positive
    assert float(alone) == 0


def test_samples_ranked_together_keep_both_views(batch):
    first, second, _ = batch(6)
    found = l_statistic(first, second, keep=0.5, together=True, reduction="none").view(2, 6)
    kept = found != 0
    assert torch.equal(kept[0], kept[1])
    pairs = info_nce(first, second, reduction="none").view(2, 6).mean(dim=0)
    assert set(kept[0].nonzero().flatten().tolist()) == set(pairs.argsort()[:3].tolist())
    apart = l_statistic(first, second, keep=0.5, reduction="none").view(2, 6) != 0
    assert not torch.equal(apart[0], apart[1])  # the test can fail


def test_three_views(batch):
    views = torch.stack([*batch()[:2], batch(seed=5)[0]])
    losses = info_nce(views, reduction="none")
    assert float(l_statistic(views, keep=0.5)) == pytest.approx(float(losses.sort().values[:9].mean()), rel=1e-14)
    together = l_statistic(list(views), keep=0.5, together=True)
    ranked = losses.view(3, 6).mean(dim=0).sort().values
    assert float(together) == pytest.approx(float(ranked[:3].mean()), rel=1e-14)


def test_your_own_loss(batch):
    first, second, _ = batch()

    def own(a, b, labels, *, reduction, power):
        assert reduction == "none"
        return (torch.cat([a, b]) - torch.cat([b, a])).abs().pow(power).sum(dim=-1)

    far = (first - second).abs().pow(3).sum(dim=-1)
    found = l_statistic(first, second, base=own, keep=0.5, power=3)
    assert float(found) == pytest.approx(float(far.sort().values[:3].mean()), rel=1e-14)


def test_no_gradient_reaches_a_trimmed_anchor_through_its_own_loss(batch):
    first = batch()[0].requires_grad_()

    def own(a, b, labels, *, reduction):
        return a.square().sum(dim=-1)

    l_statistic(first, None, base=own, keep=0.5).backward()
    kept = first.detach().square().sum(dim=-1).argsort()[:3]
    wanted = torch.zeros_like(first)
    wanted[kept] = 2 * first.detach()[kept] / 3
    torch.testing.assert_close(first.grad, wanted)


@pytest.mark.parametrize("ramp", (0.0, 0.3))
def test_the_formula_on_rows_takes_its_base_on_rows(ramp, batch):
    first, second, labels = batch()
    z = unit_rows(torch.cat([first, second])).requires_grad_()
    options = {"keep": 0.6, "ramp": ramp, "together": True, "temperature": 0.3}
    value = l_statistic_of_rows(z, torch.cat([labels, labels]), base=dcl_of_rows, **options)
    assert float(value.detach()) == pytest.approx(float(l_statistic(first, second, base=dcl, **options)), rel=1e-13)
    (ambient,) = torch.autograd.grad(value, z)
    assert float((z.detach() * ambient).sum(dim=-1).abs().max()) > 1e-2


def test_the_registered_one_trims_a_tenth(batch):
    first, second, labels = batch(10)
    losses = info_nce(first, second, temperature=0.3, reduction="none").sort().values
    found = by_name("lstat", temperature=0.3)(first, second, labels)
    assert float(found) == pytest.approx(float(losses[:18].mean()), rel=1e-14)


def test_a_loss_that_is_not_finite_is_not_trimmed_away(batch):
    first, second, _ = batch()

    def own(a, b, labels, *, reduction):
        return torch.where(torch.arange(12) == 4, math.nan, 1.0)

    assert l_statistic(first, second, base=own, keep=0.5).isnan()


def test_wrong_options(batch):
    first, second, labels = batch()
    with pytest.raises(ValueError, match=r"keep must be <= 1, got 1.01; 1 trims nothing"):
        l_statistic(first, second, keep=1.01)
    for keep in (0, -1, float("nan"), True, "all"):
        with pytest.raises(ValueError, match="keep must be a finite number > 0, got .*; it is the share of the losses"):
            l_statistic(first, second, keep=keep)
    with pytest.raises(ValueError, match="ramp must be a finite number >= 0, got -0.1; 0 trims at once"):
        l_statistic(first, second, ramp=-0.1)
    with pytest.raises(ValueError, match="reduction must be one of mean, sum, none"):
        l_statistic(first, second, reduction="all")
    with pytest.raises(ValueError, match=r"base must return 12 losses .*, got shape \(\); .*vicreg, has no anchors"):
        l_statistic(first, second, base=lambda a, b, y, reduction: vicreg(a, b, y))
    with pytest.raises(ValueError, match=r"losses must be floats of shape \(n,\), n >= 1, got torch.int64"):
        rank_weights(torch.arange(3), keep=0.5)
    with pytest.raises(ValueError, match="temperature must be a finite number > 0"):
        l_statistic(first, second, labels, temperature=0)
