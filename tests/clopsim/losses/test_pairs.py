"""The one contrastive loss in its forms: views, labels, masks, towers, queues; its tiles against the whole matrix."""

import math
from functools import partial

import pytest
import torch
from torch.nn.functional import cross_entropy, normalize

from clopsim.losses import (
    CLOP,
    LearnedTemperature,
    OrthonormalPrototypes,
    by_name,
    clip,
    dcl,
    info_nce,
    moco,
    pairs,
    prototype_term,
    supcon,
    tiles,
)

TAU = 0.2


def drawn(*shape, seed=0, dtype=torch.float64):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def slow(z, positive, *, hidden=None, form="out"):
    """Loss of every anchor by loops over unit rows; positive(i, a), hidden(i, a) say which pairs; None: no positive."""
    z, found = normalize(z, dim=1), []
    for i in range(len(z)):
        s = [float(z[i] @ z[a]) / TAU for a in range(len(z))]
        seen = [s[a] for a in range(len(z)) if a != i and not (hidden and hidden(i, a))]
        some = [s[a] for a in range(len(z)) if a != i and positive(i, a)]
        if not some:
            found.append(None)
            continue
        pull = sum(some) / len(some) if form == "out" else math.log(sum(map(math.exp, some)) / len(some))
        found.append(math.log(sum(map(math.exp, seen))) - pull)
    return found


def mean(values):
    some = [value for value in values if value is not None]
    return sum(some) / len(some)


@pytest.mark.parametrize("views", (2, 3, 5))
def test_any_number_of_views_is_the_slow_loop(views):
    v = drawn(views, 4, 6)
    same = lambda i, a: i % 4 == a % 4  # noqa: E731
    expected = mean(slow(v.flatten(0, 1), same))
    for given in ((v,), (list(v),), *([tuple(v)] if views == 2 else ())):
        assert float(info_nce(*given, temperature=TAU)) == pytest.approx(expected, rel=1e-12)
    assert float(supcon(v, temperature=TAU)) == pytest.approx(expected, rel=1e-12)
    assert float(dcl(v, temperature=TAU)) == pytest.approx(mean(slow(v.flatten(0, 1), same, hidden=same)), rel=1e-12)


@pytest.mark.parametrize("form", ("out", "in"))
def test_one_view_with_labels_leaves_anchors_without_a_positive_out(form):
    x, y = drawn(7, 5), torch.tensor([0, 0, 1, 1, 1, 2, -1])
    values = slow(x, lambda i, a: y[i] == y[a] and y[i] >= 0, form=form)
    assert values[5] is None
    assert values[6] is None
    one = partial(supcon, x, None, temperature=TAU, form=form)
    assert float(one(y)) == pytest.approx(mean(values), rel=1e-12)
    alone = one(y, reduction="none")
    assert alone.tolist() == pytest.approx([value or 0.0 for value in values], rel=1e-12)
    assert float(one(y, reduction="sum")) == pytest.approx(sum(value or 0.0 for value in values), rel=1e-12)
    nobody = x.clone().requires_grad_()
    loss = supcon(nobody, None, torch.arange(7), temperature=TAU, form=form)
    loss.backward()
    assert (float(loss.detach()), float(nobody.grad.abs().sum())) == (0.0, 0.0)
    x = x.requires_grad_()
    one(y).backward()
    assert x.grad.isfinite().all()


def test_labels_shared_and_a_mask_of_positives():
    a, b = drawn(5, 4), drawn(5, 4, seed=1)
    several = torch.tensor([[1, 0, 1], [0, 1, 0], [1, 1, 0], [0, 0, 0], [0, 0, 1]])
    shares = several @ several.T > 0
    positive = lambda i, j: i % 5 == j % 5 or bool(shares[i % 5, j % 5])  # noqa: E731
    expected = mean(slow(torch.cat([a, b]), positive))
    assert float(supcon(a, b, several, temperature=TAU)) == pytest.approx(expected, rel=1e-12)
    assert float(supcon(a, b, positives=shares, temperature=TAU)) == pytest.approx(expected, rel=1e-12)


def test_two_towers_are_cross_entropy_both_ways():
    a, b = drawn(6, 5), drawn(6, 5, seed=1)
    s = normalize(a, dim=1) @ normalize(b, dim=1).T / TAU
    both = [cross_entropy(part, torch.arange(6), reduction="none") for part in (s, s.T)]
    torch.testing.assert_close(clip(a, b, temperature=TAU, reduction="none"), torch.cat(both), rtol=1e-12, atol=0)
    assert float(clip(a, b, temperature=TAU)) == pytest.approx(float(torch.cat(both).mean()), rel=1e-12)
    assert float(clip(a[:1], b[:1])) == pytest.approx(0, abs=1e-14)


