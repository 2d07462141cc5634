"""T10 as training code runs it: a table embedder, autograd through the normalisation, torch's SGD with weight decay."""

import pytest
import torch

from bounds import Setting
from bounds.free_norm import decayed_view_cosine, effective_rate, steady_squared_norm
from clopsim.losses import info_nce
from clopsim.metrics import geometry
from clopsim.sphere import starts
from clopsim.sphere.dynamics import free_step
from clopsim.training.embedders import build
from clopsim.training.recipe import Embedder

STEPS = 80
"""Few: nothing settles, and rounding grows tenfold in ten to twenty steps, until after 200 it decides the state."""


def means(setting, rate, decay, *, seed):
    """View cosine and squared norm over the second half of a run from the predicted norm and views at another angle."""
    n, tau = setting.samples, setting.tau
    table = build(Embedder("table", setting.dimension), (1,), samples=n // 2, seed=seed, dtype=torch.float64)
    with torch.no_grad():
        z = starts.near_uniform(setting, temperature=tau, seed=seed, view_angle=0.3)
        table.rows.copy_(z * steady_squared_norm(rate, setting) ** 0.5)
    optimizer = torch.optim.SGD(table.parameters(), lr=rate, weight_decay=decay)
    rows, seen = torch.arange(n), []
    for _ in range(STEPS):
        optimizer.zero_grad()
        info_nce(*table(rows).chunk(2), temperature=tau, reduction=setting.reduction).backward()
        optimizer.step()
        squared = table.rows.detach().square().sum(dim=-1)
        aligned = geometry.alignment(table.rows.detach() / squared.sqrt()[:, None])
        seen.append((1 - float(aligned) / 2, float(squared.mean())))
    return torch.tensor(seen, dtype=torch.float64)[STEPS // 2 :].mean(dim=0).tolist()


@pytest.mark.parametrize("d, tau, product", [(3, 1.0, 0.03), (3, 1.0, 0.1), (8, 0.5, 0.1)])
@pytest.mark.parametrize("rate, reduction", [(1.0, "sum"), (10.0, "mean")])
def test_views_and_norm_are_t10_s_in_the_mean(d, tau, product, rate, reduction):
    setting = Setting(tau, d, 256, loss="full", gradient="tangent", reduction=reduction)
    cosine, norm = means(setting, rate, product / rate, seed=0)
    assert 1 - cosine == pytest.approx(1 - decayed_view_cosine(rate, weight_decay=product / rate), rel=0.025)
    assert norm == pytest.approx(steady_squared_norm(rate, setting), rel=0.02)
    assert effective_rate(rate, norm, setting) == pytest.approx(1, rel=0.02)


def test_what_moves_a_pair_off_t10_s_state_is_the_finite_batch():
    """Two steps from that state move the views by what falls like a power of n, so by no next order in the angle."""
    cosine, moved = decayed_view_cosine(1.0, weight_decay=0.1), []
    for n in (64, 256):
        setting = Setting(1.0, 3, n, loss="full", gradient="tangent")
        middle = starts.near_uniform(setting, temperature=1.0, seed=0)[: n // 2]
        across = starts.random_directions(setting, seed=1)[: n // 2]
        across = across - (across * middle).sum(dim=1, keepdim=True) * middle
        across = across / across.norm(dim=1, keepdim=True)
        views = [((1 + cosine) / 2) ** 0.5 * middle + sign * ((1 - cosine) / 2) ** 0.5 * across for sign in (1, -1)]
        u = steady_squared_norm(1.0, setting) ** 0.5 * torch.cat(views)
        for _ in range(2):
            u = free_step(u, 1.0, 1.0, setting=setting, weight_decay=0.1)
        first, second = (u / u.norm(dim=1, keepdim=True)).chunk(2)
        moved.append(float(((first * second).sum(dim=1) - cosine).square().mean().sqrt()) / (1 - cosine))
    assert moved[0] < 0.02
    assert 1.5 < moved[0] / moved[1] < 4
