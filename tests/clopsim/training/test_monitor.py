"""The monitor in plain loops, under AMP, torch.compile, Lightning and TensorBoard, and what it warns of."""

import pickle
import warnings
import weakref

import pytest
import torch
from torch import nn

import clopsim
from clopsim.bounds import Setting, effective_rate
from clopsim.losses import CLOP, OrthonormalPrototypes, by_name
from clopsim.metrics import geometry, inspection
from clopsim.training import monitor as module
from clopsim.training.monitor import Collapsed, CollapseWarning, Monitor, observed

INFONCE = by_name("infonce", temperature=0.5)


def views(samples=40, dimension=6, noise=0.1, seed=0, shift=0.0):
    generator = torch.Generator().manual_seed(seed)
    first = torch.randn(samples, dimension, generator=generator) + shift
    return first, first + noise * torch.randn(samples, dimension, generator=generator)


def collapsed(samples=40, dimension=6):
    return views(samples, dimension, shift=100.0)


def quiet(monitor, *arguments, **more):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return monitor(*arguments, **more)


def looks(count, monitor, given, **more):
    """The scalars of so many looks at the same embeddings, and of the steps between."""
    return [each for _ in range(count * monitor.every) if (each := monitor(*given, **more))]


def silent(count, monitor, given, **more):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return looks(count, monitor, given, **more)


def words_of(monitor, optimizer):
    """What is said of a collapse under this optimiser."""
    silent(1, monitor, views())
    silent(module.PATIENCE - 1, monitor, collapsed(), optimizer=optimizer)
    with pytest.warns(CollapseWarning) as caught:
        looks(1, monitor, collapsed(), optimizer=optimizer)
    (one,) = caught
    assert one.filename == __file__  # where the user called
    return str(one.message)


def test_the_scalars_are_those_of_metrics():
    first, second = views()
    layer = nn.Linear(6, 6)
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.2, momentum=0.9, weight_decay=1e-4)
    INFONCE(layer(first), layer(second)).backward()
    seen = Monitor(INFONCE)(first, second, optimizer=optimizer)
    raw = torch.cat([first, second])
    z = geometry.unit(raw)
    expected = {
        "effective_rank": geometry.effective_rank(z),
        "mean_resultant_length": geometry.mean_resultant_length(z),
        "view_cosine": 1 - geometry.alignment(z) / 2,
        "norm": raw.square().sum(dim=1).mean().sqrt(),
        "loss": INFONCE(first, second),
        "loss_over_collapse": INFONCE(first, second) / torch.tensor(79.0).log(),
        "gradient_norm": torch.cat([p.grad.reshape(-1) for p in layer.parameters()]).norm(),
        "collapsed": 0.0,
    }
    setting = Setting(0.5, 6, 80, "full", "tangent", "symmetric", "mean", 0.9)
    expected["effective_rate"] = effective_rate(0.2, float(expected["norm"]) ** 2, setting)
    assert set(seen) == set(expected)
    for name, value in expected.items():
        assert type(seen[name]) is float
        assert seen[name] == pytest.approx(float(value), rel=1e-5), name


def test_the_verdict_is_that_of_inspect():
    first, second = views(200, 5)
    y = torch.arange(200) % 4
    centres = torch.nn.functional.one_hot(y, 5).float()
    apart = torch.randn(200, 5, generator=torch.Generator().manual_seed(7))
    flat = torch.cat([first[:, :1], torch.zeros(200, 4)], dim=1)
    cases = {
        "spread": (first, second, None), "point": (*collapsed(200, 5), None), "line": (flat, flat, None),
        "classes": (centres, centres, y), "four points": (centres, centres, None),
        "mixed": (centres, centres, y.roll(1)),
        "two directions": (first[:, :2] @ torch.eye(2, 5), second[:, :2] @ torch.eye(2, 5), None),
        "views": (first, apart, None), "one class": (first, second, torch.zeros(200).long()),
    }  # fmt: skip
    found = {}
    for name, (a, b, labels) in cases.items():
        _, judgement = observed(torch.stack([a, b]), labels, eps=torch.finfo(a.dtype).eps)
        both, swapped = torch.cat([a, b]), torch.cat([b, a])
        known = labels is not None and len(labels.unique()) > 1
        theirs = inspection.inspect(
            both.numpy(), views=swapped.numpy(), labels=labels.repeat(2).numpy() if known else None
        )
        found[name] = judgement.verdict
        assert judgement.verdict == theirs.report["verdict"], name
    assert found == {
        "spread": "none", "point": "complete", "line": "line", "classes": "none", "four points": "cluster",
        "mixed": "none", "two directions": "dimensional", "views": "views", "one class": "none",
    }  # fmt: skip


