"""Anti-Collapse: golden values, the coding rate's extremes, the proxy form."""

import math
from functools import partial

import pytest
import torch

from clopsim.losses import anti_collapse, coding_rate
from clopsim.losses.anti_collapse import anti_collapse_of_rows
from clopsim.losses.views import unit_rows


def regression_rows():
    i, j = torch.arange(1.0, 13, dtype=torch.float64), torch.arange(1.0, 6, dtype=torch.float64)
    return unit_rows(torch.cos(i[:, None] * j))


def test_golden_values():
    z = regression_rows()
    assert float(coding_rate(z)) == pytest.approx(2.683943440237, abs=6e-13)
    assert float(anti_collapse_of_rows(z)) == pytest.approx(0.068293311857, abs=6e-13)
    assert float(anti_collapse_of_rows(z, eps=0.2, gamma=0.5)) == pytest.approx(0.111978344817, abs=6e-13)


def test_the_coding_rate_lies_between_a_line_and_a_tight_frame():
    d, eps = 5, 0.3
    line, frame = torch.eye(d, dtype=torch.float64)[[0] * 10], torch.eye(d, dtype=torch.float64).repeat(2, 1)
    signs = torch.tensor([1.0, -1, 1, -1, -1, 1, 1, -1, 1, -1], dtype=torch.float64)[:, None]
    assert float(coding_rate(line, eps=eps)) == pytest.approx(math.log1p(d / eps) / 2, rel=1e-13)
    assert float(coding_rate(signs * line, eps=eps)) == pytest.approx(math.log1p(d / eps) / 2, rel=1e-13)
    assert float(coding_rate(frame, eps=eps)) == pytest.approx(d / 2 * math.log1p(1 / eps), rel=1e-13)
    few = frame[:3]  # fewer rows than dimensions: the other matrix
    assert float(coding_rate(few, eps=eps)) == pytest.approx(1.5 * math.log1p(d / (3 * eps)), rel=1e-13)
    z = regression_rows()
    assert line.shape == frame.shape
    assert math.log1p(5 / 0.5) / 2 < float(coding_rate(z)) < 2.5 * math.log1p(1 / 0.5)


def test_scale_and_weight():
    z = regression_rows()
    assert float(coding_rate(z, eps=0.5, scale=2.0)) == pytest.approx(float(coding_rate(z, eps=0.25)), rel=1e-13)
    once = float(anti_collapse(z, None))
    assert float(anti_collapse(z, None, weight=3.0)) == pytest.approx(3 * once, rel=1e-13)
    assert float(anti_collapse(z, None, gamma=2.0)) == pytest.approx(once**2, rel=1e-13)


@pytest.mark.parametrize("seed", range(3))
def test_the_proxy_form_equals_the_slow_loop(seed, golden, batch):
    first, second, labels = batch(6, 4, seed=seed)
    proxies = torch.randn(5, 4, generator=torch.Generator().manual_seed(9), dtype=torch.float64)  # 3, 4: not in it
    z = [golden.unit(row) for row in torch.cat([first, second]).tolist()]
    p = [golden.unit(row) for row in proxies.tolist()]
    slow = golden.anti_collapse_proxies(z, labels.tolist() * 2, p)
    assert float(anti_collapse(first, second, labels, proxies=proxies)) == pytest.approx(float(slow), rel=1e-13)


def test_proxies_are_learned_and_unlabelled_samples_left_out(batch):
    first, second, _ = batch(6, 4)
    labels = torch.tensor([0, 1, 2, 2, -1, -1])
    proxies = torch.randn(3, 4, generator=torch.Generator().manual_seed(9), dtype=torch.float64).requires_grad_()
    loss = partial(anti_collapse, proxies=proxies, sharpness=4.0)
    value = loss(first.requires_grad_(), second, labels)
    torch.testing.assert_close(value, loss(first[:4], second[:4], labels[:4]), rtol=1e-13, atol=0)
    rows, learned = torch.autograd.grad(value, (first, proxies))
    assert not rows[4:].any()
    assert rows[:4].any(dim=1).all()
    assert learned.any(dim=1).all()
    assert torch.autograd.gradcheck(
        lambda a, p: anti_collapse(a, second, labels, proxies=p, sharpness=4.0), (first, proxies), atol=1e-7
    )
    nobody = loss(first, second, torch.full((6,), -1))
    assert float(nobody.detach()) == pytest.approx(1.0, abs=1e-15)  # no class, no rate, no pull
    assert not torch.autograd.grad(nobody, first)[0].any()
    many = torch.func.vmap(lambda y: loss(first, second, y))(torch.stack([labels, labels.flip(0)]))
    torch.testing.assert_close(many[0], value, rtol=1e-13, atol=0)


def test_half_precision_of_the_proxy_form(batch):
    first, second, labels = batch(6, 4, dtype=torch.float16)
    proxies = torch.randn(3, 4, generator=torch.Generator().manual_seed(9))
    value = anti_collapse(first.requires_grad_(), second, labels, proxies=proxies)
    value.backward()
    exact = anti_collapse(first.detach().double(), second.double(), labels, proxies=proxies.double())
    assert value.dtype == torch.float32
    assert float(value.detach()) == pytest.approx(float(exact), rel=1e-5)
    assert first.grad.isfinite().all()


def test_a_dead_gradient_is_announced_with_a_gamma_that_lives():
    x = torch.randn(600, 300, generator=torch.Generator().manual_seed(0))
    with pytest.warns(UserWarning, match="gamma R can reach 165 for 600 rows in 300 dimensions.*lower gamma to 0.49"):
        anti_collapse(x)
    x.requires_grad_()
    assert torch.autograd.grad(anti_collapse(x, gamma=0.48), x)[0].any()
    with pytest.warns(UserWarning, match="anti_collapse: gamma R can reach"):
        assert not torch.autograd.grad(anti_collapse(x), x)[0].any()  # and this is why


def test_wrong_options():
    x, y = torch.ones(4, 3), torch.arange(4) // 2
    for name in ("eps", "scale"):
        with pytest.raises(ValueError, match=f"{name} must be a finite number > 0, got 0"):
            anti_collapse(x, x, **{name: 0})
    for name in ("gamma", "weight", "align"):
        with pytest.raises(ValueError, match=f"{name} must be a finite number >= 0, .*got -1"):
            anti_collapse(x, x, **{name: -1})
    with pytest.raises(ValueError, match="labels must be given for anti_collapse with proxies, got none"):
        anti_collapse(x, x, proxies=x)
    with pytest.raises(ValueError, match=r"proxies must have shape \(K, 3\), got \(2, 4\)"):
        anti_collapse(x, x, y, proxies=torch.ones(2, 4))
    with pytest.raises(ValueError, match="proxies must be on cpu as the embeddings, got meta"):
        anti_collapse(x, x, y, proxies=torch.ones(2, 3, device="meta"))
    with pytest.raises(ValueError, match="labels must be < 2, the number of proxies, got a larger one"):
        anti_collapse(x, x, y + 1, proxies=torch.ones(2, 3))
