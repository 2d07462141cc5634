import math
from itertools import product

import numpy as np
import pytest
import torch

from clopsim.audit.experiments.cosine_losses import graph_loss
from clopsim.audit.experiments.modes import modes
from clopsim.bounds import (
    Setting,
    alignment_collapse_rate,
    apart_curvature,
    attracting_rates,
    class_loss,
    collapse_rate,
    collapse_spectrum,
    contrastive_slopes,
    critical_rate,
    positive_graph,
    positive_weights,
    together_curvature,
)
from clopsim.bounds.class_losses import inside_curvatures, unheld_pull

SAMPLES, CLASSES = np.arange(12) // 2, np.arange(12) // 4


def spectrum(W, d=6, tau=0.5, seen=None):
    return collapse_spectrum(contrastive_slopes(W, temperature=tau, seen=seen), dimension=d)


def levels(found):
    values, counts = np.unique(found.curvatures.round(5), return_counts=True)
    return dict(zip(values.tolist(), counts.tolist(), strict=True))


@pytest.mark.parametrize("confidence, expected, lost", [
    (0.6, {-4.36364: 2, -1.0148: 3, 1.96195: 6}, 1.0194),
    (0.95, {-4.36364: 2, 0.78431: 3, 1.06239: 6}, 1.88255),
    (1.0, {-4.36364: 2, 0.9697: 9}, 2.0625),
])  # fmt: skip
def test_values_of_the_document(confidence, expected, lost):
    found = spectrum(positive_weights(SAMPLES, labels=CLASSES, confidence=np.full(12, confidence)))
    assert levels(found) == expected
    assert found.lost_rate("tangent") == pytest.approx(lost, rel=1e-5)
    assert found.lost_rate("ambient") == pytest.approx(lost, rel=1e-5)
    assert found.pull == 0


def test_nt_xent_and_dcl_of_the_document():
    W = positive_weights(SAMPLES)
    assert levels(spectrum(W)) == {-4.36364: 5, 3.63636: 6}
    assert spectrum(W).lost_rate("ambient") == pytest.approx(0.55)
    decoupled = spectrum(W, seen=SAMPLES[:, None] != SAMPLES)
    assert levels(decoupled) == {-4.8: 5, 4.0: 6}
    assert decoupled.lost_rate("ambient") == pytest.approx(0.5)
    assert decoupled.ways_out == 5 * 5


def test_fedrcl_of_the_document():
    """Beta = 1: a maximum with a positive pull, which large ambient steps are drawn to."""
    mates = CLASSES[:, None] == CLASSES
    for beta, attracts in ((1.0, (pytest.approx(3.0), math.inf)), (0.85, None), (0.2, None)):
        slopes = np.where(mates, beta / 4 - 8 / 27, 1 / 9) * (1 - np.eye(12)) / 0.5
        found = collapse_spectrum(slopes, dimension=6)
        assert found.pull == pytest.approx(3 * beta)
        assert attracting_rates(found.curvatures, pull=found.pull, gradient="ambient") == attracts
        assert (found.lost_rate("ambient") is None) is (beta > 8 / 27)
    assert levels(collapse_spectrum(slopes, dimension=6)) == {-5.33333: 2, round(4 * (8 / 27 - 0.2), 5): 9}
    assert found.lost_rate("tangent") == pytest.approx(5.192308)
    assert found.lost_rate("ambient") == pytest.approx(1.261682)


def test_small_classes_are_torn_first():
    sizes = (2, 4, 6)
    labels = np.repeat([0, 1, 2], sizes)
    found = spectrum(positive_weights(np.arange(12), labels=labels), tau=0.3)
    rates = sorted({round(2 / c, 9) for c in found.curvatures if c > 0})
    assert rates == pytest.approx([0.3 * 11 * (m - 1) / (12 - m) for m in sizes])
    assert found.ways_out == 2 * 5