def test_between_looks_it_only_counts():
    monitor = Monitor(INFONCE, every=3)
    first, second = views()
    assert [bool(monitor(first, second)) for _ in range(7)] == [True, False, False, True, False, False, True]
    assert monitor.state_dict()["steps"] == 7
    monitor.loss = None
    assert monitor(first, second) == {}  # the loss is not even called


def test_it_warns_once_of_a_collapse_that_lasts_and_says_what_to_do():
    monitor = Monitor(INFONCE, every=20)
    weights = [nn.Parameter(torch.ones(1))]
    optimizer = torch.optim.SGD(weights, lr=4e6, momentum=0.5, weight_decay=1e-7)
    words = words_of(monitor, optimizer)
    assert words.startswith(
        "step 100: the embeddings have collapsed, in 5 looks in a row: all embeddings point one way: mean resultant"
    )
    assert "T5, momentum 0.5: views stay together while the learning rate is below 30 |u|^2; here |u|^2 = 6" in words
    assert "Rate x weight decay / (1 - momentum) is 0.8: small networks lose their rank for good above about" in words
    assert monitor.verdict == "complete"
    assert [seen["collapsed"] for seen in silent(20, monitor, collapsed())] == [1] * 20  # once


@pytest.mark.parametrize("stop", (False, True))
@pytest.mark.parametrize("every, patience", ((1, 100), (7, 15), (20, 5), (100, 5)))
def test_a_run_that_leaves_its_collapse_is_not_told_so(every, patience, stop):
    """The start of a network, a noisy batch, a narrow cone on the way."""
    monitor = Monitor(INFONCE, every=every, stop=stop)
    for state in (collapsed(), views()):
        silent(patience - 1, monitor, state)
        silent(1, monitor, views())
        silent(1, monitor, collapsed())
        silent(1, monitor, views())
    silent(patience - 1, monitor, collapsed())
    step = monitor.state_dict()["steps"]
    expected = pytest.raises(Collapsed) if stop else pytest.warns(CollapseWarning)
    with expected as caught:
        looks(1, monitor, collapsed())
    words = str(caught.value if stop else caught[0].message)
    assert words.startswith(f"step {step}: the embeddings have collapsed, in {patience} looks in a row")


@pytest.mark.parametrize("stop", (False, True))
def test_after_a_recovery_it_warns_of_the_next_collapse(stop):
    monitor = Monitor(INFONCE, every=20, stop=stop)
    kind = Collapsed if stop else CollapseWarning
    for _ in range(3):
        silent(module.PATIENCE - 1, monitor, collapsed())
        with pytest.raises(kind) if stop else pytest.warns(kind) as caught:
            looks(1, monitor, collapsed())
        assert stop or len(caught) == 1
        silent(3, monitor, collapsed())
        silent(module.PATIENCE - 1, monitor, views())  # as yet no recovery
        silent(module.PATIENCE, monitor, collapsed())
        silent(module.PATIENCE, monitor, views())


def test_looks_at_too_few_rows_do_not_count():
    monitor = Monitor(INFONCE, every=20)
    silent(module.PATIENCE - 1, monitor, collapsed())
    silent(2, monitor, views(4, 6))
    with pytest.warns(CollapseWarning, match="in 5 looks in a row"):
        looks(1, monitor, collapsed())


