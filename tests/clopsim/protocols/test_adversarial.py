"""Adversarial distributional training: the law, its entropy, attacks inside the box."""

import math

import pytest
import torch

from clopsim.protocols.adversarial import Adversarial, adversary, attacked, moved
from clopsim.protocols.networks import fresh

SETTING = Adversarial(radius=0.5)


def linear(slope):
    """Two classes whose logits differ by slope times the sum of the inputs, as one stacked network."""
    weight = torch.stack([torch.full((64,), slope), torch.zeros(64)], dim=1)[None]
    return [weight, torch.zeros(1, 1, 2)]


def test_the_surprise_is_minus_the_logarithm_of_the_density():
    """Differences of -log p, by the change of variables from a normal law."""
    law = (torch.full((1, 3), 0.3, dtype=torch.float64), torch.full((1, 3), -0.2, dtype=torch.float64))
    for r in (-1.0, 0.4):
        noise = torch.full((1, 3), r, dtype=torch.float64)
        delta, surprise = moved(law, noise, 0.5)
        scale = math.log1p(math.exp(-0.2))
        squashed = math.tanh(0.3 + scale * r)
        assert float(delta[0, 0]) == pytest.approx(0.5 * squashed)
        density = math.exp(-(r**2) / 2) / (scale * (1 - squashed**2))
        assert float(surprise) == pytest.approx(-math.log(density), abs=1e-6)


@pytest.mark.parametrize("entropy, wide", ((0.0, False), (50.0, True)))
def test_entropy_keeps_the_law_wide(entropy, wide):
    """The loss falls with the inputs: its best move is the corner -radius, entropy's a flat law."""
    x, y = torch.zeros(1, 4, 64), torch.zeros(1, 4, dtype=torch.long)
    noise = torch.randn(60, 2, 1, 4, 64, generator=torch.Generator().manual_seed(0))
    law = adversary(linear(1.0), x, y, torch.tensor([entropy]), setting=SETTING, steps=60, noise=noise)
    deltas = torch.stack([moved(law, r[0], SETTING.radius)[0] for r in noise])
    assert bool((deltas.mean(dim=0) < -0.45).float().mean() > 0.9) != wide
    assert bool(deltas.std(dim=0).mean() > 0.2) == wide


def test_attacks_stay_in_the_box_and_find_the_corner():
    x, y = torch.zeros(1, 4, 64), torch.zeros(1, 4, dtype=torch.long)
    start = torch.zeros_like(x)
    worst = attacked(linear(0.1), x, y, radius=0.5, steps=20, start=start)
    torch.testing.assert_close(worst, torch.full_like(x, -0.5))
    networks = fresh((64, 8, 10), seeds=[0], copies=1)
    x = torch.randn(1, 16, 64, generator=torch.Generator().manual_seed(1))
    labels = torch.arange(16)[None] % 10
    moved_inputs = attacked(networks, x, labels, radius=0.3, steps=5, start=torch.zeros_like(x))
    assert float((moved_inputs - x).abs().max()) == pytest.approx(0.3)
