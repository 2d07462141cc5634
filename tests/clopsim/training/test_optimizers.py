"""The steps are those of torch, of LARS by hand, and the same for stacked networks."""

import pytest
import torch

from clopsim.training.optimizers import TRUST, Moments, at_rest, preconditioner, update

WEIGHTS = {"matrix": (3, 2), "bias": (3,), "kernel": (2, 2, 3, 3)}
HOW = {"momentum": 0.9, "weight_decay": 0.1}


def drawn(generator, members=()):
    return {name: torch.randn(*members, *s, generator=generator, dtype=torch.float64) for name, s in WEIGHTS.items()}


def theirs(optimizer, parameters, rate, momentum, weight_decay):
    if optimizer == "sgd":
        return torch.optim.SGD(parameters, lr=rate, momentum=momentum, weight_decay=weight_decay)
    return torch.optim.AdamW(parameters, lr=rate, betas=(momentum, 0.999), weight_decay=weight_decay)


@pytest.mark.parametrize("optimizer", ("sgd", "adamw"))
@pytest.mark.parametrize("momentum, weight_decay", [(0.0, 0.0), (0.9, 0.0), (0.9, 0.1)])
def test_the_update_is_that_of_torch(optimizer, momentum, weight_decay):
    generator = torch.Generator().manual_seed(0)
    weights = drawn(generator)
    parameters = {name: torch.nn.Parameter(value.clone()) for name, value in weights.items()}
    other = theirs(optimizer, parameters.values(), 0.3, momentum, weight_decay)
    moments = at_rest(weights, optimizer)
    for step in range(5):
        gradient = drawn(generator)
        for name, parameter in parameters.items():
            parameter.grad = gradient[name].clone()
        other.step()
        weights, moments = update(
            weights, moments, gradient,
            optimizer=optimizer, step=step, rate=0.3, momentum=momentum, weight_decay=weight_decay,
        )  # fmt: skip
    for name, parameter in parameters.items():
        torch.testing.assert_close(weights[name], parameter.detach(), rtol=1e-12, atol=1e-14)
    if optimizer == "adamw":
        for name, parameter in parameters.items():
            torch.testing.assert_close(moments.squares[name], other.state[parameter]["exp_avg_sq"])


def test_lars_by_hand():
    weights = {"matrix": torch.tensor([[3.0, 4.0]]), "bias": torch.tensor([1.0])}
    gradient = {"matrix": torch.tensor([[0.0, 1.0]]), "bias": torch.tensor([2.0])}
    how = {"optimizer": "lars", "rate": 10.0, "momentum": 0.5, "weight_decay": 0.5}
    moved, moments = update(weights, at_rest(weights, "lars"), gradient, **how)
    pull = torch.tensor([[1.5, 3.0]])  # g + w p
    velocity = TRUST * 5 / pull.norm() * pull
    torch.testing.assert_close(moments.velocity["matrix"], velocity)
    torch.testing.assert_close(moved["matrix"], weights["matrix"] - 10 * velocity)
    assert moved["bias"].tolist() == [1 - 10 * 2]  # neither scaled nor decayed
    again, _ = update(moved, moments, gradient, **how)
    assert again["bias"].tolist() == [-19 - 10 * 3]


def test_lars_turns_a_matrix_by_the_same_angle_whatever_the_gradient():
    """T26: a gradient across the matrix, of any size."""
    weights = {"matrix": torch.tensor([[3.0, 4.0]], dtype=torch.float64)}
    for size in (1e-8, 1.0, 1e8):
        gradient = {"matrix": size * torch.tensor([[-4.0, 3.0]], dtype=torch.float64)}
        moved, _ = update(
            weights, at_rest(weights, "lars"), gradient, optimizer="lars", rate=0.2 / TRUST, momentum=0, weight_decay=0
        )
        cosine = torch.cosine_similarity(moved["matrix"], weights["matrix"])
        assert float(torch.arccos(cosine)) == pytest.approx(float(torch.tensor(0.2).atan()), rel=1e-6)


