"""The range test: it sees a collapse that the loss does not show, and leaves the model alone."""

import copy
import inspect
import math

import pytest
import torch
from matplotlib.figure import Figure
from torch import nn

import clopsim
from clopsim.losses import by_name
from clopsim.training.range_test import MOMENTUM, STEADY, _first_run, _steepest

INFONCE = by_name("infonce", temperature=0.5)


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(10, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 8))


def batches(count=4, samples=64):
    generator = torch.Generator().manual_seed(0)
    first = torch.randn(count, samples, 10, generator=generator)
    return list(zip(first, first + 0.1 * torch.randn(first.shape, generator=generator), strict=True))


@pytest.fixture(scope="module")
def collapsing():
    return clopsim.rate_test(network(), INFONCE, batches(), low=1e-3, high=30.0, steps=120, weight_decay=0.3)


def test_a_collapse_is_named_although_the_loss_does_not_leave(collapsing):
    found = collapsing
    assert found.divergence_rate is None  # a finder that looks at the loss sees nothing
    assert all(map(math.isfinite, found.loss))
    assert found.loss[-1] == pytest.approx(math.log(127), rel=1e-2)
    assert found.loss_at_collapse[-1] == pytest.approx(math.log(127), rel=1e-5)
    assert 1e-2 < found.collapse_rate < 30
    place = found.rates.index(found.collapse_rate)
    assert set(found.verdicts[place:]) == {"complete"}
    assert found.verdicts[place - 1] != "complete"
    assert min(found.mean_resultant_length[place:]) > 0.99 > found.mean_resultant_length[place - 1]
    assert found.steepest_rate < found.collapse_rate
    assert "collapsed from rate" in found.report()
    assert "all embeddings point one way" in found.report()


def test_without_decay_none_is_named():
    found = clopsim.rate_test(network(), INFONCE, batches(), low=1e-3, high=0.3, steps=60)
    assert found.collapse_rate is None
    assert "no collapse on the way" in found.report()
    assert found.loss[-1] < found.loss[0]


def test_a_loss_that_leaves_ends_it():
    def quadratic(first, second):
        return (first - second).square().mean() + first.square().mean()

    found = clopsim.rate_test(network(), quadratic, batches(), low=1e-2, high=1e4, steps=100, momentum=0.0)
    assert found.divergence_rate == found.rates[-1] < 1e4
    assert found.to_dict()["divergence_rate"] == found.divergence_rate
    assert "the loss left at rate" in found.report()


def test_the_rates_rise_by_equal_factors_and_the_model_is_left_alone():
    model = nn.Sequential(nn.Linear(10, 8), nn.BatchNorm1d(8))
    before = copy.deepcopy(model.state_dict())
    found = clopsim.rate_test(model, INFONCE, batches(2), low=1e-3, high=1e-1, steps=21, optimizer="adamw")
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters())
    assert len(found.rates) == 21
    assert found.rates[0] == 1e-3
    assert found.rates[-1] == pytest.approx(1e-1)
    assert found.rates[10] == pytest.approx(1e-2)


@pytest.mark.parametrize("kind", ("sgd", "adam", "adamw"))
def test_an_optimiser_of_torch_is_the_one_of_that_name(kind):
    """A new one with one group; and the caller's stays as it is."""
    model = network()
    classes = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam, "adamw": torch.optim.AdamW}
    more = {"momentum": 0.9} if kind == "sgd" else {"betas": (0.9, 0.999)}
    theirs = classes[kind](model.parameters(), lr=0.3, weight_decay=0.1, **more)
    before = copy.deepcopy((model.state_dict(), theirs.state_dict()))
    options = {"steps": 15, "low": 1e-3, "high": 1e-1}
    found = clopsim.rate_test(model, INFONCE, batches(), optimizer=theirs, **options)
    named = clopsim.rate_test(model, INFONCE, batches(), optimizer=kind, weight_decay=0.1, **options)
    assert found.loss == named.loss
    assert found.rates == named.rates
    assert all(torch.equal(value, before[0][name]) for name, value in model.state_dict().items())
    assert theirs.state_dict() == before[1]
    assert all(p.grad is None for p in model.parameters())


def test_groups_keep_their_decay_and_proportion_and_frozen_weights_stay():
    """Against a loop by hand, from moments that are there already."""
    model, data = network(), batches()
    model[0].bias.requires_grad_(False)
    groups = [
        {"params": [model[0].bias, model[0].weight], "lr": 0.02, "weight_decay": 0.0},
        {"params": model[2].parameters(), "lr": 0.06, "weight_decay": 0.5},  # the last layer is in no group
    ]
    optimizer = torch.optim.SGD(groups, momentum=0.5)
    twin, hand = copy.deepcopy((model, optimizer))
    for each, stepper in ((model, optimizer), (twin, hand)):
        INFONCE(*map(each, data[0])).backward()
        stepper.step()
    found = clopsim.rate_test(model, INFONCE, data, optimizer=optimizer, steps=10, low=1e-2, high=1e-1)
    losses = []
    for step, rate in enumerate(found.rates):
        hand.param_groups[0]["lr"], hand.param_groups[1]["lr"] = rate, 3 * rate
        hand.zero_grad()
        losses.append(INFONCE(*map(twin, data[step % len(data)])))
        losses[-1].backward()
        hand.step()
    assert found.loss == pytest.approx([float(loss.detach()) for loss in losses], rel=1e-6)