def steppers():
    """SGD and AdamW whose decay costs the rank, the group without decay first or last."""
    for first in (0, 1):
        for kind, options in ((torch.optim.SGD, {"momentum": 0.5}), (torch.optim.AdamW, {})):
            groups = [{"params": [nn.Parameter(torch.ones(1))], "weight_decay": w} for w in (0.1, 0.0)]
            yield kind(groups[::-1] if first else groups, lr=5.0, **options)
    yield torch.optim.Adam([nn.Parameter(torch.ones(1))], lr=5.0, weight_decay=0.1, decoupled_weight_decay=True)


def test_decay_that_costs_the_rank_is_found_in_every_group():
    product = {torch.optim.SGD: "Rate x weight decay / (1 - momentum) is 1: small networks lose their rank for good "
               "above about 0.01 to 0.1."}  # fmt: skip
    for optimizer in steppers():
        words = words_of(Monitor(INFONCE, every=20), optimizer)
        expected = "Rate x weight decay is 0.5: small networks lose their rank for good above about 0.03 to 0.5."
        assert product.get(type(optimizer), expected) + " Lower the weight decay or the rate. Proto" in words
        assert "T5" not in words  # the rate is far below it: no reason to lower that


def test_other_optimisers_are_told_what_holds_for_them():
    weights = [nn.Parameter(torch.ones(1))]
    for optimizer in (
        torch.optim.AdamW(weights, lr=1e-3, weight_decay=0.5),
        torch.optim.Adam(weights, lr=5.0, weight_decay=0.1),  # its decay goes through the second moments
        torch.optim.RMSprop(weights, lr=5.0, weight_decay=0.1),
        None,
    ):
        monitor = Monitor(INFONCE, every=20)
        words = words_of(monitor, optimizer)
        assert "0.99. Lower the rate, warm it up, or raise the batch. Prototypes" in words
        assert "effective_rate" not in monitor(*views(), optimizer=optimizer)


def test_the_effective_rate_is_that_of_the_fastest_group():
    groups = [{"params": [nn.Parameter(torch.ones(1))], "lr": lr} for lr in (0.0, 0.3, 0.1)]
    seen = Monitor(INFONCE)(*views(), optimizer=torch.optim.SGD(groups))
    setting = Setting(0.5, 6, 80, "full", "tangent", "symmetric", "mean")
    assert seen["effective_rate"] == pytest.approx(effective_rate(0.3, seen["norm"] ** 2, setting))


def test_a_network_that_never_was_spread_is_told_so():
    monitor = Monitor(INFONCE, every=20)
    assert [seen["collapsed"] for seen in silent(module.PATIENCE - 1, monitor, collapsed())] == [1] * 4
    with pytest.warns(CollapseWarning, match="step 80: the embeddings have not been spread so far, in 5 looks in a"):
        looks(1, monitor, collapsed())


def test_a_run_that_breaks_is_told_or_stopped_at_once():
    broken = [view * float("nan") for view in views()]
    monitor = Monitor(INFONCE, every=1)
    quiet(monitor, *views())
    with pytest.warns(
        CollapseWarning, match=r"^step 1: 40 of 40 samples have embeddings that are zero or not finite\."
    ):
        monitor(*broken)
    silent(200, monitor, broken)
    with pytest.raises(Collapsed, match="^step 0: 40 of 40 samples"):
        Monitor(INFONCE, every=1, stop=True)(*broken)


def test_rows_without_a_direction_are_said_and_left_out():
    first, second = views()
    first[3], second[5] = float("nan"), 0.0
    monitor = Monitor(INFONCE, every=1)
    with pytest.warns(CollapseWarning, match="2 of 40 samples have embeddings that are zero or not finite"):
        seen = monitor(first, second)
    assert seen["effective_rank"] > 4
    assert seen["collapsed"] == 1
    with pytest.warns(CollapseWarning):
        assert "effective_rank" not in Monitor(INFONCE)(first * float("nan"), second)