def test_a_learned_temperature_gets_its_gradient_and_stops_at_one_over_a_hundred():
    a, b, tau = drawn(6, 5), drawn(6, 5, seed=1), LearnedTemperature(TAU).double()
    clip(a, b, temperature=tau()).backward()
    step = 1e-6
    values = [float(clip(a, b, temperature=TAU * math.exp(-sign * step))) for sign in (1, -1)]
    assert float(tau.log_scale.grad) == pytest.approx((values[0] - values[1]) / (2 * step), rel=1e-6)
    assert repr(tau) == "LearnedTemperature(temperature=0.2)"
    with torch.no_grad():
        tau.log_scale.fill_(50)
    assert float(tau().detach()) == pytest.approx(0.01)
    with pytest.raises(ValueError, match=r"^temperature must be >= 0.01, got 0.001; CLIP keeps 1/tau below 100"):
        LearnedTemperature(0.001)


def test_negatives_of_ones_own_join_the_sum():
    a, b, more = drawn(4, 5), drawn(4, 5, seed=1), drawn(9, 5, seed=2)
    z, others = normalize(torch.cat([a, b]), dim=1), normalize(more, dim=1)
    s, extra = z @ z.T / TAU, z @ others.T / TAU
    s.fill_diagonal_(-torch.inf)
    target = torch.arange(8).roll(4)
    expected = cross_entropy(torch.cat([s, extra], dim=1), target)
    assert float(info_nce(a, b, temperature=TAU, negatives=more)) == pytest.approx(float(expected), rel=1e-12)
    own = more.expand(8, 9, 5)
    assert float(info_nce(a, b, temperature=TAU, negatives=own)) == pytest.approx(float(expected), rel=1e-12)


def test_a_queue_is_cross_entropy_and_gets_no_gradient():
    q, k, queue = drawn(4, 5).requires_grad_(), drawn(4, 5, seed=1).requires_grad_(), drawn(9, 5, seed=2)
    unit = partial(normalize, dim=1)
    s = torch.cat([(unit(q) * unit(k)).sum(1, keepdim=True), unit(q) @ unit(queue).T], dim=1) / TAU
    expected = cross_entropy(s, torch.zeros(4, dtype=torch.long))
    loss = moco(q, k, queue, temperature=TAU)
    assert float(loss.detach()) == pytest.approx(float(expected.detach()), rel=1e-12)
    loss.backward()
    assert k.grad is None
    assert q.grad.isfinite().all()
    point = drawn(1, 5)
    at_collapse = moco(point.expand(4, 5), point.expand(4, 5), point.expand(9, 5))
    assert float(at_collapse) == pytest.approx(math.log(10), rel=1e-12)


def test_prototypes_join_any_number_of_views():
    v, y, c = drawn(3, 4, 5), torch.tensor([0, 1, 2, -1]), OrthonormalPrototypes(3, 5, dtype=torch.float64)
    pull = sum(float(prototype_term(view, None, y, prototypes=c.vectors)) for view in v) / 3
    expected = float(info_nce(v, temperature=TAU)) + 0.7 * pull
    assert float(CLOP(partial(info_nce, temperature=TAU), c, 0.7)(v, None, y)) == pytest.approx(expected, rel=1e-12)