def test_one_class_is_flat_and_parts_are_ways_out():
    flat = spectrum(positive_weights(SAMPLES, labels=np.zeros(12, dtype=int)))
    assert flat.curvatures.tolist() == [0.0] * 11
    assert flat.ways_out == 0
    assert flat.lost_rate("tangent") is None
    half = np.where(CLASSES < 2, CLASSES, -1)  # two classes and two samples without a label
    for q, ways in ((0.95, 12), (0.6, 20)):
        assert spectrum(positive_weights(SAMPLES, labels=half, confidence=np.full(12, q)), d=5).ways_out == ways


def test_the_confidence_that_binds():
    for K, m in ((3, 4), (2, 6), (4, 4)):
        n = K * m
        star = math.sqrt(n / (2 * n - m))
        for q, extra in ((0.999 * star, 1), (1.001 * star, 0)):
            W = positive_weights(np.arange(n) // 2, labels=np.arange(n) // m, confidence=np.full(n, q))
            assert spectrum(W, d=2).ways_out == K - 1 + extra * K * (m // 2 - 1)


def test_t2_and_t4_are_cases():
    for tau, samples in product((0.2, 1.0), (4, 10)):
        full, merged = Setting(tau, 3, samples, "full"), Setting(tau, 3, samples)
        pairs = spectrum(positive_weights(np.arange(samples) % (samples // 2)), d=3, tau=tau)
        assert pairs.curvatures[0] == pytest.approx(together_curvature(full), rel=1e-12)
        assert pairs.curvatures[-1] == pytest.approx(apart_curvature(full), rel=1e-12)
        assert pairs.lost_rate("ambient") == pytest.approx(alignment_collapse_rate(full), rel=1e-12)
        alone = spectrum(np.zeros((samples, samples)), d=3, tau=tau)
        assert alone.pull == pytest.approx(2 / tau)
        rates = attracting_rates(alone.curvatures, pull=alone.pull, gradient="ambient")
        assert rates == (pytest.approx(collapse_rate(merged), rel=1e-12), math.inf)
        assert alone.lost_rate("ambient") is None


def test_it_is_the_class_collapsed_state_at_cosine_one():
    for name, numbers, W in (
        ("supcon", {}, positive_weights(SAMPLES, labels=CLASSES)),
        ("sscl", {"confidence": 0.6}, positive_weights(SAMPLES, labels=CLASSES, confidence=np.full(12, 0.6))),
        ("merged", {}, np.zeros((12, 12))),
    ):
        loss = class_loss(name, classes=3, per_class=4, temperature=0.5, **numbers)
        found = spectrum(W)
        assert unheld_pull(loss, 1.0) == pytest.approx(found.pull)
        for curvature in inside_curvatures(loss, 1.0):
            assert np.abs(found.curvatures - curvature).min() < 1e-12


@pytest.mark.parametrize("seed", range(3))
def test_any_weights_are_the_hessian(seed):
    rng = np.random.default_rng(seed)
    W = rng.random((6, 6))
    np.fill_diagonal(W, 0)
    z = torch.zeros(6, 3, dtype=torch.float64)
    z[:, 0] = 1
    measured, found = modes(graph_loss(torch.from_numpy(W), 0.7), z), spectrum(W, d=3, tau=0.7)
    np.testing.assert_allclose(measured.curvatures, np.sort([*np.repeat(found.curvatures, 2), 0, 0]), atol=1e-8)
    np.testing.assert_allclose(measured.pulls, found.pulls, atol=1e-10)
    assert found.pull is None


@pytest.mark.parametrize("seed", range(6))
def test_flips_are_where_a_multiplier_is_minus_one(seed):
    slopes = np.random.default_rng(seed).normal(size=(5, 5))
    M, found = slopes + slopes.T, collapse_spectrum(slopes, dimension=2)
    for e in found.flips[np.abs(found.flips) > 0.1]:
        step = np.linalg.solve(np.eye(5) - 2 / e * np.diag(found.pulls), np.eye(5) - 2 / e * M)
        assert np.abs(np.linalg.eigvals(step) + 1).min() < 1e-9


def test_with_one_pull_t27_has_the_rates():
    slopes = np.where(CLASSES[:, None] == CLASSES, -0.7, 0.3)
    for own, ambient in ((0.0, 1.0), (-0.2, 5 / 3), (-0.7, None)):
        found = collapse_spectrum(slopes + (0.7 + own) * np.eye(12), dimension=3)
        assert found.curvatures[-1] == pytest.approx(0.8)
        for gradient, rate in (("ambient", ambient), ("tangent", 2.5)):
            for found_rate in (critical_rate(0.8, pull=found.pull, gradient=gradient), found.lost_rate(gradient)):
                assert (found_rate or math.inf) == pytest.approx(rate or math.inf, rel=1e-12)


def test_the_diagonal_changes_pulls_only():
    slopes = np.random.default_rng(0).normal(size=(5, 5))
    plain, more = (collapse_spectrum(slopes + x * np.eye(5), dimension=3) for x in (0.0, 0.7))
    np.testing.assert_allclose(more.curvatures, plain.curvatures, atol=1e-12)
    np.testing.assert_allclose(more.pulls, plain.pulls + 1.4, atol=1e-12)


def test_wrong_input():
    with pytest.raises(ValueError, match=r"^slopes must be \(n, n\) with n >= 2, got shape \(2, 3\)"):
        collapse_spectrum(np.zeros((2, 3)), dimension=3)
    with pytest.raises(ValueError, match="^slopes must be finite, got nan or inf"):
        collapse_spectrum([[0.0, math.nan], [0.0, 0.0]], dimension=3)
    with pytest.raises(ValueError, match="^dimension must be a whole number >= 2, got 1"):
        collapse_spectrum(np.zeros((2, 2)), dimension=1)
    with pytest.raises(ValueError, match="^positives must be >= 0, got -1"):
        contrastive_slopes(-np.ones((3, 3)), temperature=0.5)
    with pytest.raises(ValueError, match="^temperature must be a finite number > 0"):
        contrastive_slopes(np.ones((3, 3)), temperature=0)
    with pytest.raises(ValueError, match="^seen must have the shape of positives"):
        contrastive_slopes(np.ones((3, 3)), temperature=0.5, seen=np.ones((2, 2)))
    with pytest.raises(ValueError, match="^seen must have a pair in every row, got an anchor that sees nobody"):
        contrastive_slopes(np.ones((3, 3)), temperature=0.5, seen=np.eye(3))
    with pytest.raises(ValueError, match="^samples must be a row of two or more numbers, got shape"):
        positive_weights(np.zeros((2, 2)))
    with pytest.raises(ValueError, match="^labels must have one entry for each embedding, got shape"):
        positive_weights([0, 0], labels=[1])
    with pytest.raises(ValueError, match=r"^confidence must be in \[0, 1\], got"):
        positive_weights([0, 0], labels=[1, 1], confidence=[0.5, 2.0])
    with pytest.raises(ValueError, match="^samples must give every embedding a positive, got none for number 2"):
        positive_weights([0, 0, 1], labels=[0, 0, 1])
    with pytest.raises(ValueError, match="^gradient must be one of ambient, tangent"):
        spectrum(positive_weights([0, 0])).lost_rate("euclidean")


def test_derivation_closes_and_equals_the_code():
    proof = positive_graph.derive()
    assert proof.open_zeros() == {}
    assert proof.disagreements() == {}


def test_a_wrong_formula_is_caught(broken_by_five_percent):
    broken = broken_by_five_percent(positive_graph, "_closed_forms")
    zeros = set(positive_graph.derive().zeros)
    assert zeros - broken == {
        "any loss: the Hessian", "any loss: the pull", "any loss: minus the sum of M (a_i - a_j)^2",
        "ambient: -1 where mu = 2/e", "positives: an eigenvalue", "blcl, spread", "sscl: the confidence that binds",
        "fedrcl: the penalty that expels",
    }  # fmt: skip