def test_few_rows_have_scalars_and_no_verdict():
    monitor = Monitor(INFONCE, every=1)
    seen = quiet(monitor, *views(4, 6))
    assert seen["effective_rank"] > 1
    assert monitor.verdict is None


@pytest.mark.parametrize("dtype", (torch.float16, torch.bfloat16, torch.float64))
def test_precisions(dtype):
    first, second = (view.to(dtype) for view in views(100, 16))
    seen = quiet(Monitor(INFONCE), first, second)
    exact = quiet(Monitor(INFONCE), *views(100, 16))
    assert seen["effective_rank"] == pytest.approx(exact["effective_rank"], rel=1e-2)
    cone = torch.cat([torch.full((40, 1), 300.0), 1e-3 * views()[0]], dim=1)  # a float16 batch that has collapsed
    assert observed(torch.stack([cone, cone]).to(dtype), None, eps=torch.finfo(dtype).eps)[1].verdict == "complete"


def test_more_rows_than_it_looks_at_are_sampled_and_wide_ones_need_few():
    for samples, dimension in ((3000, 8), (600, 400)):
        first, second = views(samples, dimension)
        seen = quiet(Monitor(INFONCE), first, second)
        z = geometry.unit(torch.cat([first, second]))
        assert seen["mean_resultant_length"] == pytest.approx(float(geometry.mean_resultant_length(z)), rel=1e-5)
        if dimension == 8:
            assert seen["effective_rank"] == pytest.approx(float(geometry.effective_rank(z)), rel=0.01)


def test_it_holds_no_graph():
    monitor = Monitor(INFONCE, every=1)
    layer = nn.Linear(6, 6)
    first, second = (layer(view) for view in views())
    seen = monitor(first, second, optimizer=torch.optim.SGD(layer.parameters(), lr=0.1))
    gone = weakref.ref(first)
    del first, second
    assert gone() is None
    assert all(type(value) is float for value in seen.values())


def test_the_run_goes_on_as_without_it():
    """Neither gradient nor random state nor buffer feels a look."""

    def run(monitor):
        torch.manual_seed(0)
        net = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 4))
        optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
        for _ in range(4):
            inputs = torch.randn(20, 6), torch.randn(20, 6)
            first, second = map(net, inputs)
            optimizer.zero_grad()
            INFONCE(first, second).backward()
            optimizer.step()
            if monitor:
                monitor(first, second, optimizer=optimizer, model=net, inputs=inputs)
        return net.state_dict()

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CollapseWarning)
        watched = run(Monitor(INFONCE, every=1, sharpness_every=2))
    for name, value in run(None).items():
        assert torch.equal(value, watched[name]), name


def test_it_goes_into_a_checkpoint_and_comes_back(tmp_path):
    prototypes = CLOP(INFONCE, OrthonormalPrototypes(3, 6, seed=0))
    for loss in (INFONCE, prototypes):
        monitor = Monitor(loss, every=50)
        silent(2, monitor, views())
        silent(3, monitor, collapsed())
        torch.save(monitor.state_dict(), tmp_path / "monitor.pt")
        again = Monitor(lambda a, b: (a - b).square().mean(), every=50)  # cannot be pickled
        again.load_state_dict(torch.load(tmp_path / "monitor.pt", weights_only=True))
        for back in (pickle.loads(pickle.dumps(monitor)), again):
            assert back.state_dict() == monitor.state_dict()
            assert back.verdict == "complete"
            assert back.judgement == monitor.judgement
            silent(1, back, collapsed())
            with pytest.warns(CollapseWarning, match="step 300: .* in 5 looks"):
                back(*collapsed())


def test_the_checkpoint_of_an_older_version_goes_on():
    monitor = Monitor(INFONCE, every=20)
    monitor.load_state_dict({"steps": 60, "row": 0, "spread": True, "warned": True})  # of a false alarm
    assert monitor.verdict is None
    silent(module.PATIENCE, monitor, views())
    silent(module.PATIENCE - 1, monitor, collapsed())
    with pytest.warns(CollapseWarning, match="step 240"):
        looks(1, monitor, collapsed())
    new = Monitor(INFONCE)
    assert Monitor(INFONCE).load_state_dict(new.state_dict()) is new.verdict is None


