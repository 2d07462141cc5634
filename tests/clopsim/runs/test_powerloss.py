"""What was said to be written survives a loss of power; python -m tests.powerloss cuts it more often."""

import os

import pytest

from tests import powerloss

LOSSES = 3


@pytest.fixture
def short(monkeypatch):
    """What main changes is put back."""
    if why := powerloss.hindrance():
        pytest.skip(why)
    monkeypatch.setattr(powerloss.plan, "STEPS", powerloss.plan.STEPS)
    monkeypatch.setitem(powerloss.plan.BATCH, "cpu", powerloss.plan.BATCH["cpu"])


@pytest.mark.parametrize("kind", ("sweep", "train"))
def test_a_loss_of_power_costs_nothing_that_was_written(short, kind):
    assert powerloss.main(LOSSES, 0, kind)["identical"] == LOSSES


def test_without_syncs_it_would(short, monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    with pytest.raises(SystemExit, match="after a loss of power the run is|differs from an uninterrupted run"):
        powerloss.main(1)
