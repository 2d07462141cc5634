import math

import pytest

from clopsim.runs.config import DEFAULT_RATES, Sweep


def test_defaults_are_the_main_job():
    config = Sweep()
    assert len(config.rates) == 41
    assert config.rates == DEFAULT_RATES
    assert config.rates[20] == pytest.approx(1)
    assert (config.seeds, config.loss, config.gradient, config.start) == (8, "merged", "ambient", "data")


def test_full_loss_draws_one_point_for_two_views():
    assert Sweep(loss="full").gaussian.samples == 16
    assert Sweep().gaussian.samples == 32


def test_one_setting_per_temperature():
    config = Sweep(temperature=(0.1, 0.5))
    assert [setting.temperature for setting in config.settings] == [0.1, 0.5]
    assert config.setting.temperature == (0.1, 0.5)


@pytest.mark.parametrize(
    "fields, rule",
    [
        ({"temperature": 0.0}, "temperature must be a finite number > 0"),
        ({"dimension": 1}, "dimension must be a whole number >= 2"),
        ({"samples": 2, "clusters": 1}, "samples must be >= 3, got 2"),
        ({"samples": 16, "clusters": 17}, "clusters must be <= samples"),
        ({"samples": 31, "loss": "full"}, "samples must be even"),
        ({"rates": ()}, "rates must hold at least one"),
        ({"rates": (1.0, 0.5)}, "rates must be increasing, got 0.5 after 1"),
        ({"rates": (1.0, 1.0)}, "rates must be increasing"),
        ({"rates": (-1.0, 1.0)}, "rates must be a finite number > 0, got -1.0"),
        ({"rates": (1.0, math.nan)}, "rates must be a finite number > 0, got nan"),
        ({"seeds": 0}, "seeds must be a whole number >= 1"),
        ({"steps": 0}, "steps must be a whole number >= 1"),
        ({"seed": -1}, "seed must be a whole number >= 0"),
        ({"start": "warm"}, "start must be one of data, random, uniform, collapse"),
        ({"data": "moons"}, "data must be one of clusters, lines"),
        ({"precision": "float16"}, "precision must be one of float64, float32"),
        ({"view_noise": -0.1}, "view_noise must be a finite number >= 0"),
        ({"noise": math.inf}, "noise must be a finite number >= 0"),
    ],
)
def test_wrong_fields(fields, rule):
    with pytest.raises(ValueError, match=f"^{rule}"):
        Sweep(**fields)


def test_a_sweep_stored_before_momentum_has_none():
    stored = Sweep().to_plain()
    del stored["momentum"]
    assert Sweep.from_plain(stored) == Sweep()
    assert Sweep(momentum=0.5).setting.momentum == 0.5
    with pytest.raises(ValueError, match=r"^momentum must be below \(n - 2\)/n = 0.875 for collapse to attract 16"):
        Sweep(samples=16, momentum=0.9)