def test_losses_by_name_of_others_and_with_labels():
    labels = torch.arange(40) % 3
    assert Monitor("infonce", temperature=0.2).temperature == 0.2
    assert Monitor(CLOP(by_name("dcl", temperature=0.3), OrthonormalPrototypes(3, 6))).temperature == 0.3
    assert Monitor("vicreg").temperature is None
    assert Monitor(lambda a, b: a.sum(), temperature=0.4).temperature == 0.4
    supcon = Monitor("supcon", temperature=0.5)(*views(), labels)
    assert supcon["loss_over_collapse"] == pytest.approx(
        float(by_name("supcon", temperature=0.5)(*views(), labels)) / float(torch.tensor(79.0).log()), rel=1e-5
    )


def test_wrong_input():
    for options, message in (
        ({"every": 0}, "every must be a whole number >= 1, got 0"),
        (
            {"every": 100, "sharpness_every": 150},
            "sharpness_every must be a multiple of every = 100, got 150; 0: never",
        ),
        ({"temperature": -1.0}, "temperature must be a finite number > 0, got -1.0"),
        ({"loss": "simclr"}, "loss must be one of infonce, .*, got 'simclr'"),
        ({"loss": "infonce"}, "temperature must be given for infonce, got none; it is that of your loss"),
        ({"loss": 3}, "loss must be a name or a function of two views, got 3; see clopsim.losses"),
    ):
        with pytest.raises(ValueError, match=f"^{message}"):
            Monitor(**{"loss": INFONCE, **options})
    first, second = views()
    with pytest.raises(
        ValueError, match=r"^first and second must have one shape \(N, d\), got \(40, 6\) and \(39, 6\)"
    ):
        Monitor(INFONCE)(first, second[1:])
    with pytest.raises(ValueError, match="^model and inputs must be given where a sharpness is due"):
        Monitor(INFONCE, sharpness_every=100)(first, second)


def test_the_sharpness_is_that_of_stable_rate():
    net, inputs = nn.Linear(6, 4), views()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    monitor = Monitor(INFONCE, every=1, sharpness_every=2)
    wrapped = torch.compile(net, backend="eager")
    looks = [monitor(*map(net, inputs), optimizer=optimizer, model=wrapped, inputs=inputs) for _ in range(3)]
    assert ["sharpness" in look for look in looks] == [True, False, True]
    found = clopsim.stable_rate(net, INFONCE, [inputs], optimizer=optimizer)
    assert looks[0]["sharpness"] == pytest.approx(found.sharpness)
    assert looks[0]["stable_rate"] == pytest.approx(found.rate)


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor")  # torch.compile looks at it, at a graph break
def test_inside_a_compiled_step_and_under_autocast():
    net = nn.Linear(6, 4)
    monitor = Monitor(INFONCE, every=2)

    @torch.compile(backend="eager")
    def step(first, second):
        with torch.autocast("cpu", torch.bfloat16):
            z = net(first), net(second)
            value = INFONCE(*z)
        return value, monitor(*z)

    seen = [step(*views()) for _ in range(5)]
    assert [bool(look) for _, look in seen] == [True, False, True, False, True]
    assert seen[0][1]["loss"] == pytest.approx(float(seen[0][0].detach()), rel=1e-3)
    assert monitor.state_dict()["steps"] == 5