FORMS = {
    "infonce": lambda a, b, **k: info_nce(a, b, temperature=TAU, **k),
    "three views": lambda a, b, **k: info_nce([a, b, a + b], temperature=TAU, **k),
    "own negatives": lambda a, b, **k: info_nce(a, b, temperature=TAU, negatives=a * 2 + 1, **k),
    "dcl": lambda a, b, **k: dcl(a, b, temperature=TAU, **k),
    "supcon": lambda a, b, **k: supcon(a, b, torch.arange(len(a)) % 4 - 1, temperature=TAU, **k),
    "supcon in": lambda a, b, **k: supcon(a, b, torch.arange(len(a)) % 4 - 1, temperature=TAU, form="in", **k),
    "one view": lambda a, b, **k: supcon(a, None, torch.arange(len(a)) // 2, temperature=TAU, **k),
    "one view in": lambda a, b, **k: supcon(a, None, torch.arange(len(a)) // 2, temperature=TAU, form="in", **k),
    "clip": lambda a, b, **k: clip(a, b, temperature=TAU, **k),
}


@pytest.mark.parametrize("reduction", ("mean", "none"))
@pytest.mark.parametrize("form", FORMS)
def test_tiles_give_the_value_and_gradient_of_the_whole_matrix(form, reduction, monkeypatch):
    monkeypatch.setattr(tiles, "TILE", 100)  # some rows each, the last tile smaller
    found = []
    for tiled in (False, True):
        a, b = drawn(11, 6).requires_grad_(), drawn(11, 6, seed=1).requires_grad_()
        loss = FORMS[form](a, b, reduction=reduction, tiled=tiled)
        weights = drawn(*loss.shape, seed=5)
        gradients = torch.autograd.grad((loss * weights).sum(), (a, b), allow_unused=True)
        found.append((loss, *(part for part in gradients if part is not None)))
    for whole, tiled in zip(*found, strict=True):
        torch.testing.assert_close(tiled, whole, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("dtype, close", ((torch.float32, 1e-6), (torch.bfloat16, 1e-6)))
def test_tiles_in_lower_precision(dtype, close, monkeypatch):
    monkeypatch.setattr(tiles, "TILE", 100)
    a, b = drawn(40, 16, dtype=dtype), drawn(40, 16, seed=1, dtype=dtype)
    whole, tiled = (FORMS["infonce"](a, b, tiled=choice) for choice in (False, True))
    assert tiled.dtype == torch.float32
    torch.testing.assert_close(tiled, whole, rtol=close, atol=0)


def test_tiles_begin_at_a_size_and_refuse_what_they_cannot_do(monkeypatch):
    asked = []
    monkeypatch.setattr(pairs, "tiled_sums", lambda *a: asked.append(a[0].shape) or tiles.tiled_sums(*a))
    monkeypatch.setattr(pairs, "TILED_FROM", 20**2)
    for samples in (9, 10):
        info_nce(drawn(samples, 4), drawn(samples, 4, seed=1))
    assert asked == [(20, 4)]
    a = drawn(5, 4).requires_grad_()
    (slope,) = torch.autograd.grad(info_nce(a, drawn(5, 4, seed=1), tiled=True), a, create_graph=True)
    with pytest.raises(RuntimeError, match="^tiled must be False for second derivatives, got tiles"):
        torch.autograd.grad(slope.square().sum(), a)
    with pytest.raises(ValueError, match="tiled must be False under torch.func.vmap"):
        torch.func.vmap(partial(info_nce, tiled=True))(drawn(2, 5, 4), drawn(2, 5, 4, seed=1))


def test_a_learned_temperature_gets_its_gradient_from_tiles_too():
    found = []
    for tiled in (False, True):
        tau = torch.tensor(TAU, dtype=torch.float64, requires_grad=True)
        info_nce(drawn(9, 4), drawn(9, 4, seed=1), temperature=tau, tiled=tiled).backward()
        found.append(float(tau.grad))
    assert found[1] == pytest.approx(found[0], rel=1e-12)


@pytest.mark.parametrize("loss", (info_nce, supcon, dcl, clip))
def test_rows_whose_square_overflows_keep_their_direction(loss):
    a, b = drawn(8, 16), drawn(8, 16, seed=1)
    x = (a * 1e20).float().requires_grad_()
    value = loss(x, (b * 1e20).float(), temperature=TAU)
    assert float(value.detach()) == pytest.approx(float(loss(a, b, temperature=TAU)), rel=1e-5)
    value.backward()
    assert float(x.grad.abs().sum()) > 0


WRONG = (
    (lambda x, y: info_nce(x), "first must hold at least two views, got one; without labels"),
    (lambda x, y: dcl([x]), "first must hold at least two views, got one"),
    (lambda x, y: info_nce([]), "first must hold at least one view, got none"),
    (lambda x, y: info_nce([x, x], x), "second must be left out where first holds all views"),
    (lambda x, y: info_nce([x, x[:2]]), "second must match first"),
    (lambda x, y: supcon(x, x, y, positives=torch.eye(4, dtype=torch.bool)), "positives must come without labels"),
    (lambda x, y: supcon(x, x, positives=torch.eye(4)), r"positives must be a boolean mask of shape \(4, 4\)"),
    (lambda x, y: supcon(x, x, torch.full((4, 2), 2)), r"labels of shape \(N, C\) must hold 0 and 1 only"),
    (lambda x, y: supcon(x, x, torch.zeros(3, 2, dtype=torch.long)), r"labels must be integers of shape \(4,\)"),
    (
        lambda x, y: info_nce(x, x, negatives=torch.ones(5, 2)),
        r"negatives must be floats of shape \(M, 3\), or \(8, M, 3",
    ),
    (lambda x, y: supcon(x, None, y, negatives=torch.ones(3, 5, 3)), "negatives must be floats of shape"),
    (lambda x, y: info_nce(x, x, negatives=torch.ones(0, 3)), "negatives must be floats of shape"),
    (lambda x, y: info_nce(x, x, negatives=torch.ones(5, 3, dtype=torch.long)), "negatives must be floats of shape"),
    (
        lambda x, y: info_nce(x, x, negatives=torch.ones(5, 3, device="meta")),
        "negatives must be on cpu as the embeddings",
    ),
    (lambda x, y: moco(x, x, torch.ones(5, 3, device="meta")), "queue must be on cpu as the queries, got meta"),
    (lambda x, y: moco(x, x, x[:0]), r"queue must have shape \(M, 3\), M >= 1, got \(0, 3\); fill it"),
    (lambda x, y: moco(x, x, torch.ones(4, 2)), r"queue must have shape \(M, 3\)"),
)


@pytest.mark.parametrize("call, message", WRONG)
def test_wrong_input(call, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        call(torch.ones(4, 3), torch.zeros(4, dtype=torch.long))


@pytest.mark.parametrize("tiled", (False, True), ids=("whole", "tiles"))
@pytest.mark.parametrize("name", ("infonce", "supcon", "supcon_in", "dcl", "clip", "sscl"))
def test_parts_of_the_anchors_add_up_to_the_batch_with_its_gradient(name, tiled):
    generator = torch.Generator().manual_seed(2)
    views = torch.randn(2, 7, 4, generator=generator, dtype=torch.float64).requires_grad_()
    labels, loss = torch.tensor([0, 1, 1, -1, 2, 0, 2]), by_name(name, temperature=0.4)
    whole = loss(*views, labels, tiled=tiled)
    (expected,) = torch.autograd.grad(whole, views)
    order = torch.randperm(14, generator=generator)
    parts = [
        loss(*views, labels, tiled=tiled, anchors=order[part]) for part in (slice(0, 5), slice(5, 5), slice(5, 14))
    ]
    torch.testing.assert_close(sum(parts), whole, rtol=1e-13, atol=0)
    (found,) = torch.autograd.grad(sum(parts), views)
    torch.testing.assert_close(found, expected, rtol=1e-11, atol=1e-14)
    each = loss(*views, labels, tiled=tiled, reduction="none")
    own = loss(*views, labels, tiled=tiled, reduction="none", anchors=order[:6])
    torch.testing.assert_close(own, each[order[:6]], rtol=1e-13, atol=0)


def test_own_negatives_go_with_their_anchors_and_anchors_are_checked():
    views, negatives = torch.randn(2, 5, 4), torch.randn(10, 3, 4)
    each = info_nce(*views, negatives=negatives, reduction="none")
    some = torch.tensor([8, 1])
    torch.testing.assert_close(info_nce(*views, negatives=negatives, reduction="none", anchors=some), each[some])
    with pytest.raises(ValueError, match=r"^anchors must be numbers of embeddings, int64 of shape \(r,\)"):
        info_nce(*views, anchors=torch.tensor([True, False]))
    with pytest.raises(ValueError, match="^anchors needs two views or more, got one"):
        supcon(views[0], None, torch.zeros(5).long(), anchors=some)


@pytest.mark.filterwarnings("ignore")  # the compiler uses what torch itself deprecates
@pytest.mark.parametrize("name", ("infonce", "supcon", "dcl", "clip"))
def test_tiles_under_compile_autocast_and_a_second_pass_through_the_network(name):
    """The second pass is GradCache: the loss's gradient in all embeddings first, then the network chunk by chunk."""
    generator = torch.Generator().manual_seed(4)
    x = torch.randn(2, 12, 6, generator=generator)
    labels, loss = torch.arange(12) % 3, by_name(name, temperature=0.3)
    network = torch.nn.Linear(6, 5)
    whole = loss(*network(x), labels, tiled=False)
    (expected,) = torch.autograd.grad(whole, network.weight)

    cached = network(x).detach().requires_grad_()
    loss(*cached, labels, tiled=True).backward()
    for part in (slice(0, 5), slice(5, 12)):
        network(x[:, part]).backward(cached.grad[:, part])
    torch.testing.assert_close(network.weight.grad, expected, rtol=1e-5, atol=1e-7)

    torch.compiler.reset()
    compiled = torch.compile(lambda a, b: loss(a, b, labels, tiled=True), backend="aot_eager")
    leaves = [view.detach().requires_grad_() for view in network(x)]
    value = compiled(*leaves)
    torch.testing.assert_close(value, whole)
    torch.testing.assert_close(torch.stack(torch.autograd.grad(value, leaves)), cached.grad, rtol=1e-5, atol=1e-7)

    with torch.autocast("cpu", dtype=torch.bfloat16):
        embeddings = network(x)
        tiles, matrix = (loss(*embeddings, labels, tiled=tiled) for tiled in (True, False))
    assert tiles.dtype == torch.float32
    torch.testing.assert_close(tiles, matrix)
