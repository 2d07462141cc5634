import math

import numpy as np
import pytest
import torch

from clopsim.bounds import (
    Setting,
    collapse_rate,
    frozen_trimming_rate,
    trimmed_collapse,
    trimmed_multipliers,
    trimmed_volume,
    trimmed_volume_rate,
    trimmed_volume_window,
    trimming,
)
from clopsim.losses.info_nce import info_nce_of_rows


def loss_of(n, k, kind):
    """The first k anchors count n/k; full: the first k/2 samples in both views."""
    keep = (torch.arange(n) % (n // 2) < k // 2) if kind == "full" else torch.arange(n) < k

    def loss(z):
        if kind == "full":
            losses = info_nce_of_rows(z, temperature=0.5, reduction="none")
        else:
            s = (z @ z.mT / 0.5).masked_fill(torch.eye(n, dtype=torch.bool), -torch.inf)
            losses = s.logsumexp(dim=-1)
        return n / k * losses[keep].sum()

    return loss


@pytest.mark.parametrize("kind", ("merged", "full"))
@pytest.mark.parametrize("gradient", ("ambient", "tangent"))
@pytest.mark.parametrize("n, k", ((8, 4), (12, 8), (10, 4)))
def test_every_multiplier_of_a_step_with_its_multiplicity(n, k, kind, gradient, step_factors):
    z = torch.zeros(n, 2, dtype=torch.float64)
    z[:, 0] = 1
    found = trimmed_multipliers(0.35, samples=n, kept=k, temperature=0.5, loss=kind, gradient=gradient)
    kept = [found.together] * (k // 2 - 1) + [found.apart] * (k // 2) if kind == "full" else [found.together] * (k - 1)
    wanted = sorted([*kept, *[found.trimmed] * (n - k - 1), found.contrast, 1.0])
    assert step_factors(loss_of(n, k, kind), z, 0.35, gradient) == pytest.approx(wanted, rel=1e-9)


@pytest.mark.parametrize("kept, volume, frozen", (
    (64, 1.016, 1.016), (57, 1.107, 2.05), (48, 1.194, 2.19), (32, 1.350, 2.60), (16, 1.562, 3.797),
))  # fmt: skip
def test_reference_values(kept, volume, frozen):
    options = {"samples": 64, "kept": kept, "temperature": 0.5}
    assert trimmed_volume_rate(**options) / 0.5 == pytest.approx(volume, abs=6e-4)
    assert frozen_trimming_rate(**options) / 0.5 == pytest.approx(frozen, abs=6e-3 if kept == 48 else 5e-3)


def test_pulls_of_a_small_batch():
    """Four of eight anchors, tau = 1/2: the numbers by hand."""
    found = trimmed_collapse(samples=8, kept=4, temperature=0.5, loss="full")
    assert found == pytest.approx((-48 / 7, 64 / 7, -16 / 7, -32 / 7, -16 / 7, 16 / 7))
    merged = trimmed_collapse(samples=8, kept=4, temperature=0.5)
    assert merged == pytest.approx((-48 / 7, -48 / 7, -16 / 7, -32 / 7, 40 / 7, 16 / 7))


@pytest.mark.parametrize("n", (3, 8, 64))
def test_trimming_nothing_is_T4(n):
    T4 = collapse_rate(Setting(0.5, 4, n))
    options = {"samples": n, "kept": n, "temperature": 0.5}
    assert trimmed_volume_rate(**options) == pytest.approx(T4, rel=1e-14)
    assert frozen_trimming_rate(**options) == pytest.approx(T4, rel=1e-14)


@pytest.mark.parametrize("n", (3, 4, 5, 8, 13, 24))
def test_volumes_grow_below_the_rate_but_for_the_window_and_shrink_above(n):
    for k in range(2, n):
        options = {"samples": n, "kept": k, "temperature": 0.3}
        rate, window = trimmed_volume_rate(**options), trimmed_volume_window(**options)
        assert 0.3 * (n - 1) / n < rate
        rates = np.linspace(1e-3, 0.999, 250) * rate
        for mu in rates[np.abs(rates / window - 1) > 0.02]:
            assert trimmed_volume(mu, **options) > 0
        assert all(trimmed_volume(multiple * rate, **options) < 0 for multiple in (1.001, 1.5, 10, 1e4))
        assert abs(trimmed_multipliers(window, **options).contrast) < 1e-11


@pytest.mark.parametrize("n", (3, 4, 5, 8, 13, 24))
def test_a_fixed_choice_attracts_above_its_rate_alone(n):
    for k in range(2, n):
        rate = frozen_trimming_rate(samples=n, kept=k, temperature=0.3)
        for multiple, attracts in ((0.2, False), (0.9, False), (0.999, False), (1.001, True), (2, True), (100, True)):
            found = trimmed_multipliers(multiple * rate, samples=n, kept=k, temperature=0.3)
            largest = max(abs(f) for f in (found.together, found.contrast, *[found.trimmed] * (k < n - 1)))
            assert (largest < 1) == attracts
        assert rate > trimmed_volume_rate(samples=n, kept=k, temperature=0.3) * (1 - 1e-12)


def test_a_fixed_choice_never_attracts_the_full_loss_or_tangent_steps_or_for_a_single_anchor():
    assert frozen_trimming_rate(samples=12, kept=6, temperature=0.5, loss="full") is None
    assert frozen_trimming_rate(samples=12, kept=12, temperature=0.5, loss="full") is None
    assert frozen_trimming_rate(samples=12, kept=1, temperature=0.5) is None
    for mu in (1e-3, 1.0, 1e3):
        full = trimmed_multipliers(mu, samples=12, kept=6, temperature=0.5, loss="full")
        assert full.together > 1
        assert trimmed_multipliers(mu, samples=12, kept=6, temperature=0.5, gradient="tangent").together > 1
        assert abs(trimmed_multipliers(mu, samples=12, kept=1, temperature=0.5).contrast) > 1


def test_the_volume_is_minus_infinite_where_a_factor_is_zero():
    window = trimmed_volume_window(samples=4, kept=2, temperature=1.0)
    values = [trimmed_volume(np.nextafter(window, s), samples=4, kept=2, temperature=1.0) for s in (0, window, 9)]
    assert min(values) < -30
    assert math.isfinite(trimmed_volume(0.5, samples=4, kept=2, temperature=1.0))


@pytest.mark.parametrize("share", (0.25, 0.5, 0.75, 0.9))
def test_many_anchors(share):
    """n -> inf: the root of the volume and of the quadratic."""
    n = 40_000
    x = trimmed_volume_rate(samples=n, kept=round(share * n), temperature=1.0)
    alpha = (1 + share) / share
    assert share * math.log(x * alpha - 1) + (1 - share) * math.log(x - 1) == pytest.approx(0, abs=1e-3)
    frozen = ((3 + alpha) + math.sqrt((3 + alpha) ** 2 - 16)) / 4
    assert frozen_trimming_rate(samples=n, kept=round(share * n), temperature=1.0) == pytest.approx(frozen, rel=1e-4)
    if share == 0.5:
        assert x == pytest.approx(4 / 3, rel=1e-3)


def test_wrong_input():
    good = {"samples": 8, "kept": 4, "temperature": 0.5}
    calls = (trimmed_collapse, trimmed_volume_rate, trimmed_volume_window, frozen_trimming_rate)
    for call in calls:
        with pytest.raises(ValueError, match="kept must be <= samples = 8, got 9"):
            call(**good | {"kept": 9})
        with pytest.raises(ValueError, match="kept must be a whole number >= 1"):
            call(**good | {"kept": 0})
        with pytest.raises(ValueError, match="temperature must be a finite number > 0"):
            call(**good | {"temperature": 0.0})
        with pytest.raises(ValueError, match="samples must be a whole number >="):
            call(**good | {"samples": 1})
    for call in (trimmed_collapse, trimmed_volume_window):
        with pytest.raises(ValueError, match="kept must be below samples = 8, got 8; that trims nothing"):
            call(**good | {"kept": 8})
    for wrong in ({"samples": 9}, {"kept": 3}):
        with pytest.raises(ValueError, match="must be even for the full loss, got [93]; it counts both views"):
            trimmed_collapse(**good | wrong, loss="full")
    with pytest.raises(ValueError, match="kept must be >= 4 for the full loss, got 2"):
        frozen_trimming_rate(**good | {"kept": 2}, loss="full")
    with pytest.raises(ValueError, match="loss must be one of merged, full, got 'dcl'"):
        trimmed_collapse(**good, loss="dcl")
    with pytest.raises(ValueError, match="gradient must be one of ambient, tangent, got 'free'"):
        trimmed_multipliers(0.1, **good, gradient="free")


def test_derivation_closes_and_equals_the_code():
    proof = trimming.derive()
    assert proof.open_zeros() == {}
    assert proof.disagreements() == {}


def test_a_wrong_formula_is_caught(broken_by_five_percent):
    assert broken_by_five_percent(trimming, "_closed_forms") >= {
        "kept", "full, apart", "trimmed", "contrast", "pull", "pull, full", "trimmed pull", "across: trace", "window",
        "across, full: trace", "frozen: contrast", "frozen: kept", "all kept", "kept factor",
    }  # fmt: skip