def lightning_run(tmp_path, monitor, steps=4, resume=None, data=None):
    lightning = pytest.importorskip("lightning.pytorch")

    class Contrastive(lightning.LightningModule):
        def __init__(self):
            super().__init__()
            self.net = nn.Linear(6, 4)

        def training_step(self, batch, index):
            first, second = self.net(batch[0]), self.net(batch[1])
            return {"loss": INFONCE(first, second), "views": (first, second)}

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), lr=0.1)

    first, second = views(128, 6)
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(first, second), batch_size=32)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=Warning, module="lightning|torch")
        logger = lightning.loggers.CSVLogger(tmp_path)
        trainer = lightning.Trainer(
            max_steps=steps, logger=logger, log_every_n_steps=1, callbacks=[monitor.lightning_callback()],
            accelerator="cpu", enable_progress_bar=False, enable_model_summary=False, default_root_dir=tmp_path,
        )  # fmt: skip
        trainer.fit(Contrastive(), loader, ckpt_path=resume, weights_only=False)
    return trainer


def test_a_lightning_script_logs_what_the_monitor_sees_and_checkpoints_it(tmp_path):
    monitor = Monitor(INFONCE, every=2)
    trainer = lightning_run(tmp_path, monitor)
    assert monitor.state_dict()["steps"] == 4
    logged = trainer.logged_metrics
    assert {"clopsim/effective_rank", "clopsim/gradient_norm", "clopsim/effective_rate"} <= set(logged)
    trainer.save_checkpoint(tmp_path / "a.ckpt")
    again = Monitor(INFONCE, every=2)
    lightning_run(tmp_path, again, steps=6, resume=str(tmp_path / "a.ckpt"))
    assert again.state_dict()["steps"] == 6


def test_a_lightning_script_is_stopped_where_told(tmp_path, monkeypatch):
    monitor = Monitor(INFONCE, every=1, stop=True)
    monkeypatch.setattr(module, "PATIENCE", 2)
    monkeypatch.setattr(module, "STEPS", 2)
    monkeypatch.setattr(module, "judge", lambda seen: module.Judgement("complete", "one point", []))
    trainer = lightning_run(tmp_path, monitor, steps=4)
    assert trainer.global_step == 2


def test_lightning_that_returns_no_embeddings_is_told(tmp_path):
    pytest.importorskip("lightning")
    callback = Monitor(INFONCE).lightning_callback()
    with pytest.raises(ValueError, match="^views must be among what training_step returns"):
        callback.on_train_batch_end(None, None, torch.zeros(()), None, 0)


def test_tensorboard_takes_the_scalars(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from torch.utils.tensorboard import SummaryWriter

    monitor = Monitor(INFONCE, every=2)
    with SummaryWriter(tmp_path) as writer:
        for step in range(3):
            for name, value in monitor(*views(seed=step)).items():
                writer.add_scalar(name, value, step)
    events = EventAccumulator(str(tmp_path))
    events.Reload()
    assert [each.step for each in events.Scalars("effective_rank")] == [0, 2]
    assert events.Scalars("view_cosine")[0].value == pytest.approx(
        Monitor(INFONCE)(*views(seed=0))["view_cosine"], rel=1e-5
    )


def test_what_it_is_called_with_is_checked():
    first, second = views()
    for given, message in (
        ((first.long(), second), "first and second must be floats, got torch.int64"),
        ((first.numpy(), second), "first must be a tensor, got ndarray"),
        ((first, second, [0] * 40), "labels must be a tensor, got list"),
    ):
        with pytest.raises(ValueError, match=message):
            Monitor(INFONCE)(*given)
    with pytest.raises(ValueError, match="optimizer must be one of torch, got 'sgd'"):
        Monitor(INFONCE)(first, second, optimizer="sgd")
    with pytest.raises(ValueError, match=r"loss must give one number, got shape \(40,\)"):
        Monitor(lambda a, b: a[:, 0])(first, second)
    with pytest.raises(ValueError, match=r"state must be that of state_dict\(\), got one without row"):
        Monitor(INFONCE).load_state_dict({"steps": 3})


def test_a_learned_temperature_is_the_one_of_now():
    tau = nn.Parameter(torch.tensor(0.5))
    monitor = Monitor(by_name("infonce", temperature=tau))
    assert monitor.temperature == 0.5
    tau.data.fill_(0.25)
    assert monitor.temperature == 0.25
