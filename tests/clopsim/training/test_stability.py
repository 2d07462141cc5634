"""The stable rate of any module: against dense Hessians, by hand, and that nothing of the model is touched."""

import copy

import pytest
import torch
from torch import nn

import clopsim
from clopsim.bounds import adam_rate, heavy_ball_rate, nesterov_rate
from clopsim.losses import by_name
from tests import stability_noise
from tests.stability import NETWORKS, observed_rate, settled

INFONCE = by_name("infonce", temperature=0.5)


def network(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(5, 6), nn.BatchNorm1d(6), nn.Tanh(), nn.Linear(6, 4)).double()


def batch(seed=0, samples=12):
    return tuple(torch.randn(2, samples, 5, generator=torch.Generator().manual_seed(seed), dtype=torch.float64))


def dense(model, batches, names=None):
    """Hessian of the mean loss in the named parameters, as one matrix, and their sizes."""
    parameters = {name: p.detach() for name, p in model.named_parameters() if names is None or name in names}
    sizes = [p.numel() for p in parameters.values()]

    def loss(flat):
        parts = dict(zip(parameters, flat.split(sizes), strict=True))
        weights = {name: part.view_as(parameters[name]) for name, part in parts.items()}
        buffers = {name: value.clone() for name, value in model.named_buffers()}
        values = []
        for first, second in batches:
            z = [torch.func.functional_call(model, {**weights, **buffers}, (view,)) for view in (first, second)]
            values.append(INFONCE(*z))
        return torch.stack(values).mean()

    flat = torch.cat([p.reshape(-1) for p in parameters.values()])
    return torch.autograd.functional.hessian(loss, flat), sizes


def largest(matrix):
    return float(torch.linalg.eigvalsh(matrix)[-1])


def test_sgd_on_several_batches_in_both_modes():
    model = network()
    batches = [batch(seed) for seed in range(3)]
    for mode in (True, False):
        model.train(mode)
        found = clopsim.stable_rate(model, INFONCE, batches, momentum=0.9, weight_decay=0.1)
        h = largest(dense(model, batches)[0])
        assert found.sharpness == pytest.approx(h + 0.1, rel=1e-3)
        assert found.rate == pytest.approx(heavy_ball_rate(h + 0.1, momentum=0.9), rel=1e-3)
        alone = [largest(dense(model, [each])[0]) + 0.1 for each in batches]
        assert found.per_batch == pytest.approx([heavy_ball_rate(each, momentum=0.9) for each in alone], rel=1e-3)
        assert found.spread == (min(found.per_batch), max(found.per_batch))


def test_nothing_of_the_model_is_changed():
    model = network().train()
    before = copy.deepcopy(model.state_dict())
    clopsim.stable_rate(model, INFONCE, [batch()])
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters())
    assert model.training


def test_frozen_parameters_are_held_still():
    model = network()
    model[0].weight.requires_grad_(False)
    free = {name for name, p in model.named_parameters() if p.requires_grad}
    found = clopsim.stable_rate(model, INFONCE, [batch()])
    assert found.sharpness == pytest.approx(largest(dense(model, [batch()], free)[0]), rel=1e-3)
    assert found.sharpness < clopsim.stable_rate(network(), INFONCE, [batch()]).sharpness


def test_groups_of_sgd_keep_their_proportion():
    """Preconditioner: the inverse of a group's share of the rate; decay of one group only; Nesterov."""
    model = network()
    groups = [{"params": model[0].parameters(), "lr": 0.2}, {"params": model[3].parameters(), "lr": 0.6}]
    groups[1]["weight_decay"] = 0.3
    optimizer = torch.optim.SGD(groups, momentum=0.5, nesterov=True)
    names = {"0.weight", "0.bias", "3.weight", "3.bias"}  # batch normalisation is in no group
    matrix, sizes = dense(model, [batch()], names)
    share = torch.cat(
        [torch.full((size,), k, dtype=torch.float64) for size, k in zip(sizes, (1, 1, 3, 3), strict=True)]
    )
    decay = torch.cat([torch.full((s,), k, dtype=torch.float64) for s, k in zip(sizes, (0, 0, 0.3, 0.3), strict=True)])
    h = largest(share.sqrt()[:, None] * (matrix + torch.diag(decay)) * share.sqrt())
    found = clopsim.stable_rate(model, INFONCE, [batch()], optimizer=optimizer)
    assert found.rate == pytest.approx(nesterov_rate(h, momentum=0.5), rel=1e-3)
    assert "Nesterov momentum 0.5" in found.assumption


