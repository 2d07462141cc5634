"""Semi-supervised learning: which samples are guessed, and what calibration does to a guess."""

import pytest
import torch

from clopsim.protocols import few_labels
from clopsim.protocols.few_labels import CLASSES, DIMENSION, VARIANTS, FewLabels, class_means, guesses

TINY = FewLabels(seeds=1, steps=1, batch=8, labelled=2)


def test_only_the_calibrated_variant_asks_the_embedding():
    logits = torch.zeros(2, 3, CLASSES)
    logits[..., 0] = 1.0
    means = torch.eye(CLASSES, DIMENSION).repeat(2, 1, 1)
    z = torch.eye(CLASSES, DIMENSION)[[4, 4, 0]].repeat(2, 1, 1)
    guess, confidence = guesses(logits, z, means, torch.tensor([False, True]), TINY)
    assert guess.tolist() == [[0, 0, 0], [4, 4, 0]]
    e, f = torch.e, torch.exp(torch.tensor(1 / TINY.temperature))
    assert float(confidence[0, 0]) == pytest.approx(float(e / (e + 9)))
    assert float(confidence[1, 0]) == pytest.approx(float(f / (f + e + 8)))


def test_class_means_are_those_of_the_labelled_and_carry_no_gradient():
    z = torch.tensor([[[2.0, 0.0], [0.0, 3.0], [0.0, 1.0]]], requires_grad=True)
    means = class_means(z, torch.tensor([[1, 1, 0]]))
    assert not means.requires_grad
    torch.testing.assert_close(means[0, :2], torch.tensor([[0.0, 1.0], [1.0, 1.0]]))
    assert not means[0, 2:].any()


def test_each_variant_has_the_terms_of_its_name():
    """Gradients of the logits and of the embeddings of unlabelled rows, variant by variant, all guesses sure."""
    torch.manual_seed(0)
    outputs = torch.randn(len(VARIANTS), 2 * 10 + 2 * 8, CLASSES + DIMENSION)
    outputs[:, :, 0] += 40
    outputs.requires_grad_()
    labels = torch.arange(20).expand(len(VARIANTS), -1) % CLASSES
    few_labels._loss(outputs, labels, TINY).backward()
    strong, weak = outputs.grad[:, -8:], outputs.grad[:, 20:-8]
    moved = {
        name: (
            bool(outputs.grad[k, :20].any()),
            bool(weak[k, :, :CLASSES].any()),
            bool(strong[k, :, :CLASSES].any()),
            bool(weak[k, :, CLASSES:].any()),
        )
        for k, name in enumerate(VARIANTS)
    }
    sure = outputs.detach()[:, -8:, :CLASSES].softmax(dim=-1)[..., 0].min() > 1 - 1e-6
    assert sure
    for name, (labelled, guessing, guessed, contrasted) in moved.items():
        assert labelled
        assert not guessing, "a guess carries no gradient"
        assert guessed == (name != "ce")
        assert contrasted == (name in ("self+infonce", "positives", "sscl"))
    classes = [outputs.grad[VARIANTS.index(name), 20:, CLASSES:] for name in ("self+infonce", "positives")]
    assert not torch.allclose(*classes)
