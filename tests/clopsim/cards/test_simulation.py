"""What a card simulates: factors near nothing are no disagreement, and a wrong prediction is one."""

import torch

import clopsim
from clopsim.cards import simulation


def sharp(s):
    """Its simplex has, under the ambient step, a direction that one step at 0.97 of its rate all but removes."""
    off = ~torch.eye(len(s), dtype=torch.bool)
    return torch.logsumexp((s / 0.3)[off].reshape(len(s), -1), dim=1).mean()


def test_a_factor_near_zero_is_seen_as_predicted():
    assert clopsim.card(sharp, samples=16, dim=4).holds


def test_agreement_is_relative_to_the_factor_or_to_a_tenth():
    assert simulation.Check(0.97, True, 1e-6, 5e-5).agrees
    assert not simulation.Check(0.97, True, 0.94, 0.942).agrees
    assert not simulation.Check(1.03, False, 1.06, 0.94).agrees