def test_the_parameters_of_the_loss_are_left_alone():
    tau = nn.Parameter(torch.tensor(0.5))
    model = network()
    optimizer = torch.optim.AdamW([*model.parameters(), tau], lr=0.1)
    for given in (optimizer, "adamw"):
        clopsim.rate_test(model, by_name("infonce", temperature=tau), batches(), optimizer=given, steps=10)
        assert tau.grad is None
        assert tau.item() == 0.5


def test_labels_loaders_and_both_views_in_one_pass():
    first, second = batches(1, 128)[0]
    labels = torch.arange(128) % 4
    data = torch.utils.data.TensorDataset(first, second, labels)
    loader = torch.utils.data.DataLoader(data, batch_size=32, shuffle=True)
    found = clopsim.rate_test(
        network(), by_name("supcon", temperature=0.5), loader, steps=12, high=1.0,
        forward=lambda m, a, b, y: (*m(torch.cat([a, b])).chunk(2), y),
    )  # fmt: skip
    assert len(found.loss) == 12  # three rounds of the loader
    signature = inspect.signature(clopsim.rate_test)
    assert signature.parameters["momentum"].default == MOMENTUM  # what it is where an optimiser of torch is alone


def test_it_draws_all_of_them(collapsing):
    figure = collapsing.plot()
    assert isinstance(figure, Figure)
    names = ("loss", "effective_rank", "mean_resultant_length", "view_cosine")
    for axes, name in zip(figure.axes, names, strict=True):
        assert list(axes.lines[0].get_xdata()) == list(collapsing.rates)
        assert list(axes.lines[0].get_ydata()) == list(getattr(collapsing, name))
        assert collapsing.collapse_rate in [line.get_xdata()[0] for line in axes.lines]


def test_only_a_collapse_that_lasts_counts():
    point, spread = ["complete"], ["none"]
    assert _first_run(spread * 5 + point * STEADY) == 5
    assert _first_run(spread * 5 + point * (STEADY - 1)) is None
    assert _first_run(point * 5 + spread) is None
    assert _first_run(point * 5) == 0
    assert _first_run(["views"] * 5) is None
    assert _first_run(spread + point * STEADY + ["broken"]) == 1
    assert _first_run([]) is None


def test_the_steepest_fall_is_where_it_is():
    rates = [float(k) for k in range(60)]
    losses = [5.0] * 30 + [5.0 - k for k in range(1, 4)] + [2.0] * 27
    assert 30 <= _steepest(rates, losses) <= 34
    assert _steepest(rates, [1.0] * 60) is None
    assert _steepest([], []) is None


def test_wrong_input():
    for options, message in (
        (
            {"optimizer": "lars"},
            "optimizer must be one of sgd, adam, adamw or an optimiser of torch, got 'lars'; torch.o",
        ),
        ({"optimizer": torch.optim.SGD}, "optimizer must be one of sgd, adam, adamw or an optimiser of torch, got "),
        (
            {"optimizer": torch.optim.SGD(network().parameters(), lr=0.1)},
            "optimizer must hold parameters of the model that it moves, got none; give the optimiser that trains it",
        ),
        (
            {"optimizer": torch.optim.SGD(network().parameters(), lr=0.1), "momentum": 0.5},
            "momentum must be left out b",
        ),
        (
            {"batches": [(batches()[0][0], torch.arange(64))]},
            r"batches must hold two views of the same samples, .*, got a tensor of shape \(64, 10\) and a tensor of ",
        ),
        ({"low": 0.0}, "low must be a finite number > 0, got 0.0"),
        ({"low": 1.0, "high": 0.5}, "high must be > low = 1, got 0.5"),
        ({"steps": 3}, "steps must be a whole number >= 10, got 3"),
        ({"momentum": 1.0}, r"momentum must be in \[0, 1\)"),
        ({"weight_decay": -1.0}, "weight_decay must be a finite number >= 0"),
        ({"batches": None}, "batches must be a list or a loader of batches, got NoneType"),
        (
            {"forward": lambda model, a, b: (model(a), a[:, 0])},
            r"forward must give the embeddings \(N, d\) of two views",
        ),
        ({"loss": lambda a, b: a}, "loss must give one number that depends on the weights"),
        ({"batches": []}, "batches must hold at least one batch, got none"),
        ({"model": network().requires_grad_(False)}, "model must have parameters that require a gradient, got none"),
    ):
        given = {"model": network(), "loss": INFONCE, "batches": batches(), **options}
        with pytest.raises(ValueError, match=f"^{message}"):
            clopsim.rate_test(given.pop("model"), given.pop("loss"), given.pop("batches"), **given)
