"""BLCL-style: prototypes of the batch and of a memory, vanishing means, the head, and the learned balance."""

import math

import pytest
import torch

from clopsim.losses import BLCL, blcl, learned_balance
from clopsim.losses.blcl import blcl_of_rows
from clopsim.losses.views import unit_rows

Y = torch.tensor([0, 0, 2, 2, 1, -1])


def slow(first, second, labels, *, tau, memory=None):
    """One anchor, one prototype at a time; the classes of a memory take theirs from it."""
    z = [u / u.norm() for u in torch.cat([first, second])]
    y = labels.tolist() * 2
    prototypes = {k: torch.stack([z[a] for a in range(len(z)) if y[a] == k]).sum(0) for k in {*y} - {-1}}
    for k, row in enumerate([] if memory is None else memory):
        if row.any():
            prototypes[k] = row.detach()
    terms = []
    for i in range(len(z)):
        if y[i] != -1:
            logits = {k: z[i] @ p / p.norm() / tau for k, p in prototypes.items()}
            terms.append(torch.stack([*logits.values()]).logsumexp(0) - logits[y[i]])
    return torch.stack(terms).mean()


@pytest.mark.parametrize("remembered", [(), (0,), (1, 3), (0, 1, 2, 3)])
def test_prototypes_of_the_memory_replace_and_add_to_those_of_the_batch(remembered, batch):
    first, second, _ = batch()
    memory = torch.randn(4, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    memory[[k for k in range(4) if k not in remembered]] = 0
    memory.requires_grad_()
    a, b = first.clone().requires_grad_(), first.clone().requires_grad_()
    value, wanted = blcl(a, second, Y, memory=memory), slow(b, second, Y, tau=0.5, memory=memory)
    torch.testing.assert_close(value, wanted, rtol=1e-13, atol=0)
    torch.testing.assert_close(
        torch.autograd.grad(value, a)[0], torch.autograd.grad(wanted, b)[0], rtol=1e-12, atol=1e-14
    )
    assert not value.requires_grad or memory.grad is None  # a memory is never trained


def test_one_class_is_zero_and_nobody_too(batch):
    first, second, _ = batch()
    first.requires_grad_()
    for labels in (torch.zeros(6, dtype=torch.long), torch.full((6,), -1)):
        value = blcl(first, second, labels)
        (slope,) = torch.autograd.grad(value, first)
        assert abs(float(value.detach())) < 1e-15
        assert slope.abs().max() < 1e-15
    assert blcl(first, second, Y, reduction="none").shape == (12,)
    assert blcl(first, second, Y, reduction="none")[5] == 0


def test_a_class_of_one_embedding_is_its_own_prototype(batch):
    z = unit_rows(batch()[0])
    doubled = blcl_of_rows(torch.cat([z, z]), torch.cat([Y, Y]))  # every mean is the same, every anchor there twice
    torch.testing.assert_close(blcl(z, None, Y), doubled, rtol=1e-13, atol=0)


def test_a_mean_that_vanishes_has_no_direction_and_no_gradient(batch):
    """Samples at opposite ends: rounding must not choose a prototype."""
    first, second, _ = batch()
    for dtype in (torch.float64, torch.float32):
        z = unit_rows(first.to(dtype)).repeat_interleave(3, dim=0)
        rows = torch.cat([z, -z]).requires_grad_()
        labels = torch.arange(6).repeat_interleave(3).repeat(2)
        value = blcl_of_rows(rows, labels, temperature=0.01)
        assert float(value.detach()) == pytest.approx(math.log(6), rel=1e-6)
        assert not torch.autograd.grad(value, rows)[0].any()
        half = torch.cat([rows.detach(), unit_rows(second.to(dtype))])  # other classes keep theirs
        assert blcl_of_rows(half, torch.cat([labels, torch.arange(6, 12)])).isfinite()


def test_missing_labels_and_wrong_memories(batch):
    first, second, _ = batch()
    with pytest.raises(ValueError, match="labels must be given for blcl, got none; number the classes from 0"):
        blcl(first, second)
    for memory in (torch.ones(3, 4).double(), torch.ones(5).double(), torch.ones(3, 5).long(), torch.ones(0, 5)):
        with pytest.raises(ValueError, match=r"memory must be floats of shape \(K, 5\), got .*one prototype for each"):
            blcl(first, second, Y, memory=memory)
    with pytest.raises(ValueError, match="memory must be on cpu as the embeddings, got meta; move it there"):
        blcl(first, second, Y, memory=torch.ones(3, 5, device="meta"))


def test_the_module_is_its_formula(batch):
    first, second, _ = batch()
    loss = BLCL(4, 5).double()
    seen = torch.tensor([True, True, True, False])
    with torch.no_grad():
        loss.log_sigma.copy_(torch.tensor([0.3, -0.2], dtype=torch.float64))
    rows, labels = torch.cat([first, second]), torch.cat([Y, Y])
    logits = loss.head(rows)[:, :3]
    entropy = -torch.stack([logits[i].log_softmax(0)[y] for i, y in enumerate(labels.tolist()) if y >= 0]).mean()
    wanted = 0.5 * math.exp(-0.6) * entropy + 0.5 * math.exp(0.4) * blcl(first, second, Y) + 0.1
    torch.testing.assert_close(loss(first, second, Y, seen=seen), wanted, rtol=1e-13, atol=0)
    assert loss(first, second, Y) != wanted
    value = loss(first, second, torch.full((6,), -100))
    assert float(value.detach()) == pytest.approx(0.1, rel=1e-6)  # nobody labelled: the sigmas alone
    assert "floor=-1.0" in repr(loss)


def test_the_module_maps_over_models(batch):
    first, second, _ = batch()
    models = [BLCL(3, 5).double() for _ in range(3)]
    params, buffers = torch.func.stack_module_state(models)

    def value(p, b):
        return torch.func.functional_call(models[0], (p, b), (first, second, Y))

    together = torch.func.vmap(value)(params, buffers)
    for k, model in enumerate(models):
        torch.testing.assert_close(together[k], model(first, second, Y), rtol=1e-13, atol=0)


def test_wrong_modules(batch):
    first, second, _ = batch()
    with pytest.raises(ValueError, match="labels must be < 2, the classes of the head, got a larger one"):
        BLCL(2, 5).double()(first, second, Y)
    with pytest.raises(ValueError, match="labels must be given for BLCL, got none"):
        BLCL(2, 5).double()(first, second)
    with pytest.raises(ValueError, match="classes must be a whole number >= 1"):
        BLCL(0, 5)
    with pytest.raises(ValueError, match="temperature must be a finite number > 0"):
        BLCL(2, 5, temperature=0)
    with pytest.raises(ValueError, match="floor must be a finite number <= 0, got 1.0; log sigma starts at 0"):
        BLCL(2, 5, floor=1.0)
    with pytest.raises(ValueError, match="log_sigma must have the shape of the terms"):
        learned_balance(torch.ones(3), torch.zeros(2))


def settled(loss, *, floor=-1.0, rate=0.1, start=0.0, steps=300):
    """log sigma after descent for a fixed loss."""
    log_sigma = torch.tensor([start], dtype=torch.float64, requires_grad=True)
    for _ in range(steps):
        (slope,) = torch.autograd.grad(
            learned_balance(torch.tensor([loss], dtype=torch.float64), log_sigma, floor=floor), log_sigma
        )
        with torch.no_grad():
            log_sigma -= rate * slope
    return float(log_sigma.detach())


def test_the_balance_is_a_logarithm_above_the_floor():
    """At sigma^2 = L: 1/2 + 1/2 log L, and the gradient in L is 1/(2 L)."""
    assert settled(0.7) == pytest.approx(0.5 * math.log(0.7), rel=1e-12)
    terms = torch.tensor([0.7, 2.0], dtype=torch.float64, requires_grad=True)
    value = learned_balance(terms, 0.5 * terms.detach().log())
    assert float(value.detach()) == pytest.approx(1 + 0.5 * math.log(1.4), rel=1e-14)
    torch.testing.assert_close(torch.autograd.grad(value, terms)[0], 0.5 / terms.detach(), rtol=1e-14, atol=0)


def test_a_sigma_stays_at_its_floor_and_comes_back():
    """Without a floor the weight of a loss that falls to 0 has no bound; with one it is exp(2)/2."""
    low = settled(1e-6)
    assert -1.2 < low <= -1
    terms = torch.tensor([1e-6], dtype=torch.float64, requires_grad=True)
    value = learned_balance(terms, torch.tensor([low], dtype=torch.float64))
    (weight,) = torch.autograd.grad(value, terms)
    assert float(weight) == pytest.approx(math.exp(2) / 2, rel=1e-12)
    assert settled(1e-6, floor=-20.0, steps=3000) == pytest.approx(0.5 * math.log(1e-6), rel=1e-6)
    assert settled(2.0, start=low) == pytest.approx(0.5 * math.log(2.0), rel=1e-12)
