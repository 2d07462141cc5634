"""T10 as training code runs it: a table embedder, autograd through the normalisation, torch's SGD with weight decay."""

import pytest
import torch

from bounds import Setting
from bounds.free_norm import decayed_view_cosine, effective_rate, steady_squared_norm
from clopsim.losses import info_nce
from clopsim.metrics import geometry
from clopsim.sphere import starts
from clopsim.training.embedders import build
from clopsim.training.recipe import Embedder


def settled(setting, rate, decay, *, seed, steps):
    """View cosine and squared norm, means over the second half of a run that starts at the predicted norm."""
    n, tau = setting.samples, setting.tau
    table = build(Embedder("table", setting.dimension), (1,), samples=n // 2, seed=seed, dtype=torch.float64)
    with torch.no_grad():
        z = starts.near_uniform(setting, temperature=tau, seed=seed, view_angle=0.3)
        table.rows.copy_(z * steady_squared_norm(rate, setting) ** 0.5)
    optimizer = torch.optim.SGD(table.parameters(), lr=rate, weight_decay=decay)
    rows, seen = torch.arange(n), []
    for _ in range(steps):
        optimizer.zero_grad()
        info_nce(*table(rows).chunk(2), temperature=tau, reduction=setting.reduction).backward()
        optimizer.step()
        squared = table.rows.detach().square().sum(dim=-1)
        aligned = geometry.alignment(table.rows.detach() / squared.sqrt()[:, None])
        seen.append((1 - float(aligned) / 2, float(squared.mean())))
    return torch.tensor(seen, dtype=torch.float64)[steps // 2 :].mean(dim=0).tolist()


@pytest.mark.parametrize("beta", (0.0, 0.5, 0.9))
@pytest.mark.parametrize("units, apart", ((0.96, False), (1.04, True)))
def test_views_come_apart_where_the_effective_rate_is_1(beta, units, apart):
    """From views 1e-6 apart on rows of length 3, with torch's momentum: the angle of the median sample grows a
    hundredfold, or no more than the velocity takes to come up. Later the norm has grown, and the views are back.
    """
    setting = Setting(1.0, 3, 400, "full", "tangent", momentum=beta)
    table = build(Embedder("table", 3), (1,), samples=200, seed=0, dtype=torch.float64)
    with torch.no_grad():
        table.rows.copy_(3 * starts.near_uniform(setting, temperature=1.0, seed=0, view_angle=1e-6))
    rate = units / effective_rate(1.0, 9.0, setting)
    optimizer = torch.optim.SGD(table.parameters(), lr=rate, momentum=beta)
    rows, angles = torch.arange(400), []
    for _ in range(120):
        optimizer.zero_grad()
        info_nce(*table(rows).chunk(2), temperature=1.0, reduction="sum").backward()
        optimizer.step()
        first, second = table.rows.detach().chunk(2)
        angles.append(float((first - second).norm(dim=1).median()))
    assert (max(angles) > 1e-3) is apart
    assert (max(angles) < 1e-4) is not apart


@pytest.mark.parametrize("d, tau, product", [(3, 1.0, 0.03), (3, 1.0, 0.1), (8, 0.5, 0.1)])
@pytest.mark.parametrize("rate, reduction", [(1.0, "sum"), (10.0, "mean")])
def test_views_and_norm_settle_where_t10_says(d, tau, product, rate, reduction):
    setting = Setting(tau, d, 256, loss="full", gradient="tangent", reduction=reduction)
    cosine, norm = settled(setting, rate, product / rate, seed=0, steps=300)
    assert 1 - cosine == pytest.approx(1 - decayed_view_cosine(rate, weight_decay=product / rate), rel=0.025)
    assert norm == pytest.approx(steady_squared_norm(rate, setting), rel=0.02)
    assert effective_rate(rate, norm, setting) == pytest.approx(1, rel=0.02)


def test_the_gap_to_t10_is_one_of_finite_batches():
    """It falls like a power of n at a fixed angle, so it is no next order in the angle."""
    gaps = []
    for n in (64, 256):
        setting = Setting(1.0, 3, n, loss="full", gradient="tangent")
        runs = [settled(setting, 1.0, 0.1, seed=seed, steps=600)[0] for seed in range(2)]
        gaps.append(decayed_view_cosine(1.0, weight_decay=0.1) - sum(runs) / 2)
    assert gaps[0] == pytest.approx(0.0043, abs=0.0007)
    assert 2 < gaps[0] / gaps[1] < 6
