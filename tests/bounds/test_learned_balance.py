import math
from importlib import import_module

import pytest
import torch

from clopsim.audit.experiments.class_state import places
from clopsim.audit.experiments.learned_balance import labels_of
from clopsim.audit.experiments.modes import growth, modes
from clopsim.bounds import (
    balance_factor,
    class_loss,
    class_mean_collapse,
    class_mean_loss,
    class_state,
    learned_class_rate,
    sigma_rate,
    spread_rate,
)
from clopsim.losses.balance import learned_balance
from clopsim.losses.blcl import blcl_of_rows

A, B, C = ({"classes": 3, "per_class": 4, "temperature": 0.5}, {"classes": 4, "per_class": 4, "temperature": 0.2},
           {"classes": 10, "per_class": 8, "temperature": 0.1})  # fmt: skip


def of(setting):
    """The arguments without m, which the values at the simplex do not know."""
    return {name: value for name, value in setting.items() if name != "per_class"}


@pytest.mark.parametrize(
    "setting, d, loss, tangent, ambient",
    [
        (A, 6, 0.09492295642096085, 0.3554392348545902, 0.7233730896993257),
        (B, 6, 0.0038106317158807072, 0.09017158733404408, 0.1288165533343487),
        (C, 32, 0.0001344990013268798, 0.08100544733169328, 0.1472826315121696),
        ({**A, "temperature": 0.2}, 6, None, 0.0628, 0.0821),
    ],
)
def test_values_of_the_document(setting, d, loss, tangent, ambient):
    assert loss is None or class_mean_loss(**of(setting)) == pytest.approx(loss, rel=1e-11)
    for gradient, rate in (("tangent", tangent), ("ambient", ambient)):
        found = learned_class_rate(**setting, dimension=d, gradient=gradient)
        assert found == pytest.approx(rate, rel=1e-3 if loss is None else 1e-10)


@pytest.mark.parametrize("K, m, d, tau", [(3, 4, 3, 0.5), (2, 2, 4, 0.2), (4, 3, 2, 1.0)])
def test_the_whole_hessian_at_collapse(K, m, d, tau):
    """Nothing acts inside a class, at any size of it: exactly 0, K (m - 1)(d - 1) times and the turns."""
    z = torch.zeros(K * m, d, dtype=torch.float64)
    z[:, 0] = 1
    found = modes(lambda rows: blcl_of_rows(rows, labels_of(K, m), temperature=tau, reduction="sum"), z)
    state = class_mean_collapse(temperature=tau)
    expected = [state.classes] * ((K - 1) * (d - 1)) + [state.within] * ((K * (m - 1) + 1) * (d - 1))
    assert found.curvatures.tolist() == pytest.approx(expected, abs=1e-10)
    assert float(found.pulls.abs().max()) < 1e-12


@pytest.mark.parametrize("setting", (A, B))
def test_the_spread_across_the_simplex(setting):
    """c = -a: the tangent step turns at 2/c, the ambient one never."""
    K, m, tau = setting.values()
    state = class_state(class_loss("blcl", **setting), dimension=K + 1)
    (level,) = [mode for mode in state.modes if mode.name == "spread, perpendicular"]
    assert state.pull == pytest.approx(-level.curvature, rel=1e-12)
    rate = spread_rate(**of(setting))
    assert rate == pytest.approx(2 / level.curvature, rel=1e-12)
    assert spread_rate(**of(setting), learned=True) == pytest.approx(
        rate * 2 * class_mean_loss(**of(setting)), rel=1e-13
    )
    z, _ = places(state, classes=K, per_class=m, dimension=K + 1)
    direction = torch.zeros_like(z)
    direction[0, -1], direction[1, -1] = 0.5**0.5, -(0.5**0.5)
    loss = lambda rows: blcl_of_rows(rows, labels_of(K, m), temperature=tau, reduction="sum")  # noqa: E731
    for multiple in (0.97, 1.03, 30.0):
        tangent, ambient = (
            abs(growth(loss, z, direction, rate=multiple * rate, gradient=gradient, steps=1))
            for gradient in ("tangent", "ambient")
        )
        assert (tangent < 1) == (multiple < 1)
        assert ambient < 1