@pytest.mark.parametrize(
    "kind, amsgrad", [(torch.optim.Adam, False), (torch.optim.AdamW, False), (torch.optim.AdamW, True)]
)
def test_adam_has_its_own_units(kind, amsgrad):
    model = network()
    optimizer = kind(model.parameters(), lr=1e-2, betas=(0.8, 0.95), eps=1e-4, weight_decay=0.2, amsgrad=amsgrad)
    for seed in range(4):
        optimizer.zero_grad()
        INFONCE(*map(model, batch(seed))).backward()
        optimizer.step()
    matrix, _ = dense(model, [batch()])
    key = "max_exp_avg_sq" if amsgrad else "exp_avg_sq"
    squares = torch.cat([optimizer.state[p][key].reshape(-1) for p in model.parameters()])
    root = ((squares / (1 - 0.95**4)).sqrt() + 1e-4).sqrt()
    found = clopsim.stable_rate(model, INFONCE, [batch()], optimizer=optimizer)
    if kind is torch.optim.Adam:
        h = largest((matrix + 0.2 * torch.eye(len(matrix))) / root / root[:, None])
        assert found.rate == pytest.approx(adam_rate(h, momentum=0.8), rel=1e-3)
    else:
        h = largest(matrix / root / root[:, None])
        assert found.rate == pytest.approx(adam_rate(h, momentum=0.8, weight_decay=0.2), rel=1e-3)


def test_other_forwards_and_a_flat_loss():
    x, y = torch.randn(2, 20, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    layer = nn.Linear(5, 5).double()
    found = clopsim.stable_rate(
        layer, nn.functional.mse_loss, [(x, y)], forward=lambda model, inputs, target: (model(inputs), target)
    )
    wide = torch.cat([x, torch.ones(20, 1, dtype=torch.float64)], dim=1)
    assert found.rate == pytest.approx(2 / largest(2 * wide.T @ wide / 20 / 5), rel=1e-3)
    assert found.passes == 2 + 4 * found.products
    both = clopsim.stable_rate(
        network(), INFONCE, [batch()], forward=lambda model, a, b: model(torch.cat([a, b])).chunk(2)
    )
    assert both.rate != pytest.approx(
        clopsim.stable_rate(network(), INFONCE, [batch()]).rate
    )  # one batch norm, not two
    flat = clopsim.stable_rate(layer, lambda a, b: (a + b).sum(), [(x, y)])
    assert flat.rate is flat.spread is None
    assert "none is too large" in flat.report()
    assert flat.to_dict()["per_batch"] == [None]


def test_attention_and_autocast():
    torch.manual_seed(0)
    block = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True)
    views = torch.randn(2, 6, 3, 8)
    with torch.autocast("cpu", torch.bfloat16):
        found = clopsim.stable_rate(
            block, INFONCE, [tuple(views)], forward=lambda m, a, b: (m(a).mean(dim=1), m(b).mean(dim=1))
        )
    assert found.rate > 0


