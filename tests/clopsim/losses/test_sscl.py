"""SsCL-style: weights of positives against a loop, its limits, and the calibration of pseudo-labels."""

import math

import pytest
import torch

from clopsim.losses import calibrated, info_nce, sscl, supcon
from clopsim.losses.sscl import sscl_of_rows
from clopsim.losses.views import unit_rows

Y = torch.tensor([0, 0, 2, 2, 0, -1])
Q = torch.tensor([0.95, 0.92, 0.99, 0.5, 1.0, 1.0], dtype=torch.float64)


def slow(first, second, labels, confidence, *, tau, threshold):
    z = [u / u.norm() for u in torch.cat([first, second])]
    samples, total, known = len(labels), 0.0, 0
    for i in range(len(z)):
        weight = {}
        for p in range(len(z)):
            mine, other = i % samples, p % samples
            if p == i:
                continue
            if mine == other:
                weight[p] = 1.0
            elif labels[mine] == labels[other] >= 0 and min(confidence[mine], confidence[other]) >= threshold:
                weight[p] = float(confidence[mine] * confidence[other])
        if sum(weight.values()) == 0:
            continue
        known += 1
        logits = torch.stack([z[i] @ z[a] / tau for a in range(len(z)) if a != i])
        pull = sum(w * z[i] @ z[p] / tau for p, w in weight.items()) / sum(weight.values())
        total += float(logits.logsumexp(0) - pull)
    return total / max(1, known)


@pytest.mark.parametrize("tiled", (False, True))
@pytest.mark.parametrize("views", (1, 2))
@pytest.mark.parametrize("threshold", (0.0, 0.9, 0.97))
def test_value_equals_the_loop_over_anchors(tiled, views, threshold, batch):
    """Unequal confidences make the weights of a pair unequal; with one view an anchor may have no positive."""
    first, second, _ = batch()
    parts = (first, second) if views == 2 else (first, None)
    value = sscl(*parts, Y, confidence=Q, threshold=threshold, tiled=tiled)
    wanted = slow(first, second if views == 2 else first[:0], Y, Q, tau=0.2, threshold=threshold)
    assert float(value) == pytest.approx(wanted, rel=1e-12)


def test_certain_guesses_are_supcon_and_doubtful_ones_info_nce(batch):
    first, second, labels = batch()
    sure, doubtful = (sscl(first, second, labels, confidence=q, temperature=0.3) for q in (1.0, 0.89))
    torch.testing.assert_close(sure, supcon(first, second, labels, temperature=0.3), rtol=1e-13, atol=0)
    torch.testing.assert_close(doubtful, info_nce(first, second, temperature=0.3), rtol=1e-13, atol=0)
    views = [first, second, first + second]
    torch.testing.assert_close(
        sscl(views, None, labels, confidence=1.0), supcon(views, None, labels, temperature=0.2), rtol=1e-13, atol=0
    )


def test_nobody_with_a_positive_is_zero(batch):
    first, _, _ = batch()
    first.requires_grad_()
    for labels in (torch.arange(6), torch.full((6,), -1)):
        value = sscl(first, None, labels)
        assert float(value.detach()) == 0
        assert not torch.autograd.grad(value, first)[0].any()


def test_confidences_carry_no_gradient(batch):
    first, second, _ = batch()
    confidence = Q.clone().requires_grad_()
    value = sscl(first.requires_grad_(), second, Y, confidence=confidence)
    assert torch.autograd.grad(value, confidence, allow_unused=True)[0] is None


def test_a_row_of_weights_has_sum_one(batch):
    """At collapse log(V N - 1) whatever the guesses; unnormalised weights would show."""
    point = batch()[0][:1].expand(6, 5)
    for threshold in (0.0, 0.9):
        value = sscl(point, point, Y, confidence=Q, threshold=threshold)
        assert float(value) == pytest.approx(math.log(11), rel=1e-13)
    z = unit_rows(torch.cat([point, point]))
    with pytest.raises(ValueError, match="temperature must be a finite number > 0"):
        sscl_of_rows(z, torch.cat([Y, Y]), temperature=0)


def test_wrong_options(batch):
    first, second, _ = batch()
    with pytest.raises(ValueError, match="labels must be given for sscl, got none"):
        sscl(first, second)
    with pytest.raises(ValueError, match="confidence must be a finite number >= 0"):
        sscl(first, second, Y, confidence=-0.5)
    with pytest.raises(ValueError, match="confidence must be <= 1, got 1.5; it is a probability"):
        sscl(first, second, Y, confidence=1.5)
    with pytest.raises(ValueError, match=r"confidence must be a number or have the shape \(6,\) of the labels"):
        sscl(first, second, Y, confidence=Q[:3])


def test_anchors_need_two_views(batch):
    with pytest.raises(ValueError, match="^anchors needs two views or more, got one"):
        sscl(batch()[0], None, Y, anchors=torch.tensor([0]))


def simplex(classes):
    vectors = torch.eye(classes, dtype=torch.float64) - 1 / classes
    return vectors / vectors.norm(dim=1, keepdim=True)


@pytest.mark.parametrize("classes", (2, 5))
def test_calibration_at_the_simplex_adds_its_log_odds_and_at_collapse_nothing(classes):
    """T38: K/((K - 1) tau_s) at the simplex, where the rest of the probability is even."""
    p = 0.4
    logits = torch.full((classes, classes), (1 - p) / (classes - 1), dtype=torch.float64)
    logits.fill_diagonal_(p)
    logits = logits.log()
    there = simplex(classes)
    label, confidence = calibrated(logits, 3 * there, 2 * there, temperature=0.3)
    assert label.tolist() == list(range(classes))
    odds = math.log(p / (1 - p)) + classes / ((classes - 1) * 0.3)
    torch.testing.assert_close(confidence.logit(), torch.full_like(confidence, odds), rtol=1e-12, atol=0)
    point = there[:1].expand(classes, classes)
    _, confidence = calibrated(logits, point, point)
    torch.testing.assert_close(confidence, torch.full_like(confidence, max(p, (1 - p) / (classes - 1))))


def test_calibration_is_without_gradient_and_checks_shapes(batch):
    first, _, _ = batch()
    logits = torch.zeros(6, 3, dtype=torch.float64, requires_grad=True)
    guess = calibrated(logits, first.requires_grad_(), first[:3])
    assert not guess.confidence.requires_grad
    assert guess.label[:3].tolist() == [0, 1, 2]
    with pytest.raises(ValueError, match=r"logits \(N, K\), embeddings \(N, d\) and means \(K, d\) must fit"):
        calibrated(logits, first, first[:2])
    with pytest.raises(ValueError, match="temperature must be a finite number > 0"):
        calibrated(logits, first, first[:3], temperature=0)
