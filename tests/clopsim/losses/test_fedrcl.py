"""FedRCL: both forms against loops over anchors, the threshold, anchors alone, batches of one class."""

import math

import pytest
import torch

from clopsim.losses import fedrcl, info_nce
from clopsim.losses.fedrcl import fedrcl_of_rows
from clopsim.losses.views import unit_rows


def slow(first, second, labels, *, form, tau, beta, threshold):
    """One anchor at a time, as the document of the loss reads."""
    z = [u / u.norm() for u in torch.cat([first, second])]
    y = [k if k >= 0 else -1 - i for i, k in enumerate(labels.tolist())] * (len(z) // len(labels))
    total = 0
    for i in range(len(z)):
        s = [z[i] @ other for other in z]
        positive = [s[p] for p in range(len(z)) if y[p] == y[i] and p != i]
        negative = [s[a] for a in range(len(z)) if y[a] != y[i]]
        if form == "code":
            hardest = min(positive) if positive else torch.tensor(1.0).double()
            logits = torch.stack([hardest, *sorted(negative, reverse=True)[:2]]) / tau
            scl = -logits.log_softmax(0)[0]
            t = hardest if positive and hardest >= threshold else -1
            pen = math.log(1 + math.exp((float(t) - 1) / tau))
        else:
            scl = sum(
                (1 + sum(((a - p) / tau).exp() for a in negative)).log() if negative else torch.tensor(0.0).double()
                for p in (positive or [torch.tensor(1.0).double()])
            ) / max(1, len(positive))
            pen = math.log(1 + sum(math.exp(((float(p) if p >= threshold else -1) - 1) / tau) for p in positive))
        total += float(scl) + beta * pen
    return total / len(z)


def narrow(seed, *, samples=6, spread=0.6):
    """Raw rows that lie near each other, so that the threshold divides them."""
    generator = torch.Generator().manual_seed(seed)
    centre = torch.randn(5, generator=generator, dtype=torch.float64)
    return centre + spread * torch.randn(2, samples, 5, generator=generator, dtype=torch.float64)


LABELS = {
    "two classes": torch.tensor([0, 0, 1, 1, 1, 0]),
    "unlabelled": torch.tensor([0, 0, 1, 1, -1, -1]),
    "one class": torch.zeros(6, dtype=torch.long),
    "nobody": torch.full((6,), -1),
    "classes of one sample": torch.arange(6),
}


@pytest.mark.parametrize("form", ("code", "dense"))
@pytest.mark.parametrize("views", (1, 2))
@pytest.mark.parametrize("kind", LABELS)
def test_value_equals_the_loop_over_anchors(form, views, kind):
    """With one view an unlabelled sample and a class of one are alone; beside one class nothing is a negative."""
    for seed in range(3):
        first, second = narrow(seed)
        parts = (first, second) if views == 2 else (first, None)
        for tau, beta, threshold in ((0.05, 1.0, 0.7), (0.5, 2.0, -1.0), (0.2, 0.3, 0.9)):
            options = {"form": form, "beta": beta, "threshold": threshold}
            value = fedrcl(*parts, LABELS[kind], temperature=tau, **options)
            wanted = slow(first, second if views == 2 else first[:0], LABELS[kind], tau=tau, **options)
            assert float(value) == pytest.approx(wanted, rel=1e-12, abs=1e-13)


@pytest.mark.parametrize("form", ("code", "dense"))
@pytest.mark.parametrize("views", (1, 2))
@pytest.mark.parametrize("kind", LABELS)
@pytest.mark.parametrize("tau", (0.005, 0.05))
def test_gradients_are_finite_and_those_of_the_value(form, views, kind, tau):
    first, second = narrow(1)

    def loss(*parts):
        return fedrcl(*parts, *([None] * (views == 1)), LABELS[kind], temperature=tau, form=form)

    parts = [part.requires_grad_() for part in ((first, second) if views == 2 else (first,))]
    assert torch.autograd.gradcheck(loss, parts, atol=1e-5)
    (slope,) = torch.autograd.grad(loss(*parts), parts[:1], create_graph=True)
    assert torch.autograd.grad(slope.square().sum(), parts[0])[0].isfinite().all()  # curvatures are asked for too


def test_both_forms_agree_with_two_classes_of_one_sample():
    """m = 2, n = 4: one positive and the two hardest negatives are all there are."""
    first, second = narrow(2, samples=2)
    labels = torch.tensor([0, 1])
    code, dense = (fedrcl(first, second, labels, form=form) for form in ("code", "dense"))
    torch.testing.assert_close(code, dense, rtol=1e-13, atol=0)


def test_without_penalty_and_labels_dense_is_info_nce():
    first, second = narrow(3)
    nobody = torch.full((6,), -1)
    value = fedrcl(first, second, nobody, form="dense", beta=0.0, temperature=0.3)
    torch.testing.assert_close(value, info_nce(first, second, temperature=0.3), rtol=1e-13, atol=0)


def test_the_one_of_the_penalty_is_a_number():
    """Written as a cosine of the anchor to itself it would pull along z: tangent steps do not see it, ambient ones do.
    At one point, one class: the penalty alone, each of its n = 4 anchors with the two sides of a pair."""
    z = torch.eye(3, dtype=torch.float64)[:1].repeat(4, 1).requires_grad_()
    tau = 0.5
    for form, slope in (("code", 1 / 2), ("dense", 3 / 4)):
        value = fedrcl_of_rows(
            z, torch.zeros(4, dtype=torch.long), form=form, temperature=tau, threshold=-1.0, reduction="sum"
        )
        (ambient,) = torch.autograd.grad(value, z)
        assert float((z.detach() * ambient).sum(dim=1).mean()) == pytest.approx(
            2 * slope / tau, rel=1e-12
        )  # 2 beta (m-1)/m tau


def test_ties_share_the_gradient():
    """Three positives at the same cosine: none is picked, so that a symmetric state stays symmetric."""
    z = unit_rows(torch.tensor([[3.0, 0, 0], [3, 1, 0], [3, -1, 0]]).double()).requires_grad_()
    value = fedrcl_of_rows(z, torch.zeros(3, dtype=torch.long), views=1, reduction="none", threshold=0.0)[0]
    (slope,) = torch.autograd.grad(value, z)
    torch.testing.assert_close(slope[1, 0], slope[2, 0], rtol=1e-13, atol=0)
    assert float(slope[0, 1]) == pytest.approx(0, abs=1e-13)


def test_wrong_options():
    first, second = narrow(0)
    with pytest.raises(ValueError, match="labels must be given for fedrcl, got none"):
        fedrcl(first, second)
    with pytest.raises(ValueError, match="form must be one of code, dense, got 'hard'"):
        fedrcl(first, second, LABELS["one class"], form="hard")
    with pytest.raises(ValueError, match="beta must be a finite number >= 0, .*0 leaves the penalty out"):
        fedrcl(first, second, LABELS["one class"], beta=-1.0)


@pytest.mark.parametrize("form", ("code", "dense"))
def test_parts_of_the_anchors_add_up_to_the_batch_with_its_gradient(form):
    first, second = narrow(4)
    views, labels = torch.stack([first, second]).requires_grad_(), LABELS["unlabelled"]
    whole = fedrcl(*views, labels, form=form)
    (expected,) = torch.autograd.grad(whole, views)
    order = torch.randperm(12, generator=torch.Generator().manual_seed(0))
    parts = [
        fedrcl(*views, labels, form=form, anchors=order[part]) for part in (slice(0, 5), slice(5, 5), slice(5, 12))
    ]
    torch.testing.assert_close(sum(parts), whole, rtol=1e-13, atol=0)
    torch.testing.assert_close(torch.autograd.grad(sum(parts), views)[0], expected, rtol=1e-11, atol=1e-13)
    each = fedrcl(*views, labels, form=form, reduction="none")
    own = fedrcl(*views, labels, form=form, reduction="none", anchors=order[:5])
    torch.testing.assert_close(own, each[order[:5]], rtol=1e-13, atol=0)
    with pytest.raises(ValueError, match=r"^anchors must be numbers of embeddings, int64 of shape \(r,\)"):
        fedrcl(*views, labels, form=form, anchors=torch.tensor([True]))