def test_zeros_do_not_break_a_step():
    weights = {"matrix": torch.zeros(2, 2)}
    for optimizer in ("sgd", "lars", "adamw"):
        for gradient in (torch.zeros(2, 2), torch.ones(2, 2)):
            moved, _ = update(
                weights, at_rest(weights, optimizer), {"matrix": gradient},
                optimizer=optimizer, rate=0.1, momentum=0.9, weight_decay=0.1,
            )  # fmt: skip
            assert moved["matrix"].isfinite().all()
            assert bool((moved["matrix"] != 0).any()) == bool(gradient.any())


@pytest.mark.parametrize("optimizer", ("sgd", "lars", "adamw"))
def test_stacked_networks_step_as_alone(optimizer):
    generator = torch.Generator().manual_seed(1)
    weights, gradient, velocity, squares = (drawn(generator, (4,)) for _ in range(4))
    moments = Moments(velocity, {n: s.square() for n, s in squares.items()} if optimizer == "adamw" else {})
    rate, decay = torch.rand(2, 4, generator=generator, dtype=torch.float64)

    def one(w, m, g, mu, wd, **more):
        return update(w, m, g, optimizer=optimizer, step=2, rate=mu, momentum=0.9, weight_decay=wd, **more)

    together, after = one(weights, moments, gradient, rate, decay, stacked=True)
    for k in range(4):
        single = [{name: value[k] for name, value in each.items()} for each in (weights, *moments, gradient)]
        alone, left = one(single[0], Moments(single[1], single[2]), single[3], float(rate[k]), float(decay[k]))
        for name in WEIGHTS:
            torch.testing.assert_close(together[name][k], alone[name])
            torch.testing.assert_close(after.velocity[name][k], left.velocity[name])


@pytest.mark.parametrize("optimizer", ("sgd", "lars", "adamw"))
@pytest.mark.parametrize("dtype", (torch.float32, torch.float64), ids=str)
def test_a_step_and_a_rate_that_only_the_device_knows_are_numbers_all_the_same(optimizer, dtype):
    """A recorded step reads them from memory; 1 - 0.999^step must not be rounded to float32 before it is subtracted."""
    generator = torch.Generator().manual_seed(2)
    weights, gradient = ({n: v.to(dtype) for n, v in drawn(generator).items()} for _ in range(2))
    moments = update(weights, at_rest(weights, optimizer), gradient, optimizer=optimizer, rate=0.1, **HOW)[1]
    moved, after = update(weights, moments, gradient, optimizer=optimizer, step=1, rate=0.1, **HOW)
    there = {"step": torch.tensor(1.0, dtype=torch.float64), "rate": torch.tensor(0.1, dtype=torch.float64)}
    same, left = update(weights, moments, gradient, optimizer=optimizer, **there, **HOW)
    for name in WEIGHTS:
        assert same[name].dtype == dtype
        torch.testing.assert_close(same[name], moved[name], rtol=4 * torch.finfo(dtype).eps, atol=0)
        torch.testing.assert_close(left.velocity[name], after.velocity[name], rtol=4 * torch.finfo(dtype).eps, atol=0)


def test_the_preconditioner_is_what_adamw_divides_by():
    weights = {"matrix": torch.ones(1, 2, dtype=torch.float64)}
    gradient = {"matrix": torch.tensor([[3.0, -0.5]], dtype=torch.float64)}
    moved, moments = update(
        weights, at_rest(weights, "adamw"), gradient, optimizer="adamw", rate=0.1, momentum=0.0, weight_decay=0.0
    )
    scale = preconditioner(moments.squares, 1)["matrix"]
    torch.testing.assert_close(scale, torch.tensor([[3.0, 0.5]], dtype=torch.float64))
    torch.testing.assert_close(moved["matrix"], 1 - 0.1 * gradient["matrix"] / scale)