def test_wrong_input():
    model = network()
    loss = INFONCE(*map(model, batch()))
    cases = (
        ({"batches": []}, "batches must hold at least one batch, got none"),
        ({"momentum": 1.0}, r"momentum must be in \[0, 1\), got 1.0"),
        ({"weight_decay": -1.0}, "weight_decay must be a finite number >= 0"),
        ({"loss": lambda a, b: a}, r"loss must give one number, got a tensor of shape \(12, 4\); reduce it"),
        ({"model": network().half()}, "model must hold float32 or float64 parameters, got torch.float16 in 0.weight"),
        ({"model": network().requires_grad_(False)}, "model must have parameters that require a gradient, got none"),
        ({"optimizer": torch.optim.RMSprop(model.parameters())}, "optimizer must be torch's SGD, Adam or AdamW, got R"),
        (
            {"optimizer": torch.optim.AdamW(model.parameters())},
            "optimizer must have made a step, got a new AdamW, whose second moments say nothing yet; train some steps",
        ),
        (
            {"optimizer": torch.optim.AdamW(network().parameters())},
            "optimizer must hold parameters of the model that it moves, got none; give the optimiser that trains it",
        ),
        (
            {"optimizer": torch.optim.SGD(model.parameters(), lr=0.1), "momentum": 0.9},
            "momentum must be left out beside an optimizer of torch, got 0.9; its groups have it",
        ),
        (
            {"optimizer": torch.optim.SGD(model.parameters(), lr=0.1), "weight_decay": 0.1},
            "weight_decay must be left out beside an optimizer",
        ),
        (
            {"batches": [(batch()[0], torch.arange(12))]},
            r"batches must hold two views of the same samples, \(first, second\) or \(first, second, labels\), got a "
            r"tensor of shape \(12, 5\) and a tensor of shape \(12,\); let the loader make views, or give forward=",
        ),
        ({"batches": [(batch()[0], batch()[1].long(), torch.arange(12))]}, "batches must hold two views"),
        ({"batches": [(batch()[0], batch()[1][:, 0])]}, "batches must hold two views"),
        (
            {"optimizer": torch.optim.SGD(network().parameters(), lr=0.1)},
            "optimizer must hold parameters of the model that it moves, got none; give the optimiser that trains it",
        ),
        (
            {"optimizer": torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.5, dampening=0.5)},
            "optimizer must be without dampening and maximize",
        ),
        ({"optimizer": "sgd"}, "optimizer must be one of torch, got 'sgd'"),
        ({"model": INFONCE}, "model must be a torch.nn.Module, got "),
        ({"loss": "infonce"}, "loss must be a function, got 'infonce'"),
        ({"loss": lambda a, b: torch.ones(())}, "loss must depend on the weights, got a constant"),
        ({"batches": batch()[0]}, "batches must be a list or a loader of batches, got Tensor"),
        ({"batches": [batch()[0]]}, "batches must hold tuples or lists, got Tensor"),
        ({"batches": [batch()[:1]]}, r"batches must hold \(first, second\) or .*, got 1 in one; give forward="),
        ({"tolerance": 0.0}, "tolerance must be a finite number > 0"),
        ({"seed": -1}, "seed must be a whole number >= 0"),
        ({"optimizer": torch.optim.SGD(model.parameters(), lr=0.0)}, "optimizer must have a learning rate > 0"),
    )  # fmt: skip
    assert loss.isfinite()
    for change, message in cases:
        given = {"model": model, "loss": INFONCE, "batches": [batch()], **change}
        with pytest.raises(ValueError, match=f"^{message}"):
            clopsim.stable_rate(given.pop("model"), given.pop("loss"), given.pop("batches"), **given)


@pytest.mark.parametrize("name", ["linear", "mlp", "mlp, batch norm"])
@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "adamw"])
def test_descent_leaves_where_it_says(name, optimizer):
    """Against descent by torch's own optimisers; the larger networks are in python -m tests.stability."""
    model, inputs = NETWORKS[name]()
    ready = settled(model, inputs, optimizer)
    predicted = clopsim.stable_rate(model, ready.loss, [inputs], optimizer=ready.optimizer).rate
    assert observed_rate(model, inputs, ready) == pytest.approx(predicted, rel=0.02)


def test_without_noise_the_factor_of_noise_is_one():
    model, whole = stability_noise.network("linear")
    settled(model, whole, "sgd")
    rests, up = [stability_noise.flat_gradient(model, whole)], stability_noise.rising(model, [whole])
    for momentum in (0.0, 0.9):
        predicted = clopsim.stable_rate(model, INFONCE, [whole], momentum=momentum).rate
        for share, expected in ((0.97, False), (1.03, True)):
            rate = share * predicted
            assert expected == stability_noise.grows(model, [whole], rests, up, rate=rate, momentum=momentum, seed=0)