def test_low_temperature():
    """The fixed weight bears rates that grow like 1/Q, the learned one 4 tau (K - 1)/K."""
    assert spread_rate(classes=3, temperature=0.02) > 1e10
    assert spread_rate(classes=3, temperature=0.02, learned=True) == pytest.approx(4 * 0.02 * 2 / 3, rel=1e-12)
    assert class_mean_loss(classes=3, temperature=0.02) > 0  # no underflow


def test_the_factor_and_its_floor():
    assert balance_factor(0.05) == 0.1
    assert balance_factor(1e-9, floor=-1.0) == pytest.approx(2 * math.exp(-2))
    assert balance_factor(0.7, floor=-1.0) == 1.4
    loss = torch.tensor([1e-9], dtype=torch.float64, requires_grad=True)
    value = learned_balance(loss, torch.tensor([-5.0], dtype=torch.float64))
    (weight,) = torch.autograd.grad(value, loss)
    assert float(weight) == pytest.approx(1 / balance_factor(1e-9, floor=-1.0), rel=1e-13)


def test_prototypes_beside_a_learned_balance_count_as_2l_times_their_weight():
    """Trap: lambda stands beside grad L/(2L), not beside grad L."""
    z = torch.randn(6, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    z = (z / z.norm(dim=-1, keepdim=True)).requires_grad_()
    y, weight = labels_of(3, 2), 0.7
    loss, term = blcl_of_rows(z, y), (1 - z[:, :3][torch.arange(6), y]).mean()
    rest = 0.5 * loss.detach().log()[None]
    (balanced,) = torch.autograd.grad(
        learned_balance(loss[None], rest, floor=-20.0) + weight * term, z, retain_graph=True
    )
    factor = balance_factor(float(loss.detach()))
    (plain,) = torch.autograd.grad(loss + weight * factor * term, z)
    torch.testing.assert_close(balanced * factor, plain, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("loss", (0.7, 0.05))
def test_sigma_turns_at_its_rate(loss):
    """The multipliers -0.94 and -1.06 of log sigma; in sigma the rate is the loss."""
    for form in ("log", "sigma"):
        for multiple in (0.97, 1.03):
            rate = multiple * sigma_rate(loss, parametrisation=form)
            x = 1e-6
            rest = 0.5 * math.log(loss) if form == "log" else math.sqrt(loss)
            for _ in range(8):
                here = rest + x
                slope = 1 - loss * math.exp(-2 * here) if form == "log" else 1 / here - loss / here**3
                x -= rate * slope
            assert (abs(x) < 1e-6) == (multiple < 1)


def test_wrong_arguments():
    with pytest.raises(ValueError, match="classes must be a whole number >= 2, got 1"):
        class_mean_loss(classes=1, temperature=0.5)
    for function in (lambda: class_mean_loss(classes=3, temperature=0), lambda: class_mean_collapse(temperature=-1)):
        with pytest.raises(ValueError, match="temperature must be a finite number > 0"):
            function()
    for function in (balance_factor, sigma_rate):
        with pytest.raises(ValueError, match="loss must be a finite number > 0"):
            function(0.0)
    for floor in (math.nan, math.inf):
        with pytest.raises(ValueError, match="floor must be a number or -inf"):
            balance_factor(0.5, floor=floor)
    with pytest.raises(ValueError, match="parametrisation must be one of log, sigma, got 'square'"):
        sigma_rate(0.5, parametrisation="square")


def test_two_classes_have_a_rate_too():
    assert learned_class_rate(classes=2, per_class=3, temperature=0.5, dimension=3) < math.inf
    assert learned_class_rate(classes=2, per_class=3, temperature=0.5, dimension=3, gradient="ambient") == math.inf


def test_proof_and_code():
    derivation = import_module("clopsim.bounds.learned_balance").derive()
    assert derivation.open_zeros() == {}
    assert derivation.disagreements() == {}
